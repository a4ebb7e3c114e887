/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, paths and revocation: what mkt_trust_verify lets through and what it does not. */
#include "pki.h"

#include <mikeyticket/secret.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define AT 1300000000 /* some second of 2011 */
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct pki p;
static struct mkt_trust *trust;

static int
open_pki(void **state)
{
    (void)state;
    return pki_open(&p, AT) ? 0 : -1;
}

static int
close_pki(void **state)
{
    (void)state;
    pki_close(&p);
    return 0;
}

static int
open_trust(void **state)
{
    (void)state;
    trust = pki_trust(&p);
    return 0;
}

static int
close_trust(void **state)
{
    (void)state;
    mkt_trust_free(trust);
    return 0;
}

static const struct pki_cert alice = {
    .key = PKI_ALICE, .name = "alice", .san = "URI:sip:alice@example.com", .issuer_key = PKI_CA
};
static const struct pki_cert sub_ca = {
    .key = PKI_MALLORY, .name = "Sub", .issuer_key = PKI_CA, .ca = true, .serial = 7
};

static enum mkt_rc
verify(const struct mkt_cert *const *chain, size_t n, const char **what)
{
    struct mkt_err err = { 0 };
    enum mkt_rc rc = mkt_trust_verify(trust, chain, n, MKT_FOR_SIGNING, AT, &err);
    if (what != NULL)
        *what = err.what;
    return rc;
}

static void
assert_refused_alone(struct pki_cert what, const char *reason)
{
    const struct mkt_cert *cert = pki_make(&p, &what);
    const char *why;
    assert_int_equal(verify(&cert, 1, &why), MKT_E_CERT);
    assert_string_equal(why, reason);
}

/* --- paths ---------------------------------------------------------------------------------- */

static void
accepts_a_certificate_issued_by_an_anchor(void **state)
{
    const struct mkt_cert *cert = pki_make(&p, &alice);
    (void)state;
    assert_int_equal(verify(&cert, 1, NULL), MKT_OK);
}

static void
accepts_a_chain_in_order_with_or_without_its_root(void **state)
{
    struct pki_cert user = alice;
    user.issuer = "Sub";
    user.issuer_key = PKI_MALLORY;
    const struct pki_cert root = { .key = PKI_CA, .name = " CA", .issuer_key = PKI_CA, .ca = true };
    const struct mkt_cert *chain[] = { pki_make(&p, &user), pki_make(&p, &sub_ca),
                                       pki_make(&p, &root) };
    (void)state;
    assert_int_equal(verify(chain, 2, NULL), MKT_OK); /* RFC6043:4.2.1.3-4 */
    assert_int_equal(verify(chain, 3, NULL), MKT_OK);
    assert_int_equal(verify(chain, 1, NULL), MKT_E_CERT);
}

static void
refuses_a_chain_out_of_order(void **state)
{
    struct pki_cert user = alice;
    user.issuer = "Sub";
    user.issuer_key = PKI_MALLORY;
    const struct mkt_cert *sub = pki_make(&p, &sub_ca), *own = pki_make(&p, &user);
    const struct mkt_cert *other = pki_make(&p, &alice);
    const struct mkt_cert *own_last[] = { sub, own };
    const struct mkt_cert *stranger_between[] = { own, other, sub };
    const struct mkt_cert *stranger_behind[] = { own, sub, other };
    (void)state;
    assert_int_equal(verify(own_last, 2, NULL), MKT_E_CERT);         /* RFC6043:4.2.1.3-3 */
    assert_int_equal(verify(stranger_between, 3, NULL), MKT_E_CERT); /* RFC6043:4.2.1.3-4 */
    assert_int_equal(verify(stranger_behind, 3, NULL), MKT_E_CERT);  /* RFC6043:4.2.1.3-4 */
}

static void
refuses_a_chain_of_names_without_signatures(void **state)
{
    /* The second one has the name of the issuer, and another key. */
    const struct pki_cert namesake = {
        .key = PKI_MALLORY, .name = " CA", .issuer_key = PKI_CA, .ca = true
    };
    const struct mkt_cert *chain[] = { pki_make(&p, &alice), pki_make(&p, &namesake) };
    (void)state;
    assert_int_equal(verify(chain, 1, NULL), MKT_OK);
    assert_int_equal(verify(chain, 2, NULL), MKT_E_CERT);
}

