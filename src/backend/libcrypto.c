/* SPDX-License-Identifier: Apache-2.0 */
/* Symmetric cryptography on libcrypto; rsa.c and pki.c are its neighbours, and no other file of the
 * library includes <openssl/...>. Everything that can be looked up is
 * looked up once, in mkt_crypto_new: a fetch costs more than the HMAC it is for. HMAC is made of
 * three digest contexts: `inner` and `outer` have swallowed the padded key, `work` starts as a copy
 * of one or the other, and the last HMAC of a key uses up the two themselves. That measured a third
 * faster than EVP_MAC with a re-init and half of EVP_MAC with a new key; the deprecated SHA1_*()
 * calls would save another 0.07 us (bench/). Key material does not stay: mkt_be_hmac_forget and the
 * cipher functions leave contexts as good as new. */
#include "backend/backend.h"

#include "backend/kat.h"
#include "backend/pk.h"
#include <mikeyticket/secret.h>

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define HMAC_BLOCK 64 /* octets: the input block of SHA-1 and SHA-256 alike */
#define KW_BLOCK 8    /* octets: RFC 3394 works on 64-bit halves */

struct hmac {
    EVP_MD *md;
    EVP_MD_CTX *blank; /* initialised, never fed: what a forgotten key leaves */
    EVP_MD_CTX *inner, *outer, *work;
    size_t len; /* octets of a digest */
    bool keyed; /* inner and outer hold a key */
    bool fresh; /* inner and outer are as blank */
    bool clean; /* work is */
};

struct mkt_crypto {
    struct hmac sha1, sha256;
    EVP_CIPHER *ctr128, *ctr256, *wrap128;
    EVP_CIPHER_CTX *cipher;
};

/* --- life ----------------------------------------------------------------------------------- */

static bool
hmac_open(struct hmac *h, const char *digest, size_t len)
{
    h->md = EVP_MD_fetch(NULL, digest, NULL);
    h->blank = EVP_MD_CTX_new();
    h->inner = EVP_MD_CTX_new();
    h->outer = EVP_MD_CTX_new();
    h->work = EVP_MD_CTX_new();
    h->len = len;
    return h->md != NULL && h->blank != NULL && h->inner != NULL && h->outer != NULL &&
           h->work != NULL && (size_t)EVP_MD_get_size(h->md) == len &&
           EVP_DigestInit_ex2(h->blank, h->md, NULL) == 1;
}

static void
hmac_close(struct hmac *h)
{
    EVP_MD_CTX_free(h->work);
    EVP_MD_CTX_free(h->outer);
    EVP_MD_CTX_free(h->inner);
    EVP_MD_CTX_free(h->blank);
    EVP_MD_free(h->md);
}

struct mkt_crypto *
mkt_crypto_new(void)
{
    struct mkt_crypto *c = mkt_be_alloc(sizeof *c);
    if (c == NULL)
        return NULL;
    c->ctr128 = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    c->ctr256 = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    c->wrap128 = EVP_CIPHER_fetch(NULL, "AES-128-WRAP", NULL);
    c->cipher = EVP_CIPHER_CTX_new();
    bool ok = hmac_open(&c->sha1, "SHA1", 20);
    ok = hmac_open(&c->sha256, "SHA256", 32) && ok;
    if (ok && c->ctr128 != NULL && c->ctr256 != NULL && c->wrap128 != NULL && c->cipher != NULL)
        return c;
    mkt_crypto_free(c);
    return NULL;
}

void
mkt_crypto_free(struct mkt_crypto *c)
{
    if (c == NULL)
        return;
    EVP_CIPHER_CTX_free(c->cipher);
    EVP_CIPHER_free(c->wrap128);
    EVP_CIPHER_free(c->ctr256);
    EVP_CIPHER_free(c->ctr128);
    hmac_close(&c->sha256);
    hmac_close(&c->sha1);
    mkt_be_free(c, sizeof *c);
}

void *
mkt_be_alloc(size_t n)
{
    return OPENSSL_zalloc(n);
}

void *
mkt_be_alloc_head(size_t n, size_t head)
{
    void *p = OPENSSL_malloc(n);
    return p != NULL ? memset(p, 0, head) : NULL;
}

void
mkt_be_free(void *p, size_t n)
{
    OPENSSL_clear_free(p, n);
}

/* --- HMAC (RFC 2104) ------------------------------------------------------------------------ */

