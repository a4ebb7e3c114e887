/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the SQLite store share: store_sqlite_open.c has its file and its schema,
 * store_sqlite.c keys that are shared and what is left, store_sqlite_tpk.c our own keys,
 * store_sqlite_kek.c what seals them, store_sqlite_users.c and store_sqlite_groups.c who there is,
 * store_sqlite_kept.c reference tickets, store_sqlite_evidence.c revocations and seals,
 * store_sqlite_read.c what is read,
 * store_sqlite_one.c of one user. */
#ifndef KMS_STORE_SQLITE_H
#define KMS_STORE_SQLITE_H

#include <sqlite3.h>

#include "store.h"

#define KMS_SQLITE_KEPT 64 /* statements kept prepared */

struct sqlite_store {
    struct kms_store base; /* first member */
    sqlite3 *db;
    const char *path; /* owned by db */
    bool batch;       /* between begin and end */
    struct {
        const char *sql; /* a literal: its address names it */
        sqlite3_stmt *st;
    } kept[KMS_SQLITE_KEPT];
};

extern const struct kms_store_ops kms_sqlite_ops;

static inline struct sqlite_store *
kms_sqlite_of(struct kms_store *s)
{
    return (struct sqlite_store *)(void *)s;
}

/* What stands in a column, until the statement goes on. */
static inline const char *
kms_sqlite_text(sqlite3_stmt *st, int column)
{
    return (const char *)sqlite3_column_text(st, column);
}

static inline struct mkt_span
kms_sqlite_octets(sqlite3_stmt *st, int column)
{
    const void *p = sqlite3_column_blob(st, column); /* before its length, as SQLite wants it */

    return mkt_span(p, (size_t)sqlite3_column_bytes(st, column));
}

/* kms_sqlite_fail fills err with what the database says of its last call, and what to do. */
enum kms_store_rc kms_sqlite_fail(struct sqlite_store *q, struct kms_store_err *err,
                                  const char *what);

/* kms_sqlite_run executes SQL that gives no rows. kms_sqlite_number reads the one number of a
 * query. */
bool kms_sqlite_run(struct sqlite_store *q, const char *sql);
bool kms_sqlite_number(struct sqlite_store *q, const char *sql, int64_t *out);

/* kms_sqlite_begin begins a change: a transaction, or a part of the batch. kms_sqlite_commit ends
 * it. kms_sqlite_undo undoes it and returns rc; kms_sqlite_rollback does so after a failure of the
 * database, and says what that was. */
enum kms_store_rc kms_sqlite_begin(struct sqlite_store *q, struct kms_store_err *err);
enum kms_store_rc kms_sqlite_commit(struct sqlite_store *q, struct kms_store_err *err,
                                    const char *what);
enum kms_store_rc kms_sqlite_undo(struct sqlite_store *q, enum kms_store_rc rc);
enum kms_store_rc kms_sqlite_rollback(struct sqlite_store *q, struct kms_store_err *err,
                                      const char *what);

/* kms_sqlite_prepare gives the statement of a literal, ready for its parameters; NULL on failure.
 * It stays prepared; sqlite3_reset it when done. */
sqlite3_stmt *kms_sqlite_prepare(struct sqlite_store *q, const char *sql);

/* kms_sqlite_do runs a literal whose parameters are described by a letter each: t const char *
 * (NULL allowed), i int64_t, b const struct mkt_span *. It returns SQLITE_ROW with the first column
 * of the first row in *value; SQLITE_DONE with the number of rows that were changed; or an error.
 * value may be NULL. */
int kms_sqlite_do(struct sqlite_store *q, int64_t *value, const char *sql, const char *kinds, ...);

/* The operations of the other files. */
enum kms_store_rc kms_sqlite_user_add(struct kms_store *s, const struct kms_user *user,
                                      struct kms_store_err *err);
enum kms_store_rc kms_sqlite_user_remove(struct kms_store *s, const char *identity,
                                         const char *psk_id, struct kms_removed *removed,
                                         struct kms_store_err *err);
enum kms_store_rc kms_sqlite_user_change(struct kms_store *s, const char *identity,
                                         const struct kms_user_change *change,
                                         struct kms_store_err *err);
enum kms_store_rc kms_sqlite_alias_add(struct kms_store *s, const char *identity, const char *alias,
                                       struct kms_store_err *err);
enum kms_store_rc kms_sqlite_alias_remove(struct kms_store *s, const char *alias,
                                          struct kms_store_err *err);
enum kms_store_rc kms_sqlite_group_add(struct kms_store *s, const char *identity, const char *realm,
                                       struct kms_store_err *err);
