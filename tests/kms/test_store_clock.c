/* SPDX-License-Identifier: Apache-2.0 */
/* What a node makes of what the store tells: the time is an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store_clock.h"

#define MS ((int64_t)KMS_NS_PER_MS)
#define S ((int64_t)KMS_NS_PER_S)
#define T0 (1800000000 * S)
#define AHEAD (90 * S)

static int64_t
ahead_of(const struct kms_store_clock *c)
{
    return atomic_load(&c->ahead_ns);
}

/* A store whose clock is so far ahead is asked at `at`; each way takes as long, its clock ticks. */
static bool
asked(struct kms_store_clock *c, int64_t at, int64_t way, int64_t ahead)
{
    int64_t theirs = at + way + ahead;

    return kms_store_clock_told(c, at, theirs - theirs % KMS_STORE_TICK_NS, at + 2 * way);
}

static void
a_store_on_this_machine_is_never_off(void **state)
{
    struct kms_store_clock c = { 0 };

    (void)state;
    for (int64_t i = 0; i < 10000; i++) {
        assert_true(asked(&c, T0 + i * 50 * MS + i * 997, i % 2 * MS, 0));
        assert_true(ahead_of(&c) == 0);
    }
}

static void
one_elsewhere_is_known_within_the_doubt_and_does_not_tremble(void **state)
{
    struct kms_store_clock c = { 0 };
    int64_t known;

    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        assert_true(asked(&c, T0, MS, sign * AHEAD));
        known = ahead_of(&c);
        assert_true(llabs(known - sign * AHEAD) <= KMS_DOUBT_MS * MS);
        for (int64_t i = 0; i < 1000; i++) /* a wider answer that agrees changes nothing */
            assert_true(asked(&c, T0 + i * 50 * MS, 2 * MS, sign * AHEAD));
        assert_true(ahead_of(&c) == known);
    }
}

static void
one_that_was_set_is_followed(void **state)
{
    struct kms_store_clock c = { 0 };

    (void)state;
    for (int64_t ahead = -4 * AHEAD; ahead <= 4 * AHEAD; ahead += AHEAD) {
        assert_true(asked(&c, T0, MS, ahead));
        assert_true(llabs(ahead_of(&c) - ahead) <= KMS_DOUBT_MS * MS);
    }
}

static void
an_answer_that_took_long_teaches_nothing(void **state)
{
    struct kms_store_clock c = { 0 };
    int64_t known;

    (void)state;
    assert_true(asked(&c, T0, MS, AHEAD));
    known = ahead_of(&c);
    assert_false(asked(&c, T0, KMS_DOUBT_MS * MS, 2 * AHEAD));
    assert_false(
        kms_store_clock_told(&c, T0, T0, T0 + 30 * S)); /* our clock was set meanwhile... */
    assert_false(kms_store_clock_told(&c, T0, T0, T0 - 30 * S)); /* ...or back */
    assert_true(ahead_of(&c) == known);
}

static void
further_than_the_window_is_astray_either_way(void **state)
{
    struct kms_store_clock c = { 0 };

    (void)state;
    for (int sign = -1; sign <= 1; sign += 2) {
        atomic_store(&c.ahead_ns, sign * 300 * S);
        assert_false(kms_store_clock_astray(&c, 300));
        atomic_store(&c.ahead_ns, sign * (300 * S + 1));
        assert_true(kms_store_clock_astray(&c, 300));
    }
}

static enum kms_store_rc
too_slow(struct kms_store *s, int64_t *now, struct kms_store_err *err)
{
    (void)s, (void)err;
    *now = 0;
    for (int64_t began = kms_unix_ns(); kms_unix_ns() - began <= KMS_DOUBT_MS * MS;)
        ;
    return KMS_STORE_OK;
}

static enum kms_store_rc
broken(struct kms_store *s, int64_t *now, struct kms_store_err *err)
{
    (void)s, (void)now;
    return kms_store_fail(err, KMS_STORE_FAILED, "broken");
}

static void
who_cannot_learn_the_time_is_told(void **state)
{
    const struct kms_store_ops slow = { .now = too_slow }, no_more = { .now = broken };
    struct kms_store s = { &slow };
    struct kms_store_clock c = { 0 };
    struct kms_store_err err = { 0 };

    (void)state;
    assert_int_equal(kms_store_clock_learn(&c, &s, 2, &err), KMS_STORE_FAILED);
    assert_string_equal(err.text, "the store takes too long to tell the time");
    s.ops = &no_more;
    assert_int_equal(kms_store_clock_learn(&c, &s, 2, &err), KMS_STORE_FAILED);
    assert_string_equal(err.text, "broken");
    assert_true(ahead_of(&c) == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_on_this_machine_is_never_off),
        cmocka_unit_test(one_elsewhere_is_known_within_the_doubt_and_does_not_tremble),
        cmocka_unit_test(one_that_was_set_is_followed),
        cmocka_unit_test(an_answer_that_took_long_teaches_nothing),
        cmocka_unit_test(further_than_the_window_is_astray_either_way),
        cmocka_unit_test(who_cannot_learn_the_time_is_told),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
