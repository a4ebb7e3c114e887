/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's keys: a ticket for the callee, one offer of it, and a bundle for each answer. */
#include "keys.h"

#include "kms.h"
#include "wish.h"

#include <stdlib.h>
#include <string.h>

/* The defaults of RFC 6043, and L and M: both sides may bring new keys during the call. */
#define FLAGS "DEFGHILMNO"

/* For a group: without G, since nobody may add to the keys that all share (RFC 6043 9), and
 * with I, so that the KMS vouches for each who answers. */
#define GROUP_FLAGS "DEFHINO"

struct asking {
    struct phone_offer *offer;
    struct cli_client *client;
};

static enum mkt_next
make(void *ctx, struct mkt_io *io)
{
    struct asking *a = ctx;
    struct mkt_env env = cli_client_env(a->client);
    return mkt_initiator_request(a->offer->initiator, &env, &a->offer->want, io);
}

static enum mkt_next
take(void *ctx, struct mkt_io *io)
{
    struct asking *a = ctx;
    struct mkt_env env = cli_client_env(a->client);
    return mkt_initiator_granted(a->offer->initiator, &env, io, &a->offer->grant);
}

/* In the worker. */
static void
ask(struct phone_job *job, struct cli_client *client, const struct cli_args *args)
{
    struct asking a = { (struct phone_offer *)job, client };
    const struct cli_kms_ask question = { "ticketrequest", CLI_EXIT_KMS_REFUSED, &a, make, take };
    struct cli_args wish = *args;
    struct cli_error *err = &job->err;
    struct mkt_io io = { 0 };

    wish.value[CLI_OPT_TO][0] = a.offer->to;
    wish.value[CLI_OPT_FLAGS][0] = a.offer->group ? GROUP_FLAGS : FLAGS;
    wish.n[CLI_OPT_TO] = wish.n[CLI_OPT_FLAGS] = 1;
    wish.value[CLI_OPT_KEY][0] = "GTGK";
    wish.n[CLI_OPT_KEY] = a.offer->group;
    a.offer->initiator = mkt_initiator_new(&client->cred);
    if (a.offer->initiator == NULL) {
        cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
        return;
    }
    if (!cli_wish_read(&a.offer->want, &wish, client->file.prf, cli_clock_ntp(), err))
        return;
    (void)!cli_kms_run(args, client, &question, &io, err);
}

struct phone_offer *
phone_offer_new(const char *to, void (*done)(struct phone_job *job), void *call)
{
    struct phone_offer *o = calloc(1, sizeof *o);

    if (o == NULL)
        return NULL;
    o->job.run = ask;
    o->job.done = done;
    o->call = call;
    memccpy(o->to, to, '\0', sizeof o->to - 1);
    return o;
}

void
phone_offer_free(struct phone_offer *o)
{
    if (o == NULL)
        return;
    mkt_initiator_free(o->initiator);
    mkt_grant_free(o->grant);
    phone_sent_free(&o->sent);
    free(o);
}

bool
phone_offer_value(struct phone_offer *o, struct cli_client *client, const struct cli_args *args,
                  char *value, size_t cap, struct cli_error *err)
{
    uint8_t prf = mkt_grant_policy(o->grant)->prf;
    struct mkt_offer_cs cs[2], like = { .prot_type = MKT_PROT_SRTP };
    struct mkt_offer offer = { .responder = mkt_uri(o->to),
                               .ts_type = client->cred.ts_type,
                               .cs = cs,
                               .sp = o->sp,
                               .sdp_ids = mkt_span("mikey", 5) }; /* RFC 4567 4.1.4 */
    uint32_t ssrc[MKT_SDP_MEDIA_MAX];
    struct mkt_err why = { 0 };
    struct mkt_sdp plan;
    size_t len;

    if (!cli_srtp_policies(args->value[CLI_OPT_SRTP], args->n[CLI_OPT_SRTP], prf, true, o->sp,
                           &o->n_sp, err) ||
        !cli_client_rooms(client, err))
        return false;
    offer.n_sp = o->n_sp;
    like.n_policies = (uint8_t)o->n_sp;
    for (size_t i = 0; i < o->n_sp; i++)
        like.policies[i] = o->sp[i].policy_no;
    if (!mkt_pool_random(&client->random, (uint8_t *)ssrc, sizeof ssrc))
        return cli_fail(err, CLI_EXIT_FAILURE, "no random octets");
    mkt_sdp_begin(&plan);
    if (mkt_sdp_add_media(&plan, mkt_span("RTP/SAVP", 8), 1, &why) != MKT_OK ||
        mkt_sdp_offer_cs(&plan, MKT_SDP_SESSION, &like, ssrc, cs, 2, &offer.n_cs, &o->map, &why) !=
            MKT_OK)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot make the offer", &why);
    struct mkt_env env = cli_client_env(client);
    struct mkt_io io = { .out = client->out.p, .cap = client->out.cap };
    if (mkt_initiator_offer(o->initiator, &env, o->grant, &offer, &io) != MKT_NEXT_SEND_PEER)
        return cli_fail_mkt(err, CLI_EXIT_FAILURE, "cannot make the offer", &io.err);
    return mkt_sdp_value(value, cap, &len, mkt_span(client->out.p, io.out_len)) == MKT_OK ||
           cli_fail(err, CLI_EXIT_FAILURE, "the offer is too long");
}

bool
phone_offer_answered(struct phone_offer *o, struct cli_client *client, struct mkt_span text,
                     struct mkt_csb **csb, struct cli_error *err)
{
    struct mkt_err why = { 0 };

    if (!phone_sent_answered(&o->sent, o->initiator, client, text, csb, err))
        return false;
    if (mkt_csb_check_policies(*csb, o->sp, o->n_sp, &why) == MKT_OK &&
        mkt_sdp_map_updated(&o->map, &o->sent.sdp, MKT_SDP_SESSION, *csb, &why) == MKT_OK)
        return true;
    mkt_csb_free(*csb);
    *csb = NULL;
    return cli_fail_mkt(err, CLI_EXIT_PEER, "the answer is refused", &why);
}
