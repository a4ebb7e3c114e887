/* SPDX-License-Identifier: Apache-2.0 */
/* A Ticket Policy judged and put into words. What follows from which flags is a table for each
 * question, indexed by the flags that answer it (RFC 6043 4.1.1, 5.1, 5.3, 6.10). */
#include "explain.h"

#include "flag_words.h"

#include <mikeyticket/env.h>
#include <stdio.h>
#include <string.h>

#define REF "RFC 6043 6.10"

bool
cli_subject_message(struct cli_subject *s, const struct mkt_msg *msg)
{
    const struct mkt_payload *pl = mkt_msg_find(msg, MKT_PL_TICKET, 0);
    bool granted = pl != NULL;
    if (!granted)
        pl = mkt_msg_find(msg, MKT_PL_TP, 0);
    if (pl == NULL)
        return false;
    *s = (struct cli_subject){ .flags = pl->u.ticket.flags, .msg = msg, .payload = pl };
    size_t at = pl->at + (size_t)(pl->u.ticket.tp_data.p - pl->raw.p);
    enum mkt_rc rc = mkt_policy_decode(&s->policy, &pl->u.ticket, granted, at, &s->unread);
    return rc == s->unread.rc; /* kept there: a policy that cannot be read is explained, too */
}

bool
cli_subject_wish(const struct cli_subject *s)
{
    return s->payload != NULL && s->payload->type == MKT_PL_TP;
}

/* --- broken rules ------------------------------------------------------------------------------
 */

static void
breach(struct cli_breaches *b, const char *rule, const char *clause, const char *help)
{
    if (b->n == CLI_BREACHES_MAX) /* no policy has so many */
        return;
    struct cli_breach *one = &b->of[b->n++];
    *one = (struct cli_breach){ .rule = rule, .clause = clause };
    snprintf(one->help, sizeof one->help, "%s", help);
}

static char
letter_of(uint16_t flag)
{
    size_t i = 0;
    while (i + 1 < CLI_FLAGS && cli_flags[i].flag != flag)
        i++;
    return cli_flags[i].letter;
}

static void
check_flags(struct cli_breaches *b, uint16_t flags)
{
    size_t n;
    const struct mkt_flag_rule *rules = mkt_flag_rules(&n);
    for (size_t i = 0; i < n; i++) {
        if (mkt_flag_rule_holds(&rules[i], flags, false))
            continue;
        char help[32];
        snprintf(help, sizeof help, "set %c, or %s %c", letter_of(rules[i].needs),
                 rules[i].when ? "clear" : "set", letter_of(rules[i].flag));
        breach(b, rules[i].say, REF, help);
    }
}

/* Keys, with the rules of the KMS that grants them: nobody may ask for what none may grant. */
static void
check_wish(struct cli_breaches *b, const struct cli_subject *s, uint64_t now)
{
    struct mkt_policy granted;
    struct mkt_err why = { 0 };
    const struct mkt_grant_rules none = { .max_validity_s = 0 };
    if ((s->flags & MKT_TP_K) != 0)
        breach(b, "K is 0 in a Ticket Policy that is wished for", REF,
               "clear K; the KMS ignores it");
    if (s->unread.rc == MKT_OK && mkt_policy_grant(&granted, &s->policy, &none, s->policy.initiator,
                                                   s->policy.kms, now, &why) == MKT_E_TP_PARAM)
        breach(b, why.what, why.ref, "");
}

static void
check_initiator_data(struct cli_breaches *b, const struct cli_subject *s)
{
    bool forks = (s->flags & MKT_TP_I) != 0, has = s->payload->u.ticket.initiator_data.n != 0;
    if (s->msg->hdr.data_type == MKT_DT_REQUEST_RESP) {
        if (has)
            breach(b, "Initiator Data is not for the KMS to insert", REF, "");
    } else if (forks != has)
        breach(b,
               forks ? "I asks for Initiator Data, and there is none"
                     : "Initiator Data although I is not set",
               REF, "");
}

static void
check_message(struct cli_breaches *b, const struct cli_subject *s, uint64_t now)
{
    const struct mkt_policy *p = &s->policy;
    if (s->unread.rc != MKT_OK)
        breach(b, s->unread.what, s->unread.ref, mkt_strerror(s->unread.rc));
    if (p->ticket_type == MKT_TICKET_TYPE_BASE && (p->subtype != 1 || p->version != 1))
        breach(b, "a MIKEY base ticket has Subtype 1 and Version 1", REF, "");
    if (p->start.has && p->end.has &&
        mkt_ntp_to_unix(p->end.value) < mkt_ntp_to_unix(p->start.value))
        breach(b, "the validity period ends (TRe) before it begins (TRs)", REF, "");
    if (cli_subject_wish(s))
        check_wish(b, s, now);
    else
        check_initiator_data(b, s);
}

void
cli_explain_breaches(struct cli_breaches *b, const struct cli_subject *s, uint64_t now)
{
    b->n = 0;
    check_flags(b, s->flags);
    if (s->msg != NULL)
        check_message(b, s, now);
}

/* --- what follows ------------------------------------------------------------------------------
 */

/* Two flags as a number from 0 to 3. */
static size_t
pair(uint16_t flags, uint16_t high, uint16_t low)
{
    return ((flags & high) != 0 ? 2U : 0U) + ((flags & low) != 0 ? 1U : 0U);
}

