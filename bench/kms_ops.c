/* SPDX-License-Identifier: Apache-2.0 */
/* One Ticket Request and one Ticket Resolve in the KMS's library, against the cryptography they
 * consist of. What that is, is not written down here but recorded: the linker puts the functions
 * below in the place of the backend's (-Wl,--wrap), and one run is noted step by step. The list is
 * printed, so that it can be held against the RFC. */
#include "bench.h"

#include "backend/backend.h"
#include "backend/pk.h"
#include "bare.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

static struct bare_list *tape; /* NULL: not recording */

static void
note(enum bare_kind kind, size_t n, size_t key_len)
{
    if (tape == NULL)
        return;
    if (tape->n == BARE_STEPS_MAX)
        abort();
    tape->step[tape->n++] = (struct bare_step){ kind, n, key_len };
}

/* The linker's names: reserved, but not ours to choose. */
bool __real_mkt_be_hmac_key(struct mkt_crypto *c, uint8_t mac_alg, struct mkt_span key);
bool __real_mkt_be_hmac(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part,
                        size_t n, uint8_t *out);
bool __real_mkt_be_hmac_last(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part,
                             size_t n, uint8_t *out);
bool __real_mkt_be_aes_ctr(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[16],
                           struct mkt_span in, uint8_t *out);
bool __wrap_mkt_be_hmac_key(struct mkt_crypto *c, uint8_t mac_alg, struct mkt_span key);
bool __wrap_mkt_be_hmac(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part,
                        size_t n, uint8_t *out);
bool __wrap_mkt_be_hmac_last(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part,
                             size_t n, uint8_t *out);
bool __wrap_mkt_be_aes_ctr(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[16],
                           struct mkt_span in, uint8_t *out);

bool
__wrap_mkt_be_hmac_key(struct mkt_crypto *c, uint8_t mac_alg, struct mkt_span key)
{
    note(mac_alg == MKT_MAC_HMAC_SHA_1_160 ? BARE_KEY_SHA1 : BARE_KEY_SHA256, 0, 0);
    return __real_mkt_be_hmac_key(c, mac_alg, key);
}

static void
note_hmac(uint8_t mac_alg, const struct mkt_span *part, size_t n)
{
    size_t octets = 0;
    for (size_t i = 0; i < n; i++)
        octets += part[i].n;
    note(mac_alg == MKT_MAC_HMAC_SHA_1_160 ? BARE_SHA1 : BARE_SHA256, octets, 0);
}

bool
__wrap_mkt_be_hmac(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part, size_t n,
                   uint8_t *out)
{
    note_hmac(mac_alg, part, n);
    return __real_mkt_be_hmac(c, mac_alg, part, n, out);
}

bool
__wrap_mkt_be_hmac_last(struct mkt_crypto *c, uint8_t mac_alg, const struct mkt_span *part,
                        size_t n, uint8_t *out)
{
    note_hmac(mac_alg, part, n);
    return __real_mkt_be_hmac_last(c, mac_alg, part, n, out);
}

bool
__wrap_mkt_be_aes_ctr(struct mkt_crypto *c, struct mkt_span key, const uint8_t iv[16],
                      struct mkt_span in, uint8_t *out)
{
    note(BARE_AES_CTR, in.n, key.n);
    return __real_mkt_be_aes_ctr(c, key, iv, in, out);
}

bool __real_mkt_be_rsa_verify(const struct mkt_cert *cert, uint8_t s_type, uint8_t hash,
                              const uint8_t *digest, struct mkt_span signature);
bool __wrap_mkt_be_rsa_verify(const struct mkt_cert *cert, uint8_t s_type, uint8_t hash,
                              const uint8_t *digest, struct mkt_span signature);
bool __real_mkt_be_rsa_private(const struct mkt_pkey *key, struct mkt_span in, uint8_t *out);
bool __wrap_mkt_be_rsa_private(const struct mkt_pkey *key, struct mkt_span in, uint8_t *out);
enum mkt_rc __real_mkt_be_trust_verify(const struct mkt_trust *trust,
                                       const struct mkt_cert *const *chain, size_t n,
                                       enum mkt_purpose purpose, int64_t unix_time,
                                       struct mkt_be_window *window, struct mkt_err *err);
enum mkt_rc __wrap_mkt_be_trust_verify(const struct mkt_trust *trust,
                                       const struct mkt_cert *const *chain, size_t n,
                                       enum mkt_purpose purpose, int64_t unix_time,
                                       struct mkt_be_window *window, struct mkt_err *err);

bool
__wrap_mkt_be_rsa_verify(const struct mkt_cert *cert, uint8_t s_type, uint8_t hash,
                         const uint8_t *digest, struct mkt_span signature)
{
    note(BARE_RSA_VERIFY, mkt_be_cert_bits(cert), 0);
    return __real_mkt_be_rsa_verify(cert, s_type, hash, digest, signature);
}

