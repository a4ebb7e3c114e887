/* SPDX-License-Identifier: Apache-2.0 */
/* Whole messages: parsing, presence rules and maps. The rules are tested by taking the messages of
 * a recorded flow and leaving out, repeating or inserting one payload at a time. */
#include "wire_message.h"

#include "../fuzz/property.h"

/* --- parsing -----------------------------------------------------------------------------------
 */

static void
every_recorded_message_parses_and_those_of_a_flow_pass_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIRE_VECTORS; i++) {
        load(wire_vectors[i].name);
        if (wire_vectors[i].flow)
            assert_int_equal(mkt_msg_check(&msg, &err), MKT_OK);
    }
}

static void
every_damaged_message_is_refused_with_a_reason_or_written_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIRE_VECTORS; i++) {
        size_t n = hex_octets(wire_vectors[i].hex, octets, sizeof octets);
        for (size_t cut = 0; cut <= n; cut++) {
            uint8_t *copy = malloc(cut != 0 ? cut : 1);
            assert_non_null(copy);
            memcpy(copy, octets, cut);
            const char *broken = mkt_prop_message(copy, cut);
            free(copy);
            assert_null(broken);
        }
        for (size_t bit = 0; bit < 8 * n; bit++) {
            octets[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_null(mkt_prop_message(octets, n));
            octets[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
}

static void
no_shorter_or_longer_message_of_a_flow_is_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIRE_VECTORS; i++) {
        size_t n = hex_octets(wire_vectors[i].hex, octets, sizeof octets);
        if (!wire_vectors[i].flow)
            continue;
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(parse(&msg, octets, cut), MKT_E_TRUNCATED);
        octets[n] = 0;
        assert_int_equal(parse(&msg, octets, n + 1), MKT_E_TRAILING); /* RFC3830:6.1-2 */
        assert_refused(&err, TRAILING, n, "end of the chain of payloads", "RFC 3830 6.1");
    }
}

static void
takes_128_payloads_and_65535_octets_at_most(void **state)
{
    struct mkt_hdr hdr = { .data_type = MKT_DT_ERROR, .map_type = MKT_MAP_EMPTY };
    const struct mkt_payload one = { .type = MKT_PL_ERR };
    const struct mkt_payload big = { .type = MKT_PL_GENERAL_EXT,
                                     .u.ext = { 0, mkt_span(built, 65535 - 10 - 4) } };
    struct mkt_writer w = mkt_w_open(octets, sizeof octets);
    (void)state;
    mkt_hdr_write(&w, &hdr);
    for (size_t i = 0; i < MKT_PAYLOADS_MAX; i++)
        mkt_pl_write(&w, &one);
    assert_int_equal(parse(&msg, octets, w.len), MKT_OK);
    assert_int_equal(msg.n, MKT_PAYLOADS_MAX);
    mkt_pl_write(&w, &one);
    assert_int_equal(parse(&msg, octets, w.len), MKT_E_TOO_MANY); /* RFC3830:6.13-4 */
    assert_int_equal(err.offset, 10 + 4 * MKT_PAYLOADS_MAX);
    w = mkt_w_open(octets, sizeof octets);
    mkt_hdr_write(&w, &hdr);
    mkt_pl_write(&w, &big);
    assert_int_equal(w.len, MKT_MSG_MAX);
    assert_int_equal(parse(&msg, octets, MKT_MSG_MAX), MKT_OK);
    assert_int_equal(parse(&msg, octets, MKT_MSG_MAX + 1), MKT_E_TOO_MANY);
}

static void
finds_payloads_by_type_and_role(void **state)
{
    (void)state;
    load("mode1-forked-gh-128: REQUEST_INIT");
    const struct mkt_payload *kms = mkt_msg_find(&msg, MKT_PL_IDR, MKT_IDR_KMS);
    assert_non_null(kms);
    assert_octets(kms->u.idr.data, "7369703a6b6d73406578616d706c652e636f6d");
    assert_int_equal(mkt_payload_role(kms), MKT_IDR_KMS);
    assert_ptr_equal(mkt_msg_find(&msg, MKT_PL_T, 0), &msg.pl[0]);
    assert_int_equal(mkt_payload_role(&msg.pl[0]), 0);
    assert_int_equal(mkt_msg_find(&msg, MKT_PL_IDR, 0)->u.idr.role, MKT_IDR_I);
    assert_null(mkt_msg_find(&msg, MKT_PL_IDR, MKT_IDR_R));
    assert_null(mkt_msg_find(&msg, MKT_PL_KEMAC, 0));
}

/* --- presence ----------------------------------------------------------------------------------
 */

/* The payloads of the figures in RFC 6043 4.2 in the order of the recorded messages. "!" after a
 * name: it must be there. */
static const struct {
    const char *message;
    const char *payloads[12];
} figures[] = {
    { "mode1-forked-gh-128: REQUEST_INIT", /* RFC6043:4.2.1.1-1 RFC6043:4.2.1.2-3 */
      { "T!", "RANDRi!", "IDRi", "IDRkms", "TP!", "IDRpsk", "V!" } },
    { "pk-oaep-sha256-256: REQUEST_INIT",
      { "T!", "RANDRi!", "IDRi", "IDRkms", "TP!", "PKE!", "SIGN!" } },
    { "mode1-forked-gh-128: REQUEST_RESP", /* RFC6043:4.2.1.5-11 */
      { "T!", "IDRkms", "TICKET!", "KEMAC!", "V!" } },
    { "mode1-forked-gh-128: TRANSFER_INIT", /* RFC6043:4.2.2.1-1 RFC6043:4.2.2.1-8 */
      { "T!", "RANDRi!", "IDRi", "IDRr", "SP", "TICKET!", "V!" } },
    { "mode1-forked-gh-128: TRANSFER_RESP", /* RFC6043:4.2.2.3-18 */
      { "T!", "RANDRr", "IDRr", "RANDRkms", "V!" } },
    { "mode1-forked-gh-128: RESOLVE_INIT", /* RFC6043:4.2.3.1-1 RFC6043:4.2.3.2-3 */
      { "T!", "RANDRr!", "IDRr", "IDRkms", "TICKET!", "IDRpsk", "V!" } },
    { "pk-oaep-sha256-256: RESOLVE_INIT",
      { "T!", "RANDRr!", "IDRr", "IDRkms", "TICKET!", "PKE!", "SIGN!" } },
    { "mode1-forked-gh-128: RESOLVE_RESP", /* RFC6043:4.2.3.5-13 */
      { "T!", "IDRkms", "KEMAC!", "IDRr", "RANDRkms", "V!" } },
    { "error-pk-signed: ERROR", { "T!", "ERR!", "SIGN" } }, /* RFC6043:5.4-3 */
    { "error-transfer-sp: ERROR", { "T!", "ERR!", "SP", "SP" } },
};
#define FIGURES (sizeof figures / sizeof figures[0])

/* Whether the figure shows the payload as mandatory; name gets it without the mark. */
static bool
mandatory(size_t figure, size_t i, char name[16])
{
    const char *mark = strchr(figures[figure].payloads[i], '!');
    strcpy(name, figures[figure].payloads[i]);
    name[strcspn(name, "!")] = '\0';
    return mark != NULL;
}

static void
each_mandatory_payload_must_be_there_and_each_optional_one_need_not(void **state)
{
    char name[16];
    (void)state;
    for (size_t f = 0; f < FIGURES; f++) {
        load(figures[f].message);
        for (size_t i = 0; i < msg.n; i++) {
            enum mkt_rc rc = check_edited(NULL, NONE, i);
            if (!mandatory(f, i, name)) {
                assert_int_equal(rc, MKT_OK);
                continue;
            }
            assert_int_equal(rc, MKT_E_MISSING_PAYLOAD);
            assert_string_equal(err.what, name);
            assert_int_equal(err.offset, changed.octets.n);
            assert_memory_equal(err.ref, "RFC 6043 ", 9);
        }
        assert_null(figures[f].payloads[msg.n]);
    }
}

static void
no_recorded_payload_but_err_may_be_repeated(void **state)
{
    char name[16];
    (void)state;
    for (size_t f = 0; f < FIGURES; f++) {
        load(figures[f].message);
        for (size_t i = 0; i < msg.n; i++) {
            mandatory(f, i, name);
            if (msg.pl[i].type == MKT_PL_SIGN)
                continue; /* nothing can follow it */
            enum mkt_rc rc = check_edited(&msg.pl[i], i, NONE);
            assert_int_equal(rc, strcmp(name, "ERR") == 0 ? MKT_OK
                                 : strcmp(name, "V") == 0 ? MKT_E_PAYLOAD_ORDER
                                                          : MKT_E_EXTRA_PAYLOAD);
            if (rc == MKT_E_EXTRA_PAYLOAD)
                assert_int_equal(err.offset, changed.pl[i + 1].at);
        }
    }
}

static void
optional_payloads_that_were_not_recorded_have_rules_too(void **state)
{
    static const uint8_t some[32];
    const struct mkt_payload cert = { .type = MKT_PL_CERT, .u.cert = { 0, mkt_span(some, 9) } };
    const struct mkt_payload chash = { .type = MKT_PL_CHASH,
                                       .u.chash = { MKT_HASH_SHA_256, mkt_span(some, 32) } };
    const struct mkt_payload kemac = { .type = MKT_PL_KEMAC };
    const struct mkt_payload v = { .type = MKT_PL_V };
    static const struct {
        const char *message;
        int which;
        enum mkt_rc once, twice;
    } rows[] = {
        { "pk-oaep-sha256-256: REQUEST_INIT", 0, MKT_OK,
          MKT_OK }, /* RFC6043:4.2.1.3-2 RFC3830:6.7-3 */
        { "pk-oaep-sha256-256: RESOLVE_INIT", 0, MKT_OK, MKT_OK }, /* RFC6043:4.2.3.3-2 */
        { "pk-oaep-sha256-256: REQUEST_INIT", 1, MKT_OK, MKT_E_EXTRA_PAYLOAD },
        { "pk-oaep-sha256-256: RESOLVE_INIT", 1, MKT_OK, MKT_E_EXTRA_PAYLOAD },
        { "mode1-forked-gh-128: TRANSFER_INIT", 2, MKT_OK, MKT_E_EXTRA_PAYLOAD },
        { "mode1-forked-gh-128: TRANSFER_RESP", 2, MKT_OK, MKT_E_EXTRA_PAYLOAD },
        { "error-transfer-sp: ERROR", 3, MKT_OK, MKT_E_PAYLOAD_ORDER }, /* RFC6043:5.4-5 */
        { "error-pk-signed: ERROR", 3, MKT_E_PAYLOAD_ORDER, MKT_E_PAYLOAD_ORDER },
    };
    const struct mkt_payload *extra[] = { &cert, &chash, &kemac, &v };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mkt_payload *pl[MKT_PAYLOADS_MAX];
        load(rows[i].message);
        size_t n = msg.n, end = msg.pl[n - 1].type == MKT_PL_V || msg.pl[n - 1].type == MKT_PL_SIGN;
        for (size_t k = 0; k < n; k++)
            pl[k] = &msg.pl[k];
        const struct mkt_payload *last = pl[n - 1];
        pl[n - end] = extra[rows[i].which];
        pl[n + 1 - end] = last;
        assert_int_equal(check(&msg.hdr, pl, n + 1), rows[i].once);
        pl[n + 1 - end] = extra[rows[i].which];
        pl[n + 2 - end] = last;
        assert_int_equal(check(&msg.hdr, pl, n + 2), rows[i].twice);
    }
}

