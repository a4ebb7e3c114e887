/* SPDX-License-Identifier: Apache-2.0 */
/* tpk add, tpk list, tpk remove, tpk rotate, and what the commands share. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kmsctl.h"
#include "tpk.h"
#include "tpk_schedule.h"

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

static enum kms_store_rc
store_tpk(struct kms_store *s, const struct kms_keyfile *k, const struct kms_sealed *key,
          struct kms_store_err *err)
{
    const struct kms_tpk tpk = { .id = k->id, .owner = k->identity, .key = *key };

    return s->ops->tpk_share(s, &tpk, err);
}

enum kms_exit
kms_ctl_tpk_add(const struct kms_ctl *ctl)
{
    static const struct kms_ctl_kind tpk = { KMS_TPK, "key", "-tpk-", store_tpk };

    return kms_ctl_key_add(ctl, &tpk);
}

enum kms_exit
kms_ctl_tpk_remove(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    enum kms_store_rc rc = ctl->store->ops->tpk_remove(ctl->store, ctl->identity, &err);

    if (rc == KMS_STORE_OK) {
        printf("removed %s: its tickets cannot be resolved any more\n", ctl->identity);
        return KMS_EXIT_OK;
    }
    if (rc == KMS_STORE_CURRENT)
        fprintf(stderr, "mikey-kmsctl: %s protects new tickets: tpk rotate first\n", ctl->identity);
    else if (rc == KMS_STORE_NOT_FOUND)
        fprintf(stderr, "mikey-kmsctl: there is no key %s: see tpk list\n", ctl->identity);
    else
        return kms_ctl_fail(&err);
    return KMS_EXIT_STORE;
}

enum kms_exit
kms_ctl_tpk_rotate(const struct kms_ctl *ctl)
{
    struct kms_store_err err = { 0 };
    int64_t generation;

    if (kms_tpk_rotate(ctl->store, ctl->vault, time(NULL), ctl->config->max_validity_s, &generation,
                       &err) != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    printf("ticket protection key %" PRId64 " is now current; former keys still open their "
           "tickets\n",
           generation);
    return KMS_EXIT_OK;
}

struct listing {
    bool json;
    size_t n;
    int64_t now;
    struct kms_generation *g;
    size_t n_g;
};

/* State and end of a key; "shared" has neither. */
static const char *
state_of(const struct listing *l, const struct kms_tpk *t, char until[32])
{
    enum kms_tpk_state state;
    int64_t end = INT64_MAX;

    snprintf(until, 32, "-");
    if (t->owner != NULL)
        return "shared";
    for (size_t i = 0; i < l->n_g; i++) {
        if (l->g[i].number != t->generation)
            continue;
        state = kms_tpk_state(l->g, l->n_g, i, l->now, &end);
        if (end != INT64_MAX)
            kms_ctl_time(end, until);
        return kms_tpk_state_word(state);
    }
    return "new"; /* made since the list was read */
}

static void
print_date(int64_t seconds)
{
    char text[32];

    kms_ctl_time(seconds, text);
    kms_ctl_json(text);
}

static bool
print_tpk(void *ctx, const struct kms_tpk *t)
{
    struct listing *l = ctx;
    char starts[32], until[32];
    const char *state = state_of(l, t, until);
    int suite = t->key_len == 16 ? 128 : 256;

    kms_ctl_time(t->owner != NULL ? t->created : t->starts, starts);
    if (l->json) {
        printf("%s\n  {\"id\": ", l->n == 0 ? "" : ",");
        kms_ctl_json(t->id);
        printf(", \"suite\": %d, \"state\": \"%s\", \"created\": ", suite, state);
        print_date(t->created);
        printf(", \"starts\": \"%s\"", starts);
        if (strcmp(until, "-") != 0)
            printf(", \"until\": \"%s\"", until);
        if (t->owner != NULL) {
            printf(", \"owner\": ");
            kms_ctl_json(t->owner);
        }
        putchar('}');
    } else {
        if (l->n == 0)
            printf("%-24s %-5s %-8s %-20s %-20s %s\n", "ID", "SUITE", "STATE", "STARTS", "UNTIL",
                   "OWNER");
        printf("%-24s %-5d %-8s %-20s %-20s %s\n", t->id, suite, state, starts, until,
               t->owner != NULL ? t->owner : "-");
    }
    l->n++;
    return true;
}

enum kms_exit
kms_ctl_tpk_list(const struct kms_ctl *ctl)
{
    struct listing l = { .json = ctl->json, .now = time(NULL) };
    struct kms_sink sink = { .tpk = print_tpk, .ctx = &l };
    struct kms_store_err err = { 0 };

    enum kms_store_rc rc = kms_tpk_list(ctl->store, &l.g, &l.n_g, &err);

    if (rc == KMS_STORE_OK && ctl->json)
        printf("[");
    if (rc == KMS_STORE_OK)
        rc = ctl->store->ops->read(ctl->store, &sink, false, &err);
    free(l.g);
    if (rc != KMS_STORE_OK)
        return kms_ctl_fail(&err);
    if (ctl->json)
        printf("%s]\n", l.n == 0 ? "" : "\n");
    else if (l.n == 0)
        printf("No ticket protection key yet. The daemon makes the first one when it starts.\n");
    return KMS_EXIT_OK;
}
