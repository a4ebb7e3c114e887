/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of keys, credentials and shared TPKs: each an arena of records with two open hash tables
 * of record numbers over it, by the id of the key and by the identity of its owner. Users without
 * PSK are a set whose records have neither id nor key, so that no request matches one. Our own TPKs
 * are few and stand in a list. Arenas grow by mremap, so that growing leaves no copy of a key
 * behind; they are kept out of core dumps and, as far as the system allows, out of swap. */
#include "index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <mikeyticket/env.h>

#include "config.h"

#define NONE UINT32_MAX
#define ALIGN 8u
#define WRAPS_MAX 64 /* of the store key: two for each generation in use, and two are */

/* A record, followed by identity, id and key. */
struct record {
    uint64_t serial;
    uint32_t same_identity; /* the next older key of this identity */
    uint32_t kek;           /* generation that the key is sealed under */
    uint16_t identity_len;
    uint8_t id_len;
    uint8_t key_len;
    uint8_t id_type;
    uint8_t octets[];
};

struct key_set {
    uint8_t *arena;
    size_t used, room;
    size_t n;              /* records */
    uint32_t *by_id;       /* offset of the record in units of ALIGN, or NONE */
    uint32_t *by_identity; /* the newest record of the identity */
    size_t mask;           /* of both tables */
};

struct own_tpk {
    char id[32];
    int64_t generation, starts;
    uint32_t kek;
    uint8_t key_len;
    uint8_t key[KMS_SEALED_MAX];
};

struct kms_index {
    struct kms_hash_key key;
    struct key_set users, unkeyed, shared;
    struct own_tpk *own; /* the newest last */
    size_t n_own, room_own;
    int64_t now;
    int64_t current; /* generation; 0: none */
    struct kms_wrap wraps[WRAPS_MAX];
    size_t n_wraps;
    bool in_clear; /* a key is */
    bool locked;
};

static void *
map_octets(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, n, MADV_DONTDUMP);
    return p;
}

static const struct record *
record_at(const struct key_set *ks, uint32_t unit)
{
    return (const struct record *)(const void *)(ks->arena + (size_t)unit * ALIGN);
}

static struct mkt_identity
identity_of(const struct record *r)
{
    return (struct mkt_identity){ r->id_type, mkt_span(r->octets, r->identity_len) };
}

static struct mkt_span
id_of(const struct record *r)
{
    return mkt_span(r->octets + r->identity_len, r->id_len);
}

static struct kms_sealed
key_of(const struct record *r)
{
    return (struct kms_sealed){ r->kek,
                                mkt_span(r->octets + r->identity_len + r->id_len, r->key_len) };
}

/* Octets of a record with its padding. */
static size_t
record_octets(size_t octets)
{
    return (offsetof(struct record, octets) + octets + ALIGN - 1) / ALIGN * ALIGN;
}

static bool
grow(struct key_set *ks, size_t need)
{
    size_t room = ks->room == 0 ? 65536 : ks->room;
    void *p;

    while (room - ks->used < need)
        room *= 2;
    if (room == ks->room)
        return true;
    if (room / ALIGN >= NONE)
        return false;
    p = ks->arena == NULL ? map_octets(room) : mremap(ks->arena, ks->room, room, MREMAP_MAYMOVE);
    if (p == NULL || p == MAP_FAILED)
        return false;
    ks->arena = p;
    ks->room = room;
    return true;
}

/* Whether what stands in the store was written by us: else it belongs to nobody. */
static bool
sound(size_t id_len, const struct kms_sealed *key)
{
    return id_len <= KMS_PSK_ID_MAX && kms_sealed_len(key) >= 16 &&
           kms_sealed_len(key) <= MKT_SECRET_MAX;
}

static bool
take(struct key_set *ks, const char *identity, const char *key_id, const struct kms_sealed *sealed,
     uint64_t serial)
{
    struct mkt_identity who = kms_identity_of(identity);
    struct mkt_span key = sealed->octets;
    size_t id_len = strlen(key_id), n = record_octets(who.data.n + id_len + key.n);
    struct record *r;

    if (who.data.p == NULL)
        return true; /* not written by us: it can belong to nobody */
    if (!grow(ks, n))
        return false;
    r = (struct record *)(void *)(ks->arena + ks->used);
    r->serial = serial;
    r->same_identity = NONE;
    r->kek = sealed->kek;
    r->identity_len = (uint16_t)who.data.n;
    r->id_len = (uint8_t)id_len;
    r->key_len = (uint8_t)key.n;
    r->id_type = who.type;
    memcpy(r->octets, who.data.p, who.data.n);
    memcpy(r->octets + who.data.n, key_id, id_len);
    if (key.n != 0)
        memcpy(r->octets + who.data.n + id_len, key.p, key.n);
    ks->used += n;
    ks->n++;
    return true;
}

