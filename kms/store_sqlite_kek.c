/* SPDX-License-Identifier: Apache-2.0 */
/* The generations of the store key in the SQLite store, and rows on their way from one to the
 * next. */
#include "store_sqlite.h"

#include <string.h>

enum kms_store_rc
kms_sqlite_refusal(struct sqlite_store *q, int rc, struct kms_store_err *err)
{
    if (rc == SQLITE_CONSTRAINT_TRIGGER)
        return kms_store_fail(err, KMS_STORE_STALE, "%s", sqlite3_errmsg(q->db));
    return kms_sqlite_fail(q, err, "cannot add");
}

enum kms_store_rc
kms_sqlite_refused(struct sqlite_store *q, int rc, struct kms_store_err *err)
{
    return kms_sqlite_undo(q, kms_sqlite_refusal(q, rc, err));
}

static bool
insert_wrap(struct sqlite_store *q, const struct kms_wrap *w)
{
    const struct mkt_span salt = mkt_span(w->salt, sizeof w->salt);
    const struct mkt_span sealed = mkt_span(w->sealed, sizeof w->sealed);

    return kms_sqlite_do(q, NULL,
                         "INSERT INTO kek(generation, scheme, salt, sealed, created) "
                         "VALUES(?, ?, ?, ?, " KMS_SQLITE_NOW ")",
                         "itbb", (int64_t)w->generation, w->scheme, &salt, &sealed) == SQLITE_DONE;
}

