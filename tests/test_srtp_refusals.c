/* SPDX-License-Identifier: Apache-2.0 */
/* What libsrtp2 cannot do is refused by name and leaves nothing behind; neither does what it can.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "srtp_session.h"

#include <cmocka.h>
#include <string.h>

static bool
all_zero(const struct mkt_srtp *s)
{
    const uint8_t *p = (const uint8_t *)s;
    for (size_t i = 0; i < sizeof *s; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* The policy is refused, with the words expected, the offset, and nothing left behind. */
static void
refused(const struct mkt_session *cs, const struct keys *k, enum mkt_rc rc, size_t at,
        const char *what)
{
    struct mkt_srtp s;
    struct mkt_err err = { 0 };

    memset(&s, 0xa5, sizeof s);
    assert_int_equal(mkt_srtp_policy_from(&s, cs, &k->tek, &k->salt, &err), rc);
    assert_int_equal(err.rc, rc);
    assert_int_equal(err.offset, at);
    assert_non_null(err.ref);
    if (strstr(err.what, what) == NULL)
        fail_msg("said \"%s\", expected \"%s\"", err.what, what);
    assert_true(all_zero(&s));
}

static void
refused_params(struct mkt_span params, uint16_t tek, uint16_t salt, size_t at, const char *what)
{
    struct keys k = make_keys(tek, salt, 1);
    struct mkt_session cs = make_session(params, NOTHING);
    refused(&cs, &k, MKT_E_SP_PARAM, at, what);
}

