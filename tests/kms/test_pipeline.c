/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline without sockets: a service over a memory store, a worker, real messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "hex.h"
#include "service.h"
#include "settle.h"

static int
open_limited(void **state)
{
    return service_open_with(state, 3, 65536);
}

static int
open_small(void **state)
{
    return service_open_with(state, 0, 64);
}

static void
issues_a_ticket_that_the_responder_can_have_resolved(void **state)
{
    static const uint8_t prfs[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };
    struct service *f = *state;
    struct kms_reply r;
    struct mkt_grant *g;
    struct mkt_io io;

    for (size_t i = 0; i < 2; i++) {
        struct rig_user a, b;

        rig_user_init(&a, "sip:a@example.com", i == 0 ? "a0" : "a1", prfs[i]);
        rig_user_init(&b, "sip:b@example.com", i == 0 ? "b0" : "b1", prfs[i]);
        service_add(f, &a, a.psk_id);
        service_add(f, &b, b.psk_id);
        service_reload(f);
        rig_request(&f->ask, &a, b.identity, 0);
        r = service_handle(f, KMS_UDP, &f->ask, 1);
        /* RFC6043:4.2.1.4-2 RFC6043:4.2.3.4-1 */
        assert_int_equal(r.outcome, KMS_ANSWERED);
        g = rig_granted(&f->ask, service_out(f, r), &io);
        assert_non_null(g);
        rig_resolve(&f->resolve, &b, &a, b.identity, g);
        r = service_handle(f, KMS_HTTP, &f->resolve, 1);
        assert_int_equal(r.outcome, KMS_ANSWERED);
        assert_true(rig_resolved(&f->resolve, service_out(f, r), &io));
        mkt_grant_free(g);
        rig_ask_free(&f->ask);
        rig_ask_free(&f->resolve);
    }
}

