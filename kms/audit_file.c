/* SPDX-License-Identifier: Apache-2.0 */
/* Segments on disk. The file is opened for appending and never rewritten; only octets that no
 * answer was given for are ever cut off. */
#include "audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "write_all.h"

static void
set_path(struct kms_audit_file *f, uint64_t segment)
{
    char name[40];

    kms_segment_name(segment, name);
    snprintf(f->path, sizeof f->path, "%s/%s", f->folder.path, name);
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

bool
kms_audit_file_next(struct kms_audit_file *f, char err[KMS_AUDIT_ERR])
{
    uint64_t *numbers, last;
    size_t n;
    int fd;

    /* A folder that goes while we run is not made anew: whoever took it away has to say so. */
    if (!kms_audit_folder_ours(&f->folder) && !kms_audit_folder_take(&f->folder, false, err))
        return false;
    if (!kms_segments(f->folder.path, &numbers, &n))
        return kms_audit_fail(err, "%s cannot be read", f->folder.path);
    last = n == 0 ? 0 : numbers[n - 1];
    free(numbers);
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    set_path(f, (last > f->segment ? last : f->segment) + 1);
    fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (!take(f, fd, 0) || !kms_audit_give_away(f->path) || fsync(f->folder.fd) != 0)
        return kms_audit_fail(err, "%s cannot be made", f->path);
    return true;
}

bool
kms_audit_file_write(struct kms_audit_file *f, const char *lines, size_t n, char err[KMS_AUDIT_ERR])
{
    if (kms_audit_file_gone(f)) {
        errno = ENOENT;
        return kms_audit_fail(err, "%s is gone", f->path);
    }
    if (f->littered && ftruncate(f->fd, (off_t)f->size) != 0)
        return kms_audit_fail(err, "%s cannot be cut to its good part", f->path);
    f->littered = true;
    if (mkt_write_all(f->fd, lines, n) && (!f->sync || fdatasync(f->fd) == 0)) {
        f->size += n;
        f->littered = false;
        return true;
    }
    (void)kms_audit_fail(err, "%s cannot be written", f->path);
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
                            .dir = f->folder.path,
                            .seal = w->seal,
                            .damage = note_damage,
                            .ctx = found,
                            .trust_first = true };
    found->first[0] = '\0';
    if (!kms_walk_file(w, f->segment))
        return kms_audit_fail(err, "%s cannot be read", f->path);
    torn = w->size - w->end;
    *empty = w->end == 0;
    found->torn += torn;
    found->damages = w->damages - (torn != 0) - (w->size == 0);
    if (found->damages == 0)
        found->first[0] = '\0';
    fd = open(f->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (!take(f, fd, w->end) ||
        (torn != 0 && (ftruncate(fd, (off_t)w->end) != 0 || fsync(fd) != 0)))
        return kms_audit_fail(err, "%s cannot be opened for writing", f->path);
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

    *f = (struct kms_audit_file){ .folder = { dir, -1 }, .sync = sync, .fd = -1 };
    memset(found, 0, sizeof *found);
    if (!kms_audit_folder_take(&f->folder, true, err))
        return false;
    ok = kms_segments(dir, &numbers, &n) || kms_audit_fail(err, "%s cannot be read", dir);
    while (ok && empty && n > 0) { /* a crash may leave a segment without a whole record */
        if (f->fd >= 0)
            close(f->fd);
        f->fd = -1;
        set_path(f, numbers[--n]);
        ok = recover(f, &w, found, &empty, err);
        if (ok && empty && unlink(f->path) != 0)
            ok = kms_audit_fail(err, "%s cannot be removed", f->path);
    }
    free(numbers);
    if (ok && !empty) {
        found->head = w.head;
        found->latest_ns = kms_line_time(w.latest);
    }
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
    f->fd = -1;
    kms_audit_folder_close(&f->folder);
}
