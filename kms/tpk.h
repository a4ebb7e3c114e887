/* SPDX-License-Identifier: Apache-2.0 */
/* Which Ticket Protection Key goes with a policy. Who holds it decides the mode (RFC 6043 4.1.1):
 * the KMS alone (1), the Responder too (2), the Initiator too (3). */
#ifndef KMS_TPK_H
#define KMS_TPK_H

#include "index.h"
#include "policy.h"

/* kms_tpk_grant decides on a wanted policy (kms_policy_request) and finds the TPK for what is
 * granted: the Responder's when E is not set, else our current one. MKT_E_STATE when there is none.
 */
enum mkt_rc kms_tpk_grant(struct mkt_policy *granted, struct kms_found_tpk *tpk,
                          const struct mkt_policy *want, const struct kms_circumstances *q,
                          const struct kms_index *index, struct mkt_err *err);

/* kms_tpk_of_ticket finds the TPK of a ticket: the one named tpk_id, or without a name the newest
 * one of who may have made the ticket. MKT_E_TICKET. */
enum mkt_rc kms_tpk_of_ticket(struct kms_found_tpk *tpk, const struct mkt_policy *ticket,
                              struct mkt_identity tpk_id, const struct kms_index *index,
                              struct mkt_err *err);

/* kms_tpk_locker says what a found TPK is to the vault; it borrows. */
struct kms_locker kms_tpk_locker(const struct kms_found_tpk *tpk);

/* kms_tpk_make makes generation number `generation`, which starts at `starts` (seconds since 1970)
 * and whose longest ticket is of `validity` seconds, in the vault and puts it in the store. EXISTS,
 * STALE: see tpk_add. */
enum kms_store_rc kms_tpk_make(struct kms_store *s, struct kms_vault *vault, int64_t generation,
                               int64_t starts, int64_t validity, struct kms_store_err *err);

/* kms_tpk_rotate starts the generation that waits, or makes a new one, now. *generation gets its
 * number. */
enum kms_store_rc kms_tpk_rotate(struct kms_store *s, struct kms_vault *vault, int64_t now,
                                 int64_t validity, int64_t *generation, struct kms_store_err *err);

#endif
