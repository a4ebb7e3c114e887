/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of other KMSs that their authorities have taken back. Lists come by ways that nobody
 * guards, so each must be signed by an authority; and who has lists has one of each authority, so
 * that a missing one is no way around them. */
#ifndef KMS_CRL_H
#define KMS_CRL_H

#include <gnutls/x509.h>

#include "files.h"

struct kms_crl; /* opaque, owned, immutable */

/* kms_crl_open reads the lists (PEM) in a file, which must be those of the certificates in the file
 * `ca`, one of each. One that is out of date is taken: whom it is about is refused until there is a
 * newer one. False: err says which file and why. */
bool kms_crl_open(struct kms_crl **crl, const char *path, const char *ca, char err[KMS_FILES_ERR]);

/* kms_crl_free frees. NULL is allowed. */
void kms_crl_free(struct kms_crl *crl);

/* kms_crl_clears tells whether each of n certificates has an issuer whose list is in force at now_s
 * (seconds since 1970) and does not have it. */
bool kms_crl_clears(const struct kms_crl *crl, const gnutls_x509_crt_t *chain, unsigned n,
                    int64_t now_s);

#endif
