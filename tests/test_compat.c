/* SPDX-License-Identifier: Apache-2.0 */
/* Compatibility tickets (RFC 6043 B.1) against a Responder that was written from RFC 3830 alone:
 * what he opens and what he derives. */
#include "compat_call.h"
#include "rfc3830_peer.h"

#include "hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static struct octets
octets_of(struct mkt_span s)
{
    return (struct octets){ s.p, s.n };
}

static const struct octets whole_psk = { compat_psk, 16 };

static struct mkt_compat
message_of(struct call *c)
{
    struct mkt_compat compat;
    assert_int_equal(mkt_grant_compat(c->grant, &c->env, &compat, &c->io.err), MKT_OK);
    return compat;
}

/* Until Alice has the message that she is to send. */
static struct mkt_compat
until_message(struct call *c)
{
    assert_int_equal(call_until_grant(c), MKT_OK);
    return message_of(c);
}

static void
compare_session(struct call *c, const struct i_message *bob, uint8_t cs_id)
{
    MKT_SCOPED_SECRET
    tek = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };
    uint8_t bobs_tek[16], bobs_salt[14];

    assert_int_equal(mkt_grant_compat_derive(c->grant, &c->env, cs_id, &tek, &salt, &c->io.err),
                     MKT_OK);
    assert_true(peer_derive(bob, 0x2AD01C64, cs_id, bobs_tek, sizeof bobs_tek));
    assert_true(peer_derive(bob, 0x39A2C14B, cs_id, bobs_salt, sizeof bobs_salt));
    assert_int_equal(tek.n, sizeof bobs_tek);
    assert_memory_equal(tek.b, bobs_tek, tek.n); /* RFC3830:4.1.3-1 */
    if (bob->key_type == MKT_KEY_TGK) {
        assert_int_equal(salt.n, sizeof bobs_salt);
        assert_memory_equal(salt.b, bobs_salt, salt.n);
        return;
    }
    assert_int_equal(salt.n, bob->salt.n); /* RFC3830:4.1.3-4 carried: not derived */
    assert_memory_equal(salt.b, bob->salt.p, salt.n);
}

static void
run_combination(uint8_t subtype, bool with_salt, size_t psk_len)
{
    struct call c;
    struct i_message bob;
    uint8_t tek[2][16];

    assert_true(compat_call_open(&c, subtype, psk_len));
    if (with_salt)
        compat_want_key(&c, MKT_KEY_TGK_SALT, 16, 14);
    struct mkt_compat compat = until_message(&c);
    assert_null(peer_read(&bob, octets_of(compat.message)));
    assert_null(peer_open(&bob, (struct octets){ compat_psk, psk_len })); /* RFC3830:4.1.4-1 */
    assert_int_equal(bob.key_type, with_salt ? MKT_KEY_TGK_SALT : MKT_KEY_TGK);
    assert_int_equal(bob.tgk.n, 16);
    for (uint8_t cs = 1; cs <= compat.n_cs; cs++) /* RFC6043:6.10-12 */
        compare_session(&c, &bob, cs);
    assert_true(peer_derive(&bob, 0x2AD01C64, 1, tek[0], 16));
    assert_true(peer_derive(&bob, 0x2AD01C64, 2, tek[1], 16));
    assert_memory_not_equal(tek[0], tek[1], 16);
    call_close(&c);
}

static void
a_responder_of_rfc_3830_derives_the_keys_of_the_initiator(void **state)
{
    static const size_t psk_lens[] = { 16, 20, 32, 33,
                                       PSK_MAX }; /* one and two blocks of the PRF */
    (void)state;
    for (size_t i = 0; i < COUNT(psk_lens); i++)
        for (int with_salt = 0; with_salt < 2; with_salt++) {
            run_combination(MKT_COMPAT_IDS, with_salt != 0, psk_lens[i]);
            run_combination(MKT_COMPAT_NO_IDS, with_salt != 0, psk_lens[i]);
        }
}

