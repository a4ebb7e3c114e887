/* SPDX-License-Identifier: Apache-2.0 */
/* AES in counter mode for the contents of KEMAC payloads (RFC 3830 4.2.3). */
#include "keys/keys.h"

#include "backend/backend.h"

#include <string.h>

/* "this restricts the maximum size that can be encrypted to 2^23 bits" (RFC 3830 4.2.3): beyond,
 * the 16-bit block counter would run into the salt. */
#define AES_CM_MAX ((size_t)1 << 20) /* octets */

void
mkt_kemac_iv(uint8_t iv[16], const uint8_t salt[MKT_SALT_LEN], uint32_t csb_id, uint64_t t64)
{
    memcpy(iv, salt, MKT_SALT_LEN);
    iv[14] = iv[15] = 0;
    for (size_t i = 0; i < 4; i++)
        iv[2 + i] ^= (uint8_t)(csb_id >> (24 - 8 * i));
    for (size_t i = 0; i < 8; i++)
        iv[6 + i] ^= (uint8_t)(t64 >> (56 - 8 * i));
}

bool
mkt_kemac_aes_cm(struct mkt_crypto *c, const struct mkt_msg_keys *keys, uint32_t csb_id,
                 uint64_t t64, struct mkt_span in, uint8_t *out)
{
    uint8_t iv[16]; /* hides the salt from no one who holds it: T and CSB ID are public */
    if (keys->suite == NULL || in.n > AES_CM_MAX)
        return false;
    mkt_kemac_iv(iv, keys->salt, csb_id, t64);
    bool ok = mkt_be_aes_ctr(c, mkt_span(keys->encr, keys->suite->key_len), iv, in, out);
    mkt_wipe(iv, sizeof iv);
    return ok;
}
