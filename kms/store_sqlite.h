/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the SQLite store share: store_sqlite.c has its operations, store_sqlite_kept.c
 * those of reference tickets, store_sqlite_open.c its file and its schema. */
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

/* SQL for the octets of a key itself: kms_sealed_len. */
#define KMS_SQLITE_LEN(column) "length(" column ") - CASE WHEN kek > 0 THEN 28 ELSE 0 END"
_Static_assert(KMS_SEAL_MORE == 28, "as KMS_SQLITE_LEN has it");

/* kms_sqlite_refused tells why the database refused a row: EXISTS, STALE or FAILED, with the text
 * in err for the last two. */
enum kms_store_rc kms_sqlite_refused(struct sqlite_store *q, struct kms_store_err *err);

/* The operations on TPKs of the KMS: store_sqlite_tpk.c. kms_sqlite_tpks gives all TPKs to sink. */
enum kms_store_rc kms_sqlite_tpk_add(struct kms_store *s, const struct kms_tpk pair[2],
                                     struct kms_store_err *err);
enum kms_store_rc kms_sqlite_tpk_start(struct kms_store *s, int64_t generation, int64_t starts,
                                       struct kms_store_err *err);
enum kms_store_rc kms_sqlite_tpk_validity(struct kms_store *s, int64_t validity,
                                          struct kms_store_err *err);
enum kms_store_rc kms_sqlite_tpk_retire(struct kms_store *s, int64_t generation,
                                        struct kms_store_err *err);
enum kms_store_rc kms_sqlite_tpk_remove(struct kms_store *s, const char *id,
                                        struct kms_store_err *err);
bool kms_sqlite_tpks(struct sqlite_store *q, const struct kms_sink *sink, bool with_keys,
                     bool *stopped);

/* The operations on the generations of the store key: store_sqlite_kek.c. kms_sqlite_wraps gives
 * them all to sink. */
enum kms_store_rc kms_sqlite_kek_add(struct kms_store *s, const struct kms_wrap *wraps, size_t n,
                                     struct kms_store_err *err);
enum kms_store_rc kms_sqlite_kek_reseal(struct kms_store *s, size_t batch,
                                        bool (*reseal)(void *ctx, struct kms_row *row,
                                                       uint8_t buf[KMS_SEALED_MAX]),
                                        void *ctx, uint64_t *left, struct kms_store_err *err);
enum kms_store_rc kms_sqlite_kek_forget(struct kms_store *s, const struct kms_wrap *keep, size_t n,
                                        struct kms_store_err *err);
enum kms_store_rc kms_sqlite_compact(struct kms_store *s, struct kms_store_err *err);
bool kms_sqlite_wraps(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped);

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

#endif