static void
sp_payloads_of_different_numbers_may_be_repeated(void **state)
{
    (void)state;
    load("mode1-forked-gh-128: TRANSFER_INIT");
    struct mkt_payload sp = *mkt_msg_find(&msg, MKT_PL_SP, 0);
    assert_int_equal(check_edited(&sp, 0, NONE), MKT_E_EXTRA_PAYLOAD); /* RFC3830:6.10-1 */
    assert_string_equal(err.what, "SP with that Policy no");
    sp.u.sp.policy_no++;
    assert_int_equal(check_edited(&sp, 0, NONE), MKT_OK); /* RFC6043:4.2.2.1-5 */
}

static void
unexpected_payloads_are_ignored_wherever_they_stand(void **state)
{
    static const uint8_t some[4] = "some";
    const struct mkt_span s = mkt_span(some, sizeof some);
    const struct mkt_payload unexpected[] = {
        { .type = MKT_PL_GENERAL_EXT, .u.ext = { 200, s } },
        { .type = MKT_PL_RAND, .u.rand = { s } },
        { .type = MKT_PL_ID, .u.id = { MKT_ID_BYTES, s } },
        { .type = MKT_PL_IDR, .u.idr = { 200, MKT_ID_BYTES, s } },
        { .type = MKT_PL_RANDR, .u.randr = { 200, s } },
        { .type = MKT_PL_TR, .u.tr = { MKT_TR_S, MKT_TS_NTP_UTC_32, s } },
        { .type = MKT_PL_KEY_DATA, .u.key_data = { .key = s } },
    };
    (void)state;
    for (size_t f = 0; f < FIGURES; f++) {
        load(figures[f].message);
        for (size_t u = 0; u < sizeof unexpected / sizeof unexpected[0]; u++)
            for (size_t at = 0; at < msg.n; at++)
                /* RFC6043:4.2.1.4-3 RFC6043:4.2.1.6-2 RFC6043:4.2.2.2-3 RFC6043:4.2.2.4-3
                 * RFC6043:4.2.3.4-3 RFC6043:4.2.3.6-3 RFC6043:5.4-4 */
                assert_int_equal(check_edited(&unexpected[u], at, NONE), MKT_OK);
    }
}

