/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-kmsctl: the command line of the admin API. It asks the running daemon; where none runs it
 * does the same on the store itself. Keys go in and never come out again: a generated one is shown
 * once, or written to a file. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mikeyticket/env.h>

#include "ctl_call.h"
#include "program.h"
#include "store.h"

/* In pieces: a string literal has 4095 octets at most. */
static const char *const usage[] = {
    "Usage: mikey-kmsctl --config FILE COMMAND\n"
    "Administers mikey-kmsd: the one that runs, or its store while none does. What changes\n"
    "something takes --json, too.\n"
    "\n"
    "Commands:\n"
    "  user add IDENTITY [--psk-id ID] [--psk-hex HEX|-] [--suite 128|256] [--psk-out FILE]\n"
    "           [--realm NAME] [--expires TIME]\n"
    "      Adds a credential. An identity may have several, one for each device. Without\n"
    "      --psk-hex a key is generated for the suite (default 256) and shown once; with\n"
    "      --psk-out it goes to a new file of mode 0600 instead. --psk-hex - reads the key\n"
    "      from standard input, where other users of this machine cannot see it.\n"
    "  user add IDENTITY --no-psk\n"
    "      Adds a user without pre-shared key: one who has a certificate and signs requests.\n"
    "      Requests with any pre-shared key are refused as those of an unknown user.\n"
    "  user list [--json]\n"
    "      Lists credentials, without keys, and users without.\n"
    "  user show IDENTITY [--json]\n"
    "      Says how a user is, and what it has: credentials, aliases, shared keys, groups.\n"
    "  user remove IDENTITY [--psk-id ID]\n"
    "      Removes one credential, or the user with the ticket protection keys shared with it\n"
    "      and the reference tickets issued to it.\n"
    "  user suspend IDENTITY\n"
    "  user resume IDENTITY\n"
    "      A suspended user is refused like a stranger, with all devices, until resumed.\n"
    "  user expire IDENTITY TIME\n"
    "      Refuses the user from that time on: 2026-01-31, 2026-01-31T18:00:00Z or never.\n"
    "  user alias-add IDENTITY ALIAS\n"
    "  user alias-remove ALIAS\n"
    "      Gives a user one more identity, or takes it away.\n",
    "  group add GROUP [--realm NAME]\n"
    "  group remove GROUP\n"
    "      Adds a group, whose name is of the form of an identity, or removes it.\n"
    "  group list [--json]\n"
    "  group show GROUP [--json]\n"
    "      Lists groups, or the members of one.\n"
    "  group member-add GROUP MEMBER\n"
    "  group member-remove GROUP MEMBER\n"
    "      A member is a user, another group, or everybody of a domain: sip:*@team.example.com.\n"
    "  realm add NAME\n"
    "  realm list [--json]\n"
    "  realm remove NAME\n"
    "      A tenant: users and groups of its own, and ticket protection keys of its own.\n"
    "  import FILE [--dry-run] [--json]\n"
    "      Adds users, aliases, devices and groups from a file of CSV, or of LDIF (FILE.ldif).\n"
    "      What is there stays: a second run changes nothing. --dry-run says what would be.\n",
    "  tpk add IDENTITY [--tpk-id ID] [--tpk-hex HEX|-] [--suite 128|256] [--tpk-out FILE]\n"
    "      Adds a ticket protection key that this user shares with the KMS: the user opens\n"
    "      tickets without asking (mode 2 of RFC 6043 4.1.1), or makes them (mode 3).\n"
    "  tpk rotate [--realm NAME]\n"
    "      Makes a new ticket protection key. Tickets made with the former ones can still be\n"
    "      resolved.\n"
    "  tpk list [--json]\n"
    "      Lists ticket protection keys and who shares them, without keys.\n"
    "  tpk remove ID\n"
    "      Removes a shared key, or a former one of the KMS. Its tickets are lost.\n"
    "  kek init [--quiet] [--json]\n"
    "      Wraps the keys in the store with the key-encryption key (kek) that the configuration\n"
    "      names; a file that is not there is made.\n"
    "  kek rotate [--to KEK] [--quiet] [--json]\n"
    "      Seals all keys under a new store key, while the daemon works. With --to the new KEK\n"
    "      opens it as well as the old one.\n"
    "  kek rotate --finish [--quiet] [--json]\n"
    "      From now on only the KEK of the configuration opens the store.\n"
    "  kek status [--json]\n"
    "      Says how many keys are sealed under what.\n"
    "  ticket issue --as IDENTITY --to IDENTITY --out FILE [--flags LETTERS] [--validity TIME]\n"
    "               [--key TYPE[:LEN[:SALT]]] [--suite 128|256] [--ticket-type base|reference]\n"
    "               [--json]\n"
    "      Makes a ticket to be installed on a device beforehand, by the same policy as for a\n"
    "      request. --to and --key may be repeated.\n"
    "  ticket list [--limit N] [--json]\n"
    "  ticket search [--who IDENTITY] [--ticket TICKET] [--since TIME] [--until TIME] [--json]\n"
    "      Lists tickets that the daemon has issued, the last 50 or all that fit.\n"
    "  ticket kept [--json]\n"
    "      Lists reference tickets, whose keys are in the store, without keys.\n"
    "  ticket revoke TICKET [--undo] [--force]\n"
    "  ticket revoke --user IDENTITY [--undo] [--force]\n"
    "  ticket revoke --group GROUP [--undo] [--force]\n"
    "      No longer resolves a ticket, or all that were issued before now to a user, or for a\n"
    "      group. TICKET is a name (ticket list), or a reference (ticket kept), whose keys are\n"
    "      removed. --force: neither the audit here nor the store knows that name.\n"
    "  audit list [--realm NAME] [--limit N] [--follow] [--json]\n"
    "  audit search [--who IDENTITY] [--realm NAME] [--ticket TICKET] [--outcome WORD]\n"
    "               [--event WORD] [--since TIME] [--until TIME] [--limit N] [--follow] [--json]\n"
    "      Lists records of the audit, the last 50 or all that fit; with --realm those about its\n"
    "      users and its tickets. A TIME is\n"
    "      2026-01-02T03:04:05Z, its beginning, or 90m for 90 minutes ago.\n"
    "  audit verify [--dir FOLDER] [--partial] [--json]\n"
    "      Finds whatever was changed in the audit, or is missing from it, and names the record.\n"
    "      --dir adds a folder of a former audit. --partial: older segments are elsewhere.\n",
    "  policy test --as IDENTITY --to IDENTITY [--mode 1|2|3] [--flags LETTERS] [--type TYPE]\n"
    "              [--suite 128|256] [--key TYPE[:LEN[:SALT]]] [--validity TIME] [--app ID]\n"
    "              [--resolve] [--by IDENTITY] [--json]\n"
    "      Says what the policy would decide, rule by rule, without making a ticket: of a request\n"
    "      by --as, or with --resolve (and in mode 3) of the use of such a ticket by --by, who is\n"
    "      the first --to if it is not given. TYPE is base, reference or compat. Exit code 6:\n"
    "      it would be refused.\n"
    "  policy check FILE\n"
    "      Says whether the daemon would take this policy, with the files of its realms.\n"
    "  policy show [--realm NAME]\n"
    "      Prints the policy that the configuration names, profiles expanded; with --realm the\n"
    "      rules that decide for the users of that realm.\n",
    "  backup --out FILE [--secret FILE] [--json]\n"
    "      Writes the store as it is now, sealed, to a new file. The daemon may run. The secret\n"
    "      is the first line of a file, or is asked for.\n"
    "  restore FILE [--secret FILE] [--json]\n"
    "      Makes a new store of a backup. The daemon must not run.\n"
    "  verify FILE [--secret FILE] [--json]\n"
    "      Checks a backup without restoring it.\n"
    "  reload [--json]\n"
    "      Makes the running daemon read its configuration again. Tells what has changed, and\n"
    "      what needs a restart. A file with a mistake changes nothing.\n"
    "  status [--json]\n"
    "      Tells how the running daemon is.\n"
    "  peers list [--json]\n"
    "      How the other KMSs do that the running daemon asks, and that ask it.\n"
    "  limits list [--json]\n"
    "      Lists sources and identities that were refused for their rate, or locked out, within\n"
    "      the last hour.\n"
    "  limits lift KIND NAME [--json]\n"
    "      Lifts limit and lock-out of a source (an address) or an identity; KIND is which.\n"
    "  tpk export ID [--json]\n"
    "  export list [--json]\n"
    "  export approve NUMBER [--json]\n"
    "  export withdraw NUMBER [--json]\n"
    "  export take NUMBER --out FILE [--secret FILE] [--json]\n"
    "      A ticket protection key leaves the KMS by two security officers: one asks, another one\n"
    "      approves, and who asked takes it, once, sealed under a passphrase.\n"
    "  export open FILE --out FILE [--secret FILE] [--json]\n"
    "      Opens what was taken, into a file as tpk add writes it.\n"
    "  token new NAME --role read|operate|security-officer [--json]\n"
    "      Makes a token for the admin API over TLS: shows it once, and what to put into the\n"
    "      configuration for it.\n"
    "\n"
    "  -c, --config FILE  configuration of the daemon\n"
    "  --json             what is listed, or was done, as JSON: with every command\n"
    "  -h, --help         this text\n"
    "  -V, --version      version\n"
    "\n",
};

