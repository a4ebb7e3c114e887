/* SPDX-License-Identifier: Apache-2.0 */
/* What each party does with a message that is altered in one thing and sealed anew, so that the
 * thing itself decides and not the MAC (RFC 6043 4.2, 5.1.2, 5.4, 5.5, 12.1). */
#include "witness.h"

#include "exchange/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct call c;

static void
open_up_to(enum sent s, uint16_t clear)
{
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.want.flags &= (uint16_t)~clear;
    assert_int_equal(call_up_to(&c, s), MKT_OK);
}

static void
seal_again(enum sent s)
{
    struct protection p;
    assert_true(protection_of(&p, &c, s));
    assert_true(seal(sent_message(&c, s), &p, &c));
}

/* The receiver of s; for TRANSFER_INIT until it has the key to verify it. */
static enum mkt_rc
take(enum sent s)
{
    enum mkt_rc rc = call_take(&c, s);
    if (s != TRANSFER_INIT || rc != MKT_OK)
        return rc;
    rc = call_resolve(&c, 0);
    return rc != MKT_OK ? rc : call_resolved(&c, 0);
}

/* --- what is ignored -------------------------------------------------------------------------- */

static void
the_v_flag_is_ignored_in_every_message(void **state)
{
    (void)state;
    for (unsigned s = 0; s < SENT_COUNT; s++) {
        open_up_to((enum sent)s, 0);
        sent_message(&c, (enum sent)s)->b[3] ^= 0x80;
        seal_again((enum sent)s);
        /* RFC6043:4.2.1.1-3 RFC6043:4.2.1.5-2 RFC6043:4.2.2.1-3 RFC6043:4.2.2.3-2
         * RFC6043:4.2.3.1-3 RFC6043:4.2.3.5-2 RFC6043:6.1-1 */
        assert_int_equal(take((enum sent)s), MKT_OK);
        call_close(&c);
    }
}

static void
unexpected_payloads_are_ignored_by_every_party(void **state)
{
    static const uint8_t some[4] = "some";
    const struct mkt_span octets = mkt_span(some, sizeof some);
    const struct mkt_payload unexpected[] = {
        { .type = MKT_PL_GENERAL_EXT, .u.ext = { 200, octets } },
        { .type = MKT_PL_RAND, .u.rand = { octets } },
        { .type = MKT_PL_ID, .u.id = { MKT_ID_BYTES, octets } },
        { .type = MKT_PL_IDR, .u.idr = { MKT_IDR_APP, MKT_ID_BYTES, octets } },
        { .type = MKT_PL_TR, .u.tr = { MKT_TR_S, MKT_TS_NTP_UTC_32, octets } },
        { .type = MKT_PL_ERR },
    };
    (void)state;
    for (unsigned s = 0; s < SENT_COUNT; s++)
        for (size_t u = 0; u < COUNT(unexpected); u++) {
            open_up_to((enum sent)s, 0);
            assert_true(insert(sent_message(&c, (enum sent)s), &unexpected[u], u % 2));
            seal_again((enum sent)s);
            /* RFC6043:4.2.1.4-3 RFC6043:4.2.1.6-2 RFC6043:4.2.2.2-3 RFC6043:4.2.2.4-3
             * RFC6043:4.2.3.4-3 RFC6043:4.2.3.6-3 */
            assert_int_equal(take((enum sent)s), MKT_OK); /* RFC3830:6.15-1 */
            call_close(&c);
        }
}

/* --- what is not ------------------------------------------------------------------------------ */

