/* SPDX-License-Identifier: Apache-2.0 */
/* CSB updating (RFC 6043 5.2), started by either side: Ticket Transfer executed again inside a CSB,
 * under the keys that protected the last message of the initial exchange. One key stream serves
 * both directions, so no T may ever repeat: it grows strictly over both senders. Keys that came
 * with an update are pending until it is in effect, and go when it is refused or given up. */
#include "role/role.h"

#include <string.h>

#define REF "RFC 6043 5.2"

/* --- keys, times, identities: what the initial exchange left ------------------------------------
 */

static bool
update_keys(struct mkt_msg_keys *mk, const struct mkt_csb *csb, struct mkt_crypto *c)
{
    bool g = csb->answered && (csb->policy.flags & MKT_TP_G) != 0;
    size_t mpk = csb->answered ? mkt_policy_mpks(&csb->policy) - 1 : 0;
    struct mkt_inkey_ref inkey;
    const struct mkt_label label =
        mkt_transfer_label(csb->answered, csb->id, mkt_octets_span(&csb->rand_i),
                           g ? mkt_octets_span(&csb->rand_r) : mkt_span(NULL, 0));

    mkt_inkey_ref_init(&inkey, &csb->keys.k[mpk].key);
    return mkt_derive_msg_keys(mk, &inkey.base, c, mkt_suite_of(csb->prf), &label, MKT_WANT_ALL);
}

/* The next timestamp; one step past the newest when the clock has not moved. */
static bool
next_time(uint64_t *t64, const struct mkt_csb *csb, const struct mkt_env *env)
{
    const uint64_t step = csb->ts_type == MKT_TS_NTP_UTC_32 ? 1ULL << 32 : 1;
    const uint64_t newest = csb->seen_t > csb->last_t ? csb->seen_t : csb->last_t;

    if (!mkt_ts_stamp(env, csb->ts_type, t64))
        return false;
    uint64_t order = mkt_csb_order(csb->ts_type, *t64);
    if (order <= newest)
        *t64 += newest - order + step;
    /* A counter that begins again would accept old messages again. */
    return csb->ts_type != MKT_TS_COUNTER || *t64 <= UINT32_MAX;
}

static struct mkt_identity
identity(const struct mkt_own_identity *o)
{
    return (struct mkt_identity){ o->type, mkt_octets_span(&o->data) };
}

static uint8_t
own_role(const struct mkt_csb *csb)
{
    return csb->initiator ? MKT_IDR_I : MKT_IDR_R;
}

static void
write_id(struct mkt_writer *w, const struct mkt_csb *csb, uint8_t role)
{
    mkt_ex_write_idr(w, role, identity(role == MKT_IDR_I ? &csb->id_i : &csb->id_r));
}

/* --- writing ------------------------------------------------------------------------------------
 */

struct parts {
    uint8_t data_type;
    bool v;
    struct mkt_span map;
    uint8_t n_cs;
    const struct mkt_pl_sp *sp;
    size_t n_sp;
    const struct mkt_keys *keys; /* NULL: no KEMAC */
    uint8_t roles[2];            /* IDRs to send; 0: none */
    struct mkt_span tail[2];
    size_t n_tail;
};

static enum mkt_rc
write_message(struct mkt_writer *w, struct mkt_csb *csb, const struct mkt_env *env,
              const struct parts *p)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    uint64_t t64 = 0;

    if (!next_time(&t64, csb, env))
        return MKT_E_TS_TYPE;
    if (!update_keys(&mk, csb, env->crypto))
        return MKT_E_CRYPTO;
    mkt_hdr_write(w, &(struct mkt_hdr){ .version = 1,
                                        .data_type = p->data_type,
                                        .v = p->v,
                                        .prf = csb->prf,
                                        .csb_id = csb->id,
                                        .n_cs = p->n_cs,
                                        .map_type = MKT_MAP_GENERIC_ID,
                                        .map = p->map });
    mkt_ts_write(w, csb->ts_type, t64);
    for (size_t i = 0; i < 2; i++)
        if (p->roles[i] != 0)
            write_id(w, csb, p->roles[i]);
    for (size_t i = 0; i < p->n_sp; i++)
        mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_SP, .u.sp = p->sp[i] });
    if ((p->keys != NULL && !mkt_kemac_write(w, env->crypto, &mk, csb->id, t64, p->keys)) ||
        !mkt_ex_seal(w, env->crypto, &mk, p->tail, p->n_tail))
        return MKT_E_CRYPTO;
    csb->last_t = mkt_csb_order(csb->ts_type, t64); /* spent, whether it is sent or not */
    return w->overflow ? MKT_E_NO_SPACE : MKT_OK;
}

