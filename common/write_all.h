/* SPDX-License-Identifier: Apache-2.0 */
/* Writing that does not stop half way. */
#ifndef MKT_COMMON_WRITE_ALL_H
#define MKT_COMMON_WRITE_ALL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

/* mkt_write_all writes all n octets; false: errno. */
static inline bool
mkt_write_all(int fd, const void *octets, size_t n)
{
    const char *p = (const char *)octets;

    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

#endif
