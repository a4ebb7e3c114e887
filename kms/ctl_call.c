/* SPDX-License-Identifier: Apache-2.0 */
/* One call, two ways. What is done in this process is put on record as the daemon would: the folder
 * of the audit is taken for as long, and without it nothing is changed. */
#include "ctl_call.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api.h"
#include "octets.h"

#define PATIENCE_S 60L          /* a reload may read long lists */
#define ANSWER_MAX (256u << 20) /* octets */
#define AUDIT_TRIES 20          /* of 0.1 s: another mikey-kmsctl may be at it */

/* --- targets ---------------------------------------------------------------------------------- */

static bool
add_octet(char *target, size_t *n, unsigned char c)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    static const char digits[] = "0123456789ABCDEF";

    if (*n + 4 > KMS_CTL_TARGET)
        return false;
    if (c != '\0' && strchr(plain, c) != NULL) {
        target[(*n)++] = (char)c;
        return true;
    }
    target[(*n)++] = '%';
    target[(*n)++] = digits[c >> 4];
    target[(*n)++] = digits[c & 15];
    return true;
}

bool
kms_ctl_target(char target[KMS_CTL_TARGET], const char *path, const char *first, const char *second)
{
    const char *text = first;
    size_t n = 0;

    for (; *path != '\0'; path++) {
        if (*path != '{') {
            if (n + 2 > KMS_CTL_TARGET)
                return false;
            target[n++] = *path;
            continue;
        }
        for (; text != NULL && *text != '\0'; text++)
            if (!add_octet(target, &n, (unsigned char)*text))
                return false;
        text = second;
        path = strchr(path, '}');
    }
    target[n] = '\0';
    return true;
}

bool
kms_ctl_parameter(char target[KMS_CTL_TARGET], const char *name, const char *text)
{
    size_t n = strlen(target);

    if (text == NULL)
        return true;
    if (n + strlen(name) + 3 > KMS_CTL_TARGET)
        return false;
    n += (size_t)sprintf(target + n, "%c%s=", strchr(target, '?') == NULL ? '?' : '&', name);
    for (; *text != '\0'; text++)
        if (!add_octet(target, &n, (unsigned char)*text))
            return false;
    target[n] = '\0';
    return true;
}

/* --- by the daemon ---------------------------------------------------------------------------- */

/* 0: somebody listens; else why not, as errno. */
static int
knock(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd, why = 0;

    if (path[0] == '\0' || strlen(path) >= sizeof to.sun_path)
        return ENOENT;
    memcpy(to.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        why = errno;
    if (fd >= 0)
        close(fd);
    return why;
}

bool
kms_ctl_daemon(const struct kms_ctl *ctl)
{
    return knock(ctl->config->control) == 0;
}

struct transfer {
    struct kms_octets answer;
    void (*progress)(void *ctx, uint64_t done, uint64_t all);
    void *ctx;
};

static size_t
take_answer(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;

    if (t->answer.n + size * n > ANSWER_MAX || !kms_octets_append(&t->answer, p, size * n))
        return 0;
    return size * n;
}

static int
take_progress(void *ctx, curl_off_t in_all, curl_off_t in, curl_off_t out_all, curl_off_t out)
{
    struct transfer *t = ctx;

    (void)in_all;
    (void)in;
    if (out_all > 0)
        t->progress(t->ctx, (uint64_t)out, (uint64_t)out_all);
    return 0;
}

struct message {
    const char *method, *target, *type, *octets; /* type NULL: no body */
    size_t n;
};

static void
set_up(CURL *h, const struct kms_ctl *ctl, const struct message *m, struct transfer *t,
       const char *url, struct curl_slist *head)
{
    curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, ctl->config->control);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, head);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
    if (m->type != NULL) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, m->octets);
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)m->n);
    }
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, m->method);
    if (t->progress == NULL) {
        curl_easy_setopt(h, CURLOPT_TIMEOUT, PATIENCE_S);
        return;
    }
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, take_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, t);
}

