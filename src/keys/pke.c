/* SPDX-License-Identifier: Apache-2.0 */
/* The envelope key in PKE (RFC 3830 4.2.5, 6.3): RSAES-PKCS1-v1_5 and RSAES-OAEP of RFC 3447 7.
 * Opening decrypts once and then decodes by every padding allowed, without a branch or an address
 * that depends on the result, since whoever can tell a wrong padding can decrypt other people's
 * envelopes. PKCS#1 v1.5 has too little redundancy to fail safely: as draft-irtf-cfrg-rsa-guidance
 * has it, what is not padded well decrypts to another message, fixed for key and ciphertext, of a
 * length between none and the longest possible. The length is then compared with the one envelope
 * keys have. So a refusal says no more than that the length was wrong, and an acceptance, once in
 * some two hundred times, nothing at all. */
#include "keys/pk.h"

#include "backend/backend.h"
#include "base/ct.h"
#include "base/mask.h"
#include <mikeyticket/secret.h>
#include <string.h>

#define PKCS1_PS_MIN 8        /* octets */
#define PKCS1_OVERHEAD 11     /* 00 02 PS 00 */
#define LENGTH_CANDIDATES 128 /* draft-irtf-cfrg-rsa-guidance: enough that one always fits */

/* --- sealing ---------------------------------------------------------------------------------- */

/* n octets none of which is zero: zeros are left out, and what is missing is drawn again. */
static bool
draw_nonzero(const struct mkt_env *env, uint8_t *out, size_t n)
{
    size_t have = 0;

    while (have < n) {
        size_t drawn = n - have, kept = 0;
        if (!env->random(env->ctx, out + have, drawn))
            return false;
        for (size_t i = 0; i < drawn; i++)
            if (out[have + i] != 0)
                out[have + kept++] = out[have + i];
        have += kept;
    }
    return true;
}

/* 00 02 PS 00 key */
static enum mkt_rc
seal_pkcs1(const struct mkt_env *env, struct mkt_span key, uint8_t *em, size_t k)
{
    if (key.n > k - PKCS1_OVERHEAD)
        return MKT_E_ARGUMENT;
    em[0] = 0;
    em[1] = 2;
    if (!draw_nonzero(env, em + 2, k - key.n - 3))
        return MKT_E_RANDOM;
    em[k - key.n - 1] = 0;
    memcpy(em + k - key.n, key.p, key.n);
    return MKT_OK;
}

/* 00 maskedSeed maskedDB, with DB = lHash 00..00 01 key; the label is empty. */
static enum mkt_rc
seal_oaep(const struct mkt_env *env, uint8_t hash, struct mkt_span key, uint8_t *em, size_t k)
{
    size_t h = (size_t)mkt_hash_len(hash), db_len = k - h - 1;
    uint8_t *seed = em + 1, *db = em + 1 + h;

    if (key.n > db_len - h - 1)
        return MKT_E_ARGUMENT;
    memset(em, 0, k);
    if (!env->random(env->ctx, seed, h))
        return MKT_E_RANDOM;
    db[db_len - key.n - 1] = 1;
    memcpy(db + db_len - key.n, key.p, key.n);
    bool ok = mkt_be_hash(env->crypto, hash, NULL, 0, db) &&
              mkt_mgf1_xor(env->crypto, hash, mkt_span(seed, h), db, db_len) &&
              mkt_mgf1_xor(env->crypto, hash, mkt_span(db, db_len), seed, h);
    return ok ? MKT_OK : MKT_E_CRYPTO;
}

enum mkt_rc
mkt_pke_seal(const struct mkt_env *env, const struct mkt_cert *cert, uint8_t padding,
             struct mkt_span key, uint8_t *out)
{
    uint8_t em[MKT_RSA_MAX];
    size_t k = (mkt_be_cert_bits(cert) + 7) / 8;
    enum mkt_rc rc = MKT_E_ARGUMENT;

