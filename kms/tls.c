/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd makes the sessions; their credentials are ours. A set is immutable and counted: the
 * one in use, and those that open connections began with. Sessions are not resumed: a client whose
 * authority is no longer accepted would come back without showing its certificate. */
#include "tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct kms_tls_set {
    atomic_uint users;
    gnutls_certificate_credentials_t cred;
    bool ask, insist; /* a client may, or must, show a certificate */
    int64_t not_after;
};

struct kms_tls {
    struct kms_tls_files files;
    pthread_mutex_t lock;
    struct kms_tls_set *set; /* under lock */
    uint64_t stamp;          /* of the files, as read */
};

/* --- a set ------------------------------------------------------------------------------------ */

void
kms_tls_end(struct kms_tls_set *set)
{
    if (set == NULL || atomic_fetch_sub(&set->users, 1) != 1)
        return;
    if (set->cred != NULL)
        gnutls_certificate_free_credentials(set->cred);
    free(set);
}

/* When the i-th of our certificates runs out. */
static bool
take_time(struct kms_tls_set *s, unsigned i)
{
    gnutls_x509_crt_t *chain;
    unsigned n;
    int64_t at;

    if (gnutls_certificate_get_x509_crt(s->cred, i, &chain, &n) < 0)
        return false;
    for (unsigned k = 0; k < n; k++) {
        at = gnutls_x509_crt_get_expiration_time(chain[k]);
        if (s->not_after == 0 || at < s->not_after)
            s->not_after = at;
        gnutls_x509_crt_deinit(chain[k]);
    }
    gnutls_free(chain);
    return n > 0;
}

static bool
add_pair(struct kms_tls_set *s, const char *cert_path, const char *key_path, char err[KMS_TLS_ERR])
{
    uint8_t *cert, *key;
    size_t n_cert, n_key;
    int rc;

    if (!kms_file_read(cert_path, false, &cert, &n_cert, err))
        return false;
    if (!kms_file_read(key_path, true, &key, &n_key, err)) {
        kms_file_drop(cert, n_cert);
        return false;
    }
    rc = gnutls_certificate_set_x509_key_mem(s->cred, &(gnutls_datum_t){ cert, (unsigned)n_cert },
                                             &(gnutls_datum_t){ key, (unsigned)n_key },
                                             GNUTLS_X509_FMT_PEM);
    kms_file_drop(cert, n_cert);
    kms_file_drop(key, n_key);
    if (rc < 0)
        return kms_files_fail(err, "%s with %s: %s", cert_path, key_path, gnutls_strerror(rc));
    if (!take_time(s, (unsigned)rc))
        return kms_files_fail(err, "%s: cannot be read back", cert_path);
    return true;
}

static bool
add_authority(void *ctx, const char *path, char *err)
{
    struct kms_tls_set *s = ctx;
    uint8_t *octets;
    size_t n;
    int rc;

    if (!kms_file_read(path, false, &octets, &n, err))
        return false;
    rc = gnutls_certificate_set_x509_trust_mem(s->cred, &(gnutls_datum_t){ octets, (unsigned)n },
                                               GNUTLS_X509_FMT_PEM);
    kms_file_drop(octets, n);
    return rc > 0 || kms_files_fail(err, "%s: %s", path,
                                    rc == 0 ? "holds no certificate" : gnutls_strerror(rc));
}

static bool
set_fill(struct kms_tls_set *s, const struct kms_tls_files *f, char err[KMS_TLS_ERR])
{
    if (gnutls_certificate_allocate_credentials(&s->cred) < 0)
        return kms_files_fail(err, "out of memory");
    gnutls_certificate_set_flags(s->cred, GNUTLS_CERTIFICATE_API_V2);
    for (size_t i = 0; i < f->certificate->n; i++)
        if (!add_pair(s, f->certificate->at[i], f->private_key->at[i], err))
            return false;
    for (size_t i = 0; i < f->client_ca->n; i++)
        if (!kms_file_each(f->client_ca->at[i], add_authority, s, err))
            return false;
    s->ask = f->client_ca->n > 0;
    s->insist = s->ask && !f->optional;
    return true;
}

static struct kms_tls_set *
set_new(const struct kms_tls_files *f, char err[KMS_TLS_ERR])
{
    struct kms_tls_set *s = calloc(1, sizeof *s);

    if (s == NULL) {
        kms_files_fail(err, "out of memory");
        return NULL;
    }
    atomic_init(&s->users, 1);
    if (set_fill(s, f, err))
        return s;
    kms_tls_end(s);
    return NULL;
}

static uint64_t
stamp_of(const struct kms_tls_files *f)
{
    const struct kms_files *const all[] = { f->certificate, f->private_key, f->client_ca };

    return kms_files_stamp(all, sizeof all / sizeof all[0]);
}

/* --- the one in use --------------------------------------------------------------------------- */

struct kms_tls_files
kms_tls_port(const struct kms_config *c)
{
    return (struct kms_tls_files){ &c->tls_certificate, &c->tls_private_key, &c->tls_client_ca,
                                   false };
}

struct kms_tls_files
kms_tls_api(const struct kms_config *c)
{
    return (struct kms_tls_files){ &c->tls_certificate, &c->tls_private_key, &c->api_client_ca,
                                   true };
}

