/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of Ticket Request (4.2.1) and Ticket Resolve (4.2.3): they differ in two
 * numbers and in the payload that is asked about. */
#include "exchange/exchange.h"

#include <string.h>

/* RANDRi or RANDRr: its role is also the role of the IDR that names the client. */
static uint8_t
role_of(const struct mkt_kms_exchange *x)
{
    return x->init_type == MKT_DT_REQUEST_INIT_PSK ? MKT_RANDR_I : MKT_RANDR_R;
}

static struct mkt_label
label_of(const struct mkt_kms_exchange *x, bool response)
{
    struct mkt_span rand = mkt_span(x->rand, x->rand_len);
    struct mkt_label l = { .use = response ? MKT_USE_RESP : MKT_USE_INIT, .csb_id = x->csb_id };

    *(role_of(x) == MKT_RANDR_I ? &l.nonce1 : &l.nonce2) = rand;
    return l;
}

void
mkt_kms_exchange_wipe(struct mkt_kms_exchange *x)
{
    mkt_octets_free(&x->init);
    mkt_wipe(x->rand, sizeof x->rand);
    x->rand_len = 0;
}

/* RFC6043:12.1: one RAND alone must be as long as the PSK here. */
static enum mkt_rc
draw(struct mkt_kms_exchange *x, const struct mkt_env *env, const struct mkt_credential *cred,
     const struct mkt_suite *suite)
{
    uint8_t id[4];

    x->rand_len = cred->psk->len > suite->key_len ? cred->psk->len : suite->key_len;
    if (x->rand_len > sizeof x->rand)
        return MKT_E_ARGUMENT;
    if (!mkt_ex_random(env, id, sizeof id) || !mkt_ex_random(env, x->rand, x->rand_len))
        return MKT_E_RANDOM;
    x->csb_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return MKT_OK;
}

static void
write_body(struct mkt_writer *w, const struct mkt_kms_exchange *x,
           const struct mkt_credential *cred, unsigned omit, uint64_t t64,
           void (*body)(struct mkt_writer *w, const void *arg), const void *arg)
{
    mkt_ex_header(w, x->init_type, true, x->prf, x->csb_id, MKT_MAP_EMPTY);
    mkt_ex_write_t(w, cred->ts_type, t64);
    mkt_ex_write_randr(w, role_of(x), mkt_span(x->rand, x->rand_len));
    if ((omit & MKT_OMIT_SELF) == 0)
        mkt_ex_write_idr(w, role_of(x) == MKT_RANDR_I ? MKT_IDR_I : MKT_IDR_R, cred->self);
    if ((omit & MKT_OMIT_KMS) == 0)
        mkt_ex_write_idr(w, MKT_IDR_KMS, cred->kms);
    body(w, arg);
    if (cred->psk_id.n != 0)
        mkt_ex_write_idr(w, MKT_IDR_PSK, (struct mkt_identity){ MKT_ID_BYTES, cred->psk_id });
}

enum mkt_next
mkt_kms_exchange_open(struct mkt_kms_exchange *x, const struct mkt_env *env,
                      const struct mkt_credential *cred, uint8_t prf, unsigned omit,
                      void (*body)(struct mkt_writer *w, const void *arg), const void *arg,
                      struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 4.2";
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    const struct mkt_suite *suite = mkt_suite_of(prf);
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    const struct mkt_span tail[2] = { cred->self.data, cred->kms.data };
    uint64_t t64 = 0;

    x->prf = prf;
    if (cred->psk == NULL || suite == NULL || cred->psk->len < suite->key_len)
        return mkt_ex_abort(io, MKT_E_WEAK_KEY, "credential: PSK does not fit the suite", ref);
    enum mkt_rc rc = draw(x, env, cred, suite);
    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, "CSB ID, RANDR", ref);
    if (!mkt_ts_stamp(env, cred->ts_type, &t64))
        return mkt_ex_abort(io, MKT_E_TS_TYPE, "T", "RFC 6043 6.3");
    struct mkt_label label = label_of(x, false);
    if (!mkt_derive_msg_keys(&mk, cred->psk, env->crypto, suite, &label, MKT_WANT_AUTH))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "PSK", "RFC 6043 5.1.2");
    write_body(&w, x, cred, omit, t64, body, arg);
    if (!mkt_ex_seal(&w, env->crypto, &mk, tail, 2))
        return mkt_ex_abort(io, MKT_E_CRYPTO, "V", "RFC 6043 5.5");
    if (!w.overflow && mkt_octets_set(&x->init, mkt_span(w.buf, w.len)) != MKT_OK)
        return mkt_ex_abort(io, MKT_E_MEMORY, "message", ref);
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_KMS);
}

