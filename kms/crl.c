/* SPDX-License-Identifier: Apache-2.0 */
#include "crl.h"

#include <stdlib.h>
#include <string.h>

struct kms_crl {
    gnutls_x509_crl_t *list; /* of GnuTLS's memory, as its members */
    unsigned n;
};

struct authorities {
    gnutls_x509_crt_t *list;
    unsigned n;
};

/* --- reading ---------------------------------------------------------------------------------- */

static bool
read_pem(const char *path, gnutls_datum_t *pem, char err[KMS_FILES_ERR])
{
    uint8_t *octets;
    size_t n;

    if (!kms_file_read(path, false, &octets, &n, err))
        return false;
    *pem = (gnutls_datum_t){ octets, (unsigned)n };
    return true;
}

static bool
read_authorities(struct authorities *a, const char *path, char err[KMS_FILES_ERR])
{
    gnutls_datum_t pem;
    int rc;

    if (!read_pem(path, &pem, err))
        return false;
    rc = gnutls_x509_crt_list_import2(&a->list, &a->n, &pem, GNUTLS_X509_FMT_PEM, 0);
    kms_file_drop(pem.data, pem.size);
    return rc >= 0 || kms_files_fail(err, "%s: %s", path, gnutls_strerror(rc));
}

static bool
read_lists(struct kms_crl *x, const char *path, char err[KMS_FILES_ERR])
{
    gnutls_datum_t pem;
    int rc;

    if (!read_pem(path, &pem, err))
        return false;
    rc = gnutls_x509_crl_list_import2(&x->list, &x->n, &pem, GNUTLS_X509_FMT_PEM, 0);
    kms_file_drop(pem.data, pem.size);
    return rc >= 0 ||
           kms_files_fail(err, "%s: holds no revocation list: %s", path, gnutls_strerror(rc));
}

/* Its time is not asked here, and GnuTLS asks all the same. */
static bool
is_signed(gnutls_x509_crl_t crl, const struct authorities *a)
{
    const unsigned times =
        GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE;
    unsigned status = ~0u;

    if (gnutls_x509_crl_verify(crl, a->list, a->n, 0, &status) < 0)
        return false;
    if ((status & times) != 0)
        status &= ~(times | GNUTLS_CERT_INVALID);
    return status == 0;
}

static bool
same(const gnutls_datum_t *a, const gnutls_datum_t *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* Whether a list is that of the name. */
static bool
is_of(gnutls_x509_crl_t crl, const gnutls_datum_t *name)
{
    gnutls_datum_t issuer = { 0 };
    bool is = gnutls_x509_crl_get_raw_issuer_dn(crl, &issuer) >= 0 && same(&issuer, name);

    gnutls_free(issuer.data);
    return is;
}

static bool
has_list(const struct kms_crl *x, gnutls_x509_crt_t authority)
{
    gnutls_datum_t name = { 0 };
    bool has = false;

    if (gnutls_x509_crt_get_raw_dn(authority, &name) < 0)
        return false;
    for (unsigned i = 0; i < x->n && !has; i++)
        has = is_of(x->list[i], &name);
    gnutls_free(name.data);
    return has;
}

static bool
check(const struct kms_crl *x, const struct authorities *a, const char *path, const char *ca,
      char err[KMS_FILES_ERR])
{
    for (unsigned i = 0; i < x->n; i++)
        if (!is_signed(x->list[i], a))
            return kms_files_fail(err, "%s: a list is not signed by any authority in %s", path, ca);
    for (unsigned i = 0; i < a->n; i++)
        if (!has_list(x, a->list[i])) {
            char name[256] = "";
            size_t n = sizeof name;

            (void)gnutls_x509_crt_get_dn(a->list[i], name, &n);
            return kms_files_fail(err, "%s: has no list of the authority %s in %s", path, name, ca);
        }
    return true;
}

bool
kms_crl_open(struct kms_crl **crl, const char *path, const char *ca, char err[KMS_FILES_ERR])
{
    struct kms_crl *x = calloc(1, sizeof *x);
    struct authorities a = { 0 };
    bool ok;

    *crl = NULL;
    if (x == NULL)
        return kms_files_fail(err, "out of memory");
    ok = read_lists(x, path, err) && read_authorities(&a, ca, err) && check(x, &a, path, ca, err);
    for (unsigned i = 0; i < a.n; i++)
        gnutls_x509_crt_deinit(a.list[i]);
    gnutls_free(a.list);
    if (ok)
        *crl = x;
    else
        kms_crl_free(x);
    return ok;
}

void
kms_crl_free(struct kms_crl *crl)
{
    if (crl == NULL)
        return;
    for (unsigned i = 0; i < crl->n; i++)
        gnutls_x509_crl_deinit(crl->list[i]);
    gnutls_free(crl->list);
    free(crl);
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool
in_force(gnutls_x509_crl_t crl, int64_t now_s)
{
    int64_t from = gnutls_x509_crl_get_this_update(crl);
    int64_t until = gnutls_x509_crl_get_next_update(crl); /* -1: it does not say */

    return from >= 0 && from <= now_s && (until < 0 || now_s < until);
}

/* Every list of the issuer counts; one of them must be in force. */
static bool
clears(const struct kms_crl *x, gnutls_x509_crt_t cert, int64_t now_s)
{
    gnutls_datum_t issuer = { 0 };
    bool known = false, revoked = false;

    if (gnutls_x509_crt_get_raw_issuer_dn(cert, &issuer) < 0)
        return false;
    for (unsigned i = 0; i < x->n; i++)
        if (is_of(x->list[i], &issuer)) {
            known = known || in_force(x->list[i], now_s);
            revoked = revoked || gnutls_x509_crt_check_revocation(cert, &x->list[i], 1) != 0;
        }
    gnutls_free(issuer.data);
    return known && !revoked;
}

bool
kms_crl_clears(const struct kms_crl *crl, const gnutls_x509_crt_t *chain, unsigned n, int64_t now_s)
{
    for (unsigned i = 0; i < n; i++)
        if (!clears(crl, chain[i], now_s))
            return false;
    return true;
}
