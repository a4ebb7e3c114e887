/* SPDX-License-Identifier: Apache-2.0 */
/* What the store remembers over a restart of COUNTERs, and of timestamps that lie in the future. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "marks.h"

#define NOW 1700000000
#define WINDOW 300
#define FAR (NOW + 2 * WINDOW)

/* Takes a value as a request does that may wait. */
static enum kms_replay_rc
take_at(struct kms_marks *m, enum kms_mark_kind kind, uint64_t serial, uint64_t value, int64_t now)
{
    enum kms_replay_rc rc = kms_marks_enter(m, kind, serial, value);
    struct kms_store_err err;

    if (rc != KMS_UNRESERVED)
        return rc;
    if (kms_marks_reserve(m, kind, serial, value, now, &err) != KMS_STORE_OK)
        return KMS_FULL;
    return kms_marks_enter(m, kind, serial, value);
}

static enum kms_replay_rc
take(struct kms_marks *m, uint64_t serial, uint32_t value)
{
    return take_at(m, KMS_MARK_COUNTER, serial, value, NOW);
}

static enum kms_replay_rc
stamp(struct kms_marks *m, uint64_t serial, int64_t second, int64_t now)
{
    return take_at(m, KMS_MARK_STAMP, serial, (uint64_t)second, now);
}

static struct kms_store *store;
static const struct kms_store_ops *real_ops;
static struct kms_marks *kept; /* in that store */

static struct kms_marks *
load_at(uint32_t capacity, int64_t from, int64_t upto)
{
    struct kms_marks *m = kms_marks_new(capacity, WINDOW, store);
    struct kms_store_err err;

    assert_int_equal(kms_marks_load(m, from, upto, &err), KMS_STORE_OK);
    return m;
}

static struct kms_marks *
load(void)
{
    return load_at(1000, NOW, FAR);
}

/* As the next start does. */
static void
reload(void)
{
    kms_marks_free(kept);
    kept = load();
}

static int
open_store(void **state)
{
    (void)state;
    store = kms_store_open_memory(NULL);
    real_ops = store->ops;
    kept = load();
    return 0;
}

static int
close_store(void **state)
{
    (void)state;
    kms_marks_free(kept);
    store->ops = real_ops;
    store->ops->close(store);
    return 0;
}

typedef enum kms_store_rc marks_fn(struct kms_store *s, const struct kms_mark *marks, size_t n,
                                   int64_t now, struct kms_store_err *err);

/* Has something else write what the store is to write. */
static void
write_with(marks_fn *f)
{
    static struct kms_store_ops ops;

    ops = *real_ops;
    ops.marks = f;
    store->ops = &ops;
}

static void
counters_must_grow_for_each_credential(void **state)
{
    (void)state;
    assert_int_equal(take(kept, 1, 5), KMS_FRESH);
    assert_int_equal(take(kept, 1, 5), KMS_SEEN); /* RFC6043:4.2.1.2 */
    assert_int_equal(take(kept, 1, 4), KMS_SEEN);
    assert_int_equal(take(kept, 1, 6), KMS_FRESH);
    assert_int_equal(take(kept, 2, 0), KMS_FRESH);
    assert_int_equal(take(kept, 2, 0), KMS_SEEN);
    assert_int_equal(take(kept, 1, 6), KMS_SEEN);
    assert_int_equal(take(kept, 1, UINT32_MAX), KMS_FRESH);
    assert_int_equal(take(kept, 1, UINT32_MAX), KMS_SEEN);
}

static void
counters_of_many_credentials_are_bounded_and_kept(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(take(kept, i, 9), KMS_FRESH);
    for (uint32_t i = 1000; i < 1100; i++)
        assert_int_equal(take(kept, i, 9), KMS_FULL);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(take(kept, i, 9), KMS_SEEN);
}

static void
counters_are_on_disk_before_they_are_taken(void **state)
{
    struct kms_marks *after;
    uint32_t last = 0;

    (void)state;
    for (uint32_t v = 10; v < 500; v += 7) { /* it may crash at any time */
        assert_int_equal(take(kept, 1, v), KMS_FRESH);
        after = load();
        for (last = v > 70 ? v - 70 : 0; last <= v; last++)
            assert_int_equal(take(after, 1, last), KMS_SEEN); /* RFC3830:5.4 */
        assert_int_equal(kms_marks_enter(after, KMS_MARK_COUNTER, 1, v + KMS_COUNTER_MORE + 1),
                         KMS_UNRESERVED);
        kms_marks_free(after);
    }
}

