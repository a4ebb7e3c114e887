/* SPDX-License-Identifier: Apache-2.0 */
/* The default store: one SQLite file. Every change is one transaction that is on disk
 * (synchronous=FULL) before it is reported. */
#include "store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

static enum kms_store_rc
sqlite_tpk_share(struct kms_store *s, const struct kms_tpk *tpk, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(
        q, NULL,
        "INSERT INTO shared_tpk(id, owner, key, kek, created) VALUES(?, ?, ?, ?, " KMS_SQLITE_NOW
        ")",
        "ttbi", tpk->id, tpk->owner, &tpk->key.octets, (int64_t)tpk->key.kek);
    if (rc == SQLITE_CONSTRAINT_UNIQUE)
        return kms_sqlite_undo(
            q, kms_store_fail(err, KMS_STORE_EXISTS, "the tpk-id %s is taken", tpk->id));
    if (rc != SQLITE_DONE)
        return kms_sqlite_refused(q, rc, err);
    return kms_sqlite_commit(q, err, "cannot add");
}

#define PUT_MARK(table)                                   \
    "INSERT INTO " table "(serial, mark) VALUES(?1, ?2) " \
    "ON CONFLICT(serial) DO UPDATE SET mark = ?2"

#define FORGET_STAMPS "DELETE FROM stamp WHERE mark < min(?, " KMS_SQLITE_NOW ")"

static enum kms_store_rc
sqlite_marks(struct kms_store *s, const struct kms_mark *marks, size_t n, int64_t now,
             struct kms_store_err *err)
{
    static const char *const put[KMS_MARK_KINDS] = {
        [KMS_MARK_COUNTER] = PUT_MARK("counter"), [KMS_MARK_STAMP] = PUT_MARK("stamp")
    };
    struct sqlite_store *q = kms_sqlite_of(s);
    bool ok = true;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    for (size_t i = 0; ok && i < n; i++)
        ok = kms_sqlite_do(q, NULL, put[marks[i].kind], "ii", (int64_t)marks[i].serial,
                           (int64_t)marks[i].mark) == SQLITE_DONE;
    ok = ok && kms_sqlite_do(q, NULL, FORGET_STAMPS, "i", now) == SQLITE_DONE;
    return ok ? kms_sqlite_commit(q, err, "cannot keep marks")
              : kms_sqlite_rollback(q, err, "cannot keep marks");
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

/* Both functions see one moment. */
#define NOW_NS                            \
    "SELECT (1000 * " KMS_SQLITE_NOW " +" \
    " CAST(substr(strftime('%f', 'now'), 4) AS INTEGER)) * 1000000"

static enum kms_store_rc
sqlite_now(struct kms_store *s, int64_t *now, struct kms_store_err *err)
{
    return kms_sqlite_do(kms_sqlite_of(s), now, NOW_NS, "") == SQLITE_ROW
               ? KMS_STORE_OK
               : kms_sqlite_fail(kms_sqlite_of(s), err, "cannot tell the time");
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
    .now = sqlite_now,
    .tpk_add = kms_sqlite_tpk_add,
    .tpk_start = kms_sqlite_tpk_start,
    .tpk_validity = kms_sqlite_tpk_validity,
    .tpk_retire = kms_sqlite_tpk_retire,
    .tpk_share = sqlite_tpk_share,
    .tpk_remove = kms_sqlite_tpk_remove,
    .kek_add = kms_sqlite_kek_add,
    .kek_left = kms_sqlite_kek_left,
    .kek_reseal = kms_sqlite_kek_reseal,
    .kek_forget = kms_sqlite_kek_forget,
    .compact = kms_sqlite_compact,
    .marks = sqlite_marks,
    .keep = kms_sqlite_keep,
    .recall = kms_sqlite_recall,
    .revoke = kms_sqlite_revoke,
    .revocation_add = kms_sqlite_revocation_add,
    .revocation_remove = kms_sqlite_revocation_remove,
    .audit_seal = kms_sqlite_audit_seal,
    .begin = sqlite_begin,
    .end = sqlite_end,
    .give_way = kms_sqlite_give_way,
    .read = kms_sqlite_read,
    .read_user = kms_sqlite_read_user,
    .read_part = kms_sqlite_read_part,
    .another = kms_sqlite_another,
    .follow = kms_sqlite_follow,
    .version = sqlite_version,
    .close = sqlite_close,
};
