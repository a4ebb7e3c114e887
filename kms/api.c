/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a call: who, what, may they, is it well formed, do it, put it on record. Nothing is
 * done that did not pass every step before. */
#include "api.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mikeyticket/secret.h>

#include "api_parts.h"
#include "worker.h"

#define PICTURE_MS 2000

/* --- memory ----------------------------------------------------------------------------------- */

static void
wipe_free(void *p)
{
    if (p == NULL)
        return;
    mkt_wipe(p, malloc_usable_size(p));
    free(p);
}

void
kms_api_memory(void)
{
    json_set_alloc_funcs(malloc, wipe_free);
}

void
kms_api_end(struct kms_api_call *c)
{
    for (size_t i = 0; i < KMS_API_ARGS; i++)
        free(c->args[i]);
    json_decref(c->given);
    json_decref(c->answer);
    json_decref(c->noted);
    if (c->store != NULL)
        c->store->ops->close(c->store);
    *c = (struct kms_api_call){ 0 };
}

char *
kms_api_answer_text(const struct kms_api_call *c)
{
    return json_dumps(c->answer, JSON_ENSURE_ASCII);
}

/* --- answers ---------------------------------------------------------------------------------- */

const char *
kms_api_outcome_word(enum kms_api_outcome o)
{
    static const char *const words[] = {
#define WORD(name, word) word,
        KMS_API_OUTCOMES(WORD)
#undef WORD
    };

    return words[o];
}

static enum kms_api_outcome
outcome_of(unsigned status)
{
    return status < 300                      ? KMS_API_DONE
           : status == KMS_API_UNAUTHORIZED  ? KMS_API_UNKNOWN
           : status == KMS_API_NOT_PERMITTED ? KMS_API_FORBIDDEN
           : status < 500                    ? KMS_API_REFUSED
                                             : KMS_API_FAILED;
}

static void
count(struct kms_api_call *c)
{
    enum kms_role role = c->endpoint == NULL ? KMS_ROLE_NONE : c->endpoint->role;

    atomic_fetch_add_explicit(&c->api->counts[role][outcome_of(c->status)], 1,
                              memory_order_relaxed);
}

static const char *
title_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        { 400, "Malformed" }, { 401, "Nobody that we know" },    { 403, "Not permitted" },
        { 404, "Not found" }, { 405, "No such method here" },    { 409, "Not as things are" },
        { 413, "Too large" }, { 415, "Unsupported media type" }, { 422, "Not by the policy" },
        { 503, "Not now" },
    };

    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Failed";
}

unsigned
kms_api_refuse(struct kms_api_call *c, unsigned status, const char *where, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(c->why, sizeof c->why, fmt, ap);
    va_end(ap);
    json_decref(c->answer);
    c->answer = json_object();
    kms_api_put(c->answer, "type", json_string("about:blank"));
    kms_api_put(c->answer, "title", json_string(title_of(status)));
    kms_api_put(c->answer, "status", json_integer(status));
    kms_api_put(c->answer, "detail", kms_api_words(c->why));
    if (where != NULL)
        kms_api_put(c->answer, "where", kms_api_words(where));
    c->status = status;
    return status;
}

unsigned
kms_api_store(struct kms_api_call *c, enum kms_store_rc rc, const struct kms_store_err *err)
{
    switch (rc) {
    case KMS_STORE_OK:
    case KMS_STORE_SAME:
        if (c->answer == NULL)
            c->answer = json_object();
        kms_api_put(c->answer, "changed", json_boolean(rc == KMS_STORE_OK));
        return KMS_API_OK;
    case KMS_STORE_NOT_FOUND:
        return kms_api_refuse(c, KMS_API_NOT_FOUND, NULL, "%s", err->text);
    case KMS_STORE_EXISTS:
    case KMS_STORE_REFUSED:
    case KMS_STORE_CURRENT:
        return kms_api_refuse(c, KMS_API_CONFLICT, NULL, "%s", err->text);
    default:
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%s", err->text);
    }
}

/* --- finding ---------------------------------------------------------------------------------- */

/* One segment of a path against one of a template; a {name} takes what stands there. */
static bool
match_segment(const char *want, size_t want_n, const char *have, size_t have_n, char **arg)
{
    if (want[0] != '{')
        return want_n == have_n && memcmp(want, have, have_n) == 0;
    *arg = kms_api_decode(have, have_n, false);
    return *arg != NULL && **arg != '\0';
}

static bool
match(const char *want, const char *have, size_t n, char *args[KMS_API_ARGS])
{
    const char *end = have + n;
    size_t n_args = 0;

    while (*want == '/' && have < end && *have == '/') {
        size_t want_n = strcspn(++want, "/"), have_n;
        char *arg = NULL;
        bool ok;

        have++;
        have_n = 0;
        while (have + have_n < end && have[have_n] != '/')
            have_n++;
        ok = match_segment(want, want_n, have, have_n, &arg);
        if (arg != NULL)
            args[n_args++] = arg;
        if (!ok)
            return false;
        want += want_n;
        have += have_n;
    }
    return *want == '\0' && have == end;
}

static void
drop_args(struct kms_api_call *c)
{
    for (size_t i = 0; i < KMS_API_ARGS; i++) {
        free(c->args[i]);
        c->args[i] = NULL;
    }
}

