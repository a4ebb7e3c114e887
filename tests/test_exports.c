/* SPDX-License-Identifier: Apache-2.0 */
/* What goes into files between two runs of a program: a CSB, a resolved ticket, a ticket with the
 * mark of its use. Each reads back as it was, and goes on where it was; a damaged one is refused or
 * harmless. */
#include "update_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LM (MKT_TP_L | MKT_TP_M)
#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const uint8_t prfs[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };

struct file {
    uint8_t b[16384];
    size_t n;
};

static struct mkt_span
span(const struct file *f)
{
    return mkt_span(f->b, f->n);
}

/* --- a CSB --------------------------------------------------------------------------------------
 */

static void
csb_to_file(const struct mkt_csb *csb, struct file *f)
{
    assert_int_equal(mkt_csb_export(csb, f->b, sizeof f->b, &f->n), MKT_OK);
}

/* The CSB goes away and comes back from its file. */
static void
reopen(struct mkt_csb **csb)
{
    struct file f, again;
    struct mkt_err err = { 0 };
    bool vouched = mkt_csb_peer_is_vouched(*csb);
    csb_to_file(*csb, &f);
    mkt_csb_free(*csb);
    assert_int_equal(mkt_csb_import(csb, span(&f), &err), MKT_OK);
    assert_true(mkt_csb_peer_is_vouched(*csb) == vouched);
    csb_to_file(*csb, &again);
    assert_int_equal(f.n, again.n);
    assert_memory_equal(f.b, again.b, f.n);
}

static void
reopen_both(struct call *c)
{
    reopen(&c->at_alice[0]);
    reopen(&c->at_bob[0]);
}

static void
a_csb_reads_back_with_the_keys_it_had(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(prfs); i++) {
        struct call c;
        struct mkt_secret before, after;
        assert_true(updatable_open(&c, prfs[i / 2], MKT_TS_NTP_UTC, LM, i % 2 == 0 ? 0 : MKT_TP_I));
        assert_int_equal(call_keys(&c, c.at_alice[0], &before), MKT_OK);
        uint32_t id = mkt_csb_id(c.at_alice[0]);
        reopen_both(&c);
        assert_true(call_agrees(&c, 0));
        assert_int_equal(call_keys(&c, c.at_alice[0], &after), MKT_OK);
        assert_true(mkt_ct_equal(mkt_secret_span(&before), mkt_secret_span(&after)));
        assert_int_equal(mkt_csb_id(c.at_alice[0]), id);
        assert_true(mkt_identity_equal(mkt_csb_peer(c.at_alice[0]), c.bob[0]));
        assert_true(mkt_identity_equal(mkt_csb_peer(c.at_bob[0]), c.alice));
        call_close(&c);
    }
}

static void
an_update_goes_on_after_each_step_from_files(void **state)
{
    (void)state;
    static const uint8_t types[] = { MKT_TS_NTP_UTC, MKT_TS_NTP_UTC_32, MKT_TS_COUNTER };
    for (size_t i = 0; i < 2 * COUNT(types); i++) {
        struct call c;
        struct change u;
        bool by_alice = i % 2 == 0;
        assert_true(updatable_open(&c, MKT_PRF_HMAC_SHA_256, types[i / 2], LM, 0));
        for (uint8_t key = 0x10; key < 0x13; key++) {
            change_init(&u, &c, key, key);
            assert_int_equal(change_send(&c, &u, by_alice), MKT_OK);
            reopen_both(&c); /* sent, its key is pending */
            assert_int_equal(change_offered(&c, &u, by_alice), MKT_OK);
            reopen_both(&c); /* received */
            assert_int_equal(change_accept(&c, &u, by_alice), MKT_OK);
            reopen_both(&c);
            assert_int_equal(change_answered(&c, &u, by_alice), MKT_OK);
            reopen_both(&c);
            assert_true(call_agrees(&c, 0));
        }
        assert_int_equal(mkt_csb_count(c.at_alice[0]), 4);
        call_close(&c);
    }
}

static void
a_csb_from_a_file_knows_which_updates_it_has_seen(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    assert_true(updatable_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0));
    change_init(&u, &c, 2, 0x10);
    assert_int_equal(change_send(&c, &u, true), MKT_OK);
    assert_int_equal(change_offered(&c, &u, true), MKT_OK);
    assert_int_equal(change_refuse(&c, &u, true, MKT_E_SP), MKT_OK);
    reopen_both(&c);
    assert_int_equal(change_offered(&c, &u, true), MKT_E_REPLAY); /* RFC6043:5.2-6 */
    call_close(&c);
}

