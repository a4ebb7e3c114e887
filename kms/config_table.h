/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options: one row each gives name, type, default, range and help. The walk over the
 * YAML file, the defaults and --help are all made from it. */
#ifndef KMS_CONFIG_TABLE_H
#define KMS_CONFIG_TABLE_H

#include "config.h"

enum kms_option_type {
    KMS_OPT_IDENTITY,
    KMS_OPT_LISTEN, /* one address or a list */
    KMS_OPT_ADMIN,  /* an http address */
    KMS_OPT_API,    /* an https address */
    KMS_OPT_STORE,
    KMS_OPT_PATH, /* of a file that need not exist */
    KMS_OPT_KEK,
    KMS_OPT_ACCOUNT, /* a user or a group of the system */
    KMS_OPT_NUMBER,
    KMS_OPT_TIME, /* seconds, or with s, m, h, d */
    KMS_OPT_SIZE, /* octets, or with K, M, G */
    KMS_OPT_WORD, /* one of the words, its position is the value */
    KMS_OPT_SUITES,
    KMS_OPT_MODES,
    KMS_OPT_TYPES,
    KMS_OPT_FILES, /* one path or a list */
    KMS_OPT_PATH_OR_OFF,
    KMS_OPT_URL,   /* http: or https: */
    KMS_OPT_SET,   /* one of the words or a list: a bit each */
    KMS_OPT_PEER,  /* a list of mappings: config_peers.h */
    KMS_OPT_PEOPLE /* one mapping or a list (roster.h) */
};

struct kms_option {
    const char *name; /* a dot separates an option from the group it stands in */
    enum kms_option_type type;
    size_t offset; /* in struct kms_config: where the value is */
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

/* kms_option_octets returns how many octets of struct kms_config the value takes. */
size_t kms_option_octets(const struct kms_option *o);

/* kms_option_help writes the line of a row for people, kms_config_peers_help those of the options
 * of a peer. */
void kms_option_help(FILE *out, const struct kms_option *o);
void kms_config_peers_help(FILE *out);

#endif
