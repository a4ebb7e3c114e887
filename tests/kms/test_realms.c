/* SPDX-License-Identifier: Apache-2.0 */
/* Two tenants of a real daemon: each has the rules of its own file and the evidence of its own
 * users and tickets, and what one of them breaks changes nothing for the other. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hex.h"
#include "scene.h"

#define ZOE "sip:zoe@example.com"
#define QUIET_MS 200 /* for one that must not */
#define TEST_AS(as, to, ...) CTL("policy", "test", "--as", as, "--to", to, __VA_ARGS__)

static struct rig_user zoe; /* of beta; alice and bob are of acme */
static char text[1 << 18];

#define GENERAL "realms:\n  acme: acme.yaml\nrules:\n- rule: all\n"
#define OURS "rules:\n- rule: ours\n  to: realm:acme\n- rule: far\n  to: realm:beta\n"

static void
add_user(struct rig_user *u, const char *identity, const char *psk_id, const char *realm)
{
    char hex[2 * MKT_SECRET_MAX + 1];

    rig_user_init(u, identity, psk_id, MKT_PRF_HMAC_SHA_256);
    kms_hex_write(hex, u->psk.key.b, u->psk.key.n);
    assert_int_equal(
        CTL("user", "add", identity, "--psk-id", psk_id, "--psk-hex", hex, "--realm", realm), 0);
}

static void
open_with(const char *more)
{
    char yaml[256];

    snprintf(yaml, sizeof yaml, "policy: policy.yaml\naudit: {realms: tenants}\n%s", more);
    rig_open(&rig, yaml);
    scene_replace("policy.yaml", GENERAL);
    scene_replace("acme.yaml", OURS);
    assert_int_equal(CTL("realm", "add", "acme"), 0);
    assert_int_equal(CTL("realm", "add", "beta"), 0);
    add_user(&alice, ALICE, "alice", "acme");
    add_user(&bob, BOB, "bob", "acme");
    add_user(&zoe, ZOE, "zoe", "beta");
}

static int
open_rig(void **state)
{
    (void)state;
    open_with("");
    return 0;
}

static int
open_across(void **state)
{
    (void)state;
    open_with("cross_realm: true\n");
    return 0;
}

/* The grant of a request; NULL: refused, *error_no says how (-1: silence). */
static struct mkt_grant *
request(const struct rig_user *from, const char *to, int ms, int *error_no)
{
    int fd = rig_udp_socket(&rig);
    struct mkt_io io;
    bool authentic;
    size_t n;

    rig_ask_free(&ask);
    rig_request(&ask, from, to, 0);
    n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, ms);
    close(fd);
    *error_no = rig_error_no(mkt_span(out, n), &authentic);
    return n == 0 ? NULL : rig_granted(&ask, mkt_span(out, n), &io);
}

static struct mkt_grant *
granted(const struct rig_user *from, const char *to)
{
    int error_no;
    struct mkt_grant *g = request(from, to, WAIT_MS, &error_no);

    assert_non_null(g);
    return g;
}

static int
request_error(const struct rig_user *from, const char *to)
{
    int error_no;

    mkt_grant_free(request(from, to, WAIT_MS, &error_no));
    return error_no;
}

static const char *
file(const char *name)
{
    rig_read(&rig, name, text, sizeof text);
    return text;
}

