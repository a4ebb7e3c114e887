/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS side: one transaction a message, in stages that can only be taken in order. It allocates
 * nothing between begin and end, and asks for keys as handles. */
#include "role/kms.h"

#include "backend/backend.h"
#include <string.h>

struct mkt_kms_txn *
mkt_kms_txn_new(void)
{
    return mkt_be_alloc(sizeof(struct mkt_kms_txn));
}

static void
forget_kept(struct mkt_kms_txn *t)
{
    mkt_wipe(t->kept, t->kept_len);
    t->kept_len = 0;
}

void
mkt_kms_end(struct mkt_kms_txn *t)
{
    mkt_keys_wipe(&t->keys);
    forget_kept(t);
    mkt_inkey_mem_wipe(&t->env_key);
    t->psk = NULL;
    t->has_ticket_id = false;
    t->stage = MKT_KMS_IDLE;
}

void
mkt_kms_txn_free(struct mkt_kms_txn *t)
{
    if (t == NULL)
        return;
    mkt_kms_end(t);
    mkt_cert_cache_free(&t->certs);
    mkt_be_free(t, sizeof *t);
}

const struct mkt_kms_ask *
mkt_kms_ask(const struct mkt_kms_txn *t)
{
    return &t->ask;
}

/* --- begin: structure only, no key ------------------------------------------------------------ */

static enum mkt_rc
begin_ticket(struct mkt_kms_txn *t, struct mkt_err *err)
{
    const struct mkt_policy *p = &t->policy;

    if (mkt_ticket_type_of_policy(p) == NULL)
        return mkt_fail(err, MKT_E_TICKET_TYPE, t->ticket->at, "TICKET: Ticket Type",
                        "RFC 6043 6.10");
    if (t->ticket->u.ticket.ticket_data.n >= MKT_TICKET_ID)
        mkt_kms_name_ticket(t,
                            t->ticket->u.ticket.ticket_data.p + t->ticket->u.ticket.ticket_data.n);
    if (mkt_ticket_data_read(&t->data, t->ticket, err) != MKT_OK)
        return err->rc;
    t->ask.made = (struct mkt_time){ true, t->data.t->u.t.ts_type,
                                     mkt_ts_widen(t->data.t->u.t.ts_type, t->data.t->u.t.value) };
    if (t->data.psk_id != NULL)
        t->ask.tpk_id =
            (struct mkt_identity){ t->data.psk_id->u.idr.id_type, t->data.psk_id->u.idr.data };
    if (t->data.kemac == NULL)
        t->ask.reference = t->data.thdr->u.thdr.data;
    t->has_initiator_data = (p->flags & MKT_TP_I) != 0;
    if (t->has_initiator_data)
        return mkt_initiator_data_read(&t->initiator_data, t->ticket, err);
    if (t->ticket->u.ticket.initiator_data.n != 0)
        return mkt_fail(err, MKT_E_FIELD, t->ticket->at, "Initiator Data although I = 0",
                        "RFC 6043 6.10");
    return MKT_OK;
}

static void
fill_ask_pk(struct mkt_kms_ask *ask, const struct mkt_msg *m)
{
    const struct mkt_payload *chash = mkt_msg_find(m, MKT_PL_CHASH, 0);

    ask->pk = true;
    ask->fingerprint = m->pl[m->n - 1].u.sign.signature;
    ask->cache = mkt_msg_find(m, MKT_PL_PKE, 0)->u.pke.c;
    ask->chash = chash == NULL ? NULL : &chash->u.chash;
    for (size_t i = 0; i < m->n; i++)
        ask->n_certs += m->pl[i].type == MKT_PL_CERT;
}

