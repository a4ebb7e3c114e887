/* SPDX-License-Identifier: Apache-2.0 */
/* Keys at rest, with the real programs: where the KEK comes from, what it is bound to, and how it
 * is changed while the daemon serves. */
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "keys_rig.h"

#define TOKEN_URI \
    "pkcs11:token=kms;object=kek?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:pin"

static void
keys_in_clear_are_gone_after_init(void **state)
{
    (void)state;
    rig_open(&rig, "");
    rig_user_init(&alice, "sip:alice@example.com", "alice", MKT_PRF_HMAC_SHA_256);
    rig_add(&rig, &alice);
    assert_true(scene_at_rest(mkt_secret_span(&alice.psk.key)));
    rig_config(&rig, "kek: file:kms.kek\n");
    assert_int_equal(CTL("kek", "init"), 0);
    assert_true(scene_says("out", "wrapped 1 keys"));
    assert_false(scene_at_rest(mkt_secret_span(&alice.psk.key)));
    rig_user_init(&bob, "sip:bob@example.com", "bob", MKT_PRF_HMAC_SHA_256);
    rig_add(&rig, &bob);
    assert_false(scene_at_rest(mkt_secret_span(&bob.psk.key)));
    assert_int_equal(CTL("kek", "status", "--json"), 0);
    assert_true(scene_says("out", "{\"keys\": 2, \"in-clear\": 0, \"under-former\": 0"));
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(CTL("kek", "init"), 0); /* again: nothing happens */
}

static void
a_wrong_kek_is_told_at_start(void **state)
{
    (void)state;
    rig_config(&rig, "kek: file:other.kek\n");
    rig_write(&rig, "other.kek", "0123456789abcdef0123456789abcdef");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "other.kek: can be read by others"));
    rig_write_octets(&rig, "third.kek",
                     mkt_span((const uint8_t *)"0123456789abcdef0123456789abcdef", 32));
    rig_config(&rig, "kek: file:third.kek\n");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "the KEK of the configuration does not open generation 1"));
    assert_int_equal(CTL("user", "add", "sip:eve@example.com"), 4);
    assert_true(scene_says("err", "does not open generation 1"));
    rig_config(&rig, "");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "the configuration names no \\\"kek\\\""));
}

static void
a_store_in_clear_is_not_taken_for_a_wrapped_one(void **state)
{
    (void)state;
    rig_open(&rig, "");
    rig_user_init(&alice, "sip:alice@example.com", "alice", MKT_PRF_HMAC_SHA_256);
    rig_add(&rig, &alice);
    rig_config(&rig, "kek: file:kms.kek\n");
    rig_write_octets(&rig, "kms.kek",
                     mkt_span((const uint8_t *)"0123456789abcdef0123456789abcdef", 32));
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "run mikey-kmsctl kek init"));
    assert_int_equal(CTL("user", "add", "sip:eve@example.com"), 4);
    assert_true(scene_says("err", "run mikey-kmsctl kek init"));
}

static void
expect_sealed_from_the_start(const char *yaml, bool daemon_first)
{
    rig_open(&rig, yaml);
    rig_user_init(&alice, "sip:alice@example.com", "alice", MKT_PRF_HMAC_SHA_256);
    rig_user_init(&bob, "sip:bob@example.com", "bob", MKT_PRF_HMAC_SHA_256);
    if (daemon_first)
        rig_start(&rig);
    rig_add(&rig, &alice);
    rig_add(&rig, &bob);
    if (!daemon_first)
        rig_start(&rig);
    assert_int_equal(CTL("kek", "status"), 0);
    assert_true(scene_says("out", "store key 1"));
    assert_true(scene_says("out", "4 keys: 0 in clear, 0 under a former"));
    while (daemon_first && !keys_ticket(&bob)) /* it looks five times a second */
        usleep(20000);
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    (void)scene_stop(NULL);
}

