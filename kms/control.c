/* SPDX-License-Identifier: Apache-2.0 */
/* One question a connection, one connection at a time: an operator's pace. */
#include "control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control_verbs.h"

#define PATIENCE_S 5 /* with one who says nothing, or does not read */

struct kms_control {
    struct kms_control_scene scene;
    struct sockaddr_un at;
    int fd, stop;
    pthread_t thread;
};

static bool
may_ask(int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == 0 || who.uid == geteuid());
}

/* One line without its end; false when there is none, or it is too long. */
static bool
read_line(int fd, char line[KMS_CONTROL_LINE])
{
    size_t n = 0;
    ssize_t got;
    char *end = NULL;

    while (end == NULL && n < KMS_CONTROL_LINE) {
        got = recv(fd, line + n, KMS_CONTROL_LINE - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
        end = memchr(line, '\n', n);
    }
    if (end == NULL || end != line + n - 1 || memchr(line, '\0', n) != NULL)
        return false;
    *end = '\0';
    return true;
}

static void
send_all(int fd, const char *text, size_t n)
{
    ssize_t done;

    while (n > 0 && (done = send(fd, text, n, MSG_NOSIGNAL)) > 0) {
        text += done;
        n -= (size_t)done;
    }
}

static void
serve(struct kms_control *c, int fd)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    char line[KMS_CONTROL_LINE], *text = NULL;
    size_t n = 0;
    FILE *out;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    out = open_memstream(&text, &n);
    if (out == NULL)
        return;
    if (!read_line(fd, line))
        fputs("error: a question is one line\n", out);
    else if (!may_ask(fd))
        fputs("error: only root and the user of the daemon may ask here\n", out);
    else
        kms_control_answer(&c->scene, line, out);
    if (fclose(out) == 0)
        send_all(fd, text, n);
    free(text);
    for (int i = 0; i < 64 && recv(fd, line, sizeof line, MSG_DONTWAIT) > 0; i++)
        ; /* what is left unread would reset the connection, and lose the answer */
}

static void *
run(void *arg)
{
    struct kms_control *c = arg;
    struct pollfd p[] = { { .fd = c->stop, .events = POLLIN }, { .fd = c->fd, .events = POLLIN } };
    int fd;

    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[0].revents != 0)
            return NULL;
        fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        serve(c, fd);
        close(fd);
    }
}

/* A socket that nobody listens on is left over from a daemon that was killed. */
static bool
clear_way(const struct sockaddr_un *at, char *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool alive = fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) == 0;
    struct stat st;

    if (fd >= 0)
        close(fd);
    if (alive)
        return kms_files_fail(err, "%s: another daemon listens there", at->sun_path);
    if (stat(at->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return kms_files_fail(err, "%s: is there, and is not a socket", at->sun_path);
    if (unlink(at->sun_path) != 0 && errno != ENOENT)
        return kms_files_fail(err, "%s: %s", at->sun_path, strerror(errno));
    return true;
}

static bool
listen_at(struct kms_control *c, char *err)
{
    if (!clear_way(&c->at, err))
        return false;
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || bind(c->fd, (const struct sockaddr *)&c->at, sizeof c->at) != 0 ||
        listen(c->fd, 16) != 0)
        return kms_files_fail(err, "%s: %s", c->at.sun_path, strerror(errno));
    return true;
}

bool
kms_control_start(struct kms_control **control, struct kms_service *sv, struct kms_reload *r,
                  char *err)
{
    const char *path = sv->config->control;
    struct kms_control *c;

    *control = NULL;
    if (path[0] == '\0')
        return true;
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return kms_files_fail(err, "out of memory");
    if (strlen(path) >= sizeof c->at.sun_path) {
        free(c);
        return kms_files_fail(err, "%.200s: the path of a socket has at most 107 octets", path);
    }
    c->scene = (struct kms_control_scene){ sv, r };
    c->at.sun_family = AF_UNIX;
    memcpy(c->at.sun_path, path, strlen(path) + 1);
    c->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->fd = -1;
    if (c->stop >= 0 && listen_at(c, err) && pthread_create(&c->thread, NULL, run, c) == 0) {
        *control = c;
        return true;
    }
    if (err[0] == '\0')
        kms_files_fail(err, "cannot start the thread of the control socket");
    if (c->fd >= 0)
        close(c->fd);
    if (c->stop >= 0)
        close(c->stop);
    free(c);
    return false;
}

void
kms_control_stop(struct kms_control *c)
{
    if (c == NULL)
        return;
    (void)eventfd_write(c->stop, 1);
    pthread_join(c->thread, NULL);
    unlink(c->at.sun_path);
    close(c->fd);
    close(c->stop);
    free(c);
}
