/* SPDX-License-Identifier: Apache-2.0 */
/* The listener of the operator: what a monitoring system asks, and what it must not learn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <stdio.h>

#include "admin.h"
#include "scene.h"

static char page[65536];

static int
start(void **state)
{
    (void)state;
    rig_open(&rig, "admin: http://127.0.0.1:0\n");
    rig_user_init(&alice, ALICE, "alice-phone", MKT_PRF_HMAC_SHA_256);
    rig_add(&rig, &alice);
    rig_start(&rig);
    return 0;
}

/* Sends a request of alice, with a wrong MAC if so wanted; returns the octets of the answer. */
static size_t
ask_once(bool bad)
{
    int fd = rig_udp_socket(&rig);
    size_t n;

    rig_ask_free(&ask);
    rig_request(&ask, &alice, BOB, 0);
    ask.octets[ask.len - 1] ^= bad;
    n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS);
    close(fd);
    return n;
}

/* The value behind "name " at the start of a line; -1: no such line. */
static double
value(const char *name)
{
    size_t n = strlen(name);

    for (const char *line = page; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            return strtod(line + n, NULL);
    }
    return -1;
}

static void
scrape(void)
{
    assert_int_equal(rig_get(&rig, "GET", "/metrics", page, sizeof page), 200);
}

static void
counts_every_request_once_by_what_became_of_it(void **state)
{
    (void)state;
    scrape();
    assert_true(value("mikey_kms_requests_total{transport=\"udp\",outcome=\"answered\"}") == 0);
    for (int i = 0; i < 3; i++)
        assert_true(ask_once(false) > 0);
    assert_true(ask_once(true) > 0);
    scrape();
    assert_true(value("mikey_kms_requests_total{transport=\"udp\",outcome=\"answered\"}") == 3);
    assert_true(value("mikey_kms_requests_total{transport=\"udp\",outcome=\"refused\"}") == 1);
    assert_true(value("mikey_kms_requests_total{transport=\"http\",outcome=\"answered\"}") == 0);
    assert_true(value("mikey_kms_unanswered_total{stage=\"authenticate\"}") == 1);
    assert_true(value("mikey_kms_refusals_total{reason=\"AUTH\"}") == 1);
    assert_true(value("mikey_kms_request_duration_seconds_count") == 4);
    assert_true(value("mikey_kms_request_duration_seconds_bucket{le=\"+Inf\"}") == 4);
    assert_true(value("mikey_kms_request_duration_seconds_sum") > 0);
    assert_true(value("mikey_kms_replay_messages") == 3);
    assert_true(value("mikey_kms_credentials") == 1);
    assert_true(value("mikey_kms_ticket_keys") == 2);
    assert_true(value("mikey_kms_ready") == 1);
    assert_true(value("process_cpu_seconds_total") > 0);
    assert_true(value("process_resident_memory_bytes") > 1e6);
}

static void
follows_the_store(void **state)
{
    (void)state;
    rig_user_init(&bob, BOB, "bob-phone", MKT_PRF_HMAC_SHA_256);
    rig_add(&rig, &bob);
    for (int i = 0; i < 500 && value("mikey_kms_credentials") != 2; i++) {
        usleep(10000);
        scrape();
    }
    assert_true(value("mikey_kms_credentials") == 2);
    assert_true(value("mikey_kms_store_reloads_total") == 1);
    assert_true(value("mikey_kms_store_readable") == 1);
}

static void
names_nobody(void **state)
{
    char before[65536];
    size_t lines = 0, lines_before = 0;

    (void)state;
    scrape();
    memcpy(before, page, sizeof before);
    assert_true(ask_once(false) > 0);
    assert_true(ask_once(true) > 0);
    scrape();
    assert_null(strstr(page, "alice"));
    assert_null(strstr(page, "bob"));
    assert_null(strstr(page, "127.0.0.1"));
    for (const char *p = before; (p = strchr(p, '\n')) != NULL; p++)
        lines_before++;
    for (const char *p = page; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, lines_before); /* requests make no new series */
}

