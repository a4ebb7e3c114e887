/* SPDX-License-Identifier: Apache-2.0 */
/* The Crypto Session Bundle: what both ends have when a Ticket Transfer is complete. */
#ifndef MIKEYTICKET_CSB_H
#define MIKEYTICKET_CSB_H

#include <mikeyticket/io.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mkt_csb; /* opaque, owned */

/* mkt_csb_free wipes and frees. NULL is allowed. */
MKT_API void mkt_csb_free(struct mkt_csb *csb);

/* mkt_csb_id returns the CSB ID. */
MKT_API uint32_t mkt_csb_id(const struct mkt_csb *csb);

/* mkt_csb_is_initiator tells our role in the initial exchange, which updates do not change. */
MKT_API bool mkt_csb_is_initiator(const struct mkt_csb *csb);

/* mkt_csb_peer returns the other party's identity: IDRr as vouched for by the KMS at the
 * Initiator (with forking), IDRi of the Ticket Policy at the Responder. Borrowed. */
MKT_API struct mkt_identity mkt_csb_peer(const struct mkt_csb *csb);

/* mkt_csb_peer_is_vouched tells whether nobody but that party can have made its message. With key
 * forking (I flag) the KMS has looked who answered, and only who asked for the ticket can offer it
 * (RFC 6043 5.1.1). Without, all who may open the ticket can do either under any name: then the
 * Initiator never knows who answered, and the Responder knows IDRi only from a ticket that names
 * the Responder itself, alone and as itself; not a group that it belongs to. */
MKT_API bool mkt_csb_peer_is_vouched(const struct mkt_csb *csb);

/* mkt_csb_policy returns the granted Ticket Policy; borrowed. */
MKT_API const struct mkt_policy *mkt_csb_policy(const struct mkt_csb *csb);

/* mkt_csb_rekey_by returns the NTP time by which the session keys must have been replaced (TRr,
 * RFC 6043 6.10), counted from the last new key; UINT64_MAX when the policy asks for no rekeying.
 */
MKT_API uint64_t mkt_csb_rekey_by(const struct mkt_csb *csb);

/* mkt_csb_count returns the number of crypto sessions. */
MKT_API size_t mkt_csb_count(const struct mkt_csb *csb);

/* mkt_session is one crypto session; everything in it borrows from the CSB. */
struct mkt_session {
    uint8_t cs_id, prot_type;
    bool has_ssrc;
    uint32_t ssrc, roc;
    uint16_t seq;
    struct mkt_span spi;    /* SPI or MKI of the key */
    struct mkt_span params; /* SP parameters (mkt_sp_next); empty: the defaults of the protocol */
};

/* mkt_csb_session fills s with crypto session `index` (from 0). MKT_E_ARGUMENT beyond the end. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_csb_session(const struct mkt_csb *csb, size_t index,
                                                 struct mkt_session *s);

struct mkt_pl_sp;

/* mkt_csb_check_policies tells whether every crypto session has a policy that is equal to one of
 * `supported` (SP parameters with defaults filled in). What the other party chose or brought in is
 * not acceptable before it does (RFC 6043 4.2.2.4): call it whenever sessions are new, and free the
 * CSB when it fails. MKT_E_SP_PARAM. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_csb_check_policies(const struct mkt_csb *csb,
                                                        const struct mkt_pl_sp *supported,
                                                        size_t n_supported, struct mkt_err *err);

/* mkt_csb_derive gives the TEK and salt of a crypto session (RFC 6043 5.1.3). salt->n = 0: the key
 * data is a TEK without salt. The caller wipes both as soon as they are used. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_csb_derive(const struct mkt_csb *csb, struct mkt_crypto *c,
                                                size_t index, struct mkt_secret *tek,
                                                struct mkt_secret *salt, struct mkt_err *err);

enum mkt_session_key { MKT_SESSION_TEK, MKT_SESSION_ENCR, MKT_SESSION_AUTH, MKT_SESSION_SALT };

/* mkt_csb_derive_key derives one key of `len` octets for a security protocol that has no key
 * derivation of its own (RFC 3830 4.1.3). MKT_E_KEY_DATA when the session key is a TEK. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_csb_derive_key(const struct mkt_csb *csb, struct mkt_crypto *c,
                                                    size_t index, enum mkt_session_key which,
                                                    size_t len, struct mkt_secret *key,
                                                    struct mkt_err *err);

/* mkt_csb_export writes csb into out (docs/formats/csb-file.md), an update that is under way
 * included: secret octets. *len gets the length. MKT_E_NO_SPACE when cap is too small. Of two
 * copies only one may go on: timestamps would repeat, and with them keystreams (5.2). */
