/* SPDX-License-Identifier: Apache-2.0 */
/* The primitives the library needs of a cryptographic library. One implementation: libcrypto.c. */
#ifndef MKT_BACKEND_BACKEND_H
#define MKT_BACKEND_BACKEND_H

#include <mikeyticket/alg.h>
#include <mikeyticket/env.h>

/* Keys the HMAC of mac_alg; mkt_be_hmac may then be called any number of times for this key. */
bool mkt_be_hmac_key(struct mkt_crypto *c, uint8_t mac_alg, struct mkt_span key);

/* HMAC of the parts, one after the other, under the last key set for mac_alg. out: full length. */
bool mkt_be_hmac(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part, size_t n,
                 uint8_t *out);

/* The same, and the key is forgotten: what the contexts hold is used up instead of copied. */
bool mkt_be_hmac_last(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part, size_t n,
                      uint8_t *out);

/* Wipes the key set for mac_alg and what it left in the contexts. Every use of a key ends so, or
 * with mkt_be_hmac_last. */
void mkt_be_hmac_forget(struct mkt_crypto *c, uint8_t mac_alg);

/* AES in counter mode; key of 16 or 32 octets, iv of 16. in and out may be the same. */
bool mkt_be_aes_ctr(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[16],
                    struct mkt_span in, uint8_t *out);

/* AES-128 key wrap (RFC 3394) with the given 8-octet IV. wrap: in.n is a multiple of 8, at least
 * 16, out gets in.n + 8; unwrap: the reverse, false when the integrity check fails. */
bool mkt_be_kw_wrap(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[8],
                    struct mkt_span in, uint8_t *out);
bool mkt_be_kw_unwrap(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[8],
                      struct mkt_span in, uint8_t *out);

/* Memory for the opaque objects: zeroed; freed memory is wiped. One seam for failure tests. */
void *mkt_be_alloc(size_t n);
/* Objects with a large end of which little is in use, keys or the payloads of a message: only
 * `head` octets are zeroed, and given to mkt_be_free. mkt_keys_wipe wipes the keys. */
void *mkt_be_alloc_head(size_t n, size_t head);
void mkt_be_free(void *p, size_t n);

#endif
