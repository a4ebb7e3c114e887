/* SPDX-License-Identifier: Apache-2.0 */
/* A call that we make. Each To tag is a leg with a dialog, a bundle of keys and a stream of its
 * own; the first 2xx is the call, and every other one is acknowledged and ended (RFC
 * 3261 13.2.2.4). */
#include "caller.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define LATE_MS (64 * SIP_T1) /* after the end a 2xx may still come (RFC 3261 13.3.1.4) */
#define REDIRECTIONS_MAX 3
#define UNANSWERED_MS 30000 /* --leave-after */

static void begin(struct caller *c);
static bool open_dialog(struct caller *c, const char *uri, const char *proxy);

/* --- answers to the INVITE -------------------------------------------------------------------- */

static void
say_early(const struct caller *c)
{
    for (struct le *le = c->legs.head; le != NULL; le = le->next) {
        const struct caller_leg *leg = le->data;
        uint64_t n = leg->stream != NULL ? phone_stream_counts(leg->stream).heard : 0;
        if (n > 0)
            phone_say("early-media", "%llu packets%s", (unsigned long long)n,
                      leg == c->winner ? " of the one that has answered" : "");
    }
}

static void
won(struct caller *c, struct caller_leg *leg)
{
    char who[CLI_IDENTITY_TEXT];

    c->winner = leg;
    tmr_cancel(&c->giving_up);
    say_early(c);
    if (leg->stream != NULL) {
        if (leg->csb != NULL)
            cli_identity_text(mkt_csb_peer(leg->csb), who);
        phone_say("answered", "%s", leg->csb != NULL ? who : c->uri);
        phone_call_talk(&c->call, leg->stream, &leg->to, leg->csb,
                        leg->csb == NULL ? leg->sdes.ours[0].suite->name : NULL);
        phone_caller_stands(c);
        return;
    }
    phone_invite_bye(&c->invite, leg->dialog);
    phone_call_over(&c->call, CLI_EXIT_PEER, "the answer has no keys that verify");
}

static void
confirmed(struct caller *c, struct caller_leg *leg, const struct sip_msg *msg)
{
    bool again = leg->confirmed;

    leg->confirmed = true;
    phone_invite_ack(&c->invite, leg->dialog, msg);
    if (again)
        return;
    if (c->winner == NULL && !c->cancelled && !c->over) {
        won(c, leg);
        return;
    }
    phone_say("second-answer", "from another phone of %s: ended", c->uri);
    phone_invite_bye(&c->invite, leg->dialog);
    if (!c->over && c->winner == NULL) /* the one that we gave up was faster */
        phone_call_over(&c->call, CLI_EXIT_OK, "by us");
}

static void
say_warnings(const struct sip_msg *msg)
{
    const struct sip_hdr *h = sip_msg_hdr(msg, SIP_HDR_WARNING);

    if (h != NULL)
        phone_say("warning", "%.*s", (int)h->val.l, h->val.p);
}

/* The same offer at another address: who answers there is still for the KMS to say. It goes through
 * our proxy too (RFC 3261 8.1.2), if that does not send us there again. */
static bool
redirect(struct caller *c, const struct sip_msg *msg)
{
    const struct sip_hdr *h = sip_msg_hdr(msg, SIP_HDR_CONTACT);
    struct sip_addr addr;
    char uri[PHONE_URI_MAX];

    if (c->cancelled || h == NULL || c->redirections++ == REDIRECTIONS_MAX ||
        sip_addr_decode(&addr, &h->val) != 0 ||
        (pl_strcasecmp(&addr.uri.scheme, "sip") != 0 &&
         pl_strcasecmp(&addr.uri.scheme, "sips") != 0) ||
        pl_strcpy(&addr.auri, uri, sizeof uri) != 0)
        return false;
    bool again = strcmp(uri, c->target) == 0;
    phone_say("redirected", "%s", uri);
    list_flush(&c->legs);
    if (!open_dialog(c, uri, again ? NULL : c->call.phone->o->value[PHONE_OPT_PROXY]))
        return false;
    begin(c);
    return true;
}

static void
failed(struct caller *c, int err, const struct sip_msg *msg)
{
    struct phone *p = c->call.phone;
    char why[PHONE_WHY_MAX], uri[PHONE_URI_MAX];

    if (msg != NULL && (msg->scode == 301 || msg->scode == 302) && redirect(c, msg))
        return;
    if (msg != NULL && phone_invite_challenged(&c->invite, msg)) {
        begin(c);
        return;
    }
    if (msg != NULL)
        say_warnings(msg);
    phone_invite_why(why, p->tls != NULL ? "the next hop, over TLS: " : "", err, msg);
    bool missed = !c->cancelled || c->unanswered;
    memcpy(uri, c->uri, sizeof uri);
    phone_call_over(&c->call, c->cancelled ? CLI_EXIT_OK : CLI_EXIT_PEER, why);
    if (missed)
        phone_voicemail_missed(p, uri, msg);
}

