/* SPDX-License-Identifier: Apache-2.0 */
/* The Ticket Policy: flags that imply each other, validity, and what a KMS makes of a wish. */
#include "ticket/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW 0xD120000000000000ULL /* some second of 2011 */

static const struct mkt_grant_rules no_rules;

static struct mkt_policy
wish(void)
{
    struct mkt_policy p;
    mkt_policy_init(&p, MKT_PRF_MIKEY_1);
    p.responders[p.n_responders++] = mkt_uri("sip:bob@example.com");
    return p;
}

static enum mkt_rc
grant_with(struct mkt_policy *g, const struct mkt_policy *want, const struct mkt_grant_rules *rules)
{
    struct mkt_err err = { 0 };
    return mkt_policy_grant(g, want, rules, mkt_uri("sip:alice@example.com"),
                            mkt_uri("sip:kms@example.com"), NOW, &err);
}

static void
each_implication_of_the_flags_is_refused_when_broken(void **state)
{
    /* RFC6043:6.10: what is set, and the rule that it breaks */
    static const struct {
        uint16_t flags;
        const char *rule;
    } bad[] = {
        { MKT_TP_H, "flags: NOT D implies L" },
        { MKT_TP_D | MKT_TP_G, "flags: G implies F" },
        { MKT_TP_D, "flags: NOT G implies H" },
        { MKT_TP_D | MKT_TP_H | MKT_TP_I, "flags: I implies E" },
        { MKT_TP_L | MKT_TP_H | MKT_TP_K, "flags: K implies D" },
        { MKT_TP_D | MKT_TP_H | MKT_TP_M, "flags: M implies F" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mkt_err err = { 0 };
        /* RFC6043:5.1.3-7 */
        assert_int_equal(mkt_policy_check(bad[i].flags, false, &err), MKT_E_TP_FLAGS);
        assert_string_equal(err.what, bad[i].rule);
        assert_string_equal(err.ref, "RFC 6043 6.10");
    }
}

static void
forking_a_tgk_needs_an_answer(void **state)
{
    const uint16_t flags = MKT_TP_D | MKT_TP_E | MKT_TP_H | MKT_TP_I;
    struct mkt_err err = { 0 };
    (void)state;
    assert_int_equal(mkt_policy_check(flags, false, &err), MKT_OK);
    assert_int_equal(mkt_policy_check(flags | MKT_TP_F, true, &err), MKT_OK);
    assert_int_equal(mkt_policy_check(flags, true, &err), MKT_E_TP_FLAGS); /* RFC6043:6.10-1 */
}

static void
validity_is_inclusive_at_both_ends(void **state)
{
    struct mkt_policy p = wish();
    struct mkt_err err = { 0 };
    (void)state;
    p.start = (struct mkt_time){ true, MKT_TS_NTP_UTC, NOW };
    p.end = (struct mkt_time){ true, MKT_TS_NTP_UTC, NOW + 10 };
    assert_int_equal(mkt_policy_valid_at(&p, NOW, &err), MKT_OK);
    assert_int_equal(mkt_policy_valid_at(&p, NOW + 10, &err), MKT_OK);
    assert_int_equal(mkt_policy_valid_at(&p, NOW + 11, &err), MKT_E_TICKET_EXPIRED);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_policy_valid_at(&p, NOW - 1, &err), MKT_E_TICKET_EXPIRED);
}

static void
validity_crosses_the_era_of_2036(void **state)
{
    struct mkt_policy p = wish();
    struct mkt_err err = { 0 };
    (void)state;
    p.start = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, 0xFFFFFFF000000000ULL };
    p.end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, 0x0000001000000000ULL };
    /* RFC6043:6.10-16 RFC6043:6.10-17 RFC6043:6.3-1 */
    assert_int_equal(mkt_policy_valid_at(&p, 0x0000000100000000ULL, &err), MKT_OK);
    assert_int_equal(mkt_policy_valid_at(&p, 0xFFFFFFFF00000000ULL, &err), MKT_OK);
    assert_int_equal(mkt_policy_valid_at(&p, 0x0000001100000000ULL, &err), MKT_E_TICKET_EXPIRED);
}

static void
an_ordinary_wish_is_granted_unchanged_with_one_tgk(void **state)
{
    struct mkt_policy want = wish(), g;
    (void)state;
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_OK);
    assert_int_equal(g.flags, want.flags);
    assert_int_equal(g.n_wanted, 1); /* RFC6043:4.2.1.5-7 */
    assert_int_equal(g.wanted[0].type, MKT_KEY_TGK);
    assert_int_equal(g.wanted[0].key_len, 16);
    assert_true(mkt_identity_equal(g.initiator, mkt_uri("sip:alice@example.com")));
}

