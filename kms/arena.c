/* SPDX-License-Identifier: Apache-2.0 */
/* A list of blocks. What is taken together lies together: looking through it is fast. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 16384 /* octets */
#define ALIGN 16

struct block {
    struct block *next;
    size_t used, room;
    _Alignas(ALIGN) unsigned char octets[];
};

struct kms_arena {
    struct block *blocks;
};

struct kms_arena *
kms_arena_new(void)
{
    return calloc(1, sizeof(struct kms_arena));
}

void
kms_arena_free(struct kms_arena *a)
{
    struct block *next;

    if (a == NULL)
        return;
    for (struct block *b = a->blocks; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

void *
kms_arena_take(struct kms_arena *a, size_t n)
{
    size_t need = (n + ALIGN - 1) / ALIGN * ALIGN, room = need > BLOCK ? need : BLOCK;
    struct block *b = a->blocks;

    if (b == NULL || b->room - b->used < need) {
        b = calloc(1, sizeof *b + room);
        if (b == NULL)
            return NULL;
        b->room = room;
        b->next = a->blocks;
        a->blocks = b;
    }
    b->used += need;
    return b->octets + b->used - need;
}

char *
kms_arena_text(struct kms_arena *a, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = kms_arena_take(a, n);

    if (copy != NULL)
        memcpy(copy, text, n);
    return copy;
}
