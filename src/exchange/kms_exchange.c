/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of Ticket Request (4.2.1) and Ticket Resolve (4.2.3): they differ in two
 * numbers and in the payload that is asked about. */
#include "exchange/exchange.h"

#include "keys/pk.h"
#include <string.h>

#define REF "RFC 6043 4.2"

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
    mkt_inkey_mem_wipe(&x->env_key);
}

/* What the keys of the exchange are derived from (5.1.2). */
static const struct mkt_inkey *
inkey_of(const struct mkt_kms_exchange *x, const struct mkt_credential *cred)
{
    return cred->pk != NULL ? &x->env_key.base : cred->psk;
}

/* RFC6043:12.1: one RAND alone must be as long as the PSK here. Envelope keys have the suite's
 * length. */
static enum mkt_rc
draw(struct mkt_kms_exchange *x, const struct mkt_env *env, const struct mkt_credential *cred,
     const struct mkt_suite *suite)
{
    size_t longest = cred->pk == NULL ? cred->psk->len : 0;
    uint8_t id[4];

    x->rand_len = longest > suite->key_len ? longest : suite->key_len;
    if (x->rand_len > sizeof x->rand)
        return MKT_E_ARGUMENT;
    if (!mkt_ex_random(env, id, sizeof id) || !mkt_ex_random(env, x->rand, x->rand_len))
        return MKT_E_RANDOM;
    x->csb_id = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    return MKT_OK;
}

static void
write_certs(struct mkt_writer *w, const struct mkt_pk_credential *pk)
{
    for (size_t i = 0; i < pk->n_chain; i++)
        mkt_pl_write(
            w, &(struct mkt_payload){ .type = MKT_PL_CERT,
                                      .u.cert = { MKT_CERT_X509, mkt_cert_der(pk->chain[i]) } });
}

static void
write_body(struct mkt_writer *w, const struct mkt_kms_exchange *x,
           const struct mkt_credential *cred, unsigned omit, uint64_t t64,
           void (*body)(struct mkt_writer *w, const void *arg), const void *arg)
{
    mkt_ex_header(w, (uint8_t)(x->init_type + (cred->pk != NULL)), true, x->prf, x->csb_id,
                  MKT_MAP_EMPTY);
    mkt_ts_write(w, cred->ts_type, t64);
    mkt_ex_write_randr(w, role_of(x), mkt_span(x->rand, x->rand_len));
    if ((omit & MKT_OMIT_SELF) == 0)
        mkt_ex_write_idr(w, role_of(x) == MKT_RANDR_I ? MKT_IDR_I : MKT_IDR_R, cred->self);
    if (cred->pk != NULL)
        write_certs(w, cred->pk);
    if ((omit & MKT_OMIT_KMS) == 0)
        mkt_ex_write_idr(w, MKT_IDR_KMS, cred->kms);
    body(w, arg);
    if (cred->pk == NULL && cred->psk_id.n != 0)
        mkt_ex_write_idr(w, MKT_IDR_PSK, (struct mkt_identity){ MKT_ID_BYTES, cred->psk_id });
}

/* V, with the PSK. */
static enum mkt_rc
seal(struct mkt_writer *w, const struct mkt_kms_exchange *x, const struct mkt_env *env,
     const struct mkt_credential *cred, const struct mkt_span tail[2])
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_label label = label_of(x, false);

    if (!mkt_derive_msg_keys(&mk, cred->psk, env->crypto, mkt_suite_of(x->prf), &label,
                             MKT_WANT_AUTH) ||
        !mkt_ex_seal(w, env->crypto, &mk, tail, 2))
        return MKT_E_CRYPTO;
    return MKT_OK;
}

