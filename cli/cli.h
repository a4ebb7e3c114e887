/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of the client shares: exit codes, the one error a run ends with, and octets
 * that are wiped when they are freed. Functions fill the error and return false; only main
 * prints it, so that tests can read it. */
#ifndef MKT_CLI_H
#define MKT_CLI_H

#include <mikeyticket/err.h>

/* Exit codes; `mikey-ticket --help` prints this list. */
#define CLI_EXITS(X)                                                                               \
    X(OK, 0, "done")                                                                               \
    X(FAILURE, 1, "a file could not be read or written, or something local failed")                \
    X(USAGE, 2, "the command line is wrong")                                                       \
    X(KMS_REFUSED, 3, "the KMS answered with an Error message, or granted too little")             \
    X(MALFORMED, 4, "not a valid MIKEY message or sealed object, or a policy that breaks a rule")  \
    X(PEER, 5, "what the other party made was refused: by us or by its MAC; or the other refused") \
    X(UNREACHABLE, 6, "no answer from the KMS that verifies")

enum cli_exit {
#define CLI_EXITS_ENUM(name, code, text) CLI_EXIT_##name = code,
    CLI_EXITS(CLI_EXITS_ENUM)
#undef CLI_EXITS_ENUM
};

/* cli_error is the first failure of a run: what happened and what to do next. */
struct cli_error {
    enum cli_exit code; /* CLI_EXIT_OK: no failure yet */
    char text[1024];
};

/* cli_fail records a failure unless e already holds one. Returns false, always. */
bool cli_fail(struct cli_error *e, enum cli_exit code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* cli_fail_mkt records a failure of the library, in its words, after "`doing`: ". */
bool cli_fail_mkt(struct cli_error *e, enum cli_exit code, const char *doing,
                  const struct mkt_err *why);

/* cli_say writes a line of progress to stderr, unless cli_quiet is set. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern bool cli_quiet; /* set once, from the command line */

/* cli_blob is an owned run of octets. */
struct cli_blob {
    uint8_t *p;
    size_t n, cap; /* octets in use, octets allocated */
};

/* cli_blob_alloc makes b an empty blob of cap octets. */
MKT_MUST_USE bool cli_blob_alloc(struct cli_blob *b, size_t cap, struct cli_error *err);

/* cli_blob_set makes b a copy of `from`, in the place of what it held. */
MKT_MUST_USE bool cli_blob_set(struct cli_blob *b, struct mkt_span from, struct cli_error *err);

/* cli_blob_free wipes and frees. */
void cli_blob_free(struct cli_blob *b);

/* Wiped and freed on every way out of the scope. */
#define CLI_SCOPED_BLOB __attribute__((cleanup(cli_blob_free))) struct cli_blob

static inline struct mkt_span
cli_blob_span(const struct cli_blob *b)
{
    return mkt_span(b->p, b->n);
}

/* cli_blob_print appends formatted text to b; false when it does not fit. b is never moved, so
 * that no copy of a secret stays behind. */
MKT_MUST_USE bool cli_blob_print(struct cli_blob *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define CLI_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
