/* SPDX-License-Identifier: Apache-2.0 */
/* Files into an immutable set of keys, anchors and CRLs behind a read-write lock. */
#include "pki.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

struct key_ring {
    struct mkt_pkey *key[KMS_FILES_MAX];
    struct mkt_cert *cert[KMS_FILES_MAX];
    struct mkt_kms_key pair[KMS_FILES_MAX];
    struct mkt_trust *trust;
    struct mkt_kms_pk how;
};

struct kms_pki {
    const struct kms_config *config;
    pthread_rwlock_t lock;
    struct key_ring *ring; /* under lock */
    uint64_t stamp;        /* of the files, as read */
};

static bool
fail_mkt(char err[KMS_PKI_ERR], const char *path, const struct mkt_err *why)
{
    return kms_files_fail(err, "%s: %s: %s", path, why->what, mkt_strerror(why->rc));
}

/* --- the ring --------------------------------------------------------------------------------- */

static void
ring_free(struct key_ring *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < KMS_FILES_MAX; i++) {
        mkt_pkey_free(r->key[i]);
        mkt_cert_free(r->cert[i]);
    }
    mkt_trust_free(r->trust);
    free(r);
}

static bool
add_pair(struct key_ring *r, size_t i, const char *cert_path, const char *key_path,
         char err[KMS_PKI_ERR])
{
    struct mkt_err why = { 0 };
    struct mkt_span rest;
    uint8_t *octets;
    size_t n;
    bool ok;

    if (!kms_file_read(cert_path, false, &octets, &n, err))
        return false;
    rest = mkt_span(octets, n);
    ok = mkt_cert_next(&r->cert[i], &rest, &why) == MKT_OK;
    kms_file_drop(octets, n);
    if (!ok)
        return fail_mkt(err, cert_path, &why);
    if (r->cert[i] == NULL)
        return kms_files_fail(err, "%s: holds no certificate", cert_path);
    if (!kms_file_read(key_path, true, &octets, &n, err))
        return false;
    ok = mkt_pkey_new(&r->key[i], mkt_span(octets, n), &why) == MKT_OK;
    kms_file_drop(octets, n);
    if (!ok)
        return fail_mkt(err, key_path, &why);
    if (!mkt_cert_fits(r->cert[i], r->key[i]))
        return kms_files_fail(err, "%s: is not the key of the certificate %s", key_path, cert_path);
    r->pair[i] = (struct mkt_kms_key){ r->key[i], r->cert[i] };
    return true;
}

static bool
add_trust(void *ctx, const char *path, char *err)
{
    struct mkt_err why = { 0 };
    uint8_t *octets;
    size_t n;
    bool ok;

    if (!kms_file_read(path, false, &octets, &n, err))
        return false;
    ok = mkt_trust_add(ctx, mkt_span(octets, n), &why) == MKT_OK;
    kms_file_drop(octets, n);
    return ok || fail_mkt(err, path, &why);
}

static bool
add_crl(void *ctx, const char *path, char *err)
{
    struct mkt_err why = { 0 };
    uint8_t *octets;
    size_t n;
    bool ok;

    if (!kms_file_read(path, false, &octets, &n, err))
        return false;
    ok = mkt_trust_add_crl(ctx, mkt_span(octets, n), &why) == MKT_OK;
    kms_file_drop(octets, n);
    return ok || fail_mkt(err, path, &why);
}

static bool
ring_fill(struct key_ring *r, const struct kms_config *c, char err[KMS_PKI_ERR])
{
    r->trust = mkt_trust_new();
    if (r->trust == NULL)
        return kms_files_fail(err, "out of memory");
    for (size_t i = 0; i < c->certificate.n; i++)
        if (!add_pair(r, i, c->certificate.at[i], c->private_key.at[i], err))
            return false;
    for (size_t i = 0; i < c->trust.n; i++)
        if (!kms_file_each(c->trust.at[i], add_trust, r->trust, err))
            return false;
    for (size_t i = 0; i < c->crl.n; i++)
        if (!kms_file_each(c->crl.at[i], add_crl, r->trust, err))
            return false;
    if (c->require_crl != 0)
        mkt_trust_require_crl(r->trust);
    r->how = (struct mkt_kms_pk){ .trust = r->trust,
                                  .keys = r->pair,
                                  .n_keys = c->certificate.n,
                                  .kms = kms_identity_of(c->identity),
                                  .sha1 = c->sha1 != 0 };
    return true;
}

static struct key_ring *
ring_new(const struct kms_config *c, char err[KMS_PKI_ERR])
{
    struct key_ring *r = calloc(1, sizeof *r);

    if (r == NULL) {
        kms_files_fail(err, "out of memory");
    } else if (!ring_fill(r, c, err)) {
        ring_free(r);
        r = NULL;
    }
    return r;
}

/* --- changes ---------------------------------------------------------------------------------- */

static uint64_t
stamp_of(const struct kms_config *c)
{
    const struct kms_files *const all[] = { &c->certificate, &c->private_key, &c->trust, &c->crl };

    return kms_files_stamp(all, sizeof all / sizeof all[0]);
}

bool
kms_pki_open(struct kms_pki **pki, const struct kms_config *config, char err[KMS_PKI_ERR])
{
    struct kms_pki *p;

    *pki = NULL;
    if (config->certificate.n == 0)
        return true;
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return kms_files_fail(err, "out of memory");
    p->config = config;
    p->stamp = stamp_of(config);
    p->ring = ring_new(config, err);
    if (p->ring == NULL) {
        free(p);
        return false;
    }
    pthread_rwlock_init(&p->lock, NULL);
    *pki = p;
    return true;
}

void
kms_pki_close(struct kms_pki *pki)
{
    if (pki == NULL)
        return;
    pthread_rwlock_destroy(&pki->lock);
    ring_free(pki->ring);
    free(pki);
}

const struct mkt_kms_pk *
kms_pki_hold(struct kms_pki *pki)
{
    pthread_rwlock_rdlock(&pki->lock);
    return &pki->ring->how;
}

void
kms_pki_release(struct kms_pki *pki)
{
    pthread_rwlock_unlock(&pki->lock);
}

void
kms_pki_refresh(struct kms_pki *pki, struct kms_log *log, bool anyway)
{
    struct key_ring *fresh, *old;
    char err[KMS_PKI_ERR];
    uint64_t stamp;

    if (pki == NULL)
        return;
    stamp = stamp_of(pki->config);
    if (stamp == pki->stamp && !anyway)
        return;
    pki->stamp = stamp; /* a broken file is complained of once, until it changes again */
    fresh = ring_new(pki->config, err);
    if (fresh == NULL) {
        KMS_LOG(log, KMS_ERROR, "certificates-unreadable", kms_text("error", err),
                kms_text("effect", "keys, trust and CRLs stay as they were read last"));
        return;
    }
    pthread_rwlock_wrlock(&pki->lock);
    old = pki->ring;
    pki->ring = fresh;
    pthread_rwlock_unlock(&pki->lock);
    ring_free(old);
    KMS_LOG(log, KMS_INFO, "certificates-reloaded",
            kms_number("keys", (int64_t)pki->config->certificate.n));
}
