/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between users with certificates, and what a KMS refuses of them. */
#include "pki.h"
#include "three_party.h"

#include "keys/keys.h"
#include "keys/pk.h"
#include "role/kms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define SUB_CA_SERIAL 7

static struct call c;
static struct pki p;
static struct mkt_trust *trust;
static const struct mkt_cert *alice, *bob, *kms, *kms2, *sub;
static const struct mkt_cert *alice_chain[2], *bob_chain[2];
static struct mkt_kms_key kms_keys[2];
static struct mkt_pk_credential cred_alice, cred_bob; /* as set by use_pk */
static struct mkt_kms_pk how;

static struct pki_cert
user_cert(enum pki_key key, const char *san)
{
    return (struct pki_cert){ .key = key, .name = "user", .san = san, .issuer_key = PKI_CA };
}

static int
open_pki(void **state)
{
    (void)state;
    if (!pki_open(&p, mkt_ntp_to_unix(NOW)))
        return -1;
    struct pki_cert b = user_cert(PKI_BOB, "URI:sip:bob@example.com");
    b.issuer = "Sub";
    b.issuer_key = PKI_MALLORY;
    alice_chain[0] = alice = pki_make(&p, &(struct pki_cert){ .key = PKI_ALICE,
                                                              .name = "alice",
                                                              .san = "URI:sip:alice@example.com",
                                                              .issuer_key = PKI_CA });
    bob_chain[0] = bob = pki_make(&p, &b);
    bob_chain[1] = sub = pki_make(&p, &(struct pki_cert){ .key = PKI_MALLORY,
                                                          .name = "Sub",
                                                          .issuer_key = PKI_CA,
                                                          .ca = true,
                                                          .serial = SUB_CA_SERIAL });
    struct pki_cert k = user_cert(PKI_KMS, "URI:sip:kms@example.com");
    kms = pki_make(&p, &k);
    k.key = PKI_CA; /* any other key pair */
    kms2 = pki_make(&p, &k);
    kms_keys[0] = (struct mkt_kms_key){ p.key[PKI_KMS], kms };
    kms_keys[1] = (struct mkt_kms_key){ p.key[PKI_CA], kms2 };
    return 0;
}

static int
close_pki(void **state)
{
    (void)state;
    pki_close(&p);
    return 0;
}

static bool
open_call(uint8_t prf)
{
    trust = pki_trust(&p);
    cred_alice = (struct mkt_pk_credential){
        .key = p.key[PKI_ALICE], .chain = alice_chain, .n_chain = 1, .kms = kms
    };
    cred_bob = (struct mkt_pk_credential){
        .key = p.key[PKI_BOB], .chain = bob_chain, .n_chain = 2, .kms = kms
    };
    how = (struct mkt_kms_pk){ .trust = trust, .keys = kms_keys, .n_keys = 1 };
    bool ok = call_open(&c, prf, MKT_TS_NTP_UTC);
    how.kms = c.kms;
    return ok;
}

static int
open_a_call(void **state)
{
    (void)state;
    return open_call(MKT_PRF_HMAC_SHA_256) ? 0 : -1;
}

static int
close_the_call(void **state)
{
    (void)state;
    call_close(&c);
    mkt_trust_free(trust);
    return 0;
}

/* --- users with certificates in place of those with PSKs ------------------------------------- */

static void
alice_signs(unsigned omit)
{
    const struct mkt_credential cred = {
        .self = c.alice, .kms = c.kms, .pk = &cred_alice, .omit = omit
    };
    mkt_initiator_free(c.initiator);
    c.initiator = mkt_initiator_new(&cred);
    assert_non_null(c.initiator);
}

static void
bob_signs(unsigned omit)
{
    const struct mkt_credential cred = {
        .self = c.bob[0], .kms = c.kms, .pk = &cred_bob, .omit = omit
    };
    mkt_responder_free(c.responder[0]);
    c.responder[0] = mkt_responder_new(&cred);
    assert_non_null(c.responder[0]);
}

