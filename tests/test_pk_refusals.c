/* SPDX-License-Identifier: Apache-2.0 */
/* What a KMS refuses of users with certificates, and in which order it looks. */
#include "pk_call.h"

#include "keys/pk.h"
#include "role/kms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* --- what the KMS refuses --------------------------------------------------------------------- */

static void
assert_refused(const struct message *in, enum mkt_rc rc, const char *what)
{
    struct mkt_err err = { 0 };
    struct message out;
    struct mkt_io io = { .out = out.b, .cap = sizeof out.b };
    struct mkt_msg m;
    struct mkt_err err2 = { 0 };

    assert_int_equal(kms_verify(in, &err), rc);
    if (what != NULL)
        assert_string_equal(err.what, what);
    assert_int_equal(call.txn->env_key.key.n, 0);
    /* RFC6043:5.4-2: whoever is not authenticated gets an Error without V, if any. */
    assert_int_equal(mkt_kms_refuse(call.txn, &call.env, err.rc, &io), MKT_NEXT_SEND_PEER);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(out.b, io.out_len), &err2), MKT_OK);
    assert_int_equal(m.pl[m.n - 1].type, MKT_PL_ERR);
    mkt_kms_end(call.txn);
}

static void
refuses_the_signature_of_another(void **state)
{
    (void)state;
    cred_alice.n_chain = 0; /* sent along, our own client would notice */
    cred_alice.key = keyring.key[PKI_BOB];
    how.known = alice_chain;
    how.n_known = 1;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_refused(&call.request, MKT_E_AUTH, "SIGN"); /* RFC6043:4.2.1-1 */
}

static void
refuses_an_identity_that_is_not_in_the_certificate(void **state)
{
    (void)state;
    cred_alice.n_chain = 0;
    cred_alice.key = keyring.key[PKI_BOB];
    how.known = bob_chain; /* bob, who says he is alice */
    how.n_known = 2;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_refused(&call.request, MKT_E_AUTH, "IDR is not in the certificate");
}

static void
refuses_a_certificate_of_two_names_without_an_identity(void **state)
{
    struct pki_cert two = user_cert(
        PKI_ALICE, "URI:sip:alice@example.com,URI:sip:al@example.com,email:al@example.com");
    const struct mkt_cert *chain[] = { pki_make(&keyring, &two) };
    struct mkt_err err = { 0 };
    (void)state;
    cred_alice.chain = chain;
    alice_signs(MKT_OMIT_SELF);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_refused(&call.request, MKT_E_AUTH, "no IDR, and the certificate has not one name");
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
}

/* The signature covers the identities that the message leaves out (RFC 6043 5.5). */
static void
refuses_a_message_signed_for_another_kms(void **state)
{
    (void)state;
    alice_signs(MKT_OMIT_KMS);
    assert_int_equal(call_request(&call), MKT_OK);
    how.kms = mkt_uri("sip:other@example.com");
    assert_refused(&call.request, MKT_E_AUTH, "SIGN"); /* RFC6043:5.5-1 */
}

static void
refuses_bad_certificates_before_it_looks_at_the_signature(void **state)
{
    struct pki_cert good = user_cert(PKI_ALICE, "URI:sip:alice@example.com");
    struct pki_cert bad[5] = { good, good, good, good, good };
    static const char *const why[] = { "certificate has expired", "certificate is not yet valid",
                                       "key usage without digitalSignature",
                                       "certificate signature failure",
                                       "CA signature digest algorithm too weak" };
    (void)state;
    bad[0].from_day = -9;
    bad[0].to_day = -1;
    bad[1].from_day = 1;
    bad[2].usage = "keyEncipherment";
    bad[3].issuer_key = PKI_BOB;
    bad[4].sha1 = true;
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct mkt_cert *chain[] = { pki_make(&keyring, &bad[i]) };
        cred_alice.chain = chain;
        alice_signs(0);
        assert_int_equal(call_request(&call), MKT_OK);
        call.request.b[call.request.n - 1] ^= 1; /* the signature, too: it is not reached */
        assert_refused(&call.request, MKT_E_CERT, why[i]);
    }
}

