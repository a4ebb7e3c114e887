/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket Protection Keys in memory, sealed as the store has them: our own, a few generations for
 * each realm, and those shared with users; and the names of the realms. Immutable once sealed. */
#ifndef KMS_KEYS_H
#define KMS_KEYS_H

#include <mikeyticket/policy.h>

#include "hash.h"
#include "store.h"

struct kms_keys; /* opaque, counted */

/* A Ticket Protection Key found; everything borrows. */
struct kms_found_tpk {
    struct mkt_identity owner; /* absent (data.p NULL): ours alone */
    struct mkt_span id;
    struct kms_sealed key;
    uint32_t realm; /* of ours; 0: shared */
};

/* kms_keys_new makes an empty set for one owner; kms_keys_share adds an owner, kms_keys_free takes
 * one away, and the last wipes. NULL: no memory. */
struct kms_keys *kms_keys_new(const struct kms_hash_key *hash);
struct kms_keys *kms_keys_share(struct kms_keys *k);
void kms_keys_free(struct kms_keys *k);

/* kms_keys_take and kms_keys_realm add a row of the store. False: no memory. */
bool kms_keys_take(struct kms_keys *k, const struct kms_tpk *row);
bool kms_keys_realm(struct kms_keys *k, const struct kms_realm *row);

/* kms_keys_seal ends the adding; *locked: the keys are kept out of swap. False: no memory. */
bool kms_keys_seal(struct kms_keys *k, bool *locked);

/* kms_keys_by_id finds the key with that id, whoever shares it. False too when it is not for the
 * suite whose keys have suite_key octets: levels are not mixed (RFC 6043 12.1). */
bool kms_keys_by_id(const struct kms_keys *k, struct mkt_span id, size_t suite_key,
                    struct kms_found_tpk *found);

/* kms_keys_current finds the key of ours that protects new tickets of a realm at now_s (seconds
 * since 1970), kms_keys_shared the newest one that is shared with `owner`. */
bool kms_keys_current(const struct kms_keys *k, uint32_t realm, size_t suite_key, int64_t now_s,
                      struct kms_found_tpk *found);
bool kms_keys_shared(const struct kms_keys *k, struct mkt_identity owner, size_t suite_key,
                     struct kms_found_tpk *found);

/* kms_keys_realm_name returns the name of a realm; NULL when there is none of that number. */
const char *kms_keys_realm_name(const struct kms_keys *k, uint32_t number);

size_t kms_keys_count(const struct kms_keys *k);
size_t kms_keys_octets(const struct kms_keys *k);

#endif
