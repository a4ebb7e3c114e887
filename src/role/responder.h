/* SPDX-License-Identifier: Apache-2.0 */
/* The Responder's object, shared by the file that takes its steps and the one that writes answers.
 */
#ifndef MKT_ROLE_RESPONDER_H
#define MKT_ROLE_RESPONDER_H

#include "role/role.h"

/* A choice with octets of its own. */
struct mkt_own_choice {
    struct mkt_choose_cs *cs;
    struct mkt_pl_sp *sp;
    size_t n_cs, n_sp;
    struct mkt_octets blob; /* what the spans above point into */
    struct mkt_span sdp_ids;
};

/* Copies a choice; n_cs = 0 becomes every session of the offer with the first of its policies. */
enum mkt_rc mkt_choice_copy(struct mkt_own_choice *o, const struct mkt_choice *choice,
                            const struct mkt_msg *offer);
void mkt_choice_free(struct mkt_own_choice *o);

struct mkt_responder {
    struct mkt_own_credential own;
    struct mkt_octets octets; /* TRANSFER_INIT as received */
    struct mkt_msg offer;     /* cut from octets */
    struct mkt_policy policy; /* of its ticket */
    bool parsed, has_offer;
    struct mkt_own_choice choice;
    struct mkt_kms_exchange resolve;
    uint8_t established[MKT_MAC_MAX]; /* MAC of the offer last answered: its copy is a replay */
    size_t established_len;
};

/* What an answer is made of, besides the offer and the choice. */
struct mkt_answer {
    const struct mkt_responder *r;
    const struct mkt_keys *keys;
    struct mkt_identity idr;  /* of RESOLVE_RESP; absent: none */
    struct mkt_span rand_kms; /* likewise */
};

/* Writes TRANSFER_RESP into io (SEND_PEER), or nothing when F = 0 (DONE), and makes the CSB. */
enum mkt_next mkt_answer_write(const struct mkt_answer *a, const struct mkt_env *env,
                               struct mkt_io *io, struct mkt_csb **csb);

#endif
