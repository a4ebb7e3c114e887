/* SPDX-License-Identifier: Apache-2.0 */
/* What the roles share: the CSB that a transfer ends in, and the map of crypto sessions in an
 * answer. */
#ifndef MKT_ROLE_ROLE_H
#define MKT_ROLE_ROLE_H

#include "exchange/exchange.h"

/* --- csb_make.c ------------------------------------------------------------------------------ */

struct mkt_own_identity {
    uint8_t type;
    struct mkt_octets data;
};

/* A crypto session with octets of its own. */
struct mkt_csb_session {
    struct mkt_session s;     /* borrows from octets */
    struct mkt_octets octets; /* SPI, then the SP parameters */
    uint8_t key;              /* index of its session key */
};

/* A security policy that a message of the CSB has defined. */
struct mkt_csb_sp {
    uint8_t policy_no, prot_type;
    struct mkt_octets params;
};

enum mkt_update_state {
    MKT_UPDATE_NONE,
    MKT_UPDATE_SENT,
    MKT_UPDATE_RECEIVED, /* to be accepted or refused */
    MKT_UPDATE_REJECTED  /* can only be refused */
};

#define MKT_CSB_KEYS 16 /* keys kept from one update to the next, unless more are in use */

struct mkt_csb {
    uint32_t id;
    uint8_t prf;
    bool initiator;         /* our role in the initial exchange */
    bool answered;          /* the initial exchange ended with TRANSFER_RESP */
    bool alone;             /* at the Responder: the ticket names us, and nobody else */
    struct mkt_octets init; /* TRANSFER_INIT of the initial exchange */
    struct mkt_octets rand_i, rand_r, rand_kms; /* as they stood in its messages */
    struct mkt_own_identity id_i, id_r;         /* last established (ambiguity 4) */
    struct mkt_policy policy;                   /* borrows from init */
    uint8_t n_settled; /* of keys: those behind belong to an update that is not in effect yet */
    uint64_t last_t;   /* newest T sent or accepted, as mkt_csb_order has it */
    uint64_t seen_t; /* newest T of an authentic message, accepted or not: never to be sent again */
    uint64_t rekeyed; /* time of the last new key, NTP */
    uint8_t ts_type;
    size_t n, n_sp;             /* in use */
    size_t n_alloc, n_sp_alloc; /* made */
    struct mkt_csb_session *sessions;
    struct mkt_csb_sp *sps;
    enum mkt_update_state update_state;
    struct mkt_octets update; /* TRANSFER_INIT of the update under way */
    struct mkt_keys keys;
};
#define MKT_CSB_HEAD offsetof(struct mkt_csb, keys.k)

/* What a CSB is made of; everything is copied. */
struct mkt_csb_parts {
    const struct mkt_msg *init, *resp; /* TRANSFER_INIT, TRANSFER_RESP (NULL: F = 0) */
    const struct mkt_keys *keys;       /* MPKs first, TGKs of the ticket forked already */
    struct mkt_identity id_i, id_r;    /* as established */
    bool initiator, alone;
    uint64_t now;
};

/* Makes the CSB: every crypto session of the final map has exactly one known policy, session data
 * (for SRTP) and the SPI of a session key (4.2.2.3, 6.1.1). *csb is owned by the caller. */
enum mkt_rc mkt_csb_make(struct mkt_csb **csb, const struct mkt_csb_parts *parts,
                         struct mkt_err *err);

/* Takes from TRANSFER_INIT, of whose octets csb->init holds a copy: CSB ID, PRF, Ticket Policy,
 * which borrows from the copy, and RANDRi. */
enum mkt_rc mkt_csb_take_init(struct mkt_csb *csb, const struct mkt_msg *init, struct mkt_err *err);

/* Fills e with a copy of s. */
enum mkt_rc mkt_csb_session_set(struct mkt_csb_session *e, const struct mkt_session *s,
                                uint8_t key);

