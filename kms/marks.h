/* SPDX-License-Identifier: Apache-2.0 */
/* Marks: up to which value messages of a credential may have been taken. The replay cache begins
 * empty, and two kinds of timestamps are not older than a start only because they were taken before
 * it: a COUNTER has no time, so that only a value greater than all before is fresh (RFC 3830 5.4);
 * and a clock that is ahead of ours stamps what lies in the future. The store keeps the marks over
 * a restart, reserved in advance, so that not even a crash makes a message fresh again. */
#ifndef KMS_MARKS_H
#define KMS_MARKS_H

#include "replay.h"
#include "store.h"

#define KMS_COUNTER_MORE 64 /* values reserved at once */
#define KMS_STAMP_MORE 5    /* seconds reserved at once */

struct kms_marks; /* opaque, owned; any number of threads */

/* kms_marks_new makes empty tables for at most `capacity` credentials of each kind; stamps may be
 * window_s seconds from the clock. The store must outlive it and belong to it alone. NULL when
 * memory or the generator fails. */
struct kms_marks *kms_marks_new(uint32_t capacity, uint32_t window_s, struct kms_store *store);
void kms_marks_free(struct kms_marks *m);

/* kms_marks_load reads what the store knows: all counters, and of stamps what lies from `from` to
 * `upto` (seconds since 1970). FAILED also when there is no room for it. */
enum kms_store_rc kms_marks_load(struct kms_marks *m, int64_t from, int64_t upto,
                                 struct kms_store_err *err);

/* kms_marks_enter takes a COUNTER, or the second of a stamp that lies in the future, of an
 * authenticated message. FRESH: of several callers with the same COUNTER exactly one gets it; of
 * those with the same second all, whom the replay cache tells apart. SEEN (COUNTER), FORGOTTEN
 * (stamps): it may have been taken before. UNRESERVED: nothing was taken, reserve it first. */
enum kms_replay_rc kms_marks_enter(struct kms_marks *m, enum kms_mark_kind kind, uint64_t serial,
                                   uint64_t value);

/* kms_marks_spent tells whether a stamp, wherever it lies, may have been taken before the start. */
bool kms_marks_spent(struct kms_marks *m, uint64_t serial, int64_t second);

/* kms_marks_reserve tells the store that values somewhat beyond this one may be taken, and beyond
 * those that were UNRESERVED lately, and waits until it is on disk. Marks of stamps that lie before
 * `now` (seconds since 1970) are forgotten. */
enum kms_store_rc kms_marks_reserve(struct kms_marks *m, enum kms_mark_kind kind, uint64_t serial,
                                    uint64_t value, int64_t now, struct kms_store_err *err);

/* kms_marks_settle writes what was really taken. Nothing may be taken any more. */
enum kms_store_rc kms_marks_settle(struct kms_marks *m, int64_t now, struct kms_store_err *err);

#endif