static struct mkt_io
io_for(const struct message *in, struct message *out)
{
    return (struct mkt_io){ .in = mkt_span(in->b, in->n), .out = out->b, .cap = sizeof out->b };
}

/* The KMS's part; leaves the transaction open, so that a test can look into it. */
static enum mkt_rc
kms_verify(const struct message *in, struct mkt_err *err)
{
    if (mkt_kms_begin(c.txn, mkt_span(in->b, in->n), err) != MKT_OK)
        return err->rc;
    return mkt_kms_verify_pk(c.txn, &c.env, &how, err);
}

static enum mkt_rc
kms_answers(const struct message *in, struct message *out)
{
    const struct mkt_kms_ask *ask = mkt_kms_ask(c.txn);
    const struct mkt_tpk tpk = { .id = mkt_span("tpk", 3), .key = &c.tpk.base };
    struct mkt_io io = io_for(in, out);
    struct mkt_policy granted;

    out->n = 0;
    if (kms_verify(in, &io.err) != MKT_OK)
        return io.err.rc;
    if (!ask->resolve) {
        if (mkt_policy_grant(&granted, ask->policy, &c.rules, ask->client, c.kms, c.env.now,
                             &io.err) != MKT_OK)
            return io.err.rc;
        (void)!mkt_kms_issue(c.txn, &c.env, &granted, &tpk, mkt_span(NULL, 0), &io);
    } else if (mkt_kms_open(c.txn, &c.env, &tpk, &io.err) == MKT_OK) {
        (void)!mkt_kms_resolve(c.txn, &c.env, ask->client, &io);
    }
    out->n = io.out_len;
    mkt_kms_end(c.txn);
    return io.err.rc;
}

static void
assert_both_have_the_same_keys(void)
{
    MKT_SCOPED_SECRET
    at_alice = { 0 };
    MKT_SCOPED_SECRET
    at_bob = { 0 };
    assert_int_equal(call_keys(&c, c.at_alice[0], &at_alice), MKT_OK);
    assert_int_equal(call_keys(&c, c.at_bob[0], &at_bob), MKT_OK);
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
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(c.request.b[1], pk_alice ? MKT_DT_REQUEST_INIT_PK : MKT_DT_REQUEST_INIT_PSK);
    assert_int_equal(pk_alice ? kms_answers(&c.request, &c.granted) : call_issue(&c), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(c.resolve[0].b[1], pk_bob ? MKT_DT_RESOLVE_INIT_PK : MKT_DT_RESOLVE_INIT_PSK);
    assert_int_equal(pk_bob ? kms_answers(&c.resolve[0], &c.resolved[0]) : call_resolve(&c, 0),
                     MKT_OK);
    assert_int_equal(call_resolved(&c, 0), MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
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
                assert_call_works(form / 2 != 1, form / 2 != 2, 0);
            }
}

static void
an_identity_left_out_is_that_of_the_certificate(void **state)
{
    struct mkt_err err = { 0 };
    (void)state;
    assert_call_works(true, true, MKT_OMIT_SELF | MKT_OMIT_KMS); /* RFC6043:4.2.1.3-1 */
    assert_int_equal(kms_verify(&c.request, &err), MKT_OK);
    assert_true(mkt_identity_equal(mkt_kms_ask(c.txn)->client, c.alice));
}

static void
an_nai_is_an_rfc822_name(void **state)
{
    const struct mkt_cert *chain[] = { NULL };
    struct pki_cert what = user_cert(PKI_ALICE, "email:alice@example.com");
    struct mkt_err err = { 0 };
    (void)state;
    chain[0] = pki_make(&p, &what);
    cred_alice.chain = chain;
    c.alice = (struct mkt_identity){ MKT_ID_NAI, mkt_span("alice@example.com", 17) };
    for (unsigned omit = 0; omit <= MKT_OMIT_SELF; omit++) {
        alice_signs(omit);
        assert_int_equal(call_request(&c), MKT_OK);
        assert_int_equal(kms_verify(&c.request, &err), MKT_OK);
        assert_true(mkt_identity_equal(mkt_kms_ask(c.txn)->client, c.alice));
    }
}

static void
a_certificate_that_is_not_sent_must_be_known(void **state)
{
    struct mkt_err err = { 0 };
    (void)state;
    cred_alice.n_chain = 0;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(c.request.b, c.request.n), &err), MKT_OK);
    assert_true(mkt_kms_ask(c.txn)->pk);
    assert_int_equal(mkt_kms_ask(c.txn)->n_certs, 0);
    assert_int_equal(mkt_kms_verify_pk(c.txn, &c.env, &how, &err), MKT_E_CERT);
    how.known = alice_chain;
    how.n_known = 1;
    assert_int_equal(kms_answers(&c.request, &c.granted), MKT_OK); /* RFC6043:4.2.1.3-1 */
    assert_int_equal(call_granted(&c), MKT_OK);
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
            assert_int_equal(call_request(&c), MKT_OK);
            assert_int_equal(kms_answers(&c.request, &c.granted), MKT_OK);
            assert_int_equal(call_granted(&c), MKT_OK);
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
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(kms_verify(&c.request, &err), MKT_E_CERT);
    assert_string_equal(err.what, "CHASH: no key of this KMS");
    how.n_keys = 0;
    assert_int_equal(kms_verify(&c.request, &err2), MKT_E_CERT);
    how.n_keys = 1;
    cred_alice.chash_func = MKT_HASH_MD5;
    assert_int_equal(call_request(&c), MKT_E_HASH);
}

