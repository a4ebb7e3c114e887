/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of today: every user may ask for tickets, for at most max_validity; only the responders
 * named in a ticket may resolve it. */
#include "policy.h"

enum mkt_rc
kms_policy_request(struct mkt_policy *granted, const struct mkt_policy *want,
                   const struct kms_config *rules, struct mkt_identity requester,
                   struct mkt_identity kms, uint64_t now, struct mkt_err *err)
{
    const struct mkt_grant_rules grant = { .max_validity_s = rules->max_validity_s };

    return mkt_policy_grant(granted, want, &grant, requester, kms, now, err);
}

enum mkt_rc
kms_policy_resolve(const struct mkt_policy *ticket, struct mkt_identity responder,
                   struct mkt_err *err)
{
    for (uint8_t i = 0; i < ticket->n_responders; i++)
        if (mkt_identity_equal(ticket->responders[i], responder))
            return MKT_OK;
    return mkt_fail(err, MKT_E_NOT_AUTHORISED, 0, "IDRr", "RFC 6043 4.2.3.4");
}
