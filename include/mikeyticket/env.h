/* SPDX-License-Identifier: Apache-2.0 */
/* All the library knows of the world: passed to each call, never stored. */
#ifndef MIKEYTICKET_ENV_H
#define MIKEYTICKET_ENV_H

#include <mikeyticket/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* mkt_crypto holds fetched algorithms and re-usable contexts. One for each thread. */
struct mkt_crypto;

/* mkt_crypto_new returns an owned object, or NULL when memory or the algorithms fail. */
MKT_API struct mkt_crypto *mkt_crypto_new(void);

/* mkt_crypto_free wipes and frees c. NULL is allowed. */
MKT_API void mkt_crypto_free(struct mkt_crypto *c);

/* mkt_crypto_selftest runs the known-answer tests of every algorithm.
 * Returns false when one of them fails: do not go on. */
MKT_API MKT_MUST_USE bool mkt_crypto_selftest(struct mkt_crypto *c);

/* mkt_crypto_random fills out (n octets) from the system's generator. It has the
 * signature of mkt_env.random; ctx is ignored. Returns false on failure. */
MKT_API MKT_MUST_USE bool mkt_crypto_random(void *ctx, uint8_t *out, size_t n);

#define MKT_POOL 4096 /* octets */

/* mkt_pool is random octets drawn ahead, of one thread and one process: the system is asked for 4
 * KiB at a time instead of once for every key. What is handed out is wiped from it. Zero-initialise
 * it, and mkt_wipe it at the end. */
struct mkt_pool {
    size_t left; /* octets at the end that are not handed out yet */
    uint8_t octets[MKT_POOL];
};

/* mkt_pool_random does as mkt_crypto_random; ctx is a struct mkt_pool. */
MKT_API MKT_MUST_USE bool mkt_pool_random(void *ctx, uint8_t *out, size_t n);

/* mkt_crypto_sha256 digests the n parts, one after the other, into out (32 octets). For records
 * that are chained by their digests; keys have no business here. Returns false when the backend
 * fails. */
MKT_API MKT_MUST_USE bool mkt_crypto_sha256(struct mkt_crypto *c, const struct mkt_span *part,
                                            size_t n, uint8_t *out);

struct mkt_env {
    struct mkt_crypto *crypto; /* not NULL */
    uint64_t now;              /* NTP-UTC, 32.32 fixed point (RFC 3830 6.6), the caller's clock */
    /* Fills out with n octets; false on failure. */
    bool (*random)(void *ctx, uint8_t *out, size_t n);
    /* Gives the value of the next timestamp of type ts_type (MKT_TS_*) to be sent: 64-bit NTP for
     * the NTP types, the counter for COUNTER (above 2^32 - 1 it has run out, and nothing is made).
     * NULL: `now` for the NTP types, COUNTER refused. */
    uint64_t (*stamp)(void *ctx, uint8_t ts_type);
    void *ctx; /* passed to random and stamp */
};

/* mkt_ntp_from_unix converts seconds and nanoseconds since 1970 to 32.32 NTP-UTC; the era
 * is dropped as in RFC 4330 section 3. */
MKT_API uint64_t mkt_ntp_from_unix(int64_t sec, uint32_t nsec);

/* mkt_ntp_to_unix reads the seconds of a 32.32 NTP time in the range 1968-2104
 * (RFC 4330 section 3, RFC 6043 6.3) as seconds since 1970. */
MKT_API int64_t mkt_ntp_to_unix(uint64_t ntp);

#ifdef __cplusplus
}
#endif
#endif
