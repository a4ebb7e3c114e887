/* SPDX-License-Identifier: Apache-2.0 */
/* What sealed objects need of a cryptographic library: AES-GCM with a nonce that the caller counts,
 * and a digest that is fed bit by bit. */
#ifndef MKT_CLI_AEAD_H
#define MKT_CLI_AEAD_H

#include <mikeyticket/secret.h>

#define CLI_AEAD_NONCE 12 /* octets */
#define CLI_AEAD_TAG 16
#define CLI_DIGEST 32 /* octets of SHA-256 */

struct cli_aead;

/* cli_aead_new makes an AES-GCM under a key of 16 or 32 octets; NULL: neither, or no memory. */
struct cli_aead *cli_aead_new(struct mkt_span key);

/* cli_aead_free wipes and frees. NULL is allowed. */
void cli_aead_free(struct cli_aead *a);

/* cli_aead_seal writes the ciphertext of plain and its tag into out (plain.n + CLI_AEAD_TAG
 * octets). No nonce may come twice under one key. */
MKT_MUST_USE bool cli_aead_seal(struct cli_aead *a, const uint8_t nonce[CLI_AEAD_NONCE],
                                struct mkt_span name, struct mkt_span plain, uint8_t *out);

/* cli_aead_open writes the plaintext of sealed, which ends with its tag, into out (sealed.n -
 * CLI_AEAD_TAG octets). False: it is not authentic, and out is wiped. */
MKT_MUST_USE bool cli_aead_open(struct cli_aead *a, const uint8_t nonce[CLI_AEAD_NONCE],
                                struct mkt_span name, struct mkt_span sealed, uint8_t *out);

struct cli_digest;

/* cli_digest_new begins a SHA-256; NULL when memory or the algorithm fail. */
struct cli_digest *cli_digest_new(void);
void cli_digest_free(struct cli_digest *d);

/* cli_digest_add takes more octets, cli_digest_end gives the digest of all and begins anew. */
MKT_MUST_USE bool cli_digest_add(struct cli_digest *d, struct mkt_span octets);
MKT_MUST_USE bool cli_digest_end(struct cli_digest *d, uint8_t out[CLI_DIGEST]);

#endif
