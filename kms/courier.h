/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to other KMSs on their way: one thread, any number of HTTPS connections. A request
 * whose ticket belongs to another KMS goes through the pipeline twice: once to ask, and once, when
 * the answer is here, to be answered. In between its parcel is with the courier, no thread waits,
 * and nothing of the store is held. */
#ifndef KMS_COURIER_H
#define KMS_COURIER_H

#include <mikeyticket/kms.h>

#include "lane.h"
#include "peers.h"

struct curl_slist;

/* A question and what came of it. */
struct kms_errand {
    struct kms_peers *peers;
    struct kms_peer_state *state; /* a place of it is reserved; NULL: given back */
    struct kms_log *log;
    struct mkt_kms_forward *forward;
    struct kms_inkey psk;                 /* forward borrows it; in use in the pipeline only */
    void *curl;                           /* CURL */
    struct curl_slist *headers, *connect; /* likewise libcurl's */
    char curl_error[256];                 /* CURL_ERROR_SIZE */
    char error[256];                      /* what went wrong, for the operator */
    enum kms_asked how;
    bool done;
    size_t len, answer_len;
    uint8_t *message, *answer; /* len octets; MKT_MSG_MAX */
    struct kms_parcel *parcel;
    struct kms_errand *next;
};

/* kms_errand_new makes an empty one to p, whose place is reserved: the errand gives it back, also
 * when there is no memory for one (NULL). */
struct kms_errand *kms_errand_new(struct kms_peers *peers, const struct kms_peer *p,
                                  struct kms_log *log);

/* kms_errand_pack copies the message and prepares the way to the peer. False: no memory. */
bool kms_errand_pack(struct kms_errand *e, const struct kms_peer *p, struct mkt_span message);

/* kms_errand_count tells the peer's state what came of it, and gives the place back; once. */
void kms_errand_count(struct kms_errand *e);

/* kms_errand_free counts, wipes and frees. NULL is allowed. */
void kms_errand_free(struct kms_errand *e);

struct kms_courier; /* opaque, owned */

/* kms_courier_start starts the thread; answers go back to the lane. NULL: no memory, no thread. */
struct kms_courier *kms_courier_start(struct kms_lane *lane);

/* kms_courier_send takes a parcel with its errand; it comes back to the lane in every case. */
void kms_courier_send(struct kms_courier *c, struct kms_parcel *p);

/* kms_courier_stop ends all questions under way, which fail, and the thread, before the lane ends;
 * what is sent later fails at once. kms_courier_free comes after the lane. NULL is allowed. */
void kms_courier_stop(struct kms_courier *c);
void kms_courier_free(struct kms_courier *c);

#endif
