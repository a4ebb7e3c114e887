/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of an outlet: takes all that is queued, sends it, and tries again half a second after
 * a failure. Records leave in order; one that may have arrived is sent again rather than lost. */
#include "audit_outlet.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "octets.h"

#define AGAIN_NS 500000000

struct kms_outlet {
    const struct kms_outlet_kind *kind;
    void *self;
    bool required, failing, told, stopping;
    void (*wake)(void *ctx);
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct kms_octets queue, sending; /* sending: the thread's own */
    size_t under_way;                 /* octets of sending not taken yet */
    uint64_t lost;
    char err[KMS_AUDIT_ERR];
    pthread_t thread;
};

bool
kms_outlet_put(struct kms_outlet *o, const char *lines, size_t n, uint32_t n_records)
{
    bool ok;

    pthread_mutex_lock(&o->lock);
    ok = o->queue.n + n <= KMS_OUTLET_QUEUE && kms_octets_append(&o->queue, lines, n);
    if (!ok && !o->required)
        o->lost += n_records;
    pthread_cond_broadcast(&o->moved);
    pthread_mutex_unlock(&o->lock);
    return ok || !o->required;
}

bool
kms_outlet_wait(struct kms_outlet *o)
{
    bool ok;

    pthread_mutex_lock(&o->lock);
    while (!o->failing && (o->queue.n > 0 || o->under_way > 0))
        pthread_cond_wait(&o->moved, &o->lock);
    ok = o->queue.n == 0 && o->under_way == 0;
    pthread_mutex_unlock(&o->lock);
    return ok;
}

void
kms_outlet_news(struct kms_outlet *o, struct kms_outlet_news *news)
{
    pthread_mutex_lock(&o->lock);
    *news = (struct kms_outlet_news){ .name = o->kind->name,
                                      .required = o->required,
                                      .failing = o->failing,
                                      .changed = o->failing != o->told };
    memcpy(news->err, o->err, sizeof news->err);
    o->told = o->failing;
    if (!o->failing) {
        news->lost = o->lost;
        o->lost = 0;
    }
    pthread_mutex_unlock(&o->lock);
}

/* Under lock: waits for work, or before another try. False when it is time to end. */
static bool
await(struct kms_outlet *o)
{
    struct timespec until;

    if (o->failing && !o->stopping) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += AGAIN_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        while (!o->stopping && pthread_cond_timedwait(&o->moved, &o->lock, &until) == 0)
            ;
        return true;
    }
    while (!o->stopping && o->queue.n == 0 && o->under_way == 0)
        pthread_cond_wait(&o->moved, &o->lock);
    return o->queue.n > 0 || o->under_way > 0;
}

/* Under lock, which is given up meanwhile: sends what is under way. Returns whether all was taken.
 */
static bool
send_some(struct kms_outlet *o)
{
    const char *from = o->sending.p + o->sending.n - o->under_way;
    size_t n = o->under_way, taken;
    char err[KMS_AUDIT_ERR] = "";

    pthread_mutex_unlock(&o->lock);
    taken = o->kind->send(o->self, from, n, err);
    pthread_mutex_lock(&o->lock);
    o->under_way -= taken;
    memcpy(o->err, err, sizeof o->err);
    return taken == n;
}

static void *
run(void *arg)
{
    struct kms_outlet *o = arg;
    bool ok, last = false;

    pthread_mutex_lock(&o->lock);
    while (!last && await(o)) {
        last = o->stopping && o->failing; /* one more try */
        if (o->under_way == 0) {
            kms_octets_swap(&o->sending, &o->queue);
            o->queue.n = 0;
            o->under_way = o->sending.n;
        }
        ok = send_some(o);
        last = last || (o->stopping && !ok);
        if (o->failing == ok) {
            o->failing = !ok;
            o->wake(o->ctx);
        }
        pthread_cond_broadcast(&o->moved);
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

struct kms_outlet *
kms_outlet_open(const struct kms_outlet_kind *kind, const struct kms_config *config, bool required,
                void (*wake)(void *ctx), void *ctx, char err[KMS_AUDIT_ERR])
{
    struct kms_outlet *o = calloc(1, sizeof *o);
    pthread_condattr_t attr;

    snprintf(err, KMS_AUDIT_ERR, "no memory or no threads");
    if (o == NULL)
        return NULL;
    o->kind = kind;
    o->required = required;
    o->wake = wake;
    o->ctx = ctx;
    o->self = kind->open(config, err);
    if (o->self == NULL) {
        free(o);
        return NULL;
    }
    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&o->moved, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&o->thread, NULL, run, o) != 0) {
        kind->close(o->self);
        free(o);
        return NULL;
    }
    return o;
}

const char *
kms_outlet_name(const struct kms_outlet *o)
{
    return o->kind->name;
}

size_t
kms_outlet_close(struct kms_outlet *o)
{
    size_t left;

    if (o == NULL)
        return 0;
    pthread_mutex_lock(&o->lock);
    o->stopping = true;
    pthread_cond_broadcast(&o->moved);
    pthread_mutex_unlock(&o->lock);
    pthread_join(o->thread, NULL);
    left = o->queue.n + o->under_way;
    o->kind->close(o->self);
    pthread_cond_destroy(&o->moved);
    pthread_mutex_destroy(&o->lock);
    free(o->queue.p);
    free(o->sending.p);
    free(o);
    return left;
}
