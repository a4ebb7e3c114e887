/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a policy file: where errors are said to be and what is suggested, what can never work,
 * and that what is shown is what was read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conditions.h"
#include "document.h"

#define R "rules:\n- rule: a\n  "

static const struct kms_config config = {
    .max_validity_s = 86400, .modes = 14, .ticket_types = 3, .suites = 3
};
static char err[KMS_DOCUMENT_ERR];

static void
show(const struct kms_rules *rules, char text[8192])
{
    FILE *out = fmemopen(text, 8192, "w");

    assert_non_null(out);
    kms_rules_show(rules, out);
    assert_int_equal(fclose(out), 0);
}

static void
names_the_place_of_each_mistake(void **state)
{
    static const struct {
        const char *yaml, *error;
    } cases[] = {
        { "", "1:1: the file is empty" },
        { "[]", "1:1: expected \"rules:\", and maybe \"profiles:\"" },
        { "profiles: {}", "1:1: \"rules\" is missing" },
        { "rules: []", "1:8: \"rules\" is an empty list" },
        { "rules: {a: b}", "1:8: \"rules\" needs a list of rules" },
        { "rules: [5]", "1:9: \"rules\" needs names and values" },
        { "ruels: []", "1:1: unknown name \"ruels\"; did you mean \"rules\"?" },
        { "rules: [{rule: a}]\nrules: [{rule: a}]", "2:1: \"rules\" is given twice" },
        { "rules: [{from: any}]", "1:9: \"rule\" is missing: its name" },
        { "rules: [{rule: ''}]", "1:16: a name has 1 to 63 printable ASCII characters without /" },
        { "rules: [{rule: \"a\\x07\"}]",
          "1:16: a name has 1 to 63 printable ASCII characters without /" },
        { "rules:\n- rule: a\n- rule: a\n", "3:9: there is a rule \"a\" already, in line 2" },
        { R "form: any", "3:3: unknown name \"form\"; did you mean \"from\"?" },
        { R "from: any\n  from: any", "4:3: \"from\" is given twice" },
        { R "[x]: y", "3:3: \"name\" needs a single value" },
        { R "from: []", "3:9: \"from\" is an empty list" },
        { R "from: {}", "3:9: \"from\" needs a list" },
        { R "from: [any, [any]]", "3:15: \"from\" needs a single value" },
        { R "from: alice", "3:9: from: not " KMS_SELECTOR_HELP ": \"alice\"" },
        { R "from: 'group:'", "3:9: from: the name is missing: \"group:\"" },
        { R "from: group:board",
          "3:9: from: a group is called by an identity, such as group:sip:board@example.com: "
          "\"group:board\"" },
        { R "from: 'sip:*a*b*c*d*e*f*g*h*i'",
          "3:9: from: too many * (8 at most): \"sip:*a*b*c*d*e*f*g*h*i\"" },
        { R "decision: permit", "3:13: decision: grant or refuse" },
        { R "profile: strikt", "3:12: unknown profile \"strikt\"; did you mean \"strict\"?" },
        { R "when: 5", "3:9: \"when\" needs names and values" },
        { R "when: {mode: 1}", "3:10: unknown condition \"mode\"; did you mean \"modes\"?" },
        { R "when: {from: any}", "3:10: unknown condition \"from\"" },
        { R "require: {at: issue}", "3:13: unknown condition \"at\"" },
        { R "require: {at_: issue}", "3:13: unknown condition \"at_\"" },
        { R "change: {modes: 1}", "3:12: unknown condition \"modes\"" },
        { R "when: {modes: 4}", "3:17: modes: \"4\" is not one of 1, 2, 3" },
        { R "when: {modes: ''}", "3:17: modes: \"\" is not one of 1, 2, 3" },
        { R "when: {types: bas}", "3:17: types: \"bas\" is not one of base, compat, reference" },
        { R "when: {suites: [128, 192]}", "3:24: suites: \"192\" is not one of 128, 256" },
        { R "when: {flags: EF}", "3:17: \"flags\" needs set and clear, or one of them, below it" },
        { R "when: {flags: {}}", "3:17: \"flags\" needs set and clear, or one of them, below it" },
        { R "when: {flags: {sett: E}}", "3:18: unknown name \"sett\"; did you mean \"set\"?" },
        { R "when: {flags: {set: E, set: E}}", "3:26: \"set\" is given twice" },
        { R "when: {flags: {set: EK}}", "3:23: flags: letters of DEFGHIJLMNO (RFC 6043 6.10)" },
        { R "when: {flags: {set: E, clear: E}}", "3:17: flags: one is both set and cleared" },
        { R "when: {forking: maybe}", "3:19: forking: true or false" },
        { R "when: {key_octets: {min: 8}}", "3:28: key_octets: must be from 16 to 64" },
        { R "when: {key_octets: {min: 32, max: 16}}", "3:22: key_octets: min is more than max" },
        { R "when: {key_count: many}", "3:21: key_count: not a number: \"many\"" },
        { R "when: {key_count: 1h}", "3:21: key_count: not a number: \"1h\"" },
        { R "when: {validity: 1y}",
          "3:20: validity: not a time such as 90s, 15m, 1h or 30d: \"1y\"" },
        { R "when: {validity: 0}", "3:20: validity: must be from 1 to 315360000 seconds" },
        { R "when: {validity: \"1\\0\"}", "3:20: validity: the value holds a zero octet" },
        /* what can never work, or would not do what it seems to */
        { R "change: {validity: 2d}",
          "3:22: validity: longer than max_validity of the configuration (86400 s)" },
        { R "decision: refuse\n  change: {reuse: false}",
          "2:3: a rule that refuses neither changes nor requires anything" },
        { R "change: {forking: true}",
          "2:3: change: flags: I implies E: set E too (RFC 6043 6.10)" },
        { R "change: {flags: {clear: F}}",
          "2:3: change: flags: G implies F: clear G too (RFC 6043 6.10)" },
        { R "change: {flags: {clear: H}}",
          "2:3: change: flags: NOT G implies H: set G too (RFC 6043 6.10)" },
        { R "change: {flags: {clear: D}}",
          "2:3: change: flags: D, N and O say what a ticket is, and cannot be changed" },
        { R "change: {reuse: false}\n  require: {reuse: true}",
          "2:3: change: flags: what is changed is not what is required" },
        { R "profile: [strict, compat]",
          "3:21: profile compat: types: nothing is left of what the others allow" },
        { R "profile: [strict, deferred]",
          "3:21: profile deferred: flags: one is both set and cleared" },
        { "profiles: {strict: {}}\n" R "",
          "1:12: there is a profile \"strict\" already: choose another name" },
        { "profiles: {configuration: {}}\n" R "",
          "1:12: there is a profile \"configuration\" already: choose another name" },
        { "profiles: {x: {from: any}}\n" R "", "1:16: unknown name \"from\"" },
        { "profiles: {x: {profile: y}, y: {}}\n" R "", "1:25: unknown profile \"y\"" },
        { "rules: [", "2:1: did not find expected node content" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kms_rules *rules = kms_rules_parse(&config, "p", cases[i].yaml, err);

        if (rules != NULL)
            fail_msg("taken: %s", cases[i].yaml);
        assert_memory_equal(err, "p:", 2);
        assert_string_equal(err + 2, cases[i].error);
    }
}

static void
a_profile_that_the_configuration_forbids_is_refused(void **state)
{
    const struct kms_config weak = {
        .max_validity_s = 60, .modes = 14, .ticket_types = 3, .suites = 1
    };

    (void)state;
    assert_null(kms_rules_parse(&weak, "p", R "profile: strict", err));
    assert_non_null(strstr(err, "configuration: suites: nothing is left"));
}

static const char whole[] = "profiles:\n"
                            "  ours: {profile: strict, change: {validity: 2h}}\n"
                            "rules:\n"
                            "- rule: it's first\n"
                            "  from: ['sip:*@a.example', 'group:sip:b@c', realm:c, any]\n"
                            "  to: sip:bob@example.com\n"
                            "  profile: ours\n"
                            "  when: {at: issue, modes: [1, 2], types: base, keys: [TGK, GTGK],\n"
                            "         key_octets: {min: 16, max: 32}, key_count: 4, rekey: 90s}\n"
                            "- {rule: two, decision: refuse, when: {flags: {set: DE, clear: J}}}\n"
                            "- rule: three\n"
                            "  require: {applications: ['app:*'], randrr: true}\n"
                            "  change: &x {reuse: false, rekey: 90s}\n";

static void
what_is_shown_is_what_was_read(void **state)
{
    struct kms_rules *rules = kms_rules_parse(&config, "p", whole, err), *again;
    static char first[8192], second[8192];
    char *remark;

    (void)state;
    assert_non_null(rules);
    show(rules, first);
    assert_non_null(strstr(first,
                           "  - rule: 'it''s first' # with ours\n"
                           "    from: ['sip:*@a.example', 'group:sip:b@c', 'realm:c', 'any']\n"));
    assert_non_null(strstr(first, "    change:\n      flags: {set: EFGI, clear: JLM}\n"
                                  "      validity: 2h\n"));
    assert_non_null(strstr(first, "      rekey: 90s\n"));
    assert_non_null(strstr(first, "      validity: 1d\n")); /* of the configuration */
    again = kms_rules_parse(&config, "p", first, err);
    if (again == NULL)
        fail_msg("%s", err);
    show(again, second);
    remark = strstr(first, " # with ours"); /* profiles are not named again */
    memmove(remark, remark + 12, strlen(remark + 12) + 1);
    assert_string_equal(first, second);
    kms_rules_free(rules);
    kms_rules_free(again);
}

static void
profiles_may_stand_after_the_rules(void **state)
{
    struct kms_rules *rules = kms_rules_parse(
        &config, "p", R "profile: x\nprofiles: {x: {require: {key_count: 1}}}", err);

    (void)state;
    assert_non_null(rules);
    assert_int_equal(rules->n, 1);
    assert_int_equal(rules->rule[0].line, 2);
    kms_rules_free(rules);
}

/* Every octet changed in sixteen ways and every truncation: read, or refused with a place. */
static void
survives_every_truncation_and_every_changed_octet(void **state)
{
    static const char damage[] = "[]{}:&*!|>'\"%@-\x80";
    static char text[8192];
    char yaml[sizeof whole];
    size_t taken = 0, refused = 0;

    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++)
        for (size_t d = 0; d < sizeof damage; d++) { /* the last is the end of the text */
            struct kms_rules *rules;

            memcpy(yaml, whole, sizeof whole);
            yaml[n] = damage[d];
            err[0] = '\0';
            rules = kms_rules_parse(&config, "p", yaml, err);
            if (rules == NULL) {
                assert_memory_equal(err, "p:", 2);
                refused++;
                continue;
            }
            show(rules, text);
            kms_rules_free(rules);
            taken++;
        }
    assert_true(taken > 100 && refused > 100);
}

