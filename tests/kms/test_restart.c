/* SPDX-License-Identifier: Apache-2.0 */
/* What the real daemon keeps over a restart, and a crash, so that nothing is taken twice: counters,
 * and what clients sent whose clocks are ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>

#include "marks.h"
#include "scene.h"

#define QUIET_MS 200 /* for one that must not */
#define AHEAD_S 30

static int
start(void **state)
{
    (void)scene_open(state);
    alice.ts_type = MKT_TS_COUNTER;
    rig_start(&rig);
    return 0;
}

static void
make(uint32_t counter)
{
    rig_ask_free(&ask);
    rig_counter = counter - 1;
    rig_request(&ask, &alice, "sip:bob@example.com", 0);
}

/* Sends what was made last; true when it gives a ticket. */
static bool
send_it(bool udp)
{
    int fd = udp ? rig_udp_socket(&rig) : rig_http_connect(&rig), status = 200;
    struct mkt_span body = mkt_span(ask.octets, ask.len);
    struct mkt_grant *g;
    struct mkt_io io;
    size_t n = 0;

    if (udp)
        n = rig_udp_ask(fd, body, out, WAIT_MS);
    else
        status = rig_http_post(fd, "ticketrequest", body, out, &n);
    close(fd);
    assert_int_equal(status, 200);
    g = rig_granted(&ask, mkt_span(out, n), &io);
    mkt_grant_free(g);
    return g != NULL;
}

static int
error_over_http(void)
{
    int fd = rig_http_connect(&rig);
    bool authentic;
    size_t n;

    assert_int_equal(rig_http_post(fd, "ticketrequest", mkt_span(ask.octets, ask.len), out, &n),
                     200);
    close(fd);
    return rig_error_no(mkt_span(out, n), &authentic);
}

static void
counters_are_served_over_udp_and_http(void **state)
{
    (void)state;
    for (uint32_t c = 1; c < 4 * KMS_COUNTER_MORE; c++) {
        make(c);
        assert_true(send_it(c % 2 == 0));
        assert_int_equal(error_over_http(), MKT_ERR_INVALID_TS);
    }
}

static void
a_repeated_datagram_gets_the_same_octets_from_the_lane(void **state)
{
    int fd = rig_udp_socket(&rig), other = rig_udp_socket(&rig);
    static uint8_t first[MKT_MSG_MAX];
    size_t n;

    (void)state;
    make(1);
    n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), first, WAIT_MS);
    assert_true(n > 0);
    assert_int_equal(rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS), n);
    assert_memory_equal(out, first, n);
    assert_int_equal(rig_udp_ask(other, mkt_span(ask.octets, ask.len), out, QUIET_MS), 0);
    close(fd);
    close(other);
}

static void
a_restart_loses_no_counter_and_forgets_none(void **state)
{
    (void)state;
    make(7);
    assert_true(send_it(true));
    assert_int_equal(rig_stop(&rig), 0);
    rig_start(&rig);
    assert_int_equal(error_over_http(), MKT_ERR_INVALID_TS); /* RFC3830:5.4 */
    make(8);
    assert_true(send_it(true));
}

static void
after_a_crash_no_message_is_taken_twice(void **state)
{
    (void)state;
    make(1);
    assert_true(send_it(true));
    make(7); /* this one was never on disk itself */
    assert_true(send_it(true));
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(error_over_http(), MKT_ERR_INVALID_TS);
    make(1 + KMS_COUNTER_MORE); /* lost */
    assert_int_equal(error_over_http(), MKT_ERR_INVALID_TS);
    make(1 + KMS_COUNTER_MORE + 1);
    assert_true(send_it(false));
}

/* A message of alice, whose clock is so far ahead. */
static void
make_ahead(int64_t ahead_s)
{
    rig_ask_free(&ask);
    alice.ts_type = MKT_TS_NTP_UTC;
    alice.ahead_ms = 1000 * ahead_s;
    rig_request(&ask, &alice, bob.identity, 0);
}

/* Who has the right time is served, at once. */
static void
bob_is_served(void)
{
    static struct rig_ask kept;

    kept = ask;
    ask.initiator = NULL;
    rig_request(&ask, &bob, alice.identity, 0);
    assert_true(send_it(true));
    rig_ask_free(&ask);
    ask = kept;
}

static void
what_lies_in_the_future_is_taken_once_over_a_crash(void **state)
{
    bool authentic;
    size_t n;
    int udp;

    (void)state;
    make_ahead(AHEAD_S);
    assert_true(send_it(true));
    rig_kill(&rig);
    rig_start(&rig);
    bob_is_served();
    assert_int_equal(error_over_http(), MKT_ERR_INVALID_TS); /* RFC3830:5.4 */
    udp = rig_udp_socket(&rig);
    n = rig_udp_ask(udp, mkt_span(ask.octets, ask.len), out, WAIT_MS);
    assert_int_equal(rig_error_no(mkt_span(out, n), &authentic), MKT_ERR_INVALID_TS);
    close(udp);
    make_ahead(AHEAD_S + KMS_STAMP_MORE + 2);
    assert_true(send_it(true));
    assert_int_equal(error_over_http(), MKT_ERR_INVALID_TS);
}

static void
what_lies_in_the_future_is_taken_once_over_an_orderly_stop(void **state)
{
    (void)state;
    make_ahead(AHEAD_S);
    assert_true(send_it(false));
    assert_int_equal(rig_stop(&rig), 0);
    rig_start(&rig);
    bob_is_served();
    assert_int_equal(error_over_http(), MKT_ERR_INVALID_TS); /* RFC3830:5.4 */
    make_ahead(AHEAD_S + 1);                                 /* nothing more is lost */
    assert_true(send_it(false));
}

/* A small store is read in less time than a start must lie back. */
static void
it_is_ready_when_it_serves_whose_clock_is_right(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        bob_is_served();
        rig_kill(&rig);
        rig_start(&rig);
    }
}

static void
a_new_credential_with_an_old_name_begins_anew(void **state)
{
    struct mkt_inkey_mem old = alice.psk;

    (void)state;
    make(1000);
    assert_true(send_it(true));
    assert_int_equal(CTL("user", "remove", alice.identity), 0);
    rig_user_init(&alice, alice.identity, alice.psk_id, alice.prf);
    alice.ts_type = MKT_TS_COUNTER;
    assert_memory_not_equal(old.key.b, alice.psk.key.b, 32);
    rig_add(&rig, &alice);
    for (int i = 0; i < 500; i++) {
        make(1);
        if (send_it(true))
            return;
        poll(NULL, 0, 10);
    }
    fail();
}

int
main(void)
{
    static char yaml[] = "kek: file:kms.kek\n";
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, start, scene_stop, yaml)
    const struct CMUnitTest tests[] = {
        TEST(counters_are_served_over_udp_and_http),
        TEST(a_repeated_datagram_gets_the_same_octets_from_the_lane),
        TEST(a_restart_loses_no_counter_and_forgets_none),
        TEST(after_a_crash_no_message_is_taken_twice),
        TEST(what_lies_in_the_future_is_taken_once_over_a_crash),
        TEST(what_lies_in_the_future_is_taken_once_over_an_orderly_stop),
        TEST(it_is_ready_when_it_serves_whose_clock_is_right),
        TEST(a_new_credential_with_an_old_name_begins_anew),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
