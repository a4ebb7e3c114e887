/* SPDX-License-Identifier: Apache-2.0 */
/* The Responder's object, shared by the file that takes its steps and the one that writes answers.
 */
#ifndef MKT_ROLE_RESPONDER_H
#define MKT_ROLE_RESPONDER_H

#include "role/role.h"

/* A resolved ticket: what the Responder got for it, from the KMS or by its own TPK (5.3: kept for
 * reuse, with the same modifier). */
struct mkt_resolution {
    struct mkt_policy policy;    /* borrows from ticket */
    struct mkt_octets ticket;    /* TICKET payload without Initiator Data */
    struct mkt_own_identity idr; /* IDRr of the modifier; data.p NULL: none */
    struct mkt_octets rand_kms;  /* likewise */
    struct mkt_keys keys;        /* MPKi, [MPKr'], session keys, TGKs forked */
};
#define MKT_RESOLUTION_HEAD offsetof(struct mkt_resolution, keys.k)

/* Makes a resolution for the open offer of r. With key forking IDRr and RANDRkms are mandatory
 * (4.2.3.5) and RANDRkms long enough (12.1). *res is owned by the caller; *keys is left as it was.
 */
enum mkt_rc mkt_resolution_make(struct mkt_resolution **res, const struct mkt_responder *r,
                                const struct mkt_keys *keys, struct mkt_identity idr,
                                struct mkt_span rand_kms, struct mkt_err *err);
enum mkt_rc mkt_resolution_copy(struct mkt_resolution **res, const struct mkt_resolution *from,
                                struct mkt_err *err);

struct mkt_responder {
    struct mkt_own_credential own;
    struct mkt_octets octets; /* TRANSFER_INIT as received */
    struct mkt_policy policy; /* of its ticket */
    bool parsed, has_offer;
    struct mkt_own_choice choice;
    struct mkt_kms_exchange resolve;
    struct mkt_resolution *resolution; /* of the offer last established; NULL before */
    uint8_t established[MKT_MAC_MAX];  /* MAC of that offer: its copy is a replay */
    size_t established_len;
    struct mkt_msg offer; /* cut from octets; last, since it is large and holds no secret */
};
#define MKT_RESPONDER_HEAD offsetof(struct mkt_responder, offer.pl)

/* What an answer is made of, besides the offer and the choice. */
struct mkt_answer {
    const struct mkt_responder *r;
    struct mkt_keys *keys;    /* MPKs, session keys; those supplied by either side are added */
    struct mkt_identity idr;  /* modifier; absent: none */
    struct mkt_span rand_kms; /* likewise */
};

/* Writes TRANSFER_RESP into io (SEND_PEER), or nothing when F = 0 (DONE), and makes the CSB. */
enum mkt_next mkt_answer_write(const struct mkt_answer *a, const struct mkt_env *env,
                               struct mkt_io *io, struct mkt_csb **csb);

/* The identities in the MAC of an offer: those left out are known otherwise (ambiguity 2). */
struct mkt_identity mkt_offer_initiator(const struct mkt_responder *r);
struct mkt_identity mkt_offer_responder(const struct mkt_responder *r);

#endif
