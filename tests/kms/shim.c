/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a real daemon where the kernel offers a test nothing better: a clock that jumps,
 * as time namespaces do not have one, a disk that takes its time, as device mapper is not
 * everywhere, and a count of connections that could not be taken. What it does stands in the file
 * that RIG_SHIM names, and changes while it runs; there it counts.
 * SQLite alone asks gettimeofday: so a store can have another clock than the daemon, as one on
 * another machine has. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REST_MS 20

struct wish {
    int64_t ahead_ns;       /* of the real clock */
    int64_t sync_ns;        /* that each fdatasync and fsync takes more */
    int64_t store_ahead_ns; /* of the real clock: that of SQLite */
    _Atomic int64_t full;   /* connections that could not be taken, for want of a descriptor... */
    _Atomic int64_t hasty;  /* ...by a thread that had just been told so, and had not rested */
};

int clock_gettime(clockid_t id, struct timespec *ts);
int gettimeofday(struct timeval *tv, void *zone);
time_t time(time_t *t);
int fdatasync(int fd);
int fsync(int fd);

static volatile struct wish *wish;
static __thread bool told;

static void __attribute__((constructor)) begin(void)
{
    const char *path = getenv("RIG_SHIM");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *p =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *wish, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED)
        abort();
    wish = p;
    close(fd);
}

static void
bend(struct timespec *ts, int64_t ahead_ns)
{
    int64_t ns = (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec + ahead_ns;

    ts->tv_sec = ns / 1000000000;
    ts->tv_nsec = ns % 1000000000;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && wish != NULL && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        bend(ts, wish->ahead_ns);
    return rc;
}

int
gettimeofday(struct timeval *tv, void *zone)
{
    struct timespec ts;

    (void)zone;
    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
    if (wish != NULL)
        bend(&ts, wish->store_ahead_ns);
    *tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
    return 0;
}

time_t
time(time_t *t)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (t != NULL)
        *t = ts.tv_sec;
    return ts.tv_sec;
}

static void
wait_a_bit(void)
{
    int64_t ns = wish == NULL ? 0 : wish->sync_ns;
    const struct timespec ts = { ns / 1000000000, ns % 1000000000 };

    if (ns > 0)
        nanosleep(&ts, NULL);
}

int
fdatasync(int fd)
{
    wait_a_bit();
    return (int)syscall(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
    wait_a_bit();
    return (int)syscall(SYS_fsync, fd);
}

int
accept4(int fd, __SOCKADDR_ARG addr, socklen_t *len, int flags)
{
    int got = (int)syscall(SYS_accept4, fd, addr.__sockaddr__, len, flags);
    bool full = got < 0 && errno == EMFILE;

    if (full && wish != NULL) {
        atomic_fetch_add(&wish->full, 1);
        atomic_fetch_add(&wish->hasty, told ? 1 : 0);
    }
    told = full;
    return got;
}

int
poll(struct pollfd *fds, nfds_t n, int ms)
{
    if (n == 0 && ms >= REST_MS)
        told = false;
    return (int)syscall(SYS_poll, fds, n, ms);
}
