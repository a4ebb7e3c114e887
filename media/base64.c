/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 (RFC 4648 4), strictly: one text for each run of octets, so that what was compared as text
 * is also equal as octets. */
#include "base64.h"

#include <mikeyticket/media/sdp.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char ref[] = "RFC 4567 3";

size_t
mkt_base64_len(size_t n)
{
    return (n + 2) / 3 * 4;
}

void
mkt_base64_encode(struct mkt_span octets, char *out)
{
    for (size_t i = 0; i < octets.n; i += 3) {
        size_t have = octets.n - i;
        unsigned group = (unsigned)octets.p[i] << 16;

        group |= have > 1 ? (unsigned)octets.p[i + 1] << 8 : 0;
        group |= have > 2 ? octets.p[i + 2] : 0;
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = have > 1 ? digits[group >> 6 & 63] : '=';
        *out++ = have > 2 ? digits[group & 63] : '=';
    }
    *out = '\0';
}

#define NONE 64

/* What each digit stands for; NONE: nothing. */
#define VALUE(c)                                 \
    ((c) >= 'A' && (c) <= 'Z'   ? (c) - 'A'      \
     : (c) >= 'a' && (c) <= 'z' ? (c) - 'a' + 26 \
     : (c) >= '0' && (c) <= '9' ? (c) - '0' + 52 \
     : (c) == '+'               ? 62             \
     : (c) == '/'               ? 63             \
                                : NONE)
#define VALUES_4(c) VALUE(c), VALUE((c) + 1), VALUE((c) + 2), VALUE((c) + 3)
#define VALUES_16(c) VALUES_4(c), VALUES_4((c) + 4), VALUES_4((c) + 8), VALUES_4((c) + 12)
#define VALUES_64(c) VALUES_16(c), VALUES_16((c) + 16), VALUES_16((c) + 32), VALUES_16((c) + 48)

static const uint8_t value_of[256] = { VALUES_64(0), VALUES_64(64), VALUES_64(128),
                                       VALUES_64(192) };

/* Four digits to `have` octets; what the last digit holds beyond them must be 0. Returns the digit
 * that is wrong, 4 when none is. */
static unsigned
group_decode(const uint8_t *text, unsigned have, uint8_t out[3])
{
    uint32_t group = 0;

    for (unsigned i = 0; i <= have; i++) {
        uint32_t v = value_of[text[i]];
        if (v == NONE)
            return i;
        group |= v << (18 - 6 * i);
    }
    if ((group & (0xffffffu >> 8 * have)) != 0)
        return have;
    for (unsigned i = 0; i < have; i++)
        out[i] = (uint8_t)(group >> (16 - 8 * i));
    return 4;
}

enum mkt_rc
mkt_sdp_decode(struct mkt_span text, uint8_t *out, size_t cap, size_t *len, struct mkt_err *err)
{
    *len = 0;
    if (text.n % 4 != 0 || text.n == 0)
        return mkt_fail(err, MKT_E_FIELD, text.n, "base64: not groups of four characters", ref);
    unsigned pad = text.p[text.n - 1] != '=' ? 0 : text.p[text.n - 2] != '=' ? 1 : 2;
    if (text.n / 4 * 3 - pad > cap)
        return mkt_fail(err, MKT_E_NO_SPACE, 0, "base64: longer than a MIKEY message", ref);
    for (size_t i = 0; i < text.n; i += 4) {
        unsigned have = i + 4 == text.n ? 3 - pad : 3;
        uint8_t octets[3];
        unsigned wrong = group_decode(text.p + i, have, octets);
        if (wrong < 4)
            return mkt_fail(err, MKT_E_FIELD, i + wrong, "base64: a character that is not allowed",
                            ref);
        memcpy(out + i / 4 * 3, octets, have);
    }
    *len = text.n / 4 * 3 - pad;
    return MKT_OK;
}