static void
finds_the_credential_by_identity_when_there_is_exactly_one(void **state)
{
    struct service *f = *state;
    struct kms_reply r;

    f->alice.psk_id = NULL;
    rig_request(&f->ask, &f->alice, BOB, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    /* RFC6043:4.2.1.2-2 */
    assert_int_equal(r.outcome, KMS_ANSWERED);
    service_add(f, &f->alice, "alice-phone");
    service_reload(f);
    rig_ask_free(&f->ask);
    rig_request(&f->ask, &f->alice, BOB, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    assert_int_equal(r.outcome, KMS_REFUSED);
}

static void
fills_in_identities_that_are_left_out(void **state)
{
    struct service *f = *state;

    f->alice.omit = MKT_OMIT_SELF | MKT_OMIT_KMS; /* RFC6043:4.2.1.1: known from the credential */
    rig_request(&f->ask, &f->alice, BOB, 0);
    /* RFC6043:4.2.1.1-6 RFC6043:4.2.1.2-1 */
    assert_int_equal(service_handle(f, KMS_UDP, &f->ask, 1).outcome, KMS_ANSWERED);
}

static void
only_a_responder_of_the_ticket_may_resolve_it(void **state)
{
    struct service *f = *state;
    struct kms_reply r;
    struct mkt_grant *g;
    struct mkt_io io;
    struct rig_user eve;
    bool authentic;

    rig_user_init(&eve, "sip:eve@example.com", "eve", MKT_PRF_HMAC_SHA_256);
    service_add(f, &eve, "eve");
    service_reload(f);
    rig_request(&f->ask, &f->alice, BOB, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    g = rig_granted(&f->ask, service_out(f, r), &io);
    assert_non_null(g);
    rig_resolve(&f->resolve, &eve, &f->alice, eve.identity, g);
    r = service_handle(f, KMS_UDP, &f->resolve, 1);
    /* RFC6043:4.2.3.4-1 RFC6043:12.1-2 */
    assert_int_equal(r.outcome, KMS_REFUSED); /* RFC6043:4.2.3.4 */
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_INVALID_ID);
    assert_true(authentic);
    assert_false(rig_resolved(&f->resolve, service_out(f, r), &io));
    assert_non_null(strstr(service_logged(f), "NOT_AUTHORISED"));
    mkt_grant_free(g);
}

/* The answer to a request with these faults: must be the same octets but for CSB ID and T. */
static size_t
auth_failure(struct service *f, struct rig_user *u, bool flip, uint8_t *copy)
{
    struct kms_reply r;
    bool authentic;

    rig_request(&f->ask, u, BOB, 0);
    if (flip)
        f->ask.octets[f->ask.len - 1] ^= 1;
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    rig_ask_free(&f->ask);
    assert_int_equal(r.outcome, KMS_REFUSED);
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_AUTH_FAILURE);
    assert_false(authentic);
    memcpy(copy, f->out, r.len);
    return r.len;
}

static void
unknown_identity_wrong_key_and_bad_mac_look_the_same(void **state)
{
    struct service *f = *state;
    struct rig_user unknown, wrong;
    uint8_t a[3][256];
    size_t n;

    rig_user_init(&unknown, "sip:nobody@example.com", "nobody", MKT_PRF_HMAC_SHA_256);
    rig_user_init(&wrong, ALICE, "alice", MKT_PRF_HMAC_SHA_256);
    n = auth_failure(f, &unknown, false, a[0]);
    /* RFC6043:5.4-2 RFC3830:5.3-3 */
    assert_int_equal(auth_failure(f, &wrong, false, a[1]), n);
    assert_int_equal(auth_failure(f, &f->alice, true, a[2]), n);
    for (int i = 1; i < 3; i++) {
        assert_memory_equal(a[0], a[i], 4);
        assert_memory_equal(a[0] + 8, a[i] + 8, 4); /* behind the CSB ID */
        assert_memory_equal(a[0] + n - 4, a[i] + n - 4, 4);
    }
}

static void
a_credential_speaks_only_for_its_own_identity(void **state)
{
    struct service *f = *state;
    struct rig_user mallory = f->alice;
    bool authentic;
    struct kms_reply r;

    mallory.identity = BOB; /* with alice's psk-id and key */
    rig_request(&f->ask, &mallory, ALICE, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    /* RFC3830:5.3-2 */
    assert_int_equal(r.outcome, KMS_REFUSED); /* RFC6043:4.2.1.2 */
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_AUTH_FAILURE);
}

static void
a_datagram_sent_again_gets_the_same_octets(void **state)
{
    struct service *f = *state;
    struct kms_reply r;
    uint8_t first[4096];
    size_t n;

    rig_request(&f->ask, &f->alice, BOB, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    n = r.len;
    assert_in_range(n, 1, sizeof first);
    memcpy(first, f->out, n);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    assert_int_equal(r.outcome, KMS_REPEATED);
    assert_int_equal(r.len, n);
    assert_memory_equal(f->out, first, n);
}

static void
a_replay_is_silent_over_udp_and_an_error_over_http(void **state)
{
    struct service *f = *state;
    struct kms_reply r;
    bool authentic;

    rig_request(&f->ask, &f->alice, BOB, 0);
    assert_int_equal(service_handle(f, KMS_UDP, &f->ask, 1).outcome, KMS_ANSWERED);
    r = service_handle(f, KMS_UDP, &f->ask, 2); /* another source: no retransmission */
    /* RFC3830:5.3-1 RFC3830:5.4-2 */
    assert_int_equal(r.outcome, KMS_REFUSED); /* RFC6043:12.4 */
    assert_int_equal(r.len, 0);
    assert_non_null(strstr(service_logged(f), "reason=REPLAY"));
    r = service_handle(f, KMS_HTTP, &f->ask, 3);
    assert_int_equal(r.outcome, KMS_REFUSED);
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_INVALID_TS);
}

static void
a_message_that_failed_is_not_remembered(void **state)
{
    struct service *f = *state;

    rig_request(&f->ask, &f->alice, BOB, 0);
    f->ask.octets[40] ^= 1; /* not in the MAC field: the fingerprint is that of the real message */
    assert_int_not_equal(service_handle(f, KMS_UDP, &f->ask, 1).outcome, KMS_ANSWERED);
    f->ask.octets[40] ^= 1;
    /* RFC3830:5.3-4 */
    assert_int_equal(service_handle(f, KMS_UDP, &f->ask, 1).outcome,
                     KMS_ANSWERED); /* RFC6043:12.4 */
}

static void
a_timestamp_outside_the_window_is_refused(void **state)
{
    struct service *f = *state;
    struct kms_reply r;
    bool authentic;

    static const struct {
        int64_t ahead_s;
        enum kms_outcome expected;
    } cases[] = {
        { -310, KMS_REFUSED }, { -290, KMS_ANSWERED }, { 290, KMS_ANSWERED }, { 310, KMS_REFUSED }
    };

    for (size_t i = 0; i < 4; i++) {
        rig_request(&f->ask, &f->alice, BOB, cases[i].ahead_s);
        r = service_handle(f, KMS_UDP, &f->ask, 1);
        rig_ask_free(&f->ask);
        /* RFC3830:5.3-1 RFC3830:5.4-2 */
        assert_int_equal(r.outcome, cases[i].expected);
        if (r.outcome == KMS_REFUSED) /* RFC3830:5.4 */
            assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_INVALID_TS);
    }
    f->service.start = f->udp->now; /* a restart: what came before cannot be told from a replay */
    rig_request(&f->ask, &f->alice, BOB, -20);
    assert_int_equal(service_handle(f, KMS_UDP, &f->ask, 1).outcome, KMS_REFUSED);
}

