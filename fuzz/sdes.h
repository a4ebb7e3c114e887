/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every text that is given to media/sdes. */
#ifndef MKT_FUZZ_SDES_H
#define MKT_FUZZ_SDES_H

#include <mikeyticket/base.h>

/* mkt_sdes_holds reads octets as the value of a crypto attribute, and returns what does not hold
 * (static), or NULL. */
const char *mkt_sdes_holds(struct mkt_span octets);

#endif
