/* SPDX-License-Identifier: Apache-2.0 */
/* The initiator's side of MIKEY for a group. Members get offers of one ticket with one CSB ID and
 * RANDRi, so all derive the same keys (RFC 6043 9); and each has its own exchange under MPKr', so
 * the KMS vouches for each (I flag). The map of an offer has the initiator's session first, the
 * member's own second, as with two parties (RFC 4567), and those of the others behind them. */
#include "group.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

static bool
was_used(const struct group_keys *k, uint32_t ssrc)
{
    for (size_t i = 0; i < k->n_used; i++)
        if (k->used[i] == ssrc)
            return true;
    return ssrc == 0;
}

/* Full is as good as used: nothing may come twice under one key (RFC 3711 9.1). */
static bool
use(struct group_keys *k, uint32_t ssrc)
{
    if (was_used(k, ssrc) || k->n_used == CLI_COUNT(k->used))
        return false;
    k->used[k->n_used++] = ssrc;
    return true;
}

static bool
draw(uint32_t *v)
{
    return mkt_crypto_random(NULL, (uint8_t *)v, sizeof *v);
}

static bool
has_group_key(const struct mkt_grant *grant)
{
    const struct mkt_policy *policy = mkt_grant_policy(grant);
    const struct mkt_keys *keys = mkt_grant_keys(grant);

    for (size_t i = 0; i < keys->n; i++)
        if (keys->k[i].type == MKT_KEY_GTGK)
            return (policy->flags & (MKT_TP_G | MKT_TP_I)) == MKT_TP_I;
    return false;
}

bool
group_keys_begin(struct group_keys *k, size_t n, const struct cli_args *args, struct cli_error *err)
{
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX];
    size_t n_sp;
    uint32_t seq;

    if (!has_group_key(k->ticket->grant))
        return cli_fail(err, CLI_EXIT_KMS_REFUSED, "the KMS has granted no group key");
    if (!cli_srtp_policies(args->value[CLI_OPT_SRTP], args->n[CLI_OPT_SRTP],
                           mkt_grant_policy(k->ticket->grant)->prf, true, sp, &n_sp, err))
        return false;
    k->sp = sp[0];
    k->n = n;
    for (size_t id = GROUP_INITIATOR_CS; id <= n + 1; id++) {
        struct group_voice *v = &k->voice[id];
        v->cs_id = (uint8_t)id;
        if (!draw(&v->ssrc) || !draw(&seq) || !use(k, v->ssrc))
            return cli_fail(err, CLI_EXIT_FAILURE, "no random octets");
        v->seq = id == GROUP_INITIATOR_CS ? (uint16_t)seq & 0x7fff : 0;
    }
    k->in[GROUP_INITIATOR_CS] = true;
    return true;
}

void
group_keys_begin_at(struct group_keys *k, uint64_t index)
{
    if (index == UINT64_MAX)
        return;
    k->voice[GROUP_INITIATOR_CS].roc = (uint32_t)(index >> 16);
    k->voice[GROUP_INITIATOR_CS].seq = (uint16_t)index;
}

uint64_t
group_keys_left(const struct mkt_csb *csb)
{
    const struct mkt_time *end = &mkt_csb_policy(csb)->end;
    uint64_t now = cli_clock_ntp();

    if (!end->has || end->type == MKT_TS_COUNTER)
        return UINT64_MAX;
    return end->value > now ? ((end->value - now) >> 32) * 1000 : 0;
}

/* --- the offer -------------------------------------------------------------------------------- */

static struct mkt_offer_cs
session(const struct group_keys *k, const struct group_offer *o, uint8_t cs_id)
{
    const struct group_voice *v = &k->voice[cs_id];
    bool own = cs_id == o->cs_id;

    return (struct mkt_offer_cs){ .cs_id = cs_id,
                                  .prot_type = MKT_PROT_SRTP,
                                  .n_policies = 1,
                                  .policies = { k->sp.policy_no },
                                  .has_ssrc = !own,
                                  .s = !own && k->in[cs_id],
                                  .ssrc = v->ssrc,
                                  .roc = v->roc,
                                  .seq = v->seq };
}

