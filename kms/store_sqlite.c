/* SPDX-License-Identifier: Apache-2.0 */
/* The default store: one SQLite file in WAL mode, readable by its owner only. The schema version
 * is in user_version; older files are migrated step by step, newer ones refused. Every change is
 * one transaction that is on disk (synchronous=FULL) before it is reported. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store.h"

#define APPLICATION_ID 0x4d6b4b53 /* "MkKS" */
#define BUSY_MS 5000

struct sqlite_store {
    struct kms_store base; /* first member */
    sqlite3 *db;
    const char *path; /* owned by db */
};

/* Users and keys count their changes; marks do not, or each would make the daemon read all again.
 */
#define COUNTS(table, action)                                                   \
    "CREATE TRIGGER change_" #table "_" #action " AFTER " #action " ON " #table \
    " BEGIN UPDATE change SET number = number + 1; END;"
#define COUNTED(table) COUNTS(table, INSERT) COUNTS(table, UPDATE) COUNTS(table, DELETE)

/* migrations[v] takes a store of version v to v + 1. */
static const char *const migrations[] = {
    "CREATE TABLE credential(psk_id TEXT PRIMARY KEY NOT NULL, identity TEXT NOT NULL,"
    " psk BLOB NOT NULL, added INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX credential_identity ON credential(identity);"
    "CREATE TABLE tpk(id TEXT PRIMARY KEY NOT NULL, generation INTEGER NOT NULL,"
    " key BLOB NOT NULL, state TEXT NOT NULL CHECK (state IN ('current', 'previous')),"
    " created INTEGER NOT NULL) WITHOUT ROWID;",

    "ALTER TABLE credential ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;"
    "UPDATE credential SET serial = random();"
    "CREATE TABLE shared_tpk(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    " owner TEXT NOT NULL, key BLOB NOT NULL, created INTEGER NOT NULL);"
    "CREATE TABLE counter(serial INTEGER PRIMARY KEY, mark INTEGER NOT NULL);"
    "CREATE TRIGGER counter_ends AFTER DELETE ON credential"
    " BEGIN DELETE FROM counter WHERE serial = OLD.serial; END;"
    "CREATE TABLE change(number INTEGER NOT NULL);"
    "INSERT INTO change VALUES(0);" COUNTED(credential) COUNTED(tpk) COUNTED(shared_tpk),
};
#define SCHEMA_VERSION ((int)(sizeof migrations / sizeof migrations[0]))

static struct sqlite_store *
self(struct kms_store *s)
{
    return (struct sqlite_store *)(void *)s;
}

static enum kms_store_rc
fail_db(struct sqlite_store *q, struct kms_store_err *err, const char *what)
{
    const char *hint = "";

    switch (sqlite3_errcode(q->db) & 0xff) {
    case SQLITE_FULL:
        hint = "; nothing was changed: make room and try again";
        break;
    case SQLITE_BUSY:
        hint = "; another program holds the store";
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        hint = "; check that the file and its folder can be written by this user";
        break;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        hint = "; restore the file from a backup";
        break;
    }
    return kms_store_fail(err, KMS_STORE_FAILED, "%s: %s: %s%s", q->path, what,
                          sqlite3_errmsg(q->db), hint);
}

static bool
run(struct sqlite_store *q, const char *sql)
{
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool
pragma_number(struct sqlite_store *q, const char *sql, int64_t *out)
{
    sqlite3_stmt *st;
    bool ok = sqlite3_prepare_v2(q->db, sql, -1, &st, NULL) == SQLITE_OK &&
              sqlite3_step(st) == SQLITE_ROW;

    *out = 0;
    if (ok)
        *out = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return ok;
}

static enum kms_store_rc
rollback(struct sqlite_store *q, struct kms_store_err *err, const char *what)
{
    enum kms_store_rc rc = fail_db(q, err, what);

    run(q, "ROLLBACK");
    return rc;
}

/* Before anything is written: is it ours, and do we know its version? */
static enum kms_store_rc
recognise(struct sqlite_store *q, int64_t *version, struct kms_store_err *err)
{
    int64_t application, tables;

    if (!pragma_number(q, "PRAGMA user_version", version) ||
        !pragma_number(q, "PRAGMA application_id", &application) ||
        !pragma_number(q, "SELECT count(*) FROM sqlite_schema", &tables))
        return fail_db(q, err, "cannot read the version");
    if (application != APPLICATION_ID && (*version != 0 || tables != 0))
        return kms_store_fail(err, KMS_STORE_FAILED, "%s: is a database of another program",
                              q->path);
    if (*version > SCHEMA_VERSION)
        return kms_store_fail(err, KMS_STORE_NEWER,
                              "%s: the store has version %d, this program knows %d: use the newer "
                              "program that wrote it",
                              q->path, (int)*version, SCHEMA_VERSION);
    return KMS_STORE_OK;
}

static enum kms_store_rc
migrate(struct sqlite_store *q, struct kms_store_err *err)
{
    int64_t version = 0;
    char sql[96];

    if (!run(q, "BEGIN IMMEDIATE"))
        return fail_db(q, err, "cannot begin");
    if (recognise(q, &version, err) != KMS_STORE_OK) {
        run(q, "ROLLBACK");
        return err->rc;
    }
    if (version == SCHEMA_VERSION) {
        run(q, "ROLLBACK");
        return KMS_STORE_OK;
    }
    for (; version < SCHEMA_VERSION; version++)
        if (!run(q, migrations[version]))
            return rollback(q, err, "cannot bring the store to the present version");
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d; PRAGMA application_id=%d; COMMIT",
             SCHEMA_VERSION, APPLICATION_ID);
    if (!run(q, sql))
        return rollback(q, err, "cannot bring the store to the present version");
    return KMS_STORE_OK;
}