/* Takes over the crypto sessions and policies of an exchange: blocks replace or add sessions by CS
 * ID, others stay. Nothing changes on failure. resp NULL: the initial message is final. */
enum mkt_rc mkt_csb_apply(struct mkt_csb *csb, const struct mkt_msg *init,
                          const struct mkt_msg *resp, struct mkt_err *err);

/* The SP with that number and Prot type: response, initial message, then earlier exchanges of the
 * CSB (NULL: none). False when there is none. */
bool mkt_csb_find_sp(struct mkt_span *params, const struct mkt_csb *csb, const struct mkt_msg *resp,
                     const struct mkt_msg *init, uint8_t policy_no, uint8_t prot_type);

/* Checks the map of an update that is yet to be answered: policies known, SPIs those of keys unless
 * whoever answers may still supply some. */
enum mkt_rc mkt_csb_check_offer(const struct mkt_csb *csb, const struct mkt_msg *m,
                                bool keys_may_come, struct mkt_err *err);

/* --- csb_keys.c ------------------------------------------------------------------------------ */

/* Whether that party of the initial exchange may supply session keys (L, M). */
bool mkt_csb_may_supply(const struct mkt_csb *csb, bool initiator);

/* Adds keys that a party supplies; they are pending. */
enum mkt_rc mkt_csb_supply(struct mkt_csb *csb, const struct mkt_keys *extra, bool by_initiator,
                           struct mkt_err *err);

/* The same for keys of our own, which are checked first. NULL: none. */
enum mkt_rc mkt_csb_supply_own(struct mkt_csb *csb, const struct mkt_keys *own,
                               struct mkt_err *err);

/* Takes pending keys away. */
void mkt_csb_drop_pending(struct mkt_csb *csb);

/* The update is in effect: no key is pending, and old keys that are not in use go. */
void mkt_csb_settle(struct mkt_csb *csb, uint64_t now);

/* RFC6043:12.1: RANDRi (+ RANDRr if G) is at least as long as the longest MPK, TGK or GTGK. */
enum mkt_rc mkt_check_transfer_rands(const struct mkt_keys *keys, size_t rand_i, size_t rand_r,
                                     struct mkt_err *err);

/* Tests that the T of m is within skew_s seconds of now; skew_s = 0 and COUNTER: not tested. */
enum mkt_rc mkt_check_skew(const struct mkt_msg *m, uint64_t now, uint32_t skew_s,
                           struct mkt_err *err);

/* Makes timestamps of one type comparable as integers. */
uint64_t mkt_csb_order(uint8_t ts_type, uint64_t t64);

/* --- choice.c ------------------------------------------------------------------------------- */

/* A choice with octets of its own. */
struct mkt_own_choice {
    struct mkt_choose_cs *cs;
    struct mkt_pl_sp *sp;
    size_t n_cs, n_sp;
    struct mkt_octets blob; /* what the spans above point into */
    struct mkt_span sdp_ids;
    struct mkt_keys *keys; /* NULL: none */
};

/* Copies a choice; n_cs = 0 becomes every session of the offer with the first of its policies. */
enum mkt_rc mkt_choice_copy(struct mkt_own_choice *o, const struct mkt_choice *choice,
                            const struct mkt_msg *offer);
void mkt_choice_free(struct mkt_own_choice *o);

/* --- answer_map.c ---------------------------------------------------------------------------- */

/* Writes the GENERIC-ID blocks of an answer: what was chosen, else what was offered, else drawn
 * (an SSRC) or the SPI given here. False when the random number generator fails. */
bool mkt_answer_map_write(struct mkt_writer *w, const struct mkt_msg *offer,
                          const struct mkt_own_choice *choice, struct mkt_span default_spi,
                          const struct mkt_env *env);

/* Writes the GENERIC-ID blocks of an offer. */
void mkt_offer_map_write(struct mkt_writer *w, const struct mkt_offer_cs *cs, size_t n);

/* The SPI of the first session key; empty without one. */
struct mkt_span mkt_first_spi(const struct mkt_keys *keys);

#endif
