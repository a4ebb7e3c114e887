/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: what is read, and where errors are said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "config_table.h"

#define HEAD "identity: sip:kms@example.com\n"
#define STORE "store: sqlite:kms.db\n"
#define LISTEN "listen: [udp://127.0.0.1:2269]\n"

static char dir[] = "/tmp/mikey-config-XXXXXX";
static char path[64];
static char err[KMS_CONFIG_ERR];
static struct kms_config config;

static bool
load(const char *yaml)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(yaml, f);
    fclose(f);
    err[0] = '\0';
    return kms_config_load(&config, path, err);
}

/* The error is "PATH:" and then exactly this. */
static void
refused(const char *yaml, const char *expected)
{
    assert_false(load(yaml));
    assert_memory_equal(err, path, strlen(path));
    assert_string_equal(err + strlen(path) + 1, expected);
}

static void
reads_the_three_options_and_fills_in_the_rest(void **state)
{
    (void)state;
    assert_true(load(HEAD "listen: [udp://127.0.0.1:2269, http://127.0.0.1:8080]\n" STORE));
    assert_string_equal(config.identity, "sip:kms@example.com");
    assert_int_equal(config.n_listen, 2);
    assert_int_equal(config.listen[0].transport, KMS_UDP);
    assert_int_equal(config.listen[1].transport, KMS_HTTP);
    assert_memory_equal(config.store, dir, strlen(dir)); /* next to the configuration */
    assert_string_equal(config.store + strlen(dir), "/kms.db");
    assert_int_equal(config.clock_window_s, 300);
    assert_int_equal(config.max_validity_s, 86400);
    assert_int_equal(config.max_body, 65536);
    assert_int_equal(config.suites, 3);
    assert_int_equal(config.modes, 1 << 1 | 1 << 2 | 1 << 3);
    assert_int_equal(config.ticket_types, KMS_MAKES_BASE);
    assert_int_equal(config.certificate.n, 0);
    assert_int_equal(config.sha1, 0);
    assert_int_equal(config.pk_users, 0);
    assert_true(config.workers >= 1);
    assert_int_equal(config.source.rate, 0);
}

static void
the_audit_is_on_unless_it_is_turned_off(void **state)
{
    (void)state;
    assert_true(load(HEAD LISTEN STORE));
    assert_memory_equal(config.audit_dir, dir, strlen(dir));
    assert_string_equal(config.audit_dir + strlen(dir), "/audit"); /* beside the store */
    assert_int_equal(config.audit_sync, 1);
    assert_int_equal(config.audit_optional, 0);
    assert_true(load(HEAD LISTEN STORE "audit:\n  file: /srv/evidence\n  syslog: /dev/log\n"
                                       "  http: https://collector.example/a\n  file_size: 1M\n"
                                       "  file_time: 1h\n  sync: false\n  timeout: 2s\n"
                                       "  optional: [syslog, http]\n"));
    assert_string_equal(config.audit_dir, "/srv/evidence");
    assert_string_equal(config.audit_syslog, "/dev/log");
    assert_string_equal(config.audit_http, "https://collector.example/a");
    assert_int_equal(config.audit_size, 1 << 20);
    assert_int_equal(config.audit_age_s, 3600);
    assert_int_equal(config.audit_sync, 0);
    assert_int_equal(config.audit_timeout_s, 2);
    assert_int_equal(config.audit_optional, 1 << KMS_AUDIT_SYSLOG | 1 << KMS_AUDIT_HTTP);
    assert_true(load(HEAD LISTEN STORE "audit: {file: off}\n"));
    assert_string_equal(config.audit_dir, "");
    refused(HEAD LISTEN STORE "audit:\n  http: ftp://a\n",
            "5:9: audit.http: not a URL of http or https");
    refused(HEAD LISTEN STORE "audit:\n  optional: [tape]\n",
            "5:14: audit.optional: \"tape\" is not one of file, syslog, http, realms");
}

