/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: long-term keys are handles that can only derive; carried keys are secrets. */
#ifndef MIKEYTICKET_KEY_H
#define MIKEYTICKET_KEY_H

#include <mikeyticket/alg.h>
#include <mikeyticket/env.h>
#include <mikeyticket/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One key to derive: out_len octets into out, from the label (constant included). */
struct mkt_derive {
    struct mkt_span label;
    uint8_t *out;
    size_t out_len; /* octets */
};

/* mkt_inkey is a handle to a PRF inkey. PSKs and TPKs are used for nothing else in
 * RFC 6043 (5.1, A.2.1), so the octets may stay in a vault or an HSM behind it. */
struct mkt_inkey {
    uint16_t len; /* octets: the length rules of RFC 6043 12.1 need it */
    /* Derives d[0..n-1] with the PRF prf_func. False on failure; then no out is valid. */
    bool (*prf)(const struct mkt_inkey *k, struct mkt_crypto *c, uint8_t prf_func,
                const struct mkt_derive *d, size_t n);
};

/* mkt_inkey_mem is an inkey whose octets are in memory. */
struct mkt_inkey_mem {
    struct mkt_inkey base; /* first member: hand out &k->base */
    struct mkt_secret key;
};

/* mkt_inkey_mem_init makes k a handle to a copy of key. MKT_E_WEAK_KEY below 16 octets
 * (RFC 6043 12.1), MKT_E_ARGUMENT beyond MKT_SECRET_MAX. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_inkey_mem_init(struct mkt_inkey_mem *k, struct mkt_span key);

/* mkt_inkey_mem_wipe clears k. */
MKT_API void mkt_inkey_mem_wipe(struct mkt_inkey_mem *k);

enum mkt_key_type { /* RFC 3830 6.13, RFC 6043 Table 6.7 */
                    MKT_KEY_TGK = 0,
                    MKT_KEY_TGK_SALT = 1,
                    MKT_KEY_TEK = 2,
                    MKT_KEY_TEK_SALT = 3,
                    MKT_KEY_GTGK = 4,
                    MKT_KEY_GTGK_SALT = 5,
                    MKT_KEY_MPK = 6
};
enum mkt_kv { MKT_KV_NULL = 0, MKT_KV_SPI = 1, MKT_KV_INTERVAL = 2 }; /* RFC 3830 6.14 */

#define MKT_SPI_MAX 255 /* octets */
#define MKT_KEYS_MAX 32 /* keys in one KEMAC */

/* mkt_key is one key of a KEMAC, with octets of its own. */
struct mkt_key {
    uint8_t type; /* enum mkt_key_type */
    uint8_t kv;   /* enum mkt_kv */
    uint8_t spi_len;
    uint8_t spi[MKT_SPI_MAX]; /* kv = SPI */
    uint8_t from_len, to_len; /* kv = INTERVAL: VF and VT */
    uint8_t from[MKT_SPI_MAX], to[MKT_SPI_MAX];
    struct mkt_secret key;
    struct mkt_secret salt; /* n = 0: none */
};

/* mkt_keys is what a KEMAC holds: the MPKs first, then the session keys. */
struct mkt_keys {
    uint8_t n;
    struct mkt_key k[MKT_KEYS_MAX];
};

/* mkt_keys_copy fills to, which holds no keys, with those of from that are in use: mostly a few
 * of the 32, and they are long. */
MKT_API void mkt_keys_copy(struct mkt_keys *to, const struct mkt_keys *from);

/* mkt_keys_wipe clears the keys in use and sets n to 0. */
MKT_API void mkt_keys_wipe(struct mkt_keys *keys);

/* mkt_key_type_name returns "TGK+SALT" and the like; "unassigned" when unknown (static). */
MKT_API const char *mkt_key_type_name(uint8_t type);

#ifdef __cplusplus
}
#endif
#endif
