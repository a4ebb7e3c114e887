/* SPDX-License-Identifier: Apache-2.0 */
/* A call that we made, once it stands: new keys and hold, offered by us or by the callee. Nothing
 * in a later offer leads out of what was agreed: the same m-lines, the same ticket or key, SRTP. */
#include "caller.h"
#include "refusal.h"

#include <stdlib.h>
#include <string.h>

#define BUSY_MS 500 /* when another offer is under way */
#define REPEATS 10  /* of an answer without ACK, doubling: 64 * T1 (RFC 3261 13.3.1.4) */

static void rekey(void *arg);

static void
give_up(struct caller *c, const char *why)
{
    phone_invite_bye(&c->invite, c->winner->dialog);
    phone_call_over(&c->call, CLI_EXIT_PEER, why);
}

static bool
is_busy(const struct caller *c)
{
    return c->later.request != NULL || c->later.offer != NULL;
}

void
phone_later_end(struct phone_later *l)
{
    tmr_cancel(&l->rekey);
    tmr_cancel(&l->again);
    mem_deref(l->request);
    mem_deref(l->offer);
    mem_deref(l->reply);
    if (l->answer != NULL)
        l->answer->csb = NULL; /* the leg's */
    phone_answer_free(l->answer);
    *l = (struct phone_later){ 0 };
}

/* An offer in the call, with c->description. */
static bool
send_offer(struct caller *c, sip_resp_h *answered)
{
    return phone_invite_send(&c->invite, &c->later.request, c->winner->dialog, c->description,
                             answered) == 0;
}

/* --- new keys of ours ------------------------------------------------------------------------- */

/* New keys are due at half the time, so that there is another half for what goes wrong. */
static void
wait_for_rekey(struct caller *c)
{
    if (c->winner->csb == NULL) {
        phone_sdes_say_rekey(&c->call, &c->winner->sdes);
        return;
    }
    uint64_t ms = phone_call_say_rekey(&c->call, c->winner->csb);
    if (ms != UINT64_MAX)
        tmr_start(&c->later.rekey, ms / 2, rekey, c);
}

static void
rekeyed(int err, const struct sip_msg *msg, void *arg)
{
    const struct phone_invite *i = arg;
    struct caller *c = i->of;
    struct phone *p = c->call.phone;
    struct cli_error said = { 0 };
    struct mkt_err why = { 0 };

    if (err == 0 && msg->scode < 200)
        return;
    if (err == 0 && msg->scode == 491) { /* theirs came at the same time */
        tmr_start(&c->later.rekey, BUSY_MS, rekey, c);
        return;
    }
    if (err != 0 || msg->scode >= 300) { /* RFC 4567 4.1.2: then it is over */
        give_up(c, "the other party takes no new keys");
        return;
    }
    phone_invite_ack(&c->invite, c->winner->dialog, msg);
    if (phone_rekey_answered(c->winner->csb, &p->client, &c->offer->sent.sdp,
                             mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb)), &said) &&
        phone_stream_hear(c->winner->stream, c->winner->csb, p->client.crypto, &why) == MKT_OK &&
        phone_stream_say(c->winner->stream, c->winner->csb, p->client.crypto, &why) == MKT_OK) {
        phone_say("rekeyed", "by us");
        wait_for_rekey(c);
        return;
    }
    give_up(c, said.code != CLI_EXIT_OK ? said.text : why.what);
}

static bool
describe_rekey(struct caller *c, struct cli_error *err)
{
    char *value = malloc(PHONE_VALUE_MAX);
    bool ok = value != NULL;

    c->description = mem_deref(c->description);
    ok = ok &&
         phone_rekey_value(c->winner->csb, &c->call.phone->client, value, PHONE_VALUE_MAX, err) &&
         phone_description_write(&c->mine, true, value, &c->description) == 0;
    free(value);
    return ok;
}

static void
rekey(void *arg)
{
    struct caller *c = arg;
    struct cli_error err = { 0 };

    if (is_busy(c)) {
        tmr_start(&c->later.rekey, BUSY_MS, rekey, c);
        return;
    }
    if (!describe_rekey(c, &err) || !send_offer(c, rekeyed))
        phone_say("not-rekeyed", "%s", err.text); /* the call ends when its time is over */
}

static void
renew(struct phone_call *call)
{
    struct caller *c = (struct caller *)call;

    if (c->winner != NULL && c->winner->csb != NULL)
        rekey(c);
}

/* --- hold ------------------------------------------------------------------------------------- */

/* Keys stay: the answer has no word about them, or with SDES those of before. */
static bool
is_silent_answer(struct caller *c, const struct sip_msg *msg, struct mkt_err *why)
{
    struct mkt_sdp plain = c->offer->sent.sdp, answer;

    plain.n_lines = 0;
    return mkt_sdp_read(&answer, mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb)), why) ==
               MKT_OK &&
           mkt_sdp_check_answer(&plain, &answer, why) == MKT_OK &&
           phone_description_read(&c->mine, msg->mb, false, &c->winner->to) &&
           (c->winner->csb != NULL ? !phone_sdes_forbidden(&c->mine)
                                   : phone_sdes_again(&c->winner->sdes, &c->mine));
}

static void
held(int err, const struct sip_msg *msg, void *arg)
{
    const struct phone_invite *i = arg;
    struct caller *c = i->of;
    struct mkt_err why = { 0 };

    if (err == 0 && msg->scode < 200)
        return;
    if (err != 0 || msg->scode >= 300) {
        phone_call_held(&c->call, &c->mine, !c->call.held); /* as before */
        phone_say("not-held", "%u", err == 0 ? msg->scode : 0);
        return;
    }
    phone_invite_ack(&c->invite, c->winner->dialog, msg);
    if (is_silent_answer(c, msg, &why))
        phone_call_directed(&c->call, &c->mine);
    else
        give_up(c, why.what != NULL ? why.what : "the answer to a later offer is another one");
}

