/* SPDX-License-Identifier: Apache-2.0 */
/* Revoked tickets, in the pipeline: by name, and all of a user up to a moment, in each mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hex.h"
#include "service.h"

/* J: the tests resolve a ticket more than once. */
#define COMMON (MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_J | MKT_TP_N | MKT_TP_O)
#define MODE_1 (COMMON | MKT_TP_D | MKT_TP_E)
#define MODE_2 (COMMON | MKT_TP_D)
#define MODE_3 (COMMON | MKT_TP_E | MKT_TP_L)
#define FORKING (MODE_1 | MKT_TP_I)

static const uint8_t key[32] = { 7 };

/* The name of a ticket, as whoever has it reads it off: the last octets of its Ticket Data, behind
 * which stands the length of the Initiator Data, 0. */
static void
name_of(struct mkt_grant *g, char name[2 * MKT_TICKET_ID + 1])
{
    struct mkt_span t = mkt_grant_ticket(g);

    kms_hex_write(name, t.p + t.n - 2 - MKT_TICKET_ID, MKT_TICKET_ID);
}

static struct mkt_grant *
issued(struct service *f, uint16_t flags, uint8_t ts_type)
{
    struct mkt_policy want;
    struct mkt_grant *g;
    struct kms_reply r;
    struct mkt_io io;

    f->alice.ts_type = ts_type;
    rig_want(&want, &f->alice, BOB, 0);
    want.flags = flags;
    rig_ask_free(&f->ask);
    rig_request_want(&f->ask, &f->alice, &want, 0);
    r = service_handle(f, KMS_UDP, &f->ask, 1);
    g = rig_granted(&f->ask, service_out(f, r), &io);
    assert_non_null(g);
    return g;
}

/* Alice makes the ticket herself (mode 3), `ahead_s` seconds from now as she says. */
static struct mkt_grant *
own(struct service *f, int64_t ahead_s)
{
    struct mkt_env env = rig_env(ahead_s);
    struct mkt_policy policy;
    struct mkt_keys keys = { .n = 1 };
    struct mkt_inkey_mem tpk;
    struct mkt_grant *g;
    struct mkt_err err = { 0 };

    rig_want(&policy, &f->alice, BOB, 0);
    policy.flags = MODE_3;
    policy.initiator = mkt_uri(ALICE);
    keys.k[0] = (struct mkt_key){ .type = MKT_KEY_TGK, .kv = MKT_KV_SPI, .spi_len = 4 };
    keys.k[0].key.n = 32;
    assert_int_equal(mkt_inkey_mem_init(&tpk, mkt_span(key, sizeof key)), MKT_OK);
    const struct mkt_own_ticket ticket = { .policy = &policy,
                                           .tpk = &tpk.base,
                                           .tpk_id = mkt_span("alice-tpk", 9),
                                           .keys = &keys,
                                           .ts_type = MKT_TS_NTP_UTC };
    assert_int_equal(mkt_grant_create(&g, &env, &ticket, &err), MKT_OK);
    return g;
}

/* The Error no that bob gets for the ticket, -1 when he gets its keys. */
static int
resolve(struct service *f, struct mkt_grant *g)
{
    struct kms_reply r;
    bool authentic;
    int error_no;

    rig_ask_free(&f->resolve);
    rig_resolve(&f->resolve, &f->bob, &f->alice, BOB, g);
    r = service_handle(f, KMS_HTTP, &f->resolve, 1);
    error_no = rig_error_no(service_out(f, r), &authentic);
    assert_true(error_no < 0 || authentic);
    return error_no;
}

static void
revoke(struct service *f, enum kms_revoked_kind kind, const char *name)
{
    const struct kms_revocation row = { kind, name, 0 };
    struct kms_store_err err;

    assert_int_equal(f->store->ops->revocation_add(f->store, &row, 1, &err), KMS_STORE_OK);
    service_reload(f);
}

static void
restore(struct service *f, enum kms_revoked_kind kind, const char *name)
{
    const struct kms_revocation row = { kind, name, 0 };
    struct kms_store_err err;

    assert_int_equal(f->store->ops->revocation_remove(f->store, &row, &err), KMS_STORE_OK);
    assert_int_equal(f->store->ops->revocation_remove(f->store, &row, &err), KMS_STORE_NOT_FOUND);
    service_reload(f);
}

