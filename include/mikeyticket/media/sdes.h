/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in SDP itself (RFC 4568, "SDES"): the value of an a=crypto attribute, read strictly. Whoever
 * sees the signalling has these keys. They are for calls with those who know nothing better, when
 * the user has asked for them. */
#ifndef MIKEYTICKET_MEDIA_SDES_H
#define MIKEYTICKET_MEDIA_SDES_H

#include <mikeyticket/env.h>
#include <mikeyticket/err.h>
#include <mikeyticket/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MKT_SDES_MKI_MAX 128   /* octets */
#define MKT_SDES_VALUE_MAX 512 /* octets of a value that is read or written, with its end */

struct mkt_sdes_suite {
    const char *name;          /* RFC 4568 6.2, RFC 6188 3, RFC 7714 14.2 */
    uint8_t key_len, salt_len; /* octets */
};

/* mkt_sdes_suite returns the suite of that name (static), or NULL. */
MKT_API const struct mkt_sdes_suite *mkt_sdes_suite(struct mkt_span name);

/* One a=crypto attribute: the key under which its sender sends. Secret: mkt_sdes_wipe. */
struct mkt_sdes {
    uint32_t tag; /* 1 to 999999999 */
    const struct mkt_sdes_suite *suite;
    struct mkt_secret key, salt;
    uint64_t lifetime; /* packets; 0: as long as SRTP allows (2^48) */
    uint8_t mki_len;   /* octets of MKI in each packet; 0: none */
    uint8_t mki[MKT_SDES_MKI_MAX];
};

/* mkt_sdes_read reads a value, what follows "a=crypto:". One key, by the method "inline"; no
 * session parameters: they are refused (RFC 4568 6.3), as is what is not needed to understand them.
 * MKT_E_SP: a suite that is not known; else MKT_E_FIELD; the offset is in value. sdes is wiped on
 * failure. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdes_read(struct mkt_sdes *sdes, struct mkt_span value,
                                               struct mkt_err *err);

/* mkt_sdes_make draws a new key and salt for a suite. MKT_E_RANDOM. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdes_make(struct mkt_sdes *sdes, uint32_t tag,
                                               const struct mkt_sdes_suite *suite);

/* mkt_sdes_write writes the value, terminated: it holds the key, and is wiped by the caller
 * (mkt_wipe). *len gets its length. MKT_E_NO_SPACE, and then out is empty. */
MKT_API MKT_MUST_USE enum mkt_rc mkt_sdes_write(char *out, size_t cap, size_t *len,
                                                const struct mkt_sdes *sdes);

/* mkt_sdes_same tells whether two attributes are the same in all their parts. */
MKT_API bool mkt_sdes_same(const struct mkt_sdes *a, const struct mkt_sdes *b);

/* mkt_sdes_wipe clears s. */
MKT_API void mkt_sdes_wipe(struct mkt_sdes *s);

#ifdef __cplusplus
}
#endif
#endif
