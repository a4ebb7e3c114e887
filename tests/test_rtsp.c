/* SPDX-License-Identifier: Apache-2.0 */
/* RTSP's KeyMgmt header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "sdp_text.h"

#include <cmocka.h>

static struct mkt_rtsp_spec spec[4];

static enum mkt_rc
reading(const char *value, size_t *n, struct mkt_err *err)
{
    *err = (struct mkt_err){ 0 };
    return mkt_rtsp_read(spec, 4, n, text_span(value), err);
}

static void
assert_text(struct mkt_span got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void
reads_the_protocol_the_uri_and_the_data(void **state)
{
    (void)state;
    struct mkt_err err;
    size_t n;

    /* RFC4567:3.2-1 */
    assert_int_equal(reading("prot=mikey; uri=\"rtsp://a.example/m\"; data=\"AQ8A\" , "
                             "PROT=keyp1;data=\"\"",
                             &n, &err),
                     MKT_OK);
    assert_int_equal(n, 2);
    assert_text(spec[0].prot, "mikey");
    assert_text(spec[0].uri, "rtsp://a.example/m");
    assert_text(spec[0].data, "AQ8A");
    assert_text(spec[1].prot, "keyp1");
    assert_int_equal(spec[1].uri.n, 0);
    assert_int_equal(spec[1].data.n, 0); /* erratum 2247 */
}

static void
refuses_headers_that_are_not_of_the_grammar(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        size_t at;
    } bad[] = {
        { "", 0 },
        { "mikey", 0 },
        { "prot=;data=\"\"", 5 },
        { "prot=mikey data=\"\"", 10 },
        { "prot=mikey;uri=\"\";data=\"\"", 17 },
        { "prot=mikey;uri=\"a b\";data=\"\"", 17 },
        { "prot=mikey;uri=\"a\" data=\"\"", 18 },
        { "prot=mikey;data=\"AQ8A", 21 },
        { "prot=mikey;data=AQ8A", 11 },
        { "prot=mikey;data=\"\";", 18 },
        { "prot=mikey;data=\"\",", 19 },
        { "prot=mikey;data=\"\";uri=\"a\"", 18 },
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mkt_err err;
        size_t n;
        assert_int_equal(reading(bad[i].value, &n, &err), MKT_E_FIELD);
        assert_int_equal(err.offset, bad[i].at);
    }
}

static void
refuses_more_specs_than_it_has_room_for(void **state)
{
    (void)state;
    struct mkt_err err;
    size_t n;

    assert_int_equal(reading("prot=a;data=\"\",prot=a;data=\"\",prot=a;data=\"\",prot=a;data=\"\","
                             "prot=a;data=\"\"",
                             &n, &err),
                     MKT_E_TOO_MANY);
}

static void
writes_what_it_reads(void **state)
{
    (void)state;
    char value[128];
    struct mkt_err err = { 0 };
    size_t len, n;

    assert_int_equal(mkt_rtsp_write(value, sizeof value, &len, text_span("rtsp://a.example/m"),
                                    mkt_span("\1\17\0\0", 4), &err),
                     MKT_OK);
    assert_string_equal(value, "prot=mikey; uri=\"rtsp://a.example/m\"; data=\"AQ8AAA==\"");
    assert_int_equal(len, strlen(value));
    assert_int_equal(reading(value, &n, &err), MKT_OK);
    assert_text(spec[0].uri, "rtsp://a.example/m");
    assert_int_equal(
        mkt_rtsp_write(value, sizeof value, &len, mkt_span(NULL, 0), mkt_span("\1", 1), &err),
        MKT_OK);
    assert_string_equal(value, "prot=mikey; data=\"AQ==\"");
}

static void
writes_no_uri_that_would_end_the_quotes_and_nothing_too_long(void **state)
{
    (void)state;
    char value[64];
    struct mkt_err err = { 0 };
    size_t len;

    assert_int_equal(mkt_rtsp_write(value, sizeof value, &len, text_span("a\"; data=\""),
                                    mkt_span("\1", 1), &err),
                     MKT_E_FIELD);
    assert_int_equal(err.offset, 1);
    for (size_t cap = 0; cap < sizeof value; cap++) {
        err = (struct mkt_err){ 0 };
        memset(value, '~', sizeof value);
        enum mkt_rc rc =
            mkt_rtsp_write(value, cap, &len, text_span("rtsp:a"), mkt_span("\1", 1), &err);
        for (size_t i = rc == MKT_OK ? len + 1 : 0; i < sizeof value; i++)
            assert_int_equal(value[i], '~');
        assert_true(rc == MKT_OK || rc == MKT_E_NO_SPACE);
    }
    assert_int_equal(err.rc, MKT_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_protocol_the_uri_and_the_data),
        cmocka_unit_test(refuses_headers_that_are_not_of_the_grammar),
        cmocka_unit_test(refuses_more_specs_than_it_has_room_for),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(writes_no_uri_that_would_end_the_quotes_and_nothing_too_long),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