static void
nothing_may_follow_v(void **state)
{
    const struct mkt_payload ext = { .type = MKT_PL_GENERAL_EXT };
    (void)state;
    for (size_t f = 0; f < FIGURES; f++) {
        load(figures[f].message);
        if (msg.pl[msg.n - 1].type != MKT_PL_V)
            continue;
        assert_int_equal(check_edited(&ext, msg.n, NONE), MKT_E_PAYLOAD_ORDER); /* RFC3830:5.2-1 */
        assert_int_equal(err.offset, changed.pl[msg.n].at);
        assert_string_equal(err.what, "V");
    }
}

static void
payloads_may_come_in_any_order_before_v(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIGURES; f++) {
        const struct mkt_payload *pl[MKT_PAYLOADS_MAX];
        load(figures[f].message);
        for (size_t i = 0; i + 1 < msg.n; i++)
            pl[i] = &msg.pl[msg.n - 2 - i];
        pl[msg.n - 1] = &msg.pl[msg.n - 1];
        assert_int_equal(check(&msg.hdr, pl, msg.n), MKT_OK);
    }
}

static void
other_data_types_are_refused(void **state)
{
    (void)state;
    load("mode1-forked-gh-128: TRANSFER_INIT");
    for (unsigned type = 0; type < 256; type++) {
        bool ours = type == MKT_DT_ERROR ||
                    (type >= MKT_DT_REQUEST_INIT_PSK && type <= MKT_DT_RESOLVE_RESP);
        octets[1] = (uint8_t)type;
        assert_int_equal(parse(&msg, octets, msg.octets.n), MKT_OK);
        enum mkt_rc rc = mkt_msg_check(&msg, &err);
        assert_int_equal(rc == MKT_E_DATA_TYPE, !ours);
        if (!ours)
            assert_refused(&err, DATA_TYPE, 1, "HDR data type", "RFC 6043 6.1");
    }
}

