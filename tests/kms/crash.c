/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 at random moments, under load: is there, after each, everything that was acknowledged
 * before? Tickets are issued and resolved over UDP and HTTP while an operator works; the daemon,
 * and half of the time the operator's command with it, is killed in the midst; it is started again
 * and asked. Every eighth time it is killed once more while it starts.
 *
 *     kms-crash [KILLS] [USERS] [SEED]
 *
 * The moments come from the seed, which is printed. Prints TAP, and figures in its comments. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "hex.h"

#define LATEST_US 250000 /* a kill comes this long after the load is under way, at the latest */
#define KEPT_OF_ROUND 8  /* tickets of a round that are resolved again at the end */
#define READY_BAR_US 1000000

static struct crash world;

uint64_t
crash_random(struct crash *c, uint64_t n)
{
    uint64_t z = (c->random += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

void
crash_hold(struct crash *c, enum claim claim, bool holds, const char *fmt, ...)
{
    va_list ap;

    c->looked[claim]++;
    if (holds)
        return;
    if (++c->failed[claim] > 20)
        return;
    printf("# ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void *
crash_grow(void *p, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return p;
    *room = *room == 0 ? 1024 : 2 * *room;
    p = realloc(p, *room * size);
    if (p == NULL)
        abort();
    return p;
}

void
crash_ticket_name(struct mkt_grant *g, char name[NAME])
{
    struct mkt_span t = mkt_grant_ticket(g);

    kms_hex_write(name, t.p + t.n - 2 - MKT_TICKET_ID, MKT_TICKET_ID);
}

struct mkt_grant *
crash_request(struct crash *c, int fd, const struct rig_user *u, const char *to)
{
    static struct rig_ask ask;
    static uint8_t out[2 * MKT_MSG_MAX];
    struct mkt_io io;
    size_t n;
    int status;

    (void)c;
    rig_ask_free(&ask);
    rig_request(&ask, u, to, 0);
    status = rig_http_post(fd, "ticketrequest", mkt_span(ask.octets, ask.len), out, &n);
    return status == 200 ? rig_granted(&ask, mkt_span(out, n), &io) : NULL;
}

int
crash_resolve(struct crash *c, int fd, struct mkt_grant *g, const struct rig_user *from,
              const char *to)
{
    static struct rig_ask ask;
    static uint8_t out[2 * MKT_MSG_MAX];
    struct mkt_io io;
    bool authentic;
    int status, error_no;
    size_t n;

    rig_ask_free(&ask);
    rig_resolve(&ask, &c->bob, from, to, g);
    status = rig_http_post(fd, "ticketresolve", mkt_span(ask.octets, ask.len), out, &n);
    if (status != 200)
        return 99;
    error_no = rig_error_no(mkt_span(out, n), &authentic);
    if (error_no < 0 && !rig_resolved(&ask, mkt_span(out, n), &io))
        return 99;
    return error_no;
}

static void
rest(int64_t us)
{
    const struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

    nanosleep(&ts, NULL);
}

/* --- the store ----------------------------------------------------------------------------------
 */

static void
prepare(struct crash *c, unsigned users)
{
    rig_open(&c->rig, "workers: 2\nticket_types: [base, reference]\npolicy: policy.yaml\n"
                      "audit: {file_size: 1M}\n");
    rig_write(&c->rig, "policy.yaml", "rules:\n  - rule: put-0\n");
    rig_user_init(&c->bob, BOB, "bob", MKT_PRF_HMAC_SHA_256);
    rig_add(&c->rig, &c->bob);
    for (size_t i = 0; i < CLIENTS; i++) {
        snprintf(c->names[i], sizeof c->names[i], "sip:client%zu@example.com", i);
        rig_user_init(&c->clients[i], c->names[i], c->names[i] + 4,
                      i % 2 == 0 ? MKT_PRF_HMAC_SHA_256 : MKT_PRF_MIKEY_1);
        c->clients[i].ts_type = i == 5 ? MKT_TS_COUNTER : MKT_TS_NTP_UTC;
        c->clients[i].ahead_ms = i == 4 ? 5000 : i == 3 ? 50 : 0;
        rig_add(&c->rig, &c->clients[i]);
    }
    printf("# importing %u users\n", users);
    fflush(stdout);
    rig_crowd(&c->rig, users);
    c->tickets = calloc(TICKETS_MAX, sizeof *c->tickets);
    if (c->tickets == NULL)
        abort();
    crash_operator_new(c);
}

/* --- what is there after a crash ----------------------------------------------------------------
 */

struct audit {
    char *text;
    size_t n, room;
    unsigned segments[4096];
    size_t n_segments;
};

static int
by_value(const void *a, const void *b)
{
    return (int)*(const unsigned *)a - (int)*(const unsigned *)b;
}

static void
list_segments(struct crash *c, struct audit *a)
{
    char path[128];
    struct dirent *e;
    DIR *d;

    snprintf(path, sizeof path, "%s/audit", c->rig.dir);
    d = opendir(path);
    a->n_segments = 0;
    while (d != NULL && (e = readdir(d)) != NULL)
        if (strncmp(e->d_name, "audit-", 6) == 0 && a->n_segments < 4096)
            a->segments[a->n_segments++] = (unsigned)strtoul(e->d_name + 6, NULL, 10);
    closedir(d);
    qsort(a->segments, a->n_segments, sizeof *a->segments, by_value);
}

static void
read_audit(struct crash *c, struct audit *a)
{
    char name[64];

    a->n = 0;
    list_segments(c, a);
    for (size_t i = 0; i < a->n_segments; i++) {
        snprintf(name, sizeof name, "audit/audit-%06u.jsonl", a->segments[i]);
        if (a->room < a->n + (3 << 20)) {
            a->room = a->n + (6 << 20);
            a->text = realloc(a->text, a->room);
            if (a->text == NULL)
                abort();
        }
        a->n += rig_read(&c->rig, name, a->text + a->n, a->room - a->n);
    }
}

/* Complete segments, but for the last two, are put away, as an operator may, and in the end back.
 */
static void
move_segments(struct crash *c, const struct audit *a, bool back)
{
    static unsigned away[4096], n;
    char here[160], there[160];

    for (size_t i = 0; !back && i + 2 < a->n_segments; i++)
        away[n++] = a->segments[i];
    for (unsigned i = 0; i < n; i++) {
        snprintf(here, sizeof here, "%s/audit/audit-%06u.jsonl", c->rig.dir, away[i]);
        snprintf(there, sizeof there, "%s/away-%06u", c->rig.dir, away[i]);
        if (back)
            (void)rename(there, here);
        else
            (void)rename(here, there);
    }
}

/* The record of an issued ticket; NULL: none. */
static const char *
record_of(const struct audit *a, const char *name)
{
    char wanted[64];

    snprintf(wanted, sizeof wanted, "\"ticket\":\"%s\"", name);
    return a->n == 0 ? NULL : strstr(a->text, wanted);
}

static void
check_audit(struct crash *c, struct audit *a, bool all)
{
    const char *words[] = { "mikey-kmsctl",           "--config", "kms.yaml", "audit", "verify",
                            all ? NULL : "--partial", NULL };
    char said[1024];
    int code;

    if (all)
        move_segments(c, a, true);
    code = rig_run(&c->rig, words);
    rig_read(&c->rig, "out", said, sizeof said);
    crash_hold(c, AUDIT, code == 0, "audit verify: %s", said);
    read_audit(c, a);
    for (size_t i = c->first_new; i < c->n_tickets; i++)
        crash_hold(c, AUDIT, record_of(a, c->tickets[i].name) != NULL,
                   "the ticket %s is not in the audit", c->tickets[i].name);
}

/* The policy that was put in place last is the one that decides. */
static void
check_policy(struct crash *c, struct audit *a, int fd)
{
    struct mkt_grant *g = crash_request(c, fd, &c->clients[0], BOB);
    char name[NAME], rule[64];
    const char *record;

    crash_hold(c, CHANGES, g != NULL, "no ticket at all");
    if (g == NULL)
        return;
    crash_ticket_name(g, name);
    mkt_grant_free(g);
    read_audit(c, a);
    record = record_of(a, name);
    while (record != NULL && record > a->text && record[-1] != '\n')
        record--;
    snprintf(rule, sizeof rule, "\"rule\":\"put-%u\"", crash_operator_policy(c));
    crash_hold(c, CHANGES,
               record != NULL && memmem(record, strcspn(record, "\n"), rule, strlen(rule)) != NULL,
               "the policy put-%u was put in place", crash_operator_policy(c));
}

static void
check_tickets(struct crash *c, int fd, bool all)
{
    for (size_t i = all ? 0 : c->first_new; i < c->n_tickets; i++) {
        struct ticket *t = &c->tickets[i];

        if (t->grant == NULL || t->revoked)
            continue;
        crash_hold(c, TICKETS, crash_resolve(c, fd, t->grant, t->from, BOB) == -1,
                   "the ticket %s of %s is not resolved", t->name, t->from->identity);
        if (i >= c->first_new + KEPT_OF_ROUND && !all) {
            mkt_grant_free(t->grant);
            t->grant = NULL;
        }
    }
}

static void
judge(struct crash *c, struct audit *a, bool all)
{
    int fd;

    check_audit(c, a, all);
    crash_replay(c);
    fd = rig_http_connect(&c->rig);
    rig_counter += 100; /* what was reserved in advance is lost */
    check_tickets(c, fd, all);
    crash_operator_check(c, fd, all);
    check_policy(c, a, fd);
    close(fd);
    if (!all)
        move_segments(c, a, false);
}

/* --- kills --------------------------------------------------------------------------------------
 */

struct moment {
    struct crash *c;
    atomic_bool under_way;
    bool command_too;
};

static void *
kill_at(void *arg)
{
    struct moment *m = arg;

    while (!atomic_load(&m->under_way))
        rest(500);
    rest(m->c->kill_after_us);
    kill(m->c->rig.pid, SIGKILL);
    if (m->command_too)
        crash_operator_kill(m->c);
    atomic_store(&m->c->killed, true);
    return NULL;
}

static void
load_and_kill(struct crash *c)
{
    struct moment m = { .c = c, .command_too = crash_random(c, 2) == 0 };
    pthread_t killer;

    atomic_store(&c->killed, false);
    c->kill_after_us = (int64_t)crash_random(c, LATEST_US);
    crash_operator_begin(c);
    if (pthread_create(&killer, NULL, kill_at, &m) != 0)
        abort();
    crash_load(c, &m.under_way);
    pthread_join(killer, NULL);
    rig_kill(&c->rig);
    crash_operator_end(c);
}

/* Killed before it is ready, or just then. */
static void
kill_while_it_starts(struct crash *c, int64_t usual_us)
{
    static const char *const words[] = { "mikey-kmsd", "--config", "kms.yaml", NULL };
    pid_t pid = rig_spawn(&c->rig, words);

    rest((int64_t)crash_random(c, (uint64_t)usual_us + 1));
    kill(pid, SIGKILL);
    (void)rig_reap(pid);
}

static void
show(unsigned done, unsigned all, bool on)
{
    if (!on)
        return;
    fprintf(stderr, "\r[%-40.*s] %u of %u", (int)(40 * done / all),
            "########################################", done, all);
    if (done == all)
        fputc('\n', stderr);
}

/* Of a machine that does other work as well, the processor time is what counts. */
static void
judge_start(struct crash *c, unsigned kills, int64_t *ready_us, int64_t *cpu_us)
{
    double load = 0;
    bool busy = getloadavg(&load, 1) == 1 && load > (double)sysconf(_SC_NPROCESSORS_ONLN);
    unsigned half = kills / 2, most = kills - 1 - kills / 20;

    qsort(ready_us, kills, sizeof *ready_us, rig_by_time);
    qsort(cpu_us, kills, sizeof *cpu_us, rig_by_time);
    printf("# ready again after %.3f s (fastest), %.3f s (median), %.3f s (19 of 20), %.3f s "
           "(slowest); of processor time %.3f s (median); load of the machine %.1f\n",
           (double)ready_us[0] / 1e6, (double)ready_us[half] / 1e6, (double)ready_us[most] / 1e6,
           (double)ready_us[kills - 1] / 1e6, (double)cpu_us[half] / 1e6, load);
    crash_hold(c, READY, (busy ? cpu_us : ready_us)[half] < READY_BAR_US,
               "the median is above a second");
}

static int
conclude(struct crash *c, unsigned kills, unsigned users, int64_t *ready_us, int64_t *cpu_us)
{
    static const char *const sentences[CLAIMS] = {
        "every ticket that was issued before a crash is resolved after it",
        "every change that was acknowledged is there after a crash",
        "no message is taken a second time after a crash",
        "the audit is whole after a crash and has every ticket",
        "the daemon is ready again within a second, on a busy machine of processor time",
    };
    unsigned long acknowledged, cut_off, failed = 0;

    crash_operator_free(c, &acknowledged, &cut_off);
    printf("# %u kills, %u users: %lu tickets issued and %lu resolved under load, %lu changes "
           "acknowledged, %lu cut off\n",
           kills, users, c->issued, c->resolved, acknowledged, cut_off);
    printf("# looked at: %lu tickets, %lu changes, %lu messages sent again, %lu audits and their "
           "records\n",
           c->looked[TICKETS], c->looked[CHANGES], c->looked[REPLAYS], c->looked[AUDIT]);
    judge_start(c, kills, ready_us, cpu_us);
    printf("1..%d\n", CLAIMS);
    for (int i = 0; i < CLAIMS; i++) {
        bool ok = c->failed[i] == 0 && c->looked[i] > 0;

        printf("%sok %d - %s\n", ok ? "" : "not ", i + 1, sentences[i]);
        failed += !ok;
    }
    return failed == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    unsigned kills = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    unsigned users = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000000;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
    int64_t *ready_us = calloc(kills + 1, sizeof *ready_us);
    int64_t *cpu_us = calloc(kills + 1, sizeof *cpu_us);
    bool bar = isatty(STDERR_FILENO) != 0;
    struct audit audit = { 0 };
    int code;

    if (kills == 0 || ready_us == NULL || cpu_us == NULL) {
        fputs("usage: kms-crash [KILLS] [USERS] [SEED]\n", stderr);
        return 2;
    }
    printf("# kms-crash %u %u %llu\n", kills, users, (unsigned long long)seed);
    fflush(stdout);
    world.random = seed;
    prepare(&world, users);
    rig_start(&world.rig);
    for (unsigned i = 0; i < kills; i++) {
        int64_t began;

        load_and_kill(&world);
        if (i % 8 == 7)
            kill_while_it_starts(&world, ready_us[i - 1]);
        began = rig_steady_us();
        rig_start(&world.rig);
        ready_us[i] = rig_steady_us() - began;
        cpu_us[i] = (int64_t)rig_cpu_us(&world.rig);
        judge(&world, &audit, i + 1 == kills);
        show(i + 1, kills, bar);
    }
    crash_hold(&world, AUDIT, rig_stop(&world.rig) == 0, "the last one does not stop in order");
    code = conclude(&world, kills, users, ready_us, cpu_us);
    for (size_t i = 0; i < world.n_tickets; i++)
        mkt_grant_free(world.tickets[i].grant);
    rig_close(&world.rig);
    free(world.tickets);
    free(world.sent);
    free(world.octets);
    free(audit.text);
    free(ready_us);
    free(cpu_us);
    return code;
}
