/* SPDX-License-Identifier: Apache-2.0 */
/* CSB updates that must not work (RFC 6043 5.2): each is refused by name and changes nothing, and
 * the valid message works after it. */
#include "update_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LM (MKT_TP_L | MKT_TP_M)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* --- copies of messages --------------------------------------------------------------------------
 */

static void
our_own_update_sent_back_is_refused(void **state)
{
    (void)state;
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        struct update_case t;
        update_case_begin(&t, LM, 0, 0);
        assert_int_equal(change_send(&t.c, &t.u, by_alice != 0), MKT_OK);
        assert_int_equal(change_offered(&t.c, &t.u, by_alice == 0), MKT_E_REPLAY);
        assert_nothing_changed(&t);
        /* and it is still open */
        assert_int_equal(change_offered(&t.c, &t.u, by_alice != 0), MKT_OK);
        assert_int_equal(change_accept(&t.c, &t.u, by_alice != 0), MKT_OK);
        assert_int_equal(change_answered(&t.c, &t.u, by_alice != 0), MKT_OK);
        call_close(&t.c);
    }
}

static void
our_own_answer_sent_back_is_refused(void **state)
{
    (void)state;
    struct update_case t;
    struct change mine;
    update_case_begin(&t, LM, 0, 0);
    assert_int_equal(change_whole(&t.c, &t.u, true), MKT_OK);
    change_init(&mine, &t.c, 4, 0);
    assert_int_equal(change_send(&t.c, &mine, false), MKT_OK);
    mine.resp = t.u.resp; /* Bob's answer, to Bob's update */
    assert_int_equal(change_answered(&t.c, &mine, false), MKT_E_AUTH);
    call_close(&t.c);
}

static void
an_update_works_once(void **state)
{
    (void)state;
    for (unsigned answer = 0; answer < 2; answer++) {
        struct update_case t;
        update_case_begin(&t, LM, 0, 0x11);
        t.u.update.answer = answer != 0;
        assert_int_equal(change_whole(&t.c, &t.u, true), MKT_OK);
        t.bob = csb_digest(&t.c, t.c.at_bob[0]);
        t.alice = csb_digest(&t.c, t.c.at_alice[0]);
        assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_REPLAY); /* RFC6043:5.2-1 */
        assert_nothing_changed(&t);
        call_close(&t.c);
    }
}

static void
a_refused_update_is_not_accepted_the_second_time(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, MKT_TP_L, 0, 0x11);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    t.c.at_bob[0]->policy.flags &= (uint16_t)~MKT_TP_L; /* Bob is of another opinion for a while */
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_KEY_DATA);
    t.c.at_bob[0]->policy.flags |= MKT_TP_L;
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_REPLAY);
    assert_int_equal(change_accept(&t.c, &t.u, true), MKT_E_STATE);
    assert_int_equal(csb_digest(&t.c, t.c.at_bob[0]).n, t.bob.n);
    call_close(&t.c);
}

static void
the_transfer_init_of_the_call_is_no_update(void **state)
{
    (void)state;
    const uint16_t off = MKT_TP_F | MKT_TP_G | MKT_TP_I;
    for (unsigned answered = 0; answered < 2; answered++) {
        struct update_case t;
        update_case_begin(&t, MKT_TP_L, answered != 0 ? 0 : off, 0);
        t.u.init = t.c.init;
        /* without an answer its keys are those of updates: only T tells */
        assert_int_equal(change_offered(&t.c, &t.u, true),
                         answered != 0 ? MKT_E_AUTH : MKT_E_REPLAY);
        assert_nothing_changed(&t);
        call_close(&t.c);
    }
}

/* --- time ----------------------------------------------------------------------------------------
 */

static void
an_update_far_from_the_clock_is_refused(void **state)
{
    (void)state;
    for (int ahead = 0; ahead < 2; ahead++) {
        struct update_case t;
        update_case_begin(&t, LM, 0, 0);
        uint64_t now = t.c.env.now;
        t.c.env.now = ahead != 0 ? now + (3600ULL << 32) : now;
        assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
        t.c.env.now = ahead != 0 ? now : now + (3600ULL << 32);
        assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_STALE);
        assert_nothing_changed(&t);
        t.c.env.now = ahead != 0 ? now + (3600ULL << 32) : now; /* at its time it is good */
        assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
        call_close(&t.c);
    }
}

