/* SPDX-License-Identifier: Apache-2.0 */
/* 16 384 sets of four ways, a lock for each 256 sets. Within a set the way that was used longest
 * ago is given to a new key, one that is not locked out before one that is: it is the one most
 * likely to have full buckets. Names are kept for those who were refused only, and by those who
 * find the list free: a flood does not wait for it. */
#include "limit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "hash.h"

#define SETS 16384u
#define WAYS 4u
#define LOCKS 64u
#define REFUSED 256u /* names */
#define SECOND ((int64_t)1000000000)
#define KEPT (3600 * SECOND)

enum interval { PER_SECOND, PER_MINUTE, PER_HOUR, FAILURES, INTERVALS };

/* How much time a token is worth, and how many there are at most. price 0: no limit. */
struct price {
    int64_t price, burst;
};

struct way {
    uint64_t tag; /* 0: empty */
    int64_t used_ns, locked_until_ns;
    struct kms_bucket buckets[INTERVALS];
};

struct refused {
    uint64_t tag, count;
    int64_t last_ns;
    size_t n;
    uint8_t key[KMS_LIMITED_KEY];
};

struct kms_limit {
    struct kms_hash_key key;
    const struct kms_quota *quota;
    pthread_mutex_t locks[LOCKS];
    pthread_mutex_t list; /* of refused */
    struct refused refused[REFUSED];
    struct way ways[SETS][WAYS];
};

/* --- buckets ---------------------------------------------------------------------------------- */

/* Fills the bucket up to now; false when it does not hold the price of one token. */
static bool
fill(struct kms_bucket *b, struct price p, int64_t now_ns)
{
    int64_t earned = b->tokens_ns + (now_ns - b->last_ns), full = p.price * p.burst;

    if (b->last_ns == 0 || earned > full)
        earned = full;
    b->last_ns = now_ns;
    b->tokens_ns = earned;
    return earned >= p.price;
}

static void
spend(struct kms_bucket *b, int64_t price)
{
    b->tokens_ns -= price;
}

bool
kms_bucket_take(struct kms_bucket *b, uint32_t rate, uint32_t burst, int64_t now_ns)
{
    struct price p = { SECOND / (int64_t)rate, burst };

    if (!fill(b, p, now_ns))
        return false;
    spend(b, p.price);
    return true;
}

static struct price
price_of(const struct kms_quota *q, enum interval i)
{
    const uint32_t n[INTERVALS] = { q->rate, q->minute, q->hour, q->failures };
    const int64_t span[INTERVALS] = { SECOND, 60 * SECOND, 3600 * SECOND, q->window_s * SECOND };
    uint32_t burst = q->burst;

    if (n[i] == 0)
        return (struct price){ 0, 0 };
    if (i != PER_SECOND)
        return (struct price){ span[i] / n[i], n[i] };
    return (struct price){ SECOND / n[i], burst > 0 ? burst : 2 * (int64_t)n[i] };
}

/* --- the table -------------------------------------------------------------------------------- */

struct kms_limit *
kms_limit_new(const struct kms_quota *quota)
{
    struct kms_limit *l = calloc(1, sizeof *l);

    if (l == NULL || !mkt_crypto_random(NULL, (uint8_t *)&l->key, sizeof l->key)) {
        free(l);
        return NULL;
    }
    l->quota = quota;
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_init(&l->locks[i], NULL);
    pthread_mutex_init(&l->list, NULL);
    return l;
}

void
kms_limit_free(struct kms_limit *l)
{
    if (l == NULL)
        return;
    for (unsigned i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&l->locks[i]);
    pthread_mutex_destroy(&l->list);
    free(l);
}

static uint64_t
tag_of(const struct kms_limit *l, struct mkt_span key)
{
    return kms_hash(&l->key, key.p, key.n) | 1;
}

static uint32_t
set_of(uint64_t tag)
{
    return (uint32_t)(tag >> 32) % SETS;
}

/* The way of a tag, under the lock of its set; NULL: it has none. */
static struct way *
known_way(struct kms_limit *l, uint64_t tag)
{
    struct way *set = l->ways[set_of(tag)];

    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].tag == tag)
            return &set[i];
    return NULL;
}

static bool
gives_way(const struct way *a, const struct way *b, int64_t now_ns)
{
    bool a_locked = a->locked_until_ns > now_ns, b_locked = b->locked_until_ns > now_ns;

    return a_locked != b_locked ? b_locked : a->used_ns < b->used_ns;
}

static struct way *
find_way(struct kms_limit *l, uint64_t tag, int64_t now_ns)
{
    struct way *found = known_way(l, tag), *set = l->ways[set_of(tag)];

    if (found == NULL) {
        found = &set[0];
        for (unsigned i = 1; i < WAYS; i++)
            if (gives_way(&set[i], found, now_ns))
                found = &set[i];
        *found = (struct way){ .tag = tag };
    }
    found->used_ns = now_ns;
    return found;
}

