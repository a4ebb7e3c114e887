/* SPDX-License-Identifier: Apache-2.0 */
/* What each party must refuse, and that a refusal changes nothing: the right message still works.
 * Messages that are wrong in one thing and sealed anew are in the vectors; here are wrong keys,
 * wrong people, wrong order, and octets altered on the way. */
#include "one_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Octet `offset` of a payload of m. */
static uint8_t *
octet(struct message *m, uint16_t type, uint8_t role, size_t offset)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    const struct mkt_payload *pl = mkt_msg_find(&parsed, type, role);
    assert_non_null(pl);
    assert_true(offset < pl->raw.n);
    return m->b + pl->at + offset;
}

static struct mkt_pl_ticket
ticket_of(struct message *m)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    return mkt_msg_find(&parsed, MKT_PL_TICKET, 0)->u.ticket;
}

static void
assert_rest_of_the_call_works(size_t k)
{
    assert_int_equal(call_accept(&c, k), MKT_OK);
    assert_int_equal(call_resolve(&c, k), MKT_OK);
    assert_int_equal(call_resolved(&c, k), MKT_OK);
    assert_int_equal(call_answered(&c, k), MKT_OK);
}

/* --- the Initiator and the policy it is granted (RFC 6043 4.2.1.6) ---------------------------- */

static void
drop_forking(struct mkt_policy *g)
{
    g->flags &= (uint16_t)~MKT_TP_I;
}

static void
ask_for_more_processing(struct mkt_policy *g)
{
    g->flags &= (uint16_t)~MKT_TP_N;
}

static void
deny_having_made_it(struct mkt_policy *g)
{
    g->flags = (uint16_t)((g->flags & ~(MKT_TP_D | MKT_TP_K)) | MKT_TP_L);
}

static void
add_a_responder(struct mkt_policy *g)
{
    g->responders[g->n_responders++] = mkt_uri("sip:mallory@example.com");
}

static void
end_it_already(struct mkt_policy *g)
{
    g->end.value = NOW - (1ULL << 32);
}

static void
begin_it_later(struct mkt_policy *g)
{
    g->start.value = NOW + (9ULL << 32);
}

static void
an_initiator_refuses_a_policy_it_cannot_accept(void **state)
{
    static const struct {
        void (*twist)(struct mkt_policy *g);
        enum mkt_rc rc;
        const char *what;
    } bad[] = {
        { drop_forking, MKT_E_TP_PARAM, "granted policy: key forking dropped (I)" },
        { ask_for_more_processing, MKT_E_TP_PARAM,
          "granted policy: additional processing required (N)" },
        { deny_having_made_it, MKT_E_TP_PARAM, "granted policy: not made by the KMS (D)" },
        { add_a_responder, MKT_E_TP_PARAM, "granted policy: a responder was added" },
        { end_it_already, MKT_E_TICKET_EXPIRED, NULL },
        { begin_it_later, MKT_E_TICKET_EXPIRED, NULL },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(call_request(&c), MKT_OK);
        c.twist = bad[i].twist;
        assert_int_equal(call_issue(&c), MKT_OK);
        assert_int_equal(call_granted(&c), bad[i].rc); /* RFC6043:4.2.1.6-3 RFC6043:6.10-12 */
        assert_null(c.grant);
        if (bad[i].what != NULL)
            assert_string_equal(c.io.err.what, bad[i].what);
    }
    c.twist = NULL;
    assert_int_equal(call_issue(&c), MKT_OK); /* RFC6043:4.2.1.6-4: the request is still open */
    assert_int_equal(call_granted(&c), MKT_OK);
}

