/* SPDX-License-Identifier: Apache-2.0 */
/* Syslog: each record is one message of RFC 5424 to the local socket, facility "log audit" (13),
 * severity "informational" (6). The record is the MSG, as it stands in the file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "audit_outlet.h"
#include "trail.h"

#define PRIORITY (13 * 8 + 6)
#define TIME_KEY ",\"time\":\""
#define TIME_LEN 27

struct syslog_sink {
    struct sockaddr_un to;
    struct timeval timeout;
    int fd; /* -1: not connected */
    char host[256];
    char message[KMS_RECORD_MAX + 1024];
};

static void *
syslog_open(const struct kms_config *config, char err[KMS_AUDIT_ERR])
{
    const char *target = config->audit_syslog;
    struct syslog_sink *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->fd = -1;
    s->timeout.tv_sec = config->audit_timeout_s;
    s->to.sun_family = AF_UNIX;
    if (strlen(target) >= sizeof s->to.sun_path) {
        snprintf(err, KMS_AUDIT_ERR, "audit.syslog: the path is too long for a socket");
        free(s);
        return NULL;
    }
    memcpy(s->to.sun_path, target, strlen(target));
    if (gethostname(s->host, sizeof s->host - 1) != 0 || s->host[0] == '\0')
        memcpy(s->host, "-", 2); /* NILVALUE */
    return s;
}

static void
hang_up(struct syslog_sink *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static bool
connect_to(struct syslog_sink *s)
{
    if (s->fd >= 0)
        return true;
    s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return s->fd >= 0 &&
           setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &s->timeout, sizeof s->timeout) == 0 &&
           connect(s->fd, (const struct sockaddr *)&s->to, sizeof s->to) == 0;
}

/* HEADER SP STRUCTURED-DATA SP MSG; the time is the record's own. */
static bool
send_line(struct syslog_sink *s, const char *line, size_t n)
{
    const char *time = memmem(line, n, TIME_KEY, sizeof TIME_KEY - 1);
    int len;

    if (time == NULL || (size_t)(line + n - time) < sizeof TIME_KEY + TIME_LEN)
        return true; /* no record */
    len = snprintf(s->message, sizeof s->message, "<%d>1 %.*s %s mikey-kmsd %d audit - %.*s",
                   PRIORITY, TIME_LEN, time + sizeof TIME_KEY - 1, s->host, (int)getpid(), (int)n,
                   line);
    if (len < 0 || (size_t)len >= sizeof s->message)
        len = (int)sizeof s->message - 1;
    return send(s->fd, s->message, (size_t)len, MSG_NOSIGNAL) == len;
}

static size_t
syslog_send(void *self, const char *lines, size_t n, char err[KMS_AUDIT_ERR])
{
    struct syslog_sink *s = self;
    size_t taken = 0;

    while (taken < n) {
        const char *end = memchr(lines + taken, '\n', n - taken);
        size_t line = end == NULL ? n - taken : (size_t)(end - lines) - taken;

        if (!connect_to(s) || !send_line(s, lines + taken, line)) {
            snprintf(err, KMS_AUDIT_ERR, "%s cannot be written: %s", s->to.sun_path,
                     strerror(errno));
            hang_up(s);
            break;
        }
        taken += line + (end != NULL);
    }
    return taken;
}

static void
syslog_close(void *self)
{
    hang_up(self);
    free(self);
}

const struct kms_outlet_kind kms_outlet_syslog = {
    "syslog",    KMS_AUDIT_SYSLOG, offsetof(struct kms_config, audit_syslog),
    syslog_open, syslog_send,      syslog_close
};
