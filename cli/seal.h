/* SPDX-License-Identifier: Apache-2.0 */
/* Deferred delivery: a file sealed for somebody who need not be there, and opened later. A ticket
 * without an answer (no F), whose key goes to whom the KMS lets resolve it, and never to who keeps
 * the object meanwhile. With the I flag the KMS vouches for who sealed it, to each of several. */
#ifndef MKT_CLI_SEAL_H
#define MKT_CLI_SEAL_H

#include "client.h"
#include "sealed.h"

#include <mikeyticket/csb.h>
#include <mikeyticket/ticket.h>

#define CLI_SEAL_FLAGS "DEHINO" /* of a ticket made for it, with one GTGK */

#define CLI_SEAL_BAR_MIN (16U << 20) /* octets of a content that has a progress bar */

/* --- sealing ---------------------------------------------------------------------------------- */

/* cli_seal_ask asks the KMS of --kms for a ticket to --to, by default for seven days. *grant is
 * owned by the caller. */
MKT_MUST_USE bool cli_seal_ask(struct mkt_grant **grant, const struct cli_args *args,
                               struct cli_client *client, struct cli_error *err);

/* cli_seal_fits tells whether a ticket is one for deferred delivery: no answer, a key that a
 * sealed object can be derived of, and a way to know later who sealed it. */
MKT_MUST_USE bool cli_seal_fits(const struct mkt_grant *grant, struct cli_error *err);

/* What is sealed, with which ticket. All borrowed. */
struct cli_seal {
    struct cli_client *client;
    struct mkt_grant *grant; /* remembers its use */
    struct mkt_identity to;
    const uint32_t *csb_ids; /* not to be drawn again */
    size_t n_csb_ids;
    const char *from; /* a file that can be read twice */
    const char *name; /* for the other party; empty: none */
    const char *out;  /* NULL: standard output */
    /* Between message and content: the use of the ticket is marked here, before anything leaves.
     * NULL: nothing to do. */
    bool (*before)(void *ctx, uint32_t csb_id, struct cli_error *err);
    void *ctx;
};

/* cli_seal_file seals s->from into s->out, whole or not at all. */
MKT_MUST_USE bool cli_seal_file(const struct cli_seal *s, uint64_t *octets, struct cli_error *err);

/* --- opening ---------------------------------------------------------------------------------- */

/* What is known of an object that was opened. */
struct cli_unsealed {
    char sealer[MKT_ID_MAX + 1]; /* who sealed it, as the KMS vouches, or who shares our key */
    uint8_t sealer_type;         /* enum mkt_id_type */
    size_t sealer_len;
    const char *vouched_by; /* "kms" or "tpk" */
    uint64_t sealed_at;     /* NTP-UTC, by the sealer's clock */
    struct cli_sealed_info info;
};

/* cli_unseal_file opens the object at `from` ("-": standard input) with the KMS of --kms or the key
 * of --tpk, and writes its content to `out` (NULL: standard output), mode 0600: whole and verified,
 * or not at all. */
MKT_MUST_USE bool cli_unseal_file(struct cli_unsealed *u, const struct cli_args *args,
                                  struct cli_client *client, const char *from, const char *out,
                                  struct cli_error *err);

/* cli_seal_keys derives the keys of an object from its crypto session. */
MKT_MUST_USE bool cli_seal_keys(struct cli_sealed_keys *keys, const struct mkt_csb *csb,
                                struct mkt_crypto *crypto, struct cli_error *err);

#endif
