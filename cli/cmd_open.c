/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket open: a sealed object, on any device of one it was sealed for. What it calls itself
 * is only told: where it goes is said by --out. */
#include "clock.h"
#include "report.h"
#include "seal.h"

#include <string.h>

static void
report(const struct cli_args *args, const struct cli_unsealed *u, bool to_stdout)
{
    const char *out = cli_args_get(args, CLI_OPT_OUT);
    char at[CLI_TIME_TEXT];
    struct cli_report r;

    cli_clock_format(u->sealed_at, at);
    cli_report_begin(&r, to_stdout ? stderr : stdout, cli_args_has(args, CLI_OPT_JSON));
    cli_report_text(&r, "opened", out);
    cli_report_identity(
        &r, "sealed-by",
        (struct mkt_identity){ u->sealer_type, mkt_span(u->sealer, u->sealer_len) });
    cli_report_text(&r, "vouched-for-by", u->vouched_by);
    cli_report_text(&r, "sealed-at", at);
    if (*u->info.name != '\0')
        cli_report_identity(&r, "name", mkt_uri(u->info.name));
    cli_report_uint(&r, "octets", u->info.size);
    cli_report_end(&r);
}

static bool
open_it(const struct cli_args *args, struct cli_client *client, struct cli_error *err)
{
    const char *out = cli_args_get(args, CLI_OPT_OUT);
    bool to_stdout = strcmp(out, "-") == 0;
    struct cli_unsealed u;

    if (args->operand == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "which FILE is to be opened? - is standard input");
    if (!cli_unseal_file(&u, args, client, args->operand, to_stdout ? NULL : out, err))
        return false;
    report(args, &u, to_stdout);
    return true;
}

bool
cli_cmd_open(const struct cli_args *args, struct cli_error *err)
{
    CLI_SCOPED_CLIENT client;
    return cli_client_open(&client, args, err) && open_it(args, &client, err);
}
