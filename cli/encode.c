/* SPDX-License-Identifier: Apache-2.0 */
/* Octets as text. Keys pass through here (credentials, sessions), so digits are computed from
 * comparisons of whole ranges and never looked up in a table. */
#include "encode.h"

/* All bits of x if lo <= c <= hi, else 0. */
static unsigned
in_range(unsigned c, unsigned lo, unsigned hi)
{
    return 0U - (((lo - 1 - c) & (c - hi - 1)) >> 31);
}

static char
hex_digit(unsigned v)
{
    return (char)('0' + v + (in_range(v, 10, 15) & ('a' - '0' - 10)));
}

void
cli_hex_encode(struct mkt_span octets, char *out)
{
    for (size_t i = 0; i < octets.n; i++) {
        *out++ = hex_digit(octets.p[i] >> 4);
        *out++ = hex_digit(octets.p[i] & 15);
    }
    *out = '\0';
}

/* The value of a hex digit, with *bad set when it is none. */
static unsigned
hex_value(char digit, unsigned *bad)
{
    unsigned c = (unsigned char)digit;
    unsigned number = in_range(c, '0', '9');
    unsigned lower = in_range(c, 'a', 'f');
    unsigned upper = in_range(c, 'A', 'F');
    *bad |= ~(number | lower | upper);
    return (number & (c - '0')) | (lower & (c - 'a' + 10)) | (upper & (c - 'A' + 10));
}

bool
cli_hex_decode(const char *text, size_t n, uint8_t *out, size_t cap, size_t *len)
{
    if (n % 2 != 0 || n / 2 > cap)
        return false;
    unsigned bad = 0;
    for (size_t i = 0; i < n / 2; i++) {
        unsigned high = hex_value(text[2 * i], &bad);
        out[i] = (uint8_t)(high << 4 | hex_value(text[2 * i + 1], &bad));
    }
    *len = n / 2;
    return bad == 0;
}
