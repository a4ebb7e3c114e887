/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the SQLite store share: store_sqlite.c has its operations, store_sqlite_kept.c
 * those of reference tickets, store_sqlite_evidence.c revocations and seals, store_sqlite_open.c
 * its file and its schema. */
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

/* The operations keep, recall and revoke, and what read does for the sink's kept. */
enum kms_store_rc kms_sqlite_keep(struct kms_store *s, const struct kms_kept *kept,
                                  struct kms_store_err *err);
enum kms_store_rc kms_sqlite_recall(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                                    uint8_t *out, size_t cap, size_t *n, struct kms_store_err *err);
enum kms_store_rc kms_sqlite_revoke(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                                    struct kms_store_err *err);
bool kms_sqlite_read_kept(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped);
/* store_sqlite_evidence.c: revocations, seals of the audit. */
enum kms_store_rc kms_sqlite_revocation_add(struct kms_store *s, const struct kms_revocation *r,
                                            size_t n, struct kms_store_err *err);
enum kms_store_rc kms_sqlite_revocation_remove(struct kms_store *s, const struct kms_revocation *r,
                                               struct kms_store_err *err);
enum kms_store_rc kms_sqlite_audit_seal(struct kms_store *s, const struct kms_head *head,
                                        struct kms_store_err *err);
bool kms_sqlite_read_revocations(struct sqlite_store *q, const struct kms_sink *sink,
                                 bool *stopped);
bool kms_sqlite_read_seals(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped);

#endif
