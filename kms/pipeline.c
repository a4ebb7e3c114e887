/* SPDX-License-Identifier: Apache-2.0 */
/* evidence, limit, retransmit, decode, fresh, gather, authenticate, remember, authorise, issue;
 * then audit and wipe, always. Protocol is the library's, policy is policy.c's, I/O is the
 * transports': here is only their order and what a failure of each means for the one who asked.
 *
 * What a stranger learns: nothing for octets that are no message (RFC 6043 5.4 leaves it open); why
 * a message that could be read is not supported; and one and the same unauthenticated Error, after
 * the same work, for an unknown identity, a wrong key and a wrong MAC. Unauthenticated Errors are
 * shorter than the message they answer and are limited in number. A replay gets an Error over HTTP,
 * where a connection proves the address, and silence over UDP. */
#include "pipeline.h"

#include <string.h>
#include <time.h>

#include "address.h"
#include "clock.h"
#include "decision.h"
#include "foreign.h"
#include "tpk.h"
#include "voided.h"

#define ERRORS_PER_S 1000 /* unauthenticated Error messages of one worker */
#define LINES_PER_S 10    /* log lines about refusals of one worker */

static enum verdict
silent(struct job *j, enum kms_outcome outcome)
{
    j->outcome = outcome;
    return SILENT;
}

/* No evidence, no answer. */
static enum verdict
evidence(struct job *j)
{
    j->unrecordable = kms_audit_down(j->w->service->audit);
    if (!j->unrecordable)
        return GO;
    mkt_fail(&j->io.err, MKT_E_STATE, 0, "the audit cannot be written", "RFC 6043 12.3");
    return silent(j, KMS_BUSY);
}

static enum verdict
limit(struct job *j)
{
    struct kms_service *sv = j->w->service;

    if (j->req->counted)
        return GO; /* before it came to the lane */
    if (j->req->acl != NULL && !kms_acl_allows(j->req->acl, j->req->from))
        return silent(j, KMS_DENIED);
    if (kms_limit_allow(sv->by_source, kms_address_site(j->req->from), j->w->steady_ns))
        return GO;
    return silent(j, KMS_LIMITED);
}

static enum verdict
retransmit(struct job *j)
{
    struct mkt_span answer;

    if (j->w->again == NULL)
        return GO;
    answer = kms_retransmit_find(j->w->again, j->req->source, j->req->in,
                                 j->w->steady_ns / 1000000000, &j->tag);
    if (answer.n == 0)
        return GO;
    memcpy(j->io.out, answer.p, answer.n);
    j->io.out_len = answer.n;
    j->outcome = KMS_REPEATED;
    return DONE;
}

static enum verdict
decode(struct job *j)
{
    uint32_t suites = j->w->service->config->suites;

    if (mkt_kms_begin(j->w->txn, j->req->in, &j->io.err) != MKT_OK) {
        j->outcome = KMS_MALFORMED;
        return REFUSE; /* an Error if it is one of our messages, silence if it is anything else */
    }
    j->ask = mkt_kms_ask(j->w->txn);
    if (j->ask->pk && (j->w->service->pki == NULL || j->req->from_peer)) {
        mkt_fail(&j->io.err, MKT_E_DATA_TYPE, 1, "HDR: no key pair is configured", "RFC 6043 6.1");
        return REFUSE;
    }
    if (j->req->want != KMS_WANT_ANY && j->ask->resolve != (j->req->want == KMS_WANT_RESOLVE)) {
        mkt_fail(&j->io.err, MKT_E_DATA_TYPE, 0, "requesttype", "RFC 6043 7");
        return silent(j, KMS_MALFORMED);
    }
    if ((suites >> j->ask->prf & 1) == 0) {
        mkt_fail(&j->io.err, MKT_E_PRF, 0, "PRF func", "RFC 6043 6.1");
        return REFUSE;
    }
    return GO;
}

