/* SPDX-License-Identifier: Apache-2.0 */
/* Records are numbered and chained by whoever writes, in the order in which they were handed over.
 * One writer at a time holds `writing`; what it works on (taken, lines, head, file) is its own as
 * long. A failure begins a new epoch: who waits for records of the old one is told that they are
 * not there, even if they are written in the end. */
#include "audit_parts.h"

#include <sys/eventfd.h>

#define NAP_MIN_NS 20000
#define NAP_MAX_NS 1000000

/* Under lock: what is pending is taken. There is nothing taken yet. */
void
kms_audit_take(struct kms_audit *a)
{
    kms_octets_swap(&a->taken, &a->pending);
    a->pending.n = 0;
    a->n_taken = 0;
    for (size_t at = 0; at < a->taken.n; a->n_taken++) {
        uint16_t n;

        memcpy(&n, a->taken.p + at, sizeof n);
        at += sizeof n + n;
    }
}

/* A quarter of the time that writing takes now. One record alone waits for nobody. */
static void
set_nap(struct kms_audit *a, int64_t began_ns, uint32_t n)
{
    int64_t nap = (kms_steady_ns() - began_ns) / 4;

    nap = nap > NAP_MAX_NS ? NAP_MAX_NS : nap < NAP_MIN_NS || n < 2 ? 0 : nap;
    atomic_store_explicit(&a->nap_ns, nap, memory_order_relaxed);
}

void
kms_audit_gather(struct kms_audit *a)
{
    int64_t nap = a == NULL ? 0 : atomic_load_explicit(&a->nap_ns, memory_order_relaxed);
    const struct timespec ts = { 0, nap };

    if (nap > 0)
        nanosleep(&ts, NULL);
}

/* Under lock, which is given up meanwhile; nobody is writing. */
void
kms_audit_lead(struct kms_audit *a)
{
    uint64_t upto = a->added;
    int64_t began = kms_steady_ns();
    uint32_t n;
    bool ok;

    a->writing = true;
    kms_audit_take(a);
    n = a->n_taken;
    a->withheld = a->head.seq + 1;
    pthread_mutex_unlock(&a->lock);
    ok = kms_audit_write(a);
    set_nap(a, began, n);
    pthread_mutex_lock(&a->lock);
    a->writing = false;
    if (ok) {
        a->done = upto;
    } else {
        atomic_store(&a->down, true);
        a->epoch++;
    }
    pthread_cond_broadcast(&a->moved);
}

/* Under lock: takes the records of t. All of one batch belong to the epoch of the first. */
static void
take_trail(struct kms_audit *a, struct kms_trail *t)
{
    if (t->n == 0)
        return;
    if (!t->open)
        t->epoch = a->epoch;
    t->open = true;
    if (atomic_load(&a->down) || !kms_octets_append(&a->pending, t->b, t->used)) {
        t->refused = true;
        atomic_fetch_add_explicit(&a->refused, t->n, memory_order_relaxed);
    } else {
        a->added += t->n;
        t->last = a->added;
    }
    t->used = t->n = 0;
}

/* Under lock: waits until record `last` of an epoch is written. */
bool
kms_audit_reach(struct kms_audit *a, uint64_t last, uint64_t epoch)
{
    while (a->done < last && a->epoch == epoch) {
        if (a->writing)
            pthread_cond_wait(&a->moved, &a->lock);
        else
            kms_audit_lead(a);
    }
    return a->epoch == epoch;
}

void
kms_audit_add(struct kms_audit *a, struct kms_trail *t)
{
    pthread_mutex_lock(&a->lock);
    take_trail(a, t);
    pthread_mutex_unlock(&a->lock);
}

bool
kms_audit_commit(struct kms_audit *a, struct kms_trail *t)
{
    bool ok;

    if (a == NULL)
        return true;
    pthread_mutex_lock(&a->lock);
    take_trail(a, t);
    ok = !t->open || (!t->refused && kms_audit_reach(a, t->last, t->epoch));
    pthread_mutex_unlock(&a->lock);
    t->open = t->refused = false;
    return ok;
}

bool
kms_audit_failing(const struct kms_audit *a)
{
    return a != NULL && atomic_load_explicit(&a->down, memory_order_relaxed);
}

bool
kms_audit_down(struct kms_audit *a)
{
    if (!kms_audit_failing(a))
        return false;
    atomic_fetch_add_explicit(&a->refused, 1, memory_order_relaxed);
    return true;
}

void
kms_audit_note(struct kms_audit *a, struct kms_trail *t)
{
    if (kms_octets_append(&a->pending, t->b, t->used))
        a->added += t->n;
    t->used = t->n = 0;
}

void
kms_audit_begin_writing(struct kms_audit *a)
{
    pthread_mutex_lock(&a->lock);
    while (a->writing)
        pthread_cond_wait(&a->moved, &a->lock);
    a->writing = true;
    pthread_mutex_unlock(&a->lock);
}

void
kms_audit_end_writing(struct kms_audit *a)
{
    pthread_mutex_lock(&a->lock);
    a->writing = false;
    pthread_cond_broadcast(&a->moved);
    pthread_mutex_unlock(&a->lock);
}

/* --- those who do not wait ----------------------------------------------------------------------
 */

bool
kms_audit_later(struct kms_audit *a, struct kms_trail *t, struct kms_audit_wait *w)
{
    bool taken, first = false;

    pthread_mutex_lock(&a->lock);
    taken = !a->draining;
    if (taken) {
        take_trail(a, t);
        w->last = t->open ? t->last : 0;
        w->epoch = t->open ? t->epoch : a->epoch;
        w->refused = t->refused;
        t->open = t->refused = false;
        first = a->waits == NULL;
        w->next = a->waits;
        a->waits = w;
        a->n_waits++;
    }
    pthread_mutex_unlock(&a->lock);
    if (first)
        (void)eventfd_write(a->wake, 1);
    return taken;
}

void
kms_audit_drain(struct kms_audit *a)
{
    if (a == NULL)
        return;
    pthread_mutex_lock(&a->lock);
    a->draining = true;
    while (a->n_waits > 0)
        pthread_cond_wait(&a->moved, &a->lock);
    pthread_mutex_unlock(&a->lock);
}
