/* SPDX-License-Identifier: Apache-2.0 */
/* Trust on libcrypto. Paths are built and revocation is looked up there; that the certificates of a
 * message are in order, that they are the ones the path goes through and that a missing CRL is the
 * operator's to allow or forbid is decided here. */
#include "backend/pk_objects.h"

#include "backend/backend.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define REF "RFC 3830 4.3.1"
#define AUTH_LEVEL \
    2 /* libcrypto's name for 112 bits: RSA from 2048 bits, no SHA-1 in CA signatures */

#define DIGEST 32 /* octets of SHA-256 */

struct mkt_trust {
    X509_STORE *store;
    STACK_OF(X509_CRL) * crls; /* the same as in store */
    bool require_crl;
    uint8_t digest[DIGEST]; /* over all anchors and CRLs, in the order in which they came */
};

/* --- what is trusted -------------------------------------------------------------------------- */

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

/* The next digest is that of the last one and of what is added. */
static bool
note(struct mkt_trust *trust, const uint8_t added[DIGEST])
{
    uint8_t both[2 * DIGEST];

    memcpy(both, trust->digest, DIGEST);
    memcpy(both + DIGEST, added, DIGEST);
    return EVP_Digest(both, sizeof both, trust->digest, NULL, EVP_sha256(), NULL) == 1;
}

static bool
add_anchor(struct mkt_trust *trust, X509 *x509)
{
    uint8_t digest[DIGEST];

    return X509_digest(x509, EVP_sha256(), digest, NULL) == 1 && note(trust, digest) &&
           X509_STORE_add_cert(trust->store, x509) == 1;
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
        bool ok = add_anchor(trust, cert->x509);
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
    uint8_t digest[DIGEST];
    bool ok = X509_CRL_digest(crl, EVP_sha256(), digest, NULL) == 1 && note(trust, digest) &&
              X509_STORE_add_crl(trust->store, crl) == 1 && sk_X509_CRL_push(trust->crls, crl) > 0;
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

void
mkt_be_trust_name(const struct mkt_trust *trust, uint8_t name[MKT_BE_TRUST_NAME])
{
    memcpy(name, trust->digest, DIGEST);
    name[DIGEST] = trust->require_crl;
}

/* --- for how long ----------------------------------------------------------------------------- */

/* False for a time that cannot be told. */
static bool
seconds_of(const ASN1_TIME *t, int64_t *seconds)
{
    struct tm tm;
    bool ok = ASN1_TIME_to_tm(t, &tm) == 1;

    *seconds = ok ? (int64_t)timegm(&tm) : 0;
    return ok;
}

/* Leaves what lies within. An end that is missing is no end. */
static void
narrow(struct mkt_be_window *w, const ASN1_TIME *from, const ASN1_TIME *until)
{
    int64_t first, end = INT64_MAX;

    if (!seconds_of(from, &first) || (until != NULL && !seconds_of(until, &end)))
        end = first = 0;
    w->from = first > w->from ? first : w->from;
    w->until = end < w->until ? end : w->until;
}

/* Every CRL counts, also one that nobody asked for today: which are asked depends on the path. */
static struct mkt_be_window
window_of(const struct mkt_trust *trust, STACK_OF(X509) * path)
{
    struct mkt_be_window w = { .from = 0, .until = INT64_MAX };

    for (int i = 0; i < sk_X509_num(path); i++) {
        const X509 *x = sk_X509_value(path, i);
        narrow(&w, X509_get0_notBefore(x), X509_get0_notAfter(x));
    }
    for (int i = 0; i < sk_X509_CRL_num(trust->crls); i++) {
        const X509_CRL *crl = sk_X509_CRL_value(trust->crls, i);
        narrow(&w, X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl));
    }
    return w;
}

/* --- paths ------------------------------------------------------------------------------------ */

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
    size_t n, int64_t unix_time, struct mkt_be_window *window, struct mkt_err *err)
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
    else
        *window = window_of(trust, X509_STORE_CTX_get0_chain(ctx));
    sk_X509_free(others);
    return err->rc;
}

enum mkt_rc
mkt_be_trust_verify(const struct mkt_trust *trust, const struct mkt_cert *const *chain, size_t n,
                    enum mkt_purpose purpose, int64_t unix_time, struct mkt_be_window *window,
                    struct mkt_err *err)
{
    X509_STORE_CTX *ctx;

    if (n == 0 || n > MKT_CHAIN_MAX)
        return mkt_fail(err, MKT_E_CERT, 0, n == 0 ? "no certificate" : "chain too long", REF);
    if (mkt_be_check_usage(chain[0], purpose, err) != MKT_OK)
        return err->rc;
    ctx = X509_STORE_CTX_new();
    if (ctx == NULL)
        return mkt_be_fail(err, MKT_E_MEMORY, "certificate path", REF);
    enum mkt_rc rc = run(ctx, trust, chain, n, unix_time, window, err);
    X509_STORE_CTX_free(ctx);
    return rc;
}

enum mkt_rc
mkt_trust_verify(const struct mkt_trust *trust, const struct mkt_cert *const *chain, size_t n,
                 enum mkt_purpose purpose, int64_t unix_time, struct mkt_err *err)
{
    struct mkt_be_window window;
    return mkt_be_trust_verify(trust, chain, n, purpose, unix_time, &window, err);
}
