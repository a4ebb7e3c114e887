/* SPDX-License-Identifier: Apache-2.0 */
/* The counter of COUNTER timestamps: ten digits and a newline, rewritten in place with one write
 * under a lock, so that two commands at once, or a crash between, never use one value twice. */
#include "counter.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DIGITS 10
#define TEXT (DIGITS + 1)

static bool
read_last(int fd, const char *path, uint64_t *last, struct cli_error *err)
{
    char text[TEXT + 1] = "";
    ssize_t n = pread(fd, text, sizeof text, 0);
    *last = 0;
    if (n == 0)
        return true; /* a new file */
    if (n != TEXT || strspn(text, "0123456789") != DIGITS || text[DIGITS] != '\n')
        return cli_fail(err, CLI_EXIT_FAILURE,
                        "%s is not a counter file. To go on, write into it a number of ten digits "
                        "that is higher than any used before",
                        path);
    *last = strtoull(text, NULL, 10);
    return true;
}

static bool
advance(int fd, const char *path, uint32_t *value, struct cli_error *err)
{
    uint64_t last;
    char text[TEXT + 1];
    if (!read_last(fd, path, &last, err))
        return false;
    if (last >= UINT32_MAX)
        return cli_fail(err, CLI_EXIT_FAILURE,
                        "%s: the counter is used up; ask the KMS for a new key", path);
    snprintf(text, sizeof text, "%010" PRIu32 "\n", (uint32_t)last + 1);
    if (pwrite(fd, text, TEXT, 0) != TEXT || fsync(fd) != 0)
        return cli_fail(err, CLI_EXIT_FAILURE, "cannot write %s: %s", path, strerror(errno));
    *value = (uint32_t)last + 1;
    return true;
}

bool
cli_counter_next(const char *path, uint32_t *value, struct cli_error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        cli_fail(err, CLI_EXIT_FAILURE, "cannot use the counter %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool done = advance(fd, path, value, err);
    close(fd); /* gives the lock back */
    return done;
}
