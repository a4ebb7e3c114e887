/* SPDX-License-Identifier: Apache-2.0 */
/* What is nested in TP and TICKET, and what the MAC of a message covers (RFC 6043 5.5, 6.10). */
#include "wire_message.h"

#include "wire_coverage.h"

/* --- what is nested in TP and TICKET ------------------------------------------------------------
 */

enum part { TP_DATA, TICKET_DATA, INITIATOR_DATA };

/* Puts hex in the place of one part of the TICKET (or TP) payload and checks the message. */
static enum mkt_rc
check_nested(const char *name, enum part part, const char *hex)
{
    static uint8_t data[1024];
    load(name);
    size_t i = 0;
    while (msg.pl[i].type != MKT_PL_TICKET && msg.pl[i].type != MKT_PL_TP)
        i++;
    struct mkt_payload pl = msg.pl[i];
    struct mkt_pl_ticket *t = &pl.u.ticket;
    struct mkt_span *span[] = { &t->tp_data, &t->ticket_data, &t->initiator_data };
    *span[part] = mkt_span(data, hex_octets(hex, data, sizeof data));
    return check_edited(&pl, i, i);
}

static void
tp_data_is_a_chain_that_uses_all_its_octets(void **state)
{
    static const char request[] = "mode1-forked-gh-128: REQUEST_INIT";
    const size_t at = 89 + 10; /* TP payload and its header */
    (void)state;               /* RFC6043:6.10-14 RFC6043:6.10-15 */
    assert_int_equal(check_nested(request, TP_DATA, "00"),
                     MKT_OK); /* lacking IDRr is not framing */
    assert_int_equal(check_nested(request, TP_DATA, "15 00 c8 0000"), MKT_OK);
    assert_int_equal(check_nested(request, TP_DATA, "0e 00 02 01 0001"), MKT_E_TRUNCATED);
    assert_refused(&err, TRUNCATED, at + 6, "IDR ID Data", "RFC 6043 6.6");
    assert_int_equal(check_nested(request, TP_DATA, "0e 00 02 01 0000 00"), MKT_E_TRAILING);
    assert_refused(&err, TRAILING, at + 6, "end of the nested payloads", "RFC 6043 6.10");
    assert_int_equal(check_nested(request, TP_DATA, "63 00"), MKT_E_UNKNOWN_PAYLOAD);
    assert_int_equal(err.offset, at + 1);
    assert_int_equal(check_nested(request, TP_DATA, "1a 00"), MKT_E_FOREIGN_PAYLOAD);
    assert_string_equal(err.what, "SAKKE");
}

static void
a_damaged_base_ticket_is_refused_as_a_ticket(void **state)
{
    static const char resp[] = "mode1-forked-gh-128: REQUEST_RESP";
    (void)state; /* RFC6043:A-2 RFC6043:A-3 RFC6043:A.1-1 */
    assert_int_equal(check_nested(resp, TICKET_DATA, "15 0000  00 c8 0000"), MKT_OK);
    assert_int_equal(check_nested(resp, TICKET_DATA, ""), MKT_E_TICKET);
    assert_string_equal(err.what, "THDR");
    assert_int_equal(check_nested(resp, TICKET_DATA, "05 0001"), MKT_E_TICKET);
    assert_string_equal(err.what, "THDR THDR Data");
    assert_string_equal(err.ref, "RFC 6043 A.3");
    assert_int_equal(check_nested(resp, TICKET_DATA, "05 0000  00 07 00"), MKT_E_TICKET);
    assert_string_equal(err.what, "T TS Value");
    assert_int_equal(check_nested(resp, TICKET_DATA, "00 0000 00"), MKT_E_TICKET);
}

static void
ticket_data_of_another_type_is_opaque(void **state)
{
    (void)state;
    load("mode1-forked-gh-128: REQUEST_RESP");
    size_t i = 0;
    while (msg.pl[i].type != MKT_PL_TICKET)
        i++;
    struct mkt_payload pl = msg.pl[i];
    pl.u.ticket.ticket_data = mkt_span("ticket data", 11);
    assert_int_equal(check_edited(&pl, i, i), MKT_E_TICKET);
    for (int field = 0; field < 3; field++) {
        pl.u.ticket = msg.pl[i].u.ticket;
        pl.u.ticket.ticket_data = mkt_span("ticket data", 11);
        pl.u.ticket.ticket_type = field == 0 ? 2 : 1;
        pl.u.ticket.subtype = field == 1 ? 2 : 1;
        pl.u.ticket.version = field == 2 ? 2 : 1;
        assert_false(mkt_is_base_ticket(&pl.u.ticket));
        assert_int_equal(check_edited(&pl, i, i), MKT_OK);
    }
}

static void
initiator_data_is_a_chain_that_uses_all_its_octets(void **state)
{
    static const char init[] = "mode1-forked-gh-128: TRANSFER_INIT";
    (void)state; /* RFC6043:6.10-25 RFC6043:6.10-26 */
    assert_int_equal(check_nested(init, INITIATOR_DATA, ""), MKT_OK);
    assert_int_equal(check_nested(init, INITIATOR_DATA, "09 09 00 00 00"), MKT_OK);
    assert_int_equal(check_nested(init, INITIATOR_DATA, "09 09 00 00 00 00"), MKT_E_TRAILING);
    assert_int_equal(check_nested(init, INITIATOR_DATA, "09 09 00 00 01"), MKT_E_TRUNCATED);
    assert_int_equal(check_nested(init, INITIATOR_DATA, "09"), MKT_E_TRUNCATED);
}

