/* SPDX-License-Identifier: Apache-2.0 */
/* The same walk as test_allocations.c over all that RFC 6043 adds to one call: the other modes,
 * keys of either party, reuse, tickets passed on, CSB updates, another KMS. What failed for want of
 * memory or of random octets, or in libcrypto, has changed nothing: it works when tried again. */
#include "failing_alloc.h"
#include "failing_crypto.h"
#include "update_call.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* What fails the Nth time: an allocation, a draw of random octets, a call of libcrypto. */
static enum { MEMORY, RANDOM, CRYPTO } what_fails;

struct run {
    struct call c;
    struct mkt_keys keys;
    struct change u;
    struct mkt_resolution *resolution;
    struct mkt_grant *passed, *own;
    struct mkt_kms_forward *forward;
    struct mkt_kms_txn *txn2;
    struct mkt_inkey_mem psk_kms;
    struct message leg_init, leg_resp;
};

typedef enum mkt_rc (*step)(struct run *r);

static enum mkt_rc
s_grant(struct run *r)
{
    return call_until_grant(&r->c);
}
static enum mkt_rc
s_offer(struct run *r)
{
    return call_offer(&r->c);
}
static enum mkt_rc
s_offered(struct run *r)
{
    return call_offered(&r->c, 0);
}
static enum mkt_rc
s_accept(struct run *r)
{
    return call_accept(&r->c, 0);
}
static enum mkt_rc
s_resolve(struct run *r)
{
    return call_resolve(&r->c, 0);
}
static enum mkt_rc
s_resolved(struct run *r)
{
    return call_resolved(&r->c, 0);
}
static enum mkt_rc
s_answered(struct run *r)
{
    return call_answered(&r->c, 0);
}

static enum mkt_rc
s_opened(struct run *r)
{
    return call_opened(&r->c, 0, r->c.mode == 2 ? &r->c.tpk_bob.base : &r->c.tpk_pair.base);
}

/* Between two transfers: nothing here allocates. */
static enum mkt_rc
s_next(struct run *r)
{
    mkt_resolution_free(r->resolution);
    r->resolution = mkt_responder_take_resolution(r->c.responder[0]);
    mkt_csb_free(r->c.at_alice[0]);
    mkt_csb_free(r->c.at_bob[0]);
    r->c.at_alice[0] = r->c.at_bob[0] = NULL;
    return r->resolution != NULL ? MKT_OK : MKT_E_STATE;
}

static enum mkt_rc
s_reused(struct run *r)
{
    return call_reused(&r->c, 0, r->resolution);
}

static enum mkt_rc
s_passed(struct run *r)
{
    struct mkt_err err = { 0 };
    r->resolution =
        r->resolution != NULL ? r->resolution : mkt_responder_take_resolution(r->c.responder[0]);
    return mkt_resolution_grant(&r->passed, r->resolution, &err);
}

static enum mkt_rc
s_keys(struct run *r)
{
    change_init(&r->u, &r->c, 3, 0x31);
    key_add(&r->u.answer_keys, MKT_KEY_TEK_SALT, 16, 14, 0x32);
    r->u.choice.keys = &r->u.answer_keys;
    r->u.cs[1].has_ssrc = false; /* to be drawn */
    return MKT_OK;
}

static enum mkt_rc
s_no_answer(struct run *r)
{
    change_init(&r->u, &r->c, 4, 0x33);
    r->u.update.answer = false;
    return MKT_OK;
}

static enum mkt_rc
s_refusable(struct run *r)
{
    change_init(&r->u, &r->c, 5, 0x34);
    return MKT_OK;
}

static enum mkt_rc
s_u_send(struct run *r)
{
    return change_send(&r->c, &r->u, true);
}
static enum mkt_rc
s_u_offered(struct run *r)
{
    return change_offered(&r->c, &r->u, true);
}
static enum mkt_rc
s_u_accept(struct run *r)
{
    return change_accept(&r->c, &r->u, true);
}
static enum mkt_rc
s_u_answered(struct run *r)
{
    return change_answered(&r->c, &r->u, true);
}
static enum mkt_rc
s_u_refuse(struct run *r)
{
    return change_refuse(&r->c, &r->u, true, MKT_E_SP);
}
static enum mkt_rc
s_b_send(struct run *r)
{
    return change_send(&r->c, &r->u, false);
}
static enum mkt_rc
s_b_offered(struct run *r)
{
    return change_offered(&r->c, &r->u, false);
}

static enum mkt_rc
s_agree(struct run *r)
{
    long was = left, calls = crypto_left;
    left = crypto_left = -1; /* looking at the result is no part of the run */
    bool ok = call_agrees(&r->c, 0);
    left = was;
    crypto_left = calls;
    return ok ? MKT_OK : MKT_E_STATE;
}

/* --- files ---------------------------------------------------------------------------------------
 */

/* What there is of the CSBs and the resolution goes through a file each; what cannot be read again
 * stays. */
