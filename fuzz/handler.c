/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler does with any octets: the scene it waits in serves again as long as its messages
 * are refused, since a refusal changes nothing; whether that is so is a property too. */
#include "scene_pk.h"

#include "message/message.h"
#include "role/initiator.h"
#include "role/kms.h"
#include "role/responder.h"
#include "sealing.h"

#include <stdlib.h>

#define NEED(condition)        \
    do {                       \
        if (!(condition))      \
            return #condition; \
    } while (0)

#define INPUT_MAX 4000     /* octets: more than any scene's message, so that parts may be doubled */
#define CANARY 0xC5        /* behind the output buffer */
#define DRAWN 0x5EED0000UL /* where the generator begins when a handler runs */
#define LATER ((SCENE_CRL_DAYS * 86400ULL) << 32)

static uint8_t out[sizeof((struct scene *)NULL)->honest.b + 1];
static bool believed;

/* --- properties ---------------------------------------------------------------------------------
 */

/* What a handler made of its message. */
struct result {
    enum mkt_next next;
    bool success;        /* it believed the message */
    bool authentic;      /* it believed who sent it, at least; only of a KMS */
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
kms_answers(struct call *c, struct mkt_kms_txn *txn, struct mkt_io *io, struct mkt_identity client,
            const struct mkt_inkey *psk)
{
    const struct mkt_tpk tpk = { .id = mkt_span("tpk", 3), .key = &c->tpk.base };
    const struct mkt_kms_ask *ask = mkt_kms_ask(txn);
    struct mkt_policy granted;

    if (mkt_kms_begin(txn, io->in, &io->err) != MKT_OK)
        return MKT_NEXT_ABORT;
    if (c->pk != NULL) {
        if (mkt_kms_verify_pk(txn, &c->env, c->pk, &io->err) != MKT_OK)
            return MKT_NEXT_ABORT;
        client = ask->client;
    } else if (mkt_kms_verify(txn, &c->env, psk, client, c->kms, &io->err) != MKT_OK) {
        return MKT_NEXT_ABORT;
    }
    if (ask->resolve)
        return mkt_kms_open(txn, &c->env, &tpk, &io->err) != MKT_OK
                   ? MKT_NEXT_ABORT
                   : mkt_kms_resolve(txn, &c->env, client, io);
    if (mkt_policy_grant(&granted, ask->policy, &c->rules, client, c->kms, c->env.now, &io->err) !=
        MKT_OK)
        return MKT_NEXT_ABORT;
    return mkt_kms_issue(txn, &c->env, &granted, &tpk, mkt_span(NULL, 0), io);
}

static bool
is_cert(struct mkt_span data, const struct mkt_cert *cert)
{
    const struct mkt_span der = mkt_cert_der(cert);
    return data.n == der.n && memcmp(data.p, der.p, der.n) == 0;
}

/* A refusal can be told, and the Error message that tells it is one. Strangers get no MAC and no
 * signature. */
static const char *
error_sane(const struct mkt_io *io, enum mkt_next next, bool stranger)
{
    struct mkt_msg m;
    struct mkt_err err = { 0 };

    if (next == MKT_NEXT_ABORT)
        return refused(io);
    NEED(io->out_len != 0 && io->out_len <= io->cap);
    NEED(mkt_msg_parse(&m, mkt_span(io->out, io->out_len), &err) == MKT_OK);
    NEED(mkt_msg_check(&m, &err) == MKT_OK);
    NEED(m.hdr.data_type == MKT_DT_ERROR);
    NEED(!stranger || (m.pl[m.n - 1].type != MKT_PL_V && m.pl[m.n - 1].type != MKT_PL_SIGN));
    return NULL;
}

/* Whoever a signed message is believed from has the key, and a certificate that is good now. */
static const char *
signer_sane(const struct scene *s, const struct mkt_kms_txn *txn, struct mkt_identity holder)
{
    const struct scene_pki *pki = scene_pki();

    NEED(mkt_identity_equal(mkt_kms_ask(txn)->client, holder));
    NEED(s->c.env.now == NOW); /* later the CRLs are too old */
    for (size_t i = 0; i < txn->msg.n; i++) {
        const struct mkt_payload *pl = &txn->msg.pl[i];
        NEED(pl->type != MKT_PL_CERT || (!is_cert(pl->u.cert.data, pki->revoked_alice) &&
                                         !is_cert(pl->u.cert.data, pki->revoked_bob)));
    }
    return NULL;
}

/* A KMS with a key pair signs its refusal; nothing is signed for a stranger. */
static enum mkt_next
kms_refuses(struct call *c, struct mkt_kms_txn *txn, enum mkt_rc rc, struct mkt_io *io)
{
    if (c->pk == NULL)
        return mkt_kms_refuse(txn, &c->env, rc, io);
    const struct mkt_kms_signer by = { c->pk->keys[0].key, MKT_S_RSA_PKCS1, false };
    return mkt_kms_refuse_signed(txn, &c->env, rc, &by, io);
}

static const char *
kms(struct scene *s, struct mkt_kms_txn *txn, struct mkt_io *io, struct result *r, bool resolve)
{
    struct call *c = &s->c;
    const struct mkt_identity client = resolve ? c->bob[0] : c->alice;
    const char *broken = NULL;

    c->drawn = DRAWN;
    r->next = kms_answers(c, txn, io, client, resolve ? &c->psk_bob[0].base : &c->psk_alice.base);
    r->success = r->next == MKT_NEXT_SEND_PEER;
    r->authentic = txn->stage >= MKT_KMS_VERIFIED;
    if (r->success && resolve) {
        struct mkt_err err = { 0 };
        NEED(mkt_policy_check(mkt_kms_ask(txn)->policy->flags, false, &err) == MKT_OK);
    }
    if (r->authentic && c->pk != NULL)
        broken = signer_sane(s, txn, client);
    if (broken == NULL && r->next == MKT_NEXT_ABORT) {
        struct mkt_io error = { .out = io->out, .cap = io->cap };
        broken = error_sane(&error, kms_refuses(c, txn, io->err.rc, &error), !r->authentic);
    }
    mkt_kms_end(txn);
    return broken;
}

/* What the KMS remembers of certificates and paths decides nothing: one that remembers nothing says
 * the same. */
static const char *
kms_signed(struct scene *s, struct mkt_io *io, struct result *r, bool resolve)
{
    static uint8_t other[sizeof out];
    struct mkt_kms_txn *fresh = mkt_kms_txn_new();
    struct mkt_io cold = { .in = io->in, .out = other, .cap = io->cap };
    struct result first = { .next = MKT_NEXT_ABORT };

    NEED(fresh != NULL);
    const char *broken = kms(s, fresh, &cold, &first, resolve);
    mkt_kms_txn_free(fresh);
    if (broken == NULL)
        broken = kms(s, s->c.txn, io, r, resolve);
    if (broken != NULL)
        return broken;
    NEED(r->next == first.next && r->authentic == first.authentic);
    NEED(io->err.rc == cold.err.rc && io->err.offset == cold.err.offset);
    NEED(io->out_len == cold.out_len && memcmp(io->out, cold.out, io->out_len) == 0);
    return NULL;
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
        return error_sane(&error, mkt_responder_refuse(bob, &c->env, io->err.rc, &c->sp, 1, &error),
                          false);
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
    r->next = kms_answers(c, c->txn, &at_kms, c->bob[0], &c->psk_bob[0].base);
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
        broken = error_sane(
            &error, mkt_csb_update_refuse(bob, &s->c.env, io->err.rc, NULL, 0, &error), false);
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
        return kms(s, c->txn, io, r, h == MKT_HANDLER_kms_resolve);
    case MKT_HANDLER_kms_request_pk:
    case MKT_HANDLER_kms_resolve_pk:
        return kms_signed(s, io, r, h == MKT_HANDLER_kms_resolve_pk);
    case MKT_HANDLER_refused_pk:
        r->next = mkt_initiator_granted(c->initiator, &c->env, io, &r->grant);
        r->success = io->peer_error_authentic;
        return NULL;
    case MKT_HANDLER_granted:
    case MKT_HANDLER_granted_pk:
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

/* Runs the handler once; what r owns is gone then. */
static const char *
once(struct scene *s, enum mkt_handler h, struct mkt_span message, struct result *r)
{
    struct mkt_io io = { .in = message, .out = out, .cap = sizeof out - 1 };

    *r = (struct result){ .next = MKT_NEXT_ABORT };
    out[io.cap] = CANARY;
    const char *broken = run(s, h, &io, r);
    broken = broken != NULL ? broken : check(&io, r, s->c.crypto);
    mkt_csb_free(r->csb);
    mkt_grant_free(r->grant);
    if (broken == NULL)
        NEED(out[io.cap] == CANARY);
    return broken;
}

/* An update that verified is remembered although it was refused: its T is spent. */
static bool
leaves_no_trace(enum mkt_handler h)
{
    return h != MKT_HANDLER_update_offered && h != MKT_HANDLER_updated;
}

/* A KMS goes on with what it remembers of certificates. Who believed a message is done with it. */
static void
done(struct scene *s, enum mkt_handler h)
{
    if (!scene_is_kms_pk(h))
        scene_close(s);
}

/* Puts a revoked certificate in the place of a good one of the same key, which is as long. */
static void
revoke(uint8_t *octets, size_t n)
{
    const struct scene_pki *pki = scene_pki();
    struct mkt_msg m;
    struct mkt_err err = { 0 };

    if (mkt_msg_parse(&m, mkt_span(octets, n), &err) != MKT_OK)
        return;
    for (size_t i = 0; i < m.n; i++) {
        if (m.pl[i].type != MKT_PL_CERT)
            continue;
        const struct mkt_span cert = m.pl[i].u.cert.data;
        if (is_cert(cert, pki->alice[0]))
            memcpy(octets + (cert.p - octets), mkt_cert_der(pki->revoked_alice).p, cert.n);
        else if (is_cert(cert, pki->bob[0]))
            memcpy(octets + (cert.p - octets), mkt_cert_der(pki->revoked_bob).p, cert.n);
    }
}

/* The true message of another scene is of the same users, under the same keys. */
static bool
true_elsewhere(enum mkt_handler h, const uint8_t *octets, size_t n)
{
    static const uint8_t bits[] = { MKT_HANDLER_SUITE, MKT_HANDLER_NO_FORK, MKT_HANDLER_PSS };

    for (unsigned i = 0; i < 1U << sizeof bits; i++) {
        uint8_t mode = 0;
        for (unsigned b = 0; b < sizeof bits; b++)
            mode |= (i >> b & 1) != 0 ? bits[b] : 0;
        const struct scene *s = scene_of(h, mode);
        if (s != NULL && n == s->honest.n && memcmp(octets, s->honest.b, n) == 0)
            return true;
    }
    return false;
}

static const char *
judge(struct scene *s, enum mkt_handler h, uint8_t mode, uint8_t *octets, size_t n)
{
    bool late = scene_is_kms_pk(h) && (mode & MKT_HANDLER_LATE) != 0;
    struct result r;

    if (scene_is_kms_pk(h) && (mode & MKT_HANDLER_REVOKED) != 0)
        revoke(octets, n);
    s->c.drawn = DRAWN;
    bool sealed = (mode & MKT_HANDLER_RAW) == 0 && sealing_run(octets, n, s, h);
    bool honest = n == s->honest.n && memcmp(octets, s->honest.b, n) == 0;
    s->c.env.now = late ? NOW + LATER : NOW;
    const char *broken = once(s, h, mkt_span(octets, n), &r);
    s->c.env.now = NOW;
    if (broken != NULL)
        return broken;
    believed = r.success;
    NEED((!believed && !r.authentic) || sealed || honest || true_elsewhere(h, octets, n));
    NEED(believed || !honest || sealed || late);
    if (believed || (sealed && !leaves_no_trace(h))) {
        done(s, h);
        return NULL;
    }
    if ((mode & MKT_HANDLER_AFTER) == 0)
        return NULL;
    broken = once(s, h, mkt_span(s->honest.b, s->honest.n), &r);
    done(s, h);
    NEED(broken != NULL || r.success); /* the refusal changed nothing */
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
        sealing_reveal(to + 1, s->honest.n, s, handler);
    return s->honest.n + 1;
}
