/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and profiles: each rule is the bounds of the configuration, its profiles and its own lines
 * joined. What could never grant anything, or would change a ticket into one that RFC 6043 forbids,
 * is refused here and not when the first user asks. */
#include <stdlib.h>
#include <string.h>

#include "rules_read.h"

bool
kms_load_no_memory(struct kms_load *l, const yaml_node_t *node)
{
    return kms_document_fail(&l->r.doc, &node->start_mark, "out of memory");
}

/* --- conditions ------------------------------------------------------------------------------- */

static bool
join(struct kms_load *l, enum kms_part_id part, enum kms_condition_id id, const struct kms_value *v,
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
take_value(struct kms_load *l, enum kms_part_id part, enum kms_condition_id id,
           const yaml_node_t *node)
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
take_flag_word(struct kms_load *l, enum kms_part_id part, const struct kms_flag_word *w,
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
take_condition(void *ctx, const char *name, const yaml_node_t *key, const yaml_node_t *value)
{
    struct kms_load *l = ctx;
    enum kms_part_id part = l->part;

    for (unsigned c = 0; c < KMS_COND_COUNT; c++)
        if ((kms_conditions[c].parts >> part & 1) != 0 && strcmp(kms_conditions[c].name, name) == 0)
            return take_value(l, part, (enum kms_condition_id)c, value);
    for (const struct kms_flag_word *w = kms_flag_words; w->name != NULL; w++)
        if (strcmp(w->name, name) == 0)
            return take_flag_word(l, part, w, value);
    return kms_document_unknown(&l->r.doc, key, "condition", part_names, &l->part);
}

/* --- the lines of a rule or profile ----------------------------------------------------------- */

static bool
check_name(struct kms_load *l, const yaml_node_t *node, const char *name)
{
    size_t n = strlen(name);

    for (const char *s = name; *s != '\0'; s++)
        if (*s < ' ' || *s >= 0x7f || *s == '/') /* which ends the name of a realm */
            n = 0;
    return (n > 0 && n <= KMS_RULE_NAME_MAX) ||
           kms_document_fail(&l->r.doc, &node->start_mark,
                             "a name has 1 to %d printable ASCII characters without /",
                             KMS_RULE_NAME_MAX);
}

static bool
take_rule_name(struct kms_load *l, const yaml_node_t *node)
{
    const char *own = kms_document_text(&l->r.doc, node, "rule");
    char name[KMS_REALM_MAX + 1 + KMS_RULE_NAME_MAX + 1];

    if (own == NULL || !check_name(l, node, own))
        return false;
    snprintf(name, sizeof name, "%s%s%s", l->realm == NULL ? "" : l->realm,
             l->realm == NULL ? "" : "/", own);
    for (size_t i = 0; i < l->n_rules; i++)
        if (strcmp(l->rules[i].name, name) == 0)
            return kms_document_fail(&l->r.doc, &node->start_mark,
                                     "there is a rule \"%s\" already, in line %u", own,
                                     l->rules[i].line);
    l->r.draft.name = kms_arena_text(l->r.arena, name);
    return l->r.draft.name != NULL || kms_load_no_memory(l, node);
}

static bool
take_decision(struct kms_load *l, const yaml_node_t *node)
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
    const struct kms_load *l = ctx;

    if (i >= l->n_profiles)
        return false;
    snprintf(name, 64, "%s", l->profiles[i].name);
    return true;
}

static bool
note_profile(struct kms_load *l, const yaml_node_t *node, const char *name)
{
    struct kms_draft *d = &l->r.draft;
    size_t n = strlen(d->profiles) + strlen(name) + 3;
    char *all = kms_arena_take(l->r.arena, n);

    if (all == NULL)
        return kms_load_no_memory(l, node);
    snprintf(all, n, "%s%s%s", d->profiles, d->profiles[0] == '\0' ? "" : ", ", name);
    d->profiles = all;
    return true;
}

static bool
join_profile(struct kms_load *l, const struct kms_draft *p, const yaml_node_t *node)
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
    struct kms_load *l = ctx;
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
    bool (*take)(struct kms_load *l, const yaml_node_t *node);
} lines[] = {
    { "rule", KMS_PLACE_RULE, KMS_PART_WHO, take_rule_name },
    { "from", KMS_PLACE_RULE, KMS_PART_WHO, NULL },
    { "to", KMS_PLACE_RULE, KMS_PART_WHO, NULL },
    { "profile", KMS_PLACE_RULE | KMS_PLACE_PROFILE, KMS_PART_WHO, NULL },
    { "when", KMS_PLACE_RULE | KMS_PLACE_PROFILE, KMS_PART_WHEN, NULL },
    { "change", KMS_PLACE_RULE | KMS_PLACE_PROFILE, KMS_PART_CHANGE, NULL },
    { "require", KMS_PLACE_RULE | KMS_PLACE_PROFILE, KMS_PART_REQUIRE, NULL },
    { "decision", KMS_PLACE_RULE, KMS_PART_WHO, take_decision },
};

