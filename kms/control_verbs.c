/* SPDX-License-Identifier: Apache-2.0 */
/* A verb writes its records and returns true, or returns false with an error text. */
#include "control_verbs.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "clock.h"
#include "lane.h"
#include "peers.h"

#define WORDS_MAX 8

struct question {
    struct kms_control_scene *scene;
    char *words[WORDS_MAX];
    size_t n;
    FILE *out;
    char err[KMS_RELOAD_ERR];
};

/* --- reload ----------------------------------------------------------------------------------- */

static void
tell_option(void *ctx, const char *option, bool taken)
{
    fprintf(ctx, "option=%s\tresult=%s\n", option, taken ? "changed" : "needs-restart");
}

static bool
reload(struct question *q)
{
    return kms_reload_run(q->scene->reload, tell_option, q->out, q->err);
}

/* --- status ----------------------------------------------------------------------------------- */

static void
tell_number(struct question *q, const char *key, uint64_t n)
{
    fprintf(q->out, "\t%s=%" PRIu64, key, n);
}

static bool
status(struct question *q)
{
    struct kms_service *sv = q->scene->service;
    const char *ready = kms_readiness(sv), *health;
    struct kms_tally sum;
    struct kms_peers_sum peers;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    health = kms_health(sv, kms_steady_s());
    kms_service_tally(sv, &sum);
    kms_peers_sum(sv->peers, &peers);
    fprintf(q->out, "version=%s\tidentity=%s\tready=%s\thealth=%s\tstore=%s", mkt_version(),
            sv->config->identity, ready == NULL ? "yes" : ready, health == NULL ? "ok" : health,
            atomic_load(&sv->state.store_readable) ? "readable" : "unreadable");
    tell_number(q, "pid", (uint64_t)getpid());
    tell_number(q, "uptime_s", (uint64_t)(now.tv_sec - sv->state.started_s));
    tell_number(q, "credentials", atomic_load(&sv->state.credentials));
    tell_number(q, "ticket_keys", atomic_load(&sv->state.ticket_keys));
    for (enum kms_outcome o = 0; o < KMS_OUTCOME_COUNT; o++)
        tell_number(q, kms_outcome_word(o), kms_tally_outcome(&sum, o));
    tell_number(q, "replay_messages", kms_replay_count(sv->replay));
    tell_number(q, "replay_capacity", sv->config->replay_capacity);
    tell_number(q, "slow_requests_waiting", kms_lane_waiting(sv->lane));
    tell_number(q, "log_lines_lost", atomic_load(&sv->log->lost));
    tell_number(q, "tls_not_after_s", (uint64_t)kms_tls_not_after(sv->tls));
    tell_number(q, "peers", peers.peers);
    tell_number(q, "peers_down", peers.down);
    fputc('\n', q->out);
    return true;
}

/* --- peers ------------------------------------------------------------------------------------ */

static bool
peers_list(struct question *q)
{
    kms_peers_tell(q->scene->service->peers, q->out);
    return true;
}

/* --- limits ----------------------------------------------------------------------------------- */

struct listing {
    struct question *q;
    const char *kind;
};

/* The key of a source is the start of its address; of an identity, its text. */
static void
put_name(FILE *out, const char *kind, struct mkt_span key)
{
    uint8_t address[16] = { 0 };
    char text[INET6_ADDRSTRLEN];

    if (strcmp(kind, "source") == 0) {
        memcpy(address, key.p, key.n);
        inet_ntop(key.n == 4 ? AF_INET : AF_INET6, address, text, sizeof text);
        fputs(text, out);
        return;
    }
    for (size_t i = 0; i < key.n; i++)
        fputc(key.p[i] > ' ' && key.p[i] < 0x7f ? key.p[i] : '?', out);
}

static void
tell_limited(void *ctx, const struct kms_limited *who)
{
    struct listing *l = ctx;

    fprintf(l->q->out, "kind=%s\tname=", l->kind);
    put_name(l->q->out, l->kind, who->key);
    fprintf(l->q->out, "\tstate=%s", who->locked_ns > 0 ? "locked-out" : "limited");
    tell_number(l->q, "refused", who->refused);
    tell_number(l->q, "seconds", (uint64_t)(who->locked_ns + 999999999) / 1000000000);
    fputc('\n', l->q->out);
}

static bool
limits_list(struct question *q)
{
    struct kms_service *sv = q->scene->service;
    struct listing sources = { q, "source" }, identities = { q, "identity" };
    int64_t now_ns = kms_steady_ns();

    kms_limit_list(sv->by_source, now_ns, tell_limited, &sources);
    kms_limit_list(sv->by_identity, now_ns, tell_limited, &identities);
    return true;
}

static bool
limits_lift(struct question *q)
{
    struct kms_service *sv = q->scene->service;
    const char *kind = q->words[2], *name = q->words[3];
    uint8_t address[16];
    bool known = false;

    if (strcmp(kind, "identity") == 0)
        known = kms_limit_lift(sv->by_identity, mkt_span(name, strlen(name)));
    else if (strcmp(kind, "source") != 0)
        return kms_files_fail(q->err, "a limit is of a source or of an identity");
    else if (inet_pton(AF_INET, name, address) == 1)
        known = kms_limit_lift(sv->by_source, mkt_span(address, 4));
    else if (inet_pton(AF_INET6, name, address) == 1)
        known = kms_limit_lift(sv->by_source, mkt_span(address, 8));
    else
        return kms_files_fail(q->err, "a source is an IP address");
    if (!known)
        return kms_files_fail(q->err, "nobody of that name was refused");
    KMS_LOG(sv->log, KMS_INFO, "limit-lifted", kms_text("kind", kind), kms_text("name", name));
    return true;
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct {
    const char *verb, *object; /* object NULL: the verb stands alone */
    size_t words;              /* of the question, all in all */
    bool (*run)(struct question *q);
} verbs[] = {
    { "reload", NULL, 1, reload },        /* the configuration */
    { "status", NULL, 1, status },        /* of the daemon */
    { "limits", "list", 2, limits_list }, /* who was refused lately */
    { "limits", "lift", 4, limits_lift }, /* and may ask again */
    { "peers", "list", 2, peers_list },   /* how other KMSs do */
};

static bool
split(struct question *q, char *line)
{
    char *rest = line, *word;

    while ((word = strsep(&rest, " ")) != NULL) {
        if (q->n == WORDS_MAX || word[0] == '\0')
            return false;
        q->words[q->n++] = word;
    }
    return q->n > 0;
}

static bool
answer(struct question *q, char *line)
{
    if (!split(q, line))
        return kms_files_fail(q->err, "words with one space between, please");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].verb, q->words[0]) == 0 && verbs[i].words == q->n &&
            (verbs[i].object == NULL || strcmp(verbs[i].object, q->words[1]) == 0))
            return verbs[i].run(q);
    return kms_files_fail(q->err, "this daemon does not know the question");
}

void
kms_control_answer(struct kms_control_scene *scene, char *line, FILE *out)
{
    struct question q = { .scene = scene, .out = out };

    if (answer(&q, line))
        fputs("ok\n", out);
    else
        fprintf(out, "error: %s\n", q.err);
}
