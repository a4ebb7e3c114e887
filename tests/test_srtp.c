/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto session becomes an SRTP session. The other end of each test is a policy written with
 * libsrtp2's own profile functions and TEK || salt side by side, so that an error in the mapping
 * cannot cancel out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "srtp_session.h"

#include <cmocka.h>
#include <string.h>

static srtp_t
open_session(const struct mkt_session *cs, const struct keys *k)
{
    struct mkt_srtp s;
    struct mkt_err err = { 0 };
    srtp_t session;

    assert_int_equal(mkt_srtp_policy_from(&s, cs, &k->tek, &k->salt, &err), MKT_OK);
    assert_int_equal(mkt_srtp_create(&session, &s, &err), MKT_OK);
    return session;
}

static srtp_t
open_params(struct mkt_span params, const struct keys *k)
{
    struct mkt_session cs = make_session(params, NOTHING);
    return open_session(&cs, k);
}

/* An RTCP BYE. */
static struct packet
rtcp_packet(void)
{
    return (struct packet){ 8, { 0x81, 203, 0, 1, 0xca, 0xfe, 0xba, 0xbe } };
}

static void
assert_same(const struct packet *a, const struct packet *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->b, b->b, (size_t)a->len);
}

/* A session as libsrtp2's own functions make it, with key || salt. */
typedef void set_fn(srtp_crypto_policy_t *);

static srtp_t
open_by_hand(set_fn *rtp, set_fn *rtcp, const struct keys *k)
{
    srtp_policy_t policy = { .ssrc = { ssrc_specific, SSRC } };
    uint8_t key[SRTP_MAX_KEY_LEN] = { 0 };
    srtp_t session;

    memcpy(key, k->tek.b, k->tek.n);
    memcpy(key + k->tek.n, k->salt.b, k->salt.n);
    rtp(&policy.rtp);
    rtcp(&policy.rtcp);
    policy.key = key;
    assert_int_equal(srtp_create(&session, &policy), srtp_err_status_ok);
    return session;
}

struct suite {
    struct mkt_span params;
    uint16_t tek, salt;
    set_fn *rtp, *rtcp;
    int rtp_trailer, rtcp_trailer;
};

static void
passes_both_ways(const struct suite *s)
{
    struct keys k = make_keys(s->tek, s->salt, 1);
    srtp_t ours = open_params(s->params, &k);
    srtp_t theirs = open_by_hand(s->rtp, s->rtcp, &k);
    srtp_t from[] = { ours, theirs }, to[] = { theirs, ours };

    for (unsigned way = 0; way < 2; way++) {
        struct packet rtp = rtp_packet((uint16_t)(10 + way)), sent = rtp;
        struct packet rtcp = rtcp_packet(), rtcp_sent = rtcp;

        assert_int_equal(srtp_protect(from[way], sent.b, &sent.len), srtp_err_status_ok);
        assert_int_equal(sent.len - rtp.len, s->rtp_trailer);
        assert_memory_not_equal(sent.b + 12, rtp.b + 12, PAYLOAD);
        assert_int_equal(srtp_unprotect(to[way], sent.b, &sent.len), srtp_err_status_ok);
        assert_same(&sent, &rtp);

        assert_int_equal(srtp_protect_rtcp(from[way], rtcp_sent.b, &rtcp_sent.len),
                         srtp_err_status_ok);
        assert_int_equal(rtcp_sent.len - rtcp.len, s->rtcp_trailer);
        assert_int_equal(srtp_unprotect_rtcp(to[way], rtcp_sent.b, &rtcp_sent.len),
                         srtp_err_status_ok);
        assert_same(&rtcp_sent, &rtcp);
    }
    srtp_dealloc(ours);
    srtp_dealloc(theirs);
}

static void
cm_80(srtp_crypto_policy_t *p)
{
    srtp_crypto_policy_set_rtp_default(p);
}

static void
carries_speech_with_the_defaults_when_there_are_no_parameters(void **state)
{
    (void)state;
    /* RFC3830:6.10.1-1 */
    passes_both_ways(&(struct suite){ NOTHING, 16, 14, cm_80, cm_80, 10, 14 });
}

