/* SPDX-License-Identifier: Apache-2.0 */
/* Choices without branches: a mask is all ones for yes and zero for no. */
#ifndef MKT_BASE_MASK_H
#define MKT_BASE_MASK_H

#include <stdint.h>

/* The top bit, spread over the word. */
static inline uint32_t
mkt_mask_top(uint32_t a)
{
    return 0U - (a >> 31);
}

static inline uint32_t
mkt_mask_zero(uint32_t a)
{
    return mkt_mask_top(~a & (a - 1));
}

static inline uint32_t
mkt_mask_equal(uint32_t a, uint32_t b)
{
    return mkt_mask_zero(a ^ b);
}

/* a < b */
static inline uint32_t
mkt_mask_less(uint32_t a, uint32_t b)
{
    return mkt_mask_top(a ^ ((a ^ b) | ((a - b) ^ a)));
}

static inline uint32_t
mkt_mask_select(uint32_t mask, uint32_t yes, uint32_t no)
{
    return (mask & yes) | (~mask & no);
}

#endif
