/* SPDX-License-Identifier: Apache-2.0 */
/* Modes 1 to 3 of RFC 6043 4.1.1 at the KMS: who holds a TPK decides who may make a ticket and who
 * may open it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "service.h"

#define MODE_2 (MKT_TP_D | MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_J | MKT_TP_N | MKT_TP_O)
#define MODE_3 \
    (MKT_TP_E | MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_J | MKT_TP_L | MKT_TP_N | MKT_TP_O)

static const uint8_t octets[64] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const struct mkt_span key_128 = { octets, 16 }, key_256 = { octets, 32 };

static struct mkt_span
text(const char *s)
{
    return mkt_span(s, strlen(s));
}

static bool
holds(struct mkt_span octets_, const char *s)
{
    return memmem(octets_.p, octets_.n, s, strlen(s)) != NULL;
}

/* The grant for alice's wish with these flags; NULL when it is refused, *error_no says how. */
static struct mkt_grant *
request(struct service *f, uint16_t flags, int *error_no)
{
    struct mkt_policy want;
    struct mkt_grant *g;
    struct kms_reply r;
    struct mkt_io io;
    bool authentic;

    rig_want(&want, &f->alice, BOB, 0);
    want.flags = flags;
    rig_ask_free(&f->ask);
    rig_request_want(&f->ask, &f->alice, &want, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    *error_no = rig_error_no(service_out(f, r), &authentic);
    g = rig_granted(&f->ask, service_out(f, r), &io);
    assert_true(g != NULL || authentic); /* a refusal of an authentic request is authentic */
    return g;
}

/* --- mode 2 --- */

/* Bob opens alice's offer with his TPK, without the KMS. */
static bool
bob_opens(struct service *f, struct mkt_grant *g, struct mkt_span tpk)
{
    static uint8_t offered[MKT_MSG_MAX], out[MKT_MSG_MAX];
    const struct mkt_credential alice = { .self = mkt_uri(ALICE) }, bob = { .self = mkt_uri(BOB) };
    const struct mkt_offer offer = { .responder = mkt_uri(BOB) };
    static const struct mkt_choice choice;
    struct mkt_initiator *i = mkt_initiator_new(&alice);
    struct mkt_responder *r = mkt_responder_new(&bob);
    struct mkt_env env = rig_env(0);
    struct mkt_io io = { .out = offered, .cap = sizeof offered };
    struct mkt_csb *csb = NULL;
    struct mkt_inkey_mem key;
    enum mkt_next next;

    (void)f;
    assert_int_equal(mkt_inkey_mem_init(&key, tpk), MKT_OK);
    assert_int_equal(mkt_initiator_offer(i, &env, g, &offer, &io), MKT_NEXT_SEND_PEER);
    io = (struct mkt_io){ .in = mkt_span(offered, io.out_len) };
    assert_int_equal(mkt_responder_offered(r, &env, 60, &io), MKT_NEXT_ASK);
    io = (struct mkt_io){ .out = out, .cap = sizeof out };
    next = mkt_responder_open(r, &env, &choice, &key.base, &io, &csb);
    mkt_csb_free(csb);
    mkt_initiator_free(i);
    mkt_responder_free(r);
    return next == MKT_NEXT_SEND_PEER;
}

static void
mode_2_puts_the_ticket_under_the_key_of_its_responder(void **state)
{
    struct service *f = *state;
    struct mkt_grant *g;
    int error_no;

    service_share(f, BOB, "bob-128", key_128); /* of the other suite */
    service_share(f, BOB, "bob-old", mkt_span(octets + 1, 32));
    service_share(f, BOB, "bob-new", key_256);
    service_reload(f);
    g = request(f, MODE_2, &error_no);
    assert_non_null(g);
    /* RFC6043:4.1-2 */
    assert_int_equal(mkt_grant_policy(g)->flags, MODE_2); /* as wanted: E and K are not set */
    assert_true(holds(mkt_grant_ticket(g), "bob-new"));
    assert_false(holds(mkt_grant_ticket(g), "tpk-1-256"));
    assert_true(bob_opens(f, g, key_256));
    assert_false(bob_opens(f, g, mkt_span(octets + 1, 32)));
    mkt_grant_free(g);
}

static void
a_ticket_of_mode_2_can_be_resolved_too(void **state)
{
    struct service *f = *state;
    struct mkt_grant *g;
    struct kms_reply r;
    struct mkt_io io;
    int error_no;

    service_share(f, BOB, "bob", key_256);
    service_reload(f);
    g = request(f, MODE_2, &error_no);
    assert_non_null(g);
    rig_resolve(&f->resolve, &f->bob, &f->alice, BOB, g);
    r = service_handle(f, KMS_HTTP, &f->resolve, 1);
    assert_true(rig_resolved(&f->resolve, service_out(f, r), &io));
    mkt_grant_free(g);
}

static void
e_is_repaired_when_the_responder_shares_no_key(void **state)
{
    struct service *f = *state;
    struct mkt_grant *g;
    int error_no;

    service_share(f, BOB, "bob", key_128); /* the suite is the other one */
    service_share(f, "sip:carol@example.com", "carol", key_256);
    service_reload(f);
    g = request(f, MODE_2, &error_no);
    assert_non_null(g);
    assert_int_equal(mkt_grant_policy(g)->flags, MODE_2 | MKT_TP_E | MKT_TP_K); /* RFC6043:6.10 */
    assert_true(holds(mkt_grant_ticket(g), "tpk-1-256"));
    mkt_grant_free(g);
}

static void
e_is_repaired_when_there_is_more_than_one_responder(void **state)
{
    struct service *f = *state;
    struct mkt_policy want;
    struct mkt_grant *g;
    struct kms_reply r;
    struct mkt_io io;

    service_share(f, BOB, "bob", key_256);
    service_reload(f);
    rig_want(&want, &f->alice, BOB, 0);
    want.flags = MODE_2;
    want.n_responders = 2;
    want.responders[1] = mkt_uri("sip:carol@example.com");
    rig_request_want(&f->ask, &f->alice, &want, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    g = rig_granted(&f->ask, service_out(f, r), &io);
    assert_non_null(g);
    assert_int_equal(mkt_grant_policy(g)->flags, MODE_2 | MKT_TP_E | MKT_TP_K);
    assert_true(holds(mkt_grant_ticket(g), "tpk-1-256"));
    mkt_grant_free(g);
}

static void
a_compatibility_ticket_needs_the_key_of_its_responder(void **state)
{
    struct service *f = *state;
    struct mkt_policy want;
    struct mkt_grant *g;
    struct kms_reply r;
    struct mkt_io io;
    bool authentic;

    f->config.ticket_types |= KMS_MAKES_COMPAT;
    service_policy(f, NULL);
    rig_user_init(&f->alice, ALICE, "alice-1", MKT_PRF_MIKEY_1);
    service_add(f, &f->alice, "alice-1");
    service_reload(f);
    mkt_policy_init_compat(&want, MKT_COMPAT_IDS);
    want.n_responders = 1;
    want.responders[0] = mkt_uri(BOB);
    rig_request_want(&f->ask, &f->alice, &want, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_INVALID_TPPAR);
    service_share(f, BOB, "bob", key_128);
    service_reload(f);
    rig_ask_free(&f->ask);
    rig_request_want(&f->ask, &f->alice, &want, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    g = rig_granted(&f->ask, service_out(f, r), &io);
    assert_non_null(g); /* RFC6043:B.1 */
    mkt_grant_free(g);
}

static void
mode_1_stays_when_it_is_wanted(void **state)
{
    struct service *f = *state;
    struct mkt_grant *g;
    int error_no;

    service_share(f, BOB, "bob", key_256);
    service_reload(f);
    g = request(f, MODE_2 | MKT_TP_E, &error_no);
    assert_non_null(g);
    assert_true(holds(mkt_grant_ticket(g), "tpk-1-256"));
    mkt_grant_free(g);
}

/* --- mode 3 --- */

struct own {
    struct mkt_policy policy;
    struct mkt_keys keys;
    struct mkt_span tpk, tpk_id;
};

static void
own_ticket(struct own *o, const struct service *f, uint16_t flags)
{
    memset(o, 0, sizeof *o);
    rig_want(&o->policy, &f->alice, BOB, 0);
    o->policy.flags = flags;
    o->policy.initiator = mkt_uri(ALICE);
    o->tpk = f->alice.prf == MKT_PRF_MIKEY_1 ? key_128 : key_256;
    o->tpk_id = text("alice-tpk");
    o->keys.n = 1;
    o->keys.k[0].type = MKT_KEY_TGK;
    o->keys.k[0].kv = MKT_KV_SPI;
    o->keys.k[0].spi_len = 4;
    o->keys.k[0].key.n = mkt_suite_of(f->alice.prf)->key_len;
}

/* Bob has a ticket resolved that alice made. The Error no, or -1 when he gets his keys. */
static int
resolve(struct service *f, const struct own *o)
{
    struct mkt_env env = rig_env(0);
    struct mkt_inkey_mem tpk;
    struct mkt_grant *g;
    struct mkt_err err = { 0 };
    struct kms_reply r;
    struct mkt_io io;
    bool authentic;
    int error_no;

    assert_int_equal(mkt_inkey_mem_init(&tpk, o->tpk), MKT_OK);
    const struct mkt_own_ticket own = {
        .policy = &o->policy, .tpk = &tpk.base, .tpk_id = o->tpk_id, .keys = &o->keys
    };
    assert_int_equal(mkt_grant_create(&g, &env, &own, &err), MKT_OK);
    rig_ask_free(&f->resolve);
    rig_resolve(&f->resolve, &f->bob, &f->alice, BOB, g);
    r = service_handle(f, KMS_UDP, &f->resolve, 1);
    error_no = rig_error_no(service_out(f, r), &authentic);
    assert_int_equal(rig_resolved(&f->resolve, service_out(f, r), &io), error_no < 0);
    if (error_no >= 0)
        assert_true(authentic);
    mkt_grant_free(g);
    return error_no;
}

static void
mode_3_resolves_what_the_initiator_made(void **state)
{
    struct service *f = *state;
    struct own o;

    service_share(f, ALICE, "alice-tpk", key_256);
    service_reload(f);
    own_ticket(&o, f, MODE_3);
    assert_int_equal(resolve(f, &o), -1); /* RFC6043:4.1-1 */
    own_ticket(&o, f, MODE_3 | MKT_TP_I);
    assert_int_equal(resolve(f, &o), -1);
    o.tpk_id = mkt_span(NULL, 0); /* her newest key is tried */
    assert_int_equal(resolve(f, &o), -1);
}

static void
mode_3_works_in_the_128_bit_suite(void **state)
{
    struct service *f = *state;
    struct own o;

    rig_user_init(&f->alice, ALICE, "alice-1", MKT_PRF_MIKEY_1);
    rig_user_init(&f->bob, BOB, "bob-1", MKT_PRF_MIKEY_1);
    service_add(f, &f->alice, "alice-1");
    service_add(f, &f->bob, "bob-1");
    service_share(f, ALICE, "alice-tpk", key_128);
    service_reload(f);
    own_ticket(&o, f, MODE_3);
    assert_int_equal(resolve(f, &o), -1);
    o.tpk = key_256; /* levels are not mixed: RFC6043:12.1 */
    o.tpk_id = text("long");
    service_share(f, ALICE, "long", key_256);
    service_reload(f);
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TICKET);
}

static void
a_shared_key_makes_tickets_of_its_owner_only(void **state)
{
    struct service *f = *state;
    struct own o;

    service_share(f, "sip:eve@example.com", "eve-tpk", key_256);
    service_share(f, BOB, "bob-tpk", key_256);
    service_reload(f);
    own_ticket(&o, f, MODE_3); /* eve pretends that alice made it */
    o.tpk_id = text("eve-tpk");
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TICKET);
    o.tpk_id = text("bob-tpk"); /* and bob to himself */
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TICKET);
    assert_non_null(strstr(service_logged(f), "ticket under a TPK of another party"));
    o.tpk_id = text("tpk-1-256"); /* the name of a key she does not have */
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TICKET);
    o.tpk_id = text("nothing");
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TICKET);
    o.tpk_id = mkt_span(NULL, 0);
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TICKET);
}

