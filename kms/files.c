/* SPDX-License-Identifier: Apache-2.0 */
/* A folder stands for all regular files in it whose names do not begin with a dot. */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <mikeyticket/secret.h>

#include "hash.h"

#define FILE_MAX (16 << 20) /* octets: CRLs may be long */

bool
kms_files_fail(char err[KMS_FILES_ERR], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, KMS_FILES_ERR, fmt, ap);
    va_end(ap);
    return false;
}

bool
kms_file_each(const char *path, bool (*use)(void *ctx, const char *path, char *err), void *ctx,
              char err[KMS_FILES_ERR])
{
    char inner[KMS_PATH_MAX + 256];
    struct dirent *e;
    struct stat st;
    bool ok = true;
    DIR *d;

    if (stat(path, &st) != 0)
        return kms_files_fail(err, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return use(ctx, path, err);
    d = opendir(path);
    if (d == NULL)
        return kms_files_fail(err, "%s: cannot be read: %s", path, strerror(errno));
    while (ok && (e = readdir(d)) != NULL) {
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && stat(inner, &st) == 0 && S_ISREG(st.st_mode))
            ok = use(ctx, inner, err);
    }
    closedir(d);
    return ok;
}

bool
kms_file_read(const char *path, bool secret, uint8_t **octets, size_t *n, char err[KMS_FILES_ERR])
{
    FILE *f = fopen(path, "re");
    struct stat st;

    *octets = NULL;
    if (f == NULL || fstat(fileno(f), &st) != 0) {
        kms_files_fail(err, "%s: cannot be read: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        kms_files_fail(err, "%s: not a file of at most 16 MiB", path);
    } else if (secret && (st.st_mode & 077) != 0) {
        kms_files_fail(err, "%s: holds a private key but can be read by others: chmod 600 it",
                       path);
    } else {
        setvbuf(f, NULL, _IONBF, 0); /* no copy of a key in a buffer of the C library */
        *octets = calloc(1, (size_t)st.st_size + 1);
        *n = *octets == NULL ? 0 : fread(*octets, 1, (size_t)st.st_size, f);
        if (*octets == NULL)
            kms_files_fail(err, "%s: out of memory", path);
    }
    if (f != NULL)
        fclose(f);
    return *octets != NULL;
}

void
kms_file_drop(uint8_t *octets, size_t n)
{
    mkt_wipe(octets, n);
    free(octets);
}

static bool
add_stamp(void *ctx, const char *path, char *err)
{
    static const struct kms_hash_key key;
    struct stat st = { 0 };

    (void)err;
    if (stat(path, &st) == 0) {
        int64_t what[] = { (int64_t)st.st_ino, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };

        *(uint64_t *)ctx += kms_hash(&key, what, sizeof what);
    }
    return true;
}

uint64_t
kms_files_stamp(const struct kms_files *const *lists, size_t n)
{
    char err[KMS_FILES_ERR];
    uint64_t stamp = 0;

    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < lists[k]->n; i++)
            (void)kms_file_each(lists[k]->at[i], add_stamp, &stamp, err);
    return stamp;
}
