/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over a message that names every field. Regular payloads are printed from the same table
 * that decodes them. Key octets have no way out of here: Key Data prints lengths only, and octets
 * that might hold keys in the clear are shown only once they have been taken apart. */
#include "message/print.h"
#include "message/message.h"
#include "payload/table.h"

#include <stdio.h>
#include <time.h>

#define NEST_MAX 4 /* TP Data may hold a TP, which holds ... */

static void print_payload(struct mkt_out *o, const struct mkt_payload *pl, unsigned nest);
static void print_hdr(struct mkt_out *o, const struct mkt_hdr *h, size_t at);

static void
number(struct mkt_out *o, const char *key, const char *label, uint32_t value, enum mkt_reg reg)
{
    o->format->number(o, key, label, value, reg == MKT_REG_NONE ? NULL : mkt_reg_name(reg, value));
}

static void
octets(struct mkt_out *o, const char *key, const char *label, struct mkt_span s)
{
    o->format->octets(o, key, label, s);
}

/* As text when it can be read, else as octets. */
static void
text_or_octets(struct mkt_out *o, const char *key, const char *label, struct mkt_span s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] >= 0x20 && s.p[i] <= 0x7E)
        i++;
    if (i == s.n && s.n != 0)
        o->format->text(o, key, label, (const char *)s.p, s.n);
    else
        octets(o, key, label, s);
}

static uint64_t
be(struct mkt_span s)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

/* NTP seconds to "2011-03-01T00:00:00Z", by the rule of RFC 4330 3: an unset first bit means 2036
 * or later. */
