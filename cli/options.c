/* SPDX-License-Identifier: Apache-2.0 */
/* The command line, driven by the tables: what a command requires, allows and repeats is checked
 * here, so that commands find their arguments complete. */
#include "options.h"

#include "srtp_suite.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *arg, *text;
} options[CLI_OPT_COUNT] = {
#define CLI_OPTIONS_ROW(id, name, arg, text) [CLI_OPT_##id] = { name, arg, text },
    CLI_OPTIONS(CLI_OPTIONS_ROW)
#undef CLI_OPTIONS_ROW
};

const struct cli_command *
cli_command_find(const char *name)
{
    for (size_t i = 0; i < cli_commands_count; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    return NULL;
}

static bool
usage(const struct cli_command *c, struct cli_error *err, const char *what, const char *name)
{
    return cli_fail(err, CLI_EXIT_USAGE, "%s%s. Try: mikey-ticket %s --help", what, name, c->name);
}

/* The long options of the command for getopt_long; val is the option's number plus one. */
static void
list_options(const struct cli_command *c, struct option list[CLI_OPT_COUNT + 1])
{
    for (int id = 0; id < CLI_OPT_COUNT; id++)
        if (((c->required | c->optional) >> id & 1) != 0)
            *list++ = (struct option){ options[id].name,
                                       options[id].arg != NULL ? required_argument : no_argument,
                                       NULL, id + 1 };
    *list = (struct option){ 0 };
}

static bool
add_value(struct cli_args *args, const struct cli_command *c, int id, const char *value,
          struct cli_error *err)
{
    bool repeats = (c->repeated >> id & 1) != 0;
    if (args->n[id] == (repeats ? CLI_REPEAT_MAX : 1))
        return usage(c, err, repeats ? "too often: --" : "given twice: --", options[id].name);
    args->value[id][args->n[id]++] = value != NULL ? value : "";
    return true;
}

static bool
check_required(const struct cli_args *args, const struct cli_command *c, struct cli_error *err)
{
    for (int id = 0; id < CLI_OPT_COUNT; id++)
        if ((c->required >> id & 1) != 0 && args->n[id] == 0)
            return usage(c, err, "missing: --", options[id].name);
    return true;
}

bool
cli_args_parse(struct cli_args *args, const struct cli_command *c, int argc, char **argv,
               struct cli_error *err)
{
    struct option list[CLI_OPT_COUNT + 1];
    list_options(c, list);
    *args = (struct cli_args){ 0 };
    optind = 0; /* begin anew, also in tests */
    opterr = 0;
    for (int got; (got = getopt_long(argc, argv, ":qh", list, NULL)) != -1;) {
        if (got == ':')
            return usage(c, err, "an argument is missing after ", argv[optind - 1]);
        if (got == '?')
            return usage(c, err, "unknown option ", argv[optind - 1]);
        int id = got == 'q' ? CLI_OPT_QUIET : got == 'h' ? CLI_OPT_HELP : got - 1;
        if (!add_value(args, c, id, optarg, err))
            return false;
    }
    if (cli_args_has(args, CLI_OPT_HELP))
        return true;
    if (optind < argc && c->operand != NULL)
        args->operand = argv[optind++];
    if (optind < argc)
        return usage(c, err, "unexpected: ", argv[optind]);
    return check_required(args, c, err);
}

bool
cli_args_uint(const struct cli_args *args, enum cli_option id, size_t index, uint64_t min,
              uint64_t max, uint64_t *out, struct cli_error *err)
{
    const char *text = args->value[id][index];
    char *end;
    errno = 0;
    *out = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || *out < min || *out > max)
        return cli_fail(err, CLI_EXIT_USAGE, "--%s %s: expected a number from %llu to %llu",
                        options[id].name, text, (unsigned long long)min, (unsigned long long)max);
    return true;
}

static void
print_option(int id, bool repeats)
{
    char left[48];
    snprintf(left, sizeof left, "--%s%s%s", options[id].name, options[id].arg != NULL ? " " : "",
             options[id].arg != NULL ? options[id].arg : "");
    printf("  %-26s %s%s\n", left, options[id].text, repeats ? "; may be repeated" : "");
}

static void
print_options(uint64_t set, uint64_t repeated, const char *title)
{
    if (set == 0)
        return;
    printf("\n%s:\n", title);
    for (int id = 0; id < CLI_OPT_COUNT; id++)
        if ((set >> id & 1) != 0)
            print_option(id, (repeated >> id & 1) != 0);
}

void
cli_help_command(const struct cli_command *c)
{
    printf("Usage: mikey-ticket %s%s [OPTION...]%s%s\n\n%s: %s.\n\n%s", c->name,
           c->required != 0 ? " REQUIRED..." : "", c->operand != NULL ? " " : "",
           c->operand != NULL ? c->operand : "", c->name, c->summary, c->details);
    print_options(c->required, c->repeated, "Required");
    print_options(c->optional, c->repeated, "Options");
    if (((c->required | c->optional) >> CLI_OPT_SRTP & 1) != 0)
        printf("\nSRTP suites: %s\n", cli_srtp_list());
    printf("\nExamples:\n%s", c->examples);
}

void
cli_help(void)
{
    fputs("Usage: mikey-ticket COMMAND [OPTION...]\n"
          "       mikey-ticket COMMAND --help\n"
          "       mikey-ticket --version\n\n"
          "Keys for secure calls with MIKEY-TICKET (RFC 6043): tickets from a Key Management\n"
          "Service, offers, answers, and the SRTP keys they lead to. Every step works on files,\n"
          "so that the two parties may be two machines.\n\nCommands:\n",
          stdout);
    for (size_t i = 0; i < cli_commands_count; i++)
        printf("  %-15s %s\n", cli_commands[i].name, cli_commands[i].summary);
    fputs("\nExit codes:\n", stdout);
#define CLI_EXITS_ROW(name, code, text) printf("  %d  %s\n", code, text);
    CLI_EXITS(CLI_EXITS_ROW)
#undef CLI_EXITS_ROW
    fputs("\nResults go to standard output, words of progress to standard error. Files with "
          "secrets\nhave mode 0600 and are refused with any other.\n\nExample, Alice and then "
          "Bob:\n"
          "  mikey-ticket request --credentials alice.cred --kms http://kms.example.com \\\n"
          "      --to sip:bob@example.com --out ticket.mkt\n"
          "  mikey-ticket offer --credentials alice.cred --ticket ticket.mkt \\\n"
          "      --to sip:bob@example.com --out offer.mikey --state offer.state\n"
          "  mikey-ticket answer --credentials bob.cred --kms http://kms.example.com \\\n"
          "      --offer offer.mikey --out answer.mikey --session bob.session\n"
          "  mikey-ticket complete --credentials alice.cred --state offer.state \\\n"
          "      --answer answer.mikey --session alice.session\n"
          "  mikey-ticket keys --session alice.session --show-keys\n",
          stdout);
}
