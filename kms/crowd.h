/* SPDX-License-Identifier: Apache-2.0 */
/* All users as one reading of the store has found them, in parts: one for each thread that reads,
 * so that a million users are there in half the time. Immutable once read; pictures share it. */
#ifndef KMS_CROWD_H
#define KMS_CROWD_H

#include "people.h"
#include "store.h"

struct kms_crowd; /* opaque, counted */

/* kms_crowd_new makes an empty one for one owner, of as many parts as can be read side by side from
 * s, or one. `hash` must be random. NULL: no memory. */
struct kms_crowd *kms_crowd_new(const struct kms_hash_key *hash, struct kms_store *s, bool parts);

/* kms_crowd_share adds an owner; kms_crowd_free takes one away, and the last wipes. Not to be
 * called by two threads at once. NULL is allowed. */
struct kms_crowd *kms_crowd_share(struct kms_crowd *c);
void kms_crowd_free(struct kms_crowd *c);

/* kms_crowd_read reads all parts but the first in threads, and the first one, with all else that
 * the store has, in this one through `sink`: its callbacks for users give them to kms_crowd_first.
 * FORGOTTEN: the store changed between the beginnings of two threads; read it in one. */
enum kms_store_rc kms_crowd_read(struct kms_crowd *c, struct kms_store *s,
                                 const struct kms_sink *sink, struct kms_store_err *err);
struct kms_people *kms_crowd_first(struct kms_crowd *c);

/* kms_crowd_locked tells whether all of it is kept out of swap. */
bool kms_crowd_locked(const struct kms_crowd *c);

/* kms_crowd_in_clear tells whether a key is not sealed. */
bool kms_crowd_in_clear(const struct kms_crowd *c);

/* kms_crowd_part gives a part, or NULL after the last: who is in none of them is not there. */
const struct kms_people *kms_crowd_part(const struct kms_crowd *c, size_t i);

/* Sums of what people.h counts; kms_crowd_keys leaves out those of whom `by` (NULL: nobody)
 * overrides. */
size_t kms_crowd_keys(const struct kms_crowd *c, const struct kms_people *by);
size_t kms_crowd_persons(const struct kms_crowd *c);
size_t kms_crowd_octets(const struct kms_crowd *c);

#endif
