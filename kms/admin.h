/* SPDX-License-Identifier: Apache-2.0 */
/* The listener of the operator: GET /metrics, /health and /ready, on an address of its own. It can
 * only be asked, not told: what changes the service goes over the control socket. */
#ifndef KMS_ADMIN_H
#define KMS_ADMIN_H

#include "net.h"

struct kms_admin; /* opaque, owned */

/* kms_admin_start listens on `at`, which gets its real port, with one thread. *admin is NULL when
 * `at` is not configured. The service must serve already. False: err says why. */
bool kms_admin_start(struct kms_admin **admin, struct kms_service *sv, struct kms_listener *at,
                     char *err);

/* kms_admin_stop ends it. NULL is allowed. */
void kms_admin_stop(struct kms_admin *admin);

/* kms_health and kms_readiness: NULL when all is well, or what is not. now_s: a clock that does not
 * jump. Healthy means that a restart would change nothing; ready, that requests are answered. */
const char *kms_health(const struct kms_service *sv, int64_t now_s);
const char *kms_readiness(const struct kms_service *sv);

#endif