static void
fill_ask(struct mkt_kms_txn *t)
{
    const struct mkt_msg *m = &t->msg;
    struct mkt_span rand = mkt_ex_randr(m, t->resolve ? MKT_RANDR_R : MKT_RANDR_I);

    t->ask = (struct mkt_kms_ask){
        .resolve = t->resolve,
        .client = mkt_ex_idr(m, t->resolve ? MKT_IDR_R : MKT_IDR_I),
        .kms = mkt_ex_idr(m, MKT_IDR_KMS),
        .psk_id = mkt_ex_idr(m, MKT_IDR_PSK),
        .t = mkt_ex_time(m),
        .csb_id = m->hdr.csb_id,
        .prf = m->hdr.prf,
        .policy = &t->policy,
        .ticket_err = &t->ticket_err,
    };
    if (m->pl[m->n - 1].type == MKT_PL_SIGN)
        fill_ask_pk(&t->ask, m);
    else
        t->ask.fingerprint = m->pl[m->n - 1].u.v.mac;
    t->init_label = (struct mkt_label){ .use = MKT_USE_INIT, .csb_id = m->hdr.csb_id };
    *(t->resolve ? &t->init_label.nonce2 : &t->init_label.nonce1) = rand;
}

enum mkt_rc
mkt_kms_begin(struct mkt_kms_txn *t, struct mkt_span in, struct mkt_err *err)
{
    struct mkt_msg *m = &t->msg;

    mkt_kms_end(t);
    if (mkt_msg_parse(m, in, err) != MKT_OK)
        return err->rc;
    t->resolve =
        m->hdr.data_type == MKT_DT_RESOLVE_INIT_PSK || m->hdr.data_type == MKT_DT_RESOLVE_INIT_PK;
    if (!t->resolve && m->hdr.data_type != MKT_DT_REQUEST_INIT_PSK &&
        m->hdr.data_type != MKT_DT_REQUEST_INIT_PK)
        return mkt_fail(err, MKT_E_DATA_TYPE, 1, "HDR: Data Type", "RFC 6043 6.1");
    t->stage = MKT_KMS_PARSED; /* from here on an Error message can be made */
    if (mkt_msg_check(m, err) != MKT_OK || mkt_ex_suite(&t->suite, m, err) != MKT_OK)
        return err->rc;
    fill_ask(t);
    t->ticket = mkt_msg_find(m, t->resolve ? MKT_PL_TICKET : MKT_PL_TP, 0);
    /* An Error about policy or ticket may have V, once somebody is authenticated (5.4). */
    struct mkt_err *later = &t->ticket_err;
    *later = (struct mkt_err){ .rc = MKT_OK };
    if (mkt_policy_decode(&t->policy, &t->ticket->u.ticket, t->resolve,
                          (size_t)(t->ticket->u.ticket.tp_data.p - in.p), later) == MKT_OK &&
        t->resolve)
        (void)begin_ticket(t, later);
    t->stage = MKT_KMS_BEGUN;
    return MKT_OK;
}

/* --- verify ------------------------------------------------------------------------------------
 */

static enum mkt_rc
check_mac(struct mkt_kms_txn *t, const struct mkt_env *env, const struct mkt_inkey *psk,
          const struct mkt_span tail[2], struct mkt_err *err)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };

    if (!mkt_derive_msg_keys(&mk, psk, env->crypto, t->suite, &t->init_label, MKT_WANT_AUTH))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "PSK", "RFC 6043 5.1.2");
    return mkt_ex_verify(&t->msg, env->crypto, &mk, tail, 2, err);
}

enum mkt_rc
mkt_kms_verify(struct mkt_kms_txn *t, const struct mkt_env *env, const struct mkt_inkey *psk,
               struct mkt_identity client, struct mkt_identity kms, struct mkt_err *err)
{
    const struct mkt_identity named = t->ask.client, for_kms = t->ask.kms;
    const struct mkt_span tail[2] = {
        named.data.p != NULL ? named.data : client.data,
        for_kms.data.p != NULL ? for_kms.data : kms.data,
    };
    size_t v_at;

    if (t->stage != MKT_KMS_BEGUN || t->ask.pk)
        return mkt_fail(err, MKT_E_STATE, 0, "verify before begin, or signed", "RFC 6043 4.2");
    v_at = t->msg.pl[t->msg.n - 1].at;
    if (check_mac(t, env, psk, tail, err) != MKT_OK)
        return err->rc;
    /* Only now: what follows may tell a client with a good key more than one without. */
    if (named.data.p != NULL && !mkt_identity_equal(named, client))
        return mkt_fail(err, MKT_E_AUTH, v_at, "IDR is not the credential's", "RFC 6043 4.2.1.2");
    return mkt_kms_verified(t, psk, kms, err);
}

