/* SPDX-License-Identifier: Apache-2.0 */
/* What each condition looks at. */
#include "conditions.h"

#include <string.h>

#include <mikeyticket/env.h>

/* --- who ------------------------------------------------------------------------------------- */

static bool
any_matches(const struct kms_value *v, const struct kms_who *who, const struct kms_question *q)
{
    for (size_t i = 0; i < v->n; i++)
        if (kms_selector_match(&v->list[i], who, q->people))
            return true;
    return false;
}

static bool
from_holds(const struct kms_value *v, const struct kms_question *q)
{
    return any_matches(v, &q->from, q);
}

/* Who resolves a ticket is meant by its own name, or by the one that let it in. */
static bool
to_holds(const struct kms_value *v, const struct kms_question *q)
{
    return any_matches(v, &q->to, q) ||
           (q->named.id.data.p != NULL && any_matches(v, &q->named, q));
}

static void
print_identity(FILE *out, struct mkt_identity id)
{
    if (id.data.p == NULL)
        fputs("nobody", out);
    for (size_t i = 0; id.data.p != NULL && i < id.data.n; i++)
        fputc(id.data.p[i] > ' ' && id.data.p[i] < 0x7f ? id.data.p[i] : '?', out);
}

static void
from_asked(FILE *out, const struct kms_question *q)
{
    print_identity(out, q->from.id);
}

static void
to_asked(FILE *out, const struct kms_question *q)
{
    print_identity(out, q->to.id);
    if (q->named.id.data.p == NULL || mkt_identity_equal(q->named.id, q->to.id))
        return;
    fputs(", named as ", out);
    print_identity(out, q->named.id);
}

/* --- what: words ------------------------------------------------------------------------------ */

static const char *const phases[] = { "issue", "resolve", NULL };
static const char *const modes[] = { "", "1", "2", "3", NULL };
static const char *const types[] = { "base", "compat", "reference", NULL }; /* kms_makes */
static const char *const suites[] = { "128", "256", NULL };                 /* by PRF */
static const char *const keys[] = { "TGK", "TEK", "GTGK", NULL };

static void
print_words(FILE *out, const char *const *words, uint32_t bits)
{
    const char *between = "";

    for (size_t i = 0; words[i] != NULL; i++)
        if ((bits >> i & 1) != 0) {
            fprintf(out, "%s%s", between, words[i]);
            between = ", ";
        }
    if (between[0] == '\0')
        fputs("none", out);
}

static bool
at_holds(const struct kms_value *v, const struct kms_question *q)
{
    return (v->a >> q->phase & 1) != 0;
}

static void
at_asked(FILE *out, const struct kms_question *q)
{
    fputs(phases[q->phase], out);
}

static bool
modes_hold(const struct kms_value *v, const struct kms_question *q)
{
    return (q->modes & ~v->a) == 0;
}

static void
modes_asked(FILE *out, const struct kms_question *q)
{
    print_words(out, modes, q->modes);
}

static uint32_t
type_bit(const struct mkt_policy *p)
{
    static const uint16_t types_of[] = { MKT_TICKET_TYPE_BASE, MKT_TICKET_TYPE_COMPAT,
                                         MKT_TICKET_TYPE_REFERENCE };

    for (uint32_t i = 0; i < sizeof types_of / sizeof types_of[0]; i++)
        if (types_of[i] == p->ticket_type)
            return 1u << i;
    return 0;
}

static bool
types_hold(const struct kms_value *v, const struct kms_question *q)
{
    return (v->a & type_bit(q->what)) != 0;
}

static void
types_asked(FILE *out, const struct kms_question *q)
{
    print_words(out, types, type_bit(q->what));
}

/* What is no longer made may still be used. */
static bool
made_holds(const struct kms_value *v, const struct kms_question *q)
{
    return q->phase == KMS_PHASE_RESOLVE || types_hold(v, q);
}

static bool
suites_hold(const struct kms_value *v, const struct kms_question *q)
{
    return q->what->prf < 32 && (v->a >> q->what->prf & 1) != 0;
}

static void
suites_asked(FILE *out, const struct kms_question *q)
{
    print_words(out, suites, q->what->prf < 32 ? 1u << q->what->prf : 0);
}

/* --- what: flags ------------------------------------------------------------------------------ */

static bool
flags_hold(const struct kms_value *v, const struct kms_question *q)
{
    return (q->what->flags & v->a) == v->a && (q->what->flags & v->b) == 0;
}

static void
flags_asked(FILE *out, const struct kms_question *q)
{
    char text[13];

    mkt_policy_flags_format(q->what->flags, text);
    fputs(text[0] == '\0' ? "none" : text, out);
}

/* --- what: keys ------------------------------------------------------------------------------- */

/* A wish without KEMAC is one for a TGK of the suite (RFC 6043 4.2.1.5). */
static bool
default_keys(const struct kms_question *q)
{
    return q->phase == KMS_PHASE_ISSUE && !q->what->has_kemac && q->what->n_wanted == 0;
}

