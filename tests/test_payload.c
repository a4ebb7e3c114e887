/* SPDX-License-Identifier: Apache-2.0 */
/* The wire form of each payload, in both directions, with octets from the published test vectors or
 * written down by hand from the figures of RFC 3830 section 6 and RFC 6043 section 6. Each refusal
 * is tested with its octet and clause. */
#include "wire.h"

#include "../fuzz/property.h"
#include "../fuzz/targets.h"
#include "payload/codec.h"
#include "wire_vectors.h"
#include <mikeyticket/message.h>

#define X16 "000102030405060708090a0b0c0d0e0f"
#define X20 X16 "10111213"
#define X32 X16 "101112131415161718191a1b1c1d1e1f"

static uint8_t octets[MKT_MSG_MAX + 1];
static struct mkt_payload pl;

/* Decodes hex, and requires that encoding the result gives the same octets. Returns &pl. */
static const struct mkt_payload *
both(uint16_t type, const char *hex)
{
    static uint8_t again[MKT_MSG_MAX];
    struct mkt_err err = { 0 };
    size_t n = hex_octets(hex, octets, sizeof octets), used, len;
    assert_int_equal(mkt_payload_decode(&pl, type, mkt_span(octets, n), &used, &err), MKT_OK);
    assert_int_equal(used, n);
    assert_int_equal(pl.type, type);
    assert_int_equal(mkt_payload_encode(&pl, again, sizeof again, &len), MKT_OK);
    assert_int_equal(len, n);
    assert_memory_equal(again, octets, n);
    return &pl;
}

/* --- payloads of RFC 3830 ----------------------------------------------------------------------
 */

static void
reads_and_writes_kemac(void **state)
{
    const struct mkt_pl_kemac *k = &pl.u.kemac;
    (void)state;
    both(MKT_PL_KEMAC, "09 01 0003 aabbcc 00");
    assert_int_equal(pl.next, MKT_PL_V);
    assert_int_equal(k->encr_alg, MKT_ENCR_AES_CM_128); /* RFC3830:6.2-1 */
    assert_octets(k->encr_data, "aabbcc");
    assert_int_equal(k->mac_alg, MKT_MAC_NULL);
    assert_int_equal(k->mac.n, 0);
    both(MKT_PL_KEMAC, "00 03 0000 01" X20);
    assert_octets(k->mac, X20);
    both(MKT_PL_KEMAC, "00 ff 0001 00 02" X32); /* an unknown Encr alg has a length all the same */
    assert_octets(k->mac, X32);
}

static void
reads_and_writes_pke_with_all_14_bits_of_its_length(void **state)
{
    static char hex[2 * (3 + 0x3FFF) + 1];
    (void)state;
    both(MKT_PL_PKE, "04 8003 010203");
    assert_int_equal(pl.u.pke.c, 2);
    assert_octets(pl.u.pke.data, "010203");
    memset(hex, '7', sizeof hex - 1);
    memcpy(hex, "00ffff", 6);
    both(MKT_PL_PKE, hex);
    assert_int_equal(pl.u.pke.c, 3);
    assert_int_equal(pl.u.pke.data.n, 0x3FFF); /* RFC3830:6.3-1 */
}

static void
reads_and_writes_dh_groups_and_their_validity(void **state)
{
    static char hex[2 * 256];
    static const size_t len[] = { 192, 96, 128 };
    (void)state;
    for (size_t group = 0; group < 3; group++) {
        size_t n = (size_t)sprintf(hex, "00%02zx", group);
        for (size_t i = 0; i < len[group]; i++)
            n += (size_t)sprintf(hex + n, "a5");
        strcpy(hex + n, "f1 02 beef");
        both(MKT_PL_DH, hex);
        assert_int_equal(pl.u.dh.value.n, len[group]); /* RFC3830:6.4-1 */
        assert_int_equal(pl.u.dh.reserv, 15);
        assert_octets(pl.u.dh.spi, "beef");
        strcpy(hex + n, "02 01 00 02 ffff");
        both(MKT_PL_DH, hex);
        assert_octets(pl.u.dh.from, "00");
        assert_octets(pl.u.dh.to, "ffff");
        strcpy(hex + n, "00");
        both(MKT_PL_DH, hex);
    }
}

