/* SPDX-License-Identifier: Apache-2.0 */
/* KEMAC contents, base tickets and ticket files at the level of the functions that read them: what
 * no honest party writes, so that no call between roles gets there. */
#include "ticket/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define T64 0xD120000000000000ULL
#define CSB 0x01020304U

static struct mkt_crypto *crypto;
static const struct mkt_suite *suite;
static struct mkt_msg_keys mk;

static int
open_suite(void **state)
{
    (void)state;
    crypto = mkt_crypto_new();
    suite = mkt_suite_of(MKT_PRF_MIKEY_1);
    mk = (struct mkt_msg_keys){ .suite = suite };
    memset(mk.encr, 1, sizeof mk.encr);
    memset(mk.salt, 2, sizeof mk.salt);
    memset(mk.auth, 3, sizeof mk.auth);
    return crypto != NULL ? 0 : -1;
}

static int
close_suite(void **state)
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

/* Reads one Key Data sub-payload as KEMAC contents. */
static enum mkt_rc
read_one(const struct mkt_pl_key_data *d)
{
    uint8_t octets[512];
    struct mkt_writer w = mkt_w_open(octets, sizeof octets);
    struct mkt_err err = { 0 };
    MKT_SCOPED_KEYS keys;

    keys.n = 0;
    mkt_pl_write(&w, &(struct mkt_payload){ .type = MKT_PL_KEY_DATA, .u.key_data = *d });
    assert_false(w.overflow);
    enum mkt_rc rc = mkt_keys_read(&keys, mkt_span(octets, w.len), 0, suite, &err);
    assert_int_equal(keys.n, rc == MKT_OK ? 1 : 0);
    return rc;
}

static void
a_key_needs_an_spi_128_bits_and_its_own_suite(void **state)
{
    static const uint8_t octets[40] = { 1 };
    struct mkt_pl_key_data d = {
        .type = MKT_KEY_TGK, .kv = MKT_KV_SPI, .key = mkt_span(octets, 16), .spi = mkt_span("s", 1)
    };
    (void)state;
    assert_int_equal(read_one(&d), MKT_OK);
    d.key.n = 15;
    assert_int_equal(read_one(&d), MKT_E_WEAK_KEY); /* RFC6043:12.1-4 */
    d.key.n = 17;
    assert_int_equal(read_one(&d), MKT_E_SUITE_MIX); /* RFC6043:12.1-9 */
    d.type = MKT_KEY_MPK; /* an MPK may be longer than the suite's keys */
    assert_int_equal(read_one(&d), MKT_OK);
    d.type = MKT_KEY_TGK;
    d.key.n = 16;
    d.kv = MKT_KV_NULL;
    assert_int_equal(read_one(&d), MKT_E_KEY_DATA); /* RFC6043:6.2.1-2 */
    d.kv = MKT_KV_INTERVAL;
    d.from = d.to = mkt_span(octets, 8);
    assert_int_equal(read_one(&d), MKT_E_KEY_DATA);
}

static void
a_key_or_salt_longer_than_any_secret_is_refused(void **state)
{
    static const uint8_t octets[MKT_SECRET_MAX + 1] = { 1 };
    struct mkt_pl_key_data d = { .type = MKT_KEY_MPK,
                                 .kv = MKT_KV_SPI,
                                 .key = mkt_span(octets, MKT_SECRET_MAX + 1),
                                 .spi = mkt_span("s", 1) };
    (void)state;
    assert_int_equal(read_one(&d), MKT_E_KEY_DATA);
    d.type = MKT_KEY_TEK_SALT;
    d.key.n = 16;
    d.salt = mkt_span(octets, MKT_SECRET_MAX + 1);
    assert_int_equal(read_one(&d), MKT_E_KEY_DATA);
    d.salt.n = MKT_SECRET_MAX;
    assert_int_equal(read_one(&d), MKT_OK);
}

