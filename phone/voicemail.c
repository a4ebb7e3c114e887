/* SPDX-License-Identifier: Apache-2.0 */
/* Voice messages, left in a plain SIP mailbox and fetched from there: sealed objects
 * (docs/formats/sealed-object.md), so the mailbox has nothing but octets. SIP says where, with an
 * INVITE that is answered by URLs; the octets go over HTTP (docs/decisions/0057-voicemail.md). */
#include "invite.h"
#include "message.h"
#include "web.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define URLS_MAX 16
#define ROUNDS_MAX 8 /* of URLs: a mailbox that has no end is none */

struct phone_voicemail {
    struct phone *phone;
    bool fetch;             /* else leave */
    char to[PHONE_URI_MAX]; /* whose mailbox */
    struct phone_invite invite;
    unsigned rounds;
    size_t stay; /* messages of this round that are still in the mailbox */
    char urls[URLS_MAX][CLI_WEB_URL_MAX];
    size_t n, next;
    enum cli_exit code;
};

static void work(struct phone_voicemail *v);
static void ask(struct phone_voicemail *v);

static void
over(struct phone_voicemail *v, enum cli_exit code, const char *why)
{
    if (why != NULL)
        phone_say("mailbox", "%s", why);
    v->phone->code = (int)code;
    phone_quit_soon(v->phone);
}

/* --- one message after the other -------------------------------------------------------------- */

/* In the main loop; the phone may be ending. */
static void
worked(struct phone_job *job)
{
    struct phone_message *m = (struct phone_message *)job;
    struct phone_voicemail *v = m->voicemail;

    phone_message_say(m);
    v->stay += !m->removed;
    if (job->err.code != CLI_EXIT_OK)
        v->code = job->err.code;
    phone_message_free(m);
    work(v);
}

/* As many as can be named: more may be there. What stays there would be named again. */
static bool
has_more(struct phone_voicemail *v)
{
    if (!v->fetch || v->n < URLS_MAX)
        return false;
    if (v->stay > 0)
        phone_say("mailbox", "more may be there, behind what stays: --remove-unopened removes it");
    return v->stay == 0 && ++v->rounds < ROUNDS_MAX;
}

static void
work(struct phone_voicemail *v)
{
    const struct phone_options *o = v->phone->o;

    if (v->next == v->n && has_more(v)) {
        sip_auth_reset(v->invite.auth); /* a nonce is used once */
        ask(v);
        return;
    }
    if (v->next == v->n) {
        over(v, v->code, NULL);
        return;
    }
    const char *url = v->urls[v->next++];
    struct phone_message *m =
        v->fetch ? phone_message_fetch(url, o->value[PHONE_OPT_FETCH_MESSAGES],
                                       o->value[PHONE_OPT_REMOVE_UNOPENED] != NULL)
                 : phone_message_leave(url, v->to, o->value[PHONE_OPT_LEAVE_MESSAGE]);
    if (m == NULL) {
        over(v, CLI_EXIT_FAILURE, "out of memory");
        return;
    }
    m->job.done = worked;
    m->voicemail = v;
    phone_worker_ask(v->phone->worker, &m->job);
}

/* --- where ------------------------------------------------------------------------------------ */

/* A URL between < and > that is no SIP URI. */
static bool
take_url(const struct sip_hdr *h, const struct sip_msg *msg, void *arg)
{
    struct phone_voicemail *v = arg;
    const char *open = pl_strchr(&h->val, '<'), *close = pl_strchr(&h->val, '>');
    size_t n = open != NULL && close > open ? (size_t)(close - open) - 1 : 0;

    (void)msg;
    if (n == 0 || n >= CLI_WEB_URL_MAX)
        return false;
    memcpy(v->urls[v->n], open + 1, n);
    v->urls[v->n][n] = '\0';
    v->n += cli_web_is_url(v->urls[v->n]);
    return v->n == URLS_MAX || (v->n == 1 && !v->fetch);
}

static bool
take_urls(struct phone_voicemail *v, const struct sip_msg *msg)
{
    v->n = v->next = v->stay = 0;
    v->invite.challenges = 0;
    (void)sip_msg_hdr_apply(msg, true, SIP_HDR_CONTACT, take_url, v);
    return v->n > 0;
}

/* Whoever answers is no mailbox. */
static void
hang_up(struct phone_voicemail *v, const struct sip_msg *msg)
{
    struct phone_invite *i = &v->invite;

    if (sip_dialog_create(i->dialog, msg) != 0)
        return;
    phone_invite_ack(i, i->dialog, msg);
    phone_invite_bye(i, i->dialog);
}

