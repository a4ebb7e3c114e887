/* SPDX-License-Identifier: Apache-2.0 */
/* Both stores behave alike; the SQLite one keeps its file safe and says what is wrong with it; the
 * index finds what the store holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "config.h"
#include "index.h"
#include "store.h"
#include "store_file.h"
#include "tpk_schedule.h"

static struct kms_vault *vault; /* nothing is sealed here */
static char dir[] = "/tmp/mikey-store-XXXXXX";
static char path[64];
static struct kms_store_err err;

static struct kms_store *
open_sqlite(unsigned max_pages)
{
    struct kms_store *s = NULL;

    assert_int_equal(kms_store_open_sqlite(&s, path, max_pages, &err), KMS_STORE_OK);
    return s;
}

static enum kms_store_rc
add(struct kms_store *s, const char *identity, const char *psk_id)
{
    uint8_t key[32];
    struct kms_user u = { .identity = identity, .psk_id = psk_id };

    memset(key, (int)strlen(psk_id), sizeof key);
    u.psk.octets = mkt_span(key, sizeof key);
    return s->ops->user_add(s, &u, &err);
}

static bool
find(struct kms_store *s, const char *psk_id, struct kms_found *found, struct kms_index **index)
{
    assert_int_equal(kms_index_build(index, s, vault, &err), KMS_STORE_OK);
    return kms_index_by_psk_id(*index, mkt_span(psk_id, strlen(psk_id)), 0, found);
}

static void
behaves(struct kms_store *s)
{
    struct kms_index *x;
    struct kms_found f;
    struct kms_removed removed;
    int64_t generation;

    assert_int_equal(add(s, "sip:bob@example.com", "bob-phone"), KMS_STORE_OK);
    assert_int_equal(add(s, "sip:bob@example.com", "bob-desk"), KMS_STORE_OK);
    assert_int_equal(add(s, "sip:eve@example.com", "bob-desk"), KMS_STORE_EXISTS);
    assert_int_equal(add(s, "sip:alice@example.com", "alice"), KMS_STORE_OK);
    assert_true(find(s, "bob-desk", &f, &x));
    assert_true(mkt_identity_equal(f.identity, mkt_uri("sip:bob@example.com")));
    assert_int_equal(f.psk.octets.n, 32);
    assert_int_equal(f.psk.octets.p[0], strlen("bob-desk"));
    assert_true(kms_index_by_identity(x, mkt_uri("sip:alice@example.com"), 0, &f));
    assert_memory_equal(f.psk_id.p, "alice", 5);
    assert_false(kms_index_by_identity(x, mkt_uri("sip:bob@example.com"), 0, &f)); /* has two */
    assert_false(kms_index_by_identity(x, mkt_uri("sip:nobody@example.com"), 0, &f));
    assert_int_equal(kms_index_users(x), 3);
    kms_index_free(x);

    assert_int_equal(s->ops->user_remove(s, "sip:bob@example.com", "alice", &removed, &err),
                     KMS_STORE_NOT_FOUND);
    assert_int_equal(s->ops->user_remove(s, "sip:bob@example.com", "bob-desk", &removed, &err),
                     KMS_STORE_OK);
    assert_false(find(s, "bob-desk", &f, &x));
    assert_true(kms_index_by_identity(x, mkt_uri("sip:bob@example.com"), 0, &f)); /* has one now */
    kms_index_free(x);
    assert_int_equal(s->ops->user_remove(s, "sip:bob@example.com", NULL, &removed, &err),
                     KMS_STORE_OK);
    assert_int_equal(removed.credentials, 1);
    assert_true(removed.user);

    assert_int_equal(kms_tpk_rotate(s, vault, NULL, 60, &generation, &err), KMS_STORE_OK);
    assert_int_equal(generation, 1);
    assert_int_equal(kms_tpk_rotate(s, vault, NULL, 60, &generation, &err), KMS_STORE_OK);
    assert_int_equal(generation, 2);
}

static bool
tpk(const struct kms_index *x, const char *id, int len, const char *expected)
{
    struct kms_found_tpk t;

    if (id[0] == '\0' ? !kms_index_tpk_current(x, 1, (size_t)len, time(NULL), &t)
                      : !kms_index_tpk(x, mkt_span(id, strlen(id)), (size_t)len, &t))
        return false;
    assert_null(t.owner.data.p);
    assert_int_equal(kms_sealed_len(&t.key), len);
    return t.id.n == strlen(expected) && memcmp(t.id.p, expected, t.id.n) == 0;
}

