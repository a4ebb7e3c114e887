/* SPDX-License-Identifier: Apache-2.0 */
/* Whole calls that must work: every legal use of forking, random values and timestamps, in both
 * suites, with more than one answer to one offer. */
#include "three_party.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define BASE (MKT_TP_D | MKT_TP_E | MKT_TP_N | MKT_TP_O)

static const uint8_t suites[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };
static const uint8_t ts_types[] = { MKT_TS_NTP_UTC, MKT_TS_NTP, MKT_TS_COUNTER, MKT_TS_NTP_UTC_32 };

/* Flags that may be combined for a ticket with a TGK (RFC 6043 6.10). */
static const struct flags {
    uint16_t set;
    bool forks, fresh; /* RANDRr of each Responder in the keys */
} legal[] = {
    { BASE | MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_I, true, true },
    { BASE | MKT_TP_F | MKT_TP_G | MKT_TP_I, true, true },
    { BASE | MKT_TP_F | MKT_TP_H | MKT_TP_I, true, false },
    { BASE | MKT_TP_F | MKT_TP_G | MKT_TP_H, false, true },
    { BASE | MKT_TP_F | MKT_TP_G, false, true },
    { BASE | MKT_TP_F | MKT_TP_H, false, false },
    { BASE | MKT_TP_H, false, false },
};

static struct mkt_secret
keys_of(struct call *c, const struct mkt_csb *csb)
{
    struct mkt_secret keys = { 0 };
    assert_non_null(csb);
    assert_int_equal(call_keys(c, csb, &keys), MKT_OK);
    assert_true(keys.n >= 16 + 14);
    return keys;
}

static bool
equal(const struct mkt_secret *a, const struct mkt_secret *b)
{
    return mkt_ct_equal(mkt_secret_span(a), mkt_secret_span(b));
}

/* Both ends of each answer have the same keys; two devices share them exactly when nothing of
 * theirs is in them. */
static void
run_combination(uint8_t prf, const struct flags *f, uint8_t ts_type)
{
    struct call c;
    struct mkt_secret keys[RESPONDERS];
    assert_true(call_open(&c, prf, ts_type));
    c.want.flags = f->set;
    assert_int_equal(call_whole(&c, RESPONDERS), MKT_OK);
    for (size_t k = 0; k < RESPONDERS; k++) {
        struct mkt_secret at_alice = keys_of(&c, c.at_alice[k]);
        keys[k] = keys_of(&c, c.at_bob[k]);
        assert_true(equal(&at_alice, &keys[k]));
        assert_int_equal(mkt_csb_id(c.at_alice[k]), mkt_csb_id(c.at_bob[k]));
        assert_true(mkt_identity_equal(mkt_csb_peer(c.at_bob[k]), c.alice));
        /* RFC6043:4.2.2.3-10: with forking the KMS vouches for who answered */
        if (f->forks)
            assert_true(mkt_identity_equal(mkt_csb_peer(c.at_alice[k]), c.bob[k]));
    }
    /* RFC6043:6.10-7 RFC6043:12.1-6 */
    assert_int_equal(equal(&keys[0], &keys[1]), !f->forks && !f->fresh);
    call_close(&c);
}

static void
both_ends_agree_for_every_legal_use_of_forking_rands_and_timestamps(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(suites); s++)
        for (size_t f = 0; f < COUNT(legal); f++)
            for (size_t t = 0; t < COUNT(ts_types); t++)
                run_combination(suites[s], &legal[f], ts_types[t]);
}

/* The rules of 6.10, written again from the text. */
static bool
allowed(uint16_t flags)
{
    bool d = flags & MKT_TP_D, e = flags & MKT_TP_E, f = flags & MKT_TP_F, g = flags & MKT_TP_G;
    bool h = flags & MKT_TP_H, i = flags & MKT_TP_I, l = flags & MKT_TP_L, m = flags & MKT_TP_M;
    bool k = flags & MKT_TP_K;
    return (d || l) && (!g || f) && (g || h) && (!i || e) && (!k || d) && (!m || f);
}

