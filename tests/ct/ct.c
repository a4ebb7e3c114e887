/* SPDX-License-Identifier: Apache-2.0 */
/* Run under valgrind with secrets marked undefined: every branch or address that depends on one is
 * reported. "equal" runs the library's comparison and "envelope" its opening of PKE, which must
 * pass; "leaky" runs a comparison that leaves at the first difference, which must be reported, or
 * the whole test proves nothing. */
#include "base/ct.h"
#include "keys/pk.h"

#include <mikeyticket/secret.h>

#include <stdio.h>
#include <string.h>

static bool
leaky_equal(struct mkt_span a, struct mkt_span b)
{
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] != b.p[i])
            return false;
    }
    return true;
}

/* Compares MACs as a receiver does: the expected one is secret until the verdict. */
static bool
verdicts_are_right(bool (*equal)(struct mkt_span, struct mkt_span))
{
    uint8_t expected[32], received[32];
    bool ok = true;
    for (unsigned differing = 0; differing <= sizeof expected; differing++) {
        memset(expected, 0x5a, sizeof expected);
        memset(received, 0x5a, sizeof received);
        if (differing < sizeof expected)
            received[differing] ^= 1;
        MKT_CT_SECRET(expected, sizeof expected);
        bool same = equal(mkt_span(expected, sizeof expected), mkt_span(received, sizeof received));
        ok = ok && same == (differing == sizeof expected);
    }
    return ok;
}

static bool
secrets_move_without_branches(void)
{
    uint8_t octets[40] = { 7 };
    struct mkt_secret s = { 0 };
    MKT_CT_SECRET(octets, sizeof octets);
    bool ok = mkt_secret_set(&s, mkt_span(octets, sizeof octets)) == MKT_OK;
    mkt_secret_wipe(&s);
    return ok && s.n == 0 && s.b[0] == 0; /* wiped octets are no secret any more */
}

static struct mkt_span
file_octets(const char *name, uint8_t *buf, size_t cap)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", PKI_DIR, name);
    FILE *f = fopen(path, "rb");
    size_t n = f == NULL ? 0 : fread(buf, 1, cap, f);
    if (f != NULL)
        fclose(f);
    return mkt_span(buf, n);
}

/* What is decrypted, marked in mkt_pke_open, stays secret until all paddings were tried. */
static bool
envelopes_open(const struct mkt_env *env, const struct mkt_cert *cert, const struct mkt_pkey *key)
{
    static const uint8_t env_key[16] = { 1, 2, 3 };
    bool ok = true;
    for (uint8_t padding = MKT_PAD_PKCS1; padding <= MKT_PAD_OAEP_SHA_256; padding++) {
        uint8_t sealed[MKT_RSA_MAX], opened[16];
        ok = ok && mkt_pke_seal(env, cert, padding, mkt_span(env_key, 16), sealed) == MKT_OK &&
             mkt_pke_open(env->crypto, key, 7, mkt_span(sealed, 256), 16, opened);
        MKT_CT_PUBLIC(opened, sizeof opened);
        ok = ok && memcmp(opened, env_key, 16) == 0;
        sealed[255] ^= 1; /* and one that is padded badly */
        (void)mkt_pke_open(env->crypto, key, 7, mkt_span(sealed, 256), 16, opened);
    }
    return ok;
}

static bool
envelopes_open_without_branches(void)
{
    static uint8_t text[8192];
    const struct mkt_env env = { .crypto = mkt_crypto_new(), .random = mkt_crypto_random };
    struct mkt_span pem = file_octets("kms.cert.pem", text, sizeof text);
    struct mkt_err err = { 0 };
    struct mkt_cert *cert = NULL;
    struct mkt_pkey *key = NULL;
    bool ok = env.crypto != NULL && mkt_cert_next(&cert, &pem, &err) == MKT_OK && cert != NULL;
    pem = file_octets("kms.key.pem", text, sizeof text);
    ok = ok && mkt_pkey_new(&key, pem, &err) == MKT_OK && envelopes_open(&env, cert, key);
    mkt_pkey_free(key);
    mkt_cert_free(cert);
    mkt_crypto_free(env.crypto);
    return ok;
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "leaky") == 0)
        return verdicts_are_right(leaky_equal) ? 0 : 1;
    if (argc == 2 && strcmp(argv[1], "equal") == 0)
        return verdicts_are_right(mkt_ct_equal) && secrets_move_without_branches() ? 0 : 1;
    if (argc == 2 && strcmp(argv[1], "envelope") == 0)
        return envelopes_open_without_branches() ? 0 : 1;
    fputs("usage: ct equal|envelope|leaky, under valgrind\n", stderr);
    return 2;
}
