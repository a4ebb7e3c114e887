/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal digits of keys on their way in and out of mikey-kmsctl. */
#ifndef KMS_HEX_H
#define KMS_HEX_H

#include <stddef.h>
#include <stdint.h>

/* kms_hex_write writes 2 * n digits and a terminator. */
static inline void
kms_hex_write(char *out, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

/* kms_hex_value returns the value of a digit, or -1. */
static inline int
kms_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
