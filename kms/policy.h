/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have what: pure functions of the question, the time and the rules. No store, no I/O. */
#ifndef KMS_POLICY_H
#define KMS_POLICY_H

#include <mikeyticket/policy.h>

#include "config.h"
#include "directory.h"

/* The circumstances of a question. */
struct kms_circumstances {
    const struct kms_config *rules;
    struct mkt_identity client; /* who asks, authenticated */
    struct mkt_identity kms;    /* our own identity */
    uint64_t now;               /* NTP-UTC */
    struct kms_directory directory;
};

/* A ticket that was opened. */
struct kms_opened {
    const struct mkt_policy *policy;
    struct mkt_identity owner; /* who shares its TPK; absent: nobody */
    const char *realm;         /* whose TPK it is */
    bool initiator_is_user;
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
 * responders must stand for the client (RFC 6043 4.2.3.4 and 6.10): be an identity of it, a group
 * that it is in now, or a pattern; *as gets the identity that answers (4.2.3.5). A ticket that its
 * Initiator made (D = 0, mode 3) gets here what a request would have got: its Initiator must still
 * be a user, and kms_policy_request would have granted just this. Tickets of another realm only
 * with cross_realm. MKT_E_NOT_AUTHORISED, MKT_E_TP_PARAM; else as mkt_policy_grant. */
enum mkt_rc kms_policy_resolve(struct mkt_identity *as, const struct kms_opened *ticket,
                               const struct kms_circumstances *q, struct mkt_err *err);

#endif
