/* SPDX-License-Identifier: Apache-2.0 */
/* The printed form of a message: names, words and times are there, keys are not, and the JSON is
 * JSON whatever a peer puts into its strings. */
#include "wire_message.h"

#include "../fuzz/json.h"
#include "message/print.h"

static char out[1 << 16];
static size_t out_n;

static void
collect(void *ctx, const char *text, size_t n)
{
    (void)ctx;
    assert_true(n < sizeof out - out_n);
    memcpy(out + out_n, text, n);
    out_n += n;
    out[out_n] = '\0';
}

static const char *
print(const struct mkt_msg *m, enum mkt_print how)
{
    out_n = 0;
    mkt_msg_print(m, how, collect, NULL);
    if (how == MKT_PRINT_JSON)
        assert_true(mkt_json_valid(out, out_n));
    return out;
}

static void
assert_says(const char *text)
{
    if (strstr(out, text) == NULL)
        fail_msg("not printed: %s", text);
}

/* A message of one payload behind an empty map. */
static const struct mkt_msg *
message_of(const struct mkt_payload *pl)
{
    const struct mkt_hdr hdr = { .data_type = MKT_DT_ERROR, .map_type = MKT_MAP_EMPTY };
    (void)check(&hdr, &pl, 1);
    assert_int_equal(changed.n, 1);
    return &changed;
}

static void
text_names_every_field_of_a_request(void **state)
{
    (void)state;
    load("mode1-forked-gh-128: REQUEST_INIT");
    print(&msg, MKT_PRINT_TEXT);
    assert_says("MIKEY message: 11 REQUEST_INIT_PSK\noctets: 224\n");
    assert_says("\n  PRF func: 0 MIKEY-1\n  CSB ID: 1367196900\n  #CS: 0\n"
                "  CS ID map type: 1 Empty map\n");
    assert_says("\n  T at octet 10 (RFC 3830 6.6)\n    Next Payload: 15 RANDR\n"
                "    TS Type: 0 NTP-UTC\n    TS Value: d120000110000001\n"
                "    that is, UTC: \"2011-03-08T01:08:17Z\"\n");
    assert_says("    ID Role: 1 Initiator (IDRi)\n    ID Type: 1 URI\n"
                "    ID Data: \"sip:alice@example.com\"\n");
    assert_says("      I: 1 key forking\n      J: 0 the ticket shall not be reused\n");
    assert_says("    flags set: \"DEFGHINO\"\n");
    assert_says("    TP Data\n      IDR at octet 100 (RFC 6043 6.6)\n");
    assert_says("        TS Role: 3 End of validity period (TRe)\n");
    assert_says("    Auth alg: 1 HMAC-SHA-1-160\n    Ver data: bd991c0e");
}

static void
json_has_the_same_fields(void **state)
{
    (void)state;
    load("mode1-forked-gh-128: TRANSFER_INIT");
    print(&msg, MKT_PRINT_JSON);
    assert_memory_equal(out,
                        "{\"data_type\":14,\"data_type_name\":\"TRANSFER_INIT\",\"octets\":410,"
                        "\"hdr\":{\"version\":1,",
                        78);
    assert_says("\"map\":[{\"cs_id\":1,\"prot_type\":0,\"prot_type_name\":\"SRTP\",\"s\":false,"
                "\"policies\":[0],\"session_data_hex\":\"\",\"spi_hex\":\"\"},");
    assert_says(
        "\"payloads\":[{\"payload\":\"T\",\"offset\":24,\"ref\":\"RFC 3830 6.6\",\"next\":15,"
        "\"next_name\":\"RANDR\",\"ts_type\":0,\"ts_type_name\":\"NTP-UTC\",");
    assert_says("\"params\":[{\"type\":0,\"type_name\":\"Encryption algorithm\",\"value\":1},");
    assert_says("\"flags\":\"DEFGHINO\"");
    assert_says("\"ticket_data\":[{\"payload\":\"THDR\",");
    assert_says("\"initiator_data\":[{\"payload\":\"V\",");
}

static void
every_recorded_message_prints_as_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIRE_VECTORS; i++) {
        load(wire_vectors[i].name);
        print(&msg, MKT_PRINT_JSON);
        print(&msg, MKT_PRINT_TEXT);
        if (wire_vectors[i].flow)
            assert_null(strstr(out, "refused"));
    }
}

