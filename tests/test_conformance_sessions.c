/* SPDX-License-Identifier: Apache-2.0 */
/* Crypto sessions and their security policies in a Ticket Transfer (RFC 6043 4.2.2, 6.1.1): what is
 * offered, what is chosen, and what the Initiator accepts of it. */
#include "one_call.h"
#include "witness.h"

#include "payload/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint8_t cm[] = { 0, 1, 1, 1, 1, 16 }, gcm[] = { 0, 1, 6, 1, 1, 16 },
                     null[] = { 0, 1, 0 };
static const struct mkt_pl_sp three[] = { { 0, MKT_PROT_SRTP, { cm, sizeof cm } },
                                          { 1, MKT_PROT_SRTP, { gcm, sizeof gcm } },
                                          { 2, MKT_PROT_SRTP, { null, sizeof null } } };

/* Until Bob has an offer of these sessions with these policies. */
static void
offer(const struct mkt_offer_cs *cs, size_t n, const struct mkt_pl_sp *sp, size_t n_sp)
{
    c.offer.cs = cs;
    c.offer.n_cs = n;
    c.offer.sp = sp;
    c.offer.n_sp = n_sp;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
}

/* Bob answers with a choice of his own. */
static enum mkt_rc
answer(const struct mkt_choice *choice)
{
    struct mkt_io io = { .out = c.resolve[0].b, .cap = sizeof c.resolve[0].b };
    enum mkt_next next = mkt_responder_accept(c.responder[0], &c.env, choice, &io);
    c.resolve[0].n = io.out_len;
    if (next != MKT_NEXT_SEND_KMS)
        return io.err.rc;
    assert_int_equal(call_resolve(&c, 0), MKT_OK);
    return call_resolved(&c, 0);
}

static size_t
sessions_of(const struct message *m, struct mkt_cs *cs, size_t cap)
{
    static struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    struct mkt_map_iter it;
    size_t n = 0;
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    for (mkt_map_begin(&it, &parsed.hdr); n < cap && mkt_map_next(&it, &cs[n]);)
        n++;
    assert_int_equal(parsed.hdr.n_cs, n);
    return n;
}

/* --- what is offered and chosen ----------------------------------------------------------------
 */

static void
several_policies_are_offered_and_one_of_them_is_chosen(void **state)
{
    static const struct mkt_offer_cs offered[] = {
        { .cs_id = 1, .prot_type = MKT_PROT_SRTP, .n_policies = 2, .policies = { 0, 1 } },
        { .cs_id = 2, .prot_type = MKT_PROT_SRTP, .n_policies = 1, .policies = { 1 } },
    };
    struct mkt_choose_cs chosen[4];
    struct mkt_cs cs[4];
    struct mkt_session s;
    struct mkt_err err = { 0 };
    size_t n = 0;
    (void)state;
    offer(offered, 2, three, 2);
    /* for one session and for different sessions: RFC6043:4.2.2.1-5 RFC6043:6.1.1-6 */
    assert_int_equal(sessions_of(&c.init, cs, COUNT(cs)), 2);
    assert_int_equal(cs[0].policies.n, 2);
    assert_int_equal(cs[1].policies.n, 1);
    const struct mkt_msg *seen = mkt_responder_offer_unverified(c.responder[0]);
    assert_int_equal(mkt_choice_default(seen, &three[1], 1, chosen, COUNT(chosen), &n, &err),
                     MKT_OK);
    assert_int_equal(n, 2);
    assert_int_equal(chosen[0].policy_no, 1); /* RFC6043:6.1.1-4 */
    assert_int_equal(answer(&(struct mkt_choice){ .cs = chosen, .n_cs = n }), MKT_OK);
    assert_int_equal(sessions_of(&c.resp[0], cs, COUNT(cs)), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(cs[i].policies.n, 1);    /* RFC6043:6.1.1-2 RFC6043:4.2.2.3-3 */
        assert_int_equal(cs[i].policies.p[0], 1); /* RFC6043:6.1.1-4 */
    }
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    assert_int_equal(mkt_csb_session(c.at_alice[0], 0, &s), MKT_OK);
    assert_int_equal(s.params.n, sizeof gcm);
    assert_memory_equal(s.params.p, gcm, sizeof gcm);
}

static void
a_session_without_a_policy_gets_one_in_the_answer(void **state)
{
    static const struct mkt_offer_cs open = { .cs_id = 1, .prot_type = MKT_PROT_SRTP };
    struct mkt_choose_cs chosen;
    struct mkt_cs cs[2];
    struct mkt_err err = { 0 };
    size_t n = 0;
    (void)state;
    offer(&open, 1, NULL, 0);
    const struct mkt_msg *seen = mkt_responder_offer_unverified(c.responder[0]);
    assert_int_equal(mkt_choice_default(seen, &three[1], 2, &chosen, 1, &n, &err), MKT_OK);
    assert_int_equal(chosen.policy_no, 1);
    /* not without an SP of that number; with one it is sent: RFC6043:6.1.1-3 */
    assert_int_equal(answer(&(struct mkt_choice){ .cs = &chosen, .n_cs = 1 }), MKT_E_SP);
    assert_int_equal(
        answer(&(struct mkt_choice){ .cs = &chosen, .n_cs = 1, .sp = &three[1], .n_sp = 1 }),
        MKT_OK); /* RFC6043:4.2.2.3-13 */
    assert_int_equal(sessions_of(&c.resp[0], cs, 2), 1);
    assert_int_equal(cs[0].policies.n, 1); /* RFC6043:6.1.1-3 */
    assert_int_equal(call_answered(&c, 0), MKT_OK);
}

