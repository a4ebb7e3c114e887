/* SPDX-License-Identifier: Apache-2.0 */
/* What one request costs the daemon: real datagrams and HTTP requests, made beforehand and all
 * different, sent to the whole program with replay protection on. Prints processor time of the
 * server for each request, and requests a second.
 *
 *     kms-load [udp|http|resolve|ahead] [requests] [window or connections] [suite]
 *
 * ahead: over UDP, of clients whose clocks are ahead, each message by so much more than the one
 * before that it needs a write of its own; 10 000 requests, with a clock_window of 300 s. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "marks.h"
#include "rig.h"

#define SOURCES 64 /* UDP sockets: enough for every worker to get some */
#define USERS 256
#define AHEAD_MS (1000 * (KMS_STAMP_MORE + 1))

struct message {
    uint32_t at;
    uint16_t len;
};

struct load {
    struct rig rig;
    struct rig_user users[USERS];
    char names[USERS][40], ids[USERS][16];
    struct message *messages;
    uint8_t *octets;
    size_t n, window;
};

static void
prepare(struct load *l, uint8_t prf, int64_t ahead_ms)
{
    static struct rig_ask a;

    for (size_t i = 0; i < USERS; i++) {
        snprintf(l->names[i], sizeof l->names[i], "sip:user%zu@example.com", i);
        snprintf(l->ids[i], sizeof l->ids[i], "user%zu", i);
        rig_user_init(&l->users[i], l->names[i], l->ids[i], prf);
        rig_add(&l->rig, &l->users[i]);
    }
    rig_start(&l->rig);
    l->messages = calloc(l->n, sizeof *l->messages);
    l->octets = malloc(l->n * 512);
    if (l->messages == NULL || l->octets == NULL)
        abort();
    for (size_t i = 0; i < l->n; i++) {
        l->users[i % USERS].ahead_ms = ahead_ms * (int64_t)(1 + i / USERS);
        rig_request(&a, &l->users[i % USERS], "sip:bob@example.com", 0);
        rig_ask_free(&a);
        if (a.len > 512)
            abort();
        l->messages[i] = (struct message){ (uint32_t)(i * 512), (uint16_t)a.len };
        memcpy(l->octets + i * 512, a.octets, a.len);
    }
}

/* Messages are resolves of one ticket by its responder. */
static void
prepare_resolves(struct load *l, uint8_t prf)
{
    static struct rig_ask request, a;
    static uint8_t out[MKT_MSG_MAX];
    struct mkt_grant *grant;
    struct mkt_io io;
    int fd;

    for (size_t i = 0; i < 2; i++) {
        snprintf(l->names[i], sizeof l->names[i], "sip:user%zu@example.com", i);
        snprintf(l->ids[i], sizeof l->ids[i], "user%zu", i);
        rig_user_init(&l->users[i], l->names[i], l->ids[i], prf);
        rig_add(&l->rig, &l->users[i]);
    }
    rig_start(&l->rig);
    fd = rig_udp_socket(&l->rig);
    rig_request(&request, &l->users[0], l->names[1], 0);
    io.out_len = rig_udp_ask(fd, mkt_span(request.octets, request.len), out, 2000);
    grant = rig_granted(&request, mkt_span(out, io.out_len), &io);
    l->messages = calloc(l->n, sizeof *l->messages);
    l->octets = malloc(l->n * 1024);
    if (grant == NULL || l->messages == NULL || l->octets == NULL)
        abort();
    for (size_t i = 0; i < l->n; i++) {
        rig_resolve(&a, &l->users[1], &l->users[0], l->names[1], grant);
        rig_ask_free(&a);
        if (a.len > 1024)
            abort();
        l->messages[i] = (struct message){ (uint32_t)(i * 1024), (uint16_t)a.len };
        memcpy(l->octets + i * 1024, a.octets, a.len);
    }
    mkt_grant_free(grant);
    rig_ask_free(&request);
    close(fd);
}

