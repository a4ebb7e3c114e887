/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the replies of the pipeline: none leaves before its record is where it must be.
 */
#ifndef KMS_SETTLE_H
#define KMS_SETTLE_H

#include "pipeline.h"

/* kms_settle waits until all decisions of w are recorded. Then each reply that was not deferred is
 * given to one of the two below, once: to kms_release if this is true, else to kms_withhold. */
bool kms_settle(struct kms_worker *w);

/* kms_release counts a reply that may leave, and lets the answer in req->out be given again for the
 * same datagram. */
void kms_release(struct kms_worker *w, const struct kms_request *req, const struct kms_reply *r);

/* kms_withhold makes r one that is not sent, and counts it as that: busy, at the first stage. */
void kms_withhold(struct kms_worker *w, const struct kms_request *req, struct kms_reply *r);

#endif
