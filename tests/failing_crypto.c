/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of libcrypto that can be made to fail. Each is a row of WRAPPED in meson.build. */
#include "failing_crypto.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdbool.h>

long crypto_left = -1, crypto_right = -1;

static bool
is_its_turn(long *counter)
{
    if (*counter < 0)
        return false;
    return (*counter)-- == 0;
}

static bool
fails(void)
{
    return is_its_turn(&crypto_left);
}

/* A function of libcrypto, its parameters, its arguments, and what it returns when it fails. */
#define WRAP(type, name, params, args, failure)        \
    type __real_##name params;                         \
    type __wrap_##name params;                         \
    type __wrap_##name params                          \
    {                                                  \
        return fails() ? failure : __real_##name args; \
    }

WRAP(EVP_MD *, EVP_MD_fetch, (OSSL_LIB_CTX * ctx, const char *name, const char *query),
     (ctx, name, query), NULL)
WRAP(int, EVP_MD_get_size, (const EVP_MD *md), (md), -1)
WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), NULL)
WRAP(int, EVP_MD_CTX_copy_ex, (EVP_MD_CTX * to, const EVP_MD_CTX *from), (to, from), 0)
WRAP(int, EVP_DigestInit_ex2, (EVP_MD_CTX * ctx, const EVP_MD *md, const OSSL_PARAM params[]),
     (ctx, md, params), 0)
WRAP(int, EVP_DigestUpdate, (EVP_MD_CTX * ctx, const void *data, size_t n), (ctx, data, n), 0)
WRAP(EVP_CIPHER *, EVP_CIPHER_fetch, (OSSL_LIB_CTX * ctx, const char *name, const char *query),
     (ctx, name, query), NULL)
WRAP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void), (), NULL)
WRAP(int, EVP_CipherInit_ex2,
     (EVP_CIPHER_CTX * ctx, const EVP_CIPHER *c, const unsigned char *key, const unsigned char *iv,
      int encrypt, const OSSL_PARAM params[]),
     (ctx, c, key, iv, encrypt, params), 0)
WRAP(int, EVP_Digest,
     (const void *data, size_t n, unsigned char *out, unsigned *out_n, const EVP_MD *md,
      ENGINE *engine),
     (data, n, out, out_n, md, engine), 0)
WRAP(int, RAND_priv_bytes, (unsigned char *out, int n), (out, n), 0)
WRAP(int, EVP_PKEY_get_bn_param, (const EVP_PKEY *key, const char *name, BIGNUM **bn),
     (key, name, bn), 0)
WRAP(int, BN_bn2binpad, (const BIGNUM *bn, unsigned char *to, int n), (bn, to, n), -1)
WRAP(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_pkey,
     (OSSL_LIB_CTX * ctx, EVP_PKEY *key, const char *query), (ctx, key, query), NULL)
WRAP(EVP_PKEY_CTX *, EVP_PKEY_CTX_dup, (const EVP_PKEY_CTX *ctx), (ctx), NULL)
WRAP(int, EVP_PKEY_CTX_set_rsa_padding, (EVP_PKEY_CTX * ctx, int pad), (ctx, pad), 0)
WRAP(int, EVP_PKEY_CTX_set_rsa_pss_saltlen, (EVP_PKEY_CTX * ctx, int n), (ctx, n), 0)
WRAP(int, EVP_PKEY_CTX_set_signature_md, (EVP_PKEY_CTX * ctx, const EVP_MD *md), (ctx, md), 0)
WRAP(int, EVP_PKEY_encrypt_init, (EVP_PKEY_CTX * ctx), (ctx), 0)
WRAP(int, EVP_PKEY_decrypt_init, (EVP_PKEY_CTX * ctx), (ctx), 0)
WRAP(int, EVP_PKEY_verify_init, (EVP_PKEY_CTX * ctx), (ctx), 0)
WRAP(int, EVP_PKEY_encrypt,
     (EVP_PKEY_CTX * ctx, unsigned char *out, size_t *n, const unsigned char *in, size_t in_n),
     (ctx, out, n, in, in_n), 0)
WRAP(int, EVP_PKEY_decrypt,
     (EVP_PKEY_CTX * ctx, unsigned char *out, size_t *n, const unsigned char *in, size_t in_n),
     (ctx, out, n, in, in_n), 0)
WRAP(BIO *, BIO_new_mem_buf, (const void *data, int n), (data, n), NULL)
WRAP(int, i2d_X509, (const X509 *x, unsigned char **out), (x, out), -1)
WRAP(X509_STORE *, X509_STORE_new, (void), (), NULL)
WRAP(int, X509_STORE_add_cert, (X509_STORE * store, X509 *x), (store, x), 0)
WRAP(int, X509_STORE_add_crl, (X509_STORE * store, X509_CRL *crl), (store, crl), 0)
WRAP(X509_STORE_CTX *, X509_STORE_CTX_new, (void), (), NULL)
WRAP(int, X509_STORE_CTX_init,
     (X509_STORE_CTX * ctx, X509_STORE *store, X509 *x, STACK_OF(X509) * others),
     (ctx, store, x, others), 0)
WRAP(int, X509_STORE_CTX_set_ex_data, (X509_STORE_CTX * ctx, int i, void *data), (ctx, i, data), 0)
WRAP(OPENSSL_STACK *, OPENSSL_sk_new_null, (void), (), NULL)
WRAP(int, OPENSSL_sk_push, (OPENSSL_STACK * st, const void *data), (st, data), 0)

int __real_EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned *n);
int __wrap_EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned *n);
int
__wrap_EVP_DigestFinal_ex(EVP_MD_CTX *ctx, unsigned char *out, unsigned *n)
{
    int ok = fails() ? 0 : __real_EVP_DigestFinal_ex(ctx, out, n);
    if (ok == 1 && is_its_turn(&crypto_right))
        out[0] ^= 0x80;
    return ok;
}

int __real_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *n,
                            const unsigned char *in, int in_n);
int __wrap_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *n,
                            const unsigned char *in, int in_n);
int
__wrap_EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *n, const unsigned char *in,
                        int in_n)
{
    int ok = fails() ? 0 : __real_EVP_CipherUpdate(ctx, out, n, in, in_n);
    if (ok == 1 && is_its_turn(&crypto_right))
        out[0] ^= 0x80;
    return ok;
}
