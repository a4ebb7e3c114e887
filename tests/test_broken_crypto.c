/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of libcrypto fails once. A provider that breaks must cost a call and never a secret:
 * each step either gives the right keys or none, and works when libcrypto does again. */
#include "failing_crypto.h"
#include "pk_call.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* --- the object, its self-test and its random octets -------------------------------------------
 */

static void
no_object_is_made_when_libcrypto_fails_to_give_an_algorithm(void **state)
{
    struct mkt_crypto *c = NULL;
    long n = 0;
    (void)state;
    for (; c == NULL; n++) {
        crypto_left = n;
        c = mkt_crypto_new();
        assert_int_equal(c == NULL, crypto_left < 0); /* that call failed, so there is nothing */
    }
    crypto_left = -1;
    assert_int_equal(n - 1, 3 + 1 + 2 * 7); /* ciphers, their context, two digests */
    assert_true(mkt_crypto_selftest(c));
    mkt_crypto_free(c);
}

static void
the_selftest_sees_each_wrong_digest_and_each_wrong_cipher(void **state)
{
    struct mkt_crypto *c = mkt_crypto_new();
    long n = 0;
    (void)state;
    assert_non_null(c);
    for (bool sound = false; !sound; n++) {
        crypto_right = n;
        sound = mkt_crypto_selftest(c);
        assert_int_equal(sound, crypto_right >= 0);
    }
    crypto_right = -1;
    assert_true(n > 10);
    assert_true(mkt_crypto_selftest(c));
    mkt_crypto_free(c);
}

/* Only forgetting a key may fail without a word: the next key sees to it. */
static void
the_selftest_sees_each_failing_call_or_outlives_it(void **state)
{
    struct mkt_crypto *c = mkt_crypto_new();
    unsigned seen = 0;
    (void)state;
    assert_non_null(c);
    for (long n = 0;; n++) {
        crypto_left = n;
        bool sound = mkt_crypto_selftest(c), reached = crypto_left < 0;
        crypto_left = -1;
        assert_true(mkt_crypto_selftest(c));
        if (!reached) {
            assert_true(sound);
            break;
        }
        seen += !sound;
    }
    assert_true(seen > 50);
    mkt_crypto_free(c);
}

static void
there_are_no_random_octets_when_the_generator_fails(void **state)
{
    uint8_t octets[16];
    (void)state;
    crypto_left = 0;
    assert_false(mkt_crypto_random(NULL, octets, sizeof octets));
    assert_true(mkt_crypto_random(NULL, octets, sizeof octets));
}

/* --- a call with PSKs ---------------------------------------------------------------------------
 */

static void
assert_all_or_nothing(enum mkt_rc rc, bool reached)
{
    if (rc == MKT_OK) {
        assert_true(call_agrees(&call, 0));
        return;
    }
    assert_true(reached);
    if (rc != MKT_E_CRYPTO && rc != MKT_E_MEMORY)
        fail_msg("%s: %s", mkt_rc_name(rc), call.io.err.what);
    assert_int_equal(call.io.out_len, 0);
    assert_null(call.at_alice[0]);
}

static void
walk_a_call(uint8_t prf, unsigned mode)
{
    unsigned failed = 0;
    for (long n = 0;; n++) {
        assert_true(call_open(&call, prf, MKT_TS_NTP_UTC));
        call_mode(&call, mode);
        if (mode > 2)
            key_add(&call.ticket_keys, MKT_KEY_TGK, 16, 0, 0x21);
        crypto_left = n;
        enum mkt_rc rc = call_whole(&call, 1);
        bool reached = crypto_left < 0;
        crypto_left = -1;
        assert_all_or_nothing(rc, reached);
        failed += rc != MKT_OK;
        assert_int_equal(call_whole(&call, 1), MKT_OK); /* with the same objects */
        assert_true(call_agrees(&call, 0));
        call_close(&call);
        if (!reached)
            break;
    }
    assert_true(failed > 100);
}

static void
a_call_gives_the_right_keys_or_none_at_128_bit(void **state)
{
    (void)state;
    walk_a_call(MKT_PRF_MIKEY_1, 1);
}

static void
a_call_gives_the_right_keys_or_none_at_256_bit(void **state)
{
    (void)state;
    walk_a_call(MKT_PRF_HMAC_SHA_256, 1);
}

static void
a_ticket_of_the_initiator_gives_the_right_keys_or_none(void **state)
{
    (void)state;
    walk_a_call(MKT_PRF_MIKEY_1, 4);
}

/* --- keys, certificates and trust ---------------------------------------------------------------
 */

/* PEM of what pki.c gives as DER. */
static struct mkt_span
pem_of(const char *name, const uint8_t *der, size_t n)
{
    static char text[8192];
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio(bio, name, "", der, (long)n) > 0);
    int len = BIO_read(bio, text, sizeof text);
    assert_true(len > 0);
    BIO_free(bio);
    return mkt_span(text, (size_t)len);
}

struct texts {
    uint8_t cert[4096], key[4096], crl[4096];
    size_t cert_len, key_len, crl_len;
};

static void
make_texts(struct texts *t)
{
    const struct pki_cert user = user_cert(PKI_ALICE, "URI:sip:alice@example.com");
    uint8_t *end = t->key;
    t->cert_len = pki_der(&keyring, &user, t->cert);
    t->key_len = (size_t)i2d_PrivateKey(keyring.evp[PKI_ALICE], &end);
    t->crl_len = pki_crl(&keyring, PKI_CA, " CA", 100, 30, t->crl);
}

/* Tries something with each call of libcrypto failing, until none does. Each try that failed has
 * left nothing behind; returns how many there were. */
