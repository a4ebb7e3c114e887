/* SPDX-License-Identifier: Apache-2.0 */
/* CSB updates whose sessions make no sense, and how an update is refused (RFC 6043 5.2, 5.4). */
#include "update_case.h"

/* --- crypto sessions that make no sense ----------------------------------------------------------
 */

static void
an_update_that_names_no_known_policy_or_key_is_not_sent(void **state)
{
    (void)state;
    struct case_ t;
    begin(&t, MKT_TP_L, 0, 0);
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
    struct case_ t;
    for (unsigned i = 0; i < 3; i++) {
        begin(&t, LM, 0, 0x11);
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

/* RFC6043:5.2-9 and 4.2.2.3: an answer may add sessions but not lose one. */
static void
an_answer_that_loses_a_session_is_refused(void **state)
{
    (void)state;
    struct case_ t;
    begin(&t, LM, 0, 0);
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

/* --- refusing ------------------------------------------------------------------------------------
 */

/* RFC6043:5.4: under the keys of the message it is about, with the policies that are supported. */
static void
a_refused_update_is_answered_under_its_keys_and_leaves_nothing(void **state)
{
    (void)state;
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        struct case_ t;
        begin(&t, LM, 0, 0x11);
        assert_int_equal(change_send(&t.c, &t.u, by_alice != 0), MKT_OK);
        assert_int_equal(change_offered(&t.c, &t.u, by_alice != 0), MKT_OK);
        assert_int_equal(change_refuse(&t.c, &t.u, by_alice != 0, MKT_E_SP), MKT_OK);
        assert_int_equal(change_answered(&t.c, &t.u, by_alice != 0), MKT_E_PEER_ERROR);
        assert_int_equal(t.c.io.peer_error, MKT_ERR_INVALID_SP);
        assert_true(t.c.io.peer_error_authentic);
        struct mkt_msg m;
        struct mkt_err err = { 0 };
        assert_int_equal(mkt_msg_parse(&m, mkt_span(t.u.resp.b, t.u.resp.n), &err), MKT_OK);
        assert_non_null(mkt_msg_find(&m, MKT_PL_SP, 0));
        assert_int_equal(m.hdr.csb_id, mkt_csb_id(t.c.at_alice[0]));
        assert_int_equal(m.hdr.v, 0);
        assert_int_equal(change_accept(&t.c, &t.u, by_alice != 0), MKT_E_STATE);
        /* the same key under the same SPI, once more */
        struct change again;
        change_init(&again, &t.c, 3, 0x11);
        assert_int_equal(change_whole(&t.c, &again, by_alice != 0), MKT_OK);
        assert_true(call_agrees(&t.c, 0));
        call_close(&t.c);
    }
}

static void
drop_mac(struct message *m)
{
    assert_int_equal(without(m, MKT_PL_V, 0), 1);
}

static void
an_error_message_is_a_hint_and_the_answer_still_counts(void **state)
{
    (void)state;
    for (unsigned forged = 0; forged < 2; forged++) {
        struct case_ t;
        begin(&t, LM, 0, 0x11);
        assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
        assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
        struct message valid = t.u.init;
        assert_int_equal(change_accept(&t.c, &t.u, true), MKT_OK);
        struct message answer = t.u.resp;
        t.c.at_bob[0]->update_state = MKT_UPDATE_RECEIVED; /* Bob says both */
        assert_int_equal(change_refuse(&t.c, &t.u, true, MKT_E_SP), MKT_OK);
        if (forged == 0)
            drop_mac(&t.u.resp);
        else
            t.u.resp.b[t.u.resp.n - 1] ^= 1;
        assert_int_equal(change_answered(&t.c, &t.u, true), MKT_E_PEER_ERROR);
        assert_false(t.c.io.peer_error_authentic);
        struct mkt_secret d = csb_digest(&t.c, t.c.at_alice[0]);
        assert_int_equal(valid.n, t.u.init.n);
        assert_int_equal(d.n, t.alice.n);
        t.u.resp = answer;
        assert_int_equal(change_answered(&t.c, &t.u, true), MKT_OK);
        assert_true(call_agrees(&t.c, 0));
        call_close(&t.c);
    }
}

static void
an_error_about_another_bundle_is_no_answer(void **state)
{
    (void)state;
    struct case_ t;
    begin(&t, LM, 0, 0);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_refuse(&t.c, &t.u, true, MKT_E_SP), MKT_OK);
    t.u.resp.b[7] ^= 1; /* CSB ID */
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_E_FIELD);
    call_close(&t.c);
}

