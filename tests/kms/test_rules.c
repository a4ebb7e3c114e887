/* SPDX-License-Identifier: Apache-2.0 */
/* What the policy decides: one row each of a table of policies, questions and decisions; and what
 * no row can show. Groups are a list in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <mikeyticket/env.h>

#include "document.h"
#include "policy.h"
#include "rules_table.h"

static const struct kms_config config = {
    .max_validity_s = 86400, .modes = 14, .ticket_types = 3, .suites = 3
};
static const int64_t now_s = 1767225600; /* 2026-01-01 */

static struct kms_rules *
rules_of(const char *yaml)
{
    char err[KMS_DOCUMENT_ERR];
    struct kms_rules *rules = kms_rules_parse(&config, "policy", yaml, err);

    if (rules == NULL)
        fail_msg("%s", err);
    return rules;
}

/* Everybody stands for themselves; the group BOARD has alice, TEAM has bob. */
static bool
stands_for(const void *ctx, struct mkt_identity named, struct mkt_identity who,
           struct mkt_identity *as)
{
    static const struct {
        const char *group, *member;
    } members[] = { { BOARD, ALICE }, { TEAM, BOB } };

    (void)ctx;
    *as = who;
    if (mkt_identity_equal(named, who))
        return true;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (mkt_identity_equal(named, mkt_uri(members[i].group)) &&
            mkt_identity_equal(who, mkt_uri(members[i].member)))
            return true;
    return false;
}

static uint16_t
flags_of(const char *letters)
{
    uint16_t flags = 0;

    for (; *letters != '\0'; letters++)
        flags |= (uint16_t)(MKT_TP_D >> (*letters - 'D'));
    return flags;
}

static void
wish(struct mkt_policy *p, const struct asked *a, uint64_t now)
{
    mkt_policy_init(p, a->prf_128 ? MKT_PRF_MIKEY_1 : MKT_PRF_HMAC_SHA_256);
    p->flags = flags_of(a->flags == NULL ? "DEFGHNO" : a->flags);
    p->initiator = mkt_uri(a->from);
    p->responders[p->n_responders++] = mkt_uri(a->to);
    if (a->also_to != NULL)
        p->responders[p->n_responders++] = mkt_uri(a->also_to);
    if (a->type != 0)
        p->ticket_type = a->type;
    if (a->hours != UINT32_MAX)
        p->end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32,
                                    now + ((a->hours == 0 ? 24 : a->hours) * 3600ULL << 32) };
    if (a->rekey_s != 0)
        p->rekey = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, (uint64_t)a->rekey_s << 32 };
    if (a->app != NULL)
        p->apps[p->n_apps++] = mkt_uri(a->app);
    if (a->key_len != 0 || a->by != NULL) {
        p->has_kemac = true;
        p->wanted[p->n_wanted++] = (struct mkt_want_key){ .type = a->key,
                                                          .key_len = a->key_len != 0 ? a->key_len
                                                                     : a->prf_128    ? 16
                                                                                     : 32 };
    }
}

/* The error, and in *granted what a request gets. */
static struct mkt_err
ask(const struct kms_rules *rules, const struct asked *a, struct mkt_policy *granted,
    struct kms_decision *decision, const struct kms_trace *trace)
{
    uint64_t now = mkt_ntp_from_unix(now_s, 0);
    struct mkt_policy p;
    struct mkt_err err = { 0 };
    struct kms_circumstances q = { .rules = rules,
                                   .client = mkt_uri(a->by != NULL ? a->by : a->from),
                                   .kms = mkt_uri(KMS),
                                   .now = now,
                                   .directory = { .stands_for = stands_for },
                                   .decision = decision,
                                   .trace = trace };
    struct mkt_identity owner = { 0 };

    wish(&p, a, now);
    *decision = (struct kms_decision){ 0 };
    if (a->by == NULL) {
        (void)kms_policy_request(granted, &p, &q, a->responder_tpk, &err);
        return err;
    }
    if ((p.flags & MKT_TP_D) == 0)
        owner = p.initiator;
    else if (a->responder_tpk)
        owner = p.responders[0];
    const struct kms_opened opened = { &p, owner, "default", true };
    struct mkt_identity as;
    (void)kms_policy_resolve(&as, &opened, &q, &err);
    return err;
}