static void
timestamps_grow_across_files_even_when_the_clock_stands(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    uint64_t last = 0;
    assert_true(updatable_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0));
    for (uint8_t key = 0x10; key < 0x14; key++) {
        change_init(&u, &c, 2, key);
        u.update.answer = false;
        assert_int_equal(change_send(&c, &u, true), MKT_OK);
        assert_true(time_of(&u.init) > last);
        last = time_of(&u.init);
        reopen(&c.at_alice[0]);
    }
    call_close(&c);
}

static void
every_truncation_of_a_csb_file_is_refused(void **state)
{
    (void)state;
    struct call c;
    struct change u;
    struct file f;
    struct mkt_csb *back;
    assert_true(updatable_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0));
    change_init(&u, &c, 2, 0x10);
    assert_int_equal(change_send(&c, &u, true), MKT_OK);
    csb_to_file(c.at_alice[0], &f);
    for (size_t n = 0; n < f.n; n++) {
        struct mkt_err err = { 0 };
        assert_int_not_equal(mkt_csb_import(&back, mkt_span(f.b, n), &err), MKT_OK);
        assert_null(back);
        assert_non_null(err.ref);
    }
    call_close(&c);
}

/* Whatever a damaged file gives can be used and freed; a sanitizer build looks on. */
static void
a_damaged_csb_file_is_refused_or_harmless(void **state)
{
    (void)state;
    struct call c;
    struct change u, next;
    struct file f;
    size_t refused = 0;
    assert_true(updatable_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0));
    change_init(&u, &c, 2, 0x10);
    assert_int_equal(change_send(&c, &u, true), MKT_OK);
    csb_to_file(c.at_alice[0], &f);
    struct mkt_csb *kept = c.at_alice[0];
    for (size_t i = 0; i < f.n; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct mkt_err err = { 0 };
            struct mkt_secret key;
            f.b[i] ^= (uint8_t)(1U << bit);
            if (mkt_csb_import(&c.at_alice[0], span(&f), &err) == MKT_OK) {
                (void)call_keys(&c, c.at_alice[0], &key);
                change_init(&next, &c, 3, 0x11);
                (void)change_send(&c, &next, true);
                mkt_csb_free(c.at_alice[0]);
            } else {
                assert_null(c.at_alice[0]);
                assert_int_not_equal(err.rc, MKT_OK);
                refused++;
            }
            f.b[i] ^= (uint8_t)(1U << bit);
        }
    }
    c.at_alice[0] = kept;
    assert_in_range(refused, 8 * 9 + 1, 8 * f.n); /* the magic alone is 64 of them */
    call_close(&c);
}

/* Fields that a reader would follow into the wrong place. */
static void
a_csb_file_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    struct call c;
    struct file f;
    struct mkt_csb *back;
    struct mkt_err err = { 0 };
    assert_true(updatable_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0));
    struct mkt_csb *csb = c.at_alice[0];

    csb->update_state = MKT_UPDATE_SENT; /* without a message */
    csb_to_file(csb, &f);
    assert_int_equal(mkt_csb_import(&back, span(&f), &err), MKT_E_FIELD);
    csb->update_state = MKT_UPDATE_NONE;

    csb->n_settled--; /* a pending key without an update */
    csb_to_file(csb, &f);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_csb_import(&back, span(&f), &err), MKT_E_KEY_DATA);
    csb->n_settled++;

    csb->keys.k[csb->n_settled - 1].spi[0] ^= 1; /* a session without its key */
    csb_to_file(csb, &f);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_csb_import(&back, span(&f), &err), MKT_E_KEY_DATA);
    csb->keys.k[csb->n_settled - 1].spi[0] ^= 1;

    csb->ts_type = 9;
    csb_to_file(csb, &f);
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_csb_import(&back, span(&f), &err), MKT_E_FIELD);
    call_close(&c);
}

static void
a_csb_export_that_does_not_fit_leaves_no_key_behind(void **state)
{
    (void)state;
    static const uint8_t zeros[sizeof(struct file)];
    struct call c;
    struct file f, small;
    size_t ignored;
    assert_true(updatable_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, LM, 0));
    csb_to_file(c.at_bob[0], &f);
    for (size_t cap = 0; cap < f.n; cap++) {
        memset(small.b, 0, sizeof small.b);
        assert_int_equal(mkt_csb_export(c.at_bob[0], small.b, cap, &ignored), MKT_E_NO_SPACE);
        assert_memory_equal(small.b, zeros, sizeof small.b);
    }
    call_close(&c);
}

/* --- a resolved ticket --------------------------------------------------------------------------
 */

