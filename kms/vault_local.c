/* SPDX-License-Identifier: Apache-2.0 */
/* The vault in this process: the generations of the store key in locked memory. A row is opened for
 * one derivation and wiped after it. Generations are only ever added, under the lock, so that
 * others may look at any time. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "locked.h"
#include "vault.h"

#define GENERATIONS_MAX 64 /* opened by one process */

struct generation {
    uint32_t number;
    uint8_t key[KMS_SEAL_KEY];
};

struct local {
    struct kms_vault base; /* first member */
    struct kms_kek *kek;
    _Atomic size_t n;
    struct generation at[GENERATIONS_MAX];
    size_t n_slots;
    pthread_mutex_t lock;         /* of the KEK, of adding a generation, of the last sealer */
    struct kms_sealer *sealers[]; /* one for each slot, then one for everything else */
};

static struct local *
self(struct kms_vault *v)
{
    return (struct local *)(void *)v;
}

static size_t
octets(size_t n_slots)
{
    return sizeof(struct local) + (n_slots + 1) * sizeof(struct kms_sealer *);
}

const uint8_t *
kms_local_key(struct kms_vault *v, uint32_t generation)
{
    struct local *x = self(v);
    size_t n = atomic_load_explicit(&x->n, memory_order_acquire);

    for (size_t i = n; i-- > 0;)
        if (x->at[i].number == generation)
            return x->at[i].key;
    return NULL;
}

struct kms_kek *
kms_local_kek(struct kms_vault *v)
{
    return self(v)->kek;
}

static uint32_t
newest(struct local *x)
{
    size_t n = atomic_load_explicit(&x->n, memory_order_acquire);
    uint32_t best = 0;

    for (size_t i = 0; i < n; i++)
        best = x->at[i].number > best ? x->at[i].number : best;
    return best;
}

bool
kms_local_admit_key(struct kms_vault *v, uint32_t generation, const uint8_t key[KMS_SEAL_KEY])
{
    struct local *x = self(v);
    size_t n = atomic_load(&x->n);

    if (n == GENERATIONS_MAX)
        return false;
    x->at[n].number = generation;
    memcpy(x->at[n].key, key, KMS_SEAL_KEY);
    atomic_store_explicit(&x->n, n + 1, memory_order_release);
    return true;
}

/* Any wrap of the generation will do: during a rotation there is one for the old KEK, and one for
 * the new. */
static bool
open_generation(struct local *x, uint32_t generation, const struct kms_wrap *wraps, size_t n,
                char err[KMS_KEK_ERR])
{
    uint8_t key[KMS_SEAL_KEY];
    bool ok = false;

    for (size_t i = 0; !ok && i < n; i++)
        ok = wraps[i].generation == generation && kms_kek_unwrap(x->kek, &wraps[i], key);
    if (!ok) {
        snprintf(err, KMS_KEK_ERR,
                 "the KEK of the configuration does not open generation %u of the store key: it is "
                 "another KEK, or the store was changed",
                 generation);
    } else if (!kms_local_admit_key(&x->base, generation, key)) {
        snprintf(err, KMS_KEK_ERR, "too many rotations since the start: restart");
        ok = false;
    }
    mkt_wipe(key, sizeof key);
    return ok;
}