/* The status, 0 when nobody answered: err (CURL_ERROR_SIZE) says why. */
static long
ask(const struct kms_ctl *ctl, const struct message *m, struct transfer *t, char *err)
{
    char url[KMS_CTL_TARGET + 16], type[80];
    struct curl_slist *head = NULL;
    CURL *h = curl_easy_init();
    long status = 0;

    snprintf(err, CURL_ERROR_SIZE, "out of memory");
    if (m->type != NULL)
        snprintf(type, sizeof type, "Content-Type: %s", m->type);
    head = curl_slist_append(head, m->type != NULL ? type : "Accept: application/json");
    head = head == NULL ? NULL : curl_slist_append(head, "Expect:");
    if (h != NULL && head != NULL) {
        snprintf(url, sizeof url, "http://kms%s", m->target);
        set_up(h, ctl, m, t, url, head);
        curl_easy_setopt(h, CURLOPT_ERRORBUFFER, err);
        err[0] = '\0';
        if (curl_easy_perform(h) == CURLE_OK)
            curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    }
    curl_slist_free_all(head);
    curl_easy_cleanup(h);
    return status;
}

static unsigned
by_daemon(const struct kms_ctl *ctl, const struct message *m, struct transfer *t, json_t **answer)
{
    char err[CURL_ERROR_SIZE];
    long status = ask(ctl, m, t, err);

    *answer = status == 0 ? NULL : json_loadb(t->answer.p, t->answer.n, 0, NULL);
    if (status == 0)
        fprintf(stderr, "mikey-kmsctl: no answer from the daemon, which may have done it: %s\n",
                err);
    else if (!json_is_object(*answer))
        fprintf(stderr, "mikey-kmsctl: the answer of the daemon is not understood\n");
    if (t->answer.p != NULL)
        mkt_wipe(t->answer.p, t->answer.n);
    free(t->answer.p);
    if (json_is_object(*answer))
        return (unsigned)status;
    json_decref(*answer);
    *answer = NULL;
    return 0;
}

/* --- in this process -------------------------------------------------------------------------- */

/* What is kept until the end: the folder of the audit is taken once. */
static struct {
    struct kms_api api;
    struct kms_log log;
    struct kms_store_clock clock;
    struct kms_store *seals, *keys;
    bool opened;
} here;

/* False: the call was refused. */
static bool
open_audit(const struct kms_ctl *ctl, struct kms_api_call *call)
{
    const struct timespec nap = { 0, 100000000 };
    struct kms_store_err store_err = { 0 };
    char err[KMS_AUDIT_ERR] = "";

    if (ctl->config->audit_dir[0] == '\0' && ctl->config->audit_syslog[0] == '\0' &&
        ctl->config->audit_http[0] == '\0')
        return true; /* nothing is recorded by anybody */
    kms_log_init(&here.log, STDERR_FILENO, KMS_ERROR, false);
    if (!here.opened &&
        (kms_store_open_sqlite(&here.seals, ctl->config->store, 0, &store_err) != KMS_STORE_OK ||
         kms_store_clock_learn(&here.clock, here.seals, KMS_CLOCK_TRIES, &store_err) !=
             KMS_STORE_OK)) {
        kms_api_refuse(call, 500, NULL, "%s", store_err.text);
        return false;
    }
    for (int i = 0; !here.opened && i < AUDIT_TRIES; i++) {
        here.opened =
            kms_audit_open(&here.api.audit, ctl->config, &here.log, here.seals, &here.clock, err);
        if (!here.opened && strstr(err, KMS_AUDIT_TAKEN) == NULL)
            break;
        if (!here.opened)
            nanosleep(&nap, NULL);
    }
    if (!here.opened)
        kms_api_refuse(call, 503, NULL, "the audit cannot be written, nothing was changed: %.400s",
                       err);
    return here.opened;
}

