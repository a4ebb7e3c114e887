/* SPDX-License-Identifier: Apache-2.0 */
/* The database in memory is SQLite's memdb over a block of ours: it does not grow, so that no copy
 * of a key is left behind in memory that was freed. */
#include "snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP 256         /* pages between two calls of progress */
#define SLACK (4u << 20) /* octets that the file may grow meanwhile */
#define BUSY_MS 10000    /* how long a writer is waited for */
#define VERSIONS_AT 18   /* in the header of a database: 1 1 rollback journal, 2 2 WAL */

bool
kms_snapshot_alloc(struct kms_snapshot *s, size_t cap)
{
    *s = (struct kms_snapshot){ .cap = cap > 0 ? cap : 1 };
    s->octets = mmap(NULL, s->cap, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->octets == MAP_FAILED) {
        s->octets = NULL;
        return false;
    }
    madvise(s->octets, s->cap, MADV_DONTDUMP);
    return true;
}

void
kms_snapshot_free(struct kms_snapshot *s)
{
    if (s->octets == NULL)
        return;
    mkt_wipe(s->octets, s->n);
    munmap(s->octets, s->cap);
    *s = (struct kms_snapshot){ 0 };
}

static enum kms_store_rc
fail(struct kms_store_err *err, const char *path, sqlite3 *db)
{
    return kms_store_fail(err, KMS_STORE_FAILED, "%.300s: %s", path,
                          db == NULL ? "out of memory" : sqlite3_errmsg(db));
}

/* The first column of the first row; false when there is none. */
static bool
number(sqlite3 *db, const char *sql, int64_t *n)
{
    sqlite3_stmt *st = NULL;
    bool ok =
        sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW;

    if (ok)
        *n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return ok;
}

static sqlite3 *
open_memory(const struct kms_snapshot *s, size_t n, unsigned flags)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_deserialize(db, "main", s->octets, (sqlite3_int64)n, (sqlite3_int64)s->cap,
                            flags) == SQLITE_OK)
        return db;
    sqlite3_close(db);
    return NULL;
}

static bool
copy(sqlite3 *to, sqlite3 *from, kms_progress *progress, void *ctx)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    int rc;

    if (b == NULL)
        return false;
    do {
        rc = sqlite3_backup_step(b, STEP);
        progress(ctx, (uint64_t)(sqlite3_backup_pagecount(b) - sqlite3_backup_remaining(b)),
                 (uint64_t)sqlite3_backup_pagecount(b));
        if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
            sqlite3_sleep(20);
    } while (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED);
    return sqlite3_backup_finish(b) == SQLITE_OK && rc == SQLITE_DONE;
}

/* --- taking ----------------------------------------------------------------------------------- */

static enum kms_store_rc
take_into(struct kms_snapshot *s, sqlite3 *from, const char *path, kms_progress *progress,
          void *ctx, struct kms_store_err *err)
{
    sqlite3 *to = open_memory(s, 0, 0);
    enum kms_store_rc rc = KMS_STORE_OK;
    sqlite3_int64 n = 0;

    if (to == NULL)
        return fail(err, path, NULL);
    if (!copy(to, from, progress, ctx))
        rc = fail(err, path, sqlite3_errcode(to) != SQLITE_OK ? to : from);
    else if (sqlite3_serialize(to, "main", &n, SQLITE_SERIALIZE_NOCOPY) != s->octets)
        rc = fail(err, path, NULL);
    s->n = (size_t)n;
    sqlite3_close(to);
    return rc;
}

enum kms_store_rc
kms_snapshot_take(struct kms_snapshot *s, const char *path, kms_progress *progress, void *ctx,
                  struct kms_store_err *err)
{
    enum kms_store_rc rc;
    sqlite3 *from = NULL;
    int64_t pages, size;

