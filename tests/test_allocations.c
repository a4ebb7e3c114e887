/* SPDX-License-Identifier: Apache-2.0 */
/* A whole call with the Nth allocation failing, for N = 0, 1, 2 ... until none fails: each time
 * the call stops with an error, gives no key, and leaves nothing behind (the leak checker of a
 * sanitizer build sees to that). Allocations inside libcrypto fail like the library's own. */
#include "failing_alloc.h"
#include "three_party.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Runs a call of two answers with allocation n failing. Sets *done when it was never reached. */
static void
run_with_failure(long n, uint8_t prf, bool *done)
{
    struct call c;
    left = n;
    bool opened = call_open(&c, prf, MKT_TS_NTP_UTC);
    enum mkt_rc rc = opened ? call_whole(&c, RESPONDERS) : MKT_E_MEMORY;
    bool reached = left == -1;
    left = -1;
    if (opened && rc != MKT_OK) {
        assert_true(reached); /* it failed for the reason we injected */
        if (rc != MKT_E_MEMORY && rc != MKT_E_CRYPTO)
            fail_msg("allocation %ld: %s: %s", n, mkt_rc_name(rc), c.io.err.what);
        assert_int_equal(c.io.out_len, 0);
        assert_null(c.at_alice[RESPONDERS - 1]);
    }
    *done = !reached;
    if (*done)
        assert_int_equal(rc, MKT_OK);
    call_close(&c);
}

static void
walk(uint8_t prf)
{
    bool done = false;
    long n = 0;
    for (; !done; n++)
        run_with_failure(n, prf, &done);
    assert_true(n > 20); /* there was something to fail */
}

static void
each_allocation_of_a_call_can_fail_at_128_bit(void **state)
{
    (void)state;
    walk(MKT_PRF_MIKEY_1);
}

static void
each_allocation_of_a_call_can_fail_at_256_bit(void **state)
{
    (void)state;
    walk(MKT_PRF_HMAC_SHA_256);
}

/* What was refused for want of memory works when it is tried again. */
static void
a_step_that_failed_can_be_taken_again(void **state)
{
    (void)state;
    struct call c;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    enum mkt_rc (*const steps[])(struct call *) = { call_request, call_issue, call_granted,
                                                    call_offer };
    enum mkt_rc (*const of_bob[])(struct call *, size_t) = { call_offered, call_accept,
                                                             call_resolve, call_resolved,
                                                             call_answered };
    for (size_t i = 0; i < 9; i++) {
        enum mkt_rc rc = MKT_E_MEMORY;
        for (long n = 0; rc != MKT_OK; n++) {
            assert_true(n < 1000);
            left = n;
            rc = i < 4 ? steps[i](&c) : of_bob[i - 4](&c, 0);
            left = -1;
        }
    }
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_of_a_call_can_fail_at_128_bit),
        cmocka_unit_test(each_allocation_of_a_call_can_fail_at_256_bit),
        cmocka_unit_test(a_step_that_failed_can_be_taken_again),
    };
    if (!failing_alloc_begin())
        return EXIT_FAILURE;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
