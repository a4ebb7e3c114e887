/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds `flow` and `error`: a whole run through the roles. Each role gets what it was told
 * (build.c), the recorded random values and times, and must make the recorded message octet by
 * octet. */
#include "flow.h"

#include "keys/keys.h"

#include <string.h>

/* --- helpers -------------------------------------------------------------------------------- */

static json_t *
step_of(const struct flow *f, const char *name, const char *kind)
{
    size_t i;
    json_t *step;
    json_array_foreach(f->steps, i, step)
    {
        const char *is = json_string_value(json_object_get(step, "name"));
        const char *of = json_string_value(json_object_get(step, "kind"));
        if (is != NULL && of != NULL && strcmp(is, name) == 0 && strcmp(of, kind) == 0)
            return step;
    }
    return NULL;
}

const struct sent *
rn_sent_of_type(const struct flow *f, uint8_t data_type)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->msg[i].m->hdr.data_type == data_type)
            return &f->msg[i];
    return NULL;
}

static bool
ends_with(struct mkt_span octets, struct mkt_span end)
{
    return end.n <= octets.n && end.n != 0 &&
           memcmp(octets.p + octets.n - end.n, end.p, end.n) == 0;
}

/* What the role makes: the message as recorded, unless it was altered on the way. Then no `mac`
 * step of its name gives the MAC it ends with, and the first has what the sender wrote. */
static struct mkt_span
as_made(struct flow *f, const struct sent *s)
{
    size_t i;
    json_t *step;
    json_array_foreach(f->steps, i, step)
    {
        const char *name = json_string_value(json_object_get(step, "name"));
        if (name != NULL && strcmp(name, rn_name(f->r, "%s.V", s->name)) == 0 &&
            ends_with(s->octets, rn_hex(f->r, step, "mac")))
            return s->octets;
    }
    step = step_of(f, rn_name(f->r, "%s.V", s->name), "mac");
    struct mkt_span mac = step == NULL ? mkt_span(NULL, 0) : rn_hex(f->r, step, "mac");
    if (mac.n == 0 || mac.n > s->octets.n)
        return s->octets;
    uint8_t *copy = rn_alloc(f->r, s->octets.n);
    memcpy(copy, s->octets.p, s->octets.n);
    memcpy(copy + s->octets.n - mac.n, mac.p, mac.n);
    return mkt_span(copy, s->octets.n);
}

struct mkt_io
rn_io_with(struct flow *f, struct mkt_span in)
{
    return (struct mkt_io){ .in = in, .out = rn_alloc(f->r, MKT_MSG_MAX), .cap = MKT_MSG_MAX };
}

bool
rn_made(struct flow *f, const struct sent *s, enum mkt_next next, enum mkt_next want,
        const struct mkt_io *io)
{
    if (next == MKT_NEXT_ABORT)
        rn_fail_err(f->r, s->name, &io->err);
    else if (next != want)
        rn_fail(f->r, s->name, "the role says %d, should say %d", (int)next, (int)want);
    else
        return rn_same(f->r, s->name, mkt_span(io->out, io->out_len), as_made(f, s));
    return false;
}

/* The PSK of a sender; the one that made the recorded auth_key where it is another (wrong keys). */
const struct mkt_inkey *
rn_psk_of(struct flow *f, const struct rn_party *who, const struct sent *s)
{
    json_t *step = step_of(f, rn_name(f->r, "%s.auth_key", s->name), "kdf");
    struct mkt_span used = step == NULL ? mkt_span(NULL, 0) : rn_hex(f->r, step, "inkey");
    struct mkt_inkey_mem *other = rn_alloc(f->r, sizeof *other);
    if (used.n == 0 || (used.n == who->psk.key.n && memcmp(used.p, who->psk.key.b, used.n) == 0) ||
        mkt_inkey_mem_init(other, used) != MKT_OK)
        return &who->psk.base;
    return &other->base;
}

