/* SPDX-License-Identifier: Apache-2.0 */
/* A signed Ticket Request with the Nth allocation failing, libcrypto's own included: it is refused,
 * or answered as it should be, and nothing is left behind. */
#include "failing_alloc.h"
#include "pk_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define EACH 300 /* so many allocations fail one by one, those after them in steps */
#define STEP 7

/* Alice asks and the KMS answers. */
static enum mkt_rc
ask_and_answer(void)
{
    const struct mkt_credential cred = { .self = call.alice, .kms = call.kms, .pk = &cred_alice };
    mkt_initiator_free(call.initiator);
    mkt_grant_free(call.grant);
    call.grant = NULL;
    call.initiator = mkt_initiator_new(&cred);
    if (call.initiator == NULL)
        return MKT_E_MEMORY;
    enum mkt_rc rc = call_request(&call);
    if (rc == MKT_OK)
        rc = kms_answers(&call.request, &call.granted);
    return rc == MKT_OK ? call_granted(&call) : rc;
}

/* With memory again all is well, at once or, if the failure hit libcrypto 3.0 between the two
 * halves of its blinding, when that is made anew after 32 uses of the key. */
static void
assert_it_recovers(void)
{
    int tries = 0;
    while (ask_and_answer() != MKT_OK)
        assert_true(++tries < 40);
}

static void
run_with_failure(long n, bool *done)
{
    assert_int_equal(open_a_call(NULL), 0);
    left = n;
    enum mkt_rc rc = ask_and_answer();
    *done = left >= 0;
    left = -1;
    mkt_kms_end(call.txn);
    assert_int_equal(rc == MKT_OK, call.grant != NULL);
    if (*done)
        assert_int_equal(rc, MKT_OK);
    assert_it_recovers();
    close_the_call(NULL);
}

static void
a_signed_request_survives_any_failing_allocation(void **state)
{
    bool done = false;
    (void)state;
    for (long n = 0; !done; n += n < EACH ? 1 : STEP)
        run_with_failure(n, &done);
}

/* The same with the user on a CRL: no failure may let it through. */
static void
no_failing_allocation_hides_a_revocation(void **state)
{
    uint8_t der[4096];
    bool done = false;
    (void)state;
    size_t len = pki_crl(&keyring, PKI_CA, " CA", 100, 30, der);
    for (long n = 0; !done; n += n < EACH ? 1 : STEP) {
        struct mkt_err err = { 0 };
        assert_int_equal(open_a_call(NULL), 0);
        alice_signs(0);
        assert_int_equal(mkt_trust_add_crl(trust, mkt_span(der, len), &err), MKT_OK);
        assert_int_equal(call_request(&call), MKT_OK);
        left = n;
        enum mkt_rc rc = kms_verify(&call.request, &err);
        done = left >= 0;
        left = -1;
        assert_int_not_equal(rc, MKT_OK);
        close_the_call(NULL);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_request_survives_any_failing_allocation),
        cmocka_unit_test(no_failing_allocation_hides_a_revocation),
    };
    if (!failing_alloc_begin())
        return EXIT_FAILURE;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
