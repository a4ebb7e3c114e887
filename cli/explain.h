/* SPDX-License-Identifier: Apache-2.0 */
/* What a Ticket Policy means and which rules it breaks, without input and output: the command
 * (cmd_explain.c) reads it and prints it. */
#ifndef MKT_CLI_EXPLAIN_H
#define MKT_CLI_EXPLAIN_H

#include "cli.h"

#include <mikeyticket/message.h>
#include <mikeyticket/policy.h>

/* cli_subject is the policy that is explained: flags alone, or those of a message. */
struct cli_subject {
    uint16_t flags;
    const struct mkt_msg *msg;         /* NULL: flags alone; the three below are then unset */
    const struct mkt_payload *payload; /* its TP or TICKET */
    struct mkt_policy policy;          /* as far as it could be read */
    struct mkt_err unread;             /* why TP Data could not be read, if so */
};

/* cli_subject_message takes the policy of msg, which must have been parsed and checked. False: it
 * carries none. */
MKT_MUST_USE bool cli_subject_message(struct cli_subject *s, const struct mkt_msg *msg);

/* cli_subject_wish tells whether s is a wish, a TP: not granted yet. */
bool cli_subject_wish(const struct cli_subject *s);

#define CLI_BREACHES_MAX 24

struct cli_breach {
    const char *rule, *clause; /* static */
    char help[80];             /* what would repair it; may be empty */
};
struct cli_breaches {
    size_t n;
    struct cli_breach of[CLI_BREACHES_MAX];
};

/* cli_explain_breaches lists every rule that s breaks; now is 32.32 NTP-UTC. */
void cli_explain_breaches(struct cli_breaches *b, const struct cli_subject *s, uint64_t now);

struct cli_mode {
    unsigned number; /* RFC 6043 4.1.1 */
    const char *words, *exchanges;
};

/* cli_explain_mode returns the mode that the flags lead to (static). */
const struct cli_mode *cli_explain_mode(uint16_t flags);

struct cli_consequence {
    const char *key, *words;
};

/* cli_explain_next walks over what follows from the flags: *i begins at 0. False at the end. */
bool cli_explain_next(size_t *i, uint16_t flags, struct cli_consequence *c);

/* cli_explain_note walks over what is no broken rule but worth knowing; likewise. */
bool cli_explain_note(size_t *i, const struct cli_subject *s, const char **words);

#define CLI_SPAN_TEXT 48
/* cli_explain_seconds writes "1 h 30 min", "7 d" and the like: the two largest units. */
void cli_explain_seconds(uint64_t seconds, char out[CLI_SPAN_TEXT]);

#endif
