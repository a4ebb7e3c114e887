/* SPDX-License-Identifier: Apache-2.0 */
/* The decision: which rule, and what of it does not hold. Nothing here allocates or waits. */
#include "rules.h"

#include <string.h>

#include "conditions.h"

#define ALL UINT32_MAX

/* The first condition of the part, out of `which`, that does not hold; all of them are shown to the
 * trace. */
static enum kms_condition_id
first_broken(const struct kms_rule *rule, enum kms_part_id id, uint32_t which,
             const struct kms_question *q, const struct kms_trace *trace)
{
    const struct kms_part *part = &rule->part[id];
    const struct kms_value *value = part->value;
    enum kms_condition_id broken = KMS_COND_COUNT;

    for (uint32_t left = part->has; left != 0; left &= left - 1, value++) {
        unsigned c = (unsigned)__builtin_ctz(left);
        bool held;

        if ((which >> c & 1) == 0)
            continue;
        held = kms_conditions[c].holds(value, q);
        if (!held && broken == KMS_COND_COUNT)
            broken = (enum kms_condition_id)c;
        if (trace != NULL)
            trace->condition(trace->ctx, rule, id, (enum kms_condition_id)c, value, held, q);
        else if (!held)
            return broken;
    }
    return broken;
}

/* The same of a whole part, unwatched: what is done most. */
static inline bool
all_hold(const struct kms_part *part, const struct kms_question *q)
{
    const struct kms_value *value = part->value;

    for (uint32_t left = part->has; left != 0; left &= left - 1, value++)
        if (!kms_conditions[__builtin_ctz(left)].holds(value, q))
            return false;
    return true;
}

static bool
applies_watched(const struct kms_rule *rule, const struct kms_question *q,
                const struct kms_trace *trace)
{
    bool who, when;

    trace->rule(trace->ctx, rule, q);
    who = first_broken(rule, KMS_PART_WHO, ALL, q, trace) == KMS_COND_COUNT;
    when = first_broken(rule, KMS_PART_WHEN, ALL, q, trace) == KMS_COND_COUNT;
    return who && when;
}

static inline bool
applies(const struct kms_rule *rule, const struct kms_question *q, const struct kms_trace *trace)
{
    if (trace != NULL)
        return applies_watched(rule, q, trace);
    return all_hold(&rule->part[KMS_PART_WHO], q) && all_hold(&rule->part[KMS_PART_WHEN], q);
}

static int
compare(struct mkt_span name, const char *other)
{
    size_t n = strlen(other);
    int order = memcmp(name.p, other, name.n < n ? name.n : n);

    return order != 0 ? order : (name.n > n) - (name.n < n);
}

const struct kms_rules *
kms_rules_of_realm(const struct kms_rules *rules, struct mkt_span realm)
{
    size_t from = 0, to = realm.p == NULL ? 0 : rules->n_realms;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = compare(realm, rules->realms[middle].realm);

        if (order == 0)
            return &rules->realms[middle];
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return rules;
}

const struct kms_rule *
kms_rules_match(const struct kms_rules *rules, const struct kms_question *q,
                const struct kms_trace *trace)
{
    rules = kms_rules_of(rules, &q->from, q->people);
    for (size_t i = 0; i < rules->n; i++)
        if (applies(&rules->rule[i], q, trace))
            return &rules->rule[i];
    return NULL;
}

enum kms_condition_id
kms_rule_require(const struct kms_rule *rule, uint32_t which, const struct kms_question *q,
                 const struct kms_trace *trace)
{
    return first_broken(rule, KMS_PART_REQUIRE, which, q, trace);
}
