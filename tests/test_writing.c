/* SPDX-License-Identifier: Apache-2.0 */
/* What cannot be said in the octets of MIKEY is not written: a value wider than its field makes the
 * writer overflow, and never a message that reads as something else. Also the last rows of the
 * lists of errors and values, and what lies behind them. */
#include "wire.h"

#include "base/writer.h"
#include "payload/codec.h"
#include "payload/registry.h"
#include <mikeyticket/err.h>

static uint8_t buf[1 << 17];

static bool
hdr_fits(struct mkt_hdr h)
{
    struct mkt_writer w = mkt_w_open(buf, sizeof buf);
    mkt_hdr_write(&w, &h);
    return !w.overflow;
}

static void
a_header_holds_seven_bits_of_prf_and_a_map_of_its_type(void **state)
{
    static const uint8_t octets[27];
    const struct mkt_span none = { NULL, 0 }, one = mkt_span(octets, 9), two = mkt_span(octets, 18);
    (void)state;
    assert_true(hdr_fits((struct mkt_hdr){ .prf = 127, .map_type = MKT_MAP_EMPTY }));
    assert_false(hdr_fits((struct mkt_hdr){ .prf = 128, .map_type = MKT_MAP_EMPTY }));
    assert_false(hdr_fits((struct mkt_hdr){ .map_type = MKT_MAP_EMPTY, .map = one }));
    assert_true(hdr_fits((struct mkt_hdr){ .map_type = MKT_MAP_SRTP_ID, .map = none }));
    assert_true(hdr_fits((struct mkt_hdr){ .map_type = MKT_MAP_SRTP_ID, .n_cs = 2, .map = two }));
    assert_false(hdr_fits((struct mkt_hdr){ .map_type = MKT_MAP_SRTP_ID, .n_cs = 2, .map = one }));
    assert_false(hdr_fits((struct mkt_hdr){ .map_type = MKT_MAP_SRTP_ID, .n_cs = 1, .map = two }));
    /* the length of a GENERIC-ID map does not follow from #CS */
    assert_true(
        hdr_fits((struct mkt_hdr){ .map_type = MKT_MAP_GENERIC_ID, .n_cs = 1, .map = two }));
}

static void
a_crypto_session_has_at_most_127_policies(void **state)
{
    static const uint8_t policies[128];
    (void)state;
    for (size_t n = 126; n <= 128; n++) {
        struct mkt_writer w = mkt_w_open(buf, sizeof buf);
        mkt_cs_write(&w, &(struct mkt_cs){ .s = true, .policies = mkt_span(policies, n) });
        assert_int_equal(w.overflow, n > 127);
        if (n <= 127)
            assert_int_equal(buf[2], 0x80 | n);
    }
}

static void
a_dh_payload_has_four_reserved_bits(void **state)
{
    static const uint8_t value[192];
    size_t len;
    struct mkt_payload pl = { .type = MKT_PL_DH };
    (void)state;
    pl.u.dh.value = mkt_span(value, sizeof value);
    pl.u.dh.reserv = 15;
    assert_int_equal(mkt_payload_encode(&pl, buf, sizeof buf, &len), MKT_OK);
    assert_int_equal(buf[len - 1], 0xf0);
    pl.u.dh.reserv = 16;
    assert_int_equal(mkt_payload_encode(&pl, buf, sizeof buf, &len), MKT_E_NO_SPACE);
    assert_int_equal(len, 0);
}

static void
a_length_filled_in_later_must_fit_its_field(void **state)
{
    static const uint8_t octets[65536];
    (void)state;
    for (size_t n = 65535; n <= 65536; n++) {
        struct mkt_writer w = mkt_w_open(buf, sizeof buf);
        size_t at = mkt_w_reserve(&w, 2);
        mkt_w_octets(&w, mkt_span(octets, n));
        assert_false(w.overflow);
        mkt_w_patch(&w, at, 2);
        assert_int_equal(w.overflow, n > 65535);
    }
    struct mkt_writer w = mkt_w_open(buf, sizeof buf);
    size_t at = mkt_w_reserve(&w, 1);
    mkt_w_octets(&w, mkt_span(octets, 255));
    mkt_w_patch(&w, at, 1);
    assert_int_equal(buf[at], 255);
    assert_false(w.overflow);
}

static void
every_error_number_has_a_name_and_no_number_wraps(void **state)
{
    (void)state;
    assert_string_equal(mkt_reg_name(MKT_REG_ERROR, 0), "Auth failure");
    assert_string_equal(mkt_reg_name(MKT_REG_ERROR, 15), "Invalid TPpar");
    assert_string_equal(mkt_reg_name(MKT_REG_ERROR, 16), "unassigned");
    assert_string_equal(mkt_reg_name(MKT_REG_ERROR, 255), "unassigned");
    assert_string_equal(mkt_reg_name(MKT_REG_ERROR, 256), "unassigned"); /* not Auth failure */
}

static void
a_code_that_is_no_error_of_ours_is_called_unknown(void **state)
{
    static const int strange[] = { -1, MKT_RC_COUNT, 1000 };
    (void)state;
    assert_string_equal(mkt_rc_name((enum mkt_rc)(MKT_RC_COUNT - 1)), "CRYPTO");
    for (size_t i = 0; i < 3; i++) {
        enum mkt_rc rc = (enum mkt_rc)strange[i];
        assert_string_equal(mkt_rc_name(rc), "UNKNOWN");
        assert_string_equal(mkt_strerror(rc), "unknown error");
        assert_int_equal(mkt_wire_error(rc), MKT_ERR_UNSPECIFIED);
    }
    assert_int_equal(mkt_wire_error(MKT_E_AUTH), MKT_ERR_AUTH_FAILURE);
}

static void
an_error_is_formatted_with_its_octet_and_clause_and_success_without(void **state)
{
    struct mkt_err err = { 0 };
    char text[80];
    (void)state;
    assert_int_equal(mkt_err_format(&err, text, sizeof text), strlen("no error"));
    assert_string_equal(text, "no error");
    mkt_fail(&err, MKT_E_VERSION, 7, "HDR version", "RFC 3830 6.1");
    size_t len = mkt_err_format(&err, text, sizeof text);
    assert_int_equal(len, strlen(text));
    assert_ptr_equal(strstr(text, "octet 7: HDR version: "), text);
    assert_non_null(strstr(text, " (RFC 3830 6.1)"));
    /* too small a buffer: cut, and the length that it would have had */
    assert_true(mkt_err_format(&err, text, 8) > 8);
    assert_string_equal(text, "octet 7");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_holds_seven_bits_of_prf_and_a_map_of_its_type),
        cmocka_unit_test(a_crypto_session_has_at_most_127_policies),
        cmocka_unit_test(a_dh_payload_has_four_reserved_bits),
        cmocka_unit_test(a_length_filled_in_later_must_fit_its_field),
        cmocka_unit_test(every_error_number_has_a_name_and_no_number_wraps),
        cmocka_unit_test(a_code_that_is_no_error_of_ours_is_called_unknown),
        cmocka_unit_test(an_error_is_formatted_with_its_octet_and_clause_and_success_without),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
