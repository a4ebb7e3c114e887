/* SPDX-License-Identifier: Apache-2.0 */
/* How far the picture that requests see has followed the store, and who waits for that: a change is
 * answered once it counts. */
#ifndef KMS_FOLLOWED_H
#define KMS_FOLLOWED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct kms_followed {
    pthread_mutex_t lock;
    pthread_cond_t further;
    uint64_t version; /* of the store, in the picture */
    int wish;         /* an eventfd: somebody waits */
};

/* kms_followed_init makes one that has seen nothing; false: no descriptor. kms_followed_free ends
 * it; one that was not initialised (zero) is allowed. */
bool kms_followed_init(struct kms_followed *f);
void kms_followed_free(struct kms_followed *f);

/* kms_followed_tell says that the picture has everything up to `version` of the store. */
void kms_followed_tell(struct kms_followed *f, uint64_t version);

/* kms_followed_wait asks for a look at the store, and waits at most ms milliseconds until the
 * picture has `version`. False: it has not. */
bool kms_followed_wait(struct kms_followed *f, uint64_t version, unsigned ms);

#endif
