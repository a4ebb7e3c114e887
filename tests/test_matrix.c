/* SPDX-License-Identifier: Apache-2.0 */
/* Three-party matrix: every combination of mode, credentials at the KMS (PSK or certificates),
 * suite, F, G, H, forking, reuse and key kind. Mode 4 has no exchange with the KMS. Each legal one
 * runs as a whole call in memory, with a second offer of the same ticket; each illegal one is
 * refused, by the name of the rule it breaks. What is legal is told by a table of its own, written
 * from RFC 6043 6.10, 4.1.1 and 8, and not by the library. */
#include "pk_call.h"

#include "ticket/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* Where the session key comes from, and of what kind it is. */
static const struct kind {
    const char *name;
    uint16_t supplied; /* MKT_TP_L or MKT_TP_M: not in the ticket; 0: in the ticket */
    uint8_t type;
    bool salt;
} kinds[] = {
    { "TEK", 0, MKT_KEY_TEK, false },
    { "TEK+SALT", 0, MKT_KEY_TEK_SALT, true },
    { "TGK", 0, MKT_KEY_TGK, false },
    { "TGK+SALT", 0, MKT_KEY_TGK_SALT, true },
    { "GTGK", 0, MKT_KEY_GTGK, false },
    { "GTGK+SALT", 0, MKT_KEY_GTGK_SALT, true },
    { "none in the ticket, supplied by the Initiator", MKT_TP_L, MKT_KEY_TGK, false },
    { "none in the ticket, supplied by the Responder", MKT_TP_M, MKT_KEY_TEK_SALT, true },
};

struct combination {
    unsigned mode;
    bool pk;
    uint8_t prf;
    bool f, g, h, i, j;
    const struct kind *kind;
};

static bool
is_tgk(const struct combination *x)
{
    return x->kind->supplied == 0 &&
           (x->kind->type == MKT_KEY_TGK || x->kind->type == MKT_KEY_TGK_SALT);
}

/* The first rule that a combination breaks, in the words of the library's error; NULL: legal. */
static const char *
broken_rule(const struct combination *x)
{
    bool e = x->mode % 2 == 1, m = x->kind->supplied == MKT_TP_M;
    const struct {
        bool broken;
        const char *say;
    } rules[] = {
        { x->g && !x->f, "flags: G implies F" },
        { !x->g && !x->h, "flags: NOT G implies H" },
        { x->i && !e, "flags: I implies E" },
        { m && !x->f, "flags: M implies F" },
        { x->i && is_tgk(x) && !x->f, "flags: I with a TGK implies F" },
    };
    for (size_t k = 0; k < COUNT(rules); k++)
        if (rules[k].broken)
            return rules[k].say;
    return NULL;
}

static void
describe(char *text, size_t cap, const struct combination *x)
{
    snprintf(text, cap, "mode %u, %s, %s bit, %s%s%s%s%s, %s", x->mode, x->pk ? "PK" : "PSK",
             x->prf == MKT_PRF_MIKEY_1 ? "128" : "256", x->f ? "F" : "", x->g ? "G" : "",
             x->h ? "H" : "", x->i ? "I" : "", x->j ? "J" : "", x->kind->name);
}

static bool
open_combination(struct call *c, const struct combination *x, struct mkt_keys *supplied)
{
    uint16_t len = mkt_suite_of(x->prf)->key_len, salt = x->kind->salt ? 14 : 0;
    if (!call_open(c, x->prf, MKT_TS_NTP_UTC))
        return false;
    if (x->pk) {
        alice_signs(0);
        bob_signs(0);
        c->pk = &how;
    }
    call_mode(c, x->mode);
    c->want.flags &= (uint16_t) ~(MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_I | MKT_TP_J | MKT_TP_M);
    c->want.flags |=
        (uint16_t)((x->f ? MKT_TP_F : 0) | (x->g ? MKT_TP_G : 0) | (x->h ? MKT_TP_H : 0) |
                   (x->i ? MKT_TP_I : 0) | (x->j ? MKT_TP_J : 0) | x->kind->supplied);
    c->want.has_kemac = x->mode <= 2;
    supplied->n = 0;
    if (x->kind->supplied != 0) {
        key_add(supplied, x->kind->type, len, salt, 0x61);
        if (x->kind->supplied == MKT_TP_L)
            c->offer.keys = supplied;
        else
            c->choice.keys = supplied;
    } else if (x->mode <= 2) {
        c->want.n_wanted = 1;
        c->want.wanted[0] =
            (struct mkt_want_key){ .type = x->kind->type, .key_len = len, .salt_len = salt };
    } else {
        key_add(&c->ticket_keys, x->kind->type, len, salt, 0x51);
    }
    return true;
}

