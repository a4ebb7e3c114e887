/* SPDX-License-Identifier: Apache-2.0 */
/* Error messages, clause by clause (RFC 6043 5.4): what is in them, what they are protected with,
 * who may send none, and that on receipt they are a hint. */
#include "witness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct call c;
static struct mkt_msg msg;

static const struct mkt_payload *
parse(const struct message *m, uint16_t type)
{
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&msg, mkt_span(m->b, m->n), &err), MKT_OK);
    assert_int_equal(mkt_msg_check(&msg, &err), MKT_OK);
    return mkt_msg_find(&msg, type, 0);
}

/* A KMS that knows who asks, and will not: too many keys, or a ticket that is over. */
static void
refuse_for_a_reason(enum sent s, uint8_t ts_type)
{
    assert_true(call_open(&c, MKT_PRF_HMAC_SHA_256, ts_type));
    c.env.stamp = call_tick;
    if (s == REQUEST_INIT) {
        c.rules.max_keys = 1;
        c.want.has_kemac = true;
        c.want.n_wanted = 2;
        c.want.wanted[0] = c.want.wanted[1] =
            (struct mkt_want_key){ .type = MKT_KEY_TGK, .key_len = 32 };
        assert_int_equal(call_request(&c), MKT_OK);
        assert_int_equal(call_issue(&c), MKT_E_TP_PARAM);
        return;
    }
    assert_int_equal(call_up_to(&c, RESOLVE_INIT), MKT_OK);
    c.env.now = c.want.end.value + (1ULL << 32);
    assert_int_equal(call_resolve(&c, 0), MKT_E_TICKET_EXPIRED);
}

static struct message *
answer_to(enum sent s)
{
    return s == REQUEST_INIT ? &c.granted : &c.resolved[0];
}

static const enum sent asked[] = { REQUEST_INIT, RESOLVE_INIT };

static void
an_error_of_a_kms_repeats_the_header_and_has_a_time_of_its_own(void **state)
{
    static const uint8_t ts_types[] = { MKT_TS_NTP_UTC, MKT_TS_NTP, MKT_TS_COUNTER,
                                        MKT_TS_NTP_UTC_32 };
    (void)state;
    for (size_t i = 0; i < COUNT(asked); i++)
        for (size_t t = 0; t < COUNT(ts_types); t++) {
            refuse_for_a_reason(asked[i], ts_types[t]);
            const struct message *init = sent_message(&c, asked[i]);
            const struct message *error = answer_to(asked[i]);
            struct mkt_pl_t was = parse(init, MKT_PL_T)->u.t;
            struct mkt_pl_t is = parse(error, MKT_PL_T)->u.t;
            assert_int_equal(error->b[1], MKT_DT_ERROR);
            assert_int_equal(error->b[0], init->b[0]);
            assert_int_equal(error->b[3], init->b[3] & 0x7F); /* RFC6043:5.4-7 RFC6043:5.4-8 */
            assert_memory_equal(error->b + 4, init->b + 4, 4);
            assert_int_equal(is.ts_type, ts_types[t]);
            assert_true(memcmp(is.value.p, was.value.p, was.value.n) > 0); /* RFC6043:5.4-9 */
            assert_int_equal(msg.pl[1].type, MKT_PL_ERR); /* COUNTER goes on: RFC6043:5.4-10 */
            call_close(&c);
        }
}

static void
the_mac_of_an_error_has_the_key_of_what_it_answers_and_covers_it_alone(void **state)
{
    struct protection p;
    (void)state;
    for (size_t i = 0; i < COUNT(asked); i++) {
        refuse_for_a_reason(asked[i], MKT_TS_NTP_UTC);
        struct message again = *answer_to(asked[i]);
        assert_int_equal(parse(&again, MKT_PL_V)->u.v.mac.n, 32); /* RFC6043:5.4-3 */
        assert_true(protection_of(&p, &c, asked[i]));
        p.tail[0] = p.tail[1] = mkt_span(NULL, 0);
        memset(again.b + again.n - 32, 0, 32);
        assert_true(seal(&again, &p, &c));
        assert_memory_equal(again.b, answer_to(asked[i])->b, again.n); /* RFC6043:5.4-11 */
        call_close(&c);
    }
}

static void
what_is_ignored_in_an_error_leaves_it_authentic(void **state)
{
    static const struct mkt_payload unexpected = { .type = MKT_PL_GENERAL_EXT,
                                                   .u.ext = { .ext_type = 200 } };
    struct protection p;
    (void)state;
    for (size_t i = 0; i < COUNT(asked); i++)
        for (unsigned how = 0; how < 2; how++) {
            refuse_for_a_reason(asked[i], MKT_TS_NTP_UTC);
            struct message *error = answer_to(asked[i]);
            if (how == 0)
                error->b[3] ^= 0x80; /* V: RFC6043:5.4-8 */
            else
                assert_true(insert(error, &unexpected, 1)); /* RFC6043:5.4-4 */
            assert_true(protection_of(&p, &c, asked[i]));
            p.tail[0] = p.tail[1] = mkt_span(NULL, 0);
            assert_true(seal(error, &p, &c));
            assert_int_equal(call_take(&c, asked[i] == REQUEST_INIT ? REQUEST_RESP : RESOLVE_RESP),
                             MKT_E_PEER_ERROR); /* RFC6043:5.4-4 RFC6043:5.4-8 */
            assert_true(c.io.peer_error_authentic);
            call_close(&c);
        }
}

