/* SPDX-License-Identifier: Apache-2.0 */
/* One member in the initiator's group call: the INVITE, its dialog and its keys (group_leg.c). What
 * it means for the group is group.c. */
#ifndef MKT_PHONE_GROUP_LEG_H
#define MKT_PHONE_GROUP_LEG_H

#include "group.h"
#include "invite.h"

enum leg_state { LEG_OUT, LEG_CALLED, LEG_IN };

struct leg {
    struct le le;
    struct group *group;
    struct group_keys *keys; /* of the ticket it was called with */
    const char *uri;         /* of the options */
    enum leg_state state;
    bool due, cancelled; /* due: to be called in this round */
    struct group_offer offer;
    struct phone_description mine;
    struct mbuf *description;
    struct phone_invite invite;
    struct sip_dialog *with; /* of the one who answered first; NULL: nobody */
    char tag[64];
    struct sip_request *asked; /* whether it is still there */
    struct mkt_csb *csb;
    char name[GROUP_NAME_MAX]; /* as vouched for */
    struct sa to;
};

struct group {
    struct phone_call call; /* first */
    struct group_keys *keys;
    struct group_keys *next;   /* of a new ticket, on their way to the members; NULL: none */
    struct group_keys *former; /* under which somebody may still talk; NULL: none */
    struct group_media *media;
    struct list legs;
    bool asking; /* a ticket is with the worker */
    bool begun;  /* somebody has joined with these keys: we talk */
    bool stale;  /* somebody who has left has our keys: nobody joins before there are others */
    bool ending, renew_again;
    bool call_again; /* who is out, as soon as no keys are under way */
    struct tmr roster, linger, renew, retire;
    char kms[GROUP_NAME_MAX]; /* empty: nobody has ever joined */
};

/* leg_new adds a leg for session cs_id, out. Owned by the group; mem_deref. NULL without memory. */
struct leg *leg_new(struct group *g, struct group_keys *keys, const char *uri, uint8_t cs_id);

/* leg_begin calls the member, for the first time or again. */
void leg_begin(struct leg *leg);

/* leg_cancel takes an INVITE back: 487 ends it. leg_bye ends what stands; the leg is out. */
void leg_cancel(struct leg *leg);
void leg_bye(struct leg *leg);

/* legs_ask asks the phones of all who are in whether they are still there: one that has crashed, or
 * has come back since, is out, and will be called again. */
void legs_ask(struct group *g);

/* group_look tells how the call of the group stands: who is in. */
void group_look(const struct phone_call *call, struct phone_look *look);

/* leg_gone gives up the keys of a leg that is out, and all that came of them. */
void leg_gone(struct leg *leg);

/* leg_request takes a request in the dialog of leg. leg_answered takes a 2xx. */
bool leg_request(struct leg *leg, const struct sip_msg *msg);
void leg_answered(struct leg *leg, const struct sip_msg *msg);

/* For group.c: a leg is in, its keys verified; false when the group cannot have it. A leg is out,
 * with leg->state as it was before; the group may be over after that. */
MKT_MUST_USE bool group_leg_in(struct leg *leg, struct cli_error *err);
void group_leg_out(struct leg *leg);

#endif
