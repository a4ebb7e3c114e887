/* SPDX-License-Identifier: Apache-2.0 */
/* While a policy file is read: the rule being made, and its values. Between rules_file.c, which
 * knows files, rules_load.c, which knows rules and profiles, rules_value.c, which knows values, and
 * rules_builtin.c. */
#ifndef KMS_RULES_READ_H
#define KMS_RULES_READ_H

#include "arena.h"
#include "conditions.h"
#include "document.h"
#include "realm.h"

/* A rule or profile with room for every value. */
struct kms_draft {
    const char *name, *profiles;
    unsigned line;
    bool refuse;
    uint32_t has[KMS_PART_COUNT];
    struct kms_value value[KMS_PART_COUNT][KMS_COND_COUNT];
};

struct kms_reader {
    struct kms_document doc;
    struct kms_arena *arena;
    const struct kms_config *config;
    struct kms_draft draft;
};

enum kms_place { KMS_PLACE_RULE = 1, KMS_PLACE_PROFILE = 2 };

/* All that is collected while files are read. */
struct kms_load {
    struct kms_reader r; /* first: what is below it sees only this */
    enum kms_place place;
    enum kms_part_id part;     /* whose conditions are read */
    const struct kms_top *top; /* what is read now of a file */
    const char *realm;         /* whose file is read; NULL: the general one */
    struct kms_stamps *seen;
    struct kms_draft *profiles;
    size_t n_profiles, room_profiles, n_given; /* given: there before any file */
    struct kms_rule *rules;
    size_t n_rules;
    struct kms_rules *realms;
    size_t n_realms;
    bool builtin; /* what is read is ours */
};

/* kms_load_rules and kms_load_profiles read what stands below those words, and kms_load_no_memory
 * complains; false with a complaint. */
bool kms_load_rules(struct kms_load *l, const yaml_node_t *node);
bool kms_load_profiles(struct kms_load *l, const yaml_node_t *node);
bool kms_load_no_memory(struct kms_load *l, const yaml_node_t *node);

/* kms_value_read reads the value of a condition; false with a complaint. */
bool kms_value_read(struct kms_reader *r, enum kms_condition_id id, const yaml_node_t *node,
                    struct kms_value *v);

/* kms_value_join adds v to a part of the draft: both hold then. Each value of a rule and of its
 * profiles narrows what was there. NULL, or what is wrong (static text). */
const char *kms_value_join(struct kms_draft *d, enum kms_part_id part, enum kms_condition_id id,
                           const struct kms_value *v);

/* kms_flag_changes_check tells what the changes of flags lack, so that RFC 6043 6.10 holds for what
 * comes of them: NULL, or a text in buf. */
const char *kms_flag_changes_check(uint32_t set, uint32_t clear, char *buf, size_t cap);

/* The profiles that are always there, and the rules that are in force without a policy file. */
extern const char kms_builtin_profiles[], kms_builtin_rules[];

/* kms_configuration_profile writes the bounds of the configuration as a profile of that name, which
 * every rule has. False when cap is too small. */
bool kms_configuration_profile(const struct kms_config *config, char *out, size_t cap);

#endif