static void
hold(struct phone_call *call)
{
    struct caller *c = (struct caller *)call;

    if (c->winner == NULL || is_busy(c))
        return;
    phone_call_held(call, &c->mine, !call->held);
    c->description = mem_deref(c->description);
    if (phone_description_write(&c->mine, true, NULL, &c->description) != 0 || !send_offer(c, held))
        phone_say("not-held", "no offer can be made");
}

void
phone_caller_stands(struct caller *c)
{
    c->call.hold = hold;
    c->call.renew = renew;
    phone_sdes_settled(c->winner->csb == NULL ? &c->winner->sdes : NULL, &c->mine);
    wait_for_rekey(c);
}

/* --- offers of the callee --------------------------------------------------------------------- */

static enum mkt_rc
look_at(struct caller *c, const struct sip_msg *msg, enum phone_again *again, struct cli_error *err)
{
    struct mkt_span text = mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb));
    struct phone *p = c->call.phone;
    struct caller_leg *leg = c->winner;
    struct mkt_err why = { 0 };
    enum mkt_rc rc = MKT_E_MEMORY;

    if (leg->csb == NULL) {
        rc = phone_sdes_look_again(&leg->sdes, &c->offer->sent.sdp, text, &c->mine, msg->mb,
                                   &leg->to, &why);
        if (rc != MKT_OK)
            cli_fail_mkt(err, CLI_EXIT_PEER, "the later offer is refused", &why);
        return rc;
    }
    if (c->later.answer == NULL)
        c->later.answer = phone_answer_of_caller(leg->csb, c->offer);
    if (c->later.answer == NULL ||
        !phone_answer_again(c->later.answer, &p->client, text, again, &rc, err))
        return rc;
    if (*again == PHONE_AGAIN_NEW &&
        phone_stream_hear(leg->stream, leg->csb, p->client.crypto, &why) != MKT_OK)
        return why.rc;
    return phone_description_read(&c->mine, msg->mb, true, &leg->to) ? MKT_OK : MKT_E_SP;
}

static void
repeat(void *arg)
{
    struct caller *c = arg;
    struct phone_later *l = &c->later;

    if (++l->repeats > REPEATS) {
        give_up(c, "the other party does not acknowledge");
        return;
    }
    l->reply->pos = 0;
    (void)sip_send(c->call.phone->sip, NULL, l->offer->tp, &l->offer->src, l->reply);
    tmr_start(&l->again, l->repeats < 3 ? (uint64_t)SIP_T1 << l->repeats : SIP_T2, repeat, c);
}

/* The answer, until it is acknowledged. */
static int
reply(struct caller *c, const struct sip_msg *msg, enum phone_again again)
{
    struct phone_later *l = &c->later;
    struct sip_contact contact;
    struct mbuf *text = NULL;
    char *value = malloc(PHONE_VALUE_MAX);
    bool keys = c->winner->csb != NULL && again != PHONE_AGAIN_SILENT;
    int err = value == NULL || (keys && !phone_answer_value(l->answer, value, PHONE_VALUE_MAX))
                  ? ENOMEM
                  : 0;

    if (err == 0)
        err = phone_description_write(&c->mine, false, keys ? value : NULL, &text);
    free(value);
    if (err != 0)
        return err;
    sip_contact_set(&contact, c->call.phone->user, &msg->dst, msg->tp);
    err = sip_treplyf(NULL, &l->reply, c->call.phone->sip, msg, true, 200, "OK",
                      "%HContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%b",
                      sip_contact_print, &contact, mbuf_get_left(text), mbuf_buf(text),
                      mbuf_get_left(text));
    mem_deref(text);
    if (err != 0)
        return err;
    l->offer = mem_ref((void *)msg);
    l->repeats = 0;
    l->new_keys = keys && again == PHONE_AGAIN_NEW;
    tmr_start(&l->again, SIP_T1, repeat, c);
    return 0;
}

void
phone_caller_offered(struct caller *c, const struct sip_msg *msg)
{
    struct phone *p = c->call.phone;
    enum phone_again again = PHONE_AGAIN_SILENT;
    struct cli_error err = { 0 };

    if (c->winner == NULL || is_busy(c)) {
        (void)sip_treply(NULL, p->sip, msg, 491, "Request Pending");
        return;
    }
    enum mkt_rc rc = look_at(c, msg, &again, &err);
    if (rc != MKT_OK) {
        struct mkt_sdp_refusal r = mkt_sdp_refusal(rc, true);
        phone_say("refused", "%s",
                  err.code != CLI_EXIT_OK ? err.text : "the later offer has no media for us");
        phone_refuse(p->sip, msg, &r);
        return;
    }
    if (reply(c, msg, again) == 0)
        phone_call_directed(&c->call, &c->mine);
    else
        give_up(c, "the answer cannot be sent");
}

/* The callee has the answer: what we say may be under the new keys. */
void
phone_caller_acked(struct caller *c)
{
    struct phone_later *l = &c->later;
    struct mkt_err why = { 0 };
    bool new_keys = l->offer != NULL && l->new_keys;

    tmr_cancel(&l->again);
    l->offer = mem_deref(l->offer);
    l->reply = mem_deref(l->reply);
    if (!new_keys)
        return;
    if (phone_stream_say(c->winner->stream, c->winner->csb, c->call.phone->client.crypto, &why) !=
        MKT_OK) {
        give_up(c, why.what);
        return;
    }
    phone_say("rekeyed", "by the other party");
    wait_for_rekey(c);
}
