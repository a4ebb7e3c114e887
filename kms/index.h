/* SPDX-License-Identifier: Apache-2.0 */
/* What requests read instead of the store: an immutable picture of all credentials and Ticket
 * Protection Keys, sealed as the store has them, about 130 octets a user. When the store changes, a
 * new picture is built and swapped in; the old one is wiped when no worker looks at it. */
#ifndef KMS_INDEX_H
#define KMS_INDEX_H

#include <stdatomic.h>

#include <mikeyticket/policy.h>

#include "hash.h"
#include "store.h"
#include "vault.h"

struct kms_index; /* opaque, owned, immutable once built */

/* A credential found; everything borrows from the index. */
struct kms_found {
    struct mkt_identity identity;
    struct mkt_span psk_id;
    struct kms_sealed psk;
    uint64_t serial; /* names this credential among all there ever were */
};

/* A Ticket Protection Key found, likewise. */
struct kms_found_tpk {
    struct mkt_identity owner; /* absent (data.p NULL): ours alone */
    struct mkt_span id;
    struct kms_sealed key;
};

/* kms_index_build reads the whole store as of `now` (seconds since 1970) and has the vault open the
 * generations of the store key that are new. *index is owned by the caller. */
enum kms_store_rc kms_index_build(struct kms_index **index, struct kms_store *s,
                                  struct kms_vault *vault, int64_t now, struct kms_store_err *err);

/* kms_index_due tells when the next TPK of ours starts (seconds since 1970): the picture is to be
 * made anew then. INT64_MAX: no key waits. */
int64_t kms_index_due(const struct kms_index *index);

/* kms_index_free wipes and frees. NULL is allowed. */
void kms_index_free(struct kms_index *index);

/* kms_index_by_psk_id finds the credential with that psk-id. */
bool kms_index_by_psk_id(const struct kms_index *index, struct mkt_span psk_id,
                         struct kms_found *found);

/* kms_index_by_identity finds the credential of an identity that has exactly one. */
bool kms_index_by_identity(const struct kms_index *index, struct mkt_identity id,
                           struct kms_found *found);

/* kms_index_is_user tells whether an identity has any credential, or is a user without PSK. */
bool kms_index_is_user(const struct kms_index *index, struct mkt_identity id);

/* kms_index_tpk finds the key with that id, whoever shares it. False too when it is not for the
 * suite whose keys have suite_key octets: levels are not mixed (RFC 6043 12.1). */
bool kms_index_tpk(const struct kms_index *index, struct mkt_span id, size_t suite_key,
                   struct kms_found_tpk *found);

/* kms_index_tpk_of finds the newest key that is shared with `owner`, or the current one of ours
 * when owner.data.p is NULL. */
bool kms_index_tpk_of(const struct kms_index *index, struct mkt_identity owner, size_t suite_key,
                      struct kms_found_tpk *found);

/* kms_index_users counts credentials, kms_index_tpks TPKs (ours and shared ones). kms_index_octets
 * gives the memory in use. */
size_t kms_index_users(const struct kms_index *index);
size_t kms_index_tpks(const struct kms_index *index);
size_t kms_index_octets(const struct kms_index *index);

/* kms_index_locked tells whether its keys are kept out of swap; RLIMIT_MEMLOCK may forbid it. */
bool kms_index_locked(const struct kms_index *index);

/* The picture now, and who looks at one. Readers never wait: a reader publishes the pointer it is
 * about to use in a slot of its own; the writer frees an old picture once no slot holds it. */

struct kms_reader_slot {
    _Alignas(64) _Atomic(const struct kms_index *) in_use;
};

struct kms_current {
    _Atomic(const struct kms_index *) index;
    struct kms_reader_slot *slots;
    size_t n_slots;
};

/* kms_current_init starts with index, which current then owns, for n readers. */
bool kms_current_init(struct kms_current *c, struct kms_index *index, size_t n_readers);
void kms_current_free(struct kms_current *c);

/* kms_current_swap puts a new picture in place, waits until nobody reads the old one and frees it.
 * One writer at a time. */
void kms_current_swap(struct kms_current *c, struct kms_index *index);

/* kms_current_get begins reading in slot; kms_current_put ends it. */
static inline const struct kms_index *
kms_current_get(struct kms_current *c, size_t slot)
{
    const struct kms_index *seen = atomic_load(&c->index), *again;

    for (;;) {
        atomic_store(&c->slots[slot].in_use, seen);
        again = atomic_load(&c->index);
        if (again == seen)
            return seen;
        seen = again;
    }
}

static inline void
kms_current_put(struct kms_current *c, size_t slot)
{
    atomic_store_explicit(&c->slots[slot].in_use, NULL, memory_order_release);
}

#endif
