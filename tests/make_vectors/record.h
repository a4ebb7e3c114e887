/* SPDX-License-Identifier: Apache-2.0 */
/* What happens inside the library while roles run: values drawn, keys derived, MACs, encryption.
 * The functions that do these things are replaced by the linker (-Wl,--wrap), so that production
 * code knows nothing of it. */
#ifndef MKT_MAKE_VECTORS_RECORD_H
#define MKT_MAKE_VECTORS_RECORD_H

#include <mikeyticket/env.h>
#include <mikeyticket/message.h>

enum mv_kind { MV_RANDOM, MV_TIME, MV_KDF, MV_MAC, MV_ENCRYPT, MV_SESSION };

struct mv_step {
    enum mv_kind kind;
    char name[64];
    uint8_t alg;          /* TS type, PRF, MAC alg or Encr alg */
    struct mkt_span key;  /* inkey, auth_key, encr_key or TEK */
    struct mkt_span salt; /* salt_key */
    struct mkt_span in;   /* label, MAC input or plaintext */
    struct mkt_span out;  /* value, outkey, MAC or ciphertext */
    uint32_t csb_id;
    uint64_t t64;
};

#define MV_STEPS_MAX 400

struct mv_record {
    struct mv_step step[MV_STEPS_MAX];
    size_t n;
    uint64_t seed;   /* of the random values */
    uint32_t stamps; /* timestamps given */
    uint64_t now;
    void *owned[4 * MV_STEPS_MAX];
    size_t n_owned;
};

/* mv_record_begin makes rec the one that is written to, mv_record_end frees what it holds. */
void mv_record_begin(struct mv_record *rec, uint64_t seed, uint64_t now);
void mv_record_end(struct mv_record *rec);

/* mv_keep copies octets; the copy lives as long as the record. Ends the program when memory fails.
 */
struct mkt_span mv_keep(struct mv_record *rec, struct mkt_span s);

/* mv_fill gives the next n values of the generator without a step. */
void mv_fill(struct mv_record *rec, uint8_t *out, size_t n);

/* mv_env is the world of the roles: random values from the seed, a clock that goes on by a second
 * with each timestamp. Both are recorded. */
struct mkt_env mv_env(struct mv_record *rec, struct mkt_crypto *crypto);

/* mv_session adds what a crypto session came to. */
void mv_session(struct mv_record *rec, uint8_t cs_id, struct mkt_span tek, struct mkt_span salt);

#endif
