/* SPDX-License-Identifier: Apache-2.0 */
/* One vector: what is played, who plays it, and what came of it. */
#ifndef MKT_MAKE_VECTORS_RUN_H
#define MKT_MAKE_VECTORS_RUN_H

#include "record.h"

#include <jansson.h>
#include <mikeyticket/initiator.h>
#include <mikeyticket/kms.h>
#include <mikeyticket/responder.h>

#define MV_MESSAGES_MAX 16
#define MV_NOW 0xD1200000 /* seconds: 2011-03-08T01:08:16Z */

enum mv_extra { /* what comes after, or in place of, a plain call */
                MV_NOTHING,
                MV_TWO_ANSWERS,         /* two devices answer one offer */
                MV_REUSE,               /* the ticket is offered again */
                MV_GROUP,               /* and to another member of a group */
                MV_UPDATE_BY_INITIATOR, /* CSB update: a new key, a new crypto session */
                MV_UPDATE_BY_RESPONDER,
                MV_UPDATE_REFUSED,
                MV_INITIATOR_KEYS, /* session keys in the TRANSFER_INIT, none in the ticket */
                MV_RESPONDER_KEYS, /* session keys in the TRANSFER_RESP */
                MV_WRONG_KEY,      /* the Responder's PSK is another than the KMS's */
                MV_NOT_NAMED,      /* who asks to resolve is not named in the ticket */
                MV_SP_REFUSED      /* the Responder supports none of the policies offered */
};

struct mv_scenario {
    const char *name, *title;
    const char *rfc[4];
    unsigned mode; /* RFC 6043 4.1.1 */
    const char *flags;
    uint8_t ts_type;
    enum mv_extra extra;
    const struct mkt_want_key *wanted; /* lengths 0: those of the suite */
    size_t n_wanted;
    bool none_wanted;      /* an empty KEMAC: no session keys in the ticket */
    uint32_t max_validity; /* of the KMS, seconds; 0: no bound */
};

enum mv_who { MV_INITIATOR, MV_RESPONDER, MV_THIRD, MV_KMS, MV_PARTIES };

struct mv_party {
    const char *name;
    struct mkt_identity id;
    const char *psk_id, *tpk_id; /* NULL: none */
    struct mkt_inkey_mem psk, tpk;
};

struct mv_message {
    char name[32];
    enum mv_who from, to;
    struct mkt_span octets;
    struct mkt_msg m;
};

struct mv_run {
    const struct mv_scenario *sc;
    const struct mkt_suite *suite;
    uint8_t prf;
    struct mv_record rec;
    struct mkt_env env;
    struct mv_party party[MV_PARTIES];
    struct mkt_policy want;
    struct mkt_grant_rules rules;
    struct mv_message msg[MV_MESSAGES_MAX];
    size_t n;
    struct mkt_initiator *initiator;
    struct mkt_responder *responder;
    struct mkt_kms_txn *txn;
    struct mkt_grant *grant;
    struct mkt_resolution *resolution;
    struct mkt_csb *csb_i, *csb_r;
    json_t *outputs;
    struct mkt_err err; /* why the run failed */
};

/* mv_play runs the scenario with the suite of prf. False: it went wrong, and was said so. */
bool mv_play(struct mv_run *r, const struct mv_scenario *sc, uint8_t prf,
             struct mkt_crypto *crypto);
void mv_free(struct mv_run *r);

/* mv_wrong says where a run went wrong; returns false. */
bool mv_wrong(struct mv_run *r, const char *where, const struct mkt_err *err);

bool mv_is(const struct mv_run *r, enum mv_extra extra);
struct mkt_io mv_io(struct mkt_span in);

/* mv_sent adds what a role made to the messages; mv_last returns the octets of the last one. */
bool mv_sent(struct mv_run *r, const char *name, enum mv_who from, enum mv_who to,
             const struct mkt_io *io);
struct mkt_span mv_last(const struct mv_run *r);

/* kms.c: the KMS answers the last message: with `name`, or with an Error message if it must. */
bool mv_kms_answers(struct mv_run *r, enum mv_who who, const char *name, bool refuses);
struct mkt_tpk mv_tpk_of(const struct mv_run *r, enum mv_who owner);

/* mv_note_reason puts the reason of an Error message into the outputs: its registered name, and
 * words. */
void mv_note_reason(struct mv_run *r, enum mkt_rc rc);

/* name.c: names the steps by what they are in the messages; drops those that belong to none, which
 * are checks that fail. */
void mv_name_steps(struct mv_run *r);

/* write.c: the vector as JSON (../shared/vectors/README.md); owned. */
json_t *mv_vector(const struct mv_run *r, const char *name);

/* mv_hex is a JSON string of octets; owned. */
json_t *mv_hex(struct mkt_span s);

/* fields.c: a message field by field. */
json_t *mv_fields(const struct mkt_msg *m);

#endif