static void
reads_every_other_option(void **state)
{
    (void)state;
    assert_true(load(HEAD "listen: 'http://[::1]:0/ims'\nstore: 'sqlite:/var/lib/kms.db'\n"
                          "workers: 3\nclock_window: 2m\nmax_validity: 7d\n"
                          "replay_capacity: 5000\nretransmit_memory: 1M\nlog_level: debug\n"
                          "log_format: json\nsuites: [256]\nmax_body: 32K\nhttp_timeout: 5s\n"
                          "http_connections: 7\nlimits:\n  source_rate: 100\n"
                          "  identity_rate: 5\n  identity_burst: 50\n"
                          "modes: [1, 3]\nticket_types: compat\ncertificate: [a.pem, /b.pem]\n"
                          "private_key: [a.key, b.key]\ntrust: cas\ncrl: [x.crl]\n"
                          "require_crl: true\nsha1: true\npk_users: any\n"));
    assert_int_equal(config.modes, 1 << 1 | 1 << 3);
    assert_int_equal(config.ticket_types, KMS_MAKES_COMPAT);
    assert_int_equal(config.certificate.n, 2);
    assert_memory_equal(config.certificate.at[0], dir, strlen(dir)); /* next to the configuration */
    assert_string_equal(config.certificate.at[1], "/b.pem");
    assert_int_equal(config.private_key.n, 2);
    assert_int_equal(config.trust.n, 1);
    assert_int_equal(config.crl.n, 1);
    assert_int_equal(config.require_crl, 1);
    assert_int_equal(config.sha1, 1);
    assert_int_equal(config.pk_users, 1);
    assert_string_equal(config.listen[0].prefix, "/ims");
    assert_int_equal(config.listen[0].addr.ss_family, AF_INET6);
    assert_string_equal(config.store, "/var/lib/kms.db");
    assert_int_equal(config.workers, 3);
    assert_int_equal(config.clock_window_s, 120);
    assert_int_equal(config.max_validity_s, 7 * 86400);
    assert_int_equal(config.replay_capacity, 5000);
    assert_int_equal(config.retransmit_memory, 1048576);
    assert_int_equal(config.log_level, 0);
    assert_int_equal(config.log_format, 1);
    assert_int_equal(config.suites, 1 << MKT_PRF_HMAC_SHA_256);
    assert_int_equal(config.max_body, 32768);
    assert_int_equal(config.http_timeout_s, 5);
    assert_int_equal(config.http_connections, 7);
    assert_int_equal(config.source.rate, 100);
    assert_int_equal(config.source.burst, 0); /* twice the rate */
    assert_int_equal(config.identity_quota.rate, 5);
    assert_int_equal(config.identity_quota.burst, 50);
}

static void
suggests_the_option_that_was_meant(void **state)
{
    (void)state;
    refused(HEAD "lisen: [udp://127.0.0.1:1]\n" STORE,
            "2:1: unknown option \"lisen\"; did you mean \"listen\"?");
    refused(HEAD LISTEN STORE "colour: red\n", "4:1: unknown option \"colour\"");
    refused(HEAD LISTEN STORE "limits:\n  sorce_rate: 1\n",
            "5:3: unknown option \"sorce_rate\"; did you mean \"source_rate\"?");
}