static void
a_removed_key_opens_no_ticket(void **state)
{
    struct service *f = *state;
    struct kms_store_err err;
    struct own o;

    service_share(f, ALICE, "alice-tpk", key_256);
    service_reload(f);
    own_ticket(&o, f, MODE_3);
    assert_int_equal(resolve(f, &o), -1);
    assert_int_equal(f->store->ops->tpk_remove(f->store, "alice-tpk", &err), KMS_STORE_OK);
    service_reload(f);
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TICKET);
}

static void
the_initiator_must_still_be_a_user(void **state)
{
    struct service *f = *state;
    struct kms_store_err err;
    const bool yes = true;
    const struct kms_user_change suspend = { .suspended = &yes };
    struct own o;

    service_share(f, ALICE, "alice-tpk", key_256);
    assert_int_equal(f->store->ops->user_change(f->store, ALICE, &suspend, &err), KMS_STORE_OK);
    service_reload(f); /* the TPK stays */
    own_ticket(&o, f, MODE_3);
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_ID);
    assert_non_null(strstr(service_logged(f), "reason=NOT_AUTHORISED field=\"IDRi is no user\""));
}

static void
the_keys_of_a_removed_user_resolve_nothing(void **state)
{
    struct service *f = *state;
    struct kms_store_err err;
    struct kms_removed removed;
    struct own o;

    service_share(f, ALICE, "alice-tpk", key_256);
    service_reload(f);
    own_ticket(&o, f, MODE_3);
    assert_int_equal(resolve(f, &o), -1);
    assert_int_equal(f->store->ops->user_remove(f->store, ALICE, NULL, &removed, &err),
                     KMS_STORE_OK);
    assert_int_equal(removed.tpks, 1);
    service_reload(f);
    own_ticket(&o, f, MODE_3);
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TICKET);
}

