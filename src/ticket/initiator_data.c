/* SPDX-License-Identifier: Apache-2.0 */
/* Initiator Data (RFC 6043 6.10): proves to the KMS that who asked for the ticket sends it. */
#include "ticket/ticket.h"

#define REF "RFC 6043 6.10"

enum mkt_rc
mkt_initiator_data_read(struct mkt_initiator_data *d, const struct mkt_payload *ticket,
                        struct mkt_err *err)
{
    struct mkt_span data = ticket->u.ticket.initiator_data;
    struct mkt_payload pl[8];
    const struct mkt_payload *v[2] = { NULL, NULL };
    size_t n = 0, n_v = 0;
    size_t at = ticket->at + (size_t)(data.p - ticket->raw.p);
    struct mkt_err inner = { 0 };
    struct mkt_reader r = mkt_r_open(data, at, "Initiator Data", REF, &inner);

    uint16_t first = (uint16_t)mkt_r_uint(&r, 1);
    if (mkt_chain_read(&r, first, pl, 8, &n) != MKT_OK)
        return mkt_fail(err, MKT_E_AUTH, inner.offset, "Initiator Data", REF);
    for (size_t i = 0; i < n; i++) {
        if (pl[i].type != MKT_PL_V)
            continue; /* unexpected: ignored */
        if (n_v == 2)
            return mkt_fail(err, MKT_E_AUTH, pl[i].at, "Initiator Data: a third V", REF);
        v[n_v++] = &pl[i];
    }
    if (n_v != 2 || v[1] != &pl[n - 1])
        return mkt_fail(err, MKT_E_AUTH, at, "Initiator Data: not Vi, Vr", REF);
    d->vi = *v[0];
    d->vr = *v[1];
    return MKT_OK;
}

static bool
derive(struct mkt_msg_keys *mk, struct mkt_crypto *c, const struct mkt_suite *suite,
       const struct mkt_secret *mpk_r)
{
    struct mkt_inkey_ref inkey;
    const struct mkt_label label = { .use = MKT_USE_INITIATOR_DATA };

    mkt_inkey_ref_init(&inkey, mpk_r);
    return mkt_derive_msg_keys(mk, &inkey.base, c, suite, &label, MKT_WANT_AUTH);
}

bool
mkt_initiator_data_write(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_suite *suite,
                         const struct mkt_secret *mpk_r, struct mkt_span vi_mac)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    size_t start = w->len;
    size_t outer = w->slot;

    if (!derive(&mk, c, suite, mpk_r))
        return false;
    w->slot = mkt_w_reserve(w, 1); /* First Payload */
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_V, .u.v = { suite->mac, vi_mac } });
    mkt_w_begin(w, MKT_PL_V);
    mkt_w_uint(w, 1, suite->mac);
    w->slot = outer;
    size_t mac_at = w->len;
    uint8_t *mac = mkt_w_room(w, suite->auth_len);
    if (mac == NULL)
        return true;
    struct mkt_span covered = mkt_span(w->buf + start, mac_at - start);
    return mkt_mac_run(c, &mk, &covered, 1, mac);
}

enum mkt_rc
mkt_initiator_data_verify(const struct mkt_initiator_data *d, const struct mkt_payload *ticket,
                          struct mkt_crypto *c, const struct mkt_suite *suite,
                          const struct mkt_secret *mpk_r, struct mkt_err *err)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    uint8_t mac[MKT_MAC_MAX];
    struct mkt_span data = ticket->u.ticket.initiator_data;
    struct mkt_span covered = mkt_span(data.p, (size_t)(d->vr.u.v.mac.p - data.p));

    if (d->vi.u.v.auth_alg != suite->mac || d->vr.u.v.auth_alg != suite->mac)
        return mkt_fail(err, MKT_E_AUTH, d->vr.at, "Initiator Data: not of the suite", REF);
    if (!derive(&mk, c, suite, mpk_r) || !mkt_mac_run(c, &mk, &covered, 1, mac))
        return mkt_fail(err, MKT_E_CRYPTO, d->vr.at, "Initiator Data: Vr", REF);
    if (!mkt_ct_equal(mkt_span(mac, suite->auth_len), d->vr.u.v.mac))
        return mkt_fail(err, MKT_E_AUTH, d->vr.at, "Initiator Data: Vr", REF);
    return MKT_OK;
}
