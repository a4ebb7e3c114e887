/* SPDX-License-Identifier: Apache-2.0 */
/* The Ticket Policy of RFC 6043 6.10, wanted (TP) and granted (TICKET). */
#ifndef MIKEYTICKET_POLICY_H
#define MIKEYTICKET_POLICY_H

#include <mikeyticket/payload.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MKT_ID_MAX 1024 /* octets of an identity that a role keeps */
#define MKT_RESPONDERS_MAX 16
#define MKT_APPS_MAX 8

/* mkt_identity is an identity as it stands in an IDR payload. Absent: data.p is NULL. */
struct mkt_identity {
    uint8_t type; /* enum mkt_id_type */
    struct mkt_span data;
};

/* mkt_identity_equal compares type and octets. */
MKT_API bool mkt_identity_equal(struct mkt_identity a, struct mkt_identity b);

/* mkt_uri makes a URI identity of a terminated string, borrowed. */
MKT_API struct mkt_identity mkt_uri(const char *uri);

struct mkt_time { /* a timestamp of a policy or message; present: has */
    bool has;
    uint8_t type; /* enum mkt_ts */
    uint64_t
        value; /* as widened to 64 bits (RFC 6043 6.3): NTP 32.32, COUNTER in the low 32 bits */
};

/* One key wanted in the KEMAC of a TP payload. */
struct mkt_want_key {
    uint8_t type, kv;
    uint16_t key_len, salt_len; /* octets */
    struct mkt_span spi;
};

/* mkt_policy is a Ticket Policy with its TP Data taken apart. Identities borrow. */
struct mkt_policy {
    uint16_t ticket_type;
    uint8_t subtype, version, prf;
    uint16_t flags; /* enum mkt_tp_flag */
    uint8_t res;
    struct mkt_identity kms, initiator;
    struct mkt_time start, end, rekey; /* TRs, TRe, TRr */
    bool has_kemac;                    /* TP only */
    uint8_t n_wanted, n_apps, n_responders;
    struct mkt_want_key wanted[MKT_KEYS_MAX];
    struct mkt_identity apps[MKT_APPS_MAX];
    struct mkt_identity responders[MKT_RESPONDERS_MAX];
};

/* mkt_policy_init makes the default wish of a suite: base ticket, flags DEFGHINO, one
 * TGK, nobody authorised yet. prf selects the suite (enum mkt_prf). */
MKT_API void mkt_policy_init(struct mkt_policy *p, uint8_t prf);

/* mkt_policy_init_compat makes the wish for a compatibility ticket (RFC 6043 B.1): 128-bit suite,
 * flags DH, one TGK, nobody authorised yet; exactly one IDRr is to be added. subtype: enum
 * mkt_compat_subtype. */
MKT_API void mkt_policy_init_compat(struct mkt_policy *p, uint8_t subtype);

/* mkt_policy_decode takes apart the policy half of a TP or TICKET payload; `at` is the offset of
 * TP Data in the message, for the error. `ticket`: a granted policy, where KEMAC is refused. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_policy_decode(struct mkt_policy *p,
                                                   const struct mkt_pl_ticket *pl, bool ticket,
                                                   size_t at, struct mkt_err *err);

/* One implication between flags, RFC 6043 6.10: where `flag` is set (`when`) or not set, `needs`
 * must be set. with_tgk: only if a TGK is encoded in the ticket. `say` is "flags: I implies E". */
struct mkt_flag_rule {
    uint16_t flag, needs; /* enum mkt_tp_flag */
    bool when, with_tgk;
    const char *say;
};

/* mkt_flag_rules returns all of them (static), *n gets their number. */
MKT_API const struct mkt_flag_rule *mkt_flag_rules(size_t *n);

/* mkt_flag_rule_holds tests one; `tgk` tells whether a TGK is in the ticket. */
MKT_API bool mkt_flag_rule_holds(const struct mkt_flag_rule *rule, uint16_t flags, bool tgk);

/* mkt_policy_check tests the flags against the implications of 6.10; `tgk` tells whether a TGK is
 * (or will be) encoded in the ticket, which with I demands F. MKT_E_TP_FLAGS names the rule. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_policy_check(uint16_t flags, bool tgk, struct mkt_err *err);

/* mkt_policy_valid_at tests TRs <= now <= TRe, both inclusive. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_policy_valid_at(const struct mkt_policy *p, uint64_t now,
                                                     struct mkt_err *err);

/* What a KMS lets through, and what it changes on the way. */
struct mkt_grant_rules {
    uint32_t max_validity_s; /* longest TRe - now granted, seconds; 0: no bound */
    uint16_t clear_flags, set_flags;
    uint8_t max_keys;       /* session keys in one ticket; 0: MKT_KEYS_MAX - 2 */
    bool responder_has_tpk; /* the single IDRr shares the TPK: E = 0 may stand, and a compatibility
                             * ticket may be made */
    bool keeps_keys;        /* reference tickets are made: the KMS stores their keys */
};

/* mkt_policy_grant computes the granted policy from the wanted one: repairs D, E and F, applies the
 * rules, and sets K when the result differs (ambiguities 45, 46). *granted borrows from want
 * and from `requester` and `kms`, which fill IDRi and IDRkms. MKT_E_TP_FLAGS, MKT_E_TICKET_TYPE,
 * MKT_E_TP_PARAM or MKT_E_TICKET_EXPIRED when it cannot be granted. */
MKT_API MKT_MUST_USE enum mkt_rc
mkt_policy_grant(struct mkt_policy *granted, const struct mkt_policy *want,
                 const struct mkt_grant_rules *rules, struct mkt_identity requester,
                 struct mkt_identity kms, uint64_t now, struct mkt_err *err);

/* mkt_policy_flags_format writes the letters of the flags that are set; buf holds 13 octets. */
MKT_API void mkt_policy_flags_format(uint16_t flags, char buf[13]);

#ifdef __cplusplus
}
#endif
#endif
