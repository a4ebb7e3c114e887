/* SPDX-License-Identifier: Apache-2.0 */
/* What is read out of the SQLite store: all of it, or what has changed. Each reading is one
 * transaction. With keys nothing is sorted by anything but the order in which it lies: keys would
 * pass through files of the sorter, and a million users would take longer. */
#include "store_sqlite.h"

/* How rows are chosen and sorted. */
enum choice { ALL_WITH_KEYS, ALL_WITH_NAMES, CHANGED };

struct reading {
    struct sqlite_store *q;
    const struct kms_sink *sink;
    enum choice choice;
    int64_t since; /* number of a change; or, of all users, the number after which they begin... */
    int64_t upto;  /* ...and where they end */
    bool stopped;  /* by the sink */
};

static void
bind(const struct reading *r, sqlite3_stmt *st)
{
    int n = sqlite3_bind_parameter_count(st);

    if (n > 0)
        sqlite3_bind_int64(st, 1, r->since);
    if (n > 1)
        sqlite3_bind_int64(st, 2, r->upto);
}

/* Gives each row to `row`. False: the database failed. */
static bool
each_row(struct reading *r, const char *sql, bool (*row)(struct reading *r, sqlite3_stmt *st))
{
    sqlite3_stmt *st;
    int rc = SQLITE_DONE;

    if (sqlite3_prepare_v2(r->q->db, sql, -1, &st, NULL) != SQLITE_OK)
        return false;
    bind(r, st);
    while (!r->stopped && (rc = sqlite3_step(st)) == SQLITE_ROW)
        r->stopped = !row(r, st);
    sqlite3_finalize(st);
    return r->stopped || rc == SQLITE_DONE;
}

static struct kms_sealed
sealed_of(sqlite3_stmt *st, int octets, int kek)
{
    return (struct kms_sealed){ (uint32_t)sqlite3_column_int64(st, kek),
                                kms_sqlite_octets(st, octets) };
}

static bool
realm_row(struct reading *r, sqlite3_stmt *st)
{
    const struct kms_realm realm = { (uint32_t)sqlite3_column_int64(st, 0), kms_sqlite_text(st, 1),
                                     sqlite3_column_int64(st, 2) };

    return r->sink->realm(r->sink->ctx, &realm);
}

static bool
tpk_row(struct reading *r, sqlite3_stmt *st)
{
    const struct kms_tpk t = { .id = kms_sqlite_text(st, 0),
                               .generation = sqlite3_column_int64(st, 1),
                               .starts = sqlite3_column_int64(st, 2),
                               .key_len = sqlite3_column_int(st, 3),
                               .created = sqlite3_column_int64(st, 4),
                               .key = sealed_of(st, 5, 9),
                               .owner = kms_sqlite_text(st, 6),
                               .realm = (uint32_t)sqlite3_column_int64(st, 8),
                               .validity = sqlite3_column_int64(st, 10) };

    return r->sink->tpk(r->sink->ctx, &t);
}

/* --- users --------------------------------------------------------------------------------------
 */

/* Rows that belong to users, in the order of the users: it only ever goes forward. */
struct cursor {
    sqlite3_stmt *st; /* NULL: never a row */
    bool row;
    uint64_t user; /* of the row */
};

static void
forward(struct cursor *c)
{
    c->row = c->st != NULL && sqlite3_step(c->st) == SQLITE_ROW;
    if (c->row)
        c->user = (uint64_t)sqlite3_column_int64(c->st, 0);
}

static bool
open_cursor(struct cursor *c, struct reading *r, const char *sql)
{
    if (sqlite3_prepare_v2(r->q->db, sql, -1, &c->st, NULL) != SQLITE_OK)
        return false;
    if (r->choice != ALL_WITH_NAMES)
        bind(r, c->st);
    else if (sqlite3_bind_parameter_count(c->st) > 0)
        sqlite3_bind_text(c->st, 1, r->sink->after != NULL ? r->sink->after : "", -1,
                          SQLITE_STATIC);
    forward(c);
    return true;
}