void
kms_ctl_call_end(void)
{
    kms_audit_close(here.api.audit, NULL);
    if (here.seals != NULL)
        here.seals->ops->close(here.seals);
    kms_vault_close(here.api.vault);
    if (here.keys != NULL)
        here.keys->ops->close(here.keys);
    here.api.vault = NULL;
    here.keys = NULL;
    here.api.audit = NULL;
    here.seals = NULL;
    here.opened = false;
}

/* The vault, when the call needs it. */
static bool
open_keys(const struct kms_ctl *ctl, struct kms_api_call *call)
{
    struct kms_ctl with = *ctl;
    struct kms_store_err err = { 0 };

    if ((call->endpoint->flags & KMS_API_KEYS) == 0 || here.api.vault != NULL)
        return true;
    if (here.keys == NULL &&
        kms_store_open_sqlite(&here.keys, ctl->config->store, 0, &err) != KMS_STORE_OK) {
        kms_api_refuse(call, 500, NULL, "%s", err.text);
        return false;
    }
    with.store = here.keys;
    if (!kms_ctl_open_vault(&with)) {
        kms_api_refuse(call, 500, NULL, "the keys of the store cannot be opened");
        return false;
    }
    here.api.vault = with.vault;
    return true;
}

/* Who can open the store can do everything with it. */
static void
who_am_i(struct kms_caller *who)
{
    static const struct kms_roster nobody;

    (void)kms_roster_user(&nobody, geteuid(), geteuid(), NULL, 0, who);
}

static unsigned
by_ourselves(const struct kms_ctl *ctl, const struct message *m, struct transfer *t,
             json_t **answer)
{
    struct kms_api_call call = { .progress = t->progress, .progress_ctx = t->ctx };
    struct kms_caller who;
    unsigned status;

    who_am_i(&who);
    here.api.config = ctl->config;
    here.api.clock = &here.clock;
    if (kms_api_begin(&call, &here.api, &who, m->method, m->target)) {
        if ((call.endpoint->action == NULL || open_audit(ctl, &call)) && open_keys(ctl, &call))
            kms_api_run(&call, m->octets, m->n);
    }
    status = call.status;
    *answer = json_incref(call.answer);
    kms_api_end(&call);
    return status;
}

/* --- both ------------------------------------------------------------------------------------- */

static enum kms_exit
exit_of(unsigned status)
{
    return status == 0                                       ? KMS_EXIT_FAILED
           : status < 300                                    ? KMS_EXIT_OK
           : status == 404 || status == 409 || status == 500 ? KMS_EXIT_STORE
           : status == 401 || status == 403 || status == 503 ? KMS_EXIT_FAILED
                                                             : KMS_EXIT_USAGE;
}

static enum kms_exit
call(const struct kms_ctl *ctl, const struct message *m, struct transfer *t, json_t **answer,
     unsigned *status)
{
    int why = knock(ctl->config->control);
    unsigned got;

    *answer = NULL;
    kms_api_memory();
    if (why == EACCES || why == EPERM) {
        fprintf(stderr, "mikey-kmsctl: %s: %s: see api.people in mikey-kmsd.conf(5)\n",
                ctl->config->control, strerror(why));
        got = 0;
    } else {
        got = (why == 0 ? by_daemon : by_ourselves)(ctl, m, t, answer);
    }
    if (status != NULL) {
        *status = got;
    } else if (got >= 300) {
        fprintf(stderr, "mikey-kmsctl: %s\n", kms_ctl_text(*answer, "detail"));
        json_decref(*answer);
        *answer = NULL;
    }
    return exit_of(got);
}

enum kms_exit
kms_ctl_call(const struct kms_ctl *ctl, const char *method, const char *target, json_t *body,
             json_t **answer, unsigned *status)
{
    struct message m = { .method = method, .target = target };
    struct transfer t = { .progress = NULL };
    char *text = NULL;
    enum kms_exit code;

    if (body != NULL) {
        text = json_dumps(body, JSON_COMPACT);
        json_decref(body);
        if (text == NULL)
            return kms_ctl_misuse("an argument is not UTF-8");
        m.type = "application/json";
        m.octets = text;
        m.n = strlen(text);
    }
    code = call(ctl, &m, &t, answer, status);
    if (text != NULL)
        mkt_wipe(text, m.n);
    free(text);
    return code;
}

