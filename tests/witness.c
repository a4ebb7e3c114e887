/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and MACs of a call, from the text. Only primitives of the library are used: its PRF, its
 * HMAC and AES in counter mode, which have test vectors of their own. */
#include "witness.h"

#include "backend/backend.h"
#include "keys/keys.h"
#include "payload/codec.h"

#include <string.h>

enum { AUTH = 0x2D22AC75, ENCR = 0x150533E1, SALT = 0x29B88916 }; /* RFC 3830 4.1.4 */

static const struct {
    const char *name;
    size_t at;
} messages[] = {
    [REQUEST_INIT] = { "REQUEST_INIT", offsetof(struct call, request) },
    [REQUEST_RESP] = { "REQUEST_RESP", offsetof(struct call, granted) },
    [TRANSFER_INIT] = { "TRANSFER_INIT", offsetof(struct call, init) },
    [RESOLVE_INIT] = { "RESOLVE_INIT", offsetof(struct call, resolve) },
    [RESOLVE_RESP] = { "RESOLVE_RESP", offsetof(struct call, resolved) },
    [TRANSFER_RESP] = { "TRANSFER_RESP", offsetof(struct call, resp) },
};

const char *
sent_name(enum sent s)
{
    return messages[s].name;
}

struct message *
sent_message(struct call *c, enum sent s)
{
    return (struct message *)(void *)((char *)c + messages[s].at);
}

enum mkt_rc
call_take(struct call *c, enum sent s)
{
    enum mkt_rc rc = MKT_OK;
    switch (s) {
    case REQUEST_INIT:
        return call_issue(c);
    case REQUEST_RESP:
        return call_granted(c);
    case TRANSFER_INIT:
        rc = call_offered(c, 0);
        return rc != MKT_OK ? rc : call_accept(c, 0);
    case RESOLVE_INIT:
        return call_resolve(c, 0);
    case RESOLVE_RESP:
        return call_resolved(c, 0);
    default:
        return call_answered(c, 0);
    }
}

uint64_t
call_tick(void *call, uint8_t ts_type)
{
    static uint64_t ticks;
    const struct call *c = call;
    ticks++;
    return ts_type == MKT_TS_COUNTER ? ticks : c->env.now + (ticks % 50 << 32);
}

enum mkt_rc
call_up_to(struct call *c, enum sent s)
{
    enum mkt_rc rc = call_request(c);
    for (unsigned i = REQUEST_INIT; rc == MKT_OK && i < (unsigned)s; i++) {
        rc = call_take(c, (enum sent)i);
        if (rc == MKT_OK && i == REQUEST_RESP)
            rc = call_offer(c);
    }
    return rc;
}

/* --- protection ------------------------------------------------------------------------------- */

/* The one payload of that type and role in m; its span is empty when there is none. */
static struct mkt_span
rand_of(const struct message *m, uint8_t role)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    if (mkt_msg_parse(&parsed, mkt_span(m->b, m->n), &err) != MKT_OK)
        return mkt_span(NULL, 0);
    const struct mkt_payload *pl = mkt_msg_find(&parsed, MKT_PL_RANDR, role);
    return pl == NULL ? mkt_span(NULL, 0) : pl->u.randr.rand;
}

static struct mkt_span
octets_of(const struct message *m)
{
    return mkt_span(m->b, m->n);
}

/* MPKr', of IDRr and RANDRkms in a TRANSFER_RESP (5.1.1); MPKi without key forking. */
static bool
mpk_of_answer(struct mkt_secret *mpk, struct call *c)
{
    const struct mkt_policy *p = mkt_grant_policy(c->grant);
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    *mpk = mkt_grant_keys(c->grant)->k[0].key;
    if ((p->flags & MKT_TP_I) == 0)
        return true;
    if (mkt_msg_parse(&parsed, octets_of(&c->resp[0]), &err) != MKT_OK)
        return false;
    const struct mkt_payload *id = mkt_msg_find(&parsed, MKT_PL_IDR, MKT_IDR_R);
    *mpk = mkt_grant_keys(c->grant)->k[1].key;
    return id != NULL && mkt_fork_key(mpk, c->crypto, p->prf, MKT_C_MPKR_FORKED, id->u.idr.data,
                                      rand_of(&c->resp[0], MKT_RANDR_KMS));
}

