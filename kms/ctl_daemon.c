/* SPDX-License-Identifier: Apache-2.0 */
/* status, reload, peers, limits: what the running daemon is asked and told. */
#include <stdio.h>
#include <string.h>

#include "ctl_call.h"

static enum kms_exit
call(const struct kms_ctl *ctl, const char *method, const char *target, json_t **answer)
{
    enum kms_exit code;

    *answer = NULL;
    if (ctl->config->control[0] == '\0') {
        fputs("mikey-kmsctl: the configuration has no control socket: remove \"control: off\"\n",
              stderr);
        return KMS_EXIT_FAILED;
    }
    if (!kms_ctl_daemon(ctl)) {
        fprintf(stderr, "mikey-kmsctl: no daemon listens on %s\n", ctl->config->control);
        return KMS_EXIT_FAILED;
    }
    code = kms_ctl_call(ctl, method, target, NULL, answer, NULL);
    return code == KMS_EXIT_OK ? code : KMS_EXIT_FAILED;
}

enum kms_exit
kms_ctl_status(const struct kms_ctl *ctl)
{
    enum kms_exit code;
    json_t *answer, *v;
    const char *key;

    code = call(ctl, "GET", "/v1/status", &answer);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(answer, "", "\n");
    else if (code == KMS_EXIT_OK)
        json_object_foreach(answer, key, v)
        {
            if (json_is_string(v))
                printf("%-22s %s\n", key, json_string_value(v));
            else
                printf("%-22s %lld\n", key, (long long)json_integer_value(v));
        }
    json_decref(answer);
    return code;
}

/* The rows of a list: in columns, or as they came. */
static enum kms_exit
list(const struct kms_ctl *ctl, const char *method, const char *target, const char *name)
{
    enum kms_exit code;
    json_t *answer, *row, *v;
    const char *key;
    size_t i;

    code = call(ctl, method, target, &answer);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(json_object_get(answer, name), "", "\n");
    else if (code == KMS_EXIT_OK)
        json_array_foreach(json_object_get(answer, name), i, row)
        {
            const char *before = "";

            json_object_foreach(row, key, v)
            {
                if (json_is_string(v))
                    printf("%s%s", before, json_string_value(v));
                else
                    printf("%s%lld", before, (long long)json_integer_value(v));
                before = "  ";
            }
            putchar('\n');
        }
    json_decref(answer);
    return code;
}

enum kms_exit
kms_ctl_reload(const struct kms_ctl *ctl)
{
    return list(ctl, "POST", "/v1/reload", "options");
}

enum kms_exit
kms_ctl_peers_list(const struct kms_ctl *ctl)
{
    return list(ctl, "GET", "/v1/peers", "peers");
}

enum kms_exit
kms_ctl_limits_list(const struct kms_ctl *ctl)
{
    return list(ctl, "GET", "/v1/limits", "limits");
}

enum kms_exit
kms_ctl_limits_lift(const struct kms_ctl *ctl)
{
    char target[KMS_CTL_TARGET];
    json_t *answer;
    enum kms_exit code;

    if (!kms_ctl_target(target, "/v1/limits/{kind}/{name}", ctl->identity, ctl->second))
        return kms_ctl_misuse("the name is too long");
    code = call(ctl, "DELETE", target, &answer);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(answer, "", "\n");
    json_decref(answer);
    return code;
}