static void
a_response_with_another_header_is_refused(void **state)
{
    static const struct {
        enum sent s;
        size_t octet;
        uint8_t flip;
        enum mkt_rc rc;
    } bad[] = {
        { REQUEST_RESP, 3, 1, MKT_E_FIELD },   /* PRF func: RFC6043:4.2.1.5-1 */
        { REQUEST_RESP, 7, 1, MKT_E_FIELD },   /* CSB ID */
        { REQUEST_RESP, 8, 1, MKT_E_MAP },     /* #CS */
        { REQUEST_RESP, 9, 3, MKT_E_MAP },     /* CS ID map type */
        { REQUEST_RESP, 0, 2, MKT_E_VERSION }, /* version */
        { RESOLVE_RESP, 3, 1, MKT_E_FIELD },   /* RFC6043:4.2.3.5-1 */
        { RESOLVE_RESP, 4, 0x80, MKT_E_FIELD },
        { RESOLVE_RESP, 8, 1, MKT_E_MAP },
        { RESOLVE_RESP, 9, 3, MKT_E_MAP },
        { TRANSFER_RESP, 3, 1, MKT_E_FIELD }, /* RFC6043:4.2.2.3-1 */
        { TRANSFER_RESP, 5, 1, MKT_E_FIELD },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        open_up_to(bad[i].s, 0);
        struct message *m = sent_message(&c, bad[i].s);
        m->b[bad[i].octet] ^= bad[i].flip;
        if (bad[i].rc != MKT_E_VERSION)
            seal_again(bad[i].s);
        enum mkt_rc rc = call_take(&c, bad[i].s);
        /* RFC3830:6.1-6 */
        if (rc != bad[i].rc)
            fail_msg("%s octet %zu: %s", sent_name(bad[i].s), bad[i].octet, mkt_rc_name(rc));
        call_close(&c);
    }
}

/* --- keys and coverage: each part of 5.1.2 and of Table 5.2 counts -----------------------------
 */

enum part { NOTHING, KEY, PHASE, CSB_ID, RAND_I, RAND_R, FIRST_TAIL, SECOND_TAIL, PARTS };

static const uint8_t other[16] = "other octets";

/* Changes one part of what a message is protected with; false when the message has no such part. */
static bool
spoil(struct protection *p, enum part part)
{
    switch (part) {
    case KEY:
        p->inkey.b[0] ^= 1;
        return true;
    case PHASE:
        p->phase ^= 3;
        return true;
    case CSB_ID:
        p->csb_id ^= 1;
        return true;
    case RAND_I:
        if (p->rand_i.n == 0)
            p->rand_i = mkt_span(other, sizeof other); /* not to be used where it is left out */
        else
            p->rand_i.n--;
        return true;
    case RAND_R:
        if (p->rand_r.n == 0)
            p->rand_r = mkt_span(other, sizeof other);
        else
            p->rand_r.n--;
        return true;
    case FIRST_TAIL:
        p->tail[0].n--;
        return true;
    case SECOND_TAIL:
        if (p->tail[1].n == 0)
            p->tail[1] = p->tail[0];
        else
            p->tail[1].n = 0;
        return true;
    default:
        return part == NOTHING;
    }
}

static void
a_message_protected_in_another_way_is_refused(void **state)
{
    static const uint16_t clear[] = { 0, MKT_TP_I, MKT_TP_G };
    (void)state;
    for (unsigned s = 0; s < SENT_COUNT; s++)
        for (unsigned part = 0; part < PARTS; part++)
            for (size_t f = 0; f < COUNT(clear); f++) {
                struct protection p;
                open_up_to((enum sent)s, clear[f]);
                assert_true(protection_of(&p, &c, (enum sent)s));
                assert_true(spoil(&p, (enum part)part));
                assert_true(seal(sent_message(&c, (enum sent)s), &p, &c));
                enum mkt_rc rc = take((enum sent)s);
                /* RFC6043:4.2.1-1 RFC6043:4.2.3-2 RFC6043:5.1.2-2 RFC6043:5.1.2-3
                 * RFC6043:5.1.2-4 RFC6043:5.1.2-5 RFC6043:5.1.2-6 RFC6043:5.5-1 RFC6043:5.5-4 */
                if (rc != (part == NOTHING ? MKT_OK : MKT_E_AUTH))
                    fail_msg("%s, part %u: %s", sent_name((enum sent)s), part, mkt_rc_name(rc));
                call_close(&c);
            }
}

