/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the policy again. */
#include "rules_live.h"

#include <string.h>
#include <sys/stat.h>

#include "document.h"
#include "hash.h"

static uint64_t
stamp_of(const struct kms_config *config)
{
    static const struct kms_hash_key key;
    struct stat st;

    if (config->policy[0] == '\0' || stat(config->policy, &st) != 0)
        return 0;
    int64_t what[] = { (int64_t)st.st_ino, st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
    return kms_hash(&key, what, sizeof what);
}

bool
kms_rules_live_open(struct kms_rules_live *live, const struct kms_config *config, size_t n_readers,
                    char *err)
{
    struct kms_rules *rules;

    memset(live, 0, sizeof *live);
    live->config = config;
    live->stamp = stamp_of(config); /* before it is read: a change in between is seen */
    rules = kms_rules_load(config, err);
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
}

void
kms_rules_live_refresh(struct kms_rules_live *live, struct kms_log *log, bool anyway)
{
    uint64_t stamp = stamp_of(live->config);
    struct kms_rules *rules;
    char err[KMS_DOCUMENT_ERR];

    if (stamp == live->stamp && !anyway)
        return;
    live->stamp = stamp; /* a broken file is complained of once, until it changes again */
    rules = kms_rules_load(live->config, err);
    if (rules == NULL) {
        KMS_LOG(log, KMS_ERROR, "policy-unreadable", kms_text("error", err),
                kms_text("effect", "the policy stays as it was read last"));
        return;
    }
    KMS_LOG(log, KMS_INFO, "policy-reloaded", kms_text("policy", rules->source),
            kms_number("rules", (int64_t)rules->n));
    kms_current_swap(&live->current, rules);
}