static enum verdict
replayed(struct job *j, enum kms_replay_rc rc)
{
    if (rc == KMS_FULL)
        return silent(j, KMS_BUSY);
    mkt_fail(&j->io.err, rc == KMS_SEEN ? MKT_E_REPLAY : MKT_E_STALE, 0, "T", "RFC 3830 5.4");
    if (rc == KMS_SEEN && j->req->transport == KMS_UDP)
        return silent(j, KMS_REFUSED);
    return REFUSE;
}

static enum verdict
fresh(struct job *j)
{
    const struct mkt_time *t = &j->ask->t;
    int64_t ahead = (int64_t)(t->value - j->w->now), window;
    enum kms_replay_rc rc;

    if (kms_store_clock_astray(&j->w->service->clock, j->w->service->config->clock_window_s)) {
        mkt_fail(&j->io.err, MKT_E_STATE, 0, KMS_CLOCK_ASTRAY, "RFC 3830 5.4");
        return silent(j, KMS_BUSY);
    }
    if (t->type == MKT_TS_COUNTER || j->req->errand != NULL)
        return GO; /* only the credential tells what is fresh: see remember */
    window = (int64_t)j->w->service->config->clock_window_s << 32;
    if (ahead > window || ahead < -window || (int64_t)(t->value - j->w->service->start) < 0) {
        mkt_fail(&j->io.err, MKT_E_STALE, 0, "T", "RFC 3830 5.4");
        return REFUSE;
    }
    rc = kms_replay_look(j->w->service->replay, j->ask->fingerprint, mkt_ntp_to_unix(t->value),
                         j->w->now_s);
    return rc == KMS_FRESH ? GO : replayed(j, rc);
}

/* Off this thread, unless it is one that may wait. */
static enum verdict
later(struct job *j)
{
    const struct kms_request *req = j->req;

    if (req->defer(req->defer_ctx, req, j->tag))
        return LATER;
    mkt_fail(&j->io.err, MKT_E_STATE, 0, "the queue of slow requests is full", "RFC 6043 12.3");
    return silent(j, KMS_BUSY);
}

static enum verdict
gather(struct job *j)
{
    struct mkt_span id = j->ask->psk_id.data;
    struct kms_locker l = { .kind = KMS_PSK };

    if (j->ask->pk && j->req->defer != NULL)
        return later(j); /* RSA takes longer than everything else together */
    j->index = kms_current_get(&j->w->service->current, j->w->slot);
    j->rules = kms_current_get(&j->w->service->rules->current, j->w->slot);
    j->peers = kms_peers_get(j->w->service->peers, j->w->slot);
    if (j->ask->pk)
        return GO; /* its certificate tells who it is */
    if (id.p != NULL)
        j->known = kms_index_by_psk_id(j->index, id, j->w->now_s, &j->client);
    else if (j->ask->client.data.p != NULL)
        j->known = kms_index_by_identity(j->index, j->ask->client, j->w->now_s, &j->client);
    if (j->known) { /* who has several identities asks as one of them */
        l = kms_found_locker(&j->client);
        kms_foreign_sender(j);
        kms_found_claims(&j->client, j->ask->client);
    } else { /* nobody's key, so that the work is the same */
        j->client.identity =
            j->ask->client.data.p != NULL ? j->ask->client : j->w->service->identity;
        l.key = j->w->dummy[j->ask->prf == MKT_PRF_MIKEY_1 ? 0 : 1];
    }
    if (!kms_inkey_init(&j->psk, j->w->service->vault, j->w->slot, &l)) {
        mkt_fail(&j->io.err, MKT_E_WEAK_KEY, 0, "PSK", "RFC 6043 12.1");
        return silent(j, KMS_BUSY);
    }
    return GO;
}

/* A signature proves who it is; whether that is a user of ours is another question. */
static enum verdict
authenticate_pk(struct job *j)
{
    static const struct kms_hash_key key; /* the same after every start */
    struct kms_service *sv = j->w->service;
    enum mkt_rc rc = mkt_kms_verify_pk(j->w->txn, &j->env, kms_pki_hold(sv->pki), &j->io.err);

    kms_pki_release(sv->pki);
    if (rc != MKT_OK)
        return REFUSE;
    j->client.identity = j->ask->client;
    j->client.serial = kms_hash(&key, j->ask->client.data.p, j->ask->client.data.n);
    j->authenticated = true;
    if (sv->config->pk_users == 0 ? !kms_index_is_user(j->index, j->client.identity, j->w->now_s)
                                  : kms_index_barred(j->index, j->client.identity, j->w->now_s)) {
        mkt_fail(&j->io.err, MKT_E_NOT_AUTHORISED, 0, "no user of ours", "RFC 6043 4.2.1.4");
        return REFUSE;
    }
    return GO;
}