static void
counters_lose_nothing_when_it_stops_in_order(void **state)
{
    struct kms_store_err err;

    (void)state;
    assert_int_equal(take(kept, 1, 10), KMS_FRESH);
    assert_int_equal(take(kept, 2, 20), KMS_FRESH);
    assert_int_equal(kms_marks_settle(kept, NOW, &err), KMS_STORE_OK);
    reload();
    assert_int_equal(take(kept, 1, 10), KMS_SEEN);
    assert_int_equal(take(kept, 1, 11), KMS_FRESH);
    assert_int_equal(take(kept, 2, 20), KMS_SEEN);
    assert_int_equal(take(kept, 2, 21), KMS_FRESH);
}

static enum kms_store_rc
full_disk(struct kms_store *s, const struct kms_mark *marks, size_t n, int64_t now,
          struct kms_store_err *err)
{
    (void)s, (void)marks, (void)n, (void)now;
    return kms_store_fail(err, KMS_STORE_FAILED, "disk full");
}

static void
a_counter_that_cannot_be_kept_is_not_taken(void **state)
{
    (void)state;
    assert_int_equal(take(kept, 1, 10), KMS_FRESH);
    write_with(full_disk);
    assert_int_equal(take(kept, 1, 11), KMS_FRESH); /* known to the store already */
    assert_int_equal(take(kept, 1, 10 + KMS_COUNTER_MORE + 1), KMS_FULL);
    assert_int_equal(take(kept, 2, 1), KMS_FULL);
    store->ops = real_ops;
    assert_int_equal(take(kept, 1, 10 + KMS_COUNTER_MORE + 1), KMS_FRESH);
    assert_int_equal(take(kept, 2, 1), KMS_FRESH);
}

/* --- timestamps that lie in the future ----------------------------------------------------------
 */

static bool
count_stamp(void *ctx, const struct kms_mark *mark)
{
    *(unsigned *)ctx += mark->kind == KMS_MARK_STAMP;
    return true;
}

static unsigned
rows(void)
{
    unsigned n = 0;
    const struct kms_sink sink = { .mark = count_stamp, .ctx = &n };
    struct kms_store_err err;

    assert_int_equal(store->ops->read(store, &sink, false, &err), KMS_STORE_OK);
    return n;
}

static void
stamps_are_on_disk_before_they_are_taken(void **state)
{
    struct kms_marks *after;

    (void)state;
    for (int64_t s = NOW + 1; s < NOW + 100; s += 3) { /* it may crash at any time */
        assert_int_equal(stamp(kept, 1, s, NOW), KMS_FRESH);
        after = load();
        for (int64_t old = NOW; old <= s; old++)
            assert_true(kms_marks_spent(after, 1, old)); /* RFC3830:5.4 */
        assert_int_equal(kms_marks_enter(after, KMS_MARK_STAMP, 1, (uint64_t)s), KMS_FORGOTTEN);
        assert_false(kms_marks_spent(after, 1, s + KMS_STAMP_MORE + 1));
        assert_int_equal(
            kms_marks_enter(after, KMS_MARK_STAMP, 1, (uint64_t)s + KMS_STAMP_MORE + 1),
            KMS_UNRESERVED);
        kms_marks_free(after);
    }
}

static void
the_mark_of_one_credential_bars_no_other(void **state)
{
    (void)state;
    assert_int_equal(stamp(kept, 1, NOW + 30, NOW), KMS_FRESH);
    assert_int_equal(take(kept, 2, 7), KMS_FRESH);
    assert_false(kms_marks_spent(kept, 1, NOW + 30)); /* of this run: the replay cache knows it */
    assert_int_equal(stamp(kept, 1, NOW + 30, NOW), KMS_FRESH);
    reload();
    assert_true(kms_marks_spent(kept, 1, NOW));
    assert_false(kms_marks_spent(kept, 2, NOW));
    assert_int_equal(stamp(kept, 2, NOW + 30, NOW), KMS_FRESH);
    assert_int_equal(take(kept, 1, 7), KMS_FRESH);
}

static unsigned writes;

static enum kms_store_rc
count_writes(struct kms_store *s, const struct kms_mark *marks, size_t n, int64_t now,
             struct kms_store_err *err)
{
    writes++;
    return real_ops->marks(s, marks, n, now, err);
}

static void
one_write_serves_several_seconds(void **state)
{
    (void)state;
    write_with(count_writes);
    writes = 0;
    for (int64_t now = NOW; now <= NOW + KMS_STAMP_MORE; now++)
        for (int i = 0; i < 100; i++)
            assert_int_equal(stamp(kept, 1, now + 20, now), KMS_FRESH);
    assert_int_equal(writes, 1);
    assert_int_equal(stamp(kept, 1, NOW + KMS_STAMP_MORE + 21, NOW), KMS_FRESH);
    assert_int_equal(writes, 2);
}

