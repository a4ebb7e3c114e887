/* SPDX-License-Identifier: Apache-2.0 */
/* The Initiator and its Ticket Request. A request is open until its answer verifies, an offer
 * (offer.c) as long as the object lives: nothing an outsider sends can end either. */
#include "role/initiator.h"

#include "backend/backend.h"
#include <string.h>

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
    const struct mkt_ticket_type *type = mkt_ticket_type_of_policy(want);
    bool compat = type != NULL && type->kind == MKT_TICKET_COMPAT; /* its processing is ours */
    const char *what = NULL;

    if ((got->flags & MKT_TP_D) == 0)
        what = "granted policy: not made by the KMS (D)";
    else if ((got->flags & MKT_TP_N) == 0 && !compat)
        what = "granted policy: additional processing required (N)";
    else if ((want->flags & ~got->flags & MKT_TP_I) != 0)
        what = "granted policy: key forking dropped (I)";
    /* GCOV_EXCL_START: both messages and their policies have one suite, which was checked */
    else if (got->prf != want->prf)
        what = "granted policy: another PRF";
    /* GCOV_EXCL_STOP */
    for (size_t i = 0; what == NULL && i < got->n_responders; i++)
        if (!asked_for(want, got->responders[i]))
            what = "granted policy: a responder was added";
    if (what != NULL)
        return mkt_fail(err, MKT_E_TP_PARAM, 0, what, "RFC 6043 4.2.1.6");
    if (got->ticket_type != want->ticket_type || got->subtype != want->subtype ||
        got->version != want->version)
        return mkt_fail(err, MKT_E_TICKET_TYPE, 0, "granted policy", "RFC 6043 4.2.1.6");
    return compat ? mkt_compat_policy_check(got, err) : MKT_OK;
}

static enum mkt_rc
check_grant(struct mkt_policy *got, const struct mkt_initiator *i, const struct mkt_env *env,
            const struct mkt_msg *m, const struct mkt_payload *ticket, struct mkt_err *err)
{
    struct mkt_msg request;
    struct mkt_policy want;

    /* GCOV_EXCL_BR_START: the request is our own message */
    if (mkt_policy_decode(got, &ticket->u.ticket, true,
                          (size_t)(ticket->u.ticket.tp_data.p - m->octets.p), err) != MKT_OK ||
        mkt_msg_parse(&request, mkt_octets_span(&i->request.init), err) != MKT_OK)
        return err->rc;
    /* GCOV_EXCL_BR_STOP */
    const struct mkt_payload *tp = mkt_msg_find(&request, MKT_PL_TP, 0);
    /* GCOV_EXCL_BR_LINE: our own policy */
    if (mkt_policy_decode(&want, &tp->u.ticket, false, 0, err) != MKT_OK ||
        acceptable(&want, got, err) != MKT_OK)
        return err->rc;
    /* A ticket for later is one to keep: it must be valid when the wish begins. */
    bool later = want.start.has && mkt_ntp_order(want.start.value) > mkt_ntp_order(env->now);
    return mkt_policy_valid_at(got, later ? want.start.value : env->now, err);
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
