/* SPDX-License-Identifier: Apache-2.0 */
/* Sequence numbers are compared modulo 2^16 (RFC 3550 A.1). libre's jbuf keeps as many packets back
 * as it may wait for, always; here only a gap costs time. */
#include "reorder.h"

#include <stdlib.h>
#include <string.h>

static struct audio_packet *
slot_of(struct audio_reorder *r, uint16_t seq)
{
    return &r->slot[seq % AUDIO_REORDER_SLOTS];
}

static bool
hold(struct audio_reorder *r, const struct audio_packet *packet)
{
    struct audio_packet *slot = slot_of(r, packet->seq);
    uint8_t *copy = slot->payload.p == NULL ? malloc(packet->payload.n + 1) : NULL;

    if (copy == NULL)
        return false;
    memcpy(copy, packet->payload.p, packet->payload.n);
    *slot = *packet;
    slot->payload.p = copy;
    r->held++;
    return true;
}

/* What is next, if it is here, or is given up. */
static void
step(struct audio_reorder *r)
{
    struct audio_packet *slot = slot_of(r, r->next++);

    if (slot->payload.p == NULL) {
        const struct audio_packet *after = slot_of(r, r->next);
        r->out(r->arg, after->payload.p != NULL ? after : NULL, true);
        return;
    }
    r->out(r->arg, slot, false);
    free((void *)(uintptr_t)slot->payload.p);
    slot->payload = mkt_span(NULL, 0);
    r->held--;
}

void
audio_reorder_end(struct audio_reorder *r)
{
    while (r->held > 0)
        step(r);
}

bool
audio_reorder_put(struct audio_reorder *r, const struct audio_packet *packet)
{
    uint16_t ahead = (uint16_t)(packet->seq - r->next);

    if (r->begun && ahead >= 0x8000)
        return false;
    if (!r->begun || ahead >= AUDIO_REORDER_SLOTS) {
        audio_reorder_end(r);
        r->begun = true;
        r->next = packet->seq;
        ahead = 0;
    }
    if (ahead == 0) {
        r->next++;
        r->out(r->arg, packet, false);
    } else if (!hold(r, packet)) {
        return false;
    }
    if (r->held == 0 || (int16_t)(packet->seq - r->newest) > 0)
        r->newest = packet->seq;
    while (r->held > 0 && (slot_of(r, r->next)->payload.p != NULL ||
                           (uint16_t)(r->newest - r->next) >= AUDIO_REORDER))
        step(r);
    return true;
}
