/* SPDX-License-Identifier: Apache-2.0 */
/* One queue under one lock, and threads with a worker each. */
#include "lane.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "courier.h"
#include "settle.h"

struct lane_thread {
    struct kms_lane *lane;
    struct kms_worker *worker;
    pthread_t thread;
    bool running;
};

struct kms_lane {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct kms_parcel *first, **last;
    size_t n; /* places taken */
    bool stopping;
    size_t n_threads;
    struct lane_thread threads[];
};

struct kms_parcel *
kms_lane_take(struct kms_lane *lane, const struct kms_request *req)
{
    struct kms_parcel *p;
    bool room;

    pthread_mutex_lock(&lane->lock);
    room = !lane->stopping && lane->n < KMS_LANE_MAX;
    lane->n += room;
    pthread_mutex_unlock(&lane->lock);
    p = room ? calloc(1, sizeof *p + req->in.n) : NULL;
    if (p != NULL)
        p->out = malloc(MKT_MSG_MAX);
    if (p == NULL || p->out == NULL) {
        free(p);
        pthread_mutex_lock(&lane->lock);
        lane->n -= room;
        pthread_mutex_unlock(&lane->lock);
        return NULL;
    }
    memcpy(p->in, req->in.p, req->in.n);
    memcpy(&p->from, req->from,
           req->from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                            : sizeof(struct sockaddr_in));
    if (req->source.n > 0 && req->source.n <= sizeof p->source)
        memcpy(p->source, req->source.p, req->source.n);
    p->req = *req;
    p->req.in.p = p->in;
    p->req.from = (const struct sockaddr *)&p->from;
    p->req.source.p = p->source;
    p->req.out = p->out;
    p->req.defer = NULL; /* here it may wait */
    p->req.counted = true;
    return p;
}

static void
give_up(struct kms_parcel *p)
{
    p->reply = (struct kms_reply){ .outcome = KMS_BUSY };
    p->done(p);
}

void
kms_lane_put(struct kms_lane *lane, struct kms_parcel *p)
{
    bool stopping;

    p->next = NULL;
    pthread_mutex_lock(&lane->lock);
    stopping = lane->stopping;
    if (!stopping) {
        *lane->last = p;
        lane->last = &p->next;
        pthread_cond_signal(&lane->filled);
    }
    pthread_mutex_unlock(&lane->lock);
    if (stopping)
        give_up(p);
}

void
kms_parcel_free(struct kms_parcel *p)
{
    if (p == NULL)
        return;
    kms_errand_free(p->req.errand);
    free(p->out);
    free(p);
}

void
kms_lane_back(struct kms_lane *lane, struct kms_parcel *p)
{
    pthread_mutex_lock(&lane->lock);
    lane->n++;
    pthread_mutex_unlock(&lane->lock);
    kms_lane_put(lane, p);
}

/* The next parcel; NULL when it is time to end. */
static struct kms_parcel *
next_parcel(struct kms_lane *lane)
{
    struct kms_parcel *p = NULL;

    pthread_mutex_lock(&lane->lock);
    while (lane->first == NULL && !lane->stopping)
        pthread_cond_wait(&lane->filled, &lane->lock);
    if (!lane->stopping) {
        p = lane->first;
        lane->first = p->next;
        if (lane->first == NULL)
            lane->last = &lane->first;
        lane->n--;
    }
    pthread_mutex_unlock(&lane->lock);
    return p;
}

static void *
run(void *arg)
{
    struct lane_thread *t = arg;
    struct kms_parcel *p;

    while ((p = next_parcel(t->lane)) != NULL) {
        kms_worker_clock(t->worker);
        p->reply = kms_handle(t->worker, &p->req);
        if (p->reply.errand != NULL) { /* it comes back with an answer */
            p->req.errand = p->reply.errand;
            kms_courier_send(t->worker->service->courier, p);
            continue;
        }
        if (kms_settle(t->worker))
            kms_release(t->worker, &p->req, &p->reply);
        else
            kms_withhold(t->worker, &p->req, &p->reply);
        p->done(p);
    }
    return NULL;
}

struct kms_lane *
kms_lane_start(struct kms_service *sv, size_t *slot)
{
    size_t n = sv->config->workers;
    struct kms_lane *lane = calloc(1, sizeof *lane + n * sizeof lane->threads[0]);

    if (lane == NULL)
        return NULL;
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->filled, NULL);
    lane->last = &lane->first;
    lane->n_threads = n;
    for (size_t i = 0; i < n; i++) {
        struct lane_thread *t = &lane->threads[i];

        t->lane = lane;
        t->worker = kms_worker_new(sv, (*slot)++, KMS_HTTP);
        t->running = t->worker != NULL && pthread_create(&t->thread, NULL, run, t) == 0;
        if (t->running)
            continue;
        kms_lane_stop(lane);
        kms_lane_free(lane);
        return NULL;
    }
    return lane;
}

void
kms_lane_stop(struct kms_lane *lane)
{
    struct kms_parcel *next;

    if (lane == NULL)
        return;
    pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    pthread_cond_broadcast(&lane->filled);
    pthread_mutex_unlock(&lane->lock);
    for (size_t i = 0; i < lane->n_threads; i++) {
        struct lane_thread *t = &lane->threads[i];

        if (t->running)
            pthread_join(t->thread, NULL);
        kms_worker_free(t->worker);
    }
    for (struct kms_parcel *p = lane->first; p != NULL; p = next) {
        next = p->next;
        give_up(p);
    }
    lane->first = NULL;
    lane->last = &lane->first;
}

size_t
kms_lane_waiting(struct kms_lane *lane)
{
    size_t n;

    if (lane == NULL)
        return 0;
    pthread_mutex_lock(&lane->lock);
    n = lane->n;
    pthread_mutex_unlock(&lane->lock);
    return n;
}

void
kms_lane_free(struct kms_lane *lane)
{
    if (lane == NULL)
        return;
    pthread_mutex_destroy(&lane->lock);
    pthread_cond_destroy(&lane->filled);
    free(lane);
}
