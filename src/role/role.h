/* SPDX-License-Identifier: Apache-2.0 */
/* What the roles share: the making of a CSB. */
#ifndef MKT_ROLE_ROLE_H
#define MKT_ROLE_ROLE_H

#include "exchange/exchange.h"

/* What a CSB is made of; everything is copied. */
struct mkt_csb_parts {
    const struct mkt_msg *init, *resp; /* TRANSFER_INIT, TRANSFER_RESP (NULL: F = 0) */
    const struct mkt_policy *policy;   /* granted policy */
    const struct mkt_keys *keys;       /* as granted: MPKs first, TGKs forked already */
    struct mkt_identity peer;
};

/* Makes the CSB: every crypto session of the final map has exactly one known policy, session data
 * (for SRTP) and the SPI of a session key (4.2.2.3, 6.1.1). *csb is owned by the caller. */
enum mkt_rc mkt_csb_make(struct mkt_csb **csb, const struct mkt_csb_parts *parts,
                         struct mkt_err *err);

/* RFC6043:12.1: RANDRi (+ RANDRr if G) is at least as long as the longest MPK, TGK or GTGK. */
enum mkt_rc mkt_check_transfer_rands(const struct mkt_keys *keys, size_t rand_i, size_t rand_r,
                                     struct mkt_err *err);

#define MKT_SCOPED_KEYS __attribute__((cleanup(mkt_keys_wipe))) struct mkt_keys

#endif