static void
reads_and_writes_sign_without_a_next_payload_octet(void **state)
{
    (void)state;
    both(MKT_PL_SIGN, "1003 010203");
    assert_int_equal(pl.next, MKT_PL_LAST); /* RFC3830:5.2-1 RFC3830:6.5-1 */
    assert_int_equal(pl.u.sign.s_type, 1);
    assert_octets(pl.u.sign.signature, "010203");
}

static void
reads_and_writes_all_four_timestamp_types(void **state)
{
    (void)state;
    both(MKT_PL_T, "0e 00 d120000110000001");
    assert_octets(pl.u.t.value, "d120000110000001"); /* RFC3830:6.6-1 */
    both(MKT_PL_T, "0e 01 d120000110000001");
    both(MKT_PL_T, "0e 02 00000007");
    assert_int_equal(pl.u.t.ts_type, MKT_TS_COUNTER);
    both(MKT_PL_T, "0e 03 d1200001");
    assert_octets(pl.u.t.value, "d1200001");
}

static void
reads_and_writes_id_and_cert(void **state)
{
    (void)state;
    both(MKT_PL_ID, "0a 00 0005 6140622e63");
    assert_int_equal(pl.u.id.id_type, MKT_ID_NAI); /* RFC3830:6.7-1 */
    assert_octets(pl.u.id.data, "6140622e63");
    both(MKT_PL_CERT, "00 03 0002 3000");
    assert_int_equal(pl.u.cert.cert_type, 3); /* RFC3830:6.7-2 */
    assert_octets(pl.u.cert.data, "3000");
}

static void
reads_and_writes_chash_and_v_by_their_algorithms(void **state)
{
    (void)state;
    both(MKT_PL_CHASH, "02 00" X20);
    both(MKT_PL_CHASH, "02 01" X16);
    both(MKT_PL_CHASH, "02 02" X32);
    assert_octets(pl.u.chash.hash, X32); /* RFC3830:6.8-1 RFC3830:6.9-1 */
    both(MKT_PL_V, "00 00");             /* a NULL MAC parses; no exchange accepts it */
    assert_int_equal(pl.u.v.mac.n, 0);
    both(MKT_PL_V, "00 01" X20);
    both(MKT_PL_V, "00 02" X32);
    assert_octets(pl.u.v.mac, X32);
}

static void
reads_and_writes_sp_and_walks_its_parameters(void **state)
{
    struct mkt_sp_param p;
    (void)state;
    both(MKT_PL_SP, "11 07 00 0007 00 01 01  0d 02 0100");
    assert_int_equal(pl.u.sp.policy_no, 7);
    assert_int_equal(pl.u.sp.prot_type, MKT_PROT_SRTP);
    struct mkt_span rest = pl.u.sp.params;
    assert_true(mkt_sp_next(&rest, &p));
    assert_int_equal(p.type, 0);
    assert_octets(p.value, "01");
    assert_true(mkt_sp_next(&rest, &p));
    assert_int_equal(p.type, 13); /* RFC3830:6.10-2 */
    assert_octets(p.value, "0100");
    assert_false(mkt_sp_next(&rest, &p));
    both(MKT_PL_SP, "00 00 00 0000");
}

static void
reads_and_writes_rand_err_and_general_extension(void **state)
{
    (void)state;
    both(MKT_PL_RAND, "0e 10" X16);
    assert_octets(pl.u.rand.rand, X16);
    both(MKT_PL_RAND, "0e 00");
    both(MKT_PL_ERR, "00 0f a55a");
    assert_int_equal(pl.u.err.error_no, MKT_ERR_INVALID_TPPAR); /* RFC3830:6.12-1 */
    assert_int_equal(pl.u.err.reserved, 0xa55a);
    both(MKT_PL_GENERAL_EXT, "09 01 0006 6d696b65793b");
    assert_int_equal(pl.u.ext.ext_type, MKT_EXT_SDP_IDS); /* RFC3830:6.15-1 */
    assert_octets(pl.u.ext.data, "6d696b65793b");
}