static enum kms_store_rc
cannot_open(const char *path, struct kms_store_err *err)
{
    return kms_store_fail(err, KMS_STORE_FAILED, "%s: cannot be opened: %s", path, strerror(errno));
}

/* The file must exist with its mode before SQLite opens it: SQLite gives its side files the same.
 * One that exists is not opened here: closing it again would drop the locks of another connection
 * of this process, and with them its WAL. */
static enum kms_store_rc
prepare_file(const char *path, struct kms_store_err *err)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) != 0 && errno == ENOENT) {
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0)
            close(fd);
        else if (errno != EEXIST)
            return cannot_open(path, err);
    }
    if (lstat(path, &st) != 0)
        return cannot_open(path, err);
    if (!S_ISREG(st.st_mode))
        return kms_store_fail(err, KMS_STORE_FAILED, "%s: is not a file", path);
    if ((st.st_mode & 077) != 0)
        return kms_store_fail(err, KMS_STORE_FAILED,
                              "%s: holds keys but can be read by others: chmod 600 it", path);
    return KMS_STORE_OK;
}

static int64_t
seconds_now(void)
{
    return (int64_t)time(NULL);
}

static enum kms_store_rc
sqlite_user_add(struct kms_store *s, const struct kms_user *user, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(q->db,
                           "INSERT INTO credential(psk_id, identity, psk, added, serial) "
                           "VALUES(?, ?, ?, ?, random())",
                           -1, &st, NULL) != SQLITE_OK)
        return fail_db(q, err, "cannot add");
    sqlite3_bind_text(st, 1, user->psk_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, user->identity, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 3, user->psk.p, (int)user->psk.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, seconds_now());
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE && sqlite3_extended_errcode(q->db) == SQLITE_CONSTRAINT_PRIMARYKEY)
        kms_store_fail(err, KMS_STORE_EXISTS, "the psk-id %s is taken", user->psk_id);
    else if (rc != SQLITE_DONE)
        fail_db(q, err, "cannot add");
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? KMS_STORE_OK : err->rc;
}

static enum kms_store_rc
sqlite_user_remove(struct kms_store *s, const char *identity, const char *psk_id, unsigned *removed,
                   struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(q->db,
                           "DELETE FROM credential WHERE identity = ?1 AND "
                           "(?2 IS NULL OR psk_id = ?2)",
                           -1, &st, NULL) != SQLITE_OK)
        return fail_db(q, err, "cannot remove");
    sqlite3_bind_text(st, 1, identity, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, psk_id, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    *removed = rc == SQLITE_DONE ? (unsigned)sqlite3_changes(q->db) : 0;
    if (rc != SQLITE_DONE)
        fail_db(q, err, "cannot remove");
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return err->rc;
    run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the key */
    if (*removed == 0)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such credential");
    return KMS_STORE_OK;
}

