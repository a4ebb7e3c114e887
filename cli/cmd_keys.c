/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket keys: the crypto sessions of a session file. The one command that can print keys. */
#include "options.h"
#include "session.h"

#include <mikeyticket/secret.h>
#include <stdlib.h>

static bool
what_to_show(const struct cli_args *args, enum cli_session_show *show, struct cli_error *err)
{
    *show = cli_args_has(args, CLI_OPT_GST)         ? CLI_SHOW_KEYS_AND_GST
            : cli_args_has(args, CLI_OPT_SHOW_KEYS) ? CLI_SHOW_KEYS
                                                    : CLI_SHOW_NO_KEYS;
    return *show != CLI_SHOW_KEYS_AND_GST || cli_args_has(args, CLI_OPT_SHOW_KEYS) ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--gst prints keys, and nothing prints them without --show-keys");
}

/* The report is collected first: half a report of a broken file is worse than none. */
bool
cli_cmd_keys(const struct cli_args *args, struct cli_error *err)
{
    struct cli_report r;
    char *text = NULL;
    size_t n = 0;
    enum cli_session_show show;

    if (!what_to_show(args, &show, err))
        return false;
    FILE *collected = open_memstream(&text, &n);
    if (collected == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    cli_report_begin(&r, collected, cli_args_has(args, CLI_OPT_JSON));
    bool done = cli_session_report_file(&r, cli_args_get(args, CLI_OPT_SESSION), show, err);
    cli_report_end(&r);
    fclose(collected);
    if (done)
        fwrite(text, 1, n, stdout);
    mkt_wipe(text, n);
    free(text);
    return done;
}
