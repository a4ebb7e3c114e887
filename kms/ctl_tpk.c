/* SPDX-License-Identifier: Apache-2.0 */
/* tpk add, tpk remove, tpk rotate, and what the commands share. */
#include <stdio.h>

#include "ctl_call.h"

enum kms_exit
kms_ctl_fail(const struct kms_store_err *err)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", err->text);
    return KMS_EXIT_STORE;
}

enum kms_exit
kms_ctl_misuse(const char *why)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", why);
    return KMS_EXIT_USAGE;
}

void
kms_ctl_json(const char *s)
{
    putchar('"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if ((unsigned char)*s < ' ')
            printf("\\u%04x", (unsigned)(unsigned char)*s);
        else
            putchar(*s);
    }
    putchar('"');
}

static json_t *
tpk_body(const struct kms_ctl *ctl, const char *id, const char *hex)
{
    json_t *body = json_object();

    kms_ctl_put(body, "owner", ctl->identity);
    kms_ctl_put(body, "tpk-id", id);
    kms_ctl_put(body, "tpk", hex);
    return body;
}

enum kms_exit
kms_ctl_tpk_add(const struct kms_ctl *ctl)
{
    static const struct kms_ctl_kind tpk = { KMS_TPK, "key", "-tpk-", "/v1/tpks", tpk_body };

    return kms_ctl_key_add(ctl, &tpk);
}

enum kms_exit
kms_ctl_tpk_remove(const struct kms_ctl *ctl)
{
    return kms_ctl_change(
        ctl, "DELETE", "/v1/tpks/{id}", ctl->identity, NULL, NULL,
        KMS_CTL_SAY("removed ", ctl->identity, ": its tickets cannot be resolved any more", ""));
}

enum kms_exit
kms_ctl_tpk_rotate(const struct kms_ctl *ctl)
{
    json_t *body = json_object(), *answer;
    enum kms_exit code;

    kms_ctl_put(body, "realm", ctl->realm);
    code = kms_ctl_call(ctl, "POST", "/v1/tpks/rotate", body, &answer, NULL);
    if (code == KMS_EXIT_OK && ctl->json)
        kms_ctl_dump(answer, "", "\n");
    else if (code == KMS_EXIT_OK)
        printf("ticket protection key %lld is now current; former keys still open their tickets\n",
               (long long)json_integer_value(json_object_get(answer, "generation")));
    json_decref(answer);
    return code;
}
