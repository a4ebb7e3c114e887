/* SPDX-License-Identifier: Apache-2.0 */
/* The Responder: looks at an offer, has its ticket resolved, verifies it at last, and answers. */
#ifndef MIKEYTICKET_RESPONDER_H
#define MIKEYTICKET_RESPONDER_H

#include <mikeyticket/csb.h>
#include <mikeyticket/initiator.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mkt_responder; /* opaque, owned */

/* mkt_responder_new copies the credential; NULL when memory fails. */
MKT_API struct mkt_responder *mkt_responder_new(const struct mkt_credential *cred);

/* mkt_responder_free wipes and frees. NULL is allowed. */
MKT_API void mkt_responder_free(struct mkt_responder *r);

/* mkt_responder_offered reads TRANSFER_INIT and applies what needs no KMS (4.2.2.2): structure,
 * timestamp within skew_s seconds (0: not checked; NTP types only), suite, ticket type and flags,
 * validity period. Replaces an earlier offer. -> ASK or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_responder_offered(struct mkt_responder *r,
                                                         const struct mkt_env *env, uint32_t skew_s,
                                                         struct mkt_io *io);

/* mkt_responder_offer_unverified returns the parsed TRANSFER_INIT: who calls, which sessions, which
 * policies. Nothing in it is authenticated before mkt_responder_resolved. NULL without an offer. */
MKT_API const struct mkt_msg *mkt_responder_offer_unverified(const struct mkt_responder *r);

/* mkt_responder_policy_unverified returns the Ticket Policy of the offer, likewise. */
MKT_API const struct mkt_policy *mkt_responder_policy_unverified(const struct mkt_responder *r);

/* What the Responder chooses for one crypto session. */
struct mkt_choose_cs {
    uint8_t cs_id, prot_type;
    uint8_t policy_no; /* of an SP of the offer or of the choice */
    bool has_ssrc, s;  /* SRTP session data; without: the Initiator's, else a random SSRC */
    uint32_t ssrc, roc;
    uint16_t seq;
    struct mkt_span session_data; /* for protocols other than SRTP; n = 0: as offered */
    struct mkt_span spi;          /* n = 0: as offered, else that of the first session key */
};

/* What the Responder chooses: one entry for each crypto session, in the order they are
 * answered; sessions may be added. n_cs = 0: every session offered, with the first of its policies.
 */
struct mkt_choice {
    const struct mkt_choose_cs *cs;
    size_t n_cs;
    const struct mkt_pl_sp *sp; /* SPs of the Responder's own */
    size_t n_sp;
    unsigned omit_resolve;       /* enum mkt_omit for RESOLVE_INIT, added to the credential's */
    struct mkt_span sdp_ids;     /* General Extension of the TRANSFER_RESP; n = 0: none */
    const struct mkt_keys *keys; /* session keys of the Responder's own (needs M); NULL: none */
};

/* mkt_choice_default fills cs (cap entries) with every session offered, taking for each the first
 * policy that is equal to one of `supported` (SP parameters with defaults filled in); *n gets the
 * count. A session that offers no policy at all gets the first of `supported` that is for its
 * protocol: that one must then be among the SPs of the choice, under a Policy_no that the offer
 * does not use. MKT_E_SP_PARAM when a session offers none that is supported, MKT_E_TOO_MANY beyond
 * cap.
 */
MKT_API MKT_MUST_USE enum mkt_rc mkt_choice_default(const struct mkt_msg *offer,
                                                    const struct mkt_pl_sp *supported,
                                                    size_t n_supported, struct mkt_choose_cs *cs,
                                                    size_t cap, size_t *n, struct mkt_err *err);

