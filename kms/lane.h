/* SPDX-License-Identifier: Apache-2.0 */
/* The lane of requests that have to wait for something: for the disk, or for RSA. Workers hand them
 * over and go on; a few threads of the lane take them through the same pipeline, and the answer
 * goes back to the worker. The queue is bounded: what does not fit is refused as busy. */
#ifndef KMS_LANE_H
#define KMS_LANE_H

#include "pipeline.h"

#define KMS_LANE_MAX 256 /* requests waiting */

/* A request on its way, with everything it needs of its own. */
struct kms_parcel {
    struct kms_parcel *next;
    struct kms_request req; /* its spans and pointers lead into this parcel */
    struct kms_reply reply;
    void (*done)(struct kms_parcel *p); /* called once, in a thread of the lane; owns p from then */
    void *owner;
    uint64_t tag; /* of the retransmission table */
    int fd;       /* UDP: how the answer leaves */
    size_t control_len;
    _Alignas(8) uint8_t control[64];
    struct sockaddr_storage from;
    uint8_t source[32];
    uint8_t *out;
    uint8_t in[];
};

struct kms_lane; /* opaque, owned */

/* kms_lane_start starts config->workers threads; reader slots from *slot on are used. NULL when
 * memory or threads fail. */
struct kms_lane *kms_lane_start(struct kms_service *sv, size_t *slot);

/* kms_lane_take makes a parcel of a request and keeps a place for it; NULL when there is none left,
 * or no memory. The caller fills in done and what it needs, then kms_lane_put; from then on p is
 * gone, and may be done already. */
struct kms_parcel *kms_lane_take(struct kms_lane *lane, const struct kms_request *req);
void kms_lane_put(struct kms_lane *lane, struct kms_parcel *p);

/* kms_lane_back puts a parcel that was away (courier.h) among those waiting, whether there is a
 * place or not. */
void kms_lane_back(struct kms_lane *lane, struct kms_parcel *p);

/* kms_parcel_free frees it and the errand that it is on. NULL is allowed. */
void kms_parcel_free(struct kms_parcel *p);

/* kms_lane_stop ends the threads. Parcels left over are done with
 * an empty reply. Later kms_lane_take returns NULL. NULL is allowed. */
void kms_lane_stop(struct kms_lane *lane);

/* kms_lane_waiting returns how many requests stand in the queue. NULL is allowed. */
size_t kms_lane_waiting(struct kms_lane *lane);

/* kms_lane_free frees a lane that was stopped. NULL is allowed. */
void kms_lane_free(struct kms_lane *lane);

#endif
