/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines are for the one who looks now: refusals, and everything at level debug. Records are for
 * the one who asks in a year: each decision, with what was granted (docs/formats/audit.md). */
#include "decision.h"

#include <string.h>

#include "address.h"
#include "peers.h"

#define STRANGERS_PER_S 200 /* records of one worker about senders that nobody knows */

static const char *
message_name(const struct mkt_kms_ask *ask)
{
    if (ask->pk)
        return mkt_data_type_name(ask->resolve ? MKT_DT_RESOLVE_INIT_PK : MKT_DT_REQUEST_INIT_PK);
    return mkt_data_type_name(ask->resolve ? MKT_DT_RESOLVE_INIT_PSK : MKT_DT_REQUEST_INIT_PSK);
}

void
kms_decision_log(struct kms_worker *w, const struct kms_report *d, enum kms_level level)
{
    const struct mkt_err *e = d->why;
    struct kms_field f[15];
    char from[KMS_ADDRESS_TEXT];
    size_t n = 0;

    kms_address_text(d->req->from, from);
    f[n++] = kms_text("outcome", kms_outcome_word(d->outcome));
    f[n++] = kms_text("stage", d->stage);
    f[n++] = kms_text("transport", kms_transport_word(d->req->transport));
    f[n++] = kms_text("source", from);
    if (d->ask != NULL)
        f[n++] = kms_text("message", message_name(d->ask));
    if (d->who.data.p != NULL)
        f[n++] = kms_octets("identity", d->who.data);
    else if (d->ask != NULL)
        f[n++] = kms_octets("claimed", d->ask->client.data);
    if (d->via != NULL)
        f[n++] = kms_octets("via-peer", d->via->identity.data);
    if (d->for_peer != NULL)
        f[n++] = kms_octets("for-peer", d->for_peer->identity.data);
    if (d->rule != NULL)
        f[n++] = kms_text("rule", d->rule);
    if (e->rc != MKT_OK) {
        f[n++] = kms_text("reason", mkt_rc_name(e->rc));
        f[n++] = kms_text("field", e->what);
        f[n++] = kms_text("clause", e->ref);
        f[n++] = kms_number("octet", (int64_t)e->offset);
    }
    if (w->suppressed > 0)
        f[n++] = kms_number("suppressed", w->suppressed);
    w->suppressed = 0;
    kms_log_line(w->service->log, level, "request", f, n);
}

static const char *
event_of(const struct kms_report *d)
{
    if (d->outcome == KMS_REPEATED)
        return "repeat";
    if (d->outcome != KMS_ANSWERED)
        return "refuse";
    return d->ask->resolve ? "resolve" : "issue";
}

static struct mkt_span
responder(const void *ctx, size_t i)
{
    const struct mkt_policy *p = ctx;

    return i < p->n_responders ? p->responders[i].data : mkt_span(NULL, 0);
}

static void
put_time(struct kms_trail *t, const char *key, const struct mkt_time *at)
{
    if (at->has && at->type != MKT_TS_COUNTER)
        kms_trail_time(t, key, mkt_ntp_to_unix(at->value));
}

/* What was granted, or would have been. */
static void
put_policy(struct kms_trail *t, const struct mkt_policy *p)
{
    char flags[13];

    if (p->n_responders > 0)
        kms_trail_list(t, "to", responder, p);
    kms_trail_octets(t, "initiator", p->initiator.data);
    kms_trail_number(t, "type", p->ticket_type);
    mkt_policy_flags_format(p->flags, flags);
    kms_trail_text(t, "flags", flags);
    put_time(t, "from", &p->start);
    put_time(t, "until", &p->end);
}

static void
put_sender(struct kms_trail *t, const struct kms_report *d)
{
    char from[KMS_ADDRESS_TEXT];

    kms_trail_text(t, "transport", kms_transport_word(d->req->transport));
    kms_address_text(d->req->from, from);
    kms_trail_text(t, "source", from);
    if (d->ask != NULL)
        kms_trail_text(t, "message", message_name(d->ask));
    if (d->who.data.p != NULL)
        kms_trail_octets(t, "who", d->who.data);
    else if (d->ask != NULL)
        kms_trail_octets(t, "claimed", d->ask->client.data);
    if (d->credential.n > 0)
        kms_trail_octets(t, "credential", d->credential);
    if (d->via != NULL)
        kms_trail_octets(t, "via_peer", d->via->identity.data);
    if (d->for_peer != NULL)
        kms_trail_octets(t, "for_peer", d->for_peer->identity.data);
}

static void
put_reason(struct kms_trail *t, const struct mkt_err *why)
{
    if (why->rc == MKT_OK)
        return;
    kms_trail_text(t, "reason", mkt_rc_name(why->rc));
    kms_trail_text(t, "why", why->what);
    kms_trail_text(t, "clause", why->ref);
}

void
kms_decision_record(struct kms_worker *w, const struct kms_report *d)
{
    struct kms_trail *t = w->trail;

    if (t == NULL)
        return;
    if (d->who.data.p == NULL &&
        !kms_bucket_take(&w->strangers, STRANGERS_PER_S, 5 * STRANGERS_PER_S, w->steady_ns)) {
        w->unrecorded++;
        return;
    }
    if (!kms_trail_room(t))
        kms_audit_add(w->service->audit, t);
    kms_trail_begin(t, event_of(d), w->now_ns);
    kms_trail_text(t, "outcome", kms_outcome_word(d->outcome));
    kms_trail_text(t, "stage", d->stage);
    if (d->realm != NULL)
        kms_trail_text(t, "realm", d->realm);
    if (d->ticket_realm != NULL && d->ticket_realm[0] != '\0' &&
        (d->realm == NULL || strcmp(d->realm, d->ticket_realm) != 0))
        kms_trail_text(t, "ticket-realm", d->ticket_realm);
    put_sender(t, d);
    if (d->rule != NULL)
        kms_trail_text(t, "rule", d->rule);
    kms_trail_hex(t, "ticket", d->ticket);
    if (d->policy != NULL)
        put_policy(t, d->policy);
    if (d->tpk.n > 0)
        kms_trail_octets(t, "tpk", d->tpk);
    put_reason(t, d->why);
    if (w->unrecorded > 0)
        kms_trail_number(t, "unrecorded", w->unrecorded);
    w->unrecorded = 0;
    kms_trail_end(t);
}