/* --- what clients refuse to send ---------------------------------------------------------------
 */

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
    bad[2].cred.key = p.key[PKI_BOB]; /* not the certificate's */
    bad[3].cred.chain = of_bob;       /* another's certificate */
    bad[4].cred.kms = pki_make(&p, &for_signing);
    bad[5].cred.kms = pki_make(&p, &expired);
    bad[6].cred.kms = alice; /* the envelope would be for another */
    bad[7].cred.sha1 = true; /* RFC6043:12.1 */
    for (size_t i = 0; i < COUNT(bad); i++) {
        cred_alice = bad[i].cred;
        alice_signs(0);
        assert_int_equal(call_request(&c), bad[i].rc);
        assert_int_equal(c.request.n, 0);
    }
}

static void
a_failing_generator_leaves_no_message(void **state)
{
    (void)state;
    cred_alice.s_type = MKT_S_RSA_PSS;
    alice_signs(0);
    for (long left = 0; left < 5; left++) { /* CSB ID, RANDRi, envelope key, padding, salt */
        c.random_left = left;
        assert_int_equal(call_request(&c), MKT_E_RANDOM);
        assert_int_equal(c.request.n, 0);
    }
    c.random_left = -1;
    assert_int_equal(call_request(&c), MKT_OK);
}

static void
refuses_to_write_into_a_buffer_too_small(void **state)
{
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    size_t whole = c.request.n;
    for (c.cap = 0; c.cap < whole; c.cap += 97)
        assert_int_equal(call_request(&c), MKT_E_NO_SPACE);
}

/* --- what the KMS refuses -----------------------------------------------------------------------
 */

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
    assert_int_equal(c.txn->env_key.key.n, 0);
    /* RFC6043:5.4-2: whoever is not authenticated gets an Error without V, if any. */
    assert_int_equal(mkt_kms_refuse(c.txn, &c.env, err.rc, &io), MKT_NEXT_SEND_PEER);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(out.b, io.out_len), &err2), MKT_OK);
    assert_int_equal(m.pl[m.n - 1].type, MKT_PL_ERR);
    mkt_kms_end(c.txn);
}

static void
refuses_the_signature_of_another(void **state)
{
    (void)state;
    cred_alice.n_chain = 0; /* sent along, our own client would notice */
    cred_alice.key = p.key[PKI_BOB];
    how.known = alice_chain;
    how.n_known = 1;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    assert_refused(&c.request, MKT_E_AUTH, "SIGN"); /* RFC6043:4.2.1-1 */
}

static void
refuses_an_identity_that_is_not_in_the_certificate(void **state)
{
    (void)state;
    cred_alice.n_chain = 0;
    cred_alice.key = p.key[PKI_BOB];
    how.known = bob_chain; /* bob, who says he is alice */
    how.n_known = 2;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    assert_refused(&c.request, MKT_E_AUTH, "IDR is not in the certificate");
}

