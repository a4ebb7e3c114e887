/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates and the private key that a credential file names. */
#ifndef MKT_CLI_PK_H
#define MKT_CLI_PK_H

#include "credential.h"

#include <mikeyticket/io.h>

struct cli_pk {
    struct mkt_pkey *key;
    struct mkt_cert *chain[MKT_CHAIN_MAX]; /* ours first */
    struct mkt_cert *kms[MKT_CHAIN_MAX];   /* the KMS's first */
    size_t n_chain, n_kms;
    struct mkt_pk_credential cred; /* borrows from all above */
};

/* cli_pk_open loads what the credential at `path` names, relative to its directory, and checks that
 * key, names and purposes fit and that the KMS's certificate is trusted. pk, zeroed before, is
 * closed by the caller in every case and must not be moved. */
MKT_MUST_USE bool cli_pk_open(struct cli_pk *pk, const struct cli_credential *c, const char *path,
                              struct cli_error *err);

/* cli_pk_close wipes and frees. */
void cli_pk_close(struct cli_pk *pk);

#endif
