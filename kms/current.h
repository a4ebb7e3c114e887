/* SPDX-License-Identifier: Apache-2.0 */
/* The object that is in force now, immutable, and who looks at one. Readers never wait: a reader
 * publishes the pointer it is about to use in a slot of its own; the writer releases an old object
 * once no slot holds it. */
#ifndef KMS_CURRENT_H
#define KMS_CURRENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct kms_reader_slot {
    _Alignas(64) _Atomic(const void *) in_use;
};

struct kms_current {
    _Atomic(const void *) now;
    struct kms_reader_slot *slots;
    size_t n_slots;
    void (*release)(void *object);
};

/* kms_current_init starts with object, which current then owns, for n readers; release ends an
 * object. False, and the object is still the caller's, when memory fails. */
bool kms_current_init(struct kms_current *c, void *object, size_t n_readers,
                      void (*release)(void *object));

/* kms_current_free releases what is in force. One that was never initialised (zero) is allowed. */
void kms_current_free(struct kms_current *c);

/* kms_current_swap puts a new object in place, waits until nobody reads the old one and releases
 * it. One writer at a time. */
void kms_current_swap(struct kms_current *c, void *object);

/* kms_current_get begins reading in slot; kms_current_put ends it. */
static inline const void *
kms_current_get(struct kms_current *c, size_t slot)
{
    const void *seen = atomic_load(&c->now), *again;

    for (;;) {
        atomic_store(&c->slots[slot].in_use, seen);
        again = atomic_load(&c->now);
        if (again == seen)
            return seen;
        seen = again;
    }
}

static inline void
kms_current_put(struct kms_current *c, size_t slot)
{
    atomic_store_explicit(&c->slots[slot].in_use, NULL, memory_order_release);
}

#endif
