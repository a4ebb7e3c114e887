/* SPDX-License-Identifier: Apache-2.0 */
/* All about one user of the SQLite store: rows, aliases, shared keys, and the groups it is in, by
 * itself, within another group, or because a pattern stands for it. No other user is read. */
#include "config.h"
#include "pattern.h"
#include "store_sqlite.h"

struct about {
    struct sqlite_store *q;
    const struct kms_sink *sink;
    int64_t user;
};

/* stands_for(PATTERN, IDENTITY): what the daemon asks, in SQL. */
static void
stands_for(sqlite3_context *call, int n, sqlite3_value **args)
{
    const char *pattern = (const char *)sqlite3_value_text(args[0]);
    const char *who = (const char *)sqlite3_value_text(args[1]);

    (void)n;
    sqlite3_result_int(call,
                       pattern != NULL && who != NULL &&
                           kms_pattern_matches(kms_identity_of(pattern), kms_identity_of(who)));
}

static bool
each_row(struct about *a, const char *sql, bool (*row)(struct about *a, sqlite3_stmt *st))
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;
    bool go = true;

    if (sqlite3_prepare_v2(a->q->db, sql, -1, &st, NULL) != SQLITE_OK)
        return false;
    sqlite3_bind_int64(st, 1, a->user);
    while (go && (rc = sqlite3_step(st)) == SQLITE_ROW)
        go = row(a, st);
    sqlite3_finalize(st);
    return go && rc == SQLITE_DONE;
}

static bool
realm_row(struct about *a, sqlite3_stmt *st)
{
    const struct kms_realm realm = { (uint32_t)sqlite3_column_int64(st, 0), kms_sqlite_text(st, 1),
                                     sqlite3_column_int64(st, 2) };

    return a->sink->realm(a->sink->ctx, &realm);
}

static bool
user_row(struct about *a, sqlite3_stmt *st)
{
    const struct kms_user u = { .number = (uint64_t)a->user,
                                .identity = kms_sqlite_text(st, 0),
                                .realm_number = (uint32_t)sqlite3_column_int64(st, 1),
                                .suspended = sqlite3_column_int(st, 2) != 0,
                                .expires = sqlite3_column_int64(st, 3),
                                .added = sqlite3_column_int64(st, 4),
                                .psk_id = kms_sqlite_text(st, 5),
                                .psk_len = sqlite3_column_int(st, 6) };

    return a->sink->user(a->sink->ctx, &u);
}

static bool
alias_row(struct about *a, sqlite3_stmt *st)
{
    return a->sink->alias(a->sink->ctx, kms_sqlite_text(st, 0));
}

static bool
tpk_row(struct about *a, sqlite3_stmt *st)
{
    const struct kms_tpk t = { .id = kms_sqlite_text(st, 0),
                               .owner = kms_sqlite_text(st, 1),
                               .key_len = sqlite3_column_int(st, 2),
                               .created = sqlite3_column_int64(st, 3) };

    return a->sink->tpk(a->sink->ctx, &t);
}

static bool
group_row(struct about *a, sqlite3_stmt *st)
{
    const struct kms_group g = { (uint64_t)sqlite3_column_int64(st, 0), kms_sqlite_text(st, 1),
                                 (uint32_t)sqlite3_column_int64(st, 2),
                                 sqlite3_column_int64(st, 3) };

    return a->sink->group(a->sink->ctx, &g);
}

#define NAMES                                    \
    "(SELECT identity FROM users WHERE id = ?1 " \
    "UNION ALL SELECT identity FROM alias WHERE user = ?1)"

/* What reads what: the order of a reading. */
static bool
read_about(struct about *a)
{
    return each_row(a,
                    "SELECT id, name, added FROM realm "
                    "WHERE id = (SELECT realm FROM users WHERE id = ?1)",
                    realm_row) &&
           each_row(a,
                    "SELECT id, owner, " KMS_SQLITE_LEN("key") ", created FROM shared_tpk "
                                                               "WHERE owner IN " NAMES
                                                               " ORDER BY number",
                    tpk_row) &&
           each_row(a,
                    "SELECT u.identity, u.realm, u.suspended, u.expires, "
                    "coalesce(c.added, u.added), c.psk_id, " KMS_SQLITE_LEN(
                        "c.psk") " FROM users u LEFT JOIN credential c ON c.user = u.id "
                                 "WHERE u.id = ?1 ORDER BY c.psk_id",
                    user_row) &&
           each_row(a, "SELECT identity FROM alias WHERE user = ?1 ORDER BY identity", alias_row) &&
           each_row(a,
                    "WITH RECURSIVE around(g) AS ("
                    "SELECT grp FROM member WHERE kind = 0 AND ref = ?1 "
                    "UNION SELECT grp FROM member JOIN user_group ON id = grp WHERE kind = 2 "
                    "AND realm = (SELECT realm FROM users WHERE id = ?1) "
                    "AND EXISTS(SELECT 1 FROM " NAMES " WHERE stands_for(pattern, identity)) "
                    "UNION SELECT grp FROM member JOIN around ON kind = 1 AND ref = g) "
                    "SELECT id, identity, realm, added FROM user_group "
                    "WHERE id IN (SELECT g FROM around) ORDER BY identity",
                    group_row);
}

enum kms_store_rc
kms_sqlite_read_user(struct kms_store *s, const char *identity, const struct kms_sink *sink,
                     struct kms_store_err *err)
{
    struct about a = { .q = kms_sqlite_of(s), .sink = sink };
    bool ok;
    int rc;

    if (sqlite3_create_function(a.q->db, "stands_for", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                                stands_for, NULL, NULL) != SQLITE_OK ||
        !kms_sqlite_run(a.q, "BEGIN"))
        return kms_sqlite_fail(a.q, err, "cannot begin");
    rc = kms_sqlite_user(a.q, identity, &a.user);
    ok = rc == SQLITE_DONE || (rc == SQLITE_ROW && read_about(&a));
    if (!ok)
        kms_sqlite_fail(a.q, err, "cannot read");
    kms_sqlite_run(a.q, "ROLLBACK"); /* nothing was written */
    if (rc == SQLITE_DONE)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "there is no user %s", identity);
    return ok ? KMS_STORE_OK : err->rc;
}
