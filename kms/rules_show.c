/* SPDX-License-Identifier: Apache-2.0 */
/* The rules in force as a policy file: what it prints can be read again, and is the same policy. */
#include <string.h>

#include "conditions.h"

void
kms_duration_print(FILE *out, uint32_t seconds)
{
    static const struct {
        uint32_t seconds;
        char letter;
    } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' } };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (seconds > 0 && seconds % units[i].seconds == 0) {
            fprintf(out, "%u%c", seconds / units[i].seconds, units[i].letter);
            return;
        }
    fprintf(out, "%us", seconds);
}

/* In single quotes nothing but the quote itself is special. */
static void
print_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text != '\0'; text++)
        fputs(*text == '\'' ? "''" : (char[]){ *text, '\0' }, out);
    fputc('\'', out);
}

static void
print_people(FILE *out, const struct kms_value *v)
{
    for (size_t i = 0; i < v->n; i++) {
        fputs(i == 0 ? "[" : ", ", out);
        print_quoted(out, v->list[i].text);
    }
    fputc(']', out);
}

static void
print_words(FILE *out, const char *const *words, uint32_t bits)
{
    const char *between = "[";

    for (size_t i = 0; words[i] != NULL; i++)
        if ((bits >> i & 1) != 0) {
            fprintf(out, "%s%s", between, words[i]);
            between = ", ";
        }
    fputc(']', out);
}

static void
print_flags(FILE *out, uint32_t set, uint32_t clear)
{
    char text[13];

    mkt_policy_flags_format((uint16_t)set, text);
    fprintf(out, "{%s%s%s", set != 0 ? "set: " : "", text, set != 0 && clear != 0 ? ", " : "");
    mkt_policy_flags_format((uint16_t)clear, text);
    fprintf(out, "%s%s}", clear != 0 ? "clear: " : "", text);
}

void
kms_value_print(FILE *out, enum kms_condition_id id, const struct kms_value *v)
{
    const struct kms_condition *c = &kms_conditions[id];

    switch (c->type) {
    case KMS_VALUE_PATTERNS:
        print_people(out, v);
        break;
    case KMS_VALUE_WORDS:
        print_words(out, c->words, v->a);
        break;
    case KMS_VALUE_FLAGS:
        print_flags(out, v->a, v->b);
        break;
    case KMS_VALUE_RANGE:
        fprintf(out, "{min: %u, max: %u}", v->a, v->b);
        break;
    case KMS_VALUE_NUMBER:
        fprintf(out, "%u", v->a);
        break;
    case KMS_VALUE_TIME:
        kms_duration_print(out, v->a);
        break;
    }
}

static void
show_part(FILE *out, const struct kms_part *part, const char *indent)
{
    for (unsigned c = 0; c < KMS_COND_COUNT; c++) {
        const struct kms_value *v = kms_part_value(part, (enum kms_condition_id)c);

        if (v == NULL)
            continue;
        fprintf(out, "%s%s: ", indent, kms_conditions[c].name);
        kms_value_print(out, (enum kms_condition_id)c, v);
        fputc('\n', out);
    }
}

static void
show_rule(FILE *out, const struct kms_rules *rules, const struct kms_rule *rule)
{
    static const struct {
        enum kms_part_id id;
        const char *name;
    } parts[] = { { KMS_PART_WHEN, "when" },
                  { KMS_PART_CHANGE, "change" },
                  { KMS_PART_REQUIRE, "require" } };

    fprintf(out, "  - rule: ");
    print_quoted(out, rule->name + (rules->realm == NULL ? 0 : strlen(rules->realm) + 1));
    if (rule->profiles[0] != '\0')
        fprintf(out, " # with %s", rule->profiles);
    fputc('\n', out);
    show_part(out, &rule->part[KMS_PART_WHO], "    ");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (rule->part[parts[i].id].has == 0)
            continue;
        fprintf(out, "    %s:\n", parts[i].name);
        show_part(out, &rule->part[parts[i].id], "      ");
    }
    fprintf(out, "    decision: %s\n", rule->refuse ? "refuse" : "grant");
}

void
kms_rules_show(const struct kms_rules *rules, FILE *out)
{
    fprintf(out, "# policy: %s%s%s\n", rules->source, rules->realm == NULL ? "" : ", of the realm ",
            rules->realm == NULL ? "" : rules->realm);
    if (rules->n_realms > 0)
        fputs("realms:\n", out);
    for (size_t i = 0; i < rules->n_realms; i++) {
        fprintf(out, "  '%s': ", rules->realms[i].realm);
        print_quoted(out, rules->realms[i].source);
        fputc('\n', out);
    }
    fputs("rules:\n", out);
    for (size_t i = 0; i < rules->n; i++)
        show_rule(out, rules, &rules->rule[i]);
}
