/* SPDX-License-Identifier: Apache-2.0 */
/* Five times a second the version of the store is read. A store that cannot be read leaves the
 * index as it is: the service goes on with what it knew, and says so once. Rebuilding takes at most
 * a fifth of the thread's time, however often the store changes. */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "tpk_schedule.h"

#define PERIOD_MS 200
#define TPK_PERIOD_MS 60000
#define PAUSE 4 /* times the last rebuild */

struct kms_watch {
    struct kms_service *service;
    struct kms_store *store;
    struct kms_http *http;
    uint64_t version;
    int64_t due; /* a TPK starts: seconds since 1970 */
    int64_t not_before_ms;
    bool failing;
    int stop;
    pthread_t thread;
};

static int64_t
steady_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
complain(struct kms_watch *w, const struct kms_store_err *err)
{
    if (!w->failing)
        KMS_LOG(w->service->log, KMS_ERROR, "store-unreadable", kms_text("error", err->text),
                kms_text("effect", "users and keys stay as they were read last"));
    w->failing = true;
}

static void
look(struct kms_watch *w)
{
    struct kms_store_err err = { 0 };
    struct kms_index *index;
    uint64_t version;
    int64_t began = steady_ms();

    if (began < w->not_before_ms)
        return;
    if (w->store->ops->version(w->store, &version, &err) != KMS_STORE_OK) {
        complain(w, &err);
        return;
    }
    if (version == w->version && !w->failing && time(NULL) < w->due)
        return;
    if (kms_index_build(&index, w->store, w->service->vault, time(NULL), &err) != KMS_STORE_OK) {
        complain(w, &err);
        return;
    }
    w->failing = false;
    w->version = version;
    w->due = kms_index_due(index);
    KMS_LOG(w->service->log, KMS_INFO, "reloaded",
            kms_number("credentials", (int64_t)kms_index_users(index)),
            kms_number("ticket-keys", (int64_t)kms_index_tpks(index)));
    kms_current_swap(&w->service->current, index);
    w->not_before_ms = steady_ms() + PAUSE * (steady_ms() - began);
}

/* Ticket protection keys by their schedule. Other nodes may do the same at the same time. */
static void
keep_tpks(struct kms_watch *w)
{
    const struct kms_config *c = w->service->config;
    struct kms_store_err err = { 0 };

    if (c->tpk_rotate_every_s > 0 &&
        kms_tpk_keep(w->store, w->service->vault, c->tpk_rotate_every_s, c->max_validity_s,
                     time(NULL), w->service->log, &err) != KMS_STORE_OK)
        KMS_LOG(w->service->log, KMS_ERROR, "ticket-keys-not-kept", kms_text("error", err.text),
                kms_text("effect", "the present ones stay in use"));
}

static void *
run(void *arg)
{
    struct kms_watch *w = arg;
    struct pollfd p = { .fd = w->stop, .events = POLLIN };
    unsigned ticks = 0;

    while (poll(&p, 1, PERIOD_MS) == 0 || (p.revents == 0 && errno == EINTR)) {
        look(w);
        kms_http_sweep(w->http);
        if (++ticks % (1000 / PERIOD_MS) == 0)
            kms_pki_refresh(w->service->pki, w->service->log);
        if (ticks % (TPK_PERIOD_MS / PERIOD_MS) == 0)
            keep_tpks(w);
    }
    return NULL;
}

struct kms_watch *
kms_watch_start(struct kms_service *sv, struct kms_store *store, uint64_t version,
                struct kms_http *http)
{
    struct kms_watch *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    w->service = sv;
    w->store = store;
    w->version = version;
    w->http = http;
    w->due = kms_index_due(atomic_load(&sv->current.index));
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
