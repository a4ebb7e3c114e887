/* SPDX-License-Identifier: Apache-2.0 */
/* What the client reads from texts: hex, SDP and RTSP, the command line, durations, suites;
 * and what it writes: reports that are the same as text and as JSON. */
#include "carrier.h"
#include "clock.h"
#include "credential.h"
#include "encode.h"
#include "options.h"
#include "report.h"
#include "srtp_suite.h"
#include "wish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct mkt_span
text(const char *s)
{
    return mkt_span(s, strlen(s));
}

/* --- hex -------------------------------------------------------------------------------------- */

static void
encodes_and_decodes_every_octet(void **state)
{
    (void)state;
    uint8_t all[256], back[256];
    char hex[2 * sizeof all + 1];
    for (size_t i = 0; i < sizeof all; i++)
        all[i] = (uint8_t)i;
    for (size_t n = 0; n <= sizeof all; n++) {
        size_t len = 999;
        cli_hex_encode(mkt_span(all, n), hex);
        assert_true(cli_hex_decode(hex, 2 * n, back, n, &len));
        assert_int_equal(len, n);
        assert_memory_equal(back, all, n);
    }
    assert_memory_equal(hex + 2 * 0xAB, "ab", 2);
}

static void
accepts_no_character_that_is_no_digit(void **state)
{
    (void)state;
    static const char hex[] = "0123456789abcdefABCDEF";
    uint8_t out[4];
    size_t len;
    for (int c = 1; c < 256; c++) {
        char pair[2] = { '1', (char)c };
        assert_int_equal(cli_hex_decode(pair, 2, out, 4, &len), strchr(hex, c) != NULL);
    }
    assert_false(cli_hex_decode("0000", 4, out, 1, &len));
    assert_false(cli_hex_decode("000", 3, out, 4, &len));
}

/* --- carriers -------------------------------------------------------------------------------- */

static void
finds_a_message_in(const char *content, enum cli_carrier_kind kind)
{
    CLI_SCOPED_CARRIER c = { 0 };
    struct cli_error err = { 0 };
    assert_true(cli_carrier_open(&c, text(content), "f", &err));
    assert_int_equal(c.kind, kind);
    assert_int_equal(c.n, 1);
    assert_int_equal(cli_carrier_message(&c, 0).n, 6);
    assert_memory_equal(cli_carrier_message(&c, 0).p, "\x01\x0e\x05\x81\xff\x00", 6);
}

static void
tells_what_a_message_is_in(void **state)
{
    (void)state;
    finds_a_message_in("010e0581ff00", CLI_CARRIER_HEX);
    finds_a_message_in("  01:0E:05:81\n  FF 00\n", CLI_CARRIER_HEX);
    finds_a_message_in("AQ4Fgf8A", CLI_CARRIER_BASE64);
    finds_a_message_in("AQ4F\r\n  gf8A\r\n", CLI_CARRIER_BASE64);
    finds_a_message_in("a=key-mgmt:mikey AQ4Fgf8A\r\n", CLI_CARRIER_SDP);
    finds_a_message_in("v=0\na=key-mgmt:other AAAA\na=key-mgmt:mikey   AQ4Fgf8A", CLI_CARRIER_SDP);
    finds_a_message_in("KeyMgmt: prot=mikey; uri=\"rtsp://a\"; data=\"AQ4Fgf8A\"\r\n",
                       CLI_CARRIER_RTSP);
    finds_a_message_in("keymgmt:prot=x;data=\"AAAA\",prot=mikey;data=\"AQ4Fgf8A\"",
                       CLI_CARRIER_RTSP);
}

static void
takes_octets_as_they_are(void **state)
{
    (void)state;
    CLI_SCOPED_CARRIER version = { 0 };
    CLI_SCOPED_CARRIER other = { 0 };
    struct cli_error err = { 0 };
    assert_true(cli_carrier_open(&version,
                                 mkt_span("\x01"
                                          "AAA",
                                          4),
                                 "f", &err));
    assert_int_equal(version.kind, CLI_CARRIER_RAW);
    assert_int_equal(cli_carrier_message(&version, 0).n, 4);
    assert_true(cli_carrier_open(&other, mkt_span("\x02\x00", 2), "f", &err));
    assert_int_equal(other.kind, CLI_CARRIER_RAW); /* a wrong version is the parser's to say */
}