static bool
line_names(const void *ctx, size_t i, char name[64])
{
    const enum kms_place *place = ctx;

    if (i == sizeof lines / sizeof lines[0])
        return false;
    snprintf(name, 64, "%s", (lines[i].places & *place) != 0 ? lines[i].name : "");
    return true;
}

static bool
take_line(void *ctx, const char *name, const yaml_node_t *key, const yaml_node_t *value)
{
    struct kms_load *l = ctx;

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct line *line = &lines[i];

        if ((line->places & l->place) == 0 || strcmp(line->name, name) != 0)
            continue;
        if (line->take != NULL)
            return line->take(l, value);
        if (strcmp(name, "profile") == 0)
            return kms_document_each(&l->r.doc, value, name, add_profile, l);
        l->part = line->part;
        if (line->part == KMS_PART_WHO)
            return take_condition(l, name, key, value);
        return kms_document_pairs(&l->r.doc, value, name, take_condition, l);
    }
    return kms_document_unknown(&l->r.doc, key, "name", line_names, &l->place);
}

/* --- rules ------------------------------------------------------------------------------------ */

static bool
check_flags(struct kms_load *l, const yaml_node_t *node)
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
pack(struct kms_load *l, struct kms_rule *rule, const yaml_node_t *node)
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
            return kms_load_no_memory(l, node);
        rule->part[p] = (struct kms_part){ has, v };
        for (unsigned c = 0; c < KMS_COND_COUNT; c++)
            if ((has >> c & 1) != 0)
                *v++ = d->value[p][c];
    }
    return true;
}

static void
begin(struct kms_load *l, const yaml_node_t *node)
{
    memset(&l->r.draft, 0, sizeof l->r.draft);
    l->r.draft.profiles = "";
    l->r.draft.line = l->builtin ? 0 : (unsigned)node->start_mark.line + 1;
}

static bool
add_rule(void *ctx, const yaml_node_t *node)
{
    struct kms_load *l = ctx;
    struct kms_draft *d = &l->r.draft;

    l->place = KMS_PLACE_RULE;
    begin(l, node);
    if (!kms_document_pairs(&l->r.doc, node, "rules", take_line, l))
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

bool
kms_load_rules(struct kms_load *l, const yaml_node_t *node)
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
        return kms_load_no_memory(l, node);
    return kms_document_each(&l->r.doc, node, "rules", add_rule, l);
}

/* --- profiles --------------------------------------------------------------------------------- */

static bool
room_for_profile(struct kms_load *l)
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
read_profile(void *ctx, const char *name, const yaml_node_t *key, const yaml_node_t *value)
{
    struct kms_load *l = ctx;

    l->place = KMS_PLACE_PROFILE;
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
        return kms_load_no_memory(l, key);
    if (!kms_document_pairs(&l->r.doc, value, name, take_line, l) || !check_flags(l, key))
        return false;
    l->profiles[l->n_profiles++] = l->r.draft;
    return true;
}

bool
kms_load_profiles(struct kms_load *l, const yaml_node_t *node)
{
    return kms_document_pairs(&l->r.doc, node, "profiles", read_profile, l);
}
