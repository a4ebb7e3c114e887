/* SPDX-License-Identifier: Apache-2.0 */
/* The Ticket Policy a user wishes for, from the command line, and in words how the granted one
 * differs. */
#ifndef MKT_CLI_WISH_H
#define MKT_CLI_WISH_H

#include "options.h"
#include "report.h"

#include <mikeyticket/ticket.h>

/* cli_wish_read makes the policy of --to, --app, --flags or the words for single flags,
 * --valid-from,
 * --validity, --rekey, --key and --no-keys; now is 32.32 NTP-UTC. Identities borrow from args, SPIs
 * from memory that the next wish uses again. */
MKT_MUST_USE bool cli_wish_read(struct mkt_policy *want, const struct cli_args *args, uint8_t prf,
                                uint64_t now, struct cli_error *err);

/* cli_wish_read_own is the same for a ticket that we make ourselves (no D flag). */
MKT_MUST_USE bool cli_wish_read_own(struct mkt_policy *want, const struct cli_args *args,
                                    uint8_t prf, uint64_t now, struct cli_error *err);

/* cli_wish_report reports what was granted, and each difference from the wish in words. */
void cli_wish_report(struct cli_report *r, const struct mkt_policy *want,
                     const struct mkt_grant *grant);

#endif
