/* SPDX-License-Identifier: Apache-2.0 */
/* The policy of the real programs: in force from the start, changed while the daemon runs, held to
 * the last good one, and explained by the same rules that decide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#include "scene.h"

#define BOARD "sip:board@example.com"
#define POLICY(...) CTL("policy", __VA_ARGS__)
#define TEST_BOB(...) POLICY("test", "--as", ALICE, "--to", BOB, __VA_ARGS__)

static char text[65536];

#define ANYONE "rules:\n- rule: anyone\n"

static int
open_rig(void **state)
{
    (void)state;
    rig_open(&rig, "policy: policy.yaml\n");
    rig_write(&rig, "policy.yaml", ANYONE);
    rig_add_two(&rig, &alice, &bob);
    return 0;
}

static size_t
count(const char *what)
{
    size_t n = 0;

    rig_read(&rig, "log", text, sizeof text);
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

/* The grant of alice's request; NULL: refused, *error_no says how. */
static struct mkt_grant *
request(int *error_no)
{
    int fd = rig_udp_socket(&rig);
    struct mkt_io io;
    bool authentic;
    size_t n;

    rig_ask_free(&ask);
    rig_request(&ask, &alice, BOB, 0);
    n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS);
    close(fd);
    *error_no = rig_error_no(mkt_span(out, n), &authentic);
    assert_true(*error_no == -1 || authentic); /* a refusal of an authentic message is authentic */
    return rig_granted(&ask, mkt_span(out, n), &io);
}

static int
request_error(void)
{
    int error_no;

    mkt_grant_free(request(&error_no));
    return error_no;
}

static void
a_changed_rule_holds_for_tickets_made_before(void **state)
{
    struct mkt_grant *g;
    int error_no;

    (void)state;
    rig_start(&rig);
    g = request(&error_no);
    assert_non_null(g);
    assert_int_equal(scene_resolve_error(&bob, g), -1);
    scene_replace("policy.yaml",
                  "rules:\n- rule: no Bob\n  to: " BOB "\n  decision: refuse\n- rule: rest\n");
    assert_true(scene_logs("policy-reloaded"));
    assert_int_equal(scene_resolve_error(&bob, g), MKT_ERR_INVALID_ID);
    assert_true(scene_logs("rule=\"no Bob\""));
    assert_true(scene_says("log", "reason=NOT_AUTHORISED"));
    rig_read(&rig, "audit/audit-000001.jsonl", text, sizeof text);
    assert_non_null(strstr(text, "\"rule\":\"anyone\",\"ticket\":\""));
    assert_non_null(strstr(text, "\"rule\":\"no Bob\",\"ticket\":\""));
    assert_int_equal(request_error(), MKT_ERR_INVALID_ID);
    scene_replace("policy.yaml", "rules:\n- rule: strictly\n  require: {forking: false}\n");
    assert_true(scene_logs("rules=1"));
    assert_int_equal(scene_resolve_error(&bob, g), MKT_ERR_INVALID_TPPAR); /* RFC6043:5.4-1 */
    assert_true(scene_logs("rule=strictly reason=TP_PARAM field=\"flags: "));
    scene_replace("policy.yaml", ANYONE);
    for (int i = 0; i < 500 && scene_resolve_error(&bob, g) != -1; i++)
        poll(NULL, 0, 10);
    assert_int_equal(scene_resolve_error(&bob, g), -1);
    mkt_grant_free(g);
}

/* One change of the store; the daemon has followed it. */
static void
group(const char *verb, const char *member)
{
    size_t before = count("reloaded credentials");

    assert_int_equal(CTL("group", verb, BOARD, member), 0);
    for (int i = 0; i < 500 && count("reloaded credentials") == before; i++)
        poll(NULL, 0, 10);
    assert_true(count("reloaded credentials") > before);
}

static void
a_rule_about_a_group_follows_its_members(void **state)
{
    (void)state;
    rig_write(&rig, "policy.yaml", "rules:\n- rule: board\n  from: group:" BOARD "\n");
    assert_int_equal(CTL("group", "add", BOARD), 0);
    rig_start(&rig);
    assert_int_equal(request_error(), MKT_ERR_INVALID_ID);
    group("member-add", ALICE);
    assert_int_equal(request_error(), -1);
    assert_int_equal(TEST_BOB("--json"), 0);
    group("member-remove", ALICE);
    assert_int_equal(request_error(), MKT_ERR_INVALID_ID);
    assert_int_equal(TEST_BOB("--json"), 6);
}

