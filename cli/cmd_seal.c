/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket seal: a file for somebody who opens it later (docs/formats/sealed-object.md), with a
 * ticket of the KMS made for it, or with one that we have. */
#include "cache.h"
#include "clock.h"
#include "csb_ids.h"
#include "files.h"
#include "seal.h"
#include "state.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

struct command {
    const struct cli_args *args;
    struct cli_client *client;
    struct mkt_grant *grant;
    struct cli_cache cache; /* locked until the message is made, */
    int lock;               /* and so is the file of --ticket */
    char name[CLI_SEALED_NAME_MAX + 1];
};

/* Without --name that of the file; one that cannot stand there is left out only when nobody asked
 * for it. */
static bool
choose_name(struct command *c, struct cli_error *err)
{
    const char *given = cli_args_get(c->args, CLI_OPT_NAME);
    char *path = strdup(given != NULL ? given : c->args->operand);

    if (path == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    const char *name = given != NULL ? given : basename(path);
    bool fits = cli_sealed_name_fits(name);
    if (fits)
        memccpy(c->name, name, '\0', sizeof c->name - 1);
    free(path);
    return fits || given == NULL ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--name: expected a file name of at most %d octets, without / and control "
                    "characters",
                    CLI_SEALED_NAME_MAX);
}

static bool
take_ticket(struct command *c, struct mkt_identity to, struct cli_error *err)
{
    const char *path = cli_args_get(c->args, CLI_OPT_TICKET);
    bool cache = cli_args_has(c->args, CLI_OPT_CACHE), kms = cli_args_has(c->args, CLI_OPT_KMS);

    if ((path != NULL) + cache + kms != 1)
        return cli_fail(err, CLI_EXIT_USAGE, "one of --kms, --ticket and --cache is needed");
    if (kms)
        return cli_seal_ask(&c->grant, c->args, c->client, err);
    if (path != NULL)
        return cli_file_lock(&c->lock, path, err) && cli_grant_load(&c->grant, path, err);
    if (!cli_cache_open(&c->cache, c->args, c->client, err) ||
        !cli_cache_ticket_to(&c->grant, &c->cache, to, err))
        return false;
    return c->grant != NULL ||
           cli_fail(err, CLI_EXIT_FAILURE,
                    "%s holds no ticket for %s that may be used again; get one with mikey-ticket "
                    "request --flags DEHIJNO --key GTGK --cache, and --reuse-group with both",
                    c->cache.path, cli_args_get(c->args, CLI_OPT_TO));
}

/* The mark of its use in the ticket first (5.3): an object that is lost costs a ticket, not more.
 */
static bool
mark(void *ctx, uint32_t csb_id, struct cli_error *err)
{
    struct command *c = ctx;
    const char *path = cli_args_get(c->args, CLI_OPT_TICKET);

    bool done = (path == NULL || cli_grant_save(path, c->grant, err)) &&
                cli_csb_ids_add(&c->cache, csb_id, err);
    cli_file_unlock(&c->lock); /* a large file may take a while */
    cli_cache_close(&c->cache);
    return done;
}

static void
report(const struct command *c, uint64_t octets, FILE *to)
{
    const struct mkt_policy *p = mkt_grant_policy(c->grant);
    char end[CLI_TIME_TEXT];
    struct cli_report r;

    cli_report_begin(&r, to, cli_args_has(c->args, CLI_OPT_JSON));
    cli_report_text(&r, "sealed", cli_args_get(c->args, CLI_OPT_OUT));
    cli_report_list(&r, "for");
    for (size_t i = 0; i < p->n_responders; i++)
        cli_report_identity(&r, NULL, p->responders[i]);
    cli_report_close(&r);
    if (*c->name != '\0')
        cli_report_identity(&r, "name", mkt_uri(c->name));
    cli_report_uint(&r, "octets", octets);
    if (p->end.has && p->end.type != MKT_TS_COUNTER) {
        cli_clock_format(p->end.value, end);
        cli_report_text(&r, "open-until", end);
    }
    cli_report_bool(&r, "changed-by-kms", (p->flags & MKT_TP_K) != 0);
    cli_report_bool(&r, "vouched-for-by-kms", (p->flags & MKT_TP_I) != 0);
    cli_report_end(&r);
}

static bool
seal(struct command *c, struct cli_error *err)
{
    const char *out = cli_args_get(c->args, CLI_OPT_OUT);
    uint32_t csb_ids[CLI_CSB_IDS_MAX];
    struct cli_seal s = { .client = c->client,
                          .csb_ids = csb_ids,
                          .from = c->args->operand,
                          .name = c->name,
                          .out = strcmp(out, "-") != 0 ? out : NULL,
                          .before = mark,
                          .ctx = c };
    uint64_t octets;

    if (c->args->operand == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "which FILE is to be sealed?");
    if (!cli_identity_read(&s.to, "to", cli_args_get(c->args, CLI_OPT_TO), err) ||
        !choose_name(c, err) || !take_ticket(c, s.to, err) ||
        !cli_csb_ids_load(csb_ids, &s.n_csb_ids, &c->cache, err))
        return false;
    s.grant = c->grant;
    if (!cli_seal_file(&s, &octets, err))
        return false;
    report(c, octets, s.out != NULL ? stdout : stderr);
    return true;
}

bool
cli_cmd_seal(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CLIENT client;
    struct command c = { .args = args, .client = &client, .cache = { .lock = -1 }, .lock = -1 };

    bool done = cli_client_open(&client, args, err) && seal(&c, err);
    mkt_grant_free(c.grant);
    cli_file_unlock(&c.lock);
    cli_cache_close(&c.cache);
    return done;
}
