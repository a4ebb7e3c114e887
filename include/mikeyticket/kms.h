/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS side: stateless, one transaction a message. It asks for what it needs and never
 * blocks: begin -> (look up the key) -> verify -> open -> (authorise) -> issue | resolve | refuse.
 */
#ifndef MIKEYTICKET_KMS_H
#define MIKEYTICKET_KMS_H

#include <mikeyticket/io.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MKT_TICKET_ID 16 /* octets of the name of a ticket */

struct mkt_kms_txn; /* opaque, owned; re-used for one message after the other */

/* mkt_kms_txn_new returns a transaction object for one thread, or NULL when memory fails. */
MKT_API struct mkt_kms_txn *mkt_kms_txn_new(void);

/* mkt_kms_txn_free wipes and frees. NULL is allowed. */
MKT_API void mkt_kms_txn_free(struct mkt_kms_txn *t);

/* mkt_kms_end wipes what the last message left. Call it on every path before the next begin. */
MKT_API void mkt_kms_end(struct mkt_kms_txn *t);

/* mkt_kms_begin parses REQUEST_INIT or RESOLVE_INIT, PSK or PK (anything else: MKT_E_DATA_TYPE),
 * and checks structure, suite and RAND lengths. No key is touched. A ticket or a policy that cannot
 * be read is no failure yet: whose it is must be known first, see ticket_err. `in` must live until
 * mkt_kms_end. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_kms_begin(struct mkt_kms_txn *t, struct mkt_span in,
                                               struct mkt_err *err);

/* What the message says, all unverified until mkt_kms_verify. Absent identities have data.p NULL.
 */
struct mkt_kms_ask {
    bool resolve;               /* RESOLVE_INIT rather than REQUEST_INIT */
    bool pk;                    /* signed: mkt_kms_verify_pk rather than mkt_kms_verify */
    struct mkt_identity client; /* IDRi or IDRr */
    struct mkt_identity kms;    /* IDRkms */
    struct mkt_identity psk_id; /* IDRpsk */
    struct mkt_identity tpk_id; /* IDRpsk of the Ticket Data (resolve only) */
    struct mkt_span reference;  /* name of the keys of a reference ticket (resolve); n = 0: none */
    struct mkt_time t;          /* timestamp of the message */
    struct mkt_time made;       /* T of the Ticket Data (resolve only): when the ticket was made */
    uint32_t csb_id;
    /* Why the ticket cannot be read (its type or version is unknown, or it is damaged), or the
     * policy (a parameter twice, or one that is not allowed): policy is incomplete then. rc MKT_OK:
     * they can. mkt_kms_issue, mkt_kms_open and mkt_kms_forward fail with it. */
    const struct mkt_err *ticket_err;
    uint8_t prf;                     /* enum mkt_prf of the header */
    const struct mkt_policy *policy; /* wanted (request) or of the ticket (resolve) */
    struct mkt_span
        fingerprint; /* MAC or signature: identifies the message in a replay cache once verified */
    size_t n_certs;  /* pk: certificates in the message */
    uint8_t cache;   /* pk: C of PKE (enum mkt_cache) */
    const struct mkt_pl_chash *chash; /* pk: CHASH, or NULL */
};

/* mkt_kms_ask returns the questions of the message begun; borrowed until mkt_kms_end. */
MKT_API const struct mkt_kms_ask *mkt_kms_ask(const struct mkt_kms_txn *t);

/* mkt_kms_verify checks the MAC with the client's PSK. `client` is the identity that the credential
 * belongs to and `kms` our own: they stand in the MAC when the message leaves them out (ambiguity
 * 2). A client that names another identity than its credential's is MKT_E_AUTH. For an unknown
 * client pass any inkey: the work is the same, and it fails the same. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_kms_verify(struct mkt_kms_txn *t, const struct mkt_env *env,
                                                const struct mkt_inkey *psk,
                                                struct mkt_identity client, struct mkt_identity kms,
                                                struct mkt_err *err);

/* One key pair of the KMS. */
struct mkt_kms_key {
    const struct mkt_pkey *key;
    const struct mkt_cert *cert; /* CHASH names it */
};

/* What a KMS needs for messages with signatures. */
struct mkt_kms_pk {
    const struct mkt_trust *trust;
    const struct mkt_kms_key *keys; /* the first is meant when there is no CHASH */
    size_t n_keys;
    /* The chain of a client that sends no certificate, if it is known otherwise. */
    const struct mkt_cert *const *known;
    size_t n_known;
    struct mkt_identity kms; /* our own */
    unsigned paddings;       /* accepted in PKE, 1 << enum mkt_pad; 0: all */
    bool sha1;               /* accept signatures with SHA-1 in the 128-bit suite */
};

/* mkt_kms_verify_pk verifies a signed message in this order: CHASH, the certificates and what they
 * may be used for at env->now, the identity in them (ambiguity 66; left out: the only one there
 * is), SIGN, and only then decrypts the envelope key. After it mkt_kms_ask has the authenticated
 * identity, and everything goes on as with a PSK. A PKE that does not decrypt is MKT_E_AUTH or
 * leads, like one that does, to an answer under a key that nobody knows: see mkt_pke_open. Costs
 * two RSA public and one private operation, and may run in another thread than the rest, with an
 * env of its own. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_kms_verify_pk(struct mkt_kms_txn *t, const struct mkt_env *env,
                                                   const struct mkt_kms_pk *how,
                                                   struct mkt_err *err);

/* A TPK the KMS protects tickets with. */
struct mkt_tpk {
    struct mkt_span id;          /* IDRpsk of the Ticket Data, byte string; n = 0: left out */
    const struct mkt_inkey *key; /* at least the length of the suite's keys */
    /* Who shares it with us: nobody (data.p NULL, mode 1), a Responder (mode 2) or an Initiator
     * (mode 3). */
    struct mkt_identity owner;
};

