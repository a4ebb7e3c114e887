/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of the SQLite store. A member is a row with the number of a user or of a group, or with a
 * pattern: so a membership ends with the member, and one who comes back under the same name is not
 * in a group by that. */

#include "pattern.h"
#include "store_sqlite.h"

#define REFUSE(rc, ...) kms_sqlite_undo(q, kms_store_fail(err, (rc), __VA_ARGS__))

/* What is to be entered or taken out. */
struct row {
    int64_t group, realm; /* of the group */
    int64_t kind, number; /* of the member */
    int64_t member_realm;
    const char *pattern; /* "": none */
};

static const char group_realm[] = "SELECT realm FROM user_group WHERE id = ?";

enum kms_store_rc
kms_sqlite_group_add(struct kms_store *s, const char *identity, const char *realm,
                     struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t number, wanted, has;
    int rc;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    if (kms_sqlite_realm(q, realm, &wanted, err) != KMS_STORE_OK)
        return kms_sqlite_undo(q, err->rc);
    rc = kms_sqlite_group(q, identity, &number);
    if (rc == SQLITE_ROW && kms_sqlite_do(q, &has, group_realm, "i", number) == SQLITE_ROW)
        return realm == NULL || has == wanted
                   ? kms_sqlite_undo(q, KMS_STORE_SAME)
                   : REFUSE(KMS_STORE_EXISTS, "%s is a group of another realm", identity);
    if (rc == SQLITE_DONE)
        rc = kms_sqlite_user(q, identity, &number);
    if (rc == SQLITE_ROW)
        return REFUSE(KMS_STORE_EXISTS, "%s is a user", identity);
    if (kms_pattern_is(identity))
        return REFUSE(KMS_STORE_REFUSED, "%s stands for many already: it needs no group", identity);
    if (rc != SQLITE_DONE ||
        kms_sqlite_do(q, NULL,
                      "INSERT INTO user_group(identity, realm, added) VALUES(?, ?, " KMS_SQLITE_NOW
                      ")",
                      "ti", identity, wanted) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot add");
    return kms_sqlite_commit(q, err, "cannot add");
}

enum kms_store_rc
kms_sqlite_group_remove(struct kms_store *s, const char *identity, struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    int64_t gone = 0;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK)
        return err->rc;
    if (kms_sqlite_do(q, &gone, "DELETE FROM user_group WHERE identity = ?", "t", identity) !=
        SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot remove");
    if (gone == 0)
        return REFUSE(KMS_STORE_NOT_FOUND, "there is no group %s", identity);
    return kms_sqlite_commit(q, err, "cannot remove");
}

/* Who or what the member is: a pattern, a user or a group. */
static int
find_member(struct sqlite_store *q, const char *member, struct row *row)
{
    int rc;

    row->pattern = "";
    row->member_realm = row->realm;
    if (kms_pattern_is(member)) {
        row->kind = KMS_MEMBER_PATTERN;
        row->number = 0;
        row->pattern = member;
        return SQLITE_ROW;
    }
    row->kind = KMS_MEMBER_USER;
    rc = kms_sqlite_user(q, member, &row->number);
    if (rc == SQLITE_ROW)
        return kms_sqlite_do(q, &row->member_realm, "SELECT realm FROM users WHERE id = ?", "i",
                             row->number);
    if (rc != SQLITE_DONE)
        return rc;
    row->kind = KMS_MEMBER_GROUP;
    rc = kms_sqlite_group(q, member, &row->number);
    return rc == SQLITE_ROW ? kms_sqlite_do(q, &row->member_realm, group_realm, "i", row->number)
                            : rc;
}

static enum kms_store_rc
find_row(struct sqlite_store *q, const char *group, const char *member, struct row *row,
         struct kms_store_err *err)
{
    int rc = kms_sqlite_group(q, group, &row->group);

    if (rc == SQLITE_DONE)
        return REFUSE(KMS_STORE_NOT_FOUND, "there is no group %s", group);
    if (rc == SQLITE_ROW)
        rc = kms_sqlite_do(q, &row->realm, group_realm, "i", row->group);
    if (rc == SQLITE_ROW)
        rc = find_member(q, member, row);
    if (rc == SQLITE_DONE)
        return REFUSE(KMS_STORE_NOT_FOUND, "%s is no user and no group", member);
    return rc == SQLITE_ROW ? KMS_STORE_OK : kms_sqlite_rollback(q, err, "cannot read");
}

/* For a group that was entered into another one: the groups within each group around them. */
#define WITHIN                                                                                    \
    "WITH RECURSIVE around(g) AS (SELECT ?1 UNION SELECT grp FROM member JOIN around ON ref = g " \
    "WHERE kind = 1), within(top, g) AS (SELECT g, g FROM around UNION "                          \
    "SELECT top, ref FROM member JOIN within ON grp = g WHERE kind = 1) "

static enum kms_store_rc
check_nesting(struct sqlite_store *q, const struct row *row, struct kms_store_err *err)
{
    int64_t loops = 0, most = 0;

    if (kms_sqlite_do(q, &loops,
                      WITHIN "SELECT count(*) FROM within JOIN member ON grp = g AND kind = 1 "
                             "AND ref = top",
                      "i", row->group) != SQLITE_ROW ||
        kms_sqlite_do(q, &most,
                      WITHIN "SELECT max(n) FROM (SELECT count(*) AS n FROM within GROUP BY top)",
                      "i", row->group) != SQLITE_ROW)
        return kms_sqlite_rollback(q, err, "cannot read");
    if (loops > 0)
        return REFUSE(KMS_STORE_REFUSED, "a group cannot be within itself");
    if (most > KMS_NESTED_MAX)
        return REFUSE(KMS_STORE_REFUSED, "a group would have more than %d groups within it",
                      KMS_NESTED_MAX - 1);
    return KMS_STORE_OK;
}

enum kms_store_rc
kms_sqlite_member_add(struct kms_store *s, const char *group, const char *member,
                      struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    struct row row;
    int64_t n = 0;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK ||
        find_row(q, group, member, &row, err) != KMS_STORE_OK)
        return err->rc;
    if (row.member_realm != row.realm)
        return REFUSE(KMS_STORE_REFUSED, "%s is of another realm than %s", member, group);
    if (kms_sqlite_do(q, &n,
                      "INSERT INTO member(grp, kind, ref, pattern) VALUES(?, ?, ?, ?) "
                      "ON CONFLICT DO NOTHING",
                      "iiit", row.group, row.kind, row.number, row.pattern) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot add");
    if (n == 0)
        return kms_sqlite_undo(q, KMS_STORE_SAME);
    if (row.kind == KMS_MEMBER_GROUP && check_nesting(q, &row, err) != KMS_STORE_OK)
        return err->rc;
    return kms_sqlite_commit(q, err, "cannot add");
}

enum kms_store_rc
kms_sqlite_member_remove(struct kms_store *s, const char *group, const char *member,
                         struct kms_store_err *err)
{
    struct sqlite_store *q = kms_sqlite_of(s);
    struct row row;
    int64_t n = 0;

    if (kms_sqlite_begin(q, err) != KMS_STORE_OK ||
        find_row(q, group, member, &row, err) != KMS_STORE_OK)
        return err->rc;
    if (kms_sqlite_do(q, &n,
                      "DELETE FROM member WHERE grp = ? AND kind = ? AND ref = ? AND pattern = ?",
                      "iiit", row.group, row.kind, row.number, row.pattern) != SQLITE_DONE)
        return kms_sqlite_rollback(q, err, "cannot remove");
    if (n == 0)
        return REFUSE(KMS_STORE_NOT_FOUND, "%s is no member of %s", member, group);
    return kms_sqlite_commit(q, err, "cannot remove");
}
