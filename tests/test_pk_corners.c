/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures, certificates, keys and digests in their corners: lengths that nobody has, hashes that
 * are not used, chains that are too long, and signatures where there is a MAC. */
#include "failing_crypto.h"
#include "pk_call.h"

#include "backend/backend.h"
#include "backend/pk.h"
#include "exchange/exchange.h"
#include "keys/pk.h"
#include "payload/codec.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct mkt_err err;

static struct mkt_msg *
parsed(const struct message *m)
{
    static struct mkt_msg msg;
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_msg_parse(&msg, mkt_span(m->b, m->n), &err), MKT_OK);
    return &msg;
}

/* The KMS looks at a message of these payloads. */
static enum mkt_rc
verify(const struct mkt_hdr *hdr, const struct mkt_payload *pl, size_t n)
{
    static uint8_t out[MKT_MSG_MAX];
    struct mkt_writer w = mkt_w_open(out, sizeof out);
    mkt_hdr_write(&w, hdr);
    for (size_t i = 0; i < n; i++)
        mkt_pl_write(&w, &pl[i]);
    assert_false(w.overflow);
    err = (struct mkt_err){ 0 };
    if (mkt_kms_begin(call.txn, mkt_span(out, w.len), &err) != MKT_OK)
        return err.rc;
    return mkt_kms_verify_pk(call.txn, &call.env, &how, &err);
}

/* --- CHASH and CERT ----------------------------------------------------------------------------
 */

static void
the_key_of_the_kms_is_the_first_or_the_one_of_chash(void **state)
{
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    how.n_keys = 0; /* a KMS without keys */
    err = (struct mkt_err){ 0 };
    assert_int_equal(kms_verify(&call.request, &err), MKT_E_CERT);
    cred_alice.chash = true;
    cred_alice.chash_func = MKT_HASH_SHA_256;
    assert_int_equal(call_request(&call), MKT_OK);
    err = (struct mkt_err){ 0 };
    assert_int_equal(kms_verify(&call.request, &err), MKT_E_CERT);
    assert_string_equal(err.what, "CHASH: no key of this KMS");
    assert_int_not_equal(err.offset, 0);
    how.n_keys = 1;
    err = (struct mkt_err){ 0 };
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    how.keys = &kms_keys[1]; /* another key than the one that CHASH names */
    err = (struct mkt_err){ 0 };
    assert_int_equal(kms_verify(&call.request, &err), MKT_E_CERT);
}

static void
a_chash_of_md5_is_refused_by_name(void **state)
{
    static const uint8_t md5[16];
    (void)state;
    cred_alice.chash = true;
    cred_alice.chash_func = MKT_HASH_SHA_256;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    struct mkt_msg *m = parsed(&call.request);
    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == MKT_PL_CHASH)
            m->pl[i].u.chash = (struct mkt_pl_chash){ MKT_HASH_MD5, mkt_span(md5, sizeof md5) };
    assert_int_equal(verify(&m->hdr, m->pl, m->n), MKT_E_HASH);
    assert_string_equal(err.what, "CHASH: Hash func");
    cred_alice.chash_func = MKT_HASH_MD5;
    assert_int_equal(call_request(&call), MKT_E_HASH);
}

static void
a_ninth_certificate_is_one_too_many(void **state)
{
    struct mkt_payload pl[MKT_PAYLOADS_MAX];
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    const struct mkt_msg *m = parsed(&call.request);
    for (size_t more = 7; more <= 8; more++) {
        size_t n = 0;
        for (size_t i = 0; i < m->n; i++) {
            size_t times = m->pl[i].type == MKT_PL_CERT ? more + 1 : 1;
            for (size_t k = 0; k < times; k++)
                pl[n++] = m->pl[i];
        }
        assert_int_equal(verify(&m->hdr, pl, n), more == 8 ? MKT_E_TOO_MANY : MKT_E_CERT);
    }
}