static void
remember(struct kms_limit *l, uint64_t tag, struct mkt_span key, int64_t now_ns)
{
    struct refused *r = &l->refused[tag / 2 % REFUSED];

    if (pthread_mutex_trylock(&l->list) != 0)
        return;
    if (r->tag != tag) {
        *r = (struct refused){ .tag = tag, .n = key.n < sizeof r->key ? key.n : sizeof r->key };
        memcpy(r->key, key.p, r->n);
    }
    r->count++;
    r->last_ns = now_ns;
    pthread_mutex_unlock(&l->list);
}

/* --- use -------------------------------------------------------------------------------------- */

static bool
take_all(struct way *w, const struct kms_quota *q, int64_t now_ns)
{
    struct price prices[FAILURES];
    bool ok = w->locked_until_ns <= now_ns;

    for (enum interval i = PER_SECOND; i < FAILURES; i++) {
        prices[i] = price_of(q, i);
        if (prices[i].price > 0)
            ok = fill(&w->buckets[i], prices[i], now_ns) && ok;
    }
    for (enum interval i = PER_SECOND; ok && i < FAILURES; i++)
        spend(&w->buckets[i], prices[i].price);
    return ok;
}

static bool
unlimited(const struct kms_quota *q)
{
    return q->rate == 0 && q->minute == 0 && q->hour == 0 && q->failures == 0;
}

bool
kms_limit_allow(struct kms_limit *l, struct mkt_span key, int64_t now_ns)
{
    pthread_mutex_t *lock;
    uint64_t tag;
    bool ok;

    if (l == NULL || unlimited(l->quota))
        return true;
    tag = tag_of(l, key);
    lock = &l->locks[set_of(tag) % LOCKS];
    pthread_mutex_lock(lock);
    ok = take_all(find_way(l, tag, now_ns), l->quota, now_ns);
    pthread_mutex_unlock(lock);
    if (!ok)
        remember(l, tag, key, now_ns);
    return ok;
}

bool
kms_limit_failed(struct kms_limit *l, struct mkt_span key, int64_t now_ns)
{
    struct price p;
    pthread_mutex_t *lock;
    struct way *w;
    uint64_t tag;
    bool locks;

    if (l == NULL || l->quota->failures == 0)
        return false;
    p = price_of(l->quota, FAILURES);
    tag = tag_of(l, key);
    lock = &l->locks[set_of(tag) % LOCKS];
    pthread_mutex_lock(lock);
    w = find_way(l, tag, now_ns);
    if (fill(&w->buckets[FAILURES], p, now_ns))
        spend(&w->buckets[FAILURES], p.price);
    locks = w->buckets[FAILURES].tokens_ns < p.price;
    if (locks) {
        w->locked_until_ns = now_ns + l->quota->lockout_s * SECOND;
        w->buckets[FAILURES] = (struct kms_bucket){ 0 }; /* a fresh start, afterwards */
    }
    pthread_mutex_unlock(lock);
    if (locks)
        remember(l, tag, key, now_ns);
    return locks;
}

/* --- for the operator ------------------------------------------------------------------------- */

static int64_t
locked_ns(struct kms_limit *l, uint64_t tag, int64_t now_ns)
{
    pthread_mutex_t *lock = &l->locks[set_of(tag) % LOCKS];
    struct way *w;
    int64_t left;

    pthread_mutex_lock(lock);
    w = known_way(l, tag);
    left = w == NULL || w->locked_until_ns <= now_ns ? 0 : w->locked_until_ns - now_ns;
    pthread_mutex_unlock(lock);
    return left;
}

void
kms_limit_list(struct kms_limit *l, int64_t now_ns,
               void (*each)(void *ctx, const struct kms_limited *who), void *ctx)
{
    pthread_mutex_lock(&l->list);
    for (size_t i = 0; i < REFUSED; i++) {
        const struct refused *r = &l->refused[i];
        struct kms_limited who = { mkt_span(r->key, r->n), r->count, 0 };

        if (r->tag == 0)
            continue;
        who.locked_ns = locked_ns(l, r->tag, now_ns);
        if (who.locked_ns > 0 || now_ns - r->last_ns < KEPT)
            each(ctx, &who);
    }
    pthread_mutex_unlock(&l->list);
}

bool
kms_limit_lift(struct kms_limit *l, struct mkt_span key)
{
    uint64_t tag = tag_of(l, key);
    struct refused *r = &l->refused[tag / 2 % REFUSED];
    pthread_mutex_t *lock = &l->locks[set_of(tag) % LOCKS];
    struct way *w;
    bool known;

    pthread_mutex_lock(&l->list);
    known = r->tag == tag;
    if (known)
        *r = (struct refused){ 0 };
    pthread_mutex_unlock(&l->list);
    pthread_mutex_lock(lock);
    w = known_way(l, tag);
    if (w != NULL)
        *w = (struct way){ 0 };
    pthread_mutex_unlock(lock);
    return known;
}
