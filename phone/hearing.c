/* SPDX-License-Identifier: Apache-2.0 */
/* Speech is kept where its timestamp says, so that neither loss nor pauses move what comes after.
 */
#include "hearing.h"

#include "format.h"

#include <stdlib.h>
#include <string.h>

static bool
make_room(struct phone_hearing *h, size_t samples)
{
    size_t width = audio_width(h->heard.format);
    size_t room = h->room > 0 ? h->room : width * AUDIO_RATE * 10;

    if (samples > AUDIO_SAMPLES_MAX)
        return false;
    while (room < samples * width)
        room *= 2;
    if (room == h->room)
        return true;
    uint8_t *octets = realloc(h->heard.octets, room);
    if (octets == NULL)
        return false;
    audio_silence(octets + h->room, h->heard.format, (room - h->room) / width);
    h->heard.octets = octets;
    h->room = room;
    return true;
}

static void
keep(struct phone_hearing *h, const uint8_t *samples, size_t n)
{
    size_t width = audio_width(h->heard.format);

    if (h->at < AUDIO_SAMPLES_MAX && make_room(h, h->at + n)) { /* else it is too long ago */
        memcpy(h->heard.octets + h->at * width, samples, n * width);
        if (h->at + n > h->heard.n)
            h->heard.n = h->at + n;
    }
    h->at += n;
}

static void
hear(struct phone_hearing *h, const uint8_t *samples, size_t n)
{
    int16_t pcm[AUDIO_PACKET_SAMPLES];

    keep(h, samples, n);
    if (h->speaker == NULL)
        return;
    audio_to_pcm(pcm, samples, h->heard.format, n);
    audio_device_say(h->speaker, pcm, n);
}

static void
lost(struct phone_hearing *h, const struct audio_packet *next)
{
    uint8_t samples[2 * AUDIO_FRAME];

    audio_conceal(h->coder, next != NULL ? next->payload : mkt_span(NULL, 0), samples);
    hear(h, samples, AUDIO_FRAME);
}

/* Where a packet belongs; beyond the end what was said before the first one. */
static size_t
place_of(struct phone_hearing *h, uint32_t timestamp)
{
    if (h->begun)
        h->behind += (int32_t)(timestamp - h->timestamp);
    h->begun = true;
    h->timestamp = timestamp;
    return h->behind < 0 ? AUDIO_SAMPLES_MAX : (size_t)h->behind / (h->codec->clock / AUDIO_RATE);
}

static void
came(void *arg, const struct audio_packet *packet, bool is_lost)
{
    struct phone_hearing *h = arg;
    uint8_t samples[2 * AUDIO_PACKET_SAMPLES];

    if (is_lost) {
        lost(h, packet);
        return;
    }
    size_t n = audio_decode(h->coder, packet->payload, samples);
    if (n == 0) {
        h->broken++;
        return;
    }
    h->at = place_of(h, packet->timestamp);
    hear(h, samples, n);
}

bool
phone_hearing_open(struct phone_hearing *h, const struct audio_codec *codec)
{
    *h = (struct phone_hearing){ .codec = codec,
                                 .heard.format = codec->format,
                                 .order = { .out = came, .arg = h } };
    return audio_coder_open(&h->coder, codec, false);
}

void
phone_hearing_packet(struct phone_hearing *h, const struct audio_packet *packet)
{
    (void)audio_reorder_put(&h->order, packet); /* late ones were concealed */
}

void
phone_hearing_end(struct phone_hearing *h)
{
    audio_reorder_end(&h->order);
}

void
phone_hearing_close(struct phone_hearing *h)
{
    audio_reorder_end(&h->order);
    audio_coder_close(h->coder);
    free(h->heard.octets);
    *h = (struct phone_hearing){ .codec = NULL };
}
