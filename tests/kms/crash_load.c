/* SPDX-License-Identifier: Apache-2.0 */
/* The load: over each channel one exchange after the other, tickets of both kinds, resolves of what
 * was just issued, timestamps and counters, clocks that are right and clocks that are ahead. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crash.h"

#define CHANNELS 12 /* half of them UDP */
#define QUIET_MS 40 /* a datagram that got no answer was lost */

struct channel {
    int fd;
    bool udp, resolving;
    const struct rig_user *user;
    struct rig_ask ask;
    size_t sent; /* its number */
};

static void
note_sent(struct crash *c, struct channel *k)
{
    c->sent = crash_grow(c->sent, c->n_sent, &c->room_sent, sizeof *c->sent);
    while (c->n_octets + k->ask.len > c->room_octets)
        c->octets = crash_grow(c->octets, c->room_octets, &c->room_octets, 1);
    memcpy(c->octets + c->n_octets, k->ask.octets, k->ask.len);
    k->sent = c->n_sent;
    c->sent[c->n_sent++] =
        (struct sent){ .resolve = k->resolving,
                       .ageless = !k->resolving &&
                                  (k->user->ts_type == MKT_TS_COUNTER || k->user->ahead_ms > 0),
                       .at = c->n_octets,
                       .len = k->ask.len };
    c->n_octets += k->ask.len;
}

static void
post(struct channel *k)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "POST /keymanagement?requesttype=%s HTTP/1.1\r\nHost: kms\r\n"
                     "Content-Type: application/mikey\r\nContent-Length: %zu\r\n\r\n",
                     k->resolving ? "ticketresolve" : "ticketrequest", k->ask.len);

    if (rig_http_send(k->fd, head, (size_t)n))
        (void)rig_http_send(k->fd, k->ask.octets, k->ask.len);
}

/* A ticket of this round that can be resolved; NULL: none. */
static const struct ticket *
some_ticket(struct crash *c)
{
    size_t n = c->n_tickets - c->first_new;
    const struct ticket *t = n == 0 ? NULL : &c->tickets[c->first_new + crash_random(c, n)];

    return t == NULL || t->grant == NULL || t->revoked ? NULL : t;
}

static void
next(struct crash *c, struct channel *k)
{
    const struct ticket *t = crash_random(c, 3) == 0 ? some_ticket(c) : NULL;
    struct mkt_policy want;

    rig_ask_free(&k->ask);
    k->resolving = t != NULL;
    k->user = &c->clients[crash_random(c, CLIENTS)];
    if (t != NULL) {
        rig_resolve(&k->ask, &c->bob, t->from, BOB, t->grant);
    } else {
        rig_want(&want, k->user, BOB, 0);
        if (crash_random(c, 8) == 0)
            want.ticket_type = MKT_TICKET_TYPE_REFERENCE;
        rig_request_want(&k->ask, k->user, &want, 0);
    }
    note_sent(c, k);
    if (k->udp)
        (void)!send(k->fd, k->ask.octets, k->ask.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    else
        post(k);
}

static void
keep_ticket(struct crash *c, const struct channel *k, struct mkt_grant *g)
{
    struct ticket *t;

    if (c->n_tickets == TICKETS_MAX)
        abort();
    t = &c->tickets[c->n_tickets++];
    *t = (struct ticket){ .grant = g, .from = k->user };
    crash_ticket_name(g, t->name);
    c->issued++;
}

/* Reads the answer of a channel; false when there is none: the other end is gone. */
static bool
take(struct crash *c, struct channel *k)
{
    static uint8_t out[2 * MKT_MSG_MAX];
    struct mkt_grant *g;
    struct mkt_io io;
    char head[4096];
    size_t n = 0;
    ssize_t got;

    if (k->udp) {
        got = recv(k->fd, out, sizeof out, MSG_DONTWAIT);
        n = got > 0 ? (size_t)got : 0;
    } else if (rig_http_read(k->fd, head, out, &n) != 200) {
        return false;
    }
    if (n == 0)
        return false;
    if (k->resolving) {
        c->resolved += rig_resolved(&k->ask, mkt_span(out, n), &io);
        return true;
    }
    g = rig_granted(&k->ask, mkt_span(out, n), &io);
    if (g == NULL) /* over UDP perhaps a late answer to the one before */
        return true;
    c->sent[k->sent].answered = true;
    keep_ticket(c, k, g);
    return true;
}

static void
open_channels(struct crash *c, struct channel *k, struct pollfd *p)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        memset(&k[i].ask, 0, offsetof(struct rig_ask, octets));
        k[i].udp = i % 2 == 0;
        k[i].fd = k[i].udp ? rig_udp_socket(&c->rig) : rig_http_connect(&c->rig);
        p[i] = (struct pollfd){ .fd = k[i].fd, .events = POLLIN };
    }
}

void
crash_load(struct crash *c, atomic_bool *under_way)
{
    static struct channel k[CHANNELS];
    struct pollfd p[CHANNELS];
    bool last = false;

    c->first_new = c->n_tickets;
    c->n_sent = c->n_octets = 0;
    open_channels(c, k, p);
    for (size_t i = 0; i < CHANNELS; i++)
        next(c, &k[i]);
    while (!last) {
        int ready;

        last = atomic_load(&c->killed); /* once more: what came before */
        ready = poll(p, CHANNELS, last ? 0 : QUIET_MS);
        for (size_t i = 0; i < CHANNELS; i++) {
            if (p[i].revents == 0 && (ready > 0 || last || !k[i].udp))
                continue;
            if (p[i].revents != 0 && !take(c, &k[i]) && !k[i].udp)
                p[i].fd = -1;
            else if (!last)
                next(c, &k[i]);
        }
        if (c->n_tickets > c->first_new)
            atomic_store(under_way, true);
    }
    for (size_t i = 0; i < CHANNELS; i++) {
        rig_ask_free(&k[i].ask);
        close(k[i].fd);
    }
}

/* Whether an answer gives something to who may not have sent the question. */
static bool
taken(int status, struct mkt_span answer)
{
    bool authentic;

    return status == 200 && rig_error_no(answer, &authentic) < 0;
}

void
crash_replay(struct crash *c)
{
    static uint8_t out[2 * MKT_MSG_MAX];
    int fd = rig_http_connect(&c->rig), status;
    size_t n;

    for (size_t i = 0; i < c->n_sent; i++) {
        const struct sent *s = &c->sent[i];

        status = rig_http_post(fd, s->resolve ? "ticketresolve" : "ticketrequest",
                               mkt_span(c->octets + s->at, s->len), out, &n);
        if (s->ageless && !s->answered)
            continue;
        crash_hold(c, REPLAYS, status != 0 && !taken(status, mkt_span(out, n)),
                   "message %zu of %zu was taken again", i, c->n_sent);
    }
    close(fd);
}
