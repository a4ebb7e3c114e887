/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler does with any octets: the scene it waits in serves again as long as its messages
 * are refused, since a refusal changes nothing; whether that is so is a property too. */
#include "scene.h"

#include "message/message.h"
#include "role/initiator.h"
#include "role/responder.h"
#include "seal.h"

#include <stdlib.h>

#define NEED(condition)        \
    do {                       \
        if (!(condition))      \
            return #condition; \
    } while (0)

#define INPUT_MAX 4000     /* octets: more than any scene's message, so that parts may be doubled */
#define CANARY 0xC5        /* behind the output buffer */
#define DRAWN 0x5EED0000UL /* where the generator begins when a handler runs */

static uint8_t out[sizeof((struct scene *)NULL)->honest.b + 1];
static bool believed;

/* --- sealing: the keys that each message needs --------------------------------------------------
 */

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
    const struct mkt_payload *ticket = mkt_msg_find(m, MKT_PL_TICKET, 0);
    MKT_SCOPED_KEYS keys;

    keys.n = 0;
    *(resolve ? &seal.label.nonce2 : &seal.label.nonce1) =
        rand_of(m, resolve ? MKT_RANDR_R : MKT_RANDR_I);
    if (ticket != NULL && mkt_seal_ticket(ticket, c->crypto, &c->tpk.base, &keys) && keys.n > 1)
        (void)mkt_seal_initiator_data(m, c->crypto, &keys.k[1].key);
    return mkt_seal_message(m, &seal);
}