static void
refuses_a_certificate_of_two_names_without_an_identity(void **state)
{
    struct pki_cert two = user_cert(
        PKI_ALICE, "URI:sip:alice@example.com,URI:sip:al@example.com,email:al@example.com");
    const struct mkt_cert *chain[] = { pki_make(&p, &two) };
    struct mkt_err err = { 0 };
    (void)state;
    cred_alice.chain = chain;
    alice_signs(MKT_OMIT_SELF);
    assert_int_equal(call_request(&c), MKT_OK);
    assert_refused(&c.request, MKT_E_AUTH, "no IDR, and the certificate has not one name");
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(kms_verify(&c.request, &err), MKT_OK);
}

/* The signature covers the identities that the message leaves out (RFC 6043 5.5). */
static void
refuses_a_message_signed_for_another_kms(void **state)
{
    (void)state;
    alice_signs(MKT_OMIT_KMS);
    assert_int_equal(call_request(&c), MKT_OK);
    how.kms = mkt_uri("sip:other@example.com");
    assert_refused(&c.request, MKT_E_AUTH, "SIGN"); /* RFC6043:5.5-1 */
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
        const struct mkt_cert *chain[] = { pki_make(&p, &bad[i]) };
        cred_alice.chain = chain;
        alice_signs(0);
        assert_int_equal(call_request(&c), MKT_OK);
        c.request.b[c.request.n - 1] ^= 1; /* the signature, too: it is not reached */
        assert_refused(&c.request, MKT_E_CERT, why[i]);
    }
}

static void
refuses_a_chain_out_of_order_or_cut(void **state)
{
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(call_issue(&c), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_OK);
    cred_bob.n_chain = 1;
    bob_signs(0);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_refused(&c.resolve[0], MKT_E_CERT, NULL);
    cred_bob.n_chain = 0;
    const struct mkt_cert *reversed[] = { sub, bob };
    how.known = reversed;
    how.n_known = 2;
    bob_signs(0);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_refused(&c.resolve[0], MKT_E_CERT, NULL); /* RFC6043:4.2.3.3-3 */
    how.known = bob_chain;
    assert_int_equal(kms_answers(&c.resolve[0], &c.resolved[0]), MKT_OK);
}

static void
refuses_a_user_or_ca_on_a_crl(void **state)
{
    uint8_t der[4096];
    struct mkt_err err = { 0 };
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    size_t n = pki_crl(&p, PKI_CA, " CA", 100, 30, der); /* the default serial number */
    assert_int_equal(mkt_trust_add_crl(trust, mkt_span(der, n), &err), MKT_OK);
    assert_refused(&c.request, MKT_E_CERT, "certificate revoked");
}

static void
a_kms_that_trusts_nobody_serves_nobody(void **state)
{
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    how.trust = NULL;
    assert_refused(&c.request, MKT_E_CERT, NULL);
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
        assert_int_equal(call_request(&c), MKT_OK);
        assert_refused(&c.request, MKT_E_AUTH, "SIGN");
        how.sha1 = true;
        assert_int_equal(kms_answers(&c.request, &c.granted), MKT_OK);
        cred_alice.sha1 = false; /* SHA-256 is accepted in any case */
        alice_signs(0);
        assert_int_equal(call_request(&c), MKT_OK);
        assert_int_equal(kms_verify(&c.request, &err), MKT_OK);
    }
}

/* Signs a message of alice's anew. */
static void
sign_again(struct message *m, uint8_t hash)
{
    struct mkt_span part[3] = { mkt_span(m->b, m->n - 256), c.alice.data, c.kms.data };
    assert_int_equal(
        mkt_rsa_sign(&c.env, p.key[PKI_ALICE], MKT_S_RSA_PKCS1, hash, part, 3, m->b + m->n - 256),
        MKT_OK);
}

