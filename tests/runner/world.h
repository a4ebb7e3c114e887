/* SPDX-License-Identifier: Apache-2.0 */
/* The parties of a vector: who they are, what keys they have, a random generator that gives the
 * recorded values, and a KMS small enough to read: the library's KMS side with tables of its own.
 */
#ifndef MKT_RUNNER_WORLD_H
#define MKT_RUNNER_WORLD_H

#include "pki.h"

#include <mikeyticket/kms.h>
#include <mikeyticket/responder.h>

#define RN_PARTIES 8
#define RN_SEEN_MAX 8
#define RN_SKEW_S 300 /* seconds a timestamp may be off */

/* --- inject.c: recorded values in place of a random generator and a clock ------------------- */

struct rn_draw {
    const char *name;
    bool time;
    uint8_t ts_type;
    struct mkt_span value;
};

struct rn_inject {
    struct rn *r;
    struct rn_draw *draw;
    size_t n, next;
    uint64_t filler; /* with n = 0: octets and times are counted up from here */
    uint64_t now;
};

/* rn_inject_steps takes the random and time steps in their order, the keys in `keys` left out. */
void rn_inject_steps(struct rn *r, struct rn_inject *in, json_t *steps, json_t *keys);

/* rn_inject_drop takes out the first random value of these octets: no role draws it. False when
 * there is none. rn_inject_has: whether there is one. */
bool rn_inject_drop(struct rn_inject *in, struct mkt_span value);
bool rn_inject_has(const struct rn_inject *in, struct mkt_span value);

/* rn_inject_message takes what a message we once made holds: CSB ID, RANDR, T. */
void rn_inject_message(struct rn *r, struct rn_inject *in, const struct mkt_msg *m);

/* rn_inject_answer takes what an answer in a Ticket Transfer holds: RANDRr, T. */
void rn_inject_answer(struct rn *r, struct rn_inject *in, const struct mkt_msg *m);

/* rn_inject_filler gives values that are in no vector. */
void rn_inject_filler(struct rn *r, struct rn_inject *in);

/* rn_inject_end makes values that nobody asked for a fault. */
void rn_inject_end(struct rn *r, const char *where, const struct rn_inject *in);

/* rn_env gives the world to a role; `in` must outlive it. */
struct mkt_env rn_env(struct rn *r, struct rn_inject *in, uint64_t now);

/* --- world.c -------------------------------------------------------------------------------- */

struct rn_party {
    const char *name; /* initiator, responder, third, kms */
    struct mkt_identity id;
    struct mkt_span psk_id;
    struct mkt_inkey_mem psk;
};

struct rn_tpk { /* a key that protects tickets */
    const char *name;
    struct mkt_identity owner; /* who shares it with the KMS; data.p NULL: nobody */
    struct mkt_span id;        /* IDRpsk of the Ticket Data */
    struct mkt_inkey_mem key;
};

struct rn_world {
    size_t n_party, n_tpk;
    struct rn_party party[RN_PARTIES];
    struct rn_tpk tpk[RN_PARTIES];
    const struct rn_party *kms;
    const struct rn_party *peer; /* another KMS, with the key it shares with ours; NULL: none */
    const struct rn_tpk *own;    /* the TPK of the KMS alone */
    struct mkt_grant_rules rules;
    uint64_t default_keys; /* session keys when the request names none */
    bool default_salt;
    bool adjust; /* the KMS vouches for the identity in the ticket, not for the one that asked */
    json_t *groups;
    struct rn_pki pki;
    uint64_t now;
    struct mkt_kms_txn *txn;
    size_t n_seen;
    struct mkt_span seen[RN_SEEN_MAX]; /* the replay cache */
};

/* rn_world_load reads `inputs`; rn_world_free ends it. */
void rn_world_load(struct rn *r, struct rn_world *w, json_t *inputs);
void rn_world_free(struct rn_world *w);

/* rn_party_named returns the party, or reports a fault and returns the first. */
const struct rn_party *rn_party_named(struct rn *r, const struct rn_world *w, const char *name);

/* rn_party_with returns the party with that identity, or NULL. */
const struct rn_party *rn_party_with(const struct rn_world *w, struct mkt_identity id);

/* rn_tpk_with returns the TPK with that IDRpsk, or NULL. rn_tpk_of: the one a party shares. */
const struct rn_tpk *rn_tpk_with(const struct rn_world *w, struct mkt_span id);
const struct rn_tpk *rn_tpk_of(const struct rn_world *w, struct mkt_identity owner);

/* rn_client_of returns whose credential a message to the KMS names, or NULL. */
const struct rn_party *rn_client_of(const struct rn_world *w, const struct mkt_kms_ask *ask);

/* rn_identity_of reads "uri:sip:bob@example.com", "nai:..." or "hex:...". */
struct mkt_identity rn_identity_of(struct rn *r, const char *text);

/* rn_replayed says whether a message with that MAC was accepted before, and remembers it. */
bool rn_replayed(struct rn *r, struct rn_world *w, struct mkt_span fingerprint);

/* rn_stale says whether the timestamp is off by more than RN_SKEW_S. */
bool rn_stale(const struct rn_world *w, const struct mkt_time *t);

/* rn_kms_answer answers io->in as a KMS with the tables of w. `like`: the recorded answer, for what
 * the KMS decides freely (THDR data, IDRpsk of the ticket); NULL: neither. Returns MKT_OK when it
 * gave what was asked for, else the reason why it refused; io->out holds the answer, if any. */
enum mkt_rc rn_kms_answer(struct rn *r, struct rn_world *w, const struct mkt_env *env,
                          const struct mkt_msg *like, struct mkt_io *io);

/* --- build.c: what a role was told, taken from the message it then made ---------------------- */

/* rn_credential_of fills cred for the sender of a REQUEST_INIT or RESOLVE_INIT. */
void rn_credential_of(struct rn *r, const struct rn_world *w, const struct rn_party *who,
                      const struct mkt_inkey *psk, const struct mkt_msg *m,
                      struct mkt_credential *cred);

/* rn_offer_of fills the offer that a TRANSFER_INIT to `to` was made of. */
void rn_offer_of(struct rn *r, const struct mkt_msg *m, struct mkt_identity to,
                 struct mkt_offer *offer);

/* rn_choice_of fills the choice behind a TRANSFER_RESP; first_spi: of the first session key. */
void rn_choice_of(struct rn *r, const struct mkt_msg *offer, const struct mkt_msg *answer,
                  struct mkt_span first_spi, struct mkt_choice *choice);

/* rn_whole_choice_of fills the choice with all that the answer has, so that nothing is drawn. */
void rn_whole_choice_of(struct rn *r, const struct mkt_msg *answer, struct mkt_choice *choice);

/* rn_sps_of lists the SPs of a message. */
const struct mkt_pl_sp *rn_sps_of(struct rn *r, const struct mkt_msg *m, size_t *n);

/* rn_ticket_of returns the TICKET payload of m, or NULL. */
const struct mkt_pl_ticket *rn_ticket_of(const struct mkt_msg *m);

#endif
