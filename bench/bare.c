/* SPDX-License-Identifier: Apache-2.0 */
/* Bare cryptographic operations on libcrypto: see bare.h. */
#include "bare.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

struct bare_hmac {
    EVP_MD *md;
    EVP_MD_CTX *inner, *outer, *work;
    size_t len;
};

struct bare {
    struct bare_hmac hmac[2];
    EVP_CIPHER *ctr128, *ctr256;
    EVP_CIPHER_CTX *aes128, *aes256;
    EVP_PKEY *rsa; /* made when it is first used */
    EVP_PKEY_CTX *verify, *decrypt;
    uint8_t signature[256];
    uint8_t pad[64], in[8192], out[8192];
};

static bool
hmac_open(struct bare_hmac *h, const char *name, size_t len)
{
    h->md = EVP_MD_fetch(NULL, name, NULL);
    h->inner = EVP_MD_CTX_new();
    h->outer = EVP_MD_CTX_new();
    h->work = EVP_MD_CTX_new();
    h->len = len;
    return h->md && h->inner && h->outer && h->work;
}

static EVP_CIPHER_CTX *
cipher_open(const EVP_CIPHER *cipher)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (c == NULL || EVP_EncryptInit_ex2(c, cipher, NULL, NULL, NULL) != 1)
        abort();
    return c;
}

struct bare *
bare_new(void)
{
    struct bare *b = calloc(1, sizeof *b);
    if (b == NULL || !hmac_open(&b->hmac[0], "SHA1", 20) || !hmac_open(&b->hmac[1], "SHA256", 32))
        abort();
    b->ctr128 = EVP_CIPHER_fetch(NULL, "AES-128-CTR", NULL);
    b->ctr256 = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    b->aes128 = cipher_open(b->ctr128);
    b->aes256 = cipher_open(b->ctr256);
    memset(b->pad, 0x36, sizeof b->pad);
    return b;
}

void
bare_free(struct bare *b)
{
    for (size_t i = 0; i < 2; i++) {
        EVP_MD_CTX_free(b->hmac[i].inner);
        EVP_MD_CTX_free(b->hmac[i].outer);
        EVP_MD_CTX_free(b->hmac[i].work);
        EVP_MD_free(b->hmac[i].md);
    }
    EVP_PKEY_CTX_free(b->verify);
    EVP_PKEY_CTX_free(b->decrypt);
    EVP_PKEY_free(b->rsa);
    EVP_CIPHER_CTX_free(b->aes128);
    EVP_CIPHER_CTX_free(b->aes256);
    EVP_CIPHER_free(b->ctr128);
    EVP_CIPHER_free(b->ctr256);
    free(b);
}

static bool
hmac_key(struct bare *b, struct bare_hmac *h)
{
    return EVP_DigestInit_ex2(h->inner, h->md, NULL) == 1 &&
           EVP_DigestUpdate(h->inner, b->pad, sizeof b->pad) == 1 &&
           EVP_DigestInit_ex2(h->outer, h->md, NULL) == 1 &&
           EVP_DigestUpdate(h->outer, b->pad, sizeof b->pad) == 1;
}

static bool
hmac(struct bare *b, struct bare_hmac *h, size_t n)
{
    return EVP_MD_CTX_copy_ex(h->work, h->inner) == 1 && EVP_DigestUpdate(h->work, b->in, n) == 1 &&
           EVP_DigestFinal_ex(h->work, b->out, NULL) == 1 &&
           EVP_MD_CTX_copy_ex(h->work, h->outer) == 1 &&
           EVP_DigestUpdate(h->work, b->out, h->len) == 1 &&
           EVP_DigestFinal_ex(h->work, b->out, NULL) == 1;
}

static bool
aes_ctr(struct bare *b, size_t key_len, size_t n)
{
    EVP_CIPHER_CTX *c = key_len == 16 ? b->aes128 : b->aes256;
    int len;
    return EVP_EncryptInit_ex2(c, NULL, b->pad, b->pad, NULL) == 1 &&
           EVP_EncryptUpdate(c, b->out, &len, b->in, (int)n) == 1;
}

static bool
rsa_open(struct bare *b)
{
    EVP_PKEY_CTX *sign;
    size_t n = sizeof b->signature;

    b->rsa = EVP_RSA_gen(2048);
    sign = EVP_PKEY_CTX_new(b->rsa, NULL);
    b->verify = EVP_PKEY_CTX_new(b->rsa, NULL);
    b->decrypt = EVP_PKEY_CTX_new(b->rsa, NULL);
    bool ok = EVP_PKEY_sign_init(sign) == 1 &&
              EVP_PKEY_CTX_set_signature_md(sign, EVP_sha256()) == 1 &&
              EVP_PKEY_sign(sign, b->signature, &n, b->pad, 32) == 1 &&
              EVP_PKEY_verify_init(b->verify) == 1 &&
              EVP_PKEY_CTX_set_signature_md(b->verify, EVP_sha256()) == 1 &&
              EVP_PKEY_decrypt_init(b->decrypt) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(b->decrypt, RSA_NO_PADDING) == 1;
    EVP_PKEY_CTX_free(sign);
    return ok;
}

static bool
rsa(struct bare *b, const struct bare_step *s)
{
    size_t n = sizeof b->out;

    if (s->n != 2048 || (b->rsa == NULL && !rsa_open(b)))
        return false;
    if (s->kind == BARE_RSA_VERIFY)
        return EVP_PKEY_verify(b->verify, b->signature, sizeof b->signature, b->pad, 32) == 1;
    return EVP_PKEY_decrypt(b->decrypt, b->out, &n, b->signature, sizeof b->signature) == 1;
}

static bool
step_run(struct bare *b, const struct bare_step *s)
{
    if (s->n > sizeof b->in)
        return false;
    switch (s->kind) {
    case BARE_KEY_SHA1:
    case BARE_KEY_SHA256:
        return hmac_key(b, &b->hmac[s->kind - BARE_KEY_SHA1]);
    case BARE_SHA1:
    case BARE_SHA256:
        return hmac(b, &b->hmac[s->kind - BARE_SHA1], s->n);
    case BARE_AES_CTR:
        return aes_ctr(b, s->key_len, s->n);
    case BARE_RANDOM:
        return RAND_priv_bytes(b->out, (int)s->n) == 1;
    case BARE_RSA_VERIFY:
    case BARE_RSA_DECRYPT:
        return rsa(b, s);
    case BARE_KINDS:
        break;
    }
    return false;
}

bool
bare_run(struct bare *b, const struct bare_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (!step_run(b, &list->step[i]))
            return false;
    }
    return true;
}
