/* SPDX-License-Identifier: Apache-2.0 */
/* A ticket resolved through another KMS (RFC 6043 10): Bob's KMS asks the one that issued it, as if
 * it were Bob, and passes the keys on under Bob's own key. */
#include "three_party.h"

#include "exchange/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint8_t prfs[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };

/* A call whose Bob has a KMS of his own. */
struct far_call {
    struct call c;
    struct mkt_identity kms2;
    struct mkt_inkey_mem psk_kms; /* of the two KMSs */
    struct mkt_kms_txn *txn2;
    struct mkt_kms_forward *forward;
    struct message leg_init, leg_resp;
};

static void
open_far(struct far_call *f, uint8_t prf, uint16_t clear)
{
    struct call *c = &f->c;
    const uint8_t octets[32] = { 0x4B, 0x32 };
    memset(f, 0, sizeof *f);
    assert_true(call_open(c, prf, MKT_TS_NTP_UTC));
    c->want.flags &= (uint16_t)~clear;
    f->kms2 = mkt_uri("sip:kms@other.example.org");
    assert_int_equal(mkt_inkey_mem_init(&f->psk_kms, mkt_span(octets, mkt_suite_of(prf)->key_len)),
                     MKT_OK);
    const struct mkt_credential bob = {
        .self = c->bob[0], .kms = f->kms2, .psk_id = mkt_span("bob", 3), .psk = &c->psk_bob[0].base
    };
    mkt_responder_free(c->responder[0]);
    c->responder[0] = mkt_responder_new(&bob);
    const struct mkt_credential between = {
        .self = c->bob[0], .kms = c->kms, .psk_id = mkt_span("kms2", 4), .psk = &f->psk_kms.base
    };
    f->forward = mkt_kms_forward_new(&between);
    f->txn2 = mkt_kms_txn_new();
    assert_true(c->responder[0] != NULL && f->forward != NULL && f->txn2 != NULL);
    assert_int_equal(call_until_offer(c), MKT_OK);
    assert_int_equal(call_offered(c, 0), MKT_OK);
    assert_int_equal(call_accept(c, 0), MKT_OK);
}

static void
close_far(struct far_call *f)
{
    mkt_kms_forward_free(f->forward);
    mkt_kms_txn_free(f->txn2);
    mkt_inkey_mem_wipe(&f->psk_kms);
    call_close(&f->c);
}

/* Bob's KMS: his RESOLVE_INIT becomes one of its own. */
static enum mkt_rc
leg_out(struct far_call *f)
{
    struct call *c = &f->c;
    struct mkt_io io = { .out = f->leg_init.b, .cap = c->cap };
    struct mkt_err err = { 0 };
    f->leg_init.n = 0;
    if (mkt_kms_begin(f->txn2, mkt_span(c->resolve[0].b, c->resolve[0].n), &err) != MKT_OK ||
        mkt_kms_verify(f->txn2, &c->env, &c->psk_bob[0].base, c->bob[0], f->kms2, &err) != MKT_OK)
        return err.rc;
    if (mkt_kms_forward(f->forward, f->txn2, &c->env, &io) != MKT_NEXT_SEND_KMS)
        return io.err.rc;
    f->leg_init.n = io.out_len;
    return MKT_OK;
}

/* The issuing KMS: the client is the Bob that is named, the key the other KMS's. */
static enum mkt_rc
leg_resolve(struct far_call *f)
{
    return call_kms(&f->c, &f->leg_init, f->c.bob[0], &f->psk_kms.base, &f->leg_resp);
}

static enum mkt_rc
leg_back(struct far_call *f, struct mkt_io *io)
{
    struct call *c = &f->c;
    *io = (struct mkt_io){ .out = c->resolved[0].b, .cap = c->cap };
    enum mkt_next next =
        mkt_kms_forwarded(f->forward, f->txn2, &c->env, mkt_span(f->leg_resp.b, f->leg_resp.n), io);
    c->resolved[0].n = io->out_len;
    return next == MKT_NEXT_SEND_PEER ? MKT_OK : io->err.rc;
}

static const struct mkt_payload *
payload(const struct message *m, struct mkt_msg *parsed, uint16_t type, uint8_t role)
{
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    return mkt_msg_find(parsed, type, role);
}

