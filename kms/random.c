/* SPDX-License-Identifier: Apache-2.0 */
/* Fails closed: when the system's generator fails, nothing is handed out. */
#include "random.h"

#include <string.h>

#include <mikeyticket/env.h>
#include <mikeyticket/secret.h>

bool
kms_random_take(void *ctx, uint8_t *out, size_t n)
{
    struct kms_random *r = ctx;
    uint8_t *from;

    if (n > KMS_POOL)
        return mkt_crypto_random(NULL, out, n);
    if (n > r->left) {
        if (!mkt_crypto_random(NULL, r->pool, KMS_POOL))
            return false;
        r->left = KMS_POOL;
    }
    from = r->pool + KMS_POOL - r->left;
    memcpy(out, from, n);
    mkt_wipe(from, n);
    r->left -= n;
    return true;
}
