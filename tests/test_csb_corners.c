/* SPDX-License-Identifier: Apache-2.0 */
/* What a choice may say besides SRTP, session keys that cannot be derived, files that say a thing
 * twice, and Error messages that are not authentic. */
#include "corners.h"

#include "role/role.h"

/* --- choices -----------------------------------------------------------------------------------
 */

static const struct mkt_payload *
ext_of(const struct message *m)
{
    return mkt_msg_find(parsed(m), MKT_PL_GENERAL_EXT, 0);
}

/* RFC 4567 7.1 */
static void
an_answer_may_carry_sdp_ids(void **state)
{
    (void)state;
    whole_call();
    assert_null(ext_of(&c.resp[0]));
    c.choice.sdp_ids = mkt_span("7 8", 3);
    whole_call();
    const struct mkt_payload *ext = ext_of(&c.resp[0]);
    assert_non_null(ext);
    assert_int_equal(ext->u.ext.ext_type, MKT_EXT_SDP_IDS);
    assert_int_equal(ext->u.ext.data.n, 3);
    assert_memory_equal(ext->u.ext.data.p, "7 8", 3);
}

static void
another_protocol_has_session_data_of_its_own(void **state)
{
    static const uint8_t params[] = { 1, 1, 16 };
    const struct mkt_choose_cs mine = { .cs_id = 1,
                                        .prot_type = 200,
                                        .session_data = mkt_span("answered", 8) };
    struct mkt_map_iter it;
    struct mkt_cs cs;
    (void)state;
    c.sp = (struct mkt_pl_sp){ 0, 200, mkt_span(params, sizeof params) };
    c.cs.prot_type = 200;
    c.cs.session_data = mkt_span("offered", 7);
    whole_call();
    mkt_map_begin(&it, &parsed(&c.resp[0])->hdr);
    assert_true(mkt_map_next(&it, &cs));
    assert_int_equal(cs.session_data.n, 7); /* as offered */
    c.choice.cs = &mine;
    c.choice.n_cs = 1;
    whole_call();
    mkt_map_begin(&it, &parsed(&c.resp[0])->hdr);
    assert_true(mkt_map_next(&it, &cs));
    assert_int_equal(cs.session_data.n, 8);
    assert_memory_equal(cs.session_data.p, "answered", 8);
}

static void
a_choice_has_at_most_255_sessions(void **state)
{
    static struct mkt_choose_cs many[256];
    (void)state;
    until_offered();
    c.choice.cs = many;
    c.choice.n_cs = COUNT(many);
    assert_int_equal(call_accept(&c, 0), MKT_E_TOO_MANY);
    c.choice.n_cs = 0;
    assert_int_equal(call_accept(&c, 0), MKT_OK);
}

static void
the_default_choice_compares_protocol_and_parameters(void **state)
{
    static const uint8_t one[] = { 1, 1, 16 }, two[] = { 1, 1, 32 };
    const struct mkt_pl_sp supported[] = { { 5, 201, mkt_span(one, 3) },
                                           { 6, 200, mkt_span(two, 3) },
                                           { 7, 200, mkt_span(one, 3) } };
    struct mkt_choose_cs out[2];
    size_t n;
    (void)state;
    c.sp = (struct mkt_pl_sp){ 0, 200, mkt_span(one, sizeof one) };
    c.cs.prot_type = 200;
    until_offered();
    const struct mkt_msg *offer = mkt_responder_offer_unverified(c.responder[0]);
    assert_int_equal(mkt_choice_default(offer, supported, 3, out, 2, &n, &err), MKT_OK);
    assert_int_equal(n, 1);
    assert_int_equal(out[0].policy_no, 0);
    assert_int_equal(mkt_choice_default(offer, supported, 2, out, 2, &n, &err), MKT_E_SP_PARAM);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_choice_default(offer, supported, 3, out, 0, &n, &err), MKT_E_TOO_MANY);
    err = (struct mkt_err){ 0 };
    c.sp.params = mkt_span(NULL, 0); /* equal to nothing but none */
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    offer = mkt_responder_offer_unverified(c.responder[0]);
    assert_int_equal(mkt_choice_default(offer, supported, 3, out, 2, &n, &err), MKT_E_SP_PARAM);
    err = (struct mkt_err){ 0 };
    const struct mkt_pl_sp none = { 9, 200, { NULL, 0 } };
    assert_int_equal(mkt_choice_default(offer, &none, 1, out, 2, &n, &err), MKT_OK);
}

