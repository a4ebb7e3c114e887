/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's tables on their own, with a clock of the test's: replay cache, retransmission and
 * limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mikeyticket/env.h>

#include "hash.h"
#include "limit.h"
#include "replay.h"
#include "retransmit.h"

#define START 1700000000
#define WINDOW 300
#define SECOND 1000000000

struct print {
    uint8_t b[KMS_FINGERPRINT];
};

static struct print
print_of(uint32_t n)
{
    struct print p = { { 0 } };

    memcpy(p.b, &n, sizeof n);
    return p;
}

static enum kms_replay_rc
enter(struct kms_replay *r, uint32_t n, int64_t stamp, int64_t now)
{
    struct print p = print_of(n);

    return kms_replay_enter(r, mkt_span(p.b, sizeof p.b), stamp, now);
}

static void
a_message_is_fresh_once(void **state)
{
    struct kms_replay *r = kms_replay_new(4096, WINDOW, START);
    struct print p = print_of(7);
    struct mkt_span fp = mkt_span(p.b, sizeof p.b);

    (void)state;
    assert_int_equal(kms_replay_look(r, fp, START, START), KMS_FRESH);
    assert_int_equal(kms_replay_look(r, fp, START, START), KMS_FRESH); /* looking enters nothing */
    assert_int_equal(kms_replay_enter(r, fp, START, START), KMS_FRESH);
    assert_int_equal(kms_replay_enter(r, fp, START, START), KMS_SEEN); /* RFC6043:12.4 */
    assert_int_equal(kms_replay_look(r, fp, START, START + WINDOW), KMS_SEEN);
    assert_int_equal(kms_replay_count(r), 1);
    kms_replay_free(r);
}

static void
a_replay_is_refused_at_every_second_of_the_window(void **state)
{
    struct kms_replay *r = kms_replay_new(65536, WINDOW, START);

    (void)state;
    for (uint32_t ahead = 0; ahead <= WINDOW; ahead += 50) { /* stamps from now to one window on */
        assert_int_equal(enter(r, ahead, START + ahead, START), KMS_FRESH);
    }
    for (int64_t now = START; now <= START + 2 * WINDOW + 5; now++)
        for (uint32_t ahead = 0; ahead <= WINDOW; ahead += 50)
            /* RFC3830:5.4-1 */
            assert_int_not_equal(enter(r, ahead, START + ahead, now), KMS_FRESH);
    kms_replay_free(r);
}

static void
expired_messages_make_room(void **state)
{
    struct kms_replay *r = kms_replay_new(64 * 16, WINDOW, START);
    uint32_t n = 0, fresh = 0;

    (void)state;
    for (; n < 4096; n++)
        fresh += enter(r, n, START, START) == KMS_FRESH;
    assert_int_equal(fresh, 64 * 16);
    assert_int_equal(kms_replay_count(r), 64 * 16);
    fresh = 0;
    for (; n < 8192; n++)
        fresh += enter(r, n, START + 2 * WINDOW, START + 2 * WINDOW) == KMS_FRESH;
    assert_int_equal(fresh, 64 * 16); /* bounded, and everything old is gone */
    assert_int_equal(kms_replay_count(r), 64 * 16);
    kms_replay_free(r);
}

static void
a_full_cache_refuses_new_messages_and_forgets_none(void **state)
{
    struct kms_replay *r = kms_replay_new(64 * 16, WINDOW, START);
    bool in[4096];

    (void)state;
    for (uint32_t n = 0; n < 4096; n++) {
        enum kms_replay_rc rc = enter(r, n, START, START);

        assert_true(rc == KMS_FRESH || rc == KMS_FULL);
        in[n] = rc == KMS_FRESH;
    }
    for (uint32_t n = 0; n < 4096; n++)
        /* RFC3830:5.4-3 RFC3830:5.4-5 */
        assert_int_equal(enter(r, n, START, START + WINDOW), in[n] ? KMS_SEEN : KMS_FULL);
    kms_replay_free(r);
}

