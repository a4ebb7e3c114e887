/* SPDX-License-Identifier: Apache-2.0 */
/* A ticket protection key that a user shares with the KMS or with another user
 * (docs/formats/tpk-file.md). */
#ifndef MKT_CLI_TPK_H
#define MKT_CLI_TPK_H

#include "cli.h"

#include <mikeyticket/key.h>
#include <mikeyticket/policy.h>

struct cli_tpk {
    const char *path; /* borrowed, for errors */
    char identity[MKT_ID_MAX + 1];
    char kms[MKT_ID_MAX + 1];  /* empty: not shared with a KMS */
    char peer[MKT_ID_MAX + 1]; /* empty: not shared with another user */
    char id[MKT_ID_MAX + 1];   /* IDRpsk in Ticket Data; empty: none */
    uint8_t prf;
    struct mkt_inkey_mem key;
};

/* cli_tpk_load reads the file at path, which must be private and that of `identity`. t is wiped by
 * the caller in every case. */
MKT_MUST_USE bool cli_tpk_load(struct cli_tpk *t, const char *path, const char *identity,
                               struct cli_error *err);

/* cli_tpk_wipe clears t. */
void cli_tpk_wipe(struct cli_tpk *t);

#define CLI_SCOPED_TPK __attribute__((cleanup(cli_tpk_wipe))) struct cli_tpk

/* cli_tpk_may_make tells whether t protects tickets that we make for these responders: it is shared
 * with the KMS when E is set (mode 3), with the one responder otherwise (mode 4). */
MKT_MUST_USE bool cli_tpk_may_make(const struct cli_tpk *t, const struct mkt_policy *want,
                                   struct cli_error *err);

/* cli_tpk_may_open tells whether a ticket of that policy may be opened with t: E is not set, and
 * who must have made it (D: the KMS, else IDRi) is the one that shares the key with us.
 * MKT_E_TP_PARAM or MKT_E_IDENTITY. */
MKT_MUST_USE enum mkt_rc cli_tpk_may_open(const struct cli_tpk *t, const struct mkt_policy *policy,
                                          struct mkt_err *why);

#endif
