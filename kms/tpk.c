/* SPDX-License-Identifier: Apache-2.0 */
/* Between the policy, which is pure, and the index, which knows the keys. */
#include "tpk.h"

static size_t
suite_key(const struct mkt_policy *p)
{
    const struct mkt_suite *suite = mkt_suite_of(p->prf);

    return suite == NULL ? SIZE_MAX : suite->key_len;
}

/* Under the key of one who is suspended or has expired no ticket is made: it would be opened
 * without asking us. Nor under that of one in another realm. */
static bool
may_share(struct mkt_identity owner, const struct kms_circumstances *q,
          const struct kms_index *index)
{
    return !kms_index_barred(index, owner, mkt_ntp_to_unix(q->now)) &&
           (q->cross_realm || kms_index_realm(index, owner) == kms_index_realm(index, q->client));
}

/* The key that the one Responder shares with us. For a compatibility ticket it is a PSK of RFC
 * 3830, which may be longer than the keys of the suite. */
static bool
find_shared(struct kms_found_tpk *tpk, const struct mkt_policy *want,
            const struct kms_circumstances *q, const struct kms_index *index)
{
    const struct mkt_identity owner = want->responders[0];

    if (want->n_responders != 1 || !may_share(owner, q, index))
        return false;
    return kms_index_tpk_of(index, owner, suite_key(want), tpk) ||
           (want->ticket_type == MKT_TICKET_TYPE_COMPAT &&
            kms_index_tpk_of(index, owner, mkt_suite_of(MKT_PRF_HMAC_SHA_256)->key_len, tpk));
}

enum mkt_rc
kms_tpk_grant(struct mkt_policy *granted, struct kms_found_tpk *tpk, const struct mkt_policy *want,
              const struct kms_circumstances *q, const struct kms_index *index, struct mkt_err *err)
{
    bool shared = find_shared(tpk, want, q, index);

    if (kms_policy_request(granted, want, q, shared, err) != MKT_OK)
        return err->rc;
    if ((granted->flags & MKT_TP_E) != 0 &&
        !kms_index_tpk_current(index, kms_index_realm(index, q->client), suite_key(want),
                               mkt_ntp_to_unix(q->now), tpk))
        return mkt_fail(err, MKT_E_STATE, 0, "TPK", "RFC 6043 4.1.1");
    return MKT_OK;
}

/* Without a name: the newest key of the Initiator who made the ticket, or of the realm of the
 * client. */
static bool
find_unnamed(struct kms_found_tpk *tpk, const struct mkt_policy *ticket, struct mkt_identity client,
             const struct kms_index *index, int64_t now_s)
{
    if ((ticket->flags & MKT_TP_D) == 0)
        return kms_index_tpk_of(index, ticket->initiator, suite_key(ticket), tpk);
    return kms_index_tpk_current(index, kms_index_realm(index, client), suite_key(ticket), now_s,
                                 tpk);
}

enum mkt_rc
kms_tpk_of_ticket(struct kms_found_tpk *tpk, const struct mkt_policy *ticket,
                  struct mkt_identity tpk_id, struct mkt_identity client,
                  const struct kms_index *index, int64_t now_s, struct mkt_err *err)
{
    bool found = tpk_id.data.p != NULL ? kms_index_tpk(index, tpk_id.data, suite_key(ticket), tpk)
                                       : find_unnamed(tpk, ticket, client, index, now_s);

    if (!found)
        return mkt_fail(err, MKT_E_TICKET, 0, "IDRpsk", "RFC 6043 A.3");
    return MKT_OK;
}

const char *
kms_tpk_realm(const struct kms_found_tpk *tpk, const struct kms_index *index)
{
    uint32_t realm = tpk->owner.data.p != NULL ? kms_index_realm(index, tpk->owner) : tpk->realm;
    const char *name = kms_index_realm_name(index, realm);

    return name != NULL ? name : "";
}
