/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon under load: CPU time of the server process for each request, against bare servers
 * that give an answer of the same size; and with a million users, against a thousand. All messages
 * are made before the clock starts and are sent once: no answer comes out of the retransmission
 * table. */
#include "bed.h"
#include "bench.h"
#include "servers.h"

#include <stdlib.h>

#define USERS 1000
#define MANY_USERS 1000000
#define RUNS 5
#define REQUESTS 10000 /* in each run */

typedef bool send_load(const struct sockaddr_in *to, struct load_range m, uint8_t data_type);

static bool
cpu_of(double *us, pid_t server, send_load *send, const struct sockaddr_in *to, struct load_range m)
{
    double before = server_family_cpu_us(server);
    if (!send(to, m, MKT_DT_REQUEST_RESP))
        return false;
    double after = server_family_cpu_us(server);
    *us = (after - before) / (double)m.n;
    return before >= 0 && after >= 0;
}

struct transport {
    const char *name, *what, *floor_what;
    send_load *send;
    double bar_us;
};

/* Daemon and bare server in turns; the first tenth of the messages warms both up. */
static bool
measure(struct bench_report *r, const struct transport *t, struct bed *b,
        const struct sockaddr_in *to, const struct sockaddr_in *bare, pid_t bare_pid)
{
    double sample[RUNS], floor[RUNS], unused;
    const struct load_range warm = { &b->load, 0, REQUESTS / 10 };
    bool ok = cpu_of(&unused, b->daemon, t->send, to, warm) &&
              cpu_of(&unused, bare_pid, t->send, bare, warm);

    for (size_t i = 0; ok && i < RUNS; i++) {
        const struct load_range m = { &b->load, REQUESTS / 10 + i * REQUESTS, REQUESTS };
        ok = cpu_of(&sample[i], b->daemon, t->send, to, m) &&
             cpu_of(&floor[i], bare_pid, t->send, bare, m);
    }
    if (!ok)
        return false;
    struct bench_row *row = bench_add(r, t->name, t->what);
    bench_summary(&row->us, sample, RUNS);
    bench_summary(&row->floor, floor, RUNS);
    row->floor_what = t->floor_what;
    row->ratio = row->us.median / row->floor.median;
    row->bar_us = t->bar_us;
    return true;
}

bool
bench_daemon(struct bench_report *r)
{
    static const struct transport t[][2] = {
        { { "udp_unaudited_128", "server, REQUEST_INIT_PSK over UDP, no audit, window 16",
            "UDP echo, batched", load_udp, 25 },
          { "http_unaudited_128", "server, the same over HTTP, 16 connections kept",
            "libmicrohttpd, epoll", load_http, 40 } },
        { { "udp_request_128", "server, REQUEST_INIT_PSK over UDP, window 16", "UDP echo, batched",
            load_udp, 30 },
          { "http_request_128", "server, the same over HTTP, 16 connections kept",
            "libmicrohttpd, epoll", load_http, 60 } },
        { { "udp_request_256", "server, REQUEST_INIT_PSK over UDP, window 16", "UDP echo, batched",
            load_udp, 30 },
          { "http_request_256", "server, the same over HTTP, 16 connections kept",
            "libmicrohttpd, epoll", load_http, 60 } },
    };
    const size_t n = RUNS * REQUESTS + REQUESTS / 10;
    bool ok = true;

    for (size_t k = 0; ok && k < sizeof t / sizeof t[0]; k++) {
        struct bed *b = calloc(1, sizeof *b);
        uint8_t prf = k < 2 ? MKT_PRF_MIKEY_1 : MKT_PRF_HMAC_SHA_256;
        ok = b != NULL && bed_open(b, prf, USERS, k > 0, BED_SEALED) && bed_bare(b) &&
             bed_messages(b, n) && measure(r, &t[k][0], b, &b->udp, &b->echo, b->echo_pid);
        ok = ok && bed_messages(b, n) && /* new ones: the daemon remembers the others */
             measure(r, &t[k][1], b, &b->http, &b->fixed, b->fixed_pid);
        if (b != NULL)
            bed_close(b);
        free(b);
    }
    return ok;
}

/* Two daemons in turns: the smaller one is the floor. */
static bool
compare(struct bench_row *row, struct bed *many, struct bed *few)
{
    double sample[RUNS], floor[RUNS];
    bool ok = true;

    for (size_t i = 0; ok && i < RUNS; i++) {
        const struct load_range a = { &many->load, i * REQUESTS, REQUESTS };
        const struct load_range b = { &few->load, i * REQUESTS, REQUESTS };

        ok = cpu_of(&sample[i], many->daemon, load_udp, &many->udp, a) &&
             cpu_of(&floor[i], few->daemon, load_udp, &few->udp, b);
    }
    if (!ok)
        return false;
    bench_summary(&row->us, sample, RUNS);
    bench_summary(&row->floor, floor, RUNS);
    row->floor_what = "the same with 1000 users";
    row->ratio = row->us.median / row->floor.median;
    row->bar_ratio = 1.2;
    row->bar_us = 30;
    return true;
}

bool
bench_users(struct bench_report *r)
{
    struct bed *b = calloc(2, sizeof *b);
    bool ok;

    if (b == NULL)
        return false;
    ok = bed_open(&b[0], MKT_PRF_HMAC_SHA_256, MANY_USERS, false, BED_SEALED) &&
         bed_open(&b[1], MKT_PRF_HMAC_SHA_256, USERS, false, BED_SEALED);
    for (size_t i = 0; ok && i < 2; i++)
        ok = bed_messages(&b[i], (size_t)RUNS * REQUESTS);
    ok = ok && compare(bench_add(r, "udp_request_1m",
                                 "server, REQUEST_INIT_PSK over UDP, no audit, 1 000 000 users"),
                       &b[0], &b[1]);
    bed_close(&b[0]);
    bed_close(&b[1]);
    free(b);
    return ok;
}

bool
bench_vault(struct bench_report *r)
{
    static const struct transport t[] = {
        [BED_CLEAR] = { "udp_request_clear", "REQUEST_INIT_PSK over UDP, no audit, keys in clear",
                        "UDP echo, batched", load_udp, 25 },
        [BED_SEALED] = { "udp_request_sealed", "the same, keys sealed, opened in the daemon",
                         "UDP echo, batched", load_udp, 30 },
        [BED_VAULT] = { "udp_request_vault", "the same, opened in a vault process, both counted",
                        "UDP echo, batched", load_udp, 60 },
    };
    bool ok = true;

    for (enum bed_keys keys = BED_CLEAR; ok && keys <= BED_VAULT; keys++) {
        struct bed *b = calloc(1, sizeof *b);
        ok = b != NULL && bed_open(b, MKT_PRF_HMAC_SHA_256, USERS, false, keys) && bed_bare(b) &&
             bed_messages(b, RUNS * REQUESTS + REQUESTS / 10) &&
             measure(r, &t[keys], b, &b->udp, &b->echo, b->echo_pid);
        if (b != NULL)
            bed_close(b);
        free(b);
    }
    return ok;
}
