/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that the client brings itself: ticket protection keys and who they are good for, and session
 * keys that are supplied. */
#include "session_key.h"
#include "srtp_suite.h"
#include "tpk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "0123456789abcdef0123456789ABCDEF"
#define ALICE "sip:alice@example.com"
#define BOB "sip:bob@example.com"
#define KMS "sip:kms@example.com"

static char path[] = "/tmp/mikey-ticket-key-XXXXXX";

static const char *
file_with(const char *content, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static int
make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int
remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void
starts_with(const struct cli_error *err, enum cli_exit code, const char *what)
{
    const char *said = err->text;
    if (strncmp(said, path, strlen(path)) == 0)
        said += strlen(path);
    if (err->code != code || strstr(said, what) == NULL)
        fail_msg("%d %s", err->code, err->text);
}

/* --- ticket protection keys --------------------------------------------------------------------
 */

#define KMS_TPK "identity: " BOB "\nkms: " KMS "\ntpk-id: b1\ntpk: \"" KEY "\"\nsuite: 128\n"
#define PAIR_TPK "identity: " BOB "\npeer: " ALICE "\ntpk: \"" KEY "\"\nsuite: 128\n"

static void
load(struct cli_tpk *t, const char *content)
{
    struct cli_error err = { 0 };
    assert_true(cli_tpk_load(t, file_with(content, 0600), BOB, &err));
}

static void
reads_a_key_that_is_shared_with_a_kms_or_a_peer(void **state)
{
    (void)state;
    CLI_SCOPED_TPK t;
    load(&t, KMS_TPK);
    assert_string_equal(t.kms, KMS);
    assert_string_equal(t.id, "b1");
    assert_int_equal(t.key.base.len, 16);
    cli_tpk_wipe(&t);
    load(&t, PAIR_TPK);
    assert_string_equal(t.peer, ALICE);
    assert_string_equal(t.id, "");
}

static void
refuses_key_files_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *content, *says;
        enum cli_exit code;
    } bad[] = {
        { "identity: " ALICE "\nkms: " KMS "\ntpk: \"" KEY "\"\nsuite: 128\n", "is a key of " ALICE,
          CLI_EXIT_USAGE },
        { KMS_TPK "peer: " ALICE "\n", "either kms", CLI_EXIT_FAILURE },
        { "identity: " BOB "\ntpk: \"" KEY "\"\nsuite: 128\n", "either kms", CLI_EXIT_FAILURE },
        { "identity: " BOB "\nkms: " KMS "\ntpk: \"" KEY "\"\nsuite: 256\n",
          ":3:6: tpk: too short for the suite", CLI_EXIT_FAILURE },
        { "identity: " BOB "\nkms: " KMS "\ntpk: xy\nsuite: 128\n",
          ":3:6: tpk: expected pairs of hex digits", CLI_EXIT_FAILURE },
        { "identity: " BOB "\nkms: " KMS "\nsuite: 128\n", "missing before this point: tpk",
          CLI_EXIT_FAILURE },
    };
    for (size_t i = 0; i < CLI_COUNT(bad); i++) {
        CLI_SCOPED_TPK t;
        struct cli_error err = { 0 };
        assert_false(cli_tpk_load(&t, file_with(bad[i].content, 0600), BOB, &err));
        starts_with(&err, bad[i].code, bad[i].says);
        assert_null(strstr(err.text, KEY));
    }
    CLI_SCOPED_TPK t;
    struct cli_error err = { 0 };
    assert_false(cli_tpk_load(&t, file_with(KMS_TPK, 0640), BOB, &err));
    starts_with(&err, CLI_EXIT_FAILURE, "holds secrets");
}

/* RFC6043:4.1.1: who has a TPK can write any name into the tickets it protects, so a key opens the
 * tickets of one party only. */
