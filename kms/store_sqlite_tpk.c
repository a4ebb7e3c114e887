/* SPDX-License-Identifier: Apache-2.0 */
/* The ticket protection keys in the SQLite store. A generation is claimed by its number: two nodes
 * that make the next one at the same time do not both succeed. */
#include "store_sqlite.h"

#include <time.h>

/* The generation that protects tickets now; 0: none. */
#define CURRENT                                                                             \
    "(SELECT coalesce(max(generation), 0) FROM tpk WHERE starts <= CAST(strftime('%s') AS " \
    "INTEGER))"

static struct sqlite_store *
self(struct kms_store *s)
{
    return (struct sqlite_store *)(void *)s;
}

static bool
insert_tpk(struct sqlite_store *q, const struct kms_tpk *t)
{
    sqlite3_stmt *st;
    bool ok;

    if (sqlite3_prepare_v2(q->db,
                           "INSERT INTO tpk(id, generation, key, kek, starts, validity, created) "
                           "VALUES(?, ?, ?, ?, ?, ?, ?)",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(st, 1, t->id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, t->generation);
    sqlite3_bind_blob(st, 3, t->key.octets.p, (int)t->key.octets.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, t->key.kek);
    sqlite3_bind_int64(st, 5, t->starts);
    sqlite3_bind_int64(st, 6, t->validity);
    sqlite3_bind_int64(st, 7, (int64_t)time(NULL));
    ok = sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    return ok;
}

enum kms_store_rc
kms_sqlite_tpk_add(struct kms_store *s, const struct kms_tpk pair[2], struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    int64_t last;

    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if (!kms_sqlite_number(q, "SELECT coalesce(max(generation), 0) FROM tpk", &last))
        return kms_sqlite_rollback(q, err, "cannot add a ticket protection key");
    if (pair->generation != last + 1) {
        kms_sqlite_run(q, "ROLLBACK");
        return kms_store_fail(err, KMS_STORE_EXISTS, "somebody else made that key");
    }
    if (!insert_tpk(q, &pair[0]) || !insert_tpk(q, &pair[1]) || !kms_sqlite_run(q, "COMMIT")) {
        kms_sqlite_refused(q, err);
        kms_sqlite_run(q, "ROLLBACK");
        return err->rc;
    }
    return KMS_STORE_OK;
}

/* Runs a statement with two numbers; NOT_FOUND when it changed nothing. */
static enum kms_store_rc
change(struct kms_store *s, const char *sql, int64_t a, int64_t b, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(q->db, sql, -1, &st, NULL) != SQLITE_OK)
        return kms_sqlite_fail(q, err, "cannot change a ticket protection key");
    sqlite3_bind_int64(st, 1, a);
    sqlite3_bind_int64(st, 2, b);
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE)
        kms_sqlite_fail(q, err, "cannot change a ticket protection key");
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return err->rc;
    return sqlite3_changes(q->db) > 0 ? KMS_STORE_OK
                                      : kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such key");
}

enum kms_store_rc
kms_sqlite_tpk_start(struct kms_store *s, int64_t generation, int64_t starts,
                     struct kms_store_err *err)
{
    return change(s, "UPDATE tpk SET starts = ?2 WHERE generation = ?1 AND starts > ?2", generation,
                  starts, err);
}

enum kms_store_rc
kms_sqlite_tpk_validity(struct kms_store *s, int64_t validity, struct kms_store_err *err)
{
    enum kms_store_rc rc =
        change(s, "UPDATE tpk SET validity = ?1 WHERE validity < ?1", validity, 0, err);

    return rc == KMS_STORE_NOT_FOUND ? KMS_STORE_OK : rc;
}

enum kms_store_rc
kms_sqlite_tpk_retire(struct kms_store *s, int64_t generation, struct kms_store_err *err)
{
    enum kms_store_rc rc = change(s, "DELETE FROM tpk WHERE generation = ?1", generation, 0, err);

    if (rc == KMS_STORE_OK)
        kms_sqlite_run(self(s), "PRAGMA wal_checkpoint(TRUNCATE)"); /* no old page keeps the key */
    return rc;
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

enum kms_store_rc
kms_sqlite_tpk_remove(struct kms_store *s, const char *id, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    int removed = 0, current = 0;

    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if (!run_with(q, "SELECT 1 FROM tpk WHERE id = ? AND generation = " CURRENT, id, &current) ||
        !run_with(q, "DELETE FROM tpk WHERE id = ? AND generation <> " CURRENT, id, &removed) ||
        !run_with(q, "DELETE FROM shared_tpk WHERE id = ?", id, &removed) ||
        !kms_sqlite_run(q, "COMMIT"))
        return kms_sqlite_rollback(q, err, "cannot remove");
    if (current > 0)
        return kms_store_fail(err, KMS_STORE_CURRENT, "%s protects new tickets", id);
    if (removed == 0)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such key");
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the key */
    return KMS_STORE_OK;
}

bool
kms_sqlite_tpks(struct sqlite_store *q, const struct kms_sink *sink, bool with_keys, bool *stopped)
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(
            q->db,
            "SELECT id, generation, starts, " KMS_SQLITE_LEN(
                "key") ", created, "
                       "CASE WHEN ?1 THEN key END, NULL, 0, kek, validity FROM tpk UNION ALL "
                       "SELECT id, 0, 0, " KMS_SQLITE_LEN(
                           "key") ", created, "
                                  "CASE WHEN ?1 THEN key END, owner, number, kek, 0 FROM "
                                  "shared_tpk "
                                  "ORDER BY 8, 2, 1",
            -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int(st, 1, with_keys);
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct kms_tpk t = { .id = (const char *)sqlite3_column_text(st, 0),
                             .generation = sqlite3_column_int64(st, 1),
                             .starts = sqlite3_column_int64(st, 2),
                             .validity = sqlite3_column_int64(st, 9),
                             .key_len = sqlite3_column_int(st, 3),
                             .created = sqlite3_column_int64(st, 4),
                             .owner = (const char *)sqlite3_column_text(st, 6) };

        t.key.kek = (uint32_t)sqlite3_column_int64(st, 8);
        t.key.octets = mkt_span(sqlite3_column_blob(st, 5), (size_t)sqlite3_column_bytes(st, 5));
        *stopped = !sink->tpk(sink->ctx, &t);
    }
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}
