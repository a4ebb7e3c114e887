/* SPDX-License-Identifier: Apache-2.0 */
/* PKE and SIGN: payloads whose 16-bit length field gives its first bits to something else. SIGN is
 * also the only payload without a Next Payload octet. */
#include "payload/table.h"

/* Writes `high` above a length of `bits` bits, then the octets. */
static void
packed_write(struct mkt_writer *w, uint8_t high, unsigned bits, struct mkt_span s)
{
    if (s.n >> bits != 0 || high >> (16 - bits) != 0)
        w->overflow = true; /* the field is too narrow */
    mkt_w_uint(w, 2, (uint32_t)high << bits | (uint32_t)s.n);
    mkt_w_octets(w, s);
}

/* C (2 bits), Data len (14 bits), Data. */
void
mkt_pke_read(struct mkt_reader *r, struct mkt_payload *pl)
{
    uint32_t v = mkt_r_uint(mkt_r_at(r, "PKE Data len"), 2);
    pl->u.pke.c = (uint8_t)(v >> 14);
    pl->u.pke.data = mkt_r_take(mkt_r_at(r, "PKE Data"), v & 0x3FFF);
}

void
mkt_pke_write(struct mkt_writer *w, const struct mkt_payload *pl)
{
    packed_write(w, pl->u.pke.c, 14, pl->u.pke.data);
}

/* S type (4 bits), Signature len (12 bits), Signature. */
void
mkt_sign_read(struct mkt_reader *r, struct mkt_payload *pl)
{
    uint32_t v = mkt_r_uint(mkt_r_at(r, "SIGN Signature len"), 2);
    pl->u.sign.s_type = (uint8_t)(v >> 12);
    pl->u.sign.signature = mkt_r_take(mkt_r_at(r, "SIGN Signature"), v & 0x0FFF);
}

void
mkt_sign_write(struct mkt_writer *w, const struct mkt_payload *pl)
{
    packed_write(w, pl->u.sign.s_type, 12, pl->u.sign.signature);
}
