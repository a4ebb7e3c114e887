/* SPDX-License-Identifier: Apache-2.0 */
/* The Responder: the order of its steps and the secrets between them. What an offer says is checked
 * here; how an answer is put together is answer.c's. */
#include "role/responder.h"

#include "backend/backend.h"
#include <string.h>

struct mkt_responder *
mkt_responder_new(const struct mkt_credential *cred)
{
    struct mkt_responder *r = mkt_be_alloc_head(sizeof *r, MKT_RESPONDER_HEAD);

    if (r == NULL)
        return NULL;
    r->resolve.init_type = MKT_DT_RESOLVE_INIT_PSK;
    r->resolve.resp_type = MKT_DT_RESOLVE_RESP;
    if (mkt_own_credential_set(&r->own, cred) != MKT_OK) {
        mkt_responder_free(r);
        return NULL;
    }
    return r;
}

void
mkt_responder_free(struct mkt_responder *r)
{
    if (r == NULL)
        return;
    mkt_own_credential_free(&r->own);
    mkt_kms_exchange_wipe(&r->resolve);
    mkt_octets_free(&r->octets);
    mkt_choice_free(&r->choice);
    mkt_resolution_free(r->resolution);
    mkt_be_free(r, MKT_RESPONDER_HEAD);
}

const struct mkt_msg *
mkt_responder_offer_unverified(const struct mkt_responder *r)
{
    return r->has_offer ? &r->offer : NULL;
}

const struct mkt_policy *
mkt_responder_policy_unverified(const struct mkt_responder *r)
{
    return r->has_offer ? &r->policy : NULL;
}

/* --- TRANSFER_INIT: what can be refused without the KMS (4.2.2.2) --------------------------------
 */

enum mkt_rc
mkt_check_skew(const struct mkt_msg *m, uint64_t now, uint32_t skew_s, struct mkt_err *err)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_T, 0);
    struct mkt_time t = mkt_ex_time(m);
    uint64_t a = mkt_ntp_order(t.value), b = mkt_ntp_order(now);

    if (t.type == MKT_TS_COUNTER || skew_s == 0)
        return MKT_OK;
    if ((a > b ? a - b : b - a) >> 32 > skew_s)
        return mkt_fail(err, MKT_E_STALE, pl->at, "T", "RFC 3830 5.4");
    return MKT_OK;
}

/* A type of ticket we do not know may still pass through to the KMS if it needs nothing of us (O).
 */
static enum mkt_rc
check_policy(const struct mkt_policy *p, const struct mkt_payload *ticket, uint64_t now,
             struct mkt_err *err)
{
    if ((p->flags & MKT_TP_O) == 0)
        return mkt_fail(err, MKT_E_TICKET_TYPE, ticket->at, "TICKET: additional processing (O)",
                        "RFC 6043 6.10");
    if (mkt_policy_check(p->flags, false, err) != MKT_OK)
        return err->rc;
    return mkt_policy_valid_at(p, now, err);
}

/* Vi carries the MAC of the message's own V; neither is verified before the ticket is resolved, but
 * both must agree then (4.2.3.6), so a difference is found at once. */
static enum mkt_rc
check_initiator_data(const struct mkt_msg *m, const struct mkt_policy *p,
                     const struct mkt_payload *ticket, struct mkt_err *err)
{
    struct mkt_initiator_data d;
    const struct mkt_pl_v *v = &m->pl[m->n - 1].u.v;
    struct mkt_identity id = mkt_ex_idr(m, MKT_IDR_I);

    if ((p->flags & MKT_TP_I) == 0) {
        if (ticket->u.ticket.initiator_data.n != 0)
            return mkt_fail(err, MKT_E_FIELD, ticket->at, "Initiator Data although I = 0",
                            "RFC 6043 6.10");
        return MKT_OK;
    }
    if (mkt_initiator_data_read(&d, ticket, err) != MKT_OK)
        return err->rc;
    if (d.vi.u.v.auth_alg != v->auth_alg || !mkt_ct_equal(d.vi.u.v.mac, v->mac))
        return mkt_fail(err, MKT_E_AUTH, d.vi.at, "Vi differs from V", "RFC 6043 4.2.3.6");
    if (id.data.p != NULL && p->initiator.data.p != NULL && !mkt_identity_equal(id, p->initiator))
        return mkt_fail(err, MKT_E_AUTH, mkt_msg_find(m, MKT_PL_IDR, MKT_IDR_I)->at,
                        "IDRi is not who asked for the ticket", "RFC 6043 4.2.3");
    return MKT_OK;
}