/* pk_call.h has one call, which knows the certificates. */
static struct call *
call_of(const struct combination *x, struct call *own)
{
    return x->pk ? &call : own;
}

/* --- legal --------------------------------------------------------------------------------------
 */

static enum mkt_rc
offer_again(struct call *c, const struct combination *x)
{
    struct mkt_resolution *res = mkt_responder_take_resolution(c->responder[0]);
    if (res == NULL)
        return MKT_E_STATE;
    mkt_csb_free(c->at_alice[0]);
    mkt_csb_free(c->at_bob[0]);
    c->at_alice[0] = c->at_bob[0] = NULL;
    enum mkt_rc rc = call_offer(c);
    if (!x->j) { /* RFC6043:5.3-3: refused, by name */
        bool named =
            rc == MKT_E_TICKET && strcmp(c->io.err.what, "ticket may not be reused (J)") == 0;
        mkt_resolution_free(res);
        return named ? MKT_OK : MKT_E_STATE;
    }
    rc = rc != MKT_OK ? rc : call_offered(c, 0);
    rc = rc != MKT_OK ? rc : call_reused(c, 0, res);
    rc = rc != MKT_OK ? rc : call_answered(c, 0);
    mkt_resolution_free(res);
    return rc != MKT_OK || call_agrees(c, 0) ? rc : MKT_E_STATE;
}

/* What the messages must and must not hold. */
static bool
looks_right(const struct call *c, const struct combination *x)
{
    const struct mkt_policy *p = mkt_grant_policy(c->grant);
    struct mkt_msg init, resp;
    struct mkt_err err = { 0 };
    if (p->flags != c->want.flags ||
        mkt_msg_parse(&init, mkt_span(c->init.b, c->init.n), &err) != MKT_OK)
        return false;
    bool ids = mkt_msg_find(&init, MKT_PL_TICKET, 0)->u.ticket.initiator_data.n != 0;
    if (ids != x->i || (c->resp[0].n != 0) != x->f || (c->request.n != 0) != (x->mode <= 2) ||
        (c->resolve[0].n != 0) != (x->mode % 2 == 1))
        return false;
    if ((c->request.n != 0 &&
         c->request.b[1] != (x->pk ? MKT_DT_REQUEST_INIT_PK : MKT_DT_REQUEST_INIT_PSK)) ||
        (c->resolve[0].n != 0 &&
         c->resolve[0].b[1] != (x->pk ? MKT_DT_RESOLVE_INIT_PK : MKT_DT_RESOLVE_INIT_PSK)))
        return false;
    if (!x->f)
        return true;
    return mkt_msg_parse(&resp, mkt_span(c->resp[0].b, c->resp[0].n), &err) == MKT_OK &&
           (mkt_msg_find(&resp, MKT_PL_RANDR, MKT_RANDR_R) != NULL) == x->g &&   /* 6.10-5 */
           (mkt_msg_find(&resp, MKT_PL_RANDR, MKT_RANDR_KMS) != NULL) == x->i && /* 6.10-7 */
           (mkt_msg_find(&resp, MKT_PL_KEMAC, 0) != NULL) == (x->kind->supplied == MKT_TP_M);
}

static bool
runs(const struct combination *x, char *why, size_t cap)
{
    struct call own, *c = call_of(x, &own);
    struct mkt_keys supplied;
    bool ok = open_combination(c, x, &supplied);
    enum mkt_rc rc = call_until_grant(c);
    rc = rc != MKT_OK ? rc : call_transfer(c, 0);
    snprintf(why, cap, "%s: %s", mkt_rc_name(rc), c->io.err.what != NULL ? c->io.err.what : "");
    if (rc == MKT_OK && (!call_agrees(c, 0) || !looks_right(c, x))) {
        snprintf(why, cap, "%s", "keys or messages are not as they should be");
        ok = false;
    }
    if (ok && rc == MKT_OK) {
        rc = offer_again(c, x);
        snprintf(why, cap, "second offer: %s", mkt_rc_name(rc));
    }
    call_close(c);
    return ok && rc == MKT_OK;
}