/* With key forking the two messages of a Ticket Transfer have different MPKs. */
static void
mpki_protects_the_offer_and_mpkr_the_answer(void **state)
{
    struct protection p;
    (void)state;
    open_up_to(TRANSFER_INIT, 0);
    assert_true(protection_of(&p, &c, TRANSFER_INIT));
    p.inkey = mkt_grant_keys(c.grant)->k[1].key; /* MPKr */
    assert_true(seal(&c.init, &p, &c));
    assert_int_equal(take(TRANSFER_INIT), MKT_E_AUTH); /* RFC6043:4.2.3.6-1 RFC6043:4.2.3.5-9 */
    call_close(&c);
    for (size_t k = 0; k < 2; k++) { /* MPKi, and MPKr as it was before it was forked */
        open_up_to(TRANSFER_RESP, 0);
        assert_true(protection_of(&p, &c, TRANSFER_RESP));
        p.inkey = mkt_grant_keys(c.grant)->k[k].key;
        assert_true(seal(&c.resp[0], &p, &c));
        /* RFC6043:4.2.1.5-10 RFC6043:5.1.2-1 RFC6043:5.1-2 RFC6043:5.1.1-1 */
        assert_int_equal(call_answered(&c, 0), MKT_E_AUTH);
        call_close(&c);
    }
}

/* --- what must be there when the policy says so ------------------------------------------------
 */

static void
an_answer_lacks_nothing_that_the_policy_demands(void **state)
{
    static const struct {
        uint16_t type;
        uint8_t role;
    } demanded[] = {
        { MKT_PL_RANDR, MKT_RANDR_R },   /* G: RFC6043:6.10-5 */
        { MKT_PL_RANDR, MKT_RANDR_KMS }, /* I: RFC6043:4.2.2.3-12 */
        { MKT_PL_IDR, MKT_IDR_R },       /* I: RFC6043:4.2.2.3-10 */
    };
    (void)state;
    for (size_t i = 0; i < COUNT(demanded); i++) {
        open_up_to(TRANSFER_RESP, 0);
        assert_int_equal(without(&c.resp[0], demanded[i].type, demanded[i].role), 1);
        assert_int_equal(call_answered(&c, 0), MKT_E_MISSING_PAYLOAD);
        call_close(&c);
        if (demanded[i].role == MKT_RANDR_R && demanded[i].type == MKT_PL_RANDR)
            continue;
        open_up_to(RESOLVE_RESP, 0); /* the KMS sends both, too: RFC6043:4.2.3.5-11 */
        assert_int_equal(without(&c.resolved[0], demanded[i].type, demanded[i].role), 1);
        seal_again(RESOLVE_RESP);
        assert_int_equal(call_resolved(&c, 0), MKT_E_MISSING_PAYLOAD);
        call_close(&c);
    }
}

/* Without forking a modifier is not asked for; what the KMS sent is passed on as it is. */
static void
a_modifier_that_came_is_passed_on(void **state)
{
    static const uint8_t octets[16] = "a random string";
    const struct mkt_payload rand = { .type = MKT_PL_RANDR,
                                      .u.randr = { MKT_RANDR_KMS, mkt_span(octets, 16) } };
    struct mkt_payload name = { .type = MKT_PL_IDR, .u.idr = { .role = MKT_IDR_R } };
    struct mkt_msg m;
    struct mkt_err err = { 0 };
    (void)state;
    open_up_to(RESOLVE_RESP, MKT_TP_I);
    name.u.idr.id_type = c.bob[1].type;
    name.u.idr.data = c.bob[1].data;
    assert_true(insert(&c.resolved[0], &rand, 1));
    assert_true(insert(&c.resolved[0], &name, 1));
    seal_again(RESOLVE_RESP);
    assert_int_equal(call_resolved(&c, 0), MKT_OK);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(c.resp[0].b, c.resp[0].n), &err), MKT_OK);
    const struct mkt_payload *sent = mkt_msg_find(&m, MKT_PL_RANDR, MKT_RANDR_KMS);
    assert_non_null(sent); /* RFC6043:4.2.2.3-12 */
    assert_memory_equal(sent->u.randr.rand.p, octets, 16);
    sent = mkt_msg_find(&m, MKT_PL_IDR, MKT_IDR_R);
    assert_non_null(sent);
    assert_int_equal(sent->u.idr.data.n, c.bob[1].data.n); /* RFC6043:4.2.2.3-10 */
    assert_memory_equal(sent->u.idr.data.p, c.bob[1].data.p, c.bob[1].data.n);
    assert_int_equal(call_answered(&c, 0), MKT_OK);
    call_close(&c);
}