static void
contents_that_are_no_keys_are_refused(void **state)
{
    static const uint8_t t[] = { 0, MKT_TS_COUNTER, 0, 0, 0, 1 };
    uint8_t octets[64];
    struct mkt_writer w = mkt_w_open(octets, sizeof octets);
    struct mkt_key k = key(MKT_KEY_TEK, 16, 1);
    struct mkt_err err = { 0 };
    MKT_SCOPED_KEYS keys;

    (void)state;
    keys.n = 0;
    assert_int_equal(mkt_keys_read(&keys, mkt_span(NULL, 0), 0, suite, &err), MKT_OK);
    assert_int_equal(keys.n, 0); /* no session keys at all */
    mkt_keys_write(&w, &(struct mkt_keys){ .n = 1, .k = { k } });
    octets[0] = MKT_PL_T;
    mkt_w_octets(&w, mkt_span(t, sizeof t));
    assert_int_equal(mkt_keys_read(&keys, mkt_span(octets, w.len), 0, suite, &err), MKT_E_KEY_DATA);
    assert_int_equal(keys.n, 0);
    err.rc = MKT_OK;
    assert_int_equal(mkt_keys_read(&keys, mkt_span(octets, w.len - 1), 0, suite, &err),
                     MKT_E_TRUNCATED);
}

/* --- KEMAC -------------------------------------------------------------------------------------
 */

static enum mkt_rc
read_kemac(const struct mkt_payload *pl, struct mkt_keys *keys)
{
    struct mkt_err err = { 0 };
    return mkt_kemac_read(keys, pl, crypto, &mk, CSB, T64, &err);
}

static void
a_kemac_has_the_suites_encryption_and_no_mac(void **state)
{
    static const uint8_t mac[20] = { 0 };
    struct mkt_keys in = { .n = 1, .k = { key(MKT_KEY_TEK, 16, 1) } };
    uint8_t octets[256];
    struct mkt_writer w = mkt_w_open(octets, sizeof octets);
    struct mkt_payload pl;
    struct mkt_err err = { 0 };
    size_t used;
    MKT_SCOPED_KEYS keys;

    (void)state;
    keys.n = 0;
    assert_true(mkt_kemac_write(&w, crypto, &mk, CSB, T64, &in));
    assert_int_equal(mkt_payload_decode(&pl, MKT_PL_KEMAC, mkt_span(octets, w.len), &used, &err),
                     MKT_OK);
    assert_int_equal(read_kemac(&pl, &keys), MKT_OK);
    assert_memory_equal(keys.k[0].key.b, in.k[0].key.b, 16);
    pl.u.kemac.mac_alg = MKT_MAC_HMAC_SHA_1_160;
    pl.u.kemac.mac = mkt_span(mac, sizeof mac);
    assert_int_equal(read_kemac(&pl, &keys), MKT_E_MAC_ALG); /* RFC6043:4.2.1.5-5 */
    pl.u.kemac.mac_alg = MKT_MAC_NULL;
    pl.u.kemac.encr_alg = MKT_ENCR_NULL;
    assert_int_equal(read_kemac(&pl, &keys), MKT_E_ENCR_ALG);
    pl.u.kemac.encr_alg = MKT_ENCR_AES_CM_256;
    assert_int_equal(read_kemac(&pl, &keys), MKT_E_ENCR_ALG);
    pl.u.kemac.encr_alg = MKT_ENCR_AES_KW_128; /* the suite's too, but this is no wrapped key */
    assert_int_equal(read_kemac(&pl, &keys), MKT_E_CRYPTO);
    pl.u.kemac.encr_data.n = 7;
    assert_int_equal(read_kemac(&pl, &keys), MKT_E_CRYPTO);
    pl.u.kemac.encr_data.n = MKT_KEMAC_MAX + 1;
    assert_int_equal(read_kemac(&pl, &keys), MKT_E_TOO_MANY);
    assert_int_equal(keys.n, 1); /* a refusal leaves what was there */
}