static void
answered(int err, const struct sip_msg *msg, void *arg)
{
    const struct phone_invite *i = arg;
    struct phone_voicemail *v = i->of;
    char why[PHONE_WHY_MAX];

    if (err == 0 && msg->scode < 200)
        return;
    if (err != 0) {
        phone_invite_why(why, "cannot be reached: ", err, NULL);
        over(v, CLI_EXIT_UNREACHABLE, why);
        return;
    }
    if (phone_invite_challenged(&v->invite, msg)) {
        ask(v);
        return;
    }
    if (msg->scode / 100 == 2)
        hang_up(v, msg);
    if (msg->scode / 100 == 3 && take_urls(v, msg)) {
        if (v->fetch)
            phone_say("messages", "%zu", v->n);
        work(v);
        return;
    }
    if (v->fetch && v->n > 0 && msg->scode == 480) { /* asked again: that was all */
        over(v, v->code, NULL);
        return;
    }
    bool none = v->fetch && msg->scode == 480;
    phone_invite_why(why, "", 0, msg);
    size_t n = strlen(why);
    if (msg->scode == 401 || msg->scode == 407)
        snprintf(why + n, sizeof why - n, "; is that the password of --sip-password-file?");
    over(v, none ? CLI_EXIT_OK : CLI_EXIT_PEER, why);
}

static void
ask(struct phone_voicemail *v)
{
    struct phone_invite *i = &v->invite;

    if (phone_invite_send(i, &i->request, i->dialog, NULL, answered) != 0)
        over(v, CLI_EXIT_FAILURE, "no request can be sent");
}

static struct phone_voicemail *
begin(struct phone *p, const char *whose, bool fetch)
{
    struct phone_voicemail *v = calloc(1, sizeof *v);

    phone_voicemail_end(p);
    p->voicemail = v;
    if (v == NULL)
        return NULL;
    v->invite.of = v;
    v->phone = p;
    v->fetch = fetch;
    memccpy(v->to, whose, '\0', sizeof v->to - 1);
    return v;
}

static bool
begin_asking(struct phone_voicemail *v)
{
    const char *box = v->phone->o->value[PHONE_OPT_VOICEMAIL];

    if (!phone_invite_open(&v->invite, v->phone, v->to, v->to, box))
        return false;
    ask(v);
    return true;
}

/* --- what the phone sees ---------------------------------------------------------------------- */

/* Nobody is there, or nobody comes; no answer at all is one, too. What nobody could take, such as
 * 488, no message mends. */
static bool
is_missed(const struct sip_msg *msg)
{
    static const uint16_t codes[] = { 404, 408, 410, 480, 486, 487, 500, 503, 600, 603, 604 };

    for (size_t i = 0; msg != NULL && i < CLI_COUNT(codes); i++)
        if (msg->scode == codes[i])
            return true;
    return msg == NULL;
}

/* NULL: the mailbox is asked. */
static const char *
why_not(struct phone_voicemail *v, const struct sip_msg *msg)
{
    if (!is_missed(msg))
        return "the call was refused";
    if (v->phone->o->value[PHONE_OPT_VOICEMAIL] == NULL)
        return "no --voicemail is given";
    return begin_asking(v) ? NULL : "nothing can be sent to --voicemail";
}

void
phone_voicemail_missed(struct phone *p, const char *uri, const struct sip_msg *msg)
{
    const struct phone_options *o = p->o;
    char whose[PHONE_URI_MAX];
    struct phone_voicemail *v;
    struct pl all;

    if (o->value[PHONE_OPT_LEAVE_MESSAGE] == NULL)
        return;
    pl_set_str(&all, uri);
    phone_identity(whose, &all);
    v = begin(p, whose, false);
    bool told = v != NULL && msg != NULL && msg->scode / 100 == 3 && take_urls(v, msg);
    const char *why = v == NULL || told ? NULL : why_not(v, msg);
    if (why != NULL)
        phone_say("not-left", "%s", why);
    if (v == NULL || why != NULL)
        return; /* the call has ended as it has */
    tmr_cancel(&p->quit);
    phone_say("leaving", "a message for %s", whose);
    if (told)
        work(v);
}

static bool
is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool
phone_voicemail_fetch(struct phone *p, struct cli_error *err)
{
    const char *dir = p->o->value[PHONE_OPT_FETCH_MESSAGES];
    struct phone_voicemail *v = begin(p, p->client.file.identity, true);

    if (mkdir(dir, 0700) != 0 && (errno != EEXIST || !is_folder(dir)))
        return cli_fail(err, CLI_EXIT_FAILURE,
                        "--fetch-messages: %s is no folder, nor can it be made", dir);
    return (v != NULL && begin_asking(v)) ||
           cli_fail(err, CLI_EXIT_USAGE, "--voicemail %.80s: no request can be sent there",
                    p->o->value[PHONE_OPT_VOICEMAIL]);
}

bool
phone_voicemail_check(const struct phone_options *o, struct cli_error *err)
{
    const char *path = o->value[PHONE_OPT_LEAVE_MESSAGE];
    struct audio speech = { .octets = NULL };
    const char *why = path != NULL ? audio_read(&speech, path) : NULL;

    audio_free(&speech);
    return why == NULL || cli_fail(err, CLI_EXIT_USAGE, "--leave-message %s: %s", path, why);
}

void
phone_voicemail_end(struct phone *p)
{
    struct phone_voicemail *v = p->voicemail;

    p->voicemail = NULL;
    if (v == NULL)
        return;
    phone_invite_end(&v->invite);
    free(v);
}
