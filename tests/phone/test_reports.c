/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of two ends about each other, on clocks of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "reports.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define SECOND ((uint64_t)1 << 32) /* of NTP */
#define NOON (UINT64_C(0xe0001234) << 32)

struct ends {
    struct phone_reports a, b;
};

static struct ends
open_ends(void)
{
    return (struct ends){ .a = { .ssrc = 1, .their_ssrc = 2, .clock = 8000, .cname = "a" },
                          .b = { .ssrc = 2, .their_ssrc = 1, .clock = 8000, .cname = "b" } };
}

/* a says n packets from seq on, 20 ms each; b hears those that are not lost. */
static void
say(struct ends *e, uint16_t seq, unsigned n, unsigned lose_each)
{
    for (unsigned i = 0; i < n; i++) {
        e->a.sent++;
        e->a.octets += 160;
        if (lose_each == 0 || i % lose_each != 1)
            phone_reports_heard(&e->b, (uint16_t)(seq + i), 160 * i, 1000 + 20 * i);
    }
}

static struct mbuf *
written(struct phone_reports *from, bool bye, uint64_t ntp, uint64_t now_ms)
{
    struct mbuf *mb = mbuf_alloc(256);
    assert_non_null(mb);
    assert_true(phone_reports_write(from, mb, bye, ntp, now_ms));
    return mb;
}

static bool
reads(struct phone_reports *to, const uint8_t *octets, size_t n, uint64_t ntp)
{
    return phone_reports_read(to, mkt_span(octets, n), ntp, 0);
}

static void
send_over(struct phone_reports *from, struct phone_reports *to, uint64_t ntp)
{
    struct mbuf *mb = written(from, false, ntp, (ntp - NOON) * 1000 >> 32);
    assert_true(phone_reports_read(to, mkt_span(mb->buf, mb->end), ntp, (ntp - NOON) * 1000 >> 32));
    mem_deref(mb);
}

static void
a_sender_learns_what_was_lost(void **state)
{
    (void)state;
    struct ends e = open_ends();
    say(&e, 65500, 100, 10); /* over the wrap of the sequence */
    assert_int_equal(phone_reports_lost(&e.b), 10);
    assert_false(e.a.reported.has);
    send_over(&e.b, &e.a, NOON);
    assert_true(e.a.reported.has);
    assert_int_equal(e.a.reported.lost, 10);
    assert_int_equal(e.a.reported.jitter_ms, 0);
}

/* RFC 3550 A.3: since the report before. */
static void
the_fraction_is_that_since_the_last_report(void **state)
{
    (void)state;
    struct ends e = open_ends();
    say(&e, 0, 100, 4);
    struct mbuf *mb = written(&e.b, false, NOON, 0);
    assert_int_equal(mb->buf[12], 25 * 256 / 100);
    mem_deref(mb);
    say(&e, 100, 50, 0);
    mb = written(&e.b, false, NOON, 0);
    assert_int_equal(mb->buf[12], 0);
    assert_int_equal(mb->buf[15], 25); /* of all */
    mem_deref(mb);
}

static void
a_report_there_and_back_measures_the_way(void **state)
{
    (void)state;
    struct ends e = open_ends();
    say(&e, 0, 10, 0);
    struct mbuf *mb = written(&e.a, false, NOON, 0);
    assert_int_equal(mb->buf[1], RTCP_SR);
    /* 0.1 s on the way, 2 s until b answers, 0.1 s back */
    assert_true(phone_reports_read(&e.b, mkt_span(mb->buf, mb->end), NOON + SECOND / 10, 100));
    mem_deref(mb);
    mb = written(&e.b, false, 0, 2100);
    assert_int_equal(mb->buf[1], RTCP_RR); /* b has said nothing */
    assert_true(
        phone_reports_read(&e.a, mkt_span(mb->buf, mb->end), NOON + 2 * SECOND + SECOND / 5, 0));
    mem_deref(mb);
    assert_in_range(e.a.reported.round_trip_ms, 199, 201);
}

static void
packets_that_come_unevenly_have_jitter(void **state)
{
    (void)state;
    struct ends e = open_ends();
    for (uint16_t i = 0; i < 200; i++)
        phone_reports_heard(&e.b, i, 160U * i, 1000 + 20U * i + (i % 2) * 10);
    send_over(&e.b, &e.a, NOON);
    assert_in_range(e.a.reported.jitter_ms, 9, 10);
}

static void
what_is_about_others_is_passed_over(void **state)
{
    (void)state;
    struct ends e = open_ends();
    say(&e, 0, 50, 5);
    e.b.their_ssrc = 77;
    send_over(&e.b, &e.a, NOON);
    assert_false(e.a.reported.has);
    e.b.their_ssrc = 1;
    e.b.ssrc = 99;
    send_over(&e.b, &e.a, NOON);
    assert_false(e.a.reported.has);
}

/* RFC 3550 6.1, 6.6. */
static void
the_last_report_says_so(void **state)
{
    (void)state;
    struct ends e = open_ends();
    struct mbuf *mb = written(&e.a, true, NOON, 0);
    assert_int_equal(mb->buf[1], RTCP_RR);
    assert_int_equal(mb->buf[9], RTCP_SDES);
    assert_int_equal(mb->buf[mb->end - 7], RTCP_BYE);
    assert_true(reads(&e.b, mb->buf, mb->end, NOON));
    mem_deref(mb);
}

/* RFC 3550 A.2; lengths are not trusted. */
static void
refuses_what_is_cut_off_or_does_not_add_up(void **state)
{
    (void)state;
    struct ends e = open_ends();
    say(&e, 0, 50, 5);
    e.b.sent = 1;
    struct mbuf *mb = written(&e.b, true, NOON, 0);
    uint8_t *whole = mb->buf;
    size_t first = 4 * ((size_t)whole[3] + 1), second = 4 * ((size_t)whole[first + 3] + 1);
    for (size_t n = 0; n < mb->end; n++) {
        uint8_t *cut = malloc(n > 0 ? n : 1); /* so that a step too far is seen */
        memcpy(cut, whole, n);
        assert_int_equal(reads(&e.a, cut, n, NOON), n == first || n == first + second);
        free(cut);
    }
    for (unsigned length = 0; length < 20; length++) {
        whole[3] = (uint8_t)length;
        if (4 * (length + 1) != first)
            assert_false(reads(&e.a, whole, first, NOON));
    }
    whole[3] = (uint8_t)(first / 4 - 1);
    whole[0] = 0x80 | 31; /* blocks that are not there */
    assert_false(reads(&e.a, whole, mb->end, NOON));
    whole[0] = 0x41;
    assert_false(reads(&e.a, whole, mb->end, NOON));
    mem_deref(mb);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sender_learns_what_was_lost),
        cmocka_unit_test(the_fraction_is_that_since_the_last_report),
        cmocka_unit_test(a_report_there_and_back_measures_the_way),
        cmocka_unit_test(packets_that_come_unevenly_have_jitter),
        cmocka_unit_test(what_is_about_others_is_passed_over),
        cmocka_unit_test(the_last_report_says_so),
        cmocka_unit_test(refuses_what_is_cut_off_or_does_not_add_up),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