static void
names_the_place_of_a_wrong_value(void **state)
{
    (void)state;
    refused(HEAD LISTEN STORE "clock_window: 4x\n",
            "4:15: clock_window: not a number with unit smhd: \"4x\"");
    refused(HEAD LISTEN STORE "clock_window: 2h\n",
            "4:15: clock_window: must be from 1 to 3600 seconds");
    refused(HEAD LISTEN STORE "max_body:   900\n",
            "4:13: max_body: must be from 1024 to 1048576 octets");
    refused(HEAD LISTEN STORE "workers: 257\n", "4:10: workers: must be from 0 to 256");
    refused(HEAD LISTEN STORE "workers: -1\n", "4:10: workers: not a number: \"-1\"");
    refused(HEAD LISTEN STORE "workers: 99999999999999999999\n",
            "4:10: workers: not a number: \"99999999999999999999\"");
    refused(HEAD LISTEN STORE "log_level: loud\n",
            "4:12: log_level: \"loud\" is not one of debug, info, warn, error");
    refused(HEAD LISTEN STORE "suites: [128, 192]\n", "4:15: suites: a suite is 128 or 256");
    refused(HEAD LISTEN STORE "modes: [1, 4]\n",
            "4:12: modes: a mode is 1, 2 or 3 (mode 4 does without a KMS)");
    refused(HEAD LISTEN STORE "ticket_types: [base, wrong]\n",
            "4:22: ticket_types: a Ticket Type is base, compat or reference");
    refused(HEAD LISTEN STORE "ticket_types: []\n", "4:15: \"ticket_types\" is an empty list");
    refused(HEAD LISTEN STORE "modes: []\n", "4:8: \"modes\" is an empty list");
    refused(HEAD LISTEN STORE "certificate: a\n",
            "1:1: each \"certificate\" needs its \"private_key\"");
    refused(HEAD LISTEN STORE "certificate: a\nprivate_key: b\n",
            "1:1: \"trust\" is missing: without it nobody's signature is accepted");
    refused(HEAD LISTEN STORE "sha1: maybe\n", "4:7: sha1: \"maybe\" is not one of false, true");
    refused("identity: kms\n" LISTEN STORE,
            "1:11: identity: not an identity: write a URI (sip:kms@example.com) or a NAI "
            "(kms@example.com)");
    refused(HEAD LISTEN "store: kms.db\n", "3:8: store: a store is written sqlite:FILE");
}

static void
names_the_place_of_a_wrong_address(void **state)
{
    static const struct {
        const char *url, *error;
    } cases[] = {
        { "tcp://127.0.0.1:1", "an address begins with udp://, http:// or https://" },
        { "https://127.0.0.1", "the port is missing: write ADDRESS:PORT (0 for any free port)" },
        { "udp://127.0.0.1", "the port is missing: write ADDRESS:PORT (0 for any free port)" },
        { "udp://127.0.0.1:65536", "the port must be a number from 0 to 65535" },
        { "udp://127.0.0.1:", "the port must be a number from 0 to 65535" },
        { "udp://:2269", "the address is missing (0.0.0.0 or [::] for every interface)" },
        { "udp://kms.example.com:1", "the host must be a numeric IP address" },
        { "udp://::1:2269", "an IPv6 address is written [ADDRESS]:PORT" },
        { "udp://127.0.0.1:1/x", "a udp:// address has no path" },
        { "http://127.0.0.1:1/a b",
          "the path may hold letters, digits, '/', '-', '.', '_' and '~' only" },
    };
    char yaml[512], expected[512];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(yaml, sizeof yaml, HEAD "listen:\n  - udp://127.0.0.1:5\n  - '%s'\n" STORE,
                 cases[i].url);
        snprintf(expected, sizeof expected, "4:5: listen: %s", cases[i].error);
        refused(yaml, expected);
    }
    refused(HEAD "listen: [udp://127.0.0.1:5, udp://127.0.0.1:5]\n" STORE,
            "2:29: listen: the same address stands in the list already");
}

static void
refuses_what_has_the_wrong_shape(void **state)
{
    (void)state;
    refused("", "1:1: the file is empty");
    refused("- a\n- b\n", "1:1: expected options as \"name: value\"");
    refused(HEAD HEAD LISTEN STORE, "2:1: \"identity\" is given twice");
    refused(HEAD LISTEN "store: [a]\n", "3:8: \"store\" needs a single value");
    refused(HEAD "listen: {a: b}\n" STORE, "2:9: \"listen\" needs a list");
    refused(HEAD "listen: []\n" STORE, "2:9: \"listen\" is an empty list");
    refused(HEAD LISTEN STORE "limits: 5\n", "4:9: \"limits\" needs options of its own below it");
    refused(HEAD LISTEN STORE "[a, b]: 5\n", "4:1: the name of an option must be a word");
    refused(HEAD LISTEN STORE "workers: \"1\\0\"\n", "4:10: workers: the value holds a zero octet");
}

