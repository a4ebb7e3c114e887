/* SPDX-License-Identifier: Apache-2.0 */
/* The real daemon with real sockets: it serves, follows the store, stops, starts again, and
 * withstands what the network sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base64.h"
#include "scene.h"

#define QUIET_MS 100 /* for one that must not */

static char text[65536];

static struct mkt_grant *
granted(void)
{
    return scene_granted(BOB, true, WAIT_MS);
}

static bool
resolves(struct mkt_grant *g)
{
    return scene_resolves(g, BOB);
}

static void
serves_a_ticket_over_udp_and_its_resolution_over_http(void **state)
{
    struct mkt_grant *g = granted();

    (void)state;
    assert_non_null(g);
    assert_true(resolves(g));
    mkt_grant_free(g);
    assert_int_equal(rig_stop(&rig), 0);
    assert_true(scene_says("log", " info stopped answered=2 repeated=0 refused=0 malformed=0"));
}

static void
base64_is_answered_in_base64(void **state)
{
    int fd = rig_http_connect(&rig);
    char body[8192];
    struct mkt_grant *g;
    struct mkt_io io;
    size_t n;

    (void)state;
    rig_request(&ask, &alice, BOB, 0);
    n = mkt_base64_encode(mkt_span(ask.octets, ask.len), body);
    assert_int_equal(rig_http_post(fd, "ticketrequest", mkt_span(body, n), out, &n), 200);
    assert_int_not_equal(out[0], 0x01);
    assert_true(mkt_base64_decode_lines(out, n, &n));
    g = rig_granted(&ask, mkt_span(out, n), &io);
    assert_non_null(g);
    mkt_grant_free(g);
    close(fd);
}

static void
errors_are_answered_with_status_200(void **state)
{
    int fd = rig_http_connect(&rig);
    bool authentic;
    size_t n;

    (void)state;
    rig_request(&ask, &alice, BOB, 0);
    ask.octets[ask.len - 1] ^= 1;
    assert_int_equal(rig_http_post(fd, "ticketrequest", mkt_span(ask.octets, ask.len), out, &n),
                     200);
    assert_int_equal(rig_error_no(mkt_span(out, n), &authentic), MKT_ERR_AUTH_FAILURE);
    assert_false(authentic);
    close(fd);
}

static void
a_repeated_datagram_gets_the_same_octets(void **state)
{
    int fd = rig_udp_socket(&rig);
    static uint8_t first[MKT_MSG_MAX];
    size_t n;

    (void)state;
    rig_request(&ask, &alice, BOB, 0);
    n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), first, WAIT_MS);
    assert_true(n > 0);
    assert_int_equal(rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS), n);
    assert_memory_equal(out, first, n);
    close(fd);
    fd = rig_udp_socket(&rig); /* from elsewhere it is a replay */
    assert_int_equal(rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, QUIET_MS), 0);
    close(fd);
}

/* Asks until the answer is a ticket, or an Error, as wanted. */
static bool
becomes(const struct rig_user *u, bool ticket)
{
    int fd = rig_udp_socket(&rig);
    struct mkt_grant *g = NULL;
    struct mkt_io io;

    for (int i = 0; i < 500; i++) {
        size_t n;

        rig_ask_free(&ask);
        rig_request(&ask, u, BOB, 0);
        n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS);
        g = rig_granted(&ask, mkt_span(out, n), &io);
        mkt_grant_free(g);
        if ((g != NULL) == ticket)
            break;
        poll(NULL, 0, 10);
    }
    close(fd);
    return (g != NULL) == ticket;
}

static void
users_come_and_go_without_a_restart(void **state)
{
    struct rig_user carol;

    (void)state;
    rig_user_init(&carol, "sip:carol@example.com", "carol", MKT_PRF_HMAC_SHA_256);
    assert_true(becomes(&carol, false)); /* RFC6043:4.2.1.4-1 */
    rig_add(&rig, &carol);
    assert_true(becomes(&carol, true));
    assert_int_equal(CTL("user", "remove", "sip:carol@example.com"), 0);
    assert_true(becomes(&carol, false));
    assert_true(becomes(&alice, true));
}

