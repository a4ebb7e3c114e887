/* SPDX-License-Identifier: Apache-2.0 */
/* The picture of users, groups and keys that an endpoint decides by: in the daemon the one that
 * requests see, in the tool one that is read for it. And the policy, likewise. */
#ifndef KMS_API_PICTURE_H
#define KMS_API_PICTURE_H

#include "api.h"
#include "index.h"
#include "rules.h"

struct kms_picture {
    const struct kms_index *index; /* NULL: none */
    struct kms_index *own;         /* NULL: it is the daemon's */
};

/* kms_picture_take takes it; vault NULL: no key will be used. Whoever has it holds up whoever wants
 * one, and the daemon when it wants to put a newer one in place: kms_picture_give is called soon.
 * False: err. */
bool kms_picture_take(struct kms_picture *p, struct kms_api_call *c, struct kms_vault *vault,
                      struct kms_store_err *err);

/* kms_picture_give gives it back; what was found in it is gone. Once more does no harm. */
void kms_picture_give(struct kms_picture *p, struct kms_api_call *c);

struct kms_policy_picture {
    const struct kms_rules *rules; /* NULL: none */
    struct kms_rules *own;         /* NULL: they are the daemon's */
};

/* kms_policy_take takes the policy in force; in the tool, the one that the configuration names. The
 * same holds as for a picture; who wants both takes the policy first. False: err (KMS_DOCUMENT_ERR
 * octets). kms_policy_give gives it back. */
bool kms_policy_take(struct kms_policy_picture *p, struct kms_api_call *c, char *err);
void kms_policy_give(struct kms_policy_picture *p, struct kms_api_call *c);

#endif
