/* SPDX-License-Identifier: Apache-2.0 */
/* WAV files: what is written is read, and what is none is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "wav.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/mikey-wav-XXXXXX";

static void
store(const uint8_t *octets, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(octets, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static size_t
load(uint8_t *octets, size_t cap)
{
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    size_t n = fread(octets, 1, cap, f);
    fclose(f);
    return n;
}

static void
reads_what_it_writes(void **state)
{
    (void)state;
    static const enum audio_format formats[] = { AUDIO_L16, AUDIO_PCMA, AUDIO_PCMU };

    for (size_t i = 0; i < 3; i++)
        for (size_t n = 1; n <= 2; n++) {
            uint8_t octets[] = { 1, 2, 3, 4 };
            const struct audio a = { formats[i], n, octets };
            struct audio b;
            assert_null(audio_write(&a, path));
            assert_null(audio_read(&b, path));
            assert_int_equal(b.format, a.format);
            assert_int_equal(b.n, n);
            assert_memory_equal(b.octets, octets, n * audio_width(a.format));
            audio_free(&b);
        }
}

static void
writes_that_nothing_was_heard(void **state)
{
    (void)state;
    const struct audio a = { AUDIO_PCMU, 0, NULL };
    uint8_t file[128];

    assert_null(audio_write(&a, path));
    assert_int_equal(load(file, sizeof file), 58); /* a header */
}

static void
cuts_speech_into_frames_of_20_ms(void **state)
{
    (void)state;
    uint8_t octets[2 * 161] = { 0 };
    const struct audio l16 = { AUDIO_L16, 161, octets }, ulaw = { AUDIO_PCMU, 160, octets };

    assert_int_equal(audio_frame(&l16, 0).n, 320);
    assert_int_equal(audio_frame(&l16, 1).n, 2);
    assert_ptr_equal(audio_frame(&l16, 1).p, octets + 320);
    assert_int_equal(audio_frame(&l16, 2).n, 0);
    assert_int_equal(audio_frame(&ulaw, 0).n, 160);
    assert_int_equal(audio_frame(&ulaw, 1).n, 0);
}

static void
passes_over_chunks_it_does_not_know(void **state)
{
    (void)state;
    uint8_t file[128], with[160], sample = 7;
    const struct audio a = { AUDIO_PCMU, 1, &sample };
    struct audio b;

    assert_null(audio_write(&a, path));
    size_t n = load(file, sizeof file);
    memcpy(with, file, 12);
    memcpy(with + 12, "LIST\3\0\0\0abc\0", 12); /* odd, so an octet follows */
    memcpy(with + 24, file + 12, n - 12);
    store(with, n + 12);
    assert_null(audio_read(&b, path));
    assert_int_equal(b.octets[0], 7);
    audio_free(&b);
}

static void
refuses_what_is_no_speech_of_these_forms(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint8_t octet;
    } bad[] = { { 0, 'X' }, { 8, 'X' },   { 12, 'X' },  { 16, 15 },  { 20, 2 },
                { 22, 2 },  { 25, 0x3f }, { 34, 8 },    { 36, 'X' }, { 40, 3 },
                { 40, 0 },  { 43, 0xff }, { 19, 0xff }, { 40, 6 } };
    uint8_t file[128], octets[] = { 1, 2, 3, 4 };
    const struct audio a = { AUDIO_L16, 2, octets };
    struct audio b;

    assert_null(audio_write(&a, path));
    size_t n = load(file, sizeof file);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t was = file[bad[i].at];
        file[bad[i].at] = bad[i].octet;
        store(file, n);
        assert_non_null(audio_read(&b, path));
        audio_free(&b);
        file[bad[i].at] = was;
    }
    for (size_t cut = 0; cut < n; cut++) {
        store(file, cut);
        assert_non_null(audio_read(&b, path));
        audio_free(&b);
    }
    unlink(path);
    assert_non_null(audio_read(&b, path));
    audio_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(writes_that_nothing_was_heard),
        cmocka_unit_test(cuts_speech_into_frames_of_20_ms),
        cmocka_unit_test(passes_over_chunks_it_does_not_know),
        cmocka_unit_test(refuses_what_is_no_speech_of_these_forms),
    };

    if (mkstemp(path) < 0)
        return 1;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
