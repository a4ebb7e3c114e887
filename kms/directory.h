/* SPDX-License-Identifier: Apache-2.0 */
/* What the policy asks about people. It does not know where the answers come from, so that it stays
 * a pure function of what it is given. */
#ifndef KMS_DIRECTORY_H
#define KMS_DIRECTORY_H

#include <mikeyticket/policy.h>

/* Both functions may be NULL: then nobody is in a group, and the realm of an identity is its
 * domain. */
struct kms_directory {
    const void *ctx;
    /* Whether `named`, an IDRr of a ticket or a group in a rule, stands for `who`, and for which
     * identity of that user: *as. Everybody stands for themselves. */
    bool (*stands_for)(const void *ctx, struct mkt_identity named, struct mkt_identity who,
                       struct mkt_identity *as);
    /* The name of the realm that `who` is in, never NULL. */
    const char *(*realm_of)(const void *ctx, struct mkt_identity who);
};

#endif