static uint32_t
key_bits(const struct kms_question *q)
{
    uint32_t bits = default_keys(q) ? 1 : 0;

    for (size_t i = 0; i < q->what->n_wanted; i++)
        bits |= 1u << (q->what->wanted[i].type / 2 & 31);
    return bits;
}

static bool
keys_hold(const struct kms_value *v, const struct kms_question *q)
{
    return (key_bits(q) & ~v->a) == 0;
}

static void
keys_asked(FILE *out, const struct kms_question *q)
{
    print_words(out, keys, key_bits(q) & 7);
}

static void
key_lengths(const struct kms_question *q, uint32_t *least, uint32_t *most)
{
    const struct mkt_suite *suite = mkt_suite_of(q->what->prf);

    *least = UINT32_MAX;
    *most = 0;
    if (default_keys(q) && suite != NULL)
        *least = *most = suite->key_len;
    for (size_t i = 0; i < q->what->n_wanted; i++) {
        uint32_t n = q->what->wanted[i].key_len;

        *least = n < *least ? n : *least;
        *most = n > *most ? n : *most;
    }
}

static bool
key_octets_hold(const struct kms_value *v, const struct kms_question *q)
{
    uint32_t least, most;

    key_lengths(q, &least, &most);
    return least >= v->a && most <= v->b;
}

static void
key_octets_asked(FILE *out, const struct kms_question *q)
{
    uint32_t least, most;

    key_lengths(q, &least, &most);
    if (least > most)
        fputs("no keys", out);
    else if (least == most)
        fprintf(out, "%u", least);
    else
        fprintf(out, "%u to %u", least, most);
}

static uint32_t
key_count(const struct kms_question *q)
{
    return default_keys(q) ? 1 : q->what->n_wanted;
}

static bool
key_count_holds(const struct kms_value *v, const struct kms_question *q)
{
    return key_count(q) <= v->a;
}

static void
key_count_asked(FILE *out, const struct kms_question *q)
{
    fprintf(out, "%u", key_count(q));
}

/* --- what: times ------------------------------------------------------------------------------ */

static uint64_t
valid_from(const struct mkt_policy *p, uint64_t now)
{
    return (p->start.has ? p->start.value : now) & ~(uint64_t)UINT32_MAX;
}

/* In the years 1968 to 2104, whatever the distance. */
static bool
no_later(uint64_t t, uint64_t last)
{
    int64_t a = mkt_ntp_to_unix(t), b = mkt_ntp_to_unix(last);

    return a < b || (a == b && (uint32_t)t <= (uint32_t)last);
}

bool
kms_within(const struct mkt_policy *p, uint32_t seconds, uint64_t now)
{
    return p->end.has && no_later(p->end.value, valid_from(p, now) + ((uint64_t)seconds << 32));
}

bool
kms_rekeys_within(const struct mkt_policy *p, uint32_t seconds)
{
    return p->rekey.has && p->rekey.value >> 32 <= seconds;
}

static bool
validity_holds(const struct kms_value *v, const struct kms_question *q)
{
    return kms_within(q->what, v->a, q->now);
}

static void
validity_asked(FILE *out, const struct kms_question *q)
{
    uint64_t from = valid_from(q->what, q->now);

    if (!q->what->end.has)
        fputs("without end", out);
    else if (no_later(q->what->end.value, from))
        fputs("over", out);
    else
        kms_duration_print(out, (uint32_t)((q->what->end.value - from + UINT32_MAX) >> 32));
}

static bool
rekey_holds(const struct kms_value *v, const struct kms_question *q)
{
    return kms_rekeys_within(q->what, v->a);
}

static void
rekey_asked(FILE *out, const struct kms_question *q)
{
    if (q->what->rekey.has)
        kms_duration_print(out, (uint32_t)(q->what->rekey.value >> 32));
    else
        fputs("never", out);
}

/* --- what: applications ----------------------------------------------------------------------- */

/* Without IDRapp a ticket is for all applications (RFC 6043 6.10), so only "any" allows it. */
static bool
apps_hold(const struct kms_value *v, const struct kms_question *q)
{
    static const struct kms_who all = { 0 };

    if (q->what->n_apps == 0)
        return any_matches(v, &all, q);
    for (size_t i = 0; i < q->what->n_apps; i++) {
        const struct kms_who app = kms_who_of(q->what->apps[i]);

        if (!any_matches(v, &app, q))
            return false;
    }
    return true;
}

static void
apps_asked(FILE *out, const struct kms_question *q)
{
    for (size_t i = 0; i < q->what->n_apps; i++) {
        fputs(i == 0 ? "" : ", ", out);
        print_identity(out, q->what->apps[i]);
    }
    if (q->what->n_apps == 0)
        fputs("all applications", out);
}

