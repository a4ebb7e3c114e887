/* SPDX-License-Identifier: Apache-2.0 */
/* Users, groups and realms as an operator manages them, and how soon a running daemon knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scene.h"

#define TEAM "sip:team@example.com"
#define SOON_MS 2000 /* a second, and one for a machine that has other work */

static void
users_are_suspended_resumed_and_expired(void **state)
{
    (void)state;
    assert_int_equal(CTL("user", "add", BOB, "--no-psk", "--expires", "2020-02-29"), 0);
    assert_int_equal(CTL("user", "list"), 0);
    assert_true(scene_says("out", "expired   default"));
    assert_true(scene_says("out", "2020-02-29T00:00:00Z"));
    assert_int_equal(CTL("user", "expire", BOB, "never"), 0);
    assert_true(scene_says("out", BOB ": does not expire\n"));
    assert_int_equal(CTL("user", "suspend", BOB), 0);
    assert_int_equal(CTL("user", "suspend", BOB), 0);
    assert_true(scene_says("out", "suspended, as before"));
    assert_int_equal(CTL("user", "list", "--json"), 0);
    assert_true(
        scene_says("out", "\"state\": \"suspended\", \"realm\": \"default\", \"expires\": null}"));
    assert_int_equal(CTL("user", "resume", BOB), 0);
    assert_int_equal(CTL("user", "list"), 0);
    assert_true(scene_says("out", "active "));
    assert_int_equal(CTL("user", "suspend", ALICE), 4);
    assert_true(scene_says("err", ALICE " is no user"));
    assert_int_equal(CTL("user", "expire", BOB, "2021-02-29"), 2);
    assert_int_equal(CTL("user", "expire", BOB, "tomorrow"), 2);
    assert_int_equal(CTL("user", "expire", BOB, "2031-01-31T18:00:00Z"), 0);
    assert_true(scene_says("out", "expires 2031-01-31T18:00:00Z"));
    assert_int_equal(CTL("user", "expire", BOB), 2);
    assert_true(scene_says("err", "is missing after expire"));
}

static void
aliases_are_listed_with_their_user(void **state)
{
    (void)state;
    assert_int_equal(CTL("user", "add", BOB, "--no-psk"), 0);
    assert_int_equal(CTL("user", "alias-add", BOB, "tel:+4311"), 0);
    assert_int_equal(CTL("user", "alias-add", ALICE, "tel:+4312"), 4);
    assert_int_equal(CTL("user", "alias-add", BOB, "nothing"), 2);
    assert_int_equal(CTL("user", "list"), 0);
    assert_true(scene_says("out", "tel:+4311                        is " BOB));
    assert_int_equal(CTL("user", "list", "--json"), 0);
    assert_true(scene_says("out", "{\"identity\": \"tel:+4311\", \"alias-of\": \"" BOB "\"}"));
    assert_int_equal(CTL("user", "alias-remove", "tel:+4311"), 0);
    assert_int_equal(CTL("user", "alias-remove", "tel:+4311"), 4);
}

static void
groups_are_made_filled_and_shown(void **state)
{
    (void)state;
    assert_int_equal(CTL("group", "list"), 0);
    assert_true(scene_says("out", "No groups yet"));
    assert_int_equal(CTL("user", "add", BOB, "--no-psk"), 0);
    assert_int_equal(CTL("group", "add", TEAM), 0);
    assert_int_equal(CTL("group", "add", TEAM), 0);
    assert_true(scene_says("out", "as before"));
    assert_int_equal(CTL("group", "add", "team"), 2);
    assert_int_equal(CTL("group", "add", BOB), 4);
    assert_int_equal(CTL("group", "member-add", TEAM, BOB), 0);
    assert_int_equal(CTL("group", "member-add", TEAM, "sip:*@team.example.com"), 0);
    assert_int_equal(CTL("group", "member-add", TEAM, ALICE), 4);
    assert_true(scene_says("err", ALICE " is no user and no group"));
    assert_int_equal(CTL("group", "list", "--json"), 0);
    assert_true(
        scene_says("out", "{\"group\": \"" TEAM "\", \"realm\": \"default\", \"added\": \"20"));
    assert_int_equal(CTL("group", "show", TEAM, "--json"), 0);
    assert_true(scene_says("out", "{\"member\": \"" BOB "\", \"kind\": \"user\"}"));
    assert_true(
        scene_says("out", "{\"member\": \"sip:*@team.example.com\", \"kind\": \"pattern\"}"));
    assert_int_equal(CTL("group", "show", ALICE), 4);
    assert_int_equal(CTL("group", "member-remove", TEAM, BOB), 0);
    assert_int_equal(CTL("group", "member-remove", TEAM, BOB), 4);
    assert_int_equal(CTL("group", "show", TEAM), 0);
    assert_false(scene_says("out", BOB));
    assert_int_equal(CTL("group", "remove", TEAM), 0);
    assert_int_equal(CTL("group", "remove", TEAM), 4);
}