static bool
take_user(void *ctx, const struct kms_user *u)
{
    static const struct kms_sealed none = { 0, { NULL, 0 } };
    struct kms_index *x = ctx;

    if (u->psk_id == NULL)
        return take(&x->unkeyed, u->identity, "", &none, 0);
    x->in_clear = x->in_clear || u->psk.kek == 0;
    return !sound(strlen(u->psk_id), &u->psk) ||
           take(&x->users, u->identity, u->psk_id, &u->psk, u->serial);
}

static bool
take_own(struct kms_index *x, const struct kms_tpk *t)
{
    struct own_tpk *r;

    if (x->n_own == x->room_own) {
        size_t old = x->room_own * sizeof *r, room = old == 0 ? 4096 : 2 * old;
        void *p = old == 0 ? map_octets(room) : mremap(x->own, old, room, MREMAP_MAYMOVE);

        if (p == NULL || p == MAP_FAILED)
            return false;
        x->own = p;
        x->room_own = room / sizeof *r;
    }
    r = &x->own[x->n_own];
    if (strlen(t->id) >= sizeof r->id || !sound(0, &t->key))
        return true;
    snprintf(r->id, sizeof r->id, "%s", t->id);
    r->generation = t->generation;
    r->starts = t->starts;
    r->kek = t->key.kek;
    r->key_len = (uint8_t)t->key.octets.n;
    memcpy(r->key, t->key.octets.p, t->key.octets.n);
    if (t->starts <= x->now && t->generation > x->current)
        x->current = t->generation;
    x->n_own++;
    return true;
}

static bool
take_tpk(void *ctx, const struct kms_tpk *t)
{
    struct kms_index *x = ctx;

    x->in_clear = x->in_clear || t->key.kek == 0;
    if (t->owner == NULL)
        return take_own(x, t);
    return !sound(strlen(t->id), &t->key) || take(&x->shared, t->owner, t->id, &t->key, 0);
}

static bool
take_wrap(void *ctx, const struct kms_wrap *w)
{
    struct kms_index *x = ctx;

    if (x->n_wraps == WRAPS_MAX)
        return false;
    x->wraps[x->n_wraps++] = *w;
    return true;
}

static size_t
slot_of(const struct kms_index *x, const struct key_set *ks, struct mkt_span key)
{
    return (size_t)kms_hash(&x->key, key.p, key.n) & ks->mask;
}

static void
enter(const struct kms_index *x, struct key_set *ks, uint32_t unit)
{
    struct record *r = (struct record *)(void *)(ks->arena + (size_t)unit * ALIGN);
    size_t i;

    if (r->key_len != 0) {
        for (i = slot_of(x, ks, id_of(r)); ks->by_id[i] != NONE; i = (i + 1) & ks->mask)
            ;
        ks->by_id[i] = unit;
    }
    i = slot_of(x, ks, identity_of(r).data);
    for (; ks->by_identity[i] != NONE; i = (i + 1) & ks->mask)
        if (mkt_identity_equal(identity_of(record_at(ks, ks->by_identity[i])), identity_of(r))) {
            r->same_identity = ks->by_identity[i];
            break;
        }
    ks->by_identity[i] = unit;
}

static bool
make_tables(const struct kms_index *x, struct key_set *ks)
{
    size_t slots = 64, at = 0;

    while (slots < 2 * ks->n)
        slots *= 2;
    ks->mask = slots - 1;
    ks->by_id = malloc(slots * sizeof *ks->by_id);
    ks->by_identity = malloc(slots * sizeof *ks->by_identity);
    if (ks->by_id == NULL || ks->by_identity == NULL)
        return false;
    memset(ks->by_id, 0xff, slots * sizeof *ks->by_id);
    memset(ks->by_identity, 0xff, slots * sizeof *ks->by_identity);
    while (at < ks->used) {
        const struct record *r = (const struct record *)(const void *)(ks->arena + at);

        enter(x, ks, (uint32_t)(at / ALIGN));
        at += record_octets((size_t)r->identity_len + r->id_len + r->key_len);
    }
    return true;
}

