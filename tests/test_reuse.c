/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets used more than once (RFC 6043 5.3) and for groups (9): what J allows, the modifier that
 * stays, and a forked ticket that its owner alone can offer. */
#include "three_party.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint8_t prfs[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };

static void
open_with(struct call *c, uint8_t prf, uint16_t set, uint16_t clear)
{
    assert_true(call_open(c, prf, MKT_TS_NTP_UTC));
    c->want.flags = (uint16_t)((c->want.flags | set) & ~clear);
    assert_int_equal(call_until_grant(c), MKT_OK);
}

static struct mkt_span
rand_of(const struct message *m, uint8_t role, struct mkt_msg *parsed)
{
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    const struct mkt_payload *pl = mkt_msg_find(parsed, MKT_PL_RANDR, role);
    return pl == NULL ? mkt_span(NULL, 0) : pl->u.randr.rand;
}

static bool
same(struct mkt_span a, struct mkt_span b)
{
    return a.n == b.n && a.n != 0 && memcmp(a.p, b.p, a.n) == 0;
}

/* Bob's second answer, from what he resolved for the first. */
static enum mkt_rc
reuse(struct call *c, struct mkt_resolution *cached)
{
    mkt_csb_free(c->at_alice[0]);
    mkt_csb_free(c->at_bob[0]);
    c->at_alice[0] = c->at_bob[0] = NULL;
    enum mkt_rc rc = call_offer(c);
    rc = rc != MKT_OK ? rc : call_offered(c, 0);
    rc = rc != MKT_OK ? rc : call_reused(c, 0, cached);
    return rc != MKT_OK ? rc : call_answered(c, 0);
}

/* --- J
 * ---------------------------------------------------------------------------------------------- */

static void
a_ticket_with_j_is_offered_again_with_the_same_modifier(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(prfs); i++) {
        struct call c;
        struct mkt_msg a, b;
        bool forks = i % 2 == 0;
        open_with(&c, prfs[i / 2], MKT_TP_J, forks ? 0 : MKT_TP_I);
        assert_int_equal(call_transfer(&c, 0), MKT_OK);
        struct mkt_resolution *res = mkt_responder_take_resolution(c.responder[0]);
        assert_non_null(res);
        assert_null(mkt_responder_take_resolution(c.responder[0])); /* taken */
        struct message init = c.init, resp = c.resp[0];
        struct mkt_secret first, second;
        uint32_t id = mkt_csb_id(c.at_bob[0]);
        assert_int_equal(call_keys(&c, c.at_bob[0], &first), MKT_OK);
        c.resolve[0].n = 0;
        for (unsigned again = 0; again < 3; again++) {
            assert_int_equal(reuse(&c, res), MKT_OK);
            assert_true(call_agrees(&c, 0));
            /* RFC6043:5.3-1 new CSB ID and RANDs */
            assert_true(mkt_csb_id(c.at_bob[0]) != id);
            assert_false(same(rand_of(&init, MKT_RANDR_I, &a), rand_of(&c.init, MKT_RANDR_I, &b)));
            assert_false(
                same(rand_of(&resp, MKT_RANDR_R, &a), rand_of(&c.resp[0], MKT_RANDR_R, &b)));
            /* RFC6043:5.3-2 the same modifier */
            assert_int_equal(
                same(rand_of(&resp, MKT_RANDR_KMS, &a), rand_of(&c.resp[0], MKT_RANDR_KMS, &b)),
                forks);
            assert_int_equal(c.resolve[0].n, 0); /* the KMS was not asked */
            assert_int_equal(call_keys(&c, c.at_bob[0], &second), MKT_OK);
            assert_false(mkt_ct_equal(mkt_secret_span(&first), mkt_secret_span(&second)));
        }
        mkt_resolution_free(res);
        call_close(&c);
    }
}

static void
a_ticket_without_j_is_offered_once(void **state)
{
    (void)state;
    struct call c;
    open_with(&c, MKT_PRF_MIKEY_1, 0, MKT_TP_J);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_E_TICKET); /* RFC6043:5.3-3 RFC6043:6.10-8 */
    assert_string_equal(c.io.err.ref, "RFC 6043 5.3");
    assert_int_equal(c.init.n, 0);
    call_close(&c);
}

