/* SPDX-License-Identifier: Apache-2.0 */
/* Results on standard output, said once and written as text or as JSON. */
#ifndef MKT_CLI_REPORT_H
#define MKT_CLI_REPORT_H

#include "cli.h"

#include <mikeyticket/policy.h>
#include <stdio.h>

#define CLI_REPORT_DEPTH 8

struct cli_report {
    FILE *out;
    bool json;
    int depth;                    /* objects and lists open */
    bool list[CLI_REPORT_DEPTH];  /* that level is a list */
    bool begun[CLI_REPORT_DEPTH]; /* that level has an entry already */
};

/* cli_report_begin opens the report; keys are lower case with hyphens, which JSON shows as
 * underscores. Every cli_report_begin needs its cli_report_end. */
void cli_report_begin(struct cli_report *r, FILE *out, bool json);
void cli_report_end(struct cli_report *r);

/* cli_report_list and cli_report_item open a list under key, and an object in it;
 * cli_report_close closes the innermost. */
void cli_report_list(struct cli_report *r, const char *key);
void cli_report_item(struct cli_report *r);
void cli_report_close(struct cli_report *r);

/* One value each. In a list outside an item, key is NULL. */
void cli_report_text(struct cli_report *r, const char *key, const char *text);
void cli_report_uint(struct cli_report *r, const char *key, uint64_t value);
void cli_report_bool(struct cli_report *r, const char *key, bool value);
void cli_report_hex(struct cli_report *r, const char *key, struct mkt_span octets);
void cli_report_identity(struct cli_report *r, const char *key, struct mkt_identity id);

#define CLI_IDENTITY_TEXT (4 * MKT_ID_MAX + 1)
/* cli_identity_text writes id so that it is safe on a terminal: what is not printable ASCII, and
 * the backslash, as \xNN. */
void cli_identity_text(struct mkt_identity id, char out[CLI_IDENTITY_TEXT]);

#endif
