/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of their own, from the system: what they held is gone when they are. */
#include "locked.h"

#include <sys/mman.h>

#include <mikeyticket/secret.h>

void *
kms_locked_new(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, n, MADV_DONTDUMP);
    (void)mlock(p, n); /* the daemon tells whether all of it is locked: see harden.h */
    return p;
}

void
kms_locked_free(void *p, size_t n)
{
    if (p == NULL)
        return;
    mkt_wipe(p, n);
    munmap(p, n);
}
