/* SPDX-License-Identifier: Apache-2.0 */
/* What calls of both directions share, and the words on the screen. */
#include "clock.h"
#include "report.h"
#include "status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Much of what is said comes from the network, and goes to a terminal. */
void
phone_say(const char *key, const char *format, ...)
{
    char text[CLI_IDENTITY_TEXT];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    if (phone_screen_take(key, text))
        return;
    printf("%s: %s\n", key, text);
    fflush(stdout);
}

void
phone_identity(char out[PHONE_URI_MAX], const struct pl *uri)
{
    size_t n = 0;

    while (n < uri->l && n + 1 < PHONE_URI_MAX && strchr(";?>", uri->p[n]) == NULL)
        n++;
    memcpy(out, uri->p, n);
    out[n] = '\0';
}

void
phone_expect_home(struct phone *p)
{
    const char *proxy = p->o->value[PHONE_OPT_PROXY];
    phone_tls_expect(p->tls, proxy != NULL ? proxy : p->client.file.identity);
}

int
phone_auth(char **user, char **password, const char *realm, void *phone)
{
    struct phone *p = phone;
    const char *name = p->o->value[PHONE_OPT_SIP_USER];

    (void)realm;
    if (p->password[0] == '\0')
        return ENOENT;
    int err = str_dup(user, name != NULL ? name : p->user);
    return err != 0 ? err : str_dup(password, p->password);
}

/* --- a call ----------------------------------------------------------------------------------- */

#define WATCH_MS 500    /* between looks at whether anything is heard */
#define SILENT_MS 10000 /* when the user is told that it is not */

static void
end_call(void *arg)
{
    struct phone_call *call = arg;
    call->end(call);
}

static void
played(void *arg)
{
    struct phone_call *call = arg;

    if (call->phone->o->hang_up_played)
        tmr_start(&call->timer, 0, end_call, call); /* after the packet that is under way */
}

/* The call ends for a reason of its own: the first one counts. */
static void
end_because(struct phone_call *call, enum cli_exit fault)
{
    call->fault = fault;
    tmr_start(&call->timer, 0, end_call, call);
}

/* A call in which one side is not there is no call: it does not go on in silence. */
static void
device_failed(enum audio_side side, const char *why, void *arg)
{
    struct phone_call *call = arg;
    enum phone_option id = side == AUDIO_MIC ? PHONE_OPT_MIC : PHONE_OPT_SPEAKER;

    snprintf(call->trouble, sizeof call->trouble, "the %s %.80s does not work: %s",
             side == AUDIO_MIC ? "microphone" : "loudspeaker", call->phone->o->value[id], why);
    end_because(call, CLI_EXIT_FAILURE);
}

/* A BYE may be lost, and who is gone sends none: without an end of its own the call would keep the
 * phone busy for ever. On hold nobody has to say anything. */
static void
watch(void *arg)
{
    struct phone_call *call = arg;
    uint64_t n = phone_stream_authentic(call->stream);
    uint32_t gone_ms = call->phone->o->gone_ms;
    bool silent = n == call->authentic && !call->held && !call->held_by_other;

    call->authentic = n;
    call->silent_ms = silent ? call->silent_ms + WATCH_MS : 0;
    if (call->silent_ms == SILENT_MS)
        phone_say("silent", "nothing is heard of the other party");
    if (gone_ms > 0 && call->silent_ms >= gone_ms) {
        snprintf(call->trouble, sizeof call->trouble,
                 "nothing was heard of the other party for %u.%u seconds", gone_ms / 1000,
                 gone_ms % 1000 / 100);
        end_because(call, CLI_EXIT_PEER);
        return;
    }
    tmr_start(&call->watch, WATCH_MS, watch, call);
}

bool
phone_call_open(struct phone_call *call, struct phone *p)
{
    *call = (struct phone_call){ .phone = p };
    tmr_init(&call->timer);
    tmr_init(&call->too_old);
    tmr_init(&call->watch);
    if (phone_media_open(&call->media, &p->local, &p->speech, played, call) == 0) {
        phone_media_devices(call->media, p->o->value[PHONE_OPT_MIC], p->o->value[PHONE_OPT_SPEAKER],
                            device_failed);
        return true;
    }
    phone_media_close(call->media);
    return false;
}