static void
a_message_that_was_cut_off_prints_up_to_there(void **state)
{
    (void)state;
    size_t n = hex_octets(vector("mode1-forked-gh-128: REQUEST_INIT")->hex, octets, sizeof octets);
    assert_int_equal(parse(&msg, octets, n - 1), MKT_E_TRUNCATED);
    print(&msg, MKT_PRINT_TEXT);
    assert_says("ID Data: \"alice-psk\"\n");
    assert_null(strstr(out, "Ver data"));
    assert_int_equal(parse(&msg, octets, 9), MKT_E_TRUNCATED);
    print(&msg, MKT_PRINT_JSON);
    assert_says("\"data_type_name\":\"REQUEST_INIT_PSK\"");
    assert_int_equal(parse(&msg, octets, 0), MKT_E_TRUNCATED);
    print(&msg, MKT_PRINT_JSON);
    assert_says("\"payloads\":[]");
}

static void
ntp_times_before_2036_and_after_are_told_apart(void **state)
{
    static const struct {
        const char *value, *utc;
    } times[] = {
        { "80000000", "1968-01-20T03:14:08Z" }, { "d6b43232", "2014-02-23T08:39:14Z" },
        { "ffffffff", "2036-02-07T06:28:15Z" }, { "00000000", "2036-02-07T06:28:16Z" },
        { "7fffffff", "2104-02-26T09:42:23Z" },
    };
    uint8_t value[4];
    (void)state; /* RFC6043:6.3-1 */
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        hex_octets(times[i].value, value, sizeof value);
        const struct mkt_payload t = { .type = MKT_PL_T,
                                       .u.t = { MKT_TS_NTP_UTC_32, mkt_span(value, 4) } };
        print(message_of(&t), MKT_PRINT_JSON);
        assert_says(times[i].utc);
    }
    const struct mkt_payload counter = { .type = MKT_PL_T,
                                         .u.t = { MKT_TS_COUNTER, mkt_span("\0\0\1\0", 4) } };
    print(message_of(&counter), MKT_PRINT_JSON);
    assert_says("\"counter\":256");
    const struct mkt_payload rekey = {
        .type = MKT_PL_TR, .u.tr = { MKT_TR_R, MKT_TS_NTP_UTC_32, mkt_span("\0\0\1\0", 4) }
    };
    print(message_of(&rekey), MKT_PRINT_TEXT);
    assert_says("that is, seconds: 256\n");
}

static void
strings_of_peers_are_escaped_or_shown_as_octets(void **state)
{
    static const char quoted[] = "a\"b\\c</script>", raw[] = "line\nbreak";
    struct mkt_payload id = { .type = MKT_PL_IDR };
    (void)state;
    id.u.idr = (struct mkt_pl_idr){ MKT_IDR_I, MKT_ID_URI, mkt_span(quoted, strlen(quoted)) };
    print(message_of(&id), MKT_PRINT_JSON);
    assert_says("\"data\":\"a\\\"b\\\\c</script>\"");
    print(message_of(&id), MKT_PRINT_TEXT);
    assert_says("ID Data: \"a\\\"b\\\\c</script>\"\n");
    id.u.idr.data = mkt_span(raw, strlen(raw));
    print(message_of(&id), MKT_PRINT_JSON);
    assert_says("\"data_hex\":\"6c696e650a627265616b\"");
    print(message_of(&id), MKT_PRINT_TEXT);
    assert_says("ID Data: 6c696e650a627265616b\n");
}

/* --- keys stay inside --------------------------------------------------------------------------
 */

/* Key and salt octets of the tests below; nothing printed may contain them. */
#define KEY "c0ffee00c0ffee01c0ffee02c0ffee03"
#define SALT "5a175a175a175a175a175a175a17"

static void
prints_no_key(const struct mkt_msg *m, const char *says)
{
    for (enum mkt_print how = MKT_PRINT_TEXT; how <= MKT_PRINT_JSON; how++) {
        print(m, how);
        assert_null(strstr(out, "c0ffee"));
        assert_null(strstr(out, "5a175a"));
        if (says != NULL && how == MKT_PRINT_TEXT)
            assert_says(says);
    }
}