static size_t
sessions(struct group_offer *o, const struct group_keys *k, struct mkt_offer_cs *cs)
{
    size_t n = 0;

    cs[n++] = session(k, o, GROUP_INITIATOR_CS);
    cs[n++] = session(k, o, o->cs_id);
    for (size_t id = GROUP_INITIATOR_CS + 1; id <= k->n + 1; id++)
        if (id != o->cs_id)
            cs[n++] = session(k, o, (uint8_t)id);
    for (size_t i = 0; i < n; i++)
        o->ssrc[cs[i].cs_id] = cs[i].ssrc;
    return n;
}

bool
group_offer_value(struct group_offer *o, struct group_keys *k, struct cli_client *client,
                  char *value, size_t cap, struct cli_error *err)
{
    struct mkt_offer_cs cs[PHONE_MEMBERS_MAX + 1];
    struct mkt_offer offer = { .responder = mkt_uri(k->ticket->to),
                               .ts_type = client->cred.ts_type,
                               .cs = cs,
                               .n_cs = sessions(o, k, cs),
                               .sp = &k->sp,
                               .n_sp = 1,
                               .sdp_ids = mkt_span("mikey", 5),
                               .group_of = mkt_span(k->first, k->first_len) };
    size_t len;

    mkt_initiator_free(o->initiator);
    o->initiator = mkt_initiator_new(&client->cred);
    if (o->initiator == NULL || !cli_client_rooms(client, err))
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    struct mkt_env env = cli_client_env(client);
    struct mkt_io io = { .out = client->out.p, .cap = client->out.cap };
    if (mkt_initiator_offer(o->initiator, &env, k->ticket->grant, &offer, &io) !=
        MKT_NEXT_SEND_PEER)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot make the offer", &io.err);
    if (k->first_len == 0) {
        memcpy(k->first, client->out.p, io.out_len);
        k->first_len = io.out_len;
    }
    return mkt_sdp_value(value, cap, &len, mkt_span(client->out.p, io.out_len)) == MKT_OK ||
           cli_fail(err, CLI_EXIT_FAILURE, "the offer is too long");
}

/* --- the answer ------------------------------------------------------------------------------- */

/* The sessions of others stay as they were offered; the member's own has an SSRC that is new. */
static bool
check_sessions(const struct group_offer *o, const struct group_keys *k, const struct mkt_csb *csb,
               struct mkt_session *own, struct cli_error *err)
{
    struct mkt_session s;

    if (mkt_csb_count(csb) != k->n + 1)
        return cli_fail(err, CLI_EXIT_PEER, "the answer is refused: sessions were added");
    for (size_t i = 0; mkt_csb_session(csb, i, &s) == MKT_OK; i++) {
        if (s.cs_id == o->cs_id)
            *own = s;
        else if (s.ssrc != o->ssrc[s.cs_id])
            return cli_fail(err, CLI_EXIT_PEER,
                            "the answer is refused: session %u is not the member's", s.cs_id);
    }
    return !was_used(k, own->ssrc) ||
           cli_fail(err, CLI_EXIT_PEER, "the answer is refused: its SSRC is in use (RFC 3711 9.1)");
}

static bool
take(const struct group_offer *o, struct group_keys *k, const struct mkt_csb *csb,
     struct cli_error *err)
{
    struct mkt_session own = { 0 };
    struct mkt_err why = { 0 };

    if (mkt_csb_check_policies(csb, &k->sp, 1, &why) != MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_PEER, "the answer is refused", &why);
    if (!check_sessions(o, k, csb, &own, err))
        return false;
    if (!use(k, own.ssrc))
        return cli_fail(err, CLI_EXIT_PEER, "too many have come and gone under one key");
    k->voice[o->cs_id] = (struct group_voice){ o->cs_id, own.ssrc, own.roc, own.seq };
    return true;
}

bool
group_offer_answered(struct group_offer *o, struct group_keys *k, struct cli_client *client,
                     struct mkt_span text, struct mkt_csb **csb, struct cli_error *err)
{
    if (!phone_sent_answered(&o->sent, o->initiator, client, text, csb, err))
        return false;
    if (take(o, k, *csb, err))
        return true;
    mkt_csb_free(*csb);
    *csb = NULL;
    return false;
}

void
group_offer_free(struct group_offer *o)
{
    mkt_initiator_free(o->initiator);
    phone_sent_free(&o->sent);
    *o = (struct group_offer){ 0 };
}