static void
a_thousand_nested_payloads_are_too_many(void **state)
{
    static char hex[2 * 4 * 300 + 3];
    size_t n = (size_t)sprintf(hex, "0c");
    (void)state;
    for (int i = 0; i < 200; i++)
        n += (size_t)sprintf(hex + n, "%s0c0000", i < 199 ? "0c" : "00");
    assert_int_equal(check_nested("mode1-forked-gh-128: REQUEST_INIT", TP_DATA, hex),
                     MKT_E_TOO_MANY);
}

/* --- what the MAC covers ------------------------------------------------------------------------
 */

static size_t
join(uint8_t *out, const struct mkt_span *part, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(out + len, part[i].p, part[i].n);
        len += part[i].n;
    }
    return len;
}

static void
the_mac_covers_what_the_vectors_say(void **state)
{
    static uint8_t initial[4096], want[8192], got[8192];
    static const char alice[] = "sip:alice@example.com", bob[] = "sip:bob@example.com",
                      kms[] = "sip:kms@example.com";
    (void)state;
    for (size_t i = 0; i < WIRE_COVERAGE; i++) {
        struct mkt_span part[MKT_COVER_MAX], tail[2];
        size_t n_tail = 2;
        load(wire_coverage[i].message);
        bool transfer = msg.hdr.data_type == MKT_DT_TRANSFER_INIT;
        bool resolve = msg.hdr.data_type == MKT_DT_RESOLVE_INIT_PSK;
        tail[0] = resolve ? mkt_span(bob, strlen(bob)) : mkt_span(alice, strlen(alice));
        tail[1] = transfer ? mkt_span(bob, strlen(bob)) : mkt_span(kms, strlen(kms));
        if (wire_coverage[i].initial != NULL) {
            size_t n = hex_octets(vector(wire_coverage[i].initial)->hex, initial, sizeof initial);
            tail[0] = mkt_span(initial, n);
            n_tail = 1;
        }
        size_t n = mkt_cover(&msg, tail, n_tail, part);
        assert_int_equal(n, (transfer ? 2 : 1) + n_tail);
        size_t len = hex_octets(wire_coverage[i].mac_input, want, sizeof want);
        assert_int_equal(join(got, part, n), len);
        assert_memory_equal(got, want, len); /* RFC6043:5.5-1 RFC6043:5.5-2 RFC6043:5.5-4 */
    }
    assert_int_equal(WIRE_COVERAGE, 6);
}

static void
the_mac_of_transfer_init_leaves_out_initiator_data_of_any_length(void **state)
{
    static const char init[] = "mode1-forked-gh-128: TRANSFER_INIT";
    static const char *const data[] = { "", "09 09 00 00 00" };
    uint8_t joined[2][1024];
    size_t len[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct mkt_span part[MKT_COVER_MAX];
        assert_int_equal(check_nested(init, INITIATOR_DATA, data[i]), MKT_OK);
        len[i] = join(joined[i], part, mkt_cover(&changed, NULL, 0, part));
    }
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(joined[0], joined[1], len[0]); /* RFC6043:5.5-2 */
}

static void
the_signature_covers_its_type_and_length_but_not_itself(void **state)
{
    struct mkt_span part[MKT_COVER_MAX];
    (void)state;
    load("pk-oaep-sha256-256: REQUEST_INIT");
    const struct mkt_payload *sign = &msg.pl[msg.n - 1];
    assert_int_equal(mkt_cover(&msg, NULL, 0, part), 1);
    assert_ptr_equal(part[0].p, octets);
    assert_int_equal(part[0].n, sign->at + 2); /* RFC3830:5.2-2 */
}

static void
a_message_without_mac_or_signature_is_covered_wholly(void **state)
{
    const struct mkt_hdr hdr = { .data_type = MKT_DT_ERROR, .map_type = MKT_MAP_EMPTY };
    const struct mkt_span tail[2] = { mkt_span(octets, 3), mkt_span(octets, 5) };
    struct mkt_span part[MKT_COVER_MAX];
    (void)state;
    check(&hdr, NULL, 0); /* the header alone is no message, but it has been read */
    assert_int_equal(changed.n, 0);
    assert_int_equal(mkt_cover(&changed, tail, 2, part), 3);
    assert_int_equal(part[0].n, 10);
    assert_int_equal(part[1].n, 3);
    assert_int_equal(part[2].n, 5);
    const struct mkt_payload t = { .type = MKT_PL_T,
                                   .u.t = { MKT_TS_COUNTER, mkt_span("\0\0\0\1", 4) } };
    check(&hdr, (const struct mkt_payload *const[]){ &t }, 1);
    assert_int_equal(mkt_cover(&changed, NULL, 0, part), 1);
    assert_int_equal(part[0].n, changed.octets.n);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tp_data_is_a_chain_that_uses_all_its_octets),
        cmocka_unit_test(a_damaged_base_ticket_is_refused_as_a_ticket),
        cmocka_unit_test(ticket_data_of_another_type_is_opaque),
        cmocka_unit_test(initiator_data_is_a_chain_that_uses_all_its_octets),
        cmocka_unit_test(a_thousand_nested_payloads_are_too_many),
        cmocka_unit_test(the_mac_covers_what_the_vectors_say),
        cmocka_unit_test(the_mac_of_transfer_init_leaves_out_initiator_data_of_any_length),
        cmocka_unit_test(the_signature_covers_its_type_and_length_but_not_itself),
        cmocka_unit_test(a_message_without_mac_or_signature_is_covered_wholly),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
