/* SPDX-License-Identifier: Apache-2.0 */
/* What is made outside a call, of one or a few allocations: it is made or it is not, and what was
 * there before stays. */
#include "failing_alloc.h"
#include "pk_call.h"

#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct mkt_err err;

/* Tries until no allocation fails. A try that worked although one failed is libcrypto's doing.
 * Returns how many did not work. */
static unsigned failures_of(enum mkt_rc (*try)(void))
{
    unsigned failed = 0;
    for (long n = 0;; n++) {
        err = (struct mkt_err){ 0 };
        left = n;
        enum mkt_rc rc = try();
        bool reached = left < 0;
        left = -1;
        failed += rc != MKT_OK;
        if (!reached) {
            assert_int_equal(rc, MKT_OK);
            return failed;
        }
    }
}

static enum mkt_rc
new_trust(void)
{
    struct mkt_trust *t = mkt_trust_new();
    mkt_trust_free(t);
    return t != NULL ? MKT_OK : MKT_E_MEMORY;
}

static bool
no_octets(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx, (void)out, (void)n;
    return false;
}

static void
a_trust_store_is_made_wholly_or_not_at_all(void **state)
{
    (void)state;
    assert_true(failures_of(new_trust) > 3);
}

static uint8_t text[4096];
static size_t text_len;

static enum mkt_rc
read_key(void)
{
    struct mkt_pkey *key = NULL;
    enum mkt_rc rc = mkt_pkey_new(&key, mkt_span(text, text_len), &err);
    assert_int_equal(rc == MKT_OK, key != NULL);
    mkt_pkey_free(key);
    return rc;
}

static void
a_private_key_is_read_wholly_or_not_at_all(void **state)
{
    uint8_t *end = text;
    (void)state;
    text_len = (size_t)i2d_PrivateKey(keyring.evp[PKI_ALICE], &end);
    assert_true(failures_of(read_key) > 3);
}

static enum mkt_rc
import_grant(void)
{
    struct mkt_grant *g = NULL;
    enum mkt_rc rc = mkt_grant_import(&g, mkt_span(text, text_len), &err);
    assert_int_equal(rc == MKT_OK, g != NULL);
    assert_true(rc == MKT_OK || rc == MKT_E_MEMORY);
    mkt_grant_free(g);
    return rc;
}

static void
a_ticket_file_is_read_wholly_or_not_at_all(void **state)
{
    (void)state;
    assert_int_equal(call_until_grant(&call), MKT_OK);
    assert_int_equal(mkt_grant_export(call.grant, text, sizeof text, &text_len), MKT_OK);
    assert_int_equal(failures_of(import_grant), 2); /* the keys while they are read, the grant */
}

static enum mkt_rc
resume(void)
{
    enum mkt_rc rc = mkt_initiator_resume(call.initiator, &call.env, call.grant,
                                          mkt_span(call.init.b, call.init.n), call.bob[0], &err);
    assert_true(rc == MKT_OK || rc == MKT_E_MEMORY || rc == MKT_E_CRYPTO);
    return rc;
}

static void
an_offer_that_was_not_taken_up_again_can_be(void **state)
{
    (void)state;
    assert_int_equal(call_until_offer(&call), MKT_OK);
    assert_true(failures_of(resume) > 1);
    assert_int_equal(call_offered(&call, 0), MKT_OK);
    assert_int_equal(call_accept(&call, 0), MKT_OK);
    assert_int_equal(call_resolve(&call, 0), MKT_OK);
    assert_int_equal(call_resolved(&call, 0), MKT_OK);
    assert_int_equal(call_answered(&call, 0), MKT_OK);
}

/* A second offer that fails for want of memory leaves the first one open, with its answer on the
 * way. */
static void
an_offer_that_fails_leaves_the_one_before_open(void **state)
{
    unsigned failed = 0;
    bool reached = true;
    (void)state;
    call.want.flags |= MKT_TP_J;
    assert_int_equal(call_until_grant(&call), MKT_OK);
    for (long n = 0; reached; n++) {
        assert_int_equal(call_offer(&call), MKT_OK);
        assert_int_equal(call_offered(&call, 0), MKT_OK);
        assert_int_equal(call_accept(&call, 0), MKT_OK);
        assert_int_equal(call_resolve(&call, 0), MKT_OK);
        assert_int_equal(call_resolved(&call, 0), MKT_OK);
        call.offer.responder = call.bob[1];
        left = n;
        enum mkt_rc rc = call_offer(&call);
        reached = left < 0;
        left = -1;
        call.offer.responder = call.bob[0];
        failed += rc != MKT_OK;
        /* an offer that was made takes the place of the one before */
        assert_int_equal(call_answered(&call, 0), rc == MKT_OK ? MKT_E_FIELD : MKT_OK);
    }
    assert_true(failed >= 2);
}

/* The same for what goes to the KMS: a retry that fails leaves its answer to the first. */
static void
a_retry_that_fails_leaves_the_message_before_open(void **state)
{
    unsigned failed = 0;
    bool reached = true;
    (void)state;
    for (long n = 0; reached; n++) {
        assert_int_equal(call_request(&call), MKT_OK);
        assert_int_equal(call_issue(&call), MKT_OK);
        left = n;
        enum mkt_rc rc = call_request(&call);
        reached = left < 0;
        left = -1;
        failed += rc != MKT_OK;
        assert_int_equal(call_granted(&call), rc == MKT_OK ? MKT_E_FIELD : MKT_OK);
    }
    assert_true(failed > 0);
    assert_int_equal(call_until_offer(&call), MKT_OK);
    assert_int_equal(call_offered(&call, 0), MKT_OK);
    assert_int_equal(call_accept(&call, 0), MKT_OK);
    assert_int_equal(call_resolve(&call, 0), MKT_OK);
    call.env.random = no_octets;
    call.choice.sdp_ids = mkt_span("1", 1); /* another choice, which is not answered with */
    assert_int_equal(call_accept(&call, 0), MKT_E_RANDOM);
    call.env.random = mkt_crypto_random;
    call.cap = 30; /* and so does one that does not fit */
    assert_int_equal(call_accept(&call, 0), MKT_E_NO_SPACE);
    call.cap = sizeof call.resp[0].b;
    assert_int_equal(call_resolved(&call, 0), MKT_OK);
    assert_int_equal(without(&call.resp[0], MKT_PL_GENERAL_EXT, 0), 0);
    assert_int_equal(call_answered(&call, 0), MKT_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_trust_store_is_made_wholly_or_not_at_all),
        TEST(a_private_key_is_read_wholly_or_not_at_all),
        TEST(a_ticket_file_is_read_wholly_or_not_at_all),
        TEST(an_offer_that_was_not_taken_up_again_can_be),
        TEST(an_offer_that_fails_leaves_the_one_before_open),
        TEST(a_retry_that_fails_leaves_the_message_before_open),
    };
    if (!failing_alloc_begin())
        return EXIT_FAILURE;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
