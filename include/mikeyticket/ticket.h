/* SPDX-License-Identifier: Apache-2.0 */
/* A granted ticket with the keys that came with it. */
#ifndef MIKEYTICKET_TICKET_H
#define MIKEYTICKET_TICKET_H

#include <mikeyticket/io.h>

#ifdef __cplusplus
extern "C" {
#endif

/* mkt_grant is what a successful Ticket Request gives the Initiator. Opaque, owned. */
struct mkt_grant;

/* mkt_grant_free wipes and frees. NULL is allowed. */
MKT_API void mkt_grant_free(struct mkt_grant *g);

/* mkt_grant_policy returns the granted policy; it borrows from g. */
MKT_API const struct mkt_policy *mkt_grant_policy(const struct mkt_grant *g);

/* mkt_grant_keys returns MPKi, MPKr (when forking) and the session keys; borrowed, secret. */
MKT_API const struct mkt_keys *mkt_grant_keys(const struct mkt_grant *g);

/* mkt_grant_ticket returns the TICKET payload as received, Next Payload octet included. */
MKT_API struct mkt_span mkt_grant_ticket(const struct mkt_grant *g);

/* --- compatibility mode, RFC 6043 B.1
 * ------------------------------------------------------------ */

/* mkt_compat is the RFC 3830 message of a compatibility ticket. */
struct mkt_compat {
    struct mkt_span message; /* to be sent as it is; borrows from the grant */
    uint32_t csb_id;
    uint8_t n_cs; /* crypto sessions: CS IDs 1 to n_cs */
};

/* mkt_grant_compat takes the RFC 3830 message out of a compatibility ticket and checks that its
 * form is that of RFC 3830 3.1; its MAC is between the KMS and the Responder. The Responder refuses
 * it when the clock has moved too far since the KMS made it, and when it comes twice.
 * MKT_E_TICKET_TYPE for other tickets, MKT_E_TICKET_EXPIRED, MKT_E_TICKET for a message of another
 * form. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_grant_compat(const struct mkt_grant *g,
                                                  const struct mkt_env *env,
                                                  struct mkt_compat *compat, struct mkt_err *err);

/* mkt_grant_compat_derive gives the TEK (16 octets) and salt (14 octets, or as the TGK came with)
 * of the crypto session cs_id, as the Responder derives them (RFC 3830 4.1.3). MKT_E_ARGUMENT when
 * there is no such crypto session. The caller wipes both as soon as they are used. */
MKT_API MKT_MUST_USE enum mkt_rc
mkt_grant_compat_derive(const struct mkt_grant *g, const struct mkt_env *env, uint8_t cs_id,
                        struct mkt_secret *tek, struct mkt_secret *salt, struct mkt_err *err);

/* What a party that holds a TPK puts into a ticket of its own (modes 3 and 4, RFC 6043 4.1.1). */
struct mkt_own_ticket {
    const struct mkt_policy *policy; /* D = 0 */
    const struct mkt_inkey *tpk;
    struct mkt_span tpk_id;      /* IDRpsk of the Ticket Data; n = 0: left out */
    const struct mkt_keys *keys; /* session keys, each with its SPI; an MPK in front is used too */
    uint8_t ts_type;             /* enum mkt_ts of the ticket's T */
    struct mkt_span thdr;        /* THDR data, mostly empty */
    bool key_wrap;               /* AES-KW-128 for the KEMAC (128-bit suite) */
};

/* mkt_grant_create makes a base ticket under the Initiator's own TPK. Draws an MPK unless the keys
 * begin with one. *g is owned by the caller. MKT_E_TP_PARAM when the policy says that the KMS made
 * it (D). */
MKT_API MKT_MUST_USE enum mkt_rc mkt_grant_create(struct mkt_grant **g, const struct mkt_env *env,
                                                  const struct mkt_own_ticket *own,
                                                  struct mkt_err *err);

/* mkt_grant_export writes g into out (docs/formats/ticket-file.md), with the mark of its use:
 * secret octets. *len gets the length. MKT_E_NO_SPACE when cap is too small. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_grant_export(const struct mkt_grant *g, uint8_t *out,
                                                  size_t cap, size_t *len);

/* mkt_grant_import reads what mkt_grant_export wrote. *g is owned by the caller. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_grant_import(struct mkt_grant **g, struct mkt_span octets,
                                                  struct mkt_err *err);

#ifdef __cplusplus
}
#endif
#endif