static bool
insert_tpk(struct sqlite_store *q, int64_t generation, const char *suite,
           const struct mkt_secret *key)
{
    sqlite3_stmt *st;
    char id[32];
    bool ok;

    if (sqlite3_prepare_v2(q->db,
                           "INSERT INTO tpk(id, generation, key, state, created) "
                           "VALUES(?, ?, ?, 'current', ?)",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    snprintf(id, sizeof id, "tpk-%lld-%s", (long long)generation, suite);
    sqlite3_bind_text(st, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, generation);
    sqlite3_bind_blob(st, 3, key->b, key->n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, seconds_now());
    ok = sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    return ok;
}

static enum kms_store_rc
sqlite_tpk_add(struct kms_store *s, const struct mkt_secret *key_128,
               const struct mkt_secret *key_256, int64_t *generation, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);

    if (!run(q, "BEGIN IMMEDIATE"))
        return fail_db(q, err, "cannot begin");
    if (!pragma_number(q, "SELECT coalesce(max(generation), 0) + 1 FROM tpk", generation) ||
        !run(q, "UPDATE tpk SET state = 'previous'") ||
        !insert_tpk(q, *generation, "128", key_128) ||
        !insert_tpk(q, *generation, "256", key_256) || !run(q, "COMMIT"))
        return rollback(q, err, "cannot add a ticket protection key");
    return KMS_STORE_OK;
}

static enum kms_store_rc
sqlite_tpk_share(struct kms_store *s, const struct kms_tpk *tpk, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(q->db,
                           "INSERT INTO shared_tpk(id, owner, key, created) VALUES(?, ?, ?, ?)", -1,
                           &st, NULL) != SQLITE_OK)
        return fail_db(q, err, "cannot add");
    sqlite3_bind_text(st, 1, tpk->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, tpk->owner, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 3, tpk->key.p, (int)tpk->key.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, seconds_now());
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE && sqlite3_extended_errcode(q->db) == SQLITE_CONSTRAINT_UNIQUE)
        kms_store_fail(err, KMS_STORE_EXISTS, "the tpk-id %s is taken", tpk->id);
    else if (rc != SQLITE_DONE)
        fail_db(q, err, "cannot add");
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? KMS_STORE_OK : err->rc;
}

/* Runs a statement whose one parameter is text; *n gets the rows it changed or found. */
static bool
run_with(struct sqlite_store *q, const char *sql, const char *text, int *n)
{
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(q->db, sql, -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *n += 1;
    else if (rc == SQLITE_DONE && !sqlite3_stmt_readonly(st))
        *n += sqlite3_changes(q->db);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE;
}

static enum kms_store_rc
sqlite_tpk_remove(struct kms_store *s, const char *id, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    int removed = 0, current = 0;

    if (!run(q, "BEGIN IMMEDIATE"))
        return fail_db(q, err, "cannot begin");
    if (!run_with(q, "SELECT 1 FROM tpk WHERE id = ? AND state = 'current'", id, &current) ||
        !run_with(q, "DELETE FROM tpk WHERE id = ? AND state = 'previous'", id, &removed) ||
        !run_with(q, "DELETE FROM shared_tpk WHERE id = ?", id, &removed) || !run(q, "COMMIT"))
        return rollback(q, err, "cannot remove");
    if (current > 0)
        return kms_store_fail(err, KMS_STORE_CURRENT, "%s protects new tickets", id);
    if (removed == 0)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such key");
    run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the key */
    return KMS_STORE_OK;
}

static bool
put_mark(sqlite3_stmt *st, const struct kms_mark *m)
{
    bool ok;

    sqlite3_bind_int64(st, 1, (int64_t)m->serial);
    sqlite3_bind_int64(st, 2, (int64_t)m->mark);
    ok = sqlite3_step(st) == SQLITE_DONE;
    return sqlite3_reset(st) == SQLITE_OK && ok;
}

static enum kms_store_rc
sqlite_marks(struct kms_store *s, const struct kms_mark *marks, size_t n, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    sqlite3_stmt *st;
    bool ok = true;

    if (!run(q, "BEGIN IMMEDIATE"))
        return fail_db(q, err, "cannot begin");
    if (sqlite3_prepare_v2(q->db,
                           "INSERT INTO counter(serial, mark) VALUES(?1, ?2) "
                           "ON CONFLICT(serial) DO UPDATE SET mark = ?2",
                           -1, &st, NULL) != SQLITE_OK)
        return rollback(q, err, "cannot keep counters");
    for (size_t i = 0; ok && i < n; i++)
        ok = put_mark(st, &marks[i]);
    sqlite3_finalize(st);
    if (!ok || !run(q, "COMMIT"))
        return rollback(q, err, "cannot keep counters");
    return KMS_STORE_OK;
}

static bool
read_marks(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped)
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(q->db, "SELECT serial, mark FROM counter", -1, &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct kms_mark m = { (uint64_t)sqlite3_column_int64(st, 0),
                              (uint64_t)sqlite3_column_int64(st, 1) };

        *stopped = !sink->mark(sink->ctx, &m);
    }
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}