static void
a_new_store_never_holds_a_key_in_clear(void **state)
{
    (void)state;
    expect_sealed_from_the_start("kek: file:kms.kek\n", false);
    expect_sealed_from_the_start("kek: file:kms.kek\n", true);
    expect_sealed_from_the_start("kek: file:kms.kek\nvault: process\n", true);
}

static void
a_kek_file_is_read_strictly(void **state)
{
    char path[128], other[128];

    (void)state;
    snprintf(path, sizeof path, "%s/kms.kek", rig.dir);
    snprintf(other, sizeof other, "%s/moved.kek", rig.dir);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "can be read by others: chmod 600"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "symbolic link"));
    assert_int_equal(unlink(path), 0);
    rig_write_octets(&rig, "kms.kek",
                     mkt_span((const uint8_t *)"0123456789abcdef0123456789abcde", 31));
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "a KEK has 32 octets"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "No such file"));
}

static void
a_key_opens_in_its_own_row_only(void **state)
{
    (void)state;
    rig_add(&rig, &(struct rig_user){
                      .identity = "sip:eve@example.com", .psk_id = "eve", .psk = alice.psk });
    rig_start(&rig);
    assert_true(keys_ticket(&alice));
    assert_int_equal(rig_stop(&rig), 0);
    keys_sql("UPDATE credential SET psk = (SELECT psk FROM credential WHERE psk_id = 'eve')"
             " WHERE psk_id = 'alice'"); /* the same key, sealed for another name */
    rig_start(&rig);
    assert_false(keys_ticket(&alice));
    assert_int_equal(rig_stop(&rig), 0);
    assert_true(scene_says("log", "outcome=busy"));
}

static void
a_changed_octet_of_a_sealed_key_is_noticed(void **state)
{
    (void)state;
    keys_sql("UPDATE credential SET psk = substr(psk, 1, 12) || zeroblob(1) || substr(psk, 14)"
             " WHERE psk_id = 'alice'");
    rig_start(&rig);
    assert_false(keys_ticket(&alice));
    assert_true(keys_ticket(&bob));
}

static void
a_planted_key_in_clear_is_refused(void **state)
{
    (void)state;
    keys_sql("DROP TRIGGER sealed_credential_insert;"
             "INSERT INTO credential(user, psk_id, psk, added, serial, kek)"
             " VALUES(1, 'eve', zeroblob(32), 0, 1, 0)");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "a key in the store is not wrapped, others are"));
}

/* Runs kmsctl beside this process. */
static pid_t
rotate_beside(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(CTL("kek", "rotate", "--to", "file:new.kek", "--quiet"));
    return pid;
}

static bool
goes_on(pid_t pid, int *status)
{
    return waitpid(pid, status, WNOHANG) == 0;
}

static void
many_users(void)
{
    keys_sql("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 29999) "
             "INSERT INTO users SELECT 100 + i, 'sip:u' || i || '@example.com', 1, 0, 0, 0 FROM n;"
             "INSERT INTO credential(user, psk_id, psk, added, serial, kek) SELECT id,"
             " 'u' || id, randomblob(32), 0, random(), 0 FROM users WHERE id >= 100");
}

static int
open_large(void **state)
{
    (void)state;
    rig_open(&rig, "");
    rig_add_two(&rig, &alice, &bob);
    many_users();
    keys_wrap("");
    return 0;
}

static void
the_kek_is_rotated_while_the_daemon_serves(void **state)
{
    unsigned tickets = 0, calls = 0;
    int status = 0;
    pid_t pid;

    (void)state;
    rig_start(&rig);
    pid = rotate_beside();
    while (goes_on(pid, &status)) {
        assert_true(keys_ticket(&alice));
        assert_true(++tickets % 8 != 0 || (calls++, keys_call()));
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(tickets > 8 && calls > 0);
    assert_int_equal(CTL("kek", "status", "--json"), 0);
    assert_true(scene_says("out", "\"in-clear\": 0, \"under-former\": 0"));
    assert_int_equal(CTL("user", "add", "sip:dave@example.com"), 0); /* with the old KEK */
    assert_true(keys_call());
    rig_config(&rig, "kek: file:new.kek\n");
    assert_int_equal(rig_stop(&rig), 0);
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0);
    assert_true(keys_call());
    rig_config(&rig, "kek: file:kms.kek\n");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "does not open generation 2"));
}

