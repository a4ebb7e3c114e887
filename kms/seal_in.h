/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that come from outside, on their way into the store: sealed by the vault. */
#ifndef KMS_SEAL_IN_H
#define KMS_SEAL_IN_H

#include "vault.h"

/* kms_seal_user adds a credential, and kms_seal_tpk a shared key, with `key` as its octets. When a
 * rotation of the KEK comes in between, once more under the new store key. A credential that is
 * there with that very key is SAME. slot: of the vault, nobody else's meanwhile. */
enum kms_store_rc kms_seal_user(struct kms_store *s, struct kms_vault *v, size_t slot,
                                struct kms_user *user, const struct mkt_secret *key,
                                struct kms_store_err *err);
enum kms_store_rc kms_seal_tpk(struct kms_store *s, struct kms_vault *v, struct kms_tpk *tpk,
                               const struct mkt_secret *key, struct kms_store_err *err);

#endif