/* KEMAC with this Encr alg and contents, directly in a message. */
static const struct mkt_msg *
kemac_of(uint8_t encr_alg, const char *hex)
{
    static uint8_t keys[256];
    const struct mkt_span data = mkt_span(keys, hex_octets(hex, keys, sizeof keys));
    const struct mkt_payload kemac = { .type = MKT_PL_KEMAC,
                                       .u.kemac = { encr_alg, data, MKT_MAC_NULL, { NULL, 0 } } };
    return message_of(&kemac);
}

static void
keys_are_described_and_not_shown(void **state)
{
    (void)state;
    prints_no_key(kemac_of(MKT_ENCR_NULL, "14 11 0010" KEY "000e" SALT "02 beef 00 60 0010" KEY),
                  "        Type: 1 TGK+SALT\n        Key data: 16 octets, not shown\n"
                  "        Salt data: 14 octets, not shown\n        KV: 1 SPI/MKI\n"
                  "        SPI: beef\n");
    assert_says("\"key_octets\":16,\"key\":\"not shown\"");
    assert_says("\"type\":6,\"type_name\":\"MPK\"");
}

static void
keys_that_cannot_be_taken_apart_are_not_shown(void **state)
{
    (void)state;
    prints_no_key(kemac_of(MKT_ENCR_NULL, "00 f0 0010" KEY), "rest: 20 octets, not shown\n");
    prints_no_key(kemac_of(MKT_ENCR_NULL, "00 00 0011" KEY), "not shown\n");
    prints_no_key(kemac_of(MKT_ENCR_NULL, "00 00 0000" KEY), "rest: 16 octets, not shown\n");
    prints_no_key(kemac_of(MKT_ENCR_NULL, "63 00 0010" KEY "00" SALT), "not shown\n");
    prints_no_key(kemac_of(200, "00 00 0010" KEY), "Encr data: 20 octets, not shown\n");
}

static void
only_what_is_encrypted_is_shown(void **state)
{
    (void)state;
    print(kemac_of(MKT_ENCR_AES_CM_128, "00 00 0010" KEY), MKT_PRINT_TEXT);
    assert_says("Encr data: 00000010" KEY "\n");
}

static void
keys_in_tp_data_and_ticket_data_are_not_shown(void **state)
{
    static uint8_t tp[256], ticket[256];
    struct mkt_payload pl = { .type = MKT_PL_TICKET };
    struct mkt_pl_ticket *t = &pl.u.ticket;
    (void)state;
    t->ticket_type = t->subtype = t->version = 1;
    t->tp_data = mkt_span(tp, hex_octets("01 00 00 0014 00 00 0010" KEY "00", tp, sizeof tp));
    t->ticket_data = mkt_span(
        ticket, hex_octets("01 0000 00 00 0014 00 00 0010" KEY "00", ticket, sizeof ticket));
    prints_no_key(message_of(&pl), "Key data: 16 octets, not shown\n");
    t->tp_data.n--; /* the chain ends inside the KEMAC */
    t->ticket_data.n--;
    prints_no_key(message_of(&pl), "error: \"octet ");
}

/* A TICKET of one of our types with that Ticket Data. */
static const struct mkt_msg *
ticket_of_version(uint16_t type, uint8_t subtype, uint8_t version, const char *hex)
{
    static uint8_t data[512];
    struct mkt_payload pl = { .type = MKT_PL_TICKET };
    pl.u.ticket = (struct mkt_pl_ticket){
        .ticket_type = type, .subtype = subtype, .version = version, .tp_data = mkt_span("", 1)
    };
    pl.u.ticket.ticket_data = mkt_span(data, hex_octets(hex, data, sizeof data));
    return message_of(&pl);
}

static const struct mkt_msg *
ticket_of(uint16_t type, uint8_t subtype, const char *hex)
{
    return ticket_of_version(type, subtype, 1, hex);
}

