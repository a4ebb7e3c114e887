/* SPDX-License-Identifier: Apache-2.0 */
/* Users read by several threads at once: nobody is missed, nobody is there twice, and parts of
 * different moments are not put together. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index.h"
#include "store_file.h"
#include "store_sqlite.h"

#define USERS 2000

static char dir[] = "/tmp/mikey-crowd-XXXXXX", path[64];
static struct kms_store *store;
static struct kms_store_err err;

static enum kms_store_rc
add(struct kms_store *s, unsigned i)
{
    static const uint8_t key[32] = { 9 };
    char identity[64], id[32];
    const struct kms_user u = { .identity = identity,
                                .psk_id = id,
                                .psk = { 0, mkt_span(key, sizeof key) } };

    snprintf(identity, sizeof identity, "sip:user%u@example.com", i);
    snprintf(id, sizeof id, "id%u", i);
    return s->ops->user_add(s, &u, &err);
}

static void
change(const char *what, unsigned i)
{
    char identity[64], alias[64];
    struct kms_removed removed;

    snprintf(identity, sizeof identity, "sip:user%u@example.com", i);
    snprintf(alias, sizeof alias, "tel:%u", i);
    if (strcmp(what, "alias") == 0)
        assert_int_equal(store->ops->alias_add(store, identity, alias, &err), KMS_STORE_OK);
    else
        assert_int_equal(store->ops->user_remove(store, identity, NULL, &removed, &err),
                         KMS_STORE_OK);
}

static bool
has(const struct kms_index *x, const char *format, unsigned i)
{
    char name[64];

    snprintf(name, sizeof name, format, i);
    return kms_index_is_user(x, mkt_uri(name), 0);
}

static bool
has_key(const struct kms_index *x, unsigned i)
{
    struct kms_found f;
    char id[32];

    snprintf(id, sizeof id, "id%u", i);
    return kms_index_by_psk_id(x, mkt_span(id, strlen(id)), 0, &f);
}

static int
fill(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/kms.db", dir);
    assert_int_equal(kms_store_open_sqlite(&store, path, 0, &err), KMS_STORE_OK);
    assert_int_equal(store->ops->begin(store, &err), KMS_STORE_OK);
    for (unsigned i = 0; i < USERS; i++)
        assert_int_equal(add(store, i), KMS_STORE_OK);
    assert_int_equal(store->ops->end(store, true, &err), KMS_STORE_OK);
    return 0;
}

static int
empty(void **state)
{
    (void)state;
    store->ops->close(store);
    store_file_remove(path);
    return rmdir(dir);
}

static void
everybody_is_in_one_part_with_all_names(void **state)
{
    struct kms_index *x, *next;
    uint64_t version;

    (void)state;
    for (unsigned i = 0; i < USERS; i += 5)
        change("alias", i);
    for (unsigned i = 0; i < 300; i++) /* the first part has a gap */
        change("remove", i);
    assert_int_equal(store->ops->version(store, &version, &err), KMS_STORE_OK);
    assert_int_equal(kms_index_build(&x, store, NULL, &err), KMS_STORE_OK);
    assert_int_equal(kms_index_users(x), USERS - 300);
    for (unsigned i = 0; i < USERS; i++) {
        assert_true(has(x, "sip:user%u@example.com", i) == (i >= 300));
        assert_true(has_key(x, i) == (i >= 300));
        assert_true(has(x, "tel:%u", i) == (i >= 300 && i % 5 == 0));
    }
    change("remove", 300); /* of the first part, of the last one, and somebody new */
    change("remove", USERS - 1);
    assert_int_equal(add(store, USERS), KMS_STORE_OK);
    assert_int_equal(kms_index_follow(&next, x, store, NULL, &version, &err), KMS_STORE_OK);
    assert_false(has_key(next, 300) || has_key(next, USERS - 1));
    assert_false(has(next, "tel:%u", 300));
    assert_true(has_key(next, 301) && has_key(next, USERS));
    assert_int_equal(kms_index_users(next), USERS - 301);
    kms_index_free(x);
    assert_true(has_key(next, 301)); /* what they share outlives the former */
    kms_index_free(next);
}

/* The second thread begins when the first one has read, and somebody was added in between. */
static sem_t first_has_read;
static unsigned newcomer, parts_seen;

static enum kms_store_rc
read_late(struct kms_store *s, const struct kms_sink *sink, unsigned part, unsigned of,
          uint64_t *version, struct kms_store_err *e)
{
    struct kms_store *writer;
    enum kms_store_rc rc;

    if (part == 0) {
        parts_seen = of;
        rc = kms_sqlite_read_part(s, sink, part, of, version, e);
        for (unsigned i = 1; i < of; i++)
            sem_post(&first_has_read);
        return rc;
    }
    sem_wait(&first_has_read);
    assert_int_equal(kms_store_open_sqlite(&writer, path, 0, e), KMS_STORE_OK);
    assert_int_equal(add(writer, __atomic_add_fetch(&newcomer, 1, __ATOMIC_RELAXED)), KMS_STORE_OK);
    writer->ops->close(writer);
    return kms_sqlite_read_part(s, sink, part, of, version, e);
}

static enum kms_store_rc
another_late(struct kms_store *s, struct kms_store **other, struct kms_store_err *e)
{
    enum kms_store_rc rc = kms_sqlite_another(s, other, e);

    if (rc == KMS_STORE_OK)
        (*other)->ops = s->ops;
    return rc;
}

static void
parts_of_two_moments_are_not_one_picture(void **state)
{
    const struct kms_store_ops *real = store->ops;
    struct kms_store_ops late = *real;
    struct kms_index *x;
    size_t before;

    (void)state;
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        skip(); /* one thread reads */
    assert_int_equal(kms_index_build(&x, store, NULL, &err), KMS_STORE_OK);
    before = kms_index_users(x);
    kms_index_free(x);
    sem_init(&first_has_read, 0, 0);
    newcomer = 5000;
    late.read_part = read_late;
    late.another = another_late;
    store->ops = &late;
    assert_int_equal(kms_index_build(&x, store, NULL, &err), KMS_STORE_OK);
    store->ops = real;
    assert_int_equal(parts_seen, 1); /* in the end by one thread */
    assert_true(newcomer > 5000);
    assert_int_equal(kms_index_users(x), before + newcomer - 5000);
    for (unsigned i = 5001; i <= newcomer; i++)
        assert_true(has_key(x, i));
    kms_index_free(x);
    sem_destroy(&first_has_read);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_is_in_one_part_with_all_names),
        cmocka_unit_test(parts_of_two_moments_are_not_one_picture),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, fill, empty);
}