static void
reads_and_writes_key_data_of_every_type_and_validity(void **state)
{
    (void)state;
    for (size_t i = 0; i < WIRE_KEY_DATA; i++) {
        both(MKT_PL_KEY_DATA, wire_key_data[i]);
        /* RFC3830:6.13-1 RFC3830:6.13-2 RFC3830:6.14-1 */
        assert_int_equal(pl.u.key_data.type, i / 3);
        assert_int_equal(pl.u.key_data.kv, i % 3);
        assert_int_equal(pl.u.key_data.key.n, 16);
        assert_int_equal(pl.u.key_data.salt.n, i / 3 % 2 == 1 ? 14 : 0);
        if (i % 3 == MKT_KV_SPI)
            assert_octets(pl.u.key_data.spi, "01020304");
        if (i % 3 == MKT_KV_INTERVAL) {
            assert_octets(pl.u.key_data.from, "000000000000");
            assert_octets(pl.u.key_data.to, "ffffffffffff");
        }
    }
    assert_int_equal(WIRE_KEY_DATA, 21);
    both(MKT_PL_KEY_DATA, "00 61 0000 00"); /* an SPI of no octets parses */
}

/* --- payloads of RFC 6043 ----------------------------------------------------------------------
 */

static void
reads_and_writes_tr_idr_and_randr_of_any_role(void **state)
{
    (void)state;
    both(MKT_PL_TR, "0d 03 03 d1200e10");
    assert_int_equal(pl.u.tr.role, MKT_TR_E);
    assert_octets(pl.u.tr.value, "d1200e10");
    both(MKT_PL_TR, "0d c8 00 d120000110000001");
    both(MKT_PL_IDR, "00 04 02 0003 00ff00");
    assert_int_equal(pl.u.idr.role, MKT_IDR_PSK);
    assert_int_equal(pl.u.idr.id_type, MKT_ID_BYTES);
    assert_octets(pl.u.idr.data, "00ff00");
    both(MKT_PL_IDR, "00 c8 09 0000");
    both(MKT_PL_RANDR, "0e 01 10" X16);
    assert_int_equal(pl.u.randr.role, MKT_RANDR_I);
    assert_octets(pl.u.randr.rand, X16);
    both(MKT_PL_RANDR, "0e c8 00");
}

static void
packs_prf_flags_and_reserved_bits_into_three_octets(void **state)
{
    (void)state;
    both(MKT_PL_TP, "09 0001 01 01 01 00 00 0001 00"); /* D is the last bit of the PRF octet */
    assert_int_equal(pl.u.ticket.prf, 0);
    assert_int_equal(pl.u.ticket.flags, 1 << 11);
    both(MKT_PL_TP, "09 0001 01 01 02 00 00 0001 00");
    assert_int_equal(pl.u.ticket.prf, 1);
    assert_int_equal(pl.u.ticket.flags, 0);
    both(MKT_PL_TP, "09 0001 01 01 00 80 00 0001 00"); /* E */
    assert_int_equal(pl.u.ticket.flags, 1 << 10);
    both(MKT_PL_TP, "09 0001 01 01 00 00 20 0001 00"); /* O */
    assert_int_equal(pl.u.ticket.flags, 1);
    both(MKT_PL_TP, "09 f00d 02 03 fe 00 1f 0001 00"); /* reserved bits are kept */
    assert_int_equal(pl.u.ticket.prf, 127);
    assert_int_equal(pl.u.ticket.flags, 0);
    assert_int_equal(pl.u.ticket.res, 31);
    assert_int_equal(pl.u.ticket.ticket_type, 0xf00d);
    assert_int_equal(pl.u.ticket.subtype, 2);
    assert_int_equal(pl.u.ticket.version, 3);
}

