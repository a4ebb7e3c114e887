/* SPDX-License-Identifier: Apache-2.0 */
/* import: what is read, what is refused and where, and that a second run changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "index.h"
#include "scene.h"

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static char said[65536], err[4096];

static int
open_rig(void **state)
{
    (void)state;
    rig_open(&rig, "kek: file:kms.kek\n");
    assert_int_equal(CTL("kek", "init"), 0);
    return 0;
}

static void
put(const char *name, const char *text)
{
    rig_write_octets(&rig, name, mkt_span(text, strlen(text)));
}

/* What import prints; *code gets its exit code. */
static const char *
import(const char *name, int *code)
{
    *code = CTL("import", name);
    rig_read(&rig, "out", said, sizeof said);
    rig_read(&rig, "err", err, sizeof err);
    return said;
}

/* The file is refused with that text, and nothing is changed. */
static void
refused(const char *name, const char *text, const char *why)
{
    int code;

    put(name, text);
    import(name, &code);
    if (code != 1 || strstr(err, why) == NULL)
        fail_msg("%s: exit %d: %s", text, code, err);
    assert_non_null(strstr(err, "; nothing was changed\n"));
    assert_int_equal(CTL("user", "list"), 0);
    rig_read(&rig, "out", said, sizeof said);
    assert_non_null(strstr(said, "No users yet"));
}

static const char csv[] = "identity,psk-id,psk,aliases,groups,expires,suspended\r\n"
                          "sip:alice@example.com,alice," KEY
                          ",tel:+4311 sip:al@example.com,sip:team@example.com,2031-01-31,\r\n"
                          "\r\n"
                          "\"sip:b,ob@example.com\",,,,sip:team@example.com,,true\r\n";

static void
csv_makes_users_devices_aliases_and_groups(void **state)
{
    int code;

    (void)state;
    put("a.csv", csv);
    assert_int_equal(CTL("import", "a.csv", "--dry-run"), 0);
    rig_read(&rig, "out", said, sizeof said);
    assert_string_equal(said, "dry run, nothing was changed: 2 entries: 2 users, 1 credentials, 2 "
                              "aliases, 1 groups and 2 members would be added, 2 users changed\n");
    assert_int_equal(CTL("user", "list"), 0);
    rig_read(&rig, "out", said, sizeof said);
    assert_non_null(strstr(said, "No users yet"));

    import("a.csv", &code);
    assert_int_equal(code, 0);
    assert_string_equal(said,
                        "2 entries: 2 users, 1 credentials, 2 aliases, 1 groups and 2 members "
                        "added, 2 users changed\n");
    import("a.csv", &code); /* once more */
    assert_int_equal(code, 0);
    assert_string_equal(said,
                        "2 entries: 0 users, 0 credentials, 0 aliases, 0 groups and 0 members "
                        "added, 0 users changed\n");
    assert_int_equal(CTL("user", "list"), 0);
    rig_read(&rig, "out", said, sizeof said);
    assert_non_null(strstr(said, "sip:b,ob@example.com             -                        -     "
                                 "suspended"));
    assert_non_null(strstr(said, "2031-01-31T00:00:00Z"));
    assert_non_null(strstr(said, "sip:al@example.com               is sip:alice@example.com"));
    assert_int_equal(CTL("group", "show", "sip:team@example.com"), 0);
    rig_read(&rig, "out", said, sizeof said);
    assert_non_null(strstr(said, "sip:b,ob@example.com             user"));
}