static void
allow(struct kms_api_call *c, const char *method)
{
    size_t n = strlen(c->allow);

    snprintf(c->allow + n, sizeof c->allow - n, "%s%s", n == 0 ? "" : ", ", method);
}

/* The row of a method and a path. When there is none, call->allow names the methods of the path. */
static const struct kms_endpoint *
find(struct kms_api_call *c, const char *method, const char *target)
{
    size_t n = strcspn(target, "?");

    c->allow[0] = '\0';
    for (size_t i = 0; i < kms_n_endpoints; i++) {
        const struct kms_endpoint *e = &kms_endpoints[i];

        if (match(e->path, target, n, c->args)) {
            if (strcmp(e->method, method) == 0)
                return e;
            allow(c, e->method);
        }
        drop_args(c);
    }
    return NULL;
}

bool
kms_api_begin(struct kms_api_call *c, struct kms_api *api, const struct kms_caller *caller,
              const char *method, const char *target)
{
    bool known;

    c->api = api;
    c->caller = *caller;
    c->endpoint = find(c, method, target);
    known = c->allow[0] != '\0';
    if (c->endpoint == NULL)
        kms_api_refuse(c, known ? KMS_API_NO_METHOD : KMS_API_NOT_FOUND, NULL,
                       known ? "the path has no such method" : "there is no such path");
    else if (caller->role < c->endpoint->role)
        kms_api_refuse(c, KMS_API_NOT_PERMITTED, NULL, "%s has the role %s; this needs %s",
                       caller->name, kms_role_word(caller->role), kms_role_word(c->endpoint->role));
    else if (!kms_api_take_query(c, target + strcspn(target, "?")))
        (void)c->status; /* said already */
    else
        return true;
    count(c);
    if (c->status == KMS_API_NOT_PERMITTED)
        (void)kms_api_record(c);
    return false;
}

void
kms_api_stranger(struct kms_api_call *c, struct kms_api *api, const char *method,
                 const char *target, const char *why)
{
    c->api = api;
    c->endpoint = find(c, method, target);
    kms_api_refuse(c, KMS_API_UNAUTHORIZED, NULL, "%s", why);
    count(c);
    (void)kms_api_record(c);
}

void
kms_api_limit(struct kms_api_call *c, unsigned status, const char *why)
{
    kms_api_refuse(c, status, NULL, "%s", why);
    count(c);
}

/* --- doing ------------------------------------------------------------------------------------ */

/* A running daemon has a store: one that is gone is not made anew, empty. 0, or a refusal. */
static unsigned
open_store(struct kms_api_call *c)
{
    const char *path = c->api->config->store;
    struct kms_store_err err = { 0 };

    if ((c->endpoint->flags & KMS_API_NO_STORE) != 0)
        return 0;
    if (c->api->service != NULL && access(path, F_OK) != 0)
        return kms_api_refuse(c, KMS_API_BROKEN, NULL,
                              "%.400s: is gone; the daemon goes on with what it has read", path);
    if (kms_store_open_sqlite(&c->store, path, 0, &err) != KMS_STORE_OK)
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%s", err.text);
    if (c->api->service == NULL &&
        kms_store_clock_learn(c->api->clock, c->store, KMS_CLOCK_TRIES, &err) != KMS_STORE_OK)
        return kms_api_refuse(c, KMS_API_BROKEN, NULL, "%s", err.text);
    return 0;
}

static unsigned
perform(struct kms_api_call *c)
{
    unsigned status;

    if ((c->endpoint->flags & KMS_API_DAEMON) != 0 && c->api->service == NULL)
        return kms_api_refuse(c, KMS_API_NOT_NOW, NULL, "only a running daemon can do this");
    if (c->endpoint->action != NULL && kms_audit_down(c->api->audit))
        return kms_api_refuse(c, KMS_API_NOT_NOW, NULL,
                              "the audit cannot be written: nothing is changed");
    status = open_store(c);
    if (status != 0)
        return status;
    if ((c->endpoint->flags & KMS_API_KEYS) == 0)
        return c->endpoint->run(c);
    pthread_mutex_lock(&c->api->keys);
    status = c->endpoint->run(c);
    pthread_mutex_unlock(&c->api->keys);
    return status;
}

/* Whoever has changed something asks for it at once: the answer waits until the picture that
 * requests see has it. When that takes too long the change holds all the same, a little later. */
static void
await_picture(struct kms_api_call *c)
{
    struct kms_store_err err;
    uint64_t version;

    if (c->api->service != NULL && c->store != NULL && c->endpoint->action != NULL &&
        c->store->ops->version(c->store, &version, &err) == KMS_STORE_OK)
        (void)kms_followed_wait(&c->api->service->followed, version, PICTURE_MS);
}

void
kms_api_run(struct kms_api_call *c, const char *body, size_t n)
{
    if (kms_api_take_body(c, body, n))
        c->status = perform(c);
    if (c->answer == NULL)
        c->answer = json_object();
    if (c->endpoint->action != NULL && !kms_api_record(c) && c->status < 300)
        kms_api_refuse(c, KMS_API_NOT_NOW, NULL,
                       "it was done, but the audit cannot be written just now: its record waits");
    await_picture(c);
    count(c);
}
