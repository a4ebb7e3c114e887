/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of realms: whose file decides, what a file of a realm may hold, and that the files of a
 * policy are taken together or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "document.h"
#include "policy.h"

#define ALICE "sip:alice@example.com" /* of acme */
#define BOB "sip:bob@example.com"     /* of beta, which has no file */
#define CAROL "sip:carol@example.com" /* of zeta */
#define FILES 8

static const struct kms_config config = {
    .max_validity_s = 86400, .modes = 14, .ticket_types = 3, .suites = 3
};
static char dir[64], err[KMS_DOCUMENT_ERR];

static const char *
path_of(const char *name)
{
    static char path[FILES][160];
    static unsigned next;
    char *p = path[next++ % FILES];

    snprintf(p, 160, "%s/%s", dir, name);
    return p;
}

static void
write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of("new"), "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(path_of("new"), path_of(name)), 0);
}

static int
open_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(dir, sizeof dir, "%.40s/mikey-rules-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    return 0;
}

static int
close_dir(void **state)
{
    static const char *const names[] = { "policy", "acme", "zeta", "link", "fifo", "new" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(path_of(names[i]));
    return rmdir(dir);
}

static struct kms_rules *
read_policy(void)
{
    return kms_rules_read(&config, path_of("policy"), err);
}

static const char *
realm_of(const void *ctx, struct mkt_identity who)
{
    (void)ctx;
    return mkt_identity_equal(who, mkt_uri(ALICE))   ? "acme"
           : mkt_identity_equal(who, mkt_uri(CAROL)) ? "zeta"
           : mkt_identity_equal(who, mkt_uri(BOB))   ? "beta"
                                                     : "default";
}

/* Who decides about a ticket of `from` for `to`: of each phase the name of the rule, which must be
 * the same. */
static const char *
decides(const struct kms_rules *rules, const char *from, const char *to)
{
    static const struct kms_directory people = { .realm_of = realm_of };
    struct mkt_policy want;
    struct kms_question q = { .phase = KMS_PHASE_ISSUE,
                              .from = kms_who_of(mkt_uri(from)),
                              .to = kms_who_of(mkt_uri(to)),
                              .what = &want,
                              .modes = 2,
                              .people = &people };
    const struct kms_rule *issue, *resolve;

    mkt_policy_init(&want, MKT_PRF_HMAC_SHA_256);
    issue = kms_rules_match(rules, &q, NULL);
    q.phase = KMS_PHASE_RESOLVE;
    resolve = kms_rules_match(rules, &q, NULL);
    assert_ptr_equal(issue, resolve);
    return issue == NULL ? "(none)" : issue->name;
}

#define REALMS "realms: {zeta: zeta, acme: acme}\n"

static void
the_rules_of_a_realm_decide_for_its_users_in_place_of_the_general_ones(void **state)
{
    struct kms_rules *rules;

    (void)state;
    write_file("policy", "rules:\n- rule: all\n" REALMS);
    write_file("acme", "rules:\n- rule: all\n  to: " BOB "\n");
    write_file("zeta", "rules:\n- rule: none\n  decision: refuse\n");
    rules = read_policy();
    if (rules == NULL)
        fail_msg("%s", err);
    assert_int_equal(rules->n_realms, 2);
    assert_string_equal(decides(rules, ALICE, BOB), "acme/all");
    assert_string_equal(decides(rules, ALICE, CAROL), "(none)"); /* the general ones do not help */
    assert_string_equal(decides(rules, CAROL, ALICE), "zeta/none");
    assert_string_equal(decides(rules, BOB, ALICE), "all"); /* of a realm without a file */
    assert_string_equal(decides(rules, "sip:x@acme", BOB), "all");
    kms_rules_free(rules);
}

static void
without_a_directory_the_domain_is_the_realm(void **state)
{
    const struct kms_who alice = kms_who_of(mkt_uri("sip:alice@acme")),
                         longer = kms_who_of(mkt_uri("sip:alice@acmee")),
                         shorter = kms_who_of(mkt_uri("sip:alice@acm")),
                         nobody = kms_who_of((struct mkt_identity){ 0 });
    struct kms_rules *rules;

    (void)state;
    write_file("policy", "rules:\n- rule: all\n" REALMS);
    write_file("acme", "rules:\n- rule: all\n");
    write_file("zeta", "rules:\n- rule: all\n");
    rules = read_policy();
    assert_non_null(rules);
    assert_string_equal(kms_rules_of(rules, &alice, NULL)->realm, "acme");
    assert_ptr_equal(kms_rules_of(rules, &longer, NULL), rules);
    assert_ptr_equal(kms_rules_of(rules, &shorter, NULL), rules);
    assert_ptr_equal(kms_rules_of(rules, &nobody, NULL), rules);
    kms_rules_free(rules);
}

static void
names_the_place_of_each_mistake(void **state)
{
    static const struct {
        const char *policy, *acme, *file, *error; /* acme: its file, if any */
    } cases[] = {
        { "realms: 5", NULL, "policy", "1:9: \"realms\" needs names and values" },
        { "realms: {acme: [a]}", NULL, "policy", "1:16: \"acme\" needs a single value" },
        { "realms: {Acme: acme}", "", "policy",
          "1:10: the name of a realm has 1 to 63 of a-z, 0-9, -, . and _" },
        { "realms: {a/b: acme}", "", "policy",
          "1:10: the name of a realm has 1 to 63 of a-z, 0-9, -, . and _" },
        { "realms: {acme: acme, acme: b}", "rules: [{rule: a}]", "policy",
          "1:22: \"acme\" is given twice" },
        { "realmz: {acme: acme}", NULL, "policy",
          "1:1: unknown name \"realmz\"; did you mean \"realms\"?" },
        { "realms: {acme: acme}", "", "acme", "1:1: the file is empty" },
        { "realms: {acme: acme}", "profiles: {}", "acme", "1:1: \"rules\" is missing" },
        { "realms: {acme: acme}", "rules: [", "acme", "2:1: did not find expected node content" },
        { "realms: {acme: acme}", "rules:\n- rule: a\n  form: any", "acme",
          "3:3: unknown name \"form\"; did you mean \"from\"?" },
        { "realms: {acme: acme}", "rules:\n- rule: a\n- rule: a", "acme",
          "3:9: there is a rule \"a\" already, in line 2" },
        { "realms: {acme: acme}", "rules: [{rule: a}]\nrealms: {b: c}", "acme",
          "2:9: the file of a realm has no realms of its own" },
        /* profiles of the general file are its own */
        { "profiles: {ours: {}}\nrealms: {acme: acme}", "rules:\n- {rule: a, profile: ours}",
          "acme", "2:22: unknown profile \"ours\"" },
        /* what the configuration allows bounds both */
        { "realms: {acme: acme}", "rules:\n- {rule: a, change: {validity: 2d}}", "acme",
          "2:32: validity: longer than max_validity of the configuration (86400 s)" },
        /* no rule of one file can be taken for that of another */
        { "realms: {}\nrules: [{rule: acme/a}]", NULL, "policy",
          "2:16: a name has 1 to 63 printable ASCII characters without /" },
    };
    char want[512], yaml[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(yaml, sizeof yaml, "%s%s", cases[i].policy,
                 strstr(cases[i].policy, "rules") != NULL ? "" : "\nrules: [{rule: all}]\n");
        write_file("policy", yaml);
        unlink(path_of("acme"));
        if (cases[i].acme != NULL)
            write_file("acme", cases[i].acme);
        if (read_policy() != NULL)
            fail_msg("taken: %s", cases[i].policy);
        snprintf(want, sizeof want, "%s/%s:%s", dir, cases[i].file, cases[i].error);
        assert_string_equal(err, want);
    }
}

static void
a_file_that_cannot_be_read_is_a_mistake_where_it_is_named(void **state)
{
    char want[512];

    (void)state;
    write_file("policy", "rules: [{rule: all}]\nrealms: {acme: acme}\n");
    snprintf(want, sizeof want,
             "%s/policy:2:16: %s/acme: cannot be read: No such file or directory", dir, dir);
    assert_null(read_policy());
    assert_string_equal(err, want);
    write_file("policy", "rules: [{rule: all}]\nrealms:\n  acme: /\n");
    snprintf(want, sizeof want, "%s/policy:3:9: /: not a file of at most 1 MiB", dir);
    assert_null(read_policy());
    assert_string_equal(err, want);
    write_file("policy", "rules: [{rule: all}]\nrealms: {acme: fifo}\n");
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_null(read_policy()); /* and nobody waits for one who writes */
    assert_non_null(strstr(err, "fifo: not a file"));
}

static void
no_file_is_read_for_two(void **state)
{
    static const char *const again[] = { "acme", "./acme", "link", "policy" };
    char yaml[200];

    (void)state;
    write_file("acme", "rules: [{rule: a}]\n");
    assert_int_equal(link(path_of("acme"), path_of("link")), 0);
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        snprintf(yaml, sizeof yaml, "rules: [{rule: all}]\nrealms:\n  acme: acme\n  beta: %s\n",
                 again[i]);
        write_file("policy", yaml);
        assert_null(read_policy());
        assert_non_null(strstr(err, "/policy:4:9: "));
        assert_non_null(strstr(err, ": that file is read already"));
    }
}

