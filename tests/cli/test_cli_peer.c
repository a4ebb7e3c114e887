/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a caller that uses the library itself, and says what is legal but what the
 * client would not say: sessions without a policy, odd numbers, policies of other protocols. Mode
 * 4, so there is no KMS. */
#include "carrier.h"
#include "clock.h"
#include "files.h"
#include "options.h"
#include "session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <mikeyticket/initiator.h>
#include <mikeyticket/responder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "0123456789abcdef0123456789ABCDEF"
#define ALICE "sip:alice@example.com"
#define BOB "sip:bob@example.com"

static const uint8_t key_octets[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                      0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

/* --- the caller ---------------------------------------------------------------------------------
 */

/* Alice; where the client calls, what Bob has. */
static struct peer {
    struct mkt_crypto *crypto;
    struct mkt_env env;
    struct mkt_initiator *initiator;
    struct mkt_grant *grant;
    struct mkt_csb *csb;
    struct mkt_io io;
    uint8_t out[MKT_MSG_MAX];
} alice;

static uint64_t
stamp(void *ctx, uint8_t ts_type)
{
    (void)ctx;
    (void)ts_type;
    return cli_clock_ntp();
}

static void
make_ticket(void)
{
    struct mkt_keys keys = { .n = 1 };
    struct mkt_inkey_mem tpk;
    struct mkt_policy policy;
    struct mkt_err err = { 0 };
    const struct mkt_own_ticket own = {
        .policy = &policy, .tpk = &tpk.base, .keys = &keys, .ts_type = MKT_TS_NTP_UTC
    };
    assert_int_equal(mkt_inkey_mem_init(&tpk, mkt_span(key_octets, sizeof key_octets)), MKT_OK);
    keys.k[0] = (struct mkt_key){ .type = MKT_KEY_TGK, .kv = MKT_KV_SPI, .spi_len = 1 };
    keys.k[0].key.n = 16;
    mkt_policy_init(&policy, MKT_PRF_MIKEY_1);
    policy.flags = MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_L | MKT_TP_N | MKT_TP_O;
    policy.initiator = mkt_uri(ALICE);
    policy.responders[policy.n_responders++] = mkt_uri(BOB);
    assert_int_equal(mkt_grant_create(&alice.grant, &alice.env, &own, &err), MKT_OK);
    mkt_inkey_mem_wipe(&tpk);
}

/* --- files, and the client
 * ------------------------------------------------------------------------ */

static char dir[] = "/tmp/mikey-ticket-peer-XXXXXX";
static const char *const names[] = { "cred",    "pair",   "offer",   "answer",     "bob",
                                     "bob.csb", "update", "updated", "alice.cred", "alice.pair",
                                     "ticket",  "state",  "alice",   "alice.csb" };
static char paths[CLI_COUNT(names)][64];

static const char *
file(const char *name)
{
    for (size_t i = 0; i < CLI_COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return paths[i];
    fail_msg("no file %s", name);
    return NULL;
}

static void
write_secret(const char *name, const char *text)
{
    struct cli_error err = { 0 };
    assert_true(cli_file_write(file(name), CLI_SECRET, mkt_span(text, strlen(text)), &err));
}

static int
begin(void **state)
{
    (void)state;
    struct mkt_credential cred = { .self = mkt_uri(ALICE), .ts_type = MKT_TS_NTP_UTC };
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < CLI_COUNT(names); i++)
        snprintf(paths[i], sizeof paths[i], "%s/%s", dir, names[i]);
    write_secret("cred", "identity: " BOB "\nsuite: 128\n");
    write_secret("pair", "identity: " BOB "\npeer: " ALICE "\ntpk: \"" KEY "\"\nsuite: 128\n");
    write_secret("alice.cred", "identity: " ALICE "\nsuite: 128\n");
    write_secret("alice.pair",
                 "identity: " ALICE "\npeer: " BOB "\ntpk: \"" KEY "\"\nsuite: 128\n");
    cli_quiet = true;
    memset(&alice, 0, sizeof alice);
    alice.crypto = mkt_crypto_new();
    assert_non_null(alice.crypto);
    alice.env = (struct mkt_env){
        .crypto = alice.crypto, .now = cli_clock_ntp(), .random = mkt_crypto_random, .stamp = stamp
    };
    alice.initiator = mkt_initiator_new(&cred);
    assert_non_null(alice.initiator);
    make_ticket();
    return 0;
}

static int
end(void **state)
{
    (void)state;
    mkt_csb_free(alice.csb);
    mkt_initiator_free(alice.initiator);
    mkt_grant_free(alice.grant);
    mkt_crypto_free(alice.crypto);
    for (size_t i = 0; i < CLI_COUNT(names); i++)
        unlink(paths[i]);
    return rmdir(dir);
}

static void
give(struct cli_args *args, enum cli_option id, const char *value)
{
    args->value[id][args->n[id]++] = value;
}

/* Runs a command; its report, which is none of TAP, goes nowhere. */
static bool
run(cli_run *command, const struct cli_args *args, struct cli_error *err)
{
    int kept = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY);
    memset(err, 0, sizeof *err);
    fflush(stdout);
    dup2(nowhere, STDOUT_FILENO);
    bool done = command(args, err);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    close(nowhere);
    return done;
}

