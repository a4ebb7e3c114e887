/* SPDX-License-Identifier: Apache-2.0 */
/* What our policy says is asked twice: before the other KMS hears of it, as far as the ticket shows
 * what it is, and when the keys are here, when everything is known. */
#include "foreign.h"

#include <string.h>

#include "courier.h"

#define REF "RFC 6043 10"

/* --- whose ticket it is ----------------------------------------------------------------------- */

const struct kms_peer *
kms_foreign_home(const struct job *j)
{
    const struct mkt_policy *ticket = j->ask->policy;

    if (!j->ask->resolve || j->req->from_peer || j->peers == NULL ||
        j->ask->ticket_err->rc != MKT_OK)
        return NULL;
    if (ticket->kms.data.p == NULL ? kms_index_is_user(j->index, ticket->initiator, j->w->now_s)
                                   : mkt_identity_equal(ticket->kms, j->w->service->identity))
        return NULL;
    return kms_peer_of_ticket(j->peers, ticket);
}

/* --- asking ----------------------------------------------------------------------------------- */

static enum verdict
refuse(struct job *j, enum mkt_rc rc, const char *what)
{
    mkt_fail(&j->io.err, rc, 0, what, REF);
    return REFUSE;
}

static enum verdict
not_asked(struct job *j, enum kms_asked why)
{
    if (why == KMS_ASKED_BUSY)
        return refuse(j, MKT_E_PEER_ERROR, "too many questions to that KMS");
    return refuse(j, MKT_E_PEER_ERROR, "that KMS cannot be reached");
}

/* What we decide without it. A ticket names its Initiator: a KMS speaks for its own domains only.
 */
static enum mkt_rc
decide(struct job *j, bool keys_known)
{
    const struct kms_circumstances q = kms_job_circumstances(j);
    const struct mkt_policy *ticket = j->ask->policy;

    if (kms_index_revoked(j->index, mkt_kms_ticket_id(j->w->txn)))
        return mkt_fail(&j->io.err, MKT_E_TICKET, 0, "the ticket is revoked", "RFC 6043 5.4");
    if (!kms_peer_speaks_for(j->via, ticket->initiator))
        return mkt_fail(&j->io.err, MKT_E_TICKET, 0, "IDRi is of no domain of that KMS", REF);
    return kms_policy_foreign(ticket, keys_known, &q, &j->io.err);
}

/* The PSK that we share with the other KMS. */
static bool
take_key(struct job *j, struct kms_inkey *key, struct kms_found *found)
{
    if (kms_index_by_identity(j->index, j->via->identity, j->w->now_s, found)) {
        const struct kms_locker l = kms_found_locker(found);
        if (kms_inkey_init(key, j->w->service->vault, j->w->slot, &l))
            return true;
    }
    mkt_fail(&j->io.err, MKT_E_PEER_ERROR, 0, "the store has no key for that KMS", REF);
    return false;
}

/* The message for the other KMS goes through out. */
static enum verdict
fill(struct job *j, struct kms_errand *e)
{
    struct kms_found found;
    enum mkt_next next;

    if (!take_key(j, &e->psk, &found))
        return REFUSE;
    const struct mkt_credential own = { .self = j->client.identity,
                                        .kms = j->via->identity,
                                        .psk_id = found.psk_id,
                                        .psk = &e->psk.base,
                                        .ts_type = MKT_TS_NTP_UTC };
    e->forward = mkt_kms_forward_new(&own);
    if (e->forward == NULL)
        return refuse(j, MKT_E_MEMORY, "question");
    next = mkt_kms_forward(e->forward, j->w->txn, &j->env, &j->io);
    e->psk = (struct kms_inkey){ 0 }; /* what it borrows ends with this pass */
    if (next != MKT_NEXT_SEND_KMS)
        return REFUSE;
    if (!kms_errand_pack(e, j->via, mkt_span(j->io.out, j->io.out_len)))
        return refuse(j, MKT_E_MEMORY, "question");
    j->io.out_len = 0;
    return AWAY;
}

static enum verdict
ask(struct job *j)
{
    struct kms_service *sv = j->w->service;
    enum kms_asked why;

    if (decide(j, false) != MKT_OK)
        return REFUSE;
    if (j->via->option.url[0] == '\0' || sv->courier == NULL)
        return refuse(j, MKT_E_PEER_ERROR, "that KMS is not asked: it has no url");
    why = kms_peer_reserve(j->via, j->w->steady_ns);
    if (why != KMS_ASKED_ANSWERED)
        return not_asked(j, why);
    j->errand = kms_errand_new(sv->peers, j->via, sv->log);
    if (j->errand == NULL)
        return refuse(j, MKT_E_MEMORY, "question");
    if (fill(j, j->errand) == AWAY)
        return AWAY;
    kms_errand_free(j->errand);
    return REFUSE;
}

/* --- answering -------------------------------------------------------------------------------- */