static bool
lock_octets(const void *p, size_t n)
{
    return p == NULL || mlock(p, n) == 0;
}

/* The vault opens what is new. A key in clear among sealed ones was put there by nobody of ours, or
 * is left over from an interrupted kek init. */
static enum kms_store_rc
admit(struct kms_index *x, struct kms_vault *vault, struct kms_store_err *err)
{
    char why[KMS_KEK_ERR];

    if (!vault->ops->admit(vault, x->wraps, x->n_wraps, why))
        return kms_store_fail(err, KMS_STORE_FAILED, "%s", why);
    if (x->n_wraps > 0 && x->in_clear)
        return kms_store_fail(err, KMS_STORE_FAILED,
                              "a key in the store is not wrapped, others are: run mikey-kmsctl kek "
                              "init to the end");
    return KMS_STORE_OK;
}

enum kms_store_rc
kms_index_build(struct kms_index **index, struct kms_store *s, struct kms_vault *vault, int64_t now,
                struct kms_store_err *err)
{
    struct kms_index *x = calloc(1, sizeof *x);
    struct kms_sink sink = { .user = take_user, .tpk = take_tpk, .ctx = x, .wrap = take_wrap };
    enum kms_store_rc rc;

    if (x == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    x->now = now;
    if (!mkt_crypto_random(NULL, (uint8_t *)&x->key, sizeof x->key))
        rc = kms_store_fail(err, KMS_STORE_FAILED, "the random number generator failed");
    else
        rc = s->ops->read(s, &sink, true, err);
    if (rc == KMS_STORE_OK)
        rc = admit(x, vault, err);
    if (rc == KMS_STORE_OK &&
        (!make_tables(x, &x->users) || !make_tables(x, &x->unkeyed) || !make_tables(x, &x->shared)))
        rc = kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    if (rc != KMS_STORE_OK) {
        kms_index_free(x);
        return rc;
    }
    x->locked = lock_octets(x->users.arena, x->users.used) &&
                lock_octets(x->shared.arena, x->shared.used) &&
                lock_octets(x->own, x->room_own * sizeof *x->own);
    *index = x;
    return KMS_STORE_OK;
}

static void
wipe_set(struct key_set *ks)
{
    if (ks->arena != NULL) {
        mkt_wipe(ks->arena, ks->used);
        munmap(ks->arena, ks->room);
    }
    free(ks->by_id);
    free(ks->by_identity);
}

void
kms_index_free(struct kms_index *x)
{
    if (x == NULL)
        return;
    wipe_set(&x->users);
    wipe_set(&x->unkeyed);
    wipe_set(&x->shared);
    if (x->own != NULL) {
        mkt_wipe(x->own, x->n_own * sizeof *x->own);
        munmap(x->own, x->room_own * sizeof *x->own);
    }
    free(x);
}

static const struct record *
find_id(const struct kms_index *x, const struct key_set *ks, struct mkt_span id)
{
    for (size_t i = slot_of(x, ks, id); ks->by_id[i] != NONE; i = (i + 1) & ks->mask) {
        const struct record *r = record_at(ks, ks->by_id[i]);

        if (r->id_len == id.n && memcmp(id_of(r).p, id.p, id.n) == 0)
            return r;
    }
    return NULL;
}

/* The newest key of the identity. */
static const struct record *
find_identity(const struct kms_index *x, const struct key_set *ks, struct mkt_identity who)
{
    size_t i = slot_of(x, ks, who.data);

    for (; ks->by_identity[i] != NONE; i = (i + 1) & ks->mask) {
        const struct record *r = record_at(ks, ks->by_identity[i]);

        if (mkt_identity_equal(identity_of(r), who))
            return r;
    }
    return NULL;
}

static void
show(const struct record *r, struct kms_found *found)
{
    *found = (struct kms_found){ identity_of(r), id_of(r), key_of(r), r->serial };
}

bool
kms_index_by_psk_id(const struct kms_index *x, struct mkt_span psk_id, struct kms_found *found)
{
    const struct record *r = find_id(x, &x->users, psk_id);

    if (r == NULL)
        return false;
    show(r, found);
    return true;
}

bool
kms_index_by_identity(const struct kms_index *x, struct mkt_identity id, struct kms_found *found)
{
    const struct record *r = find_identity(x, &x->users, id);

    if (r == NULL || r->same_identity != NONE)
        return false;
    show(r, found);
    return true;
}

bool
kms_index_is_user(const struct kms_index *x, struct mkt_identity id)
{
    return id.data.p != NULL &&
           (find_identity(x, &x->users, id) != NULL || find_identity(x, &x->unkeyed, id) != NULL);
}

static void
show_own(const struct own_tpk *t, struct kms_found_tpk *found)
{
    *found = (struct kms_found_tpk){ .id = mkt_span(t->id, strlen(t->id)),
                                     .key = { t->kek, mkt_span(t->key, t->key_len) } };
}

static void
show_shared(const struct record *r, struct kms_found_tpk *found)
{
    *found = (struct kms_found_tpk){ identity_of(r), id_of(r), key_of(r) };
}

/* Levels are not mixed (RFC 6043 12.1): 16 octets are for the one suite, more for the other. */
static bool
fits(size_t key, size_t suite_key)
{
    return suite_key == 16 ? key == 16 : key >= suite_key;
}

static size_t
key_len(const struct record *r)
{
    const struct kms_sealed key = key_of(r);

    return kms_sealed_len(&key);
}

bool
kms_index_tpk(const struct kms_index *x, struct mkt_span id, size_t suite_key,
              struct kms_found_tpk *found)
{
    const struct record *r = find_id(x, &x->shared, id);

