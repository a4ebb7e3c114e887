/* SPDX-License-Identifier: Apache-2.0 */
/* Options are read with getopt_long from the table of the header. */
#include "phone_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *arg, *text;
    enum cli_option client;
} options[PHONE_OPT_COUNT] = {
#define PHONE_OPTIONS_ROW(id, name, arg, client, text) { name, arg, text, client },
    PHONE_OPTIONS(PHONE_OPTIONS_ROW)
#undef PHONE_OPTIONS_ROW
};

void
phone_help(void)
{
    printf("usage: mikey-phone --credentials FILE --kms URL [OPTION...] [SIP-URI]\n\n"
           "Calls SIP-URI, or waits for calls. All media is SRTP with keys of MIKEY-TICKET (RFC "
           "6043):\nwhat cannot be keyed is not taken. Keys while it runs: a answers, r refuses, h "
           "hangs up, o holds, k brings new keys, s says how the call "
           "stands, q quits.\n\n");
    for (size_t i = 0; i < PHONE_OPT_COUNT; i++) {
        char left[48];
        snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].arg != NULL ? " " : "",
                 options[i].arg != NULL ? options[i].arg : "");
        printf("  %-28s %s\n", left, options[i].text);
    }
}

static bool
take(struct phone_options *o, size_t i, const char *value, struct cli_error *err)
{
    enum cli_option client = options[i].client;

    o->value[i] = value != NULL ? value : "";
    if (client == CLI_OPT_COUNT)
        return true;
    if (o->args.n[client] == CLI_REPEAT_MAX || (o->args.n[client] > 0 && client != CLI_OPT_SRTP))
        return cli_fail(err, CLI_EXIT_USAGE, "--%s is given too often", options[i].name);
    o->args.value[client][o->args.n[client]++] = o->value[i];
    return true;
}

static bool
milliseconds(const struct phone_options *o, enum phone_option id, uint32_t *ms,
             struct cli_error *err)
{
    const char *text = o->value[id];
    char *end;

    *ms = UINT32_MAX;
    if (text == NULL)
        return true;
    unsigned long v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v > 86400000)
        return cli_fail(err, CLI_EXIT_USAGE, "--%s %.40s: expected milliseconds, a day at most",
                        options[id].name, text);
    *ms = (uint32_t)v;
    return true;
}

static bool
keying(struct phone_options *o, struct cli_error *err)
{
    static const char *const names[] = { [PHONE_KEYING_REQUIRED] = "required",
                                         [PHONE_KEYING_PREFERRED] = "preferred",
                                         [PHONE_KEYING_SDES] = "sdes" };
    const char *text = o->value[PHONE_OPT_KEYING];

    for (size_t i = 0; text != NULL && i < CLI_COUNT(names); i++) {
        o->keying = (enum phone_keying)i;
        if (strcmp(text, names[i]) == 0)
            return true;
    }
    o->keying = PHONE_KEYING_REQUIRED;
    return text == NULL || cli_fail(err, CLI_EXIT_USAGE,
                                    "--keying %.40s: expected required, preferred or sdes", text);
}

static bool
check(struct phone_options *o, struct cli_error *err)
{
    if (o->value[PHONE_OPT_CREDENTIALS] == NULL || o->value[PHONE_OPT_KMS] == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--credentials and --kms are needed");
    o->hang_up_played =
        o->value[PHONE_OPT_HANG_UP] != NULL && strcmp(o->value[PHONE_OPT_HANG_UP], "played") == 0;
    o->hang_up_ms = UINT32_MAX;
    return keying(o, err) && milliseconds(o, PHONE_OPT_ANSWER, &o->answer_ms, err) &&
           (o->hang_up_played || milliseconds(o, PHONE_OPT_HANG_UP, &o->hang_up_ms, err));
}

bool
phone_options_read(struct phone_options *o, int argc, char **argv, struct cli_error *err)
{
    struct option list[PHONE_OPT_COUNT + 1];
    int c, i;

    *o = (struct phone_options){ 0 };
    for (i = 0; i < PHONE_OPT_COUNT; i++)
        list[i] =
            (struct option){ options[i].name,
                             options[i].arg != NULL ? required_argument : no_argument, NULL, 0 };
    list[PHONE_OPT_COUNT] = (struct option){ 0 };
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", list, &i)) != -1) {
        if (c != 0)
            return cli_fail(err, CLI_EXIT_USAGE, "%s %s. Try: mikey-phone --help", argv[optind - 1],
                            c == ':' ? "needs an argument" : "is no option");
        if (!take(o, (size_t)i, optarg, err))
            return false;
    }
    if (o->value[PHONE_OPT_HELP] != NULL || o->value[PHONE_OPT_VERSION] != NULL)
        return true;
    o->callee = argv[optind];
    if (o->callee != NULL && argv[optind + 1] != NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "more than one SIP-URI");
    return check(o, err);
}
