/* SPDX-License-Identifier: Apache-2.0 */
/* A microphone or a loudspeaker, by ALSA. Each has a thread of its own, which may wait for it;
 * between the thread and the caller is a queue of samples that neither waits for. */
#ifndef MKT_AUDIO_DEVICE_H
#define MKT_AUDIO_DEVICE_H

#include <mikeyticket/base.h>

enum audio_side { AUDIO_MIC, AUDIO_SPEAKER };

/* audio_device_check opens and closes the device at once, and may take its time. Returns NULL, or
 * what is wrong (static). */
const char *audio_device_check(enum audio_side side, const char *name);

struct audio_device;

/* audio_device_open begins to open a device, of a name such as "default"; 16 bit, AUDIO_RATE, mono.
 * NULL when there is no memory or no thread. */
struct audio_device *audio_device_open(enum audio_side side, const char *name);

/* audio_device_close does not wait: a loudspeaker says what it has been given, then it ends. NULL
 * is allowed. */
void audio_device_close(struct audio_device *d);

/* audio_device_failed returns NULL, or why the device does not work (static). */
const char *audio_device_failed(struct audio_device *d);

/* audio_device_hear takes AUDIO_FRAME samples from a microphone; false: they are not there yet. */
bool audio_device_hear(struct audio_device *d, int16_t *samples);

/* audio_device_say gives n samples to a loudspeaker. What it has no room for is dropped. */
void audio_device_say(struct audio_device *d, const int16_t *samples, size_t n);

#endif
