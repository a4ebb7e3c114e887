/* SPDX-License-Identifier: Apache-2.0 */
/* Recursive descent without a tree. It knows only what the printer may write: integers and not
 * numbers in general, and at most DEPTH_MAX levels. */
#include "json.h"

#include <string.h>

#define DEPTH_MAX 64

struct scan {
    const char *p, *end;
    unsigned depth;
};

static bool value(struct scan *s);

static void
space(struct scan *s)
{
    while (s->p < s->end && strchr(" \t\r\n", *s->p) != NULL && *s->p != '\0')
        s->p++;
}

static bool
eat(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool
word(struct scan *s, const char *w)
{
    size_t n = strlen(w);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool
escape(struct scan *s)
{
    if (s->p == s->end || *s->p == '\0' || strchr("\"\\/bfnrtu", *s->p) == NULL)
        return false;
    if (*s->p++ != 'u')
        return true;
    for (int i = 0; i < 4; i++, s->p++)
        if (s->p == s->end || *s->p == '\0' || strchr("0123456789abcdefABCDEF", *s->p) == NULL)
            return false;
    return true;
}

static bool
string(struct scan *s)
{
    if (!eat(s, '"'))
        return false;
    while (s->p < s->end && *s->p != '"') {
        char c = *s->p++;
        if ((unsigned char)c < 0x20 || (unsigned char)c > 0x7E || (c == '\\' && !escape(s)))
            return false;
    }
    return eat(s, '"');
}

static bool
integer(struct scan *s)
{
    const char *start = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p != start && (*start != '0' || s->p == start + 1);
}

/* Members of an object or list up to `close`. */
static bool
members(struct scan *s, char close, bool named)
{
    space(s);
    if (eat(s, close))
        return true;
    do {
        space(s);
        if (named) {
            if (!string(s))
                return false;
            space(s);
            if (!eat(s, ':'))
                return false;
        }
        if (!value(s))
            return false;
        space(s);
    } while (eat(s, ','));
    return eat(s, close);
}

static bool
value(struct scan *s)
{
    bool ok = false;
    if (++s->depth > DEPTH_MAX)
        return false;
    space(s);
    if (eat(s, '{'))
        ok = members(s, '}', true);
    else if (eat(s, '['))
        ok = members(s, ']', false);
    else if (s->p < s->end && *s->p == '"')
        ok = string(s);
    else
        ok = word(s, "true") || word(s, "false") || word(s, "null") || integer(s);
    s->depth--;
    return ok;
}

bool
mkt_json_valid(const char *s, size_t n)
{
    struct scan scan = { s, s + n, 0 };
    if (!value(&scan))
        return false;
    space(&scan);
    return scan.p == scan.end;
}
