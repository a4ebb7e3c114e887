/* SPDX-License-Identifier: Apache-2.0 */
/* Clients whose clocks are ahead of ours: they are served, and what they sent is taken once, over a
 * crash too. A service crashes here by being made anew over its store, at the very instant at which
 * it took the last message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "service.h"
#include "settle.h"

#define S ((int64_t)KMS_NS_PER_S)
#define MS ((int64_t)KMS_NS_PER_MS)
#define FAILS (-1)

static const struct kms_store_ops *real_ops;
static struct kms_store_ops counting;
static int writes; /* to the store; FAILS: the disk is full */

static enum kms_store_rc
count_writes(struct kms_store *s, const struct kms_mark *marks, size_t n, int64_t now,
             struct kms_store_err *err)
{
    if (writes == FAILS)
        return kms_store_fail(err, KMS_STORE_FAILED, "disk full");
    writes++;
    return real_ops->marks(s, marks, n, now, err);
}

static int
open_with(void **state, uint32_t identity_rate)
{
    struct service *f;

    service_open_with(state, identity_rate, 65536);
    f = *state;
    real_ops = f->store->ops;
    counting = *real_ops;
    counting.marks = count_writes;
    f->store->ops = &counting;
    writes = 0;
    return 0;
}

static int
open_service(void **state)
{
    return open_with(state, 0);
}

static int
open_limited(void **state)
{
    return open_with(state, 3);
}

/* Asks as u, whose clock is so far ahead, and returns the time. */
static int64_t
ask(struct service *f, struct rig_user *u, int64_t ahead_ms)
{
    rig_ask_free(&f->ask);
    u->ahead_ms = ahead_ms;
    rig_request(&f->ask, u, u == &f->alice ? BOB : ALICE, 0);
    return kms_unix_ns();
}

/* Takes what was asked last when our clock shows that time; each time from another port. */
static struct kms_reply
take(struct service *f, int64_t now_ns,
     bool (*defer)(void *ctx, const struct kms_request *req, uint64_t tag), void *ctx)
{
    static uint16_t port;
    const struct kms_request req = { .transport = KMS_UDP,
                                     .in = mkt_span(f->ask.octets, f->ask.len),
                                     .from = (const struct sockaddr *)&service_from,
                                     .source = mkt_span(&port, sizeof port),
                                     .out = f->out,
                                     .defer = defer,
                                     .defer_ctx = ctx };
    struct kms_reply r;

    port++;
    kms_worker_clock(f->udp);
    f->udp->now_ns = now_ns;
    f->udp->now_s = now_ns / S;
    f->udp->now = mkt_ntp_from_unix(now_ns / S, (uint32_t)(now_ns % S));
    r = kms_handle(f->udp, &req);
    if (!r.deferred)
        kms_release(f->udp, &req, &r);
    return r;
}

static enum kms_outcome
outcome(struct service *f, int64_t now_ns)
{
    return take(f, now_ns, NULL, NULL).outcome;
}

/* Puts aside what was asked last, and takes it up again. */
static struct rig_ask
put_aside(struct service *f)
{
    struct rig_ask kept = f->ask;

    f->ask.initiator = NULL;
    return kept;
}

static void
take_up(struct service *f, const struct rig_ask *kept)
{
    rig_ask_free(&f->ask);
    f->ask = *kept;
}

/* What was asked last is not answered, whenever it is sent again. */
static void
is_refused_for_good(struct service *f, int64_t now_ns)
{
    for (int64_t after = 0; after < 340 * S; after += after < S ? 10 * MS : S)
        assert_int_equal(outcome(f, now_ns + after), KMS_REFUSED); /* RFC3830:5.4 */
}

/* Another one, whose clock is right, is served from a moment after the start on. */
static void
others_are_served(struct service *f)
{
    const struct rig_ask kept = put_aside(f);
    int64_t now = ask(f, &f->bob, KMS_AHEAD_MS + 1) + (KMS_AHEAD_MS + 1) * MS;

    assert_int_equal(outcome(f, now), KMS_ANSWERED);
    take_up(f, &kept);
}