static void
refuses_what_no_anchor_stands_behind(void **state)
{
    struct pki_cert self = alice, forged = alice, by_a_user = alice;
    (void)state;
    self.issuer = "alice";
    self.issuer_key = PKI_ALICE;
    assert_refused_alone(self, "self-signed certificate");
    forged.issuer_key = PKI_MALLORY;
    assert_refused_alone(forged, "certificate signature failure");
    by_a_user.issuer = "bob";
    by_a_user.issuer_key = PKI_BOB;
    const struct pki_cert bob = { .key = PKI_BOB, .name = "bob", .issuer_key = PKI_CA };
    const struct mkt_cert *chain[] = { pki_make(&p, &by_a_user), pki_make(&p, &bob) };
    assert_int_equal(verify(chain, 2, NULL), MKT_E_CERT); /* bob is no CA */
}

static void
trusts_a_single_user_that_was_added(void **state)
{
    struct pki_cert self = alice;
    struct mkt_err err = { 0 };
    (void)state;
    self.issuer = "alice";
    self.issuer_key = PKI_ALICE;
    const struct mkt_cert *cert = pki_make(&p, &self);
    assert_int_equal(mkt_trust_add(trust, mkt_cert_der(cert), &err), MKT_OK);
    assert_int_equal(verify(&cert, 1, NULL), MKT_OK);
}

static void
an_empty_store_trusts_nobody(void **state)
{
    struct mkt_trust *empty = mkt_trust_new();
    const struct mkt_cert *cert = pki_make(&p, &alice);
    struct mkt_err err = { 0 };
    (void)state;
    assert_int_equal(mkt_trust_verify(empty, &cert, 1, MKT_FOR_SIGNING, AT, &err), MKT_E_CERT);
    assert_int_equal(mkt_trust_verify(empty, &cert, 0, MKT_FOR_SIGNING, AT, &err), MKT_E_CERT);
    mkt_trust_free(empty);
}

/* --- what a certificate itself says --------------------------------------------------------- */

static void
refuses_certificates_outside_their_validity(void **state)
{
    struct pki_cert expired = alice, early = alice;
    struct mkt_err err = { 0 }, err2 = { 0 };
    (void)state;
    expired.from_day = -9;
    expired.to_day = -1;
    early.from_day = 1;
    assert_refused_alone(expired, "certificate has expired");
    assert_refused_alone(early, "certificate is not yet valid");
    assert_int_equal(mkt_cert_check(pki_make(&p, &expired), MKT_FOR_SIGNING, AT, &err), MKT_E_CERT);
    assert_int_equal(mkt_cert_check(pki_make(&p, &early), MKT_FOR_SIGNING, AT, &err2), MKT_E_CERT);
}

static void
refuses_a_chain_through_an_expired_ca(void **state)
{
    struct pki_cert user = alice, ca = sub_ca;
    (void)state;
    user.issuer = "Sub";
    user.issuer_key = PKI_MALLORY;
    ca.from_day = -9;
    ca.to_day = -1;
    const struct mkt_cert *chain[] = { pki_make(&p, &user), pki_make(&p, &ca) };
    const char *why;
    assert_int_equal(verify(chain, 2, &why), MKT_E_CERT);
    assert_string_equal(why, "certificate has expired");
}

static void
key_usage_limits_what_a_key_is_good_for(void **state)
{
    static const struct {
        const char *usage;
        bool signs, encrypts;
    } cases[] = { { NULL, true, true },
                  { "digitalSignature", true, false },
                  { "keyEncipherment", false, true },
                  { "digitalSignature,keyEncipherment", true, true },
                  { "nonRepudiation", false, false } };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pki_cert what = alice;
        struct mkt_err s = { 0 }, e = { 0 }, s2 = { 0 }, e2 = { 0 };
        what.usage = cases[i].usage;
        const struct mkt_cert *cert = pki_make(&p, &what);
        assert_int_equal(mkt_trust_verify(trust, &cert, 1, MKT_FOR_SIGNING, AT, &s) == MKT_OK,
                         cases[i].signs);
        assert_int_equal(mkt_trust_verify(trust, &cert, 1, MKT_FOR_ENCRYPTION, AT, &e) == MKT_OK,
                         cases[i].encrypts);
        assert_int_equal(mkt_cert_check(cert, MKT_FOR_SIGNING, AT, &s2) == MKT_OK, cases[i].signs);
        assert_int_equal(mkt_cert_check(cert, MKT_FOR_ENCRYPTION, AT, &e2) == MKT_OK,
                         cases[i].encrypts);
    }
}

