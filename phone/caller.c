/* SPDX-License-Identifier: Apache-2.0 */
/* A call that we make: an INVITE session of our own over libre's dialogs, because every branch of a
 * fork counts. Each To tag is a leg with a dialog, a bundle of keys and a stream of its own; the
 * first 2xx is the call, and every other one is acknowledged and ended (RFC 3261 13.2.2.4). */
#include "caller.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (MKT_MSG_MAX / 3 * 4 + 16)
#define LATE_MS                                                                      \
    (64 * SIP_T1) /* how long after the end a 2xx may still come (RFC 3261 13.3.1.4) \
                   */
#define REDIRECTIONS_MAX 3

/* --- legs ------------------------------------------------------------------------------------- */

static void
leg_destroy(void *data)
{
    struct leg *leg = data;

    list_unlink(&leg->le);
    mem_deref(leg->dialog);
    mkt_csb_free(leg->csb);
    phone_sdes_wipe(&leg->sdes);
}

static struct leg *
leg_find(const struct caller *c, const struct pl *tag)
{
    for (struct le *le = c->legs.head; le != NULL; le = le->next) {
        struct leg *leg = le->data;
        if (pl_strcmp(tag, leg->tag) == 0)
            return leg;
    }
    return NULL;
}

static struct leg *
leg_of(struct caller *c, const struct sip_msg *msg)
{
    struct leg *leg = leg_find(c, &msg->to.tag);

    if (leg != NULL || !pl_isset(&msg->to.tag) || msg->to.tag.l >= sizeof leg->tag)
        return leg;
    leg = mem_zalloc(sizeof *leg, leg_destroy);
    if (leg == NULL || sip_dialog_fork(&leg->dialog, c->dialog, msg) != 0)
        return mem_deref(leg);
    (void)pl_strcpy(&msg->to.tag, leg->tag, sizeof leg->tag);
    list_append(&c->legs, &leg->le, leg);
    return leg;
}

static void begin(struct caller *c);
static bool open_dialog(struct caller *c, const char *uri, const char *proxy);

static void
nothing(int err, const struct sip_msg *msg, void *arg)
{
    (void)err, (void)msg, (void)arg;
}

void
phone_leg_bye(struct caller *c, struct leg *leg)
{
    (void)sip_drequestf(NULL, c->call.phone->sip, true, "BYE", leg->dialog, 0, c->auth, NULL,
                        nothing, NULL, "Content-Length: 0\r\n\r\n");
}

void
phone_leg_ack(struct caller *c, struct leg *leg, const struct sip_msg *msg)
{
    (void)sip_drequestf(NULL, c->call.phone->sip, false, "ACK", leg->dialog, msg->cseq.num, c->auth,
                        NULL, nothing, NULL, "Content-Length: 0\r\n\r\n");
}

/* Keys of MIKEY-TICKET, or where the user allows it of SDES; never of both. */
static bool
leg_keys(struct caller *c, struct leg *leg, const struct sip_msg *msg, struct phone_description *d,
         struct cli_error *err)
{
    struct phone *p = c->call.phone;
    enum phone_keying keying = p->o->keying;
    struct mkt_span text = mkt_span(mbuf_buf(msg->mb), mbuf_get_left(msg->mb));
    bool readable = phone_description_read(d, msg->mb, false, &leg->to);

    if (keying != PHONE_KEYING_REQUIRED && phone_sdes_is(text))
        return (readable || cli_fail(err, CLI_EXIT_PEER, "the answer has no address for PCMU")) &&
               phone_sdes_answered(&leg->sdes, &c->sdes, &c->offer->sdp, text, d, err) &&
               phone_sdes_keyed(&c->call, &leg->sdes, keying == PHONE_KEYING_PREFERRED,
                                &leg->stream, err);
    return phone_offer_answered(c->offer, &p->client, text, &leg->csb, err) &&
           (readable || cli_fail(err, CLI_EXIT_PEER, "the answer has no address for PCMU")) &&
           (!phone_sdes_forbidden(d) ||
            cli_fail(err, CLI_EXIT_PEER, "the answer is refused: a=crypto beside key-mgmt")) &&
           phone_call_keyed(&c->call, leg->csb, c->offer->map.first[0], &leg->stream, err);
}

