/* SPDX-License-Identifier: Apache-2.0 */
/* COUNTER timestamps come from the caller. Without one, and when it has run out of its 32 bits,
 * no message and no ticket is made: a counter that began again would let old messages in again. */
#include "compat_call.h"
#include "pk_call.h"
#include "update_call.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct change update;

static uint64_t
used_up(void *ctx, uint8_t ts_type)
{
    (void)ctx;
    return ts_type == MKT_TS_COUNTER ? (uint64_t)UINT32_MAX + 1 : NOW;
}

/* --- steps that make a message or a ticket, and the ones between --------------------------------
 */

static enum mkt_rc
offered(void)
{
    return call_offered(&call, 0);
}
static enum mkt_rc
answered(void)
{
    return call_answered(&call, 0);
}
static enum mkt_rc
granted(void)
{
    return call_granted(&call);
}
static enum mkt_rc
request(void)
{
    return call_request(&call);
}
static enum mkt_rc
issue(void)
{
    return call_issue(&call);
}
static enum mkt_rc
create(void)
{
    return call_create(&call);
}
static enum mkt_rc
offer(void)
{
    return call_offer(&call);
}
static enum mkt_rc
accept_it(void)
{
    return call_accept(&call, 0);
}
static enum mkt_rc
resolve(void)
{
    return call_resolve(&call, 0);
}
static enum mkt_rc
resolved(void)
{
    return call_resolved(&call, 0);
}

static enum mkt_rc
refuse_offer(void)
{
    struct message out;
    call.io = (struct mkt_io){ .out = out.b, .cap = sizeof out.b };
    enum mkt_next next =
        mkt_responder_refuse(call.responder[0], &call.env, MKT_E_SP, NULL, 0, &call.io);
    return next == MKT_NEXT_SEND_PEER ? MKT_OK : call.io.err.rc;
}

static enum mkt_rc
update_is_begun(void)
{
    change_init(&update, &call, 3, 0);
    return MKT_OK;
}
static enum mkt_rc
update_send(void)
{
    return change_send(&call, &update, true);
}
static enum mkt_rc
update_offered(void)
{
    return change_offered(&call, &update, true);
}
static enum mkt_rc
update_accept(void)
{
    return change_accept(&call, &update, true);
}
static enum mkt_rc
update_answered(void)
{
    return change_answered(&call, &update, true);
}
static enum mkt_rc
update_refuse(void)
{
    return change_refuse(&call, &update, true, MKT_E_SP);
}

struct step {
    enum mkt_rc (*take)(void);
    bool stamps;
};

static void
take(const struct step *steps)
{
    uint64_t (*const good)(void *, uint8_t) = call.env.stamp;
    for (; steps->take != NULL; steps++) {
        if (steps->stamps) {
            call.env.stamp = NULL;
            assert_int_equal(steps->take(), MKT_E_TS_TYPE);
            assert_int_equal(call.io.out_len, 0);
            call.env.stamp = used_up;
            assert_int_equal(steps->take(), MKT_E_TS_TYPE);
            assert_int_equal(call.io.out_len, 0);
            call.env.stamp = good;
        }
        assert_int_equal(steps->take(), MKT_OK);
    }
}

static const struct step call_and_updates[] = {
    { request, true },          { issue, true },
    { granted, false },         { offer, true },
    { offered, false },         { refuse_offer, true },
    { accept_it, true },        { resolve, true },
    { resolved, true },         { answered, false },
    { update_is_begun, false }, { update_send, true },
    { update_offered, false },  { update_accept, true },
    { update_answered, false }, { update_is_begun, false },
    { update_send, true },      { update_offered, false },
    { update_refuse, true },    { NULL, false },
};

static void
no_message_is_made_without_a_counter_or_when_it_has_run_out(void **state)
{
    (void)state;
    assert_true(call_open(&call, MKT_PRF_MIKEY_1, MKT_TS_COUNTER));
    take(call_and_updates);
    assert_true(call_agrees(&call, 0));
    call_close(&call);
}

static void
no_ticket_of_the_initiator_is_made_without_a_counter_either(void **state)
{
    static const struct step own[] = { { create, true }, { offer, true }, { NULL, false } };
    (void)state;
    assert_true(call_open(&call, MKT_PRF_MIKEY_1, MKT_TS_COUNTER));
    call_mode(&call, 4);
    key_add(&call.ticket_keys, MKT_KEY_TGK, 16, 0, 0x21);
    take(own);
    call_close(&call);
}

/* The ticket has a time of RFC 3830; the answer to the request still needs its counter. */
static void
no_compatibility_ticket_is_issued_without_a_counter(void **state)
{
    static const struct step steps[] = { { request, true }, { issue, true }, { NULL, false } };
    (void)state;
    assert_true(compat_call_open(&call, MKT_COMPAT_IDS, 16));
    const struct mkt_credential cred = { .self = call.alice,
                                         .kms = call.kms,
                                         .psk = &call.psk_alice.base,
                                         .psk_id = mkt_span("alice", 5),
                                         .ts_type = MKT_TS_COUNTER };
    mkt_initiator_free(call.initiator);
    call.initiator = mkt_initiator_new(&cred);
    assert_non_null(call.initiator);
    take(steps);
    call_close(&call);
}

/* A KMS that has verified a message with a counter, and refuses it. */
static enum mkt_rc
refuse_request(bool with_signature)
{
    static struct message out;
    const struct mkt_kms_signer by = { .key = keyring.key[PKI_KMS], .s_type = MKT_S_RSA_PSS };
    call.io = (struct mkt_io){ .out = out.b, .cap = sizeof out.b };
    enum mkt_next next =
        with_signature
            ? mkt_kms_refuse_signed(call.txn, &call.env, MKT_E_NOT_AUTHORISED, &by, &call.io)
            : mkt_kms_refuse(call.txn, &call.env, MKT_E_NOT_AUTHORISED, &call.io);
    return next == MKT_NEXT_SEND_PEER ? MKT_OK : call.io.err.rc;
}

static enum mkt_rc
refuse_with_mac(void)
{
    return refuse_request(false);
}
static enum mkt_rc
refuse_with_signature(void)
{
    return refuse_request(true);
}

static void
no_error_message_is_made_without_a_counter(void **state)
{
    static const struct step steps[] = { { request, true }, { NULL, false } };
    static const struct step refusals[] = { { refuse_with_mac, true },
                                            { refuse_with_signature, true },
                                            { NULL, false } };
    struct mkt_err err = { 0 };
    (void)state;
    assert_int_equal(open_a_call(NULL), 0);
    const struct mkt_credential cred = {
        .self = call.alice, .kms = call.kms, .pk = &cred_alice, .ts_type = MKT_TS_COUNTER
    };
    mkt_initiator_free(call.initiator);
    call.initiator = mkt_initiator_new(&cred);
    assert_non_null(call.initiator);
    take(steps);
    assert_int_equal(kms_verify(&call.request, &err), MKT_OK);
    take(refusals);
    close_the_call(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_message_is_made_without_a_counter_or_when_it_has_run_out),
        cmocka_unit_test(no_ticket_of_the_initiator_is_made_without_a_counter_either),
        cmocka_unit_test(no_compatibility_ticket_is_issued_without_a_counter),
        cmocka_unit_test(no_error_message_is_made_without_a_counter),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_pki, close_pki);
}