static void
refuses_a_ca_that_may_not_sign_certificates(void **state)
{
    struct pki_cert user = alice, ca = sub_ca;
    (void)state;
    user.issuer = "Sub";
    user.issuer_key = PKI_MALLORY;
    ca.usage = "digitalSignature";
    const struct mkt_cert *chain[] = { pki_make(&p, &user), pki_make(&p, &ca) };
    assert_int_equal(verify(chain, 2, NULL), MKT_E_CERT);
}

static void
refuses_short_keys_and_old_hashes(void **state)
{
    struct pki_cert small = alice, old = alice;
    uint8_t der[4096];
    struct mkt_err err = { 0 };
    struct mkt_cert *cert;
    (void)state;
    small.key = PKI_SMALL;
    struct mkt_span text = mkt_span(der, pki_der(&p, &small, der));
    assert_int_equal(mkt_cert_next(&cert, &text, &err), MKT_E_CERT);
    assert_null(cert);
    old.sha1 = true;
    assert_refused_alone(old, "CA signature digest algorithm too weak");
}

/* --- revocation ----------------------------------------------------------------------------- */

static enum mkt_rc
add_crl(enum pki_key issuer_key, const char *issuer, long revoked, int days)
{
    uint8_t der[4096];
    struct mkt_err err = { 0 };
    return mkt_trust_add_crl(
        trust, mkt_span(der, pki_crl(&p, issuer_key, issuer, revoked, days, der)), &err);
}

static void
refuses_what_a_crl_revokes_and_nothing_else(void **state)
{
    struct pki_cert revoked = alice;
    (void)state;
    revoked.serial = 66;
    const struct mkt_cert *good = pki_make(&p, &alice);
    assert_int_equal(add_crl(PKI_CA, " CA", 66, 30), MKT_OK);
    assert_int_equal(verify(&good, 1, NULL), MKT_OK);
    assert_refused_alone(revoked, "certificate revoked");
}

static void
refuses_a_user_of_a_ca_that_is_revoked(void **state)
{
    struct pki_cert user = alice;
    (void)state;
    user.issuer = "Sub";
    user.issuer_key = PKI_MALLORY;
    const struct mkt_cert *chain[] = { pki_make(&p, &user), pki_make(&p, &sub_ca) };
    assert_int_equal(add_crl(PKI_CA, " CA", 66, 30), MKT_OK);
    assert_int_equal(verify(chain, 2, NULL), MKT_OK); /* the CRL of Sub is not here */
    mkt_trust_free(trust);
    trust = pki_trust(&p);
    assert_int_equal(add_crl(PKI_CA, " CA", 7, 30), MKT_OK);
    assert_int_equal(verify(chain, 2, NULL), MKT_E_CERT);
}

static void
refuses_crls_that_ran_out_or_are_forged(void **state)
{
    const struct mkt_cert *cert = pki_make(&p, &alice);
    const char *why;
    (void)state;
    assert_int_equal(add_crl(PKI_CA, " CA", 0, -1), MKT_OK);
    assert_int_equal(verify(&cert, 1, &why), MKT_E_CERT);
    assert_string_equal(why, "CRL has expired");
    mkt_trust_free(trust);
    trust = pki_trust(&p);
    assert_int_equal(add_crl(PKI_MALLORY, " CA", 0, 30), MKT_OK);
    assert_int_equal(verify(&cert, 1, &why), MKT_E_CERT);
    assert_string_equal(why, "CRL signature failure");
}

