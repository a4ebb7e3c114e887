/* SPDX-License-Identifier: Apache-2.0 */
/* A second opinion on SRTP: libre's own code, which shares nothing with libsrtp2, opens what we
 * protect and protects what we open, with the keys of a crypto session. It has no MKI, so that is
 * left out here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "../srtp_session.h"
#include "srtp_suite.h"

#include <cmocka.h>
#include <re.h>
#include <string.h>

#define HEADER 12
#define PAYLOAD 160
#define PACKETS 50
#define FIRST_SEQ 0xfff0 /* the sequence wraps on the way */

static const struct {
    const char *name;
    enum srtp_suite suite;
} suites[] = {
    { "AES_CM_128_HMAC_SHA1_80", SRTP_AES_CM_128_HMAC_SHA1_80 },
    { "AES_CM_128_HMAC_SHA1_32", SRTP_AES_CM_128_HMAC_SHA1_32 },
    { "AES_256_CM_HMAC_SHA1_80", SRTP_AES_256_CM_HMAC_SHA1_80 },
    { "AES_256_CM_HMAC_SHA1_32", SRTP_AES_256_CM_HMAC_SHA1_32 },
    { "AEAD_AES_128_GCM", SRTP_AES_128_GCM },
    { "AEAD_AES_256_GCM", SRTP_AES_256_GCM },
};

/* Both, with the same key; `other` gives libre another one. */
struct pair {
    srtp_t ours;
    struct srtp *theirs;
};

static struct pair
open_pair(size_t i, bool other)
{
    const struct cli_srtp_suite *suite = cli_srtp_find(suites[i].name);
    struct mkt_session cs = make_session(mkt_span(suite->params, suite->n), NOTHING);
    struct mkt_err err = { 0 };
    struct mkt_srtp s;
    struct pair p = { NULL, NULL };
    uint8_t key[MKT_SECRET_MAX];
    size_t key_len, salt_len;

    assert_true(cli_srtp_lengths(cs.params, &key_len, &salt_len));
    struct keys k = make_keys((uint16_t)key_len, (uint16_t)salt_len, 1);
    assert_int_equal(mkt_srtp_policy_from(&s, &cs, &k.tek, &k.salt, &err), MKT_OK);
    assert_int_equal(mkt_srtp_create(&p.ours, &s, &err), MKT_OK);
    memcpy(key, k.tek.b, key_len);
    memcpy(key + key_len, k.salt.b, salt_len);
    key[0] ^= other;
    assert_int_equal(srtp_alloc(&p.theirs, suites[i].suite, key, key_len + salt_len, 0), 0);
    return p;
}

static void
close_pair(struct pair *p)
{
    assert_int_equal(srtp_dealloc(p->ours), srtp_err_status_ok);
    mem_deref(p->theirs);
}

static struct mbuf *
packet(unsigned n)
{
    struct mbuf *mb = mbuf_alloc(512);
    uint16_t seq = (uint16_t)(FIRST_SEQ + n);
    const uint8_t header[HEADER] = { 0x80, 0,   (uint8_t)(seq >> 8), (uint8_t)seq, 0,
                                     0,    0,   (uint8_t)n,          0xca,         0xfe,
                                     0xba, 0xbe };

    assert_non_null(mb);
    memcpy(mb->buf, header, HEADER);
    for (unsigned i = 0; i < PAYLOAD; i++)
        mb->buf[HEADER + i] = (uint8_t)(n + 3 * i);
    mb->end = HEADER + PAYLOAD;
    return mb;
}

static void
assert_said(const uint8_t *got, size_t len, unsigned n)
{
    struct mbuf *mb = packet(n);

    assert_int_equal(len, mb->end);
    assert_memory_equal(got, mb->buf, len);
    mem_deref(mb);
}

static void
libre_opens_what_we_protect(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        struct pair p = open_pair(i, false);
        for (unsigned n = 0; n < PACKETS; n++) {
            struct mbuf *mb = packet(n);
            int len = (int)mb->end;
            assert_int_equal(srtp_protect(p.ours, mb->buf, &len), srtp_err_status_ok);
            assert_memory_not_equal(mb->buf + HEADER, "\0\3\6\11", 4);
            mb->end = (size_t)len;
            assert_int_equal(srtp_decrypt(p.theirs, mb), 0);
            assert_said(mb->buf, mb->end, n);
            mem_deref(mb);
        }
        close_pair(&p);
    }
}

