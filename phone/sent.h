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

/* phone_sdp_take decides what a description of at most PHONE_SDP_MAX octets asks for, and decodes
 * its messages (mkt_sdp_take): they are good until the next one is taken. In the main loop only. */
MKT_MUST_USE enum mkt_sdp_next phone_sdp_take(struct mkt_sdp_keys *keys, const struct mkt_sdp *sdp,
                                              enum mkt_sdp_kind kind, struct mkt_err *why);

/* phone_sdp_take_answer does so with the answer `text` to the description `offer`, of any number of
 * octets. */
MKT_MUST_USE enum mkt_sdp_next phone_sdp_take_answer(struct mkt_sdp_keys *keys,
                                                     const struct mkt_sdp *offer,
                                                     struct mkt_span text, struct mkt_err *why);

/* phone_sent_answered has `initiator` take the message in the description of an answer. *csb is
 * owned by the caller, NULL when it is refused: CLI_EXIT_PEER. */
MKT_MUST_USE bool phone_sent_answered(const struct phone_sent *s, struct mkt_initiator *initiator,
                                      struct cli_client *client, struct mkt_span text,
                                      struct mkt_csb **csb, struct cli_error *err);

#endif
