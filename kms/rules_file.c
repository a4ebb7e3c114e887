/* SPDX-License-Identifier: Apache-2.0 */
/* From a policy file to the policy: profiles first, then the rules, then the files of realms in the
 * same way. All of them are good, or there is no policy. */
#include <stdlib.h>
#include <string.h>

#include "rules_read.h"

/* --- realms ----------------------------------------------------------------------------------- */

static bool read_document(struct kms_load *l, const char *name, const char *text, char *err);

/* A relative path is next to the file that names it. NULL: no memory. */
static char *
beside(struct kms_load *l, const char *path)
{
    const char *slash = path[0] == '/' ? NULL : strrchr(l->r.doc.name, '/');
    size_t dir = slash == NULL ? 0 : (size_t)(slash - l->r.doc.name) + 1, n = strlen(path) + 1;
    char *whole = kms_arena_take(l->r.arena, dir + n);

    if (whole == NULL)
        return NULL;
    memcpy(whole, l->r.doc.name, dir);
    memcpy(whole + dir, path, n);
    return whole;
}

/* The rules of a realm's file, with no profiles but its own and those that are always there. */
static bool
read_realm_file(struct kms_load *l, const char *realm, const char *path, const yaml_node_t *node)
{
    char why[KMS_DOCUMENT_ERR];
    struct kms_load in = { .r = { .arena = l->r.arena, .config = l->r.config },
                           .realm = realm,
                           .seen = l->seen,
                           .profiles = l->profiles,
                           .n_profiles = l->n_given,
                           .room_profiles = l->room_profiles };
    bool ok = read_document(&in, path, NULL, l->r.doc.err);

    l->profiles = in.profiles;
    l->room_profiles = in.room_profiles;
    if (ok)
        l->realms[l->n_realms++] =
            (struct kms_rules){ .source = path, .realm = realm, .rule = in.rules, .n = in.n_rules };
    if (!ok && !in.r.doc.failed) { /* it could not be opened, so the mistake is here */
        memcpy(why, l->r.doc.err, sizeof why);
        kms_document_fail(&l->r.doc, &node->start_mark, "%.900s", why);
    }
    return ok;
}

static bool
read_realm(void *ctx, const char *name, const yaml_node_t *key, const yaml_node_t *value)
{
    struct kms_load *l = ctx;
    const char *text = kms_document_text(&l->r.doc, value, name), *realm;
    char *path;

    if (text == NULL)
        return false;
    if (!kms_realm_valid(name, strlen(name)))
        return kms_document_fail(&l->r.doc, &key->start_mark, KMS_REALM_FORM);
    realm = kms_arena_text(l->r.arena, name);
    path = beside(l, text);
    if (realm == NULL || path == NULL || !kms_stamps_note(l->seen, path))
        return kms_load_no_memory(l, value);
    if (kms_stamps_again(l->seen))
        return kms_document_fail(&l->r.doc, &value->start_mark,
                                 "%s: that file is read already: each realm has one of its own",
                                 path);
    return read_realm_file(l, realm, path, value);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct kms_rules *)a)->realm, ((const struct kms_rules *)b)->realm);
}

static bool
read_realms(struct kms_load *l, const yaml_node_t *node)
{
    size_t n = node->type != YAML_MAPPING_NODE
                   ? 0
                   : (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);

    if (l->realm != NULL)
        return kms_document_fail(&l->r.doc, &node->start_mark,
                                 "the file of a realm has no realms of its own");
    l->realms = kms_arena_take(l->r.arena, (n + 1) * sizeof *l->realms);
    if (l->realms == NULL)
        return kms_load_no_memory(l, node);
    if (!kms_document_pairs(&l->r.doc, node, "realms", read_realm, l))
        return false;
    qsort(l->realms, l->n_realms, sizeof *l->realms, by_name);
    return true;
}

/* --- the file --------------------------------------------------------------------------------- */

/* In the order in which they are read, wherever they stand. */
static const struct kms_top {
    const char *name;
    bool (*read)(struct kms_load *l, const yaml_node_t *node);
} tops[] = { { "profiles", kms_load_profiles },
             { "rules", kms_load_rules },
             { "realms", read_realms } };

#define TOPS (sizeof tops / sizeof tops[0])

static bool
top_names(const void *ctx, size_t i, char name[64])
{
    (void)ctx;
    if (i == TOPS)
        return false;
    snprintf(name, 64, "%s", tops[i].name);
    return true;
}

