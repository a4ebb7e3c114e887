/* SPDX-License-Identifier: Apache-2.0 */
/* One payload, and chains of them. MIKEY has no generic payload length: an unexpected payload can
 * be ignored only because its framing is known, and an unknown one ends the parse. */
#include "payload/table.h"

enum mkt_rc
mkt_pl_read(struct mkt_reader *r, uint16_t type, struct mkt_payload *pl)
{
    const struct mkt_pl_type *t = mkt_pl_type(type);
    const struct mkt_reader start = *r;
    memset(pl, 0, sizeof *pl);
    pl->type = type;
    pl->at = r->at;
    r->ref = t->ref;
    mkt_r_at(r, t->name != NULL ? t->name : "payload of an unknown type");
    if (t->refuse != MKT_OK)
        return mkt_r_fail(r, t->refuse, 0);
    if (!t->final)
        pl->next = (uint8_t)mkt_r_uint(r, 1);
    mkt_fields_read(r, t, pl);
    if (t->read_rest != NULL)
        t->read_rest(r, pl);
    pl->raw = mkt_span(start.p, r->at - start.at);
    return r->err->rc;
}

void
mkt_pl_write(struct mkt_writer *w, const struct mkt_payload *pl)
{
    const struct mkt_pl_type *t = mkt_pl_type(pl->type);
    if (t->refuse != MKT_OK) {
        w->overflow = true;
        return;
    }
    if (pl->type == MKT_PL_THDR)
        w->slot = MKT_W_NO_SLOT; /* it has no number, so nobody names it */
    mkt_w_begin(w, (uint8_t)pl->type);
    if (t->final && !w->overflow) {
        w->len--; /* mkt_w_begin made room for a Next Payload octet */
        w->slot = MKT_W_NO_SLOT;
    }
    mkt_fields_write(w, t, pl);
    if (t->write_rest != NULL)
        t->write_rest(w, pl);
}

enum mkt_rc
mkt_chain_read(struct mkt_reader *r, uint16_t first, struct mkt_payload *pl, size_t cap, size_t *n)
{
    uint16_t type = first;
    for (*n = 0; type != MKT_PL_LAST; ++*n) {
        if (*n == cap)
            return mkt_r_fail(mkt_r_at(r, "chain of payloads"), MKT_E_TOO_MANY, 0);
        if (mkt_pl_read(r, type, &pl[*n]) != MKT_OK)
            return r->err->rc;
        type = pl[*n].next;
    }
    r->ref = "RFC 3830 6.1";
    return mkt_r_end(mkt_r_at(r, "end of the chain of payloads"));
}

enum mkt_rc
mkt_payload_decode(struct mkt_payload *pl, uint16_t type, struct mkt_span octets, size_t *used,
                   struct mkt_err *err)
{
    struct mkt_reader r = mkt_r_open(octets, 0, NULL, NULL, err);
    *used = 0;
    if (mkt_pl_read(&r, type, pl) == MKT_OK)
        *used = r.at;
    return err->rc;
}

enum mkt_rc
mkt_payload_encode(const struct mkt_payload *pl, uint8_t *out, size_t cap, size_t *len)
{
    struct mkt_writer w = mkt_w_open(out, cap);
    mkt_pl_write(&w, pl);
    *len = w.overflow ? 0 : w.len;
    if (w.overflow)
        return MKT_E_NO_SPACE;
    if (!mkt_pl_type(pl->type)->final)
        out[0] = pl->next;
    return MKT_OK;
}

enum mkt_rc
mkt_chain_decode(struct mkt_payload *pl, size_t cap, size_t *n, uint16_t first,
                 struct mkt_span octets, struct mkt_err *err)
{
    struct mkt_reader r = mkt_r_open(octets, 0, NULL, NULL, err);
    return mkt_chain_read(&r, first, pl, cap, n);
}
