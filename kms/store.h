/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon and mikey-kmsctl need of a database, and nothing a database happens to offer.
 * store_sqlite.c implements it. Requests never come here: they read the index (index.h), which
 * `read` fills and `follow` keeps up to date.
 *
 * Several programs on several machines may write at once. Every change takes the change number
 * first, in a row that stays locked until the change is visible: so checks across tables hold, and
 * numbers become visible in order. What several of them must agree on goes by one clock, that
 * of the store: it dates what is written, and `now` tells it to who decides (store_clock.h). */
#ifndef KMS_STORE_H
#define KMS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <mikeyticket/secret.h>

#include "chain.h"
#include "kek.h"
#include "keyfile.h"
#include "realm.h"

#define KMS_PSK_ID_MAX 128 /* octets of a psk-id and of a tpk-id */
#define KMS_NESTED_MAX 64  /* groups within one group, itself included */
#define KMS_STORE_TICK_NS 1000000

enum kms_store_rc {
    KMS_STORE_OK,
    KMS_STORE_SAME,      /* it is so already: nothing was changed */
    KMS_STORE_EXISTS,    /* that name is taken */
    KMS_STORE_NOT_FOUND, /* no such user, group, realm or key */
    KMS_STORE_REFUSED,   /* the text says why it would make no sense */
    KMS_STORE_CURRENT,   /* the key protects new tickets, or is in use */
    KMS_STORE_STALE,     /* sealed under a generation that is not the newest any more */
    KMS_STORE_FORGOTTEN, /* follow: too long ago; read everything */
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

/* Whether a key that stands in the store is the one at hand. Two sealings of one key are never
 * alike, so it takes the vault to tell. */
struct kms_same {
    bool (*is)(const struct kms_same *same, const struct kms_sealed *there);
};

/* One user with one of its credentials: a user with several devices has several. With psk_id NULL
 * the user alone: one who has no PSK and signs. */
struct kms_user {
    const char *identity; /* the first; aliases come separately */
    const char *psk_id;
    struct kms_sealed psk;
    const struct kms_same *same; /* to user_add only, NULL: a credential that is there is another */
    int psk_len;                 /* octets of the key itself */
    int64_t added;               /* seconds since 1970: the credential, or the user without one;
                                    0 where keys are shown */
    uint64_t serial;             /* made by the store, never used again: psk-ids may be */
    const char *realm;           /* to user_add only: NULL is the default one */
    uint32_t realm_number;       /* out only */
    uint64_t number;             /* of the user, out only; never used again */
    int64_t expires;             /* seconds since 1970, 0: never; of a user that is new */
    bool suspended;              /* likewise */
};

/* What is to be changed of a user: NULL leaves it. */
struct kms_user_change {
    const bool *suspended;
    const int64_t *expires;
};

/* What user_remove took away. */
struct kms_removed {
    unsigned credentials;
    unsigned tpks; /* that the user shared */
    unsigned kept; /* reference tickets that the user asked for */
    bool user;     /* the user too */
};

/* One Ticket Protection Key, of the KMS alone (each generation has one of 16 and one of 32 octets)
 * or shared with one user (RFC 6043 4.1.1, modes 2 and 3). */
struct kms_tpk {
    const char *id;
    const char *owner;  /* identity of the user; NULL: ours alone */
    int64_t generation; /* 0 when shared */
    uint32_t realm;     /* number of the realm it is for; 0 when shared */
    int64_t starts;     /* ours: protects new tickets from then on, seconds since 1970 */
    int64_t validity;   /* ours: of the longest ticket made with it, in seconds */
    struct kms_sealed key;
    int key_len;     /* octets of the key itself */
    int64_t created; /* seconds since 1970 */
};

/* One ticket that is revoked; or one user, all of whose tickets up to then are; or one group, with
 * all tickets up to then that name it as a responder. */
enum kms_revoked_kind { KMS_REVOKED_TICKET, KMS_REVOKED_USER, KMS_REVOKED_GROUP };
struct kms_revocation {
    enum kms_revoked_kind kind;
    const char *name; /* of the ticket, in hex; or an identity, or a pattern in place of a group */
    int64_t at;       /* seconds since 1970, by the clock of the store */
};

/* Up to which value the messages of a credential may have been accepted (marks.h): a COUNTER, or
 * the time of a message that lay in the future, in seconds since 1970. */
enum kms_mark_kind { KMS_MARK_COUNTER, KMS_MARK_STAMP };
#define KMS_MARK_KINDS 2
struct kms_mark {
    enum kms_mark_kind kind;
    uint64_t serial;
    uint64_t mark;
};

#define KMS_REFERENCE 16 /* octets of the name of a reference ticket */

/* The keys of one reference ticket (docs/formats/reference-ticket.md). They are here and nowhere
 * else: without the row nobody resolves the ticket. */
struct kms_kept {
    uint8_t reference[KMS_REFERENCE];
    const char *initiator, *responders; /* for people; several, a blank between them */
    struct kms_sealed keys;             /* n = 0 where keys are not shown */
    int64_t issued; /* seconds since 1970, by the clock of the store; out only */
    int64_t until;  /* seconds since 1970: TRe */
};
#define KMS_KEPT_MAX 8192                          /* octets that the keys of one ticket take */
#define KMS_ROW_MAX (KMS_KEPT_MAX + KMS_SEAL_MORE) /* of a row that holds a key */

/* A tenant: users and groups belong to one, and each has Ticket Protection Keys of its own. */
struct kms_realm {
    uint32_t number;
    const char *name;
    int64_t added; /* seconds since 1970 */
};

/* A group has a name of the form of an identity, so that it can stand in IDRr. */
struct kms_group {
    uint64_t number;
    const char *identity;
    uint32_t realm;
    int64_t added; /* seconds since 1970 */
};

enum kms_member_kind { KMS_MEMBER_USER, KMS_MEMBER_GROUP, KMS_MEMBER_PATTERN };

struct kms_member {
    uint64_t group;
    enum kms_member_kind kind;
    uint64_t number;  /* of the user or group */
    const char *name; /* identity or pattern; NULL where names are not shown */
};

/* What a change has touched. */
enum kms_touched { KMS_TOUCHED_USER, KMS_TOUCHED_GROUP, KMS_TOUCHED_KEYS, KMS_TOUCHED_REVOCATIONS };

/* A row whose key is to be sealed anew. */
struct kms_row {
    enum kms_key_kind kind;
    struct mkt_span owner; /* identity; n = 0: ours alone */
    struct mkt_span id;    /* psk-id, tpk-id or reference */
    struct kms_sealed key;
};

/* Receives rows in one consistent reading, in this order. False stops it (out of memory). */
struct kms_sink {
    bool (*user)(void *ctx, const struct kms_user *user); /* rows of one user follow each other */
    bool (*tpk)(void *ctx, const struct kms_tpk *tpk);    /* the oldest first */
    void *ctx;
    bool (*mark)(void *ctx, const struct kms_mark *mark);
    bool (*kept)(void *ctx, const struct kms_kept *kept); /* the oldest first; never with keys */
    bool (*touched)(void *ctx, enum kms_touched what, uint64_t number); /* follow: before all */
    bool (*realm)(void *ctx, const struct kms_realm *realm);            /* before keys and users */
    bool (*alias)(void *ctx, const char *identity); /* of the user whose rows were given last */
    bool (*group)(void *ctx, const struct kms_group *group);    /* its members follow at once: */
    bool (*member)(void *ctx, const struct kms_member *member); /* users by number, groups, rest */
    bool (*revocation)(void *ctx, const struct kms_revocation *r);
    bool (*seal)(void *ctx, const struct kms_head *seal); /* the oldest first */
    const char *after; /* with names: only users whose first identity sorts behind this */
    bool (*wrap)(void *ctx, const struct kms_wrap *wrap); /* as they were added, before all else */
};

/* Begins with a pointer to its operations. One thread at a time. */
struct kms_store;

struct kms_store_ops {
    const char *name;
    /* user_add adds the user if it is new, and its credential unless psk_id is NULL. SAME when all
     * of it is there with that key; EXISTS when the psk_id is taken, or the identity by an alias, a
     * group, or in another realm. NOT_FOUND: no such realm. STALE here and below: the key is not
     * sealed under the newest generation. */
    enum kms_store_rc (*user_add)(struct kms_store *s, const struct kms_user *user,
                                  struct kms_store_err *err);
    /* user_remove removes one credential, or the whole user when psk_id is NULL, with aliases,
     * memberships, the TPKs that the user shared and the reference tickets that it asked for.
     * NOT_FOUND, nothing removed, when there is no such user. */
    enum kms_store_rc (*user_remove)(struct kms_store *s, const char *identity, const char *psk_id,
                                     struct kms_removed *removed, struct kms_store_err *err);
    /* user_change: SAME, NOT_FOUND. */
    enum kms_store_rc (*user_change)(struct kms_store *s, const char *identity,
                                     const struct kms_user_change *change,
                                     struct kms_store_err *err);
    /* alias_add gives a user one more identity. SAME, EXISTS, NOT_FOUND. */
    enum kms_store_rc (*alias_add)(struct kms_store *s, const char *identity, const char *alias,
                                   struct kms_store_err *err);
    enum kms_store_rc (*alias_remove)(struct kms_store *s, const char *alias,
                                      struct kms_store_err *err);
    /* group_add: SAME, EXISTS (name or realm), NOT_FOUND (realm). */
    enum kms_store_rc (*group_add)(struct kms_store *s, const char *identity, const char *realm,
                                   struct kms_store_err *err);
    enum kms_store_rc (*group_remove)(struct kms_store *s, const char *identity,
                                      struct kms_store_err *err);
    /* member_add: the member is a user, a group or a pattern (pattern.h). SAME, NOT_FOUND; REFUSED
     * when it is of another realm, a group would contain itself, or more than KMS_NESTED_MAX. */
    enum kms_store_rc (*member_add)(struct kms_store *s, const char *group, const char *member,
                                    struct kms_store_err *err);
    enum kms_store_rc (*member_remove)(struct kms_store *s, const char *group, const char *member,
                                       struct kms_store_err *err);
    /* realm_add: SAME. realm_remove takes its keys along; REFUSED while it has users or groups. */
    enum kms_store_rc (*realm_add)(struct kms_store *s, const char *name,
                                   struct kms_store_err *err);
    enum kms_store_rc (*realm_remove)(struct kms_store *s, const char *name,
                                      struct kms_store_err *err);
    /* now gets the time by the clock of the store, in nanoseconds since 1970, in steps of
     * KMS_STORE_TICK_NS at most, rounded down. */
    enum kms_store_rc (*now)(struct kms_store *s, int64_t *now, struct kms_store_err *err);
    /* tpk_add adds the two keys of a new generation of a realm; former ones stay for resolving.
     * Generations are counted over all realms, so that an id names one key. Of several callers that
     * make the same one, exactly one succeeds: EXISTS when its number is not the one after the
     * last. NOT_FOUND: no such realm. */
    enum kms_store_rc (*tpk_add)(struct kms_store *s, const struct kms_tpk pair[2],
                                 struct kms_store_err *err);
    /* tpk_start lets a generation that waits start earlier. NOT_FOUND when it does not wait beyond
     * `starts`. */
    enum kms_store_rc (*tpk_start)(struct kms_store *s, int64_t generation, int64_t starts,
                                   struct kms_store_err *err);
    /* tpk_validity notes that tickets of `validity` seconds may be made from now on, or that any
     * that is known may be as long. SAME. */
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
    /* marks puts n marks on disk, all or none, and forgets those of stamps that lie before `now`,
     * by the caller's clock as by the store's. Those of counters end with their credential. */
    enum kms_store_rc (*marks)(struct kms_store *s, const struct kms_mark *marks, size_t n,
                               int64_t now, struct kms_store_err *err);
    /* keep puts the keys of a reference ticket on disk, as issued now, and forgets those of tickets
     * that have ended. EXISTS when the reference is taken. */
    enum kms_store_rc (*keep)(struct kms_store *s, const struct kms_kept *kept,
                              struct kms_store_err *err);
    /* recall gives what was kept under a reference to `take`, once. NOT_FOUND. */
    enum kms_store_rc (*recall)(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                                void (*take)(void *ctx, const struct kms_kept *kept), void *ctx,
                                struct kms_store_err *err);
    /* revoke removes what was kept under a reference. NOT_FOUND. */
    enum kms_store_rc (*revoke)(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
                                struct kms_store_err *err);
    /* revocation_add adds n revocations as of now, all or none; one that is there already is
     * renewed. The `at` given is ignored. */
    enum kms_store_rc (*revocation_add)(struct kms_store *s, const struct kms_revocation *r,
                                        size_t n, struct kms_store_err *err);
    /* revocation_remove takes one back: NOT_FOUND. */
    enum kms_store_rc (*revocation_remove)(struct kms_store *s, const struct kms_revocation *r,
                                           struct kms_store_err *err);
    /* audit_seal remembers how far a chain of audit records has come, in place of what it
     * remembered of that chain. Nothing that requests read changes by it. */
    enum kms_store_rc (*audit_seal)(struct kms_store *s, const struct kms_head *head,
                                    struct kms_store_err *err);
    /* kek_add adds a generation of the store key, wrapped n times: EXISTS when it is not the number
     * after the last one. From then on rows are accepted under it only. */
    enum kms_store_rc (*kek_add)(struct kms_store *s, const struct kms_wrap *wraps, size_t n,
                                 struct kms_store_err *err);
    /* kek_left counts the rows of former generations. kek_reseal takes at most `batch` of them
     * through `reseal`, in one transaction, and *taken gets how many: fewer than `batch` when none
     * is left. reseal sets row->key to octets in buf. */
    enum kms_store_rc (*kek_left)(struct kms_store *s, uint64_t *left, struct kms_store_err *err);
    enum kms_store_rc (*kek_reseal)(struct kms_store *s, size_t batch,
                                    bool (*reseal)(void *ctx, struct kms_row *row,
                                                   uint8_t buf[KMS_ROW_MAX]),
                                    void *ctx, size_t *taken, struct kms_store_err *err);
    /* kek_forget removes every wrap but the n given. CURRENT when a row needs another one. */
    enum kms_store_rc (*kek_forget)(struct kms_store *s, const struct kms_wrap *keep, size_t n,
                                    struct kms_store_err *err);
    /* compact writes the whole store anew, so that nothing is left of what was overwritten. */
    enum kms_store_rc (*compact)(struct kms_store *s, struct kms_store_err *err);
    /* begin makes the changes that follow one transaction, until end keeps them or not. A change
     * that fails in between undoes itself alone. */
    enum kms_store_rc (*begin)(struct kms_store *s, struct kms_store_err *err);
    enum kms_store_rc (*end)(struct kms_store *s, bool keep, struct kms_store_err *err);
    /* give_way is called between the many long changes of one piece of work: others who wait to
     * write take their turn. */
    void (*give_way)(struct kms_store *s);
    /* read gives every row, with keys (users by number) or with names (sorted by them). A callback
     * that is NULL is not served. */
    enum kms_store_rc (*read)(struct kms_store *s, const struct kms_sink *sink, bool with_keys,
                              struct kms_store_err *err);
    /* read_user gives of one user, whose identity or alias it is, what `read` with names does: its
     * realm, the keys it shares, its rows, its aliases, and the groups it is in, in whatever way.
     * All of these callbacks are needed. NOT_FOUND. */
    enum kms_store_rc (*read_user)(struct kms_store *s, const char *identity,
                                   const struct kms_sink *sink, struct kms_store_err *err);
    /* read_part gives what `read` with keys does, but of all users only part `part` of `of`; and
     * what is no user with part 0 alone. *version gets the number of the last change that it has
     * seen: parts of one number are of one store. */
    enum kms_store_rc (*read_part)(struct kms_store *s, const struct kms_sink *sink, unsigned part,
                                   unsigned of, uint64_t *version, struct kms_store_err *err);
    /* another opens one more connection to the same database, for another thread. FAILED. */
    enum kms_store_rc (*another)(struct kms_store *s, struct kms_store **other,
                                 struct kms_store_err *err);
    /* follow gives what was touched after version *version, then all rows, with keys, of the users
     * and groups among it that are still there, and all keys and realms if one was touched, and
     * all revocations likewise.
     * *version gets the present one. FORGOTTEN: nothing was given. */
    enum kms_store_rc (*follow)(struct kms_store *s, uint64_t *version, const struct kms_sink *sink,
                                struct kms_store_err *err);
    /* version gets a number that grows with every change of users, groups, realms, keys and
     * revocations; keys that were kept and seals do not count. */
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

/* kms_store_open_memory makes an empty store without a file, for tests; NULL when memory fails.
 * *now is its clock, for as long as it lives; with NULL it has that of this machine. */
struct kms_store *kms_store_open_memory(const int64_t *now);

/* kms_store_fail fills err and returns rc. */
enum kms_store_rc kms_store_fail(struct kms_store_err *err, enum kms_store_rc rc, const char *fmt,
                                 ...) __attribute__((format(printf, 3, 4)));

/* kms_tpk_id_reserved tells whether an id is of the form that our own keys have. */
bool kms_tpk_id_reserved(const char *id);

#endif
