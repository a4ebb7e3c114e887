/* SPDX-License-Identifier: Apache-2.0 */
/* Session keys, forking and the base ticket with labels written out from the text (RFC 6043 5.1.1,
 * 5.1.3, A.1, A.2): whole calls, and what both ends derive held against a second opinion. */
#include "witness.h"

#include "backend/backend.h"
#include "keys/keys.h"
#include "payload/codec.h"
#include "ticket/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint8_t suites[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };

static struct call c;

/* PRF(inkey, octets written in hex || nonces, each behind its length of one octet, or two for the
 * first with `wide`). */
static void
prf(uint8_t *out, size_t n, uint8_t prf_func, const struct mkt_secret *inkey, struct mkt_span fixed,
    bool wide, const struct mkt_span *nonce, size_t n_nonce)
{
    uint8_t label[1024];
    struct mkt_writer w = mkt_w_open(label, sizeof label);
    mkt_w_octets(&w, fixed);
    for (size_t i = 0; i < n_nonce; i++)
        mkt_w_vec(&w, wide && i == 0 ? 2 : 1, nonce[i]);
    assert_false(w.overflow);
    const struct mkt_derive d = { mkt_span(label, w.len), out, n };
    assert_true(mkt_prf_run(c.crypto, prf_func, mkt_secret_span(inkey), &d, 1));
}

static struct mkt_span
field(const struct message *m, uint16_t type, uint8_t role)
{
    static struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    const struct mkt_payload *pl = mkt_msg_find(&parsed, type, role);
    if (pl == NULL)
        return mkt_span(NULL, 0);
    return type == MKT_PL_IDR ? pl->u.idr.data : pl->u.randr.rand;
}

/* --- 5.1.3: TEK and salt from a TGK ------------------------------------------------------------
 */

/* Call for keys of these types; crypto session 3 uses the one with SPI `use`. */
static void
call_with_keys(uint8_t suite, uint16_t flags, const struct mkt_want_key *want, size_t n,
               struct mkt_span use)
{
    assert_true(call_open(&c, suite, MKT_TS_NTP_UTC));
    c.want.flags = flags;
    c.want.has_kemac = true;
    c.want.n_wanted = (uint8_t)n;
    memcpy(c.want.wanted, want, n * sizeof *want);
    c.cs.cs_id = 3;
    c.cs.spi = use;
    assert_int_equal(call_whole(&c, 1), MKT_OK);
}

static const uint8_t tek_label[] = { 0x2A, 0xD0, 0x1C, 0x64, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0x03 };
static const uint8_t salt_label[] = { 0x39, 0xA2, 0xC1, 0x4B, 3, 0xFF, 0xFF, 0xFF, 0xFF, 0x03 };
static const uint8_t fork_tgk[] = { 0x15, 0x12, 0xB5, 0x4A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00 };
static const uint8_t fork_mpk[] = { 0x2B, 0x28, 0x88, 0x56, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00 };

#define BASE (MKT_TP_D | MKT_TP_E | MKT_TP_F | MKT_TP_N | MKT_TP_O)
static const uint16_t uses[] = {
    BASE | MKT_TP_H,
    BASE | MKT_TP_G,
    BASE | MKT_TP_G | MKT_TP_H,
    BASE | MKT_TP_I | MKT_TP_H,
    BASE | MKT_TP_I | MKT_TP_G,
    BASE | MKT_TP_I | MKT_TP_G | MKT_TP_H,
};

