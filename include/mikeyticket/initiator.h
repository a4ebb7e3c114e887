/* SPDX-License-Identifier: Apache-2.0 */
/* The Initiator: asks the KMS for a ticket, offers it, and completes with each that answers. */
#ifndef MIKEYTICKET_INITIATOR_H
#define MIKEYTICKET_INITIATOR_H

#include <mikeyticket/csb.h>
#include <mikeyticket/ticket.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mkt_initiator; /* opaque, owned */

/* mkt_initiator_new copies the credential; NULL when memory fails. cred->psk may be NULL for an
 * Initiator that only offers tickets it already has. */
MKT_API struct mkt_initiator *mkt_initiator_new(const struct mkt_credential *cred);

/* mkt_initiator_free wipes and frees. NULL is allowed. */
MKT_API void mkt_initiator_free(struct mkt_initiator *i);

/* mkt_initiator_request writes REQUEST_INIT_PSK (RFC 6043 4.2.1). Call it again for a retry: each
 * call makes a new message, and only the answer to the last one is accepted.
 * -> SEND_KMS or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_initiator_request(struct mkt_initiator *i,
                                                         const struct mkt_env *env,
                                                         const struct mkt_policy *want,
                                                         struct mkt_io *io);

/* mkt_initiator_granted reads REQUEST_RESP or an Error message from io->in, verifies it, and checks
 * that the granted policy is acceptable (4.2.1.6): D and N set (N clear for a compatibility ticket
 * that was asked for), same PRF and type, forking not dropped, no responder added, valid now,
 * or from the TRs that was asked for. *grant is owned by the caller.
 * -> DONE or ABORT (the request is still open: a forged answer changes nothing). */
MKT_API MKT_MUST_USE enum mkt_next mkt_initiator_granted(struct mkt_initiator *i,
                                                         const struct mkt_env *env,
                                                         struct mkt_io *io,
                                                         struct mkt_grant **grant);

/* One crypto session offered. Zero spans leave a field out. */
struct mkt_offer_cs {
    uint8_t cs_id, prot_type;
    uint8_t n_policies;
    uint8_t policies[8]; /* Policy_no of SPs in the offer */
    bool has_ssrc, s;    /* s: ROC and SEQ are given */
    uint32_t ssrc, roc;
    uint16_t seq;
    struct mkt_span session_data; /* for protocols other than SRTP */
    struct mkt_span spi;
};

/* What is offered besides the ticket. All borrowed. */
struct mkt_offer {
    struct mkt_identity responder; /* IDRr of the TRANSFER_INIT: may be a group */
    unsigned omit;                 /* MKT_OMIT_SELF, MKT_OMIT_PEER */
    uint8_t ts_type;               /* enum mkt_ts */
    const struct mkt_offer_cs *cs;
    size_t n_cs;
    const struct mkt_pl_sp *sp;
    size_t n_sp;
    struct mkt_span sdp_ids;     /* General Extension "SDP IDs" (RFC 4567 7.1); n = 0: none */
    const struct mkt_keys *keys; /* session keys of the Initiator's own (needs L); NULL: none */
    /* A TRANSFER_INIT of the same group: its CSB ID and RANDRi are used again, so that all members
     * derive the same keys (RFC 6043 9). n = 0: fresh ones. */
    struct mkt_span group_of;
    /* CSB IDs of the bundles that we have with the Responder: none of them is drawn again (RFC 3830
     * 6.1). That of the last offer of this Initiator is always among them. */
    const uint32_t *csb_ids;
    size_t n_csb_ids;
};

/* mkt_initiator_offer writes TRANSFER_INIT (4.2.2), with Initiator Data when keys fork. The grant
 * is borrowed and must outlive the Initiator or the next offer; it remembers its use, and a second
 * one is refused with MKT_E_TICKET unless J allows reuse (5.3) or it is for the same group. A
 * compatibility ticket is not offered but sent (mkt_grant_compat): MKT_E_TICKET_TYPE.
 * -> SEND_PEER or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next
mkt_initiator_offer(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_grant *grant,
                    const struct mkt_offer *offer, struct mkt_io *io);

/* mkt_initiator_resume takes up an offer made earlier: grant and TRANSFER_INIT as sent, and the
 * IDRr it was made for (needed when it was left out). Verifies that the message is our own. */
MKT_API MKT_MUST_USE enum mkt_rc
mkt_initiator_resume(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_grant *grant,
                     struct mkt_span transfer_init, struct mkt_identity responder,
                     struct mkt_err *err);

/* mkt_initiator_answered reads one TRANSFER_RESP or Error message. It may be called any number of
 * times for one offer: each answer gives a CSB with keys of its own (5.1.1). *csb is owned by
 * the caller. -> DONE or ABORT (the offer stays open). */
MKT_API MKT_MUST_USE enum mkt_next mkt_initiator_answered(struct mkt_initiator *i,
                                                          const struct mkt_env *env,
                                                          struct mkt_io *io, struct mkt_csb **csb);

/* mkt_initiator_established gives the CSB of an offer whose policy has F = 0: no answer comes.
 * MKT_E_STATE when F is set. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_initiator_established(struct mkt_initiator *i,
                                                           const struct mkt_env *env,
                                                           struct mkt_csb **csb,
                                                           struct mkt_err *err);

#ifdef __cplusplus
}
#endif
#endif
