/* SPDX-License-Identifier: Apache-2.0 */
/* Files that other commands, on other machines, read. Reading refuses secrets that others could
 * have read or changed; writing goes through a temporary file and a rename, so that no reader ever
 * meets half a ticket. */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "write_all.h"

static bool
fail_errno(struct cli_error *err, const char *doing, const char *path)
{
    return cli_fail(err, CLI_EXIT_FAILURE, "cannot %s %s: %s", doing, path, strerror(errno));
}

static void
fd_close(const int *fd)
{
    if (*fd > STDERR_FILENO)
        close(*fd);
}

static bool
check_private(int fd, const char *path, struct cli_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail_errno(err, "look at", path);
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE,
                        "%s holds secrets, but its mode 0%o lets others reach it. Run: chmod 600 "
                        "%s",
                        path, (unsigned)st.st_mode & 0777U, path);
    return true;
}

ssize_t
cli_fd_read(int fd, const char *path, uint8_t *to, size_t n, struct cli_error *err)
{
    size_t at = 0;

    while (at < n) {
        ssize_t got = read(fd, to + at, n - at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            fail_errno(err, "read", path);
            return -1;
        }
        if (got == 0)
            break;
        at += (size_t)got;
    }
    return (ssize_t)at;
}

static bool
read_some(struct cli_blob *out, const char *path, size_t max, enum cli_privacy privacy,
          struct cli_error *err)
{
    bool from_stdin = privacy == CLI_PUBLIC && strcmp(path, "-") == 0;
    __attribute__((cleanup(fd_close))) int fd =
        from_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "open", path);
    if ((privacy == CLI_SECRET && !check_private(fd, path, err)) || !cli_blob_alloc(out, max, err))
        return false;
    ssize_t got = cli_fd_read(fd, path, out->p, max, err);
    out->n = got > 0 ? (size_t)got : 0;
    return got >= 0;
}

bool
cli_file_begin(struct cli_blob *out, const char *path, size_t max, struct cli_error *err)
{
    return read_some(out, path, max, CLI_PUBLIC, err);
}

bool
cli_file_too_long(const char *path, size_t max, struct cli_error *err)
{
    return cli_fail(err, CLI_EXIT_FAILURE, "%s is longer than the %zu octets expected at most",
                    path, max);
}

bool
cli_file_read(struct cli_blob *out, const char *path, size_t max, enum cli_privacy privacy,
              struct cli_error *err)
{
    /* one more: to see that it is too long */
    return read_some(out, path, max + 1, privacy, err) &&
           (out->n <= max || cli_file_too_long(path, max, err));
}

static bool
write_all(int fd, struct mkt_span octets)
{
    return mkt_write_all(fd, octets.p, octets.n);
}

static mode_t
mode_of(enum cli_privacy privacy)
{
    if (privacy == CLI_SECRET)
        return 0600;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* The rename is only durable when the directory is. */
static bool
sync_directory(const char *path)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return false;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    bool done = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL);
    if (fd >= 0)
        close(fd);
    return done;
}

/* --- drafts ----------------------------------------------------------------------------------- */

static char *volatile unfinished; /* the draft that a signal removes; NULL: none */

static void
interrupted(int sig)
{
    if (unfinished != NULL)
        unlink(unfinished);
    raise(sig); /* comes when we return, and ends us */
}

void
cli_draft_guard(void)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    const struct sigaction remove_it = { .sa_handler = interrupted, .sa_flags = (int)SA_RESETHAND };
    struct sigaction now;

    for (size_t i = 0; i < CLI_COUNT(signals); i++)
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            (void)!sigaction(signals[i], &remove_it, NULL);
}

/* Standard output, pipes and devices cannot be renamed to: their draft has no name, and is copied
 * when it is whole. */
static bool
open_draft(struct cli_draft *d)
{
    const char *dir = getenv("TMPDIR");

    if (d->copied)
        snprintf(d->temporary, sizeof d->temporary, "%s/mikey-ticket.XXXXXX",
                 dir != NULL && *dir != '\0' ? dir : "/tmp");
    d->fd = mkostemp(d->temporary, O_CLOEXEC); /* mode 0600 */
    if (d->fd < 0)
        *d->temporary = '\0'; /* nothing to remove */
    if (d->fd >= 0 && d->copied) {
        unlink(d->temporary);
        *d->temporary = '\0';
    }
    unfinished = *d->temporary != '\0' ? d->temporary : NULL;
    return d->fd >= 0;
}

static const char *
draft_name(const struct cli_draft *d)
{
    return d->path != NULL ? d->path : "standard output";
}