static void
messages_from_before_the_start_are_refused(void **state)
{
    struct kms_replay *r = kms_replay_new(4096, WINDOW, START);

    (void)state;
    assert_int_equal(enter(r, 1, START - 10, START), KMS_FORGOTTEN); /* RFC3830:5.4-3 */
    assert_int_equal(enter(r, 2, START, START), KMS_FRESH);
    kms_replay_free(r);
}

static void
a_clock_that_jumps_back_opens_no_gap(void **state)
{
    struct kms_replay *r = kms_replay_new(4096, WINDOW, START);

    (void)state;
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(enter(r, n, START + 10, START + 10), KMS_FRESH);
    for (uint32_t n = 1000; n < 2000; n++) /* forgets the first ones */
        assert_int_equal(enter(r, n, START + 5000, START + 5000), KMS_FRESH);
    assert_int_equal(kms_replay_count(r), 1000);
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(enter(r, n, START + 10, START + 10), KMS_FORGOTTEN);
    kms_replay_free(r);
}

static void
a_stamp_beyond_the_window_is_never_entered(void **state)
{
    struct kms_replay *r = kms_replay_new(4096, WINDOW, START);

    (void)state;
    assert_int_equal(enter(r, 1, START + WINDOW + 1, START), KMS_FORGOTTEN);
    assert_int_equal(kms_replay_count(r), 0);
    kms_replay_free(r);
}

static struct mkt_span
text(const char *s)
{
    return mkt_span(s, strlen(s));
}

static void
the_same_octets_from_the_same_source_get_the_same_answer(void **state)
{
    struct kms_retransmit *t = kms_retransmit_new(65536);
    struct mkt_span found;
    uint64_t tag;

    (void)state;
    assert_int_equal(kms_retransmit_find(t, text("1.2"), text("question"), 100, &tag).n, 0);
    kms_retransmit_keep(t, tag, text("1.2"), text("question"), text("answer"), 100);
    found = kms_retransmit_find(t, text("1.2"), text("question"), 100 + KMS_RETRANSMIT_S, &tag);
    assert_int_equal(found.n, 6);
    assert_memory_equal(found.p, "answer", 6);
    assert_int_equal(kms_retransmit_find(t, text("1.3"), text("question"), 100, &tag).n, 0);
    assert_int_equal(kms_retransmit_find(t, text("1.2"), text("questiom"), 100, &tag).n, 0);
    found = kms_retransmit_find(t, text("1.2"), text("question"), 101 + KMS_RETRANSMIT_S, &tag);
    assert_int_equal(found.n, 0);
    kms_retransmit_free(t);
}

static void
old_answers_give_way_and_never_get_mixed_up(void **state)
{
    struct kms_retransmit *t = kms_retransmit_new(65536);
    uint8_t question[400], answer[600];
    size_t found = 0;
    uint64_t tag;

    (void)state;
    memset(question, 0, sizeof question);
    memset(answer, 0, sizeof answer);
    for (uint32_t i = 0; i < 5000; i++) {
        size_t n = 8 + i % 390;

        memcpy(question, &i, sizeof i);
        memcpy(answer, &i, sizeof i);
        kms_retransmit_find(t, text("s"), mkt_span(question, n), 1, &tag);
        kms_retransmit_keep(t, tag, text("s"), mkt_span(question, n), mkt_span(answer, n + 200), 1);
    }
    for (uint32_t i = 0; i < 5000; i++) {
        size_t n = 8 + i % 390;
        struct mkt_span a;

        memcpy(question, &i, sizeof i);
        a = kms_retransmit_find(t, text("s"), mkt_span(question, n), 1, &tag);
        if (a.n == 0)
            continue;
        found++;
        assert_int_equal(a.n, n + 200);
        assert_memory_equal(a.p, &i, sizeof i);
    }
    assert_in_range(found, 20, 65536 / 400); /* the newest, no more than fit */
    kms_retransmit_free(t);
}

