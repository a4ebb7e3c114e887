/* SPDX-License-Identifier: Apache-2.0 */
/* A buffer that grows. */
#ifndef KMS_OCTETS_H
#define KMS_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct kms_octets {
    char *p; /* owned */
    size_t n, cap;
};

/* kms_octets_reserve makes room for `more` octets; false when memory fails. */
static inline bool
kms_octets_reserve(struct kms_octets *o, size_t more)
{
    size_t cap = o->cap == 0 ? 65536 : o->cap;
    char *grown;

    while (cap < o->n + more)
        cap *= 2;
    if (cap == o->cap)
        return true;
    grown = (char *)realloc(o->p, cap);
    if (grown == NULL)
        return false;
    o->p = grown;
    o->cap = cap;
    return true;
}

/* kms_octets_append appends n octets; false when memory fails. */
static inline bool
kms_octets_append(struct kms_octets *o, const char *p, size_t n)
{
    if (!kms_octets_reserve(o, n))
        return false;
    memcpy(o->p + o->n, p, n);
    o->n += n;
    return true;
}

/* kms_octets_swap exchanges two buffers. */
static inline void
kms_octets_swap(struct kms_octets *a, struct kms_octets *b)
{
    struct kms_octets kept = *a;

    *a = *b;
    *b = kept;
}

#endif
