/* SPDX-License-Identifier: Apache-2.0 */
/* A head of 56 octets, then the database in sealed parts. Each part is bound to the whole head and
 * to its number, and the head tells the size of the whole: nothing can be cut, exchanged or added.
 */
#include "backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <mikeyticket/env.h>

#include "big_endian.h"
#include "crypto/seal.h"
#include "write_all.h"

#define MAGIC "mikey-kms-backup" /* 16 octets, without an end */
#define VERSION 1u
#define SALT 16
#define HEAD 56
#define PART (1u << 20)   /* octets of the database in each part but the last */
#define MOST (1ull << 40) /* octets of a database that are believed */

/* The head: magic 16, version 4, part size 4, created 8, size 8, salt 16; big-endian. */
struct head {
    uint8_t octets[HEAD];
};

struct sealing {
    struct head head;
    uint8_t key[KMS_SEAL_KEY];
    struct kms_sealer *sealer;
    uint8_t *part; /* PART + KMS_SEAL_MORE octets */
};

static bool __attribute__((format(printf, 2, 3)))
fail(char err[KMS_BACKUP_ERR], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, KMS_BACKUP_ERR, fmt, ap);
    va_end(ap);
    return false;
}

static void
end(struct sealing *s)
{
    mkt_wipe(s->key, sizeof s->key);
    kms_sealer_free(s->sealer);
    if (s->part != NULL)
        mkt_wipe(s->part, PART + KMS_SEAL_MORE);
    free(s->part);
}

static bool
begin(struct sealing *s, struct mkt_span secret, char err[KMS_BACKUP_ERR])
{
    s->sealer = kms_sealer_new();
    s->part = malloc(PART + KMS_SEAL_MORE);
    return (s->sealer != NULL && s->part != NULL &&
            kms_scrypt(s->key, secret, mkt_span(s->head.octets + HEAD - SALT, SALT))) ||
           fail(err, "out of memory");
}

/* What part number i is bound to. */
static struct mkt_span
name_of(const struct head *head, uint64_t i, uint8_t name[HEAD + 8])
{
    memcpy(name, head->octets, HEAD);
    mkt_be_put(name + HEAD, 8, i);
    return mkt_span(name, HEAD + 8);
}

static size_t
part_of(size_t n, uint64_t i)
{
    size_t left = n - (size_t)i * PART;

    return left < PART ? left : PART;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool
write_parts(int fd, struct sealing *s, const struct kms_snapshot *from, kms_progress *progress,
            void *ctx, char err[KMS_BACKUP_ERR])
{
    uint8_t name[HEAD + 8];

    if (!mkt_write_all(fd, s->head.octets, HEAD))
        return fail(err, "%s", strerror(errno));
    for (uint64_t i = 0; i * PART < from->n; i++) {
        size_t n = part_of(from->n, i);

        if (!kms_seal(s->sealer, s->key, name_of(&s->head, i, name),
                      mkt_span(from->octets + i * PART, n), s->part))
            return fail(err, "the cipher or the generator failed");
        if (!mkt_write_all(fd, s->part, n + KMS_SEAL_MORE))
            return fail(err, "%s", strerror(errno));
        progress(ctx, i * PART + n, from->n);
    }
    return fsync(fd) == 0 || fail(err, "%s", strerror(errno));
}

bool
kms_backup_write(const char *path, const struct kms_snapshot *from, struct mkt_span secret,
                 int64_t created, kms_progress *progress, void *ctx, char err[KMS_BACKUP_ERR])
{
    struct sealing s = { 0 };
    char why[KMS_BACKUP_ERR] = "";
    bool ok;
    int fd;

    memcpy(s.head.octets, MAGIC, 16);
    mkt_be_put(s.head.octets + 16, 4, VERSION);
    mkt_be_put(s.head.octets + 20, 4, PART);
    mkt_be_put(s.head.octets + 24, 8, (uint64_t)created);
    mkt_be_put(s.head.octets + 32, 8, from->n);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fail(err, "%.300s: %s", path, strerror(errno));
    ok = (mkt_crypto_random(NULL, s.head.octets + HEAD - SALT, SALT) ||
          fail(why, "the generator failed")) &&
         begin(&s, secret, why) && write_parts(fd, &s, from, progress, ctx, why);
    end(&s);
    if (close(fd) != 0 && ok)
        ok = fail(why, "%s", strerror(errno));
    if (ok)
        return true;
    unlink(path);
    return fail(err, "%.300s: %.600s", path, why);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* The size that the head tells must be that of the file. */
static bool
read_head(FILE *in, struct head *head, size_t *n, char err[KMS_BACKUP_ERR])
{
    struct stat st;
    uint64_t size, parts;

    if (fread(head->octets, 1, HEAD, in) != HEAD || memcmp(head->octets, MAGIC, 16) != 0)
        return fail(err, "is no backup of a KMS");
    if (mkt_be_get(head->octets + 16, 4) != VERSION || mkt_be_get(head->octets + 20, 4) != PART)
        return fail(err, "was written by a newer version");
    size = mkt_be_get(head->octets + 32, 8);
    parts = size / PART + (size % PART != 0);
    if (size == 0 || size > MOST || fstat(fileno(in), &st) != 0 ||
        (uint64_t)st.st_size != HEAD + size + parts * KMS_SEAL_MORE)
        return fail(err, "is damaged: it has not the length that it should have");
    *n = (size_t)size;
    return true;
}

static bool
read_parts(FILE *in, struct sealing *s, struct kms_snapshot *to, size_t n, kms_progress *progress,
           void *ctx, char err[KMS_BACKUP_ERR])
{
    uint8_t name[HEAD + 8];

    for (uint64_t i = 0; i * PART < n; i++) {
        size_t sealed = part_of(n, i) + KMS_SEAL_MORE;

        if (fread(s->part, 1, sealed, in) != sealed)
            return fail(err, "cannot be read");
        if (!kms_unseal(s->sealer, s->key, name_of(&s->head, i, name), mkt_span(s->part, sealed),
                        to->octets + to->n))
            return fail(err, i == 0 ? "the secret is another one, or the file was changed"
                                    : "the file was changed");
        to->n += sealed - KMS_SEAL_MORE;
        progress(ctx, to->n, n);
    }
    return true;
}

bool
kms_backup_read(const char *path, struct kms_snapshot *to, struct mkt_span secret, int64_t *created,
                kms_progress *progress, void *ctx, char err[KMS_BACKUP_ERR])
{
    FILE *in = fopen(path, "re");
    struct sealing s = { 0 };
    char why[KMS_BACKUP_ERR] = "";
    size_t n = 0;
    bool ok;

    *to = (struct kms_snapshot){ 0 };
    if (in == NULL)
        return fail(err, "%.300s: %s", path, strerror(errno));
    ok = read_head(in, &s.head, &n, why) &&
         (kms_snapshot_alloc(to, n) || fail(why, "out of memory")) && begin(&s, secret, why) &&
         read_parts(in, &s, to, n, progress, ctx, why);
    *created = (int64_t)mkt_be_get(s.head.octets + 24, 8);
    end(&s);
    fclose(in);
    if (ok)
        return true;
    kms_snapshot_free(to);
    return fail(err, "%.300s: %.600s", path, why);
}
