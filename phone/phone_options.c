/* SPDX-License-Identifier: Apache-2.0 */
/* Options are read with getopt_long from the table of the header. */
#include "phone_options.h"

#include "files.h"
#include "kms.h"
#include "srtp_suite.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GONE_MS 60000 /* --gone-after */

static const struct {
    const char *name, *arg, *text;
    enum cli_option client;
} options[PHONE_OPT_COUNT] = {
#define PHONE_OPTIONS_ROW(id, name, arg, client, text) { name, arg, text, client },
    PHONE_OPTIONS(PHONE_OPTIONS_ROW)
#undef PHONE_OPTIONS_ROW
};

#define COLUMNS 80
#define INDENT 31 /* of what an option means */

/* Text from column `indent` on, broken between words. */
static void
print_text(const char *text, size_t indent)
{
    size_t room = COLUMNS - indent;

    while (strlen(text) > room) {
        size_t n = room;
        while (n > 0 && text[n] != ' ')
            n--;
        if (n == 0)
            break;
        printf("%.*s\n%*s", (int)n, text, (int)indent, "");
        text += n + 1;
    }
    printf("%s\n", text);
}

void
phone_help(void)
{
    printf("usage: mikey-phone --credentials FILE --kms URL [OPTION...] [SIP-URI]\n\n");
    print_text(
        "Calls SIP-URI, or waits for calls. All media is SRTP with keys of MIKEY-TICKET (RFC "
        "6043): what cannot be keyed is not taken.",
        0);
    print_text("Keys while it runs, each with Enter: a answers, r refuses, h hangs up, o holds, k "
               "brings new keys, s says how the call stands, q quits.",
               0);
    printf("\n");
    for (size_t i = 0; i < PHONE_OPT_COUNT; i++) {
        char left[48];
        snprintf(left, sizeof left, "--%s%s%s", options[i].name, options[i].arg != NULL ? " " : "",
                 options[i].arg != NULL ? options[i].arg : "");
        printf("  %-28s ", left);
        print_text(options[i].text, INDENT);
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

/* *value stays when the option is not given. */
static bool
number(const struct phone_options *o, enum phone_option id, unsigned long min, unsigned long max,
       const char *expected, uint32_t *value, struct cli_error *err)
{
    const char *text = o->value[id];
    char *end;

    if (text == NULL)
        return true;
    unsigned long v = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v < min || v > max)
        return cli_fail(err, CLI_EXIT_USAGE, "--%s %.40s: expected %s", options[id].name, text,
                        expected);
    *value = (uint32_t)v;
    return true;
}

static bool
milliseconds(const struct phone_options *o, enum phone_option id, uint32_t *ms,
             struct cli_error *err)
{
    return number(o, id, 0, 86400000, "milliseconds, a day at most", ms, err);
}

static bool
first_index(struct phone_options *o, struct cli_error *err)
{
    const char *text = o->value[PHONE_OPT_FIRST_INDEX];
    char *end;

    o->first_index = UINT64_MAX;
    if (text == NULL)
        return true;
    o->first_index = strtoull(text, &end, 10);
    return (text[0] >= '0' && text[0] <= '9' && *end == '\0' && o->first_index >> 48 == 0) ||
           cli_fail(err, CLI_EXIT_USAGE, "--first-index %.40s: expected a number of 48 bits", text);
}

/* Whom the KMS knows, and SIP: one URI, with nothing around it. */
static bool
is_sip_uri(const char *text)
{
    if (strncmp(text, "sip:", 4) != 0 || strspn(text + 4, "@:;?") > 0 || text[4] == '\0')
        return false;
    while (*text > ' ' && *text <= '~' && strchr("<>\"", *text) == NULL)
        text++;
    return *text == '\0';
}

static bool
check_sip_uri(const char *text, struct cli_error *err)
{
    return text == NULL || is_sip_uri(text) ||
           cli_fail(err, CLI_EXIT_USAGE, "%.80s: expected a SIP-URI such as sip:bob@example.com",
                    text);
}

static bool
has_transport(const char *uri, const char *name)
{
    const char *param = strcasestr(uri, ";transport=");
    size_t n = strlen(name);
    return param != NULL && strncasecmp(param + 11, name, n) == 0 && strchr(";>", param[11 + n]);
}

/* TLS is all or nothing, and sips: is another word for it. */
static bool
check_proxy(struct phone_options *o, struct cli_error *err)
{
    const char *proxy = o->value[PHONE_OPT_PROXY], *ca = o->value[PHONE_OPT_TLS_CA];

    if (proxy != NULL && strncasecmp(proxy, "sips:", 5) == 0) {
        int n = snprintf(o->proxy, sizeof o->proxy, "sip:%s;transport=tls", proxy + 5);
        if (n >= (int)sizeof o->proxy || strstr(proxy, ";transport=") != NULL)
            return cli_fail(err, CLI_EXIT_USAGE, "--proxy %.80s: expected sips:HOST[:PORT]", proxy);
        proxy = o->value[PHONE_OPT_PROXY] = o->proxy;
    }
    if (proxy != NULL &&
        (!is_sip_uri(proxy) ||
         (strcasestr(proxy, ";transport=") != NULL && !has_transport(proxy, "udp") &&
          !has_transport(proxy, "tcp") && !has_transport(proxy, "tls"))))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--proxy %.80s: expected sip:HOST[:PORT][;transport=tcp], or tls or udp",
                        proxy);
    if (proxy != NULL && ca == NULL && has_transport(proxy, "tls"))
        return cli_fail(err, CLI_EXIT_USAGE, "--proxy over TLS needs --tls-ca");
    if (proxy != NULL && ca != NULL && (has_transport(proxy, "tcp") || has_transport(proxy, "udp")))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--proxy %.80s: with --tls-ca SIP goes over TLS, and nothing else", proxy);
    return true;
}