static bool
keys_of(struct mkt_msg_keys *mk, const struct mkt_kms_exchange *x, const struct mkt_env *env,
        const struct mkt_credential *cred, bool response, enum mkt_which which)
{
    struct mkt_label label = label_of(x, response);
    return mkt_derive_msg_keys(mk, cred->psk, env->crypto, mkt_suite_of(x->prf), &label, which);
}

static enum mkt_rc
take_error(const struct mkt_kms_exchange *x, const struct mkt_env *env,
           const struct mkt_credential *cred, const struct mkt_msg *m, struct mkt_io *io)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };

    if (!keys_of(&mk, x, env, cred, false, MKT_WANT_AUTH))
        return mkt_fail(&io->err, MKT_E_CRYPTO, 0, "PSK", "RFC 6043 5.1.2");
    return mkt_error_take(m, env->crypto, x->prf, x->csb_id, &mk, io);
}

enum mkt_rc
mkt_kms_exchange_answer(const struct mkt_kms_exchange *x, const struct mkt_env *env,
                        const struct mkt_credential *cred, struct mkt_msg *m,
                        struct mkt_msg_keys *mk, struct mkt_io *io)
{
    const struct mkt_suite *suite = NULL;
    const struct mkt_span tail = mkt_octets_span(&x->init);

    io->authentic = false;
    if (x->init.p == NULL)
        return mkt_fail(&io->err, MKT_E_STATE, 0, "no message to the KMS is open", "RFC 6043 4.2");
    if (mkt_msg_parse(m, io->in, &io->err) != MKT_OK || mkt_msg_check(m, &io->err) != MKT_OK)
        return io->err.rc;
    if (m->hdr.data_type == MKT_DT_ERROR)
        return take_error(x, env, cred, m, io);
    if (mkt_ex_answers(m, x->resp_type, x->prf, x->csb_id, &io->err) != MKT_OK ||
        mkt_ex_suite(&suite, m, &io->err) != MKT_OK)
        return io->err.rc;
    if (!keys_of(mk, x, env, cred, true, MKT_WANT_ALL))
        return mkt_fail(&io->err, MKT_E_CRYPTO, 0, "PSK", "RFC 6043 5.1.2");
    io->authentic = mkt_ex_verify(m, env->crypto, mk, &tail, 1, &io->err) == MKT_OK;
    return io->err.rc;
}

enum mkt_rc
mkt_kms_exchange_keys(struct mkt_keys *keys, const struct mkt_msg *m, struct mkt_crypto *c,
                      const struct mkt_msg_keys *mk, const struct mkt_policy *policy,
                      struct mkt_err *err)
{
    const struct mkt_payload *kemac = mkt_msg_find(m, MKT_PL_KEMAC, 0);
    struct mkt_time t = mkt_ex_time(m);

    if (mkt_kemac_read(keys, kemac, c, mk, m->hdr.csb_id, t.value, err) != MKT_OK ||
        mkt_keys_arrange(keys, mkt_policy_mpks(policy), kemac->at, err) != MKT_OK)
        return err->rc;
    return mkt_policy_check(policy->flags, mkt_keys_have_tgk(keys), err);
}
