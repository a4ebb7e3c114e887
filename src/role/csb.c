/* SPDX-License-Identifier: Apache-2.0 */
/* What a CSB tells and derives. TEKs are derived on demand, so that no derived key lives longer
 * than the moment it is handed over. */
#include "role/role.h"

uint32_t
mkt_csb_id(const struct mkt_csb *csb)
{
    return csb->id;
}

bool
mkt_csb_is_initiator(const struct mkt_csb *csb)
{
    return csb->initiator;
}

struct mkt_identity
mkt_csb_peer(const struct mkt_csb *csb)
{
    const struct mkt_own_identity *peer = csb->initiator ? &csb->id_r : &csb->id_i;
    return (struct mkt_identity){ peer->type, mkt_octets_span(&peer->data) };
}

bool
mkt_csb_peer_is_vouched(const struct mkt_csb *csb)
{
    const struct mkt_policy *p = &csb->policy;
    bool forks = (p->flags & MKT_TP_I) != 0;

    return csb->initiator
               ? forks
               : (forks || csb->alone) && mkt_identity_equal(mkt_csb_peer(csb), p->initiator);
}

const struct mkt_policy *
mkt_csb_policy(const struct mkt_csb *csb)
{
    return &csb->policy;
}

size_t
mkt_csb_count(const struct mkt_csb *csb)
{
    return csb->n;
}

uint64_t
mkt_csb_rekey_by(const struct mkt_csb *csb)
{
    return csb->policy.rekey.has ? csb->rekeyed + csb->policy.rekey.value : UINT64_MAX;
}

enum mkt_rc
mkt_csb_session(const struct mkt_csb *csb, size_t index, struct mkt_session *s)
{
    if (index >= csb->n)
        return MKT_E_ARGUMENT;
    *s = csb->sessions[index].s;
    return MKT_OK;
}

#define REF "RFC 6043 5.1.3"

/* RFC 3830 6.10.1 and RFC 7714: lengths by SP parameter, with the defaults of the registry. */
static size_t
param(struct mkt_span params, uint8_t type, size_t otherwise)
{
    struct mkt_sp_param p;

    while (mkt_sp_next(&params, &p)) {
        if (p.type != type)
            continue;
        size_t v = 0;
        for (size_t i = 0; i < p.value.n && v <= UINT16_MAX; i++)
            v = v << 8 | p.value.p[i];
        return v;
    }
    return otherwise;
}

enum { SP_ENCR_ALG = 0, SP_KEY_LEN = 1, SP_SALT_LEN = 4, SP_AES_GCM = 6 };

static size_t
salt_len(struct mkt_span params)
{
    size_t usual = param(params, SP_ENCR_ALG, 1) == SP_AES_GCM ? 12 : 14;
    return param(params, SP_SALT_LEN, usual);
}

/* Keys of one session, as long as out[i]->n says, by one keying of the PRF. */
static enum mkt_rc
derive(const struct mkt_csb *csb, struct mkt_crypto *c, size_t index,
       const enum mkt_constant constant[], struct mkt_secret *const out[], size_t n,
       struct mkt_err *err)
{
    const struct mkt_key *k = &csb->keys.k[csb->sessions[index].key];
    const struct mkt_span none = { NULL, 0 };
    bool h = (csb->policy.flags & MKT_TP_H) != 0, g = (csb->policy.flags & MKT_TP_G) != 0;
    const struct mkt_label label = { .use = MKT_USE_SESSION,
                                     .cs_id = csb->sessions[index].s.cs_id,
                                     .nonce1 = h ? mkt_octets_span(&csb->rand_i) : none,
                                     .nonce2 = g ? mkt_octets_span(&csb->rand_r) : none };
    if (!mkt_derive_secrets(out, constant, n, c, csb->prf, &k->key, &label))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "TEK", REF);
    return MKT_OK;
}

static enum mkt_rc
set_len(struct mkt_secret *key, size_t len, struct mkt_err *err)
{
    if (len == 0 || len > sizeof key->b)
        return mkt_fail(err, MKT_E_ARGUMENT, 0, "session key length", REF);
    key->n = (uint16_t)len;
    return MKT_OK;
}

enum mkt_rc
mkt_csb_derive_key(const struct mkt_csb *csb, struct mkt_crypto *c, size_t index,
                   enum mkt_session_key which, size_t len, struct mkt_secret *key,
                   struct mkt_err *err)
{
    static const enum mkt_constant constant[] = {
        [MKT_SESSION_TEK] = MKT_C_SESSION_TEK,
        [MKT_SESSION_ENCR] = MKT_C_SESSION_ENCR,
        [MKT_SESSION_AUTH] = MKT_C_SESSION_AUTH,
        [MKT_SESSION_SALT] = MKT_C_SESSION_SALT,
    };

    mkt_secret_wipe(key);
    if (index >= csb->n || (unsigned)which > MKT_SESSION_SALT)
        return mkt_fail(err, MKT_E_ARGUMENT, 0, "crypto session", REF);
    const struct mkt_key *k = &csb->keys.k[csb->sessions[index].key];
    if (k->type == MKT_KEY_TEK || k->type == MKT_KEY_TEK_SALT)
        return mkt_fail(err, MKT_E_KEY_DATA, 0, "a TEK derives no keys", REF);
    if (set_len(key, len, err) != MKT_OK)
        return err->rc;
    return derive(csb, c, index, &constant[which], &key, 1, err);
}

enum mkt_rc
mkt_csb_derive(const struct mkt_csb *csb, struct mkt_crypto *c, size_t index,
               struct mkt_secret *tek, struct mkt_secret *salt, struct mkt_err *err)
{
    static const enum mkt_constant constant[] = { MKT_C_SESSION_TEK, MKT_C_SESSION_SALT };
    struct mkt_secret *const out[] = { tek, salt };

    mkt_secret_wipe(tek);
    mkt_secret_wipe(salt);
    if (index >= csb->n)
        return mkt_fail(err, MKT_E_ARGUMENT, 0, "crypto session", REF);
    const struct mkt_key *k = &csb->keys.k[csb->sessions[index].key];
    struct mkt_span params = csb->sessions[index].s.params;
    if (k->type == MKT_KEY_TEK || k->type == MKT_KEY_TEK_SALT) {
        *tek = k->key;
        *salt = k->salt;
        return MKT_OK;
    }
    /* "SHALL use this salting key and a new salting key SHALL NOT be derived" */
    size_t salt_n = k->salt.n != 0 ? 0 : salt_len(params);
    if (set_len(tek, param(params, SP_KEY_LEN, 16), err) != MKT_OK ||
        (salt_n != 0 && set_len(salt, salt_n, err) != MKT_OK) ||
        derive(csb, c, index, constant, out, salt_n != 0 ? 2 : 1, err) != MKT_OK) {
        mkt_secret_wipe(tek);
        mkt_secret_wipe(salt);
    } else if (k->salt.n != 0) {
        *salt = k->salt;
    }
    return err->rc;
}
