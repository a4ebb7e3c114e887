/* SPDX-License-Identifier: Apache-2.0 */
/* TRANSFER_RESP (RFC 6043 4.2.2.3): the choice completed with what was offered and drawn, and the
 * CSB that follows from it. */
#include "role/responder.h"

#define REF "RFC 6043 4.2.2.3"

struct draw {
    uint8_t rand[MKT_SECRET_MAX];
    size_t rand_len;
    uint64_t t64;
};

static struct mkt_identity
answering(const struct mkt_answer *a)
{
    return a->idr.data.p != NULL ? a->idr : a->r->own.cred.self;
}

static bool
names_itself(const struct mkt_answer *a)
{
    return a->idr.data.p != NULL || (a->r->own.cred.omit & MKT_OMIT_SELF) == 0;
}

/* A group or a pattern is not us: whoever else belongs to it can open the ticket, too. */
static bool
names_us_alone(const struct mkt_responder *r)
{
    return r->policy.n_responders == 1 &&
           mkt_identity_equal(r->policy.responders[0], r->own.cred.self);
}

static bool
write_payloads(struct mkt_writer *w, const struct mkt_answer *a, const struct draw *d,
               uint8_t ts_type, struct mkt_crypto *c, const struct mkt_msg_keys *mk)
{
    const struct mkt_own_choice *ch = &a->r->choice;

    mkt_ts_write(w, ts_type, d->t64);
    if (d->rand_len != 0)
        mkt_ex_write_randr(w, MKT_RANDR_R, mkt_span(d->rand, d->rand_len));
    if (names_itself(a))
        mkt_ex_write_idr(w, MKT_IDR_R, answering(a));
    if (a->rand_kms.n != 0)
        mkt_ex_write_randr(w, MKT_RANDR_KMS, a->rand_kms);
    for (size_t i = 0; i < ch->n_sp; i++)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_SP, .u.sp = ch->sp[i] });
    if (ch->sdp_ids.n != 0)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_GENERAL_EXT,
                                               .u.ext = { MKT_EXT_SDP_IDS, ch->sdp_ids } });
    return ch->keys == NULL || mkt_kemac_write(w, c, mk, a->r->offer.hdr.csb_id, d->t64, ch->keys);
}

static bool
derive(struct mkt_msg_keys *mk, const struct mkt_answer *a, const struct mkt_env *env,
       const struct draw *d)
{
    const struct mkt_msg *offer = &a->r->offer;
    const struct mkt_policy *p = &a->r->policy;
    struct mkt_inkey_ref inkey;
    const struct mkt_label label = mkt_transfer_label(
        true, offer->hdr.csb_id, mkt_ex_randr(offer, MKT_RANDR_I), mkt_span(d->rand, d->rand_len));

    mkt_inkey_ref_init(&inkey, &a->keys->k[mkt_policy_mpks(p) - 1].key);
    return mkt_derive_msg_keys(mk, &inkey.base, env->crypto, mkt_suite_of(p->prf), &label,
                               a->r->choice.keys != NULL ? MKT_WANT_ALL : MKT_WANT_AUTH);
}

/* Map and RANDRr are drawn in the order of the test vectors: RANDRr, SSRCs, T. */
static enum mkt_rc
write_message(struct mkt_writer *w, const struct mkt_answer *a, const struct mkt_env *env)
{
    const struct mkt_msg *offer = &a->r->offer;
    const struct mkt_policy *p = &a->r->policy;
    uint8_t map[8192], ts_type = mkt_ex_time(offer).type;
    struct mkt_writer m = mkt_w_open(map, sizeof map);
    struct draw d = { .rand_len = (p->flags & MKT_TP_G) != 0 ? mkt_suite_of(p->prf)->key_len : 0 };
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    const struct mkt_span tail = offer->octets;

    if (!mkt_ex_random(env, d.rand, d.rand_len) ||
        !mkt_answer_map_write(&m, offer, &a->r->choice, mkt_first_spi(a->keys), env))
        return MKT_E_RANDOM;
    if (!mkt_ts_stamp(env, ts_type, &d.t64))
        return MKT_E_TS_TYPE;
    w->overflow |= m.overflow;
    mkt_hdr_write(w, &(struct mkt_hdr){ .version = 1,
                                        .data_type = MKT_DT_TRANSFER_RESP,
                                        .prf = offer->hdr.prf,
                                        .csb_id = offer->hdr.csb_id,
                                        .n_cs = (uint8_t)a->r->choice.n_cs,
                                        .map_type = MKT_MAP_GENERIC_ID,
                                        .map = mkt_span(map, m.len) });
    if (!derive(&mk, a, env, &d) || !write_payloads(w, a, &d, ts_type, env->crypto, &mk) ||
        !mkt_ex_seal(w, env->crypto, &mk, &tail, 1))
        return MKT_E_CRYPTO;
    return w->overflow ? MKT_E_NO_SPACE : MKT_OK;
}

enum mkt_next
mkt_answer_write(const struct mkt_answer *a, const struct mkt_env *env, struct mkt_io *io,
                 struct mkt_csb **csb)
{
    struct mkt_msg resp;
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    bool answers = (a->r->policy.flags & MKT_TP_F) != 0;
    const struct mkt_keys *own = a->r->choice.keys;
    size_t rand_i = mkt_ex_randr(&a->r->offer, MKT_RANDR_I).n, rand_r = 0;

    if (own != NULL &&
        (mkt_keys_check_own(own->k, own->n, mkt_suite_of(a->r->policy.prf), &io->err) != MKT_OK ||
         mkt_keys_supply(a->keys, own, &a->r->policy, MKT_TP_M, &io->err) != MKT_OK))
        return MKT_NEXT_ABORT;
    if (answers) {
        enum mkt_rc rc = write_message(&w, a, env);
        if (rc != MKT_OK)
            return mkt_ex_abort(io, rc, "TRANSFER_RESP", REF);
        /* GCOV_EXCL_START: our own message */
        if (mkt_msg_parse(&resp, mkt_span(w.buf, w.len), &io->err) != MKT_OK)
            return MKT_NEXT_ABORT;
        /* GCOV_EXCL_STOP */
        rand_r = mkt_ex_randr(&resp, MKT_RANDR_R).n;
    }
    if (mkt_check_transfer_rands(a->keys, rand_i, rand_r, &io->err) != MKT_OK ||
        mkt_csb_make(csb,
                     &(struct mkt_csb_parts){ .init = &a->r->offer,
                                              .resp = answers ? &resp : NULL,
                                              .keys = a->keys,
                                              .id_i = mkt_offer_initiator(a->r),
                                              .id_r = answers && names_itself(a)
                                                          ? answering(a)
                                                          : mkt_offer_responder(a->r),
                                              .alone = names_us_alone(a->r),
                                              .now = env->now },
                     &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    io->out_len = answers ? w.len : 0;
    return answers ? MKT_NEXT_SEND_PEER : MKT_NEXT_DONE;
}
