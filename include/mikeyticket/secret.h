/* SPDX-License-Identifier: Apache-2.0 */
/* A secret is a type: it wipes itself, compares in constant time, and has no printer. */
#ifndef MIKEYTICKET_SECRET_H
#define MIKEYTICKET_SECRET_H

#include <mikeyticket/err.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MKT_SECRET_MAX 128 /* octets: the longest key or salt handled */

/* mkt_secret holds key octets in place, so that no heap copy can be missed. */
struct mkt_secret {
    uint16_t n; /* octets in use */
    uint8_t b[MKT_SECRET_MAX];
};

/* mkt_wipe clears n octets in a way the compiler may not remove. NULL is allowed. */
MKT_API void mkt_wipe(void *p, size_t n);

/* mkt_secret_wipe clears s. */
MKT_API void mkt_secret_wipe(struct mkt_secret *s);

/* mkt_secret_set copies from into s, wiping what was there.
 * MKT_E_ARGUMENT when it is longer than MKT_SECRET_MAX (s is then empty). */
MKT_API MKT_MUST_USE enum mkt_rc mkt_secret_set(struct mkt_secret *s, struct mkt_span from);

/* mkt_secret_span borrows the octets of s. */
static inline struct mkt_span
mkt_secret_span(const struct mkt_secret *s)
{
    return mkt_span(s->b, s->n);
}

/* mkt_ct_equal compares in time that depends on the lengths only. */
MKT_API MKT_MUST_USE bool mkt_ct_equal(struct mkt_span a, struct mkt_span b);

/* Wiped on every way out of the scope, including the ones added next year. */
#if defined(__GNUC__)
#define MKT_SCOPED_SECRET __attribute__((cleanup(mkt_secret_wipe))) struct mkt_secret
#endif

#ifdef __cplusplus
}
#endif
#endif
