/* SPDX-License-Identifier: Apache-2.0 */
/* A call that we take, with libre's SIP session. It rings at once, while the KMS is asked; the keys
 * go out in a 183 as soon as they are there, so that whoever forks the call has them before anybody
 * answers, and again in the 200. */
#include "group.h"
#include "refusal.h"
#include "sdes.h"

#include <stdlib.h>
#include <string.h>

#define UNANSWERED_MS (70 * SIP_T1) /* longer than any transaction */
#define EARLY_MS 200 /* keys go through proxies, media does not: it would be there first */

struct callee {
    struct phone_call call;      /* first */
    struct phone_answer *answer; /* NULL: SDES */
    struct phone_sdes sdes;
    struct mkt_sdp agreed; /* of a call by SDES: its m-lines */
    bool resolving;        /* the answer is with the worker */
    bool accepted;         /* by the user, maybe before the keys are there */
    struct sipsess *session;
    struct phone_description description;
    struct phone_stream *stream;
    struct mbuf *text; /* of the answer */
    struct sa to;
    enum phone_again again; /* what the later offer that is being answered is about */
    bool new_keys;          /* answered, and not acknowledged yet */
    struct mbuf *offer;     /* a later one of ours, not answered yet */
    bool renewing;          /* with new keys */
    struct tmr unanswered;  /* when it will not be answered any more */
    struct tmr early;       /* when early media may begin */
    /* what makes the same INVITE on another branch known (RFC 3261 8.2.2.2) */
    char call_id[256], from_tag[128];
    uint32_t cseq;
};

static void callee_free(struct phone_call *call);

static struct callee *
callee_of(struct phone *p)
{
    return p->call != NULL && p->call->free == callee_free ? (struct callee *)p->call : NULL;
}

/* --- answering -------------------------------------------------------------------------------- */

static void
answer(struct callee *c)
{
    if (sipsess_answer(c->session, 200, "OK", c->text, NULL) != 0)
        phone_call_over(&c->call, CLI_EXIT_FAILURE, "the answer cannot be sent");
}

static void
accept_call(struct phone_call *call)
{
    struct callee *c = (struct callee *)call;

    if (c->accepted)
        return;
    c->accepted = true;
    tmr_cancel(&call->timer);
    if (c->stream != NULL)
        answer(c);
}

static void
accept_by_itself(void *arg)
{
    accept_call(arg);
}

static bool
describe(struct callee *c, struct cli_error *err)
{
    char *value = malloc(PHONE_VALUE_MAX);
    bool ticket = c->answer != NULL;
    bool ok = value != NULL && (!ticket || phone_answer_value(c->answer, value, PHONE_VALUE_MAX)) &&
              phone_description_write(&c->description, false, ticket ? value : NULL, &c->text) == 0;

    free(value);
    return ok || cli_fail(err, CLI_EXIT_FAILURE, "the description cannot be made");
}

static void
say_early(void *arg)
{
    struct callee *c = arg;
    phone_stream_early(c->stream, &c->to, &c->call.phone->early);
}

/* The keys go out before anybody answers, and what is said early under them. */
static void
progress(struct callee *c)
{
    (void)sipsess_progress(c->session, 183, "Session Progress", c->text, NULL);
    if (c->call.phone->early.n > 0)
        tmr_start(&c->early, EARLY_MS, say_early, c);
}

/* The ticket is resolved, or not: in the main loop. */
static void
resolved(struct phone_job *job)
{
    struct phone_answer *a = (struct phone_answer *)job;
    struct callee *c = a->call;
    struct cli_error err = job->err;

    if (c == NULL) { /* given up meanwhile */
        phone_answer_free(a);
        return;
    }
    c->resolving = false;
    if (a->csb != NULL)
        phone_seen_add(&c->call.phone->seen, a);
    if (err.code == CLI_EXIT_OK && a->csb != NULL &&
        phone_call_keyed(&c->call, a->csb, a->map.first[c->description.index], &c->stream, &err) &&
        phone_call_speak(c->stream, &c->description.agreed, &err) && describe(c, &err)) {
        if (c->accepted)
            answer(c);
        else
            progress(c);
        return;
    }
    struct mkt_sdp_refusal r = phone_refusal_keys(a->refused, &err);
    (void)sipsess_reject(c->session, (uint16_t)r.status, r.reason, "%H", phone_refusal_print, &r);
    phone_call_over(&c->call, err.code, err.text);
}

/* --- the session ------------------------------------------------------------------------------ */

