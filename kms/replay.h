/* SPDX-License-Identifier: Apache-2.0 */
/* The replay cache (RFC 3830 5.4, RFC 6043 12.4): remembers each authenticated message until its
 * timestamp has left the clock window. Every operation is O(1); memory is bounded; when it is full
 * new messages are refused, because forgetting a valid entry would let a replay through.
 *
 * A message that would have been forgotten already is refused too: at start everything stamped
 * before the start (the memory is empty), and after a jump of the clock everything that expired
 * meanwhile. For COUNTER timestamps, and those that lie in the future, see marks.h. */
#ifndef KMS_REPLAY_H
#define KMS_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include <mikeyticket/base.h>

#define KMS_FINGERPRINT 16 /* octets compared: the MAC's first ones */

enum kms_replay_rc {
    KMS_FRESH,
    KMS_SEEN,      /* a replay */
    KMS_FORGOTTEN, /* too old for us to know */
    KMS_FULL,
    KMS_UNRESERVED /* the store must know of it first: marks.h */
};

struct kms_replay; /* opaque, owned; any number of threads */

/* kms_replay_new makes a cache for `capacity` messages with a window of window_s seconds that
 * starts at `now` (seconds since 1970). NULL when memory or the generator fails. */
struct kms_replay *kms_replay_new(uint32_t capacity, uint32_t window_s, int64_t now);
void kms_replay_free(struct kms_replay *r);

/* kms_replay_look tells whether the message is known; nothing is entered, and FULL is not
 * returned. `stamp` is its time in seconds since 1970, `now` ours. */
enum kms_replay_rc kms_replay_look(struct kms_replay *r, struct mkt_span fingerprint, int64_t stamp,
                                   int64_t now);

/* kms_replay_enter remembers an authenticated message; of several callers with the same one
 * exactly one gets FRESH. */
enum kms_replay_rc kms_replay_enter(struct kms_replay *r, struct mkt_span fingerprint,
                                    int64_t stamp, int64_t now);

/* kms_replay_count returns the messages remembered. */
uint64_t kms_replay_count(struct kms_replay *r);

#endif
