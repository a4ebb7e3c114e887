/* SPDX-License-Identifier: Apache-2.0 */
/* From a policy file to rules: profiles first, then each rule with the bounds of the configuration,
 * its profiles and its own lines joined. What could never grant anything, or would change a ticket
 * into one that RFC 6043 forbids, is refused here and not when the first user asks. */
#include <stdlib.h>
#include <string.h>

#include "rules_read.h"

enum place { TOP = 1, RULE = 2, PROFILE = 4 };

/* All that is collected while files are read. */
struct load {
    struct kms_reader r; /* first: what is below it sees only this */
    enum place place;
    struct kms_draft *profiles;
    size_t n_profiles, room_profiles;
    struct kms_rule *rules;
    size_t n_rules;
    bool builtin; /* what is read is ours */
};

static bool
fail_memory(struct load *l, const yaml_node_t *node)
{
    return kms_document_fail(&l->r.doc, &node->start_mark, "out of memory");
}

/* --- mappings --------------------------------------------------------------------------------- */

typedef bool take_pair(struct load *l, const void *ctx, const char *name, const yaml_node_t *key,
                       const yaml_node_t *value);

static bool
given_twice(struct load *l, const yaml_node_t *map, const yaml_node_pair_t *until, const char *name)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < until; p++)
        if (strcmp((char *)kms_document_node(&l->r.doc, p->key)->data.scalar.value, name) == 0)
            return true;
    return false;
}

/* The file has at most 1 MiB, but a mapping of a hundred thousand names would be compared for long.
 */
#define PAIRS_MAX 1000

static bool
each_pair(struct load *l, const yaml_node_t *map, const char *what, take_pair *take,
          const void *ctx)
{
    if (map->type != YAML_MAPPING_NODE)
        return kms_document_fail(&l->r.doc, &map->start_mark, "\"%s\" needs names and values",
                                 what);
    if (map->data.mapping.pairs.top - map->data.mapping.pairs.start > PAIRS_MAX)
        return kms_document_fail(&l->r.doc, &map->start_mark, "\"%s\" has too many lines", what);
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const yaml_node_t *key = kms_document_node(&l->r.doc, p->key);
        const char *name = kms_document_text(&l->r.doc, key, "name");

        if (name == NULL)
            return false;
        if (given_twice(l, map, p, name))
            return kms_document_fail(&l->r.doc, &key->start_mark, "\"%.60s\" is given twice", name);
        if (!take(l, ctx, name, key, kms_document_node(&l->r.doc, p->value)))
            return false;
    }
    return true;
}

/* --- conditions ------------------------------------------------------------------------------- */

static bool
join(struct load *l, enum kms_part_id part, enum kms_condition_id id, const struct kms_value *v,
     const yaml_node_t *node, const char *profile)
{
    const char *wrong = kms_value_join(&l->r.draft, part, id, v);

    if (wrong == NULL)
        return true;
    return kms_document_fail(&l->r.doc, &node->start_mark, "%s%s%s%s: %s",
                             profile == NULL ? "" : "profile ", profile == NULL ? "" : profile,
                             profile == NULL ? "" : ": ", kms_conditions[id].name, wrong);
}

static bool
take_value(struct load *l, enum kms_part_id part, enum kms_condition_id id, const yaml_node_t *node)
{
    struct kms_value v;

    if (!kms_value_read(&l->r, id, node, &v))
        return false;
    if (part == KMS_PART_CHANGE && id == KMS_COND_VALIDITY && !l->builtin &&
        v.a > l->r.config->max_validity_s)
        return kms_document_fail(&l->r.doc, &node->start_mark,
                                 "validity: longer than max_validity of the configuration (%u s)",
                                 l->r.config->max_validity_s);
    return join(l, part, id, &v, node, NULL);
}

static bool
take_flag_word(struct load *l, enum kms_part_id part, const struct kms_flag_word *w,
               const yaml_node_t *node)
{
    const char *text = kms_document_text(&l->r.doc, node, w->name);
    struct kms_value v = { 0 };

    if (text == NULL)
        return false;
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return kms_document_fail(&l->r.doc, &node->start_mark, "%s: true or false", w->name);
    *(text[0] == 't' ? &v.a : &v.b) = w->flag;
    return join(l, part, KMS_COND_FLAGS, &v, node, NULL);
}

/* Conditions of the part, then the other names of flags. */
static bool
part_names(const void *ctx, size_t i, char name[64])
{
    uint32_t part = 1u << *(const enum kms_part_id *)ctx;
    const struct kms_flag_word *w;

    name[0] = '\0';
    if (i < KMS_COND_COUNT) {
        if ((kms_conditions[i].parts & part) != 0)
            snprintf(name, 64, "%s", kms_conditions[i].name);
        return true;
    }
    w = &kms_flag_words[i - KMS_COND_COUNT];
    if (w->name != NULL)
        snprintf(name, 64, "%s", w->name);
    return w->name != NULL;
}

