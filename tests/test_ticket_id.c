/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a ticket (mkt_kms_ticket_id): the KMS that issues it and the KMS that resolves it
 * agree, for every Ticket Type, and nobody on the way can change it without breaking the ticket. */
#include "compat_call.h"
#include "role/kms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct name {
    uint8_t b[MKT_TICKET_ID];
};

static struct name
name_now(const struct call *c)
{
    struct mkt_span id = mkt_kms_ticket_id(c->txn);
    struct name name;

    assert_int_equal(id.n, sizeof name.b);
    memcpy(name.b, id.p, id.n);
    return name;
}

/* The KMS issues what Alice requested; Alice has her grant. */
static struct name
issued(struct call *c, const struct mkt_tpk *tpk)
{
    struct mkt_policy granted;
    struct mkt_err err = { 0 };
    struct mkt_io io = { .out = c->granted.b, .cap = sizeof c->granted.b };
    struct name name;

    assert_int_equal(call_request(c), MKT_OK);
    assert_int_equal(mkt_kms_begin(c->txn, mkt_span(c->request.b, c->request.n), &err), MKT_OK);
    assert_int_equal(mkt_kms_ticket_id(c->txn).n, 0); /* none yet */
    assert_int_equal(mkt_kms_verify(c->txn, &c->env, &c->psk_alice.base, c->alice, c->kms, &err),
                     MKT_OK);
    c->rules.keeps_keys = true;
    assert_int_equal(mkt_policy_grant(&granted, mkt_kms_ask(c->txn)->policy, &c->rules, c->alice,
                                      c->kms, c->env.now, &err),
                     MKT_OK);
    assert_int_equal(mkt_kms_issue(c->txn, &c->env, &granted, tpk, mkt_span(NULL, 0), &io),
                     MKT_NEXT_SEND_PEER);
    c->granted.n = io.out_len;
    name = name_now(c);
    mkt_kms_end(c->txn);
    assert_int_equal(mkt_kms_ticket_id(c->txn).n, 0); /* and none any more */
    assert_int_equal(call_granted(c), MKT_OK);
    return name;
}

/* As it comes back in a RESOLVE_INIT of Bob. */
static struct name
returned(struct call *c)
{
    struct mkt_err err = { 0 };

    assert_int_equal(call_offer(c), MKT_OK);
    assert_int_equal(call_offered(c, 0), MKT_OK);
    assert_int_equal(call_accept(c, 0), MKT_OK);
    assert_int_equal(mkt_kms_begin(c->txn, mkt_span(c->resolve[0].b, c->resolve[0].n), &err),
                     MKT_OK);
    return name_now(c);
}

static void
issue_and_resolve_agree_on_the_name_of_a_ticket(void **state)
{
    static const uint16_t types[] = { MKT_TICKET_TYPE_BASE, MKT_TICKET_TYPE_REFERENCE };
    static const uint8_t suites[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct call c;
        struct name at_issue, at_resolve;

        assert_true(call_open(&c, suites[i % 2], MKT_TS_NTP_UTC));
        c.want.ticket_type = types[i / 2];
        const struct mkt_tpk tpk = { .id = mkt_span("tpk", 3), .key = &c.tpk.base };
        at_issue = issued(&c, &tpk);
        at_resolve = returned(&c);
        assert_memory_equal(at_issue.b, at_resolve.b, sizeof at_issue.b);
        assert_true(mkt_kms_ask(c.txn)->made.has);
        assert_int_equal(mkt_kms_ask(c.txn)->made.type, MKT_TS_NTP_UTC);
        call_close(&c);
    }
}

static void
a_compatibility_ticket_is_named_by_the_end_of_its_message(void **state)
{
    struct call c;
    struct mkt_compat compat;
    struct name at_issue;

    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    const struct mkt_tpk tpk = { .key = &c.tpk_bob.base, .owner = c.bob[0] };
    at_issue = issued(&c, &tpk);
    assert_int_equal(mkt_grant_compat(c.grant, &c.env, &compat, &c.io.err), MKT_OK);
    assert_memory_equal(at_issue.b, compat.message.p + compat.message.n - sizeof at_issue.b,
                        sizeof at_issue.b);
    call_close(&c);
}

static void
two_tickets_have_two_names(void **state)
{
    struct call c;
    struct name first, second;

    (void)state;
    assert_true(call_open(&c, MKT_PRF_HMAC_SHA_256, MKT_TS_NTP_UTC));
    const struct mkt_tpk tpk = { .id = mkt_span("tpk", 3), .key = &c.tpk.base };
    first = issued(&c, &tpk);
    second = issued(&c, &tpk);
    assert_memory_not_equal(first.b, second.b, sizeof first.b);
    call_close(&c);
}

/* A revoked ticket cannot come back under another name: whatever octet of it is changed, it has the
 * name it had or does not open. Initiator Data and what stands around TICKET are not the ticket. */
static void
a_ticket_with_another_name_does_not_open(void **state)
{
    struct call c;
    struct name name;
    struct mkt_err err = { 0 };
    const struct mkt_payload *ticket;
    static struct mkt_msg m;
    size_t from, to, renamed = 0;

    (void)state;
    assert_true(call_open(&c, MKT_PRF_HMAC_SHA_256, MKT_TS_NTP_UTC));
    const struct mkt_tpk tpk = { .id = mkt_span("tpk", 3), .key = &c.tpk.base };
    name = issued(&c, &tpk);
    (void)returned(&c);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(c.resolve[0].b, c.resolve[0].n), &err), MKT_OK);
    ticket = mkt_msg_find(&m, MKT_PL_TICKET, 0);
    from = ticket->at;
    to = from + ticket->raw.n;
    for (size_t at = from; at < to; at++) {
        uint8_t kept = c.resolve[0].b[at];
        struct mkt_span id;

        c.resolve[0].b[at] ^= 1;
        err = (struct mkt_err){ 0 };
        if (mkt_kms_begin(c.txn, mkt_span(c.resolve[0].b, c.resolve[0].n), &err) == MKT_OK) {
            id = mkt_kms_ticket_id(c.txn);
            if (id.n != sizeof name.b || memcmp(id.p, name.b, id.n) != 0) {
                renamed++;
                assert_int_equal(mkt_kms_verified(c.txn, &c.psk_bob[0].base, c.kms, &err), MKT_OK);
                assert_int_not_equal(mkt_kms_open(c.txn, &c.env, &tpk, &err), MKT_OK);
            }
        }
        c.resolve[0].b[at] = kept;
    }
    assert_true(renamed >= sizeof name.b);
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(issue_and_resolve_agree_on_the_name_of_a_ticket),
        cmocka_unit_test(a_compatibility_ticket_is_named_by_the_end_of_its_message),
        cmocka_unit_test(two_tickets_have_two_names),
        cmocka_unit_test(a_ticket_with_another_name_does_not_open),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