/* «applies at resolve time everything it would have applied at issue time» */
static void
a_ticket_that_would_not_have_been_granted_is_refused(void **state)
{
    struct service *f = *state;
    struct own o;

    service_share(f, ALICE, "alice-tpk", key_256);
    service_reload(f);

    own_ticket(&o, f, MODE_3); /* a day and no longer */
    o.policy.end.value = o.policy.start.value + (86400ULL << 32);
    assert_int_equal(resolve(f, &o), -1);
    o.policy.end.value += 1ULL << 32;
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "TRe: longer than max_validity"));
    o.policy.end.has = false;
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TPPAR);

    own_ticket(&o, f, MODE_3 & ~MKT_TP_E);
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "field=flags"));

    own_ticket(&o, f, MODE_3);
    o.policy.kms = mkt_uri(RIG_KMS);
    assert_int_equal(resolve(f, &o), -1);
    o.policy.kms = mkt_uri("sip:kms@elsewhere.example");
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "field=IDRkms"));

    own_ticket(&o, f, MODE_3);
    o.keys.k[0].type = MKT_KEY_TGK_SALT;
    o.keys.k[0].salt.n = 32;
    assert_int_equal(resolve(f, &o), -1);
    o.keys.k[0].salt.n = 33;
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "KEMAC: salt length"));
}