/* Keys shared with users, whatever the store. */
static void
shares(struct kms_store *s)
{
    static const uint8_t octets[64];
    const struct mkt_identity bob = mkt_uri("sip:bob@example.com");
    struct kms_tpk t = { .id = "bob-1", .owner = "sip:bob@example.com" };
    struct kms_found_tpk f;
    struct kms_index *x;
    int64_t generation;

    assert_int_equal(kms_tpk_rotate(s, vault, NULL, 60, &generation, &err), KMS_STORE_OK);
    t.key.octets = mkt_span(octets, 32);
    assert_int_equal(s->ops->tpk_share(s, &t, &err), KMS_STORE_OK);
    assert_int_equal(s->ops->tpk_share(s, &t, &err), KMS_STORE_EXISTS);
    t.id = "bob-2";
    t.key.octets = mkt_span(octets, 64);
    assert_int_equal(s->ops->tpk_share(s, &t, &err), KMS_STORE_OK);
    t.id = "bob-3";
    t.key.octets = mkt_span(octets, 16);
    assert_int_equal(s->ops->tpk_share(s, &t, &err), KMS_STORE_OK);

    assert_int_equal(kms_index_build(&x, s, vault, &err), KMS_STORE_OK);
    assert_int_equal(kms_index_tpks(x), 5);
    assert_true(kms_index_tpk_of(x, bob, 32, &f)); /* the newest of the suite */
    assert_memory_equal(f.id.p, "bob-2", 5);
    assert_int_equal(kms_sealed_len(&f.key), 64);
    assert_true(kms_index_tpk_of(x, bob, 16, &f));
    assert_memory_equal(f.id.p, "bob-3", 5);
    assert_true(mkt_identity_equal(f.owner, bob));
    assert_false(kms_index_tpk_of(x, mkt_uri("sip:eve@example.com"), 32, &f));
    assert_true(kms_index_tpk(x, mkt_span("bob-1", 5), 32, &f));
    assert_true(mkt_identity_equal(f.owner, bob));
    assert_false(kms_index_tpk(x, mkt_span("bob-1", 5), 16, &f)); /* RFC6043:12.1 */
    assert_false(kms_index_is_user(x, bob, 0));                   /* a TPK makes no user */
    kms_index_free(x);

    assert_int_equal(s->ops->tpk_remove(s, "bob-2", &err), KMS_STORE_OK);
    assert_int_equal(s->ops->tpk_remove(s, "bob-2", &err), KMS_STORE_NOT_FOUND);
    assert_int_equal(s->ops->tpk_remove(s, "tpk-1-256", &err), KMS_STORE_CURRENT);
    assert_int_equal(kms_tpk_rotate(s, vault, NULL, 60, &generation, &err), KMS_STORE_OK);
    assert_int_equal(s->ops->tpk_remove(s, "tpk-1-256", &err), KMS_STORE_OK);
    assert_int_equal(kms_index_build(&x, s, vault, &err), KMS_STORE_OK);
    assert_true(kms_index_tpk_of(x, bob, 32, &f));
    assert_memory_equal(f.id.p, "bob-1", 5);
    assert_false(tpk(x, "tpk-1-256", 32, ""));
    assert_true(tpk(x, "tpk-1-128", 16, "tpk-1-128"));
    kms_index_free(x);
}

static void
both_stores_keep_shared_keys(void **state)
{
    struct kms_store *stores[] = { open_sqlite(0), kms_store_open_memory(NULL) };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        shares(stores[i]);
        stores[i]->ops->close(stores[i]);
    }
}

static void
ids_of_our_own_keys_are_recognised(void **state)
{
    (void)state;
    assert_true(kms_tpk_id_reserved("tpk-1-128"));
    assert_true(kms_tpk_id_reserved("tpk-12345-256"));
    assert_false(kms_tpk_id_reserved("tpk-1-129"));
    assert_false(kms_tpk_id_reserved("tpk--128"));
    assert_false(kms_tpk_id_reserved("tpk-tpk-00ff"));
    assert_false(kms_tpk_id_reserved("alice-tpk-1-128"));
}

static void
the_memory_store_behaves(void **state)
{
    struct kms_store *s = kms_store_open_memory(NULL);

    (void)state;
    behaves(s);
    s->ops->close(s);
}

static void
the_sqlite_store_behaves_and_survives_being_closed(void **state)
{
    struct kms_store *s = open_sqlite(0);
    struct kms_index *x;
    struct kms_found f;

    (void)state;
    behaves(s);
    s->ops->close(s);
    s = open_sqlite(0);
    assert_true(find(s, "alice", &f, &x));
    assert_true(tpk(x, "", 32, "tpk-2-256"));
    assert_true(tpk(x, "", 16, "tpk-2-128"));
    assert_true(tpk(x, "tpk-1-256", 32, "tpk-1-256"));
    assert_false(tpk(x, "tpk-9-256", 32, "tpk-9-256"));
    kms_index_free(x);
    s->ops->close(s);
}

