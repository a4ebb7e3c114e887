/* SPDX-License-Identifier: Apache-2.0 */
/* The four modes of RFC 6043 4.1.1: who shares the TPK decides who may make a ticket and who may
 * open it, and everybody else is refused. */
#include "three_party.h"

#include "ticket/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint8_t prfs[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };

static void
open_mode(struct call *c, uint8_t prf, unsigned mode)
{
    assert_true(call_open(c, prf, MKT_TS_NTP_UTC));
    call_mode(c, mode);
    if (mode > 2)
        key_add(&c->ticket_keys, MKT_KEY_TGK, mkt_suite_of(prf)->key_len, 0, 0x31);
}

/* --- what works
 * ----------------------------------------------------------------------------------- */

static void
each_mode_gives_both_ends_the_same_keys(void **state)
{
    (void)state;
    for (unsigned mode = 1; mode <= 4; mode++)
        for (size_t i = 0; i < COUNT(prfs); i++) {
            struct call c;
            open_mode(&c, prfs[i], mode);
            assert_int_equal(call_until_grant(&c), MKT_OK);
            assert_int_equal(call_transfer(&c, 0), MKT_OK);
            assert_true(call_agrees(&c, 0));
            /* the exchanges a mode leaves out did not happen */
            /* RFC6043:4.1-1 RFC6043:4.1-2 RFC6043:4.2.3-1 RFC6043:A-1 */
            assert_int_equal(c.request.n != 0, mode <= 2);
            assert_int_equal(c.resolve[0].n != 0, mode % 2 == 1);
            const struct mkt_policy *p = mkt_csb_policy(c.at_bob[0]);
            assert_int_equal((p->flags & MKT_TP_D) != 0, mode <= 2);
            assert_int_equal((p->flags & MKT_TP_E) != 0, mode % 2 == 1);
            call_close(&c);
        }
}

static void
each_mode_works_without_an_answer(void **state)
{
    (void)state;
    for (unsigned mode = 1; mode <= 4; mode++) {
        struct call c;
        open_mode(&c, MKT_PRF_MIKEY_1, mode);
        c.want.flags &= (uint16_t) ~(MKT_TP_F | MKT_TP_G | MKT_TP_I);
        assert_int_equal(call_until_grant(&c), MKT_OK);
        assert_int_equal(call_transfer(&c, 0), MKT_OK);
        assert_int_equal(c.resp[0].n, 0);
        assert_true(call_agrees(&c, 0));
        call_close(&c);
    }
}

/* RFC6043:6.10-3 E = 0: the Responder MAY resolve the ticket, and may as well ask the KMS. */
static void
a_responder_with_the_tpk_may_still_ask_the_kms(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 2);
    assert_int_equal(call_until_grant(&c), MKT_OK);
    c.mode = 1; /* Bob asks */
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    assert_true(c.resolve[0].n != 0); /* RFC6043:6.10-3 */
    assert_true(call_agrees(&c, 0));
    call_close(&c);
}

static void
key_wrap_protects_the_ticket_of_an_initiator(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 4);
    struct mkt_keys keys = { 0 };
    key_add(&keys, MKT_KEY_MPK, 16, 0, 0x41); /* 2 x (4 + 16 + 1 + 3): a multiple of 8 octets */
    key_add(&keys, MKT_KEY_TGK, 16, 0, 0x42);
    keys.k[0].spi_len = keys.k[1].spi_len = 3;
    struct mkt_own_ticket own = {
        .policy = &c.want, .tpk = &c.tpk_pair.base, .keys = &keys, .key_wrap = true
    };
    assert_int_equal(mkt_grant_create(&c.grant, &c.env, &own, &c.io.err), MKT_OK);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    assert_true(call_agrees(&c, 0)); /* RFC3830:4.2.3-4 */
    call_close(&c);
}

/* Ambiguity 20: no padding is defined for contents that are no multiple of 8 octets. */
static void
key_wrap_of_other_lengths_is_refused(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 4);
    struct mkt_own_ticket own = {
        .policy = &c.want, .tpk = &c.tpk_pair.base, .keys = &c.ticket_keys, .key_wrap = true
    };
    assert_int_equal(mkt_grant_create(&c.grant, &c.env, &own, &c.io.err), MKT_E_CRYPTO);
    assert_null(c.grant);
    call_close(&c);
}