static void
an_interrupted_rotation_loses_nothing(void **state)
{
    uint64_t former = 0;
    pid_t pid;

    (void)state;
    rig_config(&rig, "kek: file:kms.kek\n");
    for (int i = 0; former == 0 && i < 20; i++) { /* a moment in the middle */
        int status;

        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) { /* the rig's child ends with this process */
            alarm(1);
            if (CTL("kek", "rotate", "--to", "file:new.kek", "--quiet") >= 0)
                _exit(0);
        }
        usleep(20000 + 5000 * (useconds_t)i);
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        assert_int_equal(CTL("kek", "status", "--json"), 0);
        assert_non_null(strstr(scene_text("out"), "\"under-former\": "));
        former = strtoull(strstr(scene_text("out"), "\"under-former\": ") + 16, NULL, 10);
    }
    assert_true(former > 0);
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0);
    assert_true(scene_says("out", "Both KEKs open the store"));
    assert_int_equal(CTL("kek", "status", "--json"), 0);
    assert_true(scene_says("out", "\"in-clear\": 0, \"under-former\": 0"));
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    rig_config(&rig, "kek: file:new.kek\n");
    rig_start(&rig);
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0);
    assert_true(scene_says("out", "only \"kek: file:new.kek\" opens the store now"));
    assert_true(keys_call());
}

static void
finishing_never_loses_the_kek_that_is_to_stay(void **state)
{
    (void)state;
    assert_int_equal(CTL("kek", "rotate", "--to", "file:new.kek"), 0);
    assert_int_equal(CTL("kek", "rotate", "--finish"), 3); /* the configuration names the former */
    assert_true(scene_says("err", "not the KEK that the keys are to stay under, of kind file"));
    rig_config(&rig, "kek: file:new.kek\n");
    rig_start(&rig); /* it is still there */
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0);
    assert_true(scene_says("out", "only \"kek: file:new.kek\" opens the store now"));
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0); /* once more does no harm */
    /* Who thinks better of it stays with the one there is. */
    assert_int_equal(CTL("kek", "rotate", "--to", "file:third.kek"), 0);
    assert_int_equal(CTL("kek", "rotate", "--finish"), 3);
    assert_int_equal(CTL("kek", "rotate"), 0);
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0);
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    rig_config(&rig, "kek: file:third.kek\n");
    assert_int_equal(KMSD(), 4);
}

static void
the_kek_comes_from_a_passphrase(void **state)
{
    (void)state;
    rig_write_octets(&rig, "pass", mkt_span((const uint8_t *)"correct horse battery\n", 22));
    assert_int_equal(CTL("kek", "rotate", "--to", "passphrase:file:pass"), 0);
    rig_config(&rig, "kek: passphrase:file:pass\n");
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0);
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    rig_config(&rig, "kek: passphrase:fd:0\n");
    rig_write_octets(&rig, "in", mkt_span((const uint8_t *)"correct horse battery", 21));
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    rig_write_octets(&rig, "in", mkt_span((const uint8_t *)"correct horse batterz", 21));
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "does not open generation 2"));
    rig_write_octets(&rig, "in", mkt_span((const uint8_t *)"short", 5));
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "passphrase: needs 12 to 128 octets"));
    assert_null(strstr(scene_text("err"), "short\""));
}

/* Reads what a terminal shows until it ends with a question. */
static void
await(int terminal, const char *question, char shown[1024], size_t *n)
{
    ssize_t got;

    while (strstr(shown, question) == NULL) {
        assert_true(*n < 1000);
        got = read(terminal, shown + *n, 1000 - *n);
        assert_true(got > 0);
        *n += (size_t)got;
        shown[*n] = '\0';
    }
}

