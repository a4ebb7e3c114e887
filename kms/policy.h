/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have what: pure functions of the question, the time and the rules. No store, no I/O. */
#ifndef KMS_POLICY_H
#define KMS_POLICY_H

#include <mikeyticket/policy.h>

#include "config.h"

/* The circumstances of a question. */
struct kms_circumstances {
    const struct kms_config *rules;
    struct mkt_identity client; /* who asks, authenticated */
    struct mkt_identity kms;    /* our own identity */
    uint64_t now;               /* NTP-UTC */
};

/* kms_policy_request decides on the ticket that the client wants: *granted is the policy to issue.
 * responder_has_tpk: the only IDRr shares a TPK of the suite with us, so mode 2 is possible; the
 * ticket goes under that TPK when E is not set in *granted. Borrows as mkt_policy_grant does.
 * MKT_E_TICKET_TYPE when the configuration does not make such tickets; MKT_E_TP_PARAM when the mode
 * that is wanted, or left, is not served; else as mkt_policy_grant. */
enum mkt_rc kms_policy_request(struct mkt_policy *granted, const struct mkt_policy *want,
                               const struct kms_circumstances *q, bool responder_has_tpk,
                               struct mkt_err *err);

/* kms_policy_resolve decides whether the client may have the keys of an opened ticket: one of its
 * responders must be exactly that identity (RFC 6043 4.2.3.4). `owner` is who shares its TPK
 * (absent: nobody). A ticket that its Initiator made (D = 0, mode 3) gets here what a request would
 * have got: its Initiator must still be a user, and kms_policy_request would have granted just
 * this. MKT_E_NOT_AUTHORISED, MKT_E_TP_PARAM; else as mkt_policy_grant. */
enum mkt_rc kms_policy_resolve(const struct mkt_policy *ticket, const struct kms_circumstances *q,
                               struct mkt_identity owner, bool initiator_is_user,
                               struct mkt_err *err);

#endif
