/* SPDX-License-Identifier: Apache-2.0 */
/* user add, user list, user remove. */
#include <stdio.h>

#include "kmsctl.h"

static enum kms_store_rc
store_psk(struct kms_store *s, const struct kms_keyfile *k, const struct kms_sealed *key,
          struct kms_store_err *err)
{
    const struct kms_user user = { .identity = k->identity, .psk_id = k->id, .psk = *key };

    return s->ops->user_add(s, &user, err);
}

/* Who has no PSK cannot ask with one, not even with the wrong one: there is nothing to match. */
static enum kms_exit
add_unkeyed(const struct kms_ctl *ctl)
{
    const struct kms_user user = { .identity = ctl->identity };
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc;

    if (ctl->key_id != NULL || ctl->key_hex != NULL || ctl->key_out != NULL || ctl->suite != NULL)
        return kms_ctl_misuse("--no-psk goes without --psk-id, --psk-hex, --psk-out and --suite");
    if (kms_identity_of(ctl->identity).data.p == NULL)
        return kms_ctl_misuse(KMS_CTL_IDENTITY);
    rc = ctl->store->ops->user_add(ctl->store, &user, &err);
    if (rc == KMS_STORE_EXISTS) {
        fprintf(stderr, "mikey-kmsctl: %s is a user without PSK already\n", ctl->identity);
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

    if (ctl->no_psk)
        return add_unkeyed(ctl);
    return kms_ctl_key_add(ctl, &psk);
}

struct listing {
    bool json;
    size_t n;
};

static const char *
suite_word(const struct kms_user *u, const char *none)
{
    return u->psk_id == NULL ? none : u->psk_len == 16 ? "128" : "256";
}

static bool
print_user(void *ctx, const struct kms_user *u)
{
    struct listing *l = ctx;
    char added[32];

    kms_ctl_time(u->added, added);
    if (l->json) {
        printf("%s\n  {\"identity\": ", l->n == 0 ? "" : ",");
        kms_ctl_json(u->identity);
        printf(", \"psk-id\": ");
        if (u->psk_id != NULL)
            kms_ctl_json(u->psk_id);
        else
            printf("null");
        printf(", \"suite\": %s, \"added\": \"%s\"}", suite_word(u, "null"), added);
    } else {
        if (l->n == 0)
            printf("%-32s %-24s %-5s %s\n", "IDENTITY", "PSK-ID", "SUITE", "ADDED");
        printf("%-32s %-24s %-5s %s\n", u->identity, u->psk_id != NULL ? u->psk_id : "-",
               suite_word(u, "-"), added);
    }
    l->n++;
    return true;
}

enum kms_exit
kms_ctl_user_list(const struct kms_ctl *ctl)
{
    struct listing l = { ctl->json, 0 };
    struct kms_sink sink = { .user = print_user, .ctx = &l };
    struct kms_store_err err = { 0 };

    if (ctl->json)
        printf("[");
    if (ctl->store->ops->read(ctl->store, &sink, false, &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json)
        printf("%s]\n", l.n == 0 ? "" : "\n");
    else if (l.n == 0)
        printf("No users yet. Add one with: mikey-kmsctl --config FILE user add IDENTITY\n");
    return KMS_EXIT_OK;
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
    if (removed.unkeyed)
        printf("removed %s, a user without PSK\n", ctl->identity);
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
