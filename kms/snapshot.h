/* SPDX-License-Identifier: Apache-2.0 */
/* The whole store as it was at one moment, in memory: taken from the file while a daemon writes to
 * it, looked at, and put into a new file. SQLite's own backup does the copying. */
#ifndef KMS_SNAPSHOT_H
#define KMS_SNAPSHOT_H

#include "store.h"

/* Octets of a database, in memory that is not dumped and is wiped when it is freed. */
struct kms_snapshot {
    uint8_t *octets;
    size_t n, cap;
};

/* Hears how much of the work is done. */
typedef void kms_progress(void *ctx, uint64_t done, uint64_t all);

/* kms_snapshot_alloc makes room for cap octets; false when memory fails. */
bool kms_snapshot_alloc(struct kms_snapshot *s, size_t cap);
void kms_snapshot_free(struct kms_snapshot *s);

/* kms_snapshot_take fills s with the store in the file at path, in one consistent state. */
enum kms_store_rc kms_snapshot_take(struct kms_snapshot *s, const char *path,
                                    kms_progress *progress, void *ctx, struct kms_store_err *err);

/* kms_snapshot_check looks whether s is a sound database, and calls table with the name and the
 * number of rows of each. */
enum kms_store_rc kms_snapshot_check(const struct kms_snapshot *s,
                                     void (*table)(void *ctx, const char *name, int64_t rows),
                                     void *ctx, struct kms_store_err *err);

/* kms_snapshot_put makes a store of s at path, mode 0600, of the schema of this program. EXISTS
 * when something is there already; NEWER when s is of a newer program. On failure there is no file.
 */
enum kms_store_rc kms_snapshot_put(const struct kms_snapshot *s, const char *path,
                                   kms_progress *progress, void *ctx, struct kms_store_err *err);

#endif
