/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of users who authenticated with them lately, parsed. Parsing costs libcrypto 3.0 a
 * third of an RSA decryption, and a key that was used before verifies faster. Only that they are
 * certificates is remembered, never that they are trusted: validity, path and revocation are looked
 * at each time. Strangers cannot push anything out. */
#ifndef MKT_ROLE_CERT_CACHE_H
#define MKT_ROLE_CERT_CACHE_H

#include <mikeyticket/pk.h>

#define MKT_CERT_DIGEST 32 /* octets: SHA-256 of the DER */
#define MKT_CERT_SLOTS 256

struct mkt_cert_cache {
    struct {
        uint8_t digest[MKT_CERT_DIGEST];
        struct mkt_cert *cert; /* NULL: free */
    } slot[MKT_CERT_SLOTS];
};

/* Finds a certificate; borrowed until the next keep. NULL when it is not there. */
const struct mkt_cert *mkt_cert_cache_find(const struct mkt_cert_cache *c,
                                           const uint8_t digest[MKT_CERT_DIGEST]);

/* Takes a certificate, in place of another if need be. */
void mkt_cert_cache_keep(struct mkt_cert_cache *c, const uint8_t digest[MKT_CERT_DIGEST],
                         struct mkt_cert *cert);

void mkt_cert_cache_free(struct mkt_cert_cache *c);

#endif
