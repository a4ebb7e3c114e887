/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets end here. base/ knows no cryptographic library, so wiping rests on explicit_bzero and
 * the comparison is written out, with a barrier that keeps the compiler from leaving early. */
#include <mikeyticket/secret.h>

#include "base/ct.h"

#include <string.h>

void
mkt_wipe(void *p, size_t n)
{
    if (p != NULL)
        explicit_bzero(p, n);
}

/* All of it, not only the octets in use: 130 octets take 3 ns, and whoever shortened a secret by
 * setting n need not think of its tail. */
void
mkt_secret_wipe(struct mkt_secret *s)
{
    explicit_bzero(s, sizeof *s);
}

enum mkt_rc
mkt_secret_set(struct mkt_secret *s, struct mkt_span from)
{
    mkt_secret_wipe(s); /* no tail of a longer predecessor survives */
    if (from.n > sizeof s->b)
        return MKT_E_ARGUMENT;
    if (from.n != 0)
        memcpy(s->b, from.p, from.n);
    s->n = (uint16_t)from.n;
    return MKT_OK;
}

/* Lengths are public, contents are not. The one verdict is declassified here and nowhere else. */
bool
mkt_ct_equal(struct mkt_span a, struct mkt_span b)
{
    unsigned differ = 0;
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        differ |= (unsigned)(a.p[i] ^ b.p[i]);
        __asm__("" : "+r"(differ)); /* its value is unknown from here: no shortcut is provable */
    }
    MKT_CT_PUBLIC(&differ, sizeof differ);
    return differ == 0;
}
