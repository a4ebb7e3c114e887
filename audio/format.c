/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of G.711 are librem's. */
#include "format.h"

#include <rem_g711.h>
#include <string.h>

static int16_t
get(const uint8_t *p, enum audio_format format)
{
    switch (format) {
    case AUDIO_PCMU:
        return g711_ulaw2pcm(*p);
    case AUDIO_PCMA:
        return g711_alaw2pcm(*p);
    default:
        return (int16_t)(p[0] << 8 | p[1]);
    }
}

/* librem negates samples, which the least of them does not survive. */
static void
put(uint8_t *p, enum audio_format format, int16_t sample)
{
    int16_t safe = sample == INT16_MIN ? -INT16_MAX : sample;

    switch (format) {
    case AUDIO_PCMU:
        *p = g711_pcm2ulaw(safe);
        return;
    case AUDIO_PCMA:
        *p = g711_pcm2alaw(safe);
        return;
    default:
        p[0] = (uint8_t)((uint16_t)sample >> 8);
        p[1] = (uint8_t)sample;
    }
}

void
audio_convert(uint8_t *out, enum audio_format to, const uint8_t *in, enum audio_format from,
              size_t n)
{
    size_t width = audio_width(from), wide = audio_width(to);

    if (to == from && n > 0) {
        memmove(out, in, n * width);
        return;
    }
    for (size_t i = 0; i < n; i++)
        put(out + i * wide, to, get(in + i * width, from));
}

void
audio_silence(uint8_t *out, enum audio_format format, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(out + i * audio_width(format), format, 0);
}

void
audio_to_pcm(int16_t *pcm, const uint8_t *in, enum audio_format from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pcm[i] = get(in + i * audio_width(from), from);
}

void
audio_from_pcm(uint8_t *out, enum audio_format to, const int16_t *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(out + i * audio_width(to), to, pcm[i]);
}
