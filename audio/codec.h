/* SPDX-License-Identifier: Apache-2.0 */
/* What speech is on the wire: one table of codecs, and coders that know no names. A packet holds
 * AUDIO_FRAME samples when we make it, and up to AUDIO_PACKET_SAMPLES when others do. */
#ifndef MKT_AUDIO_CODEC_H
#define MKT_AUDIO_CODEC_H

#include "wav.h"

#define AUDIO_PACKET_SAMPLES                                                                  \
    960                       /* of 120 ms, as long as a packet of Opus may be (RFC 6716 3.2) \
                               */
#define AUDIO_PACKET_MAX 1276 /* octets of one that is made or taken */
#define AUDIO_CODECS_MAX 8    /* of a list */

struct audio_coder; /* one direction of one stream */

struct audio_codec {
    const char *name;                                  /* of rtpmap, and of --codec */
    const char *type;                                  /* payload type, as text */
    uint32_t clock;                                    /* of RTP timestamps, a second */
    uint8_t channels;                                  /* of rtpmap */
    const char *params;                                /* of fmtp; NULL: none */
    enum audio_format format;                          /* of the samples that go in and come out */
    bool (*open)(struct audio_coder *c, bool encodes); /* NULL: there is nothing to open */
    /* The octets made of a frame, the samples made of a packet; 0: broken. */
    size_t (*encode)(struct audio_coder *c, const uint8_t *frame, uint8_t *out);
    size_t (*decode)(struct audio_coder *c, struct mkt_span packet, uint8_t *samples);
    void (*conceal)(struct audio_coder *c, struct mkt_span next, uint8_t *samples);
    void (*close)(struct audio_coder *c);
};

/* audio_codec_list reads names with commas between them into list. Returns how many; 0: not one of
 * these names, or too many, or one twice. */
size_t audio_codec_list(const struct audio_codec *list[AUDIO_CODECS_MAX], const char *names);

/* audio_coder_open makes a coder for one direction; *coder is owned by the caller. */
MKT_MUST_USE bool audio_coder_open(struct audio_coder **coder, const struct audio_codec *codec,
                                   bool encodes);
void audio_coder_close(struct audio_coder *coder); /* NULL is allowed */

/* audio_encode makes a packet of AUDIO_FRAME samples, in at most AUDIO_PACKET_MAX octets. */
size_t audio_encode(struct audio_coder *coder, const uint8_t *frame, uint8_t *out);

/* audio_decode makes at most AUDIO_PACKET_SAMPLES samples of a packet. 0: it is broken, or too
 * long. */
size_t audio_decode(struct audio_coder *coder, struct mkt_span packet, uint8_t *samples);

/* audio_conceal makes AUDIO_FRAME samples in the place of a packet that is lost. `next` is the one
 * after it, empty: not here. */
void audio_conceal(struct audio_coder *coder, struct mkt_span next, uint8_t *samples);

#endif
