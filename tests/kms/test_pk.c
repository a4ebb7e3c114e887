/* SPDX-License-Identifier: Apache-2.0 */
/* Requests with signatures at the real daemon: who is trusted, who is served, who is revoked, and
 * that their RSA is nobody else's wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "../pki.h"
#include "lane.h"
#include "scene.h"

#define SLOW_MS 10000 /* for an answer that must come */
#define QUIET_MS 200  /* for one that must not */
#define BASE "certificate: kms.cert\nprivate_key: kms.key\ntrust: ca.cert\n"

static char text[65536];
static struct pki keyring;
static const struct mkt_cert *chains[PKI_KEYS][1];
static struct mkt_pk_credential cred[PKI_KEYS];

static const struct mkt_cert *
certificate(enum pki_key key, const char *san, enum pki_key issuer, long serial)
{
    return pki_make(
        &keyring,
        &(struct pki_cert){
            .key = key, .name = "user", .san = san, .issuer_key = issuer, .serial = serial });
}

static void
copy_key(const char *from, const char *to)
{
    char path[512];
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.key.pem", PKI_DIR, from);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    rig_write_octets(&rig, to, mkt_span(text, n));
}

static void
copy_cert(const char *from, const char *to)
{
    char path[512];
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s.cert.pem", PKI_DIR, from);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    rig_write_octets(&rig, to, mkt_span(text, n));
}

/* A user who signs. */
static void
user(struct rig_user *u, const char *identity, enum pki_key key, uint8_t prf)
{
    rig_user_init(u, identity, NULL, prf);
    u->pk = &cred[key];
}

static void
open_with(const char *more)
{
    static const struct mkt_cert *kms;

    rig_open(&rig, more);
    copy_cert("kms", "kms.cert");
    copy_key("kms", "kms.key");
    copy_cert("ca", "ca.cert");
    kms = certificate(PKI_KMS, "URI:" RIG_KMS, PKI_CA, 1);
    chains[PKI_ALICE][0] = certificate(PKI_ALICE, "URI:" ALICE, PKI_CA, 2);
    chains[PKI_BOB][0] = certificate(PKI_BOB, "URI:" BOB, PKI_CA, 3);
    chains[PKI_MALLORY][0] = certificate(PKI_MALLORY, "URI:" ALICE, PKI_MALLORY, 4);
    for (size_t i = 0; i < PKI_KEYS; i++)
        cred[i] = (struct mkt_pk_credential){
            .key = keyring.key[i], .chain = chains[i], .n_chain = 1, .kms = kms
        };
    user(&alice, ALICE, PKI_ALICE, MKT_PRF_HMAC_SHA_256);
    user(&bob, BOB, PKI_BOB, MKT_PRF_HMAC_SHA_256);
}

static void
known(const char *identity)
{
    assert_int_equal(CTL("user", "add", identity), 0);
}

static int
start(void **state)
{
    (void)state;
    open_with(BASE);
    known(ALICE);
    known(BOB);
    rig_start(&rig);
    return 0;
}

static int
only_open(void **state)
{
    (void)state;
    open_with(BASE);
    return 0;
}

static struct mkt_grant *
granted(bool udp, int *error_no, bool *authentic)
{
    struct mkt_span body = mkt_span(ask.octets, ask.len);
    int fd = udp ? rig_udp_socket(&rig) : rig_http_connect(&rig);
    struct mkt_io io;
    size_t n = 0;

    if (udp)
        n = rig_udp_ask(fd, body, out, SLOW_MS);
    else
        assert_int_equal(rig_http_post(fd, "ticketrequest", body, out, &n), 200);
    close(fd);
    *error_no = rig_error_no(mkt_span(out, n), authentic);
    return rig_granted(&ask, mkt_span(out, n), &io);
}

/* The Error no for a request of u, -1 for a ticket. */
static int
requests(const struct rig_user *u, bool udp, bool *authentic)
{
    struct mkt_grant *g;
    int error_no;

    rig_ask_free(&ask);
    rig_request(&ask, u, BOB, 0);
    g = granted(udp, &error_no, authentic);
    assert_int_equal(g != NULL, error_no == -1);
    mkt_grant_free(g);
    return error_no;
}

