/* SPDX-License-Identifier: Apache-2.0 */
/* Segments on disk. The file is opened for appending and never rewritten; only octets that no
 * answer was given for are ever cut off. */
#include "audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static bool __attribute__((format(printf, 2, 3))) fail(char *err, const char *fmt, ...)
{
    int saved = errno;
    size_t n;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, KMS_AUDIT_ERR, fmt, ap);
    va_end(ap);
    n = strlen(err);
    snprintf(err + n, KMS_AUDIT_ERR - n, ": %s", strerror(saved));
    return false;
}

static void
set_path(struct kms_audit_file *f, uint64_t segment)
{
    char name[40];

    kms_segment_name(segment, name);
    snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    f->segment = segment;
}

bool
kms_audit_file_gone(const struct kms_audit_file *f)
{
    struct stat st;

    return f->fd < 0 || stat(f->path, &st) != 0 || st.st_ino != f->identity.st_ino ||
           st.st_dev != f->identity.st_dev;
}

static bool
take(struct kms_audit_file *f, int fd, uint64_t size)
{
    f->fd = fd;
    f->size = size;
    f->littered = false;
    return fd >= 0 && fstat(fd, &f->identity) == 0;
}

/* What root makes for a daemon belongs to the daemon: to whom the folder around it belongs. */
static bool
give_away(const char *path)
{
    const char *slash = strrchr(path, '/');
    char around[4200];
    struct stat st;

    if (geteuid() != 0)
        return true;
    snprintf(around, sizeof around, "%.*s", slash == NULL ? 1 : (int)(slash - path) + 1,
             slash == NULL ? "." : path);
    return stat(around, &st) == 0 && chown(path, st.st_uid, st.st_gid) == 0;
}

/* One writer a folder: two would break each other's chain. A folder that goes while we run is not
 * made anew: whoever took it away has to say so. */
static bool
lock_folder(struct kms_audit_file *f, bool make, char *err)
{
    if (f->lock >= 0)
        close(f->lock);
    f->lock = -1;
    if (make && (mkdir(f->dir, 0700) == 0 ? !give_away(f->dir) : errno != EEXIST))
        return fail(err, "%s cannot be made", f->dir);
    f->lock = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->lock < 0)
        return fail(err, "%s cannot be opened", f->dir);
    if (flock(f->lock, LOCK_EX | LOCK_NB) != 0)
        return fail(err, "%s " KMS_AUDIT_TAKEN, f->dir);
    return true;
}

static bool
folder_is_ours(const struct kms_audit_file *f)
{
    struct stat held, named;

    return f->lock >= 0 && fstat(f->lock, &held) == 0 && stat(f->dir, &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

bool
kms_audit_file_next(struct kms_audit_file *f, char err[KMS_AUDIT_ERR])
{
    uint64_t *numbers, last;
    size_t n;
    int fd;

    if (!folder_is_ours(f) && !lock_folder(f, false, err))
        return false;
    if (!kms_segments(f->dir, &numbers, &n))
        return fail(err, "%s cannot be read", f->dir);
    last = n == 0 ? 0 : numbers[n - 1];
    free(numbers);
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    set_path(f, (last > f->segment ? last : f->segment) + 1);
    fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (!take(f, fd, 0) || !give_away(f->path) || fsync(f->lock) != 0)
        return fail(err, "%s cannot be made", f->path);
    return true;
}

static bool
write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

bool
kms_audit_file_write(struct kms_audit_file *f, const char *lines, size_t n, char err[KMS_AUDIT_ERR])
{
    if (kms_audit_file_gone(f)) {
        errno = ENOENT;
        return fail(err, "%s is gone", f->path);
    }
    if (f->littered && ftruncate(f->fd, (off_t)f->size) != 0)
        return fail(err, "%s cannot be cut to its good part", f->path);
    f->littered = true;
    if (write_all(f->fd, lines, n) && (!f->sync || fdatasync(f->fd) == 0)) {
        f->size += n;
        f->littered = false;
        return true;
    }
    (void)fail(err, "%s cannot be written", f->path);
    f->littered = ftruncate(f->fd, (off_t)f->size) != 0;
    return false;
}

static void
note_damage(void *ctx, const char *file, uint64_t line, const char *text)
{
    struct kms_audit_found *found = ctx;

    if (found->first[0] == '\0')
        snprintf(found->first, sizeof found->first, "%.64s:%" PRIu64 ": %s", file, line, text);
}

/* Reads the segment and cuts its torn end off; *empty when nothing is left of it. */
static bool
recover(struct kms_audit_file *f, struct kms_walk *w, struct kms_audit_found *found, bool *empty,
        char *err)
{
    uint64_t torn;
    int fd;

    *w = (struct kms_walk){ .crypto = w->crypto,
                            .dir = f->dir,
                            .seal = w->seal,
                            .damage = note_damage,
                            .ctx = found,
                            .trust_first = true };
    found->first[0] = '\0';
    if (!kms_walk_file(w, f->segment))
        return fail(err, "%s cannot be read", f->path);
    torn = w->size - w->end;
    *empty = w->end == 0;
    found->torn += torn;
    found->damages = w->damages - (torn != 0) - (w->size == 0);
    if (found->damages == 0)
        found->first[0] = '\0';
    fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (!take(f, fd, w->end) ||
        (torn != 0 && (ftruncate(fd, (off_t)w->end) != 0 || fsync(fd) != 0)))
        return fail(err, "%s cannot be opened for writing", f->path);
    return true;
}

bool
kms_audit_file_open(struct kms_audit_file *f, const char *dir, bool sync, struct mkt_crypto *crypto,
                    const struct kms_head *seal, struct kms_audit_found *found,
                    char err[KMS_AUDIT_ERR])
{
    struct kms_walk w = { .crypto = crypto, .seal = seal };
    uint64_t *numbers;
    bool empty = true, ok;
    size_t n;

    *f = (struct kms_audit_file){ .dir = dir, .sync = sync, .fd = -1, .lock = -1 };
    memset(found, 0, sizeof *found);
    if (!lock_folder(f, true, err))
        return false;
    ok = kms_segments(dir, &numbers, &n) || fail(err, "%s cannot be read", dir);
    while (ok && empty && n > 0) { /* a crash may leave a segment without a whole record */
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        set_path(f, numbers[--n]);
        ok = recover(f, &w, found, &empty, err);
        if (ok && empty && unlink(f->path) != 0)
            ok = fail(err, "%s cannot be removed", f->path);
    }
    free(numbers);
    if (ok && !empty)
        found->head = w.head;
    if (empty && f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
        f->segment = 0;
    }
    return ok;
}

void
kms_audit_file_close(struct kms_audit_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->lock >= 0)
        close(f->lock);
    f->fd = f->lock = -1;
}