static void
every_type_of_timestamp_is_served(void **state)
{
    static const uint8_t types[] = { MKT_TS_NTP_UTC, MKT_TS_NTP, MKT_TS_NTP_UTC_32,
                                     MKT_TS_COUNTER };
    struct service *f = *state;
    struct kms_reply r;
    struct mkt_grant *g;
    struct mkt_io io;

    for (size_t i = 0; i < sizeof types; i++) {
        f->alice.ts_type = types[i];
        rig_request(&f->ask, &f->alice, BOB, 0);
        r = service_handle(f, KMS_HTTP, &f->ask, 1);
        assert_int_equal(r.outcome, KMS_ANSWERED);
        g = rig_granted(&f->ask, service_out(f, r), &io);
        assert_non_null(g);
        mkt_grant_free(g);
        r = service_handle(f, KMS_HTTP, &f->ask, 1);
        assert_int_equal(r.outcome, KMS_REFUSED); /* the same COUNTER or MAC once more */
        rig_ask_free(&f->ask);
    }
}

static void
another_kms_is_told_so(void **state)
{
    struct service *f = *state;
    struct kms_reply r;
    bool authentic;

    rig_request(&f->ask, &f->alice, BOB, 0);
    f->service.identity = mkt_uri("sip:other@example.com");
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    assert_int_equal(r.outcome, KMS_REFUSED);
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_INVALID_ID);
}

static void
a_suite_that_is_not_allowed_is_refused(void **state)
{
    struct service *f = *state;
    struct kms_reply r;
    bool authentic;

    f->config.suites = 1u << MKT_PRF_MIKEY_1;
    rig_request(&f->ask, &f->alice, BOB, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    /* RFC6043:12.1-1 RFC3830:5.3-5 */
    assert_int_equal(r.outcome, KMS_REFUSED);
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_INVALID_PRF);
}

static void
a_full_replay_cache_answers_nobody_new(void **state)
{
    struct service *f = *state;
    unsigned busy = 0, answered = 0;
    struct kms_reply r;

    for (int i = 0; i < 300; i++) {
        rig_request(&f->ask, &f->alice, BOB, 0);
        r = service_handle(f, KMS_UDP, &f->ask, 1);
        rig_ask_free(&f->ask);
        busy += r.outcome == KMS_BUSY;
        answered += r.outcome == KMS_ANSWERED;
        if (r.outcome == KMS_BUSY)
            assert_int_equal(r.len, 0);
    }
    assert_int_equal(busy + answered, 300);
    /* RFC3830:5.4-3 */
    assert_in_range(answered, 32, 64);
    assert_int_equal(kms_tally_outcome(&f->udp->tally, KMS_BUSY), busy);
}

static void
an_identity_has_a_limit_that_strangers_cannot_use_up(void **state)
{
    struct service *f = *state;
    struct rig_user stranger;
    unsigned limited = 0;

    rig_user_init(&stranger, ALICE, "alice", MKT_PRF_HMAC_SHA_256);
    for (int i = 0; i < 10; i++) {
        rig_request(&f->ask, &stranger, BOB, 0);
        assert_int_equal(service_handle(f, KMS_UDP, &f->ask, 1).outcome, KMS_REFUSED);
        rig_ask_free(&f->ask);
    }
    for (int i = 0; i < 10; i++) {
        rig_request(&f->ask, &f->alice, BOB, 0);
        limited += service_handle(f, KMS_UDP, &f->ask, 1).outcome == KMS_LIMITED;
        rig_ask_free(&f->ask);
    }
    /* RFC6043:12.3-1 */
    assert_in_range(limited, 5, 7); /* RFC6043:12.3 */
}

