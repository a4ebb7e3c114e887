/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of reference tickets in the SQLite store. A row is the ticket: without it nobody, not
 * even the KMS, has its keys. */
#include <string.h>

#include "store_sqlite.h"

static struct sqlite_store *
self(struct kms_store *s)
{
    return (struct sqlite_store *)(void *)s;
}

static void
bind_kept(sqlite3_stmt *st, const struct kms_kept *k)
{
    sqlite3_bind_blob(st, 1, k->reference, KMS_REFERENCE, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, k->initiator, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 3, k->responders, -1, SQLITE_STATIC);
    sqlite3_bind_blob(st, 4, k->keys.octets.p, (int)k->keys.octets.n, SQLITE_STATIC);
    sqlite3_bind_int64(st, 5, k->until);
    sqlite3_bind_int64(st, 6, k->keys.kek);
}

static bool
forget_ended(struct sqlite_store *q)
{
    return kms_sqlite_do(q, NULL, "DELETE FROM kept_ticket WHERE until < " KMS_SQLITE_NOW, "") ==
           SQLITE_DONE;
}

enum kms_store_rc
kms_sqlite_keep(struct kms_store *s, const struct kms_kept *kept, struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    sqlite3_stmt *st;
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    if (!forget_ended(q) ||
        sqlite3_prepare_v2(q->db,
                           "INSERT INTO kept_ticket(reference, initiator, responders, keys, issued,"
                           " until, kek) VALUES(?, ?, ?, ?, " KMS_SQLITE_NOW ", ?, ?)",
                           -1, &st, NULL) != SQLITE_OK)
        return kms_sqlite_rollback(q, err, "cannot keep a ticket");
    bind_kept(st, kept);
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE)
        rc = sqlite3_extended_errcode(q->db);
    sqlite3_finalize(st);
    if (rc == SQLITE_CONSTRAINT_UNIQUE)
        return kms_sqlite_undo(q, kms_store_fail(err, KMS_STORE_EXISTS, "the reference is taken"));
    return rc == SQLITE_DONE ? kms_sqlite_commit(q, err, "cannot keep a ticket")
                             : kms_sqlite_refused(q, rc, err);
}

enum kms_store_rc
kms_sqlite_recall(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                  void (*take)(void *ctx, const struct kms_kept *kept), void *ctx,
                  struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    enum kms_store_rc rc = KMS_STORE_OK;
    struct kms_kept k = { .initiator = NULL };
    sqlite3_stmt *st;
    int step;

    if (sqlite3_prepare_v2(q->db,
                           "SELECT keys, kek, initiator, responders, issued, until "
                           "FROM kept_ticket WHERE reference = ?",
                           -1, &st, NULL) != SQLITE_OK)
        return kms_sqlite_fail(q, err, "cannot read");
    sqlite3_bind_blob(st, 1, reference, KMS_REFERENCE, SQLITE_STATIC);
    step = sqlite3_step(st);
    if (step == SQLITE_ROW) {
        memcpy(k.reference, reference, KMS_REFERENCE);
        k.keys.octets = mkt_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
        k.keys.kek = (uint32_t)sqlite3_column_int64(st, 1);
        k.initiator = (const char *)sqlite3_column_text(st, 2);
        k.responders = (const char *)sqlite3_column_text(st, 3);
        k.issued = sqlite3_column_int64(st, 4);
        k.until = sqlite3_column_int64(st, 5);
        take(ctx, &k);
    } else if (step == SQLITE_DONE) {
        rc = kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such ticket");
    } else {
        rc = kms_sqlite_fail(q, err, "cannot read");
    }
    sqlite3_finalize(st);
    return rc;
}

enum kms_store_rc
kms_sqlite_revoke(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                  struct kms_store_err *err)
{
    struct sqlite_store *q = self(s);
    sqlite3_stmt *st;
    int rc, gone;

    if (sqlite3_prepare_v2(q->db, "DELETE FROM kept_ticket WHERE reference = ?", -1, &st, NULL) !=
        SQLITE_OK)
        return kms_sqlite_fail(q, err, "cannot revoke");
    sqlite3_bind_blob(st, 1, reference, KMS_REFERENCE, SQLITE_STATIC);
    rc = sqlite3_step(st);
    gone = sqlite3_changes(q->db);
    if (rc != SQLITE_DONE)
        kms_sqlite_fail(q, err, "cannot revoke");
    sqlite3_finalize(st);
    if (rc != SQLITE_DONE)
        return err->rc;
    if (gone == 0)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such ticket");
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the keys */
    return KMS_STORE_OK;
}

bool
kms_sqlite_read_kept(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped)
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(q->db,
                           "SELECT reference, initiator, responders, issued, until, kek "
                           "FROM kept_ticket WHERE length(reference) = 16 ORDER BY number",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct kms_kept k = { .initiator = (const char *)sqlite3_column_text(st, 1),
                              .responders = (const char *)sqlite3_column_text(st, 2),
                              .issued = sqlite3_column_int64(st, 3),
                              .until = sqlite3_column_int64(st, 4) };

        k.keys.kek = (uint32_t)sqlite3_column_int64(st, 5);
        memcpy(k.reference, sqlite3_column_blob(st, 0), KMS_REFERENCE);
        *stopped = !sink->kept(sink->ctx, &k);
    }
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}
