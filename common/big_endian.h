/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of 1 to 8 octets, the most significant first, as all our formats have them. */
#ifndef MKT_COMMON_BIG_ENDIAN_H
#define MKT_COMMON_BIG_ENDIAN_H

#include <stddef.h>
#include <stdint.h>

static inline void
mkt_be_put(uint8_t *at, size_t octets, uint64_t n)
{
    for (size_t i = 0; i < octets; i++)
        at[i] = (uint8_t)(n >> 8 * (octets - 1 - i));
}

static inline uint64_t
mkt_be_get(const uint8_t *at, size_t octets)
{
    uint64_t n = 0;

    for (size_t i = 0; i < octets; i++)
        n = n << 8 | at[i];
    return n;
}

#endif
