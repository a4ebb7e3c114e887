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
    c->tpk_owner = c->bob[0];
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
    bool ok = c->crypto != NULL && key_of(&c->psk_alice, 0xA1, suite) &&
              key_of(&c->tpk, 0x77, suite) && key_of(&c->tpk_alice, 0x7A, suite) &&
              key_of(&c->tpk_bob, 0x7B, suite) && key_of(&c->tpk_pair, 0x7C, suite);
    c->mode = 1;
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
    mkt_inkey_mem_wipe(&c->tpk_alice);
    mkt_inkey_mem_wipe(&c->tpk_bob);
    mkt_inkey_mem_wipe(&c->tpk_pair);
    mkt_crypto_free(c->crypto);
}

void
call_mode(struct call *c, unsigned mode)
{
    struct mkt_policy *p = &c->want;
    const uint16_t clear = MKT_TP_D | MKT_TP_E;
    c->mode = mode;
    p->flags = (uint16_t)((p->flags & ~clear) | (mode <= 2 ? MKT_TP_D : MKT_TP_L) |
                          (mode % 2 == 1 ? MKT_TP_E : 0));
    if (mode % 2 == 0) {
        p->flags &= (uint16_t)~MKT_TP_I;
        p->n_responders = 1;
    }
    if (mode > 2) {
        p->initiator = c->alice;
        p->kms = c->kms;
    }
    c->rules.responder_has_tpk = mode == 2;
}

void
key_add(struct mkt_keys *keys, uint8_t type, size_t len, size_t salt, uint8_t octet)
{
    struct mkt_key *k = &keys->k[keys->n++];
    k->type = type;
    k->kv = MKT_KV_SPI;
    k->spi_len = 4;
    memset(k->spi, octet, 4);
    k->key.n = (uint16_t)len;
    memset(k->key.b, octet ^ 0x5A, len);
    k->salt.n = (uint16_t)salt;
    memset(k->salt.b, octet ^ 0xA5, salt);
}

struct mkt_io *
call_io(struct call *c, const struct message *in, struct message *out)
{
    c->io = (struct mkt_io){ .in = in == NULL ? mkt_span(NULL, 0) : mkt_span(in->b, in->n),
                             .out = out == NULL ? NULL : out->b,
                             .cap = out == NULL ? 0 : c->cap };
    return &c->io;
}

enum mkt_rc
call_outcome(struct call *c, enum mkt_next next, enum mkt_next want, struct message *out)
{
    if (out != NULL)
        out->n = c->io.out_len;
    if (next == want)
        return MKT_OK;
    return c->io.err.rc == MKT_OK ? MKT_E_STATE : c->io.err.rc;
}

/* A step that gives an object ends the one before. */
static void
forget(struct mkt_csb **csb)
{
    mkt_csb_free(*csb);
    *csb = NULL;
}

enum mkt_rc
call_request(struct call *c)
{
    enum mkt_next next =
        mkt_initiator_request(c->initiator, &c->env, &c->want, call_io(c, NULL, &c->request));
    return call_outcome(c, next, MKT_NEXT_SEND_KMS, &c->request);
}

/* The TPK the KMS makes a ticket under, or finds for one by its IDRpsk. */
static bool
tpk_named(const struct call *c, struct mkt_span id, struct mkt_tpk *tpk)
{
    const struct mkt_tpk all[] = {
        { mkt_span("tpk", 3), &c->tpk.base, { 0, { NULL, 0 } } },
        { mkt_span("tpk-alice", 9), &c->tpk_alice.base, c->alice },
        { mkt_span("tpk-bob", 7), &c->tpk_bob.base, c->tpk_owner },
    };
    for (size_t i = 0; i < 3; i++)
        if (all[i].id.n == id.n && memcmp(all[i].id.p, id.p, id.n) == 0) {
            *tpk = all[i];
            return true;
        }
    return false;
}

