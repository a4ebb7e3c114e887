/* SPDX-License-Identifier: Apache-2.0 */
/* One record of the audit for each change that was asked for, and for each attempt that was not
 * permitted: who, by which badge, in which role, what, and how it ended. Secrets are left out by
 * their type. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api_parts.h"
#include "limit.h"

#define STRANGERS 5 /* records a second about nobody: anyone can cause them */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kms_bucket strangers;
static uint64_t unrecorded;

/* "name=value" for each parameter, in one buffer. */
struct words {
    const struct kms_api_call *c;
    char text[1024];
};

static struct mkt_span
next_arg(const void *ctx, size_t i)
{
    const struct kms_api_call *c = ctx;

    if (i >= KMS_API_ARGS || c->args[i] == NULL)
        return mkt_span(NULL, 0);
    return mkt_span(c->args[i], strlen(c->args[i]));
}

static void
write_value(const struct kms_api_field *f, const json_t *v, char text[1024])
{
    char *dumped;

    if (json_is_string(v)) {
        snprintf(text, 1024, "%s=%s", f->name, json_string_value(v));
        return;
    }
    dumped = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    snprintf(text, 1024, "%s=%s", f->name, dumped == NULL ? "?" : dumped);
    free(dumped);
}

static struct mkt_span
next_word(const void *ctx, size_t i)
{
    struct words *w = (struct words *)(uintptr_t)ctx;
    const struct kms_api_field *f = w->c->endpoint->fields;

    for (; f != NULL && f->name != NULL; f++) {
        const json_t *v = json_object_get(w->c->given, f->name);

        if (f->type == KMS_API_SECRET || v == NULL || i-- > 0)
            continue;
        write_value(f, v, w->text);
        return mkt_span(w->text, strlen(w->text));
    }
    return mkt_span(NULL, 0);
}

/* Whether a record about a stranger is due, and how many were left out before. */
static bool
stranger_due(uint64_t *before)
{
    bool due;

    pthread_mutex_lock(&lock);
    due = kms_bucket_take(&strangers, STRANGERS, STRANGERS, kms_steady_ns());
    *before = due ? unrecorded : 0;
    unrecorded = due ? 0 : unrecorded + 1;
    pthread_mutex_unlock(&lock);
    return due;
}

static struct mkt_span
next_text(const void *ctx, size_t i)
{
    const char *text = json_string_value(json_array_get(ctx, i));

    return mkt_span(text, text == NULL ? 0 : strlen(text));
}

static void
write_noted(struct kms_trail *t, json_t *noted)
{
    const char *key;
    json_t *v;

    json_object_foreach(noted, key, v)
    {
        if (json_is_array(v))
            kms_trail_list(t, key, next_text, v);
        else if (json_is_string(v))
            kms_trail_text(t, key, json_string_value(v));
    }
}

static void
write_record(struct kms_trail *t, const struct kms_api_call *c, uint64_t before)
{
    struct words words = { .c = c };

    kms_trail_begin(t, "admin", kms_store_clock_ns(c->api->clock));
    kms_trail_text(t, "outcome", c->status < 300 ? "done" : c->status < 500 ? "refused" : "failed");
    if (c->caller.name[0] != '\0') {
        kms_trail_text(t, "who", c->caller.name);
        kms_trail_text(t, "badge", c->caller.badge);
        kms_trail_text(t, "role", kms_role_word(c->caller.role));
    }
    kms_trail_text(t, "transport", c->api->service == NULL ? "local" : "api");
    if (c->endpoint != NULL)
        kms_trail_text(t, "action",
                       c->endpoint->action != NULL ? c->endpoint->action : c->endpoint->path);
    if (c->args[0] != NULL)
        kms_trail_list(t, "target", next_arg, c);
    if (c->endpoint != NULL && c->given != NULL && json_object_size(c->given) > 0)
        kms_trail_list(t, "with", next_word, &words);
    write_noted(t, c->noted);
    kms_trail_number(t, "status", c->status);
    if (c->status >= 300)
        kms_trail_text(t, "why", c->why);
    if (before > 0)
        kms_trail_number(t, "unrecorded", before);
    kms_trail_end(t);
}

bool
kms_api_record(struct kms_api_call *c)
{
    struct kms_trail *t;
    uint64_t before = 0;
    bool ok;

    if (c->api->audit == NULL || (c->caller.name[0] == '\0' && !stranger_due(&before)))
        return true;
    t = calloc(1, sizeof *t);
    if (t == NULL)
        return false;
    write_record(t, c, before);
    ok = kms_audit_commit(c->api->audit, t);
    free(t);
    return ok;
}
