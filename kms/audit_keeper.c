/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that writes for those who do not wait, tries again when a sink has failed, and begins
 * a new segment when it is time. */
#include <inttypes.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "audit_parts.h"

#define TICK_MS 200

static void
serve_waits(struct kms_audit *a)
{
    struct kms_audit_wait *w, *next;
    size_t n = 0;
    bool ok;

    kms_audit_gather(a);
    pthread_mutex_lock(&a->lock);
    w = a->waits;
    a->waits = NULL;
    pthread_mutex_unlock(&a->lock);
    for (; w != NULL; w = next, n++) {
        next = w->next;
        pthread_mutex_lock(&a->lock);
        ok = !w->refused && kms_audit_reach(a, w->last, w->epoch);
        pthread_mutex_unlock(&a->lock);
        w->done(w, ok);
    }
    if (n == 0)
        return;
    pthread_mutex_lock(&a->lock);
    a->n_waits -= n;
    pthread_cond_broadcast(&a->moved);
    pthread_mutex_unlock(&a->lock);
}

/* What was taken before, what came since, and a note that it was not answered for. */
static bool
write_everything(struct kms_audit *a)
{
    bool ok = a->taken.n == 0 ? kms_audit_outlets_done(a) : kms_audit_write(a);

    if (!ok)
        return false;
    pthread_mutex_lock(&a->lock);
    kms_audit_take(a);
    pthread_mutex_unlock(&a->lock);
    if (a->taken.n > 0 && !kms_audit_write(a))
        return false;
    kms_trail_begin(a->note, "resumed", kms_store_clock_ns(a->clock));
    if (a->head.seq >= a->withheld) {
        kms_trail_number(a->note, "withheld-from", a->withheld);
        kms_trail_number(a->note, "withheld-to", a->head.seq);
    }
    kms_trail_number(a->note, "unrecorded", atomic_load(&a->refused));
    kms_trail_end(a->note);
    pthread_mutex_lock(&a->lock);
    kms_audit_note(a, a->note);
    kms_audit_take(a);
    pthread_mutex_unlock(&a->lock);
    return kms_audit_write(a);
}

void
kms_audit_resume(struct kms_audit *a)
{
    uint64_t refused;

    kms_audit_begin_writing(a);
    if (write_everything(a)) {
        refused = atomic_exchange(&a->refused, 0);
        pthread_mutex_lock(&a->lock);
        a->done = a->added;
        atomic_store(&a->down, false);
        pthread_mutex_unlock(&a->lock);
        KMS_LOG(a->log, KMS_WARN, "audit-resumed", kms_number("refused", (int64_t)refused));
    }
    kms_audit_end_writing(a);
}

/* What outlets that are not required have lost, and that they fail, is logged and recorded. */
static void
take_news(struct kms_audit *a)
{
    struct kms_outlet_news news;

    for (size_t i = 0; i < a->n_outlets; i++) {
        kms_outlet_news(a->outlets[i], &news);
        if (news.changed && news.failing)
            KMS_LOG(a->log, KMS_ERROR, news.required ? "audit-down" : "audit-sink-lost",
                    kms_text("sink", news.name), kms_text("error", news.err));
        else if (news.changed)
            KMS_LOG(a->log, KMS_WARN, "audit-sink-back", kms_text("sink", news.name),
                    kms_number("lost", (int64_t)news.lost));
        if (news.lost == 0)
            continue;
        pthread_mutex_lock(&a->lock);
        while (a->writing)
            pthread_cond_wait(&a->moved, &a->lock);
        kms_trail_begin(a->note, "lost", kms_store_clock_ns(a->clock));
        kms_trail_text(a->note, "sink", news.name);
        kms_trail_number(a->note, "records", news.lost);
        kms_trail_end(a->note);
        kms_audit_note(a, a->note);
        pthread_mutex_unlock(&a->lock);
    }
}

/* Rotation by time, and pending notes, when no request does it. */
static void
tend(struct kms_audit *a)
{
    pthread_mutex_lock(&a->lock);
    if (!a->writing) {
        if (a->rotate_at_s != 0 && kms_steady_s() >= a->rotate_at_s && !a->file_failing)
            a->rotate = true;
        if ((a->pending.n > 0 || (a->rotate && !a->file_failing)) && !atomic_load(&a->down))
            kms_audit_lead(a);
    }
    pthread_mutex_unlock(&a->lock);
}

void *
kms_audit_keep(void *arg)
{
    struct kms_audit *a = arg;
    struct pollfd p = { .fd = a->wake, .events = POLLIN };
    int64_t tended = 0;
    eventfd_t n;

    while (!a->stopping) {
        int64_t now;

        if (poll(&p, 1, TICK_MS) > 0)
            (void)eventfd_read(a->wake, &n);
        serve_waits(a);
        now = kms_steady_ms();
        if (now - tended < TICK_MS)
            continue;
        tended = now;
        take_news(a);
        if (atomic_load(&a->down))
            kms_audit_resume(a);
        tend(a);
    }
    serve_waits(a);
    return NULL;
}
