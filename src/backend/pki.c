/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and trust on libcrypto. Paths are built and revocation is looked up there; that the
 * certificates of a message are in order, that they are the ones the path goes through and that a
 * missing CRL is the operator's to allow or forbid is decided here. */
#include "backend/pk_objects.h"

#include "backend/backend.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#define REF "RFC 3830 4.3.1"
#define AUTH_LEVEL \
    2 /* libcrypto's name for 112 bits: RSA from 2048 bits, no SHA-1 in CA signatures */

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

static enum mkt_rc
check_usage(const struct mkt_cert *cert, enum mkt_purpose purpose, struct mkt_err *err)
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

    if (check_usage(cert, purpose, err) != MKT_OK)
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

/* --- trust ------------------------------------------------------------------------------------ */

struct mkt_trust {
    X509_STORE *store;
    STACK_OF(X509_CRL) * crls; /* the same as in store */
    bool require_crl;
};

struct mkt_trust *
mkt_trust_new(void)
{
    struct mkt_trust *t = mkt_be_alloc(sizeof *t);

    if (t == NULL)
        return NULL;
    t->store = X509_STORE_new();
    t->crls = sk_X509_CRL_new_null();
    if (t->store != NULL && t->crls != NULL)
        return t;
    mkt_trust_free(t);
    return NULL;
}

void
mkt_trust_free(struct mkt_trust *trust)
{
    if (trust == NULL)
        return;
    sk_X509_CRL_pop_free(trust->crls, X509_CRL_free);
    X509_STORE_free(trust->store);
    mkt_be_free(trust, sizeof *trust);
}

enum mkt_rc
mkt_trust_add(struct mkt_trust *trust, struct mkt_span text, struct mkt_err *err)
{
    size_t n = 0;

    for (;;) {
        struct mkt_cert *cert;
        if (mkt_cert_next(&cert, &text, err) != MKT_OK)
            return err->rc;
        if (cert == NULL)
            break;
        bool ok = X509_STORE_add_cert(trust->store, cert->x509) == 1;
        mkt_cert_free(cert);
        if (!ok)
            return mkt_be_fail(err, MKT_E_MEMORY, "trust anchor", REF);
        n++;
    }
    return n != 0 ? MKT_OK : mkt_fail(err, MKT_E_CERT, 0, "no certificate", REF);
}

/* Takes crl. */
static bool
add_crl(struct mkt_trust *trust, X509_CRL *crl)
{
    bool ok = X509_STORE_add_crl(trust->store, crl) == 1 && sk_X509_CRL_push(trust->crls, crl) > 0;
    if (!ok)
        X509_CRL_free(crl);
    return ok;
}

static size_t
add_pem_crls(struct mkt_trust *trust, struct mkt_span text, bool *ok)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    X509_CRL *crl;
    size_t n = 0;

    *ok = bio != NULL;
    while (*ok && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        *ok = add_crl(trust, crl);
        n++;
    }
    if (*ok)
        *ok = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    return n;
}

enum mkt_rc
mkt_trust_add_crl(struct mkt_trust *trust, struct mkt_span text, struct mkt_err *err)
{
    bool ok = false;
    size_t n = 0;

    if (text.n != 0 && text.n <= INT_MAX && text.p[0] == 0x30) {
        const uint8_t *p = text.p;
        X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)text.n);
        ok = crl != NULL && p == text.p + text.n;
        if (ok)
            ok = add_crl(trust, crl);
        else
            X509_CRL_free(crl);
        n = 1;
    } else if (text.n != 0 && text.n <= INT_MAX) {
        n = add_pem_crls(trust, text, &ok);
    }
    ERR_clear_error();
    return ok && n != 0 ? MKT_OK : mkt_fail(err, MKT_E_CERT, 0, "not a CRL in DER or PEM", REF);
}

void
mkt_trust_require_crl(struct mkt_trust *trust)
{
    trust->require_crl = true;
}

static bool
has_crl_of(const struct mkt_trust *trust, const X509_NAME *issuer)
{
    for (int i = 0; i < sk_X509_CRL_num(trust->crls); i++)
        if (X509_NAME_cmp(X509_CRL_get_issuer(sk_X509_CRL_value(trust->crls, i)), issuer) == 0)
            return true;
    return false;
}

