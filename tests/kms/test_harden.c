/* SPDX-License-Identifier: Apache-2.0 */
/* What the running daemon and its vault are without, as the system tells it; and what the filter of
 * system calls does to a process that tries another one. */
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harden.h"
#include "keys_rig.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true /* which traces itself, and locks nothing */
#else
#define SANITIZED false
#endif

/* A line of /proc/PID/status, behind its name. */
static const char *
status_of(pid_t pid, const char *name)
{
    static char line[256];
    char path[64];
    FILE *f;
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    f = fopen(path, "r");
    assert_non_null(f);
    while (!found && fgets(line, sizeof line, f) != NULL)
        found = strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':';
    fclose(f);
    assert_true(found);
    line[strcspn(line, "\n")] = '\0';
    return line + strlen(name) + 1 + strspn(line + strlen(name) + 1, " \t");
}

/* Files below /proc belong to root where a process may not be dumped. */
static bool
dumpable(pid_t pid)
{
    char path[64];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    assert_int_equal(stat(path, &st), 0);
    return st.st_uid != 0;
}

/* Whether the hard limit of a core's size is 0. */
static bool
no_cores(pid_t pid)
{
    static const char name[] = "Max core file size";
    char path[64], line[256];
    bool none = false;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/limits", (int)pid);
    f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        char *end;

        if (strncmp(line, name, sizeof name - 1) != 0)
            continue;
        strtoul(line + sizeof name - 1, &end, 10); /* soft */
        none = strtoul(end, &end, 10) == 0 && strstr(end, "unlimited") == NULL;
    }
    fclose(f);
    return none;
}

static void
check_process(pid_t pid)
{
    assert_string_equal(status_of(pid, "Seccomp"), "2");
    assert_string_equal(status_of(pid, "NoNewPrivs"), "1");
    assert_string_equal(status_of(pid, "Umask"), "0077");
    assert_true(no_cores(pid));
}

static void
daemon_and_vault_run_filtered_and_without_cores(void **state)
{
    (void)state;
    rig_start(&rig);
    assert_true(keys_call());
    check_process(rig.pid);
    check_process(keys_vault(rig.pid));
}

#if !defined(__SANITIZE_ADDRESS__) /* cmocka calls a skipped test "not ok" */
static void
memory_is_locked_where_the_limit_allows(void **state)
{
    (void)state;
    rig_config(&rig, "kek: file:kms.kek\nvault: process\nlock_memory: require\n");
    if (geteuid() != 0)
        skip();
    rig_start(&rig);
    assert_true(keys_call());
    assert_true(strtoul(status_of(rig.pid, "VmLck"), NULL, 10) > 1000); /* KiB */
    assert_true(strtoul(status_of(keys_vault(rig.pid), "VmLck"), NULL, 10) > 1000);
    assert_int_equal(rig_stop(&rig), 0);
    rig_config(&rig, "kek: file:kms.kek\nlock_memory: off\n");
    rig_start(&rig);
    assert_true(keys_call());
    assert_true(strtoul(status_of(rig.pid, "VmLck"), NULL, 10) < 1000);
}
#endif

/* Runs in a child, since what it gives up does not come back. */
static int
in_child(bool (*run)(void), char *err_text, size_t cap)
{
    int fds[2], status;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        _exit(run() ? 0 : 9);
    }
    close(fds[1]);
    n = read(fds[0], err_text, cap - 1);
    err_text[n > 0 ? n : 0] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static struct kms_config config;
static char why[KMS_HARDEN_ERR];

static bool
try_to_lock(void)
{
    const struct rlimit little = { 65536, 65536 };
    bool refused;

    setrlimit(RLIMIT_MEMLOCK, &little);
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
        return false;
    config.lock_memory = 2;
    refused = !kms_lock_memory(&config, why) &&
              strstr(why, "only 64 KiB may be locked: set LimitMEMLOCK=infinity") != NULL;
    config.lock_memory = 1;
    return refused && kms_lock_memory(&config, why) && !kms_memory_locked();
}

static void
a_short_limit_is_told_and_never_half_used(void **state)
{
    char text[512];

    (void)state;
    assert_int_equal(in_child(try_to_lock, text, sizeof text), 0);
}

/* What root made before the folder was another user's. */
static void
give_away(const char *name)
{
    char path[128];

    snprintf(path, sizeof path, "%s/%s", rig.dir, name);
    assert_int_equal(chown(path, 65534, 65534), 0);
}