static void
resolved(struct call *c, uint8_t prf, uint16_t clear, struct file *f)
{
    assert_true(call_open(c, prf, MKT_TS_NTP_UTC));
    c->want.flags = (uint16_t)((c->want.flags | MKT_TP_J) & ~clear);
    assert_int_equal(call_whole(c, 1), MKT_OK);
    struct mkt_resolution *res = mkt_responder_take_resolution(c->responder[0]);
    assert_non_null(res);
    assert_int_equal(mkt_resolution_export(res, f->b, sizeof f->b, &f->n), MKT_OK);
    mkt_resolution_free(res);
    mkt_csb_free(c->at_alice[0]);
    mkt_csb_free(c->at_bob[0]);
    c->at_alice[0] = c->at_bob[0] = NULL;
}

static void
a_resolution_from_a_file_answers_with_the_same_modifier(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT(prfs); i++) {
        struct call c;
        struct file f, again;
        struct mkt_resolution *res = NULL;
        struct mkt_err err = { 0 };
        resolved(&c, prfs[i / 2], i % 2 == 0 ? 0 : MKT_TP_I, &f);
        assert_int_equal(mkt_resolution_import(&res, span(&f), &err), MKT_OK);
        assert_int_equal(mkt_resolution_export(res, again.b, sizeof again.b, &again.n), MKT_OK);
        assert_int_equal(f.n, again.n);
        assert_memory_equal(f.b, again.b, f.n);
        assert_int_equal(mkt_resolution_policy(res)->flags & MKT_TP_J, MKT_TP_J);
        assert_int_equal(call_offer(&c), MKT_OK);
        assert_int_equal(call_offered(&c, 0), MKT_OK);
        assert_int_equal(call_reused(&c, 0, res), MKT_OK); /* RFC6043:5.3-2 */
        assert_int_equal(call_answered(&c, 0), MKT_OK);
        assert_true(call_agrees(&c, 0));
        mkt_resolution_free(res);
        call_close(&c);
    }
}

static void
a_damaged_resolution_file_is_refused_or_harmless(void **state)
{
    (void)state;
    struct call c;
    struct file f;
    struct mkt_resolution *res;
    resolved(&c, MKT_PRF_MIKEY_1, 0, &f);
    for (size_t n = 0; n < f.n; n++) {
        struct mkt_err err = { 0 };
        assert_int_not_equal(mkt_resolution_import(&res, mkt_span(f.b, n), &err), MKT_OK);
        assert_null(res);
    }
    assert_int_equal(call_offer(&c), MKT_OK);
    for (size_t i = 0; i < 8 * f.n; i++) {
        struct mkt_err err = { 0 };
        f.b[i / 8] ^= (uint8_t)(1U << i % 8);
        if (mkt_resolution_import(&res, span(&f), &err) == MKT_OK) {
            assert_int_equal(call_offered(&c, 0), MKT_OK);
            if (call_reused(&c, 0, res) == MKT_OK) /* a session key, or a bit that says nothing */
                mkt_csb_free(c.at_bob[0]);
            c.at_bob[0] = NULL;
            mkt_resolution_free(res);
            mkt_responder_free(c.responder[0]); /* it knows the offer now */
            const struct mkt_credential bob = { .self = c.bob[0], .kms = c.kms };
            c.responder[0] = mkt_responder_new(&bob);
        }
        f.b[i / 8] ^= (uint8_t)(1U << i % 8);
    }
    call_close(&c);
}

static void
a_forked_resolution_file_needs_its_modifier(void **state)
{
    (void)state;
    struct call c;
    struct file f;
    struct mkt_resolution *res;
    struct mkt_err err = { 0 };
    resolved(&c, MKT_PRF_MIKEY_1, 0, &f);
    size_t at = 8, ticket = (size_t)f.b[8] << 16 | (size_t)f.b[9] << 8 | f.b[10];
    at += 3 + ticket;
    f.b[at] = 0; /* says that there is none, but brings one */
    assert_int_equal(mkt_resolution_import(&res, span(&f), &err), MKT_E_FIELD);
    size_t id = (size_t)f.b[at + 2] << 8 | f.b[at + 3];
    size_t rand = f.b[at + 4 + id];
    memmove(f.b + at + 5, f.b + at + 5 + id + rand, f.n - (at + 5 + id + rand));
    memset(f.b + at, 0, 5);
    f.n -= id + rand;
    err = (struct mkt_err){ 0 };
    assert_int_equal(mkt_resolution_import(&res, span(&f), &err), MKT_E_MISSING_PAYLOAD);
    call_close(&c);
}

