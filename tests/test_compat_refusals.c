/* SPDX-License-Identifier: Apache-2.0 */
/* Compatibility tickets (RFC 6043 B.1) that must not be granted, issued, offered, resolved or sent.
 */
#include "compat_call.h"
#include "payload/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* --- the KMS refuses -------------------------------------------------------------------------- */

static enum mkt_rc
grant_of(struct call *c)
{
    struct mkt_policy granted;
    struct mkt_err err = { 0 };
    return mkt_policy_grant(&granted, &c->want, &c->rules, c->alice, c->kms, c->env.now, &err);
}

static void
every_flag_but_D_and_H_is_refused(void **state)
{
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    for (unsigned flags = 0; flags < 1U << 12; flags++) {
        c.want.flags = (uint16_t)flags;
        const bool fits = (flags & ~(unsigned)MKT_TP_K) == (MKT_TP_D | MKT_TP_H);
        assert_int_equal(grant_of(&c), fits ? MKT_OK : MKT_E_TP_FLAGS);
    }
    call_close(&c);
}

static void
byte_id(struct call *c)
{
    c->want.responders[0] = (struct mkt_identity){ MKT_ID_BYTES, mkt_span("bob", 3) };
}

static void
two_responders(struct call *c)
{
    c->want.responders[c->want.n_responders++] = c->bob[1];
}

static void
no_responder(struct call *c)
{
    c->want.n_responders = 0;
}

static void
big_suite(struct call *c)
{
    c->want.prf = MKT_PRF_HMAC_SHA_256;
}

static void
no_psk(struct call *c)
{
    c->rules.responder_has_tpk = false;
}

static void
tek(struct call *c)
{
    compat_want_key(c, MKT_KEY_TEK, 16, 0);
}

static void
gtgk(struct call *c)
{
    compat_want_key(c, MKT_KEY_GTGK, 16, 0);
}

static void
two_tgks(struct call *c)
{
    compat_want_key(c, MKT_KEY_TGK, 16, 0);
    compat_want_key(c, MKT_KEY_TGK, 16, 0);
}

static void
no_key(struct call *c)
{
    c->want.has_kemac = true;
}

static void
long_key(struct call *c)
{
    compat_want_key(c, MKT_KEY_TGK, 32, 0);
}

static void
third_subtype(struct call *c)
{
    c->want.subtype = 3;
}

static void
second_version(struct call *c)
{
    c->want.version = 2;
}

static void
what_rfc_3830_does_not_have_is_refused_by_name(void **state)
{
    static const struct {
        void (*ask)(struct call *c);
        enum mkt_rc rc;
    } row[] = {
        { byte_id, MKT_E_IDENTITY },
        { two_responders, MKT_E_TP_PARAM },
        { no_responder, MKT_E_TP_PARAM },
        { big_suite, MKT_E_PRF },
        { no_psk, MKT_E_TP_PARAM },
        { tek, MKT_E_TP_PARAM },
        { gtgk, MKT_E_TP_PARAM },
        { two_tgks, MKT_E_TP_PARAM },
        { no_key, MKT_E_TP_PARAM },
        { long_key, MKT_E_TP_PARAM },
        { third_subtype, MKT_E_TICKET_TYPE }, /* RFC6043:6.10 */
        { second_version, MKT_E_TICKET_TYPE },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(row); i++) {
        struct call c;
        assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
        assert_int_equal(grant_of(&c), MKT_OK);
        row[i].ask(&c);
        assert_int_equal(grant_of(&c), row[i].rc);
        call_close(&c);
    }
}

static void
an_identity_that_is_not_sent_may_be_of_any_type(void **state)
{
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_NO_IDS, 16));
    byte_id(&c);
    assert_int_equal(grant_of(&c), MKT_OK);
    call_close(&c);
}

