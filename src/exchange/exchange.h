/* SPDX-License-Identifier: Apache-2.0 */
/* The exchanges of RFC 6043 4.2: what their messages share, then one file for each, both
 * directions. Nothing here knows whose turn it is: that is the roles' business. */
#ifndef MKT_EXCHANGE_EXCHANGE_H
#define MKT_EXCHANGE_EXCHANGE_H

#include "message/message.h"
#include "ticket/ticket.h"
#include <mikeyticket/initiator.h>
#include <mikeyticket/kms.h>
#include <mikeyticket/responder.h>

/* --- common.c --------------------------------------------------------------------------------- */

/* Draws n octets; false when the generator fails. */
bool mkt_ex_random(const struct mkt_env *env, void *out, size_t n);

/* Writes the common header of a message without crypto sessions (#CS = 0). */
void mkt_ex_header(struct mkt_writer *w, uint8_t data_type, bool v, uint8_t prf, uint32_t csb_id,
                   uint8_t map_type);

void mkt_ex_write_idr(struct mkt_writer *w, uint8_t role, struct mkt_identity id);
void mkt_ex_write_randr(struct mkt_writer *w, uint8_t role, struct mkt_span rand);

/* Writes V, with the MAC over everything in w and then the tails. False when the backend fails. */
bool mkt_ex_seal(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
                 const struct mkt_span *tail, size_t n_tail);

/* Verifies the V that ends m (5.5): NULL and other suites' algorithms are refused. */
enum mkt_rc mkt_ex_verify(const struct mkt_msg *m, struct mkt_crypto *c,
                          const struct mkt_msg_keys *mk, const struct mkt_span *tail, size_t n_tail,
                          struct mkt_err *err);

/* The suite of a message by its header, with V and KEMAC of the same level (12.1). */
enum mkt_rc mkt_ex_suite(const struct mkt_suite **suite, const struct mkt_msg *m,
                         struct mkt_err *err);

/* The RANDR with that role, or an empty span. */
struct mkt_span mkt_ex_randr(const struct mkt_msg *m, uint8_t role);

/* The IDR with that role; data.p is NULL when there is none. */
struct mkt_identity mkt_ex_idr(const struct mkt_msg *m, uint8_t role);

/* The T of a message whose presence was checked. */
struct mkt_time mkt_ex_time(const struct mkt_msg *m);

/* Checks that the header of a response agrees with its initial message: data type, version, PRF
 * and CSB ID (4.2.1.5, 4.2.2.3, 4.2.3.5). */
enum mkt_rc mkt_ex_answers(const struct mkt_msg *m, uint8_t data_type, uint8_t prf, uint32_t csb_id,
                           struct mkt_err *err);

/* Fails with rc for the message as a whole. Always ABORT. */
enum mkt_next mkt_ex_abort(struct mkt_io *io, enum mkt_rc rc, const char *what, const char *ref);

/* Takes what w holds as the output of io: `next`, or ABORT when it did not fit. */
enum mkt_next mkt_ex_done(struct mkt_io *io, const struct mkt_writer *w, enum mkt_next next);

/* Copies octets to memory of their own; MKT_E_MEMORY. An owned octet string. */
struct mkt_octets {
    uint8_t *p;
    size_t n;
};
enum mkt_rc mkt_octets_set(struct mkt_octets *o, struct mkt_span from);
void mkt_octets_free(struct mkt_octets *o);
static inline struct mkt_span
mkt_octets_span(const struct mkt_octets *o)
{
    return mkt_span(o->p, o->n);
}

/* A credential whose octets are copies. */
struct mkt_own_credential {
    struct mkt_credential cred; /* borrows from octets below */
    struct mkt_octets self, kms, psk_id;
};
enum mkt_rc mkt_own_credential_set(struct mkt_own_credential *o, const struct mkt_credential *from);
void mkt_own_credential_free(struct mkt_own_credential *o);

/* --- signature.c: SIGN in place of V -------------------------------------------------------- */

struct mkt_ex_signer {
    const struct mkt_pkey *key;
    uint8_t s_type;
    bool sha1;
};

/* Writes SIGN, over everything in w and then the tails. */
enum mkt_rc mkt_ex_sign(struct mkt_writer *w, const struct mkt_env *env,
                        const struct mkt_ex_signer *by, const struct mkt_span *tail, size_t n_tail);

/* Verifies the SIGN that ends m: SHA-256, and SHA-1 in the 128-bit suite if sha1 allows it. */
enum mkt_rc mkt_ex_verify_sign(const struct mkt_msg *m, struct mkt_crypto *c,
                               const struct mkt_cert *cert, bool sha1, const struct mkt_span *tail,
                               size_t n_tail, struct mkt_err *err);