static void
established(const struct sip_msg *msg, void *arg)
{
    struct callee *c = arg;

    (void)msg;
    tmr_cancel(&c->early);
    phone_say("answered", "%s", "by us");
    phone_call_talk(&c->call, c->stream, &c->to, c->answer != NULL ? c->answer->csb : NULL,
                    c->answer == NULL ? c->sdes.ours[0].suite->name : NULL);
    if (c->answer != NULL)
        phone_call_say_rekey(&c->call, c->answer->csb);
    else
        phone_sdes_say_rekey(&c->call, &c->sdes);
}

static void
closed(int err, const struct sip_msg *msg, void *arg)
{
    struct callee *c = arg;

    (void)err, (void)msg;
    phone_call_over(&c->call, CLI_EXIT_OK,
                    c->call.stream != NULL ? "by the other party" : "given up by the caller");
}

/* --- later offers ----------------------------------------------------------------------------- */

/* Before sipsess has it, which can refuse without a reason only. */
static bool
look_again(struct callee *c, const struct sip_msg *msg)
{
    struct phone *p = c->call.phone;
    struct cli_error err = { 0 };
    struct mkt_err why = { 0 };
    enum mkt_rc rc;

    if (c->offer != NULL) { /* two at once (RFC 3261 14.2) */
        (void)sip_treply(NULL, p->sip, msg, 491, "Request Pending");
        return true;
    }
    if (c->answer == NULL) {
        if ((rc = phone_sdes_look_again(&c->sdes, &c->agreed,
                                        mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb)),
                                        &c->description, msg->mb, &c->to, &why)) == MKT_OK)
            return false;
    } else if (phone_answer_again(c->answer, &p->client,
                                  mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb)), &c->again,
                                  &rc, &err) &&
               (c->again != PHONE_AGAIN_NEW ||
                (rc = phone_stream_hear(c->stream, c->answer->csb, p->client.crypto, &why)) ==
                    MKT_OK)) {
        c->new_keys = c->new_keys || c->again == PHONE_AGAIN_NEW;
        return false;
    }
    struct mkt_sdp_refusal r = mkt_sdp_refusal(rc, true);
    phone_say("refused", "%s", err.code != CLI_EXIT_OK ? err.text : why.what);
    phone_refuse(p->sip, msg, &r);
    return true;
}

/* sipsess has it now: the answer to what look_again has taken. */
static int
offered_again(struct mbuf **text, const struct sip_msg *msg, void *arg)
{
    struct callee *c = arg;
    char *value = malloc(PHONE_VALUE_MAX);
    int err = value == NULL ? ENOMEM : 0;

    if (err == 0 && (!phone_description_read(&c->description, msg->mb, true, &c->to) ||
                     (c->answer != NULL && !phone_answer_value(c->answer, value, PHONE_VALUE_MAX))))
        err = EPROTO;
    if (err == 0)
        err = phone_description_write(
            &c->description, false,
            c->answer != NULL && c->again != PHONE_AGAIN_SILENT ? value : NULL, text);
    free(value);
    if (err == 0)
        phone_call_directed(&c->call, &c->description);
    return err;
}

/* --- later offers of ours --------------------------------------------------------------------- */

static void
give_up(void *arg)
{
    struct callee *c = arg;
    phone_call_over(&c->call, CLI_EXIT_PEER, "the answer to a later offer is another one");
}

/* Its key-mgmt lines are where ours were: nowhere, when only the direction has changed. */
static bool
is_good_answer(struct callee *c, const struct sip_msg *msg, struct cli_error *err)
{
    struct mkt_span text = mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb));
    struct phone *p = c->call.phone;
    struct mkt_err why = { 0 };
    struct mkt_sdp offer, answer;

    if (mkt_sdp_read(&offer, mkt_span(mbuf_buf(c->offer), mbuf_get_left(c->offer)), &why) !=
            MKT_OK ||
        mkt_sdp_read(&answer, text, &why) != MKT_OK ||
        mkt_sdp_check_answer(&offer, &answer, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_PEER, "the answer is refused", &why);
    if (c->renewing &&
        (!phone_rekey_answered(c->answer->csb, &p->client, &offer, text, err) ||
         phone_stream_hear(c->stream, c->answer->csb, p->client.crypto, &why) != MKT_OK ||
         phone_stream_say(c->stream, c->answer->csb, p->client.crypto, &why) != MKT_OK))
        return false;
    return phone_description_read(&c->description, msg->mb, false, &c->to) &&
           (c->answer != NULL ? !phone_sdes_forbidden(&c->description)
                              : phone_sdes_again(&c->sdes, &c->description));
}