static void
finds_every_message_of_an_sdp_and_its_line(void **state)
{
    (void)state;
    CLI_SCOPED_CARRIER c = { 0 };
    struct cli_error err = { 0 };
    assert_true(cli_carrier_open(&c,
                                 text("v=0\r\n"
                                      "m=audio 9 RTP/SAVP 0\r\n"
                                      "a=key-mgmt:mikey AQ4Fgf8A\r\n"
                                      "a=key-mgmt:keyp1 AAAA\r\n"
                                      "m=video 9 RTP/SAVP 96\r\n"
                                      "a=key-mgmt:mikey AQ==\r\n"),
                                 "f", &err));
    assert_int_equal(c.n, 2);
    assert_int_equal(c.msg[0].line, 3);
    assert_int_equal(c.msg[1].line, 6);
    assert_int_equal(cli_carrier_message(&c, 1).n, 1);
    /* RFC 4567 4.1.4: the list of the level that the first message is on, in its order */
    assert_string_equal(c.protocols, "mikey;keyp1");
}

static void
lists_the_protocols_of_the_session_level(void **state)
{
    (void)state;
    CLI_SCOPED_CARRIER session = { 0 };
    CLI_SCOPED_CARRIER media = { 0 };
    struct cli_error err = { 0 };
    assert_true(cli_carrier_open(&session,
                                 text("a=key-mgmt:keyp2 AAAA\na=key-mgmt:mikey AQ==\n"
                                      "m=audio\na=key-mgmt:keyp3 AAAA\n"),
                                 "f", &err));
    assert_string_equal(session.protocols, "keyp2;mikey");
    assert_true(cli_carrier_open(
        &media, text("a=key-mgmt:keyp2 AAAA\nm=audio\na=key-mgmt:mikey AQ==\n"), "f", &err));
    assert_string_equal(media.protocols, "mikey");
}

static void
refuses_texts_without_a_message(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "hello",
        "010",
        "v=0\na=key-mgmt:keyp1 AAAA\n",
        "a=key-mgmt:mikey !!!!\n",
        "a=key-mgmt:mikey\n",
        "a=key-mgmt:mikeyx AQ4F\n",
        "KeyMgmt: prot=mikey; data=\"\"\n", /* RFC 4567 erratum 2247: may be empty */
        "KeyMgmt: prot=mikey; data=\"AQ4\n",
    };
    for (size_t i = 0; i < CLI_COUNT(bad); i++) {
        CLI_SCOPED_CARRIER c = { 0 };
        struct cli_error err = { 0 };
        assert_false(cli_carrier_open(&c, text(bad[i]), "f", &err));
        assert_int_equal(err.code, CLI_EXIT_MALFORMED);
    }
}

static void
reads_at_most_as_many_messages_as_it_has_room_for(void **state)
{
    (void)state;
    char many[(CLI_CARRIER_MAX + 1) * 32] = "";
    CLI_SCOPED_CARRIER c = { 0 };
    struct cli_error err = { 0 };
    for (size_t i = 0, at = 0; i <= CLI_CARRIER_MAX; i++)
        at += (size_t)snprintf(many + at, sizeof many - at, "a=key-mgmt:mikey AQ==\n");
    assert_false(cli_carrier_open(&c, text(many), "f", &err));
    assert_non_null(strstr(err.text, "f:17: more than 16 messages"));
}

/* --- the command line ------------------------------------------------------------------------ */

