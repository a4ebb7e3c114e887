/* SPDX-License-Identifier: Apache-2.0 */
/* The policy of an organisation: 100 rules, of which the last is the one. The others are told apart
 * by what operators write most: wildcards and identities on either side, a security level, a mode,
 * a validity. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include <mikeyticket/env.h>

#include "document.h"
#include "rules.h"

#define RULES 100

struct evaluation {
    struct kms_rules *rules;
    struct mkt_policy want;
    struct kms_question question;
};

static bool
evaluate(void *ctx)
{
    struct evaluation *e = ctx;
    const struct kms_rule *rule = kms_rules_match(e->rules, &e->question, NULL);

    return rule == &e->rules->rule[RULES - 1] &&
           kms_rule_require(rule, KMS_CONDS_FIXED | KMS_CONDS_OTHER, &e->question, NULL) ==
               KMS_COND_COUNT;
}

/* Nine rules that do not apply; the letter in the place of # makes others of them each time. */
#define NINE                                                                    \
    "- {rule: a#, from: 'sip:*@team#.example.com'}\n"                           \
    "- {rule: b#, from: 'sip:*@example.com', to: 'sip:desk#@example.com'}\n"    \
    "- {rule: c#, from: 'sip:*@example.com', when: {suites: 128}}\n"            \
    "- {rule: d#, to: 'sip:bob@example.com', when: {modes: 2}}\n"               \
    "- {rule: e#, from: 'sip:*@example.com', when: {modes: 1, validity: 5m}}\n" \
    "- {rule: f#, from: ['sip:eve#@example.com', 'sip:*@*.other.example']}\n"   \
    "- {rule: g#, from: 'realm:r#.example.com'}\n"                              \
    "- {rule: h#, from: 'sip:*@example.com', when: {flags: {set: J}}}\n"        \
    "- {rule: i#, to: 'sip:*@desk#.example.com', profile: strict}\n"

static void
write_policy(char *yaml, size_t cap)
{
    char *end = yaml + snprintf(yaml, cap, "rules:\n");

    for (int i = 0; i < RULES / 9; i++)
        for (const char *c = NINE; *c != '\0'; c++)
            *end++ = *c == '#' ? (char)('a' + i) : *c;
    snprintf(end, cap - (size_t)(end - yaml),
             "- rule: last\n  from: 'sip:*@example.com'\n  profile: strict\n"
             "  require: {key_octets: {min: 32}, validity: 2h}\n");
}

bool
bench_policy(struct bench_report *r)
{
    static const struct kms_config config = {
        .max_validity_s = 86400, .modes = 14, .ticket_types = 1, .suites = 3
    };
    static char yaml[RULES * 200];
    const uint64_t now = mkt_ntp_from_unix(1767225600, 0);
    struct evaluation e = { .question = { .phase = KMS_PHASE_ISSUE,
                                          .from = kms_who_of(mkt_uri("sip:alice@example.com")),
                                          .to = kms_who_of(mkt_uri("sip:bob@example.com")),
                                          .what = &e.want,
                                          .modes = 1u << 1,
                                          .now = now } };
    struct bench_row *row;
    char err[KMS_DOCUMENT_ERR];
    bool ok;

    write_policy(yaml, sizeof yaml);
    e.rules = kms_rules_parse(&config, "policy", yaml, err);
    if (e.rules == NULL) {
        fprintf(stderr, "%s\n", err);
        return false;
    }
    mkt_policy_init(&e.want, MKT_PRF_HMAC_SHA_256);
    e.want.end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, now + (3600ULL << 32) };
    row = bench_add(r, "policy_100", "100 rules of the policy, of which the last applies");
    row->bar_us = 1;
    ok = bench_compare(row, evaluate, &e, NULL, NULL, NULL);
    kms_rules_free(e.rules);
    return ok;
}
