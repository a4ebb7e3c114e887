/* SPDX-License-Identifier: Apache-2.0 */
/* The Initiator. A request is open until its answer verifies, an offer as long as the object lives:
 * nothing an outsider sends can end either. */
#include "role/role.h"

#include "backend/backend.h"
#include <string.h>

struct mkt_initiator {
    struct mkt_own_credential own;
    struct mkt_kms_exchange request;
    const struct mkt_grant *grant; /* of the open offer; borrowed */
    struct mkt_octets offer;       /* TRANSFER_INIT as sent */
    struct mkt_octets responder;   /* IDRr it was made for */
    uint8_t responder_type;
};

struct mkt_initiator *
mkt_initiator_new(const struct mkt_credential *cred)
{
    struct mkt_initiator *i = mkt_be_alloc(sizeof *i);

    if (i == NULL)
        return NULL;
    i->request.init_type = MKT_DT_REQUEST_INIT_PSK;
    i->request.resp_type = MKT_DT_REQUEST_RESP;
    if (mkt_own_credential_set(&i->own, cred) != MKT_OK) {
        mkt_initiator_free(i);
        return NULL;
    }
    return i;
}

void
mkt_initiator_free(struct mkt_initiator *i)
{
    if (i == NULL)
        return;
    mkt_own_credential_free(&i->own);
    mkt_kms_exchange_wipe(&i->request);
    mkt_octets_free(&i->offer);
    mkt_octets_free(&i->responder);
    mkt_be_free(i, sizeof *i);
}

/* --- Ticket Request --------------------------------------------------------------------------- */

static void
write_tp(struct mkt_writer *w, const void *arg)
{
    mkt_wanted_policy_write(w, arg);
}

