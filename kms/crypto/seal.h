/* SPDX-License-Identifier: Apache-2.0 */
/* What keys at rest need of libcrypto: AES-256-GCM and scrypt. seal.c is the daemon's only file
 * that includes a crypto header; the protocol's cryptography is the library's. */
#ifndef KMS_CRYPTO_SEAL_H
#define KMS_CRYPTO_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mikeyticket/base.h>

#define KMS_SEAL_KEY 32 /* octets of a key that seals */
#define KMS_SEAL_NONCE 12
#define KMS_SEAL_TAG 16
#define KMS_SEAL_MORE (KMS_SEAL_NONCE + KMS_SEAL_TAG) /* octets longer than what is sealed */

struct kms_sealer; /* opaque, owned: contexts of one thread */

/* kms_sealer_new returns NULL when memory or the algorithm fails. kms_sealer_free: NULL allowed. */
struct kms_sealer *kms_sealer_new(void);
void kms_sealer_free(struct kms_sealer *s);

/* kms_seal writes nonce || ciphertext || tag of `in` (plain.n + KMS_SEAL_MORE octets) to out, bound
 * to `name`. False when the generator or the cipher fails; then out holds nothing. */
bool kms_seal(struct kms_sealer *s, const uint8_t key[KMS_SEAL_KEY], struct mkt_span name,
              struct mkt_span plain, uint8_t *out);

/* kms_unseal writes the sealed.n - KMS_SEAL_MORE octets to out. False when the key or the name is
 * another one, or an octet was changed; then out holds nothing. */
bool kms_unseal(struct kms_sealer *s, const uint8_t key[KMS_SEAL_KEY], struct mkt_span name,
                struct mkt_span sealed, uint8_t *out);

/* kms_scrypt makes a key of a passphrase (N = 2^17, r = 8, p = 1: 128 MiB and a third of a second).
 */
bool kms_scrypt(uint8_t key[KMS_SEAL_KEY], struct mkt_span passphrase, struct mkt_span salt);

#endif
