/* SPDX-License-Identifier: Apache-2.0 */
/* Octets as text. Keys pass through here (credentials, sessions), so digits are computed from
 * comparisons of whole ranges and never looked up in a table. Base64 also holds tickets. */
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

static char
base64_digit(unsigned v)
{
    unsigned c = (in_range(v, 0, 25) & ('A' + v)) | (in_range(v, 26, 51) & ('a' + v - 26)) |
                 (in_range(v, 52, 61) & ('0' + v - 52)) | (in_range(v, 62, 62) & '+') |
                 (in_range(v, 63, 63) & '/');
    return (char)c;
}

void
cli_base64_encode(struct mkt_span octets, char *out)
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
cli_base64_decode(const char *text, size_t n, uint8_t *out, size_t cap, size_t *len)
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
