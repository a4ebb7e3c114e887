/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker counts. Each tally has one writer, so that counting is a load and a store: no lock,
 * no locked instruction, no cache line that workers share. Readers add the tallies up when somebody
 * asks. Labels are fixed sets of words; nothing of a message, an identity or an address comes here.
 */
#ifndef KMS_TALLY_H
#define KMS_TALLY_H

#include <stdatomic.h>

#include <mikeyticket/err.h>

#include "config.h"

/* X(NAME, word in the log) */
#define KMS_OUTCOMES(X)                                                   \
    X(ANSWERED, "answered")   /* REQUEST_RESP or RESOLVE_RESP */          \
    X(REPEATED, "repeated")   /* the answer given before, once more */    \
    X(REFUSED, "refused")     /* an Error message, or silence */          \
    X(MALFORMED, "malformed") /* no message that we know */               \
    X(LIMITED, "limited")     /* too many from this source or identity */ \
    X(DENIED, "denied")       /* from a network that may not ask */       \
    X(BUSY, "busy")           /* replay cache full, or a failure of ours */

enum kms_outcome {
#define KMS_OUTCOME_ENUM(name, word) KMS_##name,
    KMS_OUTCOMES(KMS_OUTCOME_ENUM)
#undef KMS_OUTCOME_ENUM
        KMS_OUTCOME_COUNT
};

#define KMS_STAGES_MAX 16 /* of the pipeline */
#define KMS_TOOK_BUCKETS 12

struct kms_tally {
    _Atomic uint64_t outcomes[KMS_TRANSPORT_COUNT][KMS_OUTCOME_COUNT];
    _Atomic uint64_t ended_at[KMS_STAGES_MAX]; /* by stage, those that were not answered */
    _Atomic uint64_t reasons[MKT_RC_COUNT]; /* likewise, by why; MKT_OK: no reason of a message */
    _Atomic uint64_t took[KMS_TOOK_BUCKETS + 1]; /* by processing time; the last: longer than all */
    _Atomic uint64_t took_ns;                    /* the sum of it */
};

/* Upper ends of `took`, in nanoseconds. */
extern const uint32_t kms_took_ns[KMS_TOOK_BUCKETS];

/* kms_count adds n to a number that this thread alone writes. */
static inline void
kms_count(_Atomic uint64_t *number, uint64_t n)
{
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* kms_tally_took counts a request that took so many nanoseconds. */
void kms_tally_took(struct kms_tally *t, int64_t ns);

/* kms_tally_add adds from to sum, which no other thread uses. */
void kms_tally_add(struct kms_tally *sum, const struct kms_tally *from);

/* kms_tally_outcome adds up one outcome over all transports. */
uint64_t kms_tally_outcome(const struct kms_tally *t, enum kms_outcome outcome);

/* kms_outcome_word returns "answered" and the like. */
const char *kms_outcome_word(enum kms_outcome outcome);

/* kms_transport_word returns "udp" or "http". */
const char *kms_transport_word(enum kms_transport transport);

#endif