/* The SPI of the first session key, from the recorded plaintext of the ticket. */
static struct mkt_span
first_spi(struct flow *f)
{
    json_t *step = step_of(f, "ticket.KEMAC", "encrypt");
    struct mkt_payload *pl = rn_alloc(f->r, MKT_KEYS_MAX * sizeof *pl);
    struct mkt_err err = { 0 };
    size_t n = 0;
    if (step != NULL)
        (void)!mkt_chain_decode(pl, MKT_KEYS_MAX, &n, MKT_PL_KEY_DATA,
                                rn_hex(f->r, step, "plaintext"), &err);
    for (size_t i = 0; i < n; i++)
        if (pl[i].u.key_data.type != MKT_KEY_MPK)
            return pl[i].u.key_data.spi;
    return mkt_span(NULL, 0);
}

void
rn_choice(struct flow *f, const struct sent *offer, const struct sent *answer,
          struct mkt_choice *choice)
{
    *choice = (struct mkt_choice){ 0 };
    if (answer == NULL)
        return;
    rn_choice_of(f->r, offer->m, answer->m, first_spi(f), choice);
    choice->keys = rn_keys_of(f, mkt_msg_find(answer->m, MKT_PL_KEMAC, 0));
}

size_t
rn_answered_by(const struct flow *f, size_t i)
{
    for (size_t k = i; k-- > 0;)
        if (f->msg[k].m->hdr.csb_id == f->msg[i].m->hdr.csb_id)
            return k;
    return i;
}

/* --- one function for each message that is sent --------------------------------------------- */

/* What an application refuses by itself, for the error it then reports. */
enum mkt_rc
rn_rc_of_error(const struct mkt_msg *m)
{
    const struct mkt_payload *e = mkt_msg_find(m, MKT_PL_ERR, 0);
    for (int rc = MKT_OK + 1; e != NULL && rc < MKT_RC_COUNT; rc++)
        if (mkt_wire_error((enum mkt_rc)rc) == e->u.err.error_no)
            return (enum mkt_rc)rc;
    return MKT_OK;
}

/* Our Initiator does not send what a KMS must refuse. When it refuses for the reason that the KMS
 * gives next, the message comes from another one: its values are taken from the recording. */
static bool
refuses_to_send(struct flow *f, size_t i, enum mkt_next next, const struct mkt_io *io)
{
    const struct sent *s = &f->msg[i];
    struct rn_inject in = { 0 };
    if (next != MKT_NEXT_ABORT || i + 1 >= f->n || f->msg[i + 1].m->hdr.data_type != MKT_DT_ERROR ||
        mkt_wire_error(io->err.rc) != mkt_wire_error(rn_rc_of_error(f->msg[i + 1].m)))
        return false;
    rn_inject_message(f->r, &in, s->m);
    for (size_t k = 0; k < in.n && f->inject.next < f->inject.n; k++) {
        const struct rn_draw *d = &f->inject.draw[f->inject.next++];
        const char *at = rn_name(f->r, "%s: %s", s->name, in.draw[k].name);
        rn_same(f->r, at, d->value, in.draw[k].value);
        rn_same_num(f->r, rn_name(f->r, "%s: TS type", at), d->ts_type, in.draw[k].ts_type);
    }
    mkt_initiator_free(f->initiator);
    f->initiator = NULL;
    return true;
}

static void
send_request(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    const struct rn_party *who = rn_party_named(f->r, &f->w, s->from);
    const struct mkt_payload *tp = mkt_msg_find(s->m, MKT_PL_TP, 0);
    struct mkt_policy *want = rn_alloc(f->r, sizeof *want);
    struct mkt_credential cred;
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    if (tp == NULL || mkt_policy_decode(want, &tp->u.ticket, false, tp->at, &io.err) != MKT_OK) {
        rn_fail_err(f->r, rn_name(f->r, "%s: TP", s->name), &io.err);
        return;
    }
    rn_credential_of(f->r, &f->w, who, rn_psk_of(f, who, s), s->m, &cred);
    rn_switch_sender(f, who);
    mkt_initiator_free(f->initiator);
    f->initiator = mkt_initiator_new(&cred);
    if (f->initiator == NULL) {
        rn_fail(f->r, s->name, "out of memory");
        return;
    }
    enum mkt_next next = mkt_initiator_request(f->initiator, &f->env, want, &io);
    if (!refuses_to_send(f, i, next, &io))
        rn_made(f, s, next, MKT_NEXT_SEND_KMS, &io);
}