static void
a_bad_file_leaves_the_good_policy_in_force(void **state)
{
    static const char *const bad[] = { "rules: [", "", "rules:\n- rule: a\n  form: any\n" };

    (void)state;
    scene_replace("policy.yaml", "rules:\n- rule: nobody\n  decision: refuse\n");
    rig_start(&rig);
    assert_int_equal(request_error(), MKT_ERR_INVALID_ID);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t before = count("policy-unreadable");

        scene_replace("policy.yaml", bad[i]);
        for (int n = 0; n < 500 && count("policy-unreadable") == before; n++)
            poll(NULL, 0, 10);
        assert_int_equal(count("policy-unreadable"), before + 1);
        assert_int_equal(request_error(), MKT_ERR_INVALID_ID);
    }
    assert_true(scene_logs("policy.yaml:3:3: unknown name")); /* the place is in the log */
    assert_int_equal(count("policy-reloaded"), 0);
    snprintf(text, sizeof text, "%s/policy.yaml", rig.dir);
    assert_int_equal(unlink(text), 0); /* no file is no reason to be generous either */
    assert_true(scene_logs("No such file"));
    assert_int_equal(request_error(), MKT_ERR_INVALID_ID);
    scene_replace("policy.yaml", ANYONE);
    assert_true(scene_logs("policy-reloaded"));
    assert_int_equal(request_error(), -1);
}

static void
a_hangup_reads_the_policy_again(void **state)
{
    (void)state;
    rig_start(&rig);
    assert_int_equal(kill(rig.pid, SIGHUP), 0);
    assert_true(scene_logs("policy-reloaded")); /* though the file is the same */
    assert_true(rig_alive(&rig));
    assert_int_equal(request_error(), -1);
}

static void
a_daemon_does_not_start_with_a_policy_that_cannot_be_read(void **state)
{
    (void)state;
    scene_replace("policy.yaml", "rules:\n- rule: a\n  form: any\n");
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 3);
    rig_read(&rig, "err", text, sizeof text);
    assert_string_equal(text, "policy.yaml:3:3: unknown name \"form\"; did you mean \"from\"?\n");
    assert_int_equal(KMSD(), 3);
    scene_replace("policy.yaml", ANYONE);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 0);
}

static const char *
stdout_text(void)
{
    rig_read(&rig, "out", text, sizeof text);
    return text;
}

static void
a_test_explains_the_decision_rule_by_rule(void **state)
{
    (void)state;
    scene_replace("policy.yaml",
                  "rules:\n"
                  "- rule: weak\n  when: {suites: 128}\n  decision: refuse\n"
                  "- rule: short\n  from: sip:*@example.com\n  change: {validity: 1h}\n"
                  "  require: {keys: TGK, modes: [1, 3]}\n");
    assert_int_equal(TEST_BOB("--json"), 0);
    assert_non_null(strstr(stdout_text(), "{\"granted\": true, \"rule\": \"short\", \"why\": null, "
                                          "\"error\": null, \"flags\": \"DEFGHIKNO\", "
                                          "\"changed\": true, "));
    assert_int_equal(TEST_BOB("--validity", "30m"), 0);
    assert_string_equal(
        stdout_text(), "rules of policy.yaml\n"
                       "rule \"weak\", line 2, for " BOB ": does not apply\n"
                       "  no   when suites: [128]; is 256\n"
                       "rule \"short\", line 5, for " BOB ": applies\n"
                       "  yes  from: ['sip:*@example.com']; is " ALICE "\n"
                       "rule \"short\" requires of the ticket:\n"
                       "  yes  ticket_types: [base]; is base\n"
                       "  yes  suites: [128, 256]; is 256\n"
                       "  yes  keys: [TGK]; is TGK\n"
                       "  yes  modes: [1, 3]; is 1\n"
                       "granted by rule \"short\": flags DEFGHINO, validity 30m, rekeying never\n");
    assert_int_equal(TEST_BOB("--suite", "128"), 6);
    assert_non_null(strstr(stdout_text(), "applies, and refuses\n"));
    assert_non_null(strstr(text, "refused by rule \"weak\": the rule refuses ("));
    assert_int_equal(TEST_BOB("--key", "TEK", "--json"), 6);
    assert_non_null(strstr(stdout_text(), "{\"granted\": false, \"rule\": \"short\", \"why\": "
                                          "\"keys: not this kind of key\", \"error\": 15, "));
    assert_non_null(strstr(text, "\"condition\": \"keys\", \"policy\": \"[TGK]\", "
                                 "\"asked\": \"TEK\", \"held\": false"));
    assert_int_equal(TEST_BOB("--mode", "2"), 6);
    assert_non_null(strstr(stdout_text(), "mode 2 is not served"));
    assert_int_equal(TEST_BOB("--mode", "3", "--validity", "1h"), 0);
    assert_int_equal(TEST_BOB("--mode", "3", "--validity", "2h"), 6);
    assert_non_null(strstr(stdout_text(), "TRe: longer"));
    assert_int_equal(TEST_BOB("--resolve", "--validity", "2h"), 0); /* made before */
    assert_int_equal(TEST_BOB("--resolve", "--by", "sip:eve@example.com"), 6);
    assert_non_null(strstr(stdout_text(), "refused: IDRr ("));
    assert_int_equal(TEST_BOB("--type", "compat"), 6);
    assert_int_equal(TEST_BOB("--app", "app:voice", "--app", "video"), 0);
}