static void
reads_and_writes_a_ticket_with_and_without_its_optional_data(void **state)
{
    (void)state;
    both(MKT_PL_TICKET, "01 0001 01 01 01f860 0002 0000 0003 aabbcc 0001 09");
    assert_octets(pl.u.ticket.tp_data, "0000");
    assert_octets(pl.u.ticket.ticket_data, "aabbcc");
    assert_octets(pl.u.ticket.initiator_data, "09");
    both(MKT_PL_TICKET, "01 0001 01 01 01f860 0001 00 0000 0000");
    assert_int_equal(pl.u.ticket.ticket_data.n + pl.u.ticket.initiator_data.n, 0);
}

static void
reads_and_writes_thdr(void **state)
{
    (void)state;
    both(MKT_PL_THDR, "05 0002 cafe"); /* RFC6043:A.3-1 */
    assert_int_equal(pl.next, MKT_PL_T);
    assert_octets(pl.u.thdr.data, "cafe");
}

/* --- refusals ----------------------------------------------------------------------------------
 */

static void
refuses_malformed_payloads_with_octet_and_clause(void **state)
{
    static const struct {
        uint16_t type;
        const char *hex, *rc;
        size_t at;
        const char *what, *ref;
    } bad[] = {
        { MKT_PL_KEMAC, "00 01 0004 aabbcc", "TRUNCATED", 4, "KEMAC Encr data", "RFC 3830 6.2" },
        { MKT_PL_KEMAC, "00 01 0001 aa 03", "MAC_ALG", 5, "KEMAC MAC", "RFC 3830 6.2" },
        { MKT_PL_KEMAC, "00 01 0001 aa 01" X16, "TRUNCATED", 6, "KEMAC MAC", "RFC 3830 6.2" },
        { MKT_PL_PKE, "00 4002 01", "TRUNCATED", 3, "PKE Data", "RFC 3830 6.3" },
        { MKT_PL_DH, "00 03 00", "DH_GROUP", 1, "DH DH-value", "RFC 3830 6.4" },
        { MKT_PL_DH, "00 01" X16, "TRUNCATED", 2, "DH DH-value", "RFC 3830 6.4" },
        { MKT_PL_DH, "00 01" X32 X32 X32 "03", "FIELD", 98, "DH KV", "RFC 3830 6.4" },
        { MKT_PL_SIGN, "1004 010203", "TRUNCATED", 2, "SIGN Signature", "RFC 3830 6.5" },
        { MKT_PL_T, "00 04 0000000000000000", "TS_TYPE", 1, "T TS Value", "RFC 3830 6.6" },
        { MKT_PL_T, "00 00 00000000000000", "TRUNCATED", 2, "T TS Value", "RFC 3830 6.6" },
        { MKT_PL_ID, "00 01 0002 61", "TRUNCATED", 4, "ID ID Data", "RFC 3830 6.7" },
        { MKT_PL_CERT, "00 00 ffff 30", "TRUNCATED", 4, "CERT Certificate Data", "RFC 3830 6.7" },
        { MKT_PL_CHASH, "00 03" X32, "HASH", 1, "CHASH Hash", "RFC 3830 6.8" },
        { MKT_PL_CHASH, "00 02" X16, "TRUNCATED", 2, "CHASH Hash", "RFC 3830 6.8" },
        { MKT_PL_V, "00 03" X32, "MAC_ALG", 1, "V Ver data", "RFC 3830 6.9" },
        { MKT_PL_V, "00 01" X16, "TRUNCATED", 2, "V Ver data", "RFC 3830 6.9" },
        { MKT_PL_RAND, "00 02 61", "TRUNCATED", 2, "RAND RAND", "RFC 3830 6.11" },
        { MKT_PL_ERR, "00 0c 00", "TRUNCATED", 2, "ERR Reserved", "RFC 3830 6.12" },
        { MKT_PL_KEY_DATA, "00 70 0001 00", "FIELD", 1, "Key Data Type", "RFC 3830 6.13" },
        { MKT_PL_KEY_DATA, "00 f0 0001 00", "FIELD", 1, "Key Data Type", "RFC 3830 6.13" },
        { MKT_PL_KEY_DATA, "00 03 0001 00", "FIELD", 1, "Key Data KV", "RFC 3830 6.13" },
        { MKT_PL_KEY_DATA, "00 00 0002 00", "TRUNCATED", 4, "Key Data Key data", "RFC 3830 6.13" },
        { MKT_PL_KEY_DATA, "00 10 0001 00 0001", "TRUNCATED", 7, "Key Data Salt data",
          "RFC 3830 6.13" },
        { MKT_PL_KEY_DATA, "00 01 0001 00", "TRUNCATED", 5, "KV data SPI", "RFC 3830 6.13" },
        { MKT_PL_KEY_DATA, "00 02 0001 00 01 00 01", "TRUNCATED", 8, "KV data Valid To",
          "RFC 3830 6.13" },
        { MKT_PL_GENERAL_EXT, "00 00 0001", "TRUNCATED", 4, "General Ext. Data", "RFC 3830 6.15" },
        { MKT_PL_TR, "00 02 04 00000000", "TS_TYPE", 2, "TR TS Value", "RFC 6043 6.4" },
        { MKT_PL_IDR, "00 01 01 0002 61", "TRUNCATED", 5, "IDR ID Data", "RFC 6043 6.6" },
        { MKT_PL_RANDR, "00 01 11" X16, "TRUNCATED", 3, "RANDR RAND", "RFC 6043 6.8" },
        { MKT_PL_TP, "00 0001 01 01 01f860 0000", "FIELD", 8, "TP Data", "RFC 6043 6.10" },
        { MKT_PL_TP, "00 0001 01 01 01f860 0002 00", "TRUNCATED", 10, "TP Data", "RFC 6043 6.10" },
        { MKT_PL_TP, "00 0001 01 01 01f8", "TRUNCATED", 5, "PRF Func and flags", "RFC 6043 6.10" },
        { MKT_PL_TICKET, "00 0001 01 01 01f860 0001 00", "TRUNCATED", 11, "Ticket Data",
          "RFC 6043 6.10" },
        { MKT_PL_TICKET, "00 0001 01 01 01f860 0001 00 0000", "TRUNCATED", 13, "Initiator Data",
          "RFC 6043 6.10" }, /* the length field is not optional */
        { MKT_PL_THDR, "05 0001", "TRUNCATED", 3, "THDR THDR Data", "RFC 6043 A.3" },
        { MKT_PL_V, "", "TRUNCATED", 0, "V", "RFC 3830 6.9" },
        { MKT_PL_LAST, "00", "UNKNOWN_PAYLOAD", 0, "payload of an unknown type", "RFC 3830 6.1" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mkt_err err = { 0 };
        size_t used, n = hex_octets(bad[i].hex, octets, sizeof octets);
        enum mkt_rc rc = mkt_payload_decode(&pl, bad[i].type, mkt_span(octets, n), &used, &err);
        assert_int_not_equal(rc, MKT_OK);
        assert_string_equal(mkt_rc_name(err.rc), bad[i].rc);
        assert_int_equal(err.offset, bad[i].at);
        assert_string_equal(err.what, bad[i].what);
        assert_string_equal(err.ref, bad[i].ref);
    }
}

/* libmikey reads past the end of such an SP payload; gstmikey lets the length wrap. */
static void
refuses_sp_parameters_that_overrun_their_payload(void **state)
{
    static const struct {
        const char *hex;
        size_t at;
    } bad[] = {
        { "00 00 00 0002 00 01", 7 },          /* a value behind the end */
        { "00 00 00 0003 00 02 01 01 01", 7 }, /* into the octets that follow the payload */
        { "00 00 00 0003 00 ff 01", 7 },       /* len - 2 - 255 would wrap */
        { "00 00 00 0004 00 01 01 00", 9 },    /* a type without a length */
        { "00 00 00 0001 00", 6 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mkt_err err = { 0 };
        size_t used, n = hex_octets(bad[i].hex, octets, sizeof octets);
        enum mkt_rc rc = mkt_payload_decode(&pl, MKT_PL_SP, mkt_span(octets, n), &used, &err);
        assert_int_equal(rc, MKT_E_TRUNCATED); /* RFC3830:6.10-2 */
        assert_refused(&err, TRUNCATED, bad[i].at, "SP Policy param", "RFC 3830 6.10");
    }
}

static void
refuses_payloads_of_other_modes_by_name(void **state)
{
    static const char *const names[] = { "IBAKE", "ESK", "SK", "ECCPT", "SAKKE" };
    (void)state;
    memset(octets, 0, 64);
    for (uint16_t type = MKT_PL_IBAKE; type <= MKT_PL_SAKKE; type++) {
        struct mkt_err err = { 0 };
        size_t used;
        assert_int_equal(mkt_payload_decode(&pl, type, mkt_span(octets, 64), &used, &err),
                         MKT_E_FOREIGN_PAYLOAD);
        assert_string_equal(err.what, names[type - MKT_PL_IBAKE]);
        assert_string_equal(err.what, mkt_payload_name(type));
        pl.type = type;
        assert_int_equal(mkt_payload_encode(&pl, octets, 64, &used), MKT_E_NO_SPACE);
    }
}

static void
refuses_every_type_that_is_not_assigned(void **state)
{
    (void)state;
    memset(octets, 0, 64);
    for (uint16_t type = 0; type < 300; type++) {
        struct mkt_err err = { 0 };
        size_t used;
        bool assigned =
            (type >= 1 && type <= 17) || (type >= 20 && type <= 26) || type == MKT_PL_THDR;
        enum mkt_rc rc = mkt_payload_decode(&pl, type, mkt_span(octets, 64), &used, &err);
        assert_int_equal(rc == MKT_E_UNKNOWN_PAYLOAD, !assigned);
        assert_int_equal(strcmp(mkt_payload_name(type), "unknown") == 0, !assigned);
        assert_memory_equal(mkt_payload_ref(type), "RFC ", 4);
    }
}

static void
refuses_to_write_what_does_not_fit_its_field(void **state)
{
    static const uint8_t many[70000];
    const struct mkt_payload bad[] = {
        { .type = MKT_PL_PKE, .u.pke = { 4, mkt_span(many, 1) } },
        { .type = MKT_PL_PKE, .u.pke = { 0, mkt_span(many, 0x4000) } },
        { .type = MKT_PL_SIGN, .u.sign = { 16, mkt_span(many, 1) } },
        { .type = MKT_PL_SIGN, .u.sign = { 0, mkt_span(many, 0x1000) } },
        { .type = MKT_PL_RAND, .u.rand = { mkt_span(many, 256) } },
        { .type = MKT_PL_ID, .u.id = { 0, mkt_span(many, 65536) } },
        { .type = MKT_PL_T, .u.t = { MKT_TS_COUNTER, mkt_span(many, 8) } },
        { .type = MKT_PL_T, .u.t = { 9, mkt_span(many, 8) } },
        { .type = MKT_PL_V, .u.v = { MKT_MAC_HMAC_SHA_1_160, mkt_span(many, 32) } },
        { .type = MKT_PL_KEY_DATA, .u.key_data = { .type = 7 } },
        { .type = MKT_PL_KEY_DATA, .u.key_data = { .type = 0, .kv = 3 } },
        { .type = MKT_PL_KEY_DATA, .u.key_data = { .type = 0, .salt = mkt_span(many, 14) } },
        { .type = MKT_PL_KEY_DATA, .u.key_data = { .kv = 1, .spi = mkt_span(many, 256) } },
        { .type = MKT_PL_TP, .u.ticket = { .prf = 128, .tp_data = mkt_span(many, 1) } },
        { .type = MKT_PL_TP, .u.ticket = { .flags = 1 << 12, .tp_data = mkt_span(many, 1) } },
        { .type = MKT_PL_TP, .u.ticket = { .res = 32, .tp_data = mkt_span(many, 1) } },
        { .type = MKT_PL_TP, .u.ticket = { .prf = 0 } }, /* no TP Data */
        { .type = 99 },
    };
    static uint8_t out[80000];
    size_t len;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mkt_payload_encode(&bad[i], out, sizeof out, &len), MKT_E_NO_SPACE);
        assert_int_equal(len, 0);
    }
    const struct mkt_payload good = { .type = MKT_PL_SIGN, .u.sign = { 15, mkt_span(many, 4095) } };
    assert_int_equal(mkt_payload_encode(&good, out, sizeof out, &len), MKT_OK);
    assert_int_equal(len, 2 + 4095);
}