static void
response(int err, const struct sip_msg *msg, void *arg)
{
    const struct phone_invite *i = arg;
    struct caller *c = i->of;

    if (err != 0 || msg->scode >= 300) {
        failed(c, err, msg);
        return;
    }
    c->heard = true;
    if (msg->scode == 100)
        return;
    struct caller_leg *leg = caller_leg_of(c, msg);
    if (leg == NULL)
        return; /* without Contact or tag there is no dialog to speak of */
    if (msg->scode < 200)
        phone_say("progress", "%u", msg->scode);
    if (!c->over)
        caller_leg_answer(c, leg, msg);
    if (msg->scode >= 200)
        confirmed(c, leg, msg);
}

/* --- the first INVITE ------------------------------------------------------------------------- */

static void
begin(struct caller *c)
{
    struct phone_invite *i = &c->invite;
    int err = phone_invite_send(i, &i->request, i->dialog, c->description, response);

    if (err != 0)
        failed(c, err, NULL);
}

static bool
describe(struct caller *c, struct cli_error *err)
{
    struct phone *p = c->call.phone;
    char *value = malloc(PHONE_VALUE_MAX);
    bool ok =
        value != NULL && phone_description_new(&c->mine, p, phone_media_port(c->call.media)) == 0;

    if (!ok) {
        free(value);
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    }
    bool ticket = p->o->keying != PHONE_KEYING_SDES, sdes = p->o->keying != PHONE_KEYING_REQUIRED;
    ok = (!ticket ||
          phone_offer_value(c->offer, &p->client, &p->o->args, value, PHONE_VALUE_MAX, err)) &&
         (!sdes || phone_sdes_offer(&c->sdes, &p->o->args, &c->mine, err)) &&
         (phone_description_write(&c->mine, true, ticket ? value : NULL, &c->description) == 0 ||
          cli_fail(err, CLI_EXIT_FAILURE, "the description cannot be made")) &&
         phone_sent_keep(&c->offer->sent,
                         mkt_span(mbuf_buf(c->description), mbuf_get_left(c->description)), err);
    free(value);
    return ok;
}

static bool
open_dialog(struct caller *c, const char *uri, const char *proxy)
{
    phone_tls_expect(c->call.phone->tls, proxy != NULL ? proxy : uri);
    memccpy(c->target, uri, '\0', sizeof c->target - 1);
    return phone_invite_open(&c->invite, c->call.phone, uri, c->uri, proxy);
}

/* Nobody comes: the call is given up as the user would, and a message left. */
static void
give_up(void *arg)
{
    struct caller *c = arg;

    c->unanswered = true;
    c->call.end(&c->call);
}

static void
wait_for_answer(struct caller *c)
{
    uint32_t ms = c->call.phone->o->leave_ms;
    tmr_start(&c->giving_up, ms != UINT32_MAX ? ms : UNANSWERED_MS, give_up, c);
}

/* libre finds out about a connection that is closed when the time of the transaction is over. */
static void
unheard(struct phone_call *call)
{
    struct caller *c = (struct caller *)call;

    if (c->invite.request != NULL && !c->heard)
        phone_call_over(call, CLI_EXIT_PEER, "the next hop has hung up, and has not answered");
}

/* In the worker: a call by SDES needs none. */
static void
no_ticket(struct phone_job *job, struct cli_client *client, const struct cli_args *args)
{
    (void)job, (void)client, (void)args;
}

/* The ticket is there, or not: in the main loop. */
static void
ticket_came(struct phone_job *job)
{
    struct phone_offer *offer = (struct phone_offer *)job;
    struct caller *c = offer->call;
    struct cli_error err = job->err;

    if (c == NULL) { /* given up meanwhile */
        phone_offer_free(offer);
        return;
    }
    c->asking = false;
    const char *proxy = c->call.phone->o->value[PHONE_OPT_PROXY];
    if (err.code != CLI_EXIT_OK || !describe(c, &err)) {
        phone_call_over(&c->call, err.code, err.text);
        return;
    }
    if (!open_dialog(c, c->uri, proxy)) {
        phone_call_over(&c->call, CLI_EXIT_FAILURE, "no dialog can be made");
        return;
    }
    phone_say("calling", "%s", c->uri);
    if (c->call.phone->o->value[PHONE_OPT_LEAVE_MESSAGE] != NULL)
        wait_for_answer(c);
    begin(c);
}

/* --- what the user does, and the other party in the call -------------------------------------- */

