/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a call between three parties. Random octets and times are made up here and never
 * repeat; nothing waits. */
#include "three_party.h"

#include "payload/codec.h"
#include <mikeyticket/message.h>

#include <string.h>

static bool
draw(void *ctx, uint8_t *out, size_t n)
{
    struct call *c = ctx;
    if (c->random_left == 0)
        return false;
    if (c->random_left > 0)
        c->random_left--;
    for (size_t i = 0; i < n; i++) {
        c->drawn = c->drawn * 6364136223846793005U + 1442695040888963407U;
        out[i] = (uint8_t)(c->drawn >> 56);
    }
    return true;
}

static uint64_t
stamp(void *ctx, uint8_t ts_type)
{
    struct call *c = ctx;
    c->drawn++;
    return ts_type == MKT_TS_COUNTER ? c->drawn & UINT32_MAX : c->env.now + (c->drawn & 0xFFFF);
}

static bool
key_of(struct mkt_inkey_mem *key, uint8_t octet, const struct mkt_suite *suite)
{
    uint8_t octets[32];
    memset(octets, octet, sizeof octets);
    return mkt_inkey_mem_init(key, mkt_span(octets, suite->key_len)) == MKT_OK;
}

static void
describe(struct call *c, uint8_t prf)
{
    static const uint8_t sp_params[] = { 0, 1, 1, 1, 1, 16 }; /* AES-CM, 16 octets */
    static const uint8_t sp_params_256[] = { 0, 1, 1, 1, 1, 32 };
    bool big = prf == MKT_PRF_HMAC_SHA_256;
    c->alice = mkt_uri("sip:alice@example.com");
    c->bob[0] = mkt_uri("sip:bob@example.com");
    c->bob[1] = mkt_uri("sip:bobs-desk@example.com");
    c->kms = mkt_uri("sip:kms@example.com");
    mkt_policy_init(&c->want, prf);
    c->want.start = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, NOW - (60ULL << 32) };
    c->want.end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, NOW + (3600ULL << 32) };
    for (size_t k = 0; k < RESPONDERS; k++)
        c->want.responders[c->want.n_responders++] = c->bob[k];
    c->sp = (struct mkt_pl_sp){ 0, MKT_PROT_SRTP,
                                mkt_span(big ? sp_params_256 : sp_params, sizeof sp_params) };
    c->cs = (struct mkt_offer_cs){ .cs_id = 1, .prot_type = MKT_PROT_SRTP, .n_policies = 1 };
    c->offer = (struct mkt_offer){ .responder = c->bob[0],
                                   .ts_type = c->ts_type,
                                   .cs = &c->cs,
                                   .n_cs = 1,
                                   .sp = &c->sp,
                                   .n_sp = 1 };
}

bool
call_open(struct call *c, uint8_t prf, uint8_t ts_type)
{
    const struct mkt_suite *suite = mkt_suite_of(prf);
    *c = (struct call){ .crypto = mkt_crypto_new(), .ts_type = ts_type, .random_left = -1 };
    c->cap = sizeof c->request.b;
    c->env = (struct mkt_env){ c->crypto, NOW, draw, stamp, c };
    describe(c, prf);
    bool ok =
        c->crypto != NULL && key_of(&c->psk_alice, 0xA1, suite) && key_of(&c->tpk, 0x77, suite);
    struct mkt_credential cred = {
        .self = c->alice, .kms = c->kms, .psk = &c->psk_alice.base, .ts_type = ts_type
    };
    cred.psk_id = mkt_span("alice", 5);
    c->initiator = mkt_initiator_new(&cred);
    c->txn = mkt_kms_txn_new();
    ok = ok && c->initiator != NULL && c->txn != NULL;
    for (size_t k = 0; k < RESPONDERS; k++) {
        ok = ok && key_of(&c->psk_bob[k], (uint8_t)(0xB0 + k), suite);
        cred.self = c->bob[k];
        cred.psk = &c->psk_bob[k].base;
        cred.psk_id = mkt_span("bob", 3);
        c->responder[k] = mkt_responder_new(&cred);
        ok = ok && c->responder[k] != NULL;
    }
    return ok;
}

