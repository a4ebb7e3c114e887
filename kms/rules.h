/* SPDX-License-Identifier: Apache-2.0 */
/* The central policy: rules in the order in which they were written, compiled when they are read
 * (rules_load.c), then only looked at. The language is docs/formats/policy-file.md.
 *
 * A rule is chosen by who asks for whom (from, to) and by what is wanted (when): the first that
 * applies decides. What it changes is a bound on the ticket to be made; what it requires must hold
 * for the ticket that comes of it, when it is made and again each time it is resolved. Each of the
 * three is a part: at most one value for each condition of the table in conditions.c. */
#ifndef KMS_RULES_H
#define KMS_RULES_H

#include <stdio.h>

#include "config.h"
#include "selector.h"
#include "stamps.h"

#define KMS_RULE_NAME_MAX 63

enum kms_phase { KMS_PHASE_ISSUE, KMS_PHASE_RESOLVE };

/* What is decided on. */
struct kms_question {
    enum kms_phase phase;
    struct kms_who from;           /* who asked for the ticket, or made it: IDRi */
    struct kms_who to;             /* one responder: as wanted (issue), or who resolves */
    struct kms_who named;          /* resolve: the IDRr that `to` is meant by; else absent */
    const struct mkt_policy *what; /* wanted, granted, or of the ticket */
    uint32_t modes;                /* bits 1 to 3: the modes of RFC 6043 4.1.1 that it is about */
    uint64_t now;                  /* NTP-UTC */
    const struct kms_directory *people; /* NULL: nobody is in a group */
};

/* The conditions, cheap ones first; `from` and `to` are the most telling and so the first of all.
 */
enum kms_condition_id {
    KMS_COND_FROM,
    KMS_COND_TO,
    KMS_COND_AT,
    KMS_COND_MODES,
    KMS_COND_TYPES,
    KMS_COND_MADE,
    KMS_COND_SUITES,
    KMS_COND_FLAGS,
    KMS_COND_KEYS,
    KMS_COND_KEY_OCTETS,
    KMS_COND_KEY_COUNT,
    KMS_COND_VALIDITY,
    KMS_COND_REKEY,
    KMS_COND_APPS,
    KMS_COND_COUNT
};

/* What no change of a ticket touches, and what one might bring about. */
#define KMS_CONDS_FIXED                                                                         \
    (1u << KMS_COND_TYPES | 1u << KMS_COND_MADE | 1u << KMS_COND_SUITES | 1u << KMS_COND_KEYS | \
     1u << KMS_COND_KEY_OCTETS | 1u << KMS_COND_KEY_COUNT | 1u << KMS_COND_APPS)
#define KMS_CONDS_OTHER (((1u << KMS_COND_COUNT) - 1) & ~KMS_CONDS_FIXED)

/* The value of a condition: numbers, of which its row says what they are, or a list. */
struct kms_value {
    union {
        struct {
            uint32_t a, b;
        };
        const struct kms_selector *list;
    };
    size_t n; /* of the list */
};

struct kms_part {
    uint32_t has;                  /* bit of each condition that is there */
    const struct kms_value *value; /* of those, in their order */
};

/* kms_part_value returns the value of a condition, or NULL when the part has none. */
static inline const struct kms_value *
kms_part_value(const struct kms_part *part, enum kms_condition_id id)
{
    uint32_t bit = (uint32_t)1 << id;

    return (part->has & bit) == 0 ? NULL : &part->value[__builtin_popcount(part->has & (bit - 1))];
}

enum kms_part_id {
    KMS_PART_WHO, /* from, to */
    KMS_PART_WHEN,
    KMS_PART_CHANGE,
    KMS_PART_REQUIRE,
    KMS_PART_COUNT
};

struct kms_rule {
    struct kms_part part[KMS_PART_COUNT]; /* first: what is looked at lies together */
    const char *name;                     /* in a file of a realm: REALM/NAME */
    const char *profiles;                 /* that it was made with, for people; "" */
    unsigned line;                        /* in the file; 0: built in */
    bool refuse;
};

struct kms_rules {
    const char *source; /* path of the file, or "built-in" */
    const char *realm;  /* whose they are; NULL: of all who have none of their own */
    const struct kms_rule *rule;
    size_t n;
    const struct kms_rules *realms; /* that have rules of their own, by name */
    size_t n_realms;
    struct kms_arena *arena; /* everything lies in it, realms too */
};

/* kms_rules_load reads the file that config names, or makes the built-in rules when it names none;
 * kms_rules_read reads another file. What the configuration allows (modes, suites, max_validity)
 * goes into each rule. NULL: err (KMS_DOCUMENT_ERR octets) says "FILE:LINE:COL: what is wrong". */
struct kms_rules *kms_rules_load(const struct kms_config *config, char *err);
struct kms_rules *kms_rules_read(const struct kms_config *config, const char *path, char *err);

/* kms_rules_follow is kms_rules_load, and tells which files a change of would matter: also when it
 * returns NULL. Free *seen with kms_stamps_free. */
struct kms_rules *kms_rules_follow(const struct kms_config *config, struct kms_stamps *seen,
                                   char *err);

/* kms_rules_parse reads text that is called name; NULL: the file of that name. */
struct kms_rules *kms_rules_parse(const struct kms_config *config, const char *name,
                                  const char *text, char *err);

/* kms_rules_free frees. NULL is allowed. kms_rules_release is the same, for kms_current. */
void kms_rules_free(struct kms_rules *rules);
void kms_rules_release(void *rules);

/* kms_rules_show writes the rules as a policy file, profiles expanded; those of realms are files of
 * their own. */
void kms_rules_show(const struct kms_rules *rules, FILE *out);

/* kms_rules_of_realm returns the rules that decide for those of a realm: its own, or the general
 * ones. kms_rules_of does so for somebody. */
const struct kms_rules *kms_rules_of_realm(const struct kms_rules *rules, struct mkt_span realm);
static inline const struct kms_rules *
kms_rules_of(const struct kms_rules *rules, const struct kms_who *who,
             const struct kms_directory *people)
{
    return rules->n_realms == 0 ? rules : kms_rules_of_realm(rules, kms_who_realm(who, people));
}

/* Who watches a decision: told of every condition that was looked at. With it a rule is looked at
 * to its end; the decision is the same. */
struct kms_trace {
    void (*rule)(void *ctx, const struct kms_rule *rule, const struct kms_question *q);
    void (*condition)(void *ctx, const struct kms_rule *rule, enum kms_part_id part,
                      enum kms_condition_id id, const struct kms_value *value, bool held,
                      const struct kms_question *q);
    void *ctx;
};

/* kms_rules_match returns the first rule that applies, out of those that decide for who asks, or
 * NULL. trace may be NULL. */
const struct kms_rule *kms_rules_match(const struct kms_rules *rules, const struct kms_question *q,
                                       const struct kms_trace *trace);

/* kms_rule_require returns the first condition out of `which` (KMS_CONDS_FIXED, KMS_CONDS_OTHER or
 * both) that the rule requires and that does not hold, or KMS_COND_COUNT when all hold. */
enum kms_condition_id kms_rule_require(const struct kms_rule *rule, uint32_t which,
                                       const struct kms_question *q, const struct kms_trace *trace);

#endif
