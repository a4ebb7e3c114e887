/* SPDX-License-Identifier: Apache-2.0 */
/* The roster of a group call: whose voice each crypto session carries
 * (docs/formats/group-roster.md). It comes from the initiator, to whom the KMS has vouched for
 * every participant. */
#ifndef MKT_PHONE_GROUP_ROSTER_H
#define MKT_PHONE_GROUP_ROSTER_H

#include "group_media.h"

#define GROUP_NAME_MAX 256    /* of an identity, with its end */
#define GROUP_ROSTER_MAX 1000 /* octets of one packet */

struct group_entry {
    struct group_voice voice;  /* ssrc 0: this session has no participant any more */
    char name[GROUP_NAME_MAX]; /* identity; as printable ASCII */
};

/* group_roster_write appends an entry to out (cap octets, *n used so far); false when it does not
 * fit. */
MKT_MUST_USE bool group_roster_write(uint8_t *out, size_t cap, size_t *n,
                                     const struct group_entry *entry);

/* group_roster_read takes the next entry off *rest; false at the end, or at what is none. */
MKT_MUST_USE bool group_roster_read(struct mkt_span *rest, struct group_entry *entry);

#endif
