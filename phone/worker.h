/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that asks the KMS while the phone rings. It has a client of its own, so that nothing is
 * shared with the main loop but the queue; a role is in one place at a time. */
#ifndef MKT_PHONE_WORKER_H
#define MKT_PHONE_WORKER_H

#include "client.h"

struct phone_job {
    /* In the thread: one exchange with the KMS; leaves what went wrong in err. */
    void (*run)(struct phone_job *job, struct cli_client *client, const struct cli_args *args);
    /* In the main loop, when it is over; owns the job from then on. */
    void (*done)(struct phone_job *job);
    struct cli_error err;
    struct phone_job *next;
};

struct phone_worker;

/* phone_worker_start opens a client and starts the thread. *w is owned by the caller. args are
 * borrowed until the end. */
MKT_MUST_USE bool phone_worker_start(struct phone_worker **w, const struct cli_args *args,
                                     struct cli_error *err);

/* phone_worker_ask hands a job over: jobs run in their order. */
void phone_worker_ask(struct phone_worker *w, struct phone_job *job);

/* phone_worker_stop lets the thread end after its job, and gives the jobs that are left to their
 * `done`, with an error. NULL is allowed. */
void phone_worker_stop(struct phone_worker *w);

#endif
