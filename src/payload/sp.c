/* SPDX-License-Identifier: Apache-2.0 */
/* The Type/Length/Value parameters of an SP payload (RFC 3830 6.10). They are checked once, when
 * the payload is read, against the Policy param length; walking them later cannot fail. */
#include "payload/table.h"

void
mkt_sp_check(struct mkt_reader *r, struct mkt_payload *pl)
{
    struct mkt_span params = pl->u.sp.params;
    struct mkt_reader in = mkt_r_open(params, r->at - params.n, "SP Policy param", r->ref, r->err);
    while (in.left != 0) {
        mkt_r_uint(&in, 1);
        mkt_r_vec(&in, 1);
    }
}

bool
mkt_sp_next(struct mkt_span *params, struct mkt_sp_param *param)
{
    if (params->n < 2 || (size_t)params->p[1] > params->n - 2)
        return false;
    param->type = params->p[0];
    param->value = mkt_span(params->p + 2, params->p[1]);
    *params = mkt_span(params->p + 2 + params->p[1], params->n - 2 - params->p[1]);
    return true;
}
