/* SPDX-License-Identifier: Apache-2.0 */
/* Which Error the real daemon answers with, over UDP and HTTP, and when it keeps silent (RFC 6043
 * 5.4, RFC 3830 5.1.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scene.h"

#define QUIET_MS 100 /* for one that must not */

/* The Error no over HTTP, -1 when the answer is something else. */
static int
http_error(const struct rig_ask *a, const char *kind, bool *authentic)
{
    int fd = rig_http_connect(&rig), status;
    size_t n;

    status = rig_http_post(fd, kind, mkt_span(a->octets, a->len), out, &n);
    close(fd);
    return status == 200 ? rig_error_no(mkt_span(out, n), authentic) : -1;
}

static size_t
udp_answer(const struct rig_ask *a, int ms)
{
    int fd = rig_udp_socket(&rig);
    size_t n = rig_udp_ask(fd, mkt_span(a->octets, a->len), out, ms);

    close(fd);
    return n;
}

static int
udp_error(const struct rig_ask *a, bool *authentic)
{
    return rig_error_no(mkt_span(out, udp_answer(a, WAIT_MS)), authentic);
}

/* The TP or TICKET payload of a message, to be changed. */
static uint8_t *
policy_of(struct rig_ask *a, uint8_t type)
{
    static struct mkt_msg m;
    struct mkt_err err = { 0 };

    assert_int_equal(mkt_msg_parse(&m, mkt_span(a->octets, a->len), &err), MKT_OK);
    return a->octets + mkt_msg_find(&m, type, 0)->at;
}

/* What is changed in a TP: Ticket Type, Subtype, Version, PRF and D, E to L, M to O (6.10). */
static const struct {
    uint8_t at, keep, set;
    int error_no;
} changes[] = {
    { 2, 0x00, 2, MKT_ERR_INVALID_TICKET },    /* 3GPP base ticket */
    { 1, 0x00, 0x70, MKT_ERR_INVALID_TICKET }, /* nobody knows it */
    { 3, 0x00, 2, MKT_ERR_INVALID_TICKET },    /* a subtype of tomorrow */
    { 4, 0x00, 2, MKT_ERR_INVALID_TICKET },    /* a version of tomorrow */
    { 6, 0xbf, 0, MKT_ERR_INVALID_TPPAR },     /* G without F */
    { 6, 0xcf, 0, MKT_ERR_INVALID_TPPAR },     /* neither G nor H */
    { 6, 0x7f, 0, MKT_ERR_INVALID_TPPAR },     /* I without E */
};

static void
unknown_ticket_types_and_unusable_policies_are_named(void **state)
{
    bool authentic;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof changes / sizeof changes[0]; i++) {
        uint8_t *octet;

        rig_ask_free(&ask);
        rig_request(&ask, &alice, BOB, 0);
        octet = policy_of(&ask, MKT_PL_TP) + changes[i / 2].at;
        *octet = (uint8_t)((*octet & changes[i / 2].keep) | changes[i / 2].set);
        rig_seal(&ask, &alice);
        /* RFC6043:6.9 numbers 14 and 15; RFC6043:5.4: authenticated */
        assert_int_equal(i % 2 == 0 ? udp_error(&ask, &authentic)
                                    : http_error(&ask, "ticketrequest", &authentic),
                         changes[i / 2].error_no);
        assert_true(authentic);
    }
    rig_ask_free(&ask);
    rig_request(&ask, &alice, BOB, 0);
    rig_seal(&ask, &alice); /* unchanged it is good */
    assert_int_equal(udp_error(&ask, &authentic), -1);
}