static void
a_tek_comes_from_the_forked_tgk_and_the_rands_the_policy_names(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(suites); s++)
        for (size_t f = 0; f < COUNT(uses); f++) {
            uint16_t len = suites[s] == MKT_PRF_MIKEY_1 ? 16 : 32;
            const struct mkt_want_key tgk = { MKT_KEY_TGK, MKT_KV_SPI, len, 0, mkt_span("tgk", 3) };
            uint8_t tek[32], salt[14];
            struct mkt_secret got, got_salt;
            struct mkt_err err = { 0 };
            call_with_keys(suites[s], uses[f], &tgk, 1, mkt_span("tgk", 3));
            const struct mkt_keys *keys = mkt_grant_keys(c.grant);
            struct mkt_secret key = keys->k[keys->n - 1].key;
            if ((uses[f] & MKT_TP_I) != 0) { /* ID Data and RANDRkms of the answer */
                const struct mkt_span modifier[] = {
                    field(&c.resp[0], MKT_PL_IDR, MKT_IDR_R),
                    field(&c.resp[0], MKT_PL_RANDR, MKT_RANDR_KMS),
                };
                struct mkt_secret master = key;
                prf(key.b, key.n, suites[s], &master, mkt_span(fork_tgk, 10), true, modifier, 2);
            }
            const struct mkt_span none = { NULL, 0 };
            const struct mkt_span rands[] = {
                (uses[f] & MKT_TP_H) != 0 ? field(&c.init, MKT_PL_RANDR, MKT_RANDR_I) : none,
                (uses[f] & MKT_TP_G) != 0 ? field(&c.resp[0], MKT_PL_RANDR, MKT_RANDR_R) : none,
            };
            prf(tek, len, suites[s], &key, mkt_span(tek_label, 10), false, rands, 2);
            prf(salt, 14, suites[s], &key, mkt_span(salt_label, 10), false, rands, 2);
            for (unsigned end = 0; end < 2; end++) {
                const struct mkt_csb *csb = end == 0 ? c.at_alice[0] : c.at_bob[0];
                assert_int_equal(mkt_csb_derive(csb, c.crypto, 0, &got, &got_salt, &err), MKT_OK);
                assert_int_equal(got.n, len);
                /* RFC6043:5.1.1-1 RFC6043:5.1.3-1 RFC6043:5.1.3-2 RFC6043:5.1.3-4 RFC6043:5.1.3-5
                 * RFC6043:5.1.3-6 RFC6043:6.10-6 RFC6043:6.10-7 RFC3830:4.1.3-1 */
                assert_memory_equal(got.b, tek, len);
                assert_int_equal(got_salt.n, 14);
                assert_memory_equal(got_salt.b, salt, 14); /* RFC3830:4.1.3-3 */
            }
            call_close(&c);
        }
}

static const struct mkt_want_key every_kind[] = {
    { MKT_KEY_TGK_SALT, MKT_KV_SPI, 16, 14, { (const uint8_t *)"tgks", 4 } },
    { MKT_KEY_TEK_SALT, MKT_KV_SPI, 16, 14, { (const uint8_t *)"teks", 4 } },
    { MKT_KEY_GTGK, MKT_KV_SPI, 16, 0, { (const uint8_t *)"gtgk", 4 } },
    { MKT_KEY_TGK, MKT_KV_SPI, 16, 0, { (const uint8_t *)"tgk", 3 } },
    { MKT_KEY_TEK, MKT_KV_SPI, 16, 0, { (const uint8_t *)"tek", 3 } },
};

static void
a_salt_that_is_sent_is_used_as_it_is(void **state)
{
    struct mkt_secret tek, salt;
    struct mkt_err err = { 0 };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        call_with_keys(MKT_PRF_MIKEY_1, BASE | MKT_TP_H | MKT_TP_I, every_kind, 5,
                       every_kind[i].spi);
        const struct mkt_key *k = &mkt_grant_keys(c.grant)->k[2 + i];
        assert_int_equal(k->type, every_kind[i].type);
        assert_int_equal(mkt_csb_derive(c.at_bob[0], c.crypto, 0, &tek, &salt, &err), MKT_OK);
        assert_int_equal(salt.n, 14); /* RFC6043:5.1.3-3 RFC3830:4.1.3-4 */
        assert_memory_equal(salt.b, k->salt.b, 14);
        assert_int_equal(memcmp(tek.b, k->key.b, 16) == 0, k->type == MKT_KEY_TEK_SALT);
        call_close(&c);
    }
}