static void
say_policy(const struct mkt_csb *csb)
{
    const struct mkt_policy *policy = mkt_csb_policy(csb);
    char letters[13], text[CLI_TIME_TEXT] = "any time";

    mkt_policy_flags_format(policy->flags, letters);
    if (policy->end.has)
        cli_clock_format(policy->end.value, text);
    phone_say("ticket", "flags %s, valid until %s", letters, text);
}

static void
keys_too_old(void *arg)
{
    struct phone_call *call = arg;

    phone_say("rekey-by", "is over, and there are no new keys");
    call->end(call);
}

void
phone_call_held(struct phone_call *call, struct phone_description *d, bool held)
{
    if (call->held == held)
        return;
    call->held = held;
    sdp_media_set_ldir(d->audio, held ? SDP_SENDONLY : SDP_SENDRECV);
    phone_media_pause(call->media, held || call->held_by_other);
    phone_say(held ? "held" : "resumed", "by us");
}

void
phone_call_directed(struct phone_call *call, const struct phone_description *d)
{
    bool held = (sdp_media_rdir(d->audio) & SDP_SENDONLY) == 0; /* seen from here */

    if (held != call->held_by_other)
        phone_say(held ? "held" : "resumed", "by the other party");
    call->held_by_other = held;
    phone_stream_aim(call->stream, sdp_media_raddr(d->audio));
    phone_media_pause(call->media, held || call->held);
}

void
phone_call_limit(struct phone_call *call, uint64_t packets)
{
    if (packets == 0 || packets > UINT32_MAX) { /* two years of speech */
        phone_say("rekey-by", "never");
        return;
    }
    phone_say("rekey-by", "packet %llu", (unsigned long long)packets);
    tmr_start(&call->too_old, packets * PHONE_FRAME_MS, keys_too_old, call);
}

uint64_t
phone_call_say_rekey(struct phone_call *call, const struct mkt_csb *csb)
{
    uint64_t by = mkt_csb_rekey_by(csb), now = cli_clock_ntp();
    char text[CLI_TIME_TEXT];

    tmr_cancel(&call->too_old);
    if (by == UINT64_MAX) {
        phone_say("rekey-by", "never");
        return UINT64_MAX;
    }
    cli_clock_format(by, text);
    phone_say("rekey-by", "%s", text);
    uint64_t ms = by > now ? ((by - now) >> 16) * 1000 >> 16 : 0;
    tmr_start(&call->too_old, ms, keys_too_old, call);
    return ms;
}

/* What was called when that is not who answers: a group, or another name of the same. */
static bool
was_called_as(const struct phone *p, const struct mkt_csb *csb, char text[CLI_IDENTITY_TEXT])
{
    const struct mkt_policy *policy = mkt_csb_policy(csb);
    struct mkt_identity called = policy->responders[0], answers = mkt_csb_peer(csb);

    if (!mkt_csb_is_initiator(csb))
        answers = mkt_uri(p->client.file.identity);
    if (policy->n_responders != 1 || mkt_identity_equal(called, answers))
        return false;
    cli_identity_text(called, text);
    return true;
}

/* Keys that fork prove who has answered; others are those of everybody who may (RFC 6043 12.4). */
static void
say_peer(const struct phone *p, const struct mkt_csb *csb)
{
    const struct mkt_policy *policy = mkt_csb_policy(csb);
    char text[CLI_IDENTITY_TEXT];

    cli_identity_text(mkt_csb_peer(csb), text);
    phone_say("peer", "%s", text);
    if (was_called_as(p, csb, text))
        phone_say(mkt_csb_is_initiator(csb) ? "for" : "called", "%s", text);
    cli_identity_text(policy->kms, text);
    if (mkt_csb_peer_is_vouched(csb))
        phone_say("vouched-for", "by %s", text);
    else
        phone_say("vouched-for", "no: any who may open the ticket");
}

static void
say_suite(const struct mkt_csb *csb)
{
    struct mkt_session s;

    if (mkt_csb_session(csb, 0, &s) == MKT_OK)
        phone_say("suite", "%s", cli_srtp_name(s.params));
}

void
phone_call_say_ticket(const struct mkt_csb *csb)
{
    say_policy(csb);
    say_suite(csb);
}

void
phone_call_say_keys(const struct phone *p, const struct mkt_csb *csb)
{
    phone_say("keying", "MIKEY-TICKET");
    say_peer(p, csb);
    phone_call_say_ticket(csb);
}