/* mkt_kms_issue answers a verified request: generates the keys, makes the ticket under `granted`,
 * and writes REQUEST_RESP (4.2.1.5). `thdr` is THDR data of a base ticket, mostly empty. For a
 * compatibility ticket the TPK is the PSK of the one IDRr, who must be its owner.
 * -> SEND_PEER or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_kms_issue(struct mkt_kms_txn *t, const struct mkt_env *env,
                                                 const struct mkt_policy *granted,
                                                 const struct mkt_tpk *tpk, struct mkt_span thdr,
                                                 struct mkt_io *io);

/* mkt_kms_kept returns what the KMS must store, under *reference, before it sends the answer of
 * mkt_kms_issue: the keys of a reference ticket, secret octets. n = 0 for other types. Borrowed
 * until mkt_kms_end. */
MKT_API struct mkt_span mkt_kms_kept(const struct mkt_kms_txn *t, struct mkt_span *reference);

/* mkt_kms_recall gives back what was kept for the reference in mkt_kms_ask, before mkt_kms_open.
 * Without it a reference ticket does not open: that is how one is revoked at once. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_kms_recall(struct mkt_kms_txn *t, struct mkt_span kept,
                                                struct mkt_err *err);

/* mkt_kms_ticket_id returns the name of the ticket that was issued, or is to be resolved: the last
 * MKT_TICKET_ID octets of its Ticket Data, which are the end of its MAC in every Ticket Type.
 * Whoever changes anything that is under the MAC needs another one, so nobody can give a ticket a
 * second name. n = 0: there is no ticket (yet). Borrowed until mkt_kms_end. */
MKT_API struct mkt_span mkt_kms_ticket_id(const struct mkt_kms_txn *t);

/* mkt_kms_open opens the ticket of a verified RESOLVE_INIT with its TPK: type, MAC, suite, flags,
 * validity at env->now, the TPK's owner, and with key forking the Initiator Data (4.2.3.4). A
 * ticket with D = 0 must be under a TPK of its IDRi, one with D = 1 under ours or that of its one
 * IDRr (4.1.1). After it the policy is authentic and its `wanted` describes the session keys of the
 * ticket; for D = 0 the caller applies to it what it would have applied to a request. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_kms_open(struct mkt_kms_txn *t, const struct mkt_env *env,
                                              const struct mkt_tpk *tpk, struct mkt_err *err);

/* mkt_kms_resolve answers an opened ticket: forks MPKr and the TGKs for `responder` (the identity
 * that answered, as the KMS vouches for it) and writes RESOLVE_RESP (4.2.3.5).
 * -> SEND_PEER or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_kms_resolve(struct mkt_kms_txn *t, const struct mkt_env *env,
                                                   struct mkt_identity responder,
                                                   struct mkt_io *io);

/* --- between KMSs, RFC 6043 10
 * -------------------------------------------------------------------- */

/* mkt_kms_forward is one ticket being resolved by another KMS. Opaque, owned. */
struct mkt_kms_forward;

/* mkt_kms_forward_new takes what this KMS is to the other one: self is the IDRr of the RESOLVE_INIT
 * being served (it is reused), kms the other KMS, and the PSK of the two KMSs with its psk_id. NULL
 * when memory fails. */
MKT_API struct mkt_kms_forward *mkt_kms_forward_new(const struct mkt_credential *peer);

/* mkt_kms_forward_free wipes and frees. NULL is allowed. */
MKT_API void mkt_kms_forward_free(struct mkt_kms_forward *f);

/* mkt_kms_forward writes the RESOLVE_INIT for the other KMS, with IDRr and TICKET of a verified
 * one. The caller protects the way to it (confidentiality and mutual authentication are mandatory).
 * -> SEND_KMS or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_kms_forward(struct mkt_kms_forward *f,
                                                   const struct mkt_kms_txn *t,
                                                   const struct mkt_env *env, struct mkt_io *io);

/* mkt_kms_forwarded reads the other KMS's answer and writes our RESOLVE_RESP with the keys it gave.
 * After it `wanted` of the policy describes the session keys, as after mkt_kms_open: the caller may
 * still refuse. -> SEND_PEER or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_kms_forwarded(struct mkt_kms_forward *f,
                                                     struct mkt_kms_txn *t,
                                                     const struct mkt_env *env,
                                                     struct mkt_span answer, struct mkt_io *io);

/* mkt_kms_refuse writes an Error message with the Error no of rc (5.4): authenticated with V when
 * the message was verified, bare otherwise. -> SEND_PEER, or ABORT when no answer may be made
 * (the message did not even parse so far that it has a header). */
MKT_API MKT_MUST_USE enum mkt_next mkt_kms_refuse(struct mkt_kms_txn *t, const struct mkt_env *env,
                                                  enum mkt_rc rc, struct mkt_io *io);

/* What mkt_kms_refuse_signed signs with. */
struct mkt_kms_signer {
    const struct mkt_pkey *key;
    uint8_t s_type; /* enum mkt_s_type */
    bool sha1;
};

/* mkt_kms_refuse_signed writes the same Error message with SIGNkms instead of V. Not for messages
 * that failed to authenticate: it would let strangers spend our time (RFC 3830 5.1.2), so those are
 * answered bare. -> SEND_PEER or ABORT. */
MKT_API MKT_MUST_USE enum mkt_next mkt_kms_refuse_signed(struct mkt_kms_txn *t,
                                                         const struct mkt_env *env, enum mkt_rc rc,
                                                         const struct mkt_kms_signer *by,
                                                         struct mkt_io *io);

#ifdef __cplusplus
}
#endif
#endif
