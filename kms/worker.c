/* SPDX-License-Identifier: Apache-2.0 */
/* Making and ending the service and its workers. */
#include "worker.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

/* The marks in the store; those of a clock that was too far ahead are of no use. */
static bool
load_marks(struct kms_service *sv)
{
    int64_t from = sv->state.started_s;
    int64_t upto = from + sv->config->clock_window_s + KMS_STAMP_MORE + KMS_BEHIND_MAX_S;
    struct kms_store_err err = { 0 };

    return kms_marks_load(sv->marks, from, upto, &err) == KMS_STORE_OK;
}

/* The first instant that no run before can have taken as an ordinary one, when it ended at that
 * time. */
static uint64_t
behind_all(int64_t second, int64_t nanosecond)
{
    return mkt_ntp_from_unix(second, (uint32_t)nanosecond) + KMS_NTP_OF_MS(KMS_AHEAD_MS);
}

bool
kms_service_init(struct kms_service *sv, const struct kms_config *config, struct kms_log *log,
                 int64_t began_ns, struct kms_index *index, size_t n_readers,
                 struct kms_store *marks, const char **failed)
{
    struct kms_store_err err = { 0 };
    int64_t began_s;

    memset(sv, 0, sizeof *sv);
    sv->config = config;
    sv->log = log;
    sv->identity = kms_identity_of(config->identity);
    *failed = "no memory for the index";
    if (!kms_current_init(&sv->current, index, n_readers, kms_index_release)) {
        kms_index_free(index);
        return false;
    }
    *failed = "the store does not tell the time, or takes too long for it";
    if (kms_store_clock_learn(&sv->clock, marks, KMS_CLOCK_TRIES, &err) != KMS_STORE_OK)
        return false;
    began_ns += atomic_load(&sv->clock.ahead_ns);
    began_s = began_ns / KMS_NS_PER_S;
    sv->state.started_s = began_s;
    sv->start = behind_all(began_s, began_ns % KMS_NS_PER_S);
    *failed = "no descriptor to follow the store with";
    if (!kms_followed_init(&sv->followed))
        return false;
    *failed = "no memory for the replay cache: lower replay_capacity";
    sv->replay = kms_replay_new(config->replay_capacity, config->clock_window_s, began_s);
    sv->marks = kms_marks_new(config->replay_capacity, config->clock_window_s, marks);
    if (sv->replay == NULL || sv->marks == NULL)
        return false;
    *failed = "the marks in the store cannot be read, or are more than replay_capacity";
    if (!load_marks(sv))
        return false;
    *failed = "no memory for the limits";
    sv->by_source = kms_limit_new(&config->source);
    sv->by_identity = kms_limit_new(&config->identity_quota);
    if (sv->by_source == NULL || sv->by_identity == NULL)
        return false;
    return true;
}

void
kms_service_free(struct kms_service *sv)
{
    kms_replay_free(sv->replay);
    kms_marks_free(sv->marks);
    kms_tickets_free(sv->tickets);
    kms_limit_free(sv->by_source);
    kms_limit_free(sv->by_identity);
    kms_followed_free(&sv->followed);
    kms_current_free(&sv->current);
}

/* A replay cache that begins empty is no hole when nothing older than the start is taken: and a
 * clock that was put back meanwhile makes the past new again. */
int64_t
kms_service_former(struct kms_service *sv, int64_t former_ns)
{
    int64_t upto = former_ns + 999; /* records tell microseconds */
    int64_t second = upto / KMS_NS_PER_S, behind;
    uint64_t former = behind_all(second, upto % KMS_NS_PER_S);

    if (former_ns == 0 || (int64_t)(former - sv->start) <= 0)
        return 0;
    behind = second - sv->state.started_s + 1;
    if (behind <= KMS_BEHIND_MAX_S)
        sv->start = former;
    return behind;
}

