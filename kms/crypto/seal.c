/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM with a random nonce of 96 bits: a generation of the store key seals a few million
 * rows at most, far below the 2^32 that NIST SP 800-38D 8.3 allows for random nonces. The cipher is
 * fetched once; the key leaves the context after every use. */
#include "seal.h"

#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <mikeyticket/secret.h>

struct kms_sealer {
    EVP_CIPHER *gcm;
    EVP_CIPHER_CTX *ctx;
};

struct kms_sealer *
kms_sealer_new(void)
{
    struct kms_sealer *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    s->ctx = EVP_CIPHER_CTX_new();
    if (s->gcm != NULL && s->ctx != NULL)
        return s;
    kms_sealer_free(s);
    return NULL;
}

void
kms_sealer_free(struct kms_sealer *s)
{
    if (s == NULL)
        return;
    EVP_CIPHER_CTX_free(s->ctx);
    EVP_CIPHER_free(s->gcm);
    free(s);
}

static bool
run(struct kms_sealer *s, struct mkt_span name, struct mkt_span in, uint8_t *out)
{
    int n;

    return EVP_CipherUpdate(s->ctx, NULL, &n, name.p, (int)name.n) == 1 &&
           EVP_CipherUpdate(s->ctx, out, &n, in.p, (int)in.n) == 1 && n == (int)in.n;
}

bool
kms_seal(struct kms_sealer *s, const uint8_t key[KMS_SEAL_KEY], struct mkt_span name,
         struct mkt_span plain, uint8_t *out)
{
    uint8_t *text = out + KMS_SEAL_NONCE, *tag = text + plain.n;
    int n;
    bool ok = RAND_bytes(out, KMS_SEAL_NONCE) == 1 &&
              EVP_EncryptInit_ex2(s->ctx, s->gcm, key, out, NULL) == 1 &&
              run(s, name, plain, text) && EVP_EncryptFinal_ex(s->ctx, tag, &n) == 1 &&
              EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_GET_TAG, KMS_SEAL_TAG, tag) == 1;

    EVP_CIPHER_CTX_reset(s->ctx);
    if (!ok)
        mkt_wipe(out, plain.n + KMS_SEAL_MORE);
    return ok;
}

bool
kms_unseal(struct kms_sealer *s, const uint8_t key[KMS_SEAL_KEY], struct mkt_span name,
           struct mkt_span sealed, uint8_t *out)
{
    uint8_t tag[KMS_SEAL_TAG], none[KMS_SEAL_TAG];
    size_t n_plain;
    int n;
    bool ok;

    if (sealed.n < KMS_SEAL_MORE)
        return false;
    n_plain = sealed.n - KMS_SEAL_MORE;
    for (size_t i = 0; i < sizeof tag; i++)
        tag[i] = sealed.p[KMS_SEAL_NONCE + n_plain + i];
    ok = EVP_DecryptInit_ex2(s->ctx, s->gcm, key, sealed.p, NULL) == 1 &&
         run(s, name, mkt_span(sealed.p + KMS_SEAL_NONCE, n_plain), out) &&
         EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_SET_TAG, KMS_SEAL_TAG, tag) == 1 &&
         EVP_DecryptFinal_ex(s->ctx, none, &n) == 1;
    EVP_CIPHER_CTX_reset(s->ctx);
    if (!ok)
        mkt_wipe(out, n_plain);
    return ok;
}

bool
kms_scrypt(uint8_t key[KMS_SEAL_KEY], struct mkt_span passphrase, struct mkt_span salt)
{
    return EVP_PBE_scrypt((const char *)passphrase.p, passphrase.n, salt.p, salt.n, 1U << 17, 8, 1,
                          160U << 20, key, KMS_SEAL_KEY) == 1;
}