static void
tickets_outlive_rotation_and_restart(void **state)
{
    struct mkt_grant *before = granted(), *after;

    (void)state;
    assert_non_null(before);
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_true(scene_logs("ticket-keys=4"));
    after = granted();
    assert_non_null(after);
    assert_non_null(memmem(mkt_grant_ticket(before).p, mkt_grant_ticket(before).n, "tpk-1-256", 9));
    assert_non_null(memmem(mkt_grant_ticket(after).p, mkt_grant_ticket(after).n, "tpk-2-256", 9));
    assert_true(resolves(before));
    assert_true(resolves(after));
    assert_int_equal(rig_stop(&rig), 0);
    rig_start(&rig);
    assert_true(resolves(before));
    assert_true(resolves(after));
    mkt_grant_free(before);
    mkt_grant_free(after);
}

static void
a_message_from_before_a_restart_is_refused(void **state)
{
    struct mkt_grant *g = granted();
    bool authentic;
    size_t n;
    int fd;

    (void)state;
    assert_non_null(g);
    mkt_grant_free(g);
    assert_int_equal(rig_stop(&rig), 0);
    rig_start(&rig);
    fd = rig_udp_socket(&rig);
    n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out,
                    WAIT_MS); /* the replay cache is empty */
    assert_int_equal(rig_error_no(mkt_span(out, n), &authentic), MKT_ERR_INVALID_TS);
    close(fd);
}

static void
every_truncation_of_a_message_leaves_it_alive(void **state)
{
    int fd = rig_udp_socket(&rig);
    struct mkt_grant *g;

    (void)state;
    rig_request(&ask, &alice, BOB, 0);
    for (size_t n = 0; n < ask.len; n++)
        assert_int_equal(send(fd, ask.octets, n, 0), n);
    for (size_t n = 0; n < ask.len; n++) { /* and every message with one octet changed */
        ask.octets[n] ^= 0x55;
        assert_int_equal(send(fd, ask.octets, ask.len, 0), ask.len);
        ask.octets[n] ^= 0x55;
    }
    memset(out, 0x01, 60000);
    assert_int_equal(send(fd, out, 60000, 0), 60000);
    close(fd);
    g = granted();
    assert_non_null(g);
    mkt_grant_free(g);
    assert_true(rig_alive(&rig));
}

static int
request(const char *head, const char *body, size_t n, char *answer)
{
    int fd = rig_http_connect(&rig), status;
    size_t len;

    assert_true(rig_http_send(fd, head, strlen(head)));
    (void)rig_http_send(fd, body, n);
    status = rig_http_read(fd, answer, out, &len);
    if (status != 200)
        assert_int_equal(len, 0);
    close(fd);
    return status;
}

static void
http_statuses_say_what_is_wrong(void **state)
{
    static const struct {
        const char *head;
        int status;
        const char *header;
    } cases[] = {
#define POST(target) "POST " target " HTTP/1.1\r\nHost: k\r\n"
#define TYPE "Content-Type: application/mikey\r\n"
#define FIVE "Content-Length: 5\r\n\r\n"
        { POST("/keymanagement?requesttype=ticketrequest") TYPE FIVE, 400, "no-store" },
        { POST("/keymanagement?requesttype=ticket") TYPE FIVE, 400, "no-store" },
        { POST("/keymanagement") TYPE FIVE, 400, "no-store" },
        { POST("/") TYPE FIVE, 404, "no-store" },
        { POST("/keymanagement/x?requesttype=ticketrequest") TYPE FIVE, 404, "no-store" },
        { "GET /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: k\r\n\r\n", 405,
          "Allow: POST" },
        { POST("/keymanagement?requesttype=ticketrequest") FIVE, 415, "no-store" },
        { POST("/keymanagement?requesttype=ticketrequest") "Content-Type: text/plain\r\n" FIVE, 415,
          "no-store" },
        { POST("/keymanagement?requesttype=ticketrequest") TYPE "Content-Length: 10485760\r\n\r\n",
          413, "no-store" },
    };
    char head[4096];
    bool is_get;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        is_get = cases[i].head[0] == 'G';
        assert_int_equal(request(cases[i].head, "hello", is_get ? 0 : 5, head), cases[i].status);
        assert_non_null(strstr(head, cases[i].header));
    }
}

