/* SPDX-License-Identifier: Apache-2.0 */
/* A KMS with two users in memory, one of whom has asked for a ticket and called the other: what it
 * takes to have a REQUEST_INIT and a RESOLVE_INIT to measure. */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include <mikeyticket/initiator.h>
#include <mikeyticket/kms.h>
#include <mikeyticket/message.h>
#include <mikeyticket/responder.h>

struct world {
    uint8_t prf;
    struct mkt_env env;
    struct mkt_kms_txn *txn;
    struct mkt_inkey_mem alice_psk, bob_psk, tpk_key;
    struct mkt_identity alice, bob, kms;
    struct mkt_tpk tpk;
    uint8_t request[MKT_MSG_MAX], resolve[MKT_MSG_MAX], out[MKT_MSG_MAX];
    size_t request_len, resolve_len, out_len;
};

/* world_open makes the world of a suite, up to the RESOLVE_INIT. False when a step fails; says
 * which on stderr. */
bool world_open(struct world *w, uint8_t prf);
void world_close(struct world *w);

/* What a KMS does with the messages; the answers go to w->out. */
bool world_issue(struct world *w);
bool world_resolve(struct world *w);

/* world_wish is the policy asked for: everything default, key forking, one TGK, one responder,
 * valid for an hour from env->now. */
void world_wish(struct mkt_policy *want, uint8_t prf, uint64_t now, struct mkt_identity responder);

#endif
