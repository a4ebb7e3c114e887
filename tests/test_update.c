/* SPDX-License-Identifier: Apache-2.0 */
/* CSB updates that work (RFC 6043 5.2), from either side, and what they do to keys, sessions and
 * timestamps. test_update_refusals.c has those that must not. */
#include "update_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LM (MKT_TP_L | MKT_TP_M)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint8_t prfs[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };

static void
open_call(struct call *c, uint8_t prf, uint8_t ts_type, uint16_t set, uint16_t clear)
{
    assert_true(updatable_open(c, prf, ts_type, set, clear));
}

/* --- who starts, with and without an answer -----------------------------------------------------
 */

static void
check_both_starters(uint8_t prf, uint16_t set, uint16_t clear)
{
    struct call c;
    struct change u;
    uint8_t spi = 0x10;
    open_call(&c, prf, MKT_TS_NTP_UTC, set, clear);
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        for (unsigned answer = 0; answer < 2; answer++, spi++) {
            struct mkt_secret before, after;
            assert_int_equal(call_keys(&c, c.at_alice[0], &before), MKT_OK);
            change_init(&u, &c, (uint8_t)(2 + spi), spi);
            u.update.answer = answer != 0;
            u.update.identities = by_alice != 0;
            assert_int_equal(change_whole(&c, &u, by_alice != 0), MKT_OK); /* RFC6043:5.2-7 */
            assert_true(call_agrees(&c, 0));
            assert_int_equal(call_keys(&c, c.at_bob[0], &after), MKT_OK);
            /* session 1 has a new key */
            assert_false(mkt_ct_equal(mkt_secret_span(&before), mkt_secret_span(&after)));
            struct mkt_msg m;
            struct mkt_err err = { 0 };
            assert_int_equal(mkt_msg_parse(&m, mkt_span(u.init.b, u.init.n), &err), MKT_OK);
            assert_int_equal(m.hdr.v, answer);                         /* RFC6043:5.2-2 */
            assert_int_equal(m.hdr.csb_id, mkt_csb_id(c.at_alice[0])); /* RFC6043:5.2-1 */
            assert_null(mkt_msg_find(&m, MKT_PL_RANDR, 0)); /* RFC6043:5.2-3 RFC6043:5.2-4 */
            assert_null(mkt_msg_find(&m, MKT_PL_TICKET, 0));
        }
    }
    assert_int_equal(mkt_csb_count(c.at_alice[0]), 5); /* session 1 and four that were added */
    call_close(&c);
}

static void
either_side_updates_with_and_without_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(prfs); i++)
        check_both_starters(prfs[i], LM, 0);
}

static void
updates_work_without_forking_and_without_either_rand(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(prfs); i++) {
        check_both_starters(prfs[i], LM, MKT_TP_I);
        check_both_starters(prfs[i], LM, MKT_TP_I | MKT_TP_G);
        check_both_starters(prfs[i], LM, MKT_TP_I | MKT_TP_H);
        check_both_starters(prfs[i], LM, MKT_TP_H);
    }
}

/* RFC6043:5.2-6 without TRANSFER_RESP the last message was TRANSFER_INIT: keys from MPKi. */
static void
updates_work_after_an_exchange_without_answer(void **state)
{
    (void)state;
    const uint16_t off = MKT_TP_F | MKT_TP_G | MKT_TP_I;
    for (size_t i = 0; i < COUNT(prfs); i++) {
        struct call c;
        struct change u;
        open_call(&c, prfs[i], MKT_TS_NTP_UTC, MKT_TP_L, off);
        assert_false(c.at_alice[0]->answered);
        change_init(&u, &c, 7, 0x21);
        assert_int_equal(change_whole(&c, &u, true), MKT_OK);
        assert_true(call_agrees(&c, 0));
        change_init(&u, &c, 8, 0); /* Bob, without keys: M needs F */
        u.update.n_cs = 1;
        u.cs[0].cs_id = 8;
        u.cs[0].spi = c.at_bob[0]->sessions[0].s.spi;
        assert_int_equal(change_whole(&c, &u, false), MKT_OK);
        assert_true(call_agrees(&c, 0));
        assert_int_equal(mkt_csb_count(c.at_bob[0]), 3);
        call_close(&c);
    }
}