    if (padding == MKT_PAD_PKCS1)
        rc = seal_pkcs1(env, key, em, k);
    else if (padding == MKT_PAD_OAEP_SHA_1 || padding == MKT_PAD_OAEP_SHA_256)
        rc = seal_oaep(env, padding == MKT_PAD_OAEP_SHA_1 ? MKT_HASH_SHA_1 : MKT_HASH_SHA_256, key,
                       em, k);
    if (rc == MKT_OK && !mkt_be_rsa_public(cert, mkt_span(em, k), out))
        rc = MKT_E_CRYPTO;
    mkt_wipe(em, sizeof em);
    return rc;
}

/* --- opening: no branch on what was decrypted ------------------------------------------------- */

/* A message that may turn out to be the key; good is a mask. */
struct opened {
    uint32_t good;
    uint8_t key[MKT_SECRET_MAX];
};

/* P_0 || P_1 || ..., P_i = HMAC(kdk, i || label || bits), as the HMAC key is set; only from octet
 * `from` on. */
static bool
reject_prf(struct mkt_crypto *c, const char *label, uint8_t *out, size_t from, size_t n)
{
    uint8_t head[2], bits[2] = { (uint8_t)(n * 8 >> 8), (uint8_t)(n * 8) }, block[MKT_MAC_MAX];
    const struct mkt_span part[3] = { mkt_span(head, 2), mkt_span(label, strlen(label)),
                                      mkt_span(bits, 2) };
    bool ok = true;

    for (size_t i = from / sizeof block; ok && i * sizeof block < n; i++) {
        size_t left = n - i * sizeof block;
        head[0] = (uint8_t)(i >> 8);
        head[1] = (uint8_t)i;
        ok = mkt_be_hmac(c, MKT_MAC_HMAC_SHA_256_256, part, 3, block);
        memcpy(out + i * sizeof block, block, left < sizeof block ? left : sizeof block);
    }
    mkt_wipe(block, sizeof block);
    return ok;
}

/* The last candidate that is not too long. */
static uint32_t
pick_length(const uint8_t *candidates, uint32_t longest)
{
    uint32_t length = 0, mask = longest;

    for (unsigned shift = 1; shift < 16; shift *= 2)
        mask |= mask >> shift;
    for (size_t i = 0; i < LENGTH_CANDIDATES; i++) {
        uint32_t a = ((uint32_t)candidates[2 * i] << 8 | candidates[2 * i + 1]) & mask;
        length = mkt_mask_select(mkt_mask_less(a, longest + 1), a, length);
    }
    return length;
}

/* The message that stands for this ciphertext if it is not padded well: k octets, of which the last
 * *length count. Only the last `want` are made. */
static bool
make_substitute(struct mkt_crypto *c, const struct mkt_pkey *key, struct mkt_span data, size_t want,
                uint8_t *message, uint32_t *length)
{
    const struct mkt_span secret = mkt_span(mkt_be_pkey_reject_secret(key), 32);
    const uint8_t alg = MKT_MAC_HMAC_SHA_256_256;
    uint8_t kdk[MKT_MAC_MAX], candidates[2 * LENGTH_CANDIDATES];
    bool ok = mkt_be_hmac_key(c, alg, secret) && mkt_be_hmac(c, alg, &data, 1, kdk) &&
              mkt_be_hmac_key(c, alg, mkt_span(kdk, sizeof kdk)) &&
              reject_prf(c, "length", candidates, 0, sizeof candidates) &&
              reject_prf(c, "message", message, data.n - want, data.n);

    mkt_be_hmac_forget(c, alg);
    *length = ok ? pick_length(candidates, (uint32_t)(data.n - PKCS1_OVERHEAD)) : 0;
    mkt_wipe(kdk, sizeof kdk);
    mkt_wipe(candidates, sizeof candidates);
    return ok;
}

