/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of users, groups and realms. The store has the rules; here stands what it is asked. */
#include <string.h>

#include "api_parts.h"
#include "instant.h"
#include "key_text.h"
#include "seal_in.h"
#include "tpk_schedule.h"

/* --- users ------------------------------------------------------------------------------------ */

static unsigned
no_identity(struct kms_api_call *c, const char *where)
{
    return kms_api_refuse(c, KMS_API_MALFORMED, where, KMS_IDENTITY_FORM);
}

/* A user of the body, without credential. 0, or the status of a refusal. */
static unsigned
take_user(struct kms_api_call *c, struct kms_user *user)
{
    const char *expires = kms_api_given(c, "expires");

    *user = (struct kms_user){ .identity = kms_api_given(c, "identity"),
                               .realm = kms_api_given(c, "realm") };
    if (kms_identity_of(user->identity).data.p == NULL)
        return no_identity(c, "/identity");
    if (expires != NULL && !kms_instant_read(expires, &user->expires))
        return kms_api_refuse(c, KMS_API_MALFORMED, "/expires", KMS_INSTANT_FORM);
    return 0;
}

unsigned
kms_api_user_add(struct kms_api_call *c)
{
    MKT_SCOPED_SECRET
    key = { 0 };
    const char *id = kms_api_given(c, "psk-id"), *psk = kms_api_given(c, "psk"), *wrong;
    struct kms_store_err err = { 0 };
    struct kms_user user;
    unsigned refused = take_user(c, &user);

    if (refused != 0)
        return refused;
    if ((id == NULL) != (psk == NULL))
        return kms_api_refuse(c, KMS_API_MALFORMED, id == NULL ? "/psk-id" : "/psk",
                              "a psk needs its psk-id, and a psk-id its psk");
    if (psk != NULL) {
        wrong = kms_key_id_check(id, KMS_PSK);
        if (wrong != NULL)
            return kms_api_refuse(c, KMS_API_MALFORMED, "/psk-id", "%s", wrong);
        wrong = kms_key_read(&key, psk, strlen(psk), kms_api_given(c, "suite"));
        if (wrong != NULL)
            return kms_api_refuse(c, KMS_API_MALFORMED, "/psk", "%s", wrong);
        user.psk_id = id;
    }
    return kms_api_store(
        c,
        psk == NULL ? c->store->ops->user_add(c->store, &user, &err)
                    : kms_seal_user(c->store, c->api->vault, c->api->slot, &user, &key, &err),
        &err);
}

static unsigned
remove_user(struct kms_api_call *c, const char *psk_id)
{
    struct kms_store_err err = { 0 };
    struct kms_removed gone = { 0 };
    enum kms_store_rc rc = c->store->ops->user_remove(c->store, c->args[0], psk_id, &gone, &err);
    unsigned status = kms_api_store(c, rc, &err);

    if (rc == KMS_STORE_NOT_FOUND && psk_id != NULL)
        return kms_api_refuse(c, status, NULL, "%s has no such credential %s: see user list",
                              c->args[0], psk_id);
    if (rc == KMS_STORE_NOT_FOUND)
        return kms_api_refuse(c, status, NULL, "%s is no user: see user list", c->args[0]);
    if (status != KMS_API_OK)
        return status;
    kms_api_put(c->answer, "credentials", json_integer(gone.credentials));
    kms_api_put(c->answer, "tpks", json_integer(gone.tpks));
    kms_api_put(c->answer, "reference-tickets", json_integer(gone.kept));
    kms_api_put(c->answer, "user", json_boolean(gone.user));
    return status;
}

unsigned
kms_api_user_remove(struct kms_api_call *c)
{
    return remove_user(c, NULL);
}

unsigned
kms_api_credential_remove(struct kms_api_call *c)
{
    return remove_user(c, c->args[1]);
}

unsigned
kms_api_user_change(struct kms_api_call *c)
{
    const char *expires = kms_api_given(c, "expires");
    const bool suspended = kms_api_truth(c, "suspended");
    struct kms_user_change change = { NULL, NULL };
    struct kms_store_err err = { 0 };
    int64_t at;

    if (json_object_get(c->given, "suspended") != NULL)
        change.suspended = &suspended;
    if (expires != NULL && !kms_instant_read(expires, &at))
        return kms_api_refuse(c, KMS_API_MALFORMED, "/expires", KMS_INSTANT_FORM);
    if (expires != NULL)
        change.expires = &at;
    if (change.suspended == NULL && change.expires == NULL)
        return kms_api_refuse(c, KMS_API_MALFORMED, "/", "nothing is to be changed");
    return kms_api_store(c, c->store->ops->user_change(c->store, c->args[0], &change, &err), &err);
}

unsigned
kms_api_alias_add(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };

    if (kms_identity_of(c->args[1]).data.p == NULL)
        return no_identity(c, NULL);
    return kms_api_store(c, c->store->ops->alias_add(c->store, c->args[0], c->args[1], &err), &err);
}

unsigned
kms_api_alias_remove(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };

    return kms_api_store(c, c->store->ops->alias_remove(c->store, c->args[0], &err), &err);
}

/* --- groups ----------------------------------------------------------------------------------- */

unsigned
kms_api_group_add(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };

    if (kms_identity_of(c->args[0]).data.p == NULL)
        return kms_api_refuse(c, KMS_API_MALFORMED, NULL,
                              "a group has the name of an identity: sip:team@example.com");
    return kms_api_store(
        c, c->store->ops->group_add(c->store, c->args[0], kms_api_given(c, "realm"), &err), &err);
}

unsigned
kms_api_group_remove(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };

    return kms_api_store(c, c->store->ops->group_remove(c->store, c->args[0], &err), &err);
}

unsigned
kms_api_member_add(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };

    return kms_api_store(c, c->store->ops->member_add(c->store, c->args[0], c->args[1], &err),
                         &err);
}

unsigned
kms_api_member_remove(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };

    return kms_api_store(c, c->store->ops->member_remove(c->store, c->args[0], c->args[1], &err),
                         &err);
}

/* --- realms ----------------------------------------------------------------------------------- */

unsigned
kms_api_realm_add(struct kms_api_call *c)
{
    struct kms_store *s = c->store;
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc;
    int64_t generation;

    if (!kms_realm_valid(c->args[0], strlen(c->args[0])))
        return kms_api_refuse(c, KMS_API_MALFORMED, NULL, KMS_REALM_FORM);
    rc = s->ops->begin(s, &err);
    if (rc != KMS_STORE_OK)
        return kms_api_store(c, rc, &err);
    rc = s->ops->realm_add(s, c->args[0], &err);
    if (rc == KMS_STORE_OK)
        rc = kms_tpk_rotate(s, c->api->vault, c->args[0], c->api->config->max_validity_s,
                            &generation, &err);
    if (s->ops->end(s, rc == KMS_STORE_OK, &err) != KMS_STORE_OK && rc == KMS_STORE_OK)
        rc = err.rc;
    return kms_api_store(c, rc, &err);
}

unsigned
kms_api_realm_remove(struct kms_api_call *c)
{
    struct kms_store_err err = { 0 };

    return kms_api_store(c, c->store->ops->realm_remove(c->store, c->args[0], &err), &err);
}
