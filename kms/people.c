/* SPDX-License-Identifier: Apache-2.0 */
/* The arena grows by mremap, so that growing leaves no copy of a key behind. The table holds
 * offsets in units of eight octets: it is written without looking at what is there, since the store
 * has made names unique, and read by comparing in the block. */
#include "people.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <mikeyticket/secret.h>

#include "config.h"
#include "memory.h"

#define NONE UINT32_MAX
#define UNIT 8u

/* An item: these four octets, then the octets of an identity, or which credential, psk-id and key.
 */
struct head {
    uint8_t key;   /* 1: a credential */
    uint8_t small; /* type of the identity; octets of the sealed key */
    uint16_t n;    /* octets of the identity or psk-id */
};
_Static_assert(KMS_SEALED_MAX <= UINT8_MAX, "a sealed key and its length");

/* Which credential it is, and the generation its key is sealed under. */
struct which {
    uint64_t serial;
    uint32_t kek;
};
#define WHICH (sizeof(uint64_t) + sizeof(uint32_t)) /* octets of it in an item */

struct kms_people {
    struct kms_hash_key hash;
    unsigned owners;
    struct kms_block arena;
    size_t used;
    size_t last; /* where the last person begins */
    size_t persons, keys, names;
    uint32_t *table;
    size_t mask;
    uint32_t *order;      /* of persons, as they were added */
    uint64_t *overridden; /* open hash table of numbers; 0: empty */
    size_t n_overridden, override_mask;
};

static const struct kms_person *
person_at(const struct kms_people *p, size_t at)
{
    return (const struct kms_person *)(const void *)(p->arena.p + at);
}

static struct kms_person *
last_person(struct kms_people *p)
{
    return (struct kms_person *)(void *)(p->arena.p + p->last);
}

struct kms_people *
kms_people_new(const struct kms_hash_key *hash)
{
    struct kms_people *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->hash = *hash;
    p->owners = 1;
    return p;
}

struct kms_people *
kms_people_share(struct kms_people *p)
{
    if (p != NULL)
        p->owners++;
    return p;
}

void
kms_people_free(struct kms_people *p)
{
    if (p == NULL || --p->owners > 0)
        return;
    kms_block_free(&p->arena, p->used);
    free(p->table);
    free(p->order);
    free(p->overridden);
    free(p);
}

/* --- adding -------------------------------------------------------------------------------------
 */

/* Room behind the last person, in whole units. */
static uint8_t *
extend(struct kms_people *p, size_t items_end, size_t n)
{
    size_t end = p->last + offsetof(struct kms_person, octets) + items_end + n;
    size_t used = (end + UNIT - 1) / UNIT * UNIT;

    if (used / UNIT >= NONE || !kms_block_grow(&p->arena, used))
        return NULL;
    memset(p->arena.p + p->used, 0, used - p->used);
    p->used = used;
    last_person(p)->units = (uint32_t)((used - p->last) / UNIT);
    return last_person(p)->octets + items_end;
}

/* Where the items of a person end: a head of nothing, or the end of the block. */
static size_t
items_end(const struct kms_person *person)
{
    struct kms_item item;
    size_t at = 0;

    while (kms_person_item(person, &at, &item))
        ;
    return at;
}

static bool
add_identity(struct kms_people *p, struct mkt_identity id)
{
    const struct head h = { 0, id.type, (uint16_t)id.data.n };
    uint8_t *to = extend(p, items_end(last_person(p)), sizeof h + id.data.n);

    if (to == NULL)
        return false;
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, id.data.p, id.data.n);
    p->names++;
    return true;
}

static bool
add_key(struct kms_people *p, const struct kms_user *row)
{
    const struct mkt_span key = row->psk.octets;
    const struct which w = { row->serial, row->psk.kek };
    size_t n = strlen(row->psk_id);
    const struct head h = { 1, (uint8_t)key.n, (uint16_t)n };
    uint8_t *to = extend(p, items_end(last_person(p)), sizeof h + WHICH + n + key.n);

    if (to == NULL)
        return false;
    memcpy(to, &h, sizeof h);
    memcpy(to + sizeof h, &w, WHICH);
    memcpy(to + sizeof h + WHICH, row->psk_id, n);
    memcpy(to + sizeof h + WHICH + n, key.p, key.n);
    last_person(p)->keys++;
    p->names++;
    p->keys++;
    return true;
}

/* Beyond 2106 is as good as never; what is negative has long expired. */
static uint32_t
clamp(int64_t expires)
{
    return expires < 0 ? 1 : expires > UINT32_MAX ? 0 : (uint32_t)expires;
}

