/* SPDX-License-Identifier: Apache-2.0 */
/* Packets in their order. One that follows the last goes through at once; one that comes early
 * waits for those in between, until AUDIO_REORDER more have come: then they are lost. There is no
 * clock: what comes out depends on what came in and on nothing else. */
#ifndef MKT_AUDIO_REORDER_H
#define MKT_AUDIO_REORDER_H

#include <mikeyticket/base.h>

#define AUDIO_REORDER 3        /* packets that a missing one is waited for */
#define AUDIO_REORDER_SLOTS 32 /* a longer gap begins anew */

struct audio_packet {
    uint16_t seq;
    uint32_t timestamp;
    struct mkt_span payload;
};

struct audio_reorder {
    /* Called for each packet in its order; lost: for one that is missing, with the one after it, or
     * with NULL when that is not here. */
    void (*out)(void *arg, const struct audio_packet *packet, bool lost);
    void *arg;
    bool begun;
    uint16_t next, newest;
    size_t held;
    struct audio_packet slot[AUDIO_REORDER_SLOTS]; /* payload.p NULL: empty; else owned */
};

/* audio_reorder_put takes one packet; what it holds is borrowed. False: it is too late, was there
 * before, or memory fails. */
bool audio_reorder_put(struct audio_reorder *r, const struct audio_packet *packet);

/* audio_reorder_end lets out what waits: nothing more comes. */
void audio_reorder_end(struct audio_reorder *r);

#endif
