/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of users who authenticated with them lately, parsed. Parsing costs libcrypto 3.0 a
 * third of an RSA decryption, and a key that was used before verifies faster. Only that they are
 * certificates is remembered, and the path by which they were trusted last, as long as it must come
 * out the same: the same certificates, anchors, CRLs and rules, at a time when all of them are in
 * force. Anything else is looked at afresh. Strangers cannot push anything out. */
#ifndef MKT_ROLE_CERT_CACHE_H
#define MKT_ROLE_CERT_CACHE_H

#include "backend/pk.h"

#define MKT_CERT_DIGEST 32 /* octets: SHA-256 of the DER */
#define MKT_CERT_SLOTS 256
#define MKT_CERT_PATH 32 /* octets: SHA-256 of trust and chain */

/* A path that was found good. */
struct mkt_cert_path {
    uint8_t name[MKT_CERT_PATH];
    struct mkt_be_window window;
};

struct mkt_cert_cache {
    struct {
        uint8_t digest[MKT_CERT_DIGEST];
        struct mkt_cert *cert;     /* NULL: free */
        struct mkt_cert_path path; /* from it; window empty: none */
    } slot[MKT_CERT_SLOTS];
};

/* Finds a certificate; borrowed until the next keep. NULL when it is not there. */
const struct mkt_cert *mkt_cert_cache_find(const struct mkt_cert_cache *c,
                                           const uint8_t digest[MKT_CERT_DIGEST]);

/* Takes a certificate, in place of another if need be. */
void mkt_cert_cache_keep(struct mkt_cert_cache *c, const uint8_t digest[MKT_CERT_DIGEST],
                         struct mkt_cert *cert);

/* Tells whether the path of that name was found good for the certificate, and still is at
 * unix_time.
 */
bool mkt_cert_cache_trusts(const struct mkt_cert_cache *c, const uint8_t digest[MKT_CERT_DIGEST],
                           const uint8_t name[MKT_CERT_PATH], int64_t unix_time);

/* Remembers a good path, if the certificate is there. */
void mkt_cert_cache_trust(struct mkt_cert_cache *c, const uint8_t digest[MKT_CERT_DIGEST],
                          const struct mkt_cert_path *path);

void mkt_cert_cache_free(struct mkt_cert_cache *c);

#endif