static bool
begin_person(struct kms_people *p, const struct kms_user *row, struct mkt_identity id)
{
    p->last = p->used;
    if (!kms_block_grow(&p->arena, p->used + sizeof(struct kms_person)))
        return false;
    *last_person(p) = (struct kms_person){ .number = row->number,
                                           .expires = clamp(row->expires),
                                           .realm = (uint16_t)row->realm_number,
                                           .suspended = row->suspended };
    p->used += sizeof(struct kms_person);
    last_person(p)->units = sizeof(struct kms_person) / UNIT;
    p->persons++;
    return add_identity(p, id);
}

/* Whether a credential was written by us. */
static bool
sound(const struct kms_user *row)
{
    size_t n = kms_sealed_len(&row->psk);

    return row->psk_id[0] != '\0' && strlen(row->psk_id) <= KMS_PSK_ID_MAX && n >= 16 &&
           n <= MKT_SECRET_MAX;
}

bool
kms_people_take(struct kms_people *p, const struct kms_user *row)
{
    struct mkt_identity id = kms_identity_of(row->identity);

    if (id.data.p == NULL || id.data.n > MKT_ID_MAX || row->number == 0)
        return true;
    if ((p->persons == 0 || last_person(p)->number != row->number) && !begin_person(p, row, id))
        return false;
    return row->psk_id == NULL || !sound(row) || add_key(p, row);
}

bool
kms_people_alias(struct kms_people *p, const char *identity)
{
    struct mkt_identity id = kms_identity_of(identity);

    return id.data.p == NULL || id.data.n > MKT_ID_MAX || p->persons == 0 || add_identity(p, id);
}

bool
kms_people_copy(struct kms_people *p, const struct kms_person *person)
{
    size_t n = (size_t)person->units * UNIT, at = 0;
    struct kms_item item;

    if ((p->used + n) / UNIT >= NONE || !kms_block_grow(&p->arena, p->used + n))
        return false;
    p->last = p->used;
    memcpy(p->arena.p + p->used, person, n);
    p->used += n;
    p->persons++;
    p->keys += person->keys;
    while (kms_person_item(person, &at, &item))
        p->names++;
    return true;
}

/* --- numbers that do not hold elsewhere ---------------------------------------------------------
 */

static size_t
place_of(const struct kms_people *p, uint64_t number)
{
    size_t i = (size_t)(number * 0x9e3779b97f4a7c15u >> 20) & p->override_mask;

    while (p->overridden[i] != 0 && p->overridden[i] != number)
        i = (i + 1) & p->override_mask;
    return i;
}

static bool
grow_overridden(struct kms_people *p)
{
    size_t room = p->overridden == NULL ? 0 : p->override_mask + 1;
    size_t wanted = room == 0 ? 64 : 2 * room;
    uint64_t *old = p->overridden, *grown = calloc(wanted, sizeof *grown);

    if (grown == NULL)
        return false;
    p->overridden = grown;
    p->override_mask = wanted - 1;
    for (size_t i = 0; i < room; i++)
        if (old[i] != 0)
            grown[place_of(p, old[i])] = old[i];
    free(old);
    return true;
}

bool
kms_people_override(struct kms_people *p, uint64_t number)
{
    size_t i;

    if ((p->overridden == NULL || 2 * p->n_overridden > p->override_mask) && !grow_overridden(p))
        return false;
    i = place_of(p, number);
    p->n_overridden += p->overridden[i] == 0;
    p->overridden[i] = number;
    return true;
}

bool
kms_people_overrides(const struct kms_people *p, uint64_t number)
{
    return p->n_overridden > 0 && p->overridden[place_of(p, number)] != 0;
}

bool
kms_people_override_all(struct kms_people *p, const struct kms_people *from)
{
    for (size_t i = 0; from->overridden != NULL && i <= from->override_mask; i++)
        if (from->overridden[i] != 0 && !kms_people_override(p, from->overridden[i]))
            return false;
    return true;
}

size_t
kms_people_overridden(const struct kms_people *p)
{
    return p->n_overridden;
}

/* --- the table ----------------------------------------------------------------------------------
 */

static size_t
slot_of(const struct kms_people *p, struct mkt_span name)
{
    return (size_t)kms_hash(&p->hash, name.p, name.n) & p->mask;
}

static struct mkt_span
name_of(const struct kms_item *item)
{
    return item->key ? item->psk_id : item->identity.data;
}

/* Names that wait for their place in the table to come from memory. */
#define AHEAD 16u

struct entering {
    size_t n;
    struct {
        size_t slot;
        uint32_t unit;
    } waiting[AHEAD];
};

static void
enter_first(struct kms_people *p, const struct entering *e, size_t n)
{
    size_t i = e->waiting[n % AHEAD].slot;

    while (p->table[i] != NONE)
        i = (i + 1) & p->mask;
    p->table[i] = e->waiting[n % AHEAD].unit;
}