static bool
take_condition(struct load *l, const void *ctx, const char *name, const yaml_node_t *key,
               const yaml_node_t *value)
{
    enum kms_part_id part = *(const enum kms_part_id *)ctx;

    for (unsigned c = 0; c < KMS_COND_COUNT; c++)
        if ((kms_conditions[c].parts >> part & 1) != 0 && strcmp(kms_conditions[c].name, name) == 0)
            return take_value(l, part, (enum kms_condition_id)c, value);
    for (const struct kms_flag_word *w = kms_flag_words; w->name != NULL; w++)
        if (strcmp(w->name, name) == 0)
            return take_flag_word(l, part, w, value);
    return kms_document_unknown(&l->r.doc, key, "condition", part_names, ctx);
}

/* --- the lines of a rule or profile ----------------------------------------------------------- */

static bool
check_name(struct load *l, const yaml_node_t *node, const char *name)
{
    size_t n = strlen(name);

    for (const char *s = name; *s != '\0'; s++)
        if (*s < ' ' || *s >= 0x7f)
            n = 0;
    return (n > 0 && n <= KMS_RULE_NAME_MAX) ||
           kms_document_fail(&l->r.doc, &node->start_mark,
                             "a name has 1 to %d printable ASCII characters", KMS_RULE_NAME_MAX);
}

static bool
take_rule_name(struct load *l, const yaml_node_t *node)
{
    const char *name = kms_document_text(&l->r.doc, node, "rule");

    if (name == NULL || !check_name(l, node, name))
        return false;
    for (size_t i = 0; i < l->n_rules; i++)
        if (strcmp(l->rules[i].name, name) == 0)
            return kms_document_fail(&l->r.doc, &node->start_mark,
                                     "there is a rule \"%s\" already, in line %u", name,
                                     l->rules[i].line);
    l->r.draft.name = kms_arena_text(l->r.arena, name);
    return l->r.draft.name != NULL || fail_memory(l, node);
}

static bool
take_decision(struct load *l, const yaml_node_t *node)
{
    const char *text = kms_document_text(&l->r.doc, node, "decision");

    if (text == NULL)
        return false;
    l->r.draft.refuse = strcmp(text, "refuse") == 0;
    return l->r.draft.refuse || strcmp(text, "grant") == 0 ||
           kms_document_fail(&l->r.doc, &node->start_mark, "decision: grant or refuse");
}

static bool
profile_names(const void *ctx, size_t i, char name[64])
{
    const struct load *l = ctx;

    if (i >= l->n_profiles)
        return false;
    snprintf(name, 64, "%s", l->profiles[i].name);
    return true;
}

static bool
note_profile(struct load *l, const yaml_node_t *node, const char *name)
{
    struct kms_draft *d = &l->r.draft;
    size_t n = strlen(d->profiles) + strlen(name) + 3;
    char *all = kms_arena_take(l->r.arena, n);

    if (all == NULL)
        return fail_memory(l, node);
    snprintf(all, n, "%s%s%s", d->profiles, d->profiles[0] == '\0' ? "" : ", ", name);
    d->profiles = all;
    return true;
}

static bool
join_profile(struct load *l, const struct kms_draft *p, const yaml_node_t *node)
{
    for (unsigned part = 0; part < KMS_PART_COUNT; part++)
        for (unsigned c = 0; c < KMS_COND_COUNT; c++)
            if ((p->has[part] >> c & 1) != 0 &&
                !join(l, (enum kms_part_id)part, (enum kms_condition_id)c, &p->value[part][c], node,
                      p->name))
                return false;
    return true;
}

static bool
add_profile(void *ctx, const yaml_node_t *node)
{
    struct load *l = ctx;
    const char *name = kms_document_text(&l->r.doc, node, "profile");

    if (name == NULL)
        return false;
    for (size_t i = 0; i < l->n_profiles; i++)
        if (strcmp(l->profiles[i].name, name) == 0)
            return note_profile(l, node, name) && join_profile(l, &l->profiles[i], node);
    return kms_document_unknown(&l->r.doc, node, "profile", profile_names, l);
}

/* What may stand in a rule and in a profile. */
static const struct line {
    const char *name;
    unsigned places;
    enum kms_part_id part; /* when take is NULL */
    bool (*take)(struct load *l, const yaml_node_t *node);
} lines[] = {
    { "rule", RULE, KMS_PART_WHO, take_rule_name },
    { "from", RULE, KMS_PART_WHO, NULL },
    { "to", RULE, KMS_PART_WHO, NULL },
    { "profile", RULE | PROFILE, KMS_PART_WHO, NULL },
    { "when", RULE | PROFILE, KMS_PART_WHEN, NULL },
    { "change", RULE | PROFILE, KMS_PART_CHANGE, NULL },
    { "require", RULE | PROFILE, KMS_PART_REQUIRE, NULL },
    { "decision", RULE, KMS_PART_WHO, take_decision },
};

