/* SPDX-License-Identifier: Apache-2.0 */
#include "followed.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

bool
kms_followed_init(struct kms_followed *f)
{
    pthread_condattr_t steady;

    f->wish = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->wish < 0)
        return false;
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_cond_init(&f->further, &steady);
    pthread_condattr_destroy(&steady);
    pthread_mutex_init(&f->lock, NULL);
    return true;
}

void
kms_followed_free(struct kms_followed *f)
{
    if (f->wish <= 0) /* zero is standard input: never ours */
        return;
    close(f->wish);
    pthread_cond_destroy(&f->further);
    pthread_mutex_destroy(&f->lock);
    f->wish = 0;
}

void
kms_followed_tell(struct kms_followed *f, uint64_t version)
{
    pthread_mutex_lock(&f->lock);
    f->version = version;
    pthread_cond_broadcast(&f->further);
    pthread_mutex_unlock(&f->lock);
}

bool
kms_followed_wait(struct kms_followed *f, uint64_t version, unsigned ms)
{
    struct timespec end;
    bool there;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += (long)(ms % 1000) * 1000000;
    end.tv_sec += ms / 1000 + end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    pthread_mutex_lock(&f->lock);
    if (f->version < version)
        (void)eventfd_write(f->wish, 1);
    while (f->version < version && pthread_cond_timedwait(&f->further, &f->lock, &end) != ETIMEDOUT)
        ;
    there = f->version >= version;
    pthread_mutex_unlock(&f->lock);
    return there;
}
