/* SPDX-License-Identifier: Apache-2.0 */
/* For each kind an open table of credentials, both under one lock, that doubles up to its capacity.
 *
 * Values are accepted only when the store says that they may have been: it is told some more of
 * them in advance. After a crash everything up to that mark counts as used, so no message is
 * accepted twice, and a client loses at most those. A clean stop writes what was really used.
 * Whoever writes writes for all who wait as well: when it is our clock that is wrong, every client
 * is ahead.
 *
 * Counters are never dropped: a dropped one would make every old message fresh again. Marks of
 * stamps are dropped when their time has passed: a start after that refuses the messages as older
 * than itself. Those that were loaded stay until the clock window has passed as well, since their
 * messages are in no replay cache. */
#include "marks.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "hash.h"

#define LEAST_MASK 63
#define WISHES 256 /* a full lane */
#define TIDY_S 60  /* how often what has passed is looked for, at least */

static const uint64_t more[KMS_MARK_KINDS] = {
    [KMS_MARK_COUNTER] = KMS_COUNTER_MORE, [KMS_MARK_STAMP] = KMS_STAMP_MORE
};

struct entry {
    uint64_t serial;
    uint64_t next;     /* the lowest acceptable value */
    uint64_t end;      /* behind the greatest one that was taken */
    uint64_t asked;    /* the first value that the store was not told */
    uint64_t reserved; /* the first one that it does not know: less while it writes */
    bool taken;
};

struct table {
    struct entry *entries;
    uint32_t mask, count;
};

struct kms_marks {
    int64_t former;          /* the latest mark of a stamp that was loaded; 0: none */
    pthread_mutex_t lock;    /* of the tables */
    pthread_mutex_t writing; /* of the store: marks only ever grow */
    struct kms_store *store;
    struct kms_hash_key key;
    uint32_t capacity;
    struct table of[KMS_MARK_KINDS];
    int64_t window, tidy_at;        /* seconds; since 1970 */
    bool former_over;               /* the clock window has passed since all that were loaded */
    struct kms_mark wishes[WISHES]; /* values that wait for a mark */
    size_t n_wishes;
    struct kms_mark batch[WISHES + 1]; /* whoever writes has it */
};

struct kms_marks *
kms_marks_new(uint32_t capacity, uint32_t window_s, struct kms_store *store)
{
    struct kms_marks *m = calloc(1, sizeof *m);
    bool ok;

    if (m == NULL)
        return NULL;
    m->capacity = capacity;
    m->window = window_s;
    m->store = store;
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->writing, NULL);
    ok = mkt_crypto_random(NULL, (uint8_t *)&m->key, sizeof m->key);
    for (int kind = 0; ok && kind < KMS_MARK_KINDS; kind++) {
        m->of[kind].mask = LEAST_MASK;
        m->of[kind].entries = calloc(LEAST_MASK + 1, sizeof *m->of[kind].entries);
        ok = m->of[kind].entries != NULL;
    }
    if (ok)
        return m;
    kms_marks_free(m);
    return NULL;
}

void
kms_marks_free(struct kms_marks *m)
{
    if (m == NULL)
        return;
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->writing);
    for (int kind = 0; kind < KMS_MARK_KINDS; kind++)
        free(m->of[kind].entries);
    free(m);
}

static struct entry *
place(const struct kms_marks *m, const struct table *t, uint64_t serial)
{
    uint32_t i = (uint32_t)kms_hash(&m->key, (const uint8_t *)&serial, sizeof serial) & t->mask;

    while (t->entries[i].taken && t->entries[i].serial != serial)
        i = (i + 1) & t->mask;
    return &t->entries[i];
}

/* Whether the time of all values before `end` has passed. */
static bool
passed(enum kms_mark_kind kind, uint64_t end, int64_t now)
{
    return kind == KMS_MARK_STAMP && (int64_t)end <= now;
}