static void
a_path_has_one_to_eight_certificates(void **state)
{
    const struct mkt_cert *chain[MKT_CHAIN_MAX + 1];
    const int64_t now = keyring.at;
    (void)state;
    for (size_t i = 0; i <= MKT_CHAIN_MAX; i++)
        chain[i] = alice;
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_trust_verify(trust, chain, 1, MKT_FOR_SIGNING, now, &err), MKT_OK);
    assert_int_equal(mkt_trust_verify(trust, chain, 0, MKT_FOR_SIGNING, now, &err), MKT_E_CERT);
    assert_string_equal(err.what, "no certificate");
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_trust_verify(trust, chain, MKT_CHAIN_MAX + 1, MKT_FOR_SIGNING, now, &err),
                     MKT_E_CERT);
    assert_string_equal(err.what, "chain too long");
}

/* --- SIGN --------------------------------------------------------------------------------------
 */

static enum mkt_rc
verify_sign(const struct mkt_msg *m, bool sha1)
{
    err = (struct mkt_err){ 0 };
    return mkt_ex_verify_sign(m, call.crypto, alice, sha1, NULL, 0, &err);
}

static void
a_message_that_ends_with_v_has_no_signature(void **state)
{
    (void)state;
    assert_int_equal(call_request(&call), MKT_OK); /* with a PSK */
    assert_int_equal(verify_sign(parsed(&call.request), false), MKT_E_AUTH);
    assert_string_equal(err.what, "SIGN: S type");
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    struct mkt_msg *m = parsed(&call.request);
    m->pl[m->n - 1].u.sign.s_type = 2; /* ECCSI */
    assert_int_equal(verify_sign(m, false), MKT_E_AUTH);
    assert_string_equal(err.what, "SIGN: S type");
}

/* SHA-1 is a concession to the 128-bit suite: RFC6043:12.1 */
static void
sha_1_is_tried_in_the_128_bit_suite_only_and_only_when_allowed(void **state)
{
    const struct mkt_span tail[2] = { call.alice.data, call.kms.data };
    (void)state;
    close_the_call(NULL);
    assert_true(open_call(MKT_PRF_MIKEY_1));
    cred_alice.sha1 = true;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    struct mkt_msg *m = parsed(&call.request);
    for (int i = 0; i < 4; i++) {
        const bool allowed = i % 2 == 1;
        m->hdr.prf = i < 2 ? MKT_PRF_MIKEY_1 : i == 2 ? MKT_PRF_HMAC_SHA_256 : 9;
        err = (struct mkt_err){ 0 };
        assert_int_equal(mkt_ex_verify_sign(m, call.crypto, alice, allowed || i > 1, tail, 2, &err),
                         i == 1 ? MKT_OK : MKT_E_AUTH);
    }
}

static void
an_identity_of_octets_is_in_no_certificate(void **state)
{
    const struct mkt_identity octets = { MKT_ID_BYTES, mkt_span("sip:alice@example.com", 21) };
    const struct mkt_identity nai = { MKT_ID_NAI, mkt_span("sip:alice@example.com", 21) };
    (void)state;
    assert_true(mkt_ex_cert_is_of(alice, mkt_uri("sip:alice@example.com")));
    assert_false(mkt_ex_cert_is_of(alice, octets));
    assert_false(mkt_ex_cert_is_of(alice, nai));
}

static void
a_signed_refusal_is_signed_or_not_sent(void **state)
{
    static struct message out;
    const struct mkt_kms_signer by = { .key = keyring.key[PKI_KMS], .s_type = MKT_S_RSA_PKCS1 };
    unsigned failed = 0;
    bool reached = true;
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    err = (struct mkt_err){ 0 };
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    for (long n = 0; reached; n++) {
        struct mkt_io io = { .out = out.b, .cap = sizeof out.b };
        crypto_left = n;
        enum mkt_next next =
            mkt_kms_refuse_signed(call.txn, &call.env, MKT_E_NOT_AUTHORISED, &by, &io);
        reached = crypto_left < 0;
        crypto_left = -1;
        assert_int_equal(next == MKT_NEXT_SEND_PEER, io.out_len != 0);
        assert_true(next == MKT_NEXT_SEND_PEER || reached);
        failed += next == MKT_NEXT_ABORT;
    }
    assert_true(failed > 2);
}

/* --- texts that are longer than libcrypto can count ---------------------------------------------
 */