static void
a_ticket_for_later_is_accepted_if_it_was_asked_for(void **state)
{
    (void)state;
    c.want.start.value = NOW + (5ULL << 32);
    assert_int_equal(call_request(&c), MKT_OK);
    c.twist = begin_it_later; /* later still */
    assert_int_equal(call_issue(&c), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_E_TICKET_EXPIRED);
    c.twist = NULL;
    assert_int_equal(call_issue(&c), MKT_OK);
    assert_int_equal(call_granted(&c), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_E_TICKET_EXPIRED);
    c.env.now = NOW + (5ULL << 32);
    assert_int_equal(call_offer(&c), MKT_OK);
}

/* Every octet of an answer, altered: refused, and the true answer works after all of them. */
static void
refuse_each_altered_octet(struct message *m, enum mkt_rc (*step)(struct call *, size_t), size_t k)
{
    for (size_t i = 0; i < m->n; i++) {
        m->b[i] ^= 0x40;
        assert_int_not_equal(step(&c, k), MKT_OK);
        assert_int_equal(c.io.out_len, 0);
        m->b[i] ^= 0x40;
    }
    assert_int_equal(step(&c, k), MKT_OK);
}

static enum mkt_rc
granted_step(struct call *call, size_t k)
{
    (void)k;
    return call_granted(call);
}

static void
forged_answers_change_nothing(void **state)
{
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(call_issue(&c), MKT_OK);
    refuse_each_altered_octet(&c.granted, granted_step, 0);
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_OK);
    refuse_each_altered_octet(&c.resolved[0], call_resolved, 0);
    refuse_each_altered_octet(&c.resp[0], call_answered, 0);
}

static void
an_answer_for_another_device_gives_no_csb(void **state)
{
    struct message other;
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    for (size_t k = 0; k < RESPONDERS; k++) {
        assert_int_equal(call_offered(&c, k), MKT_OK);
        assert_int_equal(call_accept(&c, k), MKT_OK);
        assert_int_equal(call_resolve(&c, k), MKT_OK);
    }
    other = c.resolved[1];
    c.resolved[1] = c.resolved[0];
    assert_int_not_equal(call_resolved(&c, 1), MKT_OK);
    c.resolved[1] = other;
    assert_int_equal(call_resolved(&c, 1), MKT_OK);
}

/* --- Error messages (RFC 6043 5.4) ------------------------------------------------------------ */

static void
an_error_without_a_mac_is_only_a_hint(void **state)
{
    struct message honest;
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(call_issue(&c), MKT_OK);
    honest = c.granted;
    assert_int_equal(call_kms(&c, &c.request, c.alice, &c.psk_bob[0].base, &c.granted), MKT_E_AUTH);
    assert_int_equal(call_granted(&c), MKT_E_PEER_ERROR);
    assert_int_equal(c.io.peer_error, MKT_ERR_AUTH_FAILURE);
    assert_false(c.io.peer_error_authentic); /* RFC6043:5.4-2 RFC3830:5.1.2-3 */
    c.granted = honest;
    assert_int_equal(call_granted(&c), MKT_OK);
}

static void
an_error_of_a_kms_that_knows_us_is_authentic(void **state)
{
    (void)state;
    c.rules.max_keys = 1;
    c.want.has_kemac = true;
    c.want.n_wanted = 2;
    c.want.wanted[0] = c.want.wanted[1] =
        (struct mkt_want_key){ .type = MKT_KEY_TGK, .key_len = 16 };
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(call_issue(&c), MKT_E_TP_PARAM);
    assert_int_equal(call_granted(&c), MKT_E_PEER_ERROR);
    assert_int_equal(c.io.peer_error, MKT_ERR_INVALID_TPPAR);
    assert_true(c.io.peer_error_authentic); /* RFC6043:5.4-3 RFC6043:5.4-11 RFC6043:4.2.1.4-1 */
    c.granted.b[c.granted.n - 1] ^= 1;
    assert_int_not_equal(call_granted(&c), MKT_OK);
    assert_false(c.io.peer_error_authentic);
    c.want.n_wanted = 1;
    assert_int_equal(call_until_grant(&c), MKT_OK);
}