static enum mkt_rc
kms_answer(struct call *c, struct mkt_identity client, const struct mkt_inkey *psk)
{
    struct mkt_policy granted;
    struct mkt_tpk tpk = { 0 };
    struct mkt_err *err = &c->io.err;
    const struct mkt_kms_ask *ask = mkt_kms_ask(c->txn);
    if (mkt_kms_begin(c->txn, c->io.in, err) != MKT_OK)
        return err->rc;
    if (ask->pk && c->pk != NULL) {
        if (mkt_kms_verify_pk(c->txn, &c->env, c->pk, err) != MKT_OK)
            return err->rc;
        client = ask->client; /* as the certificate has it */
    } else if (mkt_kms_verify(c->txn, &c->env, psk, client, c->kms, err) != MKT_OK) {
        return err->rc;
    }
    if (ask->ticket_err->rc != MKT_OK) {
        *err = *ask->ticket_err;
        return err->rc;
    }
    if (ask->resolve) {
        if (!tpk_named(c, ask->tpk_id.data, &tpk))
            return MKT_E_TICKET;
        if (mkt_kms_open(c->txn, &c->env, &tpk, err) != MKT_OK)
            return err->rc;
        return call_outcome(c, mkt_kms_resolve(c->txn, &c->env, client, &c->io), MKT_NEXT_SEND_PEER,
                            NULL);
    }
    if (mkt_policy_grant(&granted, ask->policy, &c->rules, client, c->kms, c->env.now, err) !=
        MKT_OK)
        return err->rc;
    if (c->twist != NULL)
        c->twist(&granted);
    const char *own = (granted.flags & MKT_TP_E) != 0 ? "tpk" : "tpk-bob";
    if (!tpk_named(c, mkt_span(own, strlen(own)), &tpk))
        return MKT_E_ARGUMENT;
    return call_outcome(c,
                        mkt_kms_issue(c->txn, &c->env, &granted, &tpk, mkt_span(NULL, 0), &c->io),
                        MKT_NEXT_SEND_PEER, NULL);
}

enum mkt_rc
call_kms(struct call *c, const struct message *in, struct mkt_identity client,
         const struct mkt_inkey *psk, struct message *out)
{
    call_io(c, in, out);
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
    mkt_grant_free(c->grant);
    c->grant = NULL;
    enum mkt_next next =
        mkt_initiator_granted(c->initiator, &c->env, call_io(c, &c->granted, NULL), &c->grant);
    return call_outcome(c, next, MKT_NEXT_DONE, NULL);
}

/* Without an answer nobody fills in what an offer leaves open (6.1.1). */
static void
complete_offer(struct call *c)
{
    const struct mkt_keys *keys = c->offer.keys != NULL ? c->offer.keys : mkt_grant_keys(c->grant);
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
        mkt_initiator_offer(c->initiator, &c->env, c->grant, &c->offer, call_io(c, NULL, &c->init));
    return call_outcome(c, next, MKT_NEXT_SEND_PEER, &c->init);
}

enum mkt_rc
call_offered(struct call *c, size_t k)
{
    enum mkt_next next =
        mkt_responder_offered(c->responder[k], &c->env, SKEW_S, call_io(c, &c->init, NULL));
    return call_outcome(c, next, MKT_NEXT_ASK, NULL);
}

enum mkt_rc
call_accept(struct call *c, size_t k)
{
    enum mkt_next next = mkt_responder_accept(c->responder[k], &c->env, &c->choice,
                                              call_io(c, NULL, &c->resolve[k]));
    return call_outcome(c, next, MKT_NEXT_SEND_KMS, &c->resolve[k]);
}

enum mkt_rc
call_resolve(struct call *c, size_t k)
{
    return call_kms(c, &c->resolve[k], c->bob[k], &c->psk_bob[k].base, &c->resolved[k]);
}

enum mkt_rc
call_resolved(struct call *c, size_t k)
{
    forget(&c->at_bob[k]);
    bool answers = (c->want.flags & MKT_TP_F) != 0;
    enum mkt_next next = mkt_responder_resolved(
        c->responder[k], &c->env, call_io(c, &c->resolved[k], &c->resp[k]), &c->at_bob[k]);
    return call_outcome(c, next, answers ? MKT_NEXT_SEND_PEER : MKT_NEXT_DONE, &c->resp[k]);
}

enum mkt_rc
call_answered(struct call *c, size_t k)
{
    forget(&c->at_alice[k]);
    if ((c->want.flags & MKT_TP_F) == 0)
        return mkt_initiator_established(c->initiator, &c->env, &c->at_alice[k], &c->io.err);
    enum mkt_next next = mkt_initiator_answered(c->initiator, &c->env,
                                                call_io(c, &c->resp[k], NULL), &c->at_alice[k]);
    return call_outcome(c, next, MKT_NEXT_DONE, NULL);
}