/* The answer of a leg: its keys, from its own TRANSFER_RESP. It comes early or with the 2xx. */
static void
leg_answer(struct caller *c, struct leg *leg, const struct sip_msg *msg)
{
    struct phone *p = c->call.phone;
    struct phone_description d;
    struct cli_error err = { 0 };

    if (leg->stream != NULL || leg->refused || mbuf_get_left(msg->mb) == 0)
        return;
    leg->refused = true;
    if (phone_description_new(&d, p, phone_media_port(c->call.media)) != 0)
        return;
    bool ok = leg_keys(c, leg, msg, &d, &err);
    leg->refused = !ok;
    if (!ok)
        phone_say("refused", "%s", err.text);
    phone_description_free(&d);
}

/* --- INVITE ----------------------------------------------------------------------------------- */

static int
contact(enum sip_transp tp, const struct sa *src, const struct sa *dst, struct mbuf *mb, void *arg)
{
    struct caller *c = arg;
    struct sip_contact contact;

    (void)dst;
    sip_contact_set(&contact, c->call.phone->user, src, tp);
    return mbuf_printf(mb, "%H", sip_contact_print, &contact);
}

/* An INVITE with our description, the first or a later one. */
int
phone_caller_send(struct caller *c, struct sip_request **request, struct sip_dialog *dialog,
                  sip_resp_h *response)
{
    return sip_drequestf(
        request, c->call.phone->sip, true, "INVITE", dialog, 0, c->auth, contact, response, c,
        "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%b",
        mbuf_get_left(c->description), mbuf_buf(c->description), mbuf_get_left(c->description));
}

/* --- answers to the INVITE -------------------------------------------------------------------- */

static void
say_early(const struct caller *c)
{
    for (struct le *le = c->legs.head; le != NULL; le = le->next) {
        const struct leg *leg = le->data;
        uint64_t n = leg->stream != NULL ? phone_stream_counts(leg->stream).heard : 0;
        if (n > 0)
            phone_say("early-media", "%llu packets%s", (unsigned long long)n,
                      leg == c->winner ? " of the one that has answered" : "");
    }
}

static void
won(struct caller *c, struct leg *leg)
{
    char who[CLI_IDENTITY_TEXT];

    c->winner = leg;
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
    phone_leg_bye(c, leg);
    phone_call_over(&c->call, CLI_EXIT_PEER, "the answer has no keys that verify");
}

static void
confirmed(struct caller *c, struct leg *leg, const struct sip_msg *msg)
{
    bool again = leg->confirmed;

    leg->confirmed = true;
    phone_leg_ack(c, leg, msg);
    if (again)
        return;
    if (c->winner == NULL && !c->cancelled && !c->over) {
        won(c, leg);
        return;
    }
    phone_say("second-answer", "from another phone of %s: ended", c->uri);
    phone_leg_bye(c, leg);
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
        sip_addr_decode(&addr, &h->val) != 0 || pl_strcpy(&addr.auri, uri, sizeof uri) != 0)
        return false;
    bool again = strcmp(uri, c->target) == 0;
    phone_say("redirected", "%s", uri);
    list_flush(&c->legs);
    c->dialog = mem_deref(c->dialog);
    if (!open_dialog(c, uri, again ? NULL : c->call.phone->o->value[PHONE_OPT_PROXY]))
        return false;
    begin(c);
    return true;
}

static void
failed(struct caller *c, int err, const struct sip_msg *msg)
{
    char why[128];

    if (msg != NULL && (msg->scode == 301 || msg->scode == 302) && redirect(c, msg))
        return;
    if (msg != NULL && (msg->scode == 401 || msg->scode == 407) && c->challenges++ < 2 &&
        sip_auth_authenticate(c->auth, msg) == 0) {
        begin(c);
        return;
    }
    if (msg != NULL) {
        say_warnings(msg);
        re_snprintf(why, sizeof why, "%u %r", msg->scode, &msg->reason);
    } else {
        re_snprintf(why, sizeof why, "%m", err);
    }
    phone_call_over(&c->call, c->cancelled ? CLI_EXIT_OK : CLI_EXIT_PEER, why);
}

static void
response(int err, const struct sip_msg *msg, void *arg)
{
    struct caller *c = arg;

    if (err != 0 || msg->scode >= 300) {
        failed(c, err, msg);
        return;
    }
    if (msg->scode == 100)
        return;
    struct leg *leg = leg_of(c, msg);
    if (leg == NULL)
        return; /* without Contact or tag there is no dialog to speak of */
    if (msg->scode < 200)
        phone_say("progress", "%u", msg->scode);
    if (!c->over)
        leg_answer(c, leg, msg);
    if (msg->scode >= 200)
        confirmed(c, leg, msg);
}

