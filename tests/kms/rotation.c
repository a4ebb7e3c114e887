/* SPDX-License-Identifier: Apache-2.0 */
/* All keys of a store are sealed anew while the daemon serves: how long that takes, and what those
 * who ask for tickets notice; and it is killed at random moments and goes on. One client asks for
 * base tickets, which never touch the store, and one for reference tickets, which wait for the
 * writer's turn.
 *
 *     kms-rotation [USERS] [KILLS]
 *
 * Prints TAP, and figures in its comments. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define ASKED_MAX (1u << 20)
#define QUIET_US 500000
#define KEY_BAR_US 40 /* of processor time for each key */
#define KEY_BAR_FROM 10000

enum kind { BASE, REFERENCE, KINDS };
static const char *const kind_names[KINDS] = { "base", "reference" };

/* What one client saw; in memory that it shares with us. */
struct seen {
    atomic_bool over;
    unsigned n, refused;
    int64_t took_us[ASKED_MAX];
};

struct clients {
    struct seen *seen[KINDS];
    pid_t pid[KINDS];
};

static struct rig rig;
static struct rig_user alice, bob;
static unsigned failed, judged;

static void
judge(bool ok, const char *sentence)
{
    printf("%sok %u - %s\n", ok ? "" : "not ", ++judged, sentence);
    fflush(stdout);
    failed += !ok;
}

/* --- clients ------------------------------------------------------------------------------------
 */

static bool
ask(int fd, enum kind kind)
{
    static struct rig_ask a;
    static uint8_t out[2 * MKT_MSG_MAX];
    struct mkt_policy want;
    struct mkt_grant *g;
    struct mkt_io io;
    size_t n = 0;

    rig_want(&want, &alice, bob.identity, 0);
    if (kind == REFERENCE)
        want.ticket_type = MKT_TICKET_TYPE_REFERENCE;
    rig_request_want(&a, &alice, &want, 0);
    if (rig_http_post(fd, "ticketrequest", mkt_span(a.octets, a.len), out, &n) != 200)
        n = 0;
    g = rig_granted(&a, mkt_span(out, n), &io);
    rig_ask_free(&a);
    mkt_grant_free(g);
    return g != NULL;
}

/* Tickets one after the other, each as soon as the one before is there. */
static void
be_client(struct seen *s, enum kind kind)
{
    int fd = rig_http_connect(&rig);

    while (!atomic_load(&s->over) && s->n < ASKED_MAX) {
        int64_t began = rig_steady_us();

        s->refused += !ask(fd, kind);
        s->took_us[s->n++] = rig_steady_us() - began;
    }
    close(fd);
}