static const char ldif[] = "version: 1\n"
                           "# groups may stand first\n"
                           "dn: cn=Team, ou=groups,dc=example\n"
                           "objectClass: groupOfNames\n"
                           "mail: team@example.com\n"
                           "member: UID=alice,ou=people, dc=example\n"
                           "member: cn=core,ou=groups,dc=example\n"
                           "\n"
                           "dn: ou=people,dc=example\n"
                           "objectClass: organizationalUnit\n"
                           "\n"
                           "dn: uid=alice,ou=people,dc=example\n"
                           "objectClass: inetOrgPerson\n"
                           "sipidentitysipuri: sip:alice@exam\n"
                           " ple.com\n"
                           "SIPIdentitySIPURI;x-tag:: c2lwOmFsQGV4YW1wbGUuY29t\n"
                           "mail: alice@example.com\n"
                           "mikeyPskId: alice\n"
                           "mikeyPsk: " KEY "\n"
                           "\n\n"
                           "dn: cn=core,ou=groups,dc=example\n"
                           "objectClass: groupOfUniqueNames\n"
                           "mail: core@example.com\n"
                           "uniqueMember: uid=bob,ou=people,dc=example\n"
                           "\n"
                           "dn: uid=bob,ou=people,dc=example\n"
                           "changetype: add\n"
                           "mail: bob@example.com\n"
                           "mikeySuspended: TRUE";

static void
ldif_makes_users_and_groups_in_any_order(void **state)
{
    int code;

    (void)state;
    put("a.ldif", ldif);
    import("a.ldif", &code);
    assert_string_equal(err, "");
    assert_int_equal(code, 0);
    assert_string_equal(said,
                        "5 entries: 2 users, 1 credentials, 1 aliases, 2 groups and 3 members "
                        "added, 1 users changed; 1 entries without an identity passed over\n");
    import("a.ldif", &code);
    assert_int_equal(code, 0);
    assert_string_equal(said,
                        "5 entries: 0 users, 0 credentials, 0 aliases, 0 groups and 0 members "
                        "added, 0 users changed; 1 entries without an identity passed over\n");
    assert_int_equal(CTL("group", "show", "team@example.com", "--json"), 0);
    rig_read(&rig, "out", said, sizeof said);
    assert_non_null(strstr(said, "{\"member\": \"sip:alice@example.com\", \"kind\": \"user\"}"));
    assert_non_null(strstr(said, "{\"member\": \"core@example.com\", \"kind\": \"group\"}"));
    assert_int_equal(CTL("user", "list"), 0);
    rig_read(&rig, "out", said, sizeof said);
    assert_non_null(strstr(said, "sip:al@example.com               is sip:alice@example.com"));
}

