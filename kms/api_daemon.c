/* SPDX-License-Identifier: Apache-2.0 */
/* What only a running daemon knows or does: status, reload, peers, limits. */
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "api_parts.h"
#include "clock.h"
#include "lane.h"
#include "peers.h"
#include "reload.h"

/* --- status ----------------------------------------------------------------------------------- */

static void
put_number(json_t *o, const char *key, uint64_t n)
{
    kms_api_put(o, key, json_integer((json_int_t)n));
}

unsigned
kms_api_status(struct kms_api_call *c)
{
    struct kms_service *sv = c->api->service;
    const char *ready = kms_readiness(sv), *health = kms_health(sv, kms_steady_s());
    json_t *o = c->answer = json_object();
    struct kms_peers_sum peers;
    struct kms_tally sum;

    kms_service_tally(sv, &sum);
    kms_peers_sum(sv->peers, &peers);
    kms_api_put(o, "version", json_string(mkt_version()));
    kms_api_put(o, "identity", kms_api_words(sv->config->identity));
    kms_api_put(o, "ready", json_string(ready == NULL ? "yes" : ready));
    kms_api_put(o, "health", json_string(health == NULL ? "ok" : health));
    kms_api_put(o, "store",
                json_string(atomic_load(&sv->state.store_readable) ? "readable" : "unreadable"));
    put_number(o, "pid", (uint64_t)getpid());
    put_number(o, "uptime_s", (uint64_t)(kms_store_clock_s(&sv->clock) - sv->state.started_s));
    put_number(o, "credentials", atomic_load(&sv->state.credentials));
    put_number(o, "ticket_keys", atomic_load(&sv->state.ticket_keys));
    for (enum kms_outcome out = 0; out < KMS_OUTCOME_COUNT; out++)
        put_number(o, kms_outcome_word(out), kms_tally_outcome(&sum, out));
    put_number(o, "replay_messages", kms_replay_count(sv->replay));
    put_number(o, "replay_capacity", sv->config->replay_capacity);
    put_number(o, "slow_requests_waiting", kms_lane_waiting(sv->lane));
    put_number(o, "log_lines_lost", atomic_load(&sv->log->lost));
    put_number(o, "tls_not_after_s", (uint64_t)kms_tls_not_after(sv->tls));
    put_number(o, "peers", peers.peers);
    put_number(o, "peers_down", peers.down);
    return KMS_API_OK;
}

/* --- reload ----------------------------------------------------------------------------------- */

static void
tell_option(void *ctx, const char *option, bool taken)
{
    json_t *row = json_object();

    kms_api_put(row, "option", json_string(option));
    kms_api_put(row, "result", json_string(taken ? "changed" : "needs-restart"));
    (void)json_array_append_new(ctx, row);
}

unsigned
kms_api_reload(struct kms_api_call *c)
{
    char err[KMS_RELOAD_ERR];
    json_t *options = json_array();

    if (!kms_reload_run(c->api->reload, tell_option, options, err)) {
        json_decref(options);
        return kms_api_refuse(c, KMS_API_CONFLICT, NULL, "%.500s", err);
    }
    c->answer = json_object();
    kms_api_put(c->answer, "options", options);
    return KMS_API_OK;
}

/* --- peers ------------------------------------------------------------------------------------ */

static void
tell_peer(void *ctx, const struct kms_peer_news *news)
{
    json_t *row = json_object();

    kms_api_put(row, "peer", kms_api_words(news->identity));
    kms_api_put(row, "domains", kms_api_words(news->domains));
    kms_api_put(row, "state", json_string(news->state));
    put_number(row, "waiting", news->waiting);
    put_number(row, "answered", news->answered);
    put_number(row, "refused", news->refused);
    put_number(row, "failed", news->failed);
    put_number(row, "served", news->served);
    put_number(row, "denied", news->denied);
    put_number(row, "failed_s", (uint64_t)news->failed_s);
    kms_api_put(row, "error", kms_api_words(news->error));
    (void)json_array_append_new(ctx, row);
}

