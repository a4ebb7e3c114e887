/* SPDX-License-Identifier: Apache-2.0 */
/* One thread and two lists under one lock: what is asked, and what is over. A bell in the main loop
 * (mqueue) says that there is something in the second. */
#include "worker.h"

#include <pthread.h>
#include <re.h>
#include <stdlib.h>

struct phone_worker {
    const struct cli_args *args;
    struct cli_client client;
    struct cli_error opening;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock; /* of the three below it */
    pthread_cond_t more;
    struct phone_job *asked, *over; /* in their order */
    bool stop;
    atomic_bool given_up; /* what the KMS is being asked */
    struct mqueue *bell;  /* rings in the main loop when a job is over */
};

static void
append(struct phone_job **list, struct phone_job *job)
{
    job->next = NULL;
    while (*list != NULL)
        list = &(*list)->next;
    *list = job;
}

static struct phone_job *
take(struct phone_job **list)
{
    struct phone_job *job = *list;
    if (job != NULL)
        *list = job->next;
    return job;
}

static struct phone_job *
next_job(struct phone_worker *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->asked == NULL && !w->stop)
        pthread_cond_wait(&w->more, &w->lock);
    struct phone_job *job = w->stop ? NULL : take(&w->asked);
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *
work(void *arg)
{
    struct phone_worker *w = arg;

    for (struct phone_job *job; (job = next_job(w)) != NULL;) {
        w->client.err = &job->err;
        job->run(job, &w->client, w->args);
        w->client.err = &w->opening;
        pthread_mutex_lock(&w->lock);
        append(&w->over, job);
        pthread_mutex_unlock(&w->lock);
        while (mqueue_push(w->bell, 0, NULL) != 0)
            sys_msleep(10); /* the pipe is full: the main loop will come to it */
    }
    return NULL;
}

/* In the main loop: `done` may ask for more, so the lock is not held. */
static void
rung(int id, void *data, void *arg)
{
    struct phone_worker *w = arg;

    (void)id, (void)data;
    pthread_mutex_lock(&w->lock);
    struct phone_job *job = take(&w->over);
    pthread_mutex_unlock(&w->lock);
    if (job != NULL)
        job->done(job);
}

bool
phone_worker_start(struct phone_worker **out, const struct cli_args *args, struct cli_error *err)
{
    struct phone_worker *w = calloc(1, sizeof *w);

    *out = w;
    if (w == NULL)
        return cli_fail(err, CLI_EXIT_FAILURE, "out of memory");
    w->args = args;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    if (!cli_client_open(&w->client, args, err))
        return false;
    w->client.err = &w->opening;
    w->client.stop = &w->given_up;
    if (mqueue_alloc(&w->bell, rung, w) != 0 || pthread_create(&w->thread, NULL, work, w) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE, "no thread can be started");
    w->running = true;
    return true;
}

void
phone_worker_ask(struct phone_worker *w, struct phone_job *job)
{
    pthread_mutex_lock(&w->lock);
    append(&w->asked, job);
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
}

void
phone_worker_stop(struct phone_worker *w)
{
    if (w == NULL)
        return;
    atomic_store(&w->given_up, true);
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    if (w->running)
        pthread_join(w->thread, NULL);
    for (struct phone_job *job; (job = take(w->over != NULL ? &w->over : &w->asked)) != NULL;) {
        cli_fail(&job->err, CLI_EXIT_FAILURE, "the phone ends");
        job->done(job);
    }
    mem_deref(w->bell);
    cli_client_close(&w->client);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->more);
    free(w);
}
