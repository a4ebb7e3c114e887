/* SPDX-License-Identifier: Apache-2.0 */
/* The generations of the store key in the SQLite store, and rows on their way from one to the
 * next. */
#include "store_sqlite.h"

#include <string.h>
#include <time.h>

static struct sqlite_store *
self(struct kms_store *s)
{
    return (struct sqlite_store *)(void *)s;
}

enum kms_store_rc
kms_sqlite_refused(struct sqlite_store *q, struct kms_store_err *err)
{
    int why = sqlite3_extended_errcode(q->db);

    if (why == SQLITE_CONSTRAINT_PRIMARYKEY || why == SQLITE_CONSTRAINT_UNIQUE)
        return kms_store_fail(err, KMS_STORE_EXISTS, "that id is taken");
    if (why == SQLITE_CONSTRAINT_TRIGGER)
        return kms_store_fail(err, KMS_STORE_STALE, "%s", sqlite3_errmsg(q->db));
    return kms_sqlite_fail(q, err, "cannot add");
}

static bool
insert_wrap(struct sqlite_store *q, const struct kms_wrap *w)
{
    sqlite3_stmt *st;
    bool ok;

    if (sqlite3_prepare_v2(q->db,
                           "INSERT INTO kek(generation, scheme, salt, sealed, created) "
                           "VALUES(?, ?, ?, ?, ?)",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(st, 1, w->generation);
    sqlite3_bind_text(st, 2, w->scheme, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 3, w->salt, sizeof w->salt, SQLITE_STATIC);
    sqlite3_bind_blob(st, 4, w->sealed, sizeof w->sealed, SQLITE_STATIC);
    sqlite3_bind_int64(st, 5, (int64_t)time(NULL));
    ok = sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    return ok;
}

enum kms_store_rc
kms_sqlite_kek_add(struct kms_store *s, const struct kms_wrap *wraps, size_t n,
                   struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    int64_t last;
    bool ok = true;

    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if (!kms_sqlite_number(q, "SELECT coalesce(max(generation), 0) FROM kek", &last))
        return kms_sqlite_rollback(q, err, "cannot read the store key");
    if ((int64_t)wraps->generation != last + 1) {
        kms_sqlite_run(q, "ROLLBACK");
        return kms_store_fail(err, KMS_STORE_EXISTS, "somebody else made a new store key");
    }
    for (size_t i = 0; ok && i < n; i++)
        ok = insert_wrap(q, &wraps[i]);
    if (!ok || !kms_sqlite_run(q, "COMMIT"))
        return kms_sqlite_rollback(q, err, "cannot add a store key");
    return KMS_STORE_OK;
}

static bool
take_wrap(sqlite3_stmt *st, struct kms_wrap *w)
{
    const char *scheme = (const char *)sqlite3_column_text(st, 1);
    const void *salt = sqlite3_column_blob(st, 2), *sealed = sqlite3_column_blob(st, 3);

    memset(w, 0, sizeof *w);
    if (scheme == NULL || strlen(scheme) >= sizeof w->scheme ||
        sqlite3_column_bytes(st, 2) != sizeof w->salt ||
        sqlite3_column_bytes(st, 3) != sizeof w->sealed)
        return false;
    w->generation = (uint32_t)sqlite3_column_int64(st, 0);
    memcpy(w->scheme, scheme, strlen(scheme));
    memcpy(w->salt, salt, sizeof w->salt);
    memcpy(w->sealed, sealed, sizeof w->sealed);
    w->created = sqlite3_column_int64(st, 4);
    return true;
}

bool
kms_sqlite_wraps(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped)
{
    struct kms_wrap w;
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(q->db,
                           "SELECT generation, scheme, salt, sealed, created FROM kek "
                           "ORDER BY generation, created",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW)
        *stopped = !take_wrap(st, &w) || !sink->wrap(sink->ctx, &w);
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}

/* The three kinds of rows, and how one is found again. */
static const struct {
    bool tpk;
    const char *count, *select, *update;
} tables[] = {
#define ROWS(tpk, table, id, owner, key)                                                     \
    {                                                                                        \
        tpk, "SELECT count(*) FROM " table " WHERE kek < (SELECT max(generation) FROM kek)", \
            "SELECT " id ", " owner ", kek, " key " FROM " table                             \
            " WHERE kek < (SELECT max(generation) FROM kek) LIMIT 1",                        \
            "UPDATE " table " SET kek = ?1, " key " = ?2 WHERE " id " = ?3"                  \
    }
    ROWS(false, "credential", "psk_id", "identity", "psk"),
    ROWS(true, "tpk", "id", "NULL", "key"),
    ROWS(true, "shared_tpk", "id", "owner", "key"),
#undef ROWS
};
#define N_TABLES (sizeof tables / sizeof tables[0])

typedef bool reseal_fn(void *ctx, struct kms_row *row, uint8_t buf[KMS_SEALED_MAX]);

static bool
put_row(sqlite3_stmt *st, const struct kms_row *row)
{
    bool ok;

    sqlite3_bind_int64(st, 1, row->key.kek);
    sqlite3_bind_blob(st, 2, row->key.octets.p, (int)row->key.octets.n, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, row->id, -1, SQLITE_STATIC);
    ok = sqlite3_step(st) == SQLITE_DONE;
    return sqlite3_reset(st) == SQLITE_OK && ok;
}

/* Takes at most *batch rows of table i, one SELECT each: the UPDATE moves the row out of the index
 * that the SELECT looks into. *bad: one does not open. */
static bool
reseal_table(struct sqlite_store *q, size_t i, size_t *batch, reseal_fn *reseal, void *ctx,
             bool *bad)
{
    sqlite3_stmt *from = NULL, *to = NULL;
    uint8_t buf[KMS_SEALED_MAX];
    int rc = SQLITE_DONE;
    bool ok = sqlite3_prepare_v2(q->db, tables[i].select, -1, &from, NULL) == SQLITE_OK &&
              sqlite3_prepare_v2(q->db, tables[i].update, -1, &to, NULL) == SQLITE_OK;

    while (ok && !*bad && *batch > 0) {
        rc = sqlite3_step(from);
        if (rc != SQLITE_ROW)
            break;
        struct kms_row row = { .tpk = tables[i].tpk,
                               .id = (const char *)sqlite3_column_text(from, 0),
                               .owner = (const char *)sqlite3_column_text(from, 1) };

        row.key.kek = (uint32_t)sqlite3_column_int64(from, 2);
        row.key.octets =
            mkt_span(sqlite3_column_blob(from, 3), (size_t)sqlite3_column_bytes(from, 3));
        *bad = !reseal(ctx, &row, buf);
        ok = *bad || put_row(to, &row);
        sqlite3_reset(from);
        --*batch;
    }
    mkt_wipe(buf, sizeof buf);
    sqlite3_finalize(from);
    sqlite3_finalize(to);
    return ok && (rc == SQLITE_ROW || rc == SQLITE_DONE);
}

static bool
count_left(struct sqlite_store *q, uint64_t *left)
{
    int64_t n;

    *left = 0;
    for (size_t i = 0; i < N_TABLES; i++) {
        if (!kms_sqlite_number(q, tables[i].count, &n))
            return false;
        *left += (uint64_t)n;
    }
    return true;
}

enum kms_store_rc
kms_sqlite_kek_reseal(struct kms_store *s, size_t batch, reseal_fn *reseal, void *ctx,
                      uint64_t *left, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    bool bad = false, ok;

    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    ok = count_left(q, left);
    for (size_t i = 0; ok && !bad && batch > 0 && i < N_TABLES; i++)
        ok = reseal_table(q, i, &batch, reseal, ctx, &bad);
    if (bad) {
        kms_sqlite_run(q, "ROLLBACK");
        return kms_store_fail(err, KMS_STORE_FAILED,
                              "a key in the store does not open: it was "
                              "changed, or moved to another row");
    }
    if (!ok || !kms_sqlite_run(q, "COMMIT"))
        return kms_sqlite_rollback(q, err, "cannot seal the keys anew");
    return KMS_STORE_OK;
}

static bool
delete_others(struct sqlite_store *q, const struct kms_wrap *keep, size_t n)
{
    sqlite3_stmt *st;
    bool ok;

    if (sqlite3_prepare_v2(q->db, "DELETE FROM kek WHERE sealed NOT IN (?, ?)", -1, &st, NULL) !=
        SQLITE_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        sqlite3_bind_blob(st, (int)i + 1, keep[i].sealed, sizeof keep[i].sealed, SQLITE_STATIC);
    if (n == 1)
        sqlite3_bind_blob(st, 2, keep[0].sealed, sizeof keep[0].sealed, SQLITE_STATIC);
    ok = sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    return ok;
}

enum kms_store_rc
kms_sqlite_kek_forget(struct kms_store *s, const struct kms_wrap *keep, size_t n,
                      struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    uint64_t left;

    if (n < 1 || n > 2)
        return kms_store_fail(err, KMS_STORE_FAILED, "one or two wraps are kept");
    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    if (!count_left(q, &left))
        return kms_sqlite_rollback(q, err, "cannot count the keys");
    if (left > 0) {
        kms_sqlite_run(q, "ROLLBACK");
        return kms_store_fail(err, KMS_STORE_CURRENT, "%llu keys are not sealed anew yet",
                              (unsigned long long)left);
    }
    if (!delete_others(q, keep, n) || !kms_sqlite_run(q, "COMMIT"))
        return kms_sqlite_rollback(q, err, "cannot forget former store keys");
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps them */
    return KMS_STORE_OK;
}

/* Overwritten pages may still stand in the log, and freed ones in the file. */
enum kms_store_rc
kms_sqlite_compact(struct kms_store *s, struct kms_store_err *err)
{
    if (!kms_sqlite_run(self(s), "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"))
        return kms_sqlite_fail(self(s), err, "cannot be compacted");
    return KMS_STORE_OK;
}
