/* SPDX-License-Identifier: Apache-2.0 */
/* See call.h. Caller and callee share a thread here, as phones share none: what they say to each
 * other is a description in memory. */
#include "call.h"

#include "../phone/keys.h"

#include <mikeyticket/media/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#define DIRECTIONS 2

static bool
said(const struct cli_error *err, bool ok)
{
    if (!ok)
        fprintf(stderr, "mkt-bench: call: %s\n", err->text);
    return ok;
}

/* --- the two ends ----------------------------------------------------------------------------- */

static bool
open_client(struct cli_client *c, uint8_t prf, const struct bed_user *u)
{
    *c = (struct cli_client){ .file.prf = prf, .crypto = mkt_crypto_new() };
    snprintf(c->file.identity, sizeof c->file.identity, "%s", u->identity);
    snprintf(c->file.kms, sizeof c->file.kms, "sip:kms@bench.example");
    c->cred = (struct mkt_credential){
        .self = mkt_uri(c->file.identity),
        .kms = mkt_uri(c->file.kms),
        .psk_id = mkt_span(u->psk_id, strlen(u->psk_id)),
        .psk = &u->psk.base,
        .ts_type = MKT_TS_NTP_UTC,
    };
    return c->crypto != NULL;
}

bool
call_open(struct call *c, uint8_t prf, const struct bed_user *alice, const struct bed_user *bob,
          const struct sockaddr_in *addr)
{
    char ip[INET_ADDRSTRLEN];

    cli_quiet = true;
    *c = (struct call){ 0 };
    snprintf(c->kms_url, sizeof c->kms_url, "udp://%s:%u",
             inet_ntop(AF_INET, &addr->sin_addr, ip, sizeof ip), ntohs(addr->sin_port));
    c->args.value[CLI_OPT_KMS][0] = c->kms_url;
    c->args.n[CLI_OPT_KMS] = 1;
    return open_client(&c->alice, prf, alice) && open_client(&c->bob, prf, bob);
}

void
call_close(struct call *c)
{
    cli_client_close(&c->alice);
    cli_client_close(&c->bob);
}

/* --- what goes between them ------------------------------------------------------------------- */

static void
describe(struct call *c)
{
    int n = snprintf(c->text, sizeof c->text,
                     "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
                     "a=key-mgmt:%s\r\nm=audio 40000 RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
                     "a=sendrecv\r\na=ptime:20\r\n",
                     c->value);
    c->text_len = (size_t)n;
}

static struct mkt_span
described(const struct call *c)
{
    return mkt_span(c->text, c->text_len);
}

/* --- the steps, as phone/caller.c and phone/callee.c take them -------------------------------- */

static void
nothing(struct phone_job *job)
{
    (void)job;
}

/* What a worker of the phone does. */
static bool
ask(struct phone_job *job, struct cli_client *client, const struct cli_args *args)
{
    client->err = &job->err;
    job->run(job, client, args);
    return said(&job->err, job->err.code == CLI_EXIT_OK);
}

static bool
offer(struct call *c, struct phone_offer *o)
{
    struct cli_error err = { 0 };

    if (!ask(&o->job, &c->alice, &c->args) ||
        !said(&err, phone_offer_value(o, &c->alice, &c->args, c->value, sizeof c->value, &err)))
        return false;
    describe(c);
    return said(&err, phone_sent_keep(&o->sent, described(c), &err));
}

static bool
answer(struct call *c, struct phone_answer **a)
{
    struct cli_error err = { 0 };
    enum mkt_rc rc;

    if (!said(&err, phone_answer_new(a, &c->bob, &c->args, described(c), false, nothing, NULL, &rc,
                                     &err)) ||
        !ask(&(*a)->job, &c->bob, &c->args) || !phone_answer_value(*a, c->value, sizeof c->value))
        return false;
    describe(c);
    return true;
}

/* Keys of both directions, derived at both ends on their way to libsrtp2. */
static bool
same_keys(struct call *c, const struct mkt_csb *at_alice, const struct mkt_csb *at_bob)
{
    struct mkt_srtp hers, his;
    struct mkt_err err = { 0 };
    bool same = true;

    for (size_t i = 0; same && i < DIRECTIONS; i++) {
        same = mkt_srtp_policy(&hers, at_alice, c->alice.crypto, i, &err) == MKT_OK &&
               mkt_srtp_policy(&his, at_bob, c->bob.crypto, i, &err) == MKT_OK &&
               memcmp(hers.key, his.key, sizeof hers.key) == 0;
        mkt_srtp_wipe(&hers);
        mkt_srtp_wipe(&his);
    }
    if (!same)
        fprintf(stderr, "mkt-bench: call: the keys differ. %s\n", err.what != NULL ? err.what : "");
    return same;
}

bool
call_make(void *ctx)
{
    struct call *c = ctx;
    struct cli_error err = { 0 };
    struct phone_answer *a = NULL;
    struct mkt_csb *csb = NULL;
    struct phone_offer *o = phone_offer_new(c->bob.file.identity, nothing, NULL);
    bool ok = o != NULL && offer(c, o) && answer(c, &a) &&
              said(&err, phone_offer_answered(o, &c->alice, described(c), &csb, &err)) &&
              same_keys(c, csb, a->csb);

    mkt_csb_free(csb);
    phone_answer_free(a);
    phone_offer_free(o);
    return ok;
}
