/* SPDX-License-Identifier: Apache-2.0 */
/* What all exchanges share: header, timestamps, identities, sealing and verifying. */
#include "exchange/exchange.h"

#include "backend/backend.h"
#include <string.h>

bool
mkt_ex_random(const struct mkt_env *env, void *out, size_t n)
{
    return n == 0 || env->random(env->ctx, out, n);
}

void
mkt_ex_header(struct mkt_writer *w, uint8_t data_type, bool v, uint8_t prf, uint32_t csb_id,
              uint8_t map_type)
{
    mkt_hdr_write(w, &(struct mkt_hdr){ .version = 1,
                                        .data_type = data_type,
                                        .v = v,
                                        .prf = prf,
                                        .csb_id = csb_id,
                                        .map_type = map_type });
}

void
mkt_ex_write_idr(struct mkt_writer *w, uint8_t role, struct mkt_identity id)
{
    mkt_pl_write(w,
                 &(struct mkt_payload){ .type = MKT_PL_IDR, .u.idr = { role, id.type, id.data } });
}

void
mkt_ex_write_randr(struct mkt_writer *w, uint8_t role, struct mkt_span rand)
{
    mkt_pl_write(w, &(struct mkt_payload){ .type = MKT_PL_RANDR, .u.randr = { role, rand } });
}

bool
mkt_ex_seal(struct mkt_writer *w, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
            const struct mkt_span *tail, size_t n_tail)
{
    struct mkt_span part[MKT_COVER_MAX];

    mkt_w_begin(w, MKT_PL_V);
    mkt_w_uint(w, 1, mk->suite->mac);
    part[0] = mkt_span(w->buf, w->len);
    uint8_t *mac = mkt_w_room(w, mk->suite->auth_len);
    if (mac == NULL)
        return true; /* overflow is the caller's to report */
    for (size_t i = 0; i < n_tail; i++)
        part[1 + i] = tail[i];
    return mkt_mac_run(c, mk, part, 1 + n_tail, mac);
}

enum mkt_rc
mkt_ex_verify(const struct mkt_msg *m, struct mkt_crypto *c, const struct mkt_msg_keys *mk,
              const struct mkt_span *tail, size_t n_tail, struct mkt_err *err)
{
    const struct mkt_payload *v = &m->pl[m->n - 1];
    struct mkt_span part[MKT_COVER_MAX];
    uint8_t mac[MKT_MAC_MAX];

    /* GCOV_EXCL_BR_LINE: forms with a V end with it */
    if (v->type != MKT_PL_V || v->u.v.auth_alg != mk->suite->mac)
        return mkt_fail(err, MKT_E_MAC_ALG, v->at, "V: not the suite's algorithm", "RFC 6043 12.1");
    size_t n = mkt_cover(m, tail, n_tail, part);
    if (!mkt_mac_run(c, mk, part, n, mac))
        return mkt_fail(err, MKT_E_CRYPTO, v->at, "V", "RFC 6043 5.5");
    if (!mkt_ct_equal(mkt_span(mac, mk->suite->auth_len), v->u.v.mac))
        return mkt_fail(err, MKT_E_AUTH, v->at, "V", "RFC 6043 5.5");
    return MKT_OK;
}

enum mkt_rc
mkt_ex_suite(const struct mkt_suite **suite, const struct mkt_msg *m, struct mkt_err *err)
{
    static const char ref[] = "RFC 6043 12.1";
    const struct mkt_suite *s = mkt_suite_of(m->hdr.prf);

    *suite = s;
    if (s == NULL)
        return mkt_fail(err, MKT_E_PRF, 3, "HDR: PRF func", "RFC 6043 6.1");
    for (size_t i = 0; i < m->n; i++) {
        const struct mkt_payload *pl = &m->pl[i];
        if (pl->type == MKT_PL_V && pl->u.v.auth_alg != s->mac)
            return mkt_fail(err, MKT_E_MAC_ALG, pl->at, "V: not the suite's algorithm", ref);
        if (pl->type == MKT_PL_KEMAC && !mkt_kemac_alg_fits(pl->u.kemac.encr_alg, s))
            return mkt_fail(err, MKT_E_ENCR_ALG, pl->at, "KEMAC: not the suite's encryption", ref);
        if ((pl->type == MKT_PL_TP || pl->type == MKT_PL_TICKET) && pl->u.ticket.prf != s->prf)
            return mkt_fail(err, MKT_E_PRF, pl->at, "PRF Func of the Ticket Policy", ref);
    }
    return MKT_OK;
}

