/* SPDX-License-Identifier: Apache-2.0 */
#include "pattern.h"

#include <string.h>

/* Where the star is, SIZE_MAX without one: at the beginning or behind the colon of a scheme that
 * has letters only, and followed by @ and a domain. */
static size_t
star_of(struct mkt_span s)
{
    const uint8_t *at = s.n == 0 ? NULL : memchr(s.p, '*', s.n);
    size_t i = at == NULL ? SIZE_MAX : (size_t)(at - s.p);

    if (at == NULL || s.n - i < 3 || s.p[i + 1] != '@')
        return SIZE_MAX;
    if (i > 0 && s.p[i - 1] != ':')
        return SIZE_MAX;
    return memchr(s.p + i + 2, '@', s.n - i - 2) == NULL && memchr(s.p, '@', i) == NULL ? i
                                                                                        : SIZE_MAX;
}

bool
kms_pattern_is(const char *text)
{
    return star_of(mkt_span(text, strlen(text))) != SIZE_MAX;
}

bool
kms_is_pattern(struct mkt_identity id)
{
    return (id.type == MKT_ID_URI || id.type == MKT_ID_NAI) && star_of(id.data) != SIZE_MAX;
}

bool
kms_pattern_matches(struct mkt_identity pattern, struct mkt_identity who)
{
    size_t star, tail;

    if (!kms_is_pattern(pattern) || who.data.p == NULL || who.type != pattern.type)
        return false;
    star = star_of(pattern.data);
    tail = pattern.data.n - star - 1; /* the @ and what follows */
    return who.data.n > star + tail && memcmp(who.data.p, pattern.data.p, star) == 0 &&
           memcmp(who.data.p + who.data.n - tail, pattern.data.p + star + 1, tail) == 0 &&
           memchr(who.data.p + star, '@', who.data.n - star - tail) == NULL;
}
