/* SPDX-License-Identifier: Apache-2.0 */
/* group add, remove, member-add, member-remove; realm add, remove. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kmsctl.h"
#include "tpk_schedule.h"

/* Says what was done to `what`, or why not. */
static enum kms_exit
report(enum kms_store_rc rc, const struct kms_store_err *err, const char *done, const char *what)
{
    if (rc != KMS_STORE_OK && rc != KMS_STORE_SAME)
        return kms_ctl_fail(err);
    printf("%s %s%s\n", done, what, rc == KMS_STORE_SAME ? ", as before" : "");
    return KMS_EXIT_OK;
}

enum kms_exit
kms_ctl_group_add(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc;

    if (kms_identity_of(ctl->identity).data.p == NULL)
        return kms_ctl_misuse("a group has the name of an identity: sip:team@example.com");
    rc = ctl->store->ops->group_add(ctl->store, ctl->identity, ctl->realm, &err);
    return report(rc, &err, "added the group", ctl->identity);
}

enum kms_exit
kms_ctl_group_remove(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = ctl->store->ops->group_remove(ctl->store, ctl->identity, &err);

    return report(rc, &err, "removed the group", ctl->identity);
}

enum kms_exit
kms_ctl_member_add(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc =
        ctl->store->ops->member_add(ctl->store, ctl->identity, ctl->second, &err);

    return report(rc, &err, "added the member", ctl->second);
}

enum kms_exit
kms_ctl_member_remove(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc =
        ctl->store->ops->member_remove(ctl->store, ctl->identity, ctl->second, &err);

    return report(rc, &err, "removed the member", ctl->second);
}

enum kms_exit
kms_ctl_realm_add(const struct kms_ctl *ctl)
{
    struct kms_store *s = ctl->store;
    struct kms_store_err err = { 0 };
    int64_t generation;
    enum kms_store_rc rc;

    if (!kms_realm_valid(ctl->identity, strlen(ctl->identity)))
        return kms_ctl_misuse(KMS_REALM_FORM);
    rc = s->ops->begin(s, &err);
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    rc = s->ops->realm_add(s, ctl->identity, &err);
    if (rc == KMS_STORE_OK)
        rc = kms_tpk_rotate(s, ctl->vault, ctl->identity, time(NULL), ctl->config->max_validity_s,
                            &generation, &err);
    if (s->ops->end(s, rc == KMS_STORE_OK, &err) != KMS_STORE_OK && rc == KMS_STORE_OK)
        rc = err.rc;
    return report(rc, &err, "added the realm", ctl->identity);
}

enum kms_exit
kms_ctl_realm_remove(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = ctl->store->ops->realm_remove(ctl->store, ctl->identity, &err);

    return report(rc, &err, "removed the realm and its keys:", ctl->identity);
}
