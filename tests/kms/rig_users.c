/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of clients, made with the library's own roles. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keys/keys.h"
#include "rig.h"

static struct mkt_crypto *
crypto(void)
{
    static struct mkt_crypto *c;

    if (c == NULL)
        c = mkt_crypto_new();
    if (c == NULL)
        abort();
    return c;
}

static void
must(bool ok)
{
    if (!ok)
        abort();
}

void
rig_user_init(struct rig_user *u, const char *identity, const char *psk_id, uint8_t prf)
{
    uint8_t key[32];

    memset(u, 0, sizeof *u);
    u->identity = identity;
    u->psk_id = psk_id;
    u->prf = prf;
    must(mkt_crypto_random(NULL, key, sizeof key));
    must(mkt_inkey_mem_init(&u->psk, mkt_span(key, mkt_suite_of(prf)->key_len)) == MKT_OK);
}

uint32_t rig_counter;

static uint64_t
next_stamp(void *ctx, uint8_t ts_type)
{
    struct timespec ts;

    (void)ctx;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts_type == MKT_TS_COUNTER ? ++rig_counter
                                     : mkt_ntp_from_unix(ts.tv_sec, (uint32_t)ts.tv_nsec);
}

struct mkt_env
rig_env(int64_t ahead_s)
{
    struct timespec ts;
    struct mkt_env env = { .crypto = crypto(), .random = mkt_crypto_random };

    clock_gettime(CLOCK_REALTIME, &ts);
    env.now = mkt_ntp_from_unix(ts.tv_sec + ahead_s, (uint32_t)ts.tv_nsec);
    return env;
}

static struct mkt_credential
credential_of(const struct rig_user *u)
{
    struct mkt_credential c = { .self = mkt_uri(u->identity),
                                .kms = mkt_uri(RIG_KMS),
                                .psk = &u->psk.base,
                                .ts_type = u->ts_type,
                                .omit = u->omit };

    c.pk = u->pk;
    if (u->psk_id != NULL)
        c.psk_id = mkt_span(u->psk_id, strlen(u->psk_id));
    return c;
}

void
rig_ask_free(struct rig_ask *a)
{
    mkt_initiator_free(a->initiator);
    mkt_responder_free(a->responder);
    a->initiator = NULL;
    a->responder = NULL;
}

void
rig_want(struct mkt_policy *want, const struct rig_user *u, const char *to, int64_t ahead_s)
{
    struct mkt_env env = rig_env(ahead_s);

    mkt_policy_init(want, u->prf);
    want->flags |= MKT_TP_J; /* one grant serves several offers here */
    want->start = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, env.now & ~(uint64_t)UINT32_MAX };
    want->end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, want->start.value + (3600ULL << 32) };
    want->n_responders = 1;
    want->responders[0] = mkt_uri(to);
}

void
rig_request_want(struct rig_ask *a, const struct rig_user *u, const struct mkt_policy *want,
                 int64_t ahead_s)
{
    struct mkt_credential c = credential_of(u);
    struct mkt_env env = rig_env(ahead_s);
    struct mkt_io io = { .out = a->octets, .cap = sizeof a->octets };

    env.now += (uint64_t)((u->ahead_ms * ((int64_t)1 << 32)) / 1000);
    if (u->ts_type == MKT_TS_COUNTER)
        env.stamp = next_stamp;
    a->responder = NULL;
    a->initiator = mkt_initiator_new(&c);
    must(a->initiator != NULL);
    must(mkt_initiator_request(a->initiator, &env, want, &io) == MKT_NEXT_SEND_KMS);
    a->len = io.out_len;
}

void
rig_request(struct rig_ask *a, const struct rig_user *u, const char *to, int64_t ahead_s)
{
    struct mkt_policy want;

    rig_want(&want, u, to, ahead_s);
    rig_request_want(a, u, &want, ahead_s);
}