static enum mkt_rc
finish_without_answer(struct mkt_csb *csb, struct mkt_span message, struct mkt_err *err)
{
    struct mkt_msg m;

    /* GCOV_EXCL_START: our own message */
    if (mkt_msg_parse(&m, message, err) != MKT_OK)
        return err->rc;
    /* GCOV_EXCL_STOP */
    return mkt_csb_apply(csb, &m, NULL, err);
}

/* The sender refuses what the other side would have to refuse. */
static enum mkt_rc
keep_offer(struct mkt_csb *csb, struct mkt_span message, struct mkt_err *err)
{
    struct mkt_msg m;

    /* GCOV_EXCL_BR_LINE: our own message */
    if (mkt_msg_parse(&m, message, err) != MKT_OK ||
        mkt_csb_check_offer(csb, &m, mkt_csb_may_supply(csb, !csb->initiator), err) != MKT_OK)
        return err->rc;
    if (mkt_octets_set(&csb->update, message) != MKT_OK)
        return mkt_fail(err, MKT_E_MEMORY, 0, "TRANSFER_INIT", REF);
    return MKT_OK;
}

static enum mkt_next
start(struct mkt_csb *csb, const struct mkt_env *env, const struct mkt_update *u, struct mkt_io *io)
{
    uint8_t map[8192];
    struct mkt_writer m = mkt_w_open(map, sizeof map), w = mkt_w_open(io->out, io->cap);
    uint8_t mine = own_role(csb), theirs = mine == MKT_IDR_I ? MKT_IDR_R : MKT_IDR_I;

    mkt_offer_map_write(&m, u->cs, u->n_cs);
    w.overflow |= m.overflow;
    const struct parts p = { .data_type = MKT_DT_TRANSFER_INIT,
                             .v = u->answer,
                             .map = mkt_span(map, m.len),
                             .n_cs = (uint8_t)u->n_cs,
                             .sp = u->sp,
                             .n_sp = u->n_sp,
                             .keys = u->keys,
                             .roles = { u->identities ? mine : 0, u->identities ? theirs : 0 },
                             .tail = { mkt_octets_span(&csb->id_i.data),
                                       mkt_octets_span(&csb->id_r.data) },
                             .n_tail = 2 };
    enum mkt_rc rc = write_message(&w, csb, env, &p);
    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, "TRANSFER_INIT", REF);
    const struct mkt_span message = mkt_span(w.buf, w.len);
    if ((u->answer ? keep_offer(csb, message, &io->err)
                   : finish_without_answer(csb, message, &io->err)) != MKT_OK)
        return MKT_NEXT_ABORT;
    if (u->answer)
        csb->update_state = MKT_UPDATE_SENT;
    else
        mkt_csb_settle(csb, env->now);
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER);
}

enum mkt_next
mkt_csb_update(struct mkt_csb *csb, const struct mkt_env *env, const struct mkt_update *update,
               struct mkt_io *io)
{
    MKT_SCOPED_KEYS before;

    before = csb->keys;
    io->out_len = 0;
    mkt_csb_drop_pending(csb); /* an update still open is given up */
    if (mkt_csb_supply_own(csb, update->keys, &io->err) == MKT_OK &&
        start(csb, env, update, io) == MKT_NEXT_SEND_PEER)
        return MKT_NEXT_SEND_PEER;
    csb->keys = before;
    io->out_len = 0;
    return MKT_NEXT_ABORT;
}

/* --- reading ------------------------------------------------------------------------------------
 */