enum mkt_rc
mkt_kms_verified(struct mkt_kms_txn *t, const struct mkt_inkey *psk, struct mkt_identity kms,
                 struct mkt_err *err)
{
    t->psk = psk;
    t->kms = kms;
    t->stage = MKT_KMS_VERIFIED;
    if (t->ask.kms.data.p != NULL && !mkt_identity_equal(t->ask.kms, kms))
        return mkt_fail(err, MKT_E_IDENTITY, 0, "IDRkms is another KMS", "RFC 6043 4.2.1.1");
    if (psk->len < t->suite->key_len)
        return mkt_fail(err, MKT_E_SUITE_MIX, 0, "PSK shorter than the suite's keys",
                        "RFC 6043 12.1");
    if (t->init_label.nonce1.n + t->init_label.nonce2.n < psk->len)
        return mkt_fail(err, MKT_E_SHORT_RAND, 0, "RANDR", "RFC 6043 12.1");
    return MKT_OK;
}

/* --- answering ---------------------------------------------------------------------------------
 */

/* Common start of REQUEST_RESP and RESOLVE_RESP: HDR, T, IDRkms. */
static void
write_head(struct mkt_writer *w, const struct mkt_kms_txn *t, uint64_t t64)
{
    mkt_ex_header(w, t->resolve ? MKT_DT_RESOLVE_RESP : MKT_DT_REQUEST_RESP, false, t->ask.prf,
                  t->ask.csb_id, MKT_MAP_EMPTY);
    mkt_ts_write(w, t->ask.t.type, t64);
    mkt_ex_write_idr(w, MKT_IDR_KMS, t->kms);
}

static bool
response_keys(struct mkt_msg_keys *mk, const struct mkt_kms_txn *t, const struct mkt_env *env)
{
    struct mkt_label label = t->init_label;

    label.use = MKT_USE_RESP;
    return mkt_derive_msg_keys(mk, t->psk, env->crypto, t->suite, &label, MKT_WANT_ALL);
}

struct issue {
    const struct mkt_ticket_type *type;
    struct mkt_base_ticket ticket;
    uint32_t csb_id; /* of a compatibility ticket */
    uint8_t rand[MKT_SECRET_MAX];
    uint64_t t64; /* of REQUEST_RESP */
};

/* The timestamp is one of those that RFC 3830 has, whatever the request uses. */
static enum mkt_rc
draw_compat(struct issue *d, struct mkt_kms_txn *t, const struct mkt_env *env,
            const struct mkt_policy *granted, const struct mkt_tpk *tpk)
{
    struct mkt_err err = { 0 };
    uint8_t id[4];

    if (mkt_compat_policy_check(granted, &err) != MKT_OK)
        return err.rc;
    if (granted->n_wanted != 1 || !mkt_identity_equal(tpk->owner, granted->responders[0]))
        return MKT_E_ARGUMENT;
    if (!mkt_kms_draw_keys(t, granted, env) || !mkt_ex_random(env, id, sizeof id) ||
        !mkt_ex_random(env, d->rand, MKT_COMPAT_RAND_LEN))
        return MKT_E_RANDOM;
    d->csb_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    d->ticket.rand = mkt_span(d->rand, MKT_COMPAT_RAND_LEN);
    /* GCOV_EXCL_BR_LINE: NTP-UTC needs no counter */
    if (!mkt_ts_stamp(env, MKT_TS_NTP_UTC, &d->ticket.t64) ||
        !mkt_ts_stamp(env, t->ask.t.type, &d->t64))
        return MKT_E_TS_TYPE;
    return MKT_OK;
}

