/* SPDX-License-Identifier: Apache-2.0 */
/* What the messages of a call hold when they are sent, clause by clause (RFC 6043 4.2): header,
 * timestamp, identities, keys and MAC, in both suites and with each type of timestamp. */
#include "witness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint8_t suites[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };
static const uint8_t ts_types[] = { MKT_TS_NTP_UTC, MKT_TS_NTP, MKT_TS_COUNTER, MKT_TS_NTP_UTC_32 };

static struct call c;
static struct mkt_msg msg[SENT_COUNT];

/* A whole call with one answer; msg gets its messages. */
static void
hold_open_call(void)
{
    assert_int_equal(call_whole(&c, 1), MKT_OK);
    for (unsigned s = 0; s < SENT_COUNT; s++) {
        const struct message *m = sent_message(&c, (enum sent)s);
        struct mkt_err err = { 0 };
        assert_int_equal(mkt_msg_parse(&msg[s], mkt_span(m->b, m->n), &err), MKT_OK);
    }
}

static void
hold_a_call(uint8_t prf, uint8_t ts_type, uint16_t clear)
{
    assert_true(call_open(&c, prf, ts_type));
    c.want.flags &= (uint16_t)~clear;
    hold_open_call();
}

static const struct mkt_payload *
payload(enum sent s, uint16_t type, uint8_t role)
{
    const struct mkt_payload *pl = mkt_msg_find(&msg[s], type, role);
    if (pl == NULL)
        fail_msg("%s has no %s of role %u", sent_name(s), mkt_payload_name(type), role);
    return pl;
}

static struct mkt_identity
idr(enum sent s, uint8_t role)
{
    const struct mkt_payload *pl = payload(s, MKT_PL_IDR, role);
    return (struct mkt_identity){ pl->u.idr.id_type, pl->u.idr.data };
}

static bool
is_last(enum sent s, uint16_t type)
{
    return msg[s].n != 0 && msg[s].pl[msg[s].n - 1].type == type;
}

/* --- 4.2.1.1, 4.2.1.2, 4.2.3.1, 4.2.3.2: what is asked of a KMS --------------------------------
 */

static void
requests_to_a_kms_have_their_header_payloads_and_order(void **state)
{
    (void)state;
    hold_a_call(MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, 0);
    const struct mkt_hdr *h = &msg[REQUEST_INIT].hdr;
    assert_int_equal(h->version, 1);
    assert_true(h->v); /* RFC6043:4.2.1.1-3 */
    assert_int_equal(h->n_cs, 0);
    assert_int_equal(h->map_type, MKT_MAP_EMPTY);        /* RFC6043:4.2.1.1-4 */
    assert_non_null(payload(REQUEST_INIT, MKT_PL_T, 0)); /* RFC6043:4.2.1.1-1 */
    assert_true(payload(REQUEST_INIT, MKT_PL_RANDR, MKT_RANDR_I)->u.randr.rand.n >= 16);
    assert_true(mkt_identity_equal(idr(REQUEST_INIT, MKT_IDR_I), c.alice)); /* RFC6043:4.2.1.2-1 */
    assert_true(mkt_identity_equal(idr(REQUEST_INIT, MKT_IDR_KMS), c.kms)); /* RFC6043:4.2.1.1-6 */
    assert_memory_equal(idr(REQUEST_INIT, MKT_IDR_PSK).data.p, "alice", 5); /* RFC6043:4.2.1.2-2 */
    assert_true(is_last(REQUEST_INIT, MKT_PL_V));                           /* RFC6043:4.2.1.2-3 */

    h = &msg[RESOLVE_INIT].hdr;
    assert_true(h->v); /* RFC6043:4.2.3.1-3 */
    assert_int_equal(h->n_cs, 0);
    assert_int_equal(h->map_type, MKT_MAP_EMPTY);        /* RFC6043:4.2.3.1-4 */
    assert_non_null(payload(RESOLVE_INIT, MKT_PL_T, 0)); /* RFC6043:4.2.3.1-1 */
    assert_true(payload(RESOLVE_INIT, MKT_PL_RANDR, MKT_RANDR_R)->u.randr.rand.n >= 16);
    assert_true(mkt_identity_equal(idr(RESOLVE_INIT, MKT_IDR_R), c.bob[0])); /* RFC6043:4.2.3.2-1 */
    assert_true(mkt_identity_equal(idr(RESOLVE_INIT, MKT_IDR_KMS), c.kms));  /* RFC6043:4.2.3.1-5 */
    assert_memory_equal(idr(RESOLVE_INIT, MKT_IDR_PSK).data.p, "bob", 3);    /* RFC6043:4.2.3.2-2 */
    assert_true(is_last(RESOLVE_INIT, MKT_PL_V));                            /* RFC6043:4.2.3.2-3 */
    call_close(&c);
}