static void
refuses_a_chain_out_of_order_or_cut(void **state)
{
    (void)state;
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(call_issue(&call), MKT_OK);
    assert_int_equal(call_granted(&call), MKT_OK);
    assert_int_equal(call_offer(&call), MKT_OK);
    cred_bob.n_chain = 1;
    bob_signs(0);
    assert_int_equal(call_offered(&call, 0), MKT_OK);
    assert_int_equal(call_accept(&call, 0), MKT_OK);
    assert_refused(&call.resolve[0], MKT_E_CERT, NULL); /* RFC6043:4.2.3.3-4 */
    cred_bob.n_chain = 0;
    const struct mkt_cert *reversed[] = { sub, bob };
    how.known = reversed;
    how.n_known = 2;
    bob_signs(0);
    assert_int_equal(call_offered(&call, 0), MKT_OK);
    assert_int_equal(call_accept(&call, 0), MKT_OK);
    assert_refused(&call.resolve[0], MKT_E_CERT, NULL); /* RFC6043:4.2.3.3-3 */
    how.known = bob_chain;
    /* RFC6043:4.2.3.3-1 */
    assert_int_equal(kms_answers(&call.resolve[0], &call.resolved[0]), MKT_OK);
}

static void
refuses_a_user_or_ca_on_a_crl(void **state)
{
    uint8_t der[4096];
    struct mkt_err err = { 0 };
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    size_t n = pki_crl(&keyring, PKI_CA, " CA", 100, 30, der); /* the default serial number */
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span(der, n), &err), MKT_OK);
    assert_refused(&call.request, MKT_E_CERT, "certificate revoked");
}

/* The KMS keeps certificates it has parsed, and paths for as long as they hold (test_pk_path). */
static void
a_certificate_seen_before_is_judged_anew(void **state)
{
    struct mkt_err err = { 0 };
    uint8_t der[4096];
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    const uint64_t now = call.env.now;
    call.env.now += 400ULL * 86400 << 32;
    assert_refused(&call.request, MKT_E_CERT, "certificate has expired");
    call.env.now = now;
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    how.trust = NULL;
    assert_refused(&call.request, MKT_E_CERT, NULL);
    how.trust = trust;
    size_t n = pki_crl(&keyring, PKI_CA, " CA", 100, 30, der);
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span(der, n), &err), MKT_OK);
    assert_refused(&call.request, MKT_E_CERT, "certificate revoked");
}

/* One place is taken by one certificate after the other. */
static void
serves_more_users_than_it_keeps_certificates_of(void **state)
{
    struct pki_cert what = user_cert(PKI_ALICE, "URI:sip:alice@example.com");
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        for (what.serial = 1000; what.serial < 1000 + MKT_CERT_SLOTS + 50; what.serial++) {
            uint8_t der[4096];
            struct mkt_span text = mkt_span(der, pki_der(&keyring, &what, der));
            struct mkt_err err = { 0 };
            struct mkt_cert *cert;
            assert_int_equal(mkt_cert_next(&cert, &text, &err), MKT_OK);
            const struct mkt_cert *chain[] = { cert };
            cred_alice.chain = chain;
            cred_alice.padding = (uint8_t)(what.serial % 3);
            alice_signs(0);
            assert_int_equal(call_request(&call), MKT_OK);
            assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
            mkt_cert_free(cert);
        }
}

static void
a_kms_that_trusts_nobody_serves_nobody(void **state)
{
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    how.trust = NULL;
    assert_refused(&call.request, MKT_E_CERT, NULL);
}

static void
sha1_is_refused_unless_it_is_allowed(void **state)
{
    struct mkt_err err = { 0 };
    (void)state;
    close_the_call(NULL);
    assert_true(open_call(MKT_PRF_MIKEY_1));
    for (uint8_t s_type = MKT_S_RSA_PKCS1; s_type <= MKT_S_RSA_PSS; s_type++) {
        cred_alice.sha1 = true;
        cred_alice.s_type = s_type;
        how.sha1 = false;
        alice_signs(0);
        assert_int_equal(call_request(&call), MKT_OK);
        assert_refused(&call.request, MKT_E_AUTH, "SIGN");
        how.sha1 = true;
        assert_int_equal(kms_answers(&call.request, &call.granted), MKT_OK);
        cred_alice.sha1 = false; /* SHA-256 is accepted in any case */
        alice_signs(0);
        assert_int_equal(call_request(&call), MKT_OK);
        assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    }
}

