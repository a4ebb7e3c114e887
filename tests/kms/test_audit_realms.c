/* SPDX-License-Identifier: Apache-2.0 */
/* The files of realms: each tenant has the records about it and no others, and can tell that they
 * are the ones of the chain. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "audit_rig.h"
#include "hex.h"

#define NOW_NS 1790000000000000000

static char evidence[1 << 17];

static int
open_rig(void **state)
{
    struct audit_rig *r;

    audit_rig_open(state);
    r = *state;
    snprintf(r->config.audit_realms, sizeof r->config.audit_realms, "%s/realms", r->dir);
    return 0;
}

static const char *
path_of(const struct audit_rig *r, const char *name)
{
    static char path[4][200];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, 200, "%s/realms/%s", r->dir, name);
    return p;
}

static int
close_rig(void **state)
{
    static const char *const names[] = { "acme.jsonl", "acme.jsonl.1", "beta.jsonl" };
    struct audit_rig *r = *state;
    char name[32];

    audit_rig_stop(r);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(path_of(r, names[i]));
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "r%d.jsonl", i);
        unlink(path_of(r, name));
    }
    rmdir(path_of(r, ""));
    return audit_rig_close(state);
}

/* Leaves a record with the trail; realms may be NULL. */
static void
add(struct audit_rig *r, const char *realm, const char *ticket_realm, const char *who)
{
    kms_trail_begin(&r->trail, "test", NOW_NS);
    kms_trail_text(&r->trail, "stage", "issue");
    if (realm != NULL)
        kms_trail_text(&r->trail, "realm", realm);
    if (ticket_realm != NULL)
        kms_trail_text(&r->trail, "ticket-realm", ticket_realm);
    kms_trail_text(&r->trail, "who", who);
    kms_trail_end(&r->trail);
}

static bool
note(struct audit_rig *r, const char *realm, const char *who)
{
    add(r, realm, NULL, who);
    return kms_audit_commit(r->audit, &r->trail);
}

static const char *
file_of(const struct audit_rig *r, const char *name)
{
    FILE *f = fopen(path_of(r, name), "r");
    size_t n = 0;

    if (f != NULL) {
        n = fread(evidence, 1, sizeof evidence - 1, f);
        fclose(f);
    }
    evidence[n] = '\0';
    return evidence;
}

/* The senders of a file's records, one after the other. Each record must be the one of the
 * operator's chain, and prove its own hash (docs/formats/audit.md) where it says what stood before
 * it. */
static const char *
senders(struct audit_rig *r, const char *name, size_t *proved)
{
    static char all[8192];
    size_t used = 0;

    audit_rig_read(r, 1);
    *proved = 0;
    all[0] = '\0';
    for (char *line = (char *)(uintptr_t)file_of(r, name), *end; *line != '\0'; line = end + 1) {
        const char *who = strstr(line, ",\"who\":\"") + 8;
        char *former = strstr(line, ",\"former\":\""), whole[9000];
        uint8_t before[KMS_CHAIN_HASH], hash[KMS_CHAIN_HASH];
        struct kms_line l;

        end = strchr(line, '\n');
        assert_non_null(end);
        used +=
            (size_t)snprintf(all + used, sizeof all - used, "%.*s ", (int)strcspn(who, "\""), who);
        if (former == NULL)
            former = end - 1;
        assert_true(former < end);
        snprintf(whole, sizeof whole, "%.*s}", (int)(former - line), line);
        assert_true(kms_line_read(&l, mkt_span(whole, strlen(whole))));
        strcat(whole, "\n");
        assert_non_null(strstr(r->text, whole)); /* it stands so in the chain */
        if (former == end - 1)
            continue;
        for (size_t i = 0; i < sizeof before; i++)
            before[i] = (uint8_t)(kms_hex_value(former[11 + 2 * i]) << 4 |
                                  kms_hex_value(former[12 + 2 * i]));
        assert_true(kms_line_hash(r->crypto, before, l.text, hash));
        assert_memory_equal(hash, l.hash, sizeof hash);
        ++*proved;
    }
    return all;
}

static void
expect(struct audit_rig *r, const char *name, const char *who, size_t n)
{
    size_t proved;

    assert_string_equal(senders(r, name, &proved), who);
    assert_int_equal(proved, n);
}

