/* SPDX-License-Identifier: Apache-2.0 */
/* One whole run: the messages of the vector and the roles that make them again. A run has one or
 * more Ticket Transfers one after the other, each perhaps with CSB updates behind it. */
#ifndef MKT_RUNNER_FLOW_H
#define MKT_RUNNER_FLOW_H

#include "world.h"

struct sent { /* a message of the vector */
    const char *name, *from, *to;
    struct mkt_span octets;
    struct mkt_msg *m;
};

struct holder { /* what a party keeps from one transfer to the next */
    struct mkt_initiator *initiator;
    struct mkt_grant *grant;
    struct mkt_resolution *resolution;
};

struct flow {
    struct rn *r;
    struct rn_world w;
    struct rn_inject inject;
    struct mkt_env env;
    json_t *steps;
    struct sent *msg;
    size_t n;
    struct mkt_initiator *initiator;
    struct mkt_responder *responder;
    struct mkt_grant *grant;
    struct mkt_csb *csb_i, *csb_r;
    struct mkt_span reaction; /* what the Responder made of RESOLVE_RESP */
    uint64_t offered_at;      /* clock when TRANSFER_INIT was made */
    enum mkt_rc refused;      /* why the last Error message was sent */

    struct holder holder[RN_PARTIES]; /* of those whose turn it is not */
    const struct rn_party *sender;    /* whose initiator and grant are above; NULL: nobody's */
    const struct rn_party *answerer;  /* of the transfer under way, once known */
    size_t n_transfers, n_updates;
    size_t offer, update;         /* the last TRANSFER_INIT of either kind, indices of msg */
    bool compared;                /* the transfer under way with its outputs */
    bool foreign;                 /* our CSB would not have sent the update */
    size_t step;                  /* where the steps of the exchange under way begin */
    struct mkt_kms_txn *peer_txn; /* the other KMS: what it forwards, and how */
    struct mkt_kms_forward *forward;
};

/* --- kind_flow.c: helpers for the others ----------------------------------------------------- */

/* rn_sent_of_type returns the first message of that data type, or NULL. */
const struct sent *rn_sent_of_type(const struct flow *f, uint8_t data_type);

/* rn_made compares what a role made with message s. */
bool rn_made(struct flow *f, const struct sent *s, enum mkt_next next, enum mkt_next want,
             const struct mkt_io *io);

struct mkt_io rn_io_with(struct flow *f, struct mkt_span in);

/* rn_credential_psk returns the PSK of a sender, or the one that made the recorded auth_key. */
const struct mkt_inkey *rn_psk_of(struct flow *f, const struct rn_party *who, const struct sent *s);

/* rn_take_offer delivers the offer under way to a Responder of its own for `who`; `i`: the message
 * being made; resolve: the RESOLVE_INIT it is known by, or NULL. */
bool rn_take_offer(struct flow *f, size_t i, const struct rn_party *who,
                   const struct sent *resolve);

/* rn_answer_after returns the TRANSFER_RESP of the transfer under way behind message i, or NULL. */
const struct sent *rn_answer_after(const struct flow *f, size_t i);

/* rn_choice fills the choice behind an answer to `offer`; answer NULL: what the role does itself.
 */
void rn_choice(struct flow *f, const struct sent *offer, const struct sent *answer,
               struct mkt_choice *choice);

/* rn_rc_of_error returns a code that gives the Error no of m. */
enum mkt_rc rn_rc_of_error(const struct mkt_msg *m);

/* rn_answered_by returns the index of the message that message i answers; i when there is none. */
size_t rn_answered_by(const struct flow *f, size_t i);

/* --- flow_keys.c: what was supplied, from the recorded plaintexts ---------------------------- */

/* rn_keys_of returns the keys in a KEMAC; NULL without one. */
const struct mkt_keys *rn_keys_of(struct flow *f, const struct mkt_payload *kemac);

/* rn_drop_supplied takes the keys that the parties supply out of the values to be drawn. */
void rn_drop_supplied(struct flow *f);

/* rn_own_ticket makes the ticket of `offer` again as its Initiator made it (modes 3 and 4). */
void rn_own_ticket(struct flow *f, const struct sent *offer);

/* rn_tpk_of_ticket returns the TPK that protects the ticket of m: the one it names, else the one
 * that opens it; NULL when none does. */
const struct rn_tpk *rn_tpk_of_ticket(struct flow *f, const struct mkt_msg *m);

/* --- flow_transfer.c: Ticket Transfers ------------------------------------------------------- */

/* rn_is_update tells whether a TRANSFER_INIT belongs to a CSB that exists. */
bool rn_is_update(const struct mkt_msg *m);

/* rn_who returns the party that sends s: by its name in the first transfer, by its identity in
 * later ones, where the names are those of roles. */
const struct rn_party *rn_who(struct flow *f, const struct sent *s);

void rn_switch_sender(struct flow *f, const struct rn_party *who);

/* rn_begin_transfer ends the transfer before and finds the ticket for message i. */
void rn_begin_transfer(struct flow *f, size_t i);

/* rn_end_transfer completes both ends and compares them with the outputs. */
void rn_end_transfer(struct flow *f);

/* rn_group_of returns an earlier TRANSFER_INIT with the CSB ID and RANDRi of message i. */
struct mkt_span rn_group_of(const struct flow *f, size_t i);

/* rn_respond_alone answers the offer without the KMS: modes 2 and 4, or a ticket resolved before.
 */
void rn_respond_alone(struct flow *f, size_t i, const struct rn_party *who);

void rn_flow_free(struct flow *f);

/* --- flow_update.c: CSB updates -------------------------------------------------------------- */

void rn_send_update(struct flow *f, size_t i);
void rn_answer_update(struct flow *f, size_t i);
void rn_refuse_update(struct flow *f, size_t i);

/* rn_in_update tells whether message i belongs to an update. */
bool rn_in_update(const struct flow *f, size_t i);

/* --- flow_kms2.c: another KMS in between ----------------------------------------------------- */

/* rn_order_legs moves the messages between KMSs to where they are sent. */
void rn_order_legs(struct flow *f);

/* rn_peer_forwards makes RESOLVE_INIT i of the other KMS; rn_peer_answers its RESOLVE_RESP i. */
void rn_peer_forwards(struct flow *f, size_t i);
void rn_peer_answers(struct flow *f, size_t i);

/* rn_is_leg tells a message between the KMSs, rn_is_for_peer a RESOLVE_INIT that makes one. */
bool rn_is_leg(const struct flow *f, const struct sent *s);
bool rn_is_for_peer(const struct flow *f, const struct sent *s);

/* --- flow_outputs.c --------------------------------------------------------------------------- */

/* rn_check_outputs compares what is left of `outputs` at the end of a run. */
void rn_check_outputs(struct flow *f);

/* rn_check_csbs compares both CSBs with the session keys in outputs[key], when they are there, and
 * with each other; `i` is the TRANSFER_INIT whose steps belong to them. */
void rn_check_csbs(struct flow *f, const char *key, size_t i);

#endif
