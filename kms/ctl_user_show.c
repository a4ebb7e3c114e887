/* SPDX-License-Identifier: Apache-2.0 */
/* user show: one user on one page. */
#include <stdio.h>

#include "ctl_call.h"

static void
print_names(const json_t *list, const char *what)
{
    const json_t *name;
    size_t i;

    json_array_foreach(list, i, name) printf("  %-10s  %s\n", what, json_string_value(name));
}

static void
print_keys(const json_t *list, const char *what, const char *id, const char *since)
{
    const json_t *key;
    size_t i;

    json_array_foreach(list, i, key) printf(
        "  %-10s  %s, suite %lld, since %s\n", what, kms_ctl_text(key, id),
        (long long)json_integer_value(json_object_get(key, "suite")), kms_ctl_text(key, since));
}

static void
print_user(const json_t *o)
{
    const char *expires = kms_ctl_text(o, "expires");

    printf("%s\n  %-10s  %s\n  %-10s  %s\n  %-10s  %s\n", kms_ctl_text(o, "identity"), "state",
           kms_ctl_text(o, "state"), "expires", expires[0] == '\0' ? "never" : expires, "realm",
           kms_ctl_text(o, "realm"));
    print_names(json_object_get(o, "aliases"), "alias");
    print_keys(json_object_get(o, "credentials"), "credential", "psk-id", "added");
    if (json_array_size(json_object_get(o, "credentials")) == 0)
        puts("  no credential: the user signs its requests");
    print_keys(json_object_get(o, "tpks"), "shares", "id", "created");
    print_names(json_object_get(o, "groups"), "group");
}

enum kms_exit
kms_ctl_user_show(const struct kms_ctl *ctl)
{
    char target[KMS_CTL_TARGET];
    enum kms_exit code;
    json_t *answer;

    if (!kms_ctl_target(target, "/v1/users/{identity}", ctl->identity, NULL))
        return kms_ctl_misuse("the name is too long");
    code = kms_ctl_call(ctl, "GET", target, NULL, &answer, NULL);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(answer, "", "\n");
    else if (code == KMS_EXIT_OK)
        print_user(answer);
    json_decref(answer);
    return code;
}