static void
a_revoked_ticket_is_not_resolved_whoever_holds_its_key(void **state)
{
    struct service *f = *state;
    char name[2 * MKT_TICKET_ID + 1];

    service_share(f, BOB, "bob-tpk", mkt_span(key, sizeof key));
    service_share(f, ALICE, "alice-tpk", mkt_span(key, sizeof key));
    service_reload(f);
    for (size_t i = 0; i < 4; i++) {
        static const uint16_t flags[] = { MODE_1, MODE_2, FORKING };
        struct mkt_grant *g = i == 3 ? own(f, 0) : issued(f, flags[i], MKT_TS_NTP_UTC);

        name_of(g, name);
        assert_int_equal(resolve(f, g), -1);
        revoke(f, KMS_REVOKED_TICKET, name);
        assert_int_equal(resolve(f, g), MKT_ERR_INVALID_TICKET);
        assert_non_null(strstr(service_logged(f), "reason=TICKET field=\"the ticket is revoked\""));
        restore(f, KMS_REVOKED_TICKET, name);
        assert_int_equal(resolve(f, g), -1);
        mkt_grant_free(g);
    }
}

static void
another_ticket_of_the_same_user_is_resolved(void **state)
{
    struct service *f = *state;
    struct mkt_grant *one = issued(f, MODE_1, MKT_TS_NTP_UTC),
                     *other = issued(f, MODE_1, MKT_TS_NTP_UTC);
    char name[2 * MKT_TICKET_ID + 1];

    name_of(one, name);
    for (int i = 0; i < 1000; i++) { /* among many */
        char some[2 * MKT_TICKET_ID + 1];

        snprintf(some, sizeof some, "%032d", i * 7919);
        revoke(f, KMS_REVOKED_TICKET, some);
    }
    revoke(f, KMS_REVOKED_TICKET, name);
    assert_int_equal(resolve(f, one), MKT_ERR_INVALID_TICKET);
    assert_int_equal(resolve(f, other), -1);
    mkt_grant_free(one);
    mkt_grant_free(other);
}

static void
revoking_a_user_revokes_what_was_made_before_and_nothing_after(void **state)
{
    struct service *f = *state;
    struct mkt_grant *g = issued(f, MODE_1, MKT_TS_NTP_UTC), *later, *future;

    service_share(f, ALICE, "alice-tpk", mkt_span(key, sizeof key));
    service_reload(f);
    assert_int_equal(resolve(f, g), -1);
    revoke(f, KMS_REVOKED_USER, "sip:carol@example.com");
    assert_int_equal(resolve(f, g), -1); /* of somebody else */
    revoke(f, KMS_REVOKED_USER, BOB);
    assert_int_equal(resolve(f, g), -1); /* of who resolves it */
    revoke(f, KMS_REVOKED_USER, ALICE);
    assert_int_equal(resolve(f, g), MKT_ERR_INVALID_TICKET);
    assert_non_null(strstr(service_logged(f), "the tickets of its Initiator are revoked"));
    later = own(f, 60);
    assert_int_equal(resolve(f, later), -1);
    future = own(f, 301); /* beyond the clock window: she made it before, for afterwards */
    assert_int_equal(resolve(f, future), MKT_ERR_INVALID_TICKET);
    restore(f, KMS_REVOKED_USER, ALICE);
    assert_int_equal(resolve(f, g), -1);
    mkt_grant_free(g);
    mkt_grant_free(later);
    mkt_grant_free(future);
}

static void
a_ticket_that_does_not_say_when_it_was_made_is_revoked_with_its_user(void **state)
{
    struct service *f = *state;
    struct mkt_grant *g;

    rig_counter = 0;
    f->alice.ts_type = MKT_TS_COUNTER;
    g = issued(f, MODE_1, MKT_TS_COUNTER);
    f->alice.ts_type = MKT_TS_NTP_UTC;
    assert_int_equal(resolve(f, g), -1);
    revoke(f, KMS_REVOKED_USER, ALICE);
    assert_int_equal(resolve(f, g), MKT_ERR_INVALID_TICKET);
    mkt_grant_free(g);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_open, service_close)
    const struct CMUnitTest tests[] = {
        TEST(a_revoked_ticket_is_not_resolved_whoever_holds_its_key),
        TEST(another_ticket_of_the_same_user_is_resolved),
        TEST(revoking_a_user_revokes_what_was_made_before_and_nothing_after),
        TEST(a_ticket_that_does_not_say_when_it_was_made_is_revoked_with_its_user),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
