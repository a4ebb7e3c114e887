/* SPDX-License-Identifier: Apache-2.0 */
/* The Ticket Policy, written: TP payload and the first half of a TICKET payload. */
#include "ticket/ticket.h"

static void
write_idr(struct mkt_writer *w, uint8_t role, struct mkt_identity id)
{
    if (id.data.p == NULL)
        return;
    mkt_pl_write(w,
                 &(struct mkt_payload){ .type = MKT_PL_IDR, .u.idr = { role, id.type, id.data } });
}

static void
write_tr(struct mkt_writer *w, uint8_t role, const struct mkt_time *t)
{
    uint8_t value[8];
    if (!t->has)
        return;
    size_t n = mkt_ts_narrow(t->type, t->value, value);
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_TR,
                                           .u.tr = { role, t->type, mkt_span(value, n) } });
}

/* RFC 6043 6.10: "The Key Data fields SHALL be set to '0' by the Initiator"; so is the salt. */
static void
write_wanted(struct mkt_writer *w, const struct mkt_policy *p)
{
    static const uint8_t zeros[MKT_SECRET_MAX];

    if (!p->has_kemac)
        return;
    mkt_w_begin(w, MKT_PL_KEMAC);
    size_t chain = w->slot;
    mkt_w_uint(w, 1, MKT_ENCR_NULL);
    size_t len = mkt_w_reserve(w, 2);
    w->slot = MKT_W_NO_SLOT;
    for (size_t i = 0; i < p->n_wanted; i++) {
        const struct mkt_want_key *k = &p->wanted[i];
        if (k->key_len > sizeof zeros || k->salt_len > sizeof zeros) {
            w->overflow = true;
            return;
        }
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_KEY_DATA,
                                               .u.key_data = { .type = k->type,
                                                               .kv = k->kv,
                                                               .key = mkt_span(zeros, k->key_len),
                                                               .salt = mkt_span(zeros, k->salt_len),
                                                               .spi = k->spi } });
    }
    mkt_w_patch(w, len, 2);
    mkt_w_uint(w, 1, MKT_MAC_NULL);
    w->slot = chain;
}

static void
write_fields(struct mkt_writer *w, const struct mkt_policy *p, bool wanted)
{
    size_t outer = w->slot;

    mkt_w_uint(w, 2, p->ticket_type);
    mkt_w_uint(w, 1, p->subtype);
    mkt_w_uint(w, 1, p->version);
    mkt_w_uint(w, 3, (uint32_t)p->prf << 17 | (uint32_t)p->flags << 5 | (p->res & 0x1FU));
    size_t len = mkt_w_reserve(w, 2);
    w->slot = mkt_w_reserve(w, 1); /* First Payload */
    write_idr(w, MKT_IDR_KMS, p->kms);
    write_idr(w, MKT_IDR_I, p->initiator);
    write_tr(w, MKT_TR_S, &p->start);
    write_tr(w, MKT_TR_E, &p->end);
    write_tr(w, MKT_TR_R, &p->rekey);
    if (wanted)
        write_wanted(w, p);
    for (size_t i = 0; i < p->n_apps; i++)
        write_idr(w, MKT_IDR_APP, p->apps[i]);
    for (size_t i = 0; i < p->n_responders; i++)
        write_idr(w, MKT_IDR_R, p->responders[i]);
    mkt_w_patch(w, len, 2);
    w->slot = outer;
}

void
mkt_wanted_policy_write(struct mkt_writer *w, const struct mkt_policy *p)
{
    mkt_w_begin(w, MKT_PL_TP);
    write_fields(w, p, true);
}

void
mkt_granted_policy_write(struct mkt_writer *w, const struct mkt_policy *p)
{
    mkt_w_begin(w, MKT_PL_TICKET);
    write_fields(w, p, false);
}