static void
what_verified_can_be_refused_and_what_did_not_cannot(void **state)
{
    (void)state;
    struct case_ t;
    begin(&t, MKT_TP_L, 0, 0x11);
    assert_int_equal(change_send(&t.c, &t.u, true), MKT_OK);
    struct message valid = t.u.init;
    t.u.init.b[t.u.init.n - 1] ^= 1;
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_AUTH);
    assert_false(t.c.io.authentic);
    assert_int_equal(change_refuse(&t.c, &t.u, true, MKT_E_AUTH), MKT_E_STATE);
    t.u.init = valid;
    t.c.at_bob[0]->policy.flags &= (uint16_t)~MKT_TP_L;
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_E_KEY_DATA);
    assert_int_equal(change_accept(&t.c, &t.u, true), MKT_E_STATE);
    assert_int_equal(change_refuse(&t.c, &t.u, true, MKT_E_KEY_DATA), MKT_OK);
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_E_PEER_ERROR);
    assert_true(t.c.io.peer_error_authentic);
    assert_int_equal(change_refuse(&t.c, &t.u, true, MKT_E_KEY_DATA), MKT_E_STATE); /* once */
    call_close(&t.c);
}

static void
steps_out_of_order_are_refused(void **state)
{
    (void)state;
    struct case_ t;
    begin(&t, LM, 0, 0);
    t.u.resp = t.c.resp[0];
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_E_STATE);
    assert_int_equal(change_accept(&t.c, &t.u, true), MKT_E_STATE);
    assert_int_equal(change_refuse(&t.c, &t.u, true, MKT_E_SP), MKT_E_STATE);
    assert_int_equal(change_whole(&t.c, &t.u, true), MKT_OK);
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_E_STATE); /* a second time */
    call_close(&t.c);
}

static void
a_buffer_too_small_changes_nothing(void **state)
{
    (void)state;
    struct case_ t;
    begin(&t, LM, 0, 0x11);
    for (t.c.cap = 0; change_send(&t.c, &t.u, true) != MKT_OK; t.c.cap++) {
        assert_int_equal(t.c.io.err.rc, MKT_E_NO_SPACE);
        assert_nothing_changed(&t);
        assert_true(t.c.cap < 1000);
    }
    assert_int_equal(change_offered(&t.c, &t.u, true), MKT_OK);
    for (t.c.cap = 0; change_accept(&t.c, &t.u, true) != MKT_OK; t.c.cap++) {
        assert_int_equal(t.c.io.err.rc, MKT_E_NO_SPACE);
        assert_true(t.c.cap < 1000);
    }
    assert_int_equal(change_answered(&t.c, &t.u, true), MKT_OK);
    assert_true(call_agrees(&t.c, 0));
    call_close(&t.c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_update_that_names_no_known_policy_or_key_is_not_sent),
        cmocka_unit_test(an_update_without_answer_must_be_complete),
        cmocka_unit_test(an_answer_that_loses_a_session_is_refused),
        cmocka_unit_test(a_refused_update_is_answered_under_its_keys_and_leaves_nothing),
        cmocka_unit_test(an_error_message_is_a_hint_and_the_answer_still_counts),
        cmocka_unit_test(an_error_about_another_bundle_is_no_answer),
        cmocka_unit_test(what_verified_can_be_refused_and_what_did_not_cannot),
        cmocka_unit_test(steps_out_of_order_are_refused),
        cmocka_unit_test(a_buffer_too_small_changes_nothing),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
