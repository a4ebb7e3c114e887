/* SPDX-License-Identifier: Apache-2.0 */
/* The session file: what an SRTP implementation needs of a Crypto Session Bundle
 * (docs/formats/session-file.md). */
#ifndef MKT_CLI_SESSION_H
#define MKT_CLI_SESSION_H

#include "report.h"

#include <mikeyticket/csb.h>
#include <mikeyticket/env.h>

/* cli_session_save writes the bundle to path.csb (docs/formats/csb-file.md), for updates, and then
 * its crypto sessions with their keys to path; both mode 0600. */
MKT_MUST_USE bool cli_session_save(const char *path, const struct mkt_csb *csb,
                                   struct mkt_crypto *crypto, struct cli_error *err);

/* cli_session_keep writes path.csb alone: for a bundle whose sessions are as they were. */
MKT_MUST_USE bool cli_session_keep(const char *path, const struct mkt_csb *csb,
                                   struct cli_error *err);

/* cli_session_open reads path.csb and locks it against other commands: *lock, which is -1 before,
 * is for cli_file_unlock. *csb is owned by the caller. */
MKT_MUST_USE bool cli_session_open(struct mkt_csb **csb, int *lock, const char *path,
                                   struct cli_error *err);

/* cli_session_env returns the environment of a call on a bundle. Its counter timestamps go on from
 * the last of the bundle. */
struct mkt_env cli_session_env(struct mkt_crypto *crypto);

/* cli_session_check_policies tells whether all policies that a message of the bundle defines are
 * suites of its level, or in use already: before it takes effect (RFC 6043 4.2.2.4). path names it
 * in the error. */
MKT_MUST_USE bool cli_session_check_policies(const struct mkt_csb *csb, struct mkt_span octets,
                                             const char *path, struct cli_error *err);

/* What of the keys is shown. */
enum cli_session_show { CLI_SHOW_NO_KEYS, CLI_SHOW_KEYS, CLI_SHOW_KEYS_AND_GST };

/* cli_session_report_file reads the file at path and reports it. */
MKT_MUST_USE bool cli_session_report_file(struct cli_report *r, const char *path,
                                          enum cli_session_show show, struct cli_error *err);

/* cli_session_report_csb reports csb: who the other party is, how far to trust it, and the crypto
 * sessions. No key is derived. */
void cli_session_report_csb(struct cli_report *r, const struct mkt_csb *csb);

#endif