static void
deliver_grant(struct flow *f, const struct sent *s)
{
    struct mkt_io io = rn_io_with(f, s->octets);
    if (mkt_initiator_granted(f->initiator, &f->env, &io, &f->grant) != MKT_NEXT_DONE)
        rn_fail_err(f->r, rn_name(f->r, "%s received", s->name), &io.err);
}

/* The outputs are those of the first answer. */
static void
keep_first(struct mkt_csb **first, struct mkt_csb *csb)
{
    if (*first == NULL)
        *first = csb;
    else
        mkt_csb_free(csb);
}

static void
deliver_resolved(struct flow *f, const struct sent *s)
{
    struct mkt_io io = rn_io_with(f, s->octets);
    struct mkt_csb *csb = NULL;
    enum mkt_next next = mkt_responder_resolved(f->responder, &f->env, &io, &csb);
    enum mkt_next want = rn_answer_after(f, f->offer) == NULL ? MKT_NEXT_DONE : MKT_NEXT_SEND_PEER;
    keep_first(&f->csb_r, csb);
    if (next == MKT_NEXT_ABORT)
        rn_fail_err(f->r, rn_name(f->r, "%s received", s->name), &io.err);
    else if (next != want)
        rn_fail(f->r, s->name, "the Responder says %d, should say %d", (int)next, (int)want);
    f->reaction = mkt_span(io.out, io.out_len);
}

static void
kms_answers(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    size_t asked = rn_answered_by(f, i);
    if (rn_is_for_peer(f, &f->msg[asked])) {
        rn_peer_answers(f, i);
        deliver_resolved(f, s);
        return;
    }
    struct mkt_io io = rn_io_with(f, f->msg[asked].octets);
    enum mkt_rc rc = rn_kms_answer(f->r, &f->w, &f->env, s->m, &io);
    bool refuses = s->m->hdr.data_type == MKT_DT_ERROR;
    f->refused = rc;
    if (rc != MKT_OK && !refuses)
        rn_fail_err(f->r, rn_name(f->r, "%s at the KMS", f->msg[asked].name), &io.err);
    else if (rc == MKT_OK && refuses)
        rn_fail(f->r, s->name, "the KMS did not refuse");
    else
        rn_same(f->r, s->name, mkt_span(io.out, io.out_len), as_made(f, s));
    if (refuses)
        return;
    if (s->m->hdr.data_type == MKT_DT_REQUEST_RESP && f->initiator != NULL)
        deliver_grant(f, s);
    if (s->m->hdr.data_type == MKT_DT_RESOLVE_RESP && f->responder != NULL && !rn_is_leg(f, s))
        deliver_resolved(f, s);
}

static void
send_offer(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    const struct rn_party *to = rn_party_named(f->r, &f->w, s->to);
    struct mkt_offer offer;
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    if (rn_is_update(s->m)) {
        rn_send_update(f, i);
        return;
    }
    rn_begin_transfer(f, i);
    if (f->grant == NULL || f->initiator == NULL) {
        rn_fail(f->r, s->name, "there is no ticket to offer");
        return;
    }
    f->offered_at = f->env.now;
    rn_offer_of(f->r, s->m, to->id, &offer);
    offer.keys = rn_keys_of(f, mkt_msg_find(s->m, MKT_PL_KEMAC, 0));
    offer.group_of = rn_group_of(f, i);
    rn_made(f, s, mkt_initiator_offer(f->initiator, &f->env, f->grant, &offer, &io),
            MKT_NEXT_SEND_PEER, &io);
}

const struct sent *
rn_answer_after(const struct flow *f, size_t i)
{
    for (; i < f->n && (i <= f->offer || f->msg[i].m->hdr.data_type != MKT_DT_TRANSFER_INIT); i++)
        if (i > f->offer && f->msg[i].m->hdr.data_type == MKT_DT_TRANSFER_RESP)
            return &f->msg[i];
    return NULL;
}

/* Delivers the offer, at the time it was made, to whoever goes on with it: a Responder of its own
 * for each. Its credential is known from the RESOLVE_INIT it sends; without one it does not matter.
 * What the answer leaves out is the credential's, the rest is chosen for RESOLVE_INIT alone. */
