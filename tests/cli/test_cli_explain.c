/* SPDX-License-Identifier: Apache-2.0 */
/* What mikey-ticket explain says of a policy: rules, modes, consequences, and nothing wrong of a
 * policy that is right. Messages are put together from payloads here. */
#include "explain.h"
#include "flag_words.h"

#include <mikeyticket/env.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define NOW ((uint64_t)0xD1200000 << 32) /* 2011-03-08 */
#define DEFGHINO \
    (MKT_TP_D | MKT_TP_E | MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_I | MKT_TP_N | MKT_TP_O)

struct policy_message {
    struct mkt_msg msg;
    uint8_t tp_data[512];
    size_t n;
};

static void
begin(struct policy_message *m, uint8_t data_type, uint16_t pl_type, uint16_t flags)
{
    memset(m, 0, sizeof *m);
    m->msg.hdr.data_type = data_type;
    m->msg.n = 1;
    m->msg.pl[0].type = pl_type;
    struct mkt_pl_ticket *t = &m->msg.pl[0].u.ticket;
    *t = (struct mkt_pl_ticket){ .ticket_type = 1, .subtype = 1, .version = 1, .flags = flags };
    m->n = 1; /* First Payload */
}

/* Appends a payload to TP Data; the chain is closed by the caller's order: next follows. */
static void
append(struct policy_message *m, struct mkt_payload pl, uint8_t next)
{
    size_t n = 0;
    if (m->n == 1)
        m->tp_data[0] = (uint8_t)pl.type;
    pl.next = next;
    assert_int_equal(mkt_payload_encode(&pl, m->tp_data + m->n, sizeof m->tp_data - m->n, &n),
                     MKT_OK);
    m->n += n;
    m->msg.pl[0].u.ticket.tp_data = mkt_span(m->tp_data, m->n);
    m->msg.pl[0].raw = m->msg.pl[0].u.ticket.tp_data;
}

static struct mkt_payload
bob(void)
{
    return (struct mkt_payload){ .type = MKT_PL_IDR,
                                 .u.idr = { MKT_IDR_R, MKT_ID_URI, mkt_span("sip:bob@x", 9) } };
}

static struct mkt_payload
bound(uint8_t role, const char value[4])
{
    return (struct mkt_payload){ .type = MKT_PL_TR,
                                 .u.tr = { role, MKT_TS_NTP_UTC_32, mkt_span(value, 4) } };
}

static struct mkt_payload
wanted(const char *key_data, size_t n)
{
    return (struct mkt_payload){ .type = MKT_PL_KEMAC,
                                 .u.kemac = { MKT_ENCR_NULL, mkt_span(key_data, n), MKT_MAC_NULL,
                                              mkt_span(NULL, 0) } };
}

static bool
breaks(const struct cli_breaches *b, const char *part)
{
    for (size_t i = 0; i < b->n; i++)
        if (strstr(b->of[i].rule, part) != NULL)
            return b->of[i].clause[0] != '\0';
    return false;
}

static struct cli_breaches
breaches_of(const struct policy_message *m)
{
    struct cli_subject s;
    struct cli_breaches b;
    assert_true(cli_subject_message(&s, &m->msg));
    cli_explain_breaches(&b, &s, NOW);
    return b;
}

/* --- flags ------------------------------------------------------------------------------------ */

static void
finds_a_broken_rule_exactly_where_the_library_does(void **state)
{
    (void)state;
    size_t legal = 0;
    for (uint16_t flags = 0; flags < 1 << 12; flags++) {
        struct cli_subject s = { .flags = flags };
        struct cli_breaches b;
        struct mkt_err err = { 0 };
        cli_explain_breaches(&b, &s, NOW);
        enum mkt_rc rc = mkt_policy_check(flags, false, &err);
        assert_int_equal(b.n == 0, rc == MKT_OK);
        if (rc != MKT_OK)
            assert_string_equal(b.of[0].rule, err.what);
        legal += rc == MKT_OK;
    }
    assert_in_range(legal, 1, 4095);
}