enum mkt_next
mkt_initiator_request(struct mkt_initiator *i, const struct mkt_env *env,
                      const struct mkt_policy *want, struct mkt_io *io)
{
    const struct mkt_credential *cred = &i->own.cred;

    if (mkt_policy_check(want->flags, false, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    if (want->n_responders == 0 || (want->flags & MKT_TP_K) != 0)
        return mkt_ex_abort(io, MKT_E_TP_PARAM, "wanted policy: no IDRr, or K set",
                            "RFC 6043 6.10");
    return mkt_kms_exchange_open(&i->request, env, cred, want->prf, cred->omit, write_tp, want, io);
}

static bool
asked_for(const struct mkt_policy *want, struct mkt_identity responder)
{
    for (size_t i = 0; i < want->n_responders; i++)
        if (mkt_identity_equal(want->responders[i], responder))
            return true;
    return false;
}

/* RFC6043:4.2.1.6 "the Initiator MUST check that the granted Ticket Policy is acceptable". */
static enum mkt_rc
acceptable(const struct mkt_policy *want, const struct mkt_policy *got, struct mkt_err *err)
{
    const char *what = NULL;

    if ((got->flags & MKT_TP_D) == 0)
        what = "granted policy: not made by the KMS (D)";
    else if ((got->flags & MKT_TP_N) == 0)
        what = "granted policy: additional processing required (N)";
    else if ((want->flags & ~got->flags & MKT_TP_I) != 0)
        what = "granted policy: key forking dropped (I)";
    else if (got->prf != want->prf)
        what = "granted policy: another PRF";
    for (size_t i = 0; what == NULL && i < got->n_responders; i++)
        if (!asked_for(want, got->responders[i]))
            what = "granted policy: a responder was added";
    if (what != NULL)
        return mkt_fail(err, MKT_E_TP_PARAM, 0, what, "RFC 6043 4.2.1.6");
    if (got->ticket_type != want->ticket_type || got->subtype != want->subtype ||
        got->version != want->version)
        return mkt_fail(err, MKT_E_TICKET_TYPE, 0, "granted policy", "RFC 6043 4.2.1.6");
    return MKT_OK;
}

static enum mkt_rc
check_grant(struct mkt_policy *got, const struct mkt_initiator *i, const struct mkt_env *env,
            const struct mkt_msg *m, const struct mkt_payload *ticket, struct mkt_err *err)
{
    struct mkt_msg request;
    struct mkt_policy want;

    if (mkt_policy_decode(got, &ticket->u.ticket, true,
                          (size_t)(ticket->u.ticket.tp_data.p - m->octets.p), err) != MKT_OK ||
        mkt_msg_parse(&request, mkt_octets_span(&i->request.init), err) != MKT_OK)
        return err->rc;
    const struct mkt_payload *tp = mkt_msg_find(&request, MKT_PL_TP, 0);
    if (mkt_policy_decode(&want, &tp->u.ticket, false, 0, err) != MKT_OK ||
        acceptable(&want, got, err) != MKT_OK)
        return err->rc;
    return mkt_policy_valid_at(got, env->now, err);
}

enum mkt_next
mkt_initiator_granted(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_io *io,
                      struct mkt_grant **grant)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    MKT_SCOPED_KEYS keys;
    struct mkt_policy got;
    struct mkt_msg m;

    keys.n = 0;
    *grant = NULL;
    io->out_len = 0;
    if (mkt_kms_exchange_answer(&i->request, env, &i->own.cred, &m, &mk, io) != MKT_OK)
        return MKT_NEXT_ABORT;
    const struct mkt_payload *ticket = mkt_msg_find(&m, MKT_PL_TICKET, 0);
    if (check_grant(&got, i, env, &m, ticket, &io->err) != MKT_OK ||
        mkt_kms_exchange_keys(&keys, &m, env->crypto, &mk, &got, &io->err) != MKT_OK ||
        mkt_grant_make(grant, ticket->raw, &keys, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    mkt_kms_exchange_wipe(&i->request);
    return MKT_NEXT_DONE;
}

/* --- Ticket Transfer: the offer --------------------------------------------------------------- */

struct offer_draw {
    uint32_t csb_id;
    uint8_t rand[MKT_SECRET_MAX];
    size_t rand_len;
    uint64_t t64;
};

/* RFC6043:12.1: RANDRi alone is as long as the longest key, so G may be set or not. */
static enum mkt_rc
draw(struct offer_draw *d, const struct mkt_env *env, const struct mkt_grant *grant,
     uint8_t ts_type)
{
    uint8_t id[4];
    size_t longest =
        mkt_keys_longest(&grant->keys, 1U << MKT_KEY_MPK | MKT_TGK_TYPES | MKT_GTGK_TYPES);

    d->rand_len = mkt_suite_of(grant->policy.prf)->key_len;
    if (longest > d->rand_len)
        d->rand_len = longest;
    if (!mkt_ex_random(env, id, sizeof id) || !mkt_ex_random(env, d->rand, d->rand_len))
        return MKT_E_RANDOM;
    d->csb_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return mkt_ex_stamp(env, ts_type, &d->t64) ? MKT_OK : MKT_E_TS_TYPE;
}

static void
write_header(struct mkt_writer *w, const struct mkt_grant *grant, const struct mkt_offer *offer,
             const struct offer_draw *d)
{
    uint8_t map[8192];
    struct mkt_writer m = mkt_w_open(map, sizeof map);

    for (size_t i = 0; i < offer->n_cs; i++) {
        const struct mkt_offer_cs *cs = &offer->cs[i];
        mkt_cs_write(&m, &(struct mkt_cs){ .cs_id = cs->cs_id,
                                           .prot_type = cs->prot_type,
                                           .s = cs->s,
                                           .policies = mkt_span(cs->policies, cs->n_policies),
                                           .session_data = cs->session_data,
                                           .spi = cs->spi,
                                           .has_ssrc = cs->has_ssrc,
                                           .ssrc = cs->ssrc,
                                           .roc = cs->roc,
                                           .seq = cs->seq });
    }
    w->overflow |= m.overflow || offer->n_cs > UINT8_MAX;
    mkt_hdr_write(w, &(struct mkt_hdr){ .version = 1,
                                        .data_type = MKT_DT_TRANSFER_INIT,
                                        .v = (grant->policy.flags & MKT_TP_F) != 0,
                                        .prf = grant->policy.prf,
                                        .csb_id = d->csb_id,
                                        .n_cs = (uint8_t)offer->n_cs,
                                        .map_type = MKT_MAP_GENERIC_ID,
                                        .map = mkt_span(map, m.len) });
}

/* Everything up to the end of Ticket Data; the TICKET payload ends with Initiator Data, which its
 * own message's MAC must know. */
static void
write_until_ticket(struct mkt_writer *w, const struct mkt_initiator *i,
                   const struct mkt_grant *grant, const struct mkt_offer *offer,
                   const struct offer_draw *d)
{
    write_header(w, grant, offer, d);
    mkt_ex_write_t(w, offer->ts_type, d->t64);
    mkt_ex_write_randr(w, MKT_RANDR_I, mkt_span(d->rand, d->rand_len));
    if ((offer->omit & MKT_OMIT_SELF) == 0)
        mkt_ex_write_idr(w, MKT_IDR_I, i->own.cred.self);
    if ((offer->omit & MKT_OMIT_PEER) == 0)
        mkt_ex_write_idr(w, MKT_IDR_R, offer->responder);
    for (size_t k = 0; k < offer->n_sp; k++)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_SP, .u.sp = offer->sp[k] });
    if (offer->sdp_ids.n != 0)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_GENERAL_EXT,
                                               .u.ext = { MKT_EXT_SDP_IDS, offer->sdp_ids } });
    struct mkt_payload ticket;
    struct mkt_err err = { 0 };
    size_t used = 0;
    if (mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_grant_ticket(grant), &used, &err) !=
        MKT_OK) {
        w->overflow = true;
        return;
    }
    const struct mkt_span data = ticket.u.ticket.ticket_data;
    mkt_w_begin(w, MKT_PL_TICKET);
    mkt_w_octets(w, mkt_span(ticket.raw.p + 1, (size_t)(data.p + data.n - ticket.raw.p) - 1));
}

