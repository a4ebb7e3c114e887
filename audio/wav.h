/* SPDX-License-Identifier: Apache-2.0 */
/* Speech in WAV files: 8 kHz, mono, as 16-bit samples or as G.711. Samples are kept as RTP carries
 * them (RFC 3551 4.5), so nothing is rounded on the way from a file into a packet, and the file
 * that is written at the other end can be compared bit by bit. */
#ifndef MKT_AUDIO_WAV_H
#define MKT_AUDIO_WAV_H

#include <mikeyticket/base.h>

#define AUDIO_RATE 8000                /* samples a second */
#define AUDIO_FRAME 160                /* samples of 20 ms */
#define AUDIO_SAMPLES_MAX (600 * 8000) /* of one file: ten minutes */

enum audio_format {                 /* as WAV files number them */
                    AUDIO_L16 = 1,  /* two octets, the most significant first */
                    AUDIO_PCMA = 6, /* G.711, A-law */
                    AUDIO_PCMU = 7  /* G.711, mu-law */
};

struct audio {
    enum audio_format format;
    size_t n;        /* samples */
    uint8_t *octets; /* owned */
};

/* audio_width returns the octets of one sample. */
size_t audio_width(enum audio_format format);

/* audio_read reads the file at path; NULL, or what is wrong (static). Freed by the caller in every
 * case. */
MKT_MUST_USE const char *audio_read(struct audio *a, const char *path);

/* audio_write writes a file; NULL, or what is wrong. */
MKT_MUST_USE const char *audio_write(const struct audio *a, const char *path);

void audio_free(struct audio *a);

/* audio_frame gives the octets of frame `index` (the last may be shorter); empty beyond the end. */
struct mkt_span audio_frame(const struct audio *a, size_t index);

#endif