static int
answered_again(const struct sip_msg *msg, void *arg)
{
    struct callee *c = arg;
    struct cli_error err = { 0 };

    if (!is_good_answer(c, msg, &err)) {
        phone_say("refused", "%s",
                  err.code != CLI_EXIT_OK ? err.text : "the answer to a later offer");
        tmr_start(&c->call.timer, 0, give_up, c); /* sipsess is not done with it */
        return EPROTO;
    }
    if (c->renewing) {
        phone_say("rekeyed", "by us");
        phone_call_say_rekey(&c->call, c->answer->csb);
    }
    c->renewing = false;
    tmr_cancel(&c->unanswered);
    c->offer = mem_deref(c->offer);
    phone_call_directed(&c->call, &c->description);
    return 0;
}

/* libre does not tell of a refusal. */
static void
unanswered(void *arg)
{
    struct callee *c = arg;

    c->offer = mem_deref(c->offer);
    c->renewing = false;
    phone_say("unanswered", "the other party does not take what was offered");
}

static bool
offer_later(struct callee *c, const char *value)
{
    tmr_start(&c->unanswered, UNANSWERED_MS, unanswered, c);
    return phone_description_write(&c->description, true, value, &c->offer) == 0 &&
           sipsess_modify(c->session, c->offer) == 0;
}

static void
hold(struct phone_call *call)
{
    struct callee *c = (struct callee *)call;

    if (call->stream == NULL || c->offer != NULL || c->new_keys)
        return;
    phone_call_held(call, &c->description, !call->held);
    if (!offer_later(c, NULL))
        phone_say("not-held", "no offer can be made");
}

static void
renew(struct phone_call *call)
{
    struct callee *c = (struct callee *)call;
    struct cli_error err = { 0 };
    char *value = malloc(PHONE_VALUE_MAX);

    if (value != NULL && call->stream != NULL && c->answer != NULL && c->offer == NULL &&
        !c->new_keys) {
        c->renewing =
            phone_rekey_value(c->answer->csb, &call->phone->client, value, PHONE_VALUE_MAX, &err);
        if (!c->renewing || !offer_later(c, value))
            phone_say("not-rekeyed", "%s",
                      err.code != CLI_EXIT_OK ? err.text : "no offer can be made");
    }
    free(value);
}

/* The caller has the answer: what we say may be under the new keys. */
static void
acknowledged(struct callee *c)
{
    struct mkt_err why = { 0 };

    if (!c->new_keys)
        return;
    c->new_keys = false;
    if (phone_stream_say(c->stream, c->answer->csb, c->call.phone->client.crypto, &why) != MKT_OK) {
        phone_call_over(&c->call, CLI_EXIT_FAILURE, why.what);
        return;
    }
    phone_say("rekeyed", "by the other party");
    phone_call_say_rekey(&c->call, c->answer->csb);
}

bool
phone_callee_request(const struct sip_msg *msg, void *phone)
{
    struct callee *c = callee_of(phone);

    if (c == NULL || c->call.stream == NULL || !sip_dialog_cmp(sipsess_dialog(c->session), msg))
        return false;
    if (pl_strcmp(&msg->met, "INVITE") == 0)
        return look_again(c, msg);
    if (pl_strcmp(&msg->met, "ACK") == 0)
        acknowledged(c);
    return false;
}

static void
hang_up(struct phone_call *call)
{
    struct callee *c = (struct callee *)call;

    if (call->stream == NULL && c->session != NULL)
        (void)sipsess_reject(c->session, 603, "Decline", "Content-Length: 0\r\n\r\n");
    phone_call_over(call, CLI_EXIT_OK, "by us");
}

static void
callee_free(struct phone_call *call)
{
    struct callee *c = (struct callee *)call;

    tmr_cancel(&c->early);
    tmr_cancel(&c->unanswered);
    mem_deref(c->session); /* BYE when it stands */
    if (c->resolving)
        c->answer->call = NULL;
    else
        phone_answer_free(c->answer);
    phone_description_free(&c->description);
    phone_sdes_wipe(&c->sdes);
    mem_deref(c->text);
    mem_deref(c->offer);
    free(c);
}

/* --- the INVITE ------------------------------------------------------------------------------- */

static bool
is_merged(const struct callee *c, const struct sip_msg *msg)
{
    return pl_strcmp(&msg->callid, c->call_id) == 0 &&
           pl_strcmp(&msg->from.tag, c->from_tag) == 0 && msg->cseq.num == c->cseq;
}

static bool
look_at_sdes(struct callee *c, struct mkt_span text, struct mkt_sdp_refusal *r,
             struct cli_error *err)
{
    struct mkt_err why = { 0 };

