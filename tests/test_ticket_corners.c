/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets at the level of the functions that make and open them, in the corners that no call of
 * honest parties visits: how many keys there is room for, SPIs of no octets, MACs of another suite,
 * keys in hardware that is longer than what is kept, files and Initiator Data of another form. */
#include "ticket/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define T64 0xD120000000000000ULL

static struct mkt_crypto *crypto;
static struct mkt_err err;
static struct mkt_inkey_mem tpk;
static struct mkt_policy policy;
static struct mkt_env env;

static bool
draw(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    memset(out, 0x5C, n);
    return true;
}

static int
open_all(void **state)
{
    static const uint8_t octets[32] = { 9 };
    (void)state;
    crypto = mkt_crypto_new();
    env = (struct mkt_env){ .crypto = crypto, .now = T64, .random = draw };
    err = (struct mkt_err){ 0 };
    mkt_policy_init(&policy, MKT_PRF_MIKEY_1);
    policy.responders[policy.n_responders++] = mkt_uri("sip:bob@example.com");
    return crypto != NULL && mkt_inkey_mem_init(&tpk, mkt_span(octets, 16)) == MKT_OK ? 0 : -1;
}

static int
close_all(void **state)
{
    (void)state;
    mkt_crypto_free(crypto);
    return 0;
}

static struct mkt_key
key(uint8_t type, size_t len, uint8_t spi)
{
    struct mkt_key k = { .type = type, .kv = MKT_KV_SPI, .spi_len = 1, .spi = { spi } };
    k.key.n = (uint16_t)len;
    memset(k.key.b, spi + 1, len);
    return k;
}

/* --- base tickets ------------------------------------------------------------------------------
 */

static struct mkt_payload ticket;
static struct mkt_ticket_data data;

/* Makes a ticket of these keys and takes it apart. */
static void
make(const struct mkt_keys *keys)
{
    static uint8_t octets[4096];
    static const uint8_t rand[32] = { 7 };
    struct mkt_writer w = mkt_w_open(octets, sizeof octets);
    const struct mkt_base_ticket t = {
        .ts_type = MKT_TS_NTP_UTC, .t64 = T64, .rand = mkt_span(rand, sizeof rand), .keys = keys
    };
    size_t used;
    err = (struct mkt_err){ 0 };
    assert_true(mkt_base_ticket_write(&w, crypto, &tpk.base, &policy, &t));
    assert_false(w.overflow);
    assert_int_equal(
        mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_span(octets, w.len), &used, &err), MKT_OK);
    assert_int_equal(mkt_ticket_data_read(&data, &ticket, &err), MKT_OK);
}

static enum mkt_rc
open_made(struct mkt_keys *keys)
{
    err = (struct mkt_err){ 0 };
    mkt_keys_wipe(keys);
    return mkt_base_ticket_open(keys, &ticket, &data, &policy, crypto, &tpk.base, &err);
}

/* A KEMAC holds 32 keys. With key forking the MPK becomes two. */
static void
a_ticket_full_of_keys_opens_unless_its_mpk_becomes_two(void **state)
{
    static struct mkt_keys keys, opened;
    (void)state;
    keys.n = 0;
    keys.k[keys.n++] = key(MKT_KEY_MPK, 16, 1);
    for (; keys.n < MKT_KEYS_MAX; keys.n++)
        keys.k[keys.n] = key(MKT_KEY_TEK, 16, (uint8_t)(keys.n + 1));
    make(&keys);
    assert_int_equal(open_made(&opened), MKT_E_TICKET);
    assert_int_equal(opened.n, 0);
    keys.n--;
    make(&keys);
    assert_int_equal(open_made(&opened), MKT_OK);
    assert_int_equal(opened.n, MKT_KEYS_MAX);
    keys.n++;
    policy.flags &= (uint16_t)~MKT_TP_I;
    make(&keys);
    assert_int_equal(open_made(&opened), MKT_OK);
    assert_int_equal(opened.n, MKT_KEYS_MAX);
    assert_int_equal(opened.k[MKT_KEYS_MAX - 1].spi[0], MKT_KEYS_MAX);
}

