/* SPDX-License-Identifier: Apache-2.0 */
/* user add, remove, suspend, resume, expire, alias-add, alias-remove. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kmsctl.h"

/* The user of --realm and --expires; NULL, or what is wrong with it. */
static const char *
take_user(struct kms_user *user, const struct kms_ctl *ctl)
{
    *user = (struct kms_user){ .identity = ctl->identity, .realm = ctl->realm };
    if (ctl->expires != NULL && !kms_ctl_instant(ctl->expires, &user->expires))
        return KMS_CTL_INSTANT;
    return NULL;
}

static enum kms_store_rc
store_psk(const struct kms_ctl *ctl, const struct kms_keyfile *k, const struct kms_sealed *key,
          struct kms_store_err *err)
{
    struct kms_user user;

    if (take_user(&user, ctl) != NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, KMS_CTL_INSTANT);
    user.psk_id = k->id;
    user.psk = *key;
    return ctl->store->ops->user_add(ctl->store, &user, err);
}

/* Who has no PSK cannot ask with one, not even with the wrong one: there is nothing to match. */
static enum kms_exit
add_unkeyed(const struct kms_ctl *ctl)
{
    struct kms_user user;
    struct kms_store_err err = { 0 };
    const char *wrong = take_user(&user, ctl);
    enum kms_store_rc rc;

    if (ctl->key_id != NULL || ctl->key_hex != NULL || ctl->key_out != NULL || ctl->suite != NULL)
        wrong = "--no-psk goes without --psk-id, --psk-hex, --psk-out and --suite";
    if (kms_identity_of(ctl->identity).data.p == NULL)
        wrong = KMS_CTL_IDENTITY;
    if (wrong != NULL)
        return kms_ctl_misuse(wrong);
    rc = ctl->store->ops->user_add(ctl->store, &user, &err);
    if (rc == KMS_STORE_SAME) {
        fprintf(stderr, "mikey-kmsctl: %s is a user already\n", ctl->identity);
        return KMS_EXIT_STORE;
    }
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    printf("added %s, without PSK: it signs its requests\n", ctl->identity);
    if (ctl->config->certificate.n == 0)
        puts("The configuration has no certificate yet: signed requests are not served.");
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_user_add(const struct kms_ctl *ctl)
{
    static const struct kms_ctl_kind psk = { KMS_PSK, "credential", "-", store_psk };
    int64_t at;

    if (ctl->expires != NULL && !kms_ctl_instant(ctl->expires, &at))
        return kms_ctl_misuse(KMS_CTL_INSTANT);
    return ctl->no_psk ? add_unkeyed(ctl) : kms_ctl_key_add(ctl, &psk);
}

enum kms_exit
kms_ctl_user_remove(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    struct kms_removed removed;
    enum kms_store_rc rc =
        ctl->store->ops->user_remove(ctl->store, ctl->identity, ctl->key_id, &removed, &err);

    if (rc == KMS_STORE_NOT_FOUND) {
        fprintf(stderr, "mikey-kmsctl: %s %s%s: see user list\n", ctl->identity,
                ctl->key_id != NULL ? "has no such credential " : "is no user",
                ctl->key_id != NULL ? ctl->key_id : "");
        return KMS_EXIT_STORE;
    }
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (removed.credentials > 0)
        printf("removed %u credential%s of %s\n", removed.credentials,
               removed.credentials == 1 ? "" : "s", ctl->identity);
    if (removed.user && removed.credentials == 0)
        printf("removed %s, a user without PSK\n", ctl->identity);
    else if (!removed.user)
        printf("%s stays a user: user remove without --psk-id removes it\n", ctl->identity);
    if (removed.tpks > 0)
        printf("removed %u ticket protection key%s shared with %s: the KMS resolves no ticket made "
               "with %s any more\n",
               removed.tpks, removed.tpks == 1 ? "" : "s", ctl->identity,
               removed.tpks == 1 ? "it" : "them");
    if (removed.kept > 0)
        printf("revoked %u reference ticket%s of %s\n", removed.kept, removed.kept == 1 ? "" : "s",
               ctl->identity);
    return KMS_EXIT_OK;
}

/* One change of a user; `done` says what was done. */
static enum kms_exit
change(const struct kms_ctl *ctl, const struct kms_user_change *c, const char *done)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = ctl->store->ops->user_change(ctl->store, ctl->identity, c, &err);

    if (rc != KMS_STORE_OK && rc != KMS_STORE_SAME)
        return kms_ctl_fail(&err);
    printf("%s: %s%s\n", ctl->identity, done, rc == KMS_STORE_SAME ? ", as before" : "");
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_user_suspend(const struct kms_ctl *ctl)
{
    static const bool yes = true;
    const struct kms_user_change c = { .suspended = &yes };

    return change(ctl, &c, "suspended");
}

enum kms_exit
kms_ctl_user_resume(const struct kms_ctl *ctl)
{
    static const bool no = false;
    const struct kms_user_change c = { .suspended = &no };

    return change(ctl, &c, "not suspended");
}

enum kms_exit
kms_ctl_user_expire(const struct kms_ctl *ctl)
{
    int64_t at;
    const struct kms_user_change c = { .expires = &at };
    char done[64], when[32];

    if (!kms_ctl_instant(ctl->second, &at))
        return kms_ctl_misuse(KMS_CTL_INSTANT);
    kms_ctl_time(at, when);
    snprintf(done, sizeof done, "%s%s", at == 0 ? "does not expire" : "expires ",
             at == 0 ? "" : when);
    return change(ctl, &c, done);
}

enum kms_exit
kms_ctl_alias_add(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc;

    if (kms_identity_of(ctl->second).data.p == NULL)
        return kms_ctl_misuse(KMS_CTL_IDENTITY);
    rc = ctl->store->ops->alias_add(ctl->store, ctl->identity, ctl->second, &err);
    if (rc != KMS_STORE_OK && rc != KMS_STORE_SAME)
        return kms_ctl_fail(&err);
    printf("%s is %s too%s\n", ctl->identity, ctl->second,
           rc == KMS_STORE_SAME ? ", as before" : "");
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_alias_remove(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };

    if (ctl->store->ops->alias_remove(ctl->store, ctl->identity, &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    printf("removed the alias %s\n", ctl->identity);
    return KMS_EXIT_OK;
}
