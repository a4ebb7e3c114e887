/* SPDX-License-Identifier: Apache-2.0 */
/* From the wanted policy to the granted one, and the K flag that says they differ (6.10). */
#include "ticket/ticket.h"

#include <string.h>

#define REF "RFC 6043 6.10"

static enum mkt_rc
refuse(struct mkt_err *err, enum mkt_rc rc, const char *what)
{
    return mkt_fail(err, rc, 0, what, REF);
}

/* No KEMAC in the wish: one TGK without salt, the recommended default (4.2.1.5). */
static void
default_keys(struct mkt_policy *g, const struct mkt_suite *suite)
{
    if (g->has_kemac)
        return;
    g->n_wanted = 1;
    g->wanted[0] = (struct mkt_want_key){ .type = MKT_KEY_TGK, .key_len = suite->key_len };
}

static bool
with_salt(uint8_t type)
{
    return type == MKT_KEY_TGK_SALT || type == MKT_KEY_TEK_SALT || type == MKT_KEY_GTGK_SALT;
}

/* Checks one wanted key; an interval cannot be joined with the SPI that every key needs (6.2.1), so
 * an SPI is granted in its place, which is a change. */
static enum mkt_rc
grant_key(struct mkt_policy *g, size_t i, const struct mkt_suite *suite, bool *changed,
          struct mkt_err *err)
{
    struct mkt_want_key *k = &g->wanted[i];

    if (k->type > MKT_KEY_GTGK_SALT)
        return refuse(err, MKT_E_TP_PARAM, "KEMAC: only session keys can be requested");
    if (k->key_len < 16)
        return refuse(err, MKT_E_TP_PARAM, "KEMAC: key shorter than 128 bits (12.1)");
    if (k->key_len > suite->key_len)
        return refuse(err, MKT_E_TP_PARAM, "KEMAC: key longer than the suite's");
    if (with_salt(k->type) != (k->salt_len != 0) || k->salt_len > 32)
        return refuse(err, MKT_E_TP_PARAM, "KEMAC: salt length");
    if (k->kv == MKT_KV_INTERVAL) {
        k->kv = MKT_KV_NULL;
        *changed = true;
    }
    for (size_t j = 0; k->kv == MKT_KV_SPI && j < i; j++)
        if (g->wanted[j].kv == MKT_KV_SPI && g->wanted[j].spi.n == k->spi.n &&
            memcmp(g->wanted[j].spi.p, k->spi.p, k->spi.n) == 0)
            return refuse(err, MKT_E_TP_PARAM, "KEMAC: one SPI twice");
    return MKT_OK;
}

static enum mkt_rc
grant_keys(struct mkt_policy *g, const struct mkt_grant_rules *rules, const struct mkt_suite *suite,
           bool *changed, struct mkt_err *err)
{
    uint8_t most = rules->max_keys != 0 ? rules->max_keys : MKT_KEYS_MAX - 2;

    default_keys(g, suite);
    if (g->n_wanted > most || g->n_wanted > MKT_KEYS_MAX - 2)
        return refuse(err, MKT_E_TP_PARAM, "KEMAC: too many keys");
    for (size_t i = 0; i < g->n_wanted; i++)
        if (grant_key(g, i, suite, changed, err) != MKT_OK)
            return err->rc;
    return MKT_OK;
}

static bool
wants_tgk(const struct mkt_policy *p)
{
    for (size_t i = 0; i < p->n_wanted; i++)
        if (p->wanted[i].type == MKT_KEY_TGK || p->wanted[i].type == MKT_KEY_TGK_SALT)
            return true;
    return false;
}

