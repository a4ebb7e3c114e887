/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that fails when a test wants it to: `left` allocations are given, then one is refused.
 * Allocations inside libcrypto fail like the library's own. */
#ifndef MKT_TESTS_FAILING_ALLOC_H
#define MKT_TESTS_FAILING_ALLOC_H

#include <mikeyticket/env.h>
#include <openssl/crypto.h>

#include <stdlib.h>

static long left = -1; /* allocations until one fails; -1: none does */

static bool
fails(void)
{
    if (left < 0)
        return false;
    return left-- == 0;
}

static void *
counted_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : malloc(n);
}

static void *
counted_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return fails() ? NULL : realloc(p, n);
}

static void
counted_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    free(p);
}

/* Call it first of all. libcrypto sets itself up once, on first use; only what comes after is a
 * call's. */
static bool
failing_alloc_begin(void)
{
    if (CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) != 1)
        return false;
    struct mkt_crypto *c = mkt_crypto_new();
    bool ok = c != NULL && mkt_crypto_selftest(c);
    mkt_crypto_free(c);
    return ok;
}

#endif
