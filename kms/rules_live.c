/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the policy again. */
#include "rules_live.h"

#include <string.h>

#include "document.h"

bool
kms_rules_live_open(struct kms_rules_live *live, const struct kms_config *config, size_t n_readers,
                    char *err)
{
    struct kms_rules *rules;

    memset(live, 0, sizeof *live);
    live->config = config;
    rules = kms_rules_follow(config, &live->seen, err);
    if (rules == NULL)
        return false;
    if (kms_current_init(&live->current, rules, n_readers, kms_rules_release))
        return true;
    snprintf(err, KMS_DOCUMENT_ERR, "out of memory");
    kms_rules_free(rules);
    return false;
}

void
kms_rules_live_close(struct kms_rules_live *live)
{
    kms_current_free(&live->current);
    kms_stamps_free(&live->seen);
}

void
kms_rules_live_refresh(struct kms_rules_live *live, struct kms_log *log, bool anyway)
{
    struct kms_rules *rules;
    char err[KMS_DOCUMENT_ERR];

    if (!anyway && !kms_stamps_changed(&live->seen))
        return;
    kms_stamps_free(&live->seen); /* a broken file is complained of once, until it changes again */
    rules = kms_rules_follow(live->config, &live->seen, err);
    if (rules == NULL) {
        KMS_LOG(log, KMS_ERROR, "policy-unreadable", kms_text("error", err),
                kms_text("effect", "the policy stays as it was read last"));
        return;
    }
    KMS_LOG(log, KMS_INFO, "policy-reloaded", kms_text("policy", rules->source),
            kms_number("rules", (int64_t)rules->n), kms_number("realms", (int64_t)rules->n_realms));
    kms_current_swap(&live->current, rules);
}