enum kms_store_rc
kms_sqlite_kek_add(struct kms_store *s, const struct kms_wrap *wraps, size_t n,
                   struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t last;
    bool ok = true;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    if (!kms_sqlite_number(q, "SELECT coalesce(max(generation), 0) FROM kek", &last))
        return kms_sqlite_rollback(q, err, "cannot read the store key");
    if ((int64_t)wraps->generation != last + 1)
        return kms_sqlite_undo(
            q, kms_store_fail(err, KMS_STORE_EXISTS, "somebody else made a new store key"));
    for (size_t i = 0; ok && i < n; i++)
        ok = insert_wrap(q, &wraps[i]);
    return ok ? kms_sqlite_commit(q, err, "cannot add a store key")
              : kms_sqlite_rollback(q, err, "cannot add a store key");
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
kms_sqlite_read_wraps(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped)
{
    struct kms_wrap w;
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(q->db,
                           "SELECT generation, scheme, salt, sealed, created FROM kek "
                           "ORDER BY generation, rowid",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW)
        *stopped = !take_wrap(st, &w) || !sink->wrap(sink->ctx, &w);
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}

/* The kinds of rows: how many wait, the next one, and where it goes back. The last column of a
 * SELECT and the last one that an UPDATE looks for is what the table lies by. */
static const struct {
    enum kms_key_kind kind;
    const char *count, *select, *update;
} tables[] = {
#define ROWS(kind, table, id, owner, key, by)                                                 \
    {                                                                                         \
        kind, "SELECT count(*) FROM " table " WHERE kek < (SELECT max(generation) FROM kek)", \
            "SELECT " id ", " owner ", kek, " key ", " by " FROM " table                      \
            " WHERE kek < (SELECT max(generation) FROM kek) LIMIT 1",                         \
            "UPDATE " table " SET kek = ?1, " key " = ?2 WHERE " id " = ?3 AND " by " = ?4"   \
    }
    ROWS(KMS_PSK, "credential", "psk_id", "(SELECT identity FROM users WHERE id = user)", "psk",
         "user"),
    ROWS(KMS_TPK, "tpk", "id", "NULL", "key", "id"),
    ROWS(KMS_TPK, "shared_tpk", "id", "owner", "key", "number"),
    ROWS(KMS_KEPT, "kept_ticket", "reference", "initiator", "keys", "number"),
#undef ROWS
};
#define N_TABLES (sizeof tables / sizeof tables[0])

typedef bool reseal_fn(void *ctx, struct kms_row *row, uint8_t buf[KMS_ROW_MAX]);

/* The id goes back as it came: as text or as octets. */
static bool
put_row(sqlite3_stmt *st, sqlite3_stmt *from, const struct kms_row *row)
{
    bool ok;

    sqlite3_bind_int64(st, 1, row->key.kek);
    sqlite3_bind_blob(st, 2, row->key.octets.p, (int)row->key.octets.n, SQLITE_STATIC);
    sqlite3_bind_value(st, 3, sqlite3_column_value(from, 0));
    sqlite3_bind_value(st, 4, sqlite3_column_value(from, 4));
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
    uint8_t buf[KMS_ROW_MAX];
    int rc = SQLITE_DONE;
    bool ok = sqlite3_prepare_v2(q->db, tables[i].select, -1, &from, NULL) == SQLITE_OK &&
              sqlite3_prepare_v2(q->db, tables[i].update, -1, &to, NULL) == SQLITE_OK;

    while (ok && !*bad && *batch > 0) {
        rc = sqlite3_step(from);
        if (rc != SQLITE_ROW)
            break;
        struct kms_row row = { tables[i].kind,
                               kms_sqlite_octets(from, 1),
                               kms_sqlite_octets(from, 0),
                               { (uint32_t)sqlite3_column_int64(from, 2),
                                 kms_sqlite_octets(from, 3) } };

        *bad = !reseal(ctx, &row, buf);
        ok = *bad || put_row(to, from, &row);
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
kms_sqlite_kek_left(struct kms_store *s, uint64_t *left, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);

    return count_left(q, left) ? KMS_STORE_OK : kms_sqlite_fail(q, err, "cannot count the keys");
}

enum kms_store_rc
kms_sqlite_kek_reseal(struct kms_store *s, size_t batch, reseal_fn *reseal, void *ctx,
                      size_t *taken, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    size_t room = batch;
    bool bad = false, ok = true;

    *taken = 0;
    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    for (size_t i = 0; ok && !bad && room > 0 && i < N_TABLES; i++)
        ok = reseal_table(q, i, &room, reseal, ctx, &bad);
    if (bad)
        return kms_sqlite_undo(q, kms_store_fail(err, KMS_STORE_FAILED,
                                                 "a key in the store does not open: it was "
                                                 "changed, or moved to another row"));
    if (!ok)
        return kms_sqlite_rollback(q, err, "cannot seal the keys anew");
    *taken = batch - room;
    return kms_sqlite_commit(q, err, "cannot seal the keys anew");
}

static bool
delete_others(struct sqlite_store *q, const struct kms_wrap *keep, size_t n)
{
    const struct mkt_span first = mkt_span(keep[0].sealed, sizeof keep[0].sealed);
    const struct mkt_span last = mkt_span(keep[n - 1].sealed, sizeof keep[n - 1].sealed);

    return kms_sqlite_do(q, NULL, "DELETE FROM kek WHERE sealed NOT IN (?, ?)", "bb", &first,
                         &last) == SQLITE_DONE;
}

enum kms_store_rc
kms_sqlite_kek_forget(struct kms_store *s, const struct kms_wrap *keep, size_t n,
                      struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    uint64_t left;

    if (n < 1 || n > 2)
        return kms_store_fail(err, KMS_STORE_FAILED, "one or two wraps are kept");
    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    if (!count_left(q, &left))
        return kms_sqlite_rollback(q, err, "cannot count the keys");
    if (left > 0)
        return kms_sqlite_undo(q, kms_store_fail(err, KMS_STORE_CURRENT,
                                                 "%llu keys are not sealed anew yet",
                                                 (unsigned long long)left));
    if (!delete_others(q, keep, n))
        return kms_sqlite_rollback(q, err, "cannot forget former store keys");
    if (kms_sqlite_commit(q, err, "cannot forget former store keys") != KMS_STORE_OK)
        return err->rc;
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps them */
    return KMS_STORE_OK;
}

/* Overwritten pages may still stand in the log, and freed ones in the file. */
enum kms_store_rc
kms_sqlite_compact(struct kms_store *s, struct kms_store_err *err)
{
    if (!kms_sqlite_run(kms_sqlite_of(s), "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)"))
        return kms_sqlite_fail(kms_sqlite_of(s), err, "cannot be compacted");
    return KMS_STORE_OK;
}
