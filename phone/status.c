/* SPDX-License-Identifier: Apache-2.0 */
/* The state of the call as rows of text, made anew each time from what is in use: keys that were
 * replaced show at once. The screen is plain ANSI: home, rows, each cut to the width. */
#include "status.h"

#include "clock.h"
#include "explain.h"
#include "report.h"
#include "srtp_suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS 20
#define ROW_MAX 160
#define EVENTS 12
#define DRAW_MS 500
#define WIDTH 80 /* of a terminal that does not say, or is smaller than any is */
#define HEIGHT 24
#define LEAST 12
#define BESIDES 4 /* rows of neither: the keys with what is around them, and the last one */
#define EVENTS_LEAST 4

struct rows {
    size_t n;
    char row[ROWS][ROW_MAX];
};

static void __attribute__((format(printf, 3, 4)))
add(struct rows *r, const char *key, const char *format, ...)
{
    char text[ROW_MAX];
    va_list args;

    if (r->n == ROWS)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(r->row[r->n++], ROW_MAX, "%-14s%.*s", key, ROW_MAX - 15, text);
}

/* --- what there is ---------------------------------------------------------------------------- */

static void
add_identity(struct rows *r, const char *key, struct mkt_identity id)
{
    char text[CLI_IDENTITY_TEXT];

    cli_identity_text(id, text);
    add(r, key, "%s", text);
}

/* As `mikey-ticket explain` puts it. */
static void
add_policy(struct rows *r, const struct mkt_policy *policy)
{
    struct cli_consequence c;
    char until[CLI_TIME_TEXT] = "any time";

    if (policy->end.has)
        cli_clock_format(policy->end.value, until);
    add(r, "ticket", "valid until %s", until);
    for (size_t i = 0; cli_explain_next(&i, policy->flags, &c);)
        add(r, c.key, "%s", c.words);
}

static void
add_rekey(struct rows *r, uint64_t by)
{
    uint64_t now = cli_clock_ntp();
    char left[CLI_SPAN_TEXT];

    if (by == UINT64_MAX) {
        add(r, "rekey", "never");
        return;
    }
    cli_explain_seconds(by > now ? (by - now) >> 32 : 0, left);
    add(r, "rekey", "in %s at the latest", left);
}

/* Who calls a group has as many peers as are there. */
static void
add_parties(struct rows *r, const struct mkt_csb *csb, const struct phone_look *group)
{
    const struct mkt_policy *policy = mkt_csb_policy(csb);

    if (group == NULL || !mkt_csb_is_initiator(csb))
        add_identity(r, "peer", mkt_csb_peer(csb));
    if (mkt_csb_peer_is_vouched(csb))
        add_identity(r, "vouched by", policy->kms);
    else
        add(r, "vouched by", "nobody: any who may open the ticket");
    if (policy->n_responders == 1)
        add_identity(r, group != NULL ? "group" : "called", policy->responders[0]);
    if (group != NULL)
        add(r, "there", "%zu: %s", group->n, group->names);
}

static void
add_ticket(struct rows *r, const struct mkt_csb *csb, const struct phone_look *group)
{
    const struct mkt_policy *policy = mkt_csb_policy(csb);
    struct mkt_session s;

    add(r, "keying", "MIKEY-TICKET");
    add_parties(r, csb, group);
    if (mkt_csb_session(csb, 0, &s) == MKT_OK)
        add(r, "suite", "%s", cli_srtp_name(s.params));
    add_rekey(r, mkt_csb_rekey_by(csb));
    add_policy(r, policy);
}

static void
add_call(struct rows *r, const struct phone_call *call, struct phone_counts n)
{
    uint64_t s = (tmr_jiffies() - call->since) / 1000;

    add(r, "call", "%llu:%02llu%s%s", (unsigned long long)(s / 60), (unsigned long long)(s % 60),
        call->held ? ", held by us" : "", call->held_by_other ? ", held by the other party" : "");
    add(r, "packets", "%llu sent, %llu heard, %llu lost, %llu refused", (unsigned long long)n.sent,
        (unsigned long long)n.heard, (unsigned long long)n.lost, (unsigned long long)n.refused);
}

static void
fill(struct rows *r, const struct phone *p)
{
    const struct phone_call *call = p->call;
    struct phone_look group = { .csb = NULL };

    r->n = 0;
    if (call != NULL && call->look != NULL)
        call->look(call, &group);
    if (group.csb != NULL) {
        add_call(r, call, group.counts);
        add_ticket(r, group.csb, &group);
        return;
    }
    if (call == NULL || call->stream == NULL) {
        add(r, "call", call == NULL ? "none" : "not answered yet");
        return;
    }
    add_call(r, call, phone_stream_counts(call->stream));
    if (call->csb != NULL) {
        add_ticket(r, call->csb, NULL);
        return;
    }
    add(r, "keying", "SDES: whoever has seen the signalling can listen");
    add(r, "peer", "not known");
    add(r, "vouched by", "nobody");
    add(r, "suite", "%s", call->sdes_suite);
}

void
phone_status_say(const struct phone *p)
{
    struct rows r;

    fill(&r, p);
    for (size_t i = 0; i < r.n; i++)
        phone_say("status", "%s", r.row[i]);
}

/* --- the screen ------------------------------------------------------------------------------- */

static struct {
    const struct phone *phone; /* NULL: no screen */
    struct tmr tick;
    size_t n; /* events in all */
    char event[EVENTS][ROW_MAX];
} screen;

struct size {
    int cols;
    size_t rows;
};

static struct size
size(void)
{
    struct winsize w;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > LEAST;

    return known ? (struct size){ w.ws_col, w.ws_row } : (struct size){ WIDTH, HEIGHT };
}

static size_t
lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Nothing scrolls: the last events have a place, then the state, then more events. */
static void
draw(void *arg)
{
    struct rows r;
    struct size s = size();
    size_t room = s.rows - BESIDES;

    (void)arg;
    fill(&r, screen.phone);
    size_t state = lesser(r.n, room - lesser(screen.n, EVENTS_LEAST));
    size_t events = lesser(lesser(screen.n, EVENTS), room - state);
    printf("\033[H\033[J"); /* home, and nothing below */
    for (size_t i = 0; i < state; i++)
        printf("%.*s\n", s.cols, r.row[i]);
    printf("\na answers  r refuses  o holds  k new keys  h hangs up  q quits\n\n");
    for (size_t i = screen.n - events; i < screen.n; i++)
        printf("%.*s\n", s.cols, screen.event[i % EVENTS]);
    fflush(stdout);
    tmr_start(&screen.tick, DRAW_MS, draw, NULL);
}

bool
phone_screen_open(const struct phone *p, struct cli_error *err)
{
    if (p->o->value[PHONE_OPT_SCREEN] == NULL)
        return true;
    if (!isatty(STDOUT_FILENO))
        return cli_fail(err, CLI_EXIT_USAGE, "--screen: standard output is no terminal");
    screen.phone = p;
    tmr_init(&screen.tick);
    draw(NULL);
    return true;
}

void
phone_screen_close(void)
{
    if (screen.phone == NULL)
        return;
    draw(NULL);
    tmr_cancel(&screen.tick);
    screen.phone = NULL;
}

bool
phone_screen_take(const char *key, const char *text)
{
    if (screen.phone == NULL)
        return false;
    snprintf(screen.event[screen.n++ % EVENTS], ROW_MAX, "%s: %.*s", key, ROW_MAX - 40, text);
    tmr_start(&screen.tick, 0, draw, NULL);
    return true;
}