/* Of a message with all identities in it. */
void
rig_seal(struct rig_ask *a, const struct rig_user *u)
{
    static struct mkt_msg m;
    struct mkt_err err = { 0 };
    struct mkt_msg_keys mk = { 0 };
    uint8_t mac[32];

    must(mkt_msg_parse(&m, mkt_span(a->octets, a->len), &err) == MKT_OK);
    const struct mkt_payload *v = &m.pl[m.n - 1], *rand = mkt_msg_find(&m, MKT_PL_RANDR, 0);
    bool resolve = m.hdr.data_type == MKT_DT_RESOLVE_INIT_PSK;
    struct mkt_label label = { .use = MKT_USE_INIT, .csb_id = m.hdr.csb_id };

    *(resolve ? &label.nonce2 : &label.nonce1) = rand->u.randr.rand;
    must(mkt_derive_msg_keys(&mk, &u->psk.base, crypto(), mkt_suite_of(m.hdr.prf), &label,
                             MKT_WANT_AUTH));
    const struct mkt_span part[] = { mkt_span(a->octets, a->len - v->u.v.mac.n),
                                     mkt_span(u->identity, strlen(u->identity)),
                                     mkt_span(RIG_KMS, strlen(RIG_KMS)) };

    must(mkt_mac_run(crypto(), &mk, part, 3, mac));
    memcpy(a->octets + a->len - v->u.v.mac.n, mac, v->u.v.mac.n);
}

struct mkt_grant *
rig_granted(struct rig_ask *a, struct mkt_span answer, struct mkt_io *io)
{
    struct mkt_env env = rig_env(0);
    struct mkt_grant *grant = NULL;

    *io = (struct mkt_io){ .in = answer };
    if (mkt_initiator_granted(a->initiator, &env, io, &grant) != MKT_NEXT_DONE)
        return NULL;
    return grant;
}

void
rig_resolve(struct rig_ask *a, const struct rig_user *u, const struct rig_user *from,
            const char *to, struct mkt_grant *grant)
{
    static uint8_t offered[MKT_MSG_MAX];
    const struct mkt_pl_sp sp = { .policy_no = 0, .prot_type = MKT_PROT_SRTP };
    const struct mkt_offer_cs cs = {
        .cs_id = 1, .n_policies = 1, .has_ssrc = true, .ssrc = 0x01020304
    };
    const struct mkt_offer offer = {
        .responder = mkt_uri(to), .cs = &cs, .n_cs = 1, .sp = &sp, .n_sp = 1
    };
    static const struct mkt_choice choice;
    struct mkt_credential mine = credential_of(from), theirs = credential_of(u);
    struct mkt_env env = rig_env(0);
    struct mkt_io io = { .out = offered, .cap = sizeof offered };

    a->initiator = mkt_initiator_new(&mine);
    a->responder = mkt_responder_new(&theirs);
    must(a->initiator != NULL && a->responder != NULL);
    must(mkt_initiator_offer(a->initiator, &env, grant, &offer, &io) == MKT_NEXT_SEND_PEER);
    io = (struct mkt_io){ .in = mkt_span(offered, io.out_len) };
    must(mkt_responder_offered(a->responder, &env, 60, &io) == MKT_NEXT_ASK);
    io = (struct mkt_io){ .out = a->octets, .cap = sizeof a->octets };
    must(mkt_responder_accept(a->responder, &env, &choice, &io) == MKT_NEXT_SEND_KMS);
    a->len = io.out_len;
}

bool
rig_resolved(struct rig_ask *a, struct mkt_span answer, struct mkt_io *io)
{
    static uint8_t out[MKT_MSG_MAX];
    struct mkt_env env = rig_env(0);
    struct mkt_csb *csb = NULL;
    enum mkt_next next;

    *io = (struct mkt_io){ .in = answer, .out = out, .cap = sizeof out };
    next = mkt_responder_resolved(a->responder, &env, io, &csb);
    mkt_csb_free(csb);
    return next == MKT_NEXT_SEND_PEER;
}

int
rig_error_no(struct mkt_span answer, bool *authentic)
{
    static struct mkt_msg m;
    struct mkt_err err = { 0 };
    const struct mkt_payload *pl;

    *authentic = false;
    if (mkt_msg_parse(&m, answer, &err) != MKT_OK || m.hdr.data_type != MKT_DT_ERROR)
        return -1;
    *authentic = mkt_msg_find(&m, MKT_PL_V, 0) != NULL;
    pl = mkt_msg_find(&m, MKT_PL_ERR, 0);
    return pl == NULL ? -1 : pl->u.err.error_no;
}