static enum verdict
authenticate(struct job *j)
{
    if (j->ask->pk)
        return authenticate_pk(j);
    enum mkt_rc rc = mkt_kms_verify(j->w->txn, &j->env, &j->psk.base, j->client.identity,
                                    j->w->service->identity, &j->io.err);

    if (rc == MKT_OK && !j->known)
        rc = mkt_fail(&j->io.err, MKT_E_AUTH, 0, "V", "RFC 6043 4.2.1.4");
    if (rc != MKT_OK)
        return REFUSE;
    j->authenticated = true;
    return kms_foreign_admit(j);
}

/* The limit of an identity counts only what is really its own: a stranger cannot use it up. One
 * request takes one token, before it costs a write to the disk. */
static bool
allowed(struct job *j)
{
    if (!j->allowed)
        j->allowed =
            kms_limit_allow(j->w->service->by_identity, j->client.identity.data, j->w->steady_ns);
    return j->allowed;
}

/* What a restart could not tell from a replay is taken only when the store knows of it. */
static enum verdict
mark(struct job *j, enum kms_mark_kind kind, uint64_t value)
{
    struct kms_marks *m = j->w->service->marks;
    enum kms_replay_rc rc = kms_marks_enter(m, kind, j->client.serial, value);
    struct kms_store_err err = { 0 };

    if (rc == KMS_UNRESERVED && j->req->defer != NULL)
        return later(j);
    if (rc == KMS_UNRESERVED && !allowed(j))
        return silent(j, KMS_LIMITED);
    if (rc == KMS_UNRESERVED) {
        if (kms_marks_reserve(m, kind, j->client.serial, value, j->w->now_s, &err) !=
            KMS_STORE_OK) {
            mkt_fail(&j->io.err, MKT_E_STATE, 0, "the store cannot keep marks", "RFC 3830 5.4");
            return silent(j, KMS_BUSY);
        }
        rc = kms_marks_enter(m, kind, j->client.serial, value);
    }
    return rc == KMS_FRESH ? GO : replayed(j, rc);
}

static enum verdict
remember_counter(struct job *j)
{
    uint32_t value = (uint32_t)j->ask->t.value;

    j->w->counter = value;
    return mark(j, KMS_MARK_COUNTER, value);
}

static enum verdict
remember_stamp(struct job *j)
{
    struct kms_service *sv = j->w->service;
    uint64_t stamp = j->ask->t.value;
    int64_t second = mkt_ntp_to_unix(stamp);
    enum kms_replay_rc rc = KMS_FORGOTTEN;
    enum verdict marked = GO;

    if ((int64_t)(stamp - j->w->now) >= (int64_t)KMS_NTP_OF_MS(KMS_ORDINARY_MS))
        marked = mark(j, KMS_MARK_STAMP, (uint64_t)second);
    if (marked != GO)
        return marked;
    if (!kms_marks_spent(sv->marks, j->client.serial, second))
        rc = kms_replay_enter(sv->replay, j->ask->fingerprint, second, j->w->now_s);
    return rc == KMS_FRESH ? GO : replayed(j, rc);
}

/* The keys of such a ticket are in the store, which is on a disk. */
static bool
by_reference(const struct job *j)
{
    if (j->ask->resolve)
        return j->ask->reference.n != 0;
    return j->ask->policy->ticket_type == MKT_TICKET_TYPE_REFERENCE &&
           (j->w->service->config->ticket_types & KMS_MAKES_REFERENCE) != 0;
}

