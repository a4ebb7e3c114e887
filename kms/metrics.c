/* SPDX-License-Identifier: Apache-2.0 */
/* One row a metric; those with labels have a writer of their own. */
#include "metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin.h"
#include "api.h"
#include "lane.h"
#include "peers.h"

struct scrape {
    FILE *out;
    struct kms_service *sv;
    struct kms_tally sum;
    struct kms_peers_sum peers;
    const char *name; /* of the metric being written */
};

static void
put(const struct scrape *s, const char *labels, uint64_t n)
{
    fprintf(s->out, "%s%s %" PRIu64 "\n", s->name, labels, n);
}

/* Nanoseconds as seconds, without rounding. */
static void
put_seconds(const struct scrape *s, const char *suffix, uint64_t ns)
{
    fprintf(s->out, "%s%s %" PRIu64 ".%09" PRIu64 "\n", s->name, suffix, ns / 1000000000,
            ns % 1000000000);
}

/* --- with labels ------------------------------------------------------------------------------ */

static void
put_info(const struct scrape *s)
{
    fprintf(s->out, "%s{version=\"%s\"} 1\n", s->name, mkt_version());
}

static void
put_requests(const struct scrape *s)
{
    for (enum kms_transport t = 0; t < KMS_TRANSPORT_COUNT; t++)
        for (enum kms_outcome o = 0; o < KMS_OUTCOME_COUNT; o++)
            fprintf(s->out, "%s{transport=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", s->name,
                    kms_transport_word(t), kms_outcome_word(o), s->sum.outcomes[t][o]);
}

static void
put_stages(const struct scrape *s)
{
    for (size_t i = 0; kms_stage_name(i) != NULL; i++)
        fprintf(s->out, "%s{stage=\"%s\"} %" PRIu64 "\n", s->name, kms_stage_name(i),
                s->sum.ended_at[i]);
}

static void
put_reasons(const struct scrape *s)
{
    for (enum mkt_rc rc = 1; rc < MKT_RC_COUNT; rc++)
        fprintf(s->out, "%s{reason=\"%s\"} %" PRIu64 "\n", s->name, mkt_rc_name(rc),
                s->sum.reasons[rc]);
}

