/* SPDX-License-Identifier: Apache-2.0 */
/* What programs share: base64 with one spelling for each text, and writing to the end. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base64.h"
#include "write_all.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void
every_run_of_octets_comes_back(void **state)
{
    uint8_t all[256], back[256];
    char text[4 * 86 + 1];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)(i * 37 + 1);
    for (size_t n = 1; n <= sizeof all; n++) {
        assert_int_equal(mkt_base64_encode(mkt_span(all, n), text), mkt_base64_len(n));
        assert_int_equal(strlen(text), mkt_base64_len(n));
        assert_true(mkt_base64_decode(text, strlen(text), back, n, &len));
        assert_int_equal(len, n);
        assert_memory_equal(back, all, n);
        assert_false(mkt_base64_decode(text, strlen(text), back, n - 1, &len)); /* no room */
        assert_true(mkt_base64_decode_lines((uint8_t *)text, strlen(text), &len));
        assert_int_equal(len, n);
        assert_memory_equal(text, all, n);
    }
    assert_int_equal(mkt_base64_encode(mkt_span(all, 0), text), 0);
    assert_string_equal(text, "");
}

static void
it_agrees_with_the_vectors_of_rfc_4648(void **state)
{
    static const char *const pairs[][2] = { { "f", "Zg==" },         { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },       { "foob", "Zm9vYg==" },
                                            { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
    char out[16];

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        mkt_base64_encode(mkt_span(pairs[i][0], strlen(pairs[i][0])), out);
        assert_string_equal(out, pairs[i][1]);
    }
}

static void
no_other_character_is_a_digit(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t out[4];
    size_t len;

    (void)state;
    for (int c = 0; c < 256; c++) {
        char quad[4] = { 'A', (char)c, 'A', 'A' };

        assert_int_equal(mkt_base64_decode(quad, 4, out, 4, &len),
                         memchr(digits, c, sizeof digits - 1) != NULL);
    }
}

static void
octets_have_one_spelling(void **state)
{
    static const char *const wrong[] = {
        "A",     "AA",   "AAA",  "AAAAA", "AA=",  "A===", "AB==",     "AAB=",  "AA==A", "AA A",
        "AAAA=", "====", "AA=A", "A=AA",  "A-A=", "=AAA", "AA==AAAA", "AAA\t", "AAA=A", "AAAA===="
    };
    uint8_t buf[16], out[16];
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_false(mkt_base64_decode(wrong[i], strlen(wrong[i]), out, sizeof out, &len));
        memcpy(buf, wrong[i], strlen(wrong[i]));
        assert_false(mkt_base64_decode_lines(buf, strlen(wrong[i]), &len));
    }
}

static void
lines_are_skipped_where_they_may_be_only(void **state)
{
    uint8_t lines[] = "AA\r\nAA\n", none[] = "\r\n";
    uint8_t out[8];
    size_t len;

    (void)state;
    assert_false(mkt_base64_decode("AA\nA", 4, out, sizeof out, &len));
    assert_false(mkt_base64_decode("", 0, out, sizeof out, &len));
    assert_true(mkt_base64_decode_lines(lines, 7, &len));
    assert_int_equal(len, 3);
    assert_memory_equal(lines, "\0\0\0", 3);
    assert_true(mkt_base64_decode_lines(none, 2, &len));
    assert_int_equal(len, 0);
}

static void
a_write_that_fails_says_why(void **state)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_true(mkt_write_all(fd, "", 0));
    assert_false(mkt_write_all(fd, "x", 1));
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_run_of_octets_comes_back),
        cmocka_unit_test(it_agrees_with_the_vectors_of_rfc_4648),
        cmocka_unit_test(no_other_character_is_a_digit),
        cmocka_unit_test(octets_have_one_spelling),
        cmocka_unit_test(lines_are_skipped_where_they_may_be_only),
        cmocka_unit_test(a_write_that_fails_says_why),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
