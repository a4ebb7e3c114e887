/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket Transfers of a run, one after the other: which ticket is offered (granted, made by the
 * Initiator, used before, passed on by a Responder), and answers for which no KMS is asked. */
#include "flow.h"

#include <string.h>

bool
rn_is_update(const struct mkt_msg *m)
{
    return m->hdr.data_type == MKT_DT_TRANSFER_INIT && rn_ticket_of(m) == NULL;
}

/* The role of the identity that a message gives its sender. */
static uint8_t
role_of_sender(const struct mkt_msg *m)
{
    bool initiator =
        m->hdr.data_type == MKT_DT_REQUEST_INIT_PSK || m->hdr.data_type == MKT_DT_TRANSFER_INIT;
    return initiator ? MKT_IDR_I : MKT_IDR_R;
}

static struct mkt_identity
identity_in(const struct mkt_msg *m, uint8_t role)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_IDR, role);
    struct mkt_identity id = { 0, { NULL, 0 } };
    if (pl != NULL)
        id = (struct mkt_identity){ pl->u.idr.id_type, pl->u.idr.data };
    return id;
}

const struct rn_party *
rn_who(struct flow *f, const struct sent *s)
{
    const struct rn_party *named = rn_party_named(f->r, &f->w, s->from), *p = NULL;
    if (f->n_transfers > 1)
        p = rn_party_with(&f->w, identity_in(s->m, role_of_sender(s->m)));
    return p == NULL ? named : p;
}

/* --- who has what ---------------------------------------------------------------------------- */

static struct holder *
holder_of(struct flow *f, const struct rn_party *who)
{
    return &f->holder[who - f->w.party];
}

void
rn_switch_sender(struct flow *f, const struct rn_party *who)
{
    if (f->sender == who)
        return;
    if (f->sender != NULL) {
        holder_of(f, f->sender)->initiator = f->initiator;
        holder_of(f, f->sender)->grant = f->grant;
    }
    f->sender = who;
    f->initiator = holder_of(f, who)->initiator;
    f->grant = holder_of(f, who)->grant;
    holder_of(f, who)->initiator = NULL;
    holder_of(f, who)->grant = NULL;
}

void
rn_flow_free(struct flow *f)
{
    for (size_t i = 0; i < RN_PARTIES; i++) {
        mkt_initiator_free(f->holder[i].initiator);
        mkt_grant_free(f->holder[i].grant);
        mkt_resolution_free(f->holder[i].resolution);
    }
    mkt_csb_free(f->csb_i);
    mkt_csb_free(f->csb_r);
    mkt_initiator_free(f->initiator);
    mkt_grant_free(f->grant);
    mkt_responder_free(f->responder);
    mkt_kms_forward_free(f->forward);
    mkt_kms_txn_free(f->peer_txn);
    rn_world_free(&f->w);
}

/* --- the ticket to be offered ---------------------------------------------------------------- */

/* The TICKET of m, Next Payload and Initiator Data aside, is the one in `octets`. */
static bool
is_ticket(const struct mkt_msg *m, struct mkt_span octets)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_TICKET, 0);
    struct mkt_span data = pl->u.ticket.ticket_data;
    size_t n = (size_t)(data.p + data.n - pl->raw.p);
    return octets.n >= n && memcmp(octets.p + 1, pl->raw.p + 1, n - 1) == 0;
}

static void
make_initiator(struct flow *f, const struct sent *s)
{
    const struct mkt_payload *t = mkt_msg_find(s->m, MKT_PL_T, 0);
    const struct mkt_credential cred = { .self = f->sender->id,
                                         .kms = f->w.kms->id,
                                         .psk = &f->sender->psk.base,
                                         .ts_type = t == NULL ? 0 : t->u.t.ts_type };
    f->initiator = mkt_initiator_new(&cred);
    if (f->initiator == NULL)
        rn_fail(f->r, s->name, "out of memory");
}

static void
find_ticket(struct flow *f, const struct sent *s)
{
    struct mkt_resolution *res = holder_of(f, f->sender)->resolution;
    const struct mkt_payload *pl = mkt_msg_find(s->m, MKT_PL_TICKET, 0);
    struct mkt_err err = { 0 };
    if (f->grant != NULL && is_ticket(s->m, mkt_grant_ticket(f->grant)))
        return;
    bool passed_on = res != NULL && mkt_resolution_is_of(res, pl);
    if (!passed_on && (pl->u.ticket.flags & MKT_TP_D) != 0)
        return; /* a ticket of the KMS that was asked for; what is wrong shows in the octets */
    mkt_grant_free(f->grant);
    f->grant = NULL;
    if (!passed_on)
        rn_own_ticket(f, s);
    else if (mkt_resolution_grant(&f->grant, res, &err) != MKT_OK)
        rn_fail_err(f->r, rn_name(f->r, "%s: ticket passed on", s->name), &err);
}

void
rn_begin_transfer(struct flow *f, size_t i)
{
    if (f->n_transfers != 0)
        rn_end_transfer(f);
    mkt_csb_free(f->csb_i);
    mkt_csb_free(f->csb_r);
    mkt_responder_free(f->responder);
    f->csb_i = f->csb_r = NULL;
    f->responder = NULL;
    f->answerer = NULL;
    f->reaction = mkt_span(NULL, 0);
    f->compared = false;
    f->n_transfers++;
    f->n_updates = 0;
    f->offer = i;
    rn_switch_sender(f, rn_who(f, &f->msg[i]));
    if (f->initiator == NULL)
        make_initiator(f, &f->msg[i]);
    find_ticket(f, &f->msg[i]);
}

