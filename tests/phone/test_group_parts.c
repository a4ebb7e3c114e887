/* SPDX-License-Identifier: Apache-2.0 */
/* The roster, the tape and the multicast address of group calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "group_roster.h"
#include "group_tape.h"

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/* --- the roster ------------------------------------------------------------------------------- */

static const struct group_entry bob = { { 2, 0xa1b2c3d4, 7, 65535 }, "sip:bob@example.com" };
static const struct group_entry gone = { { 3, 0, 0, 0 }, "" };

static size_t
both(uint8_t out[64])
{
    size_t n = 0;

    assert_true(group_roster_write(out, 64, &n, &bob));
    assert_true(group_roster_write(out, 64, &n, &gone));
    return n;
}

static void
a_roster_is_read_as_it_was_written(void **state)
{
    (void)state;
    static const uint8_t octets[] = { 2, 0xa1, 0xb2, 0xc3, 0xd4, 0, 0, 0, 7, 255, 255, 19 };
    uint8_t out[64];
    struct mkt_span rest = mkt_span(out, both(out));
    struct group_entry e;

    assert_memory_equal(out, octets, sizeof octets);
    assert_true(group_roster_read(&rest, &e));
    assert_int_equal(e.voice.cs_id, bob.voice.cs_id);
    assert_int_equal(e.voice.ssrc, bob.voice.ssrc);
    assert_int_equal(e.voice.roc, bob.voice.roc);
    assert_int_equal(e.voice.seq, bob.voice.seq);
    assert_string_equal(e.name, bob.name);
    assert_true(group_roster_read(&rest, &e));
    assert_int_equal(e.voice.ssrc, 0);
    assert_string_equal(e.name, "");
    assert_false(group_roster_read(&rest, &e));
}

static void
an_entry_that_is_cut_is_none(void **state)
{
    (void)state;
    uint8_t out[64];
    size_t n = both(out);
    struct group_entry e;

    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *exact = malloc(cut + 1); /* so that a step too far is seen */
        assert_non_null(exact);
        memcpy(exact, out, cut);
        struct mkt_span rest = mkt_span(exact, cut);
        size_t read = 0;
        while (group_roster_read(&rest, &e))
            read++;
        assert_int_equal(read, cut >= 12 + 19 ? 1 : 0);
        free(exact);
    }
}

static void
a_name_is_never_more_than_printable(void **state)
{
    (void)state;
    uint8_t octets[12 + 4] = { 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 4, 'a', '\n', 0x1b, 0xff };
    struct mkt_span rest = mkt_span(octets, sizeof octets);
    struct group_entry e;

    assert_true(group_roster_read(&rest, &e));
    assert_string_equal(e.name, "a???");
}

static void
what_does_not_fit_is_not_written(void **state)
{
    (void)state;
    uint8_t out[64];
    size_t n = 34;
    struct group_entry e = bob;

    assert_false(group_roster_write(out, sizeof out, &n, &bob));
    assert_int_equal(n, 34);
    n = 33;
    assert_true(group_roster_write(out, sizeof out, &n, &bob));
    assert_int_equal(n, 64);
    memset(e.name, 'a', sizeof e.name - 1);
    e.name[sizeof e.name - 1] = '\0';
    uint8_t large[12 + 255];
    n = 0;
    assert_true(group_roster_write(large, sizeof large, &n, &e));
}

/* --- the tape --------------------------------------------------------------------------------- */

#define SILENT 0xff

static void
put(struct group_tape *tape, struct group_track *track, uint64_t ms, uint32_t timestamp,
    uint8_t octet)
{
    uint8_t frame[AUDIO_FRAME];

    memset(frame, octet, sizeof frame);
    group_tape_put(tape, track, ms, timestamp, mkt_span(frame, sizeof frame));
}

static void
one_voice_is_kept_bit_by_bit_where_its_timestamps_say(void **state)
{
    (void)state;
    struct group_tape tape = { 0 };
    struct group_track track = { 0 };

    put(&tape, &track, 1000, 0xffffffff - 79, 0x11); /* the timestamp wraps */
    put(&tape, &track, 5555, 320 - 80, 0x7f);        /* the second frame is lost */
    assert_int_equal(tape.audio.n, 3 * AUDIO_FRAME);
    assert_int_equal(tape.audio.octets[0], 0x11);
    assert_int_equal(tape.audio.octets[AUDIO_FRAME], SILENT);
    assert_int_equal(tape.audio.octets[2 * AUDIO_FRAME], 0x7f);
    put(&tape, &track, 6000, 0xffffffff - 300, 0x22); /* from before the first */
    assert_int_equal(tape.audio.n, 3 * AUDIO_FRAME);
    audio_free(&tape.audio);
}