/* The ID of each bundle is drawn anew, and the three exchanges of a call have their own. */
static void
csb_ids_are_drawn_at_random_for_each_exchange(void **state)
{
    static const enum sent initial[] = { REQUEST_INIT, TRANSFER_INIT, RESOLVE_INIT };
    uint32_t id[2][3];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        hold_a_call(MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, 0);
        for (size_t k = 0; k < 3; k++)
            id[i][k] = msg[initial[k]].hdr.csb_id;
        if (i == 0)
            call_close(&c);
    }
    assert_int_equal(call_request(&c), MKT_OK); /* a third time, with the generator further on */
    uint32_t again = (uint32_t)c.request.b[4] << 24 | (uint32_t)c.request.b[5] << 16 |
                     (uint32_t)c.request.b[6] << 8 | c.request.b[7];
    assert_int_not_equal(again, id[1][0]);    /* RFC6043:4.2.1.1-2 */
    assert_int_not_equal(id[1][0], id[1][1]); /* RFC6043:4.2.2.1-2 */
    assert_int_not_equal(id[1][1], id[1][2]); /* RFC6043:4.2.3.1-2 */
    assert_int_not_equal(id[1][0], id[1][2]);
    /* RFC3830:6.1-4 RFC3830:6.11-1 */
    assert_memory_equal(id[0], id[1], sizeof id[0]); /* of the generator and of nothing else */
    call_close(&c);
}

/* --- headers of responses --------------------------------------------------------------------- */

static void
responses_repeat_the_header_of_what_they_answer(void **state)
{
    static const enum sent pairs[][2] = {
        { REQUEST_RESP, REQUEST_INIT },   /* RFC6043:4.2.1.5-1 */
        { RESOLVE_RESP, RESOLVE_INIT },   /* RFC6043:4.2.3.5-1 */
        { TRANSFER_RESP, TRANSFER_INIT }, /* RFC6043:4.2.2.3-1 */
    };
    (void)state;
    for (size_t s = 0; s < COUNT(suites); s++) {
        hold_a_call(suites[s], MKT_TS_NTP_UTC, 0);
        for (size_t i = 0; i < COUNT(pairs); i++) {
            const struct mkt_hdr *resp = &msg[pairs[i][0]].hdr, *init = &msg[pairs[i][1]].hdr;
            assert_int_equal(resp->version, init->version);
            assert_int_equal(resp->prf, init->prf);
            assert_int_equal(resp->csb_id, init->csb_id); /* RFC3830:6.1-6 */
            assert_int_equal(resp->n_cs, init->n_cs);
            assert_int_equal(resp->map_type, init->map_type);
        }
        assert_false(msg[REQUEST_RESP].hdr.v);  /* RFC6043:4.2.1.5-2 */
        assert_false(msg[RESOLVE_RESP].hdr.v);  /* RFC6043:4.2.3.5-2 */
        assert_false(msg[TRANSFER_RESP].hdr.v); /* RFC6043:4.2.2.3-2 RFC6043:6.1-1 */
        call_close(&c);
    }
}

/* Each message has a time of its own: NTP from the clock, COUNTER the next number. */
static void
every_timestamp_is_fresh(void **state)
{
    static const enum sent pairs[][2] = {
        { REQUEST_RESP, REQUEST_INIT },   /* RFC6043:4.2.1.5-3 RFC6043:4.2.1.5-4 */
        { RESOLVE_RESP, RESOLVE_INIT },   /* RFC6043:4.2.3.5-3 RFC6043:4.2.3.5-4 */
        { TRANSFER_RESP, TRANSFER_INIT }, /* RFC6043:4.2.2.3-7 RFC6043:4.2.2.3-8 */
    };
    (void)state;
    for (size_t t = 0; t < COUNT(ts_types); t++) {
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, ts_types[t]));
        c.env.stamp = call_tick;
        hold_open_call();
        for (size_t i = 0; i < COUNT(pairs); i++) {
            const struct mkt_pl_t *resp = &payload(pairs[i][0], MKT_PL_T, 0)->u.t;
            const struct mkt_pl_t *init = &payload(pairs[i][1], MKT_PL_T, 0)->u.t;
            assert_int_equal(resp->ts_type, ts_types[t]);
            assert_int_equal(init->ts_type, ts_types[t]);
            assert_int_equal(resp->value.n, init->value.n);
            /* RFC3830:5.2-3 */
            assert_true(memcmp(resp->value.p, init->value.p, init->value.n) > 0);
        }
        call_close(&c);
    }
}

