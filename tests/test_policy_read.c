/* SPDX-License-Identifier: Apache-2.0 */
/* TP Data that says too much, and wishes that cannot be written or granted as they are. */
#include "ticket/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW 0xD120000000000000ULL /* some second of 2011 */

static struct mkt_err err;
static struct mkt_policy policy;

/* TP Data of these payloads, decoded as a wish. */
static enum mkt_rc
read_tp(const struct mkt_payload *pl, size_t n, bool granted)
{
    static uint8_t data[4096];
    struct mkt_writer w = mkt_w_open(data, sizeof data);
    struct mkt_pl_ticket tp = { .ticket_type = 1, .subtype = 1, .version = 1 };
    w.slot = mkt_w_reserve(&w, 1); /* First Payload */
    for (size_t i = 0; i < n; i++)
        mkt_pl_write(&w, &pl[i]);
    assert_false(w.overflow);
    tp.tp_data = mkt_span(data, w.len);
    err = (struct mkt_err){ 0 };
    return mkt_policy_decode(&policy, &tp, granted, 0, &err);
}

static struct mkt_payload
idr(uint8_t role)
{
    return (struct mkt_payload){ .type = MKT_PL_IDR,
                                 .u.idr = { role, MKT_ID_URI, mkt_span("sip:x", 5) } };
}

static struct mkt_payload
kemac(struct mkt_span contents)
{
    return (struct mkt_payload){
        .type = MKT_PL_KEMAC, .u.kemac = { MKT_ENCR_NULL, contents, MKT_MAC_NULL, { NULL, 0 } }
    };
}

static void
there_are_at_most_sixteen_responders_and_eight_applications(void **state)
{
    struct mkt_payload pl[MKT_RESPONDERS_MAX + 1];
    (void)state;
    for (size_t i = 0; i <= MKT_RESPONDERS_MAX; i++)
        pl[i] = idr(MKT_IDR_R);
    assert_int_equal(read_tp(pl, MKT_RESPONDERS_MAX, false), MKT_OK);
    assert_int_equal(policy.n_responders, 16);
    assert_int_equal(read_tp(pl, MKT_RESPONDERS_MAX + 1, false), MKT_E_TP_PARAM);
    assert_string_equal(err.what, "TP Data: too many IDRr");
    for (size_t i = 0; i <= MKT_APPS_MAX; i++)
        pl[i] = idr(MKT_IDR_APP);
    pl[MKT_APPS_MAX] = idr(MKT_IDR_R);
    assert_int_equal(read_tp(pl, MKT_APPS_MAX + 1, false), MKT_OK);
    assert_int_equal(policy.n_apps, 8);
    pl[MKT_APPS_MAX + 1] = idr(MKT_IDR_APP);
    assert_int_equal(read_tp(pl, MKT_APPS_MAX + 2, false), MKT_E_TP_PARAM);
    assert_string_equal(err.what, "TP Data: too many IDRapp");
}

static void
a_wish_has_one_kemac_and_a_granted_policy_none(void **state)
{
    const struct mkt_span none = { NULL, 0 };
    const struct mkt_payload pl[] = { kemac(none), idr(MKT_IDR_R), kemac(none) };
    (void)state;
    assert_int_equal(read_tp(pl, 2, false), MKT_OK);
    assert_true(policy.has_kemac);
    assert_int_equal(read_tp(pl, 3, false), MKT_E_TP_PARAM);
    assert_string_equal(err.what, "TP Data: second KEMAC");
    assert_int_equal(read_tp(pl, 2, true), MKT_E_TP_PARAM);
    assert_string_equal(err.what, "TP Data: KEMAC in a granted policy");
}

static void
the_kemac_of_a_wish_holds_key_data_and_nothing_else(void **state)
{
    static const uint8_t key[] = { 0, 0, 0, 2, 0, 0 }, key_and_t[] = { 5,         0, 0, 2, 0, 0,
                                                                       /* T */ 0, 2, 0, 0, 0, 1 };
    struct mkt_payload pl[] = { kemac(mkt_span(key, sizeof key)), idr(MKT_IDR_R) };
    (void)state;
    assert_int_equal(read_tp(pl, 2, false), MKT_OK);
    assert_int_equal(policy.n_wanted, 1);
    assert_int_equal(policy.wanted[0].key_len, 2);
    pl[0] = kemac(mkt_span(key_and_t, sizeof key_and_t));
    assert_int_equal(read_tp(pl, 2, false), MKT_E_TP_PARAM);
    assert_string_equal(err.what, "TP Data: KEMAC with another payload than Key Data");
}

/* --- wishes ------------------------------------------------------------------------------------
 */

static struct mkt_policy
wish(struct mkt_want_key key)
{
    struct mkt_policy p;
    mkt_policy_init(&p, MKT_PRF_MIKEY_1);
    p.responders[p.n_responders++] = mkt_uri("sip:bob@example.com");
    p.has_kemac = true;
    p.wanted[p.n_wanted++] = key;
    return p;
}