static void
wishes_that_cannot_be_granted_are_refused(void **state)
{
    struct mkt_policy want[4];
    bool authentic;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        rig_want(&want[i], &alice, BOB, 0);
        want[i].has_kemac = true;
        want[i].n_wanted = 1;
        want[i].wanted[0] = (struct mkt_want_key){ .type = MKT_KEY_TGK, .key_len = 32 };
    }
    want[1].wanted[0].key_len = 33;
    want[2].wanted[0].key_len = 8;
    want[3].start.has = false;
    want[3].end.value -= 7200ULL << 32; /* over for an hour */
    for (size_t i = 0; i < 4; i++) {
        rig_ask_free(&ask);
        rig_request_want(&ask, &alice, &want[i], 0);
        assert_int_equal(udp_error(&ask, &authentic), i == 0 ? -1 : MKT_ERR_INVALID_TPPAR);
        assert_int_equal(authentic, i != 0);
    }
}

static void
a_ticket_of_an_unknown_type_is_named_when_resolved(void **state)
{
    struct mkt_grant *g;
    struct mkt_io io;
    bool authentic;

    (void)state;
    rig_request(&ask, &alice, BOB, 0);
    g = rig_granted(&ask, mkt_span(out, udp_answer(&ask, WAIT_MS)), &io);
    assert_non_null(g);
    for (uint8_t at = 2; at <= 4; at++) { /* type, subtype, version */
        rig_ask_free(&again);
        rig_resolve(&again, &bob, &alice, BOB, g);
        policy_of(&again, MKT_PL_TICKET)[at] = 9;
        assert_int_equal(udp_error(&again, &authentic), MKT_ERR_AUTH_FAILURE);
        assert_false(
            authentic); /* RFC6043:5.4-2: V is wrong, so nothing is said about the ticket */
        rig_seal(&again, &bob);
        assert_int_equal(udp_error(&again, &authentic), MKT_ERR_INVALID_TICKET);
        assert_true(authentic);
        /* It was authentic, so it is remembered: RFC6043:12.4, and a replay over HTTP is told. */
        assert_int_equal(http_error(&again, "ticketresolve", &authentic), MKT_ERR_INVALID_TS);
        assert_false(authentic);
    }
    rig_ask_free(&again);
    rig_resolve(&again, &bob, &alice, BOB, g);
    policy_of(&again, MKT_PL_TICKET)[7] ^= 0x80; /* M: its MAC is wrong now */
    rig_seal(&again, &bob);
    assert_int_equal(http_error(&again, "ticketresolve", &authentic), MKT_ERR_INVALID_TICKET);
    assert_true(authentic);
    mkt_grant_free(g);
}

/* RFC6043:5.4 "but not in Error messages". */
static void
errors_and_answers_are_not_answered(void **state)
{
    static const uint8_t types[] = { MKT_DT_PSK_INIT,     MKT_DT_ERROR,         MKT_DT_REQUEST_RESP,
                                     MKT_DT_RESOLVE_RESP, MKT_DT_TRANSFER_INIT, 200 };
    bool authentic;
    size_t n;

    (void)state;
    rig_request(&ask, &alice, BOB, 0);
    for (size_t i = 0; i < sizeof types; i++) {
        ask.octets[1] = types[i];
        assert_int_equal(udp_answer(&ask, QUIET_MS), 0);
        assert_int_equal(http_error(&ask, "ticketrequest", &authentic), -1);
    }
    ask.octets[1] = MKT_DT_REQUEST_INIT_PSK;
    ask.octets[ask.len - 1] ^= 1;
    n = udp_answer(&ask, WAIT_MS); /* a real Error, sent back to the KMS */
    assert_int_equal(rig_error_no(mkt_span(out, n), &authentic), MKT_ERR_AUTH_FAILURE);
    assert_false(authentic); /* RFC3830:5.1.2: strangers learn no more and get nothing signed */
    memcpy(ask.octets, out, n);
    ask.len = n;
    assert_int_equal(udp_answer(&ask, QUIET_MS), 0);
}

int
main(void)
{
#define TEST(name) SCENE(name, NULL)
    const struct CMUnitTest tests[] = {
        TEST(unknown_ticket_types_and_unusable_policies_are_named),
        TEST(wishes_that_cannot_be_granted_are_refused),
        TEST(a_ticket_of_an_unknown_type_is_named_when_resolved),
        TEST(errors_and_answers_are_not_answered),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