static void
another_psk_opens_nothing(void **state)
{
    struct call c;
    struct i_message bob;
    uint8_t psk[16];
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    assert_null(peer_read(&bob, octets_of(until_message(&c).message)));
    for (size_t i = 0; i < sizeof psk; i++) {
        memcpy(psk, compat_psk, sizeof psk);
        psk[i] ^= 1;
        assert_string_equal(peer_open(&bob, (struct octets){ psk, sizeof psk }), "MAC");
    }
    assert_null(peer_open(&bob, whole_psk));
    call_close(&c);
}

static void
no_octet_of_the_message_can_be_altered(void **state)
{
    struct call c;
    struct i_message bob;
    uint8_t altered[1024];
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    const struct mkt_span message = until_message(&c).message;
    assert_true(message.n <= sizeof altered);
    for (size_t i = 0; i < message.n; i++) {
        memcpy(altered, message.p, message.n);
        altered[i] ^= 1;
        assert_true(peer_read(&bob, (struct octets){ altered, message.n }) != NULL ||
                    peer_open(&bob, whole_psk) != NULL); /* RFC3830:5.2-2 */
    }
    for (size_t n = 0; n < message.n; n++)
        assert_non_null(peer_read(&bob, (struct octets){ message.p, n }));
    call_close(&c);
}

static void
expect_id(const struct i_message *m, size_t i, struct mkt_identity id)
{
    assert_int_equal(m->id[i].type, id.type);
    assert_int_equal(m->id[i].data.n, id.data.n);
    assert_memory_equal(m->id[i].data.p, id.data.p, id.data.n);
}

static void
every_field_is_as_rfc_3830_wants_it(void **state)
{
    static const uint8_t params[] = { 0,  1, 1, 1, 1, 16, 2, 1,  1, 3, 1,  20, 4, 1,
                                      14, 7, 1, 1, 8, 1,  1, 10, 1, 1, 11, 1,  10 };
    struct call c;
    struct i_message m;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    struct mkt_compat compat = until_message(&c);
    assert_null(peer_read(&m, octets_of(compat.message)));
    assert_false(m.v); /* no verification message: F = 0 */
    assert_int_equal(m.csb_id, compat.csb_id);
    assert_int_equal(m.n_cs, 2); /* RFC3830:6.1.1-1 */
    assert_int_equal(compat.n_cs, 2);
    for (size_t i = 0; i < m.n_cs; i++) {
        assert_int_equal(m.cs[i].policy_no, m.policy_no);
        assert_int_equal(m.cs[i].ssrc, 0); /* RFC3830:6.1.1 not chosen by the Initiator */
        assert_int_equal(m.cs[i].roc, 0);
    }
    assert_int_equal(m.ts_type, MKT_TS_NTP_UTC); /* the request has NTP-UTC-32: not RFC 3830's */
    assert_true(m.t - c.env.now <= 0xFFFF);
    assert_int_equal(m.rand.n, 16); /* RFC3830:6.11-2 */
    assert_int_equal(m.n_ids, 2);
    expect_id(&m, 0, c.alice);
    expect_id(&m, 1, c.bob[0]);
    assert_int_equal(m.n_sp, 1);
    assert_int_equal(m.prot_type, MKT_PROT_SRTP);
    assert_int_equal(m.params.n, sizeof params);
    assert_memory_equal(m.params.p, params, sizeof params); /* RFC3830:6.10.1 */
    assert_int_equal(m.encr_alg, MKT_ENCR_AES_CM_128);      /* RFC3830:4.2.3 */
    assert_int_equal(m.mac_alg, MKT_MAC_HMAC_SHA_1_160);    /* RFC3830:4.2.4 */
    call_close(&c);
}