static bool
open_pkcs1(struct opened *o, struct mkt_crypto *c, const struct mkt_pkey *key, struct mkt_span data,
           const uint8_t *em, size_t want)
{
    uint8_t substitute[MKT_RSA_MAX];
    uint32_t length = 0, found = 0, zero_at = 0;
    size_t k = data.n;

    if (!make_substitute(c, key, data, want, substitute, &length))
        return false;
    for (size_t i = 2; i < k; i++) {
        uint32_t here = mkt_mask_zero(em[i]) & ~found;
        zero_at = mkt_mask_select(here, (uint32_t)i, zero_at);
        found |= here;
    }
    uint32_t good = mkt_mask_zero(em[0]) & mkt_mask_equal(em[1], 2) & found &
                    ~mkt_mask_less(zero_at, 2 + PKCS1_PS_MIN);
    length = mkt_mask_select(good, (uint32_t)k - 1 - zero_at, length);
    for (size_t i = 0; i < want; i++)
        o->key[i] = (uint8_t)mkt_mask_select(good, em[k - want + i], substitute[k - want + i]);
    o->good = mkt_mask_equal(length, (uint32_t)want);
    mkt_wipe(substitute, sizeof substitute);
    return true;
}

static bool
open_oaep(struct opened *o, struct mkt_crypto *c, uint8_t hash, const uint8_t *em, size_t k,
          size_t want)
{
    size_t h = (size_t)mkt_hash_len(hash), db_len = k - h - 1;
    uint8_t seed[MKT_HASH_MAX], db[MKT_RSA_MAX], empty[MKT_HASH_MAX];
    uint32_t good = mkt_mask_zero(em[0]);

    memcpy(seed, em + 1, h);
    memcpy(db, em + 1 + h, db_len);
    bool ok = mkt_mgf1_xor(c, hash, mkt_span(db, db_len), seed, h) &&
              mkt_mgf1_xor(c, hash, mkt_span(seed, h), db, db_len) &&
              mkt_be_hash(c, hash, NULL, 0, empty);
    for (size_t i = 0; ok && i < h; i++)
        good &= mkt_mask_equal(db[i], empty[i]);
    /* The key has one length, so 00..00 01 has, too. */
    for (size_t i = h; ok && i < db_len - want; i++)
        good &= mkt_mask_equal(db[i], i + 1 == db_len - want);
    for (size_t i = 0; ok && i < want; i++)
        o->key[i] = db[db_len - want + i];
    o->good = good;
    mkt_wipe(seed, sizeof seed);
    mkt_wipe(db, sizeof db);
    return ok;
}

static bool
open_one(struct opened *o, struct mkt_crypto *c, const struct mkt_pkey *key, uint8_t padding,
         struct mkt_span data, const uint8_t *em, size_t want)
{
    if (padding == MKT_PAD_PKCS1)
        return open_pkcs1(o, c, key, data, em, want);
    return open_oaep(o, c, padding == MKT_PAD_OAEP_SHA_1 ? MKT_HASH_SHA_1 : MKT_HASH_SHA_256, em,
                     data.n, want);
}

bool
mkt_pke_open(struct mkt_crypto *c, const struct mkt_pkey *key, unsigned paddings,
             struct mkt_span data, size_t want, uint8_t *out)
{
    uint8_t em[MKT_RSA_MAX];
    size_t k = (mkt_be_pkey_bits(key) + 7) / 8;
    struct opened o;
    uint32_t good = 0;
    bool ok = data.n == k && want <= sizeof o.key && mkt_be_rsa_private(key, data, em);

    memset(out, 0, want);
    if (!ok)
        return false;
    MKT_CT_SECRET(em, k);
    /* PKCS#1 first: the others have redundancy enough to be right when they say so. */
    for (uint8_t padding = MKT_PAD_PKCS1; ok && padding <= MKT_PAD_OAEP_SHA_256; padding++) {
        if ((paddings >> padding & 1) == 0)
            continue;
        ok = open_one(&o, c, key, padding, data, em, want);
        for (size_t i = 0; ok && i < want; i++)
            out[i] = (uint8_t)mkt_mask_select(o.good, o.key[i], out[i]);
        good |= ok ? o.good : 0;
    }
    MKT_CT_PUBLIC(&good, sizeof good);
    mkt_wipe(em, sizeof em);
    mkt_wipe(&o, sizeof o);
    if (!ok || good == 0)
        mkt_wipe(out, want);
    return ok && good != 0;
}
