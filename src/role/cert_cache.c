/* SPDX-License-Identifier: Apache-2.0 */
/* See cert_cache.h. Each certificate has one place, given by its digest. */
#include "role/cert_cache.h"

#include <string.h>

const struct mkt_cert *
mkt_cert_cache_find(const struct mkt_cert_cache *c, const uint8_t digest[MKT_CERT_DIGEST])
{
    size_t i = digest[0];
    bool same = c->slot[i].cert != NULL && memcmp(c->slot[i].digest, digest, MKT_CERT_DIGEST) == 0;
    return same ? c->slot[i].cert : NULL;
}

void
mkt_cert_cache_keep(struct mkt_cert_cache *c, const uint8_t digest[MKT_CERT_DIGEST],
                    struct mkt_cert *cert)
{
    size_t i = digest[0];
    mkt_cert_free(c->slot[i].cert);
    memcpy(c->slot[i].digest, digest, MKT_CERT_DIGEST);
    c->slot[i].cert = cert;
    c->slot[i].path.window = (struct mkt_be_window){ 0, 0 };
}

bool
mkt_cert_cache_trusts(const struct mkt_cert_cache *c, const uint8_t digest[MKT_CERT_DIGEST],
                      const uint8_t name[MKT_CERT_PATH], int64_t unix_time)
{
    const struct mkt_cert_path *path = &c->slot[digest[0]].path;

    return mkt_cert_cache_find(c, digest) != NULL && memcmp(path->name, name, MKT_CERT_PATH) == 0 &&
           unix_time >= path->window.from && unix_time < path->window.until;
}

void
mkt_cert_cache_trust(struct mkt_cert_cache *c, const uint8_t digest[MKT_CERT_DIGEST],
                     const struct mkt_cert_path *path)
{
    if (mkt_cert_cache_find(c, digest) != NULL)
        c->slot[digest[0]].path = *path;
}

void
mkt_cert_cache_free(struct mkt_cert_cache *c)
{
    for (size_t i = 0; i < MKT_CERT_SLOTS; i++) {
        mkt_cert_free(c->slot[i].cert);
        c->slot[i].cert = NULL;
    }
}
