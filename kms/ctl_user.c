/* SPDX-License-Identifier: Apache-2.0 */
/* user add, remove, suspend, resume, expire, alias-add, alias-remove. */
#include <stdio.h>
#include <string.h>

#include "ctl_call.h"
#include "instant.h"

/* What user add says of the user, besides its credential. */
static json_t *
user_body(const struct kms_ctl *ctl)
{
    json_t *body = json_object();

    kms_ctl_put(body, "identity", ctl->identity);
    kms_ctl_put(body, "realm", ctl->realm);
    kms_ctl_put(body, "expires", ctl->expires);
    return body;
}

static json_t *
psk_body(const struct kms_ctl *ctl, const char *id, const char *hex)
{
    json_t *body = user_body(ctl);

    kms_ctl_put(body, "psk-id", id);
    kms_ctl_put(body, "psk", hex);
    return body;
}

/* Who has no PSK cannot ask with one, not even with the wrong one: there is nothing to match. */
static enum kms_exit
add_unkeyed(const struct kms_ctl *ctl)
{
    enum kms_exit code;
    json_t *answer;

    if (ctl->key_id != NULL || ctl->key_hex != NULL || ctl->key_out != NULL || ctl->suite != NULL)
        return kms_ctl_misuse("--no-psk goes without --psk-id, --psk-hex, --psk-out and --suite");
    code = kms_ctl_call(ctl, "POST", "/v1/users", user_body(ctl), &answer, NULL);
    if (code != KMS_EXIT_OK)
        return code;
    if (!json_is_true(json_object_get(answer, "changed"))) {
        fprintf(stderr, "mikey-kmsctl: %s is a user already\n", ctl->identity);
        code = KMS_EXIT_STORE;
    } else if (ctl->json) {
        kms_ctl_dump(answer, "", "\n");
    } else {
        printf("added %s, without PSK: it signs its requests\n", ctl->identity);
        if (ctl->config->certificate.n == 0)
            puts("The configuration has no certificate yet: signed requests are not served.");
    }
    json_decref(answer);
    return code;
}

enum kms_exit
kms_ctl_user_add(const struct kms_ctl *ctl)
{
    static const struct kms_ctl_kind psk = { KMS_PSK, "credential", "-", "/v1/users", psk_body };
    int64_t at;

    if (ctl->expires != NULL && !kms_instant_read(ctl->expires, &at))
        return kms_ctl_misuse(KMS_INSTANT_FORM);
    return ctl->no_psk ? add_unkeyed(ctl) : kms_ctl_key_add(ctl, &psk);
}

static const char *
plural(long long n)
{
    return n == 1 ? "" : "s";
}

static void
tell_removed(const struct kms_ctl *ctl, const json_t *gone)
{
    long long credentials = json_integer_value(json_object_get(gone, "credentials"));
    long long tpks = json_integer_value(json_object_get(gone, "tpks"));
    long long kept = json_integer_value(json_object_get(gone, "reference-tickets"));
    bool user = json_is_true(json_object_get(gone, "user"));

    if (credentials > 0)
        printf("removed %lld credential%s of %s\n", credentials, plural(credentials),
               ctl->identity);
    if (user && credentials == 0)
        printf("removed %s, a user without PSK\n", ctl->identity);
    else if (!user)
        printf("%s stays a user: user remove without --psk-id removes it\n", ctl->identity);
    if (tpks > 0)
        printf(
            "removed %lld ticket protection key%s shared with %s: the KMS resolves no ticket made "
            "with %s any more\n",
            tpks, plural(tpks), ctl->identity, tpks == 1 ? "it" : "them");
    if (kept > 0)
        printf("revoked %lld reference ticket%s of %s\n", kept, plural(kept), ctl->identity);
}

enum kms_exit
kms_ctl_user_remove(const struct kms_ctl *ctl)
{
    char target[KMS_CTL_TARGET];
    enum kms_exit code;
    json_t *answer;

    if (!kms_ctl_target(target,
                        ctl->key_id == NULL ? "/v1/users/{identity}"
                                            : "/v1/users/{identity}/credentials/{psk-id}",
                        ctl->identity, ctl->key_id))
        return kms_ctl_misuse("the name is too long");
    code = kms_ctl_call(ctl, "DELETE", target, NULL, &answer, NULL);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(answer, "", "\n");
    else if (code == KMS_EXIT_OK)
        tell_removed(ctl, answer);
    json_decref(answer);
    return code;
}

static enum kms_exit
change(const struct kms_ctl *ctl, const char *key, json_t *value, const char *done)
{
    json_t *body = json_object();

    json_object_set_new(body, key, value);
    return kms_ctl_change(ctl, "PATCH", "/v1/users/{identity}", ctl->identity, NULL, body,
                          KMS_CTL_SAY(ctl->identity, ": ", done, ""));
}

enum kms_exit
kms_ctl_user_suspend(const struct kms_ctl *ctl)
{
    return change(ctl, "suspended", json_true(), "suspended");
}

enum kms_exit
kms_ctl_user_resume(const struct kms_ctl *ctl)
{
    return change(ctl, "suspended", json_false(), "not suspended");
}

enum kms_exit
kms_ctl_user_expire(const struct kms_ctl *ctl)
{
    char done[64] = "does not expire", when[KMS_INSTANT];
    int64_t at;

    if (!kms_instant_read(ctl->second, &at))
        return kms_ctl_misuse(KMS_INSTANT_FORM);
    kms_instant_write(at, when);
    if (at != 0)
        snprintf(done, sizeof done, "expires %s", when);
    return change(ctl, "expires", json_string(ctl->second), done);
}

enum kms_exit
kms_ctl_alias_add(const struct kms_ctl *ctl)
{
    return kms_ctl_change(ctl, "PUT", "/v1/users/{identity}/aliases/{alias}", ctl->identity,
                          ctl->second, NULL,
                          KMS_CTL_SAY(ctl->identity, " is ", ctl->second, " too"));
}

enum kms_exit
kms_ctl_alias_remove(const struct kms_ctl *ctl)
{
    return kms_ctl_change(ctl, "DELETE", "/v1/aliases/{alias}", ctl->identity, NULL, NULL,
                          KMS_CTL_SAY("removed the alias ", ctl->identity, "", ""));
}