static void
a_session_without_a_policy_gets_ours_for_its_protocol(void **state)
{
    const struct mkt_pl_sp supported[] = { { 5, 201, { NULL, 0 } }, { 6, 200, { NULL, 0 } } };
    struct mkt_choose_cs out[2];
    size_t n;
    (void)state;
    c.cs.prot_type = 200;
    c.cs.n_policies = 0;
    until_offered();
    const struct mkt_msg *offer = mkt_responder_offer_unverified(c.responder[0]);
    assert_int_equal(mkt_choice_default(offer, supported, 2, out, 2, &n, &err), MKT_OK);
    assert_int_equal(out[0].policy_no, 6);
    assert_int_equal(mkt_choice_default(offer, supported, 1, out, 2, &n, &err), MKT_E_SP_PARAM);
    err = (struct mkt_err){ 0 };
    /* a Policy_no that no SP of the offer has: refused, and nothing is chosen for it */
    c.cs.n_policies = 1;
    c.cs.policies[0] = 77;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_E_SP);
    offer = parsed(&c.init);
    assert_int_equal(mkt_choice_default(offer, supported, 2, out, 2, &n, &err), MKT_E_SP_PARAM);
}

/* --- session keys ------------------------------------------------------------------------------
 */

static enum mkt_rc
derive_key(size_t index, enum mkt_session_key which, size_t len)
{
    struct mkt_secret key = { .n = 5 };
    err = (struct mkt_err){ 0 };
    enum mkt_rc rc = mkt_csb_derive_key(c.at_alice[0], c.crypto, index, which, len, &key, &err);
    assert_int_equal(key.n, rc == MKT_OK ? len : 0);
    return rc;
}

static enum mkt_rc
derive(size_t index)
{
    struct mkt_secret tek = { .n = 5 }, salt = { .n = 5 };
    err = (struct mkt_err){ 0 };
    enum mkt_rc rc = mkt_csb_derive(c.at_alice[0], c.crypto, index, &tek, &salt, &err);
    assert_int_equal(rc == MKT_OK, tek.n != 0);
    if (rc != MKT_OK)
        assert_int_equal(salt.n, 0);
    return rc;
}

static void
session_keys_have_a_length_and_a_session(void **state)
{
    (void)state;
    whole_call();
    assert_int_equal(derive_key(0, MKT_SESSION_TEK, 16), MKT_OK);
    assert_int_equal(derive_key(0, MKT_SESSION_SALT, MKT_SECRET_MAX), MKT_OK);
    assert_int_equal(derive_key(0, MKT_SESSION_TEK, 0), MKT_E_ARGUMENT);
    assert_int_equal(derive_key(0, MKT_SESSION_TEK, MKT_SECRET_MAX + 1), MKT_E_ARGUMENT);
    assert_int_equal(derive_key(1, MKT_SESSION_TEK, 16), MKT_E_ARGUMENT);
    assert_int_equal(derive_key(0, (enum mkt_session_key)(MKT_SESSION_SALT + 1), 16),
                     MKT_E_ARGUMENT);
    assert_int_equal(derive(0), MKT_OK);
    assert_int_equal(derive(1), MKT_E_ARGUMENT);
    struct mkt_session s;
    assert_int_equal(mkt_csb_session(c.at_alice[0], 0, &s), MKT_OK);
    assert_int_equal(mkt_csb_session(c.at_alice[0], 1, &s), MKT_E_ARGUMENT);
}

