/* SPDX-License-Identifier: Apache-2.0 */
/* Groups in memory: each an object of its own with the numbers of its users in order, counted, so
 * that a picture of the store shares with the one before it the groups that have not changed. */
#ifndef KMS_GROUPS_H
#define KMS_GROUPS_H

#include <mikeyticket/policy.h>

#include "pattern.h"
#include "people.h"
#include "store.h"

struct kms_groups; /* opaque, owned: a set of groups, immutable once sealed */

/* kms_groups_new makes a set with the groups of `old` (NULL: none). NULL: no memory. */
struct kms_groups *kms_groups_new(const struct kms_groups *old);
void kms_groups_free(struct kms_groups *g);

/* kms_groups_drop takes the group of that number out, if it is there. kms_groups_take adds a group,
 * kms_groups_member a member to the group added last. False: no memory. */
void kms_groups_drop(struct kms_groups *g, uint64_t number);
bool kms_groups_take(struct kms_groups *g, const struct kms_group *row);
bool kms_groups_member(struct kms_groups *g, const struct kms_member *row);

/* kms_groups_seal ends the adding. False: no memory. */
bool kms_groups_seal(struct kms_groups *g);

/* kms_groups_has tells whether there is a group of that name. kms_groups_contains tells whether
 * `who` is in it: as the user `person` (NULL: no user of ours), directly or in a group within it,
 * or through a pattern that stands for `who` or another identity of the same person; *as gets the
 * identity that made it so. A pattern is for those of the group's realm alone. */
bool kms_groups_has(const struct kms_groups *g, struct mkt_identity name);
bool kms_groups_contains(const struct kms_groups *g, struct mkt_identity name,
                         struct mkt_identity who, const struct kms_person *person,
                         struct mkt_identity *as);

/* kms_pattern_fits tells whether a pattern stands for `who` or another identity of the person. */
bool kms_pattern_fits(struct mkt_identity pattern, struct mkt_identity who,
                      const struct kms_person *person, struct mkt_identity *as);

size_t kms_groups_count(const struct kms_groups *g);
size_t kms_groups_octets(const struct kms_groups *g);

#endif
