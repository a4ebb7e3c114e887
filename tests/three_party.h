/* SPDX-License-Identifier: Apache-2.0 */
/* Alice, two Responders and a KMS in one process, for tests of the roles. One function for each
 * step of a call; each keeps its message, so that a test can alter it before the next step. */
#ifndef MKT_TESTS_THREE_PARTY_H
#define MKT_TESTS_THREE_PARTY_H

#include <mikeyticket/initiator.h>
#include <mikeyticket/kms.h>
#include <mikeyticket/responder.h>

#define RESPONDERS 2
#define SKEW_S 60
#define NOW 0xD120000000000000ULL /* some second of 2011 */

struct message {
    uint8_t b[4096];
    size_t n;
};

struct call {
    struct mkt_crypto *crypto;
    struct mkt_env env;
    uint64_t drawn;   /* random octets are counted up */
    long random_left; /* calls of the generator before it fails; -1: never */
    uint8_t ts_type;
    struct mkt_identity alice, bob[RESPONDERS], kms;
    struct mkt_inkey_mem psk_alice, psk_bob[RESPONDERS];
    /* TPKs: the KMS's own; those it shares with Alice and with the first Bob; that of these two */
    struct mkt_inkey_mem tpk, tpk_alice, tpk_bob, tpk_pair;
    struct mkt_identity
        tpk_owner; /* who shares tpk_bob with the KMS: the first Bob, unless changed */
    unsigned mode; /* of RFC 6043 4.1.1; see call_mode */
    struct mkt_keys ticket_keys; /* session keys of a ticket that Alice makes */
    struct mkt_policy want;
    struct mkt_grant_rules rules;
    void (*twist)(
        struct mkt_policy *granted); /* what a KMS does against the rules; NULL: nothing */
    struct mkt_offer_cs cs;
    struct mkt_pl_sp sp;
    struct mkt_offer offer;
    struct mkt_choice choice; /* of every Bob */
    struct mkt_initiator *initiator;
    struct mkt_responder *responder[RESPONDERS];
    struct mkt_kms_txn *txn;
    const struct mkt_kms_pk *pk; /* how the KMS verifies signed messages; NULL: it does not */
    struct mkt_grant *grant;
    struct mkt_csb *at_alice[RESPONDERS], *at_bob[RESPONDERS];
    struct message request, granted, init, resolve[RESPONDERS], resolved[RESPONDERS],
        resp[RESPONDERS];
    size_t cap;       /* octets of the output buffers; sizeof of one at first */
    struct mkt_io io; /* of the last step: its error */
};

/* Makes a call of a suite (enum mkt_prf) with timestamps of a type. False when memory fails; then
 * call_close is due all the same. */
bool call_open(struct call *c, uint8_t prf, uint8_t ts_type);
void call_close(struct call *c);

/* Sets the mode (1 to 4) and what the wanted policy must say for it: D, E, and with them L and I.
 * In modes 2 and 4 the first Bob alone is a Responder. A call is opened in mode 1. */
void call_mode(struct call *c, unsigned mode);

/* Appends a key with a 4-octet SPI of its own, made of `octet`. salt: octets, 0 for types without.
 */
void key_add(struct mkt_keys *keys, uint8_t type, size_t len, size_t salt, uint8_t octet);

/* For further steps: call_io gives c->io, to read `in` and to write `out` (NULL: none).
 * call_outcome says why a step led to `next` and not to what was wanted, or MKT_OK; out then has
 * its octets. */
struct mkt_io *call_io(struct call *c, const struct message *in, struct message *out);
enum mkt_rc call_outcome(struct call *c, enum mkt_next next, enum mkt_next want,
                         struct message *out);

/* The steps, in their order; `k` is the Responder. Each returns MKT_OK or the reason. */
enum mkt_rc call_request(struct call *c);            /* Alice -> KMS: request  */
enum mkt_rc call_issue(struct call *c);              /* KMS -> Alice: granted  */
enum mkt_rc call_granted(struct call *c);            /* Alice has a ticket     */
enum mkt_rc call_offer(struct call *c);              /* Alice -> Bobs: init    */
enum mkt_rc call_offered(struct call *c, size_t k);  /* a Bob looks at it      */
enum mkt_rc call_accept(struct call *c, size_t k);   /* Bob -> KMS: resolve    */
enum mkt_rc call_resolve(struct call *c, size_t k);  /* KMS -> Bob: resolved   */
enum mkt_rc call_resolved(struct call *c, size_t k); /* Bob -> Alice: resp     */
enum mkt_rc call_answered(struct call *c, size_t k); /* Alice has a CSB        */

/* Modes 3 and 4: Alice makes the ticket herself. Modes 2 and 4: a Bob opens it himself, with the
 * TPK he has. Reuse: a Bob answers with what he resolved before. */
enum mkt_rc call_create(struct call *c);
enum mkt_rc call_opened(struct call *c, size_t k, const struct mkt_inkey *tpk);
enum mkt_rc call_reused(struct call *c, size_t k, const struct mkt_resolution *cached);

/* From the offer to the CSBs, as the mode has it; frees the CSBs of the call before. */
enum mkt_rc call_transfer(struct call *c, size_t k);

/* Until Alice has a ticket; until the offer is made; all of it, with answers from `answers` Bobs.
 */
enum mkt_rc call_until_grant(struct call *c);
enum mkt_rc call_until_offer(struct call *c);
enum mkt_rc call_whole(struct call *c, size_t answers);

/* The KMS answers `in` as it should, into `out`: also when it refuses. */
enum mkt_rc call_kms(struct call *c, const struct message *in, struct mkt_identity client,
                     const struct mkt_inkey *psk, struct message *out);

/* Alice and Bob k have the same crypto sessions with the same keys. */
bool call_agrees(struct call *c, size_t k);

/* TEK and salt of the first crypto session, one after the other. */
enum mkt_rc call_keys(struct call *c, const struct mkt_csb *csb, struct mkt_secret *keys);

/* Takes out the payloads of a type and role (0: any) and writes the message anew; its MAC is wrong
 * then. Returns how many were taken out. */
size_t without(struct message *m, uint16_t type, uint8_t role);

#endif