static void
an_error_message_is_never_answered_with_one(void **state)
{
    struct message error, answer;
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(call_kms(&c, &c.request, c.alice, &c.psk_bob[0].base, &error), MKT_E_AUTH);
    assert_true(error.n != 0);
    assert_int_equal(call_kms(&c, &error, c.alice, &c.psk_alice.base, &answer), MKT_E_DATA_TYPE);
    assert_int_equal(answer.n, 0);
    c.init = error;
    assert_int_not_equal(call_offered(&c, 0), MKT_OK); /* RFC6043:5.4-1 */
    struct mkt_io io = { .out = answer.b, .cap = sizeof answer.b };
    assert_int_equal(mkt_responder_refuse(c.responder[0], &c.env, MKT_E_DATA_TYPE, NULL, 0, &io),
                     MKT_NEXT_ABORT);
}

static void
octets_that_are_no_message_are_not_answered_for_an_earlier_offer(void **state)
{
    uint8_t out[256];
    struct mkt_io io = { .out = out, .cap = sizeof out };
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    c.init.n = 60; /* the header is whole, the message is not */
    assert_int_not_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(mkt_responder_refuse(c.responder[0], &c.env, MKT_E_TRUNCATED, NULL, 0, &io),
                     MKT_NEXT_ABORT);
}

/* --- the Responder, before it asks the KMS (RFC 6043 4.2.2.2) --------------------------------- */

static void
a_responder_refuses_early_what_cannot_work(void **state)
{
    /* octets of the TICKET payload: 1-2 type, 5 PRF and D, 6 E to L, 7 M, N, O (6.10) */
    static const struct {
        const char *name;
        size_t offset;
        uint8_t flip;
        enum mkt_rc rc;
    } bad[] = {
        { "G without F", 6, 0x40, MKT_E_TP_FLAGS },
        { "I without E", 6, 0x80, MKT_E_TP_FLAGS },
        { "neither G nor H", 6, 0x30, MKT_E_TP_FLAGS },
        { "D and L both clear", 5, 0x01, MKT_E_TP_FLAGS },
        { "needs processing by the Responder", 7, 0x20, MKT_E_TICKET_TYPE },
        { "PRF of the other suite", 5, 0x02, MKT_E_PRF },
    };
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    for (size_t i = 0; i < COUNT(bad); i++) {
        *octet(&c.init, MKT_PL_TICKET, 0, bad[i].offset) ^= bad[i].flip;
        enum mkt_rc rc = call_offered(&c, 0);
        /* RFC6043:4.2.2.2-1 RFC6043:4.2.2.2-2 RFC6043:6.10-13 RFC6043:12.3-2 */
        if (rc != bad[i].rc)
            fail_msg("%s: %s", bad[i].name, mkt_rc_name(rc));
        assert_null(mkt_responder_offer_unverified(c.responder[0]));
        assert_int_equal(call_accept(&c, 0), MKT_E_STATE);
        *octet(&c.init, MKT_PL_TICKET, 0, bad[i].offset) ^= bad[i].flip;
    }
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_rest_of_the_call_works(0);
}

static void
a_ticket_of_an_unknown_type_is_left_to_the_kms_which_refuses_it(void **state)
{
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    *octet(&c.init, MKT_PL_TICKET, 0, 1) = 0xF0;
    assert_int_equal(call_offered(&c, 0), MKT_OK); /* O: nothing is asked of the Responder */
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_E_TICKET_TYPE);
    assert_int_equal(call_resolved(&c, 0), MKT_E_PEER_ERROR);
    assert_int_equal(c.io.peer_error, MKT_ERR_INVALID_TICKET);
    assert_true(c.io.peer_error_authentic); /* RFC6043:5.4-3 */
}

