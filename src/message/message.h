/* SPDX-License-Identifier: Apache-2.0 */
/* What exchanges need of a message beyond the public parse: coverage of MACs, and the tables. */
#ifndef MKT_MESSAGE_MESSAGE_H
#define MKT_MESSAGE_MESSAGE_H

#include "base/writer.h"
#include "payload/codec.h"
#include <mikeyticket/message.h>

/* At most: 3 pieces of the message (two cuts) and two tails. */
#define MKT_COVER_MAX 5

/* Cuts the octets that the MAC of message m covers (RFC 6043 5.5): without the MAC or signature
 * field that ends it, in a TRANSFER_INIT without Initiator Data and its length, followed by `tail`.
 * Returns the number of parts. m must have been parsed; its last payload is V or SIGN. */
size_t mkt_cover(const struct mkt_msg *m, const struct mkt_span *tail, size_t n_tail,
                 struct mkt_span part[MKT_COVER_MAX]);

/* True for Ticket Type 1, Subtype 1, Version 1: Ticket Data as in RFC 6043 Appendix A. */
bool mkt_is_base_ticket(const struct mkt_pl_ticket *t);

#endif