static void
an_mpk_may_have_an_spi_of_no_octets(void **state)
{
    static struct mkt_keys opened;
    struct mkt_keys keys = { .n = 2, .k = { key(MKT_KEY_MPK, 16, 1), key(MKT_KEY_TEK, 16, 2) } };
    (void)state;
    make(&keys);
    assert_int_equal(open_made(&opened), MKT_OK);
    assert_int_equal(opened.k[0].spi[0] ^ opened.k[1].spi[0], 1); /* MPKi and MPKr */
    keys.k[0].spi_len = 0;
    make(&keys);
    assert_int_equal(open_made(&opened), MKT_OK);
    assert_int_equal(opened.n, 3);
    assert_int_equal(opened.k[0].spi_len, 0);
    assert_int_equal(opened.k[1].spi_len, 0);
    assert_int_equal(opened.k[2].spi[0], 2);
}

static void
the_v_of_a_ticket_is_of_its_suite(void **state)
{
    static struct mkt_keys opened;
    const struct mkt_keys keys = { .n = 1, .k = { key(MKT_KEY_MPK, 16, 1) } };
    (void)state;
    make(&keys);
    assert_int_equal(open_made(&opened), MKT_OK);
    data.pl[data.n - 1].u.v.auth_alg = MKT_MAC_HMAC_SHA_256_256;
    assert_int_equal(open_made(&opened), MKT_E_TICKET);
    assert_string_equal(err.what, "Ticket Data: V is not of the suite");
    data.pl[data.n - 1].u.v.auth_alg = MKT_MAC_NULL;
    assert_int_equal(open_made(&opened), MKT_E_TICKET);
    assert_int_equal(opened.n, 0);
}

static void
a_ticket_of_an_unknown_suite_is_neither_made_nor_opened(void **state)
{
    static struct mkt_keys opened;
    const struct mkt_keys keys = { .n = 1, .k = { key(MKT_KEY_MPK, 16, 1) } };
    const struct mkt_base_ticket t = { .rand = mkt_span("0123456789abcdef", 16), .keys = &keys };
    uint8_t octets[512];
    struct mkt_writer w = mkt_w_open(octets, sizeof octets);
    (void)state;
    make(&keys);
    policy.prf = 2;
    assert_int_equal(open_made(&opened), MKT_E_TICKET);
    assert_false(mkt_base_ticket_write(&w, crypto, &tpk.base, &policy, &t));
    assert_int_equal(w.len, 0);
}

static void
only_types_whose_tickets_are_opened_are_taken_apart(void **state)
{
    const struct mkt_keys keys = { .n = 1, .k = { key(MKT_KEY_MPK, 16, 1) } };
    (void)state;
    make(&keys);
    ticket.u.ticket.version = 2; /* there is no such type */
    assert_int_equal(mkt_ticket_data_read(&data, &ticket, &err), MKT_E_TICKET_TYPE);
    err = (struct mkt_err){ 0 };
    ticket.u.ticket.version = 1;
    ticket.u.ticket.ticket_type = MKT_TICKET_TYPE_COMPAT; /* and this one is its Responder's */
    assert_int_equal(mkt_ticket_data_read(&data, &ticket, &err), MKT_E_TICKET_TYPE);
    err = (struct mkt_err){ 0 };
    ticket.u.ticket.ticket_type = MKT_TICKET_TYPE_BASE;
    assert_int_equal(mkt_ticket_data_read(&data, &ticket, &err), MKT_OK);
}

/* --- tickets of the Initiator ------------------------------------------------------------------
 */

static enum mkt_rc
create(const struct mkt_own_ticket *own)
{
    struct mkt_grant *g = NULL;
    err = (struct mkt_err){ 0 };
    enum mkt_rc rc = mkt_grant_create(&g, &env, own, &err);
    assert_int_equal(rc == MKT_OK, g != NULL);
    if (g != NULL)
        assert_true(mkt_grant_keys(g)->n > own->keys->n);
    mkt_grant_free(g);
    return rc;
}

static bool
no_prf(const struct mkt_inkey *k, struct mkt_crypto *c, uint8_t prf_func,
       const struct mkt_derive *d, size_t n)
{
    (void)k, (void)c, (void)prf_func, (void)d, (void)n;
    return false;
}

