/* SPDX-License-Identifier: Apache-2.0 */
/* mikey-kmsctl as an operator meets it: what it prints, what it leaves behind, how it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "keyfile.h"
#include "scene.h"

#define KEY_128 "000102030405060708090a0b0c0d0e0f"
#define KEY_256 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1F"

static char said[16384], err[4096];

static const char *
stdout_text(void)
{
    rig_read(&rig, "out", said, sizeof said);
    return said;
}

static const char *
stderr_text(void)
{
    rig_read(&rig, "err", err, sizeof err);
    return err;
}

/* The value behind `name`, such as "\npsk: ", in text. */
static void
value_of(const char *text, const char *name, char value[300])
{
    const char *at = strstr(text, name);

    assert_non_null(at);
    at += strlen(name);
    at += *at == '"';
    snprintf(value, 300, "%.*s", (int)strcspn(at, "\"\n"), at);
}

static void
a_generated_key_is_shown_once(void **state)
{
    char key[300], id[300];

    (void)state;
    assert_int_equal(CTL("user", "add", "sip:alice@example.com"), 0);
    value_of(stdout_text(), "\npsk: ", key);
    value_of(said, "\npsk-id: ", id);
    assert_memory_equal(said, "# ", 2);
    assert_non_null(strstr(said, "\nidentity: sip:alice@example.com\nkms: sip:kms@example.com\n"));
    assert_non_null(strstr(said, "\nsuite: 256\n"));
    assert_memory_equal(id, "alice-", 6);
    assert_int_equal(strlen(id), 10);
    assert_int_equal(strlen(key), 64);
    assert_int_equal(CTL("user", "list"), 0);
    assert_non_null(strstr(stdout_text(), id));
    assert_null(strstr(said, key));
    assert_int_equal(CTL("user", "list", "--json"), 0);
    assert_null(strstr(stdout_text(), key));
    assert_non_null(strstr(said, "\"identity\": \"sip:alice@example.com\""));
}

static void
a_key_for_suite_128_has_16_octets(void **state)
{
    char key[300];

    (void)state;
    assert_int_equal(CTL("user", "add", "sip:alice@example.com", "--suite", "128"), 0);
    value_of(stdout_text(), "\npsk: ", key);
    assert_int_equal(strlen(key), 32); /* RFC6043:12.1 */
    assert_non_null(strstr(said, "\nsuite: 128\n"));
}