struct command {
    const char *noun, *verb; /* verb "": the noun says it all */
    int args;                /* after the verb */
    const char *accepted;    /* letters of the options that make sense */
    const char *wanted;      /* the argument, for messages */
    enum kms_exit (*run)(const struct kms_ctl *ctl);
    enum { NOTHING, STORE, KEYS } needs; /* what is opened beforehand; KEYS: store and KEK */
};

static const struct command commands[] = {
    { "user", "add", 1, "ipsonrxj", "IDENTITY", kms_ctl_user_add, NOTHING },
    { "user", "list", 0, "j", "", kms_ctl_user_list, NOTHING },
    { "user", "show", 1, "j", "IDENTITY", kms_ctl_user_show, NOTHING },
    { "user", "remove", 1, "ij", "IDENTITY", kms_ctl_user_remove, NOTHING },
    { "user", "suspend", 1, "j", "IDENTITY", kms_ctl_user_suspend, NOTHING },
    { "user", "resume", 1, "j", "IDENTITY", kms_ctl_user_resume, NOTHING },
    { "user", "expire", 2, "j", "IDENTITY or TIME", kms_ctl_user_expire, NOTHING },
    { "user", "alias-add", 2, "j", "IDENTITY or ALIAS", kms_ctl_alias_add, NOTHING },
    { "user", "alias-remove", 1, "j", "ALIAS", kms_ctl_alias_remove, NOTHING },
    { "group", "add", 1, "rj", "GROUP", kms_ctl_group_add, NOTHING },
    { "group", "list", 0, "j", "", kms_ctl_group_list, NOTHING },
    { "group", "remove", 1, "j", "GROUP", kms_ctl_group_remove, NOTHING },
    { "group", "show", 1, "j", "GROUP", kms_ctl_group_show, NOTHING },
    { "group", "member-add", 2, "j", "GROUP or MEMBER", kms_ctl_member_add, NOTHING },
    { "group", "member-remove", 2, "j", "GROUP or MEMBER", kms_ctl_member_remove, NOTHING },
    { "realm", "add", 1, "j", "NAME", kms_ctl_realm_add, NOTHING },
    { "realm", "list", 0, "j", "", kms_ctl_realm_list, NOTHING },
    { "realm", "remove", 1, "j", "NAME", kms_ctl_realm_remove, NOTHING },
    { "import", "", 1, "dj", "FILE", kms_ctl_import, NOTHING },
    { "tpk", "add", 1, "IPsOj", "IDENTITY", kms_ctl_tpk_add, NOTHING },
    { "tpk", "rotate", 0, "rj", "", kms_ctl_tpk_rotate, NOTHING },
    { "tpk", "list", 0, "j", "", kms_ctl_tpk_list, NOTHING },
    { "tpk", "remove", 1, "j", "ID", kms_ctl_tpk_remove, NOTHING },
    { "kek", "init", 0, "Qj", "", kms_ctl_kek_init, STORE },
    { "kek", "rotate", 0, "tQEj", "", kms_ctl_kek_rotate, KEYS },
    { "kek", "status", 0, "j", "", kms_ctl_kek_status, STORE },
    { "ticket", "issue", 0, "atfvksFTj", "", kms_ctl_ticket_issue, NOTHING },
    { "ticket", "list", 0, "jl", "", kms_ctl_ticket_list, NOTHING },
    { "ticket", "search", 0, "jlwNBU", "", kms_ctl_ticket_search, NOTHING },
    { "ticket", "kept", 0, "j", "", kms_ctl_ticket_kept, NOTHING },
    { "ticket", "revoke", 1, "ZXj", "TICKET", kms_ctl_ticket_revoke, NOTHING },
    { "ticket", "revoke", 0, "ZWGXj", "", kms_ctl_ticket_revoke, NOTHING },
    { "audit", "verify", 0, "jDq", "", kms_ctl_audit_verify, STORE },
    { "audit", "list", 0, "jlyr", "", kms_ctl_audit_list, NOTHING },
    { "audit", "search", 0, "jlywNueBUr", "", kms_ctl_audit_search, NOTHING },
    { "policy", "test", 0, "atfvksjmTAbR", "", kms_ctl_policy_test, NOTHING },
    { "policy", "check", 1, "j", "FILE", kms_ctl_policy_check, NOTHING },
    { "policy", "show", 0, "jr", "", kms_ctl_policy_show, NOTHING },
    { "reload", "", 0, "j", "", kms_ctl_reload, NOTHING },
    { "status", "", 0, "j", "", kms_ctl_status, NOTHING },
    { "backup", "", 0, "FSj", "", kms_ctl_backup, NOTHING },
    { "restore", "", 1, "Sj", "FILE", kms_ctl_restore, NOTHING },
    { "verify", "", 1, "Sj", "FILE", kms_ctl_verify, NOTHING },
    { "peers", "list", 0, "j", "", kms_ctl_peers_list, NOTHING },
    { "limits", "list", 0, "j", "", kms_ctl_limits_list, NOTHING },
    { "tpk", "export", 1, "j", "ID", kms_ctl_tpk_export, NOTHING },
    { "export", "list", 0, "j", "", kms_ctl_export_list, NOTHING },
    { "export", "approve", 1, "j", "NUMBER", kms_ctl_export_approve, NOTHING },
    { "export", "withdraw", 1, "j", "NUMBER", kms_ctl_export_withdraw, NOTHING },
    { "export", "take", 1, "FSj", "NUMBER", kms_ctl_export_take, NOTHING },
    { "export", "open", 1, "FSj", "FILE", kms_ctl_export_open, NOTHING },
    { "token", "new", 1, "gj", "NAME", kms_ctl_token_new, NOTHING },
    { "limits", "lift", 2, "j", "kind or the name", kms_ctl_limits_lift, NOTHING },
};