static void
names_the_option_that_is_missing(void **state)
{
    (void)state;
    assert_false(load(HEAD LISTEN));
    assert_non_null(strstr(err, ":1:1: \"store\" is missing: sqlite:FILE"));
    assert_false(load(LISTEN STORE));
    assert_non_null(strstr(err, ":1:1: \"identity\" is missing"));
}

static void
passes_on_the_place_of_a_syntax_error(void **state)
{
    (void)state;
    refused(HEAD "listen: [udp://127.0.0.1:5\n" STORE, "3:6: did not find expected ',' or ']'");
    assert_false(load("identity: \xff\xfe\n"));
    assert_non_null(strstr(err, "invalid leading UTF-8 octet"));
    assert_false(load(HEAD "\tlisten: x\n"));
    assert_non_null(strstr(err, ":2:1: "));
}

static void
says_why_a_file_cannot_be_read(void **state)
{
    (void)state;
    assert_false(kms_config_load(&config, "/nonexistent/kms.yaml", err));
    assert_string_equal(err, "/nonexistent/kms.yaml: cannot be read: No such file or directory");
    assert_false(kms_config_load(&config, dir, err));
    assert_non_null(strstr(err, "not a file of at most 1 MiB"));
}

static void
survives_every_truncation_and_many_changed_octets(void **state)
{
    static const char whole[] = HEAD "listen: [udp://127.0.0.1:2269, 'http://[::1]:8080/x']\n" STORE
                                     "limits: {source_rate: 5}\nclock_window: &a 5m\n";
    char yaml[sizeof whole];

    (void)state;
    for (size_t n = 0; n < sizeof whole; n++) {
        memcpy(yaml, whole, sizeof whole);
        yaml[n] = '\0';
        assert_true(load(yaml) || err[0] != '\0');
        memcpy(yaml, whole, sizeof whole);
        yaml[n] = "[]{}:&*!|>'\"%@`\x80"[n % 16];
        yaml[sizeof whole - 1] = '\0';
        assert_true(load(yaml) || err[0] != '\0');
    }
}

static void
tells_uris_from_nais(void **state)
{
    (void)state;
    assert_int_equal(kms_identity_of("sip:a@b").type, MKT_ID_URI);
    assert_int_equal(kms_identity_of("tel:+4930").type, MKT_ID_URI);
    assert_int_equal(kms_identity_of("a@b").type, MKT_ID_NAI);
    assert_non_null(kms_identity_of("a@b").data.p);
    assert_null(kms_identity_of("").data.p);
    assert_null(kms_identity_of("alice").data.p);
    assert_null(kms_identity_of("sip:").data.p);
    assert_null(kms_identity_of("sip:a b@c").data.p);
    assert_null(kms_identity_of("sip:a@b\n").data.p);
}

static int
make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/kms.yaml", dir);
    return 0;
}

static int
remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

/* A reload compares values where the table says that they are. */
static void
every_option_has_a_place_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < kms_n_options; i++) {
        size_t from = kms_options[i].offset, to = from + kms_option_octets(&kms_options[i]);

        assert_true(to > from && to <= sizeof config);
        assert_true(from >= sizeof config.path); /* which comes first, and is no option */
        for (size_t k = 0; k < i; k++)
            assert_true(kms_options[k].offset != from);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_three_options_and_fills_in_the_rest),
        cmocka_unit_test(reads_every_other_option),
        cmocka_unit_test(the_audit_is_on_unless_it_is_turned_off),
        cmocka_unit_test(suggests_the_option_that_was_meant),
        cmocka_unit_test(names_the_place_of_a_wrong_value),
        cmocka_unit_test(names_the_place_of_a_wrong_address),
        cmocka_unit_test(refuses_what_has_the_wrong_shape),
        cmocka_unit_test(names_the_option_that_is_missing),
        cmocka_unit_test(passes_on_the_place_of_a_syntax_error),
        cmocka_unit_test(says_why_a_file_cannot_be_read),
        cmocka_unit_test(survives_every_truncation_and_many_changed_octets),
        cmocka_unit_test(tells_uris_from_nais),
        cmocka_unit_test(every_option_has_a_place_of_its_own),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
