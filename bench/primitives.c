/* SPDX-License-Identifier: Apache-2.0 */
/* The primitives through the library's own layers, against the same on bare libcrypto: what the
 * layers cost (wiping keys from the contexts, checks, XOR of blocks). */
#include "bench.h"

#include "backend/backend.h"
#include "bare.h"
#include "keys/keys.h"

#include <string.h>

struct primitive {
    struct mkt_crypto *crypto;
    struct bare *bare;
    struct mkt_msg_keys keys;
    size_t n; /* octets of input */
    struct bare_list floor;
};

static uint8_t buffer[8192];

static bool
mac_op(void *ctx)
{
    struct primitive *p = ctx;
    uint8_t mac[MKT_MAC_MAX];
    const struct mkt_span part = mkt_span(buffer, p->n);
    return mkt_mac_run(p->crypto, &p->keys, &part, 1, mac);
}

static bool
prf_op(void *ctx)
{
    struct primitive *p = ctx;
    uint8_t out[20];
    const struct mkt_derive d = { mkt_span(buffer, p->n), out, sizeof out };
    return mkt_prf_run(p->crypto, p->keys.suite->prf,
                       mkt_span(p->keys.encr, p->keys.suite->key_len), &d, 1);
}

static bool
aes_op(void *ctx)
{
    struct primitive *p = ctx;
    return mkt_kemac_aes_cm(p->crypto, &p->keys, 1, 2, mkt_span(buffer, p->n), buffer);
}

static bool
random_op(void *ctx)
{
    struct primitive *p = ctx;
    return mkt_crypto_random(NULL, buffer, p->n);
}

static bool
floor_op(void *ctx)
{
    struct primitive *p = ctx;
    return bare_run(p->bare, &p->floor);
}

/* What each consists of. h: 0 for the HMAC-SHA-1 suite, 1 for the other. */
static struct bare_list
mac_steps(unsigned h, size_t n)
{
    return (struct bare_list){ 2, { { BARE_KEY_SHA1 + h, 0, 0 }, { BARE_SHA1 + h, n, 0 } } };
}

static struct bare_list
prf_steps(unsigned h, size_t n)
{
    size_t a = n + (h == 0 ? 20 : 32); /* A_1 || label */
    return (struct bare_list){
        3, { { BARE_KEY_SHA1 + h, 0, 0 }, { BARE_SHA1 + h, n, 0 }, { BARE_SHA1 + h, a, 0 } }
    };
}

static struct bare_list
aes_steps(unsigned h, size_t n)
{
    return (struct bare_list){ 1, { { BARE_AES_CTR, n, h == 0 ? 16 : 32 } } };
}

static struct bare_list
random_steps(unsigned h, size_t n)
{
    (void)h;
    return (struct bare_list){ 1, { { BARE_RANDOM, n, 0 } } };
}

static const struct {
    const char *name, *what;
    unsigned h; /* suite */
    size_t n;
    bench_op *op;
    struct bare_list (*steps)(unsigned h, size_t n);
} primitives[] = {
    { "hmac_sha1_200", "new key, HMAC-SHA-1 over 200 octets", 0, 200, mac_op, mac_steps },
    { "hmac_sha1_600", "new key, HMAC-SHA-1 over 600 octets", 0, 600, mac_op, mac_steps },
    { "hmac_sha256_200", "new key, HMAC-SHA-256 over 200 octets", 1, 200, mac_op, mac_steps },
    { "hmac_sha256_600", "new key, HMAC-SHA-256 over 600 octets", 1, 600, mac_op, mac_steps },
    { "prf_mikey_1", "20 octets from an inkey of 16, label of 28", 0, 28, prf_op, prf_steps },
    { "prf_hmac_sha_256", "20 octets from an inkey of 32, label of 44", 1, 44, prf_op, prf_steps },
    { "aes_cm_128", "new key, IV, 100 octets", 0, 100, aes_op, aes_steps },
    { "aes_cm_256", "new key, IV, 100 octets", 1, 100, aes_op, aes_steps },
    { "random_16", "16 octets", 0, 16, random_op, random_steps },
};

bool
bench_primitives(struct bench_report *r)
{
    struct primitive p = { .crypto = mkt_crypto_new(), .bare = bare_new() };
    bool ok = p.crypto != NULL && mkt_crypto_selftest(p.crypto);

    memset(buffer, 0x5a, sizeof buffer);
    for (size_t i = 0; ok && i < sizeof primitives / sizeof primitives[0]; i++) {
        struct bench_row *row = bench_add(r, primitives[i].name, primitives[i].what);
        p.keys.suite = mkt_suite_of((uint8_t)primitives[i].h);
        p.n = primitives[i].n;
        p.floor = primitives[i].steps(primitives[i].h, p.n);
        ok = bench_compare(row, primitives[i].op, &p, floor_op, &p, "bare libcrypto");
    }
    bare_free(p.bare);
    mkt_crypto_free(p.crypto);
    return ok;
}