/* --- who may open
 * --------------------------------------------------------------------------------- */

/* Every TPK but the right one. */
static void
a_ticket_opens_with_its_own_tpk_alone(void **state)
{
    (void)state;
    for (unsigned mode = 2; mode <= 4; mode += 2)
        for (size_t i = 0; i < COUNT(prfs); i++) {
            struct call c;
            open_mode(&c, prfs[i], mode);
            assert_int_equal(call_until_grant(&c), MKT_OK);
            assert_int_equal(call_offer(&c), MKT_OK);
            const struct mkt_inkey_mem *right = mode == 2 ? &c.tpk_bob : &c.tpk_pair;
            const struct mkt_inkey_mem *all[] = { &c.tpk, &c.tpk_alice, &c.tpk_bob, &c.tpk_pair,
                                                  &c.psk_bob[0] };
            assert_int_equal(call_offered(&c, 0), MKT_OK);
            for (size_t k = 0; k < COUNT(all); k++) {
                if (all[k] == right)
                    continue;
                assert_int_equal(call_opened(&c, 0, &all[k]->base), MKT_E_TICKET); /* 4.1.1 */
                assert_null(c.at_bob[0]);
                assert_int_equal(c.resp[0].n, 0);
            }
            assert_int_equal(call_opened(&c, 0, &right->base), MKT_OK); /* still open */
            call_close(&c);
        }
}

/* RFC6043:6.10-3 E: "Ticket Resolve exchange is MANDATORY". */
static void
a_responder_does_not_open_what_the_kms_must_resolve(void **state)
{
    (void)state;
    for (unsigned mode = 1; mode <= 3; mode += 2) {
        struct call c;
        open_mode(&c, MKT_PRF_MIKEY_1, mode);
        assert_int_equal(call_until_grant(&c), MKT_OK);
        assert_int_equal(call_offer(&c), MKT_OK);
        assert_int_equal(call_offered(&c, 0), MKT_OK);
        assert_int_equal(call_opened(&c, 0, mode == 1 ? &c.tpk.base : &c.tpk_alice.base),
                         MKT_E_TP_PARAM); /* RFC6043:6.10-3 */
        assert_null(c.at_bob[0]);
        call_close(&c);
    }
}

static void
the_kms_cannot_resolve_a_ticket_of_mode_4(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 4);
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_E_TICKET);
    call_close(&c);
}

/* --- who may make
 * --------------------------------------------------------------------------------- */

/* Makes a ticket under `tpk` that claims to be under `name`, and has it resolved. */
static enum mkt_rc
resolve_own(struct call *c, const struct mkt_inkey *tpk, const char *name)
{
    const struct mkt_own_ticket own = { .policy = &c->want,
                                        .tpk = tpk,
                                        .tpk_id = mkt_span(name, strlen(name)),
                                        .keys = &c->ticket_keys };
    mkt_grant_free(c->grant);
    c->grant = NULL;
    c->io = (struct mkt_io){ 0 };
    enum mkt_rc rc = mkt_grant_create(&c->grant, &c->env, &own, &c->io.err);
    rc = rc != MKT_OK ? rc : call_offer(c);
    rc = rc != MKT_OK ? rc : call_offered(c, 0);
    rc = rc != MKT_OK ? rc : call_accept(c, 0);
    return rc != MKT_OK ? rc : call_resolve(c, 0);
}

/* 4.1.1 and ambiguity 50: a TPK shared with an Initiator is good for his own tickets only. */
static void
nobody_makes_tickets_for_another(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 3);
    assert_int_equal(resolve_own(&c, &c.tpk_alice.base, "tpk-alice"), MKT_OK);
    /* Bob, who shares a TPK with the KMS, names Alice as the Initiator */
    assert_int_equal(resolve_own(&c, &c.tpk_bob.base, "tpk-bob"), MKT_E_TICKET);
    /* the name of a key is not the key */
    assert_int_equal(resolve_own(&c, &c.tpk_bob.base, "tpk-alice"), MKT_E_TICKET);
    assert_int_equal(resolve_own(&c, &c.tpk_alice.base, "tpk"), MKT_E_TICKET);
    /* a ticket without IDRi belongs to nobody */
    c.want.initiator = (struct mkt_identity){ 0 };
    assert_int_equal(resolve_own(&c, &c.tpk_alice.base, "tpk-alice"), MKT_E_TICKET);
    /* nor does Alice make one in another's name: Bob sees it when keys fork, else the KMS does */
    c.want.initiator = c.bob[1];
    assert_int_equal(resolve_own(&c, &c.tpk_alice.base, "tpk-alice"), MKT_E_AUTH);
    c.want.flags &= (uint16_t)~MKT_TP_I;
    assert_int_equal(resolve_own(&c, &c.tpk_alice.base, "tpk-alice"), MKT_E_TICKET);
    call_close(&c);
}

