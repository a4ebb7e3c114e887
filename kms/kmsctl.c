/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-kmsctl: users, ticket protection keys, the KEK, tickets made in advance. It changes the
 * store; a running daemon notices by itself. Keys go in and never come out again: a generated one
 * is shown once, or written to a file.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mikeyticket/env.h>

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
    "  user add IDENTITY --no-psk\n"
    "      Adds a user without pre-shared key: one who has a certificate and signs requests.\n"
    "      Requests with any pre-shared key are refused as those of an unknown user.\n"
    "  user list [--json]\n"
    "      Lists credentials, without keys, and users without.\n"
    "  user remove IDENTITY [--psk-id ID]\n"
    "      Removes one credential, or the user with the ticket protection keys shared with it\n"
    "      and the reference tickets issued to it.\n"
    "  tpk add IDENTITY [--tpk-id ID] [--tpk-hex HEX|-] [--suite 128|256] [--tpk-out FILE]\n"
    "      Adds a ticket protection key that this user shares with the KMS: the user opens\n"
    "      tickets without asking (mode 2 of RFC 6043 4.1.1), or makes them (mode 3).\n"
    "  tpk rotate\n"
    "      Makes a new ticket protection key. Tickets made with the former ones can still be\n"
    "      resolved.\n"
    "  tpk list [--json]\n"
    "      Lists ticket protection keys and who shares them, without keys.\n"
    "  tpk remove ID\n"
    "      Removes a shared key, or a former one of the KMS. Its tickets are lost.\n"
    "  kek init [--quiet]\n"
    "      Wraps the keys in the store with the key-encryption key (kek) that the configuration\n"
    "      names; a file that is not there is made.\n"
    "  kek rotate [--to KEK] [--quiet]\n"
    "      Seals all keys under a new store key, while the daemon works. With --to the new KEK\n"
    "      opens it as well as the old one.\n"
    "  kek rotate --finish\n"
    "      From now on only the KEK of the configuration opens the store.\n"
    "  kek status [--json]\n"
    "      Says how many keys are sealed under what.\n"
    "  ticket issue --as IDENTITY --to IDENTITY --out FILE [--flags LETTERS] [--validity TIME]\n"
    "               [--key TYPE[:LEN[:SALT]]] [--suite 128|256] [--ticket-type base|reference]\n"
    "      Makes a ticket to be installed on a device beforehand, by the same policy as for a\n"
    "      request. --to and --key may be repeated.\n"
    "  ticket list [--json]\n"
    "      Lists reference tickets, whose keys are in the store, without keys.\n"
    "  ticket revoke REFERENCE\n"
    "      Removes the keys of a reference ticket: from now on nobody can resolve it.\n"
    "\n"
    "  -c, --config FILE  configuration of the daemon\n"
    "  -h, --help         this text\n"
    "  -V, --version      version\n"
    "\n";

struct command {
    const char *noun, *verb;
    int args;             /* after the verb */
    const char *accepted; /* letters of the options that make sense */
    const char *wanted;   /* the argument, for messages */
    bool keys;            /* needs the KEK */
    enum kms_exit (*run)(const struct kms_ctl *ctl);
};

static const struct command commands[] = {
    { "user", "add", 1, "ipson", "IDENTITY", true, kms_ctl_user_add },
    { "user", "list", 0, "j", "", false, kms_ctl_user_list },
    { "user", "remove", 1, "i", "IDENTITY", false, kms_ctl_user_remove },
    { "tpk", "add", 1, "IPsO", "IDENTITY", true, kms_ctl_tpk_add },
    { "tpk", "rotate", 0, "", "", true, kms_ctl_tpk_rotate },
    { "tpk", "list", 0, "j", "", false, kms_ctl_tpk_list },
    { "tpk", "remove", 1, "", "ID", false, kms_ctl_tpk_remove },
    { "kek", "init", 0, "q", "", false, kms_ctl_kek_init },
    { "kek", "rotate", 0, "tqE", "", true, kms_ctl_kek_rotate },
    { "kek", "status", 0, "j", "", false, kms_ctl_kek_status },
    { "ticket", "issue", 0, "atfvksFT", "", true, kms_ctl_ticket_issue },
    { "ticket", "list", 0, "j", "", false, kms_ctl_ticket_list },
    { "ticket", "revoke", 1, "", "REFERENCE", false, kms_ctl_ticket_revoke },
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
        if (argc - 2 > c->args)
            misused("too many words after", c->verb);
        else
            fprintf(stderr, "mikey-kmsctl: the %s is missing after %s. Try mikey-kmsctl --help.\n",
                    c->wanted, c->verb);
        return NULL;
    }
    fprintf(stderr, "mikey-kmsctl: there is no command \"%s %s\". Try mikey-kmsctl --help.\n",
            argv[0], argv[1]);
    return NULL;
}

