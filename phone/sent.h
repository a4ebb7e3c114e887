/* SPDX-License-Identifier: Apache-2.0 */
/* A description that was sent with an offer, as its answers are compared with. */
#ifndef MKT_PHONE_SENT_H
#define MKT_PHONE_SENT_H

#include "client.h"

#include <mikeyticket/media/sdp.h>

#define PHONE_SDP_MAX 16384 /* octets of a description that is taken */

struct phone_sent {
    struct cli_blob text;
    struct mkt_sdp sdp; /* borrows from it */
};

/* phone_sent_keep keeps the description `text`, in the place of a former one. */
MKT_MUST_USE bool phone_sent_keep(struct phone_sent *s, struct mkt_span text,
                                  struct cli_error *err);
void phone_sent_free(struct phone_sent *s);

/* phone_sent_answered has `initiator` take the message in the description of an answer. *csb is
 * owned by the caller, NULL when it is refused: CLI_EXIT_PEER. */
MKT_MUST_USE bool phone_sent_answered(const struct phone_sent *s, struct mkt_initiator *initiator,
                                      struct cli_client *client, struct mkt_span text,
                                      struct mkt_csb **csb, struct cli_error *err);

#endif
