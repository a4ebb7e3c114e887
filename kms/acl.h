/* SPDX-License-Identifier: Apache-2.0 */
/* Which networks may use a listener: what `deny` names may not; with `allow`, only what it names.
 */
#ifndef KMS_ACL_H
#define KMS_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define KMS_ACL_MAX 32 /* networks of each kind */

/* A network; an IPv4 one is written as ::ffff:a.b.c.d with 96 bits more. */
struct kms_net {
    uint8_t address[16];
    uint8_t bits;
};

struct kms_acl {
    size_t n_allow, n_deny;
    struct kms_net allow[KMS_ACL_MAX], deny[KMS_ACL_MAX];
};

/* kms_net_parse reads ADDRESS or ADDRESS/BITS; NULL, or what is wrong with it. */
const char *kms_net_parse(struct kms_net *net, const char *text);

/* kms_acl_allows tells whether that address may. */
bool kms_acl_allows(const struct kms_acl *acl, const struct sockaddr *from);

#endif