static void
other_ts_type(struct mkt_msg *m, const void *arg)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == MKT_PL_T)
            m->pl[i].u.t.ts_type = MKT_TS_NTP;
    (void)arg;
}

static void
an_update_with_another_type_of_timestamp_is_refused(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, LM, 0, 0);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    struct message valid = t.u.init;
    forge(&t.c, t.c.at_alice[0], &t.u.init, other_ts_type, NULL, NULL);
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_TS_TYPE);
    t.u.init = valid;
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_accept(&t.c, &t.u, true), MKT_OK);
    forge(&t.c, t.c.at_bob[0], &t.u.resp, other_ts_type, NULL, &valid);
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_E_TS_TYPE);
    assert_true(t.c.at_alice[0]->n == 1);
    call_close(&t.c);
}

/* --- static payloads -----------------------------------------------------------------------------
 */

static struct mkt_payload
randr(uint8_t role, struct mkt_span rand)
{
    return (struct mkt_payload){ .type = MKT_PL_RANDR, .u.randr = { role, rand } };
}

/* Puts a payload in front of V. */
static void
insert(struct mkt_msg *m, const void *arg)
{
    m->pl[m->n] = m->pl[m->n - 1];
    m->pl[m->n - 1] = *(const struct mkt_payload *)arg;
    m->n++;
}

static enum mkt_rc
with_payload(struct update_case *t, const struct mkt_payload *pl)
{
    struct message valid = t->u.init;
    forge(&t->c, t->c.at_alice[0], &t->u.init, insert, pl, NULL);
    assert_true(t->u.init.n > valid.n);
    enum mkt_rc rc = change_offered(&t->c, &t->u, true);
    t->u.init = valid;
    return rc;
}

static void
new_rands_and_tickets_are_refused_and_the_old_ones_are_not(void **state)
{
    (void)state;
    static const uint8_t other[16] = { 1, 2, 3 };
    struct mkt_msg init;
    struct mkt_err err = { 0 };
    for (unsigned i = 0; i < 12; i++) {
        struct update_case t;
        update_case_begin(&t, LM, 0, 0);
        const struct mkt_csb *a = t.c.at_alice[0];
        assert_int_equal(mkt_msg_parse(&init, mkt_octets_span(&a->init), &err), MKT_OK);
        struct mkt_payload ticket = *mkt_msg_find(&init, MKT_PL_TICKET, 0);
        struct mkt_payload changed = ticket, unforked = ticket;
        uint8_t data[2048];
        memcpy(data, ticket.u.ticket.ticket_data.p, ticket.u.ticket.ticket_data.n);
        data[20] ^= 1;
        changed.u.ticket.ticket_data.p = data;
        unforked.u.ticket.initiator_data.n -= 1;
        const struct mkt_identity bob = t.c.bob[1];
        struct mkt_payload idr = { .type = MKT_PL_IDR, .u.idr = { MKT_IDR_R, bob.type, bob.data } };
        struct mkt_payload idr_type = { .type = MKT_PL_IDR,
                                        .u.idr = { MKT_IDR_I, MKT_ID_NAI, t.c.alice.data } };
        const struct {
            struct mkt_payload pl;
            enum mkt_rc want;
        } cases[] = {
            { randr(MKT_RANDR_I, mkt_span(other, 16)), MKT_E_FIELD },
            { randr(MKT_RANDR_R, mkt_span(other, 16)), MKT_E_FIELD },
            { randr(MKT_RANDR_KMS, mkt_span(other, 16)), MKT_E_FIELD },
            { randr(MKT_RANDR_I, mkt_span(a->rand_i.p, 15)), MKT_E_FIELD },
            { changed, MKT_E_FIELD },
            { unforked, MKT_E_FIELD },
            { idr, MKT_E_FIELD },
            { idr_type, MKT_E_FIELD },
            { randr(MKT_RANDR_I, mkt_octets_span(&a->rand_i)), MKT_OK },
            { randr(MKT_RANDR_R, mkt_octets_span(&a->rand_r)), MKT_OK },
            { randr(MKT_RANDR_KMS, mkt_octets_span(&a->rand_kms)), MKT_OK },
            { ticket, MKT_OK },
        };
        assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
        enum mkt_rc rc = with_payload(&t, &cases[i].pl);
        if (cases[i].want == MKT_OK) {
            assert_int_equal(rc, MKT_OK);
        } else {
            assert_true(rc != MKT_OK);
            if (i != 5) /* a cut ticket does not even parse */
                assert_int_equal(rc, cases[i].want);
            assert_nothing_changed(&t); /* RFC6043:5.2-4 RFC6043:5.2-5 */
            assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
        }
        call_close(&t.c);
    }
}

