/* SPDX-License-Identifier: Apache-2.0 */
/* A UDP relay with the faults of a network: it keeps the first datagram of the client for itself,
 * and sends a damaged copy ahead of each answer. Every datagram from the client is kept in a file,
 * so that a test can compare them. Usage: lossy_relay PORT DIR; prints its own port. Ends after a
 * minute, or when it is killed. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct relay {
    int client, server;
    struct sockaddr_in from; /* the client, once it has spoken */
    unsigned heard;
    const char *dir;
    char buf[65536];
};

static int
open_socket(uint16_t port, bool connected)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int rc = connected ? connect(fd, (struct sockaddr *)&a, sizeof a)
                       : bind(fd, (struct sockaddr *)&a, sizeof a);
    if (fd < 0 || rc != 0) {
        perror("lossy_relay");
        exit(1);
    }
    return fd;
}

static void
keep(const struct relay *r, size_t n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%u.datagram", r->dir, r->heard);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(r->buf, 1, n, f) != n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static void
from_client(struct relay *r)
{
    socklen_t len = sizeof r->from;
    ssize_t n = recvfrom(r->client, r->buf, sizeof r->buf, 0, (struct sockaddr *)&r->from, &len);
    if (n <= 0)
        return;
    r->heard++;
    keep(r, (size_t)n);
    if (r->heard > 1)
        (void)!send(r->server, r->buf, (size_t)n, 0);
}

static void
from_server(struct relay *r)
{
    ssize_t n = recv(r->server, r->buf, sizeof r->buf, 0);
    if (n <= 0)
        return;
    r->buf[n - 1] ^= 1; /* the last octet of the MAC */
    (void)!sendto(r->client, r->buf, (size_t)n, 0, (struct sockaddr *)&r->from, sizeof r->from);
    r->buf[n - 1] ^= 1;
    (void)!sendto(r->client, r->buf, (size_t)n, 0, (struct sockaddr *)&r->from, sizeof r->from);
}

int
main(int argc, char **argv)
{
    static struct relay r;
    struct sockaddr_in self = { 0 };
    socklen_t len = sizeof self;

    if (argc != 3)
        return 2;
    r.server = open_socket((uint16_t)strtoul(argv[1], NULL, 10), true);
    r.client = open_socket(0, false);
    r.dir = argv[2];
    if (getsockname(r.client, (struct sockaddr *)&self, &len) != 0)
        return 1;
    printf("%u\n", ntohs(self.sin_port));
    fflush(stdout);
    alarm(60);
    for (;;) {
        struct pollfd p[2] = { { .fd = r.client, .events = POLLIN },
                               { .fd = r.server, .events = POLLIN } };
        if (poll(p, 2, -1) < 0)
            return 1;
        if ((p[0].revents & POLLIN) != 0)
            from_client(&r);
        if ((p[1].revents & POLLIN) != 0)
            from_server(&r);
    }
}
