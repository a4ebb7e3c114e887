/* SPDX-License-Identifier: Apache-2.0 */
/* The error a run ends with, the words of progress on stderr, and wiped octets. */
#include "cli.h"

#include <mikeyticket/secret.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_quiet;

bool
cli_fail(struct cli_error *e, enum cli_exit code, const char *format, ...)
{
    if (e->code != CLI_EXIT_OK)
        return false;
    va_list ap;
    va_start(ap, format);
    vsnprintf(e->text, sizeof e->text, format, ap);
    va_end(ap);
    e->code = code;
    return false;
}

bool
cli_fail_mkt(struct cli_error *e, enum cli_exit code, const char *doing, const struct mkt_err *why)
{
    char text[256];
    mkt_err_format(why, text, sizeof text);
    return cli_fail(e, code, "%s: %s", doing, text);
}

void
cli_say(const char *format, ...)
{
    if (cli_quiet)
        return;
    va_list ap;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

bool
cli_blob_alloc(struct cli_blob *b, size_t cap, struct cli_error *err)
{
    b->n = 0;
    b->cap = cap;
    b->p = malloc(cap);
    return b->p != NULL || cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
}

bool
cli_blob_set(struct cli_blob *b, struct mkt_span from, struct cli_error *err)
{
    cli_blob_free(b);
    if (!cli_blob_alloc(b, from.n, err))
        return false;
    if (from.n > 0)
        memcpy(b->p, from.p, from.n);
    b->n = from.n;
    return true;
}

void
cli_blob_free(struct cli_blob *b)
{
    mkt_wipe(b->p, b->cap);
    free(b->p);
    *b = (struct cli_blob){ 0 };
}

bool
cli_blob_print(struct cli_blob *b, const char *format, ...)
{
    size_t room = b->cap - b->n;
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf((char *)b->p + b->n, room, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room)
        return false;
    b->n += (size_t)n;
    return true;
}