static bool
multicast(struct phone_options *o, struct cli_error *err)
{
    const char *text = o->value[PHONE_OPT_MULTICAST];

    return text == NULL || group_address_read(&o->multicast, text) ||
           cli_fail(err, CLI_EXIT_USAGE,
                    "--multicast %.40s: expected a group and a port, such as 239.1.2.3:4000", text);
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

/* What is handed on is understood, before anybody calls. */
static bool
check_client(const struct phone_options *o, struct cli_error *err)
{
    static const enum phone_option times[] = { PHONE_OPT_VALIDITY, PHONE_OPT_REKEY };
    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX];
    uint32_t seconds;
    size_t n;

    for (size_t i = 0; i < CLI_COUNT(times); i++) {
        const char *text = o->value[times[i]];
        if (text != NULL && !cli_clock_duration(text, &seconds))
            return cli_fail(err, CLI_EXIT_USAGE, "--%s %.40s: expected 90s, 15m, 1h or 7d",
                            options[times[i]].name, text);
    }
    return cli_kms_check(&o->args, err) &&
           cli_srtp_policies(o->args.value[CLI_OPT_SRTP], o->args.n[CLI_OPT_SRTP],
                             MKT_PRF_HMAC_SHA_256, true, sp, &n, err);
}

static bool
check_voicemail(const struct phone_options *o, struct cli_error *err)
{
    const char *mailbox = o->value[PHONE_OPT_VOICEMAIL];

    if (o->value[PHONE_OPT_FETCH_MESSAGES] != NULL &&
        (o->value[PHONE_OPT_VOICEMAIL] == NULL || o->callee != NULL))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--fetch-messages goes with --voicemail, and with no SIP-URI");
    if (o->value[PHONE_OPT_REMOVE_UNOPENED] != NULL && o->value[PHONE_OPT_FETCH_MESSAGES] == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--remove-unopened goes with --fetch-messages");
    if (o->value[PHONE_OPT_LEAVE_MESSAGE] != NULL && o->callee == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--leave-message: for whom? A SIP-URI is needed");
    if (o->value[PHONE_OPT_LEAVE_MESSAGE] != NULL && o->value[PHONE_OPT_GROUP] != NULL)
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--leave-message is for one who does not answer; for a group, seal the "
                        "file with mikey-ticket");
    if (mailbox != NULL && !is_sip_uri(mailbox))
        return cli_fail(err, CLI_EXIT_USAGE,
                        "--voicemail %.80s: expected a SIP-URI such as sip:192.0.2.9;transport=tcp",
                        mailbox);
    return true;
}

static bool
check(struct phone_options *o, struct cli_error *err)
{
    if (o->value[PHONE_OPT_CREDENTIALS] == NULL || o->value[PHONE_OPT_KMS] == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--credentials and --kms are needed");
    if (o->value[PHONE_OPT_MIC] != NULL && o->value[PHONE_OPT_PLAY] != NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "either --mic or --play is what is said");
    if (!check_voicemail(o, err))
        return false;
    o->hang_up_played =
        o->value[PHONE_OPT_HANG_UP] != NULL && strcmp(o->value[PHONE_OPT_HANG_UP], "played") == 0;
    if (o->hang_up_played && o->value[PHONE_OPT_PLAY] == NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--hang-up played: of what? --play is needed");
    o->answer_ms = o->hang_up_ms = o->leave_ms = UINT32_MAX;
    o->gone_ms = GONE_MS;
    o->repeat = 1;
    return check_client(o, err) && keying(o, err) && check_proxy(o, err) && multicast(o, err) &&
           first_index(o, err) && milliseconds(o, PHONE_OPT_ANSWER, &o->answer_ms, err) &&
           milliseconds(o, PHONE_OPT_GONE_AFTER, &o->gone_ms, err) &&
           milliseconds(o, PHONE_OPT_LEAVE_AFTER, &o->leave_ms, err) &&
           number(o, PHONE_OPT_REPEAT, 1, 1000000, "a number of calls, a million at most",
                  &o->repeat, err) &&
           (o->hang_up_played || milliseconds(o, PHONE_OPT_HANG_UP, &o->hang_up_ms, err));
}

/* --- the members of a group ------------------------------------------------------------------- */

/* Once, however often it is given: a second INVITE would find its phone busy with the first. */
static bool
is_member(const struct phone_options *o, const char *uri)
{
    for (size_t i = 0; i < o->n_members; i++)
        if (strcmp(o->members[i], uri) == 0)
            return true;
    return false;
}

static bool
add_member(struct phone_options *o, char *uri, struct cli_error *err)
{
    if (is_member(o, uri))
        return true;
    if (o->n_members == PHONE_MEMBERS_MAX)
        return cli_fail(err, CLI_EXIT_USAGE, "a group call has %d members at most",
                        PHONE_MEMBERS_MAX);
    if (!check_sip_uri(uri, err))
        return false;
    o->members[o->n_members++] = uri;
    return true;
}

static char *
trim(char *line)
{
    line += strspn(line, " \t");
    for (size_t n = strlen(line); n > 0 && strchr(" \t", line[n - 1]) != NULL; n--)
        line[n - 1] = '\0';
    return line;
}

static bool
read_members_file(struct phone_options *o, const char *path, struct cli_error *err)
{
    static char text[PHONE_MEMBERS_MAX * 256]; /* the options borrow from it */
    CLI_SCOPED_BLOB octets = { 0 };

    if (path == NULL)
        return true;
    if (!cli_file_read(&octets, path, sizeof text - 1, CLI_PUBLIC, err))
        return false;
    memcpy(text, octets.p, octets.n);
    text[octets.n] = '\0';
    for (char *line = strtok(text, "\r\n"); line != NULL; line = strtok(NULL, "\r\n")) {
        line = trim(line);
        if (*line != '\0' && *line != '#' && !add_member(o, line, err))
            return false;
    }
    return true;
}

static bool
read_members(struct phone_options *o, char **uris, struct cli_error *err)
{
    o->callee = o->value[PHONE_OPT_GROUP];
    if (!read_members_file(o, o->value[PHONE_OPT_MEMBERS], err))
        return false;
    for (; *uris != NULL; uris++)
        if (!add_member(o, *uris, err))
            return false;
    return o->n_members > 0 ||
           cli_fail(err, CLI_EXIT_USAGE, "--group: nobody to call; give SIP-URIs or --members");
}

/* Other than any character. Each option has a number of its own: those that had the same would be
 * one to getopt_long, and --p the first that begins so. */
#define FIRST_OPTION 1000

static bool
not_read(int c, const char *text, struct cli_error *err)
{
    const char *why = c == ':' ? "needs an argument" : "is no option, or short for several";

    if (c == '?' && optopt >= FIRST_OPTION)
        why = "takes no argument";
    return cli_fail(err, CLI_EXIT_USAGE, "%.*s %s. Try: mikey-phone --help",
                    (int)strcspn(text, "="), text, why);
}

bool
phone_options_read(struct phone_options *o, int argc, char **argv, struct cli_error *err)
{
    struct option list[PHONE_OPT_COUNT + 1];
    int c, i;

    *o = (struct phone_options){ 0 };
    for (i = 0; i < PHONE_OPT_COUNT; i++)
        list[i] = (struct option){ options[i].name,
                                   options[i].arg != NULL ? required_argument : no_argument, NULL,
                                   FIRST_OPTION + i };
    list[PHONE_OPT_COUNT] = (struct option){ 0 };
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":", list, NULL)) != -1)
        if (c < FIRST_OPTION)
            return not_read(c, argv[optind - 1], err);
        else if (!take(o, (size_t)(c - FIRST_OPTION), optarg, err))
            return false;
    if (o->value[PHONE_OPT_HELP] != NULL || o->value[PHONE_OPT_VERSION] != NULL)
        return true;
    o->callee = argv[optind];
    if (o->value[PHONE_OPT_GROUP] != NULL)
        return check(o, err) && read_members(o, argv + optind, err);
    if (o->value[PHONE_OPT_MEMBERS] != NULL || o->value[PHONE_OPT_MULTICAST] != NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "--%s is for a --group",
                        o->value[PHONE_OPT_MEMBERS] != NULL ? "members" : "multicast");
    if (o->callee != NULL && argv[optind + 1] != NULL)
        return cli_fail(err, CLI_EXIT_USAGE, "more than one SIP-URI");
    return check(o, err) && check_sip_uri(o->callee, err);
}
