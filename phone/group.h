/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of a group (RFC 6043 9): the initiator calls every member with one ticket, whose group key
 * (GTGK) all of them share, and the KMS decides who may resolve it. Each participant talks in a
 * crypto session of its own, so under a key of its own derived from the group's, and with an SSRC
 * drawn by itself. */
#ifndef MKT_PHONE_GROUP_H
#define MKT_PHONE_GROUP_H

#include "group_roster.h"
#include "phone.h"

/* --- the initiator's keys (group_keys.c) ------------------------------------------------------ */

/* One ticket for the group, and what is known of every session under its key. */
struct group_keys {
    struct phone_offer *ticket;
    struct mkt_pl_sp sp; /* one suite for all */
    uint8_t first[MKT_MSG_MAX];
    size_t first_len; /* the first TRANSFER_INIT: others have its CSB ID and RANDRi */
    size_t n;         /* members called; sessions 2 to n + 1 are theirs */
    struct group_voice voice[PHONE_MEMBERS_MAX + 2]; /* by CS ID */
    bool in[PHONE_MEMBERS_MAX + 2];       /* the voice is that of somebody who has joined */
    uint32_t used[4 * PHONE_MEMBERS_MAX]; /* every SSRC that anybody had: none comes again */
    size_t n_used;
};

/* group_keys_begin draws the initiator's SSRC and SEQ for n members, once the ticket is there.
 * False when it has no group key, or its keys would tell members apart. */
MKT_MUST_USE bool group_keys_begin(struct group_keys *k, size_t n, const struct cli_args *args,
                                   struct cli_error *err);

/* group_keys_begin_at has our stream begin at that index, ROC * 65536 + SEQ; UINT64_MAX: where it
 * would. */
void group_keys_begin_at(struct group_keys *k, uint64_t index);

/* group_keys_left returns the milliseconds until nobody can join with the ticket of csb any more;
 * UINT64_MAX when it has no end. */
uint64_t group_keys_left(const struct mkt_csb *csb);

/* What one member was offered. */
struct group_offer {
    uint8_t cs_id; /* the member's session */
    struct mkt_initiator *initiator;
    struct phone_sent sent;
    uint32_t ssrc[PHONE_MEMBERS_MAX + 2]; /* of the others' sessions, by CS ID */
};

/* group_offer_value makes the offer for session o->cs_id and writes the value of its key-mgmt
 * attribute. Streams that others have begun are offered with the ROC and SEQ of k->voice. */
MKT_MUST_USE bool group_offer_value(struct group_offer *o, struct group_keys *k,
                                    struct cli_client *client, char *value, size_t cap,
                                    struct cli_error *err);

/* group_offer_answered verifies the description of an answer and takes the SSRC of the member into
 * k->voice. *csb is owned by the caller. Refused are an SSRC that anybody had before and an answer
 * that changes the sessions of others. */
MKT_MUST_USE bool group_offer_answered(struct group_offer *o, struct group_keys *k,
                                       struct cli_client *client, struct mkt_span text,
                                       struct mkt_csb **csb, struct cli_error *err);

void group_offer_free(struct group_offer *o);

/* --- the initiator's call (group.c) ----------------------------------------------------------- */

/* phone_group_make calls p->o->members, with a ticket for the group p->o->callee. */
MKT_MUST_USE bool phone_group_make(struct phone *p, struct cli_error *err);

/* phone_group_response takes a 2xx to an INVITE whose transaction is over, phone_group_request a
 * request of a member. False: neither is ours. */
bool phone_group_response(const struct sip_msg *msg, void *phone);
bool phone_group_request(const struct sip_msg *msg, void *phone);

/* --- a member's call (group_member.c) --------------------------------------------------------- */

/* phone_member_invite takes an INVITE of a group call. False: it is none. */
bool phone_member_invite(const struct sip_msg *msg, struct phone *p);

/* --- both ------------------------------------------------------------------------------------- */

/* phone_group_description makes a description of audio and roster at `port`. Errno. */
int phone_group_description(struct phone_description *d, const struct phone *p, uint16_t port);

/* phone_group_description_write encodes it with that key-mgmt value, and with the multicast group
 * if that is set. *mb is owned by the caller. */
MKT_MUST_USE bool phone_group_description_write(struct phone_description *d, bool offer,
                                                const char *value, const struct group_address *a,
                                                struct mbuf **mb);

/* phone_group_name writes an identity as text; false for one that fits no roster. */
MKT_MUST_USE bool phone_group_name(char name[GROUP_NAME_MAX], struct mkt_identity id);

/* phone_group_begun starts the clocks of the call and of --hang-up. */
void phone_group_begun(struct phone_call *call);

/* phone_group_look adds what the media of a call tells, phone_group_look_at one who is in it. */
void phone_group_look(struct phone_look *look, const struct group_media *media);
void phone_group_look_at(struct phone_look *look, const char *name);

/* phone_group_played hangs up when that was asked for (--hang-up played). */
void phone_group_played(struct phone_call *call);

/* phone_group_over reports what was heard and ends the call (phone_call_over). */
void phone_group_over(struct phone_call *call, struct group_media *media, enum cli_exit code,
                      const char *why);

#endif