static void
a_key_opens_the_tickets_of_who_shares_it(void **state)
{
    (void)state;
    static const struct {
        const char *file, *initiator, *kms;
        uint16_t flags;
        enum mkt_rc rc;
    } rows[] = {
        { KMS_TPK, ALICE, KMS, MKT_TP_D, MKT_OK },
        { KMS_TPK, ALICE, NULL, MKT_TP_D, MKT_OK },
        { KMS_TPK, ALICE, KMS, MKT_TP_D | MKT_TP_E, MKT_E_TP_PARAM },
        { KMS_TPK, ALICE, "sip:other@example.com", MKT_TP_D, MKT_E_IDENTITY },
        { KMS_TPK, ALICE, KMS, 0, MKT_E_IDENTITY },
        { PAIR_TPK, ALICE, NULL, 0, MKT_OK },
        { PAIR_TPK, "sip:carol@example.com", NULL, 0, MKT_E_IDENTITY },
        { PAIR_TPK, NULL, NULL, 0, MKT_E_IDENTITY },
        { PAIR_TPK, ALICE, NULL, MKT_TP_E, MKT_E_TP_PARAM },
        { PAIR_TPK, ALICE, KMS, MKT_TP_D, MKT_E_IDENTITY }, /* Alice is no KMS */
    };
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        CLI_SCOPED_TPK t;
        struct mkt_err why = { 0 };
        struct mkt_policy p = { .flags = rows[i].flags };
        load(&t, rows[i].file);
        if (rows[i].initiator != NULL)
            p.initiator = mkt_uri(rows[i].initiator);
        if (rows[i].kms != NULL)
            p.kms = mkt_uri(rows[i].kms);
        assert_int_equal(cli_tpk_may_open(&t, &p, &why), rows[i].rc);
    }
}

static void
a_key_makes_tickets_for_who_can_open_them(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        uint16_t flags;
        const char *to[2];
        bool ok;
    } rows[] = {
        { KMS_TPK, MKT_TP_E, { ALICE, NULL }, true },
        { KMS_TPK, MKT_TP_E, { ALICE, KMS }, true },
        { KMS_TPK, 0, { ALICE, NULL }, false },
        { PAIR_TPK, 0, { ALICE, NULL }, true },
        { PAIR_TPK, 0, { ALICE, KMS }, false },
        { PAIR_TPK, 0, { "sip:carol@example.com", NULL }, false },
        { PAIR_TPK, MKT_TP_E, { ALICE, NULL }, false },
    };
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        CLI_SCOPED_TPK t;
        struct cli_error err = { 0 };
        struct mkt_policy p = { .flags = rows[i].flags };
        load(&t, rows[i].file);
        while (p.n_responders < 2 && rows[i].to[p.n_responders] != NULL) {
            p.responders[p.n_responders] = mkt_uri(rows[i].to[p.n_responders]);
            p.n_responders++;
        }
        assert_int_equal(cli_tpk_may_make(&t, &p, &err), rows[i].ok);
        assert_int_equal(err.code, rows[i].ok ? CLI_EXIT_OK : CLI_EXIT_USAGE);
    }
}

/* --- session keys ------------------------------------------------------------------------------
 */

static bool
supply(struct mkt_keys *keys, struct cli_error *err, enum cli_option id, const char *value)
{
    struct cli_args args = { .value[0][0] = NULL };
    args.value[id][args.n[id]++] = value;
    memset(err, 0, sizeof *err);
    return cli_supply_read(keys, &args, MKT_PRF_HMAC_SHA_256, err);
}

static void
draws_keys_as_they_are_described(void **state)
{
    (void)state;
    CLI_SCOPED_KEYS keys = { .n = 0 }, again = { .n = 0 };
    struct cli_error err;
    assert_true(supply(&keys, &err, CLI_OPT_SUPPLY, "TGK"));
    assert_int_equal(keys.n, 1);
    assert_int_equal(keys.k[0].type, MKT_KEY_TGK);
    assert_int_equal(keys.k[0].key.n, 32); /* of the suite */
    assert_int_equal(keys.k[0].salt.n, 0);
    assert_int_equal(keys.k[0].spi_len, 4);
    assert_true(supply(&again, &err, CLI_OPT_SUPPLY, "TGK"));
    assert_memory_not_equal(keys.k[0].key.b, again.k[0].key.b, 32);
    assert_memory_not_equal(keys.k[0].spi, again.k[0].spi, 4);
    assert_true(supply(&keys, &err, CLI_OPT_SUPPLY, "tek+salt:16:12@0aFF"));
    assert_int_equal(keys.k[0].type, MKT_KEY_TEK_SALT);
    assert_int_equal(keys.k[0].key.n, 16);
    assert_int_equal(keys.k[0].salt.n, 12);
    assert_int_equal(keys.k[0].spi_len, 2);
    assert_memory_equal(keys.k[0].spi, "\x0a\xff", 2);
}

