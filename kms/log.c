/* SPDX-License-Identifier: Apache-2.0 */
/* Lines are made on the stack and written with one write of less than PIPE_BUF octets, after poll
 * says that it will not block. */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 4000 /* below PIPE_BUF: written whole */
#define TEXT_MAX 256

struct line {
    char b[LINE_MAX_LEN];
    size_t n;
};

const char *
kms_level_name(enum kms_level level)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };

    return names[level];
}

void
kms_log_init(struct kms_log *log, int fd, enum kms_level level, bool json)
{
    log->fd = fd;
    log->level = level;
    log->json = json;
    pthread_mutex_init(&log->lock, NULL);
    atomic_init(&log->lost, 0);
}

static void
put(struct line *l, const char *s, size_t n)
{
    size_t room = sizeof l->b - 2 - l->n; /* the end of the line always fits */

    if (n > room)
        n = room;
    memcpy(l->b + l->n, s, n);
    l->n += n;
}

static void
puts_(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

static bool
plain(struct mkt_span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '=')
            return false;
    return s.n != 0;
}

/* Everything that is not printable ASCII is escaped, so that no message can forge a line. */
static void
put_quoted(struct line *l, struct mkt_span s)
{
    char esc[8];

    put(l, "\"", 1);
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];

        if (c == '"' || c == '\\') {
            esc[0] = '\\';
            esc[1] = (char)c;
            put(l, esc, 2);
        } else if (c >= ' ' && c < 0x7f) {
            put(l, (const char *)&c, 1);
        } else {
            put(l, esc, (size_t)snprintf(esc, sizeof esc, "\\u%04x", c));
        }
    }
    put(l, "\"", 1);
}

static void
put_field(struct line *l, const struct kms_field *f, bool json)
{
    struct mkt_span text = mkt_span(f->text.p, f->text.n > TEXT_MAX ? TEXT_MAX : f->text.n);
    char num[24];

    puts_(l, json ? ",\"" : " ");
    puts_(l, f->key);
    puts_(l, json ? "\":" : "=");
    if (f->number)
        put(l, num, (size_t)snprintf(num, sizeof num, "%" PRId64, f->i));
    else if (!json && plain(text))
        put(l, (const char *)text.p, text.n);
    else
        put_quoted(l, text);
}

static void
put_time(struct line *l)
{
    struct timespec ts;
    struct tm tm;
    char buf[40];
    size_t n;

    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    n = strftime(buf, sizeof buf, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(buf + n, sizeof buf - n, ".%03ldZ", ts.tv_nsec / 1000000);
    put(l, buf, n);
}

void
kms_log_line(struct kms_log *log, enum kms_level level, const char *event,
             const struct kms_field *fields, size_t n)
{
    struct pollfd pfd = { .fd = log->fd, .events = POLLOUT };
    struct line l;
    ssize_t done = -1;

    if (level < log->level)
        return;
    l.n = 0;
    puts_(&l, log->json ? "{\"time\":\"" : "");
    put_time(&l);
    puts_(&l, log->json ? "\",\"level\":\"" : " ");
    puts_(&l, kms_level_name(level));
    puts_(&l, log->json ? "\",\"event\":\"" : " ");
    puts_(&l, event);
    puts_(&l, log->json ? "\"" : "");
    for (size_t i = 0; i < n; i++)
        put_field(&l, &fields[i], log->json);
    if (log->json)
        l.b[l.n++] = '}';
    l.b[l.n++] = '\n';
    pthread_mutex_lock(&log->lock);
    if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLOUT) != 0)
        done = write(log->fd, l.b, l.n);
    pthread_mutex_unlock(&log->lock);
    if (done != (ssize_t)l.n)
        atomic_fetch_add_explicit(&log->lost, 1, memory_order_relaxed);
}
