/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-kmsctl: users and ticket protection keys. It changes the store; a running daemon notices by
 * itself. Keys go in and never come out again: a generated one is shown once, or written to a file.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mikeyticket/env.h>

#include "config.h"
#include "credfile.h"
#include "kmsctl.h"
#include "program.h"
#include "store.h"

static const char usage[] =
    "Usage: mikey-kmsctl --config FILE COMMAND\n"
    "Users and keys of mikey-kmsd. Works while the daemon runs, and while it does not; a\n"
    "running daemon follows within a second, without a restart.\n"
    "\n"
    "Commands:\n"
    "  user add IDENTITY [--psk-id ID] [--psk-hex HEX|-] [--suite 128|256] [--psk-out FILE]\n"
    "      Adds a credential. An identity may have several, one for each device. Without\n"
    "      --psk-hex a key is generated for the suite (default 256) and shown once; with\n"
    "      --psk-out it goes to a new file of mode 0600 instead. --psk-hex - reads the key\n"
    "      from standard input, where other users of this machine cannot see it.\n"
    "  user list [--json]\n"
    "      Lists credentials, without keys.\n"
    "  user remove IDENTITY [--psk-id ID]\n"
    "      Removes one credential, or all of the identity.\n"
    "  tpk rotate\n"
    "      Makes a new ticket protection key. Tickets made with the former ones can still be\n"
    "      resolved.\n"
    "  tpk list [--json]\n"
    "      Lists ticket protection keys, without keys.\n"
    "\n"
    "  -c, --config FILE  configuration of the daemon\n"
    "  -h, --help         this text\n"
    "  -V, --version      version\n"
    "\n";

struct command {
    const char *noun, *verb;
    int args;             /* after the verb */
    const char *accepted; /* letters of the options that make sense */
    enum kms_exit (*run)(const struct kms_ctl *ctl);
};

static const struct command commands[] = {
    { "user", "add", 1, "ipso", kms_ctl_user_add },
    { "user", "list", 0, "j", kms_ctl_user_list },
    { "user", "remove", 1, "i", kms_ctl_user_remove },
    { "tpk", "rotate", 0, "", kms_ctl_tpk_rotate },
    { "tpk", "list", 0, "j", kms_ctl_tpk_list },
};

static enum kms_exit
misused(const char *what, const char *which)
{
    fprintf(stderr, "mikey-kmsctl: %s%s%s. Try mikey-kmsctl --help.\n", what,
            which[0] == '\0' ? "" : " ", which);
    return KMS_EXIT_USAGE;
}

static const struct command *
find_command(int argc, char **argv, enum kms_exit *code)
{
    *code = KMS_EXIT_USAGE;
    if (argc < 2) {
        misused(argc == 0 ? "a command is needed" : "what is to be done with",
                argc == 0 ? "" : argv[0]);
        return NULL;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *c = &commands[i];

        if (strcmp(argv[0], c->noun) != 0 || strcmp(argv[1], c->verb) != 0)
            continue;
        if (argc - 2 == c->args)
            return c;
        misused(argc - 2 < c->args ? "the IDENTITY is missing after" : "too many words after",
                c->verb);
        return NULL;
    }
    fprintf(stderr, "mikey-kmsctl: there is no command \"%s %s\". Try mikey-kmsctl --help.\n",
            argv[0], argv[1]);
    return NULL;
}

static enum kms_exit
run(const char *path, const struct command *command, struct kms_ctl *ctl)
{
    struct kms_config *config = malloc(sizeof *config);
    struct kms_store_err store_err = { 0 };
    char err[KMS_CONFIG_ERR];
    enum kms_exit code;

    if (config == NULL) {
        fputs("mikey-kmsctl: out of memory\n", stderr);
        return KMS_EXIT_FAILED;
    }
    if (!kms_config_load(config, path, err)) {
        fprintf(stderr, "%s\n", err);
        code = KMS_EXIT_CONFIG;
    } else if (kms_store_open_sqlite(&ctl->store, config->store, 0, &store_err) != KMS_STORE_OK) {
        fprintf(stderr, "mikey-kmsctl: %s\n", store_err.text);
        code = KMS_EXIT_STORE;
    } else {
        ctl->kms = config->identity;
        code = command->run(ctl);
        ctl->store->ops->close(ctl->store);
    }
    free(config);
    return code;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "psk-id", required_argument, NULL, 'i' },
        { "psk-hex", required_argument, NULL, 'p' },
        { "suite", required_argument, NULL, 's' },
        { "psk-out", required_argument, NULL, 'o' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    struct kms_ctl ctl = { 0 };
    const struct command *command;
    const char *path = NULL;
    char given[16] = "";
    enum kms_exit code;
    int o;

    while ((o = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        if (o == 'h') {
            fputs(usage, stdout);
            puts(KMS_EXIT_HELP ".");
            return KMS_EXIT_OK;
        }
        if (o == 'V') {
            printf("mikey-kmsctl %s\n", mkt_version());
            return KMS_EXIT_OK;
        }
        if (o == '?')
            return misused("that option is not known", "");
        if (o != 'c' && strchr(given, o) != NULL)
            return misused("an option is given twice", "");
        if (o == 'c')
            path = optarg;
        else
            given[strlen(given)] = (char)o;
        if (o == 'i')
            ctl.psk_id = optarg;
        else if (o == 'p')
            ctl.psk_hex = optarg;
        else if (o == 's')
            ctl.suite = optarg;
        else if (o == 'o')
            ctl.psk_out = optarg;
        else if (o == 'j')
            ctl.json = true;
    }
    command = find_command(argc - optind, argv + optind, &code);
    if (command == NULL)
        return (int)code;
    if (strspn(given, command->accepted) != strlen(given))
        return (int)misused("an option does not belong to the command", command->verb);
    if (path == NULL)
        return (int)misused("--config FILE is needed", "");
    ctl.identity = command->args > 0 ? argv[optind + 2] : NULL;
    kms_harden();
    return (int)run(path, command, &ctl);
}
