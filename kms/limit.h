/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets (RFC 6043 12.3): so many requests a second, a minute and an hour for each source or
 * identity, and a lock-out for a source that fails too often. The table has a fixed size; a key
 * that has not asked for long gives way, and full buckets are all that is lost with it. Those who
 * were refused lately are remembered by name, for the operator. */
#ifndef KMS_LIMIT_H
#define KMS_LIMIT_H

#include <stdatomic.h>
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

/* What one key may do. All may change while the table is in use; 0: no such limit. */
struct kms_quota {
    _Atomic uint32_t rate, burst;        /* requests a second, and at once */
    _Atomic uint32_t minute, hour;       /* requests in that time */
    _Atomic uint32_t failures, window_s; /* so many failures in so long ... */
    _Atomic uint32_t lockout_s;          /* ... lock the key out for so long */
};

struct kms_limit; /* opaque, owned; any number of threads */

/* kms_limit_new makes a table; quota is borrowed. NULL when memory or the generator fails. */
struct kms_limit *kms_limit_new(const struct kms_quota *quota);
void kms_limit_free(struct kms_limit *l);

/* kms_limit_allow takes a token of each of key's buckets, or none. l = NULL: no limit. */
bool kms_limit_allow(struct kms_limit *l, struct mkt_span key, int64_t now_ns);

/* kms_limit_failed counts a failure of key; true when it locks the key out. */
bool kms_limit_failed(struct kms_limit *l, struct mkt_span key, int64_t now_ns);

#define KMS_LIMITED_KEY 128 /* octets of a key that are remembered */

/* Somebody who was refused within the last hour. */
struct kms_limited {
    struct mkt_span key; /* cut at KMS_LIMITED_KEY octets */
    uint64_t refused;    /* how often */
    int64_t locked_ns;   /* how much longer it is locked out; 0: it is not */
};

/* kms_limit_list calls each for up to 256 keys that were refused lately. */
void kms_limit_list(struct kms_limit *l, int64_t now_ns,
                    void (*each)(void *ctx, const struct kms_limited *who), void *ctx);

/* kms_limit_lift gives a key full buckets and ends its lock-out; false when nobody was refused by
 * that key. */
bool kms_limit_lift(struct kms_limit *l, struct mkt_span key);

#endif