static void
an_initiator_makes_tickets_that_fit_and_no_others(void **state)
{
    static const uint8_t much[UINT16_MAX];
    struct mkt_keys keys = { .n = 1, .k = { key(MKT_KEY_TEK, 16, 2) } };
    struct mkt_own_ticket own = { .policy = &policy, .tpk = &tpk.base, .keys = &keys };
    struct mkt_inkey in_hardware = { MKT_SECRET_MAX + 1, no_prf };
    (void)state;
    policy.flags = (uint16_t)((policy.flags & ~MKT_TP_D) | MKT_TP_L);
    assert_int_equal(create(&own), MKT_OK);
    own.tpk = &in_hardware; /* longer than any RAND */
    assert_int_equal(create(&own), MKT_E_WEAK_KEY);
    in_hardware.len = MKT_SECRET_MAX;
    assert_int_equal(create(&own), MKT_E_CRYPTO);
    own.tpk = &tpk.base;
    own.thdr = mkt_span(much, sizeof much); /* with all the rest there is no room for it */
    assert_int_equal(create(&own), MKT_E_NO_SPACE);
    own.thdr = mkt_span(NULL, 0);
    policy.version = 2;
    assert_int_equal(create(&own), MKT_E_TICKET_TYPE);
    policy.version = 1;
    policy.prf = 2;
    assert_int_equal(create(&own), MKT_E_PRF);
    policy.prf = MKT_PRF_MIKEY_1;
    assert_int_equal(create(&own), MKT_OK);
}

/* RFC6043:12.1: the RAND is as long as the longer of the two. */
static void
a_tpk_longer_than_the_mpk_gets_a_rand_of_its_length(void **state)
{
    static const uint8_t octets[32] = { 3 };
    const struct mkt_keys keys = { .n = 0 };
    const struct mkt_own_ticket own = { .policy = &policy, .tpk = &tpk.base, .keys = &keys };
    struct mkt_grant *g = NULL;
    size_t used;
    (void)state;
    policy.flags = (uint16_t)((policy.flags & ~MKT_TP_D) | MKT_TP_L);
    for (size_t n = 16; n <= 32; n += 8) {
        assert_int_equal(mkt_inkey_mem_init(&tpk, mkt_span(octets, n)), MKT_OK);
        assert_int_equal(mkt_grant_create(&g, &env, &own, &err), MKT_OK);
        assert_int_equal(
            mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_grant_ticket(g), &used, &err), MKT_OK);
        assert_int_equal(mkt_ticket_data_read(&data, &ticket, &err), MKT_OK);
        assert_int_equal(data.rand->u.rand.rand.n, n);
        mkt_grant_free(g);
    }
}

static void
an_mpk_of_ones_own_has_an_spi_field_and_the_length_of_the_suite(void **state)
{
    struct mkt_keys keys = { .n = 1, .k = { key(MKT_KEY_MPK, 16, 2) } };
    const struct mkt_own_ticket own = { .policy = &policy, .tpk = &tpk.base, .keys = &keys };
    (void)state;
    policy.flags = (uint16_t)((policy.flags & ~MKT_TP_D) | MKT_TP_L);
    assert_int_equal(create(&own), MKT_OK);
    keys.k[0].kv = MKT_KV_NULL;
    assert_int_equal(create(&own), MKT_E_KEY_DATA);
    keys.k[0].kv = MKT_KV_SPI;
    keys.k[0].key.n = 15;
    assert_int_equal(create(&own), MKT_E_KEY_DATA);
}

/* --- SPIs --------------------------------------------------------------------------------------
 */

