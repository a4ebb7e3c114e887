/* SPDX-License-Identifier: Apache-2.0 */
/* The state of an open offer: what `complete` needs, possibly days later
 * (docs/formats/offer-state.md). */
#ifndef MKT_CLI_STATE_H
#define MKT_CLI_STATE_H

#include "cli.h"

#include <mikeyticket/ticket.h>

struct cli_state {
    char to[MKT_ID_MAX + 1]; /* IDRr the offer was made for */
    struct mkt_grant *grant; /* owned */
    struct cli_blob offer;   /* TRANSFER_INIT as sent */
};

/* cli_state_save writes the state of an offer to path (mode 0600). */
MKT_MUST_USE bool cli_state_save(const char *path, const char *to, const struct mkt_grant *grant,
                                 struct mkt_span offer, struct cli_error *err);

/* cli_state_load reads it. s is closed by the caller in every case. */
MKT_MUST_USE bool cli_state_load(struct cli_state *s, const char *path, struct cli_error *err);

/* cli_state_close wipes and frees. */
void cli_state_close(struct cli_state *s);

/* cli_grant_export makes out the octets of a ticket file. */
MKT_MUST_USE bool cli_grant_export(struct cli_blob *out, const struct mkt_grant *g,
                                   struct cli_error *err);

#define CLI_SCOPED_STATE __attribute__((cleanup(cli_state_close))) struct cli_state

/* cli_grant_save and cli_grant_load: a ticket file (docs/formats/ticket-file.md), mode 0600. *g is
 * owned by the caller. */
MKT_MUST_USE bool cli_grant_save(const char *path, const struct mkt_grant *g,
                                 struct cli_error *err);
MKT_MUST_USE bool cli_grant_load(struct mkt_grant **g, const char *path, struct cli_error *err);

#endif