bool
cli_draft_open(struct cli_draft *d, const char *path, struct cli_error *err)
{
    struct stat st = { .st_mode = path != NULL ? S_IFREG : 0 };

    *d = (struct cli_draft){ .path = path, .fd = -1 };
    if (path != NULL && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return fail_errno(err, "write", path);
    }
    d->copied = !S_ISREG(st.st_mode);
    int n = snprintf(d->temporary, sizeof d->temporary, "%s.XXXXXX", path != NULL ? path : "");
    if (n < 0 || (size_t)n >= sizeof d->temporary)
        return cli_fail(err, CLI_EXIT_FAILURE, "the file name %.60s... is too long", path);
    return open_draft(d) || fail_errno(err, "write", draft_name(d));
}

bool
cli_draft_add(struct cli_draft *d, struct mkt_span octets, struct cli_error *err)
{
    return write_all(d->fd, octets) || fail_errno(err, "write", draft_name(d));
}

static bool
copy(int fd, int to)
{
    uint8_t buffer[65536];
    ssize_t got = 1;

    if (to < 0 || lseek(fd, 0, SEEK_SET) != 0)
        return false;
    while (got > 0) {
        got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got < 0 || !write_all(to, mkt_span(buffer, (size_t)got)))
            return false;
    }
    return true;
}

static bool
copy_out(const struct cli_draft *d)
{
    __attribute__((cleanup(fd_close))) int to =
        d->path != NULL ? open(d->path, O_WRONLY | O_NOCTTY | O_CLOEXEC) : STDOUT_FILENO;
    return copy(d->fd, to);
}

bool
cli_draft_keep(struct cli_draft *d, enum cli_privacy privacy, struct cli_error *err)
{
    if (d->copied)
        return copy_out(d) || fail_errno(err, "write", draft_name(d));
    if (fchmod(d->fd, mode_of(privacy)) != 0 || fsync(d->fd) != 0 ||
        rename(d->temporary, d->path) != 0)
        return fail_errno(err, "write", d->path);
    unfinished = NULL;
    *d->temporary = '\0';
    return sync_directory(d->path) || fail_errno(err, "synchronise the directory of", d->path);
}

void
cli_draft_end(struct cli_draft *d)
{
    if (*d->temporary != '\0')
        unlink(d->temporary);
    unfinished = NULL;
    if (d->fd >= 0)
        close(d->fd);
    *d = (struct cli_draft){ .fd = -1 };
}

bool
cli_file_write(const char *path, enum cli_privacy privacy, struct mkt_span octets,
               struct cli_error *err)
{
    CLI_SCOPED_DRAFT d = { .fd = -1 };

    if (privacy == CLI_PUBLIC && strcmp(path, "-") == 0)
        return write_all(STDOUT_FILENO, octets) || fail_errno(err, "write", "standard output");
    return cli_draft_open(&d, path, err) && cli_draft_add(&d, octets, err) &&
           cli_draft_keep(&d, privacy, err);
}

/* A file that was replaced while we waited is not the one to lock: there is a new one. */
static bool
is_current(int fd, const char *path)
{
    struct stat ours, now;
    return fstat(fd, &ours) == 0 && stat(path, &now) == 0 && ours.st_ino == now.st_ino &&
           ours.st_dev == now.st_dev;
}

bool
cli_file_lock(int *lock, const char *path, struct cli_error *err)
{
    for (;;) {
        *lock = open(path, O_RDONLY | O_CLOEXEC);
        if (*lock < 0)
            return fail_errno(err, "open", path);
        while (flock(*lock, LOCK_EX) != 0)
            if (errno != EINTR)
                return fail_errno(err, "lock", path);
        if (is_current(*lock, path))
            return true;
        cli_file_unlock(lock);
    }
}

void
cli_file_unlock(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}

bool
cli_file_wipe(const char *path, struct cli_error *err)
{
    static const uint8_t zeros[4096];
    struct stat st = { 0 };
    __attribute__((cleanup(fd_close))) int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || fstat(fd, &st) != 0)
        return fail_errno(err, "open", path);
    bool done = true;
    for (off_t at = 0; done && at < st.st_size; at += (off_t)sizeof zeros)
        done = write_all(fd, mkt_span(zeros, st.st_size - at < (off_t)sizeof zeros
                                                 ? (size_t)(st.st_size - at)
                                                 : sizeof zeros));
    return (done && fsync(fd) == 0 && unlink(path) == 0) || fail_errno(err, "wipe", path);
}