struct mkt_span
rn_group_of(const struct flow *f, size_t i)
{
    const struct mkt_msg *m = f->msg[i].m;
    const struct mkt_payload *rand = mkt_msg_find(m, MKT_PL_RANDR, MKT_RANDR_I);
    for (size_t k = 0; rand != NULL && k < i; k++) {
        const struct mkt_msg *other = f->msg[k].m;
        const struct mkt_payload *was = mkt_msg_find(other, MKT_PL_RANDR, MKT_RANDR_I);
        if (other->hdr.data_type == MKT_DT_TRANSFER_INIT && was != NULL &&
            other->hdr.csb_id == m->hdr.csb_id && was->u.randr.rand.n == rand->u.randr.rand.n &&
            memcmp(was->u.randr.rand.p, rand->u.randr.rand.p, rand->u.randr.rand.n) == 0)
            return f->msg[k].octets;
    }
    return mkt_span(NULL, 0);
}

/* --- answers without the KMS ------------------------------------------------------------------ */

void
rn_respond_alone(struct flow *f, size_t i, const struct rn_party *who)
{
    const struct sent *offer = &f->msg[f->offer];
    const struct sent *answer =
        f->msg[i].m->hdr.data_type == MKT_DT_TRANSFER_RESP ? &f->msg[i] : NULL;
    struct mkt_resolution *cached = holder_of(f, who)->resolution;
    struct mkt_choice choice;
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    struct mkt_csb *csb = NULL;
    enum mkt_next next = MKT_NEXT_ABORT;
    if (!rn_take_offer(f, i, who, NULL)) {
        rn_fail(f->r, offer->name, "is refused by the Responder: %s", mkt_rc_name(f->refused));
        return;
    }
    rn_choice(f, offer, answer, &choice);
    const struct rn_tpk *tpk = rn_tpk_of_ticket(f, offer->m);
    if (cached != NULL && mkt_resolution_is_of(cached, mkt_msg_find(offer->m, MKT_PL_TICKET, 0)))
        next = mkt_responder_reuse(f->responder, &f->env, &choice, cached, &io, &csb);
    else if (tpk != NULL)
        next = mkt_responder_open(f->responder, &f->env, &choice, &tpk->key.base, &io, &csb);
    else
        mkt_fail(&io.err, MKT_E_TICKET, 0, "no TPK for the ticket", "RFC 6043 4.1.1");
    if (next == MKT_NEXT_ABORT)
        rn_fail_err(f->r, rn_name(f->r, "%s opened", offer->name), &io.err);
    if (f->csb_r == NULL)
        f->csb_r = csb;
    else
        mkt_csb_free(csb);
    f->answerer = who;
    f->reaction = mkt_span(io.out, io.out_len);
}

/* --- the end of a transfer -------------------------------------------------------------------- */

/* Without TRANSFER_RESP (F = 0) both ends are ready as soon as they know the keys. */
static void
complete_silently(struct flow *f)
{
    const struct sent *offer = &f->msg[f->offer];
    const struct rn_party *to = rn_party_with(&f->w, identity_in(offer->m, MKT_IDR_R));
    const struct mkt_pl_ticket *ticket = rn_ticket_of(offer->m);
    struct mkt_err err = { 0 };
    if ((ticket->flags & MKT_TP_F) != 0)
        return;
    if (f->csb_r == NULL && (ticket->flags & MKT_TP_E) == 0)
        rn_respond_alone(f, f->offer, to != NULL ? to : rn_party_named(f->r, &f->w, offer->to));
    if (f->csb_i == NULL && f->initiator != NULL && f->csb_r != NULL &&
        mkt_initiator_established(f->initiator, &f->env, &f->csb_i, &err) != MKT_OK)
        rn_fail_err(f->r, "Initiator", &err);
}

/* The first transfer has `session_keys`, the n-th `session_keys_n`; members of a group that do not
 * fork have the keys of the first. */
static const char *
outputs_of(struct flow *f)
{
    json_t *outputs = json_object_get(f->r->doc.root, "outputs");
    const char *key =
        f->n_transfers == 1 ? "session_keys" : rn_name(f->r, "session_keys_%zu", f->n_transfers);
    if (json_object_get(outputs, key) != NULL)
        return key;
    const struct mkt_policy *p = f->grant == NULL ? NULL : mkt_grant_policy(f->grant);
    bool forks = false;
    for (size_t i = 0; f->grant != NULL && i < mkt_grant_keys(f->grant)->n; i++)
        forks = forks || mkt_grant_keys(f->grant)->k[i].type <= MKT_KEY_TGK_SALT;
    if (p == NULL || ((p->flags & MKT_TP_I) != 0 && forks))
        return NULL;
    return rn_group_of(f, f->offer).n != 0 ? "session_keys" : NULL;
}

void
rn_end_transfer(struct flow *f)
{
    if (f->compared || f->r->faults != 0)
        return;
    f->compared = true;
    complete_silently(f);
    if (f->responder != NULL && f->answerer != NULL) {
        struct mkt_resolution *res = mkt_responder_take_resolution(f->responder);
        struct holder *h = holder_of(f, f->answerer);
        if (res != NULL) {
            mkt_resolution_free(h->resolution);
            h->resolution = res;
        }
    }
    rn_check_csbs(f, outputs_of(f), f->offer);
}
