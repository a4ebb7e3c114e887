/* SPDX-License-Identifier: Apache-2.0 */
/* TRANSFER_RESP (RFC 6043 4.2.2.3): the choice completed with what was offered and drawn, and the
 * CSB that follows from it. */
#include "role/responder.h"

#include "backend/backend.h"
#include <string.h>

#define REF "RFC 6043 4.2.2.3"

/* --- the choice, kept between accept and resolved -------------------------------------------- */

void
mkt_choice_free(struct mkt_own_choice *o)
{
    mkt_be_free(o->cs, o->n_cs * sizeof *o->cs);
    mkt_be_free(o->sp, o->n_sp * sizeof *o->sp);
    mkt_octets_free(&o->blob);
    *o = (struct mkt_own_choice){ 0 };
}

static struct mkt_span
keep(struct mkt_writer *w, struct mkt_span s)
{
    size_t at = w->len;
    mkt_w_octets(w, s);
    return mkt_span(w->buf + at, s.n);
}

static size_t
blob_size(const struct mkt_choice *choice)
{
    size_t n = choice->sdp_ids.n;
    for (size_t i = 0; i < choice->n_cs; i++)
        n += choice->cs[i].session_data.n + choice->cs[i].spi.n;
    for (size_t i = 0; i < choice->n_sp; i++)
        n += choice->sp[i].params.n;
    return n;
}

/* Every session offered, with the first of its policies. One that offers none has policy 0 chosen,
 * which the making of the CSB refuses unless an SP with that number exists. */
static void
choose_all(struct mkt_choose_cs *out, size_t n, const struct mkt_msg *offer)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    mkt_map_begin(&it, &offer->hdr);
    for (size_t i = 0; i < n && mkt_map_next(&it, &cs); i++)
        out[i] = (struct mkt_choose_cs){ .cs_id = cs.cs_id,
                                         .prot_type = cs.prot_type,
                                         .policy_no = cs.policies.n != 0 ? cs.policies.p[0] : 0 };
}

static enum mkt_rc
allocate(struct mkt_own_choice *o, const struct mkt_choice *choice, size_t n_cs)
{
    o->cs = n_cs != 0 ? mkt_be_alloc(n_cs * sizeof *o->cs) : NULL;
    o->n_cs = o->cs != NULL ? n_cs : 0;
    o->sp = choice->n_sp != 0 ? mkt_be_alloc(choice->n_sp * sizeof *o->sp) : NULL;
    o->n_sp = o->sp != NULL ? choice->n_sp : 0;
    o->blob.n = blob_size(choice);
    o->blob.p = mkt_be_alloc(o->blob.n + 1);
    if (o->n_cs != n_cs || o->n_sp != choice->n_sp || o->blob.p == NULL) {
        mkt_choice_free(o);
        return MKT_E_MEMORY;
    }
    return MKT_OK;
}

enum mkt_rc
mkt_choice_copy(struct mkt_own_choice *out, const struct mkt_choice *choice,
                const struct mkt_msg *offer)
{
    struct mkt_own_choice o = { 0 };
    size_t n_cs = choice->n_cs != 0 ? choice->n_cs : offer->hdr.n_cs;

    if (n_cs > UINT8_MAX)
        return MKT_E_TOO_MANY;
    if (allocate(&o, choice, n_cs) != MKT_OK)
        return MKT_E_MEMORY;
    struct mkt_writer w = mkt_w_open(o.blob.p, o.blob.n);
    if (choice->n_cs == 0)
        choose_all(o.cs, n_cs, offer);
    for (size_t i = 0; i < choice->n_cs; i++) {
        o.cs[i] = choice->cs[i];
        o.cs[i].session_data = keep(&w, choice->cs[i].session_data);
        o.cs[i].spi = keep(&w, choice->cs[i].spi);
    }
    for (size_t i = 0; i < choice->n_sp; i++) {
        o.sp[i] = choice->sp[i];
        o.sp[i].params = keep(&w, choice->sp[i].params);
    }
    o.sdp_ids = keep(&w, choice->sdp_ids);
    mkt_choice_free(out);
    *out = o;
    return MKT_OK;
}

/* --- the message ---------------------------------------------------------------------------------
 */

static bool
offered_cs(const struct mkt_msg *offer, uint8_t cs_id, struct mkt_cs *cs)
{
    struct mkt_map_iter it;

    mkt_map_begin(&it, &offer->hdr);
    while (mkt_map_next(&it, cs))
        if (cs->cs_id == cs_id)
            return true;
    *cs = (struct mkt_cs){ .cs_id = cs_id };
    return false;
}

static struct mkt_span
default_spi(const struct mkt_answer *a)
{
    size_t first = mkt_policy_mpks(&a->r->policy);
    if (first >= a->keys->n)
        return mkt_span(NULL, 0);
    return mkt_span(a->keys->k[first].spi, a->keys->k[first].spi_len);
}