static void
a_text_longer_than_an_int_is_not_read_at_all(void **state)
{
    const struct mkt_span huge = { (const uint8_t *)"0", (size_t)INT_MAX + 1 };
    struct mkt_span text = huge;
    struct mkt_cert *cert = NULL;
    struct mkt_pkey *key = NULL;
    (void)state;
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_cert_next(&cert, &text, &err), MKT_E_CERT);
    assert_null(cert);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_trust_add_crl(trust, huge, &err), MKT_E_CERT);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span("-", (size_t)INT_MAX + 1), &err),
                     MKT_E_CERT);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_pkey_new(&key, huge, &err), MKT_E_ARGUMENT);
    assert_null(key);
    assert_false(mkt_crypto_random(NULL, NULL, (size_t)INT_MAX + 1));
    uint8_t out[16];
    assert_false(mkt_be_aes_ctr(call.crypto, mkt_span("0123456789abcdef", 16), out, huge, out));
}

static void
a_crl_or_key_with_octets_behind_it_is_refused(void **state)
{
    uint8_t crl[4096], key[4096], *end = key;
    struct mkt_pkey *k = NULL;
    (void)state;
    err = (struct mkt_err){ 0 };
    size_t n = pki_crl(&keyring, PKI_CA, " CA", 100, 30, crl);
    crl[n] = 0;
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span(crl, n + 1), &err), MKT_E_CERT);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span(crl, n - 1), &err), MKT_E_CERT);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span(crl, n), &err), MKT_OK);
    n = (size_t)i2d_PrivateKey(keyring.evp[PKI_ALICE], &end);
    key[n] = 0;
    assert_int_equal(mkt_pkey_new(&k, mkt_span(key, n + 1), &err), MKT_E_ARGUMENT);
    assert_null(k);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_pkey_new(&k, mkt_span(key, n), &err), MKT_OK);
    mkt_pkey_free(k);
}

/* --- below --------------------------------------------------------------------------------------
 */

static void
a_permutation_takes_a_block_of_the_modulus(void **state)
{
    static uint8_t in[MKT_RSA_MAX + 1], out[MKT_RSA_MAX + 1], key[MKT_SECRET_MAX + 1];
    const size_t k = mkt_be_cert_bits(kms) / 8;
    (void)state;
    in[k - 1] = 2;
    assert_true(mkt_be_rsa_public(kms, mkt_span(in, k), out));
    assert_false(mkt_be_rsa_public(kms, mkt_span(in, k - 1), out));
    assert_false(mkt_be_rsa_public(kms, mkt_span(in, k + 1), out));
    assert_true(mkt_be_rsa_private(keyring.key[PKI_KMS], mkt_span(in, k), out));
    assert_false(mkt_be_rsa_private(keyring.key[PKI_KMS], mkt_span(in, k - 1), out));
    assert_false(mkt_be_rsa_private(keyring.key[PKI_KMS], mkt_span(in, k + 1), out));
    /* no envelope holds a key longer than any secret */
    assert_false(mkt_pke_open(call.crypto, keyring.key[PKI_KMS], 1U << MKT_PAD_PKCS1,
                              mkt_span(in, k), sizeof key, key));
}

static void
only_hashes_that_we_use_are_used(void **state)
{
    uint8_t octets[MKT_HASH_MAX] = { 0 };
    const struct mkt_span seed = mkt_span("seed", 4);
    (void)state;
    assert_true(mkt_mgf1_xor(call.crypto, MKT_HASH_SHA_256, seed, octets, sizeof octets));
    assert_int_not_equal(octets[0] | octets[1] | octets[2], 0);
    memset(octets, 0, sizeof octets);
    assert_false(mkt_mgf1_xor(call.crypto, 99, seed, octets, sizeof octets));
    assert_false(mkt_mgf1_xor(call.crypto, MKT_HASH_MD5, seed, octets, sizeof octets));
    for (size_t i = 0; i < sizeof octets; i++)
        assert_int_equal(octets[i], 0);
    assert_false(mkt_be_rsa_verify(alice, MKT_S_RSA_PKCS1, MKT_HASH_MD5, octets, seed));
    assert_false(mkt_be_rsa_verify(alice, MKT_S_RSA_PKCS1, 99, octets, seed));
}