/* Goes to the rows of a user, if there are any. */
static bool
at_user(struct cursor *c, uint64_t user)
{
    while (c->row && c->user < user)
        forward(c);
    return c->row && c->user == user;
}

static bool
close_cursor(struct cursor *c)
{
    return c->st == NULL || sqlite3_finalize(c->st) == SQLITE_OK;
}

static void
take_credential(struct kms_user *u, sqlite3_stmt *st)
{
    u->psk_id = kms_sqlite_text(st, 1);
    u->psk = sealed_of(st, 2, 4);
    u->psk_len = (int)kms_sealed_len(&u->psk);
    u->serial = (uint64_t)sqlite3_column_int64(st, 3);
}

/* The rows of one user: of each credential, or one without. */
static bool
give_user(struct reading *r, struct kms_user *u, struct cursor *credentials, struct cursor *aliases)
{
    bool go = at_user(credentials, u->number) || r->sink->user(r->sink->ctx, u);

    for (; go && at_user(credentials, u->number); forward(credentials)) {
        take_credential(u, credentials->st);
        go = r->sink->user(r->sink->ctx, u);
    }
    for (; go && r->sink->alias != NULL && at_user(aliases, u->number); forward(aliases))
        go = r->sink->alias(r->sink->ctx, kms_sqlite_text(aliases->st, 1));
    return go;
}

static struct kms_user
user_of(sqlite3_stmt *st)
{
    return (struct kms_user){ .number = (uint64_t)sqlite3_column_int64(st, 0),
                              .identity = kms_sqlite_text(st, 1),
                              .realm_number = (uint32_t)sqlite3_column_int(st, 2),
                              .suspended = sqlite3_column_int(st, 3) != 0,
                              .expires = sqlite3_column_int64(st, 4) };
}

/* Which users. Three statements side by side take a third less time than one that joins. */
#define CHANGED_USERS " IN (SELECT id FROM touched WHERE number > ?1 AND what = 0) "
#define PART_OF_THEM "WHERE user > ?1 AND user <= ?2 ORDER BY user"
#define USER_COLUMNS "SELECT id, identity, realm, suspended, expires FROM users "
#define CREDENTIAL_COLUMNS "SELECT user, psk_id, psk, serial, kek FROM credential "

static bool
read_users(struct reading *r)
{
    const bool all = r->choice == ALL_WITH_KEYS;
    struct cursor users = { 0 }, credentials = { 0 }, aliases = { 0 };
    bool ok = open_cursor(&users, r,
                          all ? USER_COLUMNS "WHERE id > ?1 AND id <= ?2 ORDER BY id"
                              : USER_COLUMNS "WHERE id" CHANGED_USERS "ORDER BY id") &&
              open_cursor(&credentials, r,
                          all ? CREDENTIAL_COLUMNS PART_OF_THEM
                              : CREDENTIAL_COLUMNS "WHERE user" CHANGED_USERS "ORDER BY user");

    if (ok && r->sink->alias != NULL)
        ok = open_cursor(&aliases, r,
                         all ? "SELECT user, identity FROM alias " PART_OF_THEM
                             : "SELECT user, identity FROM alias WHERE user" CHANGED_USERS
                               "ORDER BY user");
    for (; ok && !r->stopped && users.row; forward(&users)) {
        struct kms_user u = user_of(users.st);

        r->stopped = !give_user(r, &u, &credentials, &aliases);
    }
    ok = close_cursor(&users) && ok;
    ok = close_cursor(&credentials) && ok;
    return close_cursor(&aliases) && ok;
}

