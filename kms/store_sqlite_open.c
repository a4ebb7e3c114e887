/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the SQLite store: readable by its owner only, in WAL mode. The schema version is in
 * user_version; older files are migrated step by step, newer ones refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store_sqlite.h"

#define APPLICATION_ID 0x4d6b4b53 /* "MkKS" */
#define BUSY_MS 5000              /* how long a writer waits for its turn... */
#define BUSY_POLL_MS 1            /* ...and how often it looks */
#define GAP_MS 3                  /* in which it will have looked */

/* Users and keys count their changes; marks and kept tickets do not, or each would make the daemon
 * look. */
#define COUNTS(table, action)                                                   \
    "CREATE TRIGGER change_" #table "_" #action " AFTER " #action " ON " #table \
    " BEGIN UPDATE change SET number = number + 1; END;"
#define COUNTED(table) COUNTS(table, INSERT) COUNTS(table, UPDATE) COUNTS(table, DELETE)

/* Since version 5 a change also says what it has touched: `what` is an enum kms_touched, `id` the
 * number of it. */
#define TOUCHES(table, action, what, id)                                       \
    "CREATE TRIGGER touch_" #table "_" #action " AFTER " #action " ON " #table \
    " BEGIN INSERT INTO touch VALUES(" #what ", " id "); END;"
#define TOUCHED(table, what, id)            \
    TOUCHES(table, INSERT, what, "NEW." id) \
    TOUCHES(table, UPDATE, what, "NEW." id) TOUCHES(table, DELETE, what, "OLD." id)
#define TOUCHED_AS_ONE(table, what)   \
    TOUCHES(table, INSERT, what, "0") \
    TOUCHES(table, UPDATE, what, "0") TOUCHES(table, DELETE, what, "0")
