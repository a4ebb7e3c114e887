/* SPDX-License-Identifier: Apache-2.0 */
/* Reference tickets: one store under one lock. It is read and written by threads that may wait. */
#include "tickets.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define REF "RFC 6043 11"
#define TRIES 3            /* to seal, against rotations of the KEK */
#define RESPONDERS_MAX 512 /* characters of their names that are kept, for people */

struct kms_tickets {
    pthread_mutex_t lock;
    struct kms_store *store;
    struct kms_vault *vault;
};

/* What the keys of a kept ticket are to the vault. */
static struct kms_locker
locker_of(const struct kms_kept *k)
{
    return (struct kms_locker){ KMS_KEPT, mkt_span(k->initiator, strlen(k->initiator)),
                                mkt_span(k->reference, KMS_REFERENCE), k->keys };
}

struct kms_tickets *
kms_tickets_new(struct kms_store *store, struct kms_vault *vault)
{
    struct kms_tickets *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    t->store = store;
    t->vault = vault;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void
kms_tickets_free(struct kms_tickets *t)
{
    if (t == NULL)
        return;
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* Names of strangers: what is no printable ASCII, or a blank, becomes a question mark. */
static size_t
add_name(char *out, size_t at, size_t cap, struct mkt_identity id)
{
    if (at > 0 && at + 1 < cap)
        out[at++] = ' ';
    for (size_t i = 0; i < id.data.n && at + 1 < cap; i++) {
        char c = (char)id.data.p[i];

        out[at++] = (char)(c > ' ' && c < 0x7f ? c : '?');
    }
    out[at] = '\0';
    return at;
}

/* Seals and stores. When a rotation of the KEK came in between, once more under the new one. */
static enum kms_store_rc
seal_and_keep(struct kms_store *store, struct kms_vault *vault, struct kms_kept *kept,
              struct mkt_span keys, struct kms_store_err *err)
{
    uint8_t buf[KMS_ROW_MAX];
    enum kms_store_rc rc = KMS_STORE_STALE;

    for (int i = 0; i < TRIES && rc == KMS_STORE_STALE; i++) {
        struct kms_locker l = locker_of(kept);

        rc = i == 0 ? KMS_STORE_OK : kms_vault_refresh(vault, store, err);
        if (rc == KMS_STORE_OK && !vault->ops->seal(vault, &l, keys, buf))
            rc = kms_store_fail(err, KMS_STORE_FAILED, "the keys cannot be sealed");
        kept->keys = l.key;
        if (rc == KMS_STORE_OK)
            rc = store->ops->keep(store, kept, err);
    }
    mkt_wipe(buf, sizeof buf); /* in clear where nothing is sealed */
    return rc;
}

enum kms_store_rc
kms_ticket_keep(struct kms_store *store, struct kms_vault *vault, const struct mkt_kms_txn *txn,
                const struct mkt_policy *granted, struct kms_store_err *err)
{
    char initiator[MKT_ID_MAX + 1], responders[RESPONDERS_MAX];
    struct mkt_span reference, keys = mkt_kms_kept(txn, &reference);
    struct kms_kept kept = { .initiator = initiator,
                             .responders = responders,
                             .until = mkt_ntp_to_unix(granted->end.value) };
    size_t at = 0;

    if (keys.n == 0)
        return KMS_STORE_OK;
    if (reference.n != KMS_REFERENCE || !granted->end.has)
        return kms_store_fail(err, KMS_STORE_FAILED, "a ticket without end cannot be kept");
    memcpy(kept.reference, reference.p, KMS_REFERENCE);
    add_name(initiator, 0, sizeof initiator, granted->initiator);
    for (uint8_t i = 0; i < granted->n_responders; i++)
        at = add_name(responders, at, sizeof responders, granted->responders[i]);
    return seal_and_keep(store, vault, &kept, keys, err);
}

enum kms_store_rc
kms_tickets_keep(struct kms_tickets *t, const struct mkt_kms_txn *txn,
                 const struct mkt_policy *granted, struct kms_store_err *err)
{
    enum kms_store_rc rc;

    pthread_mutex_lock(&t->lock);
    rc = kms_ticket_keep(t->store, t->vault, txn, granted, err);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

struct recalled {
    struct kms_vault *vault;
    bool opened;
    size_t n;
    uint8_t keys[KMS_KEPT_MAX];
};

static void
take(void *ctx, const struct kms_kept *kept)
{
    struct recalled *r = ctx;
    const struct kms_locker l = locker_of(kept);

    r->opened = r->vault->ops->open(r->vault, &l, r->keys);
    r->n = kms_sealed_len(&l.key);
}

bool
kms_tickets_recall(struct kms_tickets *t, struct mkt_kms_txn *txn, struct mkt_err *err)
{
    struct mkt_span reference = mkt_kms_ask(txn)->reference;
    struct kms_store_err store_err = { 0 };
    struct recalled r = { .vault = t->vault };
    enum kms_store_rc rc;

    if (reference.n != KMS_REFERENCE)
        return mkt_fail(err, MKT_E_TICKET, 0, "reference", REF) == MKT_OK;
    pthread_mutex_lock(&t->lock);
    rc = t->store->ops->recall(t->store, reference.p, take, &r, &store_err);
    if (rc == KMS_STORE_OK && !r.opened) { /* a rotation of the KEK has just sealed it anew */
        rc = kms_vault_refresh(t->vault, t->store, &store_err);
        if (rc == KMS_STORE_OK)
            rc = t->store->ops->recall(t->store, reference.p, take, &r, &store_err);
    }
    pthread_mutex_unlock(&t->lock);
    if (rc == KMS_STORE_NOT_FOUND)
        mkt_fail(err, MKT_E_TICKET, 0, "reference: revoked, or over", REF);
    else if (rc != KMS_STORE_OK)
        mkt_fail(err, MKT_E_STATE, 0, "the store cannot be read", REF);
    else if (!r.opened)
        mkt_fail(err, MKT_E_STATE, 0, "the vault cannot open the keys", REF);
    else if (mkt_kms_recall(txn, mkt_span(r.keys, r.n), err) != MKT_OK)
        err->rc = MKT_E_TICKET;
    mkt_wipe(&r, sizeof r);
    return err->rc == MKT_OK;
}
