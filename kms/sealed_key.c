/* SPDX-License-Identifier: Apache-2.0 */
#include "sealed_key.h"

#include <stdio.h>
#include <string.h>

#include <mikeyticket/env.h>

#define SALT 16

/* What the seal is bound to, so that no other sealed octets of ours can stand in for it. */
static struct mkt_span
name_of(char name[256], const char *id)
{
    int n = snprintf(name, 256, "mikey-kms key export 1 %s", id);

    return mkt_span(name, n > 0 && n < 256 ? (size_t)n : 0);
}

bool
kms_sealed_key_make(const struct mkt_secret *key, const char *id, struct mkt_span passphrase,
                    uint8_t out[KMS_SEALED_KEY_MAX], size_t *n)
{
    struct kms_sealer *s = kms_sealer_new();
    uint8_t under[KMS_SEAL_KEY];
    char name[256];
    const struct mkt_span bound = name_of(name, id);
    bool ok = s != NULL && bound.n > 0 && mkt_crypto_random(NULL, out, SALT) &&
              kms_scrypt(under, passphrase, mkt_span(out, SALT)) &&
              kms_seal(s, under, bound, mkt_secret_span(key), out + SALT);

    *n = ok ? (size_t)SALT + key->n + KMS_SEAL_MORE : 0;
    mkt_wipe(under, sizeof under);
    kms_sealer_free(s);
    return ok;
}

bool
kms_sealed_key_open(struct mkt_secret *key, const char *id, struct mkt_span passphrase,
                    struct mkt_span sealed)
{
    struct kms_sealer *s = kms_sealer_new();
    uint8_t under[KMS_SEAL_KEY];
    char name[256];
    const struct mkt_span bound = name_of(name, id);
    bool ok = s != NULL && bound.n > 0 && sealed.n > SALT + KMS_SEAL_MORE &&
              sealed.n <= KMS_SEALED_KEY_MAX &&
              kms_scrypt(under, passphrase, mkt_span(sealed.p, SALT)) &&
              kms_unseal(s, under, bound, mkt_span(sealed.p + SALT, sealed.n - SALT), key->b);

    key->n = ok ? (uint16_t)(sealed.n - SALT - KMS_SEAL_MORE) : 0;
    mkt_wipe(under, sizeof under);
    kms_sealer_free(s);
    return ok;
}
