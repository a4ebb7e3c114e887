/* SPDX-License-Identifier: Apache-2.0 */
/* Signaling between KMSs (RFC 6043 10): a KMS that did not issue a ticket has it resolved by the
 * one that did, as if it were the Responder, and passes on what it learns under its own Responder's
 * key. */
#include "role/kms.h"

#include "backend/backend.h"

#define REF "RFC 6043 10"

struct mkt_kms_forward {
    struct mkt_own_credential own;
    struct mkt_kms_exchange resolve;
};

struct mkt_kms_forward *
mkt_kms_forward_new(const struct mkt_credential *peer)
{
    struct mkt_kms_forward *f = mkt_be_alloc(sizeof *f);

    if (f == NULL)
        return NULL;
    f->resolve.init_type = MKT_DT_RESOLVE_INIT_PSK;
    f->resolve.resp_type = MKT_DT_RESOLVE_RESP;
    if (mkt_own_credential_set(&f->own, peer) != MKT_OK) {
        mkt_kms_forward_free(f);
        return NULL;
    }
    return f;
}

void
mkt_kms_forward_free(struct mkt_kms_forward *f)
{
    if (f == NULL)
        return;
    mkt_own_credential_free(&f->own);
    mkt_kms_exchange_wipe(&f->resolve);
    mkt_be_free(f, sizeof *f);
}

static void
write_ticket(struct mkt_writer *w, const void *arg)
{
    mkt_pl_write(w, arg);
}

enum mkt_next
mkt_kms_forward(struct mkt_kms_forward *f, const struct mkt_kms_txn *t, const struct mkt_env *env,
                struct mkt_io *io)
{
    io->out_len = 0;
    if (t->stage != MKT_KMS_VERIFIED || !t->resolve)
        return mkt_ex_abort(io, MKT_E_STATE, "forward before verify", REF);
    if (t->ticket_err.rc != MKT_OK)
        return mkt_ex_abort(io, t->ticket_err.rc, t->ticket_err.what, t->ticket_err.ref);
    return mkt_kms_exchange_open(&f->resolve, env, &f->own.cred, t->ask.prf, f->own.cred.omit,
                                 write_ticket, t->ticket, io);
}

enum mkt_next
mkt_kms_forwarded(struct mkt_kms_forward *f, struct mkt_kms_txn *t, const struct mkt_env *env,
                  struct mkt_span answer, struct mkt_io *io)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_io in = { .in = answer };
    struct mkt_msg m;

    io->out_len = 0;
    if (t->stage != MKT_KMS_VERIFIED || !t->resolve)
        return mkt_ex_abort(io, MKT_E_STATE, "forwarded before verify", REF);
    if (mkt_kms_exchange_answer(&f->resolve, env, &f->own.cred, &m, &mk, &in) != MKT_OK ||
        mkt_kms_exchange_keys(&t->keys, &m, env->crypto, &mk, &t->policy, &in.err) != MKT_OK) {
        io->err = in.err;
        io->peer_error = in.peer_error;
        io->peer_error_authentic = in.peer_error_authentic;
        return MKT_NEXT_ABORT;
    }
    mkt_kms_describe_keys(t);
    struct mkt_span rand = mkt_ex_randr(&m, MKT_RANDR_KMS);
    enum mkt_next next = mkt_kms_relay(t, env, mkt_ex_idr(&m, MKT_IDR_R), rand, io);
    if (next != MKT_NEXT_ABORT)
        mkt_kms_exchange_wipe(&f->resolve);
    return next;
}
