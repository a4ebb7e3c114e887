/* SPDX-License-Identifier: Apache-2.0 */
/* The Common Header and its CS ID maps (RFC 3830 6.1, RFC 4563 5, RFC 6043 6.1.1), in both
 * directions and with every way to be malformed. */
#include "wire.h"

#include "../fuzz/property.h"
#include "payload/codec.h"
#include "wire_vectors.h"

static uint8_t octets[4096];

static enum mkt_rc
hdr(const char *hex, struct mkt_hdr *h, struct mkt_err *err)
{
    size_t n = hex_octets(hex, octets, sizeof octets);
    struct mkt_reader r = mkt_r_open(mkt_span(octets, n), 0, "HDR", "RFC 3830 6.1", err);
    *err = (struct mkt_err){ 0 };
    return mkt_hdr_read(&r, h);
}

static void
reads_and_writes_every_field_of_the_header(void **state)
{
    struct mkt_hdr h;
    struct mkt_err err;
    uint8_t again[64];
    (void)state;
    assert_int_equal(hdr("010e0581 12345678 00 02", &h, &err), MKT_OK);
    assert_int_equal(h.version, 1);
    assert_int_equal(h.data_type, MKT_DT_TRANSFER_INIT);
    assert_int_equal(h.next, MKT_PL_T);
    assert_true(h.v);
    assert_int_equal(h.prf, MKT_PRF_HMAC_SHA_256); /* RFC3830:6-1 RFC3830:6.1-1 RFC3830:6.1-3 */
    assert_int_equal(h.csb_id, 0x12345678);
    assert_int_equal(h.n_cs, 0);
    assert_int_equal(h.map_type, MKT_MAP_GENERIC_ID);
    assert_int_equal(h.map.n, 0);
    struct mkt_writer w = mkt_w_open(again, sizeof again);
    mkt_hdr_write(&w, &h);
    assert_false(w.overflow);
    assert_int_equal(w.slot, 2); /* the first payload will be named here */
    assert_octets(mkt_span(again, w.len), "010e0081 12345678 00 02");
}

static void
reads_an_srtp_id_map_of_nine_octets_each(void **state)
{
    struct mkt_hdr h;
    struct mkt_err err;
    struct mkt_map_iter it;
    struct mkt_cs cs;
    (void)state;
    assert_int_equal(
        hdr("01000580 00000001 02 00  07 00000002 00000003  ff ffffffff 00000004", &h, &err),
        MKT_OK);
    mkt_map_begin(&it, &h);
    assert_true(mkt_map_next(&it, &cs));
    /* RFC3830:6.1.1-1 */
    assert_int_equal(cs.cs_id, 1); /* the position is the CS ID: RFC 3830 6.1.1 */
    assert_octets(cs.policies, "07");
    assert_true(cs.has_ssrc);
    assert_int_equal(cs.ssrc, 2);
    assert_int_equal(cs.roc, 3);
    assert_true(mkt_map_next(&it, &cs));
    assert_int_equal(cs.cs_id, 2);
    assert_int_equal(cs.ssrc, 0xffffffff);
    assert_false(mkt_map_next(&it, &cs));
}

static void
an_empty_map_has_no_crypto_sessions(void **state)
{
    struct mkt_hdr h;
    struct mkt_err err;
    struct mkt_map_iter it;
    struct mkt_cs cs;
    (void)state;
    assert_int_equal(hdr("010e0581 12345678 03 01", &h, &err), MKT_OK);
    mkt_map_begin(&it, &h);
    assert_false(mkt_map_next(&it, &cs)); /* RFC3830:6.1-7 */
}

