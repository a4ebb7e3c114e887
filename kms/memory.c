/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <sys/mman.h>

#include <mikeyticket/secret.h>

bool
kms_block_grow(struct kms_block *b, size_t n)
{
    size_t room = b->room == 0 ? 65536 : b->room;
    void *p;

    if (n <= b->room)
        return true;
    while (room < n)
        room *= 2;
    p = b->p == NULL ? mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                     : mremap(b->p, b->room, room, MREMAP_MAYMOVE);
    if (p == MAP_FAILED)
        return false;
    madvise(p, room, MADV_DONTDUMP);
    madvise(p, room, MADV_HUGEPAGE); /* fewer misses among a million users */
    b->p = p;
    b->room = room;
    return true;
}

bool
kms_block_lock(const struct kms_block *b, size_t n)
{
    return b->p == NULL || mlock(b->p, n) == 0;
}

void
kms_block_free(struct kms_block *b, size_t n)
{
    if (b->p == NULL)
        return;
    mkt_wipe(b->p, n);
    munmap(b->p, b->room);
    b->p = NULL;
    b->room = 0;
}
