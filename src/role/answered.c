/* SPDX-License-Identifier: Apache-2.0 */
/* The Initiator's half of Ticket Transfer that comes in: one TRANSFER_RESP for each device that
 * answers, each with keys of its own (RFC 6043 4.2.2.4, 5.1.1). */
#include "role/initiator.h"

/* RFC6043:4.2.2.3: what an answer must carry is told by the Ticket Policy. */
static enum mkt_rc
check_answer(const struct mkt_msg *m, const struct mkt_grant *grant, struct mkt_err *err)
{
    static const char ref[] = "RFC 6043 4.2.2.3";
    uint16_t flags = grant->policy.flags;

    if ((flags & MKT_TP_F) == 0)
        return mkt_fail(err, MKT_E_STATE, 1, "TRANSFER_RESP although F = 0", ref);
    if ((flags & MKT_TP_G) != 0 && mkt_msg_find(m, MKT_PL_RANDR, MKT_RANDR_R) == NULL)
        return mkt_fail(err, MKT_E_MISSING_PAYLOAD, 0, "RANDRr although G = 1", ref);
    if ((flags & MKT_TP_I) != 0 && (mkt_msg_find(m, MKT_PL_IDR, MKT_IDR_R) == NULL ||
                                    mkt_msg_find(m, MKT_PL_RANDR, MKT_RANDR_KMS) == NULL))
        return mkt_fail(err, MKT_E_MISSING_PAYLOAD, 0, "IDRr or RANDRkms although I = 1", ref);
    if (mkt_msg_find(m, MKT_PL_KEMAC, 0) != NULL && (flags & MKT_TP_M) == 0)
        return mkt_fail(err, MKT_E_KEY_DATA, 0, "KEMAC although M = 0", ref);
    return MKT_OK;
}

/* The keys as this responder has them: MPKr' and TGK' of its modifier (5.1.1). */
static enum mkt_rc
fork_keys(struct mkt_keys *keys, const struct mkt_grant *grant, const struct mkt_msg *m,
          struct mkt_crypto *c, struct mkt_err *err)
{
    struct mkt_span rand = mkt_ex_randr(m, MKT_RANDR_KMS);
    struct mkt_span id = mkt_ex_idr(m, MKT_IDR_R).data;
    uint8_t prf = grant->policy.prf;

    mkt_keys_copy(keys, &grant->keys);
    if (mkt_policy_mpks(&grant->policy) == 1)
        return MKT_OK;
    if (rand.n < mkt_keys_longest(keys, 1U << MKT_KEY_MPK | MKT_TGK_TYPES))
        return mkt_fail(err, MKT_E_SHORT_RAND, 0, "RANDRkms", "RFC 6043 12.1");
    if (id.n > MKT_ID_MAX)
        return mkt_fail(err, MKT_E_IDENTITY, 0, "IDRr: too long", "RFC 6043 5.1.1");
    if (!mkt_fork_key(&keys->k[1].key, c, prf, MKT_C_MPKR_FORKED, id, rand) ||
        !mkt_keys_fork(keys, c, prf, id, rand))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "MPKr', TGK'", "RFC 6043 5.1.1");
    return MKT_OK;
}

/* Keys that the Responder supplies are under the same keys as its V (5.2), read only once V holds.
 */
static enum mkt_rc
take_answered_keys(struct mkt_keys *keys, const struct mkt_msg *m, const struct mkt_policy *p,
                   struct mkt_crypto *c, const struct mkt_msg_keys *mk, struct mkt_err *err)
{
    const struct mkt_payload *kemac = mkt_msg_find(m, MKT_PL_KEMAC, 0);
    MKT_SCOPED_KEYS extra;

    extra.n = 0;
    if (kemac == NULL)
        return MKT_OK;
    if (mkt_kemac_read(&extra, kemac, c, mk, m->hdr.csb_id, mkt_ex_time(m).value, err) != MKT_OK)
        return err->rc;
    return mkt_keys_supply(keys, &extra, p, MKT_TP_M, err);
}

/* Verifies the answer with the keys of its responder and completes them with those supplied. */
static enum mkt_rc
verify_answer(const struct mkt_initiator *i, const struct mkt_env *env, const struct mkt_msg *init,
              const struct mkt_msg *m, struct mkt_keys *keys, struct mkt_err *err)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_inkey_ref inkey;
    const struct mkt_policy *p = &i->grant->policy;
    const struct mkt_span tail = mkt_octets_span(&i->offer);
    struct mkt_span rand_r =
        (p->flags & MKT_TP_G) != 0 ? mkt_ex_randr(m, MKT_RANDR_R) : mkt_span(NULL, 0);
    struct mkt_span rand_i = mkt_ex_randr(init, MKT_RANDR_I);
    const struct mkt_label label = mkt_transfer_label(true, init->hdr.csb_id, rand_i, rand_r);

    mkt_inkey_ref_init(&inkey, &keys->k[mkt_policy_mpks(p) - 1].key);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, env->crypto, mkt_suite_of(p->prf), &label,
                             MKT_WANT_ALL))
        return mkt_fail(err, MKT_E_CRYPTO, 0, "MPK", "RFC 6043 5.1.2");
    if (mkt_ex_verify(m, env->crypto, &mk, &tail, 1, err) != MKT_OK ||
        mkt_transfer_offered_keys(keys, init, p, env->crypto, err) != MKT_OK ||
        take_answered_keys(keys, m, p, env->crypto, &mk, err) != MKT_OK)
        return err->rc;
    return mkt_check_transfer_rands(keys, rand_i.n, rand_r.n, err);
}

