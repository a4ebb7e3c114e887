/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets that are void without being named: all of a user, or for a group, up to a moment. */
#ifndef KMS_VOIDED_H
#define KMS_VOIDED_H

#include <mikeyticket/kms.h>

#include "index.h"

/* kms_voided looks at a ticket that was opened: NULL, or in words why its keys are not given. now_s
 * and window_s: seconds, the clock and how far clocks may be apart. */
const char *kms_voided(const struct kms_index *x, const struct mkt_kms_ask *ask, int64_t now_s,
                       int64_t window_s);

#endif
