/* SPDX-License-Identifier: Apache-2.0 */
/* RSA with its paddings (RFC 3830 4.2.5, 4.2.6; PKCS #1 v2.1 is RFC 3447). What a sender draws
 * comes from env.random, so that a message can be made again. */
#ifndef MKT_KEYS_PK_H
#define MKT_KEYS_PK_H

#include "backend/pk.h"
#include <mikeyticket/env.h>

/* --- pke.c ------------------------------------------------------------------------------------ */

/* Encrypts key for the holder of cert; out: as many octets as the modulus. MKT_E_ARGUMENT for an
 * unknown padding or a key too long for it, MKT_E_RANDOM, MKT_E_CRYPTO. */
enum mkt_rc mkt_pke_seal(const struct mkt_env *env, const struct mkt_cert *cert, uint8_t padding,
                         struct mkt_span key, uint8_t *out);

/* Decrypts data to exactly `want` octets (at most MKT_SECRET_MAX), trying each of `paddings` (1 <<
 * enum mkt_pad) on one decryption, in time that does not depend on what comes out. A wrong PKCS#1
 * padding is no failure but a pseudo-random message of pseudo-random length: false says that the
 * length is another one, which is likely for those, and the same for a well padded message of
 * another length. Where it is `want` by chance, out is a key that nobody knows. */
bool mkt_pke_open(struct mkt_crypto *c, const struct mkt_pkey *key, unsigned paddings,
                  struct mkt_span data, size_t want, uint8_t *out);

/* --- sign.c ----------------------------------------------------------------------------------- */

/* Signs the parts; out: as many octets as the modulus. Like mkt_pke_seal. */
enum mkt_rc mkt_rsa_sign(const struct mkt_env *env, const struct mkt_pkey *key, uint8_t s_type,
                         uint8_t hash, const struct mkt_span *part, size_t n, uint8_t *out);

/* Verifies a signature of the parts. */
bool mkt_rsa_verify(struct mkt_crypto *c, const struct mkt_cert *cert, uint8_t s_type, uint8_t hash,
                    const struct mkt_span *part, size_t n, struct mkt_span signature);

/* --- mgf.c ------------------------------------------------------------------------------------ */

/* MGF1 of seed (RFC 3447 B.2.1), XORed onto out. */
bool mkt_mgf1_xor(struct mkt_crypto *c, uint8_t hash, struct mkt_span seed, uint8_t *out, size_t n);

#endif
