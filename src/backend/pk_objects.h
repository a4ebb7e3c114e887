/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of mikeyticket/pk.h as libcrypto has them; for this directory only. */
#ifndef MKT_BACKEND_PK_OBJECTS_H
#define MKT_BACKEND_PK_OBJECTS_H

#include "backend/pk.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

struct mkt_pkey {
    EVP_PKEY *evp;
    EVP_PKEY_CTX *raw; /* ready to decrypt; copied for each use, so that threads can share it */
    uint8_t reject[32];
};

struct mkt_cert {
    X509 *x509;
    EVP_PKEY *evp;        /* borrowed from x509 */
    EVP_PKEY_CTX *verify; /* ready for PKCS#1 v1.5 with SHA-256; copied for each use */
    uint8_t *der;
    size_t der_len;
};

/* True for an RSA key of a length in bounds. */
bool mkt_be_rsa_fits(const EVP_PKEY *evp);

/* Whether the key may be used for that, by the certificate's own word. */
enum mkt_rc mkt_be_check_usage(const struct mkt_cert *cert, enum mkt_purpose purpose,
                               struct mkt_err *err);

/* A context to verify with that key, PKCS#1 v1.5 and SHA-256; NULL when memory fails. */
EVP_PKEY_CTX *mkt_be_verifier(EVP_PKEY *evp);

/* Every failure of libcrypto ends here: its queue of errors is not ours to fill. */
enum mkt_rc mkt_be_fail(struct mkt_err *err, enum mkt_rc rc, const char *what, const char *ref);

#endif