static bool
same(struct mkt_span a, struct mkt_span b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static void
a_ticket_is_resolved_through_another_kms(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(prfs); i++) {
        struct far_call f;
        struct mkt_msg a, b;
        struct mkt_io io;
        bool forks = i % 2 == 0;
        open_far(&f, prfs[i / 2], forks ? 0 : MKT_TP_I);
        assert_int_equal(leg_out(&f), MKT_OK);
        /* RFC6043:10-6 IDRr and TICKET are reused, CSB ID and RANDRr are not */
        assert_true(same(payload(&f.leg_init, &a, MKT_PL_IDR, MKT_IDR_R)->u.idr.data,
                         payload(&f.c.resolve[0], &b, MKT_PL_IDR, MKT_IDR_R)->u.idr.data));
        assert_true(same(mkt_span(payload(&f.leg_init, &a, MKT_PL_TICKET, 0)->raw.p + 1, 200),
                         mkt_span(payload(&f.c.resolve[0], &b, MKT_PL_TICKET, 0)->raw.p + 1, 200)));
        assert_int_not_equal(a.hdr.csb_id, b.hdr.csb_id);
        /* RFC6043:10-2 RFC6043:10-3 RFC6043:10-4 */
        assert_int_equal(leg_resolve(&f), MKT_OK); /* RFC6043:10-5 */
        assert_int_equal(leg_back(&f, &io), MKT_OK);
        /* his KMS sees what keys they are before it gives them to him */
        assert_int_equal(mkt_kms_ask(f.txn2)->policy->n_wanted, 1);
        assert_int_equal(mkt_kms_ask(f.txn2)->policy->wanted[0].type, MKT_KEY_TGK);
        /* Bob hears his own KMS */
        assert_true(
            same(payload(&f.c.resolved[0], &a, MKT_PL_IDR, MKT_IDR_KMS)->u.idr.data, f.kms2.data));
        assert_int_equal(call_resolved(&f.c, 0), MKT_OK);
        assert_int_equal(call_answered(&f.c, 0), MKT_OK);
        assert_true(call_agrees(&f.c, 0));
        if (forks) /* the modifier of the issuing KMS */
            assert_true(same(payload(&f.leg_resp, &a, MKT_PL_RANDR, MKT_RANDR_KMS)->u.randr.rand,
                             payload(&f.c.resp[0], &b, MKT_PL_RANDR, MKT_RANDR_KMS)->u.randr.rand));
        mkt_kms_end(f.txn2);
        close_far(&f);
    }
}

static void
nothing_is_forwarded_that_did_not_verify(void **state)
{
    (void)state;
    struct far_call f;
    struct mkt_err err = { 0 };
    struct mkt_io io;
    open_far(&f, MKT_PRF_MIKEY_1, 0);
    io = (struct mkt_io){ .out = f.leg_init.b, .cap = f.c.cap };
    assert_int_equal(mkt_kms_forward(f.forward, f.txn2, &f.c.env, &io), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_STATE);
    assert_int_equal(mkt_kms_begin(f.txn2, mkt_span(f.c.resolve[0].b, f.c.resolve[0].n), &err),
                     MKT_OK);
    io = (struct mkt_io){ .out = f.leg_init.b, .cap = f.c.cap };
    assert_int_equal(mkt_kms_forward(f.forward, f.txn2, &f.c.env, &io), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_STATE);
    assert_int_equal(io.out_len, 0);
    /* a request is not resolved at all */
    assert_int_equal(mkt_kms_begin(f.txn2, mkt_span(f.c.request.b, f.c.request.n), &err), MKT_OK);
    assert_int_equal(
        mkt_kms_verify(f.txn2, &f.c.env, &f.c.psk_alice.base, f.c.alice, f.c.kms, &err), MKT_OK);
    io = (struct mkt_io){ .out = f.leg_init.b, .cap = f.c.cap };
    assert_int_equal(mkt_kms_forward(f.forward, f.txn2, &f.c.env, &io), MKT_NEXT_ABORT);
    assert_int_equal(io.err.rc, MKT_E_STATE);
    close_far(&f);
}

static void
no_ticket_of_an_unknown_type_is_forwarded(void **state)
{
    (void)state;
    struct far_call f;
    struct mkt_msg m;
    open_far(&f, MKT_PRF_MIKEY_1, 0);
    const struct mkt_payload *ticket = payload(&f.c.init, &m, MKT_PL_TICKET, 0);
    f.c.init.b[ticket->at + 1] = 0xF0; /* Ticket Type */
    assert_int_equal(call_offered(&f.c, 0), MKT_OK);
    assert_int_equal(call_accept(&f.c, 0), MKT_OK);
    assert_int_equal(leg_out(&f), MKT_E_TICKET_TYPE);
    assert_int_equal(f.leg_init.n, 0);
    close_far(&f);
}

static void
every_changed_octet_of_the_other_kms_s_answer_is_noticed(void **state)
{
    (void)state;
    struct far_call f;
    struct mkt_io io;
    open_far(&f, MKT_PRF_MIKEY_1, 0);
    assert_int_equal(leg_out(&f), MKT_OK); /* RFC6043:10-1 */
    assert_int_equal(leg_resolve(&f), MKT_OK);
    for (size_t i = 0; i < f.leg_resp.n; i++) {
        f.leg_resp.b[i] ^= 0x10;
        assert_true(leg_back(&f, &io) != MKT_OK);
        assert_int_equal(f.c.resolved[0].n, 0);
        f.leg_resp.b[i] ^= 0x10;
    }
    assert_int_equal(leg_back(&f, &io), MKT_OK);
    assert_int_equal(leg_back(&f, &io), MKT_E_STATE); /* once */
    close_far(&f);
}

