/* SPDX-License-Identifier: Apache-2.0 */
/* The MAC of messages and tickets (RFC 3830 4.2.4, RFC 6043 6.2), over parts that stay where they
 * are: what a MAC covers is rarely one run of octets. */
#include "keys/keys.h"

#include "backend/backend.h"

bool
mkt_mac_run(struct mkt_crypto *c, const struct mkt_msg_keys *keys, const struct mkt_span *part,
            size_t n, uint8_t out[MKT_MAC_MAX])
{
    const struct mkt_suite *suite = keys->suite;
    if (suite == NULL) /* wiped keys */
        return false;
    bool ok = mkt_be_hmac_key(c, suite->mac, mkt_span(keys->auth, suite->auth_len)) &&
              mkt_be_hmac_last(c, suite->mac, part, n, out);
    mkt_be_hmac_forget(c, suite->mac);
    return ok;
}
