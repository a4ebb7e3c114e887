/* SPDX-License-Identifier: Apache-2.0 */
/* What the runner prints: one line a fault, with the file, the step or message and the octet. */
#include "runner.h"

#include <stdarg.h>
#include <stdio.h>

void
rn_fail(struct rn *r, const char *where, const char *fmt, ...)
{
    va_list ap;
    printf("FAIL %s: %s: ", r->file, where);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    r->faults++;
}

bool
rn_same(struct rn *r, const char *where, struct mkt_span got, struct mkt_span want)
{
    size_t i = 0;
    while (i < got.n && i < want.n && got.p[i] == want.p[i])
        i++;
    if (i < got.n && i < want.n)
        rn_fail(r, where, "octet %zu is %02x, should be %02x (%zu octets, should be %zu)", i,
                got.p[i], want.p[i], got.n, want.n);
    else if (got.n != want.n)
        rn_fail(r, where, "octet %zu is %s, length is %zu, should be %zu", i,
                i == got.n ? "missing" : "left over", got.n, want.n);
    return got.n == want.n && i == got.n;
}

bool
rn_same_num(struct rn *r, const char *where, uint64_t got, uint64_t want)
{
    if (got != want)
        rn_fail(r, where, "is %llu, should be %llu", (unsigned long long)got,
                (unsigned long long)want);
    return got == want;
}

void
rn_fail_err(struct rn *r, const char *where, const struct mkt_err *err)
{
    char text[256];
    mkt_err_format(err, text, sizeof text);
    rn_fail(r, where, "refused: %s: %s", mkt_rc_name(err->rc), text);
}

bool
rn_case_end(struct rn *r)
{
    bool ok = r->faults == 0;
    if (ok)
        r->passed++;
    else
        r->failed++;
    r->faults = 0;
    return ok;
}
