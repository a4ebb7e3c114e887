/* SPDX-License-Identifier: Apache-2.0 */
/* A store for tests: a few arrays, nothing on disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store.h"

struct user_row {
    char *identity, *psk_id; /* psk_id NULL: no PSK */
    struct mkt_secret psk;   /* never sealed here */
    int64_t added;
    uint64_t serial;
};

struct tpk_row {
    char id[KMS_PSK_ID_MAX + 1];
    char *owner;
    int64_t generation, starts, validity, created;
    struct mkt_secret key;
};

struct kept_row {
    struct kms_kept row; /* its texts and keys are its own */
    uint8_t *keys;
};

struct memory_store {
    struct kms_store base; /* first member */
    struct kept_row *kept;
    size_t n_kept;
    struct user_row *users;
    struct tpk_row *tpks;
    struct kms_mark *marks;
    size_t n_users, n_tpks, n_marks;
    int64_t generation;
    uint64_t version, serial;
};

static struct memory_store *
self(struct kms_store *s)
{
    return (struct memory_store *)(void *)s;
}

static void
drop_user(struct user_row *u)
{
    free(u->identity);
    free(u->psk_id);
    mkt_secret_wipe(&u->psk);
}

static bool
user_taken(const struct memory_store *m, const struct kms_user *user)
{
    for (size_t i = 0; i < m->n_users; i++) {
        const struct user_row *u = &m->users[i];

        if ((u->psk_id == NULL) == (user->psk_id == NULL) &&
            (u->psk_id != NULL ? strcmp(u->psk_id, user->psk_id)
                               : strcmp(u->identity, user->identity)) == 0)
            return true;
    }
    return false;
}