/* When it is our clock that is behind, all are ahead at once. */
static void
those_who_wait_share_one_write(void **state)
{
    (void)state;
    write_with(count_writes);
    writes = 0;
    for (uint64_t i = 1; i <= 200; i++)
        assert_int_equal(kms_marks_enter(kept, KMS_MARK_STAMP, i, NOW + 9), KMS_UNRESERVED);
    assert_int_equal(kms_marks_enter(kept, KMS_MARK_COUNTER, 1, 9), KMS_UNRESERVED);
    assert_int_equal(stamp(kept, 300, NOW + 9, NOW), KMS_FRESH);
    for (uint64_t i = 1; i <= 200; i++)
        assert_int_equal(kms_marks_enter(kept, KMS_MARK_STAMP, i, NOW + 9), KMS_FRESH);
    assert_int_equal(kms_marks_enter(kept, KMS_MARK_COUNTER, 1, 9), KMS_FRESH);
    assert_int_equal(writes, 1);
    assert_int_equal(rows(), 201);
    for (uint64_t i = 1; i <= 600; i++) /* more than are noted: they ask for themselves */
        assert_int_equal(kms_marks_enter(kept, KMS_MARK_STAMP, i, NOW + 99), KMS_UNRESERVED);
    for (uint64_t i = 1; i <= 600; i++)
        assert_int_equal(stamp(kept, i, NOW + 99, NOW), KMS_FRESH);
}

static void
of_several_that_wait_the_latest_is_on_disk(void **state)
{
    static const int64_t seconds[] = { NOW + 40, NOW + 70, NOW + 50, NOW + 71, NOW + 30 };

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(kms_marks_enter(kept, KMS_MARK_STAMP, 1, (uint64_t)seconds[i]),
                         KMS_UNRESERVED);
    assert_int_equal(stamp(kept, 2, NOW + 1, NOW), KMS_FRESH);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(kms_marks_enter(kept, KMS_MARK_STAMP, 1, (uint64_t)seconds[i]), KMS_FRESH);
    reload();
    assert_true(kms_marks_spent(kept, 1, NOW + 71));
}

/* A message that was taken before the start is in no replay cache: nothing but its mark tells. */
static void
a_mark_from_before_the_start_holds_until_the_window_has_passed_and_after(void **state)
{
    const int64_t taken = NOW + 30;

    (void)state;
    assert_int_equal(stamp(kept, 1, taken, NOW), KMS_FRESH);
    reload();
    for (int64_t now = NOW; now <= taken + 3 * WINDOW; now++) { /* others let it tidy up */
        assert_int_equal(stamp(kept, (uint64_t)now, now + 9, now), KMS_FRESH);
        assert_true(kms_marks_spent(kept, 1, taken));
    }
}

static void
marks_of_stamps_end_with_their_time(void **state)
{
    int64_t now = NOW;
    uint64_t serial = 0;

    (void)state;
    for (int round = 0; round < 10; round++, now += 100) { /* 10 000 in all */
        for (int i = 0; i < 1000; i++)
            assert_int_equal(stamp(kept, ++serial, now + 30, now), KMS_FRESH);
        assert_int_equal(stamp(kept, serial + 1, now + 30, now), KMS_FULL); /* bounded */
        assert_int_equal(rows(), 1000);
    }
    assert_int_equal(stamp(kept, 1, now + 30, now), KMS_FRESH);
    assert_int_equal(rows(), 1);
    kms_marks_free(kept);
    kept = load_at(10, now + 36, now + 2 * WINDOW); /* it has passed: nothing is barred */
    assert_false(kms_marks_spent(kept, 1, now + 30));
}

static void
stamps_lose_nothing_when_it_stops_in_order(void **state)
{
    struct kms_store_err err;

    (void)state;
    assert_int_equal(stamp(kept, 1, NOW + 12, NOW), KMS_FRESH);
    assert_int_equal(stamp(kept, 1, NOW + 10, NOW), KMS_FRESH); /* they overtake each other */
    assert_int_equal(stamp(kept, 2, NOW + 1, NOW), KMS_FRESH);
    assert_int_equal(kms_marks_settle(kept, NOW + 2, &err), KMS_STORE_OK);
    kms_marks_free(kept);
    assert_int_equal(rows(), 1); /* the other one has passed */
    kept = load();
    assert_true(kms_marks_spent(kept, 1, NOW + 12));
    assert_false(kms_marks_spent(kept, 1, NOW + 13));
    assert_int_equal(kms_marks_settle(kept, NOW + 2, &err), KMS_STORE_OK);
    reload(); /* it was not used in between */
    assert_true(kms_marks_spent(kept, 1, NOW + 12));
}