static void
a_ticket_is_made_only_under_the_psk_of_its_responder(void **state)
{
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    assert_int_equal(call_request(&c), MKT_OK);
    c.tpk_owner = c.bob[1];
    assert_int_equal(call_issue(&c), MKT_E_ARGUMENT);
    c.tpk_owner = (struct mkt_identity){ 0, { NULL, 0 } };
    assert_int_equal(call_issue(&c), MKT_E_ARGUMENT);
    c.tpk_owner = c.bob[0];
    assert_int_equal(call_issue(&c), MKT_OK);
    call_close(&c);
}

static void
forgets_H(struct mkt_policy *granted)
{
    granted->flags = MKT_TP_D | MKT_TP_F | MKT_TP_G;
}

static void
two_keys(struct mkt_policy *granted)
{
    granted->wanted[granted->n_wanted++] = granted->wanted[0];
}

static void
a_policy_that_was_not_granted_so_is_not_issued(void **state)
{
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    assert_int_equal(call_request(&c), MKT_OK);
    c.twist = forgets_H;
    assert_int_equal(call_issue(&c), MKT_E_TP_FLAGS);
    c.twist = two_keys;
    assert_int_equal(call_issue(&c), MKT_E_ARGUMENT);
    call_close(&c);
}

/* --- it is not a ticket to be offered or resolved --------------------------------------------- */

static void
the_initiator_does_not_offer_it(void **state)
{
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(mkt_grant_policy(c.grant)->flags, MKT_TP_D | MKT_TP_H);
    assert_int_equal(call_offer(&c), MKT_E_TICKET_TYPE); /* RFC6043:6.10-12 */
    assert_int_equal(c.io.out_len, 0);
    call_close(&c);
}

/* Puts Alice's ticket in the place of the one in a RESOLVE_INIT or TRANSFER_INIT. */
static void
put_ticket(struct message *m, const struct mkt_grant *grant)
{
    struct mkt_err err = { 0 };
    struct mkt_msg parsed;
    struct mkt_payload ticket;
    struct message out;
    struct mkt_writer w = mkt_w_open(out.b, sizeof out.b);
    size_t used = 0;

    assert_int_equal(mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err), MKT_OK);
    assert_int_equal(
        mkt_payload_decode(&ticket, MKT_PL_TICKET, mkt_grant_ticket(grant), &used, &err), MKT_OK);
    mkt_hdr_write(&w, &parsed.hdr);
    for (size_t i = 0; i < parsed.n; i++)
        mkt_pl_write(&w, parsed.pl[i].type == MKT_PL_TICKET ? &ticket : &parsed.pl[i]);
    assert_false(w.overflow);
    out.n = w.len;
    *m = out;
}

static void
nobody_resolves_it(void **state)
{
    struct call c, base;
    struct mkt_err err = { 0 };
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_true(call_open(&base, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_until_offer(&base), MKT_OK);
    assert_int_equal(call_offered(&base, 0), MKT_OK);
    assert_int_equal(call_accept(&base, 0), MKT_OK);
    put_ticket(&base.resolve[0], c.grant);
    const struct message *m = &base.resolve[0];
    assert_int_equal(mkt_kms_begin(base.txn, mkt_span(m->b, m->n), &err), MKT_OK);
    assert_int_equal(mkt_kms_ask(base.txn)->ticket_err->rc, MKT_E_TICKET_TYPE);
    put_ticket(&base.init, c.grant);
    assert_int_equal(call_offered(&base, 1), MKT_E_TICKET_TYPE);
    call_close(&base);
    call_close(&c);
}

static void
an_initiator_cannot_make_one(void **state)
{
    struct call c;
    struct mkt_grant *grant;
    struct mkt_keys none = { .n = 0 };
    struct mkt_err err = { 0 };
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    c.want.flags = MKT_TP_H | MKT_TP_L;
    const struct mkt_own_ticket own = { .policy = &c.want, .tpk = &c.tpk.base, .keys = &none };
    assert_int_equal(mkt_grant_create(&grant, &c.env, &own, &err), MKT_E_TICKET_TYPE);
    assert_null(grant);
    call_close(&c);
}

static void
becomes_compat(struct mkt_policy *granted)
{
    const struct mkt_policy had = *granted;
    mkt_policy_init_compat(granted, MKT_COMPAT_IDS);
    granted->kms = had.kms;
    granted->initiator = had.initiator;
    granted->responders[granted->n_responders++] = had.responders[0];
    granted->n_wanted = had.n_wanted;
    granted->wanted[0] = had.wanted[0];
}

static void
an_initiator_that_asked_for_another_type_takes_none(void **state)
{
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_NO_IDS, 16));
    c.twist = becomes_compat; /* the other subtype */
    assert_int_equal(call_until_grant(&c), MKT_E_TICKET_TYPE);
    call_close(&c);
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    c.tpk_owner = c.bob[0];
    c.twist = becomes_compat;
    assert_int_equal(call_until_grant(&c), MKT_E_TP_PARAM); /* N = 0 that was not asked for */
    assert_null(c.grant);
    call_close(&c);
}

