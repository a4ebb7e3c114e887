/* SPDX-License-Identifier: Apache-2.0 */
/* A Ticket Policy that somebody wishes for, in the words of mikey-ticket request: for ticket issue
 * and policy test. */
#ifndef KMS_WISH_H
#define KMS_WISH_H

#include <mikeyticket/policy.h>

/* NULL: what is usual. */
struct kms_wish {
    const char *flags, *validity, *type, *suite;
    const char *to[MKT_RESPONDERS_MAX], *keys[MKT_KEYS_MAX];
    size_t n_to, n_keys;
    uint32_t max_validity_s; /* without `validity` */
};

/* kms_wish_read makes the policy; now is NTP-UTC. NULL, or what is wrong, in the words of the
 * options of mikey-kmsctl. Identities borrow from w. */
const char *kms_wish_read(struct mkt_policy *want, const struct kms_wish *w, uint64_t now);

#endif