bool
rn_take_offer(struct flow *f, size_t i, const struct rn_party *who, const struct sent *resolve)
{
    const struct sent *offer = &f->msg[f->offer], *answer = rn_answer_after(f, i);
    struct mkt_credential cred = { .self = who->id, .kms = f->w.kms->id, .psk = &who->psk.base };
    struct mkt_io io = rn_io_with(f, offer->octets);
    struct mkt_env then = f->env;
    if (resolve != NULL)
        rn_credential_of(f->r, &f->w, who, rn_psk_of(f, who, resolve), resolve->m, &cred);
    cred.omit = answer != NULL && mkt_msg_find(answer->m, MKT_PL_IDR, MKT_IDR_R) == NULL
                    ? MKT_OMIT_SELF
                    : 0;
    mkt_responder_free(f->responder);
    f->responder = mkt_responder_new(&cred);
    if (f->responder == NULL) {
        rn_fail(f->r, offer->name, "out of memory");
        return false;
    }
    then.now = f->offered_at;
    enum mkt_next next = mkt_responder_offered(f->responder, &then, RN_SKEW_S, &io);
    f->refused = io.err.rc;
    if (next != MKT_NEXT_ASK && resolve != NULL)
        rn_fail_err(f->r, rn_name(f->r, "%s received", offer->name), &io.err);
    return next == MKT_NEXT_ASK;
}

static void
send_resolve(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    struct mkt_credential cred;
    struct mkt_choice choice;
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    const struct rn_party *who = rn_who(f, s);
    if (rn_is_leg(f, s)) {
        rn_peer_forwards(f, i);
        return;
    }
    if (!rn_take_offer(f, i, who, s))
        return;
    f->answerer = who;
    rn_choice(f, &f->msg[f->offer], rn_answer_after(f, i), &choice);
    rn_credential_of(f->r, &f->w, who, &who->psk.base, s->m, &cred);
    choice.omit_resolve = cred.omit;
    rn_made(f, s, mkt_responder_accept(f->responder, &f->env, &choice, &io), MKT_NEXT_SEND_KMS,
            &io);
}

static void
send_answer(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    if (rn_in_update(f, i)) {
        rn_answer_update(f, i);
        return;
    }
    if (f->reaction.n == 0) /* no KMS was asked */
        rn_respond_alone(f, i, rn_who(f, s));
    rn_same(f->r, s->name, f->reaction, as_made(f, s));
    f->reaction = mkt_span(NULL, 0);
    struct mkt_io io = rn_io_with(f, s->octets);
    struct mkt_csb *csb = NULL;
    if (f->initiator != NULL &&
        mkt_initiator_answered(f->initiator, &f->env, &io, &csb) != MKT_NEXT_DONE)
        rn_fail_err(f->r, rn_name(f->r, "%s received", s->name), &io.err);
    keep_first(&f->csb_i, csb);
}

/* The Responder refuses an offer: the role at once, or its user, who has other policies. */
static void
responder_refuses(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    size_t n_sp;
    const struct mkt_pl_sp *sp = rn_sps_of(f->r, s->m, &n_sp);
    struct mkt_io io = rn_io_with(f, mkt_span(NULL, 0));
    if (rn_take_offer(f, i, rn_party_named(f->r, &f->w, s->from), NULL))
        f->refused = rn_rc_of_error(s->m);
    if (f->responder == NULL || f->refused == MKT_OK) {
        rn_fail(f->r, s->name, "the Responder has no reason to refuse");
        return;
    }
    rn_made(f, s, mkt_responder_refuse(f->responder, &f->env, f->refused, sp, n_sp, &io),
            MKT_NEXT_SEND_PEER, &io);
}

