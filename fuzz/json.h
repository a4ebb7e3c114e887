/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON checker (RFC 8259), so that the printed form of every message can be tested. */
#ifndef MKT_FUZZ_JSON_H
#define MKT_FUZZ_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* True when the n characters at s are one JSON value, with white space around it at most. */
bool mkt_json_valid(const char *s, size_t n);

#endif
