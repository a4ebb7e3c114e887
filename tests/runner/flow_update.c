/* SPDX-License-Identifier: Apache-2.0 */
/* CSB updates of a run (RFC 6043 5.2): either end starts, the other answers or refuses. */
#include "flow.h"

#include <string.h>

/* The CSB of the party that sends s, or of the one that gets it. */
static struct mkt_csb *
csb_of(const struct flow *f, const struct sent *s, bool receiver)
{
    bool by_initiator = strcmp(s->from, f->msg[f->offer].from) == 0;
    return by_initiator != receiver ? f->csb_i : f->csb_r;
}

bool
rn_in_update(const struct flow *f, size_t i)
{
    return f->update > f->offer && f->update < i &&
           f->msg[i].m->hdr.csb_id == f->msg[f->update].m->hdr.csb_id;
}

/* Both ends after update n have `session_keys_updaten`. */
static void
end_update(struct flow *f)
{
    rn_check_csbs(f, rn_name(f->r, "session_keys_update%zu", ++f->n_updates), f->update);
}

/* The message is one our CSB would not send; its T is taken from the values to be drawn. */
static bool
refuses_to_send(struct flow *f, size_t i, enum mkt_next next, const struct mkt_io *io)
{
    const struct mkt_payload *t = mkt_msg_find(f->msg[i].m, MKT_PL_T, 0);
    if (next != MKT_NEXT_ABORT || i + 1 >= f->n || f->msg[i + 1].m->hdr.data_type != MKT_DT_ERROR ||
        mkt_wire_error(io->err.rc) != mkt_wire_error(rn_rc_of_error(f->msg[i + 1].m)))
        return false;
    if (f->inject.next < f->inject.n && f->inject.draw[f->inject.next].time) {
        const struct rn_draw *d = &f->inject.draw[f->inject.next++];
        rn_same(f->r, d->name, d->value, t->u.t.value);
    }
    f->foreign = true;
    return true;
}

static void
deliver_update(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    bool refused = i + 1 < f->n && f->msg[i + 1].m->hdr.data_type == MKT_DT_ERROR;
    struct mkt_io io = rn_io_with(f, s->octets);
    enum mkt_next next = mkt_csb_update_offered(csb_of(f, s, true), &f->env, RN_SKEW_S, &io);
    enum mkt_next want = s->m->hdr.v ? MKT_NEXT_ASK : MKT_NEXT_DONE;
    f->refused = io.err.rc;
    if (next == MKT_NEXT_ABORT && !refused)
        rn_fail_err(f->r, rn_name(f->r, "%s received", s->name), &io.err);
    else if (next != MKT_NEXT_ABORT && next != want)
        rn_fail(f->r, s->name, "the receiver says %d, should say %d", (int)next, (int)want);
    else if (next == MKT_NEXT_DONE)
        end_update(f);
}

void
rn_send_update(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    struct mkt_offer offer;
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    rn_end_transfer(f);
    f->update = i;
    f->foreign = false;
    struct mkt_csb *csb = csb_of(f, s, false);
    if (csb == NULL || csb_of(f, s, true) == NULL) {
        rn_fail(f->r, s->name, "there is no CSB to update");
        return;
    }
    rn_offer_of(f->r, s->m, f->sender->id, &offer);
    const struct mkt_update update = {
        .cs = offer.cs,
        .n_cs = offer.n_cs,
        .sp = offer.sp,
        .n_sp = offer.n_sp,
        .keys = rn_keys_of(f, mkt_msg_find(s->m, MKT_PL_KEMAC, 0)),
        .answer = s->m->hdr.v,
        .identities = mkt_msg_find(s->m, MKT_PL_IDR, MKT_IDR_I) != NULL,
    };
    enum mkt_next next = mkt_csb_update(csb, &f->env, &update, &io);
    if (refuses_to_send(f, i, next, &io) || rn_made(f, s, next, MKT_NEXT_SEND_PEER, &io))
        deliver_update(f, i);
}

void
rn_answer_update(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i], *update = &f->msg[f->update];
    struct mkt_choice choice;
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    rn_choice(f, update, s, &choice);
    if (!rn_made(f, s, mkt_csb_update_accept(csb_of(f, s, false), &f->env, &choice, &io),
                 MKT_NEXT_SEND_PEER, &io))
        return;
    io = rn_io_with(f, s->octets);
    if (mkt_csb_updated(csb_of(f, s, true), &f->env, &io) != MKT_NEXT_DONE)
        rn_fail_err(f->r, rn_name(f->r, "%s received", s->name), &io.err);
    else
        end_update(f);
}

void
rn_refuse_update(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    const struct mkt_payload *e = mkt_msg_find(s->m, MKT_PL_ERR, 0);
    size_t n_sp;
    const struct mkt_pl_sp *sp = rn_sps_of(f->r, s->m, &n_sp);
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    if (f->refused == MKT_OK) /* its user refuses */
        f->refused = rn_rc_of_error(s->m);
    if (!rn_made(f, s,
                 mkt_csb_update_refuse(csb_of(f, s, false), &f->env, f->refused, sp, n_sp, &io),
                 MKT_NEXT_SEND_PEER, &io) ||
        f->foreign)
        return;
    io = rn_io_with(f, s->octets);
    if (mkt_csb_updated(csb_of(f, s, true), &f->env, &io) != MKT_NEXT_ABORT ||
        io.err.rc != MKT_E_PEER_ERROR)
        rn_fail(f->r, s->name, "was not taken as an Error message: %s", mkt_rc_name(io.err.rc));
    rn_same_num(f->r, rn_name(f->r, "%s: Error no received", s->name), io.peer_error,
                e == NULL ? 256 : e->u.err.error_no);
    rn_same_num(f->r, rn_name(f->r, "%s: authentic", s->name), io.peer_error_authentic,
                mkt_msg_find(s->m, MKT_PL_V, 0) != NULL);
}