static void
an_spi_is_looked_for_by_its_length_and_all_its_octets(void **state)
{
    struct mkt_keys keys = {
        .n = 3, .k = { key(MKT_KEY_MPK, 16, 1), key(MKT_KEY_TEK, 16, 2), key(MKT_KEY_TEK, 16, 3) }
    };
    const struct mkt_suite *suite = mkt_suite_of(MKT_PRF_MIKEY_1);
    (void)state;
    keys.k[2].spi_len = 2;
    keys.k[2].spi[0] = 2; /* 02 00 */
    assert_int_equal(mkt_keys_find(&keys, mkt_span("\x02", 1)), 1);
    assert_int_equal(mkt_keys_find(&keys, mkt_span("\x02\x00", 2)), 2);
    assert_int_equal(mkt_keys_find(&keys, mkt_span("\x02\x01", 2)), -1);
    assert_int_equal(mkt_keys_find(&keys, mkt_span("\x01", 1)), -1); /* an MPK is no session key */
    keys.k[1].spi_len = 0;
    assert_int_equal(mkt_keys_find(&keys, mkt_span(NULL, 0)), -1); /* and nothing names nothing */
    keys.k[1] = key(MKT_KEY_TEK, 16, 2);
    assert_int_equal(mkt_keys_check_own(&keys.k[1], 2, suite, &err), MKT_OK);
    keys.k[2].spi_len = 1;
    assert_int_equal(mkt_keys_check_own(&keys.k[1], 2, suite, &err), MKT_E_KEY_DATA);
    err = (struct mkt_err){ 0 };
    keys.k[2].spi[0] = 3;
    assert_int_equal(mkt_keys_check_own(&keys.k[1], 2, suite, &err), MKT_OK);
}

/* --- files -------------------------------------------------------------------------------------
 */

static void
a_ticket_file_whose_policy_cannot_be_read_is_refused(void **state)
{
    static uint8_t file[4096];
    const struct mkt_keys keys = { .n = 0 };
    const struct mkt_own_ticket own = { .policy = &policy, .tpk = &tpk.base, .keys = &keys };
    struct mkt_grant *g = NULL, *back = NULL;
    size_t n;
    (void)state;
    policy.flags = (uint16_t)((policy.flags & ~MKT_TP_D) | MKT_TP_L);
    assert_int_equal(mkt_grant_create(&g, &env, &own, &err), MKT_OK);
    assert_int_equal(mkt_grant_export(g, file, sizeof file, &n), MKT_OK);
    assert_int_equal(mkt_grant_import(&back, mkt_span(file, n), &err), MKT_OK);
    mkt_grant_free(back);
    const uint8_t *start = mkt_grant_ticket(g).p;
    struct mkt_payload pl;
    size_t used;
    assert_int_equal(mkt_payload_decode(&pl, MKT_PL_TICKET, mkt_grant_ticket(g), &used, &err),
                     MKT_OK);
    const size_t head = 8 + 1 + 4 + 3; /* docs/formats/ticket-file.md */
    const size_t tp_data = head + (size_t)(pl.u.ticket.tp_data.p - start);
    file[tp_data] = 99; /* First Payload: of no known type */
    assert_int_equal(mkt_grant_import(&back, mkt_span(file, n), &err), MKT_E_UNKNOWN_PAYLOAD);
    assert_null(back);
    err = (struct mkt_err){ 0 };
    file[tp_data] = pl.u.ticket.tp_data.p[0];
    file[tp_data - 1] = 0xFF; /* TP Data longer than the file */
    file[tp_data - 2] = 0xFF;
    assert_int_equal(mkt_grant_import(&back, mkt_span(file, n), &err), MKT_E_TRUNCATED);
    assert_null(back);
    mkt_grant_free(g);
}

/* --- Initiator Data ----------------------------------------------------------------------------
 */

/* Initiator Data of these payloads: V of an algorithm, or 0xFF for a T that nobody expects. */
static enum mkt_rc
read_initiator_data(struct mkt_initiator_data *d, const uint8_t *algs, size_t n)
{
    static uint8_t octets[512];
    static const uint8_t mac[32] = { 4 };
    struct mkt_writer w = mkt_w_open(octets, sizeof octets);
    w.slot = mkt_w_reserve(&w, 1);
    for (size_t i = 0; i < n; i++) {
        struct mkt_payload pl = { .type = MKT_PL_V };
        size_t len = algs[i] == MKT_MAC_NULL ? 0 : algs[i] == MKT_MAC_HMAC_SHA_1_160 ? 20 : 32;
        pl.u.v = (struct mkt_pl_v){ algs[i], mkt_span(mac, len) };
        if (algs[i] == 0xFF) {
            pl.type = MKT_PL_T;
            pl.u.t = (struct mkt_pl_t){ MKT_TS_COUNTER, mkt_span(mac, 4) };
        }
        mkt_pl_write(&w, &pl);
    }
    assert_false(w.overflow);
    ticket = (struct mkt_payload){ .type = MKT_PL_TICKET, .raw = mkt_span(octets, w.len) };
    ticket.u.ticket.initiator_data = mkt_span(octets, w.len);
    err = (struct mkt_err){ 0 };
    return mkt_initiator_data_read(d, &ticket, &err);
}