static void
utc(char buf[32], uint32_t ntp_seconds)
{
    int64_t t = (int64_t)ntp_seconds - 2208988800;
    if ((ntp_seconds & 0x80000000U) == 0)
        t += (int64_t)1 << 32;
    time_t unix_time = (time_t)t;
    struct tm tm;
    /* GCOV_EXCL_START: every second from 1968 to 2104 has a year, and a text of 20 characters */
    if (gmtime_r(&unix_time, &tm) == NULL || strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        buf[0] = '\0';
    /* GCOV_EXCL_STOP */
}

static void
timestamp(struct mkt_out *o, uint8_t ts_type, bool interval, struct mkt_span s)
{
    char buf[32];
    octets(o, "value", "TS Value", s);
    uint32_t seconds = (uint32_t)be(mkt_span(s.p, s.n < 4 ? s.n : 4));
    if (ts_type == MKT_TS_COUNTER || interval) {
        number(o, ts_type == MKT_TS_COUNTER ? "counter" : "seconds",
               ts_type == MKT_TS_COUNTER ? "that is, counter" : "that is, seconds", seconds,
               MKT_REG_NONE);
        return;
    }
    utc(buf, seconds);
    o->format->text(o, "utc", "that is, UTC", buf, strlen(buf));
}

/* --- nested chains ---------------------------------------------------------------------------- */

static void
refusal(struct mkt_out *o, const char *key, const struct mkt_err *err, size_t n)
{
    char buf[160];
    mkt_err_format(err, buf, sizeof buf);
    o->format->group_begin(o, key, "refused");
    o->format->text(o, "error", "error", buf, strlen(buf));
    o->format->hidden(o, "rest", "rest", n);
    o->format->group_end(o);
}

static void
chain(struct mkt_out *o, const char *key, const char *label, uint16_t first, struct mkt_span s,
      size_t at, unsigned nest)
{
    struct mkt_err err = { 0 };
    struct mkt_reader r = mkt_r_open(s, at, label, "RFC 6043 6.10", &err);
    struct mkt_payload pl;
    if (nest > NEST_MAX) {
        o->format->hidden(o, key, label, s.n);
        return;
    }
    o->format->list_begin(o, key, label);
    for (uint16_t type = first; type != MKT_PL_LAST; type = pl.next) {
        size_t left = r.left;
        if (mkt_pl_read(&r, type, &pl) != MKT_OK) {
            refusal(o, NULL, &err, left);
            break;
        }
        print_payload(o, &pl, nest);
    }
    size_t left = r.left;
    if (err.rc == MKT_OK && mkt_r_end(&r) != MKT_OK)
        refusal(o, NULL, &err, left);
    o->format->list_end(o);
}

/* A chain whose first octet names its first payload. */
static void
named_chain(struct mkt_out *o, const char *key, const char *label, struct mkt_span s, size_t at,
            unsigned nest)
{
    if (s.n == 0)
        octets(o, key, label, s);
    else if (nest > NEST_MAX)
        o->format->hidden(o, key, label, s.n); /* with the octet that names its first payload */
    else
        chain(o, key, label, s.p[0], mkt_span(s.p + 1, s.n - 1), at + 1, nest);
}

/* A whole message in a payload: the Ticket Data of a compatibility ticket. */
static void
nested_message(struct mkt_out *o, const char *key, const char *label, struct mkt_span s, size_t at,
               unsigned nest)
{
    struct mkt_err err = { 0 };
    struct mkt_reader r = mkt_r_open(s, at, "HDR", "RFC 3830 6.1", &err);
    struct mkt_hdr h;
    if (nest > NEST_MAX) {
        o->format->hidden(o, key, label, s.n);
        return;
    }
    if (mkt_hdr_read(&r, &h) != MKT_OK) {
        refusal(o, key, &err, s.n);
        return;
    }
    o->format->group_begin(o, key, label);
    print_hdr(o, &h, at);
    chain(o, "payloads", "payloads", h.next, mkt_span(r.p, r.left), r.at, nest);
    o->format->group_end(o);
}

/* --- what follows the fields of the table ------------------------------------------------------
 */

static void
validity(struct mkt_out *o, uint8_t kv, struct mkt_span spi, struct mkt_span from,
         struct mkt_span to)
{
    number(o, "kv", "KV", kv, MKT_REG_KV);
    if (kv == MKT_KV_SPI)
        octets(o, "spi", "SPI", spi);
    if (kv == MKT_KV_INTERVAL) {
        octets(o, "from", "Valid From", from);
        octets(o, "to", "Valid To", to);
    }
}

static void
key_data(struct mkt_out *o, const struct mkt_pl_key_data *k)
{
    number(o, "type", "Type", k->type, MKT_REG_KEY_TYPE);
    o->format->hidden(o, "key", "Key data", k->key.n);
    if (mkt_key_has_salt(k->type))
        o->format->hidden(o, "salt", "Salt data", k->salt.n);
    validity(o, k->kv, k->spi, k->from, k->to);
}

static const struct {
    uint16_t flag;
    const char *letter, *set, *clear;
} flag_words[] = {
    { MKT_TP_D, "D", "the KMS generated the ticket", "the Initiator generated the ticket" },
    { MKT_TP_E, "E", "Ticket Resolve is mandatory", "the Responder may resolve the ticket" },
    { MKT_TP_F, "F", "TRANSFER_RESP shall be sent", "TRANSFER_RESP shall not be sent" },
    { MKT_TP_G, "G", "the Responder generates RANDRr", "no RANDRr" },
    { MKT_TP_H, "H", "RANDRi is used to derive keys", "RANDRi is not used to derive keys" },
    { MKT_TP_I, "I", "key forking", "no key forking" },
    { MKT_TP_J, "J", "the ticket may be reused", "the ticket shall not be reused" },
    { MKT_TP_K, "K", "the KMS changed the policy", "the KMS did not change the policy" },
    { MKT_TP_L, "L", "the Initiator may supply keys", "the Initiator shall not supply keys" },
    { MKT_TP_M, "M", "the Responder may supply keys", "the Responder shall not supply keys" },
    { MKT_TP_N, "N", "any Initiator can use it", "the Initiator needs additional processing" },
    { MKT_TP_O, "O", "any Responder can use it", "the Responder needs additional processing" },
};

static void
flags(struct mkt_out *o, uint16_t set)
{
    char letters[sizeof flag_words / sizeof flag_words[0] + 1];
    size_t n = 0;
    o->format->group_begin(o, "flag_words", "flags");
    for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++) {
        bool on = (set & flag_words[i].flag) != 0;
        const char *words = on ? flag_words[i].set : flag_words[i].clear;
        if (on)
            letters[n++] = flag_words[i].letter[0];
        o->format->number(o, flag_words[i].letter, flag_words[i].letter, on, words);
    }
    o->format->group_end(o);
    o->format->text(o, "flags", "flags set", letters, n);
}

/* Ticket Data of the types that are known here; that of others is octets. */
static void
ticket_data(struct mkt_out *o, const struct mkt_pl_ticket *t, size_t at, unsigned nest)
{
    static const char key[] = "ticket_data";
    bool by_reference =
        t->ticket_type == MKT_TICKET_TYPE_REFERENCE && t->subtype == 1 && t->version == 1;
    bool compat = t->ticket_type == MKT_TICKET_TYPE_COMPAT && t->version == 1 &&
                  (t->subtype == MKT_COMPAT_IDS || t->subtype == MKT_COMPAT_NO_IDS);
    if (t->ticket_data.n != 0 && (mkt_is_base_ticket(t) || by_reference))
        chain(o, key, by_reference ? "Ticket Data, THDR names the keys" : "Ticket Data",
              MKT_PL_THDR, t->ticket_data, at, nest);
    else if (t->ticket_data.n != 0 && compat)
        nested_message(o, key, "Ticket Data, an RFC 3830 message", t->ticket_data, at, nest);
    else
        octets(o, key, "Ticket Data", t->ticket_data);
}