/* Whoever gets an Error message aborts, and knows whether it was authentic. */
static void
deliver_error(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    const struct mkt_payload *e = mkt_msg_find(s->m, MKT_PL_ERR, 0);
    bool authentic =
        mkt_msg_find(s->m, MKT_PL_V, 0) != NULL || mkt_msg_find(s->m, MKT_PL_SIGN, 0) != NULL;
    struct mkt_io io = rn_io_with(f, s->octets);
    struct mkt_grant *grant = NULL;
    struct mkt_csb *csb = NULL;
    enum mkt_next next = MKT_NEXT_DONE;
    if (strcmp(s->to, f->msg[0].from) != 0)
        next = mkt_responder_resolved(f->responder, &f->env, &io, &csb);
    else if (strcmp(s->from, f->w.kms->name) == 0)
        next = mkt_initiator_granted(f->initiator, &f->env, &io, &grant);
    else
        next = mkt_initiator_answered(f->initiator, &f->env, &io, &csb);
    if (next != MKT_NEXT_ABORT || io.err.rc != MKT_E_PEER_ERROR || grant != NULL || csb != NULL)
        rn_fail(f->r, s->name, "was not taken as an Error message: %s", mkt_rc_name(io.err.rc));
    rn_same_num(f->r, rn_name(f->r, "%s: Error no received", s->name), io.peer_error,
                e == NULL ? 256 : e->u.err.error_no);
    rn_same_num(f->r, rn_name(f->r, "%s: authentic", s->name), io.peer_error_authentic, authentic);
    mkt_grant_free(grant);
    mkt_csb_free(csb);
}

static void
send_error(struct flow *f, size_t i)
{
    const struct sent *s = &f->msg[i];
    if (i == 0) {
        rn_fail(f->r, s->name, "an Error message without cause");
        return;
    }
    if (rn_in_update(f, i)) {
        rn_refuse_update(f, i);
        return;
    }
    if (strcmp(s->from, f->w.kms->name) == 0)
        kms_answers(f, i);
    else
        responder_refuses(f, i);
    if (f->r->faults == 0 && (f->initiator != NULL || f->responder != NULL))
        deliver_error(f, i);
}

static const struct {
    uint8_t data_type;
    void (*send)(struct flow *f, size_t i);
} senders[] = {
    { MKT_DT_REQUEST_INIT_PSK, send_request },
    { MKT_DT_REQUEST_INIT_PK, send_request },
    { MKT_DT_REQUEST_RESP, kms_answers },
    { MKT_DT_TRANSFER_INIT, send_offer },
    { MKT_DT_RESOLVE_INIT_PSK, send_resolve },
    { MKT_DT_RESOLVE_INIT_PK, send_resolve },
    { MKT_DT_RESOLVE_RESP, kms_answers },
    { MKT_DT_TRANSFER_RESP, send_answer },
    { MKT_DT_ERROR, send_error },
};

/* --- the run -------------------------------------------------------------------------------- */

static void
load_messages(struct flow *f)
{
    size_t i;
    json_t *item, *list = rn_list(f->r, f->r->doc.root, "messages");
    f->msg = rn_alloc(f->r, (json_array_size(list) + 1) * sizeof *f->msg);
    json_array_foreach(list, i, item)
    {
        struct sent *s = &f->msg[f->n];
        struct mkt_err err = { 0 };
        *s = (struct sent){ .name = rn_str(f->r, item, "name"),
                            .from = rn_str(f->r, item, "from"),
                            .to = rn_str(f->r, item, "to"),
                            .octets = rn_hex(f->r, item, "hex"),
                            .m = rn_alloc(f->r, sizeof *s->m) };
        rn_check_message(f->r, s->name, s->octets, rn_obj(f->r, item, "fields"));
        if (mkt_msg_parse(s->m, s->octets, &err) == MKT_OK)
            f->n++;
    }
}

/* All messages of a run have timestamps of one type. */
static void
check_ts_type(struct flow *f, json_t *settings)
{
    if (json_object_get(settings, "ts_type") == NULL)
        return;
    uint64_t want = rn_num(f->r, settings, "ts_type");
    for (size_t i = 0; i < f->n; i++) {
        const struct mkt_payload *t = mkt_msg_find(f->msg[i].m, MKT_PL_T, 0);
        rn_same_num(f->r, rn_name(f->r, "%s: TS type", f->msg[i].name),
                    t == NULL ? 256 : t->u.t.ts_type, want);
    }
}