static enum mkt_rc
take_error(const struct mkt_initiator *i, const struct mkt_env *env, const struct mkt_msg *init,
           const struct mkt_msg *m, struct mkt_io *io)
{
    MKT_SCOPED_MSG_KEYS
    mk = { 0 };
    struct mkt_inkey_ref inkey;
    const struct mkt_label label = mkt_transfer_label(
        false, init->hdr.csb_id, mkt_ex_randr(init, MKT_RANDR_I), mkt_span(NULL, 0));

    mkt_inkey_ref_init(&inkey, &i->grant->keys.k[0].key);
    if (!mkt_derive_msg_keys(&mk, &inkey.base, env->crypto, mkt_suite_of(init->hdr.prf), &label,
                             MKT_WANT_AUTH))
        return mkt_fail(&io->err, MKT_E_CRYPTO, 0, "MPKi", "RFC 6043 5.1.2");
    return mkt_error_take(m, env->crypto, init->hdr.prf, init->hdr.csb_id, &mk, io);
}

static struct mkt_identity
who_answered(const struct mkt_initiator *i, const struct mkt_msg *m)
{
    struct mkt_identity id = mkt_ex_idr(m, MKT_IDR_R);
    if (id.data.p == NULL)
        id = (struct mkt_identity){ i->responder_type, mkt_octets_span(&i->responder) };
    return id;
}

static enum mkt_rc
answered(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_io *io,
         struct mkt_csb **csb)
{
    MKT_SCOPED_KEYS keys;
    struct mkt_msg init, m;
    const struct mkt_suite *suite = NULL;
    struct mkt_err *err = &io->err;

    keys.n = 0;
    /* GCOV_EXCL_BR_LINE: our own message */
    if (mkt_msg_parse(&init, mkt_octets_span(&i->offer), err) != MKT_OK ||
        mkt_msg_parse(&m, io->in, err) != MKT_OK || mkt_msg_check(&m, err) != MKT_OK)
        return err->rc;
    if (m.hdr.data_type == MKT_DT_ERROR)
        return take_error(i, env, &init, &m, io);
    if (mkt_ex_answers(&m, MKT_DT_TRANSFER_RESP, init.hdr.prf, init.hdr.csb_id, err) != MKT_OK ||
        mkt_ex_suite(&suite, &m, err) != MKT_OK || check_answer(&m, i->grant, err) != MKT_OK ||
        fork_keys(&keys, i->grant, &m, env->crypto, err) != MKT_OK ||
        verify_answer(i, env, &init, &m, &keys, err) != MKT_OK)
        return err->rc;
    return mkt_csb_make(csb,
                        &(struct mkt_csb_parts){ .init = &init,
                                                 .resp = &m,
                                                 .keys = &keys,
                                                 .id_i = i->own.cred.self,
                                                 .id_r = who_answered(i, &m),
                                                 .initiator = true,
                                                 .now = env->now },
                        err);
}

enum mkt_next
mkt_initiator_answered(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_io *io,
                       struct mkt_csb **csb)
{
    *csb = NULL;
    io->out_len = 0;
    if (i->grant == NULL)
        return mkt_ex_abort(io, MKT_E_STATE, "no offer is open", "RFC 6043 4.2.2");
    return answered(i, env, io, csb) == MKT_OK ? MKT_NEXT_DONE : MKT_NEXT_ABORT;
}

enum mkt_rc
mkt_initiator_established(struct mkt_initiator *i, const struct mkt_env *env, struct mkt_csb **csb,
                          struct mkt_err *err)
{
    MKT_SCOPED_KEYS keys;
    struct mkt_msg init;

    keys.n = 0;
    *csb = NULL;
    if (i->grant == NULL || (i->grant->policy.flags & MKT_TP_F) != 0)
        return mkt_fail(err, MKT_E_STATE, 0, "no offer without an answer is open",
                        "RFC 6043 4.2.2.2");
    mkt_keys_copy(&keys, &i->grant->keys);
    if (mkt_msg_parse(&init, mkt_octets_span(&i->offer), err) != MKT_OK ||
        mkt_transfer_offered_keys(&keys, &init, &i->grant->policy, env->crypto, err) != MKT_OK)
        return err->rc;
    return mkt_csb_make(
        csb,
        &(struct mkt_csb_parts){ .init = &init,
                                 .keys = &keys,
                                 .id_i = i->own.cred.self,
                                 .id_r = { i->responder_type, mkt_octets_span(&i->responder) },
                                 .initiator = true,
                                 .now = env->now },
        err);
}