static void
an_offer_that_was_never_made_is_no_use_of_the_ticket(void **state)
{
    (void)state;
    struct call c;
    open_with(&c, MKT_PRF_MIKEY_1, 0, MKT_TP_J);
    c.cap = 100;
    assert_int_equal(call_offer(&c), MKT_E_NO_SPACE);
    c.cap = sizeof c.init.b;
    c.random_left = 0;
    assert_int_equal(call_offer(&c), MKT_E_RANDOM);
    c.random_left = -1;
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    call_close(&c);
}

/* The Responder holds the Initiator to J as well. */
static void
a_responder_does_not_reuse_what_may_not_be_reused(void **state)
{
    (void)state;
    struct call c;
    struct mkt_grant *stolen = NULL;
    uint8_t octets[4096];
    size_t n = 0;
    open_with(&c, MKT_PRF_MIKEY_1, 0, MKT_TP_J);
    assert_int_equal(mkt_grant_export(c.grant, octets, sizeof octets, &n), MKT_OK);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    struct mkt_resolution *res = mkt_responder_take_resolution(c.responder[0]);
    assert_int_equal(mkt_grant_import(&stolen, mkt_span(octets, n), &c.io.err), MKT_OK);
    struct mkt_grant *old = c.grant;
    c.grant = stolen; /* a copy that does not know it was used */
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_reused(&c, 0, res), MKT_E_TICKET); /* RFC6043:5.3-3 RFC6043:6.10-8 */
    mkt_grant_free(old);
    mkt_resolution_free(res);
    call_close(&c);
}

static void
a_resolution_serves_its_own_ticket_alone(void **state)
{
    (void)state;
    struct call c;
    open_with(&c, MKT_PRF_MIKEY_1, MKT_TP_J, 0);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    struct mkt_resolution *res = mkt_responder_take_resolution(c.responder[0]);
    struct mkt_msg m;
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&m, mkt_span(c.init.b, c.init.n), &err), MKT_OK);
    assert_true(mkt_resolution_is_of(res, mkt_msg_find(&m, MKT_PL_TICKET, 0)));
    assert_int_equal(mkt_resolution_policy(res)->flags, c.want.flags);
    mkt_grant_free(c.grant);
    c.grant = NULL;
    assert_int_equal(call_until_grant(&c), MKT_OK); /* another one */
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(c.init.b, c.init.n), &err), MKT_OK);
    assert_false(mkt_resolution_is_of(res, mkt_msg_find(&m, MKT_PL_TICKET, 0)));
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_reused(&c, 0, res), MKT_E_TICKET);
    mkt_resolution_free(res);
    call_close(&c);
}

/* Ambiguity 52: Vr is the KMS's to check, V is still ours. */
static void
a_reused_ticket_does_not_excuse_a_bad_offer(void **state)
{
    (void)state;
    struct call c;
    open_with(&c, MKT_PRF_MIKEY_1, MKT_TP_J, MKT_TP_I);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    struct mkt_resolution *res = mkt_responder_take_resolution(c.responder[0]);
    mkt_csb_free(c.at_bob[0]);
    c.at_bob[0] = NULL;
    assert_int_equal(call_offer(&c), MKT_OK);
    c.init.b[c.init.n - 1] ^= 1;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_reused(&c, 0, res), MKT_E_AUTH);
    assert_null(c.at_bob[0]);
    mkt_resolution_free(res);
    call_close(&c);
}

static void
nothing_is_reused_before_it_was_offered(void **state)
{
    (void)state;
    struct call c;
    open_with(&c, MKT_PRF_MIKEY_1, MKT_TP_J, 0);
    assert_null(mkt_responder_take_resolution(c.responder[0]));
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    struct mkt_resolution *res = mkt_responder_take_resolution(c.responder[0]);
    mkt_csb_free(c.at_bob[0]);
    c.at_bob[0] = NULL;
    assert_int_equal(call_reused(&c, 0, res), MKT_E_STATE); /* no offer is open */
    mkt_resolution_free(res);
    call_close(&c);
}