static void
privileges_are_dropped_for_good(void **state)
{
    const gid_t extra = 12;
    char path[128];

    (void)state;
    if (geteuid() != 0)
        skip();
    rig_config(&rig, "kek: file:kms.kek\nvault: process\nuser: nobody\ngroup: nogroup\n");
    assert_int_equal(chown(rig.dir, 65534, 65534), 0);
    give_away("audit");
    give_away("audit/audit-000001.jsonl");
    snprintf(path, sizeof path, "%s/kms.db", rig.dir);
    assert_int_equal(chown(path, 65534, 65534), 0);
    for (int i = 0; i < 2; i++) { /* made anew by its new owner */
        snprintf(path, sizeof path, "%s/kms.db-%s", rig.dir, i == 0 ? "wal" : "shm");
        unlink(path);
    }
    assert_int_equal(setgroups(1, &extra), 0); /* what a daemon may inherit */
    rig_start(&rig);
    assert_int_equal(setgroups(0, NULL), 0);
    assert_true(keys_call());
    assert_string_equal(status_of(rig.pid, "Uid"), "65534\t65534\t65534\t65534");
    assert_string_equal(status_of(rig.pid, "Gid"), "65534\t65534\t65534\t65534");
    assert_string_equal(status_of(rig.pid, "Groups"), "");
    assert_string_equal(status_of(rig.pid, "CapEff"), "0000000000000000");
    assert_string_equal(status_of(keys_vault(rig.pid), "Uid"), "65534\t65534\t65534\t65534");
    assert_string_equal(status_of(keys_vault(rig.pid), "CapPrm"), "0000000000000000");
    assert_true(SANITIZED || !dumpable(rig.pid));
    assert_true(SANITIZED || !dumpable(keys_vault(rig.pid)));
    check_process(rig.pid);
    check_process(keys_vault(rig.pid));
}

static void
wrong_accounts_are_told(void **state)
{
    (void)state;
    rig_config(&rig, "user: nobody-of-that-name\n");
    assert_int_equal(KMSD(), 1);
    assert_true(scene_says("err", "there is no user nobody-of-that-name"));
    rig_config(&rig, "group: no-group-of-that-name\n");
    assert_int_equal(KMSD(), 1);
    assert_true(scene_says("err", "there is no group no-group-of-that-name"));
}

static void
each_is_an_option(void **state)
{
    (void)state;
    rig_config(&rig, "kek: file:kms.kek\nvault: process\nseccomp: false\ncore_dumps: true\n");
    rig_start(&rig);
    assert_true(keys_call());
    assert_string_equal(status_of(rig.pid, "Seccomp"), "0");
    assert_false(no_cores(rig.pid));
    assert_true(no_cores(keys_vault(rig.pid))); /* never */
}

/* --- the filter itself --------------------------------------------------------------------------
 */

static enum kms_filter kind;

static bool
install(void)
{
    config.seccomp = 1;
    return kms_filter_install(&config, kind, why);
}

static bool
try_execve(void)
{
    char *const words[] = { (char *)(uintptr_t) "true", NULL };

    return install() && execv("/bin/true", words) == 0;
}

static bool
try_mount(void)
{
    return install() && mount("none", "/mnt", "tmpfs", 0, NULL) == 0;
}

static bool
try_chroot(void)
{
    return install() && chroot("/") == 0;
}

static bool
try_fork(void)
{
    return install() && fork() >= 0;
}

static bool
try_to_forget_the_handler(void)
{
    return install() && signal(SIGSYS, SIG_IGN) != SIG_ERR && chroot("/") == 0;
}

static bool
do_what_is_allowed(void)
{
    char octet;
    void *block;
    int fds[2];
    bool ok = pipe(fds) == 0 && install();

    block = malloc(10 << 20);
    ok = ok && block != NULL && write(fds[1], "x", 1) == 1 && read(fds[0], &octet, 1) == 1 &&
         octet == 'x';
    free(block);
    return ok;
}

static void
another_system_call_ends_the_process_and_is_told(void **state)
{
    static bool (*const tries[])(void) = { try_execve, try_mount, try_chroot, try_fork,
                                           try_to_forget_the_handler };
    char text[512];
    int status;

    (void)state;
    for (kind = KMS_FILTER_DAEMON; kind <= KMS_FILTER_BOTH; kind++) {
        assert_int_equal(in_child(do_what_is_allowed, text, sizeof text), 0);
        for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
            if (SANITIZED && i >= 3)
                continue; /* sanitizers fork, and set handlers */
            status = in_child(tries[i], text, sizeof text);
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGSYS);
            assert_non_null(strstr(text, "the seccomp filter forbids system call "));
        }
    }
}

int
main(void)
{
#define T(test) KEYS(test, "vault: process\n")
    const struct CMUnitTest tests[] = {
        T(daemon_and_vault_run_filtered_and_without_cores),
#if !defined(__SANITIZE_ADDRESS__)
        T(memory_is_locked_where_the_limit_allows),
#endif
        cmocka_unit_test(a_short_limit_is_told_and_never_half_used),
        T(privileges_are_dropped_for_good),
        T(wrong_accounts_are_told),
        T(each_is_an_option),
        cmocka_unit_test(another_system_call_ends_the_process_and_is_told),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