MKT_API MKT_MUST_USE enum mkt_rc mkt_csb_export(const struct mkt_csb *csb, uint8_t *out, size_t cap,
                                                size_t *len);

/* mkt_csb_import reads what mkt_csb_export wrote. *csb is owned by the caller. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_csb_import(struct mkt_csb **csb, struct mkt_span octets,
                                                struct mkt_err *err);

/* --- CSB updating, RFC 6043 5.2
 * ------------------------------------------------------------------- */

struct mkt_offer_cs;
struct mkt_choice;

/* What an update offers. All borrowed. */
struct mkt_update {
    const struct mkt_offer_cs *cs; /* sessions changed or added, by CS ID; others stay */
    size_t n_cs;
    const struct mkt_pl_sp *sp;
    size_t n_sp;
    const struct mkt_keys *keys; /* new session keys (L for the Initiator, M for the Responder) */
    bool answer;                 /* V: TRANSFER_RESP is expected; without, the map is complete */
    bool identities;             /* send IDRi and IDRr */
};

/* mkt_csb_update writes TRANSFER_INIT inside the CSB, from either side. Without `answer` the update
 * takes effect at once, with it when mkt_csb_updated has seen the answer. An update that is still
 * open is given up. Session keys that no crypto session uses are forgotten, oldest first, when a
 * CSB has more than 16. -> SEND_PEER or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_csb_update(struct mkt_csb *csb, const struct mkt_env *env,
                                                  const struct mkt_update *update,
                                                  struct mkt_io *io);

/* mkt_csb_updated reads the TRANSFER_RESP or Error message that answers our update. Failure changes
 * nothing. -> DONE or ABORT (the update is still open). */
MKT_API MKT_MUST_USE enum mkt_next mkt_csb_updated(struct mkt_csb *csb, const struct mkt_env *env,
                                                   struct mkt_io *io);

/* mkt_csb_update_offered reads a TRANSFER_INIT of the other side: verified, within skew_s seconds
 * (0: not checked; NTP types only), newer than all before (MKT_E_REPLAY otherwise), static payloads
 * unchanged, keys as L and M allow. An update of our own that is open is given up: when two cross,
 * the newer one counts. -> ASK (answer with accept or refuse), DONE (V = 0: it is in effect) or
 * ABORT; with io->authentic set it can be refused then, as in the case of ASK. */
MKT_API MKT_MUST_USE enum mkt_next mkt_csb_update_offered(struct mkt_csb *csb,
                                                          const struct mkt_env *env,
                                                          uint32_t skew_s, struct mkt_io *io);

/* mkt_csb_update_accept writes TRANSFER_RESP; the update is then in effect. -> SEND_PEER or ABORT.
 */
MKT_API MKT_MUST_USE enum mkt_next mkt_csb_update_accept(struct mkt_csb *csb,
                                                         const struct mkt_env *env,
                                                         const struct mkt_choice *choice,
                                                         struct mkt_io *io);

/* mkt_csb_update_refuse writes an Error message under the keys of the update (5.4), with the SPs we
 * support when they are given. -> SEND_PEER or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_csb_update_refuse(struct mkt_csb *csb,
                                                         const struct mkt_env *env, enum mkt_rc rc,
                                                         const struct mkt_pl_sp *supported,
                                                         size_t n_supported, struct mkt_io *io);

#ifdef __cplusplus
}
#endif
#endif
