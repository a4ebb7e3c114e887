/* SPDX-License-Identifier: Apache-2.0 */
/* The session keys of a CSB over its updates (RFC 6043 5.2): keys that came with an update are
 * pending until it is in effect, and go when it is refused or given up. */
#include "role/role.h"

#include <string.h>

/* L belongs to the Initiator and M to the Responder of the initial exchange, whoever updates. */
static uint16_t
supply_flag(bool by_initiator)
{
    return by_initiator ? MKT_TP_L : MKT_TP_M;
}

bool
mkt_csb_may_supply(const struct mkt_csb *csb, bool initiator)
{
    return (csb->policy.flags & supply_flag(initiator)) != 0;
}

enum mkt_rc
mkt_csb_supply(struct mkt_csb *csb, const struct mkt_keys *extra, bool by_initiator,
               struct mkt_err *err)
{
    size_t rand_r = (csb->policy.flags & MKT_TP_G) != 0 ? csb->rand_r.n : 0;

    if (mkt_keys_supply(&csb->keys, extra, &csb->policy, supply_flag(by_initiator), err) != MKT_OK)
        return err->rc;
    return mkt_check_transfer_rands(&csb->keys, csb->rand_i.n, rand_r, err);
}

enum mkt_rc
mkt_csb_supply_own(struct mkt_csb *csb, const struct mkt_keys *own, struct mkt_err *err)
{
    if (own == NULL)
        return MKT_OK;
    if (mkt_keys_check_own(own->k, own->n, mkt_suite_of(csb->prf), err) != MKT_OK)
        return err->rc;
    return mkt_csb_supply(csb, own, csb->initiator, err);
}

/* Keys of an update that is not in effect go with it. */
void
mkt_csb_drop_pending(struct mkt_csb *csb)
{
    while (csb->keys.n > csb->n_settled)
        mkt_wipe(&csb->keys.k[--csb->keys.n], sizeof csb->keys.k[0]);
}

static bool
in_use(const struct mkt_csb *csb, size_t key)
{
    for (size_t i = 0; i < csb->n; i++)
        if (csb->sessions[i].key == key)
            return true;
    return false;
}

/* Makes room for the next updates: the oldest session key that no crypto session has goes. */
static void
forget_old_keys(struct mkt_csb *csb)
{
    struct mkt_keys *keys = &csb->keys;

    for (size_t i = 0; i < keys->n && keys->n > MKT_CSB_KEYS;) {
        if (keys->k[i].type == MKT_KEY_MPK || in_use(csb, i)) {
            i++;
            continue;
        }
        memmove(&keys->k[i], &keys->k[i + 1], (keys->n - i - 1) * sizeof keys->k[0]);
        mkt_wipe(&keys->k[--keys->n], sizeof keys->k[0]);
        for (size_t s = 0; s < csb->n; s++)
            if (csb->sessions[s].key > i)
                csb->sessions[s].key--;
    }
}

/* The update is in effect. */
void
mkt_csb_settle(struct mkt_csb *csb, uint64_t now)
{
    if (csb->keys.n > csb->n_settled)
        csb->rekeyed = now;
    forget_old_keys(csb);
    csb->n_settled = csb->keys.n;
    csb->update_state = MKT_UPDATE_NONE;
}