static void
only_a_responder_of_the_ticket_gets_its_keys_in_mode_3(void **state)
{
    struct service *f = *state;
    struct own o;

    service_share(f, ALICE, "alice-tpk", key_256);
    service_reload(f);
    own_ticket(&o, f, MODE_3);
    o.policy.responders[0] = mkt_uri("sip:carol@example.com");
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_ID); /* RFC6043:4.2.3.4-1 */
}

/* --- which modes are served --- */

static void
a_mode_that_is_not_served_is_refused_with_a_reason(void **state)
{
    struct service *f = *state;
    struct mkt_grant *g, *g2;
    struct kms_reply r;
    bool authentic;
    int error_no;
    struct own o;

    service_share(f, BOB, "bob", key_256);
    service_share(f, ALICE, "alice-tpk", key_256);
    service_reload(f);
    own_ticket(&o, f, MODE_3);
    g = request(f, MODE_2, &error_no);
    assert_non_null(g);

    f->config.modes = 1 << 1 | 1 << 3;
    service_policy(f, NULL);
    g2 = request(f, MODE_2, &error_no);
    assert_null(g2);
    assert_int_equal(error_no, MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "reason=TP_PARAM field=\"mode 2 is not served\""));
    rig_resolve(&f->resolve, &f->bob, &f->alice, BOB, g); /* an old ticket of that mode */
    r = service_handle(f, KMS_UDP, &f->resolve, 1);
    assert_int_equal(rig_error_no(service_out(f, r), &authentic), MKT_ERR_INVALID_TPPAR);
    assert_int_equal(resolve(f, &o), -1);

    f->config.modes = 1 << 2;
    service_policy(f, NULL);
    g2 = request(f, MODE_2, &error_no);
    assert_non_null(g2);
    mkt_grant_free(g2);
    g2 = request(f, MODE_2 | MKT_TP_E, &error_no);
    assert_null(g2);
    assert_int_equal(error_no, MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "mode 1 is not served"));
    assert_int_equal(resolve(f, &o), MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "mode 3 is not served"));
    mkt_grant_free(g);
}

