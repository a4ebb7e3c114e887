/* SPDX-License-Identifier: Apache-2.0 */
/* One message in, one answer or silence out. The stages stand in one table in pipeline.c. */
#ifndef KMS_PIPELINE_H
#define KMS_PIPELINE_H

#include "worker.h"

enum kms_want { KMS_WANT_ANY, KMS_WANT_REQUEST, KMS_WANT_RESOLVE };

struct kms_errand; /* courier.h */

struct kms_request {
    enum kms_transport transport;
    enum kms_want want; /* what the HTTP query announces */
    struct mkt_span in;
    const struct sockaddr *from;
    struct mkt_span source;    /* address and port: who a datagram is repeated by */
    uint8_t *out;              /* MKT_MSG_MAX octets */
    const struct kms_acl *acl; /* of the listener; NULL: any address, or asked before */
    /* Hands the request over to where it may wait (lane.h); false when there is no room. NULL: it
     * may wait here. */
    bool (*defer)(void *ctx, const struct kms_request *req, uint64_t tag);
    void *defer_ctx;
    bool counted;              /* by the limit of its source, before it was handed over */
    bool from_peer;            /* came in where other KMSs ask, and nobody else may */
    uint32_t proven;           /* from_peer: by which certificate, bits of peers (peers.h) */
    struct kms_errand *errand; /* the answer of another KMS is here; NULL: none was asked */
};

struct kms_reply {
    enum kms_outcome outcome;
    size_t stage;              /* where it ended: kms_stage_name */
    enum mkt_rc reason;        /* MKT_OK: no reason of a message */
    size_t len;                /* octets in out; 0: nothing is sent */
    bool deferred;             /* handed over: the answer comes later, from there */
    bool keep;                 /* the answer may be given again for the same datagram */
    uint64_t tag;              /* of the retransmission table */
    struct kms_errand *errand; /* deferred until another KMS has answered it */
};

/* kms_handle answers one message: at most one log line and one record on every path, and nothing
 * secret left behind. kms_worker_clock was called before. The answer does not leave before it is
 * settled (settle.h). */
struct kms_reply kms_handle(struct kms_worker *w, const struct kms_request *req);

/* kms_stage_name returns the name of stage i, NULL behind the last. */
const char *kms_stage_name(size_t i);

#endif