static void
names_every_rule_that_is_broken_and_what_repairs_it(void **state)
{
    (void)state;
    struct cli_subject s = { .flags = MKT_TP_G | MKT_TP_I | MKT_TP_K | MKT_TP_M };
    struct cli_breaches b;
    cli_explain_breaches(&b, &s, NOW);
    assert_int_equal(b.n, 5);
    assert_true(breaks(&b, "NOT D implies L"));
    assert_true(breaks(&b, "G implies F"));
    assert_true(breaks(&b, "I implies E"));
    assert_true(breaks(&b, "K implies D"));
    assert_true(breaks(&b, "M implies F"));
    assert_string_equal(b.of[0].help, "set L, or set D");
    assert_string_equal(b.of[1].help, "set F, or clear G");
}

static void
tells_the_mode(void **state)
{
    (void)state;
    assert_int_equal(cli_explain_mode(MKT_TP_D | MKT_TP_E)->number, 1);
    assert_int_equal(cli_explain_mode(MKT_TP_D)->number, 2);
    assert_int_equal(cli_explain_mode(MKT_TP_E)->number, 3);
    assert_int_equal(cli_explain_mode(0)->number, 4);
    assert_string_equal(cli_explain_mode(MKT_TP_E)->exchanges, "Ticket Transfer, Ticket Resolve");
}

static const char *
answer_to(const char *key, uint16_t flags)
{
    struct cli_consequence c;
    for (size_t i = 0; cli_explain_next(&i, flags, &c);)
        if (strcmp(c.key, key) == 0)
            return c.words;
    fail_msg("nothing is said of %s", key);
    return NULL;
}

static void
says_what_follows_from_the_flags(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint16_t flags;
        const char *says;
    } rows[] = {
        { "session-keys", 0, "neither end" },
        { "session-keys", MKT_TP_L, "by the Initiator" },
        { "session-keys", MKT_TP_M, "by the Responder" },
        { "session-keys", MKT_TP_L | MKT_TP_M, "by either end" },
        { "forking", 0, "share" },
        { "forking", MKT_TP_I, "MPKr'" },
        { "answer", 0, "no TRANSFER_RESP" },
        { "answer", MKT_TP_F, "must be sent" },
        { "random-octets", 0, "neither" },
        { "random-octets", MKT_TP_G, "RANDRr in" },
        { "random-octets", MKT_TP_H, "RANDRi in" },
        { "random-octets", MKT_TP_G | MKT_TP_H, "RANDRi and RANDRr" },
        { "reuse", 0, "one offer" },
        { "reuse", MKT_TP_J, "several offers" },
        { "processing", 0, "both ends need more" },
        { "processing", MKT_TP_N, "the Responder needs more" },
        { "processing", MKT_TP_O, "the Initiator needs more" },
        { "processing", MKT_TP_N | MKT_TP_O, "all that both" },
    };
    for (size_t i = 0; i < CLI_COUNT(rows); i++)
        assert_non_null(strstr(answer_to(rows[i].key, rows[i].flags), rows[i].says));
}

static void
reads_letters_in_either_case_and_no_others(void **state)
{
    (void)state;
    uint16_t flags;
    char back[13];
    assert_null(cli_flags_read("dEfGhiJKlmNo", UINT16_MAX, &flags));
    assert_int_equal(flags, 0xFFF);
    assert_null(cli_flags_read("", UINT16_MAX, &flags));
    assert_int_equal(flags, 0);
    assert_string_equal(cli_flags_read("DECO", UINT16_MAX, &flags), "CO");
    assert_string_equal(cli_flags_read("DEKO", (uint16_t)~MKT_TP_K, &flags), "KO");
    for (size_t i = 0; i < CLI_FLAGS; i++) {
        mkt_policy_flags_format(cli_flags[i].flag, back);
        assert_int_equal(back[0], cli_flags[i].letter);
        assert_int_equal(back[1], '\0');
    }
}

/* --- policies of messages --------------------------------------------------------------------- */

