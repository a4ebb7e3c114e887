/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd makes the sessions; their credentials are ours. A set is immutable and counted: the
 * one in use, and those that open connections began with. Sessions are not resumed: a client whose
 * authority is no longer accepted would come back without showing its certificate. */
#include "tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct kms_tls_set {
    atomic_uint users;
    gnutls_certificate_credentials_t cred;
    bool mutual; /* a client must show a certificate */
    int64_t not_after;
};

struct kms_tls {
    const struct kms_config *config;
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
set_fill(struct kms_tls_set *s, const struct kms_config *c, char err[KMS_TLS_ERR])
{
    if (gnutls_certificate_allocate_credentials(&s->cred) < 0)
        return kms_files_fail(err, "out of memory");
    gnutls_certificate_set_flags(s->cred, GNUTLS_CERTIFICATE_API_V2);
    for (size_t i = 0; i < c->tls_certificate.n; i++)
        if (!add_pair(s, c->tls_certificate.at[i], c->tls_private_key.at[i], err))
            return false;
    for (size_t i = 0; i < c->tls_client_ca.n; i++)
        if (!kms_file_each(c->tls_client_ca.at[i], add_authority, s, err))
            return false;
    s->mutual = c->tls_client_ca.n > 0;
    return true;
}

static struct kms_tls_set *
set_new(const struct kms_config *c, char err[KMS_TLS_ERR])
{
    struct kms_tls_set *s = calloc(1, sizeof *s);

    if (s == NULL) {
        kms_files_fail(err, "out of memory");
        return NULL;
    }
    atomic_init(&s->users, 1);
    if (set_fill(s, c, err))
        return s;
    kms_tls_end(s);
    return NULL;
}

static uint64_t
stamp_of(const struct kms_config *c)
{
    const struct kms_files *const all[] = { &c->tls_certificate, &c->tls_private_key,
                                            &c->tls_client_ca };

    return kms_files_stamp(all, sizeof all / sizeof all[0]);
}

/* --- the one in use --------------------------------------------------------------------------- */

bool
kms_tls_open(struct kms_tls **tls, const struct kms_config *config, char err[KMS_TLS_ERR])
{
    struct kms_tls *t;

    *tls = NULL;
    if (config->tls_certificate.n == 0)
        return true;
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return kms_files_fail(err, "out of memory");
    t->config = config;
    t->stamp = stamp_of(config);
    t->set = set_new(config, err);
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
    if (set->mutual || any_client)
        gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
    if (set->mutual && !any_client) /* the handshake fails unless the chain holds, for a client */
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
    stamp = stamp_of(tls->config);
    if (stamp == tls->stamp && !anyway)
        return;
    tls->stamp = stamp; /* broken files are complained of once, until they change again */
    fresh = set_new(tls->config, err);
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
            kms_number("certificates", (int64_t)tls->config->tls_certificate.n));
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
