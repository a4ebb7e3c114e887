/* SPDX-License-Identifier: Apache-2.0 */
/* A ticket that its Initiator makes (RFC 6043 4.1.1, modes 3 and 4): the same base ticket, under a
 * TPK that the Initiator shares with the KMS or with the Responder. */
#include "ticket/ticket.h"

#include "backend/backend.h"

#define REF "RFC 6043 4.1.1"

static enum mkt_rc
refuse(struct mkt_err *err, enum mkt_rc rc, const char *what)
{
    return mkt_fail(err, rc, 0, what, REF);
}

static enum mkt_rc
check(const struct mkt_own_ticket *own, const struct mkt_suite *suite, struct mkt_err *err)
{
    const struct mkt_policy *p = own->policy;

    if ((p->flags & MKT_TP_D) != 0)
        return refuse(err, MKT_E_TP_PARAM, "ticket of the KMS (D) made by the Initiator");
    const struct mkt_ticket_type *type = mkt_ticket_type_of_policy(p);
    if (type == NULL || type->kind != MKT_TICKET_BASE)
        return refuse(err, MKT_E_TICKET_TYPE, "only base tickets are made by the Initiator");
    if (suite == NULL)
        return refuse(err, MKT_E_PRF, "PRF Func");
    if (p->n_responders == 0)
        return refuse(err, MKT_E_TP_PARAM, "no IDRr");
    if (own->tpk->len < suite->key_len || own->tpk->len > MKT_SECRET_MAX)
        return refuse(err, MKT_E_WEAK_KEY, "TPK does not fit the suite");
    if (own->key_wrap && suite->encr != MKT_ENCR_AES_CM_128)
        return refuse(err, MKT_E_SUITE_MIX, "AES-KW-128 in the 256-bit suite");
    if (own->keys->n > MKT_KEYS_MAX - 2)
        return refuse(err, MKT_E_TOO_MANY, "keys");
    size_t mpk = own->keys->n != 0 && own->keys->k[0].type == MKT_KEY_MPK;
    if (mpk != 0 && (own->keys->k[0].kv != MKT_KV_SPI || own->keys->k[0].key.n < suite->key_len))
        return refuse(err, MKT_E_KEY_DATA, "MPK");
    if (mkt_keys_check_own(own->keys->k + mpk, own->keys->n - mpk, suite, err) != MKT_OK)
        return err->rc;
    return mkt_policy_check(p->flags, mkt_keys_have_tgk(own->keys), err);
}

/* The MPK of the ticket in front of the session keys. */
static enum mkt_rc
draw_mpk(struct mkt_keys *keys, const struct mkt_env *env, const struct mkt_own_ticket *own,
         const struct mkt_suite *suite, struct mkt_err *err)
{
    mkt_keys_copy(keys, own->keys);
    if (keys->n == 0 || keys->k[0].type != MKT_KEY_MPK) {
        struct mkt_key *k = &keys->k[keys->n++];
        k->type = MKT_KEY_MPK;
        k->kv = MKT_KV_SPI;
        k->key.n = suite->key_len;
        k->salt.n = 0;
        k->spi_len = 4;
        if (!env->random(env->ctx, k->key.b, k->key.n) || !env->random(env->ctx, k->spi, 4))
            return refuse(err, MKT_E_RANDOM, "MPK");
    }
    return mkt_keys_arrange(keys, 1, 0, err);
}

static enum mkt_rc
write_ticket(struct mkt_grant **g, const struct mkt_env *env, const struct mkt_own_ticket *own,
             struct mkt_keys *keys, uint8_t *buf, struct mkt_err *err)
{
    size_t longest = mkt_keys_longest(keys, 1U << MKT_KEY_MPK);
    uint8_t rand[MKT_SECRET_MAX];
    struct mkt_base_ticket t = { .ts_type = own->ts_type,
                                 .tpk_id = own->tpk_id,
                                 .thdr = own->thdr,
                                 .key_wrap = own->key_wrap,
                                 .keys = keys };
    struct mkt_writer w = mkt_w_open(buf, MKT_MSG_MAX);

    if (longest < own->tpk->len)
        longest = own->tpk->len;
    if (!mkt_ts_stamp(env, own->ts_type, &t.t64))
        return refuse(err, MKT_E_TS_TYPE, "T");
    if (!env->random(env->ctx, rand, longest))
        return refuse(err, MKT_E_RANDOM, "RAND");
    t.rand = mkt_span(rand, longest);
    if (!mkt_base_ticket_write(&w, env->crypto, own->tpk, own->policy, &t) ||
        !mkt_mpk_split(keys, own->policy, env->crypto, t.rand))
        return refuse(err, MKT_E_CRYPTO, "ticket");
    if (w.overflow)
        return refuse(err, MKT_E_NO_SPACE, "ticket");
    return mkt_grant_make(g, mkt_span(buf, w.len), keys, err);
}

enum mkt_rc
mkt_grant_create(struct mkt_grant **g, const struct mkt_env *env, const struct mkt_own_ticket *own,
                 struct mkt_err *err)
{
    const struct mkt_suite *suite = mkt_suite_of(own->policy->prf);
    MKT_SCOPED_KEYS keys;

    keys.n = 0;
    *g = NULL;
    if (check(own, suite, err) != MKT_OK || draw_mpk(&keys, env, own, suite, err) != MKT_OK)
        return err->rc;
    uint8_t *buf = mkt_be_alloc(MKT_MSG_MAX);
    if (buf == NULL)
        return refuse(err, MKT_E_MEMORY, "ticket");
    (void)write_ticket(g, env, own, &keys, buf, err);
    mkt_be_free(buf, MKT_MSG_MAX);
    return err->rc;
}