static void
finds_nothing_wrong_with_a_wish_that_is_right(void **state)
{
    (void)state;
    struct policy_message m;
    begin(&m, MKT_DT_REQUEST_INIT_PSK, MKT_PL_TP, DEFGHINO);
    append(&m, bound(MKT_TR_S, "\xd1\x1f\xff\xc4"), MKT_PL_TR);
    append(&m, bound(MKT_TR_E, "\xd1\x20\x0e\x10"), MKT_PL_IDR);
    append(&m, bob(), MKT_PL_LAST);
    assert_int_equal(breaches_of(&m).n, 0);
}

static void
finds_keys_that_no_kms_may_grant(void **state)
{
    (void)state;
    static const struct {
        const char *key_data;
        size_t n;
        const char *rule;
    } bad[] = {
        { "\0\0\0\x08"
          "12345678",
          12, "shorter than 128 bits" },
        { "\0\x60\0\x10"
          "1234567812345678",
          20, "only session keys" },
        { "\0\x10\0\x10"
          "1234567812345678\0\0",
          22, "salt length" },
    };
    for (size_t i = 0; i < CLI_COUNT(bad); i++) {
        struct policy_message m;
        begin(&m, MKT_DT_REQUEST_INIT_PSK, MKT_PL_TP, DEFGHINO);
        append(&m, wanted(bad[i].key_data, bad[i].n), MKT_PL_IDR);
        append(&m, bob(), MKT_PL_LAST);
        struct cli_breaches b = breaches_of(&m);
        assert_int_equal(b.n, 1);
        assert_true(breaks(&b, bad[i].rule));
    }
}

static void
finds_a_policy_that_names_nobody_and_a_period_that_ends_first(void **state)
{
    (void)state;
    struct policy_message m;
    begin(&m, MKT_DT_REQUEST_INIT_PSK, MKT_PL_TP, DEFGHINO | MKT_TP_K);
    append(&m, bound(MKT_TR_S, "\xd1\x20\x0e\x10"), MKT_PL_TR);
    append(&m, bound(MKT_TR_E, "\xd1\x1f\xff\xc4"), MKT_PL_LAST);
    struct cli_breaches b = breaches_of(&m);
    assert_true(breaks(&b, "no IDRr"));
    assert_true(breaks(&b, "ends (TRe)"));
    assert_true(breaks(&b, "K is 0")); /* RFC6043:6.10-9 */
    assert_int_equal(b.n, 3);
}

static void
reads_a_period_over_the_end_of_the_era(void **state)
{
    (void)state;
    struct policy_message m;
    begin(&m, MKT_DT_REQUEST_RESP, MKT_PL_TICKET, DEFGHINO);
    append(&m, bound(MKT_TR_S, "\xff\xff\xff\x00"), MKT_PL_TR);
    append(&m, bound(MKT_TR_E, "\0\0\x01\0"), MKT_PL_IDR); /* 2036 */
    append(&m, bob(), MKT_PL_LAST);
    assert_int_equal(breaches_of(&m).n, 0); /* RFC6043:6.10-16, RFC6043:6.10-17 */
}

static void
wants_initiator_data_exactly_with_key_forking(void **state)
{
    (void)state;
    static const struct {
        uint8_t data_type;
        uint16_t flags;
        size_t initiator_data;
        const char *rule; /* NULL: right */
    } rows[] = {
        { MKT_DT_TRANSFER_INIT, DEFGHINO, 8, NULL },
        { MKT_DT_TRANSFER_INIT, DEFGHINO, 0, "I asks for Initiator Data" },
        { MKT_DT_TRANSFER_INIT, DEFGHINO & ~MKT_TP_I, 8, "although I is not set" },
        { MKT_DT_RESOLVE_INIT_PSK, DEFGHINO & ~MKT_TP_I, 0, NULL },
        { MKT_DT_REQUEST_RESP, DEFGHINO, 0, NULL },
        { MKT_DT_REQUEST_RESP, DEFGHINO, 8, "not for the KMS" },
    };
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        struct policy_message m;
        begin(&m, rows[i].data_type, MKT_PL_TICKET, rows[i].flags);
        append(&m, bob(), MKT_PL_LAST);
        m.msg.pl[0].u.ticket.initiator_data = mkt_span("12345678", rows[i].initiator_data);
        struct cli_breaches b = breaches_of(&m);
        assert_int_equal(b.n, rows[i].rule != NULL); /* RFC6043:6.10-24 */
        assert_true(rows[i].rule == NULL || breaks(&b, rows[i].rule));
    }
}