static enum mkt_rc
grant(struct mkt_policy *g, const struct mkt_policy *want, uint8_t max_keys)
{
    const struct mkt_grant_rules rules = { .max_keys = max_keys };
    err = (struct mkt_err){ 0 };
    return mkt_policy_grant(g, want, &rules, mkt_uri("sip:alice@example.com"),
                            mkt_uri("sip:kms@example.com"), NOW, &err);
}

static void
a_key_longer_than_any_secret_is_not_wished_for(void **state)
{
    static uint8_t buf[4096];
    const struct mkt_want_key fits = { .type = MKT_KEY_TGK_SALT,
                                       .key_len = MKT_SECRET_MAX,
                                       .salt_len = MKT_SECRET_MAX };
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct mkt_want_key key = fits;
        key.key_len = (uint16_t)(key.key_len + (i == 1));
        key.salt_len = (uint16_t)(key.salt_len + (i == 2));
        struct mkt_policy p = wish(key);
        struct mkt_writer w = mkt_w_open(buf, sizeof buf);
        mkt_wanted_policy_write(&w, &p);
        assert_int_equal(w.overflow, i != 0);
    }
}

static void
an_interval_is_replaced_by_an_spi_and_that_is_a_change(void **state)
{
    struct mkt_policy g;
    struct mkt_policy p =
        wish((struct mkt_want_key){ .type = MKT_KEY_TGK, .kv = MKT_KV_INTERVAL, .key_len = 16 });
    (void)state;
    assert_int_equal(grant(&g, &p, 0), MKT_OK);
    assert_int_equal(g.wanted[0].kv, MKT_KV_NULL); /* the KMS draws an SPI */
    assert_int_equal(g.flags & MKT_TP_K, MKT_TP_K);
    p.wanted[0].kv = MKT_KV_NULL;
    assert_int_equal(grant(&g, &p, 0), MKT_OK);
    assert_int_equal(g.flags & MKT_TP_K, 0);
}

static void
a_salt_is_there_when_the_type_has_one_and_has_32_octets_at_most(void **state)
{
    static const struct {
        uint8_t type;
        uint16_t salt_len;
        enum mkt_rc rc;
    } salts[] = {
        { MKT_KEY_TGK, 0, MKT_OK },        { MKT_KEY_TGK, 14, MKT_E_TP_PARAM },
        { MKT_KEY_TGK_SALT, 14, MKT_OK },  { MKT_KEY_TGK_SALT, 0, MKT_E_TP_PARAM },
        { MKT_KEY_TEK_SALT, 32, MKT_OK },  { MKT_KEY_TEK_SALT, 33, MKT_E_TP_PARAM },
        { MKT_KEY_GTGK_SALT, 32, MKT_OK }, { MKT_KEY_GTGK_SALT, 0, MKT_E_TP_PARAM },
    };
    struct mkt_policy g;
    (void)state;
    for (size_t i = 0; i < sizeof salts / sizeof salts[0]; i++) {
        const struct mkt_policy p = wish((struct mkt_want_key){
            .type = salts[i].type, .key_len = 16, .salt_len = salts[i].salt_len });
        assert_int_equal(grant(&g, &p, 0), salts[i].rc);
    }
}

static void
a_ticket_has_room_for_thirty_session_keys_whatever_the_rules_allow(void **state)
{
    struct mkt_policy g, p = wish((struct mkt_want_key){ .type = MKT_KEY_TEK, .key_len = 16 });
    (void)state;
    while (p.n_wanted < MKT_KEYS_MAX - 2) {
        p.wanted[p.n_wanted] = p.wanted[0];
        p.n_wanted++;
    }
    assert_int_equal(grant(&g, &p, 0), MKT_OK);
    assert_int_equal(grant(&g, &p, 29), MKT_E_TP_PARAM);
    p.wanted[p.n_wanted++] = p.wanted[0];
    assert_int_equal(grant(&g, &p, 255), MKT_E_TP_PARAM);
    assert_string_equal(err.what, "KEMAC: too many keys");
}

static void
a_suite_that_nobody_knows_is_not_granted(void **state)
{
    struct mkt_policy g, p = wish((struct mkt_want_key){ .type = MKT_KEY_TEK, .key_len = 16 });
    (void)state;
    p.prf = 2;
    assert_int_equal(grant(&g, &p, 0), MKT_E_PRF);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_at_most_sixteen_responders_and_eight_applications),
        cmocka_unit_test(a_wish_has_one_kemac_and_a_granted_policy_none),
        cmocka_unit_test(the_kemac_of_a_wish_holds_key_data_and_nothing_else),
        cmocka_unit_test(a_key_longer_than_any_secret_is_not_wished_for),
        cmocka_unit_test(an_interval_is_replaced_by_an_spi_and_that_is_a_change),
        cmocka_unit_test(a_salt_is_there_when_the_type_has_one_and_has_32_octets_at_most),
        cmocka_unit_test(a_ticket_has_room_for_thirty_session_keys_whatever_the_rules_allow),
        cmocka_unit_test(a_suite_that_nobody_knows_is_not_granted),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
