/* SPDX-License-Identifier: Apache-2.0 */
/* Hex strings of test data to octets. */
#ifndef MKT_TESTS_HEX_H
#define MKT_TESTS_HEX_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes the octets of hex (spaces are skipped) into out; returns their number. Bad test data ends
 * the program. */
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

#endif