/* V first, then Initiator Data is inserted, V stays (ambiguity 9). */
static bool
seal_offer(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_grant *grant,
           const struct offer_draw *d, const struct mkt_span tail[2])
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_inkey_ref inkey;
    const struct mkt_suite *suite = mkt_suite_of(grant->policy.prf);
    const struct mkt_label label =
        mkt_transfer_label(false, d->csb_id, mkt_span(d->rand, d->rand_len), mkt_span(NULL, 0));
    uint8_t mac[MKT_MAC_MAX];
    size_t ticket_end = w->len, ticket_slot = w->slot;

    mkt_inkey_ref_init(&inkey, &grant->keys.k[0].key);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, c, suite, &label, MKT_WANT_AUTH) ||
        !mkt_ex_seal(w, c, &mk, tail, 2))
        return false;
    if (w->overflow)
        return true;
    memcpy(mac, w->buf + w->len - suite->auth_len, suite->auth_len);
    w->len = ticket_end;
    w->slot = ticket_slot;
    size_t len = mkt_w_reserve(w, 2);
    if (mkt_policy_mpks(&grant->policy) == 2 &&
        !mkt_initiator_data_write(w, c, suite, &grant->keys.k[1].key,
                                  mkt_span(mac, suite->auth_len)))
        return false;
    mkt_w_patch(w, len, 2);
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_V,
                                           .u.v = { suite->mac, mkt_span(mac, suite->auth_len) } });
    return true;
}

static enum mkt_rc
remember_offer(struct mkt_initiator *i, const struct mkt_grant *grant, struct mkt_span message,
               struct mkt_identity responder)
{
    if (mkt_octets_set(&i->offer, message) != MKT_OK ||
        mkt_octets_set(&i->responder, responder.data) != MKT_OK)
        return MKT_E_MEMORY;
    i->responder_type = responder.type;
    i->grant = grant;
    return MKT_OK;
}

enum mkt_next
mkt_initiator_offer(struct mkt_initiator *i, const struct mkt_env *env,
                    const struct mkt_grant *grant, const struct mkt_offer *offer, struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 4.2.2.1";
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    const struct mkt_span tail[2] = { i->own.cred.self.data, offer->responder.data };
    struct offer_draw d;

    if (mkt_policy_valid_at(&grant->policy, env->now, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    enum mkt_rc rc = draw(&d, env, grant, offer->ts_type);
    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, "CSB ID, RANDRi, T", ref);
    write_until_ticket(&w, i, grant, offer, &d);
    if (!seal_offer(&w, env->crypto, grant, &d, tail))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "V", "RFC 6043 5.5");
    if (!w.overflow && remember_offer(i, grant, mkt_span(w.buf, w.len), offer->responder) != MKT_OK)
        return mkt_ex_abort(io, MKT_E_MEMORY, "message", ref);
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER);
}

enum mkt_rc
mkt_initiator_resume(struct mkt_initiator *i, const struct mkt_env *env,
                     const struct mkt_grant *grant, struct mkt_span transfer_init,
                     struct mkt_identity responder, struct mkt_err *err)
{
    struct mkt_msg m;