static enum kms_exit
misused(const char *what, const char *which)
{
    fprintf(stderr, "mikey-kmsctl: %s%s%s. Try mikey-kmsctl --help.\n", what,
            which[0] == '\0' ? "" : " ", which);
    return KMS_EXIT_USAGE;
}

/* How many words name the command: 2, 1, or 0 when these are not its words. */
static int
words_of(const struct command *c, int argc, char **argv)
{
    if (argc < 1 || strcmp(argv[0], c->noun) != 0)
        return 0;
    if (c->verb[0] == '\0')
        return 1;
    return argc > 1 && strcmp(argv[1], c->verb) == 0 ? 2 : 0;
}

static const char *
last_word(const struct command *c)
{
    return c->verb[0] != '\0' ? c->verb : c->noun;
}

static bool
is_noun(const char *word)
{
    size_t i = 0;

    while (i < sizeof commands / sizeof commands[0] && strcmp(commands[i].noun, word) != 0)
        i++;
    return i < sizeof commands / sizeof commands[0];
}

static const struct command *
find_command(int argc, char **argv, enum kms_exit *code)
{
    const struct command *named = NULL;
    int named_words = 0;

    *code = KMS_EXIT_USAGE;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *c = &commands[i];
        int words = words_of(c, argc, argv);

        if (words == 0)
            continue;
        if (argc - words == c->args)
            return c;
        named_words = words;
        if (named == NULL || c->args > named->args)
            named = c; /* in another form, perhaps */
    }
    if (named != NULL && argc - named_words > named->args)
        misused("too many words after", last_word(named));
    else if (named != NULL)
        fprintf(stderr, "mikey-kmsctl: the %s is missing after %s. Try mikey-kmsctl --help.\n",
                named->wanted, last_word(named));
    else if (argc == 0)
        misused("a command is needed", "");
    else if (argc == 1 && is_noun(argv[0]))
        misused("what is to be done with", argv[0]);
    else
        fprintf(stderr, "mikey-kmsctl: there is no command \"%s%s%s\". Try mikey-kmsctl --help.\n",
                argv[0], is_noun(argv[0]) ? " " : "", is_noun(argv[0]) ? argv[1] : "");
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
    } else if (command->needs != NOTHING &&
               kms_store_open_sqlite(&ctl->store, config->store, 0, &store_err) != KMS_STORE_OK) {
        fprintf(stderr, "mikey-kmsctl: %s\n", store_err.text);
        code = KMS_EXIT_STORE;
    } else {
        ctl->config = config;
        ctl->kms = config->identity;
        code =
            command->needs != KEYS || kms_ctl_open_vault(ctl) ? command->run(ctl) : KMS_EXIT_STORE;
        kms_vault_close(ctl->vault);
        kms_ctl_call_end();
        if (ctl->store != NULL)
            ctl->store->ops->close(ctl->store);
    }
    free(config);
    return code;
}