#define UNCOUNTED(table)                                                            \
    "DROP TRIGGER change_" #table "_INSERT; DROP TRIGGER change_" #table "_UPDATE;" \
    "DROP TRIGGER change_" #table "_DELETE;"

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

    /* Users apart from their credentials, which lie by user so that both are read in one go. */
    "CREATE TABLE realm(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " added INTEGER NOT NULL);"
    "INSERT INTO realm VALUES(1, 'default', 0);"
    "CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT NOT NULL UNIQUE,"
    " realm INTEGER NOT NULL, suspended INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " added INTEGER NOT NULL);"
    "CREATE INDEX users_realm ON users(realm) WHERE realm <> 1;"
    "INSERT INTO users SELECT NULL, identity, 1, 0, 0, min(added) FROM (SELECT identity, added FROM"
    " credential UNION ALL SELECT identity, added FROM unkeyed_user) GROUP BY identity;"
    "ALTER TABLE credential RENAME TO old_credential;"
    "CREATE TABLE credential(user INTEGER NOT NULL, psk_id TEXT NOT NULL UNIQUE, psk BLOB NOT NULL,"
    " added INTEGER NOT NULL, serial INTEGER NOT NULL, PRIMARY KEY(user, psk_id)) WITHOUT ROWID;"
    "INSERT INTO credential SELECT u.id, c.psk_id, c.psk, c.added, c.serial FROM old_credential c"
    " JOIN users u ON u.identity = c.identity ORDER BY 1, 2;"
    "DROP TRIGGER counter_ends;" UNCOUNTED(
        credential) "DROP TABLE old_credential;"
                    "DROP TABLE unkeyed_user;"
                    "CREATE TRIGGER counter_ends AFTER DELETE ON credential"
                    " BEGIN DELETE FROM counter WHERE serial = OLD.serial; END;"
                    "CREATE TABLE alias(user INTEGER NOT NULL, identity TEXT NOT NULL UNIQUE,"
                    " PRIMARY KEY(user, identity)) WITHOUT ROWID;"
                    "CREATE TRIGGER user_ends AFTER DELETE ON users"
                    " BEGIN DELETE FROM alias WHERE user = OLD.id; END;"
                    "ALTER TABLE tpk ADD COLUMN realm INTEGER NOT NULL DEFAULT 1;",

    /* Groups, and what was touched by the last 65 536 changes. */
    "CREATE TABLE user_group(id INTEGER PRIMARY KEY AUTOINCREMENT, identity TEXT NOT NULL UNIQUE,"
    " realm INTEGER NOT NULL, added INTEGER NOT NULL);"
    "CREATE TABLE member(grp INTEGER NOT NULL, kind INTEGER NOT NULL, ref INTEGER NOT NULL,"
    " pattern TEXT NOT NULL, PRIMARY KEY(grp, kind, ref, pattern)) WITHOUT ROWID;"
    "CREATE INDEX member_ref ON member(kind, ref);"
    "CREATE TRIGGER memberships_end AFTER DELETE ON users"
    " BEGIN DELETE FROM member WHERE kind = 0 AND ref = OLD.id; END;"
    "CREATE TRIGGER group_ends AFTER DELETE ON user_group BEGIN"
    " DELETE FROM member WHERE grp = OLD.id;"
    " DELETE FROM member WHERE kind = 1 AND ref = OLD.id; END;"
    "CREATE TABLE touched(number INTEGER PRIMARY KEY, what INTEGER NOT NULL,"
    " id INTEGER NOT NULL);"
    "CREATE VIEW touch AS SELECT what, id FROM touched;"
    "CREATE TRIGGER touching INSTEAD OF INSERT ON touch BEGIN"
    " UPDATE change SET number = number + 1;"
    " INSERT INTO touched SELECT number, NEW.what, NEW.id FROM change;"
    " DELETE FROM touched WHERE number = (SELECT number FROM change) - 65536; END;" UNCOUNTED(tpk)
        UNCOUNTED(shared_tpk) TOUCHED(users, 0, "id") TOUCHED(credential, 0, "user")
            TOUCHED(alias, 0, "user") TOUCHED(user_group, 1, "id") TOUCHED(member, 1, "grp")
                TOUCHED_AS_ONE(tpk, 2) TOUCHED_AS_ONE(shared_tpk, 2) TOUCHED_AS_ONE(realm, 2),

    /* What was revoked, and how far the audit has come. */
    "CREATE TABLE audit_seal(chain TEXT PRIMARY KEY NOT NULL, segment INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, hash BLOB NOT NULL, sealed INTEGER NOT NULL);"
    "CREATE TABLE revocation(kind TEXT NOT NULL CHECK (kind IN ('ticket', 'user')),"
    " name TEXT NOT NULL, revoked INTEGER NOT NULL, PRIMARY KEY(kind, name))"
    " WITHOUT ROWID;" TOUCHED_AS_ONE(revocation, 3),

    /* Keys are sealed under a store key, which a KEK wraps. */
    "CREATE TABLE kek(generation INTEGER NOT NULL, scheme TEXT NOT NULL, salt BLOB NOT NULL,"
    " sealed BLOB NOT NULL PRIMARY KEY, created INTEGER NOT NULL);" TOUCHES(kek, INSERT, 2, "0")
        SEALED_COLUMN(credential) SEALED_COLUMN(tpk) SEALED_COLUMN(shared_tpk)
            SEALED_COLUMN(kept_ticket),

    /* Our own keys follow a schedule: a state is not written anywhere. */
    "ALTER TABLE tpk ADD COLUMN starts INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tpk ADD COLUMN validity INTEGER NOT NULL DEFAULT 0;"
    "UPDATE tpk SET starts = created; ALTER TABLE tpk DROP COLUMN state;",

    /* Groups may be revoked too: a CHECK cannot be altered. */
    "ALTER TABLE revocation RENAME TO old_revocation;"
    "CREATE TABLE revocation(kind TEXT NOT NULL CHECK (kind IN ('ticket', 'user', 'group')),"
    " name TEXT NOT NULL, revoked INTEGER NOT NULL, PRIMARY KEY(kind, name)) WITHOUT ROWID;"
    "INSERT INTO revocation SELECT kind, name, revoked FROM old_revocation;"
    "DROP TABLE old_revocation;" TOUCHED_AS_ONE(revocation, 3),

    /* Marks of timestamps that lie in the future: most are forgotten within minutes. */
    "CREATE TABLE stamp(serial INTEGER PRIMARY KEY, mark INTEGER NOT NULL);"
    "CREATE INDEX stamp_mark ON stamp(mark);",
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
kms_sqlite_begin(struct sqlite_store *q, struct kms_store_err *err)
{
    return kms_sqlite_run(q, q->batch ? "SAVEPOINT part" : "BEGIN IMMEDIATE")
               ? KMS_STORE_OK
               : kms_sqlite_fail(q, err, "cannot begin");
}

enum kms_store_rc
kms_sqlite_commit(struct sqlite_store *q, struct kms_store_err *err, const char *what)
{
    if (kms_sqlite_run(q, q->batch ? "RELEASE part" : "COMMIT"))
        return KMS_STORE_OK;
    return kms_sqlite_rollback(q, err, what);
}

enum kms_store_rc
kms_sqlite_undo(struct sqlite_store *q, enum kms_store_rc rc)
{
    kms_sqlite_run(q, q->batch ? "ROLLBACK TO part; RELEASE part" : "ROLLBACK");
    return rc;
}

enum kms_store_rc
kms_sqlite_rollback(struct sqlite_store *q, struct kms_store_err *err, const char *what)
{
    return kms_sqlite_undo(q, kms_sqlite_fail(q, err, what));
}

