/* SPDX-License-Identifier: Apache-2.0 */
/* Limits with several intervals, lock-outs and networks, with a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "acl.h"
#include "limit.h"

#define SECOND 1000000000

static struct mkt_span
text(const char *s)
{
    return mkt_span(s, strlen(s));
}

static void
all_intervals_hold_at_once(void **state)
{
    static const struct kms_quota quota = { .rate = 10, .burst = 10, .minute = 30, .hour = 60 };
    struct kms_limit *l = kms_limit_new(&quota);
    unsigned first = 0, minute = 0, hour = 0;

    (void)state;
    for (int i = 0; i < 20; i++)
        first += kms_limit_allow(l, text("a"), SECOND);
    assert_int_equal(first, 10); /* at once */
    for (int s = 2; s < 12; s++)
        for (int i = 0; i < 20; i++)
            minute += kms_limit_allow(l, text("a"), s * (int64_t)SECOND);
    assert_in_range(first + minute, 30, 36); /* RFC6043:12.3-1; half a token a second comes back */
    for (int64_t s = 12; s < 3600; s++)
        hour += kms_limit_allow(l, text("a"), s * SECOND);
    assert_in_range(first + minute + hour, 60 + 50, 60 + 60);
    kms_limit_free(l);
}

static void
who_fails_too_often_is_locked_out_for_its_time(void **state)
{
    static const struct kms_quota quota = { .failures = 3, .window_s = 60, .lockout_s = 900 };
    struct kms_limit *l = kms_limit_new(&quota);
    struct mkt_span a = text("1.2.3.4");
    int64_t now = 5 * (int64_t)SECOND;

    (void)state;
    assert_false(kms_limit_failed(l, a, now));
    assert_false(kms_limit_failed(l, a, now));
    assert_true(kms_limit_allow(l, a, now));
    assert_true(kms_limit_failed(l, a, now));
    assert_false(kms_limit_allow(l, a, now)); /* RFC6043:12.3-1 */
    assert_true(kms_limit_allow(l, text("1.2.3.5"), now));
    assert_false(kms_limit_allow(l, a, now + 899 * (int64_t)SECOND));
    assert_true(kms_limit_allow(l, a, now + 900 * (int64_t)SECOND));
    now += 1000 * (int64_t)SECOND; /* and now and then a failure is nothing */
    for (int i = 0; i < 20; i++)
        assert_false(kms_limit_failed(l, a, now + i * 30 * (int64_t)SECOND));
    kms_limit_free(l);
}

static void
a_flood_of_others_does_not_end_a_lock_out(void **state)
{
    static const struct kms_quota quota = { .failures = 1, .window_s = 60, .lockout_s = 900 };
    struct kms_limit *l = kms_limit_new(&quota);

    (void)state;
    assert_true(kms_limit_failed(l, text("1.2.3.4"), SECOND));
    for (uint32_t i = 0; i < 500000; i++)
        (void)kms_limit_allow(l, mkt_span(&i, sizeof i), SECOND + i);
    assert_false(kms_limit_allow(l, text("1.2.3.4"), 2 * (int64_t)SECOND));
    kms_limit_free(l);
}

static void
count_limited(void *ctx, const struct kms_limited *who)
{
    struct kms_limited *last = ctx;

    assert_memory_equal(who->key.p, "1.2.3.4", who->key.n);
    *last = *who;
}

static void
who_was_refused_is_listed_and_can_be_lifted(void **state)
{
    static const struct kms_quota quota = {
        .rate = 1, .burst = 1, .failures = 2, .window_s = 60, .lockout_s = 900
    };
    struct kms_limit *l = kms_limit_new(&quota);
    struct mkt_span a = text("1.2.3.4");
    struct kms_limited who = { 0 };

    (void)state;
    assert_true(kms_limit_allow(l, a, SECOND));
    kms_limit_list(l, SECOND, count_limited, &who);
    assert_int_equal(who.refused, 0); /* nobody */
    assert_false(kms_limit_lift(l, a));
    assert_true(kms_limit_allow(l, text("x"), SECOND));
    assert_false(kms_limit_allow(l, a, SECOND) && kms_limit_allow(l, a, SECOND));
    (void)kms_limit_failed(l, a, SECOND);
    (void)kms_limit_failed(l, a, SECOND);
    kms_limit_list(l, 11 * (int64_t)SECOND, count_limited, &who);
    assert_true(who.refused >= 2);
    assert_int_equal(who.locked_ns, 890 * (int64_t)SECOND);
    assert_true(kms_limit_lift(l, a));
    assert_true(kms_limit_allow(l, a, SECOND));
    assert_false(kms_limit_lift(l, a));
    who = (struct kms_limited){ 0 };
    kms_limit_list(l, SECOND, count_limited, &who);
    assert_int_equal(who.refused, 0);
    kms_limit_free(l);
}