static void
the_answer_to_another_question_is_refused(void **state)
{
    (void)state;
    struct far_call f;
    struct mkt_io io;
    open_far(&f, MKT_PRF_MIKEY_1, 0);
    assert_int_equal(leg_out(&f), MKT_OK);
    assert_int_equal(leg_resolve(&f), MKT_OK);
    struct message first = f.leg_resp;
    assert_int_equal(leg_out(&f), MKT_OK); /* asked once more */
    f.leg_resp = first;
    assert_true(leg_back(&f, &io) != MKT_OK);
    /* nor is the question itself an answer */
    f.leg_resp = f.leg_init;
    assert_int_equal(leg_back(&f, &io), MKT_E_DATA_TYPE);
    close_far(&f);
}

/* 5.4: what the other KMS refuses is reported, and Bob gets an Error message of his own KMS. */
static void
a_refusal_of_the_other_kms_reaches_the_responder(void **state)
{
    (void)state;
    for (unsigned unauthentic = 0; unauthentic < 2; unauthentic++) {
        struct far_call f;
        struct mkt_io io;
        open_far(&f, MKT_PRF_MIKEY_1, 0);
        uint64_t now = f.c.env.now;
        assert_int_equal(leg_out(&f), MKT_OK);
        f.c.env.now = f.c.want.end.value + (5ULL << 32); /* too late for the ticket */
        assert_int_equal(leg_resolve(&f), MKT_E_TICKET_EXPIRED);
        f.c.env.now = now;
        if (unauthentic != 0)
            f.leg_resp.b[f.leg_resp.n - 1] ^= 1;
        assert_int_equal(leg_back(&f, &io), MKT_E_PEER_ERROR);
        assert_int_equal(io.peer_error, MKT_ERR_INVALID_TPPAR);
        assert_int_equal(io.peer_error_authentic, unauthentic == 0);
        struct mkt_io refusal = { .out = f.c.resolved[0].b, .cap = f.c.cap };
        assert_int_equal(mkt_kms_refuse(f.txn2, &f.c.env, MKT_E_TICKET_EXPIRED, &refusal),
                         MKT_NEXT_SEND_PEER);
        f.c.resolved[0].n = refusal.out_len;
        assert_int_equal(call_resolved(&f.c, 0), MKT_E_PEER_ERROR);
        assert_true(f.c.io.peer_error_authentic);
        assert_null(f.c.at_bob[0]);
        close_far(&f);
    }
}

static void
a_kms_with_another_key_is_not_believed(void **state)
{
    (void)state;
    struct far_call f;
    struct mkt_io io;
    open_far(&f, MKT_PRF_MIKEY_1, 0);
    assert_int_equal(leg_out(&f), MKT_OK); /* RFC6043:10-1 */
    assert_int_equal(call_kms(&f.c, &f.leg_init, f.c.bob[0], &f.c.psk_alice.base, &f.leg_resp),
                     MKT_E_AUTH);
    assert_int_equal(leg_back(&f, &io), MKT_E_PEER_ERROR);
    assert_false(io.peer_error_authentic);
    close_far(&f);
}

/* The issuing KMS forks for the IDRr that the message names: no other Bob can use the answer. */
static void
the_keys_are_forked_for_the_responder_that_is_named(void **state)
{
    (void)state;
    struct far_call f;
    open_far(&f, MKT_PRF_MIKEY_1, 0);
    assert_int_equal(leg_out(&f), MKT_OK);
    assert_int_equal(call_kms(&f.c, &f.leg_init, f.c.bob[1], &f.psk_kms.base, &f.leg_resp),
                     MKT_E_AUTH); /* the message names Bob, not his desk */
    close_far(&f);
}

static void
a_buffer_too_small_gives_no_half_message(void **state)
{
    (void)state;
    struct far_call f;
    struct mkt_io io;
    open_far(&f, MKT_PRF_MIKEY_1, 0);
    size_t cap = f.c.cap;
    for (f.c.cap = 0; f.c.cap < 300; f.c.cap += 7)
        assert_int_equal(leg_out(&f), MKT_E_NO_SPACE);
    f.c.cap = cap;
    assert_int_equal(leg_out(&f), MKT_OK);
    assert_int_equal(leg_resolve(&f), MKT_OK);
    f.c.cap = 100;
    assert_int_equal(leg_back(&f, &io), MKT_E_NO_SPACE);
    assert_int_equal(f.c.resolved[0].n, 0);
    f.c.cap = cap;
    assert_int_equal(leg_back(&f, &io), MKT_OK);
    close_far(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_resolved_through_another_kms),
        cmocka_unit_test(nothing_is_forwarded_that_did_not_verify),
        cmocka_unit_test(no_ticket_of_an_unknown_type_is_forwarded),
        cmocka_unit_test(every_changed_octet_of_the_other_kms_s_answer_is_noticed),
        cmocka_unit_test(the_answer_to_another_question_is_refused),
        cmocka_unit_test(a_refusal_of_the_other_kms_reaches_the_responder),
        cmocka_unit_test(a_kms_with_another_key_is_not_believed),
        cmocka_unit_test(the_keys_are_forked_for_the_responder_that_is_named),
        cmocka_unit_test(a_buffer_too_small_gives_no_half_message),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