/* Alice's ticket says that the KMS made it: a policy that the KMS never granted. */
static void
an_initiator_cannot_pass_her_ticket_off_as_the_kms_s(void **state)
{
    (void)state;
    struct call c;
    struct mkt_keys keys = { 0 };
    struct message buf;
    struct mkt_writer w = mkt_w_open(buf.b, sizeof buf.b);
    uint8_t rand[16] = { 7 };
    open_mode(&c, MKT_PRF_MIKEY_1, 1);
    c.want.flags &= (uint16_t)~MKT_TP_I;
    c.want.initiator = c.alice;
    key_add(&keys, MKT_KEY_MPK, 16, 0, 0x21);
    key_add(&keys, MKT_KEY_TGK, 16, 0, 0x22);
    const struct mkt_base_ticket t = {
        .t64 = NOW, .rand = mkt_span(rand, 16), .tpk_id = mkt_span("tpk-alice", 9), .keys = &keys
    };
    assert_true(mkt_base_ticket_write(&w, c.crypto, &c.tpk_alice.base, &c.want, &t));
    assert_true(mkt_mpk_split(&keys, &c.want, c.crypto, t.rand));
    assert_int_equal(mkt_grant_make(&c.grant, mkt_span(w.buf, w.len), &keys, &c.io.err), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_E_TICKET);
    call_close(&c);
}

/* A TPK of one Responder does not protect tickets for several, nor for another. */
static void
a_responders_tpk_protects_tickets_for_him_alone(void **state)
{
    (void)state;
    for (unsigned several = 0; several < 2; several++) {
        struct call c;
        open_mode(&c, MKT_PRF_MIKEY_1, 2);
        if (several != 0)
            c.want.responders[c.want.n_responders++] = c.bob[1];
        else
            c.want.responders[0] = c.bob[1];
        c.offer.responder = c.bob[1];
        struct mkt_keys keys = { 0 };
        struct message buf;
        struct mkt_writer w = mkt_w_open(buf.b, sizeof buf.b);
        uint8_t rand[16] = { 7 };
        key_add(&keys, MKT_KEY_MPK, 16, 0, 0x21);
        key_add(&keys, MKT_KEY_TGK, 16, 0, 0x22);
        const struct mkt_base_ticket t = {
            .t64 = NOW, .rand = mkt_span(rand, 16), .tpk_id = mkt_span("tpk-bob", 7), .keys = &keys
        };
        assert_true(mkt_base_ticket_write(&w, c.crypto, &c.tpk_bob.base, &c.want, &t));
        assert_true(mkt_mpk_split(&keys, &c.want, c.crypto, t.rand));
        assert_int_equal(mkt_grant_make(&c.grant, mkt_span(w.buf, w.len), &keys, &c.io.err),
                         MKT_OK);
        assert_int_equal(call_offer(&c), MKT_OK);
        assert_int_equal(call_offered(&c, 1), MKT_OK);
        assert_int_equal(call_accept(&c, 1), MKT_OK);
        assert_int_equal(call_resolve(&c, 1), MKT_E_TICKET);
        call_close(&c);
    }
}

/* --- D and E
 * --------------------------------------------------------------------------------------- */

/* The KMS repairs what it cannot give, and says so with K (ambiguity 46). */
static void
the_kms_sets_e_when_the_responder_has_no_tpk(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 2);
    c.rules.responder_has_tpk = false;
    assert_int_equal(call_until_grant(&c), MKT_OK);
    uint16_t flags = mkt_grant_policy(c.grant)->flags;
    assert_true((flags & MKT_TP_E) != 0 && (flags & MKT_TP_K) != 0);
    call_close(&c);
}

