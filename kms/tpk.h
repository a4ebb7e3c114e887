/* SPDX-License-Identifier: Apache-2.0 */
/* Which Ticket Protection Key goes with a policy. Who holds it decides the mode (RFC 6043 4.1.1):
 * the KMS alone (1), the Responder too (2), the Initiator too (3). */
#ifndef KMS_TPK_H
#define KMS_TPK_H

#include "index.h"
#include "policy.h"

/* kms_tpk_grant decides on a wanted policy (kms_policy_request) and finds the TPK for what is
 * granted: the Responder's when E is not set, else the current one of the client's realm.
 * MKT_E_STATE when there is none.
 */
enum mkt_rc kms_tpk_grant(struct mkt_policy *granted, struct kms_found_tpk *tpk,
                          const struct mkt_policy *want, const struct kms_circumstances *q,
                          const struct kms_index *index, struct mkt_err *err);

/* kms_tpk_of_ticket finds the TPK of a ticket that `client` wants resolved: the one named tpk_id,
 * or without a name the one that who may have made the ticket uses at now_s (seconds since 1970).
 * MKT_E_TICKET. */
enum mkt_rc kms_tpk_of_ticket(struct kms_found_tpk *tpk, const struct mkt_policy *ticket,
                              struct mkt_identity tpk_id, struct mkt_identity client,
                              const struct kms_index *index, int64_t now_s, struct mkt_err *err);

/* kms_tpk_realm returns the name of the realm that a TPK is for: its own, or that of who shares it.
 */
const char *kms_tpk_realm(const struct kms_found_tpk *tpk, const struct kms_index *index);

#endif
