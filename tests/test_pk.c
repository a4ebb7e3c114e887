/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between users with certificates, in every form, and the Error messages they may get. */
#include "pk_call.h"

#include "keys/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void
assert_both_have_the_same_keys(void)
{
    MKT_SCOPED_SECRET
    at_alice = { 0 };
    MKT_SCOPED_SECRET
    at_bob = { 0 };
    assert_int_equal(call_keys(&call, call.at_alice[0], &at_alice), MKT_OK);
    assert_int_equal(call_keys(&call, call.at_bob[0], &at_bob), MKT_OK);
    assert_true(at_alice.n != 0);
    assert_true(mkt_ct_equal(mkt_secret_span(&at_alice), mkt_secret_span(&at_bob)));
}

/* A whole call. Who does not sign has a PSK. */
static void
assert_call_works(bool pk_alice, bool pk_bob, unsigned omit)
{
    if (pk_alice)
        alice_signs(omit);
    if (pk_bob)
        bob_signs(omit);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(call.request.b[1],
                     pk_alice ? MKT_DT_REQUEST_INIT_PK : MKT_DT_REQUEST_INIT_PSK);
    assert_int_equal(pk_alice ? kms_answers(&call.request, &call.granted) : call_issue(&call),
                     MKT_OK);
    assert_int_equal(call_granted(&call), MKT_OK);
    assert_int_equal(call_offer(&call), MKT_OK);
    assert_int_equal(call_offered(&call, 0), MKT_OK);
    assert_int_equal(call_accept(&call, 0), MKT_OK);
    assert_int_equal(call.resolve[0].b[1],
                     pk_bob ? MKT_DT_RESOLVE_INIT_PK : MKT_DT_RESOLVE_INIT_PSK);
    assert_int_equal(
        pk_bob ? kms_answers(&call.resolve[0], &call.resolved[0]) : call_resolve(&call, 0), MKT_OK);
    assert_int_equal(call_resolved(&call, 0), MKT_OK);
    assert_int_equal(call_answered(&call, 0), MKT_OK);
    assert_both_have_the_same_keys();
}

static void
calls_work_with_certificates_at_either_end_in_every_form(void **state)
{
    (void)state;
    for (uint8_t prf = MKT_PRF_MIKEY_1; prf <= MKT_PRF_HMAC_SHA_256; prf++)
        for (uint8_t padding = MKT_PAD_PKCS1; padding <= MKT_PAD_OAEP_SHA_256; padding++)
            for (unsigned form = 0; form < 6; form++) { /* S type, who signs */
                close_the_call(NULL);
                assert_true(open_call(prf));
                cred_alice.padding = cred_bob.padding = padding;
                cred_alice.s_type = cred_bob.s_type = (uint8_t)(form % 2);
                /* RFC6043:4.2.1.5-6 RFC6043:4.2.3.5-6 RFC3830:4.2.5-1 RFC3830:4.2.5-2
                 * RFC3830:4.2.6-1 RFC3830:4.2.6-2 */
                assert_call_works(form / 2 != 1, form / 2 != 2, 0);
            }
}

static void
an_identity_left_out_is_that_of_the_certificate(void **state)
{
    struct mkt_err err = { 0 };
    (void)state;
    /* RFC6043:4.2.3.3-1 */
    assert_call_works(true, true, MKT_OMIT_SELF | MKT_OMIT_KMS); /* RFC6043:4.2.1.3-1 */
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    assert_true(mkt_identity_equal(mkt_kms_ask(call.txn)->client, call.alice));
}

static void
an_nai_is_an_rfc822_name(void **state)
{
    const struct mkt_cert *chain[] = { NULL };
    struct pki_cert what = user_cert(PKI_ALICE, "email:alice@example.com");
    struct mkt_err err = { 0 };
    (void)state;
    chain[0] = pki_make(&keyring, &what);
    cred_alice.chain = chain;
    call.alice = (struct mkt_identity){ MKT_ID_NAI, mkt_span("alice@example.com", 17) };
    for (unsigned omit = 0; omit <= MKT_OMIT_SELF; omit++) {
        alice_signs(omit);
        assert_int_equal(call_request(&call), MKT_OK);
        assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
        /* RFC3830:6.7-1 */
        assert_true(mkt_identity_equal(mkt_kms_ask(call.txn)->client, call.alice));
    }
}

