/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks that fail and come back, each for real: a folder, a full disk, a socket of syslog, an HTTP
 * collector. What is required stops the answers; nothing waits for ever; nothing is lost. */
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit_rig.h"

/* --- file ---------------------------------------------------------------------------------------
 */

static void
without_its_folder_nothing_is_recorded_and_it_resumes_when_it_is_back(void **state)
{
    struct audit_rig *r = *state;
    char away[128];

    snprintf(away, sizeof away, "%s.away", r->folder);
    audit_rig_start(r);
    audit_rig_notes(r, 2);
    assert_int_equal(rename(r->folder, away), 0);
    assert_false(audit_rig_note(r));
    assert_true(kms_audit_down(r->audit));
    assert_false(audit_rig_note(r)); /* at once */
    assert_non_null(strstr(audit_rig_logged(r), "error audit-down sink=file"));
    assert_int_equal(rename(away, r->folder), 0);
    assert_true(audit_rig_resumes(r));
    assert_non_null(strstr(audit_rig_logged(r), "warn audit-resumed"));
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
    audit_rig_read(r, 2); /* it went on in a new segment, with what was not answered */
    assert_non_null(strstr(r->text, "\"event\":\"resumed\",\"withheld-from\":"));
    assert_non_null(strstr(r->text, "\"number\":3,"));
}

static void
a_removed_folder_is_missed_and_not_made_anew(void **state)
{
    struct audit_rig *r = *state;
    char path[200];

    audit_rig_start(r);
    audit_rig_notes(r, 2);
    audit_rig_path(r, 1, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(r->folder), 0);
    assert_false(audit_rig_note(r));
    assert_int_equal(access(r->folder, F_OK), -1);
    assert_int_equal(mkdir(r->folder, 0700), 0);
    assert_true(audit_rig_resumes(r));
    audit_rig_stop(r);
    assert_true(audit_rig_damages(r) > 0);
}

static void
on_a_full_disk_no_part_of_a_record_stays_and_it_resumes(void **state)
{
    struct audit_rig *r = *state;
    struct rlimit limit, small;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    audit_rig_start(r);
    audit_rig_notes(r, 2);
    small = limit;
    small.rlim_cur = audit_rig_read(r, 1) + 100; /* room for half a record */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_false(audit_rig_note(r));
    assert_true(kms_audit_down(r->audit));
    assert_int_equal(audit_rig_damages(r), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_true(audit_rig_resumes(r));
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
    audit_rig_read(r, 1);
    assert_non_null(strstr(r->text, "\"number\":3,"));
}

struct crowd {
    struct audit_rig *rig;
    pthread_t thread;
    struct kms_trail trail;
};

#define CROWD 8
#define EACH 50

static void *
commit_many(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < EACH; i++) {
        kms_trail_begin(&c->trail, "test", 1790000000000000000);
        kms_trail_end(&c->trail);
        if (!kms_audit_commit(c->rig->audit, &c->trail))
            return c;
    }
    return NULL;
}

static void
many_who_commit_at_once_make_one_chain(void **state)
{
    struct audit_rig *r = *state;
    static struct crowd crowd[CROWD];
    void *failed;

    r->config.audit_size = 20000; /* and rotate meanwhile */
    audit_rig_start(r);
    for (int i = 0; i < CROWD; i++) {
        crowd[i].rig = r;
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, commit_many, &crowd[i]), 0);
    }
    for (int i = 0; i < CROWD; i++) {
        assert_int_equal(pthread_join(crowd[i].thread, &failed), 0);
        assert_null(failed);
    }
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
}

/* --- syslog -------------------------------------------------------------------------------------
 */

