/* SPDX-License-Identifier: Apache-2.0 */
/* See sealing.h: for each handler, the keys that its message needs. */
#include "sealing.h"

#include "message/message.h"
#include "role/initiator.h"
#include "scene_pk.h"
#include "seal.h"

static struct mkt_span
rand_of(const struct mkt_msg *m, uint8_t role)
{
    return mkt_ex_randr(m, role);
}

static struct mkt_span
named_or(const struct mkt_msg *m, uint8_t role, struct mkt_identity other)
{
    struct mkt_identity id = mkt_ex_idr(m, role);
    return id.data.p != NULL ? id.data : other.data;
}

/* The ticket of RESOLVE_INIT. */
static void
seal_resolved_ticket(const struct mkt_msg *m, const struct call *c)
{
    const struct mkt_payload *ticket = mkt_msg_find(m, MKT_PL_TICKET, 0);
    MKT_SCOPED_KEYS keys;

    keys.n = 0;
    if (ticket != NULL && mkt_seal_ticket(ticket, c->crypto, &c->tpk.base, &keys) && keys.n > 1)
        (void)mkt_seal_initiator_data(m, c->crypto, &keys.k[1].key);
}

/* REQUEST_INIT, RESOLVE_INIT: V under the PSK, over the names of client and KMS. */
static bool
seal_question(const struct mkt_msg *m, struct scene *s, bool resolve)
{
    struct call *c = &s->c;
    struct mkt_seal seal = {
        .crypto = c->crypto,
        .key = resolve ? &c->psk_bob[0].base : &c->psk_alice.base,
        .label = { .use = MKT_USE_INIT, .csb_id = m->hdr.csb_id },
        .tail = { named_or(m, resolve ? MKT_IDR_R : MKT_IDR_I, resolve ? c->bob[0] : c->alice),
                  named_or(m, MKT_IDR_KMS, c->kms) },
        .n_tail = 2,
    };

    *(resolve ? &seal.label.nonce2 : &seal.label.nonce1) =
        rand_of(m, resolve ? MKT_RANDR_R : MKT_RANDR_I);
    seal_resolved_ticket(m, c);
    return mkt_seal_message(m, &seal);
}

/* The same with certificates: signed by the user the scene is about, whoever the message names. */
static bool
seal_signed_question(const struct mkt_msg *m, struct scene *s, bool resolve)
{
    struct call *c = &s->c;
    const struct mkt_span tail[2] = { named_or(m, resolve ? MKT_IDR_R : MKT_IDR_I,
                                               resolve ? c->bob[0] : c->alice),
                                      named_or(m, MKT_IDR_KMS, c->kms) };

    seal_resolved_ticket(m, c);
    (void)mkt_seal_pke(m, s->cred.kms);
    return mkt_seal_sign(m, &c->env, s->cred.key, tail, 2);
}

/* REQUEST_RESP, RESOLVE_RESP: under the PSK or envelope key, over the question. */
static bool
seal_answer(const struct mkt_msg *m, struct scene *s, const struct message *question,
            const struct mkt_inkey *key, bool resolve)
{
    struct call *c = &s->c;
    struct mkt_msg q;
    struct mkt_err err = { 0 };
    struct mkt_seal seal = { .crypto = c->crypto,
                             .key = key,
                             .label = { .use = MKT_USE_RESP },
                             .tail = { mkt_span(question->b, question->n) },
                             .n_tail = 1 };

    if (mkt_msg_parse(&q, seal.tail[0], &err) != MKT_OK)
        return false;
    seal.label.csb_id = q.hdr.csb_id;
    *(resolve ? &seal.label.nonce2 : &seal.label.nonce1) =
        rand_of(&q, resolve ? MKT_RANDR_R : MKT_RANDR_I);
    return mkt_seal_message(m, &seal);
}

/* TRANSFER_INIT: the ticket first, since its keys protect the rest; Vi and Vr last. */
static bool
seal_offer(const struct mkt_msg *m, struct scene *s)
{
    struct call *c = &s->c;
    const struct mkt_payload *ticket = mkt_msg_find(m, MKT_PL_TICKET, 0);
    struct mkt_inkey_ref inkey;
    struct mkt_policy policy;
    struct mkt_err err = { 0 };
    MKT_SCOPED_KEYS keys;

    keys.n = 0;
    if (ticket == NULL || !mkt_seal_ticket(ticket, c->crypto, &c->tpk.base, &keys) ||
        mkt_policy_decode(&policy, &ticket->u.ticket, true, 0, &err) != MKT_OK)
        return false;
    mkt_inkey_ref_init(&inkey, &keys.k[0].key);
    const struct mkt_seal seal = {
        .crypto = c->crypto,
        .key = &inkey.base,
        .label =
            mkt_transfer_label(false, m->hdr.csb_id, rand_of(m, MKT_RANDR_I), mkt_span(NULL, 0)),
        .tail = { named_or(m, MKT_IDR_I, policy.initiator), named_or(m, MKT_IDR_R, c->bob[0]) },
        .n_tail = 2,
    };
    return mkt_seal_message(m, &seal) &&
           (mkt_policy_mpks(&policy) == 1 || mkt_seal_initiator_data(m, c->crypto, &keys.k[1].key));
}

