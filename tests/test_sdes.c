/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in SDP (RFC 4568): what is read, what is refused, and that nothing is left of a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../fuzz/sdes.h"

#include <cmocka.h>
#include <mikeyticket/media/sdes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define AES "AES_CM_128_HMAC_SHA1_80"
#define KEY "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj" /* of the RFC's example, 30 octets */

static struct mkt_span
span(const char *text)
{
    return mkt_span((const uint8_t *)text, strlen(text));
}

static struct mkt_sdes
reading(const char *text)
{
    struct mkt_err err = { 0 };
    struct mkt_sdes s;

    assert_int_equal(mkt_sdes_read(&s, span(text), &err), MKT_OK);
    assert_null(mkt_sdes_holds(span(text)));
    return s;
}

static void
reads_tag_suite_and_key(void **state)
{
    (void)state;
    struct mkt_sdes s = reading("1 " AES " inline:" KEY);

    assert_int_equal(s.tag, 1);              /* RFC4568:4.1-1 */
    assert_string_equal(s.suite->name, AES); /* RFC4568:6.2-1 */
    assert_int_equal(s.key.n, 16);           /* RFC4568:6.1-1 */
    assert_memory_equal(s.key.b, "70xwPH5@/,L:S1wY", 16);
    assert_memory_equal(s.salt.b, "\"~='EpgT%(i_Vc", 14);
    assert_int_equal(s.lifetime, 0);
    assert_int_equal(s.mki_len, 0);
    assert_int_equal(reading("7 \t" AES "  inline:" KEY).tag, 7);
    assert_int_equal(reading("999999999 " AES " inline:" KEY).tag, 999999999);
}

static void
reads_lifetime_and_mki(void **state)
{
    (void)state;
    struct mkt_sdes s = reading("2 " AES " inline:" KEY "|2^20|1:4");

    assert_int_equal(s.lifetime, 1 << 20); /* RFC4568:6.1-2 */
    assert_int_equal(s.mki_len, 4);        /* RFC4568:6.1-3 */
    assert_memory_equal(s.mki, "\0\0\0\1", 4);
    assert_int_equal(reading("2 " AES " inline:" KEY "|1048576").lifetime, 1 << 20);
    s = reading("2 " AES " inline:" KEY "|258:128");
    assert_int_equal(s.mki[126], 1);
    assert_int_equal(s.mki[127], 2);
    assert_int_equal(s.mki_len, 128);
}

/* What is wrong, and where. */
static const struct {
    const char *text;
    enum mkt_rc rc;
    size_t at;
} bad[] = {
    { "", MKT_E_FIELD, 0 },
    { "1", MKT_E_FIELD, 1 },
    { "0 " AES " inline:" KEY, MKT_E_FIELD, 1 },
    { "01 " AES " inline:" KEY, MKT_E_FIELD, 2 },
    { "1000000000 " AES " inline:" KEY, MKT_E_FIELD, 10 },
    { "x " AES " inline:" KEY, MKT_E_FIELD, 1 },
    { "-1 " AES " inline:" KEY, MKT_E_FIELD, 2 },
    { "1" AES " inline:" KEY, MKT_E_FIELD, 24 },
    { "1 AES_CM_128_HMAC_SHA1_81 inline:" KEY, MKT_E_SP, 2 },
    { "1 F8_128_HMAC_SHA1_80 inline:" KEY, MKT_E_SP, 2 },
    { "1 aes_cm_128_hmac_sha1_80 inline:" KEY, MKT_E_SP, 2 },
    { "1 " AES, MKT_E_FIELD, 25 },
    { "1 " AES " other:" KEY, MKT_E_FIELD, 26 },
    { "1 " AES " inline:", MKT_E_FIELD, 33 },
    { "1 " AES " inline:!zB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj", MKT_E_FIELD, 33 },
    { "1 " AES " inline:" KEY "NzB4", MKT_E_FIELD, 33 }, /* too long a key */
    { "1 " AES " inline:NzB4", MKT_E_FIELD, 33 },        /* RFC4568:6.1-1: too short a key */
    { "1 AES_256_CM_HMAC_SHA1_80 inline:" KEY, MKT_E_FIELD, 33 }, /* for this suite, too */
    { "1 " AES " inline:" KEY "|", MKT_E_FIELD, 74 },
    { "1 " AES " inline:" KEY "|0", MKT_E_FIELD, 75 },
    { "1 " AES " inline:" KEY "|2^49", MKT_E_FIELD, 78 }, /* RFC4568:6.1-2 */
    { "1 " AES " inline:" KEY "|281474976710657", MKT_E_FIELD, 89 },
    { "1 " AES " inline:" KEY "|2^", MKT_E_FIELD, 76 },
    { "1 " AES " inline:" KEY "|99999999999999999999", MKT_E_FIELD, 94 },
    { "1 " AES " inline:" KEY "|1:0", MKT_E_FIELD, 77 },
    { "1 " AES " inline:" KEY "|0:4", MKT_E_FIELD, 77 },
    { "1 " AES " inline:" KEY "|1:129", MKT_E_FIELD, 79 }, /* RFC4568:6.1-3 */
    { "1 " AES " inline:" KEY "|256:1", MKT_E_FIELD, 79 },
    { "1 " AES " inline:" KEY "|:1", MKT_E_FIELD, 76 },
    { "1 " AES " inline:" KEY "|1:4|2^20", MKT_E_FIELD, 82 },
    { "1 " AES " inline:" KEY "|2^20|2^20", MKT_E_FIELD, 83 },
    { "1 " AES " inline:" KEY "|2^20|1:4|1:4", MKT_E_FIELD, 86 },
    { "1 " AES " inline:" KEY ";inline:" KEY, MKT_E_FIELD, 73 },
    { "1 " AES " inline:" KEY " UNENCRYPTED_SRTP", MKT_E_FIELD, 73 }, /* RFC4568:6.3-1 */
    { "1 " AES " inline:" KEY " KDR=1", MKT_E_FIELD, 73 },
    { "1 " AES " inline:" KEY " ", MKT_E_FIELD, 73 },
};