static void
voices_begin_where_they_came_and_are_mixed(void **state)
{
    (void)state;
    struct group_tape tape = { 0 };
    struct group_track a = { 0 }, b = { 0 };

    put(&tape, &a, 1000, 7, 0x8f);
    put(&tape, &b, 1010, 9999, 0x8f);
    assert_int_equal(tape.audio.n, AUDIO_FRAME + 80);
    assert_int_equal(tape.audio.octets[79], 0x8f);
    assert_int_equal(tape.audio.octets[80], 0x80); /* both: as loud as it can be */
    assert_int_equal(tape.audio.octets[AUDIO_FRAME], 0x8f);
    audio_free(&tape.audio);
}

static void
after_ten_minutes_nothing_is_kept(void **state)
{
    (void)state;
    struct group_tape tape = { 0 };
    struct group_track a = { 0 }, b = { 0 };

    put(&tape, &a, 0, 0, 0x11);
    put(&tape, &a, 0, AUDIO_SAMPLES_MAX - 1, 0x11);
    put(&tape, &b, 601000, 0, 0x11);
    put(&tape, &b, UINT64_MAX, 0, 0x11);
    assert_int_equal(tape.audio.n, AUDIO_FRAME);
    audio_free(&tape.audio);
}

/* --- the address ------------------------------------------------------------------------------ */

static bool
reads(const char *text)
{
    struct group_address a;
    return group_address_read(&a, text);
}

static struct mbuf *
description(const char *connection)
{
    struct mbuf *mb = mbuf_alloc(64);

    assert_non_null(mb);
    assert_int_equal(
        mbuf_printf(mb, "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/SAVP 0\r\n%sa=x\r\n",
                    connection),
        0);
    mb->pos = 0;
    return mb;
}

static bool
finds(struct group_address *a, const char *connection)
{
    struct mbuf *mb = description(connection);
    bool found = group_address_find(a, mb, 4000);

    assert_int_equal(mb->pos, 0);
    mem_deref(mb);
    return found;
}

static void
a_group_is_an_address_of_224_to_239_with_a_port(void **state)
{
    (void)state;
    struct group_address a;

    assert_true(group_address_read(&a, "239.1.2.3:4000/16"));
    assert_int_equal(sa_port(&a.sa), 4000);
    assert_int_equal(a.ttl, 16);
    assert_true(group_address_read(&a, "224.0.1.1:1"));
    assert_int_equal(a.ttl, 1);
    static const char *const bad[] = { "223.1.2.3:4000",    "240.1.2.3:4000",
                                       "239.1.2.3",         "239.1.2.3:0",
                                       "[ff02::1]:4000",    "239.1.2.3:4000/",
                                       "239.1.2.3:4000/0",  "239.1.2.3:4000/+1",
                                       "239.1.2.3:4000/1x", "239.1.2.3:4000/256" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(reads(bad[i]));
}

static void
the_group_of_a_description_is_found(void **state)
{
    (void)state;
    struct group_address a;

    assert_true(finds(&a, "c=IN IP4 239.1.2.3/7\r\n"));
    assert_int_equal(sa_port(&a.sa), 4000);
    assert_int_equal(a.ttl, 7);
    assert_false(finds(&a, ""));
    assert_false(finds(&a, "c=IN IP4 192.0.2.9\r\n"));
    assert_false(finds(&a, "c=IN IP4 239.1.2.3/7/3\r\n"));
    assert_false(finds(&a, "c=IN IP4 239.239.239.239.239.239.239/7\r\n"));
    assert_false(finds(&a, "c=IN IP4 239.1.2.3/77777777777777777777777777777777777777777777\r\n"));
}

static void
the_ttl_is_written_behind_the_address(void **state)
{
    (void)state;
    static const char line[] = "\r\nc=IN IP4 239.1.2.3/16\r\na=x\r\n";
    struct mbuf *mb = description("c=IN IP4 239.1.2.3\r\n");
    struct group_address a, found;

    assert_true(group_address_read(&a, "239.1.2.3:4000/16"));
    assert_true(group_address_write(mb, &a));
    assert_int_equal(mb->pos, 0);
    assert_memory_equal(mb->buf + mb->end - (sizeof line - 1), line, sizeof line - 1);
    assert_true(group_address_find(&found, mb, 4000));
    assert_int_equal(found.ttl, 16);
    assert_false(group_address_write(mb, &a)); /* it is there */
    mem_deref(mb);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_roster_is_read_as_it_was_written),
        cmocka_unit_test(an_entry_that_is_cut_is_none),
        cmocka_unit_test(a_name_is_never_more_than_printable),
        cmocka_unit_test(what_does_not_fit_is_not_written),
        cmocka_unit_test(one_voice_is_kept_bit_by_bit_where_its_timestamps_say),
        cmocka_unit_test(voices_begin_where_they_came_and_are_mixed),
        cmocka_unit_test(after_ten_minutes_nothing_is_kept),
        cmocka_unit_test(a_group_is_an_address_of_224_to_239_with_a_port),
        cmocka_unit_test(the_group_of_a_description_is_found),
        cmocka_unit_test(the_ttl_is_written_behind_the_address),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("group_parts", tests, NULL, NULL);
}