/* --- maps --------------------------------------------------------------------------------------
 */

static void
kms_exchanges_have_the_empty_map_and_no_crypto_session(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIGURES; f++) {
        const struct mkt_payload *pl[MKT_PAYLOADS_MAX];
        load(figures[f].message);
        struct mkt_hdr h = msg.hdr;
        if (h.data_type == MKT_DT_ERROR || h.data_type == MKT_DT_TRANSFER_INIT ||
            h.data_type == MKT_DT_TRANSFER_RESP)
            continue;
        for (size_t i = 0; i < msg.n; i++)
            pl[i] = &msg.pl[i];
        h.map_type = MKT_MAP_GENERIC_ID;
        /* RFC6043:4.2.1.1-4 RFC6043:4.2.3.1-4 RFC6043:4.2.1.5-1 RFC6043:4.2.3.5-1 RFC6043:5.1-1 */
        assert_int_equal(check(&h, pl, msg.n), MKT_E_MAP);
        assert_int_equal(err.offset, 9);
        h = msg.hdr;
        h.n_cs = 1;
        assert_int_equal(check(&h, pl, msg.n), MKT_E_MAP);
        assert_int_equal(err.offset, 8);
    }
}

static void
ticket_transfer_takes_generic_id_and_empty_but_not_srtp_id(void **state)
{
    (void)state;
    for (size_t f = 0; f < FIGURES; f++) {
        const struct mkt_payload *pl[MKT_PAYLOADS_MAX];
        load(figures[f].message);
        struct mkt_hdr h = msg.hdr;
        if (h.data_type != MKT_DT_TRANSFER_INIT && h.data_type != MKT_DT_TRANSFER_RESP)
            continue;
        for (size_t i = 0; i < msg.n; i++)
            pl[i] = &msg.pl[i];
        assert_int_equal(h.map_type, MKT_MAP_GENERIC_ID); /* RFC6043:6.1-3 */
        h.map = mkt_span(NULL, 0);
        h.n_cs = 0;
        h.map_type = MKT_MAP_EMPTY;
        assert_int_equal(check(&h, pl, msg.n), MKT_OK);
        h.map_type = MKT_MAP_SRTP_ID;
        assert_int_equal(check(&h, pl, msg.n), MKT_E_MAP); /* RFC6043:6.1-4 */
        assert_refused(&err, MAP, 9, "HDR CS ID map type", "RFC 6043 6.1");
    }
}