static bool
admit(struct local *x, const struct kms_wrap *wraps, size_t n, char err[KMS_KEK_ERR])
{
    if (n > 0 && x->kek == NULL) {
        snprintf(err, KMS_KEK_ERR,
                 "the keys in the store are wrapped, and the configuration names "
                 "no \"kek\"");
        return false;
    }
    if (n == 0 && x->kek != NULL) {
        snprintf(err, KMS_KEK_ERR,
                 "the configuration names a \"kek\", but the keys in the store "
                 "are not wrapped: run mikey-kmsctl kek init");
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (kms_local_key(&x->base, wraps[i].generation) == NULL &&
            !open_generation(x, wraps[i].generation, wraps, n, err))
            return false;
    return true;
}

static bool
local_admit(struct kms_vault *v, const struct kms_wrap *wraps, size_t n, char err[KMS_KEK_ERR])
{
    struct local *x = self(v);
    bool ok;

    pthread_mutex_lock(&x->lock);
    ok = admit(x, wraps, n, err);
    pthread_mutex_unlock(&x->lock);
    return ok;
}

/* It is not admitted here: another program may be faster, and then the store has another one. */
static bool
local_found(struct kms_vault *v, struct kms_wrap *wrap)
{
    struct local *x = self(v);
    uint8_t key[KMS_SEAL_KEY];
    bool ok = x->kek != NULL && mkt_crypto_random(NULL, key, sizeof key);

    pthread_mutex_lock(&x->lock);
    ok = ok && kms_kek_wrap(x->kek, 1, key, wrap);
    pthread_mutex_unlock(&x->lock);
    mkt_wipe(key, sizeof key);
    return ok;
}

/* Opens the key of l, of at most cap octets. A key in clear counts only where no key is sealed:
 * whoever writes into the store cannot put one of his own beside the others. */
static bool
open_locker(struct local *x, struct kms_sealer *sealer, const struct kms_locker *l, uint8_t *out,
            size_t cap)
{
    const uint8_t *store_key;
    uint8_t buf[KMS_LOCKER_NAME];
    struct mkt_span name;
    size_t n = kms_sealed_len(&l->key);

    if (n == 0 || n > cap)
        return false;
    if (l->key.kek == 0) {
        if (atomic_load(&x->n) != 0 || x->kek != NULL)
            return false;
        memcpy(out, l->key.octets.p, n);
        return true;
    }
    store_key = kms_local_key(&x->base, l->key.kek);
    name = kms_locker_name(buf, l);
    return store_key != NULL && name.n != 0 &&
           kms_unseal(sealer, store_key, name, l->key.octets, out);
}

static bool
local_prf(struct kms_vault *v, size_t slot, const struct kms_locker *l, struct mkt_crypto *c,
          uint8_t prf_func, const struct mkt_derive *d, size_t n)
{
    struct local *x = self(v);
    struct mkt_inkey_mem inkey;
    MKT_SCOPED_SECRET
    key = { 0 };
    bool ok = slot < x->n_slots && l->kind != KMS_KEPT &&
              open_locker(x, x->sealers[slot], l, key.b, sizeof key.b);

    key.n = (uint16_t)kms_sealed_len(&l->key);
    if (!ok || mkt_inkey_mem_init(&inkey, mkt_secret_span(&key)) != MKT_OK) {
        for (size_t i = 0; i < n; i++)
            mkt_wipe(d[i].out, d[i].out_len);
        return false;
    }
    ok = inkey.base.prf(&inkey.base, c, prf_func, d, n);
    mkt_inkey_mem_wipe(&inkey);
    return ok;
}

static bool
seal(struct local *x, struct kms_locker *l, struct mkt_span key, uint8_t *buf)
{
    uint8_t name_buf[KMS_LOCKER_NAME];
    struct mkt_span name;

    if (key.n > (l->kind == KMS_KEPT ? KMS_KEPT_MAX : MKT_SECRET_MAX))
        return false;
    l->key.kek = newest(x);
    if (l->key.kek == 0) {
        memcpy(buf, key.p, key.n);
        l->key.octets = mkt_span(buf, key.n);
        return x->kek == NULL;
    }
    name = kms_locker_name(name_buf, l);
    l->key.octets = mkt_span(buf, key.n + KMS_SEAL_MORE);
    return name.n != 0 &&
           kms_seal(x->sealers[x->n_slots], kms_local_key(&x->base, l->key.kek), name, key, buf);
}

bool
kms_local_seal(struct kms_vault *v, struct kms_locker *l, struct mkt_span key, uint8_t *buf)
{
    struct local *x = self(v);
    bool ok;

    pthread_mutex_lock(&x->lock);
    ok = seal(x, l, key, buf);
    pthread_mutex_unlock(&x->lock);
    return ok;
}

static bool
open_shared(struct local *x, const struct kms_locker *l, uint8_t *out, size_t cap)
{
    bool ok;

    pthread_mutex_lock(&x->lock);
    ok = open_locker(x, x->sealers[x->n_slots], l, out, cap);
    pthread_mutex_unlock(&x->lock);
    return ok;
}

bool
kms_local_reseal(struct kms_vault *v, struct kms_locker *l, uint8_t buf[KMS_ROW_MAX])
{
    uint8_t plain[KMS_KEPT_MAX];
    size_t n = kms_sealed_len(&l->key);
    bool ok = n <= sizeof plain;

    if (ok && l->key.kek == 0) /* kek init */
        memcpy(plain, l->key.octets.p, n);
    else
        ok = ok && open_shared(self(v), l, plain, sizeof plain);
    ok = ok && kms_local_seal(v, l, mkt_span(plain, n), buf);
    mkt_wipe(plain, sizeof plain);
    return ok;
}

bool
kms_local_holds(struct kms_vault *v, const struct kms_locker *l, struct mkt_span key)
{
    MKT_SCOPED_SECRET
    there = { .n = (uint16_t)kms_sealed_len(&l->key) };

    return open_shared(self(v), l, there.b, sizeof there.b) &&
           mkt_ct_equal(mkt_secret_span(&there), key);
}

bool
kms_local_export(struct kms_vault *v, const struct kms_locker *l, struct mkt_secret *key)
{
    bool ok = l->kind == KMS_TPK && kms_sealed_len(&l->key) <= sizeof key->b &&
              open_shared(self(v), l, key->b, sizeof key->b);

    key->n = ok ? (uint16_t)kms_sealed_len(&l->key) : 0;
    return ok;
}

static bool
local_seal(struct kms_vault *v, struct kms_locker *l, struct mkt_span plain,
           uint8_t buf[KMS_ROW_MAX])
{
    return kms_local_seal(v, l, plain, buf);
}

static bool
local_open_kept(struct kms_vault *v, const struct kms_locker *l, uint8_t out[KMS_KEPT_MAX])
{
    return l->kind == KMS_KEPT && open_shared(self(v), l, out, KMS_KEPT_MAX);
}

static bool
local_make(struct kms_vault *v, struct kms_locker *l, size_t len, uint8_t buf[KMS_SEALED_MAX])
{
    MKT_SCOPED_SECRET
    key = { .n = (uint16_t)len };

    return len <= MKT_SECRET_MAX && mkt_crypto_random(NULL, key.b, len) &&
           kms_local_seal(v, l, mkt_secret_span(&key), buf);
}

static void
local_close(struct kms_vault *v)
{
    struct local *x = self(v);

    for (size_t i = 0; i <= x->n_slots; i++)
        kms_sealer_free(x->sealers[i]);
    kms_kek_close(x->kek);
    pthread_mutex_destroy(&x->lock);
    kms_locked_free(x, octets(x->n_slots));
}

static const struct kms_vault_ops local_ops = { local_admit, local_found,     local_make, local_prf,
                                                local_seal,  local_open_kept, local_close };

struct kms_vault *
kms_vault_local(struct kms_kek *kek, size_t n_slots)
{
    struct local *x = kms_locked_new(octets(n_slots));
    bool ok = x != NULL;

    if (x == NULL) {
        kms_kek_close(kek);
        return NULL;
    }
    x->base.ops = &local_ops;
    x->kek = kek;
    x->n_slots = n_slots;
    pthread_mutex_init(&x->lock, NULL);
    for (size_t i = 0; i <= n_slots; i++) {
        x->sealers[i] = kms_sealer_new();
        ok = ok && x->sealers[i] != NULL;
    }
    if (ok)
        return &x->base;
    local_close(&x->base);
    return NULL;
}