static bool
parse(struct cli_args *args, struct cli_error *err, const char *const *words)
{
    char *argv[40] = { NULL }; /* getopt_long sorts the pointers, and leaves the words alone */
    int argc = 0;
    for (; words[argc] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    memset(err, 0, sizeof *err);
    return cli_args_parse(args, cli_command_find(words[0]), argc, argv, err);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define REQUEST "--credentials", "c", "--kms", "udp://h", "--out", "o"

static void
reads_options_and_their_repetitions(void **state)
{
    (void)state;
    struct cli_args args;
    struct cli_error err;
    assert_true(parse(&args, &err, WORDS("request", REQUEST, "--to", "sip:a@b", "--to=sip:c@d")));
    assert_int_equal(args.n[CLI_OPT_TO], 2);
    assert_string_equal(args.value[CLI_OPT_TO][1], "sip:c@d");
    assert_string_equal(cli_args_get(&args, CLI_OPT_KMS), "udp://h");
    assert_false(cli_args_has(&args, CLI_OPT_JSON));
    assert_null(cli_args_get(&args, CLI_OPT_JSON));
    assert_true(parse(&args, &err, WORDS("decode", "--json", "-")));
    assert_string_equal(args.operand, "-");
}

static void
refuses_a_command_line_that_is_wrong(void **state)
{
    (void)state;
    struct cli_args args;
    struct cli_error err;
    assert_false(parse(&args, &err, WORDS("request", REQUEST)));
    assert_non_null(strstr(err.text, "missing: --to"));
    assert_false(parse(&args, &err, WORDS("request", REQUEST, "--to", "a@b", "--kms", "x")));
    assert_non_null(strstr(err.text, "given twice: --kms"));
    assert_false(parse(&args, &err, WORDS("request", "--show-keys"))); /* an option of keys */
    assert_non_null(strstr(err.text, "unknown option --show-keys"));
    assert_false(parse(&args, &err, WORDS("keys", "--session")));
    assert_non_null(strstr(err.text, "an argument is missing after --session"));
    assert_false(parse(&args, &err, WORDS("keys", "--session", "s", "extra")));
    assert_non_null(strstr(err.text, "unexpected: extra"));
    assert_int_equal(err.code, CLI_EXIT_USAGE);
    assert_true(parse(&args, &err, WORDS("request", "--help"))); /* needs nothing else */
}

static void
finds_an_option_for_each_that_a_command_requires(void **state)
{
    (void)state;
    for (size_t i = 0; i < cli_commands_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        assert_int_equal(c->required & c->optional, 0);
        assert_int_equal(c->repeated & ~(c->required | c->optional), 0);
        assert_non_null(c->examples);
        assert_ptr_equal(cli_command_find(c->name), c);
    }
    assert_null(cli_command_find("none"));
}

static void
reads_numbers_in_their_range_only(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        bool ok;
    } rows[] = { { "1", true },   { "0x10", true },  { "16", true },
                 { "17", false }, { "0", false },    { "-1", false },
                 { "", false },   { "1x", false },   { " 1", false },
                 { "+1", false }, { "0x11", false }, { "18446744073709551617", false } };
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        struct cli_args args = { .value[CLI_OPT_SSRC][0] = rows[i].given };
        struct cli_error err = { 0 };
        uint64_t out;
        assert_int_equal(cli_args_uint(&args, CLI_OPT_SSRC, 0, 1, 16, &out, &err), rows[i].ok);
    }
}

static void
reads_durations(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        uint32_t seconds; /* 0: refused */
    } rows[] = { { "90", 90 },       { "90s", 90 },
                 { "15m", 900 },     { "1h", 3600 },
                 { "7d", 604800 },   { "", 0 },
                 { "0", 0 },         { "h", 0 },
                 { "1w", 0 },        { "1hh", 0 },
                 { "-1", 0 },        { "1 h", 0 },
                 { "49711d", 0 },    { "4294967295", UINT32_MAX },
                 { "4294967296", 0 } };
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        uint32_t got = 0;
        assert_int_equal(cli_clock_duration(rows[i].given, &got), rows[i].seconds != 0);
        assert_int_equal(got, rows[i].seconds);
    }
}

/* --- the wish -------------------------------------------------------------------------------- */

static bool
wish(struct mkt_policy *p, struct cli_error *err, enum cli_option id, const char *value)
{
    struct cli_args args = { .value[CLI_OPT_TO][0] = "sip:bob@example.com", .n[CLI_OPT_TO] = 1 };
    args.value[id][args.n[id]++] = value;
    memset(err, 0, sizeof *err);
    return cli_wish_read(p, &args, MKT_PRF_HMAC_SHA_256, (uint64_t)1000 << 32 | 5, err);
}