/* Parsed, but not what the exchange needs: told by name, and nothing is kept of it. */
static void
a_message_that_fails_is_discarded_and_answered_with_an_error(void **state)
{
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_request(&c), MKT_OK);
    struct message whole = c.request;
    assert_int_equal(without(&c.request, MKT_PL_TP, 0), 1);
    assert_int_equal(call_issue(&c), MKT_E_MISSING_PAYLOAD);
    /* RFC3830:5.3-5 */
    assert_int_equal(parse(&c.granted, MKT_PL_ERR)->u.err.error_no,
                     MKT_ERR_UNSPECIFIED); /* RFC6043:5.4-1 */
    assert_null(mkt_msg_find(&msg, MKT_PL_V, 0));
    assert_int_equal(call_granted(&c), MKT_E_PEER_ERROR);
    assert_null(c.grant);
    c.request = whole;
    assert_int_equal(call_issue(&c), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_OK);
    call_close(&c);
}

static void
a_peer_that_is_not_authenticated_gets_an_error_without_a_mac(void **state)
{
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_request(&c), MKT_OK);
    c.request.b[c.request.n - 1] ^= 1;
    assert_int_equal(call_issue(&c), MKT_E_AUTH);
    assert_int_equal(parse(&c.granted, MKT_PL_ERR)->u.err.error_no,
                     MKT_ERR_AUTH_FAILURE);       /* RFC6043:5.4-2 */
    assert_null(mkt_msg_find(&msg, MKT_PL_V, 0)); /* RFC3830:5.1.2-2 */
    call_close(&c);
}

/* A ticket that is not what it says it is: who sent it comes first. */
static void
a_ticket_that_cannot_be_read_is_named_with_a_mac_and_to_a_user_only(void **state)
{
    struct protection p;
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_up_to(&c, RESOLVE_INIT), MKT_OK);
    /* Ticket Type: by reference, though the keys are in it */
    uint8_t *type = c.resolve[0].b + parse(&c.resolve[0], MKT_PL_TICKET)->at + 1;
    type[0] = MKT_TICKET_TYPE_REFERENCE >> 8;
    type[1] = MKT_TICKET_TYPE_REFERENCE & 0xFF;
    assert_int_equal(call_resolve(&c, 0), MKT_E_AUTH);
    assert_int_equal(parse(&c.resolved[0], MKT_PL_ERR)->u.err.error_no, MKT_ERR_AUTH_FAILURE);
    assert_null(mkt_msg_find(&msg, MKT_PL_V, 0)); /* RFC6043:5.4-2 */
    assert_true(protection_of(&p, &c, RESOLVE_INIT));
    assert_true(seal(&c.resolve[0], &p, &c));
    assert_int_equal(call_resolve(&c, 0), MKT_E_TICKET);
    assert_int_equal(parse(&c.resolved[0], MKT_PL_ERR)->u.err.error_no, MKT_ERR_INVALID_TICKET);
    assert_non_null(mkt_msg_find(&msg, MKT_PL_V, 0)); /* RFC6043:5.4-3 */
    assert_int_equal(call_resolved(&c, 0), MKT_E_PEER_ERROR);
    assert_true(c.io.peer_error_authentic);
    call_close(&c);
}