const struct cli_mode *
cli_explain_mode(uint16_t flags)
{
    static const struct cli_mode modes[] = {
        { 4, "the Initiator makes the ticket, and a Responder that shares the ticket key opens it",
          "Ticket Transfer" },
        { 3, "the Initiator makes the ticket, and the KMS opens it for the Responder",
          "Ticket Transfer, Ticket Resolve" },
        { 2, "the KMS makes the ticket, and a Responder that shares the ticket key opens it",
          "Ticket Request, Ticket Transfer" },
        { 1, "the KMS makes the ticket, and the KMS opens it for the Responder",
          "Ticket Request, Ticket Transfer, Ticket Resolve" },
    };
    return &modes[pair(flags, MKT_TP_D, MKT_TP_E)];
}

/* A question, the one or two flags that answer it, and the answers for 00, 01, 10, 11 (high flag
 * first). One flag: high is 0, and only the first two count. */
static const struct {
    const char *key;
    uint16_t high, low;
    const char *words[4];
} consequences[] = {
    { "session-keys",
      MKT_TP_L,
      MKT_TP_M,
      { "those in the ticket; neither end may supply others",
        "those in the ticket, or supplied by the Responder in its TRANSFER_RESP",
        "those in the ticket, or supplied by the Initiator in its TRANSFER_INIT",
        "those in the ticket, or supplied by either end in its transfer message" } },
    { "forking",
      0,
      MKT_TP_I,
      { "none: all Responders that resolve the ticket share its keys, and an answer does not prove "
        "which of them sent it",
        "each Responder that resolves the ticket gets keys of its own (MPKr', TGK'), and its "
        "answer proves who it is" } },
    { "answer",
      0,
      MKT_TP_F,
      { "no TRANSFER_RESP may be sent: the Initiator does not learn who takes the offer",
        "a TRANSFER_RESP must be sent" } },
    { "random-octets",
      MKT_TP_H,
      MKT_TP_G,
      { "of neither end in keys derived from a TGK or GTGK",
        "RANDRr in keys derived from a TGK or GTGK: the Responder makes them fresh",
        "RANDRi in keys derived from a TGK or GTGK: the Initiator makes them fresh",
        "RANDRi and RANDRr in keys derived from a TGK or GTGK: both ends make them fresh" } },
    { "reuse",
      0,
      MKT_TP_J,
      { "the ticket is for one offer and must not be kept",
        "the ticket may be kept and used for several offers" } },
    { "processing",
      MKT_TP_N,
      MKT_TP_O,
      { "both ends need more than RFC 6043: see the specification of the Ticket Type",
        "the Initiator needs more than RFC 6043: see the specification of the Ticket Type",
        "the Responder needs more than RFC 6043: see the specification of the Ticket Type",
        "RFC 6043 is all that both ends need" } },
};

bool
cli_explain_next(size_t *i, uint16_t flags, struct cli_consequence *c)
{
    if (*i == CLI_COUNT(consequences))
        return false;
    size_t which = pair(flags, consequences[*i].high, consequences[*i].low);
    *c = (struct cli_consequence){ consequences[*i].key, consequences[*i].words[which] };
    ++*i;
    return true;
}

static bool
forks_without_answer(const struct cli_subject *s)
{
    return (s->flags & (MKT_TP_I | MKT_TP_F)) == MKT_TP_I;
}

static bool
may_be_opened_by_responder(const struct cli_subject *s)
{
    return (s->flags & MKT_TP_E) == 0;
}

static bool
forks_and_initiator_supplies(const struct cli_subject *s)
{
    return (s->flags & MKT_TP_I) != 0 && (s->flags & MKT_TP_L) != 0;
}

static bool
asks_kms_for_own_ticket(const struct cli_subject *s)
{
    return cli_subject_wish(s) && (s->flags & MKT_TP_D) == 0;
}

static bool
was_changed(const struct cli_subject *s)
{
    return s->payload != NULL && !cli_subject_wish(s) && (s->flags & MKT_TP_K) != 0;
}

static bool
is_foreign_type(const struct cli_subject *s)
{
    return s->msg != NULL && s->policy.ticket_type != MKT_TICKET_TYPE_BASE;
}

static const struct {
    bool (*applies)(const struct cli_subject *s);
    const char *words;
} notes[] = {
    { forks_without_answer, "I without F allows no TGK in the ticket (RFC 6043 6.10); a KMS sets F "
                            "when it encodes one, which is the default" },
    { may_be_opened_by_responder,
      "a Responder without the ticket key resolves the ticket at the KMS all the same" },
    { forks_and_initiator_supplies, "keys that the Initiator supplies are under MPKi: every "
                                    "Responder that resolves the ticket can read them" },
    { asks_kms_for_own_ticket, "a KMS makes the tickets it grants: it sets D" },
    { was_changed, "the KMS changed what was wished for: look before you use the ticket" },
    { is_foreign_type, "the Ticket Type is not the MIKEY base ticket of RFC 6043" },
};

bool
cli_explain_note(size_t *i, const struct cli_subject *s, const char **words)
{
    while (*i < CLI_COUNT(notes) && !notes[*i].applies(s))
        ++*i;
    if (*i == CLI_COUNT(notes))
        return false;
    *words = notes[(*i)++].words;
    return true;
}

void
cli_explain_seconds(uint64_t seconds, char out[CLI_SPAN_TEXT])
{
    static const struct {
        uint64_t seconds;
        const char *name;
    } units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
    size_t i = 0, at = 0;
    while (i + 1 < CLI_COUNT(units) && seconds < units[i].seconds)
        i++;
    for (size_t end = i + 2; i < end && i < CLI_COUNT(units); i++) {
        uint64_t count = seconds / units[i].seconds;
        seconds %= units[i].seconds;
        if (count != 0 || at == 0)
            at += (size_t)snprintf(out + at, CLI_SPAN_TEXT - at, "%s%llu %s", at > 0 ? " " : "",
                                   (unsigned long long)count, units[i].name);
    }
}