static void
wishes_what_the_command_line_says(void **state)
{
    (void)state;
    struct mkt_policy p;
    struct cli_error err;
    assert_true(wish(&p, &err, CLI_OPT_VALIDITY, "1m"));
    assert_int_equal(p.end.type, MKT_TS_NTP_UTC_32);
    assert_true(p.end.value == (uint64_t)1060 << 32);
    assert_int_equal(p.n_responders, 1);
    assert_true((p.flags & MKT_TP_I) != 0);
    assert_true(wish(&p, &err, CLI_OPT_NO_FORKING, ""));
    assert_int_equal(p.flags & MKT_TP_I, 0);
    assert_true(wish(&p, &err, CLI_OPT_KEY, "tek+salt:16:12"));
    assert_int_equal(p.n_wanted, 1);
    assert_int_equal(p.wanted[0].type, MKT_KEY_TEK_SALT);
    assert_int_equal(p.wanted[0].key_len, 16);
    assert_int_equal(p.wanted[0].salt_len, 12);
    assert_true(wish(&p, &err, CLI_OPT_KEY, "GTGK"));
    assert_int_equal(p.wanted[0].key_len, 32); /* of the suite */
    assert_int_equal(p.wanted[0].salt_len, 0);
    assert_true(wish(&p, &err, CLI_OPT_NO_RESOLVE, ""));
    assert_int_equal(p.flags & (MKT_TP_D | MKT_TP_E | MKT_TP_I), MKT_TP_D);
    assert_true(wish(&p, &err, CLI_OPT_REUSE, ""));
    assert_int_equal(p.flags & MKT_TP_J, MKT_TP_J);
    assert_true(wish(&p, &err, CLI_OPT_REKEY, "15m")); /* RFC6043:6.10 TRr is a number of seconds */
    assert_true(p.rekey.has && p.rekey.type == MKT_TS_NTP_UTC_32);
    assert_true(p.rekey.value == (uint64_t)900 << 32);
    assert_true(wish(&p, &err, CLI_OPT_VALID_FROM, "10m")); /* and the validity counts from then */
    assert_true(p.start.has && p.start.value == (uint64_t)1600 << 32);
    assert_true(p.end.value == (uint64_t)5200 << 32);
    assert_true(wish(&p, &err, CLI_OPT_VALID_FROM, "1970-01-01T00:00:01Z"));
    assert_true(p.start.value == (uint64_t)2208988801 << 32);
    assert_true(wish(&p, &err, CLI_OPT_APP, "voice"));
    assert_int_equal(p.n_apps, 1);
    assert_int_equal(p.apps[0].type, MKT_ID_BYTES);
    assert_true(wish(&p, &err, CLI_OPT_APP, "urn:example:voice"));
    assert_int_equal(p.apps[0].type, MKT_ID_URI);
    assert_true(wish(&p, &err, CLI_OPT_KEY, "TGK:16@0aFF")); /* RFC6043:6.2.1 */
    assert_int_equal(p.wanted[0].kv, MKT_KV_SPI);
    assert_int_equal(p.wanted[0].key_len, 16);
    assert_int_equal(p.wanted[0].spi.n, 2);
    assert_memory_equal(p.wanted[0].spi.p, "\x0a\xff", 2);
}

static void
wishes_for_its_own_ticket_have_no_d_flag(void **state)
{
    (void)state;
    struct cli_args args = { .value[CLI_OPT_TO][0] = "sip:bob@example.com", .n[CLI_OPT_TO] = 1 };
    struct cli_error err = { 0 };
    struct mkt_policy p;
    char flags[13];
    assert_true(cli_wish_read_own(&p, &args, MKT_PRF_MIKEY_1, 0, &err));
    mkt_policy_flags_format(p.flags, flags);
    assert_string_equal(flags, "EFGHILNO");
    args.value[CLI_OPT_FLAGS][args.n[CLI_OPT_FLAGS]++] = "FGHLMNO";
    args.n[CLI_OPT_NO_KEYS] = 1;
    assert_true(cli_wish_read_own(&p, &args, MKT_PRF_MIKEY_1, 0, &err));
    assert_true(p.has_kemac);
    assert_int_equal(p.n_wanted, 0);
    args.n[CLI_OPT_REUSE] = 1; /* beside --flags */
    assert_false(cli_wish_read_own(&p, &args, MKT_PRF_MIKEY_1, 0, &err));
    assert_int_equal(err.code, CLI_EXIT_USAGE);
}