static void
refuses_by_name_what_libsrtp2_cannot_do(void **state)
{
    static const struct {
        uint8_t n, params[8], at;
        const char *what;
    } cases[] = {
        { 3, { 0, 1, 2 }, 0, "parameter 0 (encryption algorithm)" }, /* AES-F8 */
        { 3, { 0, 1, 3 }, 0, "parameter 0 " },                       /* SEED-CTR */
        { 3, { 0, 1, 5 }, 0, "parameter 0 " },                       /* SEED-GCM */
        { 3, { 0, 1, 7 }, 0, "parameter 0 " },                       /* ARIA-CTR */
        { 3, { 0, 1, 8 }, 0, "parameter 0 " },                       /* ARIA-GCM */
        { 3, { 0, 1, 255 }, 0, "parameter 0 " },
        { 3, { 1, 1, 0 }, 0, "parameter 1 (session encryption key length)" },
        { 3, { 1, 1, 17 }, 0, "parameter 1 " },
        { 6, { 0, 1, 6, 1, 1, 24 }, 3, "parameter 1 " }, /* no AEAD_AES_192_GCM */
        { 6, { 0, 1, 0, 1, 1, 32 }, 3, "parameter 1 " }, /* libsrtp2 derives with AES-128 */
        { 3, { 2, 1, 0 }, 0, "parameter 2 (authentication algorithm)" }, /* SRTCP too */
        { 3, { 2, 1, 2 }, 0, "parameter 2 " },                           /* RCCm1 */
        { 6, { 0, 1, 6, 2, 1, 1 }, 3, "parameter 2 " },                  /* HMAC-SHA-1 beside GCM */
        { 3, { 3, 1, 16 }, 0, "parameter 3 (session authentication key length)" },
        { 3, { 3, 1, 10 }, 0, "parameter 3 " },
        { 3, { 4, 1, 12 }, 0, "parameter 4 (session salt key length)" },
        { 6, { 0, 1, 6, 4, 1, 14 }, 3, "parameter 4 " },
        { 3, { 5, 1, 1 }, 0, "parameter 5 (SRTP pseudo-random function)" },
        { 3, { 6, 1, 1 }, 0, "parameter 6 (key derivation rate)" },
        { 6, { 6, 4, 1, 0, 0, 0 }, 0, "parameter 6 " },
        { 3, { 7, 1, 2 }, 0, "parameter 7 (SRTP encryption" },
        { 6, { 0, 1, 6, 7, 1, 0 }, 3, "parameter 7 " },
        { 3, { 8, 1, 2 }, 0, "parameter 8 (SRTCP encryption" },
        { 3, { 9, 1, 1 }, 0, "parameter 9 (sender's FEC order)" },
        { 3, { 10, 1, 2 }, 0, "parameter 10 (SRTP authentication" },
        { 6, { 0, 1, 6, 10, 1, 0 }, 3, "parameter 10 " },
        { 3, { 11, 1, 8 }, 0, "parameter 11 (authentication tag length)" },
        { 3, { 11, 1, 0 }, 0, "parameter 11 " },
        { 6, { 0, 1, 6, 11, 1, 16 }, 3, "parameter 11 " },
        { 3, { 12, 1, 1 }, 0, "parameter 12 (SRTP prefix length)" },
        { 4, { 13, 2, 0, 1 }, 0, "parameter 13 (ROC transmission rate)" },
        { 3, { 14, 1, 2 }, 0, "parameter 14 (SRTP authentication algorithm)" },
        { 3, { 15, 1, 0 }, 0, "parameter 15 (SRTCP authentication algorithm)" },
        { 3, { 16, 1, 16 }, 0, "parameter 16 (SRTP session authentication key length)" },
        { 3, { 17, 1, 16 }, 0, "parameter 17 (SRTCP session authentication key length)" },
        { 3, { 18, 1, 8 }, 0, "parameter 18 (SRTP authentication tag length)" },
        { 3, { 19, 1, 4 }, 0, "parameter 19 (SRTCP authentication tag length)" },
        { 3, { 20, 1, 16 }, 0, "parameter 20 (AEAD authentication tag length)" }, /* AES-CM */
        { 6, { 0, 1, 6, 20, 1, 8 }, 3, "parameter 20 " },
        { 6, { 0, 1, 6, 20, 1, 12 }, 3, "parameter 20 " },
        { 3, { 21, 1, 0 }, 0, "unknown" },
        { 3, { 255, 1, 0 }, 0, "unknown" },
        { 6, { 7, 1, 0, 10, 1, 0 }, 0, "neither encryption nor authentication" },
        { 6, { 0, 1, 0, 10, 1, 0 }, 0, "neither encryption nor authentication" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused_params(mkt_span(cases[i].params, cases[i].n), 16, 14, cases[i].at, cases[i].what);
}

static void
refuses_a_parameter_given_twice(void **state)
{
    (void)state;
    refused_params(SPAN(11, 1, 10, 5, 1, 0, 11, 1, 10), 16, 14, 6, "parameter 11 (");
    refused_params(SPAN(11, 1, 10, 11, 1, 10), 16, 14, 3, "given twice");
}

static void
refuses_a_parameter_of_a_wrong_length(void **state)
{
    (void)state;
    refused_params(SPAN(1, 2, 0, 16), 16, 14, 0, "parameter 1 (");
    refused_params(SPAN(1, 2, 0, 16), 16, 14, 0, "of a wrong length");
    refused_params(SPAN(0, 0), 16, 14, 0, "parameter 0 (");
    refused_params(SPAN(6, 5, 0, 0, 0, 0, 0), 16, 14, 0, "parameter 6 (");
    refused_params(SPAN(13, 1, 1), 16, 14, 0, "parameter 13 (");
}

static void
refuses_parameters_that_end_inside_one(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(SPAN(11, 1, 10, 5), NOTHING);

    (void)state;
    refused(&cs, &k, MKT_E_TRUNCATED, 3, "SP parameter");
    cs.params = SPAN(11, 1, 10, 5, 1);
    refused(&cs, &k, MKT_E_TRUNCATED, 3, "SP parameter");
    cs.params = SPAN(11, 255, 10);
    refused(&cs, &k, MKT_E_TRUNCATED, 0, "SP parameter");
}

static void
refuses_keys_and_salts_of_another_length(void **state)
{
    static const struct {
        uint8_t n, params[6];
        uint16_t tek, salt;
        const char *what;
    } cases[] = {
        { 0, { 0 }, 32, 14, "TEK" },
        { 0, { 0 }, 15, 14, "TEK" },
        { 0, { 0 }, 0, 14, "TEK" },
        { 3, { 1, 1, 32 }, 16, 14, "TEK" },
        { 0, { 0 }, 16, 12, "salt" },
        { 0, { 0 }, 16, 15, "salt" },
        { 3, { 0, 1, 6 }, 16, 14, "salt" },
        { 3, { 0, 1, 6 }, 16, 0, "salt" }, /* RFC 7714 8.1 needs one */
        { 3, { 0, 1, 6 }, 32, 12, "TEK" },
        { 0, { 0 }, MKT_SECRET_MAX, MKT_SECRET_MAX, "TEK" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct keys k = make_keys(cases[i].tek, cases[i].salt, 1);
        struct mkt_session cs = make_session(mkt_span(cases[i].params, cases[i].n), NOTHING);
        refused(&cs, &k, MKT_E_KEY_DATA, 0, cases[i].what);
    }
}

static void
refuses_an_spi_longer_than_libsrtp2_takes(void **state)
{
    static const uint8_t spi[SRTP_MAX_MKI_LEN + 1] = { 1 };
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, mkt_span(spi, sizeof spi));

    (void)state;
    refused(&cs, &k, MKT_E_KEY_DATA, 0, "MKI of 128 octets");
}

static void
refuses_a_session_without_ssrc_or_of_another_protocol(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, NOTHING);

    (void)state;
    cs.has_ssrc = false;
    refused(&cs, &k, MKT_E_FIELD, 0, "SSRC");
    cs.has_ssrc = true;
    cs.prot_type = 1; /* TESLA */
    refused(&cs, &k, MKT_E_SP, 0, "Prot type");
}

static void
leaves_no_key_behind_once_the_session_exists(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, SPAN(1, 2, 3, 4));
    struct mkt_srtp s;
    struct mkt_err err = { 0 };
    srtp_t session;

    (void)state;
    assert_int_equal(mkt_srtp_policy_from(&s, &cs, &k.tek, &k.salt, &err), MKT_OK);
    assert_false(all_zero(&s));
    assert_int_equal(mkt_srtp_create(&session, &s, &err), MKT_OK);
    assert_true(all_zero(&s));
    srtp_dealloc(session);

    assert_int_equal(mkt_srtp_policy_from(&s, &cs, &k.tek, &k.salt, &err), MKT_OK);
    s.policy.num_master_keys = SRTP_MAX_NUM_MASTER_KEYS + 1; /* makes srtp_create fail */
    assert_int_equal(mkt_srtp_create(&session, &s, &err), MKT_E_CRYPTO);
    assert_null(session);
    assert_true(all_zero(&s));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_by_name_what_libsrtp2_cannot_do),
        cmocka_unit_test(refuses_a_parameter_given_twice),
        cmocka_unit_test(refuses_a_parameter_of_a_wrong_length),
        cmocka_unit_test(refuses_parameters_that_end_inside_one),
        cmocka_unit_test(refuses_keys_and_salts_of_another_length),
        cmocka_unit_test(refuses_an_spi_longer_than_libsrtp2_takes),
        cmocka_unit_test(refuses_a_session_without_ssrc_or_of_another_protocol),
        cmocka_unit_test(leaves_no_key_behind_once_the_session_exists),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, srtp_begin, srtp_end);
}
