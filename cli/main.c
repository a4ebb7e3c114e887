/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-ticket: the client. Finds the command, runs it, prints the one error it may end with. */
#include "files.h"
#include "options.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* Keys must not reach a core file or another process of the same user. */
static void
protect_memory(void)
{
#ifndef __SANITIZE_ADDRESS__ /* its leak check attaches to the process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
}

static bool
run(const struct cli_command *command, int argc, char **argv, struct cli_error *err)
{
    struct cli_args args;
    if (!cli_args_parse(&args, command, argc, argv, err))
        return false;
    cli_quiet = cli_args_has(&args, CLI_OPT_QUIET);
    if (!cli_args_has(&args, CLI_OPT_HELP))
        return command->run(&args, err);
    cli_help_command(command);
    return true;
}

static bool
dispatch(int argc, char **argv, struct cli_error *err)
{
    const char *name = argc > 1 ? argv[1] : "";
    const struct cli_command *command = cli_command_find(name);
    if (command != NULL)
        return run(command, argc - 1, argv + 1, err);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        command = argc > 2 ? cli_command_find(argv[2]) : NULL;
        if (command != NULL)
            cli_help_command(command);
        else
            cli_help();
        return true;
    }
    if (strcmp(name, "--version") == 0) {
        printf("mikey-ticket %s\n", mkt_version());
        return true;
    }
    return cli_fail(err, CLI_EXIT_USAGE, "%s%s. Try: mikey-ticket --help",
                    *name == '\0' ? "no command" : "unknown command ", name);
}

int
main(int argc, char **argv)
{
    struct cli_error err = { 0 };
    protect_memory();
    cli_draft_guard();
    if (!dispatch(argc, argv, &err))
        fprintf(stderr, "mikey-ticket: %s\n", err.text);
    if (fflush(stdout) != 0 && err.code == CLI_EXIT_OK) {
        perror("mikey-ticket: standard output");
        err.code = CLI_EXIT_FAILURE;
    }
    return err.code;
}