static void
carries_speech_with_aes_cm_128_and_all_parameters_given(void **state)
{
    (void)state;
    passes_both_ways(
        &(struct suite){ SPAN(0, 1, 1, 1, 1, 16, 2, 1, 1, 3, 1, 20, 4, 1, 14, 5, 1, 0, 6, 1, 0, 7,
                              1, 1, 8, 1, 1, 9, 1, 0, 10, 1, 1, 11, 1, 10, 12, 1, 0, 14, 1, 1, 15,
                              1, 1, 16, 1, 20, 17, 1, 20, 18, 1, 10, 19, 1, 10),
                         16, 14, cm_80, cm_80, 10, 14 });
}

/* RFC 3711 5.2: no SRTCP tag is shorter than 80 bits. */
static void
keeps_the_srtcp_tag_at_80_bits_when_srtp_has_32(void **state)
{
    struct suite common = { SPAN(11, 1, 4), 16, 14, srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32,
                            cm_80,          4,  14 };
    struct suite separate = common;

    (void)state;
    separate.params = SPAN(11, 1, 10, 18, 1, 4);
    passes_both_ways(&common);
    passes_both_ways(&separate);
}

static void
carries_speech_with_aes_cm_192(void **state)
{
    (void)state;
    passes_both_ways(&(struct suite){ SPAN(1, 1, 24), 24, 14,
                                      srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80,
                                      srtp_crypto_policy_set_aes_cm_192_hmac_sha1_80, 10, 14 });
}

static void
carries_speech_with_aes_cm_256(void **state)
{
    (void)state;
    passes_both_ways(&(struct suite){ SPAN(1, 1, 32), 32, 14,
                                      srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80,
                                      srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80, 10, 14 });
}

static void
carries_speech_with_aes_gcm_128(void **state)
{
    (void)state;
    passes_both_ways(&(struct suite){ SPAN(0, 1, 6), 16, 12,
                                      srtp_crypto_policy_set_aes_gcm_128_16_auth,
                                      srtp_crypto_policy_set_aes_gcm_128_16_auth, 16, 20 });
}

/* The parameters of 3GPP mission critical services, with a longer key. */
static void
carries_speech_with_aes_gcm_256(void **state)
{
    (void)state;
    passes_both_ways(
        &(struct suite){ SPAN(0, 1, 6, 1, 1, 32, 4, 1, 12, 5, 1, 0, 6, 1, 0, 20, 1, 16), 32, 12,
                         srtp_crypto_policy_set_aes_gcm_256_16_auth,
                         srtp_crypto_policy_set_aes_gcm_256_16_auth, 16, 20 });
}

/* Protects one RTP and one RTCP packet at one end and opens both at the other. */
static void
one_trip(struct mkt_span params, const struct keys *k, struct packet *rtp, struct packet *rtcp)
{
    srtp_t from = open_params(params, k), to = open_params(params, k);
    struct packet p = rtp_packet(1), c = rtcp_packet(), plain = p, plain_rtcp = c;

    assert_int_equal(srtp_protect(from, p.b, &p.len), srtp_err_status_ok);
    assert_int_equal(srtp_protect_rtcp(from, c.b, &c.len), srtp_err_status_ok);
    *rtp = p;
    *rtcp = c;
    assert_int_equal(srtp_unprotect(to, p.b, &p.len), srtp_err_status_ok);
    assert_int_equal(srtp_unprotect_rtcp(to, c.b, &c.len), srtp_err_status_ok);
    assert_same(&p, &plain);
    assert_same(&c, &plain_rtcp);
    srtp_dealloc(from);
    srtp_dealloc(to);
}

/* The E flag of SRTCP stands in front of its index. */
static bool
rtcp_encrypted(const struct packet *rtcp)
{
    return (rtcp->b[8] & 0x80) != 0;
}

