/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS side of messages with signatures (RFC 6043 4.2.1.3, 4.2.3.3). The order of the checks is
 * the point: nobody has the KMS decrypt anything before a signature of a trusted user verified. */
#include "role/kms.h"

#include "keys/pk.h"
#include <string.h>

#define ALL_PADDINGS (1U << MKT_PAD_PKCS1 | 1U << MKT_PAD_OAEP_SHA_1 | 1U << MKT_PAD_OAEP_SHA_256)

/* The certificates of a message, or those known for a client that sends none. */
struct chain {
    size_t n;
    const struct mkt_cert *cert[MKT_CHAIN_MAX];
    struct mkt_cert *own[MKT_CHAIN_MAX]; /* those parsed for this message; NULL: borrowed */
    uint8_t digest[MKT_CHAIN_MAX][MKT_CERT_DIGEST];
    bool sent;                 /* by the client: digest is filled */
    struct mkt_cert_path path; /* as it was found good for this message; window empty: known so */
};

static void
chain_free(struct chain *c)
{
    for (size_t i = 0; i < MKT_CHAIN_MAX; i++)
        mkt_cert_free(c->own[i]);
}

/* What was parsed for an authenticated message may serve the next one. */
static void
chain_keep(struct chain *c, struct mkt_cert_cache *cache)
{
    for (size_t i = 0; i < MKT_CHAIN_MAX; i++) {
        if (c->own[i] != NULL)
            mkt_cert_cache_keep(cache, c->digest[i], c->own[i]);
        c->own[i] = NULL;
    }
    if (c->sent && c->path.window.until > c->path.window.from)
        mkt_cert_cache_trust(cache, c->digest[0], &c->path);
}

/* --- which key of ours ------------------------------------------------------------------------ */

/* RFC6043:4.2.1.3 "the Initiator can indicate the key used in the CHASH payload". */
static const struct mkt_pkey *
key_of(const struct mkt_kms_txn *t, struct mkt_crypto *c, const struct mkt_kms_pk *how,
       struct mkt_err *err)
{
    const struct mkt_payload *pl = mkt_msg_find(&t->msg, MKT_PL_CHASH, 0);
    uint8_t digest[MKT_HASH_MAX];

    if (pl == NULL && how->n_keys != 0)
        return how->keys[0].key;
    for (size_t i = 0; pl != NULL && i < how->n_keys; i++) {
        struct mkt_span der = mkt_cert_der(how->keys[i].cert);
        if (!mkt_be_hash(c, pl->u.chash.hash_func, &der, 1, digest)) {
            mkt_fail(err, MKT_E_HASH, pl->at, "CHASH: Hash func", "RFC 3830 6.8");
            return NULL;
        }
        /* GCOV_EXCL_BR_LINE: the algorithm gave it its length */
        if (pl->u.chash.hash.n == (size_t)mkt_hash_len(pl->u.chash.hash_func) &&
            memcmp(pl->u.chash.hash.p, digest, pl->u.chash.hash.n) == 0)
            return how->keys[i].key;
    }
    mkt_fail(err, MKT_E_CERT, pl == NULL ? 0 : pl->at, "CHASH: no key of this KMS",
             "RFC 6043 4.2.1.3");
    return NULL;
}

/* --- who signs -------------------------------------------------------------------------------- */