static enum mkt_rc
s_files(struct run *r)
{
    static uint8_t file[16384];
    struct mkt_csb **ends[] = { &r->c.at_alice[0], &r->c.at_bob[0] };
    struct mkt_err err = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < 2; i++) {
        struct mkt_csb *back = NULL;
        if (*ends[i] == NULL)
            continue;
        if (mkt_csb_export(*ends[i], file, sizeof file, &n) != MKT_OK)
            return MKT_E_STATE;
        if (mkt_csb_import(&back, mkt_span(file, n), &err) != MKT_OK)
            return err.rc;
        mkt_csb_free(*ends[i]);
        *ends[i] = back;
    }
    if (r->resolution == NULL)
        return MKT_OK;
    struct mkt_resolution *back = NULL;
    if (mkt_resolution_export(r->resolution, file, sizeof file, &n) != MKT_OK)
        return MKT_E_STATE;
    if (mkt_resolution_import(&back, mkt_span(file, n), &err) != MKT_OK)
        return err.rc;
    mkt_resolution_free(r->resolution);
    r->resolution = back;
    return MKT_OK;
}

/* --- another KMS --------------------------------------------------------------------------------
 */

static enum mkt_rc
s_forward_new(struct run *r)
{
    const uint8_t octets[16] = { 0x4B };
    if (mkt_inkey_mem_init(&r->psk_kms, mkt_span(octets, 16)) != MKT_OK)
        return MKT_E_STATE;
    const struct mkt_credential between = { .self = r->c.bob[0],
                                            .kms = r->c.kms,
                                            .psk = &r->psk_kms.base };
    mkt_kms_forward_free(r->forward);
    mkt_kms_txn_free(r->txn2);
    r->forward = mkt_kms_forward_new(&between);
    r->txn2 = mkt_kms_txn_new();
    return r->forward != NULL && r->txn2 != NULL ? MKT_OK : MKT_E_MEMORY;
}

static enum mkt_rc
s_forward(struct run *r)
{
    struct mkt_io io = { .out = r->leg_init.b, .cap = r->c.cap };
    struct mkt_err err = { 0 };
    if (mkt_kms_begin(r->txn2, mkt_span(r->c.resolve[0].b, r->c.resolve[0].n), &err) != MKT_OK ||
        mkt_kms_verify(r->txn2, &r->c.env, &r->c.psk_bob[0].base, r->c.bob[0], r->c.kms, &err) !=
            MKT_OK)
        return err.rc;
    if (mkt_kms_forward(r->forward, r->txn2, &r->c.env, &io) != MKT_NEXT_SEND_KMS)
        return io.err.rc;
    r->leg_init.n = io.out_len;
    return MKT_OK;
}

static enum mkt_rc
s_leg_resolve(struct run *r)
{
    return call_kms(&r->c, &r->leg_init, r->c.bob[0], &r->psk_kms.base, &r->leg_resp);
}

static enum mkt_rc
s_forwarded(struct run *r)
{
    struct mkt_io io = { .out = r->c.resolved[0].b, .cap = r->c.cap };
    if (mkt_kms_forwarded(r->forward, r->txn2, &r->c.env, mkt_span(r->leg_resp.b, r->leg_resp.n),
                          &io) != MKT_NEXT_SEND_PEER)
        return io.err.rc;
    r->c.resolved[0].n = io.out_len;
    return MKT_OK;
}

/* --- the runs -----------------------------------------------------------------------------------
 */

#define STEPS_MAX 32

static const struct scenario {
    const char *name;
    unsigned mode;
    uint16_t set, clear;
    uint16_t supplied; /* L or M */
    step steps[STEPS_MAX];
} scenarios[] = {
    { "mode 2, reuse",
      2,
      MKT_TP_J,
      0,
      0,
      { s_grant, s_offer, s_offered, s_opened, s_answered, s_agree, s_next, s_files, s_offer,
        s_offered, s_reused, s_answered, s_agree } },
    { "mode 3, keys of the Initiator",
      3,
      0,
      0,
      MKT_TP_L,
      { s_grant, s_offer, s_offered, s_accept, s_resolve, s_resolved, s_answered, s_agree } },
    { "mode 4, keys of the Responder",
      4,
      MKT_TP_M,
      0,
      MKT_TP_M,
      { s_grant, s_offer, s_offered, s_opened, s_answered, s_agree } },
    { "passed on",
      1,
      MKT_TP_J,
      MKT_TP_I,
      0,
      { s_grant, s_offer, s_offered, s_accept, s_resolve, s_resolved, s_answered, s_passed } },
    { "updates", 1, MKT_TP_L | MKT_TP_M, 0, 0, { s_grant,      s_offer,     s_offered,  s_accept,
                                                 s_resolve,    s_resolved,  s_answered, s_keys,
                                                 s_u_send,     s_u_offered, s_files,    s_u_accept,
                                                 s_u_answered, s_files,     s_agree,    s_no_answer,
                                                 s_b_send,     s_b_offered, s_agree,    s_refusable,
                                                 s_u_send,     s_u_offered, s_u_refuse, s_agree } },
    { "another KMS",
      1,
      0,
      0,
      0,
      { s_grant, s_offer, s_offered, s_accept, s_forward_new, s_forward, s_leg_resolve, s_forwarded,
        s_resolved, s_answered, s_agree } },
};