static void
leaves_encryption_out_only_where_it_was_asked_to(void **state)
{
    struct keys k = make_keys(16, 14, 1), gcm = make_keys(16, 12, 1);
    struct packet rtp, rtcp, plain = rtp_packet(1);

    (void)state;
    one_trip(SPAN(7, 1, 0), &k, &rtp, &rtcp);
    assert_int_equal(rtp.len, RTP_LEN + 10); /* still authenticated */
    assert_memory_equal(rtp.b, plain.b, RTP_LEN);
    assert_true(rtcp_encrypted(&rtcp));

    one_trip(SPAN(8, 1, 0), &k, &rtp, &rtcp);
    assert_memory_not_equal(rtp.b + 12, plain.b + 12, PAYLOAD);
    assert_false(rtcp_encrypted(&rtcp));
    assert_int_equal(rtcp.len, 8 + 4 + 10);

    one_trip(SPAN(0, 1, 6, 8, 1, 0), &gcm, &rtp, &rtcp);
    assert_memory_not_equal(rtp.b + 12, plain.b + 12, PAYLOAD);
    assert_int_equal(rtcp.len, 8 + 16 + 4);
    assert_int_equal(rtcp.b[8 + 16] & 0x80, 0);

    one_trip(SPAN(0, 1, 0), &k, &rtp, &rtcp);
    assert_int_equal(rtp.len, RTP_LEN + 10);
    assert_memory_equal(rtp.b, plain.b, RTP_LEN);
    assert_false(rtcp_encrypted(&rtcp));
}

static void
leaves_authentication_out_only_where_it_was_asked_to(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct packet rtp, rtcp, plain = rtp_packet(1);
    struct mkt_span asked[] = { SPAN(10, 1, 0), SPAN(14, 1, 0) };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        one_trip(asked[i], &k, &rtp, &rtcp);
        assert_int_equal(rtp.len, RTP_LEN);
        assert_memory_not_equal(rtp.b + 12, plain.b + 12, PAYLOAD);
        assert_int_equal(rtcp.len, 8 + 4 + 10); /* SRTCP is always authenticated: RFC 3711 3.4 */
    }
}

static void
authenticates_with_the_null_cipher_as_libsrtp2_does(void **state)
{
    struct keys k = make_keys(16, 14, 1), other = make_keys(16, 14, 2);
    srtp_t ours = open_params(SPAN(0, 1, 0), &k), wrong = open_params(SPAN(0, 1, 0), &other);
    srtp_t theirs = open_by_hand(srtp_crypto_policy_set_null_cipher_hmac_sha1_80,
                                 srtp_crypto_policy_set_null_cipher_hmac_sha1_80, &k);
    struct packet p = rtp_packet(1), q;

    (void)state;
    assert_int_equal(srtp_protect(ours, p.b, &p.len), srtp_err_status_ok);
    q = p;
    assert_int_equal(srtp_unprotect(wrong, q.b, &q.len), srtp_err_status_auth_fail);
    assert_int_equal(srtp_unprotect(theirs, p.b, &p.len), srtp_err_status_ok);
    srtp_dealloc(ours);
    srtp_dealloc(theirs);
    srtp_dealloc(wrong);
}

static void
does_not_open_a_packet_of_another_key_or_salt(void **state)
{
    struct {
        struct mkt_span params;
        uint16_t tek, salt;
    } suites[] = {
        { NOTHING, 16, 14 },       { SPAN(11, 1, 4), 16, 14 },          { SPAN(1, 1, 32), 32, 14 },
        { SPAN(0, 1, 6), 16, 12 }, { SPAN(0, 1, 6, 1, 1, 32), 32, 12 },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        struct keys k = make_keys(suites[i].tek, suites[i].salt, 1), tek = k, salt = k;
        tek.tek.b[suites[i].tek - 1] ^= 1;
        salt.salt.b[0] ^= 1;
        srtp_t from = open_params(suites[i].params, &k);
        srtp_t to[] = { open_params(suites[i].params, &tek), open_params(suites[i].params, &salt) };
        for (unsigned j = 0; j < 2; j++) {
            struct packet p = rtp_packet((uint16_t)(1 + j)), c = rtcp_packet();
            assert_int_equal(srtp_protect(from, p.b, &p.len), srtp_err_status_ok);
            assert_int_equal(srtp_unprotect(to[j], p.b, &p.len), srtp_err_status_auth_fail);
            assert_int_equal(srtp_protect_rtcp(from, c.b, &c.len), srtp_err_status_ok);
            assert_int_equal(srtp_unprotect_rtcp(to[j], c.b, &c.len), srtp_err_status_auth_fail);
            srtp_dealloc(to[j]);
        }
        srtp_dealloc(from);
    }
}

