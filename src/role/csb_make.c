/* SPDX-License-Identifier: Apache-2.0 */
/* Making a CSB and changing its crypto sessions. What it keeps, it owns: the messages may go. */
#include "role/role.h"

#include "backend/backend.h"
#include <string.h>

#define REF "RFC 6043 6.1.1"

static enum mkt_rc
refuse(struct mkt_err *err, enum mkt_rc rc, size_t at, const char *what)
{
    return mkt_fail(err, rc, at, what, REF);
}

static enum mkt_rc
no_memory(struct mkt_err *err)
{
    return refuse(err, MKT_E_MEMORY, 0, "CSB");
}

uint64_t
mkt_csb_order(uint8_t ts_type, uint64_t t64)
{
    return ts_type == MKT_TS_COUNTER ? t64 : mkt_ntp_order(t64);
}

bool
mkt_csb_find_sp(struct mkt_span *params, const struct mkt_csb *csb, const struct mkt_msg *resp,
                const struct mkt_msg *init, uint8_t policy_no, uint8_t prot_type)
{
    const struct mkt_pl_sp *sp = mkt_transfer_sp(resp, init, policy_no, prot_type);

    if (sp != NULL) {
        *params = sp->params;
        return true;
    }
    for (size_t i = 0; csb != NULL && i < csb->n_sp; i++)
        if (csb->sps[i].policy_no == policy_no && csb->sps[i].prot_type == prot_type) {
            *params = mkt_octets_span(&csb->sps[i].params);
            return true;
        }
    return false;
}

/* --- crypto sessions -------------------------------------------------------------------------- */

/* The sessions and policies of the CSB as they will be; exchanged with the old ones at the end, so
 * that a failure changes nothing. */
struct draft {
    struct mkt_csb_session *sessions;
    struct mkt_csb_sp *sps;
    size_t n, n_sp, cap, cap_sp;
};

static void
draft_free(struct draft *d)
{
    for (size_t i = 0; i < d->n; i++)
        mkt_octets_free(&d->sessions[i].octets);
    for (size_t i = 0; i < d->n_sp; i++)
        mkt_octets_free(&d->sps[i].params);
    mkt_be_free(d->sessions, d->cap * sizeof *d->sessions);
    mkt_be_free(d->sps, d->cap_sp * sizeof *d->sps);
    *d = (struct draft){ 0 };
}

enum mkt_rc
mkt_csb_session_set(struct mkt_csb_session *e, const struct mkt_session *s, uint8_t key)
{
    struct mkt_octets octets = { NULL, s->spi.n + s->params.n };

    octets.p = mkt_be_alloc(octets.n + 1);
    if (octets.p == NULL)
        return MKT_E_MEMORY;
    struct mkt_writer w = mkt_w_open(octets.p, octets.n);
    mkt_w_octets(&w, s->spi);
    mkt_w_octets(&w, s->params);
    mkt_octets_free(&e->octets);
    *e = (struct mkt_csb_session){ *s, octets, key };
    e->s.spi = mkt_span(octets.p, s->spi.n);
    e->s.params = mkt_span(octets.p + s->spi.n, s->params.n);
    return MKT_OK;
}

static enum mkt_rc
set_sp(struct draft *d, uint8_t policy_no, uint8_t prot_type, struct mkt_span params)
{
    size_t i = 0;

    while (i < d->n_sp && (d->sps[i].policy_no != policy_no || d->sps[i].prot_type != prot_type))
        i++;
    if (i == d->n_sp)
        d->sps[d->n_sp++] = (struct mkt_csb_sp){ policy_no, prot_type, { NULL, 0 } };
    return mkt_octets_set(&d->sps[i].params, params);
}

static size_t
count_sps(const struct mkt_msg *m)
{
    size_t n = 0;
    for (size_t i = 0; m != NULL && i < m->n; i++)
        n += m->pl[i].type == MKT_PL_SP;
    return n;
}

