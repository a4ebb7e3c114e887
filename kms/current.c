/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's side. */
#include "current.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool
kms_current_init(struct kms_current *c, void *object, size_t n_readers,
                 void (*release)(void *object))
{
    c->slots = aligned_alloc(64, n_readers * sizeof *c->slots);
    if (c->slots == NULL)
        return false;
    memset(c->slots, 0, n_readers * sizeof *c->slots);
    c->n_slots = n_readers;
    c->release = release;
    atomic_init(&c->now, object);
    return true;
}

static void
release(struct kms_current *c, const void *object)
{
    if (c->release != NULL)
        c->release((void *)(uintptr_t)object);
}

void
kms_current_free(struct kms_current *c)
{
    release(c, atomic_load(&c->now));
    free(c->slots);
}

void
kms_current_swap(struct kms_current *c, void *object)
{
    const struct timespec nap = { 0, 100000 };
    const void *old = atomic_exchange(&c->now, object);

    for (size_t i = 0; i < c->n_slots; i++)
        while (atomic_load(&c->slots[i].in_use) == old)
            nanosleep(&nap, NULL);
    release(c, old);
}
