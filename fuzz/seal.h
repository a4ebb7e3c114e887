/* SPDX-License-Identifier: Apache-2.0 */
/* Seals a damaged message anew, in place: without it no fuzzer gets past the MAC. The contents of a
 * KEMAC are taken as clear text and encrypted, so that they too can be damaged. No length changes,
 * so a message that cannot be sealed stays as it is. */
#ifndef MKT_FUZZ_SEAL_H
#define MKT_FUZZ_SEAL_H

#include "keys/pk.h"
#include "ticket/ticket.h"

/* What the keys of a message are made of, and what its MAC covers behind it. */
struct mkt_seal {
    struct mkt_crypto *crypto;
    const struct mkt_inkey *key;
    struct mkt_label label;
    struct mkt_span tail[2];
    size_t n_tail;
};

/* Encrypts the KEMAC of m, if there is one. For AES-CM this is its own reverse: it makes the clear
 * KEMAC of a seed, too. False: the message has none that could be encrypted. */
bool mkt_seal_kemac(const struct mkt_msg *m, const struct mkt_seal *s);

/* Encrypts the KEMAC of m and writes the MAC into its V. False when m does not end with a V of the
 * suite. m must have been cut from octets that may be changed. */
bool mkt_seal_message(const struct mkt_msg *m, const struct mkt_seal *s);

/* The same for a base ticket under its TPK. On success keys holds what it was opened to. False when
 * it cannot be opened afterwards. */
bool mkt_seal_ticket(const struct mkt_payload *ticket, struct mkt_crypto *crypto,
                     const struct mkt_inkey *tpk, struct mkt_keys *keys);

/* Writes Vi, a copy of the MAC of m, and Vr into the Initiator Data of its ticket. */
bool mkt_seal_initiator_data(const struct mkt_msg *m, struct mkt_crypto *crypto,
                             const struct mkt_secret *mpk_r);

/* Raises the PKE of m, which is a padded key, to the power of the public exponent. False when there
 * is none, or it is no number below the modulus. */
bool mkt_seal_pke(const struct mkt_msg *m, const struct mkt_cert *kms);

/* Signs m, and what its signature covers behind it, as its SIGN says. False when m does not end
 * with a SIGN of a known type and of the length of key. */
bool mkt_seal_sign(const struct mkt_msg *m, const struct mkt_env *env, const struct mkt_pkey *key,
                   const struct mkt_span *tail, size_t n_tail);

#endif
