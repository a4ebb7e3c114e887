/* SPDX-License-Identifier: Apache-2.0 */
/* Shared keys are an arena of records with two open hash tables of record numbers over it, by the
 * id of the key and by the identity of its owner. Our own keys are few and stand in a list. */
#include "keys.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mikeyticket/secret.h>

#include "config.h"
#include "memory.h"

#define NONE UINT32_MAX
#define ALIGN 8u

/* A record, followed by identity, id and key. */
struct record {
    uint32_t same_identity; /* the next older key of this identity */
    uint32_t kek;           /* generation that the key is sealed under */
    uint16_t identity_len;
    uint8_t id_len;
    uint8_t key_len;
    uint8_t id_type;
    uint8_t octets[];
};

struct own_tpk {
    char id[32];
    uint32_t realm, kek;
    int64_t starts;
    uint8_t key_len;
    uint8_t key[KMS_SEALED_MAX];
};

struct realm {
    uint32_t number;
    char name[KMS_REALM_MAX + 1];
};

struct kms_keys {
    struct kms_hash_key hash;
    unsigned owners;
    struct kms_block arena; /* of the shared keys */
    size_t used, n;
    uint32_t *by_id;       /* offset of the record in units of ALIGN, or NONE */
    uint32_t *by_identity; /* the newest record of the identity */
    size_t mask;           /* of both tables */
    struct kms_block own;  /* struct own_tpk, the newest last */
    size_t n_own;
    struct realm *realms;
    size_t n_realms;
};

static const struct record *
record_at(const struct kms_keys *k, uint32_t unit)
{
    return (const struct record *)(const void *)(k->arena.p + (size_t)unit * ALIGN);
}

