/* SPDX-License-Identifier: Apache-2.0 */
/* Good clients among bad ones: a flood of requests that must be refused, ten for each good one,
 * from other addresses; 10 000 connections that say nothing; a thousand that say it octet by octet.
 * How many of the good ones get their ticket in time, against the same rate without? Both are
 * offered at a fixed rate, whatever comes back, by two threads: so what the machine cannot do shows
 * as tickets that are late, not as a lower rate.
 *
 *     kms-flood [GOOD REQUESTS A SECOND] [SECONDS] [CONNECTIONS]
 *
 * Prints TAP, and figures in its comments. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

#define BOB "sip:bob@example.com"
#define CHANNELS 16 /* of good clients */
#define SOURCES 64  /* of the flood, on eight addresses */
#define USERS 8
#define LATE_US 500000 /* a ticket that comes later is none */
#define BAD 512        /* messages of the flood that differ */
#define SIZE 512       /* octets of a message, at most */
#define BAR 0.9

struct message {
    uint32_t csb;
    uint16_t len;
    bool good, sent;
    int64_t due_us;
    uint8_t octets[SIZE];
};

/* One phase: good requests, with a flood or without. */
struct phase {
    struct rig *rig;
    bool udp;
    unsigned rate, seconds, flood_rate; /* a second */
    struct message *m;
    size_t n;
    const struct message *bad;
    size_t good;
    int64_t *took_us;
    void *(*disturb)(void *phase); /* a thread; NULL: calm */
    unsigned connections;
    atomic_bool there, over;      /* there: the disturbance is */
    atomic_ulong flooded, let_in; /* let_in: flood that got more than an Error */
    uint64_t cpu_us;
};

static struct rig_user users[USERS], mallory;
static char names[USERS][32];

static void
take_octets(struct message *m, const struct rig_ask *a)
{
    if (a->len > SIZE)
        abort();
    *m = (struct message){ .len = (uint16_t)a->len };
    memcpy(m->octets, a->octets, a->len);
    memcpy(&m->csb, a->octets + 4, sizeof m->csb);
}

/* What must be refused: noise, a stranger, a wrong key, an old stamp, half a message, and messages
 * that were taken already (the last ones of `taken`). */
static void
make_bad(struct message *bad, const struct message *taken, size_t n_taken)
{
    static struct rig_ask a;
    struct rig_user wrong = users[0];

    wrong.psk = mallory.psk;
    for (size_t i = 0; i < BAD; i++) {
        const struct rig_user *as = i % 6 == 1 ? &mallory : i % 6 == 2 ? &wrong : &users[i % USERS];

        rig_ask_free(&a);
        rig_request(&a, as, BOB, i % 6 == 3 ? -100000 : 0);
        take_octets(&bad[i], &a);
        if (i % 6 == 0)
            memset(bad[i].octets, (int)i, bad[i].len);
        else if (i % 6 == 4)
            bad[i].len /= 2;
        else if (i % 6 == 5 && n_taken > 0)
            bad[i] = taken[n_taken - 1 - i % (n_taken < 100 ? n_taken : 100)];
    }
    rig_ask_free(&a);
}

static void
make_good(struct phase *p)
{
    static struct rig_ask a;

    p->n = (size_t)p->rate * p->seconds;
    p->m = calloc(p->n, sizeof *p->m);
    p->took_us = calloc(p->n, sizeof *p->took_us);
    if (p->m == NULL || p->took_us == NULL)
        abort();
    for (size_t i = 0; i < p->n; i++) {
        rig_ask_free(&a);
        rig_request(&a, &users[i % USERS], BOB, 0);
        take_octets(&p->m[i], &a);
    }
    rig_ask_free(&a);
}

/* --- sockets ------------------------------------------------------------------------------------
 */

static int
connected(const struct phase *p, unsigned host)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port =
                                  htons((uint16_t)(p->udp ? p->rig->udp_port : p->rig->http_port)),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } },
                       from = { .sin_family = AF_INET,
                                .sin_addr = { htonl(INADDR_LOOPBACK + host) } };
    int fd = socket(AF_INET, (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0), on = 1,
        room = 1 << 20;

    if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof from) != 0 ||
        connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        abort();
    if (p->udp)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    else
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static bool
send_message(const struct phase *p, int fd, const struct message *m)
{
    char text[256 + SIZE];
    int n;

    if (p->udp)
        return send(fd, m->octets, m->len, MSG_DONTWAIT | MSG_NOSIGNAL) == m->len;
    n = snprintf(text, 256,
                 "POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: kms\r\n"
                 "Content-Type: application/mikey\r\nContent-Length: %u\r\n\r\n",
                 m->len);
    memcpy(text + n, m->octets, m->len);
    return send(fd, text, (size_t)n + m->len, MSG_NOSIGNAL) == n + m->len;
}

