/* SPDX-License-Identifier: Apache-2.0 */
/* The key schedule of RFC 6043 (5.1, 6.10, A.2) and what it rests on in RFC 3830 (4.1, 4.2). */
#ifndef MKT_KEYS_KEYS_H
#define MKT_KEYS_KEYS_H

#include "base/writer.h"
#include <mikeyticket/key.h>

/* --- label.c: all labels share one shape, so they are one table ----------------------------- */

enum mkt_use {
    MKT_USE_FORK,           /* 5.1.1, ID Data and RANDRkms */
    MKT_USE_INIT,           /* 5.1.2, RANDRi and RANDRr    */
    MKT_USE_RESP,           /* 5.1.2, RANDRi and RANDRr    */
    MKT_USE_SESSION,        /* 5.1.3, RANDRi and RANDRr    */
    MKT_USE_INITIATOR_DATA, /* 6.10                        */
    MKT_USE_FROM_TPK,       /* A.2.1, RAND                 */
    MKT_USE_FROM_MPK,       /* A.2.2, RAND                 */
    MKT_USE_3830_MESSAGE,   /* RFC 3830 4.1.4, RAND        */
    MKT_USE_3830_SESSION    /* RFC 3830 4.1.3, RAND        */
};

enum mkt_constant { /* RFC 3830 4.1.3, 4.1.4; RFC 6043 Tables 5.1 and A.1 */
                    MKT_C_SESSION_TEK = 0x2AD01C64,
                    MKT_C_SESSION_AUTH = 0x1B5C7973,
                    MKT_C_SESSION_ENCR = 0x15798CEF,
                    MKT_C_SESSION_SALT = 0x39A2C14B,
                    MKT_C_ENCR = 0x150533E1,
                    MKT_C_AUTH = 0x2D22AC75,
                    MKT_C_SALT = 0x29B88916,
                    MKT_C_MPKR_FORKED = 0x2B288856,
                    MKT_C_TGK_FORKED = 0x1512B54A,
                    MKT_C_MPKI = 0x220E99A2,
                    MKT_C_MPKR = 0x1F4D675B
};

/* What a label is made of besides its constant. cs_id is used by the two SESSIONs, csb_id by INIT,
 * RESP and RFC 3830. */
struct mkt_label {
    enum mkt_use use;
    uint8_t cs_id;
    uint32_t csb_id;
    struct mkt_span nonce1, nonce2;
};

#define MKT_LABEL_MAX (4 + 1 + 4 + 1 + 2 + 1024 + 1 + 255)

/* Writes the label. A label whose nonces are all empty although its use has some is marked as
 * overflow: it is refused. */
void mkt_label_write(struct mkt_writer *w, enum mkt_constant constant, const struct mkt_label *l);

/* --- prf.c: RFC 3830 4.1.2 with HMAC-SHA-1 or HMAC-SHA-256 ------------------------------------ */

/* Derives d[0..n-1] from the octets inkey. False for an unknown PRF, an empty inkey or a failing
 * backend; then every out is wiped. */
bool mkt_prf_run(struct mkt_crypto *c, uint8_t prf_func, struct mkt_span inkey,
                 const struct mkt_derive *d, size_t n);

/* --- schedule.c: keys by their RFC names -------------------------------------------------------
 */

/* encr_key, salt_key and auth_key of a message or ticket, for one suite. */
struct mkt_msg_keys {
    const struct mkt_suite *suite;
    bool key_wrap; /* KEMAC with AES-KW-128 instead of AES-CM; the first 8 octets of salt are its IV
                    */
    uint8_t encr[32], salt[MKT_SALT_LEN], auth[32];
};
void mkt_msg_keys_wipe(struct mkt_msg_keys *k);
#define MKT_SCOPED_MSG_KEYS __attribute__((cleanup(mkt_msg_keys_wipe))) struct mkt_msg_keys

enum mkt_which { MKT_WANT_AUTH = 1, MKT_WANT_ENCR = 2, MKT_WANT_ALL = 3 };

/* Keys protecting a message (INIT or RESP, 5.1.2; 3830_MESSAGE), a ticket (FROM_TPK, A.2.1) or the
 * Initiator Data (INITIATOR_DATA, 6.10; auth only). MKT_WANT_ENCR gives encr and salt. */
