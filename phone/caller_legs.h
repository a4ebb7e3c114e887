/* SPDX-License-Identifier: Apache-2.0 */
/* One branch of a call that we make: who has answered there, with which keys (caller_legs.c). What
 * it means for the call is caller.c. */
#ifndef MKT_PHONE_CALLER_LEGS_H
#define MKT_PHONE_CALLER_LEGS_H

#include "sdes.h"

struct caller_leg {
    struct le le;
    struct sip_dialog *dialog;
    char tag[64];
    struct mkt_csb *csb; /* NULL: SDES */
    struct phone_sdes sdes;
    struct phone_stream *stream;
    struct sa to;
    bool confirmed; /* a 2xx has come */
    bool refused;   /* its keys did not verify */
};

struct caller {
    struct phone_call call; /* first */
    struct phone_offer *offer;
    struct phone_sdes sdes;                         /* what is offered of it */
    char uri[PHONE_URI_MAX], target[PHONE_URI_MAX]; /* whom we call, and where */
    struct mbuf *description;
    struct sip_dialog *dialog; /* before it forks */
    struct sip_request *request;
    struct sip_auth *auth;
    struct list legs;
    struct caller_leg *winner;
    struct phone_description mine;
    struct tmr rekey; /* when new keys are due */
    struct sip_request *reoffer;
    bool asking; /* the offer is with the worker */
    bool heard;  /* something has come back */
    bool cancelled;
    bool unanswered; /* cancelled by the clock, to leave a message */
    struct tmr giving_up;
    unsigned challenges, redirections;
    struct le late; /* when the call is over: in phone->late, for 2xx that come then */
    struct tmr linger;
    bool over;
};

/* caller_leg_find returns the leg of a tag of the other party, or NULL. */
struct caller_leg *caller_leg_find(const struct caller *c, const struct pl *tag);

/* caller_leg_of returns the leg that an answer to our INVITE belongs to, a new one if it is the
 * first of its branch. NULL without a tag or Contact, of which no dialog can be made. Owned by c.
 */
struct caller_leg *caller_leg_of(struct caller *c, const struct sip_msg *msg);

/* caller_leg_answer takes the answer of a leg, early or with the 2xx: its keys, and the first ones
 * only. What is refused is said. */
void caller_leg_answer(struct caller *c, struct caller_leg *leg, const struct sip_msg *msg);

/* caller_leg_bye ends it, caller_leg_ack acknowledges the 2xx in msg. */
void caller_leg_bye(struct caller *c, struct caller_leg *leg);
void caller_leg_ack(struct caller *c, struct caller_leg *leg, const struct sip_msg *msg);

#endif