/* --- illegal ------------------------------------------------------------------------------------
 */

static void
drop_f(struct mkt_policy *granted)
{
    granted->flags &= (uint16_t)~MKT_TP_F;
}

/* A KMS sets F where a TGK forks (ambiguity 46); one that does not is not believed. */
static bool
repaired_or_refused(struct call *c, const char *rule)
{
    enum mkt_rc rc = call_until_grant(c);
    if (rc != MKT_OK || (mkt_grant_policy(c->grant)->flags & MKT_TP_F) == 0 ||
        (mkt_grant_policy(c->grant)->flags & MKT_TP_K) == 0)
        return false;
    mkt_grant_free(c->grant);
    c->grant = NULL;
    c->twist = drop_f;
    rc = call_until_grant(c);
    return rc == MKT_E_TP_FLAGS && strcmp(c->io.err.what, rule) == 0 && c->grant == NULL;
}

static bool
is_refused(const struct combination *x, const char *rule, char *why, size_t cap)
{
    struct call own, *c = call_of(x, &own);
    struct mkt_keys supplied;
    struct mkt_err err = { 0 };
    bool ok = open_combination(c, x, &supplied);
    /* whoever looks at the flags sees it */
    ok = ok && mkt_policy_check(c->want.flags, is_tgk(x), &err) == MKT_E_TP_FLAGS &&
         strcmp(err.what, rule) == 0;
    if (ok && x->mode <= 2 && strcmp(rule, "flags: I with a TGK implies F") == 0) {
        ok = repaired_or_refused(c, rule);
    } else if (ok) {
        enum mkt_rc rc = call_until_grant(c);
        ok = rc == MKT_E_TP_FLAGS && strcmp(c->io.err.what, rule) == 0 && c->grant == NULL &&
             c->request.n == 0;
    }
    snprintf(why, cap, "should be refused: %s; is: %s", rule,
             c->io.err.what != NULL ? c->io.err.what : "accepted");
    call_close(c);
    return ok;
}

/* --- the matrix ---------------------------------------------------------------------------------
 */

static void
every_legal_combination_runs_and_every_illegal_one_is_refused_by_name(void **state)
{
    (void)state;
    static const uint8_t prfs[] = { MKT_PRF_MIKEY_1, MKT_PRF_HMAC_SHA_256 };
    unsigned legal = 0, illegal = 0, bad = 0;
    for (unsigned n = 0; n < 7 * COUNT(prfs) * 32 * COUNT(kinds); n++) {
        const unsigned flags = n / 14;
        const struct combination x = { .mode = n % 7 < 4 ? 1 + n % 7 : n % 7 - 3,
                                       .pk = n % 7 >= 4,
                                       .prf = prfs[n / 7 % 2],
                                       .f = (flags & 1) != 0,
                                       .g = (flags & 2) != 0,
                                       .h = (flags & 4) != 0,
                                       .i = (flags & 8) != 0,
                                       .j = (flags & 16) != 0,
                                       .kind = &kinds[n / 14 / 32] };
        char name[160], why[160];
        const char *rule = broken_rule(&x);
        bool ok = rule == NULL ? runs(&x, why, sizeof why) : is_refused(&x, rule, why, sizeof why);
        *(rule == NULL ? &legal : &illegal) += ok;
        if (ok)
            continue;
        describe(name, sizeof name, &x);
        print_message("# %s: %s\n", name, why);
        bad++;
    }
    print_message("# %u legal combinations ran, %u illegal ones refused\n", legal, illegal);
    assert_int_equal(bad, 0);
    assert_int_equal(legal + illegal, 7 * 2 * 32 * 8);
    assert_true(legal > 1000 && illegal > 1000); /* the table is neither empty nor all */
}

/* Certificates, and what the KMS accepts, are the same for all. */
static int
open_matrix(void **state)
{
    if (open_pki(state) != 0 || !open_call(MKT_PRF_MIKEY_1))
        return -1;
    call_close(&call);
    return 0;
}

static int
close_matrix(void **state)
{
    mkt_trust_free(trust);
    return close_pki(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_legal_combination_runs_and_every_illegal_one_is_refused_by_name),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_matrix, close_matrix);
}