static void
the_other_modes_reuse_tickets_too(void **state)
{
    (void)state;
    for (unsigned mode = 2; mode <= 4; mode++) {
        struct call c;
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
        call_mode(&c, mode);
        if (mode > 2)
            key_add(&c.ticket_keys, MKT_KEY_TGK, 16, 0, 0x31);
        c.want.flags |= MKT_TP_J;
        assert_int_equal(call_until_grant(&c), MKT_OK);
        assert_int_equal(call_transfer(&c, 0), MKT_OK);
        struct mkt_resolution *res = mkt_responder_take_resolution(c.responder[0]);
        assert_int_equal(reuse(&c, res), MKT_OK);
        assert_true(call_agrees(&c, 0));
        mkt_resolution_free(res);
        call_close(&c);
    }
}

/* --- groups
 * ------------------------------------------------------------------------------------------ */

/* One GTGK for both Bobs, each with MPKs of his own (9, 9.1). */
static void
offers_to_a_group_give_all_members_the_same_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(prfs); i++) {
        struct call c;
        struct mkt_msg a, b;
        uint16_t len = mkt_suite_of(prfs[i])->key_len;
        assert_true(call_open(&c, prfs[i], MKT_TS_NTP_UTC));
        c.want.flags &= (uint16_t)~MKT_TP_G; /* ambiguity 51 */
        c.want.has_kemac = true;
        c.want.n_wanted = 1;
        c.want.wanted[0] = (struct mkt_want_key){ .type = MKT_KEY_GTGK, .key_len = len };
        assert_int_equal(call_until_grant(&c), MKT_OK);
        assert_int_equal(call_transfer(&c, 0), MKT_OK);
        struct message first = c.init;
        c.offer.group_of = mkt_span(first.b, first.n);
        c.offer.responder = c.bob[1];
        assert_int_equal(call_transfer(&c, 1), MKT_OK); /* J = 0: one distribution is one use */
        assert_true(call_agrees(&c, 0) && call_agrees(&c, 1));
        assert_true(same(rand_of(&first, MKT_RANDR_I, &a), rand_of(&c.init, MKT_RANDR_I, &b)));
        assert_int_equal(a.hdr.csb_id, b.hdr.csb_id);
        assert_false(
            same(rand_of(&c.resp[0], MKT_RANDR_KMS, &a), rand_of(&c.resp[1], MKT_RANDR_KMS, &b)));
        struct mkt_secret one, two;
        assert_int_equal(call_keys(&c, c.at_bob[0], &one), MKT_OK);
        assert_int_equal(call_keys(&c, c.at_bob[1], &two), MKT_OK);
        /* RFC6043:9-2 RFC3830:6.11-1 */
        assert_true(mkt_ct_equal(mkt_secret_span(&one), mkt_secret_span(&two)));
        call_close(&c);
    }
}

/* 5.1.1: a TGK forks, so members of such a group differ. */
static void
a_forked_tgk_is_no_group_key(void **state)
{
    (void)state;
    struct call c;
    struct mkt_secret one, two;
    open_with(&c, MKT_PRF_MIKEY_1, 0, MKT_TP_G);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    struct message first = c.init;
    c.offer.group_of = mkt_span(first.b, first.n);
    assert_int_equal(call_transfer(&c, 1), MKT_OK);
    assert_int_equal(call_keys(&c, c.at_bob[0], &one), MKT_OK);
    assert_int_equal(call_keys(&c, c.at_bob[1], &two), MKT_OK);
    assert_false(mkt_ct_equal(mkt_secret_span(&one), mkt_secret_span(&two)));
    call_close(&c);
}

/* Naming some group is no way around J. */
static void
a_ticket_without_j_serves_one_group(void **state)
{
    (void)state;
    struct call c, other;
    open_with(&c, MKT_PRF_MIKEY_1, 0, MKT_TP_J);
    open_with(&other, MKT_PRF_MIKEY_1, 0, MKT_TP_J);
    other.drawn = 99;
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    assert_int_equal(call_transfer(&other, 0), MKT_OK);
    c.offer.group_of = mkt_span(other.init.b, other.init.n);
    assert_int_equal(call_offer(&c), MKT_E_TICKET); /* RFC6043:5.3-3 */
    call_close(&c);
    call_close(&other);
}

static void
a_group_is_that_of_a_transfer_init(void **state)
{
    (void)state;
    struct call c;
    open_with(&c, MKT_PRF_MIKEY_1, MKT_TP_J, 0);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    c.offer.group_of = mkt_span(c.resp[0].b, c.resp[0].n);
    assert_int_equal(call_offer(&c), MKT_E_ARGUMENT);
    c.offer.group_of = mkt_span("?", 1);
    assert_true(call_offer(&c) != MKT_OK);
    assert_int_equal(c.init.n, 0);
    call_close(&c);
}

