/* SPDX-License-Identifier: Apache-2.0 */
/* From a Ticket Transfer to SRTP: Alice, Bob and the KMS in one process, then packets between the
 * CSBs of both ends. What the keys are worth is seen in the packets alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "srtp_session.h"

#include <cmocka.h>
#include <mikeyticket/initiator.h>
#include <mikeyticket/kms.h>
#include <mikeyticket/responder.h>
#include <string.h>

#define NOW 0xEA00000000000000u /* in 2024 */

/* RANDs, keys and CSB IDs: a different octet each time. */
static bool
count_up(void *ctx, uint8_t *out, size_t n)
{
    uint32_t *next = ctx;

    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(++*next * 167 >> 3);
    return true;
}

/* Everybody, with one ticket offered once and answered twice, as when two devices ring. */
struct call {
    uint32_t counter;
    struct mkt_env env;
    struct mkt_inkey_mem alice_psk, bob_psk, tpk;
    struct mkt_credential alice, bob;
    struct mkt_kms_txn *kms;
    struct mkt_initiator *initiator;
    struct mkt_grant *grant;
    struct mkt_csb *at_alice[2], *at_bob[2];
};

static struct mkt_inkey_mem
make_key(uint8_t octet)
{
    struct mkt_inkey_mem k;
    uint8_t octets[32];

    memset(octets, octet, sizeof octets);
    assert_int_equal(mkt_inkey_mem_init(&k, mkt_span(octets, sizeof octets)), MKT_OK);
    return k;
}

static struct mkt_credential
credential(const char *self, const struct mkt_inkey_mem *psk)
{
    return (struct mkt_credential){ .self = mkt_uri(self),
                                    .kms = mkt_uri("sip:kms@example.com"),
                                    .psk = &psk->base };
}

/* The KMS answers io->in into io->out. */
static void
kms_answer(struct call *c, const struct mkt_credential *client, struct mkt_io *io)
{
    struct mkt_span request = io->in;
    const struct mkt_tpk tpk = { .id = mkt_span("tpk", 3), .key = &c->tpk.base };
    struct mkt_err err = { 0 };

    assert_int_equal(mkt_kms_begin(c->kms, request, &err), MKT_OK);
    const struct mkt_kms_ask *ask = mkt_kms_ask(c->kms);
    assert_int_equal(mkt_kms_verify(c->kms, &c->env, client->psk, client->self, client->kms, &err),
                     MKT_OK);
    if (ask->resolve) {
        assert_int_equal(mkt_kms_open(c->kms, &c->env, &tpk, &err), MKT_OK);
        assert_int_equal(mkt_kms_resolve(c->kms, &c->env, client->self, io), MKT_NEXT_SEND_PEER);
    } else {
        struct mkt_policy granted;
        assert_int_equal(mkt_policy_grant(&granted, ask->policy, &(struct mkt_grant_rules){ 0 },
                                          client->self, client->kms, c->env.now, &err),
                         MKT_OK);
        assert_int_equal(mkt_kms_issue(c->kms, &c->env, &granted, &tpk, mkt_span(NULL, 0), io),
                         MKT_NEXT_SEND_PEER);
    }
    mkt_kms_end(c->kms);
}

/* io->out becomes io->in, and the other buffer is written next. */
static void
turn(struct mkt_io *io, uint8_t buf[2][MKT_MSG_MAX])
{
    io->in = mkt_span(io->out, io->out_len);
    io->out = io->out == buf[0] ? buf[1] : buf[0];
    io->cap = MKT_MSG_MAX;
}

