/* SPDX-License-Identifier: Apache-2.0 */
/* The client side: see load.h. Plain sockets, since only the server's CPU time is measured. */
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ANSWER_MAX 65536
#define PATIENCE_MS 2000

static const uint8_t *
message(struct load_range m, size_t i, size_t *n)
{
    size_t k = m.first + i, start = k == 0 ? 0 : m.l->end[k - 1];
    *n = m.l->end[k] - start;
    return m.l->octets + start;
}

/* A MIKEY message of version 1 and that type; an Error message is the usual reason for a no. */
static bool
is_answer(const uint8_t *octets, size_t n, uint8_t data_type)
{
    if (n >= 10 && octets[0] == 1 && octets[1] == data_type)
        return true;
    fprintf(stderr, "mkt-bench: an answer of %zu octets, data type %d instead of %d\n", n,
            n > 1 ? octets[1] : -1, data_type);
    return false;
}

static bool
failed(const char *what)
{
    fprintf(stderr, "mkt-bench: %s: %s\n", what, strerror(errno));
    return false;
}

bool
load_port(int type, struct sockaddr_in *addr)
{
    socklen_t len = sizeof *addr;
    int fd = socket(AF_INET, type, 0);
    *addr =
        (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)addr, sizeof *addr) == 0 &&
              getsockname(fd, (struct sockaddr *)addr, &len) == 0;
    if (fd >= 0)
        close(fd);
    return ok || failed("free port");
}

static int
connected(int type, const struct sockaddr_in *to)
{
    const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
    int fd = socket(AF_INET, type, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (const struct sockaddr *)to, sizeof *to) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* --- UDP -------------------------------------------------------------------------------------- */

static bool
udp_answers(int fd, size_t *got, uint8_t data_type)
{
    static uint8_t answer[ANSWER_MAX];
    ssize_t n = recv(fd, answer, sizeof answer, 0);
    if (n < 0)
        return failed("UDP answer");
    for (; n >= 0; n = recv(fd, answer, sizeof answer, MSG_DONTWAIT)) {
        if (!is_answer(answer, (size_t)n, data_type))
            return false;
        (*got)++;
    }
    return true;
}

bool
load_udp(const struct sockaddr_in *to, struct load_range m, uint8_t data_type)
{
    int fd = connected(SOCK_DGRAM, to);
    bool ok = fd >= 0 || failed("UDP");
    for (size_t sent = 0, got = 0; ok && got < m.n;) {
        for (; ok && sent < m.n && sent - got < LOAD_WINDOW; sent++) {
            size_t n;
            const uint8_t *octets = message(m, sent, &n);
            ok = send(fd, octets, n, 0) == (ssize_t)n || failed("UDP message");
        }
        ok = ok && udp_answers(fd, &got, data_type);
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

/* --- HTTP --------------------------------------------------------------------------------------
 */

struct conn {
    int fd;
    size_t have;
    char answer[8192];
};

static bool
http_send(struct conn *c, struct load_range m, size_t i)
{
    char head[256];
    size_t n;
    const uint8_t *octets = message(m, i, &n);
    int len = snprintf(head, sizeof head,
                       "POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\n"
                       "Host: localhost\r\nContent-Type: application/mikey\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       n);
    const struct iovec part[] = { { head, (size_t)len }, { (void *)(uintptr_t)octets, n } };
    c->have = 0;
    return writev(c->fd, part, 2) == (ssize_t)((size_t)len + n) || failed("HTTP request");
}

/* Reads what is there; *whole tells whether an answer is complete. */
static bool
http_read(struct conn *c, uint8_t data_type, bool *whole)
{
    ssize_t n = read(c->fd, c->answer + c->have, sizeof c->answer - 1 - c->have);
    *whole = false;
    if (n <= 0)
        return failed("HTTP answer");
    c->have += (size_t)n;
    c->answer[c->have] = '\0';
    const char *end = strstr(c->answer, "\r\n\r\n");
    if (end == NULL)
        return true;
    const char *length = strcasestr(c->answer, "\r\nContent-Length:");
    size_t head = (size_t)(end - c->answer) + 4;
    size_t body = length == NULL ? 0 : strtoul(length + 17, NULL, 10);
    if (c->have < head + body)
        return true;
    *whole = true;
    if (strncmp(c->answer, "HTTP/1.1 200 ", 13) != 0) {
        fprintf(stderr, "mkt-bench: %.*s\n", (int)strcspn(c->answer, "\r"), c->answer);
        return false;
    }
    return is_answer((const uint8_t *)c->answer + head, body, data_type);
}

static bool
http_open(struct conn *c, struct pollfd *p, const struct sockaddr_in *to)
{
    for (size_t i = 0; i < LOAD_WINDOW; i++)
        c[i].fd = p[i].fd = -1;
    for (size_t i = 0; i < LOAD_WINDOW; i++) {
        c[i].fd = connected(SOCK_STREAM, to);
        p[i] = (struct pollfd){ .fd = c[i].fd, .events = POLLIN };
        if (c[i].fd < 0)
            return failed("HTTP");
    }
    return true;
}

bool
load_http(const struct sockaddr_in *to, struct load_range m, uint8_t data_type)
{
    static struct conn c[LOAD_WINDOW];
    struct pollfd p[LOAD_WINDOW];
    size_t sent = 0, got = 0;
    bool ok = http_open(c, p, to);

    for (; ok && sent < m.n && sent < LOAD_WINDOW; sent++)
        ok = http_send(&c[sent], m, sent);
    while (ok && got < m.n) {
        if (poll(p, LOAD_WINDOW, PATIENCE_MS) <= 0)
            ok = failed("HTTP answer");
        for (size_t i = 0; ok && i < LOAD_WINDOW; i++) {
            bool whole = false;
            if (p[i].revents != 0)
                ok = http_read(&c[i], data_type, &whole);
            got += whole;
            if (ok && whole && sent < m.n)
                ok = http_send(&c[i], m, sent++);
        }
    }
    for (size_t i = 0; i < LOAD_WINDOW; i++) {
        if (c[i].fd >= 0)
            close(c[i].fd);
    }
    return ok;
}
