/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of fixed order: CS ID, SSRC, ROC, SEQ, length, identity. */
#include "group_roster.h"

#include <string.h>

#define HEAD 12 /* octets before the identity */

static void
put(uint8_t *p, uint32_t v, unsigned n)
{
    while (n-- > 0) {
        p[n] = (uint8_t)v;
        v >>= 8;
    }
}

static uint32_t
get(const uint8_t *p, unsigned n)
{
    uint32_t v = 0;

    while (n-- > 0)
        v = v << 8 | *p++;
    return v;
}

bool
group_roster_write(uint8_t *out, size_t cap, size_t *n, const struct group_entry *e)
{
    size_t len = strlen(e->name);
    uint8_t *p = out + *n;

    if (len > UINT8_MAX || cap - *n < HEAD + len)
        return false;
    p[0] = e->voice.cs_id;
    put(p + 1, e->voice.ssrc, 4);
    put(p + 5, e->voice.roc, 4);
    put(p + 9, e->voice.seq, 2);
    p[11] = (uint8_t)len;
    memcpy(p + HEAD, e->name, len);
    *n += HEAD + len;
    return true;
}

bool
group_roster_read(struct mkt_span *rest, struct group_entry *e)
{
    const uint8_t *p = rest->p;

    if (rest->n < HEAD || rest->n - HEAD < p[11])
        return false;
    e->voice = (struct group_voice){ p[0], get(p + 1, 4), get(p + 5, 4), (uint16_t)get(p + 9, 2) };
    memcpy(e->name, p + HEAD, p[11]);
    e->name[p[11]] = '\0';
    for (char *c = e->name; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    *rest = mkt_span(p + HEAD + p[11], rest->n - HEAD - p[11]);
    return true;
}
