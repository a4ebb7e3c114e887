/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets kept for reuse (RFC 6043 5.3): those we were granted, and what tickets offered to us were
 * resolved to. A directory of private files (docs/formats/cache-directory.md). */
#ifndef MKT_CLI_CACHE_H
#define MKT_CLI_CACHE_H

#include "client.h"
#include "wish.h"

#include <mikeyticket/responder.h>

struct cli_cache {
    const char *path; /* NULL: no --cache */
    int lock;
    const struct cli_client *client; /* whose tickets */
    uint64_t now;
    bool groups; /* --reuse-group */
};

/* cli_cache_open makes the directory of --cache if there is none, locks it, and wipes what has
 * expired. Without --cache c is empty, and holds nothing. Closed by the caller in every case. */
MKT_MUST_USE bool cli_cache_open(struct cli_cache *c, const struct cli_args *args,
                                 const struct cli_client *client, struct cli_error *err);

/* cli_cache_close gives the directory to other commands; to keep something it need not be ours. */
void cli_cache_close(struct cli_cache *c);

#define CLI_SCOPED_CACHE __attribute__((cleanup(cli_cache_close))) struct cli_cache

/* cli_cache_ticket_for finds a ticket that was asked for with the same wish; *grant is NULL when
 * there is none, else owned by the caller. */
MKT_MUST_USE bool cli_cache_ticket_for(struct mkt_grant **grant, const struct cli_cache *c,
                                       const struct mkt_policy *want, struct cli_error *err);

/* cli_cache_ticket_to finds a ticket that can be offered to `to`; likewise. */
MKT_MUST_USE bool cli_cache_ticket_to(struct mkt_grant **grant, const struct cli_cache *c,
                                      struct mkt_identity to, struct cli_error *err);

/* cli_cache_keep_ticket keeps a ticket that was granted for a wish, if it may be reused. */
MKT_MUST_USE bool cli_cache_keep_ticket(const struct cli_cache *c, const struct mkt_policy *want,
                                        const struct mkt_grant *grant, struct cli_error *err);

/* cli_cache_resolution finds what that TICKET payload was resolved to; likewise. */
MKT_MUST_USE bool cli_cache_resolution(struct mkt_resolution **res, const struct cli_cache *c,
                                       const struct mkt_payload *ticket, struct cli_error *err);

/* cli_cache_keep_resolution keeps what a ticket was resolved to, if it may be reused. */
MKT_MUST_USE bool cli_cache_keep_resolution(const struct cli_cache *c,
                                            const struct mkt_resolution *res,
                                            struct cli_error *err);

#endif