/* What an authentic Error of the other KMS tells our Responder: what is about the ticket and about
 * who asks. Its clock and its keys are the business of the two KMSs. */
static enum mkt_rc
passed_on(uint8_t error_no)
{
    return error_no == MKT_ERR_INVALID_ID       ? MKT_E_NOT_AUTHORISED
           : error_no == MKT_ERR_INVALID_TICKET ? MKT_E_TICKET
           : error_no == MKT_ERR_INVALID_TPPAR  ? MKT_E_TP_PARAM
                                                : MKT_E_PEER_ERROR;
}

static void
note_failure(struct kms_errand *e, enum kms_asked how, const char *what, const char *detail)
{
    e->how = how;
    snprintf(e->error, sizeof e->error, "%s: %s", what, detail);
}

static enum verdict
read_answer(struct job *j, struct kms_errand *e)
{
    const struct mkt_span answer = mkt_span(e->answer, e->answer_len);
    struct mkt_err why;

    if (mkt_kms_forwarded(e->forward, j->w->txn, &j->env, answer, &j->io) == MKT_NEXT_SEND_PEER)
        return DONE;
    why = j->io.err;
    memset(&j->io.err, 0, sizeof j->io.err);
    if (why.rc == MKT_E_PEER_ERROR && j->io.peer_error_authentic) {
        note_failure(e, KMS_ASKED_REFUSED, "it refused", mkt_error_no_name(j->io.peer_error));
        return refuse(j, passed_on(j->io.peer_error), "that KMS refused");
    }
    note_failure(e, KMS_ASKED_UNUSABLE, why.what, mkt_strerror(why.rc));
    return refuse(j, MKT_E_PEER_ERROR, "the answer of that KMS does not hold");
}

static enum verdict
answer(struct job *j, struct kms_errand *e)
{
    struct kms_found found;
    enum verdict v;

    if (e->how == KMS_ASKED_TIMEOUT)
        return refuse(j, MKT_E_PEER_ERROR, "that KMS did not answer in time");
    if (e->how == KMS_ASKED_UNUSABLE)
        return refuse(j, MKT_E_PEER_ERROR, "the answer of that KMS does not hold");
    if (e->how != KMS_ASKED_ANSWERED)
        return refuse(j, MKT_E_PEER_ERROR, "that KMS cannot be reached");
    if (!take_key(j, &e->psk, &found))
        return REFUSE;
    v = read_answer(j, e);
    e->psk = (struct kms_inkey){ 0 }; /* what it borrows ends with this pass */
    return v == DONE && decide(j, true) != MKT_OK ? REFUSE : v;
}

/* What came of it is known before our answer leaves. */
enum verdict
kms_foreign_resolve(struct job *j)
{
    struct kms_errand *e = j->req->errand;
    enum verdict v;

    if (e == NULL)
        return ask(j);
    v = answer(j, e);
    kms_errand_count(e);
    return v;
}

/* --- being asked ------------------------------------------------------------------------------ */

void
kms_foreign_sender(struct job *j)
{
    j->for_peer = kms_peer_by_identity(j->peers, j->client.identity);
    if (j->req->from_peer && j->ask->client.data.p != NULL)
        j->client.identity = j->ask->client;
}

static const char *
unfit(const struct job *j)
{
    const struct kms_peer *p = j->for_peer;

    if (!j->req->from_peer)
        return p == NULL ? NULL : "the key of another KMS, where users ask";
    return p == NULL                                 ? "a user, where other KMSs ask"
           : (j->req->proven >> p->number & 1) == 0  ? "the certificate is of another KMS"
           : !j->ask->resolve                        ? "a KMS asks to resolve tickets only"
           : j->ask->client.data.p == NULL           ? "IDRr is missing"
           : !kms_peer_speaks_for(p, j->ask->client) ? "IDRr is of no domain of that KMS"
           : kms_index_barred(j->index, j->ask->client, j->w->now_s) ? "IDRr is suspended"
                                                                     : NULL;
}

enum verdict
kms_foreign_admit(struct job *j)
{
    const char *why = unfit(j);

    if (why != NULL)
        return refuse(j, MKT_E_NOT_AUTHORISED, why);
    if (j->req->from_peer && j->ask->policy->kms.data.p != NULL &&
        !mkt_identity_equal(j->ask->policy->kms, j->w->service->identity))
        return refuse(j, MKT_E_TICKET, "a ticket of a third KMS");
    return GO;
}

bool
kms_foreign_reaches(const struct job *j, const char *realm)
{
    for (size_t i = 0; j->for_peer != NULL && i < j->for_peer->option.n_realms; i++)
        if (strcmp(j->for_peer->option.realm[i], realm) == 0)
            return true;
    return false;
}

void
kms_foreign_served(const struct job *j)
{
    if (j->for_peer != NULL && j->authenticated)
        kms_peer_served(j->for_peer, j->outcome == KMS_ANSWERED);
}
