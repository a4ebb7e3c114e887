/* SPDX-License-Identifier: Apache-2.0 */
/* The initiator's keys of a group call against members that answer as they like: who shares what,
 * what a late one is told, and which answers are refused since a keystream could come twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../sdp_text.h"
#include "../three_party.h"
#include "clock.h"
#include "group.h"

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMBERS 3

struct scene {
    struct call c;
    struct cli_client client;
    struct cli_args args;
    struct phone_offer ticket;
    struct group_keys keys;
    struct group_offer offer;
    struct mkt_choose_cs cs[MEMBERS + 2];
    struct mkt_csb *csb; /* of the last answer */
    struct cli_error err;
};

/* A ticket for the two Bobs, with a session key of that type. */
static struct scene *
ticket(uint8_t key, uint16_t flags)
{
    struct scene *s = calloc(1, sizeof *s);
    uint64_t now = cli_clock_ntp();

    assert_non_null(s);
    assert_true(call_open(&s->c, MKT_PRF_HMAC_SHA_256, MKT_TS_NTP_UTC));
    s->c.env.now = now;
    s->c.want.start.value = now - (60ULL << 32);
    s->c.want.end.value = now + (3600ULL << 32);
    s->c.want.flags = flags;
    s->c.want.has_kemac = true;
    s->c.want.n_wanted = 1;
    s->c.want.wanted[0] = (struct mkt_want_key){ .type = key, .key_len = 32 };
    assert_int_equal(call_until_grant(&s->c), MKT_OK);
    s->client.crypto = s->c.crypto;
    s->client.cred = (struct mkt_credential){ .self = s->c.alice, .kms = s->c.kms };
    s->ticket.grant = s->c.grant;
    memcpy(s->ticket.to, s->c.bob[0].data.p, s->c.bob[0].data.n);
    s->keys.ticket = &s->ticket;
    return s;
}

#define GROUP_FLAGS (MKT_TP_D | MKT_TP_E | MKT_TP_F | MKT_TP_H | MKT_TP_I | MKT_TP_N | MKT_TP_O)

static bool
begins(struct scene *s)
{
    return group_keys_begin(&s->keys, MEMBERS, &s->args, &s->err);
}

static struct scene *
opening(void)
{
    struct scene *s = ticket(MKT_KEY_GTGK, GROUP_FLAGS);
    assert_true(begins(s));
    return s;
}