static void
sha1_in_the_256_bit_suite_is_refused_whatever_is_allowed(void **state)
{
    (void)state;
    how.sha1 = true;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    sign_again(&c.request, MKT_HASH_SHA_1);
    assert_refused(&c.request, MKT_E_AUTH, "SIGN"); /* RFC6043:12.1 */
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
    assert_int_equal(call_request(&c), MKT_OK);
    pke_of(&c.request)[200] ^= 1;
    assert_refused(&c.request, MKT_E_AUTH, "SIGN");
    sign_again(&c.request, MKT_HASH_SHA_256);
    assert_refused(&c.request, MKT_E_AUTH, "PKE");
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
        assert_int_equal(call_request(&c), MKT_OK);
        pke_of(&c.request)[100] ^= i;
        sign_again(&c.request, MKT_HASH_SHA_256);
        enum mkt_rc rc = kms_verify(&c.request, &err);
        if (rc == MKT_OK) {
            assert_int_equal(kms_answers(&c.request, &c.granted), MKT_OK);
            assert_int_equal(call_granted(&c), MKT_E_AUTH);
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
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(mkt_pke_seal(&c.env, kms, MKT_PAD_PKCS1, mkt_span(key, sizeof key), sealed),
                     MKT_OK);
    memcpy(pke_of(&c.request), sealed, sizeof sealed);
    sign_again(&c.request, MKT_HASH_SHA_256);
    assert_int_equal(kms_verify(&c.request, &err), MKT_E_AUTH);
    assert_string_equal(err.what, "PKE");
}

static void
refuses_paddings_that_are_not_allowed(void **state)
{
    (void)state;
    how.paddings = 1U << MKT_PAD_OAEP_SHA_256;
    cred_alice.padding = MKT_PAD_OAEP_SHA_256;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(kms_answers(&c.request, &c.granted), MKT_OK);
    cred_alice.padding = MKT_PAD_PKCS1;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_refused(&c.request, MKT_E_AUTH, "PKE");
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
    assert_int_equal(call_request(&c), MKT_OK);
    with_cert(&c.request, MKT_CERT_SIGN, der);
    assert_int_equal(kms_verify(&c.request, &err), MKT_OK); /* RFC3830:6.7 */
    with_cert(&c.request, MKT_CERT_ENCR, der);
    assert_refused(&c.request, MKT_E_CERT, "CERT: Cert Type");
    with_cert(&c.request, MKT_CERT_URL, mkt_span("http://example.com/", 19));
    assert_refused(&c.request, MKT_E_CERT, "CERT: Cert Type");
    with_cert(&c.request, MKT_CERT_X509, mkt_span(pem, sizeof pem));
    assert_refused(&c.request, MKT_E_CERT, "CERT: not DER");
    with_cert(&c.request, MKT_CERT_X509, mkt_span(NULL, 0));
    assert_refused(&c.request, MKT_E_CERT, "CERT: not DER");
    with_cert(&c.request, MKT_CERT_X509, mkt_span(der.p, der.n - 1));
    assert_refused(&c.request, MKT_E_CERT, NULL);
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
    c.cap = sizeof c.request.b;
    assert_int_equal(call_request(&c), MKT_E_ARGUMENT);
    how.known = chain;
    how.n_known = MKT_CHAIN_MAX + 1;
    cred_alice.n_chain = 0;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_refused(&c.request, MKT_E_CERT, NULL);
}

static void
each_way_of_verifying_is_for_its_own_messages(void **state)
{
    struct mkt_err err = { 0 }, err2 = { 0 }, err3 = { 0 };
    (void)state;
    assert_int_equal(mkt_kms_verify_pk(c.txn, &c.env, &how, &err), MKT_E_STATE);
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(kms_verify(&c.request, &err2), MKT_E_STATE);
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(c.request.b, c.request.n), &err3), MKT_OK);
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_alice.base, c.alice, c.kms, &err3),
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
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(kms_verify(&c.request, &err), MKT_OK);
    assert_int_equal(mkt_kms_ask(c.txn)->cache, MKT_CACHE_YES);
    assert_int_equal(c.txn->env_key.key.n, 32);
    mkt_kms_end(c.txn);
    assert_int_equal(c.txn->env_key.key.n, 0);
    assert_memory_equal(c.txn->env_key.key.b, none, sizeof none);
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
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(kms_verify(&c.request, &err), MKT_OK);
    enum mkt_next next = by == NULL
                             ? mkt_kms_refuse(c.txn, &c.env, MKT_E_TICKET_TYPE, &io)
                             : mkt_kms_refuse_signed(c.txn, &c.env, MKT_E_TICKET_TYPE, by, &io);
    assert_int_equal(next, MKT_NEXT_SEND_PEER);
    mkt_kms_end(c.txn);
    struct mkt_io in = { .in = mkt_span(out.b, io.out_len) };
    assert_int_equal(mkt_initiator_granted(c.initiator, &c.env, &in, &grant), MKT_NEXT_ABORT);
    assert_int_equal(in.err.rc, MKT_E_PEER_ERROR);
    assert_int_equal(in.peer_error, MKT_ERR_INVALID_TICKET);
    assert_null(grant);
    /* A hint changes nothing: the request can still be answered (RFC6043:5.4). */
    assert_int_equal(kms_answers(&c.request, &c.granted), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_OK);
    mkt_grant_free(c.grant);
    c.grant = NULL;
    return in;
}