static void
a_wrapped_kemac_is_a_multiple_of_eight_octets(void **state)
{
    struct mkt_keys in = { .n = 1, .k = { key(MKT_KEY_TEK, 16, 1) } };
    uint8_t octets[256];
    struct mkt_payload pl;
    struct mkt_err err = { 0 };
    size_t used, fits = 0;
    MKT_SCOPED_KEYS keys;

    (void)state;
    keys.n = 0;
    mk.key_wrap = true;
    for (uint8_t n = 1; n <= 8; n++) {
        struct mkt_writer w = mkt_w_open(octets, sizeof octets);
        in.k[0].spi_len = n;
        if (!mkt_kemac_write(&w, crypto, &mk, CSB, T64, &in))
            continue;
        fits++;
        assert_int_equal(
            mkt_payload_decode(&pl, MKT_PL_KEMAC, mkt_span(octets, w.len), &used, &err), MKT_OK);
        assert_int_equal(read_kemac(&pl, &keys), MKT_OK);
        assert_memory_equal(keys.k[0].key.b, in.k[0].key.b, 16);
        /* no room for the check value */
        w = mkt_w_open(octets, w.len - 3);
        assert_false(mkt_kemac_write(&w, crypto, &mk, CSB, T64, &in) && !w.overflow);
    }
    assert_int_equal(fits, 1);
    mk.key_wrap = false;
}

static void
a_kemac_that_does_not_fit_leaves_no_key_behind(void **state)
{
    struct mkt_keys in = { .n = 2, .k = { key(MKT_KEY_TEK, 16, 0x40), key(MKT_KEY_TEK, 16, 2) } };
    uint8_t octets[64], zeros[64] = { 0 };

    (void)state;
    memset(octets, 0, sizeof octets);
    struct mkt_writer w = mkt_w_open(octets, 40);
    assert_true(mkt_kemac_write(&w, crypto, &mk, CSB, T64, &in));
    assert_true(w.overflow);
    assert_memory_equal(octets + 4, zeros, 60);
}

/* --- what is in a set of keys ------------------------------------------------------------------
 */

static void
mpks_move_to_the_front_and_are_counted(void **state)
{
    struct mkt_err err = { 0 };
    struct mkt_keys keys = {
        .n = 3, .k = { key(MKT_KEY_TGK, 16, 1), key(MKT_KEY_MPK, 16, 2), key(MKT_KEY_MPK, 16, 3) }
    };
    struct mkt_keys again = keys;

    (void)state;
    assert_int_equal(mkt_keys_arrange(&keys, 2, 0, &err), MKT_OK);
    assert_int_equal(keys.k[0].spi[0], 2);
    assert_int_equal(keys.k[1].spi[0], 3);
    assert_int_equal(keys.k[2].spi[0], 1);
    assert_int_equal(mkt_keys_arrange(&again, 1, 0, &err), MKT_E_KEY_DATA); /* RFC6043:4.2.1.5-9 */
    assert_int_equal(again.n, 0);
    err.rc = MKT_OK;
    again.n = 1;
    again.k[0] = key(MKT_KEY_MPK, 16, 1);
    assert_int_equal(mkt_keys_arrange(&again, 2, 0, &err), MKT_E_KEY_DATA);
}

static void
a_party_supplies_session_keys_with_spis_of_their_own_if_it_may(void **state)
{
    struct mkt_policy p;
    struct mkt_err err = { 0 };
    struct mkt_keys keys = { .n = 2, .k = { key(MKT_KEY_MPK, 16, 1), key(MKT_KEY_TGK, 16, 2) } };
    struct mkt_keys extra = { .n = 1, .k = { key(MKT_KEY_TEK, 16, 3) } };

    (void)state;
    mkt_policy_init(&p, MKT_PRF_MIKEY_1);
    assert_int_equal(mkt_keys_supply(&keys, &extra, &p, MKT_TP_L, &err), MKT_E_KEY_DATA);
    p.flags |= MKT_TP_L;
    err.rc = MKT_OK;
    assert_int_equal(mkt_keys_supply(&keys, &extra, &p, MKT_TP_M, &err), MKT_E_KEY_DATA);
    assert_int_equal(keys.n, 2); /* RFC6043:6.10-10, 6.10-11 */
    err.rc = MKT_OK;
    assert_int_equal(mkt_keys_supply(&keys, &extra, &p, MKT_TP_L, &err), MKT_OK);
    assert_int_equal(keys.n, 3);
    assert_int_equal(mkt_keys_supply(&keys, &extra, &p, MKT_TP_L, &err), MKT_E_KEY_DATA);
    err.rc = MKT_OK;
    extra.k[0] = key(MKT_KEY_MPK, 16, 4);
    assert_int_equal(mkt_keys_supply(&keys, &extra, &p, MKT_TP_L, &err), MKT_E_KEY_DATA);
    err.rc = MKT_OK;
    extra.k[0] = key(MKT_KEY_TEK, 16, 4);
    keys.n = MKT_KEYS_MAX;
    assert_int_equal(mkt_keys_supply(&keys, &extra, &p, MKT_TP_L, &err), MKT_E_TOO_MANY);
}

