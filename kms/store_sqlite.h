/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the SQLite store share: store_sqlite.c has its operations,
 * store_sqlite_open.c its file and its schema. */
#ifndef KMS_STORE_SQLITE_H
#define KMS_STORE_SQLITE_H

#include <sqlite3.h>

#include "store.h"

struct sqlite_store {
    struct kms_store base; /* first member */
    sqlite3 *db;
    const char *path; /* owned by db */
};

extern const struct kms_store_ops kms_sqlite_ops;

/* kms_sqlite_fail fills err with what the database says of its last call, and what to do. */
enum kms_store_rc kms_sqlite_fail(struct sqlite_store *q, struct kms_store_err *err,
                                  const char *what);

/* kms_sqlite_rollback does the same and ends the transaction. */
enum kms_store_rc kms_sqlite_rollback(struct sqlite_store *q, struct kms_store_err *err,
                                      const char *what);

/* kms_sqlite_run executes SQL that gives no rows. kms_sqlite_number reads the one number of a
 * query. */
bool kms_sqlite_run(struct sqlite_store *q, const char *sql);
bool kms_sqlite_number(struct sqlite_store *q, const char *sql, int64_t *out);

#endif
