/* SPDX-License-Identifier: Apache-2.0 */
/* A store for tests: a few arrays, nothing on disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store.h"

struct user_row {
    char *identity, *psk_id;
    struct mkt_secret psk;
    int64_t added;
};

struct tpk_row {
    char id[KMS_TPK_ID_MAX];
    int64_t generation, created;
    struct mkt_secret key;
};

struct memory_store {
    struct kms_store base; /* first member */
    struct user_row *users;
    struct tpk_row *tpks;
    size_t n_users, n_tpks;
    int64_t generation;
    uint64_t version;
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

static enum kms_store_rc
memory_user_add(struct kms_store *s, const struct kms_user *user, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    struct user_row *grown, row = { .added = (int64_t)time(NULL) };

    for (size_t i = 0; i < m->n_users; i++)
        if (strcmp(m->users[i].psk_id, user->psk_id) == 0)
            return kms_store_fail(err, KMS_STORE_EXISTS, "the psk-id %s is taken", user->psk_id);
    grown = realloc(m->users, (m->n_users + 1) * sizeof *grown);
    if (grown == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    m->users = grown;
    row.identity = strdup(user->identity);
    row.psk_id = strdup(user->psk_id);
    if (row.identity == NULL || row.psk_id == NULL ||
        mkt_secret_set(&row.psk, user->psk) != MKT_OK) {
        drop_user(&row);
        return kms_store_fail(err, KMS_STORE_FAILED, "cannot be kept");
    }
    m->users[m->n_users++] = row;
    mkt_secret_wipe(&row.psk);
    m->version++;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_user_remove(struct kms_store *s, const char *identity, const char *psk_id, unsigned *removed,
                   struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    size_t kept = 0;

    for (size_t i = 0; i < m->n_users; i++) {
        struct user_row *u = &m->users[i];

        if (strcmp(u->identity, identity) == 0 &&
            (psk_id == NULL || strcmp(u->psk_id, psk_id) == 0))
            drop_user(u);
        else
            m->users[kept++] = *u;
    }
    *removed = (unsigned)(m->n_users - kept);
    m->n_users = kept;
    if (*removed == 0)
        return kms_store_fail(err, KMS_STORE_NOT_FOUND, "no such credential");
    m->version++;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_tpk_add(struct kms_store *s, const struct mkt_secret *key_128,
               const struct mkt_secret *key_256, int64_t *generation, struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    struct tpk_row *grown = realloc(m->tpks, (m->n_tpks + 2) * sizeof *grown);

    if (grown == NULL)
        return kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
    m->tpks = grown;
    *generation = ++m->generation;
    for (int i = 0; i < 2; i++) {
        struct tpk_row *t = &m->tpks[m->n_tpks++];

        snprintf(t->id, sizeof t->id, "tpk-%lld-%s", (long long)*generation,
                 i == 0 ? "128" : "256");
        t->generation = *generation;
        t->created = (int64_t)time(NULL);
        t->key = i == 0 ? *key_128 : *key_256;
    }
    m->version++;
    return KMS_STORE_OK;
}

static enum kms_store_rc
memory_read(struct kms_store *s, const struct kms_sink *sink, bool with_keys,
            struct kms_store_err *err)
{
    struct memory_store *m = self(s);
    bool more = true;

    for (size_t i = 0; more && sink->user != NULL && i < m->n_users; i++) {
        const struct user_row *u = &m->users[i];
        struct kms_user row = { u->identity, u->psk_id, mkt_secret_span(&u->psk), u->psk.n,
                                u->added };

        if (!with_keys)
            row.psk = mkt_span(NULL, 0);
        more = sink->user(sink->ctx, &row);
    }
    for (size_t i = 0; more && sink->tpk != NULL && i < m->n_tpks; i++) {
        const struct tpk_row *t = &m->tpks[i];
        struct kms_tpk row = {
            t->id,    t->generation, t->generation == m->generation, mkt_secret_span(&t->key),
            t->key.n, t->created
        };

        if (!with_keys)
            row.key = mkt_span(NULL, 0);
        more = sink->tpk(sink->ctx, &row);
    }
    return more ? KMS_STORE_OK : kms_store_fail(err, KMS_STORE_FAILED, "out of memory");
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
    for (size_t i = 0; i < m->n_tpks; i++)
        mkt_secret_wipe(&m->tpks[i].key);
    free(m->users);
    free(m->tpks);
    free(m);
}

static const struct kms_store_ops memory_ops = {
    "memory",    memory_user_add, memory_user_remove, memory_tpk_add,
    memory_read, memory_version,  memory_close,
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
