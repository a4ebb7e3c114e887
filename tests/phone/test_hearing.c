/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a long call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "hearing.h"

#include <cmocka.h>
#include <string.h>

static void
hear(struct phone_hearing *h, uint16_t seq, uint32_t timestamp, int octet)
{
    uint8_t octets[AUDIO_FRAME];
    const struct audio_packet packet = { seq, timestamp, mkt_span(octets, sizeof octets) };

    memset(octets, octet, sizeof octets);
    phone_hearing_packet(h, &packet);
}

/* Timestamps of Opus begin again after a day. */
static void
goes_on_when_timestamps_begin_again(void **state)
{
    (void)state;
    const struct audio_codec *codec[AUDIO_CODECS_MAX];
    struct phone_hearing h;
    uint16_t seq = 0;

    assert_int_equal(audio_codec_list(codec, "PCMU"), 1);
    assert_true(phone_hearing_open(&h, codec[0]));
    for (uint64_t t = 0; t < 1ULL << 32; t += 1ULL << 30)
        hear(&h, seq++, 160000 + (uint32_t)t, 1);
    hear(&h, seq++, 160000, 2);
    hear(&h, seq++, 160000 + AUDIO_FRAME, 2);
    phone_hearing_end(&h);
    assert_int_equal(h.heard.n, AUDIO_FRAME);
    assert_int_equal(h.heard.octets[0], 1);
    phone_hearing_close(&h);
}

/* What is before the first packet has no place. */
static void
leaves_out_what_was_said_before(void **state)
{
    (void)state;
    const struct audio_codec *codec[AUDIO_CODECS_MAX];
    struct phone_hearing h;

    assert_int_equal(audio_codec_list(codec, "PCMU"), 1);
    assert_true(phone_hearing_open(&h, codec[0]));
    hear(&h, 0, 160000, 1);
    hear(&h, 1, 160000 - AUDIO_FRAME, 2);
    hear(&h, 2, 160000 + AUDIO_FRAME, 3);
    phone_hearing_end(&h);
    assert_int_equal(h.heard.n, 2 * AUDIO_FRAME);
    assert_int_equal(h.heard.octets[0], 1);
    assert_int_equal(h.heard.octets[AUDIO_FRAME], 3);
    phone_hearing_close(&h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_when_timestamps_begin_again),
        cmocka_unit_test(leaves_out_what_was_said_before),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