static enum mkt_rc
same(const struct mkt_payload *pl, struct mkt_span got, struct mkt_span known, struct mkt_err *err)
{
    if (got.n == known.n && (got.n == 0 || memcmp(got.p, known.p, got.n) == 0))
        return MKT_OK;
    return mkt_fail(err, MKT_E_FIELD, pl->at, "a static payload of the CSB, changed", REF);
}

static enum mkt_rc
same_identity(const struct mkt_payload *pl, const struct mkt_own_identity *known,
              struct mkt_err *err)
{
    if (pl->u.idr.id_type != known->type)
        return mkt_fail(err, MKT_E_FIELD, pl->at, "a static payload of the CSB, changed", REF);
    return same(pl, pl->u.idr.data, mkt_octets_span(&known->data), err);
}

/* "New RANDs or TICKETs MUST NOT be included"; the old ones, and the identities, may be (ambiguity
 * 53). */
static enum mkt_rc
check_static(const struct mkt_csb *csb, const struct mkt_msg *m, struct mkt_err *err)
{
    const struct mkt_octets *const rands[] = {
        [MKT_RANDR_I] = &csb->rand_i,
        [MKT_RANDR_R] = &csb->rand_r,
        [MKT_RANDR_KMS] = &csb->rand_kms,
    };
    struct mkt_msg init;

    for (size_t i = 0; i < m->n && err->rc == MKT_OK; i++) {
        const struct mkt_payload *pl = &m->pl[i];
        uint8_t role = mkt_payload_role(pl);
        if (pl->type == MKT_PL_RANDR && role >= MKT_RANDR_I && role <= MKT_RANDR_KMS)
            same(pl, pl->u.randr.rand, mkt_octets_span(rands[role]), err);
        if (pl->type == MKT_PL_IDR && (role == MKT_IDR_I || role == MKT_IDR_R))
            same_identity(pl, role == MKT_IDR_I ? &csb->id_i : &csb->id_r, err);
        if (pl->type == MKT_PL_TICKET) {
            struct mkt_err ignored = { 0 };
            /* GCOV_EXCL_START: parsed before it was kept */
            if (mkt_msg_parse(&init, mkt_octets_span(&csb->init), &ignored) != MKT_OK)
                return mkt_fail(err, MKT_E_STATE, 0, "CSB", REF);
            /* GCOV_EXCL_STOP */
            const struct mkt_payload *old = mkt_msg_find(&init, MKT_PL_TICKET, 0);
            same(pl, mkt_span(pl->raw.p + 1, pl->raw.n - 1),
                 mkt_span(old->raw.p + 1, old->raw.n - 1), err);
        }
    }
    return err->rc;
}

static uint64_t
order_of(const struct mkt_csb *csb, const struct mkt_msg *m)
{
    return mkt_csb_order(csb->ts_type, mkt_ex_time(m).value);
}

static enum mkt_rc
check_ts_type(const struct mkt_csb *csb, const struct mkt_msg *m, struct mkt_err *err)
{
    if (mkt_ex_time(m).type == csb->ts_type)
        return MKT_OK;
    return mkt_fail(err, MKT_E_TS_TYPE, mkt_msg_find(m, MKT_PL_T, 0)->at,
                    "T: another type than in the CSB", REF);
}

static enum mkt_rc
too_old(const struct mkt_msg *m, struct mkt_err *err)
{
    return mkt_fail(err, MKT_E_REPLAY, mkt_msg_find(m, MKT_PL_T, 0)->at,
                    "T is not newer than the last", REF);
}

/* Newer than what both have sent, and not a copy of an offer that was refused. */
static enum mkt_rc
check_offer_time(const struct mkt_csb *csb, const struct mkt_msg *m, const struct mkt_env *env,
                 uint32_t skew_s, struct mkt_err *err)
{
    uint64_t t = order_of(csb, m);
    bool copy = csb->update.n == m->octets.n && csb->update.n != 0 &&
                memcmp(csb->update.p, m->octets.p, m->octets.n) == 0;

    if (check_ts_type(csb, m, err) != MKT_OK || mkt_check_skew(m, env->now, skew_s, err) != MKT_OK)
        return err->rc;
    return t <= csb->last_t || t < csb->seen_t || copy ? too_old(m, err) : MKT_OK;
}