/* Keeps `window` datagrams under way over all sockets. */
static size_t
blast_udp(struct load *l)
{
    static uint8_t in[MKT_MSG_MAX];
    struct pollfd p[SOURCES];
    size_t sent = 0, answered = 0, under_way = 0;

    for (size_t i = 0; i < SOURCES; i++)
        p[i] = (struct pollfd){ .fd = rig_udp_socket(&l->rig), .events = POLLIN };
    while (answered < l->n) {
        while (under_way < l->window && sent < l->n) {
            const struct message *m = &l->messages[sent];

            if (send(p[sent % SOURCES].fd, l->octets + m->at, m->len, MSG_DONTWAIT) < 0)
                break;
            sent++;
            under_way++;
        }
        if (poll(p, SOURCES, 500) <= 0)
            break; /* lost: the rest is reported */
        for (size_t i = 0; i < SOURCES; i++)
            while (recv(p[i].fd, in, sizeof in, MSG_DONTWAIT) > 0) {
                answered++;
                under_way--;
            }
    }
    for (size_t i = 0; i < SOURCES; i++)
        close(p[i].fd);
    return answered;
}

static bool
post(struct load *l, int fd, size_t i)
{
    char head[256 + 1024];
    const struct message *m = &l->messages[i];
    int n = snprintf(head, 256,
                     "POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: kms\r\n"
                     "Content-Type: application/mikey\r\nContent-Length: %u\r\n\r\n",
                     m->len);

    memcpy(head + n, l->octets + m->at, m->len);
    return rig_http_send(fd, head, (size_t)n + m->len);
}

/* One read takes the whole response: it is shorter than a segment of the loopback device. */
static bool
take_response(int fd)
{
    char buf[8192];
    ssize_t n = recv(fd, buf, sizeof buf, 0);

    return n > 12 && memcmp(buf, "HTTP/1.1 200", 12) == 0;
}

static size_t
blast_http(struct load *l)
{
    struct pollfd *p = calloc(l->window, sizeof *p);
    size_t sent = 0, answered = 0;

    if (p == NULL)
        abort();
    for (size_t i = 0; i < l->window; i++) {
        p[i] = (struct pollfd){ .fd = rig_http_connect(&l->rig), .events = POLLIN };
        if (sent < l->n && post(l, p[i].fd, sent))
            sent++;
    }
    while (answered < l->n && poll(p, l->window, 1000) > 0)
        for (size_t i = 0; i < l->window; i++) {
            if (p[i].revents == 0)
                continue;
            if (!take_response(p[i].fd))
                goto out;
            answered++;
            if (sent < l->n && post(l, p[i].fd, sent))
                sent++;
        }
out:
    for (size_t i = 0; i < l->window; i++)
        close(p[i].fd);
    free(p);
    return answered;
}

int
main(int argc, char **argv)
{
    static struct load l;
    const char *kind = argc > 1 ? argv[1] : "udp";
    uint8_t prf = argc > 4 && strcmp(argv[4], "128") == 0 ? MKT_PRF_MIKEY_1 : MKT_PRF_HMAC_SHA_256;
    uint64_t cpu;
    int64_t took;
    size_t done;

    l.n = argc > 2 ? strtoul(argv[2], NULL, 10) : 50000;
    l.window = argc > 3 ? strtoul(argv[3], NULL, 10) : 64;
    rig_open(&l.rig, getenv("KMS_LOAD_YAML") != NULL ? getenv("KMS_LOAD_YAML") : "");
    if (strcmp(kind, "resolve") == 0)
        prepare_resolves(&l, prf);
    else
        prepare(&l, prf, strcmp(kind, "ahead") == 0 ? AHEAD_MS : 0);
    cpu = rig_cpu_us(&l.rig);
    took = rig_steady_us();
    done = strcmp(kind, "http") == 0 ? blast_http(&l) : blast_udp(&l);
    took = rig_steady_us() - took;
    cpu = rig_cpu_us(&l.rig) - cpu;
    printf("%s suite %s: %zu of %zu answered, %.2f us server CPU a request, %.0f requests/s\n",
           kind, prf == MKT_PRF_MIKEY_1 ? "128" : "256", done, l.n, (double)cpu / (double)l.n,
           (double)done * 1e6 / (double)took);
    free(l.messages);
    free(l.octets);
    if (rig_stop(&l.rig) != 0)
        puts("the daemon did not stop cleanly");
    rig_close(&l.rig);
    return done == l.n ? 0 : 1;
}
