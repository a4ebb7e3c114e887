/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of mikey-phone: one table, and the help made from it. What concerns the KMS is
 * handed on to the parts of the client in their own form. */
#ifndef MKT_PHONE_PHONE_OPTIONS_H
#define MKT_PHONE_PHONE_OPTIONS_H

#include "group_multicast.h"
#include "options.h"

/* X(id, name, argument or NULL, option of the client it is handed on as or CLI_OPT_COUNT, text) */
#define PHONE_OPTIONS(X)                                                                           \
    X(CREDENTIALS, "credentials", "FILE", CLI_OPT_CREDENTIALS,                                     \
      "who you are to the KMS, with your key (mode 0600)")                                         \
    X(KMS, "kms", "URL", CLI_OPT_KMS,                                                              \
      "http://HOST[:PORT][/PREFIX], https://... or udp://HOST[:PORT]")                             \
    X(GROUP, "group", "IDENTITY", CLI_OPT_COUNT,                                                   \
      "call a group: each SIP-URI, and those of --members; t talks, i calls who is missing")       \
    X(MEMBERS, "members", "FILE", CLI_OPT_COUNT, "SIP-URIs of the members of --group, one a line") \
    X(MULTICAST, "multicast", "ADDR:PORT[/TTL]", CLI_OPT_COUNT,                                    \
      "media to a group goes there (default: through this phone)")                                 \
    X(FIRST_INDEX, "first-index", "NUMBER", CLI_OPT_COUNT,                                         \
      "ROC * 65536 + SEQ of our first packet to a group (default: one of the first 32768)")        \
    X(LISTEN, "listen", "ADDR[:PORT]", CLI_OPT_COUNT,                                              \
      "where SIP arrives; port 0: any (default: port 5060, with --tls-ca 5061)")                   \
    X(PROXY, "proxy", "URI", CLI_OPT_COUNT,                                                        \
      "where requests go first, such as sip:192.0.2.1;transport=tcp or sips:example.com")          \
    X(TLS_CA, "tls-ca", "FILE", CLI_OPT_COUNT,                                                     \
      "SIP goes over TLS only, with certificates that these verify (PEM)")                         \
    X(REGISTER, "register", NULL, CLI_OPT_COUNT,                                                   \
      "tell the registrar of your domain where you are")                                           \
    X(SIP_USER, "sip-user", "NAME", CLI_OPT_COUNT,                                                 \
      "name for SIP digest (default: that of your URI)")                                           \
    X(SIP_PASSWORD, "sip-password-file", "FILE", CLI_OPT_COUNT,                                    \
      "password for SIP digest, first line (mode 0600)")                                           \
    X(PLAY, "play", "FILE", CLI_OPT_COUNT, "WAV file that is said, 8 kHz, G.711 or 16 bit")        \
    X(MIC, "mic", "DEVICE", CLI_OPT_COUNT,                                                         \
      "microphone of ALSA, such as default; in the place of --play")                               \
    X(SPEAKER, "speaker", "DEVICE", CLI_OPT_COUNT, "loudspeaker of ALSA, such as default")         \
    X(EARLY, "early", "FILE", CLI_OPT_COUNT,                                                       \
      "WAV file that is said to the caller while it rings (early media)")                          \
    X(RECORD, "record", "FILE", CLI_OPT_COUNT, "WAV file that is written: what is heard")          \
    X(CODEC, "codec", "LIST", CLI_OPT_COUNT, "codecs, the best first (default PCMU,PCMA,opus)")    \
    X(ANSWER, "answer", "TIME", CLI_OPT_COUNT,                                                     \
      "answer by itself after so many milliseconds (default: key a)")                              \
    X(HANG_UP, "hang-up", "TIME", CLI_OPT_COUNT,                                                   \
      "hang up so many milliseconds after the answer, or \"played\"")                              \
    X(GONE_AFTER, "gone-after", "TIME", CLI_OPT_COUNT,                                             \
      "end a call without a sign of the other end for so many milliseconds")                       \
    X(VOICEMAIL, "voicemail", "URI", CLI_OPT_COUNT,                                                \
      "a mailbox, such as sip:192.0.2.9;transport=tcp")                                            \
    X(LEAVE_MESSAGE, "leave-message", "FILE", CLI_OPT_COUNT,                                       \
      "WAV file that is left, sealed for the callee, when nobody answers")                         \
    X(LEAVE_AFTER, "leave-after", "TIME", CLI_OPT_COUNT,                                           \
      "nobody answers after so many milliseconds (default 30000)")                                 \
    X(FETCH_MESSAGES, "fetch-messages", "DIR", CLI_OPT_COUNT,                                      \
      "open the messages of your mailbox into DIR, and end")                                       \
    X(REMOVE_UNOPENED, "remove-unopened", NULL, CLI_OPT_COUNT,                                     \
      "with --fetch-messages: remove those that cannot be opened, too")                            \
    X(ONCE, "once", NULL, CLI_OPT_COUNT, "end after the first call")                               \
    X(REPEAT, "repeat", "N", CLI_OPT_COUNT,                                                        \
      "call N times, one after the other; the first that fails is the last")                       \
    X(KEYING, "keying", "HOW", CLI_OPT_COUNT,                                                      \
      "required: MIKEY-TICKET or no call (default); preferred: or SDES; sdes")                     \
    X(SRTP, "srtp", "SUITE", CLI_OPT_SRTP, "SRTP suite, in order of preference (mikey-ticket(1))") \
    X(VALIDITY, "validity", "TIME", CLI_OPT_VALIDITY, "how long your tickets live (default 1h)")   \
    X(REKEY, "rekey", "TIME", CLI_OPT_REKEY, "how long session keys may be used (TRr)")            \
    X(TIMEOUT, "timeout", "SECONDS", CLI_OPT_TIMEOUT, "when to give up on the KMS (default 10)")   \
    X(CACERT, "cacert", "FILE", CLI_OPT_CACERT, "certificates to verify an https KMS with (PEM)")  \
    X(TLS_CERT, "tls-cert", "FILE", CLI_OPT_TLS_CERT,                                              \
      "your certificate for such a KMS, and SIP over TLS")                                         \
    X(TLS_KEY, "tls-key", "FILE", CLI_OPT_TLS_KEY, "its private key (PEM)")                        \
    X(SCREEN, "screen", NULL, CLI_OPT_COUNT,                                                       \
      "how the call stands, drawn on the terminal all the time")                                   \
    X(VERBOSE, "verbose", NULL, CLI_OPT_COUNT, "words of progress on standard error")              \
    X(HELP, "help", NULL, CLI_OPT_COUNT, "this text")                                              \
    X(VERSION, "version", NULL, CLI_OPT_COUNT, "the version")