/* RFC6043:4.2.2.3: the T of an answer need not be newer, for it is bound to our message by its MAC.
 * With a KEMAC it must: key and IV would be used twice. */
static enum mkt_rc
check_answer_time(const struct mkt_csb *csb, const struct mkt_msg *m, struct mkt_err *err)
{
    if (check_ts_type(csb, m, err) != MKT_OK)
        return err->rc;
    if (mkt_msg_find(m, MKT_PL_KEMAC, 0) != NULL && order_of(csb, m) <= csb->last_t)
        return too_old(m, err);
    return MKT_OK;
}

static void
advance(uint64_t *mark, uint64_t t)
{
    if (t > *mark)
        *mark = t;
}

/* Keys in a verified message, from the other side. */
static enum mkt_rc
take_keys(struct mkt_csb *csb, const struct mkt_env *env, const struct mkt_msg *m,
          const struct mkt_msg_keys *mk, struct mkt_err *err)
{
    const struct mkt_payload *kemac = mkt_msg_find(m, MKT_PL_KEMAC, 0);
    MKT_SCOPED_KEYS extra;

    extra.n = 0;
    if (kemac == NULL)
        return MKT_OK;
    if (!mkt_csb_may_supply(csb, !csb->initiator))
        return mkt_fail(err, MKT_E_KEY_DATA, kemac->at, "KEMAC although L or M forbids it", REF);
    if (mkt_kemac_read(&extra, kemac, env->crypto, mk, csb->id, mkt_ex_time(m).value, err) !=
        MKT_OK)
        return err->rc;
    return mkt_csb_supply(csb, &extra, !csb->initiator, err);
}

static enum mkt_rc
parse(struct mkt_msg *m, const struct mkt_csb *csb, struct mkt_span in, uint8_t data_type,
      struct mkt_err *err)
{
    const struct mkt_suite *suite = NULL;

    if (mkt_msg_parse(m, in, err) != MKT_OK || mkt_msg_check_update(m, err) != MKT_OK ||
        mkt_ex_answers(m, data_type, csb->prf, csb->id, err) != MKT_OK)
        return err->rc;
    return mkt_ex_suite(&suite, m, err);
}

static enum mkt_rc
take_answer(struct mkt_csb *csb, const struct mkt_env *env, struct mkt_io *io)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_msg init, m;
    struct mkt_err *err = &io->err;
    const struct mkt_span tail = mkt_octets_span(&csb->update);

    if (!update_keys(&mk, csb, env->crypto))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "MPK", REF);
    if (mkt_msg_parse(&m, io->in, err) != MKT_OK)
        return err->rc;
    if (m.hdr.data_type == MKT_DT_ERROR && mkt_msg_check(&m, err) == MKT_OK)
        return mkt_error_take(&m, env->crypto, csb->prf, csb->id, &mk, io);
    if (parse(&m, csb, io->in, MKT_DT_TRANSFER_RESP, err) != MKT_OK ||
        mkt_ex_verify(&m, env->crypto, &mk, &tail, 1, err) != MKT_OK)
        return err->rc;
    io->authentic = true;
    if (check_answer_time(csb, &m, err) != MKT_OK)
        return err->rc;
    advance(&csb->seen_t, order_of(csb, &m)); /* that IV is spent, whatever follows */
    /* GCOV_EXCL_BR_LINE: our own message */
    if (check_static(csb, &m, err) != MKT_OK || mkt_msg_parse(&init, tail, err) != MKT_OK ||
        take_keys(csb, env, &m, &mk, err) != MKT_OK || mkt_csb_apply(csb, &init, &m, err) != MKT_OK)
        return err->rc;
    advance(&csb->last_t, order_of(csb, &m));
    return MKT_OK;
}