static void
refuses_wishes_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        enum cli_option id;
        const char *value;
    } bad[] = { { CLI_OPT_FLAGS, "DEFGHINOK" }, /* K is the KMS's: RFC 6043 6.10 */
                { CLI_OPT_FLAGS, "DX" },
                { CLI_OPT_FLAGS, "DGHNO" },  /* G implies F */
                { CLI_OPT_FLAGS, "DFGHIN" }, /* I implies E */
                { CLI_OPT_VALIDITY, "soon" },
                { CLI_OPT_TO, "bob" },
                { CLI_OPT_TO, "sip:b\xC3\xB6"
                              "b@example.com" },
                { CLI_OPT_TO, "sip:bob@example.com\n" },
                { CLI_OPT_KEY, "MPK" },
                { CLI_OPT_KEY, "TGK:8" },
                { CLI_OPT_KEY, "TGK:16:14" }, /* a salt, but not +SALT */
                { CLI_OPT_KEY, "TGK+SALT:16:0" },
                { CLI_OPT_KEY, "TGK:" },
                { CLI_OPT_KEY, "TGK:1000" },
                { CLI_OPT_KEY, "TGK@" },
                { CLI_OPT_KEY, "TGK@abc" },
                { CLI_OPT_VALID_FROM, "tomorrow" },
                { CLI_OPT_VALID_FROM, "2030-01-31T08:00:00Zulu" },
                { CLI_OPT_APP, "" },
                { CLI_OPT_REKEY, "often" },
                { CLI_OPT_NO_KEYS, "" } }; /* without L or M nobody could supply one */
    for (size_t i = 0; i < CLI_COUNT(bad); i++) {
        struct mkt_policy p;
        struct cli_error err;
        assert_false(wish(&p, &err, bad[i].id, bad[i].value));
        assert_int_equal(err.code, CLI_EXIT_USAGE);
    }
}

/* --- suites, identities, reports ------------------------------------------------------------- */

static void
names_the_suite_it_made_parameters_for(void **state)
{
    (void)state;
    static const char *const names[] = { "AES_CM_128_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80",
                                         "AES_CM_128_HMAC_SHA1_32", "AES_256_CM_HMAC_SHA1_32",
                                         "AEAD_AES_128_GCM",        "AEAD_AES_256_GCM" };
    for (size_t i = 0; i < CLI_COUNT(names); i++) {
        const struct cli_srtp_suite *s = cli_srtp_find(names[i]);
        assert_non_null(s);
        assert_string_equal(cli_srtp_name(mkt_span(s->params, s->n)), names[i]);
        assert_non_null(strstr(cli_srtp_list(), names[i]));
    }
    /* RFC3830:6.10.1: absent parameters have their defaults */
    assert_string_equal(cli_srtp_name(mkt_span(NULL, 0)), "AES_CM_128_HMAC_SHA1_80");
    assert_string_equal(cli_srtp_name(mkt_span("\x01\x01\x20", 3)), "AES_256_CM_HMAC_SHA1_80");
    /* RFC7714:15 with the AEAD tag, as other implementations send it */
    assert_string_equal(cli_srtp_name(mkt_span("\x00\x01\x06\x01\x01\x20\x14\x01\x10", 9)),
                        "AEAD_AES_256_GCM");
    assert_string_equal(cli_srtp_name(mkt_span("\x00\x01\x02", 3)), "not a named suite");
    assert_string_equal(cli_srtp_name(mkt_span("\x06\x01\x01", 3)), "not a named suite");
    assert_null(cli_srtp_find("AES"));
}

static void
keeps_long_keys_out_of_suite_128(void **state)
{
    (void)state;
    static const char *const long_key[] = { "AES_256_CM_HMAC_SHA1_80" };
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX];
    struct cli_error err = { 0 };
    size_t n;
    /* RFC6043:12.1: longer than 128 bits, no 128-bit algorithms */
    assert_false(cli_srtp_policies(long_key, 1, MKT_PRF_MIKEY_1, false, sp, &n, &err));
    assert_int_equal(err.code, CLI_EXIT_USAGE);
    memset(&err, 0, sizeof err);
    assert_true(cli_srtp_policies(long_key, 1, MKT_PRF_HMAC_SHA_256, false, sp, &n, &err));
    assert_true(cli_srtp_policies(NULL, 0, MKT_PRF_MIKEY_1, false, sp, &n, &err));
    assert_int_equal(n, 1);
    assert_string_equal(cli_srtp_name(sp[0].params), "AES_CM_128_HMAC_SHA1_80");
    assert_true(cli_srtp_policies(NULL, 0, MKT_PRF_HMAC_SHA_256, true, sp, &n, &err));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++)
        assert_non_null(strstr(cli_srtp_name(sp[i].params), "256"));
}

