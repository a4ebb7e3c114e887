/* SPDX-License-Identifier: Apache-2.0 */
/* Error messages (RFC 6043 5.4), both directions. On receipt they are a hint: no state changes. */
#include "exchange/exchange.h"

#define REF "RFC 6043 5.4"

bool
mkt_error_write(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_error_message *e,
                const struct mkt_msg_keys *mk)
{
    mkt_ex_header(w, MKT_DT_ERROR, false, e->prf, e->csb_id, e->map_type);
    mkt_ts_write(w, e->ts_type, e->t64);
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_ERR, .u.err = { e->error_no, 0 } });
    for (size_t i = 0; i < e->n_sp; i++)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_SP, .u.sp = e->sp[i] });
    return mk == NULL || mkt_ex_seal(w, c, mk, NULL, 0);
}

enum mkt_rc
mkt_error_take(const struct mkt_msg *m, struct mkt_crypto *c, uint8_t prf, uint32_t csb_id,
               const struct mkt_msg_keys *mk, struct mkt_io *io)
{
    const struct mkt_payload *e = mkt_msg_find(m, MKT_PL_ERR, 0);
    struct mkt_err ignored = { 0 };

    if (mkt_ex_answers(m, MKT_DT_ERROR, prf, csb_id, &io->err) != MKT_OK)
        return io->err.rc;
    io->peer_error = e->u.err.error_no;
    io->peer_error_authentic =
        m->pl[m->n - 1].type == MKT_PL_V && mkt_ex_verify(m, c, mk, NULL, 0, &ignored) == MKT_OK;
    return mkt_fail(&io->err, MKT_E_PEER_ERROR, e->at, mkt_error_no_name(io->peer_error), REF);
}