static void
refuses_what_it_does_not_understand_and_says_where(void **state)
{
    (void)state;
    static const struct mkt_sdes nothing;
    unsigned wrong = 0;

    for (size_t i = 0; i < COUNT(bad); i++) {
        struct mkt_err err = { 0 };
        struct mkt_sdes s;
        memset(&s, 0x55, sizeof s);
        enum mkt_rc rc = mkt_sdes_read(&s, span(bad[i].text), &err);
        if (rc != bad[i].rc || err.offset != bad[i].at || mkt_sdes_holds(span(bad[i].text)) != NULL)
            printf("# row %zu: %s: %d at %zu, and it wanted %d at %zu; row %u\n", i, bad[i].text,
                   rc, err.offset, bad[i].rc, bad[i].at, ++wrong);
        assert_memory_equal(&s, &nothing, sizeof s);
    }
    assert_int_equal(wrong, 0);
}

static void
refuses_a_value_longer_than_any(void **state)
{
    (void)state;
    static char text[MKT_SDES_VALUE_MAX + 1];
    struct mkt_err err = { 0 };
    struct mkt_sdes s;

    memset(text, '1', MKT_SDES_VALUE_MAX);
    assert_int_equal(mkt_sdes_read(&s, span(text), &err), MKT_E_TOO_MANY);
}

static void
every_suite_has_keys_of_its_own_that_come_back(void **state)
{
    (void)state;
    static const char *const names[] = { AES,
                                         "AES_CM_128_HMAC_SHA1_32",
                                         "AES_256_CM_HMAC_SHA1_80",
                                         "AES_256_CM_HMAC_SHA1_32",
                                         "AEAD_AES_128_GCM",
                                         "AEAD_AES_256_GCM" };
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct mkt_sdes_suite *suite = mkt_sdes_suite(span(names[i]));
        char value[MKT_SDES_VALUE_MAX];
        struct mkt_sdes a, b;
        size_t len;
        assert_non_null(suite);
        assert_int_equal(mkt_sdes_make(&a, 7, suite), MKT_OK); /* RFC4568:6.1-4 */
        assert_int_equal(mkt_sdes_make(&b, 7, suite), MKT_OK);
        assert_false(mkt_sdes_same(&a, &b));
        assert_int_equal(mkt_sdes_write(value, sizeof value, &len, &a), MKT_OK);
        b = reading(value);
        assert_true(mkt_sdes_same(&a, &b));
    }
}

static void
leaves_no_key_where_there_is_no_room(void **state)
{
    (void)state;
    struct mkt_sdes s = reading("1 " AES " inline:" KEY);
    char out[60] = { 0 };
    static const char nothing[sizeof out];
    size_t len;

    assert_int_equal(mkt_sdes_write(out, sizeof out, &len, &s), MKT_E_NO_SPACE);
    assert_memory_equal(out, nothing, sizeof out);
    mkt_sdes_wipe(&s);
    assert_int_equal(s.key.n, 0);
}

static void
one_that_differs_in_any_part_is_another(void **state)
{
    (void)state;
    struct mkt_sdes a = reading("1 " AES " inline:" KEY "|2^20|1:4");
    static const char *const others[] = {
        "2 " AES " inline:" KEY "|2^20|1:4",
        "1 AES_CM_128_HMAC_SHA1_32 inline:" KEY "|2^20|1:4",
        "1 " AES " inline:OzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:4",
        "1 " AES " inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zk|2^20|1:4",
        "1 " AES " inline:" KEY "|2^21|1:4",
        "1 " AES " inline:" KEY "|2^20|2:4",
        "1 " AES " inline:" KEY "|2^20|1:3",
    };
    for (size_t i = 0; i < COUNT(others); i++) {
        struct mkt_sdes b = reading(others[i]);
        assert_false(mkt_sdes_same(&a, &b));
    }
    assert_true(mkt_sdes_same(&a, &a));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_tag_suite_and_key),
        cmocka_unit_test(reads_lifetime_and_mki),
        cmocka_unit_test(refuses_what_it_does_not_understand_and_says_where),
        cmocka_unit_test(refuses_a_value_longer_than_any),
        cmocka_unit_test(every_suite_has_keys_of_its_own_that_come_back),
        cmocka_unit_test(leaves_no_key_where_there_is_no_room),
        cmocka_unit_test(one_that_differs_in_any_part_is_another),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