enum phone_option {
#define PHONE_OPTIONS_ENUM(id, name, arg, client, text) PHONE_OPT_##id,
    PHONE_OPTIONS(PHONE_OPTIONS_ENUM)
#undef PHONE_OPTIONS_ENUM
        PHONE_OPT_COUNT
};

#define PHONE_MEMBERS_MAX 254 /* a CS ID each, and one of the initiator */
enum phone_keying { PHONE_KEYING_REQUIRED, PHONE_KEYING_PREFERRED, PHONE_KEYING_SDES };

struct phone_options {
    const char *value[PHONE_OPT_COUNT]; /* NULL: not given; "" without argument */
    const char *callee;                 /* or group; NULL: wait for calls */
    char *members[PHONE_MEMBERS_MAX];   /* SIP-URIs of the group */
    size_t n_members;
    uint32_t answer_ms, hang_up_ms; /* UINT32_MAX: not by itself */
    uint32_t gone_ms;               /* of silence until the call ends; 0: it does not */
    uint32_t leave_ms;              /* until nobody answers; UINT32_MAX: not given */
    bool hang_up_played;
    struct group_address multicast;
    uint64_t first_index; /* UINT64_MAX: drawn */
    uint32_t repeat;      /* calls to make */
    char proxy[320];      /* of --proxy, when it was a sips: URI */
    enum phone_keying keying;
    struct cli_args args; /* for the client's parts */
};

/* phone_options_read reads argv. CLI_EXIT_USAGE when it is wrong; nothing is checked beside --help
 * and --version. */
MKT_MUST_USE bool phone_options_read(struct phone_options *o, int argc, char **argv,
                                     struct cli_error *err);

/* phone_help prints to standard output. */
void phone_help(void);

#endif
