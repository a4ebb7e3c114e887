/* SPDX-License-Identifier: Apache-2.0 */
/* What the MAC or signature of a message covers (RFC 6043 5.5), as spans of the octets that were
 * received: nothing is ever re-encoded. Two cuts are possible. One is the MAC itself, at the end.
 * The other is in the middle of TRANSFER_INIT: its Initiator Data holds the message's own MAC. */
#include "message/message.h"

/* The octets at the end of the message that hold the MAC or signature. */
static size_t
tag_len(const struct mkt_msg *m)
{
    const struct mkt_payload *last = m->n != 0 ? &m->pl[m->n - 1] : NULL;
    if (last != NULL && last->type == MKT_PL_V)
        return last->u.v.mac.n;
    return last != NULL && last->type == MKT_PL_SIGN ? last->u.sign.signature.n : 0;
}

size_t
mkt_cover(const struct mkt_msg *m, const struct mkt_span *tail, size_t n_tail,
          struct mkt_span part[MKT_COVER_MAX])
{
    const size_t end = m->octets.n - tag_len(m);
    const struct mkt_payload *ticket =
        m->hdr.data_type == MKT_DT_TRANSFER_INIT ? mkt_msg_find(m, MKT_PL_TICKET, 0) : NULL;
    size_t n = 0, from = 0;
    if (ticket != NULL) {
        from = ticket->at + ticket->raw.n;
        part[n++] = mkt_span(m->octets.p, from - 2 - ticket->u.ticket.initiator_data.n);
    }
    part[n++] = mkt_span(m->octets.p + from, end - from);
    /* GCOV_EXCL_BR_LINE: two tails at most, behind two pieces */
    for (size_t i = 0; i < n_tail && n < MKT_COVER_MAX; i++)
        part[n++] = tail[i];
    return n;
}