/* --- keys and MACs ---------------------------------------------------------------------------- */

static void
every_mac_has_the_key_and_the_coverage_of_the_text(void **state)
{
    static const uint16_t clear[] = { 0, MKT_TP_G, MKT_TP_I, MKT_TP_I | MKT_TP_G };
    (void)state;
    for (size_t s = 0; s < COUNT(suites); s++)
        for (size_t f = 0; f < COUNT(clear); f++) {
            hold_a_call(suites[s], ts_types[f], clear[f]);
            /* RFC6043:4.2.1.2-4 RFC6043:5.1.2-2 RFC6043:5.1.2-4 */
            assert_true(sealed_as_said(&c, REQUEST_INIT)); /* RFC3830:4.1.4-1 RFC3830:5.2-2 */
            /* RFC6043:4.2.1-2 RFC6043:4.2.1.5-12 RFC6043:4.2.1.5-13 */
            assert_true(sealed_as_said(&c, REQUEST_RESP));
            /* RFC6043:4.2.2.1-8 RFC6043:4.2.2.1-9 RFC6043:5.5-2 */
            assert_true(sealed_as_said(&c, TRANSFER_INIT));
            /* RFC6043:4.2.3.2-4 RFC6043:5.1.2-5 RFC6043:5.1.2-6 RFC6043:5.5-1 */
            assert_true(sealed_as_said(&c, RESOLVE_INIT));
            /* RFC6043:4.2.3-3 RFC6043:4.2.3.5-14 RFC6043:4.2.3.5-15 */
            assert_true(sealed_as_said(&c, RESOLVE_RESP));
            /* RFC6043:4.2.2.3-18 RFC6043:4.2.2.3-19 RFC6043:5.1.2-1 RFC6043:5.1.2-3 RFC6043:5.5-4
             */
            assert_true(sealed_as_said(&c, TRANSFER_RESP));
            assert_true(is_last(REQUEST_RESP, MKT_PL_V));  /* RFC6043:4.2.1.5-11 */
            assert_true(is_last(RESOLVE_RESP, MKT_PL_V));  /* RFC6043:4.2.3.5-13 */
            assert_true(is_last(TRANSFER_INIT, MKT_PL_V)); /* RFC6043:4.2.2.1-8 */
            assert_true(is_last(TRANSFER_RESP, MKT_PL_V)); /* RFC6043:4.2.2.3-18 */
            call_close(&c);
        }
}

/* Vi and Vr of the sent Initiator Data are those of the witness, which seals them like V. */
static void
initiator_data_is_there_exactly_when_keys_fork(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(suites); s++) {
        size_t mac = suites[s] == MKT_PRF_MIKEY_1 ? 20 : 32;
        hold_a_call(suites[s], MKT_TS_NTP_UTC, 0);
        struct mkt_span data = payload(TRANSFER_INIT, MKT_PL_TICKET, 0)->u.ticket.initiator_data;
        const struct mkt_pl_v *v = &payload(TRANSFER_INIT, MKT_PL_V, 0)->u.v;
        assert_int_equal(data.n, 1 + 2 * (2 + mac)); /* RFC6043:6.10-24: First Payload, Vi, Vr */
        assert_int_equal(data.p[0], MKT_PL_V);       /* RFC6043:6.10-25 */
        assert_int_equal(data.p[2], v->auth_alg);
        assert_memory_equal(data.p + 3, v->mac.p, mac);     /* RFC6043:6.10-27 */
        assert_int_equal(data.p[3 + mac + 1], v->auth_alg); /* RFC6043:6.10-29 */
        /* Vr: RFC6043:6.10-28 RFC6043:6.10-30 */
        assert_true(sealed_as_said(&c, TRANSFER_INIT));
        call_close(&c);
        hold_a_call(suites[s], MKT_TS_NTP_UTC, MKT_TP_I);
        data = payload(TRANSFER_INIT, MKT_PL_TICKET, 0)->u.ticket.initiator_data;
        assert_int_equal(data.n, 0); /* RFC6043:6.10-24 */
        call_close(&c);
    }
}