/* Another policy than those suggested may be chosen, when it is sent along. */
static void
a_responder_may_change_the_policies_the_ssrc_and_the_spi(void **state)
{
    static const struct mkt_offer_cs offered = {
        .cs_id = 1, .prot_type = MKT_PROT_SRTP, .n_policies = 1, .has_ssrc = true, .ssrc = 7
    };
    struct mkt_choose_cs chosen = { .cs_id = 1,
                                    .prot_type = MKT_PROT_SRTP,
                                    .policy_no = 1,
                                    .has_ssrc = true,
                                    .s = true,
                                    .ssrc = 9,
                                    .roc = 2,
                                    .seq = 3 };
    struct mkt_session s;
    (void)state;
    offer(&offered, 1, three, 1);
    assert_int_equal(
        answer(&(struct mkt_choice){ .cs = &chosen, .n_cs = 1, .sp = &three[1], .n_sp = 1 }),
        MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    for (unsigned end = 0; end < 2; end++) {
        const struct mkt_csb *csb = end == 0 ? c.at_alice[0] : c.at_bob[0];
        assert_int_equal(mkt_csb_session(csb, 0, &s), MKT_OK);
        assert_memory_equal(s.params.p, gcm, sizeof gcm); /* RFC6043:6.1.1-5 */
        assert_int_equal(s.ssrc, 9);                      /* RFC6043:4.2.2.3-5 RFC6043:6.1.1-8 */
        assert_int_equal(s.roc, 2);
        assert_int_equal(s.seq, 3); /* RFC6043:6.1.1-1 */
    }
}

static void
what_the_initiator_gave_is_kept(void **state)
{
    static const struct mkt_offer_cs offered = {
        .cs_id = 1, .prot_type = MKT_PROT_SRTP, .n_policies = 1, .has_ssrc = true, .ssrc = 7
    };
    struct mkt_session s;
    (void)state;
    offer(&offered, 1, three, 1);
    assert_int_equal(answer(&(struct mkt_choice){ 0 }), MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    assert_int_equal(mkt_csb_session(c.at_alice[0], 0, &s), MKT_OK);
    assert_int_equal(s.ssrc, 7); /* RFC6043:6.1.1-8 */
}

static void
a_responder_may_add_a_session(void **state)
{
    const struct mkt_choose_cs chosen[] = { { .cs_id = 1, .prot_type = MKT_PROT_SRTP },
                                            { .cs_id = 2, .prot_type = MKT_PROT_SRTP } };
    struct mkt_cs cs[4];
    (void)state;
    offer(&c.cs, 1, three, 1);
    assert_int_equal(answer(&(struct mkt_choice){ .cs = chosen, .n_cs = 2 }), MKT_OK);
    assert_int_equal(sessions_of(&c.init, cs, COUNT(cs)), 1);
    assert_int_equal(sessions_of(&c.resp[0], cs, COUNT(cs)), 2); /* RFC6043:4.2.2.3-6 */
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    assert_int_equal(mkt_csb_count(c.at_alice[0]), 2);
}

/* --- what is refused ---------------------------------------------------------------------------
 */

static void
an_offer_with_no_policy_we_support_is_refused_before_the_kms_is_asked(void **state)
{
    struct mkt_choose_cs chosen[4];
    struct mkt_err err = { 0 };
    size_t n = 0;
    (void)state;
    c.cs.policies[0] = 2;
    offer(&c.cs, 1, three, 3);
    const struct mkt_msg *seen = mkt_responder_offer_unverified(c.responder[0]);
    assert_int_equal(mkt_choice_default(seen, three, 2, chosen, COUNT(chosen), &n, &err),
                     MKT_E_SP_PARAM); /* RFC6043:4.2.2.2-1 RFC6043:4.2.2.2-2 */
    assert_int_equal(c.resolve[0].n, 0);
}

static void
a_policy_without_an_sp_of_its_protocol_is_refused(void **state)
{
    static const struct mkt_pl_sp elsewhere = { 0, 5, { cm, sizeof cm } };
    (void)state;
    c.offer.sp = &elsewhere;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_E_SP); /* RFC6043:6.1.1-6 */
}

/* An answer whose one session is written anew, with a MAC that verifies. */
static enum mkt_rc
answer_with_session(const struct mkt_cs *cs)
{
    struct message out;
    struct mkt_msg m;
    struct mkt_err err = { 0 };
    uint8_t block[64];
    struct protection p;
    struct mkt_writer w = mkt_w_open(out.b, sizeof out.b), b = mkt_w_open(block, sizeof block);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(c.resp[0].b, c.resp[0].n), &err), MKT_OK);
    mkt_cs_write(&b, cs);
    m.hdr.map = mkt_span(block, b.len);
    mkt_hdr_write(&w, &m.hdr);
    for (size_t i = 0; i < m.n; i++)
        mkt_pl_write(&w, &m.pl[i]);
    assert_false(w.overflow);
    out.n = w.len;
    c.resp[0] = out;
    assert_true(protection_of(&p, &c, TRANSFER_RESP));
    assert_true(seal(&c.resp[0], &p, &c));
    return call_answered(&c, 0);
}

