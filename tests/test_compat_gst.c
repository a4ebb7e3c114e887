/* SPDX-License-Identifier: Apache-2.0 */
/* The RFC 3830 message of a compatibility ticket, read by GStreamer's MIKEY (gst/sdp/gstmikey.h),
 * which is not ours. How far that goes (seen with 1.22.0):
 *
 * - It reads HDR with the SRTP-ID map, T, RAND, SP and the algorithms of KEMAC, and writes all of
 * it back to the same octets, up to the Encr data.
 * - It does not decrypt and does not verify a MAC: its GstMIKEYDecryptInfo has no key. An encrypted
 *   KEMAC has no key inside for it, and is written back without Encr data and with a MAC of zeros.
 * - With the same Key Data under NULL encryption and the NULL MAC it reads the TGK, and writes the
 *   whole message back to the same octets. It hands out a key to SRTP from there.
 * - It derives no TEK from a TGK (4.1.3): it takes the octets of the first key as they are.
 * - Before 1.24.13 and 1.26.2 it does not return from a message with ID payloads
 *   (gitlab.freedesktop.org, issue 3314), so only the subtype without them is shown to it. */
#include "compat_call.h"
#include "rfc3830_peer.h"

#include <gst/gst.h>
#include <gst/sdp/gstmikey.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct seen { /* a call, the message, and what GStreamer makes of it */
    struct call c;
    struct mkt_compat compat;
    struct i_message peer;
    GstMIKEYMessage *gst;
};

static GstMIKEYMessage *
gst_read(const uint8_t *p, size_t n)
{
    GError *error = NULL;
    GBytes *bytes = g_bytes_new(p, n);
    GstMIKEYMessage *m = gst_mikey_message_new_from_bytes(bytes, NULL, &error);

    assert_null(error);
    assert_non_null(m);
    g_bytes_unref(bytes);
    return m;
}

static void
open_call(struct seen *s)
{
    assert_true(compat_call_open(&s->c, MKT_COMPAT_NO_IDS, 16));
    assert_int_equal(call_until_grant(&s->c), MKT_OK);
    assert_int_equal(mkt_grant_compat(s->c.grant, &s->c.env, &s->compat, &s->c.io.err), MKT_OK);
    const struct mkt_span m = s->compat.message;
    assert_null(peer_read(&s->peer, (struct octets){ m.p, m.n }));
    assert_null(peer_open(&s->peer, (struct octets){ compat_psk, 16 }));
    s->gst = gst_read(m.p, m.n);
}

static void
close_call(struct seen *s)
{
    gst_mikey_message_unref(s->gst);
    call_close(&s->c);
}

static const void *
payload(const GstMIKEYMessage *m, GstMIKEYPayloadType type)
{
    const GstMIKEYPayload *p = gst_mikey_message_find_payload(m, type, 0);
    assert_non_null(p);
    return p;
}

static void
gstreamer_reads_the_header_and_its_map(void **state)
{
    struct seen s;
    (void)state;
    open_call(&s);
    assert_int_equal(s.gst->version, 1);
    assert_int_equal(s.gst->type, GST_MIKEY_TYPE_PSK_INIT);
    assert_false(s.gst->V);
    assert_int_equal(s.gst->prf_func, GST_MIKEY_PRF_MIKEY_1);
    assert_int_equal(s.gst->CSB_id, s.compat.csb_id);
    assert_int_equal(s.gst->map_type, GST_MIKEY_MAP_TYPE_SRTP);
    assert_int_equal(gst_mikey_message_get_n_cs(s.gst), s.compat.n_cs);
    for (guint i = 0; i < s.compat.n_cs; i++) {
        const GstMIKEYMapSRTP *cs = gst_mikey_message_get_cs_srtp(s.gst, i);
        assert_int_equal(cs->policy, s.peer.cs[i].policy_no);
        assert_int_equal(cs->ssrc, 0);
        assert_int_equal(cs->roc, 0);
    }
    assert_int_equal(gst_mikey_message_get_n_payloads(s.gst), 4);
    close_call(&s);
}