static bool
read_users(struct sqlite_store *q, const struct kms_sink *sink, bool with_keys, bool *stopped)
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(
            q->db,
            with_keys ? "SELECT identity, psk_id, length(psk), added, psk, serial FROM credential"
                      : "SELECT identity, psk_id, length(psk), added, NULL, serial FROM credential "
                        "ORDER BY identity, psk_id",
            -1, &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct kms_user u = { .identity = (const char *)sqlite3_column_text(st, 0),
                              .psk_id = (const char *)sqlite3_column_text(st, 1),
                              .psk_len = sqlite3_column_int(st, 2),
                              .added = sqlite3_column_int64(st, 3),
                              .serial = (uint64_t)sqlite3_column_int64(st, 5) };

        u.psk = mkt_span(sqlite3_column_blob(st, 4), (size_t)sqlite3_column_bytes(st, 4));
        *stopped = !sink->user(sink->ctx, &u);
    }
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}

static bool
read_tpks(struct sqlite_store *q, const struct kms_sink *sink, bool with_keys, bool *stopped)
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(q->db,
                           "SELECT id, generation, state = 'current', length(key), created, "
                           "CASE WHEN ?1 THEN key END, NULL, 0 FROM tpk UNION ALL "
                           "SELECT id, 0, 0, length(key), created, "
                           "CASE WHEN ?1 THEN key END, owner, number FROM shared_tpk "
                           "ORDER BY 8, 2, 1",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int(st, 1, with_keys);
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct kms_tpk t = { .id = (const char *)sqlite3_column_text(st, 0),
                             .generation = sqlite3_column_int64(st, 1),
                             .current = sqlite3_column_int(st, 2) != 0,
                             .key_len = sqlite3_column_int(st, 3),
                             .created = sqlite3_column_int64(st, 4),
                             .owner = (const char *)sqlite3_column_text(st, 6) };

        t.key = mkt_span(sqlite3_column_blob(st, 5), (size_t)sqlite3_column_bytes(st, 5));
        *stopped = !sink->tpk(sink->ctx, &t);
    }
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}

static enum kms_store_rc
sqlite_read(struct kms_store *s, const struct kms_sink *sink, bool with_keys,
            struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    bool stopped = false;

    if (!run(q, "BEGIN"))
        return fail_db(q, err, "cannot begin");
    if ((sink->user != NULL && !read_users(q, sink, with_keys, &stopped)) ||
        (sink->tpk != NULL && !stopped && !read_tpks(q, sink, with_keys, &stopped)) ||
        (sink->mark != NULL && !stopped && !read_marks(q, sink, &stopped)))
        return rollback(q, err, "cannot read");
    run(q, "ROLLBACK"); /* nothing was written */
    if (stopped)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    return KMS_STORE_OK;
}

static enum kms_store_rc
sqlite_version(struct kms_store *s, uint64_t *version, struct kms_store_err *err)
{
    int64_t v;

    if (!pragma_number(self(s), "SELECT number FROM change", &v))
        return fail_db(self(s), err, "cannot read");
    *version = (uint64_t)v;
    return KMS_STORE_OK;
}

static void
sqlite_close(struct kms_store *s)
{
    sqlite3_close_v2(self(s)->db);
    free(s);
}

static const struct kms_store_ops sqlite_ops = {
    .name = "sqlite",
    .user_add = sqlite_user_add,
    .user_remove = sqlite_user_remove,
    .tpk_add = sqlite_tpk_add,
    .tpk_share = sqlite_tpk_share,
    .tpk_remove = sqlite_tpk_remove,
    .marks = sqlite_marks,
    .read = sqlite_read,
    .version = sqlite_version,
    .close = sqlite_close,
};

static enum kms_store_rc
prepare_db(struct sqlite_store *q, unsigned max_pages, struct kms_store_err *err)
{
    int64_t version;
    char sql[64];

    sqlite3_extended_result_codes(q->db, 1);
    sqlite3_busy_timeout(q->db, BUSY_MS);
    if (recognise(q, &version, err) != KMS_STORE_OK)
        return err->rc;
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%u", max_pages);
    if (!run(q, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON") ||
        (max_pages > 0 && !run(q, sql)))
        return fail_db(q, err, "cannot be prepared");
    return migrate(q, err);
}

enum kms_store_rc
kms_store_open_sqlite(struct kms_store **s, const char *path, unsigned max_pages,
                      struct kms_store_err *err)
{
    struct sqlite_store *q;
    enum kms_store_rc rc = prepare_file(path, err);

    if (rc != KMS_STORE_OK)
        return rc;
    q = calloc(1, sizeof *q);
    if (q == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    q->base.ops = &sqlite_ops;
    q->path = path;
    if (sqlite3_open_v2(path, &q->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK) {
        rc = fail_db(q, err, "cannot be opened");
    } else {
        q->path = sqlite3_db_filename(q->db, "main");
        rc = prepare_db(q, max_pages, err);
    }
    if (rc != KMS_STORE_OK) {
        sqlite_close(&q->base);
        return rc;
    }
    *s = &q->base;
    return KMS_STORE_OK;
}
