/* SPDX-License-Identifier: Apache-2.0 */
/* CSV as of RFC 4180, but for line ends within quotes: no value of ours has one. The first line
 * names the columns; a column with several values separates them by blanks. */
#include <string.h>

#include "import.h"

#define COLUMNS_MAX 16

static const struct {
    const char *name;
    enum kms_field field;
    bool several;
} columns[] = {
    { "identity", KMS_FIELD_IDENTITY, false },   { "aliases", KMS_FIELD_IDENTITY, true },
    { "psk-id", KMS_FIELD_PSK_ID, false },       { "psk", KMS_FIELD_PSK, false },
    { "realm", KMS_FIELD_REALM, false },         { "expires", KMS_FIELD_EXPIRES, false },
    { "suspended", KMS_FIELD_SUSPENDED, false }, { "groups", KMS_FIELD_GROUP, true },
};

/* Takes the next value of the line out of its quotes, in place. *at moves behind it and its comma;
 * *last: there was no comma. False: wrong. */
static bool
next_value(struct kms_import *in, char **at, char **value, size_t *n, bool *last)
{
    char *from = *at, *to = from;
    bool quoted = *from == '"';

    *value = to;
    for (from += quoted; *from != '\0' && (quoted || *from != ','); from++) {
        if (*from == '"' && !quoted)
            return kms_import_wrong(in, 0, "a quote within a value that has none around it");
        if (*from == '"' && from[1] != '"')
            break;
        from += *from == '"';
        *to++ = *from;
    }
    if (quoted && *from != '"')
        return kms_import_wrong(in, 0, "a quote is not closed");
    from += quoted;
    if (*from != '\0' && *from != ',')
        return kms_import_wrong(in, 0, "something follows a value in quotes");
    *n = (size_t)(to - *value);
    *last = *from == '\0';
    *at = from + !*last;
    return true;
}

static bool
read_heading(struct kms_import *in, size_t *which, size_t *n_columns)
{
    char *at = in->text, *value = at;
    bool last = false;
    size_t n = 0;

    if (memcmp(at, "\xef\xbb\xbf", 3) == 0) /* as spreadsheets write it */
        at += 3;
    for (*n_columns = 0; !last; ++*n_columns) {
        size_t k = 0;

        if (!next_value(in, &at, &value, &n, &last))
            return false;
        while (k < sizeof columns / sizeof columns[0] &&
               (strlen(columns[k].name) != n || memcmp(columns[k].name, value, n) != 0))
            k++;
        if (k == sizeof columns / sizeof columns[0] || *n_columns == COLUMNS_MAX)
            return kms_import_wrong(in, 0,
                                    "\"%.*s\" is no column: there are identity, aliases, psk-id, "
                                    "psk, realm, expires, suspended and groups",
                                    (int)n, value);
        for (size_t i = 0; i < *n_columns; i++)
            if (which[i] == k)
                return kms_import_wrong(in, 0, "the column %s stands twice", columns[k].name);
        which[*n_columns] = k;
    }
    if (which[0] != 0)
        return kms_import_wrong(in, 0, "the first column is identity");
    return true;
}

static bool
add_values(struct kms_import *in, size_t column, char *value, size_t n)
{
    size_t from = 0, to;

    if (!columns[column].several)
        return n == 0 || kms_import_add(in, columns[column].field, value, n);
    for (; from < n; from = to + 1) {
        for (to = from; to < n && value[to] != ' '; to++)
            ;
        if (to > from && !kms_import_add(in, columns[column].field, value + from, to - from))
            return false;
    }
    return true;
}

static bool
read_row(struct kms_import *in, const size_t *which, size_t n_columns)
{
    char *at = in->text, *value = at;
    bool last = false;
    size_t n = 0;

    kms_import_begin(in);
    for (size_t i = 0; i < n_columns; i++) {
        if (last)
            return kms_import_wrong(in, 0, "%zu values for %zu columns", i, n_columns);
        if (!next_value(in, &at, &value, &n, &last) || !add_values(in, which[i], value, n))
            return false;
    }
    if (!last)
        return kms_import_wrong(in, 0, "more values than columns");
    return kms_import_give(in);
}

bool
kms_import_csv(struct kms_import *in)
{
    size_t which[COLUMNS_MAX], n_columns = 0, n;

    in->line = 0;
    in->err[0] = '\0';
    rewind(in->file);
    while (kms_import_line(in, 0, &n)) {
        if (n == 0)
            continue;
        if (n_columns == 0 ? !read_heading(in, which, &n_columns) : !read_row(in, which, n_columns))
            return false;
    }
    return in->err[0] == '\0';
}