static void
what_is_wrong_is_said_with_its_line(void **state)
{
    static const struct {
        const char *text, *why;
    } csvs[] = {
        { "name\nx\n", "a.csv:1: \"name\" is no column" },
        { "psk-id,psk\nx\n", "a.csv:1: the first column is identity" },
        { "identity,identity\n", "a.csv:1: the column identity stands twice" },
        { "identity\nsip:a@b\nnothing\n", "a.csv:3: \"nothing\": an identity is" },
        { "identity,aliases\nsip:a@b\n", "a.csv:2: 1 values for 2 columns" },
        { "identity\nsip:a@b,x\n", "a.csv:2: more values than columns" },
        { "identity\n\"sip:a@b\n", "a.csv:2: a quote is not closed" },
        { "identity\n\"sip:a@b\"x\n", "a.csv:2: something follows a value in quotes" },
        { "identity\nsip:a\"@b\n", "a.csv:2: a quote within a value" },
        { "identity,psk-id\nsip:a@b,x\n", "a.csv:2: a psk needs its psk-id" },
        { "identity,psk-id,psk\nsip:a@b,x,00\n", "a.csv:2: a key has 16 to 128 octets" },
        { "identity,psk-id,psk\nsip:a@b,x,zz0102030405060708090a0b0c0d0e0f\n",
          "a.csv:2: a key is written in hexadecimal digits" },
        { "identity,expires\nsip:a@b,2021-02-29\n", "a.csv:2: \"2021-02-29\": a time" },
        { "identity,suspended\nsip:a@b,yes\n", "a.csv:2: \"yes\": suspended is" },
        { "identity,psk-id,psk\nsip:a@b,a b," KEY "\n",
          "a.csv:2: the id of a key holds printable" },
        { "identity,psk-id,psk\nsip:a@b,\033[31m," KEY "\n", "a.csv:2: the id of a key holds" },
        { "identity\nsip:a\xff@b\n", "a.csv:2: an identity is UTF-8" },
        { "identity,aliases\nsip:a@b,sip:\xc3@b\n", "a.csv:2: an identity is UTF-8" },
        { "identity,groups\nsip:a@b,team\n", "a.csv:2: \"team\": an identity is" },
    };
    static const struct {
        const char *text, *why;
    } ldifs[] = {
        { "version: 2\n", "a.ldif:1: LDIF of a version" },
        { "dn: a=b\nno colon\n", "a.ldif:2: neither" },
        { "mail: a@b\n", "a.ldif:1: an entry begins with dn" },
        { "dn: a=b\nchangetype: delete\n", "a.ldif:2: a change other than add" },
        { "dn: a=b\nmail:: !!!!\n", "a.ldif:2: a value that is not in base64" },
        { "dn: a=b\nmail:: YQBi\n", "a.ldif:2: a value with an octet 0" },
        { "dn: a=b\nmail:< file:///etc/passwd\n", "a.ldif:2: a value in another file" },
        { "dn: a=b\nSIPIdentitySIPURI: x\n", "a.ldif:2: \"x\": an identity is" },
        { "dn: a=b\nmail: x\n", "a.ldif:2: \"x\": an identity is" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof csvs / sizeof csvs[0]; i++)
        refused("a.csv", csvs[i].text, csvs[i].why);
    for (size_t i = 0; i < sizeof ldifs / sizeof ldifs[0]; i++)
        refused("a.ldif", ldifs[i].text, ldifs[i].why);
}

static void
what_contradicts_the_store_stops_at_its_line(void **state)
{
    int code;

    (void)state;
    put("a.csv", "identity,psk-id,psk\nsip:a@b,k," KEY "\nsip:c@b,k," KEY "\nsip:d@b,,\n");
    import("a.csv", &code);
    assert_int_equal(code, 4);
    assert_non_null(strstr(err, "a.csv:3: k is taken; what stands before it is done"));
    assert_int_equal(CTL("user", "list"), 0);
    rig_read(&rig, "out", said, sizeof said);
    assert_non_null(strstr(said, "sip:a@b"));
    assert_null(strstr(said, "sip:d@b"));
    put("a.ldif", "dn: cn=g\nobjectClass: groupOfNames\nmail: g@b\nmember: cn=x\n");
    import("a.ldif", &code);
    assert_int_equal(code, 4);
    assert_non_null(strstr(err, "a.ldif:4: the member cn=x is not in this file"));
}

static void
a_file_with_keys_is_for_its_owner_only(void **state)
{
    char path[128];

    (void)state;
    put("a.csv", "identity\nsip:a@b\n");
    snprintf(path, sizeof path, "%s/a.csv", rig.dir);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(CTL("import", "a.csv"), 0); /* no keys in it */
    put("a.csv", csv);
    assert_int_equal(CTL("import", "a.csv"), 1);
    rig_read(&rig, "err", err, sizeof err);
    assert_non_null(strstr(err, "a.csv:2: a file with keys that others can read: chmod 600 it"));
    assert_int_equal(CTL("import", "b.csv"), 1);
    assert_int_equal(CTL("import"), 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, scene_stop)
    const struct CMUnitTest tests[] = {
        TEST(csv_makes_users_devices_aliases_and_groups),
        TEST(ldif_makes_users_and_groups_in_any_order),
        TEST(what_is_wrong_is_said_with_its_line),
        TEST(what_contradicts_the_store_stops_at_its_line),
        TEST(a_file_with_keys_is_for_its_owner_only),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
