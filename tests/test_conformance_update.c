/* SPDX-License-Identifier: Apache-2.0 */
/* CSB updates with a second opinion on their keys (RFC 6043 5.2): MAC and KEMAC of both messages
 * are under the keys of the last message of the initial exchange, whoever starts. */
#include "witness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct call c;

static const struct {
    uint8_t prf, ts_type;
    uint16_t clear;
} calls[] = {
    { MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, 0 },
    { MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC_32, MKT_TP_I },
    { MKT_PRF_HMAC_SHA_256, MKT_TS_COUNTER, MKT_TP_G },
    { MKT_PRF_HMAC_SHA_256, MKT_TS_NTP, MKT_TP_F | MKT_TP_G | MKT_TP_I | MKT_TP_M },
};

/* The protection of an update: that of the last message, with other tails. */
static void
protect(struct protection *p)
{
    bool answered = (mkt_grant_policy(c.grant)->flags & MKT_TP_F) != 0;
    assert_true(protection_of(p, &c, answered ? TRANSFER_RESP : TRANSFER_INIT));
    p->tail[0] = p->tail[1] = mkt_span(NULL, 0);
}

/* m has the MAC of p, and its KEMAC opens to the one key. */
static void
assert_protected(const struct message *m, const struct protection *p, const struct mkt_key *key)
{
    struct message again = *m;
    struct mkt_msg parsed;
    struct mkt_payload data;
    uint8_t clear[1024];
    size_t used = 0;
    struct mkt_err err = { 0 };
    memset(again.b + again.n - 20, 0, 20);
    assert_true(seal(&again, p, &c));
    assert_memory_equal(again.b, m->b, m->n); /* RFC6043:5.2-6 */
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    const struct mkt_payload *kemac = mkt_msg_find(&parsed, MKT_PL_KEMAC, 0);
    assert_non_null(kemac);
    assert_int_equal(kemac->u.kemac.mac_alg, MKT_MAC_NULL); /* RFC6043:5.2-10 */
    size_t n = open_kemac(clear, m, p, &c);
    assert_int_equal(mkt_payload_decode(&data, MKT_PL_KEY_DATA, mkt_span(clear, n), &used, &err),
                     MKT_OK);
    assert_int_equal(used, n);
    assert_int_equal(data.u.key_data.type, key->type);
    assert_int_equal(data.u.key_data.key.n, key->key.n);
    /* RFC6043:5.2-11 RFC6043:5.2-7; not forked: RFC6043:5.2-12 */
    assert_memory_equal(data.u.key_data.key.p, key->key.b, key->key.n);
}

static struct mkt_keys
one_key(uint8_t spi, uint16_t n)
{
    struct mkt_keys keys = { .n = 1 };
    keys.k[0].type = MKT_KEY_TGK;
    keys.k[0].kv = MKT_KV_SPI;
    keys.k[0].spi_len = 4;
    memset(keys.k[0].spi, spi, 4);
    keys.k[0].key.n = n;
    memset(keys.k[0].key.b, spi ^ 0x5A, n);
    return keys;
}

static void
update_of_alice(size_t i)
{
    uint16_t len = mkt_suite_of(calls[i].prf)->key_len;
    const struct mkt_keys hers = one_key(0x11, len), his = one_key(0x22, len);
    bool answer = (calls[i].clear & MKT_TP_F) == 0;
    struct mkt_offer_cs cs = {
        .cs_id = 9, .prot_type = MKT_PROT_SRTP, .n_policies = 1, .has_ssrc = true, .ssrc = 5
    };
    struct protection p;
    struct message init, resp;
    cs.spi = mkt_span(hers.k[0].spi, 4);
    const struct mkt_update u = {
        .cs = &cs, .n_cs = 1, .keys = &hers, .answer = answer, .identities = i == 0
    };
    struct mkt_io io = { .out = init.b, .cap = sizeof init.b };
    assert_int_equal(mkt_csb_update(c.at_alice[0], &c.env, &u, &io), MKT_NEXT_SEND_PEER);
    init.n = io.out_len;
    protect(&p);
    p.tail[0] = c.alice.data;
    p.tail[1] = c.bob[0].data;
    assert_protected(&init, &p, &hers.k[0]); /* RFC6043:5.2-6 RFC6043:5.2-10 RFC6043:5.2-11 */
    io = (struct mkt_io){ .in = mkt_span(init.b, init.n) };
    assert_int_equal(mkt_csb_update_offered(c.at_bob[0], &c.env, SKEW_S, &io),
                     answer ? MKT_NEXT_ASK : MKT_NEXT_DONE); /* RFC6043:5.2-2 */
    if (!answer)
        return;
    const struct mkt_choice choice = { .keys = &his };
    io = (struct mkt_io){ .out = resp.b, .cap = sizeof resp.b };
    assert_int_equal(mkt_csb_update_accept(c.at_bob[0], &c.env, &choice, &io), MKT_NEXT_SEND_PEER);
    resp.n = io.out_len;
    protect(&p);
    p.tail[0] = mkt_span(init.b, init.n);
    assert_protected(&resp, &p, &his.k[0]); /* RFC6043:5.2-6 RFC6043:5.2-11 RFC6043:5.2-12 */
    io = (struct mkt_io){ .in = mkt_span(resp.b, resp.n) };
    assert_int_equal(mkt_csb_updated(c.at_alice[0], &c.env, &io), MKT_NEXT_DONE);
}

static void
update_of_bob(size_t i)
{
    uint16_t len = mkt_suite_of(calls[i].prf)->key_len;
    const struct mkt_keys his = one_key(0x33, len);
    struct mkt_offer_cs cs = {
        .cs_id = 9, .prot_type = MKT_PROT_SRTP, .n_policies = 1, .has_ssrc = true, .ssrc = 5
    };
    struct protection p;
    struct message init;
    cs.spi = mkt_span(his.k[0].spi, 4);
    const struct mkt_update u = { .cs = &cs, .n_cs = 1, .keys = &his };
    struct mkt_io io = { .out = init.b, .cap = sizeof init.b };
    if ((calls[i].clear & MKT_TP_M) != 0)
        return;
    assert_int_equal(mkt_csb_update(c.at_bob[0], &c.env, &u, &io), MKT_NEXT_SEND_PEER);
    init.n = io.out_len;
    protect(&p);
    p.tail[0] = c.alice.data; /* the roles of the initial exchange (Table 5.2) */
    p.tail[1] = c.bob[0].data;
    assert_protected(&init, &p, &his.k[0]); /* RFC6043:5.2-6 RFC6043:5.2-11 RFC6043:5.2-12 */
    io = (struct mkt_io){ .in = mkt_span(init.b, init.n) };
    assert_int_equal(mkt_csb_update_offered(c.at_alice[0], &c.env, SKEW_S, &io), MKT_NEXT_DONE);
}

static void
updates_are_protected_like_the_last_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(calls); i++) {
        assert_true(call_open(&c, calls[i].prf, calls[i].ts_type));
        c.want.flags |= MKT_TP_L | MKT_TP_M;
        c.want.flags &= (uint16_t)~calls[i].clear;
        assert_int_equal(call_whole(&c, 1), MKT_OK);
        update_of_alice(i);
        update_of_bob(i);
        call_close(&c);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_are_protected_like_the_last_message),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("updates", tests, NULL, NULL);
}
