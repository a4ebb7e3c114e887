/* SPDX-License-Identifier: Apache-2.0 */
/* One context with one key for all chunks of an object: only the nonce changes. */
#include "aead.h"

#include <stdlib.h>

#include <openssl/evp.h>

struct cli_aead {
    EVP_CIPHER_CTX *ctx;
};

struct cli_digest {
    EVP_MD_CTX *ctx;
};

struct cli_aead *
cli_aead_new(struct mkt_span key)
{
    const EVP_CIPHER *gcm = key.n == 16   ? EVP_aes_128_gcm()
                            : key.n == 32 ? EVP_aes_256_gcm()
                                          : NULL;
    struct cli_aead *a = gcm != NULL ? calloc(1, sizeof *a) : NULL;

    if (a == NULL)
        return NULL;
    a->ctx = EVP_CIPHER_CTX_new();
    if (a->ctx != NULL && EVP_EncryptInit_ex2(a->ctx, gcm, key.p, NULL, NULL) == 1)
        return a;
    cli_aead_free(a);
    return NULL;
}

void
cli_aead_free(struct cli_aead *a)
{
    if (a == NULL)
        return;
    EVP_CIPHER_CTX_free(a->ctx); /* wipes the key */
    free(a);
}

static bool
run(struct cli_aead *a, struct mkt_span name, struct mkt_span in, uint8_t *out)
{
    int n = 0;

    return EVP_CipherUpdate(a->ctx, NULL, &n, name.p, (int)name.n) == 1 &&
           (in.n == 0 || EVP_CipherUpdate(a->ctx, out, &n, in.p, (int)in.n) == 1);
}

bool
cli_aead_seal(struct cli_aead *a, const uint8_t nonce[CLI_AEAD_NONCE], struct mkt_span name,
              struct mkt_span plain, uint8_t *out)
{
    uint8_t *tag = out + plain.n;
    int n;

    if (EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, 1, NULL) == 1 && run(a, name, plain, out) &&
        EVP_EncryptFinal_ex(a->ctx, tag, &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, CLI_AEAD_TAG, tag) == 1)
        return true;
    mkt_wipe(out, plain.n + CLI_AEAD_TAG);
    return false;
}

bool
cli_aead_open(struct cli_aead *a, const uint8_t nonce[CLI_AEAD_NONCE], struct mkt_span name,
              struct mkt_span sealed, uint8_t *out)
{
    uint8_t tag[CLI_AEAD_TAG], none[CLI_AEAD_TAG];
    int n;

    if (sealed.n < CLI_AEAD_TAG)
        return false;
    const struct mkt_span text = mkt_span(sealed.p, sealed.n - CLI_AEAD_TAG);
    for (size_t i = 0; i < sizeof tag; i++)
        tag[i] = sealed.p[text.n + i];
    if (EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, 0, NULL) == 1 && run(a, name, text, out) &&
        EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, CLI_AEAD_TAG, tag) == 1 &&
        EVP_DecryptFinal_ex(a->ctx, none, &n) == 1)
        return true;
    mkt_wipe(out, text.n);
    return false;
}

struct cli_digest *
cli_digest_new(void)
{
    struct cli_digest *d = calloc(1, sizeof *d);

    if (d == NULL)
        return NULL;
    d->ctx = EVP_MD_CTX_new();
    if (d->ctx != NULL && EVP_DigestInit_ex2(d->ctx, EVP_sha256(), NULL) == 1)
        return d;
    cli_digest_free(d);
    return NULL;
}

void
cli_digest_free(struct cli_digest *d)
{
    if (d == NULL)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

bool
cli_digest_add(struct cli_digest *d, struct mkt_span octets)
{
    return EVP_DigestUpdate(d->ctx, octets.p, octets.n) == 1;
}

bool
cli_digest_end(struct cli_digest *d, uint8_t out[CLI_DIGEST])
{
    return EVP_DigestFinal_ex(d->ctx, out, NULL) == 1 &&
           EVP_DigestInit_ex2(d->ctx, EVP_sha256(), NULL) == 1;
}
