/* SPDX-License-Identifier: Apache-2.0 */
/* Codecs without a network: G.711 against its definition, Opus against the speech that went in,
 * with and without loss, and packets that come in another order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "codec.h"
#include "format.h"
#include "reorder.h"

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES 46000 /* of the speech; the file has a little more */
#define LAG_MAX 160   /* samples that a codec may be late: 20 ms */

static const char *speech_path;

static const struct audio_codec *
codec_named(const char *name)
{
    const struct audio_codec *list[AUDIO_CODECS_MAX];
    assert_int_equal(audio_codec_list(list, name), 1);
    return list[0];
}

/* --- G.711 by its definition -------------------------------------------------------------------
 */

/* ITU-T G.711 table 2a, as segments and steps; 16-bit. */
static int
mulaw_value(unsigned code)
{
    unsigned segment = ~code >> 4 & 7, step = ~code & 15;
    int size = (int)(((2 * step + 33) << segment) - 33) * 4;
    return (code & 0x80) != 0 ? size : -size;
}

/* Table 1a. */
static int
alaw_value(unsigned code)
{
    unsigned plain = code ^ 0x55, segment = plain >> 4 & 7, step = plain & 15;
    int size = (int)(segment == 0 ? 2 * step + 1 : (2 * step + 33) << (segment - 1)) * 8;
    return (code & 0x80) != 0 ? size : -size;
}

static void
decodes_g711_as_it_is_defined(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        uint8_t octet = (uint8_t)code;
        int16_t mulaw, alaw;
        audio_to_pcm(&mulaw, &octet, AUDIO_PCMU, 1);
        audio_to_pcm(&alaw, &octet, AUDIO_PCMA, 1);
        /* librem tells the two zeros of mu-law apart, so that they go there and back. */
        assert_int_equal(mulaw, mulaw_value(code) + (code == 0xff ? 2 : code == 0x7f ? -2 : 0));
        assert_int_equal(alaw, alaw_value(code));
    }
}

/* No sample is off by more than half a step of its segment; the largest are cut off. */
static void
encodes_every_sample_into_the_nearest(void **state)
{
    (void)state;
    for (int sample = INT16_MIN; sample <= INT16_MAX; sample++) {
        int16_t in = (int16_t)sample, out;
        uint8_t octet;
        int size = abs(sample);
        audio_from_pcm(&octet, AUDIO_PCMA, &in, 1);
        audio_to_pcm(&out, &octet, AUDIO_PCMA, 1);
        assert_true(abs(sample - out) <= (size < 512 ? 8 : size / 32) || size > 32256);
        audio_from_pcm(&octet, AUDIO_PCMU, &in, 1);
        audio_to_pcm(&out, &octet, AUDIO_PCMU, 1);
        assert_true(abs(sample - out) <= (size + 132) / 32 || size > 32124);
    }
}

