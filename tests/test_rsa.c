/* SPDX-License-Identifier: Apache-2.0 */
/* The paddings of PKE and SIGN against libcrypto's own, and what opening an envelope tells of one
 * that is not padded well: nothing. */
#include "pki.h"

#include "backend/backend.h"
#include "keys/pk.h"
#include <mikeyticket/secret.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/rsa.h>

#define AT 1300000000 /* some second of 2011 */
#define K 256         /* octets of the test keys' modulus */
#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define ALL 7U /* every padding */

static struct pki p;
static const struct mkt_cert *alice;
static struct mkt_env env;
static unsigned draws, fail_at,
    zeros; /* draw number fail_at fails; the next `zeros` octets are 0 */

static bool
draw(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    if (++draws == fail_at || !mkt_crypto_random(NULL, out, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool zero = zeros != 0 && i % 3 == 0;
        out[i] = zero ? 0 : (uint8_t)(out[i] | 1);
        zeros -= zero;
    }
    return true;
}

static int
open_all(void **state)
{
    (void)state;
    env = (struct mkt_env){ .crypto = mkt_crypto_new(), .random = draw };
    if (env.crypto == NULL || !pki_open(&p, AT))
        return -1;
    alice = pki_make(&p, &(struct pki_cert){ .key = PKI_ALICE, .name = "a", .issuer_key = PKI_CA });
    return 0;
}

static int
close_all(void **state)
{
    (void)state;
    pki_close(&p);
    mkt_crypto_free(env.crypto);
    return 0;
}

static int
forget_draws(void **state)
{
    (void)state;
    draws = fail_at = zeros = 0;
    return 0;
}

/* --- libcrypto's side ------------------------------------------------------------------------- */

static void
set_padding(EVP_PKEY_CTX *ctx, uint8_t padding)
{
    const EVP_MD *md = padding == MKT_PAD_OAEP_SHA_1 ? EVP_sha1() : EVP_sha256();
    if (padding == MKT_PAD_PKCS1) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING), 1);
        return;
    }
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md), 1);
}

static size_t
libcrypto_opens(uint8_t padding, const uint8_t *data, uint8_t *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p.evp[PKI_ALICE], NULL);
    size_t n = K;
    assert_int_equal(EVP_PKEY_decrypt_init(ctx), 1);
    set_padding(ctx, padding);
    int rc = EVP_PKEY_decrypt(ctx, out, &n, data, K);
    EVP_PKEY_CTX_free(ctx);
    return rc == 1 ? n : 0;
}

static void
libcrypto_seals(uint8_t padding, struct mkt_span key, uint8_t *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(p.evp[PKI_ALICE], NULL);
    size_t n = K;
    assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
    set_padding(ctx, padding);
    assert_int_equal(EVP_PKEY_encrypt(ctx, out, &n, key.p, key.n), 1);
    EVP_PKEY_CTX_free(ctx);
}

/* Encrypts a block as it is. */
static void
encrypt_block(const uint8_t em[K], uint8_t out[K])
{
    assert_true(mkt_be_rsa_public(alice, mkt_span(em, K), out));
}

/* --- envelopes -------------------------------------------------------------------------------- */

static void
seals_and_opens_as_libcrypto_does(void **state)
{
    static const uint8_t key[32] = { 0, 0, 7, 0 };
    (void)state;
    for (uint8_t padding = MKT_PAD_PKCS1; padding <= MKT_PAD_OAEP_SHA_256; padding++)
        for (size_t n = 16; n <= 32; n += 16) {
            uint8_t sealed[K], opened[K];
            assert_int_equal(mkt_pke_seal(&env, alice, padding, mkt_span(key, n), sealed), MKT_OK);
            assert_int_equal(libcrypto_opens(padding, sealed, opened), n);
            assert_memory_equal(opened, key, n); /* RFC3830:4.2.5-1 RFC3830:4.2.5-2 */
            libcrypto_seals(padding, mkt_span(key, n), sealed);
            memset(opened, 0xAA, sizeof opened);
            assert_true(mkt_pke_open(env.crypto, p.key[PKI_ALICE], ALL, mkt_span(sealed, K), n,
                                     opened)); /* RFC3830:4.2.5 */
            assert_memory_equal(opened, key, n);
            assert_int_equal(opened[n], 0xAA);
        }
}