static bool
needed(const struct kms_marks *m, enum kms_mark_kind kind, const struct entry *e, int64_t now)
{
    return e->taken && (!passed(kind, e->asked, now) || (e->next > 0 && !m->former_over));
}

/* A new table of what is needed, with room for half as much again. */
static bool
rebuild(struct kms_marks *m, enum kms_mark_kind kind, int64_t now)
{
    struct table *old = &m->of[kind], t = { .mask = LEAST_MASK };

    for (uint32_t i = 0; i <= old->mask; i++)
        t.count += needed(m, kind, &old->entries[i], now);
    while (t.mask / 3 < t.count)
        t.mask = 2 * t.mask + 1;
    t.entries = calloc((size_t)t.mask + 1, sizeof *t.entries);
    if (t.entries == NULL)
        return false;
    for (uint32_t i = 0; i <= old->mask; i++)
        if (needed(m, kind, &old->entries[i], now))
            *place(m, &t, old->entries[i].serial) = old->entries[i];
    free(old->entries);
    *old = t;
    return true;
}

/* The entry of a credential, made when there is none; NULL when there is no room. */
static struct entry *
entry_of(struct kms_marks *m, enum kms_mark_kind kind, uint64_t serial, int64_t now)
{
    struct table *t = &m->of[kind];
    struct entry *e = place(m, t, serial);
    bool untidy = kind == KMS_MARK_STAMP && now >= m->tidy_at;

    if (e->taken)
        return e;
    if (untidy)
        m->tidy_at = now + TIDY_S;
    if ((untidy || 2 * t->count > t->mask) && !rebuild(m, kind, now))
        return NULL;
    if (t->count >= m->capacity)
        return NULL;
    e = place(m, t, serial);
    *e = (struct entry){ .serial = serial, .taken = true };
    t->count++;
    return e;
}

struct loading {
    struct kms_marks *m;
    int64_t from, upto;
};

static bool
take_mark(void *ctx, const struct kms_mark *mark)
{
    const struct loading *l = ctx;
    int64_t second = (int64_t)mark->mark;
    bool stamp = mark->kind == KMS_MARK_STAMP;
    struct entry *e;

    if (stamp && (second < l->from || second > l->upto))
        return true;
    e = entry_of(l->m, mark->kind, mark->serial, l->from);
    if (e == NULL)
        return false;
    e->next = e->end = e->asked = e->reserved = mark->mark + 1;
    if (stamp && second > l->m->former)
        l->m->former = second;
    return true;
}

enum kms_store_rc
kms_marks_load(struct kms_marks *m, int64_t from, int64_t upto, struct kms_store_err *err)
{
    struct loading l = { m, from, upto };
    const struct kms_sink sink = { .mark = take_mark, .ctx = &l };

    return m->store->ops->read(m->store, &sink, false, err);
}

enum kms_replay_rc
kms_marks_enter(struct kms_marks *m, enum kms_mark_kind kind, uint64_t serial, uint64_t value)
{
    enum kms_replay_rc rc = KMS_FRESH;
    struct entry *e;

    pthread_mutex_lock(&m->lock);
    e = place(m, &m->of[kind], serial);
    if (e->taken && value < e->next)
        rc = kind == KMS_MARK_COUNTER ? KMS_SEEN : KMS_FORGOTTEN;
    else if (!e->taken || value >= e->reserved)
        rc = KMS_UNRESERVED;
    else if (value >= e->end)
        e->end = value + 1;
    if (rc == KMS_FRESH && kind == KMS_MARK_COUNTER)
        e->next = e->end;
    if (rc == KMS_UNRESERVED && m->n_wishes < WISHES)
        m->wishes[m->n_wishes++] = (struct kms_mark){ kind, serial, value };
    pthread_mutex_unlock(&m->lock);
    return rc;
}