enum mkt_next
mkt_csb_updated(struct mkt_csb *csb, const struct mkt_env *env, struct mkt_io *io)
{
    MKT_SCOPED_KEYS before;

    before = csb->keys;
    io->out_len = 0;
    io->authentic = false;
    if (csb->update_state != MKT_UPDATE_SENT)
        return mkt_ex_abort(io, MKT_E_STATE, "no update is open", REF);
    if (take_answer(csb, env, io) != MKT_OK) {
        csb->keys = before;
        return MKT_NEXT_ABORT;
    }
    mkt_csb_settle(csb, env->now);
    return MKT_NEXT_DONE;
}

static enum mkt_rc
try_offer(struct mkt_csb *csb, const struct mkt_env *env, const struct mkt_msg *m,
          const struct mkt_msg_keys *mk, struct mkt_err *err)
{
    mkt_csb_drop_pending(csb);
    if (check_static(csb, m, err) != MKT_OK || take_keys(csb, env, m, mk, err) != MKT_OK)
        return err->rc;
    return m->hdr.v ? mkt_csb_check_offer(csb, m, mkt_csb_may_supply(csb, csb->initiator), err)
                    : mkt_csb_apply(csb, m, NULL, err);
}

/* The message is the other side's own, and can be refused by name. An update of ours that is open
 * is given up: the other side will find its T too old. When it is ourselves who failed, the message
 * has not been here. */
static enum mkt_rc
weigh_offer(struct mkt_csb *csb, const struct mkt_env *env, const struct mkt_msg *m,
            const struct mkt_msg_keys *mk, struct mkt_io *io)
{
    MKT_SCOPED_KEYS before;
    struct mkt_octets kept = { NULL, 0 };

    before = csb->keys;
    if (mkt_octets_set(&kept, m->octets) != MKT_OK)
        return mkt_fail(&io->err, MKT_E_MEMORY, 0, "TRANSFER_INIT", REF);
    enum mkt_rc rc = try_offer(csb, env, m, mk, &io->err);
    if (rc == MKT_E_MEMORY || rc == MKT_E_CRYPTO) {
        csb->keys = before;
        mkt_octets_free(&kept);
        return rc;
    }
    mkt_octets_free(&csb->update);
    csb->update = kept;
    io->authentic = true;
    advance(&csb->seen_t, order_of(csb, m));
    if (rc == MKT_OK)
        csb->last_t = order_of(csb, m);
    else
        mkt_csb_drop_pending(csb);
    csb->update_state = rc == MKT_OK ? MKT_UPDATE_RECEIVED : MKT_UPDATE_REJECTED;
    return rc;
}

static enum mkt_rc
take_offer(struct mkt_csb *csb, const struct mkt_env *env, uint32_t skew_s, struct mkt_msg *m,
           struct mkt_io *io)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_err *err = &io->err;
    const struct mkt_span tail[2] = { mkt_octets_span(&csb->id_i.data),
                                      mkt_octets_span(&csb->id_r.data) };

    if (parse(m, csb, io->in, MKT_DT_TRANSFER_INIT, err) != MKT_OK)
        return err->rc;
    if (!update_keys(&mk, csb, env->crypto))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "MPK", REF);
    if (mkt_ex_verify(m, env->crypto, &mk, tail, 2, err) != MKT_OK ||
        check_offer_time(csb, m, env, skew_s, err) != MKT_OK)
        return err->rc;
    return weigh_offer(csb, env, m, &mk, io);
}

enum mkt_next
mkt_csb_update_offered(struct mkt_csb *csb, const struct mkt_env *env, uint32_t skew_s,
                       struct mkt_io *io)
{
    struct mkt_msg m;

    io->out_len = 0;
    io->authentic = false;
    if (take_offer(csb, env, skew_s, &m, io) != MKT_OK)
        return MKT_NEXT_ABORT;
    if (m.hdr.v)
        return MKT_NEXT_ASK;
    mkt_csb_settle(csb, env->now);
    return MKT_NEXT_DONE;
}

/* --- answering
 * ------------------------------------------------------------------------------------ */

