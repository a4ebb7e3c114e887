/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite store's rows about tickets that were issued: revocations, and how far the chains of
 * audit records have come. */
#include <string.h>
#include <time.h>

#include "store_sqlite.h"

static const char *
word_of(enum kms_revoked_kind kind)
{
    return kind == KMS_REVOKED_TICKET ? "ticket" : "user";
}

/* Runs a statement on (kind, name, now); *n gets the rows it changed. */
static bool
run_on(struct sqlite_store *q, const char *sql, const struct kms_revocation *r, int *n)
{
    sqlite3_stmt *st;
    bool ok;

    if (sqlite3_prepare_v2(q->db, sql, -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(st, 1, word_of(r->kind), -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, r->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 3, (int64_t)time(NULL));
    ok = sqlite3_step(st) == SQLITE_DONE;
    *n = sqlite3_changes(q->db);
    sqlite3_finalize(st);
    return ok;
}

enum kms_store_rc
kms_sqlite_revocation_add(struct kms_store *s, const struct kms_revocation *r, size_t n,
                          struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    bool ok = true;
    int changed;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    for (size_t i = 0; ok && i < n; i++)
        ok = run_on(q,
                    "INSERT INTO revocation(kind, name, revoked) VALUES(?1, ?2, ?3) "
                    "ON CONFLICT(kind, name) DO UPDATE SET revoked = max(revoked, ?3)",
                    &r[i], &changed);
    return ok ? kms_sqlite_commit(q, err, "cannot revoke")
              : kms_sqlite_rollback(q, err, "cannot revoke");
}

enum kms_store_rc
kms_sqlite_revocation_remove(struct kms_store *s, const struct kms_revocation *r,
                             struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int changed = 0;

    if (!run_on(q, "DELETE FROM revocation WHERE kind = ?1 AND name = ?2 AND ?3 IS NOT NULL", r,
                &changed))
        return kms_sqlite_fail(q, err, "cannot restore");
    if (changed == 0)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "%s is not revoked", r->name);
    return KMS_STORE_OK;
}

bool
kms_sqlite_read_revocations(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped)
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(q->db,
                           "SELECT kind = 'user', name, revoked FROM revocation ORDER BY 3, 1, 2",
                           -1, &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const struct kms_revocation r = { sqlite3_column_int(st, 0) != 0 ? KMS_REVOKED_USER
                                                                         : KMS_REVOKED_TICKET,
                                          (const char *)sqlite3_column_text(st, 1),
                                          sqlite3_column_int64(st, 2) };

        *stopped = !sink->revocation(sink->ctx, &r);
    }
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}

enum kms_store_rc
kms_sqlite_audit_seal(struct kms_store *s, const struct kms_head *head, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(q->db,
                           "INSERT INTO audit_seal(chain, segment, seq, hash, sealed) "
                           "VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(chain) DO UPDATE SET "
                           "segment = ?2, seq = ?3, hash = ?4, sealed = ?5",
                           -1, &st, NULL) != SQLITE_OK)
        return kms_sqlite_fail(q, err, "cannot seal the audit");
    sqlite3_bind_text(st, 1, head->chain, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (int64_t)head->segment);
    sqlite3_bind_int64(st, 3, (int64_t)head->seq);
    sqlite3_bind_blob(st, 4, head->hash, sizeof head->hash, SQLITE_STATIC);
    sqlite3_bind_int64(st, 5, (int64_t)time(NULL));
    rc = sqlite3_step(st);
    if (rc != SQLITE_DONE)
        kms_sqlite_fail(q, err, "cannot seal the audit");
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? KMS_STORE_OK : err->rc;
}

bool
kms_sqlite_read_seals(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped)
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(
            q->db, "SELECT chain, segment, seq, hash FROM audit_seal ORDER BY sealed, rowid", -1,
            &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct kms_head head = { .segment = (uint64_t)sqlite3_column_int64(st, 1),
                                 .seq = (uint64_t)sqlite3_column_int64(st, 2) };
        const void *hash = sqlite3_column_blob(st, 3);

        if (sqlite3_column_bytes(st, 3) != (int)sizeof head.hash ||
            sqlite3_column_bytes(st, 0) != (int)sizeof head.chain - 1)
            continue; /* not written by us */
        memcpy(head.chain, sqlite3_column_text(st, 0), sizeof head.chain - 1);
        memcpy(head.hash, hash, sizeof head.hash);
        *stopped = !sink->seal(sink->ctx, &head);
    }
    sqlite3_finalize(st);
    return *stopped || rc == SQLITE_DONE;
}
