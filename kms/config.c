/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over the YAML document: names against the table of options, each at most once, and the
 * place of the first thing that is wrong. */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "config_table.h"

#define FILE_MAX (1 << 20) /* octets of a configuration file */

struct load {
    struct kms_config *c;
    yaml_document_t doc;
    char *err;
    bool seen[64]; /* of each row of the table */
};

static bool __attribute__((format(printf, 3, 4)))
fail_at(struct load *l, const yaml_mark_t *mark, const char *fmt, ...)
{
    int n = snprintf(l->err, KMS_CONFIG_ERR, "%.512s:%zu:%zu: ", l->c->path, mark->line + 1,
                     mark->column + 1);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(l->err + n, KMS_CONFIG_ERR - (size_t)n, fmt, ap);
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

/* The name of a row as it stands in the group `prefix` ("" or "limits."), cut at the next dot. */
static bool
name_in(const struct kms_option *o, const char *prefix, char name[64])
{
    size_t n = strlen(prefix);

    if (strncmp(o->name, prefix, n) != 0)
        return false;
    snprintf(name, 64, "%.*s", (int)strcspn(o->name + n, "."), o->name + n);
    return true;
}

static bool
fail_unknown(struct load *l, const yaml_node_t *key, const char *prefix)
{
    const char *text = (const char *)key->data.scalar.value;
    char best[64] = "", name[64];
    size_t least = strlen(text) / 3 + 2;

    for (size_t i = 0; i < kms_n_options; i++) {
        if (!name_in(&kms_options[i], prefix, name))
            continue;
        if (distance(text, name) < least) {
            least = distance(text, name);
            memcpy(best, name, sizeof best);
        }
    }
    if (best[0] == '\0')
        return fail_at(l, &key->start_mark, "unknown option \"%.60s\"", text);
    return fail_at(l, &key->start_mark, "unknown option \"%.60s\"; did you mean \"%s\"?", text,
                   best);
}

static bool
set_scalar(struct load *l, const struct kms_option *o, const yaml_node_t *node)
{
    char buf[160];
    const char *wrong, *text;

    if (node->type != YAML_SCALAR_NODE)
        return fail_at(l, &node->start_mark, "\"%s\" needs a single value", o->name);
    text = (const char *)node->data.scalar.value;
    if (strlen(text) != node->data.scalar.length)
        return fail_at(l, &node->start_mark, "%s: the value holds a zero octet", o->name);
    wrong = kms_option_set(l->c, o, text, buf, sizeof buf);
    return wrong == NULL || fail_at(l, &node->start_mark, "%s: %s", o->name, wrong);
}

static bool
set_option(struct load *l, const struct kms_option *o, const yaml_node_t *node)
{
    bool list = o->type == KMS_OPT_LISTEN || o->type == KMS_OPT_SUITES ||
                o->type == KMS_OPT_MODES || o->type == KMS_OPT_TYPES || o->type == KMS_OPT_FILES;
    yaml_node_item_t *item;

    if (!list || node->type == YAML_SCALAR_NODE)
        return set_scalar(l, o, node);
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_at(l, &node->start_mark, "\"%s\" needs a list", o->name);
    if (node->data.sequence.items.start == node->data.sequence.items.top)
        return fail_at(l, &node->start_mark, "\"%s\" is an empty list", o->name);
    for (item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++)
        if (!set_scalar(l, o, yaml_document_get_node(&l->doc, *item)))
            return false;
    return true;
}

static bool walk(struct load *l, const yaml_node_t *map, const char *prefix);

static bool
walk_pair(struct load *l, const yaml_node_t *key, const yaml_node_t *value, const char *prefix)
{
    const char *text = (const char *)key->data.scalar.value;
    char name[64], group[80];

    if (key->type != YAML_SCALAR_NODE)
        return fail_at(l, &key->start_mark, "the name of an option must be a word");
    for (size_t i = 0; i < kms_n_options; i++) {
        const struct kms_option *o = &kms_options[i];

        if (!name_in(o, prefix, name) || strcmp(name, text) != 0)
            continue;
        snprintf(group, sizeof group, "%s%s.", prefix, name);
        if (strncmp(o->name, group, strlen(group)) == 0) {
            if (value->type != YAML_MAPPING_NODE)
                return fail_at(l, &value->start_mark, "\"%s\" needs options of its own below it",
                               name);
            return walk(l, value, group);
        }
        if (l->seen[i])
            return fail_at(l, &key->start_mark, "\"%s\" is given twice", o->name);
        l->seen[i] = true;
        return set_option(l, o, value);
    }
    return fail_unknown(l, key, prefix);
}

static bool
walk(struct load *l, const yaml_node_t *map, const char *prefix)
{
    yaml_node_pair_t *p;

    for (p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++)
        if (!walk_pair(l, yaml_document_get_node(&l->doc, p->key),
                       yaml_document_get_node(&l->doc, p->value), prefix))
            return false;
    return true;
}

static void
set_defaults(struct kms_config *c, const char *path)
{
    memset(c, 0, sizeof *c);
    snprintf(c->path, sizeof c->path, "%s", path);
    for (size_t i = 0; i < kms_n_options; i++)
        if (kms_options[i].max != 0)
            memcpy((char *)c + kms_options[i].offset, &kms_options[i].standard, sizeof(uint32_t));
}

static bool
finish(struct load *l, const yaml_node_t *root)
{
    static const char *const required[] = { "identity", "listen", "store" };
    struct kms_config *c = l->c;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    for (size_t r = 0; r < sizeof required / sizeof required[0]; r++)
        for (size_t i = 0; i < kms_n_options; i++)
            if (strcmp(kms_options[i].name, required[r]) == 0 && !l->seen[i])
                return fail_at(l, &root->start_mark, "\"%s\" is missing: %s", required[r],
                               kms_options[i].help);
    if (c->certificate.n != c->private_key.n)
        return fail_at(l, &root->start_mark, "each \"certificate\" needs its \"private_key\"");
    if (c->certificate.n > 0 && c->trust.n == 0)
        return fail_at(l, &root->start_mark,
                       "\"trust\" is missing: without it nobody's signature is accepted");
    if (c->vault != 0 && c->kek[0] == '\0')
        return fail_at(l, &root->start_mark,
                       "\"vault: process\" needs a \"kek\": it opens sealed keys only");
    if (c->workers == 0)
        c->workers = cores < 1 ? 1 : cores > 256 ? 256 : (uint32_t)cores;
    if (c->suites == 0)
        c->suites = 1u << MKT_PRF_MIKEY_1 | 1u << MKT_PRF_HMAC_SHA_256;
    if (c->modes == 0)
        c->modes = 1u << 1 | 1u << 2 | 1u << 3;
    if (c->ticket_types == 0)
        c->ticket_types = KMS_MAKES_BASE;
    if (c->source_burst == 0)
        c->source_burst = 2 * c->source_rate;
    if (c->identity_burst == 0)
        c->identity_burst = 2 * c->identity_rate;
    return true;
}

static bool
check(struct load *l)
{
    static const yaml_mark_t top = { 0, 0, 0 };
    const yaml_node_t *root = yaml_document_get_root_node(&l->doc);

    if (root == NULL)
        return fail_at(l, &top, "the file is empty");
    if (root->type != YAML_MAPPING_NODE)
        return fail_at(l, &root->start_mark, "expected options as \"name: value\"");
    return walk(l, root, "") && finish(l, root);
}

static bool
parse(struct load *l, FILE *in)
{
    yaml_parser_t parser;
    bool ok = false;

    if (!yaml_parser_initialize(&parser)) {
        snprintf(l->err, KMS_CONFIG_ERR, "%.512s: out of memory", l->c->path);
        return false;
    }
    yaml_parser_set_input_file(&parser, in);
    if (!yaml_parser_load(&parser, &l->doc)) {
        fail_at(l, &parser.problem_mark, "%s",
                parser.problem != NULL ? parser.problem : "cannot be read");
    } else {
        ok = check(l);
        yaml_document_delete(&l->doc);
    }
    yaml_parser_delete(&parser);
    return ok;
}

bool
kms_config_load(struct kms_config *c, const char *path, char *err)
{
    struct load l = { .c = c, .err = err };
    struct stat st;
    FILE *in;
    bool ok;

    set_defaults(c, path);
    in = fopen(path, "re");
    if (in == NULL || fstat(fileno(in), &st) != 0) {
        snprintf(err, KMS_CONFIG_ERR, "%.512s: cannot be read: %s", path, strerror(errno));
        if (in != NULL)
            fclose(in);
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        snprintf(err, KMS_CONFIG_ERR, "%.512s: not a file of at most 1 MiB", path);
        fclose(in);
        return false;
    }
    ok = parse(&l, in);
    fclose(in);
    return ok;
}