static void
the_message_in_a_compatibility_ticket_is_taken_apart(void **state)
{
    (void)state;
    for (uint8_t subtype = 1; subtype <= 2; subtype++) {
        print(ticket_of(MKT_TICKET_TYPE_COMPAT, subtype,
                        "01 00 0b 00 cafe0001 00 01 06 03 aabbcc 00 01 0003 616263"),
              MKT_PRINT_TEXT);
        assert_says("Ticket Type: 61441 compatibility ticket\n");
        assert_says("    Ticket Data, an RFC 3830 message\n      HDR at octet 23 (RFC 3830 6.1)\n"
                    "        version: 1\n        data type: 0 PSK_INIT\n");
        assert_says("        RAND at octet 33 (RFC 3830 6.11)\n          Next Payload: 6 ID\n"
                    "          RAND: aabbcc\n        ID at octet 38 (RFC 3830 6.7)\n");
        assert_says("ID Data: \"abc\"\n");
    }
    print(ticket_of(MKT_TICKET_TYPE_COMPAT, 1, "01 00 00 00 cafe0001 00 01"), MKT_PRINT_JSON);
    assert_says("\"ticket_data\":{\"hdr\":{\"version\":1,\"data_type\":0,"
                "\"data_type_name\":\"PSK_INIT\"");
    print(ticket_of(MKT_TICKET_TYPE_COMPAT, 3, "01 00 00 00 cafe0001 00 01"), MKT_PRINT_JSON);
    assert_says("\"ticket_data_hex\":\"01000000cafe00010001\"");
}

static void
a_reference_ticket_shows_the_name_of_its_keys(void **state)
{
    (void)state;
    print(ticket_of(MKT_TICKET_TYPE_REFERENCE, 1, "00 0010 000102030405060708090a0b0c0d0e0f"),
          MKT_PRINT_TEXT);
    assert_says("Ticket Type: 61440 reference ticket\n");
    assert_says("    Ticket Data, THDR names the keys\n      THDR at octet 23 (RFC 6043 A.3)\n"
                "        Next Payload: 0 Last payload\n"
                "        THDR Data: 000102030405060708090a0b0c0d0e0f\n");
}

