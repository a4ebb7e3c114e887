/* SPDX-License-Identifier: Apache-2.0 */
/* One signed Ticket Request at the KMS, of a client that it has served before. Its RSA operations
 * are two: verifying the message, and decrypting the envelope key. */
#include "bench.h"

#include "../tests/pki.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct pk_world {
    struct mkt_env env;
    struct mkt_pool random; /* draws ahead, as the daemon does */
    struct pki pki;
    struct mkt_trust *trust;
    struct mkt_kms_key key;
    struct mkt_kms_pk how;
    struct mkt_kms_txn *txn;
    struct mkt_inkey_mem tpk_key;
    struct mkt_identity alice, kms;
    uint8_t request[MKT_MSG_MAX], out[MKT_MSG_MAX];
    size_t request_len;
};

static bool
issue_op(void *ctx)
{
    static const struct mkt_grant_rules rules = { .max_validity_s = 86400 };
    struct pk_world *w = ctx;
    struct mkt_policy granted;
    struct mkt_io io = { .out = w->out, .cap = sizeof w->out };
    const struct mkt_kms_ask *ask = mkt_kms_ask(w->txn);
    const struct mkt_tpk tpk = { .id = mkt_span("tpk-1", 5), .key = &w->tpk_key.base };
    bool ok = mkt_kms_begin(w->txn, mkt_span(w->request, w->request_len), &io.err) == MKT_OK &&
              mkt_kms_verify_pk(w->txn, &w->env, &w->how, &io.err) == MKT_OK &&
              mkt_policy_grant(&granted, ask->policy, &rules, ask->client, w->kms, w->env.now,
                               &io.err) == MKT_OK &&
              mkt_kms_issue(w->txn, &w->env, &granted, &tpk, mkt_span(NULL, 0), &io) ==
                  MKT_NEXT_SEND_PEER;
    mkt_kms_end(w->txn);
    if (!ok)
        fprintf(stderr, "mkt-bench: REQUEST_INIT_PK: %s\n", io.err.what);
    return ok;
}

static bool
ask(struct pk_world *w)
{
    const struct pki_cert own = {
        .key = PKI_ALICE, .name = "alice", .san = "URI:sip:alice@example.com", .issuer_key = PKI_CA
    };
    const struct mkt_cert *chain[] = { pki_make(&w->pki, &own) };
    const struct mkt_pk_credential pk = {
        .key = w->pki.key[PKI_ALICE], .chain = chain, .n_chain = 1, .kms = w->key.cert
    };
    const struct mkt_credential cred = { .self = w->alice, .kms = w->kms, .pk = &pk };
    struct mkt_io io = { .out = w->request, .cap = sizeof w->request };
    struct mkt_initiator *i = mkt_initiator_new(&cred);
    struct mkt_policy want;

    world_wish(&want, MKT_PRF_HMAC_SHA_256, w->env.now, mkt_uri("sip:bob@example.com"));
    bool ok = i != NULL && mkt_initiator_request(i, &w->env, &want, &io) == MKT_NEXT_SEND_KMS;
    w->request_len = io.out_len;
    mkt_initiator_free(i);
    return ok;
}

static bool
open_all(struct pk_world *w)
{
    const struct pki_cert kms = {
        .key = PKI_KMS, .name = "kms", .san = "URI:sip:kms@example.com", .issuer_key = PKI_CA
    };
    static const uint8_t tpk[32] = { 7 };
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    w->env = (struct mkt_env){ .crypto = mkt_crypto_new(),
                               .now = mkt_ntp_from_unix(now.tv_sec, (uint32_t)now.tv_nsec),
                               .random = mkt_pool_random,
                               .ctx = &w->random };
    w->txn = mkt_kms_txn_new();
    w->alice = mkt_uri("sip:alice@example.com");
    w->kms = mkt_uri("sip:kms@example.com");
    if (w->env.crypto == NULL || w->txn == NULL || !pki_open(&w->pki, now.tv_sec) ||
        mkt_inkey_mem_init(&w->tpk_key, mkt_span(tpk, 32)) != MKT_OK)
        return false;
    w->trust = pki_trust(&w->pki);
    w->key = (struct mkt_kms_key){ w->pki.key[PKI_KMS], pki_make(&w->pki, &kms) };
    w->how = (struct mkt_kms_pk){ .trust = w->trust, .keys = &w->key, .n_keys = 1, .kms = w->kms };
    return ask(w);
}

static void
close_all(struct pk_world *w)
{
    mkt_trust_free(w->trust);
    pki_close(&w->pki);
    mkt_inkey_mem_wipe(&w->tpk_key);
    mkt_wipe(&w->random, sizeof w->random);
    mkt_kms_txn_free(w->txn);
    mkt_crypto_free(w->env.crypto);
}

bool
bench_kms_pk(struct bench_report *r)
{
    struct pk_world *w = calloc(1, sizeof *w);
    bool ok = w != NULL && open_all(w) &&
              bench_recorded(r, "kms_request_pk_256", 1.1, issue_op, w, &w->env);

    if (w != NULL)
        close_all(w);
    free(w);
    return ok;
}
