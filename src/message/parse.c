/* SPDX-License-Identifier: Apache-2.0 */
/* From octets to payloads: header, then the chain, with nothing left over. Nothing is copied or
 * allocated, and the unused part of the payload array is never touched. */
#include "message/message.h"

enum mkt_rc
mkt_msg_parse(struct mkt_msg *m, struct mkt_span octets, struct mkt_err *err)
{
    m->octets = octets;
    m->hdr = (struct mkt_hdr){ .version = 0 };
    m->n = 0;
    if (octets.n > MKT_MSG_MAX)
        return mkt_fail(err, MKT_E_TOO_MANY, MKT_MSG_MAX, "octets of a message", "RFC 3830 6");
    struct mkt_reader r = mkt_r_open(octets, 0, "HDR", "RFC 3830 6.1", err);
    if (mkt_hdr_read(&r, &m->hdr) != MKT_OK)
        return err->rc;
    return mkt_chain_read(&r, m->hdr.next, m->pl, MKT_PAYLOADS_MAX, &m->n);
}

uint8_t
mkt_payload_role(const struct mkt_payload *pl)
{
    switch (pl->type) {
    case MKT_PL_TR:
        return pl->u.tr.role;
    case MKT_PL_IDR:
        return pl->u.idr.role;
    case MKT_PL_RANDR:
        return pl->u.randr.role;
    default:
        return 0;
    }
}

const struct mkt_payload *
mkt_msg_find(const struct mkt_msg *m, uint16_t type, uint8_t role)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == type && (role == 0 || mkt_payload_role(&m->pl[i]) == role))
            return &m->pl[i];
    return NULL;
}