static void
k_is_set_exactly_when_something_changed(void **state)
{
    struct mkt_policy want = wish(), g;
    (void)state;
    want.flags |= MKT_TP_K; /* ignored in a TP */
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_OK);
    assert_false(g.flags & MKT_TP_K); /* RFC6043:6.10-9 */

    want.initiator = mkt_uri("sip:mallory@example.com");
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_OK);
    assert_true(g.flags & MKT_TP_K); /* RFC6043:4.2.1.4-2 */
    assert_true(mkt_identity_equal(g.initiator, mkt_uri("sip:alice@example.com")));

    want = wish();
    want.flags |= MKT_TP_J;
    const struct mkt_grant_rules no_reuse = { .clear_flags = MKT_TP_J };
    assert_int_equal(grant_with(&g, &want, &no_reuse), MKT_OK);
    assert_int_equal(g.flags, (want.flags & ~MKT_TP_J) | MKT_TP_K);
}

static void
the_kms_repairs_d_e_and_f_and_says_so(void **state)
{
    struct mkt_policy want = wish(), g;
    (void)state;
    want.flags = MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_L | MKT_TP_N | MKT_TP_O; /* D = E = 0 */
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_OK);
    assert_int_equal(g.flags, want.flags | MKT_TP_D | MKT_TP_E | MKT_TP_K);

    want.flags = MKT_TP_D | MKT_TP_E | MKT_TP_H | MKT_TP_I | MKT_TP_N | MKT_TP_O; /* F = 0 */
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_OK);
    assert_int_equal(g.flags, want.flags | MKT_TP_F | MKT_TP_K);
}

static void
validity_is_bounded_from_its_beginning(void **state)
{
    const struct mkt_grant_rules ten_minutes = { .max_validity_s = 600 };
    struct mkt_policy want = wish(), g;
    (void)state;
    assert_int_equal(grant_with(&g, &want, &ten_minutes), MKT_OK);
    assert_true(g.end.has && g.end.value == NOW + (600ULL << 32));
    assert_true(g.flags & MKT_TP_K);

    want.start = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, NOW - (60ULL << 32) };
    want.end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, NOW + (3600ULL << 32) };
    assert_int_equal(grant_with(&g, &want, &ten_minutes), MKT_OK);
    assert_true(g.end.value == NOW + (540ULL << 32));

    want.end.value = NOW + (100ULL << 32);
    assert_int_equal(grant_with(&g, &want, &ten_minutes), MKT_OK);
    assert_true(g.end.value == want.end.value);
    assert_false(g.flags & MKT_TP_K);
}

/* TP Data of one IDRr and one TRr, whose timestamp has this type. */
static enum mkt_rc
read_rekeying(struct mkt_policy *p, uint8_t ts_type, size_t len)
{
    static const uint8_t minute[8] = { 0, 0, 0, 60, 0xFF };
    uint8_t data[64];
    struct mkt_writer w = mkt_w_open(data, sizeof data);
    struct mkt_err err = { 0 };
    w.slot = mkt_w_reserve(&w, 1);
    mkt_pl_write(&w, &(struct mkt_payload){ .type = MKT_PL_IDR, .u.idr = { .role = MKT_IDR_R } });
    mkt_pl_write(&w, &(struct mkt_payload){ .type = MKT_PL_TR,
                                            .u.tr = { MKT_TR_R, ts_type, mkt_span(minute, len) } });
    assert_false(w.overflow);
    const struct mkt_pl_ticket tp = { .tp_data = mkt_span(data, w.len) };
    return mkt_policy_decode(p, &tp, true, 0, &err);
}

static void
a_rekeying_interval_is_in_whole_seconds(void **state)
{
    struct mkt_policy p;
    (void)state;
    assert_int_equal(read_rekeying(&p, MKT_TS_NTP_UTC_32, 4), MKT_OK);
    assert_true(p.rekey.has && p.rekey.value == 60ULL << 32);
    assert_int_equal(read_rekeying(&p, MKT_TS_NTP_UTC, 8), MKT_E_TP_PARAM); /* RFC6043:6.10-19 */
    assert_int_equal(read_rekeying(&p, MKT_TS_NTP, 8), MKT_E_TP_PARAM);
    assert_int_equal(read_rekeying(&p, MKT_TS_COUNTER, 4), MKT_E_TP_PARAM);
}

static void
a_wish_forks_keys_and_is_not_reusable_unless_told_otherwise(void **state)
{
    struct mkt_policy p;
    (void)state;
    for (uint8_t prf = MKT_PRF_MIKEY_1; prf <= MKT_PRF_HMAC_SHA_256; prf++) {
        mkt_policy_init(&p, prf);
        assert_true((p.flags & MKT_TP_I) != 0); /* RFC6043:12.4-1 RFC6043:12.2-1 */
        assert_true((p.flags & MKT_TP_J) == 0); /* RFC6043:12.5-1 RFC6043:5.3-4 */
    }
}