void
kms_service_wait(const struct kms_service *sv)
{
    int64_t now_ns = kms_store_clock_ns(&sv->clock), left_ns;
    uint64_t now = mkt_ntp_from_unix(now_ns / KMS_NS_PER_S, (uint32_t)(now_ns % KMS_NS_PER_S));
    int64_t left = (int64_t)(sv->start - now);

    if (left <= 0)
        return;
    if (left > (int64_t)KMS_NTP_OF_MS(KMS_AHEAD_MS)) /* the clock was put back */
        left = (int64_t)KMS_NTP_OF_MS(KMS_AHEAD_MS);
    left_ns = (left * KMS_NS_PER_S >> 32) + 1;
    nanosleep(&(struct timespec){ 0, left_ns }, NULL);
}

void
kms_service_tally(const struct kms_service *sv, struct kms_tally *sum)
{
    memset(sum, 0, sizeof *sum);
    kms_tally_add(sum, &sv->ended);
    for (const struct kms_worker *w = sv->workers; w != NULL; w = w->next)
        kms_tally_add(sum, &w->tally);
}

static bool
make_dummies(struct kms_worker *w)
{
    struct kms_vault *v = w->service->vault;

    for (int i = 0; i < 2; i++) {
        struct kms_locker l = { .kind = KMS_PSK }; /* no user has an id without octets */

        if (!v->ops->make(v, &l, i == 0 ? 16 : 32, w->dummy_octets[i]))
            return false;
        w->dummy[i] = l.key;
    }
    return true;
}

struct kms_worker *
kms_worker_new(struct kms_service *sv, size_t slot, enum kms_transport t)
{
    struct kms_worker *w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);
    bool ok;

    if (w == NULL)
        return NULL;
    memset(w, 0, sizeof *w);
    w->service = sv;
    w->next = sv->workers;
    sv->workers = w;
    w->slot = slot;
    w->crypto = mkt_crypto_new();
    w->txn = mkt_kms_txn_new();
    ok = w->crypto != NULL && w->txn != NULL && make_dummies(w);
    if (ok && t == KMS_UDP) {
        w->again = kms_retransmit_new(sv->config->retransmit_memory);
        ok = w->again != NULL;
    }
    if (ok && sv->audit != NULL) {
        w->trail = calloc(1, sizeof *w->trail);
        ok = w->trail != NULL;
    }
    if (!ok) {
        kms_worker_free(w);
        return NULL;
    }
    return w;
}

void
kms_worker_free(struct kms_worker *w)
{
    struct kms_worker **at;

    if (w == NULL)
        return;
    for (at = &w->service->workers; *at != w;)
        at = &(*at)->next;
    *at = w->next;
    kms_tally_add(&w->service->ended, &w->tally);
    mkt_kms_txn_free(w->txn);
    mkt_crypto_free(w->crypto);
    kms_retransmit_free(w->again);
    free(w->trail);
    mkt_wipe(w->dummy_octets, sizeof w->dummy_octets);
    mkt_wipe(&w->random, sizeof w->random);
    free(w);
}

void
kms_worker_clock(struct kms_worker *w)
{
    w->now_ns = kms_store_clock_ns(&w->service->clock);
    w->now_s = w->now_ns / KMS_NS_PER_S;
    w->now = mkt_ntp_from_unix(w->now_s, (uint32_t)(w->now_ns % KMS_NS_PER_S));
    w->steady_ns = kms_steady_ns();
}

static bool
worker_random(void *ctx, uint8_t *out, size_t n)
{
    struct kms_worker *w = ctx;

    return mkt_pool_random(&w->random, out, n);
}

/* The COUNTER of an answer is that of the question: RFC 6043 4.2.1.5 allows it, and the answer is
 * bound to the question by its MAC. */
static uint64_t
worker_stamp(void *ctx, uint8_t ts_type)
{
    const struct kms_worker *w = ctx;

    return ts_type == MKT_TS_COUNTER ? w->counter : w->now;
}

struct mkt_env
kms_worker_env(struct kms_worker *w)
{
    struct mkt_env env = { w->crypto, w->now, worker_random, worker_stamp, w };

    return env;
}