/* 9.1, decentralised: Bob passes the ticket on to his desk with the RANDRi he got. */
static void
a_ticket_that_does_not_fork_is_passed_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(prfs); i++) {
        struct call c;
        struct mkt_secret at_alice, at_desk;
        struct mkt_grant *passed = NULL;
        struct mkt_err err = { 0 };
        open_with(&c, prfs[i], MKT_TP_J, MKT_TP_I | MKT_TP_G);
        assert_int_equal(call_transfer(&c, 0), MKT_OK);
        assert_int_equal(call_keys(&c, c.at_alice[0], &at_alice), MKT_OK);
        struct mkt_resolution *res = mkt_responder_take_resolution(c.responder[0]);
        assert_int_equal(mkt_resolution_grant(&passed, res, &err), MKT_OK);
        assert_int_equal(mkt_grant_policy(passed)->flags, mkt_grant_policy(c.grant)->flags);

        const struct mkt_credential cred = { .self = c.bob[0], .kms = c.kms };
        struct mkt_initiator *bob = mkt_initiator_new(&cred);
        struct mkt_grant *alices = c.grant;
        struct mkt_initiator *alice = c.initiator;
        struct message first = c.init;
        c.grant = passed;
        c.initiator = bob;
        c.offer.group_of = mkt_span(first.b, first.n);
        c.offer.responder = c.bob[1];
        assert_int_equal(call_transfer(&c, 1), MKT_OK);
        assert_true(call_agrees(&c, 1));
        assert_true(mkt_identity_equal(mkt_csb_peer(c.at_bob[1]), c.bob[0])); /* RFC6043:9-1 */
        assert_int_equal(call_keys(&c, c.at_bob[1], &at_desk), MKT_OK);
        /* RFC6043:9-2 */
        assert_true(mkt_ct_equal(mkt_secret_span(&at_alice), mkt_secret_span(&at_desk)));
        c.grant = alices;
        c.initiator = alice;
        mkt_initiator_free(bob);
        mkt_grant_free(passed);
        mkt_resolution_free(res);
        call_close(&c);
    }
}

/* RFC6043:9.1-1 "the MIKEY signaling MUST be centralized to the party that initially requested the
 * ticket"; 5.3 "no one else can initiate a Ticket Transfer exchange using the ticket". */
static void
a_forked_ticket_cannot_be_passed_on(void **state)
{
    (void)state;
    struct call c;
    struct mkt_grant *passed = NULL;
    struct mkt_err err = { 0 };
    open_with(&c, MKT_PRF_MIKEY_1, MKT_TP_J, 0);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    struct mkt_resolution *res = mkt_responder_take_resolution(c.responder[0]);
    assert_int_equal(mkt_resolution_grant(&passed, res, &err), MKT_E_TP_PARAM); /* RFC6043:9.1-1 */
    assert_null(passed);
    assert_string_equal(err.ref, "RFC 6043 9.1");
    mkt_resolution_free(res);
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_with_j_is_offered_again_with_the_same_modifier),
        cmocka_unit_test(a_ticket_without_j_is_offered_once),
        cmocka_unit_test(an_offer_that_was_never_made_is_no_use_of_the_ticket),
        cmocka_unit_test(a_responder_does_not_reuse_what_may_not_be_reused),
        cmocka_unit_test(a_resolution_serves_its_own_ticket_alone),
        cmocka_unit_test(a_reused_ticket_does_not_excuse_a_bad_offer),
        cmocka_unit_test(nothing_is_reused_before_it_was_offered),
        cmocka_unit_test(the_other_modes_reuse_tickets_too),
        cmocka_unit_test(offers_to_a_group_give_all_members_the_same_keys),
        cmocka_unit_test(a_forked_tgk_is_no_group_key),
        cmocka_unit_test(a_ticket_without_j_serves_one_group),
        cmocka_unit_test(a_group_is_that_of_a_transfer_init),
        cmocka_unit_test(a_ticket_that_does_not_fork_is_passed_on),
        cmocka_unit_test(a_forked_ticket_cannot_be_passed_on),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
