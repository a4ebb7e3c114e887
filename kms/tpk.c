/* SPDX-License-Identifier: Apache-2.0 */
/* Between the policy, which is pure, and the index, which knows the keys. */
#include "tpk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRIES 8 /* against other nodes that do the same */

static const struct mkt_identity us = { 0 };

static size_t
suite_key(const struct mkt_policy *p)
{
    const struct mkt_suite *suite = mkt_suite_of(p->prf);

    return suite == NULL ? SIZE_MAX : suite->key_len;
}

/* The key that the one Responder shares with us. For a compatibility ticket it is a PSK of RFC
 * 3830, which may be longer than the keys of the suite. */
static bool
find_shared(struct kms_found_tpk *tpk, const struct mkt_policy *want, const struct kms_index *index)
{
    const struct mkt_identity owner = want->responders[0];

    if (want->n_responders != 1)
        return false;
    return kms_index_tpk_of(index, owner, suite_key(want), tpk) ||
           (want->ticket_type == MKT_TICKET_TYPE_COMPAT &&
            kms_index_tpk_of(index, owner, mkt_suite_of(MKT_PRF_HMAC_SHA_256)->key_len, tpk));
}

enum mkt_rc
kms_tpk_grant(struct mkt_policy *granted, struct kms_found_tpk *tpk, const struct mkt_policy *want,
              const struct kms_circumstances *q, const struct kms_index *index, struct mkt_err *err)
{
    bool shared = find_shared(tpk, want, index);

    if (kms_policy_request(granted, want, q, shared, err) != MKT_OK)
        return err->rc;
    if ((granted->flags & MKT_TP_E) != 0 && !kms_index_tpk_of(index, us, suite_key(want), tpk))
        return mkt_fail(err, MKT_E_STATE, 0, "TPK", "RFC 6043 4.1.1");
    return MKT_OK;
}

enum mkt_rc
kms_tpk_of_ticket(struct kms_found_tpk *tpk, const struct mkt_policy *ticket,
                  struct mkt_identity tpk_id, const struct kms_index *index, struct mkt_err *err)
{
    bool own = (ticket->flags & MKT_TP_D) == 0, found = false;

    if (tpk_id.data.p != NULL)
        found = kms_index_tpk(index, tpk_id.data, suite_key(ticket), tpk);
    else if (!own || ticket->initiator.data.p != NULL)
        found = kms_index_tpk_of(index, own ? ticket->initiator : us, suite_key(ticket), tpk);
    if (!found)
        return mkt_fail(err, MKT_E_TICKET, 0, "IDRpsk", "RFC 6043 A.3");
    return MKT_OK;
}

struct kms_locker
kms_tpk_locker(const struct kms_found_tpk *tpk)
{
    return (struct kms_locker){ KMS_TPK, tpk->owner.data, tpk->id, tpk->key };
}

enum kms_store_rc
kms_tpk_make(struct kms_store *s, struct kms_vault *vault, int64_t generation, int64_t starts,
             int64_t validity, struct kms_store_err *err)
{
    struct kms_tpk pair[2];
    uint8_t buf[2][KMS_SEALED_MAX]; /* in clear where nothing is sealed */
    char id[2][32];
    enum kms_store_rc rc = KMS_STORE_OK;

    for (int i = 0; i < 2; i++) {
        struct kms_locker l = { .kind = KMS_TPK };

        snprintf(id[i], sizeof id[i], "tpk-%" PRId64 "-%d", generation, i == 0 ? 128 : 256);
        l.id = mkt_span(id[i], strlen(id[i]));
        if (!vault->ops->make(vault, &l, i == 0 ? 16 : 32, buf[i]))
            rc = kms_store_fail(err, KMS_STORE_FAILED, "the vault cannot make a key");
        pair[i] = (struct kms_tpk){ .id = id[i],
                                    .generation = generation,
                                    .starts = starts,
                                    .validity = validity,
                                    .key = l.key };
    }
    if (rc == KMS_STORE_OK)
        rc = s->ops->tpk_add(s, pair, err);
    mkt_wipe(buf, sizeof buf);
    return rc;
}

struct last {
    int64_t generation, starts;
};

static bool
take_last(void *ctx, const struct kms_tpk *t)
{
    struct last *last = ctx;

    if (t->owner == NULL && t->generation > last->generation)
        *last = (struct last){ t->generation, t->starts };
    return true;
}

enum kms_store_rc
kms_tpk_rotate(struct kms_store *s, struct kms_vault *vault, int64_t now, int64_t validity,
               int64_t *generation, struct kms_store_err *err)
{
    enum kms_store_rc rc = KMS_STORE_EXISTS;

    for (int i = 0; i < TRIES && (rc == KMS_STORE_EXISTS || rc == KMS_STORE_STALE); i++) {
        struct last last = { 0, 0 };
        struct kms_sink sink = { .tpk = take_last, .ctx = &last };

        rc = kms_vault_refresh(vault, s, err);
        if (rc == KMS_STORE_OK)
            rc = s->ops->read(s, &sink, false, err);
        if (rc != KMS_STORE_OK)
            return rc;
        *generation = last.generation + (last.starts <= now);
        rc = last.starts > now ? s->ops->tpk_start(s, *generation, now, err)
                               : kms_tpk_make(s, vault, *generation, now, validity, err);
        if (rc == KMS_STORE_NOT_FOUND)
            rc = KMS_STORE_EXISTS; /* it has just started */
    }
    return rc;
}
