/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for keys: mapped, so that growing leaves no copy behind; out of core dumps; locked when it
 * has its size; wiped when it ends. */
#ifndef KMS_MEMORY_H
#define KMS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kms_block {
    uint8_t *p;
    size_t room; /* octets */
};

/* kms_block_grow makes room for n octets; what is new is zero. False: no memory, nothing changed.
 */
bool kms_block_grow(struct kms_block *b, size_t n);

/* kms_block_lock keeps the first n octets out of swap; false when the system forbids it
 * (RLIMIT_MEMLOCK). */
bool kms_block_lock(const struct kms_block *b, size_t n);

/* kms_block_free wipes the first n octets and gives it back. */
void kms_block_free(struct kms_block *b, size_t n);

#endif
