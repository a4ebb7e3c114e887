/* SPDX-License-Identifier: Apache-2.0 */
/* One message on its way through the pipeline: what the stages of pipeline.c and foreign.c know of
 * it. For these files only. */
#ifndef KMS_PIPELINE_PARTS_H
#define KMS_PIPELINE_PARTS_H

#include "peers.h"
#include "pipeline.h"
#include "policy.h"

struct job {
    struct kms_worker *w;
    const struct kms_request *req;
    struct mkt_env env;
    struct mkt_io io;
    const struct mkt_kms_ask *ask; /* NULL until decoded */
    const struct kms_index *index; /* held from gather on, as the rules are */
    const struct kms_rules *rules;
    const struct kms_peer_set *peers; /* held likewise; NULL: there are none */
    const struct kms_peer *via;       /* the KMS that must resolve the ticket; NULL: we */
    const struct kms_peer *for_peer;  /* the KMS whose key the message names; NULL: a user's */
    struct kms_errand *errand;        /* to be done: AWAY */
    struct kms_decision decision;
    struct kms_found client;
    bool known;         /* client is a credential of ours */
    bool allowed;       /* by the limit of the identity */
    bool authenticated; /* and the message is the client's */
    bool unrecordable;  /* the audit is down */
    struct kms_inkey psk, tpk;
    struct kms_found_tpk found_tpk; /* whose key tpk is */
    const char *ticket_realm;       /* NULL: the ticket is neither granted nor opened */
    uint64_t tag;                   /* of the retransmission table */
    enum kms_outcome outcome;
    struct mkt_policy granted; /* last: not cleared for each message */
};

enum verdict {
    GO,     /* next stage */
    DONE,   /* out holds the answer */
    REFUSE, /* io.err says why: an Error message */
    LATER,  /* handed over to the lane */
    AWAY,   /* another KMS is asked: errand */
    SILENT  /* nothing is sent; outcome is set */
};

/* kms_job_circumstances is what the policy is told of the message. */
struct kms_circumstances kms_job_circumstances(struct job *j);

#endif