/* mkt_responder_accept writes RESOLVE_INIT_PSK (4.2.3). The choice is copied. Call it again for
 * a retry: a new message each time. -> SEND_KMS or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_responder_accept(struct mkt_responder *r,
                                                        const struct mkt_env *env,
                                                        const struct mkt_choice *choice,
                                                        struct mkt_io *io);

/* mkt_responder_resolved reads RESOLVE_RESP or an Error message, verifies it, then the
 * TRANSFER_INIT with the MPKi received and, when keys fork, its V against Vi (4.2.3.6), and
 * writes TRANSFER_RESP when F is set. *csb is owned by the caller.
 * -> SEND_PEER, DONE (F = 0) or ABORT (the resolve is still open). */
MKT_API MKT_MUST_USE enum mkt_next mkt_responder_resolved(struct mkt_responder *r,
                                                          const struct mkt_env *env,
                                                          struct mkt_io *io, struct mkt_csb **csb);

/* mkt_responder_open answers an offer whose ticket the Responder opens itself (E = 0, modes 2 and 4
 * of RFC 6043 4.1.1), with the TPK that its Ticket Data names. -> SEND_PEER, DONE (F = 0) or ABORT.
 */
MKT_API MKT_MUST_USE enum mkt_next mkt_responder_open(struct mkt_responder *r,
                                                      const struct mkt_env *env,
                                                      const struct mkt_choice *choice,
                                                      const struct mkt_inkey *tpk,
                                                      struct mkt_io *io, struct mkt_csb **csb);

/* A resolved ticket, to answer further offers with it (5.3). Opaque, owned. Secret. */
struct mkt_resolution;

/* mkt_responder_take_resolution returns what the last offer established was resolved to, owned by
 * the caller; NULL when there is none or it was taken. */
MKT_API struct mkt_resolution *mkt_responder_take_resolution(struct mkt_responder *r);

/* mkt_resolution_free wipes and frees. NULL is allowed. */
MKT_API void mkt_resolution_free(struct mkt_resolution *res);

/* mkt_resolution_export writes res into out (docs/formats/resolution-file.md): secret octets. *len
 * gets the length. MKT_E_NO_SPACE when cap is too small. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_resolution_export(const struct mkt_resolution *res,
                                                       uint8_t *out, size_t cap, size_t *len);

/* mkt_resolution_import reads what mkt_resolution_export wrote. *res is owned by the caller. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_resolution_import(struct mkt_resolution **res,
                                                       struct mkt_span octets, struct mkt_err *err);

/* mkt_resolution_policy returns the policy of its ticket; borrowed. */
MKT_API const struct mkt_policy *mkt_resolution_policy(const struct mkt_resolution *res);

/* mkt_resolution_is_of tells whether a TICKET payload holds the ticket that was resolved. */
MKT_API bool mkt_resolution_is_of(const struct mkt_resolution *res,
                                  const struct mkt_payload *ticket);

/* mkt_resolution_grant makes a grant of a resolved ticket, so that its holder can offer it to
 * others of the group (decentralised signalling, 9). MKT_E_TP_PARAM when keys fork. *g is owned. */
MKT_API MKT_MUST_USE enum mkt_rc
mkt_resolution_grant(struct mkt_grant **g, const struct mkt_resolution *res, struct mkt_err *err);

/* mkt_responder_reuse answers an offer of a ticket resolved before, without the KMS: same modifier,
 * same keys, new RANDs. Needs J. -> SEND_PEER, DONE (F = 0) or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_responder_reuse(struct mkt_responder *r,
                                                       const struct mkt_env *env,
                                                       const struct mkt_choice *choice,
                                                       const struct mkt_resolution *cached,
                                                       struct mkt_io *io, struct mkt_csb **csb);

/* mkt_responder_refuse writes an Error message about the offer: the Error no of rc, and the SPs we
 * support when they are given (5.4). Unauthenticated: no key is known. -> SEND_PEER or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_responder_refuse(struct mkt_responder *r,
                                                        const struct mkt_env *env, enum mkt_rc rc,
                                                        const struct mkt_pl_sp *supported,
                                                        size_t n_supported, struct mkt_io *io);

#ifdef __cplusplus
}
#endif
#endif
