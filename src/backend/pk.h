/* SPDX-License-Identifier: Apache-2.0 */
/* What the library needs of RSA beyond keys and certificates (mikeyticket/pk.h): the bare
 * permutation, and digests. Paddings that need random octets are made above, from env.random. */
#ifndef MKT_BACKEND_PK_H
#define MKT_BACKEND_PK_H

#include <mikeyticket/env.h>
#include <mikeyticket/pk.h>

#define MKT_HASH_MAX 32 /* octets of the longest digest */

/* Digest of the parts, one after the other; hash: enum mkt_hash. False when it is not supported. */
bool mkt_be_hash(struct mkt_crypto *c, uint8_t hash, const struct mkt_span *part, size_t n,
                 uint8_t *out);

/* Bits of the modulus. */
size_t mkt_be_pkey_bits(const struct mkt_pkey *key);
size_t mkt_be_cert_bits(const struct mkt_cert *cert);

/* The RSA permutations: in and out are as long as the modulus. False when in is not below the
 * modulus, which is no secret. */
bool mkt_be_rsa_public(const struct mkt_cert *cert, struct mkt_span in, uint8_t *out);
bool mkt_be_rsa_private(const struct mkt_pkey *key, struct mkt_span in, uint8_t *out);

/* A secret of that key pair, 32 octets, the same at each load: what a ciphertext that does not
 * decrypt is answered with is derived from it. */
const uint8_t *mkt_be_pkey_reject_secret(const struct mkt_pkey *key);

/* Half open, in seconds since 1970: from, and before until. */
struct mkt_be_window {
    int64_t from, until;
};

/* Does what mkt_trust_verify does, and tells for how long a path that is good now stays good as far
 * as trust and certificates stay as they are. */
enum mkt_rc mkt_be_trust_verify(const struct mkt_trust *trust, const struct mkt_cert *const *chain,
                                size_t n, enum mkt_purpose purpose, int64_t unix_time,
                                struct mkt_be_window *window, struct mkt_err *err);

#define MKT_BE_TRUST_NAME 33 /* octets */

/* What is trusted, in a name: another anchor, CRL or rule makes another one. */
void mkt_be_trust_name(const struct mkt_trust *trust, uint8_t name[MKT_BE_TRUST_NAME]);

/* Verifies a signature of a digest; PSS with any length of salt and MGF1 with the same hash. */
bool mkt_be_rsa_verify(const struct mkt_cert *cert, uint8_t s_type, uint8_t hash,
                       const uint8_t *digest, struct mkt_span signature);

#endif
