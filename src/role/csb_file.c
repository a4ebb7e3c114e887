/* SPDX-License-Identifier: Apache-2.0 */
/* A CSB as octets for a file (docs/formats/csb-file.md), so that a later run can update it. What
 * the TRANSFER_INIT says is read from it again and not written twice. A file may be damaged or
 * forged: nothing in it is used as an index or a length before it was checked. */
#include "role/role.h"

#include "backend/backend.h"
#include "payload/codec.h"
#include <string.h>

#define FORMAT "docs/formats/csb-file.md"

static const uint8_t magic[8] = { 'm', 'k', 't', 'c', 's', 'b', '0', '1' };

enum { INITIATOR = 1, ANSWERED = 2, ALONE = 4, HAS_SSRC = 1 };

/* --- writing -----------------------------------------------------------------------------------
 */

static void
write_time(struct mkt_writer *w, uint64_t t)
{
    mkt_w_uint(w, 4, (uint32_t)(t >> 32));
    mkt_w_uint(w, 4, (uint32_t)t);
}

static void
write_head(struct mkt_writer *w, const struct mkt_csb *csb)
{
    mkt_w_octets(w, mkt_span(magic, sizeof magic));
    mkt_w_uint(w, 1,
               (csb->initiator ? INITIATOR : 0U) | (csb->answered ? ANSWERED : 0U) |
                   (csb->alone ? ALONE : 0U));
    mkt_w_uint(w, 1, csb->ts_type);
    write_time(w, csb->last_t);
    write_time(w, csb->seen_t);
    write_time(w, csb->rekeyed);
    mkt_w_vec(w, 3, mkt_octets_span(&csb->init));
    mkt_w_vec(w, 1, mkt_octets_span(&csb->rand_r));
    mkt_w_vec(w, 1, mkt_octets_span(&csb->rand_kms));
    mkt_w_uint(w, 1, csb->id_i.type);
    mkt_w_vec(w, 2, mkt_octets_span(&csb->id_i.data));
    mkt_w_uint(w, 1, csb->id_r.type);
    mkt_w_vec(w, 2, mkt_octets_span(&csb->id_r.data));
    mkt_w_uint(w, 1, csb->update_state);
    mkt_w_vec(w, 3, mkt_octets_span(&csb->update));
}

static void
write_session(struct mkt_writer *w, const struct mkt_csb_session *e)
{
    mkt_w_uint(w, 1, e->s.cs_id);
    mkt_w_uint(w, 1, e->s.prot_type);
    mkt_w_uint(w, 1, e->s.has_ssrc ? HAS_SSRC : 0U);
    mkt_w_uint(w, 4, e->s.ssrc);
    mkt_w_uint(w, 4, e->s.roc);
    mkt_w_uint(w, 2, e->s.seq);
    mkt_w_vec(w, 1, e->s.spi);
    mkt_w_vec(w, 2, e->s.params);
}

