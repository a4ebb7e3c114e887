/* SPDX-License-Identifier: Apache-2.0 */
/* tpk rotate, tpk list, and what the commands share. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "kmsctl.h"

enum kms_exit
kms_ctl_fail(const struct kms_store_err *err)
{
    fprintf(stderr, "mikey-kmsctl: %s\n", err->text);
    return KMS_EXIT_STORE;
}

void
kms_ctl_time(int64_t seconds, char buf[32])
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(buf, 32, "%" PRId64, seconds);
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

enum kms_exit
kms_ctl_tpk_rotate(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    int64_t generation;

    if (kms_tpk_rotate(ctl->store, &generation, &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    printf("ticket protection key %" PRId64 " is now current; former keys still open their "
           "tickets\n",
           generation);
    return KMS_EXIT_OK;
}

struct listing {
    bool json;
    size_t n;
};

static bool
print_tpk(void *ctx, const struct kms_tpk *t)
{
    struct listing *l = ctx;
    const char *state = t->current ? "current" : "previous";
    int suite = t->key_len == 16 ? 128 : 256;
    char created[32];

    kms_ctl_time(t->created, created);
    if (l->json) {
        printf("%s\n  {\"id\": ", l->n == 0 ? "" : ",");
        kms_ctl_json(t->id);
        printf(", \"suite\": %d, \"state\": \"%s\", \"created\": \"%s\"}", suite, state, created);
    } else {
        if (l->n == 0)
            printf("%-20s %-5s %-8s %s\n", "ID", "SUITE", "STATE", "CREATED");
        printf("%-20s %-5d %-8s %s\n", t->id, suite, state, created);
    }
    l->n++;
    return true;
}

enum kms_exit
kms_ctl_tpk_list(const struct kms_ctl *ctl)
{
    struct listing l = { ctl->json, 0 };
    struct kms_sink sink = { NULL, print_tpk, &l };
    struct kms_store_err err = { 0 };

    if (ctl->json)
        printf("[");
    if (ctl->store->ops->read(ctl->store, &sink, false, &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json)
        printf("%s]\n", l.n == 0 ? "" : "\n");
    else if (l.n == 0)
        printf("No ticket protection key yet. The daemon makes the first one when it starts.\n");
    return KMS_EXIT_OK;
}
