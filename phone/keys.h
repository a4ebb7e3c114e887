/* SPDX-License-Identifier: Apache-2.0 */
/* The MIKEY side of a call, apart from SIP: texts in, texts out, and a bundle of keys for each
 * party that answered. */
#ifndef MKT_PHONE_KEYS_H
#define MKT_PHONE_KEYS_H

#include "sent.h"
#include "srtp_suite.h"
#include "worker.h"

#include <mikeyticket/media/sdp.h>
#include <mikeyticket/responder.h>

#define PHONE_URI_MAX 256
#define PHONE_SKEW_S 300 /* how far the clock of a caller may be off */

/* --- the caller ------------------------------------------------------------------------------- */

/* A ticket for one callee and what is offered with it. */
struct phone_offer {
    struct phone_job job; /* first: asks the KMS for the ticket */
    char to[PHONE_URI_MAX];
    bool group; /* asks for a key that all who resolve the ticket share */
    struct mkt_initiator *initiator;
    struct mkt_policy want;
    struct mkt_grant *grant;
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX];
    size_t n_sp;
    struct mkt_sdp_map map;
    struct phone_sent sent;
    void *call; /* of the caller; NULL: given up */
};

/* phone_offer_new prepares to ask for a ticket to `to`: phone_worker_ask(&offer->job). NULL when
 * memory fails. */
struct phone_offer *phone_offer_new(const char *to, void (*done)(struct phone_job *job),
                                    void *call);
void phone_offer_free(struct phone_offer *offer);

/* phone_offer_value makes the offer and writes the value of its key-mgmt attribute into value (cap
 * octets). There is one m-line. */
MKT_MUST_USE bool phone_offer_value(struct phone_offer *offer, struct cli_client *client,
                                    const struct cli_args *args, char *value, size_t cap,
                                    struct cli_error *err);

/* phone_offer_answered reads the description of one answer, of any number. *csb is owned by the
 * caller. CLI_EXIT_PEER when it is refused. */
MKT_MUST_USE bool phone_offer_answered(struct phone_offer *offer, struct cli_client *client,
                                       struct mkt_span text, struct mkt_csb **csb,
                                       struct cli_error *err);

/* --- the callee ------------------------------------------------------------------------------- */

/* An offer that arrived, and the ticket in it on its way to the KMS. */
struct phone_answer {
    struct phone_job job; /* first: has the ticket resolved */
    uint8_t digest[32];   /* of the offer */
    struct mkt_responder *responder;
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX]; /* what we take */
    size_t n_sp;
    struct mkt_choose_cs *cs; /* owned */
    struct mkt_choice choice;
    struct mkt_sdp_map map;
    struct mkt_sdp sdp;   /* as it was agreed, without its lines */
    struct mkt_csb *csb;  /* once it is resolved */
    bool group;           /* of a group: the second session is ours, no m-line has a pair */
    enum mkt_rc refused;  /* why, for the other party; MKT_OK: nothing of the offer's */
    void *call;           /* of the callee; NULL: given up */
    struct cli_blob last; /* the last message of the caller */
    struct cli_blob out;  /* and our answer to it */
};

/* phone_answer_new looks at the description of an offer: everything that can be refused without the
 * KMS is. False: err says why, and *rc what to tell the other party. *answer is owned by the
 * caller: phone_worker_ask(&answer->job) has it resolved. `group`: the offer of a group call. */
MKT_MUST_USE bool phone_answer_new(struct phone_answer **answer, struct cli_client *client,
                                   const struct cli_args *args, struct mkt_span text, bool group,
                                   void (*done)(struct phone_job *job), void *call, enum mkt_rc *rc,
                                   struct cli_error *err);
void phone_answer_free(struct phone_answer *answer);

#define PHONE_SEEN 256 /* offers that are remembered */

/* Offers that were authentic, by their digests: the same one again is a replay (RFC 3830 5.4).
 * Older ones than PHONE_SKEW_S are stale anyway. */
struct phone_seen {
    uint8_t digest[PHONE_SEEN][32];
    size_t n, next;
};

/* phone_seen_has tells whether the offer of `answer` was there before; phone_seen_add remembers it,
 * once it has turned out authentic. */
bool phone_seen_has(const struct phone_seen *seen, const struct phone_answer *answer);
void phone_seen_add(struct phone_seen *seen, const struct phone_answer *answer);

/* phone_answer_value writes the value of the key-mgmt attribute of the answer. */
MKT_MUST_USE bool phone_answer_value(const struct phone_answer *answer, char *value, size_t cap);

/* --- later in the call ------------------------------------------------------------------------ */

/* phone_rekey_value makes an update of csb with a new key for every session, and writes the value
 * of its key-mgmt attribute: for either side that the ticket lets (L, M). */
MKT_MUST_USE bool phone_rekey_value(struct mkt_csb *csb, struct cli_client *client, char *value,
                                    size_t cap, struct cli_error *err);

/* phone_rekey_answered takes the description that answers it: the new keys are in csb then. `offer`
 * is the description of the call. */
MKT_MUST_USE bool phone_rekey_answered(struct mkt_csb *csb, struct cli_client *client,
                                       const struct mkt_sdp *offer, struct mkt_span text,
                                       struct cli_error *err);

/* What a later offer is about. */
enum phone_again {
    PHONE_AGAIN_SILENT, /* no word about keys: they stay, and the answer has none either */
    PHONE_AGAIN_SAME,   /* the message of before: so is the answer */
    PHONE_AGAIN_NEW     /* new keys, in a->csb; the answer is a->out */
};

/* phone_answer_again takes a later offer of the other party. False: nothing has changed; *rc says
 * what to tell the caller. */
MKT_MUST_USE bool phone_answer_again(struct phone_answer *a, struct cli_client *client,
                                     struct mkt_span text, enum phone_again *what, enum mkt_rc *rc,
                                     struct cli_error *err);

/* phone_answer_of_caller makes what takes later offers of the callee, for phone_answer_again; csb
 * stays with the caller. NULL when memory fails. */
struct phone_answer *phone_answer_of_caller(struct mkt_csb *csb, const struct phone_offer *offer);

#endif