static void
keys_of_our_own_are_checked_before_they_are_sent(void **state)
{
    struct mkt_key good = key(MKT_KEY_TEK, 16, 1), bad[2];
    struct mkt_err err = { 0 };
    const struct {
        enum mkt_rc rc;
        struct mkt_key k;
    } wrong[] = {
        { MKT_E_KEY_DATA, key(MKT_KEY_MPK, 16, 2) },
        { MKT_E_KEY_DATA, key(MKT_KEY_TEK_SALT, 16, 2) }, /* and no salt */
        { MKT_E_KEY_DATA, { .type = MKT_KEY_TEK, .kv = MKT_KV_NULL } },
        { MKT_E_KEY_DATA, { .type = MKT_KEY_TEK, .kv = MKT_KV_SPI } },
        { MKT_E_KEY_DATA, key(MKT_KEY_TEK, 16, 1) }, /* the SPI of the other */
        { MKT_E_WEAK_KEY, key(MKT_KEY_TEK, 15, 2) },
        { MKT_E_SUITE_MIX, key(MKT_KEY_TEK, 17, 2) },
    };
    (void)state;
    assert_int_equal(mkt_keys_check_own(&good, 1, suite, &err), MKT_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        bad[0] = good;
        bad[1] = wrong[i].k;
        assert_int_equal(mkt_keys_check_own(bad, 2, suite, &err), wrong[i].rc);
        err.rc = MKT_OK;
    }
    bad[0] = key(MKT_KEY_TEK_SALT, 16, 2);
    bad[0].salt.n = 14;
    assert_int_equal(mkt_keys_check_own(bad, 1, suite, &err), MKT_OK);
}

/* --- base tickets ------------------------------------------------------------------------------
 */

struct made {
    uint8_t octets[1024];
    size_t n;
    struct mkt_policy policy;
    struct mkt_inkey_mem tpk;
};

static void
make_ticket(struct made *m, size_t rand_len, size_t mpk_len)
{
    static const uint8_t rand[64] = { 7 };
    struct mkt_keys keys = { .n = 1, .k = { key(MKT_KEY_MPK, mpk_len, 1) } };
    struct mkt_writer w = mkt_w_open(m->octets, sizeof m->octets);
    const struct mkt_base_ticket t = {
        .ts_type = MKT_TS_NTP_UTC, .t64 = T64, .rand = mkt_span(rand, rand_len), .keys = &keys
    };
    uint8_t tpk[32] = { 9 };

    assert_int_equal(mkt_inkey_mem_init(&m->tpk, mkt_span(tpk, sizeof tpk)), MKT_OK);
    mkt_policy_init(&m->policy, MKT_PRF_MIKEY_1);
    m->policy.responders[m->policy.n_responders++] = mkt_uri("sip:bob@example.com");
    assert_true(mkt_base_ticket_write(&w, crypto, &m->tpk.base, &m->policy, &t));
    assert_false(w.overflow);
    m->n = w.len;
}