/* What the KMS gives Alice and what it gives Bob: MPKr and the TGKs differ, all others do not. */
static void
only_mpkr_and_tgks_are_forked(void **state)
{
    (void)state;
    call_with_keys(MKT_PRF_MIKEY_1, BASE | MKT_TP_H | MKT_TP_I, every_kind, 5, mkt_span("tgk", 3));
    struct protection p;
    uint8_t clear[1024];
    struct mkt_payload bob[8];
    size_t n = 0;
    struct mkt_err err = { 0 };
    assert_true(protection_of(&p, &c, RESOLVE_RESP));
    size_t len = open_kemac(clear, &c.resolved[0], &p, &c);
    assert_int_equal(
        mkt_chain_decode(bob, COUNT(bob), &n, MKT_PL_KEY_DATA, mkt_span(clear, len), &err), MKT_OK);
    const struct mkt_keys *alice = mkt_grant_keys(c.grant);
    const struct mkt_span modifier[] = { field(&c.resp[0], MKT_PL_IDR, MKT_IDR_R),
                                         field(&c.resp[0], MKT_PL_RANDR, MKT_RANDR_KMS) };
    assert_int_equal(n, 7);
    assert_int_equal(alice->n, n);
    for (size_t i = 0; i < n; i++) {
        const struct mkt_key *k = &alice->k[i];
        bool tgk = k->type == MKT_KEY_TGK || k->type == MKT_KEY_TGK_SALT;
        uint8_t want[16];
        memcpy(want, k->key.b, 16);
        if (tgk || i == 1)
            prf(want, 16, MKT_PRF_MIKEY_1, &k->key, mkt_span(tgk ? fork_tgk : fork_mpk, 10), true,
                modifier, 2);
        assert_int_equal(bob[i].u.key_data.type, k->type);
        assert_int_equal(bob[i].u.key_data.key.n, 16); /* RFC6043:5.1.1-3 */
        /* TEK and GTGK: RFC6043:5.1.1-2 RFC6043:6.2.1-1; the others RFC6043:5.1.1-1
         * RFC6043:4.2.3.5-10 RFC6043:6.10-2 RFC6043:6.10-7 */
        assert_memory_equal(bob[i].u.key_data.key.p, want, 16);
        assert_int_equal(bob[i].u.key_data.salt.n, k->salt.n);
        if (k->salt.n != 0)
            assert_memory_equal(bob[i].u.key_data.salt.p, k->salt.b, k->salt.n);
    }
    call_close(&c);
}

/* --- the base ticket (Appendix A) ----------------------------------------------------------------
 */

static struct mkt_payload ticket;    /* TICKET of the grant */
static struct mkt_payload inside[8]; /* its Ticket Data */
static size_t n_inside;

static void
get_ticket(uint8_t suite, uint8_t ts_type)
{
    struct mkt_err err = { 0 };
    size_t used = 0;
    assert_true(call_open(&c, suite, ts_type));
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(
        mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_grant_ticket(c.grant), &used, &err), MKT_OK);
    assert_int_equal(mkt_chain_decode(inside, COUNT(inside), &n_inside, MKT_PL_THDR,
                                      ticket.u.ticket.ticket_data, &err),
                     MKT_OK);
}

static const struct mkt_payload *
part(uint16_t type)
{
    for (size_t i = 0; i < n_inside; i++)
        if (inside[i].type == type)
            return &inside[i];
    fail_msg("no %s in the ticket", mkt_payload_name(type));
    return NULL;
}

/* constant || 0xFF || 0xFFFFFFFF || tag || length RAND || RAND */
static void
from_rand(uint8_t *out, size_t n, uint8_t prf_func, const struct mkt_secret *inkey,
          uint32_t constant, uint8_t tag)
{
    const uint8_t fixed[10] = { (uint8_t)(constant >> 24),
                                (uint8_t)(constant >> 16),
                                (uint8_t)(constant >> 8),
                                (uint8_t)constant,
                                0xFF,
                                0xFF,
                                0xFF,
                                0xFF,
                                0xFF,
                                tag };
    const struct mkt_span rand = part(MKT_PL_RAND)->u.rand.rand;
    prf(out, n, prf_func, inkey, mkt_span(fixed, sizeof fixed), false, &rand, 1);
}

/* MAC of the TICKET payload from its Ticket Type to the Auth alg octet of V. */
static void
ticket_mac(uint8_t *mac, size_t n, uint8_t prf_func, const uint8_t *raw, size_t mac_at)
{
    uint8_t key[32], alg = n == 20 ? MKT_MAC_HMAC_SHA_1_160 : MKT_MAC_HMAC_SHA_256_256;
    const struct mkt_span covered = mkt_span(raw + 1, mac_at - 1);
    from_rand(key, n, prf_func, &c.tpk.key, 0x2D22AC75, 0x05);
    assert_true(mkt_be_hmac_key(c.crypto, alg, mkt_span(key, n)));
    assert_true(mkt_be_hmac(c.crypto, alg, &covered, 1, mac));
    mkt_be_hmac_forget(c.crypto, alg);
}

