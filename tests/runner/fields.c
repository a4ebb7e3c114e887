/* SPDX-License-Identifier: Apache-2.0 */
/* The `fields` of a message against its octets, both ways: octets are decoded and every field is
 * compared; the fields are encoded and the octets are compared. One table names the fields. */
#include "runner.h"

#include "shapes.h"

#include "payload/codec.h"
#include <mikeyticket/policy.h>

#include <string.h>

static void *
member(struct mkt_payload *pl, const struct rn_field *f)
{
    return (char *)pl + f->at;
}

static uint64_t
member_num(const struct mkt_payload *pl, const struct rn_field *f)
{
    const void *p = (const char *)pl + f->at;
    return f->how == RN_U8 ? *(const uint8_t *)p : *(const uint16_t *)p;
}

static struct mkt_span
member_octets(const struct mkt_payload *pl, const struct rn_field *f)
{
    return *(const struct mkt_span *)(const void *)((const char *)pl + f->at);
}

/* --- JSON to payload ------------------------------------------------------------------------ */

static void
load_plain(struct rn *r, json_t *fields, struct mkt_payload *pl, const struct rn_field *f)
{
    uint64_t n = f->how == RN_OCTETS ? 0 : rn_num(r, fields, f->name);
    if (f->how == RN_OCTETS)
        *(struct mkt_span *)member(pl, f) = rn_hex(r, fields, f->name);
    else if (f->how == RN_U8)
        *(uint8_t *)member(pl, f) = (uint8_t)n;
    else
        *(uint16_t *)member(pl, f) = (uint16_t)n;
}

static void
load_kv(struct rn *r, json_t *fields, struct mkt_payload *pl, const struct rn_field *f)
{
    json_t *kv = rn_get(r, fields, "kv");
    if (json_is_null(kv))
        return;
    bool spi = strcmp(rn_str(r, kv, "payload"), "SPI") == 0;
    *(uint8_t *)member(pl, &f[0]) = spi ? MKT_KV_SPI : MKT_KV_INTERVAL;
    load_plain(r, kv, pl, spi ? &f[1] : &f[2]);
    if (!spi)
        load_plain(r, kv, pl, &f[3]);
}

static void
load_params(struct rn *r, json_t *fields, struct mkt_payload *pl, const struct rn_field *f)
{
    size_t i;
    json_t *param, *list = rn_list(r, fields, f->name);
    uint8_t *out = rn_alloc(r, 257 * (json_array_size(list) + 1));
    struct mkt_writer w = mkt_w_open(out, 257 * json_array_size(list));
    json_array_foreach(list, i, param)
    {
        const char *value = json_string_value(json_array_get(param, 1));
        mkt_w_uint(&w, 1, (uint32_t)json_integer_value(json_array_get(param, 0)));
        mkt_w_vec(&w, 1, rn_hex_text(r, "SP parameter", value == NULL ? "?" : value));
    }
    if (json_array_size(list) != 0)
        *(struct mkt_span *)member(pl, f) = mkt_span(out, w.len);
}

static uint16_t
load_flags(struct rn *r, json_t *fields)
{
    uint16_t flags = 0;
    for (const char *c = rn_str(r, fields, "flags"); *c != 0; c++) {
        if (*c < 'D' || *c > 'O')
            rn_fail(r, "flags", "there is no flag %c", *c);
        else
            flags |= (uint16_t)(MKT_TP_D >> (*c - 'D'));
    }
    return flags;
}