void
call_close(struct call *c)
{
    for (size_t k = 0; k < RESPONDERS; k++) {
        mkt_csb_free(c->at_alice[k]);
        mkt_csb_free(c->at_bob[k]);
        mkt_responder_free(c->responder[k]);
        mkt_inkey_mem_wipe(&c->psk_bob[k]);
    }
    mkt_grant_free(c->grant);
    mkt_initiator_free(c->initiator);
    mkt_kms_txn_free(c->txn);
    mkt_inkey_mem_wipe(&c->psk_alice);
    mkt_inkey_mem_wipe(&c->tpk);
    mkt_crypto_free(c->crypto);
}

static struct mkt_io *
io_of(struct call *c, const struct message *in, struct message *out)
{
    c->io = (struct mkt_io){ .in = in == NULL ? mkt_span(NULL, 0) : mkt_span(in->b, in->n),
                             .out = out == NULL ? NULL : out->b,
                             .cap = out == NULL ? 0 : c->cap };
    return &c->io;
}

static enum mkt_rc
outcome(struct call *c, enum mkt_next next, enum mkt_next want, struct message *out)
{
    if (out != NULL)
        out->n = c->io.out_len;
    if (next == want)
        return MKT_OK;
    return c->io.err.rc == MKT_OK ? MKT_E_STATE : c->io.err.rc;
}

enum mkt_rc
call_request(struct call *c)
{
    enum mkt_next next =
        mkt_initiator_request(c->initiator, &c->env, &c->want, io_of(c, NULL, &c->request));
    return outcome(c, next, MKT_NEXT_SEND_KMS, &c->request);
}

static enum mkt_rc
kms_answer(struct call *c, struct mkt_identity client, const struct mkt_inkey *psk)
{
    struct mkt_policy granted;
    const struct mkt_tpk tpk = { mkt_span("tpk", 3), &c->tpk.base, c->tpk_owner };
    struct mkt_err *err = &c->io.err;
    const struct mkt_kms_ask *ask = mkt_kms_ask(c->txn);
    if (mkt_kms_begin(c->txn, c->io.in, err) != MKT_OK ||
        mkt_kms_verify(c->txn, &c->env, psk, client, c->kms, err) != MKT_OK)
        return err->rc;
    if (ask->resolve) {
        if (mkt_kms_open(c->txn, &c->env, &tpk, err) != MKT_OK)
            return err->rc;
        return outcome(c, mkt_kms_resolve(c->txn, &c->env, client, &c->io), MKT_NEXT_SEND_PEER,
                       NULL);
    }
    if (mkt_policy_grant(&granted, ask->policy, &c->rules, client, c->kms, c->env.now, err) !=
        MKT_OK)
        return err->rc;
    if (c->twist != NULL)
        c->twist(&granted);
    return outcome(c, mkt_kms_issue(c->txn, &c->env, &granted, &tpk, mkt_span(NULL, 0), &c->io),
                   MKT_NEXT_SEND_PEER, NULL);
}

enum mkt_rc
call_kms(struct call *c, const struct message *in, struct mkt_identity client,
         const struct mkt_inkey *psk, struct message *out)
{
    io_of(c, in, out);
    enum mkt_rc rc = kms_answer(c, client, psk);
    out->n = c->io.out_len;
    if (rc != MKT_OK) {
        struct mkt_io refusal = { .out = out->b, .cap = c->cap };
        (void)!mkt_kms_refuse(c->txn, &c->env, rc, &refusal);
        out->n = refusal.out_len;
    }
    mkt_kms_end(c->txn);
    return rc;
}

enum mkt_rc
call_issue(struct call *c)
{
    return call_kms(c, &c->request, c->alice, &c->psk_alice.base, &c->granted);
}

enum mkt_rc
call_granted(struct call *c)
{
    enum mkt_next next =
        mkt_initiator_granted(c->initiator, &c->env, io_of(c, &c->granted, NULL), &c->grant);
    return outcome(c, next, MKT_NEXT_DONE, NULL);
}

/* Without an answer nobody fills in what an offer leaves open (6.1.1). */
static void
complete_offer(struct call *c)
{
    const struct mkt_keys *keys = mkt_grant_keys(c->grant);
    const struct mkt_key *last = &keys->k[keys->n - 1];
    if ((mkt_grant_policy(c->grant)->flags & MKT_TP_F) != 0)
        return;
    c->cs.has_ssrc = true;
    c->cs.ssrc = 0x01020304;
    c->cs.spi = mkt_span(last->spi, last->spi_len);
}