/* Who answers may have another name than who was called. */
static void
the_answer_names_who_answered(void **state)
{
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.offer.responder = mkt_uri("sip:it-support@example.com");
    assert_int_equal(call_whole(&c, 2), MKT_OK);
    for (size_t k = 0; k < RESPONDERS; k++)
        /* RFC6043:4.2.2.3-11 RFC6043:4.2.3.5-12 RFC6043:5.5-3 */
        assert_true(mkt_identity_equal(mkt_csb_peer(c.at_alice[k]), c.bob[k]));
    call_close(&c);
}

/* --- RANDs as long as the keys they protect (12.1) ----------------------------------------------
 */

static void
a_rand_shorter_than_the_key_is_refused(void **state)
{
    static const struct {
        enum sent s;
        uint8_t role;
    } rands[] = {
        { REQUEST_INIT, MKT_RANDR_I },    { TRANSFER_INIT, MKT_RANDR_I },
        { RESOLVE_INIT, MKT_RANDR_R },    { RESOLVE_RESP, MKT_RANDR_KMS },
        { TRANSFER_RESP, MKT_RANDR_KMS },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rands); i++)
        for (size_t n = 15; n <= 16; n++) {
            enum sent s = rands[i].s;
            uint8_t octets[16];
            struct mkt_msg m;
            struct mkt_err err = { 0 };
            open_up_to(s, MKT_TP_G); /* RANDRi alone */
            struct message *sent = sent_message(&c, s);
            assert_int_equal(mkt_msg_parse(&m, mkt_span(sent->b, sent->n), &err), MKT_OK);
            struct mkt_payload pl = *mkt_msg_find(&m, MKT_PL_RANDR, rands[i].role);
            memcpy(octets, pl.u.randr.rand.p, sizeof octets);
            pl.u.randr.rand = mkt_span(octets, n);
            assert_int_equal(without(sent, MKT_PL_RANDR, rands[i].role), 1);
            assert_true(insert(sent, &pl, 1));
            seal_again(s);
            enum mkt_rc rc = take(s);
            /* RFC3830:6.11-2 */
            if (rc != (n == 16 ? MKT_OK : MKT_E_SHORT_RAND)) /* RFC6043:12.1-5 */
                fail_msg("%s with %zu octets: %s", sent_name(s), n, mkt_rc_name(rc));
            call_close(&c);
        }
}

/* Key Data as it stands in a KEMAC, read for a suite. */
static enum mkt_rc
read_key(uint8_t type, uint8_t kv, size_t n, uint8_t prf)
{
    static const uint8_t octets[64];
    uint8_t buf[128];
    struct mkt_writer w = mkt_w_open(buf, sizeof buf);
    struct mkt_keys keys = { .n = 0 };
    struct mkt_err err = { 0 };
    mkt_pl_write(&w, &(struct mkt_payload){ .type = MKT_PL_KEY_DATA,
                                            .u.key_data = { .type = type,
                                                            .kv = kv,
                                                            .key = mkt_span(octets, n),
                                                            .spi = mkt_span(octets, 4) } });
    assert_false(w.overflow);
    enum mkt_rc rc = mkt_keys_read(&keys, mkt_span(buf, w.len), 0, mkt_suite_of(prf), &err);
    assert_int_equal(keys.n, rc == MKT_OK);
    mkt_keys_wipe(&keys);
    return rc;
}