static void
a_missing_crl_counts_only_when_one_is_required(void **state)
{
    const struct mkt_cert *cert = pki_make(&p, &alice);
    const char *why;
    (void)state;
    assert_int_equal(add_crl(PKI_MALLORY, "Sub", 0, 30), MKT_OK);
    assert_int_equal(verify(&cert, 1, NULL), MKT_OK);
    mkt_trust_require_crl(trust);
    assert_int_equal(verify(&cert, 1, &why), MKT_E_CERT);
    assert_string_equal(why, "unable to get certificate CRL");
    assert_int_equal(add_crl(PKI_CA, " CA", 0, 30), MKT_OK);
    assert_int_equal(verify(&cert, 1, NULL), MKT_OK);
}

/* --- reading -------------------------------------------------------------------------------- */

static size_t
to_pem(const struct mkt_cert *const *cert, size_t n, char *out, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    for (size_t i = 0; i < n; i++) {
        const uint8_t *der = mkt_cert_der(cert[i]).p;
        X509 *x = d2i_X509(NULL, &der, (long)mkt_cert_der(cert[i]).n);
        BIO_printf(bio, "subject %zu\n", i);
        PEM_write_bio_X509(bio, x);
        X509_free(x);
    }
    int len = BIO_read(bio, out, (int)cap);
    BIO_free(bio);
    return (size_t)len;
}

static void
reads_every_certificate_of_a_pem_file(void **state)
{
    const struct mkt_cert *in[] = { pki_make(&p, &alice), pki_make(&p, &sub_ca) };
    static char pem[8192];
    struct mkt_span text = mkt_span(pem, to_pem(in, 2, pem, sizeof pem));
    struct mkt_err err = { 0 };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct mkt_cert *cert;
        assert_int_equal(mkt_cert_next(&cert, &text, &err), MKT_OK);
        assert_int_equal(cert != NULL, i < 2);
        if (cert != NULL)
            assert_true(mkt_ct_equal(mkt_cert_der(cert), mkt_cert_der(in[i])));
        mkt_cert_free(cert);
    }
}

static void
refuses_texts_that_are_no_certificates_keys_or_crls(void **state)
{
    static const char no_cert[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    static const char *const texts[] = { "", "hello", "0hello", no_cert };
    uint8_t der[4097];
    struct mkt_cert *cert;
    struct mkt_pkey *key;
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct mkt_span text = mkt_span(texts[i], strlen(texts[i]));
        struct mkt_err a = { 0 }, b = { 0 }, c = { 0 };
        assert_int_equal(mkt_trust_add(trust, text, &a), MKT_E_CERT);
        assert_int_equal(mkt_trust_add_crl(trust, text, &b), MKT_E_CERT);
        assert_int_equal(mkt_pkey_new(&key, text, &c), MKT_E_ARGUMENT);
        assert_null(key);
    }
    /* DER is exact: not an octet more, not one less. */
    size_t n = pki_der(&p, &alice, der);
    for (int more = -1; more <= 1; more += 2) {
        struct mkt_span text = mkt_span(der, n + (size_t)more);
        struct mkt_err err = { 0 };
        assert_int_equal(mkt_cert_next(&cert, &text, &err), MKT_E_CERT);
        assert_null(cert);
    }
}

static size_t
key_der(EVP_PKEY *evp, uint8_t *out, bool private)
{
    return (size_t)(private ? i2d_PrivateKey(evp, &out) : i2d_PUBKEY(evp, &out));
}

static void
reads_private_keys_in_der_and_refuses_short_or_public_ones(void **state)
{
    uint8_t der[4096];
    struct mkt_pkey *key;
    struct mkt_err err = { 0 }, err2 = { 0 };
    EVP_PKEY *ec = EVP_EC_gen("P-256");
    (void)state;
    size_t n = key_der(p.evp[PKI_ALICE], der, true);
    assert_int_equal(mkt_pkey_new(&key, mkt_span(der, n), &err), MKT_OK);
    assert_true(mkt_cert_fits(pki_make(&p, &alice), key));
    assert_false(mkt_cert_fits(pki_make(&p, &sub_ca), key));
    mkt_pkey_free(key);
    n = key_der(p.evp[PKI_SMALL], der, true);
    assert_int_equal(mkt_pkey_new(&key, mkt_span(der, n), &err), MKT_E_WEAK_KEY);
    n = key_der(p.evp[PKI_ALICE], der, false);
    assert_int_equal(mkt_pkey_new(&key, mkt_span(der, n), &err2), MKT_E_ARGUMENT);
    n = key_der(ec, der, true);
    err2 = (struct mkt_err){ 0 };
    assert_int_equal(mkt_pkey_new(&key, mkt_span(der, n), &err2), MKT_E_ARGUMENT);
    assert_null(key);
    EVP_PKEY_free(ec);
}

