/* SPDX-License-Identifier: Apache-2.0 */
/* The session file: what an SRTP implementation needs of a Crypto Session Bundle
 * (docs/formats/session-file.md). */
#ifndef MKT_CLI_SESSION_H
#define MKT_CLI_SESSION_H

#include "report.h"

#include <mikeyticket/csb.h>

/* cli_session_save derives the keys of every crypto session of csb and writes them to path (mode
 * 0600). `initiator`: our role in the transfer. */
MKT_MUST_USE bool cli_session_save(const char *path, const struct mkt_csb *csb,
                                   struct mkt_crypto *crypto, bool initiator,
                                   struct cli_error *err);

/* cli_session_report_file reads the file at path and reports it, with keys only if show_keys. */
MKT_MUST_USE bool cli_session_report_file(struct cli_report *r, const char *path, bool show_keys,
                                          struct cli_error *err);

/* cli_session_report_csb reports csb: who the other party is, how far to trust it, and the crypto
 * sessions. No key is derived. */
void cli_session_report_csb(struct cli_report *r, const struct mkt_csb *csb, bool initiator);

#endif
