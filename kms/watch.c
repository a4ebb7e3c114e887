/* SPDX-License-Identifier: Apache-2.0 */
/* Twenty times a second, and when somebody waits for it, the store is asked for its time and its
 * version, and what has changed is followed; when that is too much, everything is read again. A
 * store that cannot be read leaves the index as it is: the service goes on with what it knew, and
 * says so once. After a long reading there is a short pause, so that a store that never rests
 * leaves the processor to requests; it is bounded, so that a removal takes effect within a second.
 */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "tpk_schedule.h"

#define PERIOD_MS 50
#define OFF_MS 1000 /* what is less is no word to the operator */
#define TPK_PERIOD_MS 60000
#define PAUSE_MAX_MS 400 /* at most, as long as the last reading took */

struct kms_watch {
    struct kms_service *service;
    struct kms_store *store;
    struct kms_http *http;
    struct kms_reload *reload;
    uint64_t version;
    int64_t not_before_ms;
    bool failing;
    enum clock_state { WITH_IT, OFF, ASTRAY } clock; /* against that of the store */
    int stop;
    pthread_t thread;
};

static void
complain(struct kms_watch *w, const struct kms_store_err *err)
{
    atomic_store(&w->service->state.store_readable, false);
    if (!w->failing)
        KMS_LOG(w->service->log, KMS_ERROR, "store-unreadable", kms_text("error", err->text),
                kms_text("effect", "users and keys stay as they were read last"));
    w->failing = true;
}

static enum clock_state
state_of_clock(const struct kms_watch *w, int64_t ahead_ns)
{
    int64_t most = (w->clock == WITH_IT ? OFF_MS : OFF_MS / 2) * (int64_t)KMS_NS_PER_MS;

    if (kms_store_clock_astray(&w->service->clock, w->service->config->clock_window_s))
        return ASTRAY;
    return llabs(ahead_ns) > most ? OFF : WITH_IT;
}

/* What is decided goes by the clock of the store; logs, certificates of TLS and who looks at this
 * machine go by its own. */
static void
compare_clocks(struct kms_watch *w)
{
    struct kms_store_err err = { 0 };
    enum clock_state before = w->clock;
    struct kms_field ahead;
    int64_t ns;

    /* one that does not answer is for the next question to notice */
    (void)kms_store_clock_learn(&w->service->clock, w->store, 1, &err);
    ns = atomic_load(&w->service->clock.ahead_ns);
    ahead = kms_number("ahead-ms", -ns / KMS_NS_PER_MS);
    w->clock = state_of_clock(w, ns);
    if (w->clock == before)
        return;
    if (w->clock == ASTRAY)
        KMS_LOG(w->service->log, KMS_ERROR, "clock-astray", ahead,
                kms_text("effect", "differs from that of the store by more than clock_window: no "
                                   "request is answered"),
                kms_text("hint", "one of the two is wrong: run NTP on both machines"));
    else if (w->clock == OFF)
        KMS_LOG(w->service->log, KMS_WARN, "clock-off", ahead,
                kms_text("effect", "requests go by the clock of the store, TLS and the log by that "
                                   "of this machine"),
                kms_text("hint", "run NTP on both machines"));
    else
        KMS_LOG(w->service->log, KMS_INFO, "clock-right", ahead);
}

/* The picture after the present one. */
static enum kms_store_rc
follow(struct kms_watch *w, uint64_t version, struct kms_index **index, struct kms_store_err *err)
{
    const struct kms_index *old = atomic_load(&w->service->current.now);
    uint64_t seen = w->version;
    enum kms_store_rc rc = kms_index_follow(index, old, w->store, w->service->vault, &seen, err);

    if (rc == KMS_STORE_FORGOTTEN) {
        seen = version;
        rc = kms_index_build(index, w->store, w->service->vault, err);
    }
    if (rc == KMS_STORE_OK)
        w->version = seen;
    return rc;
}

