/* SPDX-License-Identifier: Apache-2.0 */
/* Sound cards whose place files and pipes take, by ALSA's file plugin: nothing is lost where there
 * is room, and nobody waits where there is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "wav.h"

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FRAMES 100
#define TRIES 10000 /* of a millisecond: a thread has so long to do its work */

static char dir[] = "/tmp/mikey-device-XXXXXX";

static const char *
in_dir(const char *name)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void
wait_a_moment(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Samples that count from 1, so that each is known. */
static void
number(int16_t *samples, int from)
{
    for (int i = 0; i < AUDIO_FRAME; i++)
        samples[i] = (int16_t)(from * AUDIO_FRAME + i + 1);
}

static int
make_cards(void **state)
{
    int16_t frame[AUDIO_FRAME];
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    FILE *f = fopen(in_dir("mic"), "wb");
    for (int i = 0; i < FRAMES; i++) {
        number(frame, i);
        fwrite(frame, sizeof frame, 1, f);
    }
    fclose(f);
    f = fopen(in_dir("conf"), "w");
    fprintf(f,
            "</usr/share/alsa/alsa.conf>\n"
            "pcm.mic { type file slave.pcm null file /dev/null infile %s/mic format raw }\n"
            "pcm.speaker { type file slave.pcm null file %s/speaker format raw }\n"
            "pcm.stuck { type file slave.pcm null file %s/stuck format raw }\n"
            "pcm.full { type file slave.pcm null file /dev/full format raw }\n",
            dir, dir, dir);
    fclose(f);
    return mkfifo(in_dir("stuck"), 0600) == 0 ? setenv("ALSA_CONFIG_PATH", in_dir("conf"), 1) : -1;
}

static int
remove_cards(void **state)
{
    static const char *const names[] = { "mic", "conf", "speaker", "stuck" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(in_dir(names[i]));
    return rmdir(dir);
}

static void
a_card_that_is_not_there_is_told(void **state)
{
    (void)state;
    assert_null(audio_device_check(AUDIO_MIC, "mic"));
    assert_null(audio_device_check(AUDIO_SPEAKER, "speaker"));
    assert_string_equal(audio_device_check(AUDIO_MIC, "no-such-card"), "No such file or directory");
    struct audio_device *d = audio_device_open(AUDIO_SPEAKER, "no-such-card");
    const char *why = NULL;
    for (int i = 0; i < TRIES && (why = audio_device_failed(d)) == NULL; i++)
        wait_a_moment();
    assert_string_equal(why, "No such file or directory");
    audio_device_close(d);
}

/* Though the card is much faster than who listens. */
static void
a_microphone_gives_every_sample_in_order(void **state)
{
    (void)state;
    struct audio_device *d = audio_device_open(AUDIO_MIC, "mic");
    int16_t got[AUDIO_FRAME], want[AUDIO_FRAME];
    int n = 0;
    for (int i = 0; i < TRIES && n < FRAMES; i++) {
        if (!audio_device_hear(d, got)) {
            wait_a_moment();
            continue;
        }
        number(want, n++);
        assert_memory_equal(got, want, sizeof want);
    }
    assert_int_equal(n, FRAMES);
    assert_null(audio_device_failed(d));
    audio_device_close(d);
}

static long
size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void
a_loudspeaker_says_every_sample_in_order_also_when_it_is_closed(void **state)
{
    (void)state;
    struct audio_device *d = audio_device_open(AUDIO_SPEAKER, "speaker");
    int16_t frame[AUDIO_FRAME], got[AUDIO_FRAME];
    const long size = 20 * (long)sizeof frame; /* as many as its queue holds without a card */
    for (int i = 0; i < 20; i++) {
        number(frame, i);
        audio_device_say(d, frame, AUDIO_FRAME);
    }
    audio_device_close(d);
    for (int i = 0; i < TRIES && size_of(in_dir("speaker")) < size; i++)
        wait_a_moment();
    assert_int_equal(size_of(in_dir("speaker")), size);
    FILE *f = fopen(in_dir("speaker"), "rb");
    for (int i = 0; i < 20; i++) {
        number(frame, i);
        assert_int_equal(fread(got, sizeof got, 1, f), 1);
        assert_memory_equal(got, frame, sizeof frame);
    }
    fclose(f);
}

/* Its pipe is full after some seconds, and its queue half a second later. */
static void
nobody_waits_for_a_loudspeaker_that_hangs(void **state)
{
    (void)state;
    int pipe = open(in_dir("stuck"), O_RDWR); /* nobody reads */
    struct audio_device *d = audio_device_open(AUDIO_SPEAKER, "stuck");
    int16_t frame[AUDIO_FRAME] = { 1 };
    struct timespec from, to;
    assert_true(pipe >= 0);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 20000; i++) /* speech of 400 seconds */
        audio_device_say(d, frame, AUDIO_FRAME);
    audio_device_close(d);
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true(to.tv_sec - from.tv_sec < 10); /* and not until somebody reads */
    close(pipe);
}

static void
a_card_that_fails_later_is_told(void **state)
{
    (void)state;
    struct audio_device *d = audio_device_open(AUDIO_SPEAKER, "full");
    int16_t frame[AUDIO_FRAME] = { 1 };
    const char *why = NULL;
    for (int i = 0; i < TRIES && why == NULL; i++) {
        audio_device_say(d, frame, AUDIO_FRAME);
        why = audio_device_failed(d);
        wait_a_moment();
    }
    assert_non_null(why);
    audio_device_close(d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_that_is_not_there_is_told),
        cmocka_unit_test(a_microphone_gives_every_sample_in_order),
        cmocka_unit_test(a_loudspeaker_says_every_sample_in_order_also_when_it_is_closed),
        cmocka_unit_test(nobody_waits_for_a_loudspeaker_that_hangs),
        cmocka_unit_test(a_card_that_fails_later_is_told),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_cards, remove_cards);
}