/* True when a subjectAltName of cert is that identity: a URI is a URI, an NAI an rfc822Name. */
bool mkt_ex_cert_is_of(const struct mkt_cert *cert, struct mkt_identity id);

/* The identity of a certificate that has but one (URI, else rfc822Name), copied to out (MKT_ID_MAX
 * octets); data.p is NULL when there is none. */
struct mkt_identity mkt_ex_cert_identity(const struct mkt_cert *cert, uint8_t *out);

/* --- kms_exchange.c: what Ticket Request and Ticket Resolve have in common
 * ------------------------ */

/* One open exchange with the KMS: the initial message as sent and what its answer is checked with.
 */
struct mkt_kms_exchange {
    uint8_t init_type, resp_type, prf; /* init_type: of the PSK variant; that of PK is the next */
    uint32_t csb_id;
    struct mkt_octets init;
    uint8_t rand[MKT_SECRET_MAX];
    size_t rand_len;
    struct mkt_inkey_mem env_key; /* PK: in place of the PSK */
};

/* Writes an initial message to the KMS: `body` writes TP or TICKET. */
enum mkt_next mkt_kms_exchange_open(struct mkt_kms_exchange *x, const struct mkt_env *env,
                                    const struct mkt_credential *cred, uint8_t prf, unsigned omit,
                                    void (*body)(struct mkt_writer *w, const void *arg),
                                    const void *arg, struct mkt_io *io);

/* Parses, checks and verifies the answer in io->in. MKT_E_PEER_ERROR for an Error message. On
 * success mk holds the keys of the response, for its KEMAC. */
enum mkt_rc mkt_kms_exchange_answer(const struct mkt_kms_exchange *x, const struct mkt_env *env,
                                    const struct mkt_credential *cred, struct mkt_msg *m,
                                    struct mkt_msg_keys *mk, struct mkt_io *io);

void mkt_kms_exchange_wipe(struct mkt_kms_exchange *x);

/* Opens the KEMAC of a verified answer and puts the MPKs first. */
enum mkt_rc mkt_kms_exchange_keys(struct mkt_keys *keys, const struct mkt_msg *m,
                                  struct mkt_crypto *c, const struct mkt_msg_keys *mk,
                                  const struct mkt_policy *policy, struct mkt_err *err);

/* --- error.c
 * ---------------------------------------------------------------------------------------- */

/* What an Error message says besides its header (5.4). */
struct mkt_error_message {
    uint8_t error_no, map_type, ts_type;
    uint64_t t64;
    uint8_t prf;
    uint32_t csb_id;
    const struct mkt_pl_sp *sp;
    size_t n_sp;
};

/* Writes an Error message; mk NULL: without V. False when the backend fails. */
bool mkt_error_write(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_error_message *e,
                     const struct mkt_msg_keys *mk);

/* Takes an Error message m that answers a message with that PRF and CSB ID: fills io->peer_error,
 * and peer_error_authentic when its V verifies with mk. Always fails, with MKT_E_PEER_ERROR if the
 * message is one that answers ours. */
enum mkt_rc mkt_error_take(const struct mkt_msg *m, struct mkt_crypto *c, uint8_t prf,
                           uint32_t csb_id, const struct mkt_msg_keys *mk, struct mkt_io *io);

/* --- transfer.c
 * --------------------------------------------------------------------------------------- */

/* Label of the keys that protect TRANSFER_INIT (phase 1) or TRANSFER_RESP (phase 2). */
struct mkt_label mkt_transfer_label(bool response, uint32_t csb_id, struct mkt_span rand_i,
                                    struct mkt_span rand_r);

/* Finds the SP with that number and Prot type: in the response first, then in the initial message
 * (ambiguity 34). Either may be NULL. NULL when there is none. */
const struct mkt_pl_sp *mkt_transfer_sp(const struct mkt_msg *resp, const struct mkt_msg *init,
                                        uint8_t policy_no, uint8_t prot_type);

/* Checks that each policy a crypto session of m names has an SP of its Prot type. */
enum mkt_rc mkt_transfer_check_map(const struct mkt_msg *m, const struct mkt_msg *init,
                                   struct mkt_err *err);

/* Adds the session keys that a KEMAC in TRANSFER_INIT supplies, which is under MPKi = keys->k[0]
 * and the keys of that message (4.2.2.1). */
enum mkt_rc mkt_transfer_offered_keys(struct mkt_keys *keys, const struct mkt_msg *init,
                                      const struct mkt_policy *policy, struct mkt_crypto *c,
                                      struct mkt_err *err);

/* Verifies V of TRANSFER_INIT with MPKi. */
enum mkt_rc mkt_transfer_verify_init(const struct mkt_msg *init, struct mkt_crypto *c,
                                     const struct mkt_secret *mpk_i, struct mkt_identity id_i,
                                     struct mkt_identity id_r, struct mkt_err *err);

#endif