static void
check(const struct row *row, const struct kms_trace *trace)
{
    struct kms_rules *rules = rules_of(row->policy);
    struct mkt_policy granted = { 0 };
    struct kms_decision decision;
    struct mkt_err err = ask(rules, &row->asked, &granted, &decision, trace);
    static const enum mkt_rc rcs[] = { MKT_OK, MKT_OK, MKT_E_NOT_AUTHORISED, MKT_E_TICKET_TYPE,
                                       MKT_E_TP_PARAM };
    enum mkt_rc rc = rcs[row->decision];
    const char *rule = decision.rule == NULL ? NONE : decision.rule;

    if (err.rc != rc || strcmp(rule, row->rule) != 0 ||
        (rc != MKT_OK && (decision.why == NULL || strcmp(decision.why, err.what) != 0)) ||
        (row->why != NULL && strstr(err.what, row->why) == NULL))
        fail_msg("row %zu: %s (%s) by %s", (size_t)(row - rows), mkt_rc_name(err.rc),
                 err.what == NULL ? "" : err.what, rule);
    if (row->asked.by == NULL && rc == MKT_OK)
        assert_int_equal((granted.flags & MKT_TP_K) != 0, row->decision == CHANGED);
    kms_rules_free(rules);
}

static void
decides_as_the_table_says(void **state)
{
    (void)state;
    /* RFC6043:12-1 RFC6043:12.1-1 */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(&rows[i], NULL);
}

struct seen {
    size_t rules, conditions;
};

static void
see_rule(void *ctx, const struct kms_rule *rule, const struct kms_question *q)
{
    (void)rule;
    (void)q;
    ((struct seen *)ctx)->rules++;
}

static void
see_condition(void *ctx, const struct kms_rule *rule, enum kms_part_id part,
              enum kms_condition_id id, const struct kms_value *value, bool held,
              const struct kms_question *q)
{
    (void)rule;
    (void)part;
    (void)id;
    (void)value;
    (void)held;
    (void)q;
    ((struct seen *)ctx)->conditions++;
}

static void
decides_the_same_when_it_is_watched(void **state)
{
    struct seen seen = { 0 };
    const struct kms_trace trace = { see_rule, see_condition, &seen };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(&rows[i], &trace);
    assert_true(seen.rules >= sizeof rows / sizeof rows[0]);
    assert_true(seen.conditions > seen.rules);
}

static void
grants_just_what_the_changes_say(void **state)
{
    struct kms_rules *rules = rules_of(R "profile: strict\n  change: {validity: 2h, rekey: 10m}");
    const struct asked asked = { AB, .flags = "DEFGHJLMNO" };
    struct mkt_policy granted;
    struct kms_decision decision;
    struct mkt_err err = ask(rules, &asked, &granted, &decision, NULL);

    (void)state;
    assert_int_equal(err.rc, MKT_OK);
    assert_int_equal(granted.flags, flags_of("DEFGHIKNO")); /* RFC6043:6.10 */
    assert_int_equal(mkt_ntp_to_unix(granted.end.value), now_s + 7200);
    assert_int_equal(granted.rekey.type, MKT_TS_NTP_UTC_32);
    assert_int_equal(granted.rekey.value >> 32, 600);
    kms_rules_free(rules);
}

static void
without_a_file_every_user_may_within_the_configuration(void **state)
{
    const struct kms_config narrow = {
        .max_validity_s = 3600, .modes = 1 << 1, .ticket_types = 1, .suites = 2
    };
    const struct asked day = { AB }, mode_2 = { AB, .flags = "DFGHNO", .responder_tpk = true };
    const struct asked weak = { AB, .prf_128 = 1 };
    char err_text[KMS_DOCUMENT_ERR];
    struct kms_rules *rules = kms_rules_load(&narrow, err_text);
    struct mkt_policy granted;
    struct kms_decision decision;

    (void)state;
    assert_non_null(rules);
    assert_int_equal(ask(rules, &day, &granted, &decision, NULL).rc, MKT_OK);
    assert_int_equal(mkt_ntp_to_unix(granted.end.value), now_s + 3600);
    assert_string_equal(decision.rule, "everyone");
    assert_string_equal(ask(rules, &mode_2, &granted, &decision, NULL).what,
                        "mode 2 is not served");
    assert_int_equal(ask(rules, &weak, &granted, &decision, NULL).rc, MKT_E_TP_PARAM);
    kms_rules_free(rules);
}