/* Sorted by name, and without keys. */
static bool
list_aliases(struct reading *r, uint64_t user)
{
    sqlite3_stmt *st =
        kms_sqlite_prepare(r->q, "SELECT identity FROM alias WHERE user = ? ORDER BY identity");
    bool go = true;

    if (r->sink->alias == NULL || user == 0 || st == NULL)
        return st != NULL;
    sqlite3_bind_int64(st, 1, (int64_t)user);
    while (go && sqlite3_step(st) == SQLITE_ROW)
        go = r->sink->alias(r->sink->ctx, kms_sqlite_text(st, 0));
    sqlite3_reset(st);
    return go;
}

static bool
list_users(struct reading *r)
{
    struct cursor users = { 0 };
    uint64_t last = 0;
    bool ok =
        open_cursor(&users, r,
                    "SELECT u.id, u.identity, u.realm, u.suspended, u.expires, "
                    "coalesce(c.added, u.added), c.psk_id, " KMS_SQLITE_LEN(
                        "c.psk") ", c.kek FROM users u "
                                 "LEFT JOIN credential c ON c.user = u.id WHERE u.identity > ?1 "
                                 "ORDER BY u.identity, c.psk_id");

    for (; ok && !r->stopped && users.row; forward(&users)) {
        struct kms_user u = user_of(users.st);

        u.added = sqlite3_column_int64(users.st, 5);
        u.psk_id = kms_sqlite_text(users.st, 6);
        u.psk_len = sqlite3_column_int(users.st, 7);
        u.psk.kek = (uint32_t)sqlite3_column_int64(users.st, 8);
        r->stopped =
            (u.number != last && !list_aliases(r, last)) || !r->sink->user(r->sink->ctx, &u);
        last = u.number;
    }
    r->stopped = r->stopped || (ok && !list_aliases(r, last));
    return close_cursor(&users) && ok;
}

static bool
read_people(struct reading *r)
{
    return r->choice == ALL_WITH_NAMES ? list_users(r) : read_users(r);
}

/* --- groups -------------------------------------------------------------------------------------
 */

static bool
give_member(struct reading *r, uint64_t group, sqlite3_stmt *st)
{
    const struct kms_member m = { group, (enum kms_member_kind)sqlite3_column_int(st, 0),
                                  (uint64_t)sqlite3_column_int64(st, 1), kms_sqlite_text(st, 2) };

    return r->sink->member(r->sink->ctx, &m);
}

static bool
group_row(struct reading *r, sqlite3_stmt *st)
{
    static const char numbers[] = "SELECT kind, ref, CASE WHEN kind = 2 THEN pattern END "
                                  "FROM member WHERE grp = ? ORDER BY kind, ref";
    static const char names[] =
        "SELECT kind, ref, CASE kind WHEN 2 THEN pattern"
        " WHEN 1 THEN (SELECT identity FROM user_group WHERE id = ref)"
        " ELSE (SELECT identity FROM users WHERE id = ref) END FROM member WHERE grp = ? "
        "ORDER BY 1, 3";
    const struct kms_group g = { (uint64_t)sqlite3_column_int64(st, 0), kms_sqlite_text(st, 1),
                                 (uint32_t)sqlite3_column_int(st, 2), sqlite3_column_int64(st, 3) };
    sqlite3_stmt *members;
    bool go = r->sink->group(r->sink->ctx, &g);

    if (!go || r->sink->member == NULL)
        return go;
    members = kms_sqlite_prepare(r->q, r->choice == ALL_WITH_NAMES ? names : numbers);
    if (members == NULL)
        return false;
    sqlite3_bind_int64(members, 1, (int64_t)g.number);
    while (go && sqlite3_step(members) == SQLITE_ROW)
        go = give_member(r, g.number, members);
    sqlite3_reset(members);
    return go;
}

#define GROUP_ROWS(more) "SELECT id, identity, realm, added FROM user_group " more

static bool
read_groups(struct reading *r)
{
    static const char *const sql[] = {
        [ALL_WITH_KEYS] = GROUP_ROWS("ORDER BY id"),
        [ALL_WITH_NAMES] = GROUP_ROWS("ORDER BY identity"),
        [CHANGED] = GROUP_ROWS("WHERE id IN (SELECT id FROM touched WHERE number > ?1 "
                               "AND what = 1) ORDER BY id"),
    };

    return each_row(r, sql[r->choice], group_row);
}