/* Signs a message of alice's anew. */
static void
sign_again(struct message *m, uint8_t hash)
{
    struct mkt_span part[3] = { mkt_span(m->b, m->n - 256), call.alice.data, call.kms.data };
    assert_int_equal(mkt_rsa_sign(&call.env, keyring.key[PKI_ALICE], MKT_S_RSA_PKCS1, hash, part, 3,
                                  m->b + m->n - 256),
                     MKT_OK);
}

static void
sha1_in_the_256_bit_suite_is_refused_whatever_is_allowed(void **state)
{
    (void)state;
    how.sha1 = true;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    sign_again(&call.request, MKT_HASH_SHA_1);
    assert_refused(&call.request, MKT_E_AUTH, "SIGN"); /* RFC6043:12.1 */
}

static uint8_t *
pke_of(struct message *m)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    const struct mkt_payload *pl = mkt_msg_find(&parsed, MKT_PL_PKE, 0);
    return m->b + (pl->u.pke.data.p - m->b);
}

static void
the_signature_is_verified_before_the_envelope_is_touched(void **state)
{
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    pke_of(&call.request)[200] ^= 1;
    assert_refused(&call.request, MKT_E_AUTH, "SIGN");
    sign_again(&call.request, MKT_HASH_SHA_256);
    assert_refused(&call.request, MKT_E_AUTH, "PKE");
}

/* An envelope put together by an attacker with a certificate: whether its padding is wrong or its
 * length, the refusals are the same; and the few that open give a key nobody has. */
static void
an_altered_envelope_gives_no_ticket_and_no_oracle(void **state)
{
    unsigned refused = 0;
    (void)state;
    alice_signs(0);
    for (uint8_t i = 1; i < 100; i++) {
        struct mkt_err err = { 0 };
        assert_int_equal(call_request(&call), MKT_OK);
        pke_of(&call.request)[100] ^= i;
        sign_again(&call.request, MKT_HASH_SHA_256);
        enum mkt_rc rc = kms_verify(&call.request, &err);
        if (rc == MKT_OK) {
            assert_int_equal(kms_answers(&call.request, &call.granted), MKT_OK);
            assert_int_equal(call_granted(&call), MKT_E_AUTH);
            continue;
        }
        assert_int_equal(rc, MKT_E_AUTH);
        assert_string_equal(err.what, "PKE");
        refused++;
    }
    assert_in_range(refused, 90, 99);
    /* Well padded, but of another length. */
    uint8_t sealed[256], key[31] = { 1 };
    struct mkt_err err = { 0 };
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(mkt_pke_seal(&call.env, kms, MKT_PAD_PKCS1, mkt_span(key, sizeof key), sealed),
                     MKT_OK);
    memcpy(pke_of(&call.request), sealed, sizeof sealed);
    sign_again(&call.request, MKT_HASH_SHA_256);
    assert_int_equal(kms_verify(&call.request, &err), MKT_E_AUTH);
    assert_string_equal(err.what, "PKE");
}

static void
refuses_paddings_that_are_not_allowed(void **state)
{
    (void)state;
    how.paddings = 1U << MKT_PAD_OAEP_SHA_256;
    cred_alice.padding = MKT_PAD_OAEP_SHA_256;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(kms_answers(&call.request, &call.granted), MKT_OK);
    cred_alice.padding = MKT_PAD_PKCS1;
    assert_int_equal(call_request(&call), MKT_OK);
    assert_refused(&call.request, MKT_E_AUTH, "PKE");
}

/* Puts one CERT payload in place of alice's. */
static void
with_cert(struct message *m, uint8_t type, struct mkt_span data)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    uint8_t copy[sizeof m->b];
    memcpy(copy, m->b, m->n);
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(copy, m->n), &err), MKT_OK);
    struct mkt_writer w = mkt_w_open(m->b, sizeof m->b);
    mkt_hdr_write(&w, &parsed.hdr);
    for (size_t i = 0; i < parsed.n; i++) {
        if (parsed.pl[i].type == MKT_PL_CERT)
            parsed.pl[i].u.cert = (struct mkt_pl_cert){ type, data };
        mkt_pl_write(&w, &parsed.pl[i]);
    }
    assert_false(w.overflow);
    m->n = w.len;
    sign_again(m, MKT_HASH_SHA_256);
}

