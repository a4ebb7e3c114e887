/* SPDX-License-Identifier: Apache-2.0 */
/* The Crypto Session Bundle: made when a transfer completes, then derives TEKs on demand, so that
 * no derived key lives longer than the moment it is handed over. */
#include "role/role.h"

#include "backend/backend.h"
#include <string.h>

#define REF "RFC 6043 6.1.1"

struct session {
    struct mkt_session s; /* borrows from the messages */
    uint8_t key;          /* index of its session key */
};

struct mkt_csb {
    uint32_t id;
    uint8_t prf;
    struct mkt_span rand_i, rand_r; /* empty when H or G is not set; borrow from the messages */
    struct mkt_octets init, resp, peer;
    uint8_t peer_type;
    struct mkt_policy policy; /* borrows from init */
    struct mkt_keys keys;
    size_t n;
    struct session *sessions;
};

void
mkt_csb_free(struct mkt_csb *csb)
{
    if (csb == NULL)
        return;
    mkt_keys_wipe(&csb->keys);
    mkt_octets_free(&csb->init);
    mkt_octets_free(&csb->resp);
    mkt_octets_free(&csb->peer);
    mkt_be_free(csb->sessions, csb->n * sizeof *csb->sessions);
    mkt_be_free(csb, sizeof *csb);
}

uint32_t
mkt_csb_id(const struct mkt_csb *csb)
{
    return csb->id;
}

struct mkt_identity
mkt_csb_peer(const struct mkt_csb *csb)
{
    return (struct mkt_identity){ csb->peer_type, mkt_octets_span(&csb->peer) };
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

/* --- making -------------------------------------------------------------------------------------
 */

static enum mkt_rc
refuse(struct mkt_err *err, enum mkt_rc rc, size_t at, const char *what)
{
    return mkt_fail(err, rc, at, what, REF);
}

static enum mkt_rc
make_session(struct mkt_csb *csb, struct session *out, const struct mkt_cs *cs,
             const struct mkt_msg *resp, const struct mkt_msg *init, size_t at, struct mkt_err *err)
{
    const struct mkt_pl_sp *sp =
        cs->policies.n == 1 ? mkt_transfer_sp(resp, init, cs->policies.p[0], cs->prot_type) : NULL;
    int key = mkt_keys_find(&csb->keys, cs->spi);

    if (sp == NULL)
        return refuse(err, MKT_E_SP, at, "crypto session: not exactly one known policy");
    if (cs->prot_type == MKT_PROT_SRTP && !cs->has_ssrc)
        return refuse(err, MKT_E_FIELD, at, "crypto session: no session data");
    if (key < 0)
        return refuse(err, MKT_E_KEY_DATA, at, "crypto session: no key with that SPI");
    *out = (struct session){
        .s = { .cs_id = cs->cs_id,
               .prot_type = cs->prot_type,
               .has_ssrc = cs->has_ssrc,
               .ssrc = cs->ssrc,
               .roc = cs->roc,
               .seq = cs->seq,
               .spi = cs->spi,
               .params = sp->params },
        .key = (uint8_t)key,
    };
    return MKT_OK;
}

static bool
has_cs(const struct mkt_msg *m, uint8_t cs_id)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    mkt_map_begin(&it, &m->hdr);
    while (mkt_map_next(&it, &cs))
        if (cs.cs_id == cs_id)
            return true;
    return false;
}

/* The response may add crypto sessions (4.2.2.3) but not lose one. */
static enum mkt_rc
check_complete(const struct mkt_msg *resp, const struct mkt_msg *init, struct mkt_err *err)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;

    mkt_map_begin(&it, &init->hdr);
    while (mkt_map_next(&it, &cs))
        if (!has_cs(resp, cs.cs_id))
            return refuse(err, MKT_E_FIELD, 8,
                          "CS ID map: a crypto session of the offer is missing");
    return MKT_OK;
}

static enum mkt_rc
make_sessions(struct mkt_csb *csb, const struct mkt_msg *resp, const struct mkt_msg *init,
              struct mkt_err *err)
{
    const struct mkt_msg *final = resp != NULL ? resp : init;
    struct mkt_map_iter it;
    struct mkt_cs cs;
    size_t i = 0;

    if (resp != NULL && check_complete(resp, init, err) != MKT_OK)
        return err->rc;
    csb->n = final->hdr.n_cs;
    if (csb->n == 0)
        return MKT_OK;
    csb->sessions = mkt_be_alloc(csb->n * sizeof *csb->sessions);
    if (csb->sessions == NULL)
        return refuse(err, MKT_E_MEMORY, 0, "CSB");
    mkt_map_begin(&it, &final->hdr);
    for (size_t at = (size_t)(it.rest.p - final->octets.p); mkt_map_next(&it, &cs);
         at = (size_t)(it.rest.p - final->octets.p))
        if (make_session(csb, &csb->sessions[i++], &cs, resp, init, at, err) != MKT_OK)
            return err->rc;
    return MKT_OK;
}

/* Everything a CSB refers to must live as long as it does: the messages are copied and parsed anew.
 */