static void
a_base_ticket_is_made_as_the_appendix_says(void **state)
{
    static const uint8_t ts_types[] = { MKT_TS_COUNTER, MKT_TS_NTP_UTC_32 };
    (void)state;
    for (size_t s = 0; s < COUNT(suites); s++) {
        size_t len = s == 0 ? 16 : 32, mac_len = s == 0 ? 20 : 32, n = 0;
        uint8_t key[32], iv[16] = { 0 }, clear[256], mac[32], mpk_i[32], mpk_r[32];
        struct mkt_payload keys[4];
        struct mkt_err err = { 0 };
        get_ticket(suites[s], ts_types[s]);
        assert_int_equal(inside[0].type, MKT_PL_THDR);         /* RFC6043:A.1-1 RFC6043:A-2 */
        assert_int_equal(inside[n_inside - 1].type, MKT_PL_V); /* RFC6043:A.1-7 */
        const struct mkt_pl_kemac *kemac = &part(MKT_PL_KEMAC)->u.kemac;
        assert_int_equal(kemac->mac_alg, MKT_MAC_NULL);                /* RFC6043:A.1-3 */
        assert_memory_equal(part(MKT_PL_IDR)->u.idr.data.p, "tpk", 3); /* RFC6043:A.1-6 */

        from_rand(key, len, suites[s], &c.tpk.key, 0x150533E1, 0x05);
        from_rand(iv, 14, suites[s], &c.tpk.key, 0x29B88916, 0x05);
        struct mkt_span t = part(MKT_PL_T)->u.t.value;
        for (size_t i = 0; i < 4; i++) {
            iv[2 + i] ^= 0xFF;                     /* CSB ID: RFC6043:A.1-5 */
            iv[(s == 0 ? 10U : 6U) + i] ^= t.p[i]; /* RFC6043:A.1-2 RFC6043:6.3-2 */
        }
        /* RFC3830:6.6-2 */
        assert_true(mkt_be_aes_ctr(c.crypto, mkt_span(key, len), iv, kemac->encr_data, clear));
        assert_int_equal(mkt_chain_decode(keys, COUNT(keys), &n, MKT_PL_KEY_DATA,
                                          mkt_span(clear, kemac->encr_data.n), &err),
                         MKT_OK); /* RFC6043:A.1-4 RFC6043:A.1-5 RFC6043:A.1-2 RFC6043:A.2.1-1 */
        assert_int_equal(n, 2);
        assert_int_equal(keys[0].u.key_data.type, MKT_KEY_MPK); /* RFC6043:A.2-1 */

        struct mkt_secret mpk;
        assert_int_equal(mkt_secret_set(&mpk, keys[0].u.key_data.key), MKT_OK);
        from_rand(mpk_i, len, suites[s], &mpk, 0x220E99A2, 0x06);
        from_rand(mpk_r, len, suites[s], &mpk, 0x1F4D675B, 0x06);
        const struct mkt_keys *granted = mkt_grant_keys(c.grant);
        assert_memory_equal(granted->k[0].key.b, mpk_i, len); /* RFC6043:A.2.2-1 RFC6043:A.2-1 */
        assert_memory_equal(granted->k[1].key.b, mpk_r, len);
        assert_int_equal(granted->k[1].key.n, len); /* RFC6043:A.2.2-2 */
        assert_memory_equal(granted->k[2].key.b, keys[1].u.key_data.key.p, len); /* RFC6043:11-2 */

        struct mkt_span sent = part(MKT_PL_V)->u.v.mac;
        ticket_mac(mac, mac_len, suites[s], ticket.raw.p, (size_t)(sent.p - ticket.raw.p));
        assert_int_equal(sent.n, mac_len);
        assert_memory_equal(sent.p, mac, mac_len); /* RFC6043:A.1-8 RFC6043:A-2 RFC6043:11-1 */
        call_close(&c);
    }
}

