/* SPDX-License-Identifier: Apache-2.0 */
/* What requests read instead of the store: an immutable picture of users, groups, Ticket
 * Protection Keys and revocations in locked memory, keys sealed as the store has them. When the
 * store changes, a new picture is made and swapped in (current.h); it shares with the old one what
 * has not changed. The old one is wiped when no worker looks at it.
 */
#ifndef KMS_INDEX_H
#define KMS_INDEX_H

#include <mikeyticket/policy.h>

#include "directory.h"
#include "groups.h"
#include "keys.h"
#include "people.h"
#include "revoked.h"
#include "store.h"
#include "vault.h"

struct kms_index; /* opaque, owned, immutable once built */

/* A credential found; everything borrows from the index. */
struct kms_found {
    struct mkt_identity identity;
    struct mkt_span psk_id;
    struct kms_sealed psk;
    uint64_t serial; /* names this credential among all there ever were */
    const struct kms_person *person;
};

/* kms_index_build reads the whole store, and has the vault open the generations of the store key
 * that are new (NULL: no key will be used). *index is owned by the caller. */
enum kms_store_rc kms_index_build(struct kms_index **index, struct kms_store *s,
                                  struct kms_vault *vault, struct kms_store_err *err);

/* kms_index_follow makes the picture that comes after `old`, with what has changed since *version,
 * which gets the present one. Nobody else may make or free a picture meanwhile. FORGOTTEN: too much
 * has changed, build it. */
enum kms_store_rc kms_index_follow(struct kms_index **index, const struct kms_index *old,
                                   struct kms_store *s, struct kms_vault *vault, uint64_t *version,
                                   struct kms_store_err *err);

/* kms_index_free wipes and frees. NULL is allowed. kms_index_release is the same, for kms_current.
 */
void kms_index_free(struct kms_index *index);
void kms_index_release(void *index);

/* kms_index_by_psk_id finds the credential with that psk-id, kms_index_by_identity that of a user
 * who has exactly one. Who is suspended or has expired at now_s (seconds since 1970) is not found:
 * nobody can tell them from strangers. */
bool kms_index_by_psk_id(const struct kms_index *index, struct mkt_span psk_id, int64_t now_s,
                         struct kms_found *found);
bool kms_index_by_identity(const struct kms_index *index, struct mkt_identity id, int64_t now_s,
                           struct kms_found *found);

/* kms_found_claims makes `claimed` the identity of a found user who has it, among others. */
bool kms_found_claims(struct kms_found *found, struct mkt_identity claimed);

/* kms_index_is_user tells whether an identity is that of a user, neither suspended nor expired.
 * kms_index_barred: whether it is one who is. */
bool kms_index_is_user(const struct kms_index *index, struct mkt_identity id, int64_t now_s);
bool kms_index_barred(const struct kms_index *index, struct mkt_identity id, int64_t now_s);

/* kms_index_realm returns the number of the realm of an identity; who is no user is in the default
 * one. kms_index_realm_name returns its name, NULL when there is none. */
uint32_t kms_index_realm(const struct kms_index *index, struct mkt_identity id);
const char *kms_index_realm_name(const struct kms_index *index, uint32_t number);

/* kms_index_stands_for tells whether `named`, an IDRr of a ticket (RFC 6043 6.10) or a name in a
 * rule, stands for `who`: it is that identity or another one of the same user, a group that the
 * user is in, or a pattern (pattern.h) that one of them fits. *as gets the identity of the user
 * that it is so for: the one to answer with. */
bool kms_index_stands_for(const struct kms_index *index, struct mkt_identity named,
                          struct mkt_identity who, struct mkt_identity *as);

/* kms_index_directory is the index as the policy asks it; borrowed. */
struct kms_directory kms_index_directory(const struct kms_index *index);

/* kms_found_locker and kms_found_tpk_locker say what a found key is to the vault; they borrow. */
struct kms_locker kms_found_locker(const struct kms_found *found);
struct kms_locker kms_found_tpk_locker(const struct kms_found_tpk *found);

/* kms_index_tpk finds the key with that id, kms_index_tpk_current the one that protects new tickets
 * of a realm at now_s, kms_index_tpk_of the newest that is shared with `owner`: see keys.h. */
bool kms_index_tpk(const struct kms_index *index, struct mkt_span id, size_t suite_key,
                   struct kms_found_tpk *found);
bool kms_index_tpk_current(const struct kms_index *index, uint32_t realm, size_t suite_key,
                           int64_t now_s, struct kms_found_tpk *found);
bool kms_index_tpk_of(const struct kms_index *index, struct mkt_identity owner, size_t suite_key,
                      struct kms_found_tpk *found);

/* kms_index_revoked tells whether a ticket is revoked by its name. kms_index_user_revoked gets the
 * time (seconds since 1970) up to which tickets of an Initiator are revoked, by any identity of
 * that user; false: none are. */
bool kms_index_revoked(const struct kms_index *index, struct mkt_span ticket_id);
bool kms_index_user_revoked(const struct kms_index *index, struct mkt_identity who, int64_t *at);

/* kms_index_users counts credentials, kms_index_tpks TPKs (ours and shared ones), kms_index_groups
 * groups. kms_index_octets gives the memory in use. */
size_t kms_index_users(const struct kms_index *index);
size_t kms_index_tpks(const struct kms_index *index);
size_t kms_index_groups(const struct kms_index *index);
size_t kms_index_octets(const struct kms_index *index);

/* kms_index_locked tells whether its keys are kept out of swap; RLIMIT_MEMLOCK may forbid it. */
bool kms_index_locked(const struct kms_index *index);

#endif