static void
signed_requests_are_served_in_both_suites_over_both_transports(void **state)
{
    bool authentic;
    int error_no;

    (void)state;
    for (int i = 0; i < 4; i++) {
        uint8_t prf = i < 2 ? MKT_PRF_MIKEY_1 : MKT_PRF_HMAC_SHA_256;
        struct mkt_grant *g;
        struct mkt_io io;
        size_t n;
        int fd;

        user(&alice, ALICE, PKI_ALICE, prf);
        user(&bob, BOB, PKI_BOB, prf);
        rig_ask_free(&ask);
        rig_request(&ask, &alice, BOB, 0);
        g = granted(i % 2 == 0, &error_no, &authentic);
        assert_non_null(g); /* RFC6043:4.2.1.4 */
        rig_ask_free(&again);
        rig_resolve(&again, &bob, &alice, BOB, g);
        fd = rig_http_connect(&rig);
        assert_int_equal(
            rig_http_post(fd, "ticketresolve", mkt_span(again.octets, again.len), out, &n), 200);
        close(fd);
        assert_true(rig_resolved(&again, mkt_span(out, n), &io)); /* RFC6043:4.2.3.5 */
        mkt_grant_free(g);
    }
    assert_int_equal(rig_stop(&rig), 0);
    assert_true(scene_says("log", " stopped answered=8 "));
}

static void
a_repeated_datagram_gets_the_same_octets_and_a_replay_silence(void **state)
{
    int fd = rig_udp_socket(&rig), other = rig_udp_socket(&rig);
    static uint8_t first[MKT_MSG_MAX];
    size_t n;

    (void)state;
    rig_request(&ask, &alice, BOB, 0);
    n = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), first, SLOW_MS);
    assert_true(n > 0);
    assert_int_equal(rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, SLOW_MS), n);
    assert_memory_equal(out, first, n);
    assert_int_equal(rig_udp_ask(other, mkt_span(ask.octets, ask.len), out, QUIET_MS), 0);
    close(fd); /* RFC6043:12.4 */
    close(other);
}

/* The Error no for a request with one word, or the last octet of its signature, changed. */
static int
patched(const struct rig_user *u, const char *from, const char *to)
{
    bool authentic;
    int error_no;

    rig_ask_free(&ask);
    rig_request(&ask, u, "sip:dave@example.com", 0);
    if (from != NULL)
        memcpy(memmem(ask.octets, ask.len, from, strlen(from)), to, strlen(to));
    else
        ask.octets[ask.len - 1] ^= 1;
    assert_null(granted(true, &error_no, &authentic));
    assert_false(authentic); /* RFC3830:5.1.2 */
    return error_no;
}

static void
strangers_and_forgers_are_refused(void **state)
{
    struct rig_user mallory;
    bool authentic;

    (void)state;
    user(&mallory, ALICE, PKI_MALLORY, MKT_PRF_HMAC_SHA_256); /* a certificate of his own making */
    assert_int_equal(requests(&mallory, true, &authentic), MKT_ERR_INVALID_CERT);
    assert_false(authentic);
    assert_int_equal(patched(&bob, "sip:bob@", "sip:eve@"), MKT_ERR_AUTH_FAILURE);
    assert_int_equal(patched(&alice, NULL, NULL), MKT_ERR_AUTH_FAILURE);
    rig_stop(&rig);
    rig_read(&rig, "log", text, sizeof text);
    assert_non_null(strstr(text, "stage=authenticate transport=udp"));
    assert_non_null(strstr(text, "message=REQUEST_INIT_PK claimed=" ALICE " reason=CERT"));
    assert_non_null(strstr(text, "reason=AUTH field=\"IDR is not in the certificate\""));
    assert_non_null(strstr(text, "reason=AUTH field=SIGN"));
    assert_null(strstr(text, "identity=" ALICE));
}

static void
a_certificate_alone_makes_no_user(void **state)
{
    struct rig_user carol;
    bool authentic;

    (void)state;
    chains[PKI_BOB][0] = certificate(PKI_BOB, "URI:sip:carol@example.com", PKI_CA, 5);
    user(&carol, "sip:carol@example.com", PKI_BOB, MKT_PRF_HMAC_SHA_256);
    assert_int_equal(requests(&carol, true, &authentic), MKT_ERR_INVALID_ID);
    assert_true(authentic); /* she is who she says */
}

