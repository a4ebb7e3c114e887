/* SPDX-License-Identifier: Apache-2.0 */
/* The audit of the real daemon: everything that was answered is in it, whatever happens; no key is;
 * and without it nothing is answered. */
#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "hex.h"
#include "scene.h"
#include "store.h"

#define QUIET_MS 200 /* for one that must not */
#define TEAM "sip:team@example.com"
#define CRASHES 20
#define STORM 64 /* requests under way when it is killed */
#define NAME (2 * MKT_TICKET_ID + 1)

static char text[1 << 22];

/* Every segment, one after the other, in text. */
static const char *
records(void)
{
    char name[64];
    size_t n = 0;

    for (unsigned i = 1; i < 200; i++) {
        snprintf(name, sizeof name, "audit/audit-%06u.jsonl", i);
        n += rig_read(&rig, name, text + n, sizeof text - n);
    }
    return text;
}

static const char *
told(const char *const *words)
{
    static char said[1 << 16];
    const char *all[24] = { "mikey-kmsctl", "--config", "kms.yaml" };
    size_t n = 3;

    while (*words != NULL)
        all[n++] = *words++;
    all[n] = NULL;
    assert_int_equal(rig_run(&rig, all), 0);
    rig_read(&rig, "out", said, sizeof said);
    return said;
}
#define TOLD(...) told((const char *const[]){ __VA_ARGS__, NULL })

static void
name_of(struct mkt_grant *g, char name[NAME])
{
    struct mkt_span t = mkt_grant_ticket(g);

    kms_hex_write(name, t.p + t.n - 2 - MKT_TICKET_ID, MKT_TICKET_ID);
}

static struct mkt_grant *
granted(bool udp, int ms)
{
    return scene_granted(BOB, udp, ms);
}

static bool
resolves(struct mkt_grant *g)
{
    return scene_resolves(g, BOB);
}