static enum mkt_rc
draw_issue(struct issue *d, struct mkt_kms_txn *t, const struct mkt_env *env,
           const struct mkt_policy *granted, const struct mkt_tpk *tpk)
{
    size_t n = tpk->key->len > t->suite->key_len ? tpk->key->len : t->suite->key_len;

    if (granted->n_wanted > MKT_KEYS_MAX - 2 || n > sizeof d->rand ||
        tpk->key->len < t->suite->key_len || granted->prf != t->suite->prf)
        return MKT_E_ARGUMENT;
    if (d->type->kind == MKT_TICKET_COMPAT)
        return draw_compat(d, t, env, granted, tpk);
    if (!mkt_kms_draw_keys(t, granted, env))
        return MKT_E_RANDOM;
    if (!mkt_ts_stamp(env, t->ask.t.type, &d->ticket.t64))
        return MKT_E_TS_TYPE;
    if (!mkt_ex_random(env, d->rand, n))
        return MKT_E_RANDOM;
    d->ticket.rand = mkt_span(d->rand, n);
    return mkt_ts_stamp(env, t->ask.t.type, &d->t64) ? MKT_OK : MKT_E_TS_TYPE;
}

/* The MPK of a compatibility ticket protects nothing: it is there because 4.2.1.5 wants one. */
static bool
write_ticket(struct mkt_writer *w, struct mkt_kms_txn *t, const struct mkt_env *env,
             const struct mkt_policy *granted, const struct mkt_inkey *tpk, const struct issue *d)
{
    const struct mkt_compat_ticket compat = { d->csb_id, d->ticket.t64, d->ticket.rand,
                                              &t->keys.k[1] };

    if (d->type->kind == MKT_TICKET_COMPAT)
        return mkt_compat_ticket_write(w, env->crypto, tpk, granted, &compat);
    return mkt_base_ticket_write(w, env->crypto, tpk, granted, &d->ticket) &&
           mkt_mpk_split(&t->keys, granted, env->crypto, d->ticket.rand);
}

static bool
write_request_resp(struct mkt_writer *w, struct mkt_kms_txn *t, const struct mkt_env *env,
                   const struct mkt_policy *granted, const struct mkt_inkey *tpk,
                   const struct issue *d)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    const struct mkt_span tail = t->msg.octets;

    if (!response_keys(&mk, t, env))
        return false;
    write_head(w, t, d->t64);
    if (!write_ticket(w, t, env, granted, tpk, d))
        return false;
    if (!w->overflow)
        mkt_kms_name_ticket(t,
                            w->buf + w->len - 2); /* behind it, the length of no Initiator Data */
    return mkt_kemac_write(w, env->crypto, &mk, t->ask.csb_id, d->t64, &t->keys) &&
           mkt_ex_seal(w, env->crypto, &mk, &tail, 1);
}

/* A reference ticket leaves its keys with the KMS, under a name that is drawn. */
static enum mkt_rc
keep_keys(struct issue *d, struct mkt_kms_txn *t, const struct mkt_env *env)
{
    struct mkt_writer w = mkt_w_open(t->kept, sizeof t->kept);

    if (d->type->kind != MKT_TICKET_REFERENCE)
        return MKT_OK;
    if (!mkt_ex_random(env, t->reference, sizeof t->reference))
        return MKT_E_RANDOM;
    mkt_keys_write(&w, &t->keys);
    if (w.overflow) {
        mkt_wipe(t->kept, w.len);
        return MKT_E_NO_SPACE;
    }
    t->kept_len = w.len;
    d->ticket.thdr = mkt_span(t->reference, sizeof t->reference);
    d->ticket.keys = NULL;
    return MKT_OK;
}

enum mkt_next
mkt_kms_issue(struct mkt_kms_txn *t, const struct mkt_env *env, const struct mkt_policy *granted,
              const struct mkt_tpk *tpk, struct mkt_span thdr, struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 4.2.1.5";
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    struct issue d = {
        .type = mkt_ticket_type_of_policy(granted),
        .ticket = { .ts_type = t->ask.t.type, .tpk_id = tpk->id, .thdr = thdr, .keys = &t->keys }
    };

    if (t->stage != MKT_KMS_VERIFIED || t->resolve)
        return mkt_ex_abort(io, MKT_E_STATE, "issue before verify", ref);
    if (t->ticket_err.rc != MKT_OK)
        return mkt_ex_abort(io, t->ticket_err.rc, t->ticket_err.what, t->ticket_err.ref);
    if (d.type == NULL)
        return mkt_ex_abort(io, MKT_E_TICKET_TYPE, "granted policy", ref);
    forget_kept(t); /* of a ticket before this one */
    enum mkt_rc rc = draw_issue(&d, t, env, granted, tpk);
    if (rc == MKT_OK)
        rc = keep_keys(&d, t, env);
    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, "keys of the ticket", ref);
    rc = write_request_resp(&w, t, env, granted, tpk->key, &d) ? MKT_OK : MKT_E_CRYPTO;
    if (rc != MKT_OK || w.overflow) {
        forget_kept(t);
        t->has_ticket_id = false;
    }
    return rc == MKT_OK ? mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER)
                        : mkt_ex_abort(io, rc, "REQUEST_RESP", ref);
}