/* --- whose update, whose keys --------------------------------------------------------------------
 */

static void
other_csb_id(struct mkt_msg *m, const void *arg)
{
    m->hdr.csb_id ^= 1;
    (void)arg;
}

static void
an_update_of_another_csb_is_refused(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, LM, 0, 0);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    forge(&t.c, t.c.at_alice[0], &t.u.init, other_csb_id, NULL, NULL);
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_FIELD); /* RFC6043:5.2-1 */
    assert_nothing_changed(&t);
    call_close(&t.c);
}

/* Each responder of a forked call has keys of its own. */
static void
an_update_for_one_fork_is_refused_by_the_other(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, LM, 0, 0x11);
    assert_int_equal(call_offered(&t.c, 1), MKT_OK);
    assert_int_equal(call_accept(&t.c, 1), MKT_OK);
    assert_int_equal(call_resolve(&t.c, 1), MKT_OK);
    assert_int_equal(call_resolved(&t.c, 1), MKT_OK);
    assert_int_equal(call_answered(&t.c, 1), MKT_OK);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    struct mkt_io io = { .in = mkt_span(t.u.init.b, t.u.init.n) };
    assert_int_equal(mkt_csb_update_offered(t.c.at_bob[1], &t.c.env, SKEW_S, &io), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_AUTH); /* RFC6043:5.2-6 */
    assert_false(io.authentic);
    call_close(&t.c);
}

static void
every_changed_octet_of_update_and_answer_is_noticed(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, LM, 0, 0x11);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    for (size_t i = 0; i < t.u.init.n; i++) {
        t.u.init.b[i] ^= 0x40;
        assert_true(change_offered(&t.c, &t.u, true) != MKT_OK);
        t.u.init.b[i] ^= 0x40;
    }
    assert_nothing_changed(&t);
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_accept(&t.c, &t.u, true), MKT_OK);
    for (size_t i = 0; i < t.u.resp.n; i++) {
        t.u.resp.b[i] ^= 0x40;
        assert_true(change_answered(&t.c, &t.u, true) != MKT_OK);
        t.u.resp.b[i] ^= 0x40;
    }
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_OK);
    assert_true(call_agrees(&t.c, 0));
    call_close(&t.c);
}

static void
an_answer_to_another_update_is_refused(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, LM, 0, 0);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_accept(&t.c, &t.u, true), MKT_OK);
    struct change next;
    change_init(&next, &t.c, 3, 0);
    assert_int_equal(change_send(&t.c, &next, true), MKT_OK);
    next.resp = t.u.resp;
    assert_int_equal(change_answered(&t.c, &next, true), MKT_E_AUTH);
    call_close(&t.c);
}