/* --- keys
 * -----------------------------------------------------------------------------------------
 */

static bool
read_wraps(struct reading *r)
{
    return r->sink->wrap == NULL || kms_sqlite_read_wraps(r->q, r->sink, &r->stopped);
}

/* --- all of it ----------------------------------------------------------------------------------
 */

#define TPKS(key)                                                                             \
    "SELECT id, generation, starts, " KMS_SQLITE_LEN(                                         \
        "key") ", created, " key ", NULL, "                                                   \
               "0, realm, kek, validity FROM tpk UNION ALL SELECT id, 0, 0, " KMS_SQLITE_LEN( \
                   "key") ", created, " key                                                   \
                          ", owner, number, 0, kek, 0 FROM shared_tpk ORDER BY 8, 2, 1"

static bool
read_keys(struct reading *r)
{
    if (r->sink->realm != NULL &&
        !each_row(r, "SELECT id, name, added FROM realm ORDER BY name", realm_row))
        return false;
    return r->stopped || r->sink->tpk == NULL ||
           each_row(r, r->choice == ALL_WITH_NAMES ? TPKS("NULL") : TPKS("key"), tpk_row);
}

static bool
mark_row(struct reading *r, sqlite3_stmt *st)
{
    const struct kms_mark m = { (enum kms_mark_kind)sqlite3_column_int(st, 0),
                                (uint64_t)sqlite3_column_int64(st, 1),
                                (uint64_t)sqlite3_column_int64(st, 2) };

    return r->sink->mark(r->sink->ctx, &m);
}

static enum kms_store_rc
end_reading(struct reading *r, bool ok, struct kms_store_err *err)
{
    if (!ok)
        kms_sqlite_fail(r->q, err, "cannot read");
    if (!r->q->batch)
        kms_sqlite_run(r->q, "ROLLBACK"); /* nothing was written */
    if (!ok)
        return err->rc;
    if (r->stopped)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    return KMS_STORE_OK;
}

static bool
read_people_of(struct reading *r)
{
    return r->sink->user == NULL || read_people(r);
}

/* What is no user, but for keys, which come before users. */
static bool
read_others(struct reading *r)
{
    const struct kms_sink *sink = r->sink;

    return (sink->group == NULL || read_groups(r)) &&
           (r->stopped || sink->mark == NULL ||
            each_row(r,
                     "SELECT 0, serial, mark FROM counter UNION ALL "
                     "SELECT 1, serial, mark FROM stamp",
                     mark_row)) &&
           (r->stopped || sink->kept == NULL || kms_sqlite_read_kept(r->q, sink, &r->stopped)) &&
           (r->stopped || sink->revocation == NULL ||
            kms_sqlite_read_revocations(r->q, sink, &r->stopped)) &&
           (r->stopped || sink->seal == NULL || kms_sqlite_read_seals(r->q, sink, &r->stopped));
}

enum kms_store_rc
kms_sqlite_read(struct kms_store *s, const struct kms_sink *sink, bool with_keys,
                struct kms_store_err *err)
{
    struct reading r = { .q = kms_sqlite_of(s),
                         .sink = sink,
                         .choice = with_keys ? ALL_WITH_KEYS : ALL_WITH_NAMES,
                         .upto = INT64_MAX };
    bool ok;

    if (!r.q->batch && !kms_sqlite_run(r.q, "BEGIN"))
        return kms_sqlite_fail(r.q, err, "cannot begin");
    ok = read_wraps(&r) && (r.stopped || read_keys(&r)) && (r.stopped || read_people_of(&r)) &&
         (r.stopped || read_others(&r));
    return end_reading(&r, ok, err);
}

