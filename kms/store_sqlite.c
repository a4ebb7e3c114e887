/* SPDX-License-Identifier: Apache-2.0 */
/* The default store: one SQLite file. Every change is one transaction that is on disk
 * (synchronous=FULL) before it is reported. */
#include "store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct sqlite_store *
self(struct kms_store *s)
{
    return (struct sqlite_store *)(void *)s;
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
        return kms_sqlite_fail(q, err, "cannot add");
    sqlite3_bind_text(st, 1, user->psk_id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, user->identity, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 3, user->psk.p, (int)user->psk.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, seconds_now());
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE && sqlite3_extended_errcode(q->db) == SQLITE_CONSTRAINT_PRIMARYKEY)
        kms_store_fail(err, KMS_STORE_EXISTS, "the psk-id %s is taken", user->psk_id);
    else if (rc != SQLITE_DONE)
        kms_sqlite_fail(q, err, "cannot add");
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
        return kms_sqlite_fail(q, err, "cannot remove");
    sqlite3_bind_text(st, 1, identity, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, psk_id, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    *removed = rc == SQLITE_DONE ? (unsigned)sqlite3_changes(q->db) : 0;
    if (rc != SQLITE_DONE)
        kms_sqlite_fail(q, err, "cannot remove");
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return err->rc;
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the key */
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

    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if (!kms_sqlite_number(q, "SELECT coalesce(max(generation), 0) + 1 FROM tpk", generation) ||
        !kms_sqlite_run(q, "UPDATE tpk SET state = 'previous'") ||
        !insert_tpk(q, *generation, "128", key_128) ||
        !insert_tpk(q, *generation, "256", key_256) || !kms_sqlite_run(q, "COMMIT"))
        return kms_sqlite_rollback(q, err, "cannot add a ticket protection key");
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
        return kms_sqlite_fail(q, err, "cannot add");
    sqlite3_bind_text(st, 1, tpk->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, tpk->owner, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 3, tpk->key.p, (int)tpk->key.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, seconds_now());
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE && sqlite3_extended_errcode(q->db) == SQLITE_CONSTRAINT_UNIQUE)
        kms_store_fail(err, KMS_STORE_EXISTS, "the tpk-id %s is taken", tpk->id);
    else if (rc != SQLITE_DONE)
        kms_sqlite_fail(q, err, "cannot add");
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

    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if (!run_with(q, "SELECT 1 FROM tpk WHERE id = ? AND state = 'current'", id, &current) ||
        !run_with(q, "DELETE FROM tpk WHERE id = ? AND state = 'previous'", id, &removed) ||
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

    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if (sqlite3_prepare_v2(q->db,
                           "INSERT INTO counter(serial, mark) VALUES(?1, ?2) "
                           "ON CONFLICT(serial) DO UPDATE SET mark = ?2",
                           -1, &st, NULL) != SQLITE_OK)
        return kms_sqlite_rollback(q, err, "cannot keep counters");
    for (size_t i = 0; ok && i < n; i++)
        ok = put_mark(st, &marks[i]);
    sqlite3_finalize(st);
    if (!ok || !kms_sqlite_run(q, "COMMIT"))
        return kms_sqlite_rollback(q, err, "cannot keep counters");
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

    if (!kms_sqlite_run(q, "BEGIN"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if ((sink->user != NULL && !read_users(q, sink, with_keys, &stopped)) ||
        (sink->tpk != NULL && !stopped && !read_tpks(q, sink, with_keys, &stopped)) ||
        (sink->mark != NULL && !stopped && !read_marks(q, sink, &stopped)))
        return kms_sqlite_rollback(q, err, "cannot read");
    kms_sqlite_run(q, "ROLLBACK"); /* nothing was written */
    if (stopped)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    return KMS_STORE_OK;
}

static enum kms_store_rc
sqlite_version(struct kms_store *s, uint64_t *version, struct kms_store_err *err)
{
    int64_t v;

    if (!kms_sqlite_number(self(s), "SELECT number FROM change", &v))
        return kms_sqlite_fail(self(s), err, "cannot read");
    *version = (uint64_t)v;
    return KMS_STORE_OK;
}

static void
sqlite_close(struct kms_store *s)
{
    sqlite3_close_v2(self(s)->db);
    free(s);
}
const struct kms_store_ops kms_sqlite_ops = {
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
