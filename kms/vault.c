/* SPDX-License-Identifier: Apache-2.0 */
/* What both forms of the vault share: the name that a sealed key is bound to, and the handle. */
#include "vault.h"

#include <string.h>

#define KEY_MIN 16 /* octets: RFC 6043 12.1 */

/* Lengths stand before the texts, so that no two names are the same octets. */
struct mkt_span
kms_locker_name(uint8_t buf[KMS_LOCKER_NAME], const struct kms_locker *l)
{
    uint8_t *p = buf;

    if (l->owner.n + l->id.n + 16 > KMS_LOCKER_NAME)
        return mkt_span(NULL, 0);
    *p++ = 1; /* format */
    *p++ = (uint8_t)l->kind;
    for (int i = 24; i >= 0; i -= 8)
        *p++ = (uint8_t)(l->key.kek >> i);
    for (int i = 0; i < 2; i++) {
        struct mkt_span s = i == 0 ? l->owner : l->id;

        *p++ = (uint8_t)(s.n >> 8);
        *p++ = (uint8_t)s.n;
        if (s.n > 0)
            memcpy(p, s.p, s.n);
        p += s.n;
    }
    return mkt_span(buf, (size_t)(p - buf));
}

static bool
vault_prf(const struct mkt_inkey *inkey, struct mkt_crypto *c, uint8_t prf_func,
          const struct mkt_derive *d, size_t n)
{
    const struct kms_inkey *k = (const struct kms_inkey *)inkey;

    return k->vault->ops->prf(k->vault, k->slot, &k->locker, c, prf_func, d, n);
}

bool
kms_inkey_init(struct kms_inkey *k, struct kms_vault *v, size_t slot, const struct kms_locker *l)
{
    size_t len = kms_sealed_len(&l->key);

    *k = (struct kms_inkey){ { (uint16_t)len, vault_prf }, v, slot, *l };
    return len >= KEY_MIN && len <= MKT_SECRET_MAX;
}

void
kms_vault_close(struct kms_vault *v)
{
    if (v != NULL)
        v->ops->close(v);
}