/* --- the table -------------------------------------------------------------------------------- */

#define SAID (KMS_IN(WHEN) | KMS_IN(REQUIRE))

const struct kms_condition kms_conditions[KMS_COND_COUNT] = {
    [KMS_COND_FROM] = { "from", KMS_VALUE_PATTERNS, KMS_IN(WHO), 0, 0, NULL,
                        "who asks for the ticket, or made it", from_holds, from_asked,
                        MKT_E_NOT_AUTHORISED, "from" },
    [KMS_COND_TO] = { "to", KMS_VALUE_PATTERNS, KMS_IN(WHO), 0, 0, NULL, "who may resolve it",
                      to_holds, to_asked, MKT_E_NOT_AUTHORISED, "to" },
    [KMS_COND_AT] = { "at", KMS_VALUE_WORDS, KMS_IN(WHEN), 0, 0, phases,
                      "when the ticket is made, or used", at_holds, at_asked, MKT_E_TP_PARAM,
                      "at" },
    [KMS_COND_MODES] = { "modes", KMS_VALUE_WORDS, SAID, 0, 0, modes, "modes of RFC 6043 4.1.1",
                         modes_hold, modes_asked, MKT_E_TP_PARAM, NULL },
    [KMS_COND_TYPES] = { "types", KMS_VALUE_WORDS, SAID, 0, 0, types, "Ticket Types", types_hold,
                         types_asked, MKT_E_TICKET_TYPE, "types: not this Ticket Type" },
    [KMS_COND_MADE] = { "ticket_types", KMS_VALUE_WORDS, KMS_IN(REQUIRE), 0, 0, types,
                        "Ticket Types that are made", made_holds, types_asked, MKT_E_TICKET_TYPE,
                        "not in ticket_types" },
    [KMS_COND_SUITES] = { "suites", KMS_VALUE_WORDS, SAID, 0, 0, suites, "security levels",
                          suites_hold, suites_asked, MKT_E_TP_PARAM,
                          "suites: not this security level" },
    [KMS_COND_FLAGS] = { "flags", KMS_VALUE_FLAGS, SAID | KMS_IN(CHANGE), 0, 0, NULL,
                         "flags that are set, and flags that are clear", flags_hold, flags_asked,
                         MKT_E_TP_PARAM, "flags: one is missing, or one too many" },
    [KMS_COND_KEYS] = { "keys", KMS_VALUE_WORDS, SAID, 0, 0, keys, "kinds of session keys",
                        keys_hold, keys_asked, MKT_E_TP_PARAM, "keys: not this kind of key" },
    [KMS_COND_KEY_OCTETS] = { "key_octets", KMS_VALUE_RANGE, SAID, 16, 64, NULL,
                              "length of each session key", key_octets_hold, key_octets_asked,
                              MKT_E_TP_PARAM, "key_octets: a key is too short or too long" },
    [KMS_COND_KEY_COUNT] = { "key_count", KMS_VALUE_NUMBER, SAID, 0, MKT_KEYS_MAX, NULL,
                             "most session keys", key_count_holds, key_count_asked, MKT_E_TP_PARAM,
                             "key_count: too many keys" },
    [KMS_COND_VALIDITY] = { "validity", KMS_VALUE_TIME, SAID | KMS_IN(CHANGE), 1, 315360000, NULL,
                            "longest validity", validity_holds, validity_asked, MKT_E_TP_PARAM,
                            "validity: valid for too long" },
    [KMS_COND_REKEY] = { "rekey", KMS_VALUE_TIME, SAID | KMS_IN(CHANGE), 1, 315360000, NULL,
                         "longest time between two rekeyings (TRr)", rekey_holds, rekey_asked,
                         MKT_E_TP_PARAM, "rekey: rekeyed too seldom" },
    [KMS_COND_APPS] = { "applications", KMS_VALUE_PATTERNS, SAID, 0, 0, NULL,
                        "applications (IDRapp) that it may be for", apps_hold, apps_asked,
                        MKT_E_TP_PARAM, "applications: not for this one" },
};

const struct kms_flag_word kms_flag_words[] = {
    { "forking", MKT_TP_I, "the flag I: keys of their own for each responder" },
    { "reuse", MKT_TP_J, "the flag J: the ticket may be used again" },
    { "randrr", MKT_TP_G, "the flag G: the responder adds randomness (RANDRr)" },
    { NULL, 0, NULL },
};

const char *
kms_condition_broken(enum kms_condition_id id, const struct kms_value *v,
                     const struct kms_question *q)
{
    static const char *const not_served[] = { "modes", "mode 1 is not served",
                                              "mode 2 is not served", "mode 3 is not served" };
    uint32_t refused = v == NULL ? 0 : q->modes & ~v->a & 0xe;

    if (kms_conditions[id].broken != NULL)
        return kms_conditions[id].broken;
    return not_served[refused == 0 ? 0 : __builtin_ctz(refused)];
}