static enum mkt_rc
take_sps(struct draft *d, const struct mkt_msg *m)
{
    for (size_t i = 0; m != NULL && i < m->n; i++)
        if (m->pl[i].type == MKT_PL_SP &&
            set_sp(d, m->pl[i].u.sp.policy_no, m->pl[i].u.sp.prot_type, m->pl[i].u.sp.params) !=
                MKT_OK)
            return MKT_E_MEMORY;
    return MKT_OK;
}

/* Starts with what the CSB has, with room for what the messages may add. */
static enum mkt_rc
draft_open(struct draft *d, const struct mkt_csb *csb, const struct mkt_msg *final,
           const struct mkt_msg *init, const struct mkt_msg *resp)
{
    d->cap = csb->n + final->hdr.n_cs + 1U;
    d->cap_sp = csb->n_sp + count_sps(init) + count_sps(resp) + 1U;
    d->sessions = mkt_be_alloc(d->cap * sizeof *d->sessions);
    d->sps = mkt_be_alloc(d->cap_sp * sizeof *d->sps);
    if (d->sessions == NULL || d->sps == NULL)
        return MKT_E_MEMORY;
    for (size_t i = 0; i < csb->n; i++)
        if (mkt_csb_session_set(&d->sessions[d->n++], &csb->sessions[i].s, csb->sessions[i].key) !=
            MKT_OK)
            return MKT_E_MEMORY;
    for (size_t i = 0; i < csb->n_sp; i++)
        if (set_sp(d, csb->sps[i].policy_no, csb->sps[i].prot_type,
                   mkt_octets_span(&csb->sps[i].params)) != MKT_OK)
            return MKT_E_MEMORY;
    return MKT_OK;
}

static enum mkt_rc
take_session(struct draft *d, const struct mkt_csb *csb, const struct mkt_cs *cs,
             const struct mkt_msg *init, const struct mkt_msg *resp, size_t at, struct mkt_err *err)
{
    struct mkt_session s = { .cs_id = cs->cs_id,
                             .prot_type = cs->prot_type,
                             .has_ssrc = cs->has_ssrc,
                             .ssrc = cs->ssrc,
                             .roc = cs->roc,
                             .seq = cs->seq,
                             .spi = cs->spi };
    int key = mkt_keys_find(&csb->keys, cs->spi);
    size_t i = 0;

    if (cs->policies.n != 1 ||
        !mkt_csb_find_sp(&s.params, csb, resp, init, cs->policies.p[0], cs->prot_type))
        return refuse(err, MKT_E_SP, at, "crypto session: not exactly one known policy");
    if (cs->prot_type == MKT_PROT_SRTP && !cs->has_ssrc)
        return refuse(err, MKT_E_FIELD, at, "crypto session: no session data");
    if (key < 0)
        return refuse(err, MKT_E_KEY_DATA, at, "crypto session: no key with that SPI");
    while (i < d->n && d->sessions[i].s.cs_id != cs->cs_id)
        i++;
    if (i == d->n)
        d->n++;
    return mkt_csb_session_set(&d->sessions[i], &s, (uint8_t)key) == MKT_OK ? MKT_OK
                                                                            : no_memory(err);
}

static bool
has_cs(const struct mkt_msg *m, uint8_t cs_id)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    mkt_map_begin(&it, &m->hdr);
    while (mkt_map_next(&it, &cs))
        if (cs.cs_id == cs_id)
            return true;
    return false;
}

/* The response may add crypto sessions (4.2.2.3) but not lose one. */
static enum mkt_rc
check_complete(const struct mkt_msg *resp, const struct mkt_msg *init, struct mkt_err *err)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    mkt_map_begin(&it, &init->hdr);
    while (mkt_map_next(&it, &cs))
        if (!has_cs(resp, cs.cs_id))
            return refuse(err, MKT_E_FIELD, 8,
                          "CS ID map: a crypto session of the offer is missing");
    return MKT_OK;
}

