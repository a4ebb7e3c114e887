/* SPDX-License-Identifier: Apache-2.0 */
/* Changing keys in the middle of a stream: no packet is lost, neither those of the old key still on
 * their way nor the first of the new one, and the ROC goes on. */
#include "srtp_stream.h"

static struct mkt_srtp_stream *sender, *receiver;

static void
no_packet_is_lost_while_the_key_changes(void **state)
{
    (void)state;
    for (uint16_t seq = 65530; seq >= 65530; seq++) /* to the end of the first round */
        assert_true(accepts(receiver, protect(sender, seq)));
    struct packet early = protect(sender, 0), late = protect(sender, 1); /* ROC is 1 now */
    assert_true(accepts(receiver, early));

    rekey(receiver, 2);
    struct packet still_old = protect(sender, 2);
    rekey(sender, 2);
    assert_true(accepts(receiver, still_old));
    assert_true(accepts(receiver, protect(sender, 3)));
    assert_true(accepts(receiver, late)); /* overtaken on the way */
    for (uint16_t seq = 4; seq < 20; seq++)
        assert_true(accepts(receiver, protect(sender, seq)));
}

static void
the_key_may_change_where_the_sequence_number_wraps(void **state)
{
    (void)state;
    assert_true(accepts(receiver, protect(sender, 65534)));
    struct packet last = protect(sender, 65535);
    rekey(receiver, 2);
    rekey(sender, 2);
    assert_true(accepts(receiver, protect(sender, 0))); /* ROC 1, the first one under the new key */
    assert_true(accepts(receiver, last));
    assert_true(accepts(receiver, protect(sender, 1)));
}

static void
a_key_may_change_several_times(void **state)
{
    uint16_t seq = 0;
    (void)state;
    for (uint8_t key = 2; key < 20; key++) {
        rekey(receiver, key);
        rekey(sender, key);
        for (unsigned i = 0; i < 7000; i++) /* 126000 packets: the counter rolls over on the way */
            assert_true(accepts(receiver, protect(sender, seq++)));
    }
}

static void
a_retired_key_opens_nothing(void **state)
{
    (void)state;
    assert_true(accepts(receiver, protect(sender, 1)));
    struct packet old = protect(sender, 2);
    rekey(receiver, 2);
    rekey(sender, 2);
    assert_true(accepts(receiver, protect(sender, 3)));
    mkt_srtp_stream_retire(receiver);
    assert_false(accepts(receiver, old));
    assert_true(accepts(receiver, protect(sender, 4)));
}

static void
a_packet_seen_before_is_a_replay_under_either_key(void **state)
{
    (void)state;
    struct packet old = protect(sender, 1);
    assert_true(accepts(receiver, old));
    rekey(receiver, 2);
    rekey(sender, 2);
    assert_false(accepts(receiver, old));
    struct packet new = protect(sender, 2);
    assert_true(accepts(receiver, new));
    assert_false(accepts(receiver, new));
    assert_false(accepts(receiver, old));
}

static void
a_forged_packet_does_not_move_the_stream(void **state)
{
    (void)state;
    assert_true(accepts(receiver, protect(sender, 10)));
    rekey(receiver, 2);
    rekey(sender, 2);
    struct packet forged = protect(sender, 11);
    forged.b[2] = 0xf0; /* another sequence number: its tag does not hold */
    assert_false(accepts(receiver, forged));
    assert_true(accepts(receiver, protect(sender, 12)));
}

static void
a_key_that_cannot_be_told_apart_is_refused_and_wiped(void **state)
{
    static const struct mkt_srtp wiped;
    struct mkt_srtp next;
    struct mkt_err err = { 0 };
    (void)state;

    policy(&next, 2, make_session(NOTHING, SPAN(0, 0, 0, 1))); /* the MKI in use */
    assert_int_equal(mkt_srtp_stream_rekey(receiver, &next, &err), MKT_E_KEY_DATA);
    assert_memory_equal(&next, &wiped, sizeof wiped);
    err.rc = MKT_OK;
    policy(&next, 2, make_session(NOTHING, SPAN(1))); /* of another length */
    assert_int_equal(mkt_srtp_stream_rekey(receiver, &next, &err), MKT_E_KEY_DATA);
    err.rc = MKT_OK;
    numbered(&next, 2, 0, 0);
    next.policy.ssrc.value++;
    assert_int_equal(mkt_srtp_stream_rekey(receiver, &next, &err), MKT_E_SP);
    assert_true(accepts(receiver, protect(sender, 1))); /* and nothing has changed */
}

/* A stream without an MKI. */
static struct mkt_srtp_stream *
keyed(uint8_t n)
{
    struct mkt_srtp s;

    policy(&s, n, make_session(NOTHING, NOTHING));
    return make_stream(&s);
}

static void
a_stream_without_an_mki_keeps_its_key(void **state)
{
    struct mkt_srtp_stream *from = keyed(1), *to = keyed(1);
    struct mkt_srtp s;
    struct mkt_err err = { 0 };
    (void)state;

    struct packet p = protect(from, 1);
    assert_int_equal(p.len, RTP_LEN + 10); /* no MKI in it */
    assert_true(accepts(to, p));
    assert_false(accepts(to, p));
    policy(&s, 2, make_session(NOTHING, NOTHING));
    assert_int_equal(mkt_srtp_stream_rekey(from, &s, &err), MKT_E_KEY_DATA);
    mkt_srtp_stream_free(from);
    mkt_srtp_stream_free(to);
}

