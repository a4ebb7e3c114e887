/* SPDX-License-Identifier: Apache-2.0 */
/* Users in memory: a block of octets each, with all identities and credentials, one block after the
 * other in an arena that is locked and kept out of core dumps; and one open hash table over it, by
 * every identity and every psk-id. About 170 octets a user. Immutable once sealed. */
#ifndef KMS_PEOPLE_H
#define KMS_PEOPLE_H

#include <mikeyticket/policy.h>

#include "hash.h"
#include "store.h"

struct kms_people; /* opaque, counted */

/* A user. What follows it in memory is people.c's business. */
struct kms_person {
    uint64_t number;  /* of the store */
    uint32_t expires; /* seconds since 1970; 0: never */
    uint32_t units;   /* of this block */
    uint16_t realm;   /* number of the store */
    uint16_t keys;    /* credentials */
    bool suspended;
    uint8_t octets[];
};

/* A credential or an identity of a person; borrowed. */
struct kms_item {
    bool key;
    struct mkt_identity identity; /* key = false */
    struct mkt_span psk_id;       /* key = true */
    struct kms_sealed psk;
    uint64_t serial;
};

/* kms_people_new makes an empty set for one owner; `hash` must be random. NULL: no memory. */
struct kms_people *kms_people_new(const struct kms_hash_key *hash);

/* kms_people_share adds an owner; kms_people_free takes one away, and the last wipes. Not to be
 * called by two threads at once. NULL is allowed. */
struct kms_people *kms_people_share(struct kms_people *p);
void kms_people_free(struct kms_people *p);

/* kms_people_take adds a row of the store (rows of one user follow each other), kms_people_alias an
 * identity to the user added last, kms_people_copy a person of another set. What no program of
 * ours has written belongs to nobody and is left out. False: no memory. */
bool kms_people_take(struct kms_people *p, const struct kms_user *row);
bool kms_people_alias(struct kms_people *p, const char *identity);
bool kms_people_copy(struct kms_people *p, const struct kms_person *person);

/* kms_people_override remembers that what other sets say of this user does not hold any more.
 * kms_people_overrides tells it. */
bool kms_people_override(struct kms_people *p, uint64_t number);
bool kms_people_overrides(const struct kms_people *p, uint64_t number);

/* kms_people_override_all takes over what another set overrides; kms_people_overridden counts. */
bool kms_people_override_all(struct kms_people *p, const struct kms_people *from);
size_t kms_people_overridden(const struct kms_people *p);

/* kms_people_seal ends the adding: builds the table and locks the memory as far as the system
 * allows, which *locked tells. False: no memory. */
bool kms_people_seal(struct kms_people *p, bool *locked);

/* kms_people_by_psk_id and kms_people_by_identity find a person; *item gets the credential or the
 * identity that was asked for. */
const struct kms_person *kms_people_by_psk_id(const struct kms_people *p, struct mkt_span psk_id,
                                              struct kms_item *item);
const struct kms_person *kms_people_by_identity(const struct kms_people *p, struct mkt_identity id,
                                                struct kms_item *item);

/* kms_people_next gives the person after `last` (NULL: the first), or NULL. kms_person_item gives
 * the item at *at (0: the first) and moves on; false at the end. */
const struct kms_person *kms_people_next(const struct kms_people *p, const struct kms_person *last);
bool kms_person_item(const struct kms_person *person, size_t *at, struct kms_item *item);

/* kms_people_hidden counts the credentials of p, whose persons were added by number, that belong to
 * whom `by` overrides. kms_people_keys counts credentials, kms_people_persons users,
 * kms_people_octets memory. */
size_t kms_people_hidden(const struct kms_people *p, const struct kms_people *by);
size_t kms_people_keys(const struct kms_people *p);
size_t kms_people_persons(const struct kms_people *p);
size_t kms_people_octets(const struct kms_people *p);

#endif