static void
a_key_written_to_a_file_is_not_printed(void **state)
{
    char path[128], key[300], file[4096];
    struct stat st;

    (void)state;
    assert_int_equal(CTL("user", "add", "sip:a@example.com", "--psk-out", "a.yaml"), 0);
    rig_read(&rig, "a.yaml", file, sizeof file);
    value_of(file, "\npsk: ", key);
    assert_null(strstr(stdout_text(), key));
    assert_memory_equal(file, "identity: sip:a@example.com\nkms: sip:kms@example.com\npsk-id: a-",
                        63);
    snprintf(path, sizeof path, "%s/a.yaml", rig.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
an_existing_file_is_never_overwritten(void **state)
{
    char file[64];

    (void)state;
    rig_write(&rig, "a.yaml", "precious");
    assert_int_equal(CTL("user", "add", "sip:a@example.com", "--psk-out", "a.yaml"), 1);
    assert_non_null(strstr(stderr_text(), "File exists; nothing was added"));
    rig_read(&rig, "a.yaml", file, sizeof file);
    assert_string_equal(file, "precious");
    assert_int_equal(CTL("user", "list"), 0);
    assert_non_null(strstr(stdout_text(), "No users yet"));
}

static void
a_given_key_goes_in_and_never_comes_out(void **state)
{
    (void)state;
    assert_int_equal(CTL("user", "add", "sip:a@example.com", "--psk-id", "a", "--psk-hex", KEY_256),
                     0);
    assert_string_equal(stdout_text(), "added sip:a@example.com, psk-id a\n");
    rig_write(&rig, "in", KEY_128 "\n");
    assert_int_equal(CTL("user", "add", "sip:a@example.com", "--psk-id", "b", "--psk-hex", "-"), 0);
    assert_int_equal(CTL("user", "list"), 0);
    assert_null(strstr(stdout_text(), "0001020304"));
    assert_non_null(strstr(said, "a                        256 "));
    assert_non_null(strstr(said, "b                        128 "));
}

static void
wrong_words_are_refused_before_anything_happens(void **state)
{
    static const char *const cases[][8] = {
        { "user", "add", "alice" },
        { "user", "add", "sip:a@b", "--psk-hex", "0011" },
        { "user", "add", "sip:a@b", "--psk-hex", "000102030405060708090a0b0c0d0e0f0" },
        { "user", "add", "sip:a@b", "--psk-hex", "zz000102030405060708090a0b0c0d0e" },
        { "user", "add", "sip:a@b", "--psk-hex", "000102030405060708090a0b0c0d0e0f0011" },
        { "user", "add", "sip:a@b", "--psk-hex", KEY_128, "--suite", "256" },
        { "user", "add", "sip:a@b", "--psk-hex", KEY_256, "--suite", "128" },
        { "user", "add", "sip:a@b", "--suite", "512" },
        { "user", "add", "sip:a@b", "--psk-id", "a b" },
        { "user", "add", "sip:a@b", "--psk-id", "" },
        { "user", "add", "sip:a@b", "--limit", "3" },
        { "user", "add", "alice", "--no-psk" },
        { "user", "add", "sip:a@b", "--no-psk", "--psk-id", "a" },
        { "user", "add", "sip:a@b", "--no-psk", "--psk-hex", KEY_128 },
        { "user", "add", "sip:a@b", "--no-psk", "--psk-out", "a.cred" },
        { "user", "add", "sip:a@b", "--no-psk", "--suite", "256" },
        { "user", "add", "sip:a@b", "--no-psk", "--no-psk" },
        { "user", "remove", "sip:a@b", "--no-psk" },
        { "tpk", "add", "sip:a@b", "--no-psk" },
        { "user", "add", "sip:a@b", "--psk-id", "a", "--psk-id", "b" },
        { "user", "add" },
        { "user", "add", "sip:a@b", "sip:c@d" },
        { "user", "frobnicate" },
        { "tpk", "rotate", "now" },
        { "tpk", "add" },
        { "tpk", "add", "sip:a@b", "--psk-id", "a" },
        { "tpk", "add", "sip:a@b", "--tpk-id", "tpk-7-128" },
        { "tpk", "add", "sip:a@b", "--tpk-hex", "0011" },
        { "tpk", "add", "alice" },
        { "tpk", "remove" },
        { "ticket", "issue", "sip:a@b" },
        { "user" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const *c = cases[i];

        assert_int_equal(CTL(c[0], c[1], c[2], c[3], c[4], c[5], c[6]), 2);
        assert_memory_equal(stderr_text(), "mikey-kmsctl: ", 14);
    }
    assert_int_equal(CTL("user", "list"), 0);
    assert_non_null(strstr(stdout_text(), "No users yet"));
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsctl", "user", "list"), 2);
}

static void
several_devices_of_one_user_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(CTL("user", "add", "sip:bob@example.com", "--psk-id", "bob-phone"), 0);
    assert_int_equal(CTL("user", "add", "sip:bob@example.com", "--psk-id", "bob-desk"), 0);
    assert_int_equal(CTL("user", "add", "sip:eve@example.com", "--psk-id", "bob-desk"), 4);
    assert_non_null(strstr(stderr_text(), "bob-desk is taken"));
    assert_int_equal(CTL("user", "remove", "sip:bob@example.com", "--psk-id", "bob-desk"), 0);
    assert_int_equal(CTL("user", "remove", "sip:bob@example.com", "--psk-id", "bob-desk"), 4);
    assert_int_equal(CTL("user", "list"), 0);
    assert_non_null(strstr(stdout_text(), "bob-phone"));
    assert_int_equal(CTL("user", "remove", "sip:bob@example.com"), 0);
    assert_non_null(strstr(stdout_text(), "removed 1 credential of sip:bob@example.com"));
    assert_int_equal(CTL("user", "remove", "sip:bob@example.com"), 4);
    assert_non_null(strstr(stderr_text(), "sip:bob@example.com is no user"));
}

static void
a_user_without_psk_is_added_listed_and_removed(void **state)
{
    (void)state;
    assert_int_equal(CTL("user", "add", "sip:bob@example.com", "--no-psk"), 0);
    assert_non_null(strstr(stdout_text(), "added sip:bob@example.com, without PSK"));
    assert_non_null(strstr(said, "signed requests are not served")); /* no certificate configured */
    assert_int_equal(CTL("user", "add", "sip:bob@example.com", "--no-psk"), 4);
    assert_non_null(strstr(stderr_text(), "is a user already"));
    assert_int_equal(CTL("user", "list"), 0);
    assert_non_null(strstr(stdout_text(), "sip:bob@example.com              -  "));
    assert_int_equal(CTL("user", "list", "--json"), 0);
    assert_non_null(strstr(stdout_text(), "{\"identity\": \"sip:bob@example.com\", "
                                          "\"psk-id\": null, \"suite\": null, \"added\": \"20"));
    assert_int_equal(CTL("user", "remove", "sip:bob@example.com", "--psk-id", "bob"), 4);
    assert_int_equal(CTL("user", "remove", "sip:bob@example.com"), 0);
    assert_string_equal(stdout_text(), "removed sip:bob@example.com, a user without PSK\n");
    assert_int_equal(CTL("user", "remove", "sip:bob@example.com"), 4);
}

static void
ticket_keys_are_listed_without_keys(void **state)
{
    (void)state;
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_non_null(strstr(stdout_text(), "No ticket protection key yet"));
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_non_null(strstr(stdout_text(), "key 2 is now current"));
    assert_int_equal(CTL("tpk", "list", "--json"), 0);
    assert_non_null(
        strstr(stdout_text(), "{\"id\": \"tpk-1-128\", \"suite\": 128, \"state\": \"previous\""));
    assert_non_null(strstr(said, "{\"id\": \"tpk-2-256\", \"suite\": 256, \"state\": \"current\""));
    assert_null(strstr(said, "key\":"));
}

static void
a_shared_ticket_key_is_handed_out_once(void **state)
{
    char key[300], id[300], file[4096], path[128];
    struct stat st;

    (void)state;
    assert_int_equal(CTL("tpk", "add", "sip:bob@example.com", "--tpk-out", "bob.tpk"), 0);
    rig_read(&rig, "bob.tpk", file, sizeof file);
    assert_memory_equal(file,
                        "identity: sip:bob@example.com\nkms: sip:kms@example.com\ntpk-id: ", 63);
    value_of(file, "\ntpk: ", key);
    value_of(file, "\ntpk-id: ", id);
    assert_int_equal(strlen(key), 64);
    assert_memory_equal(id, "bob-tpk-", 8);
    assert_non_null(strstr(file, "\nsuite: 256\n"));
    assert_null(strstr(stdout_text(), key));
    snprintf(path, sizeof path, "%s/bob.tpk", rig.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(CTL("tpk", "add", "sip:bob@example.com", "--suite", "128"), 0);
    assert_non_null(strstr(stdout_text(), "\nsuite: 128\n"));
    assert_memory_equal(said, "# Added. Hand this key", 22);
    assert_int_equal(
        CTL("tpk", "add", "sip:eve@example.com", "--tpk-id", "e", "--tpk-hex", KEY_256), 0);
    assert_string_equal(stdout_text(), "added sip:eve@example.com, tpk-id e\n");
    assert_int_equal(CTL("tpk", "add", "sip:eve@example.com", "--tpk-id", "e"), 4);
    assert_non_null(strstr(stderr_text(), "tpk-id e is taken"));
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_non_null(strstr(stdout_text(), "OWNER"));
    assert_non_null(strstr(said, "sip:bob@example.com"));
    assert_null(strstr(said, key));
    assert_int_equal(CTL("tpk", "list", "--json"), 0);
    assert_non_null(strstr(stdout_text(), "\"state\": \"shared\""));
    assert_non_null(strstr(said, "\"owner\": \"sip:bob@example.com\""));
    assert_null(strstr(said, key));
    assert_int_equal(CTL("tpk", "remove", "e"), 0);
    assert_int_equal(CTL("tpk", "remove", "e"), 4);
    assert_non_null(strstr(stderr_text(), "there is no key e"));
}

static void
shared_ticket_keys_go_with_the_user(void **state)
{
    (void)state;
    assert_int_equal(CTL("user", "add", "sip:bob@example.com", "--psk-id", "bob"), 0);
    assert_int_equal(CTL("tpk", "add", "sip:bob@example.com", "--tpk-id", "bob-1"), 0);
    assert_int_equal(CTL("tpk", "add", "sip:bob@example.com", "--tpk-id", "bob-2"), 0);
    assert_int_equal(CTL("tpk", "add", "sip:eve@example.com", "--tpk-id", "eve-1"), 0);
    assert_int_equal(CTL("user", "remove", "sip:bob@example.com"), 0);
    assert_non_null(strstr(stdout_text(), "removed 1 credential of sip:bob@example.com\n"));
    assert_non_null(
        strstr(said, "removed 2 ticket protection keys shared with sip:bob@example.com"));
    assert_int_equal(CTL("tpk", "list"), 0);
    assert_null(strstr(stdout_text(), "bob"));
    assert_non_null(strstr(said, "eve-1"));
}

static void
the_current_ticket_key_cannot_be_removed(void **state)
{
    (void)state;
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_int_equal(CTL("tpk", "remove", "tpk-1-256"), 4);
    assert_non_null(strstr(stderr_text(), "tpk rotate first"));
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_int_equal(CTL("tpk", "remove", "tpk-1-256"), 0);
}

static struct mkt_grant *
issued(const char *name)
{
    static char file[65536];
    size_t n = rig_read(&rig, name, file, sizeof file);
    struct mkt_grant *g = NULL;
    struct mkt_err why = { 0 };

    return mkt_grant_import(&g, mkt_span(file, n), &why) == MKT_OK ? g : NULL;
}

static void
a_ticket_can_be_made_in_advance(void **state)
{
    char path[128];
    struct mkt_grant *g;
    struct stat st;

    (void)state;
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_int_equal(CTL("user", "add", "sip:alice@example.com"), 0);
    assert_int_equal(CTL("ticket", "issue", "--as", "sip:alice@example.com", "--to",
                         "sip:bob@example.com", "--flags", "DEFGHIJNO", "--validity", "10h",
                         "--key", "TGK", "--key", "tek+salt:16:14", "--out", "t.mkt"),
                     0);
    assert_non_null(strstr(stdout_text(), "flags DEFGHIJNO, valid until 20"));
    assert_non_null(strstr(said, "protected with tpk-1-256\n"));
    assert_null(strstr(said, "(K)"));
    g = issued("t.mkt");
    assert_non_null(g);
    assert_true(mkt_identity_equal(mkt_grant_policy(g)->initiator,
                                   mkt_uri("sip:alice@example.com"))); /* RFC6043:4.1.1 */
    assert_int_equal(mkt_grant_keys(g)->n, 4);                         /* MPKi, MPKr and two */
    assert_int_equal(mkt_grant_keys(g)->k[3].type, MKT_KEY_TEK_SALT);
    mkt_grant_free(g);
    snprintf(path, sizeof path, "%s/t.mkt", rig.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(CTL("ticket", "issue", "--as", "sip:alice@example.com", "--to",
                         "sip:bob@example.com", "--out", "t.mkt"),
                     1); /* never overwritten */
    assert_non_null(strstr(stderr_text(), "File exists"));
}

static void
a_ticket_made_in_advance_follows_the_policy(void **state)
{
    struct mkt_grant *g;

    (void)state;
    assert_int_equal(CTL("tpk", "rotate"), 0);
    assert_int_equal(CTL("user", "add", "sip:alice@example.com"), 0);
#define ISSUE(...)                                                                         \
    CTL("ticket", "issue", "--as", "sip:alice@example.com", "--to", "sip:bob@example.com", \
        __VA_ARGS__)
    assert_int_equal(ISSUE("--validity", "30d", "--out", "a.mkt"), 0); /* max_validity is a day */
    assert_non_null(strstr(stdout_text(), "changed what was wanted (K)"));
    assert_int_equal(ISSUE("--flags", "DFGHNO", "--out", "b.mkt"), 0); /* bob shares no key */
    assert_non_null(strstr(stdout_text(), "flags DEFGHKNO,"));
    assert_int_equal(CTL("tpk", "add", "sip:bob@example.com", "--tpk-id", "bobs"), 0);
    assert_int_equal(ISSUE("--flags", "DFGHNO", "--out", "c.mkt"), 0);
    assert_non_null(strstr(stdout_text(), "flags DFGHNO,"));
    assert_non_null(strstr(said, "protected with bobs\n"));
    g = issued("c.mkt");
    assert_non_null(g);
    mkt_grant_free(g);
    rig_write(&rig, "kms.yaml",
              "identity: " RIG_KMS "\nlisten: udp://127.0.0.1:0\n"
              "store: sqlite:kms.db\nmodes: [1]\n");
    assert_int_equal(ISSUE("--flags", "DFGHNO", "--out", "d.mkt"), 1);
    assert_non_null(strstr(stderr_text(), "mode 2 is not served"));
    assert_int_equal(ISSUE("--suite", "128", "--key", "TGK:32", "--out", "d.mkt"), 1);
    assert_non_null(strstr(stderr_text(), "key longer than the suite's"));
    assert_null(issued("d.mkt"));
    assert_int_equal(CTL("ticket", "issue", "--as", "sip:eve@example.com", "--to",
                         "sip:bob@example.com", "--out", "d.mkt"),
                     4);
    assert_non_null(strstr(stderr_text(), "is no user"));
}

static void
a_wrong_wish_for_a_ticket_is_explained(void **state)
{
    static const char *const cases[][4] = {
        { "--validity", "soon", "--validity is a time" },
        { "--validity", "0", "--validity is a time" },
        { "--validity", "9d9", "--validity is a time" },
        { "--flags", "DEZ", "letters of DEFGHIJLMNO" },
        { "--flags", "DEFGHIJKNO", "letters of DEFGHIJLMNO" },
        { "--flags", "DEGHNO", "F" }, /* G implies F */
        { "--key", "MPK", "--key is TGK" },
        { "--key", "TGK:", "--key is TGK" },
        { "--key", "TGK:16:14", "--key is TGK" },
        { "--suite", "512", "--suite is" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ISSUE("--out", "x.mkt", cases[i][0], cases[i][1]), 2);
        assert_non_null(strstr(stderr_text(), cases[i][2]));
    }
    assert_int_equal(CTL("ticket", "issue", "--as", "sip:a@b", "--out", "x.mkt"), 2);
    assert_int_equal(CTL("ticket", "issue", "--to", "sip:a@b", "--out", "x.mkt"), 2);
    assert_int_equal(CTL("ticket", "issue", "--as", "sip:a@b", "--to", "sip:a@b"), 2);
    assert_int_equal(CTL("ticket", "issue", "--as", "alice", "--to", "sip:a@b", "--out", "x"), 2);
    assert_int_equal(CTL("ticket", "issue", "--as", "sip:a@b", "--to", "bob", "--out", "x"), 2);
}

static void
a_full_disk_loses_nothing(void **state)
{
    char file[64];

    (void)state;
    assert_int_equal(CTL("user", "add", "sip:a@example.com", "--psk-id", "a"), 0);
    rig.file_limit = 8192; /* less than the database has */
    assert_int_equal(CTL("user", "add", "sip:b@example.com", "--psk-out", "b.yaml"), 4);
    assert_memory_equal(stderr_text(), "mikey-kmsctl: ", 14);
    assert_int_equal(rig_read(&rig, "b.yaml", file, sizeof file), 0); /* no key without a user */
    rig.file_limit = 0;
    assert_int_equal(CTL("user", "list"), 0);
    assert_non_null(strstr(stdout_text(), "sip:a@example.com"));
    assert_null(strstr(said, "sip:b@example.com"));
}

static void
a_store_from_a_newer_version_is_refused(void **state)
{
    char path[128];
    sqlite3 *db;

    (void)state;
    assert_int_equal(CTL("tpk", "rotate"), 0);
    snprintf(path, sizeof path, "%s/kms.db", rig.dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(CTL("user", "list"), 4);
    assert_non_null(strstr(stderr_text(), "the store has version 99, this program knows "));
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml"), 4);
}

static void
values_that_yaml_would_misread_are_quoted(void **state)
{
    struct mkt_secret psk = { .n = 16 };
    struct kms_keyfile c = { KMS_PSK, "sip:a#b@example.com", "sip:kms@example.com", "12345", &psk };
    char text[KMS_KEYFILE_MAX];

    (void)state;
    kms_keyfile_format(text, &c);
    assert_non_null(strstr(text, "identity: 'sip:a#b@example.com'\n"));
    assert_non_null(strstr(text, "psk-id: '12345'\n"));
    assert_non_null(strstr(text, "psk: \"00000000000000000000000000000000\"\nsuite: 128\n"));
    c.id = "it's";
    kms_keyfile_format(text, &c);
    assert_non_null(strstr(text, "psk-id: 'it''s'\n"));
}

static void
help_goes_to_standard_output(void **state)
{
    (void)state;
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsctl", "--help"), 0);
    assert_non_null(strstr(stdout_text(), "user add IDENTITY"));
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsctl", "--version"), 0);
    assert_memory_equal(stdout_text(), "mikey-kmsctl ", 13);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--help"), 0);
    assert_non_null(strstr(stdout_text(), "clock_window"));
    assert_non_null(strstr(said, "5 cannot listen"));
}

int
main(void)
{
#define TEST(name) SCENE_FOLDER(name, NULL)
    const struct CMUnitTest tests[] = {
        TEST(a_generated_key_is_shown_once),
        TEST(a_key_for_suite_128_has_16_octets),
        TEST(a_key_written_to_a_file_is_not_printed),
        TEST(an_existing_file_is_never_overwritten),
        TEST(a_given_key_goes_in_and_never_comes_out),
        TEST(wrong_words_are_refused_before_anything_happens),
        TEST(several_devices_of_one_user_are_told_apart),
        TEST(a_user_without_psk_is_added_listed_and_removed),
        TEST(ticket_keys_are_listed_without_keys),
        TEST(a_shared_ticket_key_is_handed_out_once),
        TEST(shared_ticket_keys_go_with_the_user),
        TEST(the_current_ticket_key_cannot_be_removed),
        TEST(a_ticket_can_be_made_in_advance),
        TEST(a_ticket_made_in_advance_follows_the_policy),
        TEST(a_wrong_wish_for_a_ticket_is_explained),
        TEST(a_full_disk_loses_nothing),
        TEST(a_store_from_a_newer_version_is_refused),
        TEST(values_that_yaml_would_misread_are_quoted),
        TEST(help_goes_to_standard_output),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