static unsigned written;

static enum kms_store_rc
count_marks(struct kms_store *s, const struct kms_mark *marks, size_t n, int64_t now,
            struct kms_store_err *err)
{
    (void)s, (void)marks, (void)n, (void)now, (void)err;
    written++;
    return KMS_STORE_OK;
}

/* Who jumps with each counter makes the KMS write each time. */
static void
an_identity_over_its_limit_costs_no_write(void **state)
{
    struct service *f = *state;
    const struct kms_store_ops *real = f->store->ops;
    struct kms_store_ops counting = *real;
    unsigned limited = 0, answered = 0;

    counting.marks = count_marks;
    f->store->ops = &counting;
    written = 0;
    f->alice.ts_type = MKT_TS_COUNTER;
    for (int i = 0; i < 10; i++) {
        enum kms_outcome outcome;

        rig_counter += 1000;
        rig_request(&f->ask, &f->alice, BOB, 0);
        outcome = service_handle(f, KMS_UDP, &f->ask, 1).outcome;
        limited += outcome == KMS_LIMITED;
        answered += outcome == KMS_ANSWERED;
        rig_ask_free(&f->ask);
    }
    f->store->ops = real;
    assert_int_equal(limited + answered, 10);
    assert_in_range(answered, 3, 5); /* RFC6043:12.3 */
    assert_int_equal(written, answered);
}

/* One message after the other without the clock moving. */
static unsigned
answers_at_once(struct service *f, const struct sockaddr *source, unsigned n)
{
    unsigned answered = 0;

    kms_worker_clock(f->udp);
    for (unsigned i = 0; i < n; i++) {
        const struct kms_request req = { .transport = KMS_UDP,
                                         .in = mkt_span(f->ask.octets, f->ask.len),
                                         .from = source,
                                         .source = mkt_span(&i, sizeof i),
                                         .out = f->out };
        struct kms_reply r = kms_handle(f->udp, &req);

        kms_release(f->udp, &req, &r);
        answered += r.len != 0;
    }
    return answered;
}

static void
errors_that_anyone_can_provoke_are_limited(void **state)
{
    struct service *f = *state;
    struct rig_user stranger;

    rig_user_init(&stranger, ALICE, "alice", MKT_PRF_HMAC_SHA_256);
    rig_request(&f->ask, &stranger, BOB, 0);
    assert_int_equal(answers_at_once(f, (const struct sockaddr *)&service_from, 1500), 1000);
}

static void
all_addresses_of_one_ipv6_site_share_a_limit(void **state)
{
    struct service *f = *state;
    struct sockaddr_in6 from = { .sin6_family = AF_INET6 };

    atomic_store(&f->config.source.rate, 1);
    atomic_store(&f->config.source.burst, 5);
    f->ask.len = 0; /* limits come before everything else */
    for (uint8_t i = 0; i < 50; i++) {
        from.sin6_addr.s6_addr[15] = i;
        (void)answers_at_once(f, (const struct sockaddr *)&from, 1);
    }
    /* RFC6043:12.3-1; a token may have come back meanwhile */
    unsigned limited = (unsigned)kms_tally_outcome(&f->udp->tally, KMS_LIMITED);
    assert_in_range(limited, 40, 45);
    from.sin6_addr.s6_addr[7] = 1; /* another site */
    (void)answers_at_once(f, (const struct sockaddr *)&from, 1);
    assert_int_equal(kms_tally_outcome(&f->udp->tally, KMS_LIMITED), limited);
}

static void
octets_that_are_no_message_are_dropped(void **state)
{
    struct service *f = *state;
    struct kms_reply r;
    size_t len;

    rig_request(&f->ask, &f->alice, BOB, 0);
    len = f->ask.len;
    for (f->ask.len = 0; f->ask.len < len; f->ask.len++) {
        r = service_handle(f, KMS_UDP, &f->ask, 1);
        assert_int_equal(r.outcome, KMS_MALFORMED);
        assert_int_equal(r.len, 0); /* RFC6043:5.4: an Error is optional */
    }
    assert_int_equal(service_handle(f, KMS_UDP, &f->ask, 1).outcome, KMS_ANSWERED);
    assert_int_equal(kms_tally_outcome(&f->udp->tally, KMS_MALFORMED), len);
}