static enum mkt_rc
take_all(struct draft *d, const struct mkt_csb *csb, const struct mkt_msg *init,
         const struct mkt_msg *resp, struct mkt_err *err)
{
    const struct mkt_msg *final = resp != NULL ? resp : init;
    struct mkt_map_iter it;
    struct mkt_cs cs;

    if (draft_open(d, csb, final, init, resp) != MKT_OK)
        return no_memory(err);
    mkt_map_begin(&it, &final->hdr);
    for (size_t at = (size_t)(it.rest.p - final->octets.p); mkt_map_next(&it, &cs);
         at = (size_t)(it.rest.p - final->octets.p))
        if (take_session(d, csb, &cs, init, resp, at, err) != MKT_OK)
            return err->rc;
    if (take_sps(d, init) != MKT_OK || take_sps(d, resp) != MKT_OK)
        return no_memory(err);
    return MKT_OK;
}

enum mkt_rc
mkt_csb_apply(struct mkt_csb *csb, const struct mkt_msg *init, const struct mkt_msg *resp,
              struct mkt_err *err)
{
    struct draft d = { 0 };
    struct draft old = {
        csb->sessions, csb->sps, csb->n, csb->n_sp, csb->n_alloc, csb->n_sp_alloc
    };

    if ((resp != NULL && check_complete(resp, init, err) != MKT_OK) ||
        take_all(&d, csb, init, resp, err) != MKT_OK) {
        draft_free(&d);
        return err->rc;
    }
    csb->sessions = d.sessions;
    csb->sps = d.sps;
    csb->n = d.n;
    csb->n_sp = d.n_sp;
    csb->n_alloc = d.cap;
    csb->n_sp_alloc = d.cap_sp;
    draft_free(&old);
    return MKT_OK;
}

enum mkt_rc
mkt_csb_check_offer(const struct mkt_csb *csb, const struct mkt_msg *m, bool keys_may_come,
                    struct mkt_err *err)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;
    struct mkt_span params;

    mkt_map_begin(&it, &m->hdr);
    for (size_t at = (size_t)(it.rest.p - m->octets.p); mkt_map_next(&it, &cs);
         at = (size_t)(it.rest.p - m->octets.p)) {
        for (size_t i = 0; i < cs.policies.n; i++)
            if (!mkt_csb_find_sp(&params, csb, NULL, m, cs.policies.p[i], cs.prot_type))
                return refuse(err, MKT_E_SP, at, "crypto session: unknown policy");
        if (cs.spi.n != 0 && !keys_may_come && mkt_keys_find(&csb->keys, cs.spi) < 0)
            return refuse(err, MKT_E_KEY_DATA, at, "crypto session: no key with that SPI");
    }
    return MKT_OK;
}

/* --- the CSB ------------------------------------------------------------------------------------
 */

void
mkt_csb_free(struct mkt_csb *csb)
{
    if (csb == NULL)
        return;
    struct draft sessions = { csb->sessions, csb->sps,     csb->n,
                              csb->n_sp,     csb->n_alloc, csb->n_sp_alloc };
    draft_free(&sessions);
    mkt_keys_wipe(&csb->keys);
    mkt_octets_free(&csb->init);
    mkt_octets_free(&csb->rand_i);
    mkt_octets_free(&csb->rand_r);
    mkt_octets_free(&csb->rand_kms);
    mkt_octets_free(&csb->id_i.data);
    mkt_octets_free(&csb->id_r.data);
    mkt_octets_free(&csb->update);
    mkt_be_free(csb, MKT_CSB_HEAD);
}

static enum mkt_rc
set_identity(struct mkt_own_identity *o, struct mkt_identity id)
{
    o->type = id.type;
    return mkt_octets_set(&o->data, id.data);
}

