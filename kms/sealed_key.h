/* SPDX-License-Identifier: Apache-2.0 */
/* A key on its way out, sealed under a passphrase (docs/formats/key-export.md). */
#ifndef KMS_SEALED_KEY_H
#define KMS_SEALED_KEY_H

#include <mikeyticket/secret.h>

#include "crypto/seal.h"

#define KMS_SEALED_KEY_MAX (16 + MKT_SECRET_MAX + KMS_SEAL_MORE) /* octets */
#define KMS_PASSPHRASE_MIN 12                                    /* characters */

/* kms_sealed_key_make seals key for its id, in n octets of out. False: no memory, no generator. */
bool kms_sealed_key_make(const struct mkt_secret *key, const char *id, struct mkt_span passphrase,
                         uint8_t out[KMS_SEALED_KEY_MAX], size_t *n);

/* kms_sealed_key_open is the way back. False: another passphrase or id, or it was changed. */
bool kms_sealed_key_open(struct mkt_secret *key, const char *id, struct mkt_span passphrase,
                         struct mkt_span sealed);

#endif