/* Ambiguity 46: these three are repaired, every other contradiction was refused before. */
static uint16_t
grant_flags(const struct mkt_policy *g, const struct mkt_grant_rules *rules)
{
    uint16_t flags = g->flags;

    flags = (uint16_t)((flags & ~rules->clear_flags) | rules->set_flags);
    flags |= MKT_TP_D; /* the KMS makes this ticket */
    if (!rules->responder_has_tpk || g->n_responders != 1 ||
        g->ticket_type == MKT_TICKET_TYPE_REFERENCE) /* nobody else has its keys */
        flags |= MKT_TP_E;
    if ((flags & MKT_TP_I) != 0 && wants_tgk(g))
        flags |= MKT_TP_F;
    return flags;
}

/* A compatibility ticket has no choices that could be repaired. */
static enum mkt_rc
grant_compat(const struct mkt_policy *g, const struct mkt_grant_rules *rules, struct mkt_err *err)
{
    if (mkt_compat_policy_check(g, err) != MKT_OK)
        return err->rc;
    if (!rules->responder_has_tpk)
        return refuse(err, MKT_E_TP_PARAM, "IDRr shares no key for a compatibility ticket");
    if (g->n_wanted != 1 ||
        (g->wanted[0].type != MKT_KEY_TGK && g->wanted[0].type != MKT_KEY_TGK_SALT))
        return refuse(err, MKT_E_TP_PARAM, "KEMAC: a compatibility ticket has one TGK");
    return MKT_OK;
}

/* Bounds TRe - TRs (or TRe - now, when the ticket has no beginning). */
static void
grant_validity(struct mkt_policy *g, const struct mkt_grant_rules *rules, uint64_t now,
               bool *changed)
{
    if (rules->max_validity_s == 0)
        return;
    uint64_t from = g->start.has ? g->start.value : now;
    uint64_t last = (from & ~(uint64_t)UINT32_MAX) + ((uint64_t)rules->max_validity_s << 32);
    if (g->end.has && mkt_ntp_order(g->end.value) <= mkt_ntp_order(last))
        return;
    g->end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, last };
    *changed = true;
}

/* Another name than the authenticated one is replaced, and that is a change; adding one is not. */
static void
grant_identity(struct mkt_identity *id, struct mkt_identity ours, bool *changed)
{
    if (id->data.p != NULL && !mkt_identity_equal(*id, ours))
        *changed = true;
    *id = ours;
}

enum mkt_rc
mkt_policy_grant(struct mkt_policy *g, const struct mkt_policy *want,
                 const struct mkt_grant_rules *rules, struct mkt_identity requester,
                 struct mkt_identity kms, uint64_t now, struct mkt_err *err)
{
    const struct mkt_suite *suite = mkt_suite_of(want->prf);
    bool changed = false;

    *g = *want;
    g->flags &= (uint16_t)~MKT_TP_K; /* ignored in a TP */
    g->res = 0;
    const struct mkt_ticket_type *type = mkt_ticket_type_of_policy(want);
    if (type == NULL || (type->kind == MKT_TICKET_REFERENCE && !rules->keeps_keys))
        return refuse(err, MKT_E_TICKET_TYPE, "Ticket Type");
    if (suite == NULL)
        return refuse(err, MKT_E_PRF, "PRF Func");
    if (mkt_policy_check(g->flags, false, err) != MKT_OK ||
        grant_keys(g, rules, suite, &changed, err) != MKT_OK)
        return err->rc;
    if (type->kind != MKT_TICKET_COMPAT)
        g->flags = grant_flags(g, rules);
    grant_validity(g, rules, now, &changed);
    grant_identity(&g->initiator, requester, &changed);
    grant_identity(&g->kms, kms, &changed);
    if (changed || g->flags != (want->flags & ~MKT_TP_K))
        g->flags |= MKT_TP_K;
    if (g->end.has && mkt_ntp_order(g->end.value) < mkt_ntp_order(now))
        return refuse(err, MKT_E_TICKET_EXPIRED, "TRe");
    if (type->kind == MKT_TICKET_COMPAT && grant_compat(g, rules, err) != MKT_OK)
        return err->rc;
    return mkt_policy_check(g->flags, wants_tgk(g), err);
}