static void
errors_are_authentic_with_v_or_with_the_signature_of_the_kms(void **state)
{
    struct mkt_kms_signer by = { .key = p.key[PKI_KMS] };
    (void)state;
    alice_signs(0);
    assert_true(refusal_of_a_verified_request(NULL).peer_error_authentic); /* RFC6043:5.4-3 */
    assert_true(refusal_of_a_verified_request(&by).peer_error_authentic);  /* RFC6043:5.4-3 */
    by.s_type = MKT_S_RSA_PSS;
    assert_true(refusal_of_a_verified_request(&by).peer_error_authentic);
    by.key = p.key[PKI_BOB];
    assert_false(refusal_of_a_verified_request(&by).peer_error_authentic);
    by = (struct mkt_kms_signer){ .key = p.key[PKI_KMS], .sha1 = true };
    assert_false(refusal_of_a_verified_request(&by).peer_error_authentic);
}

static void
an_error_signed_with_an_encryption_key_is_a_hint_only(void **state)
{
    struct pki_cert only = user_cert(PKI_KMS, "URI:sip:kms@example.com");
    const struct mkt_kms_signer by = { .key = p.key[PKI_KMS] };
    (void)state;
    only.usage = "keyEncipherment";
    cred_alice.kms = pki_make(&p, &only);
    alice_signs(0);
    assert_false(refusal_of_a_verified_request(&by).peer_error_authentic);
    assert_true(refusal_of_a_verified_request(NULL).peer_error_authentic);
}

static void
strangers_get_no_signature(void **state)
{
    const struct mkt_kms_signer by = { .key = p.key[PKI_KMS] };
    struct message out;
    struct mkt_io io = { .out = out.b, .cap = sizeof out.b };
    struct mkt_err err = { 0 };
    (void)state;
    alice_signs(0);
    assert_int_equal(call_request(&c), MKT_OK);
    c.request.b[c.request.n - 1] ^= 1;
    assert_int_equal(kms_verify(&c.request, &err), MKT_E_AUTH);
    assert_int_equal(mkt_kms_refuse_signed(c.txn, &c.env, MKT_E_AUTH, &by, &io),
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
        TEST(refuses_the_signature_of_another),
        TEST(refuses_an_identity_that_is_not_in_the_certificate),
        TEST(refuses_a_certificate_of_two_names_without_an_identity),
        TEST(refuses_a_message_signed_for_another_kms),
        TEST(refuses_bad_certificates_before_it_looks_at_the_signature),
        TEST(refuses_a_chain_out_of_order_or_cut),
        TEST(refuses_a_user_or_ca_on_a_crl),
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
        TEST(errors_are_authentic_with_v_or_with_the_signature_of_the_kms),
        TEST(an_error_signed_with_an_encryption_key_is_a_hint_only),
        TEST(strangers_get_no_signature),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
