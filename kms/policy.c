/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of today: every user may ask for tickets, for at most max_validity; only the responders
 * named in a ticket may resolve it; only the modes of the configuration are served, and only its
 * Ticket Types are made. */
#include "policy.h"

static enum mkt_rc
check_mode(const struct kms_config *rules, unsigned mode, struct mkt_err *err)
{
    static const char *const not_served[] = { NULL, "mode 1 is not served", "mode 2 is not served",
                                              "mode 3 is not served" };

    if ((rules->modes >> mode & 1) != 0)
        return MKT_OK;
    return mkt_fail(err, MKT_E_TP_PARAM, 0, not_served[mode], "RFC 6043 4.1.1");
}

/* What has no bit here is refused by mkt_policy_grant, by the same Error no. */
static enum mkt_rc
check_type(const struct kms_config *rules, const struct mkt_policy *want, struct mkt_err *err)
{
    unsigned bit = want->ticket_type == MKT_TICKET_TYPE_BASE        ? KMS_MAKES_BASE
                   : want->ticket_type == MKT_TICKET_TYPE_COMPAT    ? KMS_MAKES_COMPAT
                   : want->ticket_type == MKT_TICKET_TYPE_REFERENCE ? KMS_MAKES_REFERENCE
                                                                    : 0;

    if (bit == 0 || (rules->ticket_types & bit) != 0)
        return MKT_OK;
    return mkt_fail(err, MKT_E_TICKET_TYPE, 0, "not in ticket_types", "RFC 6043 4.2.1.4");
}

static enum mkt_rc
grant(struct mkt_policy *granted, const struct mkt_policy *want, const struct kms_circumstances *q,
      struct mkt_identity requester, bool responder_has_tpk, struct mkt_err *err)
{
    const struct mkt_grant_rules rules = { .max_validity_s = q->rules->max_validity_s,
                                           .responder_has_tpk = responder_has_tpk,
                                           .keeps_keys = true };

    return mkt_policy_grant(granted, want, &rules, requester, q->kms, q->now, err);
}

enum mkt_rc
kms_policy_request(struct mkt_policy *granted, const struct mkt_policy *want,
                   const struct kms_circumstances *q, bool responder_has_tpk, struct mkt_err *err)
{
    unsigned mode = (want->flags & MKT_TP_E) != 0 ? 1 : 2;

    if (check_type(q->rules, want, err) != MKT_OK || check_mode(q->rules, mode, err) != MKT_OK ||
        grant(granted, want, q, q->client, responder_has_tpk, err) != MKT_OK)
        return err->rc;
    mode = (granted->flags & MKT_TP_E) != 0 ? 1 : 2;
    return check_mode(q->rules, mode, err);
}

static bool
same_time(struct mkt_time a, struct mkt_time b)
{
    return a.has == b.has && (!a.has || (a.type == b.type && a.value == b.value));
}

/* What mkt_policy_grant would have changed in a ticket, for the log. */
static const char *
changed_field(const struct mkt_policy *granted, const struct mkt_policy *ticket)
{
    if (!same_time(granted->end, ticket->end))
        return "TRe: longer than max_validity";
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

    if (!initiator_is_user)
        return mkt_fail(err, MKT_E_NOT_AUTHORISED, 0, "IDRi is no user", "RFC 6043 4.1.1");
    want.flags |= MKT_TP_D;
    if (grant(&granted, &want, q, ticket->initiator, false, err) != MKT_OK)
        return err->rc;
    if ((granted.flags & MKT_TP_K) != 0)
        return mkt_fail(err, MKT_E_TP_PARAM, 0, changed_field(&granted, &want), "RFC 6043 4.1.1");
    return MKT_OK;
}

enum mkt_rc
kms_policy_resolve(const struct mkt_policy *ticket, const struct kms_circumstances *q,
                   struct mkt_identity owner, bool initiator_is_user, struct mkt_err *err)
{
    bool own = (ticket->flags & MKT_TP_D) == 0, named = false;

    if (check_mode(q->rules, own ? 3 : owner.data.p != NULL ? 2 : 1, err) != MKT_OK)
        return err->rc;
    for (uint8_t i = 0; i < ticket->n_responders; i++)
        named = named || mkt_identity_equal(ticket->responders[i], q->client);
    if (!named)
        return mkt_fail(err, MKT_E_NOT_AUTHORISED, 0, "IDRr", "RFC 6043 4.2.3.4");
    return own ? check_own_ticket(ticket, q, initiator_is_user, err) : MKT_OK;
}