static void
closing(struct scene *s)
{
    mkt_csb_free(s->csb);
    group_offer_free(&s->offer);
    cli_blob_free(&s->client.out);
    cli_blob_free(&s->client.answer);
    call_close(&s->c);
    free(s);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void
describe(char text[8192], const char *value)
{
    int n = snprintf(text, 8192, HEAD "a=key-mgmt:%s\r\n" AUDIO, value);
    assert_in_range(n, 1, 8191);
}

/* Offers session cs_id to Bob k, who looks at it and takes every session as it is. */
static void
offering(struct scene *s, uint8_t cs_id, size_t k)
{
    char value[6000], text[8192];
    struct mkt_sdp_keys keys;
    struct mkt_choice *choice = &s->c.choice;
    struct mkt_err err = { 0 };

    group_offer_free(&s->offer);
    s->offer.cs_id = cs_id;
    assert_true(group_offer_value(&s->offer, &s->keys, &s->client, value, sizeof value, &s->err));
    describe(text, value);
    assert_true(phone_sent_keep(&s->offer.sent, text_span(text), &s->err));
    assert_int_equal(mkt_sdp_take(&keys, &s->offer.sent.sdp, MKT_SDP_OFFER, s->c.init.b,
                                  sizeof s->c.init.b, &err),
                     MKT_SDP_KEYS);
    s->c.init.n = keys.found[0].message.n;
    assert_int_equal(call_offered(&s->c, k), MKT_OK);
    const struct mkt_msg *m = mkt_responder_offer_unverified(s->c.responder[k]);
    assert_int_equal(mkt_choice_default(m, &s->keys.sp, 1, s->cs, MEMBERS + 2, &choice->n_cs, &err),
                     MKT_OK);
    choice->cs = s->cs;
    choice->sdp_ids = mkt_sdp_ids_of(m);
}

/* Bob answers with what is in s->cs by now; whether Alice takes it. */
static bool
answering(struct scene *s, size_t k)
{
    char value[6000], text[8192];
    size_t len;

    assert_int_equal(call_accept(&s->c, k), MKT_OK);
    assert_int_equal(call_resolve(&s->c, k), MKT_OK);
    mkt_csb_free(s->c.at_bob[k]);
    s->c.at_bob[k] = NULL;
    assert_int_equal(call_resolved(&s->c, k), MKT_OK);
    assert_int_equal(
        mkt_sdp_value(value, sizeof value, &len, mkt_span(s->c.resp[k].b, s->c.resp[k].n)), MKT_OK);
    describe(text, value);
    mkt_csb_free(s->csb);
    s->err = (struct cli_error){ 0 };
    return group_offer_answered(&s->offer, &s->keys, &s->client, text_span(text), &s->csb, &s->err);
}

static void
says(struct scene *s, size_t session, uint32_t ssrc)
{
    s->cs[session].has_ssrc = true;
    s->cs[session].ssrc = ssrc;
}

static bool
refused_as(const struct scene *s, const char *why)
{
    return s->csb == NULL && s->err.code == CLI_EXIT_PEER && strstr(s->err.text, why) != NULL;
}

static struct mkt_session
session_of(const struct mkt_csb *csb, uint8_t cs_id)
{
    struct mkt_session cs;
    size_t i = 0;

    while (mkt_csb_session(csb, i, &cs) == MKT_OK && cs.cs_id != cs_id)
        i++;
    assert_int_equal(cs.cs_id, cs_id);
    return cs;
}

/* --- what is offered -------------------------------------------------------------------------- */

static void
a_member_gets_the_initiators_session_its_own_and_the_others_in_that_order(void **state)
{
    (void)state;
    struct scene *s = opening();

    offering(s, 3, 0);
    const uint8_t order[] = { GROUP_INITIATOR_CS, 3, 2, 4 };
    assert_int_equal(s->c.choice.n_cs, sizeof order);
    for (size_t i = 0; i < sizeof order; i++)
        assert_int_equal(s->cs[i].cs_id, order[i]);
    struct mkt_map_iter it;
    struct mkt_cs cs;
    mkt_map_begin(&it, &mkt_responder_offer_unverified(s->c.responder[0])->hdr);
    for (size_t i = 0; mkt_map_next(&it, &cs); i++) {
        assert_int_equal(cs.has_ssrc, i != 1);
        assert_int_equal(cs.s, i == 0); /* nobody else has joined */
    }
    closing(s);
}

static void
who_joins_late_is_told_where_the_others_stand(void **state)
{
    (void)state;
    struct scene *s = opening();

    s->keys.voice[GROUP_INITIATOR_CS].roc = 9;
    s->keys.voice[4] = (struct group_voice){ 4, 0xabcd, 7, 65535 };
    s->keys.in[4] = true;
    offering(s, 2, 0);
    assert_true(answering(s, 0));
    struct mkt_session cs = session_of(s->c.at_bob[0], 4);
    assert_int_equal(cs.ssrc, 0xabcd);
    assert_int_equal(cs.roc, 7);
    assert_int_equal(cs.seq, 65535);
    assert_int_equal(session_of(s->c.at_bob[0], GROUP_INITIATOR_CS).roc, 9);
    closing(s);
}

/* --- what is shared --------------------------------------------------------------------------- */

static void
tek_of(struct mkt_secret *tek, struct scene *s, const struct mkt_csb *csb, uint8_t cs_id)
{
    struct mkt_session cs;
    struct mkt_secret salt;
    struct mkt_err err = { 0 };
    size_t i = 0;

    while (mkt_csb_session(csb, i, &cs) == MKT_OK && cs.cs_id != cs_id)
        i++;
    assert_int_equal(mkt_csb_derive(csb, s->c.crypto, i, tek, &salt, &err), MKT_OK);
}

static void
all_members_have_the_same_keys_and_each_session_has_one_of_its_own(void **state)
{
    (void)state;
    struct scene *s = opening();
    struct mkt_secret tek[2][MEMBERS + 2];

    for (uint8_t k = 0; k < 2; k++) {
        offering(s, (uint8_t)(2 + k), k);
        assert_true(answering(s, k));
        assert_true(mkt_csb_peer(s->csb).data.n == s->c.bob[k].data.n); /* as the KMS says */
        for (uint8_t id = GROUP_INITIATOR_CS; id <= MEMBERS + 1; id++)
            tek_of(&tek[k][id], s, s->c.at_bob[k], id);
    }
    for (uint8_t a = GROUP_INITIATOR_CS; a <= MEMBERS + 1; a++) {
        /* RFC6043:9-2 */
        assert_memory_equal(tek[0][a].b, tek[1][a].b, tek[0][a].n);
        for (uint8_t b = GROUP_INITIATOR_CS; b < a; b++)
            assert_memory_not_equal(tek[0][a].b, tek[0][b].b, tek[0][a].n);
    }
    closing(s);
}

static void
a_ticket_whose_keys_would_tell_members_apart_is_no_groups(void **state)
{
    (void)state;
    struct scene *s = ticket(MKT_KEY_TGK, GROUP_FLAGS); /* forks */
    assert_false(begins(s));
    assert_int_equal(s->err.code, CLI_EXIT_KMS_REFUSED);
    closing(s);
    s = ticket(MKT_KEY_GTGK, GROUP_FLAGS | MKT_TP_G); /* each would add random octets */
    assert_false(begins(s));
    closing(s);
    s = ticket(MKT_KEY_GTGK, GROUP_FLAGS & ~MKT_TP_I); /* nobody would vouch for who answers */
    assert_false(begins(s));
    closing(s);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void
an_ssrc_that_somebody_has_is_refused(void **state)
{
    (void)state;
    struct scene *s = opening();
    const uint32_t taken[] = { s->keys.voice[GROUP_INITIATOR_CS].ssrc,
                               s->keys.voice[4].ssrc, /* of one who was only called */
                               0 };                   /* on the roster: nobody is there */

    for (size_t i = 0; i < CLI_COUNT(taken); i++) {
        offering(s, 2, 0);
        says(s, 1, taken[i]);
        assert_false(answering(s, 0));
        assert_true(refused_as(s, "SSRC is in use"));
    }
    offering(s, 2, 0);
    says(s, 1, 0x1234);
    assert_true(answering(s, 0));
    assert_int_equal(s->keys.voice[2].ssrc, 0x1234);
    closing(s);
}

static void
a_member_that_comes_back_needs_another_ssrc(void **state)
{
    (void)state;
    struct scene *s = opening();

    for (unsigned i = 0; i < 2; i++) {
        offering(s, 2, 0);
        says(s, 1, 0x1234);
        assert_int_equal(answering(s, 0), i == 0);
        s->keys.in[2] = false; /* it has left */
    }
    assert_true(refused_as(s, "SSRC is in use"));
    closing(s);
}

static void
when_too_many_have_come_and_gone_nobody_is_let_in(void **state)
{
    (void)state;
    struct scene *s = opening();

    while (s->keys.n_used < CLI_COUNT(s->keys.used))
        s->keys.used[s->keys.n_used++] = 1;
    offering(s, 2, 0);
    assert_false(answering(s, 0));
    assert_true(refused_as(s, "too many"));
    closing(s);
}

static void
an_answer_that_changes_the_sessions_of_others_is_refused(void **state)
{
    (void)state;
    struct scene *s = opening();

    offering(s, 2, 0);
    says(s, 0, 0x5678);
    assert_false(answering(s, 0));
    assert_true(refused_as(s, "session 1 is not the member's"));
    offering(s, 2, 0);
    s->cs[s->c.choice.n_cs] = s->cs[1];
    s->cs[s->c.choice.n_cs++].cs_id = 77;
    assert_false(answering(s, 0));
    assert_true(refused_as(s, "sessions were added"));
    closing(s);
}

static void
an_answer_with_another_cipher_is_refused(void **state)
{
    (void)state;
    struct scene *s = opening();
    static const uint8_t null_cipher[] = { 0, 1, 0 };
    const struct mkt_pl_sp own = { 9, MKT_PROT_SRTP, mkt_span(null_cipher, sizeof null_cipher) };

    offering(s, 2, 0);
    s->c.choice.sp = &own;
    s->c.choice.n_sp = 1;
    s->cs[1].policy_no = own.policy_no;
    assert_false(answering(s, 0));
    assert_true(refused_as(s, "a security policy that is not supported"));
    s->c.choice.n_sp = 0;
    closing(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_gets_the_initiators_session_its_own_and_the_others_in_that_order),
        cmocka_unit_test(who_joins_late_is_told_where_the_others_stand),
        cmocka_unit_test(all_members_have_the_same_keys_and_each_session_has_one_of_its_own),
        cmocka_unit_test(a_ticket_whose_keys_would_tell_members_apart_is_no_groups),
        cmocka_unit_test(an_ssrc_that_somebody_has_is_refused),
        cmocka_unit_test(a_member_that_comes_back_needs_another_ssrc),
        cmocka_unit_test(when_too_many_have_come_and_gone_nobody_is_let_in),
        cmocka_unit_test(an_answer_that_changes_the_sessions_of_others_is_refused),
        cmocka_unit_test(an_answer_with_another_cipher_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("group_keys", tests, NULL, NULL);
}
