/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of mikey-kmsctl. Each prints its result on standard output, and on failure says on
 * standard error what to do next. */
#ifndef KMS_KMSCTL_H
#define KMS_KMSCTL_H

#include <mikeyticket/policy.h>

#include "config.h"
#include "keyfile.h"
#include "program.h"
#include "store.h"
#include "vault.h"

struct kms_ctl {
    struct kms_store *store;
    struct kms_vault *vault; /* NULL: the command needs no keys */
    const struct kms_config *config;
    const char *kms;      /* identity of the KMS */
    const char *identity; /* of the user, or the id of a TPK, or a reference */
    const char *key_id, *suite, *key_out;
    char *key_hex; /* wiped once read */
    bool json, no_psk;
    /* ticket issue */
    const char *as, *flags, *validity, *out, *type;
    const char *to[MKT_RESPONDERS_MAX], *keys[MKT_KEYS_MAX];
    size_t n_to, n_keys;
    bool finish, quiet; /* kek rotate; no progress bar */
};

enum kms_exit kms_ctl_user_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_rotate(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_kek_init(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_kek_rotate(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_kek_status(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_ticket_issue(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_ticket_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_ticket_revoke(const struct kms_ctl *ctl);

/* What differs between the kinds of keys that users get. */
struct kms_ctl_kind {
    enum kms_key_kind kind;
    const char *what; /* the file is, in words */
    const char *join; /* between name and digits of an id of our own making */
    enum kms_store_rc (*store)(struct kms_store *s, const struct kms_keyfile *k,
                               const struct kms_sealed *key, struct kms_store_err *err);
};

#define KMS_CTL_IDENTITY "an identity is a URI (sip:alice@example.com) or a NAI (alice@example.com)"

/* kms_ctl_key_add takes or generates the key of ctl->identity, stores it and hands it out. */
enum kms_exit kms_ctl_key_add(const struct kms_ctl *ctl, const struct kms_ctl_kind *k);

/* kms_ctl_wish makes the wanted policy of --to, --flags, --validity, --key, --suite and
 * --ticket-type; now is NTP-UTC. NULL, or what is wrong. Identities borrow from ctl. */
const char *kms_ctl_wish(struct mkt_policy *want, const struct kms_ctl *ctl, uint64_t now);

/* kms_ctl_json prints s as a JSON string. */
void kms_ctl_json(const char *s);

/* kms_ctl_time prints seconds since 1970 as "2026-01-02T03:04:05Z". */
void kms_ctl_time(int64_t seconds, char buf[32]);

/* kms_ctl_fail prints the text of a store's failure; returns the exit code. */
enum kms_exit kms_ctl_fail(const struct kms_store_err *err);

/* kms_ctl_misuse prints what is wrong with the command; returns the exit code. */
enum kms_exit kms_ctl_misuse(const char *why);

#endif
