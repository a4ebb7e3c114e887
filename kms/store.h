/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon and mikey-kmsctl need of a database, and nothing a database happens to offer.
 * store_sqlite.c and store_memory.c implement it. Requests never come here: they read the index
 * that is built from `load`. */
#ifndef KMS_STORE_H
#define KMS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <mikeyticket/secret.h>

#include "kek.h"

#define KMS_PSK_ID_MAX 128 /* octets of a psk-id and of a tpk-id */

enum kms_store_rc {
    KMS_STORE_OK,
    KMS_STORE_EXISTS,    /* that id is taken */
    KMS_STORE_NOT_FOUND, /* no such user or key */
    KMS_STORE_CURRENT,   /* the key protects new tickets, or is in use */
    KMS_STORE_STALE,     /* sealed under a generation that is not the newest any more */
    KMS_STORE_NEWER,     /* the file was written by a newer version */
    KMS_STORE_FAILED     /* the text says what the database said */
};

struct kms_store_err {
    enum kms_store_rc rc;
    char text[512];
};

/* A long-term key as it stands in a row: sealed under a generation of the store key, or (kek 0) in
 * clear. Only the vault looks inside. */
struct kms_sealed {
    uint32_t kek;           /* generation */
    struct mkt_span octets; /* n = 0 where keys are not shown */
};
#define KMS_SEALED_MAX (MKT_SECRET_MAX + KMS_SEAL_MORE)

/* kms_sealed_len returns the octets of the key itself; 0: not a key. */
static inline size_t
kms_sealed_len(const struct kms_sealed *k)
{
    size_t more = k->kek == 0 ? 0 : KMS_SEAL_MORE;

    return k->octets.n > more ? k->octets.n - more : 0;
}

/* One credential of one user: a user with several devices has several. Or, with psk_id NULL, that
 * the identity is a user all the same: one who has no PSK and signs. */
struct kms_user {
    const char *identity;
    const char *psk_id;
    struct kms_sealed psk;
    int psk_len;     /* octets of the key itself */
    int64_t added;   /* seconds since 1970 */
    uint64_t serial; /* made by the store, never used again: psk-ids may be */
};

/* What user_remove took away. */
struct kms_removed {
    unsigned credentials;
    unsigned tpks; /* that the user shared */
    unsigned kept; /* reference tickets that the user asked for */
    bool unkeyed;  /* the row of a user without PSK */
};

/* One Ticket Protection Key, of the KMS alone (each generation has one of 16 and one of 32 octets)
 * or shared with one user (RFC 6043 4.1.1, modes 2 and 3). */
struct kms_tpk {
    const char *id;
    const char *owner;  /* identity of the user; NULL: ours alone */
    int64_t generation; /* 0 when shared */
    int64_t starts;     /* ours: protects new tickets from then on, seconds since 1970 */
    int64_t validity;   /* ours: of the longest ticket made with it, in seconds */
    struct kms_sealed key;
    int key_len;     /* octets of the key itself */
    int64_t created; /* seconds since 1970 */
};

/* Up to which COUNTER value the messages of a credential may have been accepted. */
struct kms_mark {
    uint64_t serial;
    uint64_t mark;
};

#define KMS_REFERENCE 16 /* octets of the name of a reference ticket */

/* The keys of one reference ticket (docs/formats/reference-ticket.md). They are here and nowhere
 * else: without the row nobody resolves the ticket. */
struct kms_kept {
    uint8_t reference[KMS_REFERENCE];
    const char *initiator, *responders; /* for people; several, a blank between them */
    struct mkt_span keys;               /* n = 0 where keys are not shown */
    int64_t issued, until;              /* seconds since 1970; until: TRe */
};

/* Receives rows in one consistent reading. False stops it (out of memory). */
struct kms_sink {
    bool (*user)(void *ctx, const struct kms_user *user);
    bool (*tpk)(void *ctx, const struct kms_tpk *tpk); /* the oldest first */
    void *ctx;
    bool (*mark)(void *ctx, const struct kms_mark *mark);
    bool (*kept)(void *ctx, const struct kms_kept *kept); /* the oldest first; never with keys */
    bool (*wrap)(void *ctx, const struct kms_wrap *wrap); /* before all others */
};

/* A row whose key is to be sealed anew. */
struct kms_row {
    bool tpk;          /* else a PSK */
    const char *owner; /* identity; NULL: ours alone */
    const char *id;
    struct kms_sealed key;
};

struct kms_store; /* begins with a pointer to its operations */