static enum mkt_rc
open_ticket(const struct made *m, struct mkt_keys *keys)
{
    struct mkt_ticket_data d;
    struct mkt_payload pl;
    struct mkt_err err = { 0 };
    size_t used;

    assert_int_equal(mkt_payload_decode(&pl, MKT_PL_TICKET, mkt_span(m->octets, m->n), &used, &err),
                     MKT_OK);
    if (mkt_ticket_data_read(&d, &pl, &err) != MKT_OK)
        return err.rc;
    enum mkt_rc rc = mkt_base_ticket_open(keys, &pl, &d, &m->policy, crypto, &m->tpk.base, &err);
    assert_true(rc == MKT_OK || keys->n == 0);
    return rc;
}

static void
the_rand_of_a_ticket_is_as_long_as_tpk_and_mpk(void **state)
{
    struct made m;
    MKT_SCOPED_KEYS keys;

    (void)state;
    keys.n = 0;
    make_ticket(&m, 32, 16);
    assert_int_equal(open_ticket(&m, &keys), MKT_OK);
    assert_int_equal(keys.n, 2); /* MPKi and MPKr: the policy forks keys */
    mkt_keys_wipe(&keys);
    make_ticket(&m, 31, 16);
    assert_int_equal(open_ticket(&m, &keys), MKT_E_TICKET); /* RFC6043:12.1-5 */
    make_ticket(&m, 32, 33);
    assert_int_equal(open_ticket(&m, &keys), MKT_E_TICKET);
}

/* Ticket Data made of these payloads, cut apart. */
static enum mkt_rc
read_data(const uint16_t *types, size_t n, uint8_t psk_role)
{
    static const uint8_t octets[32] = { 0 };
    uint8_t data[512];
    struct mkt_writer w = mkt_w_open(data, sizeof data);
    struct mkt_payload ticket = { .type = MKT_PL_TICKET };
    struct mkt_ticket_data d;
    struct mkt_err err = { 0 };

    for (size_t i = 0; i < n; i++) {
        struct mkt_payload pl = { .type = types[i] };
        if (types[i] == MKT_PL_T)
            pl.u.t = (struct mkt_pl_t){ MKT_TS_COUNTER, mkt_span(octets, 4) };
        if (types[i] == MKT_PL_IDR)
            pl.u.idr = (struct mkt_pl_idr){ psk_role, MKT_ID_BYTES, mkt_span("x", 1) };
        if (types[i] == MKT_PL_V)
            pl.u.v = (struct mkt_pl_v){ MKT_MAC_HMAC_SHA_1_160, mkt_span(octets, 20) };
        mkt_pl_write(&w, &pl);
    }
    assert_false(w.overflow);
    ticket.u.ticket = (struct mkt_pl_ticket){ .ticket_type = MKT_TICKET_TYPE_BASE,
                                              .subtype = 1,
                                              .version = 1,
                                              .ticket_data = mkt_span(data, w.len) };
    ticket.raw = mkt_span(data, w.len);
    return mkt_ticket_data_read(&d, &ticket, &err);
}

static void
ticket_data_has_each_payload_once_and_v_last(void **state)
{
    static const uint16_t whole[] = { MKT_PL_THDR,  MKT_PL_T,   MKT_PL_RAND,
                                      MKT_PL_KEMAC, MKT_PL_IDR, MKT_PL_V };
    const size_t n = sizeof whole / sizeof whole[0];
    uint16_t some[8];

    (void)state;
    assert_int_equal(read_data(whole, n, MKT_IDR_PSK), MKT_OK);
    for (size_t left_out = 1; left_out < n; left_out++) {
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
            if (i != left_out)
                some[k++] = whole[i];
        assert_int_equal(read_data(some, k, MKT_IDR_PSK),
                         whole[left_out] == MKT_PL_IDR ? MKT_OK : MKT_E_TICKET);
    }
    for (size_t twice = 1; twice < n; twice++) {
        memcpy(some, whole, sizeof whole);
        some[n - 1] = whole[twice];
        some[n] = MKT_PL_V;
        assert_int_equal(read_data(some, n + 1, MKT_IDR_PSK), MKT_E_TICKET);
        /* an IDR of another role is unexpected, and ignored however often it comes */
        if (whole[twice] == MKT_PL_IDR)
            assert_int_equal(read_data(some, n + 1, MKT_IDR_R), MKT_OK);
    }
    memcpy(some, whole, sizeof whole);
    some[4] = MKT_PL_V;
    some[5] = MKT_PL_IDR;
    assert_int_equal(read_data(some, n, MKT_IDR_PSK), MKT_E_TICKET); /* RFC6043:A.1-7 */
}