static void
refuses_a_packet_that_comes_twice(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    srtp_t from = open_params(NOTHING, &k), to = open_params(NOTHING, &k);
    struct packet p = rtp_packet(1), again;

    (void)state;
    assert_int_equal(srtp_protect(from, p.b, &p.len), srtp_err_status_ok);
    again = p;
    assert_int_equal(srtp_unprotect(to, p.b, &p.len), srtp_err_status_ok);
    assert_int_equal(srtp_unprotect(to, again.b, &again.len), srtp_err_status_replay_fail);
    srtp_dealloc(from);
    srtp_dealloc(to);
}

/* RFC6043:6.1.1: the SPI of the map is the MKI of the packets. */
static void
puts_the_spi_into_each_packet_as_mki(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    uint8_t octets[SRTP_MAX_MKI_LEN];
    const size_t lengths[] = { 1, 4, SRTP_MAX_MKI_LEN };

    (void)state;
    for (unsigned i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)(0xf0 - i);
    for (unsigned i = 0; i < 3; i++) {
        struct mkt_session cs = make_session(NOTHING, mkt_span(octets, lengths[i]));
        srtp_t from = open_session(&cs, &k), to = open_session(&cs, &k);
        struct packet p = rtp_packet(1), plain = p, c = rtcp_packet();

        assert_int_equal(srtp_protect_mki(from, p.b, &p.len, 1, 0), srtp_err_status_ok);
        assert_int_equal(p.len, RTP_LEN + (int)lengths[i] + 10);
        assert_memory_equal(p.b + RTP_LEN, octets, lengths[i]); /* RFC3830:6.14-2 */
        assert_int_equal(srtp_unprotect_mki(to, p.b, &p.len, 1), srtp_err_status_ok);
        assert_same(&p, &plain);
        assert_int_equal(srtp_protect_rtcp_mki(from, c.b, &c.len, 1, 0), srtp_err_status_ok);
        assert_int_equal(c.len, 8 + 4 + (int)lengths[i] + 10);
        assert_int_equal(srtp_unprotect_rtcp_mki(to, c.b, &c.len, 1), srtp_err_status_ok);
        srtp_dealloc(from);
        srtp_dealloc(to);
    }
}

static void
does_not_open_a_packet_with_another_mki(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, SPAN(1, 2, 3, 4));
    srtp_t from = open_session(&cs, &k);
    cs.spi = SPAN(1, 2, 3, 5);
    srtp_t to = open_session(&cs, &k);
    struct packet p = rtp_packet(1);

    (void)state;
    assert_int_equal(srtp_protect_mki(from, p.b, &p.len, 1, 0), srtp_err_status_ok);
    assert_int_equal(srtp_unprotect_mki(to, p.b, &p.len, 1), srtp_err_status_bad_mki);
    srtp_dealloc(from);
    srtp_dealloc(to);
}

static void
does_not_open_a_packet_of_another_ssrc(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, NOTHING);
    srtp_t from = open_session(&cs, &k);
    cs.ssrc++;
    srtp_t to = open_session(&cs, &k);
    struct packet p = rtp_packet(1);

    (void)state;
    assert_int_equal(srtp_protect(from, p.b, &p.len), srtp_err_status_ok); /* RFC6043:6.1.1-8 */
    assert_int_equal(srtp_unprotect(to, p.b, &p.len), srtp_err_status_no_ctx);
    srtp_dealloc(from);
    srtp_dealloc(to);
}

