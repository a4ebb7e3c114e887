/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that a party supplies (L, M) and tickets that an Initiator makes: their contents are in the
 * recorded plaintexts, found by the ciphertext that the message carries. */
#include "flow.h"

#include "ticket/ticket.h"

#include <string.h>

static struct mkt_span
plaintext_of(struct flow *f, struct mkt_span cipher)
{
    size_t i;
    json_t *step;
    json_array_foreach(f->steps, i, step)
    {
        const char *kind = json_string_value(json_object_get(step, "kind"));
        if (kind == NULL || strcmp(kind, "encrypt") != 0)
            continue;
        struct mkt_span is = rn_hex(f->r, step, "ciphertext");
        if (is.n == cipher.n && is.n != 0 && memcmp(is.p, cipher.p, is.n) == 0)
            return rn_hex(f->r, step, "plaintext");
    }
    return mkt_span(NULL, 0);
}

static void
take_key(struct flow *f, struct mkt_key *k, const struct mkt_pl_key_data *d)
{
    k->type = d->type;
    k->kv = d->kv;
    k->spi_len = (uint8_t)d->spi.n;
    if (d->spi.n != 0)
        memcpy(k->spi, d->spi.p, d->spi.n);
    if (mkt_secret_set(&k->key, d->key) != MKT_OK || mkt_secret_set(&k->salt, d->salt) != MKT_OK)
        rn_fail(f->r, "KEMAC", "a key of %zu octets", d->key.n);
}

const struct mkt_keys *
rn_keys_of(struct flow *f, const struct mkt_payload *kemac)
{
    struct mkt_payload *pl = rn_alloc(f->r, MKT_KEYS_MAX * sizeof *pl);
    struct mkt_keys *keys = rn_alloc(f->r, sizeof *keys);
    struct mkt_err err = { 0 };
    size_t n = 0;
    if (kemac == NULL)
        return NULL;
    struct mkt_span plain = plaintext_of(f, kemac->u.kemac.encr_data);
    if (plain.n != 0 &&
        mkt_chain_decode(pl, MKT_KEYS_MAX, &n, MKT_PL_KEY_DATA, plain, &err) != MKT_OK)
        rn_fail_err(f->r, "KEMAC", &err);
    for (size_t i = 0; i < n; i++)
        take_key(f, &keys->k[keys->n++], &pl[i].u.key_data);
    return keys;
}

/* The parts of the ticket in m; NULL without a ticket or when its data is no base ticket. */
static const struct mkt_ticket_data *
ticket_data_of(struct flow *f, const struct mkt_msg *m)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_TICKET, 0);
    struct mkt_ticket_data *d = rn_alloc(f->r, sizeof *d);
    struct mkt_err err = { 0 };
    return pl == NULL || mkt_ticket_data_read(d, pl, &err) != MKT_OK ? NULL : d;
}

static bool
made_by_initiator(const struct mkt_msg *m)
{
    const struct mkt_pl_ticket *ticket = rn_ticket_of(m);
    return ticket != NULL && (ticket->flags & MKT_TP_D) == 0;
}

/* An Initiator draws the MPK of its ticket, and an SPI for it, unless it was told one. */
static bool
is_drawn(const struct flow *f, const struct mkt_key *k)
{
    return k->type == MKT_KEY_MPK && rn_inject_has(&f->inject, mkt_span(k->spi, k->spi_len));
}

static void
drop_keys(struct flow *f, const struct mkt_keys *keys)
{
    for (size_t i = 0; keys != NULL && i < keys->n; i++) {
        if (is_drawn(f, &keys->k[i]))
            continue;
        rn_inject_drop(&f->inject, mkt_secret_span(&keys->k[i].key));
        rn_inject_drop(&f->inject, mkt_secret_span(&keys->k[i].salt));
    }
}

void
rn_drop_supplied(struct flow *f)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct mkt_msg *m = f->msg[i].m;
        if (m->hdr.data_type != MKT_DT_TRANSFER_INIT && m->hdr.data_type != MKT_DT_TRANSFER_RESP)
            continue;
        drop_keys(f, rn_keys_of(f, mkt_msg_find(m, MKT_PL_KEMAC, 0)));
        const struct mkt_ticket_data *d = made_by_initiator(m) ? ticket_data_of(f, m) : NULL;
        if (d != NULL)
            drop_keys(f, rn_keys_of(f, d->kemac));
    }
}

const struct rn_tpk *
rn_tpk_of_ticket(struct flow *f, const struct mkt_msg *m)
{
    const struct mkt_ticket_data *d = ticket_data_of(f, m);
    const struct mkt_payload *ticket = mkt_msg_find(m, MKT_PL_TICKET, 0);
    struct mkt_policy policy;
    if (d == NULL)
        return NULL;
    if (d->psk_id != NULL)
        return rn_tpk_with(&f->w, d->psk_id->u.idr.data);
    for (size_t i = 0; i < f->w.n_tpk; i++) {
        struct mkt_keys *keys = rn_alloc(f->r, sizeof *keys);
        struct mkt_err err = { 0 };
        if (mkt_policy_decode(&policy, &ticket->u.ticket, true, 0, &err) == MKT_OK &&
            mkt_base_ticket_open(keys, ticket, d, &policy, f->r->crypto, &f->w.tpk[i].key.base,
                                 &err) == MKT_OK)
            return &f->w.tpk[i];
    }
    return NULL;
}

void
rn_own_ticket(struct flow *f, const struct sent *offer)
{
    const struct mkt_ticket_data *d = ticket_data_of(f, offer->m);
    const struct rn_tpk *tpk = rn_tpk_of_ticket(f, offer->m);
    struct mkt_policy *policy = rn_alloc(f->r, sizeof *policy);
    struct mkt_keys *keys = rn_alloc(f->r, sizeof *keys);
    struct mkt_err err = { 0 };
    if (d == NULL || tpk == NULL ||
        mkt_policy_decode(policy, rn_ticket_of(offer->m), true, 0, &err) != MKT_OK) {
        rn_fail(f->r, offer->name, "its ticket is under no TPK of the inputs");
        return;
    }
    const struct mkt_keys *all = rn_keys_of(f, d->kemac);
    for (size_t i = 0; i < all->n; i++)
        if (!is_drawn(f, &all->k[i]))
            keys->k[keys->n++] = all->k[i];
    const struct mkt_own_ticket own = {
        .policy = policy,
        .tpk = &tpk->key.base,
        .tpk_id = d->psk_id != NULL ? d->psk_id->u.idr.data : mkt_span(NULL, 0),
        .keys = keys,
        .ts_type = d->t->u.t.ts_type,
        .thdr = d->pl[0].u.thdr.data,
        .key_wrap = d->kemac->u.kemac.encr_alg == MKT_ENCR_AES_KW_128,
    };
    if (mkt_grant_create(&f->grant, &f->env, &own, &err) != MKT_OK)
        rn_fail_err(f->r, rn_name(f->r, "ticket of %s", offer->name), &err);
}