static void
the_file_is_for_its_owner_only(void **state)
{
    struct kms_store *s;
    struct stat st;

    (void)state;
    umask(0);
    s = open_sqlite(0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    s->ops->close(s);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(kms_store_open_sqlite(&s, path, 0, &err), KMS_STORE_FAILED);
    assert_non_null(strstr(err.text, "chmod 600"));
}

static void
execute(const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void
refuses_a_store_from_a_newer_version_and_leaves_it_alone(void **state)
{
    struct kms_store *s = open_sqlite(0);
    char before[65536], after[65536];
    size_t n;
    FILE *f;

    (void)state;
    s->ops->close(s);
    execute("PRAGMA user_version=99");
    f = fopen(path, "r");
    n = fread(before, 1, sizeof before, f);
    fclose(f);
    assert_int_equal(kms_store_open_sqlite(&s, path, 0, &err), KMS_STORE_NEWER);
    assert_non_null(strstr(err.text, "version 99"));
    f = fopen(path, "r");
    assert_int_equal(fread(after, 1, sizeof after, f), n);
    fclose(f);
    assert_memory_equal(before, after, n);
}

/* What version 1 wrote. */
static void
an_older_store_is_brought_to_the_present_version(void **state)
{
    struct kms_store *s;
    struct kms_index *x;
    struct kms_found a, b;
    uint64_t before, after;

    (void)state;
    umask(077);
    execute("CREATE TABLE credential(psk_id TEXT PRIMARY KEY NOT NULL, identity TEXT NOT NULL,"
            " psk BLOB NOT NULL, added INTEGER NOT NULL) WITHOUT ROWID;"
            "CREATE INDEX credential_identity ON credential(identity);"
            "CREATE TABLE tpk(id TEXT PRIMARY KEY NOT NULL, generation INTEGER NOT NULL,"
            " key BLOB NOT NULL, state TEXT NOT NULL CHECK (state IN ('current', 'previous')),"
            " created INTEGER NOT NULL) WITHOUT ROWID;"
            "INSERT INTO credential VALUES('a', 'sip:a@b', randomblob(32), 1);"
            "INSERT INTO credential VALUES('c', 'sip:c@b', randomblob(32), 1);"
            "INSERT INTO tpk VALUES('tpk-1-256', 1, randomblob(32), 'current', 1);"
            "PRAGMA user_version=1; PRAGMA application_id=0x4d6b4b53");
    s = open_sqlite(0);
    assert_int_equal(kms_index_build(&x, s, vault, &err), KMS_STORE_OK);
    assert_true(kms_index_by_psk_id(x, mkt_span("a", 1), 0, &a));
    assert_true(kms_index_by_psk_id(x, mkt_span("c", 1), 0, &b));
    assert_int_not_equal(a.serial, b.serial);
    assert_true(tpk(x, "", 32, "tpk-1-256"));
    kms_index_free(x);
    assert_int_equal(s->ops->version(s, &before, &err), KMS_STORE_OK);
    assert_int_equal(add(s, "sip:d@b", "d"), KMS_STORE_OK);
    assert_int_equal(s->ops->version(s, &after, &err), KMS_STORE_OK);
    assert_int_not_equal(before, after);
    s->ops->close(s);
}

static void
refuses_files_that_are_not_its_own(void **state)
{
    struct kms_store *s;
    FILE *f;

    (void)state;
    umask(077);
    execute("CREATE TABLE somebody(else_ INTEGER)");
    assert_int_equal(kms_store_open_sqlite(&s, path, 0, &err), KMS_STORE_FAILED);
    assert_non_null(strstr(err.text, "another program"));
    store_file_remove(path);
    f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", f);
    fclose(f);
    assert_int_equal(kms_store_open_sqlite(&s, path, 0, &err), KMS_STORE_FAILED);
    assert_non_null(strstr(err.text, "not a database"));
    assert_int_equal(kms_store_open_sqlite(&s, "/nonexistent/kms.db", 0, &err), KMS_STORE_FAILED);
    assert_non_null(strstr(err.text, "No such file or directory"));
    assert_int_equal(kms_store_open_sqlite(&s, dir, 0, &err), KMS_STORE_FAILED);
}

static void
a_full_disk_is_an_error_and_loses_nothing(void **state)
{
    struct kms_store *s = open_sqlite(48); /* the empty tables take half of that */
    struct kms_index *x;
    size_t added = 0;
    char id[32];
    int64_t generation;

    (void)state;
    do
        snprintf(id, sizeof id, "user-%zu", added);
    while (add(s, "sip:user@example.com", id) == KMS_STORE_OK && ++added < 100000);
    assert_in_range(added, 10, 99999);
    assert_int_equal(err.rc, KMS_STORE_FAILED);
    assert_non_null(strstr(err.text, "nothing was changed"));
    while (kms_tpk_rotate(s, vault, NULL, 60, &generation, &err) == KMS_STORE_OK)
        ;
    assert_int_equal(err.rc, KMS_STORE_FAILED);
    s->ops->close(s);
    s = open_sqlite(0);
    assert_int_equal(kms_index_build(&x, s, vault, &err), KMS_STORE_OK);
    assert_int_equal(kms_index_users(x), added);
    kms_index_free(x);
    s->ops->close(s);
}

static bool
no_keys_user(void *ctx, const struct kms_user *u)
{
    *(size_t *)ctx += 1;
    assert_int_equal(u->psk.octets.n, 0);
    assert_int_equal(u->psk_len, 32);
    return true;
}

static void
a_listing_holds_no_keys(void **state)
{
    struct kms_store *stores[] = { open_sqlite(0), kms_store_open_memory(NULL) };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t n = 0;
        struct kms_sink sink = { .user = no_keys_user, .ctx = &n };

        assert_int_equal(add(stores[i], "sip:a@b", "x"), KMS_STORE_OK);
        assert_int_equal(stores[i]->ops->read(stores[i], &sink, false, &err), KMS_STORE_OK);
        assert_int_equal(n, 1);
        stores[i]->ops->close(stores[i]);
    }
}

#define MANY 100000

static void
a_hundred_thousand_users_and_a_group_of_all_take_few_octets(void **state)
{
    struct kms_store *s = open_sqlite(0);
    const struct mkt_identity all = mkt_uri("sip:all@example.com");
    struct mkt_identity as;
    struct kms_index *x;
    struct kms_found f;
    char identity[64], id[32];

    (void)state;
    execute("BEGIN; WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)"
            " INSERT INTO users SELECT i + 1, 'sip:user' || i || '@example.com', 1, 0, 0, 0 FROM n;"
            "INSERT INTO credential SELECT id, 'user' || (id - 1), randomblob(32), 0, id, 0 "
            "FROM users; INSERT INTO user_group VALUES(1, 'sip:all@example.com', 1, 0);"
            "INSERT INTO member SELECT 1, 0, id, '' FROM users WHERE id % 11 <> 0; COMMIT");
    assert_int_equal(kms_index_build(&x, s, vault, &err), KMS_STORE_OK);
    assert_int_equal(kms_index_users(x), MANY);
    print_message("# %zu octets a user\n", kms_index_octets(x) / MANY);
    assert_in_range(kms_index_octets(x) / MANY, 50, 400);
    for (unsigned i = 0; i < MANY; i += 7) {
        snprintf(identity, sizeof identity, "sip:user%u@example.com", i);
        snprintf(id, sizeof id, "user%u", i);
        assert_true(kms_index_by_identity(x, mkt_uri(identity), 0, &f));
        assert_int_equal(f.psk_id.n, strlen(id));
        assert_true(kms_index_by_psk_id(x, mkt_span(id, strlen(id)), 0, &f));
        assert_true(mkt_identity_equal(f.identity, mkt_uri(identity)));
        assert_true(kms_index_stands_for(x, all, f.identity, &as) == ((i + 1) % 11 != 0));
    }
    kms_index_free(x);
    s->ops->close(s);
}

static int
make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/kms.db", dir);
    vault = kms_vault_local(NULL, 1);
    return vault == NULL ? -1 : 0;
}

static int
clean(void **state)
{
    (void)state;
    store_file_remove(path);
    memset(&err, 0, sizeof err);
    return 0;
}

static int
remove_dir(void **state)
{
    (void)state;
    kms_vault_close(vault);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_memory_store_behaves),
        cmocka_unit_test_teardown(both_stores_keep_shared_keys, clean),
        cmocka_unit_test(ids_of_our_own_keys_are_recognised),
        cmocka_unit_test_teardown(an_older_store_is_brought_to_the_present_version, clean),
        cmocka_unit_test_teardown(the_sqlite_store_behaves_and_survives_being_closed, clean),
        cmocka_unit_test_teardown(the_file_is_for_its_owner_only, clean),
        cmocka_unit_test_teardown(refuses_a_store_from_a_newer_version_and_leaves_it_alone, clean),
        cmocka_unit_test_teardown(refuses_files_that_are_not_its_own, clean),
        cmocka_unit_test_teardown(a_full_disk_is_an_error_and_loses_nothing, clean),
        cmocka_unit_test_teardown(a_listing_holds_no_keys, clean),
        cmocka_unit_test_teardown(a_hundred_thousand_users_and_a_group_of_all_take_few_octets,
                                  clean),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
