/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate paths that a KMS remembers: that it does, and what each of them depends on. */
#include "pk_call.h"

#include "role/kms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400
#define CRL_DAYS 30

static struct mkt_err err;

static enum mkt_rc
verify(void)
{
    err = (struct mkt_err){ 0 };
    enum mkt_rc rc = kms_verify(&call.request, &err);
    mkt_kms_end(call.txn);
    return rc;
}

static enum mkt_rc
verify_at(int64_t seconds_from_now)
{
    const uint64_t now = call.env.now;
    call.env.now = now + ((uint64_t)seconds_from_now << 32);
    enum mkt_rc rc = verify();
    call.env.now = now;
    return rc;
}

/* Alice asks with these certificates. */
static void
ask(const struct mkt_cert *const *chain, size_t n)
{
    cred_alice.chain = chain;
    cred_alice.n_chain = n;
    alice_signs(0);
    assert_int_equal(call_request(&call), MKT_OK);
}

static struct mkt_cert_path *
path_of(const struct mkt_cert *cert)
{
    struct mkt_span der = mkt_cert_der(cert);
    uint8_t digest[MKT_CERT_DIGEST];
    assert_true(mkt_be_hash(call.env.crypto, MKT_HASH_SHA_256, &der, 1, digest));
    assert_non_null(mkt_cert_cache_find(&call.txn->certs, digest));
    return &call.txn->certs.slot[digest[0]].path;
}

static bool
is_remembered(const struct mkt_cert *cert)
{
    const struct mkt_be_window *w = &path_of(cert)->window;
    return w->from < w->until;
}

static void
add_crl(long revoked, int days)
{
    uint8_t der[4096];
    err = (struct mkt_err){ 0 };
    size_t n = pki_crl(&keyring, PKI_CA, " CA", revoked, days, der);
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span(der, n), &err), MKT_OK);
}

/* Nobody is trusted by an empty store, so only the memory can have let the second one in. */
static void
a_good_path_is_not_gone_a_second_time(void **state)
{
    struct mkt_trust *nobody = mkt_trust_new();
    uint8_t was[MKT_BE_TRUST_NAME], is[MKT_BE_TRUST_NAME];
    (void)state;
    ask(alice_chain, 1);
    assert_int_equal(verify(), MKT_OK);
    how.trust = nobody;
    assert_int_equal(verify(), MKT_E_CERT);
    mkt_be_trust_name(trust, was);
    mkt_be_trust_name(nobody, is);
    assert_memory_not_equal(was, is, sizeof was);

    struct mkt_span der = mkt_cert_der(alice);
    uint8_t digest[MKT_CERT_DIGEST];
    assert_true(mkt_be_hash(call.env.crypto, MKT_HASH_SHA_256, &der, 1, digest));
    const struct mkt_span name[2] = { mkt_span(is, sizeof is), mkt_span(digest, sizeof digest) };
    assert_true(mkt_be_hash(call.env.crypto, MKT_HASH_SHA_256, name, 2, path_of(alice)->name));
    assert_int_equal(verify(), MKT_OK);
    mkt_trust_free(nobody);
}

static void
a_path_is_remembered_from_one_end_of_its_certificates_to_the_other(void **state)
{
    struct pki_cert what = user_cert(PKI_ALICE, "URI:sip:alice@example.com");
    (void)state;
    what.from_day = -3;
    what.to_day = 5;
    const struct mkt_cert *chain[] = { pki_make(&keyring, &what) };
    ask(chain, 1);
    assert_int_equal(verify(), MKT_OK);
    const struct mkt_be_window w = path_of(chain[0])->window;
    /* The anchor is as old as the test, give or take its day; the end is the user's. */
    assert_int_equal(w.until, keyring.at + 5LL * DAY);
    assert_true(w.from <= keyring.at && w.from >= keyring.at - 3LL * DAY);
    int64_t last = w.until - mkt_ntp_to_unix(call.env.now) - 1;
    assert_int_equal(verify_at(last), MKT_OK);
    assert_int_equal(verify_at(last + 1), MKT_E_CERT);
    assert_string_equal(err.what, "certificate has expired");
    int64_t first = w.from - mkt_ntp_to_unix(call.env.now);
    assert_int_equal(verify_at(first), MKT_OK);
    assert_int_equal(verify_at(first - 1), MKT_E_CERT);
    assert_string_equal(err.what, "certificate is not yet valid");
}

static void
a_path_is_remembered_as_long_as_the_crls_are_in_force(void **state)
{
    (void)state;
    add_crl(0, CRL_DAYS);
    ask(alice_chain, 1);
    assert_int_equal(verify(), MKT_OK);
    const struct mkt_be_window w = path_of(alice)->window;
    assert_true(w.from <= keyring.at && w.from >= keyring.at - DAY);
    assert_int_equal(w.until, keyring.at + (CRL_DAYS - 1LL) * DAY);
    assert_int_equal(verify_at(w.until - keyring.at - 1), MKT_OK);
    assert_int_equal(verify_at(w.until - keyring.at), MKT_E_CERT);
    assert_string_equal(err.what, "CRL has expired");
    assert_int_equal(verify_at(w.from - keyring.at - 1), MKT_E_CERT);
}