    for (size_t i = x->n_own; i-- > 0;) {
        if (strlen(x->own[i].id) != id.n || memcmp(x->own[i].id, id.p, id.n) != 0)
            continue;
        show_own(&x->own[i], found);
        return fits(kms_sealed_len(&found->key), suite_key);
    }
    if (r == NULL)
        return false;
    show_shared(r, found);
    return fits(kms_sealed_len(&found->key), suite_key);
}

bool
kms_index_tpk_of(const struct kms_index *x, struct mkt_identity owner, size_t suite_key,
                 struct kms_found_tpk *found)
{
    const struct record *r = NULL;

    for (size_t i = x->n_own; owner.data.p == NULL && i-- > 0;) {
        show_own(&x->own[i], found);
        if (x->own[i].generation == x->current && fits(kms_sealed_len(&found->key), suite_key))
            return true;
    }
    if (owner.data.p != NULL)
        r = find_identity(x, &x->shared, owner);
    while (r != NULL && !fits(key_len(r), suite_key))
        r = r->same_identity == NONE ? NULL : record_at(&x->shared, r->same_identity);
    if (r == NULL)
        return false;
    show_shared(r, found);
    return true;
}

int64_t
kms_index_due(const struct kms_index *x)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < x->n_own; i++)
        if (x->own[i].starts > x->now && x->own[i].starts < due)
            due = x->own[i].starts;
    return due;
}

size_t
kms_index_users(const struct kms_index *x)
{
    return x->users.n;
}

size_t
kms_index_tpks(const struct kms_index *x)
{
    return x->n_own + x->shared.n;
}

bool
kms_index_locked(const struct kms_index *x)
{
    return x->locked;
}

static size_t
octets_of(const struct key_set *ks)
{
    return ks->used + 2 * (ks->mask + 1) * sizeof *ks->by_id;
}

size_t
kms_index_octets(const struct kms_index *x)
{
    return sizeof *x + octets_of(&x->users) + octets_of(&x->unkeyed) + octets_of(&x->shared) +
           x->n_own * sizeof *x->own;
}

bool
kms_current_init(struct kms_current *c, struct kms_index *index, size_t n_readers)
{
    c->slots = aligned_alloc(64, n_readers * sizeof *c->slots);
    if (c->slots == NULL)
        return false;
    memset(c->slots, 0, n_readers * sizeof *c->slots);
    c->n_slots = n_readers;
    atomic_init(&c->index, index);
    return true;
}

void
kms_current_free(struct kms_current *c)
{
    kms_index_free((struct kms_index *)(uintptr_t)atomic_load(&c->index));
    free(c->slots);
}

void
kms_current_swap(struct kms_current *c, struct kms_index *index)
{
    const struct timespec nap = { 0, 100000 };
    const struct kms_index *old = atomic_exchange(&c->index, index);

    for (size_t i = 0; i < c->n_slots; i++)
        while (atomic_load(&c->slots[i].in_use) == old)
            nanosleep(&nap, NULL);
    kms_index_free((struct kms_index *)(uintptr_t)old);
}
