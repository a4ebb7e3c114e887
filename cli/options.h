/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of commands, one of options, and the help made from them. */
#ifndef MKT_CLI_OPTIONS_H
#define MKT_CLI_OPTIONS_H

#include "cli.h"

/* X(id, name, argument or NULL, what it does) */
#define CLI_OPTIONS(X)                                                                             \
    X(CREDENTIALS, "credentials", "FILE", "who you are to the KMS, with your key (mode 0600)")     \
    X(TPK, "tpk", "FILE", "a ticket protection key that you share: secret")                        \
    X(KMS, "kms", "URL", "http://HOST[:PORT][/PREFIX], https://... or udp://HOST[:PORT]")          \
    X(TO, "to", "IDENTITY", "who may answer: sip:bob@example.com, or a group")                     \
    X(APP, "app", "NAME", "an application the ticket is for (default: any)")                       \
    X(FLAGS, "flags", "LETTERS", "Ticket Policy flags, DEFGHINO by default (RFC 6043 6.10)")       \
    X(NO_FORKING, "no-forking", NULL, "the same keys for every device that answers (no I flag)")   \
    X(NO_RESOLVE, "no-resolve", NULL, "the other party opens the ticket itself (no E, no I)")      \
    X(REUSE, "reuse", NULL, "the ticket may be used for several offers (J flag)")                  \
    X(VALIDITY, "validity", "TIME", "how long the ticket lives: 90s, 15m, 1h (default; seal: 7d)") \
    X(VALID_FROM, "valid-from", "TIME", "when it begins: in 15m, 1h, or 2030-01-31T08:00:00Z")     \
    X(REKEY, "rekey", "TIME", "how long session keys may be used (TRr): 15m, 1h")                  \
    X(SUITE, "suite", "128|256", "algorithms; default: those of the credential")                   \
    X(KEY, "key", "SPEC", "a key in the ticket: TYPE[:LEN[:SALT]][@SPI]")                          \
    X(NO_KEYS, "no-keys", NULL, "no session keys in the ticket; --supply brings them")             \
    X(TICKET_TYPE, "ticket-type", "TYPE", "base (default), reference, compat, compat-no-ids")      \
    X(TIMESTAMP, "timestamp", "TYPE", "ntp-utc (default), ntp, ntp-utc-32 or counter")             \
    X(TICKET, "ticket", "FILE", "the ticket, as written by request")                               \
    X(CACHE, "cache", "DIR", "tickets kept for reuse (mode 0700): secret")                         \
    X(REUSE_GROUP, "reuse-group", NULL, "reuse tickets that several may open, too")                \
    X(GROUP_OF, "group-of", "FILE", "an offer to another member: the same keys for all")           \
    X(SUPPLY, "supply", "SPEC", "a new session key of your own, likewise, drawn at random")        \
    X(SUPPLY_FILE, "supply-file", "FILE", "a session key of your own: secret")                     \
    X(SPI, "spi", "SPI", "the key of the next crypto session, and of all after it")                \
    X(SRTP, "srtp", "SUITE", "SRTP suite, in order of preference (see below)")                     \
    X(SSRC, "ssrc", "N", "SSRC of your next sending direction (default: random)")                  \
    X(SESSIONS, "sessions", "N", "crypto sessions offered (default 2, one for each direction)")    \
    X(ADD_SESSIONS, "add-sessions", "N", "crypto sessions that are added")                         \
    X(NO_ANSWER, "no-answer", NULL, "the update is in effect at once (V = 0)")                     \
    X(STATE, "state", "FILE", "what complete needs of the offer: secret")                          \
    X(SDP, "sdp", NULL, "write an SDP line a=key-mgmt:mikey ... (RFC 4567)")                       \
    X(SDP_IDS, "sdp-ids", "LIST", "all protocols that your SDP offers, such as mikey;other")       \
    X(OFFER, "offer", "FILE", "the offer: base64, SDP, hex or octets; - for standard input")       \
    X(ANSWER, "answer", "FILE", "the answer, likewise")                                            \
    X(UPDATE, "update", "FILE", "the update of the other party, likewise")                         \
    X(SESSION, "session", "FILE", "keys and parameters of the crypto sessions: secret")            \
    X(OUT, "out", "FILE", "where the result goes")                                                 \
    X(NAME, "name", "TEXT", "file name told to who opens it (default: that of FILE; '' for none)") \
    X(GST, "gst", NULL, "with --show-keys: each session as GStreamer's srtpenc and srtpdec")       \
    X(SHOW_KEYS, "show-keys", NULL, "print master keys and salts")                                 \
    X(TIMEOUT, "timeout", "SECONDS", "when to give up on the KMS (default 10)")                    \
    X(CACERT, "cacert", "FILE", "certificates to verify an https KMS with (PEM)")                  \
    X(TLS_CERT, "tls-cert", "FILE", "your certificate for an https KMS that asks for one (PEM)")   \
    X(TLS_KEY, "tls-key", "FILE", "its private key (PEM)")                                         \
    X(JSON, "json", NULL, "print the result as JSON")                                              \
    X(QUIET, "quiet", NULL, "no words of progress on standard error")                              \
    X(HELP, "help", NULL, "this text")

