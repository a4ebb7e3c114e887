/* SPDX-License-Identifier: Apache-2.0 */
/* A tape on which many voices are recorded. */
#ifndef MKT_PHONE_GROUP_TAPE_H
#define MKT_PHONE_GROUP_TAPE_H

#include "wav.h"

struct group_tape {
    struct audio audio; /* mu-law; the octets are owned, audio_free */
    size_t room;        /* octets of it */
    bool running;       /* the first packet has come, at begun_ms */
    uint64_t begun_ms;
};

/* Where a voice stands on the tape: its first packet where it came, all others by timestamp. */
struct group_track {
    bool begun;
    uint32_t first_timestamp;
    size_t offset; /* samples */
};

/* group_tape_put records octets of a voice that came at now_ms. Where two talk at once they are
 * mixed; one alone is kept bit by bit. Nothing is kept after ten minutes. */
void group_tape_put(struct group_tape *tape, struct group_track *track, uint64_t now_ms,
                    uint32_t timestamp, struct mkt_span octets);

#endif