static void
enter(struct kms_people *p, struct entering *e, const struct kms_person *person, uint32_t unit)
{
    struct kms_item item;
    size_t at = 0;

    while (kms_person_item(person, &at, &item)) {
        size_t slot = slot_of(p, name_of(&item));

        if (e->n >= AHEAD)
            enter_first(p, e, e->n);
        __builtin_prefetch(&p->table[slot], 1);
        e->waiting[e->n % AHEAD].slot = slot;
        e->waiting[e->n % AHEAD].unit = unit;
        e->n++;
    }
}

bool
kms_people_seal(struct kms_people *p, bool *locked)
{
    struct entering e = { 0 };
    size_t slots = 64, n = 0;

    while (slots < 2 * p->names)
        slots *= 2;
    p->mask = slots - 1;
    p->table = aligned_alloc(64, slots * sizeof *p->table);
    p->order = malloc((p->persons + 1) * sizeof *p->order);
    if (p->table == NULL || p->order == NULL)
        return false;
    memset(p->table, 0xff, slots * sizeof *p->table);
    for (size_t at = 0; at < p->used; at += (size_t)person_at(p, at)->units * UNIT) {
        enter(p, &e, person_at(p, at), (uint32_t)(at / UNIT));
        p->order[n++] = (uint32_t)(at / UNIT);
    }
    for (size_t i = e.n < AHEAD ? 0 : e.n - AHEAD; i < e.n; i++)
        enter_first(p, &e, i);
    *locked = kms_block_lock(&p->arena, p->used);
    return true;
}

bool
kms_person_item(const struct kms_person *person, size_t *at, struct kms_item *item)
{
    size_t room = (size_t)person->units * UNIT - offsetof(struct kms_person, octets);
    const uint8_t *from = person->octets + *at;
    struct which w;
    struct head h;

    if (*at + sizeof h > room)
        return false;
    memcpy(&h, from, sizeof h);
    if (h.n == 0) /* padding: no name is empty */
        return false;
    from += sizeof h;
    *at += sizeof h + h.n;
    item->key = h.key != 0;
    if (!item->key) {
        item->identity = (struct mkt_identity){ h.small, mkt_span(from, h.n) };
        return true;
    }
    memcpy(&w, from, WHICH);
    item->serial = w.serial;
    item->psk_id = mkt_span(from + WHICH, h.n);
    item->psk = (struct kms_sealed){ w.kek, mkt_span(from + WHICH + h.n, h.small) };
    *at += WHICH + h.small;
    return true;
}

/* The person who has an item of that name and kind. */
static const struct kms_person *
find(const struct kms_people *p, bool key, struct mkt_span name, uint8_t type,
     struct kms_item *item)
{
    if (p->table == NULL || name.n == 0)
        return NULL;
    for (size_t i = slot_of(p, name); p->table[i] != NONE; i = (i + 1) & p->mask) {
        const struct kms_person *person = person_at(p, (size_t)p->table[i] * UNIT);
        size_t at = 0;

        while (kms_person_item(person, &at, item))
            if (item->key == key && (key || item->identity.type == type) &&
                name_of(item).n == name.n && memcmp(name_of(item).p, name.p, name.n) == 0)
                return person;
    }
    return NULL;
}

const struct kms_person *
kms_people_by_psk_id(const struct kms_people *p, struct mkt_span psk_id, struct kms_item *item)
{
    return find(p, true, psk_id, 0, item);
}

const struct kms_person *
kms_people_by_identity(const struct kms_people *p, struct mkt_identity id, struct kms_item *item)
{
    return find(p, false, id.data, id.type, item);
}

const struct kms_person *
kms_people_next(const struct kms_people *p, const struct kms_person *last)
{
    size_t at = last == NULL
                    ? 0
                    : (size_t)((const uint8_t *)last - p->arena.p) + (size_t)last->units * UNIT;

    return at < p->used ? person_at(p, at) : NULL;
}

static size_t
keys_of(const struct kms_people *p, uint64_t number)
{
    size_t low = 0, high = p->persons;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct kms_person *person = person_at(p, (size_t)p->order[middle] * UNIT);

        if (person->number == number)
            return person->keys;
        if (person->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

size_t
kms_people_hidden(const struct kms_people *p, const struct kms_people *by)
{
    size_t n = 0;

    for (size_t i = 0; by->overridden != NULL && i <= by->override_mask; i++)
        n += by->overridden[i] == 0 ? 0 : keys_of(p, by->overridden[i]);
    return n;
}

size_t
kms_people_keys(const struct kms_people *p)
{
    return p->keys;
}

size_t
kms_people_persons(const struct kms_people *p)
{
    return p->persons;
}

size_t
kms_people_octets(const struct kms_people *p)
{
    return sizeof *p + p->used + p->persons * sizeof *p->order +
           (p->table == NULL ? 0 : (p->mask + 1) * sizeof *p->table) +
           (p->overridden == NULL ? 0 : (p->override_mask + 1) * sizeof *p->overridden);
}