static void
an_initiator_asks_for_no_combination_of_flags_that_contradicts_itself(void **state)
{
    struct call c;
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    for (unsigned flags = 0; flags < 1U << 12; flags++) {
        bool k = (flags & MKT_TP_K) != 0; /* not for the Initiator to set */
        c.want.flags = (uint16_t)flags;
        enum mkt_rc want = !allowed((uint16_t)flags) ? MKT_E_TP_FLAGS : k ? MKT_E_TP_PARAM : MKT_OK;
        assert_int_equal(call_request(&c), want); /* RFC6043:6.10-9 */
        assert_int_equal(c.request.n == 0, want != MKT_OK);
    }
    call_close(&c);
}

/* What a KMS makes of each wish is a ticket both sides can use, or a refusal. */
static void
every_policy_that_is_granted_works(void **state)
{
    size_t granted = 0;
    (void)state;
    for (unsigned flags = 0; flags < 1U << 12; flags++) {
        struct call c;
        if (!allowed((uint16_t)flags) || (flags & MKT_TP_K) != 0 || (flags & MKT_TP_N) == 0)
            continue;
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
        c.want.flags = (uint16_t)flags;
        assert_int_equal(call_until_offer(&c), MKT_OK);
        c.want.flags = mkt_grant_policy(c.grant)->flags; /* F may have been added */
        assert_true(allowed(c.want.flags));
        enum mkt_rc rc = call_offered(&c, 0);
        if ((c.want.flags & MKT_TP_O) == 0) {
            assert_int_equal(rc, MKT_E_TICKET_TYPE); /* RFC6043:6.10-13 */
        } else {
            assert_int_equal(rc, MKT_OK);
            assert_int_equal(call_accept(&c, 0), MKT_OK);
            assert_int_equal(call_resolve(&c, 0), MKT_OK);
            assert_int_equal(call_resolved(&c, 0), MKT_OK);
            assert_int_equal(call_answered(&c, 0), MKT_OK);
            granted++;
        }
        call_close(&c);
    }
    assert_true(granted > 100);
}

static void
without_F_no_answer_is_sent_and_none_is_taken(void **state)
{
    struct call c;
    struct mkt_csb *csb = NULL;
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.want.flags = BASE | MKT_TP_H;
    assert_int_equal(call_whole(&c, 1), MKT_OK);
    assert_int_equal(c.resp[0].n, 0); /* RFC6043:6.10-4 RFC3830:5.3-6 */
    call_close(&c);

    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_whole(&c, 1), MKT_OK);
    assert_int_not_equal(c.resp[0].n, 0); /* RFC6043:4.2.2.2-4 RFC6043:6.10-4 */
    assert_int_equal(mkt_initiator_established(c.initiator, &c.env, &csb, &c.io.err), MKT_E_STATE);
    assert_null(csb);
    call_close(&c);
}

static void
answers_may_come_late_twice_and_in_any_order(void **state)
{
    struct call c;
    (void)state;
    assert_true(call_open(&c, MKT_PRF_HMAC_SHA_256, MKT_TS_NTP_UTC));
    assert_int_equal(call_until_offer(&c), MKT_OK);
    for (size_t k = 0; k < RESPONDERS; k++) {
        assert_int_equal(call_offered(&c, k), MKT_OK);
        assert_int_equal(call_accept(&c, k), MKT_OK);
        assert_int_equal(call_resolve(&c, k), MKT_OK);
        assert_int_equal(call_resolved(&c, k), MKT_OK);
    }
    for (size_t k = RESPONDERS; k-- > 0;) {
        assert_int_equal(call_answered(&c, k), MKT_OK);
        struct mkt_secret first = keys_of(&c, c.at_alice[k]);
        assert_int_equal(call_answered(&c, k), MKT_OK); /* a retransmission gives the same keys */
        struct mkt_secret again = keys_of(&c, c.at_alice[k]);
        assert_true(equal(&first, &again));
    }
    call_close(&c);
}

static void
a_retry_makes_a_new_message_and_closes_the_old_request(void **state)
{
    struct call c;
    struct message old;
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(call_issue(&c), MKT_OK);
    old = c.granted;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(call_issue(&c), MKT_OK);
    struct message answer = c.granted;
    c.granted = old;
    assert_int_not_equal(call_granted(&c), MKT_OK);
    assert_null(c.grant);
    c.granted = answer;
    assert_int_equal(call_granted(&c), MKT_OK);
    call_close(&c);
}