static void
leaves_a_form_as_it_is(void **state)
{
    (void)state;
    uint8_t all[256], out[256];
    for (unsigned i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    audio_convert(out, AUDIO_PCMU, all, AUDIO_PCMU, 256);
    assert_memory_equal(out, all, 256);
    for (unsigned i = 0; i < 256; i++) { /* A-law has no two codes of one value */
        uint8_t wide[2], back;
        audio_convert(wide, AUDIO_L16, &all[i], AUDIO_PCMA, 1);
        audio_convert(&back, AUDIO_PCMA, wide, AUDIO_L16, 1);
        assert_int_equal(back, i);
    }
}

static void
g711_packets_are_the_samples(void **state)
{
    (void)state;
    static const char *const names[] = { "PCMU", "PCMA" };
    for (size_t i = 0; i < 2; i++) {
        struct audio_coder *coder;
        uint8_t in[AUDIO_FRAME], packet[AUDIO_PACKET_MAX], out[2 * AUDIO_PACKET_SAMPLES];
        for (size_t k = 0; k < AUDIO_FRAME; k++)
            in[k] = (uint8_t)(7 * k);
        assert_true(audio_coder_open(&coder, codec_named(names[i]), true));
        assert_int_equal(audio_encode(coder, in, packet), AUDIO_FRAME);
        assert_int_equal(audio_decode(coder, mkt_span(packet, AUDIO_FRAME), out), AUDIO_FRAME);
        assert_memory_equal(in, out, AUDIO_FRAME);
        uint8_t large[AUDIO_PACKET_SAMPLES + 1] = { 0 };
        assert_int_equal(audio_decode(coder, mkt_span(large, sizeof large), out), 0);
        audio_coder_close(coder);
    }
}

/* --- lists of names ----------------------------------------------------------------------------
 */

static void
reads_lists_of_names(void **state)
{
    (void)state;
    const struct audio_codec *list[AUDIO_CODECS_MAX];
    assert_int_equal(audio_codec_list(list, "opus,pcma,PCMU"), 3);
    assert_string_equal(list[0]->name, "opus");
    assert_string_equal(list[1]->name, "PCMA");
    assert_string_equal(list[2]->name, "PCMU");
    static const char *const wrong[] = { "",      ",",   "PCMU,",          "PCMU,,opus",
                                         "G.729", "opu", "opus,PCMU,opus", " opus" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(audio_codec_list(list, wrong[i]), 0);
}

/* --- Opus --------------------------------------------------------------------------------------
 */

static int16_t said[SAMPLES], heard[SAMPLES + 2 * AUDIO_PACKET_SAMPLES];

static void
load_speech(void)
{
    struct audio a;
    assert_null(audio_read(&a, speech_path));
    assert_true(a.n >= SAMPLES);
    audio_to_pcm(said, a.octets, a.format, SAMPLES);
    audio_free(&a);
}

/* How much of the speech is in what was heard: the correlation, 1 for all of it, at the lag where
 * there is most. */
static double
likeness(void)
{
    double best = 0;
    for (size_t lag = 0; lag <= LAG_MAX; lag++) {
        double both = 0, one = 0, other = 0;
        for (size_t i = 0; i + lag < SAMPLES; i++) {
            both += (double)said[i] * heard[i + lag];
            one += (double)said[i] * said[i];
            other += (double)heard[i + lag] * heard[i + lag];
        }
        if (other > 0 && both / sqrt(one * other) > best)
            best = both / sqrt(one * other);
    }
    return best;
}

enum loss { NOTHING_LOST, TOLD, TOLD_WITH_NEXT, SILENCE };

/* Speech through Opus, every tenth packet but the first lost. Returns how much is left of it. */
static double
through_opus(enum loss loss)
{
    struct audio_coder *to, *from;
    uint8_t packet[2][AUDIO_PACKET_MAX], frame[2 * AUDIO_FRAME], out[2 * AUDIO_PACKET_SAMPLES];
    size_t len[2] = { 0 };

    assert_true(audio_coder_open(&to, codec_named("opus"), true));
    assert_true(audio_coder_open(&from, codec_named("opus"), false));
    memset(heard, 0, sizeof heard);
    for (size_t i = 0; (i + 1) * AUDIO_FRAME <= SAMPLES; i++) {
        audio_from_pcm(frame, AUDIO_L16, said + i * AUDIO_FRAME, AUDIO_FRAME);
        len[i % 2] = audio_encode(to, frame, packet[i % 2]);
        if (i == 0)
            continue; /* decoding is one behind, so that the next is here */
        struct mkt_span next = mkt_span(packet[i % 2], len[i % 2]);
        size_t n = AUDIO_FRAME;
        if (loss == NOTHING_LOST || i % 10 != 5)
            n = audio_decode(from, mkt_span(packet[1 - i % 2], len[1 - i % 2]), out);
        else if (loss == SILENCE)
            audio_silence(out, AUDIO_L16, AUDIO_FRAME);
        else
            audio_conceal(from, loss == TOLD_WITH_NEXT ? next : mkt_span(NULL, 0), out);
        assert_int_equal(n, AUDIO_FRAME);
        audio_to_pcm(heard + (i - 1) * AUDIO_FRAME, out, AUDIO_L16, n);
    }
    audio_coder_close(to);
    audio_coder_close(from);
    return likeness();
}

static void
opus_carries_speech(void **state)
{
    (void)state;
    load_speech();
    double all = through_opus(NOTHING_LOST);
    print_message("# %.4f of the speech\n", all);
    assert_true(all > 0.9); /* with a tenth of it missing less than 0.85, as below */
}

static void
opus_conceals_what_is_lost(void **state)
{
    (void)state;
    load_speech();
    double silence = through_opus(SILENCE), guessed = through_opus(TOLD);
    double copied = through_opus(TOLD_WITH_NEXT);
    print_message("# a tenth lost: %.4f with silence, %.4f guessed, %.4f from the next packet\n",
                  silence, guessed, copied);
    assert_true(silence < 0.85);
    assert_true(guessed > silence + 0.02);
    assert_true(copied > guessed + 0.02);
}

/* The sizes of packets tell nothing: RFC 6562 3. */
static void
opus_packets_are_of_one_size(void **state)
{
    (void)state;
    struct audio_coder *to;
    uint8_t packet[AUDIO_PACKET_MAX], frame[2 * AUDIO_FRAME];
    load_speech();
    assert_true(audio_coder_open(&to, codec_named("opus"), true));
    for (size_t i = 0; (i + 1) * AUDIO_FRAME <= SAMPLES; i++) {
        audio_from_pcm(frame, AUDIO_L16, said + i * AUDIO_FRAME, AUDIO_FRAME);
        assert_int_equal(audio_encode(to, frame, packet), 60);
    }
    audio_coder_close(to);
}

static void
refuses_packets_that_are_no_opus(void **state)
{
    (void)state;
    struct audio_coder *from;
    uint8_t out[2 * AUDIO_PACKET_SAMPLES];
    static const uint8_t bad[] = { 0xff, 0xff, 0xff,
                                   0xff }; /* code 3 with 63 frames: over 120 ms */
    assert_true(audio_coder_open(&from, codec_named("opus"), false));
    assert_int_equal(audio_decode(from, mkt_span(bad, sizeof bad), out), 0);
    assert_int_equal(audio_decode(from, mkt_span(bad, 0), out), 0);
    audio_coder_close(from);
}

/* --- order -------------------------------------------------------------------------------------
 */

static char story[128];

/* "5 " for a packet, "!" for one that is lost, "!6 " when the one after it is known. */
static void
tell(void *arg, const struct audio_packet *packet, bool lost)
{
    char word[16] = "!";
    (void)arg;
    if (packet != NULL)
        snprintf(word, sizeof word, "%s%u:%c ", lost ? "!" : "", packet->seq, packet->payload.p[0]);
    strcat(story, word);
}

/* What comes out of packets that come in that order; a packet holds a letter, 'a' for 0. */
static const char *
order(const uint16_t *seq, size_t n, const char *taken)
{
    struct audio_reorder r = { .out = tell };
    story[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        uint8_t letter = (uint8_t)('a' + seq[i] % 26);
        bool ok = audio_reorder_put(&r, &(struct audio_packet){ seq[i], 0, mkt_span(&letter, 1) });
        assert_int_equal(ok, taken == NULL || taken[i] == '1');
    }
    strcat(story, "| ");
    audio_reorder_end(&r);
    return story;
}
#define ORDER(taken, ...) \
    order((const uint16_t[]){ __VA_ARGS__ }, sizeof((uint16_t[]){ __VA_ARGS__ }) / 2, taken)

static void
puts_packets_in_order(void **state)
{
    (void)state;
    assert_string_equal(ORDER(NULL, 0, 1, 2), "0:a 1:b 2:c | ");
    assert_string_equal(ORDER(NULL, 0, 2, 1, 3), "0:a 1:b 2:c 3:d | ");
    assert_string_equal(ORDER(NULL, 0, 3, 2, 1), "0:a 1:b 2:c 3:d | ");
    assert_string_equal(ORDER(NULL, 65535, 1, 0), "65535:p 0:a 1:b | ");
}

static void
waits_for_three_packets_and_no_longer(void **state)
{
    (void)state;
    assert_string_equal(ORDER(NULL, 0, 2, 3), "0:a | !2:c 2:c 3:d ");
    assert_string_equal(ORDER(NULL, 0, 2, 3, 4), "0:a !2:c 2:c 3:d 4:e | ");
    assert_string_equal(ORDER("11110", 0, 2, 3, 4, 1), "0:a !2:c 2:c 3:d 4:e | ");
    assert_string_equal(ORDER(NULL, 0, 3, 4, 5), "0:a !!3:d 3:d 4:e 5:f | ");
}

static void
takes_a_packet_once(void **state)
{
    (void)state;
    assert_string_equal(ORDER("1100", 0, 1, 1, 0), "0:a 1:b | ");
    assert_string_equal(ORDER("110", 0, 2, 2), "0:a | !2:c 2:c ");
}

static void
begins_anew_after_a_long_gap(void **state)
{
    (void)state;
    assert_string_equal(ORDER(NULL, 0, 2, 100, 101), "0:a !2:c 2:c 100:w 101:x | ");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_g711_as_it_is_defined),
        cmocka_unit_test(encodes_every_sample_into_the_nearest),
        cmocka_unit_test(leaves_a_form_as_it_is),
        cmocka_unit_test(g711_packets_are_the_samples),
        cmocka_unit_test(reads_lists_of_names),
        cmocka_unit_test(opus_carries_speech),
        cmocka_unit_test(opus_conceals_what_is_lost),
        cmocka_unit_test(opus_packets_are_of_one_size),
        cmocka_unit_test(refuses_packets_that_are_no_opus),
        cmocka_unit_test(puts_packets_in_order),
        cmocka_unit_test(waits_for_three_packets_and_no_longer),
        cmocka_unit_test(takes_a_packet_once),
        cmocka_unit_test(begins_anew_after_a_long_gap),
    };

    if (argc != 2)
        return 2;
    speech_path = argv[1];
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