static void
draws_again_for_each_zero_octet_of_the_padding(void **state)
{
    static const uint8_t key[16] = { 1 };
    uint8_t sealed[K], opened[K];
    (void)state;
    zeros = 5;
    assert_int_equal(mkt_pke_seal(&env, alice, MKT_PAD_PKCS1, mkt_span(key, 16), sealed), MKT_OK);
    assert_int_equal(zeros, 0);
    assert_int_equal(draws, 2); /* 237 octets, then 5 */
    assert_int_equal(libcrypto_opens(MKT_PAD_PKCS1, sealed, opened), 16);
}

static void
refuses_to_seal_what_does_not_fit(void **state)
{
    static const uint8_t key[K];
    uint8_t out[K];
    (void)state;
    assert_int_equal(mkt_pke_seal(&env, alice, 3, mkt_span(key, 16), out), MKT_E_ARGUMENT);
    assert_int_equal(mkt_pke_seal(&env, alice, MKT_PAD_PKCS1, mkt_span(key, K - 10), out),
                     MKT_E_ARGUMENT);
    assert_int_equal(mkt_pke_seal(&env, alice, MKT_PAD_OAEP_SHA_256, mkt_span(key, K - 65), out),
                     MKT_E_ARGUMENT);
    assert_int_equal(mkt_pke_seal(&env, alice, MKT_PAD_OAEP_SHA_256, mkt_span(key, K - 66), out),
                     MKT_OK);
}

static void
a_failing_generator_gives_no_envelope_and_no_signature(void **state)
{
    static const uint8_t key[16];
    const struct mkt_span text = mkt_span("text", 4);
    uint8_t out[K];
    (void)state;
    for (uint8_t padding = MKT_PAD_PKCS1; padding <= MKT_PAD_OAEP_SHA_256; padding++) {
        fail_at = draws + 1;
        assert_int_equal(mkt_pke_seal(&env, alice, padding, mkt_span(key, 16), out), MKT_E_RANDOM);
    }
    fail_at = draws + 1;
    assert_int_equal(
        mkt_rsa_sign(&env, p.key[PKI_ALICE], MKT_S_RSA_PSS, MKT_HASH_SHA_256, &text, 1, out),
        MKT_E_RANDOM);
}

static void
opens_only_with_a_padding_that_is_allowed(void **state)
{
    static const uint8_t key[16] = { 9 };
    uint8_t sealed[K], opened[K];
    (void)state;
    for (uint8_t padding = MKT_PAD_OAEP_SHA_1; padding <= MKT_PAD_OAEP_SHA_256; padding++) {
        const struct mkt_span data = mkt_span(sealed, K);
        const struct mkt_pkey *k = p.key[PKI_ALICE];
        assert_int_equal(mkt_pke_seal(&env, alice, padding, mkt_span(key, 16), sealed), MKT_OK);
        assert_true(mkt_pke_open(env.crypto, k, 1U << padding, data, 16, opened));
        assert_false(mkt_pke_open(env.crypto, k, 6U & ~(1U << padding), data, 16, opened));
        assert_false(mkt_pke_open(env.crypto, k, 0, data, 16, opened));
        assert_false(mkt_pke_open(env.crypto, p.key[PKI_BOB], 6, data, 16, opened));
        assert_false(
            mkt_pke_open(env.crypto, k, 1U << padding, data, 32, opened)); /* RFC6043:12.1 */
        assert_false(mkt_pke_open(env.crypto, k, ALL, mkt_span(sealed, K - 1), 16, opened));
        assert_false(mkt_pke_open(env.crypto, k, ALL, mkt_span(sealed, 0), 16, opened));
    }
}

static void
refuses_a_ciphertext_beyond_the_modulus(void **state)
{
    uint8_t data[K], out[16];
    (void)state;
    memset(data, 0xFF, K);
    assert_false(mkt_pke_open(env.crypto, p.key[PKI_ALICE], ALL, mkt_span(data, K), 16, out));
}

/* Makes an OAEP block of its parts and has it opened. */
static bool
oaep_opens(uint8_t first, const uint8_t db[K - 21])
{
    uint8_t em[K] = { 0 }, sealed[K], out[16];
    em[0] = first;
    memset(em + 1, 0x77, 20);
    memcpy(em + 21, db, K - 21);
    assert_true(mkt_mgf1_xor(env.crypto, MKT_HASH_SHA_1, mkt_span(em + 1, 20), em + 21, K - 21));
    assert_true(mkt_mgf1_xor(env.crypto, MKT_HASH_SHA_1, mkt_span(em + 21, K - 21), em + 1, 20));
    encrypt_block(em, sealed);
    return mkt_pke_open(env.crypto, p.key[PKI_ALICE], 1U << MKT_PAD_OAEP_SHA_1, mkt_span(sealed, K),
                        16, out);
}

