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

/* A user without PSK has a row of its own: it is no credential that could match. */
static const char *const add_user[] = { "INSERT INTO unkeyed_user(identity, added) VALUES(?1, ?2)",
                                        "INSERT INTO credential(identity, added, psk_id, psk, "
                                        "kek, serial) VALUES(?1, ?2, ?3, ?4, ?5, random())" };

static enum kms_store_rc
sqlite_user_add(struct kms_store *s, const struct kms_user *user, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    bool keyed = user->psk_id != NULL;
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(q->db, add_user[keyed], -1, &st, NULL) != SQLITE_OK)
        return kms_sqlite_fail(q, err, "cannot add");
    sqlite3_bind_text(st, 1, user->identity, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, seconds_now());
    if (keyed) {
        sqlite3_bind_text(st, 3, user->psk_id, -1, SQLITE_STATIC);
        sqlite3_bind_blob(st, 4, user->psk.octets.p, (int)user->psk.octets.n, SQLITE_STATIC);
        sqlite3_bind_int64(st, 5, user->psk.kek);
    }
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE && kms_sqlite_refused(q, err) == KMS_STORE_EXISTS)
        kms_store_fail(err, KMS_STORE_EXISTS, "%s is taken", keyed ? user->psk_id : user->identity);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? KMS_STORE_OK : err->rc;
}

/* Runs a statement with one or two parameters that are text; *n gets the rows it changed or found.
 */
static bool
run_with(struct sqlite_store *q, const char *sql, const char *first, const char *second,
         unsigned *n)
{
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(q->db, sql, -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(st, 1, first, -1, SQLITE_STATIC);
    if (second != NULL)
        sqlite3_bind_text(st, 2, second, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *n += 1;
    else if (rc == SQLITE_DONE && !sqlite3_stmt_readonly(st))
        *n += (unsigned)sqlite3_changes(q->db);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE;
}

static enum kms_store_rc
sqlite_user_remove(struct kms_store *s, const char *identity, const char *psk_id,
                   struct kms_removed *removed, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    unsigned unkeyed = 0;

    *removed = (struct kms_removed){ .credentials = 0 };
    if (!kms_sqlite_run(q, "BEGIN IMMEDIATE"))
        return kms_sqlite_fail(q, err, "cannot begin");
    bool ok =
        run_with(q, "DELETE FROM credential WHERE identity = ?1 AND (?2 IS NULL OR psk_id = ?2)",
                 identity, psk_id, &removed->credentials) &&
        (psk_id != NULL ||
         run_with(q, "DELETE FROM unkeyed_user WHERE identity = ?1", identity, NULL, &unkeyed));
    removed->unkeyed = unkeyed != 0;
    if (ok && psk_id == NULL && (removed->credentials > 0 || removed->unkeyed))
        ok = run_with(q, "DELETE FROM shared_tpk WHERE owner = ?1", identity, NULL,
                      &removed->tpks) &&
             run_with(q, "DELETE FROM kept_ticket WHERE initiator = ?1", identity, NULL,
                      &removed->kept);
    if (!ok || !kms_sqlite_run(q, "COMMIT"))
        return kms_sqlite_rollback(q, err, "cannot remove");
    if (removed->credentials == 0 && !removed->unkeyed)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such credential");
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the key */
    return KMS_STORE_OK;
}

static enum kms_store_rc
sqlite_tpk_share(struct kms_store *s, const struct kms_tpk *tpk, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(
            q->db, "INSERT INTO shared_tpk(id, owner, key, created, kek) VALUES(?, ?, ?, ?, ?)", -1,
            &st, NULL) != SQLITE_OK)
        return kms_sqlite_fail(q, err, "cannot add");
    sqlite3_bind_text(st, 1, tpk->id, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, tpk->owner, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 3, tpk->key.octets.p, (int)tpk->key.octets.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 4, seconds_now());
    sqlite3_bind_int64(st, 5, tpk->key.kek);
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE && kms_sqlite_refused(q, err) == KMS_STORE_EXISTS)
        kms_store_fail(err, KMS_STORE_EXISTS, "the tpk-id %s is taken", tpk->id);
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? KMS_STORE_OK : err->rc;
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

/* Keys are not sorted: they would pass through files of the sorter. */
#define USERS(psk)                                              \
    "SELECT identity, psk_id, " KMS_SQLITE_LEN(                 \
        "psk") ", added, " psk ", serial, kek FROM credential " \
               "UNION ALL SELECT identity, NULL, 0, added, NULL, 0, 0 FROM unkeyed_user"

static bool
read_users(struct sqlite_store *q, const struct kms_sink *sink, bool with_keys, bool *stopped)
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(q->db, with_keys ? USERS("psk") : USERS("NULL") " ORDER BY 1, 2", -1,
                           &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct kms_user u = { .identity = (const char *)sqlite3_column_text(st, 0),
                              .psk_id = (const char *)sqlite3_column_text(st, 1),
                              .psk_len = sqlite3_column_int(st, 2),
                              .added = sqlite3_column_int64(st, 3),
                              .serial = (uint64_t)sqlite3_column_int64(st, 5) };

        u.psk.kek = (uint32_t)sqlite3_column_int64(st, 6);
        u.psk.octets = mkt_span(sqlite3_column_blob(st, 4), (size_t)sqlite3_column_bytes(st, 4));
        *stopped = !sink->user(sink->ctx, &u);
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
    if ((sink->wrap != NULL && !kms_sqlite_wraps(q, sink, &stopped)) ||
        (sink->user != NULL && !stopped && !read_users(q, sink, with_keys, &stopped)) ||
        (sink->tpk != NULL && !stopped && !kms_sqlite_tpks(q, sink, with_keys, &stopped)) ||
        (sink->mark != NULL && !stopped && !read_marks(q, sink, &stopped)) ||
        (sink->kept != NULL && !stopped && !kms_sqlite_read_kept(q, sink, &stopped)))
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
    .tpk_add = kms_sqlite_tpk_add,
    .tpk_start = kms_sqlite_tpk_start,
    .tpk_validity = kms_sqlite_tpk_validity,
    .tpk_retire = kms_sqlite_tpk_retire,
    .tpk_share = sqlite_tpk_share,
    .tpk_remove = kms_sqlite_tpk_remove,
    .kek_add = kms_sqlite_kek_add,
    .kek_reseal = kms_sqlite_kek_reseal,
    .kek_forget = kms_sqlite_kek_forget,
    .marks = sqlite_marks,
    .keep = kms_sqlite_keep,
    .recall = kms_sqlite_recall,
    .revoke = kms_sqlite_revoke,
    .read = sqlite_read,
    .compact = kms_sqlite_compact,
    .version = sqlite_version,
    .close = sqlite_close,
};
