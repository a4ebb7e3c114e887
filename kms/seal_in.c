/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed twice, a key is other octets each time: whether one is there already is asked of the PRF,
 * since no key comes out of a vault. */
#include "seal_in.h"

#include <string.h>

#include <mikeyticket/alg.h>
#include <mikeyticket/env.h>

#define TRIES 16 /* of sealing, while somebody rotates the KEK */

/* The key that is to be added, for the case that there is one of that name. */
struct wanted {
    struct kms_same same; /* first member */
    struct kms_vault *vault;
    size_t slot;
    struct kms_locker locker;
    const struct mkt_secret *key;
};

static bool
derive(const struct mkt_inkey *k, uint8_t out[32])
{
    static const char label[] = "mikey-kms: the same key";
    const struct mkt_derive d = { mkt_span(label, sizeof label - 1), out, 32 };
    struct mkt_crypto *c = mkt_crypto_new();
    bool ok = c != NULL && k->prf(k, c, MKT_PRF_HMAC_SHA_256, &d, 1);

    mkt_crypto_free(c);
    return ok;
}

static bool
is_wanted(const struct kms_same *same, const struct kms_sealed *there)
{
    const struct wanted *w = (const struct wanted *)(const void *)same;
    struct kms_locker l = w->locker;
    struct mkt_inkey_mem given;
    struct kms_inkey stored;
    uint8_t a[32], b[32];
    bool is;

    l.key = *there;
    if (kms_sealed_len(there) != w->key->n ||
        mkt_inkey_mem_init(&given, mkt_secret_span(w->key)) != MKT_OK)
        return false;
    is = kms_inkey_init(&stored, w->vault, w->slot, &l) && derive(&given.base, a) &&
         derive(&stored.base, b) && mkt_ct_equal(mkt_span(a, sizeof a), mkt_span(b, sizeof b));
    mkt_inkey_mem_wipe(&given);
    mkt_wipe(a, sizeof a);
    mkt_wipe(b, sizeof b);
    return is;
}

static enum kms_store_rc
seal(struct kms_vault *v, struct kms_locker *l, const struct mkt_secret *key,
     uint8_t buf[KMS_ROW_MAX], struct kms_store_err *err)
{
    return v->ops->seal(v, l, mkt_secret_span(key), buf)
               ? KMS_STORE_OK
               : kms_store_fail(err, KMS_STORE_FAILED, "the key cannot be sealed");
}

enum kms_store_rc
kms_seal_user(struct kms_store *s, struct kms_vault *v, size_t slot, struct kms_user *user,
              const struct mkt_secret *key, struct kms_store_err *err)
{
    struct wanted w = { .same = { is_wanted }, .vault = v, .slot = slot, .key = key };
    enum kms_store_rc rc = KMS_STORE_STALE;
    uint8_t buf[KMS_ROW_MAX];

    w.locker = (struct kms_locker){ .kind = KMS_PSK,
                                    .owner = mkt_span(user->identity, strlen(user->identity)),
                                    .id = mkt_span(user->psk_id, strlen(user->psk_id)) };
    for (int i = 0; i < TRIES && rc == KMS_STORE_STALE; i++) {
        rc = i == 0 ? KMS_STORE_OK : kms_vault_refresh(v, s, err);
        if (rc == KMS_STORE_OK)
            rc = seal(v, &w.locker, key, buf, err);
        user->psk = w.locker.key;
        user->same = &w.same;
        if (rc == KMS_STORE_OK)
            rc = s->ops->user_add(s, user, err);
    }
    user->same = NULL;
    mkt_wipe(buf, sizeof buf);
    return rc;
}

enum kms_store_rc
kms_seal_tpk(struct kms_store *s, struct kms_vault *v, struct kms_tpk *tpk,
             const struct mkt_secret *key, struct kms_store_err *err)
{
    enum kms_store_rc rc = KMS_STORE_STALE;
    uint8_t buf[KMS_ROW_MAX];

    for (int i = 0; i < TRIES && rc == KMS_STORE_STALE; i++) {
        struct kms_locker l = { .kind = KMS_TPK,
                                .owner = mkt_span(tpk->owner, strlen(tpk->owner)),
                                .id = mkt_span(tpk->id, strlen(tpk->id)) };

        rc = i == 0 ? KMS_STORE_OK : kms_vault_refresh(v, s, err);
        if (rc == KMS_STORE_OK)
            rc = seal(v, &l, key, buf, err);
        tpk->key = l.key;
        if (rc == KMS_STORE_OK)
            rc = s->ops->tpk_share(s, tpk, err);
    }
    mkt_wipe(buf, sizeof buf);
    return rc;
}