/* L is the Initiator's, M the Responder's, whoever starts. */
static void
keys_without_l_or_m_are_not_sent(void **state)
{
    (void)state;
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        struct update_case t;
        update_case_begin(&t, by_alice != 0 ? MKT_TP_M : MKT_TP_L,
                          by_alice != 0 ? MKT_TP_L : MKT_TP_M, 0x11);
        /* RFC6043:5.2-8 */
        assert_int_equal(change_send(&t.c, &t.u, by_alice != 0), MKT_E_KEY_DATA);
        assert_int_equal(t.u.init.n, 0);
        assert_nothing_changed(&t);
        /* nor in an answer */
        change_init(&t.u, &t.c, 3, 0);
        key_add(&t.u.answer_keys, MKT_KEY_TGK, 16, 0, 0x12);
        t.u.choice.keys = &t.u.answer_keys;
        assert_int_equal(change_send(&t.c, &t.u, by_alice == 0), MKT_OK);
        assert_int_equal(change_offered(&t.c, &t.u, by_alice == 0), MKT_OK);
        assert_int_equal(change_accept(&t.c, &t.u, by_alice == 0), MKT_E_KEY_DATA);
        assert_nothing_changed(&t);
        call_close(&t.c);
    }
}

static void
keys_without_l_or_m_are_not_taken(void **state)
{
    (void)state;
    for (unsigned in_answer = 0; in_answer < 2; in_answer++) {
        struct update_case t;
        update_case_begin(&t, LM, 0, 0x11);
        struct mkt_csb *taker = end_of(&t.c, in_answer != 0);
        if (in_answer != 0) {
            change_init(&t.u, &t.c, 3, 0);
            key_add(&t.u.answer_keys, MKT_KEY_TGK, 16, 0, 0x12);
            t.u.choice.keys = &t.u.answer_keys;
        }
        assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
        taker->policy.flags &= (uint16_t)~LM; /* as the ticket in truth says */
        if (in_answer == 0) {
            assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_KEY_DATA); /* RFC6043:5.2-8 */
            assert_true(t.c.io.authentic);
        } else {
            assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
            assert_int_equal(change_accept(&t.c, &t.u, true), MKT_OK);
            assert_int_equal(change_answered(&t.c, &t.u, true), MKT_E_KEY_DATA);
        }
        struct mkt_secret d = csb_digest(&t.c, taker);
        assert_true(
            mkt_ct_equal(mkt_secret_span(&d), mkt_secret_span(in_answer != 0 ? &t.alice : &t.bob)));
        call_close(&t.c);
    }
}

static void
unfit_keys_are_not_sent(void **state)
{
    (void)state;
    static const struct {
        uint8_t type, len, salt, kv;
        enum mkt_rc want;
    } cases[] = {
        { MKT_KEY_MPK, 16, 0, MKT_KV_SPI, MKT_E_KEY_DATA },
        { MKT_KEY_TGK, 15, 0, MKT_KV_SPI, MKT_E_WEAK_KEY },
        { MKT_KEY_TGK, 32, 0, MKT_KV_SPI, MKT_E_SUITE_MIX }, /* RFC6043:12.1 */
        { MKT_KEY_TGK, 16, 14, MKT_KV_SPI, MKT_E_KEY_DATA },
        { MKT_KEY_TEK_SALT, 16, 0, MKT_KV_SPI, MKT_E_KEY_DATA },
        { MKT_KEY_TGK, 16, 0, MKT_KV_NULL, MKT_E_KEY_DATA },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct update_case t;
        update_case_begin(&t, LM, 0, 0x11);
        t.u.keys.n = 0;
        key_add(&t.u.keys, cases[i].type, cases[i].len, cases[i].salt, 0x11);
        t.u.keys.k[0].kv = cases[i].kv;
        assert_int_equal(change_send(&t.c, &t.u, true), cases[i].want);
        assert_nothing_changed(&t);
        call_close(&t.c);
    }
}

static void
a_key_under_an_spi_that_is_taken_is_refused(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, LM, 0, 0x11);
    assert_int_equal(change_whole(&t.c, &t.u, true), MKT_OK);
    t.alice = csb_digest(&t.c, t.c.at_alice[0]);
    t.bob = csb_digest(&t.c, t.c.at_bob[0]);
    change_init(&t.u, &t.c, 3, 0x11);
    assert_int_equal(change_send(&t.c, &t.u, false), MKT_E_KEY_DATA);
    assert_nothing_changed(&t);
    call_close(&t.c);
}

