/* SPDX-License-Identifier: Apache-2.0 */
/* The last COUNTER of each credential that uses such timestamps: an open table under one lock that
 * doubles up to its capacity. Entries are never dropped: a dropped one would make every old
 * message fresh again. */
#include "replay.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "hash.h"

struct entry {
    uint64_t id[2]; /* two keyed hashes of the psk-id: it is compared, not shown */
    uint32_t last;
    bool taken;
};

struct kms_counters {
    pthread_mutex_t lock;
    struct kms_hash_key key[2];
    struct entry *entries;
    uint32_t mask, count, capacity;
};

struct kms_counters *
kms_counters_new(uint32_t capacity)
{
    struct kms_counters *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->mask = 63;
    c->capacity = capacity;
    c->entries = calloc(c->mask + 1, sizeof *c->entries);
    if (c->entries == NULL || !mkt_crypto_random(NULL, (uint8_t *)c->key, sizeof c->key)) {
        free(c->entries);
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void
kms_counters_free(struct kms_counters *c)
{
    if (c == NULL)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c->entries);
    free(c);
}

static struct entry *
place(struct entry *entries, uint32_t mask, const uint64_t id[2])
{
    uint32_t i = (uint32_t)id[0] & mask;

    while (entries[i].taken && (entries[i].id[0] != id[0] || entries[i].id[1] != id[1]))
        i = (i + 1) & mask;
    return &entries[i];
}

static bool
widen(struct kms_counters *c)
{
    uint32_t mask = 2 * c->mask + 1;
    struct entry *wider;

    if (2 * c->count <= c->mask)
        return true;
    wider = calloc((size_t)mask + 1, sizeof *wider);
    if (wider == NULL)
        return false;
    for (uint32_t i = 0; i <= c->mask; i++)
        if (c->entries[i].taken)
            *place(wider, mask, c->entries[i].id) = c->entries[i];
    free(c->entries);
    c->entries = wider;
    c->mask = mask;
    return true;
}

static enum kms_replay_rc
visit(struct kms_counters *c, struct mkt_span psk_id, uint32_t value, bool entering)
{
    uint64_t id[2] = { kms_hash(&c->key[0], psk_id.p, psk_id.n),
                       kms_hash(&c->key[1], psk_id.p, psk_id.n) };
    enum kms_replay_rc rc = KMS_FRESH;
    struct entry *e;

    pthread_mutex_lock(&c->lock);
    e = place(c->entries, c->mask, id);
    if (e->taken && value <= e->last) {
        rc = KMS_SEEN;
    } else if (entering && !e->taken) {
        if (c->count >= c->capacity || !widen(c)) {
            rc = KMS_FULL;
        } else {
            e = place(c->entries, c->mask, id);
            *e = (struct entry){ { id[0], id[1] }, value, true };
            c->count++;
        }
    } else if (entering) {
        e->last = value;
    }
    pthread_mutex_unlock(&c->lock);
    return rc;
}

enum kms_replay_rc
kms_counters_look(struct kms_counters *c, struct mkt_span psk_id, uint32_t value)
{
    return visit(c, psk_id, value, false);
}

enum kms_replay_rc
kms_counters_enter(struct kms_counters *c, struct mkt_span psk_id, uint32_t value)
{
    return visit(c, psk_id, value, true);
}