/* What a later version means is not known, so its Ticket Data is not read as if it were ours. */
static void
tickets_of_other_versions_are_not_taken_apart(void **state)
{
    static const struct {
        uint16_t type;
        uint8_t subtype, version;
    } unknown[] = {
        { MKT_TICKET_TYPE_COMPAT, 1, 2 },
        { MKT_TICKET_TYPE_REFERENCE, 1, 2 },
        { MKT_TICKET_TYPE_REFERENCE, 2, 1 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        print(ticket_of_version(unknown[i].type, unknown[i].subtype, unknown[i].version,
                                "00 0002 cafe"),
              MKT_PRINT_JSON);
        assert_says("\"ticket_data_hex\":\"000002cafe\"");
    }
}

static void
keys_in_the_message_of_a_ticket_are_not_shown(void **state)
{
    (void)state;
    prints_no_key(ticket_of(MKT_TICKET_TYPE_COMPAT, 1,
                            "01 00 01 00 cafe0001 00 01 00 00 0014 00 00 0010" KEY "00"),
                  "Key data: 16 octets, not shown\n");
    prints_no_key(ticket_of(MKT_TICKET_TYPE_COMPAT, 1,
                            "01 00 01 00 cafe0001 00 01 00 00 0014 00 00 0010" KEY),
                  "not shown\n"); /* ends inside the KEMAC */
    prints_no_key(ticket_of(MKT_TICKET_TYPE_COMPAT, 1, "02 00 01 00" KEY),
                  "rest: 20 octets, not shown\n"); /* not even a header */
    prints_no_key(ticket_of(MKT_TICKET_TYPE_COMPAT, 1, "01 00 00 00 cafe0001 00 01" KEY),
                  "rest: 16 octets, not shown\n"); /* something behind the last payload */
}

static void
a_key_data_payload_standing_alone_shows_no_key(void **state)
{
    static uint8_t key[16];
    struct mkt_payload pl = { .type = MKT_PL_KEY_DATA };
    (void)state;
    pl.u.key_data.key = mkt_span(key, hex_octets(KEY, key, sizeof key));
    prints_no_key(message_of(&pl), "Key data: 16 octets, not shown\n");
}

static void
nesting_without_end_is_cut(void **state)
{
    static uint8_t deep[2][1024];
    struct mkt_payload pl = { .type = MKT_PL_TP };
    size_t n = 1;
    (void)state;
    deep[0][0] = MKT_PL_LAST;
    for (int i = 0; i < 20; i++) { /* TP in TP in TP */
        struct mkt_payload inner = { .type = MKT_PL_TP };
        size_t len;
        inner.u.ticket.tp_data = mkt_span(deep[i % 2], n);
        uint8_t *to = deep[1 - i % 2];
        assert_int_equal(mkt_payload_encode(&inner, to + 1, 1023, &len), MKT_OK);
        to[0] = MKT_PL_TP;
        n = len + 1;
    }
    pl.u.ticket.tp_data = mkt_span(deep[0], n);
    print(message_of(&pl), MKT_PRINT_JSON);
    assert_says("\"tp_data\":\"not shown\"");
}

/* Key Data behind KEMAC with NULL encryption, at the depth where a chain is no longer taken apart:
 * its octets are a key in the clear. */
static void
a_key_below_the_deepest_chain_is_not_shown(void **state)
{
    static uint8_t keys[64], deep[2][1024];
    struct mkt_payload pl = { .type = MKT_PL_KEMAC };
    size_t len, n;
    (void)state;
    pl.u.kemac.encr_data = mkt_span(keys, hex_octets("00 00 0010" KEY, keys, sizeof keys));
    assert_int_equal(mkt_payload_encode(&pl, deep[0] + 1, 1023, &len), MKT_OK);
    deep[0][0] = MKT_PL_KEMAC;
    n = len + 1;
    for (int i = 0; i < 4; i++) {
        pl = (struct mkt_payload){ .type = MKT_PL_TP };
        pl.u.ticket.tp_data = mkt_span(deep[i % 2], n);
        if (i == 2) /* three deep, the length of the key is shown */
            prints_no_key(message_of(&pl), "Key data: 16 octets, not shown\n");
        if (i == 3) /* four deep, it is not looked for */
            prints_no_key(message_of(&pl), "Encr data: 20 octets, not shown\n");
        uint8_t *to = deep[1 - i % 2];
        assert_int_equal(mkt_payload_encode(&pl, to + 1, 1023, &len), MKT_OK);
        to[0] = MKT_PL_TP;
        n = len + 1;
    }
}

static void
collect_quoted(const char *s, size_t n)
{
    struct mkt_out o = { .format = &mkt_format_json, .sink = collect };
    out_n = 0;
    mkt_out_quoted(&o, s, n);
    assert_true(mkt_json_valid(out, out_n));
}

static void
every_octet_outside_printable_ascii_is_escaped(void **state)
{
    static const char odd[] = "a\0b\x1f \x7e\x7f\x80\xff\"\\z";
    (void)state;
    collect_quoted(odd, sizeof odd - 1);
    assert_string_equal(out, "\"a\\u0000b\\u001f ~\\u007f\\u0080\\u00ff\\\"\\\\z\"");
    collect_quoted("", 0);
    assert_string_equal(out, "\"\"");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_names_every_field_of_a_request),
        cmocka_unit_test(json_has_the_same_fields),
        cmocka_unit_test(every_recorded_message_prints_as_json),
        cmocka_unit_test(a_message_that_was_cut_off_prints_up_to_there),
        cmocka_unit_test(ntp_times_before_2036_and_after_are_told_apart),
        cmocka_unit_test(strings_of_peers_are_escaped_or_shown_as_octets),
        cmocka_unit_test(keys_are_described_and_not_shown),
        cmocka_unit_test(keys_that_cannot_be_taken_apart_are_not_shown),
        cmocka_unit_test(only_what_is_encrypted_is_shown),
        cmocka_unit_test(keys_in_tp_data_and_ticket_data_are_not_shown),
        cmocka_unit_test(the_message_in_a_compatibility_ticket_is_taken_apart),
        cmocka_unit_test(a_reference_ticket_shows_the_name_of_its_keys),
        cmocka_unit_test(tickets_of_other_versions_are_not_taken_apart),
        cmocka_unit_test(keys_in_the_message_of_a_ticket_are_not_shown),
        cmocka_unit_test(a_key_data_payload_standing_alone_shows_no_key),
        cmocka_unit_test(nesting_without_end_is_cut),
        cmocka_unit_test(a_key_below_the_deepest_chain_is_not_shown),
        cmocka_unit_test(every_octet_outside_printable_ascii_is_escaped),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