static bool
bob_answers(const char *srtp, struct cli_error *err)
{
    static struct cli_args args;
    memset(&args, 0, sizeof args);
    give(&args, CLI_OPT_CREDENTIALS, file("cred"));
    give(&args, CLI_OPT_TPK, file("pair"));
    give(&args, CLI_OPT_OFFER, file("offer"));
    give(&args, CLI_OPT_OUT, file("answer"));
    give(&args, CLI_OPT_SESSION, file("bob"));
    if (srtp != NULL)
        give(&args, CLI_OPT_SRTP, srtp);
    return run(cli_cmd_answer, &args, err);
}

static bool
bob_answers_update(struct cli_error *err)
{
    static struct cli_args args;
    memset(&args, 0, sizeof args);
    give(&args, CLI_OPT_SESSION, file("bob"));
    give(&args, CLI_OPT_UPDATE, file("update"));
    give(&args, CLI_OPT_OUT, file("updated"));
    return run(cli_cmd_answer_update, &args, err);
}

/* --- steps of a call
 * ------------------------------------------------------------------------------ */

static void
send_to_bob(const char *name)
{
    struct cli_error err = { 0 };
    assert_true(cli_carrier_save(file(name), mkt_span(alice.out, alice.io.out_len), false, &err));
}

static void
offer(const struct mkt_offer_cs *cs, size_t n_cs, const struct mkt_pl_sp *sp, size_t n_sp)
{
    const struct mkt_offer o = { .responder = mkt_uri(BOB),
                                 .ts_type = MKT_TS_NTP_UTC,
                                 .cs = cs,
                                 .n_cs = n_cs,
                                 .sp = sp,
                                 .n_sp = n_sp };
    alice.io = (struct mkt_io){ .out = alice.out, .cap = sizeof alice.out };
    assert_int_equal(mkt_initiator_offer(alice.initiator, &alice.env, alice.grant, &o, &alice.io),
                     MKT_NEXT_SEND_PEER);
    send_to_bob("offer");
}

static void
take(const char *name, bool update)
{
    CLI_SCOPED_CARRIER c = { 0 };
    struct cli_error err = { 0 };
    struct mkt_span octets;
    assert_true(
        (update ? cli_carrier_load_update : cli_carrier_load_one)(&c, file(name), &octets, &err));
    alice.io = (struct mkt_io){ .in = octets };
    enum mkt_next next =
        update ? mkt_csb_updated(alice.csb, &alice.env, &alice.io)
               : mkt_initiator_answered(alice.initiator, &alice.env, &alice.io, &alice.csb);
    if (next != MKT_NEXT_DONE)
        fail_msg("%s", mkt_strerror(alice.io.err.rc));
}