static enum mkt_rc
add_cert(struct chain *c, const struct mkt_cert_cache *cache, struct mkt_crypto *crypto,
         const struct mkt_payload *pl, struct mkt_err *err)
{
    struct mkt_span der = pl->u.cert.data;
    size_t i = c->n;

    if (c->n == MKT_CHAIN_MAX)
        return mkt_fail(err, MKT_E_TOO_MANY, pl->at, "CERT", "RFC 6043 4.2.1.3");
    if (pl->u.cert.cert_type != MKT_CERT_X509 && pl->u.cert.cert_type != MKT_CERT_SIGN)
        return mkt_fail(err, MKT_E_CERT, pl->at, "CERT: Cert Type", "RFC 3830 6.7");
    /* DER only: 0x30 begins it, and everything else would be taken for PEM. */
    if (der.n == 0 || der.p[0] != 0x30)
        return mkt_fail(err, MKT_E_CERT, pl->at, "CERT: not DER", "RFC 3830 6.7");
    if (!mkt_be_hash(crypto, MKT_HASH_SHA_256, &der, 1, c->digest[i]))
        return mkt_fail(err, MKT_E_CRYPTO, pl->at, "CERT", "RFC 3830 6.7");
    c->cert[i] = mkt_cert_cache_find(cache, c->digest[i]);
    if (c->cert[i] == NULL && mkt_cert_next(&c->own[i], &der, err) != MKT_OK) {
        err->offset = pl->at;
        return err->rc;
    }
    if (c->cert[i] == NULL)
        c->cert[i] = c->own[i];
    c->n++;
    return MKT_OK;
}

static enum mkt_rc
read_chain(struct chain *c, const struct mkt_kms_txn *t, struct mkt_crypto *crypto,
           const struct mkt_kms_pk *how, struct mkt_err *err)
{
    const struct mkt_msg *m = &t->msg;

    for (size_t i = 0; i < m->n; i++)
        if (m->pl[i].type == MKT_PL_CERT &&
            add_cert(c, &t->certs, crypto, &m->pl[i], err) != MKT_OK)
            return err->rc;
    c->sent = c->n != 0;
    if (c->sent)
        return MKT_OK;
    if (how->n_known == 0 || how->n_known > MKT_CHAIN_MAX)
        return mkt_fail(err, MKT_E_CERT, 0, "no certificate of this client", "RFC 6043 4.2.1.3");
    memcpy(c->cert, how->known, how->n_known * sizeof c->cert[0]);
    c->n = how->n_known;
    return MKT_OK;
}

/* The identity of the message, which must be one of the certificate. */
static enum mkt_rc
identify(struct mkt_identity *client, struct mkt_kms_txn *t, const struct mkt_cert *cert,
         struct mkt_err *err)
{
    static const char ref[] = "RFC 6043 4.2.1.3";

    *client = t->ask.client;
    if (client->data.p == NULL)
        *client = mkt_ex_cert_identity(cert, t->client_id);
    if (client->data.p == NULL)
        return mkt_fail(err, MKT_E_AUTH, 0, "no IDR, and the certificate has not one name", ref);
    if (!mkt_ex_cert_is_of(cert, *client))
        return mkt_fail(err, MKT_E_AUTH, 0, "IDR is not in the certificate", ref);
    return MKT_OK;
}

/* Goes the path anew unless the same one was good before and must be now. */
static enum mkt_rc
check_path(struct chain *c, const struct mkt_cert_cache *cache, const struct mkt_env *env,
           const struct mkt_trust *trust, struct mkt_err *err)
{
    int64_t now = mkt_ntp_to_unix(env->now);
    uint8_t trusted[MKT_BE_TRUST_NAME];
    const struct mkt_span part[2] = { mkt_span(trusted, sizeof trusted),
                                      mkt_span(c->digest[0], c->n * MKT_CERT_DIGEST) };

    mkt_be_trust_name(trust, trusted);
    if (c->sent && !mkt_be_hash(env->crypto, MKT_HASH_SHA_256, part, 2, c->path.name))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "CERT", "RFC 3830 6.7");
    if (c->sent && mkt_cert_cache_trusts(cache, c->digest[0], c->path.name, now))
        return MKT_OK;
    return mkt_be_trust_verify(trust, c->cert, c->n, MKT_FOR_SIGNING, now, &c->path.window, err);
}