struct opened {
    uint8_t clear[1024];
    size_t n;
    struct mkt_payload key[8];
};

/* The KEMAC of a response of the KMS, opened with the PSK and the label of that response. */
static void
open_response(struct opened *o, enum sent s)
{
    struct protection p;
    struct mkt_err err = { 0 };
    assert_int_equal(payload(s, MKT_PL_KEMAC, 0)->u.kemac.mac_alg, MKT_MAC_NULL);
    assert_true(protection_of(&p, &c, s));
    size_t len = open_kemac(o->clear, sent_message(&c, s), &p, &c);
    assert_true(len != 0);
    assert_int_equal(mkt_chain_decode(o->key, COUNT(o->key), &o->n, MKT_PL_KEY_DATA,
                                      mkt_span(o->clear, len), &err),
                     MKT_OK);
    for (size_t i = 0; i < o->n; i++) {
        assert_int_equal(o->key[i].type, MKT_PL_KEY_DATA);
        assert_int_equal(o->key[i].u.key_data.kv, MKT_KV_SPI); /* RFC6043:6.2.1-2 */
    }
}

static void
a_kms_sends_mpks_and_session_keys_under_the_psk(void **state)
{
    struct opened alice, bob;
    (void)state;
    for (size_t s = 0; s < COUNT(suites); s++)
        for (unsigned fork = 0; fork < 2; fork++) {
            size_t mpks = fork ? 2 : 1, len = suites[s] == MKT_PRF_MIKEY_1 ? 16 : 32;
            hold_a_call(suites[s], ts_types[s], fork ? 0 : MKT_TP_I);
            open_response(&alice, REQUEST_RESP); /* RFC6043:4.2.1.5-5 RFC6043:4.2.1.5-6 */
            open_response(&bob, RESOLVE_RESP);   /* RFC6043:4.2.3.5-5 RFC6043:4.2.3.5-6 */
            /* MPKi, [MPKr] and one TGK: RFC6043:4.2.1.5-7 RFC6043:4.2.1.5-8 RFC6043:4.2.1.5-9 */
            assert_int_equal(alice.n, mpks + 1); /* RFC3830:4.2.3-1 RFC3830:6.13-3 */
            assert_int_equal(bob.n, mpks + 1);   /* RFC6043:4.2.3.5-7 RFC6043:4.2.3.5-8 */
            for (size_t i = 0; i < mpks; i++) {
                assert_int_equal(alice.key[i].u.key_data.type, MKT_KEY_MPK);
                assert_int_equal(bob.key[i].u.key_data.type, MKT_KEY_MPK);
                assert_int_equal(alice.key[i].u.key_data.key.n, len);
            }
            assert_int_equal(alice.key[mpks].u.key_data.type, MKT_KEY_TGK);
            assert_int_equal(bob.key[mpks].u.key_data.type, MKT_KEY_TGK);
            /* MPKi is the same; MPKr and the TGK are forked, or the same too */
            for (size_t i = 0; i < alice.n; i++) {
                bool same =
                    memcmp(alice.key[i].u.key_data.key.p, bob.key[i].u.key_data.key.p, len) == 0;
                assert_int_equal(same, i == 0 || !fork); /* RFC6043:4.2.3.5-10 RFC6043:5.1-2 */
            }
            call_close(&c);
        }
}

/* --- Ticket Transfer -------------------------------------------------------------------------- */