static bool
line_names(const void *ctx, size_t i, char name[64])
{
    const enum place *place = ctx;

    if (i == sizeof lines / sizeof lines[0])
        return false;
    snprintf(name, 64, "%s", (lines[i].places & *place) != 0 ? lines[i].name : "");
    return true;
}

static bool
take_line(struct load *l, const void *ctx, const char *name, const yaml_node_t *key,
          const yaml_node_t *value)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct line *line = &lines[i];

        if ((line->places & l->place) == 0 || strcmp(line->name, name) != 0)
            continue;
        if (line->take != NULL)
            return line->take(l, value);
        if (strcmp(name, "profile") == 0)
            return kms_document_each(&l->r.doc, value, name, add_profile, l);
        if (line->part == KMS_PART_WHO)
            return take_condition(l, &line->part, name, key, value);
        return each_pair(l, value, name, take_condition, &line->part);
    }
    return kms_document_unknown(&l->r.doc, key, "name", line_names, &l->place);
}

/* --- rules ------------------------------------------------------------------------------------ */

static bool
check_flags(struct load *l, const yaml_node_t *node)
{
    const struct kms_draft *d = &l->r.draft;
    const struct kms_value *c = &d->value[KMS_PART_CHANGE][KMS_COND_FLAGS];
    const struct kms_value *q = &d->value[KMS_PART_REQUIRE][KMS_COND_FLAGS];
    char buf[120];
    const char *wrong;

    if ((d->has[KMS_PART_CHANGE] >> KMS_COND_FLAGS & 1) == 0)
        return true;
    wrong = kms_flag_changes_check(c->a, c->b, buf, sizeof buf);
    if (wrong == NULL && (d->has[KMS_PART_REQUIRE] >> KMS_COND_FLAGS & 1) != 0 &&
        ((c->a & q->b) | (c->b & q->a)) != 0)
        wrong = "what is changed is not what is required";
    return wrong == NULL ||
           kms_document_fail(&l->r.doc, &node->start_mark, "change: flags: %s", wrong);
}

/* The values of each part, packed in the order in which they are looked at. */
static bool
pack(struct load *l, struct kms_rule *rule, const yaml_node_t *node)
{
    const struct kms_draft *d = &l->r.draft;

    *rule = (struct kms_rule){
        .name = d->name, .profiles = d->profiles, .line = d->line, .refuse = d->refuse
    };
    for (unsigned p = 0; p < KMS_PART_COUNT; p++) {
        uint32_t has = d->has[p];
        struct kms_value *v =
            kms_arena_take(l->r.arena, (size_t)__builtin_popcount(has) * sizeof *v);

        if (v == NULL)
            return fail_memory(l, node);
        rule->part[p] = (struct kms_part){ has, v };
        for (unsigned c = 0; c < KMS_COND_COUNT; c++)
            if ((has >> c & 1) != 0)
                *v++ = d->value[p][c];
    }
    return true;
}

static void
begin(struct load *l, const yaml_node_t *node)
{
    memset(&l->r.draft, 0, sizeof l->r.draft);
    l->r.draft.profiles = "";
    l->r.draft.line = l->builtin ? 0 : (unsigned)node->start_mark.line + 1;
}

static bool
add_rule(void *ctx, const yaml_node_t *node)
{
    struct load *l = ctx;
    struct kms_draft *d = &l->r.draft;

    l->place = RULE;
    begin(l, node);
    if (!each_pair(l, node, "rules", take_line, NULL))
        return false;
    if (d->name == NULL)
        return kms_document_fail(&l->r.doc, &node->start_mark, "\"rule\" is missing: its name");
    if (d->refuse && (d->has[KMS_PART_CHANGE] | d->has[KMS_PART_REQUIRE]) != 0)
        return kms_document_fail(&l->r.doc, &node->start_mark,
                                 "a rule that refuses neither changes nor requires anything");
    if (!check_flags(l, node) || (!d->refuse && !join_profile(l, &l->profiles[0], node)))
        return false;
    return pack(l, &l->rules[l->n_rules++], node);
}