/* The ticket made anew of what is in `inside`, one payload put in; then opened with the TPK. */
static enum mkt_rc
open_remade(const struct mkt_payload *extra, size_t before)
{
    static uint8_t data[1024], whole[2048];
    struct mkt_writer d = mkt_w_open(data, sizeof data), w = mkt_w_open(whole, sizeof whole);
    struct mkt_payload anew = ticket, read;
    struct mkt_ticket_data parts;
    struct mkt_policy policy;
    struct mkt_keys keys = { .n = 0 };
    struct mkt_err err = { 0 };
    size_t used = 0;
    for (size_t i = 0; i < n_inside; i++) {
        if (i == before)
            mkt_pl_write(&d, extra);
        mkt_pl_write(&d, &inside[i]);
    }
    anew.u.ticket.ticket_data = mkt_span(data, d.len);
    mkt_pl_write(&w, &anew);
    assert_false(d.overflow || w.overflow);
    size_t mac_at = w.len - 2 - 20; /* in front of an empty Initiator Data */
    ticket_mac(whole + mac_at, 20, MKT_PRF_MIKEY_1, whole, mac_at);
    assert_int_equal(mkt_payload_decode(&read, MKT_PL_TICKET, mkt_span(whole, w.len), &used, &err),
                     MKT_OK);
    assert_int_equal(mkt_policy_decode(&policy, &read.u.ticket, true, 0, &err), MKT_OK);
    if (mkt_ticket_data_read(&parts, &read, &err) == MKT_OK)
        (void)!mkt_base_ticket_open(&keys, &read, &parts, &policy, c.crypto, &c.tpk.base, &err);
    mkt_keys_wipe(&keys);
    return err.rc;
}

static void
what_is_unexpected_in_a_ticket_is_ignored(void **state)
{
    static const struct mkt_payload unexpected[] = {
        { .type = MKT_PL_GENERAL_EXT, .u.ext = { .ext_type = 200 } },
        { .type = MKT_PL_IDR, .u.idr = { .role = MKT_IDR_APP } },
        { .type = MKT_PL_TR, .u.tr = { MKT_TR_S, MKT_TS_NTP_UTC_32, { tek_label, 4 } } },
    };
    (void)state;
    get_ticket(MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC);
    for (size_t i = 0; i < COUNT(unexpected); i++)
        for (size_t before = 1; before < n_inside; before++)
            assert_int_equal(open_remade(&unexpected[i], before), MKT_OK); /* RFC6043:A-3 */
    inside[0].u.thdr.data = mkt_span("nobody's business", 17);
    assert_int_equal(open_remade(NULL, SIZE_MAX), MKT_OK); /* RFC6043:A.3-1 */
    call_close(&c);
}

static void
a_ticket_that_lacks_a_payload_or_has_a_short_rand_is_refused(void **state)
{
    static const uint8_t rand[16] = { 1 };
    (void)state;
    get_ticket(MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC);
    assert_int_equal(part(MKT_PL_RAND)->u.rand.rand.n, 16); /* RFC6043:12.1-5 */
    for (size_t i = 0; i < n_inside; i++)
        if (inside[i].type == MKT_PL_RAND)
            inside[i].u.rand.rand = mkt_span(rand, 15);
    assert_int_equal(open_remade(NULL, SIZE_MAX), MKT_E_TICKET); /* RFC6043:12.1-5 */
    call_close(&c);
    get_ticket(MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC);
    struct mkt_payload v = inside[n_inside - 1];
    inside[n_inside - 1] = inside[n_inside - 2]; /* V in front of IDRpsk */
    inside[n_inside - 2] = v;
    assert_int_equal(open_remade(NULL, SIZE_MAX), MKT_E_TICKET); /* RFC6043:A.1-7 */
    call_close(&c);
}

