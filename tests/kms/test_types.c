/* SPDX-License-Identifier: Apache-2.0 */
/* Ticket Types beside the MIKEY base ticket at the KMS: made only where the configuration says so.
 * The Responder of a compatibility ticket is one that was written from RFC 3830 alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../rfc3830_peer.h"
#include "service.h"

static const uint8_t psk[40] = "a key that the KMS and Bob have in commo";

/* What the KMS says to a wish of alice; the grant, or NULL and *error_no. */
static struct mkt_grant *
ask(struct service *f, const struct mkt_policy *want, int *error_no)
{
    struct mkt_grant *g;
    struct kms_reply r;
    struct mkt_io io;
    bool authentic;

    rig_ask_free(&f->ask);
    rig_request_want(&f->ask, &f->alice, want, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    *error_no = rig_error_no(service_out(f, r), &authentic);
    g = rig_granted(&f->ask, service_out(f, r), &io);
    assert_true(g != NULL || authentic); /* RFC6043:5.4-3 */
    return g;
}

static int
refusal(struct service *f, const struct mkt_policy *want)
{
    int error_no;

    assert_null(ask(f, want, &error_no));
    return error_no;
}

/* --- compatibility tickets, RFC 6043 B.1 --- */

static void
want_compat(struct mkt_policy *want, const struct service *f, uint8_t subtype)
{
    struct mkt_policy like;

    rig_want(&like, &f->alice, BOB, 0);
    mkt_policy_init_compat(want, subtype);
    want->end = like.end;
    want->n_responders = 1;
    want->responders[0] = like.responders[0];
}

static void
compat_open(struct service *f, size_t psk_len)
{
    f->config.ticket_types = KMS_MAKES_BASE | KMS_MAKES_COMPAT;
    service_policy(f, NULL);
    service_share(f, BOB, "bob-3830", mkt_span(psk, psk_len));
    service_reload(f);
}

static void
assert_bob_reads(const struct mkt_grant *g, size_t psk_len)
{
    struct mkt_env env = rig_env(0);
    struct mkt_err err = { 0 };
    struct mkt_compat compat;
    struct i_message bob;
    uint8_t tek[16], tek_bob[16];
    MKT_SCOPED_SECRET
    mine = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };

    assert_int_equal(mkt_grant_compat(g, &env, &compat, &err), MKT_OK);
    assert_null(peer_read(&bob, (struct octets){ compat.message.p, compat.message.n }));
    assert_string_equal(peer_open(&bob, (struct octets){ psk + 1, psk_len }), "MAC");
    assert_null(peer_open(&bob, (struct octets){ psk, psk_len }));
    assert_true(peer_derive(&bob, 0x2AD01C64, 1, tek_bob, sizeof tek_bob));
    assert_int_equal(mkt_grant_compat_derive(g, &env, 1, &mine, &salt, &err), MKT_OK);
    assert_int_equal(mine.n, sizeof tek);
    assert_memory_equal(mine.b, tek_bob, sizeof tek_bob);
}

/* 16 octets, and a longer key, which would be of the other suite for tickets of RFC 6043. */
static void
a_responder_of_rfc_3830_is_reached_with_its_own_key(void **state)
{
    static const size_t lens[] = { 16, 32, 39 };

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        struct service *f;
        struct mkt_policy want;
        struct mkt_grant *g;
        void *fresh;
        int error_no;

        service_open(&fresh);
        f = fresh;
        compat_open(f, lens[i / 2]);
        want_compat(&want, f, i % 2 == 0 ? MKT_COMPAT_IDS : MKT_COMPAT_NO_IDS);
        g = ask(f, &want, &error_no);
        assert_non_null(g);
        assert_bob_reads(g, lens[i / 2]);
        mkt_grant_free(g);
        service_close(&fresh);
    }
}

static void
no_compatibility_ticket_is_made_where_it_is_not_configured(void **state)
{
    struct service *f = *state;
    struct mkt_policy want;
    int error_no;

    compat_open(f, 16);
    f->config.ticket_types = KMS_MAKES_BASE;
    service_policy(f, NULL);
    want_compat(&want, f, MKT_COMPAT_IDS);
    assert_int_equal(refusal(f, &want), MKT_ERR_INVALID_TICKET); /* RFC6043:6.9 number 14 */
    assert_non_null(strstr(service_logged(f), "reason=TICKET_TYPE field=\"not in ticket_types\""));
    f->config.ticket_types = KMS_MAKES_COMPAT; /* nor a base ticket, where that is not */
    service_policy(f, NULL);
    rig_want(&want, &f->alice, BOB, 0);
    assert_int_equal(refusal(f, &want), MKT_ERR_INVALID_TICKET);
    want_compat(&want, f, MKT_COMPAT_IDS);
    struct mkt_grant *g = ask(f, &want, &error_no);
    assert_non_null(g);
    mkt_grant_free(g);
}

