/* SPDX-License-Identifier: Apache-2.0 */
/* The revocations as requests look at them: names of tickets, and for users the time up to which
 * their tickets are void. Immutable once sorted; pictures of the index share it. */
#ifndef KMS_REVOKED_H
#define KMS_REVOKED_H

#include <mikeyticket/kms.h>

#include "hash.h"
#include "store.h"

struct kms_revoked { /* counted */
    unsigned owners;
    struct kms_revoked_ticket {
        uint8_t id[MKT_TICKET_ID];
    } * tickets; /* sorted */
    struct kms_revoked_user {
        uint64_t tag; /* keyed hash of the identity */
        int64_t at;
    } * users; /* sorted */
    size_t n_tickets, n_users, room_tickets, room_users;
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

/* kms_revoked_user gets the time (seconds since 1970) up to which tickets of the identity are
 * revoked; false: none are. */
bool kms_revoked_user(const struct kms_revoked *r, const struct kms_hash_key *key,
                      struct mkt_identity who, int64_t *at);

#endif