static void
whatever_changes_in_the_trust_has_the_path_gone_anew(void **state)
{
    struct pki_cert other = user_cert(PKI_BOB, "URI:sip:carol@example.com");
    (void)state;
    ask(alice_chain, 1);
    assert_int_equal(verify(), MKT_OK);
    struct mkt_cert_path before = *path_of(alice);
    assert_int_equal(mkt_trust_add(trust, mkt_cert_der(pki_make(&keyring, &other)), &err), MKT_OK);
    assert_int_equal(verify(), MKT_OK);
    assert_memory_not_equal(before.name, path_of(alice)->name, MKT_CERT_PATH);
    mkt_trust_require_crl(trust);
    assert_int_equal(verify(), MKT_E_CERT);
    add_crl(0, CRL_DAYS);
    assert_int_equal(verify(), MKT_OK);
}

static void
other_certificates_behind_the_same_one_are_another_path(void **state)
{
    const struct mkt_cert *odd[] = { alice, sub }; /* which is not who issued it */
    (void)state;
    ask(alice_chain, 1);
    assert_int_equal(verify(), MKT_OK);
    ask(odd, 2);
    assert_int_equal(verify(), MKT_E_CERT);
    assert_string_equal(err.what, "certificate does not certify the one before it");
}

static void
nothing_is_remembered_of_a_message_that_is_not_authentic(void **state)
{
    (void)state;
    ask(alice_chain, 1);
    call.request.b[call.request.n - 1] ^= 1;
    assert_int_equal(verify(), MKT_E_AUTH);
    for (size_t i = 0; i < MKT_CERT_SLOTS; i++)
        assert_null(call.txn->certs.slot[i].cert);
    call.request.b[call.request.n - 1] ^= 1;
    assert_int_equal(verify(), MKT_OK);
    assert_true(is_remembered(alice));
}

static void
a_certificate_that_was_not_sent_has_its_path_gone_each_time(void **state)
{
    (void)state;
    how.known = alice_chain;
    how.n_known = 1;
    ask(alice_chain, 0);
    assert_int_equal(verify(), MKT_OK);
    add_crl(100, CRL_DAYS); /* the default serial number */
    assert_int_equal(verify(), MKT_E_CERT);
}

static void
a_path_goes_with_the_certificate_it_begins_with(void **state)
{
    struct mkt_cert_cache *cache = &call.txn->certs;
    struct mkt_cert_path path = { .window = { 1, 9 } };
    uint8_t one[MKT_CERT_DIGEST] = { 7, 1 }, two[MKT_CERT_DIGEST] = { 7, 2 }; /* of one place */
    struct mkt_span text = mkt_cert_der(alice), again = text;
    struct mkt_cert *cert;
    (void)state;
    err = (struct mkt_err){ 0 };
    mkt_cert_cache_trust(cache, one, &path); /* which is not there */
    assert_false(mkt_cert_cache_trusts(cache, one, path.name, 5));
    assert_int_equal(mkt_cert_next(&cert, &text, &err), MKT_OK);
    mkt_cert_cache_keep(cache, one, cert);
    assert_false(mkt_cert_cache_trusts(cache, one, path.name, 0));
    mkt_cert_cache_trust(cache, one, &path);
    assert_true(mkt_cert_cache_trusts(cache, one, path.name, 1));
    assert_true(mkt_cert_cache_trusts(cache, one, path.name, 8));
    assert_false(mkt_cert_cache_trusts(cache, one, path.name, 0));
    assert_false(mkt_cert_cache_trusts(cache, one, path.name, 9));
    assert_false(mkt_cert_cache_trusts(cache, two, path.name, 5));
    assert_int_equal(mkt_cert_next(&cert, &again, &err), MKT_OK);
    mkt_cert_cache_keep(cache, two, cert);
    assert_false(mkt_cert_cache_trusts(cache, one, path.name, 5));
    assert_false(mkt_cert_cache_trusts(cache, two, path.name, 5));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_good_path_is_not_gone_a_second_time),
        TEST(a_path_is_remembered_from_one_end_of_its_certificates_to_the_other),
        TEST(a_path_is_remembered_as_long_as_the_crls_are_in_force),
        TEST(whatever_changes_in_the_trust_has_the_path_gone_anew),
        TEST(other_certificates_behind_the_same_one_are_another_path),
        TEST(nothing_is_remembered_of_a_message_that_is_not_authentic),
        TEST(a_certificate_that_was_not_sent_has_its_path_gone_each_time),
        TEST(a_path_goes_with_the_certificate_it_begins_with),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
