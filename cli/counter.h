/* SPDX-License-Identifier: Apache-2.0 */
/* A counter that survives: COUNTER timestamps must never go back (RFC 3830 6.6). */
#ifndef MKT_CLI_COUNTER_H
#define MKT_CLI_COUNTER_H

#include "cli.h"

/* cli_counter_next returns in *value one more than the last value handed out from the file at path,
 * beginning with 1. The file is made when absent, locked meanwhile, and synchronised before this
 * returns. False at the end of the 32 bits, or when anything is odd: never a value twice. */
MKT_MUST_USE bool cli_counter_next(const char *path, uint32_t *value, struct cli_error *err);

#endif