bool
protection_of(struct protection *p, struct call *c, enum sent s)
{
    const struct message *init = s < TRANSFER_INIT    ? &c->request
                                 : s < RESOLVE_INIT   ? &c->init
                                 : s <= RESOLVE_RESP  ? &c->resolve[0]
                                 : s == TRANSFER_RESP ? &c->init
                                                      : NULL;
    bool response = s == REQUEST_RESP || s == RESOLVE_RESP || s == TRANSFER_RESP;
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    if (init == NULL || mkt_msg_parse(&parsed, octets_of(init), &err) != MKT_OK)
        return false;
    *p = (struct protection){ .prf = parsed.hdr.prf,
                              .phase = response ? 0x02 : 0x01,
                              .csb_id = parsed.hdr.csb_id,
                              .rand_i = rand_of(init, MKT_RANDR_I),
                              .rand_r = rand_of(init, MKT_RANDR_R) };
    if (response)
        p->tail[0] = octets_of(init);
    if (s <= REQUEST_RESP)
        p->inkey = c->psk_alice.key;
    else if (s == RESOLVE_INIT || s == RESOLVE_RESP)
        p->inkey = c->psk_bob[0].key;
    else if (s == TRANSFER_INIT)
        p->inkey = mkt_grant_keys(c->grant)->k[0].key;
    else if (!mpk_of_answer(&p->inkey, c))
        return false;
    if (s == TRANSFER_RESP && (mkt_grant_policy(c->grant)->flags & MKT_TP_G) != 0)
        p->rand_r = rand_of(&c->resp[0], MKT_RANDR_R);
    if (!response) {
        p->tail[0] = s == RESOLVE_INIT ? c->bob[0].data : c->alice.data;
        p->tail[1] = s == TRANSFER_INIT ? c->offer.responder.data : c->kms.data;
    }
    return true;
}

static void
add(uint8_t *to, size_t *n, struct mkt_span s)
{
    if (s.n != 0)
        memcpy(to + *n, s.p, s.n);
    *n += s.n;
}

/* constant || 0xFF || CSB ID || phase || length RANDRi || RANDRi || length RANDRr || RANDRr */
bool
derive(uint8_t *out, size_t n, uint32_t constant, const struct protection *p, struct call *c)
{
    uint8_t label[4 + 1 + 4 + 1 + 2 * 256];
    size_t len = 0;
    for (int shift = 24; shift >= 0; shift -= 8)
        label[len++] = (uint8_t)(constant >> shift);
    label[len++] = 0xFF;
    for (int shift = 24; shift >= 0; shift -= 8)
        label[len++] = (uint8_t)(p->csb_id >> shift);
    label[len++] = p->phase;
    label[len++] = (uint8_t)p->rand_i.n;
    add(label, &len, p->rand_i);
    label[len++] = (uint8_t)p->rand_r.n;
    add(label, &len, p->rand_r);
    const struct mkt_derive d = { mkt_span(label, len), out, n };
    return mkt_prf_run(c->crypto, p->prf, mkt_secret_span(&p->inkey), &d, 1);
}

/* --- sealing ---------------------------------------------------------------------------------- */

static size_t
mac_len(uint8_t prf)
{
    return prf == MKT_PRF_MIKEY_1 ? 20 : 32;
}

static bool
hmac(uint8_t *out, struct mkt_span key, struct mkt_span input, uint8_t prf, struct call *c)
{
    uint8_t alg = prf == MKT_PRF_MIKEY_1 ? MKT_MAC_HMAC_SHA_1_160 : MKT_MAC_HMAC_SHA_256_256;
    bool ok = mkt_be_hmac_key(c->crypto, alg, key) && mkt_be_hmac(c->crypto, alg, &input, 1, out);
    mkt_be_hmac_forget(c->crypto, alg);
    return ok;
}

/* Vi is the MAC, Vr covers Initiator Data up to its own MAC (6.10). */
static bool
fill_initiator_data(struct message *m, struct mkt_span data, const uint8_t *mac,
                    const struct protection *p, struct call *c)
{
    static const uint8_t label[] = { 0x2D, 0x22, 0xAC, 0x75, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x04 };
    const struct mkt_secret *mpk_r = &mkt_grant_keys(c->grant)->k[1].key;
    uint8_t *at = m->b + (data.p - m->b), key[32];
    size_t n = mac_len(p->prf);
    const struct mkt_derive d = { mkt_span(label, sizeof label), key, n };
    if (data.n != 1 + 2 * (2 + n))
        return false;
    memcpy(at + 3, mac, n);
    return mkt_prf_run(c->crypto, p->prf, mkt_secret_span(mpk_r), &d, 1) &&
           hmac(at + data.n - n, mkt_span(key, n), mkt_span(at, data.n - n), p->prf, c);
}

