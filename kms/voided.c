/* SPDX-License-Identifier: Apache-2.0 */
/* One that does not say when it was made (a COUNTER), or was made in the future, as a user's own
 * may claim (mode 3), counts as one made before. A group's are those that name it as a responder:
 * who names a member, or a group around it, means somebody else. */
#include "voided.h"

static bool
made_before(const struct mkt_time *made, int64_t at, int64_t latest)
{
    int64_t when = mkt_ntp_to_unix(made->value);

    return made->type == MKT_TS_COUNTER || when <= at || when > latest;
}

const char *
kms_voided(const struct kms_index *x, const struct mkt_kms_ask *ask, int64_t now_s,
           int64_t window_s)
{
    const struct mkt_policy *p = ask->policy;
    int64_t latest = now_s + window_s, at;

    if (kms_index_user_revoked(x, p->initiator, &at) && made_before(&ask->made, at, latest))
        return "the tickets of its Initiator are revoked";
    for (uint8_t i = 0; i < p->n_responders; i++)
        if (kms_index_group_revoked(x, p->responders[i], &at) &&
            made_before(&ask->made, at, latest))
            return "the tickets for its group are revoked";
    return NULL;
}