/* Error no and V of a request with a PSK that the KMS has never seen. */
static int
requests_with_psk(const char *identity, const char *psk_id, bool *authentic, size_t *len)
{
    struct rig_user u;
    int fd = rig_udp_socket(&rig);

    rig_user_init(&u, identity, psk_id, MKT_PRF_HMAC_SHA_256);
    rig_ask_free(&ask);
    rig_request(&ask, &u, BOB, 0);
    *len = rig_udp_ask(fd, mkt_span(ask.octets, ask.len), out, SLOW_MS);
    close(fd);
    return rig_error_no(mkt_span(out, *len), authentic);
}

static void
a_user_without_psk_signs_and_has_no_other_way_in(void **state)
{
    static const char *const psk_ids[] = { NULL, "alice", ALICE };
    size_t len, unknown;
    bool authentic;

    (void)state;
    assert_int_equal(CTL("user", "add", ALICE, "--no-psk"), 0);
    rig_start(&rig);
    assert_int_equal(requests(&alice, true, &authentic), -1);
    for (size_t i = 0; i < sizeof psk_ids / sizeof psk_ids[0]; i++) {
        assert_int_equal(requests_with_psk(ALICE, psk_ids[i], &authentic, &len),
                         MKT_ERR_AUTH_FAILURE); /* RFC3830:5.3-3, as those of nobody */
        assert_false(authentic);
        assert_int_equal(
            requests_with_psk("sip:nobody@example.com", psk_ids[i], &authentic, &unknown),
            MKT_ERR_AUTH_FAILURE);
        assert_int_equal(len, unknown);
    }
    assert_int_equal(CTL("user", "remove", ALICE), 0);
    assert_true(scene_logs(" reloaded "));
    assert_int_equal(requests(&alice, true, &authentic), MKT_ERR_INVALID_ID);
}

static void
anyone_with_a_certificate_is_served_when_configured(void **state)
{
    struct rig_user carol;
    bool authentic;

    (void)state;
    rig_write(&rig, "kms.yaml",
              "identity: " RIG_KMS "\nlisten: [udp://127.0.0.1:0]\n"
              "store: sqlite:kms.db\npk_users: any\n" BASE);
    rig_start(&rig);
    chains[PKI_BOB][0] = certificate(PKI_BOB, "URI:sip:carol@example.com", PKI_CA, 5);
    user(&carol, "sip:carol@example.com", PKI_BOB, MKT_PRF_HMAC_SHA_256);
    assert_int_equal(requests(&carol, true, &authentic), -1);
    /* but not a user of ours who is suspended */
    assert_int_equal(rig_stop(&rig), 0);
    assert_int_equal(CTL("user", "add", "sip:carol@example.com", "--no-psk"), 0);
    assert_int_equal(CTL("user", "suspend", "sip:carol@example.com"), 0);
    rig_start(&rig);
    assert_int_equal(requests(&carol, true, &authentic), MKT_ERR_INVALID_ID);
}

static void
counters_work_with_signatures_and_outlive_a_restart(void **state)
{
    bool authentic;

    (void)state;
    alice.ts_type = MKT_TS_COUNTER;
    rig_counter = 5;
    assert_int_equal(requests(&alice, true, &authentic), -1);
    assert_int_equal(rig_stop(&rig), 0);
    rig_start(&rig);
    rig_counter = 5; /* the same value again, in a new message */
    assert_int_equal(requests(&alice, false, &authentic), MKT_ERR_INVALID_TS);
    assert_int_equal(requests(&alice, false, &authentic), -1);
}

static void
without_a_key_pair_signed_requests_are_not_served(void **state)
{
    bool authentic;

    (void)state;
    rig_write(&rig, "kms.yaml",
              "identity: " RIG_KMS "\nlisten: [udp://127.0.0.1:0]\n"
              "store: sqlite:kms.db\n");
    rig_start(&rig);
    assert_int_equal(requests(&alice, true, &authentic), MKT_ERR_INVALID_DT);
    assert_false(authentic);
}

static void
write_crl(long revoked)
{
    static uint8_t der[4096];
    size_t n = pki_crl(&keyring, PKI_CA, " CA", revoked, 30, der);

    rig_write_octets(&rig, "ca.crl", mkt_span(der, n));
}