/* --- the first INVITE ------------------------------------------------------------------------- */

static void
begin(struct caller *c)
{
    int err = phone_caller_send(c, &c->request, c->dialog, response);
    if (err != 0)
        failed(c, err, NULL);
}

static bool
describe(struct caller *c, struct cli_error *err)
{
    struct phone *p = c->call.phone;
    char *value = malloc(VALUE_MAX);
    bool ok =
        value != NULL && phone_description_new(&c->mine, p, phone_media_port(c->call.media)) == 0;

    if (!ok) {
        free(value);
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    }
    bool ticket = p->o->keying != PHONE_KEYING_SDES, sdes = p->o->keying != PHONE_KEYING_REQUIRED;
    ok = (!ticket || phone_offer_value(c->offer, &p->client, &p->o->args, value, VALUE_MAX, err)) &&
         (!sdes || phone_sdes_offer(&c->sdes, &p->o->args, &c->mine, err)) &&
         (phone_description_write(&c->mine, true, ticket ? value : NULL, &c->description) == 0 ||
          cli_fail(err, CLI_EXIT_FAILURE, "the description cannot be made")) &&
         phone_offer_sent(c->offer,
                          mkt_span(mbuf_buf(c->description), mbuf_get_left(c->description)), err);
    free(value);
    return ok;
}

static bool
open_dialog(struct caller *c, const char *uri, const char *proxy)
{
    const char *self = c->call.phone->client.file.identity;

    memccpy(c->target, uri, '\0', sizeof c->target - 1);
    return sip_dialog_alloc(&c->dialog, uri, c->uri, NULL, self, &proxy, proxy != NULL) == 0;
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
    if (!open_dialog(c, c->uri, proxy) ||
        sip_auth_alloc(&c->auth, phone_auth, c->call.phone, false) != 0) {
        phone_call_over(&c->call, CLI_EXIT_FAILURE, "no dialog can be made");
        return;
    }
    phone_say("calling", "%s", c->uri);
    begin(c);
}

/* --- what the user does, and the other party in the call -------------------------------------- */

static void
hang_up(struct phone_call *call)
{
    struct caller *c = (struct caller *)call;

    if (c->winner != NULL) {
        phone_leg_bye(c, c->winner);
        phone_call_over(call, CLI_EXIT_OK, "by us");
    } else if (c->request != NULL && !c->cancelled) {
        c->cancelled = true;
        sip_request_cancel(c->request); /* 487 ends it, or a 2xx that was faster */
    } else if (c->request == NULL) {
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
    mem_deref(c->dialog);
    mem_deref(c->auth);
    free(c);
}

/* What other phones may still answer is not a call any more, but has to be told so. */
static void
caller_free(struct phone_call *call)
{
    struct caller *c = (struct caller *)call;

    if (c->asking)
        c->offer->call = NULL;
    else
        phone_offer_free(c->offer);
    phone_later_end(&c->later);
    mem_deref(c->request);
    phone_description_free(&c->mine);
    phone_sdes_wipe(&c->sdes);
    mem_deref(c->description);
    c->over = true;
    list_append(&call->phone->late, &c->late, c);
    tmr_start(&c->linger, c->dialog != NULL ? LATE_MS : 0, forget, c);
}

/* With any failure they have all been heard of. */
bool
phone_caller_awaits(const struct phone *p)
{
    for (struct le *le = p->late.head; le != NULL; le = le->next) {
        const struct caller *c = le->data;
        for (struct le *l = c->legs.head; l != NULL && c->winner != NULL; l = l->next)
            if (!((const struct leg *)l->data)->confirmed)
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
    return c != NULL && c->dialog != NULL &&
           pl_strcmp(&msg->callid, sip_dialog_callid(c->dialog)) == 0;
}

bool
phone_caller_response(const struct sip_msg *msg, void *phone)
{
    struct phone *p = phone;
    struct caller *c = caller_of(p);

    if (pl_strcmp(&msg->cseq.met, "INVITE") != 0 || msg->scode / 100 != 2)
        return false;
    for (struct le *le = p->late.head; !is_of(c, msg) && le != NULL; le = le->next)
        c = le->data;
    if (!is_of(c, msg))
        return false;
    response(0, msg, c);
    return true;
}

bool
phone_caller_request(const struct sip_msg *msg, void *phone)
{
    struct phone *p = phone;
    struct caller *c = caller_of(p);
    struct leg *leg = c != NULL ? leg_find(c, &msg->from.tag) : NULL;

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
    c->call.end = hang_up;
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
