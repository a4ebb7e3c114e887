/* SPDX-License-Identifier: Apache-2.0 */
/* Eight digits at a time, one in each octet of a word: digits are computed from comparisons of
 * whole ranges and never looked up in a table, and no word goes to memory but what comes in and
 * out. */
#include "base64.h"

#include <string.h>

#include <mikeyticket/secret.h>

#include "big_endian.h"

#define DIGITS 8 /* of a word, */
#define OCTETS 6 /* for these */
#define EACH(x) ((uint64_t)(x)*0x0101010101010101u)
#define HIGH EACH(0x80)

/* 0xff in each octet of x that is at least `least`, else 0; both are below 0x80. */
static uint64_t
at_least(uint64_t x, uint8_t least)
{
    uint64_t high = ((x | HIGH) - EACH(least)) & HIGH;

    return high | (high - (high >> 7));
}

static uint64_t
in_range(uint64_t x, uint8_t lo, uint8_t hi)
{
    return at_least(x, lo) & ~at_least(x, hi + 1);
}

/* The value and 'A', and where a range of digits ends, the way to the next one. */
static uint64_t
digits_of(uint64_t v)
{
    return v + EACH('A') + (at_least(v, 26) & EACH('a' - 'A' - 26)) +
           (at_least(v, 63) & EACH('/' - '+' - 1)) - (at_least(v, 52) & EACH('a' + 26 - '0')) -
           (at_least(v, 62) & EACH('0' + 10 - '+'));
}

/* Six bits in each octet; *bad is not 0 afterwards if there was no digit in one. */
static uint64_t
values_of(uint64_t x, uint64_t *bad)
{
    uint64_t c = x & ~HIGH, upper = in_range(c, 'A', 'Z'), lower = in_range(c, 'a', 'z'),
             number = in_range(c, '0', '9'), plus = in_range(c, '+', '+'),
             slash = in_range(c, '/', '/');

    *bad |= (x & HIGH) | ~(upper | lower | number | plus | slash);
    return ((c & upper) - (EACH('A') & upper)) | ((c & lower) - (EACH('a' - 26) & lower)) |
           ((c & number) + (EACH(52 - '0') & number)) | (EACH(62) & plus) | (EACH(63) & slash);
}

/* 48 bits to eight times six, and back. */
static uint64_t
spread(uint64_t o)
{
    uint64_t q = (o & 0xffffff000000) << 8 | (o & 0xffffff);
    uint64_t p = (q & 0x00fff00000fff000) << 4 | (q & 0x00000fff00000fff);

    return (p & 0x0fc00fc00fc00fc0) << 2 | (p & 0x003f003f003f003f);
}

static uint64_t
gather(uint64_t v)
{
    uint64_t p = (v & 0x3f003f003f003f00) >> 2 | (v & 0x003f003f003f003f);
    uint64_t q = (p & 0x0fff00000fff0000) >> 4 | (p & 0x00000fff00000fff);

    return (q & 0x00ffffff00000000) >> 8 | (q & 0x0000000000ffffff);
}

size_t
mkt_base64_encode(struct mkt_span octets, char *out)
{
    uint8_t last[DIGITS];
    size_t i = 0, at = 0, pad = (3 - octets.n % 3) % 3;

    for (; octets.n - i >= OCTETS; i += OCTETS, at += DIGITS)
        mkt_be_put((uint8_t *)out + at, DIGITS,
                   digits_of(spread(mkt_be_get(octets.p + i, OCTETS))));
    if (i < octets.n) {
        size_t have = octets.n - i;
        mkt_be_put(last, DIGITS,
                   digits_of(spread(mkt_be_get(octets.p + i, have) << 8 * (OCTETS - have))));
        memcpy(out + at, last, have + 1 + have / 4); /* digits that say something */
        mkt_wipe(last, sizeof last);
    }
    at = mkt_base64_len(octets.n);
    memset(out + at - pad, '=', pad);
    out[at] = '\0';
    return at;
}

/* At most eight digits, '=' among them as if it were 'A'. */
static uint64_t
word_of(const char *text, size_t n)
{
    uint8_t in[DIGITS];
    uint64_t x;

    memset(in, 'A', sizeof in);
    memcpy(in, text, n);
    x = mkt_be_get(in, DIGITS);
    mkt_wipe(in, sizeof in);
    return x;
}

bool
mkt_base64_decode(const char *text, size_t n, uint8_t *out, size_t cap, size_t *len)
{
    uint64_t bad = 0, o;
    size_t at = 0;

    if (n == 0 || n % 4 != 0)
        return false;
    size_t pad = text[n - 1] != '=' ? 0 : text[n - 2] != '=' ? 1 : 2;
    size_t octets = n / 4 * 3 - pad, i = 0;
    if (octets > cap)
        return false;

    for (; octets - at > OCTETS; i += DIGITS, at += OCTETS) {
        o = gather(values_of(mkt_be_get((const uint8_t *)text + i, DIGITS), &bad));
        mkt_be_put(out + at, OCTETS, o);
    }
    o = gather(values_of(word_of(text + i, n - pad - i), &bad));
    for (; at < octets; at++, o <<= 8)
        out[at] = (uint8_t)(o >> 40);
    *len = octets;
    return bad == 0 && (o & 0xffffffffffff) == 0; /* bits left over are zero: one text for each */
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
