/* SPDX-License-Identifier: Apache-2.0 */
/* Users of the SQLite store: their credentials, their other identities, the realm they are in. A
 * name is a user's, an alias or a group, never two of them: whoever adds one looks at all three,
 * under the lock that every change holds. */

#include "pattern.h"
#include "store_sqlite.h"

/* A change that was refused for a reason that is no failure of the database. */
#define REFUSE(rc, ...) kms_sqlite_undo(q, kms_store_fail(err, (rc), __VA_ARGS__))

int
kms_sqlite_user(struct sqlite_store *q, const char *identity, int64_t *number)
{
    int rc = kms_sqlite_do(q, number, "SELECT id FROM users WHERE identity = ?", "t", identity);

    return rc != SQLITE_DONE ? rc
                             : kms_sqlite_do(q, number, "SELECT user FROM alias WHERE identity = ?",
                                             "t", identity);
}

int
kms_sqlite_group(struct sqlite_store *q, const char *identity, int64_t *number)
{
    return kms_sqlite_do(q, number, "SELECT id FROM user_group WHERE identity = ?", "t", identity);
}

enum kms_store_rc
kms_sqlite_realm(struct sqlite_store *q, const char *name, int64_t *number,
                 struct kms_store_err *err)
{
    int rc;

    if (name == NULL)
        name = KMS_REALM_DEFAULT;
    rc = kms_sqlite_do(q, number, "SELECT id FROM realm WHERE name = ?", "t", name);
    if (rc == SQLITE_ROW)
        return KMS_STORE_OK;
    if (rc == SQLITE_DONE)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "there is no realm %s", name);
    return kms_sqlite_fail(q, err, "cannot read");
}

/* The user of that first identity, who is made if there is none. */
static enum kms_store_rc
find_or_make(struct sqlite_store *q, const struct kms_user *user, int64_t *number, bool *made,
             struct kms_store_err *err)
{
    int64_t realm, has, other;
    int rc;