/* Ambiguity 53: blocks replace or add sessions by CS ID; others stay. */
static void
sessions_not_named_keep_their_keys(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    struct mkt_secret before, after;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    assert_int_equal(call_keys(&c, c.at_alice[0], &before), MKT_OK);
    change_init(&u, &c, 9, 0x31);
    u.cs[0] = u.cs[1];
    u.update.n_cs = 1;
    assert_int_equal(change_whole(&c, &u, true), MKT_OK);
    assert_int_equal(mkt_csb_count(c.at_bob[0]), 2);
    assert_int_equal(call_keys(&c, c.at_alice[0], &after), MKT_OK);
    assert_true(mkt_ct_equal(mkt_secret_span(&before), mkt_secret_span(&after)));
    call_close(&c);
}

/* Both sides supply a key; the offer already names the one that the answer brings. */
static void
both_sides_supply_keys_in_one_update(void **state)
{
    (void)state;
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        struct call c;
        struct change u;
        open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
        change_init(&u, &c, 9, 0x41);
        key_add(&u.answer_keys, MKT_KEY_TEK_SALT, 16, 14, 0x42);
        u.cs[1].spi = mkt_span(u.answer_keys.k[0].spi, 4);
        u.choice.keys = &u.answer_keys;
        assert_int_equal(change_whole(&c, &u, by_alice != 0), MKT_OK);
        assert_true(call_agrees(&c, 0));
        struct mkt_secret tek = { 0 }, salt = { 0 };
        struct mkt_err err = { 0 };
        assert_int_equal(mkt_csb_derive(c.at_alice[0], c.crypto, 1, &tek, &salt, &err), MKT_OK);
        assert_true(mkt_ct_equal(mkt_secret_span(&tek), mkt_secret_span(&u.answer_keys.k[0].key)));
        assert_true(
            mkt_ct_equal(mkt_secret_span(&salt), mkt_secret_span(&u.answer_keys.k[0].salt)));
        call_close(&c);
    }
}

static void
a_new_tgk_is_not_forked(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    assert_true((mkt_csb_policy(c.at_alice[0])->flags & MKT_TP_I) != 0);
    change_init(&u, &c, 9, 0x51);
    assert_int_equal(change_whole(&c, &u, true), MKT_OK);
    for (unsigned alice = 0; alice < 2; alice++) {
        const struct mkt_csb *csb = end_of(&c, alice != 0);
        int k = mkt_keys_find(&csb->keys, mkt_span(u.keys.k[0].spi, 4));
        assert_true(k >= 0); /* RFC6043:5.2-12 */
        assert_true(
            mkt_ct_equal(mkt_secret_span(&csb->keys.k[k].key), mkt_secret_span(&u.keys.k[0].key)));
    }
    call_close(&c);
}

static void
an_update_supplies_every_kind_of_session_key(void **state)
{
    (void)state;
    static const struct {
        uint8_t type, salt;
    } kinds[] = { { MKT_KEY_TGK, 0 },       { MKT_KEY_TGK_SALT, 14 }, { MKT_KEY_TEK, 0 },
                  { MKT_KEY_TEK_SALT, 14 }, { MKT_KEY_GTGK, 0 },      { MKT_KEY_GTGK_SALT, 14 } };
    struct call c;
    struct change u;
    open_call(&c, MKT_PRF_HMAC_SHA_256, MKT_TS_NTP_UTC, LM, 0);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        change_init(&u, &c, 3, (uint8_t)(0x60 + i));
        u.keys.n = 0;
        key_add(&u.keys, kinds[i].type, 32, kinds[i].salt, (uint8_t)(0x60 + i));
        assert_int_equal(change_whole(&c, &u, i % 2 == 0), MKT_OK);
        assert_true(call_agrees(&c, 0));
    }
    call_close(&c);
}

/* --- timestamps ---------------------------------------------------------------------------------
 */

static uint64_t
standing_clock(void *ctx, uint8_t ts_type)
{
    (void)ctx;
    return ts_type == MKT_TS_COUNTER ? 5 : NOW;
}

/* RFC6043:5.2-1 "MUST use new timestamps", and one key stream for both: T grows over both senders,
 * though the clock stands still. */