enum mkt_rc
call_offer(struct call *c)
{
    complete_offer(c);
    enum mkt_next next =
        mkt_initiator_offer(c->initiator, &c->env, c->grant, &c->offer, io_of(c, NULL, &c->init));
    return outcome(c, next, MKT_NEXT_SEND_PEER, &c->init);
}

enum mkt_rc
call_offered(struct call *c, size_t k)
{
    enum mkt_next next =
        mkt_responder_offered(c->responder[k], &c->env, SKEW_S, io_of(c, &c->init, NULL));
    return outcome(c, next, MKT_NEXT_ASK, NULL);
}

enum mkt_rc
call_accept(struct call *c, size_t k)
{
    const struct mkt_choice choice = { 0 };
    enum mkt_next next =
        mkt_responder_accept(c->responder[k], &c->env, &choice, io_of(c, NULL, &c->resolve[k]));
    return outcome(c, next, MKT_NEXT_SEND_KMS, &c->resolve[k]);
}

enum mkt_rc
call_resolve(struct call *c, size_t k)
{
    return call_kms(c, &c->resolve[k], c->bob[k], &c->psk_bob[k].base, &c->resolved[k]);
}

enum mkt_rc
call_resolved(struct call *c, size_t k)
{
    bool answers = (c->want.flags & MKT_TP_F) != 0;
    enum mkt_next next = mkt_responder_resolved(
        c->responder[k], &c->env, io_of(c, &c->resolved[k], &c->resp[k]), &c->at_bob[k]);
    return outcome(c, next, answers ? MKT_NEXT_SEND_PEER : MKT_NEXT_DONE, &c->resp[k]);
}

enum mkt_rc
call_answered(struct call *c, size_t k)
{
    if ((c->want.flags & MKT_TP_F) == 0)
        return mkt_initiator_established(c->initiator, &c->env, &c->at_alice[k], &c->io.err);
    enum mkt_next next =
        mkt_initiator_answered(c->initiator, &c->env, io_of(c, &c->resp[k], NULL), &c->at_alice[k]);
    return outcome(c, next, MKT_NEXT_DONE, NULL);
}

enum mkt_rc
call_until_grant(struct call *c)
{
    enum mkt_rc rc = call_request(c);
    rc = rc != MKT_OK ? rc : call_issue(c);
    return rc != MKT_OK ? rc : call_granted(c);
}

enum mkt_rc
call_until_offer(struct call *c)
{
    enum mkt_rc rc = call_until_grant(c);
    return rc != MKT_OK ? rc : call_offer(c);
}

enum mkt_rc
call_whole(struct call *c, size_t answers)
{
    enum mkt_rc rc = call_until_offer(c);
    for (size_t k = 0; k < answers; k++) {
        rc = rc != MKT_OK ? rc : call_offered(c, k);
        rc = rc != MKT_OK ? rc : call_accept(c, k);
        rc = rc != MKT_OK ? rc : call_resolve(c, k);
        rc = rc != MKT_OK ? rc : call_resolved(c, k);
        rc = rc != MKT_OK ? rc : call_answered(c, k);
    }
    return rc;
}

enum mkt_rc
call_keys(struct call *c, const struct mkt_csb *csb, struct mkt_secret *keys)
{
    MKT_SCOPED_SECRET
    salt = { 0 };
    struct mkt_err err = { 0 };
    enum mkt_rc rc = mkt_csb_derive(csb, c->crypto, 0, keys, &salt, &err);
    if (rc != MKT_OK)
        return rc;
    memcpy(keys->b + keys->n, salt.b, salt.n);
    keys->n = (uint16_t)(keys->n + salt.n);
    return MKT_OK;
}

size_t
without(struct message *m, uint16_t type, uint8_t role)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    struct message out;
    struct mkt_writer w = mkt_w_open(out.b, sizeof out.b);
    size_t taken = 0;
    if (mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err) != MKT_OK)
        return 0;
    mkt_hdr_write(&w, &parsed.hdr);
    for (size_t i = 0; i < parsed.n; i++) {
        if (parsed.pl[i].type == type && (role == 0 || mkt_payload_role(&parsed.pl[i]) == role))
            taken++;
        else
            mkt_pl_write(&w, &parsed.pl[i]);
    }
    out.n = w.len;
    *m = out;
    return taken;
}