static void
an_offer_is_taken_up_again_with_an_imported_ticket(void **state)
{
    struct call c;
    uint8_t file[4096];
    size_t len;
    struct mkt_grant *copy = NULL;
    struct mkt_err err = { 0 };
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(mkt_grant_export(c.grant, file, sizeof file, &len), MKT_OK);
    /* RFC6043:4.2.1.6-1 */
    assert_int_equal(mkt_grant_import(&copy, mkt_span(file, len), &err), MKT_OK);
    mkt_initiator_free(c.initiator);
    c.initiator = mkt_initiator_new(&(struct mkt_credential){ .self = c.alice, .kms = c.kms });
    assert_non_null(c.initiator);
    struct mkt_span init = mkt_span(c.init.b, c.init.n);
    assert_int_equal(mkt_initiator_resume(c.initiator, &c.env, copy, init, c.bob[0], &err), MKT_OK);
    mkt_grant_free(c.grant);
    c.grant = copy;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_OK);
    assert_int_equal(call_resolved(&c, 0), MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    call_close(&c);
}

static void
an_offer_that_is_not_ours_is_not_taken_up(void **state)
{
    struct call c, d;
    struct mkt_err err = { 0 };
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_true(call_open(&d, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    d.drawn = 77;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_until_offer(&d), MKT_OK);
    struct mkt_span init = mkt_span(d.init.b, d.init.n);
    assert_int_equal(mkt_initiator_resume(c.initiator, &c.env, c.grant, init, c.bob[0], &err),
                     MKT_E_AUTH);
    call_close(&c);
    call_close(&d);
}

/* Every buffer that is too small is refused without harm, whatever its size. */
static void
a_small_buffer_is_refused_and_the_step_can_be_taken_again(void **state)
{
    struct call c;
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    enum mkt_rc (*const steps[])(struct call *) = { call_request, call_issue, call_granted,
                                                    call_offer };
    enum mkt_rc (*const of_bob[])(struct call *, size_t) = { call_offered, call_accept,
                                                             call_resolve, call_resolved };
    for (size_t i = 0; i < COUNT(steps) + COUNT(of_bob); i++) {
        enum mkt_rc rc = MKT_E_NO_SPACE;
        for (c.cap = 0; rc == MKT_E_NO_SPACE && c.cap < sizeof c.request.b; c.cap++)
            rc = i < COUNT(steps) ? steps[i](&c) : of_bob[i - COUNT(steps)](&c, 0);
        assert_int_equal(rc, MKT_OK);
    }
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    call_close(&c);
}

static void
a_random_generator_that_fails_stops_the_call_and_nothing_else(void **state)
{
    long n = 0;
    enum mkt_rc rc;
    (void)state;
    do {
        struct call c;
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
        c.random_left = n++;
        rc = call_whole(&c, 1);
        assert_true(rc == MKT_OK || rc == MKT_E_RANDOM); /* RFC3830:4.2.2-1 */
        assert_int_equal(rc == MKT_OK, c.at_alice[0] != NULL);
        call_close(&c);
    } while (rc != MKT_OK);
    assert_true(n > 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_agree_for_every_legal_use_of_forking_rands_and_timestamps),
        cmocka_unit_test(an_initiator_asks_for_no_combination_of_flags_that_contradicts_itself),
        cmocka_unit_test(every_policy_that_is_granted_works),
        cmocka_unit_test(without_F_no_answer_is_sent_and_none_is_taken),
        cmocka_unit_test(answers_may_come_late_twice_and_in_any_order),
        cmocka_unit_test(a_retry_makes_a_new_message_and_closes_the_old_request),
        cmocka_unit_test(an_offer_is_taken_up_again_with_an_imported_ticket),
        cmocka_unit_test(an_offer_that_is_not_ours_is_not_taken_up),
        cmocka_unit_test(a_small_buffer_is_refused_and_the_step_can_be_taken_again),
        cmocka_unit_test(a_random_generator_that_fails_stops_the_call_and_nothing_else),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
