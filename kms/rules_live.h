/* SPDX-License-Identifier: Apache-2.0 */
/* The policy that is in force in a running daemon. Files of which one cannot be used never take the
 * place of those that could: all are taken or none. */
#ifndef KMS_RULES_LIVE_H
#define KMS_RULES_LIVE_H

#include "current.h"
#include "log.h"
#include "rules.h"

struct kms_rules_live {
    struct kms_current current; /* struct kms_rules */
    const struct kms_config *config;
    struct kms_stamps seen; /* the files, as read last */
};

/* kms_rules_live_open reads the policy for n readers. False: err (KMS_DOCUMENT_ERR octets) says
 * why. Free with kms_rules_live_close in any case. */
bool kms_rules_live_open(struct kms_rules_live *live, const struct kms_config *config,
                         size_t n_readers, char *err);
void kms_rules_live_close(struct kms_rules_live *live);

/* kms_rules_live_refresh reads the files again when one has changed, or in any case (anyway), puts
 * them in force, and logs what came of it. One thread. */
void kms_rules_live_refresh(struct kms_rules_live *live, struct kms_log *log, bool anyway);

#endif