static long
tries_of(bool (*succeeds)(struct mkt_span text), struct mkt_span text)
{
    for (long n = 0;; n++) {
        crypto_left = n;
        bool ok = succeeds(text), reached = crypto_left < 0;
        crypto_left = -1;
        assert_int_equal(ok, !reached);
        if (ok)
            return n;
    }
}

static bool
key_is_read(struct mkt_span text)
{
    struct mkt_pkey *key = (struct mkt_pkey *)text.p;
    struct mkt_err err = { 0 };
    enum mkt_rc rc = mkt_pkey_new(&key, text, &err);
    assert_int_equal(rc == MKT_OK, key != NULL);
    mkt_pkey_free(key);
    return rc == MKT_OK;
}

static bool
cert_is_read(struct mkt_span text)
{
    struct mkt_cert *cert = NULL;
    struct mkt_err err = { 0 };
    enum mkt_rc rc = mkt_cert_next(&cert, &text, &err);
    assert_int_equal(rc == MKT_OK, cert != NULL);
    mkt_cert_free(cert);
    return rc == MKT_OK;
}

static bool
anchor_is_taken(struct mkt_span text)
{
    struct mkt_trust *t = mkt_trust_new();
    struct mkt_err err = { 0 };
    bool ok = t != NULL && mkt_trust_add(t, text, &err) == MKT_OK;
    mkt_trust_free(t);
    return ok;
}

static bool
crl_is_taken(struct mkt_span text)
{
    struct mkt_trust *t = mkt_trust_new();
    struct mkt_err err = { 0 };
    bool ok = t != NULL && mkt_trust_add_crl(t, text, &err) == MKT_OK;
    mkt_trust_free(t);
    return ok;
}

static void
keys_certificates_and_crls_are_read_wholly_or_not_at_all(void **state)
{
    struct texts t;
    (void)state;
    make_texts(&t);
    assert_true(tries_of(key_is_read, mkt_span(t.key, t.key_len)) > 4);
    assert_true(tries_of(key_is_read, pem_of("RSA PRIVATE KEY", t.key, t.key_len)) > 5);
    assert_true(tries_of(cert_is_read, mkt_span(t.cert, t.cert_len)) > 4);
    assert_true(tries_of(cert_is_read, pem_of("CERTIFICATE", t.cert, t.cert_len)) > 5);
    assert_true(tries_of(anchor_is_taken, mkt_span(t.cert, t.cert_len)) > 6);
    assert_true(tries_of(crl_is_taken, mkt_span(t.crl, t.crl_len)) > 3);
    assert_true(tries_of(crl_is_taken, pem_of("X509 CRL", t.crl, t.crl_len)) > 4);
}

/* --- a call with certificates -------------------------------------------------------------------
 */

static void
a_signed_request_is_granted_or_nothing_comes_of_it(void **state)
{
    unsigned failed = 0;
    (void)state;
    for (int form = 0; form < 2; form++)
        for (long n = 0;; n++) {
            assert_true(open_call(form == 0 ? MKT_PRF_HMAC_SHA_256 : MKT_PRF_MIKEY_1));
            cred_alice.s_type = form == 0 ? MKT_S_RSA_PSS : MKT_S_RSA_PKCS1;
            cred_alice.sha1 = how.sha1 = form == 1;
            cred_alice.padding = form == 0 ? MKT_PAD_OAEP_SHA_256 : MKT_PAD_PKCS1;
            alice_signs(0);
            crypto_left = n;
            enum mkt_rc rc = call_request(&call);
            rc = rc != MKT_OK ? rc : kms_answers(&call.request, &call.granted);
            rc = rc != MKT_OK ? rc : call_granted(&call);
            bool reached = crypto_left < 0;
            crypto_left = -1;
            mkt_kms_end(call.txn);
            assert_int_equal(rc == MKT_OK, call.grant != NULL);
            assert_true(rc == MKT_OK || reached);
            failed += rc != MKT_OK;
            close_the_call(NULL);
            if (!reached)
                break;
        }
    assert_true(failed > 100);
}

/* alice is on a CRL. */
static void
no_failing_call_lets_a_revoked_certificate_through(void **state)
{
    struct texts t;
    struct mkt_err err = { 0 };
    (void)state;
    make_texts(&t);
    assert_int_equal(open_a_call(NULL), 0);
    alice_signs(0);
    assert_int_equal(mkt_trust_add_crl(trust, pem_of("X509 CRL", t.crl, t.crl_len), &err), MKT_OK);
    assert_int_equal(call_request(&call), MKT_OK);
    long n = 0;
    for (bool reached = true; reached; n++) {
        err = (struct mkt_err){ 0 };
        crypto_left = n;
        enum mkt_rc rc = kms_verify(&call.request, &err);
        reached = crypto_left < 0;
        crypto_left = -1;
        assert_int_not_equal(rc, MKT_OK);
    }
    assert_int_equal(err.rc, MKT_E_CERT);
    assert_true(n > 5);
    close_the_call(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_object_is_made_when_libcrypto_fails_to_give_an_algorithm),
        cmocka_unit_test(the_selftest_sees_each_wrong_digest_and_each_wrong_cipher),
        cmocka_unit_test(the_selftest_sees_each_failing_call_or_outlives_it),
        cmocka_unit_test(there_are_no_random_octets_when_the_generator_fails),
        cmocka_unit_test(a_call_gives_the_right_keys_or_none_at_128_bit),
        cmocka_unit_test(a_call_gives_the_right_keys_or_none_at_256_bit),
        cmocka_unit_test(a_ticket_of_the_initiator_gives_the_right_keys_or_none),
        cmocka_unit_test(keys_certificates_and_crls_are_read_wholly_or_not_at_all),
        cmocka_unit_test(a_signed_request_is_granted_or_nothing_comes_of_it),
        cmocka_unit_test(no_failing_call_lets_a_revoked_certificate_through),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