/* What Prometheus itself says, where it is installed: ./dev test brings it along. */
static const char *
promtool(void)
{
    const char *tool = getenv("PROMTOOL");
    char command[512];

    if (tool == NULL)
        tool = "promtool";
    snprintf(command, sizeof command, "command -v %s >/dev/null 2>&1", tool);
    return system(command) == 0 ? tool : NULL; /* NOLINT(cert-env33-c): words of our own */
}

static void
promtool_finds_nothing_to_say(void **state)
{
    char command[512];

    (void)state;
    assert_true(ask_once(false) > 0);
    scrape();
    rig_write(&rig, "metrics", page);
    snprintf(command, sizeof command, "%s check metrics <%s/metrics >%s/lint 2>&1", promtool(),
             rig.dir, rig.dir);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
    rig_read(&rig, "lint", page, sizeof page);
    assert_string_equal(page, "");
}

static void
is_healthy_and_ready(void **state)
{
    (void)state;
    assert_int_equal(rig_get(&rig, "GET", "/health", page, sizeof page), 200);
    assert_string_equal(page, "ok\n");
    assert_int_equal(rig_get(&rig, "GET", "/ready", page, sizeof page), 200);
    assert_string_equal(page, "ok\n");
}

static void
answers_nothing_else(void **state)
{
    static const struct {
        const char *method, *path;
        int status;
    } cases[] = {
        { "GET", "/", 404 },
        { "GET", "/metrics/", 404 },
        { "GET", "/metrics/../ready", 404 },
        { "GET", "/keymanagement?requesttype=ticketrequest", 404 },
        { "POST", "/metrics", 405 },
        { "DELETE", "/ready", 405 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(rig_get(&rig, cases[i].method, cases[i].path, page, sizeof page),
                         cases[i].status);
        assert_string_equal(page, "");
    }
}

static void
key_management_is_not_the_operators_listener(void **state)
{
    static const char question[] = "GET /metrics HTTP/1.1\r\nHost: k\r\n\r\n";
    char head[4096];
    size_t n;
    int fd = rig_http_connect(&rig);

    (void)state;
    assert_true(rig_http_send(fd, question, strlen(question)));
    assert_int_equal(rig_http_read(fd, head, out, &n), 404);
    close(fd);
}

static void
a_port_that_is_taken_is_no_reason_to_guess(void **state)
{
    char more[128];
    struct rig other;

    (void)state;
    snprintf(more, sizeof more, "admin: http://127.0.0.1:%d\n", rig.admin_port);
    rig_open(&other, more);
    assert_int_equal(RIG_RUN(&other, "mikey-kmsd", "--config", "kms.yaml"), 5);
    rig_read(&other, "err", page, sizeof page);
    assert_non_null(strstr(page, "another program listens there"));
    rig_close(&other);
}

static void
says_when_the_watching_thread_stands_still(void **state)
{
    struct kms_config config = { .replay_capacity = 1024 };
    struct kms_service sv = { .config = &config };

    (void)state;
    atomic_store(&sv.state.beat_s, 1000);
    assert_null(kms_health(&sv, 1030));
    assert_non_null(kms_health(&sv, 1031));
    assert_string_equal(kms_readiness(&sv), "not serving");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(test) cmocka_unit_test_setup_teardown(test, start, scene_stop)
        T(counts_every_request_once_by_what_became_of_it),
        T(follows_the_store),
        T(names_nobody),
        T(is_healthy_and_ready),
        T(answers_nothing_else),
        T(key_management_is_not_the_operators_listener),
        T(a_port_that_is_taken_is_no_reason_to_guess),
        cmocka_unit_test(says_when_the_watching_thread_stands_still),
        T(promtool_finds_nothing_to_say), /* last: it may be left out */
    };
    size_t n = sizeof tests / sizeof tests[0];

    cmocka_set_message_output(CM_OUTPUT_TAP);
    if (promtool() == NULL) {
        puts("# promtool (Debian package prometheus) is not here: one test is left out");
        n--;
    }
    return _cmocka_run_group_tests("admin", tests, n, NULL, NULL);
}