static void
begin(struct clients *c)
{
    for (int i = 0; i < KINDS; i++) {
        c->seen[i] = mmap(NULL, sizeof *c->seen[i], PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (c->seen[i] == MAP_FAILED)
            abort();
        fflush(stdout);
        c->pid[i] = fork();
        if (c->pid[i] == 0) {
            be_client(c->seen[i], (enum kind)i);
            _exit(0);
        }
    }
}

/* How long so many of a hundred took at most. */
static double
share_ms(const struct seen *s, size_t of_hundred)
{
    size_t at = (s->n - 1) * of_hundred / 100;

    return (double)s->took_us[at] / 1e3;
}

/* Whether everything was granted that they asked for. */
static bool
end(struct clients *c, const char *when)
{
    bool granted = true;

    for (int i = 0; i < KINDS; i++) {
        struct seen *s = c->seen[i];

        atomic_store(&s->over, true);
        (void)rig_reap(c->pid[i]);
        qsort(s->took_us, s->n, sizeof *s->took_us, rig_by_time);
        granted = granted && s->n > 0 && s->refused == 0;
        if (s->n > 0)
            printf("# %s: %u %s tickets, %u refused; median %.2f ms, 99 %% %.2f ms, most %.2f ms\n",
                   when, s->n, kind_names[i], s->refused, share_ms(s, 50), share_ms(s, 99),
                   share_ms(s, 100));
        munmap(s, sizeof *s);
    }
    return granted;
}

/* --- the operator -------------------------------------------------------------------------------
 */

static pid_t
kek(const char *what)
{
    const char *const words[] = { "mikey-kmsctl", "--config", "kms.yaml", "kek",
                                  "rotate",       "--quiet",  what,       NULL };

    return rig_spawn(&rig, words);
}

/* How many keys are under a former generation of the store key. */
static unsigned long
former(void)
{
    char text[4096];
    const char *at;

    if (RIG_RUN(&rig, "mikey-kmsctl", "--config", "kms.yaml", "kek", "status", "--json") != 0)
        abort();
    rig_read(&rig, "out", text, sizeof text);
    at = strstr(text, "\"under-former\": ");
    return at == NULL ? 0 : strtoul(at + 16, NULL, 10);
}

/* Kills a rotation, and then what completes it, each at some moment; no key that was taken over is
 * lost again. */
static bool
killed_goes_on(unsigned kills, int64_t whole_us)
{
    unsigned long left = 0, before = 0;
    bool ok = true;

    srandom(1);
    for (unsigned i = 0; ok && i < kills; i++) {
        pid_t pid = kek(i == 0 ? NULL : "--finish");

        usleep((useconds_t)(20000 + random() % (whole_us / kills + 1)));
        kill(pid, SIGKILL);
        (void)rig_reap(pid);
        left = former();
        ok = i == 0 || left <= before;
        printf("# killed: %lu keys left\n", left);
        before = left;
    }
    return ok && rig_reap(kek("--finish")) == 0 && former() == 0;
}

/* Seals all keys anew; returns how long that took, and the processor time of it. */
static int64_t
seal_anew(int64_t *cpu_us, bool *ok)
{
    int64_t began = rig_steady_us();
    struct rusage u;
    int status;

    *ok = wait4(kek(NULL), &status, 0, &u) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    *cpu_us =
        (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
    return rig_steady_us() - began;
}

static bool
serves(void)
{
    struct clients c;

    begin(&c);
    usleep(50000);
    return end(&c, "after a restart");
}

int
main(int argc, char **argv)
{
    unsigned users = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
    unsigned kills = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10;
    int64_t whole_us, cpu_us;
    struct clients c;
    bool ok, granted;

    rig_open(&rig, "kek: file:kms.kek\nticket_types: [base, reference]\n");
    rig_add_two(&rig, &alice, &bob);
    printf("# kms-rotation %u %u: importing\n", users, kills);
    fflush(stdout);
    rig_crowd(&rig, users);
    rig_start(&rig);

    begin(&c);
    usleep(QUIET_US);
    (void)end(&c, "before");
    begin(&c);
    whole_us = seal_anew(&cpu_us, &ok);
    granted = end(&c, "meanwhile");
    printf("# %u keys sealed anew in %.2f s, with %.1f us of processor time for each\n", users + 2,
           (double)whole_us / 1e6, (double)cpu_us / (users + 2));
    judge(ok && former() == 0, "every key is sealed under the new store key");
    judge(granted, "every ticket is granted while keys are sealed anew");
    judge(users < KEY_BAR_FROM || cpu_us < (int64_t)users * KEY_BAR_US,
          "no key costs more when there are many");
    begin(&c);
    ok = killed_goes_on(kills, whole_us);
    granted = end(&c, "while it is killed");
    judge(ok, "a rotation that is killed goes on where it was");
    judge(granted, "every ticket is granted when a rotation is killed");
    if (rig_stop(&rig) != 0)
        abort();
    rig_start(&rig);
    judge(serves(), "a daemon that starts afterwards knows every key");
    printf("1..%u\n", judged);
    rig_close(&rig);
    return failed == 0 ? 0 : 1;
}
