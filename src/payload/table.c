/* SPDX-License-Identifier: Apache-2.0 */
/* Every payload type of the registry in one table, and the codec of the regular ones. The table is
 * data, not generated code, because three readers share it: the decoder, the encoder and the
 * printer. _Generic makes the compiler check each row against the type of its struct member. */
#include "payload/table.h"

#include <stddef.h>

#define PLACE(pl, f, type)                            \
    (uint16_t)(offsetof(struct mkt_payload, u.pl.f) + \
               _Generic(((struct mkt_payload *)NULL)->u.pl.f, type : 0))
#define WORDS(P, label, f) P " " label, label, #f

#define U8(P, pl, f, label, reg)                                            \
    {                                                                       \
        MKT_F_U8, PLACE(pl, f, uint8_t), 0, reg, MKT_OK, WORDS(P, label, f) \
    }
#define U16(P, pl, f, label, reg)                                             \
    {                                                                         \
        MKT_F_U16, PLACE(pl, f, uint16_t), 0, reg, MKT_OK, WORDS(P, label, f) \
    }
#define VEC8(P, pl, f, label)                                                                  \
    {                                                                                          \
        MKT_F_VEC8, PLACE(pl, f, struct mkt_span), 0, MKT_REG_NONE, MKT_OK, WORDS(P, label, f) \
    }
#define VEC16(P, pl, f, label)                                                                  \
    {                                                                                           \
        MKT_F_VEC16, PLACE(pl, f, struct mkt_span), 0, MKT_REG_NONE, MKT_OK, WORDS(P, label, f) \
    }
#define IMPLIED(P, pl, f, label, by, reg, rc)                                          \
    {                                                                                  \
        MKT_F_IMPLIED, PLACE(pl, f, struct mkt_span), PLACE(pl, by, uint8_t), reg, rc, \
            WORDS(P, label, f)                                                         \
    }

static const struct mkt_field kemac[] = {
    U8("KEMAC", kemac, encr_alg, "Encr alg", MKT_REG_ENCR),
    VEC16("KEMAC", kemac, encr_data, "Encr data"),
    U8("KEMAC", kemac, mac_alg, "MAC alg", MKT_REG_MAC),
    IMPLIED("KEMAC", kemac, mac, "MAC", mac_alg, MKT_REG_MAC, MKT_E_MAC_ALG),
};
static const struct mkt_field dh[] = {
    U8("DH", dh, group, "DH-Group", MKT_REG_DH),
    IMPLIED("DH", dh, value, "DH-value", group, MKT_REG_DH, MKT_E_DH_GROUP),
};
static const struct mkt_field t[] = {
    U8("T", t, ts_type, "TS Type", MKT_REG_TS),
    IMPLIED("T", t, value, "TS Value", ts_type, MKT_REG_TS, MKT_E_TS_TYPE),
};
static const struct mkt_field id[] = {
    U8("ID", id, id_type, "ID Type", MKT_REG_ID_TYPE),
    VEC16("ID", id, data, "ID Data"),
};
static const struct mkt_field cert[] = {
    U8("CERT", cert, cert_type, "Cert Type", MKT_REG_CERT),
    VEC16("CERT", cert, data, "Certificate Data"),
};
static const struct mkt_field chash[] = {
    U8("CHASH", chash, hash_func, "Hash func", MKT_REG_HASH),
    IMPLIED("CHASH", chash, hash, "Hash", hash_func, MKT_REG_HASH, MKT_E_HASH),
};
static const struct mkt_field v[] = {
    U8("V", v, auth_alg, "Auth alg", MKT_REG_MAC),
    IMPLIED("V", v, mac, "Ver data", auth_alg, MKT_REG_MAC, MKT_E_MAC_ALG),
};
static const struct mkt_field sp[] = {
    U8("SP", sp, policy_no, "Policy no", MKT_REG_NONE),
    U8("SP", sp, prot_type, "Prot type", MKT_REG_PROT),
    VEC16("SP", sp, params, "Policy param"),
};
static const struct mkt_field rand_fields[] = {
    VEC8("RAND", rand, rand, "RAND"),
};
static const struct mkt_field err[] = {
    U8("ERR", err, error_no, "Error no", MKT_REG_ERROR),
    U16("ERR", err, reserved, "Reserved", MKT_REG_NONE),
};
static const struct mkt_field tr[] = {
    U8("TR", tr, role, "TS Role", MKT_REG_TS_ROLE),
    U8("TR", tr, ts_type, "TS Type", MKT_REG_TS),
    IMPLIED("TR", tr, value, "TS Value", ts_type, MKT_REG_TS, MKT_E_TS_TYPE),
};
static const struct mkt_field idr[] = {
    U8("IDR", idr, role, "ID Role", MKT_REG_ID_ROLE),
    U8("IDR", idr, id_type, "ID Type", MKT_REG_ID_TYPE),
    VEC16("IDR", idr, data, "ID Data"),
};
static const struct mkt_field randr[] = {
    U8("RANDR", randr, role, "RAND Role", MKT_REG_RAND_ROLE),
    VEC8("RANDR", randr, rand, "RAND"),
};
static const struct mkt_field tp[] = {
    U16("TP", ticket, ticket_type, "Ticket Type", MKT_REG_TICKET_TYPE),
    U8("TP", ticket, subtype, "Subtype", MKT_REG_NONE),
    U8("TP", ticket, version, "Version", MKT_REG_NONE),
};
static const struct mkt_field ticket[] = {
    U16("TICKET", ticket, ticket_type, "Ticket Type", MKT_REG_TICKET_TYPE),
    U8("TICKET", ticket, subtype, "Subtype", MKT_REG_NONE),
    U8("TICKET", ticket, version, "Version", MKT_REG_NONE),
};
static const struct mkt_field ext[] = {
    U8("General Ext.", ext, ext_type, "Type", MKT_REG_EXT),
    VEC16("General Ext.", ext, data, "Data"),
};
static const struct mkt_field thdr_fields[] = {
    VEC16("THDR", thdr, data, "THDR Data"),
};

