/* SPDX-License-Identifier: Apache-2.0 */
/* From the packets of one party to what is heard of it: put in order, decoded, kept for --record.
 */
#ifndef MKT_PHONE_HEARING_H
#define MKT_PHONE_HEARING_H

#include "codec.h"
#include "device.h"
#include "reorder.h"

struct phone_hearing {
    const struct audio_codec *codec;
    struct audio_coder *coder;
    struct audio_reorder order;
    struct audio heard; /* in the form of the codec, with silence for what is missing */
    size_t room;        /* octets of heard */
    size_t at;          /* where the next sample goes if nothing else is said */
    bool begun;
    uint32_t timestamp;           /* of the last packet */
    int64_t behind;               /* the first one, it is: a day is more than 32 bits hold */
    struct audio_device *speaker; /* borrowed; NULL: nobody listens */
    uint64_t broken;              /* packets that could not be decoded */
};

/* phone_hearing_open begins to hear with a codec. False when memory fails. */
MKT_MUST_USE bool phone_hearing_open(struct phone_hearing *h, const struct audio_codec *codec);
void phone_hearing_close(struct phone_hearing *h);

/* phone_hearing_packet takes a packet; its payload is borrowed. */
void phone_hearing_packet(struct phone_hearing *h, const struct audio_packet *packet);

/* phone_hearing_end lets what waits for former packets be heard. */
void phone_hearing_end(struct phone_hearing *h);

#endif