/* A CRL that is not here does not count against the certificate unless it must be here. One that is
 * here must have been found, whatever kept libcrypto from it. */
static int
lenient(int ok, X509_STORE_CTX *ctx)
{
    const X509 *cert = X509_STORE_CTX_get_current_cert(ctx);

    if (ok == 1 || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_UNABLE_TO_GET_CRL)
        return ok;
    return cert != NULL &&
           !has_crl_of(X509_STORE_CTX_get_app_data(ctx), X509_get_issuer_name(cert));
}

static bool
set_rules(X509_STORE_CTX *ctx, const struct mkt_trust *trust, int64_t unix_time)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;

    if (sk_X509_CRL_num(trust->crls) > 0 || trust->require_crl)
        flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
    X509_VERIFY_PARAM_set_flags(param, flags);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    X509_VERIFY_PARAM_set_depth(param, MKT_CHAIN_MAX);
    X509_VERIFY_PARAM_set_time(param, (time_t)unix_time);
    if (trust->require_crl)
        return true;
    X509_STORE_CTX_set_verify_cb(ctx, lenient);
    return X509_STORE_CTX_set_app_data(ctx, (void *)(uintptr_t)trust) == 1;
}

/* RFC6043:4.2.1.3-4 "Each following certificate MUST directly certify the one preceding it": also
 * those that the path found did not go through. */
static bool
in_order(const struct mkt_cert *const *chain, size_t n, STACK_OF(X509) * path)
{
    for (size_t i = 0; i + 1 < n; i++) {
        X509 *next = chain[i + 1]->x509;
        if ((int)i + 1 < sk_X509_num(path) && X509_cmp(sk_X509_value(path, (int)i + 1), next) == 0)
            continue;
        if (X509_check_issued(next, chain[i]->x509) != X509_V_OK ||
            X509_verify(chain[i]->x509, chain[i + 1]->evp) != 1)
            return false;
    }
    return true;
}

static enum mkt_rc
run(X509_STORE_CTX *ctx, const struct mkt_trust *trust, const struct mkt_cert *const *chain,
    size_t n, int64_t unix_time, struct mkt_err *err)
{
    STACK_OF(X509) *others = sk_X509_new_null();
    bool ok = others != NULL;

    for (size_t i = 1; ok && i < n; i++)
        ok = sk_X509_push(others, chain[i]->x509) > 0;
    ok = ok && X509_STORE_CTX_init(ctx, trust->store, chain[0]->x509, others) == 1 &&
         set_rules(ctx, trust, unix_time);
    if (!ok)
        mkt_be_fail(err, MKT_E_MEMORY, "certificate path", REF);
    else if (X509_verify_cert(ctx) != 1)
        mkt_be_fail(err, MKT_E_CERT, X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)),
                    REF);
    else if (!in_order(chain, n, X509_STORE_CTX_get0_chain(ctx)))
        mkt_be_fail(err, MKT_E_CERT, "certificate does not certify the one before it",
                    "RFC 6043 4.2.1.3");
    sk_X509_free(others);
    return err->rc;
}

enum mkt_rc
mkt_trust_verify(const struct mkt_trust *trust, const struct mkt_cert *const *chain, size_t n,
                 enum mkt_purpose purpose, int64_t unix_time, struct mkt_err *err)
{
    X509_STORE_CTX *ctx;

    if (n == 0 || n > MKT_CHAIN_MAX)
        return mkt_fail(err, MKT_E_CERT, 0, n == 0 ? "no certificate" : "chain too long", REF);
    if (check_usage(chain[0], purpose, err) != MKT_OK)
        return err->rc;
    ctx = X509_STORE_CTX_new();
    if (ctx == NULL)
        return mkt_be_fail(err, MKT_E_MEMORY, "certificate path", REF);
    enum mkt_rc rc = run(ctx, trust, chain, n, unix_time, err);
    X509_STORE_CTX_free(ctx);
    return rc;
}
