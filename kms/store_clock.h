/* SPDX-License-Identifier: Apache-2.0 */
/* What time it is by the clock of the store, without asking it: how far that clock is ahead of ours
 * is learnt when the store is opened and with every look at it (watch.c), and added to ours.
 * Whatever nodes must agree on goes by this time, and what a client stamped is held against it. */
#ifndef KMS_STORE_CLOCK_H
#define KMS_STORE_CLOCK_H

#include <stdatomic.h>

#include "clock.h"
#include "store.h"

/* Of two nodes, or of two runs of one, each is at most so wrong about the store's clock. */
#define KMS_DOUBT_MS 5
#define KMS_CLOCK_TRIES 20 /* who must know, on a busy machine */

/* Zero-initialise: a clock that goes as ours. One thread learns, any number ask. */
struct kms_store_clock {
    _Atomic int64_t ahead_ns; /* of the store's clock before ours */
};

/* kms_store_clock_ns and _s tell the time, in nanoseconds and in seconds since 1970. */
static inline int64_t
kms_store_clock_ns(const struct kms_store_clock *c)
{
    return kms_unix_ns() + atomic_load_explicit(&c->ahead_ns, memory_order_relaxed);
}

static inline int64_t
kms_store_clock_s(const struct kms_store_clock *c)
{
    return kms_store_clock_ns(c) / KMS_NS_PER_S;
}

#define KMS_CLOCK_ASTRAY "the clocks of this machine and of the store are too far apart"

/* kms_store_clock_astray tells whether the two clocks differ by more than window_s seconds: one of
 * them is wrong, nobody knows which, and nothing may be decided by either. */
static inline bool
kms_store_clock_astray(const struct kms_store_clock *c, uint32_t window_s)
{
    int64_t ahead = atomic_load_explicit(&c->ahead_ns, memory_order_relaxed);
    int64_t window = (int64_t)window_s * KMS_NS_PER_S;

    return ahead > window || ahead < -window;
}

/* kms_store_clock_told takes what the store told when our clock showed something from `before` to
 * `after` (all in nanoseconds since 1970). False: that is too long to be of use, or our clock was
 * set meanwhile; what was known stays. */
bool kms_store_clock_told(struct kms_store_clock *c, int64_t before, int64_t theirs, int64_t after);

/* kms_store_clock_learn asks the store, at most `tries` times until it is quick enough to be of
 * use. FAILED: it was not, or what the database says; what was known before stays. */
enum kms_store_rc kms_store_clock_learn(struct kms_store_clock *c, struct kms_store *s,
                                        unsigned tries, struct kms_store_err *err);

#endif