/* Until g resolves, or does not, as the daemon follows the store. */
static bool
becomes(struct mkt_grant *g, bool wanted)
{
    for (int i = 0; i < 200; i++) {
        if (resolves(g) == wanted)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

static void
each_ticket_is_in_the_audit_before_it_is_with_the_client(void **state)
{
    char name[NAME], want[128];

    (void)state;
    for (int i = 0; i < 3; i++) { /* over UDP, over HTTP, through the lane */
        struct mkt_grant *g;

        alice.ts_type = i == 2 ? MKT_TS_COUNTER : MKT_TS_NTP_UTC;
        g = granted(i == 0, WAIT_MS);
        assert_non_null(g);
        name_of(g, name);
        snprintf(want, sizeof want, "\"rule\":\"everyone\",\"ticket\":\"%s\",\"to\":[\"%s\"]", name,
                 BOB);
        assert_non_null(strstr(records(), want));
        assert_non_null(strstr(records(), "\"stage\":\"issue\",\"realm\":\"default\","));
        if (i < 2)
            assert_true(resolves(g));
        mkt_grant_free(g);
    }
    alice.ts_type = MKT_TS_NTP_UTC;
    assert_non_null(strstr(records(), "\"event\":\"resolve\",\"outcome\":\"answered\""));
}

static void
refusals_are_recorded_with_their_reason(void **state)
{
    struct rig_user mallory;
    int fd = rig_udp_socket(&rig);
    const char *record;

    (void)state;
    rig_user_init(&mallory, alice.identity, "alice", MKT_PRF_HMAC_SHA_256); /* another key */
    rig_request(&ask, &mallory, BOB, 0);
    assert_true(rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS) > 0);
    close(fd);
    record = strstr(records(), "\"event\":\"refuse\",\"outcome\":\"refused\"");
    assert_non_null(record);
    assert_non_null(strstr(record, "\"claimed\":\"sip:alice@example.com\""));
    assert_non_null(strstr(record, "\"reason\":\"AUTH\",\"why\":\"V\""));
    assert_null(strstr(record, "\"who\":")); /* nobody proved to be alice */
    assert_null(strstr(record, "\"realm\":"));
}

static void
the_tool_lists_searches_and_follows(void **state)
{
    struct mkt_grant *g = granted(true, WAIT_MS);
    char name[NAME];

    (void)state;
    assert_non_null(g);
    name_of(g, name);
    assert_true(resolves(g));
    mkt_grant_free(granted(false, WAIT_MS));
    assert_non_null(strstr(TOLD("audit", "list", "--limit", "3"), " issue    answered  "));
    assert_non_null(strstr(TOLD("audit", "search", "--ticket", name), " resolve  answered  "));
    assert_non_null(strstr(TOLD("audit", "search", "--who", BOB, "--outcome", "answered", "--event",
                                "resolve", "--since", "10m", "--json"),
                           name));
    assert_string_equal(TOLD("audit", "search", "--who", "sip:nobody@example.com"), "");
    assert_string_equal(TOLD("audit", "search", "--until", "2020-01-01"), "");
    assert_non_null(strstr(TOLD("audit", "search", "--follow", "--limit", "2"), " start "));
    assert_non_null(strstr(TOLD("ticket", "list"), name));
    assert_non_null(
        strstr(TOLD("ticket", "search", "--ticket", name, "--json"), "\"state\":\"valid\""));
    assert_non_null(strstr(TOLD("audit", "verify"), "nothing was changed and nothing is missing"));
    mkt_grant_free(g);
}

static void
a_revoked_ticket_is_refused_within_two_seconds_and_a_new_one_is_not(void **state)
{
    struct mkt_grant *g = granted(true, WAIT_MS), *other = granted(true, WAIT_MS);
    char name[NAME];

    (void)state;
    assert_true(g != NULL && other != NULL);
    name_of(g, name);
    assert_true(resolves(g));
    (void)TOLD("ticket", "revoke", name);
    assert_true(becomes(g, false));
    assert_true(resolves(other));
    assert_non_null(strstr(TOLD("ticket", "search", "--ticket", name), " revoked "));
    (void)TOLD("ticket", "revoke", "--user", alice.identity);
    assert_true(becomes(other, false));
    assert_non_null(strstr(records(), "\"why\":\"the tickets of its Initiator are revoked\""));
    for (int i = 0; i < 200; i++) { /* one that is made a second later is good */
        mkt_grant_free(other);
        other = granted(true, WAIT_MS);
        if (resolves(other))
            break;
        poll(NULL, 0, 10);
    }
    assert_true(resolves(other));
    (void)TOLD("ticket", "revoke", "--user", alice.identity, "--undo");
    (void)TOLD("ticket", "revoke", name, "--undo");
    assert_true(becomes(g, true));
    mkt_grant_free(g);
    mkt_grant_free(other);
}

static int
revoke_group(const char *name)
{
    return RIG_RUN(&rig, "mikey-kmsctl", "--config", "kms.yaml", "ticket", "revoke", "--group",
                   name);
}

static void
the_tickets_for_a_group_are_revoked_with_one_command(void **state)
{
    struct mkt_grant *g, *other;
    char name[NAME];

    (void)state;
    (void)TOLD("group", "add", TEAM);
    (void)TOLD("group", "member-add", TEAM, BOB);
    g = scene_granted(TEAM, true, WAIT_MS);
    other = granted(true, WAIT_MS);
    assert_true(g != NULL && becomes(g, true));
    assert_int_not_equal(revoke_group("sip:temm@example.com"), 0);
    assert_int_not_equal(revoke_group("team"), 0);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsctl", "--config", "kms.yaml", "ticket", "revoke",
                             "--group", TEAM, "--user", BOB),
                     2);
    assert_true(resolves(g));
    (void)TOLD("ticket", "revoke", "--group", TEAM);
    assert_true(becomes(g, false));
    assert_non_null(strstr(records(), "\"why\":\"the tickets for its group are revoked\""));
    name_of(g, name);
    assert_non_null(strstr(TOLD("ticket", "search", "--ticket", name), " revoked "));
    assert_true(resolves(other)); /* the same two people */
    name_of(other, name);
    assert_non_null(strstr(TOLD("ticket", "search", "--ticket", name), " valid "));
    for (int i = 0; i < 200; i++) { /* one that is made a second later is good */
        mkt_grant_free(other);
        other = scene_granted(TEAM, true, WAIT_MS);
        if (resolves(other))
            break;
        poll(NULL, 0, 10);
    }
    assert_true(resolves(other));
    (void)TOLD("ticket", "revoke", "--group", TEAM, "--undo");
    assert_true(becomes(g, true));
    mkt_grant_free(g);
    mkt_grant_free(other);
}

