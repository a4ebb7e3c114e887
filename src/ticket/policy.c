/* SPDX-License-Identifier: Apache-2.0 */
/* The Ticket Policy, read: TP Data taken apart, flags against their implications, validity. */
#include "ticket/ticket.h"

#include <string.h>

#define REF "RFC 6043 6.10"
#define TP_PAYLOADS_MAX 64

/* RFC 6043 6.10: "Note that the flags are not independent". */
static const struct mkt_flag_rule rules[] = {
    { MKT_TP_D, MKT_TP_L, false, false, "flags: NOT D implies L" },
    { MKT_TP_G, MKT_TP_F, true, false, "flags: G implies F" },
    { MKT_TP_G, MKT_TP_H, false, false, "flags: NOT G implies H" },
    { MKT_TP_H, MKT_TP_G, false, false, "flags: NOT H implies G" },
    { MKT_TP_I, MKT_TP_E, true, false, "flags: I implies E" },
    { MKT_TP_K, MKT_TP_D, true, false, "flags: K implies D" },
    { MKT_TP_M, MKT_TP_F, true, false, "flags: M implies F" },
    { MKT_TP_I, MKT_TP_F, true, true, "flags: I with a TGK implies F" },
};

const struct mkt_flag_rule *
mkt_flag_rules(size_t *n)
{
    *n = sizeof rules / sizeof rules[0];
    return rules;
}

bool
mkt_flag_rule_holds(const struct mkt_flag_rule *rule, uint16_t flags, bool tgk)
{
    return ((flags & rule->flag) != 0) != rule->when || (flags & rule->needs) != 0 ||
           (rule->with_tgk && !tgk);
}

enum mkt_rc
mkt_policy_check(uint16_t flags, bool tgk, struct mkt_err *err)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (!mkt_flag_rule_holds(&rules[i], flags, tgk))
            return mkt_fail(err, MKT_E_TP_FLAGS, 0, rules[i].say, REF);
    return MKT_OK;
}

bool
mkt_identity_equal(struct mkt_identity a, struct mkt_identity b)
{
    return a.data.p != NULL && b.data.p != NULL && a.type == b.type && a.data.n == b.data.n &&
           memcmp(a.data.p, b.data.p, a.data.n) == 0;
}

struct mkt_identity
mkt_uri(const char *uri)
{
    return (struct mkt_identity){ MKT_ID_URI, mkt_span(uri, strlen(uri)) };
}

void
mkt_policy_init(struct mkt_policy *p, uint8_t prf)
{
    *p = (struct mkt_policy){
        .ticket_type = MKT_TICKET_TYPE_BASE,
        .subtype = 1,
        .version = 1,
        .prf = prf,
        .flags =
            MKT_TP_D | MKT_TP_E | MKT_TP_F | MKT_TP_G | MKT_TP_H | MKT_TP_I | MKT_TP_N | MKT_TP_O,
    };
}

void
mkt_policy_init_compat(struct mkt_policy *p, uint8_t subtype)
{
    *p = (struct mkt_policy){ .ticket_type = MKT_TICKET_TYPE_COMPAT,
                              .subtype = subtype,
                              .version = 1,
                              .prf = MKT_PRF_MIKEY_1,
                              .flags = MKT_TP_D | MKT_TP_H };
}

void
mkt_policy_flags_format(uint16_t flags, char buf[13])
{
    for (const char *letter = "DEFGHIJKLMNO"; *letter != '\0'; letter++)
        if ((flags & MKT_TP_D >> (*letter - 'D')) != 0)
            *buf++ = *letter;
    *buf = '\0';
}

unsigned
mkt_policy_mpks(const struct mkt_policy *p)
{
    return (p->flags & MKT_TP_I) != 0 ? 2 : 1;
}

/* --- TP Data, one payload after the other --------------------------------------------------- */

struct tp_reader {
    struct mkt_policy *p;
    bool ticket;
    struct mkt_err *err;
};

static enum mkt_rc
refuse(const struct tp_reader *r, const struct mkt_payload *pl, const char *what)
{
    return mkt_fail(r->err, MKT_E_TP_PARAM, pl->at, what, REF);
}

static enum mkt_rc
read_idr(const struct tp_reader *r, const struct mkt_payload *pl)
{
    struct mkt_policy *p = r->p;
    struct mkt_identity id = { pl->u.idr.id_type, pl->u.idr.data };

    switch (pl->u.idr.role) {
    case MKT_IDR_KMS:
        if (p->kms.data.p != NULL)
            return refuse(r, pl, "TP Data: second IDRkms");
        p->kms = id;
        break;
    case MKT_IDR_I:
        if (p->initiator.data.p != NULL)
            return refuse(r, pl, "TP Data: second IDRi");
        p->initiator = id;
        break;
    case MKT_IDR_APP:
        if (p->n_apps == MKT_APPS_MAX)
            return refuse(r, pl, "TP Data: too many IDRapp");
        p->apps[p->n_apps++] = id;
        break;
    case MKT_IDR_R:
        if (p->n_responders == MKT_RESPONDERS_MAX)
            return refuse(r, pl, "TP Data: too many IDRr");
        p->responders[p->n_responders++] = id;
        break;
    default:
        break; /* unexpected: ignored */
    }
    return MKT_OK;
}

