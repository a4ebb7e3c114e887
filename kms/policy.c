/* SPDX-License-Identifier: Apache-2.0 */
/* How the rules are asked: when a ticket is made, once for each responder; when it is resolved, for
 * who resolves it; and for a ticket that its Initiator made, both. */
#include "policy.h"

#include <string.h>

#include "conditions.h"

/* What the rules of all responders come to. */
struct verdict {
    const struct kms_rule *rule[MKT_RESPONDERS_MAX];
    size_t n;
    uint16_t set, clear;          /* flags */
    uint32_t validity_s, rekey_s; /* longest; 0: any */
};

static void
note(const struct kms_circumstances *q, const struct kms_rule *rule, const char *why)
{
    if (q->decision != NULL)
        *q->decision = (struct kms_decision){ rule == NULL ? NULL : rule->name, why };
}

static enum mkt_rc
refuse(const struct kms_circumstances *q, const struct kms_rule *rule, enum mkt_rc rc,
       const char *why, struct mkt_err *err)
{
    note(q, rule, why);
    return mkt_fail(err, rc, 0, why, "RFC 6043 12.1");
}

/* The rule that applies, if it grants. */
static enum mkt_rc
choose(const struct kms_rule **rule, const struct kms_question *question,
       const struct kms_circumstances *q, struct mkt_err *err)
{
    *rule = kms_rules_match(q->rules, question, q->trace);
    if (*rule == NULL)
        return refuse(q, NULL, MKT_E_NOT_AUTHORISED, "no rule applies", err);
    if ((*rule)->refuse) /* other wishes of the same people may be granted: that is told apart */
        return refuse(q, *rule,
                      (*rule)->part[KMS_PART_WHEN].has != 0 ? MKT_E_TP_PARAM : MKT_E_NOT_AUTHORISED,
                      "the rule refuses", err);
    return MKT_OK;
}

static enum mkt_rc
require(const struct kms_rule *rule, uint32_t which, const struct kms_question *question,
        const struct kms_circumstances *q, struct mkt_err *err)
{
    enum kms_condition_id broken = kms_rule_require(rule, which, question, q->trace);

    if (broken == KMS_COND_COUNT)
        return MKT_OK;
    return refuse(q, rule, kms_conditions[broken].rc,
                  kms_condition_broken(
                      broken, kms_part_value(&rule->part[KMS_PART_REQUIRE], broken), question),
                  err);
}

static void
bound(uint32_t *longest, const struct kms_value *by)
{
    if (by != NULL && (*longest == 0 || by->a < *longest))
        *longest = by->a;
}

/* Two responders mostly have the same rule: it counts once. */
static void
add_rule(struct verdict *v, const struct kms_rule *rule)
{
    const struct kms_part *change = &rule->part[KMS_PART_CHANGE];
    const struct kms_value *flags = kms_part_value(change, KMS_COND_FLAGS);

    for (size_t i = 0; i < v->n; i++)
        if (v->rule[i] == rule)
            return;
    v->rule[v->n++] = rule;
    v->set |= flags == NULL ? 0 : (uint16_t)flags->a;
    v->clear |= flags == NULL ? 0 : (uint16_t)flags->b;
    bound(&v->validity_s, kms_part_value(change, KMS_COND_VALIDITY));
    bound(&v->rekey_s, kms_part_value(change, KMS_COND_REKEY));
}

static enum mkt_rc
require_all(const struct verdict *v, uint32_t which, const struct kms_question *question,
            const struct kms_circumstances *q, struct mkt_err *err)
{
    for (size_t i = 0; i < v->n; i++)
        if (require(v->rule[i], which, question, q, err) != MKT_OK)
            return err->rc;
    return MKT_OK;
}

/* What the rules say to all responders of the wish, and whether it can become what they require. */
static enum mkt_rc
decide(struct verdict *v, struct kms_question *question, const struct kms_circumstances *q,
       struct mkt_err *err)
{
    static const struct mkt_identity nobody = { 0 };
    const struct mkt_policy *want = question->what;
    const struct kms_rule *rule;
    size_t i = 0;

    do { /* at least once: a wish without responders is decided on, too */
        question->to = kms_who_of(i < want->n_responders ? want->responders[i] : nobody);
        if (choose(&rule, question, q, err) != MKT_OK)
            return err->rc;
        add_rule(v, rule);
    } while (++i < want->n_responders);
    note(q, v->rule[0], NULL);
    if ((v->set & v->clear) != 0)
        return refuse(q, v->rule[0], MKT_E_TP_PARAM, "flags: the rules of two responders conflict",
                      err);
    return require_all(v, KMS_CONDS_FIXED, question, q, err);
}

