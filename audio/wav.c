/* SPDX-License-Identifier: Apache-2.0 */
/* WAV files: chunks of a name, a length and octets, least significant first. Chunks other than
 * "fmt " and "data" are passed over; no length is trusted. */
#include "wav.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 12 /* RIFF, length, WAVE */
#define CHUNK 8
#define FILE_MAX (2 * AUDIO_SAMPLES_MAX + 4096)

static const char not_wav[] = "not a WAV file of 8 kHz, mono, 16 bit or G.711, ten minutes at most";

size_t
audio_width(enum audio_format format)
{
    return format == AUDIO_L16 ? 2 : 1;
}

static uint32_t
little(const uint8_t *p, size_t n)
{
    uint32_t v = 0;
    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

static uint8_t *
put(uint8_t *p, uint32_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *p++ = (uint8_t)(v >> 8 * i);
    return p;
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

/* --- reading ---------------------------------------------------------------------------------- */

/* The whole file; empty when it cannot be read or is too long. */
static struct mkt_span
slurp(const char *path)
{
    uint8_t *octets = malloc(FILE_MAX);
    FILE *f = octets != NULL ? fopen(path, "rb") : NULL;
    size_t n = f != NULL ? fread(octets, 1, FILE_MAX, f) : 0;

    if (f != NULL)
        fclose(f);
    return mkt_span(octets, n < FILE_MAX ? n : 0);
}

/* The chunk of that name; n is 0 without. */
static struct mkt_span
find_chunk(struct mkt_span file, const char *name)
{
    size_t at = HEADER;

    while (at + CHUNK <= file.n) {
        size_t n = little(file.p + at + 4, 4), left = file.n - at - CHUNK;
        if (memcmp(file.p + at, name, 4) == 0)
            return n <= left ? mkt_span(file.p + at + CHUNK, n) : mkt_span(NULL, 0);
        if (n > left)
            break;
        at += CHUNK + n + n % 2;
    }
    return mkt_span(NULL, 0);
}

static bool
read_format(struct mkt_span fmt, enum audio_format *format)
{
    if (fmt.n < 16)
        return false;
    uint32_t tag = little(fmt.p, 2);
    *format = tag;
    return (tag == AUDIO_L16 || tag == AUDIO_PCMA || tag == AUDIO_PCMU) &&
           little(fmt.p + 2, 2) == 1 && little(fmt.p + 4, 4) == AUDIO_RATE &&
           little(fmt.p + 14, 2) == 8 * audio_width(*format);
}

static const char *
take(struct audio *a, struct mkt_span file)
{
    if (file.n < HEADER || memcmp(file.p, "RIFF", 4) != 0 || memcmp(file.p + 8, "WAVE", 4) != 0)
        return not_wav;
    struct mkt_span data = find_chunk(file, "data");
    if (!read_format(find_chunk(file, "fmt "), &a->format) || data.n == 0 ||
        data.n % audio_width(a->format) != 0 || data.n > AUDIO_SAMPLES_MAX * audio_width(a->format))
        return not_wav;
    a->octets = malloc(data.n);
    if (a->octets == NULL)
        return "out of memory";
    memcpy(a->octets, data.p, data.n);
    a->n = data.n / audio_width(a->format);
    if (a->format == AUDIO_L16)
        swap_samples(a->octets, a->n);
    return NULL;
}

const char *
audio_read(struct audio *a, const char *path)
{
    *a = (struct audio){ .n = 0 };
    errno = 0;
    struct mkt_span file = slurp(path);
    const char *why = errno != 0 ? strerror(errno) : take(a, file);
    free((void *)(uintptr_t)file.p);
    return why;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* G.711 has the longer form of "fmt " and a "fact" chunk, as readers expect of what is not PCM. */
static size_t
make_header(uint8_t out[64], const struct audio *a)
{
    uint32_t width = (uint32_t)audio_width(a->format), octets = (uint32_t)a->n * width;
    bool pcm = a->format == AUDIO_L16;
    uint8_t *p = out + HEADER;

    memcpy(out, "RIFF\0\0\0\0WAVE", HEADER);
    memcpy(p, "fmt ", 4);
    p = put(p + 4, pcm ? 16 : 18, 4);
    p = put(p, a->format, 2);
    p = put(p, 1, 2);
    p = put(p, AUDIO_RATE, 4);
    p = put(p, AUDIO_RATE * width, 4);
    p = put(p, width, 2);
    p = put(p, 8 * width, 2);
    if (!pcm) {
        p = put(p, 0, 2);
        memcpy(p, "fact", 4);
        p = put(put(p + 4, 4, 4), (uint32_t)a->n, 4);
    }
    memcpy(p, "data", 4);
    p = put(p + 4, octets, 4);
    put(out + 4, (uint32_t)(p - out) + octets + octets % 2 - CHUNK, 4);
    return (size_t)(p - out);
}

static bool
write_samples(FILE *f, const struct audio *a)
{
    if (a->format != AUDIO_L16)
        return (a->n == 0 || fwrite(a->octets, 1, a->n, f) == a->n) &&
               (a->n % 2 == 0 || fputc(0, f) != EOF);
    for (size_t i = 0; i < a->n; i++)
        if (fputc(a->octets[2 * i + 1], f) == EOF || fputc(a->octets[2 * i], f) == EOF)
            return false;
    return true;
}

const char *
audio_write(const struct audio *a, const char *path)
{
    uint8_t header[64];
    size_t n = make_header(header, a);
    FILE *f = fopen(path, "wb");
    bool ok = f != NULL && fwrite(header, 1, n, f) == n && write_samples(f, a);

    if (f != NULL && fclose(f) != 0)
        ok = false;
    return ok ? NULL : "cannot be written";
}

void
audio_free(struct audio *a)
{
    free(a->octets);
    *a = (struct audio){ .n = 0 };
}

struct mkt_span
audio_frame(const struct audio *a, size_t index)
{
    size_t width = audio_width(a->format), frame = width * AUDIO_FRAME;
    size_t at = index * frame, end = width * a->n;

    if (at >= end)
        return mkt_span(NULL, 0);
    return mkt_span(a->octets + at, end - at < frame ? end - at : frame);
}