/* What the library has, and what the client wrote: the same sessions with the same keys. */
static void
assert_same_sessions_as(const char *name, size_t n)
{
    struct cli_error err = { 0 };
    struct mkt_err why = { 0 };
    struct mkt_csb *bob = NULL;
    int lock = -1;
    assert_true(cli_session_open(&bob, &lock, file(name), &err));
    assert_int_equal(mkt_csb_count(alice.csb), n);
    assert_int_equal(mkt_csb_count(bob), n);
    for (size_t i = 0; i < n; i++) {
        struct mkt_secret key[2] = { { .n = 0 }, { .n = 0 } };
        struct mkt_secret salt[2] = { { .n = 0 }, { .n = 0 } };
        struct mkt_session s[2];
        struct mkt_csb *const ends[] = { alice.csb, bob };
        for (size_t k = 0; k < 2; k++) {
            assert_int_equal(mkt_csb_session(ends[k], i, &s[k]), MKT_OK);
            assert_int_equal(mkt_csb_derive(ends[k], alice.crypto, i, &key[k], &salt[k], &why),
                             MKT_OK);
        }
        assert_int_equal(s[0].cs_id, s[1].cs_id);
        assert_int_equal(s[0].ssrc, s[1].ssrc);
        assert_int_equal(s[0].params.n, s[1].params.n);
        assert_int_equal(key[0].n, 16);
        assert_int_equal(key[1].n, 16);
        assert_memory_equal(key[0].b, key[1].b, 16);
        assert_memory_equal(salt[0].b, salt[1].b, sizeof salt[0].b);
    }
    mkt_csb_free(bob);
    cli_file_unlock(&lock);
}

static void
assert_same_sessions(size_t n)
{
    assert_same_sessions_as("bob", n);
}

static void
update(const struct mkt_offer_cs *cs, size_t n_cs, const struct mkt_pl_sp *sp, size_t n_sp,
       const struct mkt_keys *keys, bool answer)
{
    const struct mkt_update u = {
        .cs = cs, .n_cs = n_cs, .sp = sp, .n_sp = n_sp, .keys = keys, .answer = answer
    };
    alice.env.now = cli_clock_ntp();
    alice.io = (struct mkt_io){ .out = alice.out, .cap = sizeof alice.out };
    assert_int_equal(mkt_csb_update(alice.csb, &alice.env, &u, &alice.io), MKT_NEXT_SEND_PEER);
    send_to_bob("update");
}

static const struct mkt_offer_cs bare = { .cs_id = 7, .has_ssrc = true, .ssrc = 4711 };
static const struct mkt_offer_cs bare_too = { .cs_id = 200, .has_ssrc = true, .ssrc = 4712 };

/* A call with two sessions of odd numbers that leave the policy to Bob. */
static void
call(void)
{
    const struct mkt_offer_cs cs[] = { bare, bare_too };
    struct cli_error err;
    offer(cs, 2, NULL, 0);
    if (!bob_answers(NULL, &err))
        fail_msg("%s", err.text);
    take("answer", false);
}

static bool
names_suite(size_t session, const char *suite)
{
    struct mkt_session s;
    static const uint8_t cm_128[] = { 0, 1, 1, 1, 1, 16 }, gcm_128[] = { 0, 1, 6, 1, 1, 16 };
    const uint8_t *begin_with = strcmp(suite, "AEAD_AES_128_GCM") == 0 ? gcm_128 : cm_128;
    return mkt_csb_session(alice.csb, session, &s) == MKT_OK && s.params.n >= 6 &&
           memcmp(s.params.p, begin_with, 6) == 0;
}

/* --- tests
 * ---------------------------------------------------------------------------------------- */