static void
our_own_parser_reads_the_same_payloads(void **state)
{
    static const uint16_t order[] = { MKT_PL_T,  MKT_PL_RAND, MKT_PL_ID,
                                      MKT_PL_ID, MKT_PL_SP,   MKT_PL_KEMAC };
    struct mkt_err err = { 0 };
    struct mkt_msg m;
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    struct mkt_compat compat = until_message(&c);
    assert_int_equal(mkt_msg_parse(&m, compat.message, &err), MKT_OK);
    assert_int_equal(m.hdr.data_type, MKT_DT_PSK_INIT);
    assert_int_equal(m.hdr.map_type, MKT_MAP_SRTP_ID);
    assert_int_equal(m.n, COUNT(order));
    for (size_t i = 0; i < m.n; i++) /* RFC3830:3.1 */
        assert_int_equal(m.pl[i].type, order[i]);
    call_close(&c);
}

static void
the_second_subtype_leaves_the_ids_out(void **state)
{
    struct call c;
    struct i_message m;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_NO_IDS, 16));
    assert_null(peer_read(&m, octets_of(until_message(&c).message)));
    assert_int_equal(m.n_ids, 0);
    assert_null(peer_open(&m, whole_psk));
    call_close(&c);
}

/* The peer of these tests on a message that is not ours: RFC 4567 5.1 (its PSK is not published).
 */
static void
the_example_of_rfc_4567_is_read(void **state)
{
    static const char example[] =
        "01000580cd177e5001000000000000000000000b00c8e350ea0000000006104a28da979ee21a7651a0d7f19136"
        "d98c0a00000f646f6e616c64406475636b2e636f6d010000000000010024d092a981a5640da6b08bdc21541b41"
        "b74299d78ca636ebbadbe36fde8ccf2f28302bf19b015f627a69c6508675f5f59050e4abcca4c0bfdcd5";
    uint8_t b[256];
    struct i_message m;
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    (void)state;
    const size_t n = hex_octets(example, b, sizeof b);
    assert_null(peer_read(&m, (struct octets){ b, n }));
    assert_int_equal(m.csb_id, 3440868944U);
    assert_true(m.v);
    assert_int_equal(m.n_cs, 1);
    assert_int_equal(m.n_ids, 1);
    assert_memory_equal(m.id[0].data.p, "donald@duck.com", 15);
    assert_int_equal(m.encr_data.n, 36);
    assert_string_equal(peer_open(&m, whole_psk), "MAC");
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(b, n), &err), MKT_OK);
    assert_int_equal(parsed.hdr.csb_id, m.csb_id);
    const struct mkt_payload *kemac = mkt_msg_find(&parsed, MKT_PL_KEMAC, 0);
    assert_ptr_equal(kemac->u.kemac.mac.p, m.mac.p);
}

static void
a_stored_grant_gives_the_same_message_and_keys(void **state)
{
    struct call c;
    struct i_message bob;
    struct mkt_err err = { 0 };
    uint8_t file[4096], sent[1024];
    size_t len = 0;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    const struct mkt_span message = until_message(&c).message;
    const size_t sent_len = message.n;
    assert_true(sent_len <= sizeof sent);
    memcpy(sent, message.p, sent_len);
    assert_null(peer_read(&bob, (struct octets){ sent, sent_len }));
    assert_null(peer_open(&bob, whole_psk));
    assert_int_equal(mkt_grant_export(c.grant, file, sizeof file, &len), MKT_OK);
    mkt_grant_free(c.grant);
    assert_int_equal(mkt_grant_import(&c.grant, mkt_span(file, len), &err), MKT_OK);
    const struct mkt_span again = message_of(&c).message;
    assert_int_equal(again.n, sent_len);
    assert_memory_equal(again.p, sent, again.n);
    compare_session(&c, &bob, 1);
    mkt_wipe(file, sizeof file);
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_responder_of_rfc_3830_derives_the_keys_of_the_initiator),
        cmocka_unit_test(another_psk_opens_nothing),
        cmocka_unit_test(no_octet_of_the_message_can_be_altered),
        cmocka_unit_test(every_field_is_as_rfc_3830_wants_it),
        cmocka_unit_test(our_own_parser_reads_the_same_payloads),
        cmocka_unit_test(the_second_subtype_leaves_the_ids_out),
        cmocka_unit_test(the_example_of_rfc_4567_is_read),
        cmocka_unit_test(a_stored_grant_gives_the_same_message_and_keys),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