/* Options that may be repeated. */
static const char repeated[] = "tkAD";

/* Takes one option into ctl; false when there are too many of it, or it is no number. */
static bool
take_option(struct kms_ctl *ctl, int o, char *value)
{
    if ((o == 't' && ctl->n_to == MKT_RESPONDERS_MAX) ||
        (o == 'k' && ctl->n_keys == MKT_KEYS_MAX) || (o == 'A' && ctl->n_apps == MKT_APPS_MAX) ||
        (o == 'D' && ctl->n_dirs == KMS_CTL_DIRS_MAX))
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
    case 'd':
        ctl->dry_run = true;
        break;
    case 'r':
        ctl->realm = value;
        break;
    case 'x':
        ctl->expires = value;
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
    case 'S':
        ctl->secret = value;
        break;
    case 'F':
        ctl->out = value;
        break;
    case 'E':
        ctl->finish = true;
        break;
    case 'Q':
        ctl->quiet = true;
        break;
    case 'm':
        ctl->mode = value;
        break;
    case 'A':
        ctl->apps[ctl->n_apps++] = value;
        break;
    case 'b':
        ctl->by = value;
        break;
    case 'R':
        ctl->resolve = true;
        break;
    case 'D':
        ctl->dirs[ctl->n_dirs++] = value;
        break;
    case 'q':
        ctl->partial = true;
        break;
    case 'w':
        ctl->who = value;
        break;
    case 'N':
        ctl->ticket = value;
        break;
    case 'u':
        ctl->outcome = value;
        break;
    case 'e':
        ctl->event = value;
        break;
    case 'B':
        ctl->since = value;
        break;
    case 'U':
        ctl->until = value;
        break;
    case 'l':
        ctl->limit = strspn(value, "0123456789") == strlen(value) ? strtoul(value, NULL, 10) : 0;
        return ctl->limit > 0 && ctl->limit <= 1000000;
    case 'y':
        ctl->follow = true;
        break;
    case 'W':
        ctl->user = value;
        break;
    case 'G':
        ctl->group = value;
        break;
    case 'Z':
        ctl->undo = true;
        break;
    case 'X':
        ctl->force = true;
        break;
    case 'g':
        ctl->role = value;
        break;
    }
    return true;
}