/* TRANSFER_RESP: under the MPK that this message says was forked. */
static bool
seal_transfer_answer(const struct mkt_msg *m, struct scene *s)
{
    struct call *c = &s->c;
    const struct mkt_policy *p = &c->grant->policy;
    struct mkt_inkey_ref inkey;
    struct mkt_msg init;
    struct mkt_err err = { 0 };
    MKT_SCOPED_SECRET
    mpk = c->grant->keys.k[mkt_policy_mpks(p) - 1].key;

    if (mkt_msg_parse(&init, mkt_span(c->init.b, c->init.n), &err) != MKT_OK ||
        (mkt_policy_mpks(p) == 2 &&
         !mkt_fork_key(&mpk, c->crypto, p->prf, MKT_C_MPKR_FORKED, mkt_ex_idr(m, MKT_IDR_R).data,
                       rand_of(m, MKT_RANDR_KMS))))
        return false;
    mkt_inkey_ref_init(&inkey, &mpk);
    const struct mkt_seal seal = {
        .crypto = c->crypto,
        .key = &inkey.base,
        .label = mkt_transfer_label(true, init.hdr.csb_id, rand_of(&init, MKT_RANDR_I),
                                    rand_of(m, MKT_RANDR_R)),
        .tail = { init.octets },
        .n_tail = 1,
    };
    return mkt_seal_message(m, &seal);
}

/* CSB updates: the keys of the last message of the initial exchange, both ways. */
static bool
seal_update(const struct mkt_msg *m, struct scene *s, bool answer)
{
    const struct mkt_csb *csb = s->c.at_alice[0];
    struct mkt_inkey_ref inkey;
    struct mkt_seal seal = {
        .crypto = s->c.crypto,
        .key = &inkey.base,
        .label = mkt_transfer_label(true, csb->id, mkt_octets_span(&csb->rand_i),
                                    mkt_octets_span(&csb->rand_r)),
        .tail = { mkt_octets_span(&csb->id_i.data), mkt_octets_span(&csb->id_r.data) },
        .n_tail = 2,
    };

    if (answer) {
        seal.tail[0] = mkt_span(s->c.init.b, s->c.init.n);
        seal.n_tail = 1;
    }
    mkt_inkey_ref_init(&inkey, &csb->keys.k[mkt_policy_mpks(&csb->policy) - 1].key);
    return mkt_seal_message(m, &seal);
}

bool
sealing_run(uint8_t *octets, size_t n, struct scene *s, enum mkt_handler h)
{
    struct mkt_msg m;
    struct mkt_err err = { 0 };

    if (mkt_msg_parse(&m, mkt_span(octets, n), &err) != MKT_OK || m.n == 0)
        return false;
    switch (h) {
    case MKT_HANDLER_kms_request:
    case MKT_HANDLER_kms_resolve:
        return seal_question(&m, s, h == MKT_HANDLER_kms_resolve);
    case MKT_HANDLER_kms_request_pk:
    case MKT_HANDLER_kms_resolve_pk:
        return seal_signed_question(&m, s, h == MKT_HANDLER_kms_resolve_pk);
    case MKT_HANDLER_granted:
        return seal_answer(&m, s, &s->c.request, &s->c.psk_alice.base, false);
    case MKT_HANDLER_granted_pk:
        return seal_answer(&m, s, &s->c.request, &s->c.initiator->request.env_key.base, false);
    case MKT_HANDLER_refused_pk:
        return mkt_seal_sign(&m, &s->c.env, s->how.keys[0].key, NULL, 0);
    case MKT_HANDLER_resolved:
        return seal_answer(&m, s, &s->c.resolve[0], &s->c.psk_bob[0].base, true);
    case MKT_HANDLER_offered:
        return seal_offer(&m, s);
    case MKT_HANDLER_answered:
        return seal_transfer_answer(&m, s);
    case MKT_HANDLER_update_offered:
    case MKT_HANDLER_updated:
        return seal_update(&m, s, h == MKT_HANDLER_updated);
    case MKT_HANDLER_COUNT:
        break;
    }
    return false;
}

/* PKE as it was padded; nothing is signed anew. */
static void
reveal_pke(uint8_t *octets, size_t n, const struct scene *s)
{
    struct mkt_msg m;
    struct mkt_err err = { 0 };

    if (mkt_msg_parse(&m, mkt_span(octets, n), &err) != MKT_OK)
        return;
    const struct mkt_span pke = mkt_msg_find(&m, MKT_PL_PKE, 0)->u.pke.data;
    size_t at = (size_t)(pke.p - octets);
    (void)mkt_be_rsa_private(s->how.keys[0].key, mkt_span(s->honest.b + at, pke.n), octets + at);
}

void
sealing_reveal(uint8_t *octets, size_t n, struct scene *s, enum mkt_handler h)
{
    struct mkt_msg m;
    struct mkt_err err = { 0 };
    struct mkt_inkey_ref inkey;

    if (h == MKT_HANDLER_offered && mkt_msg_parse(&m, mkt_span(octets, n), &err) == MKT_OK) {
        const struct mkt_seal seal = { .crypto = s->c.crypto,
                                       .key = &inkey.base,
                                       .label = mkt_transfer_label(false, m.hdr.csb_id,
                                                                   rand_of(&m, MKT_RANDR_I),
                                                                   mkt_span(NULL, 0)) };
        mkt_inkey_ref_init(&inkey, &s->c.grant->keys.k[0].key);
        (void)mkt_seal_kemac(&m, &seal); /* the ticket is still whole */
    }
    (void)sealing_run(octets, n, s, h);
    if (scene_is_kms_pk(h))
        reveal_pke(octets, n, s);
}