static bool
read_rules(struct load *l, const yaml_node_t *node)
{
    size_t n = node->type != YAML_SEQUENCE_NODE
                   ? 0
                   : (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);

    if (node->type != YAML_SEQUENCE_NODE)
        return kms_document_fail(&l->r.doc, &node->start_mark, "\"rules\" needs a list of rules");
    if (n > 10000)
        return kms_document_fail(&l->r.doc, &node->start_mark, "too many rules (10000 at most)");
    l->rules = kms_arena_take(l->r.arena, n * sizeof *l->rules);
    if (l->rules == NULL)
        return fail_memory(l, node);
    return kms_document_each(&l->r.doc, node, "rules", add_rule, l);
}

/* --- profiles --------------------------------------------------------------------------------- */

static bool
room_for_profile(struct load *l)
{
    size_t room = l->room_profiles == 0 ? 16 : 2 * l->room_profiles;
    struct kms_draft *more;

    if (l->n_profiles < l->room_profiles)
        return true;
    more = realloc(l->profiles, room * sizeof *more);
    if (more == NULL)
        return false;
    l->profiles = more;
    l->room_profiles = room;
    return true;
}

static bool
read_profile(struct load *l, const void *ctx, const char *name, const yaml_node_t *key,
             const yaml_node_t *value)
{
    (void)ctx;
    l->place = PROFILE;
    begin(l, key);
    if (!check_name(l, key, name))
        return false;
    for (size_t i = 0; i < l->n_profiles; i++)
        if (strcmp(l->profiles[i].name, name) == 0)
            return kms_document_fail(&l->r.doc, &key->start_mark,
                                     "there is a profile \"%s\" already: choose another name",
                                     name);
    l->r.draft.name = kms_arena_text(l->r.arena, name);
    if (l->r.draft.name == NULL || !room_for_profile(l))
        return fail_memory(l, key);
    if (!each_pair(l, value, name, take_line, NULL) || !check_flags(l, key))
        return false;
    l->profiles[l->n_profiles++] = l->r.draft;
    return true;
}

/* --- the file --------------------------------------------------------------------------------- */

static bool
top_names(const void *ctx, size_t i, char name[64])
{
    static const char *const names[] = { "profiles", "rules" };

    (void)ctx;
    if (i == sizeof names / sizeof names[0])
        return false;
    snprintf(name, 64, "%s", names[i]);
    return true;
}

/* Profiles come first, wherever they stand: ctx is the name that is read now. */
static bool
take_top(struct load *l, const void *ctx, const char *name, const yaml_node_t *key,
         const yaml_node_t *value)
{
    if (strcmp(name, "profiles") != 0 && strcmp(name, "rules") != 0)
        return kms_document_unknown(&l->r.doc, key, "name", top_names, NULL);
    if (strcmp(name, ctx) != 0)
        return true;
    return name[0] == 'p' ? each_pair(l, value, name, read_profile, NULL) : read_rules(l, value);
}

static bool
read_root(struct load *l)
{
    const yaml_node_t *root = kms_document_root(&l->r.doc, "\"rules:\", and maybe \"profiles:\"");

    return root != NULL && each_pair(l, root, "policy", take_top, "profiles") &&
           each_pair(l, root, "policy", take_top, "rules");
}

/* text NULL: the file. */
static bool
read_document(struct load *l, const char *name, const char *text, char *err)
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
read_all(struct load *l, const char *name, const char *text, char *err)
{
    char bounds[512];

    l->builtin = true;
    if (!kms_configuration_profile(l->r.config, bounds, sizeof bounds) ||
        !read_document(l, "configuration", bounds, err) ||
        !read_document(l, "built-in profiles", kms_builtin_profiles, err))
        return false;
    l->builtin = text == kms_builtin_rules;
    return read_document(l, name, text, err);
}

static struct kms_rules *
finish(struct load *l, const char *name)
{
    struct kms_rules *rules = kms_arena_take(l->r.arena, sizeof *rules);

    if (rules == NULL)
        return NULL;
    *rules = (struct kms_rules){ .source = kms_arena_text(l->r.arena, name),
                                 .rule = l->rules,
                                 .n = l->n_rules,
                                 .arena = l->r.arena };
    return rules->source == NULL ? NULL : rules;
}

struct kms_rules *
kms_rules_parse(const struct kms_config *config, const char *name, const char *text, char *err)
{
    struct load *l = calloc(1, sizeof *l);
    struct kms_rules *rules = NULL;

    snprintf(err, KMS_DOCUMENT_ERR, "%.512s: out of memory", name);
    if (l == NULL)
        return NULL;
    l->r.config = config;
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
kms_rules_read(const struct kms_config *config, const char *path, char *err)
{
    return kms_rules_parse(config, path, NULL, err);
}

struct kms_rules *
kms_rules_load(const struct kms_config *config, char *err)
{
    if (config->policy[0] != '\0')
        return kms_rules_read(config, config->policy, err);
    return kms_rules_parse(config, "built-in", kms_builtin_rules, err);
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