static void
a_revoked_certificate_is_refused_as_soon_as_the_list_says_so(void **state)
{
    bool authentic;

    (void)state;
    write_crl(0);
    rig_write(&rig, "kms.yaml",
              "identity: " RIG_KMS "\nlisten: [udp://127.0.0.1:0]\n"
              "store: sqlite:kms.db\ncrl: ca.crl\n" BASE);
    known(ALICE);
    rig_start(&rig);
    assert_int_equal(requests(&alice, true, &authentic), -1);
    write_crl(2); /* while it runs */
    assert_true(scene_logs("certificates-reloaded"));
    assert_int_equal(requests(&alice, true, &authentic), MKT_ERR_INVALID_CERT);
    rig_write(&rig, "ca.crl", "nonsense"); /* what cannot be read changes nothing */
    assert_true(scene_logs("certificates-unreadable"));
    assert_int_equal(requests(&alice, true, &authentic), MKT_ERR_INVALID_CERT);
    write_crl(0);
    for (int i = 0; i < 500 && requests(&alice, true, &authentic) != -1; i++)
        poll(NULL, 0, 10);
    assert_int_equal(requests(&alice, true, &authentic), -1);
}

static void
a_required_list_that_is_missing_refuses_everybody(void **state)
{
    bool authentic;

    (void)state;
    rig_write(&rig, "kms.yaml",
              "identity: " RIG_KMS "\nlisten: [udp://127.0.0.1:0]\n"
              "store: sqlite:kms.db\nrequire_crl: true\n" BASE);
    known(ALICE);
    rig_start(&rig);
    assert_int_equal(requests(&alice, true, &authentic), MKT_ERR_INVALID_CERT);
}

static void
the_second_key_of_the_kms_is_found_by_chash(void **state)
{
    static const struct mkt_cert *second;
    static uint8_t der[4096];
    bool authentic;
    size_t n;

    (void)state;
    n = pki_der(
        &keyring,
        &(struct pki_cert){
            .key = PKI_MALLORY, .name = "kms2", .san = "URI:" RIG_KMS, .issuer_key = PKI_CA },
        der);
    rig_write_octets(&rig, "kms2.cert", mkt_span(der, n));
    copy_key("mallory", "kms2.key");
    rig_write(&rig, "kms.yaml",
              "identity: " RIG_KMS "\nlisten: [udp://127.0.0.1:0]\nstore: sqlite:kms.db\n"
              "certificate: [kms.cert, kms2.cert]\nprivate_key: [kms.key, kms2.key]\n"
              "trust: ca.cert\n");
    known(ALICE);
    rig_start(&rig);
    struct mkt_span rest = mkt_span(der, n);
    struct mkt_err err = { 0 };
    struct mkt_cert *made;

    assert_int_equal(mkt_cert_next(&made, &rest, &err), MKT_OK);
    second = made;
    cred[PKI_ALICE].kms = second;
    cred[PKI_ALICE].chash = true;
    cred[PKI_ALICE].chash_func = MKT_HASH_SHA_256;
    assert_int_equal(requests(&alice, true, &authentic), -1); /* RFC6043:4.2.1.3 */
    cred[PKI_ALICE].chash = false;                            /* the first one does not fit */
    assert_int_not_equal(requests(&alice, true, &authentic), -1);
    mkt_cert_free(made);
}

static void
refuses_to_start_with_files_that_do_not_fit(void **state)
{
    char path[128];

    (void)state;
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 0);
    copy_key("alice", "kms.key");
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 3);
    assert_true(scene_says("err", "kms.key: is not the key of the certificate kms.cert"));
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml"), 3);
    copy_key("kms", "kms.key");
    snprintf(path, sizeof path, "%s/kms.key", rig.dir);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 3);
    assert_true(scene_says("err", "chmod 600"));
    assert_int_equal(chmod(path, 0600), 0);
    rig_write(&rig, "ca.cert", "nonsense");
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 3);
    unlink(path);
    assert_int_equal(RIG_RUN(&rig, "mikey-kmsd", "--config", "kms.yaml", "--check"), 3);
    assert_true(scene_says("err", "kms.key: cannot be read: No such file"));
}