static enum mkt_rc
copy_all(struct mkt_csb *csb, const struct mkt_csb_parts *p)
{
    struct mkt_span rand_r = { NULL, 0 }, rand_kms = { NULL, 0 };

    if (p->resp != NULL) {
        rand_r = mkt_ex_randr(p->resp, MKT_RANDR_R);
        rand_kms = mkt_ex_randr(p->resp, MKT_RANDR_KMS);
    }
    if (mkt_octets_set(&csb->init, p->init->octets) != MKT_OK ||
        mkt_octets_set(&csb->rand_r, rand_r) != MKT_OK ||
        mkt_octets_set(&csb->rand_kms, rand_kms) != MKT_OK ||
        set_identity(&csb->id_i, p->id_i) != MKT_OK || set_identity(&csb->id_r, p->id_r) != MKT_OK)
        return MKT_E_MEMORY;
    return MKT_OK;
}

enum mkt_rc
mkt_csb_take_init(struct mkt_csb *csb, const struct mkt_msg *init, struct mkt_err *err)
{
    const struct mkt_payload *theirs = mkt_msg_find(init, MKT_PL_TICKET, 0);
    size_t at = (size_t)(theirs->raw.p - init->octets.p), used;
    struct mkt_payload ticket;

    csb->id = init->hdr.csb_id;
    csb->prf = init->hdr.prf;
    if (mkt_octets_set(&csb->rand_i, mkt_ex_randr(init, MKT_RANDR_I)) != MKT_OK)
        return no_memory(err);
    /* GCOV_EXCL_BR_LINE: the octets of a message that was parsed */
    if (mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_span(csb->init.p + at, csb->init.n - at),
                           &used, err) != MKT_OK)
        return err->rc;
    return mkt_policy_decode(&csb->policy, &ticket.u.ticket, true,
                             (size_t)(ticket.u.ticket.tp_data.p - csb->init.p), err);
}

static enum mkt_rc
make_inside(struct mkt_csb *csb, const struct mkt_csb_parts *p, struct mkt_err *err)
{
    struct mkt_time t = mkt_ex_time(p->resp != NULL ? p->resp : p->init);

    if (copy_all(csb, p) != MKT_OK)
        return no_memory(err);
    if (mkt_csb_take_init(csb, p->init, err) != MKT_OK)
        return err->rc;
    csb->initiator = p->initiator;
    csb->answered = p->resp != NULL;
    csb->alone = p->alone;
    csb->ts_type = t.type;
    csb->last_t = mkt_csb_order(t.type, t.value);
    struct mkt_time first = mkt_ex_time(p->init);
    if (first.type == t.type && mkt_csb_order(t.type, first.value) > csb->last_t)
        csb->last_t = mkt_csb_order(t.type, first.value);
    csb->rekeyed = p->now;
    mkt_keys_copy(&csb->keys, p->keys);
    csb->n_settled = csb->keys.n;
    return mkt_csb_apply(csb, p->init, p->resp, err);
}

enum mkt_rc
mkt_csb_make(struct mkt_csb **out, const struct mkt_csb_parts *parts, struct mkt_err *err)
{
    struct mkt_csb *csb = mkt_be_alloc_head(sizeof *csb, MKT_CSB_HEAD);

    *out = NULL;
    if (csb == NULL)
        return no_memory(err);
    if (make_inside(csb, parts, err) != MKT_OK) {
        mkt_csb_free(csb);
        return err->rc;
    }
    *out = csb;
    return MKT_OK;
}

enum mkt_rc
mkt_check_transfer_rands(const struct mkt_keys *keys, size_t rand_i, size_t rand_r,
                         struct mkt_err *err)
{
    size_t longest = mkt_keys_longest(keys, 1U << MKT_KEY_MPK | MKT_TGK_TYPES | MKT_GTGK_TYPES);
    if (rand_i + rand_r < longest)
        return mkt_fail(err, MKT_E_SHORT_RAND, 0, "RANDRi and RANDRr", "RFC 6043 12.1");
    return MKT_OK;
}
