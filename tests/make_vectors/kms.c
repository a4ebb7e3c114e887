/* SPDX-License-Identifier: Apache-2.0 */
/* The KMS of a vector: the library's KMS side, with tables of its own that are a few lines long. */
#include "run.h"

#include <stdio.h>
#include <string.h>

struct mkt_tpk
mv_tpk_of(const struct mv_run *r, enum mv_who owner)
{
    const struct mv_party *p = &r->party[owner];
    struct mkt_tpk tpk = { .key = &p->tpk.base };
    tpk.id = mkt_span(p->tpk_id, strlen(p->tpk_id));
    if (owner != MV_KMS)
        tpk.owner = p->id;
    return tpk;
}

static bool
may_resolve(const struct mv_run *r, enum mv_who who, const struct mkt_policy *p)
{
    for (size_t i = 0; i < p->n_responders; i++)
        if (mv_is(r, MV_GROUP) || mkt_identity_equal(p->responders[i], r->party[who].id))
            return true;
    return false;
}

static enum mkt_rc
kms_steps(struct mv_run *r, enum mv_who who, struct mkt_io *io)
{
    const struct mkt_kms_ask *ask = mkt_kms_ask(r->txn);
    struct mkt_identity client = r->party[who].id, kms = r->party[MV_KMS].id;
    struct mkt_inkey_mem other;
    const struct mkt_inkey *psk = &r->party[who].psk.base;
    struct mkt_policy granted;
    if (mv_is(r, MV_WRONG_KEY) && who == MV_RESPONDER) { /* the KMS knows another key */
        if (mkt_inkey_mem_init(&other, mkt_secret_span(&r->party[MV_RESPONDER].psk.key)) != MKT_OK)
            return MKT_E_MEMORY;
        other.key.b[0] ^= 1;
        psk = &other.base;
    }
    if (mkt_kms_begin(r->txn, io->in, &io->err) != MKT_OK ||
        mkt_kms_verify(r->txn, &r->env, psk, client, kms, &io->err) != MKT_OK)
        return io->err.rc;
    if (ask->resolve) {
        struct mkt_tpk tpk = mv_tpk_of(r, r->sc->mode == 3 ? MV_INITIATOR : MV_KMS);
        if (mkt_kms_open(r->txn, &r->env, &tpk, &io->err) != MKT_OK)
            return io->err.rc;
        if (!may_resolve(r, who, ask->policy))
            return MKT_E_NOT_AUTHORISED;
        (void)!mkt_kms_resolve(r->txn, &r->env, client, io);
        return io->err.rc;
    }
    struct mkt_tpk tpk = mv_tpk_of(r, r->sc->mode == 2 ? MV_RESPONDER : MV_KMS);
    if (mkt_policy_grant(&granted, ask->policy, &r->rules, client, kms, r->env.now, &io->err) ==
        MKT_OK)
        (void)!mkt_kms_issue(r->txn, &r->env, &granted, &tpk, mkt_span(NULL, 0), io);
    return io->err.rc;
}

/* The reason as the vectors have it: the registered name, and words. */
void
mv_note_reason(struct mv_run *r, enum mkt_rc rc)
{
    char text[160];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", mkt_error_no_name(mkt_wire_error(rc)));
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(text[i] == ' '                     ? '_'
                         : text[i] >= 'a' && text[i] <= 'z' ? text[i] - 'a' + 'A'
                                                            : text[i]);
    snprintf(text + n, sizeof text - n, ": %s", mkt_strerror(rc));
    json_object_set_new(r->outputs, "reason", json_string(text));
}

/* The KMS answers the last message: with `name`, or with an Error message. */
bool
mv_kms_answers(struct mv_run *r, enum mv_who who, const char *name, bool refuses)
{
    struct mkt_io io = mv_io(mv_last(r));
    enum mkt_rc rc = kms_steps(r, who, &io);
    if (refuses != (rc != MKT_OK))
        return mv_wrong(r, name, &io.err);
    if (refuses) {
        mv_note_reason(r, rc);
        io = mv_io(mv_last(r));
        (void)!mkt_kms_refuse(r->txn, &r->env, rc, &io);
        name = "ERROR";
    }
    mkt_kms_end(r->txn);
    return mv_sent(r, name, MV_KMS, who, &io);
}
