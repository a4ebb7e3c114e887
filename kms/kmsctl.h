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

#define KMS_CTL_DIRS_MAX 16

struct kms_ctl {
    struct kms_store *store; /* NULL for commands to the running daemon */
    struct kms_vault *vault; /* NULL: the command needs no keys */
    const struct kms_config *config;
    const char *kms;      /* identity of the KMS */
    const char *identity; /* the first argument: an identity, an id, a reference, a file */
    const char *second;   /* the second; NULL: there is none */
    const char *key_id, *suite, *key_out;
    char *key_hex; /* wiped once read */
    const char *realm, *expires;
    bool dry_run;
    bool json, no_psk;
    const char *secret; /* file with the secret of a backup; NULL: ask */
    /* ticket issue */
    const char *as, *flags, *validity, *out, *type;
    const char *to[MKT_RESPONDERS_MAX], *keys[MKT_KEYS_MAX];
    size_t n_to, n_keys;
    bool finish, quiet; /* kek rotate; no progress bar */
    /* policy test */
    const char *mode, *by, *apps[MKT_APPS_MAX];
    size_t n_apps;
    bool resolve;
    /* audit */
    const char *dirs[KMS_CTL_DIRS_MAX];
    size_t n_dirs;
    bool partial;                                               /* earlier segments are elsewhere */
    const char *who, *ticket, *outcome, *event, *since, *until; /* what records are wanted */
    size_t limit;                                               /* records; 0: all */
    bool follow;
    /* ticket revoke */
    const char *user, *group;
    bool undo, force;
    const char *role; /* token new */
};

enum kms_exit kms_ctl_user_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_show(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_suspend(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_resume(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_user_expire(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_alias_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_alias_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_group_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_group_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_group_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_group_show(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_member_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_member_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_realm_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_realm_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_realm_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_import(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_add(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_remove(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_rotate(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_list(const struct kms_ctl *ctl);
/* kms_ctl_open_vault opens the vault with everything that the store has; it says why it cannot. */
bool kms_ctl_open_vault(struct kms_ctl *ctl);

enum kms_exit kms_ctl_kek_init(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_kek_rotate(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_kek_status(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_ticket_issue(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_audit_verify(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_audit_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_audit_search(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_ticket_kept(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_ticket_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_ticket_search(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_ticket_revoke(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_policy_test(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_policy_check(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_policy_show(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_reload(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_status(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_backup(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_restore(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_verify(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_peers_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_tpk_export(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_export_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_export_approve(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_export_withdraw(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_export_take(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_export_open(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_token_new(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_limits_list(const struct kms_ctl *ctl);
enum kms_exit kms_ctl_limits_lift(const struct kms_ctl *ctl);

/* What differs between the kinds of keys that users get. */
struct kms_ctl_kind {
    enum kms_key_kind kind;
    const char *what; /* the file is, in words */
    const char *join; /* between name and digits of an id of our own making */
    const char *target;
    struct json_t *(*body)(const struct kms_ctl *ctl, const char *id, const char *hex);
};

/* kms_ctl_key_add takes or generates the key of ctl->identity, stores it and hands it out. */
enum kms_exit kms_ctl_key_add(const struct kms_ctl *ctl, const struct kms_ctl_kind *k);

/* kms_ctl_json prints s as a JSON string. */
void kms_ctl_json(const char *s);

/* kms_ctl_fail prints the text of a store's failure; returns the exit code. */
enum kms_exit kms_ctl_fail(const struct kms_store_err *err);

/* kms_ctl_misuse prints what is wrong with the command; returns the exit code. */
enum kms_exit kms_ctl_misuse(const char *why);

#endif