static void
the_announced_kind_must_be_that_of_the_message(void **state)
{
    struct service *f = *state;
    struct kms_request req;

    rig_request(&f->ask, &f->alice, BOB, 0);
    req = (struct kms_request){ .transport = KMS_HTTP,
                                .want = KMS_WANT_RESOLVE,
                                .in = mkt_span(f->ask.octets, f->ask.len),
                                .from = (const struct sockaddr *)&service_from,
                                .out = f->out };
    kms_worker_clock(f->http);
    assert_int_equal(kms_handle(f->http, &req).outcome, KMS_MALFORMED);
    req.want = KMS_WANT_REQUEST;
    assert_int_equal(kms_handle(f->http, &req).outcome, KMS_ANSWERED);
}

static void
the_log_names_who_and_why_and_never_a_key(void **state)
{
    struct service *f = *state;
    char hex[9];
    const char *text;

    rig_request(&f->ask, &f->alice, BOB, 0);
    service_handle(f, KMS_UDP, &f->ask, 1);
    rig_ask_free(&f->ask);
    rig_request(&f->ask, &f->alice, BOB, 0);
    f->ask.octets[f->ask.len - 1] ^= 1;
    service_handle(f, KMS_UDP, &f->ask, 1);
    text = service_logged(f);
    assert_non_null(strstr(text, " debug request outcome=answered stage=issue transport=udp "
                                 "source=0.0.0.0:256 message=REQUEST_INIT_PSK "
                                 "identity=" ALICE));
    assert_non_null(strstr(text, " info request outcome=refused stage=authenticate"));
    assert_non_null(strstr(text, "claimed=" ALICE " reason=AUTH"));
    kms_hex_write(hex, f->alice.psk.key.b, 4);
    assert_null(strstr(text, hex));
}

static void
log_lines_about_refusals_are_limited_and_counted(void **state)
{
    struct service *f = *state;
    unsigned lines = 0;

    rig_request(&f->ask, &f->alice, BOB, 0);
    f->ask.len = 20;
    for (int i = 0; i < 1000; i++)
        service_handle(f, KMS_UDP, &f->ask, 1);
    for (const char *at = service_logged(f); (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_in_range(lines, 1, 100);
    assert_int_equal(f->udp->suppressed, 1000 - lines);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_open, service_close)
    const struct CMUnitTest tests[] = {
        TEST(issues_a_ticket_that_the_responder_can_have_resolved),
        TEST(finds_the_credential_by_identity_when_there_is_exactly_one),
        TEST(fills_in_identities_that_are_left_out),
        TEST(only_a_responder_of_the_ticket_may_resolve_it),
        TEST(unknown_identity_wrong_key_and_bad_mac_look_the_same),
        TEST(a_credential_speaks_only_for_its_own_identity),
        TEST(a_datagram_sent_again_gets_the_same_octets),
        TEST(a_replay_is_silent_over_udp_and_an_error_over_http),
        TEST(a_message_that_failed_is_not_remembered),
        TEST(a_timestamp_outside_the_window_is_refused),
        TEST(every_type_of_timestamp_is_served),
        TEST(another_kms_is_told_so),
        TEST(a_suite_that_is_not_allowed_is_refused),
        cmocka_unit_test_setup_teardown(a_full_replay_cache_answers_nobody_new, open_small,
                                        service_close),
        cmocka_unit_test_setup_teardown(an_identity_has_a_limit_that_strangers_cannot_use_up,
                                        open_limited, service_close),
        cmocka_unit_test_setup_teardown(an_identity_over_its_limit_costs_no_write, open_limited,
                                        service_close),
        TEST(errors_that_anyone_can_provoke_are_limited),
        TEST(all_addresses_of_one_ipv6_site_share_a_limit),
        TEST(octets_that_are_no_message_are_dropped),
        TEST(the_announced_kind_must_be_that_of_the_message),
        TEST(the_log_names_who_and_why_and_never_a_key),
        TEST(log_lines_about_refusals_are_limited_and_counted),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