static void
fifty_milliseconds_ahead_is_an_ordinary_clock_and_taken_once_over_a_crash(void **state)
{
    struct service *f = *state;
    int64_t now = ask(f, &f->alice, 50);

    assert_int_equal(outcome(f, now), KMS_ANSWERED);
    service_again(f, now);
    others_are_served(f);
    is_refused_for_good(f, now);
    assert_int_equal(writes, 0);
}

static void
thirty_seconds_ahead_is_taken_once_over_a_crash(void **state)
{
    struct service *f = *state;
    int64_t now = ask(f, &f->alice, 30000);
    bool authentic;
    struct kms_reply r;

    assert_int_equal(outcome(f, now), KMS_ANSWERED);
    assert_int_equal(outcome(f, now), KMS_REFUSED);
    service_again(f, now);
    others_are_served(f);
    assert_int_equal(writes, 1);
    r = take(f, now + S, NULL, NULL);
    assert_int_equal(r.outcome, KMS_REFUSED);
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_INVALID_TS);
    assert_true(authentic);
    is_refused_for_good(f, now);
}

static void
thirty_seconds_ahead_is_taken_once_over_two_crashes(void **state)
{
    struct service *f = *state;
    int64_t now = ask(f, &f->alice, 30000);

    assert_int_equal(outcome(f, now), KMS_ANSWERED);
    service_again(f, now);
    others_are_served(f);
    service_again(f, now + S);
    is_refused_for_good(f, now + S);
}

static void
who_is_ahead_is_served_again_when_its_clock_is_beyond_the_mark(void **state)
{
    struct service *f = *state;
    int64_t now = ask(f, &f->alice, 30000);

    assert_int_equal(outcome(f, now), KMS_ANSWERED);
    service_again(f, now);
    ask(f, &f->alice, 30000 + 1000 * (KMS_STAMP_MORE - 1)); /* lost: it might have been taken */
    assert_int_equal(outcome(f, now), KMS_REFUSED);
    ask(f, &f->alice, 30000 + 1000 * (KMS_STAMP_MORE + 1));
    assert_int_equal(outcome(f, now), KMS_ANSWERED);
    assert_int_equal(outcome(f, now), KMS_REFUSED);
}

static void
nothing_but_what_was_taken_is_lost_when_it_stops_in_order(void **state)
{
    struct service *f = *state;
    int64_t now = ask(f, &f->alice, 30000);
    struct rig_ask taken;
    struct kms_store_err err;

    assert_int_equal(outcome(f, now), KMS_ANSWERED);
    assert_int_equal(kms_marks_settle(f->service.marks, now / S, &err), KMS_STORE_OK);
    service_again(f, now);
    taken = put_aside(f);
    ask(f, &f->alice, 31000);
    assert_int_equal(outcome(f, now), KMS_ANSWERED);
    take_up(f, &taken);
    is_refused_for_good(f, now);
}

static void
one_write_serves_several_messages_of_who_is_ahead(void **state)
{
    struct service *f = *state;

    for (int i = 0; i < 20; i++) {
        int64_t now = ask(f, &f->alice, 1500 + 100 * i);

        assert_int_equal(outcome(f, now), KMS_ANSWERED);
    }
    assert_int_equal(writes, 1);
}

static void
on_a_full_disk_nobody_who_is_ahead_is_taken_and_all_others_are(void **state)
{
    struct service *f = *state;
    int64_t now = ask(f, &f->alice, 30000);

    writes = FAILS;
    assert_int_equal(outcome(f, now), KMS_BUSY);
    others_are_served(f);
    writes = 0;
    assert_int_equal(outcome(f, now), KMS_ANSWERED); /* it had not been taken */
    assert_int_equal(writes, 1);
}

