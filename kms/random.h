/* SPDX-License-Identifier: Apache-2.0 */
/* A pool of random octets of one worker: the system is asked for 4 KiB at a time instead of once
 * for every key. What is handed out is wiped from the pool. */
#ifndef KMS_RANDOM_H
#define KMS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KMS_POOL 4096

struct kms_random {
    size_t left; /* octets at the end of the pool not handed out yet; zero-initialise */
    uint8_t pool[KMS_POOL];
};

/* kms_random_take has the signature of mkt_env.random; ctx is a struct kms_random. */
bool kms_random_take(void *ctx, uint8_t *out, size_t n);

#endif