static void
no_timestamp_is_used_twice_though_the_clock_stands(void **state)
{
    (void)state;
    static const uint8_t types[] = { MKT_TS_NTP_UTC, MKT_TS_NTP, MKT_TS_COUNTER,
                                     MKT_TS_NTP_UTC_32 };
    for (size_t t = 0; t < COUNT(types); t++) {
        struct call c;
        uint64_t last = 0;
        uint8_t spi = 0x10;
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, types[t]));
        c.want.flags |= LM;
        c.env.stamp = standing_clock;
        assert_int_equal(call_until_grant(&c), MKT_OK);
        assert_int_equal(call_transfer(&c, 0), MKT_OK);
        last = time_of(&c.init);
        for (unsigned i = 0; i < 8; i++, spi++) {
            struct change u;
            change_init(&u, &c, 3, spi);
            key_add(&u.answer_keys, MKT_KEY_TGK, 16, 0, (uint8_t)(0x80 + spi));
            u.choice.keys = &u.answer_keys;
            assert_int_equal(change_whole(&c, &u, i % 3 == 0), MKT_OK);
            assert_true(time_of(&u.init) > last);
            assert_true(time_of(&u.resp) > time_of(&u.init));
            last = time_of(&u.resp);
            assert_true(call_agrees(&c, 0));
        }
        call_close(&c);
    }
}

/* 32-bit seconds end, 64-bit times begin again after 2036: RFC6043:6.10-16 says how to read them.
 */
static void
updates_go_on_across_the_end_of_the_ntp_era(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    c.env.now = 0xFFFFFFFFF0000000ULL; /* just before */
    change_init(&u, &c, 3, 0x11);
    assert_int_equal(change_whole(&c, &u, true), MKT_OK);
    uint64_t before = time_of(&u.resp);
    c.env.now = 0x0000000100000000ULL; /* just after */
    change_init(&u, &c, 3, 0x12);
    assert_int_equal(change_whole(&c, &u, false), MKT_OK);
    assert_true(time_of(&u.init) > before); /* RFC3830:4.2.8-1 */
    call_close(&c);
}

static void
a_counter_at_its_end_is_not_begun_again(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_COUNTER, LM, 0);
    c.at_alice[0]->last_t = UINT32_MAX;
    change_init(&u, &c, 3, 0x11);
    assert_int_equal(change_send(&c, &u, true), MKT_E_TS_TYPE);
    assert_int_equal(u.init.n, 0);
    call_close(&c);
}

/* A message that was refused has spent its T all the same: one key stream serves both. */
static void
the_timestamp_of_a_refused_update_is_not_used_again(void **state)
{
    (void)state;
    struct call c;
    struct change theirs, mine;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    change_init(&theirs, &c, 3, 0x11);
    c.env.now += 20ULL << 32; /* Bob's clock is ahead */
    assert_int_equal(change_send(&c, &theirs, false), MKT_OK);
    c.env.now -= 20ULL << 32;
    c.at_alice[0]->policy.flags &= (uint16_t)~MKT_TP_M;
    assert_int_equal(change_offered(&c, &theirs, false), MKT_E_KEY_DATA);
    c.at_alice[0]->policy.flags |= MKT_TP_M;
    change_init(&mine, &c, 3, 0x12);
    assert_int_equal(change_send(&c, &mine, true), MKT_OK);
    assert_true(time_of(&mine.init) > time_of(&theirs.init));
    call_close(&c);
}

/* The clocks of the two differ: the newest T of the initial exchange may be the older message's. */
static void
no_timestamp_of_the_initial_exchange_is_used_again(void **state)
{
    (void)state;
    const uint16_t off = MKT_TP_G | MKT_TP_I;
    struct call c;
    struct change u;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.want.flags = (uint16_t)((c.want.flags | LM) & ~off);
    assert_int_equal(call_until_grant(&c), MKT_OK);
    c.env.now += 20ULL << 32; /* Alice's clock is ahead */
    assert_int_equal(call_offer(&c), MKT_OK);
    c.env.now -= 20ULL << 32;
    assert_int_equal(call_offered(&c, 0), MKT_OK);
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_OK);
    assert_int_equal(call_resolved(&c, 0), MKT_OK);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    assert_true(time_of(&c.init) > time_of(&c.resp[0]));
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        change_init(&u, &c, 3, (uint8_t)(0x11 + by_alice));
        assert_int_equal(change_whole(&c, &u, by_alice != 0), MKT_OK);
        assert_true(time_of(&u.init) > time_of(&c.init));
    }
    call_close(&c);
}