static void
a_passphrase_is_asked_for_at_the_terminal_unseen(void **state)
{
    static const char secret[] = "correct horse battery\n";
    char shown[1024] = "";
    int terminal, status;
    size_t n = 0;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(CTL("kek", "rotate", "--to", "passphrase"));
    await(terminal, "Passphrase of the KEK: ", shown, &n);
    assert_true(write(terminal, secret, sizeof secret - 1) > 0);
    await(terminal, "The same again: ", shown, &n);
    assert_true(write(terminal, secret, sizeof secret - 1) > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_null(strstr(shown, "horse"));
    close(terminal);
    rig_write_octets(&rig, "in", mkt_span((const uint8_t *)secret, sizeof secret - 1));
    rig_config(&rig, "kek: passphrase:fd:0\n");
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    rig_config(&rig, "kek: passphrase\n");
    pid = fork();
    if (pid == 0) { /* where there is no terminal */
        setsid();
        _exit(KMSD());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 4);
    assert_true(scene_says("err", "there is no terminal to ask at"));
}

static void
the_kek_comes_from_a_credential_of_systemd(void **state)
{
    (void)state;
    setenv("CREDENTIALS_DIRECTORY", rig.dir, 1);
    rig_config(&rig, "kek: credential:kms.kek\n");
    assert_int_equal(KMSD(), 4); /* the KEK is the right one, the kind is not */
    rig_config(&rig, "kek: file:kms.kek\n");
    rig_write_octets(&rig, "cred",
                     mkt_span((const uint8_t *)"0123456789abcdef0123456789abcdef", 32));
    assert_int_equal(CTL("kek", "rotate", "--to", "credential:cred"), 0);
    rig_config(&rig, "kek: credential:cred\n");
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    rig_config(&rig, "kek: credential:../cred\n");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "not the name of a credential"));
    unsetenv("CREDENTIALS_DIRECTORY");
    rig_config(&rig, "kek: credential:cred\n");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "there is no $CREDENTIALS_DIRECTORY"));
}

/* Runs another program; what it says goes to the file token.log. */
static void
run_program(const char *const *words)
{
    char path[128];
    int status, fd;
    pid_t pid;

    snprintf(path, sizeof path, "%s/token.log", rig.dir);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execvp(words[0], (char *const *)(uintptr_t)words);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}
#define RUN(...) run_program((const char *const[]){ __VA_ARGS__, NULL })

/* A token of SoftHSM2 in a folder beside the rig's. */
static void
make_token(void)
{
    char conf[256], path[128];

    snprintf(path, sizeof path, "%s.token", rig.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(conf, sizeof conf, "directories.tokendir = %s\nlog.level = ERROR\n", path);
    rig_write(&rig, "softhsm2.conf", conf);
    rig_write_octets(&rig, "pin", mkt_span((const uint8_t *)"1234\n", 5));
    snprintf(path, sizeof path, "%s/softhsm2.conf", rig.dir);
    setenv("SOFTHSM2_CONF", path, 1);
    RUN("softhsm2-util", "--init-token", "--free", "--label", "kms", "--pin", "1234", "--so-pin",
        "5678");
    RUN("pkcs11-tool", "--module", "/usr/lib/softhsm/libsofthsm2.so", "--token-label", "kms",
        "--login", "--pin", "1234", "--keygen", "--key-type", "AES:32", "--label", "kek", "--id",
        "01");
}

static int
stop_token(void **state)
{
    char path[128];

    snprintf(path, sizeof path, "%s.token", rig.dir);
    RUN("rm", "-rf", path);
    return scene_stop(state);
}

static void
the_kek_stays_in_a_token(void **state)
{
    (void)state;
    make_token();
    assert_int_equal(CTL("kek", "rotate", "--to", TOKEN_URI), 0);
    rig_config(&rig, "kek: '" TOKEN_URI "'\n");
    assert_int_equal(CTL("kek", "rotate", "--finish"), 0);
    assert_int_equal(CTL("kek", "status"), 0);
    assert_true(scene_says("out", "of kind pkcs11"));
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(CTL("user", "add", "sip:dave@example.com"), 0);
    assert_true(keys_call());
    assert_int_equal(rig_stop(&rig), 0);
    rig_write_octets(&rig, "pin", mkt_span((const uint8_t *)"4321\n", 5));
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "pkcs11: cannot log in"));
    rig_config(&rig, "kek: 'pkcs11:token=kms;object=nokey?module-path="
                     "/usr/lib/softhsm/libsofthsm2.so&pin-value=1234'\n");
    assert_int_equal(KMSD(), 4);
    assert_true(scene_says("err", "there is no such AES key in the token"));
}

