/* SPDX-License-Identifier: Apache-2.0 */
/* From the store to the vault: the generations of the store key. */
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