static struct hmac *
hmac_of(struct mkt_crypto *c, uint8_t mac_alg)
{
    return mac_alg == MKT_MAC_HMAC_SHA_1_160     ? &c->sha1
           : mac_alg == MKT_MAC_HMAC_SHA_256_256 ? &c->sha256
                                                 : NULL;
}

/* Without memory for a copy the context is emptied instead, which wipes it as well. */
static bool
make_blank(const struct hmac *h, EVP_MD_CTX *ctx)
{
    if (EVP_MD_CTX_copy_ex(ctx, h->blank) == 1)
        return true;
    EVP_MD_CTX_reset(ctx);
    return false;
}

static bool
hmac_freshen(struct hmac *h)
{
    if (!h->fresh) {
        h->fresh = make_blank(h, h->inner);
        h->fresh = make_blank(h, h->outer) && h->fresh;
    }
    h->clean = h->clean || make_blank(h, h->work);
    h->keyed = false;
    return h->fresh && h->clean;
}

void
mkt_be_hmac_forget(struct mkt_crypto *c, uint8_t mac_alg)
{
    struct hmac *h = hmac_of(c, mac_alg);
    if (h != NULL)
        (void)hmac_freshen(h); /* a failure shows when the next key is set */
}

static bool
swallow(EVP_MD_CTX *ctx, const struct mkt_span *part, size_t n, uint8_t *digest)
{
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = part[i].n == 0 || EVP_DigestUpdate(ctx, part[i].p, part[i].n) == 1;
    return ok && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
}

static bool
pad_into(EVP_MD_CTX *ctx, uint8_t block[HMAC_BLOCK], uint8_t flip)
{
    for (size_t i = 0; i < HMAC_BLOCK; i++)
        block[i] ^= flip;
    return EVP_DigestUpdate(ctx, block, HMAC_BLOCK) == 1;
}

bool
mkt_be_hmac_key(struct mkt_crypto *c, uint8_t mac_alg, struct mkt_span key)
{
    struct hmac *h = hmac_of(c, mac_alg);
    uint8_t block[HMAC_BLOCK] = { 0 };
    if (h == NULL || !hmac_freshen(h))
        return false;

    bool ok = true;
    if (key.n > HMAC_BLOCK) {
        h->clean = false;
        ok = swallow(h->work, &key, 1, block);
    } else if (key.n != 0)
        memcpy(block, key.p, key.n);

    h->fresh = false;
    h->keyed = ok && pad_into(h->inner, block, 0x36) && pad_into(h->outer, block, 0x36 ^ 0x5c);
    mkt_wipe(block, sizeof block);
    return h->keyed;
}

bool
mkt_be_hmac(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part, size_t n,
            uint8_t *out)
{
    struct hmac *h = hmac_of(c, mac_alg);
    if (h == NULL || !h->keyed)
        return false;
    const struct mkt_span inside = mkt_span(out, h->len);
    h->clean = false;
    return EVP_MD_CTX_copy_ex(h->work, h->inner) == 1 && swallow(h->work, part, n, out) &&
           EVP_MD_CTX_copy_ex(h->work, h->outer) == 1 && swallow(h->work, &inside, 1, out);
}

bool
mkt_be_hmac_last(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part, size_t n,
                 uint8_t *out)
{
    struct hmac *h = hmac_of(c, mac_alg);
    if (h == NULL || !h->keyed)
        return false;
    const struct mkt_span inside = mkt_span(out, h->len);
    bool ok = swallow(h->inner, part, n, out) && swallow(h->outer, &inside, 1, out);
    (void)hmac_freshen(h); /* as above */
    return ok;
}

/* --- digests -------------------------------------------------------------------------------- */

/* Runs in the work context of the HMAC, which is left as good as new. */
bool
mkt_be_hash(struct mkt_crypto *c, uint8_t hash, const struct mkt_span *part, size_t n, uint8_t *out)
{
    struct hmac *h = hash == MKT_HASH_SHA_1     ? &c->sha1
                     : hash == MKT_HASH_SHA_256 ? &c->sha256
                                                : NULL;
    if (h == NULL)
        return false;
    bool ok = (h->clean || make_blank(h, h->work)) && swallow(h->work, part, n, out);
    h->clean = make_blank(h, h->work);
    return ok && h->clean;
}

bool
mkt_crypto_sha256(struct mkt_crypto *c, const struct mkt_span *part, size_t n, uint8_t *out)
{
    return mkt_be_hash(c, MKT_HASH_SHA_256, part, n, out);
}

/* --- AES ------------------------------------------------------------------------------------ */

