/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of records against each kind of damage: what is changed, removed, doubled, moved or cut
 * off is found, and the record is named. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit_rig.h"
#include "hex.h"

#define RECORDS 6 /* of the tests, behind the one of the segment and the one of the start */
#define LINES (RECORDS + 2)

/* One segment in r->text, and where its lines begin. */
static size_t
one_segment(struct audit_rig *r, size_t at[LINES + 1])
{
    size_t n, lines = 0;

    audit_rig_start(r);
    audit_rig_notes(r, RECORDS);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
    n = audit_rig_read(r, 1);
    at[lines++] = 0;
    for (size_t i = 0; i < n; i++)
        if (r->text[i] == '\n')
            at[lines++] = i + 1;
    assert_int_equal(lines, LINES + 1);
    return n;
}

static void
a_chain_goes_on_over_segments_and_restarts(void **state)
{
    struct audit_rig *r = *state;

    r->config.audit_size = 500;
    for (int i = 0; i < 3; i++) {
        audit_rig_start(r);
        audit_rig_notes(r, 5);
        audit_rig_stop(r);
    }
    assert_int_equal(audit_rig_damages(r), 0);
    assert_true(audit_rig_read(r, 4) > 0); /* there are that many */
}

static void
every_flipped_bit_of_every_octet_is_found(void **state)
{
    struct audit_rig *r = *state;
    size_t at[LINES + 1], n = one_segment(r, at);
    char path[200];
    int fd;

    audit_rig_path(r, 1, path);
    fd = open(path, O_WRONLY);
    for (size_t i = 0; i < n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            char flipped = (char)(r->text[i] ^ 1 << bit);

            assert_int_equal(pwrite(fd, &flipped, 1, (off_t)i), 1);
            if (audit_rig_damages(r) == 0)
                fail_msg("octet %zu, bit %u: not found", i, bit);
        }
        assert_int_equal(pwrite(fd, r->text + i, 1, (off_t)i), 1);
    }
    close(fd);
    assert_int_equal(audit_rig_damages(r), 0);
}

static void
a_changed_record_is_named_and_only_that_one(void **state)
{
    struct audit_rig *r = *state;
    size_t at[LINES + 1], n = one_segment(r, at);

    for (size_t line = 2; line < LINES; line++) {
        char *digit = strstr(r->text + at[line], "\"number\":") + 9, named[64];

        *digit ^= 1;
        audit_rig_write(r, 1, r->text, n);
        *digit ^= 1;
        assert_int_equal(audit_rig_damages(r), 1);
        snprintf(named, sizeof named, "record %zu was changed", line + 1);
        assert_non_null(strstr(r->damage, named));
    }
}

static void
a_changed_hash_is_named_at_its_own_record(void **state)
{
    struct audit_rig *r = *state;
    size_t at[LINES + 1], n = one_segment(r, at);
    char *digit = r->text + at[4] - 10;

    *digit = *digit == '0' ? '1' : '0';
    audit_rig_write(r, 1, r->text, n);
    assert_int_equal(audit_rig_damages(r), 1);
    assert_non_null(strstr(r->damage, "record 4 was changed"));
}

static void
a_removed_record_is_missed(void **state)
{
    struct audit_rig *r = *state;
    static char cut[65536];
    size_t at[LINES + 1], n = one_segment(r, at);

    for (size_t line = 0; line < LINES; line++) {
        size_t len = at[line + 1] - at[line];
        char named[64];

        memcpy(cut, r->text, at[line]);
        memcpy(cut + at[line], r->text + at[line + 1], n - at[line + 1]);
        audit_rig_write(r, 1, cut, n - len);
        assert_true(audit_rig_damages(r) > 0);
        snprintf(named, sizeof named, "record %zu is missing", line + 1);
        if (line > 0 && line + 1 < LINES)
            assert_non_null(strstr(r->damage, named));
    }
}