static void
never_asks_for_a_pass_phrase(void **state)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char pem[8192];
    struct mkt_pkey *key;
    struct mkt_err err = { 0 };
    (void)state;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, p.evp[PKI_ALICE], EVP_aes_128_cbc(),
                                                   "secret", 6, NULL, NULL),
                     1);
    int n = BIO_read(bio, pem, sizeof pem);
    BIO_free(bio);
    assert_int_equal(mkt_pkey_new(&key, mkt_span(pem, (size_t)n), &err), MKT_E_ARGUMENT);
    assert_null(key);
}

/* --- names ---------------------------------------------------------------------------------- */

static void
finds_names_by_kind_and_octets(void **state)
{
    struct pki_cert what = alice;
    uint8_t out[64];
    size_t len;
    (void)state;
    what.san = "URI:sip:alice@example.com,email:alice@example.com,URI:sip:al@example.com";
    const struct mkt_cert *cert = pki_make(&p, &what);
    assert_true(mkt_cert_names(cert, MKT_SAN_URI, mkt_span("sip:alice@example.com", 21)));
    assert_true(mkt_cert_names(cert, MKT_SAN_URI, mkt_span("sip:al@example.com", 18)));
    assert_true(mkt_cert_names(cert, MKT_SAN_RFC822, mkt_span("alice@example.com", 17)));
    assert_false(mkt_cert_names(cert, MKT_SAN_RFC822, mkt_span("sip:alice@example.com", 21)));
    assert_false(mkt_cert_names(cert, MKT_SAN_URI, mkt_span("sip:alice@example.co", 20)));
    assert_false(mkt_cert_names(cert, MKT_SAN_URI, mkt_span("sip:Alice@example.com", 21)));
    assert_false(mkt_cert_names(cert, MKT_SAN_URI, mkt_span("", 0)));
    assert_int_equal(mkt_cert_name(cert, MKT_SAN_URI, out, sizeof out, &len), 2);
    assert_int_equal(len, 0);
    assert_int_equal(mkt_cert_name(cert, MKT_SAN_RFC822, out, sizeof out, &len), 1);
    assert_int_equal(len, 17);
    assert_memory_equal(out, "alice@example.com", 17);
    assert_int_equal(mkt_cert_name(cert, MKT_SAN_RFC822, out, 16, &len), 1);
    assert_int_equal(len, 0);
    assert_int_equal(mkt_cert_name(pki_make(&p, &sub_ca), MKT_SAN_URI, out, sizeof out, &len), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_trust, close_trust)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(accepts_a_certificate_issued_by_an_anchor),
        TEST(accepts_a_chain_in_order_with_or_without_its_root),
        TEST(refuses_a_chain_out_of_order),
        TEST(refuses_a_chain_of_names_without_signatures),
        TEST(refuses_what_no_anchor_stands_behind),
        TEST(trusts_a_single_user_that_was_added),
        TEST(an_empty_store_trusts_nobody),
        TEST(refuses_certificates_outside_their_validity),
        TEST(refuses_a_chain_through_an_expired_ca),
        TEST(key_usage_limits_what_a_key_is_good_for),
        TEST(refuses_a_ca_that_may_not_sign_certificates),
        TEST(refuses_short_keys_and_old_hashes),
        TEST(refuses_what_a_crl_revokes_and_nothing_else),
        TEST(refuses_a_user_of_a_ca_that_is_revoked),
        TEST(refuses_crls_that_ran_out_or_are_forged),
        TEST(a_missing_crl_counts_only_when_one_is_required),
        TEST(reads_every_certificate_of_a_pem_file),
        TEST(refuses_texts_that_are_no_certificates_keys_or_crls),
        TEST(reads_private_keys_in_der_and_refuses_short_or_public_ones),
        TEST(never_asks_for_a_pass_phrase),
        TEST(finds_names_by_kind_and_octets),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
