/* SPDX-License-Identifier: Apache-2.0 */
/* How a decision is told: one line of the log for the operator, one record of the audit for
 * whoever asks later. Neither ever holds a key. */
#ifndef KMS_DECISION_H
#define KMS_DECISION_H

#include "pipeline.h"

struct kms_report {
    enum kms_outcome outcome;
    const char *stage, *rule; /* rule: of the policy; NULL: it was not asked */
    const struct kms_request *req;
    const struct mkt_kms_ask *ask; /* NULL: not decoded */
    struct mkt_identity who;       /* authenticated; absent: nobody is */
    const char *realm;             /* of who; NULL: nobody is */
    const char *ticket_realm;   /* whose key the ticket is under; NULL: it has not come to that */
    struct mkt_span credential; /* psk-id; n = 0: none */
    const struct mkt_policy *policy;       /* granted, or wanted by who was refused; NULL: none */
    const struct kms_peer *via, *for_peer; /* another KMS that resolves, that asks; NULL: none */
    struct mkt_span ticket, tpk;           /* name of the ticket, name of its key; n = 0: none */
    const struct mkt_err *why;             /* rc = MKT_OK: nothing went wrong */
};

/* kms_decision_log writes the line of a decision. kms_decision_record leaves its record with the
 * worker, to be handed over with those of the batch. Records about strangers, which anyone can
 * cause, are limited in number; those left out are counted in the next one. */
void kms_decision_log(struct kms_worker *w, const struct kms_report *d, enum kms_level level);
void kms_decision_record(struct kms_worker *w, const struct kms_report *d);

#endif