/* The vault of this process, with everything opened that the store has. */
static bool
open_vault(struct kms_ctl *ctl, const struct kms_config *config)
{
    struct kms_store_err store_err = { 0 };
    char err[KMS_KEK_ERR];
    struct kms_kek *kek = NULL;

    if (config->kek[0] != '\0') {
        kek = kms_kek_open(config->kek, false, err);
        if (kek == NULL) {
            fprintf(stderr, "mikey-kmsctl: %s\n", err);
            return false;
        }
    }
    ctl->vault = kms_vault_local(kek, 1);
    if (ctl->vault == NULL)
        kms_store_fail(&store_err, KMS_STORE_FAILED, "out of memory");
    if (ctl->vault == NULL ||
        kms_vault_refresh(ctl->vault, ctl->store, &store_err) != KMS_STORE_OK) {
        kms_ctl_fail(&store_err);
        return false;
    }
    return true;
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
        ctl->config = config;
        ctl->kms = config->identity;
        code = !command->keys || open_vault(ctl, config) ? command->run(ctl) : KMS_EXIT_STORE;
        kms_vault_close(ctl->vault);
        ctl->store->ops->close(ctl->store);
    }
    free(config);
    return code;
}

/* Takes one option into ctl; false when there are too many of it. */
static bool
take_option(struct kms_ctl *ctl, int o, char *value)
{
    if ((o == 't' && ctl->n_to == MKT_RESPONDERS_MAX) || (o == 'k' && ctl->n_keys == MKT_KEYS_MAX))
        return false;
    switch (o) {
    case 'i':
    case 'I':
        ctl->key_id = value;
        break;
    case 'p':
    case 'P':
        ctl->key_hex = value;
        break;
    case 'o':
    case 'O':
        ctl->key_out = value;
        break;
    case 's':
        ctl->suite = value;
        break;
    case 'j':
        ctl->json = true;
        break;
    case 'n':
        ctl->no_psk = true;
        break;
    case 'a':
        ctl->as = value;
        break;
    case 't':
        ctl->to[ctl->n_to++] = value;
        break;
    case 'f':
        ctl->flags = value;
        break;
    case 'v':
        ctl->validity = value;
        break;
    case 'k':
        ctl->keys[ctl->n_keys++] = value;
        break;
    case 'T':
        ctl->type = value;
        break;
    case 'F':
        ctl->out = value;
        break;
    case 'E':
        ctl->finish = true;
        break;
    case 'q':
        ctl->quiet = true;
        break;
    }
    return true;
}

int
main(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "psk-id", required_argument, NULL, 'i' },
        { "psk-hex", required_argument, NULL, 'p' },
        { "psk-out", required_argument, NULL, 'o' },
        { "tpk-id", required_argument, NULL, 'I' },
        { "tpk-hex", required_argument, NULL, 'P' },
        { "tpk-out", required_argument, NULL, 'O' },
        { "suite", required_argument, NULL, 's' },
        { "as", required_argument, NULL, 'a' },
        { "to", required_argument, NULL, 't' },
        { "flags", required_argument, NULL, 'f' },
        { "validity", required_argument, NULL, 'v' },
        { "key", required_argument, NULL, 'k' },
        { "out", required_argument, NULL, 'F' },
        { "finish", no_argument, NULL, 'E' },
        { "quiet", no_argument, NULL, 'q' },
        { "json", no_argument, NULL, 'j' },
        { "no-psk", no_argument, NULL, 'n' },
        { "ticket-type", required_argument, NULL, 'T' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    struct kms_ctl ctl = { 0 };
    const struct command *command;
    const char *path = NULL;
    char given[32] = "";
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
            return (int)misused("that option is not known", "");
        if (o == 'c') {
            path = optarg;
            continue;
        }
        if (strchr(given, o) != NULL && o != 't' && o != 'k')
            return (int)misused("an option is given twice", "");
        if (strchr(given, o) == NULL)
            given[strlen(given)] = (char)o;
        if (!take_option(&ctl, o, optarg))
            return (int)misused("too many", o == 't' ? "--to" : "--key");
    }
    command = find_command(argc - optind, argv + optind, &code);
    if (command == NULL)
        return (int)code;
    if (strspn(given, command->accepted) != strlen(given))
        return (int)misused("an option does not belong to the command", command->verb);
    if (path == NULL)
        return (int)misused("--config FILE is needed", "");
    ctl.identity = command->args > 0 ? argv[optind + 2] : NULL;
    kms_harden(false);
    return (int)run(path, command, &ctl);
}
