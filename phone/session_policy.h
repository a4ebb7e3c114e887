/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto session is named by its number, and libmikeyticket-media wants its place in the bundle.
 */
#ifndef MKT_PHONE_SESSION_POLICY_H
#define MKT_PHONE_SESSION_POLICY_H

#include <mikeyticket/media/srtp.h>

/* session_policy gives the SRTP policy, with keys, of crypto session cs_id of csb; mkt_srtp_wipe.
 */
static inline enum mkt_rc
session_policy(struct mkt_srtp *policy, const struct mkt_csb *csb, uint8_t cs_id,
               struct mkt_crypto *crypto, struct mkt_err *err)
{
    struct mkt_session cs;
    size_t i = 0;

    while (mkt_csb_session(csb, i, &cs) == MKT_OK && cs.cs_id != cs_id)
        i++;
    return mkt_srtp_policy(policy, csb, crypto, i, err);
}

#endif