/* --- chains ------------------------------------------------------------------------------------
 */

static void
reads_and_writes_a_chain_of_key_data(void **state)
{
    struct mkt_payload k[32];
    struct mkt_err err = { 0 };
    static uint8_t again[1024];
    size_t count, n = hex_octets(wire_key_chain, octets, sizeof octets);
    struct mkt_writer w = mkt_w_open(again, sizeof again);
    (void)state;
    assert_int_equal(mkt_chain_decode(k, 32, &count, MKT_PL_KEY_DATA, mkt_span(octets, n), &err),
                     MKT_OK);
    assert_int_equal(count, 21);
    for (size_t i = 0; i < count; i++)
        mkt_pl_write(&w, &k[i]);
    assert_false(w.overflow);
    assert_int_equal(w.len, n);
    assert_memory_equal(again, octets, n);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_chain_decode(k, 20, &count, MKT_PL_KEY_DATA, mkt_span(octets, n), &err),
                     MKT_E_TOO_MANY);
}

static void
a_chain_must_use_all_octets_and_ends_with_sign(void **state)
{
    struct mkt_payload k[4];
    struct mkt_err err = { 0 };
    size_t count, n = hex_octets("04 00 00 0000  0001 aa", octets, sizeof octets);
    (void)state;
    assert_int_equal(mkt_chain_decode(k, 4, &count, MKT_PL_IDR, mkt_span(octets, n), &err), MKT_OK);
    assert_int_equal(count, 2);
    assert_int_equal(k[1].type, MKT_PL_SIGN);
    octets[n++] = 0;
    assert_int_equal(mkt_chain_decode(k, 4, &count, MKT_PL_IDR, mkt_span(octets, n), &err),
                     MKT_E_TRAILING);
    assert_refused(&err, TRAILING, 8, "end of the chain of payloads", "RFC 3830 6.1");
}

