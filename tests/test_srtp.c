/* SPDX-License-Identifier: Apache-2.0 */
/* A crypto session becomes an SRTP session. The other end of each test is a policy written with
 * libsrtp2's own profile functions and TEK || salt side by side, so that an error in the mapping
 * cannot cancel out. What libsrtp2 cannot do must be refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mikeyticket/media/srtp.h>
#include <stdio.h>
#include <string.h>

#define SSRC 0xcafebabeu
#define PAYLOAD 160
#define RTP_LEN (12 + PAYLOAD)

#define SPAN(...) mkt_span((const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))
#define NOTHING mkt_span(NULL, 0)

/* TEK and salt of the given lengths; `seed` tells keys apart. */
struct keys {
    struct mkt_secret tek, salt;
};

static struct keys
make_keys(uint16_t tek_len, uint16_t salt_len, uint8_t seed)
{
    struct keys k = { { .n = tek_len }, { .n = salt_len } };

    for (unsigned i = 0; i < tek_len; i++)
        k.tek.b[i] = (uint8_t)(seed + 7 * i);
    for (unsigned i = 0; i < salt_len; i++)
        k.salt.b[i] = (uint8_t)(seed + 101 + 3 * i);
    return k;
}

static struct mkt_session
make_session(struct mkt_span params, struct mkt_span spi)
{
    return (struct mkt_session){
        .cs_id = 1,
        .prot_type = MKT_PROT_SRTP,
        .has_ssrc = true,
        .ssrc = SSRC,
        .spi = spi,
        .params = params,
    };
}

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

struct packet {
    int len;
    uint8_t b[RTP_LEN + SRTP_MAX_TRAILER_LEN + 4];
};

