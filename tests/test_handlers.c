/* SPDX-License-Identifier: Apache-2.0 */
/* The properties that the fuzz targets of whole handlers check, walked over every cut and many
 * small damages of the true messages: as an outsider sends them, and sealed with the right keys, as
 * one of the parties could. */
#include "../fuzz/handler.h"

#include <mikeyticket/message.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const names[] = {
#define NAME(name, text) text,
    MKT_HANDLERS(NAME)
#undef NAME
};

static uint8_t input[MKT_MSG_MAX], damaged[MKT_MSG_MAX];
static size_t believed; /* damaged messages */

static void
holds(unsigned h, size_t n, size_t at, const char *damage)
{
    const char *broken = mkt_handler_run(h, damaged, n);
    if (broken != NULL)
        fail_msg("%s: mode %u, octet %zu %s: %s", names[h], damaged[0], at - 1, damage, broken);
    believed += mkt_handler_believed() && memcmp(input, damaged, n) != 0;
}

/* RSA takes its time: of a message that is signed anew some octets must do. */
static size_t
stride(unsigned h)
{
    return h >= MKT_HANDLER_kms_request_pk ? 11 : 1;
}

/* Each damage of each octet of the true message of a handler in a mode. */
static void
walk(unsigned h, uint8_t mode, const uint8_t *flips, size_t n_flips)
{
    size_t n = mkt_handler_seed(h, mode, input, sizeof input);
    assert_true(n > 40);
    memcpy(damaged, input, n);
    holds(h, n, 1, "as it is");
    assert_true(mkt_handler_believed()); /* or all that follows would say nothing */
    for (size_t at = 1; at < n; at += stride(h)) {
        for (size_t i = 0; i < n_flips; i++) {
            damaged[at] = input[at] ^ flips[i];
            holds(h, n, at, "altered");
        }
        damaged[at] = input[at];
        holds(h, at, at, "and what follows cut off");
        damaged[at] = input[at];
    }
}

static void
a_message_that_an_outsider_altered_is_never_believed(void **state)
{
    static const uint8_t flips[] = { 0x01, 0x80 };
    (void)state;
    for (unsigned h = 0; h < MKT_HANDLER_COUNT; h++)
        walk(h, MKT_HANDLER_RAW, flips, 2); /* RFC6043:5.5-1 */
    assert_int_equal(believed, 0);
}

static void
after_any_refusal_the_true_message_works(void **state)
{
    static const uint8_t flips[] = { 0x10 };
    (void)state;
    for (unsigned h = 0; h < MKT_HANDLER_COUNT; h++)
        walk(h, MKT_HANDLER_RAW | MKT_HANDLER_AFTER | MKT_HANDLER_SUITE, flips, 1);
}

static void
a_party_that_seals_nonsense_harms_nobody(void **state)
{
    static const uint8_t flips[] = { 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80 };
    (void)state;
    for (unsigned h = 0; h < MKT_HANDLER_COUNT; h++) {
        believed = 0;
        walk(h, 0, flips, sizeof flips);
        assert_true(believed > 100); /* a nonce or key more or less: it is the sender's choice */
        walk(h, MKT_HANDLER_NO_FORK, flips + 7, 1);
    }
}

static void
a_refused_message_of_a_party_leaves_no_trace(void **state)
{
    static const uint8_t flips[] = { 0x04 };
    (void)state;
    for (unsigned h = 0; h < MKT_HANDLER_COUNT; h++)
        walk(h, MKT_HANDLER_AFTER | MKT_HANDLER_SUITE, flips, 1);
}

static void
a_true_message_of_the_same_users_is_no_forgery(void **state)
{
    static const uint8_t other[] = { MKT_HANDLER_NO_FORK, MKT_HANDLER_SUITE };
    (void)state;
    for (unsigned h = 0; h < MKT_HANDLER_COUNT; h++)
        for (size_t i = 0; i < sizeof other; i++) {
            size_t n = mkt_handler_seed(h, MKT_HANDLER_RAW | other[i], damaged, sizeof damaged);
            damaged[0] = MKT_HANDLER_RAW;
            holds(h, n, 0, "as it is elsewhere");
        }
}

/* The other paddings, and a message that leaves out what its certificate says. */
static void
a_signed_message_with_other_paddings_is_no_easier_to_forge(void **state)
{
    static const uint8_t flips[] = { 0x01 };
    (void)state;
    for (unsigned h = MKT_HANDLER_kms_request_pk; h < MKT_HANDLER_COUNT; h++) {
        believed = 0;
        walk(h, MKT_HANDLER_RAW | MKT_HANDLER_PSS, flips, 1); /* RFC6043:5.5-1 */
        assert_int_equal(believed, 0);
        walk(h, MKT_HANDLER_PSS | MKT_HANDLER_SUITE, flips, 1);
    }
}

/* Who authenticated before, and is remembered, comes in no more; whoever has the key may alter the
 * message as he likes. What must not be is for the harness to say: see signer_sane. */
static void
a_remembered_certificate_serves_nobody_once_it_is_bad(void **state)
{
    static const uint8_t bad[] = { MKT_HANDLER_REVOKED, MKT_HANDLER_LATE };
    (void)state;
    for (unsigned h = MKT_HANDLER_kms_request_pk; h <= MKT_HANDLER_kms_resolve_pk; h++)
        for (unsigned i = 0; i < 4; i++) {
            uint8_t raw = i < 2 ? MKT_HANDLER_RAW : 0;
            size_t n = mkt_handler_seed(h, raw, damaged, sizeof damaged);
            memcpy(input, damaged, n);
            holds(h, n, 1, "as it is");
            assert_true(mkt_handler_believed());
            damaged[0] = raw | bad[i % 2];
            holds(h, n, 1, "under a bad certificate");
            assert_false(mkt_handler_believed());
            for (size_t at = 1; at < n; at += stride(h)) {
                damaged[at] = input[at] ^ 0x20;
                holds(h, n, at, "altered, under a bad certificate");
                damaged[at] = input[at];
            }
        }
}

static int
close_all(void **state)
{
    (void)state;
    mkt_handler_close();
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_an_outsider_altered_is_never_believed),
        cmocka_unit_test(after_any_refusal_the_true_message_works),
        cmocka_unit_test(a_party_that_seals_nonsense_harms_nobody),
        cmocka_unit_test(a_refused_message_of_a_party_leaves_no_trace),
        cmocka_unit_test(a_true_message_of_the_same_users_is_no_forgery),
        cmocka_unit_test(a_signed_message_with_other_paddings_is_no_easier_to_forge),
        cmocka_unit_test(a_remembered_certificate_serves_nobody_once_it_is_bad),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, close_all);
}