static void
a_resolution_export_that_does_not_fit_leaves_no_key_behind(void **state)
{
    (void)state;
    static const uint8_t zeros[sizeof(struct file)];
    struct call c;
    struct file f, small;
    struct mkt_resolution *res = NULL;
    struct mkt_err err = { 0 };
    size_t ignored;
    resolved(&c, MKT_PRF_MIKEY_1, 0, &f);
    assert_int_equal(mkt_resolution_import(&res, span(&f), &err), MKT_OK);
    for (size_t cap = 0; cap < f.n; cap++) {
        memset(small.b, 0, sizeof small.b);
        assert_int_equal(mkt_resolution_export(res, small.b, cap, &ignored), MKT_E_NO_SPACE);
        assert_memory_equal(small.b, zeros, sizeof small.b);
    }
    mkt_resolution_free(res);
    call_close(&c);
}

/* --- a ticket -----------------------------------------------------------------------------------
 */

static struct mkt_grant *
copy_of(const struct mkt_grant *g)
{
    struct file f;
    struct mkt_grant *copy = NULL;
    struct mkt_err err = { 0 };
    assert_int_equal(mkt_grant_export(g, f.b, sizeof f.b, &f.n), MKT_OK);
    assert_int_equal(mkt_grant_import(&copy, span(&f), &err), MKT_OK);
    return copy;
}

static void
a_ticket_from_a_file_knows_that_it_was_used(void **state)
{
    (void)state;
    for (unsigned j = 0; j < 2; j++) {
        struct call c;
        assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
        c.want.flags = (uint16_t)(c.want.flags | (j != 0 ? MKT_TP_J : 0));
        assert_int_equal(call_until_grant(&c), MKT_OK);
        for (unsigned use = 0; use < 2; use++) {
            struct mkt_grant *old = c.grant;
            c.grant = copy_of(old);
            /* RFC6043:5.3-3 */
            assert_int_equal(call_offer(&c), use == 0 || j != 0 ? MKT_OK : MKT_E_TICKET);
            mkt_grant_free(old);
        }
        call_close(&c);
    }
}

static void
a_ticket_from_a_file_still_serves_the_group_of_its_one_use(void **state)
{
    (void)state;
    struct call c;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.want.flags &= (uint16_t)~MKT_TP_I;
    assert_int_equal(call_until_offer(&c), MKT_OK);
    struct message first = c.init;
    struct mkt_grant *old = c.grant;
    c.grant = copy_of(old);
    c.offer.group_of = mkt_span(first.b, first.n);
    assert_int_equal(call_offer(&c), MKT_OK);
    c.offer.group_of = mkt_span(NULL, 0);
    assert_int_equal(call_offer(&c), MKT_E_TICKET);
    mkt_grant_free(old);
    call_close(&c);
}

static void
a_ticket_file_of_an_unknown_mark_is_refused(void **state)
{
    (void)state;
    struct call c;
    struct file f;
    struct mkt_grant *copy;
    struct mkt_err err = { 0 };
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(mkt_grant_export(c.grant, f.b, sizeof f.b, &f.n), MKT_OK);
    f.b[8] = 2;
    assert_int_equal(mkt_grant_import(&copy, span(&f), &err), MKT_E_FIELD);
    assert_null(copy);
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_csb_reads_back_with_the_keys_it_had),
        cmocka_unit_test(an_update_goes_on_after_each_step_from_files),
        cmocka_unit_test(a_csb_from_a_file_knows_which_updates_it_has_seen),
        cmocka_unit_test(timestamps_grow_across_files_even_when_the_clock_stands),
        cmocka_unit_test(every_truncation_of_a_csb_file_is_refused),
        cmocka_unit_test(a_damaged_csb_file_is_refused_or_harmless),
        cmocka_unit_test(a_csb_file_that_contradicts_itself_is_refused),
        cmocka_unit_test(a_csb_export_that_does_not_fit_leaves_no_key_behind),
        cmocka_unit_test(a_resolution_from_a_file_answers_with_the_same_modifier),
        cmocka_unit_test(a_damaged_resolution_file_is_refused_or_harmless),
        cmocka_unit_test(a_forked_resolution_file_needs_its_modifier),
        cmocka_unit_test(a_resolution_export_that_does_not_fit_leaves_no_key_behind),
        cmocka_unit_test(a_ticket_from_a_file_knows_that_it_was_used),
        cmocka_unit_test(a_ticket_from_a_file_still_serves_the_group_of_its_one_use),
        cmocka_unit_test(a_ticket_file_of_an_unknown_mark_is_refused),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