static void
tells_a_uri_from_an_nai(void **state)
{
    (void)state;
    assert_int_equal(cli_identity("sip:alice@example.com").type, MKT_ID_URI);
    assert_int_equal(cli_identity("tel:+1234").type, MKT_ID_URI);
    assert_int_equal(cli_identity("alice@example.com").type, MKT_ID_NAI);
    assert_int_equal(cli_identity("9:alice@example.com").type, MKT_ID_NAI);
}

static void
shows_a_strange_identity_without_control_characters(void **state)
{
    (void)state;
    char out[CLI_IDENTITY_TEXT];
    cli_identity_text((struct mkt_identity){ MKT_ID_URI, mkt_span("sip:\x1b[2J\\\n\xff", 11) },
                      out);
    assert_string_equal(out, "sip:\\x1b[2J\\x5c\\x0a\\xff");
}

static char *
report(bool json)
{
    char *out = NULL;
    size_t n = 0;
    struct cli_report r;
    FILE *f = open_memstream(&out, &n);
    cli_report_begin(&r, f, json);
    cli_report_text(&r, "a-key", "x\"y");
    cli_report_list(&r, "list");
    cli_report_item(&r);
    cli_report_uint(&r, "n", 7);
    cli_report_bool(&r, "yes", true);
    cli_report_close(&r);
    cli_report_item(&r);
    cli_report_hex(&r, "hex", mkt_span("\x0a\xff", 2));
    cli_report_close(&r);
    cli_report_close(&r);
    cli_report_list(&r, "empty");
    cli_report_close(&r);
    cli_report_end(&r);
    fclose(f);
    return out;
}

static void
reports_the_same_as_text_and_as_json(void **state)
{
    (void)state;
    char *plain = report(false), *json = report(true);
    assert_string_equal(plain,
                        "a-key: x\"y\nlist:\n  - n: 7\n    yes: yes\n  - hex: 0aff\nempty:\n");
    assert_string_equal(json, "{\n  \"a_key\": \"x\\\"y\",\n  \"list\": [\n    {\n      \"n\": 7,\n"
                              "      \"yes\": true\n    },\n    {\n      \"hex\": \"0aff\"\n    }\n"
                              "  ],\n  \"empty\": []\n}\n");
    free(plain);
    free(json);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_and_decodes_every_octet),
        cmocka_unit_test(accepts_no_character_that_is_no_digit),
        cmocka_unit_test(tells_what_a_message_is_in),
        cmocka_unit_test(takes_octets_as_they_are),
        cmocka_unit_test(finds_every_message_of_an_sdp_and_its_line),
        cmocka_unit_test(lists_the_protocols_of_the_session_level),
        cmocka_unit_test(refuses_texts_without_a_message),
        cmocka_unit_test(reads_at_most_as_many_messages_as_it_has_room_for),
        cmocka_unit_test(reads_options_and_their_repetitions),
        cmocka_unit_test(refuses_a_command_line_that_is_wrong),
        cmocka_unit_test(finds_an_option_for_each_that_a_command_requires),
        cmocka_unit_test(reads_numbers_in_their_range_only),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(wishes_what_the_command_line_says),
        cmocka_unit_test(wishes_for_its_own_ticket_have_no_d_flag),
        cmocka_unit_test(refuses_wishes_that_cannot_be),
        cmocka_unit_test(names_the_suite_it_made_parameters_for),
        cmocka_unit_test(keeps_long_keys_out_of_suite_128),
        cmocka_unit_test(tells_a_uri_from_an_nai),
        cmocka_unit_test(shows_a_strange_identity_without_control_characters),
        cmocka_unit_test(reports_the_same_as_text_and_as_json),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
