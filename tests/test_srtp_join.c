/* SPDX-License-Identifier: Apache-2.0 */
/* Joining a stream that runs already: ROC and SEQ come with the keys (RFC 6043 6.1.1), and the
 * first packet may lie on the other side of a sequence wrap. */
#include "srtp_stream.h"

/* Whether one who was told that the stream stands at (roc, seq) opens p. */
static bool
opens(uint32_t roc, uint16_t seq, struct packet p)
{
    struct mkt_srtp_stream *late = join(roc, seq);
    bool ok = accepts(late, p);
    mkt_srtp_stream_free(late);
    return ok;
}

static void
assert_stands(const struct mkt_srtp_stream *stream, uint32_t roc, uint16_t seq)
{
    uint32_t r;
    uint16_t s;

    mkt_srtp_stream_position(stream, &r, &s);
    assert_int_equal(r, roc);
    assert_int_equal(s, seq);
}

static void
one_who_joins_late_opens_the_next_packet(void **state)
{
    (void)state;
    struct mkt_srtp_stream *sender = join(5, 1000);
    struct packet p = protect(sender, 1000);

    assert_true(opens(5, 1000, p));
    assert_true(opens(5, 900, p));
    assert_false(opens(0, 0, p)); /* without being told, it could not */
    assert_false(opens(4, 1000, p));
    mkt_srtp_stream_free(sender);
}

static void
the_sequence_number_may_wrap_before_the_first_packet_is_heard(void **state)
{
    (void)state;
    struct mkt_srtp_stream *sender = join(5, 65530);
    struct packet before = protect(sender, 65535), after = protect(sender, 0);

    assert_stands(sender, 6, 0);
    assert_true(opens(5, 65535, after));
    assert_true(opens(6, 0, before)); /* overtaken on the way */
    assert_true(opens(6, 0, after));
    assert_true(opens(5, 65530, before));
    mkt_srtp_stream_free(sender);
}

static void
a_stream_that_nobody_was_told_of_begins_at_roc_zero(void **state)
{
    (void)state;
    struct mkt_srtp_stream *sender = join(0, 0);
    struct packet p = protect(sender, 65000);

    assert_true(opens(0, 0, p));
    mkt_srtp_stream_free(sender);
}

static void
a_stream_tells_where_it_stands(void **state)
{
    (void)state;
    struct mkt_srtp_stream *sender = join(7, 65534), *receiver = join(7, 65534);

    assert_stands(sender, 7, 65534); /* before the first packet, where it was made */
    struct packet overtaken = protect(sender, 65534);
    for (uint16_t seq = 65535; seq != 3; seq++)
        assert_true(accepts(receiver, protect(sender, seq)));
    assert_stands(sender, 8, 2);
    assert_stands(receiver, 8, 2);
    assert_true(accepts(receiver, overtaken));
    assert_stands(receiver, 8, 2);
    rekey(receiver, 2);
    rekey(sender, 2);
    assert_stands(receiver, 8, 2);
    assert_true(accepts(receiver, protect(sender, 3)));
    assert_stands(receiver, 8, 3);
    mkt_srtp_stream_free(sender);
    mkt_srtp_stream_free(receiver);
}

static void
the_former_key_may_wrap_while_the_new_one_is_not_used_yet(void **state)
{
    (void)state;
    struct mkt_srtp_stream *sender = join(0, 65533), *receiver = join(0, 65533);

    assert_true(accepts(receiver, protect(sender, 65533)));
    rekey(receiver, 2);
    for (uint16_t seq = 65534; seq != 5; seq++)
        assert_true(accepts(receiver, protect(sender, seq)));
    rekey(sender, 2);
    assert_true(accepts(receiver, protect(sender, 5)));
    assert_stands(receiver, 1, 5);
    mkt_srtp_stream_free(sender);
    mkt_srtp_stream_free(receiver);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_who_joins_late_opens_the_next_packet),
        cmocka_unit_test(the_sequence_number_may_wrap_before_the_first_packet_is_heard),
        cmocka_unit_test(a_stream_that_nobody_was_told_of_begins_at_roc_zero),
        cmocka_unit_test(a_stream_tells_where_it_stands),
        cmocka_unit_test(the_former_key_may_wrap_while_the_new_one_is_not_used_yet),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("srtp_join", tests, srtp_begin, srtp_end);
}