    *s = (struct kms_snapshot){ 0 };
    /* One transaction that reads: what others write meanwhile does not begin the copy anew. */
    if (sqlite3_open_v2(path, &from, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(from, BUSY_MS) != SQLITE_OK ||
        sqlite3_exec(from, "BEGIN", NULL, NULL, NULL) != SQLITE_OK ||
        !number(from, "PRAGMA page_count", &pages) || !number(from, "PRAGMA page_size", &size) ||
        !number(from, "SELECT count(*) FROM sqlite_schema", &(int64_t){ 0 }))
        rc = fail(err, path, from);
    else if (!kms_snapshot_alloc(s, (size_t)(pages * size) + SLACK))
        rc = fail(err, path, NULL);
    else
        rc = take_into(s, from, path, progress, ctx, err);
    sqlite3_close(from);
    if (rc != KMS_STORE_OK)
        kms_snapshot_free(s);
    return rc;
}

/* --- looking ---------------------------------------------------------------------------------- */

/* Memory has no WAL: a database that says so cannot be opened there. */
static bool
use_journal(const struct kms_snapshot *s)
{
    if (s->n < 100 || memcmp(s->octets, "SQLite format 3", 16) != 0)
        return false;
    s->octets[VERSIONS_AT] = s->octets[VERSIONS_AT + 1] = 1;
    return true;
}

static bool
is_sound(sqlite3 *db)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &st, NULL) == SQLITE_OK &&
              sqlite3_step(st) == SQLITE_ROW &&
              strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;

    sqlite3_finalize(st);
    return ok;
}

static bool
count_tables(sqlite3 *db, void (*table)(void *ctx, const char *name, int64_t rows), void *ctx)
{
    sqlite3_stmt *st = NULL;
    bool ok = sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type='table' ORDER BY 1",
                                 -1, &st, NULL) == SQLITE_OK;
    int rc = SQLITE_DONE;
    char *sql;
    int64_t n;

    while (ok && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);

        sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", name);
        ok = sql != NULL && number(db, sql, &n);
        sqlite3_free(sql);
        if (ok)
            table(ctx, name, n);
    }
    sqlite3_finalize(st);
    return ok && rc == SQLITE_DONE;
}

enum kms_store_rc
kms_snapshot_check(const struct kms_snapshot *s,
                   void (*table)(void *ctx, const char *name, int64_t rows), void *ctx,
                   struct kms_store_err *err)
{
    sqlite3 *db = use_journal(s) ? open_memory(s, s->n, SQLITE_DESERIALIZE_READONLY) : NULL;
    bool ok = db != NULL && is_sound(db) && count_tables(db, table, ctx);

    sqlite3_close(db);
    return ok ? KMS_STORE_OK
              : kms_store_fail(err, KMS_STORE_FAILED, "what is in the backup is no sound store");
}

/* --- putting ---------------------------------------------------------------------------------- */

/* In a new file; whether this program can use it is seen by opening it as the daemon would. */
static enum kms_store_rc
put_file(const struct kms_snapshot *s, const char *path, kms_progress *progress, void *ctx,
         struct kms_store_err *err)
{
    sqlite3 *from = use_journal(s) ? open_memory(s, s->n, SQLITE_DESERIALIZE_READONLY) : NULL;
    sqlite3 *to = NULL;
    struct kms_store *store;
    enum kms_store_rc rc;
    bool ok = from != NULL &&
              sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
              copy(to, from, progress, ctx);

    rc = ok ? KMS_STORE_OK : fail(err, path, to);
    sqlite3_close(from);
    if (sqlite3_close(to) != SQLITE_OK && ok)
        rc = fail(err, path, NULL);
    if (rc != KMS_STORE_OK)
        return rc;
    rc = kms_store_open_sqlite(&store, path, 0, err);
    if (rc == KMS_STORE_OK)
        store->ops->close(store);
    return rc;
}

/* A store, or what a crash has left of one: SQLite would take the WAL of a former store for that of
 * the new one, and write its changes there. */
static bool
is_left(const char *path, const char *ending, struct kms_store_err *err)
{
    char name[4096 + 16];

    snprintf(name, sizeof name, "%s%s", path, ending);
    if (access(name, F_OK) != 0)
        return false;
    (void)kms_store_fail(err, KMS_STORE_EXISTS, "%.300s: there is a store; move it away first",
                         name);
    return true;
}

enum kms_store_rc
kms_snapshot_put(const struct kms_snapshot *s, const char *path, kms_progress *progress, void *ctx,
                 struct kms_store_err *err)
{
    char fresh[4096 + 16];
    enum kms_store_rc rc;
    int fd;

    snprintf(fresh, sizeof fresh, "%s.restored", path);
    if (is_left(path, "", err) || is_left(path, "-wal", err) || is_left(path, "-journal", err))
        return err->rc;
    fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return kms_store_fail(err, KMS_STORE_FAILED, "%.300s: %s", fresh, strerror(errno));
    close(fd);
    rc = put_file(s, fresh, progress, ctx, err);
    if (rc == KMS_STORE_OK && link(fresh, path) != 0) /* never over a store that came meanwhile */
        rc = kms_store_fail(err, KMS_STORE_FAILED, "%.300s: %s", path, strerror(errno));
    unlink(fresh);
    return rc;
}
