/* SPDX-License-Identifier: Apache-2.0 */
/* group add, remove, member-add, member-remove; realm add, remove. */
#include "ctl_call.h"

enum kms_exit
kms_ctl_group_add(const struct kms_ctl *ctl)
{
    json_t *body = json_object();

    kms_ctl_put(body, "realm", ctl->realm);
    return kms_ctl_change(ctl, "PUT", "/v1/groups/{group}", ctl->identity, NULL, body,
                          KMS_CTL_SAY("added the group", " ", ctl->identity, ""));
}

enum kms_exit
kms_ctl_group_remove(const struct kms_ctl *ctl)
{
    return kms_ctl_change(ctl, "DELETE", "/v1/groups/{group}", ctl->identity, NULL, NULL,
                          KMS_CTL_SAY("removed the group", " ", ctl->identity, ""));
}

enum kms_exit
kms_ctl_member_add(const struct kms_ctl *ctl)
{
    return kms_ctl_change(ctl, "PUT", "/v1/groups/{group}/members/{member}", ctl->identity,
                          ctl->second, NULL, KMS_CTL_SAY("added the member", " ", ctl->second, ""));
}

enum kms_exit
kms_ctl_member_remove(const struct kms_ctl *ctl)
{
    return kms_ctl_change(ctl, "DELETE", "/v1/groups/{group}/members/{member}", ctl->identity,
                          ctl->second, NULL,
                          KMS_CTL_SAY("removed the member", " ", ctl->second, ""));
}

enum kms_exit
kms_ctl_realm_add(const struct kms_ctl *ctl)
{
    return kms_ctl_change(ctl, "PUT", "/v1/realms/{realm}", ctl->identity, NULL, NULL,
                          KMS_CTL_SAY("added the realm", " ", ctl->identity, ""));
}

enum kms_exit
kms_ctl_realm_remove(const struct kms_ctl *ctl)
{
    return kms_ctl_change(ctl, "DELETE", "/v1/realms/{realm}", ctl->identity, NULL, NULL,
                          KMS_CTL_SAY("removed the realm and its keys:", " ", ctl->identity, ""));
}
