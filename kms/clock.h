/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that does not jump, for everything that lasts or waits; and the one that people have. */
#ifndef KMS_CLOCK_H
#define KMS_CLOCK_H

#include <stdint.h>
#include <time.h>

#define KMS_NS_PER_S 1000000000
#define KMS_NS_PER_MS 1000000

static inline int64_t
kms_steady_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * KMS_NS_PER_S + ts.tv_nsec;
}

static inline int64_t
kms_unix_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * KMS_NS_PER_S + ts.tv_nsec;
}

static inline int64_t
kms_steady_ms(void)
{
    return kms_steady_ns() / KMS_NS_PER_MS;
}

static inline int64_t
kms_steady_s(void)
{
    return kms_steady_ns() / KMS_NS_PER_S;
}

#endif
