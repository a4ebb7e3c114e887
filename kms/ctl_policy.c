/* SPDX-License-Identifier: Apache-2.0 */
/* policy test, check and show. A file to check is looked at here: it is not in force anywhere. */
#include <stdio.h>
#include <string.h>

#include "ctl_call.h"
#include "document.h"
#include "rules.h"

/* --- policy test ------------------------------------------------------------------------------ */

static void
print_rule(const json_t *s)
{
    long long line = (long long)json_integer_value(json_object_get(s, "line"));
    bool applies = json_is_true(json_object_get(s, "applies"));
    bool refuses = json_is_true(json_object_get(s, "refuses"));

    printf("rule \"%s\"", kms_ctl_text(s, "rule"));
    if (line != 0)
        printf(", line %lld", line);
    printf(", for %s: %s\n", kms_ctl_text(s, "responder"),
           !applies  ? "does not apply"
           : refuses ? "applies, and refuses"
                     : "applies");
}

static void
print_steps(const json_t *steps)
{
    const char *required = "";
    const json_t *s;
    size_t i;

    json_array_foreach(steps, i, s)
    {
        const char *rule = kms_ctl_text(s, "rule"), *part = kms_ctl_text(s, "part");

        if (part[0] == '\0') {
            print_rule(s);
            required = "";
            continue;
        }
        if (part[0] == 'r' && strcmp(rule, required) != 0) {
            printf("rule \"%s\" requires of the ticket:\n", rule);
            required = rule;
        }
        printf("  %-4s %s%s: %s; is %s\n", json_is_true(json_object_get(s, "held")) ? "yes" : "no",
               strcmp(part, "when") == 0 ? "when " : "", kms_ctl_text(s, "condition"),
               kms_ctl_text(s, "policy"), kms_ctl_text(s, "asked"));
    }
}

static void
print_decision(const json_t *o)
{
    const char *rule = json_string_value(json_object_get(o, "rule"));
    const char *realm = kms_ctl_text(o, "realm");

    printf("rules of %s%s%s\n", kms_ctl_text(o, "file"), realm[0] == '\0' ? "" : ", of the realm ",
           realm);
    print_steps(json_object_get(o, "steps"));
    if (json_is_true(json_object_get(o, "granted"))) {
        printf("granted by rule \"%s\"", rule);
        if (json_object_get(o, "flags") != NULL)
            printf("%s: flags %s, validity %s, rekeying %s",
                   json_is_true(json_object_get(o, "changed")) ? ", changed (K)" : "",
                   kms_ctl_text(o, "flags"), kms_ctl_text(o, "validity"), kms_ctl_text(o, "rekey"));
        putchar('\n');
        return;
    }
    printf("refused");
    if (rule != NULL)
        printf(" by rule \"%s\"", rule);
    printf(": %s (%s; Error %lld)\n", kms_ctl_text(o, "why"), kms_ctl_text(o, "error-text"),
           (long long)json_integer_value(json_object_get(o, "error")));
}

static void
warn_of_realms(const json_t *o)
{
    const json_t *realm;
    size_t i;

    json_array_foreach(json_object_get(o, "unknown-realms"), i, realm)
        fprintf(stderr, "mikey-kmsctl: %s names the realm %s, which does not exist\n",
                kms_ctl_text(o, "policy"), json_string_value(realm));
}

/* A slip in a name, mostly: the policy has an answer for everybody. */
static void
warn_of_stranger(const json_t *o)
{
    const char *stranger = kms_ctl_text(o, "stranger");

    if (stranger[0] != '\0')
        fprintf(stderr,
                "mikey-kmsctl: %s is no user of this KMS, or is suspended or expired: the policy "
                "would not even be asked, unless another KMS speaks for it\n",
                stranger);
}

static json_t *
texts(const char *const *list, size_t n)
{
    json_t *o = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(o, json_string(list[i]));
    return o;
}

json_t *
kms_ctl_wish(const struct kms_ctl *ctl)
{
    json_t *body = json_object();

    kms_ctl_put(body, "as", ctl->as);
    kms_ctl_put(body, "flags", ctl->flags);
    kms_ctl_put(body, "validity", ctl->validity);
    kms_ctl_put(body, "type", ctl->type);
    kms_ctl_put(body, "suite", ctl->suite);
    json_object_set_new(body, "to", texts(ctl->to, ctl->n_to));
    json_object_set_new(body, "keys", texts(ctl->keys, ctl->n_keys));
    return body;
}