static void
an_answer_leaves_no_session_undefined(void **state)
{
    static const uint8_t numbers[] = { 0, 1, 9 }, nobody[] = { 1, 2, 3, 4 };
    struct mkt_cs good;
    (void)state;
    assert_int_equal(call_up_to(&c, TRANSFER_RESP), MKT_OK);
    struct message whole = c.resp[0];
    assert_int_equal(sessions_of(&whole, &good, 1), 1);
    static const struct {
        const char *what;
        size_t from, n; /* of numbers */
        bool no_ssrc, no_spi, strange_spi;
        enum mkt_rc rc;
    } rows[] = {
        { "as it was", 0, 1, false, false, false, MKT_OK },
        { "no policy", 0, 0, false, false, false, MKT_E_SP },             /* RFC6043:6.1.1-2 */
        { "two policies", 0, 2, false, false, false, MKT_E_SP },          /* RFC6043:4.2.2.3-3 */
        { "a policy nobody sent", 2, 1, false, false, false, MKT_E_SP },  /* RFC6043:6.1.1-3 */
        { "no session data", 0, 1, true, false, false, MKT_E_FIELD },     /* RFC6043:6.1.1-7 */
        { "no SPI", 0, 1, false, true, false, MKT_E_KEY_DATA },           /* RFC6043:6.1.1-9 */
        { "a key nobody has", 0, 1, false, false, true, MKT_E_KEY_DATA }, /* RFC6043:6.1.1-10 */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mkt_cs cs = good;
        cs.policies = mkt_span(numbers + rows[i].from, rows[i].n);
        cs.has_ssrc = !rows[i].no_ssrc;
        cs.session_data = rows[i].no_ssrc ? mkt_span(NULL, 0) : good.session_data;
        if (rows[i].no_spi)
            cs.spi = mkt_span(NULL, 0);
        if (rows[i].strange_spi)
            cs.spi = mkt_span(nobody, sizeof nobody);
        c.resp[0] = whole;
        enum mkt_rc rc = answer_with_session(&cs); /* RFC6043:4.2.2.3-4 */
        if (rc != rows[i].rc)
            fail_msg("%s: %s", rows[i].what, mkt_rc_name(rc));
        mkt_csb_free(c.at_alice[0]);
        c.at_alice[0] = NULL;
    }
}

/* What a Responder brings in is held against what the Initiator supports. */
static void
a_policy_of_the_responder_must_be_one_we_support(void **state)
{
    static const struct mkt_offer_cs open = { .cs_id = 1, .prot_type = MKT_PROT_SRTP };
    const struct mkt_choose_cs chosen = { .cs_id = 1, .prot_type = MKT_PROT_SRTP, .policy_no = 2 };
    struct mkt_err err = { 0 };
    (void)state;
    offer(&open, 1, NULL, 0);
    assert_int_equal(
        answer(&(struct mkt_choice){ .cs = &chosen, .n_cs = 1, .sp = &three[2], .n_sp = 1 }),
        MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    assert_int_equal(mkt_csb_check_policies(c.at_alice[0], three, 3, &err), MKT_OK);
    assert_int_equal(mkt_csb_check_policies(c.at_alice[0], three, 2, &err),
                     MKT_E_SP_PARAM); /* RFC6043:4.2.2.4-1 */
    /* discarded; another offer says what is supported: RFC6043:4.2.2.4-2 */
    mkt_csb_free(c.at_alice[0]);
    mkt_csb_free(c.at_bob[0]);
    c.at_alice[0] = c.at_bob[0] = NULL;
    mkt_grant_free(c.grant);
    c.grant = NULL;
    offer(&c.cs, 1, three, 2);
    assert_int_equal(answer(&(struct mkt_choice){ 0 }), MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_csb_check_policies(c.at_alice[0], three, 2, &err),
                     MKT_OK); /* RFC6043:4.2.2.4-2 */
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_a_call, close_the_call)
    const struct CMUnitTest tests[] = {
        TEST(several_policies_are_offered_and_one_of_them_is_chosen),
        TEST(a_session_without_a_policy_gets_one_in_the_answer),
        TEST(a_responder_may_change_the_policies_the_ssrc_and_the_spi),
        TEST(what_the_initiator_gave_is_kept),
        TEST(a_responder_may_add_a_session),
        TEST(an_offer_with_no_policy_we_support_is_refused_before_the_kms_is_asked),
        TEST(a_policy_without_an_sp_of_its_protocol_is_refused),
        TEST(an_answer_leaves_no_session_undefined),
        TEST(a_policy_of_the_responder_must_be_one_we_support),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
