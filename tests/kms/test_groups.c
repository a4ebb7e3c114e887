/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets an answer: users who are suspended, have expired or have several identities; tickets for
 * groups and patterns; realms. Real messages through the pipeline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <mikeyticket/message.h>

#include "service.h"
#include "tpk_schedule.h"

#define CAROL "sip:carol@team.example.com"
#define TEAM "sip:team@example.com"
#define EVERYBODY "sip:*@team.example.com"
#define MODE_2 (MKT_TP_D | MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_J | MKT_TP_N | MKT_TP_O)

static struct rig_user carol;
static struct kms_store_err err;

static int
open_service(void **state)
{
    if (service_open(state) != 0)
        return -1;
    rig_user_init(&carol, CAROL, "carol", MKT_PRF_HMAC_SHA_256);
    service_add(*state, &carol, "carol");
    service_reload(*state);
    return 0;
}

static const struct kms_store_ops *
ops(const struct service *f)
{
    return f->store->ops;
}

static void
group(struct service *f, const char *name, const char *member)
{
    enum kms_store_rc rc = ops(f)->group_add(f->store, name, NULL, &err);

    assert_true(rc == KMS_STORE_OK || rc == KMS_STORE_SAME);
    assert_int_equal(ops(f)->member_add(f->store, name, member, &err), KMS_STORE_OK);
    service_reload(f);
}

/* A ticket of alice for `to`, resolved by u. The Error no, or -1 when u got the keys; *as gets the
 * identity in IDRr of the answer. */