sqlite3_stmt *
kms_sqlite_prepare(struct sqlite_store *q, const char *sql)
{
    for (size_t i = 0; i < KMS_SQLITE_KEPT; i++) {
        if (q->kept[i].sql == sql)
            return q->kept[i].st;
        if (q->kept[i].sql != NULL)
            continue;
        if (sqlite3_prepare_v3(q->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->kept[i].st, NULL) !=
            SQLITE_OK)
            return NULL;
        q->kept[i].sql = sql;
        return q->kept[i].st;
    }
    return NULL; /* more literals than places: a mistake of ours */
}

static void
bind_octets(sqlite3_stmt *st, int i, const struct mkt_span *octets)
{
    sqlite3_bind_blob(st, i, octets->p, (int)octets->n, SQLITE_STATIC);
}

int
kms_sqlite_do(struct sqlite_store *q, int64_t *value, const char *sql, const char *kinds, ...)
{
    sqlite3_stmt *st = kms_sqlite_prepare(q, sql);
    va_list ap;
    int rc;

    if (st == NULL)
        return SQLITE_ERROR;
    va_start(ap, kinds);
    for (int i = 1; kinds[i - 1] != '\0'; i++)
        if (kinds[i - 1] == 't')
            sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        else if (kinds[i - 1] == 'b')
            bind_octets(st, i, va_arg(ap, const struct mkt_span *));
        else
            sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
    va_end(ap);
    rc = sqlite3_step(st);
    if (value != NULL)
        *value = rc == SQLITE_ROW                                  ? sqlite3_column_int64(st, 0)
                 : rc == SQLITE_DONE && !sqlite3_stmt_readonly(st) ? sqlite3_changes(q->db)
                                                                   : 0;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        rc = sqlite3_extended_errcode(q->db);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
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

static void
nap(int ms)
{
    const struct timespec ts = { 0, ms * 1000000L };

    nanosleep(&ts, NULL);
}

/* The file has no queue of writers: it is left alone for a moment. */
void
kms_sqlite_give_way(struct kms_store *s)
{
    (void)s;
    nap(GAP_MS);
}

/* SQLite's own handler sleeps ever longer, up to 100 ms: it would miss every gap of a writer that
 * goes on and on. */
static int
wait_turn(void *ctx, int tries)
{
    (void)ctx;
    nap(BUSY_POLL_MS);
    return tries < BUSY_MS / BUSY_POLL_MS;
}

static enum kms_store_rc
prepare_db(struct sqlite_store *q, unsigned max_pages, struct kms_store_err *err)
{
    int64_t version;
    char sql[64];

    sqlite3_extended_result_codes(q->db, 1);
    sqlite3_busy_handler(q->db, wait_turn, NULL);
    if (recognise(q, &version, err) != KMS_STORE_OK)
        return err->rc;
    snprintf(sql, sizeof sql, "PRAGMA max_page_count=%u", max_pages);
    if (!kms_sqlite_run(
            q, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON") ||
        (max_pages > 0 && !kms_sqlite_run(q, sql)))
        return kms_sqlite_fail(q, err, "cannot be prepared");
    return version == SCHEMA_VERSION ? KMS_STORE_OK : migrate(q, err);
}

/* Opens what is there, a file of ours or memory. */
static enum kms_store_rc
open_db(struct kms_store **s, const char *path, unsigned max_pages, struct kms_store_err *err)
{
    struct sqlite_store *q = calloc(1, sizeof *q);
    enum kms_store_rc rc;

    if (q == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    q->base.ops = &kms_sqlite_ops;
    q->path = path;
    if (sqlite3_open_v2(path, &q->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
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

enum kms_store_rc
kms_store_open_sqlite(struct kms_store **s, const char *path, unsigned max_pages,
                      struct kms_store_err *err)
{
    enum kms_store_rc rc = prepare_file(path, err);

    return rc == KMS_STORE_OK ? open_db(s, path, max_pages, err) : rc;
}

enum kms_store_rc
kms_sqlite_another(struct kms_store *s, struct kms_store **other, struct kms_store_err *err)
{
    const char *path = kms_sqlite_of(s)->path;

    if (path == NULL || path[0] == '\0')
        return kms_store_fail(err, KMS_STORE_FAILED, "a store in memory has one connection");
    return open_db(other, path, 0, err);
}

/* In place of SQLite's own function: a clock that a test sets. */
static void
tell_time(sqlite3_context *call, int n, sqlite3_value **args)
{
    const int64_t *now = sqlite3_user_data(call);

    (void)n;
    (void)args;
    sqlite3_result_int64(call, *now);
}

struct kms_store *
kms_store_open_memory(const int64_t *now)
{
    struct kms_store_err err = { 0 };
    struct kms_store *s = NULL;

    if (open_db(&s, ":memory:", 0, &err) != KMS_STORE_OK)
        return NULL;
    if (now != NULL && sqlite3_create_function(kms_sqlite_of(s)->db, "unixepoch", 0, SQLITE_UTF8,
                                               (void *)now, tell_time, NULL, NULL) != SQLITE_OK) {
        s->ops->close(s);
        return NULL;
    }
    return s;
}