    if (kms_sqlite_realm(q, user->realm, &realm, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(q, number, "SELECT id FROM users WHERE identity = ?", "t", user->identity);
    *made = rc == SQLITE_DONE;
    if (rc == SQLITE_ROW && user->realm != NULL) {
        rc = kms_sqlite_do(q, &has, "SELECT realm FROM users WHERE id = ?", "i", *number);
        if (rc == SQLITE_ROW && has != realm)
            return kms_store_fail(err, KMS_STORE_EXISTS, "%s is a user of another realm",
                                  user->identity);
    }
    if (rc == SQLITE_ROW)
        return KMS_STORE_OK;
    if (rc == SQLITE_DONE)
        rc = kms_sqlite_user(q, user->identity, &other);
    if (rc == SQLITE_ROW)
        return kms_store_fail(err, KMS_STORE_EXISTS, "%s is an alias of a user", user->identity);
    if (rc != SQLITE_DONE)
        return kms_sqlite_fail(q, err, "cannot read");
    if (kms_sqlite_group(q, user->identity, &other) == SQLITE_ROW)
        return kms_store_fail(err, KMS_STORE_EXISTS, "%s is a group", user->identity);
    if (kms_pattern_is(user->identity))
        return kms_store_fail(err, KMS_STORE_REFUSED, "%s stands for many", user->identity);
    if (kms_sqlite_do(q, NULL,
                      "INSERT INTO users(identity, realm, suspended, expires, added) "
                      "VALUES(?, ?, ?, ?, " KMS_SQLITE_NOW ")",
                      "tiii", user->identity, realm, (int64_t)user->suspended,
                      user->expires) != SQLITE_DONE)
        return kms_sqlite_fail(q, err, "cannot add");
    *number = sqlite3_last_insert_rowid(q->db);
    return KMS_STORE_OK;
}

/* A credential that is there already: the same one? */
static enum kms_store_rc
compare(struct sqlite_store *q, int64_t number, const struct kms_user *user,
        struct kms_store_err *err)
{
    sqlite3_stmt *st =
        kms_sqlite_prepare(q, "SELECT psk, kek FROM credential WHERE psk_id = ? AND user = ?");
    struct kms_sealed there;
    bool same = false;

    if (st == NULL)
        return kms_sqlite_fail(q, err, "cannot read");
    sqlite3_bind_text(st, 1, user->psk_id, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, number);
    if (sqlite3_step(st) == SQLITE_ROW && user->same != NULL) {
        there.octets = mkt_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
        there.kek = (uint32_t)sqlite3_column_int64(st, 1);
        same = user->same->is(user->same, &there);
    }
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return same ? KMS_STORE_SAME
                : kms_store_fail(err, KMS_STORE_EXISTS, "%s is taken", user->psk_id);
}

static enum kms_store_rc
add_credential(struct sqlite_store *q, int64_t number, const struct kms_user *user,
               struct kms_store_err *err)
{
    int64_t owner;
    int rc =
        kms_sqlite_do(q, &owner, "SELECT user FROM credential WHERE psk_id = ?", "t", user->psk_id);

    if (rc == SQLITE_ROW)
        return compare(q, number, user, err);
    if (rc == SQLITE_DONE)
        rc = kms_sqlite_do(q, NULL,
                           "INSERT INTO credential(user, psk_id, psk, kek, added, serial) "
                           "VALUES(?, ?, ?, ?, " KMS_SQLITE_NOW ", random())",
                           "itbi", number, user->psk_id, &user->psk.octets, (int64_t)user->psk.kek);
    return rc == SQLITE_DONE ? KMS_STORE_OK : kms_sqlite_refusal(q, rc, err);
}

enum kms_store_rc
kms_sqlite_user_add(struct kms_store *s, const struct kms_user *user, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t number = 0;
    bool made = false;
    enum kms_store_rc rc = kms_sqlite_begin(q, err);

    if (rc != KMS_STORE_OK)
        return rc;
    rc = find_or_make(q, user, &number, &made, err);
    if (rc == KMS_STORE_OK && user->psk_id != NULL)
        rc = add_credential(q, number, user, err);
    else if (rc == KMS_STORE_OK && !made)
        rc = KMS_STORE_SAME;
    if (rc != KMS_STORE_OK)
        return kms_sqlite_undo(q, rc);
    return kms_sqlite_commit(q, err, "cannot add");
}

/* The rows of one table that belong to a user go, and are counted. */
static bool
take_away(struct sqlite_store *q, const char *sql, int64_t number, unsigned *n)
{
    int64_t gone = 0;
    bool ok = kms_sqlite_do(q, &gone, sql, "i", number) == SQLITE_DONE;

    *n += (unsigned)gone;
    return ok;
}

static enum kms_store_rc
remove_user(struct sqlite_store *q, int64_t number, struct kms_removed *removed,
            struct kms_store_err *err)
{
    unsigned users = 0;

    if (!take_away(q, "DELETE FROM credential WHERE user = ?", number, &removed->credentials) ||
        !take_away(q,
                   "DELETE FROM shared_tpk WHERE owner IN (SELECT identity FROM users WHERE id = ?1"
                   " UNION ALL SELECT identity FROM alias WHERE user = ?1)",
                   number, &removed->tpks) ||
        !take_away(q,
                   "DELETE FROM kept_ticket WHERE initiator IN (SELECT identity FROM users WHERE"
                   " id = ?1 UNION ALL SELECT identity FROM alias WHERE user = ?1)",
                   number, &removed->kept) ||
        !take_away(q, "DELETE FROM users WHERE id = ?", number, &users))
        return kms_sqlite_rollback(q, err, "cannot remove");
    removed->user = true;
    return KMS_STORE_OK;
}

enum kms_store_rc
kms_sqlite_user_remove(struct kms_store *s, const char *identity, const char *psk_id,
                       struct kms_removed *removed, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t number, gone = 0;
    int rc;

    *removed = (struct kms_removed){ .credentials = 0 };
    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(q, &number, "SELECT id FROM users WHERE identity = ?", "t", identity);
    if (rc == SQLITE_ROW && psk_id == NULL) {
        if (remove_user(q, number, removed, err) != KMS_STORE_OK)
            return err->rc;
    } else if (rc == SQLITE_ROW) {
        rc = kms_sqlite_do(q, &gone, "DELETE FROM credential WHERE user = ? AND psk_id = ?", "it",
                           number, psk_id);
        removed->credentials = (unsigned)gone;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot remove");
    if (removed->credentials == 0 && !removed->user)
        return REFUSE(KMS_STORE_NOT_FOUND, "no such credential");
    if (kms_sqlite_commit(q, err, "cannot remove") != KMS_STORE_OK)
        return err->rc;
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the key */
    return KMS_STORE_OK;
}

enum kms_store_rc
kms_sqlite_user_change(struct kms_store *s, const char *identity,
                       const struct kms_user_change *change, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t number, suspended = 0, expires = 0, changed = 0;
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_user(q, identity, &number);
    if (rc == SQLITE_DONE)
        return REFUSE(KMS_STORE_NOT_FOUND, "%s is no user", identity);
    if (rc != SQLITE_ROW ||
        kms_sqlite_do(q, &suspended, "SELECT suspended FROM users WHERE id = ?", "i", number) !=
            SQLITE_ROW ||
        kms_sqlite_do(q, &expires, "SELECT expires FROM users WHERE id = ?", "i", number) !=
            SQLITE_ROW)
        return kms_sqlite_rollback(q, err, "cannot read");
    if (change->suspended != NULL)
        suspended = *change->suspended;
    if (change->expires != NULL)
        expires = *change->expires;
    if (kms_sqlite_do(q, &changed,
                      "UPDATE users SET suspended = ?1, expires = ?2 WHERE id = ?3 AND "
                      "(suspended <> ?1 OR expires <> ?2)",
                      "iii", suspended, expires, number) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot change");
    if (changed == 0)
        return kms_sqlite_undo(q, KMS_STORE_SAME);
    return kms_sqlite_commit(q, err, "cannot change");
}

enum kms_store_rc
kms_sqlite_alias_add(struct kms_store *s, const char *identity, const char *alias,
                     struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t number, other;
    int rc, taken;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_user(q, identity, &number);
    taken = kms_sqlite_user(q, alias, &other);
    if (rc == SQLITE_DONE)
        return REFUSE(KMS_STORE_NOT_FOUND, "%s is no user", identity);
    if (rc == SQLITE_ROW && taken == SQLITE_ROW && number == other)
        return kms_sqlite_undo(q, KMS_STORE_SAME);
    if (taken == SQLITE_ROW)
        return REFUSE(KMS_STORE_EXISTS, "%s is another user", alias);
    if (rc != SQLITE_ROW || taken != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot read");
    if (kms_sqlite_group(q, alias, &other) == SQLITE_ROW)
        return REFUSE(KMS_STORE_EXISTS, "%s is a group", alias);
    if (kms_pattern_is(alias))
        return REFUSE(KMS_STORE_REFUSED, "%s stands for many", alias);
    if (kms_sqlite_do(q, NULL, "INSERT INTO alias(user, identity) VALUES(?, ?)", "it", number,
                      alias) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot add");
    return kms_sqlite_commit(q, err, "cannot add");
}

enum kms_store_rc
kms_sqlite_alias_remove(struct kms_store *s, const char *alias, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t gone = 0;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    if (kms_sqlite_do(q, &gone, "DELETE FROM alias WHERE identity = ?", "t", alias) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot remove");
    if (gone == 0)
        return REFUSE(KMS_STORE_NOT_FOUND, "%s is no alias", alias);
    return kms_sqlite_commit(q, err, "cannot remove");
}

enum kms_store_rc
kms_sqlite_realm_add(struct kms_store *s, const char *name, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    rc = kms_sqlite_do(q, NULL, "SELECT id FROM realm WHERE name = ?", "t", name);
    if (rc == SQLITE_ROW)
        return kms_sqlite_undo(q, KMS_STORE_SAME);
    if (rc != SQLITE_DONE ||
        kms_sqlite_do(q, NULL, "INSERT INTO realm(name, added) VALUES(?, " KMS_SQLITE_NOW ")", "t",
                      name) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot add");
    if (sqlite3_last_insert_rowid(q->db) > UINT16_MAX)
        return REFUSE(KMS_STORE_REFUSED, "there have been too many realms");
    return kms_sqlite_commit(q, err, "cannot add");
}

enum kms_store_rc
kms_sqlite_realm_remove(struct kms_store *s, const char *name, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t number, used = 0;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    if (kms_sqlite_realm(q, name, &number, err) != KMS_STORE_OK)
        return kms_sqlite_undo(q, err->rc);
    if (number == 1)
        return REFUSE(KMS_STORE_REFUSED, "the default realm stays");
    if (kms_sqlite_do(q, &used,
                      "SELECT EXISTS(SELECT 1 FROM users WHERE realm = ?1 AND realm <> 1) OR "
                      "EXISTS(SELECT 1 FROM user_group WHERE realm = ?1)",
                      "i", number) != SQLITE_ROW)
        return kms_sqlite_rollback(q, err, "cannot read");
    if (used != 0)
        return REFUSE(KMS_STORE_REFUSED, "the realm %s has users or groups", name);
    if (kms_sqlite_do(q, NULL, "DELETE FROM tpk WHERE realm = ?", "i", number) != SQLITE_DONE ||
        kms_sqlite_do(q, NULL, "DELETE FROM realm WHERE id = ?", "i", number) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot remove");
    if (kms_sqlite_commit(q, err, "cannot remove") != KMS_STORE_OK)
        return err->rc;
    kms_sqlite_run(q, "PRAGMA wal_checkpoint(TRUNCATE)"); /* so that no old page keeps the keys */
    return KMS_STORE_OK;
}