    if (mkt_msg_parse(&m, transfer_init, err) != MKT_OK || mkt_msg_check(&m, err) != MKT_OK)
        return err->rc;
    if (m.hdr.data_type != MKT_DT_TRANSFER_INIT || m.hdr.prf != grant->policy.prf)
        return mkt_fail(err, MKT_E_DATA_TYPE, 1, "HDR", "RFC 6043 6.1");
    if (mkt_transfer_verify_init(&m, env->crypto, &grant->keys.k[0].key, i->own.cred.self,
                                 responder, err) != MKT_OK)
        return err->rc;
    if (remember_offer(i, grant, transfer_init, responder) != MKT_OK)
        return mkt_fail(err, MKT_E_MEMORY, 0, "offer", "RFC 6043 4.2.2");
    return MKT_OK;
}

/* --- Ticket Transfer: the answers ---------------------------------------------------------------
 */

/* RFC6043:4.2.2.3: what an answer must carry is told by the Ticket Policy. */
static enum mkt_rc
check_answer(const struct mkt_msg *m, const struct mkt_grant *grant, struct mkt_err *err)
{
    static const char ref[] = "RFC 6043 4.2.2.3";
    uint16_t flags = grant->policy.flags;

    if ((flags & MKT_TP_F) == 0)
        return mkt_fail(err, MKT_E_STATE, 1, "TRANSFER_RESP although F = 0", ref);
    if ((flags & MKT_TP_G) != 0 && mkt_msg_find(m, MKT_PL_RANDR, MKT_RANDR_R) == NULL)
        return mkt_fail(err, MKT_E_MISSING_PAYLOAD, 0, "RANDRr although G = 1", ref);
    if ((flags & MKT_TP_I) != 0 && (mkt_msg_find(m, MKT_PL_IDR, MKT_IDR_R) == NULL ||
                                    mkt_msg_find(m, MKT_PL_RANDR, MKT_RANDR_KMS) == NULL))
        return mkt_fail(err, MKT_E_MISSING_PAYLOAD, 0, "IDRr or RANDRkms although I = 1", ref);
    if (mkt_msg_find(m, MKT_PL_KEMAC, 0) != NULL)
        return mkt_fail(err, MKT_E_KEY_DATA, 0, "KEMAC: keys supplied by the Responder", ref);
    return MKT_OK;
}

/* The keys as this responder has them: MPKr' and TGK' of its modifier (5.1.1). */
static enum mkt_rc
fork_keys(struct mkt_keys *keys, const struct mkt_grant *grant, const struct mkt_msg *m,
          struct mkt_crypto *c, struct mkt_err *err)
{
    struct mkt_span rand = mkt_ex_randr(m, MKT_RANDR_KMS);
    struct mkt_span id = mkt_ex_idr(m, MKT_IDR_R).data;
    uint8_t prf = grant->policy.prf;

    *keys = grant->keys;
    if (mkt_policy_mpks(&grant->policy) == 1)
        return MKT_OK;
    if (rand.n < mkt_keys_longest(keys, 1U << MKT_KEY_MPK | MKT_TGK_TYPES))
        return mkt_fail(err, MKT_E_SHORT_RAND, 0, "RANDRkms", "RFC 6043 12.1");
    if (id.n > MKT_ID_MAX)
        return mkt_fail(err, MKT_E_IDENTITY, 0, "IDRr: too long", "RFC 6043 5.1.1");
    if (!mkt_fork_key(&keys->k[1].key, c, prf, MKT_C_MPKR_FORKED, id, rand) ||
        !mkt_keys_fork(keys, c, prf, id, rand))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "MPKr', TGK'", "RFC 6043 5.1.1");
    return MKT_OK;
}

static enum mkt_rc
verify_answer(const struct mkt_initiator *i, const struct mkt_env *env, const struct mkt_msg *init,
              const struct mkt_msg *m, const struct mkt_keys *keys, struct mkt_err *err)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_inkey_ref inkey;
    const struct mkt_policy *p = &i->grant->policy;
    const struct mkt_span tail = mkt_octets_span(&i->offer);
    struct mkt_span rand_r =
        (p->flags & MKT_TP_G) != 0 ? mkt_ex_randr(m, MKT_RANDR_R) : mkt_span(NULL, 0);
    struct mkt_span rand_i = mkt_ex_randr(init, MKT_RANDR_I);
    const struct mkt_label label = mkt_transfer_label(true, init->hdr.csb_id, rand_i, rand_r);

    mkt_inkey_ref_init(&inkey, &keys->k[mkt_policy_mpks(p) - 1].key);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, env->crypto, mkt_suite_of(p->prf), &label,
                             MKT_WANT_AUTH))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "MPK", "RFC 6043 5.1.2");
    if (mkt_ex_verify(m, env->crypto, &mk, &tail, 1, err) != MKT_OK)
        return err->rc;
    return mkt_check_transfer_rands(keys, rand_i.n, rand_r.n, err);
}

