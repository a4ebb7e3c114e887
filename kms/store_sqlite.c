/* SPDX-License-Identifier: Apache-2.0 */
/* The default store: one SQLite file. Every change is one transaction that is on disk
 * (synchronous=FULL) before it is reported. */
#include "store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t
seconds_now(void)
{
    return (int64_t)time(NULL);
}

static bool
insert_tpk(struct sqlite_store *q, int64_t realm, int64_t generation, const char *suite,
           const struct mkt_secret *key)
{
    const struct mkt_span octets = mkt_secret_span(key);
    char id[32];

    snprintf(id, sizeof id, "tpk-%lld-%s", (long long)generation, suite);
    return kms_sqlite_do(q, NULL,
                         "INSERT INTO tpk(id, generation, key, state, created, realm) "
                         "VALUES(?, ?, ?, 'current', ?, ?)",
                         "tibii", id, generation, &octets, seconds_now(), realm) == SQLITE_DONE;
}

/* Generations are counted over all realms, so that an id names one key. */
static enum kms_store_rc
sqlite_tpk_add(struct kms_store *s, const char *realm, const struct mkt_secret *key_128,
               const struct mkt_secret *key_256, int64_t *generation, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t number;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    if (kms_sqlite_realm(q, realm, &number, err) != KMS_STORE_OK)
        return kms_sqlite_undo(q, err->rc);
    if (!kms_sqlite_number(q, "SELECT coalesce(max(generation), 0) + 1 FROM tpk", generation) ||
        kms_sqlite_do(q, NULL,
                      "UPDATE tpk SET state = 'previous' WHERE realm = ? AND state = 'current'",
                      "i", number) != SQLITE_DONE ||
        !insert_tpk(q, number, *generation, "128", key_128) ||
        !insert_tpk(q, number, *generation, "256", key_256))
        return kms_sqlite_rollback(q, err, "cannot add a ticket protection key");
    return kms_sqlite_commit(q, err, "cannot add a ticket protection key");
}

static enum kms_store_rc
sqlite_tpk_share(struct kms_store *s, const struct kms_tpk *tpk, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc =
        kms_sqlite_do(q, NULL, "INSERT INTO shared_tpk(id, owner, key, created) VALUES(?, ?, ?, ?)",
                      "ttbi", tpk->id, tpk->owner, &tpk->key, seconds_now());
    if (rc == SQLITE_CONSTRAINT_UNIQUE)
        return kms_sqlite_undo(
            q, kms_store_fail(err, KMS_STORE_EXISTS, "the tpk-id %s is taken", tpk->id));
    if (rc != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot add");
    return kms_sqlite_commit(q, err, "cannot add");
}

static enum kms_store_rc
sqlite_tpk_remove(struct kms_store *s, const char *id, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t own = 0, shared = 0;
    int current;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    current =
        kms_sqlite_do(q, NULL, "SELECT 1 FROM tpk WHERE id = ? AND state = 'current'", "t", id);
    if (current == SQLITE_ROW)
        return kms_sqlite_undo(
            q, kms_store_fail(err, KMS_STORE_CURRENT, "%s protects new tickets", id));
    if (current != SQLITE_DONE ||
        kms_sqlite_do(q, &own, "DELETE FROM tpk WHERE id = ? AND state = 'previous'", "t", id) !=
            SQLITE_DONE ||
        kms_sqlite_do(q, &shared, "DELETE FROM shared_tpk WHERE id = ?", "t", id) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot remove");
    if (own + shared == 0)
        return kms_sqlite_undo(q, kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such key"));
    if (kms_sqlite_commit(q, err, "cannot remove") != KMS_STORE_OK)
        return err->rc;
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the key */
    return KMS_STORE_OK;
}

static enum kms_store_rc
sqlite_marks(struct kms_store *s, const struct kms_mark *marks, size_t n, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    for (size_t i = 0; i < n; i++)
        if (kms_sqlite_do(q, NULL,
                          "INSERT INTO counter(serial, mark) VALUES(?1, ?2) "
                          "ON CONFLICT(serial) DO UPDATE SET mark = ?2",
                          "ii", (int64_t)marks[i].serial, (int64_t)marks[i].mark) != SQLITE_DONE)
            return kms_sqlite_rollback(q, err, "cannot keep counters");
    return kms_sqlite_commit(q, err, "cannot keep counters");
}

static enum kms_store_rc
sqlite_begin(struct kms_store *s, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    enum kms_store_rc rc = kms_sqlite_begin(q, err);

    q->batch = rc == KMS_STORE_OK;
    return rc;
}

static enum kms_store_rc
sqlite_end(struct kms_store *s, bool keep, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);

    q->batch = false;
    return keep ? kms_sqlite_commit(q, err, "cannot be written") : kms_sqlite_undo(q, KMS_STORE_OK);
}

static enum kms_store_rc
sqlite_version(struct kms_store *s, uint64_t *version, struct kms_store_err *err)
{
    int64_t v;

    if (kms_sqlite_do(kms_sqlite_of(s), &v, "SELECT number FROM change", "") != SQLITE_ROW)
        return kms_sqlite_fail(kms_sqlite_of(s), err, "cannot read");
    *version = (uint64_t)v;
    return KMS_STORE_OK;
}

static void
sqlite_close(struct kms_store *s)
{
    struct sqlite_store *q = kms_sqlite_of(s);

    for (size_t i = 0; i < KMS_SQLITE_KEPT; i++)
        sqlite3_finalize(q->kept[i].st);
    sqlite3_close_v2(q->db);
    free(q);
}

const struct kms_store_ops kms_sqlite_ops = {
    .name = "sqlite",
    .user_add = kms_sqlite_user_add,
    .user_remove = kms_sqlite_user_remove,
    .user_change = kms_sqlite_user_change,
    .alias_add = kms_sqlite_alias_add,
    .alias_remove = kms_sqlite_alias_remove,
    .group_add = kms_sqlite_group_add,
    .group_remove = kms_sqlite_group_remove,
    .member_add = kms_sqlite_member_add,
    .member_remove = kms_sqlite_member_remove,
    .realm_add = kms_sqlite_realm_add,
    .realm_remove = kms_sqlite_realm_remove,
    .tpk_add = sqlite_tpk_add,
    .tpk_share = sqlite_tpk_share,
    .tpk_remove = sqlite_tpk_remove,
    .marks = sqlite_marks,
    .keep = kms_sqlite_keep,
    .recall = kms_sqlite_recall,
    .revoke = kms_sqlite_revoke,
    .revocation_add = kms_sqlite_revocation_add,
    .revocation_remove = kms_sqlite_revocation_remove,
    .audit_seal = kms_sqlite_audit_seal,
    .begin = sqlite_begin,
    .end = sqlite_end,
    .read = kms_sqlite_read,
    .read_part = kms_sqlite_read_part,
    .another = kms_sqlite_another,
    .follow = kms_sqlite_follow,
    .version = sqlite_version,
    .close = sqlite_close,
};
