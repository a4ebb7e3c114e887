/* SPDX-License-Identifier: Apache-2.0 */
/* Users, groups and realms as an operator manages them, and how soon a running daemon knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

#define CTL(...) RIG_RUN(&rig, "mikey-kmsctl", "--config", "kms.yaml", __VA_ARGS__)
#define ALICE "sip:alice@example.com"
#define BOB "sip:bob@example.com"
#define TEAM "sip:team@example.com"
#define WAIT_MS 5000
#define SOON_MS 2000 /* a second, and one for a machine that has other work */

static struct rig rig;
static char out[65536], err[4096];

static int
open_rig(void **state)
{
    (void)state;
    rig_open(&rig, "kek: file:kms.kek\n");
    return 0;
}

static int
close_rig(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static bool
said(const char *text)
{
    rig_read(&rig, "out", out, sizeof out);
    return strstr(out, text) != NULL;
}

static bool
complained(const char *text)
{
    rig_read(&rig, "err", err, sizeof err);
    return strstr(err, text) != NULL;
}

static void
users_are_suspended_resumed_and_expired(void **state)
{
    (void)state;
    assert_int_equal(CTL("user", "add", BOB, "--no-psk", "--expires", "2020-02-29"), 0);
    assert_int_equal(CTL("user", "list"), 0);
    assert_true(said("expired   default"));
    assert_true(said("2020-02-29T00:00:00Z"));
    assert_int_equal(CTL("user", "expire", BOB, "never"), 0);
    assert_true(said(BOB ": does not expire\n"));
    assert_int_equal(CTL("user", "suspend", BOB), 0);
    assert_int_equal(CTL("user", "suspend", BOB), 0);
    assert_true(said("suspended, as before"));
    assert_int_equal(CTL("user", "list", "--json"), 0);
    assert_true(said("\"state\": \"suspended\", \"realm\": \"default\", \"expires\": null}"));
    assert_int_equal(CTL("user", "resume", BOB), 0);
    assert_int_equal(CTL("user", "list"), 0);
    assert_true(said("active "));
    assert_int_equal(CTL("user", "suspend", ALICE), 4);
    assert_true(complained(ALICE " is no user"));
    assert_int_equal(CTL("user", "expire", BOB, "2021-02-29"), 2);
    assert_int_equal(CTL("user", "expire", BOB, "tomorrow"), 2);
    assert_int_equal(CTL("user", "expire", BOB, "2031-01-31T18:00:00Z"), 0);
    assert_true(said("expires 2031-01-31T18:00:00Z"));
    assert_int_equal(CTL("user", "expire", BOB), 2);
    assert_true(complained("is missing after expire"));
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
    assert_true(said("tel:+4311                        is " BOB));
    assert_int_equal(CTL("user", "list", "--json"), 0);
    assert_true(said("{\"identity\": \"tel:+4311\", \"alias-of\": \"" BOB "\"}"));
    assert_int_equal(CTL("user", "alias-remove", "tel:+4311"), 0);
    assert_int_equal(CTL("user", "alias-remove", "tel:+4311"), 4);
}

static void
groups_are_made_filled_and_shown(void **state)
{
    (void)state;
    assert_int_equal(CTL("group", "list"), 0);
    assert_true(said("No groups yet"));
    assert_int_equal(CTL("user", "add", BOB, "--no-psk"), 0);
    assert_int_equal(CTL("group", "add", TEAM), 0);
    assert_int_equal(CTL("group", "add", TEAM), 0);
    assert_true(said("as before"));
    assert_int_equal(CTL("group", "add", "team"), 2);
    assert_int_equal(CTL("group", "add", BOB), 4);
    assert_int_equal(CTL("group", "member-add", TEAM, BOB), 0);
    assert_int_equal(CTL("group", "member-add", TEAM, "sip:*@team.example.com"), 0);
    assert_int_equal(CTL("group", "member-add", TEAM, ALICE), 4);
    assert_true(complained(ALICE " is no user and no group"));
    assert_int_equal(CTL("group", "list", "--json"), 0);
    assert_true(said("{\"group\": \"" TEAM "\", \"realm\": \"default\", \"added\": \"20"));
    assert_int_equal(CTL("group", "show", TEAM, "--json"), 0);
    assert_true(said("{\"member\": \"" BOB "\", \"kind\": \"user\"}"));
    assert_true(said("{\"member\": \"sip:*@team.example.com\", \"kind\": \"pattern\"}"));
    assert_int_equal(CTL("group", "show", ALICE), 4);
    assert_int_equal(CTL("group", "member-remove", TEAM, BOB), 0);
    assert_int_equal(CTL("group", "member-remove", TEAM, BOB), 4);
    assert_int_equal(CTL("group", "show", TEAM), 0);
    assert_false(said(BOB));
    assert_int_equal(CTL("group", "remove", TEAM), 0);
    assert_int_equal(CTL("group", "remove", TEAM), 4);
}

static void
realms_are_made_with_a_key_and_removed_when_empty(void **state)
{
    (void)state;
    assert_int_equal(CTL("realm", "add", "Acme Ltd"), 2);
    assert_int_equal(CTL("user", "add", BOB, "--no-psk", "--realm", "acme"), 4);
    assert_true(complained("there is no realm acme"));
    assert_int_equal(CTL("realm", "add", "acme"), 0);
    assert_int_equal(CTL("realm", "list", "--json"), 0);
    assert_true(said("{\"realm\": \"acme\", "));
    assert_true(said("{\"realm\": \"default\", \"added\": null}"));
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_true(said("tpk-1-256"));
    assert_int_equal(CTL("tpk", "rotate", "--realm", "acme"), 0);
    assert_int_equal(CTL("user", "add", BOB, "--no-psk", "--realm", "acme"), 0);
    assert_int_equal(CTL("realm", "remove", "acme"), 4);
    assert_true(complained("has users or groups"));
    assert_int_equal(CTL("user", "remove", BOB), 0);
    assert_int_equal(CTL("realm", "remove", "acme"), 0);
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_true(said("No ticket protection key yet"));
}

/* --- with a running daemon ----------------------------------------------------------------------
 */

static struct rig_user alice, bob;
static struct rig_ask ask, again;
static uint8_t octets[2 * MKT_MSG_MAX];

static int
start(void **state)
{
    (void)state;
    rig_open(&rig, "kek: file:kms.kek\n");
    rig_add_two(&rig, &alice, &bob);
    assert_int_equal(CTL("group", "add", TEAM), 0);
    assert_int_equal(CTL("group", "member-add", TEAM, BOB), 0);
    rig_start(&rig);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    rig_ask_free(&ask);
    rig_ask_free(&again);
    rig_close(&rig);
    return 0;
}

/* Whether bob gets the keys of a new ticket for the team. */
static bool
bob_resolves(void)
{
    int fd = rig_http_connect(&rig);
    struct mkt_grant *g;
    struct mkt_io io;
    size_t n;
    bool ok;

    rig_request(&ask, &alice, TEAM, 0);
    assert_int_equal(rig_http_post(fd, "ticketrequest", mkt_span(ask.octets, ask.len), octets, &n),
                     200);
    g = rig_granted(&ask, mkt_span(octets, n), &io);
    assert_non_null(g);
    rig_resolve(&again, &bob, &alice, TEAM, g);
    mkt_grant_free(g);
    assert_int_equal(
        rig_http_post(fd, "ticketresolve", mkt_span(again.octets, again.len), octets, &n), 200);
    close(fd);
    ok = rig_resolved(&again, mkt_span(octets, n), &io);
    rig_ask_free(&ask);
    rig_ask_free(&again);
    return ok;
}

static int64_t
now_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Milliseconds until it is so. */
static int64_t
until(bool wanted)
{
    int64_t began = now_ms();

    while (bob_resolves() != wanted)
        assert_in_range(now_ms() - began, 0, WAIT_MS);
    return now_ms() - began;
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(users_are_suspended_resumed_and_expired, open_rig,
                                        close_rig),
        cmocka_unit_test_setup_teardown(aliases_are_listed_with_their_user, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(groups_are_made_filled_and_shown, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(realms_are_made_with_a_key_and_removed_when_empty, open_rig,
                                        close_rig),
        cmocka_unit_test_setup_teardown(a_member_who_was_removed_is_refused_within_a_second, start,
                                        stop),
        cmocka_unit_test_setup_teardown(
            what_was_changed_through_the_daemon_counts_once_it_is_answered, start, stop),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
