/* SPDX-License-Identifier: Apache-2.0 */
/* Reference tickets with the real programs: made by the daemon or in advance, resolved, listed, and
 * revoked while the daemon runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "scene.h"

static char text[65536];

/* The answer to a message, by UDP or HTTP. */
static struct mkt_span
answer(const struct rig_ask *a, bool udp, const char *kind)
{
    int fd = udp ? rig_udp_socket(&rig) : rig_http_connect(&rig);
    size_t n = 0;

    if (udp)
        n = rig_udp_ask(fd, mkt_span(a->octets, a->len), out, WAIT_MS);
    else
        assert_int_equal(rig_http_post(fd, kind, mkt_span(a->octets, a->len), out, &n), 200);
    close(fd);
    return mkt_span(out, n);
}

static struct mkt_grant *
granted(bool udp)
{
    struct mkt_policy want;
    struct mkt_io io;

    rig_want(&want, &alice, BOB, 0);
    want.ticket_type = MKT_TICKET_TYPE_REFERENCE;
    rig_ask_free(&ask);
    rig_request_want(&ask, &alice, &want, 0);
    return rig_granted(&ask, answer(&ask, udp, "ticketrequest"), &io);
}

/* -1 when Bob has the keys, else the Error no, which must be authentic. */
static int
resolve(bool udp, struct mkt_grant *g)
{
    struct mkt_span said;
    struct mkt_io io;
    bool authentic;
    int error_no;

    rig_ask_free(&again);
    rig_resolve(&again, &bob, &alice, BOB, g);
    said = answer(&again, udp, "ticketresolve");
    error_no = rig_error_no(said, &authentic);
    assert_true(error_no == -1 ? rig_resolved(&again, said, &io) : authentic);
    return error_no;
}

/* The references that are listed: 32 digits each at the beginning of a line. */
static size_t
listed(char first[33])
{
    size_t n = 0;

    assert_int_equal(CTL("ticket", "kept"), 0);
    rig_read(&rig, "out", text, sizeof text);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strspn(line, "0123456789abcdef") != 32)
            continue;
        if (n++ == 0)
            snprintf(first, 33, "%.32s", line);
    }
    return n;
}

static void
a_ticket_is_revoked_at_once_while_the_daemon_runs(void **state)
{
    char first[33] = "";

    (void)state;
    for (int udp = 0; udp < 2; udp++) {
        struct mkt_grant *g = granted(udp != 0), *other;

        assert_non_null(g);
        assert_int_equal(listed(first), 1);
        assert_non_null(strstr(text, ALICE));
        assert_non_null(strstr(text, BOB));
        other = granted(udp == 0);
        assert_non_null(other);
        assert_int_equal(listed(first), 2);
        assert_int_equal(resolve(udp != 0, g), -1);
        assert_int_equal(resolve(udp == 0, g), -1);
        assert_int_equal(CTL("ticket", "revoke", first), 0);
        assert_int_equal(resolve(udp != 0, g), MKT_ERR_INVALID_TICKET);
        assert_int_equal(resolve(udp != 0, other), -1);
        assert_int_equal(CTL("ticket", "revoke", first), 4);
        assert_int_equal(listed(first), 1);
        assert_int_equal(CTL("ticket", "revoke", first), 0);
        assert_int_equal(listed(first), 0);
        mkt_grant_free(g);
        mkt_grant_free(other);
    }
}

static void
tickets_outlive_a_crash_and_go_with_their_user(void **state)
{
    struct mkt_grant *g = granted(true);

    (void)state;
    assert_non_null(g);
    rig_kill(&rig);
    rig_start(&rig);
    assert_int_equal(resolve(false, g), -1);
    assert_int_equal(CTL("user", "remove", ALICE), 0);
    assert_true(scene_says("out", "revoked 1 reference ticket of " ALICE));
    assert_int_equal(resolve(true, g), MKT_ERR_INVALID_TICKET);
    mkt_grant_free(g);
}

static void
counters_serve_as_timestamps_too(void **state)
{
    struct mkt_grant *g, *again_g;
    char first[33];

    (void)state;
    alice.ts_type = MKT_TS_COUNTER;
    rig_counter = 10;
    g = granted(true);
    assert_non_null(g);
    again_g = granted(false);
    assert_non_null(again_g);
    mkt_grant_free(again_g);
    rig_counter = 5; /* an old value makes no ticket */
    assert_null(granted(false));
    assert_int_equal(listed(first), 2);
    alice.ts_type = MKT_TS_NTP_UTC;
    assert_int_equal(resolve(false, g), -1);
    mkt_grant_free(g);
}

static void
one_made_in_advance_is_resolved_and_revoked_like_any_other(void **state)
{
    struct mkt_err err = { 0 };
    struct mkt_grant *g = NULL;
    char first[33];
    size_t n;

    (void)state;
    assert_int_equal(CTL("ticket", "issue", "--as", ALICE, "--to", BOB, "--flags", "DEFGHIJNO",
                         "--ticket-type", "reference", "--out", "t.mkt"),
                     0);
    n = rig_read(&rig, "t.mkt", text, sizeof text);
    assert_int_equal(mkt_grant_import(&g, mkt_span(text, n), &err), MKT_OK);
    assert_int_equal(mkt_grant_policy(g)->ticket_type, MKT_TICKET_TYPE_REFERENCE);
    assert_int_equal(resolve(false, g), -1);
    assert_int_equal(CTL("ticket", "kept", "--json"), 0);
    assert_true(scene_says("out", "\"initiator\": \"" ALICE "\", \"responders\": \"" BOB "\"}"));
    assert_int_equal(listed(first), 1);
    assert_int_equal(CTL("ticket", "revoke", first), 0);
    assert_int_equal(resolve(false, g), MKT_ERR_INVALID_TICKET);
    mkt_grant_free(g);
}