static void
tell(struct kms_service *sv, const struct kms_index *index)
{
    atomic_store(&sv->state.store_readable, true);
    atomic_store(&sv->state.credentials, kms_index_users(index));
    atomic_store(&sv->state.ticket_keys, kms_index_tpks(index));
}

static void
look(struct kms_watch *w)
{
    struct kms_store_err err = { 0 };
    struct kms_index *index;
    uint64_t version;
    int64_t began = kms_steady_ms(), took;

    if (began < w->not_before_ms)
        return;
    compare_clocks(w);
    if (w->store->ops->version(w->store, &version, &err) != KMS_STORE_OK) {
        complain(w, &err);
        return;
    }
    if (version == w->version && !w->failing)
        return;
    if (follow(w, version, &index, &err) != KMS_STORE_OK) {
        complain(w, &err);
        return;
    }
    w->failing = false;
    kms_count(&w->service->state.store_reloads, 1);
    tell(w->service, index);
    KMS_LOG(w->service->log, KMS_INFO, "reloaded",
            kms_number("credentials", (int64_t)kms_index_users(index)),
            kms_number("groups", (int64_t)kms_index_groups(index)),
            kms_number("ticket-keys", (int64_t)kms_index_tpks(index)));
    kms_current_swap(&w->service->current, index);
    kms_followed_tell(&w->service->followed, w->version);
    took = kms_steady_ms() - began;
    w->not_before_ms = kms_steady_ms() + (took < PAUSE_MAX_MS ? took : PAUSE_MAX_MS);
}

/* Ticket protection keys by their schedule. Other nodes may do the same at the same time. */
static void
keep_tpks(struct kms_watch *w)
{
    const struct kms_config *c = w->service->config;
    struct kms_store_err err = { 0 };

    if (kms_tpk_keep(w->store, w->service->vault, c->tpk_rotate_every_s, c->max_validity_s,
                     w->service->log, &err) != KMS_STORE_OK)
        KMS_LOG(w->service->log, KMS_ERROR, "ticket-keys-not-kept", kms_text("error", err.text),
                kms_text("effect", "the present ones stay in use"));
}

static void *
run(void *arg)
{
    struct kms_watch *w = arg;
    struct pollfd p[] = { { .fd = w->stop, .events = POLLIN },
                          { .fd = w->service->followed.wish, .events = POLLIN } };
    unsigned ticks = 0;
    eventfd_t wishes;

    while (poll(p, 2, PERIOD_MS) >= 0 ? p[0].revents == 0 : errno == EINTR) {
        (void)eventfd_read(w->service->followed.wish, &wishes);
        atomic_store(&w->service->state.beat_s, kms_steady_ms() / 1000);
        look(w);
        kms_http_sweep(w->http);
        if (++ticks % (1000 / PERIOD_MS) == 0)
            kms_reload_files(w->reload);
        if (ticks % (TPK_PERIOD_MS / PERIOD_MS) == 0)
            keep_tpks(w);
    }
    return NULL;
}

struct kms_watch *
kms_watch_start(struct kms_service *sv, struct kms_store *store, uint64_t version,
                struct kms_http *http, struct kms_reload *reload)
{
    struct kms_watch *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    w->service = sv;
    w->store = store;
    w->version = version;
    w->http = http;
    w->reload = reload;
    tell(sv, atomic_load(&sv->current.now));
    compare_clocks(w);
    kms_followed_tell(&sv->followed, version);
    atomic_store(&sv->state.beat_s, kms_steady_ms() / 1000);
    w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->stop < 0 || pthread_create(&w->thread, NULL, run, w) != 0) {
        if (w->stop >= 0)
            close(w->stop);
        free(w);
        return NULL;
    }
    return w;
}

void
kms_watch_stop(struct kms_watch *w)
{
    if (w == NULL)
        return;
    (void)eventfd_write(w->stop, 1);
    pthread_join(w->thread, NULL);
    close(w->stop);
    free(w);
}
