/* SPDX-License-Identifier: Apache-2.0 */
/* Session keys that a party supplies in the Ticket Transfer itself (RFC
 * 6043 4.2.2.1, 4.2.2.3, 6.10, 8): L lets the Initiator, M the Responder, and nobody else is heard.
 */
#include "three_party.h"

#include "exchange/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define LM (MKT_TP_L | MKT_TP_M)

static const uint8_t prfs[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };

static const struct {
    uint8_t type, salt;
} kinds[] = { { MKT_KEY_TGK, 0 },       { MKT_KEY_TGK_SALT, 14 }, { MKT_KEY_TEK, 0 },
              { MKT_KEY_TEK_SALT, 14 }, { MKT_KEY_GTGK, 0 },      { MKT_KEY_GTGK_SALT, 14 } };

/* A ticket without session keys. */
static void
open_bare(struct call *c, uint8_t prf, uint16_t set, uint16_t clear)
{
    assert_true(call_open(c, prf, MKT_TS_NTP_UTC));
    c->want.flags = (uint16_t)((c->want.flags | set) & ~clear);
    c->want.has_kemac = true;
    c->want.n_wanted = 0;
    assert_int_equal(call_until_grant(c), MKT_OK);
}

static const struct mkt_payload *
kemac_of(const struct message *m, struct mkt_msg *parsed)
{
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    return mkt_msg_find(parsed, MKT_PL_KEMAC, 0);
}

static void
either_party_supplies_keys_of_every_kind(void **state)
{
    (void)state;
    for (size_t n = 0; n < COUNT(prfs) * COUNT(kinds) * 4; n++) {
        uint8_t prf = prfs[n % 2], type = kinds[n / 2 % 6].type, salt = kinds[n / 2 % 6].salt;
        bool by_alice = n / 12 % 2 == 0, forks = n / 24 == 0;
        struct call c;
        struct mkt_keys keys = { 0 };
        struct mkt_msg m;
        open_bare(&c, prf, by_alice ? MKT_TP_L : MKT_TP_M, forks ? 0 : MKT_TP_I);
        key_add(&keys, type, mkt_suite_of(prf)->key_len, salt, 0x61);
        if (by_alice)
            c.offer.keys = &keys;
        else
            c.choice.keys = &keys;
        assert_int_equal(call_transfer(&c, 0), MKT_OK);
        assert_true(call_agrees(&c, 0));
        /* RFC6043:4.2.2.1-6 RFC6043:4.2.2.3-15 RFC6043:4.2.2.3-16 RFC6043:6.10-10
         * RFC6043:6.10-11 RFC6043:8-1 */
        assert_int_equal(kemac_of(&c.init, &m) != NULL, by_alice);
        assert_int_equal(kemac_of(&c.resp[0], &m) != NULL, !by_alice);
        struct mkt_session s;
        assert_int_equal(mkt_csb_session(c.at_bob[0], 0, &s), MKT_OK);
        assert_true(mkt_ct_equal(s.spi, mkt_span(keys.k[0].spi, 4)));
        if (type == MKT_KEY_TEK || type == MKT_KEY_TEK_SALT) { /* used as it is */
            struct mkt_secret tek, got_salt;
            assert_int_equal(mkt_csb_derive(c.at_alice[0], c.crypto, 0, &tek, &got_salt, &c.io.err),
                             MKT_OK);
            assert_true(mkt_ct_equal(mkt_secret_span(&tek), mkt_secret_span(&keys.k[0].key)));
            assert_true(mkt_ct_equal(mkt_secret_span(&got_salt), mkt_secret_span(&keys.k[0].salt)));
        }
        call_close(&c);
    }
}