static void
an_offer_has_its_header_payloads_and_identities(void **state)
{
    static const uint16_t clear[] = { 0, MKT_TP_F | MKT_TP_G | MKT_TP_I };
    (void)state;
    for (size_t f = 0; f < COUNT(clear); f++) {
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
        c.want.flags &= (uint16_t)~clear[f];
        assert_int_equal(call_until_offer(&c), MKT_OK);
        struct mkt_err err = { 0 };
        assert_int_equal(mkt_msg_parse(&msg[TRANSFER_INIT], mkt_span(c.init.b, c.init.n), &err),
                         MKT_OK);
        assert_int_equal(msg[TRANSFER_INIT].hdr.v, f == 0); /* RFC6043:4.2.2.1-3 */
        assert_int_equal(msg[TRANSFER_INIT].hdr.map_type, MKT_MAP_GENERIC_ID); /* RFC6043:6.1-3 */
        assert_non_null(payload(TRANSFER_INIT, MKT_PL_T, 0)); /* RFC6043:4.2.2.1-1 */
        assert_non_null(payload(TRANSFER_INIT, MKT_PL_RANDR, MKT_RANDR_I));
        assert_true(mkt_identity_equal(idr(TRANSFER_INIT, MKT_IDR_I), c.alice));
        assert_true(
            mkt_identity_equal(idr(TRANSFER_INIT, MKT_IDR_R), c.bob[0])); /* RFC6043:4.2.2.1-4 */
        for (size_t i = 0; i < msg[TRANSFER_INIT].n; i++)                 /* RFC6043:6.6-1 */
            assert_int_not_equal(msg[TRANSFER_INIT].pl[i].type, MKT_PL_ID);
        call_close(&c);
    }
}

static void
an_answer_has_what_the_policy_and_the_kms_say(void **state)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;
    (void)state;
    for (unsigned g = 0; g < 2; g++)
        for (unsigned fork = 0; fork < 2; fork++) {
            hold_a_call(MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC,
                        (uint16_t)((g ? 0 : MKT_TP_G) | (fork ? 0 : MKT_TP_I)));
            const struct mkt_payload *rand_r =
                mkt_msg_find(&msg[TRANSFER_RESP], MKT_PL_RANDR, MKT_RANDR_R);
            /* RFC6043:5.1-3 RFC6043:12.1-6 */
            assert_int_equal(rand_r != NULL, g); /* RFC6043:4.2.2.3-9 RFC6043:6.10-5 */
            if (g) {                             /* fresh: not that of RESOLVE_INIT */
                struct mkt_span other =
                    payload(RESOLVE_INIT, MKT_PL_RANDR, MKT_RANDR_R)->u.randr.rand;
                assert_memory_not_equal(rand_r->u.randr.rand.p, other.p, other.n);
            }
            if (fork) {
                struct mkt_span kms =
                    payload(RESOLVE_RESP, MKT_PL_RANDR, MKT_RANDR_KMS)->u.randr.rand;
                struct mkt_span sent =
                    payload(TRANSFER_RESP, MKT_PL_RANDR, MKT_RANDR_KMS)->u.randr.rand;
                assert_int_equal(sent.n, kms.n); /* RFC6043:4.2.2.3-12 RFC6043:4.2.3.5-11 */
                assert_memory_equal(sent.p, kms.p, kms.n);
                assert_true(
                    mkt_identity_equal(idr(TRANSFER_RESP, MKT_IDR_R),
                                       idr(RESOLVE_RESP, MKT_IDR_R))); /* RFC6043:4.2.2.3-10 */
            }
            /* the session that was offered without SSRC and SPI has both and one policy */
            mkt_map_begin(&it, &msg[TRANSFER_RESP].hdr);
            assert_true(mkt_map_next(&it, &cs));
            assert_int_equal(cs.policies.n, 1); /* RFC6043:4.2.2.3-3 RFC6043:6.1.1-2 */
            assert_true(cs.has_ssrc);           /* RFC6043:4.2.2.3-4 RFC6043:6.1.1-7 */
            assert_true(cs.spi.n != 0);         /* RFC6043:6.1.1-9 */
            assert_false(mkt_map_next(&it, &cs));
            assert_null(mkt_msg_find(&msg[TRANSFER_RESP], MKT_PL_SP, 0)); /* RFC6043:4.2.2.3-14 */
            call_close(&c);
        }
}

static void
no_message_of_a_call_has_an_id_or_a_rand_payload(void **state)
{
    (void)state;
    hold_a_call(MKT_PRF_HMAC_SHA_256, MKT_TS_NTP_UTC, 0);
    for (unsigned s = 0; s < SENT_COUNT; s++)
        for (size_t i = 0; i < msg[s].n; i++) {
            assert_int_not_equal(msg[s].pl[i].type, MKT_PL_ID); /* RFC6043:6.6-1 */
            assert_int_not_equal(msg[s].pl[i].type, MKT_PL_RAND);
        }
    call_close(&c);
}

/* --- the granted policy ----------------------------------------------------------------------- */

