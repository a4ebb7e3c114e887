/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of conditions: how each is called in a policy file, what its value is, where it may
 * stand, when it holds, and what is said when it does not. Reading, printing, explaining and
 * deciding are all made from it. */
#ifndef KMS_CONDITIONS_H
#define KMS_CONDITIONS_H

#include "rules.h"

enum kms_value_type {
    KMS_VALUE_PATTERNS, /* list; one of them must match */
    KMS_VALUE_WORDS,    /* a: bits of the words */
    KMS_VALUE_FLAGS,    /* a: must be set, or are set; b: must not be, or are cleared */
    KMS_VALUE_RANGE,    /* a: least; b: most */
    KMS_VALUE_NUMBER,   /* a: most */
    KMS_VALUE_TIME      /* a: most, seconds */
};

#define KMS_IN(part) (1u << KMS_PART_##part)

struct kms_condition {
    const char *name;
    enum kms_value_type type;
    uint32_t parts;           /* KMS_IN of the parts where it may stand */
    uint32_t min, max;        /* of numbers */
    const char *const *words; /* of WORDS: the word of each bit, NULL at the end; "" is no word */
    const char *help;
    bool (*holds)(const struct kms_value *v, const struct kms_question *q);
    void (*asked)(FILE *out, const struct kms_question *q); /* what the question has for it */
    enum mkt_rc rc;     /* of a refusal; its Error no is that of MKT_ERRORS */
    const char *broken; /* said then, in the log and to the operator; NULL: that of the mode */
};

extern const struct kms_condition kms_conditions[KMS_COND_COUNT];

/* kms_condition_broken says why a condition that does not hold is a refusal (static text). */
const char *kms_condition_broken(enum kms_condition_id id, const struct kms_value *v,
                                 const struct kms_question *q);

/* Other names for one flag, true or false: forking is I. The last has no name. */
struct kms_flag_word {
    const char *name;
    uint16_t flag;
    const char *help;
};
extern const struct kms_flag_word kms_flag_words[];

/* kms_value_print writes a value as it stands in a policy file. */
void kms_value_print(FILE *out, enum kms_condition_id id, const struct kms_value *v);

/* kms_duration_print writes seconds as 90s, 15m, 1h or 30d. */
void kms_duration_print(FILE *out, uint32_t seconds);

/* kms_within tells whether the policy is valid for at most so many seconds, as mkt_policy_grant
 * counts them: from TRs, or from now. */
bool kms_within(const struct mkt_policy *p, uint32_t seconds, uint64_t now);

/* kms_rekeys_within tells whether it demands a new key at least that often (TRr). */
bool kms_rekeys_within(const struct mkt_policy *p, uint32_t seconds);

#endif