static enum mkt_rc
write_chash(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_pk_credential *pk)
{
    uint8_t digest[MKT_HASH_MAX];
    struct mkt_span der = mkt_cert_der(pk->kms);

    if (!pk->chash)
        return MKT_OK;
    if (!mkt_be_hash(c, pk->chash_func, &der, 1, digest))
        return MKT_E_HASH;
    mkt_pl_write(w, &(struct mkt_payload){
                        .type = MKT_PL_CHASH,
                        .u.chash = { pk->chash_func,
                                     mkt_span(digest, (size_t)mkt_hash_len(pk->chash_func)) } });
    return MKT_OK;
}

/* [CHASH], PKE, SIGN with a new envelope key. */
static enum mkt_rc
sign(struct mkt_writer *w, struct mkt_kms_exchange *x, const struct mkt_env *env,
     const struct mkt_pk_credential *pk, const struct mkt_span tail[2])
{
    MKT_SCOPED_SECRET
    key = { .n = mkt_suite_of(x->prf)->key_len };
    uint8_t sealed[MKT_RSA_MAX];
    const struct mkt_ex_signer by = { pk->key, pk->s_type, pk->sha1 };
    enum mkt_rc rc = write_chash(w, env->crypto, pk);

    if (rc == MKT_OK && !mkt_ex_random(env, key.b, key.n))
        rc = MKT_E_RANDOM;
    if (rc == MKT_OK)
        rc = mkt_inkey_mem_init(&x->env_key, mkt_secret_span(&key));
    if (rc == MKT_OK)
        rc = mkt_pke_seal(env, pk->kms, pk->padding, mkt_secret_span(&key), sealed);
    if (rc != MKT_OK)
        return rc;
    struct mkt_span data = mkt_span(sealed, (mkt_be_cert_bits(pk->kms) + 7) / 8);
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_PKE, .u.pke = { pk->cache, data } });
    return mkt_ex_sign(w, env, &by, tail, 2);
}

/* What a message would be refused for, and what would give its envelope key to somebody else. */
static enum mkt_rc
check_pk(const struct mkt_credential *cred, uint8_t prf, uint64_t now, struct mkt_err *err)
{
    const struct mkt_pk_credential *pk = cred->pk;
    const int64_t at = mkt_ntp_to_unix(now);

    if (pk->key == NULL || pk->kms == NULL || pk->n_chain > MKT_CHAIN_MAX)
        return mkt_fail(err, MKT_E_ARGUMENT, 0, "credential: no key, or no certificate of the KMS",
                        "RFC 6043 4.2.1.3");
    if (pk->sha1 && prf != MKT_PRF_MIKEY_1)
        return mkt_fail(err, MKT_E_SUITE_MIX, 0, "credential: SHA-1", "RFC 6043 12.1");
    if (pk->n_chain != 0 &&
        (!mkt_cert_fits(pk->chain[0], pk->key) || !mkt_ex_cert_is_of(pk->chain[0], cred->self)))
        return mkt_fail(err, MKT_E_CERT, 0, "credential: certificate of another key or identity",
                        "RFC 6043 4.2.1.3");
    if (mkt_cert_check(pk->kms, MKT_FOR_ENCRYPTION, at, err) != MKT_OK)
        return err->rc;
    if (!mkt_ex_cert_is_of(pk->kms, cred->kms))
        return mkt_fail(err, MKT_E_IDENTITY, 0, "certificate of the KMS names another",
                        "RFC 6043 4.2.1.3");
    return MKT_OK;
}

static enum mkt_rc
check_credential(const struct mkt_credential *cred, uint8_t prf, uint64_t now, struct mkt_err *err)
{
    const struct mkt_suite *suite = mkt_suite_of(prf);

    if (suite == NULL)
        return mkt_fail(err, MKT_E_PRF, 0, "PRF func", "RFC 6043 6.1");
    if (cred->pk != NULL)
        return check_pk(cred, prf, now, err);
    if (cred->psk == NULL || cred->psk->len < suite->key_len)
        return mkt_fail(err, MKT_E_WEAK_KEY, 0, "credential: PSK does not fit the suite", REF);
    return MKT_OK;
}