static void
takes_certificates_for_signing_and_no_other_types(void **state)
{
    static const char pem[] = "-----BEGIN CERTIFICATE-----";
    const struct mkt_span der = mkt_cert_der(alice);
    struct mkt_err err = { 0 };
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    with_cert(&call.request, MKT_CERT_SIGN, der);
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK); /* RFC3830:6.7 */
    with_cert(&call.request, MKT_CERT_ENCR, der);
    assert_refused(&call.request, MKT_E_CERT, "CERT: Cert Type"); /* RFC3830:6.7-2 */
    with_cert(&call.request, MKT_CERT_URL, mkt_span("http://example.com/", 19));
    assert_refused(&call.request, MKT_E_CERT, "CERT: Cert Type");
    with_cert(&call.request, MKT_CERT_X509, mkt_span(pem, sizeof pem));
    assert_refused(&call.request, MKT_E_CERT, "CERT: not DER");
    with_cert(&call.request, MKT_CERT_X509, mkt_span(NULL, 0));
    assert_refused(&call.request, MKT_E_CERT, "CERT: not DER");
    with_cert(&call.request, MKT_CERT_X509, mkt_span(der.p, der.n - 1));
    assert_refused(&call.request, MKT_E_CERT, NULL);
}

static void
refuses_more_certificates_than_it_can_hold(void **state)
{
    const struct mkt_cert *chain[MKT_CHAIN_MAX + 1];
    (void)state;
    for (size_t i = 0; i < COUNT(chain); i++)
        chain[i] = alice;
    cred_alice.chain = chain;
    cred_alice.n_chain = MKT_CHAIN_MAX + 1;
    alice_signs(0);
    call.cap = sizeof call.request.b;
    assert_int_equal(call_request(&call), MKT_E_ARGUMENT);
    how.known = chain;
    how.n_known = MKT_CHAIN_MAX + 1;
    cred_alice.n_chain = 0;
    assert_int_equal(call_request(&call), MKT_OK);
    assert_refused(&call.request, MKT_E_CERT, NULL);
}

static void
each_way_of_verifying_is_for_its_own_messages(void **state)
{
    struct mkt_err err = { 0 }, err2 = { 0 }, err3 = { 0 };
    (void)state;
    assert_int_equal(mkt_kms_verify_pk(call.txn, &call.env, &how, &err), MKT_E_STATE);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(kms_verify(&call.request, &err2), MKT_E_STATE);
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(mkt_kms_begin(call.txn, mkt_span(call.request.b, call.request.n), &err3),
                     MKT_OK);
    assert_int_equal(
        mkt_kms_verify(call.txn, &call.env, &call.psk_alice.base, call.alice, call.kms, &err3),
        MKT_E_STATE);
}

static void
the_envelope_key_is_wiped_with_the_transaction(void **state)
{
    static const uint8_t none[MKT_SECRET_MAX];
    struct mkt_err err = { 0 };
    (void)state;
    cred_alice.cache = MKT_CACHE_YES;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    assert_int_equal(mkt_kms_ask(call.txn)->cache, MKT_CACHE_YES);
    assert_int_equal(call.txn->env_key.key.n, 32);
    mkt_kms_end(call.txn);
    assert_int_equal(call.txn->env_key.key.n, 0);
    /* RFC3830:6.3-2 RFC3830:6.3-3 */
    assert_memory_equal(call.txn->env_key.key.b, none, sizeof none);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_the_signature_of_another),
        TEST(refuses_an_identity_that_is_not_in_the_certificate),
        TEST(refuses_a_certificate_of_two_names_without_an_identity),
        TEST(refuses_a_message_signed_for_another_kms),
        TEST(refuses_bad_certificates_before_it_looks_at_the_signature),
        TEST(refuses_a_chain_out_of_order_or_cut),
        TEST(refuses_a_user_or_ca_on_a_crl),
        TEST(a_certificate_seen_before_is_judged_anew),
        TEST(serves_more_users_than_it_keeps_certificates_of),
        TEST(a_kms_that_trusts_nobody_serves_nobody),
        TEST(sha1_is_refused_unless_it_is_allowed),
        TEST(sha1_in_the_256_bit_suite_is_refused_whatever_is_allowed),
        TEST(the_signature_is_verified_before_the_envelope_is_touched),
        TEST(an_altered_envelope_gives_no_ticket_and_no_oracle),
        TEST(refuses_paddings_that_are_not_allowed),
        TEST(takes_certificates_for_signing_and_no_other_types),
        TEST(refuses_more_certificates_than_it_can_hold),
        TEST(each_way_of_verifying_is_for_its_own_messages),
        TEST(the_envelope_key_is_wiped_with_the_transaction),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
