/* SPDX-License-Identifier: Apache-2.0 */
/* Random octets drawn ahead. Fails closed: when the system's generator fails, nothing is handed
 * out. */
#include <mikeyticket/env.h>
#include <mikeyticket/secret.h>
#include <string.h>

bool
mkt_pool_random(void *ctx, uint8_t *out, size_t n)
{
    struct mkt_pool *pool = ctx;

    if (n > MKT_POOL)
        return mkt_crypto_random(NULL, out, n);
    if (n > pool->left) {
        if (!mkt_crypto_random(NULL, pool->octets, MKT_POOL))
            return false;
        pool->left = MKT_POOL;
    }
    uint8_t *from = pool->octets + MKT_POOL - pool->left;
    memcpy(out, from, n);
    mkt_wipe(from, n);
    pool->left -= n;
    return true;
}
