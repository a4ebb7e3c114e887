/* SPDX-License-Identifier: Apache-2.0 */
/* A keyed 64-bit hash for the daemon's tables. The key is random per process, so that nobody who
 * sends messages can choose which bucket they land in. It is no MAC and decides nothing else. */
#ifndef KMS_HASH_H
#define KMS_HASH_H

#include <stddef.h>
#include <stdint.h>

struct kms_hash_key {
    uint64_t k0, k1;
};

/* kms_hash returns SipHash-1-3 of n octets under k. */
uint64_t kms_hash(const struct kms_hash_key *k, const void *p, size_t n);

#endif