enum mkt_rc
mkt_csb_export(const struct mkt_csb *csb, uint8_t *out, size_t cap, size_t *len)
{
    struct mkt_writer w = mkt_w_open(out, cap);

    write_head(&w, csb);
    mkt_w_uint(&w, 2, (uint32_t)csb->n_sp);
    for (size_t i = 0; i < csb->n_sp; i++)
        mkt_pl_write(&w,
                     &(struct mkt_payload){ .type = MKT_PL_SP,
                                            .u.sp = { csb->sps[i].policy_no, csb->sps[i].prot_type,
                                                      mkt_octets_span(&csb->sps[i].params) } });
    w.slot = MKT_W_NO_SLOT;
    mkt_w_uint(&w, 1, (uint32_t)csb->n);
    for (size_t i = 0; i < csb->n; i++)
        write_session(&w, &csb->sessions[i]);
    mkt_w_uint(&w, 1, csb->n_settled);
    mkt_keys_write(&w, &csb->keys);
    if (w.overflow) {
        mkt_wipe(out, w.len);
        return MKT_E_NO_SPACE;
    }
    *len = w.len;
    return MKT_OK;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static uint64_t
read_time(struct mkt_reader *r)
{
    uint64_t high = mkt_r_uint(r, 4);
    return high << 32 | mkt_r_uint(r, 4);
}

static void
read_octets(struct mkt_octets *o, struct mkt_reader *r, size_t width)
{
    struct mkt_span s = mkt_r_vec(r, width);
    if (r->err->rc == MKT_OK && mkt_octets_set(o, s) != MKT_OK)
        mkt_r_fail(r, MKT_E_MEMORY, 0);
}

static void
read_identity(struct mkt_own_identity *id, struct mkt_reader *r)
{
    id->type = (uint8_t)mkt_r_uint(r, 1);
    read_octets(&id->data, r, 2);
}

/* The message and what follows from it: CSB ID, PRF, policy, RANDRi. */
static void
read_init(struct mkt_csb *csb, struct mkt_reader *r)
{
    const struct mkt_suite *suite = NULL;
    struct mkt_err inner = { 0 };
    struct mkt_msg m;

    read_octets(&csb->init, r, 3);
    if (r->err->rc != MKT_OK)
        return;
    if (mkt_msg_parse(&m, mkt_octets_span(&csb->init), &inner) != MKT_OK ||
        mkt_msg_check(&m, &inner) != MKT_OK || m.hdr.data_type != MKT_DT_TRANSFER_INIT ||
        mkt_ex_suite(&suite, &m, &inner) != MKT_OK || mkt_csb_take_init(csb, &m, &inner) != MKT_OK)
        mkt_r_fail(r, inner.rc == MKT_E_MEMORY ? inner.rc : MKT_E_FIELD, 0);
}

/* An update that is under way was parsed before it was kept. */
static void
read_update(struct mkt_csb *csb, struct mkt_reader *r)
{
    struct mkt_err inner = { 0 };
    struct mkt_msg m;

    csb->update_state = (enum mkt_update_state)mkt_r_uint(r, 1);
    read_octets(&csb->update, r, 3);
    if (r->err->rc != MKT_OK)
        return;
    if ((unsigned)csb->update_state > MKT_UPDATE_REJECTED ||
        (csb->update_state != MKT_UPDATE_NONE && csb->update.n == 0) ||
        (csb->update.n != 0 &&
         (mkt_msg_parse(&m, mkt_octets_span(&csb->update), &inner) != MKT_OK ||
          m.hdr.data_type != MKT_DT_TRANSFER_INIT || m.hdr.csb_id != csb->id)))
        mkt_r_fail(r, MKT_E_FIELD, 0);
}

static void
read_head(struct mkt_csb *csb, struct mkt_reader *r)
{
    struct mkt_span head = mkt_r_take(r, sizeof magic);
    if (r->err->rc == MKT_OK && memcmp(head.p, magic, sizeof magic) != 0)
        mkt_r_fail(r, MKT_E_FIELD, sizeof magic);
    unsigned flags = mkt_r_uint(r, 1);
    csb->initiator = (flags & INITIATOR) != 0;
    csb->answered = (flags & ANSWERED) != 0;
    csb->alone = (flags & ALONE) != 0;
    csb->ts_type = (uint8_t)mkt_r_uint(r, 1);
    if (r->err->rc == MKT_OK &&
        (flags > (INITIATOR | ANSWERED | ALONE) || mkt_ts_len(csb->ts_type) == 0))
        mkt_r_fail(r, MKT_E_FIELD, 0);
    csb->last_t = read_time(r);
    csb->seen_t = read_time(r);
    csb->rekeyed = read_time(r);
    read_init(csb, r);
    read_octets(&csb->rand_r, r, 1);
    read_octets(&csb->rand_kms, r, 1);
    read_identity(&csb->id_i, r);
    read_identity(&csb->id_r, r);
    read_update(csb, r);
}

static bool
has_sp(const struct mkt_csb *csb, const struct mkt_pl_sp *sp)
{
    for (size_t i = 0; i < csb->n_sp; i++)
        if (csb->sps[i].policy_no == sp->policy_no && csb->sps[i].prot_type == sp->prot_type)
            return true;
    return false;
}

static void
read_sps(struct mkt_csb *csb, struct mkt_reader *r)
{
    size_t n = mkt_r_uint(r, 2), used = 0;
    struct mkt_payload pl;
    struct mkt_err inner = { 0 };

    csb->n_sp_alloc = n + 1;
    csb->sps = r->err->rc == MKT_OK ? mkt_be_alloc(csb->n_sp_alloc * sizeof *csb->sps) : NULL;
    if (csb->sps == NULL) {
        mkt_r_fail(r, MKT_E_MEMORY, 0);
        return;
    }
    while (csb->n_sp < n && r->err->rc == MKT_OK) {
        if (mkt_payload_decode(&pl, MKT_PL_SP, mkt_span(r->p, r->left), &used, &inner) != MKT_OK ||
            has_sp(csb, &pl.u.sp)) {
            mkt_r_fail(r, MKT_E_FIELD, 0);
            return;
        }
        mkt_r_take(r, used);
        struct mkt_csb_sp *sp = &csb->sps[csb->n_sp++];
        *sp = (struct mkt_csb_sp){ pl.u.sp.policy_no, pl.u.sp.prot_type, { NULL, 0 } };
        if (mkt_octets_set(&sp->params, pl.u.sp.params) != MKT_OK)
            mkt_r_fail(r, MKT_E_MEMORY, 0);
    }
}

/* Parameters are walked without checks later (payload/sp.c). */
static bool
well_formed(struct mkt_span params)
{
    struct mkt_sp_param p;

    while (mkt_sp_next(&params, &p))
        continue;
    return params.n == 0;
}

static bool
has_session(const struct mkt_csb *csb, uint8_t cs_id)
{
    for (size_t i = 0; i < csb->n; i++)
        if (csb->sessions[i].s.cs_id == cs_id)
            return true;
    return false;
}

static void
read_session(struct mkt_csb *csb, struct mkt_reader *r)
{
    struct mkt_session s = { .cs_id = (uint8_t)mkt_r_uint(r, 1) };

    s.prot_type = (uint8_t)mkt_r_uint(r, 1);
    unsigned flags = mkt_r_uint(r, 1);
    s.has_ssrc = (flags & HAS_SSRC) != 0;
    s.ssrc = mkt_r_uint(r, 4);
    s.roc = mkt_r_uint(r, 4);
    s.seq = (uint16_t)mkt_r_uint(r, 2);
    s.spi = mkt_r_vec(r, 1);
    s.params = mkt_r_vec(r, 2);
    if (r->err->rc != MKT_OK)
        return;
    if (flags > HAS_SSRC || !well_formed(s.params) || has_session(csb, s.cs_id))
        mkt_r_fail(r, MKT_E_FIELD, 0);
    else if (mkt_csb_session_set(&csb->sessions[csb->n++], &s, 0) != MKT_OK)
        mkt_r_fail(r, MKT_E_MEMORY, 0);
}

static void
read_sessions(struct mkt_csb *csb, struct mkt_reader *r)
{
    size_t n = mkt_r_uint(r, 1);

    csb->n_alloc = n + 1;
    csb->sessions =
        r->err->rc == MKT_OK ? mkt_be_alloc(csb->n_alloc * sizeof *csb->sessions) : NULL;
    if (csb->sessions == NULL) {
        mkt_r_fail(r, MKT_E_MEMORY, 0);
        return;
    }
    while (csb->n < n && r->err->rc == MKT_OK)
        read_session(csb, r);
}

/* Every session has a settled key; pending keys belong to an update that is under way. */
static enum mkt_rc
read_keys(struct mkt_csb *csb, struct mkt_reader *r)
{
    csb->n_settled = (uint8_t)mkt_r_uint(r, 1);
    if (r->err->rc != MKT_OK)
        return r->err->rc;
    if (mkt_keys_read(&csb->keys, mkt_span(r->p, r->left), r->at, mkt_suite_of(csb->prf), r->err) !=
            MKT_OK ||
        mkt_keys_arrange(&csb->keys, mkt_policy_mpks(&csb->policy), r->at, r->err) != MKT_OK)
        return r->err->rc;
    if (csb->n_settled < mkt_policy_mpks(&csb->policy) || csb->n_settled > csb->keys.n ||
        (csb->n_settled != csb->keys.n && csb->update_state == MKT_UPDATE_NONE))
        return mkt_r_fail(r, MKT_E_KEY_DATA, 0);
    for (size_t i = 0; i < csb->n; i++) {
        int key = mkt_keys_find(&csb->keys, csb->sessions[i].s.spi);
        if (key < 0 || key >= csb->n_settled)
            return mkt_r_fail(r, MKT_E_KEY_DATA, 0);
        csb->sessions[i].key = (uint8_t)key;
    }
    return MKT_OK;
}

enum mkt_rc
mkt_csb_import(struct mkt_csb **out, struct mkt_span octets, struct mkt_err *err)
{
    struct mkt_reader r = mkt_r_open(octets, 0, "CSB file", FORMAT, err);
    struct mkt_csb *csb = mkt_be_alloc(sizeof *csb);

    *out = NULL;
    if (csb == NULL)
        return mkt_fail(err, MKT_E_MEMORY, 0, "CSB file", FORMAT);
    read_head(csb, &r);
    read_sps(csb, &r);
    read_sessions(csb, &r);
    if (read_keys(csb, &r) != MKT_OK) {
        mkt_csb_free(csb);
        return err->rc;
    }
    *out = csb;
    return MKT_OK;
}