/* --- crypto sessions that make no sense ----------------------------------------------------------
 */

static void
an_update_that_names_no_known_policy_or_key_is_not_sent(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, MKT_TP_L, 0, 0);
    t.u.cs[1].policies[0] = 9;
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_E_SP);
    t.u.cs[1].policies[0] = 0;
    t.u.cs[1].spi = mkt_span("none", 4); /* and Bob may not supply it: M = 0 */
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_E_KEY_DATA);
    assert_nothing_changed(&t);
    call_close(&t.c);
}

/* V = 0: the map is complete, for nobody fills it in (ambiguity 53). */
static void
an_update_without_answer_must_be_complete(void **state)
{
    (void)state;
    struct update_case t;
    for (unsigned i = 0; i < 3; i++) {
        update_case_begin(&t, LM, 0, 0x11);
        t.u.update.answer = false;
        if (i == 0)
            t.u.cs[1].has_ssrc = false;
        else if (i == 1)
            t.u.cs[1].spi.n = 0;
        else
            t.u.cs[1].n_policies = 0;
        assert_true(change_send(&t.c, &t.u, true) != MKT_OK);
        assert_int_equal(t.u.init.n, 0);
        assert_nothing_changed(&t);
        call_close(&t.c);
    }
}

static void
drop_a_session(struct mkt_msg *m, const void *arg)
{
    m->hdr.n_cs = 1;
    m->hdr.map.n = (size_t)(*(const size_t *)arg);
}

/* 4.2.2.3: an answer may add sessions but not lose one. */
static void
an_answer_that_loses_a_session_is_refused(void **state)
{
    (void)state;
    struct update_case t;
    update_case_begin(&t, LM, 0, 0);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_accept(&t.c, &t.u, true), MKT_OK);
    struct message valid = t.u.resp;
    struct mkt_msg m;
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&m, mkt_span(valid.b, valid.n), &err), MKT_OK);
    size_t half = m.hdr.map.n / 2;
    forge(&t.c, t.c.at_bob[0], &t.u.resp, drop_a_session, &half, &t.u.init);
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_E_FIELD); /* RFC6043:5.2-9 */
    struct mkt_secret d = csb_digest(&t.c, t.c.at_alice[0]);
    assert_true(mkt_ct_equal(mkt_secret_span(&d), mkt_secret_span(&t.alice)));
    t.u.resp = valid;
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_OK);
    assert_true(call_agrees(&t.c, 0));
    call_close(&t.c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_own_update_sent_back_is_refused),
        cmocka_unit_test(our_own_answer_sent_back_is_refused),
        cmocka_unit_test(an_update_works_once),
        cmocka_unit_test(a_refused_update_is_not_accepted_the_second_time),
        cmocka_unit_test(the_transfer_init_of_the_call_is_no_update),
        cmocka_unit_test(an_update_far_from_the_clock_is_refused),
        cmocka_unit_test(an_update_with_another_type_of_timestamp_is_refused),
        cmocka_unit_test(new_rands_and_tickets_are_refused_and_the_old_ones_are_not),
        cmocka_unit_test(an_update_of_another_csb_is_refused),
        cmocka_unit_test(an_update_for_one_fork_is_refused_by_the_other),
        cmocka_unit_test(every_changed_octet_of_update_and_answer_is_noticed),
        cmocka_unit_test(an_answer_to_another_update_is_refused),
        cmocka_unit_test(keys_without_l_or_m_are_not_sent),
        cmocka_unit_test(keys_without_l_or_m_are_not_taken),
        cmocka_unit_test(unfit_keys_are_not_sent),
        cmocka_unit_test(a_key_under_an_spi_that_is_taken_is_refused),
        cmocka_unit_test(an_update_that_names_no_known_policy_or_key_is_not_sent),
        cmocka_unit_test(an_update_without_answer_must_be_complete),
        cmocka_unit_test(an_answer_that_loses_a_session_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
