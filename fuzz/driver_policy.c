/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer driver for policy files: whatever is read is shown, and what is shown can be read and
 * is the same policy, which decides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct kms_config config = {
    .max_validity_s = 86400, .modes = 14, .ticket_types = 3, .suites = 3
};

static char *
shown(const struct kms_rules *rules)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    if (out == NULL)
        abort();
    kms_rules_show(rules, out);
    fclose(out);
    return text;
}

/* Profiles are not named again. */
static void
cut_remarks(char *text)
{
    for (char *at; (at = strstr(text, "' # with ")) != NULL;) {
        char *end = strchr(at, '\n');

        memmove(at + 1, end, strlen(end) + 1);
    }
}

static void
decide(const struct kms_rules *rules)
{
    struct mkt_policy want;
    const struct kms_question q = { .from = kms_who_of(mkt_uri("sip:alice@example.com")),
                                    .to = kms_who_of(mkt_uri("sip:bob@example.com")),
                                    .what = &want,
                                    .modes = 2 };
    const struct kms_rule *rule;

    mkt_policy_init(&want, MKT_PRF_HMAC_SHA_256);
    rule = kms_rules_match(rules, &q, NULL);
    if (rule != NULL)
        (void)kms_rule_require(rule, KMS_CONDS_FIXED | KMS_CONDS_OTHER, &q, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[KMS_DOCUMENT_ERR], *text = calloc(1, size + 1), *first, *second;
    struct kms_rules *rules, *again;

    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    rules = kms_rules_parse(&config, "policy", text, err);
    free(text);
    if (rules == NULL)
        return 0;
    decide(rules);
    first = shown(rules);
    again = kms_rules_parse(&config, "policy", first, err);
    if (again == NULL) {
        fprintf(stderr, "%s\n%s", err, first);
        abort();
    }
    second = shown(again);
    cut_remarks(first);
    if (strcmp(first, second) != 0)
        abort();
    free(first);
    free(second);
    kms_rules_free(rules);
    kms_rules_free(again);
    return 0;
}