static void
refuses_oaep_blocks_with_anything_wrong_but_the_key(void **state)
{
    uint8_t db[K - 21] = { 0 };
    (void)state;
    assert_true(mkt_be_hash(env.crypto, MKT_HASH_SHA_1, NULL, 0, db));
    db[sizeof db - 17] = 1;
    assert_true(oaep_opens(0, db));
    assert_false(oaep_opens(1, db));
    for (size_t i = 0; i < sizeof db; i++) {
        db[i] ^= 1;
        assert_int_equal(oaep_opens(0, db), i >= sizeof db - 16);
        db[i] ^= 1;
    }
}

/* A PKCS#1 block with a key of n octets. */
static void
good_block(uint8_t em[K], size_t n)
{
    memset(em, 0x55, K);
    em[0] = 0;
    em[1] = 2;
    em[K - n - 1] = 0;
}

static void
not_zero(uint8_t em[K])
{
    em[0] = 1;
}
static void
not_two(uint8_t em[K])
{
    em[1] = 1;
}
static void
no_separator(uint8_t em[K])
{
    em[K - 17] = 1;
}
static void
short_padding(uint8_t em[K])
{
    em[9] = 0;
}

/* RFC 3830 has no way to say that an envelope is broken which would not help to break others. What
 * is padded badly opens like what is padded well and holds something of another length; in both
 * cases mostly not at all, and now and then, for the former, to a key that nobody knows. */
static void
a_wrong_padding_is_no_different_from_a_wrong_length(void **state)
{
    static void (*const spoil[])(uint8_t *) = { not_zero, not_two, no_separator, short_padding };
    const struct mkt_pkey *k = p.key[PKI_ALICE];
    unsigned opened = 0;
    (void)state;
    for (size_t s = 0; s < COUNT(spoil); s++)
        for (uint8_t i = 0; i < 250; i++) {
            uint8_t em[K], data[K], out[16], again[16], none[16] = { 0 };
            good_block(em, 16);
            em[K - 20] = (uint8_t)(i + 1);
            encrypt_block(em, data);
            assert_true(mkt_pke_open(env.crypto, k, ALL, mkt_span(data, K), 16, out));
            assert_int_equal(out[0], 0x55);
            spoil[s](em);
            encrypt_block(em, data);
            bool opens = mkt_pke_open(env.crypto, k, ALL, mkt_span(data, K), 16, out);
            assert_int_equal(mkt_pke_open(env.crypto, k, ALL, mkt_span(data, K), 16, again), opens);
            assert_memory_equal(out, again, 16); /* the same each time */
            if (opens)
                assert_memory_not_equal(out, em + K - 16, 16);
            else
                assert_memory_equal(out, none, 16);
            opened += opens;
        }
    /* 1000 envelopes, and one length of 246 is right: about 4. */
    assert_in_range(opened, 1, 20);
}

/* Fewer than eight octets of padding are a wrong padding too: among enough such blocks is one whose
 * substitute has the length, while what the block itself holds has not. */
static void
a_short_padding_is_a_wrong_one(void **state)
{
    bool opens = false;
    (void)state;
    for (unsigned i = 0; i < 2000 && !opens; i++) {
        uint8_t em[K], data[K], out[16];
        good_block(em, 16);
        short_padding(em);
        em[20] = (uint8_t)(i >> 8);
        em[21] = (uint8_t)i;
        encrypt_block(em, data);
        opens = mkt_pke_open(env.crypto, p.key[PKI_ALICE], ALL, mkt_span(data, K), 16, out);
    }
    assert_true(opens);
}

/* The substitute of the draft, computed here once more, with libcrypto alone. */
static void
hmac_256(const uint8_t *key, size_t key_len, const uint8_t *in, size_t n, uint8_t out[32])
{
    size_t len = 32;
    assert_non_null(
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_len, in, n, out, 32, &len));
}

static size_t
substitute_length(const uint8_t data[K])
{
    uint8_t kdk[32], block[32], in[] = "\0\0length\x08";
    size_t length = 0;
    hmac_256(mkt_be_pkey_reject_secret(p.key[PKI_ALICE]), 32, data, K, kdk);
    for (uint8_t i = 0; i < 8; i++) {
        in[1] = i;
        hmac_256(kdk, 32, in, 10, block); /* 256 octets: 2048 = 0x0800 bits */
        for (size_t j = 0; j < 32; j += 2)
            if (block[j + 1] <= K - 11) /* masked to 8 bits */
                length = block[j + 1];
    }
    return length;
}