/* The clock of a run stands, unless a message was made at another time. */
static void
set_clock(struct flow *f, const struct sent *s)
{
    const struct mkt_payload *t = mkt_msg_find(s->m, MKT_PL_T, 0);
    if (t == NULL || t->u.t.ts_type == MKT_TS_COUNTER)
        return;
    struct mkt_time at = { true, t->u.t.ts_type, mkt_ts_widen(t->u.t.ts_type, t->u.t.value) };
    if (rn_stale(&f->w, &at))
        f->w.now = f->env.now = at.value;
}

/* An answer goes back to where the message it answers came from. */
static void
check_route(struct flow *f, size_t i)
{
    size_t asked = rn_answered_by(f, i);
    const struct sent *s = &f->msg[i], *before = asked == i ? NULL : &f->msg[asked];
    uint8_t type = s->m->hdr.data_type;
    rn_party_named(f->r, &f->w, s->from);
    rn_party_named(f->r, &f->w, s->to);
    bool answers =
        type == MKT_DT_REQUEST_RESP || type == MKT_DT_RESOLVE_RESP || type == MKT_DT_ERROR;
    const struct sent *offer = &f->msg[rn_in_update(f, i) ? f->update : f->offer];
    bool to_kms = type == MKT_DT_REQUEST_INIT_PSK || type == MKT_DT_REQUEST_INIT_PK ||
                  type == MKT_DT_RESOLVE_INIT_PSK || type == MKT_DT_RESOLVE_INIT_PK;
    if (answers &&
        (before == NULL || strcmp(s->from, before->to) != 0 || strcmp(s->to, before->from) != 0))
        rn_fail(f->r, s->name, "does not go back to the sender of the message before it");
    if (to_kms && strcmp(s->to, f->w.kms->name) != 0)
        rn_fail(f->r, s->name, "does not go to the KMS");
    if (type == MKT_DT_TRANSFER_RESP && strcmp(s->to, offer->from) != 0)
        rn_fail(f->r, s->name, "does not go to who made the offer");
}

/* A message that came before, octet by octet, is delivered again; nobody makes it again. */
static bool
is_copy(const struct flow *f, size_t i)
{
    const struct mkt_span s = f->msg[i].octets;
    for (size_t k = 0; k < i; k++)
        if (f->msg[k].octets.n == s.n && memcmp(f->msg[k].octets.p, s.p, s.n) == 0)
            return true;
    return false;
}

static void
run_messages(struct flow *f)
{
    for (size_t i = 0; i < f->n && f->r->faults == 0; i++) { /* more would only repeat it */
        size_t k = 0, n = sizeof senders / sizeof senders[0];
        check_route(f, i);
        set_clock(f, &f->msg[i]);
        while (k < n && senders[k].data_type != f->msg[i].m->hdr.data_type)
            k++;
        if (k == n)
            rn_fail(f->r, f->msg[i].name, "nobody sends messages of this type");
        else if (!is_copy(f, i))
            senders[k].send(f, i);
    }
    if (f->n_transfers != 0)
        rn_end_transfer(f);
    if (f->r->faults != 0)
        return;
    rn_check_outputs(f);
    rn_inject_end(f->r, "end of the run", &f->inject);
}

const char *
rn_run_flow(struct rn *r)
{
    struct flow f = { .r = r };
    json_t *inputs = rn_obj(r, r->doc.root, "inputs");
    f.steps = rn_list(r, r->doc.root, "steps");
    load_messages(&f);
    rn_check_steps(r, f.steps, true);
    if (r->faults != 0)
        return NULL;
    rn_world_load(r, &f.w, inputs);
    check_ts_type(&f, json_object_get(inputs, "settings"));
    rn_inject_steps(r, &f.inject, f.steps, json_object_get(inputs, "keys"));
    rn_drop_supplied(&f);
    f.env = rn_env(r, &f.inject, f.w.now);
    if (f.w.peer != NULL) {
        rn_inject_drop(&f.inject, mkt_secret_span(&f.w.peer->psk.key));
        rn_order_legs(&f);
    }
    if (f.w.kms != NULL)
        run_messages(&f);
    rn_flow_free(&f);
    return NULL;
}
