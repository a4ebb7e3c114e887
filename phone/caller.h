/* SPDX-License-Identifier: Apache-2.0 */
/* A call that we make, as caller.c begins it and caller_later.c goes on with it. */
#ifndef MKT_PHONE_CALLER_H
#define MKT_PHONE_CALLER_H

#include "invite.h"
#include "sdes.h"

/* What happens once the call stands. */
struct phone_later {
    struct tmr rekey;            /* when new keys are due */
    struct sip_request *request; /* our offer that is under way */
    struct phone_answer *answer; /* to offers of the callee; NULL before the first */
    struct sip_msg *offer;       /* theirs, answered and not acknowledged; NULL: none */
    struct mbuf *reply;
    struct tmr again; /* when the reply is due once more */
    unsigned repeats;
    bool new_keys; /* in it */
};

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
    struct phone_invite invite;
    struct list legs;
    struct caller_leg *winner;
    struct phone_description mine;
    struct phone_later later;
    bool asking; /* the offer is with the worker */
    bool heard;  /* something has come back */
    bool cancelled;
    bool unanswered; /* cancelled by the clock, to leave a message */
    struct tmr giving_up;
    unsigned redirections;
    struct le late; /* when the call is over: in phone->late, for 2xx that come then */
    struct tmr linger;
    bool over;
};

/* --- caller_legs.c --- */
/* caller_leg_find returns the leg of a tag of the other party, or NULL. */
struct caller_leg *caller_leg_find(const struct caller *c, const struct pl *tag);

/* caller_leg_of returns the leg that an answer to our INVITE belongs to, a new one if it is the
 * first of its branch. NULL without a tag or Contact, of which no dialog can be made. Owned by c.
 */
struct caller_leg *caller_leg_of(struct caller *c, const struct sip_msg *msg);

/* caller_leg_answer takes the answer of a leg, early or with the 2xx: its keys, and the first ones
 * only. What is refused is said. */
void caller_leg_answer(struct caller *c, struct caller_leg *leg, const struct sip_msg *msg);

/* --- caller_later.c --- */
/* phone_caller_stands begins what happens once the call stands with c->winner. */
void phone_caller_stands(struct caller *c);
/* phone_caller_offered takes a later offer of the winner, phone_caller_acked its ACK. */
void phone_caller_offered(struct caller *c, const struct sip_msg *msg);
void phone_caller_acked(struct caller *c);
void phone_later_end(struct phone_later *l);

#endif