static void
a_stream_of_any_ssrc_is_that_of_who_has_the_key(void **state)
{
    struct mkt_srtp_stream *from = keyed(1), *stranger = keyed(2), *to;
    struct mkt_srtp s;
    (void)state;

    policy(&s, 1, make_session(NOTHING, NOTHING));
    s.policy.ssrc = (srtp_ssrc_t){ .type = ssrc_any_inbound };
    to = make_stream(&s);
    assert_false(accepts(to, protect(stranger, 1)));
    struct packet p = protect(from, 1);
    assert_true(accepts(to, p)); /* RFC4568:6.4.1-1 */
    assert_false(accepts(to, p));
    mkt_srtp_stream_free(from);
    mkt_srtp_stream_free(stranger);
    mkt_srtp_stream_free(to);
}

static void
what_is_too_short_for_rtp_is_refused(void **state)
{
    uint8_t octets[11] = { 0x80 };
    int len = sizeof octets;
    (void)state;
    assert_int_equal(mkt_srtp_stream_unprotect(receiver, octets, &len), srtp_err_status_bad_param);
    assert_int_equal(mkt_srtp_stream_protect(sender, octets, &len), srtp_err_status_bad_param);
}

static void
what_is_too_short_for_rtcp_is_refused(void **state)
{
    uint8_t octets[64] = { 0x80, 201, 0, 1 };
    (void)state;
    for (int n = 0; n < (int)sizeof octets; n++) {
        int len = n;
        assert_int_not_equal(mkt_srtp_stream_unprotect_rtcp(receiver, octets, &len),
                             srtp_err_status_ok);
    }
    int len = 7;
    assert_int_equal(mkt_srtp_stream_protect_rtcp(sender, octets, &len), srtp_err_status_bad_param);
}

/* --- RTCP ------------------------------------------------------------------------------------- */

#define REPORT_LEN 8 /* a receiver report about nobody */

static struct packet
report(struct mkt_srtp_stream *from)
{
    struct packet p = { REPORT_LEN, { 0x80, 201, 0, 1, 0xca, 0xfe, 0xba, 0xbe } };
    assert_int_equal(mkt_srtp_stream_protect_rtcp(from, p.b, &p.len), srtp_err_status_ok);
    return p;
}

static bool
takes_report(struct mkt_srtp_stream *to, struct packet p)
{
    return mkt_srtp_stream_unprotect_rtcp(to, p.b, &p.len) == srtp_err_status_ok &&
           p.len == REPORT_LEN;
}

static void
reports_go_under_the_key_of_the_moment(void **state)
{
    (void)state;
    assert_true(takes_report(receiver, report(sender))); /* before any media */
    struct packet old = report(sender);
    rekey(receiver, 2);
    assert_true(takes_report(receiver, report(sender)));
    rekey(sender, 2);
    assert_true(takes_report(receiver, report(sender)));
    assert_true(takes_report(receiver, old));
    struct packet late = protect(sender, 1);
    assert_true(accepts(receiver, late));
    mkt_srtp_stream_retire(receiver);
    assert_true(takes_report(receiver, report(sender)));
}

/* RFC 3711 5.2: libsrtp2 2.5 does not find the MKI there by itself. */
static void
reports_have_a_tag_of_ten_octets_where_media_has_four(void **state)
{
    const uint8_t mki[] = { 0, 0, 0, 9 }, short_tag[] = { 11, 1, 4 };
    struct mkt_srtp_stream *ends[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct mkt_srtp s;
        policy(&s, 9, make_session(mkt_span(short_tag, 3), mkt_span(mki, 4)));
        ends[i] = make_stream(&s);
    }
    assert_int_equal(protect(ends[0], 1).len, RTP_LEN + 4 + 4);
    struct packet p = report(ends[0]);
    assert_int_equal(p.len, REPORT_LEN + 4 + 4 + 10);
    assert_true(takes_report(ends[1], p));
    mkt_srtp_stream_free(ends[0]);
    mkt_srtp_stream_free(ends[1]);
}

static void
a_report_seen_before_or_changed_or_of_a_retired_key_is_refused(void **state)
{
    (void)state;
    struct packet once = report(sender), other = report(sender), old = report(sender);
    /* MKI of 4 octets, tag of 10, index of 4: RFC 3711 3.4, 5.2 */
    assert_int_equal(once.len, REPORT_LEN + 4 + 4 + 10);
    assert_true(takes_report(receiver, once));
    assert_false(takes_report(receiver, once));
    other.b[3] ^= 1;
    assert_false(takes_report(receiver, other));
    rekey(receiver, 2);
    rekey(sender, 2);
    assert_true(takes_report(receiver, report(sender)));
    mkt_srtp_stream_retire(receiver);
    assert_false(takes_report(receiver, old));
}

static int
open_both(void **state)
{
    (void)state;
    sender = join(0, 0);
    receiver = join(0, 0);
    return 0;
}

static int
close_both(void **state)
{
    (void)state;
    mkt_srtp_stream_free(sender);
    mkt_srtp_stream_free(receiver);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_both, close_both)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_packet_is_lost_while_the_key_changes),
        TEST(the_key_may_change_where_the_sequence_number_wraps),
        TEST(a_key_may_change_several_times),
        TEST(a_retired_key_opens_nothing),
        TEST(a_packet_seen_before_is_a_replay_under_either_key),
        TEST(a_forged_packet_does_not_move_the_stream),
        TEST(a_key_that_cannot_be_told_apart_is_refused_and_wiped),
        TEST(a_stream_without_an_mki_keeps_its_key),
        TEST(a_stream_of_any_ssrc_is_that_of_who_has_the_key),
        TEST(what_is_too_short_for_rtp_is_refused),
        TEST(what_is_too_short_for_rtcp_is_refused),
        TEST(reports_go_under_the_key_of_the_moment),
        TEST(reports_have_a_tag_of_ten_octets_where_media_has_four),
        TEST(a_report_seen_before_or_changed_or_of_a_retired_key_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("srtp rekey", tests, srtp_begin, srtp_end);
}