static void
gstreamer_reads_timestamp_and_random_value(void **state)
{
    struct seen s;
    (void)state;
    open_call(&s);
    const GstMIKEYPayloadT *t = payload(s.gst, GST_MIKEY_PT_T);
    assert_int_equal(t->type, GST_MIKEY_TS_TYPE_NTP_UTC);
    assert_int_equal(GST_READ_UINT64_BE(t->ts_value), s.peer.t);
    const GstMIKEYPayloadRAND *rand = payload(s.gst, GST_MIKEY_PT_RAND);
    assert_int_equal(rand->len, s.peer.rand.n);
    assert_memory_equal(rand->rand, s.peer.rand.p, rand->len);
    close_call(&s);
}

static guint8
srtp_param(const GstMIKEYPayload *sp, guint8 type)
{
    for (guint i = 0; i < gst_mikey_payload_sp_get_n_params(sp); i++) {
        const GstMIKEYPayloadSPParam *p = gst_mikey_payload_sp_get_param(sp, i);
        if (p->type == type && p->len == 1)
            return p->val[0];
    }
    return 255;
}

static void
gstreamer_reads_the_security_policy(void **state)
{
    static const guint8 want[][2] = {
        { GST_MIKEY_SP_SRTP_ENC_ALG, 1 },       { GST_MIKEY_SP_SRTP_ENC_KEY_LEN, 16 },
        { GST_MIKEY_SP_SRTP_AUTH_ALG, 1 },      { GST_MIKEY_SP_SRTP_AUTH_KEY_LEN, 20 },
        { GST_MIKEY_SP_SRTP_SALT_KEY_LEN, 14 }, { GST_MIKEY_SP_SRTP_SRTP_ENC, 1 },
        { GST_MIKEY_SP_SRTP_SRTCP_ENC, 1 },     { GST_MIKEY_SP_SRTP_SRTP_AUTH, 1 },
        { GST_MIKEY_SP_SRTP_AUTH_TAG_LEN, 10 },
    };
    struct seen s;
    (void)state;
    open_call(&s);
    const GstMIKEYPayloadSP *sp = payload(s.gst, GST_MIKEY_PT_SP);
    assert_int_equal(sp->policy, s.peer.policy_no);
    assert_int_equal(sp->proto, GST_MIKEY_SEC_PROTO_SRTP);
    assert_int_equal(gst_mikey_payload_sp_get_n_params(&sp->pt), G_N_ELEMENTS(want));
    for (size_t i = 0; i < G_N_ELEMENTS(want); i++)
        assert_int_equal(srtp_param(&sp->pt, want[i][0]), want[i][1]);
    close_call(&s);
}

static void
gstreamer_sees_which_algorithms_protect_the_key(void **state)
{
    struct seen s;
    (void)state;
    open_call(&s);
    const GstMIKEYPayloadKEMAC *kemac = payload(s.gst, GST_MIKEY_PT_KEMAC);
    assert_int_equal(kemac->enc_alg, GST_MIKEY_ENC_AES_CM_128);
    assert_int_equal(kemac->mac_alg, GST_MIKEY_MAC_HMAC_SHA_1_160);
    close_call(&s);
}

/* Compares the first n octets of what GStreamer writes; returns how many it writes. */
static size_t
expect_written(GstMIKEYMessage *m, const uint8_t *p, size_t n)
{
    GError *error = NULL;
    GBytes *bytes = gst_mikey_message_to_bytes(m, NULL, &error);
    gsize len = 0;

    assert_null(error);
    assert_non_null(bytes);
    const uint8_t *written = g_bytes_get_data(bytes, &len);
    assert_true(len >= n);
    assert_memory_equal(written, p, n);
    g_bytes_unref(bytes);
    return len;
}

static void
gstreamer_writes_the_same_octets_up_to_what_is_encrypted(void **state)
{
    struct seen s;
    (void)state;
    open_call(&s);
    const uint8_t *p = s.compat.message.p;
    (void)expect_written(s.gst, p, (size_t)(s.peer.encr_data.p - p) - 2);
    close_call(&s);
}

