/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers share. */
#include "import.h"

#include <stdarg.h>
#include <string.h>

#include <mikeyticket/secret.h>

bool
kms_import_wrong(struct kms_import *in, size_t line, const char *fmt, ...)
{
    int n = snprintf(in->err, sizeof in->err, "%s:%zu: ", in->path, line != 0 ? line : in->line);
    va_list ap;

    if (n < 0 || (size_t)n >= sizeof in->err)
        return false;
    va_start(ap, fmt);
    vsnprintf(in->err + n, sizeof in->err - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

bool
kms_import_line(struct kms_import *in, size_t keep, size_t *n)
{
    int c;

    *n = keep;
    in->line++;
    while ((c = getc(in->file)) != EOF && c != '\n') {
        if (*n == KMS_IMPORT_LINE)
            return kms_import_wrong(in, 0, "longer than %d octets", KMS_IMPORT_LINE);
        if (c == '\0')
            return kms_import_wrong(in, 0, "an octet 0: this is no text");
        in->text[(*n)++] = (char)c;
    }
    if (ferror(in->file))
        return kms_import_wrong(in, 0, "cannot be read");
    if (*n > keep && in->text[*n - 1] == '\r')
        (*n)--;
    in->text[*n] = '\0';
    return c != EOF || *n > keep;
}

void
kms_import_begin(struct kms_import *in)
{
    if (in->entry.used > 0)
        mkt_wipe(in->entry.texts.p, in->entry.used);
    in->entry.n = 0;
    in->entry.used = 0;
    in->entry.line = in->line;
}

bool
kms_import_add(struct kms_import *in, enum kms_field field, const char *text, size_t n)
{
    struct kms_entry *e = &in->entry;
    const struct kms_value v = { field, in->line, e->used };

    if (!kms_block_grow(&e->values, (e->n + 1) * sizeof v) ||
        !kms_block_grow(&e->texts, e->used + n + 1))
        return kms_import_wrong(in, 0, "out of memory");
    memcpy(e->values.p + e->n * sizeof v, &v, sizeof v);
    memcpy(e->texts.p + e->used, text, n);
    e->texts.p[e->used + n] = '\0';
    e->used += n + 1;
    e->n++;
    return true;
}

bool
kms_import_give(struct kms_import *in)
{
    return in->entry.n == 0 || in->each(in->ctx, in);
}

const char *
kms_entry_value(const struct kms_entry *e, enum kms_field field, size_t i, size_t *line)
{
    const struct kms_value *v = (const struct kms_value *)(const void *)e->values.p;

    for (size_t k = 0; k < e->n; k++) {
        if (v[k].field != field || i-- > 0)
            continue;
        if (line != NULL)
            *line = v[k].line;
        return (const char *)e->texts.p + v[k].text;
    }
    return NULL;
}

void
kms_import_free(struct kms_import *in)
{
    kms_block_free(&in->entry.texts, in->entry.used);
    kms_block_free(&in->entry.values, 0);
    mkt_wipe(in->text, sizeof in->text);
}