static void
a_wish_that_cannot_be_met_is_refused_by_name(void **state)
{
    struct mkt_policy want, g;
    (void)state;
    want = wish();
    want.ticket_type = 2;
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_E_TICKET_TYPE);
    want = wish();
    want.flags &= (uint16_t)~MKT_TP_F; /* RFC6043:6.10 G implies F */
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_E_TP_FLAGS);
    want = wish();
    want.end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, NOW - (1ULL << 32) };
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_E_TICKET_EXPIRED);
}

static void
wanted_keys_must_fit_the_suite(void **state)
{
    static const struct mkt_want_key bad[] = {
        { .type = MKT_KEY_MPK, .key_len = 16 },                 /* not a session key */
        { .type = MKT_KEY_TGK, .key_len = 8 },                  /* RFC6043:12.1-4 */
        { .type = MKT_KEY_TGK, .key_len = 32 },                 /* RFC6043:12.1-9 */
        { .type = MKT_KEY_TGK_SALT, .key_len = 16 },            /* salt of no length */
        { .type = MKT_KEY_TGK, .key_len = 16, .salt_len = 14 }, /* salt where none is */
    };
    struct mkt_policy g;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mkt_policy want = wish();
        want.has_kemac = true;
        want.n_wanted = 1;
        want.wanted[0] = bad[i];
        assert_int_equal(grant_with(&g, &want, &no_rules), MKT_E_TP_PARAM); /* RFC3830:6.13-2 */
    }
    struct mkt_policy none = wish();
    none.has_kemac = true; /* an empty KEMAC: no session keys wanted (ambiguity 28) */
    assert_int_equal(grant_with(&g, &none, &no_rules), MKT_OK);
    assert_int_equal(g.n_wanted, 0);
}

static void
one_spi_for_two_keys_is_refused(void **state)
{
    struct mkt_policy want = wish(), g;
    (void)state;
    want.has_kemac = true;
    want.n_wanted = 2;
    for (size_t i = 0; i < 2; i++)
        want.wanted[i] = (struct mkt_want_key){
            MKT_KEY_TGK, MKT_KV_SPI, 16, 0, mkt_span("same", 4),
        };
    assert_int_equal(grant_with(&g, &want, &no_rules), MKT_E_TP_PARAM);
}

/* --- what is written can be read
 * ------------------------------------------------------------------ */

static void
a_wanted_policy_survives_the_wire(void **state)
{
    uint8_t buf[1024];
    struct mkt_policy want = wish(), back;
    struct mkt_payload pl;
    struct mkt_err err = { 0 };
    size_t used;
    (void)state;
    want.kms = mkt_uri("sip:kms@example.com");
    want.start = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, NOW };
    want.rekey = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, 3600ULL << 32 };
    want.apps[want.n_apps++] = mkt_uri("urn:example:voice");
    want.has_kemac = true;
    want.n_wanted = 1;
    want.wanted[0] =
        (struct mkt_want_key){ MKT_KEY_TEK_SALT, MKT_KV_SPI, 16, 14, mkt_span("spi", 3) };
    struct mkt_writer w = mkt_w_open(buf, sizeof buf);
    mkt_wanted_policy_write(&w, &want);
    assert_false(w.overflow);
    assert_int_equal(mkt_payload_decode(&pl, MKT_PL_TP, mkt_span(buf, w.len), &used, &err), MKT_OK);
    assert_int_equal(used, w.len);
    assert_int_equal(mkt_policy_decode(&back, &pl.u.ticket, false, 0, &err), MKT_OK);
    assert_int_equal(back.flags, want.flags);
    assert_true(mkt_identity_equal(back.kms, want.kms));
    assert_true(mkt_identity_equal(back.apps[0], want.apps[0]));
    assert_true(mkt_identity_equal(back.responders[0], want.responders[0]));
    assert_true(back.start.value == NOW && !back.end.has && back.rekey.has);
    assert_true(back.has_kemac && back.n_wanted == 1 && back.wanted[0].salt_len == 14);
    assert_memory_equal(back.wanted[0].spi.p, "spi", 3);

    /* "The KEMAC SHALL NOT be present in the granted Ticket Policy": RFC6043:6.10-22 */
    assert_int_equal(mkt_policy_decode(&back, &pl.u.ticket, true, 0, &err), MKT_E_TP_PARAM);
}