/* Whether this is logged, at the latest in a while: by the thread that tries again. */
static bool
logs(struct audit_rig *r, const char *what)
{
    for (int i = 0; i < 500; i++) {
        if (strstr(audit_rig_logged(r), what) != NULL)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

static mode_t
mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void
each_tenant_has_its_own_records_and_nobody_elses(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_start(r);
    assert_true(note(r, "acme", "a1"));
    assert_true(note(r, "beta", "b1"));
    assert_true(note(r, NULL, "stranger"));
    add(r, "acme", NULL, "a2"); /* several in a batch */
    add(r, "beta", NULL, "b2");
    add(r, "beta", "acme", "b3"); /* both have a part in it */
    add(r, NULL, "acme", "far");  /* from another KMS */
    add(r, "acme", "acme", "a3");
    assert_true(kms_audit_commit(r->audit, &r->trail));
    expect(r, "acme.jsonl", "a1 a2 b3 far a3 ", 5);
    expect(r, "beta.jsonl", "b1 b2 b3 ", 3);
    assert_int_equal(mode_of(path_of(r, "acme.jsonl")), 0600);
    assert_int_equal(mode_of(path_of(r, "")), 0700);
    audit_rig_stop(r);
    assert_int_equal(audit_rig_damages(r), 0);
    audit_rig_start(r); /* and goes on behind what is there */
    assert_true(note(r, "acme", "a4"));
    expect(r, "acme.jsonl", "a1 a2 b3 far a3 a4 ", 6);
}

static void
nobody_gets_into_the_file_of_another_by_the_name_he_bears(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_start(r);
    assert_true(note(r, "beta", "x\",\"realm\":\"acme"));
    assert_true(note(r, NULL, "y\",\"ticket-realm\":\"acme\",\"z\":\""));
    assert_true(note(r, "acm", "short"));
    assert_true(note(r, "acme", "a1"));
    expect(r, "acme.jsonl", "a1 ", 1);
    unlink(path_of(r, "acm.jsonl"));
}

static void
a_name_that_is_no_name_of_a_realm_makes_no_file(void **state)
{
    struct audit_rig *r = *state;
    char outside[128];

    snprintf(outside, sizeof outside, "%s/x.jsonl", r->dir);
    audit_rig_start(r);
    assert_false(note(r, "../x", "a1"));
    assert_true(kms_audit_down(r->audit));
    assert_int_equal(access(outside, F_OK), -1);
    assert_true(logs(r, "the name of a realm is none for a file: ../x"));
}

static void
a_file_that_was_renamed_is_followed_by_a_new_one(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_start(r);
    assert_true(note(r, "acme", "a1"));
    assert_int_equal(rename(path_of(r, "acme.jsonl"), path_of(r, "acme.jsonl.1")), 0);
    assert_true(note(r, "acme", "a2"));
    expect(r, "acme.jsonl.1", "a1 ", 1);
    expect(r, "acme.jsonl", "a2 ", 1);
}

static void
what_a_crash_left_of_a_line_is_cut_off(void **state)
{
    struct audit_rig *r = *state;
    FILE *f;

    audit_rig_start(r);
    assert_true(note(r, "acme", "a1"));
    f = fopen(path_of(r, "acme.jsonl"), "a");
    fputs("{\"seq\":7,\"ti", f);
    fclose(f);
    f = fopen(path_of(r, "beta.jsonl"), "w");
    fputs("{\"s", f);
    fclose(f);
    add(r, "acme", NULL, "a2");
    add(r, "beta", NULL, "b1");
    assert_true(kms_audit_commit(r->audit, &r->trail));
    expect(r, "acme.jsonl", "a1 a2 ", 2);
    expect(r, "beta.jsonl", "b1 ", 1);
}

static void
a_file_that_cannot_be_written_stops_the_service_and_none_has_a_part_of_the_batch(void **state)
{
    struct audit_rig *r = *state;

    audit_rig_start(r);
    assert_true(note(r, "acme", "a1"));
    assert_int_equal(mkdir(path_of(r, "beta.jsonl"), 0700), 0);
    add(r, "acme", NULL, "a2");
    add(r, "beta", NULL, "b1");
    assert_false(kms_audit_commit(r->audit, &r->trail));
    assert_true(kms_audit_down(r->audit));
    expect(r, "acme.jsonl", "a1 ", 1);
    assert_true(logs(r, "error audit-down sink=realms"));
    assert_int_equal(rmdir(path_of(r, "beta.jsonl")), 0);
    assert_true(audit_rig_resumes(r));
    expect(r, "acme.jsonl", "a1 a2 ", 2); /* once each */
    expect(r, "beta.jsonl", "b1 ", 1);
}

static void
on_a_full_disk_no_part_of_a_record_stays_and_it_resumes(void **state)
{
    struct audit_rig *r = *state;
    struct rlimit limit, small;
    static char long_name[900];

    signal(SIGXFSZ, SIG_IGN);
    memset(long_name, 'x', sizeof long_name - 1);
    r->config.audit_dir[0] = '\0'; /* only the files of realms can be full */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    audit_rig_start(r);
    assert_true(note(r, "acme", "a1"));
    small = limit;
    small.rlim_cur = 800;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_false(note(r, "acme", long_name));
    assert_null(strstr(file_of(r, "acme.jsonl"), "xxx"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_true(audit_rig_resumes(r));
    assert_non_null(strstr(file_of(r, "acme.jsonl"), "xxx"));
}

static void
a_folder_that_is_gone_is_not_made_anew(void **state)
{
    struct audit_rig *r = *state;
    char away[128], folder[128];

    snprintf(folder, sizeof folder, "%s/realms", r->dir);
    snprintf(away, sizeof away, "%s/away", r->dir);
    audit_rig_start(r);
    assert_true(note(r, "acme", "a1"));
    assert_int_equal(rename(folder, away), 0);
    assert_false(note(r, "acme", "a2"));
    assert_int_equal(access(folder, F_OK), -1);
    assert_int_equal(rename(away, folder), 0);
    assert_true(audit_rig_resumes(r));
    assert_true(note(r, "acme", "a3"));
    expect(r, "acme.jsonl", "a1 a2 a3 ", 3);
}

static void
an_optional_one_that_fails_stops_nothing(void **state)
{
    struct audit_rig *r = *state;
    size_t proved;

    r->config.audit_optional = 1u << KMS_AUDIT_REALMS;
    audit_rig_start(r);
    assert_int_equal(mkdir(path_of(r, "acme.jsonl"), 0700), 0);
    assert_true(note(r, "acme", "a1"));
    assert_int_equal(rmdir(path_of(r, "acme.jsonl")), 0);
    audit_rig_stop(r); /* tries once more */
    (void)senders(r, "acme.jsonl", &proved);
    assert_int_equal(audit_rig_damages(r), 0);
}

static void
a_batch_may_be_about_more_tenants_than_files_are_open_at_once(void **state)
{
    struct audit_rig *r = *state;
    char name[32], who[32];

    audit_rig_start(r);
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "r%d", i);
        add(r, name, i > 0 ? "r0" : NULL, name);
    }
    assert_true(kms_audit_commit(r->audit, &r->trail));
    for (int i = 1; i < 150; i++) {
        snprintf(name, sizeof name, "r%d.jsonl", i);
        snprintf(who, sizeof who, "r%d ", i);
        expect(r, name, who, 1);
    }
    (void)file_of(r, "r0.jsonl");
    assert_non_null(strstr(evidence, "\"who\":\"r149\""));
}

static void
the_folder_is_its_own(void **state)
{
    struct audit_rig *r = *state;
    struct kms_audit *other;
    char err[KMS_AUDIT_ERR];
    struct kms_config config;

    audit_rig_start(r);
    config = r->config;
    config.audit_dir[0] = '\0';
    assert_false(kms_audit_open(&other, &config, &r->log, r->store, &r->clock, err));
    assert_non_null(strstr(err, "/realms is written by another program"));
    memcpy(config.audit_dir, config.audit_realms, sizeof config.audit_dir);
    audit_rig_stop(r);
    assert_false(kms_audit_open(&other, &config, &r->log, r->store, &r->clock, err));
    assert_string_equal(err, "audit.realms: that is the folder of audit.file");
    unlink(path_of(r, "audit-000001.jsonl"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
    const struct CMUnitTest tests[] = {
        TEST(each_tenant_has_its_own_records_and_nobody_elses),
        TEST(nobody_gets_into_the_file_of_another_by_the_name_he_bears),
        TEST(a_name_that_is_no_name_of_a_realm_makes_no_file),
        TEST(a_file_that_was_renamed_is_followed_by_a_new_one),
        TEST(what_a_crash_left_of_a_line_is_cut_off),
        TEST(a_file_that_cannot_be_written_stops_the_service_and_none_has_a_part_of_the_batch),
        TEST(on_a_full_disk_no_part_of_a_record_stays_and_it_resumes),
        TEST(a_folder_that_is_gone_is_not_made_anew),
        TEST(an_optional_one_that_fails_stops_nothing),
        TEST(a_batch_may_be_about_more_tenants_than_files_are_open_at_once),
        TEST(the_folder_is_its_own),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