static void
the_substitute_is_that_of_the_draft(void **state)
{
    uint8_t data[K] = { 0 }, out[MKT_SECRET_MAX];
    (void)state;
    for (uint8_t i = 1; i < 30; i++) {
        data[K - 1] = i;
        size_t length = substitute_length(data);
        for (size_t want = 1; want <= MKT_SECRET_MAX; want++)
            assert_int_equal(mkt_pke_open(env.crypto, p.key[PKI_ALICE], 1U << MKT_PAD_PKCS1,
                                          mkt_span(data, K), want, out),
                             want == length);
    }
}

/* --- signatures ------------------------------------------------------------------------------- */

static const struct {
    uint8_t s_type, hash;
} kinds[] = { { MKT_S_RSA_PKCS1, MKT_HASH_SHA_1 },
              { MKT_S_RSA_PKCS1, MKT_HASH_SHA_256 },
              { MKT_S_RSA_PSS, MKT_HASH_SHA_1 },
              { MKT_S_RSA_PSS, MKT_HASH_SHA_256 } };

static void
signs_what_libcrypto_verifies(void **state)
{
    const struct mkt_span part[2] = { mkt_span("two ", 4), mkt_span("parts", 5) };
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        uint8_t signature[K];
        assert_int_equal(mkt_rsa_sign(&env, p.key[PKI_ALICE], kinds[i].s_type, kinds[i].hash, part,
                                      2, signature),
                         MKT_OK);
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        EVP_PKEY_CTX *ctx;
        assert_int_equal(EVP_DigestVerifyInit(
                             md, &ctx, kinds[i].hash == MKT_HASH_SHA_1 ? EVP_sha1() : EVP_sha256(),
                             NULL, p.evp[PKI_ALICE]),
                         1);
        if (kinds[i].s_type == MKT_S_RSA_PSS) {
            assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
            assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST), 1);
        }
        /* RFC3830:4.2.6-1 RFC3830:4.2.6-2 */
        assert_int_equal(EVP_DigestVerify(md, signature, K, (const uint8_t *)"two parts", 9), 1);
        EVP_MD_CTX_free(md);
    }
}

static void
verifies_only_with_the_right_kind_text_and_key(void **state)
{
    const struct mkt_span text = mkt_span("text", 4), other = mkt_span("texT", 4);
    const struct mkt_cert *bob =
        pki_make(&p, &(struct pki_cert){ .key = PKI_BOB, .name = "b", .issuer_key = PKI_CA });
    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        uint8_t s[K + 1] = { 0 };
        assert_int_equal(
            mkt_rsa_sign(&env, p.key[PKI_ALICE], kinds[i].s_type, kinds[i].hash, &text, 1, s),
            MKT_OK);
        for (size_t k = 0; k < COUNT(kinds); k++)
            assert_int_equal(mkt_rsa_verify(env.crypto, alice, kinds[k].s_type, kinds[k].hash,
                                            &text, 1, mkt_span(s, K)),
                             k == i);
        uint8_t type = kinds[i].s_type, hash = kinds[i].hash;
        assert_false(mkt_rsa_verify(env.crypto, alice, type, hash, &other, 1, mkt_span(s, K)));
        assert_false(mkt_rsa_verify(env.crypto, bob, type, hash, &text, 1, mkt_span(s, K)));
        assert_false(mkt_rsa_verify(env.crypto, alice, type, hash, &text, 1, mkt_span(s, K - 1)));
        assert_false(mkt_rsa_verify(env.crypto, alice, type, hash, &text, 1, mkt_span(s, K + 1)));
        assert_false(
            mkt_rsa_verify(env.crypto, alice, type, MKT_HASH_MD5, &text, 1, mkt_span(s, K)));
        assert_false(mkt_rsa_verify(env.crypto, alice, 2, hash, &text, 1, mkt_span(s, K)));
        s[K - 1] ^= 1;
        assert_false(mkt_rsa_verify(env.crypto, alice, type, hash, &text, 1, mkt_span(s, K)));
    }
}

static void
refuses_to_sign_with_unknown_kinds(void **state)
{
    const struct mkt_span text = mkt_span("text", 4);
    const struct mkt_pkey *k = p.key[PKI_ALICE];
    uint8_t s[K];
    (void)state;
    assert_int_equal(mkt_rsa_sign(&env, k, 2, MKT_HASH_SHA_256, &text, 1, s), MKT_E_ARGUMENT);
    assert_int_equal(mkt_rsa_sign(&env, k, 0, MKT_HASH_MD5, &text, 1, s), MKT_E_ARGUMENT);
}

