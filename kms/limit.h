/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets (RFC 6043 12.3): so many requests a second and so many at once for each key. The
 * table has a fixed size; a key that has not asked for long gives way, and a full bucket is all
 * that is lost with it. */
#ifndef KMS_LIMIT_H
#define KMS_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include <mikeyticket/base.h>

/* One bucket. Times are in nanoseconds of a clock that does not jump. */
struct kms_bucket {
    int64_t tokens_ns; /* tokens as the time it takes to earn them */
    int64_t last_ns;
};

/* kms_bucket_take takes a token when there is one. rate: a second; burst: the most at once. */
bool kms_bucket_take(struct kms_bucket *b, uint32_t rate, uint32_t burst, int64_t now_ns);

struct kms_limit; /* opaque, owned; any number of threads */

/* kms_limit_new makes a table for rate > 0; NULL when memory or the generator fails. */
struct kms_limit *kms_limit_new(uint32_t rate, uint32_t burst);
void kms_limit_free(struct kms_limit *l);

/* kms_limit_allow takes a token of key's bucket. l = NULL: no limit. */
bool kms_limit_allow(struct kms_limit *l, struct mkt_span key, int64_t now_ns);

#endif
