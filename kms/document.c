/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml's document, its places, and the nearest name. */
#include "document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1 << 20) /* octets of a file */
#define PAIRS_MAX 1000     /* a mapping of a hundred thousand names would be compared for long */

bool
kms_document_fail(struct kms_document *d, const yaml_mark_t *mark, const char *fmt, ...)
{
    static const yaml_mark_t top = { 0, 0, 0 };
    va_list ap;
    int n;

    if (d->failed)
        return false;
    d->failed = true;
    if (mark == NULL)
        mark = &top;
    n = snprintf(d->err, KMS_DOCUMENT_ERR, "%.512s:%zu:%zu: ", d->name, mark->line + 1,
                 mark->column + 1);
    va_start(ap, fmt);
    vsnprintf(d->err + n, KMS_DOCUMENT_ERR - (size_t)n, fmt, ap);
    va_end(ap);
    return false;
}

static size_t
distance(const char *a, const char *b)
{
    size_t row[64], na = strlen(a), nb = strlen(b);

    if (na >= 64 || nb >= 64)
        return 64;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;

            diagonal = row[j];
            row[j] = change < best ? change : best;
        }
    }
    return row[nb];
}

bool
kms_document_unknown(struct kms_document *d, const yaml_node_t *node, const char *what,
                     kms_names *names, const void *ctx)
{
    const char *text = (const char *)node->data.scalar.value;
    char best[64] = "", name[64] = "";
    size_t least = strlen(text) / 3 + 2;

    for (size_t i = 0; names(ctx, i, name); i++)
        if (name[0] != '\0' && distance(text, name) < least) {
            least = distance(text, name);
            memcpy(best, name, sizeof best);
        }
    if (best[0] == '\0')
        return kms_document_fail(d, &node->start_mark, "unknown %s \"%.60s\"", what, text);
    return kms_document_fail(d, &node->start_mark, "unknown %s \"%.60s\"; did you mean \"%s\"?",
                             what, text, best);
}

const yaml_node_t *
kms_document_node(struct kms_document *d, int number)
{
    return yaml_document_get_node(&d->doc, number);
}

const char *
kms_document_text(struct kms_document *d, const yaml_node_t *node, const char *what)
{
    const char *text;

    if (node->type != YAML_SCALAR_NODE) {
        kms_document_fail(d, &node->start_mark, "\"%s\" needs a single value", what);
        return NULL;
    }
    text = (const char *)node->data.scalar.value;
    if (strlen(text) == node->data.scalar.length)
        return text;
    kms_document_fail(d, &node->start_mark, "%s: the value holds a zero octet", what);
    return NULL;
}

bool
kms_document_each(struct kms_document *d, const yaml_node_t *node, const char *what,
                  kms_take_node *take, void *ctx)
{
    const yaml_node_item_t *item;

    if (node->type == YAML_SCALAR_NODE)
        return take(ctx, node);
    if (node->type != YAML_SEQUENCE_NODE)
        return kms_document_fail(d, &node->start_mark, "\"%s\" needs a list", what);
    if (node->data.sequence.items.start == node->data.sequence.items.top)
        return kms_document_fail(d, &node->start_mark, "\"%s\" is an empty list", what);
    for (item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
        if (!take(ctx, kms_document_node(d, *item)))
            return false;
    return true;
}

static bool
given_twice(struct kms_document *d, const yaml_node_t *map, const yaml_node_pair_t *until,
            const char *name)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < until; p++)
        if (strcmp((char *)kms_document_node(d, p->key)->data.scalar.value, name) == 0)
            return true;
    return false;
}

bool
kms_document_pairs(struct kms_document *d, const yaml_node_t *map, const char *what,
                   kms_take_pair *take, void *ctx)
{
    if (map->type != YAML_MAPPING_NODE)
        return kms_document_fail(d, &map->start_mark, "\"%s\" needs names and values", what);
    if (map->data.mapping.pairs.top - map->data.mapping.pairs.start > PAIRS_MAX)
        return kms_document_fail(d, &map->start_mark, "\"%s\" has too many lines", what);
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = kms_document_node(d, p->key);
        const char *name = kms_document_text(d, key, "name");

        if (name == NULL)
            return false;
        if (given_twice(d, map, p, name))
            return kms_document_fail(d, &key->start_mark, "\"%.60s\" is given twice", name);
        if (!take(ctx, name, key, kms_document_node(d, p->value)))
            return false;
    }
    return true;
}

const yaml_node_t *
kms_document_root(struct kms_document *d, const char *expected)
{
    const yaml_node_t *root = yaml_document_get_root_node(&d->doc);

    if (root == NULL)
        kms_document_fail(d, NULL, "the file is empty");
    else if (root->type != YAML_MAPPING_NODE)
        kms_document_fail(d, &root->start_mark, "expected %s", expected);
    else
        return root;
    return NULL;
}

/* Takes the parser in every case. */
static bool
load(struct kms_document *d, yaml_parser_t *parser)
{
    bool ok = yaml_parser_load(parser, &d->doc) != 0;

    if (!ok)
        kms_document_fail(d, &parser->problem_mark, "%s",
                          parser->problem != NULL ? parser->problem : "cannot be read");
    yaml_parser_delete(parser);
    return ok;
}

static bool
begin(struct kms_document *d, yaml_parser_t *parser, const char *name, char *err)
{
    *d = (struct kms_document){ .name = name, .err = err };
    if (yaml_parser_initialize(parser) != 0)
        return true;
    snprintf(err, KMS_DOCUMENT_ERR, "%.512s: out of memory", name);
    return false;
}

bool
kms_document_parse(struct kms_document *d, const char *name, const char *text, char *err)
{
    yaml_parser_t parser;

    if (!begin(d, &parser, name, err))
        return false;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    return load(d, &parser);
}

static FILE *
open_file(const char *path, char *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO waits for nobody */
    FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
    struct stat st;

    if (in == NULL || fstat(fd, &st) != 0)
        snprintf(err, KMS_DOCUMENT_ERR, "%.512s: cannot be read: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX)
        snprintf(err, KMS_DOCUMENT_ERR, "%.512s: not a file of at most 1 MiB", path);
    else
        return in;
    if (in != NULL)
        fclose(in);
    else if (fd >= 0)
        close(fd);
    return NULL;
}

bool
kms_document_open(struct kms_document *d, const char *path, char *err)
{
    yaml_parser_t parser;
    FILE *in = open_file(path, err);
    bool ok;

    if (in == NULL)
        return false;
    ok = begin(d, &parser, path, err);
    if (ok) {
        yaml_parser_set_input_file(&parser, in);
        ok = load(d, &parser);
    }
    fclose(in);
    return ok;
}

void
kms_document_close(struct kms_document *d)
{
    yaml_document_delete(&d->doc);
}