bool
kms_tls_open(struct kms_tls **tls, const struct kms_tls_files *files, char err[KMS_TLS_ERR])
{
    struct kms_tls *t;

    *tls = NULL;
    if (files->certificate->n == 0)
        return true;
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return kms_files_fail(err, "out of memory");
    t->files = *files;
    t->stamp = stamp_of(files);
    t->set = set_new(files, err);
    if (t->set == NULL) {
        free(t);
        return false;
    }
    pthread_mutex_init(&t->lock, NULL);
    *tls = t;
    return true;
}

void
kms_tls_close(struct kms_tls *tls)
{
    if (tls == NULL)
        return;
    kms_tls_end(tls->set);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* Sessions borrow it: what a client's certificate must be good for, if it says. */
static unsigned char client_purpose[] = GNUTLS_KP_TLS_WWW_CLIENT;
static gnutls_typed_vdata_st for_clients = { GNUTLS_DT_KEY_PURPOSE_OID, client_purpose, 0 };

struct kms_tls_set *
kms_tls_begin(struct kms_tls *tls, void *session, bool any_client)
{
    gnutls_session_t s = session;
    struct kms_tls_set *set;

    pthread_mutex_lock(&tls->lock);
    set = tls->set;
    atomic_fetch_add(&set->users, 1);
    pthread_mutex_unlock(&tls->lock);
    if (gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, set->cred) < 0) {
        kms_tls_end(set);
        return NULL;
    }
    if (set->ask || any_client)
        gnutls_certificate_server_set_request(s, set->insist || any_client ? GNUTLS_CERT_REQUIRE
                                                                           : GNUTLS_CERT_REQUEST);
    if (set->insist && !any_client) /* the handshake fails unless the chain holds, for a client */
        gnutls_session_set_verify_cert2(s, &for_clients, 1, 0);
    return set;
}

void
kms_tls_refresh(struct kms_tls *tls, struct kms_log *log, bool anyway)
{
    struct kms_tls_set *fresh, *old;
    char err[KMS_TLS_ERR];
    uint64_t stamp;

    if (tls == NULL)
        return;
    stamp = stamp_of(&tls->files);
    if (stamp == tls->stamp && !anyway)
        return;
    tls->stamp = stamp; /* broken files are complained of once, until they change again */
    fresh = set_new(&tls->files, err);
    if (fresh == NULL) {
        KMS_LOG(log, KMS_ERROR, "tls-unreadable", kms_text("error", err),
                kms_text("effect", "TLS goes on with the certificates that were read last"));
        return;
    }
    pthread_mutex_lock(&tls->lock);
    old = tls->set;
    tls->set = fresh;
    pthread_mutex_unlock(&tls->lock);
    kms_tls_end(old);
    KMS_LOG(log, KMS_INFO, "tls-reloaded",
            kms_number("certificates", (int64_t)tls->files.certificate->n));
}

int64_t
kms_tls_not_after(struct kms_tls *tls)
{
    int64_t at;

    if (tls == NULL)
        return 0;
    pthread_mutex_lock(&tls->lock);
    at = tls->set->not_after;
    pthread_mutex_unlock(&tls->lock);
    return at;
}

/* --- for servers ------------------------------------------------------------------------------ */

static int
no_certificate(gnutls_session_t session, const gnutls_datum_t *names, int n_names,
               const gnutls_pk_algorithm_t *algorithms, int n_algorithms, gnutls_pcert_st **chain,
               unsigned *n_chain, gnutls_privkey_t *key)
{
    (void)session;
    (void)names;
    (void)n_names;
    (void)algorithms;
    (void)n_algorithms;
    (void)chain;
    (void)n_chain;
    (void)key;
    return -1;
}

void *const kms_tls_none = (void *)(intptr_t)no_certificate;

/* A name with a zero octet in it is nobody's. */
static bool
give_name(const char *name, size_t n, bool (*each)(void *ctx, const char *name), void *ctx)
{
    char text[256];

    if (n == 0 || n >= sizeof text || memchr(name, '\0', n) != NULL)
        return true;
    memcpy(text, name, n);
    text[n] = '\0';
    return each(ctx, text);
}

static bool
give_names(gnutls_x509_crt_t cert, bool (*each)(void *ctx, const char *name), void *ctx)
{
    char name[256];
    size_t n = sizeof name;
    int type;

    for (unsigned i = 0;; i++, n = sizeof name) {
        type = gnutls_x509_crt_get_subject_alt_name(cert, i, name, &n, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE && i > 0)
            return true;
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            break;
        if (type < 0 && type != GNUTLS_E_SHORT_MEMORY_BUFFER)
            return false;
        if ((type == GNUTLS_SAN_DNSNAME || type == GNUTLS_SAN_RFC822NAME ||
             type == GNUTLS_SAN_URI) &&
            !give_name(name, n, each, ctx))
            return false;
    }
    return gnutls_x509_crt_get_dn(cert, name, &n) < 0 || give_name(name, n, each, ctx);
}

bool
kms_tls_names(void *session, bool (*each)(void *ctx, const char *name), void *ctx)
{
    const gnutls_datum_t *chain;
    gnutls_x509_crt_t cert;
    unsigned n = 0, status = 1;
    bool ok;

    chain = gnutls_certificate_get_peers(session, &n);
    if (chain == NULL || n == 0 ||
        gnutls_certificate_verify_peers(session, &for_clients, 1, &status) < 0 || status != 0 ||
        gnutls_x509_crt_init(&cert) < 0)
        return false;
    ok = gnutls_x509_crt_import(cert, &chain[0], GNUTLS_X509_FMT_DER) >= 0 &&
         give_names(cert, each, ctx);
    gnutls_x509_crt_deinit(cert);
    return ok;
}
