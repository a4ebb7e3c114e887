/* SPDX-License-Identifier: Apache-2.0 */
/* Files that other commands, on other machines, read: whole or not at all; those that several
 * commands of one machine rewrite: one after the other; and their end. */
#ifndef MKT_CLI_FILES_H
#define MKT_CLI_FILES_H

#include "cli.h"

#include <sys/types.h>

enum cli_privacy {
    CLI_PUBLIC, /* messages for the other party: mode 0666 less the umask */
    CLI_SECRET  /* credentials, tickets, states, sessions: mode 0600 */
};

/* cli_file_read reads path ("-": standard input, for public octets only) of at most max octets. A
 * secret file that its group or others can reach is refused. */
MKT_MUST_USE bool cli_file_read(struct cli_blob *out, const char *path, size_t max,
                                enum cli_privacy privacy, struct cli_error *err);

/* cli_file_write replaces path by the given octets: written to a new file beside it, synchronised,
 * renamed. A crash leaves the old file or the new one. A pipe or device is written to. Public
 * octets may go to "-". */
MKT_MUST_USE bool cli_file_write(const char *path, enum cli_privacy privacy, struct mkt_span octets,
                                 struct cli_error *err);

/* cli_file_begin reads the first max octets of a public file, or all of a shorter one;
 * cli_file_too_long says that it is longer than it may be. Returns false. */
MKT_MUST_USE bool cli_file_begin(struct cli_blob *out, const char *path, size_t max,
                                 struct cli_error *err);
bool cli_file_too_long(const char *path, size_t max, struct cli_error *err);

/* cli_fd_read reads n octets, less at the end of the file only; -1: it failed. path is for the
 * error. */
ssize_t cli_fd_read(int fd, const char *path, uint8_t *to, size_t n, struct cli_error *err);

/* A file on its way: nobody meets it under its name before it is whole. */
struct cli_draft {
    const char *path; /* borrowed; NULL: standard output */
    int fd;           /* -1: none */
    bool copied;      /* to path, which is no file and stays what it is */
    char temporary[4096];
};

/* cli_draft_open begins a file beside path, for its owner only; for NULL, which is standard
 * output, and for a pipe or device one without a name in $TMPDIR or /tmp. d is ended by the caller
 * in every case. */
MKT_MUST_USE bool cli_draft_open(struct cli_draft *d, const char *path, struct cli_error *err);

/* cli_draft_add writes more of it. */
MKT_MUST_USE bool cli_draft_add(struct cli_draft *d, struct mkt_span octets, struct cli_error *err);

/* cli_draft_keep synchronises it and gives it its name, or copies it to where it goes. */
MKT_MUST_USE bool cli_draft_keep(struct cli_draft *d, enum cli_privacy privacy,
                                 struct cli_error *err);

/* cli_draft_end removes what was not kept. */
void cli_draft_end(struct cli_draft *d);

/* cli_draft_guard has the signals that end a program (SIGINT, SIGTERM, SIGHUP) remove its draft
 * first. For programs of one thread, which has one draft at a time. */
void cli_draft_guard(void);

#define CLI_SCOPED_DRAFT __attribute__((cleanup(cli_draft_end))) struct cli_draft

/* cli_file_lock keeps other commands that lock the same file waiting until cli_file_unlock, or the
 * end of the process. It may be replaced meanwhile by cli_file_write. *lock is set to -1 before it
 * is used first. */
MKT_MUST_USE bool cli_file_lock(int *lock, const char *path, struct cli_error *err);
void cli_file_unlock(int *lock);

#define CLI_SCOPED_LOCK __attribute__((cleanup(cli_file_unlock))) int

/* cli_file_wipe overwrites the octets of the file at path and removes it. Where the file system
 * writes to another place than before (journals, flash), the octets may survive. */
MKT_MUST_USE bool cli_file_wipe(const char *path, struct cli_error *err);

#endif