/* A TRe far enough away looks like the past when times are compared as numbers of 64 bits. */
static void
a_ticket_for_a_lifetime_is_not_a_short_one(void **state)
{
    struct kms_rules *rules = rules_of(R "when: {validity: 1h}" REST);
    const struct asked asked = { AB, .hours = 75U * 365 * 24 };
    struct mkt_policy granted;
    struct kms_decision decision;

    (void)state;
    (void)ask(rules, &asked, &granted, &decision, NULL);
    assert_string_equal(decision.rule, "rest");
    kms_rules_free(rules);
}

static const char *
realm_of(const void *ctx, struct mkt_identity who)
{
    (void)ctx;
    return mkt_identity_equal(who, mkt_uri(ALICE)) ? "north" : "";
}

static void
a_realm_is_what_the_directory_says(void **state)
{
    const struct kms_directory realms = { .realm_of = realm_of };
    const struct kms_who alice = kms_who_of(mkt_uri(ALICE)), bob = kms_who_of(mkt_uri(BOB));
    struct kms_selector north, domain;

    (void)state;
    assert_null(kms_selector_make(&north, "realm:north"));
    assert_null(kms_selector_make(&domain, "realm:example.com"));
    assert_true(kms_selector_match(&north, &alice, &realms));
    assert_false(kms_selector_match(&north, &bob, &realms));
    assert_false(kms_selector_match(&domain, &alice, &realms));
    assert_true(kms_selector_match(&domain, &alice, NULL)); /* nobody knows realms */
}

/* The definition: a * is any octets but @. */
static bool
plainly(const char *pattern, const char *s)
{
    if (*pattern == '*') {
        if (plainly(pattern + 1, s))
            return true;
        return *s != '\0' && *s != '@' && plainly(pattern, s + 1);
    }
    if (*pattern == '\0' || *s == '\0')
        return *pattern == *s;
    return *pattern == *s && plainly(pattern + 1, s + 1);
}

static uint32_t
chance(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525 + 1013904223;
    return (*state >> 16) % below;
}

static char
letter(const char *letters, uint32_t *state)
{
    return letters[chance(state, (uint32_t)strlen(letters))];
}

/* Both begin with "s:", so that they are URIs. */
static void
invent(char pattern[64], char id[128], uint32_t *state)
{
    size_t n = 3 + chance(state, 32), at = 2;

    memcpy(pattern, "s:", 2);
    for (size_t i = 2; i < n; i++)
        pattern[i] = letter("aaaaaaaaab@*", state);
    pattern[n] = '\0';
    memcpy(id, "s:", 3);
    for (size_t i = 2; i < n; i++) {
        if (pattern[i] != '*') /* now and then another one */
            id[at++] = chance(state, 64) == 0 ? letter("ab@", state) : pattern[i];
        for (uint32_t more = pattern[i] == '*' ? chance(state, 4) : 0; more > 0; more--)
            id[at++] = letter("aaaaab@", state);
    }
    id[at] = '\0';
}

static void
a_pattern_means_what_it_says(void **state)
{
    uint32_t seed = 1;
    size_t matched = 0, total = 0;

    (void)state;
    for (unsigned i = 0; i < 300000; i++) {
        char pattern[64], id[128];
        struct kms_selector p;
        struct kms_who who;
        bool is;

        invent(pattern, id, &seed);
        if (kms_selector_make(&p, pattern) != NULL || id[2] == '\0')
            continue; /* more than eight *, or nothing is left */
        who = kms_who_of(mkt_uri(id));
        is = kms_selector_match(&p, &who, NULL);
        if (is != plainly(pattern, id))
            fail_msg("%s is %s%s", id, is ? "" : "not ", pattern);
        matched += is;
        total++;
    }
    assert_true(total > 200000 && matched > total / 4 && matched < total - total / 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decides_as_the_table_says),
        cmocka_unit_test(decides_the_same_when_it_is_watched),
        cmocka_unit_test(grants_just_what_the_changes_say),
        cmocka_unit_test(without_a_file_every_user_may_within_the_configuration),
        cmocka_unit_test(a_realm_is_what_the_directory_says),
        cmocka_unit_test(a_pattern_means_what_it_says),
        cmocka_unit_test(a_ticket_for_a_lifetime_is_not_a_short_one),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
