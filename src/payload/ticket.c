/* SPDX-License-Identifier: Apache-2.0 */
/* TP and TICKET from the PRF Func on (RFC 6043 6.10): 7 bits of PRF, 12 flags and 5 reserved bits
 * share three octets. TP Data, Ticket Data and Initiator Data stay raw here, because what they are
 * made of depends on the Ticket Type. */
#include "payload/table.h"

enum { FLAG_BITS = 12, RES_BITS = 5 };

void
mkt_tp_read(struct mkt_reader *r, struct mkt_payload *pl)
{
    struct mkt_pl_ticket *t = &pl->u.ticket;
    uint32_t v = mkt_r_uint(mkt_r_at(r, "PRF Func and flags"), 3);
    t->prf = (uint8_t)(v >> (FLAG_BITS + RES_BITS));
    t->flags = (v >> RES_BITS) & ((1U << FLAG_BITS) - 1);
    t->res = v & ((1U << RES_BITS) - 1);
    t->tp_data = mkt_r_vec(mkt_r_at(r, "TP Data"), 2);
    if (t->tp_data.n == 0) /* there is no room for the First Payload octet */
        mkt_r_fail(r, MKT_E_FIELD, 2);
}

void
mkt_tp_write(struct mkt_writer *w, const struct mkt_payload *pl)
{
    const struct mkt_pl_ticket *t = &pl->u.ticket;
    if (t->prf > 127 || t->flags >> FLAG_BITS != 0 || t->res >> RES_BITS != 0 || t->tp_data.n == 0)
        w->overflow = true;
    mkt_w_uint(
        w, 3, (uint32_t)t->prf << (FLAG_BITS + RES_BITS) | (uint32_t)t->flags << RES_BITS | t->res);
    mkt_w_vec(w, 2, t->tp_data);
}

void
mkt_ticket_read(struct mkt_reader *r, struct mkt_payload *pl)
{
    mkt_tp_read(r, pl);
    pl->u.ticket.ticket_data = mkt_r_vec(mkt_r_at(r, "Ticket Data"), 2);
    pl->u.ticket.initiator_data = mkt_r_vec(mkt_r_at(r, "Initiator Data"), 2);
}

void
mkt_ticket_write(struct mkt_writer *w, const struct mkt_payload *pl)
{
    mkt_tp_write(w, pl);
    mkt_w_vec(w, 2, pl->u.ticket.ticket_data);
    mkt_w_vec(w, 2, pl->u.ticket.initiator_data);
}
