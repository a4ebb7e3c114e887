/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket Transfer (RFC 6043 4.2.2): what both ends do alike with its two messages. */
#include "exchange/exchange.h"

struct mkt_label
mkt_transfer_label(bool response, uint32_t csb_id, struct mkt_span rand_i, struct mkt_span rand_r)
{
    return (struct mkt_label){ .use = response ? MKT_USE_RESP : MKT_USE_INIT,
                               .csb_id = csb_id,
                               .nonce1 = rand_i,
                               .nonce2 = rand_r };
}

static const struct mkt_pl_sp *
find_sp(const struct mkt_msg *m, uint8_t policy_no, uint8_t prot_type)
{
    for (size_t i = 0; m != NULL && i < m->n; i++) {
        const struct mkt_pl_sp *sp = &m->pl[i].u.sp;
        if (m->pl[i].type == MKT_PL_SP && sp->policy_no == policy_no && sp->prot_type == prot_type)
            return sp;
    }
    return NULL;
}

const struct mkt_pl_sp *
mkt_transfer_sp(const struct mkt_msg *resp, const struct mkt_msg *init, uint8_t policy_no,
                uint8_t prot_type)
{
    const struct mkt_pl_sp *sp = find_sp(resp, policy_no, prot_type);
    return sp != NULL ? sp : find_sp(init, policy_no, prot_type);
}

enum mkt_rc
mkt_transfer_check_map(const struct mkt_msg *m, const struct mkt_msg *init, struct mkt_err *err)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    mkt_map_begin(&it, &m->hdr);
    while (mkt_map_next(&it, &cs))
        for (size_t i = 0; i < cs.policies.n; i++)
            if (mkt_transfer_sp(m, init, cs.policies.p[i], cs.prot_type) == NULL)
                return mkt_fail(err, MKT_E_SP, (size_t)(cs.policies.p - m->octets.p) + i,
                                "CS ID map: policy without an SP of its Prot type",
                                "RFC 6043 6.1.1");
    return MKT_OK;
}

enum mkt_rc
mkt_transfer_verify_init(const struct mkt_msg *init, struct mkt_crypto *c,
                         const struct mkt_secret *mpk_i, struct mkt_identity id_i,
                         struct mkt_identity id_r, struct mkt_err *err)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_inkey_ref inkey;
    const struct mkt_span tail[2] = { id_i.data, id_r.data };
    const struct mkt_label label = mkt_transfer_label(
        false, init->hdr.csb_id, mkt_ex_randr(init, MKT_RANDR_I), mkt_span(NULL, 0));

    mkt_inkey_ref_init(&inkey, mpk_i);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, c, mkt_suite_of(init->hdr.prf), &label,
                             MKT_WANT_AUTH))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "MPKi", "RFC 6043 5.1.2");
    return mkt_ex_verify(init, c, &mk, tail, 2, err);
}

enum mkt_rc
mkt_transfer_offered_keys(struct mkt_keys *keys, const struct mkt_msg *init,
                          const struct mkt_policy *policy, struct mkt_crypto *c,
                          struct mkt_err *err)
{
    const struct mkt_payload *kemac = mkt_msg_find(init, MKT_PL_KEMAC, 0);
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    MKT_SCOPED_KEYS extra;
    struct mkt_inkey_ref inkey;
    const struct mkt_label label = mkt_transfer_label(
        false, init->hdr.csb_id, mkt_ex_randr(init, MKT_RANDR_I), mkt_span(NULL, 0));

    extra.n = 0;
    if (kemac == NULL)
        return MKT_OK;
    mkt_inkey_ref_init(&inkey, &keys->k[0].key);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, c, mkt_suite_of(init->hdr.prf), &label,
                             MKT_WANT_ALL))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "MPKi", "RFC 6043 5.1.2");
    if (mkt_kemac_read(&extra, kemac, c, &mk, init->hdr.csb_id, mkt_ex_time(init).value, err) !=
        MKT_OK)
        return err->rc;
    return mkt_keys_supply(keys, &extra, policy, MKT_TP_L, err);
}