static void
a_connection_lives_on_after_a_refusal(void **state)
{
    int fd = rig_http_connect(&rig);
    size_t n;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_http_post(fd, "ticketrequest", mkt_span("hello", 5), out, &n), 400);
        rig_ask_free(&ask);
        rig_request(&ask, &alice, BOB, 0);
        assert_int_equal(rig_http_post(fd, "ticketrequest", mkt_span(ask.octets, ask.len), out, &n),
                         200);
        assert_int_equal(/* the wrong kind for this message */
                         rig_http_post(fd, "ticketresolve", mkt_span(ask.octets, ask.len), out, &n),
                         400);
    }
    close(fd);
}

static void
a_body_of_ten_megabytes_is_cut_short(void **state)
{
    static const char chunked[] =
        "POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: k\r\n"
        "Content-Type: application/mikey\r\nTransfer-Encoding: chunked\r\n\r\n";
    char head[4096], chunk[65536 + 10];
    size_t sent = 0, n;
    int fd = rig_http_connect(&rig), status;
    struct mkt_grant *g;

    (void)state;
    assert_true(rig_http_send(fd, chunked, strlen(chunked)));
    memcpy(chunk, "10000\r\n", 7);
    memset(chunk + 7, 'A', 65536);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    while (sent < 10485760 && rig_http_send(fd, chunk, 7 + 65536 + 2))
        sent += 65536;
    assert_true(sent < 10485760); /* closed long before */
    close(fd);
    fd = rig_http_connect(&rig); /* a little too much is read to its end and answered */
    assert_true(rig_http_send(fd, chunked, strlen(chunked)));
    for (int i = 0; i < 2; i++)
        assert_true(rig_http_send(fd, chunk, 7 + 65536 + 2));
    assert_true(rig_http_send(fd, "0\r\n\r\n", 5));
    status = rig_http_read(fd, head, out, &n);
    assert_int_equal(status, 413);
    close(fd);
    g = granted();
    assert_non_null(g);
    mkt_grant_free(g);
}

/* Sends one octet of text now and then; true when the server has closed within `seconds`. */
static bool
is_cut_off(const char *slowly, int seconds)
{
    int fd = rig_http_connect(&rig);
    struct pollfd p = { .fd = fd, .events = POLLIN };
    time_t end = time(NULL) + seconds;
    bool closed = false;
    char c;

    for (size_t i = 0; !closed && time(NULL) <= end; i++) {
        closed = !rig_http_send(fd, &slowly[i < strlen(slowly) ? i : strlen(slowly) - 1], 1);
        closed = closed || (poll(&p, 1, 100) == 1 && recv(fd, &c, 1, 0) <= 0);
    }
    close(fd);
    return closed;
}

static void
a_slow_sender_is_cut_off(void **state)
{
    struct mkt_grant *g;

    (void)state;
    assert_true(is_cut_off("POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\n"
                           "Host: kms\r\nContent-Type: application/mikey\r\n",
                           10));                                                 /* the head */
    assert_true(is_cut_off("P / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 10)); /* the body */
    g = granted();
    assert_non_null(g);
    mkt_grant_free(g);
}

static void
a_source_over_its_limit_is_told_to_wait(void **state)
{
    int fd = rig_http_connect(&rig), limited = 0;
    size_t n;

    (void)state;
    for (int i = 0; i < 10; i++)
        limited += rig_http_post(fd, "ticketrequest", mkt_span("hello", 5), out, &n) == 429;
    assert_in_range(limited, 5, 7);
    close(fd);
    rig_stop(&rig);
    assert_true(scene_says("log", "outcome=limited stage=limit transport=http"));
}

static void
sigterm_stops_it_with_open_connections_and_sighup_does_not(void **state)
{
    int http = rig_http_connect(&rig), busy = rig_http_connect(&rig), udp = rig_udp_socket(&rig);
    struct mkt_grant *g;

    (void)state;
    assert_true(rig_http_send(busy, "POST /keym", 10));
    kill(rig.pid, SIGHUP);
    g = granted();
    assert_non_null(g);
    mkt_grant_free(g);
    assert_true(rig_alive(&rig));
    assert_int_equal(rig_stop(&rig), 0);
    assert_true(scene_says("log", " info stopped "));
    close(http);
    close(busy);
    close(udp);
}

static void
two_daemons_do_not_share_a_port(void **state)
{
    char yaml[256];

    (void)state;
    snprintf(yaml, sizeof yaml,
             "identity: " RIG_KMS "\nlisten: udp://127.0.0.1:%d\nstore: sqlite:kms.db\n"
             "audit: {file: second}\n",
             rig.udp_port);
    rig_write(&rig, "second.yaml", yaml);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "second.yaml"), 5);
    assert_true(scene_says("err", "another program listens there"));
    snprintf(yaml, sizeof yaml,
             "identity: " RIG_KMS "\nlisten: http://127.0.0.1:%d\nstore: sqlite:kms.db\n"
             "audit: {file: second}\n",
             rig.http_port);
    rig_write(&rig, "second.yaml", yaml);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "second.yaml"), 5);
}