static int
listen_at(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct timeval wait = { 5, 0 };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

/* The next message, which must be one of RFC 5424 with that number in its record. */
static void
expect_syslog(int fd, unsigned seq)
{
    char message[16384], want[64];
    ssize_t n = recv(fd, message, sizeof message - 1, 0);
    int spaces = 0;

    assert_true(n > 0);
    message[n] = '\0';
    assert_memory_equal(message, "<110>1 2", 8); /* 13 * 8 + 6, version, the time of the record */
    snprintf(want, sizeof want, " audit - {\"seq\":%u,", seq);
    assert_non_null(strstr(message, want));
    for (const char *p = message; *p != '{'; p++)
        spaces += *p == ' ';
    assert_int_equal(spaces, 7); /* between and behind the seven fields of HEADER and SD */
    assert_true(strchr(message, '\n') == NULL);
}

static void
syslog_gets_every_record_and_stops_the_service_when_it_is_gone(void **state)
{
    struct audit_rig *r = *state;
    int fd;

    snprintf(r->config.audit_syslog, sizeof r->config.audit_syslog, "%s/log", r->dir);
    fd = listen_at(r->config.audit_syslog);
    audit_rig_start(r);
    audit_rig_notes(r, 2);
    for (unsigned seq = 1; seq <= 4; seq++)
        expect_syslog(fd, seq);
    close(fd);
    unlink(r->config.audit_syslog);
    assert_false(audit_rig_note(r));
    assert_true(kms_audit_down(r->audit));
    fd = listen_at(r->config.audit_syslog);
    assert_true(audit_rig_resumes(r));
    for (unsigned seq = 5; seq <= 7; seq++) /* the withheld one, "resumed", and the new one */
        expect_syslog(fd, seq);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0); /* the file has them all as well */
    close(fd);
    unlink(r->config.audit_syslog);
}

static void
an_optional_sink_that_is_gone_stops_nothing(void **state)
{
    struct audit_rig *r = *state;

    snprintf(r->config.audit_syslog, sizeof r->config.audit_syslog, "%s/log", r->dir);
    r->config.audit_optional = 1u << KMS_AUDIT_SYSLOG;
    audit_rig_start(r);
    audit_rig_notes(r, 5);
    assert_false(kms_audit_down(r->audit));
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
}

static void
an_optional_file_that_is_gone_leaves_the_others_and_the_gap_is_seen(void **state)
{
    struct audit_rig *r = *state;
    char away[128];
    int fd;

    snprintf(away, sizeof away, "%s.away", r->folder);
    snprintf(r->config.audit_syslog, sizeof r->config.audit_syslog, "%s/log", r->dir);
    r->config.audit_optional = 1u << KMS_AUDIT_FILE;
    fd = listen_at(r->config.audit_syslog);
    audit_rig_start(r);
    assert_int_equal(rename(r->folder, away), 0);
    audit_rig_notes(r, 2);
    for (unsigned seq = 1; seq <= 4; seq++)
        expect_syslog(fd, seq);
    assert_int_equal(rename(away, r->folder), 0);
    audit_rig_stop(r);
    assert_true(audit_rig_damages(r) > 0); /* two records are not in the file */
    close(fd);
    unlink(r->config.audit_syslog);
}

/* --- HTTP ---------------------------------------------------------------------------------------
 */

enum mood { TAKES, FAILS, HANGS };

struct collector {
    struct MHD_Daemon *mhd;
    _Atomic enum mood mood;
    pthread_mutex_t lock;
    char lines[65536];
    size_t n;
    struct MHD_Connection *held[64];
    size_t n_held;
};
static struct collector collector;

static enum MHD_Result
on_post(void *cls, struct MHD_Connection *c, const char *path, const char *method,
        const char *version, const char *data, size_t *n, void **context)
{
    static int begun;
    struct MHD_Response *resp;
    enum MHD_Result rc;

    (void)cls;
    (void)path;
    (void)version;
    if (*context == NULL) {
        *context = &begun;
        return strcmp(method, "POST") == 0 ? MHD_YES : MHD_NO;
    }
    if (*n > 0) {
        pthread_mutex_lock(&collector.lock);
        if (collector.mood == TAKES && collector.n + *n < sizeof collector.lines) {
            memcpy(collector.lines + collector.n, data, *n);
            collector.n += *n;
        }
        pthread_mutex_unlock(&collector.lock);
        *n = 0;
        return MHD_YES;
    }
    if (collector.mood == HANGS) {
        assert_true(collector.n_held < 64);
        collector.held[collector.n_held++] = c;
        MHD_suspend_connection(c);
        return MHD_YES;
    }
    resp = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    rc = MHD_queue_response(c, collector.mood == TAKES ? 204 : 500, resp);
    MHD_destroy_response(resp);
    return rc;
}

static void
start_collector(struct audit_rig *r)
{
    const union MHD_DaemonInfo *info;

    memset(&collector, 0, sizeof collector);
    pthread_mutex_init(&collector.lock, NULL);
    collector.mhd = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0,
                                     NULL, NULL, on_post, NULL, MHD_OPTION_END);
    assert_non_null(collector.mhd);
    info = MHD_get_daemon_info(collector.mhd, MHD_DAEMON_INFO_BIND_PORT);
    snprintf(r->config.audit_http, sizeof r->config.audit_http, "http://127.0.0.1:%u/audit",
             info->port);
}

