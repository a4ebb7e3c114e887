/* SPDX-License-Identifier: Apache-2.0 */
/* The transaction of a KMS, shared by the file that takes its stages and the one that forwards it.
 */
#ifndef MKT_ROLE_KMS_H
#define MKT_ROLE_KMS_H

#include "role/cert_cache.h"
#include "role/role.h"

enum mkt_kms_stage {
    MKT_KMS_IDLE,
    MKT_KMS_PARSED,
    MKT_KMS_BEGUN,
    MKT_KMS_VERIFIED,
    MKT_KMS_OPENED
};

struct mkt_kms_txn {
    enum mkt_kms_stage stage;
    bool resolve;
    const struct mkt_suite *suite;
    const struct mkt_inkey *psk; /* borrowed, set by verify; PK: env_key */
    struct mkt_identity kms;     /* our own, borrowed, set by verify */
    struct mkt_label init_label;
    struct mkt_kms_ask ask;
    struct mkt_policy policy;
    const struct mkt_payload *ticket; /* TP or TICKET payload of msg */
    struct mkt_ticket_data data;      /* RESOLVE_INIT only */
    struct mkt_err ticket_err;        /* why it cannot be read */
    bool has_initiator_data;
    struct mkt_initiator_data initiator_data;
    struct mkt_msg msg;
    struct mkt_keys keys;
    uint8_t reference[MKT_REFERENCE_LEN]; /* of a reference ticket just issued */
    uint8_t kept[MKT_KEMAC_MAX];          /* and its keys */
    size_t kept_len;
    uint8_t ticket_id[MKT_TICKET_ID]; /* of the ticket issued, or to be resolved */
    bool has_ticket_id;
    struct mkt_inkey_mem env_key;  /* of PKE */
    uint8_t client_id[MKT_ID_MAX]; /* ask.client when the message leaves it out */
    struct mkt_cert_cache certs;   /* outlives the message */
};

/* Checks that what is verified is for this KMS and under keys of the right length. The message is
 * authentic by now: what this refuses is reported with V. */
enum mkt_rc mkt_kms_verified(struct mkt_kms_txn *t, const struct mkt_inkey *psk,
                             struct mkt_identity kms, struct mkt_err *err);

/* Takes the name of a ticket whose Ticket Data ends at `end` and has at least MKT_TICKET_ID octets.
 */
void mkt_kms_name_ticket(struct mkt_kms_txn *t, const uint8_t *end);

/* Draws an MPK and the session keys that are granted, each with an SPI of its own, into t->keys. */
bool mkt_kms_draw_keys(struct mkt_kms_txn *t, const struct mkt_policy *granted,
                       const struct mkt_env *env);

/* Puts the session keys of t into the wishes of its policy, as a request would have asked for them.
 */
void mkt_kms_describe_keys(struct mkt_kms_txn *t);

/* Fills what an Error message about t says. */
enum mkt_rc mkt_kms_error_of(struct mkt_error_message *e, const struct mkt_kms_txn *t,
                             const struct mkt_env *env, enum mkt_rc rc);

/* Writes RESOLVE_RESP with the keys of t as they are; with key forking, the modifier. */
enum mkt_next mkt_kms_relay(struct mkt_kms_txn *t, const struct mkt_env *env,
                            struct mkt_identity responder, struct mkt_span rand_kms,
                            struct mkt_io *io);

#endif