/* The message with the Key Data that the peer decrypted, under NULL encryption and MAC. */
static size_t
in_the_clear(const struct seen *s, uint8_t *out, size_t cap)
{
    const size_t at = (size_t)(s->peer.encr_data.p - s->compat.message.p);
    const size_t n = s->peer.encr_data.n;

    assert_true(at + n + 1 <= cap);
    memcpy(out, s->compat.message.p, at);
    out[at - 3] = MKT_ENCR_NULL;
    memcpy(out + at, s->peer.clear, n);
    out[at + n] = MKT_MAC_NULL;
    return at + n + 1;
}

static void
gstreamer_reads_the_key_once_it_is_decrypted(void **state)
{
    struct seen s;
    uint8_t clear[512];
    (void)state;
    open_call(&s);
    const size_t n = in_the_clear(&s, clear, sizeof clear);
    GstMIKEYMessage *m = gst_read(clear, n);
    const GstMIKEYPayloadKEMAC *kemac = payload(m, GST_MIKEY_PT_KEMAC);
    assert_int_equal(gst_mikey_payload_kemac_get_n_sub(&kemac->pt), 1);
    const GstMIKEYPayloadKeyData *key =
        (const GstMIKEYPayloadKeyData *)gst_mikey_payload_kemac_get_sub(&kemac->pt, 0);
    const struct mkt_key *tgk = &mkt_grant_keys(s.c.grant)->k[1]; /* behind the MPK */
    assert_int_equal(key->key_type, GST_MIKEY_KD_TGK);
    assert_int_equal(key->kv_type, GST_MIKEY_KV_NULL);
    assert_int_equal(key->key_len, tgk->key.n);
    assert_memory_equal(key->key_data, tgk->key.b, tgk->key.n);
    assert_int_equal(expect_written(m, clear, n), n); /* the same octets, and no more */
    gst_mikey_message_unref(m);
    mkt_wipe(clear, sizeof clear);
    close_call(&s);
}

static void
gstreamer_hands_srtp_the_policy_of_the_message(void **state)
{
    struct seen s;
    uint8_t clear[512];
    (void)state;
    open_call(&s);
    GstMIKEYMessage *m = gst_read(clear, in_the_clear(&s, clear, sizeof clear));
    GstCaps *caps = gst_caps_new_empty_simple("application/x-srtp");
    assert_true(gst_mikey_message_to_caps(m, caps));
    const GstStructure *srtp = gst_caps_get_structure(caps, 0);
    assert_string_equal(gst_structure_get_string(srtp, "srtp-cipher"), "aes-128-icm");
    assert_string_equal(gst_structure_get_string(srtp, "srtp-auth"), "hmac-sha1-80");
    assert_string_equal(gst_structure_get_string(srtp, "srtcp-cipher"), "aes-128-icm");
    assert_string_equal(gst_structure_get_string(srtp, "srtcp-auth"), "hmac-sha1-80");
    const GValue *key = gst_structure_get_value(srtp, "srtp-key");
    const struct mkt_key *tgk = &mkt_grant_keys(s.c.grant)->k[1];
    assert_non_null(key);
    assert_int_equal(gst_buffer_memcmp(gst_value_get_buffer(key), 0, tgk->key.b, tgk->key.n), 0);
    gst_caps_unref(caps);
    gst_mikey_message_unref(m);
    mkt_wipe(clear, sizeof clear);
    close_call(&s);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gstreamer_reads_the_header_and_its_map),
        cmocka_unit_test(gstreamer_reads_timestamp_and_random_value),
        cmocka_unit_test(gstreamer_reads_the_security_policy),
        cmocka_unit_test(gstreamer_sees_which_algorithms_protect_the_key),
        cmocka_unit_test(gstreamer_writes_the_same_octets_up_to_what_is_encrypted),
        cmocka_unit_test(gstreamer_reads_the_key_once_it_is_decrypted),
        cmocka_unit_test(gstreamer_hands_srtp_the_policy_of_the_message),
    };
    gst_init(&argc, &argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    gst_deinit();
    return failed;
}