static void
an_identity_over_its_limit_costs_no_write(void **state)
{
    struct service *f = *state;
    int limited = 0, answered = 0;

    for (int i = 0; i < 10; i++) {
        int64_t now = ask(f, &f->alice, 1000 * (KMS_STAMP_MORE + 2) * (i + 1));
        enum kms_outcome o = outcome(f, now);

        limited += o == KMS_LIMITED;
        answered += o == KMS_ANSWERED;
    }
    assert_int_equal(limited + answered, 10);
    assert_in_range(answered, 3, 5); /* RFC6043:12.3 */
    assert_int_equal(writes, answered);
}

static bool
note_deferred(void *ctx, const struct kms_request *req, uint64_t tag)
{
    (void)req, (void)tag;
    ++*(int *)ctx;
    return true;
}

/* A worker does not wait for the disk: neither it nor what else it was sent. */
static void
only_a_message_that_needs_a_write_is_put_off(void **state)
{
    struct service *f = *state;
    int64_t now = ask(f, &f->alice, 0);
    int put_off = 0;

    assert_int_equal(take(f, now, note_deferred, &put_off).outcome, KMS_ANSWERED);
    now = ask(f, &f->alice, 30000);
    assert_true(take(f, now, note_deferred, &put_off).deferred);
    assert_int_equal(put_off, 1);
    assert_int_equal(writes, 0);
    assert_int_equal(outcome(f, now), KMS_ANSWERED); /* where it may wait */
    now = ask(f, &f->alice, 30100);
    assert_int_equal(take(f, now, note_deferred, &put_off).outcome, KMS_ANSWERED);
    assert_int_equal(put_off, 1);
    assert_int_equal(writes, 1);
}

/* What the run before took as ordinary was less ahead of its clock, not of ours. */
static void
a_clock_that_was_put_back_opens_nothing_to_who_was_ahead_a_little(void **state)
{
    struct service *f = *state;
    int64_t now = ask(f, &f->alice, 3050), began = now;

    assert_int_equal(outcome(f, now + 3 * S), KMS_ANSWERED);
    service_again(f, began);
    assert_in_range(kms_service_former(&f->service, began + 3 * S), 3, 4);
    for (int64_t after = 2 * S; after < 5 * S; after += 10 * MS)
        assert_int_equal(outcome(f, began + after), KMS_REFUSED); /* RFC3830:5.4 */
    now = ask(f, &f->alice, 3000 + KMS_AHEAD_MS + 1);
    assert_int_equal(outcome(f, now + 3 * S + KMS_AHEAD_MS * MS), KMS_ANSWERED);
}

static void
the_wait_for_the_start_is_short_whatever_the_clock_does(void **state)
{
    struct service *f = *state;
    int64_t began;

    service_again(f, kms_unix_ns());
    kms_service_wait(&f->service);
    began = ask(f, &f->alice, 0);
    assert_int_equal(outcome(f, began), KMS_ANSWERED);
    service_again(f, kms_unix_ns() + 600 * S);
    began = kms_steady_ms();
    kms_service_wait(&f->service);
    assert_in_range(kms_steady_ms() - began, KMS_AHEAD_MS, 10000);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_service, service_close)
    const struct CMUnitTest tests[] = {
        TEST(fifty_milliseconds_ahead_is_an_ordinary_clock_and_taken_once_over_a_crash),
        TEST(thirty_seconds_ahead_is_taken_once_over_a_crash),
        TEST(thirty_seconds_ahead_is_taken_once_over_two_crashes),
        TEST(who_is_ahead_is_served_again_when_its_clock_is_beyond_the_mark),
        TEST(nothing_but_what_was_taken_is_lost_when_it_stops_in_order),
        TEST(one_write_serves_several_messages_of_who_is_ahead),
        TEST(on_a_full_disk_nobody_who_is_ahead_is_taken_and_all_others_are),
        cmocka_unit_test_setup_teardown(an_identity_over_its_limit_costs_no_write, open_limited,
                                        service_close),
        TEST(only_a_message_that_needs_a_write_is_put_off),
        TEST(a_clock_that_was_put_back_opens_nothing_to_who_was_ahead_a_little),
        TEST(the_wait_for_the_start_is_short_whatever_the_clock_does),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