static void
reads_a_key_from_a_private_file(void **state)
{
    (void)state;
    CLI_SCOPED_KEYS keys = { .n = 0 };
    struct cli_error err;
    const char *file = file_with(
        "type: TEK+SALT\nkey: " KEY "\nsalt: 000102030405060708090a0b0c0d\nspi: cafe\n", 0600);
    assert_true(supply(&keys, &err, CLI_OPT_SUPPLY_FILE, file));
    assert_int_equal(keys.k[0].type, MKT_KEY_TEK_SALT);
    assert_int_equal(keys.k[0].key.n, 16);
    assert_int_equal(keys.k[0].key.b[15], 0xEF);
    assert_int_equal(keys.k[0].salt.n, 14);
    assert_memory_equal(keys.k[0].spi, "\xca\xfe", 2);
    assert_true(
        supply(&keys, &err, CLI_OPT_SUPPLY_FILE, file_with("type: TGK\nkey: " KEY "\n", 0600)));
    assert_int_equal(keys.k[0].spi_len, 4); /* drawn */
}

static void
refuses_keys_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        enum cli_option id;
        const char *value, *says;
    } bad[] = {
        { CLI_OPT_SUPPLY, "MPK", "expected TGK, TEK or GTGK" },
        { CLI_OPT_SUPPLY, "TGK@", "the SPI is expected" },
        { CLI_OPT_SUPPLY, "TGK@abc", "the SPI is expected" },
        { CLI_OPT_SUPPLY, "TGK:15", "expected TGK" },
        { CLI_OPT_SUPPLY_FILE, "type: MPK\nkey: " KEY "\n", ":1:7: type: expected TGK" },
        { CLI_OPT_SUPPLY_FILE, "type: TGK\nkey: 00\n", ":2:6: key: expected 16 octets" },
        { CLI_OPT_SUPPLY_FILE, "type: TGK\nkey: " KEY "\nsalt: 00\n", "type: a key of this type" },
        { CLI_OPT_SUPPLY_FILE, "type: TGK+SALT\nkey: " KEY "\n", "type: a key of this type" },
        { CLI_OPT_SUPPLY_FILE, "type: TGK\nkey: " KEY "\nspi: ''\n", ":3:6: spi: expected 1 to" },
        { CLI_OPT_SUPPLY_FILE, "type: TGK\n", "missing before this point: key" },
    };
    for (size_t i = 0; i < CLI_COUNT(bad); i++) {
        CLI_SCOPED_KEYS keys = { .n = 0 };
        struct cli_error err;
        bool file = bad[i].id == CLI_OPT_SUPPLY_FILE;
        assert_false(
            supply(&keys, &err, bad[i].id, file ? file_with(bad[i].value, 0600) : bad[i].value));
        starts_with(&err, file ? CLI_EXIT_FAILURE : CLI_EXIT_USAGE, bad[i].says);
        assert_null(strstr(err.text, KEY));
    }
    CLI_SCOPED_KEYS keys = { .n = 0 };
    struct cli_error err;
    assert_false(
        supply(&keys, &err, CLI_OPT_SUPPLY_FILE, file_with("type: TGK\nkey: " KEY "\n", 0644)));
    starts_with(&err, CLI_EXIT_FAILURE, "holds secrets");
}