static void
a_doubled_record_is_found(void **state)
{
    struct audit_rig *r = *state;
    static char doubled[65536];
    size_t at[LINES + 1], n = one_segment(r, at);

    for (size_t line = 0; line < LINES; line++) {
        size_t len = at[line + 1] - at[line];
        char named[64];

        memcpy(doubled, r->text, at[line + 1]);
        memcpy(doubled + at[line + 1], r->text + at[line], n - at[line]);
        audit_rig_write(r, 1, doubled, n + len);
        assert_int_equal(audit_rig_damages(r), 1);
        snprintf(named, sizeof named, "record %zu stands behind record %zu", line + 1, line + 1);
        assert_non_null(strstr(r->damage, named));
    }
}

static void
two_records_in_the_wrong_order_are_found(void **state)
{
    struct audit_rig *r = *state;
    static char moved[65536];
    size_t at[LINES + 1], n = one_segment(r, at), second = at[4] - at[3];

    memcpy(moved, r->text, n);
    memcpy(moved + at[2], r->text + at[3], second);
    memcpy(moved + at[2] + second, r->text + at[2], at[3] - at[2]);
    audit_rig_write(r, 1, moved, n);
    assert_true(audit_rig_damages(r) >= 2);
    assert_non_null(strstr(r->damage, "record 3 is missing"));
}

/* The seal of an orderly stop leaves no record that could be cut off. */
static void
a_tail_that_is_cut_off_is_missed_wherever_it_is_cut(void **state)
{
    struct audit_rig *r = *state;
    size_t at[LINES + 1], n = one_segment(r, at);

    char path[200];

    audit_rig_path(r, 1, path);
    for (size_t end = n; end-- > 0;) {
        assert_int_equal(truncate(path, (off_t)end), 0);
        if (audit_rig_damages(r) == 0)
            fail_msg("cut at octet %zu: not found", end);
    }
    audit_rig_write(r, 1, r->text, at[5]);
    assert_int_equal(audit_rig_damages(r), 1);
    assert_non_null(strstr(r->damage, "the store remembers record 8, the last one here is 5"));
}

static void
a_chain_written_anew_is_not_the_one_that_was_sealed(void **state)
{
    struct audit_rig *r = *state;
    uint8_t hash[KMS_CHAIN_HASH] = { 0 };
    size_t at[LINES + 1], n = one_segment(r, at);

    for (size_t line = 0; line < LINES; line++) { /* somebody who can compute SHA-256 */
        char *from = r->text + at[line], *hex = r->text + at[line + 1] - 3 - 64;
        char digits[65];

        if (line == 3)
            *(strstr(from, "\"number\":") + 9) ^= 1;
        assert_true(kms_line_hash(r->crypto, hash, mkt_span(from, (size_t)(hex - 9 - from)), hash));
        kms_hex_write(digits, hash, sizeof hash);
        memcpy(hex, digits, 64);
    }
    audit_rig_write(r, 1, r->text, n);
    assert_int_equal(audit_rig_damages(r), 1);
    assert_non_null(strstr(r->damage, "record 8 is not the one that the store remembers"));
}

static void
swapped_and_missing_segments_are_found(void **state)
{
    struct audit_rig *r = *state;
    char path[3][200], away[220];

    r->config.audit_size = 500;
    audit_rig_start(r);
    audit_rig_notes(r, 9);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
    for (uint64_t i = 0; i < 3; i++)
        audit_rig_path(r, i + 1, path[i]);
    snprintf(away, sizeof away, "%s.away", path[1]);
    assert_int_equal(rename(path[1], away), 0); /* the second alone is gone */
    assert_true(audit_rig_damages(r) > 0);
    assert_int_equal(rename(path[2], path[1]), 0); /* and now the third stands in its place */
    assert_true(audit_rig_damages(r) > 0);
    assert_non_null(strstr(r->damage, "this is segment 3 of the chain"));
    assert_int_equal(rename(away, path[2]), 0); /* both are there, swapped */
    assert_true(audit_rig_damages(r) > 1);
    assert_int_equal(rename(path[2], away), 0);
    assert_int_equal(rename(path[1], path[2]), 0);
    assert_int_equal(rename(away, path[1]), 0);
    assert_int_equal(audit_rig_damages(r), 0);
    assert_int_equal(rename(path[0], away), 0); /* the first is gone */
    assert_true(audit_rig_damages(r) > 0);
    assert_non_null(strstr(r->damage, "what stands before record"));
    assert_int_equal(rename(away, path[0]), 0);
}

