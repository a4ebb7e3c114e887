/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures (RFC 3830 4.2.6): EMSA-PKCS1-v1_5 and EMSA-PSS of RFC 3447 9, made here so that the
 * salt is the caller's; verified by the backend. */
#include "keys/pk.h"

#include <mikeyticket/secret.h>
#include <string.h>

#define PSS_TRAILER 0xBC

/* DigestInfo up to the digest (RFC 3447 9.2). */
static const uint8_t sha1_info[] = { 0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2B, 0x0E,
                                     0x03, 0x02, 0x1A, 0x05, 0x00, 0x04, 0x14 };
static const uint8_t sha256_info[] = { 0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                       0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };

/* 00 01 FF..FF 00 DigestInfo */
static void
encode_pkcs1(uint8_t *em, size_t k, uint8_t hash, const uint8_t *digest, size_t len)
{
    struct mkt_span info = hash == MKT_HASH_SHA_1 ? mkt_span(sha1_info, sizeof sha1_info)
                                                  : mkt_span(sha256_info, sizeof sha256_info);
    size_t t = info.n + len;

    memset(em, 0xFF, k);
    em[0] = 0;
    em[1] = 1;
    em[k - t - 1] = 0;
    memcpy(em + k - t, info.p, info.n);
    memcpy(em + k - len, digest, len);
}

/* maskedDB || H || BC, with DB = 00..00 01 salt and a salt as long as the hash. */
static enum mkt_rc
encode_pss(uint8_t *em, size_t k, size_t bits, const struct mkt_env *env, uint8_t hash,
           const uint8_t *digest, size_t len)
{
    static const uint8_t zeros[8];
    uint8_t salt[MKT_HASH_MAX];
    const struct mkt_span m[3] = { mkt_span(zeros, 8), mkt_span(digest, len), mkt_span(salt, len) };
    size_t em_bits = bits - 1, em_len = (em_bits + 7) / 8, db_len = em_len - len - 1;

    memset(em, 0, k);
    em += k - em_len; /* one octet less when the modulus has one bit too many */
    if (!env->random(env->ctx, salt, len))
        return MKT_E_RANDOM;
    em[db_len - len - 1] = 1;
    memcpy(em + db_len - len, salt, len);
    if (!mkt_be_hash(env->crypto, hash, m, 3, em + db_len) ||
        !mkt_mgf1_xor(env->crypto, hash, mkt_span(em + db_len, len), em, db_len))
        return MKT_E_CRYPTO;
    em[0] &= (uint8_t)(0xFF >> (8 * em_len - em_bits));
    em[em_len - 1] = PSS_TRAILER;
    return MKT_OK;
}

enum mkt_rc
mkt_rsa_sign(const struct mkt_env *env, const struct mkt_pkey *key, uint8_t s_type, uint8_t hash,
             const struct mkt_span *part, size_t n, uint8_t *out)
{
    uint8_t digest[MKT_HASH_MAX], em[MKT_RSA_MAX];
    size_t bits = mkt_be_pkey_bits(key), k = (bits + 7) / 8;
    size_t len = (size_t)mkt_hash_len(hash);
    enum mkt_rc rc = MKT_OK;

    if ((hash != MKT_HASH_SHA_1 && hash != MKT_HASH_SHA_256) || s_type > MKT_S_RSA_PSS)
        return MKT_E_ARGUMENT;
    if (!mkt_be_hash(env->crypto, hash, part, n, digest))
        return MKT_E_CRYPTO;
    if (s_type == MKT_S_RSA_PKCS1)
        encode_pkcs1(em, k, hash, digest, len);
    else
        rc = encode_pss(em, k, bits, env, hash, digest, len);
    if (rc == MKT_OK && !mkt_be_rsa_private(key, mkt_span(em, k), out))
        rc = MKT_E_CRYPTO;
    return rc;
}

bool
mkt_rsa_verify(struct mkt_crypto *c, const struct mkt_cert *cert, uint8_t s_type, uint8_t hash,
               const struct mkt_span *part, size_t n, struct mkt_span signature)
{
    uint8_t digest[MKT_HASH_MAX];
    return mkt_be_hash(c, hash, part, n, digest) &&
           mkt_be_rsa_verify(cert, s_type, hash, digest, signature);
}