enum kms_store_rc kms_sqlite_group_remove(struct kms_store *s, const char *identity,
                                          struct kms_store_err *err);
enum kms_store_rc kms_sqlite_member_add(struct kms_store *s, const char *group, const char *member,
                                        struct kms_store_err *err);
enum kms_store_rc kms_sqlite_member_remove(struct kms_store *s, const char *group,
                                           const char *member, struct kms_store_err *err);
enum kms_store_rc kms_sqlite_realm_add(struct kms_store *s, const char *name,
                                       struct kms_store_err *err);
enum kms_store_rc kms_sqlite_realm_remove(struct kms_store *s, const char *name,
                                          struct kms_store_err *err);
enum kms_store_rc kms_sqlite_read(struct kms_store *s, const struct kms_sink *sink, bool with_keys,
                                  struct kms_store_err *err);
enum kms_store_rc kms_sqlite_read_user(struct kms_store *s, const char *identity,
                                       const struct kms_sink *sink, struct kms_store_err *err);
enum kms_store_rc kms_sqlite_read_part(struct kms_store *s, const struct kms_sink *sink,
                                       unsigned part, unsigned of, uint64_t *version,
                                       struct kms_store_err *err);
void kms_sqlite_give_way(struct kms_store *s);
enum kms_store_rc kms_sqlite_another(struct kms_store *s, struct kms_store **other,
                                     struct kms_store_err *err);
enum kms_store_rc kms_sqlite_follow(struct kms_store *s, uint64_t *version,
                                    const struct kms_sink *sink, struct kms_store_err *err);

/* kms_sqlite_realm finds the number of a realm (NULL: the default one). NOT_FOUND. */
enum kms_store_rc kms_sqlite_realm(struct sqlite_store *q, const char *name, int64_t *number,
                                   struct kms_store_err *err);

/* kms_sqlite_user finds the user whose identity or alias it is: SQLITE_ROW, SQLITE_DONE (nobody),
 * or an error. kms_sqlite_group finds a group likewise. */
int kms_sqlite_user(struct sqlite_store *q, const char *identity, int64_t *number);
int kms_sqlite_group(struct sqlite_store *q, const char *identity, int64_t *number);

/* SQL for the time: the clock of the connection. */
#define KMS_SQLITE_NOW "unixepoch()"

/* SQL for the octets of a key itself: kms_sealed_len. */
#define KMS_SQLITE_LEN(column) "length(" column ") - CASE WHEN kek > 0 THEN 28 ELSE 0 END"
_Static_assert(KMS_SEAL_MORE == 28, "as KMS_SQLITE_LEN has it");

/* kms_sqlite_refusal tells why the database refused a key with rc: STALE or FAILED.
 * kms_sqlite_refused undoes the change too. */
enum kms_store_rc kms_sqlite_refusal(struct sqlite_store *q, int rc, struct kms_store_err *err);
enum kms_store_rc kms_sqlite_refused(struct sqlite_store *q, int rc, struct kms_store_err *err);

/* The operations on TPKs of the KMS: store_sqlite_tpk.c. */
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

/* The operations on the generations of the store key: store_sqlite_kek.c. kms_sqlite_read_wraps
 * gives them all to sink. */
enum kms_store_rc kms_sqlite_kek_add(struct kms_store *s, const struct kms_wrap *wraps, size_t n,
                                     struct kms_store_err *err);
enum kms_store_rc kms_sqlite_kek_reseal(struct kms_store *s, size_t batch,
                                        bool (*reseal)(void *ctx, struct kms_row *row,
                                                       uint8_t buf[KMS_ROW_MAX]),
                                        void *ctx, size_t *taken, struct kms_store_err *err);
enum kms_store_rc kms_sqlite_kek_left(struct kms_store *s, uint64_t *left,
                                      struct kms_store_err *err);
enum kms_store_rc kms_sqlite_kek_forget(struct kms_store *s, const struct kms_wrap *keep, size_t n,
                                        struct kms_store_err *err);
enum kms_store_rc kms_sqlite_compact(struct kms_store *s, struct kms_store_err *err);
bool kms_sqlite_read_wraps(struct sqlite_store *q, const struct kms_sink *sink, bool *stopped);

/* The operations keep, recall and revoke, and what read does for the sink's kept. */
enum kms_store_rc kms_sqlite_keep(struct kms_store *s, const struct kms_kept *kept,
                                  struct kms_store_err *err);
enum kms_store_rc kms_sqlite_recall(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                                    void (*take)(void *ctx, const struct kms_kept *kept), void *ctx,
                                    struct kms_store_err *err);
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
