/* SPDX-License-Identifier: Apache-2.0 */
/* Key Data and DH: the two payloads that end with key validity data (RFC 3830 6.14), whose form
 * is chosen by four bits of the payload. The salt of Key Data is there only for some key types. */
#include "payload/table.h"

struct validity {
    struct mkt_span spi, from, to;
};

static struct validity
validity_read(struct mkt_reader *r, uint8_t kv)
{
    struct validity v = { .spi = { NULL, 0 } };
    if (kv == MKT_KV_SPI)
        v.spi = mkt_r_vec(mkt_r_at(r, "KV data SPI"), 1);
    else if (kv == MKT_KV_INTERVAL) {
        v.from = mkt_r_vec(mkt_r_at(r, "KV data Valid From"), 1);
        v.to = mkt_r_vec(mkt_r_at(r, "KV data Valid To"), 1);
    }
    return v;
}

static void
validity_write(struct mkt_writer *w, uint8_t kv, const struct validity *v)
{
    if (kv > MKT_KV_INTERVAL)
        w->overflow = true;
    if (kv == MKT_KV_SPI)
        mkt_w_vec(w, 1, v->spi);
    else if (kv == MKT_KV_INTERVAL) {
        mkt_w_vec(w, 1, v->from);
        mkt_w_vec(w, 1, v->to);
    }
}

/* Reserv (4 bits), KV (4 bits), KV data: behind DH-Group and DH-value. */
void
mkt_dh_read(struct mkt_reader *r, struct mkt_payload *pl)
{
    struct mkt_pl_dh *dh = &pl->u.dh;
    uint32_t v = mkt_r_uint(mkt_r_at(r, "DH KV"), 1);
    dh->reserv = (uint8_t)(v >> 4);
    dh->kv = v & 0x0F;
    if (dh->kv > MKT_KV_INTERVAL)
        mkt_r_fail(r, MKT_E_FIELD, 1);
    struct validity data = validity_read(r, dh->kv);
    dh->spi = data.spi;
    dh->from = data.from;
    dh->to = data.to;
}

void
mkt_dh_write(struct mkt_writer *w, const struct mkt_payload *pl)
{
    const struct mkt_pl_dh *dh = &pl->u.dh;
    if (dh->reserv > 0x0F)
        w->overflow = true;
    mkt_w_uint(w, 1, (uint32_t)dh->reserv << 4 | (dh->kv & 0x0FU));
    validity_write(w, dh->kv, &(struct validity){ dh->spi, dh->from, dh->to });
}

bool
mkt_key_has_salt(uint8_t key_type)
{
    return key_type == MKT_KEY_TGK_SALT || key_type == MKT_KEY_TEK_SALT ||
           key_type == MKT_KEY_GTGK_SALT;
}

/* Type (4 bits), KV (4 bits), Key data, Salt data, KV data. */
void
mkt_key_data_read(struct mkt_reader *r, struct mkt_payload *pl)
{
    struct mkt_pl_key_data *k = &pl->u.key_data;
    uint32_t v = mkt_r_uint(mkt_r_at(r, "Key Data Type"), 1);
    k->type = (uint8_t)(v >> 4);
    k->kv = v & 0x0F;
    if (k->type > MKT_KEY_MPK)
        mkt_r_fail(r, MKT_E_FIELD, 1);
    if (k->kv > MKT_KV_INTERVAL)
        mkt_r_fail(mkt_r_at(r, "Key Data KV"), MKT_E_FIELD, 1);
    k->key = mkt_r_vec(mkt_r_at(r, "Key Data Key data"), 2);
    if (mkt_key_has_salt(k->type))
        k->salt = mkt_r_vec(mkt_r_at(r, "Key Data Salt data"), 2);
    struct validity data = validity_read(r, k->kv);
    k->spi = data.spi;
    k->from = data.from;
    k->to = data.to;
}

void
mkt_key_data_write(struct mkt_writer *w, const struct mkt_payload *pl)
{
    const struct mkt_pl_key_data *k = &pl->u.key_data;
    if (k->type > MKT_KEY_MPK || (k->salt.n != 0 && !mkt_key_has_salt(k->type)))
        w->overflow = true; /* a salt that has no place would be lost silently */
    mkt_w_uint(w, 1, (uint32_t)k->type << 4 | (k->kv & 0x0FU));
    mkt_w_vec(w, 2, k->key);
    if (mkt_key_has_salt(k->type))
        mkt_w_vec(w, 2, k->salt);
    validity_write(w, k->kv, &(struct validity){ k->spi, k->from, k->to });
}