static struct own_tpk *
own_at(const struct kms_keys *k, size_t i)
{
    return (struct own_tpk *)(void *)k->own.p + i;
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

/* Whether the store has it from us. */
static bool
sound(const struct kms_tpk *t)
{
    size_t n = kms_sealed_len(&t->key);

    return strlen(t->id) <= KMS_PSK_ID_MAX && n >= 16 && n <= MKT_SECRET_MAX;
}

/* Octets of a record with its padding. */
static size_t
record_octets(size_t octets)
{
    return (offsetof(struct record, octets) + octets + ALIGN - 1) / ALIGN * ALIGN;
}

struct kms_keys *
kms_keys_new(const struct kms_hash_key *hash)
{
    struct kms_keys *k = calloc(1, sizeof *k);

    if (k == NULL)
        return NULL;
    k->hash = *hash;
    k->owners = 1;
    return k;
}

struct kms_keys *
kms_keys_share(struct kms_keys *k)
{
    if (k != NULL)
        k->owners++;
    return k;
}

void
kms_keys_free(struct kms_keys *k)
{
    if (k == NULL || --k->owners > 0)
        return;
    kms_block_free(&k->arena, k->used);
    kms_block_free(&k->own, k->n_own * sizeof(struct own_tpk));
    free(k->by_id);
    free(k->by_identity);
    free(k->realms);
    free(k);
}

static bool
take_shared(struct kms_keys *k, const struct kms_tpk *t)
{
    struct mkt_identity who = kms_identity_of(t->owner);
    const struct mkt_span key = t->key.octets;
    size_t id_len = strlen(t->id), n = record_octets(who.data.n + id_len + key.n);
    struct record *r;

    if (who.data.p == NULL || !sound(t))
        return true; /* not written by us: it belongs to nobody */
    if ((k->used + n) / ALIGN >= NONE || !kms_block_grow(&k->arena, k->used + n))
        return false;
    r = (struct record *)(void *)(k->arena.p + k->used);
    r->same_identity = NONE;
    r->kek = t->key.kek;
    r->identity_len = (uint16_t)who.data.n;
    r->id_len = (uint8_t)id_len;
    r->key_len = (uint8_t)key.n;
    r->id_type = who.type;
    memcpy(r->octets, who.data.p, who.data.n);
    memcpy(r->octets + who.data.n, t->id, id_len);
    memcpy(r->octets + who.data.n + id_len, key.p, key.n);
    k->used += n;
    k->n++;
    return true;
}

static bool
take_own(struct kms_keys *k, const struct kms_tpk *t)
{
    struct own_tpk *r;

    if (!kms_block_grow(&k->own, (k->n_own + 1) * sizeof *r))
        return false;
    r = own_at(k, k->n_own);
    if (strlen(t->id) >= sizeof r->id || !sound(t))
        return true;
    snprintf(r->id, sizeof r->id, "%s", t->id);
    r->realm = t->realm;
    r->starts = t->starts;
    r->kek = t->key.kek;
    r->key_len = (uint8_t)t->key.octets.n;
    memcpy(r->key, t->key.octets.p, t->key.octets.n);
    k->n_own++;
    return true;
}

bool
kms_keys_take(struct kms_keys *k, const struct kms_tpk *row)
{
    return row->owner == NULL ? take_own(k, row) : take_shared(k, row);
}

bool
kms_keys_realm(struct kms_keys *k, const struct kms_realm *row)
{
    struct realm *grown = realloc(k->realms, (k->n_realms + 1) * sizeof *grown);

    if (grown == NULL)
        return false;
    k->realms = grown;
    grown += k->n_realms++;
    grown->number = row->number;
    snprintf(grown->name, sizeof grown->name, "%s", row->name);
    return true;
}

static size_t
slot_of(const struct kms_keys *k, struct mkt_span name)
{
    return (size_t)kms_hash(&k->hash, name.p, name.n) & k->mask;
}

static void
enter(struct kms_keys *k, uint32_t unit)
{
    struct record *r = (struct record *)(void *)(k->arena.p + (size_t)unit * ALIGN);
    size_t i;

    for (i = slot_of(k, id_of(r)); k->by_id[i] != NONE; i = (i + 1) & k->mask)
        ;
    k->by_id[i] = unit;
    i = slot_of(k, identity_of(r).data);
    for (; k->by_identity[i] != NONE; i = (i + 1) & k->mask)
        if (mkt_identity_equal(identity_of(record_at(k, k->by_identity[i])), identity_of(r))) {
            r->same_identity = k->by_identity[i];
            break;
        }
    k->by_identity[i] = unit;
}

bool
kms_keys_seal(struct kms_keys *k, bool *locked)
{
    size_t slots = 64, at = 0;

    while (slots < 2 * k->n)
        slots *= 2;
    k->mask = slots - 1;
    k->by_id = malloc(slots * sizeof *k->by_id);
    k->by_identity = malloc(slots * sizeof *k->by_identity);
    if (k->by_id == NULL || k->by_identity == NULL)
        return false;
    memset(k->by_id, 0xff, slots * sizeof *k->by_id);
    memset(k->by_identity, 0xff, slots * sizeof *k->by_identity);
    while (at < k->used) {
        const struct record *r = record_at(k, (uint32_t)(at / ALIGN));

        enter(k, (uint32_t)(at / ALIGN));
        at += record_octets((size_t)r->identity_len + r->id_len + r->key_len);
    }
    *locked = kms_block_lock(&k->arena, k->used) &&
              kms_block_lock(&k->own, k->n_own * sizeof(struct own_tpk));
    return true;
}

static void
show_own(const struct own_tpk *t, struct kms_found_tpk *found)
{
    *found = (struct kms_found_tpk){ .id = mkt_span(t->id, strlen(t->id)),
                                     .key = { t->kek, mkt_span(t->key, t->key_len) },
                                     .realm = t->realm };
}

static void
show_shared(const struct record *r, struct kms_found_tpk *found)
{
    *found = (struct kms_found_tpk){ identity_of(r), id_of(r), key_of(r), 0 };
}

/* Levels are not mixed (RFC 6043 12.1): 16 octets are for the one suite, more for the other. */
static bool
fits(const struct kms_sealed *key, size_t suite_key)
{
    size_t n = kms_sealed_len(key);

    return suite_key == 16 ? n == 16 : n >= suite_key;
}

bool
kms_keys_by_id(const struct kms_keys *k, struct mkt_span id, size_t suite_key,
               struct kms_found_tpk *found)
{
    for (size_t i = k->n_own; i-- > 0;) {
        const struct own_tpk *t = own_at(k, i);

        if (strlen(t->id) != id.n || memcmp(t->id, id.p, id.n) != 0)
            continue;
        show_own(t, found);
        return fits(&found->key, suite_key);
    }
    for (size_t i = slot_of(k, id); k->by_id[i] != NONE; i = (i + 1) & k->mask) {
        const struct record *r = record_at(k, k->by_id[i]);

        if (r->id_len != id.n || memcmp(id_of(r).p, id.p, id.n) != 0)
            continue;
        show_shared(r, found);
        return fits(&found->key, suite_key);
    }
    return false;
}

bool
kms_keys_current(const struct kms_keys *k, uint32_t realm, size_t suite_key, int64_t now_s,
                 struct kms_found_tpk *found)
{
    for (size_t i = k->n_own; i-- > 0;) {
        const struct own_tpk *t = own_at(k, i);

        if (t->starts > now_s || t->realm != realm)
            continue;
        show_own(t, found);
        if (fits(&found->key, suite_key))
            return true;
    }
    return false;
}

/* The newest key of the identity. */
static const struct record *
find_identity(const struct kms_keys *k, struct mkt_identity who)
{
    for (size_t i = slot_of(k, who.data); k->by_identity[i] != NONE; i = (i + 1) & k->mask) {
        const struct record *r = record_at(k, k->by_identity[i]);

        if (mkt_identity_equal(identity_of(r), who))
            return r;
    }
    return NULL;
}

bool
kms_keys_shared(const struct kms_keys *k, struct mkt_identity owner, size_t suite_key,
                struct kms_found_tpk *found)
{
    const struct record *r = owner.data.p == NULL ? NULL : find_identity(k, owner);

    for (; r != NULL; r = r->same_identity == NONE ? NULL : record_at(k, r->same_identity)) {
        show_shared(r, found);
        if (fits(&found->key, suite_key))
            return true;
    }
    return false;
}

const char *
kms_keys_realm_name(const struct kms_keys *k, uint32_t number)
{
    for (size_t i = 0; i < k->n_realms; i++)
        if (k->realms[i].number == number)
            return k->realms[i].name;
    return NULL;
}

size_t
kms_keys_count(const struct kms_keys *k)
{
    return k->n_own + k->n;
}

size_t
kms_keys_octets(const struct kms_keys *k)
{
    return sizeof *k + k->used + 2 * (k->mask + 1) * sizeof *k->by_id +
           k->n_own * sizeof(struct own_tpk) + k->n_realms * sizeof *k->realms;
}