static void
reads_and_writes_every_form_of_a_generic_id_block(void **state)
{
    struct mkt_hdr h;
    struct mkt_err err;
    struct mkt_map_iter it;
    struct mkt_cs cs;
    uint8_t again[128];
    struct mkt_writer w = mkt_w_open(again, sizeof again);
    (void)state;
    assert_int_equal(hdr(wire_vectors[3].hex, &h, &err), MKT_OK); /* GENERIC-ID, 4 CS */
    mkt_map_begin(&it, &h);
    assert_true(mkt_map_next(&it, &cs)); /* S = 1: SSRC, ROC and SEQ */
    assert_int_equal(cs.cs_id, 1);
    assert_true(cs.s && cs.has_ssrc);
    assert_octets(cs.policies, "0001"); /* RFC6043:6.1.1-6 */
    assert_int_equal(cs.ssrc, 0xdeadbeef);
    assert_int_equal(cs.roc, 7);
    assert_int_equal(cs.seq, 0xffff);
    assert_octets(cs.spi, "0102");
    mkt_cs_write(&w, &cs);
    assert_true(mkt_map_next(&it, &cs)); /* S = 0: SSRC only; 0 means nothing special */
    assert_int_equal(cs.cs_id, 255);
    assert_true(!cs.s && cs.has_ssrc);
    assert_int_equal(cs.ssrc, 0);
    mkt_cs_write(&w, &cs);
    assert_true(mkt_map_next(&it, &cs)); /* nothing given: RFC6043:6.1.1-7 RFC6043:6.1.1-9 */
    assert_false(cs.has_ssrc);
    assert_int_equal(cs.policies.n + cs.session_data.n + cs.spi.n, 0);
    mkt_cs_write(&w, &cs);
    assert_true(mkt_map_next(&it, &cs)); /* another security protocol: opaque session data */
    assert_int_equal(cs.prot_type, 200);
    assert_false(cs.has_ssrc);
    assert_octets(cs.session_data, "6f7061717565");
    mkt_cs_write(&w, &cs);
    assert_false(mkt_map_next(&it, &cs));
    assert_int_equal(w.len, h.map.n);
    assert_memory_equal(again, h.map.p, w.len);
}

static void
session_data_may_be_empty_with_any_s_flag(void **state)
{
    struct mkt_hdr h;
    struct mkt_err err;
    (void)state; /* RFC6043:6.1.1-1 RFC6043:6.1.1-7 */
    assert_int_equal(hdr("010e0581 12345678 02 02  01 00 80 0000 00  02 00 00 0000 00", &h, &err),
                     MKT_OK);
}

static void
reads_a_map_of_255_crypto_sessions(void **state)
{
    uint8_t buf[10 + 255 * 6];
    struct mkt_err err = { 0 };
    struct mkt_hdr h;
    struct mkt_map_iter it;
    struct mkt_cs cs;
    size_t n = 0;
    (void)state;
    memset(buf, 0, sizeof buf);
    memcpy(buf, "\x01\x0e\x05\x00\x00\x00\x00\x01\xff\x02", 10);
    for (size_t i = 0; i < 255; i++)
        buf[10 + 6 * i] = (uint8_t)i;
    struct mkt_reader r = mkt_r_open(mkt_span(buf, sizeof buf), 0, "HDR", "RFC 3830 6.1", &err);
    assert_int_equal(mkt_hdr_read(&r, &h), MKT_OK);
    assert_int_equal(r.left, 0);
    for (mkt_map_begin(&it, &h); mkt_map_next(&it, &cs); n++)
        assert_int_equal(cs.cs_id, n);
    assert_int_equal(n, 255); /* RFC3830:6.1-7 */
}