static void
ticket(struct mkt_out *o, const struct mkt_payload *pl, unsigned nest)
{
    const struct mkt_pl_ticket *t = &pl->u.ticket;
    size_t at = pl->at + (size_t)(t->tp_data.p - pl->raw.p);
    number(o, "prf", "PRF Func", t->prf, MKT_REG_PRF);
    flags(o, t->flags);
    number(o, "res", "Res", t->res, MKT_REG_NONE);
    named_chain(o, "tp_data", "TP Data", t->tp_data, at, nest);
    if (pl->type == MKT_PL_TP)
        return;
    at += t->tp_data.n + 2;
    ticket_data(o, t, at, nest);
    named_chain(o, "initiator_data", "Initiator Data", t->initiator_data, at + t->ticket_data.n + 2,
                nest);
}

static void
sp_params(struct mkt_out *o, const struct mkt_pl_sp *sp)
{
    struct mkt_span rest = sp->params;
    struct mkt_sp_param param;
    o->format->list_begin(o, "params", "Policy param");
    while (mkt_sp_next(&rest, &param)) {
        o->format->group_begin(o, NULL, "parameter");
        number(o, "type", "Type", param.type,
               sp->prot_type == MKT_PROT_SRTP ? MKT_REG_SRTP_PARAM : MKT_REG_NONE);
        if (param.value.n != 0 && param.value.n <= 4)
            number(o, "value", "Value", (uint32_t)be(param.value), MKT_REG_NONE);
        else
            octets(o, "value", "Value", param.value);
        o->format->group_end(o);
    }
    o->format->list_end(o);
}

/* Only what a known algorithm has encrypted may be shown. */
static void
encr_data(struct mkt_out *o, const struct mkt_payload *pl, unsigned nest)
{
    const struct mkt_pl_kemac *k = &pl->u.kemac;
    size_t at = pl->at + (size_t)(k->encr_data.p - pl->raw.p);
    if (k->encr_alg == MKT_ENCR_NULL && k->encr_data.n != 0)
        chain(o, "keys", "Encr data", MKT_PL_KEY_DATA, k->encr_data, at, nest);
    else if (mkt_reg_find(MKT_REG_ENCR, k->encr_alg) != NULL)
        octets(o, "encr_data", "Encr data", k->encr_data);
    else
        o->format->hidden(o, "encr_data", "Encr data", k->encr_data.n);
}

/* --- payloads ----------------------------------------------------------------------------------
 */

static void
print_span(struct mkt_out *o, const struct mkt_field *f, const struct mkt_payload *pl,
           unsigned nest)
{
    const struct mkt_span s = *(const struct mkt_span *)(const void *)((const uint8_t *)pl + f->at);
    switch (pl->type) {
    case MKT_PL_T:
        timestamp(o, pl->u.t.ts_type, false, s);
        break;
    case MKT_PL_TR:
        timestamp(o, pl->u.tr.ts_type, pl->u.tr.role == MKT_TR_R, s);
        break;
    case MKT_PL_ID:
    case MKT_PL_IDR:
    case MKT_PL_GENERAL_EXT:
        text_or_octets(o, f->key, f->label, s);
        break;
    case MKT_PL_SP:
        sp_params(o, &pl->u.sp);
        break;
    case MKT_PL_KEMAC:
        if (f->kind == MKT_F_VEC16) {
            encr_data(o, pl, nest);
            break;
        }
        octets(o, f->key, f->label, s);
        break;
    default:
        octets(o, f->key, f->label, s);
        break;
    }
}

static void
print_fields(struct mkt_out *o, const struct mkt_payload *pl, unsigned nest)
{
    const struct mkt_pl_type *t = mkt_pl_type(pl->type);
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct mkt_field *f = &t->fields[i];
        const void *from = (const uint8_t *)pl + f->at;
        if (f->kind == MKT_F_U8)
            number(o, f->key, f->label, *(const uint8_t *)from, f->reg);
        else if (f->kind == MKT_F_U16)
            number(o, f->key, f->label, *(const uint16_t *)from, f->reg);
        else
            print_span(o, f, pl, nest);
    }
}