static void
no_compatibility_ticket_is_made_under_another_key(void **state)
{
    struct service *f = *state;
    struct mkt_policy want;

    f->config.ticket_types = KMS_MAKES_BASE | KMS_MAKES_COMPAT;
    service_policy(f, NULL);
    service_share(f, "sip:eve@example.com", "eve-3830", mkt_span(psk, 16));
    service_reload(f);
    want_compat(&want, f, MKT_COMPAT_IDS);
    assert_int_equal(refusal(f, &want), MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "IDRr shares no key"));
    service_share(f, BOB, "bob-3830", mkt_span(psk, 16));
    service_reload(f);
    want.responders[want.n_responders++] = mkt_uri("sip:eve@example.com");
    assert_int_equal(refusal(f, &want), MKT_ERR_INVALID_TPPAR); /* RFC 3830 3.1 has one IDr */
}

/* It is a ticket under the key of its Responder, so `modes` has its say. */
static void
a_compatibility_ticket_is_of_mode_2(void **state)
{
    struct service *f = *state;
    struct mkt_policy want;

    compat_open(f, 16);
    f->config.modes = 1 << 1 | 1 << 3;
    service_policy(f, NULL);
    want_compat(&want, f, MKT_COMPAT_IDS);
    assert_int_equal(refusal(f, &want), MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "mode 2 is not served"));
}

static void
a_wish_that_rfc_3830_cannot_keep_is_refused(void **state)
{
    struct service *f = *state;
    struct mkt_policy want;

    compat_open(f, 16);
    for (int i = 0; i < 4; i++) {
        want_compat(&want, f, MKT_COMPAT_IDS);
        if (i == 0)
            want.flags |= MKT_TP_J;
        else
            want.has_kemac = true;
        if (i == 1)
            want.wanted[want.n_wanted++] =
                (struct mkt_want_key){ .type = MKT_KEY_TEK, .key_len = 16 };
        for (int k = 0; i == 2 && k < 2; k++)
            want.wanted[want.n_wanted++] =
                (struct mkt_want_key){ .type = MKT_KEY_TGK, .key_len = 16 };
        assert_int_equal(refusal(f, &want), MKT_ERR_INVALID_TPPAR);
    }
}

/* --- reference tickets --- */

static void
want_reference(struct mkt_policy *want, const struct service *f)
{
    rig_want(want, &f->alice, BOB, 0);
    want->ticket_type = MKT_TICKET_TYPE_REFERENCE;
}

static void
reference_open(struct service *f)
{
    f->config.ticket_types = KMS_MAKES_BASE | KMS_MAKES_REFERENCE;
    service_policy(f, NULL);
    f->service.tickets = kms_tickets_new(f->store, f->vault);
    assert_non_null(f->service.tickets);
}

struct named {
    size_t n;
    uint8_t reference[KMS_REFERENCE];
};

static bool
name_kept(void *ctx, const struct kms_kept *k)
{
    struct named *named = ctx;

    named->n++;
    memcpy(named->reference, k->reference, KMS_REFERENCE);
    assert_string_equal(k->initiator, ALICE);
    assert_string_equal(k->responders, BOB);
    return true;
}

static struct named
kept_in(struct service *f)
{
    struct named named = { 0 };
    const struct kms_sink sink = { .kept = name_kept, .ctx = &named };
    struct kms_store_err err;

    assert_int_equal(f->store->ops->read(f->store, &sink, false, &err), KMS_STORE_OK);
    return named;
}

/* Bob resolves an offer made with g; the Error no, or -1 when he has the keys. */
static int
resolve(struct service *f, struct mkt_grant *g, bool *authentic)
{
    struct kms_reply r;
    struct mkt_io io;
    int error_no;

    rig_ask_free(&f->resolve);
    rig_resolve(&f->resolve, &f->bob, &f->alice, BOB, g);
    r = service_handle(f, KMS_HTTP, &f->resolve, 1);
    error_no = rig_error_no(service_out(f, r), authentic);
    assert_true(error_no != -1 || rig_resolved(&f->resolve, service_out(f, r), &io));
    return error_no;
}

static void
a_reference_ticket_has_its_keys_in_the_store_alone(void **state)
{
    struct service *f = *state;
    struct kms_store_err err;
    struct mkt_policy want;
    struct mkt_grant *g, *other;
    struct named first;
    bool authentic;
    int error_no;

    reference_open(f);
    want_reference(&want, f);
    g = ask(f, &want, &error_no);
    assert_non_null(g);
    first = kept_in(f);
    assert_int_equal(first.n, 1);
    assert_non_null(memmem(mkt_grant_ticket(g).p, mkt_grant_ticket(g).n, first.reference,
                           sizeof first.reference));
    want_reference(&want, f);
    other = ask(f, &want, &error_no);
    assert_non_null(other);
    assert_int_equal(resolve(f, g, &authentic), -1); /* RFC6043:11-4 RFC6043:11-5 */
    assert_int_equal(resolve(f, g, &authentic), -1);
    assert_int_equal(f->store->ops->revoke(f->store, first.reference, &err), KMS_STORE_OK);
    (void)service_logged(f);
    assert_int_equal(resolve(f, g, &authentic), MKT_ERR_INVALID_TICKET); /* at once */
    assert_true(authentic);
    assert_non_null(
        strstr(service_logged(f), "reason=TICKET field=\"reference: revoked, or over\""));
    assert_int_equal(resolve(f, other, &authentic), -1); /* that one alone */
    mkt_grant_free(g);
    mkt_grant_free(other);
}