static void
a_limit_changes_while_it_is_in_use(void **state)
{
    static struct kms_quota quota;
    struct kms_limit *l = kms_limit_new(&quota);
    unsigned n = 0;

    (void)state;
    for (int i = 0; i < 100; i++)
        n += kms_limit_allow(l, text("a"), SECOND);
    assert_int_equal(n, 100);
    atomic_store(&quota.rate, 1);
    for (int i = 0; i < 100; i++)
        n += kms_limit_allow(l, text("a"), SECOND);
    assert_int_equal(n, 102); /* a burst of twice the rate */
    kms_limit_free(l);
}

static bool
may(const struct kms_acl *acl, const char *address)
{
    struct sockaddr_storage from = { 0 };
    struct sockaddr_in *in4 = (void *)&from;
    struct sockaddr_in6 *in6 = (void *)&from;

    if (inet_pton(AF_INET, address, &in4->sin_addr) == 1) {
        from.ss_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, address, &in6->sin6_addr), 1);
        from.ss_family = AF_INET6;
    }
    return kms_acl_allows(acl, (const struct sockaddr *)&from);
}

static void
networks_are_denied_first_and_then_allowed(void **state)
{
    struct kms_acl acl = { 0 };

    (void)state;
    assert_true(may(&acl, "192.0.2.1") && may(&acl, "2001:db8::1"));
    assert_null(kms_net_parse(&acl.deny[acl.n_deny++], "10.1.0.0/16"));
    assert_true(may(&acl, "192.0.2.1") && may(&acl, "10.2.0.1") && may(&acl, "::1"));
    assert_false(may(&acl, "10.1.255.255") || may(&acl, "::ffff:10.1.0.1"));
    assert_null(kms_net_parse(&acl.allow[acl.n_allow++], "10.0.0.0/9"));
    assert_null(kms_net_parse(&acl.allow[acl.n_allow++], "2001:db8::/33"));
    assert_null(kms_net_parse(&acl.allow[acl.n_allow++], "192.0.2.7"));
    assert_true(may(&acl, "10.127.0.1") && may(&acl, "2001:db8:7fff::1") && may(&acl, "192.0.2.7"));
    assert_false(may(&acl, "10.128.0.1") || may(&acl, "2001:db8:8000::") || may(&acl, "192.0.2.6"));
    assert_false(may(&acl, "10.1.2.3")); /* denied, though within what is allowed */
    assert_null(kms_net_parse(&acl.allow[0], "0.0.0.0/0"));
    assert_true(may(&acl, "203.0.113.1"));
    assert_false(may(&acl, "fe80::1"));
}

static void
a_network_is_written_exactly(void **state)
{
    static const char *const wrong[] = { "",          "10.0.0.0/33", "10.0.0.0/",  "10.0.0/8",
                                         "::/129",    "10.0.0.1/8",  "::1/64",     "example.com",
                                         "1.2.3.4/x", "1.2.3.4/-1",  "1.2.3.4/8/8" };
    struct kms_net net;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_non_null(kms_net_parse(&net, wrong[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_intervals_hold_at_once),
        cmocka_unit_test(who_fails_too_often_is_locked_out_for_its_time),
        cmocka_unit_test(a_flood_of_others_does_not_end_a_lock_out),
        cmocka_unit_test(who_was_refused_is_listed_and_can_be_lifted),
        cmocka_unit_test(a_limit_changes_while_it_is_in_use),
        cmocka_unit_test(networks_are_denied_first_and_then_allowed),
        cmocka_unit_test(a_network_is_written_exactly),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
