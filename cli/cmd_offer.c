/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket offer: TRANSFER_INIT (RFC 6043 4.2.2). Odd crypto sessions are the directions we
 * send in and have our SSRCs; those of the even ones are left to the other party. */
#include "carrier.h"
#include "client.h"
#include "report.h"
#include "srtp_suite.h"
#include "state.h"

#include <mikeyticket/initiator.h>
#include <string.h>

#define SESSIONS_MAX 64

struct offering {
    struct cli_client *client;
    struct mkt_initiator *initiator;
    struct mkt_grant *grant;
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX];
    struct mkt_offer_cs cs[SESSIONS_MAX];
    struct mkt_offer offer;
};

/* The SSRC of our n-th direction: given, or random. */
static bool
choose_ssrc(const struct cli_args *args, size_t n, uint32_t *ssrc, struct cli_error *err)
{
    uint64_t given;
    if (n < args->n[CLI_OPT_SSRC]) {
        if (!cli_args_uint(args, CLI_OPT_SSRC, n, 0, UINT32_MAX, &given, err))
            return false;
        *ssrc = (uint32_t)given;
        return true;
    }
    return mkt_crypto_random(NULL, (uint8_t *)ssrc, sizeof *ssrc) ||
           cli_fail(err, CLI_EXIT_FAILURE, "no random octets");
}

static bool
has_answer(const struct offering *o)
{
    return (mkt_grant_policy(o->grant)->flags & MKT_TP_F) != 0;
}

/* The SPI of the session key that is used: with an answer it is the other party's to say. */
static struct mkt_span
choose_spi(const struct offering *o)
{
    const struct mkt_keys *keys = mkt_grant_keys(o->grant);
    for (size_t i = 0; !has_answer(o) && i < keys->n; i++)
        if (keys->k[i].type != MKT_KEY_MPK)
            return mkt_span(keys->k[i].spi, keys->k[i].spi_len);
    return mkt_span(NULL, 0);
}

static bool
choose_sessions(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    uint64_t n = 2;
    if (cli_args_has(args, CLI_OPT_SESSIONS) &&
        !cli_args_uint(args, CLI_OPT_SESSIONS, 0, 1, SESSIONS_MAX, &n, err))
        return false;
    size_t ours = 0, every = has_answer(o) ? 2 : 1; /* RFC 4567 7.1: two CS IDs for each m-line */
    for (size_t i = 0; i < n; i++) {
        struct mkt_offer_cs *cs = &o->cs[i];
        cs->cs_id = (uint8_t)(i + 1);
        cs->prot_type = MKT_PROT_SRTP;
        cs->n_policies = (uint8_t)o->offer.n_sp;
        for (size_t p = 0; p < o->offer.n_sp; p++)
            cs->policies[p] = o->sp[p].policy_no;
        cs->spi = choose_spi(o);
        cs->has_ssrc = i % every == 0;
        if (cs->has_ssrc && !choose_ssrc(args, ours++, &cs->ssrc, err))
            return false;
    }
    if (args->n[CLI_OPT_SSRC] > ours)
        return cli_fail(err, CLI_EXIT_USAGE, "--ssrc: you choose it for %zu of the %zu sessions",
                        ours, (size_t)n);
    o->offer.cs = o->cs;
    o->offer.n_cs = n;
    return true;
}

/* A group may name many; only the KMS knows its members, so this is a word and no error. */
static void
warn_of_stranger(const struct offering *o)
{
    const struct mkt_policy *p = mkt_grant_policy(o->grant);
    for (size_t i = 0; i < p->n_responders; i++)
        if (mkt_identity_equal(p->responders[i], o->offer.responder))
            return;
    cli_say("the ticket does not name whom the offer is for; the KMS may refuse to resolve it");
}

