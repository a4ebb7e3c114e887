/* SPDX-License-Identifier: Apache-2.0 */
/* The octets of a key-mgmt line. */
#include <mikeyticket/media/sdp.h>
#include <string.h>

#include "base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char ref[] = "RFC 4567 3";

/* The first of n characters that is no digit; when all are, the last one has stray bits. */
static size_t
wrong_at(struct mkt_span text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memchr(digits, text.p[i], sizeof digits - 1) == NULL)
            return i;
    return n - 1;
}

enum mkt_rc
mkt_sdp_decode(struct mkt_span text, uint8_t *out, size_t cap, size_t *len, struct mkt_err *err)
{
    size_t pad;

    *len = 0;
    if (text.n % 4 != 0 || text.n == 0)
        return mkt_fail(err, MKT_E_FIELD, text.n, "base64: not groups of four characters", ref);
    pad = text.p[text.n - 1] != '=' ? 0 : text.p[text.n - 2] != '=' ? 1 : 2;
    if (text.n / 4 * 3 - pad > cap)
        return mkt_fail(err, MKT_E_NO_SPACE, 0, "base64: longer than a MIKEY message", ref);
    if (mkt_base64_decode((const char *)text.p, text.n, out, cap, len))
        return MKT_OK;
    *len = 0;
    return mkt_fail(err, MKT_E_FIELD, wrong_at(text, text.n - pad),
                    "base64: a character that is not allowed", ref);
}