static void
an_unknown_payload_ends_a_chain_where_it_begins(void **state)
{
    struct mkt_payload k[4];
    struct mkt_err err = { 0 };
    size_t count, n = hex_octets("63 02 aabb  00 02 aabb", octets, sizeof octets);
    (void)state;
    assert_int_equal(mkt_chain_decode(k, 4, &count, MKT_PL_RAND, mkt_span(octets, n), &err),
                     MKT_E_UNKNOWN_PAYLOAD);
    assert_int_equal(err.offset, 4);
    octets[0] = MKT_PL_SAKKE;
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_chain_decode(k, 4, &count, MKT_PL_RAND, mkt_span(octets, n), &err),
                     MKT_E_FOREIGN_PAYLOAD);
    assert_refused(&err, FOREIGN_PAYLOAD, 4, "SAKKE", "RFC 6509 4");
}

static void
an_empty_chain_has_no_octets(void **state)
{
    struct mkt_payload k[1];
    struct mkt_err err = { 0 };
    size_t count;
    (void)state;
    assert_int_equal(mkt_chain_decode(k, 1, &count, MKT_PL_LAST, mkt_span(NULL, 0), &err), MKT_OK);
    assert_int_equal(count, 0);
}

/* --- properties --------------------------------------------------------------------------------
 */

