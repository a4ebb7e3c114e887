/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the values of conditions and joining them. */
#include <stdlib.h>
#include <string.h>

#include "rules_read.h"

/* --- reading ---------------------------------------------------------------------------------- */

struct list {
    struct kms_reader *r;
    const struct kms_condition *c;
    struct kms_value *v;
    struct kms_selector *patterns;
};

static bool
add_pattern(void *ctx, const yaml_node_t *node)
{
    struct list *l = ctx;
    const char *text = kms_document_text(&l->r->doc, node, l->c->name), *wrong;

    if (text == NULL)
        return false;
    text = kms_arena_text(l->r->arena, text);
    if (text == NULL)
        return kms_document_fail(&l->r->doc, &node->start_mark, "out of memory");
    wrong = kms_selector_make(&l->patterns[l->v->n], text);
    if (wrong != NULL)
        return kms_document_fail(&l->r->doc, &node->start_mark, "%s: %s: \"%.60s\"", l->c->name,
                                 wrong, text);
    l->v->n++;
    return true;
}

static bool
read_patterns(struct list *l, const yaml_node_t *node)
{
    size_t n = node->type == YAML_SEQUENCE_NODE
                   ? (size_t)(node->data.sequence.items.top - node->data.sequence.items.start)
                   : 1;

    l->patterns = kms_arena_take(l->r->arena, n * sizeof *l->patterns);
    if (l->patterns == NULL)
        return kms_document_fail(&l->r->doc, &node->start_mark, "out of memory");
    l->v->list = l->patterns;
    return kms_document_each(&l->r->doc, node, l->c->name, add_pattern, l);
}

static bool
word_names(const void *ctx, size_t i, char name[64])
{
    const char *const *words = ctx;

    if (words[i] == NULL)
        return false;
    snprintf(name, 64, "%s", words[i]);
    return true;
}

/* They are few: all are named. */
static bool
fail_word(struct list *l, const yaml_node_t *node, const char *text)
{
    char all[80] = "";
    size_t n = 0;

    for (size_t i = 0; l->c->words[i] != NULL && n < sizeof all; i++)
        if (l->c->words[i][0] != '\0')
            n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", n == 0 ? "" : ", ",
                                  l->c->words[i]);
    return kms_document_fail(&l->r->doc, &node->start_mark, "%s: \"%.60s\" is not one of %s",
                             l->c->name, text, all);
}

static bool
add_word(void *ctx, const yaml_node_t *node)
{
    struct list *l = ctx;
    const char *text = kms_document_text(&l->r->doc, node, l->c->name);

    if (text == NULL)
        return false;
    for (uint32_t i = 0; text[0] != '\0' && l->c->words[i] != NULL; i++)
        if (strcmp(l->c->words[i], text) == 0) {
            l->v->a |= 1u << i;
            return true;
        }
    return fail_word(l, node, text);
}

static bool
read_number(struct kms_reader *r, const struct kms_condition *c, const yaml_node_t *node,
            uint32_t *out)
{
    static const char letters[] = "smhd";
    static const uint32_t factors[] = { 1, 60, 3600, 86400 };
    bool time = c->type == KMS_VALUE_TIME;
    const char *text = kms_document_text(&r->doc, node, c->name), *unit;
    size_t digits;
    uint64_t v;

    if (text == NULL)
        return false;
    digits = strspn(text, "0123456789");
    unit = text[digits] == '\0' ? letters : time ? strchr(letters, text[digits]) : NULL;
    if (digits == 0 || digits > 9 || unit == NULL ||
        (text[digits] != '\0' && text[digits + 1] != '\0'))
        return kms_document_fail(&r->doc, &node->start_mark, "%s: not a %s: \"%.40s\"", c->name,
                                 time ? "time such as 90s, 15m, 1h or 30d" : "number", text);
    v = strtoull(text, NULL, 10) * factors[unit - letters];
    if (v < c->min || v > c->max)
        return kms_document_fail(&r->doc, &node->start_mark, "%s: must be from %u to %u%s", c->name,
                                 c->min, c->max, time ? " seconds" : "");
    *out = (uint32_t)v;
    return true;
}

static bool
read_letters(struct kms_reader *r, const struct kms_condition *c, const yaml_node_t *node,
             uint32_t *out)
{
    const char *text = kms_document_text(&r->doc, node, c->name);

    if (text == NULL)
        return false;
    for (*out = 0; *text != '\0'; text++) {
        if (*text < 'D' || *text > 'O' || *text == 'K')
            break;
        *out |= (uint32_t)MKT_TP_D >> (*text - 'D');
    }
    if (*text == '\0' && *out != 0)
        return true;
    return kms_document_fail(&r->doc, &node->start_mark,
                             "%s: letters of DEFGHIJLMNO (RFC 6043 6.10)", c->name);
}

/* {set: ..., clear: ...} and {min: ..., max: ...} */
static bool
read_pair(struct kms_reader *r, const struct kms_condition *c, const yaml_node_t *node,
          struct kms_value *v)
{
    static const char *const flags[] = { "set", "clear", NULL };
    static const char *const range[] = { "min", "max", NULL };
    const char *const *names = c->type == KMS_VALUE_FLAGS ? flags : range;
    yaml_node_pair_t *p;
    unsigned seen = 0;