/* With two primes libcrypto makes even lengths only. */
static EVP_PKEY *
rsa_of_three_primes(int bits)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *evp = NULL;
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, 3), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &evp), 1);
    assert_int_equal(EVP_PKEY_get_bits(evp), bits);
    EVP_PKEY_CTX_free(ctx);
    return evp;
}

/* A modulus of 8n+1 bits leaves the first octet of a PSS block empty. */
static void
signs_with_moduli_of_odd_lengths(void **state)
{
    static const int bits[] = { 2049, 2055 };
    const struct mkt_span text = mkt_span("text", 4);
    (void)state;
    for (size_t i = 0; i < COUNT(bits); i++) {
        uint8_t der[4096], *end = der, s[K + 1], key[16] = { 5 }, opened[16];
        struct mkt_err err = { 0 };
        struct mkt_pkey *k;
        EVP_PKEY *kept = p.evp[PKI_SMALL];
        p.evp[PKI_SMALL] = rsa_of_three_primes(bits[i]);
        size_t n = (size_t)i2d_PrivateKey(p.evp[PKI_SMALL], &end);
        assert_int_equal(mkt_pkey_new(&k, mkt_span(der, n), &err), MKT_OK);
        const struct mkt_cert *cert = pki_make(
            &p, &(struct pki_cert){ .key = PKI_SMALL, .name = "odd", .issuer_key = PKI_CA });
        assert_int_equal(mkt_rsa_sign(&env, k, MKT_S_RSA_PSS, MKT_HASH_SHA_256, &text, 1, s),
                         MKT_OK);
        assert_true(mkt_rsa_verify(env.crypto, cert, MKT_S_RSA_PSS, MKT_HASH_SHA_256, &text, 1,
                                   mkt_span(s, K + 1)));
        assert_int_equal(mkt_pke_seal(&env, cert, MKT_PAD_OAEP_SHA_256, mkt_span(key, 16), s),
                         MKT_OK);
        assert_true(mkt_pke_open(env.crypto, k, ALL, mkt_span(s, K + 1), 16, opened));
        assert_memory_equal(opened, key, 16);
        mkt_pkey_free(k);
        EVP_PKEY_free(p.evp[PKI_SMALL]);
        p.evp[PKI_SMALL] = kept;
    }
}

static void
hashing_between_keying_and_hmac_leaves_the_key_alone(void **state)
{
    const struct mkt_span text = mkt_span("text", 4);
    uint8_t first[32], second[32], digest[32];
    (void)state;
    assert_true(mkt_be_hmac_key(env.crypto, MKT_MAC_HMAC_SHA_256_256, mkt_span("key", 3)));
    assert_true(mkt_be_hmac(env.crypto, MKT_MAC_HMAC_SHA_256_256, &text, 1, first));
    assert_true(mkt_be_hash(env.crypto, MKT_HASH_SHA_256, &text, 1, digest));
    assert_true(mkt_be_hmac(env.crypto, MKT_MAC_HMAC_SHA_256_256, &text, 1, second));
    assert_memory_equal(first, second, 32);
    mkt_be_hmac_forget(env.crypto, MKT_MAC_HMAC_SHA_256_256);
    assert_true(mkt_be_hash(env.crypto, MKT_HASH_SHA_256, &text, 1, second));
    assert_memory_equal(digest, second, 32);
    assert_false(mkt_be_hash(env.crypto, MKT_HASH_MD5, &text, 1, second));
}

#define TEST(f) cmocka_unit_test_setup(f, forget_draws)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(seals_and_opens_as_libcrypto_does),
        TEST(draws_again_for_each_zero_octet_of_the_padding),
        TEST(refuses_to_seal_what_does_not_fit),
        TEST(a_failing_generator_gives_no_envelope_and_no_signature),
        TEST(opens_only_with_a_padding_that_is_allowed),
        TEST(refuses_a_ciphertext_beyond_the_modulus),
        TEST(refuses_oaep_blocks_with_anything_wrong_but_the_key),
        TEST(a_wrong_padding_is_no_different_from_a_wrong_length),
        TEST(a_short_padding_is_a_wrong_one),
        TEST(the_substitute_is_that_of_the_draft),
        TEST(signs_what_libcrypto_verifies),
        TEST(verifies_only_with_the_right_kind_text_and_key),
        TEST(refuses_to_sign_with_unknown_kinds),
        TEST(signs_with_moduli_of_odd_lengths),
        TEST(hashing_between_keying_and_hmac_leaves_the_key_alone),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_all, close_all);
}
