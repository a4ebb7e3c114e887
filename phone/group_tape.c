/* SPDX-License-Identifier: Apache-2.0 */
/* Silence is where nobody has talked yet, so what is put there is kept as it is. */
#include "group_tape.h"

#include "format.h"

#include <stdlib.h>
#include <string.h>

#define SILENCE 0xff /* mu-law */

static bool
make_room(struct group_tape *tape, size_t n)
{
    size_t room = tape->room > 0 ? tape->room : AUDIO_RATE * 10;

    if (n > AUDIO_SAMPLES_MAX)
        return false;
    while (room < n)
        room *= 2;
    if (room == tape->room)
        return true;
    uint8_t *octets = realloc(tape->audio.octets, room);
    if (octets == NULL)
        return false;
    memset(octets + tape->room, SILENCE, room - tape->room);
    tape->audio.octets = octets;
    tape->room = room;
    return true;
}

static uint8_t
mix(uint8_t a, uint8_t b)
{
    const uint8_t both[] = { a, b };
    int16_t pcm[2];

    if (a == SILENCE || b == SILENCE)
        return a == SILENCE ? b : a;
    audio_to_pcm(pcm, both, AUDIO_PCMU, 2);
    int sum = pcm[0] + pcm[1];
    if (sum > INT16_MAX)
        sum = INT16_MAX;
    if (sum < -INT16_MAX)
        sum = -INT16_MAX;
    pcm[0] = (int16_t)sum;
    audio_from_pcm(&a, AUDIO_PCMU, pcm, 1);
    return a;
}

void
group_tape_put(struct group_tape *tape, struct group_track *track, uint64_t now_ms,
               uint32_t timestamp, struct mkt_span octets)
{
    if (!tape->running)
        tape->begun_ms = now_ms;
    tape->running = true;
    if (!track->begun) {
        track->first_timestamp = timestamp;
        track->offset = (size_t)(now_ms - tape->begun_ms) * (AUDIO_RATE / 1000);
    }
    track->begun = true;
    size_t since = timestamp - track->first_timestamp; /* huge for what is before the first one */
    if (since >= AUDIO_SAMPLES_MAX || track->offset >= AUDIO_SAMPLES_MAX ||
        !make_room(tape, track->offset + since + octets.n))
        return;
    uint8_t *at = tape->audio.octets + track->offset + since;
    for (size_t i = 0; i < octets.n; i++)
        at[i] = mix(at[i], octets.p[i]);
    if (track->offset + since + octets.n > tape->audio.n)
        tape->audio.n = track->offset + since + octets.n;
}