static int
resolve(struct service *f, const struct rig_user *u, const char *to, char as[256])
{
    static struct mkt_msg m;
    struct mkt_err parse = { 0 };
    struct kms_reply r;
    struct mkt_grant *g;
    struct mkt_io io;
    bool authentic;
    const struct mkt_payload *idr;

    rig_ask_free(&f->ask);
    rig_request(&f->ask, &f->alice, to, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    g = rig_granted(&f->ask, service_out(f, r), &io);
    assert_non_null(g);
    rig_ask_free(&f->resolve);
    rig_resolve(&f->resolve, u, &f->alice, to, g);
    mkt_grant_free(g);
    r = service_handle(f, KMS_HTTP, &f->resolve, 2);
    if (r.outcome != KMS_ANSWERED)
        return rig_error_no(service_out(f, r), &authentic);
    assert_true(rig_resolved(&f->resolve, service_out(f, r), &io));
    assert_int_equal(mkt_msg_parse(&m, service_out(f, r), &parse), MKT_OK);
    idr = mkt_msg_find(&m, MKT_PL_IDR, MKT_IDR_R);
    assert_non_null(idr);
    assert_in_range(idr->u.idr.data.n, 1, 255);
    memcpy(as, idr->u.idr.data.p, idr->u.idr.data.n);
    as[idr->u.idr.data.n] = '\0';
    return -1;
}

static void
a_member_of_the_group_resolves_its_ticket(void **state)
{
    struct service *f = *state;
    char as[256];

    group(f, TEAM, BOB);
    /* RFC6043:6.10 "the identity of a responder or a group of responders" */
    assert_int_equal(resolve(f, &f->bob, TEAM, as), -1);
    assert_string_equal(as, BOB); /* RFC6043:4.2.3.5 the endpoint that answered */
    assert_int_equal(resolve(f, &carol, TEAM, as), MKT_ERR_INVALID_ID);
    assert_non_null(strstr(service_logged(f), "reason=NOT_AUTHORISED field=IDRr"));
}

static void
a_member_of_a_group_within_the_group_resolves_its_ticket(void **state)
{
    struct service *f = *state;
    char as[256];

    group(f, "sip:core@example.com", BOB);
    group(f, TEAM, "sip:core@example.com");
    assert_int_equal(resolve(f, &f->bob, TEAM, as), -1);
    assert_int_equal(resolve(f, &carol, TEAM, as), MKT_ERR_INVALID_ID);
}

static void
a_pattern_in_a_group_or_in_a_ticket_means_all_of_the_domain(void **state)
{
    struct service *f = *state;
    char as[256];

    assert_int_equal(resolve(f, &carol, EVERYBODY, as), -1);
    assert_string_equal(as, CAROL);
    assert_int_equal(resolve(f, &f->bob, EVERYBODY, as), MKT_ERR_INVALID_ID);
    group(f, TEAM, EVERYBODY);
    assert_int_equal(resolve(f, &carol, TEAM, as), -1);
    assert_int_equal(resolve(f, &f->bob, TEAM, as), MKT_ERR_INVALID_ID);
}

static void
membership_counts_when_the_ticket_is_resolved(void **state)
{
    struct service *f = *state;
    char as[256];

    assert_int_equal(ops(f)->group_add(f->store, TEAM, NULL, &err), KMS_STORE_OK);
    service_reload(f);
    assert_int_equal(resolve(f, &f->bob, TEAM, as), MKT_ERR_INVALID_ID);
    group(f, TEAM, BOB);
    assert_int_equal(resolve(f, &f->bob, TEAM, as), -1);
    assert_int_equal(ops(f)->member_remove(f->store, TEAM, BOB, &err), KMS_STORE_OK);
    service_reload(f);
    assert_int_equal(resolve(f, &f->bob, TEAM, as), MKT_ERR_INVALID_ID);
}

static void
the_answer_names_the_identity_that_the_ticket_meant(void **state)
{
    struct service *f = *state;
    struct rig_user phone = f->bob; /* asks as his other self */
    char as[256];

    assert_int_equal(ops(f)->alias_add(f->store, BOB, "sip:bob@team.example.com", &err),
                     KMS_STORE_OK);
    service_reload(f);
    phone.identity = "sip:bob@team.example.com";
    assert_int_equal(resolve(f, &phone, BOB, as), -1);
    assert_string_equal(as, BOB); /* RFC6043:4.2.3.5 "so that it matches an identity" */
    assert_int_equal(resolve(f, &f->bob, EVERYBODY, as), -1);
    assert_string_equal(as, "sip:bob@team.example.com");
    assert_int_equal(resolve(f, &phone, CAROL, as), MKT_ERR_INVALID_ID);
}

/* The octets of a refusal, but for the ones that come from the message itself. */
static size_t
refusal(struct service *f, const struct rig_user *u, uint8_t out[256])
{
    struct kms_reply r;

    rig_ask_free(&f->ask);
    rig_request(&f->ask, u, BOB, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    assert_int_equal(r.outcome, KMS_REFUSED);
    assert_in_range(r.len, 20, 256);
    memcpy(out, f->out, r.len);
    memset(out + 4, 0, 4);  /* CSB ID */
    memset(out + 12, 0, 8); /* T */
    return r.len;
}

static void
suspended_and_expired_users_look_like_strangers(void **state)
{
    struct service *f = *state;
    const bool yes = true;
    const int64_t past = time(NULL) - 1;
    const struct kms_user_change suspend = { .suspended = &yes }, expire = { .expires = &past };
    struct rig_user stranger;
    uint8_t a[256], b[256];
    size_t n;

    rig_user_init(&stranger, "sip:nobody@example.com", "nobody", MKT_PRF_HMAC_SHA_256);
    n = refusal(f, &stranger, a);
    assert_int_equal(ops(f)->user_change(f->store, ALICE, &suspend, &err), KMS_STORE_OK);
    assert_int_equal(ops(f)->user_change(f->store, CAROL, &expire, &err), KMS_STORE_OK);
    service_reload(f);
    assert_int_equal(refusal(f, &f->alice, b), n);
    assert_memory_equal(a, b, n); /* RFC6043:5.4: nobody learns that she is one */
    assert_int_equal(refusal(f, &carol, b), n);
    assert_memory_equal(a, b, n);
    f->alice.psk_id = NULL; /* found by IDRi */
    assert_int_equal(refusal(f, &f->alice, b), n);
    assert_memory_equal(a, b, n);
}

static void
tickets_do_not_cross_realms_unless_that_is_wanted(void **state)
{
    struct service *f = *state;
    struct rig_user zoe;
    int64_t generation;
    struct kms_user row = { .identity = "sip:zoe@acme.example", .psk_id = "zoe", .realm = "acme" };
    char as[256];

    rig_user_init(&zoe, "sip:zoe@acme.example", "zoe", MKT_PRF_HMAC_SHA_256);
    assert_int_equal(ops(f)->realm_add(f->store, "acme", &err), KMS_STORE_OK);
    assert_int_equal(kms_tpk_rotate(f->store, f->vault, "acme", 60, &generation, &err),
                     KMS_STORE_OK);
    row.psk.octets = mkt_secret_span(&zoe.psk.key);
    assert_int_equal(ops(f)->user_add(f->store, &row, &err), KMS_STORE_OK);
    service_reload(f);
    assert_int_equal(resolve(f, &zoe, zoe.identity, as), MKT_ERR_INVALID_ID);
    assert_non_null(strstr(service_logged(f), "a ticket of another realm"));
    f->config.cross_realm = 1;
    assert_int_equal(resolve(f, &zoe, zoe.identity, as), -1);
    f->config.cross_realm = 0;
    f->alice = zoe; /* within the realm, under its own key */
    assert_int_equal(resolve(f, &zoe, zoe.identity, as), -1);
}

static void
no_ticket_is_made_under_the_key_of_a_suspended_user(void **state)
{
    static const uint8_t key[32] = { 7 };
    struct service *f = *state;
    const bool yes = true;
    const struct kms_user_change suspend = { .suspended = &yes };
    struct mkt_policy want;
    struct mkt_grant *g;
    struct kms_reply r;
    struct mkt_io io;

    service_share(f, BOB, "bob-tpk", mkt_span(key, sizeof key));
    for (int i = 0; i < 2; i++) {
        if (i == 1)
            assert_int_equal(ops(f)->user_change(f->store, BOB, &suspend, &err), KMS_STORE_OK);
        service_reload(f);
        rig_ask_free(&f->ask);
        rig_want(&want, &f->alice, BOB, 0);
        want.flags = MODE_2; /* he would open it himself */
        rig_request_want(&f->ask, &f->alice, &want, 0);
        r = service_handle(f, KMS_UDP, &f->ask, 1);
        g = rig_granted(&f->ask, service_out(f, r), &io);
        assert_non_null(g);
        assert_int_equal((mkt_grant_policy(g)->flags & MKT_TP_E) != 0, i == 1);
        mkt_grant_free(g);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_service, service_close)
    const struct CMUnitTest tests[] = {
        TEST(a_member_of_the_group_resolves_its_ticket),
        TEST(a_member_of_a_group_within_the_group_resolves_its_ticket),
        TEST(a_pattern_in_a_group_or_in_a_ticket_means_all_of_the_domain),
        TEST(membership_counts_when_the_ticket_is_resolved),
        TEST(the_answer_names_the_identity_that_the_ticket_meant),
        TEST(suspended_and_expired_users_look_like_strangers),
        TEST(tickets_do_not_cross_realms_unless_that_is_wanted),
        TEST(no_ticket_is_made_under_the_key_of_a_suspended_user),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
