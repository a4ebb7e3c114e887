/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have what: pure functions of the question, the time and the rules. No store, no I/O. */
#ifndef KMS_POLICY_H
#define KMS_POLICY_H

#include <mikeyticket/policy.h>

#include "config.h"

/* kms_policy_request decides on the ticket that `requester` (authenticated) wants: *granted is the
 * policy to issue. Borrows as mkt_policy_grant does. */
enum mkt_rc kms_policy_request(struct mkt_policy *granted, const struct mkt_policy *want,
                               const struct kms_config *rules, struct mkt_identity requester,
                               struct mkt_identity kms, uint64_t now, struct mkt_err *err);

/* kms_policy_resolve decides whether `responder` (authenticated) may have the keys of a ticket:
 * one of its responders must be exactly that identity (RFC 6043 4.2.3.4). */
enum mkt_rc kms_policy_resolve(const struct mkt_policy *ticket, struct mkt_identity responder,
                               struct mkt_err *err);

#endif