static enum mkt_rc
take_error(const struct mkt_initiator *i, const struct mkt_env *env, const struct mkt_msg *init,
           const struct mkt_msg *m, struct mkt_io *io)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_inkey_ref inkey;
    const struct mkt_label label = mkt_transfer_label(
        false, init->hdr.csb_id, mkt_ex_randr(init, MKT_RANDR_I), mkt_span(NULL, 0));

    mkt_inkey_ref_init(&inkey, &i->grant->keys.k[0].key);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, env->crypto, mkt_suite_of(init->hdr.prf), &label,
                             MKT_WANT_AUTH))
        return mkt_fail(&io->err, MKT_E_CRYPTO, 0, "MPKi", "RFC 6043 5.1.2");
    return mkt_error_take(m, env->crypto, init->hdr.prf, init->hdr.csb_id, &mk, io);
}

static struct mkt_identity
who_answered(const struct mkt_initiator *i, const struct mkt_msg *m)
{
    struct mkt_identity id = mkt_ex_idr(m, MKT_IDR_R);
    if (id.data.p == NULL)
        id = (struct mkt_identity){ i->responder_type, mkt_octets_span(&i->responder) };
    return id;
}

static enum mkt_rc
answered(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_io *io,
         struct mkt_csb **csb)
{
    MKT_SCOPED_KEYS keys;
    struct mkt_msg init, m;
    const struct mkt_suite *suite = NULL;
    struct mkt_err *err = &io->err;

    keys.n = 0;
    if (mkt_msg_parse(&init, mkt_octets_span(&i->offer), err) != MKT_OK ||
        mkt_msg_parse(&m, io->in, err) != MKT_OK || mkt_msg_check(&m, err) != MKT_OK)
        return err->rc;
    if (m.hdr.data_type == MKT_DT_ERROR)
        return take_error(i, env, &init, &m, io);
    if (mkt_ex_answers(&m, MKT_DT_TRANSFER_RESP, init.hdr.prf, init.hdr.csb_id, err) != MKT_OK ||
        mkt_ex_suite(&suite, &m, err) != MKT_OK || check_answer(&m, i->grant, err) != MKT_OK ||
        fork_keys(&keys, i->grant, &m, env->crypto, err) != MKT_OK ||
        verify_answer(i, env, &init, &m, &keys, err) != MKT_OK)
        return err->rc;
    return mkt_csb_make(csb,
                        &(struct mkt_csb_parts){ .init = &init,
                                                 .resp = &m,
                                                 .policy = &i->grant->policy,
                                                 .keys = &keys,
                                                 .peer = who_answered(i, &m) },
                        err);
}

enum mkt_next
mkt_initiator_answered(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_io *io,
                       struct mkt_csb **csb)
{
    *csb = NULL;
    io->out_len = 0;
    if (i->grant == NULL)
        return mkt_ex_abort(io, MKT_E_STATE, "no offer is open", "RFC 6043 4.2.2");
    return answered(i, env, io, csb) == MKT_OK ? MKT_NEXT_DONE : MKT_NEXT_ABORT;
}

enum mkt_rc
mkt_initiator_established(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_csb **csb,
                          struct mkt_err *err)
{
    struct mkt_msg init;

    (void)env;
    *csb = NULL;
    if (i->grant == NULL || (i->grant->policy.flags & MKT_TP_F) != 0)
        return mkt_fail(err, MKT_E_STATE, 0, "no offer without an answer is open",
                        "RFC 6043 4.2.2.2");
    if (mkt_msg_parse(&init, mkt_octets_span(&i->offer), err) != MKT_OK)
        return err->rc;
    return mkt_csb_make(
        csb,
        &(struct mkt_csb_parts){ .init = &init,
                                 .policy = &i->grant->policy,
                                 .keys = &i->grant->keys,
                                 .peer = { i->responder_type, mkt_octets_span(&i->responder) } },
        err);
}