static void
initiator_data_ends_with_the_second_and_last_v(void **state)
{
    struct mkt_initiator_data d;
    (void)state;
    assert_int_equal(read_initiator_data(&d, (const uint8_t[]){ 1, 1 }, 2), MKT_OK);
    assert_int_equal(read_initiator_data(&d, (const uint8_t[]){ 0xFF, 1, 0xFF, 1 }, 4), MKT_OK);
    assert_int_equal(read_initiator_data(&d, (const uint8_t[]){ 1 }, 1), MKT_E_AUTH);
    assert_int_equal(read_initiator_data(&d, (const uint8_t[]){ 1, 1, 0xFF }, 3), MKT_E_AUTH);
    assert_string_equal(err.what, "Initiator Data: not Vi, Vr");
    assert_int_equal(read_initiator_data(&d, (const uint8_t[]){ 1, 1, 1 }, 3), MKT_E_AUTH);
    assert_string_equal(err.what, "Initiator Data: a third V");
}

static void
both_macs_of_initiator_data_are_of_the_suite(void **state)
{
    static const uint8_t algs[][2] = { { 2, 1 }, { 1, 2 }, { 0, 1 }, { 1, 0 } };
    const struct mkt_suite *suite = mkt_suite_of(MKT_PRF_MIKEY_1);
    const struct mkt_secret mpk_r = { .n = 16 };
    struct mkt_initiator_data d;
    (void)state;
    for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
        assert_int_equal(read_initiator_data(&d, algs[i], 2), MKT_OK);
        assert_int_equal(mkt_initiator_data_verify(&d, &ticket, crypto, suite, &mpk_r, &err),
                         MKT_E_AUTH);
        assert_string_equal(err.what, "Initiator Data: not of the suite");
    }
    assert_int_equal(read_initiator_data(&d, (const uint8_t[]){ 1, 1 }, 2), MKT_OK);
    assert_int_equal(mkt_initiator_data_verify(&d, &ticket, crypto, suite, &mpk_r, &err),
                     MKT_E_AUTH);
    assert_string_equal(err.what, "Initiator Data: Vr");
}

/* In a buffer that is larger than any message: Ticket Data has a length of 16 bits. */
static void
ticket_data_longer_than_its_length_field_is_not_written(void **state)
{
    static uint8_t octets[1 << 17];
    static const uint8_t thdr[UINT16_MAX], rand[16];
    const struct mkt_keys keys = { .n = 1, .k = { key(MKT_KEY_MPK, 16, 1) } };
    struct mkt_base_ticket t = {
        .ts_type = MKT_TS_NTP_UTC, .t64 = T64, .rand = mkt_span(rand, 16), .keys = &keys
    };
    (void)state;
    for (size_t n = UINT16_MAX - 200; n <= UINT16_MAX; n += 200) {
        struct mkt_writer w = mkt_w_open(octets, sizeof octets);
        t.thdr = mkt_span(thdr, n);
        assert_true(mkt_base_ticket_write(&w, crypto, &tpk.base, &policy, &t));
        assert_int_equal(w.overflow, n == UINT16_MAX);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_ticket_full_of_keys_opens_unless_its_mpk_becomes_two),
        TEST(an_mpk_may_have_an_spi_of_no_octets),
        TEST(the_v_of_a_ticket_is_of_its_suite),
        TEST(a_ticket_of_an_unknown_suite_is_neither_made_nor_opened),
        TEST(only_types_whose_tickets_are_opened_are_taken_apart),
        TEST(an_initiator_makes_tickets_that_fit_and_no_others),
        TEST(a_tpk_longer_than_the_mpk_gets_a_rand_of_its_length),
        TEST(an_mpk_of_ones_own_has_an_spi_field_and_the_length_of_the_suite),
        TEST(an_spi_is_looked_for_by_its_length_and_all_its_octets),
        TEST(a_ticket_file_whose_policy_cannot_be_read_is_refused),
        TEST(initiator_data_ends_with_the_second_and_last_v),
        TEST(both_macs_of_initiator_data_are_of_the_suite),
        TEST(ticket_data_longer_than_its_length_field_is_not_written),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
