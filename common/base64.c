/* SPDX-License-Identifier: Apache-2.0 */
/* Digits are computed from comparisons of whole ranges and never looked up in a table. */
#include "base64.h"

/* All bits of x if lo <= c <= hi, else 0. */
static unsigned
in_range(unsigned c, unsigned lo, unsigned hi)
{
    return 0U - (((lo - 1 - c) & (c - hi - 1)) >> 31);
}

/* 1 if a < b */
static unsigned
less(unsigned a, unsigned b)
{
    return (a - b) >> 31;
}

/* The value and 'A', and where a range of digits ends, the way to the next one. */
static char
base64_digit(unsigned v)
{
    return (char)(v + 'A' + less(25, v) * ('a' - 'A' - 26) - less(51, v) * ('a' + 26 - '0') -
                  less(61, v) * ('0' + 10 - '+') + less(62, v) * ('/' - '+' - 1));
}

size_t
mkt_base64_encode(struct mkt_span octets, char *out)
{
    for (size_t i = 0; i < octets.n; i += 3) {
        size_t have = octets.n - i < 3 ? octets.n - i : 3;
        unsigned group = (unsigned)octets.p[i] << 16;
        group |= have > 1 ? (unsigned)octets.p[i + 1] << 8 : 0;
        group |= have > 2 ? octets.p[i + 2] : 0;
        *out++ = base64_digit(group >> 18);
        *out++ = base64_digit(group >> 12 & 63);
        *out++ = have > 1 ? base64_digit(group >> 6 & 63) : '=';
        *out++ = have > 2 ? base64_digit(group & 63) : '=';
    }
    *out = '\0';
    return mkt_base64_len(octets.n);
}

static unsigned
base64_value(char digit, unsigned *bad)
{
    unsigned c = (unsigned char)digit;
    unsigned upper = in_range(c, 'A', 'Z');
    unsigned lower = in_range(c, 'a', 'z');
    unsigned number = in_range(c, '0', '9');
    unsigned plus = in_range(c, '+', '+');
    unsigned slash = in_range(c, '/', '/');
    *bad |= ~(upper | lower | number | plus | slash);
    return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (number & (c - '0' + 52)) |
           (plus & 62) | (slash & 63);
}

bool
mkt_base64_decode(const char *text, size_t n, uint8_t *out, size_t cap, size_t *len)
{
    if (n == 0 || n % 4 != 0)
        return false;
    size_t pad = text[n - 1] != '=' ? 0 : text[n - 2] != '=' ? 1 : 2;
    size_t octets = n / 4 * 3 - pad;
    if (octets > cap)
        return false;

    unsigned bad = 0, group = 0, bits = 0;
    size_t at = 0;
    for (size_t i = 0; i < n - pad; i++) {
        group = group << 6 | base64_value(text[i], &bad);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[at++] = (uint8_t)(group >> bits);
            group &= (1U << bits) - 1;
        }
    }
    *len = at;
    return bad == 0 && group == 0; /* bits left over are zero: one text for each message */
}

bool
mkt_base64_decode_lines(uint8_t *text, size_t n, size_t *len)
{
    size_t chars = 0;

    for (size_t i = 0; i < n; i++)
        if (text[i] != '\r' && text[i] != '\n')
            text[chars++] = text[i];
    *len = 0;
    return chars == 0 || mkt_base64_decode((const char *)text, chars, text, chars, len);
}
