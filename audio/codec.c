/* SPDX-License-Identifier: Apache-2.0 */
/* G.711 is octets that are handed on as they are. Opus is libopus, at a constant bit rate: the
 * sizes of encrypted packets must not tell what is said (RFC 6562 3). */
#include "codec.h"

#include "format.h"

#include <opus/opus.h>
#include <stdlib.h>
#include <string.h>

#define OPUS_BIT_RATE 24000
#define OPUS_EXPECTED_LOSS 10 /* percent: how much goes into the copies of former frames */

struct audio_coder {
    const struct audio_codec *codec;
    OpusEncoder *encoder;
    OpusDecoder *decoder;
};

/* --- G.711 ------------------------------------------------------------------------------------ */

static size_t
encode_as_is(struct audio_coder *c, const uint8_t *frame, uint8_t *out)
{
    (void)c;
    memcpy(out, frame, AUDIO_FRAME);
    return AUDIO_FRAME;
}

static size_t
decode_as_is(struct audio_coder *c, struct mkt_span packet, uint8_t *samples)
{
    (void)c;
    if (packet.n > AUDIO_PACKET_SAMPLES)
        return 0;
    memcpy(samples, packet.p, packet.n);
    return packet.n;
}

static void
conceal_by_silence(struct audio_coder *c, struct mkt_span next, uint8_t *samples)
{
    (void)next;
    audio_silence(samples, c->codec->format, AUDIO_FRAME);
}

/* --- Opus ------------------------------------------------------------------------------------- */

static bool
open_opus(struct audio_coder *c, bool encodes)
{
    int rc = OPUS_OK;

    if (!encodes) {
        c->decoder = opus_decoder_create(AUDIO_RATE, 1, &rc);
        return rc == OPUS_OK;
    }
    c->encoder = opus_encoder_create(AUDIO_RATE, 1, OPUS_APPLICATION_VOIP, &rc);
    return rc == OPUS_OK &&
           opus_encoder_ctl(c->encoder, OPUS_SET_BITRATE(OPUS_BIT_RATE)) == OPUS_OK &&
           opus_encoder_ctl(c->encoder, OPUS_SET_VBR(0)) == OPUS_OK &&
           opus_encoder_ctl(c->encoder, OPUS_SET_INBAND_FEC(1)) == OPUS_OK &&
           opus_encoder_ctl(c->encoder, OPUS_SET_PACKET_LOSS_PERC(OPUS_EXPECTED_LOSS)) == OPUS_OK;
}

static size_t
encode_opus(struct audio_coder *c, const uint8_t *frame, uint8_t *out)
{
    int16_t pcm[AUDIO_FRAME];

    audio_to_pcm(pcm, frame, AUDIO_L16, AUDIO_FRAME);
    int n = opus_encode(c->encoder, pcm, AUDIO_FRAME, out, AUDIO_PACKET_MAX);
    return n > 0 ? (size_t)n : 0;
}

/* One packet; `former`: the copy in it of the frame before. No octets: what may have been said. */
static size_t
decode_pcm(struct audio_coder *c, struct mkt_span packet, bool former, int room, uint8_t *samples)
{
    int16_t pcm[AUDIO_PACKET_SAMPLES];
    int n = opus_decode(c->decoder, packet.p, (opus_int32)packet.n, pcm, room, former);

    if (n <= 0)
        return 0;
    audio_from_pcm(samples, AUDIO_L16, pcm, (size_t)n);
    return (size_t)n;
}

static size_t
decode_opus(struct audio_coder *c, struct mkt_span packet, uint8_t *samples)
{
    return packet.n == 0 ? 0 : decode_pcm(c, packet, false, AUDIO_PACKET_SAMPLES, samples);
}

static void
conceal_opus(struct audio_coder *c, struct mkt_span next, uint8_t *samples)
{
    if ((next.n == 0 || decode_pcm(c, next, true, AUDIO_FRAME, samples) != AUDIO_FRAME) &&
        decode_pcm(c, mkt_span(NULL, 0), false, AUDIO_FRAME, samples) != AUDIO_FRAME)
        audio_silence(samples, AUDIO_L16, AUDIO_FRAME);
}

static void
close_opus(struct audio_coder *c)
{
    if (c->encoder != NULL)
        opus_encoder_destroy(c->encoder);
    if (c->decoder != NULL)
        opus_decoder_destroy(c->decoder);
}

/* --- the table -------------------------------------------------------------------------------- */

/* RFC 3551 6, RFC 7587 7. Speech is 8 kHz here, and Opus is told so. */
static const struct audio_codec codecs[] = {
    { "PCMU", "0", AUDIO_RATE, 1, NULL, AUDIO_PCMU, NULL, encode_as_is, decode_as_is,
      conceal_by_silence, NULL },
    { "PCMA", "8", AUDIO_RATE, 1, NULL, AUDIO_PCMA, NULL, encode_as_is, decode_as_is,
      conceal_by_silence, NULL },
    { "opus", "96", 48000, 2, "maxplaybackrate=8000;sprop-maxcapturerate=8000;useinbandfec=1;cbr=1",
      AUDIO_L16, open_opus, encode_opus, decode_opus, conceal_opus, close_opus },
};

static const struct audio_codec *
find(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (strlen(codecs[i].name) == n && strncasecmp(codecs[i].name, name, n) == 0)
            return &codecs[i];
    return NULL;
}

static bool
is_among(const struct audio_codec *const *list, size_t n, const struct audio_codec *codec)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == codec)
            return true;
    return false;
}

size_t
audio_codec_list(const struct audio_codec *list[AUDIO_CODECS_MAX], const char *names)
{
    size_t n = 0;

    for (;;) {
        size_t len = strcspn(names, ",");
        const struct audio_codec *codec = find(names, len);
        if (codec == NULL || n == AUDIO_CODECS_MAX || is_among(list, n, codec))
            return 0;
        list[n++] = codec;
        if (names[len] == '\0')
            return n;
        names += len + 1;
    }
}

/* --- coders ----------------------------------------------------------------------------------- */

bool
audio_coder_open(struct audio_coder **out, const struct audio_codec *codec, bool encodes)
{
    struct audio_coder *c = calloc(1, sizeof *c);

    *out = c;
    if (c == NULL)
        return false;
    c->codec = codec;
    return codec->open == NULL || codec->open(c, encodes);
}

void
audio_coder_close(struct audio_coder *c)
{
    if (c != NULL && c->codec->close != NULL)
        c->codec->close(c);
    free(c);
}

size_t
audio_encode(struct audio_coder *c, const uint8_t *frame, uint8_t *out)
{
    return c->codec->encode(c, frame, out);
}

size_t
audio_decode(struct audio_coder *c, struct mkt_span packet, uint8_t *samples)
{
    return c->codec->decode(c, packet, samples);
}

void
audio_conceal(struct audio_coder *c, struct mkt_span next, uint8_t *samples)
{
    c->codec->conceal(c, next, samples);
}