unsigned
kms_api_peers(struct kms_api_call *c)
{
    json_t *rows = json_array();

    kms_peers_each(c->api->service->peers, tell_peer, rows);
    c->answer = json_object();
    kms_api_put(c->answer, "peers", rows);
    return KMS_API_OK;
}

/* --- limits ----------------------------------------------------------------------------------- */

struct listing {
    json_t *rows;
    const char *kind;
};

/* The key of a source is the start of its address; of an identity, its text. */
static json_t *
name_of(const char *kind, struct mkt_span key)
{
    uint8_t address[16] = { 0 };
    char text[INET6_ADDRSTRLEN > KMS_LIMITED_KEY ? INET6_ADDRSTRLEN : KMS_LIMITED_KEY + 1];

    if (strcmp(kind, "source") == 0) {
        memcpy(address, key.p, key.n);
        inet_ntop(key.n == 4 ? AF_INET : AF_INET6, address, text, sizeof text);
        return json_string(text);
    }
    for (size_t i = 0; i < key.n; i++)
        text[i] = key.p[i] > ' ' && key.p[i] < 0x7f ? (char)key.p[i] : '?';
    text[key.n] = '\0';
    return json_string(text);
}

static void
tell_limited(void *ctx, const struct kms_limited *who)
{
    struct listing *l = ctx;
    json_t *row = json_object();

    kms_api_put(row, "kind", json_string(l->kind));
    kms_api_put(row, "name", name_of(l->kind, who->key));
    kms_api_put(row, "state", json_string(who->locked_ns > 0 ? "locked-out" : "limited"));
    put_number(row, "refused", who->refused);
    put_number(row, "seconds", (uint64_t)(who->locked_ns + KMS_NS_PER_S - 1) / KMS_NS_PER_S);
    (void)json_array_append_new(l->rows, row);
}

unsigned
kms_api_limits(struct kms_api_call *c)
{
    struct kms_service *sv = c->api->service;
    struct listing sources = { json_array(), "source" }, identities = { sources.rows, "identity" };
    int64_t now_ns = kms_steady_ns();

    kms_limit_list(sv->by_source, now_ns, tell_limited, &sources);
    kms_limit_list(sv->by_identity, now_ns, tell_limited, &identities);
    c->answer = json_object();
    kms_api_put(c->answer, "limits", sources.rows);
    return KMS_API_OK;
}

/* Of an IPv6 address limits count the /64. */
static bool
lift_source(struct kms_service *sv, const char *name, bool *known)
{
    uint8_t address[16];

    if (inet_pton(AF_INET, name, address) == 1)
        *known = kms_limit_lift(sv->by_source, mkt_span(address, 4));
    else if (inet_pton(AF_INET6, name, address) == 1)
        *known = kms_limit_lift(sv->by_source, mkt_span(address, 8));
    else
        return false;
    return true;
}

unsigned
kms_api_lift(struct kms_api_call *c)
{
    struct kms_service *sv = c->api->service;
    const char *kind = c->args[0], *name = c->args[1];
    bool known = false;

    if (strcmp(kind, "identity") == 0)
        known = kms_limit_lift(sv->by_identity, mkt_span(name, strlen(name)));
    else if (strcmp(kind, "source") != 0)
        return kms_api_refuse(c, KMS_API_MALFORMED, NULL,
                              "a limit is of a source or of an identity");
    else if (!lift_source(sv, name, &known))
        return kms_api_refuse(c, KMS_API_MALFORMED, NULL, "a source is an IP address");
    if (!known)
        return kms_api_refuse(c, KMS_API_NOT_FOUND, NULL, "nobody of that name was refused");
    KMS_LOG(sv->log, KMS_INFO, "limit-lifted", kms_text("kind", kind), kms_text("name", name));
    return KMS_API_OK;
}
