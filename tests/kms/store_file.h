/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_KMS_STORE_FILE_H
#define TESTS_KMS_STORE_FILE_H

#include <stdio.h>
#include <unistd.h>

/* store_file_remove removes the SQLite file at path and what SQLite keeps beside it. */
static inline void
store_file_remove(const char *path)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    char file[96];

    for (size_t i = 0; i < 3; i++) {
        snprintf(file, sizeof file, "%s%s", path, ends[i]);
        unlink(file);
    }
}

#endif