/* A daemon that starts finds its key overdue, makes the next one ahead of time, and removes the one
 * whose tickets have all ended. */
static void
the_daemon_keeps_ticket_keys_by_their_schedule(void **state)
{
    (void)state;
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_int_equal(CTL("tpk", "rotate"), 0);
    keys_sql("UPDATE tpk SET starts = starts - 5000000 WHERE generation = 1;"
             "UPDATE tpk SET starts = starts - 4000000 WHERE generation = 2");
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_true(scene_says("out", " retired "));
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(CTL("tpk", "list", "--json"), 0);
    assert_null(strstr(scene_text("out"), "tpk-1-"));
    assert_true(
        scene_says("out", "{\"id\": \"tpk-2-256\", \"suite\": 256, \"state\": \"current\""));
    assert_true(scene_says("out", "{\"id\": \"tpk-3-256\", \"suite\": 256, \"state\": \"next\""));
    assert_int_equal(rig_stop(&rig), 0);
    assert_true(scene_says("log", "ticket-key-retired generation=1"));
    rig_config(&rig, "kek: file:kms.kek\ntpk_rotate_every: 0\n");
    keys_sql("UPDATE tpk SET starts = starts - 90000000");
    rig_start(&rig);
    assert_true(keys_call());
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_true(scene_says("out", "tpk-2-256")); /* by hand only */
}

static void
wrong_words_are_explained(void **state)
{
    (void)state;
    rig_config(&rig, "kek: files:kms.kek\n");
    assert_int_equal(KMSD(), 3);
    assert_true(scene_says("err", "kms.yaml:4:6: kek: a KEK is written file:FILE"));
    rig_config(&rig, "");
    assert_int_equal(CTL("kek", "init"), 3);
    assert_true(scene_says("err", "name the KEK in the configuration first"));
    rig_config(&rig, "kek: file:kms.kek\n");
    assert_int_equal(CTL("kek", "rotate", "--finish", "--to", "file:x"), 2);
    assert_int_equal(CTL("kek", "rotate", "--to", "paper:x"), 1);
    assert_true(scene_says("err", "a KEK is written"));
}

int
main(void)
{
#define T(test) KEYS(test, "")
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(keys_in_clear_are_gone_after_init, scene_stop),
        T(a_wrong_kek_is_told_at_start),
        cmocka_unit_test_teardown(a_store_in_clear_is_not_taken_for_a_wrapped_one, scene_stop),
        cmocka_unit_test(a_new_store_never_holds_a_key_in_clear),
        T(a_kek_file_is_read_strictly),
        T(a_key_opens_in_its_own_row_only),
        T(a_changed_octet_of_a_sealed_key_is_noticed),
        T(a_planted_key_in_clear_is_refused),
        cmocka_unit_test_setup_teardown(the_kek_is_rotated_while_the_daemon_serves, open_large,
                                        scene_stop),
        cmocka_unit_test_setup_teardown(an_interrupted_rotation_loses_nothing, open_large,
                                        scene_stop),
        T(finishing_never_loses_the_kek_that_is_to_stay),
        T(the_kek_comes_from_a_passphrase),
        T(a_passphrase_is_asked_for_at_the_terminal_unseen),
        T(the_kek_comes_from_a_credential_of_systemd),
        cmocka_unit_test_prestate_setup_teardown(the_kek_stays_in_a_token, keys_open, stop_token,
                                                 (void *)(uintptr_t) ""),
        T(the_daemon_keeps_ticket_keys_by_their_schedule),
        T(wrong_words_are_explained),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