/* What a crash leaves of a record that no answer was given for. */
static void
a_torn_record_is_cut_off_and_recorded(void **state)
{
    struct audit_rig *r = *state;
    size_t at[LINES + 1], n = one_segment(r, at);

    r->text[n] = '{';
    memcpy(r->text + n + 1, "\"seq\":9,\"ti", 11);
    audit_rig_write(r, 1, r->text, n + 12);
    assert_int_equal(audit_rig_damages(r), 1);
    audit_rig_start(r);
    assert_non_null(strstr(audit_rig_logged(r), "warn audit-repaired"));
    audit_rig_notes(r, 1);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
    audit_rig_read(r, 1);
    assert_non_null(strstr(r->text, "\"event\":\"start\",\"program\":\"test_kms_chain\""));
    assert_non_null(strstr(r->text, "\"torn\":12"));
}

static void
a_segment_without_a_whole_record_is_begun_again(void **state)
{
    struct audit_rig *r = *state;
    size_t at[LINES + 1];

    (void)one_segment(r, at);
    audit_rig_write(r, 2, "{\"seq\":9", 8);
    audit_rig_start(r);
    audit_rig_notes(r, 1);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
}

/* The daemon neither hides damage nor stops for it. */
static void
a_start_on_damaged_records_says_so_and_leaves_them_as_they_are(void **state)
{
    struct audit_rig *r = *state;
    size_t at[LINES + 1], n = one_segment(r, at);

    *(strstr(r->text + at[4], "\"number\":") + 9) ^= 1;
    audit_rig_write(r, 1, r->text, n);
    audit_rig_start(r);
    assert_non_null(strstr(audit_rig_logged(r), "error audit-damaged"));
    audit_rig_notes(r, 1);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 1);
    assert_non_null(strstr(r->damage, "record 5 was changed"));
    audit_rig_read(r, 2);
    assert_non_null(strstr(r->text, "\"damage\":\"audit-000001.jsonl:5: record 5 was changed"));
}

static void
a_start_behind_a_cut_tail_leaves_the_gap_to_be_seen(void **state)
{
    struct audit_rig *r = *state;
    size_t at[LINES + 1];

    (void)one_segment(r, at);
    audit_rig_write(r, 1, r->text, at[5]);
    audit_rig_start(r);
    assert_non_null(strstr(audit_rig_logged(r), "the end is missing: records 6 to 8"));
    audit_rig_notes(r, 1);
    audit_rig_stop(r);
    assert_true(audit_rig_damages(r) > 0);
    assert_non_null(strstr(r->damage, "records 6 to 8 are missing"));
}

static void
a_folder_is_written_by_one_daemon_only(void **state)
{
    struct audit_rig *r = *state;
    struct kms_audit *second;
    char err[KMS_AUDIT_ERR];

    audit_rig_start(r);
    assert_false(kms_audit_open(&second, &r->config, &r->log, r->store, &r->clock, err));
    assert_non_null(strstr(err, "is written by another program"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, audit_rig_open, audit_rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_chain_goes_on_over_segments_and_restarts),
        TEST(every_flipped_bit_of_every_octet_is_found),
        TEST(a_changed_record_is_named_and_only_that_one),
        TEST(a_changed_hash_is_named_at_its_own_record),
        TEST(a_removed_record_is_missed),
        TEST(a_doubled_record_is_found),
        TEST(two_records_in_the_wrong_order_are_found),
        TEST(a_tail_that_is_cut_off_is_missed_wherever_it_is_cut),
        TEST(a_chain_written_anew_is_not_the_one_that_was_sealed),
        TEST(swapped_and_missing_segments_are_found),
        TEST(a_torn_record_is_cut_off_and_recorded),
        TEST(a_segment_without_a_whole_record_is_begun_again),
        TEST(a_start_on_damaged_records_says_so_and_leaves_them_as_they_are),
        TEST(a_start_behind_a_cut_tail_leaves_the_gap_to_be_seen),
        TEST(a_folder_is_written_by_one_daemon_only),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