/* Who has no key learns nothing about the ticket. */
static void
a_stranger_is_not_told_that_the_type_is_unknown(void **state)
{
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    *octet(&c.init, MKT_PL_TICKET, 0, 1) = 0xF0;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    c.resolve[0].b[c.resolve[0].n - 1] ^= 1;
    assert_int_equal(call_resolve(&c, 0), MKT_E_AUTH);
    assert_int_equal(call_resolved(&c, 0), MKT_E_PEER_ERROR);
    assert_int_equal(c.io.peer_error, MKT_ERR_AUTH_FAILURE);
    assert_false(c.io.peer_error_authentic); /* RFC6043:5.4-2 */
}

static void
a_responder_refuses_a_ticket_that_is_over(void **state)
{
    (void)state;
    c.want.end.value = NOW + (10ULL << 32);
    assert_int_equal(call_until_offer(&c), MKT_OK);
    c.env.now = NOW + (10ULL << 32);
    assert_int_equal(call_offered(&c, 0), MKT_OK); /* inclusive */
    c.env.now = NOW + (11ULL << 32);
    assert_int_equal(call_offered(&c, 0), MKT_E_TICKET_EXPIRED);
}

static void
a_kms_refuses_a_ticket_that_ended_on_the_way(void **state)
{
    (void)state;
    c.want.end.value = NOW + (10ULL << 32);
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    c.env.now = NOW + (11ULL << 32);
    assert_int_equal(call_resolve(&c, 0), MKT_E_TICKET_EXPIRED);
    assert_int_equal(call_resolved(&c, 0), MKT_E_PEER_ERROR);
    assert_true(c.io.peer_error_authentic);
}

static void
a_security_policy_that_nobody_supports_is_refused_by_name(void **state)
{
    static const uint8_t gcm[] = { 0, 1, 6, 1, 1, 16 };
    const struct mkt_pl_sp ours = { 0, MKT_PROT_SRTP, mkt_span(gcm, sizeof gcm) };
    struct mkt_choose_cs cs[4];
    size_t n;
    struct mkt_err err = { 0 };
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    const struct mkt_msg *offer = mkt_responder_offer_unverified(c.responder[0]);
    assert_int_equal(mkt_choice_default(offer, &ours, 1, cs, 4, &n, &err), MKT_E_SP_PARAM);
    c.resp[0].n = 0;
    struct mkt_io io = { .out = c.resp[0].b, .cap = sizeof c.resp[0].b };
    assert_int_equal(mkt_responder_refuse(c.responder[0], &c.env, err.rc, &ours, 1, &io),
                     MKT_NEXT_SEND_PEER);
    c.resp[0].n = io.out_len;
    (void)octet(&c.resp[0], MKT_PL_SP, 0, 0); /* RFC6043:5.4-6 */
    assert_int_equal(call_answered(&c, 0), MKT_E_PEER_ERROR);
    assert_int_equal(c.io.peer_error, MKT_ERR_INVALID_SPPAR);
    assert_rest_of_the_call_works(0);
}

/* --- Initiator Data (RFC 6043 6.10) ----------------------------------------------------------- */

static void
vi_that_is_not_v_is_refused_by_the_responder(void **state)
{
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    struct mkt_pl_ticket t = ticket_of(&c.init);
    uint8_t *vi = c.init.b + (t.initiator_data.p - c.init.b) + 3; /* its first MAC octet */
    *vi ^= 1;
    assert_int_equal(call_offered(&c, 0), MKT_E_AUTH); /* RFC6043:4.2.3.6-2 RFC6043:6.10-27 */
    *vi ^= 1;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_rest_of_the_call_works(0);
}

static void
vr_that_does_not_verify_is_refused_by_the_kms(void **state)
{
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    struct mkt_pl_ticket t = ticket_of(&c.init);
    uint8_t *vr = c.init.b + (t.initiator_data.p - c.init.b) + t.initiator_data.n - 1;
    *vr ^= 1;
    assert_int_equal(call_offered(&c, 0), MKT_OK); /* only the KMS can tell */
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_E_AUTH); /* RFC6043:4.2.3.4-2 RFC6043:6.10-28 */
    assert_int_equal(call_resolved(&c, 0), MKT_E_PEER_ERROR);
    *vr ^= 1;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_rest_of_the_call_works(0);
}

