/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the client: what a credential may say, who may read it, that writing is all or
 * nothing, and that a counter never goes back. */
#include "counter.h"
#include "credential.h"
#include "csb_ids.h"
#include "files.h"
#include "flat_yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <mikeyticket/pk.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PSK "0123456789abcdef0123456789ABCDEF"

static struct mkt_span
text(const char *s)
{
    return mkt_span(s, strlen(s));
}

static char dir[] = "/tmp/mikey-ticket-test-XXXXXX";

static const char *
in_dir(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static const char *
file_with(const char *name, const char *content, mode_t mode)
{
    const char *path = in_dir(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static int
make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int
remove_dir(void **state)
{
    (void)state;
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, e->d_type == DT_DIR ? AT_REMOVEDIR : 0);
    closedir(d);
    return rmdir(dir);
}

/* --- credentials ----------------------------------------------------------------------------- */

static void
reads_a_credential(void **state)
{
    (void)state;
    struct cli_credential c;
    struct cli_error err = { 0 };
    assert_true(cli_credential_read(&c, "alice.cred",
                                    text("identity: sip:alice@example.com\n"
                                         "kms: sip:kms@example.com\n"
                                         "psk-id: 'alice: 3f9a'\n"
                                         "psk: \"" PSK PSK "\"\n"
                                         "suite: 256\n"),
                                    &err));
    assert_string_equal(c.identity, "sip:alice@example.com");
    assert_string_equal(c.kms, "sip:kms@example.com");
    assert_string_equal(c.psk_id, "alice: 3f9a");
    assert_int_equal(c.prf, MKT_PRF_HMAC_SHA_256);
    assert_int_equal(c.psk.n, 32);
    assert_int_equal(c.psk.b[15], 0xEF);
    cli_credential_wipe(&c);
    assert_int_equal(c.psk.n, 0);
    assert_int_equal(c.psk.b[15], 0);
}

static void
needs_no_psk_id(void **state)
{
    (void)state;
    struct cli_credential c;
    struct cli_error err = { 0 };
    assert_true(cli_credential_read(
        &c, "f", text("{identity: a@b, kms: k@b, psk: '" PSK "', suite: 128}"), &err));
    assert_string_equal(c.psk_id, "");
    assert_int_equal(c.prf, MKT_PRF_MIKEY_1);
}

static void
reads_a_credential_with_a_certificate(void **state)
{
    (void)state;
    struct cli_credential c;
    struct cli_error err = { 0 };
    assert_true(cli_credential_read(&c, "f",
                                    text("identity: sip:a@b\nkms: sip:k@b\nsuite: 256\n"
                                         "certificate: a.pem\nprivate-key: /keys/a.pem\n"
                                         "kms-certificate: kms.pem\nkms-ca: ca.pem\n"
                                         "padding: oaep-sha256\nsignature: pss\nchash: yes\n"),
                                    &err));
    assert_string_equal(c.certificate, "a.pem");
    assert_string_equal(c.private_key, "/keys/a.pem");
    assert_string_equal(c.kms_certificate, "kms.pem");
    assert_string_equal(c.kms_ca, "ca.pem");
    assert_int_equal(c.padding, MKT_PAD_OAEP_SHA_256);
    assert_int_equal(c.s_type, MKT_S_RSA_PSS);
    assert_true(c.chash);
    assert_false(c.sha1);
    assert_int_equal(c.psk.n, 0);
}

static void
reads_a_credential_that_is_a_name_only(void **state)
{
    (void)state;
    struct cli_credential c;
    struct cli_error err = { 0 };
    assert_true(cli_credential_read(&c, "f", text("{identity: sip:a@b, suite: 128}"), &err));
    assert_string_equal(c.kms, "");
    assert_int_equal(c.psk.n, 0);
}

static void
says_line_and_column_of_what_is_wrong(void **state)
{
    (void)state;
#define HEAD "identity: sip:a@b\nkms: sip:k@b\n"
#define PK "certificate: c\nprivate-key: k\nkms-certificate: m\nsuite: 128\n"
    static const struct {
        const char *content, *says;
    } bad[] = {
        { HEAD "psk: \"" PSK "\"\nsuite: 512\n", "f:4:8: suite: expected 128 or 256" },
        { HEAD "psk: \"" PSK "\"\nsuite: 256\n", "f:3:6: psk: suite 256 needs a key of 32" },
        { HEAD "psk: 0123\nsuite: 128\n", "f:3:6: psk: suite 128 needs a key of 16" },
        { HEAD "psk: " PSK "0\nsuite: 128\n", "f:3:6: psk: expected pairs of hex digits" },
        { HEAD "psk: \"" PSK "xy\"\nsuite: 128\n", "f:3:6: psk: expected pairs of hex digits" },
        { HEAD "pks: \"" PSK "\"\nsuite: 128\n", "f:3:1: unknown key; known here: identity, kms" },
        { HEAD "suite: 128\n", "f:2:6: kms: needs a psk or a certificate" },
        { "identity: sip:a@b\npsk: \"" PSK "\"\nsuite: 128\n", "f:2:6: psk: of which kms?" },
        { HEAD "certificate: c\nsuite: 128\n", "f:3:14: certificate: needs private-key" },
        { HEAD PK "psk: " PSK "\n", "f:3:14: certificate: there is a psk already" },
        { HEAD PK "padding: oaep\n",
          "f:7:10: padding: expected pkcs1 or oaep-sha1 or oaep-sha256" },
        { HEAD PK "chash: true\n", "f:7:8: chash: expected no or yes" },
        { HEAD "psk: " PSK "\nsuite: 128\nchash: yes\n", "f:5:8: chash: there is no certificate" },
        { HEAD "certificate: ''\nsuite: 128\n", "f:3:14: certificate: expected a file name" },
        { HEAD "kms: sip:other@b\n", "f:3:1: key given twice: kms" },
        { HEAD "psk: [1, 2]\n", "f:3:6: expected one value" },
        { HEAD "psk: &a x\n", "f:3:6: tags, anchors and NUL are not allowed" },
        { HEAD "psk: !!str x\n", "f:3:6: tags, anchors and NUL are not allowed" },
        { "identity: alice\nkms: sip:k@b\npsk: \"" PSK "\"\nsuite: 128\n",
          "f:1:11: identity: expected a URI" },
        { "identity: ''\n" HEAD, "f:2:1: key given twice: identity" },
        { "- a\n", "f:1:1: expected lines of the form KEY: VALUE" },
        { "", "f:1:1: the file is empty" },
        { "identity: \"open\n", "f:" },
        { "identity: a@b: c\n", "f:1:" },
        { HEAD "psk: \"" PSK "\"\nsuite: 128\n---\nx: y\n", "f:5:1: expected the end" },
    };
    for (size_t i = 0; i < CLI_COUNT(bad); i++) {
        struct cli_credential c;
        struct cli_error err = { 0 };
        assert_false(cli_credential_read(&c, "f", text(bad[i].content), &err));
        assert_int_equal(err.code, CLI_EXIT_FAILURE);
        if (strncmp(err.text, bad[i].says, strlen(bad[i].says)) != 0)
            fail_msg("'%s' does not begin with '%s'", err.text, bad[i].says);
        assert_null(strstr(err.text, PSK)); /* no key in an error */
    }
}

static void
refuses_a_secret_file_that_others_can_reach(void **state)
{
    (void)state;
    static const mode_t open_modes[] = { 0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666 };
    for (size_t i = 0; i < CLI_COUNT(open_modes); i++) {
        const char *path = file_with("cred", "x: y\n", open_modes[i]);
        CLI_SCOPED_BLOB b = { 0 };
        struct cli_error err = { 0 };
        char advice[300];
        assert_false(cli_file_read(&b, path, 100, CLI_SECRET, &err));
        snprintf(advice, sizeof advice, "chmod 600 %s", path);
        assert_non_null(strstr(err.text, advice));
        assert_null(b.p); /* not even read */
    }
}

static void
reads_a_private_file_and_a_public_one(void **state)
{
    (void)state;
    CLI_SCOPED_BLOB secret = { 0 };
    CLI_SCOPED_BLOB public = { 0 };
    struct cli_error err = { 0 };
    assert_true(cli_file_read(&secret, file_with("s", "abc", 0400), 3, CLI_SECRET, &err));
    assert_true(cli_file_read(&public, file_with("p", "abc", 0644), 3, CLI_PUBLIC, &err));
    assert_int_equal(secret.n, 3);
    assert_memory_equal(public.p, "abc", 3);
}

static void
refuses_a_file_that_is_too_long(void **state)
{
    (void)state;
    CLI_SCOPED_BLOB b = { 0 };
    struct cli_error err = { 0 };
    assert_false(cli_file_read(&b, file_with("l", "abcd", 0600), 3, CLI_SECRET, &err));
    assert_non_null(strstr(err.text, "longer than the 3 octets"));
}

/* --- writing --------------------------------------------------------------------------------- */

static size_t
files_in_dir(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void
writes_secrets_for_their_owner_only(void **state)
{
    (void)state;
    const char *path = in_dir("new-secret");
    struct cli_error err = { 0 };
    struct stat st;
    mode_t mask = umask(0);
    assert_true(cli_file_write(path, CLI_SECRET, text("k"), &err));
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
replaces_an_open_file_by_a_private_one(void **state)
{
    (void)state;
    const char *path = file_with("was-open", "old", 0666);
    CLI_SCOPED_BLOB b = { 0 };
    struct cli_error err = { 0 };
    assert_true(cli_file_write(path, CLI_SECRET, text("new"), &err));
    assert_true(cli_file_read(&b, path, 10, CLI_SECRET, &err));
    assert_memory_equal(b.p, "new", 3);
}

static void
follows_the_umask_for_public_files(void **state)
{
    (void)state;
    const char *path = in_dir("public");
    struct cli_error err = { 0 };
    struct stat st;
    mode_t mask = umask(027);
    assert_true(cli_file_write(path, CLI_PUBLIC, text("m"), &err));
    assert_int_equal(umask(mask), 027); /* left as it was */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void
leaves_nothing_behind_when_it_cannot_write(void **state)
{
    (void)state;
    struct cli_error err = { 0 };
    assert_int_equal(mkdir(in_dir("taken"), 0700), 0);
    size_t before = files_in_dir();
    assert_false(cli_file_write(in_dir("taken"), CLI_SECRET, text("k"), &err));
    assert_false(cli_file_write(in_dir("no/such/dir"), CLI_SECRET, text("k"), &err));
    assert_int_equal(files_in_dir(), before);
    assert_int_equal(err.code, CLI_EXIT_FAILURE);
}

static void
reads_back_what_it_quotes(void **state)
{
    (void)state;
    static const struct cli_yaml_key keys[] = { { "a", false, true } };
    static const struct cli_yaml_form form = { "test", keys, 1, NULL };
    char odd[96];
    for (int i = 0; i < 95; i++)
        odd[i] = (char)(' ' + i);
    odd[95] = '\0';
    CLI_SCOPED_BLOB b = { 0 };
    CLI_SCOPED_YAML y = { 0 };
    struct cli_error err = { 0 };
    assert_true(cli_blob_alloc(&b, 400, &err));
    assert_true(cli_yaml_print(&b, "", "a", text(odd)));
    assert_true(cli_yaml_read(&y, &form, "f", cli_blob_span(&b), &err));
    assert_string_equal(cli_yaml_get(&y, CLI_YAML_TOP, "a")->value, odd);
}

/* --- the counter ----------------------------------------------------------------------------- */

static void
counts_up_from_one_and_remembers(void **state)
{
    (void)state;
    const char *path = in_dir("counter");
    struct cli_error err = { 0 };
    struct stat st;
    for (uint32_t i = 1; i <= 3; i++) {
        uint32_t got = 0;
        assert_true(cli_counter_next(path, &got, &err));
        assert_int_equal(got, i);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
never_gives_a_value_twice_to_two_processes(void **state)
{
    (void)state;
    enum { PROCESSES = 4, EACH = 50 };
    const char *path = in_dir("shared-counter");
    int fds[2];
    bool seen[PROCESSES * EACH + 1] = { false };
    assert_int_equal(pipe(fds), 0);
    for (int p = 0; p < PROCESSES; p++)
        if (fork() == 0) {
            struct cli_error err = { 0 };
            uint32_t v;
            for (int i = 0; i < EACH; i++)
                if (!cli_counter_next(path, &v, &err) || write(fds[1], &v, sizeof v) != sizeof v)
                    _exit(1);
            _exit(0);
        }
    for (int p = 0; p < PROCESSES; p++) {
        int status = -1;
        wait(&status);
        assert_int_equal(status, 0);
    }
    close(fds[1]);
    size_t n = 0;
    for (uint32_t v; read(fds[0], &v, sizeof v) == sizeof v; n++) {
        assert_in_range(v, 1, PROCESSES * EACH);
        assert_false(seen[v]);
        seen[v] = true;
    }
    close(fds[0]);
    assert_int_equal(n, PROCESSES * EACH);
}

static void
refuses_a_counter_that_is_used_up_or_odd(void **state)
{
    (void)state;
    static const char *const bad[] = { "4294967295\n", "9999999999\n", "1\n",
                                       "000000001x\n", "0000000001",   "0000000001\n\n" };
    for (size_t i = 0; i < CLI_COUNT(bad); i++) {
        struct cli_error err = { 0 };
        uint32_t got = 7;
        assert_false(cli_counter_next(file_with("odd", bad[i], 0600), &got, &err));
        assert_int_equal(got, 7);
        assert_int_equal(err.code, CLI_EXIT_FAILURE);
    }
}

/* --- locks, and the end of a file --------------------------------------------------------------
 */

static void
a_lock_is_of_the_file_that_has_the_name_now(void **state)
{
    (void)state;
    const char *path = file_with("locked", "old", 0600);
    struct cli_error err = { 0 };
    int ready[2];
    CLI_SCOPED_LOCK lock = -1;
    assert_int_equal(pipe(ready), 0);
    assert_true(cli_file_lock(&lock, path, &err));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) { /* waits for the lock, then reads what the parent wrote meanwhile */
        CLI_SCOPED_LOCK mine = -1;
        struct cli_blob got = { 0 };
        cli_file_unlock(&lock); /* the copy of the parent's, which would hold it with him */
        bool ok = write(ready[1], "", 1) == 1 && cli_file_lock(&mine, path, &err) &&
                  cli_file_read(&got, path, 16, CLI_SECRET, &err) && got.n == 3 &&
                  memcmp(got.p, "new", 3) == 0;
        _exit(ok ? 0 : 1);
    }
    char go;
    int status = 0;
    assert_int_equal(read(ready[0], &go, 1), 1);
    assert_true(cli_file_write(path, CLI_SECRET, text("new"), &err)); /* another inode */
    cli_file_unlock(&lock);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(ready[1]);
}

static void
a_lock_needs_a_file(void **state)
{
    (void)state;
    struct cli_error err = { 0 };
    CLI_SCOPED_LOCK lock = -1;
    assert_false(cli_file_lock(&lock, in_dir("nowhere"), &err));
    assert_int_equal(err.code, CLI_EXIT_FAILURE);
}

static void
what_is_wiped_leaves_zeros(void **state)
{
    (void)state;
    char content[5001];
    memset(content, 'k', sizeof content - 1);
    content[sizeof content - 1] = '\0';
    const char *path = file_with("secret", content, 0600), *other = in_dir("same-inode");
    struct cli_error err = { 0 };
    struct cli_blob got = { 0 };
    assert_int_equal(link(path, other), 0);
    assert_true(cli_file_wipe(path, &err));
    assert_int_not_equal(access(path, F_OK), 0);
    assert_true(cli_file_read(&got, other, 8192, CLI_SECRET, &err));
    assert_int_equal(got.n, 5000);
    for (size_t i = 0; i < got.n; i++)
        assert_int_equal(got.p[i], 0);
    cli_blob_free(&got);
    assert_false(cli_file_wipe(path, &err));
}

static void
wiping_follows_no_link(void **state)
{
    (void)state;
    const char *path = file_with("target", "k", 0600), *name = in_dir("symlink");
    struct cli_error err = { 0 };
    assert_int_equal(symlink(path, name), 0);
    assert_false(cli_file_wipe(name, &err));
    assert_int_equal(access(path, F_OK), 0);
}

/* --- CSB IDs of a cache ----------------------------------------------------------------------- */

static void
remembers_the_newest_csb_ids(void **state)
{
    (void)state;
    static uint32_t ids[CLI_CSB_IDS_MAX];
    const struct cli_cache none = { .lock = -1 }, c = { .path = in_dir("cache"), .lock = -1 };
    struct cli_error err = { 0 };
    size_t n = 7;
    assert_int_equal(mkdir(c.path, 0700), 0);
    assert_true(cli_csb_ids_add(&none, 1, &err)); /* no cache holds nothing */
    assert_true(cli_csb_ids_load(ids, &n, &none, &err));
    assert_int_equal(n, 0);
    assert_true(cli_csb_ids_load(ids, &n, &c, &err)); /* nor does a new one */
    assert_int_equal(n, 0);
    assert_true(cli_csb_ids_add(&c, 0xFEDCBA98, &err));
    assert_true(cli_csb_ids_add(&c, 1, &err));
    assert_true(cli_csb_ids_add(&c, 0xFEDCBA98, &err));
    assert_true(cli_csb_ids_load(ids, &n, &c, &err));
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 0xFEDCBA98);
    assert_int_equal(ids[1], 1);
    const char *full = in_dir("cache/csb-ids");
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs("format: mikey-ticket-csb-ids-1\nids: ", f);
    for (unsigned id = 1; id <= CLI_CSB_IDS_MAX; id++)
        fprintf(f, "%08x", id);
    fclose(f);
    assert_int_equal(chmod(full, 0600), 0);
    assert_true(cli_csb_ids_add(&c, 0xFEDCBA98, &err));
    assert_true(cli_csb_ids_load(ids, &n, &c, &err));
    assert_int_equal(n, CLI_CSB_IDS_MAX);
    assert_int_equal(ids[0], 2); /* the oldest is gone */
    assert_int_equal(ids[n - 1], 0xFEDCBA98);
    assert_int_equal(unlink(full), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_credential),
        cmocka_unit_test(needs_no_psk_id),
        cmocka_unit_test(reads_a_credential_with_a_certificate),
        cmocka_unit_test(reads_a_credential_that_is_a_name_only),
        cmocka_unit_test(says_line_and_column_of_what_is_wrong),
        cmocka_unit_test(refuses_a_secret_file_that_others_can_reach),
        cmocka_unit_test(reads_a_private_file_and_a_public_one),
        cmocka_unit_test(refuses_a_file_that_is_too_long),
        cmocka_unit_test(writes_secrets_for_their_owner_only),
        cmocka_unit_test(replaces_an_open_file_by_a_private_one),
        cmocka_unit_test(follows_the_umask_for_public_files),
        cmocka_unit_test(leaves_nothing_behind_when_it_cannot_write),
        cmocka_unit_test(reads_back_what_it_quotes),
        cmocka_unit_test(counts_up_from_one_and_remembers),
        cmocka_unit_test(never_gives_a_value_twice_to_two_processes),
        cmocka_unit_test(refuses_a_counter_that_is_used_up_or_odd),
        cmocka_unit_test(a_lock_is_of_the_file_that_has_the_name_now),
        cmocka_unit_test(a_lock_needs_a_file),
        cmocka_unit_test(what_is_wiped_leaves_zeros),
        cmocka_unit_test(wiping_follows_no_link),
        cmocka_unit_test(remembers_the_newest_csb_ids),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