static void
a_policy_may_ask_for_no_salt_but_not_for_keys_longer_than_any(void **state)
{
    static const uint8_t long_key[] = { 1, 4, 0xFF, 0xFF, 0xFF, 0xFF }, no_salt[] = { 4, 1, 0 },
                         long_salt[] = { 4, 2, 1, 0 };
    struct mkt_secret tek, salt;
    (void)state;
    c.sp.params = mkt_span(long_key, sizeof long_key);
    assert_int_equal(call_whole(&c, 1), MKT_OK);
    assert_int_equal(derive(0), MKT_E_ARGUMENT);
    c.sp.params = mkt_span(long_salt, sizeof long_salt);
    assert_int_equal(call_whole(&c, 1), MKT_OK);
    assert_int_equal(derive(0), MKT_E_ARGUMENT);
    c.sp.params = mkt_span(no_salt, sizeof no_salt);
    assert_int_equal(call_whole(&c, 1), MKT_OK);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_csb_derive(c.at_alice[0], c.crypto, 0, &tek, &salt, &err), MKT_OK);
    assert_int_equal(tek.n, 16);
    assert_int_equal(salt.n, 0);
}

static void
a_tek_is_used_and_derives_nothing(void **state)
{
    static const uint8_t types[] = { MKT_KEY_TEK, MKT_KEY_TEK_SALT };
    (void)state;
    c.want.has_kemac = true;
    c.want.n_wanted = 1;
    for (size_t i = 0; i < COUNT(types); i++) {
        c.want.wanted[0] =
            (struct mkt_want_key){ .type = types[i], .key_len = 16, .salt_len = i == 0 ? 0 : 14 };
        whole_call();
        assert_int_equal(derive(0), MKT_OK);
        assert_int_equal(derive_key(0, MKT_SESSION_TEK, 16), MKT_E_KEY_DATA);
    }
}

static void
a_failing_libcrypto_gives_no_session_key(void **state)
{
    (void)state;
    whole_call();
    for (int both = 0; both < 2; both++) {
        long n = 0;
        for (enum mkt_rc rc = MKT_E_CRYPTO; rc != MKT_OK; n++) {
            crypto_left = n;
            rc = both ? derive(0) : derive_key(0, MKT_SESSION_AUTH, 20);
            crypto_left = -1;
            assert_true(rc == MKT_OK || rc == MKT_E_CRYPTO);
        }
        assert_true(n > 5);
    }
}

/* --- files -------------------------------------------------------------------------------------
 */

static enum mkt_rc
through_a_file(const struct mkt_csb *csb)
{
    static uint8_t file[16384];
    struct mkt_csb *back = NULL;
    size_t n;
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_csb_export(csb, file, sizeof file, &n), MKT_OK);
    enum mkt_rc rc = mkt_csb_import(&back, mkt_span(file, n), &err);
    assert_int_equal(rc == MKT_OK, back != NULL);
    mkt_csb_free(back);
    return rc;
}

static void
a_csb_file_has_each_session_and_each_policy_once(void **state)
{
    static const uint8_t params[] = { 1, 1, 16 };
    const struct mkt_offer_cs cs[] = {
        { .cs_id = 1, .prot_type = 200, .n_policies = 1 },
        { .cs_id = 2, .prot_type = 200, .n_policies = 1, .policies = { 1 } },
    };
    const struct mkt_pl_sp sp[] = { { 0, 200, mkt_span(params, 3) },
                                    { 1, 200, mkt_span(params, 3) } };
    (void)state;
    c.offer.cs = cs;
    c.offer.n_cs = 2;
    c.offer.sp = sp;
    c.offer.n_sp = 2;
    whole_call();
    struct mkt_csb *csb = c.at_alice[0];
    assert_int_equal(csb->n, 2);
    assert_int_equal(csb->n_sp, 2);
    assert_int_equal(through_a_file(csb), MKT_OK);
    csb->sps[1].policy_no = csb->sps[0].policy_no;
    assert_int_equal(through_a_file(csb), MKT_E_FIELD);
    csb->sps[1].prot_type = 201; /* a number may be used once for each protocol */
    assert_int_equal(through_a_file(csb), MKT_OK);
    csb->sessions[1].s.cs_id = csb->sessions[0].s.cs_id;
    assert_int_equal(through_a_file(csb), MKT_E_FIELD);
}