static void
a_wrong_question_is_explained(void **state)
{
    static const char *const cases[][3] = {
        { "--mode", "4", "--mode is 1, 2 or 3" },
        { "--type", "3gpp", "--ticket-type is base or reference" },
        { "--by", BOB, "--by is who resolves the ticket: it needs --resolve" },
        { "--flags", "FK", "--flags are letters" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(TEST_BOB(cases[i][0], cases[i][1]), 2);
        rig_read(&rig, "err", text, sizeof text);
        assert_non_null(strstr(text, cases[i][2]));
    }
    assert_int_equal(POLICY("test", "--to", BOB), 2);
    assert_int_equal(POLICY("test", "--as", ALICE), 2);
    assert_int_equal(POLICY("check"), 2);
    assert_int_equal(POLICY("show", "--follow"), 2);
}

static void
a_check_and_a_show_need_no_store(void **state)
{
    (void)state;
    rig_write(&rig, "kms.yaml",
              "identity: " RIG_KMS "\nlisten: udp://127.0.0.1:0\n"
              "store: sqlite:none.db\nmax_validity: 2h\nmodes: [1]\n");
    assert_int_equal(POLICY("show"), 0); /* without a policy: the built-in one */
    assert_string_equal(stdout_text(), "# policy: built-in\n"
                                       "rules:\n"
                                       "  - rule: 'everyone'\n"
                                       "    change:\n"
                                       "      validity: 2h\n"
                                       "    require:\n"
                                       "      modes: [1]\n"
                                       "      ticket_types: [base]\n"
                                       "      suites: [128, 256]\n"
                                       "    decision: grant\n");
    assert_int_equal(POLICY("check", "policy.yaml"), 0);
    assert_string_equal(stdout_text(), "policy.yaml: 1 rule\n");
    rig_write(&rig, "long.yaml", "rules:\n- rule: a\n  change: {validity: 3h}\n");
    assert_int_equal(POLICY("check", "long.yaml"), 3);
    rig_read(&rig, "err", text, sizeof text);
    assert_string_equal(text, "long.yaml:3:22: validity: longer than max_validity of the "
                              "configuration (7200 s)\n");
    snprintf(text, sizeof text, "%s/none.db", rig.dir);
    assert_int_not_equal(access(text, F_OK), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, scene_stop)
    const struct CMUnitTest tests[] = {
        TEST(a_changed_rule_holds_for_tickets_made_before),
        TEST(a_rule_about_a_group_follows_its_members),
        TEST(a_bad_file_leaves_the_good_policy_in_force),
        TEST(a_hangup_reads_the_policy_again),
        TEST(a_daemon_does_not_start_with_a_policy_that_cannot_be_read),
        TEST(a_test_explains_the_decision_rule_by_rule),
        TEST(a_wrong_question_is_explained),
        TEST(a_check_and_a_show_need_no_store),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