static enum mkt_rc
check_offer(struct mkt_responder *r, const struct mkt_env *env, uint32_t skew_s,
            struct mkt_err *err)
{
    const struct mkt_msg *m = &r->offer;
    const struct mkt_suite *suite = NULL;

    if (m->hdr.data_type != MKT_DT_TRANSFER_INIT)
        return mkt_fail(err, MKT_E_DATA_TYPE, 1, "HDR: Data Type", "RFC 6043 6.1");
    const struct mkt_payload *ticket = mkt_msg_find(m, MKT_PL_TICKET, 0);
    const struct mkt_payload *kemac = mkt_msg_find(m, MKT_PL_KEMAC, 0);
    if (mkt_ex_suite(&suite, m, err) != MKT_OK ||
        mkt_check_skew(m, env->now, skew_s, err) != MKT_OK ||
        mkt_policy_decode(&r->policy, &ticket->u.ticket, true,
                          (size_t)(ticket->u.ticket.tp_data.p - m->octets.p), err) != MKT_OK ||
        check_policy(&r->policy, ticket, env->now, err) != MKT_OK ||
        check_initiator_data(m, &r->policy, ticket, err) != MKT_OK)
        return err->rc;
    if (kemac != NULL && (r->policy.flags & MKT_TP_L) == 0)
        return mkt_fail(err, MKT_E_KEY_DATA, kemac->at, "KEMAC although L = 0", "RFC 6043 4.2.2.1");
    if (mkt_ct_equal(m->pl[m->n - 1].u.v.mac, mkt_span(r->established, r->established_len)))
        return mkt_fail(err, MKT_E_REPLAY, 0, "TRANSFER_INIT", "RFC 6043 12.4");
    return mkt_transfer_check_map(m, NULL, err);
}