static size_t
count(const char *name, const char *what)
{
    size_t n = 0;

    for (const char *p = file(name); (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

/* --- policy -------------------------------------------------------------------------------------
 */

static void
the_file_of_a_realm_decides_for_its_users_at_issue_and_at_resolve(void **state)
{
    struct mkt_grant *g;

    (void)state;
    rig_start(&rig);
    g = granted(&alice, BOB);
    assert_int_equal(scene_resolve_error(&bob, g), -1);
    assert_int_equal(request_error(&alice, "sip:x@example.com"), MKT_ERR_INVALID_ID);
    assert_int_equal(request_error(&zoe, "sip:x@example.com"), -1); /* the general rules */
    assert_non_null(strstr(file("audit/audit-000001.jsonl"), "\"rule\":\"acme/ours\",\"ticket\":"));
    assert_non_null(strstr(text, "\"rule\":\"all\",\"ticket\":"));
    scene_replace("acme.yaml", "rules:\n- rule: closed\n  decision: refuse\n"); /* only that file */
    assert_true(scene_logs("policy-reloaded policy=policy.yaml rules=1 realms=1"));
    assert_int_equal(scene_resolve_error(&bob, g), MKT_ERR_INVALID_ID);
    assert_true(scene_logs("rule=acme/closed reason=NOT_AUTHORISED"));
    assert_int_equal(request_error(&alice, BOB), MKT_ERR_INVALID_ID);
    assert_int_equal(request_error(&zoe, BOB), -1);
    mkt_grant_free(g);
}

static void
one_bad_file_leaves_the_whole_policy_as_it_was(void **state)
{
    (void)state;
    rig_start(&rig);
    scene_replace("acme.yaml", "rules:\n- rule: a\n  form: any\n");
    assert_true(scene_logs("acme.yaml:3:3: unknown name"));
    scene_replace("policy.yaml",
                  "realms: {acme: acme.yaml}\nrules:\n- rule: nobody\n  decision: refuse\n");
    for (int i = 0; i < 500 && count("log", "policy-unreadable") < 2; i++)
        poll(NULL, 0, 10);
    assert_int_equal(count("log", "policy-unreadable"), 2);
    assert_int_equal(request_error(&alice, BOB), -1); /* by the rules of acme as they were */
    assert_int_equal(request_error(&zoe, BOB), -1);   /* by the general ones as they were */
    scene_replace("acme.yaml", OURS);
    assert_true(scene_logs("policy-reloaded"));
    assert_int_equal(request_error(&alice, BOB), -1);
    assert_int_equal(request_error(&zoe, BOB), MKT_ERR_INVALID_ID);
}

static void
a_daemon_does_not_start_without_the_file_of_a_realm(void **state)
{
    (void)state;
    snprintf(text, sizeof text, "%s/acme.yaml", rig.dir);
    assert_int_equal(unlink(text), 0);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 3);
    assert_string_equal(file("err"), "policy.yaml:2:9: acme.yaml: cannot be read: No such file or "
                                     "directory\n");
    assert_int_equal(KMSD(), 3);
}

static void
the_tool_says_which_file_and_rule_decide(void **state)
{
    (void)state;
    assert_int_equal(TEST_AS(ALICE, BOB, "--resolve"), 0);
    assert_ptr_equal(strstr(file("out"), "rules of acme.yaml, of the realm acme\n"
                                         "rule \"acme/ours\", line 2, for " BOB ": applies\n"),
                     text);
    assert_non_null(strstr(text, "granted by rule \"acme/ours\"\n"));
    assert_int_equal(TEST_AS(ALICE, "sip:x@example.com", "--json"), 6);
    assert_non_null(strstr(file("out"), "\"file\": \"acme.yaml\", \"realm\": \"acme\", "));
    assert_int_equal(TEST_AS(ZOE, BOB, "--json"), 0);
    assert_non_null(strstr(file("out"), "\"rule\": \"all\""));
    assert_non_null(strstr(text, "\"file\": \"policy.yaml\", \"realm\": null, "));
    assert_string_equal(file("err"), "");
    scene_replace("policy.yaml", "realms: {acmee: acme.yaml}\nrules:\n- rule: all\n");
    assert_int_equal(TEST_AS(ALICE, BOB, "--resolve"), 0);
    assert_non_null(strstr(file("out"), "granted by rule \"all\"\n"));
    assert_string_equal(file("err"), "mikey-kmsctl: policy.yaml names the realm acmee, which does "
                                     "not exist\n");
    scene_replace("policy.yaml", GENERAL);
    assert_int_equal(CTL("policy", "check", "policy.yaml"), 0);
    assert_string_equal(file("out"), "policy.yaml: 1 rule\nacme.yaml: 2 rules of the realm acme\n");
    assert_int_equal(CTL("policy", "show"), 0);
    assert_non_null(strstr(file("out"), "# policy: policy.yaml\nrealms:\n  'acme': 'acme.yaml'\n"
                                        "rules:\n  - rule: 'all'\n"));
    assert_int_equal(CTL("policy", "show", "--realm", "acme"), 0);
    assert_ptr_equal(strstr(file("out"), "# policy: acme.yaml, of the realm acme\nrules:\n"), text);
    assert_int_equal(CTL("policy", "show", "--realm", "beta"), 0);
    assert_memory_equal(file("out"), "# realm beta: the general rules\n# policy: policy.yaml\n",
                        54);
    scene_replace("acme.yaml", "rules: []\n");
    assert_int_equal(CTL("policy", "check", "policy.yaml"), 3);
    assert_string_equal(file("err"), "acme.yaml:1:8: \"rules\" is an empty list\n");
}

/* --- evidence -----------------------------------------------------------------------------------
 */

static void
each_tenant_has_the_evidence_of_its_own_users_before_they_have_the_answer(void **state)
{
    int fd;

    (void)state;
    rig_start(&rig);
    mkt_grant_free(granted(&alice, BOB));
    assert_int_equal(count("tenants/acme.jsonl", "\n"), 1);
    assert_non_null(strstr(file("tenants/acme.jsonl"), "\"realm\":\"acme\",\"transport\":\"udp\""));
    mkt_grant_free(granted(&zoe, BOB));
    assert_int_equal(request_error(&alice, "sip:x@example.com"), MKT_ERR_INVALID_ID);
    assert_int_equal(count("tenants/acme.jsonl", "\n"), 2);
    assert_null(strstr(file("tenants/acme.jsonl"), ZOE));
    assert_non_null(strstr(text, "\"reason\":\"NOT_AUTHORISED\""));
    assert_int_equal(count("tenants/beta.jsonl", "\n"), 1);
    assert_null(strstr(file("tenants/beta.jsonl"), ALICE));
    rig_ask_free(&ask);
    rig_request(&ask, &zoe, BOB, 0);
    ask.octets[ask.len - 1] ^= 1; /* nobody is authenticated: it is nobody's evidence */
    fd = rig_udp_socket(&rig);
    assert_true(rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS) > 0);
    close(fd);
    assert_int_equal(count("tenants/beta.jsonl", "\n"), 1);
    assert_int_equal(CTL("audit", "search", "--realm", "beta", "--json"), 0);
    assert_int_equal(count("out", "\n"), 1);
    assert_non_null(strstr(text, ZOE));
    assert_int_equal(CTL("audit", "list", "--realm", "acme"), 0);
    assert_int_equal(count("out", ALICE), 2);
    assert_int_equal(count("out", ZOE), 0);
}

static void
a_ticket_that_is_used_across_realms_is_evidence_of_both(void **state)
{
    struct mkt_grant *g;

    (void)state;
    rig_start(&rig);
    g = granted(&alice, ZOE);
    assert_int_equal(scene_resolve_error(&zoe, g), -1);
    mkt_grant_free(g);
    assert_int_equal(count("tenants/acme.jsonl", "\n"), 2);
    assert_non_null(
        strstr(file("tenants/acme.jsonl"), "\"realm\":\"beta\",\"ticket-realm\":\"acme\","));
    assert_int_equal(count("tenants/beta.jsonl", "\n"), 1);
    assert_non_null(strstr(file("tenants/beta.jsonl"), "\"rule\":\"acme/far\""));
    assert_int_equal(CTL("audit", "search", "--realm", "acme", "--event", "resolve", "--json"), 0);
    assert_int_equal(count("out", "\n"), 1);
}

static void
an_attempt_on_a_ticket_of_another_realm_is_evidence_of_both(void **state)
{
    struct mkt_grant *g;

    (void)state;
    rig_start(&rig);
    g = granted(&alice, ZOE);
    assert_int_equal(scene_resolve_error(&zoe, g), MKT_ERR_INVALID_ID);
    mkt_grant_free(g);
    assert_non_null(strstr(file("tenants/acme.jsonl"), "\"why\":\"a ticket of another realm\""));
    assert_non_null(strstr(file("tenants/beta.jsonl"), "\"why\":\"a ticket of another realm\""));
}

/* The key is named in the clear, where anybody can write it. */
static void
a_forged_ticket_is_no_evidence_of_the_realm_that_it_names(void **state)
{
    struct mkt_grant *g;
    struct mkt_span ticket;
    uint8_t *at;
    int fd;

    (void)state;
    rig_start(&rig);
    g = granted(&alice, ZOE);
    rig_ask_free(&ask);
    rig_resolve(&ask, &zoe, &alice, ZOE, g);
    ticket = mkt_grant_ticket(g);
    at = memmem(ask.octets, ask.len, ticket.p + ticket.n - 20, 18); /* the end of its MAC, in it */
    assert_non_null(at);
    at[17] ^= 1;
    rig_seal(&ask, &zoe);
    fd = rig_udp_socket(&rig);
    assert_true(rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS) > 0);
    close(fd);
    mkt_grant_free(g);
    assert_int_equal(count("tenants/beta.jsonl", "\n"), 1);
    assert_non_null(strstr(file("tenants/beta.jsonl"), "\"event\":\"refuse\""));
    assert_int_equal(count("tenants/acme.jsonl", "\n"), 1); /* that it was issued */
}

