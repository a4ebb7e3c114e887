/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of a role that a vector does not record by name are read off the message that the role
 * then made: what is offered, what is chosen, which identities are left out. */
#include "world.h"

#include <string.h>

const struct mkt_pl_ticket *
rn_ticket_of(const struct mkt_msg *m)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_TICKET, 0);
    return pl == NULL ? NULL : &pl->u.ticket;
}

void
rn_credential_of(struct rn *r, const struct rn_world *w, const struct rn_party *who,
                 const struct mkt_inkey *psk, const struct mkt_msg *m, struct mkt_credential *cred)
{
    const struct mkt_payload *t = mkt_msg_find(m, MKT_PL_T, 0);
    bool resolve =
        m->hdr.data_type == MKT_DT_RESOLVE_INIT_PSK || m->hdr.data_type == MKT_DT_RESOLVE_INIT_PK;
    const struct rn_holder *holder = rn_holder_of(&w->pki, who->name);
    *cred = (struct mkt_credential){
        .self = who->id, .kms = w->kms->id, .psk = psk, .ts_type = t == NULL ? 0 : t->u.t.ts_type
    };
    if (mkt_msg_find(m, MKT_PL_PKE, 0) != NULL && holder != NULL) {
        struct mkt_pk_credential *pk = rn_alloc(r, sizeof *pk);
        rn_pk_credential(&w->pki, holder, m, pk);
        cred->pk = pk;
    }
    if (mkt_msg_find(m, MKT_PL_IDR, MKT_IDR_PSK) != NULL)
        cred->psk_id = who->psk_id;
    if (mkt_msg_find(m, MKT_PL_IDR, resolve ? MKT_IDR_R : MKT_IDR_I) == NULL)
        cred->omit |= MKT_OMIT_SELF;
    const struct mkt_payload *kms = mkt_msg_find(m, MKT_PL_IDR, MKT_IDR_KMS);
    if (kms == NULL)
        cred->omit |= MKT_OMIT_KMS;
    else if (w->peer != NULL &&
             mkt_identity_equal((struct mkt_identity){ kms->u.idr.id_type, kms->u.idr.data },
                                w->peer->id))
        cred->kms = w->peer->id;
}

const struct mkt_pl_sp *
rn_sps_of(struct rn *r, const struct mkt_msg *m, size_t *n)
{
    struct mkt_pl_sp *sp = rn_alloc(r, (m->n + 1) * sizeof *sp);
    *n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == MKT_PL_SP)
            sp[(*n)++] = m->pl[i].u.sp;
    return sp;
}

static struct mkt_span
sdp_ids_of(const struct mkt_msg *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == MKT_PL_GENERAL_EXT && m->pl[i].u.ext.ext_type == MKT_EXT_SDP_IDS)
            return m->pl[i].u.ext.data;
    return mkt_span(NULL, 0);
}

void
rn_offer_of(struct rn *r, const struct mkt_msg *m, struct mkt_identity to, struct mkt_offer *offer)
{
    struct mkt_offer_cs *list = rn_alloc(r, 256 * sizeof *list), *o = list;
    const struct mkt_payload *t = mkt_msg_find(m, MKT_PL_T, 0);
    const struct mkt_payload *idr = mkt_msg_find(m, MKT_PL_IDR, MKT_IDR_R);
    struct mkt_map_iter it;
    struct mkt_cs cs;
    *offer = (struct mkt_offer){ .responder = to, .cs = list, .sdp_ids = sdp_ids_of(m) };
    offer->sp = rn_sps_of(r, m, &offer->n_sp);
    offer->ts_type = t == NULL ? 0 : t->u.t.ts_type;
    if (idr != NULL)
        offer->responder = (struct mkt_identity){ idr->u.idr.id_type, idr->u.idr.data };
    else
        offer->omit |= MKT_OMIT_PEER;
    if (mkt_msg_find(m, MKT_PL_IDR, MKT_IDR_I) == NULL)
        offer->omit |= MKT_OMIT_SELF;
    mkt_map_begin(&it, &m->hdr);
    for (; mkt_map_next(&it, &cs); o++) {
        *o = (struct mkt_offer_cs){ .cs_id = cs.cs_id,
                                    .prot_type = cs.prot_type,
                                    .n_policies = (uint8_t)cs.policies.n,
                                    .has_ssrc = cs.has_ssrc,
                                    .s = cs.s,
                                    .ssrc = cs.ssrc,
                                    .roc = cs.roc,
                                    .seq = cs.seq,
                                    .spi = cs.spi };
        if (!cs.has_ssrc)
            o->session_data = cs.session_data;
        if (cs.policies.n > sizeof o->policies)
            rn_fail(r, "offer", "crypto session %u has %zu policies", cs.cs_id, cs.policies.n);
        else if (cs.policies.n != 0)
            memcpy(o->policies, cs.policies.p, cs.policies.n);
    }
    offer->n_cs = (size_t)(o - list);
}

