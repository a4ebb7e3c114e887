/* SPDX-License-Identifier: Apache-2.0 */
/* The lock is on the folder itself (flock): it ends with the process, however that ends. */
#include "audit_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

bool
kms_audit_fail(char err[KMS_AUDIT_ERR], const char *fmt, ...)
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

bool
kms_audit_give_away(const char *path)
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

bool
kms_audit_folder_take(struct kms_audit_folder *f, bool make, char err[KMS_AUDIT_ERR])
{
    kms_audit_folder_close(f);
    if (make && (mkdir(f->path, 0700) == 0 ? !kms_audit_give_away(f->path) : errno != EEXIST))
        return kms_audit_fail(err, "%s cannot be made", f->path);
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->fd < 0)
        return kms_audit_fail(err, "%s cannot be opened", f->path);
    if (flock(f->fd, LOCK_EX | LOCK_NB) != 0)
        return kms_audit_fail(err, "%s " KMS_AUDIT_TAKEN, f->path);
    return true;
}

bool
kms_audit_folder_ours(const struct kms_audit_folder *f)
{
    struct stat held, named;

    return f->fd >= 0 && fstat(f->fd, &held) == 0 && stat(f->path, &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

void
kms_audit_folder_close(struct kms_audit_folder *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}
