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

enum kms_exit
kms_ctl_user_add(const struct kms_ctl *ctl)
{
    static const struct kms_ctl_kind psk = { KMS_PSK, "credential", "-", store_psk };

    return kms_ctl_key_add(ctl, &psk);
}

struct listing {
    bool json;
    size_t n;
};

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
        kms_ctl_json(u->psk_id);
        printf(", \"suite\": %d, \"added\": \"%s\"}", u->psk_len == 16 ? 128 : 256, added);
    } else {
        if (l->n == 0)
            printf("%-32s %-24s %-5s %s\n", "IDENTITY", "PSK-ID", "SUITE", "ADDED");
        printf("%-32s %-24s %-5d %s\n", u->identity, u->psk_id, u->psk_len == 16 ? 128 : 256,
               added);
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
    unsigned removed = 0;
    enum kms_store_rc rc =
        ctl->store->ops->user_remove(ctl->store, ctl->identity, ctl->key_id, &removed, &err);

    if (rc == KMS_STORE_NOT_FOUND) {
        fprintf(stderr, "mikey-kmsctl: %s has no %scredential%s%s: see user list\n", ctl->identity,
                ctl->key_id != NULL ? "such " : "", ctl->key_id != NULL ? " " : "",
                ctl->key_id != NULL ? ctl->key_id : "");
        return KMS_EXIT_STORE;
    }
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    printf("removed %u credential%s of %s\n", removed, removed == 1 ? "" : "s", ctl->identity);
    return KMS_EXIT_OK;
}
