/* SPDX-License-Identifier: Apache-2.0 */
/* Corners that a seeded bug (tests/mutants) went through unseen: a key that does not fit its suite,
 * a KMS that is another one, a generator that repeats itself. */
#include "one_call.h"

#include "role/kms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
a_128_bit_key_asks_for_nothing_of_the_256_bit_suite(void **state)
{
    (void)state;
    c.want.prf = MKT_PRF_HMAC_SHA_256;
    assert_int_equal(call_request(&c), MKT_E_WEAK_KEY); /* RFC6043:12.1-8 */
    assert_int_equal(c.request.n, 0);
    c.want.prf = 77;
    assert_int_equal(call_request(&c), MKT_E_PRF);
}

static void
a_request_for_another_kms_is_refused(void **state)
{
    struct mkt_identity kms = c.kms;
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    c.kms = mkt_uri("sip:kms@example.org");
    assert_int_equal(call_issue(&c), MKT_E_IDENTITY);
    c.kms = kms;
    assert_int_equal(call_issue(&c), MKT_OK);
}

/* Draws four octets at a time from 1, 1, 2, 2, 3 ...: SPIs, for which the KMS asks so. */
static bool
stutter(void *ctx, uint8_t *out, size_t n)
{
    struct call *call = ctx;
    memset(out, (int)(call->drawn++ / 2 + 1), n);
    return true;
}

static bool
stuck(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    memset(out, 5, n);
    return true;
}

static void
no_two_keys_of_a_ticket_have_one_spi(void **state)
{
    (void)state;
    c.want.has_kemac = true;
    c.want.n_wanted = 4;
    for (size_t i = 0; i < 4; i++)
        c.want.wanted[i] = (struct mkt_want_key){ .type = MKT_KEY_TEK, .key_len = 16 };
    c.want.wanted[3].kv = MKT_KV_SPI;
    c.want.wanted[3].spi = mkt_span("\3\3\3\3", 4); /* one that was asked for */
    assert_int_equal(call_request(&c), MKT_OK);
    c.env.random = stutter;
    assert_int_equal(call_issue(&c), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_OK);
    const struct mkt_keys *keys = mkt_grant_keys(c.grant);
    assert_int_equal(keys->n, 6);
    for (size_t i = 0; i < keys->n; i++)
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(keys->k[i].spi, keys->k[j].spi, 4); /* RFC6043:6.2.1-2 */
    c.env.random = stuck;
    assert_int_equal(call_issue(&c), MKT_E_RANDOM); /* after a few attempts, not for ever */
}

/* RFC6043:12.1-5 RANDRi alone must do, as there is no RANDRr. */
static void
randri_is_as_long_as_an_mpk_that_is_longer_than_the_suites(void **state)
{
    (void)state;
    call_mode(&c, 4);
    key_add(&c.ticket_keys, MKT_KEY_MPK, 32, 0, 0x11);
    key_add(&c.ticket_keys, MKT_KEY_TGK, 16, 0, 0x12);
    c.want.flags &= (uint16_t) ~(MKT_TP_F | MKT_TP_G | MKT_TP_I);
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(mkt_grant_keys(c.grant)->k[0].key.n, 32);
    assert_int_equal(call_transfer(&c, 0), MKT_OK); /* RFC6043:12.1-5 */
    assert_true(call_agrees(&c, 0));
}

static enum mkt_rc
supports(const uint8_t *ours, size_t n)
{
    const struct mkt_pl_sp sp = { 0, MKT_PROT_SRTP, mkt_span(ours, n) };
    struct mkt_choose_cs cs[2];
    struct mkt_err err = { 0 };
    size_t found;
    return mkt_choice_default(mkt_responder_offer_unverified(c.responder[0]), &sp, 1, cs, 2, &found,
                              &err);
}

static void
a_policy_with_a_parameter_nobody_knows_is_equal_to_none(void **state)
{
    static const uint8_t offered[] = { 0, 1, 1, 99, 1, 7 }, wide[] = { 0, 5, 0, 0, 0, 0, 1 };
    static const uint8_t plain[] = { 0, 1, 1 }, other[] = { 0, 1, 0 };
    (void)state;
    c.sp.params = mkt_span(offered, sizeof offered);
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(supports(plain, sizeof plain), MKT_E_SP_PARAM);
    assert_int_equal(supports(offered, sizeof offered), MKT_E_SP_PARAM);
    c.sp.params = mkt_span(plain, sizeof plain);
    assert_int_equal(call_offer(&c), MKT_E_TICKET); /* the ticket was used */
    c.grant->used = false;
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(supports(plain, sizeof plain), MKT_OK);
    assert_int_equal(supports(plain, 0), MKT_OK); /* AES-CM is the default */
    assert_int_equal(supports(other, sizeof other), MKT_E_SP_PARAM);
    assert_int_equal(supports(wide, sizeof wide), MKT_E_SP_PARAM);
}

static void
with_key_forking_nothing_is_passed_on_without_the_modifier(void **state)
{
    static const uint8_t rand[16] = { 1 };
    struct mkt_err err = { 0 };
    struct message out;
    struct mkt_io io = { .out = out.b, .cap = sizeof out.b };
    const struct mkt_identity nobody = { 0, { NULL, 0 } };
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    struct mkt_span in = mkt_span(c.resolve[0].b, c.resolve[0].n);
    assert_int_equal(mkt_kms_begin(c.txn, in, &err), MKT_OK);
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_bob[0].base, c.bob[0], c.kms, &err),
                     MKT_OK);
    /* as another KMS may answer one that forwards */
    assert_int_equal(mkt_kms_relay(c.txn, &c.env, nobody, mkt_span(rand, 16), &io), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_MISSING_PAYLOAD);
    io.err.rc = MKT_OK;
    assert_int_equal(mkt_kms_relay(c.txn, &c.env, c.bob[0], mkt_span(NULL, 0), &io),
                     MKT_NEXT_ABORT); /* RFC6043:4.2.3.5-11 */
    assert_int_equal(io.err.rc, MKT_E_MISSING_PAYLOAD);
    assert_int_equal(io.out_len, 0);
    mkt_kms_end(c.txn);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)
    const struct CMUnitTest tests[] = {
        TEST(a_128_bit_key_asks_for_nothing_of_the_256_bit_suite),
        TEST(a_request_for_another_kms_is_refused),
        TEST(no_two_keys_of_a_ticket_have_one_spi),
        TEST(randri_is_as_long_as_an_mpk_that_is_longer_than_the_suites),
        TEST(a_policy_with_a_parameter_nobody_knows_is_equal_to_none),
        TEST(with_key_forking_nothing_is_passed_on_without_the_modifier),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