static void
the_kms_sets_e_when_there_are_several_responders(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 2);
    c.want.responders[c.want.n_responders++] = c.bob[1];
    assert_int_equal(call_until_grant(&c), MKT_OK);
    uint16_t flags = mkt_grant_policy(c.grant)->flags;
    assert_true((flags & MKT_TP_E) != 0 && (flags & MKT_TP_K) != 0);
    call_close(&c);
}

static void
a_ticket_of_the_kms_is_not_made_by_an_initiator(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 3);
    c.want.flags |= MKT_TP_D;
    assert_int_equal(call_create(&c), MKT_E_TP_PARAM);
    assert_string_equal(c.io.err.ref, "RFC 6043 4.1.1");
    assert_null(c.grant);
    call_close(&c);
}

/* RFC6043:6.10: NOT D implies L; I implies E; K implies D. */
static void
contradictions_in_own_tickets_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        uint16_t set, clear;
        const char *say;
    } cases[] = {
        { 0, MKT_TP_L, "flags: NOT D implies L" },
        { MKT_TP_I, MKT_TP_E, "flags: I implies E" },
        { MKT_TP_K, 0, "flags: K implies D" },
        { MKT_TP_G, MKT_TP_F, "flags: G implies F" },
        { MKT_TP_M, MKT_TP_F | MKT_TP_G, "flags: M implies F" },
        { 0, MKT_TP_G | MKT_TP_H, "flags: NOT G implies H" },
        { MKT_TP_I, MKT_TP_F | MKT_TP_G, "flags: I with a TGK implies F" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct call c;
        open_mode(&c, MKT_PRF_MIKEY_1, 3);
        c.want.flags = (uint16_t)((c.want.flags | cases[i].set) & ~cases[i].clear);
        assert_int_equal(call_create(&c), MKT_E_TP_FLAGS);
        assert_string_equal(c.io.err.what, cases[i].say);
        assert_null(c.grant);
        call_close(&c);
    }
}

static void
own_tickets_take_no_unfit_keys(void **state)
{
    (void)state;
    static const struct {
        uint8_t prf, type, len, salt, n, spi_len, kv;
        enum mkt_rc want;
    } cases[] = {
        { 0, MKT_KEY_TGK, 15, 0, 1, 4, MKT_KV_SPI, MKT_E_WEAK_KEY },
        { 0, MKT_KEY_TGK, 17, 0, 1, 4, MKT_KV_SPI, MKT_E_SUITE_MIX },
        { 0, MKT_KEY_TGK, 16, 14, 1, 4, MKT_KV_SPI, MKT_E_KEY_DATA },
        { 0, MKT_KEY_TGK_SALT, 16, 0, 1, 4, MKT_KV_SPI, MKT_E_KEY_DATA },
        { 0, MKT_KEY_TGK, 16, 0, 1, 0, MKT_KV_SPI, MKT_E_KEY_DATA },
        { 0, MKT_KEY_TGK, 16, 0, 1, 4, MKT_KV_INTERVAL, MKT_E_KEY_DATA },
        { 0, MKT_KEY_TGK, 16, 0, 2, 4, MKT_KV_SPI, MKT_E_KEY_DATA }, /* one SPI twice */
        { 0, MKT_KEY_TGK, 16, 0, 31, 4, MKT_KV_SPI, MKT_E_TOO_MANY },
        { 1, MKT_KEY_MPK, 16, 0, 1, 4, MKT_KV_SPI, MKT_E_KEY_DATA }, /* RFC6043:12.1 */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct call c;
        open_mode(&c, cases[i].prf, 3);
        c.ticket_keys.n = 0;
        for (uint8_t k = 0; k < cases[i].n; k++) {
            key_add(&c.ticket_keys, cases[i].type, cases[i].len, cases[i].salt, 0x31);
            c.ticket_keys.k[k].spi_len = cases[i].spi_len;
            c.ticket_keys.k[k].kv = cases[i].kv;
        }
        assert_int_equal(call_create(&c), cases[i].want);
        assert_null(c.grant);
        call_close(&c);
    }
}

