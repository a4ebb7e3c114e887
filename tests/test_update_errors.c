/* SPDX-License-Identifier: Apache-2.0 */
/* Refusing a CSB update (RFC 6043 5.2, 5.4): the Error message is under the keys of the message it
 * is about, it is a hint to who gets it, and what was refused leaves nothing behind. */
#include "update_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LM (MKT_TP_L | MKT_TP_M)

/* RFC6043:5.4: under the keys of the message it is about, with the policies that are supported. */
static void
a_refused_update_is_answered_under_its_keys_and_leaves_nothing(void **state)
{
    (void)state;
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        struct update_case t;
        update_case_begin(&t, LM, 0, 0x11);
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
        const struct mkt_csb *refuser = end_of(&t.c, by_alice == 0);
        assert_int_equal(refuser->keys.n, refuser->n_settled); /* the new key is gone */
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
        struct update_case t;
        update_case_begin(&t, LM, 0, 0x11);
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
    struct update_case t;
    update_case_begin(&t, LM, 0, 0);
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
    struct update_case t;
    update_case_begin(&t, MKT_TP_L, 0, 0x11);
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
    struct update_case t;
    update_case_begin(&t, LM, 0, 0);
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
    struct update_case t;
    update_case_begin(&t, LM, 0, 0x11);
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