static void
v_and_vi_replaced_alike_are_refused_by_the_kms(void **state)
{
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    struct mkt_pl_ticket t = ticket_of(&c.init);
    c.init.b[(t.initiator_data.p - c.init.b) + 3] ^= 1;
    *octet(&c.init, MKT_PL_V, 0, 2) ^= 1;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_E_AUTH);
}

/* Without forking nothing but MPKi protects the offer, and the Responder has it after resolving. */
static void
an_altered_offer_is_refused_once_its_key_is_known(void **state)
{
    (void)state;
    c.want.flags &= (uint16_t)~MKT_TP_I;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    uint8_t *sp = octet(&c.init, MKT_PL_SP, 0, 7); /* first parameter: the encryption algorithm */
    *sp ^= 1;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_OK);
    assert_int_equal(call_resolved(&c, 0), MKT_E_AUTH); /* RFC6043:4.2.3.6-1 RFC6043:5.5-1 */
    assert_null(c.at_bob[0]);
    *sp ^= 1;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_rest_of_the_call_works(0);
}

/* --- the KMS ---------------------------------------------------------------------------------- */

static void
a_kms_takes_no_message_under_another_key_or_name(void **state)
{
    struct message out;
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(call_kms(&c, &c.request, c.alice, &c.psk_bob[0].base, &out), MKT_E_AUTH);
    /* RFC6043:4.2.1-1: the key is Alice's, the name must be too */
    assert_int_equal(call_kms(&c, &c.request, c.bob[0], &c.psk_alice.base, &out), MKT_E_AUTH);
    assert_int_equal(call_issue(&c), MKT_OK);
}

static void
a_ticket_opens_with_the_tpk_it_was_made_with_alone(void **state)
{
    struct mkt_inkey_mem tpk;
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    tpk = c.tpk;
    c.tpk = c.psk_alice;
    assert_int_equal(call_resolve(&c, 0), MKT_E_TICKET);
    c.tpk = tpk;
    assert_int_equal(call_resolve(&c, 0), MKT_OK);
    mkt_inkey_mem_wipe(&tpk);
}

static void
each_octet_of_a_ticket_is_protected(void **state)
{
    (void)state;
    c.want.flags &= (uint16_t)~MKT_TP_I;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    struct mkt_pl_ticket t = ticket_of(&c.init);
    size_t from = (size_t)(t.ticket_data.p - c.init.b);
    for (size_t i = 0; i < t.ticket_data.n; i++) {
        c.init.b[from + i] ^= 1;
        /* the Responder sees that its framing is broken, the KMS everything else */
        enum mkt_rc rc = call_offered(&c, 0);
        rc = rc != MKT_OK ? rc : call_accept(&c, 0);
        rc = rc != MKT_OK ? rc : call_resolve(&c, 0);
        assert_int_equal(rc, MKT_E_TICKET); /* RFC6043:A.1-8 RFC6043:11-1 RFC6043:11-3 */
        c.init.b[from + i] ^= 1;
    }
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_rest_of_the_call_works(0);
}

/* Who may resolve is the caller's decision (kms.h). Whoever it lets, the Initiator learns who it
 * was: the keys are forked for that name and no other. */
static void
a_stranger_let_in_by_the_caller_is_named_to_the_initiator(void **state)
{
    (void)state;
    c.want.n_responders = 1;
    assert_int_equal(call_whole(&c, 2), MKT_OK);
    assert_true(mkt_identity_equal(mkt_csb_peer(c.at_alice[1]), c.bob[1]));
    assert_int_equal(mkt_csb_policy(c.at_alice[1])->n_responders, 1);
    assert_false(mkt_identity_equal(mkt_csb_policy(c.at_alice[1])->responders[0], c.bob[1]));
}

