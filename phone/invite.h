/* SPDX-License-Identifier: Apache-2.0 */
/* An INVITE of ours, whoever makes it: a call, one member of a group call, a mailbox that is asked.
 * A session over libre's dialogs, because every branch of a fork counts
 * (docs/decisions/0052-sip.md); what the answers mean is for whoever has it. */
#ifndef MKT_PHONE_INVITE_H
#define MKT_PHONE_INVITE_H

#include "phone.h"

struct phone_invite {
    void *of; /* whose it is: set by the owner, for the handler of answers */
    const struct phone *phone;
    struct sip_dialog *dialog; /* before it forks */
    struct sip_auth *auth;
    struct sip_request *request; /* under way; NULL: it was answered, or not sent yet */
    unsigned challenges;         /* that were met */
};

/* phone_invite_open makes the dialog to `to`, sent to uri, over that proxy (NULL: none), in the
 * place of a former one; what has been authenticated stays. False: without memory, or when one of
 * them is no URI. Freed with phone_invite_end. */
MKT_MUST_USE bool phone_invite_open(struct phone_invite *i, struct phone *p, const char *uri,
                                    const char *to, const char *proxy);
void phone_invite_end(struct phone_invite *i);

/* phone_invite_send sends an INVITE with that description (NULL: none) in a dialog: the first in
 * i->dialog, a later one in that of a branch. *request is NULL again once it is answered;
 * `answered` has i as its argument. Errno. */
int phone_invite_send(struct phone_invite *i, struct sip_request **request,
                      struct sip_dialog *dialog, const struct mbuf *description,
                      sip_resp_h *answered);

/* phone_invite_challenged tells whether msg asks who we are and we can say so: it is to be sent
 * again, but not without end (RFC 3261 22.2). */
bool phone_invite_challenged(struct phone_invite *i, const struct sip_msg *msg);

/* phone_invite_is_taken tells whether msg is a 2xx to it, of whatever branch. The first one ends
 * the transaction: the others come by themselves (RFC 3261 13.2.2.4). */
bool phone_invite_is_taken(const struct phone_invite *i, const struct sip_msg *msg);

/* phone_invite_ack acknowledges the 2xx in msg, phone_invite_bye ends what stands then: in the
 * dialog of that branch. */
void phone_invite_ack(const struct phone_invite *i, struct sip_dialog *dialog,
                      const struct sip_msg *msg);
void phone_invite_bye(const struct phone_invite *i, struct sip_dialog *dialog);

/* phone_invite_why writes why there is no call: the code and the words of the answer, or behind
 * `unreached` what kept it from being sent (msg is NULL, err an errno). */
#define PHONE_WHY_MAX 128
void phone_invite_why(char why[PHONE_WHY_MAX], const char *unreached, int err,
                      const struct sip_msg *msg);

#endif