static enum mkt_rc
authenticate(struct mkt_identity *client, struct mkt_kms_txn *t, const struct mkt_env *env,
             const struct mkt_kms_pk *how, struct chain *c, struct mkt_err *err)
{
    const struct mkt_identity for_kms = t->ask.kms.data.p != NULL ? t->ask.kms : how->kms;

    if (how->trust == NULL)
        return mkt_fail(err, MKT_E_CERT, 0, "nobody is trusted", "RFC 3830 4.3.2");
    if (check_path(c, &t->certs, env, how->trust, err) != MKT_OK ||
        identify(client, t, c->cert[0], err) != MKT_OK)
        return err->rc;
    const struct mkt_span tail[2] = { client->data, for_kms.data };
    return mkt_ex_verify_sign(&t->msg, env->crypto, c->cert[0], how->sha1, tail, 2, err);
}

/* --- the envelope key ------------------------------------------------------------------------- */

static enum mkt_rc
unwrap(struct mkt_kms_txn *t, struct mkt_crypto *c, const struct mkt_pkey *key,
       const struct mkt_kms_pk *how, struct mkt_err *err)
{
    const struct mkt_payload *pl = mkt_msg_find(&t->msg, MKT_PL_PKE, 0);
    unsigned paddings = how->paddings != 0 ? how->paddings : ALL_PADDINGS;
    MKT_SCOPED_SECRET
    env_key = { .n = t->suite->key_len };

    if (!mkt_pke_open(c, key, paddings, pl->u.pke.data, env_key.n, env_key.b))
        return mkt_fail(err, MKT_E_AUTH, pl->at, "PKE", "RFC 3830 6.3");
    enum mkt_rc rc = mkt_inkey_mem_init(&t->env_key, mkt_secret_span(&env_key));
    /* GCOV_EXCL_BR_LINE: the key has the length of the suite */
    return rc == MKT_OK ? MKT_OK : mkt_fail(err, rc, pl->at, "PKE", "RFC 6043 12.1");
}

enum mkt_rc
mkt_kms_verify_pk(struct mkt_kms_txn *t, const struct mkt_env *env, const struct mkt_kms_pk *how,
                  struct mkt_err *err)
{
    struct chain __attribute__((cleanup(chain_free))) chain = { 0 };
    struct mkt_identity client;

    if (t->stage != MKT_KMS_BEGUN || !t->ask.pk)
        return mkt_fail(err, MKT_E_STATE, 0, "verify before begin, or not signed", "RFC 6043 4.2");
    const struct mkt_pkey *key = key_of(t, env->crypto, how, err);
    if (key == NULL || read_chain(&chain, t, env->crypto, how, err) != MKT_OK ||
        authenticate(&client, t, env, how, &chain, err) != MKT_OK)
        return err->rc;
    chain_keep(&chain, &t->certs);
    if (unwrap(t, env->crypto, key, how, err) != MKT_OK)
        return err->rc;
    t->ask.client = client;
    return mkt_kms_verified(t, &t->env_key.base, how->kms, err);
}

/* --- SIGNkms ---------------------------------------------------------------------------------- */

enum mkt_next
mkt_kms_refuse_signed(struct mkt_kms_txn *t, const struct mkt_env *env, enum mkt_rc rc,
                      const struct mkt_kms_signer *by, struct mkt_io *io)
{
    static const char ref[] = "RFC 6043 5.4";
    const struct mkt_ex_signer signer = { by->key, by->s_type, by->sha1 };
    struct mkt_writer w = mkt_w_open(io->out, io->cap);
    struct mkt_error_message e;

    if (t->stage < MKT_KMS_VERIFIED)
        return mkt_kms_refuse(t, env, rc, io);
    enum mkt_rc made = mkt_kms_error_of(&e, t, env, rc);
    if (made != MKT_OK)
        return mkt_ex_abort(io, made, "T", ref);
    (void)mkt_error_write(&w, env->crypto, &e, NULL);
    made = mkt_ex_sign(&w, env, &signer, NULL, 0);
    if (made != MKT_OK)
        return mkt_ex_abort(io, made, "SIGN", ref);
    return mkt_ex_done(io, &w, MKT_NEXT_SEND_PEER);
}
