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
#define WIDTH 80 /* of a terminal that does not say */
#define HEIGHT 24
#define EVENTS_LEAST 4
#define KEY 14    /* columns of what a row is about */
#define IN_FULL 8 /* rows that are not cut: from the call to when it rekeys */

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
    snprintf(r->row[r->n++], ROW_MAX, "%-*s%.*s", KEY, key, ROW_MAX - KEY - 1, text);
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

static const char key_line[] =
    "a answers  r refuses  o holds  k new keys  h hangs up  q quits  (+ Enter)";

static struct {
    const struct phone *phone; /* NULL: no screen */
    struct tmr tick;
    size_t n; /* events in all */
    char event[EVENTS][ROW_MAX];
} screen;

struct size {
    size_t cols, rows;
};

static struct size
size(void)
{
    struct winsize w;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0;

    return known ? (struct size){ w.ws_col, w.ws_row } : (struct size){ WIDTH, HEIGHT };
}

static size_t
lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How much of text goes into one line: whole words, if any. */
static size_t
fitting(const char *text, size_t cols)
{
    size_t n = strlen(text);

    if (n <= cols)
        return n;
    const char *blank = memrchr(text, ' ', cols + 1);
    return blank != NULL && blank > text ? (size_t)(blank - text) : cols;
}

/* In `lines` lines at most, each but the first behind `indent` spaces. Returns how many there are.
 */
static size_t
print_lines(const char *text, size_t cols, size_t lines, size_t indent)
{
    size_t used = 0, n;

    for (size_t at = 0; used < lines && (used == 0 || *text != '\0'); used++) {
        n = fitting(text, cols - at);
        printf("%*s%.*s\n", (int)at, "", (int)n, text);
        text += n;
        text += strspn(text, " ");
        at = indent < cols / 2 ? indent : 0;
    }
    return used;
}

static size_t
count_lines(const char *text, size_t cols)
{
    size_t n = 0;

    for (; *text != '\0'; n++) {
        text += fitting(text, cols);
        text += strspn(text, " ");
    }
    return n;
}

/* Where there is no room for columns, one space parts what a row is about from the rest. */
static void
set_row(char out[ROW_MAX], const char *row, size_t cols)
{
    size_t n = KEY;

    while (cols < 2 * KEY && n > 0 && row[n - 1] == ' ')
        n--;
    snprintf(out, ROW_MAX, "%.*s%s%s", (int)n, row, n < KEY ? " " : "", row + KEY);
}

/* The first rows are what matters most: they are there in full. */
static size_t
print_state(const struct rows *r, size_t cols, size_t room)
{
    size_t used = 0;

    for (size_t i = 0; i < r->n && used < room; i++) {
        char row[ROW_MAX];
        set_row(row, r->row[i], cols);
        if (i < IN_FULL) {
            used += print_lines(row, cols, room - used, KEY);
            continue;
        }
        printf("%.*s\n", (int)cols, row);
        used++;
    }
    return used;
}

/* Nothing scrolls: the last events have a place, then the state, then more events. */
static void
draw(void *arg)
{
    struct rows r;
    struct size s = size();
    size_t room = s.rows - 1; /* the last row stays empty */
    size_t keys = count_lines(key_line, s.cols) + 2;

    (void)arg;
    fill(&r, screen.phone);
    if (keys * 2 > room)
        keys = 0;
    room -= keys;
    printf("\033[H\033[J"); /* home, and nothing below */
    room -= print_state(&r, s.cols, room - lesser(lesser(screen.n, EVENTS_LEAST), room / 4));
    if (keys > 0) {
        printf("\n");
        (void)print_lines(key_line, s.cols, keys - 2, 0);
        printf("\n");
    }
    size_t events = lesser(lesser(screen.n, EVENTS), room);
    for (size_t i = screen.n - events; i < screen.n; i++)
        printf("%.*s\n", (int)s.cols, screen.event[i % EVENTS]);
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
