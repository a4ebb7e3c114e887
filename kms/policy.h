/* SPDX-License-Identifier: Apache-2.0 */
/* Who may have what: pure functions of the question, the time, the rules and who is in which group.
 * No store, no I/O. */
#ifndef KMS_POLICY_H
#define KMS_POLICY_H

#include "rules.h"

#include "directory.h"

/* What was decided, for the log. */
struct kms_decision {
    const char *rule; /* that decided, the first when there were several; borrows from the rules.
                       * NULL: none was asked, or none applied */
    const char *why;  /* what of it did not hold, as in the error; NULL: nothing */
};

/* The circumstances of a question. */
struct kms_circumstances {
    const struct kms_rules *rules;
    struct mkt_identity client; /* who asks, authenticated */
    struct mkt_identity kms;    /* our own identity */
    uint64_t now;               /* NTP-UTC */
    struct kms_directory directory;
    bool cross_realm;              /* tickets of another realm, too */
    struct kms_decision *decision; /* filled in; NULL: not wanted */
    const struct kms_trace *trace; /* told of every rule; NULL: nobody */
};

/* A ticket that was opened. */
struct kms_opened {
    const struct mkt_policy *policy;
    struct mkt_identity owner; /* who shares its TPK; absent: nobody */
    const char *realm;         /* whose TPK it is */
    bool initiator_is_user;
};

/* kms_policy_request decides on the ticket that the client wants: *granted is the policy to issue.
 * Each responder is decided on by itself: all must be granted, and what any rule changes or
 * requires holds for the whole ticket. responder_has_tpk: the only IDRr shares a TPK of the suite
 * with us, so mode 2 is possible; the ticket goes under that TPK when E is not set in *granted.
 * Borrows as mkt_policy_grant does. MKT_E_NOT_AUTHORISED when no rule, or one that refuses,
 * applies; MKT_E_TICKET_TYPE or MKT_E_TP_PARAM when the rule minds what is wanted, or what would be
 * granted; else as mkt_policy_grant. */
enum mkt_rc kms_policy_request(struct mkt_policy *granted, const struct mkt_policy *want,
                               const struct kms_circumstances *q, bool responder_has_tpk,
                               struct mkt_err *err);

/* kms_policy_resolve decides whether the client may have the keys of an opened ticket: one of its
 * responders must stand for the client (RFC 6043 4.2.3.4 and 6.10): be an identity of it, a group
 * that it is in now, or a pattern; *as gets the identity that answers (4.2.3.5). The rule of today
 * must let it have this ticket. A ticket that its Initiator made (D = 0, mode 3) gets here what a
 * request would have got: its Initiator must still be a user, and kms_policy_request would have
 * granted just this. MKT_E_NOT_AUTHORISED, MKT_E_TP_PARAM; else as mkt_policy_grant. */
enum mkt_rc kms_policy_resolve(struct mkt_identity *as, const struct kms_opened *ticket,
                               const struct kms_circumstances *q, struct mkt_err *err);

/* kms_policy_foreign decides whether the client may have the keys of a ticket that another KMS has
 * made, by the same rules; that KMS decides whether the client is one of its responders. Until the
 * keys are known no rule is minded for what it says about them. */
enum mkt_rc kms_policy_foreign(const struct mkt_policy *ticket, bool keys_known,
                               const struct kms_circumstances *q, struct mkt_err *err);

#endif
