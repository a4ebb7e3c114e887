/* SPDX-License-Identifier: Apache-2.0 */
/* See world.h. The steps are those of the users' programs and of the daemon. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool
said(bool ok, const char *step, const struct mkt_err *err)
{
    char text[256];
    if (!ok) {
        mkt_err_format(err, text, sizeof text);
        fprintf(stderr, "mkt-bench: %s: %s\n", step, text);
    }
    return ok;
}

void
world_wish(struct mkt_policy *want, uint8_t prf, uint64_t now, struct mkt_identity responder)
{
    mkt_policy_init(want, prf);
    want->start = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, now & ~(uint64_t)UINT32_MAX };
    want->end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, want->start.value + (3600ULL << 32) };
    want->n_responders = 1;
    want->responders[0] = responder;
}

static bool
keys_open(struct world *w)
{
    uint8_t octets[3][32];
    size_t n = mkt_suite_of(w->prf)->key_len;
    return mkt_crypto_random(NULL, octets[0], sizeof octets) &&
           mkt_inkey_mem_init(&w->alice_psk, mkt_span(octets[0], n)) == MKT_OK &&
           mkt_inkey_mem_init(&w->bob_psk, mkt_span(octets[1], n)) == MKT_OK &&
           mkt_inkey_mem_init(&w->tpk_key, mkt_span(octets[2], n)) == MKT_OK;
}

static bool
verified(struct world *w, struct mkt_span in, const struct mkt_inkey *psk,
         struct mkt_identity client, struct mkt_err *err)
{
    return mkt_kms_begin(w->txn, in, err) == MKT_OK &&
           mkt_kms_verify(w->txn, &w->env, psk, client, w->kms, err) == MKT_OK;
}

bool
world_issue(struct world *w)
{
    static const struct mkt_grant_rules rules = { .max_validity_s = 86400 };
    struct mkt_policy granted;
    struct mkt_io io = { .out = w->out, .cap = sizeof w->out };
    const struct mkt_kms_ask *ask = mkt_kms_ask(w->txn);
    bool ok =
        verified(w, mkt_span(w->request, w->request_len), &w->alice_psk.base, w->alice, &io.err) &&
        mkt_policy_grant(&granted, ask->policy, &rules, w->alice, w->kms, w->env.now, &io.err) ==
            MKT_OK &&
        mkt_kms_issue(w->txn, &w->env, &granted, &w->tpk, mkt_span(NULL, 0), &io) ==
            MKT_NEXT_SEND_PEER;
    mkt_kms_end(w->txn);
    w->out_len = io.out_len;
    return said(ok, "REQUEST_INIT", &io.err);
}

bool
world_resolve(struct world *w)
{
    struct mkt_io io = { .out = w->out, .cap = sizeof w->out };
    bool ok =
        verified(w, mkt_span(w->resolve, w->resolve_len), &w->bob_psk.base, w->bob, &io.err) &&
        mkt_kms_open(w->txn, &w->env, &w->tpk, &io.err) == MKT_OK &&
        mkt_kms_resolve(w->txn, &w->env, w->bob, &io) == MKT_NEXT_SEND_PEER;
    mkt_kms_end(w->txn);
    w->out_len = io.out_len;
    return said(ok, "RESOLVE_INIT", &io.err);
}

/* Alice asks, the KMS issues, she offers one SRTP session; the grant is hers. */
static bool
call(struct world *w, struct mkt_initiator *i, struct mkt_grant **grant, struct mkt_io *io)
{
    struct mkt_policy want;
    const struct mkt_offer_cs cs = { .cs_id = 1, .has_ssrc = true, .ssrc = 0x01020304 };
    const struct mkt_offer offer = { .responder = w->bob, .cs = &cs, .n_cs = 1 };

    world_wish(&want, w->prf, w->env.now, w->bob);
    *io = (struct mkt_io){ .out = w->request, .cap = sizeof w->request };
    if (mkt_initiator_request(i, &w->env, &want, io) != MKT_NEXT_SEND_KMS)
        return false;
    w->request_len = io->out_len;
    if (!world_issue(w))
        return false;
    *io = (struct mkt_io){ .in = mkt_span(w->out, w->out_len) };
    if (mkt_initiator_granted(i, &w->env, io, grant) != MKT_NEXT_DONE)
        return false;
    *io = (struct mkt_io){ .out = w->out, .cap = sizeof w->out };
    if (mkt_initiator_offer(i, &w->env, *grant, &offer, io) != MKT_NEXT_SEND_PEER)
        return false;
    w->out_len = io->out_len;
    return true;
}

static bool
pick_up(struct world *w, struct mkt_responder *r, struct mkt_io *io)
{
    const struct mkt_choice choice = { 0 };
    *io = (struct mkt_io){ .in = mkt_span(w->out, w->out_len) };
    if (mkt_responder_offered(r, &w->env, 60, io) != MKT_NEXT_ASK)
        return false;
    *io = (struct mkt_io){ .out = w->resolve, .cap = sizeof w->resolve };
    if (mkt_responder_accept(r, &w->env, &choice, io) != MKT_NEXT_SEND_KMS)
        return false;
    w->resolve_len = io->out_len;
    return true;
}

bool
world_open(struct world *w, uint8_t prf)
{
    struct timespec now;
    struct mkt_io io = { 0 };
    struct mkt_grant *grant = NULL;

    clock_gettime(CLOCK_REALTIME, &now);
    *w = (struct world){ .prf = prf,
                         .txn = mkt_kms_txn_new(),
                         .alice = mkt_uri("sip:alice@example.com"),
                         .bob = mkt_uri("sip:bob@example.com"),
                         .kms = mkt_uri("sip:kms@example.com") };
    w->env = (struct mkt_env){ .crypto = mkt_crypto_new(),
                               .now = mkt_ntp_from_unix(now.tv_sec, (uint32_t)now.tv_nsec),
                               .random = mkt_crypto_random };
    w->tpk = (struct mkt_tpk){ .id = mkt_span("tpk-1", 5), .key = &w->tpk_key.base };
    if (w->txn == NULL || w->env.crypto == NULL || !keys_open(w))
        return false;

    struct mkt_credential cred = { .self = w->alice, .kms = w->kms, .psk = &w->alice_psk.base };
    struct mkt_initiator *i = mkt_initiator_new(&cred);
    cred.self = w->bob;
    cred.psk = &w->bob_psk.base;
    struct mkt_responder *r = mkt_responder_new(&cred);
    bool ok = i != NULL && r != NULL && said(call(w, i, &grant, &io), "Initiator", &io.err) &&
              said(pick_up(w, r, &io), "Responder", &io.err);
    mkt_grant_free(grant);
    mkt_initiator_free(i);
    mkt_responder_free(r);
    return ok;
}

void
world_close(struct world *w)
{
    mkt_inkey_mem_wipe(&w->alice_psk);
    mkt_inkey_mem_wipe(&w->bob_psk);
    mkt_inkey_mem_wipe(&w->tpk_key);
    mkt_kms_txn_free(w->txn);
    mkt_crypto_free(w->env.crypto);
}