/* TP Data is also given payload by payload: decoded it is the same, and it encodes the same. */
static void
check_tp_payloads(struct rn *r, json_t *list, struct mkt_span tp_data)
{
    size_t i, n = 0;
    json_t *item;
    struct mkt_payload want, *got = rn_alloc(r, MKT_PAYLOADS_MAX * sizeof *got);
    struct mkt_err err = { 0 };
    uint8_t *out = rn_alloc(r, MKT_MSG_MAX);
    struct mkt_writer w = mkt_w_open(out, MKT_MSG_MAX);
    if (tp_data.n == 0 || mkt_chain_decode(got, MKT_PAYLOADS_MAX, &n, tp_data.p[0],
                                           mkt_span(tp_data.p + 1, tp_data.n - 1), &err) != MKT_OK)
        rn_fail(r, "TP Data", "cannot be decoded");
    rn_same_num(r, "TP Data: number of payloads", n, json_array_size(list));
    w.slot = 0;
    mkt_w_uint(&w, 1, 0); /* First Payload */
    json_array_foreach(list, i, item)
    {
        if (!rn_load_payload(r, "TP Data", item, &want))
            continue;
        if (i < n)
            rn_check_payload(r, rn_name(r, "TP Data: payload %zu", i), &got[i], &want);
        mkt_pl_write(&w, &want);
    }
    rn_same(r, "TP Data, encoded", mkt_span(out, w.len), tp_data);
}

static void
load_policy(struct rn *r, json_t *fields, struct mkt_payload *pl)
{
    json_t *p = rn_obj(r, fields, "policy");
    for (const struct rn_field *f = rn_policy; f->how != RN_END; f++)
        if (strcmp(f->name, "flags") != 0)
            load_plain(r, p, pl, f);
    pl->u.ticket.flags = load_flags(r, p);
    if (json_object_get(p, "tp_payloads") != NULL)
        check_tp_payloads(r, rn_list(r, p, "tp_payloads"), pl->u.ticket.tp_data);
}

static const struct rn_shape *
shape_of(const char *name)
{
    for (size_t i = 0; i < rn_shapes_n; i++)
        if (strcmp(rn_shapes[i].name, name) == 0)
            return &rn_shapes[i];
    return NULL;
}

bool
rn_load_payload(struct rn *r, const char *where, json_t *fields, struct mkt_payload *pl)
{
    const char *name = rn_str(r, fields, "payload");
    const struct rn_shape *s = shape_of(name);
    *pl = (struct mkt_payload){ 0 };
    if (s == NULL) {
        rn_fail(r, where, "payload %s is not known to the runner", name);
        return false;
    }
    pl->type = s->type;
    for (const struct rn_field *f = s->f; f->how != RN_END; f++) {
        switch (f->how) {
        case RN_KV_KEY:
            load_kv(r, fields, pl, rn_kv_key);
            break;
        case RN_KV_DH:
            load_kv(r, fields, pl, rn_kv_dh);
            break;
        case RN_PARAMS:
            load_params(r, fields, pl, f);
            break;
        case RN_POLICY:
            load_policy(r, fields, pl);
            break;
        default:
            load_plain(r, fields, pl, f);
        }
    }
    return true;
}

/* --- payload against payload ---------------------------------------------------------------- */

static void
compare(struct rn *r, const char *where, const struct mkt_payload *got,
        const struct mkt_payload *want, const struct rn_field *f)
{
    const char *at = rn_name(r, "%s.%s", where, f->name);
    if (f->how == RN_OCTETS || f->how == RN_PARAMS)
        rn_same(r, at, member_octets(got, f), member_octets(want, f));
    else
        rn_same_num(r, at, member_num(got, f), member_num(want, f));
}

void
rn_check_payload(struct rn *r, const char *where, const struct mkt_payload *got,
                 const struct mkt_payload *want)
{
    static const struct rn_field *const nested[] = {
        [RN_KV_KEY] = rn_kv_key, [RN_KV_DH] = rn_kv_dh, [RN_POLICY] = rn_policy
    };
    if (!rn_same_num(r, rn_name(r, "%s: payload type", where), got->type, want->type))
        return;
    const struct rn_shape *s = rn_shapes;
    while (s->type != got->type)
        s++;
    where = rn_name(r, "%s: %s", where, s->name);
    for (const struct rn_field *f = s->f; f->how != RN_END; f++) {
        if (f->how != RN_KV_KEY && f->how != RN_KV_DH && f->how != RN_POLICY) {
            compare(r, where, got, want, f);
            continue;
        }
        for (const struct rn_field *g = nested[f->how]; g->how != RN_END; g++)
            compare(r, where, got, want, g);
    }
}

