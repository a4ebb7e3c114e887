/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates on libcrypto: parsed, with the names, the usage and the validity they state. Whether
 * somebody vouches for them is in trust.c. */
#include "backend/pk_objects.h"

#include "backend/backend.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#define REF "RFC 3830 4.3.1"

/* --- certificates ----------------------------------------------------------------------------- */

/* Fills c for x509, which is its own already. */
static enum mkt_rc
cert_fill(struct mkt_cert *c, struct mkt_err *err)
{
    int n = i2d_X509(c->x509, &c->der);

    if (n <= 0)
        return mkt_be_fail(err, MKT_E_MEMORY, "certificate", REF);
    c->der_len = (size_t)n;
    c->evp = X509_get0_pubkey(c->x509);
    /* Parses the extensions once; one that does not parse makes the certificate invalid. */
    if (X509_check_purpose(c->x509, -1, 0) != 1 || !mkt_be_rsa_fits(c->evp))
        return mkt_be_fail(err, MKT_E_CERT, "certificate without an RSA key of 2048 to 8192 bits",
                           "RFC 3830 4.2.6");
    c->verify = mkt_be_verifier(c->evp);
    return c->verify != NULL ? MKT_OK : mkt_be_fail(err, MKT_E_MEMORY, "certificate", REF);
}

/* Takes x509. */
static enum mkt_rc
cert_make(struct mkt_cert **cert, X509 *x509, struct mkt_err *err)
{
    struct mkt_cert *c = mkt_be_alloc(sizeof *c);

    if (c == NULL) {
        X509_free(x509);
        return mkt_be_fail(err, MKT_E_MEMORY, "certificate", REF);
    }
    c->x509 = x509;
    if (cert_fill(c, err) == MKT_OK)
        *cert = c;
    else
        mkt_cert_free(c);
    return err->rc;
}

static X509 *
read_der(struct mkt_span *text)
{
    const uint8_t *p = text->p;
    X509 *x = d2i_X509(NULL, &p, (long)text->n);
    if (x == NULL || p != text->p + text->n) {
        X509_free(x);
        return NULL;
    }
    *text = mkt_span(p, 0);
    return x;
}

/* NULL at the end of the text, too; *end tells. */
static X509 *
read_pem(struct mkt_span *text, bool *end)
{
    BIO *bio = BIO_new_mem_buf(text->p, (int)text->n);
    X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned long e = ERR_peek_last_error();

    *end = bio != NULL && x == NULL && ERR_GET_LIB(e) == ERR_LIB_PEM &&
           ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
    if (bio != NULL) {
        size_t left = BIO_ctrl_pending(bio);
        *text = mkt_span(text->p + (text->n - left), left);
    }
    BIO_free(bio);
    return x;
}

enum mkt_rc
mkt_cert_next(struct mkt_cert **cert, struct mkt_span *text, struct mkt_err *err)
{
    bool end = text->n == 0;
    X509 *x = NULL;

    *cert = NULL;
    if (text->n > INT_MAX)
        return mkt_fail(err, MKT_E_CERT, 0, "certificate", REF);
    if (!end)
        x = text->p[0] == 0x30 ? read_der(text) : read_pem(text, &end);
    if (x != NULL)
        return cert_make(cert, x, err);
    ERR_clear_error();
    return end ? MKT_OK : mkt_fail(err, MKT_E_CERT, 0, "not a certificate in DER or PEM", REF);
}

void
mkt_cert_free(struct mkt_cert *cert)
{
    if (cert == NULL)
        return;
    EVP_PKEY_CTX_free(cert->verify);
    X509_free(cert->x509);
    OPENSSL_free(cert->der);
    mkt_be_free(cert, sizeof *cert);
}

struct mkt_span
mkt_cert_der(const struct mkt_cert *cert)
{
    return mkt_span(cert->der, cert->der_len);
}

bool
mkt_cert_fits(const struct mkt_cert *cert, const struct mkt_pkey *key)
{
    return EVP_PKEY_eq(cert->evp, key->evp) == 1;
}

enum mkt_rc
mkt_be_check_usage(const struct mkt_cert *cert, enum mkt_purpose purpose, struct mkt_err *err)
{
    uint32_t usage = X509_get_key_usage(cert->x509); /* all bits when the extension is not there */

    if (purpose == MKT_FOR_SIGNING && (usage & KU_DIGITAL_SIGNATURE) == 0)
        return mkt_fail(err, MKT_E_CERT, 0, "key usage without digitalSignature", REF);
    if (purpose == MKT_FOR_ENCRYPTION && (usage & KU_KEY_ENCIPHERMENT) == 0)
        return mkt_fail(err, MKT_E_CERT, 0, "key usage without keyEncipherment", REF);
    return MKT_OK;
}

enum mkt_rc
mkt_cert_check(const struct mkt_cert *cert, enum mkt_purpose purpose, int64_t unix_time,
               struct mkt_err *err)
{
    time_t at = (time_t)unix_time;

    if (mkt_be_check_usage(cert, purpose, err) != MKT_OK)
        return err->rc;
    if (X509_cmp_time(X509_get0_notBefore(cert->x509), &at) >= 0)
        return mkt_be_fail(err, MKT_E_CERT, "certificate is not yet valid", REF);
    if (X509_cmp_time(X509_get0_notAfter(cert->x509), &at) <= 0)
        return mkt_be_fail(err, MKT_E_CERT, "certificate has expired", REF);
    return MKT_OK;
}

/* --- subjectAltName --------------------------------------------------------------------------- */

static struct mkt_span
octets_of(const GENERAL_NAME *name, enum mkt_san kind)
{
    const ASN1_STRING *s =
        kind == MKT_SAN_URI ? name->d.uniformResourceIdentifier : name->d.rfc822Name;
    return mkt_span(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* Counts the names of a kind that are `name`, or all of them when name.p is NULL; *last gets the
 * last one, which lives as long as *names. */
static size_t
names_like(const struct mkt_cert *cert, enum mkt_san kind, struct mkt_span name,
           GENERAL_NAMES **names, struct mkt_span *last)
{
    int type = kind == MKT_SAN_URI ? GEN_URI : GEN_EMAIL;
    size_t n = 0;

    *names = X509_get_ext_d2i(cert->x509, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; *names != NULL && i < sk_GENERAL_NAME_num(*names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(*names, i);
        if (g->type != type)
            continue;
        struct mkt_span s = octets_of(g, kind);
        if (name.p != NULL && (s.n != name.n || s.n == 0 || memcmp(s.p, name.p, s.n) != 0))
            continue;
        *last = s;
        n++;
    }
    if (*names == NULL)
        ERR_clear_error();
    return n;
}

bool
mkt_cert_names(const struct mkt_cert *cert, enum mkt_san kind, struct mkt_span name)
{
    GENERAL_NAMES *names;
    struct mkt_span last;
    bool found = name.n != 0 && names_like(cert, kind, name, &names, &last) != 0;
    if (name.n != 0)
        GENERAL_NAMES_free(names);
    return found;
}

size_t
mkt_cert_name(const struct mkt_cert *cert, enum mkt_san kind, uint8_t *out, size_t cap, size_t *len)
{
    GENERAL_NAMES *names;
    struct mkt_span only = { NULL, 0 };
    size_t n = names_like(cert, kind, mkt_span(NULL, 0), &names, &only);

    *len = n == 1 && only.n <= cap ? only.n : 0;
    if (*len != 0)
        memcpy(out, only.p, *len);
    GENERAL_NAMES_free(names);
    return n;
}
