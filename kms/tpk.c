/* SPDX-License-Identifier: Apache-2.0 */
/* Between the policy, which is pure, and the index, which knows the keys. */
#include "tpk.h"

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