static enum mkt_rc
read_tr(const struct tp_reader *r, const struct mkt_payload *pl)
{
    const struct mkt_pl_tr *tr = &pl->u.tr;
    struct mkt_time *const slot[] = {
        [MKT_TR_S] = &r->p->start,
        [MKT_TR_E] = &r->p->end,
        [MKT_TR_R] = &r->p->rekey,
    };
    if (tr->role < MKT_TR_S || tr->role > MKT_TR_R)
        return MKT_OK; /* unexpected: ignored */
    if (slot[tr->role]->has)
        return refuse(r, pl, "TP Data: TR with one role twice");
    if (tr->role == MKT_TR_R && tr->ts_type != MKT_TS_NTP_UTC_32)
        return refuse(r, pl, "TP Data: TRr is not NTP-UTC-32");
    if (tr->ts_type == MKT_TS_COUNTER)
        return refuse(r, pl, "TP Data: a COUNTER cannot bound a validity period");
    *slot[tr->role] = (struct mkt_time){ true, tr->ts_type, mkt_ts_widen(tr->ts_type, tr->value) };
    return MKT_OK;
}

static enum mkt_rc
read_kemac(const struct tp_reader *r, const struct mkt_payload *pl)
{
    const struct mkt_pl_kemac *k = &pl->u.kemac;
    struct mkt_payload kd[MKT_KEYS_MAX];
    struct mkt_err inner = { 0 };
    size_t n = 0;

    if (r->ticket)
        return refuse(r, pl, "TP Data: KEMAC in a granted policy");
    if (r->p->has_kemac)
        return refuse(r, pl, "TP Data: second KEMAC");
    if (k->encr_alg != MKT_ENCR_NULL || k->mac_alg != MKT_MAC_NULL)
        return refuse(r, pl, "TP Data: KEMAC with encryption or a MAC");
    r->p->has_kemac = true;
    if (k->encr_data.n == 0)
        return MKT_OK; /* no session keys wanted */
    if (mkt_chain_decode(kd, MKT_KEYS_MAX, &n, MKT_PL_KEY_DATA, k->encr_data, &inner) != MKT_OK)
        return mkt_fail(r->err, MKT_E_TP_PARAM,
                        pl->at + (size_t)(k->encr_data.p - pl->raw.p) + inner.offset,
                        "TP Data: KEMAC contents", REF);
    for (size_t i = 0; i < n; i++) {
        if (kd[i].type != MKT_PL_KEY_DATA)
            return refuse(r, pl, "TP Data: KEMAC with another payload than Key Data");
        const struct mkt_pl_key_data *d = &kd[i].u.key_data;
        r->p->wanted[r->p->n_wanted++] = (struct mkt_want_key){
            d->type, d->kv, (uint16_t)d->key.n, (uint16_t)d->salt.n, d->spi,
        };
    }
    return MKT_OK;
}

enum mkt_rc
mkt_policy_decode(struct mkt_policy *p, const struct mkt_pl_ticket *pl, bool ticket, size_t at,
                  struct mkt_err *err)
{
    const struct tp_reader r = { p, ticket, err };
    struct mkt_payload part[TP_PAYLOADS_MAX];
    size_t n = 0;

    *p = (struct mkt_policy){
        .ticket_type = pl->ticket_type,
        .subtype = pl->subtype,
        .version = pl->version,
        .prf = pl->prf,
        .flags = pl->flags,
        .res = pl->res,
    };
    struct mkt_reader rd = mkt_r_open(pl->tp_data, at, "TP Data", REF, err);
    uint16_t first = (uint16_t)mkt_r_uint(&rd, 1);
    if (mkt_chain_read(&rd, first, part, TP_PAYLOADS_MAX, &n) != MKT_OK)
        return err->rc;
    for (size_t i = 0; i < n && err->rc == MKT_OK; i++) {
        if (part[i].type == MKT_PL_IDR)
            read_idr(&r, &part[i]);
        else if (part[i].type == MKT_PL_TR)
            read_tr(&r, &part[i]);
        else if (part[i].type == MKT_PL_KEMAC)
            read_kemac(&r, &part[i]);
    }
    if (err->rc == MKT_OK && p->n_responders == 0)
        return mkt_fail(err, MKT_E_TP_PARAM, at, "TP Data: no IDRr", REF);
    return err->rc;
}

enum mkt_rc
mkt_policy_valid_at(const struct mkt_policy *p, uint64_t now, struct mkt_err *err)
{
    uint64_t t = mkt_ntp_order(now);
    if (p->start.has && t < mkt_ntp_order(p->start.value))
        return mkt_fail(err, MKT_E_TICKET_EXPIRED, 0, "TRs", REF);
    if (p->end.has && t > mkt_ntp_order(p->end.value))
        return mkt_fail(err, MKT_E_TICKET_EXPIRED, 0, "TRe", REF);
    return MKT_OK;
}