static void
the_granted_policy_names_who_asked_and_has_no_kemac(void **state)
{
    struct mkt_payload part[16];
    size_t n = 0;
    (void)state;
    hold_a_call(MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, 0);
    const struct mkt_policy *p = mkt_grant_policy(c.grant);
    assert_true(mkt_identity_equal(p->initiator, c.alice)); /* RFC6043:4.2.1.1-5 */
    struct mkt_span data = payload(REQUEST_RESP, MKT_PL_TICKET, 0)->u.ticket.tp_data;
    struct mkt_err err = { 0 };
    assert_int_equal(
        mkt_chain_decode(part, COUNT(part), &n, data.p[0], mkt_span(data.p + 1, data.n - 1), &err),
        MKT_OK); /* RFC6043:6.10-14 */
    size_t responders = 0;
    for (size_t i = 0; i < n; i++) {
        assert_int_not_equal(part[i].type, MKT_PL_KEMAC); /* RFC6043:6.10-22 */
        responders += part[i].type == MKT_PL_IDR && part[i].u.idr.role == MKT_IDR_R;
    }
    assert_int_equal(responders, RESPONDERS); /* RFC6043:6.10-23 */
    call_close(&c);
}

/* The KEMAC of a TP: NULL encryption, NULL MAC, and zeros where the keys will be. */
static void
wanted_keys_are_asked_for_with_zeros(void **state)
{
    static const uint8_t zeros[32];
    struct mkt_payload part[16], key[4];
    size_t n = 0, n_key = 0;
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.want.has_kemac = true;
    c.want.n_wanted = 2;
    c.want.wanted[0] = (struct mkt_want_key){ .type = MKT_KEY_TGK, .key_len = 16 };
    c.want.wanted[1] =
        (struct mkt_want_key){ .type = MKT_KEY_TEK_SALT, .key_len = 16, .salt_len = 14 };
    assert_int_equal(call_request(&c), MKT_OK);
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_msg_parse(&msg[REQUEST_INIT], mkt_span(c.request.b, c.request.n), &err),
                     MKT_OK);
    struct mkt_span data = payload(REQUEST_INIT, MKT_PL_TP, 0)->u.ticket.tp_data;
    assert_int_equal(
        mkt_chain_decode(part, COUNT(part), &n, data.p[0], mkt_span(data.p + 1, data.n - 1), &err),
        MKT_OK);
    size_t i = 0;
    while (i < n && part[i].type != MKT_PL_KEMAC)
        i++;
    assert_true(i < n);
    assert_int_equal(part[i].u.kemac.encr_alg, MKT_ENCR_NULL); /* RFC6043:6.10-20 */
    assert_int_equal(part[i].u.kemac.mac_alg, MKT_MAC_NULL);
    assert_int_equal(
        mkt_chain_decode(key, COUNT(key), &n_key, MKT_PL_KEY_DATA, part[i].u.kemac.encr_data, &err),
        MKT_OK);
    assert_int_equal(n_key, 2);
    for (size_t k = 0; k < n_key; k++) {
        assert_int_equal(key[k].u.key_data.key.n, 16);
        assert_memory_equal(key[k].u.key_data.key.p, zeros, 16); /* RFC6043:6.10-21 */
    }
    assert_memory_equal(key[1].u.key_data.salt.p, zeros, 14);
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_to_a_kms_have_their_header_payloads_and_order),
        cmocka_unit_test(csb_ids_are_drawn_at_random_for_each_exchange),
        cmocka_unit_test(responses_repeat_the_header_of_what_they_answer),
        cmocka_unit_test(every_timestamp_is_fresh),
        cmocka_unit_test(every_mac_has_the_key_and_the_coverage_of_the_text),
        cmocka_unit_test(initiator_data_is_there_exactly_when_keys_fork),
        cmocka_unit_test(a_kms_sends_mpks_and_session_keys_under_the_psk),
        cmocka_unit_test(an_offer_has_its_header_payloads_and_identities),
        cmocka_unit_test(an_answer_has_what_the_policy_and_the_kms_say),
        cmocka_unit_test(no_message_of_a_call_has_an_id_or_a_rand_payload),
        cmocka_unit_test(the_granted_policy_names_who_asked_and_has_no_kemac),
        cmocka_unit_test(wanted_keys_are_asked_for_with_zeros),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("what is sent", tests, NULL, NULL);
}
