/* SPDX-License-Identifier: Apache-2.0 */
/* WAV files of the one shape the demonstration uses: a header of 44 octets, then 16-bit samples.
 * The samples are kept in network order, as L16 carries them, so nothing is ever rounded and the
 * file written at the other end can be compared bit by bit. */
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 44

/* RIFF header of n samples, 8 kHz, mono, 16 bit. */
static void
wav_header(uint8_t out[HEADER], size_t n)
{
    static const uint8_t shape[HEADER] = "RIFF\0\0\0\0WAVEfmt \20\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e"
                                         "\0\0\2\0\20\0data\0\0\0";
    uint32_t octets = (uint32_t)(2 * n), riff = octets + HEADER - 8;

    memcpy(out, shape, HEADER);
    for (unsigned i = 0; i < 4; i++) {
        out[4 + i] = (uint8_t)(riff >> 8 * i);
        out[40 + i] = (uint8_t)(octets >> 8 * i);
    }
}

static void
swap_samples(uint8_t *octets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t low = octets[2 * i];
        octets[2 * i] = octets[2 * i + 1];
        octets[2 * i + 1] = low;
    }
}

bool
demo_audio_read(struct demo_audio *a, const char *path)
{
    uint8_t header[HEADER], expected[HEADER];
    FILE *f = fopen(path, "rb");

    *a = (struct demo_audio){ 0, malloc(2 * DEMO_SAMPLES_MAX) };
    bool ok = f != NULL && a->octets != NULL && fread(header, 1, HEADER, f) == HEADER;
    if (ok) {
        a->n = fread(a->octets, 2, DEMO_SAMPLES_MAX, f);
        wav_header(expected, a->n);
        ok = a->n != 0 && fgetc(f) == EOF && memcmp(header, expected, HEADER) == 0;
    }
    if (f != NULL)
        fclose(f);
    if (!ok) {
        demo_audio_free(a);
        return demo_fail("%s: not a WAV file of 8 kHz, mono, 16 bit, at most 60 s", path);
    }
    swap_samples(a->octets, a->n);
    return true;
}

bool
demo_audio_write(const struct demo_audio *a, const char *path)
{
    uint8_t header[HEADER];
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL;

    wav_header(header, a->n);
    ok = ok && fwrite(header, 1, HEADER, f) == HEADER;
    for (size_t i = 0; i < a->n; i++)
        ok = ok && fputc(a->octets[2 * i + 1], f) != EOF && fputc(a->octets[2 * i], f) != EOF;
    if (f != NULL && fclose(f) != 0)
        ok = false;
    return ok || demo_fail("%s: cannot be written", path);
}

void
demo_audio_free(struct demo_audio *a)
{
    free(a->octets);
    *a = (struct demo_audio){ 0 };
}

struct mkt_span
demo_audio_frame(const struct demo_audio *a, size_t index)
{
    size_t at = index * DEMO_FRAME_OCTETS, end = 2 * a->n;

    if (at >= end)
        return mkt_span(NULL, 0);
    return mkt_span(a->octets + at, end - at < DEMO_FRAME_OCTETS ? end - at : DEMO_FRAME_OCTETS);
}
