/* SPDX-License-Identifier: Apache-2.0 */
/* A tally is an array of numbers and nothing else, so that adding is one loop. */
#include "tally.h"

#define US 1000u
#define MS 1000000u

const uint32_t kms_took_ns[KMS_TOOK_BUCKETS] = {
    10 * US, 20 * US, 50 * US, 100 * US, 200 * US, 500 * US,
    1 * MS,  2 * MS,  5 * MS,  10 * MS,  100 * MS, 1000 * MS,
};

#define NUMBERS (sizeof(struct kms_tally) / sizeof(_Atomic uint64_t))
_Static_assert(NUMBERS * sizeof(_Atomic uint64_t) == sizeof(struct kms_tally), "numbers only");

void
kms_tally_took(struct kms_tally *t, int64_t ns)
{
    size_t i = 0;

    while (i < KMS_TOOK_BUCKETS && ns > (int64_t)kms_took_ns[i])
        i++;
    kms_count(&t->took[i], 1);
    kms_count(&t->took_ns, ns > 0 ? (uint64_t)ns : 0);
}

void
kms_tally_add(struct kms_tally *sum, const struct kms_tally *from)
{
    _Atomic uint64_t *to = (_Atomic uint64_t *)(void *)sum;
    const _Atomic uint64_t *n = (const _Atomic uint64_t *)(const void *)from;

    for (size_t i = 0; i < NUMBERS; i++)
        kms_count(&to[i], atomic_load_explicit(&n[i], memory_order_relaxed));
}

uint64_t
kms_tally_outcome(const struct kms_tally *t, enum kms_outcome outcome)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < KMS_TRANSPORT_COUNT; i++)
        sum += atomic_load_explicit(&t->outcomes[i][outcome], memory_order_relaxed);
    return sum;
}

const char *
kms_outcome_word(enum kms_outcome outcome)
{
    static const char *const words[] = {
#define KMS_OUTCOME_WORD(name, word) word,
        KMS_OUTCOMES(KMS_OUTCOME_WORD)
#undef KMS_OUTCOME_WORD
    };

    return words[outcome];
}

const char *
kms_transport_word(enum kms_transport transport)
{
    return transport == KMS_UDP ? "udp" : "http";
}
