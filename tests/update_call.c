/* SPDX-License-Identifier: Apache-2.0 */
/* CSB updates between Alice and the first Bob of a call. */
#include "update_call.h"

#include "payload/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

bool
updatable_open(struct call *c, uint8_t prf, uint8_t ts_type, uint16_t set, uint16_t clear)
{
    if (!call_open(c, prf, ts_type))
        return false;
    c->want.flags = (uint16_t)((c->want.flags | set) & ~clear);
    return call_until_grant(c) == MKT_OK && call_transfer(c, 0) == MKT_OK && call_agrees(c, 0);
}

void
change_init(struct change *u, const struct call *c, uint8_t cs_id, uint8_t key)
{
    *u = (struct change){ .sp = c->sp };
    if (key != 0)
        key_add(&u->keys, MKT_KEY_TGK, TGK_LEN, 0, key);
    for (size_t i = 0; i < 2; i++) {
        u->cs[i] = (struct mkt_offer_cs){ .cs_id = i == 0 ? 1 : cs_id,
                                          .prot_type = MKT_PROT_SRTP,
                                          .n_policies = 1,
                                          .has_ssrc = true,
                                          .ssrc = 0x0A0B0C00U + cs_id + (uint32_t)i };
        if (key != 0)
            u->cs[i].spi = mkt_span(u->keys.k[0].spi, u->keys.k[0].spi_len);
    }
    u->update = (struct mkt_update){ .cs = u->cs,
                                     .n_cs = 2,
                                     .sp = &u->sp,
                                     .n_sp = 1,
                                     .keys = key != 0 ? &u->keys : NULL,
                                     .answer = true };
}

struct mkt_csb *
end_of(struct call *c, bool alice)
{
    return alice ? c->at_alice[0] : c->at_bob[0];
}

enum mkt_rc
change_send(struct call *c, struct change *u, bool by_alice)
{
    return call_outcome(
        c, mkt_csb_update(end_of(c, by_alice), &c->env, &u->update, call_io(c, NULL, &u->init)),
        MKT_NEXT_SEND_PEER, &u->init);
}

enum mkt_rc
change_offered(struct call *c, const struct change *u, bool by_alice)
{
    return call_outcome(
        c,
        mkt_csb_update_offered(end_of(c, !by_alice), &c->env, SKEW_S, call_io(c, &u->init, NULL)),
        u->update.answer ? MKT_NEXT_ASK : MKT_NEXT_DONE, NULL);
}

enum mkt_rc
change_accept(struct call *c, struct change *u, bool by_alice)
{
    return call_outcome(c,
                        mkt_csb_update_accept(end_of(c, !by_alice), &c->env, &u->choice,
                                              call_io(c, NULL, &u->resp)),
                        MKT_NEXT_SEND_PEER, &u->resp);
}

enum mkt_rc
change_refuse(struct call *c, struct change *u, bool by_alice, enum mkt_rc why)
{
    return call_outcome(c,
                        mkt_csb_update_refuse(end_of(c, !by_alice), &c->env, why, &u->sp, 1,
                                              call_io(c, NULL, &u->resp)),
                        MKT_NEXT_SEND_PEER, &u->resp);
}

enum mkt_rc
change_answered(struct call *c, const struct change *u, bool by_alice)
{
    return call_outcome(c,
                        mkt_csb_updated(end_of(c, by_alice), &c->env, call_io(c, &u->resp, NULL)),
                        MKT_NEXT_DONE, NULL);
}

enum mkt_rc
change_whole(struct call *c, struct change *u, bool by_alice)
{
    enum mkt_rc rc = change_send(c, u, by_alice);
    rc = rc != MKT_OK ? rc : change_offered(c, u, by_alice);
    if (!u->update.answer)
        return rc;
    rc = rc != MKT_OK ? rc : change_accept(c, u, by_alice);
    return rc != MKT_OK ? rc : change_answered(c, u, by_alice);
}

/* --- what must not change ----------------------------------------------------------------------
 */

static void
mix(struct mkt_secret *d, const void *p, size_t n)
{
    const uint8_t *b = p;
    d->n = 16;
    for (size_t i = 0; i < n; i++) { /* FNV-1a in two lanes is enough to notice a change */
        d->b[i % 16] = (uint8_t)((d->b[i % 16] ^ b[i]) * 0x93 + d->b[(i + 5) % 16] + 1);
    }
}