#define FIELDS(a) .n_fields = sizeof a / sizeof a[0], .fields = a
#define REST(f) .read_rest = mkt_##f##_read, .write_rest = mkt_##f##_write
#define FOREIGN MKT_E_FOREIGN_PAYLOAD

static const struct mkt_pl_type types[] = {
    [MKT_PL_KEMAC] = { "KEMAC", "RFC 3830 6.2", FIELDS(kemac) },
    [MKT_PL_PKE] = { "PKE", "RFC 3830 6.3", REST(pke) },
    [MKT_PL_DH] = { "DH", "RFC 3830 6.4", FIELDS(dh), REST(dh) },
    [MKT_PL_SIGN] = { "SIGN", "RFC 3830 6.5", .final = true, REST(sign) },
    [MKT_PL_T] = { "T", "RFC 3830 6.6", FIELDS(t) },
    [MKT_PL_ID] = { "ID", "RFC 3830 6.7", FIELDS(id) },
    [MKT_PL_CERT] = { "CERT", "RFC 3830 6.7", FIELDS(cert) },
    [MKT_PL_CHASH] = { "CHASH", "RFC 3830 6.8", FIELDS(chash) },
    [MKT_PL_V] = { "V", "RFC 3830 6.9", FIELDS(v) },
    [MKT_PL_SP] = { "SP", "RFC 3830 6.10", FIELDS(sp), .read_rest = mkt_sp_check },
    [MKT_PL_RAND] = { "RAND", "RFC 3830 6.11", FIELDS(rand_fields) },
    [MKT_PL_ERR] = { "ERR", "RFC 3830 6.12", FIELDS(err) },
    [MKT_PL_TR] = { "TR", "RFC 6043 6.4", FIELDS(tr) },
    [MKT_PL_IDR] = { "IDR", "RFC 6043 6.6", FIELDS(idr) },
    [MKT_PL_RANDR] = { "RANDR", "RFC 6043 6.8", FIELDS(randr) },
    [MKT_PL_TP] = { "TP", "RFC 6043 6.10", FIELDS(tp), REST(tp) },
    [MKT_PL_TICKET] = { "TICKET", "RFC 6043 6.10", FIELDS(ticket), REST(ticket) },
    [MKT_PL_KEY_DATA] = { "Key Data", "RFC 3830 6.13", REST(key_data) },
    [MKT_PL_GENERAL_EXT] = { "General Ext.", "RFC 3830 6.15", FIELDS(ext) },
    [MKT_PL_IBAKE] = { "IBAKE", "RFC 6267 6", .refuse = FOREIGN },
    [MKT_PL_ESK] = { "ESK", "RFC 6267 6", .refuse = FOREIGN },
    [MKT_PL_SK] = { "SK", "RFC 6267 6", .refuse = FOREIGN },
    [MKT_PL_ECCPT] = { "ECCPT", "RFC 6267 6", .refuse = FOREIGN },
    [MKT_PL_SAKKE] = { "SAKKE", "RFC 6509 4", .refuse = FOREIGN },
};
static const struct mkt_pl_type thdr = { "THDR", "RFC 6043 A.3", FIELDS(thdr_fields) };
static const struct mkt_pl_type unassigned = { NULL, "RFC 3830 6.1",
                                               .refuse = MKT_E_UNKNOWN_PAYLOAD };