/* --- Error messages ----------------------------------------------------------------------------
 */

/* An Error message is authentic with a MAC of the suite, and not without one. */
static void
a_null_mac_makes_no_error_message_authentic(void **state)
{
    static struct message error;
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(c.request.b, c.request.n), &err), MKT_OK);
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_alice.base, c.alice, c.kms, &err),
                     MKT_OK);
    struct mkt_io io = { .out = error.b, .cap = sizeof error.b };
    assert_int_equal(mkt_kms_refuse(c.txn, &c.env, MKT_E_NOT_AUTHORISED, &io), MKT_NEXT_SEND_PEER);
    error.n = io.out_len;
    c.granted = error;
    assert_int_equal(call_granted(&c), MKT_E_PEER_ERROR);
    assert_true(c.io.peer_error_authentic); /* RFC6043:5.4-2 */
    struct mkt_msg *m = parsed(&error);
    m->pl[m->n - 1].u.v = (struct mkt_pl_v){ MKT_MAC_NULL, { NULL, 0 } };
    rewrite(&c.granted, m);
    assert_int_equal(call_granted(&c), MKT_E_PEER_ERROR);
    assert_false(c.io.peer_error_authentic);
    c.granted = error; /* and one about another exchange is not for us */
    c.granted.b[7] ^= 1;
    assert_int_not_equal(call_granted(&c), MKT_E_PEER_ERROR);
    /* a libcrypto that fails while the MAC is looked at */
    c.granted = error;
    for (long n = 0;; n++) {
        crypto_left = n;
        enum mkt_rc rc = call_granted(&c);
        bool reached = crypto_left < 0;
        crypto_left = -1;
        assert_true(rc == MKT_E_PEER_ERROR || rc == MKT_E_CRYPTO);
        if (!reached) {
            assert_true(c.io.peer_error_authentic);
            break;
        }
    }
}

static void
an_error_of_the_kms_is_not_made_with_half_a_mac(void **state)
{
    static struct message error;
    unsigned failed = 0;
    bool reached = true;
    (void)state;
    assert_int_equal(call_request(&c), MKT_OK);
    assert_int_equal(mkt_kms_begin(c.txn, mkt_span(c.request.b, c.request.n), &err), MKT_OK);
    assert_int_equal(mkt_kms_verify(c.txn, &c.env, &c.psk_alice.base, c.alice, c.kms, &err),
                     MKT_OK);
    for (long n = 0; reached; n++) {
        struct mkt_io io = { .out = error.b, .cap = sizeof error.b };
        crypto_left = n;
        enum mkt_next next = mkt_kms_refuse(c.txn, &c.env, MKT_E_NOT_AUTHORISED, &io);
        reached = crypto_left < 0;
        crypto_left = -1;
        assert_true(next == MKT_NEXT_SEND_PEER || io.err.rc == MKT_E_CRYPTO);
        assert_int_equal(next == MKT_NEXT_SEND_PEER, io.out_len != 0);
        failed += next == MKT_NEXT_ABORT;
    }
    assert_true(failed > 10);
}