static void
hang_up(struct phone_call *call)
{
    struct caller *c = (struct caller *)call;

    if (c->winner != NULL) {
        phone_invite_bye(&c->invite, c->winner->dialog);
        phone_call_over(call, CLI_EXIT_OK, "by us");
    } else if (c->invite.request != NULL && !c->cancelled) {
        c->cancelled = true;
        sip_request_cancel(c->invite.request); /* 487 ends it, or a 2xx that was faster */
    } else if (c->invite.request == NULL) {
        phone_call_over(call, CLI_EXIT_OK, "by us");
    }
}

static void
forget(void *arg)
{
    struct caller *c = arg;

    tmr_cancel(&c->linger);
    list_unlink(&c->late);
    list_flush(&c->legs);
    phone_invite_end(&c->invite);
    free(c);
}

/* What other phones may still answer is not a call any more, but has to be told so. Without keys:
 * those end with the call. */
static void
caller_free(struct phone_call *call)
{
    struct caller *c = (struct caller *)call;

    for (struct le *le = c->legs.head; le != NULL; le = le->next) {
        struct caller_leg *leg = le->data;
        mkt_csb_free(leg->csb);
        leg->csb = NULL;
        phone_sdes_wipe(&leg->sdes);
    }
    if (c->asking)
        c->offer->call = NULL;
    else
        phone_offer_free(c->offer);
    phone_expect_home(call->phone);
    tmr_cancel(&c->giving_up);
    phone_later_end(&c->later);
    c->invite.request = mem_deref(c->invite.request);
    phone_description_free(&c->mine);
    phone_sdes_wipe(&c->sdes);
    mem_deref(c->description);
    c->over = true;
    list_append(&call->phone->late, &c->late, c);
    tmr_start(&c->linger, c->invite.dialog != NULL ? LATE_MS : 0, forget, c);
}

/* With any failure they have all been heard of. */
bool
phone_caller_awaits(const struct phone *p)
{
    for (struct le *le = p->late.head; le != NULL; le = le->next) {
        const struct caller *c = le->data;
        for (struct le *l = c->legs.head; l != NULL && c->winner != NULL; l = l->next)
            if (!((const struct caller_leg *)l->data)->confirmed)
                return true;
    }
    return false;
}

void
phone_caller_forget(struct phone *p)
{
    for (struct le *le = p->late.head, *next; le != NULL; le = next) {
        next = le->next;
        forget(le->data);
    }
}

static struct caller *
caller_of(struct phone *p)
{
    return p->call != NULL && p->call->free == caller_free ? (struct caller *)p->call : NULL;
}

static bool
is_of(const struct caller *c, const struct sip_msg *msg)
{
    return c != NULL && phone_invite_is_taken(&c->invite, msg);
}

bool
phone_caller_response(const struct sip_msg *msg, void *phone)
{
    struct phone *p = phone;
    struct caller *c = caller_of(p);

    for (struct le *le = p->late.head; !is_of(c, msg) && le != NULL; le = le->next)
        c = le->data;
    if (!is_of(c, msg))
        return false;
    response(0, msg, &c->invite);
    return true;
}

bool
phone_caller_request(const struct sip_msg *msg, void *phone)
{
    struct phone *p = phone;
    struct caller *c = caller_of(p);
    struct caller_leg *leg = c != NULL ? caller_leg_find(c, &msg->from.tag) : NULL;

    if (leg == NULL || !sip_dialog_cmp(leg->dialog, msg))
        return false;
    if (pl_strcmp(&msg->met, "BYE") == 0) {
        (void)sip_treply(NULL, p->sip, msg, 200, "OK");
        if (leg == c->winner)
            phone_call_over(&c->call, CLI_EXIT_OK, "by the other party");
        return true;
    }
    if (pl_strcmp(&msg->met, "INVITE") == 0) {
        phone_caller_offered(c, msg);
        return true;
    }
    if (pl_strcmp(&msg->met, "ACK") != 0)
        return false;
    phone_caller_acked(c);
    return true;
}

bool
phone_call_make(struct phone *p, const char *uri, struct cli_error *err)
{
    struct caller *c = calloc(1, sizeof *c);
    char to[PHONE_URI_MAX];
    struct pl all;

    if (c == NULL || !phone_call_open(&c->call, p)) {
        free(c);
        return cli_fail(err, CLI_EXIT_FAILURE, "no call can be made: no memory or no socket");
    }
    c->invite.of = c;
    c->call.end = hang_up;
    c->call.unheard = unheard;
    c->call.free = caller_free;
    list_init(&c->legs);
    pl_set_str(&all, uri);
    phone_identity(to, &all);
    memccpy(c->uri, uri, '\0', sizeof c->uri - 1);
    c->offer = phone_offer_new(to, ticket_came, c);
    p->call = &c->call;
    if (c->offer == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    if (p->o->keying == PHONE_KEYING_SDES)
        c->offer->job.run = no_ticket;
    c->asking = true;
    phone_worker_ask(p->worker, &c->offer->job);
    return true;
}