/* The reset frees the key schedule through OPENSSL_clear_free: no key stays behind. */
static bool
cipher_run(struct mkt_crypto *c, const EVP_CIPHER *alg, struct mkt_span key, const uint8_t *iv,
           int encrypt, struct mkt_span in, uint8_t *out, size_t out_len)
{
    int n = 0;
    if (in.n > INT_MAX || key.n != (size_t)EVP_CIPHER_get_key_length(alg))
        return false;
    EVP_CIPHER_CTX_set_flags(c->cipher, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool ok = EVP_CipherInit_ex2(c->cipher, alg, key.p, iv, encrypt, NULL) == 1 &&
              /* GCOV_EXCL_BR_LINE: CTR and key wrap have lengths of their own */
              EVP_CipherUpdate(c->cipher, out, &n, in.p, (int)in.n) == 1 && (size_t)n == out_len;
    EVP_CIPHER_CTX_reset(c->cipher);
    return ok;
}

bool
mkt_be_aes_ctr(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[16], struct mkt_span in,
               uint8_t *out)
{
    const EVP_CIPHER *alg = key.n == 16 ? c->ctr128 : c->ctr256;
    if (in.n == 0)
        return key.n == 16 || key.n == 32;
    return cipher_run(c, alg, key, iv, 1, in, out, in.n);
}

bool
mkt_be_kw_wrap(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[8], struct mkt_span in,
               uint8_t *out)
{
    if (in.n % KW_BLOCK != 0 || in.n < 2 * KW_BLOCK)
        return false;
    return cipher_run(c, c->wrap128, key, iv, 1, in, out, in.n + KW_BLOCK);
}

bool
mkt_be_kw_unwrap(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[8], struct mkt_span in,
                 uint8_t *out)
{
    if (in.n % KW_BLOCK != 0 || in.n < 3 * KW_BLOCK)
        return false;
    return cipher_run(c, c->wrap128, key, iv, 0, in, out, in.n - KW_BLOCK);
}

/* --- random and known answers --------------------------------------------------------------- */

bool
mkt_crypto_random(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    return n <= INT_MAX && RAND_priv_bytes(out, (int)n) == 1;
}

static bool
hmac_kat(struct mkt_crypto *c, const struct hmac_kat *k)
{
    uint8_t out[MKT_MAC_MAX];
    /* In two parts, so that the joining is proven as well. */
    const struct mkt_span part[] = { mkt_span(k->msg, k->msg_len / 2),
                                     mkt_span(k->msg + k->msg_len / 2,
                                              k->msg_len - k->msg_len / 2) };
    size_t len = (size_t)mkt_mac_len(k->mac_alg);
    bool ok = mkt_be_hmac_key(c, k->mac_alg, mkt_span(k->key, k->key_len)) &&
              mkt_be_hmac(c, k->mac_alg, part, 2, out) && memcmp(out, k->mac, len) == 0;
    mkt_be_hmac_forget(c, k->mac_alg);
    return ok;
}

static bool
aes_kat(struct mkt_crypto *c, const struct aes_kat *k)
{
    uint8_t out[KAT_AES_MAX], back[KAT_AES_MAX];
    const struct mkt_span key = mkt_span(k->key, k->key_len);
    const struct mkt_span in = mkt_span(k->in, k->in_len);
    if (!k->wrap)
        return mkt_be_aes_ctr(c, key, k->iv, in, out) && memcmp(out, k->out, k->in_len) == 0;
    if (!mkt_be_kw_wrap(c, key, k->iv, in, out) || memcmp(out, k->out, k->in_len + KW_BLOCK) != 0)
        return false;
    bool ok = mkt_be_kw_unwrap(c, key, k->iv, mkt_span(out, k->in_len + KW_BLOCK), back) &&
              memcmp(back, k->in, k->in_len) == 0;
    out[0] ^= 1; /* and a damaged one must not come back */
    return ok && !mkt_be_kw_unwrap(c, key, k->iv, mkt_span(out, k->in_len + KW_BLOCK), back);
}

bool
mkt_crypto_selftest(struct mkt_crypto *c)
{
    for (size_t i = 0; i < sizeof hmac_kats / sizeof hmac_kats[0]; i++) {
        if (!hmac_kat(c, &hmac_kats[i]))
            return false;
    }
    for (size_t i = 0; i < sizeof aes_kats / sizeof aes_kats[0]; i++) {
        if (!aes_kat(c, &aes_kats[i]))
            return false;
    }
    return true;
}