static void
nothing_has_a_digest_and_a_mac_of_its_own(void **state)
{
    static const uint8_t sha1[] = { 0xda, 0x39, 0xa3, 0xee, 0x5e }; /* FIPS 180: of "" */
    static const uint8_t hmac[] = { 0xfb, 0xdb, 0x1d, 0x1b, 0x18 }; /* RFC 2104: "" under "" */
    const struct mkt_span nothing = { NULL, 0 };
    uint8_t out[MKT_HASH_MAX];
    (void)state;
    assert_true(mkt_be_hash(call.crypto, MKT_HASH_SHA_1, &nothing, 1, out));
    assert_memory_equal(out, sha1, sizeof sha1);
    assert_true(mkt_be_hmac_key(call.crypto, MKT_MAC_HMAC_SHA_1_160, nothing));
    assert_true(mkt_be_hmac(call.crypto, MKT_MAC_HMAC_SHA_1_160, &nothing, 1, out));
    assert_memory_equal(out, hmac, sizeof hmac);
    assert_false(mkt_be_aes_ctr(call.crypto, mkt_span("0123456789abcdef01234567", 24), out,
                                mkt_span("x", 1), out));
}

static void
a_timestamp_of_an_unknown_type_is_not_given(void **state)
{
    uint64_t t = 7;
    (void)state;
    assert_true(mkt_ts_stamp(&call.env, MKT_TS_NTP, &t));
    assert_false(mkt_ts_stamp(&call.env, 4, &t));
}

static void
a_signed_message_is_not_verified_with_a_psk(void **state)
{
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_kms_begin(call.txn, mkt_span(call.request.b, call.request.n), &err),
                     MKT_OK);
    assert_int_equal(
        mkt_kms_verify(call.txn, &call.env, &call.psk_alice.base, call.alice, call.kms, &err),
        MKT_E_STATE);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_kms_verify_pk(call.txn, &call.env, &how, &err), MKT_OK);
}

static void
a_certificate_without_names_is_nobodys(void **state)
{
    uint8_t name[MKT_ID_MAX];
    (void)state;
    assert_int_equal(mkt_ex_cert_identity(alice, name).data.n, 21);
    assert_null(mkt_ex_cert_identity(sub, name).data.p);
}

/* Where CRLs are required, none at all is no better than a missing one. */
static void
a_required_crl_is_missed_when_there_is_none_at_all(void **state)
{
    uint8_t crl[4096];
    (void)state;
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_trust_verify(trust, &alice, 1, MKT_FOR_SIGNING, keyring.at, &err), MKT_OK);
    mkt_trust_require_crl(trust);
    assert_int_equal(mkt_trust_verify(trust, &alice, 1, MKT_FOR_SIGNING, keyring.at, &err),
                     MKT_E_CERT);
    err = (struct mkt_err){ 0 };
    size_t n = pki_crl(&keyring, PKI_CA, " CA", 0, 30, crl);
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span(crl, n), &err), MKT_OK);
    assert_int_equal(mkt_trust_verify(trust, &alice, 1, MKT_FOR_SIGNING, keyring.at, &err), MKT_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_key_of_the_kms_is_the_first_or_the_one_of_chash),
        TEST(a_chash_of_md5_is_refused_by_name),
        TEST(a_ninth_certificate_is_one_too_many),
        TEST(a_path_has_one_to_eight_certificates),
        TEST(a_message_that_ends_with_v_has_no_signature),
        TEST(sha_1_is_tried_in_the_128_bit_suite_only_and_only_when_allowed),
        TEST(an_identity_of_octets_is_in_no_certificate),
        TEST(a_signed_refusal_is_signed_or_not_sent),
        TEST(a_text_longer_than_an_int_is_not_read_at_all),
        TEST(a_crl_or_key_with_octets_behind_it_is_refused),
        TEST(a_permutation_takes_a_block_of_the_modulus),
        TEST(only_hashes_that_we_use_are_used),
        TEST(nothing_has_a_digest_and_a_mac_of_its_own),
        TEST(a_timestamp_of_an_unknown_type_is_not_given),
        TEST(a_signed_message_is_not_verified_with_a_psk),
        TEST(a_certificate_without_names_is_nobodys),
        TEST(a_required_crl_is_missed_when_there_is_none_at_all),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
