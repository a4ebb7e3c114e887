/* SPDX-License-Identifier: Apache-2.0 */
/* The Common Header and its three CS ID maps (RFC 3830 6.1, RFC 4563 5, RFC 6043 6.1.1). The map
 * is checked block by block when the header is read, so that walking it later cannot fail. One
 * function reads a block for both purposes. */
#include "payload/table.h"

enum { SRTP_ID_LEN = 9, SSRC_LEN = 4, SSRC_ROC_SEQ_LEN = 10 };

static uint32_t
be(struct mkt_span s, size_t from, size_t width)
{
    uint32_t v = 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | s.p[from + i];
    return v;
}

/* SSRC, and with S also ROC and SEQ, when there is Session Data at all. */
static void
srtp_session_data(struct mkt_reader *r, struct mkt_cs *cs)
{
    size_t n = cs->session_data.n;
    if (n == 0)
        return;
    if (n != (cs->s ? SSRC_ROC_SEQ_LEN : SSRC_LEN)) {
        mkt_r_fail(r, MKT_E_FIELD, n + 2);
        return;
    }
    cs->has_ssrc = true;
    cs->ssrc = be(cs->session_data, 0, 4);
    if (cs->s) {
        cs->roc = be(cs->session_data, 4, 4);
        cs->seq = (uint16_t)be(cs->session_data, 8, 2);
    }
}

static void
generic_id_read(struct mkt_reader *r, struct mkt_cs *cs)
{
    r->ref = "RFC 6043 6.1.1";
    cs->cs_id = (uint8_t)mkt_r_uint(mkt_r_at(r, "HDR CS ID"), 1);
    cs->prot_type = (uint8_t)mkt_r_uint(mkt_r_at(r, "HDR Prot type"), 1);
    uint32_t v = mkt_r_uint(mkt_r_at(r, "HDR #P"), 1);
    cs->s = (v & 0x80) != 0;
    cs->policies = mkt_r_take(mkt_r_at(r, "HDR Ps"), v & 0x7F);
    cs->session_data = mkt_r_vec(mkt_r_at(r, "HDR Session Data"), 2);
    if (cs->prot_type == MKT_PROT_SRTP)
        srtp_session_data(r, cs);
    cs->spi = mkt_r_vec(mkt_r_at(r, "HDR SPI"), 1);
}

static void
srtp_id_read(struct mkt_reader *r, uint8_t index, struct mkt_cs *cs)
{
    r->ref = "RFC 3830 6.1.1";
    struct mkt_span s = mkt_r_take(mkt_r_at(r, "HDR SRTP-ID"), SRTP_ID_LEN);
    if (s.n == 0)
        return;
    cs->cs_id = index;
    cs->prot_type = MKT_PROT_SRTP;
    cs->policies = mkt_span(s.p, 1);
    cs->has_ssrc = true;
    cs->ssrc = be(s, 1, 4);
    cs->roc = be(s, 5, 4);
}

/* Reads the crypto session that is number `index` of the map, from 1. */
static void
cs_read(struct mkt_reader *r, uint8_t map_type, uint8_t index, struct mkt_cs *cs)
{
    *cs = (struct mkt_cs){ .cs_id = 0 };
    if (map_type == MKT_MAP_GENERIC_ID)
        generic_id_read(r, cs);
    else
        srtp_id_read(r, index, cs);
}

static void
map_read(struct mkt_reader *r, struct mkt_hdr *h)
{
    const struct mkt_reader start = *r;
    struct mkt_cs cs;
    if (mkt_reg_find(MKT_REG_MAP, h->map_type) == NULL)
        mkt_r_fail(mkt_r_at(r, "HDR CS ID map type"), MKT_E_MAP, 1);
    else if (h->map_type != MKT_MAP_EMPTY)
        for (uint8_t i = 0; i < h->n_cs && r->err->rc == MKT_OK; i++)
            cs_read(r, h->map_type, (uint8_t)(i + 1), &cs);
    h->map = mkt_span(start.p, r->at - start.at);
}