static void
a_repair_does_not_lead_to_a_mode_that_is_not_served(void **state)
{
    struct service *f = *state;
    int error_no;

    f->config.modes = 1 << 2;
    service_policy(f, NULL);
    assert_null(request(f, MODE_2, &error_no)); /* bob shares no key: it would become mode 1 */
    assert_int_equal(error_no, MKT_ERR_INVALID_TPPAR);
    assert_non_null(strstr(service_logged(f), "mode 1 is not served"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_open, service_close)
    const struct CMUnitTest tests[] = {
        TEST(mode_2_puts_the_ticket_under_the_key_of_its_responder),
        TEST(a_ticket_of_mode_2_can_be_resolved_too),
        TEST(e_is_repaired_when_the_responder_shares_no_key),
        TEST(e_is_repaired_when_there_is_more_than_one_responder),
        TEST(a_compatibility_ticket_needs_the_key_of_its_responder),
        TEST(mode_1_stays_when_it_is_wanted),
        TEST(mode_3_resolves_what_the_initiator_made),
        TEST(mode_3_works_in_the_128_bit_suite),
        TEST(a_shared_key_makes_tickets_of_its_owner_only),
        TEST(a_removed_key_opens_no_ticket),
        TEST(the_initiator_must_still_be_a_user),
        TEST(the_keys_of_a_removed_user_resolve_nothing),
        TEST(a_ticket_that_would_not_have_been_granted_is_refused),
        TEST(only_a_responder_of_the_ticket_gets_its_keys_in_mode_3),
        TEST(a_mode_that_is_not_served_is_refused_with_a_reason),
        TEST(a_repair_does_not_lead_to_a_mode_that_is_not_served),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
