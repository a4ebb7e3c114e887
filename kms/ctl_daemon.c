/* SPDX-License-Identifier: Apache-2.0 */
/* status, reload, limits lift: what the running daemon is asked and told. */
#include <stdio.h>
#include <string.h>

#include "ctl_call.h"

enum kms_exit
kms_ctl_needs_daemon(const struct kms_ctl *ctl)
{
    if (ctl->config->control[0] == '\0') {
        fputs("mikey-kmsctl: the configuration has no control socket: remove \"control: off\"\n",
              stderr);
        return KMS_EXIT_FAILED;
    }
    if (!kms_ctl_daemon(ctl)) {
        fprintf(stderr, "mikey-kmsctl: no daemon listens on %s\n", ctl->config->control);
        return KMS_EXIT_FAILED;
    }
    return KMS_EXIT_OK;
}

static enum kms_exit
call(const struct kms_ctl *ctl, const char *method, const char *target, json_t **answer)
{
    enum kms_exit code = kms_ctl_needs_daemon(ctl);

    *answer = NULL;
    return code == KMS_EXIT_OK ? kms_ctl_call(ctl, method, target, NULL, answer, NULL) : code;
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

enum kms_exit
kms_ctl_reload(const struct kms_ctl *ctl)
{
    enum kms_exit code;
    json_t *answer, *options, *row;
    size_t i;

    code = call(ctl, "POST", "/v1/reload", &answer);
    options = json_object_get(answer, "options");
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(options, "", "\n");
    else if (code == KMS_EXIT_OK && json_array_size(options) == 0)
        puts("The configuration is as before. Its files were read again.");
    else if (code == KMS_EXIT_OK)
        json_array_foreach(options, i, row)
            printf("%s  %s\n", kms_ctl_text(row, "option"), kms_ctl_text(row, "result"));
    json_decref(answer);
    return code == KMS_EXIT_STORE ? KMS_EXIT_CONFIG : code; /* what it conflicts with is a file */
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
