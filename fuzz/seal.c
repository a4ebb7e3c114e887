/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing in place, with the library's own key schedule: whether that is right is for the test
 * vectors to say, here it only has to get past the MAC. */
#include "seal.h"

#include "message/message.h"

/* The spans of a message cut from the harness's own copy. */
static uint8_t *
writable(struct mkt_span s)
{
    return (uint8_t *)(uintptr_t)s.p;
}

static bool
encrypt(const struct mkt_pl_kemac *k, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
        uint32_t csb_id, uint64_t t64)
{
    return k->encr_alg == mk->suite->encr &&
           mkt_kemac_aes_cm(c, mk, csb_id, t64, k->encr_data, writable(k->encr_data));
}

static bool
derive(struct mkt_msg_keys *mk, const struct mkt_msg *m, const struct mkt_seal *s)
{
    const struct mkt_suite *suite = mkt_suite_of(m->hdr.prf);
    return suite != NULL &&
           mkt_derive_msg_keys(mk, s->key, s->crypto, suite, &s->label, MKT_WANT_ALL);
}

static uint64_t
time_of(const struct mkt_msg *m)
{
    const struct mkt_payload *t = mkt_msg_find(m, MKT_PL_T, 0);
    return t == NULL ? 0 : mkt_ts_widen(t->u.t.ts_type, t->u.t.value);
}

bool
mkt_seal_kemac(const struct mkt_msg *m, const struct mkt_seal *s)
{
    const struct mkt_payload *kemac = mkt_msg_find(m, MKT_PL_KEMAC, 0);
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };

    return kemac != NULL && derive(&mk, m, s) &&
           encrypt(&kemac->u.kemac, s->crypto, &mk, m->hdr.csb_id, time_of(m));
}

bool
mkt_seal_message(const struct mkt_msg *m, const struct mkt_seal *s)
{
    const struct mkt_payload *v = &m->pl[m->n - 1];
    struct mkt_span part[MKT_COVER_MAX];
    uint8_t mac[MKT_MAC_MAX];
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };

    if (m->n == 0 || v->type != MKT_PL_V || !derive(&mk, m, s) || v->u.v.auth_alg != mk.suite->mac)
        return false;
    (void)mkt_seal_kemac(m, s);
    size_t n = mkt_cover(m, s->tail, s->n_tail, part);
    if (!mkt_mac_run(s->crypto, &mk, part, n, mac))
        return false;
    memcpy(writable(v->u.v.mac), mac, mk.suite->auth_len);
    return true;
}

static bool
seal_ticket_mac(const struct mkt_payload *ticket, const struct mkt_ticket_data *d,
                struct mkt_crypto *c, const struct mkt_msg_keys *mk)
{
    struct mkt_span mac = d->v->u.v.mac;
    struct mkt_span covered = mkt_span(ticket->raw.p + 1, (size_t)(mac.p - ticket->raw.p) - 1);
    uint8_t out[MKT_MAC_MAX];

    if (d->v->u.v.auth_alg != mk->suite->mac || !mkt_mac_run(c, mk, &covered, 1, out))
        return false;
    memcpy(writable(mac), out, mk->suite->auth_len);
    return true;
}

bool
mkt_seal_ticket(const struct mkt_payload *ticket, struct mkt_crypto *crypto,
                const struct mkt_inkey *tpk, struct mkt_keys *keys)
{
    const struct mkt_pl_ticket *pl = &ticket->u.ticket;
    const struct mkt_suite *suite = mkt_suite_of(pl->prf);
    struct mkt_ticket_data d;
    struct mkt_policy policy;
    struct mkt_err err = { 0 };
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };

    if (suite == NULL || !mkt_is_base_ticket(pl) ||
        mkt_ticket_data_read(&d, ticket, &err) != MKT_OK)
        return false;
    const struct mkt_label label = { .use = MKT_USE_FROM_TPK, .nonce1 = d.rand->u.rand.rand };
    const struct mkt_pl_t *t = &d.t->u.t;
    if (!mkt_derive_msg_keys(&mk, tpk, crypto, suite, &label, MKT_WANT_ALL))
        return false;
    (void)encrypt(&d.kemac->u.kemac, crypto, &mk, UINT32_MAX, mkt_ts_widen(t->ts_type, t->value));
    return seal_ticket_mac(ticket, &d, crypto, &mk) &&
           mkt_policy_decode(&policy, pl, true, 0, &err) == MKT_OK &&
           mkt_base_ticket_open(keys, ticket, &d, &policy, crypto, tpk, &err) == MKT_OK;
}

bool
mkt_seal_initiator_data(const struct mkt_msg *m, struct mkt_crypto *crypto,
                        const struct mkt_secret *mpk_r)
{
    const struct mkt_payload *ticket = mkt_msg_find(m, MKT_PL_TICKET, 0);
    const struct mkt_suite *suite = mkt_suite_of(m->hdr.prf);
    const struct mkt_label label = { .use = MKT_USE_INITIATOR_DATA };
    struct mkt_initiator_data d;
    struct mkt_inkey_ref inkey;
    struct mkt_err err = { 0 };
    uint8_t mac[MKT_MAC_MAX];
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };

    if (ticket == NULL || suite == NULL || mkt_initiator_data_read(&d, ticket, &err) != MKT_OK ||
        d.vi.u.v.auth_alg != suite->mac || d.vr.u.v.auth_alg != suite->mac)
        return false;
    if (m->pl[m->n - 1].type == MKT_PL_V && m->hdr.data_type == MKT_DT_TRANSFER_INIT)
        memcpy(writable(d.vi.u.v.mac), m->pl[m->n - 1].u.v.mac.p, suite->auth_len);
    struct mkt_span data = ticket->u.ticket.initiator_data;
    struct mkt_span covered = mkt_span(data.p, (size_t)(d.vr.u.v.mac.p - data.p));
    mkt_inkey_ref_init(&inkey, mpk_r);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, crypto, suite, &label, MKT_WANT_AUTH) ||
        !mkt_mac_run(crypto, &mk, &covered, 1, mac))
        return false;
    memcpy(writable(d.vr.u.v.mac), mac, suite->auth_len);
    return true;
}

bool
mkt_seal_pke(const struct mkt_msg *m, const struct mkt_cert *kms)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_PKE, 0);
    uint8_t sealed[MKT_RSA_MAX];

    if (pl == NULL || pl->u.pke.data.n != (mkt_be_cert_bits(kms) + 7) / 8 ||
        !mkt_be_rsa_public(kms, pl->u.pke.data, sealed))
        return false;
    memcpy(writable(pl->u.pke.data), sealed, pl->u.pke.data.n);
    return true;
}

bool
mkt_seal_sign(const struct mkt_msg *m, const struct mkt_env *env, const struct mkt_pkey *key,
              const struct mkt_span *tail, size_t n_tail)
{
    const struct mkt_payload *pl = &m->pl[m->n - 1];
    struct mkt_span part[MKT_COVER_MAX];
    uint8_t signature[MKT_RSA_MAX];

    if (m->n == 0 || pl->type != MKT_PL_SIGN || pl->u.sign.s_type > MKT_S_RSA_PSS ||
        pl->u.sign.signature.n != (mkt_be_pkey_bits(key) + 7) / 8)
        return false;
    size_t n = mkt_cover(m, tail, n_tail, part);
    if (mkt_rsa_sign(env, key, pl->u.sign.s_type, MKT_HASH_SHA_256, part, n, signature) != MKT_OK)
        return false;
    memcpy(writable(pl->u.sign.signature), signature, pl->u.sign.signature.n);
    return true;
}