/* By number: removed users leave gaps, which does no harm but to how even the parts are. */
static bool
choose_part(struct reading *r, unsigned part, unsigned of)
{
    int64_t last;

    if (!kms_sqlite_number(r->q, "SELECT coalesce(max(id), 0) FROM users", &last))
        return false;
    r->since = last / of * part;
    r->upto = part + 1 == of ? INT64_MAX : last / of * (part + 1);
    return true;
}

enum kms_store_rc
kms_sqlite_read_part(struct kms_store *s, const struct kms_sink *sink, unsigned part, unsigned of,
                     uint64_t *version, struct kms_store_err *err)
{
    struct reading r = { .q = kms_sqlite_of(s), .sink = sink, .choice = ALL_WITH_KEYS };
    int64_t number = 0;
    bool ok;

    if (!r.q->batch && !kms_sqlite_run(r.q, "BEGIN"))
        return kms_sqlite_fail(r.q, err, "cannot begin");
    ok = kms_sqlite_number(r.q, "SELECT number FROM change", &number) &&
         choose_part(&r, part, of) &&
         (part > 0 || (read_wraps(&r) && (r.stopped || read_keys(&r)))) &&
         (r.stopped || read_people_of(&r)) && (r.stopped || part > 0 || read_others(&r));
    *version = (uint64_t)number;
    return end_reading(&r, ok, err);
}

/* --- what has changed ---------------------------------------------------------------------------
 */

static bool
touched_row(struct reading *r, sqlite3_stmt *st)
{
    return r->sink->touched(r->sink->ctx, (enum kms_touched)sqlite3_column_int(st, 0),
                            (uint64_t)sqlite3_column_int64(st, 1));
}

/* Whether all changes since then are still known; *now gets the present number. */
static bool
remembered(struct reading *r, int64_t *now, bool *known)
{
    int64_t oldest;

    if (!kms_sqlite_number(r->q, "SELECT number FROM change", now) ||
        !kms_sqlite_number(r->q, "SELECT coalesce(min(number), 1 << 62) FROM touched", &oldest))
        return false;
    *known = r->since == *now || (r->since < *now && r->since + 1 >= oldest);
    return true;
}

/* Whether one of that kind was touched. */
static bool
any_touched(struct reading *r, enum kms_touched what, int64_t *any)
{
    return kms_sqlite_do(r->q, any,
                         "SELECT EXISTS(SELECT 1 FROM touched WHERE number > ?1 AND what = ?2)",
                         "ii", r->since, (int64_t)what) == SQLITE_ROW;
}

enum kms_store_rc
kms_sqlite_follow(struct kms_store *s, uint64_t *version, const struct kms_sink *sink,
                  struct kms_store_err *err)
{
    struct reading r = {
        .q = kms_sqlite_of(s), .sink = sink, .choice = CHANGED, .since = (int64_t)*version
    };
    int64_t now = 0, keys = 0, revocations = 0;
    bool known = false, ok;

    if (!kms_sqlite_run(r.q, "BEGIN"))
        return kms_sqlite_fail(r.q, err, "cannot begin");
    ok = remembered(&r, &now, &known);
    if (ok && !known) {
        kms_sqlite_run(r.q, "ROLLBACK");
        return kms_store_fail(err, KMS_STORE_FORGOTTEN, "too many changes");
    }
    ok = ok &&
         each_row(&r, "SELECT DISTINCT what, id FROM touched WHERE number > ?1", touched_row) &&
         any_touched(&r, KMS_TOUCHED_KEYS, &keys) &&
         any_touched(&r, KMS_TOUCHED_REVOCATIONS, &revocations);
    ok = ok && (r.stopped || keys == 0 || read_wraps(&r)) &&
         (r.stopped || keys == 0 || read_keys(&r)) && (r.stopped || read_people(&r)) &&
         (r.stopped || read_groups(&r)) &&
         (r.stopped || revocations == 0 || kms_sqlite_read_revocations(r.q, sink, &r.stopped));
    *version = (uint64_t)now;
    return end_reading(&r, ok, err);
}