static void
one_cs_id_names_one_crypto_session(void **state)
{
    static const uint8_t map[] = { 9, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0 };
    const struct mkt_payload *pl[MKT_PAYLOADS_MAX];
    (void)state;
    load("mode1-forked-gh-128: TRANSFER_INIT");
    for (size_t i = 0; i < msg.n; i++)
        pl[i] = &msg.pl[i];
    msg.hdr.map = mkt_span(map, 12);
    msg.hdr.n_cs = 2;
    assert_int_equal(check(&msg.hdr, pl, msg.n), MKT_OK);
    msg.hdr.map = mkt_span(map, 18);
    msg.hdr.n_cs = 3;
    assert_int_equal(check(&msg.hdr, pl, msg.n), MKT_E_FIELD);
    assert_refused(&err, FIELD, 22, "HDR CS ID, given twice", "RFC 6043 6.1.1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_message_parses_and_those_of_a_flow_pass_the_rules),
        cmocka_unit_test(every_damaged_message_is_refused_with_a_reason_or_written_back),
        cmocka_unit_test(no_shorter_or_longer_message_of_a_flow_is_accepted),
        cmocka_unit_test(takes_128_payloads_and_65535_octets_at_most),
        cmocka_unit_test(finds_payloads_by_type_and_role),
        cmocka_unit_test(each_mandatory_payload_must_be_there_and_each_optional_one_need_not),
        cmocka_unit_test(no_recorded_payload_but_err_may_be_repeated),
        cmocka_unit_test(optional_payloads_that_were_not_recorded_have_rules_too),
        cmocka_unit_test(sp_payloads_of_different_numbers_may_be_repeated),
        cmocka_unit_test(unexpected_payloads_are_ignored_wherever_they_stand),
        cmocka_unit_test(nothing_may_follow_v),
        cmocka_unit_test(payloads_may_come_in_any_order_before_v),
        cmocka_unit_test(other_data_types_are_refused),
        cmocka_unit_test(kms_exchanges_have_the_empty_map_and_no_crypto_session),
        cmocka_unit_test(ticket_transfer_takes_generic_id_and_empty_but_not_srtp_id),
        cmocka_unit_test(one_cs_id_names_one_crypto_session),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
