/* SPDX-License-Identifier: Apache-2.0 */
/* Binding. SO_REUSEPORT would also let a second daemon of the same user share our port unnoticed,
 * so the address is first bound once without it. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "net.h"

#define BACKLOG 1024
#define UDP_BUFFER (4 << 20)

static int
open_socket(const struct kms_listener *l, bool share)
{
    int type = l->transport == KMS_UDP ? SOCK_DGRAM : SOCK_STREAM, on = 1, size = UDP_BUFFER;
    int fd = socket(l->addr.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0;

    if (ok && l->addr.ss_family == AF_INET6)
        ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
    if (ok && l->transport == KMS_HTTP)
        ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (ok && share)
        ok = setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    if (ok && l->transport == KMS_UDP) { /* answers leave from the address that was asked */
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        if (l->addr.ss_family == AF_INET6)
            ok = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on) == 0;
        else
            ok = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on) == 0;
    }
    ok = ok && bind(fd, (const struct sockaddr *)&l->addr, l->addr_len) == 0;
    if (ok && share && l->transport == KMS_HTTP)
        ok = listen(fd, BACKLOG) == 0;
    if (!ok && fd >= 0) {
        int saved = errno;

        close(fd);
        errno = saved;
    }
    return ok ? fd : -1;
}

static void
rename_url(struct kms_listener *l)
{
    char at[KMS_ADDRESS_TEXT];

    kms_address_text((const struct sockaddr *)&l->addr, at);
    snprintf(l->url, sizeof l->url, "%s://%s%s",
             l->transport == KMS_UDP ? "udp"
             : l->tls                ? "https"
                                     : "http",
             at, l->prefix);
}

static bool
fail_listen(const struct kms_listener *l, const char *doing, char *err)
{
    int e = errno;

    snprintf(err, KMS_NET_ERR, "cannot %s %s: %s%s", doing, l->url, strerror(e),
             e == EADDRINUSE      ? "; another program listens there"
             : e == EACCES        ? "; ports below 1024 need a privilege"
             : e == EADDRNOTAVAIL ? "; this machine does not have that address"
                                  : "");
    return false;
}

static bool
make_sockets(struct kms_listener *l, int *fds, size_t n, char *err)
{
    int probe = open_socket(l, false);

    if (probe < 0)
        return fail_listen(l, "listen on", err);
    l->addr_len = sizeof l->addr;
    if (getsockname(probe, (struct sockaddr *)&l->addr, &l->addr_len) != 0) {
        fail_listen(l, "find the port of", err);
        close(probe);
        return false;
    }
    close(probe);
    for (size_t i = 0; i < n; i++) {
        fds[i] = open_socket(l, true);
        if (fds[i] >= 0)
            continue;
        fail_listen(l, "listen on", err);
        while (i-- > 0)
            close(fds[i]);
        return false;
    }
    rename_url(l);
    return true;
}

bool
kms_listen_bind(struct kms_listener *l, size_t n, char *err)
{
    int *fds = calloc(n, sizeof *fds);

    if (fds == NULL || !make_sockets(l, fds, n, err)) {
        if (fds == NULL)
            snprintf(err, KMS_NET_ERR, "out of memory");
        free(fds);
        return false;
    }
    l->bound = fds;
    l->n_bound = n;
    return true;
}

void
kms_listen_close(struct kms_listener *l)
{
    for (size_t i = 0; i < l->n_bound; i++)
        close(l->bound[i]);
    free(l->bound);
    l->bound = NULL;
    l->n_bound = 0;
}

bool
kms_listen_sockets(struct kms_listener *l, int *fds, size_t n, char *err)
{
    if (l->n_bound != n)
        return make_sockets(l, fds, n, err);
    memcpy(fds, l->bound, n * sizeof *fds);
    l->n_bound = 0;
    kms_listen_close(l);
    return true;
}