static void
a_stamp_that_cannot_be_kept_is_not_taken(void **state)
{
    (void)state;
    assert_int_equal(stamp(kept, 1, NOW + 10, NOW), KMS_FRESH);
    write_with(full_disk);
    assert_int_equal(stamp(kept, 1, NOW + 11, NOW), KMS_FRESH); /* known to the store already */
    assert_int_equal(stamp(kept, 1, NOW + 11 + KMS_STAMP_MORE, NOW), KMS_FULL);
    assert_int_equal(stamp(kept, 2, NOW + 10, NOW), KMS_FULL);
    for (uint64_t i = 1; i <= 2; i++)
        assert_int_equal(kms_marks_enter(kept, KMS_MARK_STAMP, i, NOW + 30), KMS_UNRESERVED);
    store->ops = real_ops;
    assert_int_equal(stamp(kept, 2, NOW + 10, NOW), KMS_FRESH);
}

/* A clock that was days ahead when it took them: its clients are not kept out for days. */
static void
marks_of_a_clock_that_was_far_ahead_are_left_aside(void **state)
{
    (void)state;
    assert_int_equal(stamp(kept, 1, FAR - KMS_STAMP_MORE, NOW), KMS_FRESH);
    assert_int_equal(stamp(kept, 2, FAR - KMS_STAMP_MORE + 1, NOW), KMS_FRESH);
    reload();
    assert_true(kms_marks_spent(kept, 1, NOW + 1));
    assert_false(kms_marks_spent(kept, 2, NOW + 1));
}

/* --- the store ----------------------------------------------------------------------------------
 */

static bool
take_mark(void *ctx, const struct kms_mark *m)
{
    struct kms_mark *all = ctx;

    all[0].mark++; /* counts */
    all[all[0].mark] = *m;
    return true;
}

/* The only mark of a kind in the store. */
static uint64_t
only_mark(enum kms_mark_kind kind)
{
    struct kms_mark found[4] = { 0 };
    const struct kms_sink sink = { .mark = take_mark, .ctx = found };
    struct kms_store_err err;
    uint64_t value = 0, n = 0;

    assert_int_equal(store->ops->read(store, &sink, false, &err), KMS_STORE_OK);
    for (uint64_t i = 1; i <= found[0].mark; i++)
        if (found[i].kind == kind) {
            value = found[i].mark;
            n++;
        }
    assert_int_equal(n, 1);
    return value;
}

static void
the_store_forgets_stamps_that_have_passed_and_no_counter(void **state)
{
    const struct kms_mark marks[] = { { KMS_MARK_STAMP, 7, 1000 },
                                      { KMS_MARK_STAMP, UINT64_MAX, 1005 },
                                      { KMS_MARK_COUNTER, 7, 3 } };
    const struct kms_mark lower = { KMS_MARK_STAMP, UINT64_MAX, 1004 };
    struct kms_store_err err;
    uint64_t before, after;

    (void)state;
    assert_int_equal(store->ops->version(store, &before, &err), KMS_STORE_OK);
    assert_int_equal(store->ops->marks(store, marks, 3, 1000, &err), KMS_STORE_OK);
    assert_int_equal(rows(), 2);
    assert_int_equal(store->ops->marks(store, &lower, 1, 1001, &err), KMS_STORE_OK);
    assert_int_equal(only_mark(KMS_MARK_STAMP), 1004);
    assert_int_equal(only_mark(KMS_MARK_COUNTER), 3);
    assert_int_equal(store->ops->version(store, &after, &err), KMS_STORE_OK);
    assert_int_equal(before, after); /* nobody needs to read anything again */
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)
    const struct CMUnitTest tests[] = {
        TEST(counters_must_grow_for_each_credential),
        TEST(counters_of_many_credentials_are_bounded_and_kept),
        TEST(counters_are_on_disk_before_they_are_taken),
        TEST(counters_lose_nothing_when_it_stops_in_order),
        TEST(a_counter_that_cannot_be_kept_is_not_taken),
        TEST(stamps_are_on_disk_before_they_are_taken),
        TEST(the_mark_of_one_credential_bars_no_other),
        TEST(one_write_serves_several_seconds),
        TEST(those_who_wait_share_one_write),
        TEST(of_several_that_wait_the_latest_is_on_disk),
        TEST(a_mark_from_before_the_start_holds_until_the_window_has_passed_and_after),
        TEST(marks_of_stamps_end_with_their_time),
        TEST(stamps_lose_nothing_when_it_stops_in_order),
        TEST(a_stamp_that_cannot_be_kept_is_not_taken),
        TEST(marks_of_a_clock_that_was_far_ahead_are_left_aside),
        TEST(the_store_forgets_stamps_that_have_passed_and_no_counter),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