static bool
prepare(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    if (!cli_identity_read(&o->offer.responder, "to", cli_args_get(args, CLI_OPT_TO), err))
        return false;
    warn_of_stranger(o);
    o->offer.ts_type = o->client->cred.ts_type;
    o->offer.sp = o->sp;
    if (cli_args_has(args, CLI_OPT_SDP))
        o->offer.sdp_ids = mkt_span("mikey", 5); /* RFC 4567 4.1.4 */
    if (!has_answer(o) && args->n[CLI_OPT_SRTP] > 1)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--srtp: the ticket wants no answer, so nobody could choose among suites");
    return cli_srtp_policies(args->value[CLI_OPT_SRTP], args->n[CLI_OPT_SRTP],
                             mkt_grant_policy(o->grant)->prf, false, o->sp, &o->offer.n_sp, err) &&
           choose_sessions(o, args, err);
}

static void
report(const struct offering *o, const struct cli_args *args, size_t octets)
{
    struct cli_report r;
    cli_report_begin(&r, stdout, cli_args_has(args, CLI_OPT_JSON));
    cli_report_text(&r, "offer", cli_args_get(args, CLI_OPT_OUT));
    cli_report_text(&r, "state", cli_args_get(args, CLI_OPT_STATE));
    cli_report_identity(&r, "to", o->offer.responder);
    cli_report_uint(&r, "octets", octets);
    cli_report_bool(&r, "answer-expected", has_answer(o));
    cli_report_list(&r, "suites");
    for (size_t i = 0; i < o->offer.n_sp; i++)
        cli_report_text(&r, NULL, cli_srtp_name(o->sp[i].params));
    cli_report_close(&r);
    cli_report_list(&r, "sessions");
    for (size_t i = 0; i < o->offer.n_cs; i++) {
        cli_report_item(&r);
        cli_report_uint(&r, "cs-id", o->cs[i].cs_id);
        cli_report_text(&r, "sender", i % 2 == 0 ? "initiator" : "responder");
        if (o->cs[i].has_ssrc)
            cli_report_uint(&r, "ssrc", o->cs[i].ssrc);
        cli_report_close(&r);
    }
    cli_report_close(&r);
    cli_report_end(&r);
}

/* The state first: an offer whose state is lost cannot be completed. */
static bool
save(const struct offering *o, const struct cli_args *args, const struct mkt_io *io,
     struct cli_error *err)
{
    struct mkt_span message = mkt_span(io->out, io->out_len);
    return cli_state_save(cli_args_get(args, CLI_OPT_STATE), cli_args_get(args, CLI_OPT_TO),
                          o->grant, message, err) &&
           cli_carrier_save(cli_args_get(args, CLI_OPT_OUT), message,
                            cli_args_has(args, CLI_OPT_SDP), err);
}

static bool
make(struct offering *o, const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_BLOB out = { 0 };
    if (!cli_blob_alloc(&out, MKT_MSG_MAX, err) || !prepare(o, args, err))
        return false;
    o->initiator = mkt_initiator_new(&o->client->cred);
    if (o->initiator == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    struct mkt_io io = { .out = out.p, .cap = out.cap };
    struct mkt_env env = cli_client_env(o->client);
    if (mkt_initiator_offer(o->initiator, &env, o->grant, &o->offer, &io) != MKT_NEXT_SEND_PEER)
        return cli_fail_mkt(
            err, CLI_EXIT_FAILURE,
            io.err.rc == MKT_E_TICKET_EXPIRED
                ? "cannot make the offer; get a new ticket with mikey-ticket request"
                : "cannot make the offer",
            &io.err);
    if (err->code != CLI_EXIT_OK || !save(o, args, &io, err))
        return false;
    report(o, args, io.out_len);
    return true;
}

bool
cli_cmd_offer(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CLIENT client;
    struct offering o = { .client = &client };
    bool done = cli_client_open(&client, args, err) &&
                cli_grant_load(&o.grant, cli_args_get(args, CLI_OPT_TICKET), err) &&
                make(&o, args, err);
    mkt_initiator_free(o.initiator);
    mkt_grant_free(o.grant);
    return done;
}