struct mkt_secret
csb_digest(struct call *c, const struct mkt_csb *csb)
{
    struct mkt_secret d = { 0 };
    uint64_t by = mkt_csb_rekey_by(csb);
    size_t n = mkt_csb_count(csb);
    mix(&d, &by, sizeof by);
    mix(&d, &n, sizeof n);
    for (size_t i = 0; i < csb->n_settled; i++) {
        mix(&d, csb->keys.k[i].spi, csb->keys.k[i].spi_len);
        mix(&d, csb->keys.k[i].key.b, csb->keys.k[i].key.n);
    }
    for (size_t i = 0; i < n; i++) {
        struct mkt_secret tek = { 0 }, salt = { 0 };
        struct mkt_session s;
        struct mkt_err err = { 0 };
        if (mkt_csb_session(csb, i, &s) != MKT_OK ||
            mkt_csb_derive(csb, c->crypto, i, &tek, &salt, &err) != MKT_OK)
            return (struct mkt_secret){ 0 };
        mix(&d, &s.cs_id, 1);
        mix(&d, &s.ssrc, 4);
        mix(&d, s.spi.p, s.spi.n);
        mix(&d, s.params.p, s.params.n);
        mix(&d, tek.b, tek.n);
        mix(&d, salt.b, salt.n);
    }
    return d;
}

void
update_case_begin(struct update_case *t, uint16_t set, uint16_t clear, uint8_t key)
{
    assert_true(updatable_open(&t->c, MKT_PRF_MIKEY_1, MKT_TS_NTP_UTC, set, clear));
    change_init(&t->u, &t->c, 3, key);
    t->alice = csb_digest(&t->c, t->c.at_alice[0]);
    t->bob = csb_digest(&t->c, t->c.at_bob[0]);
}

void
assert_nothing_changed(struct update_case *t)
{
    struct mkt_secret alice = csb_digest(&t->c, t->c.at_alice[0]);
    struct mkt_secret bob = csb_digest(&t->c, t->c.at_bob[0]);
    assert_true(mkt_ct_equal(mkt_secret_span(&alice), mkt_secret_span(&t->alice)));
    assert_true(mkt_ct_equal(mkt_secret_span(&bob), mkt_secret_span(&t->bob)));
}

/* --- forged messages ---------------------------------------------------------------------------
 */

static bool
keys_of(struct mkt_msg_keys *mk, struct call *c, const struct mkt_csb *csb)
{
    struct mkt_inkey_ref inkey;
    bool answered = csb->answered;
    bool g = answered && (csb->policy.flags & MKT_TP_G) != 0;
    const struct mkt_label label =
        mkt_transfer_label(answered, csb->id, mkt_octets_span(&csb->rand_i),
                           g ? mkt_octets_span(&csb->rand_r) : mkt_span(NULL, 0));
    mkt_inkey_ref_init(&inkey, &csb->keys.k[answered ? mkt_policy_mpks(&csb->policy) - 1 : 0].key);
    return mkt_derive_msg_keys(mk, &inkey.base, c->crypto, mkt_suite_of(csb->prf), &label,
                               MKT_WANT_ALL);
}

void
forge(struct call *c, const struct mkt_csb *csb, struct message *m,
      void (*edit)(struct mkt_msg *m, const void *arg), const void *arg,
      const struct message *answers)
{
    struct mkt_msg_keys mk = { 0 };
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    struct message out = { .n = 0 };
    struct mkt_writer w = mkt_w_open(out.b, sizeof out.b);
    const struct mkt_span ids[2] = { mkt_octets_span(&csb->id_i.data),
                                     mkt_octets_span(&csb->id_r.data) };
    struct mkt_span tail = answers == NULL ? ids[0] : mkt_span(answers->b, answers->n);
    if (!keys_of(&mk, c, csb) || mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err) != MKT_OK) {
        m->n = 0;
        return;
    }
    if (edit != NULL)
        edit(&parsed, arg);
    mkt_hdr_write(&w, &parsed.hdr);
    for (size_t i = 0; i < parsed.n; i++)
        if (parsed.pl[i].type != MKT_PL_V)
            mkt_pl_write(&w, &parsed.pl[i]);
    const struct mkt_span tails[2] = { tail, ids[1] };
    uint8_t mac[MKT_MAC_MAX] = { 0 };
    struct mkt_span part[MKT_COVER_MAX];
    const size_t mac_len = mk.suite->auth_len;
    mkt_pl_write(&w, &(struct mkt_payload){ .type = MKT_PL_V,
                                            .u.v = { mk.suite->mac, mkt_span(mac, mac_len) } });
    out.n = w.overflow ? 0 : w.len;
    if (out.n != 0 && mkt_msg_parse(&parsed, mkt_span(out.b, out.n), &err) == MKT_OK) {
        size_t n = mkt_cover(&parsed, tails, answers == NULL ? 2 : 1, part);
        if (!mkt_mac_run(c->crypto, &mk, part, n, out.b + out.n - mac_len))
            out.n = 0;
    }
    *m = out;
}

uint64_t
time_of(const struct message *m)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    if (mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err) != MKT_OK)
        return 0;
    struct mkt_time t = mkt_ex_time(&parsed);
    return mkt_csb_order(t.type, t.value);
}