    *r = mkt_sdp_refusal(MKT_E_SP, false);
    if (mkt_sdp_read(&c->agreed, text, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_PEER, "the offer is refused", &why);
    return phone_sdes_choose(&c->sdes, &c->call.phone->o->args, &c->description, err);
}

static bool
look_at(struct callee *c, const struct sip_msg *msg, struct mkt_sdp_refusal *r,
        struct cli_error *err)
{
    struct phone *p = c->call.phone;
    struct mkt_span text = mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb));
    bool sdes = p->o->keying != PHONE_KEYING_REQUIRED && phone_sdes_is(text);
    enum mkt_rc rc;

    *r = phone_refusal_body();
    if (mbuf_get_left(msg->mb) > 0 && !msg_ctype_cmp(&msg->ctyp, "application", "sdp"))
        return cli_fail(err, CLI_EXIT_PEER, "the offer is refused: it is no SDP");
    if (!sdes && !phone_answer_new(&c->answer, &p->client, &p->o->args, text, false, resolved, c,
                                   &rc, err)) {
        *r = mkt_sdp_refusal(rc, false);
        return false;
    }
    *r = mkt_sdp_refusal(MKT_E_REPLAY, false);
    if (!sdes && phone_seen_has(&p->seen, c->answer))
        return cli_fail(err, CLI_EXIT_PEER, "the offer is refused: it is that of a former call");
    *r = phone_refusal_media();
    if (phone_description_new(&c->description, p, phone_media_port(c->call.media)) != 0 ||
        !phone_description_read(&c->description, msg->mb, true, &c->to) ||
        (c->answer != NULL && c->answer->map.first[c->description.index] == 0))
        return cli_fail(err, CLI_EXIT_PEER,
                        "the offer is refused: none of our codecs over RTP/SAVP");
    return !sdes || look_at_sdes(c, text, r, err);
}

static struct callee *
callee_new(struct phone *p, const struct sip_msg *msg)
{
    struct callee *c = calloc(1, sizeof *c);

    if (c == NULL || !phone_call_open(&c->call, p)) {
        free(c);
        return NULL;
    }
    c->call.accept = accept_call;
    c->call.end = hang_up;
    c->call.hold = hold;
    c->call.renew = renew;
    c->call.free = callee_free;
    (void)pl_strcpy(&msg->callid, c->call_id, sizeof c->call_id);
    (void)pl_strcpy(&msg->from.tag, c->from_tag, sizeof c->from_tag);
    c->cseq = msg->cseq.num;
    return c;
}

static bool
keyed_by_sdes(struct callee *c)
{
    struct mkt_sdp_refusal r = mkt_sdp_refusal(MKT_E_SP, false);
    struct cli_error err = { 0 };

    if (phone_sdes_keyed(&c->call, &c->sdes, false, &c->stream, &err) &&
        phone_call_speak(c->stream, &c->description.agreed, &err) && describe(c, &err)) {
        progress(c);
        return true;
    }
    (void)sipsess_reject(c->session, (uint16_t)r.status, r.reason, "%H", phone_refusal_print, &r);
    phone_call_over(&c->call, err.code, err.text);
    return false;
}

static void
ring(struct callee *c, const struct sip_msg *msg)
{
    struct phone *p = c->call.phone;

    if (sipsess_accept(&c->session, p->sessions, msg, 180, "Ringing", p->user, "application/sdp",
                       NULL, phone_auth, p, false, offered_again, answered_again, established, NULL,
                       NULL, closed, c, NULL) != 0) {
        phone_call_over(&c->call, CLI_EXIT_FAILURE, "the call cannot be taken");
        return;
    }
    phone_say("ringing", "%.*s, it says", (int)msg->from.auri.l, msg->from.auri.p);
    if (c->answer != NULL) {
        c->resolving = true;
        phone_worker_ask(p->worker, &c->answer->job);
    } else if (!keyed_by_sdes(c)) {
        return;
    }
    if (p->o->answer_ms != UINT32_MAX)
        tmr_start(&c->call.timer, p->o->answer_ms, accept_by_itself, c);
}

void
phone_callee_invite(const struct sip_msg *msg, void *phone)
{
    struct phone *p = phone;
    struct callee *c = callee_of(p);
    struct mkt_sdp_refusal r;
    struct cli_error err = { 0 };

    if (phone_member_invite(msg, p))
        return;
    if (c != NULL && is_merged(c, msg)) {
        (void)sip_treply(NULL, p->sip, msg, 482, "Loop Detected");
        return;
    }
    if (p->call != NULL || (c = callee_new(p, msg)) == NULL) {
        (void)sip_treply(NULL, p->sip, msg, 486, "Busy Here");
        return;
    }
    p->call = &c->call;
    if (look_at(c, msg, &r, &err)) {
        ring(c, msg);
        return;
    }
    phone_refuse(p->sip, msg, &r);
    phone_call_over(&c->call, err.code, err.text);
}