static void
a_certificate_that_is_not_sent_must_be_known(void **state)
{
    struct mkt_err err = { 0 };
    (void)state;
    cred_alice.n_chain = 0;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(mkt_kms_begin(call.txn, mkt_span(call.request.b, call.request.n), &err),
                     MKT_OK);
    assert_true(mkt_kms_ask(call.txn)->pk);
    assert_int_equal(mkt_kms_ask(call.txn)->n_certs, 0);
    assert_int_equal(mkt_kms_verify_pk(call.txn, &call.env, &how, &err), MKT_E_CERT);
    how.known = alice_chain;
    how.n_known = 1;
    assert_int_equal(kms_answers(&call.request, &call.granted), MKT_OK); /* RFC6043:4.2.1.3-1 */
    assert_int_equal(call_granted(&call), MKT_OK);
}

/* --- CHASH ------------------------------------------------------------------------------------ */

static void
chash_says_which_key_of_the_kms_is_used(void **state)
{
    static const uint8_t funcs[] = { MKT_HASH_SHA_256, MKT_HASH_SHA_1 };
    (void)state;
    how.n_keys = 2;
    cred_alice.chash = true;
    for (size_t f = 0; f < COUNT(funcs); f++)
        for (size_t k = 0; k < 2; k++) {
            cred_alice.chash_func = funcs[f];
            cred_alice.kms = kms_keys[k].cert;
            alice_signs(0);
            assert_int_equal(call_request(&call), MKT_OK);
            assert_int_equal(kms_answers(&call.request, &call.granted), MKT_OK); /* RFC3830:6.8-2 */
            assert_int_equal(call_granted(&call), MKT_OK);
            mkt_grant_free(call.grant);
            call.grant = NULL;
        }
}

static void
refuses_a_chash_of_no_key_or_of_an_unknown_hash(void **state)
{
    struct mkt_err err = { 0 }, err2 = { 0 };
    (void)state;
    cred_alice.chash = true;
    cred_alice.chash_func = MKT_HASH_SHA_256;
    cred_alice.kms = kms2; /* the KMS has the first key only */
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(kms_verify(&call.request, &err), MKT_E_CERT);
    assert_string_equal(err.what, "CHASH: no key of this KMS");
    how.n_keys = 0;
    assert_int_equal(kms_verify(&call.request, &err2), MKT_E_CERT);
    how.n_keys = 1;
    cred_alice.chash_func = MKT_HASH_MD5;
    assert_int_equal(call_request(&call), MKT_E_HASH); /* RFC3830:6.8-2 */
}

/* --- what clients refuse to send -------------------------------------------------------------- */

static void
refuses_to_send_with_credentials_that_cannot_be_right(void **state)
{
    struct pki_cert for_signing = user_cert(PKI_KMS, "URI:sip:kms@example.com");
    struct pki_cert expired = for_signing;
    const struct mkt_cert *of_bob[] = { bob };
    (void)state;
    for_signing.usage = "digitalSignature";
    expired.from_day = -9;
    expired.to_day = -2;
    const struct mkt_pk_credential good = cred_alice;
    struct {
        struct mkt_pk_credential cred;
        enum mkt_rc rc;
    } bad[] = { { good, MKT_E_ARGUMENT }, { good, MKT_E_ARGUMENT }, { good, MKT_E_CERT },
                { good, MKT_E_CERT },     { good, MKT_E_CERT },     { good, MKT_E_CERT },
                { good, MKT_E_IDENTITY }, { good, MKT_E_SUITE_MIX } };
    bad[0].cred.key = NULL;
    bad[1].cred.kms = NULL;
    bad[2].cred.key = keyring.key[PKI_BOB]; /* not the certificate's */
    bad[3].cred.chain = of_bob;             /* another's certificate */
    bad[4].cred.kms = pki_make(&keyring, &for_signing);
    bad[5].cred.kms = pki_make(&keyring, &expired);
    bad[6].cred.kms = alice; /* the envelope would be for another */
    bad[7].cred.sha1 = true; /* RFC6043:12.1 */
    for (size_t i = 0; i < COUNT(bad); i++) {
        cred_alice = bad[i].cred;
        alice_signs(0);
        assert_int_equal(call_request(&call), bad[i].rc);
        assert_int_equal(call.request.n, 0);
    }
}

static void
a_failing_generator_leaves_no_message(void **state)
{
    (void)state;
    cred_alice.s_type = MKT_S_RSA_PSS;
    alice_signs(0);
    for (long left = 0; left < 5; left++) { /* CSB ID, RANDRi, envelope key, padding, salt */
        call.random_left = left;
        assert_int_equal(call_request(&call), MKT_E_RANDOM);
        assert_int_equal(call.request.n, 0);
    }
    call.random_left = -1;
    assert_int_equal(call_request(&call), MKT_OK);
}

static void
refuses_to_write_into_a_buffer_too_small(void **state)
{
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    size_t whole = call.request.n;
    for (call.cap = 0; call.cap < whole; call.cap += 97)
        assert_int_equal(call_request(&call), MKT_E_NO_SPACE);
}