static void
a_limit_allows_the_burst_then_the_rate(void **state)
{
    static const struct kms_quota quota = { .rate = 10, .burst = 20 };
    struct kms_limit *l = kms_limit_new(&quota);
    struct mkt_span a = text("1.2.3.4"), b = text("1.2.3.5");
    int64_t now = 5 * (int64_t)SECOND;
    unsigned n = 0;

    (void)state;
    for (int i = 0; i < 100; i++)
        n += kms_limit_allow(l, a, now);
    assert_int_equal(n, 20);                 /* RFC6043:12.3-1 */
    assert_true(kms_limit_allow(l, b, now)); /* another source has its own bucket */
    n = 0;
    for (int i = 0; i < 100; i++)
        n += kms_limit_allow(l, a, now + SECOND);
    assert_int_equal(n, 10);
    n = 0;
    for (int i = 0; i < 100; i++)
        n += kms_limit_allow(l, a, now + 3600 * (int64_t)SECOND);
    assert_int_equal(n, 20); /* a bucket never holds more than the burst */
    assert_true(kms_limit_allow(NULL, a, now));
    kms_limit_free(l);
}

static void
many_sources_do_not_lift_the_limit_of_a_busy_one(void **state)
{
    static const struct kms_quota quota = { .rate = 1, .burst = 5 };
    struct kms_limit *l = kms_limit_new(&quota);
    unsigned allowed = 0;

    (void)state;
    for (uint32_t i = 0; i < 50000; i++) {
        uint32_t key = i + 1000;

        kms_limit_allow(l, mkt_span(&key, sizeof key), SECOND + i);
        allowed += kms_limit_allow(l, text("busy"), SECOND + i);
    }
    assert_int_equal(allowed, 5);
    kms_limit_free(l);
}

static void
the_hash_depends_on_its_key_and_every_octet(void **state)
{
    const struct kms_hash_key k = { 1, 2 }, other = { 1, 3 };
    uint8_t b[33] = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof b; i++) {
        uint64_t h = kms_hash(&k, b, sizeof b);

        b[i] ^= 1;
        assert_true(h != kms_hash(&k, b, sizeof b));
        assert_true(kms_hash(&k, b, i) != kms_hash(&k, b, i + 1));
    }
    assert_true(kms_hash(&k, b, 8) != kms_hash(&other, b, 8));
}

static void
random_octets_are_wiped_from_the_pool_as_they_are_handed_out(void **state)
{
    static struct mkt_pool r;
    static const uint8_t zero[MKT_POOL];
    uint8_t out[MKT_POOL + 1];

    (void)state;
    for (int i = 0; i < 300; i++) {
        assert_true(mkt_pool_random(&r, out, 48));
        assert_memory_not_equal(out, zero, 48);
        assert_memory_equal(r.octets, zero, MKT_POOL - r.left);
    }
    assert_true(mkt_pool_random(&r, out, sizeof out)); /* more than the pool holds */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_fresh_once),
        cmocka_unit_test(a_replay_is_refused_at_every_second_of_the_window),
        cmocka_unit_test(expired_messages_make_room),
        cmocka_unit_test(a_full_cache_refuses_new_messages_and_forgets_none),
        cmocka_unit_test(messages_from_before_the_start_are_refused),
        cmocka_unit_test(a_clock_that_jumps_back_opens_no_gap),
        cmocka_unit_test(a_stamp_beyond_the_window_is_never_entered),
        cmocka_unit_test(the_same_octets_from_the_same_source_get_the_same_answer),
        cmocka_unit_test(old_answers_give_way_and_never_get_mixed_up),
        cmocka_unit_test(a_limit_allows_the_burst_then_the_rate),
        cmocka_unit_test(many_sources_do_not_lift_the_limit_of_a_busy_one),
        cmocka_unit_test(the_hash_depends_on_its_key_and_every_octet),
        cmocka_unit_test(random_octets_are_wiped_from_the_pool_as_they_are_handed_out),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