/* --- the grant -------------------------------------------------------------------------------- */

static void
a_grant_of_another_type_holds_no_such_message(void **state)
{
    struct call c;
    struct mkt_compat compat;
    MKT_SCOPED_SECRET
    key = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };
    (void)state;
    assert_true(call_open(&c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC));
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(mkt_grant_compat(c.grant, &c.env, &compat, &c.io.err), MKT_E_TICKET_TYPE);
    assert_null(compat.message.p);
    assert_int_equal(mkt_grant_compat_derive(c.grant, &c.env, 1, &key, &salt, &c.io.err),
                     MKT_E_TICKET_TYPE);
    assert_int_equal(key.n, 0);
    call_close(&c);
}

static void
only_the_crypto_sessions_of_the_message_have_keys(void **state)
{
    static const uint8_t none[] = { 0, 3, 255 };
    struct call c;
    MKT_SCOPED_SECRET
    key = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    assert_int_equal(call_until_grant(&c), MKT_OK);
    for (size_t i = 0; i < COUNT(none); i++) {
        struct mkt_err err = { 0 };
        assert_int_equal(mkt_grant_compat_derive(c.grant, &c.env, none[i], &key, &salt, &err),
                         MKT_E_ARGUMENT);
        assert_int_equal(key.n + salt.n, 0);
    }
    call_close(&c);
}

static void
outside_its_validity_it_gives_nothing(void **state)
{
    struct call c;
    struct mkt_compat compat;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    assert_int_equal(call_until_grant(&c), MKT_OK);
    assert_int_equal(mkt_grant_compat(c.grant, &c.env, &compat, &c.io.err), MKT_OK);
    c.env.now = c.want.end.value + (1ULL << 32);
    assert_int_equal(mkt_grant_compat(c.grant, &c.env, &compat, &c.io.err), MKT_E_TICKET_EXPIRED);
    assert_null(compat.message.p);
    call_close(&c);
}

/* What a grant says whose message was altered at `at`, counted from its start, or from its end when
 * negative. */
static enum mkt_rc
altered(struct call *c, int at, uint8_t to)
{
    struct mkt_err err = { 0 };
    struct mkt_compat compat;
    struct mkt_grant *grant = NULL;
    uint8_t file[4096];
    size_t len = 0;

    assert_int_equal(mkt_grant_compat(c->grant, &c->env, &compat, &err), MKT_OK);
    assert_int_equal(mkt_grant_export(c->grant, file, sizeof file, &len), MKT_OK);
    uint8_t *message = memmem(file, len, compat.message.p, compat.message.n);
    assert_non_null(message);
    uint8_t *octet = at < 0 ? message + compat.message.n + at : message + at;
    assert_int_not_equal(*octet, to);
    *octet = to;
    assert_int_equal(mkt_grant_import(&grant, mkt_span(file, len), &err), MKT_OK);
    enum mkt_rc rc = mkt_grant_compat(grant, &c->env, &compat, &err);
    mkt_grant_free(grant);
    return rc;
}