static void
without_its_evidence_nobody_gets_an_answer(void **state)
{
    char folder[128], away[128];
    int error_no;

    (void)state;
    rig_start(&rig);
    snprintf(folder, sizeof folder, "%s/tenants", rig.dir);
    snprintf(away, sizeof away, "%s/away", rig.dir);
    assert_int_equal(rename(folder, away), 0);
    assert_null(request(&alice, BOB, QUIET_MS, &error_no));
    assert_null(request(&zoe, BOB, QUIET_MS, &error_no));
    assert_int_equal(rename(away, folder), 0);
    assert_true(scene_logs("audit-resumed"));
    assert_int_equal(request_error(&zoe, BOB), -1);
    assert_int_equal(count("tenants/acme.jsonl", "\n"), 1); /* what was decided and not answered */
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, scene_stop)
    const struct CMUnitTest tests[] = {
        TEST(the_file_of_a_realm_decides_for_its_users_at_issue_and_at_resolve),
        TEST(one_bad_file_leaves_the_whole_policy_as_it_was),
        TEST(a_daemon_does_not_start_without_the_file_of_a_realm),
        TEST(the_tool_says_which_file_and_rule_decide),
        TEST(each_tenant_has_the_evidence_of_its_own_users_before_they_have_the_answer),
        cmocka_unit_test_setup_teardown(a_ticket_that_is_used_across_realms_is_evidence_of_both,
                                        open_across, scene_stop),
        TEST(an_attempt_on_a_ticket_of_another_realm_is_evidence_of_both),
        TEST(a_forged_ticket_is_no_evidence_of_the_realm_that_it_names),
        TEST(without_its_evidence_nobody_gets_an_answer),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
