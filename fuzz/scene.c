/* SPDX-License-Identifier: Apache-2.0 */
/* One scene for each handler, suite, use of forking and padding: a call between three parties,
 * taken to the step where the handler waits. Random values and times are made up and always the
 * same, so one input always does the same. */
#include "scene_pk.h"

#include <string.h>

#define SCENES 8

static struct scene scenes[MKT_HANDLER_COUNT][SCENES];

static void
session_key(struct mkt_keys *keys, uint8_t type, uint8_t octet, size_t len)
{
    keys->n = 1;
    keys->k[0] = (struct mkt_key){ .type = type, .kv = MKT_KV_SPI, .spi_len = 4 };
    memset(keys->k[0].spi, octet, 4);
    memset(keys->k[0].key.b, octet, len);
    keys->k[0].key.n = (uint16_t)len;
}

static enum mkt_next
update_offer(struct scene *s, struct mkt_csb *csb, struct message *m)
{
    struct mkt_offer_cs cs = s->c.cs;
    struct mkt_io io = { .out = m->b, .cap = sizeof m->b };

    cs.cs_id = 2;
    cs.spi = mkt_span(s->supplied[0].k[0].spi, 4);
    session_key(&s->supplied[1], MKT_KEY_TGK, 0x33, 16);
    enum mkt_next next = mkt_csb_update(csb, &s->c.env,
                                        &(struct mkt_update){ .cs = &cs,
                                                              .n_cs = 1,
                                                              .sp = &s->c.sp,
                                                              .n_sp = 1,
                                                              .keys = &s->supplied[1],
                                                              .answer = true,
                                                              .identities = true },
                                        &io);
    m->n = io.out_len;
    return next;
}

/* Bob's answer to an update of Alice's; Bob is left as he was before. */
static bool
update_answer(struct scene *s)
{
    struct call *c = &s->c;
    struct mkt_io in = { .in = mkt_span(c->init.b, c->init.n) };
    struct mkt_io io = { .out = s->honest.b, .cap = sizeof s->honest.b };
    struct mkt_choice choice = { 0 };

    if (mkt_csb_update_offered(c->at_bob[0], &c->env, SKEW_S, &in) != MKT_NEXT_ASK ||
        mkt_csb_update_accept(c->at_bob[0], &c->env, &choice, &io) != MKT_NEXT_SEND_PEER)
        return false;
    s->honest.n = io.out_len;
    return true;
}

static bool
call_until(struct scene *s, enum mkt_handler h)
{
    struct call *c = &s->c;
    const struct message *const waits_for[] = {
        [MKT_HANDLER_kms_request] = &c->request, [MKT_HANDLER_kms_resolve] = &c->resolve[0],
        [MKT_HANDLER_granted] = &c->granted,     [MKT_HANDLER_answered] = &c->resp[0],
        [MKT_HANDLER_offered] = &c->init,        [MKT_HANDLER_resolved] = &c->resolved[0],
        [MKT_HANDLER_update_offered] = &c->init, [MKT_HANDLER_updated] = NULL,
    };
    enum mkt_rc rc = call_request(c);

    rc = rc == MKT_OK && h > MKT_HANDLER_kms_request ? call_issue(c) : rc;
    if (h != MKT_HANDLER_granted && h != MKT_HANDLER_kms_request) {
        rc = rc == MKT_OK ? call_granted(c) : rc;
        rc = rc == MKT_OK ? call_offer(c) : rc;
    }
    if (h == MKT_HANDLER_kms_resolve || h == MKT_HANDLER_answered || h >= MKT_HANDLER_resolved) {
        rc = rc == MKT_OK ? call_offered(c, 0) : rc;
        rc = rc == MKT_OK ? call_accept(c, 0) : rc;
        rc = rc == MKT_OK ? call_resolve(c, 0) : rc;
    }
    if (h == MKT_HANDLER_answered || h >= MKT_HANDLER_update_offered)
        rc = rc == MKT_OK ? call_resolved(c, 0) : rc;
    if (h >= MKT_HANDLER_update_offered) {
        rc = rc == MKT_OK ? call_answered(c, 0) : rc;
        if (rc != MKT_OK || update_offer(s, c->at_alice[0], &c->init) != MKT_NEXT_SEND_PEER)
            return false;
    }
    if (rc != MKT_OK)
        return false;
    if (waits_for[h] == NULL)
        return update_answer(s);
    s->honest = *waits_for[h];
    return true;
}

void
scene_close(struct scene *s)
{
    if (s->open)
        call_close(&s->c);
    s->open = false;
}

struct scene *
scene_of(enum mkt_handler h, uint8_t mode)
{
    bool pss = scene_is_pk(h) && (mode & MKT_HANDLER_PSS) != 0;
    struct scene *s =
        &scenes[h][(mode & (MKT_HANDLER_SUITE | MKT_HANDLER_NO_FORK)) / 2 + (pss ? SCENES / 2 : 0)];
    uint8_t prf = (mode & MKT_HANDLER_SUITE) != 0 ? MKT_PRF_HMAC_SHA_256 : MKT_PRF_MIKEY_1;

    if (s->open)
        return s;
    s->open = call_open(&s->c, prf, MKT_TS_NTP_UTC);
    s->c.want.flags |= MKT_TP_L | MKT_TP_M;
    if ((mode & MKT_HANDLER_NO_FORK) != 0)
        s->c.want.flags &= (uint16_t)~MKT_TP_I;
    session_key(&s->supplied[0], MKT_KEY_TEK, 0x22, 16);
    s->c.offer.keys = &s->supplied[0];
    if (s->open && (scene_is_pk(h) ? scene_pk_call(s, h, mode) : call_until(s, h)))
        return s;
    scene_close(s);
    return NULL;
}

void
mkt_handler_close(void)
{
    for (size_t h = 0; h < MKT_HANDLER_COUNT; h++)
        for (size_t i = 0; i < SCENES; i++)
            scene_close(&scenes[h][i]);
    scene_pki_close();
}