/* An extension in front of Vi, and Vr made anew: Responder and KMS both read past it. */
static void
what_is_unexpected_in_initiator_data_is_ignored(void **state)
{
    static const uint8_t extension[] = { MKT_PL_GENERAL_EXT, MKT_PL_V, 200, 0, 0 };
    static const uint8_t label[] = { 0x2D, 0x22, 0xAC, 0x75, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x04 };
    uint8_t data[128], key[20];
    struct message out;
    struct mkt_msg m;
    struct mkt_err err = { 0 };
    struct mkt_writer d = mkt_w_open(data, sizeof data), w = mkt_w_open(out.b, sizeof out.b);
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_until_offer(&c), MKT_OK);
    assert_int_equal(mkt_msg_parse(&m, mkt_span(c.init.b, c.init.n), &err), MKT_OK);
    mkt_hdr_write(&w, &m.hdr);
    for (size_t i = 0; i < m.n; i++) {
        if (m.pl[i].type == MKT_PL_TICKET) {
            struct mkt_span *old = &m.pl[i].u.ticket.initiator_data;
            mkt_w_octets(&d, mkt_span(extension, sizeof extension));
            mkt_w_octets(&d, mkt_span(old->p + 1, old->n - 1));
            *old = mkt_span(data, d.len);
            const size_t mac_at = d.len - 20;
            const struct mkt_span covered = mkt_span(data, mac_at);
            prf(key, 20, MKT_PRF_MIKEY_1, &mkt_grant_keys(c.grant)->k[1].key, mkt_span(label, 10),
                false, NULL, 0);
            assert_true(mkt_be_hmac_key(c.crypto, MKT_MAC_HMAC_SHA_1_160, mkt_span(key, 20)));
            assert_true(mkt_be_hmac(c.crypto, MKT_MAC_HMAC_SHA_1_160, &covered, 1, data + mac_at));
            mkt_be_hmac_forget(c.crypto, MKT_MAC_HMAC_SHA_1_160);
        }
        mkt_pl_write(&w, &m.pl[i]);
    }
    assert_false(d.overflow || w.overflow);
    out.n = w.len;
    c.init = out;
    assert_int_equal(call_offered(&c, 0), MKT_OK); /* RFC6043:6.10-26 */
    assert_int_equal(call_accept(&c, 0), MKT_OK);
    assert_int_equal(call_resolve(&c, 0), MKT_OK); /* RFC6043:6.10-26 */
    call_close(&c);
}

/* --- CSB IDs ------------------------------------------------------------------------------------
 */

static unsigned long next_octet;

/* A generator that gives the same four octets five times and counts on from there. */
static bool
stutter(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++, next_octet++)
        out[i] = (uint8_t)(next_octet < 20 ? next_octet % 4 : next_octet);
    return true;
}

static void
a_csb_id_in_use_is_not_drawn_again(void **state)
{
    static const uint32_t in_use[] = { 0xDEADBEEF, 0x00010203 };
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.want.flags |= MKT_TP_J;
    assert_int_equal(call_until_grant(&c), MKT_OK);
    c.env.random = stutter;
    next_octet = 0;
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_memory_equal(c.init.b + 4, "\0\1\2\3", 4); /* nothing to collide with */
    next_octet = 0;
    assert_int_equal(call_offer(&c), MKT_OK);
    /* the last offer's own: RFC6043:4.2.2.1-2 RFC3830:6.1-5 */
    assert_memory_equal(c.init.b + 4, "\x14\x15\x16\x17", 4);
    c.offer.csb_ids = in_use;
    c.offer.n_csb_ids = COUNT(in_use);
    next_octet = 4;
    assert_int_equal(call_offer(&c), MKT_OK);
    assert_memory_not_equal(c.init.b + 4, "\0\1\2\3", 4); /* RFC3830:6.1-5 */
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tek_comes_from_the_forked_tgk_and_the_rands_the_policy_names),
        cmocka_unit_test(a_salt_that_is_sent_is_used_as_it_is),
        cmocka_unit_test(only_mpkr_and_tgks_are_forked),
        cmocka_unit_test(a_base_ticket_is_made_as_the_appendix_says),
        cmocka_unit_test(what_is_unexpected_in_a_ticket_is_ignored),
        cmocka_unit_test(a_ticket_that_lacks_a_payload_or_has_a_short_rand_is_refused),
        cmocka_unit_test(what_is_unexpected_in_initiator_data_is_ignored),
        cmocka_unit_test(a_csb_id_in_use_is_not_drawn_again),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("keys and tickets", tests, NULL, NULL);
}
