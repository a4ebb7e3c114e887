/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every text that is given to media/sdp. */
#ifndef MKT_FUZZ_SDP_H
#define MKT_FUZZ_SDP_H

#include <mikeyticket/base.h>

/* mkt_sdp_holds reads octets as a description and as a KeyMgmt header, goes on with what they ask
 * for, and returns what does not hold (static), or NULL. */
const char *mkt_sdp_holds(struct mkt_span octets);

#endif