/* --- Error messages
 * -------------------------------------------------------------------------------
 */

/* The KMS refuses a verified request, with V (by NULL) or SIGN; alice reads it. */
static struct mkt_io
refusal_of_a_verified_request(const struct mkt_kms_signer *by)
{
    struct message out;
    struct mkt_io io = { .out = out.b, .cap = sizeof out.b };
    struct mkt_err err = { 0 };
    struct mkt_grant *grant;
    assert_int_equal(call_request(&call), MKT_OK);
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    enum mkt_next next =
        by == NULL ? mkt_kms_refuse(call.txn, &call.env, MKT_E_TICKET_TYPE, &io)
                   : mkt_kms_refuse_signed(call.txn, &call.env, MKT_E_TICKET_TYPE, by, &io);
    assert_int_equal(next, MKT_NEXT_SEND_PEER);
    mkt_kms_end(call.txn);
    struct mkt_io in = { .in = mkt_span(out.b, io.out_len) };
    assert_int_equal(mkt_initiator_granted(call.initiator, &call.env, &in, &grant), MKT_NEXT_ABORT);
    assert_int_equal(in.err.rc, MKT_E_PEER_ERROR);
    assert_int_equal(in.peer_error, MKT_ERR_INVALID_TICKET);
    assert_null(grant);
    /* A hint changes nothing: the request can still be answered (RFC6043:5.4). */
    assert_int_equal(kms_answers(&call.request, &call.granted), MKT_OK);
    assert_int_equal(call_granted(&call), MKT_OK);
    mkt_grant_free(call.grant);
    call.grant = NULL;
    return in;
}

static void
errors_are_authentic_with_v_or_with_the_signature_of_the_kms(void **state)
{
    struct mkt_kms_signer by = { .key = keyring.key[PKI_KMS] };
    (void)state;
    alice_signs(0);
    assert_true(refusal_of_a_verified_request(NULL).peer_error_authentic); /* RFC6043:5.4-3 */
    assert_true(refusal_of_a_verified_request(&by).peer_error_authentic);  /* RFC6043:5.4-3 */
    by.s_type = MKT_S_RSA_PSS;
    assert_true(refusal_of_a_verified_request(&by).peer_error_authentic);
    by.key = keyring.key[PKI_BOB];
    assert_false(refusal_of_a_verified_request(&by).peer_error_authentic);
    by = (struct mkt_kms_signer){ .key = keyring.key[PKI_KMS], .sha1 = true };
    assert_false(refusal_of_a_verified_request(&by).peer_error_authentic);
}

static void
an_error_signed_with_an_encryption_key_is_a_hint_only(void **state)
{
    struct pki_cert only = user_cert(PKI_KMS, "URI:sip:kms@example.com");
    const struct mkt_kms_signer by = { .key = keyring.key[PKI_KMS] };
    (void)state;
    only.usage = "keyEncipherment";
    cred_alice.kms = pki_make(&keyring, &only);
    alice_signs(0);
    assert_false(refusal_of_a_verified_request(&by).peer_error_authentic);
    assert_true(refusal_of_a_verified_request(NULL).peer_error_authentic);
}

static void
strangers_get_no_signature(void **state)
{
    const struct mkt_kms_signer by = { .key = keyring.key[PKI_KMS] };
    struct message out;
    struct mkt_io io = { .out = out.b, .cap = sizeof out.b };
    struct mkt_err err = { 0 };
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
    call.request.b[call.request.n - 1] ^= 1;
    assert_int_equal(kms_verify(&call.request, &err), MKT_E_AUTH);
    assert_int_equal(mkt_kms_refuse_signed(call.txn, &call.env, MKT_E_AUTH, &by, &io),
                     MKT_NEXT_SEND_PEER);
    assert_in_range(io.out_len, 1, 64); /* RFC3830:5.1.2 */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_work_with_certificates_at_either_end_in_every_form),
        TEST(an_identity_left_out_is_that_of_the_certificate),
        TEST(an_nai_is_an_rfc822_name),
        TEST(a_certificate_that_is_not_sent_must_be_known),
        TEST(chash_says_which_key_of_the_kms_is_used),
        TEST(refuses_a_chash_of_no_key_or_of_an_unknown_hash),
        TEST(refuses_to_send_with_credentials_that_cannot_be_right),
        TEST(a_failing_generator_leaves_no_message),
        TEST(refuses_to_write_into_a_buffer_too_small),
        TEST(errors_are_authentic_with_v_or_with_the_signature_of_the_kms),
        TEST(an_error_signed_with_an_encryption_key_is_a_hint_only),
        TEST(strangers_get_no_signature),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
