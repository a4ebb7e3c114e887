/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force. A file that the daemon cannot use, or has not come to yet, does not show as
 * if it were: it is told of beside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_parts.h"
#include "api_picture.h"
#include "document.h"
#include "reload.h"

/* What of it rules a realm (NULL: the general rules), as text to be freed; NULL: no memory. */
static char *
text_of(const struct kms_rules *rules, const char *realm)
{
    const struct kms_rules *shown =
        realm == NULL ? rules : kms_rules_of_realm(rules, mkt_span(realm, strlen(realm)));
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    if (out == NULL)
        return NULL;
    if (realm != NULL && shown == rules)
        fprintf(out, "# realm %s: the general rules\n", realm);
    kms_rules_show(shown, out);
    fclose(out);
    return text;
}

/* All of it, to be compared; NULL: no memory. */
static char *
whole_of(const struct kms_rules *rules)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    if (out == NULL)
        return NULL;
    kms_rules_show(rules, out);
    for (size_t i = 0; i < rules->n_realms; i++)
        kms_rules_show(&rules->realms[i], out);
    fclose(out);
    return text;
}

/* How the files on disk stand to what is in force. Nothing in force may be held meanwhile: the
 * daemon may be putting another policy there. */
static void
tell_of_files(struct kms_api_call *c, const char *in_force)
{
    char err[KMS_DOCUMENT_ERR];
    struct kms_rules *rules = kms_reload_rules(c->api->reload, err);
    char *text = rules == NULL ? NULL : whole_of(rules);
    bool same = text != NULL && strcmp(text, in_force) == 0;

    kms_api_put(c->answer, "files",
                json_string(rules == NULL ? "broken"
                            : same        ? "same"
                                          : "other"));
    if (rules == NULL)
        kms_api_put(c->answer, "why", kms_api_words(err));
    free(text);
    kms_rules_free(rules);
}

unsigned
kms_api_policy(struct kms_api_call *c)
{
    char err[KMS_DOCUMENT_ERR], *text, *whole;
    struct kms_policy_picture policy;

    if (!kms_policy_take(&policy, c, err))
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%.500s", err);
    text = text_of(policy.rules, kms_api_given(c, "realm"));
    whole = whole_of(policy.rules);
    kms_policy_give(&policy, c);
    if (text != NULL && whole != NULL) {
        c->answer = json_object();
        kms_api_put(c->answer, "policy", kms_api_words(text));
        if (c->api->reload != NULL)
            tell_of_files(c, whole);
        else
            kms_api_put(c->answer, "files", json_string("same")); /* as just read */
    }
    free(text);
    free(whole);
    return c->answer != NULL ? KMS_API_OK
                             : kms_api_refuse(c, KMS_API_BROKEN, NULL, "out of memory");
}