static bool
take_top(void *ctx, const char *name, const yaml_node_t *key, const yaml_node_t *value)
{
    struct kms_load *l = ctx;

    for (size_t i = 0; i < TOPS; i++)
        if (strcmp(tops[i].name, name) == 0)
            return &tops[i] != l->top || tops[i].read(l, value);
    return kms_document_unknown(&l->r.doc, key, "name", top_names, NULL);
}

static bool
read_root(struct kms_load *l)
{
    const yaml_node_t *root = kms_document_root(&l->r.doc, "\"rules:\", and maybe \"profiles:\"");
    bool ok = root != NULL;

    for (l->top = tops; ok && l->top < tops + TOPS; l->top++)
        ok = kms_document_pairs(&l->r.doc, root, "policy", take_top, l);
    return ok;
}

/* text NULL: the file. */
static bool
read_document(struct kms_load *l, const char *name, const char *text, char *err)
{
    bool ok = text == NULL ? kms_document_open(&l->r.doc, name, err)
                           : kms_document_parse(&l->r.doc, name, text, err);

    if (!ok)
        return false;
    ok = read_root(l);
    if (ok && !l->builtin && l->rules == NULL)
        ok = kms_document_fail(&l->r.doc, NULL, "\"rules\" is missing");
    kms_document_close(&l->r.doc);
    return ok;
}

static bool
read_all(struct kms_load *l, const char *name, const char *text, char *err)
{
    char bounds[512];

    l->builtin = true;
    if (!kms_configuration_profile(l->r.config, bounds, sizeof bounds) ||
        !read_document(l, "configuration", bounds, err) ||
        !read_document(l, "built-in profiles", kms_builtin_profiles, err))
        return false;
    l->builtin = text == kms_builtin_rules;
    l->n_given = l->n_profiles;
    return (text != NULL || kms_stamps_note(l->seen, name)) && read_document(l, name, text, err);
}

static struct kms_rules *
finish(struct kms_load *l, const char *name)
{
    struct kms_rules *rules = kms_arena_take(l->r.arena, sizeof *rules);

    if (rules == NULL)
        return NULL;
    *rules = (struct kms_rules){ .source = kms_arena_text(l->r.arena, name),
                                 .rule = l->rules,
                                 .n = l->n_rules,
                                 .realms = l->realms,
                                 .n_realms = l->n_realms,
                                 .arena = l->r.arena };
    return rules->source == NULL ? NULL : rules;
}

static struct kms_rules *
load(const struct kms_config *config, const char *name, const char *text, struct kms_stamps *seen,
     char *err)
{
    struct kms_load *l = calloc(1, sizeof *l);
    struct kms_rules *rules = NULL;

    snprintf(err, KMS_DOCUMENT_ERR, "%.512s: out of memory", name);
    if (l == NULL)
        return NULL;
    l->r.config = config;
    l->seen = seen;
    l->r.arena = kms_arena_new();
    if (l->r.arena != NULL && read_all(l, name, text, err))
        rules = finish(l, name);
    if (rules == NULL)
        kms_arena_free(l->r.arena);
    free(l->profiles);
    free(l);
    return rules;
}

struct kms_rules *
kms_rules_parse(const struct kms_config *config, const char *name, const char *text, char *err)
{
    struct kms_stamps seen = { 0 };
    struct kms_rules *rules = load(config, name, text, &seen, err);

    kms_stamps_free(&seen);
    return rules;
}

struct kms_rules *
kms_rules_read(const struct kms_config *config, const char *path, char *err)
{
    return kms_rules_parse(config, path, NULL, err);
}

struct kms_rules *
kms_rules_follow(const struct kms_config *config, struct kms_stamps *seen, char *err)
{
    *seen = (struct kms_stamps){ 0 };
    if (config->policy[0] != '\0')
        return load(config, config->policy, NULL, seen, err);
    return load(config, "built-in", kms_builtin_rules, seen, err);
}

struct kms_rules *
kms_rules_load(const struct kms_config *config, char *err)
{
    struct kms_stamps seen;
    struct kms_rules *rules = kms_rules_follow(config, &seen, err);

    kms_stamps_free(&seen);
    return rules;
}

void
kms_rules_free(struct kms_rules *rules)
{
    if (rules != NULL)
        kms_arena_free(rules->arena);
}

void
kms_rules_release(void *rules)
{
    kms_rules_free(rules);
}
