/* SPDX-License-Identifier: Apache-2.0 */
/* libre can neither share the port of a multicast group with another phone of this machine nor read
 * an address with a TTL, so both are done by hand. */
#include "group_multicast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_MAX 2048

/* --- the address ------------------------------------------------------------------------------ */

static bool
is_multicast(const struct sa *sa)
{
    return sa_af(sa) == AF_INET && sa_in(sa) >> 28 == 14; /* 224.0.0.0/4 */
}

bool
group_address_read(struct group_address *a, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t n = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char *end = NULL;
    unsigned long ttl = slash != NULL ? strtoul(slash + 1, &end, 10) : 1;

    if (sa_decode(&a->sa, text, n) != 0 || !is_multicast(&a->sa) || sa_port(&a->sa) == 0 ||
        (slash != NULL && (slash[1] < '1' || slash[1] > '9' || *end != '\0')) || ttl > UINT8_MAX)
        return false;
    a->ttl = (uint8_t)ttl;
    return true;
}

bool
group_address_write(struct mbuf *mb, const struct group_address *a)
{
    char line[64], with[64];

    (void)re_snprintf(line, sizeof line, "c=IN IP4 %j\r\n", &a->sa);
    (void)re_snprintf(with, sizeof with, "c=IN IP4 %j/%u\r\n", &a->sa, a->ttl);
    const uint8_t *at = memmem(mbuf_buf(mb), mbuf_get_left(mb), line, strlen(line));
    if (at == NULL)
        return false;
    const size_t begin = mb->pos, head = (size_t)(at - mb->buf), tail = head + strlen(line);
    const size_t grown = strlen(with) - strlen(line);
    if (mbuf_resize(mb, mb->end + grown) != 0)
        return false;
    memmove(mb->buf + tail + grown, mb->buf + tail, mb->end - tail);
    memcpy(mb->buf + head, with, strlen(with));
    mb->end += grown;
    mb->pos = begin;
    return true;
}

/* The value of the c= line behind the m= line; NULL when there is none. */
static const uint8_t *
connection(const struct mbuf *mb, size_t *n)
{
    static const char media[] = "\r\nm=", line[] = "\r\nc=IN IP4 ";
    const uint8_t *end = mbuf_buf(mb) + mbuf_get_left(mb);
    const uint8_t *p = memmem(mbuf_buf(mb), mbuf_get_left(mb), media, sizeof media - 1);

    p = p != NULL ? memmem(p, (size_t)(end - p), line, sizeof line - 1) : NULL;
    if (p == NULL)
        return NULL;
    p += sizeof line - 1;
    const uint8_t *cr = memchr(p, '\r', (size_t)(end - p));
    *n = (size_t)((cr != NULL ? cr : end) - p);
    return p;
}

bool
group_address_find(struct group_address *a, const struct mbuf *mb, uint16_t port)
{
    char text[40];
    size_t n = 0;
    const uint8_t *p = connection(mb, &n);

    if (p == NULL || n > 19) /* 239.255.255.255/255 */
        return false;
    const uint8_t *slash = memchr(p, '/', n);
    int address = (int)(slash != NULL ? (size_t)(slash - p) : n);
    snprintf(text, sizeof text, "%.*s:%u%.*s", address, (const char *)p, port, (int)n - address,
             (const char *)p + address);
    return group_address_read(a, text);
}

/* --- the socket ------------------------------------------------------------------------------- */

struct group_multicast {
    int fd;
    udp_recv_h *arrived;
    void *arg;
};

static void
destroy(void *data)
{
    struct group_multicast *gm = data;

    if (gm->fd < 0)
        return;
    fd_close(gm->fd);
    (void)close(gm->fd);
}

static void
readable(int flags, void *arg)
{
    struct group_multicast *gm = arg;
    struct mbuf *mb = mbuf_alloc(PACKET_MAX + 1);
    struct sa from;

    (void)flags;
    sa_init(&from, AF_INET);
    if (mb == NULL)
        return;
    ssize_t n = recv(gm->fd, mb->buf, mb->size, MSG_DONTWAIT);
    mb->end = n > 0 ? (size_t)n : 0;
    if (n > 0)
        gm->arrived(&from, mb, gm->arg);
    mem_deref(mb);
}

static struct sockaddr_in
ip4(const struct sa *sa)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(sa_port(sa)),
                                 .sin_addr.s_addr = htonl(sa_in(sa)) };
}

static int
listen_to(struct group_multicast *gm, const struct group_address *a, const struct sa *ip)
{
    const struct sockaddr_in group = ip4(&a->sa);
    const struct ip_mreq membership = { group.sin_addr, ip4(ip).sin_addr };
    const int one = 1, zero = 0;

    gm->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (gm->fd < 0 || setsockopt(gm->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        setsockopt(gm->fd, IPPROTO_IP, IP_MULTICAST_ALL, &zero, sizeof zero) != 0 ||
        bind(gm->fd, (const struct sockaddr *)&group, sizeof group) != 0 ||
        setsockopt(gm->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) != 0)
        return errno;
    return fd_listen(gm->fd, FD_READ, readable, gm);
}

static int
send_through(struct udp_sock *out, const struct group_address *a, const struct sa *ip)
{
    const struct in_addr interface = ip4(ip).sin_addr;
    const int fd = udp_sock_fd(out, AF_INET), ttl = a->ttl;

    return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) != 0 ||
                   setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl) != 0
               ? errno
               : 0;
}

int
group_multicast_join(struct group_multicast **out, const struct group_address *a,
                     const struct sa *ip, struct udp_sock *sender, udp_recv_h *arrived, void *arg)
{
    struct group_multicast *gm = mem_zalloc(sizeof *gm, destroy);

    *out = gm;
    if (gm == NULL)
        return ENOMEM;
    gm->fd = -1;
    gm->arrived = arrived;
    gm->arg = arg;
    int err = sa_af(ip) == AF_INET ? listen_to(gm, a, ip) : EAFNOSUPPORT;
    return err != 0 ? err : send_through(sender, a, ip);
}