static enum mkt_rc
make_inside(struct mkt_csb *csb, const struct mkt_csb_parts *parts, struct mkt_err *err)
{
    struct mkt_msg init, resp;
    const struct mkt_msg *r = parts->resp != NULL ? &resp : NULL;

    if (mkt_octets_set(&csb->init, parts->init->octets) != MKT_OK ||
        mkt_octets_set(&csb->peer, parts->peer.data) != MKT_OK ||
        (r != NULL && mkt_octets_set(&csb->resp, parts->resp->octets) != MKT_OK))
        return refuse(err, MKT_E_MEMORY, 0, "CSB");
    if (mkt_msg_parse(&init, mkt_octets_span(&csb->init), err) != MKT_OK ||
        (r != NULL && mkt_msg_parse(&resp, mkt_octets_span(&csb->resp), err) != MKT_OK))
        return err->rc;
    const struct mkt_payload *ticket = mkt_msg_find(&init, MKT_PL_TICKET, 0);
    if (mkt_policy_decode(&csb->policy, &ticket->u.ticket, true,
                          (size_t)(ticket->u.ticket.tp_data.p - init.octets.p), err) != MKT_OK)
        return err->rc;
    csb->id = init.hdr.csb_id;
    csb->prf = init.hdr.prf;
    csb->peer_type = parts->peer.type;
    csb->keys = *parts->keys;
    if ((parts->policy->flags & MKT_TP_H) != 0)
        csb->rand_i = mkt_ex_randr(&init, MKT_RANDR_I);
    if ((parts->policy->flags & MKT_TP_G) != 0 && r != NULL)
        csb->rand_r = mkt_ex_randr(&resp, MKT_RANDR_R);
    return make_sessions(csb, r, &init, err);
}

enum mkt_rc
mkt_csb_make(struct mkt_csb **out, const struct mkt_csb_parts *parts, struct mkt_err *err)
{
    struct mkt_csb *csb = mkt_be_alloc(sizeof *csb);

    *out = NULL;
    if (csb == NULL)
        return refuse(err, MKT_E_MEMORY, 0, "CSB");
    if (make_inside(csb, parts, err) != MKT_OK) {
        mkt_csb_free(csb);
        return err->rc;
    }
    *out = csb;
    return MKT_OK;
}

enum mkt_rc
mkt_check_transfer_rands(const struct mkt_keys *keys, size_t rand_i, size_t rand_r,
                         struct mkt_err *err)
{
    size_t longest = mkt_keys_longest(keys, 1U << MKT_KEY_MPK | MKT_TGK_TYPES | MKT_GTGK_TYPES);
    if (rand_i + rand_r < longest)
        return mkt_fail(err, MKT_E_SHORT_RAND, 0, "RANDRi and RANDRr", "RFC 6043 12.1");
    return MKT_OK;
}

/* --- using --------------------------------------------------------------------------------------
 */

enum mkt_rc
mkt_csb_session(const struct mkt_csb *csb, size_t index, struct mkt_session *s)
{
    if (index >= csb->n)
        return MKT_E_ARGUMENT;
    *s = csb->sessions[index].s;
    return MKT_OK;
}

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
    static const char ref[] = "RFC 6043 5.1.3";

    mkt_secret_wipe(key);
    if (index >= csb->n || len == 0 || len > sizeof key->b || (unsigned)which > MKT_SESSION_SALT)
        return mkt_fail(err, MKT_E_ARGUMENT, 0, "session key length", ref);
    const struct mkt_key *k = &csb->keys.k[csb->sessions[index].key];
    if (k->type == MKT_KEY_TEK || k->type == MKT_KEY_TEK_SALT)
        return mkt_fail(err, MKT_E_KEY_DATA, 0, "a TEK derives no keys", ref);
    const struct mkt_label label = { .use = MKT_USE_SESSION,
                                     .cs_id = csb->sessions[index].s.cs_id,
                                     .nonce1 = csb->rand_i,
                                     .nonce2 = csb->rand_r };
    key->n = (uint16_t)len;
    if (!mkt_derive_secret(key, c, csb->prf, &k->key, constant[which], &label))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "TEK", ref);
    return MKT_OK;
}

enum mkt_rc
mkt_csb_derive(const struct mkt_csb *csb, struct mkt_crypto *c, size_t index,
               struct mkt_secret *tek, struct mkt_secret *salt, struct mkt_err *err)
{
    mkt_secret_wipe(tek);
    mkt_secret_wipe(salt);
    if (index >= csb->n)
        return mkt_fail(err, MKT_E_ARGUMENT, 0, "crypto session", REF);
    const struct mkt_key *k = &csb->keys.k[csb->sessions[index].key];
    struct mkt_span params = csb->sessions[index].s.params;
    *salt = k->salt; /* "SHALL use this salting key and a new salting key SHALL NOT be derived" */
    if (k->type == MKT_KEY_TEK || k->type == MKT_KEY_TEK_SALT) {
        *tek = k->key;
        return MKT_OK;
    }
    if (mkt_csb_derive_key(csb, c, index, MKT_SESSION_TEK, param(params, SP_KEY_LEN, 16), tek,
                           err) != MKT_OK ||
        (salt->n == 0 && salt_len(params) != 0 &&
         mkt_csb_derive_key(csb, c, index, MKT_SESSION_SALT, salt_len(params), salt, err) !=
             MKT_OK)) {
        mkt_secret_wipe(tek);
        mkt_secret_wipe(salt);
    }
    return err->rc;
}