/* --- ticket files ------------------------------------------------------------------------------
 */

static enum mkt_rc
import(const uint8_t *file, size_t n)
{
    struct mkt_grant *g = NULL;
    struct mkt_err err = { 0 };
    enum mkt_rc rc = mkt_grant_import(&g, mkt_span(file, n), &err);
    assert_int_equal(g != NULL, rc == MKT_OK);
    mkt_grant_free(g);
    return rc;
}

static void
a_ticket_file_is_read_whole_or_not_at_all(void **state)
{
    struct made m;
    struct mkt_grant *g = NULL;
    struct mkt_err err = { 0 };
    struct mkt_keys keys = { .n = 2, .k = { key(MKT_KEY_MPK, 16, 1), key(MKT_KEY_MPK, 16, 2) } };
    uint8_t file[2048], altered[2048];
    size_t len;

    (void)state;
    make_ticket(&m, 32, 16);
    assert_int_equal(mkt_grant_make(&g, mkt_span(m.octets, m.n), &keys, &err), MKT_OK);
    assert_int_equal(mkt_grant_export(g, file, sizeof file, &len), MKT_OK);
    memset(altered, 0, sizeof altered);
    for (size_t cap = 0, all = len; cap < all; cap++) {
        assert_int_equal(mkt_grant_export(g, altered, cap, &len), MKT_E_NO_SPACE);
        for (size_t i = 0; i < cap; i++)
            assert_int_equal(altered[i], 0); /* no key stays in the buffer */
    }
    assert_int_equal(mkt_grant_export(g, file, sizeof file, &len), MKT_OK);
    mkt_grant_free(g);
    assert_int_equal(import(file, len), MKT_OK);
    for (size_t n = 0; n < len; n++)
        assert_int_not_equal(import(file, n), MKT_OK);
    file[len] = 0;
    assert_int_equal(import(file, len + 1), MKT_E_TRAILING);
    memcpy(altered, file, len);
    altered[0] ^= 1;
    assert_int_equal(import(altered, len), MKT_E_FIELD);
    /* the last octet of the ticket's length stands before it: one more than what it holds */
    const uint8_t *ticket = memmem(file, len, m.octets, m.n);
    assert_non_null(ticket);
    const size_t at = (size_t)(ticket - file), end = at + m.n;
    memcpy(altered, file, end);
    altered[at - 1]++;
    altered[end] = 0;
    memcpy(altered + end + 1, file + end, len - end);
    assert_int_equal(import(altered, len + 1), MKT_E_TRAILING);
    memcpy(altered, file, len);
    altered[at + 5] |= 0x80; /* PRF Func */
    assert_int_equal(import(altered, len), MKT_E_PRF);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_needs_an_spi_128_bits_and_its_own_suite),
        cmocka_unit_test(a_key_or_salt_longer_than_any_secret_is_refused),
        cmocka_unit_test(contents_that_are_no_keys_are_refused),
        cmocka_unit_test(a_kemac_has_the_suites_encryption_and_no_mac),
        cmocka_unit_test(a_wrapped_kemac_is_a_multiple_of_eight_octets),
        cmocka_unit_test(a_kemac_that_does_not_fit_leaves_no_key_behind),
        cmocka_unit_test(mpks_move_to_the_front_and_are_counted),
        cmocka_unit_test(a_party_supplies_session_keys_with_spis_of_their_own_if_it_may),
        cmocka_unit_test(keys_of_our_own_are_checked_before_they_are_sent),
        cmocka_unit_test(the_rand_of_a_ticket_is_as_long_as_tpk_and_mpk),
        cmocka_unit_test(ticket_data_has_each_payload_once_and_v_last),
        cmocka_unit_test(a_ticket_file_is_read_whole_or_not_at_all),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_suite, close_suite);
}