/* 5.1.1, 5.2-12: only what the ticket holds forks. */
static void
a_supplied_tgk_is_the_same_for_every_responder(void **state)
{
    (void)state;
    struct call c;
    struct mkt_keys keys = { 0 };
    struct mkt_secret one, two;
    open_bare(&c, MKT_PRF_MIKEY_1, MKT_TP_L, MKT_TP_G);
    key_add(&keys, MKT_KEY_TGK, 16, 0, 0x61);
    c.offer.keys = &keys;
    assert_int_equal(call_offer(&c), MKT_OK);
    for (size_t k = 0; k < 2; k++) {
        assert_int_equal(call_offered(&c, k), MKT_OK);
        assert_int_equal(call_accept(&c, k), MKT_OK);
        assert_int_equal(call_resolve(&c, k), MKT_OK);
        assert_int_equal(call_resolved(&c, k), MKT_OK);
        assert_int_equal(call_answered(&c, k), MKT_OK);
        assert_true(call_agrees(&c, k));
    }
    assert_int_equal(call_keys(&c, c.at_bob[0], &one), MKT_OK);
    assert_int_equal(call_keys(&c, c.at_bob[1], &two), MKT_OK);
    assert_true(mkt_ct_equal(mkt_secret_span(&one), mkt_secret_span(&two)));
    call_close(&c);
}

static void
keys_come_from_the_ticket_and_from_both_parties_at_once(void **state)
{
    (void)state;
    struct call c;
    struct mkt_keys a = { 0 }, b = { 0 };
    struct mkt_choose_cs choose[3];
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.want.flags |= LM;
    assert_int_equal(call_until_grant(&c), MKT_OK);
    key_add(&a, MKT_KEY_TGK, 16, 0, 0x61);
    key_add(&b, MKT_KEY_TEK_SALT, 16, 14, 0x62);
    const struct mkt_key *own = &mkt_grant_keys(c.grant)->k[2];
    const struct mkt_span spis[3] = { mkt_span(own->spi, own->spi_len), mkt_span(a.k[0].spi, 4),
                                      mkt_span(b.k[0].spi, 4) };
    for (uint8_t i = 0; i < 3; i++)
        choose[i] = (struct mkt_choose_cs){ .cs_id = (uint8_t)(i + 1), .spi = spis[i] };
    c.offer.keys = &a;
    c.choice = (struct mkt_choice){ .cs = choose, .n_cs = 3, .keys = &b };
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    assert_int_equal(mkt_csb_count(c.at_alice[0]), 3);
    assert_true(call_agrees(&c, 0));
    call_close(&c);
}

static void
an_initiator_supplies_keys_though_nobody_answers(void **state)
{
    (void)state;
    struct call c;
    struct mkt_keys keys = { 0 };
    open_bare(&c, MKT_PRF_MIKEY_1, MKT_TP_L, MKT_TP_F | MKT_TP_G | MKT_TP_I);
    key_add(&keys, MKT_KEY_TGK, 16, 0, 0x61);
    c.offer.keys = &keys;
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    assert_true(call_agrees(&c, 0));
    call_close(&c);
}

/* --- what must not work
 * ------------------------------------------------------------------------------ */

static void
keys_without_the_flag_are_not_sent(void **state)
{
    (void)state;
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        struct call c;
        struct mkt_keys keys = { 0 };
        open_bare(&c, MKT_PRF_MIKEY_1, by_alice != 0 ? MKT_TP_M : MKT_TP_L, 0);
        key_add(&keys, MKT_KEY_TGK, 16, 0, 0x61);
        if (by_alice != 0) {
            c.offer.keys = &keys;
            /* RFC6043:4.2.2.1-7 RFC6043:6.10-10 */
            assert_int_equal(call_offer(&c), MKT_E_KEY_DATA);
            assert_int_equal(c.init.n, 0);
        } else {
            c.choice.keys = &keys;
            /* RFC6043:4.2.2.3-17 RFC6043:6.10-11 */
            assert_int_equal(call_transfer(&c, 0), MKT_E_KEY_DATA);
            assert_int_equal(c.resp[0].n, 0);
            assert_null(c.at_bob[0]);
        }
        call_close(&c);
    }
}