/* --- the header ----------------------------------------------------------------------------- */

static void
session_data(struct mkt_cs *cs)
{
    struct mkt_span d = cs->session_data;
    if (cs->prot_type != MKT_PROT_SRTP || d.n != (cs->s ? 10U : 4U))
        return;
    struct mkt_err err = { 0 };
    struct mkt_reader rd = mkt_r_open(d, 0, "session data", "RFC 6043 6.1.1", &err);
    cs->has_ssrc = true;
    cs->ssrc = mkt_r_uint(&rd, 4);
    cs->roc = cs->s ? mkt_r_uint(&rd, 4) : 0;
    cs->seq = (uint16_t)(cs->s ? mkt_r_uint(&rd, 2) : 0);
}

static void
load_generic(struct rn *r, json_t *item, struct mkt_cs *cs)
{
    size_t i;
    json_t *no, *list = rn_list(r, item, "policies");
    uint8_t *policies = rn_alloc(r, json_array_size(list));
    json_array_foreach(list, i, no) policies[i] = (uint8_t)json_integer_value(no);
    cs->cs_id = (uint8_t)rn_num(r, item, "cs_id");
    cs->prot_type = (uint8_t)rn_num(r, item, "prot_type");
    cs->s = rn_bool(r, item, "s_flag");
    cs->policies = mkt_span(policies, json_array_size(list));
    cs->session_data = rn_hex(r, item, "session_data");
    cs->spi = rn_hex(r, item, "spi");
    session_data(cs);
}

static void
load_srtp_id(struct rn *r, json_t *item, size_t index, struct mkt_cs *cs)
{
    uint8_t *no = rn_alloc(r, 1);
    *no = (uint8_t)rn_num(r, item, "policy_no");
    *cs = (struct mkt_cs){ .cs_id = (uint8_t)(index + 1),
                           .policies = mkt_span(no, 1),
                           .has_ssrc = true,
                           .ssrc = (uint32_t)rn_num(r, item, "ssrc"),
                           .roc = (uint32_t)rn_num(r, item, "roc") };
}

static void
srtp_id_write(struct mkt_writer *w, const struct mkt_cs *cs)
{
    mkt_w_octets(w, cs->policies);
    mkt_w_uint(w, 4, cs->ssrc);
    mkt_w_uint(w, 4, cs->roc);
}

static void
check_cs(struct rn *r, const char *where, const struct mkt_cs *got, const struct mkt_cs *want)
{
    rn_same_num(r, rn_name(r, "%s: CS ID", where), got->cs_id, want->cs_id);
    rn_same_num(r, rn_name(r, "%s: Prot type", where), got->prot_type, want->prot_type);
    rn_same_num(r, rn_name(r, "%s: S", where), got->s, want->s);
    rn_same(r, rn_name(r, "%s: Policy_no", where), got->policies, want->policies);
    rn_same(r, rn_name(r, "%s: Session Data", where), got->session_data, want->session_data);
    rn_same(r, rn_name(r, "%s: SPI", where), got->spi, want->spi);
    rn_same_num(r, rn_name(r, "%s: has SSRC", where), got->has_ssrc, want->has_ssrc);
    rn_same_num(r, rn_name(r, "%s: SSRC", where), got->ssrc, want->ssrc);
    rn_same_num(r, rn_name(r, "%s: ROC", where), got->roc, want->roc);
    rn_same_num(r, rn_name(r, "%s: SEQ", where), got->seq, want->seq);
}