static void
no_reference_ticket_is_made_where_it_is_not_configured(void **state)
{
    struct service *f = *state;
    struct mkt_policy want;
    struct mkt_grant *g;
    bool authentic;
    int error_no;

    reference_open(f);
    want_reference(&want, f);
    g = ask(f, &want, &error_no);
    assert_non_null(g);
    f->config.ticket_types = KMS_MAKES_BASE | KMS_MAKES_COMPAT;
    service_policy(f, NULL);
    want_reference(&want, f);
    assert_int_equal(refusal(f, &want), MKT_ERR_INVALID_TICKET);
    assert_int_equal(kept_in(f).n, 1);
    assert_int_equal(resolve(f, g, &authentic), -1); /* what was made before is still good */
    mkt_grant_free(g);
}

static bool
take_it(void *ctx, const struct kms_request *req, uint64_t tag)
{
    (void)req;
    (void)tag;
    *(unsigned *)ctx += 1;
    return true;
}

static struct kms_reply
handle_in_a_worker(struct service *f, const struct rig_ask *a, unsigned *deferred)
{
    const uint8_t port = 3;
    const struct kms_request req = { .transport = KMS_UDP,
                                     .in = mkt_span(a->octets, a->len),
                                     .from = (const struct sockaddr *)&service_from,
                                     .source = mkt_span(&port, 1),
                                     .out = f->out,
                                     .defer = take_it,
                                     .defer_ctx = deferred };

    kms_worker_clock(f->udp);
    return kms_handle(f->udp, &req);
}

/* Threads that may not wait hand over what needs the disk, and only for users. */
static void
a_worker_does_not_wait_for_the_disk(void **state)
{
    struct service *f = *state;
    struct mkt_policy want;
    struct mkt_grant *g;
    struct kms_reply r;
    struct mkt_io io;
    unsigned deferred = 0;
    bool authentic;

    reference_open(f);
    want_reference(&want, f);
    rig_request_want(&f->ask, &f->alice, &want, 0);
    f->ask.octets[f->ask.len - 1] ^= 1;
    r = handle_in_a_worker(f, &f->ask, &deferred);
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_AUTH_FAILURE);
    assert_int_equal(deferred, 0);
    f->ask.octets[f->ask.len - 1] ^= 1;
    r = handle_in_a_worker(f, &f->ask, &deferred);
    assert_true(r.deferred && deferred == 1 && kept_in(f).n == 0);
    r = service_handle(f, KMS_HTTP, &f->ask, 1); /* in the lane it is no replay */
    g = rig_granted(&f->ask, service_out(f, r), &io);
    assert_non_null(g);
    rig_resolve(&f->resolve, &f->bob, &f->alice, BOB, g);
    r = handle_in_a_worker(f, &f->resolve, &deferred);
    assert_true(r.deferred && deferred == 2);
    mkt_grant_free(g);
    rig_ask_free(&f->ask);
    rig_request(&f->ask, &f->alice, BOB, 0); /* a base ticket is made where it is asked for */
    r = handle_in_a_worker(f, &f->ask, &deferred);
    assert_int_equal(r.outcome, KMS_ANSWERED);
    assert_int_equal(deferred, 2);
}

static enum kms_store_rc
no_room(struct kms_store *s, const struct kms_kept *kept, struct kms_store_err *err)
{
    (void)s;
    (void)kept;
    return kms_store_fail(err, KMS_STORE_FAILED, "no room");
}

/* Keys that are not on disk would be lost with the next crash. */
static void
no_ticket_leaves_before_its_keys_are_kept(void **state)
{
    struct service *f = *state;
    const struct kms_store_ops *ops = f->store->ops;
    struct kms_store_ops full = *ops;
    struct mkt_policy want;
    struct kms_reply r;

    reference_open(f);
    full.keep = no_room;
    f->store->ops = &full;
    want_reference(&want, f);
    rig_request_want(&f->ask, &f->alice, &want, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    f->store->ops = ops;
    assert_int_equal(r.outcome, KMS_BUSY);
    assert_int_equal(r.len, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_open, service_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_responder_of_rfc_3830_is_reached_with_its_own_key),
        TEST(no_compatibility_ticket_is_made_where_it_is_not_configured),
        TEST(no_compatibility_ticket_is_made_under_another_key),
        TEST(a_compatibility_ticket_is_of_mode_2),
        TEST(a_wish_that_rfc_3830_cannot_keep_is_refused),
        TEST(a_reference_ticket_has_its_keys_in_the_store_alone),
        TEST(no_reference_ticket_is_made_where_it_is_not_configured),
        TEST(a_worker_does_not_wait_for_the_disk),
        TEST(no_ticket_leaves_before_its_keys_are_kept),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