static bool
offered_cs(const struct mkt_msg *offer, uint8_t cs_id, struct mkt_cs *cs)
{
    struct mkt_map_iter it;
    mkt_map_begin(&it, &offer->hdr);
    while (mkt_map_next(&it, cs))
        if (cs->cs_id == cs_id)
            return true;
    *cs = (struct mkt_cs){ 0 };
    return false;
}

static bool
equal(struct mkt_span a, struct mkt_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* What the role would fill in by itself is left to it: the SSRC (it draws one), session data and
 * SPI as offered, and the SPI of the first key where none was offered. */
static void
choose(const struct mkt_msg *offer, const struct mkt_cs *cs, struct mkt_span first_spi,
       struct mkt_choose_cs *c)
{
    struct mkt_cs was;
    offered_cs(offer, cs->cs_id, &was);
    *c = (struct mkt_choose_cs){ .cs_id = cs->cs_id,
                                 .prot_type = cs->prot_type,
                                 .policy_no = cs->policies.n == 0 ? 0 : cs->policies.p[0] };
    if (was.has_ssrc && !equal(was.session_data, cs->session_data)) {
        c->has_ssrc = true;
        c->s = cs->s;
        c->ssrc = cs->ssrc;
        c->roc = cs->roc;
        c->seq = cs->seq;
    }
    if (!cs->has_ssrc && !equal(was.session_data, cs->session_data))
        c->session_data = cs->session_data;
    if (!equal(cs->spi, was.spi.n != 0 ? was.spi : first_spi))
        c->spi = cs->spi;
}

void
rn_choice_of(struct rn *r, const struct mkt_msg *offer, const struct mkt_msg *answer,
             struct mkt_span first_spi, struct mkt_choice *choice)
{
    struct mkt_choose_cs *list = rn_alloc(r, 256 * sizeof *list), *c = list;
    struct mkt_map_iter it;
    struct mkt_cs cs;
    mkt_map_begin(&it, &answer->hdr);
    while (mkt_map_next(&it, &cs))
        choose(offer, &cs, first_spi, c++);
    choice->cs = list;
    choice->n_cs = (size_t)(c - list);
    choice->sp = rn_sps_of(r, answer, &choice->n_sp);
    choice->sdp_ids = sdp_ids_of(answer);
}

void
rn_whole_choice_of(struct rn *r, const struct mkt_msg *answer, struct mkt_choice *choice)
{
    struct mkt_choose_cs *list = rn_alloc(r, 256 * sizeof *list), *c = list;
    struct mkt_map_iter it;
    struct mkt_cs cs;
    mkt_map_begin(&it, &answer->hdr);
    for (; mkt_map_next(&it, &cs); c++)
        *c = (struct mkt_choose_cs){ .cs_id = cs.cs_id,
                                     .prot_type = cs.prot_type,
                                     .policy_no = cs.policies.n == 0 ? 0 : cs.policies.p[0],
                                     .has_ssrc = cs.has_ssrc,
                                     .s = cs.s,
                                     .ssrc = cs.ssrc,
                                     .roc = cs.roc,
                                     .seq = cs.seq,
                                     .session_data =
                                         cs.has_ssrc ? mkt_span(NULL, 0) : cs.session_data,
                                     .spi = cs.spi };
    *choice = (struct mkt_choice){ .cs = list, .n_cs = (size_t)(c - list) };
    choice->sp = rn_sps_of(r, answer, &choice->n_sp);
    choice->sdp_ids = sdp_ids_of(answer);
}
