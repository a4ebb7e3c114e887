/* SPDX-License-Identifier: Apache-2.0 */
/* Crypto attributes of anyone's: what is taken is within its bounds and can be written and read
 * again; of what is refused nothing is left. */
#include "sdes.h"

#include <mikeyticket/media/sdes.h>
#include <string.h>

/* Whether n octets are all 0: padding too. */
static bool
is_wiped(const void *p, size_t n)
{
    const uint8_t *octets = p;

    while (n > 0 && octets[n - 1] == 0)
        n--;
    return n == 0;
}

const char *
mkt_sdes_holds(struct mkt_span octets)
{
    struct mkt_sdes s, again;
    struct mkt_err err = { 0 };
    char value[MKT_SDES_VALUE_MAX];
    size_t len;

    if (mkt_sdes_read(&s, octets, &err) != MKT_OK) {
        if (err.what == NULL || err.offset > octets.n)
            return "a refusal has a place";
        return is_wiped(&s, sizeof s) ? NULL : "nothing is left of what is refused";
    }
    if (s.key.n != s.suite->key_len || s.salt.n != s.suite->salt_len || s.tag == 0 ||
        s.mki_len > MKT_SDES_MKI_MAX || s.lifetime > UINT64_C(1) << 48)
        return "what is taken is within its bounds";
    if (mkt_sdes_write(value, sizeof value, &len, &s) != MKT_OK || len != strlen(value) ||
        mkt_sdes_read(&again, mkt_span((const uint8_t *)value, len), &err) != MKT_OK ||
        !mkt_sdes_same(&s, &again))
        return "what is taken comes back";
    return NULL;
}
