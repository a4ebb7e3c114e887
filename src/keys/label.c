/* SPDX-License-Identifier: Apache-2.0 */
/* Every key in RFC 6043 is PRF(inkey, constant || CS ID || CSB ID || tag || nonces): seven uses of
 * one shape, to be held against the RFC row by row. In RFC 3830 a bare RAND stands where the tag
 * does. A PSK may serve both: with a RAND of 16 octets the labels differ in length, since tag,
 * length and a nonce that is long enough (12.1) take at least 18. */
#include "keys/keys.h"

static const struct {
    uint8_t tag;
    bool own_cs, own_csb; /* else all ones */
    uint8_t len1, len2;   /* octets of each nonce's length field; 0: no such nonce */
    bool bare;            /* no tag and no length: RFC 3830 */
} uses[] = {
    [MKT_USE_FORK] = { 0x00, false, false, 2, 1, false },           /* 5.1.1: ID Data, RANDRkms */
    [MKT_USE_INIT] = { 0x01, false, true, 1, 1, false },            /* 5.1.2: RANDRi, RANDRr */
    [MKT_USE_RESP] = { 0x02, false, true, 1, 1, false },            /* 5.1.2: RANDRi, RANDRr */
    [MKT_USE_SESSION] = { 0x03, true, false, 1, 1, false },         /* 5.1.3: RANDRi, RANDRr */
    [MKT_USE_INITIATOR_DATA] = { 0x04, false, false, 0, 0, false }, /* 6.10 */
    [MKT_USE_FROM_TPK] = { 0x05, false, false, 1, 0, false },       /* A.2.1: RAND */
    [MKT_USE_FROM_MPK] = { 0x06, false, false, 1, 0, false },       /* A.2.2: RAND */
    [MKT_USE_3830_MESSAGE] = { 0, false, true, 0, 0, true },        /* RFC 3830 4.1.4: RAND */
    [MKT_USE_3830_SESSION] = { 0, true, true, 0, 0, true },         /* RFC 3830 4.1.3: RAND */
};

void
mkt_label_write(struct mkt_writer *w, enum mkt_constant constant, const struct mkt_label *l)
{
    /* A label that takes nonces and got none would repeat its key: "at least one of RANDRi and
     * RANDRr MUST be used" (5.1.3). It is refused like one that does not fit. */
    if ((uses[l->use].len1 != 0 || uses[l->use].bare) && l->nonce1.n == 0 && l->nonce2.n == 0)
        w->overflow = true;
    mkt_w_uint(w, 4, (uint32_t)constant);
    mkt_w_uint(w, 1, uses[l->use].own_cs ? l->cs_id : 0xFF);
    mkt_w_uint(w, 4, uses[l->use].own_csb ? l->csb_id : 0xFFFFFFFF);
    if (uses[l->use].bare) {
        mkt_w_octets(w, l->nonce1);
        return;
    }
    mkt_w_uint(w, 1, uses[l->use].tag);
    if (uses[l->use].len1 != 0)
        mkt_w_vec(w, uses[l->use].len1, l->nonce1);
    if (uses[l->use].len2 != 0)
        mkt_w_vec(w, uses[l->use].len2, l->nonce2);
}