/* What was chosen, else what was offered, else (an SSRC) drawn. */
static bool
complete_cs(struct mkt_cs *cs, const struct mkt_answer *a, const struct mkt_choose_cs *ch,
            const struct mkt_env *env)
{
    uint8_t ssrc[4];

    (void)offered_cs(&a->r->offer, ch->cs_id, cs);
    cs->prot_type = ch->prot_type;
    cs->policies = mkt_span(&ch->policy_no, 1);
    if (ch->spi.n != 0)
        cs->spi = ch->spi;
    else if (cs->spi.n == 0)
        cs->spi = default_spi(a);
    if (ch->session_data.n != 0)
        cs->session_data = ch->session_data;
    if (ch->prot_type != MKT_PROT_SRTP)
        return true;
    if (ch->has_ssrc) {
        cs->s = ch->s;
        cs->ssrc = ch->ssrc;
        cs->roc = ch->roc;
        cs->seq = ch->seq;
    } else if (!cs->has_ssrc) {
        if (!mkt_ex_random(env, ssrc, sizeof ssrc))
            return false;
        cs->s = false;
        cs->ssrc =
            (uint32_t)ssrc[0] << 24 | (uint32_t)ssrc[1] << 16 | (uint32_t)ssrc[2] << 8 | ssrc[3];
    }
    cs->has_ssrc = true;
    return true;
}

static bool
write_map(struct mkt_writer *w, const struct mkt_answer *a, const struct mkt_env *env)
{
    struct mkt_cs cs;

    for (size_t i = 0; i < a->r->choice.n_cs; i++) {
        if (!complete_cs(&cs, a, &a->r->choice.cs[i], env))
            return false;
        mkt_cs_write(w, &cs);
    }
    return true;
}

struct draw {
    uint8_t rand[MKT_SECRET_MAX];
    size_t rand_len;
    uint64_t t64;
};

static void
write_payloads(struct mkt_writer *w, const struct mkt_answer *a, const struct draw *d,
               uint8_t ts_type)
{
    const struct mkt_own_choice *ch = &a->r->choice;

    mkt_ex_write_t(w, ts_type, d->t64);
    if (d->rand_len != 0)
        mkt_ex_write_randr(w, MKT_RANDR_R, mkt_span(d->rand, d->rand_len));
    if (a->idr.data.p != NULL)
        mkt_ex_write_idr(w, MKT_IDR_R, a->idr);
    else if ((a->r->own.cred.omit & MKT_OMIT_SELF) == 0)
        mkt_ex_write_idr(w, MKT_IDR_R, a->r->own.cred.self);
    if (a->rand_kms.p != NULL)
        mkt_ex_write_randr(w, MKT_RANDR_KMS, a->rand_kms);
    for (size_t i = 0; i < ch->n_sp; i++)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_SP, .u.sp = ch->sp[i] });
    if (ch->sdp_ids.n != 0)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_GENERAL_EXT,
                                               .u.ext = { MKT_EXT_SDP_IDS, ch->sdp_ids } });
}

static enum mkt_rc
write_message(struct mkt_writer *w, const struct mkt_answer *a, const struct mkt_env *env)
{
    const struct mkt_msg *offer = &a->r->offer;
    const struct mkt_policy *p = &a->r->policy;
    const struct mkt_suite *suite = mkt_suite_of(p->prf);
    uint8_t map[8192], ts_type = mkt_ex_time(offer).type;
    struct mkt_writer m = mkt_w_open(map, sizeof map);
    struct draw d = { .rand_len = (p->flags & MKT_TP_G) != 0 ? suite->key_len : 0 };
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_inkey_ref inkey;
    const struct mkt_span tail = offer->octets;

    if (!mkt_ex_random(env, d.rand, d.rand_len) || !write_map(&m, a, env))
        return MKT_E_RANDOM;
    if (!mkt_ex_stamp(env, ts_type, &d.t64))
        return MKT_E_TS_TYPE;
    w->overflow |= m.overflow;
    mkt_hdr_write(w, &(struct mkt_hdr){ .version = 1,
                                        .data_type = MKT_DT_TRANSFER_RESP,
                                        .prf = offer->hdr.prf,
                                        .csb_id = offer->hdr.csb_id,
                                        .n_cs = (uint8_t)a->r->choice.n_cs,
                                        .map_type = MKT_MAP_GENERIC_ID,
                                        .map = mkt_span(map, m.len) });
    write_payloads(w, a, &d, ts_type);
    const struct mkt_label label = mkt_transfer_label(
        true, offer->hdr.csb_id, mkt_ex_randr(offer, MKT_RANDR_I), mkt_span(d.rand, d.rand_len));
    mkt_inkey_ref_init(&inkey, &a->keys->k[mkt_policy_mpks(p) - 1].key);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, env->crypto, suite, &label, MKT_WANT_AUTH) ||
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
    size_t rand_i = mkt_ex_randr(&a->r->offer, MKT_RANDR_I).n, rand_r = 0;

    if (answers) {
        enum mkt_rc rc = write_message(&w, a, env);
        if (rc != MKT_OK)
            return mkt_ex_abort(io, rc, "TRANSFER_RESP", REF);
        if (mkt_msg_parse(&resp, mkt_span(w.buf, w.len), &io->err) != MKT_OK)
            return MKT_NEXT_ABORT;
        rand_r = mkt_ex_randr(&resp, MKT_RANDR_R).n;
    }
    if (mkt_check_transfer_rands(a->keys, rand_i, rand_r, &io->err) != MKT_OK ||
        mkt_csb_make(csb,
                     &(struct mkt_csb_parts){ .init = &a->r->offer,
                                              .resp = answers ? &resp : NULL,
                                              .policy = &a->r->policy,
                                              .keys = a->keys,
                                              .peer = a->r->policy.initiator },
                     &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    io->out_len = answers ? w.len : 0;
    return answers ? MKT_NEXT_SEND_PEER : MKT_NEXT_DONE;
}