static void
get_ticket(struct call *c, uint8_t prf, uint16_t key_len, uint16_t salt_len)
{
    static uint8_t buf[2][MKT_MSG_MAX];
    struct mkt_io io = { .out = buf[0], .cap = MKT_MSG_MAX };
    struct mkt_policy want;

    mkt_policy_init(&want, prf);
    want.start = (struct mkt_time){ true, MKT_TS_NTP_UTC, NOW };
    want.end = (struct mkt_time){ true, MKT_TS_NTP_UTC, NOW + ((uint64_t)3600 << 32) };
    want.responders[0] = c->bob.self;
    want.n_responders = 1;
    want.has_kemac = true;
    want.n_wanted = 1;
    want.wanted[0] = (struct mkt_want_key){
        .type = salt_len != 0 ? MKT_KEY_TGK_SALT : MKT_KEY_TGK,
        .kv = MKT_KV_SPI,
        .key_len = key_len,
        .salt_len = salt_len,
        .spi = mkt_span("\1\2\3\4", 4),
    };
    assert_int_equal(mkt_initiator_request(c->initiator, &c->env, &want, &io), MKT_NEXT_SEND_KMS);
    turn(&io, buf);
    kms_answer(c, &c->alice, &io);
    turn(&io, buf);
    assert_int_equal(mkt_initiator_granted(c->initiator, &c->env, &io, &c->grant), MKT_NEXT_DONE);
}

/* One device of Bob's answers the offer. */
static void
answer(struct call *c, struct mkt_span offer, unsigned device)
{
    static uint8_t buf[2][MKT_MSG_MAX];
    struct mkt_io io = { .in = offer, .out = buf[0], .cap = MKT_MSG_MAX };
    struct mkt_responder *r = mkt_responder_new(&c->bob);

    assert_non_null(r);
    assert_int_equal(mkt_responder_offered(r, &c->env, 60, &io), MKT_NEXT_ASK);
    assert_int_equal(mkt_responder_accept(r, &c->env, &(struct mkt_choice){ 0 }, &io),
                     MKT_NEXT_SEND_KMS);
    turn(&io, buf);
    kms_answer(c, &c->bob, &io);
    turn(&io, buf);
    assert_int_equal(mkt_responder_resolved(r, &c->env, &io, &c->at_bob[device]),
                     MKT_NEXT_SEND_PEER);
    turn(&io, buf);
    assert_int_equal(mkt_initiator_answered(c->initiator, &c->env, &io, &c->at_alice[device]),
                     MKT_NEXT_DONE);
    mkt_responder_free(r);
}

/* Makes a call whose sessions have these SP parameters. */
static void
make_call(struct call *c, uint8_t prf, struct mkt_span params, uint16_t salt_len)
{
    static uint8_t out[MKT_MSG_MAX];
    uint16_t key_len = prf == MKT_PRF_MIKEY_1 ? 16 : 32;
    struct mkt_pl_sp sp = { .prot_type = MKT_PROT_SRTP, .params = params };
    struct mkt_offer_cs cs[] = {
        { .cs_id = 1, .n_policies = 1, .has_ssrc = true, .s = true, .ssrc = 0x11111111, .roc = 3 },
        { .cs_id = 2, .n_policies = 1 }, /* the answer chooses the SSRC */
    };
    struct mkt_offer offer = {
        .responder = mkt_uri("sip:bob@example.com"), .cs = cs, .n_cs = 2, .sp = &sp, .n_sp = 1
    };
    struct mkt_io io = { .out = out, .cap = sizeof out };

    *c = (struct call){ 0 };
    c->env = (struct mkt_env){
        .crypto = mkt_crypto_new(), .now = NOW, .random = count_up, .ctx = &c->counter
    };
    c->kms = mkt_kms_txn_new();
    assert_non_null(c->env.crypto);
    assert_non_null(c->kms);
    c->alice_psk = make_key(0xA1);
    c->bob_psk = make_key(0xB0);
    c->tpk = make_key(0x77);
    c->alice = credential("sip:alice@example.com", &c->alice_psk);
    c->bob = credential("sip:bob@example.com", &c->bob_psk);
    c->initiator = mkt_initiator_new(&c->alice);
    assert_non_null(c->initiator);
    get_ticket(c, prf, key_len, salt_len);
    assert_int_equal(mkt_initiator_offer(c->initiator, &c->env, c->grant, &offer, &io),
                     MKT_NEXT_SEND_PEER);
    answer(c, mkt_span(out, io.out_len), 0);
    answer(c, mkt_span(out, io.out_len), 1);
}