/* One answer, which is shorter than a segment of the loopback device: the MIKEY message in it; n =
 * 0 when there is none. False: nothing was there, or the connection is closed. */
static bool
take_answer(const struct phase *p, int fd, uint8_t buf[8192], struct mkt_span *message)
{
    ssize_t n = recv(fd, buf, 8191, MSG_DONTWAIT);
    char *body;

    *message = mkt_span(buf, n > 0 ? (size_t)n : 0);
    if (n <= 0)
        return false;
    if (p->udp)
        return true;
    buf[n] = '\0';
    body = strstr((char *)buf, "\r\n\r\n");
    if (body == NULL || memcmp(buf, "HTTP/1.1 200", 12) != 0)
        *message = mkt_span(buf, 0);
    else
        *message = mkt_span((uint8_t *)body + 4, (size_t)n - (size_t)(body + 4 - (char *)buf));
    return true;
}

static bool
is_ticket(struct mkt_span message)
{
    return message.n > 8 && message.p[1] == MKT_DT_REQUEST_RESP;
}

/* --- the flood ----------------------------------------------------------------------------------
 */

struct source {
    int fd;
    bool waiting; /* HTTP: one request at a time */
};

static void
drain(struct phase *p, struct source *s, unsigned host)
{
    static _Thread_local uint8_t buf[8192];
    struct mkt_span message;

    while (take_answer(p, s->fd, buf, &message)) {
        s->waiting = false;
        p->let_in += is_ticket(message);
    }
    if (p->udp || errno == EAGAIN || errno == EWOULDBLOCK)
        return;
    close(s->fd); /* what was half a message is not waited for */
    s->fd = connected(p, host);
    s->waiting = false;
}

static void *
flood(void *arg)
{
    struct phase *p = arg;
    struct source s[SOURCES];
    int64_t began = rig_steady_us();
    uint64_t sent = 0;
    size_t at = 0;

    for (unsigned i = 0; i < SOURCES; i++)
        s[i] = (struct source){ connected(p, 1 + i % 8), false };
    atomic_store(&p->there, true);
    while (!atomic_load(&p->over)) {
        uint64_t due = (uint64_t)(rig_steady_us() - began) * p->flood_rate / 1000000;

        for (unsigned tries = 0; sent < due && tries < 4 * SOURCES; tries++) {
            struct source *k = &s[at++ % SOURCES];

            if (k->waiting)
                drain(p, k, 1 + (unsigned)((size_t)(k - s) % 8));
            if (!k->waiting && send_message(p, k->fd, &p->bad[sent % BAD])) {
                k->waiting = !p->udp;
                sent++;
            }
        }
        for (unsigned i = 0; p->udp && i < SOURCES; i++)
            drain(p, &s[i], 1 + i % 8);
        poll(NULL, 0, 1);
    }
    for (unsigned i = 0; i < SOURCES; i++)
        close(s[i].fd);
    atomic_store(&p->flooded, sent);
    return NULL;
}

/* --- connections that are held ------------------------------------------------------------------
 */

/* As many connections as wanted; one that is closed by the other end is opened again. `say` is sent
 * octet by octet, one for each connection every tenth of a second. */