static void
put_took(const struct scrape *s)
{
    uint64_t below = 0;

    for (size_t i = 0; i < KMS_TOOK_BUCKETS; i++) {
        below += s->sum.took[i];
        fprintf(s->out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", s->name, kms_took_ns[i] / 1e9, below);
    }
    below += s->sum.took[KMS_TOOK_BUCKETS];
    fprintf(s->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", s->name, below);
    put_seconds(s, "_sum", s->sum.took_ns);
    fprintf(s->out, "%s_count %" PRIu64 "\n", s->name, below);
}

static void
put_peers_asked(const struct scrape *s)
{
    for (enum kms_asked a = 0; a < KMS_ASKED_COUNT; a++)
        fprintf(s->out, "%s{outcome=\"%s\"} %" PRIu64 "\n", s->name, kms_asked_word(a),
                s->peers.asked[a]);
}

static void
put_peers_served(const struct scrape *s)
{
    fprintf(s->out, "%s{outcome=\"answered\"} %" PRIu64 "\n%s{outcome=\"refused\"} %" PRIu64 "\n",
            s->name, s->peers.served, s->name, s->peers.denied);
}

/* By the role that was needed; "none": there is no such endpoint. */
static void
put_api(const struct scrape *s)
{
    const struct kms_api *api = s->sv->api;

    for (enum kms_role r = KMS_ROLE_NONE; api != NULL && r <= KMS_ROLE_OFFICER; r++)
        for (enum kms_api_outcome o = 0; o < KMS_API_OUTCOME_COUNT; o++)
            fprintf(s->out, "%s{needs=\"%s\",outcome=\"%s\"} %" PRIu64 "\n", s->name,
                    kms_role_word(r), kms_api_outcome_word(o), atomic_load(&api->counts[r][o]));
}

/* --- one number ------------------------------------------------------------------------------- */

static void
put_ready(const struct scrape *s)
{
    put(s, "", kms_readiness(s->sv) == NULL);
}

static void
put_readable(const struct scrape *s)
{
    put(s, "", atomic_load(&s->sv->state.store_readable));
}

/* With its sign, in milliseconds. */
static void
put_clock_ahead(const struct scrape *s)
{
    int64_t ms = -atomic_load(&s->sv->clock.ahead_ns) / KMS_NS_PER_MS;
    uint64_t size = (uint64_t)(ms < 0 ? -ms : ms);

    fprintf(s->out, "%s %s%" PRIu64 ".%03" PRIu64 "\n", s->name, ms < 0 ? "-" : "", size / 1000,
            size % 1000);
}

static void
put_reloads(const struct scrape *s)
{
    put(s, "", atomic_load(&s->sv->state.store_reloads));
}

static void
put_credentials(const struct scrape *s)
{
    put(s, "", atomic_load(&s->sv->state.credentials));
}

static void
put_ticket_keys(const struct scrape *s)
{
    put(s, "", atomic_load(&s->sv->state.ticket_keys));
}

static void
put_replay(const struct scrape *s)
{
    put(s, "", kms_replay_count(s->sv->replay));
}

static void
put_capacity(const struct scrape *s)
{
    put(s, "", s->sv->config->replay_capacity);
}

static void
put_waiting(const struct scrape *s)
{
    put(s, "", kms_lane_waiting(s->sv->lane));
}

static void
put_not_after(const struct scrape *s)
{
    put(s, "", (uint64_t)kms_tls_not_after(s->sv->tls));
}

static void
put_peers(const struct scrape *s)
{
    put(s, "", s->peers.peers);
}

static void
put_peers_down(const struct scrape *s)
{
    put(s, "", s->peers.down);
}

static void
put_peers_waiting(const struct scrape *s)
{
    put(s, "", s->peers.waiting);
}

static void
put_lost(const struct scrape *s)
{
    put(s, "", atomic_load(&s->sv->log->lost));
}

static void
put_start(const struct scrape *s)
{
    put(s, "", (uint64_t)s->sv->state.started_s);
}

static void
put_cpu(const struct scrape *s)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    put_seconds(s, "",
                (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
                    (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000);
}

static void
put_memory(const struct scrape *s)
{
    FILE *f = fopen("/proc/self/statm", "re");
    char line[128] = "";
    const char *second;

    if (f != NULL) {
        if (fgets(line, sizeof line, f) == NULL)
            line[0] = '\0';
        fclose(f);
    }
    second = strchr(line, ' '); /* the first number is the address space */
    put(s, "", second == NULL ? 0 : strtoul(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE));
}

static const struct {
    const char *name, *type, *help;
    void (*put)(const struct scrape *s);
} metrics[] = {
    { "mikey_kms_info", "gauge", "The version that runs.", put_info },
    { "mikey_kms_ready", "gauge", "1 while requests are served.", put_ready },
    { "mikey_kms_requests_total", "counter", "Requests, by transport and outcome.", put_requests },
    { "mikey_kms_unanswered_total", "counter",
      "Requests without the answer they wanted, by the stage at which they ended.", put_stages },
    { "mikey_kms_refusals_total", "counter",
      "Requests without the answer they wanted, by what was wrong with the message.", put_reasons },
    { "mikey_kms_request_duration_seconds", "histogram",
      "Processing time of a request, without waiting in queues.", put_took },
    { "mikey_kms_slow_requests_waiting", "gauge",
      "Requests that wait for a thread because they need RSA or the disk.", put_waiting },
    { "mikey_kms_replay_messages", "gauge", "Messages remembered against replay.", put_replay },
    { "mikey_kms_replay_capacity_messages", "gauge",
      "Messages that can be remembered; when all are in use, requests are refused.", put_capacity },
    { "mikey_kms_credentials", "gauge", "Credentials of users in memory.", put_credentials },
    { "mikey_kms_ticket_keys", "gauge", "Ticket protection keys in memory.", put_ticket_keys },
    { "mikey_kms_store_readable", "gauge", "0 when the store could not be read at the last look.",
      put_readable },
    { "mikey_kms_clock_ahead_seconds", "gauge",
      "How far the clock of this machine is ahead of that of the store.", put_clock_ahead },
    { "mikey_kms_store_reloads_total", "counter", "Changes of the store taken over.", put_reloads },
    { "mikey_kms_tls_not_after_seconds", "gauge",
      "When the first certificate for https runs out, seconds since 1970; 0 without https.",
      put_not_after },
    { "mikey_kms_peers", "gauge", "Other KMSs that are configured.", put_peers },
    { "mikey_kms_peers_down", "gauge", "Other KMSs that could not be reached lately.",
      put_peers_down },
    { "mikey_kms_peer_requests_waiting", "gauge", "Questions to other KMSs under way.",
      put_peers_waiting },
    { "mikey_kms_peer_requests_total", "counter",
      "Tickets of other KMSs that we had to ask about, by what came of it.", put_peers_asked },
    { "mikey_kms_peer_served_total", "counter",
      "Tickets of ours that other KMSs asked about, by what they got.", put_peers_served },
    { "mikey_kms_api_calls_total", "counter",
      "Calls of the admin API, by the role that they need and how they ended.", put_api },
    { "mikey_kms_log_lines_lost_total", "counter", "Log lines that could not be written.",
      put_lost },
    { "process_start_time_seconds", "gauge", "Start of the process, seconds since 1970.",
      put_start },
    { "process_cpu_seconds_total", "counter", "Processor time of the process.", put_cpu },
    { "process_resident_memory_bytes", "gauge", "Memory of the process.", put_memory },
};

void
kms_metrics_write(FILE *out, struct kms_service *sv)
{
    struct scrape s = { .out = out, .sv = sv };

    kms_service_tally(sv, &s.sum);
    kms_peers_sum(sv->peers, &s.peers);
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        s.name = metrics[i].name;
        fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", s.name, metrics[i].help, s.name,
                metrics[i].type);
        metrics[i].put(&s);
    }
}