/* Who holds the TPK decides the mode (4.1.1, ambiguity 50). */
static bool
owner_fits(const struct mkt_policy *p, struct mkt_identity owner)
{
    if ((p->flags & MKT_TP_D) == 0)
        return mkt_identity_equal(owner, p->initiator);
    return owner.data.p == NULL ||
           (p->n_responders == 1 && mkt_identity_equal(owner, p->responders[0]));
}

void
mkt_kms_describe_keys(struct mkt_kms_txn *t)
{
    struct mkt_policy *p = &t->policy;
    const struct mkt_keys *keys = &t->keys;

    p->n_wanted = 0;
    p->has_kemac = true;
    for (size_t i = mkt_policy_mpks(p); i < keys->n; i++) {
        const struct mkt_key *k = &keys->k[i];

        p->wanted[p->n_wanted++] = (struct mkt_want_key){ .type = k->type,
                                                          .kv = k->kv,
                                                          .key_len = k->key.n,
                                                          .salt_len = k->salt.n,
                                                          .spi = mkt_span(k->spi, k->spi_len) };
    }
}

enum mkt_rc
mkt_kms_open(struct mkt_kms_txn *t, const struct mkt_env *env, const struct mkt_tpk *tpk,
             struct mkt_err *err)
{
    const struct mkt_policy *p = &t->policy;

    if (t->stage != MKT_KMS_VERIFIED || !t->resolve)
        return mkt_fail(err, MKT_E_STATE, 0, "open before verify", "RFC 6043 4.2.3.4");
    if (t->ticket_err.rc != MKT_OK) {
        *err = t->ticket_err;
        return err->rc;
    }
    if (mkt_base_ticket_open(&t->keys, t->ticket, &t->data, p, env->crypto, tpk->key, err) !=
        MKT_OK)
        return err->rc;
    if (!owner_fits(p, tpk->owner))
        return mkt_fail(err, MKT_E_TICKET, t->ticket->at, "ticket under a TPK of another party",
                        "RFC 6043 4.1.1");
    if (mkt_policy_check(p->flags, mkt_keys_have_tgk(&t->keys), err) != MKT_OK ||
        mkt_policy_valid_at(p, env->now, err) != MKT_OK)
        return err->rc;
    if (t->has_initiator_data &&
        mkt_initiator_data_verify(&t->initiator_data, t->ticket, env->crypto, t->suite,
                                  &t->keys.k[1].key, err) != MKT_OK)
        return err->rc;
    mkt_kms_describe_keys(t);
    t->stage = MKT_KMS_OPENED;
    return MKT_OK;
}

static bool
fork_for(struct mkt_kms_txn *t, const struct mkt_env *env, struct mkt_identity responder,
         struct mkt_span rand)
{
    uint8_t prf = t->policy.prf;

    return mkt_fork_key(&t->keys.k[1].key, env->crypto, prf, MKT_C_MPKR_FORKED, responder.data,
                        rand) &&
           mkt_keys_fork(&t->keys, env->crypto, prf, responder.data, rand);
}

static bool
write_resolve_resp(struct mkt_writer *w, const struct mkt_kms_txn *t, const struct mkt_env *env,
                   struct mkt_identity responder, struct mkt_span rand, uint64_t t64)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    const struct mkt_span tail = t->msg.octets;

    if (!response_keys(&mk, t, env))
        return false;
    write_head(w, t, t64);
    if (!mkt_kemac_write(w, env->crypto, &mk, t->ask.csb_id, t64, &t->keys))
        return false;
    if (rand.n != 0) {
        mkt_ex_write_idr(w, MKT_IDR_R, responder);
        mkt_ex_write_randr(w, MKT_RANDR_KMS, rand);
    }
    return mkt_ex_seal(w, env->crypto, &mk, &tail, 1);
}