static void
each_file_has_names_of_its_own(void **state)
{
    static const char same[] = "profiles: {ours: {require: {key_count: 1}}}\n"
                               "rules: [{rule: a, profile: [ours, strict]}]\n";
    struct kms_rules *rules;
    char yaml[300];

    (void)state;
    snprintf(yaml, sizeof yaml, "%s" REALMS, same);
    write_file("policy", yaml);
    write_file("acme", same);
    write_file("zeta", same);
    rules = read_policy();
    if (rules == NULL)
        fail_msg("%s", err);
    assert_string_equal(rules->rule[0].name, "a");
    assert_string_equal(rules->realms[0].rule[0].name, "acme/a");
    assert_string_equal(rules->realms[1].rule[0].name, "zeta/a");
    kms_rules_free(rules);
}

static void
show(const struct kms_rules *rules, char text[8192])
{
    FILE *out = fmemopen(text, 8192, "w");

    assert_non_null(out);
    kms_rules_show(rules, out);
    assert_int_equal(fclose(out), 0);
}

static void
what_is_shown_is_what_was_read(void **state)
{
    static char first[8192], acme[8192], second[8192];
    struct kms_rules *rules;
    char want[300];

    (void)state;
    write_file("policy", "rules: [{rule: all}]\n" REALMS);
    write_file("acme", "rules: [{rule: 'it''s', to: any}]\n");
    write_file("zeta", "rules: [{rule: a}]\n");
    rules = read_policy();
    assert_non_null(rules);
    show(rules, first);
    snprintf(want, sizeof want,
             "# policy: %s/policy\nrealms:\n  'acme': '%s/acme'\n"
             "  'zeta': '%s/zeta'\nrules:\n  - rule: 'all'\n",
             dir, dir, dir);
    assert_memory_equal(first, want, strlen(want));
    show(&rules->realms[0], acme);
    snprintf(want, sizeof want, "# policy: %s/acme, of the realm acme\nrules:\n  - rule: 'it''s'\n",
             dir);
    assert_memory_equal(acme, want, strlen(want));
    kms_rules_free(rules);
    write_file("policy", first);
    write_file("acme", acme);
    rules = read_policy();
    if (rules == NULL)
        fail_msg("%s", err);
    show(rules, second);
    assert_string_equal(first, second);
    show(&rules->realms[0], second);
    assert_string_equal(acme, second);
    kms_rules_free(rules);
}