static void
end_call(struct call *c)
{
    for (unsigned i = 0; i < 2; i++) {
        mkt_csb_free(c->at_alice[i]);
        mkt_csb_free(c->at_bob[i]);
    }
    mkt_grant_free(c->grant);
    mkt_initiator_free(c->initiator);
    mkt_kms_txn_free(c->kms);
    mkt_crypto_free(c->env.crypto);
    mkt_inkey_mem_wipe(&c->alice_psk);
    mkt_inkey_mem_wipe(&c->bob_psk);
    mkt_inkey_mem_wipe(&c->tpk);
}

static srtp_t
open_csb(const struct call *c, const struct mkt_csb *csb, size_t index)
{
    struct mkt_srtp s;
    struct mkt_err err = { 0 };
    srtp_t session;

    if (mkt_srtp_policy(&s, csb, c->env.crypto, index, &err) != MKT_OK)
        fail_msg("%s (%s)", err.what, err.ref);
    assert_int_equal(mkt_srtp_create(&session, &s, &err), MKT_OK);
    return session;
}

/* What becomes of a packet of crypto session `index` sent with one CSB and opened with another. */
static srtp_err_status_t
send_packet(const struct call *c, const struct mkt_csb *from, const struct mkt_csb *to,
            size_t index)
{
    uint8_t b[12 + PAYLOAD + SRTP_MAX_TRAILER_LEN] = { 0x80, 96, 0, 1 };
    struct mkt_session cs;
    int len = 12 + PAYLOAD;
    srtp_t sender = open_csb(c, from, index), receiver = open_csb(c, to, index);

    assert_int_equal(mkt_csb_session(from, index, &cs), MKT_OK);
    for (unsigned i = 0; i < 4; i++)
        b[8 + i] = (uint8_t)(cs.ssrc >> (24 - 8 * i));
    assert_int_equal(srtp_protect_mki(sender, b, &len, 1, 0), srtp_err_status_ok);
    assert_non_null(memmem(b + 12 + PAYLOAD, (size_t)len - 12 - PAYLOAD, cs.spi.p, cs.spi.n));
    srtp_err_status_t status = srtp_unprotect_mki(receiver, b, &len, 1);
    for (unsigned i = 0; status == srtp_err_status_ok && i < PAYLOAD; i++)
        assert_int_equal(b[12 + i], 0);
    srtp_dealloc(sender);
    srtp_dealloc(receiver);
    return status;
}

static void
both_ends_understand_each_other(uint8_t prf, struct mkt_span params, uint16_t salt_len)
{
    struct call c;

    make_call(&c, prf, params, salt_len);
    for (unsigned device = 0; device < 2; device++)
        for (size_t index = 0; index < 2; index++) {
            struct mkt_csb *a = c.at_alice[device], *b = c.at_bob[device];
            assert_int_equal(send_packet(&c, a, b, index), srtp_err_status_ok);
            assert_int_equal(send_packet(&c, b, a, index), srtp_err_status_ok);
        }
    end_call(&c);
}

/* RFC6043:5.1.3: TEK and salt of each crypto session, of the lengths the SP asks for. */
static void
both_ends_of_a_ticket_transfer_speak_srtp_in_every_suite(void **state)
{
    static const uint8_t cm_32[] = { 11, 1, 4 }, gcm[] = { 0, 1, 6 }, cm_256[] = { 1, 1, 32 },
                         gcm_256[] = { 0, 1, 6, 1, 1, 32 };

    (void)state;
    both_ends_understand_each_other(MKT_PRF_MIKEY_1, mkt_span(NULL, 0), 0);
    both_ends_understand_each_other(MKT_PRF_MIKEY_1, mkt_span(cm_32, sizeof cm_32), 0);
    both_ends_understand_each_other(MKT_PRF_MIKEY_1, mkt_span(gcm, sizeof gcm), 0);
    /* RFC3830:6.10.1-2 */
    both_ends_understand_each_other(MKT_PRF_HMAC_SHA_256, mkt_span(cm_256, sizeof cm_256), 0);
    both_ends_understand_each_other(MKT_PRF_HMAC_SHA_256, mkt_span(gcm_256, sizeof gcm_256), 0);
}