/* Only authenticated messages enter: RFC 6043 12.4. */
static enum verdict
remember(struct job *j)
{
    j->via = kms_foreign_home(j);
    if (j->req->errand != NULL) { /* remembered before the other KMS was asked */
        j->w->counter = (uint32_t)j->ask->t.value;
        j->allowed = true;
        return GO;
    }
    if ((by_reference(j) || j->via != NULL) && j->req->defer != NULL)
        return later(j);
    return j->ask->t.type == MKT_TS_COUNTER ? remember_counter(j) : remember_stamp(j);
}

struct kms_circumstances
kms_job_circumstances(struct job *j)
{
    return (struct kms_circumstances){ .rules = j->rules,
                                       .client = j->client.identity,
                                       .kms = j->w->service->identity,
                                       .now = j->w->now,
                                       .directory = kms_index_directory(j->index),
                                       .cross_realm = j->w->service->config->cross_realm == 1,
                                       .decision = &j->decision };
}

static enum verdict
authorise(struct job *j)
{
    struct kms_service *sv = j->w->service;
    const struct kms_circumstances q = kms_job_circumstances(j);
    struct mkt_identity kms = j->ask->kms;
    enum mkt_rc rc;

    if (!allowed(j))
        return silent(j, KMS_LIMITED);
    if (kms.data.p != NULL && !mkt_identity_equal(kms, sv->identity)) {
        mkt_fail(&j->io.err, MKT_E_IDENTITY, 0, "IDRkms", "RFC 6043 4.2.1.4");
        return REFUSE;
    }
    if (j->ask->ticket_err->rc != MKT_OK) {
        j->io.err = *j->ask->ticket_err;
        return REFUSE;
    }
    if (j->ask->resolve)
        return GO; /* the ticket must be opened before its policy means anything */
    rc = kms_tpk_grant(&j->granted, &j->found_tpk, j->ask->policy, &q, j->index, &j->io.err);
    if (rc == MKT_OK)
        j->ticket_realm = kms_tpk_realm(&j->found_tpk, j->index);
    return rc == MKT_OK ? GO : REFUSE;
}

static bool
take_tpk(struct job *j)
{
    const struct kms_locker l = kms_found_tpk_locker(&j->found_tpk);

    if (kms_inkey_init(&j->tpk, j->w->service->vault, j->w->slot, &l))
        return true;
    mkt_fail(&j->io.err, MKT_E_STATE, 0, "TPK", "RFC 6043 4.1.1");
    return false;
}

static bool
recall(struct job *j)
{
    struct kms_service *sv = j->w->service;

    if (sv->tickets != NULL)
        return kms_tickets_recall(sv->tickets, j->w->txn, &j->io.err);
    mkt_fail(&j->io.err, MKT_E_TICKET, 0, "reference", "RFC 6043 11");
    return false;
}

static enum verdict
revoked(struct job *j, const char *what)
{
    mkt_fail(&j->io.err, MKT_E_TICKET, 0, what, "RFC 6043 5.4");
    return REFUSE;
}

static enum verdict
resolve(struct job *j)
{
    struct kms_circumstances q = kms_job_circumstances(j);
    enum mkt_rc rc;

    if (j->via != NULL)
        return kms_foreign_resolve(j);
    if (kms_index_revoked(j->index, mkt_kms_ticket_id(j->w->txn)))
        return revoked(j, "the ticket is revoked");
    rc = kms_tpk_of_ticket(&j->found_tpk, j->ask->policy, j->ask->tpk_id, j->client.identity,
                           j->index, j->w->now_s, &j->io.err);
    if (rc != MKT_OK || !take_tpk(j))
        return REFUSE;
    if (by_reference(j) && !recall(j))
        return REFUSE;
    const struct mkt_tpk tpk = { .key = &j->tpk.base, .owner = j->found_tpk.owner };
    const struct kms_opened opened = {
        j->ask->policy, j->found_tpk.owner, kms_tpk_realm(&j->found_tpk, j->index),
        kms_index_is_user(j->index, j->ask->policy->initiator, j->w->now_s)
    };
    const char *void_for = NULL;
    struct mkt_identity as;

    q.cross_realm = q.cross_realm || kms_foreign_reaches(j, opened.realm);
    rc = mkt_kms_open(j->w->txn, &j->env, &tpk, &j->io.err);
    if (rc == MKT_OK)
        j->ticket_realm = opened.realm;
    if (rc == MKT_OK)
        void_for = kms_voided(j->index, j->ask, j->w->now_s,
                              (int64_t)j->w->service->config->clock_window_s);
    if (void_for != NULL)
        return revoked(j, void_for);
    if (rc == MKT_OK)
        rc = kms_policy_resolve(&as, &opened, &q, &j->io.err);
    if (rc != MKT_OK)
        return REFUSE;
    if (mkt_kms_resolve(j->w->txn, &j->env, as, &j->io) != MKT_NEXT_SEND_PEER)
        return REFUSE;
    return DONE;
}

