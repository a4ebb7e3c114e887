/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in, an instruction out: what every step of a role takes and gives back. */
#ifndef MIKEYTICKET_IO_H
#define MIKEYTICKET_IO_H

#include <mikeyticket/env.h>
#include <mikeyticket/message.h>
#include <mikeyticket/pk.h>
#include <mikeyticket/policy.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mkt_next {                     /* what the caller does now */
                MKT_NEXT_ASK,       /* look at what arrived, then accept or refuse it      */
                MKT_NEXT_SEND_KMS,  /* out goes to the KMS; its answer to the next call    */
                MKT_NEXT_SEND_PEER, /* out goes to the other party                         */
                MKT_NEXT_DONE,      /* nothing to send                                     */
                MKT_NEXT_ABORT      /* io->err says why; nothing changed, no key was given */
};

struct mkt_io {
    struct mkt_span in; /* the message that just arrived */
    uint8_t *out;       /* the caller's buffer */
    size_t cap;         /* octets of out; MKT_MSG_MAX always suffices */
    size_t out_len;     /* octets written; 0 after ABORT */
    struct mkt_err err;
    uint8_t peer_error;        /* Error no of an Error message received (err.rc = PEER_ERROR) */
    bool peer_error_authentic; /* it carried a V that verifies; without: a hint only (5.4) */
    /* Answers of the KMS and CSB updates: `in` verified, and what failed lies beyond it. Without,
     * `in` may be anyone's: on a datagram transport keep waiting. */
    bool authentic;
};

/* What a payload that is normally sent may be left out (RFC 6043 4.2: "MAY be left out"). The
 * identity stays in the MAC. */
enum mkt_omit { MKT_OMIT_SELF = 1, MKT_OMIT_PEER = 2, MKT_OMIT_KMS = 4 };

/* mkt_pk_credential is how a user with a certificate is known to the KMS. What is zero is the
 * default: PKCS#1 v1.5 for both, SHA-256, no CHASH, no certificate sent. */
struct mkt_pk_credential {
    const struct mkt_pkey *key;          /* signs */
    const struct mkt_cert *const *chain; /* sent: our certificate, each certified by the next */
    size_t n_chain;                      /* 0: the KMS has it already */
    const struct mkt_cert *kms;          /* envelope keys are for its holder; mkt_trust_verify it */
    uint8_t padding;                     /* enum mkt_pad, as the KMS expects it */
    uint8_t s_type;                      /* enum mkt_s_type */
    uint8_t cache;                       /* enum mkt_cache */
    uint8_t chash_func;                  /* enum mkt_hash, when chash is set */
    bool chash;                          /* tell the KMS which of its keys is used */
    bool sha1; /* sign with SHA-1, and accept it (128-bit suite only): for peers that know no other
                */
};

/* mkt_credential is how a user is known to the KMS: by a PSK or, when pk is not NULL, by a
 * certificate. Roles copy the octets; psk and pk are borrowed and must outlive the role. */
struct mkt_credential {
    struct mkt_identity self; /* IDRi or IDRr */
    struct mkt_identity kms;  /* IDRkms */
    struct mkt_span psk_id;   /* IDRpsk, byte string; n = 0: not sent */
    const struct mkt_inkey *psk;
    const struct mkt_pk_credential *pk; /* NULL: psk */
    uint8_t ts_type;                    /* enum mkt_ts of the messages */
    unsigned omit;                      /* enum mkt_omit */
};

#ifdef __cplusplus
}
#endif
#endif