/* The same for a Responder's Error message, which Alice reads with her MPKi. */
static void
a_transfer_error_is_looked_at_with_a_working_libcrypto_or_not_at_all(void **state)
{
    static struct message error;
    (void)state;
    until_offered();
    struct mkt_io io = { .out = error.b, .cap = sizeof error.b };
    assert_int_equal(mkt_responder_refuse(c.responder[0], &c.env, MKT_E_SP, &c.sp, 1, &io),
                     MKT_NEXT_SEND_PEER);
    error.n = io.out_len;
    c.resp[0] = error;
    unsigned failed = 0;
    bool reached = true;
    for (long n = 0; reached; n++) {
        crypto_left = n;
        enum mkt_rc rc = call_answered(&c, 0);
        reached = crypto_left < 0;
        crypto_left = -1;
        assert_true(rc == MKT_E_PEER_ERROR || rc == MKT_E_CRYPTO);
        assert_false(c.io.peer_error_authentic);
        failed += rc == MKT_E_CRYPTO;
    }
    assert_true(failed > 5);
}

static void
a_csb_without_an_answer_goes_through_a_file_too(void **state)
{
    (void)state;
    c.want.flags &= (uint16_t) ~(MKT_TP_F | MKT_TP_G | MKT_TP_I);
    whole_call();
    assert_int_equal(through_a_file(c.at_alice[0]), MKT_OK);
    assert_int_equal(through_a_file(c.at_bob[0]), MKT_OK);
}

/* --- updates ------------------------------------------------------------------------------------
 */

static void
an_update_that_could_not_be_refused_is_still_to_be_refused(void **state)
{
    static struct change u;
    const size_t cap = c.cap;
    (void)state;
    whole_call();
    change_init(&u, &c, 3, 0);
    assert_int_equal(change_send(&c, &u, true), MKT_OK);
    assert_int_equal(change_offered(&c, &u, true), MKT_OK);
    c.cap = 40;
    assert_int_equal(change_refuse(&c, &u, true, MKT_E_SP), MKT_E_NO_SPACE);
    c.cap = cap;
    assert_int_equal(change_refuse(&c, &u, true, MKT_E_SP), MKT_OK);
    assert_int_equal(change_answered(&c, &u, true), MKT_E_PEER_ERROR);
    assert_int_equal(change_refuse(&c, &u, true, MKT_E_SP), MKT_E_STATE);
}

static void
an_error_message_about_an_update_needs_its_payloads(void **state)
{
    static struct change u;
    struct message honest;
    (void)state;
    whole_call();
    change_init(&u, &c, 3, 0);
    assert_int_equal(change_send(&c, &u, true), MKT_OK);
    assert_int_equal(change_offered(&c, &u, true), MKT_OK);
    assert_int_equal(change_refuse(&c, &u, true, MKT_E_SP), MKT_OK);
    honest = u.resp;
    assert_int_equal(without(&u.resp, MKT_PL_ERR, 0), 1);
    assert_int_equal(change_answered(&c, &u, true), MKT_E_MISSING_PAYLOAD);
    assert_false(c.io.peer_error_authentic);
    u.resp = honest;
    assert_int_equal(change_answered(&c, &u, true), MKT_E_PEER_ERROR);
    assert_true(c.io.peer_error_authentic);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_may_carry_sdp_ids),
        TEST(another_protocol_has_session_data_of_its_own),
        TEST(a_choice_has_at_most_255_sessions),
        TEST(the_default_choice_compares_protocol_and_parameters),
        TEST(a_session_without_a_policy_gets_ours_for_its_protocol),
        TEST(session_keys_have_a_length_and_a_session),
        TEST(a_policy_may_ask_for_no_salt_but_not_for_keys_longer_than_any),
        TEST(a_tek_is_used_and_derives_nothing),
        TEST(a_failing_libcrypto_gives_no_session_key),
        TEST(a_csb_file_has_each_session_and_each_policy_once),
        TEST(a_null_mac_makes_no_error_message_authentic),
        TEST(an_error_of_the_kms_is_not_made_with_half_a_mac),
        TEST(a_transfer_error_is_looked_at_with_a_working_libcrypto_or_not_at_all),
        TEST(a_csb_without_an_answer_goes_through_a_file_too),
        TEST(an_update_that_could_not_be_refused_is_still_to_be_refused),
        TEST(an_error_message_about_an_update_needs_its_payloads),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