bool
__wrap_mkt_be_rsa_private(const struct mkt_pkey *key, struct mkt_span in, uint8_t *out)
{
    note(BARE_RSA_DECRYPT, mkt_be_pkey_bits(key), 0);
    return __real_mkt_be_rsa_private(key, in, out);
}

/* Each certificate of the chain has one signature. */
enum mkt_rc
__wrap_mkt_be_trust_verify(const struct mkt_trust *trust, const struct mkt_cert *const *chain,
                           size_t n, enum mkt_purpose purpose, int64_t unix_time,
                           struct mkt_be_window *window, struct mkt_err *err)
{
    for (size_t i = 0; i < n; i++)
        note(BARE_RSA_VERIFY, mkt_be_cert_bits(chain[i]), 0);
    return __real_mkt_be_trust_verify(trust, chain, n, purpose, unix_time, window, err);
}

static bool
noted_random(void *ctx, uint8_t *out, size_t n)
{
    note(BARE_RANDOM, n, 0);
    return mkt_crypto_random(ctx, out, n);
}

static bool
request_op(void *ctx)
{
    return world_issue(ctx);
}

static bool
resolve_op(void *ctx)
{
    return world_resolve(ctx);
}

struct floor {
    struct bare *bare;
    struct bare_list list;
};

static bool
floor_op(void *ctx)
{
    struct floor *f = ctx;
    return bare_run(f->bare, &f->list);
}

static void
describe(const struct bare_list *l, char *buf, size_t cap)
{
    unsigned count[BARE_KINDS] = { 0 };
    size_t octets[BARE_KINDS] = { 0 };
    for (size_t i = 0; i < l->n; i++) {
        count[l->step[i].kind]++;
        octets[l->step[i].kind] += l->step[i].n;
    }
    unsigned rsa = count[BARE_RSA_VERIFY] + count[BARE_RSA_DECRYPT];
    int n = rsa == 0 ? 0
                     : snprintf(buf, cap, "%u RSA verifications, %u decryptions, ",
                                count[BARE_RSA_VERIFY], count[BARE_RSA_DECRYPT]);
    snprintf(buf + n, cap - (size_t)n,
             rsa == 0 ? "%u keys, %u HMACs over %zu octets, %u AES over %zu, %u draws of %zu in all"
                      : "%u keys, %u HMACs of %zu, %u AES of %zu, %u draws of %zu",
             count[BARE_KEY_SHA1] + count[BARE_KEY_SHA256], count[BARE_SHA1] + count[BARE_SHA256],
             octets[BARE_SHA1] + octets[BARE_SHA256], count[BARE_AES_CTR], octets[BARE_AES_CTR],
             count[BARE_RANDOM], octets[BARE_RANDOM]);
}

/* Leaves what costs thirty times the rest together: whether there is any. */
static bool
keep_rsa(struct bare_list *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (l->step[i].kind == BARE_RSA_VERIFY || l->step[i].kind == BARE_RSA_DECRYPT)
            l->step[n++] = l->step[i];
    }
    if (n != 0)
        l->n = n;
    return n != 0;
}

bool
bench_recorded(struct bench_report *r, const char *name, double bar, bench_op *op, void *ctx,
               struct mkt_env *env)
{
    struct floor f = { .bare = bare_new() };
    bool (*const random)(void *, uint8_t *, size_t) = env->random;
    char what[112];
    bool ok = op(ctx); /* what is made once is not recorded */

    env->random = noted_random;
    tape = &f.list;
    ok = ok && op(ctx);
    tape = NULL;
    env->random = random;
    describe(&f.list, what, sizeof what);
    const char *floor_what = keep_rsa(&f.list) ? "the RSA operations, bare" : "these, bare";

    struct bench_row *row = bench_add(r, name, what);
    row->bar_ratio = bar;
    ok = ok && floor_op(&f) && bench_compare(row, op, ctx, floor_op, &f, floor_what);
    bare_free(f.bare);
    return ok;
}

static bool
measure(struct bench_report *r, const char *name, bench_op *op, struct world *w)
{
    return bench_recorded(r, name, 1.5, op, w, &w->env);
}

bool
bench_kms_ops(struct bench_report *r)
{
    static const char *const names[][2] = { { "kms_request_128", "kms_resolve_128" },
                                            { "kms_request_256", "kms_resolve_256" } };
    struct world *w = malloc(sizeof *w);
    bool ok = w != NULL;

    for (uint8_t prf = MKT_PRF_MIKEY_1; ok && prf <= MKT_PRF_HMAC_SHA_256; prf++) {
        ok = world_open(w, prf) && measure(r, names[prf][0], request_op, w) &&
             measure(r, names[prf][1], resolve_op, w);
        world_close(w);
    }
    free(w);
    return ok;
}