/* RFC6043:4.2.2.1 the flag is the ticket's: an Initiator that ignores it is not heard. */
static void
keys_without_the_flag_are_not_taken(void **state)
{
    (void)state;
    for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
        struct call c;
        struct mkt_keys keys = { 0 };
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
        assert_int_equal(call_until_grant(&c), MKT_OK);
        key_add(&keys, MKT_KEY_TGK, 16, 0, 0x61);
        if (by_alice != 0) {
            c.grant->policy.flags |= MKT_TP_L; /* as she would have it */
            c.offer.keys = &keys;
            assert_int_equal(call_offer(&c), MKT_OK);
            assert_int_equal(call_offered(&c, 0), MKT_E_KEY_DATA); /* RFC6043:4.2.2.1-7 */
        } else {
            mkt_grant_free(c.grant);
            c.grant = NULL;
            c.want.flags |= MKT_TP_M;
            c.choice.keys = &keys;
            assert_int_equal(call_until_grant(&c), MKT_OK);
            assert_int_equal(call_offer(&c), MKT_OK);
            assert_int_equal(call_offered(&c, 0), MKT_OK);
            assert_int_equal(call_accept(&c, 0), MKT_OK);
            assert_int_equal(call_resolve(&c, 0), MKT_OK);
            assert_int_equal(call_resolved(&c, 0), MKT_OK);
            c.grant->policy.flags &= (uint16_t)~MKT_TP_M;           /* what Alice's ticket says */
            assert_int_equal(call_answered(&c, 0), MKT_E_KEY_DATA); /* RFC6043:4.2.2.3-17 */
            assert_null(c.at_alice[0]);
        }
        call_close(&c);
    }
}