static void
a_revocation_outlives_a_restart(void **state)
{
    struct mkt_grant *g = granted(true, WAIT_MS);
    char name[NAME];

    (void)state;
    name_of(g, name);
    (void)TOLD("ticket", "revoke", name);
    rig_kill(&rig);
    rig_start(&rig);
    assert_false(resolves(g));
    mkt_grant_free(g);
}

/* What the record of the stop counts, all in all. */
static unsigned long
counted(void)
{
    static const char *const outcomes[] = { "answered", "repeated", "refused", "malformed",
                                            "limited",  "denied",   "busy" };
    const char *record = strstr(records(), "\"event\":\"stop\""), *at;
    unsigned long sum = 0;
    char key[32];

    assert_non_null(record);
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        snprintf(key, sizeof key, "\"%s\":", outcomes[i]);
        at = strstr(record, key);
        assert_non_null(at);
        sum += strtoul(at + strlen(key), NULL, 10);
    }
    return sum;
}

/* Over each way, also through the lane; and what was refused so is not answered later either. Each
 * request is counted once, whatever became of it. */
static void
without_the_audit_no_ticket_leaves_and_it_resumes(void **state)
{
    static struct rig_ask lost;
    struct mkt_grant *g;
    char here[128], away[128];
    int udp = rig_udp_socket(&rig), http = rig_http_connect(&rig);
    struct mkt_span body;
    unsigned asked = 6; /* by name, below */
    size_t n;

    (void)state;
    snprintf(here, sizeof here, "%s/audit", rig.dir);
    snprintf(away, sizeof away, "%s/away", rig.dir);
    assert_int_equal(rename(here, away), 0);
    rig_request(&lost, &alice, BOB, 0);
    body = mkt_span(lost.octets, lost.len);
    assert_int_equal(rig_udp_ask(udp, body, out, QUIET_MS), 0); /* finds it out */
    assert_int_equal(rig_http_post(http, "ticketrequest", body, out, &n), 503);
    alice.ts_type = MKT_TS_COUNTER;
    assert_null(granted(true, QUIET_MS));
    alice.ts_type = MKT_TS_NTP_UTC;
    rig_read(&rig, "log", text, sizeof text);
    assert_non_null(strstr(text, "error audit-down sink=file"));
    assert_int_equal(rig_get(&rig, "GET", "/ready", text, sizeof text), 503);
    assert_string_equal(text, "the audit cannot be written\n");
    assert_int_equal(rename(away, here), 0);
    for (int i = 0; i < 500; i++) {
        g = granted(true, QUIET_MS);
        if (g != NULL)
            break;
        asked++;
    }
    assert_non_null(g);
    assert_int_equal(rig_get(&rig, "GET", "/ready", text, sizeof text), 200);
    assert_true(resolves(g));
    mkt_grant_free(g);
    /* the datagram that got no answer gets none now: its answer was dropped, not kept */
    assert_int_equal(rig_udp_ask(udp, body, out, QUIET_MS), 0);
    close(udp);
    close(http);
    rig_ask_free(&lost);
    assert_int_equal(rig_stop(&rig), 0);
    assert_int_equal(counted(), asked);
    assert_non_null(strstr(TOLD("audit", "verify"), "nothing was changed"));
}

/* The name of the ticket in an answer to one of n requests; false when it is none. */
static bool
take_name(struct rig_ask *asks, size_t n, struct mkt_span answer, char name[NAME])
{
    struct mkt_grant *g = NULL;
    struct mkt_io io;

    for (size_t i = 0; g == NULL && i < n; i++)
        if (memcmp(answer.p + 4, asks[i].octets + 4, 4) == 0) /* CSB ID */
            g = rig_granted(&asks[i], answer, &io);
    if (g == NULL)
        return false;
    name_of(g, name);
    mkt_grant_free(g);
    return true;
}

/* Sends requests, kills the daemon after so many answers, and takes the names of all tickets that
 * came back. */
