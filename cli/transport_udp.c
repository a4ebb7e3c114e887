/* SPDX-License-Identifier: Apache-2.0 */
/* MIKEY over UDP: one message a datagram, on a connected socket so that the kernel drops what comes
 * from elsewhere. Losses and unreachable ports are left to the retry timer; each attempt goes to
 * the next address of the host. */
#include "kms.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_PORT "2269" /* IANA: mikey */

struct udp {
    struct addrinfo *all, *now; /* now: the address in use, NULL before the first */
    int fd;
};

/* udp://HOST[:PORT], HOST maybe an IPv6 address in brackets. */
static bool
split(const char *url, char host[256], char port[8])
{
    const char *at = url + strlen("udp://");
    bool bracket = *at == '[';
    size_t n = strcspn(at + bracket, bracket ? "]" : ":/");
    if (n == 0 || n >= 256)
        return false;
    memcpy(host, at + bracket, n);
    host[n] = '\0';
    at += bracket + n;
    if (bracket && *at++ != ']')
        return false;
    snprintf(port, 8, "%s", DEFAULT_PORT);
    if (*at == ':') {
        n = strcspn(++at, "/");
        if (n == 0 || n >= 6 || strspn(at, "0123456789") < n)
            return false;
        memcpy(port, at, n);
        port[n] = '\0';
        at += n;
    }
    return *at == '\0' || strcmp(at, "/") == 0;
}

static bool
udp_open(struct cli_link *l, const struct cli_args *args, struct cli_error *err)
{
    char host[256], port[8];
    struct addrinfo want = { .ai_socktype = SOCK_DGRAM };
    struct udp *u = calloc(1, sizeof *u);

    (void)args;
    l->state = u;
    if (u == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    u->fd = -1;
    if (!split(l->url, host, port))
        return cli_fail(err, CLI_EXIT_USAGE, "--kms %s: expected udp://HOST[:PORT]", l->url);
    int rc = getaddrinfo(host, port, &want, &u->all);
    return rc == 0 || cli_fail(err, CLI_EXIT_UNREACHABLE, "cannot find the KMS %s: %s", host,
                               gai_strerror(rc));
}

static void
udp_close(struct cli_link *l)
{
    struct udp *u = l->state;
    if (u == NULL)
        return;
    if (u->fd >= 0)
        close(u->fd);
    if (u->all != NULL)
        freeaddrinfo(u->all);
    free(u);
}

/* A new socket only when the address changes: a late answer to the last message is then still
 * read, and passed over. */
static bool
use_next_address(struct udp *u)
{
    struct addrinfo *next = u->now != NULL && u->now->ai_next != NULL ? u->now->ai_next : u->all;
    if (next == u->now && u->fd >= 0)
        return true;
    if (u->fd >= 0)
        close(u->fd);
    u->now = next;
    if (next == NULL)
        return false;
    u->fd = socket(next->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return u->fd >= 0 && connect(u->fd, next->ai_addr, next->ai_addrlen) == 0;
}

static enum cli_got
udp_send(struct cli_link *l, const char *type, struct mkt_span message, struct cli_error *err)
{
    struct udp *u = l->state;

    (void)type; /* the message says it itself */
    if (!use_next_address(u) || send(u->fd, message.p, message.n, 0) < 0) {
        if (errno == EMSGSIZE) {
            cli_fail(err, CLI_EXIT_FAILURE,
                     "the message has %zu octets, too many for UDP; use an http:// KMS", message.n);
            return CLI_GOT_NEVER;
        }
        cli_say("cannot send to %s: %s", l->url, strerror(errno));
    }
    return CLI_GOT_MESSAGE; /* or lost: the timer decides */
}

static enum cli_got
udp_receive(struct cli_link *l, struct cli_blob *answer, struct cli_error *err)
{
    struct udp *u = l->state;
    bool refused = false;
    int left;

    (void)err;
    while ((left = cli_timer_left(l->timer)) > 0) {
        struct pollfd p = { .fd = u->fd, .events = POLLIN };
        if (poll(&p, 1, left) <= 0)
            continue;
        ssize_t n = recv(u->fd, answer->p, answer->cap, MSG_DONTWAIT | MSG_TRUNC);
        if (n > 0 && (size_t)n <= answer->cap) {
            answer->n = (size_t)n;
            return CLI_GOT_MESSAGE;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR && !refused) {
            refused = true; /* anyone can forge an ICMP message: a word, not the end */
            cli_say("%s: %s", l->url, strerror(errno));
        }
    }
    return CLI_GOT_NOTHING;
}

const struct cli_transport cli_transport_udp = {
    .scheme = "udp://",
    .datagram = true,
    .open = udp_open,
    .close = udp_close,
    .send = udp_send,
    .receive = udp_receive,
};