static bool
open_run(struct run *r, const struct scenario *s)
{
    *r = (struct run){ 0 };
    if (!call_open(&r->c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC))
        return false;
    call_mode(&r->c, s->mode);
    r->c.want.flags = (uint16_t)((r->c.want.flags | s->set | s->supplied) & ~s->clear);
    if (s->mode > 2)
        key_add(&r->c.ticket_keys, MKT_KEY_TGK, 16, 0, 0x21);
    key_add(&r->keys, MKT_KEY_TGK_SALT, 16, 14, 0x22);
    if (s->supplied == MKT_TP_L)
        r->c.offer.keys = &r->keys;
    if (s->supplied == MKT_TP_M)
        r->c.choice.keys = &r->keys;
    return true;
}

static void
close_run(struct run *r)
{
    mkt_resolution_free(r->resolution);
    mkt_grant_free(r->passed);
    mkt_kms_forward_free(r->forward);
    mkt_kms_txn_free(r->txn2);
    mkt_inkey_mem_wipe(&r->psk_kms);
    call_close(&r->c);
}

static void
set_limit(struct run *r, long n)
{
    if (what_fails == RANDOM)
        r->c.random_left = n;
    else if (what_fails == CRYPTO)
        crypto_left = n;
    else
        left = n;
}

static bool
is_injected(enum mkt_rc rc)
{
    return rc == MKT_E_MEMORY || rc == MKT_E_CRYPTO || (what_fails == RANDOM && rc == MKT_E_RANDOM);
}

static bool
was_reached(const struct run *r)
{
    return what_fails == RANDOM   ? r->c.random_left == 0
           : what_fails == CRYPTO ? crypto_left == -1
                                  : left == -1;
}

static void
must(const struct scenario *s, struct run *r, size_t i, long n)
{
    enum mkt_rc rc = s->steps[i](r);
    if (rc != MKT_OK)
        fail_msg("%s, step %zu, after failure %ld: %s: %s", s->name, i, n, mkt_rc_name(rc),
                 r->c.io.err.what != NULL ? r->c.io.err.what : "");
}

/* Step `which` fails at its Nth allocation; it and all others then work. False when it has no Nth.
 * libcrypto survives some of its own failures: a step may work though one happened. */
static bool
fails_once(const struct scenario *s, size_t which, long n)
{
    struct run r;
    bool reached = false;
    assert_true(open_run(&r, s));
    for (size_t i = 0; i < STEPS_MAX && s->steps[i] != NULL; i++) {
        if (i != which) {
            must(s, &r, i, n);
            continue;
        }
        set_limit(&r, n);
        enum mkt_rc rc = s->steps[i](&r);
        reached = was_reached(&r);
        set_limit(&r, -1);
        if (rc == MKT_OK)
            continue;
        assert_true(reached && is_injected(rc));
        must(s, &r, i, n);
    }
    close_run(&r);
    return reached;
}

static unsigned
run_stubbornly(const struct scenario *s)
{
    unsigned failures = 0;
    for (size_t i = 0; i < STEPS_MAX && s->steps[i] != NULL; i++)
        for (long n = 0; fails_once(s, i, n); n++)
            failures++;
    return failures;
}

/* The run stops where the Nth allocation fails, and nothing is left behind. */
static bool
run_until(const struct scenario *s, long n)
{
    struct run r;
    enum mkt_rc rc = MKT_OK;
    assert_true(open_run(&r, s));
    set_limit(&r, n);
    for (size_t i = 0; rc == MKT_OK && i < STEPS_MAX && s->steps[i] != NULL; i++)
        rc = s->steps[i](&r);
    set_limit(&r, -1);
    assert_true(rc == MKT_OK || is_injected(rc));
    close_run(&r);
    return rc == MKT_OK;
}

static void
walk(void)
{
    for (size_t k = 0; k < COUNT(scenarios); k++) {
        long n = 0;
        while (!run_until(&scenarios[k], n))
            n++;
        assert_true(n > 3); /* there was something to fail */
        assert_true(run_stubbornly(&scenarios[k]) > 3);
    }
}

static void
what_failed_for_want_of_memory_works_when_tried_again(void **state)
{
    (void)state;
    what_fails = MEMORY;
    walk();
}

static void
what_failed_for_want_of_random_octets_works_when_tried_again(void **state)
{
    (void)state;
    what_fails = RANDOM;
    walk();
}

static void
what_failed_in_libcrypto_works_when_tried_again(void **state)
{
    (void)state;
    what_fails = CRYPTO;
    walk();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_failed_for_want_of_memory_works_when_tried_again),
        cmocka_unit_test(what_failed_for_want_of_random_octets_works_when_tried_again),
        cmocka_unit_test(what_failed_in_libcrypto_works_when_tried_again),
    };
    if (!failing_alloc_begin())
        return EXIT_FAILURE;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