static void
refuses_to_start_with_the_right_exit_code(void **state)
{
    (void)state;
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd"), 2);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--nonsense"), 2);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "absent.yaml"), 3);
    rig_read(&rig, "err", text, sizeof text);
    assert_string_equal(text, "absent.yaml: cannot be read: No such file or directory\n");
    rig_write(&rig, "bad.yaml", "identity: x\n");
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "bad.yaml"), 3);
    rig_read(&rig, "err", text, sizeof text);
    assert_memory_equal(text, "bad.yaml:1:11: identity:", 24);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "bad.yaml", "--check"), 3);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 0);
    rig_write(&rig, "kms.db",
              "not a database, but long enough to be looked at as one: ........"
              "....................................................");
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml"), 4);
    assert_true(scene_says("err", "kms.db"));
}

static void
a_full_disk_costs_log_lines_but_no_answers(void **state)
{
    struct mkt_grant *g;
    int fd;

    (void)state;
    rig.file_limit = 49152; /* the log is a file, too */
    rig_config(&rig, "log_level: debug\naudit: {file: off}\n");
    rig_start(&rig);
    fd = rig_udp_socket(&rig);
    for (int i = 0; i < 500; i++) {
        size_t n;

        rig_ask_free(&ask);
        rig_request(&ask, &alice, BOB, 0);
        n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, WAIT_MS);
        assert_true(n > 0);
    }
    close(fd);
    assert_int_equal(rig_read(&rig, "log", text, sizeof text), 49152);
    g = granted();
    assert_non_null(g);
    assert_true(resolves(g));
    mkt_grant_free(g);
    assert_int_equal(rig_stop(&rig), 0);
}

static void
a_full_disk_at_the_start_is_said_clearly(void **state)
{
    (void)state;
    rig.file_limit = 4096;
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml"), 4);
    assert_true(scene_says("err", " error store error="));
    rig.file_limit = 0;
    rig_start(&rig); /* and nothing was lost */
    assert_true(becomes(&alice, true));
}

int
main(void)
{
#define TEST(name) SCENE(name, "http_timeout: 1s\n")
    const struct CMUnitTest tests[] = {
        TEST(serves_a_ticket_over_udp_and_its_resolution_over_http),
        TEST(base64_is_answered_in_base64),
        TEST(errors_are_answered_with_status_200),
        TEST(a_repeated_datagram_gets_the_same_octets),
        TEST(users_come_and_go_without_a_restart),
        TEST(tickets_outlive_rotation_and_restart),
        TEST(a_message_from_before_a_restart_is_refused),
        TEST(every_truncation_of_a_message_leaves_it_alive),
        TEST(http_statuses_say_what_is_wrong),
        TEST(a_connection_lives_on_after_a_refusal),
        TEST(a_body_of_ten_megabytes_is_cut_short),
        TEST(a_slow_sender_is_cut_off),
        SCENE(a_source_over_its_limit_is_told_to_wait,
              "limits: {source_rate: 1, source_burst: 3}\n"),
        TEST(sigterm_stops_it_with_open_connections_and_sighup_does_not),
        TEST(two_daemons_do_not_share_a_port),
        SCENE_OPEN(refuses_to_start_with_the_right_exit_code, NULL),
        SCENE_OPEN(a_full_disk_costs_log_lines_but_no_answers, NULL),
        SCENE_OPEN(a_full_disk_at_the_start_is_said_clearly, NULL),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