static void
finds_no_policy_in_a_message_without_one(void **state)
{
    (void)state;
    static struct mkt_msg m;
    struct cli_subject s;
    m.hdr.data_type = MKT_DT_TRANSFER_RESP;
    assert_false(cli_subject_message(&s, &m));
}

static bool
notes(const struct cli_subject *s, const char *part)
{
    const char *words;
    for (size_t i = 0; cli_explain_note(&i, s, &words);)
        if (strstr(words, part) != NULL)
            return true;
    return false;
}

static void
notes_what_is_allowed_but_surprising(void **state)
{
    (void)state;
    struct policy_message m;
    struct cli_subject s = { .flags = DEFGHINO };
    size_t i = 0;
    const char *words;
    assert_false(cli_explain_note(&i, &s, &words));
    s.flags = MKT_TP_D | MKT_TP_E | MKT_TP_H | MKT_TP_I | MKT_TP_L;
    assert_true(notes(&s, "I without F"));
    assert_true(notes(&s, "under MPKi"));
    assert_false(notes(&s, "all the same"));
    s.flags = MKT_TP_D | MKT_TP_H;
    assert_true(notes(&s, "all the same"));
    begin(&m, MKT_DT_REQUEST_INIT_PSK, MKT_PL_TP, MKT_TP_E | MKT_TP_H | MKT_TP_L);
    append(&m, bob(), MKT_PL_LAST);
    assert_true(cli_subject_message(&s, &m.msg));
    assert_true(notes(&s, "sets D"));
    begin(&m, MKT_DT_REQUEST_RESP, MKT_PL_TICKET, DEFGHINO | MKT_TP_K);
    m.msg.pl[0].u.ticket.ticket_type = 2;
    append(&m, bob(), MKT_PL_LAST);
    assert_true(cli_subject_message(&s, &m.msg));
    assert_true(notes(&s, "look before"));
    assert_true(notes(&s, "not the MIKEY base ticket"));
}

static void
writes_seconds_as_people_say_them(void **state)
{
    (void)state;
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = { { 0, "0 s" },
                 { 59, "59 s" },
                 { 60, "1 min" },
                 { 61, "1 min 1 s" },
                 { 3600, "1 h" },
                 { 5400, "1 h 30 min" },
                 { 3601, "1 h" },
                 { 86400, "1 d" },
                 { 90061, "1 d 1 h" },
                 { 604800, "7 d" },
                 { 4294967295, "49710 d 6 h" } };
    char text[CLI_SPAN_TEXT];
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        cli_explain_seconds(rows[i].seconds, text);
        assert_string_equal(text, rows[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_broken_rule_exactly_where_the_library_does),
        cmocka_unit_test(names_every_rule_that_is_broken_and_what_repairs_it),
        cmocka_unit_test(tells_the_mode),
        cmocka_unit_test(says_what_follows_from_the_flags),
        cmocka_unit_test(reads_letters_in_either_case_and_no_others),
        cmocka_unit_test(finds_nothing_wrong_with_a_wish_that_is_right),
        cmocka_unit_test(finds_keys_that_no_kms_may_grant),
        cmocka_unit_test(finds_a_policy_that_names_nobody_and_a_period_that_ends_first),
        cmocka_unit_test(reads_a_period_over_the_end_of_the_era),
        cmocka_unit_test(wants_initiator_data_exactly_with_key_forking),
        cmocka_unit_test(finds_no_policy_in_a_message_without_one),
        cmocka_unit_test(notes_what_is_allowed_but_surprising),
        cmocka_unit_test(writes_seconds_as_people_say_them),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