static void
a_kms_step_out_of_order_gives_nothing(void **state)
{
    struct mkt_err err = { 0 };
    struct message out = { .n = 0 };
    struct mkt_io io = { .out = out.b, .cap = sizeof out.b };
    const struct mkt_tpk tpk = { .key = &c.tpk.base };
    (void)state;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    struct mkt_span in = mkt_span(c.resolve[0].b, c.resolve[0].n);
    assert_int_equal(mkt_kms_open(c.txn, &c.env, &tpk, &err), MKT_E_STATE);
    err.rc = MKT_OK;
    assert_int_equal(mkt_kms_begin(c.txn, in, &err), MKT_OK);
    assert_int_equal(mkt_kms_open(c.txn, &c.env, &tpk, &err), MKT_E_STATE);
    assert_int_equal(mkt_kms_resolve(c.txn, &c.env, c.bob[0], &io), MKT_NEXT_ABORT);
    assert_int_equal(mkt_kms_issue(c.txn, &c.env, &c.want, &tpk, mkt_span(NULL, 0), &io),
                     MKT_NEXT_ABORT);
    err.rc = io.err.rc = MKT_OK;
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_bob[0].base, c.bob[0], c.kms, &err),
                     MKT_OK);
    assert_int_equal(mkt_kms_resolve(c.txn, &c.env, c.bob[0], &io), MKT_NEXT_ABORT);
    assert_int_equal(io.out_len, 0);
    assert_int_equal(mkt_kms_open(c.txn, &c.env, &tpk, &err), MKT_OK);
    io.err.rc = MKT_OK;
    assert_int_equal(mkt_kms_resolve(c.txn, &c.env, c.bob[0], &io), MKT_NEXT_SEND_PEER);
    /* one ticket opened is one Responder's keys */
    assert_int_equal(mkt_kms_resolve(c.txn, &c.env, c.bob[1], &io), MKT_NEXT_ABORT);
    mkt_kms_end(c.txn);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)
    const struct CMUnitTest tests[] = {
        TEST(an_initiator_refuses_a_policy_it_cannot_accept),
        TEST(a_ticket_for_later_is_accepted_if_it_was_asked_for),
        TEST(forged_answers_change_nothing),
        TEST(an_answer_for_another_device_gives_no_csb),
        TEST(an_error_without_a_mac_is_only_a_hint),
        TEST(an_error_of_a_kms_that_knows_us_is_authentic),
        TEST(an_error_message_is_never_answered_with_one),
        TEST(octets_that_are_no_message_are_not_answered_for_an_earlier_offer),
        TEST(a_responder_refuses_early_what_cannot_work),
        TEST(a_ticket_of_an_unknown_type_is_left_to_the_kms_which_refuses_it),
        TEST(a_stranger_is_not_told_that_the_type_is_unknown),
        TEST(a_responder_refuses_a_ticket_that_is_over),
        TEST(a_kms_refuses_a_ticket_that_ended_on_the_way),
        TEST(a_security_policy_that_nobody_supports_is_refused_by_name),
        TEST(vi_that_is_not_v_is_refused_by_the_responder),
        TEST(vr_that_does_not_verify_is_refused_by_the_kms),
        TEST(v_and_vi_replaced_alike_are_refused_by_the_kms),
        TEST(an_altered_offer_is_refused_once_its_key_is_known),
        TEST(a_kms_takes_no_message_under_another_key_or_name),
        TEST(a_ticket_opens_with_the_tpk_it_was_made_with_alone),
        TEST(each_octet_of_a_ticket_is_protected),
        TEST(a_stranger_let_in_by_the_caller_is_named_to_the_initiator),
        TEST(a_kms_step_out_of_order_gives_nothing),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