static void
a_change_of_any_file_is_noticed_also_of_one_that_was_not_there(void **state)
{
    struct kms_config with = config;
    struct kms_stamps seen;
    struct kms_rules *rules;

    (void)state;
    snprintf(with.policy, sizeof with.policy, "%s", path_of("policy"));
    write_file("policy", "rules: [{rule: all}]\n" REALMS);
    write_file("zeta", "rules: [{rule: a}]\n");
    assert_null(kms_rules_follow(&with, &seen, err)); /* acme is missing */
    assert_false(kms_stamps_changed(&seen));
    write_file("acme", "rules: [{rule: a}]\n");
    assert_true(kms_stamps_changed(&seen));
    kms_stamps_free(&seen);
    rules = kms_rules_follow(&with, &seen, err);
    assert_non_null(rules);
    assert_false(kms_stamps_changed(&seen));
    write_file("zeta", "rules: [{rule: a}]\n"); /* the same text, another file */
    assert_true(kms_stamps_changed(&seen));
    kms_stamps_free(&seen);
    kms_rules_free(rules);
    rules = kms_rules_follow(&with, &seen, err);
    assert_non_null(rules);
    unlink(path_of("acme"));
    assert_true(kms_stamps_changed(&seen));
    kms_stamps_free(&seen);
    kms_rules_free(rules);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_dir, close_dir)
    const struct CMUnitTest tests[] = {
        TEST(the_rules_of_a_realm_decide_for_its_users_in_place_of_the_general_ones),
        TEST(without_a_directory_the_domain_is_the_realm),
        TEST(names_the_place_of_each_mistake),
        TEST(a_file_that_cannot_be_read_is_a_mistake_where_it_is_named),
        TEST(no_file_is_read_for_two),
        TEST(each_file_has_names_of_its_own),
        TEST(what_is_shown_is_what_was_read),
        TEST(a_change_of_any_file_is_noticed_also_of_one_that_was_not_there),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
