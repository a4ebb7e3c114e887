/* SPDX-License-Identifier: Apache-2.0 */
/* The ticket protection keys of the KMS in the SQLite store. A generation is claimed by its number:
 * two nodes that make the next one at the same time do not both succeed. */
#include "store_sqlite.h"

#define WHAT "cannot change a ticket protection key"

/* The generation that protects tickets of the realm of `tpk` now. */
#define CURRENT                                                                        \
    "(SELECT max(generation) FROM tpk other WHERE other.realm = tpk.realm AND starts " \
    "<= " KMS_SQLITE_NOW ")"

static int
insert_tpk(struct sqlite_store *q, const struct kms_tpk *t)
{
    return kms_sqlite_do(q, NULL,
                         "INSERT INTO tpk(id, generation, key, kek, starts, validity, realm, "
                         "created) VALUES(?, ?, ?, ?, ?, ?, ?, " KMS_SQLITE_NOW ")",
                         "tibiiii", t->id, t->generation, &t->key.octets, (int64_t)t->key.kek,
                         t->starts, t->validity, (int64_t)t->realm);
}

enum kms_store_rc
kms_sqlite_tpk_add(struct kms_store *s, const struct kms_tpk pair[2], struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t last, realm;
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(q, &realm, "SELECT id FROM realm WHERE id = ?", "i", (int64_t)pair->realm);
    if (rc == SQLITE_DONE)
        return kms_sqlite_undo(q,
                               kms_store_fail(err, KMS_STORE_NOT_FOUND, "there is no such realm"));
    if (rc != SQLITE_ROW ||
        !kms_sqlite_number(q, "SELECT coalesce(max(generation), 0) FROM tpk", &last))
        return kms_sqlite_rollback(q, err, WHAT);
    if (pair->generation != last + 1)
        return kms_sqlite_undo(
            q, kms_store_fail(err, KMS_STORE_EXISTS, "somebody else made that key"));
    rc = insert_tpk(q, &pair[0]);
    if (rc == SQLITE_DONE)
        rc = insert_tpk(q, &pair[1]);
    return rc == SQLITE_DONE ? kms_sqlite_commit(q, err, WHAT) : kms_sqlite_refused(q, rc, err);
}

/* Ends a change of `changed` rows, for which rc speaks: `none` when there are none. */
static enum kms_store_rc
end_change(struct sqlite_store *q, int rc, int64_t changed, enum kms_store_rc none,
           struct kms_store_err *err)
{
    if (rc != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, WHAT);
    if (changed == 0)
        return kms_sqlite_undo(q, kms_store_fail(err, none, "no such key"));
    return kms_sqlite_commit(q, err, WHAT);
}

enum kms_store_rc
kms_sqlite_tpk_start(struct kms_store *s, int64_t generation, int64_t starts,
                     struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t changed = 0;
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(q, &changed,
                       "UPDATE tpk SET starts = ?2 WHERE generation = ?1 AND starts > ?2", "ii",
                       generation, starts);
    return end_change(q, rc, changed, KMS_STORE_NOT_FOUND, err);
}

enum kms_store_rc
kms_sqlite_tpk_validity(struct kms_store *s, int64_t validity, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t changed = 0;
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(q, &changed, "UPDATE tpk SET validity = ?1 WHERE validity < ?1", "i",
                       validity);
    return end_change(q, rc, changed, KMS_STORE_SAME, err);
}

/* So that no old page keeps the key. */
static enum kms_store_rc
checkpoint(struct sqlite_store *q, enum kms_store_rc rc)
{
    if (rc == KMS_STORE_OK)
        kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)");
    return rc;
}

enum kms_store_rc
kms_sqlite_tpk_retire(struct kms_store *s, int64_t generation, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t gone = 0;
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(q, &gone, "DELETE FROM tpk WHERE generation = ?", "i", generation);
    return checkpoint(q, end_change(q, rc, gone, KMS_STORE_NOT_FOUND, err));
}

enum kms_store_rc
kms_sqlite_tpk_remove(struct kms_store *s, const char *id, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t own = 0, shared = 0;
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(q, NULL, "SELECT 1 FROM tpk WHERE id = ?1 AND generation = " CURRENT, "t",
                       id);
    if (rc == SQLITE_ROW)
        return kms_sqlite_undo(
            q, kms_store_fail(err, KMS_STORE_CURRENT, "%s protects new tickets", id));
    if (rc == SQLITE_DONE)
        rc = kms_sqlite_do(q, &own, "DELETE FROM tpk WHERE id = ?", "t", id);
    if (rc == SQLITE_DONE)
        rc = kms_sqlite_do(q, &shared, "DELETE FROM shared_tpk WHERE id = ?", "t", id);
    return checkpoint(q, end_change(q, rc, own + shared, KMS_STORE_NOT_FOUND, err));
}
