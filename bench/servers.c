/* SPDX-License-Identifier: Apache-2.0 */
/* Bare servers: see servers.h. */
#include "servers.h"

#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH 32
#define DATAGRAM_MAX 2048

struct fixed {
    const uint8_t *answer;
    size_t n;
};

/* A child that goes when the benchmark goes. */
static pid_t
child(void)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent))
        _exit(1);
    return pid;
}

static int
bound(int type, const struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, type, 0), one = 1;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 ||
        (type == SOCK_STREAM && listen(fd, 64) != 0))
        return -1;
    return fd;
}

static _Noreturn void
echo(int fd, struct fixed f)
{
    static uint8_t in[BATCH][DATAGRAM_MAX];
    struct sockaddr_in from[BATCH];
    struct iovec in_iov[BATCH], out_iov = { (void *)(uintptr_t)f.answer, f.n };
    struct mmsghdr m[BATCH];
    struct pollfd p = { .fd = fd, .events = POLLIN };

    for (;;) {
        poll(&p, 1, -1);
        for (size_t i = 0; i < BATCH; i++) {
            in_iov[i] = (struct iovec){ in[i], DATAGRAM_MAX };
            m[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
                                            .msg_namelen = sizeof from[i],
                                            .msg_iov = &in_iov[i],
                                            .msg_iovlen = 1 };
        }
        int n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            m[i].msg_hdr.msg_iov = &out_iov;
        if (n > 0)
            sendmmsg(fd, m, (unsigned)n, 0);
    }
}

pid_t
server_udp_echo(const struct sockaddr_in *addr, const uint8_t *answer, size_t n)
{
    int fd = bound(SOCK_DGRAM, addr);
    pid_t pid = fd < 0 ? -1 : child();
    if (pid == 0)
        echo(fd, (struct fixed){ answer, n });
    if (fd >= 0)
        close(fd);
    return pid;
}

/* Called for the head, for each part of the body, and once more at its end. */
static enum MHD_Result
answer_all(void *cls, struct MHD_Connection *c, const char *path, const char *method,
           const char *version, const char *data, size_t *n, void **context)
{
    const struct fixed *f = cls;
    (void)path;
    (void)method;
    (void)version;
    (void)data;
    if (*context == NULL || *n != 0) {
        *context = cls;
        *n = 0;
        return MHD_YES;
    }
    struct MHD_Response *r =
        MHD_create_response_from_buffer(f->n, (void *)(uintptr_t)f->answer, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/mikey");
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result rc = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return rc;
}

pid_t
server_http_fixed(const struct sockaddr_in *addr, const uint8_t *answer, size_t n)
{
    int fd = bound(SOCK_STREAM, addr);
    pid_t pid = fd < 0 ? -1 : child();
    if (pid == 0) {
        struct fixed f = { answer, n };
        if (MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer_all, &f,
                             MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
                             MHD_OPTION_END) == NULL)
            _exit(1);
        for (;;)
            pause();
    }
    if (fd >= 0)
        close(fd);
    return pid;
}

double
server_cpu_us(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return -1;
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The child that a server with one thread at its start has; -1: none. */
static pid_t
child_of(pid_t pid)
{
    char path[64], text[32] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return -1;
    pid_t child = fgets(text, sizeof text, f) == NULL ? -1 : (pid_t)strtol(text, NULL, 10);
    fclose(f);
    return child;
}

double
server_family_cpu_us(pid_t pid)
{
    double own = server_cpu_us(pid);
    pid_t child = child_of(pid);
    double more = child > 0 ? server_cpu_us(child) : 0;
    return own < 0 || more < 0 ? -1 : own + more;
}

void
server_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}