/* Ambiguity 18: G alone decides whether RANDRr is used, not its presence. */
static void
a_randrr_that_was_not_asked_for_is_not_used(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, MKT_TP_G);
    assert_int_equal(mkt_octets_set(&c.at_alice[0]->rand_r, mkt_span("sixteen octets..", 16)),
                     MKT_OK); /* as if Bob had sent one */
    change_init(&u, &c, 3, 0x11);
    assert_int_equal(change_whole(&c, &u, true), MKT_OK);
    assert_true(call_agrees(&c, 0));
    call_close(&c);
}

static void
set_counter(struct mkt_msg *m, const void *arg)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == MKT_PL_T)
            m->pl[i].u.t.value = mkt_span(arg, 4);
}

/* RFC6043:4.2.2.3 a COUNTER may be equal in the answer; with a KEMAC the key stream would repeat.
 */
static void
an_answer_may_repeat_a_counter_unless_it_brings_keys(void **state)
{
    (void)state;
    for (unsigned keys = 0; keys < 2; keys++) {
        struct call c;
        struct change u;
        open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_COUNTER, LM, 0);
        change_init(&u, &c, 3, 0x11);
        key_add(&u.answer_keys, MKT_KEY_TGK, 16, 0, 0x12);
        u.choice.keys = keys != 0 ? &u.answer_keys : NULL;
        assert_int_equal(change_send(&c, &u, true), MKT_OK);
        assert_int_equal(change_offered(&c, &u, true), MKT_OK);
        assert_int_equal(change_accept(&c, &u, true), MKT_OK);
        uint64_t t = time_of(&u.init);
        const uint8_t same[4] = { (uint8_t)(t >> 24), (uint8_t)(t >> 16), (uint8_t)(t >> 8),
                                  (uint8_t)t };
        forge(&c, c.at_bob[0], &u.resp, set_counter, same, &u.init);
        assert_int_equal(change_answered(&c, &u, true), keys != 0 ? MKT_E_REPLAY : MKT_OK);
        call_close(&c);
    }
}

/* --- rekeying -----------------------------------------------------------------------------------
 */

static void
rekeying_is_due_a_while_after_the_last_new_key(void **state)
{
    (void)state;
    const uint64_t every = 90ULL << 32;
    struct call c;
    struct change u;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.want.flags |= LM;
    c.want.rekey = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, every };
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    /* RFC6043:6.10-18 RFC6043:6.10-19 */
    assert_true(mkt_csb_rekey_by(c.at_alice[0]) == NOW + every);
    assert_true(mkt_csb_rekey_by(c.at_bob[0]) == NOW + every);

    c.env.now += 10ULL << 32; /* an update without a key, and one that is not answered yet */
    change_init(&u, &c, 3, 0);
    assert_int_equal(change_whole(&c, &u, true), MKT_OK);
    change_init(&u, &c, 3, 0x11);
    assert_int_equal(change_send(&c, &u, true), MKT_OK);
    assert_int_equal(change_offered(&c, &u, true), MKT_OK);
    assert_true(mkt_csb_rekey_by(c.at_alice[0]) == NOW + every);
    assert_true(mkt_csb_rekey_by(c.at_bob[0]) == NOW + every);

    assert_int_equal(change_accept(&c, &u, true), MKT_OK);
    assert_int_equal(change_answered(&c, &u, true), MKT_OK);
    assert_true(mkt_csb_rekey_by(c.at_alice[0]) == c.env.now + every);
    assert_true(mkt_csb_rekey_by(c.at_bob[0]) == c.env.now + every);
    call_close(&c);
}

static void
a_policy_without_rekeying_time_never_asks_for_it(void **state)
{
    (void)state;
    struct call c;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    assert_true(mkt_csb_rekey_by(c.at_alice[0]) == UINT64_MAX);
    call_close(&c);
}

static void
a_call_can_be_rekeyed_a_thousand_times(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    for (unsigned i = 0; i < 1000; i++) {
        change_init(&u, &c, 3, (uint8_t)(1 + i % 200));
        u.update.answer = i % 5 != 0;
        assert_int_equal(change_whole(&c, &u, i % 3 != 0), MKT_OK);
        assert_true(call_agrees(&c, 0));
        assert_true(c.at_alice[0]->keys.n <= MKT_CSB_KEYS);
    }
    call_close(&c);
}