enum cli_option {
#define CLI_OPTIONS_ENUM(id, name, arg, text) CLI_OPT_##id,
    CLI_OPTIONS(CLI_OPTIONS_ENUM)
#undef CLI_OPTIONS_ENUM
        CLI_OPT_COUNT
};

#define CLI_REPEAT_MAX 16 /* times an option may be given */

struct cli_args {
    const char *value[CLI_OPT_COUNT][CLI_REPEAT_MAX]; /* "" for an option without argument */
    size_t n[CLI_OPT_COUNT];
    const char *operand; /* NULL: none */
};

/* A command runs with its arguments; results go to standard output. */
typedef bool cli_run(const struct cli_args *args, struct cli_error *err);

struct cli_command {
    const char *name, *summary;
    const char *operand;                   /* for the synopsis; NULL: takes none */
    uint64_t required, optional, repeated; /* bits of enum cli_option; repeated ones are in both */
    const char *details, *examples;
    cli_run *run;
};

extern const struct cli_command cli_commands[];
extern const size_t cli_commands_count;

/* cli_command_find returns the command of that name, or NULL. */
const struct cli_command *cli_command_find(const char *name);

/* cli_args_parse reads argv[1..] of a command (argv[0] is its name). CLI_EXIT_USAGE when it is
 * wrong; nothing is checked after --help. */
MKT_MUST_USE bool cli_args_parse(struct cli_args *args, const struct cli_command *command, int argc,
                                 char **argv, struct cli_error *err);

static inline bool
cli_args_has(const struct cli_args *args, enum cli_option id)
{
    return args->n[id] > 0;
}

/* cli_args_get returns the (first) value of an option, or NULL. */
static inline const char *
cli_args_get(const struct cli_args *args, enum cli_option id)
{
    return args->n[id] > 0 ? args->value[id][0] : NULL;
}

/* cli_args_uint reads the value at `index` of an option as a number (decimal, or hex with 0x). */
MKT_MUST_USE bool cli_args_uint(const struct cli_args *args, enum cli_option id, size_t index,
                                uint64_t min, uint64_t max, uint64_t *out, struct cli_error *err);

/* cli_help and cli_help_command print to standard output. */
void cli_help(void);
void cli_help_command(const struct cli_command *command);

cli_run cli_cmd_decode, cli_cmd_explain, cli_cmd_request, cli_cmd_offer, cli_cmd_answer,
    cli_cmd_complete, cli_cmd_keys, cli_cmd_ticket, cli_cmd_update, cli_cmd_answer_update,
    cli_cmd_complete_update, cli_cmd_compat, cli_cmd_seal, cli_cmd_open;

#endif