static void
a_message_of_another_form_is_not_sent(void **state)
{
    static const struct {
        const char *what;
        int at;
        uint8_t to;
    } row[] = {
        { "version", 0, 2 },
        { "data type: public key", 1, MKT_DT_PK_INIT },
        { "first payload: ID instead of T", 2, MKT_PL_ID },
        { "V", 3, 0x80 },
        { "PRF", 3, 1 },
        { "#CS", 8, 0 },
        { "map type", 9, MKT_MAP_EMPTY },
        { "next of T: SP instead of RAND", 28, MKT_PL_SP },
        { "RAND too short", 39, 15 },
        { "Encr alg", -21 - 20 - 3, MKT_ENCR_NULL },
        { "MAC alg", -21, MKT_MAC_NULL },
    };
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_NO_IDS, 16));
    assert_int_equal(call_until_grant(&c), MKT_OK);
    for (size_t i = 0; i < COUNT(row); i++)
        if (altered(&c, row[i].at, row[i].to) != MKT_E_TICKET)
            fail_msg("%s: taken", row[i].what);
    assert_int_equal(altered(&c, -1, 0xA5), MKT_OK); /* the MAC is not ours to verify */
    call_close(&c);
}

/* --- failures --------------------------------------------------------------------------------- */

static void
each_draw_of_the_kms_can_fail(void **state)
{
    struct call c;
    long n = 0;
    enum mkt_rc rc = MKT_E_RANDOM;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    compat_want_key(&c, MKT_KEY_TGK_SALT, 16, 14);
    assert_int_equal(call_request(&c), MKT_OK);
    for (; rc == MKT_E_RANDOM; n++) {
        c.random_left = n;
        rc = call_issue(&c);
    }
    assert_int_equal(rc, MKT_OK);
    assert_true(n > 5); /* TGK, salt, SPI, MPK, CSB ID, RAND */
    call_close(&c);
}

/* In every buffer that is too small, and without the TGK left in it. */
static void
a_buffer_too_small_keeps_no_key(void **state)
{
    struct call c;
    (void)state;
    assert_true(compat_call_open(&c, MKT_COMPAT_IDS, 16));
    const uint64_t drawn = c.drawn;
    assert_int_equal(call_until_grant(&c), MKT_OK);
    const size_t whole = c.granted.n;
    const struct mkt_keys *keys = mkt_grant_keys(c.grant);
    assert_int_equal(keys->n, 2); /* MPKi and the TGK */
    for (size_t cap = 0; cap < whole; cap++) {
        c.drawn = drawn;
        memset(c.granted.b, 0, sizeof c.granted.b);
        c.cap = sizeof c.granted.b;
        assert_int_equal(call_request(&c), MKT_OK);
        c.cap = cap;
        assert_int_equal(call_issue(&c), MKT_E_NO_SPACE);
        for (size_t k = 0; k < keys->n; k++)
            assert_null(memmem(c.granted.b, sizeof c.granted.b, keys->k[k].key.b, 16));
    }
    call_close(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flag_but_D_and_H_is_refused),
        cmocka_unit_test(what_rfc_3830_does_not_have_is_refused_by_name),
        cmocka_unit_test(an_identity_that_is_not_sent_may_be_of_any_type),
        cmocka_unit_test(a_ticket_is_made_only_under_the_psk_of_its_responder),
        cmocka_unit_test(a_policy_that_was_not_granted_so_is_not_issued),
        cmocka_unit_test(the_initiator_does_not_offer_it),
        cmocka_unit_test(nobody_resolves_it),
        cmocka_unit_test(an_initiator_cannot_make_one),
        cmocka_unit_test(an_initiator_that_asked_for_another_type_takes_none),
        cmocka_unit_test(a_grant_of_another_type_holds_no_such_message),
        cmocka_unit_test(only_the_crypto_sessions_of_the_message_have_keys),
        cmocka_unit_test(outside_its_validity_it_gives_nothing),
        cmocka_unit_test(a_message_of_another_form_is_not_sent),
        cmocka_unit_test(each_draw_of_the_kms_can_fail),
        cmocka_unit_test(a_buffer_too_small_keeps_no_key),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