static void
own_tickets_need_a_responder_and_a_tpk_of_the_suite(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_HMAC_SHA_256, 3);
    const uint8_t small[16] = { 1 };
    struct mkt_inkey_mem tpk;
    assert_int_equal(mkt_inkey_mem_init(&tpk, mkt_span(small, 16)), MKT_OK);
    struct mkt_own_ticket own = { .policy = &c.want, .tpk = &tpk.base, .keys = &c.ticket_keys };
    assert_int_equal(mkt_grant_create(&c.grant, &c.env, &own, &c.io.err), MKT_E_WEAK_KEY);
    own.tpk = &c.tpk_alice.base;
    own.key_wrap = true;
    c.io = (struct mkt_io){ 0 };
    assert_int_equal(mkt_grant_create(&c.grant, &c.env, &own, &c.io.err), MKT_E_SUITE_MIX);
    c.want.n_responders = 0;
    assert_int_equal(call_create(&c), MKT_E_TP_PARAM);
    assert_null(c.grant);
    call_close(&c);
}

/* --- validity, as in mode 1
 * ------------------------------------------------------------------------ */

static void
an_expired_ticket_is_refused_in_every_mode(void **state)
{
    (void)state;
    for (unsigned mode = 1; mode <= 4; mode++) {
        struct call c;
        open_mode(&c, MKT_PRF_MIKEY_1, mode);
        assert_int_equal(call_until_grant(&c), MKT_OK);
        assert_int_equal(call_offer(&c), MKT_OK);
        c.env.now = c.want.end.value + (1ULL << 32);
        assert_int_equal(call_offer(&c), MKT_E_TICKET_EXPIRED);
        struct mkt_io io = { .in = mkt_span(c.init.b, c.init.n) };
        c.init.n = 0;
        assert_int_equal(mkt_responder_offered(c.responder[0], &c.env, 0, &io), MKT_NEXT_ABORT);
        call_close(&c);
    }
}

/* RFC6043:12.4 the Initiator Data binds a forked ticket to who made it, in mode 3 too. */
static void
a_forked_ticket_of_mode_3_shows_who_sends_it(void **state)
{
    (void)state;
    struct call c;
    open_mode(&c, MKT_PRF_MIKEY_1, 3);
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    struct message valid = c.resolve[0];
    assert_int_equal(call_resolve(&c, 0), MKT_OK);
    c.resolve[0] = valid;
    assert_int_equal(call_resolved(&c, 0), MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    assert_true(call_agrees(&c, 0));
    assert_true(mkt_identity_equal(mkt_csb_peer(c.at_alice[0]), c.bob[0]));
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mode_gives_both_ends_the_same_keys),
        cmocka_unit_test(each_mode_works_without_an_answer),
        cmocka_unit_test(a_responder_with_the_tpk_may_still_ask_the_kms),
        cmocka_unit_test(key_wrap_protects_the_ticket_of_an_initiator),
        cmocka_unit_test(key_wrap_of_other_lengths_is_refused),
        cmocka_unit_test(a_ticket_opens_with_its_own_tpk_alone),
        cmocka_unit_test(a_responder_does_not_open_what_the_kms_must_resolve),
        cmocka_unit_test(the_kms_cannot_resolve_a_ticket_of_mode_4),
        cmocka_unit_test(nobody_makes_tickets_for_another),
        cmocka_unit_test(an_initiator_cannot_pass_her_ticket_off_as_the_kms_s),
        cmocka_unit_test(a_responders_tpk_protects_tickets_for_him_alone),
        cmocka_unit_test(the_kms_sets_e_when_the_responder_has_no_tpk),
        cmocka_unit_test(the_kms_sets_e_when_there_are_several_responders),
        cmocka_unit_test(a_ticket_of_the_kms_is_not_made_by_an_initiator),
        cmocka_unit_test(contradictions_in_own_tickets_are_refused_by_name),
        cmocka_unit_test(own_tickets_take_no_unfit_keys),
        cmocka_unit_test(own_tickets_need_a_responder_and_a_tpk_of_the_suite),
        cmocka_unit_test(an_expired_ticket_is_refused_in_every_mode),
        cmocka_unit_test(a_forked_ticket_of_mode_3_shows_who_sends_it),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
