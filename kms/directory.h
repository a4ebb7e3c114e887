/* SPDX-License-Identifier: Apache-2.0 */
/* What the policy asks about people. It does not know where the answers come from, so that it stays
 * a pure function of what it is given. */
#ifndef KMS_DIRECTORY_H
#define KMS_DIRECTORY_H

#include <mikeyticket/policy.h>

struct kms_directory {
    const void *ctx;
    /* Whether `named` (an identity, a group or a pattern) stands for `who`, and for which identity
     * of that user: *as. See kms_index_stands_for. */
    bool (*stands_for)(const void *ctx, struct mkt_identity named, struct mkt_identity who,
                       struct mkt_identity *as);
    /* The name of the realm that `who` is in, never NULL. */
    const char *(*realm_of)(const void *ctx, struct mkt_identity who);
};

#endif
