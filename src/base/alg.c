/* SPDX-License-Identifier: Apache-2.0 */
/* The two security levels of RFC 6043 12.1, and the lengths that go with registered numbers. */
#include <mikeyticket/alg.h>

static const struct mkt_suite suites[] = {
    { "128", MKT_PRF_MIKEY_1, MKT_ENCR_AES_CM_128, MKT_MAC_HMAC_SHA_1_160, 16, 20 },
    { "256", MKT_PRF_HMAC_SHA_256, MKT_ENCR_AES_CM_256, MKT_MAC_HMAC_SHA_256_256, 32, 32 },
};

const struct mkt_suite *
mkt_suite_of(uint8_t prf)
{
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        if (suites[i].prf == prf)
            return &suites[i];
    }
    return NULL;
}

int
mkt_mac_len(uint8_t alg)
{
    static const int len[] = {
        [MKT_MAC_NULL] = 0, [MKT_MAC_HMAC_SHA_1_160] = 20, [MKT_MAC_HMAC_SHA_256_256] = 32
    };
    return alg < sizeof len / sizeof len[0] ? len[alg] : -1;
}

int
mkt_hash_len(uint8_t func)
{
    static const int len[] = {
        [MKT_HASH_SHA_1] = 20, [MKT_HASH_MD5] = 16, [MKT_HASH_SHA_256] = 32
    };
    return func < sizeof len / sizeof len[0] ? len[func] : -1;
}
