/* SPDX-License-Identifier: Apache-2.0 */
/* The floor of the library's figures: the same cryptography with nothing around it, on contexts
 * made beforehand, in the fastest form that libcrypto 3 offers without deprecated calls. Keys are
 * not wiped here, nothing is checked, nothing is copied. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bare;

enum bare_kind {
    BARE_KEY_SHA1,
    BARE_KEY_SHA256,
    BARE_SHA1,
    BARE_SHA256,
    BARE_AES_CTR,
    BARE_RANDOM,
    BARE_RSA_VERIFY,
    BARE_RSA_DECRYPT,
    BARE_KINDS
};

/* One operation: set an HMAC key, HMAC over n octets under it, AES-CTR over n octets with a new
 * key of key_len octets, n random octets, or with an RSA key of n bits (2048): verify a PKCS#1 v1.5
 * signature of a SHA-256 digest, or decrypt without looking at the result. */
struct bare_step {
    enum bare_kind kind;
    size_t n;
    size_t key_len; /* AES only */
};

#define BARE_STEPS_MAX 256
struct bare_list {
    size_t n;
    struct bare_step step[BARE_STEPS_MAX];
};

struct bare *bare_new(void);
void bare_free(struct bare *b);

/* bare_run does the steps of the list. */
bool bare_run(struct bare *b, const struct bare_list *list);

#endif