static enum kms_store_rc
memory_user_add(struct kms_store *s, const struct kms_user *user, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    struct user_row *grown, row = { .added = (int64_t)time(NULL), .serial = ++m->serial };

    if (user_taken(m, user))
        return kms_store_fail(err, KMS_STORE_EXISTS, "%s is taken",
                              user->psk_id != NULL ? user->psk_id : user->identity);
    grown = realloc(m->users, (m->n_users + 1) * sizeof *grown);
    if (grown == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    m->users = grown;
    row.identity = strdup(user->identity);
    if (user->psk_id != NULL)
        row.psk_id = strdup(user->psk_id);
    if (row.identity == NULL || (row.psk_id == NULL) != (user->psk_id == NULL) ||
        (row.psk_id != NULL && mkt_secret_set(&row.psk, user->psk.octets) != MKT_OK)) {
        drop_user(&row);
        return kms_store_fail(err, KMS_STORE_FAILED, "cannot be kept");
    }
    m->users[m->n_users++] = row;
    mkt_secret_wipe(&row.psk);
    m->version++;
    return KMS_STORE_OK;
}

static void
drop_tpk(struct memory_store *m, size_t i)
{
    struct tpk_row *t = &m->tpks[i];

    free(t->owner);
    memmove(t, t + 1, (--m->n_tpks - i) * sizeof *t);
    mkt_secret_wipe(&m->tpks[m->n_tpks].key);
}

static void
drop_kept(struct memory_store *m, size_t i)
{
    struct kept_row *k = &m->kept[i];

    free((char *)(uintptr_t)k->row.initiator);
    free((char *)(uintptr_t)k->row.responders);
    mkt_wipe(k->keys, k->row.keys.n);
    free(k->keys);
    memmove(k, k + 1, (--m->n_kept - i) * sizeof *k);
}

static enum kms_store_rc
memory_user_remove(struct kms_store *s, const char *identity, const char *psk_id,
                   struct kms_removed *removed, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    size_t kept = 0;

    *removed = (struct kms_removed){ .credentials = 0 };
    for (size_t i = 0; i < m->n_users; i++) {
        struct user_row *u = &m->users[i];

        if (strcmp(u->identity, identity) != 0 ||
            (psk_id != NULL && (u->psk_id == NULL || strcmp(u->psk_id, psk_id) != 0))) {
            m->users[kept++] = *u;
            continue;
        }
        removed->credentials += u->psk_id != NULL;
        removed->unkeyed = removed->unkeyed || u->psk_id == NULL;
        drop_user(u);
    }
    m->n_users = kept;
    if (removed->credentials == 0 && !removed->unkeyed)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such credential");
    for (size_t i = 0; psk_id == NULL && i < m->n_tpks;) {
        const char *owner = m->tpks[i].owner;

        if (owner == NULL || strcmp(owner, identity) != 0) {
            i++;
            continue;
        }
        drop_tpk(m, i);
        removed->tpks++;
    }
    for (size_t i = m->n_kept; psk_id == NULL && i-- > 0;)
        if (strcmp(m->kept[i].row.initiator, identity) == 0) {
            drop_kept(m, i);
            removed->kept++;
        }
    m->version++;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_tpk_add(struct kms_store *s, const struct kms_tpk pair[2], struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    struct tpk_row *grown;

    if (pair->generation != m->generation + 1)
        return kms_store_fail(err, KMS_STORE_EXISTS, "somebody else made that key");
    grown = realloc(m->tpks, (m->n_tpks + 2) * sizeof *grown);
    if (grown == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    m->tpks = grown;
    m->generation++;
    for (int i = 0; i < 2; i++) {
        struct tpk_row *t = &m->tpks[m->n_tpks++];

        *t = (struct tpk_row){ .generation = pair[i].generation,
                               .starts = pair[i].starts,
                               .validity = pair[i].validity,
                               .created = (int64_t)time(NULL) };
        snprintf(t->id, sizeof t->id, "%s", pair[i].id);
        if (mkt_secret_set(&t->key, pair[i].key.octets) != MKT_OK)
            return kms_store_fail(err, KMS_STORE_FAILED, "cannot be kept");
    }
    m->version++;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_tpk_start(struct kms_store *s, int64_t generation, int64_t starts, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    bool found = false;

    for (size_t i = 0; i < m->n_tpks; i++) {
        struct tpk_row *t = &m->tpks[i];

        if (t->owner != NULL || t->generation != generation || t->starts <= starts)
            continue;
        t->starts = starts;
        found = true;
    }
    m->version += found;
    return found ? KMS_STORE_OK : kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such key");
}

static enum kms_store_rc
memory_tpk_validity(struct kms_store *s, int64_t validity, struct kms_store_err *err)
{
    struct memory_store *m = self(s);

    (void)err;
    for (size_t i = 0; i < m->n_tpks; i++)
        if (m->tpks[i].owner == NULL && m->tpks[i].validity < validity)
            m->tpks[i].validity = validity;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_tpk_retire(struct kms_store *s, int64_t generation, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    size_t kept = 0, n = m->n_tpks;

    for (size_t i = 0; i < n; i++) {
        if (m->tpks[i].owner != NULL || m->tpks[i].generation != generation)
            m->tpks[kept++] = m->tpks[i];
    }
    for (size_t i = kept; i < n; i++)
        mkt_secret_wipe(&m->tpks[i].key);
    m->n_tpks = kept;
    m->version += kept < n;
    return kept < n ? KMS_STORE_OK : kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such key");
}

static enum kms_store_rc
memory_tpk_share(struct kms_store *s, const struct kms_tpk *tpk, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    struct tpk_row *grown, row = { .created = (int64_t)time(NULL) };

    for (size_t i = 0; i < m->n_tpks; i++)
        if (strcmp(m->tpks[i].id, tpk->id) == 0)
            return kms_store_fail(err, KMS_STORE_EXISTS, "the tpk-id %s is taken", tpk->id);
    grown = realloc(m->tpks, (m->n_tpks + 1) * sizeof *grown);
    if (grown == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    m->tpks = grown;
    snprintf(row.id, sizeof row.id, "%s", tpk->id);
    row.owner = strdup(tpk->owner);
    if (row.owner == NULL || mkt_secret_set(&row.key, tpk->key.octets) != MKT_OK) {
        free(row.owner);
        return kms_store_fail(err, KMS_STORE_FAILED, "cannot be kept");
    }
    m->tpks[m->n_tpks++] = row;
    mkt_secret_wipe(&row.key);
    m->version++;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_tpk_remove(struct kms_store *s, const char *id, struct kms_store_err *err)
{
    struct memory_store *m = self(s);

    for (size_t i = 0; i < m->n_tpks; i++) {
        struct tpk_row *t = &m->tpks[i];

        if (strcmp(t->id, id) != 0)
            continue;
        if (t->owner == NULL && t->generation == m->generation)
            return kms_store_fail(err, KMS_STORE_CURRENT, "%s protects new tickets", id);
        drop_tpk(m, i);
        m->version++;
        return KMS_STORE_OK;
    }
    return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such key");
}

static enum kms_store_rc
memory_marks(struct kms_store *s, const struct kms_mark *marks, size_t n, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    struct kms_mark *grown = realloc(m->marks, (m->n_marks + n) * sizeof *grown);
    size_t k;

    if (grown == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    m->marks = grown;
    for (size_t i = 0; i < n; i++) {
        for (k = 0; k < m->n_marks && m->marks[k].serial != marks[i].serial; k++)
            ;
        m->n_marks += k == m->n_marks;
        m->marks[k] = marks[i];
    }
    return KMS_STORE_OK;
}

static struct kept_row *
find_kept(const struct memory_store *m, const uint8_t reference[KMS_REFERENCE])
{
    for (size_t i = 0; i < m->n_kept; i++)
        if (memcmp(m->kept[i].row.reference, reference, KMS_REFERENCE) == 0)
            return &m->kept[i];
    return NULL;
}

static enum kms_store_rc
memory_keep(struct kms_store *s, const struct kms_kept *kept, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    struct kept_row *grown, *k;

    if (find_kept(m, kept->reference) != NULL)
        return kms_store_fail(err, KMS_STORE_EXISTS, "the reference is taken");
    for (size_t i = m->n_kept; i-- > 0;)
        if (m->kept[i].row.until < kept->issued)
            drop_kept(m, i);
    grown = realloc(m->kept, (m->n_kept + 1) * sizeof *grown);
    if (grown == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    m->kept = grown;
    k = &m->kept[m->n_kept++];
    k->row = *kept;
    k->row.initiator = strdup(kept->initiator);
    k->row.responders = strdup(kept->responders);
    k->keys = malloc(kept->keys.n + 1);
    if (k->row.initiator == NULL || k->row.responders == NULL || k->keys == NULL)
        abort(); /* a store for tests */
    memcpy(k->keys, kept->keys.p, kept->keys.n);
    k->row.keys.p = k->keys;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_recall(struct kms_store *s, const uint8_t reference[KMS_REFERENCE], uint8_t *out, size_t cap,
              size_t *n, struct kms_store_err *err)
{
    const struct kept_row *k = find_kept(self(s), reference);

    *n = 0;
    if (k == NULL || k->row.keys.n > cap)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such ticket");
    *n = k->row.keys.n;
    memcpy(out, k->keys, *n);
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_revoke(struct kms_store *s, const uint8_t reference[KMS_REFERENCE],
              struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    const struct kept_row *k = find_kept(m, reference);

    if (k == NULL)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such ticket");
    drop_kept(m, (size_t)(k - m->kept));
    return KMS_STORE_OK;
}

static bool
read_kept(const struct memory_store *m, const struct kms_sink *sink)
{
    bool more = true;

    for (size_t i = 0; more && sink->kept != NULL && i < m->n_kept; i++) {
        struct kms_kept row = m->kept[i].row;

        row.keys = mkt_span(NULL, 0);
        more = sink->kept(sink->ctx, &row);
    }
    return more;
}

static enum kms_store_rc
memory_read(struct kms_store *s, const struct kms_sink *sink, bool with_keys,
            struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    bool more = true;

    for (size_t i = 0; more && sink->user != NULL && i < m->n_users; i++) {
        const struct user_row *u = &m->users[i];
        struct kms_user row = { u->identity, u->psk_id, { 0, mkt_secret_span(&u->psk) },
                                u->psk.n,    u->added,  u->serial };

        if (!with_keys)
            row.psk.octets = mkt_span(NULL, 0);
        more = sink->user(sink->ctx, &row);
    }
    for (size_t i = 0; more && sink->tpk != NULL && i < m->n_tpks; i++) {
        const struct tpk_row *t = &m->tpks[i];
        struct kms_tpk row = { .id = t->id,
                               .owner = t->owner,
                               .generation = t->generation,
                               .starts = t->starts,
                               .validity = t->validity,
                               .key = { 0, mkt_secret_span(&t->key) },
                               .key_len = t->key.n,
                               .created = t->created };

        if (!with_keys)
            row.key.octets = mkt_span(NULL, 0);
        more = sink->tpk(sink->ctx, &row);
    }
    for (size_t i = 0; more && sink->mark != NULL && i < m->n_marks; i++)
        more = sink->mark(sink->ctx, &m->marks[i]);
    more = more && read_kept(m, sink);
    return more ? KMS_STORE_OK : kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
}

/* Nothing is at rest here: keys are never sealed. */
static enum kms_store_rc
memory_kek_add(struct kms_store *s, const struct kms_wrap *wraps, size_t n,
               struct kms_store_err *err)
{
    (void)s;
    (void)wraps;
    (void)n;
    return kms_store_fail(err, KMS_STORE_FAILED, "a store in memory seals no keys");
}

static enum kms_store_rc
memory_kek_reseal(struct kms_store *s, size_t batch,
                  bool (*reseal)(void *ctx, struct kms_row *row, uint8_t buf[KMS_SEALED_MAX]),
                  void *ctx, uint64_t *left, struct kms_store_err *err)
{
    (void)batch;
    (void)reseal;
    (void)ctx;
    *left = 0;
    return memory_kek_add(s, NULL, 0, err);
}

static enum kms_store_rc
memory_kek_forget(struct kms_store *s, const struct kms_wrap *keep, size_t n,
                  struct kms_store_err *err)
{
    return memory_kek_add(s, keep, n, err);
}

static enum kms_store_rc
memory_compact(struct kms_store *s, struct kms_store_err *err)
{
    (void)s;
    (void)err;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_version(struct kms_store *s, uint64_t *version, struct kms_store_err *err)
{
    (void)err;
    *version = self(s)->version;
    return KMS_STORE_OK;
}

static void
memory_close(struct kms_store *s)
{
    struct memory_store *m = self(s);

    for (size_t i = 0; i < m->n_users; i++)
        drop_user(&m->users[i]);
    for (size_t i = 0; i < m->n_tpks; i++) {
        free(m->tpks[i].owner);
        mkt_secret_wipe(&m->tpks[i].key);
    }
    while (m->n_kept > 0)
        drop_kept(m, 0);
    free(m->kept);
    free(m->marks);
    free(m->users);
    free(m->tpks);
    free(m);
}

static const struct kms_store_ops memory_ops = {
    .name = "memory",
    .user_add = memory_user_add,
    .user_remove = memory_user_remove,
    .tpk_add = memory_tpk_add,
    .tpk_start = memory_tpk_start,
    .tpk_validity = memory_tpk_validity,
    .tpk_retire = memory_tpk_retire,
    .kek_add = memory_kek_add,
    .kek_reseal = memory_kek_reseal,
    .kek_forget = memory_kek_forget,
    .tpk_share = memory_tpk_share,
    .tpk_remove = memory_tpk_remove,
    .marks = memory_marks,
    .keep = memory_keep,
    .recall = memory_recall,
    .revoke = memory_revoke,
    .read = memory_read,
    .compact = memory_compact,
    .version = memory_version,
    .close = memory_close,
};

struct kms_store *
kms_store_open_memory(void)
{
    struct memory_store *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->base.ops = &memory_ops;
    return &m->base;
}
