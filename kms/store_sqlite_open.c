/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the SQLite store: readable by its owner only, in WAL mode. The schema version is in
 * user_version; older files are migrated step by step, newer ones refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_sqlite.h"

#define APPLICATION_ID 0x4d6b4b53 /* "MkKS" */
#define BUSY_MS 5000

/* Users and keys count their changes; marks and kept tickets do not, or each would make the daemon
 * read all again. */
#define COUNTS(table, action)                                                   \
    "CREATE TRIGGER change_" #table "_" #action " AFTER " #action " ON " #table \
    " BEGIN UPDATE change SET number = number + 1; END;"
#define COUNTED(table) COUNTS(table, INSERT) COUNTS(table, UPDATE) COUNTS(table, DELETE)

/* A key is written under the newest generation of the store key or not at all, whoever writes it:
 * so no row in clear gets in among the sealed ones, and none is forgotten by a rotation. */
#define SEALED(table, name, action)                                           \
    "CREATE TRIGGER sealed_" #table "_" #name " BEFORE " action " ON " #table \
    " WHEN NEW.kek <> (SELECT coalesce(max(generation), 0) FROM kek)"         \
    " BEGIN SELECT RAISE(ABORT, 'sealed under a former generation of the store key'); END;"
#define SEALED_COLUMN(table)                                                          \
    "ALTER TABLE " #table " ADD COLUMN kek INTEGER NOT NULL DEFAULT 0;"               \
    "CREATE INDEX " #table "_kek ON " #table "(kek);" SEALED(table, insert, "INSERT") \
        SEALED(table, update, "UPDATE OF kek")

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

    "CREATE TABLE unkeyed_user(identity TEXT PRIMARY KEY NOT NULL, added INTEGER NOT NULL)"
    " WITHOUT ROWID;" COUNTED(unkeyed_user),

    "CREATE TABLE kept_ticket(number INTEGER PRIMARY KEY, reference BLOB NOT NULL UNIQUE,"
    " initiator TEXT NOT NULL, responders TEXT NOT NULL, keys BLOB NOT NULL,"
    " issued INTEGER NOT NULL, until INTEGER NOT NULL);"
    "CREATE INDEX kept_until ON kept_ticket(until);"
    "CREATE INDEX kept_initiator ON kept_ticket(initiator);",

    "CREATE TABLE kek(generation INTEGER NOT NULL, scheme TEXT NOT NULL, salt BLOB NOT NULL,"
    " sealed BLOB NOT NULL PRIMARY KEY, created INTEGER NOT NULL);" COUNTS(kek, INSERT)
        SEALED_COLUMN(credential) SEALED_COLUMN(tpk) SEALED_COLUMN(shared_tpk),

    "ALTER TABLE tpk ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tpk ADD COLUMN validity INTEGER NOT NULL DEFAULT 0;"
    "UPDATE tpk SET starts = created; ALTER TABLE tpk DROP COLUMN state;",
};
#define SCHEMA_VERSION ((int)(sizeof migrations / sizeof migrations[0]))

enum kms_store_rc
kms_sqlite_fail(struct sqlite_store *q, struct kms_store_err *err, const char *what)
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

bool
kms_sqlite_run(struct sqlite_store *q, const char *sql)
{
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

bool
kms_sqlite_number(struct sqlite_store *q, const char *sql, int64_t *out)
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

enum kms_store_rc
kms_sqlite_rollback(struct sqlite_store *q, struct kms_store_err *err, const char *what)
{
    enum kms_store_rc rc = kms_sqlite_fail(q, err, what);

    kms_sqlite_run(q, "ROLLBACK");
    return rc;
}
/* Before anything is written: is it ours, and do we know its version? */
static enum kms_store_rc
recognise(struct sqlite_store *q, int64_t *version, struct kms_store_err *err)
{
    int64_t application, tables;

    if (!kms_sqlite_number(q, "PRAGMA user_version", version) ||
        !kms_sqlite_number(q, "PRAGMA application_id", &application) ||
        !kms_sqlite_number(q, "SELECT count(*) FROM sqlite_schema", &tables))
        return kms_sqlite_fail(q, err, "cannot read the version");
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

    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if (recognise(q, &version, err) != KMS_STORE_OK) {
        kms_sqlite_run(q, "ROLLBACK");
        return err->rc;
    }
    if (version == SCHEMA_VERSION) {
        kms_sqlite_run(q, "ROLLBACK");
        return KMS_STORE_OK;
    }
    for (; version < SCHEMA_VERSION; version++)
        if (!kms_sqlite_run(q, migrations[version]))
            return kms_sqlite_rollback(q, err, "cannot bring the store to the present version");
    snprintf(sql, sizeof sql, "PRAGMA user_version=%d; PRAGMA application_id=%d; COMMIT",
             SCHEMA_VERSION, APPLICATION_ID);
    if (!kms_sqlite_run(q, sql))
        return kms_sqlite_rollback(q, err, "cannot bring the store to the present version");
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
    if (!kms_sqlite_run(
            q, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON") ||
        (max_pages > 0 && !kms_sqlite_run(q, sql)))
        return kms_sqlite_fail(q, err, "cannot be prepared");
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
    q->base.ops = &kms_sqlite_ops;
    q->path = path;
    if (sqlite3_open_v2(path, &q->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK) {
        rc = kms_sqlite_fail(q, err, "cannot be opened");
    } else {
        q->path = sqlite3_db_filename(q->db, "main");
        rc = prepare_db(q, max_pages, err);
    }
    if (rc != KMS_STORE_OK) {
        q->base.ops->close(&q->base);
        return rc;
    }
    *s = &q->base;
    return KMS_STORE_OK;
}