struct mkt_span
mkt_ex_randr(const struct mkt_msg *m, uint8_t role)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_RANDR, role);
    return pl != NULL ? pl->u.randr.rand : mkt_span(NULL, 0);
}

struct mkt_identity
mkt_ex_idr(const struct mkt_msg *m, uint8_t role)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_IDR, role);
    if (pl == NULL)
        return (struct mkt_identity){ 0, { NULL, 0 } };
    return (struct mkt_identity){ pl->u.idr.id_type, pl->u.idr.data };
}

struct mkt_time
mkt_ex_time(const struct mkt_msg *m)
{
    const struct mkt_payload *pl = mkt_msg_find(m, MKT_PL_T, 0);
    if (pl == NULL)
        return (struct mkt_time){ 0 };
    return (struct mkt_time){ true, pl->u.t.ts_type, mkt_ts_widen(pl->u.t.ts_type, pl->u.t.value) };
}

enum mkt_rc
mkt_ex_answers(const struct mkt_msg *m, uint8_t data_type, uint8_t prf, uint32_t csb_id,
               struct mkt_err *err)
{
    if (m->hdr.data_type != data_type)
        return mkt_fail(err, MKT_E_DATA_TYPE, 1, "HDR: Data Type", "RFC 6043 6.1");
    if (m->hdr.prf != prf)
        return mkt_fail(err, MKT_E_FIELD, 3, "HDR: PRF func differs from the initial message",
                        "RFC 6043 4.2.1.5");
    if (m->hdr.csb_id != csb_id)
        return mkt_fail(err, MKT_E_FIELD, 4, "HDR: CSB ID differs from the initial message",
                        "RFC 6043 4.2.1.5");
    return MKT_OK;
}

enum mkt_next
mkt_ex_abort(struct mkt_io *io, enum mkt_rc rc, const char *what, const char *ref)
{
    mkt_fail(&io->err, rc, 0, what, ref);
    io->out_len = 0;
    return MKT_NEXT_ABORT;
}

enum mkt_next
mkt_ex_done(struct mkt_io *io, const struct mkt_writer *w, enum mkt_next next)
{
    if (w->overflow)
        return mkt_ex_abort(io, MKT_E_NO_SPACE, "message", "RFC 3830 5.2");
    io->out_len = w->len;
    return next;
}

enum mkt_rc
mkt_octets_set(struct mkt_octets *o, struct mkt_span from)
{
    /* Even an empty string has an address: an absent one is what has none. */
    uint8_t *p = mkt_be_alloc(from.n + 1);

    if (p == NULL)
        return MKT_E_MEMORY;
    if (from.n != 0)
        memcpy(p, from.p, from.n);
    mkt_octets_free(o);
    *o = (struct mkt_octets){ p, from.n };
    return MKT_OK;
}

void
mkt_octets_free(struct mkt_octets *o)
{
    mkt_be_free(o->p, o->p != NULL ? o->n + 1 : 0);
    *o = (struct mkt_octets){ NULL, 0 };
}

enum mkt_rc
mkt_own_credential_set(struct mkt_own_credential *o, const struct mkt_credential *from)
{
    o->cred = *from;
    if (mkt_octets_set(&o->self, from->self.data) != MKT_OK ||
        mkt_octets_set(&o->kms, from->kms.data) != MKT_OK ||
        mkt_octets_set(&o->psk_id, from->psk_id) != MKT_OK) {
        mkt_own_credential_free(o);
        return MKT_E_MEMORY;
    }
    o->cred.self.data = mkt_octets_span(&o->self);
    o->cred.kms.data = mkt_octets_span(&o->kms);
    o->cred.psk_id = mkt_octets_span(&o->psk_id);
    return MKT_OK;
}

void
mkt_own_credential_free(struct mkt_own_credential *o)
{
    mkt_octets_free(&o->self);
    mkt_octets_free(&o->kms);
    mkt_octets_free(&o->psk_id);
}