enum mkt_next
mkt_responder_offered(struct mkt_responder *r, const struct mkt_env *env, uint32_t skew_s,
                      struct mkt_io *io)
{
    r->has_offer = r->parsed = false;
    io->out_len = 0;
    mkt_kms_exchange_wipe(&r->resolve);
    mkt_choice_free(&r->choice);
    if (mkt_octets_set(&r->octets, io->in) != MKT_OK)
        return mkt_ex_abort(io, MKT_E_MEMORY, "offer", "RFC 6043 4.2.2");
    if (mkt_msg_parse(&r->offer, mkt_octets_span(&r->octets), &io->err) != MKT_OK ||
        mkt_msg_check(&r->offer, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    r->parsed = true; /* so far that it can be answered with an Error message */
    if (check_offer(r, env, skew_s, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    r->has_offer = true;
    return MKT_NEXT_ASK;
}

enum mkt_next
mkt_responder_refuse(struct mkt_responder *r, const struct mkt_env *env, enum mkt_rc rc,
                     const struct mkt_pl_sp *supported, size_t n_supported, struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 5.4";
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    uint64_t t64 = 0;

    /* "Error messages ... but not in Error messages": only a TRANSFER_INIT is answered. */
    if (!r->parsed || r->offer.hdr.data_type != MKT_DT_TRANSFER_INIT)
        return mkt_ex_abort(io, MKT_E_STATE, "nothing to answer", ref);
    uint8_t ts_type = mkt_ex_time(&r->offer).type;
    if (!mkt_ts_stamp(env, ts_type, &t64))
        return mkt_ex_abort(io, MKT_E_TS_TYPE, "T", ref);
    (void)mkt_error_write(&w, env->crypto,
                          &(struct mkt_error_message){ .error_no = mkt_wire_error(rc),
                                                       .map_type = MKT_MAP_GENERIC_ID,
                                                       .ts_type = ts_type,
                                                       .t64 = t64,
                                                       .prf = r->offer.hdr.prf,
                                                       .csb_id = r->offer.hdr.csb_id,
                                                       .sp = supported,
                                                       .n_sp = n_supported },
                          NULL);
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER);
}

/* --- Ticket Resolve
 * ------------------------------------------------------------------------------- */

/* Puts a copy of the choice in the place of the one before, which goes to *before. */
static enum mkt_rc
choose(struct mkt_responder *r, struct mkt_own_choice *before, const struct mkt_choice *choice,
       struct mkt_err *err)
{
    struct mkt_own_choice own = { 0 };

    if (!r->has_offer)
        return mkt_fail(err, MKT_E_STATE, 0, "no offer", "RFC 6043 4.2.2");
    enum mkt_rc rc = mkt_choice_copy(&own, choice, &r->offer);
    if (rc != MKT_OK)
        return mkt_fail(err, rc, 0, "choice", "RFC 6043 4.2.2");
    *before = r->choice;
    r->choice = own;
    return MKT_OK;
}

/* A step that fails changes nothing: the choice before may still be answered with. */
static enum mkt_next
chosen(struct mkt_responder *r, struct mkt_own_choice *before, enum mkt_next next)
{
    struct mkt_own_choice own = r->choice;

    if (next != MKT_NEXT_ABORT) {
        mkt_choice_free(before);
        return next;
    }
    r->choice = *before;
    mkt_choice_free(&own);
    return next;
}

static void
write_ticket(struct mkt_writer *w, const void *arg)
{
    mkt_pl_write(w, arg);
}

enum mkt_next
mkt_responder_accept(struct mkt_responder *r, const struct mkt_env *env,
                     const struct mkt_choice *choice, struct mkt_io *io)
{
    struct mkt_own_choice before;

    if (choose(r, &before, choice, &io->err) != MKT_OK)
        return mkt_ex_abort(io, io->err.rc, "choice", "RFC 6043 4.2.3");
    enum mkt_next next = mkt_kms_exchange_open(
        &r->resolve, env, &r->own.cred, r->policy.prf, r->own.cred.omit | choice->omit_resolve,
        write_ticket, mkt_msg_find(&r->offer, MKT_PL_TICKET, 0), io);
    return chosen(r, &before, next);
}

/* --- what follows once the keys are known ------------------------------------------------------
 */

struct mkt_identity
mkt_offer_initiator(const struct mkt_responder *r)
{
    struct mkt_identity id = mkt_ex_idr(&r->offer, MKT_IDR_I);
    return id.data.p != NULL ? id : r->policy.initiator;
}

struct mkt_identity
mkt_offer_responder(const struct mkt_responder *r)
{
    struct mkt_identity id = mkt_ex_idr(&r->offer, MKT_IDR_R);
    return id.data.p != NULL ? id : r->own.cred.self;
}

static void
remember_established(struct mkt_responder *r, struct mkt_resolution *res)
{
    struct mkt_span mac = r->offer.pl[r->offer.n - 1].u.v.mac;
    memcpy(r->established, mac.p, mac.n); /* at most MKT_MAC_MAX: the suite was checked */
    r->established_len = mac.n;
    mkt_resolution_free(r->resolution);
    r->resolution = res;
    r->has_offer = false;
    mkt_kms_exchange_wipe(&r->resolve);
}

/* Verifies the offer with the keys of the resolved ticket and answers it. Takes res. */
static enum mkt_next
establish(struct mkt_responder *r, const struct mkt_env *env, struct mkt_resolution *res,
          struct mkt_io *io, struct mkt_csb **csb)
{
    MKT_SCOPED_KEYS keys;
    const struct mkt_answer a = {
        .r = r,
        .keys = &keys,
        .idr = { res->idr.type, mkt_octets_span(&res->idr.data) },
        .rand_kms = mkt_octets_span(&res->rand_kms),
    };
    enum mkt_next next = MKT_NEXT_ABORT;

    mkt_keys_copy(&keys, &res->keys);
    if (mkt_transfer_verify_init(&r->offer, env->crypto, &keys.k[0].key, mkt_offer_initiator(r),
                                 mkt_offer_responder(r), &io->err) == MKT_OK &&
        mkt_transfer_offered_keys(&keys, &r->offer, &r->policy, env->crypto, &io->err) == MKT_OK)
        next = mkt_answer_write(&a, env, io, csb);
    if (next == MKT_NEXT_ABORT)
        mkt_resolution_free(res);
    else
        remember_established(r, res);
    return next;
}

enum mkt_next
mkt_responder_resolved(struct mkt_responder *r, const struct mkt_env *env, struct mkt_io *io,
                       struct mkt_csb **csb)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    MKT_SCOPED_KEYS keys;
    struct mkt_resolution *res = NULL;
    struct mkt_msg m;

    keys.n = 0;
    *csb = NULL;
    io->out_len = 0;
    if (!r->has_offer)
        return mkt_ex_abort(io, MKT_E_STATE, "no offer", "RFC 6043 4.2.3");
    if (mkt_kms_exchange_answer(&r->resolve, env, &r->own.cred, &m, &mk, io) != MKT_OK ||
        mkt_kms_exchange_keys(&keys, &m, env->crypto, &mk, &r->policy, &io->err) != MKT_OK ||
        mkt_resolution_make(&res, r, &keys, mkt_ex_idr(&m, MKT_IDR_R),
                            mkt_ex_randr(&m, MKT_RANDR_KMS), &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    return establish(r, env, res, io, csb);
}

/* --- without the KMS: modes 2 and 4, and reuse
 * ----------------------------------------------------- */

/* Opens the ticket of the offer, which is ours to open. */
static enum mkt_next
open_ticket(struct mkt_responder *r, const struct mkt_env *env, const struct mkt_inkey *tpk,
            struct mkt_io *io, struct mkt_csb **csb)
{
    MKT_SCOPED_KEYS keys;
    struct mkt_ticket_data data;
    struct mkt_resolution *res = NULL;
    const struct mkt_identity none = { 0, { NULL, 0 } };
    const struct mkt_payload *ticket = mkt_msg_find(&r->offer, MKT_PL_TICKET, 0);

    keys.n = 0;
    if ((r->policy.flags & MKT_TP_E) != 0)
        return mkt_ex_abort(io, MKT_E_TP_PARAM, "Ticket Resolve is mandatory (E)", "RFC 6043 6.10");
    if (!mkt_is_base_ticket(&ticket->u.ticket))
        return mkt_ex_abort(io, MKT_E_TICKET_TYPE, "TICKET: Ticket Type", "RFC 6043 6.10");
    if (mkt_ticket_data_read(&data, ticket, &io->err) != MKT_OK ||
        mkt_base_ticket_open(&keys, ticket, &data, &r->policy, env->crypto, tpk, &io->err) !=
            MKT_OK ||
        mkt_policy_check(r->policy.flags, mkt_keys_have_tgk(&keys), &io->err) != MKT_OK ||
        mkt_resolution_make(&res, r, &keys, none, mkt_span(NULL, 0), &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    return establish(r, env, res, io, csb);
}

enum mkt_next
mkt_responder_open(struct mkt_responder *r, const struct mkt_env *env,
                   const struct mkt_choice *choice, const struct mkt_inkey *tpk, struct mkt_io *io,
                   struct mkt_csb **csb)
{
    struct mkt_own_choice before;

    *csb = NULL;
    io->out_len = 0;
    if (choose(r, &before, choice, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    return chosen(r, &before, open_ticket(r, env, tpk, io, csb));
}

struct mkt_resolution *
mkt_responder_take_resolution(struct mkt_responder *r)
{
    struct mkt_resolution *res = r->resolution;
    r->resolution = NULL;
    return res;
}

static enum mkt_next
reuse(struct mkt_responder *r, const struct mkt_env *env, const struct mkt_resolution *cached,
      struct mkt_io *io, struct mkt_csb **csb)
{
    struct mkt_resolution *res = NULL;

    if ((r->policy.flags & MKT_TP_J) == 0)
        return mkt_ex_abort(io, MKT_E_TICKET, "ticket may not be reused (J)", "RFC 6043 5.3");
    if (!mkt_resolution_is_of(cached, mkt_msg_find(&r->offer, MKT_PL_TICKET, 0)))
        return mkt_ex_abort(io, MKT_E_TICKET, "another ticket", "RFC 6043 5.3");
    if (mkt_resolution_copy(&res, cached, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    return establish(r, env, res, io, csb);
}

enum mkt_next
mkt_responder_reuse(struct mkt_responder *r, const struct mkt_env *env,
                    const struct mkt_choice *choice, const struct mkt_resolution *cached,
                    struct mkt_io *io, struct mkt_csb **csb)
{
    struct mkt_own_choice before;

    *csb = NULL;
    io->out_len = 0;
    if (choose(r, &before, choice, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    return chosen(r, &before, reuse(r, env, cached, io, csb));
}