/* Changes the wish as the rules demand. */
static enum mkt_rc
change(struct mkt_policy *granted, const struct mkt_policy *want, const struct verdict *v,
       const struct kms_circumstances *q, struct mkt_identity requester, bool responder_has_tpk,
       struct mkt_err *err)
{
    const struct mkt_grant_rules rules = { .max_validity_s = v->validity_s,
                                           .clear_flags = v->clear,
                                           .set_flags = v->set,
                                           .responder_has_tpk = responder_has_tpk,
                                           .keeps_keys = true };

    if (mkt_policy_grant(granted, want, &rules, requester, q->kms, q->now, err) != MKT_OK) {
        note(q, v->rule[0], err->what);
        return err->rc;
    }
    if (v->rekey_s != 0 && granted->ticket_type != MKT_TICKET_TYPE_COMPAT &&
        !kms_rekeys_within(granted, v->rekey_s)) { /* RFC 3830 has no TRr */
        granted->rekey = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, (uint64_t)v->rekey_s << 32 };
        granted->flags |= MKT_TP_K;
    }
    return MKT_OK;
}

/* The mode that a ticket with these flags has when the KMS makes it. */
static uint32_t
mode_of(uint16_t flags)
{
    return (flags & MKT_TP_E) != 0 ? 1u << 1 : 1u << 2;
}

/* The mode wanted must be allowed, and the one that is left as well. */
enum mkt_rc
kms_policy_request(struct mkt_policy *granted, const struct mkt_policy *want,
                   const struct kms_circumstances *q, bool responder_has_tpk, struct mkt_err *err)
{
    struct kms_question question = { .phase = KMS_PHASE_ISSUE,
                                     .from = kms_who_of(q->client),
                                     .what = want,
                                     .modes = mode_of(want->flags),
                                     .now = q->now,
                                     .people = &q->directory };
    struct verdict v = { .n = 0 };

    if (decide(&v, &question, q, err) != MKT_OK ||
        change(granted, want, &v, q, q->client, responder_has_tpk, err) != MKT_OK)
        return err->rc;
    question.what = granted;
    question.modes |= mode_of(granted->flags);
    return require_all(&v, KMS_CONDS_OTHER, &question, q, err);
}

/* --- resolve ---------------------------------------------------------------------------------- */

static bool
same_time(struct mkt_time a, struct mkt_time b)
{
    return a.has == b.has && (!a.has || (a.type == b.type && a.value == b.value));
}

/* What would have been changed in a ticket, for the log. */
static const char *
changed_field(const struct mkt_policy *granted, const struct mkt_policy *ticket)
{
    if (!same_time(granted->end, ticket->end))
        return "TRe: longer than max_validity or the rule allows";
    if (!same_time(granted->rekey, ticket->rekey))
        return "TRr: rekeyed more seldom than the rule allows";
    if (((granted->flags ^ ticket->flags) & ~(MKT_TP_D | MKT_TP_K)) != 0)
        return "flags";
    if (ticket->kms.data.p != NULL && !mkt_identity_equal(granted->kms, ticket->kms))
        return "IDRkms";
    return "KEMAC";
}

/* D = 0: K of the would-be grant tells whether anything but D had been changed. */
static enum mkt_rc
check_own_ticket(const struct mkt_policy *ticket, const struct kms_circumstances *q,
                 bool initiator_is_user, struct mkt_err *err)
{
    struct mkt_policy want = *ticket, granted;
    struct kms_question question = { .phase = KMS_PHASE_ISSUE,
                                     .from = kms_who_of(ticket->initiator),
                                     .what = ticket,
                                     .modes = 1u << 3,
                                     .now = q->now,
                                     .people = &q->directory };
    struct verdict v = { .n = 0 };

    if (!initiator_is_user)
        return refuse(q, NULL, MKT_E_NOT_AUTHORISED, "IDRi is no user", err);
    want.flags |= MKT_TP_D;
    if (decide(&v, &question, q, err) != MKT_OK ||
        change(&granted, &want, &v, q, ticket->initiator, false, err) != MKT_OK)
        return err->rc;
    if ((granted.flags & MKT_TP_K) != 0)
        return refuse(q, v.rule[0], MKT_E_TP_PARAM, changed_field(&granted, &want), err);
    return require_all(&v, KMS_CONDS_OTHER, &question, q, err);
}