/* RFC6043:5.1.1: a salt of the key data is used as it is. */
static void
both_ends_use_the_salt_of_the_ticket(void **state)
{
    (void)state;
    both_ends_understand_each_other(MKT_PRF_MIKEY_1, mkt_span(NULL, 0), 14);
}

/* RFC6043:5.1.1, 12.4: what is said to one device stays closed to the other. */
static void
a_device_does_not_open_what_was_sent_to_the_other(void **state)
{
    struct call c;

    (void)state;
    make_call(&c, MKT_PRF_MIKEY_1, mkt_span(NULL, 0), 0);
    /* RFC6043:12.2-1 */
    assert_int_equal(send_packet(&c, c.at_alice[0], c.at_bob[1], 0), srtp_err_status_auth_fail);
    assert_int_equal(send_packet(&c, c.at_alice[1], c.at_bob[0], 0), srtp_err_status_auth_fail);
    end_call(&c);
}

static void
the_roc_of_the_offer_reaches_the_srtp_session(void **state)
{
    struct call c;
    struct mkt_srtp s;
    struct mkt_err err = { 0 };

    (void)state;
    make_call(&c, MKT_PRF_MIKEY_1, mkt_span(NULL, 0), 0);
    assert_int_equal(mkt_srtp_policy(&s, c.at_bob[0], c.env.crypto, 0, &err), MKT_OK);
    assert_int_equal(s.roc, 3); /* RFC3830:6.1.1-2 */
    assert_int_equal(s.policy.ssrc.value, 0x11111111);
    mkt_srtp_wipe(&s);
    end_call(&c);
}

static void
an_index_beyond_the_last_crypto_session_is_refused(void **state)
{
    struct call c;
    struct mkt_srtp s;
    struct mkt_err err = { 0 };
    static const struct mkt_srtp zero;

    (void)state;
    make_call(&c, MKT_PRF_MIKEY_1, mkt_span(NULL, 0), 0);
    memset(&s, 0xa5, sizeof s);
    assert_int_equal(mkt_srtp_policy(&s, c.at_bob[0], c.env.crypto, 2, &err), MKT_E_ARGUMENT);
    assert_memory_equal(&s, &zero, sizeof s);
    end_call(&c);
}

/* The transfer succeeds, but libsrtp2 has no key derivation rate: no keys, no media. */
static void
a_policy_that_libsrtp2_cannot_carry_out_gives_no_session(void **state)
{
    static const uint8_t kdr[] = { 6, 1, 1 };
    struct call c;
    struct mkt_srtp s;
    struct mkt_err err = { 0 };

    (void)state;
    make_call(&c, MKT_PRF_MIKEY_1, mkt_span(kdr, sizeof kdr), 0);
    assert_int_equal(mkt_srtp_policy(&s, c.at_bob[0], c.env.crypto, 0, &err), MKT_E_SP_PARAM);
    assert_non_null(strstr(err.what, "key derivation rate"));
    end_call(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_of_a_ticket_transfer_speak_srtp_in_every_suite),
        cmocka_unit_test(both_ends_use_the_salt_of_the_ticket),
        cmocka_unit_test(a_device_does_not_open_what_was_sent_to_the_other),
        cmocka_unit_test(the_roc_of_the_offer_reaches_the_srtp_session),
        cmocka_unit_test(an_index_beyond_the_last_crypto_session_is_refused),
        cmocka_unit_test(a_policy_that_libsrtp2_cannot_carry_out_gives_no_session),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, srtp_begin, srtp_end);
}