const struct mkt_pl_type *
mkt_pl_type(uint16_t type)
{
    if (type == MKT_PL_THDR)
        return &thdr;
    return type < sizeof types / sizeof types[0] && types[type].name != NULL ? &types[type]
                                                                             : &unassigned;
}

const char *
mkt_payload_name(uint16_t type)
{
    const char *name = mkt_pl_type(type)->name;
    return name != NULL ? name : "unknown";
}

const char *
mkt_payload_ref(uint16_t type)
{
    return mkt_pl_type(type)->ref;
}

static void
implied_read(struct mkt_reader *r, const struct mkt_field *f, struct mkt_payload *pl)
{
    uint8_t by = *((const uint8_t *)pl + f->of);
    const struct mkt_value *row = mkt_reg_find(f->reg, by);
    if (row == NULL)
        mkt_r_fail(r, f->unknown, 1); /* at the octet that names the algorithm */
    else
        *(struct mkt_span *)(void *)((uint8_t *)pl + f->at) = mkt_r_take(r, row->len);
}

void
mkt_fields_read(struct mkt_reader *r, const struct mkt_pl_type *type, struct mkt_payload *pl)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct mkt_field *f = &type->fields[i];
        void *to = (uint8_t *)pl + f->at;
        mkt_r_at(r, f->what);
        switch (f->kind) { /* GCOV_EXCL_BR_LINE: the rows above have no other kind */
        case MKT_F_U8:
            *(uint8_t *)to = (uint8_t)mkt_r_uint(r, 1);
            break;
        case MKT_F_U16:
            *(uint16_t *)to = (uint16_t)mkt_r_uint(r, 2);
            break;
        case MKT_F_VEC8:
            *(struct mkt_span *)to = mkt_r_vec(r, 1);
            break;
        case MKT_F_VEC16:
            *(struct mkt_span *)to = mkt_r_vec(r, 2);
            break;
        case MKT_F_IMPLIED:
            implied_read(r, f, pl);
            break;
        }
    }
}

static void
implied_write(struct mkt_writer *w, const struct mkt_field *f, const struct mkt_payload *pl,
              struct mkt_span s)
{
    const struct mkt_value *row = mkt_reg_find(f->reg, *((const uint8_t *)pl + f->of));
    if (row == NULL || s.n != row->len)
        w->overflow = true; /* nobody could read it */
    mkt_w_octets(w, s);
}

void
mkt_fields_write(struct mkt_writer *w, const struct mkt_pl_type *type, const struct mkt_payload *pl)
{
    for (size_t i = 0; i < type->n_fields; i++) {
        const struct mkt_field *f = &type->fields[i];
        const void *from = (const uint8_t *)pl + f->at;
        switch (f->kind) { /* GCOV_EXCL_BR_LINE: the rows above have no other kind */
        case MKT_F_U8:
            mkt_w_uint(w, 1, *(const uint8_t *)from);
            break;
        case MKT_F_U16:
            mkt_w_uint(w, 2, *(const uint16_t *)from);
            break;
        case MKT_F_VEC8:
            mkt_w_vec(w, 1, *(const struct mkt_span *)from);
            break;
        case MKT_F_VEC16:
            mkt_w_vec(w, 2, *(const struct mkt_span *)from);
            break;
        case MKT_F_IMPLIED:
            implied_write(w, f, pl, *(const struct mkt_span *)from);
            break;
        }
    }
}
