/* SPDX-License-Identifier: Apache-2.0 */
/* The media of a group call: we say something while we push to talk, and hear any number of others.
 * Every participant has a crypto session, so a key, and an SSRC of its own. In the midst of the
 * speech of the one who called the group stands the roster: whose voice is whose
 * (docs/formats/group-roster.md). */
#ifndef MKT_PHONE_GROUP_MEDIA_H
#define MKT_PHONE_GROUP_MEDIA_H

#include "group_multicast.h"
#include "wav.h"

#include <mikeyticket/media/srtp.h>
#include <re.h>

#define GROUP_INITIATOR_CS 1        /* CS ID of the one who calls the group */
#define GROUP_ROSTER_PT 126         /* payload type of the roster */
#define GROUP_ROSTER "mikey-roster" /* and its name (a=rtpmap) */

/* Where a stream stands: the session data of a crypto session (RFC 6043 6.1.1). */
struct group_voice {
    uint8_t cs_id;
    uint32_t ssrc, roc;
    uint16_t seq;
};

struct group_events {
    void (*talks)(uint8_t cs_id, bool begins, void *arg); /* somebody begins or ends */
    /* The initiator's roster, under the keys of csb. NULL: we are the initiator. */
    void (*roster)(const struct mkt_csb *csb, struct mkt_span entries, void *arg);
    void (*played)(void *arg); /* all of our speech was said */
};

struct group_media;

/* group_media_open binds a socket at ip. `speech` (G.711 mu-law; n = 0: silence) and `on` are
 * borrowed. *m is owned by the caller. Errno. */
int group_media_open(struct group_media **m, const struct sa *ip, const struct audio *speech,
                     const struct group_events *on, void *arg);

/* group_media_join has media go to a multicast group, and hears it there: nobody's address is used
 * from then on. Errno. */
int group_media_join(struct group_media *m, const struct group_address *a);

/* group_media_close forgets all keys. NULL is allowed. */
void group_media_close(struct group_media *m);

uint16_t group_media_port(const struct group_media *m);

/* group_media_say makes our stream: crypto session cs_id of csb, from the ROC and SEQ that it has.
 * A former one is given up. */
MKT_MUST_USE enum mkt_rc group_media_say(struct group_media *m, const struct mkt_csb *csb,
                                         uint8_t cs_id, struct mkt_crypto *crypto,
                                         struct mkt_err *err);

/* group_media_hear takes what comes from v->ssrc for the voice of v->cs_id, under its key of csb,
 * from ROC and SEQ of v on. A former voice of that session of csb is given up; one under another
 * bundle is the same participant, whose timestamps go on. csb is borrowed until group_media_drop.
 */
MKT_MUST_USE enum mkt_rc group_media_hear(struct group_media *m, const struct mkt_csb *csb,
                                          const struct group_voice *v, struct mkt_crypto *crypto,
                                          struct mkt_err *err);

/* group_media_hears tells whether that voice is known. */
bool group_media_hears(const struct group_media *m, const struct group_voice *v);

/* group_media_drop gives up the voices under the keys of csb, or that of one session (0: all). */
void group_media_drop(struct group_media *m, const struct mkt_csb *csb, uint8_t cs_id);

/* group_media_send_to adds the address of a participant; group_media_forget takes it away. With
 * `forward`, what is authentic of others goes there too, as it came. */
MKT_MUST_USE bool group_media_send_to(struct group_media *m, uint8_t cs_id, const struct sa *to,
                                      bool forward);
void group_media_forget(struct group_media *m, uint8_t cs_id);

/* group_media_push begins our talking, or ends it. True: begun; never before there is a stream. */
bool group_media_push(struct group_media *m);
bool group_media_pushed(const struct group_media *m);

/* group_media_roster sends entries of the roster. */
void group_media_roster(struct group_media *m, struct mkt_span entries);

/* group_media_stands brings ROC and SEQ of v up to date: of a voice, or of our own stream. */
void group_media_stands(const struct group_media *m, struct group_voice *v);

struct group_counts {
    uint64_t sent, heard, lost, forwarded;
    uint64_t refused; /* not authentic, replayed, of nobody we know, or neither speech nor roster */
};

struct group_counts group_media_counts(const struct group_media *m);

/* group_media_heard borrows what was heard, all voices on one tape, as they came. */
struct audio group_media_heard(const struct group_media *m);

#endif