/* The answer leaves when the keys are on disk: docs/formats/reference-ticket.md. */
static bool
keep(struct job *j)
{
    struct kms_store_err err = { 0 };

    if (!by_reference(j) ||
        (j->w->service->tickets != NULL &&
         kms_tickets_keep(j->w->service->tickets, j->w->txn, &j->granted, &err) == KMS_STORE_OK))
        return true;
    mkt_fail(&j->io.err, MKT_E_STATE, 0, "the store cannot keep the ticket", "RFC 6043 11");
    return false;
}

static enum verdict
issue(struct job *j)
{
    if (j->ask->resolve)
        return resolve(j);
    if (!take_tpk(j))
        return REFUSE;
    const struct mkt_tpk tpk = { .id = j->found_tpk.id,
                                 .key = &j->tpk.base,
                                 .owner = j->found_tpk.owner };
    if (mkt_kms_issue(j->w->txn, &j->env, &j->granted, &tpk, mkt_span(NULL, 0), &j->io) !=
        MKT_NEXT_SEND_PEER)
        return REFUSE;
    return keep(j) ? DONE : REFUSE;
}

static const struct {
    const char *name;
    enum verdict (*run)(struct job *);
} stages[] = {
    { "evidence", evidence },         /* what is decided can be recorded */
    { "limit", limit },               /* token buckets before any cryptography */
    { "retransmit", retransmit },     /* the same octets again: the same answer */
    { "decode", decode },             /* spans and rules, no keys */
    { "fresh", fresh },               /* clock window, replay cache */
    { "gather", gather },             /* the credential, or nobody's */
    { "authenticate", authenticate }, /* V */
    { "remember", remember },         /* only what was authenticated */
    { "authorise", authorise },       /* policy */
    { "issue", issue },               /* keys, ticket, answer */
};

const char *
kms_stage_name(size_t i)
{
    _Static_assert(sizeof stages / sizeof stages[0] <= KMS_STAGES_MAX, "room in the tally");
    return i < sizeof stages / sizeof stages[0] ? stages[i].name : NULL;
}

/* Our own failures are no business of the other party. */
static bool
ours(enum mkt_rc rc)
{
    return rc == MKT_E_RANDOM || rc == MKT_E_MEMORY || rc == MKT_E_CRYPTO || rc == MKT_E_STATE;
}

/* Somebody tries keys, or has an old one. Over UDP anybody could lock out the address of somebody
 * else, so that failures count there only if the operator wants it. */
static void
note_failure(struct job *j)
{
    struct kms_service *sv = j->w->service;
    char from[KMS_ADDRESS_TEXT];

    if (j->req->transport == KMS_UDP && sv->config->lockout_udp == 0)
        return;
    if (!kms_limit_failed(sv->by_source, kms_address_site(j->req->from), j->w->steady_ns))
        return;
    kms_address_text(j->req->from, from);
    KMS_LOG(sv->log, KMS_WARN, "locked-out", kms_text("source", from),
            kms_number("seconds", sv->config->source.lockout_s));
}

