/* SPDX-License-Identifier: Apache-2.0 */
/* Two sorted arrays: revocations are few, and a look costs some comparisons. Two users whose 64-bit
 * hashes meet would share their revocations; the key is random, so nobody can make that happen. */
#include "revoked.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "hex.h"

struct kms_revoked *
kms_revoked_new(void)
{
    struct kms_revoked *r = calloc(1, sizeof *r);

    if (r != NULL)
        r->owners = 1;
    return r;
}

struct kms_revoked *
kms_revoked_share(struct kms_revoked *r)
{
    r->owners++;
    return r;
}

void
kms_revoked_free(struct kms_revoked *r)
{
    if (r == NULL || --r->owners > 0)
        return;
    free(r->tickets);
    free(r->users);
    free(r);
}

static uint64_t
tag_of(const struct kms_hash_key *key, struct mkt_identity who)
{
    return kms_hash(key, who.data.p, who.data.n) ^ who.type;
}

/* Room for one more of `size` octets each. */
static void *
widen(void *p, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return p;
    *room = *room == 0 ? 64 : 2 * *room;
    return realloc(p, *room * size);
}

static bool
read_id(const char *hex, uint8_t id[MKT_TICKET_ID])
{
    if (strlen(hex) != 2 * (size_t)MKT_TICKET_ID)
        return false;
    for (size_t i = 0; i < MKT_TICKET_ID; i++) {
        int high = kms_hex_value(hex[2 * i]), low = kms_hex_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        id[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool
take_ticket(struct kms_revoked *r, const char *name)
{
    struct kms_revoked_ticket t, *grown;

    if (!read_id(name, t.id))
        return true; /* not written by us: it names no ticket */
    grown = widen(r->tickets, r->n_tickets, &r->room_tickets, sizeof *grown);
    if (grown == NULL)
        return false;
    r->tickets = grown;
    grown[r->n_tickets++] = t;
    return true;
}

bool
kms_revoked_take(struct kms_revoked *r, const struct kms_hash_key *key,
                 const struct kms_revocation *row)
{
    struct kms_revoked_user *grown;
    struct mkt_identity who;

    if (row->kind == KMS_REVOKED_TICKET)
        return take_ticket(r, row->name);
    who = kms_identity_of(row->name);
    if (who.data.p == NULL)
        return true;
    grown = widen(r->users, r->n_users, &r->room_users, sizeof *grown);
    if (grown == NULL)
        return false;
    r->users = grown;
    grown[r->n_users++] = (struct kms_revoked_user){ tag_of(key, who), row->at };
    return true;
}

static int
by_id(const void *a, const void *b)
{
    return memcmp(a, b, MKT_TICKET_ID);
}

static int
by_tag(const void *a, const void *b)
{
    uint64_t x = ((const struct kms_revoked_user *)a)->tag,
             y = ((const struct kms_revoked_user *)b)->tag;

    return x < y ? -1 : x > y;
}

void
kms_revoked_sort(struct kms_revoked *r)
{
    if (r->n_tickets > 0)
        qsort(r->tickets, r->n_tickets, sizeof *r->tickets, by_id);
    if (r->n_users > 0)
        qsort(r->users, r->n_users, sizeof *r->users, by_tag);
}

bool
kms_revoked_is(const struct kms_revoked *r, struct mkt_span id)
{
    return r->n_tickets > 0 && id.n == MKT_TICKET_ID &&
           bsearch(id.p, r->tickets, r->n_tickets, sizeof *r->tickets, by_id) != NULL;
}

bool
kms_revoked_user(const struct kms_revoked *r, const struct kms_hash_key *key,
                 struct mkt_identity who, int64_t *at)
{
    const struct kms_revoked_user wanted = { tag_of(key, who), 0 }, *found;

    if (r->n_users == 0 || who.data.p == NULL)
        return false;
    found = bsearch(&wanted, r->users, r->n_users, sizeof *r->users, by_tag);
    if (found != NULL)
        *at = found->at;
    return found != NULL;
}