bool mkt_derive_msg_keys(struct mkt_msg_keys *out, const struct mkt_inkey *k, struct mkt_crypto *c,
                         const struct mkt_suite *suite, const struct mkt_label *l,
                         enum mkt_which which);

/* n keys (MKT_DERIVED_MAX at most) of the lengths out[i]->n (set by the caller) from a secret, by
 * one label but for the constants. All are wiped when one fails. */
#define MKT_DERIVED_MAX 2
bool mkt_derive_secrets(struct mkt_secret *const out[], const enum mkt_constant constant[],
                        size_t n, struct mkt_crypto *c, uint8_t prf_func,
                        const struct mkt_secret *inkey, const struct mkt_label *l);

/* One key likewise. */
bool mkt_derive_secret(struct mkt_secret *out, struct mkt_crypto *c, uint8_t prf_func,
                       const struct mkt_secret *inkey, enum mkt_constant constant,
                       const struct mkt_label *l);

/* MPKi and MPKr from the MPK of a ticket (A.2.2), each as long as the MPK. */
bool mkt_derive_mpks(struct mkt_secret *mpk_i, struct mkt_secret *mpk_r, struct mkt_crypto *c,
                     uint8_t prf_func, const struct mkt_secret *mpk, struct mkt_span rand);

/* MPKr' and TGK' (5.1.1): replaces the octets of key. constant: MPKR_FORKED or TGK_FORKED. */
bool mkt_fork_key(struct mkt_secret *key, struct mkt_crypto *c, uint8_t prf_func,
                  enum mkt_constant constant, struct mkt_span id_data, struct mkt_span rand_kms);

/* A stack handle for keys the library carries itself (MPKi, MPKr). Borrows key. */
struct mkt_inkey_ref {
    struct mkt_inkey base;
    const struct mkt_secret *key;
};
void mkt_inkey_ref_init(struct mkt_inkey_ref *r, const struct mkt_secret *key);

/* --- mac.c ---------------------------------------------------------------------------------------
 */

/* MAC of the parts with keys->auth and the suite's algorithm, suite->auth_len octets. */
bool mkt_mac_run(struct mkt_crypto *c, const struct mkt_msg_keys *keys, const struct mkt_span *part,
                 size_t n, uint8_t out[MKT_MAC_MAX]);

/* --- kemac_crypt.c: RFC 3830 4.2.3 ---------------------------------------------------------------
 */

/* Encrypts (or decrypts: the same) AES-CM under keys, with the IV of CSB ID and timestamp.
 * in and out may be the same. */
bool mkt_kemac_aes_cm(struct mkt_crypto *c, const struct mkt_msg_keys *keys, uint32_t csb_id,
                      uint64_t t64, struct mkt_span in, uint8_t *out);

/* iv = (salt << 16) XOR (0x0000 || CSB ID || T || 0x0000) as in RFC 3830 4.2.3. */
void mkt_kemac_iv(uint8_t iv[16], const uint8_t salt[MKT_SALT_LEN], uint32_t csb_id, uint64_t t64);

/* --- ntp.c: timestamps, RFC 3830 6.6, RFC 6043 6.3, RFC 4330 section 3
 * ------------------------------ */

/* Octets of a TS Value of that type; 0 for an unknown type. */
size_t mkt_ts_len(uint8_t ts_type);

/* Widens a TS Value to 64 bits: COUNTER gets leading, NTP-UTC-32 trailing zero octets. */
uint64_t mkt_ts_widen(uint8_t ts_type, struct mkt_span value);

/* Narrows a 64-bit timestamp for the wire; out holds 8 octets. Returns the length, 0 for an unknown
 * type and for a counter beyond 32 bits. */
size_t mkt_ts_narrow(uint8_t ts_type, uint64_t value, uint8_t out[8]);

/* Writes the T payload of a 64-bit timestamp (RFC 3830 6.6), narrowed. */
void mkt_ts_write(struct mkt_writer *w, uint8_t ts_type, uint64_t t64);

/* The value of the next timestamp to send, as the receiver will widen it; false when the type is
 * unknown, or COUNTER without a stamp in env. */
bool mkt_ts_stamp(const struct mkt_env *env, uint8_t ts_type, uint64_t *t64);

/* Seconds since 1968-01-20 03:14:08 UTC in 32.32, so that NTP times of 1968-2104 compare as
 * integers. */
uint64_t mkt_ntp_order(uint64_t ntp);

#endif