bool
seal(struct message *m, const struct protection *p, struct call *c)
{
    static uint8_t input[3 * sizeof m->b];
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    uint8_t key[32], mac[32];
    size_t n = mac_len(p->prf), len = 0;
    struct mkt_span left_out = mkt_span(NULL, 0);
    if (mkt_msg_parse(&parsed, octets_of(m), &err) != MKT_OK || m->n < n)
        return false;
    if (parsed.hdr.data_type == MKT_DT_TRANSFER_INIT) {
        const struct mkt_payload *t = mkt_msg_find(&parsed, MKT_PL_TICKET, 0);
        if (t != NULL) /* a CSB update has none */
            left_out = t->u.ticket.initiator_data;
    }
    if (left_out.p != NULL) { /* Initiator Data and its length of two octets */
        size_t at = (size_t)(left_out.p - m->b);
        add(input, &len, mkt_span(m->b, at - 2));
        add(input, &len, mkt_span(m->b + at + left_out.n, m->n - n - at - left_out.n));
    } else {
        add(input, &len, mkt_span(m->b, m->n - n));
    }
    add(input, &len, p->tail[0]);
    add(input, &len, p->tail[1]);
    if (!derive(key, n, AUTH, p, c) ||
        !hmac(mac, mkt_span(key, n), mkt_span(input, len), p->prf, c))
        return false;
    memcpy(m->b + m->n - n, mac, n);
    return left_out.n == 0 || fill_initiator_data(m, left_out, mac, p, c);
}

bool
sealed_as_said(struct call *c, enum sent s)
{
    struct protection p;
    struct message was = *sent_message(c, s), again = was;
    memset(again.b + again.n - 20, 0, 20);
    return protection_of(&p, c, s) && seal(&again, &p, c) && memcmp(again.b, was.b, was.n) == 0;
}

/* IV = (S XOR (0x0000 || CSB ID || T)) || 0x0000 */
size_t
open_kemac(uint8_t *clear, const struct message *m, const struct protection *p, struct call *c)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    uint8_t key[32], iv[16] = { 0 };
    size_t key_len = p->prf == MKT_PRF_MIKEY_1 ? 16 : 32;
    if (mkt_msg_parse(&parsed, octets_of(m), &err) != MKT_OK)
        return 0;
    const struct mkt_payload *kemac = mkt_msg_find(&parsed, MKT_PL_KEMAC, 0);
    const struct mkt_payload *t = mkt_msg_find(&parsed, MKT_PL_T, 0);
    if (kemac == NULL || t == NULL || kemac->u.kemac.encr_data.n > 1024 ||
        !derive(key, key_len, ENCR, p, c) || !derive(iv, 14, SALT, p, c))
        return 0;
    for (size_t i = 0; i < 4; i++)
        iv[2 + i] ^= m->b[4 + i];
    size_t pad = t->u.t.ts_type == MKT_TS_COUNTER ? 4 : 0; /* zeros in front; behind otherwise */
    if (t->u.t.value.n > 8 - pad)
        return 0;
    for (size_t i = 0; i < t->u.t.value.n; i++)
        iv[6 + pad + i] ^= t->u.t.value.p[i];
    struct mkt_span in = kemac->u.kemac.encr_data;
    return mkt_be_aes_ctr(c->crypto, mkt_span(key, key_len), iv, in, clear) ? in.n : 0;
}

bool
insert(struct message *m, const struct mkt_payload *extra, size_t before)
{
    struct mkt_msg parsed;
    struct mkt_err err = { 0 };
    struct message out;
    struct mkt_writer w = mkt_w_open(out.b, sizeof out.b);
    if (mkt_msg_parse(&parsed, octets_of(m), &err) != MKT_OK)
        return false;
    mkt_hdr_write(&w, &parsed.hdr);
    for (size_t i = 0; i < parsed.n; i++) {
        if (i == before)
            mkt_pl_write(&w, extra);
        mkt_pl_write(&w, &parsed.pl[i]);
    }
    out.n = w.len;
    *m = out;
    return !w.overflow;
}