enum mkt_rc
call_create(struct call *c)
{
    mkt_grant_free(c->grant);
    c->grant = NULL;
    const bool three = c->mode == 3;
    const struct mkt_own_ticket own = {
        .policy = &c->want,
        .tpk = three ? &c->tpk_alice.base : &c->tpk_pair.base,
        .tpk_id = three ? mkt_span("tpk-alice", 9) : mkt_span("tpk-pair", 8),
        .keys = &c->ticket_keys,
        .ts_type = c->ts_type,
    };
    c->io = (struct mkt_io){ 0 };
    return mkt_grant_create(&c->grant, &c->env, &own, &c->io.err);
}

/* After a step of a Bob that ends his part. */
static enum mkt_rc
finished(struct call *c, enum mkt_next next, size_t k)
{
    bool answers = (c->want.flags & MKT_TP_F) != 0;
    return call_outcome(c, next, answers ? MKT_NEXT_SEND_PEER : MKT_NEXT_DONE, &c->resp[k]);
}

enum mkt_rc
call_opened(struct call *c, size_t k, const struct mkt_inkey *tpk)
{
    forget(&c->at_bob[k]);
    return finished(c,
                    mkt_responder_open(c->responder[k], &c->env, &c->choice, tpk,
                                       call_io(c, NULL, &c->resp[k]), &c->at_bob[k]),
                    k);
}

enum mkt_rc
call_reused(struct call *c, size_t k, const struct mkt_resolution *cached)
{
    forget(&c->at_bob[k]);
    return finished(c,
                    mkt_responder_reuse(c->responder[k], &c->env, &c->choice, cached,
                                        call_io(c, NULL, &c->resp[k]), &c->at_bob[k]),
                    k);
}

static enum mkt_rc
bobs_part(struct call *c, size_t k)
{
    if (c->mode == 2)
        return call_opened(c, k, &c->tpk_bob.base);
    if (c->mode == 4)
        return call_opened(c, k, &c->tpk_pair.base);
    enum mkt_rc rc = call_accept(c, k);
    rc = rc != MKT_OK ? rc : call_resolve(c, k);
    return rc != MKT_OK ? rc : call_resolved(c, k);
}

enum mkt_rc
call_transfer(struct call *c, size_t k)
{
    forget(&c->at_alice[k]);
    forget(&c->at_bob[k]);
    enum mkt_rc rc = call_offer(c);
    rc = rc != MKT_OK ? rc : call_offered(c, k);
    rc = rc != MKT_OK ? rc : bobs_part(c, k);
    return rc != MKT_OK ? rc : call_answered(c, k);
}

enum mkt_rc
call_until_grant(struct call *c)
{
    if (c->mode > 2)
        return call_create(c);
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
        rc = rc != MKT_OK ? rc : bobs_part(c, k);
        rc = rc != MKT_OK ? rc : call_answered(c, k);
    }
    return rc;
}

bool
call_agrees(struct call *c, size_t k)
{
    const struct mkt_csb *a = c->at_alice[k], *b = c->at_bob[k];
    struct mkt_err err = { 0 };
    if (a == NULL || b == NULL || mkt_csb_count(a) != mkt_csb_count(b))
        return false;
    for (size_t i = 0; i < mkt_csb_count(a); i++) {
        struct mkt_secret tek[2] = { { 0 }, { 0 } }, salt[2] = { { 0 }, { 0 } };
        struct mkt_session s[2];
        if (mkt_csb_session(a, i, &s[0]) != MKT_OK || mkt_csb_session(b, i, &s[1]) != MKT_OK ||
            mkt_csb_derive(a, c->crypto, i, &tek[0], &salt[0], &err) != MKT_OK ||
            mkt_csb_derive(b, c->crypto, i, &tek[1], &salt[1], &err) != MKT_OK ||
            s[0].cs_id != s[1].cs_id || s[0].ssrc != s[1].ssrc ||
            !mkt_ct_equal(mkt_secret_span(&tek[0]), mkt_secret_span(&tek[1])) ||
            !mkt_ct_equal(mkt_secret_span(&salt[0]), mkt_secret_span(&salt[1])))
            return false;
    }
    return true;
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
