/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket request: Ticket Request (RFC 6043 4.2.1). The ticket is written only when the policy
 * that was granted is acceptable. One that was kept for reuse saves the KMS the work (5.3). */
#include "cache.h"
#include "kms.h"
#include "state.h"
#include "wish.h"

#include <mikeyticket/initiator.h>

struct request {
    struct cli_client *client;
    struct mkt_initiator *initiator;
    struct mkt_policy want;
    struct mkt_grant *grant;
};

static enum mkt_next
make(void *ctx, struct mkt_io *io)
{
    struct request *q = ctx;
    struct mkt_env env = cli_client_env(q->client);
    return mkt_initiator_request(q->initiator, &env, &q->want, io);
}

static enum mkt_next
take(void *ctx, struct mkt_io *io)
{
    struct request *q = ctx;
    struct mkt_env env = cli_client_env(q->client);
    return mkt_initiator_granted(q->initiator, &env, io, &q->grant);
}

static bool
save(const struct request *q, const struct cli_args *args, bool kept, struct cli_error *err)
{
    const char *out = cli_args_get(args, CLI_OPT_OUT);
    struct cli_report r;

    if (!cli_grant_save(out, q->grant, err))
        return false;
    cli_report_begin(&r, stdout, cli_args_has(args, CLI_OPT_JSON));
    cli_report_text(&r, "ticket", out);
    if (cli_args_has(args, CLI_OPT_CACHE))
        cli_report_bool(&r, "from-cache", kept);
    cli_wish_report(&r, &q->want, q->grant);
    cli_report_end(&r);
    return true;
}

static bool
ask(struct request *q, const struct cli_args *args, struct cli_error *err)
{
    const struct cli_kms_ask question = { "ticketrequest", CLI_EXIT_KMS_REFUSED, q, make, take };
    struct mkt_io io = { 0 };

    q->initiator = mkt_initiator_new(&q->client->cred);
    if (q->initiator == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    return cli_kms_run(args, q->client, &question, &io, err);
}

static bool
read_wish(struct request *q, const struct cli_args *args, struct cli_error *err)
{
    if (!cli_wish_read(&q->want, args, q->client->file.prf, cli_clock_ntp(), err))
        return false;
    return !cli_args_has(args, CLI_OPT_CACHE) || (q->want.flags & MKT_TP_J) != 0 ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--cache keeps tickets that may be used again: wish for one with --reuse, or J "
                    "in --flags");
}

static bool
request(struct request *q, const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CACHE cache = { .lock = -1 };

    if (!read_wish(q, args, err) || !cli_cache_open(&cache, args, q->client, err) ||
        !cli_cache_ticket_for(&q->grant, &cache, &q->want, err))
        return false;
    if (q->grant != NULL)
        return save(q, args, true, err);
    cli_cache_close(&cache); /* not while the KMS thinks */
    return ask(q, args, err) && cli_cache_keep_ticket(&cache, &q->want, q->grant, err) &&
           save(q, args, false, err);
}

bool
cli_cmd_request(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CLIENT client;
    struct request q = { .client = &client };
    bool done = cli_client_open(&client, args, err) && request(&q, args, err);
    mkt_grant_free(q.grant);
    mkt_initiator_free(q.initiator);
    return done;
}