static void
refuses_a_bad_header(void **state)
{
    static const struct {
        const char *hex, *rc;
        size_t at;
        const char *what, *ref;
    } bad[] = {
        { "", "TRUNCATED", 0, "HDR version", "RFC 3830 6.1" },
        { "000e0581 12345678 00 02", "VERSION", 0, "HDR version", "RFC 3830 6.1" },
        { "020e0581 12345678 00 02", "VERSION", 0, "HDR version", "RFC 3830 6.1" },
        { "010e0581 123456", "TRUNCATED", 4, "HDR CSB ID", "RFC 3830 6.1" },
        { "010e0581 12345678 00", "TRUNCATED", 9, "HDR CS ID map type", "RFC 3830 6.1" },
        /* GStreamer and live555 read any map as SRTP-ID */
        { "010e0581 12345678 01 03 010000000200000003", "MAP", 9, "HDR CS ID map type",
          "RFC 3830 6.1" },
        { "01000581 12345678 01 00 0100000002000000", "TRUNCATED", 10, "HDR SRTP-ID",
          "RFC 3830 6.1.1" },
        { "010e0581 12345678 01 02 01", "TRUNCATED", 11, "HDR Prot type", "RFC 6043 6.1.1" },
        { "010e0581 12345678 01 02 01 00 03 0001", "TRUNCATED", 13, "HDR Ps", "RFC 6043 6.1.1" },
        { "010e0581 12345678 01 02 01 00 00 0004 000000", "TRUNCATED", 15, "HDR Session Data",
          "RFC 6043 6.1.1" },
        { "010e0581 12345678 01 02 01 00 00 0005 0000000000 00", "FIELD", 13, "HDR Session Data",
          "RFC 6043 6.1.1" },
        { "010e0581 12345678 01 02 01 00 80 0004 00000000 00", "FIELD", 13, "HDR Session Data",
          "RFC 6043 6.1.1" },
        { "010e0581 12345678 01 02 01 00 00 000a 00000000000000000000 00", "FIELD", 13,
          "HDR Session Data", "RFC 6043 6.1.1" },
        { "010e0581 12345678 01 02 01 00 00 0000 02 01", "TRUNCATED", 16, "HDR SPI",
          "RFC 6043 6.1.1" },
        { "010e0581 12345678 02 02 01 00 00 0000 00", "TRUNCATED", 16, "HDR CS ID",
          "RFC 6043 6.1.1" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mkt_hdr h;
        struct mkt_err err;
        assert_int_not_equal(hdr(bad[i].hex, &h, &err), MKT_OK); /* RFC3830:6.1-1 */
        assert_string_equal(mkt_rc_name(err.rc), bad[i].rc);
        assert_int_equal(err.offset, bad[i].at);
        assert_string_equal(err.what, bad[i].what);
        assert_string_equal(err.ref, bad[i].ref);
    }
}

/* RFC 6043 6.1.1 and RFC 3830 6.1.1: every truncation and every flipped bit of the maps. */
static void
every_damaged_map_is_refused_with_a_reason_or_written_back(void **state)
{
    static uint8_t map[4096], bad[4096];
    (void)state;
    for (size_t i = 0; i < WIRE_VECTORS; i++) {
        struct mkt_hdr h;
        struct mkt_err err;
        assert_int_equal(hdr(wire_vectors[i].hex, &h, &err), MKT_OK);
        size_t n = 2 + h.map.n;
        map[0] = h.map_type;
        map[1] = h.n_cs;
        memcpy(map + 2, h.map.p, h.map.n);
        for (size_t cut = 0; cut <= n; cut++)
            assert_null(mkt_prop_map(map, cut));
        for (size_t bit = 0; bit < 8 * n; bit++) {
            memcpy(bad, map, n);
            bad[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_null(mkt_prop_map(bad, n));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_every_field_of_the_header),
        cmocka_unit_test(reads_an_srtp_id_map_of_nine_octets_each),
        cmocka_unit_test(an_empty_map_has_no_crypto_sessions),
        cmocka_unit_test(reads_and_writes_every_form_of_a_generic_id_block),
        cmocka_unit_test(session_data_may_be_empty_with_any_s_flag),
        cmocka_unit_test(reads_a_map_of_255_crypto_sessions),
        cmocka_unit_test(refuses_a_bad_header),
        cmocka_unit_test(every_damaged_map_is_refused_with_a_reason_or_written_back),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
