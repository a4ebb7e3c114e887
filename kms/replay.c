/* SPDX-License-Identifier: Apache-2.0 */
/* Shards, each with a lock of its own, a pool of nodes, a chained hash table, and a wheel with one
 * list for every second in which nodes expire. Time moves the wheel forward; what a slot holds goes
 * back to the pool. Memory is mapped and only touched when used, so a large capacity costs nothing
 * until it is needed. */
#include "replay.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <mikeyticket/env.h>

#include "hash.h"

#define SHARDS 64u
#define NONE 0u /* node numbers start at 1 */

struct node {
    uint8_t fp[KMS_FINGERPRINT];
    uint32_t next;   /* in the hash chain */
    uint32_t expire; /* in the list of the wheel */
};

struct shard {
    _Alignas(64) pthread_mutex_t lock;
    struct node *nodes;
    uint32_t *chains;
    uint32_t *wheel;
    uint32_t used;  /* nodes touched so far; the rest was never used */
    uint32_t free_; /* list of free nodes through `next` */
    uint32_t count;
    int64_t swept; /* everything that expires before this second is gone */
};

struct kms_replay {
    struct shard shards[SHARDS];
    struct kms_hash_key key;
    uint32_t per_shard, mask, slots;
    int64_t window;
    void *block;
    size_t block_len;
};

static size_t
shard_octets(const struct kms_replay *r)
{
    size_t n = ((size_t)r->per_shard + 1) * sizeof(struct node) +
               ((size_t)r->mask + 1 + r->slots) * sizeof(uint32_t);

    return (n + 63) / 64 * 64;
}

static void
lay_out(struct kms_replay *r, int64_t now)
{
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct shard *s = &r->shards[i];
        uint8_t *at = (uint8_t *)r->block + i * shard_octets(r);

        pthread_mutex_init(&s->lock, NULL);
        s->nodes = (struct node *)(void *)at;
        s->chains = (uint32_t *)(void *)(s->nodes + r->per_shard + 1);
        s->wheel = s->chains + r->mask + 1;
        s->used = 0;
        s->free_ = NONE;
        s->count = 0;
        s->swept = now + r->window;
    }
}

struct kms_replay *
kms_replay_new(uint32_t capacity, uint32_t window_s, int64_t now)
{
    struct kms_replay *r = aligned_alloc(64, (sizeof *r + 63) / 64 * 64);

    if (r == NULL)
        return NULL;
    memset(r, 0, sizeof *r);
    r->per_shard = capacity / SHARDS > 0 ? capacity / SHARDS : 1;
    r->mask = 15;
    while (r->mask + 1 < r->per_shard)
        r->mask = 2 * r->mask + 1;
    r->window = window_s;
    r->slots = 2 * window_s + 3; /* from now to a stamp one window ahead, plus its window */
    r->block_len = SHARDS * shard_octets(r);
    r->block = mmap(NULL, r->block_len, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->block == MAP_FAILED || !mkt_crypto_random(NULL, (uint8_t *)&r->key, sizeof r->key)) {
        if (r->block != MAP_FAILED)
            munmap(r->block, r->block_len);
        free(r);
        return NULL;
    }
    lay_out(r, now);
    return r;
}

void
kms_replay_free(struct kms_replay *r)
{
    if (r == NULL)
        return;
    for (uint32_t i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&r->shards[i].lock);
    munmap(r->block, r->block_len);
    free(r);
}

static uint32_t
chain_of(const struct kms_replay *r, const uint8_t *fp)
{
    return (uint32_t)(kms_hash(&r->key, fp, KMS_FINGERPRINT) >> 6) & r->mask;
}

static void
unchain(struct kms_replay *r, struct shard *s, uint32_t n)
{
    uint32_t *link = &s->chains[chain_of(r, s->nodes[n].fp)];

    while (*link != n)
        link = &s->nodes[*link].next;
    *link = s->nodes[n].next;
}

/* Frees what expires before `now`. After a long pause one round of the wheel is enough. */
static void
sweep(struct kms_replay *r, struct shard *s, int64_t now)
{
    int64_t from = s->swept;

    if (now <= from)
        return;
    if (now - from > (int64_t)r->slots)
        from = now - (int64_t)r->slots;
    for (; from < now; from++) {
        uint32_t *slot = &s->wheel[(uint64_t)from % r->slots];

        while (*slot != NONE) {
            uint32_t n = *slot;

            *slot = s->nodes[n].expire;
            unchain(r, s, n);
            s->nodes[n].next = s->free_;
            s->free_ = n;
            s->count--;
        }
    }
    s->swept = now;
}

static bool
known(const struct shard *s, uint32_t chain, const uint8_t *fp)
{
    for (uint32_t n = s->chains[chain]; n != NONE; n = s->nodes[n].next)
        if (memcmp(s->nodes[n].fp, fp, KMS_FINGERPRINT) == 0)
            return true;
    return false;
}

static uint32_t
take_node(struct kms_replay *r, struct shard *s)
{
    uint32_t n = s->free_;

    if (n != NONE) {
        s->free_ = s->nodes[n].next;
        return n;
    }
    return s->used < r->per_shard ? ++s->used : NONE;
}

static enum kms_replay_rc
enter(struct kms_replay *r, struct shard *s, uint32_t chain, const uint8_t *fp, int64_t expires)
{
    uint32_t n = take_node(r, s), *slot = &s->wheel[(uint64_t)expires % r->slots];

    if (n == NONE)
        return KMS_FULL;
    memcpy(s->nodes[n].fp, fp, KMS_FINGERPRINT);
    s->nodes[n].next = s->chains[chain];
    s->chains[chain] = n;
    s->nodes[n].expire = *slot;
    *slot = n;
    s->count++;
    return KMS_FRESH;
}

static enum kms_replay_rc
visit(struct kms_replay *r, struct mkt_span fingerprint, int64_t stamp, int64_t now, bool entering)
{
    uint8_t fp[KMS_FINGERPRINT] = { 0 };
    int64_t expires = stamp + r->window + 1; /* the stamp was cut to whole seconds */
    enum kms_replay_rc rc = KMS_FRESH;
    struct shard *s;
    uint32_t chain;
    uint64_t h;

    memcpy(fp, fingerprint.p, fingerprint.n < sizeof fp ? fingerprint.n : sizeof fp);
    h = kms_hash(&r->key, fp, sizeof fp);
    s = &r->shards[h % SHARDS];
    chain = (uint32_t)(h >> 6) & r->mask;
    pthread_mutex_lock(&s->lock);
    sweep(r, s, now);
    if (expires < s->swept || stamp > now + r->window)
        rc = KMS_FORGOTTEN;
    else if (known(s, chain, fp))
        rc = KMS_SEEN;
    else if (entering)
        rc = enter(r, s, chain, fp, expires);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

enum kms_replay_rc
kms_replay_look(struct kms_replay *r, struct mkt_span fingerprint, int64_t stamp, int64_t now)
{
    return visit(r, fingerprint, stamp, now, false);
}

enum kms_replay_rc
kms_replay_enter(struct kms_replay *r, struct mkt_span fingerprint, int64_t stamp, int64_t now)
{
    return visit(r, fingerprint, stamp, now, true);
}

uint64_t
kms_replay_count(struct kms_replay *r)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&r->shards[i].lock);
        n += r->shards[i].count;
        pthread_mutex_unlock(&r->shards[i].lock);
    }
    return n;
}
