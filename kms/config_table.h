/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options: one row each gives name, type, default, range and help. The walk over the
 * YAML file, the defaults and --help are all made from it. */
#ifndef KMS_CONFIG_TABLE_H
#define KMS_CONFIG_TABLE_H

#include "config.h"

enum kms_option_type {
    KMS_OPT_IDENTITY,
    KMS_OPT_LISTEN, /* one address or a list */
    KMS_OPT_STORE,
    KMS_OPT_KEK,
    KMS_OPT_ACCOUNT, /* of the system: 64 octets */
    KMS_OPT_NUMBER,
    KMS_OPT_TIME, /* seconds, or with s, m, h, d */
    KMS_OPT_SIZE, /* octets, or with K, M, G */
    KMS_OPT_WORD, /* one of the words, its position is the value */
    KMS_OPT_SUITES,
    KMS_OPT_MODES,
    KMS_OPT_TYPES,
    KMS_OPT_FILES /* one path or a list */
};

struct kms_option {
    const char *name; /* a dot separates an option from the group it stands in */
    enum kms_option_type type;
    size_t
        offset; /* in struct kms_config: of a uint32_t (NUMBER, TIME, SIZE, WORD), FILES, ACCOUNT */
    uint32_t standard, min, max;
    const char *const *words;
    const char *help;
};

extern const struct kms_option kms_options[];
extern const size_t kms_n_options;

/* kms_option_set reads the scalar text into c. NULL, or what is wrong with it. `err` (cap octets)
 * may hold the returned text. */
const char *kms_option_set(struct kms_config *c, const struct kms_option *o, const char *text,
                           char *err, size_t cap);

#endif
