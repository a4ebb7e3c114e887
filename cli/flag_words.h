/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of a Ticket Policy in words, for everything that speaks of them to a user. */
#ifndef MKT_CLI_FLAG_WORDS_H
#define MKT_CLI_FLAG_WORDS_H

#include "cli.h"

#define CLI_FLAGS 12

struct cli_flag {
    uint16_t flag; /* enum mkt_tp_flag */
    char letter;
    const char *set, *clear; /* what it means when it is set, and when it is not */
};

extern const struct cli_flag cli_flags[CLI_FLAGS]; /* D to O */

/* cli_flags_read reads letters of either case into *out. Returns NULL, or the first character that
 * is no letter of an `allowed` flag. */
const char *cli_flags_read(const char *letters, uint16_t allowed, uint16_t *out);

#endif
