/* SPDX-License-Identifier: Apache-2.0 */
/* Octets as hexadecimal digits, strict when reading. */
#ifndef MKT_CLI_ENCODE_H
#define MKT_CLI_ENCODE_H

#include "cli.h"

/* cli_hex_encode writes 2 * octets.n digits and a terminator; out holds 2 * octets.n + 1. */
void cli_hex_encode(struct mkt_span octets, char *out);

/* cli_hex_decode reads n hex digits into out (cap octets); *len gets the octets. False for an odd
 * count, another character, or too little room. No branch or index depends on a digit's value, as
 * keys are read with it. */
MKT_MUST_USE bool cli_hex_decode(const char *text, size_t n, uint8_t *out, size_t cap, size_t *len);

#endif