static enum kms_exit
misused_option(const struct option *options, int o, const char *what, const char *which)
{
    while (options->name != NULL && options->val != o)
        options++;
    fprintf(stderr, "mikey-kmsctl: --%s%s%s. Try mikey-kmsctl --help.\n", options->name, what,
            which);
    return KMS_EXIT_USAGE;
}

/* What was printed must have arrived: a list on a full disk is no list. */
static int
finish(enum kms_exit code)
{
    if (code != KMS_EXIT_OK || (fflush(stdout) == 0 && ferror(stdout) == 0))
        return (int)code;
    fprintf(stderr, "mikey-kmsctl: the output could not be written: %s\n", strerror(errno));
    return KMS_EXIT_FAILED;
}

static int
help(void)
{
    for (size_t i = 0; i < sizeof usage / sizeof usage[0]; i++)
        fputs(usage[i], stdout);
    puts(KMS_EXIT_HELP ", 6 the policy would refuse.");
    return finish(KMS_EXIT_OK);
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
        { "quiet", no_argument, NULL, 'Q' },
        { "realm", required_argument, NULL, 'r' },
        { "expires", required_argument, NULL, 'x' },
        { "dry-run", no_argument, NULL, 'd' },
        { "json", no_argument, NULL, 'j' },
        { "no-psk", no_argument, NULL, 'n' },
        { "ticket-type", required_argument, NULL, 'T' },
        { "type", required_argument, NULL, 'T' },
        { "mode", required_argument, NULL, 'm' },
        { "app", required_argument, NULL, 'A' },
        { "by", required_argument, NULL, 'b' },
        { "resolve", no_argument, NULL, 'R' },
        { "secret", required_argument, NULL, 'S' },
        { "dir", required_argument, NULL, 'D' },
        { "partial", no_argument, NULL, 'q' },
        { "who", required_argument, NULL, 'w' },
        { "ticket", required_argument, NULL, 'N' },
        { "outcome", required_argument, NULL, 'u' },
        { "event", required_argument, NULL, 'e' },
        { "since", required_argument, NULL, 'B' },
        { "until", required_argument, NULL, 'U' },
        { "limit", required_argument, NULL, 'l' },
        { "follow", no_argument, NULL, 'y' },
        { "user", required_argument, NULL, 'W' },
        { "group", required_argument, NULL, 'G' },
        { "undo", no_argument, NULL, 'Z' },
        { "force", no_argument, NULL, 'X' },
        { "role", required_argument, NULL, 'g' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },
        { NULL, 0, NULL, 0 },
    };
    struct kms_ctl ctl = { 0 };
    const struct command *command;
    const char *path = NULL;
    char given[64] = "", *alien;
    enum kms_exit code;
    int o;

    kms_outputs();
    while ((o = getopt_long(argc, argv, "c:hV", options, NULL)) != -1) {
        if (o == 'h')
            return help();
        if (o == 'V') {
            printf("mikey-kmsctl %s\n", mkt_version());
            return finish(KMS_EXIT_OK);
        }
        if (o == '?') { /* getopt has said what is wrong */
            fputs("Try mikey-kmsctl --help.\n", stderr);
            return KMS_EXIT_USAGE;
        }
        if (o == 'c') {
            path = optarg;
            continue;
        }
        if (strchr(given, o) != NULL && strchr(repeated, o) == NULL)
            return (int)misused_option(options, o, " is given twice", "");
        if (strchr(given, o) == NULL)
            given[strlen(given)] = (char)o;
        if (!take_option(&ctl, o, optarg))
            return (int)misused_option(options, o, ": too many, or not a number from 1 on", "");
    }
    command = find_command(argc - optind, argv + optind, &code);
    if (command == NULL)
        return (int)code;
    alien = given + strspn(given, command->accepted);
    if (*alien != '\0')
        return (int)misused_option(options, *alien, " does not belong to the command ",
                                   last_word(command));
    if (path == NULL)
        return (int)misused("--config FILE is needed", "");
    ctl.identity = command->args > 0 ? argv[argc - command->args] : NULL;
    ctl.second = command->args > 1 ? argv[argc - 1] : NULL;
    kms_harden(false);
    return finish(run(path, command, &ctl));
}