struct kms_store_ops {
    const char *name;
    /* user_add: EXISTS when the psk_id is taken, whoever has it; without one, when the identity is
     * a user without PSK already. STALE here and below: the key is not sealed under the
     * newest generation. */
    enum kms_store_rc (*user_add)(struct kms_store *s, const struct kms_user *user,
                                  struct kms_store_err *err);
    /* user_remove removes one credential, or the whole user when psk_id is NULL, and then the TPKs
     * that the user shared and the reference tickets that it asked for too. NOT_FOUND, nothing
     * removed, when there is no such user. */
    enum kms_store_rc (*user_remove)(struct kms_store *s, const char *identity, const char *psk_id,
                                     struct kms_removed *removed, struct kms_store_err *err);
    /* tpk_add adds the two keys of a new generation; former ones stay for resolving. Of several
     * callers that make the same one, exactly one succeeds: EXISTS when its number is not the one
     * after the last. */
    enum kms_store_rc (*tpk_add)(struct kms_store *s, const struct kms_tpk pair[2],
                                 struct kms_store_err *err);
    /* tpk_start lets a generation that waits start earlier. NOT_FOUND when it does not wait beyond
     * `starts`. */
    enum kms_store_rc (*tpk_start)(struct kms_store *s, int64_t generation, int64_t starts,
                                   struct kms_store_err *err);
    /* tpk_validity notes that tickets of `validity` seconds may be made from now on, or that any
     * that is known may be as long. */
    enum kms_store_rc (*tpk_validity)(struct kms_store *s, int64_t validity,
                                      struct kms_store_err *err);
    /* tpk_retire removes the keys of a generation. NOT_FOUND when somebody else has. */
    enum kms_store_rc (*tpk_retire)(struct kms_store *s, int64_t generation,
                                    struct kms_store_err *err);
    /* tpk_share adds a key shared with tpk->owner. EXISTS when the id is taken. */
    enum kms_store_rc (*tpk_share)(struct kms_store *s, const struct kms_tpk *tpk,
                                   struct kms_store_err *err);
    /* tpk_remove removes a key, shared or a former one of ours: its tickets are lost. CURRENT when
     * it protects new tickets, NOT_FOUND. */
    enum kms_store_rc (*tpk_remove)(struct kms_store *s, const char *id, struct kms_store_err *err);
    /* marks puts n marks on disk, all or none. They end with their credential. */
    enum kms_store_rc (*marks)(struct kms_store *s, const struct kms_mark *marks, size_t n,
                               struct kms_store_err *err);
    /* keep puts the keys of a reference ticket on disk and forgets those of tickets that ended
     * before kept->issued. EXISTS when the reference is taken. */
    enum kms_store_rc (*keep)(struct kms_store *s, const struct kms_kept *kept,
                              struct kms_store_err *err);
    /* recall copies the keys that were kept under a reference, *n octets, secret. NOT_FOUND. */
    enum kms_store_rc (*recall)(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                                uint8_t *out, size_t cap, size_t *n, struct kms_store_err *err);
    /* revoke removes what was kept under a reference. NOT_FOUND. */
    enum kms_store_rc (*revoke)(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                                struct kms_store_err *err);
    /* read gives every row, with keys or without. A callback that is NULL is not served. */
    enum kms_store_rc (*read)(struct kms_store *s, const struct kms_sink *sink, bool with_keys,
                              struct kms_store_err *err);
    /* kek_add adds a generation of the store key, wrapped n times: EXISTS when it is not the number
     * after the last one. From then on rows are accepted under it only. */
    enum kms_store_rc (*kek_add)(struct kms_store *s, const struct kms_wrap *wraps, size_t n,
                                 struct kms_store_err *err);
    /* kek_reseal takes at most `batch` rows of former generations through `reseal`, in one
     * transaction. *left gets how many there were before. reseal sets row->key to octets in buf. */
    enum kms_store_rc (*kek_reseal)(struct kms_store *s, size_t batch,
                                    bool (*reseal)(void *ctx, struct kms_row *row,
                                                   uint8_t buf[KMS_SEALED_MAX]),
                                    void *ctx, uint64_t *left, struct kms_store_err *err);
    /* kek_forget removes every wrap but the n given. CURRENT when a row needs another one. */
    enum kms_store_rc (*kek_forget)(struct kms_store *s, const struct kms_wrap *keep, size_t n,
                                    struct kms_store_err *err);
    /* compact writes the whole store anew, so that nothing is left of what was overwritten. */
    enum kms_store_rc (*compact)(struct kms_store *s, struct kms_store_err *err);
    /* version gets a number that differs when users or keys have changed, or a generation of the
     * store key was added; keys that were kept do not count. */
    enum kms_store_rc (*version)(struct kms_store *s, uint64_t *version, struct kms_store_err *err);
    void (*close)(struct kms_store *s);
};

struct kms_store {
    const struct kms_store_ops *ops;
};

/* kms_store_open_sqlite opens or creates (mode 0600) the file. *s is owned by the caller.
 * max_pages > 0 bounds the database, as a full disk would. */
enum kms_store_rc kms_store_open_sqlite(struct kms_store **s, const char *path, unsigned max_pages,
                                        struct kms_store_err *err);

/* kms_store_open_memory makes an empty store for tests; NULL when memory fails. */
struct kms_store *kms_store_open_memory(void);

/* kms_store_fail fills err and returns rc. */
enum kms_store_rc kms_store_fail(struct kms_store_err *err, enum kms_store_rc rc, const char *fmt,
                                 ...) __attribute__((format(printf, 3, 4)));

/* kms_tpk_id_reserved tells whether an id is of the form that our own keys have. */
bool kms_tpk_id_reserved(const char *id);

#endif
