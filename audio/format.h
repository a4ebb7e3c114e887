/* SPDX-License-Identifier: Apache-2.0 */
/* Samples from one form into another. What stays in its form is not touched, so G.711 goes from a
 * file into a packet and back bit by bit. */
#ifndef MKT_AUDIO_FORMAT_H
#define MKT_AUDIO_FORMAT_H

#include "wav.h"

/* audio_convert makes n samples of `to` in out from as many of `from` in in. They may be the same
 * place when no sample gets wider. */
void audio_convert(uint8_t *out, enum audio_format to, const uint8_t *in, enum audio_format from,
                   size_t n);

/* audio_silence makes n samples of silence. */
void audio_silence(uint8_t *out, enum audio_format format, size_t n);

/* audio_to_pcm makes n samples as computers have them, audio_from_pcm takes them. */
void audio_to_pcm(int16_t *pcm, const uint8_t *in, enum audio_format from, size_t n);
void audio_from_pcm(uint8_t *out, enum audio_format to, const int16_t *pcm, size_t n);

#endif
