/* SPDX-License-Identifier: Apache-2.0 */
/* The mask of OAEP and PSS (RFC 3447 B.2.1). */
#include "keys/pk.h"

#include <mikeyticket/secret.h>

bool
mkt_mgf1_xor(struct mkt_crypto *c, uint8_t hash, struct mkt_span seed, uint8_t *out, size_t n)
{
    uint8_t counter[4], mask[MKT_HASH_MAX];
    const struct mkt_span part[2] = { seed, mkt_span(counter, sizeof counter) };
    int len = mkt_hash_len(hash);
    bool ok = len > 0;

    for (uint32_t block = 0; ok && n != 0; block++) {
        size_t take = n < (size_t)len ? n : (size_t)len;
        for (size_t i = 0; i < 4; i++)
            counter[i] = (uint8_t)(block >> 8 * (3 - i));
        ok = mkt_be_hash(c, hash, part, 2, mask);
        for (size_t i = 0; ok && i < take; i++)
            out[i] ^= mask[i];
        out += take;
        n -= take;
    }
    mkt_wipe(mask, sizeof mask);
    return ok;
}
