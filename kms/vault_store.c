/* SPDX-License-Identifier: Apache-2.0 */
/* Between the store and the vault: the generations of the store key. */
#include "vault.h"

#define WRAPS_MAX 64

struct wraps {
    struct kms_wrap at[WRAPS_MAX];
    size_t n;
};

static bool
take_wrap(void *ctx, const struct kms_wrap *w)
{
    struct wraps *x = ctx;

    if (x->n == WRAPS_MAX)
        return false;
    x->at[x->n++] = *w;
    return true;
}

enum kms_store_rc
kms_vault_refresh(struct kms_vault *v, struct kms_store *s, struct kms_store_err *err)
{
    struct wraps x = { .n = 0 };
    const struct kms_sink sink = { .wrap = take_wrap, .ctx = &x };
    char why[KMS_KEK_ERR];
    enum kms_store_rc rc = s->ops->read(s, &sink, false, err);

    if (rc == KMS_STORE_OK && !v->ops->admit(v, x.at, x.n, why))
        rc = kms_store_fail(err, KMS_STORE_FAILED, "%s", why);
    return rc;
}

static bool
any_user(void *ctx, const struct kms_user *u)
{
    *(bool *)ctx = *(bool *)ctx || u->psk_id != NULL;
    return !*(bool *)ctx;
}

static bool
any_tpk(void *ctx, const struct kms_tpk *t)
{
    (void)t;
    *(bool *)ctx = true;
    return false;
}

static bool
any_kept(void *ctx, const struct kms_kept *k)
{
    (void)k;
    *(bool *)ctx = true;
    return false;
}

static bool
any_wrap(void *ctx, const struct kms_wrap *w)
{
    (void)w;
    *(bool *)ctx = true;
    return false;
}

enum kms_store_rc
kms_vault_fresh(struct kms_store *s, bool *fresh, struct kms_store_err *err)
{
    bool any = false;
    const struct kms_sink sink = {
        .wrap = any_wrap, .user = any_user, .tpk = any_tpk, .kept = any_kept, .ctx = &any
    };
    enum kms_store_rc rc = s->ops->read(s, &sink, false, err);

    *fresh = rc == KMS_STORE_OK && !any;
    return any ? KMS_STORE_OK : rc; /* the first one stops the reading */
}

enum kms_store_rc
kms_vault_found(struct kms_vault *v, struct kms_store *s, struct kms_store_err *err)
{
    struct kms_wrap wrap;
    enum kms_store_rc rc;

    if (!v->ops->found(v, &wrap))
        return kms_store_fail(err, KMS_STORE_FAILED, "the KEK cannot wrap a key");
    rc = s->ops->kek_add(s, &wrap, 1, err);
    return rc == KMS_STORE_EXISTS ? KMS_STORE_OK : rc; /* another program was faster */
}