static void
realms_are_made_with_a_key_and_removed_when_empty(void **state)
{
    (void)state;
    assert_int_equal(CTL("realm", "add", "Acme Ltd"), 2);
    assert_int_equal(CTL("user", "add", BOB, "--no-psk", "--realm", "acme"), 4);
    assert_true(scene_says("err", "there is no realm acme"));
    assert_int_equal(CTL("realm", "add", "acme"), 0);
    assert_int_equal(CTL("realm", "list", "--json"), 0);
    assert_true(scene_says("out", "{\"realm\": \"acme\", "));
    assert_true(scene_says("out", "{\"realm\": \"default\", \"added\": null}"));
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_true(scene_says("out", "tpk-1-256"));
    assert_int_equal(CTL("tpk", "rotate", "--realm", "acme"), 0);
    assert_int_equal(CTL("user", "add", BOB, "--no-psk", "--realm", "acme"), 0);
    assert_int_equal(CTL("realm", "remove", "acme"), 4);
    assert_true(scene_says("err", "has users or groups"));
    assert_int_equal(CTL("user", "remove", BOB), 0);
    assert_int_equal(CTL("realm", "remove", "acme"), 0);
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_true(scene_says("out", "No ticket protection key yet"));
}

/* --- with a running daemon ----------------------------------------------------------------------
 */

static int
start(void **state)
{
    (void)scene_open(state);
    assert_int_equal(CTL("group", "add", TEAM), 0);
    assert_int_equal(CTL("group", "member-add", TEAM, BOB), 0);
    rig_start(&rig);
    return 0;
}

/* Whether bob gets the keys of a new ticket for the team. */
static bool
bob_resolves(void)
{
    struct mkt_grant *g = scene_granted(TEAM, false, WAIT_MS);
    bool ok;

    assert_non_null(g);
    ok = scene_resolves(g, TEAM);
    mkt_grant_free(g);
    return ok;
}

/* Milliseconds until it is so. */
static int64_t
until(bool wanted)
{
    int64_t began = rig_steady_us();

    while (bob_resolves() != wanted)
        assert_in_range(rig_steady_us() - began, 0, 1000 * WAIT_MS);
    return (rig_steady_us() - began) / 1000;
}

static void
a_member_who_was_removed_is_refused_within_a_second(void **state)
{
    (void)state;
    assert_true(bob_resolves());
    assert_int_equal(CTL("group", "member-remove", TEAM, BOB), 0);
    assert_in_range(until(false), 0, SOON_MS);
    assert_int_equal(CTL("group", "member-add", TEAM, BOB), 0);
    assert_in_range(until(true), 0, SOON_MS);
}

/* Not soon: before the tool returns. */
static void
what_was_changed_through_the_daemon_counts_once_it_is_answered(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(CTL("group", "member-remove", TEAM, BOB), 0);
        assert_false(bob_resolves());
        assert_int_equal(CTL("group", "member-add", TEAM, BOB), 0);
        assert_true(bob_resolves());
    }
}

int
main(void)
{
    static char yaml[] = "kek: file:kms.kek\n";
    const struct CMUnitTest tests[] = {
        SCENE_FOLDER(users_are_suspended_resumed_and_expired, yaml),
        SCENE_FOLDER(aliases_are_listed_with_their_user, yaml),
        SCENE_FOLDER(groups_are_made_filled_and_shown, yaml),
        SCENE_FOLDER(realms_are_made_with_a_key_and_removed_when_empty, yaml),
        cmocka_unit_test_prestate_setup_teardown(
            a_member_who_was_removed_is_refused_within_a_second, start, scene_stop, yaml),
        cmocka_unit_test_prestate_setup_teardown(
            what_was_changed_through_the_daemon_counts_once_it_is_answered, start, scene_stop,
            yaml),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
