/* SPDX-License-Identifier: Apache-2.0 */
/* See pki.h. */
#include "pki.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY 86400

static bool
read_key(struct pki *p, enum pki_key which, const char *name)
{
    static char text[8192];
    char path[512];
    struct mkt_err err = { 0 };
    snprintf(path, sizeof path, "%s/%s.key.pem", PKI_DIR, name);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    BIO *bio = BIO_new_mem_buf(text, (int)n);
    p->evp[which] = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return p->evp[which] != NULL && mkt_pkey_new(&p->key[which], mkt_span(text, n), &err) == MKT_OK;
}

bool
pki_open(struct pki *p, int64_t at)
{
    *p = (struct pki){ .at = at };
    p->evp[PKI_SMALL] = EVP_RSA_gen(1024);
    return p->evp[PKI_SMALL] != NULL && read_key(p, PKI_CA, "ca") && read_key(p, PKI_KMS, "kms") &&
           read_key(p, PKI_ALICE, "alice") && read_key(p, PKI_BOB, "bob") &&
           read_key(p, PKI_MALLORY, "mallory");
}

void
pki_close(struct pki *p)
{
    for (size_t i = 0; i < PKI_KEYS; i++) {
        EVP_PKEY_free(p->evp[i]);
        mkt_pkey_free(p->key[i]);
    }
    for (size_t i = 0; i < p->n_made; i++)
        mkt_cert_free(p->made[i]);
}

static X509_NAME *
name_of(const char *common)
{
    X509_NAME *name = X509_NAME_new();
    if (name == NULL || X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                   (const unsigned char *)common, -1, -1, 0) != 1)
        abort();
    return name;
}

static void
extend(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = value == NULL ? NULL : X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    if (value != NULL && (e == NULL || X509_add_ext(x, e, -1) != 1))
        abort();
    X509_EXTENSION_free(e);
}

static ASN1_TIME *
day(const struct pki *p, int days)
{
    return ASN1_TIME_set(NULL, (time_t)(p->at + (int64_t)days * DAY));
}

size_t
pki_der(const struct pki *p, const struct pki_cert *what, uint8_t *out)
{
    X509 *x = X509_new();
    X509_NAME *subject = name_of(what->name);
    X509_NAME *issuer = name_of(what->issuer == NULL ? " CA" : what->issuer);
    ASN1_TIME *from = day(p, what->from_day == 0 ? -1 : what->from_day);
    ASN1_TIME *to = day(p, what->to_day == 0 ? 365 : what->to_day);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), what->serial == 0 ? 100 : what->serial);
    X509_set_subject_name(x, subject);
    X509_set_issuer_name(x, issuer);
    X509_set1_notBefore(x, from);
    X509_set1_notAfter(x, to);
    X509_set_pubkey(x, p->evp[what->key]);
    extend(x, NID_basic_constraints, what->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    extend(x, NID_key_usage, what->usage);
    extend(x, NID_subject_alt_name, what->san);
    if (X509_sign(x, p->evp[what->issuer_key], what->sha1 ? EVP_sha1() : EVP_sha256()) == 0)
        abort();
    uint8_t *end = out;
    int n = i2d_X509(x, &end);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_NAME_free(subject);
    X509_NAME_free(issuer);
    X509_free(x);
    return (size_t)n;
}

const struct mkt_cert *
pki_make(struct pki *p, const struct pki_cert *what)
{
    uint8_t der[4096];
    struct mkt_span text = mkt_span(der, pki_der(p, what, der));
    struct mkt_err err = { 0 };
    if (p->n_made == sizeof p->made / sizeof p->made[0] ||
        mkt_cert_next(&p->made[p->n_made], &text, &err) != MKT_OK)
        abort();
    return p->made[p->n_made++];
}

size_t
pki_crl(const struct pki *p, enum pki_key issuer_key, const char *issuer, long revoked, int days,
        uint8_t *out)
{
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *name = name_of(issuer);
    ASN1_TIME *from = day(p, -1), *to = day(p, days - 1);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, name);
    X509_CRL_set1_lastUpdate(crl, from);
    X509_CRL_set1_nextUpdate(crl, to);
    if (revoked != 0) {
        X509_REVOKED *r = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();
        ASN1_INTEGER_set(serial, revoked);
        X509_REVOKED_set_serialNumber(r, serial);
        X509_REVOKED_set_revocationDate(r, from);
        X509_CRL_add0_revoked(crl, r);
        ASN1_INTEGER_free(serial);
    }
    if (X509_CRL_sign(crl, p->evp[issuer_key], EVP_sha256()) == 0)
        abort();
    uint8_t *end = out;
    int n = i2d_X509_CRL(crl, &end);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_NAME_free(name);
    X509_CRL_free(crl);
    return (size_t)n;
}

struct mkt_trust *
pki_trust(struct pki *p)
{
    struct mkt_trust *trust = mkt_trust_new();
    const struct pki_cert root = { .key = PKI_CA, .name = " CA", .issuer_key = PKI_CA, .ca = true };
    uint8_t der[4096];
    struct mkt_err err = { 0 };
    if (trust == NULL ||
        mkt_trust_add(trust, mkt_span(der, pki_der(p, &root, der)), &err) != MKT_OK)
        abort();
    return trust;
}