static void
print_rest(struct mkt_out *o, const struct mkt_payload *pl, unsigned nest)
{
    switch (pl->type) {
    case MKT_PL_PKE:
        number(o, "c", "C", pl->u.pke.c, MKT_REG_CACHE);
        octets(o, "data", "Data", pl->u.pke.data);
        break;
    case MKT_PL_SIGN:
        number(o, "s_type", "S type", pl->u.sign.s_type, MKT_REG_S_TYPE);
        octets(o, "signature", "Signature", pl->u.sign.signature);
        break;
    case MKT_PL_DH:
        number(o, "reserv", "Reserv", pl->u.dh.reserv, MKT_REG_NONE);
        validity(o, pl->u.dh.kv, pl->u.dh.spi, pl->u.dh.from, pl->u.dh.to);
        break;
    case MKT_PL_KEY_DATA:
        key_data(o, &pl->u.key_data);
        break;
    case MKT_PL_TP:
    case MKT_PL_TICKET:
        ticket(o, pl, nest);
        break;
    default:
        break;
    }
}

static void
print_payload(struct mkt_out *o, const struct mkt_payload *pl, unsigned nest)
{
    o->format->payload_begin(o, mkt_payload_name(pl->type), pl->at, mkt_payload_ref(pl->type));
    if (!mkt_pl_type(pl->type)->final)
        o->format->number(o, "next", "Next Payload", pl->next,
                          pl->next == MKT_PL_LAST ? "Last payload" : mkt_payload_name(pl->next));
    print_fields(o, pl, nest + 1);
    print_rest(o, pl, nest + 1);
    o->format->group_end(o);
}

/* --- header ------------------------------------------------------------------------------------
 */

static void
crypto_session(struct mkt_out *o, const struct mkt_cs *cs, uint8_t map_type)
{
    o->format->group_begin(o, NULL, "crypto session");
    number(o, "cs_id", "CS ID", cs->cs_id, MKT_REG_NONE);
    number(o, "prot_type", "Prot type", cs->prot_type, MKT_REG_PROT);
    if (map_type == MKT_MAP_GENERIC_ID)
        o->format->truth(o, "s", "S", cs->s);
    o->format->list_begin(o, "policies", "Ps");
    for (size_t i = 0; i < cs->policies.n; i++)
        number(o, NULL, "Policy_no", cs->policies.p[i], MKT_REG_NONE);
    o->format->list_end(o);
    if (cs->has_ssrc) {
        number(o, "ssrc", "SSRC", cs->ssrc, MKT_REG_NONE);
        if (cs->s || map_type == MKT_MAP_SRTP_ID)
            number(o, "roc", "ROC", cs->roc, MKT_REG_NONE);
        if (cs->s)
            number(o, "seq", "SEQ", cs->seq, MKT_REG_NONE);
    } else
        octets(o, "session_data", "Session Data", cs->session_data);
    if (map_type == MKT_MAP_GENERIC_ID)
        octets(o, "spi", "SPI", cs->spi);
    o->format->group_end(o);
}

static void
print_hdr(struct mkt_out *o, const struct mkt_hdr *h, size_t at)
{
    struct mkt_map_iter it;
    struct mkt_cs cs;
    char label[64];
    snprintf(label, sizeof label, "HDR at octet %zu (RFC 3830 6.1)", at);
    o->format->group_begin(o, "hdr", label);
    number(o, "version", "version", h->version, MKT_REG_NONE);
    number(o, "data_type", "data type", h->data_type, MKT_REG_DATA_TYPE);
    o->format->number(o, "next", "next payload", h->next,
                      h->next == MKT_PL_LAST ? "Last payload" : mkt_payload_name(h->next));
    o->format->truth(o, "v", "V", h->v);
    number(o, "prf", "PRF func", h->prf, MKT_REG_PRF);
    number(o, "csb_id", "CSB ID", h->csb_id, MKT_REG_NONE);
    number(o, "n_cs", "#CS", h->n_cs, MKT_REG_NONE);
    number(o, "map_type", "CS ID map type", h->map_type, MKT_REG_MAP);
    if (h->map_type != MKT_MAP_EMPTY) {
        o->format->list_begin(o, "map", "CS ID map info");
        for (mkt_map_begin(&it, h); mkt_map_next(&it, &cs);)
            crypto_session(o, &cs, h->map_type);
        o->format->list_end(o);
    }
    o->format->group_end(o);
}

void
mkt_msg_print(const struct mkt_msg *m, enum mkt_print how, mkt_sink *sink, void *ctx)
{
    struct mkt_out o = { how == MKT_PRINT_JSON ? &mkt_format_json : &mkt_format_text, sink, ctx, 0,
                         false };
    o.format->begin(&o);
    number(&o, "data_type", "MIKEY message", m->hdr.data_type, MKT_REG_DATA_TYPE);
    number(&o, "octets", "octets", (uint32_t)m->octets.n, MKT_REG_NONE);
    print_hdr(&o, &m->hdr, 0);
    o.format->list_begin(&o, "payloads", "payloads");
    for (size_t i = 0; i < m->n; i++)
        print_payload(&o, &m->pl[i], 0);
    o.format->list_end(&o);
    o.format->end(&o);
}