static void
a_tek_is_as_long_as_its_suite_takes_it(void **state)
{
    (void)state;
    static const struct {
        const char *suite, *key;
        bool fits;
    } rows[] = {
        { "AES_256_CM_HMAC_SHA1_80", "TEK+SALT", true },
        { "AES_256_CM_HMAC_SHA1_80", "TEK+SALT:16:14", false },
        { "AES_256_CM_HMAC_SHA1_80", "TEK+SALT:32:12", false },
        { "AES_256_CM_HMAC_SHA1_80", "TEK", true }, /* without a salt */
        { "AES_256_CM_HMAC_SHA1_80", "TGK:16", true },
        { "AEAD_AES_256_GCM", "TEK+SALT:32:12", true },
        { "AEAD_AES_256_GCM", "TEK+SALT:32:14", false },
        { "AES_CM_128_HMAC_SHA1_32", "TEK+SALT:16:14", true },
    };
    for (size_t i = 0; i < CLI_COUNT(rows); i++) {
        CLI_SCOPED_KEYS keys = { .n = 0 };
        struct cli_error err;
        const struct cli_srtp_suite *s = cli_srtp_find(rows[i].suite);
        assert_non_null(s);
        assert_true(supply(&keys, &err, CLI_OPT_SUPPLY, rows[i].key));
        assert_int_equal(cli_supply_fits(&keys, mkt_span(s->params, s->n), &err), rows[i].fits);
    }
}

static void
sessions_take_keys_in_order_and_then_the_last(void **state)
{
    (void)state;
    CLI_SCOPED_KEYS keys = { .n = 2 };
    keys.k[0].spi_len = keys.k[1].spi_len = 1;
    keys.k[0].spi[0] = 'a';
    keys.k[1].spi[0] = 'b';
    assert_int_equal(cli_supply_spi(&keys, 0).p[0], 'a');
    assert_int_equal(cli_supply_spi(&keys, 1).p[0], 'b');
    assert_int_equal(cli_supply_spi(&keys, 7).p[0], 'b');
    keys.n = 0;
    assert_int_equal(cli_supply_spi(&keys, 0).n, 0);
}

static bool
spis(struct cli_spis *s, const char *first, const char *second, struct cli_error *err)
{
    struct cli_args args = { .value[CLI_OPT_SPI] = { first, second }, .n[CLI_OPT_SPI] = 2 };
    memset(err, 0, sizeof *err);
    return cli_spis_read(s, &args, err);
}

static void
sessions_take_keys_by_spi(void **state)
{
    (void)state;
    CLI_SCOPED_KEYS ticket = { .n = 2 }, own = { .n = 1 };
    struct cli_error err;
    struct cli_spis s;
    ticket.k[0].type = MKT_KEY_MPK;
    ticket.k[1].type = MKT_KEY_TGK;
    ticket.k[0].spi_len = ticket.k[1].spi_len = own.k[0].spi_len = 1;
    ticket.k[0].spi[0] = 0xAA;
    ticket.k[1].spi[0] = 0xBB;
    own.k[0].spi[0] = 0xCC;
    assert_true(spis(&s, "cc", "BB", &err));
    assert_int_equal(cli_spis_of(&s, 0).p[0], 0xCC);
    assert_int_equal(cli_spis_of(&s, 1).p[0], 0xBB);
    assert_int_equal(cli_spis_of(&s, 9).p[0], 0xBB);
    assert_true(cli_spis_known(&s, &ticket, &own, &err));
    assert_true(spis(&s, "bb", "dd", &err));
    assert_false(cli_spis_known(&s, &ticket, &own, &err));
    starts_with(&err, CLI_EXIT_USAGE, "--spi dd");
    assert_true(spis(&s, "aa", "aa", &err)); /* an MPK is no session key */
    assert_false(cli_spis_known(&s, &ticket, &own, &err));
    assert_false(spis(&s, "bb", "", &err));
    starts_with(&err, CLI_EXIT_USAGE, "the SPI is expected");
    struct cli_args none = { .n = { 0 } };
    assert_true(cli_spis_read(&s, &none, &err));
    assert_int_equal(cli_spis_of(&s, 0).n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_key_that_is_shared_with_a_kms_or_a_peer),
        cmocka_unit_test(refuses_key_files_with_a_reason),
        cmocka_unit_test(a_key_opens_the_tickets_of_who_shares_it),
        cmocka_unit_test(a_key_makes_tickets_for_who_can_open_them),
        cmocka_unit_test(draws_keys_as_they_are_described),
        cmocka_unit_test(reads_a_key_from_a_private_file),
        cmocka_unit_test(refuses_keys_with_a_reason),
        cmocka_unit_test(a_tek_is_as_long_as_its_suite_takes_it),
        cmocka_unit_test(sessions_take_keys_in_order_and_then_the_last),
        cmocka_unit_test(sessions_take_keys_by_spi),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