/* Compares the map as decoded with the list, and encodes the list into h->map. */
static void
load_map(struct rn *r, const char *where, json_t *list, const struct mkt_hdr *got,
         struct mkt_hdr *h)
{
    size_t i, cap = 1024 * (json_array_size(list) + 1);
    json_t *item;
    uint8_t *out = rn_alloc(r, cap);
    struct mkt_writer w = mkt_w_open(out, cap);
    struct mkt_map_iter it;
    mkt_map_begin(&it, got);
    json_array_foreach(list, i, item)
    {
        struct mkt_cs want = { 0 }, cs = { 0 };
        const char *at = rn_name(r, "%s: crypto session %zu", where, i);
        bool generic = strcmp(rn_str(r, item, "payload"), "GENERICCS") == 0;
        if (generic)
            load_generic(r, item, &want);
        else
            load_srtp_id(r, item, i, &want);
        if (!mkt_map_next(&it, &cs))
            rn_fail(r, at, "is not in the map");
        else
            check_cs(r, at, &cs, &want);
        if (generic)
            mkt_cs_write(&w, &want);
        else
            srtp_id_write(&w, &want);
    }
    struct mkt_cs more;
    if (mkt_map_next(&it, &more))
        rn_fail(r, where, "map has more crypto sessions than listed");
    h->map = mkt_span(out, w.len);
}

static void
check_hdr(struct rn *r, const char *where, json_t *fields, const struct mkt_hdr *got,
          struct mkt_hdr *h)
{
    where = rn_name(r, "%s: HDR", where);
    if (strcmp(rn_str(r, fields, "payload"), "HDR") != 0)
        rn_fail(r, where, "is not a header");
    h->version = (uint8_t)rn_num(r, fields, "version");
    h->data_type = (uint8_t)rn_num(r, fields, "data_type");
    h->v = rn_bool(r, fields, "v");
    h->prf = (uint8_t)rn_num(r, fields, "prf");
    h->csb_id = (uint32_t)rn_num(r, fields, "csb_id");
    h->n_cs = (uint8_t)rn_num(r, fields, "n_cs");
    h->map_type = (uint8_t)rn_num(r, fields, "map_type");
    rn_same_num(r, rn_name(r, "%s: version", where), got->version, h->version);
    rn_same_num(r, rn_name(r, "%s: data type", where), got->data_type, h->data_type);
    rn_same_num(r, rn_name(r, "%s: V", where), got->v, h->v);
    rn_same_num(r, rn_name(r, "%s: PRF func", where), got->prf, h->prf);
    rn_same_num(r, rn_name(r, "%s: CSB ID", where), got->csb_id, h->csb_id);
    rn_same_num(r, rn_name(r, "%s: #CS", where), got->n_cs, h->n_cs);
    rn_same_num(r, rn_name(r, "%s: map type", where), got->map_type, h->map_type);
    load_map(r, where, rn_list(r, fields, "cs"), got, h);
}

void
rn_check_message(struct rn *r, const char *where, struct mkt_span octets, json_t *fields)
{
    struct mkt_msg *m = rn_alloc(r, sizeof *m);
    struct mkt_err err = { 0 };
    if (mkt_msg_parse(m, octets, &err) != MKT_OK) {
        rn_fail_err(r, where, &err);
        return;
    }
    size_t i;
    json_t *item, *list = rn_list(r, fields, "payloads");
    struct mkt_hdr h = { 0 };
    check_hdr(r, where, rn_obj(r, fields, "hdr"), &m->hdr, &h);
    uint8_t *out = rn_alloc(r, MKT_MSG_MAX);
    struct mkt_writer w = mkt_w_open(out, MKT_MSG_MAX);
    mkt_hdr_write(&w, &h);
    rn_same_num(r, rn_name(r, "%s: number of payloads", where), m->n, json_array_size(list));
    json_array_foreach(list, i, item)
    {
        struct mkt_payload want;
        if (!rn_load_payload(r, where, item, &want))
            continue;
        if (i < m->n)
            rn_check_payload(r, rn_name(r, "%s: payload %zu", where, i), &m->pl[i], &want);
        mkt_pl_write(&w, &want);
    }
    if (w.overflow)
        rn_fail(r, where, "cannot be encoded");
    else
        rn_same(r, rn_name(r, "%s, encoded", where), mkt_span(out, w.len), octets);
}
