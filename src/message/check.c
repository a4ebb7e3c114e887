/* SPDX-License-Identifier: Apache-2.0 */
/* Tests a parsed message against the tables: map, number and order of payloads, and the framing of
 * what is nested in TP and TICKET. Repeated payloads are refused, because two parties that each
 * picked another one of them would disagree without noticing. */
#include "message/message.h"
#include "message/rules.h"

/* A set of 8-bit numbers. True when it was in already. */
static bool
seen_before(uint32_t set[8], uint8_t number)
{
    uint32_t bit = 1U << (number % 32);
    bool was = (set[number / 32] & bit) != 0;
    set[number / 32] |= bit;
    return was;
}

enum { MAP_AT = 8, MAP_INFO_AT = 10 }; /* octets of the header, RFC 3830 6.1 */

static enum mkt_rc
map_check(const struct mkt_form *form, const struct mkt_msg *m, struct mkt_err *err)
{
    const struct mkt_hdr *h = &m->hdr;
    if (form->map == MKT_MAP_MUST_BE_EMPTY && h->n_cs != 0)
        return mkt_fail(err, MKT_E_MAP, MAP_AT, "HDR #CS", form->map_ref);
    if ((form->map == MKT_MAP_MUST_BE_EMPTY && h->map_type != MKT_MAP_EMPTY) ||
        (form->map == MKT_MAP_NOT_SRTP_ID && h->map_type == MKT_MAP_SRTP_ID))
        return mkt_fail(err, MKT_E_MAP, MAP_AT + 1, "HDR CS ID map type", form->map_ref);
    uint32_t set[8] = { 0 };
    struct mkt_map_iter it;
    struct mkt_cs cs;
    mkt_map_begin(&it, h);
    for (size_t at = MAP_INFO_AT; mkt_map_next(&it, &cs); at = MAP_INFO_AT + h->map.n - it.rest.n)
        if (seen_before(set, cs.cs_id))
            return mkt_fail(err, MKT_E_FIELD, at, "HDR CS ID, given twice", "RFC 6043 6.1.1");
    return MKT_OK;
}

static size_t
rule_of(const struct mkt_form *form, const struct mkt_payload *pl)
{
    uint8_t role = mkt_payload_role(pl);
    size_t i = 0;
    while (i < form->n && (form->rule[i].type != pl->type || form->rule[i].role != role))
        i++;
    return i;
}

/* Every payload that has a row occurs neither too often nor before what must be last. */
static enum mkt_rc
count(const struct mkt_form *form, const struct mkt_msg *m, uint8_t *counts, struct mkt_err *err)
{
    uint32_t policies[8] = { 0 };
    for (const struct mkt_payload *pl = m->pl; pl < m->pl + m->n; pl++) {
        size_t i = rule_of(form, pl);
        /* A V has no business before the end, even where SIGN has its place. Nothing follows a
         * SIGN: it has no Next Payload. */
        if (pl->type == MKT_PL_V && pl + 1 != m->pl + m->n)
            return mkt_fail(err, MKT_E_PAYLOAD_ORDER, pl[1].at, "V", "RFC 3830 5.2");
        if (i == form->n)
            continue; /* not listed: ignored, RFC 6043 4.2.1.4 and its like */
        const struct mkt_rule *rule = &form->rule[i];
        if (counts[i] == rule->max)
            return mkt_fail(err, MKT_E_EXTRA_PAYLOAD, pl->at, rule->what, rule->ref);
        counts[i]++;
        if (pl->type == MKT_PL_SP && seen_before(policies, pl->u.sp.policy_no))
            return mkt_fail(err, MKT_E_EXTRA_PAYLOAD, pl->at, "SP with that Policy no",
                            "RFC 3830 6.10");
    }
    return MKT_OK;
}

enum mkt_rc
mkt_form_check(const struct mkt_form *form, const struct mkt_msg *m, struct mkt_err *err)
{
    uint8_t counts[MKT_RULES_MAX] = { 0 };
    if (map_check(form, m, err) != MKT_OK || count(form, m, counts, err) != MKT_OK)
        return err->rc;
    for (size_t i = 0; i < form->n; i++)
        if (counts[i] < form->rule[i].min)
            return mkt_fail(err, MKT_E_MISSING_PAYLOAD, m->octets.n, form->rule[i].what,
                            form->rule[i].ref);
    return MKT_OK;
}

/* Reads a nested chain and forgets it: only its framing matters here. */
static enum mkt_rc
framing_check(uint16_t first, struct mkt_span octets, size_t at, struct mkt_err *err)
{
    struct mkt_reader r = mkt_r_open(octets, at, NULL, NULL, err);
    struct mkt_payload pl;
    size_t n = 0;
    for (uint16_t type = first; type != MKT_PL_LAST; type = pl.next) {
        if (++n > MKT_PAYLOADS_MAX)
            return mkt_fail(err, MKT_E_TOO_MANY, r.at, "nested payloads", "RFC 6043 6.10");
        if (mkt_pl_read(&r, type, &pl) != MKT_OK)
            return err->rc;
    }
    r.what = "end of the nested payloads";
    r.ref = "RFC 6043 6.10";
    return mkt_r_end(&r);
}

/* TP Data and Initiator Data begin with an octet that names their first payload. */
static enum mkt_rc
named_check(struct mkt_span octets, size_t at, struct mkt_err *err)
{
    return framing_check(octets.p[0], mkt_span(octets.p + 1, octets.n - 1), at + 1, err);
}

bool
mkt_is_base_ticket(const struct mkt_pl_ticket *t)
{
    return t->ticket_type == MKT_TICKET_TYPE_BASE && t->subtype == 1 && t->version == 1;
}

static enum mkt_rc
ticket_check(const struct mkt_msg *m, const struct mkt_payload *pl, struct mkt_err *err)
{
    const struct mkt_pl_ticket *t = &pl->u.ticket;
    const uint8_t *start = m->octets.p;
    if (named_check(t->tp_data, (size_t)(t->tp_data.p - start), err) != MKT_OK ||
        pl->type == MKT_PL_TP)
        return err->rc;
    if (mkt_is_base_ticket(t) && framing_check(MKT_PL_THDR, t->ticket_data,
                                               (size_t)(t->ticket_data.p - start), err) != MKT_OK) {
        err->rc = MKT_E_TICKET; /* a damaged ticket has its own Error no, RFC 6043 6.9 */
        return err->rc;
    }
    return t->initiator_data.n == 0
               ? MKT_OK
               : named_check(t->initiator_data, (size_t)(t->initiator_data.p - start), err);
}

static enum mkt_rc
check(const struct mkt_msg *m, const struct mkt_form *form, struct mkt_err *err)
{
    if (form == NULL)
        return mkt_fail(err, MKT_E_DATA_TYPE, 1, "HDR data type", "RFC 6043 6.1");
    if (mkt_form_check(form, m, err) != MKT_OK)
        return err->rc;
    for (const struct mkt_payload *pl = m->pl; pl < m->pl + m->n; pl++)
        if ((pl->type == MKT_PL_TP || pl->type == MKT_PL_TICKET) && rule_of(form, pl) < form->n &&
            ticket_check(m, pl, err) != MKT_OK)
            return err->rc;
    return MKT_OK;
}

enum mkt_rc
mkt_msg_check(const struct mkt_msg *m, struct mkt_err *err)
{
    return check(m, mkt_form_of(m->hdr.data_type), err);
}

enum mkt_rc
mkt_msg_check_update(const struct mkt_msg *m, struct mkt_err *err)
{
    return check(m, mkt_form_of_update(m->hdr.data_type), err);
}