enum mkt_rc
mkt_hdr_read(struct mkt_reader *r, struct mkt_hdr *h)
{
    *h = (struct mkt_hdr){ .version = 0 };
    r->ref = "RFC 3830 6.1";
    h->version = (uint8_t)mkt_r_uint(mkt_r_at(r, "HDR version"), 1);
    if (h->version != 1)
        return mkt_r_fail(r, MKT_E_VERSION, 1);
    h->data_type = (uint8_t)mkt_r_uint(mkt_r_at(r, "HDR data type"), 1);
    h->next = (uint8_t)mkt_r_uint(mkt_r_at(r, "HDR next payload"), 1);
    uint32_t v = mkt_r_uint(mkt_r_at(r, "HDR PRF func"), 1);
    h->v = (v & 0x80) != 0;
    h->prf = v & 0x7F;
    h->csb_id = mkt_r_uint(mkt_r_at(r, "HDR CSB ID"), 4);
    h->n_cs = (uint8_t)mkt_r_uint(mkt_r_at(r, "HDR #CS"), 1);
    h->map_type = (uint8_t)mkt_r_uint(mkt_r_at(r, "HDR CS ID map type"), 1);
    if (r->err->rc == MKT_OK)
        map_read(r, h);
    return r->err->rc;
}

void
mkt_hdr_write(struct mkt_writer *w, const struct mkt_hdr *h)
{
    if (h->prf > 127 || (h->map_type == MKT_MAP_EMPTY && h->map.n != 0) ||
        (h->map_type == MKT_MAP_SRTP_ID && h->map.n != (size_t)h->n_cs * SRTP_ID_LEN))
        w->overflow = true;
    mkt_w_uint(w, 1, 1);
    mkt_w_uint(w, 1, h->data_type);
    w->slot = w->len;
    mkt_w_uint(w, 1, MKT_PL_LAST);
    mkt_w_uint(w, 1, (h->v ? 0x80U : 0U) | h->prf);
    mkt_w_uint(w, 4, h->csb_id);
    mkt_w_uint(w, 1, h->n_cs);
    mkt_w_uint(w, 1, h->map_type);
    mkt_w_octets(w, h->map);
}

void
mkt_cs_write(struct mkt_writer *w, const struct mkt_cs *cs)
{
    if (cs->policies.n > 127)
        w->overflow = true;
    mkt_w_uint(w, 1, cs->cs_id);
    mkt_w_uint(w, 1, cs->prot_type);
    mkt_w_uint(w, 1, (cs->s ? 0x80U : 0U) | (uint32_t)cs->policies.n);
    mkt_w_octets(w, cs->policies);
    if (cs->prot_type == MKT_PROT_SRTP && cs->has_ssrc) {
        mkt_w_uint(w, 2, cs->s ? SSRC_ROC_SEQ_LEN : SSRC_LEN);
        mkt_w_uint(w, 4, cs->ssrc);
        if (cs->s) {
            mkt_w_uint(w, 4, cs->roc);
            mkt_w_uint(w, 2, cs->seq);
        }
    } else
        mkt_w_vec(w, 2, cs->session_data);
    mkt_w_vec(w, 1, cs->spi);
}

void
mkt_map_begin(struct mkt_map_iter *it, const struct mkt_hdr *hdr)
{
    uint8_t n = hdr->map_type == MKT_MAP_EMPTY ? 0 : hdr->n_cs;
    *it = (struct mkt_map_iter){ hdr->map_type, n, 0, hdr->map };
}

bool
mkt_map_next(struct mkt_map_iter *it, struct mkt_cs *cs)
{
    if (it->left == 0)
        return false;
    struct mkt_err err = { 0 };
    struct mkt_reader r = mkt_r_open(it->rest, 0, NULL, NULL, &err);
    it->left--;
    it->index++;
    cs_read(&r, it->map_type, it->index, cs);
    it->rest = mkt_span(r.p, r.left);
    return err.rc == MKT_OK;
}