static void
wrong_words_revoke_nothing(void **state)
{
    struct mkt_grant *g = granted(true);
    char first[33];

    (void)state;
    assert_non_null(g);
    assert_int_equal(listed(first), 1);
    assert_int_equal(CTL("ticket", "revoke"), 2);
    assert_int_equal(CTL("ticket", "revoke", "00"), 2);
    assert_int_equal(CTL("ticket", "revoke", "zz000000000000000000000000000000"), 2);
    assert_int_equal(CTL("ticket", "revoke", "00000000000000000000000000000000"), 4);
    assert_int_equal(CTL("ticket", "revoke", first, "--limit", "3"), 2);
    assert_int_equal(CTL("ticket", "issue", "--as", ALICE, "--to", BOB, "--out", "t.mkt",
                         "--ticket-type", "compat"),
                     2);
    assert_int_equal(resolve(true, g), -1);
    mkt_grant_free(g);
}

struct row {
    int kek;
    size_t n;
    uint8_t octets[8192];
};

/* The kept keys as they stand in the store. */
static void
read_row(struct row *r)
{
    char path[128];
    sqlite3_stmt *st;
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/kms.db", rig.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT kek, keys FROM kept_ticket", -1, &st, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    r->kek = sqlite3_column_int(st, 0);
    r->n = (size_t)sqlite3_column_bytes(st, 1);
    assert_in_range(r->n, 32, sizeof r->octets);
    memcpy(r->octets, sqlite3_column_blob(st, 1), r->n);
    sqlite3_finalize(st);
    sqlite3_close(db);
}

static void
configure(const char *kek, const char *more)
{
    char yaml[256];

    snprintf(yaml, sizeof yaml, "ticket_types: [base, reference]\nkek: file:%s\n%s", kek, more);
    rig_config(&rig, yaml);
}

static void
keys_are_sealed_by_kek_init(void **state)
{
    struct row clear, sealed;
    struct mkt_grant *g;

    (void)state;
    rig_open(&rig, "ticket_types: [base, reference]\n");
    rig_add_two(&rig, &alice, &bob);
    rig_start(&rig);
    g = granted(true);
    assert_non_null(g);
    assert_int_equal(resolve(true, g), -1);
    assert_int_equal(rig_stop(&rig), 0);
    read_row(&clear);
    assert_int_equal(clear.kek, 0);
    assert_true(
        scene_at_rest(mkt_span(clear.octets, clear.n))); /* so that the search would find it */
    configure("kms.kek", "");
    assert_int_equal(CTL("kek", "init"), 0);
    read_row(&sealed);
    assert_int_equal(sealed.kek, 1);
    assert_int_equal(sealed.n, clear.n + 28);
    assert_false(scene_at_rest(mkt_span(clear.octets, clear.n)));
    rig_start(&rig);
    assert_int_equal(resolve(true, g), -1);
    mkt_grant_free(g);
}

/* The KEK and the store key change under a ticket, and the one that is made afterwards. */
static void
follow_the_kek(const char *more)
{
    struct mkt_grant *g, *later;
    struct row row;

    rig_stop(&rig);
    configure("kms.kek", more);
    rig_start(&rig);
    g = granted(true);
    assert_non_null(g);
    read_row(&row);
    assert_int_equal(row.kek, 1);
    assert_int_equal(CTL("kek", "rotate", "--to", "file:new.kek"), 0);
    assert_int_equal(resolve(false, g), -1);
    later = granted(false);
    assert_non_null(later);
    read_row(&row);
    assert_int_equal(row.kek, 2);
    assert_int_equal(rig_stop(&rig), 0);
    configure("new.kek", more);
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0);
    rig_start(&rig);
    assert_int_equal(resolve(true, g), -1);
    assert_int_equal(resolve(false, later), -1);
    mkt_grant_free(g);
    mkt_grant_free(later);
}

static void
sealed_keys_follow_the_kek(void **state)
{
    (void)state;
    follow_the_kek("");
}

static void
sealed_keys_follow_the_kek_in_a_vault_process(void **state)
{
    (void)state;
    follow_the_kek("vault: process\n");
}

int
main(void)
{
#define TEST(name) SCENE(name, "kek: file:kms.kek\nticket_types: [base, reference]\n")
    const struct CMUnitTest tests[] = {
        TEST(a_ticket_is_revoked_at_once_while_the_daemon_runs),
        TEST(tickets_outlive_a_crash_and_go_with_their_user),
        TEST(counters_serve_as_timestamps_too),
        TEST(one_made_in_advance_is_resolved_and_revoked_like_any_other),
        TEST(wrong_words_revoke_nothing),
        cmocka_unit_test_teardown(keys_are_sealed_by_kek_init, scene_stop),
        TEST(sealed_keys_follow_the_kek),
        TEST(sealed_keys_follow_the_kek_in_a_vault_process),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