static void
keys_have_an_spi_128_bits_and_a_suite_of_their_strength(void **state)
{
    static const uint8_t types[] = { MKT_KEY_TGK, MKT_KEY_TEK, MKT_KEY_GTGK };
    const uint8_t low = MKT_PRF_MIKEY_1, high = MKT_PRF_HMAC_SHA_256;
    (void)state;
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_int_equal(read_key(types[i], MKT_KV_SPI, 16, low), MKT_OK);
        assert_int_equal(read_key(types[i], MKT_KV_NULL, 16, low), MKT_E_KEY_DATA);
        assert_int_equal(read_key(types[i], MKT_KV_INTERVAL, 16, low),
                         MKT_E_KEY_DATA); /* RFC6043:6.2.1-2 */
        assert_int_equal(read_key(types[i], MKT_KV_SPI, 15, low),
                         MKT_E_WEAK_KEY); /* RFC6043:12.1-4 */
        assert_int_equal(read_key(types[i], MKT_KV_SPI, 17, low), MKT_E_SUITE_MIX);
        assert_int_equal(read_key(types[i], MKT_KV_SPI, 32, low),
                         MKT_E_SUITE_MIX); /* RFC6043:12.1-9 */
        assert_int_equal(read_key(types[i], MKT_KV_SPI, 32, high), MKT_OK);
    }
    assert_int_equal(read_key(MKT_KEY_MPK, MKT_KV_SPI, 15, low), MKT_E_WEAK_KEY);
}

/* Algorithms of the two levels in one message (12.1): the header's, V's, KEMAC's, the ticket's. */
static void
algorithms_of_two_levels_are_not_mixed(void **state)
{
    struct mkt_msg m;
    (void)state;
    for (unsigned s = 0; s < SENT_COUNT; s++) {
        static const uint16_t types[] = { MKT_PL_V, MKT_PL_KEMAC, MKT_PL_TP, MKT_PL_TICKET };
        for (size_t t = 0; t < COUNT(types); t++) {
            struct mkt_err err = { 0 };
            const struct mkt_suite *suite;
            open_up_to((enum sent)s, 0);
            struct message *sent = sent_message(&c, (enum sent)s);
            assert_int_equal(mkt_msg_parse(&m, mkt_span(sent->b, sent->n), &err), MKT_OK);
            assert_int_equal(mkt_ex_suite(&suite, &m, &err), MKT_OK);
            struct mkt_payload *pl = NULL;
            for (size_t i = 0; i < m.n; i++)
                if (m.pl[i].type == types[t])
                    pl = &m.pl[i];
            if (pl != NULL) {
                if (types[t] == MKT_PL_V)
                    pl->u.v.auth_alg = MKT_MAC_HMAC_SHA_256_256;
                else if (types[t] == MKT_PL_KEMAC)
                    pl->u.kemac.encr_alg = MKT_ENCR_AES_CM_256;
                else
                    pl->u.ticket.prf = MKT_PRF_HMAC_SHA_256;
                /* RFC3830:5.3-2 */
                assert_int_not_equal(mkt_ex_suite(&suite, &m, &err), MKT_OK); /* RFC6043:12.1-8 */
            }
            call_close(&c);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_v_flag_is_ignored_in_every_message),
        cmocka_unit_test(unexpected_payloads_are_ignored_by_every_party),
        cmocka_unit_test(a_response_with_another_header_is_refused),
        cmocka_unit_test(a_message_protected_in_another_way_is_refused),
        cmocka_unit_test(mpki_protects_the_offer_and_mpkr_the_answer),
        cmocka_unit_test(an_answer_lacks_nothing_that_the_policy_demands),
        cmocka_unit_test(a_modifier_that_came_is_passed_on),
        cmocka_unit_test(the_answer_names_who_answered),
        cmocka_unit_test(a_rand_shorter_than_the_key_is_refused),
        cmocka_unit_test(keys_have_an_spi_128_bits_and_a_suite_of_their_strength),
        cmocka_unit_test(algorithms_of_two_levels_are_not_mixed),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("what is received", tests, NULL, NULL);
}
