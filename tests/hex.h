/* SPDX-License-Identifier: Apache-2.0 */
/* Hex strings of test data to octets. Bad test data ends the program. */
#ifndef MKT_TESTS_HEX_H
#define MKT_TESTS_HEX_H

#include <mikeyticket/base.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes the octets of hex (lower case, spaces are skipped) into out; returns their number. */
static inline size_t
hex_octets(const char *hex, uint8_t *out, size_t cap)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = 0;
    int high = -1;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        const char *d = strchr(digits, *hex);
        if (d == NULL || n == cap) {
            fprintf(stderr, "bad hex in test data\n");
            abort();
        }
        if (high < 0) {
            high = (int)(d - digits);
            continue;
        }
        out[n++] = (uint8_t)(high << 4 | (int)(d - digits));
        high = -1;
    }
    return n;
}

/* The same as a span of buf; NULL gives an empty one. */
static inline struct mkt_span
unhex(uint8_t *buf, size_t cap, const char *hex)
{
    return mkt_span(buf, hex == NULL ? 0 : hex_octets(hex, buf, cap));
}

/* A span of octets in a buffer of its own scope. */
#define UNHEX(name, text)        \
    uint8_t name##_octets[1600]; \
    const struct mkt_span name = unhex(name##_octets, sizeof name##_octets, text)

#endif