static enum mkt_rc
write_answer(struct mkt_csb *csb, const struct mkt_env *env, const struct mkt_msg *offer,
             const struct mkt_own_choice *ch, struct mkt_io *io)
{
    uint8_t map[8192];
    struct mkt_writer m = mkt_w_open(map, sizeof map), w = mkt_w_open(io->out, io->cap);
    struct mkt_msg resp;

    if (!mkt_answer_map_write(&m, offer, ch, mkt_first_spi(&csb->keys), env))
        return mkt_fail(&io->err, MKT_E_RANDOM, 0, "SSRC", REF);
    w.overflow |= m.overflow;
    const struct parts p = { .data_type = MKT_DT_TRANSFER_RESP,
                             .map = mkt_span(map, m.len),
                             .n_cs = (uint8_t)ch->n_cs,
                             .sp = ch->sp,
                             .n_sp = ch->n_sp,
                             .keys = ch->keys,
                             .roles = { own_role(csb), 0 },
                             .tail = { offer->octets },
                             .n_tail = 1 };
    enum mkt_rc rc = write_message(&w, csb, env, &p);
    if (rc != MKT_OK)
        return mkt_fail(&io->err, rc, 0, "TRANSFER_RESP", REF);
    /* GCOV_EXCL_BR_LINE: our own message */
    if (mkt_msg_parse(&resp, mkt_span(w.buf, w.len), &io->err) != MKT_OK ||
        mkt_csb_apply(csb, offer, &resp, &io->err) != MKT_OK)
        return io->err.rc;
    io->out_len = w.len;
    return MKT_OK;
}

enum mkt_next
mkt_csb_update_accept(struct mkt_csb *csb, const struct mkt_env *env,
                      const struct mkt_choice *choice, struct mkt_io *io)
{
    struct mkt_own_choice ch = { 0 };
    struct mkt_msg offer;
    MKT_SCOPED_KEYS before;

    before = csb->keys;
    io->out_len = 0;
    if (csb->update_state != MKT_UPDATE_RECEIVED)
        return mkt_ex_abort(io, MKT_E_STATE, "no update was offered", REF);
    /* GCOV_EXCL_START: parsed before it was kept */
    if (mkt_msg_parse(&offer, mkt_octets_span(&csb->update), &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    /* GCOV_EXCL_STOP */
    enum mkt_rc rc = mkt_choice_copy(&ch, choice, &offer);
    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, "choice", REF);
    if (mkt_csb_supply_own(csb, ch.keys, &io->err) != MKT_OK ||
        write_answer(csb, env, &offer, &ch, io) != MKT_OK)
        csb->keys = before;
    else
        mkt_csb_settle(csb, env->now);
    mkt_choice_free(&ch);
    return io->err.rc == MKT_OK ? MKT_NEXT_SEND_PEER : MKT_NEXT_ABORT;
}

enum mkt_next
mkt_csb_update_refuse(struct mkt_csb *csb, const struct mkt_env *env, enum mkt_rc rc,
                      const struct mkt_pl_sp *supported, size_t n_supported, struct mkt_io *io)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    uint64_t t64 = 0;

    io->out_len = 0;
    if (csb->update_state != MKT_UPDATE_RECEIVED && csb->update_state != MKT_UPDATE_REJECTED)
        return mkt_ex_abort(io, MKT_E_STATE, "no update was offered", REF);
    if (!mkt_ts_stamp(env, csb->ts_type, &t64))
        return mkt_ex_abort(io, MKT_E_TS_TYPE, "T", REF);
    const struct mkt_error_message e = { .error_no = mkt_wire_error(rc),
                                         .map_type = MKT_MAP_GENERIC_ID,
                                         .ts_type = csb->ts_type,
                                         .t64 = t64,
                                         .prf = csb->prf,
                                         .csb_id = csb->id,
                                         .sp = supported,
                                         .n_sp = n_supported };
    if (!update_keys(&mk, csb, env->crypto) || !mkt_error_write(&w, env->crypto, &e, &mk))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "V", REF);
    if (!w.overflow) {
        mkt_csb_drop_pending(csb);
        csb->update_state = MKT_UPDATE_NONE;
    }
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER);
}