static struct mkt_grant *
some_grant(void)
{
    uint8_t buf[1024];
    struct mkt_policy p = wish();
    struct mkt_keys keys = { .n = 3 };
    struct mkt_grant *g = NULL;
    struct mkt_err err = { 0 };

    for (size_t i = 0; i < 3; i++) {
        keys.k[i].type = i < 2 ? MKT_KEY_MPK : MKT_KEY_TGK;
        keys.k[i].kv = MKT_KV_SPI;
        keys.k[i].spi_len = 1;
        keys.k[i].spi[0] = (uint8_t)i;
        keys.k[i].key.n = 16;
        memset(keys.k[i].key.b, 0x40 + (int)i, 16);
    }
    struct mkt_writer w = mkt_w_open(buf, sizeof buf);
    mkt_granted_policy_write(&w, &p);
    mkt_w_vec(&w, 2, mkt_span("opaque", 6));
    mkt_w_uint(&w, 2, 0);
    assert_int_equal(mkt_grant_make(&g, mkt_span(buf, w.len), &keys, &err), MKT_OK);
    assert_int_equal(keys.n, 0); /* moved, not copied */
    return g;
}

static void
a_ticket_file_reads_back_as_it_was(void **state)
{
    uint8_t file[1024];
    size_t len = 0;
    struct mkt_grant *g = some_grant(), *back = NULL;
    struct mkt_err err = { 0 };
    (void)state;
    assert_int_equal(mkt_grant_export(g, file, sizeof file, &len), MKT_OK);
    assert_int_equal(mkt_grant_import(&back, mkt_span(file, len), &err), MKT_OK);
    assert_int_equal(mkt_grant_keys(back)->n, 3);
    assert_true(mkt_ct_equal(mkt_secret_span(&mkt_grant_keys(back)->k[2].key),
                             mkt_secret_span(&mkt_grant_keys(g)->k[2].key)));
    assert_int_equal(mkt_grant_policy(back)->flags, mkt_grant_policy(g)->flags);
    mkt_grant_free(back);
    mkt_grant_free(g);
}

static void
every_truncation_of_a_ticket_file_is_refused(void **state)
{
    uint8_t file[1024];
    size_t len = 0;
    struct mkt_grant *g = some_grant(), *back = NULL;
    (void)state;
    assert_int_equal(mkt_grant_export(g, file, sizeof file, &len), MKT_OK);
    for (size_t n = 0; n < len; n++) {
        struct mkt_err err = { 0 };
        assert_int_not_equal(mkt_grant_import(&back, mkt_span(file, n), &err), MKT_OK);
        assert_null(back);
        assert_non_null(err.what);
        assert_non_null(err.ref);
    }
    mkt_grant_free(g);
}

static void
an_export_that_does_not_fit_leaves_no_key_behind(void **state)
{
    uint8_t file[1024], zeros[1024] = { 0 };
    size_t len = 0;
    struct mkt_grant *g = some_grant();
    (void)state;
    assert_int_equal(mkt_grant_export(g, file, sizeof file, &len), MKT_OK);
    for (size_t cap = 0; cap < len; cap++) {
        memset(file, 0, sizeof file);
        size_t ignored;
        assert_int_equal(mkt_grant_export(g, file, cap, &ignored), MKT_E_NO_SPACE);
        assert_memory_equal(file, zeros, sizeof file);
    }
    mkt_grant_free(g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_implication_of_the_flags_is_refused_when_broken),
        cmocka_unit_test(forking_a_tgk_needs_an_answer),
        cmocka_unit_test(validity_is_inclusive_at_both_ends),
        cmocka_unit_test(validity_crosses_the_era_of_2036),
        cmocka_unit_test(an_ordinary_wish_is_granted_unchanged_with_one_tgk),
        cmocka_unit_test(k_is_set_exactly_when_something_changed),
        cmocka_unit_test(the_kms_repairs_d_e_and_f_and_says_so),
        cmocka_unit_test(validity_is_bounded_from_its_beginning),
        cmocka_unit_test(a_rekeying_interval_is_in_whole_seconds),
        cmocka_unit_test(a_wish_forks_keys_and_is_not_reusable_unless_told_otherwise),
        cmocka_unit_test(a_wish_that_cannot_be_met_is_refused_by_name),
        cmocka_unit_test(wanted_keys_must_fit_the_suite),
        cmocka_unit_test(one_spi_for_two_keys_is_refused),
        cmocka_unit_test(a_wanted_policy_survives_the_wire),
        cmocka_unit_test(a_ticket_file_reads_back_as_it_was),
        cmocka_unit_test(every_truncation_of_a_ticket_file_is_refused),
        cmocka_unit_test(an_export_that_does_not_fit_leaves_no_key_behind),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