static struct packet
rtp_packet(uint16_t seq)
{
    struct packet p = {
        RTP_LEN, { 0x80, 96, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0, 1, 0xca, 0xfe, 0xba, 0xbe }
    };
    for (unsigned i = 12; i < RTP_LEN; i++)
        p.b[i] = (uint8_t)(i + seq);
    return p;
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
        assert_memory_equal(p.b + RTP_LEN, octets, lengths[i]);
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
    assert_int_equal(srtp_protect(from, p.b, &p.len), srtp_err_status_ok);
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

static bool
all_zero(const struct mkt_srtp *s)
{
    const uint8_t *p = (const uint8_t *)s;
    for (size_t i = 0; i < sizeof *s; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* The policy is refused, with the words expected, the offset, and nothing left behind. */
static void
refused(const struct mkt_session *cs, const struct keys *k, enum mkt_rc rc, size_t at,
        const char *what)
{
    struct mkt_srtp s;
    struct mkt_err err = { 0 };

    memset(&s, 0xa5, sizeof s);
    assert_int_equal(mkt_srtp_policy_from(&s, cs, &k->tek, &k->salt, &err), rc);
    assert_int_equal(err.rc, rc);
    assert_int_equal(err.offset, at);
    assert_non_null(err.ref);
    if (strstr(err.what, what) == NULL)
        fail_msg("said \"%s\", expected \"%s\"", err.what, what);
    assert_true(all_zero(&s));
}

static void
refused_params(struct mkt_span params, uint16_t tek, uint16_t salt, size_t at, const char *what)
{
    struct keys k = make_keys(tek, salt, 1);
    struct mkt_session cs = make_session(params, NOTHING);
    refused(&cs, &k, MKT_E_SP_PARAM, at, what);
}

static void
refuses_by_name_what_libsrtp2_cannot_do(void **state)
{
    static const struct {
        uint8_t n, params[8], at;
        const char *what;
    } cases[] = {
        { 3, { 0, 1, 2 }, 0, "parameter 0 (encryption algorithm)" }, /* AES-F8 */
        { 3, { 0, 1, 3 }, 0, "parameter 0 " },                       /* SEED-CTR */
        { 3, { 0, 1, 5 }, 0, "parameter 0 " },                       /* SEED-GCM */
        { 3, { 0, 1, 7 }, 0, "parameter 0 " },                       /* ARIA-CTR */
        { 3, { 0, 1, 8 }, 0, "parameter 0 " },                       /* ARIA-GCM */
        { 3, { 0, 1, 255 }, 0, "parameter 0 " },
        { 3, { 1, 1, 0 }, 0, "parameter 1 (session encryption key length)" },
        { 3, { 1, 1, 17 }, 0, "parameter 1 " },
        { 6, { 0, 1, 6, 1, 1, 24 }, 3, "parameter 1 " }, /* no AEAD_AES_192_GCM */
        { 6, { 0, 1, 0, 1, 1, 32 }, 3, "parameter 1 " }, /* libsrtp2 derives with AES-128 */
        { 3, { 2, 1, 0 }, 0, "parameter 2 (authentication algorithm)" }, /* SRTCP too */
        { 3, { 2, 1, 2 }, 0, "parameter 2 " },                           /* RCCm1 */
        { 6, { 0, 1, 6, 2, 1, 1 }, 3, "parameter 2 " },                  /* HMAC-SHA-1 beside GCM */
        { 3, { 3, 1, 16 }, 0, "parameter 3 (session authentication key length)" },
        { 3, { 3, 1, 10 }, 0, "parameter 3 " },
        { 3, { 4, 1, 12 }, 0, "parameter 4 (session salt key length)" },
        { 6, { 0, 1, 6, 4, 1, 14 }, 3, "parameter 4 " },
        { 3, { 5, 1, 1 }, 0, "parameter 5 (SRTP pseudo-random function)" },
        { 3, { 6, 1, 1 }, 0, "parameter 6 (key derivation rate)" },
        { 6, { 6, 4, 1, 0, 0, 0 }, 0, "parameter 6 " },
        { 3, { 7, 1, 2 }, 0, "parameter 7 (SRTP encryption" },
        { 6, { 0, 1, 6, 7, 1, 0 }, 3, "parameter 7 " },
        { 3, { 8, 1, 2 }, 0, "parameter 8 (SRTCP encryption" },
        { 3, { 9, 1, 1 }, 0, "parameter 9 (sender's FEC order)" },
        { 3, { 10, 1, 2 }, 0, "parameter 10 (SRTP authentication" },
        { 6, { 0, 1, 6, 10, 1, 0 }, 3, "parameter 10 " },
        { 3, { 11, 1, 8 }, 0, "parameter 11 (authentication tag length)" },
        { 3, { 11, 1, 0 }, 0, "parameter 11 " },
        { 6, { 0, 1, 6, 11, 1, 16 }, 3, "parameter 11 " },
        { 3, { 12, 1, 1 }, 0, "parameter 12 (SRTP prefix length)" },
        { 4, { 13, 2, 0, 1 }, 0, "parameter 13 (ROC transmission rate)" },
        { 3, { 14, 1, 2 }, 0, "parameter 14 (SRTP authentication algorithm)" },
        { 3, { 15, 1, 0 }, 0, "parameter 15 (SRTCP authentication algorithm)" },
        { 3, { 16, 1, 16 }, 0, "parameter 16 (SRTP session authentication key length)" },
        { 3, { 17, 1, 16 }, 0, "parameter 17 (SRTCP session authentication key length)" },
        { 3, { 18, 1, 8 }, 0, "parameter 18 (SRTP authentication tag length)" },
        { 3, { 19, 1, 4 }, 0, "parameter 19 (SRTCP authentication tag length)" },
        { 3, { 20, 1, 16 }, 0, "parameter 20 (AEAD authentication tag length)" }, /* AES-CM */
        { 6, { 0, 1, 6, 20, 1, 8 }, 3, "parameter 20 " },
        { 6, { 0, 1, 6, 20, 1, 12 }, 3, "parameter 20 " },
        { 3, { 21, 1, 0 }, 0, "unknown" },
        { 3, { 255, 1, 0 }, 0, "unknown" },
        { 6, { 7, 1, 0, 10, 1, 0 }, 0, "neither encryption nor authentication" },
        { 6, { 0, 1, 0, 10, 1, 0 }, 0, "neither encryption nor authentication" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused_params(mkt_span(cases[i].params, cases[i].n), 16, 14, cases[i].at, cases[i].what);
}

static void
refuses_a_parameter_given_twice(void **state)
{
    (void)state;
    refused_params(SPAN(11, 1, 10, 5, 1, 0, 11, 1, 10), 16, 14, 6, "parameter 11 (");
    refused_params(SPAN(11, 1, 10, 11, 1, 10), 16, 14, 3, "given twice");
}

static void
refuses_a_parameter_of_a_wrong_length(void **state)
{
    (void)state;
    refused_params(SPAN(1, 2, 0, 16), 16, 14, 0, "parameter 1 (");
    refused_params(SPAN(1, 2, 0, 16), 16, 14, 0, "of a wrong length");
    refused_params(SPAN(0, 0), 16, 14, 0, "parameter 0 (");
    refused_params(SPAN(6, 5, 0, 0, 0, 0, 0), 16, 14, 0, "parameter 6 (");
    refused_params(SPAN(13, 1, 1), 16, 14, 0, "parameter 13 (");
}

static void
refuses_parameters_that_end_inside_one(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(SPAN(11, 1, 10, 5), NOTHING);

    (void)state;
    refused(&cs, &k, MKT_E_TRUNCATED, 3, "SP parameter");
    cs.params = SPAN(11, 1, 10, 5, 1);
    refused(&cs, &k, MKT_E_TRUNCATED, 3, "SP parameter");
    cs.params = SPAN(11, 255, 10);
    refused(&cs, &k, MKT_E_TRUNCATED, 0, "SP parameter");
}

static void
refuses_keys_and_salts_of_another_length(void **state)
{
    static const struct {
        uint8_t n, params[6];
        uint16_t tek, salt;
        const char *what;
    } cases[] = {
        { 0, { 0 }, 32, 14, "TEK" },
        { 0, { 0 }, 15, 14, "TEK" },
        { 0, { 0 }, 0, 14, "TEK" },
        { 3, { 1, 1, 32 }, 16, 14, "TEK" },
        { 0, { 0 }, 16, 12, "salt" },
        { 0, { 0 }, 16, 15, "salt" },
        { 3, { 0, 1, 6 }, 16, 14, "salt" },
        { 3, { 0, 1, 6 }, 16, 0, "salt" }, /* RFC 7714 8.1 needs one */
        { 3, { 0, 1, 6 }, 32, 12, "TEK" },
        { 0, { 0 }, MKT_SECRET_MAX, MKT_SECRET_MAX, "TEK" },
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct keys k = make_keys(cases[i].tek, cases[i].salt, 1);
        struct mkt_session cs = make_session(mkt_span(cases[i].params, cases[i].n), NOTHING);
        refused(&cs, &k, MKT_E_KEY_DATA, 0, cases[i].what);
    }
}

static void
refuses_an_spi_longer_than_libsrtp2_takes(void **state)
{
    static const uint8_t spi[SRTP_MAX_MKI_LEN + 1] = { 1 };
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, mkt_span(spi, sizeof spi));

    (void)state;
    refused(&cs, &k, MKT_E_KEY_DATA, 0, "MKI of 128 octets");
}

static void
refuses_a_session_without_ssrc_or_of_another_protocol(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, NOTHING);

    (void)state;
    cs.has_ssrc = false;
    refused(&cs, &k, MKT_E_FIELD, 0, "SSRC");
    cs.has_ssrc = true;
    cs.prot_type = 1; /* TESLA */
    refused(&cs, &k, MKT_E_SP, 0, "Prot type");
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

static void
leaves_no_key_behind_once_the_session_exists(void **state)
{
    struct keys k = make_keys(16, 14, 1);
    struct mkt_session cs = make_session(NOTHING, SPAN(1, 2, 3, 4));
    struct mkt_srtp s;
    struct mkt_err err = { 0 };
    srtp_t session;

    (void)state;
    assert_int_equal(mkt_srtp_policy_from(&s, &cs, &k.tek, &k.salt, &err), MKT_OK);
    assert_false(all_zero(&s));
    assert_int_equal(mkt_srtp_create(&session, &s, &err), MKT_OK);
    assert_true(all_zero(&s));
    srtp_dealloc(session);

    assert_int_equal(mkt_srtp_policy_from(&s, &cs, &k.tek, &k.salt, &err), MKT_OK);
    s.policy.num_master_keys = SRTP_MAX_NUM_MASTER_KEYS + 1; /* makes srtp_create fail */
    assert_int_equal(mkt_srtp_create(&session, &s, &err), MKT_E_CRYPTO);
    assert_null(session);
    assert_true(all_zero(&s));
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
        cmocka_unit_test(refuses_by_name_what_libsrtp2_cannot_do),
        cmocka_unit_test(refuses_a_parameter_given_twice),
        cmocka_unit_test(refuses_a_parameter_of_a_wrong_length),
        cmocka_unit_test(refuses_parameters_that_end_inside_one),
        cmocka_unit_test(refuses_keys_and_salts_of_another_length),
        cmocka_unit_test(refuses_an_spi_longer_than_libsrtp2_takes),
        cmocka_unit_test(refuses_a_session_without_ssrc_or_of_another_protocol),
        cmocka_unit_test(takes_an_ssrc_of_zero_for_what_it_is),
        cmocka_unit_test(leaves_no_key_behind_once_the_session_exists),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (srtp_init() != srtp_err_status_ok)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    srtp_shutdown();
    return failed;
}