static void
answers_sessions_that_leave_the_policy_open(void **state)
{
    (void)state;
    call(); /* RFC6043:6.1.1 */
    assert_same_sessions(2);
    assert_true(names_suite(0, "AES_CM_128_HMAC_SHA1_80"));
}

static void
takes_the_first_policy_it_knows_whatever_its_number(void **state)
{
    (void)state;
    static const uint8_t f8[] = { 0, 1, 2 }, none[] = { 1, 1, 16 };
    const struct mkt_pl_sp sp[] = {
        { .policy_no = 5, .prot_type = MKT_PROT_SRTP, .params = { f8, sizeof f8 } },
        { .policy_no = 250, .prot_type = MKT_PROT_SRTP, .params = { none, sizeof none } },
        { .policy_no = 6, .prot_type = 77, .params = { f8, sizeof f8 } }, /* of another protocol */
    };
    struct mkt_offer_cs cs = bare;
    struct cli_error err;
    cs.n_policies = 2;
    cs.policies[0] = 5;
    cs.policies[1] = 250;
    offer(&cs, 1, sp, 3);
    if (!bob_answers(NULL, &err))
        fail_msg("%s", err.text);
    take("answer", false);
    assert_same_sessions(1);
}

static void
refuses_a_session_of_a_protocol_it_does_not_know(void **state)
{
    (void)state;
    static const uint8_t any[] = { 0, 1, 2 };
    const struct mkt_pl_sp sp = { .policy_no = 0, .prot_type = 77, .params = { any, sizeof any } };
    const struct mkt_offer_cs cs[] = { bare, { .cs_id = 8, .prot_type = 77, .n_policies = 1 } };
    struct cli_error err;
    offer(cs, 2, &sp, 1);
    assert_false(bob_answers(NULL, &err));
    assert_int_equal(err.code, CLI_EXIT_PEER);
    assert_non_null(strstr(err.text, "no acceptable security policy"));
    assert_non_null(strstr(err.text, "RFC 6043"));
    assert_int_not_equal(access(file("bob"), F_OK), 0);
    CLI_SCOPED_CARRIER c = { 0 };
    struct mkt_span octets;
    memset(&err, 0, sizeof err);
    assert_true(cli_carrier_load_one(&c, file("answer"), &octets, &err));
    alice.io = (struct mkt_io){ .in = octets }; /* an Error message is there for Alice */
    assert_int_equal(mkt_initiator_answered(alice.initiator, &alice.env, &alice.io, &alice.csb),
                     MKT_NEXT_ABORT);
    assert_int_equal(alice.io.err.rc, MKT_E_PEER_ERROR);
    assert_int_equal(alice.io.peer_error, MKT_ERR_INVALID_SPPAR);
}

static void
answers_an_update_that_leaves_policies_open(void **state)
{
    (void)state;
    struct mkt_keys keys = { .n = 1 };
    struct mkt_offer_cs cs[] = { bare_too,
                                 { .cs_id = 3, .has_ssrc = true, .ssrc = 4713 },
                                 { .cs_id = 4, .has_ssrc = true, .ssrc = 4714 } };
    struct cli_error err;
    call();
    keys.k[0] = (struct mkt_key){ .type = MKT_KEY_TGK, .kv = MKT_KV_SPI, .spi_len = 1 };
    keys.k[0].spi[0] = 9;
    keys.k[0].key.n = 16;
    for (size_t i = 0; i < 3; i++)
        cs[i].spi = mkt_span("\x09", 1);
    update(cs, 3, NULL, 0, &keys, true);
    if (!bob_answers_update(&err)) /* RFC6043:5.2 */
        fail_msg("%s", err.text);
    take("updated", true);
    assert_same_sessions(4);
    assert_true(names_suite(1, "AES_CM_128_HMAC_SHA1_80")); /* as it was */
    assert_true(names_suite(2, "AES_CM_128_HMAC_SHA1_80"));
}