static size_t
storm(char (*names)[NAME], size_t n, size_t kill_after)
{
    static struct rig_ask asks[STORM];
    int fd = rig_udp_socket(&rig);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    size_t got = 0;
    ssize_t len;

    for (size_t i = 0; i < n; i++) {
        rig_ask_free(&asks[i]);
        rig_request(&asks[i], &alice, BOB, 0);
    }
    for (size_t i = 0; i < n; i++)
        (void)!send(fd, asks[i].octets, asks[i].len, MSG_DONTWAIT);
    while (poll(&p, 1, rig.pid != 0 ? WAIT_MS : 20) == 1) {
        len = recv(fd, out, sizeof out, 0);
        if (len <= 0)
            break; /* nobody listens any more */
        got += take_name(asks, n, mkt_span(out, (size_t)len), names[got]);
        if (got == kill_after && rig.pid != 0)
            rig_kill(&rig);
    }
    if (rig.pid != 0)
        rig_kill(&rig);
    for (size_t i = 0; i < n; i++)
        rig_ask_free(&asks[i]);
    close(fd);
    return got;
}

static void
after_a_crash_every_ticket_that_was_received_is_in_the_audit(void **state)
{
    static char names[STORM + 1][NAME];
    size_t received = 0;

    (void)state;
    for (unsigned i = 0; i < CRASHES; i++) {
        size_t n = storm(names, STORM, 1 + i * 37 % (STORM - 1));
        const char *all;

        rig_start(&rig);
        all = records();
        for (size_t k = 0; k < n; k++)
            if (strstr(all, names[k]) == NULL)
                fail_msg("crash %u: ticket %s is not in the audit", i, names[k]);
        received += n;
    }
    assert_true(received > CRASHES); /* or it proves nothing */
    assert_non_null(strstr(TOLD("audit", "verify"), "nothing was changed and nothing is missing"));
}

static void
expect_absent(struct mkt_span key)
{
    char hex[2 * MKT_SECRET_MAX + 1];

    kms_hex_write(hex, key.p, key.n);
    hex[32] = '\0'; /* not even the half of it */
    assert_null(strstr(text, hex));
    for (char *c = hex; *c != '\0'; c++)
        *c = (char)(*c >= 'a' ? *c - 32 : *c);
    assert_null(strstr(text, hex));
    assert_null(memmem(text, strlen(text), key.p, 8));
}

static bool
absent_tpk(void *ctx, const struct kms_tpk *t)
{
    (void)ctx;
    expect_absent(t->key.octets);
    return true;
}

static void
no_key_is_in_any_record(void **state)
{
    const struct kms_sink sink = { .tpk = absent_tpk };
    struct mkt_grant *g = granted(true, WAIT_MS);
    const struct mkt_keys *keys = mkt_grant_keys(g);
    struct kms_store_err err;
    struct kms_store *store;
    char path[128];

    (void)state;
    assert_true(resolves(g));
    assert_true(strlen(records()) > 1000);
    expect_absent(mkt_secret_span(&alice.psk.key));
    expect_absent(mkt_secret_span(&bob.psk.key));
    for (size_t i = 0; i < keys->n; i++)
        expect_absent(mkt_secret_span(&keys->k[i].key));
    snprintf(path, sizeof path, "%s/kms.db", rig.dir);
    assert_int_equal(kms_store_open_sqlite(&store, path, 0, &err), KMS_STORE_OK);
    assert_int_equal(store->ops->read(store, &sink, true, &err), KMS_STORE_OK);
    store->ops->close(store);
    mkt_grant_free(g);
}

int
main(void)
{
#define TEST(name)                                                         \
    SCENE(name, "kek: file:kms.kek\nworkers: 2\naudit: {file_size: 64K}\n" \
                "admin: http://127.0.0.1:0\n")
    const struct CMUnitTest tests[] = {
        TEST(each_ticket_is_in_the_audit_before_it_is_with_the_client),
        TEST(refusals_are_recorded_with_their_reason),
        TEST(the_tool_lists_searches_and_follows),
        TEST(a_revoked_ticket_is_refused_within_two_seconds_and_a_new_one_is_not),
        TEST(the_tickets_for_a_group_are_revoked_with_one_command),
        TEST(a_revocation_outlives_a_restart),
        TEST(without_the_audit_no_ticket_leaves_and_it_resumes),
        TEST(after_a_crash_every_ticket_that_was_received_is_in_the_audit),
        TEST(no_key_is_in_any_record),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