static void
unfit_keys_are_not_sent(void **state)
{
    (void)state;
    static const struct {
        uint8_t prf, type, len, salt, kv, spi_len;
        enum mkt_rc want;
    } cases[] = {
        { 0, MKT_KEY_MPK, 16, 0, MKT_KV_SPI, 4, MKT_E_KEY_DATA },
        { 0, MKT_KEY_TGK, 15, 0, MKT_KV_SPI, 4, MKT_E_WEAK_KEY },
        { 0, MKT_KEY_TEK, 32, 0, MKT_KV_SPI, 4, MKT_E_SUITE_MIX },
        { 1, MKT_KEY_TEK, 33, 0, MKT_KV_SPI, 4, MKT_E_SUITE_MIX },
        { 0, MKT_KEY_TGK, 16, 14, MKT_KV_SPI, 4, MKT_E_KEY_DATA },
        { 0, MKT_KEY_GTGK_SALT, 16, 0, MKT_KV_SPI, 4, MKT_E_KEY_DATA },
        { 0, MKT_KEY_TGK, 16, 0, MKT_KV_NULL, 4, MKT_E_KEY_DATA }, /* RFC6043:6.2.1 */
        { 0, MKT_KEY_TGK, 16, 0, MKT_KV_INTERVAL, 4, MKT_E_KEY_DATA },
        { 0, MKT_KEY_TGK, 16, 0, MKT_KV_SPI, 0, MKT_E_KEY_DATA },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (unsigned by_alice = 0; by_alice < 2; by_alice++) {
            struct call c;
            struct mkt_keys keys = { 0 };
            open_bare(&c, prfs[cases[i].prf], LM, 0);
            key_add(&keys, cases[i].type, cases[i].len, cases[i].salt, 0x61);
            keys.k[0].kv = cases[i].kv;
            keys.k[0].spi_len = cases[i].spi_len;
            if (by_alice != 0)
                c.offer.keys = &keys;
            else
                c.choice.keys = &keys;
            assert_int_equal(call_transfer(&c, 0), cases[i].want);
            assert_null(c.at_bob[0]);
            call_close(&c);
        }
}

static void
one_spi_stands_for_one_key(void **state)
{
    (void)state;
    struct call c;
    struct mkt_keys a = { 0 }, b = { 0 };
    open_bare(&c, MKT_PRF_MIKEY_1, LM, 0);
    key_add(&a, MKT_KEY_TGK, 16, 0, 0x61);
    key_add(&a, MKT_KEY_TGK, 16, 0, 0x61);
    c.offer.keys = &a;
    assert_int_equal(call_offer(&c), MKT_E_KEY_DATA);
    a.n = 1;
    key_add(&b, MKT_KEY_TEK, 16, 0, 0x61);
    c.choice.keys = &b; /* Bob's key under the SPI of Alice's */
    assert_int_equal(call_transfer(&c, 0), MKT_E_KEY_DATA);
    assert_null(c.at_bob[0]);
    call_close(&c);
}

static void
a_ticket_without_keys_needs_keys_from_somebody(void **state)
{
    (void)state;
    struct call c;
    open_bare(&c, MKT_PRF_MIKEY_1, LM, 0);
    assert_int_equal(call_transfer(&c, 0), MKT_E_KEY_DATA); /* RFC6043:5.2-9 */
    assert_null(c.at_bob[0]);
    call_close(&c);
}

/* RFC6043:4.2.2.1, 12.1: the KEMAC is under MPKi and covered by V. */
static void
a_changed_octet_of_the_supplied_keys_is_noticed(void **state)
{
    (void)state;
    struct call c;
    struct mkt_keys keys = { 0 };
    struct mkt_msg m;
    open_bare(&c, MKT_PRF_MIKEY_1, MKT_TP_L, MKT_TP_I);
    key_add(&keys, MKT_KEY_TGK, 16, 0, 0x61);
    c.offer.keys = &keys;
    assert_int_equal(call_offer(&c), MKT_OK);
    size_t at = kemac_of(&c.init, &m)->at, n = kemac_of(&c.init, &m)->raw.n;
    for (size_t i = at + 4; i < at + n - 1; i++) {
        c.init.b[i] ^= 1;
        enum mkt_rc rc = call_offered(&c, 0);
        rc = rc != MKT_OK ? rc : call_accept(&c, 0);
        rc = rc != MKT_OK ? rc : call_resolve(&c, 0);
        rc = rc != MKT_OK ? rc : call_resolved(&c, 0);
        assert_int_equal(rc, MKT_E_AUTH);
        assert_null(c.at_bob[0]);
        c.init.b[i] ^= 1;
    }
    call_close(&c);
}

/* A forked call: the keys of one Bob's answer are under his MPKr' and reach no other. */
static void
keys_in_an_answer_are_for_the_initiator_alone(void **state)
{
    (void)state;
    struct call c;
    struct mkt_keys keys = { 0 };
    open_bare(&c, MKT_PRF_MIKEY_1, MKT_TP_M, 0);
    key_add(&keys, MKT_KEY_TEK_SALT, 16, 14, 0x61);
    c.choice.keys = &keys;
    assert_int_equal(call_transfer(&c, 0), MKT_OK);
    struct mkt_msg m;
    const struct mkt_payload *kemac = kemac_of(&c.resp[0], &m);
    /* read with the key of TRANSFER_INIT, which every responder has */
    struct mkt_msg_keys mk = { 0 };
    struct mkt_inkey_ref inkey;
    struct mkt_keys out = { 0 };
    struct mkt_err err = { 0 };
    struct mkt_msg init;
    (void)kemac_of(&c.init, &init);
    const struct mkt_label label = mkt_transfer_label(
        true, m.hdr.csb_id, mkt_ex_randr(&init, MKT_RANDR_I), mkt_ex_randr(&m, MKT_RANDR_R));
    mkt_inkey_ref_init(&inkey, &mkt_grant_keys(c.grant)->k[0].key);
    assert_true(mkt_derive_msg_keys(&mk, &inkey.base, c.crypto, mkt_suite_of(MKT_PRF_MIKEY_1),
                                    &label, MKT_WANT_ALL));
    enum mkt_rc rc =
        mkt_kemac_read(&out, kemac, c.crypto, &mk, m.hdr.csb_id, mkt_ex_time(&m).value, &err);
    assert_true(rc != MKT_OK ||
                !mkt_ct_equal(mkt_secret_span(&out.k[0].key), mkt_secret_span(&keys.k[0].key)));
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_party_supplies_keys_of_every_kind),
        cmocka_unit_test(a_supplied_tgk_is_the_same_for_every_responder),
        cmocka_unit_test(keys_come_from_the_ticket_and_from_both_parties_at_once),
        cmocka_unit_test(an_initiator_supplies_keys_though_nobody_answers),
        cmocka_unit_test(keys_without_the_flag_are_not_sent),
        cmocka_unit_test(keys_without_the_flag_are_not_taken),
        cmocka_unit_test(unfit_keys_are_not_sent),
        cmocka_unit_test(one_spi_stands_for_one_key),
        cmocka_unit_test(a_ticket_without_keys_needs_keys_from_somebody),
        cmocka_unit_test(a_changed_octet_of_the_supplied_keys_is_noticed),
        cmocka_unit_test(keys_in_an_answer_are_for_the_initiator_alone),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