static void
stop_collector(void)
{
    for (size_t i = 0; i < collector.n_held; i++)
        MHD_resume_connection(collector.held[i]);
    collector.mood = FAILS;
    MHD_stop_daemon(collector.mhd);
}

/* What the collector has is the whole chain, from its first record to `last`. */
static void
expect_chain(struct audit_rig *r, uint64_t last)
{
    uint8_t before[KMS_CHAIN_HASH] = { 0 };
    uint64_t seq = 0;

    for (char *line = collector.lines, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        struct kms_line l;

        assert_true(kms_line_read(&l, mkt_span(line, (size_t)(end - line))));
        if (l.seq == seq)
            continue; /* it came twice */
        assert_int_equal(l.seq, ++seq);
        assert_true(kms_line_hash(r->crypto, before, l.text, before));
        assert_memory_equal(before, l.hash, sizeof before);
    }
    assert_int_equal(seq, last);
}

static void
http_gets_the_whole_chain_and_a_500_stops_the_service(void **state)
{
    struct audit_rig *r = *state;

    start_collector(r);
    audit_rig_start(r);
    audit_rig_notes(r, 3);
    expect_chain(r, 5);
    collector.mood = FAILS;
    assert_false(audit_rig_note(r));
    assert_true(kms_audit_down(r->audit));
    collector.mood = TAKES;
    assert_true(audit_rig_resumes(r));
    expect_chain(r, 8);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
    stop_collector();
}

static void
a_collector_that_hangs_stops_the_service_and_nobody_waits_for_ever(void **state)
{
    struct audit_rig *r = *state;

    start_collector(r);
    audit_rig_start(r);
    audit_rig_notes(r, 1);
    collector.mood = HANGS;
    assert_false(audit_rig_note(r)); /* after audit.timeout */
    assert_false(audit_rig_note(r)); /* at once */
    assert_true(kms_audit_down(r->audit));
    collector.mood = TAKES;
    assert_true(audit_rig_resumes(r));
    audit_rig_stop(r);
    stop_collector();
}

static void
three_sinks_get_the_same_records(void **state)
{
    struct audit_rig *r = *state;
    int fd;

    start_collector(r);
    snprintf(r->config.audit_syslog, sizeof r->config.audit_syslog, "%s/log", r->dir);
    fd = listen_at(r->config.audit_syslog);
    audit_rig_start(r);
    audit_rig_notes(r, 3);
    for (unsigned seq = 1; seq <= 5; seq++)
        expect_syslog(fd, seq);
    expect_chain(r, 5);
    audit_rig_read(r, 1);
    assert_string_equal(r->text, collector.lines);
    audit_rig_stop(r);
    stop_collector();
    close(fd);
    unlink(r->config.audit_syslog);
}

static void
without_a_file_the_chain_goes_to_the_other_sinks(void **state)
{
    struct audit_rig *r = *state;

    r->config.audit_dir[0] = '\0';
    start_collector(r);
    audit_rig_start(r);
    audit_rig_notes(r, 3);
    expect_chain(r, 5);
    audit_rig_stop(r);
    stop_collector();
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, audit_rig_open, audit_rig_close)
    const struct CMUnitTest tests[] = {
        TEST(without_its_folder_nothing_is_recorded_and_it_resumes_when_it_is_back),
        TEST(a_removed_folder_is_missed_and_not_made_anew),
        TEST(on_a_full_disk_no_part_of_a_record_stays_and_it_resumes),
        TEST(many_who_commit_at_once_make_one_chain),
        TEST(syslog_gets_every_record_and_stops_the_service_when_it_is_gone),
        TEST(an_optional_sink_that_is_gone_stops_nothing),
        TEST(an_optional_file_that_is_gone_leaves_the_others_and_the_gap_is_seen),
        TEST(http_gets_the_whole_chain_and_a_500_stops_the_service),
        TEST(a_collector_that_hangs_stops_the_service_and_nobody_waits_for_ever),
        TEST(three_sinks_get_the_same_records),
        TEST(without_a_file_the_chain_goes_to_the_other_sinks),
    };

    signal(SIGPIPE, SIG_IGN);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
