/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that notices changes of the store and puts a new index in place, and that closes slow
 * HTTP connections and looks for new certificates and a new policy. */
#ifndef KMS_WATCH_H
#define KMS_WATCH_H

#include "net.h"
#include "reload.h"

struct kms_watch; /* opaque, owned */

/* kms_watch_start watches the store for the service. store, service, http (may be NULL) and reload
 * must outlive the thread; the store is used by it alone. NULL when there is no memory or no
 * thread. */
struct kms_watch *kms_watch_start(struct kms_service *sv, struct kms_store *store, uint64_t version,
                                  struct kms_http *http, struct kms_reload *reload);

/* kms_watch_stop ends the thread. NULL is allowed. */
void kms_watch_stop(struct kms_watch *w);

#endif
