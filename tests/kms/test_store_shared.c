/* SPDX-License-Identifier: Apache-2.0 */
/* Two programs, or two threads of one, with connections of their own to one store: what is a change
 * for the other, and who waits for whom. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "index.h"
#include "store.h"
#include "store_file.h"

#define TURNS 10     /* changes that somebody else makes... */
#define TURNS_MAX 40 /* ...while there are that many long ones */

static struct kms_vault *vault; /* nothing is sealed here */
static char dir[] = "/tmp/mikey-shared-XXXXXX";
static char path[64];
static struct kms_store *a, *b;
static struct kms_store_err err;

static int
open_both(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/kms.db", dir);
    return kms_store_open_sqlite(&a, path, 0, &err) != KMS_STORE_OK ||
           kms_store_open_sqlite(&b, path, 0, &err) != KMS_STORE_OK;
}

static int
close_both(void **state)
{
    (void)state;
    a->ops->close(a);
    b->ops->close(b);
    store_file_remove(path);
    return 0;
}

static enum kms_store_rc
add(struct kms_store *s, const char *identity, const char *psk_id)
{
    static const uint8_t key[32] = { 1 };
    const struct kms_user u = { .identity = identity,
                                .psk_id = psk_id,
                                .psk.octets = mkt_span(key, sizeof key) };

    return s->ops->user_add(s, &u, &err);
}

static bool
find(struct kms_store *s, const char *psk_id, struct kms_found *found, struct kms_index **index)
{
    assert_int_equal(kms_index_build(index, s, vault, &err), KMS_STORE_OK);
    return kms_index_by_psk_id(*index, mkt_span(psk_id, strlen(psk_id)), 0, found);
}

static bool
take_mark(void *ctx, const struct kms_mark *m)
{
    struct kms_mark *all = ctx;

    all[0].mark++; /* counts */
    all[all[0].mark] = *m;
    return true;
}

static void
marks_of_counters_end_with_their_credential_and_are_no_change(void **state)
{
    struct kms_mark marks[2], found[4] = { 0 };
    const struct kms_sink sink = { .mark = take_mark, .ctx = found };
    uint64_t before, after;
    struct kms_index *x;
    struct kms_found f;
    struct kms_removed removed;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(add(a, "sip:a@b", i == 0 ? "x" : "y"), KMS_STORE_OK);
        assert_true(find(a, i == 0 ? "x" : "y", &f, &x));
        marks[i] = (struct kms_mark){ KMS_MARK_COUNTER, f.serial, 5000000000 + i };
        kms_index_free(x);
    }
    assert_int_equal(a->ops->version(a, &before, &err), KMS_STORE_OK);
    assert_int_equal(b->ops->marks(b, marks, 2, INT64_MAX, &err), KMS_STORE_OK);
    marks[0].mark++;
    assert_int_equal(b->ops->marks(b, marks, 1, INT64_MAX, &err), KMS_STORE_OK);
    assert_int_equal(a->ops->version(a, &after, &err), KMS_STORE_OK);
    assert_int_equal(before, after);
    assert_int_equal(a->ops->user_remove(a, "sip:a@b", "y", &removed, &err), KMS_STORE_OK);
    assert_int_equal(a->ops->read(a, &sink, false, &err), KMS_STORE_OK);
    assert_int_equal(found[0].mark, 1);
    assert_int_equal(found[1].serial, marks[0].serial);
    assert_int_equal(found[1].mark, 5000000001);
    assert_int_equal(add(a, "sip:a@b", "y"), KMS_STORE_OK); /* the psk-id is free again */
    assert_true(find(a, "y", &f, &x));
    assert_int_not_equal(f.serial, marks[1].serial);
    kms_index_free(x);
}

static void
tells_that_another_connection_changed_it(void **state)
{
    uint64_t before, after;

    (void)state;
    assert_int_equal(a->ops->version(a, &before, &err), KMS_STORE_OK);
    assert_int_equal(a->ops->version(a, &after, &err), KMS_STORE_OK);
    assert_int_equal(before, after);
    assert_int_equal(add(b, "sip:a@b", "x"), KMS_STORE_OK);
    assert_int_equal(a->ops->version(a, &after, &err), KMS_STORE_OK);
    assert_int_not_equal(before, after);
}

struct endless {
    struct kms_store *store;
    atomic_bool over;
    unsigned changes;
};

/* A rotation or an import: one long change after the other. */
static void *
change_on_and_on(void *arg)
{
    const struct timespec long_ms = { 0, 20000000 };
    struct kms_store_err why;
    struct endless *e = arg;

    while (e->changes < TURNS_MAX && !atomic_load(&e->over)) {
        if (e->store->ops->begin(e->store, &why) != KMS_STORE_OK)
            break;
        nanosleep(&long_ms, NULL);
        if (e->store->ops->end(e->store, true, &why) != KMS_STORE_OK)
            break;
        e->store->ops->give_way(e->store);
        e->changes++;
    }
    return NULL;
}

static void
who_changes_on_and_on_lets_others_in_between(void **state)
{
    const struct timespec rest = { 0, 7000000 };
    struct endless e = { .store = b };
    char id[16];
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, change_on_and_on, &e), 0);
    for (unsigned i = 0; i < TURNS; i++) {
        snprintf(id, sizeof id, "x%u", i);
        nanosleep(&rest, NULL); /* the next one meets a store that is taken */
        assert_int_equal(add(a, "sip:a@b", id), KMS_STORE_OK);
    }
    atomic_store(&e.over, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(e.changes < TURNS_MAX);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)
    const struct CMUnitTest tests[] = {
        TEST(marks_of_counters_end_with_their_credential_and_are_no_change),
        TEST(tells_that_another_connection_changed_it),
        TEST(who_changes_on_and_on_lets_others_in_between),
    };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (mkdtemp(dir) == NULL)
        return 1;
    vault = kms_vault_local(NULL, 1);
    failed = vault == NULL || cmocka_run_group_tests(tests, NULL, NULL) != 0;
    kms_vault_close(vault);
    rmdir(dir);
    return failed;
}