static void
refuse(struct job *j)
{
    struct mkt_err why = j->io.err;

    if (j->outcome != KMS_MALFORMED)
        j->outcome = ours(why.rc) ? KMS_BUSY : KMS_REFUSED;
    if (why.rc == MKT_E_AUTH || why.rc == MKT_E_CERT)
        note_failure(j);
    j->io.out_len = 0;
    if (j->outcome == KMS_BUSY ||
        (!j->authenticated &&
         !kms_bucket_take(&j->w->errors, ERRORS_PER_S, ERRORS_PER_S, j->w->steady_ns)))
        return;
    memset(&j->io.err, 0, sizeof j->io.err);
    if (mkt_kms_refuse(j->w->txn, &j->env, why.rc, &j->io) != MKT_NEXT_SEND_PEER)
        j->io.out_len = 0;
    j->io.err = why;
}

static void
audit(struct job *j, const char *stage)
{
    struct kms_worker *w = j->w;
    bool fine = j->outcome == KMS_ANSWERED || j->outcome == KMS_REPEATED;
    enum kms_level level = fine ? KMS_DEBUG : j->outcome == KMS_BUSY ? KMS_ERROR : KMS_INFO;
    const struct kms_report d = {
        .outcome = j->outcome,
        .stage = stage,
        .rule = j->decision.rule,
        .req = j->req,
        .ask = j->ask,
        .who = j->authenticated ? j->client.identity : (struct mkt_identity){ 0 },
        .realm = j->authenticated
                     ? kms_index_realm_name(j->index, kms_index_realm(j->index, j->client.identity))
                     : NULL,
        .ticket_realm = j->ticket_realm,
        .credential = j->authenticated && !j->ask->pk ? j->client.psk_id : mkt_span(NULL, 0),
        .policy = !j->authenticated                                ? NULL
                  : j->outcome == KMS_ANSWERED && !j->ask->resolve ? &j->granted
                                                                   : j->ask->policy,
        .via = j->via,
        .for_peer = j->authenticated ? j->for_peer : NULL,
        .ticket = j->authenticated ? mkt_kms_ticket_id(w->txn) : mkt_span(NULL, 0),
        .tpk = j->found_tpk.id,
        .why = &j->io.err,
    };

    if (!j->unrecordable)
        kms_decision_record(w, &d);
    if (level < w->service->log->level)
        return;
    if (fine || kms_bucket_take(&w->lines, LINES_PER_S, 5 * LINES_PER_S, w->steady_ns))
        kms_decision_log(w, &d, level);
    else
        w->suppressed++;
}

static void
leave(struct job *j)
{
    mkt_kms_end(j->w->txn);
    if (j->index == NULL)
        return;
    kms_current_put(&j->w->service->current, j->w->slot);
    kms_current_put(&j->w->service->rules->current, j->w->slot);
    kms_peers_put(j->w->service->peers, j->w->slot);
}

struct kms_reply
kms_handle(struct kms_worker *w, const struct kms_request *req)
{
    struct job j;
    int64_t began_ns = kms_steady_ns();
    enum verdict v = GO;
    size_t i = 0;
    bool keep;

    memset(&j, 0, offsetof(struct job, granted));
    j.w = w;
    j.req = req;
    j.env = kms_worker_env(w);
    j.io.in = req->in;
    j.io.out = req->out;
    j.io.cap = MKT_MSG_MAX;
    j.outcome = KMS_ANSWERED;
    for (; v == GO; i++)
        v = stages[i].run(&j);
    if (v == REFUSE)
        refuse(&j);
    else if (v == SILENT)
        j.io.out_len = 0;
    else if (v == LATER) { /* counted and logged there */
        leave(&j);
        return (struct kms_reply){ .deferred = true };
    } else if (v == AWAY) {
        leave(&j);
        return (struct kms_reply){ .deferred = true, .errand = j.errand };
    }
    keep = j.authenticated && j.io.out_len > 0;
    kms_tally_took(&w->tally, kms_steady_ns() - began_ns);
    audit(&j, stages[i - 1].name);
    kms_foreign_served(&j);
    leave(&j);
    return (struct kms_reply){ .outcome = j.outcome,
                               .stage = i - 1,
                               .reason = j.io.err.rc,
                               .len = j.io.out_len,
                               .keep = keep,
                               .tag = j.tag };
}
