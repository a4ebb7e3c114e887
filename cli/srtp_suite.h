/* SPDX-License-Identifier: Apache-2.0 */
/* SRTP cipher suites by name, as SP parameters (RFC 3830 6.10.1, RFC 7714 15). */
#ifndef MKT_CLI_SRTP_SUITE_H
#define MKT_CLI_SRTP_SUITE_H

#include "cli.h"

#include <mikeyticket/message.h>

#define CLI_SRTP_PARAMS_MAX 24
#define CLI_SRTP_LIST_MAX 8 /* --srtp options of one command */

struct cli_srtp_suite {
    const char *name;
    bool long_key; /* 256-bit: only with suite 256 (RFC 6043 12.1) */
    uint8_t n;     /* octets of params */
    uint8_t params[CLI_SRTP_PARAMS_MAX];
};

/* cli_srtp_find returns the suite of that name, or NULL. */
const struct cli_srtp_suite *cli_srtp_find(const char *name);

/* cli_srtp_name names the parameters of a session: a name of the list, or "not a named suite". An
 * absent parameter has its default. */
const char *cli_srtp_name(struct mkt_span params);

/* cli_srtp_lengths gives the octets of master key and salt that the parameters ask for. False when
 * they are not understood. */
bool cli_srtp_lengths(struct mkt_span params, size_t *key_len, size_t *salt_len);

/* cli_srtp_policies makes an SP for each of the names (n of them), Policy_no from 0. n = 0: for an
 * offer the default of prf, for an answer (`all`) every suite of its level. The SPs borrow from
 * static tables. */
MKT_MUST_USE bool cli_srtp_policies(const char *const *names, size_t n, uint8_t prf, bool all,
                                    struct mkt_pl_sp sp[CLI_SRTP_LIST_MAX], size_t *n_sp,
                                    struct cli_error *err);

/* cli_srtp_defines tells whether the offer has a policy of that number. cli_srtp_number gives n
 * policies numbers that it has not, so that they can be sent along. */
bool cli_srtp_defines(const struct mkt_msg *offer, unsigned policy_no);
void cli_srtp_number(struct mkt_pl_sp *sp, size_t n, const struct mkt_msg *offer);

/* cli_srtp_list writes the names of all suites, parted by spaces, for --help. */
const char *cli_srtp_list(void);

#endif