/* Ticket Transfer: with the policies that would do, and a V if there is one. */
static void
an_error_of_a_responder_names_what_it_supports(void **state)
{
    static const uint8_t gcm[] = { 0, 1, 6, 1, 1, 16 }, f8[] = { 0, 1, 2 };
    const struct mkt_pl_sp ours[] = { { 0, MKT_PROT_SRTP, mkt_span(gcm, sizeof gcm) },
                                      { 1, MKT_PROT_SRTP, mkt_span(f8, sizeof f8) } };
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.env.stamp = call_tick;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    struct mkt_io io = { .out = c.resp[0].b, .cap = sizeof c.resp[0].b };
    assert_int_equal(
        mkt_responder_refuse(c.responder[0], &c.env, MKT_E_SP_PARAM, ours, COUNT(ours), &io),
        MKT_NEXT_SEND_PEER);
    c.resp[0].n = io.out_len;
    struct mkt_pl_t was = parse(&c.init, MKT_PL_T)->u.t;
    struct mkt_pl_t is = parse(&c.resp[0], MKT_PL_T)->u.t;
    assert_true(memcmp(is.value.p, was.value.p, was.value.n) > 0); /* RFC6043:5.4-9 */
    assert_int_equal(c.resp[0].b[3], c.init.b[3] & 0x7F);
    assert_memory_equal(c.resp[0].b + 4, c.init.b + 4, 4); /* RFC6043:5.4-7 */
    size_t sps = 0;
    for (size_t i = 0; i < msg.n; i++)
        if (msg.pl[i].type == MKT_PL_SP) {
            /* RFC3830:5.1.2-1 */
            assert_int_equal(msg.pl[i].u.sp.params.n, ours[sps].params.n); /* RFC6043:5.4-6 */
            assert_memory_equal(msg.pl[i].u.sp.params.p, ours[sps].params.p, ours[sps].params.n);
            sps++;
        }
    assert_int_equal(sps, COUNT(ours));
    assert_int_equal(call_answered(&c, 0), MKT_E_PEER_ERROR);
    assert_int_equal(c.io.peer_error, MKT_ERR_INVALID_SPPAR);
    call_close(&c);
}

/* A V in an Error of Ticket Transfer is under MPKi, with the label of TRANSFER_INIT. */
static void
an_error_of_a_responder_may_have_a_mac(void **state)
{
    static const uint8_t twenty[20];
    const struct mkt_payload v = { .type = MKT_PL_V,
                                   .u.v = { MKT_MAC_HMAC_SHA_1_160, mkt_span(twenty, 20) } };
    struct protection p;
    (void)state;
    for (unsigned good = 0; good < 2; good++) {
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
        assert_int_equal(call_until_offer(&c), MKT_OK);
        assert_int_equal(call_offered(&c, 0), MKT_OK);
        struct message *error = &c.resp[0];
        struct mkt_io io = { .out = error->b, .cap = sizeof error->b };
        assert_int_equal(mkt_responder_refuse(c.responder[0], &c.env, MKT_E_SP_PARAM, NULL, 0, &io),
                         MKT_NEXT_SEND_PEER);
        error->n = io.out_len;
        parse(error, MKT_PL_ERR);
        uint8_t octets[64];
        size_t len = 0;
        assert_int_equal(mkt_payload_encode(&v, octets, sizeof octets, &len), MKT_OK);
        error->b[msg.pl[msg.n - 1].at] = MKT_PL_V; /* Next Payload of ERR */
        memcpy(error->b + error->n, octets, len);
        error->n += len;
        assert_true(protection_of(&p, &c, TRANSFER_INIT));
        p.tail[0] = p.tail[1] = mkt_span(NULL, 0);
        p.phase = good ? 0x01 : 0x02;
        assert_true(seal(error, &p, &c));
        assert_int_equal(call_answered(&c, 0), MKT_E_PEER_ERROR);
        assert_int_equal(c.io.peer_error_authentic, good); /* RFC6043:5.4-5 RFC6043:5.4-11 */
        call_close(&c);
    }
}

/* A forged Error changes nothing: the true answer is still taken (RFC 3830 5.1.2). */
static void
an_error_is_a_hint_and_ends_nothing(void **state)
{
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_up_to(&c, TRANSFER_RESP), MKT_OK);
    struct message answer = c.resp[0];
    assert_int_equal(call_offered(&c, 1), MKT_OK);
    struct mkt_io io = { .out = c.resp[0].b, .cap = sizeof c.resp[0].b };
    assert_int_equal(mkt_responder_refuse(c.responder[1], &c.env, MKT_E_SP, NULL, 0, &io),
                     MKT_NEXT_SEND_PEER);
    c.resp[0].n = io.out_len;
    assert_int_equal(call_answered(&c, 0), MKT_E_PEER_ERROR);
    assert_false(c.io.peer_error_authentic); /* RFC3830:5.1.2-3 */
    c.resp[0] = answer;
    assert_int_equal(call_answered(&c, 0), MKT_OK); /* RFC3830:5.1.2-3 */
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_of_a_kms_repeats_the_header_and_has_a_time_of_its_own),
        cmocka_unit_test(the_mac_of_an_error_has_the_key_of_what_it_answers_and_covers_it_alone),
        cmocka_unit_test(what_is_ignored_in_an_error_leaves_it_authentic),
        cmocka_unit_test(a_message_that_fails_is_discarded_and_answered_with_an_error),
        cmocka_unit_test(a_peer_that_is_not_authenticated_gets_an_error_without_a_mac),
        cmocka_unit_test(a_ticket_that_cannot_be_read_is_named_with_a_mac_and_to_a_user_only),
        cmocka_unit_test(an_error_of_a_responder_names_what_it_supports),
        cmocka_unit_test(an_error_of_a_responder_may_have_a_mac),
        cmocka_unit_test(an_error_is_a_hint_and_ends_nothing),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