/* The first IDRr that stands for the client, and as whom the client answers. */
static bool
find_name(struct mkt_identity *named, struct mkt_identity *as, const struct mkt_policy *ticket,
          const struct kms_circumstances *q)
{
    const struct kms_directory *d = &q->directory;

    for (uint8_t i = 0; i < ticket->n_responders; i++) {
        *named = *as = ticket->responders[i];
        if (d->stands_for == NULL ? mkt_identity_equal(*named, q->client)
                                  : d->stands_for(d->ctx, *named, q->client, as))
            return true;
    }
    return false;
}

static bool
in_realm(const char *realm, const struct kms_circumstances *q)
{
    const struct kms_directory *d = &q->directory;

    return q->cross_realm || d->realm_of == NULL ||
           strcmp(d->realm_of(d->ctx, q->client), realm) == 0;
}

/* The rule of today. */
static enum mkt_rc
decide_resolve(const struct kms_question *question, const struct kms_circumstances *q,
               struct mkt_err *err)
{
    const struct kms_rule *rule;

    if (choose(&rule, question, q, err) != MKT_OK ||
        require(rule, KMS_CONDS_FIXED | KMS_CONDS_OTHER, question, q, err) != MKT_OK)
        return err->rc;
    note(q, rule, NULL);
    return MKT_OK;
}

enum mkt_rc
kms_policy_resolve(struct mkt_identity *as, const struct kms_opened *ticket,
                   const struct kms_circumstances *q, struct mkt_err *err)
{
    const struct mkt_policy *p = ticket->policy;
    bool own = (p->flags & MKT_TP_D) == 0;
    unsigned mode = own ? 3 : ticket->owner.data.p != NULL ? 2 : 1;
    struct kms_question question = { .phase = KMS_PHASE_RESOLVE,
                                     .from = kms_who_of(p->initiator),
                                     .what = p,
                                     .modes = 1u << mode,
                                     .now = q->now,
                                     .people = &q->directory };
    struct mkt_identity named;
    const char *why = !find_name(&named, as, p, q)  ? "IDRr"
                      : !in_realm(ticket->realm, q) ? "a ticket of another realm"
                                                    : NULL;

    if (why != NULL) {
        note(q, NULL, why);
        return mkt_fail(err, MKT_E_NOT_AUTHORISED, 0, why, "RFC 6043 4.2.3.4");
    }
    question.to = kms_who_of(*as);
    question.named = kms_who_of(named);
    if (own && check_own_ticket(p, q, ticket->initiator_is_user, err) != MKT_OK)
        return err->rc;
    return decide_resolve(&question, q, err);
}

/* --- tickets of other KMSs -------------------------------------------------------------------- */

#define ABOUT_KEYS (1u << KMS_COND_KEYS | 1u << KMS_COND_KEY_OCTETS | 1u << KMS_COND_KEY_COUNT)

/* Of a ticket without keys every condition about them holds, so that a rule which refuses some kind
 * of keys seems to apply: that is not the last word. */
static bool
undecided(const struct kms_question *question, const struct kms_circumstances *q)
{
    const struct kms_rule *rule = kms_rules_match(q->rules, question, NULL);

    return rule != NULL && rule->refuse && (rule->part[KMS_PART_WHEN].has & ABOUT_KEYS) != 0;
}

enum mkt_rc
kms_policy_foreign(const struct mkt_policy *ticket, bool keys_known,
                   const struct kms_circumstances *q, struct mkt_err *err)
{
    unsigned mode = (ticket->flags & MKT_TP_D) == 0 ? 3 : (ticket->flags & MKT_TP_E) == 0 ? 2 : 1;
    struct kms_question question = { .phase = KMS_PHASE_RESOLVE,
                                     .from = kms_who_of(ticket->initiator),
                                     .to = kms_who_of(q->client),
                                     .what = ticket,
                                     .modes = 1u << mode,
                                     .now = q->now,
                                     .people = &q->directory };
    struct mkt_identity named, as;

    question.named = find_name(&named, &as, ticket, q) ? kms_who_of(named) : question.to;
    if (!keys_known && undecided(&question, q))
        return MKT_OK;
    return decide_resolve(&question, q, err);
}
