/* SPDX-License-Identifier: Apache-2.0 */
/* Files into an immutable set of keys, anchors and CRLs behind a read-write lock. A folder stands
 * for all regular files in it. */
#include "pki.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "hash.h"

#define FILE_MAX (16 << 20) /* octets: CRLs may be long */

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

static bool __attribute__((format(printf, 2, 3))) fail(char err[KMS_PKI_ERR], const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err, KMS_PKI_ERR, fmt, ap);
    va_end(ap);
    return false;
}

static bool
fail_mkt(char err[KMS_PKI_ERR], const char *path, const struct mkt_err *why)
{
    return fail(err, "%s: %s: %s", path, why->what, mkt_strerror(why->rc));
}

/* --- files ------------------------------------------------------------------------------------ */

/* Calls use for the file, or for every file of the folder. */
static bool
each_file(const char *path, bool (*use)(void *ctx, const char *path, char *err), void *ctx,
          char err[KMS_PKI_ERR])
{
    char inner[KMS_PATH_MAX + 256];
    struct dirent *e;
    struct stat st;
    bool ok = true;
    DIR *d;

    if (stat(path, &st) != 0)
        return fail(err, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return use(ctx, path, err);
    d = opendir(path);
    if (d == NULL)
        return fail(err, "%s: cannot be read: %s", path, strerror(errno));
    while (ok && (e = readdir(d)) != NULL) {
        snprintf(inner, sizeof inner, "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && stat(inner, &st) == 0 && S_ISREG(st.st_mode))
            ok = use(ctx, inner, err);
    }
    closedir(d);
    return ok;
}

/* The caller wipes and frees *octets. */
static bool
read_file(const char *path, bool secret, uint8_t **octets, size_t *n, char err[KMS_PKI_ERR])
{
    FILE *f = fopen(path, "re");
    struct stat st;

    *octets = NULL;
    if (f == NULL || fstat(fileno(f), &st) != 0) {
        fail(err, "%s: cannot be read: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        fail(err, "%s: not a file of at most 16 MiB", path);
    } else if (secret && (st.st_mode & 077) != 0) {
        fail(err, "%s: holds a private key but can be read by others: chmod 600 it", path);
    } else {
        setvbuf(f, NULL, _IONBF, 0); /* no copy of a key in a buffer of the C library */
        *octets = malloc((size_t)st.st_size + 1);
        *n = *octets == NULL ? 0 : fread(*octets, 1, (size_t)st.st_size, f);
        if (*octets == NULL)
            fail(err, "%s: out of memory", path);
    }
    if (f != NULL)
        fclose(f);
    return *octets != NULL;
}

static void
drop(uint8_t *octets, size_t n)
{
    mkt_wipe(octets, n);
    free(octets);
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

    if (!read_file(cert_path, false, &octets, &n, err))
        return false;
    rest = mkt_span(octets, n);
    ok = mkt_cert_next(&r->cert[i], &rest, &why) == MKT_OK;
    drop(octets, n);
    if (!ok)
        return fail_mkt(err, cert_path, &why);
    if (r->cert[i] == NULL)
        return fail(err, "%s: holds no certificate", cert_path);
    if (!read_file(key_path, true, &octets, &n, err))
        return false;
    ok = mkt_pkey_new(&r->key[i], mkt_span(octets, n), &why) == MKT_OK;
    drop(octets, n);
    if (!ok)
        return fail_mkt(err, key_path, &why);
    if (!mkt_cert_fits(r->cert[i], r->key[i]))
        return fail(err, "%s: is not the key of the certificate %s", key_path, cert_path);
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

    if (!read_file(path, false, &octets, &n, err))
        return false;
    ok = mkt_trust_add(ctx, mkt_span(octets, n), &why) == MKT_OK;
    drop(octets, n);
    return ok || fail_mkt(err, path, &why);
}

static bool
add_crl(void *ctx, const char *path, char *err)
{
    struct mkt_err why = { 0 };
    uint8_t *octets;
    size_t n;
    bool ok;

    if (!read_file(path, false, &octets, &n, err))
        return false;
    ok = mkt_trust_add_crl(ctx, mkt_span(octets, n), &why) == MKT_OK;
    drop(octets, n);
    return ok || fail_mkt(err, path, &why);
}

static bool
ring_fill(struct key_ring *r, const struct kms_config *c, char err[KMS_PKI_ERR])
{
    r->trust = mkt_trust_new();
    if (r->trust == NULL)
        return fail(err, "out of memory");
    for (size_t i = 0; i < c->certificate.n; i++)
        if (!add_pair(r, i, c->certificate.at[i], c->private_key.at[i], err))
            return false;
    for (size_t i = 0; i < c->trust.n; i++)
        if (!each_file(c->trust.at[i], add_trust, r->trust, err))
            return false;
    for (size_t i = 0; i < c->crl.n; i++)
        if (!each_file(c->crl.at[i], add_crl, r->trust, err))
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
        fail(err, "out of memory");
    } else if (!ring_fill(r, c, err)) {
        ring_free(r);
        r = NULL;
    }
    return r;
}

/* --- changes ---------------------------------------------------------------------------------- */

/* Whatever order the files come in. */
static bool
add_stamp(void *ctx, const char *path, char *err)
{
    static const struct kms_hash_key key;
    struct stat st = { 0 };

    (void)err;
    if (stat(path, &st) == 0) {
        int64_t what[] = { (int64_t)st.st_ino, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };

        *(uint64_t *)ctx += kms_hash(&key, what, sizeof what);
    }
    return true;
}

static uint64_t
stamp_of(const struct kms_config *c)
{
    const struct kms_files *const all[] = { &c->certificate, &c->private_key, &c->trust, &c->crl };
    char err[KMS_PKI_ERR];
    uint64_t stamp = 0;

    for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
        for (size_t i = 0; i < all[k]->n; i++)
            (void)each_file(all[k]->at[i], add_stamp, &stamp, err);
    return stamp;
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
        return fail(err, "out of memory");
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
kms_pki_refresh(struct kms_pki *pki, struct kms_log *log)
{
    struct key_ring *fresh, *old;
    char err[KMS_PKI_ERR];
    uint64_t stamp;

    if (pki == NULL)
        return;
    stamp = stamp_of(pki->config);
    if (stamp == pki->stamp)
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
