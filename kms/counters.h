/* SPDX-License-Identifier: Apache-2.0 */
/* COUNTER timestamps have no time, so no replay cache can forget them: only a value greater than
 * all before of the same credential is fresh (RFC 3830 5.4). The store keeps them over a restart,
 * reserved in advance, so that not even a crash makes a message fresh again. */
#ifndef KMS_COUNTERS_H
#define KMS_COUNTERS_H

#include "replay.h"
#include "store.h"

#define KMS_COUNTER_AHEAD 64 /* values reserved at once */

struct kms_counters; /* opaque, owned; any number of threads */

/* kms_counters_new makes an empty table for at most `capacity` credentials; the store must outlive
 * it and belong to it alone. NULL when memory or the generator fails. */
struct kms_counters *kms_counters_new(uint32_t capacity, struct kms_store *store);
void kms_counters_free(struct kms_counters *c);

/* kms_counters_load reads what the store knows. FAILED also when there is no room for it. */
enum kms_store_rc kms_counters_load(struct kms_counters *c, struct kms_store_err *err);

/* kms_counters_enter takes a value of an authenticated message: FRESH (of several callers with the
 * same one exactly one gets it), SEEN, or UNRESERVED: nothing was taken, reserve it first. */
enum kms_replay_rc kms_counters_enter(struct kms_counters *c, uint64_t serial, uint32_t value);

/* kms_counters_reserve tells the store that values up to value + KMS_COUNTER_AHEAD may be taken,
 * and waits until it is on disk. */
enum kms_store_rc kms_counters_reserve(struct kms_counters *c, uint64_t serial, uint32_t value,
                                       struct kms_store_err *err);

/* kms_counters_settle writes what was really taken. Nothing may be taken any more. */
enum kms_store_rc kms_counters_settle(struct kms_counters *c, struct kms_store_err *err);

#endif