    if (node->type != YAML_MAPPING_NODE ||
        node->data.mapping.pairs.start == node->data.mapping.pairs.top)
        return kms_document_fail(&r->doc, &node->start_mark,
                                 "\"%s\" needs %s and %s, or one of them, below it", c->name,
                                 names[0], names[1]);
    for (p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = kms_document_node(&r->doc, p->key);
        const yaml_node_t *value = kms_document_node(&r->doc, p->value);
        const char *text = kms_document_text(&r->doc, key, c->name);
        unsigned which;

        if (text == NULL)
            return false;
        which = strcmp(text, names[0]) == 0 ? 0 : strcmp(text, names[1]) == 0 ? 1 : 2;
        if (which == 2)
            return kms_document_unknown(&r->doc, key, "name", word_names, names);
        if ((seen >> which & 1) != 0)
            return kms_document_fail(&r->doc, &key->start_mark, "\"%s\" is given twice", text);
        seen |= 1u << which;
        if (!(names == flags ? read_letters : read_number)(r, c, value, which == 0 ? &v->a : &v->b))
            return false;
    }
    return true;
}

bool
kms_value_read(struct kms_reader *r, enum kms_condition_id id, const yaml_node_t *node,
               struct kms_value *v)
{
    const struct kms_condition *c = &kms_conditions[id];
    struct list l = { .r = r, .c = c, .v = v };

    *v = (struct kms_value){ 0 };
    switch (c->type) {
    case KMS_VALUE_PATTERNS:
        return read_patterns(&l, node);
    case KMS_VALUE_WORDS:
        return kms_document_each(&r->doc, node, c->name, add_word, &l);
    case KMS_VALUE_RANGE:
        v->a = c->min;
        v->b = c->max;
        return read_pair(r, c, node, v);
    case KMS_VALUE_FLAGS:
        return read_pair(r, c, node, v);
    case KMS_VALUE_NUMBER:
    case KMS_VALUE_TIME:
        return read_number(r, c, node, &v->a);
    }
    return false;
}

/* --- joining ---------------------------------------------------------------------------------- */

static bool
same_list(const struct kms_value *a, const struct kms_value *b)
{
    for (size_t i = 0; i < a->n; i++)
        if (i == b->n || strcmp(a->list[i].text, b->list[i].text) != 0)
            return false;
    return a->n == b->n;
}

static uint32_t
smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static const char *
narrow(enum kms_value_type type, struct kms_value *v, const struct kms_value *by)
{
    switch (type) {
    case KMS_VALUE_PATTERNS:
        return same_list(v, by) ? NULL : "another list stands in a profile of this rule already";
    case KMS_VALUE_WORDS:
        v->a &= by->a;
        return v->a != 0 ? NULL : "nothing is left of what the others allow";
    case KMS_VALUE_FLAGS:
        v->a |= by->a;
        v->b |= by->b;
        return NULL;
    case KMS_VALUE_RANGE:
        v->a = v->a > by->a ? v->a : by->a;
        v->b = smaller(v->b, by->b);
        return NULL;
    case KMS_VALUE_NUMBER:
    case KMS_VALUE_TIME:
        v->a = smaller(v->a, by->a);
        return NULL;
    }
    return NULL;
}

const char *
kms_value_join(struct kms_draft *d, enum kms_part_id part, enum kms_condition_id id,
               const struct kms_value *v)
{
    enum kms_value_type type = kms_conditions[id].type;
    struct kms_value *into = &d->value[part][id];
    const char *wrong = NULL;

    if ((d->has[part] >> id & 1) != 0)
        wrong = narrow(type, into, v);
    else
        *into = *v;
    d->has[part] |= 1u << id;
    if (wrong == NULL && type == KMS_VALUE_FLAGS && (into->a & into->b) != 0)
        wrong = "one is both set and cleared";
    if (wrong == NULL && type == KMS_VALUE_RANGE && into->a > into->b)
        wrong = "min is more than max";
    return wrong;
}

/* A flag that is set takes what it implies with it, one that is cleared what implies it: written
 * out by who makes the rule, since nothing is to be weakened silently. D and K are the KMS's. */
const char *
kms_flag_changes_check(uint32_t set, uint32_t clear, char *buf, size_t cap)
{
    size_t n;
    const struct mkt_flag_rule *rules = mkt_flag_rules(&n);
    char also[13];

    if (((set | clear) & (MKT_TP_D | MKT_TP_N | MKT_TP_O)) != 0)
        return "D, N and O say what a ticket is, and cannot be changed";
    for (size_t i = 0; i < n; i++) {
        uint32_t flag = rules[i].flag, needs = rules[i].needs;
        uint32_t caused = rules[i].when ? set : clear;
        const char *how = "set";

        if ((needs & MKT_TP_D) != 0 || (flag & MKT_TP_D) != 0)
            continue;
        if ((caused & flag) != 0 && (set & needs) == 0) {
            mkt_policy_flags_format((uint16_t)needs, also);
        } else if ((clear & needs) != 0 && ((rules[i].when ? clear : set) & flag) == 0) {
            mkt_policy_flags_format((uint16_t)flag, also);
            how = rules[i].when ? "clear" : "set";
        } else {
            continue;
        }
        snprintf(buf, cap, "%s: %s %s too (RFC 6043 6.10)", rules[i].say + strlen("flags: "), how,
                 also);
        return buf;
    }
    return NULL;
}
