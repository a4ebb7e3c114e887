/* SPDX-License-Identifier: Apache-2.0 */
/* RSA on libcrypto. The permutation is used bare: encoding with the caller's random octets is what
 * makes a message reproducible, and decoding by our own rules is what hides a wrong padding, which
 * libcrypto before 3.2 tells. */
#include "backend/pk_objects.h"

#include "backend/backend.h"
#include <mikeyticket/secret.h>

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

enum mkt_rc
mkt_be_fail(struct mkt_err *err, enum mkt_rc rc, const char *what, const char *ref)
{
    ERR_clear_error();
    return mkt_fail(err, rc, 0, what, ref);
}

bool
mkt_be_rsa_fits(const EVP_PKEY *evp)
{
    return evp != NULL && EVP_PKEY_is_a(evp, "RSA") == 1 &&
           EVP_PKEY_get_bits(evp) >= MKT_RSA_BITS_MIN && EVP_PKEY_get_bits(evp) <= MKT_RSA_BITS_MAX;
}

/* --- private keys ----------------------------------------------------------------------------- */

/* Nobody is asked for a pass phrase. */
static int
no_pass_phrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static EVP_PKEY *
read_der(struct mkt_span text)
{
    const uint8_t *p = text.p;
    EVP_PKEY *evp = d2i_AutoPrivateKey(NULL, &p, (long)text.n);
    if (evp != NULL && p == text.p + text.n)
        return evp;
    EVP_PKEY_free(evp);
    return NULL;
}

static EVP_PKEY *
read_pem(struct mkt_span text)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    EVP_PKEY *evp = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
    BIO_free(bio);
    return evp;
}

/* SHA-256 of the private exponent, as draft-irtf-cfrg-rsa-guidance has it. */
static bool
make_reject_secret(struct mkt_pkey *key)
{
    size_t n = (size_t)EVP_PKEY_get_size(key->evp);
    uint8_t octets[MKT_RSA_MAX];
    BIGNUM *d = NULL;
    /* GCOV_EXCL_BR_START: no key is longer than MKT_RSA_MAX */
    bool ok = n <= sizeof octets &&
              EVP_PKEY_get_bn_param(key->evp, OSSL_PKEY_PARAM_RSA_D, &d) == 1 &&
              BN_bn2binpad(d, octets, (int)n) == (int)n &&
              EVP_Digest(octets, n, key->reject, NULL, EVP_sha256(), NULL) == 1;
    /* GCOV_EXCL_BR_STOP */
    BN_clear_free(d);
    mkt_wipe(octets, sizeof octets);
    return ok;
}

static bool
make_raw(struct mkt_pkey *key)
{
    key->raw = EVP_PKEY_CTX_new_from_pkey(NULL, key->evp, NULL);
    return key->raw != NULL && EVP_PKEY_decrypt_init(key->raw) == 1 &&
           EVP_PKEY_CTX_set_rsa_padding(key->raw, RSA_NO_PADDING) == 1;
}

enum mkt_rc
mkt_pkey_new(struct mkt_pkey **key, struct mkt_span text, struct mkt_err *err)
{
    static const char ref[] = "RFC 3830 4.2.5";
    struct mkt_pkey *k = mkt_be_alloc(sizeof *k);

    *key = NULL;
    if (k == NULL)
        return mkt_fail(err, MKT_E_MEMORY, 0, "private key", ref);
    if (text.n != 0 && text.n <= INT_MAX)
        k->evp = text.p[0] == 0x30 ? read_der(text) : read_pem(text);
    bool rsa = k->evp != NULL && EVP_PKEY_is_a(k->evp, "RSA") == 1;
    if (rsa && !mkt_be_rsa_fits(k->evp))
        mkt_be_fail(err, MKT_E_WEAK_KEY, "RSA key not of 2048 to 8192 bits", ref);
    else if (!rsa || !make_reject_secret(k) ||
             !make_raw(k)) /* a public key has no exponent to show, either */
        mkt_be_fail(err, MKT_E_ARGUMENT, "not an RSA private key in DER or plain PEM", ref);
    else
        *key = k;
    if (*key == NULL)
        mkt_pkey_free(k);
    return *key != NULL ? MKT_OK : err->rc;
}

void
mkt_pkey_free(struct mkt_pkey *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_CTX_free(key->raw);
    EVP_PKEY_free(key->evp);
    mkt_be_free(key, sizeof *key);
}

size_t
mkt_be_pkey_bits(const struct mkt_pkey *key)
{
    return (size_t)EVP_PKEY_get_bits(key->evp);
}

size_t
mkt_be_cert_bits(const struct mkt_cert *cert)
{
    return (size_t)EVP_PKEY_get_bits(cert->evp);
}

const uint8_t *
mkt_be_pkey_reject_secret(const struct mkt_pkey *key)
{
    return key->reject;
}

/* --- the permutations ------------------------------------------------------------------------- */

bool
mkt_be_rsa_public(const struct mkt_cert *cert, struct mkt_span in, uint8_t *out)
{
    size_t n = (size_t)EVP_PKEY_get_size(cert->evp), len = n;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, cert->evp, NULL);
    bool ok = ctx != NULL && in.n == n && EVP_PKEY_encrypt_init(ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1 &&
              EVP_PKEY_encrypt(ctx, out, &len, in.p, in.n) == 1 && len == n;
    EVP_PKEY_CTX_free(ctx);
    if (!ok)
        ERR_clear_error();
    return ok;
}

bool
mkt_be_rsa_private(const struct mkt_pkey *key, struct mkt_span in, uint8_t *out)
{
    size_t n = (size_t)EVP_PKEY_get_size(key->evp), len = n;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_dup(key->raw);
    bool ok =
        ctx != NULL && in.n == n && EVP_PKEY_decrypt(ctx, out, &len, in.p, in.n) == 1 && len == n;
    EVP_PKEY_CTX_free(ctx);
    if (!ok)
        ERR_clear_error();
    return ok;
}

EVP_PKEY_CTX *
mkt_be_verifier(EVP_PKEY *evp)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, evp, NULL);
    if (ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
        EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1)
        return ctx;
    EVP_PKEY_CTX_free(ctx);
    return NULL;
}

/* From what mkt_be_verifier made to what is wanted. */
static bool
adapt(EVP_PKEY_CTX *ctx, uint8_t s_type, uint8_t hash)
{
    if (hash == MKT_HASH_SHA_1 && EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha1()) != 1)
        return false;
    if (s_type == MKT_S_RSA_PSS)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_AUTO) == 1;
    return s_type == MKT_S_RSA_PKCS1;
}

bool
mkt_be_rsa_verify(const struct mkt_cert *cert, uint8_t s_type, uint8_t hash, const uint8_t *digest,
                  struct mkt_span signature)
{
    int len = mkt_hash_len(hash);
    EVP_PKEY_CTX *ctx = hash == MKT_HASH_MD5 || len < 0 ? NULL : EVP_PKEY_CTX_dup(cert->verify);
    bool ok = ctx != NULL && adapt(ctx, s_type, hash) &&
              EVP_PKEY_verify(ctx, signature.p, signature.n, digest, (size_t)len) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!ok)
        ERR_clear_error();
    return ok;
}