bool
kms_marks_spent(struct kms_marks *m, uint64_t serial, int64_t second)
{
    const struct entry *e;
    bool spent;

    if (second > m->former)
        return false;
    pthread_mutex_lock(&m->lock);
    e = place(m, &m->of[KMS_MARK_STAMP], serial);
    spent = m->former_over || (e->taken && (uint64_t)second < e->next);
    pthread_mutex_unlock(&m->lock);
    return spent;
}

/* Puts into the batch what the store must know before a value is accepted, if it does not. False
 * when there is no room. */
static bool
ask(struct kms_marks *m, const struct kms_mark *wish, int64_t now, size_t *n)
{
    uint64_t mark = wish->mark + more[wish->kind];
    struct entry *e;

    if (passed(wish->kind, mark + 1, now))
        return true; /* it waited too long */
    e = entry_of(m, wish->kind, wish->serial, now);
    if (e == NULL || wish->mark < e->asked)
        return e != NULL;
    e->asked = mark + 1;
    m->batch[(*n)++] = (struct kms_mark){ wish->kind, wish->serial, mark };
    return true;
}

/* Of one credential there may be several, each greater than the one before. */
static void
note_answer(struct kms_marks *m, size_t n, bool written)
{
    for (size_t i = 0; i < n; i++) {
        const struct kms_mark *b = &m->batch[i];
        struct entry *e = place(m, &m->of[b->kind], b->serial);

        if (written)
            e->reserved = b->mark + 1;
        else
            e->asked = e->reserved;
    }
}

enum kms_store_rc
kms_marks_reserve(struct kms_marks *m, enum kms_mark_kind kind, uint64_t serial, uint64_t value,
                  int64_t now, struct kms_store_err *err)
{
    const struct kms_mark wish = { kind, serial, value };
    enum kms_store_rc rc = KMS_STORE_OK;
    size_t n = 0;
    bool room;

    pthread_mutex_lock(&m->writing);
    pthread_mutex_lock(&m->lock);
    m->former_over = m->former_over || now > m->former + m->window;
    room = ask(m, &wish, now, &n);
    for (size_t i = 0; n > 0 && i < m->n_wishes; i++)
        (void)ask(m, &m->wishes[i], now, &n);
    if (n > 0)
        m->n_wishes = 0;
    pthread_mutex_unlock(&m->lock);
    if (n > 0) {
        rc = m->store->ops->marks(m->store, m->batch, n, now, err);
        pthread_mutex_lock(&m->lock);
        note_answer(m, n, rc == KMS_STORE_OK);
        pthread_mutex_unlock(&m->lock);
    }
    pthread_mutex_unlock(&m->writing);
    if (!room)
        return kms_store_fail(err, KMS_STORE_FAILED, "no room for another mark");
    return rc;
}

/* Those that say more than what was taken. */
static size_t
unsettled(const struct kms_marks *m, enum kms_mark_kind kind, struct kms_mark *marks)
{
    const struct table *t = &m->of[kind];
    size_t n = 0;

    for (uint32_t i = 0; i <= t->mask; i++) {
        const struct entry *e = &t->entries[i];

        if (e->taken && e->end > 0 && e->end < e->reserved)
            marks[n++] = (struct kms_mark){ kind, e->serial, e->end - 1 };
    }
    return n;
}

enum kms_store_rc
kms_marks_settle(struct kms_marks *m, int64_t now, struct kms_store_err *err)
{
    struct kms_mark *marks;
    enum kms_store_rc rc;
    size_t n = 1;

    for (int kind = 0; kind < KMS_MARK_KINDS; kind++)
        n += m->of[kind].count;
    marks = calloc(n, sizeof *marks);
    if (marks == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    n = 0;
    for (int kind = 0; kind < KMS_MARK_KINDS; kind++)
        n += unsettled(m, (enum kms_mark_kind)kind, marks + n);
    rc = n == 0 ? KMS_STORE_OK : m->store->ops->marks(m->store, marks, n, now, err);
    free(marks);
    return rc;
}