static void
we_open_what_libre_protects(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        struct pair p = open_pair(i, false);
        for (unsigned n = 0; n < PACKETS; n++) {
            struct mbuf *mb = packet(n);
            assert_int_equal(srtp_encrypt(p.theirs, mb), 0);
            int len = (int)mb->end;
            assert_true(len > HEADER + PAYLOAD);
            assert_int_equal(srtp_unprotect(p.ours, mb->buf, &len), srtp_err_status_ok);
            assert_said(mb->buf, (size_t)len, n);
            mem_deref(mb);
        }
        close_pair(&p);
    }
}

static void
neither_opens_a_packet_under_another_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        struct pair p = open_pair(i, true);
        struct mbuf *mb = packet(0), *back = packet(1);
        int len = (int)mb->end;
        assert_int_equal(srtp_protect(p.ours, mb->buf, &len), srtp_err_status_ok);
        mb->end = (size_t)len;
        assert_int_not_equal(srtp_decrypt(p.theirs, mb), 0);
        assert_int_equal(srtp_encrypt(p.theirs, back), 0);
        len = (int)back->end;
        assert_int_equal(srtp_unprotect(p.ours, back->buf, &len), srtp_err_status_auth_fail);
        mem_deref(mb);
        mem_deref(back);
        close_pair(&p);
    }
}

/* A receiver report about nobody. libre gives SRTCP the tag of SRTP, which RFC 3711 5.2 forbids to
 * be of 4 octets: those suites are left out. */
static struct mbuf *
report(void)
{
    static const uint8_t octets[] = { 0x80, 201, 0, 1, 0xca, 0xfe, 0xba, 0xbe };
    struct mbuf *mb = mbuf_alloc(512);

    assert_non_null(mb);
    memcpy(mb->buf, octets, sizeof octets);
    mb->end = sizeof octets;
    return mb;
}

static bool
has_short_tag(size_t i)
{
    return strstr(suites[i].name, "_32") != NULL;
}

static void
libre_opens_the_rtcp_we_protect(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        struct pair p = open_pair(i, false);
        for (unsigned n = 0; n < PACKETS && !has_short_tag(i); n++) {
            struct mbuf *mb = report(), *plain = report();
            int len = (int)mb->end;
            assert_int_equal(srtp_protect_rtcp(p.ours, mb->buf, &len), srtp_err_status_ok);
            mb->end = (size_t)len;
            assert_int_equal(srtcp_decrypt(p.theirs, mb), 0);
            assert_memory_equal(mb->buf, plain->buf, plain->end);
            mem_deref(mb);
            mem_deref(plain);
        }
        close_pair(&p);
    }
}

static void
we_open_the_rtcp_libre_protects(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        struct pair p = open_pair(i, false);
        for (unsigned n = 0; n < PACKETS && !has_short_tag(i); n++) {
            struct mbuf *mb = report(), *plain = report();
            assert_int_equal(srtcp_encrypt(p.theirs, mb), 0);
            int len = (int)mb->end;
            assert_int_equal(srtp_unprotect_rtcp(p.ours, mb->buf, &len), srtp_err_status_ok);
            assert_int_equal(len, plain->end);
            assert_memory_equal(mb->buf, plain->buf, plain->end);
            mem_deref(mb);
            mem_deref(plain);
        }
        close_pair(&p);
    }
}

/* RFC 3711 5.2: 10 octets at least, whatever SRTP has; 16 are those of AES-GCM (RFC 7714 9). */
static void
rtcp_has_a_long_tag_in_every_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        struct pair p = open_pair(i, false);
        struct mbuf *mb = report();
        int len = (int)mb->end;
        assert_int_equal(srtp_protect_rtcp(p.ours, mb->buf, &len), srtp_err_status_ok);
        assert_int_equal(len, mb->end + 4 + (strstr(suites[i].name, "GCM") != NULL ? 16 : 10));
        mem_deref(mb);
        close_pair(&p);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libre_opens_what_we_protect),
        cmocka_unit_test(we_open_what_libre_protects),
        cmocka_unit_test(neither_opens_a_packet_under_another_key),
        cmocka_unit_test(libre_opens_the_rtcp_we_protect),
        cmocka_unit_test(we_open_the_rtcp_libre_protects),
        cmocka_unit_test(rtcp_has_a_long_tag_in_every_suite),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (libre_init() != 0 || srtp_init() != srtp_err_status_ok)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    srtp_shutdown();
    libre_close();
    return failed;
}