enum mkt_next
mkt_kms_relay(struct mkt_kms_txn *t, const struct mkt_env *env, struct mkt_identity responder,
              struct mkt_span rand_kms, struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 4.2.3.5";
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    uint64_t t64 = 0;

    if (mkt_policy_mpks(&t->policy) == 2 && (responder.data.p == NULL || rand_kms.n == 0))
        return mkt_ex_abort(io, MKT_E_MISSING_PAYLOAD, "IDRr or RANDRkms although I = 1", ref);
    if (mkt_policy_mpks(&t->policy) == 1)
        rand_kms = mkt_span(NULL, 0);
    if (!mkt_ts_stamp(env, t->ask.t.type, &t64))
        return mkt_ex_abort(io, MKT_E_TS_TYPE, "T", ref);
    if (!write_resolve_resp(&w, t, env, responder, rand_kms, t64))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "RESOLVE_RESP", ref);
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER);
}

enum mkt_next
mkt_kms_resolve(struct mkt_kms_txn *t, const struct mkt_env *env, struct mkt_identity responder,
                struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 4.2.3.5";
    uint8_t rand[MKT_SECRET_MAX];
    size_t n = 0;

    if (t->stage != MKT_KMS_OPENED)
        return mkt_ex_abort(io, MKT_E_STATE, "resolve before open", ref);
    if (mkt_policy_mpks(&t->policy) == 2) {
        size_t longest = mkt_keys_longest(&t->keys, 1U << MKT_KEY_MPK | MKT_TGK_TYPES);
        n = longest > t->suite->key_len ? longest : t->suite->key_len;
    }
    if (responder.data.n > MKT_ID_MAX)
        return mkt_ex_abort(io, MKT_E_IDENTITY, "IDRr: too long", ref);
    if (!mkt_ex_random(env, rand, n))
        return mkt_ex_abort(io, MKT_E_RANDOM, "RANDRkms", ref);
    t->stage = MKT_KMS_VERIFIED; /* the keys are forked once, and for one responder */
    if (n != 0 && !fork_for(t, env, responder, mkt_span(rand, n)))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "MPKr', TGK'", ref);
    return mkt_kms_relay(t, env, responder, mkt_span(rand, n), io);
}

enum mkt_rc
mkt_kms_error_of(struct mkt_error_message *e, const struct mkt_kms_txn *t,
                 const struct mkt_env *env, enum mkt_rc rc)
{
    const struct mkt_time asked =
        t->stage >= MKT_KMS_PARSED ? mkt_ex_time(&t->msg) : (struct mkt_time){ 0 };

    *e = (struct mkt_error_message){ .error_no = mkt_wire_error(rc),
                                     .map_type = MKT_MAP_EMPTY,
                                     .ts_type = asked.type,
                                     .prf = t->msg.hdr.prf,
                                     .csb_id = t->msg.hdr.csb_id };
    if (t->stage < MKT_KMS_PARSED)
        return MKT_E_STATE;
    return mkt_ts_stamp(env, asked.type, &e->t64) ? MKT_OK : MKT_E_TS_TYPE;
}

enum mkt_next
mkt_kms_refuse(struct mkt_kms_txn *t, const struct mkt_env *env, enum mkt_rc rc, struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 5.4";
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    struct mkt_error_message e;
    bool authentic = t->stage >= MKT_KMS_VERIFIED;
    enum mkt_rc made = mkt_kms_error_of(&e, t, env, rc);

    if (made != MKT_OK)
        return mkt_ex_abort(io, made, made == MKT_E_STATE ? "nothing to answer" : "T", ref);
    if (authentic &&
        !mkt_derive_msg_keys(&mk, t->psk, env->crypto, t->suite, &t->init_label, MKT_WANT_AUTH))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "V", ref);
    if (!mkt_error_write(&w, env->crypto, &e, authentic ? &mk : NULL))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "V", ref);
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER);
}
