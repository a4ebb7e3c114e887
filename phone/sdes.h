/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in the description itself (RFC 4568), for calls with phones that know nothing better: only
 * when the user has asked for them (--keying), and said aloud whenever they are used. */
#ifndef MKT_PHONE_SDES_H
#define MKT_PHONE_SDES_H

#include "phone.h"

#include <mikeyticket/media/sdes.h>

/* What we offer, by tag, or the one that we answer with; and what the other party sends under. */
struct phone_sdes {
    size_t n;
    struct mkt_sdes ours[CLI_SRTP_LIST_MAX], theirs;
};

/* phone_sdes_offer draws a key for each suite of --srtp, or for those that many know, and puts
 * their lines into d. */
MKT_MUST_USE bool phone_sdes_offer(struct phone_sdes *s, const struct cli_args *args,
                                   struct phone_description *d, struct cli_error *err);

/* phone_sdes_is tells whether a description has no word about MIKEY, so that its a=crypto lines are
 * what there is. */
bool phone_sdes_is(struct mkt_span text);

/* phone_sdes_answered takes the line of an answer that was read into d: `of` gets what we offered
 * under its tag, and it. `offer` is the description that is answered, `text` the answer.
 * CLI_EXIT_PEER. */
MKT_MUST_USE bool phone_sdes_answered(struct phone_sdes *of, const struct phone_sdes *offered,
                                      const struct mkt_sdp *offer, struct mkt_span text,
                                      const struct phone_description *d, struct cli_error *err);

/* phone_sdes_choose takes the first line of an offer, read into d, that --srtp allows, draws a key
 * for the answer, and puts its line into d. CLI_EXIT_PEER when there is none. */
MKT_MUST_USE bool phone_sdes_choose(struct phone_sdes *s, const struct cli_args *args,
                                    struct phone_description *d, struct cli_error *err);

/* phone_sdes_again tells whether a later offer, read into d, has the key of before. */
bool phone_sdes_again(const struct phone_sdes *s, const struct phone_description *d);

/* phone_sdes_look_again takes a later offer and reads it into d: its key is that of before.
 * `agreed`: the m-lines of the call. */
MKT_MUST_USE enum mkt_rc phone_sdes_look_again(const struct phone_sdes *s,
                                               const struct mkt_sdp *agreed, struct mkt_span text,
                                               struct phone_description *d, struct mbuf *mb,
                                               struct sa *to, struct mkt_err *why);

/* phone_sdes_settled leaves the one line in d that later offers have; s is NULL: none. */
void phone_sdes_settled(const struct phone_sdes *s, struct phone_description *d);

/* phone_sdes_forbidden tells whether d has a line of a=crypto: beside keys of MIKEY-TICKET, or
 * where none may be (RFC 4568 5.1.2). */
bool phone_sdes_forbidden(const struct phone_description *d);

/* phone_sdes_keyed opens a stream under these keys, and says what they are worth. `bid_down`: we
 * had offered better. */
MKT_MUST_USE bool phone_sdes_keyed(struct phone_call *call, const struct phone_sdes *s,
                                   bool bid_down, struct phone_stream **stream,
                                   struct cli_error *err);

/* phone_sdes_say_rekey says how long the keys may be used, and sees to it that the call ends then.
 */
void phone_sdes_say_rekey(struct phone_call *call, const struct phone_sdes *s);

void phone_sdes_wipe(struct phone_sdes *s);

#endif
