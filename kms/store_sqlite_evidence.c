/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite store's rows about tickets that were issued: revocations, and how far the chains of
 * audit records have come. */
#include <string.h>

#include "store_sqlite.h"

static const char *const words[] = {
    [KMS_REVOKED_TICKET] = "ticket", [KMS_REVOKED_USER] = "user", [KMS_REVOKED_GROUP] = "group"
};

/* False: a word of a later version. */
static bool
kind_of(const char *word, enum kms_revoked_kind *kind)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) {
            *kind = (enum kms_revoked_kind)i;
            return true;
        }
    return false;
}

/* Runs a statement on (kind, name); *n gets the rows it changed. */
static bool
run_on(struct sqlite_store *q, const char *sql, const struct kms_revocation *r, int *n)
{
    sqlite3_stmt *st;
    bool ok;

    if (sqlite3_prepare_v2(q->db, sql, -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_text(st, 1, words[r->kind], -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, r->name, -1, SQLITE_STATIC);
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
        ok =
            run_on(q,
                   "INSERT INTO revocation(kind, name, revoked) VALUES(?1, ?2, " KMS_SQLITE_NOW ") "
                   "ON CONFLICT(kind, name) DO UPDATE SET revoked = max(revoked, excluded.revoked)",
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

    if (!run_on(q, "DELETE FROM revocation WHERE kind = ?1 AND name = ?2", r, &changed))
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

    if (sqlite3_prepare_v2(q->db, "SELECT kind, name, revoked FROM revocation ORDER BY 3, 1, 2", -1,
                           &st, NULL) != SQLITE_OK)
        return false;
    while (!*stopped && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct kms_revocation r = { .name = (const char *)sqlite3_column_text(st, 1),
                                    .at = sqlite3_column_int64(st, 2) };

        if (kind_of((const char *)sqlite3_column_text(st, 0), &r.kind))
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
                           "VALUES(?1, ?2, ?3, ?4, " KMS_SQLITE_NOW
                           ") ON CONFLICT(chain) DO UPDATE "
                           "SET segment = ?2, seq = ?3, hash = ?4, sealed = excluded.sealed",
                           -1, &st, NULL) != SQLITE_OK)
        return kms_sqlite_fail(q, err, "cannot seal the audit");
    sqlite3_bind_text(st, 1, head->chain, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (int64_t)head->segment);
    sqlite3_bind_int64(st, 3, (int64_t)head->seq);
    sqlite3_bind_blob(st, 4, head->hash, sizeof head->hash, SQLITE_STATIC);
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
