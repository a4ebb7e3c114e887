/* SPDX-License-Identifier: Apache-2.0 */
/* Reference tickets: one store under one lock. It is read and written by threads that may wait. */
#include "tickets.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define REF "RFC 6043 11"
#define KEYS_MAX 8192      /* octets that the keys of one ticket take */
#define RESPONDERS_MAX 512 /* characters of their names that are kept, for people */

struct kms_tickets {
    pthread_mutex_t lock;
    struct kms_store *store;
};

struct kms_tickets *
kms_tickets_new(struct kms_store *store)
{
    struct kms_tickets *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    t->store = store;
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

enum kms_store_rc
kms_ticket_keep(struct kms_store *store, const struct mkt_kms_txn *txn,
                const struct mkt_policy *granted, int64_t now, struct kms_store_err *err)
{
    char initiator[MKT_ID_MAX + 1], responders[RESPONDERS_MAX];
    struct mkt_span reference, keys = mkt_kms_kept(txn, &reference);
    struct kms_kept kept = { .initiator = initiator,
                             .responders = responders,
                             .keys = keys,
                             .issued = now,
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
    return store->ops->keep(store, &kept, err);
}

enum kms_store_rc
kms_tickets_keep(struct kms_tickets *t, const struct mkt_kms_txn *txn,
                 const struct mkt_policy *granted, int64_t now, struct kms_store_err *err)
{
    enum kms_store_rc rc;

    pthread_mutex_lock(&t->lock);
    rc = kms_ticket_keep(t->store, txn, granted, now, err);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

bool
kms_tickets_recall(struct kms_tickets *t, struct mkt_kms_txn *txn, struct mkt_err *err)
{
    struct mkt_span reference = mkt_kms_ask(txn)->reference;
    struct kms_store_err store_err = { 0 };
    uint8_t keys[KEYS_MAX];
    enum kms_store_rc rc;
    size_t n = 0;

    if (reference.n != KMS_REFERENCE)
        return mkt_fail(err, MKT_E_TICKET, 0, "reference", REF) == MKT_OK;
    pthread_mutex_lock(&t->lock);
    rc = t->store->ops->recall(t->store, reference.p, keys, sizeof keys, &n, &store_err);
    pthread_mutex_unlock(&t->lock);
    if (rc == KMS_STORE_NOT_FOUND)
        mkt_fail(err, MKT_E_TICKET, 0, "reference: revoked, or over", REF);
    else if (rc != KMS_STORE_OK)
        mkt_fail(err, MKT_E_STATE, 0, "the store cannot be read", REF);
    else if (mkt_kms_recall(txn, mkt_span(keys, n), err) != MKT_OK)
        err->rc = MKT_E_TICKET;
    mkt_wipe(keys, sizeof keys);
    return err->rc == MKT_OK;
}
