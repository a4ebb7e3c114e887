/* SPDX-License-Identifier: Apache-2.0 */
/* tpk add, tpk list, tpk remove, tpk rotate, and what the commands share. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kmsctl.h"
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

/* strptime takes more than it should: what it read is written again and compared. */
bool
kms_ctl_instant(const char *text, int64_t *seconds)
{
    struct tm tm = { 0 };
    char whole[32], again[32];
    size_t n = strlen(text);

    *seconds = 0;
    if (strcmp(text, "never") == 0)
        return true;
    if (n != 10 && n != 20)
        return false;
    snprintf(whole, sizeof whole, "%s%s", text, n == 10 ? "T00:00:00Z" : "");
    if (strptime(whole, "%Y-%m-%dT%H:%M:%SZ", &tm) == NULL)
        return false;
    *seconds = timegm(&tm);
    kms_ctl_time(*seconds, again);
    return *seconds > 0 && strcmp(again, whole) == 0;
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
store_tpk(const struct kms_ctl *ctl, const struct kms_keyfile *k, const struct kms_sealed *key,
          struct kms_store_err *err)
{
    const struct kms_tpk tpk = { .id = k->id, .owner = k->identity, .key = *key };

    return ctl->store->ops->tpk_share(ctl->store, &tpk, err);
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

    if (kms_tpk_rotate(ctl->store, ctl->vault, ctl->realm, time(NULL), ctl->config->max_validity_s,
                       &generation, &err) != KMS_STORE_OK)
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
    struct kms_generations g;
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
    for (size_t i = 0; i < l->g.n; i++) {
        if (l->g.at[i].number != t->generation)
            continue;
        state = kms_tpk_state(&l->g, i, l->now, &end);
        if (end != INT64_MAX)
            kms_ctl_time(end, until);
        return kms_tpk_state_word(state);
    }
    return "new"; /* made since the list was read */
}

static const char *
realm_of(const struct listing *l, const struct kms_tpk *t)
{
    for (size_t i = 0; t->owner == NULL && i < l->g.n_realms; i++)
        if (l->g.realms[i].number == t->realm)
            return l->g.realms[i].name;
    return "-";
}

static void
print_json(const struct listing *l, const struct kms_tpk *t, const char *state, const char *starts,
           const char *until)
{
    char created[32];

    kms_ctl_time(t->created, created);
    printf("%s\n  {\"id\": ", l->n == 0 ? "" : ",");
    kms_ctl_json(t->id);
    printf(", \"suite\": %d, \"state\": \"%s\", \"created\": \"%s\"", t->key_len == 16 ? 128 : 256,
           state, created);
    if (t->owner != NULL) {
        printf(", \"owner\": ");
        kms_ctl_json(t->owner);
    } else {
        printf(", \"realm\": ");
        kms_ctl_json(realm_of(l, t));
        printf(", \"starts\": \"%s\"", starts);
    }
    if (strcmp(until, "-") != 0)
        printf(", \"until\": \"%s\"", until);
    putchar('}');
}

static bool
print_tpk(void *ctx, const struct kms_tpk *t)
{
    struct listing *l = ctx;
    char starts[32], until[32];
    const char *state = state_of(l, t, until);

    kms_ctl_time(t->owner != NULL ? t->created : t->starts, starts);
    if (l->json) {
        print_json(l, t, state, starts, until);
    } else {
        if (l->n == 0)
            printf("%-24s %-5s %-8s %-20s %-20s %-12s %s\n", "ID", "SUITE", "STATE", "STARTS",
                   "UNTIL", "REALM", "OWNER");
        printf("%-24s %-5d %-8s %-20s %-20s %-12s %s\n", t->id, t->key_len == 16 ? 128 : 256, state,
               starts, until, realm_of(l, t), t->owner != NULL ? t->owner : "-");
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
    enum kms_exit code;

    if (kms_generations_read(&l.g, ctl->store, &err) != KMS_STORE_OK)
        code = kms_ctl_fail(&err);
    else
        code = kms_ctl_list(
            ctl, &sink, &l.n,
            "No ticket protection key yet. The daemon makes the first one when it starts.");
    kms_generations_free(&l.g);
    return code;
}