static void
takes_an_update_with_a_policy_of_another_protocol_beside(void **state)
{
    (void)state;
    static const uint8_t gcm[] = { 0, 1, 6, 1, 1, 16, 4, 1, 12, 20, 1, 16 }, other[] = { 0, 1, 2 };
    const struct mkt_pl_sp sp[] = {
        { .policy_no = 2, .prot_type = 77, .params = { other, sizeof other } },
        { .policy_no = 1, .prot_type = MKT_PROT_SRTP, .params = { gcm, sizeof gcm } },
    };
    const struct mkt_offer_cs cs = {
        .cs_id = 3, .n_policies = 1, .policies = { 1 }, .has_ssrc = true, .ssrc = 4713
    };
    struct cli_error err;
    call();
    update(&cs, 1, sp, 2, NULL, true);
    if (!bob_answers_update(&err))
        fail_msg("%s", err.text);
    take("updated", true);
    assert_same_sessions(3);
    assert_true(names_suite(2, "AEAD_AES_128_GCM"));
}

static void
refuses_a_policy_it_does_not_know_before_it_takes_effect(void **state)
{
    (void)state;
    static const uint8_t f8[] = { 0, 1, 2 };
    const struct mkt_pl_sp sp = { .policy_no = 1, .params = { f8, sizeof f8 } };
    const struct mkt_offer_cs cs = { .cs_id = 3,
                                     .n_policies = 1,
                                     .policies = { 1 },
                                     .has_ssrc = true,
                                     .ssrc = 4713,
                                     .spi = mkt_span("", 1) };
    struct cli_error err;
    struct stat before, after;
    call();
    assert_int_equal(stat(file("bob.csb"), &before), 0);
    update(&cs, 1, &sp, 1, NULL, false); /* V = 0: in effect at once */
    assert_false(bob_answers_update(&err));
    assert_int_equal(err.code, CLI_EXIT_PEER);
    assert_non_null(strstr(err.text, "(RFC 6043 4.2.2.4)"));
    assert_int_equal(stat(file("bob.csb"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* not written anew */
}

/* --- the other way: the client calls, the library answers
 * ------------------------------------------ */

static void
alice_offers(void)
{
    static struct cli_args args;
    struct cli_error err;
    memset(&args, 0, sizeof args);
    give(&args, CLI_OPT_CREDENTIALS, file("alice.cred"));
    give(&args, CLI_OPT_TPK, file("alice.pair"));
    give(&args, CLI_OPT_TO, BOB);
    give(&args, CLI_OPT_NO_RESOLVE, "");
    give(&args, CLI_OPT_OUT, file("ticket"));
    assert_true(run(cli_cmd_ticket, &args, &err));
    memset(&args, 0, sizeof args);
    give(&args, CLI_OPT_CREDENTIALS, file("alice.cred"));
    give(&args, CLI_OPT_TICKET, file("ticket"));
    give(&args, CLI_OPT_TO, BOB);
    give(&args, CLI_OPT_OUT, file("offer"));
    give(&args, CLI_OPT_STATE, file("state"));
    assert_true(run(cli_cmd_offer, &args, &err));
}

static void
library_answers(const struct mkt_choice *choice)
{
    const struct mkt_credential cred = { .self = mkt_uri(BOB), .ts_type = MKT_TS_NTP_UTC };
    struct mkt_responder *r = mkt_responder_new(&cred);
    CLI_SCOPED_CARRIER c = { 0 };
    struct cli_error err = { 0 };
    struct mkt_inkey_mem tpk;
    assert_non_null(r);
    assert_int_equal(mkt_inkey_mem_init(&tpk, mkt_span(key_octets, sizeof key_octets)), MKT_OK);
    alice.io = (struct mkt_io){ .out = alice.out, .cap = sizeof alice.out };
    alice.env.now = cli_clock_ntp();
    assert_true(cli_carrier_load_one(&c, file("offer"), &alice.io.in, &err));
    assert_int_equal(mkt_responder_offered(r, &alice.env, 300, &alice.io), MKT_NEXT_ASK);
    mkt_csb_free(alice.csb);
    alice.csb = NULL;
    enum mkt_next next =
        mkt_responder_open(r, &alice.env, choice, &tpk.base, &alice.io, &alice.csb);
    if (next != MKT_NEXT_SEND_PEER)
        fail_msg("%s %s", mkt_strerror(alice.io.err.rc), alice.io.err.what);
    send_to_bob("answer");
    mkt_inkey_mem_wipe(&tpk);
    mkt_responder_free(r);
}

static bool
alice_completes(struct cli_error *err)
{
    static struct cli_args args;
    memset(&args, 0, sizeof args);
    give(&args, CLI_OPT_CREDENTIALS, file("alice.cred"));
    give(&args, CLI_OPT_STATE, file("state"));
    give(&args, CLI_OPT_ANSWER, file("answer"));
    give(&args, CLI_OPT_SESSION, file("alice"));
    return run(cli_cmd_complete, &args, err);
}

static void
takes_an_answer_with_another_policy_and_more_sessions(void **state)
{
    (void)state;
    static const uint8_t gcm[] = { 0, 1, 6, 1, 1, 16, 4, 1, 12, 20, 1, 16 };
    const struct mkt_pl_sp sp = { .policy_no = 99, .params = { gcm, sizeof gcm } };
    const struct mkt_choose_cs cs[] = {
        { .cs_id = 2, .policy_no = 99, .has_ssrc = true, .ssrc = 5 },
        { .cs_id = 1 }, /* in another order, with the policy offered */
        { .cs_id = 77, .policy_no = 99, .has_ssrc = true, .ssrc = 6 },
    };
    const struct mkt_choice choice = { .cs = cs, .n_cs = 3, .sp = &sp, .n_sp = 1 };
    struct cli_error err;
    alice_offers();
    library_answers(&choice);
    if (!alice_completes(&err)) /* RFC6043:4.2.2.3 */
        fail_msg("%s", err.text);
    assert_same_sessions_as("alice", 3);
    assert_true(names_suite(0, "AEAD_AES_128_GCM"));
    assert_true(names_suite(1, "AES_CM_128_HMAC_SHA1_80"));
}

static void
refuses_an_answer_with_a_policy_it_does_not_know_and_stays_open(void **state)
{
    (void)state;
    static const uint8_t f8[] = { 0, 1, 2 };
    const struct mkt_pl_sp sp = { .policy_no = 99, .params = { f8, sizeof f8 } };
    const struct mkt_choose_cs cs[] = { { .cs_id = 1 }, { .cs_id = 2, .policy_no = 99 } };
    const struct mkt_choice odd = { .cs = cs, .n_cs = 2, .sp = &sp, .n_sp = 1 }, plain = { 0 };
    struct cli_error err;
    alice_offers();
    library_answers(&odd);
    assert_false(alice_completes(&err));
    assert_int_equal(err.code, CLI_EXIT_PEER);
    assert_non_null(strstr(err.text, "(RFC 6043 4.2.2.4)"));
    assert_int_not_equal(access(file("alice"), F_OK), 0);
    library_answers(&plain);
    if (!alice_completes(&err))
        fail_msg("%s", err.text);
    assert_same_sessions_as("alice", 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(answers_sessions_that_leave_the_policy_open),
        TEST(takes_the_first_policy_it_knows_whatever_its_number),
        TEST(refuses_a_session_of_a_protocol_it_does_not_know),
        TEST(answers_an_update_that_leaves_policies_open),
        TEST(takes_an_update_with_a_policy_of_another_protocol_beside),
        TEST(refuses_a_policy_it_does_not_know_before_it_takes_effect),
        TEST(takes_an_answer_with_another_policy_and_more_sessions),
        TEST(refuses_an_answer_with_a_policy_it_does_not_know_and_stays_open),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
