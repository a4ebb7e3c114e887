/* SPDX-License-Identifier: Apache-2.0 */
/* 16 384 sets of four buckets, a lock for each 256 sets. Within a set the bucket that was used
 * longest ago is given to a new key: it is the one most likely to be full again. */
#include "limit.h"

#include <pthread.h>
#include <stdlib.h>

#include <mikeyticket/env.h>

#include "hash.h"

#define SETS 16384u
#define WAYS 4u
#define LOCKS 64u
#define SECOND 1000000000

struct way {
    uint64_t tag;
    struct kms_bucket bucket;
};

struct kms_limit {
    struct kms_hash_key key;
    uint32_t rate, burst;
    pthread_mutex_t locks[LOCKS];
    struct way ways[SETS][WAYS];
};

bool
kms_bucket_take(struct kms_bucket *b, uint32_t rate, uint32_t burst, int64_t now_ns)
{
    int64_t price = SECOND / (int64_t)rate, full = price * (int64_t)burst;
    int64_t earned = b->tokens_ns + (now_ns - b->last_ns);

    if (b->last_ns == 0 || earned > full)
        earned = full;
    b->last_ns = now_ns;
    b->tokens_ns = earned;
    if (earned < price)
        return false;
    b->tokens_ns -= price;
    return true;
}

struct kms_limit *
kms_limit_new(uint32_t rate, uint32_t burst)
{
    struct kms_limit *l = calloc(1, sizeof *l);

    if (l == NULL || !mkt_crypto_random(NULL, (uint8_t *)&l->key, sizeof l->key)) {
        free(l);
        return NULL;
    }
    l->rate = rate;
    l->burst = burst > 0 ? burst : 1;
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_init(&l->locks[i], NULL);
    return l;
}

void
kms_limit_free(struct kms_limit *l)
{
    if (l == NULL)
        return;
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&l->locks[i]);
    free(l);
}

static struct way *
find_way(struct way *set, uint64_t tag)
{
    struct way *oldest = &set[0];

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].tag == tag)
            return &set[i];
        if (set[i].bucket.last_ns < oldest->bucket.last_ns)
            oldest = &set[i];
    }
    *oldest = (struct way){ tag, { 0, 0 } };
    return oldest;
}

bool
kms_limit_allow(struct kms_limit *l, struct mkt_span key, int64_t now_ns)
{
    uint64_t tag;
    uint32_t set;
    bool ok;

    if (l == NULL)
        return true;
    tag = kms_hash(&l->key, key.p, key.n) | 1; /* 0 is an empty way */
    set = (uint32_t)(tag >> 32) % SETS;
    pthread_mutex_lock(&l->locks[set % LOCKS]);
    ok = kms_bucket_take(&find_way(l->ways[set], tag)->bucket, l->rate, l->burst, now_ns);
    pthread_mutex_unlock(&l->locks[set % LOCKS]);
    return ok;
}
