/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and CRLs made while a test runs, over the key pairs of tests/vectors/pki. */
#ifndef MKT_TESTS_PKI_H
#define MKT_TESTS_PKI_H

#include <mikeyticket/env.h>
#include <mikeyticket/pk.h>

#include <openssl/evp.h>

enum pki_key { PKI_CA, PKI_KMS, PKI_ALICE, PKI_BOB, PKI_MALLORY, PKI_SMALL, PKI_KEYS };

/* What a certificate says; what is zero is left out or a default. */
struct pki_cert {
    enum pki_key key;
    const char *name, *san; /* common name; "URI:sip:...", several with commas */
    enum pki_key issuer_key;
    const char *issuer; /* NULL: " CA", as the name of the test CA is */
    const char *usage;  /* "digitalSignature" */
    bool ca, sha1;
    int from_day, to_day; /* of validity, counted from the time of the test; 0: a year */
    long serial;
};

struct pki {
    EVP_PKEY *evp[PKI_KEYS];
    struct mkt_pkey *key[PKI_KEYS]; /* NULL for PKI_SMALL: 1024 bits */
    int64_t at;                     /* seconds since 1970 */
    struct mkt_cert *made[256];
    size_t n_made;
};

/* pki_open reads the key pairs; everything is valid around `at`. False when a file is missing. */
bool pki_open(struct pki *p, int64_t at);
void pki_close(struct pki *p);

/* pki_der writes a certificate into out (4096 octets) and returns its length. */
size_t pki_der(const struct pki *p, const struct pki_cert *what, uint8_t *out);

/* pki_make makes a certificate that lives until pki_close. */
const struct mkt_cert *pki_make(struct pki *p, const struct pki_cert *what);

/* pki_crl writes a CRL of that issuer, in force for `days` from a day ago, with one serial number
 * revoked (0: none), into out (4096 octets) and returns its length. */
size_t pki_crl(const struct pki *p, enum pki_key issuer_key, const char *issuer, long revoked,
               int days, uint8_t *out);

/* pki_trust makes a store with the CA as its anchor; the caller frees it. */
struct mkt_trust *pki_trust(struct pki *p);

#endif
