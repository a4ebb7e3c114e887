/* SPDX-License-Identifier: Apache-2.0 */
/* Run under valgrind with secrets marked undefined: every branch or address that depends on one is
 * reported. "equal" runs the library's comparison, which must pass; "leaky" one that leaves at the
 * first difference, which must be reported, or the whole test proves nothing. */
#include "base/ct.h"

#include <mikeyticket/secret.h>

#include <stdio.h>
#include <string.h>

static bool
leaky_equal(struct mkt_span a, struct mkt_span b)
{
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] != b.p[i])
            return false;
    }
    return true;
}

/* Compares MACs as a receiver does: the expected one is secret until the verdict. */
static bool
verdicts_are_right(bool (*equal)(struct mkt_span, struct mkt_span))
{
    uint8_t expected[32], received[32];
    bool ok = true;
    for (unsigned differing = 0; differing <= sizeof expected; differing++) {
        memset(expected, 0x5a, sizeof expected);
        memset(received, 0x5a, sizeof received);
        if (differing < sizeof expected)
            received[differing] ^= 1;
        MKT_CT_SECRET(expected, sizeof expected);
        bool same = equal(mkt_span(expected, sizeof expected), mkt_span(received, sizeof received));
        ok = ok && same == (differing == sizeof expected);
    }
    return ok;
}

static bool
secrets_move_without_branches(void)
{
    uint8_t octets[40] = { 7 };
    struct mkt_secret s = { 0 };
    MKT_CT_SECRET(octets, sizeof octets);
    bool ok = mkt_secret_set(&s, mkt_span(octets, sizeof octets)) == MKT_OK;
    mkt_secret_wipe(&s);
    return ok && s.n == 0 && s.b[0] == 0; /* wiped octets are no secret any more */
}

int
main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "leaky") == 0)
        return verdicts_are_right(leaky_equal) ? 0 : 1;
    if (argc == 2 && strcmp(argv[1], "equal") == 0)
        return verdicts_are_right(mkt_ct_equal) && secrets_move_without_branches() ? 0 : 1;
    fputs("usage: ct equal|leaky, under valgrind\n", stderr);
    return 2;
}