static void
says_why_a_file_cannot_be_read(void **state)
{
    (void)state;
    assert_null(kms_rules_read(&config, "/nowhere/policy.yaml", err));
    assert_string_equal(err, "/nowhere/policy.yaml: cannot be read: No such file or directory");
    assert_null(kms_rules_read(&config, "/", err));
    assert_string_equal(err, "/: not a file of at most 1 MiB");
}

static void
stays_small_and_fast_for_what_is_not_meant_to_be_read(void **state)
{
    static char yaml[200000] = "profiles: {x: {";
    size_t n = strlen(yaml);

    (void)state;
    for (unsigned i = 0; n < sizeof yaml - 40; i++)
        n += (size_t)snprintf(yaml + n, sizeof yaml - n, "k%u: 1, ", i);
    snprintf(yaml + n, sizeof yaml - n, "}}\n");
    assert_null(kms_rules_parse(&config, "p", yaml, err));
    assert_non_null(strstr(err, "\"x\" has too many lines"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_place_of_each_mistake),
        cmocka_unit_test(a_profile_that_the_configuration_forbids_is_refused),
        cmocka_unit_test(what_is_shown_is_what_was_read),
        cmocka_unit_test(profiles_may_stand_after_the_rules),
        cmocka_unit_test(survives_every_truncation_and_every_changed_octet),
        cmocka_unit_test(says_why_a_file_cannot_be_read),
        cmocka_unit_test(stays_small_and_fast_for_what_is_not_meant_to_be_read),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