bool
phone_call_keyed(struct phone_call *call, const struct mkt_csb *csb, uint8_t first,
                 struct phone_stream **stream, struct cli_error *err)
{
    uint8_t ours = mkt_csb_is_initiator(csb) ? 0 : 1;
    struct mkt_err why = { 0 };

    if (phone_stream_open(stream, call->media, csb, (uint8_t)(first + ours),
                          (uint8_t)(first + 1 - ours), call->phone->client.crypto, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_PEER, "no media with these keys", &why);
    phone_call_say_keys(call->phone, csb);
    return true;
}

bool
phone_call_speak(struct phone_stream *stream, const struct phone_agreed *agreed,
                 struct cli_error *err)
{
    if (!phone_stream_speak(stream, agreed))
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    phone_say("codec", "%s", agreed->codec->name);
    return true;
}

void
phone_call_talk(struct phone_call *call, struct phone_stream *stream, const struct sa *to,
                const struct mkt_csb *csb, const char *sdes_suite)
{
    uint32_t ms = call->phone->o->hang_up_ms;

    call->stream = stream;
    call->csb = csb;
    call->sdes_suite = sdes_suite;
    call->since = tmr_jiffies();
    if (ms != UINT32_MAX)
        tmr_start(&call->timer, ms, end_call, call);
    tmr_start(&call->watch, WATCH_MS, watch, call);
    phone_stream_start(stream, to);
}

/* What became of it at the other end. */
static void
say_reported(const struct phone_stream *stream)
{
    struct phone_reported r = phone_stream_reported(stream);

    if (r.has)
        phone_say("reported", "%u lost, %u ms of jitter, %u ms there and back", r.lost, r.jitter_ms,
                  r.round_trip_ms);
}

/* False: what was heard could not be kept. */
static bool
report_media(const struct phone_call *call)
{
    const char *path = call->phone->o->value[PHONE_OPT_RECORD];
    struct phone_counts n;

    if (call->stream == NULL)
        return true;
    n = phone_stream_counts(call->stream);
    phone_say("media", "%llu sent, %llu heard, %llu lost, %llu refused", (unsigned long long)n.sent,
              (unsigned long long)n.heard, (unsigned long long)n.lost,
              (unsigned long long)n.refused);
    say_reported(call->stream);
    if (path == NULL)
        return true;
    struct audio heard = phone_stream_heard(call->stream);
    const char *why = audio_write(&heard, path);
    if (why != NULL)
        phone_say("not-recorded", "%s: %s", path, why);
    return why == NULL;
}

#define LAST_MS 300   /* for the last messages */
#define AWAIT_MS 2000 /* and for those of phones that a CANCEL may have come too late to */

static void
quit(void *arg)
{
    (void)arg;
    re_cancel();
}

static void
call_again(void *arg)
{
    struct phone *p = arg;
    struct cli_error err = { 0 };

    if (phone_call_make(p, p->o->callee, &err))
        return;
    phone_say("ended", "%s", err.text);
    p->code = err.code;
    re_cancel();
}

void
phone_quit_soon(struct phone *p)
{
    tmr_start(&p->quit, phone_caller_awaits(p) ? AWAIT_MS : LAST_MS, quit, p);
}

/* What comes after a call: the next one, the end, which leaves time for the last messages, or
 * nothing. */
static void
go_on(struct phone *p)
{
    if (!p->leaving && p->o->callee != NULL && p->code == CLI_EXIT_OK && ++p->made < p->o->repeat)
        tmr_start(&p->quit, 0, call_again, p);
    else if (p->leaving || p->o->callee != NULL || p->o->value[PHONE_OPT_ONCE] != NULL)
        phone_quit_soon(p);
}

void
phone_call_over(struct phone_call *call, enum cli_exit code, const char *why)
{
    struct phone *p = call->phone;

    if (call->trouble[0] != '\0') {
        why = call->trouble;
        code = call->fault;
    }
    phone_say("ended", "%s", why);
    if (!report_media(call) && code == CLI_EXIT_OK)
        code = CLI_EXIT_FAILURE;
    p->call = NULL;
    p->code = code;
    tmr_cancel(&call->timer);
    tmr_cancel(&call->too_old);
    tmr_cancel(&call->watch);
    phone_media_close(call->media);
    call->free(call);
    go_on(p);
}