static void
hold_connections(struct phase *p, const char *say)
{
    int *fds = calloc(p->connections, sizeof *fds);
    size_t *said = calloc(p->connections, sizeof *said), len = strlen(say);
    unsigned long closed = 0;
    char c;

    if (fds == NULL || said == NULL)
        abort();
    for (unsigned i = 0; i < p->connections; i++)
        fds[i] = connected(p, 1 + i % 8);
    atomic_store(&p->there, true);
    while (!atomic_load(&p->over)) {
        for (unsigned i = 0; i < p->connections && !atomic_load(&p->over); i++) {
            ssize_t got = recv(fds[i], &c, 1, MSG_DONTWAIT);
            bool gone = got == 0 || (got < 0 && errno != EAGAIN);

            if (!gone && said[i] < len)
                gone = send(fds[i], say + said[i]++, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1;
            if (!gone)
                continue;
            closed++;
            close(fds[i]);
            fds[i] = connected(p, 1 + i % 8);
            said[i] = 0;
        }
        poll(NULL, 0, 100);
    }
    for (unsigned i = 0; i < p->connections; i++)
        close(fds[i]);
    atomic_store(&p->flooded, closed);
    free(fds);
    free(said);
}

static void *
idle(void *arg)
{
    hold_connections(arg, "");
    return NULL;
}

static void *
slow(void *arg)
{
    hold_connections(arg, "POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: kms\r\n"
                          "Content-Type: application/mikey\r\nContent-Length: 400\r\n\r\n");
    return NULL;
}

/* --- good requests ------------------------------------------------------------------------------
 */

struct client {
    int fd;
    struct message *waiting; /* HTTP: for its answer */
};

static struct message *
find(struct phase *p, const struct client *k, struct mkt_span answer)
{
    uint32_t csb;

    if (!p->udp)
        return k->waiting;
    if (answer.n < 8)
        return NULL;
    memcpy(&csb, answer.p + 4, sizeof csb);
    for (size_t i = 0; i < p->n; i++)
        if (p->m[i].sent && !p->m[i].good && p->m[i].csb == csb)
            return &p->m[i];
    return NULL;
}

static void
receive(struct phase *p, struct client *k)
{
    static uint8_t buf[8192];
    struct mkt_span answer;

    while (take_answer(p, k->fd, buf, &answer)) {
        struct message *m = find(p, k, answer);
        int64_t took = m == NULL ? 0 : rig_steady_us() - m->due_us;

        k->waiting = NULL;
        if (m == NULL || !is_ticket(answer) || took > LATE_US)
            continue;
        m->good = true;
        p->took_us[p->good++] = took;
    }
}

/* Sends what is due; over HTTP by whoever is free. */
static size_t
send_due(struct phase *p, struct client *k, size_t next, int64_t began)
{
    int64_t now = rig_steady_us();

    for (size_t tries = 0; next < p->n && tries < CHANNELS; tries++) {
        struct message *m = &p->m[next];
        struct client *by = &k[next % CHANNELS];

        m->due_us = began + (int64_t)next * 1000000 / p->rate;
        if (m->due_us > now)
            break;
        for (size_t i = 0; !p->udp && by->waiting != NULL && i < CHANNELS; i++)
            by = &k[i];
        if (by->waiting != NULL)
            break;
        (void)send_message(p, by->fd, m);
        m->sent = true;
        by->waiting = p->udp ? NULL : m;
        next++;
    }
    return next;
}

static void
ask(struct phase *p)
{
    struct client k[CHANNELS];
    struct pollfd f[CHANNELS];
    int64_t began = rig_steady_us(), end = began + (int64_t)p->seconds * 1000000 + LATE_US;
    size_t next = 0;

    for (size_t i = 0; i < CHANNELS; i++) {
        k[i] = (struct client){ connected(p, 0), NULL };
        f[i] = (struct pollfd){ .fd = k[i].fd, .events = POLLIN };
    }
    while (rig_steady_us() < end && p->good < p->n) {
        next = send_due(p, k, next, began);
        if (poll(f, CHANNELS, 1) <= 0)
            continue;
        for (size_t i = 0; i < CHANNELS; i++)
            if (f[i].revents != 0)
                receive(p, &k[i]);
    }
    for (size_t i = 0; i < CHANNELS; i++)
        close(k[i].fd);
}

static void
run(struct phase *p)
{
    uint64_t cpu = rig_cpu_us(p->rig);
    pthread_t thread;

    if (p->disturb != NULL && pthread_create(&thread, NULL, p->disturb, p) != 0)
        abort();
    while (p->disturb != NULL && !atomic_load(&p->there))
        poll(NULL, 0, 1);
    ask(p);
    atomic_store(&p->over, true);
    if (p->disturb != NULL)
        pthread_join(thread, NULL);
    p->cpu_us = rig_cpu_us(p->rig) - cpu;
}

static double
share_of(int64_t *took, size_t n, double share)
{
    qsort(took, n, sizeof *took, rig_by_time);
    return n == 0 ? 0 : (double)took[(size_t)((double)(n - 1) * share)] / 1000;
}

static const struct disturbance {
    const char *name, *sentence;
    bool udp;
    void *(*run)(void *phase);
    unsigned times;       /* of the good rate */
    unsigned connections; /* of ten that are wanted */
    const char *yaml;     /* configuration */
} disturbances[] = {
    { "flood over UDP", "ten times as many requests over UDP that are refused", true, flood, 10, 0,
      "" },
    { "flood over HTTP", "ten times as many requests over HTTP that are refused", false, flood, 10,
      0, "" },
    { "idle connections", "thousands of open connections that say nothing", false, idle, 0, 10,
      "http_connections: 20000\n" },
    { "too many connections", "more connections that say nothing than may be open", false, idle, 0,
      10, "" },
    { "slow senders", "hundreds of connections that say it octet by octet", false, slow, 0, 1, "" },
};
#define DISTURBANCES (sizeof disturbances / sizeof disturbances[0])

static void
show(const struct disturbance *d, const struct phase *calm, const struct phase *storm, double kept)
{
    double more = (double)storm->cpu_us - (double)calm->cpu_us;

    printf("# %s: %zu of %zu tickets in time without (median %.2f ms, 99 of 100 %.2f ms), %zu of "
           "%zu with (%.2f ms, %.2f ms): %.1f %%\n",
           d->name, calm->good, calm->n, share_of(calm->took_us, calm->good, 0.5),
           share_of(calm->took_us, calm->good, 0.99), storm->good, storm->n,
           share_of(storm->took_us, storm->good, 0.5), share_of(storm->took_us, storm->good, 0.99),
           100 * kept);
    if (d->times > 0)
        printf("# %s: %lu refused, %.2f us of CPU for each; %lu got a ticket\n", d->name,
               storm->flooded, more / (double)(storm->flooded + 1), storm->let_in);
    else
        printf("# %s: %u connections, %lu were closed by the daemon; %.0f ms of CPU more\n",
               d->name, storm->connections, storm->flooded, more / 1000);
}

/* True when the bar is kept. */
static bool
compare(struct rig *r, const struct disturbance *d, unsigned rate, unsigned seconds,
        unsigned connections)
{
    static struct message bad[BAD];
    struct phase calm = { .rig = r, .udp = d->udp, .rate = rate, .seconds = seconds }, storm = calm;
    double kept;
    bool ok;

    make_good(&calm);
    run(&calm);
    make_bad(bad, calm.m, calm.good == 0 ? 0 : calm.n);
    storm.disturb = d->run;
    storm.flood_rate = d->times * rate;
    storm.connections = connections * d->connections / 10;
    storm.bad = bad;
    make_good(&storm);
    run(&storm);
    kept = calm.good == 0 ? 0 : (double)storm.good / (double)calm.good;
    show(d, &calm, &storm, kept);
    ok = calm.good * 10 >= calm.n * 9 && kept >= BAR && storm.let_in == 0 &&
         (d->times == 0 || storm.flooded * 10 >= (unsigned long)d->times * storm.n * 9);
    free(calm.m);
    free(calm.took_us);
    free(storm.m);
    free(storm.took_us);
    return ok;
}

/* At a daemon of its own. */
static bool
try(const struct disturbance *d, unsigned rate, unsigned seconds, unsigned connections)
{
    struct rig rig;
    bool ok;

    rig_open(&rig, d->yaml);
    for (size_t i = 0; i < USERS; i++) {
        snprintf(names[i], sizeof names[i], "sip:client%zu@example.com", i);
        rig_user_init(&users[i], names[i], names[i] + 4, MKT_PRF_HMAC_SHA_256);
        rig_add(&rig, &users[i]);
    }
    rig_start(&rig);
    ok = compare(&rig, d, rate, seconds, connections);
    rig_stop(&rig);
    rig_close(&rig);
    return ok;
}

/* As many connections as this process, and the daemon after it, may have open. */
static unsigned
allowed(unsigned connections)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return connections;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_max > connections + 256)
        return connections;
    printf("# %lu open files are all there are\n", (unsigned long)r.rlim_max);
    return (unsigned)r.rlim_max - 256;
}

int
main(int argc, char **argv)
{
    unsigned rate = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
    unsigned seconds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10;
    unsigned connections = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 10000;
    bool all = true;

    connections = allowed(connections);
    rig_user_init(&mallory, "sip:mallory@example.com", "mallory", MKT_PRF_HMAC_SHA_256);
    printf("1..%zu\n", DISTURBANCES);
    for (size_t i = 0; i < DISTURBANCES; i++) {
        const struct disturbance *d = &disturbances[i];
        bool ok = try(d, d->udp ? rate : rate / 2, seconds, connections);

        printf("%sok %zu - good clients keep 90 %% of their rate among %s\n", ok ? "" : "not ",
               i + 1, d->sentence);
        fflush(stdout);
        all = all && ok;
    }
    return all ? 0 : 1;
}