static void
a_key_in_use_is_never_forgotten(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    struct mkt_secret first, last;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    assert_int_equal(call_keys(&c, c.at_alice[0], &first), MKT_OK);
    for (unsigned i = 0; i < 40; i++) {
        change_init(&u, &c, 3, (uint8_t)(1 + i));
        u.cs[0] = u.cs[1]; /* session 1 keeps the key of the ticket */
        u.update.n_cs = 1;
        assert_int_equal(change_whole(&c, &u, true), MKT_OK);
        assert_true(call_agrees(&c, 0));
    }
    assert_int_equal(call_keys(&c, c.at_bob[0], &last), MKT_OK);
    assert_true(mkt_ct_equal(mkt_secret_span(&first), mkt_secret_span(&last)));
    call_close(&c);
}

/* --- two updates at once ------------------------------------------------------------------------
 */

/* The newer one counts, on both sides. */
static void
of_two_updates_that_cross_the_newer_one_counts(void **state)
{
    (void)state;
    struct call c;
    struct change mine, theirs;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    change_init(&mine, &c, 3, 0x11);
    change_init(&theirs, &c, 4, 0x11); /* even with the same SPI */
    assert_int_equal(change_send(&c, &mine, true), MKT_OK);
    c.env.now += 1ULL << 32;
    assert_int_equal(change_send(&c, &theirs, false), MKT_OK);
    assert_int_equal(change_offered(&c, &mine, true), MKT_E_REPLAY); /* Bob: mine is older */
    assert_int_equal(change_offered(&c, &theirs, false), MKT_OK);    /* Alice: theirs is newer */
    assert_int_equal(change_accept(&c, &theirs, false), MKT_OK);
    assert_int_equal(change_answered(&c, &theirs, false), MKT_OK);
    assert_true(call_agrees(&c, 0));
    change_init(&mine, &c, 5, 0x12); /* and it goes on */
    assert_int_equal(change_whole(&c, &mine, true), MKT_OK);
    assert_true(call_agrees(&c, 0));
    call_close(&c);
}

static void
an_update_that_nobody_answers_is_given_up_by_the_next(void **state)
{
    (void)state;
    struct call c;
    struct change lost, again;
    open_call(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0);
    change_init(&lost, &c, 3, 0x11);
    assert_int_equal(change_send(&c, &lost, true), MKT_OK);
    change_init(&again, &c, 3, 0x11); /* the same key under the same SPI */
    assert_int_equal(change_whole(&c, &again, true), MKT_OK);
    assert_true(call_agrees(&c, 0));
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_side_updates_with_and_without_an_answer),
        cmocka_unit_test(updates_work_without_forking_and_without_either_rand),
        cmocka_unit_test(updates_work_after_an_exchange_without_answer),
        cmocka_unit_test(sessions_not_named_keep_their_keys),
        cmocka_unit_test(both_sides_supply_keys_in_one_update),
        cmocka_unit_test(a_new_tgk_is_not_forked),
        cmocka_unit_test(an_update_supplies_every_kind_of_session_key),
        cmocka_unit_test(no_timestamp_is_used_twice_though_the_clock_stands),
        cmocka_unit_test(updates_go_on_across_the_end_of_the_ntp_era),
        cmocka_unit_test(a_counter_at_its_end_is_not_begun_again),
        cmocka_unit_test(the_timestamp_of_a_refused_update_is_not_used_again),
        cmocka_unit_test(no_timestamp_of_the_initial_exchange_is_used_again),
        cmocka_unit_test(a_randrr_that_was_not_asked_for_is_not_used),
        cmocka_unit_test(an_answer_may_repeat_a_counter_unless_it_brings_keys),
        cmocka_unit_test(rekeying_is_due_a_while_after_the_last_new_key),
        cmocka_unit_test(a_policy_without_rekeying_time_never_asks_for_it),
        cmocka_unit_test(a_call_can_be_rekeyed_a_thousand_times),
        cmocka_unit_test(a_key_in_use_is_never_forgotten),
        cmocka_unit_test(of_two_updates_that_cross_the_newer_one_counts),
        cmocka_unit_test(an_update_that_nobody_answers_is_given_up_by_the_next),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
