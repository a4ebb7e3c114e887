/* SPDX-License-Identifier: Apache-2.0 */
/* Strict: padding is required and the bits it leaves over must be zero, so that one message has one
 * spelling. */
#include "base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int
value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool
kms_base64_decode(uint8_t *text, size_t n, size_t *len)
{
    uint32_t bits = 0;
    size_t chars = 0, pads = 0, out = 0;

    for (size_t i = 0; i < n; i++) {
        int v = value_of(text[i]);

        if (text[i] == '\r' || text[i] == '\n')
            continue;
        if (text[i] == '=' && chars % 4 + pads >= 2 && pads < 2) {
            pads++;
            continue;
        }
        if (v < 0 || pads > 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        if (++chars % 4 == 0) {
            text[out++] = (uint8_t)(bits >> 16);
            text[out++] = (uint8_t)(bits >> 8);
            text[out++] = (uint8_t)bits;
        }
    }
    if ((chars + pads) % 4 != 0)
        return false;
    if (pads == 1 && (bits & 3) == 0) {
        text[out++] = (uint8_t)(bits >> 10);
        text[out++] = (uint8_t)(bits >> 2);
    } else if (pads == 2 && (bits & 15) == 0) {
        text[out++] = (uint8_t)(bits >> 4);
    } else if (pads != 0) {
        return false;
    }
    *len = out;
    return true;
}

size_t
kms_base64_encode(char *out, const uint8_t *p, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n; i += 3) {
        uint32_t bits = (uint32_t)p[i] << 16;

        bits |= i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0;
        bits |= i + 2 < n ? p[i + 2] : 0;
        out[at++] = alphabet[bits >> 18];
        out[at++] = alphabet[bits >> 12 & 63];
        out[at++] = i + 1 < n ? alphabet[bits >> 6 & 63] : '=';
        out[at++] = i + 2 < n ? alphabet[bits & 63] : '=';
    }
    return at;
}
