/* SPDX-License-Identifier: Apache-2.0 */
/* The store read its clock at some moment between two of ours: so what it is ahead by lies between
 * two bounds. What was known before stays while it fits, so that time does not tremble, and a store
 * on this machine is never a nanosecond off. */
#include "store_clock.h"

#define DOUBT_NS (KMS_DOUBT_MS * (int64_t)KMS_NS_PER_MS)

bool
kms_store_clock_told(struct kms_store_clock *c, int64_t before, int64_t theirs, int64_t after)
{
    int64_t least = theirs - after, most = theirs + KMS_STORE_TICK_NS - before;
    int64_t ahead = atomic_load(&c->ahead_ns);

    if (after < before || most - least > DOUBT_NS)
        return false;
    atomic_store(&c->ahead_ns, ahead < least ? least : ahead > most ? most : ahead);
    return true;
}

enum kms_store_rc
kms_store_clock_learn(struct kms_store_clock *c, struct kms_store *s, unsigned tries,
                      struct kms_store_err *err)
{
    for (; tries > 0; tries--) {
        int64_t before = kms_unix_ns(), theirs = 0;
        enum kms_store_rc rc = s->ops->now(s, &theirs, err);

        if (rc != KMS_STORE_OK)
            return rc;
        if (kms_store_clock_told(c, before, theirs, kms_unix_ns()))
            return KMS_STORE_OK;
    }
    return kms_store_fail(err, KMS_STORE_FAILED, "the store takes too long to tell the time");
}