/* RFC6043:6.1.1: ROC is the current rollover counter of a session that has started. */
static void
joins_late_with_the_roc_that_was_signalled(void **state)
{
    struct {
        struct mkt_span params;
        uint16_t salt;
    } suites[] = { { NOTHING, 14 }, { SPAN(0, 1, 6), 12 } };

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct keys k = make_keys(16, suites[i].salt, 1);
        struct mkt_session cs = make_session(suites[i].params, NOTHING), late = cs;
        late.roc = 7;
        srtp_t from = open_session(&late, &k), joined = open_session(&late, &k);
        srtp_t lost = open_session(&cs, &k);
        for (uint16_t seq = 40000; seq < 40003; seq++) {
            struct packet p = rtp_packet(seq), plain = p, q;
            assert_int_equal(srtp_protect(from, p.b, &p.len), srtp_err_status_ok);
            q = p;
            assert_int_equal(srtp_unprotect(lost, q.b, &q.len), srtp_err_status_auth_fail);
            /* RFC3830:6.1.1-2 */
            assert_int_equal(srtp_unprotect(joined, p.b, &p.len), srtp_err_status_ok);
            assert_same(&p, &plain);
        }
        srtp_dealloc(from);
        srtp_dealloc(joined);
        srtp_dealloc(lost);
    }
}

/* RFC 3711 3.2.1: a "NULL" salt is treated as 00...0. */
static void
treats_a_tek_without_salt_as_one_with_a_salt_of_zeros(void **state)
{
    struct keys none = make_keys(16, 0, 1), zeros = none;
    zeros.salt.n = 14;
    srtp_t a = open_params(NOTHING, &none), b = open_params(NOTHING, &zeros);
    struct packet p = rtp_packet(1), q = p;

    (void)state;
    assert_int_equal(srtp_protect(a, p.b, &p.len), srtp_err_status_ok);
    assert_int_equal(srtp_protect(b, q.b, &q.len), srtp_err_status_ok);
    assert_same(&p, &q);
    srtp_dealloc(a);
    srtp_dealloc(b);
}

/* RFC6043:6.1.1: "unlike [RFC3830], an SSRC field set to '0' has no special meaning". */
static void
takes_an_ssrc_of_zero_for_what_it_is(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, NOTHING);
    cs.ssrc = 0;
    srtp_t from = open_session(&cs, &k);
    struct packet other = rtp_packet(1), zero = other;

    (void)state;
    memset(zero.b + 8, 0, 4);
    assert_int_equal(srtp_protect(from, other.b, &other.len), srtp_err_status_no_ctx);
    assert_int_equal(srtp_protect(from, zero.b, &zero.len), srtp_err_status_ok);
    srtp_dealloc(from);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_speech_with_the_defaults_when_there_are_no_parameters),
        cmocka_unit_test(carries_speech_with_aes_cm_128_and_all_parameters_given),
        cmocka_unit_test(keeps_the_srtcp_tag_at_80_bits_when_srtp_has_32),
        cmocka_unit_test(carries_speech_with_aes_cm_192),
        cmocka_unit_test(carries_speech_with_aes_cm_256),
        cmocka_unit_test(carries_speech_with_aes_gcm_128),
        cmocka_unit_test(carries_speech_with_aes_gcm_256),
        cmocka_unit_test(leaves_encryption_out_only_where_it_was_asked_to),
        cmocka_unit_test(leaves_authentication_out_only_where_it_was_asked_to),
        cmocka_unit_test(authenticates_with_the_null_cipher_as_libsrtp2_does),
        cmocka_unit_test(does_not_open_a_packet_of_another_key_or_salt),
        cmocka_unit_test(refuses_a_packet_that_comes_twice),
        cmocka_unit_test(puts_the_spi_into_each_packet_as_mki),
        cmocka_unit_test(does_not_open_a_packet_with_another_mki),
        cmocka_unit_test(does_not_open_a_packet_of_another_ssrc),
        cmocka_unit_test(joins_late_with_the_roc_that_was_signalled),
        cmocka_unit_test(treats_a_tek_without_salt_as_one_with_a_salt_of_zeros),
        cmocka_unit_test(takes_an_ssrc_of_zero_for_what_it_is),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, srtp_begin, srtp_end);
}
