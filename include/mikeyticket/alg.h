/* SPDX-License-Identifier: Apache-2.0 */
/* Registered numbers of algorithms, and the two suites that are never mixed. */
#ifndef MIKEYTICKET_ALG_H
#define MIKEYTICKET_ALG_H

#include <mikeyticket/err.h>

#ifdef __cplusplus
extern "C" {
#endif

enum mkt_prf { MKT_PRF_MIKEY_1 = 0, MKT_PRF_HMAC_SHA_256 = 1 }; /* RFC 6043 Table 6.3 */
enum mkt_encr {                                                 /* RFC 6043 Table 6.5 */
                MKT_ENCR_NULL = 0,
                MKT_ENCR_AES_CM_128 = 1,
                MKT_ENCR_AES_KW_128 = 2,
                MKT_ENCR_AES_CM_256 = 3
};
enum mkt_mac { /* RFC 6043 Table 6.6 */
               MKT_MAC_NULL = 0,
               MKT_MAC_HMAC_SHA_1_160 = 1,
               MKT_MAC_HMAC_SHA_256_256 = 2
};
enum mkt_hash { MKT_HASH_SHA_1 = 0, MKT_HASH_MD5 = 1, MKT_HASH_SHA_256 = 2 }; /* Table 6.12 */

#define MKT_MAC_MAX 32  /* octets of the longest MAC */
#define MKT_SALT_LEN 14 /* octets of a message or ticket salt_key for AES-CM (RFC 3830 4.2.3) */

/* mkt_suite is one security level; its algorithms are used together (RFC 6043 12.1). */
struct mkt_suite {
    const char *name; /* "128" or "256" */
    uint8_t prf, encr, mac;
    uint8_t key_len;  /* octets of encr_key, generated keys and RANDs */
    uint8_t auth_len; /* octets of auth_key and MAC */
};

/* mkt_suite_of returns the suite whose PRF is prf, or NULL (static). */
MKT_API const struct mkt_suite *mkt_suite_of(uint8_t prf);

/* mkt_mac_len returns the MAC length of alg in octets, or -1 for an unknown algorithm. */
MKT_API int mkt_mac_len(uint8_t alg);

/* mkt_hash_len returns the digest length of func in octets, or -1 when unknown. */
MKT_API int mkt_hash_len(uint8_t func);

#ifdef __cplusplus
}
#endif
#endif