enum kms_exit
kms_ctl_note(const struct kms_ctl *ctl, const char *what, const char *which)
{
    json_t *body = json_object(), *answer;
    enum kms_exit code;

    kms_ctl_put(body, "what", what);
    kms_ctl_put(body, "which", which);
    code = kms_ctl_call(ctl, "POST", "/v1/notes", body, &answer, NULL);
    json_decref(answer);
    return code;
}

enum kms_exit
kms_ctl_octets(const struct kms_ctl *ctl, const char *method, const char *target, const char *type,
               const char *octets, size_t n,
               void (*progress)(void *ctx, uint64_t done, uint64_t all), void *ctx, json_t **answer)
{
    const struct message m = { method, target, type, octets, n };
    struct transfer t = { .progress = progress, .ctx = ctx };

    return call(ctl, &m, &t, answer, NULL);
}

void
kms_ctl_put(json_t *body, const char *key, const char *text)
{
    if (text != NULL && json_object_set_new(body, key, json_string(text)) != 0)
        (void)json_object_set_new(body, key, json_null()); /* not UTF-8: it will be refused */
}

enum kms_exit
kms_ctl_change(const struct kms_ctl *ctl, const char *method, const char *path, const char *first,
               const char *second, json_t *body, const char *const done[4])
{
    char target[KMS_CTL_TARGET];
    enum kms_exit code;
    json_t *answer;

    if (!kms_ctl_target(target, path, first, second)) {
        json_decref(body);
        return kms_ctl_misuse("the name is too long");
    }
    code = kms_ctl_call(ctl, method, target, body, &answer, NULL);
    if (code == KMS_EXIT_OK && ctl->json) {
        kms_ctl_dump(answer, "", "\n");
    } else if (code == KMS_EXIT_OK) {
        printf("%s%s%s%s%s\n", done[0], done[1], done[2], done[3],
               json_is_false(json_object_get(answer, "changed")) ? ", as before" : "");
    }
    json_decref(answer);
    return code;
}

const char *
kms_ctl_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static void
print(const json_t *v, size_t flags, const char *before, const char *after)
{
    char *text = json_dumps(v, flags | JSON_ENSURE_ASCII);

    printf("%s%s%s", before, text == NULL ? "null" : text, after);
    free(text);
}

void
kms_ctl_dump(const json_t *v, const char *before, const char *after)
{
    print(v, 0, before, after);
}

void
kms_ctl_result(json_t *v)
{
    kms_ctl_dump(v, "", "\n");
    json_decref(v);
}

void
kms_ctl_compact(const json_t *v, const char *before, const char *after)
{
    print(v, JSON_COMPACT, before, after);
}

enum kms_exit
kms_ctl_pages(const struct kms_ctl *ctl, const char *target, const char *name,
              void (*show)(void *ctx, const json_t *row, size_t i), void *ctx, size_t *n)
{
    char page[KMS_CTL_TARGET];
    enum kms_exit code;
    json_t *answer, *row;
    bool more = true;
    size_t i;

    snprintf(page, sizeof page, "%s", target);
    for (*n = 0; more;) {
        code = kms_ctl_call(ctl, "GET", page, NULL, &answer, NULL);
        if (code != KMS_EXIT_OK)
            return code;
        json_array_foreach(json_object_get(answer, name), i, row) show(ctx, row, (*n)++);
        snprintf(page, sizeof page, "%s", target);
        more = json_object_get(answer, "next") != NULL &&
               kms_ctl_parameter(page, "after", kms_ctl_text(answer, "next"));
        json_decref(answer);
    }
    return KMS_EXIT_OK;
}
