/* SPDX-License-Identifier: Apache-2.0 */
/* The revocations as requests look at them: names of tickets, and for users and groups the time up
 * to which tickets of those, or for those, are void. Immutable once sorted; pictures of the index
 * share it. */
#ifndef KMS_REVOKED_H
#define KMS_REVOKED_H

#include <mikeyticket/kms.h>

#include "hash.h"
#include "store.h"

struct kms_revoked_ticket {
    uint8_t id[MKT_TICKET_ID];
};

/* Identities, each with a time. */
struct kms_revoked_names {
    struct kms_revoked_name {
        uint64_t tag; /* keyed hash of the identity */
        int64_t at;
    } * list; /* sorted */
    size_t n, room;
};

struct kms_revoked { /* counted */
    unsigned owners;
    struct kms_revoked_ticket *tickets; /* sorted */
    size_t n_tickets, room_tickets;
    struct kms_revoked_names users, groups;
};

/* kms_revoked_new makes an empty set for one owner; kms_revoked_share adds an owner,
 * kms_revoked_free takes one away, and the last frees. NULL: no memory. */
struct kms_revoked *kms_revoked_new(void);
struct kms_revoked *kms_revoked_share(struct kms_revoked *r);
void kms_revoked_free(struct kms_revoked *r);

/* kms_revoked_take takes a row of the store; false when memory fails. key: of the index. */
bool kms_revoked_take(struct kms_revoked *r, const struct kms_hash_key *key,
                      const struct kms_revocation *row);

/* kms_revoked_sort ends the taking. */
void kms_revoked_sort(struct kms_revoked *r);

/* kms_revoked_is tells whether the ticket of that name is revoked. */
bool kms_revoked_is(const struct kms_revoked *r, struct mkt_span id);

/* kms_revoked_name gets the time (seconds since 1970) that stands with the identity in a list of r;
 * false: it is not there. */
bool kms_revoked_name(const struct kms_revoked_names *list, const struct kms_hash_key *key,
                      struct mkt_identity name, int64_t *at);

#endif