enum kms_exit
kms_ctl_policy_test(const struct kms_ctl *ctl)
{
    json_t *body, *answer;
    enum kms_exit code;

    if (ctl->as == NULL)
        return kms_ctl_misuse("policy test needs --as IDENTITY and --to IDENTITY");
    body = kms_ctl_wish(ctl);
    kms_ctl_put(body, "mode", ctl->mode);
    kms_ctl_put(body, "by", ctl->by);
    json_object_set_new(body, "apps", texts(ctl->apps, ctl->n_apps));
    json_object_set_new(body, "resolve", json_boolean(ctl->resolve));
    code = kms_ctl_call(ctl, "POST", "/v1/policy/test", body, &answer, NULL);
    if (code != KMS_EXIT_OK)
        return code == KMS_EXIT_STORE ? KMS_EXIT_CONFIG : code;
    if (ctl->json)
        kms_ctl_dump(answer, "", "\n");
    else
        print_decision(answer);
    warn_of_realms(answer);
    warn_of_stranger(answer);
    code = json_is_true(json_object_get(answer, "granted")) ? KMS_EXIT_OK : KMS_EXIT_REFUSED;
    json_decref(answer);
    return code;
}

/* --- the others ------------------------------------------------------------------------------- */

static json_t *
checked(const struct kms_rules *rules)
{
    return json_pack("{s:s, s:I, s:s?}", "file", rules->source, "rules", (json_int_t)rules->n,
                     "realm", rules->realm);
}

static void
say_checked(const struct kms_rules *rules)
{
    printf("%s: %zu rule%s%s%s\n", rules->source, rules->n, rules->n == 1 ? "" : "s",
           rules->realm == NULL ? "" : " of the realm ", rules->realm == NULL ? "" : rules->realm);
}

static void
tell_checked(const struct kms_rules *rules)
{
    json_t *files = json_array(), *answer = json_object();

    json_array_append_new(files, checked(rules));
    for (size_t i = 0; i < rules->n_realms; i++)
        json_array_append_new(files, checked(&rules->realms[i]));
    json_object_set_new(answer, "files", files);
    kms_ctl_dump(answer, "", "\n");
    json_decref(answer);
}

enum kms_exit
kms_ctl_policy_check(const struct kms_ctl *ctl)
{
    char err[KMS_DOCUMENT_ERR];
    struct kms_rules *rules = kms_rules_read(ctl->config, ctl->identity, err);

    if (rules == NULL) {
        fprintf(stderr, "%s\n", err);
        return KMS_EXIT_CONFIG;
    }
    if (ctl->json) {
        tell_checked(rules);
    } else {
        say_checked(rules);
        for (size_t i = 0; i < rules->n_realms; i++)
            say_checked(&rules->realms[i]);
    }
    kms_rules_free(rules);
    return KMS_EXIT_OK;
}

static void
warn_of_files(const json_t *answer)
{
    const char *files = kms_ctl_text(answer, "files");

    if (strcmp(files, "broken") == 0)
        fprintf(stderr,
                "mikey-kmsctl: the policy on disk cannot be used, what is shown stays in force: "
                "%s\n",
                kms_ctl_text(answer, "why"));
    else if (strcmp(files, "other") == 0)
        fputs("mikey-kmsctl: the policy on disk is another one: it is not in force yet\n", stderr);
}

enum kms_exit
kms_ctl_policy_show(const struct kms_ctl *ctl)
{
    char target[KMS_CTL_TARGET] = "/v1/policy";
    json_t *answer;
    enum kms_exit code;

    if (!kms_ctl_parameter(target, "realm", ctl->realm))
        return kms_ctl_misuse("the name of the realm is too long");
    code = kms_ctl_call(ctl, "GET", target, NULL, &answer, NULL);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(answer, "", "\n");
    else if (code == KMS_EXIT_OK)
        fputs(kms_ctl_text(answer, "policy"), stdout);
    if (code == KMS_EXIT_OK)
        warn_of_files(answer);
    json_decref(answer);
    return code == KMS_EXIT_STORE ? KMS_EXIT_CONFIG : code;
}