/* Every truncation and every single flipped bit. The copy has the exact size, so that a sanitizer
 * sees a read of one octet too many. */
static void
damage(uint16_t type, const uint8_t *good, size_t n)
{
    for (size_t cut = 0; cut <= n; cut++) {
        uint8_t *copy = malloc(cut != 0 ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, good, cut);
        const char *broken = mkt_prop_payload(type, copy, cut);
        free(copy);
        assert_null(broken);
    }
    uint8_t *copy = malloc(n);
    assert_non_null(copy);
    memcpy(copy, good, n);
    const char *broken = NULL;
    for (size_t bit = 0; bit < 8 * n && broken == NULL; bit++) {
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        broken = mkt_prop_payload(type, copy, n);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    free(copy);
    assert_null(broken);
}

static void
every_damaged_payload_is_refused_with_a_reason_or_written_back(void **state)
{
    static uint8_t message[MKT_MSG_MAX];
    uint32_t seen = 0;
    (void)state;
    for (size_t i = 0; i < WIRE_VECTORS; i++) {
        struct mkt_err err = { 0 };
        struct mkt_hdr h;
        size_t n = hex_octets(wire_vectors[i].hex, message, sizeof message);
        struct mkt_reader r = mkt_r_open(mkt_span(message, n), 0, NULL, NULL, &err);
        assert_int_equal(mkt_hdr_read(&r, &h), MKT_OK);
        for (uint16_t type = h.next; type != MKT_PL_LAST; type = pl.next) {
            assert_int_equal(mkt_pl_read(&r, type, &pl), MKT_OK);
            seen |= 1U << type;
            damage(type, pl.raw.p, pl.raw.n);
        }
    }
    for (size_t i = 0; i < WIRE_KEY_DATA; i++) {
        size_t n = hex_octets(wire_key_data[i], message, sizeof message);
        damage(MKT_PL_KEY_DATA, message, n);
    }
    damage(MKT_PL_THDR, (const uint8_t *)"\x05\x00\x02\xca\xfe", 5);
    assert_int_equal(seen, 0x0023FFFE); /* every payload of the two RFCs was among them */
}

static void
the_fuzz_targets_name_every_payload(void **state)
{
    (void)state;
    for (uint16_t type = 1; type <= MKT_PL_GENERAL_EXT; type++) {
        size_t i = 0;
        while (i < MKT_TARGET_COUNT &&
               (mkt_targets[i].kind != MKT_PROP_PAYLOAD || mkt_targets[i].value != type))
            i++;
        assert_int_equal(i < MKT_TARGET_COUNT, strcmp(mkt_payload_name(type), "unknown") != 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_kemac),
        cmocka_unit_test(reads_and_writes_pke_with_all_14_bits_of_its_length),
        cmocka_unit_test(reads_and_writes_dh_groups_and_their_validity),
        cmocka_unit_test(reads_and_writes_sign_without_a_next_payload_octet),
        cmocka_unit_test(reads_and_writes_all_four_timestamp_types),
        cmocka_unit_test(reads_and_writes_id_and_cert),
        cmocka_unit_test(reads_and_writes_chash_and_v_by_their_algorithms),
        cmocka_unit_test(reads_and_writes_sp_and_walks_its_parameters),
        cmocka_unit_test(reads_and_writes_rand_err_and_general_extension),
        cmocka_unit_test(reads_and_writes_key_data_of_every_type_and_validity),
        cmocka_unit_test(reads_and_writes_tr_idr_and_randr_of_any_role),
        cmocka_unit_test(packs_prf_flags_and_reserved_bits_into_three_octets),
        cmocka_unit_test(reads_and_writes_a_ticket_with_and_without_its_optional_data),
        cmocka_unit_test(reads_and_writes_thdr),
        cmocka_unit_test(refuses_malformed_payloads_with_octet_and_clause),
        cmocka_unit_test(refuses_sp_parameters_that_overrun_their_payload),
        cmocka_unit_test(refuses_payloads_of_other_modes_by_name),
        cmocka_unit_test(refuses_every_type_that_is_not_assigned),
        cmocka_unit_test(refuses_to_write_what_does_not_fit_its_field),
        cmocka_unit_test(reads_and_writes_a_chain_of_key_data),
        cmocka_unit_test(a_chain_must_use_all_octets_and_ends_with_sign),
        cmocka_unit_test(an_unknown_payload_ends_a_chain_where_it_begins),
        cmocka_unit_test(an_empty_chain_has_no_octets),
        cmocka_unit_test(every_damaged_payload_is_refused_with_a_reason_or_written_back),
        cmocka_unit_test(the_fuzz_targets_name_every_payload),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