/* REQUEST_RESP, RESOLVE_RESP: under the PSK, over the question. */
static bool
seal_answer(const struct mkt_msg *m, struct scene *s, const struct message *question, bool resolve)
{
    struct call *c = &s->c;
    struct mkt_msg q;
    struct mkt_err err = { 0 };
    struct mkt_seal seal = { .crypto = c->crypto,
                             .key = resolve ? &c->psk_bob[0].base : &c->psk_alice.base,
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

/* Seals octets in place. False when they are no message that can be: they stay a forgery. */
static bool
seal(uint8_t *octets, size_t n, struct scene *s, enum mkt_handler h)
{
    struct mkt_msg m;
    struct mkt_err err = { 0 };

    if (mkt_msg_parse(&m, mkt_span(octets, n), &err) != MKT_OK || m.n == 0)
        return false;
    switch (h) {
    case MKT_HANDLER_kms_request:
    case MKT_HANDLER_kms_resolve:
        return seal_question(&m, s, h == MKT_HANDLER_kms_resolve);
    case MKT_HANDLER_granted:
        return seal_answer(&m, s, &s->c.request, false);
    case MKT_HANDLER_resolved:
        return seal_answer(&m, s, &s->c.resolve[0], true);
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

/* --- properties ---------------------------------------------------------------------------------
 */

/* What a handler made of its message. */
struct result {
    enum mkt_next next;
    bool success;        /* it believed the message */
    struct mkt_csb *csb; /* owned */
    struct mkt_grant *grant;
};

static const char *
refused(const struct mkt_io *io)
{
    NEED(io->out_len == 0);
    NEED(io->err.rc != MKT_OK && io->err.rc < MKT_RC_COUNT);
    NEED(io->err.what != NULL && io->err.what[0] != '\0');
    NEED(io->err.ref != NULL && strncmp(io->err.ref, "RFC ", 4) == 0);
    return NULL;
}

static const char *
keys_sane(const struct mkt_keys *keys, const struct mkt_policy *p)
{
    NEED(keys->n >= mkt_policy_mpks(p) && keys->n <= MKT_KEYS_MAX);
    for (size_t i = 0; i < keys->n; i++) {
        NEED((keys->k[i].type == MKT_KEY_MPK) == (i < mkt_policy_mpks(p)));
        NEED(keys->k[i].key.n >= 16 && keys->k[i].key.n <= MKT_SECRET_MAX);
        NEED(keys->k[i].salt.n <= MKT_SECRET_MAX);
    }
    return NULL;
}

/* Every session has one key that can be derived or is given, and a policy. */
static const char *
csb_sane(const struct mkt_csb *csb, struct mkt_crypto *crypto)
{
    NEED(mkt_csb_count(csb) <= 2 * UINT8_MAX);
    for (size_t i = 0; i < mkt_csb_count(csb); i++) {
        struct mkt_session session;
        struct mkt_err err = { 0 };
        MKT_SCOPED_SECRET
        tek = { 0 };
        MKT_SCOPED_SECRET
        salt = { 0 };
        NEED(mkt_csb_session(csb, i, &session) == MKT_OK);
        NEED(csb->sessions[i].key >= mkt_policy_mpks(&csb->policy));
        NEED(csb->sessions[i].key < csb->keys.n);
        enum mkt_rc rc = mkt_csb_derive(csb, crypto, i, &tek, &salt, &err);
        NEED(rc == MKT_OK || (tek.n == 0 && salt.n == 0 && err.ref != NULL));
        NEED(rc != MKT_OK || tek.n != 0);
    }
    return keys_sane(&csb->keys, &csb->policy);
}

static enum mkt_next
kms_answers(struct scene *s, struct mkt_io *io, struct mkt_identity client,
            const struct mkt_inkey *psk)
{
    struct call *c = &s->c;
    const struct mkt_tpk tpk = { .id = mkt_span("tpk", 3), .key = &c->tpk.base };
    const struct mkt_kms_ask *ask = mkt_kms_ask(c->txn);
    struct mkt_policy granted;

    if (mkt_kms_begin(c->txn, io->in, &io->err) != MKT_OK ||
        mkt_kms_verify(c->txn, &c->env, psk, client, c->kms, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    if (ask->resolve)
        return mkt_kms_open(c->txn, &c->env, &tpk, &io->err) != MKT_OK
                   ? MKT_NEXT_ABORT
                   : mkt_kms_resolve(c->txn, &c->env, client, io);
    if (mkt_policy_grant(&granted, ask->policy, &c->rules, client, c->kms, c->env.now, &io->err) !=
        MKT_OK)
        return MKT_NEXT_ABORT;
    return mkt_kms_issue(c->txn, &c->env, &granted, &tpk, mkt_span(NULL, 0), io);
}

/* A refusal can be told, and the Error message that tells it is one. */
static const char *
error_sane(const struct mkt_io *io, enum mkt_next next)
{
    struct mkt_msg m;
    struct mkt_err err = { 0 };

    if (next == MKT_NEXT_ABORT)
        return refused(io);
    NEED(io->out_len != 0 && io->out_len <= io->cap);
    NEED(mkt_msg_parse(&m, mkt_span(io->out, io->out_len), &err) == MKT_OK);
    NEED(mkt_msg_check(&m, &err) == MKT_OK);
    NEED(m.hdr.data_type == MKT_DT_ERROR);
    return NULL;
}

static const char *
kms(struct scene *s, struct mkt_io *io, struct result *r, bool resolve)
{
    struct call *c = &s->c;
    const char *broken = NULL;

    r->next = kms_answers(s, io, resolve ? c->bob[0] : c->alice,
                          resolve ? &c->psk_bob[0].base : &c->psk_alice.base);
    r->success = r->next == MKT_NEXT_SEND_PEER;
    if (r->success && resolve) {
        struct mkt_err err = { 0 };
        NEED(mkt_policy_check(mkt_kms_ask(c->txn)->policy->flags, false, &err) == MKT_OK);
    }
    if (r->next == MKT_NEXT_ABORT) {
        struct mkt_io error = { .out = io->out, .cap = io->cap };
        broken = error_sane(&error, mkt_kms_refuse(c->txn, &c->env, io->err.rc, &error));
    }
    mkt_kms_end(c->txn);
    return broken;
}

/* An offer is believed only when the KMS resolved its ticket. */
static const char *
responder(struct scene *s, struct mkt_io *io, struct result *r)
{
    struct call *c = &s->c;
    struct mkt_responder *bob = c->responder[0];
    const struct mkt_choice choice = { 0 };
    struct message resolve, resolved;
    struct mkt_io to_kms = { .out = resolve.b, .cap = sizeof resolve.b };

    r->next = mkt_responder_offered(bob, &c->env, SKEW_S, io);
    if (r->next == MKT_NEXT_ABORT) {
        struct mkt_io error = { .out = io->out, .cap = io->cap };
        return error_sane(&error,
                          mkt_responder_refuse(bob, &c->env, io->err.rc, &c->sp, 1, &error));
    }
    NEED(r->next == MKT_NEXT_ASK && io->out_len == 0);
    NEED(mkt_responder_offer_unverified(bob) != NULL);
    r->next = mkt_responder_accept(bob, &c->env, &choice, &to_kms);
    io->err = to_kms.err;
    if (r->next != MKT_NEXT_SEND_KMS)
        return NULL;
    struct mkt_io at_kms = { .in = mkt_span(resolve.b, to_kms.out_len),
                             .out = resolved.b,
                             .cap = sizeof resolved.b };
    r->next = kms_answers(s, &at_kms, c->bob[0], &c->psk_bob[0].base);
    io->err = at_kms.err;
    mkt_kms_end(c->txn);
    if (r->next == MKT_NEXT_SEND_PEER) {
        io->in = mkt_span(resolved.b, at_kms.out_len);
        r->next = mkt_responder_resolved(bob, &c->env, io, &r->csb);
        r->success = r->next != MKT_NEXT_ABORT;
    }
    return NULL;
}

static const char *
update(struct scene *s, struct mkt_io *io, struct result *r)
{
    struct mkt_csb *bob = s->c.at_bob[0];
    const struct mkt_choice choice = { 0 };
    const char *broken = NULL;

    r->next = mkt_csb_update_offered(bob, &s->c.env, SKEW_S, io);
    r->success = r->next != MKT_NEXT_ABORT;
    if (r->next == MKT_NEXT_ASK)
        r->next = mkt_csb_update_accept(bob, &s->c.env, &choice, io);
    if (r->next == MKT_NEXT_ABORT && io->authentic) {
        struct mkt_io error = { .out = io->out, .cap = io->cap };
        broken =
            error_sane(&error, mkt_csb_update_refuse(bob, &s->c.env, io->err.rc, NULL, 0, &error));
        NEED(broken != NULL || error.out_len != 0);
    }
    return broken != NULL ? broken : csb_sane(bob, s->c.crypto);
}

static const char *
run(struct scene *s, enum mkt_handler h, struct mkt_io *io, struct result *r)
{
    struct call *c = &s->c;

    c->drawn = DRAWN;
    switch (h) {
    case MKT_HANDLER_kms_request:
    case MKT_HANDLER_kms_resolve:
        return kms(s, io, r, h == MKT_HANDLER_kms_resolve);
    case MKT_HANDLER_granted:
        r->next = mkt_initiator_granted(c->initiator, &c->env, io, &r->grant);
        break;
    case MKT_HANDLER_answered:
        r->next = mkt_initiator_answered(c->initiator, &c->env, io, &r->csb);
        break;
    case MKT_HANDLER_offered:
        return responder(s, io, r);
    case MKT_HANDLER_resolved:
        r->next = mkt_responder_resolved(c->responder[0], &c->env, io, &r->csb);
        break;
    case MKT_HANDLER_update_offered:
        return update(s, io, r);
    case MKT_HANDLER_updated:
        r->next = mkt_csb_updated(c->at_alice[0], &c->env, io);
        r->success = r->next != MKT_NEXT_ABORT;
        return csb_sane(c->at_alice[0], c->crypto);
    case MKT_HANDLER_COUNT:
        break;
    }
    r->success = r->next != MKT_NEXT_ABORT;
    return NULL;
}

static const char *
check(const struct mkt_io *io, const struct result *r, struct mkt_crypto *crypto)
{
    if (r->next == MKT_NEXT_ABORT) {
        NEED(r->csb == NULL && r->grant == NULL);
        return refused(io);
    }
    NEED(io->err.rc == MKT_OK);
    NEED(io->out_len <= io->cap);
    NEED((r->next == MKT_NEXT_DONE) == (io->out_len == 0));
    if (r->csb != NULL)
        return csb_sane(r->csb, crypto);
    return r->grant != NULL ? keys_sane(mkt_grant_keys(r->grant), mkt_grant_policy(r->grant))
                            : NULL;
}

/* Runs the handler once; *success tells whether it believed the message. */
static const char *
once(struct scene *s, enum mkt_handler h, struct mkt_span message, bool *success)
{
    struct result r = { .next = MKT_NEXT_ABORT };
    struct mkt_io io = { .in = message, .out = out, .cap = sizeof out - 1 };

    out[io.cap] = CANARY;
    const char *broken = run(s, h, &io, &r);
    broken = broken != NULL ? broken : check(&io, &r, s->c.crypto);
    mkt_csb_free(r.csb);
    mkt_grant_free(r.grant);
    *success = r.success;
    if (broken == NULL)
        NEED(out[io.cap] == CANARY);
    return broken;
}

/* An update that verified is remembered although it was refused: its T is spent. */
static bool
leaves_no_trace(enum mkt_handler h)
{
    return h < MKT_HANDLER_update_offered;
}

static const char *
judge(struct scene *s, enum mkt_handler h, uint8_t mode, uint8_t *octets, size_t n)
{
    bool sealed = (mode & MKT_HANDLER_RAW) == 0 && seal(octets, n, s, h);
    bool honest = n == s->honest.n && memcmp(octets, s->honest.b, n) == 0, again = false;
    const char *broken = once(s, h, mkt_span(octets, n), &believed);

    if (broken != NULL)
        return broken;
    NEED(!believed || sealed || honest);
    NEED(believed || !honest || sealed);
    if (believed || (sealed && !leaves_no_trace(h))) {
        scene_close(s);
        return NULL;
    }
    if ((mode & MKT_HANDLER_AFTER) == 0)
        return NULL;
    broken = once(s, h, mkt_span(s->honest.b, s->honest.n), &again);
    scene_close(s);
    NEED(broken != NULL || again); /* the refusal changed nothing */
    return broken;
}

const char *
mkt_handler_run(enum mkt_handler handler, const uint8_t *data, size_t n)
{
    believed = false;
    if (n < 2 || n > INPUT_MAX)
        return NULL;
    struct scene *s = scene_of(handler, data[0]);
    /* An allocation of the exact size lets the sanitizer see one octet too many. */
    uint8_t *octets = malloc(n - 1);
    const char *broken = "the scene could be set";
    if (s != NULL && octets != NULL) {
        memcpy(octets, data + 1, n - 1);
        broken = judge(s, handler, data[0], octets, n - 1);
    }
    free(octets);
    return broken;
}

/* The KEMACs of a true message in the clear: they are encrypted again when it is sealed. */
static void
reveal(uint8_t *octets, size_t n, struct scene *s, enum mkt_handler h)
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
    (void)seal(octets, n, s, h);
}

bool
mkt_handler_believed(void)
{
    return believed;
}

size_t
mkt_handler_seed(enum mkt_handler handler, uint8_t mode, uint8_t *to, size_t cap)
{
    struct scene *s = scene_of(handler, mode);

    if (s == NULL || s->honest.n + 1 > cap)
        return 0;
    to[0] = mode;
    memcpy(to + 1, s->honest.b, s->honest.n);
    if ((mode & MKT_HANDLER_RAW) == 0)
        reveal(to + 1, s->honest.n, s, handler);
    return s->honest.n + 1;
}