/* Writes the message of x, which is new. */
static enum mkt_next
open_new(struct mkt_kms_exchange *x, const struct mkt_env *env, const struct mkt_credential *cred,
         unsigned omit, void (*body)(struct mkt_writer *w, const void *arg), const void *arg,
         struct mkt_io *io)
{
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    const struct mkt_span tail[2] = { cred->self.data, cred->kms.data };
    uint64_t t64 = 0;
    enum mkt_rc rc = draw(x, env, cred, mkt_suite_of(x->prf));

    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, "CSB ID, RANDR", REF);
    if (!mkt_ts_stamp(env, cred->ts_type, &t64))
        return mkt_ex_abort(io, MKT_E_TS_TYPE, "T", "RFC 6043 6.3");
    write_body(&w, x, cred, omit, t64, body, arg);
    rc = cred->pk != NULL ? sign(&w, x, env, cred->pk, tail) : seal(&w, x, env, cred, tail);
    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, cred->pk != NULL ? "PKE, SIGN" : "V", "RFC 6043 5.5");
    if (!w.overflow && mkt_octets_set(&x->init, mkt_span(w.buf, w.len)) != MKT_OK)
        return mkt_ex_abort(io, MKT_E_MEMORY, "message", REF);
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_KMS);
}

/* The message before stays open until the new one is made: its answer may be on the way. */
enum mkt_next
mkt_kms_exchange_open(struct mkt_kms_exchange *x, const struct mkt_env *env,
                      const struct mkt_credential *cred, uint8_t prf, unsigned omit,
                      void (*body)(struct mkt_writer *w, const void *arg), const void *arg,
                      struct mkt_io *io)
{
    struct mkt_kms_exchange fresh = { x->init_type, x->resp_type, .prf = prf };
    enum mkt_rc rc = check_credential(cred, prf, env->now, &io->err);

    if (rc != MKT_OK)
        return mkt_ex_abort(io, rc, "credential", REF);
    enum mkt_next next = open_new(&fresh, env, cred, omit, body, arg, io);
    if (next == MKT_NEXT_ABORT) {
        mkt_kms_exchange_wipe(&fresh);
        return next;
    }
    mkt_kms_exchange_wipe(x);
    *x = fresh;
    mkt_wipe(&fresh, sizeof fresh); /* its octets are those of x now */
    return next;
}

static bool
keys_of(struct mkt_msg_keys *mk, const struct mkt_kms_exchange *x, const struct mkt_env *env,
        const struct mkt_credential *cred, bool response, enum mkt_which which)
{
    struct mkt_label label = label_of(x, response);
    return mkt_derive_msg_keys(mk, inkey_of(x, cred), env->crypto, mkt_suite_of(x->prf), &label,
                               which);
}

static bool
signed_by_kms(const struct mkt_msg *m, const struct mkt_env *env,
              const struct mkt_pk_credential *pk)
{
    struct mkt_err ignored = { 0 };
    return mkt_cert_check(pk->kms, MKT_FOR_SIGNING, mkt_ntp_to_unix(env->now), &ignored) ==
               MKT_OK &&
           mkt_ex_verify_sign(m, env->crypto, pk->kms, pk->sha1, NULL, 0, &ignored) == MKT_OK;
}

static enum mkt_rc
take_error(const struct mkt_kms_exchange *x, const struct mkt_env *env,
           const struct mkt_credential *cred, const struct mkt_msg *m, struct mkt_io *io)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };

    if (!keys_of(&mk, x, env, cred, false, MKT_WANT_AUTH))
        return mkt_fail(&io->err, MKT_E_CRYPTO, 0, "PSK", "RFC 6043 5.1.2");
    if (mkt_error_take(m, env->crypto, x->prf, x->csb_id, &mk, io) == MKT_E_PEER_ERROR &&
        cred->pk != NULL && m->pl[m->n - 1].type == MKT_PL_SIGN)
        io->peer_error_authentic = signed_by_kms(m, env, cred->pk);
    return io->err.rc;
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
