/* SPDX-License-Identifier: Apache-2.0 */
/* A message as `fields`: the table of the runner (shapes.h), read the other way. Numbers that have
 * a registered name are written NAME(number). */
#include "run.h"

#include "../runner/shapes.h"
#include "payload/codec.h"
#include "payload/registry.h"

#include <stdio.h>
#include <string.h>

json_t *
mv_hex(struct mkt_span s)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * 8192 + 1];
    if (s.n > 8192)
        return NULL;
    for (size_t i = 0; i < s.n; i++) {
        text[2 * i] = digits[s.p[i] >> 4];
        text[2 * i + 1] = digits[s.p[i] & 15];
    }
    text[2 * s.n] = '\0';
    return json_string(text);
}

/* Which registry names the values of an attribute; roles differ from payload to payload. */
static enum mkt_reg
registry_of(uint16_t type, const char *attribute)
{
    static const struct {
        uint16_t type; /* 0: of any payload */
        const char *attribute;
        enum mkt_reg reg;
    } rows[] = {
        { 0, "ts_type", MKT_REG_TS },
        { MKT_PL_TR, "role", MKT_REG_TS_ROLE },
        { MKT_PL_IDR, "role", MKT_REG_ID_ROLE },
        { MKT_PL_RANDR, "role", MKT_REG_RAND_ROLE },
        { 0, "id_type", MKT_REG_ID_TYPE },
        { 0, "cert_type", MKT_REG_CERT },
        { 0, "hash_func", MKT_REG_HASH },
        { 0, "encr_alg", MKT_REG_ENCR },
        { 0, "mac_alg", MKT_REG_MAC },
        { 0, "cache", MKT_REG_CACHE },
        { 0, "group", MKT_REG_DH },
        { 0, "sign_type", MKT_REG_S_TYPE },
        { MKT_PL_SP, "prot_type", MKT_REG_PROT },
        { 0, "error_no", MKT_REG_ERROR },
        { 0, "ext_type", MKT_REG_EXT },
        { 0, "key_type", MKT_REG_KEY_TYPE },
        { 0, "prf", MKT_REG_PRF },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((rows[i].type == 0 || rows[i].type == type) &&
            strcmp(rows[i].attribute, attribute) == 0)
            return rows[i].reg;
    return MKT_REG_NONE;
}

static json_t *
number(enum mkt_reg reg, uint32_t value)
{
    char text[96];
    if (reg == MKT_REG_NONE || (reg != MKT_REG_ERROR && mkt_reg_find(reg, value) == NULL))
        return json_integer(value);
    snprintf(text, sizeof text, "%s(%u)", mkt_reg_name(reg, value), value);
    return json_string(text);
}

static json_t *chain(uint16_t first, struct mkt_span s);

static const void *
member(const struct mkt_payload *pl, const struct rn_field *f)
{
    return (const char *)pl + f->at;
}

static json_t *
plain(const struct mkt_payload *pl, const struct rn_field *f)
{
    if (f->how == RN_OCTETS)
        return mv_hex(*(const struct mkt_span *)member(pl, f));
    uint32_t v =
        f->how == RN_U8 ? *(const uint8_t *)member(pl, f) : *(const uint16_t *)member(pl, f);
    return number(registry_of(pl->type, f->name), v);
}

static json_t *
validity(const struct mkt_payload *pl, const struct rn_field *f)
{
    uint8_t kv = *(const uint8_t *)member(pl, &f[0]);
    if (kv == MKT_KV_NULL)
        return json_null();
    json_t *o = json_pack("{s:s}", "payload", kv == MKT_KV_SPI ? "SPI" : "INTERVAL");
    for (size_t i = kv == MKT_KV_SPI ? 1 : 2; i <= (kv == MKT_KV_SPI ? 1U : 3U); i++)
        json_object_set_new(o, f[i].name, plain(pl, &f[i]));
    return o;
}

static json_t *
params(struct mkt_span s)
{
    json_t *list = json_array();
    struct mkt_sp_param p;
    while (mkt_sp_next(&s, &p))
        json_array_append_new(list, json_pack("[i, o]", p.type, mv_hex(p.value)));
    return list;
}

static json_t *
policy(const struct mkt_payload *pl)
{
    json_t *o = json_object();
    char flags[13];
    for (const struct rn_field *f = rn_policy; f->how != RN_END; f++)
        json_object_set_new(o, f->name, plain(pl, f));
    mkt_policy_flags_format(pl->u.ticket.flags, flags);
    json_object_set_new(o, "flags", json_string(flags));
    struct mkt_span tp = pl->u.ticket.tp_data;
    json_object_set_new(o, "tp_payloads", chain(tp.p[0], mkt_span(tp.p + 1, tp.n - 1)));
    return o;
}

static json_t *
payload(const struct mkt_payload *pl)
{
    size_t k = 0;
    while (k + 1 < rn_shapes_n && rn_shapes[k].type != pl->type)
        k++;
    json_t *o = json_pack("{s:s}", "payload", rn_shapes[k].name);
    for (const struct rn_field *f = rn_shapes[k].f; f->how != RN_END; f++)
        json_object_set_new(o, f->name,
                            f->how == RN_KV_KEY   ? validity(pl, rn_kv_key)
                            : f->how == RN_KV_DH  ? validity(pl, rn_kv_dh)
                            : f->how == RN_PARAMS ? params(pl->u.sp.params)
                            : f->how == RN_POLICY ? policy(pl)
                                                  : plain(pl, f));
    return o;
}

static json_t *
chain(uint16_t first, struct mkt_span s)
{
    static struct mkt_payload pl[MKT_PAYLOADS_MAX];
    struct mkt_err err = { 0 };
    json_t *list = json_array();
    size_t n = 0;
    if (mkt_chain_decode(pl, MKT_PAYLOADS_MAX, &n, first, s, &err) != MKT_OK)
        return list; /* the runner will say so */
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, payload(&pl[i]));
    return list;
}

static json_t *
session(const struct mkt_cs *cs)
{
    json_t *policies = json_array();
    for (size_t i = 0; i < cs->policies.n; i++)
        json_array_append_new(policies, json_integer(cs->policies.p[i]));
    return json_pack("{s:s, s:i, s:i, s:b, s:o, s:o, s:o}", "payload", "GENERICCS", "cs_id",
                     cs->cs_id, "prot_type", cs->prot_type, "s_flag", cs->s, "policies", policies,
                     "session_data", mv_hex(cs->session_data), "spi", mv_hex(cs->spi));
}

json_t *
mv_fields(const struct mkt_msg *m)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;
    json_t *sessions = json_array(), *payloads = json_array();
    for (mkt_map_begin(&it, &m->hdr); mkt_map_next(&it, &cs);)
        json_array_append_new(sessions, session(&cs));
    for (size_t i = 0; i < m->n; i++)
        json_array_append_new(payloads, payload(&m->pl[i]));
    json_t *hdr = json_pack(
        "{s:s, s:i, s:o, s:b, s:o, s:I, s:i, s:o, s:o}", "payload", "HDR", "version",
        m->hdr.version, "data_type", number(MKT_REG_DATA_TYPE, m->hdr.data_type), "v", m->hdr.v,
        "prf", number(MKT_REG_PRF, m->hdr.prf), "csb_id", (json_int_t)m->hdr.csb_id, "n_cs",
        m->hdr.n_cs, "map_type", number(MKT_REG_MAP, m->hdr.map_type), "cs", sessions);
    return json_pack("{s:o, s:o}", "hdr", hdr, "payloads", payloads);
}
