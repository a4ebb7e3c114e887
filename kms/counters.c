/* SPDX-License-Identifier: Apache-2.0 */
/* The lowest acceptable COUNTER of each credential that uses such timestamps: an open table under
 * one lock that doubles up to its capacity. Entries are never dropped: a dropped one would make
 * every old message fresh again.
 *
 * Values are accepted only when the store says that they may have been: it is told AHEAD values in
 * advance. After a crash everything up to that mark counts as used, so no message is accepted
 * twice, and a client loses at most AHEAD values. A clean stop writes what was really used. */
#include "counters.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "hash.h"

#define AHEAD KMS_COUNTER_AHEAD

struct entry {
    uint64_t serial;
    uint64_t next;     /* the lowest acceptable value */
    uint64_t reserved; /* the first value that the store does not know of */
    bool taken;
};

struct kms_counters {
    pthread_mutex_t lock;    /* of the table */
    pthread_mutex_t writing; /* of the store: marks only ever grow */
    struct kms_store *store;
    struct kms_hash_key key;
    struct entry *entries;
    uint32_t mask, count, capacity;
};

struct kms_counters *
kms_counters_new(uint32_t capacity, struct kms_store *store)
{
    struct kms_counters *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->mask = 63;
    c->capacity = capacity;
    c->store = store;
    c->entries = calloc(c->mask + 1, sizeof *c->entries);
    if (c->entries == NULL || !mkt_crypto_random(NULL, (uint8_t *)&c->key, sizeof c->key)) {
        free(c->entries);
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->writing, NULL);
    return c;
}

void
kms_counters_free(struct kms_counters *c)
{
    if (c == NULL)
        return;
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->writing);
    free(c->entries);
    free(c);
}

static struct entry *
place(const struct kms_counters *c, struct entry *entries, uint32_t mask, uint64_t serial)
{
    uint32_t i = (uint32_t)kms_hash(&c->key, (const uint8_t *)&serial, sizeof serial) & mask;

    while (entries[i].taken && entries[i].serial != serial)
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
            *place(c, wider, mask, c->entries[i].serial) = c->entries[i];
    free(c->entries);
    c->entries = wider;
    c->mask = mask;
    return true;
}

/* The entry of a credential, made when there is none; NULL when there is no room. */
static struct entry *
entry_of(struct kms_counters *c, uint64_t serial)
{
    struct entry *e = place(c, c->entries, c->mask, serial);

    if (e->taken)
        return e;
    if (c->count >= c->capacity || !widen(c))
        return NULL;
    e = place(c, c->entries, c->mask, serial);
    *e = (struct entry){ .serial = serial, .taken = true };
    c->count++;
    return e;
}

static bool
take_mark(void *ctx, const struct kms_mark *mark)
{
    struct entry *e = entry_of(ctx, mark->serial);

    if (e == NULL)
        return false;
    e->next = mark->mark + 1;
    e->reserved = e->next;
    return true;
}

enum kms_store_rc
kms_counters_load(struct kms_counters *c, struct kms_store_err *err)
{
    const struct kms_sink sink = { .mark = take_mark, .ctx = c };

    return c->store->ops->read(c->store, &sink, false, err);
}

enum kms_replay_rc
kms_counters_enter(struct kms_counters *c, uint64_t serial, uint32_t value)
{
    enum kms_replay_rc rc = KMS_FRESH;
    struct entry *e;

    pthread_mutex_lock(&c->lock);
    e = place(c, c->entries, c->mask, serial);
    if (e->taken && value < e->next)
        rc = KMS_SEEN;
    else if (!e->taken || value >= e->reserved)
        rc = KMS_UNRESERVED;
    else
        e->next = (uint64_t)value + 1;
    pthread_mutex_unlock(&c->lock);
    return rc;
}

/* What the store must know before value is accepted; false when it knows enough. */
static bool
needed_mark(struct kms_counters *c, uint64_t serial, uint32_t value, struct kms_mark *mark,
            bool *room)
{
    bool needed;
    struct entry *e;

    pthread_mutex_lock(&c->lock);
    e = entry_of(c, serial);
    *room = e != NULL;
    needed = e != NULL && value >= e->reserved;
    *mark = (struct kms_mark){ serial, (uint64_t)value + AHEAD };
    pthread_mutex_unlock(&c->lock);
    return needed;
}

enum kms_store_rc
kms_counters_reserve(struct kms_counters *c, uint64_t serial, uint32_t value,
                     struct kms_store_err *err)
{
    enum kms_store_rc rc = KMS_STORE_OK;
    struct kms_mark mark;
    bool room;

    pthread_mutex_lock(&c->writing);
    if (needed_mark(c, serial, value, &mark, &room)) {
        rc = c->store->ops->marks(c->store, &mark, 1, err);
        pthread_mutex_lock(&c->lock);
        if (rc == KMS_STORE_OK)
            entry_of(c, serial)->reserved = mark.mark + 1;
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_unlock(&c->writing);
    if (!room)
        return kms_store_fail(err, KMS_STORE_FAILED, "no room for another counter");
    return rc;
}

enum kms_store_rc
kms_counters_settle(struct kms_counters *c, struct kms_store_err *err)
{
    struct kms_mark *marks = calloc((size_t)c->count + 1, sizeof *marks);
    enum kms_store_rc rc;
    size_t n = 0;

    if (marks == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    for (uint32_t i = 0; i <= c->mask; i++) {
        const struct entry *e = &c->entries[i];

        if (e->taken && e->next > 0 && e->next < e->reserved)
            marks[n++] = (struct kms_mark){ e->serial, e->next - 1 };
    }
    rc = n == 0 ? KMS_STORE_OK : c->store->ops->marks(c->store, marks, n, err);
    free(marks);
    return rc;
}
