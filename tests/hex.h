/* SPDX-License-Identifier: Apache-2.0 */
/* Hex for the values in tests. */
#ifndef TESTS_HEX_H
#define TESTS_HEX_H

#include <mikeyticket/base.h>

#include <stdlib.h>
#include <string.h>

static inline uint8_t
hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c == 0 ? NULL : strchr(digits, c);
    if (at == NULL)
        abort();
    return (uint8_t)(at - digits);
}

/* Octets of the lower-case hex text; aborts when cap is too small. NULL gives an empty span. */
static inline struct mkt_span
unhex(uint8_t *buf, size_t cap, const char *text)
{
    size_t n = text == NULL ? 0 : strlen(text) / 2;
    if (n > cap)
        abort();
    for (size_t i = 0; i < n; i++)
        buf[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
    return mkt_span(buf, n);
}

/* A span of octets in a buffer of its own scope. */
#define UNHEX(name, text)        \
    uint8_t name##_octets[1600]; \
    const struct mkt_span name = unhex(name##_octets, sizeof name##_octets, text)

#endif
