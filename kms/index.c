/* SPDX-License-Identifier: Apache-2.0 */
/* Two open hash tables of record numbers over one arena of records. The arena grows by mremap, so
 * that growing leaves no copy of a key behind; it is kept out of core dumps and, as far as the
 * system allows, out of swap. */
#include "index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <mikeyticket/env.h>

#include "config.h"

#define NONE UINT32_MAX
#define ALIGN 8u

/* A record, followed by identity, psk_id and psk. */
struct record {
    uint32_t same_identity; /* the next credential of this identity */
    uint16_t identity_len;
    uint8_t psk_id_len;
    uint8_t psk_len;
    uint8_t id_type;
    uint8_t octets[];
};

struct tpk_record {
    char id[KMS_TPK_ID_MAX];
    bool current;
    struct mkt_secret key;
};

struct kms_index {
    struct kms_hash_key key;
    uint8_t *arena;
    size_t used, room;
    size_t n;                /* credentials */
    uint32_t *by_psk;        /* offset of the record in units of ALIGN, or NONE */
    uint32_t *by_id;         /* the first credential of the identity */
    size_t mask;             /* of both tables */
    struct tpk_record *tpks; /* the newest last */
    size_t n_tpks, room_tpks;
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
record_at(const struct kms_index *x, uint32_t unit)
{
    return (const struct record *)(const void *)(x->arena + (size_t)unit * ALIGN);
}

static void
show(const struct record *r, struct kms_found *found)
{
    found->identity.type = r->id_type;
    found->identity.data = mkt_span(r->octets, r->identity_len);
    found->psk_id = mkt_span(r->octets + r->identity_len, r->psk_id_len);
    found->psk = mkt_span(r->octets + r->identity_len + r->psk_id_len, r->psk_len);
}

static bool
grow(struct kms_index *x, size_t need)
{
    size_t room = x->room == 0 ? 65536 : x->room;
    void *p;

    while (room - x->used < need)
        room *= 2;
    if (room == x->room)
        return true;
    if (room / ALIGN >= NONE)
        return false;
    p = x->arena == NULL ? map_octets(room) : mremap(x->arena, x->room, room, MREMAP_MAYMOVE);
    if (p == NULL || p == MAP_FAILED)
        return false;
    x->arena = p;
    x->room = room;
    return true;
}

static bool
take_user(void *ctx, const struct kms_user *u)
{
    struct kms_index *x = ctx;
    struct mkt_identity id = kms_identity_of(u->identity);
    size_t psk_id_len = strlen(u->psk_id);
    size_t n = offsetof(struct record, octets) + id.data.n + psk_id_len + u->psk.n;
    struct record *r;

    if (id.data.p == NULL || psk_id_len > KMS_PSK_ID_MAX || u->psk.n < 16 ||
        u->psk.n > MKT_SECRET_MAX)
        return true; /* not written by us: it can belong to nobody */
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    if (!grow(x, n))
        return false;
    r = (struct record *)(void *)(x->arena + x->used);
    r->same_identity = NONE;
    r->identity_len = (uint16_t)id.data.n;
    r->psk_id_len = (uint8_t)psk_id_len;
    r->psk_len = (uint8_t)u->psk.n;
    r->id_type = id.type;
    memcpy(r->octets, id.data.p, id.data.n);
    memcpy(r->octets + id.data.n, u->psk_id, psk_id_len);
    memcpy(r->octets + id.data.n + psk_id_len, u->psk.p, u->psk.n);
    x->used += n;
    x->n++;
    return true;
}

static bool
take_tpk(void *ctx, const struct kms_tpk *t)
{
    struct kms_index *x = ctx;
    struct tpk_record *r;

    if (x->n_tpks == x->room_tpks) {
        size_t old = x->room_tpks * sizeof *r, room = old == 0 ? 4096 : 2 * old;
        void *p = old == 0 ? map_octets(room) : mremap(x->tpks, old, room, MREMAP_MAYMOVE);

        if (p == NULL || p == MAP_FAILED)
            return false;
        x->tpks = p;
        x->room_tpks = room / sizeof *r;
    }
    r = &x->tpks[x->n_tpks];
    if (strlen(t->id) >= sizeof r->id || mkt_secret_set(&r->key, t->key) != MKT_OK)
        return true;
    snprintf(r->id, sizeof r->id, "%s", t->id);
    r->current = t->current;
    x->n_tpks++;
    return true;
}

static size_t
slot_of(const struct kms_index *x, struct mkt_span key)
{
    return (size_t)kms_hash(&x->key, key.p, key.n) & x->mask;
}

static void
enter(struct kms_index *x, uint32_t unit)
{
    struct record *r = (struct record *)(void *)(x->arena + (size_t)unit * ALIGN);
    struct kms_found f, other;
    size_t i;

    show(r, &f);
    for (i = slot_of(x, f.psk_id); x->by_psk[i] != NONE; i = (i + 1) & x->mask)
        ;
    x->by_psk[i] = unit;
    for (i = slot_of(x, f.identity.data); x->by_id[i] != NONE; i = (i + 1) & x->mask) {
        show(record_at(x, x->by_id[i]), &other);
        if (mkt_identity_equal(other.identity, f.identity)) {
            r->same_identity = x->by_id[i];
            break;
        }
    }
    x->by_id[i] = unit;
}

static bool
make_tables(struct kms_index *x)
{
    size_t slots = 64, at = 0;

    while (slots < 2 * x->n)
        slots *= 2;
    x->mask = slots - 1;
    x->by_psk = malloc(slots * sizeof *x->by_psk);
    x->by_id = malloc(slots * sizeof *x->by_id);
    if (x->by_psk == NULL || x->by_id == NULL)
        return false;
    memset(x->by_psk, 0xff, slots * sizeof *x->by_psk);
    memset(x->by_id, 0xff, slots * sizeof *x->by_id);
    while (at < x->used) {
        const struct record *r = (const struct record *)(const void *)(x->arena + at);
        size_t n = offsetof(struct record, octets) + r->identity_len + r->psk_id_len + r->psk_len;

        enter(x, (uint32_t)(at / ALIGN));
        at += (n + ALIGN - 1) / ALIGN * ALIGN;
    }
    return true;
}

enum kms_store_rc
kms_index_build(struct kms_index **index, struct kms_store *s, struct kms_store_err *err)
{
    struct kms_index *x = calloc(1, sizeof *x);
    struct kms_sink sink = { take_user, take_tpk, x };
    enum kms_store_rc rc;

    if (x == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    if (!mkt_crypto_random(NULL, (uint8_t *)&x->key, sizeof x->key))
        rc = kms_store_fail(err, KMS_STORE_FAILED, "the random number generator failed");
    else
        rc = s->ops->read(s, &sink, true, err);
    if (rc == KMS_STORE_OK && !make_tables(x))
        rc = kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    if (rc != KMS_STORE_OK) {
        kms_index_free(x);
        return rc;
    }
    x->locked = (x->arena == NULL || mlock(x->arena, x->used) == 0) &&
                (x->tpks == NULL || mlock(x->tpks, x->room_tpks * sizeof *x->tpks) == 0);
    *index = x;
    return KMS_STORE_OK;
}

void
kms_index_free(struct kms_index *x)
{
    if (x == NULL)
        return;
    if (x->arena != NULL) {
        mkt_wipe(x->arena, x->used);
        munmap(x->arena, x->room);
    }
    if (x->tpks != NULL) {
        mkt_wipe(x->tpks, x->n_tpks * sizeof *x->tpks);
        munmap(x->tpks, x->room_tpks * sizeof *x->tpks);
    }
    free(x->by_psk);
    free(x->by_id);
    free(x);
}

bool
kms_index_by_psk_id(const struct kms_index *x, struct mkt_span psk_id, struct kms_found *found)
{
    for (size_t i = slot_of(x, psk_id); x->by_psk[i] != NONE; i = (i + 1) & x->mask) {
        show(record_at(x, x->by_psk[i]), found);
        if (found->psk_id.n == psk_id.n && memcmp(found->psk_id.p, psk_id.p, psk_id.n) == 0)
            return true;
    }
    return false;
}

bool
kms_index_by_identity(const struct kms_index *x, struct mkt_identity id, struct kms_found *found)
{
    for (size_t i = slot_of(x, id.data); x->by_id[i] != NONE; i = (i + 1) & x->mask) {
        const struct record *r = record_at(x, x->by_id[i]);

        show(r, found);
        if (mkt_identity_equal(found->identity, id))
            return r->same_identity == NONE;
    }
    return false;
}

bool
kms_index_tpk(const struct kms_index *x, struct mkt_span id, int key_len, struct mkt_span *id_found,
              struct mkt_span *key)
{
    for (size_t i = x->n_tpks; i-- > 0;) {
        const struct tpk_record *t = &x->tpks[i];
        struct mkt_span t_id = mkt_span(t->id, strlen(t->id));

        if (id.n == 0 ? !t->current || t->key.n != key_len
                      : t_id.n != id.n || memcmp(t_id.p, id.p, id.n) != 0)
            continue;
        *id_found = t_id;
        *key = mkt_secret_span(&t->key);
        return true;
    }
    return false;
}

size_t
kms_index_users(const struct kms_index *x)
{
    return x->n;
}

size_t
kms_index_tpks(const struct kms_index *x)
{
    return x->n_tpks;
}

bool
kms_index_locked(const struct kms_index *x)
{
    return x->locked;
}

size_t
kms_index_octets(const struct kms_index *x)
{
    return sizeof *x + x->used + 2 * (x->mask + 1) * sizeof *x->by_psk +
           x->n_tpks * sizeof *x->tpks;
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