/* Many signed requests at once: those that fit are answered, and those with a PSK do not wait. */
static void
requests_with_a_psk_overtake_those_with_signatures(void **state)
{
    enum { MANY = 40 };
    static struct rig_ask asks[MANY];
    static uint8_t first[MKT_MSG_MAX];
    int fds[MANY], fd = rig_udp_socket(&rig), answered = 0, before = 0;
    struct rig_user dave;
    struct mkt_io io;
    struct mkt_grant *g;
    size_t n;

    (void)state;
    rig_user_init(&dave, "sip:dave@example.com", "dave", MKT_PRF_HMAC_SHA_256);
    rig_add(&rig, &dave);
    assert_true(scene_logs("credentials=3"));
    for (int i = 0; i < MANY; i++) {
        fds[i] = rig_udp_socket(&rig);
        rig_request(&asks[i], &alice, BOB, 0);
    }
    rig_request(&again, &dave, BOB, 0);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(send(fds[i], asks[i].octets, asks[i].len, 0), asks[i].len);
    n = rig_udp_ask(fd, mkt_span(again.octets, again.len), first, SLOW_MS);
    for (int i = 0; i < MANY; i++)
        before += poll(&(struct pollfd){ .fd = fds[i], .events = POLLIN }, 1, 0) == 1;
    g = rig_granted(&again, mkt_span(first, n), &io);
    assert_non_null(g);
    mkt_grant_free(g);
    assert_in_range(before, 0, MANY - 1);
    for (int i = 0; i < MANY; i++) {
        struct pollfd p = { .fd = fds[i], .events = POLLIN };

        answered += poll(&p, 1, SLOW_MS) == 1 && recv(fds[i], out, sizeof out, 0) > 0;
        rig_ask_free(&asks[i]);
        close(fds[i]);
    }
    assert_int_equal(answered, MANY);
    close(fd);
}

static void
stops_in_order_with_signed_requests_under_way(void **state)
{
    int http = rig_http_connect(&rig), udp = rig_udp_socket(&rig);
    char head[256];

    (void)state;
    for (int i = 0; i < 20; i++) {
        rig_ask_free(&ask);
        rig_request(&ask, &alice, BOB, 0);
        assert_int_equal(send(udp, ask.octets, ask.len, 0), ask.len);
    }
    snprintf(head, sizeof head,
             "POST /keymanagement?requesttype=ticketrequest HTTP/1.1\r\nHost: kms\r\n"
             "Content-Type: application/mikey\r\nContent-Length: %zu\r\n\r\n",
             ask.len);
    rig_ask_free(&ask);
    rig_request(&ask, &alice, BOB, 0);
    assert_true(rig_http_send(http, head, strlen(head)));
    assert_true(rig_http_send(http, ask.octets, ask.len));
    assert_int_equal(rig_stop(&rig), 0);
    close(http);
    close(udp);
}

static int
open_keys(void **state)
{
    (void)state;
    return pki_open(&keyring, (int64_t)time(NULL)) ? 0 : -1;
}

static int
close_keys(void **state)
{
    (void)state;
    pki_close(&keyring);
    return 0;
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, scene_stop)
#define TEST_OPEN(name) cmocka_unit_test_setup_teardown(name, only_open, scene_stop)
    const struct CMUnitTest tests[] = {
        TEST(signed_requests_are_served_in_both_suites_over_both_transports),
        TEST(a_repeated_datagram_gets_the_same_octets_and_a_replay_silence),
        TEST(strangers_and_forgers_are_refused),
        TEST(a_certificate_alone_makes_no_user),
        TEST_OPEN(a_user_without_psk_signs_and_has_no_other_way_in),
        TEST_OPEN(anyone_with_a_certificate_is_served_when_configured),
        TEST(counters_work_with_signatures_and_outlive_a_restart),
        TEST_OPEN(without_a_key_pair_signed_requests_are_not_served),
        TEST_OPEN(a_revoked_certificate_is_refused_as_soon_as_the_list_says_so),
        TEST_OPEN(a_required_list_that_is_missing_refuses_everybody),
        TEST_OPEN(the_second_key_of_the_kms_is_found_by_chash),
        TEST_OPEN(refuses_to_start_with_files_that_do_not_fit),
        TEST(requests_with_a_psk_overtake_those_with_signatures),
        TEST(stops_in_order_with_signed_requests_under_way),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_keys, close_keys);
}
