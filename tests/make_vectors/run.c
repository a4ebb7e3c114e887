/* SPDX-License-Identifier: Apache-2.0 */
/* The three parties of a vector, in memory. The roles make every message; nothing is made up here
 * but who they are and what they want. */
#include "run.h"

#include "keys/keys.h"

#include <stdio.h>
#include <string.h>

#define SKEW_S 300

static const uint8_t sp_128[] = { 0, 1, 1, 1, 1, 16, 2, 1, 1, 11, 1, 10 };
static const uint8_t sp_256[] = { 0, 1, 1, 1, 1, 32, 2, 1, 1, 11, 1, 10 };
static const uint8_t sp_gcm[] = { 0, 1, 6, 1, 1, 16, 4, 1, 12, 20, 1, 16 };

/* --- helpers ---------------------------------------------------------------------------------- */

bool
mv_wrong(struct mv_run *r, const char *where, const struct mkt_err *err)
{
    char why[256];
    mkt_err_format(err, why, sizeof why);
    fprintf(stderr, "mkt-make-vectors: %s-%s: %s: %s\n", r->sc->name, r->suite->name, where, why);
    return false;
}

struct mkt_io
mv_io(struct mkt_span in)
{
    static uint8_t out[MKT_MSG_MAX];
    return (struct mkt_io){ .in = in, .out = out, .cap = sizeof out };
}

bool
mv_sent(struct mv_run *r, const char *name, enum mv_who from, enum mv_who to,
        const struct mkt_io *io)
{
    struct mv_message *m = &r->msg[r->n];
    struct mkt_err err = { 0 };
    if (r->n == MV_MESSAGES_MAX || io->out_len == 0)
        return mv_wrong(r, name, &io->err);
    snprintf(m->name, sizeof m->name, "%s", name);
    m->from = from;
    m->to = to;
    m->octets = mv_keep(&r->rec, mkt_span(io->out, io->out_len));
    r->n++;
    return mkt_msg_parse(&m->m, m->octets, &err) == MKT_OK || mv_wrong(r, name, &err);
}

struct mkt_span
mv_last(const struct mv_run *r)
{
    return r->msg[r->n - 1].octets;
}

bool
mv_is(const struct mv_run *r, enum mv_extra extra)
{
    return r->sc->extra == extra;
}

static struct mkt_credential
credential(const struct mv_run *r, enum mv_who who)
{
    const struct mv_party *p = &r->party[who];
    return (struct mkt_credential){ .self = p->id,
                                    .kms = r->party[MV_KMS].id,
                                    .psk = &p->psk.base,
                                    .psk_id = mkt_span(p->psk_id, strlen(p->psk_id)),
                                    .ts_type = r->sc->ts_type };
}

/* --- the beginning ------------------------------------------------------------------------------
 */

static bool
make_key(struct mv_run *r, struct mkt_inkey_mem *key)
{
    uint8_t octets[32];
    mv_fill(&r->rec, octets, r->suite->key_len);
    return mkt_inkey_mem_init(key, mkt_span(octets, r->suite->key_len)) == MKT_OK;
}

static bool
make_parties(struct mv_run *r)
{
    static const struct mv_party who[MV_PARTIES] = {
        [MV_INITIATOR] = { .name = "initiator", .psk_id = "alice-psk", .tpk_id = "tpk-alice" },
        [MV_RESPONDER] = { .name = "responder", .psk_id = "bob-psk", .tpk_id = "tpk-bob" },
        [MV_THIRD] = { .name = "third", .psk_id = "desk-psk" },
        [MV_KMS] = { .name = "kms", .tpk_id = "tpk-kms" },
    };
    memcpy(r->party, who, sizeof who);
    r->party[MV_INITIATOR].id = mkt_uri("sip:alice@example.com");
    r->party[MV_RESPONDER].id = mkt_uri("sip:bob@example.com");
    r->party[MV_THIRD].id = mkt_uri("sip:bobs-desk@example.com");
    r->party[MV_KMS].id = mkt_uri("sip:kms@example.com");
    for (size_t i = 0; i < MV_PARTIES; i++)
        if ((r->party[i].psk_id != NULL && !make_key(r, &r->party[i].psk)) ||
            (r->party[i].tpk_id != NULL && !make_key(r, &r->party[i].tpk)))
            return false;
    return true;
}

static void
make_wish(struct mv_run *r)
{
    struct mkt_policy *p = &r->want;
    mkt_policy_init(p, r->prf);
    p->flags = 0;
    for (const char *c = r->sc->flags; *c != '\0'; c++)
        p->flags |= (uint16_t)(MKT_TP_D >> (*c - 'D'));
    p->start = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, (uint64_t)(MV_NOW - 60) << 32 };
    p->end = (struct mkt_time){ true, MKT_TS_NTP_UTC_32, (uint64_t)(MV_NOW + 3600) << 32 };
    p->responders[p->n_responders++] =
        mv_is(r, MV_GROUP) ? mkt_uri("sip:team@example.com") : r->party[MV_RESPONDER].id;
    if (mv_is(r, MV_TWO_ANSWERS))
        p->responders[p->n_responders++] = r->party[MV_THIRD].id;
    if (r->sc->mode >= 3) { /* nobody else fills these in */
        p->kms = r->party[MV_KMS].id;
        p->initiator = r->party[MV_INITIATOR].id;
    }
    p->has_kemac = r->sc->n_wanted != 0 || r->sc->none_wanted;
    for (size_t i = 0; i < r->sc->n_wanted; i++) {
        p->wanted[i] = r->sc->wanted[i];
        p->wanted[i].key_len = r->suite->key_len;
    }
    p->n_wanted = (uint8_t)r->sc->n_wanted;
}

/* --- the ticket ---------------------------------------------------------------------------------
 */

static void
set_key(struct mv_run *r, struct mkt_key *k, uint8_t type, uint8_t spi)
{
    *k = (struct mkt_key){
        .type = type, .kv = MKT_KV_SPI, .spi_len = 4, .spi = { 0xA0, 0, 0, spi }
    };
    k->key.n = r->suite->key_len;
    mv_fill(&r->rec, k->key.b, k->key.n);
    if (type == MKT_KEY_TGK_SALT || type == MKT_KEY_TEK_SALT) {
        k->salt.n = MKT_SALT_LEN;
        mv_fill(&r->rec, k->salt.b, k->salt.n);
    }
}

static bool
request(struct mv_run *r)
{
    struct mkt_io io = mv_io(mkt_span(NULL, 0));
    if (mkt_initiator_request(r->initiator, &r->env, &r->want, &io) != MKT_NEXT_SEND_KMS)
        return mv_wrong(r, "REQUEST_INIT", &io.err);
    if (!mv_sent(r, "REQUEST_INIT", MV_INITIATOR, MV_KMS, &io) ||
        !mv_kms_answers(r, MV_INITIATOR, "REQUEST_RESP", false))
        return false;
    io = mv_io(mv_last(r));
    return mkt_initiator_granted(r->initiator, &r->env, &io, &r->grant) == MKT_NEXT_DONE ||
           mv_wrong(r, "REQUEST_RESP", &io.err);
}

static bool
make_ticket(struct mv_run *r)
{
    struct mkt_keys keys = { .n = 1 };
    const struct mkt_tpk tpk = mv_tpk_of(r, r->sc->mode == 3 ? MV_INITIATOR : MV_RESPONDER);
    set_key(r, &keys.k[0], MKT_KEY_TGK, 1);
    const struct mkt_own_ticket own = { .policy = &r->want,
                                        .tpk = tpk.key,
                                        .tpk_id = tpk.id,
                                        .keys = &keys,
                                        .ts_type = r->sc->ts_type };
    enum mkt_rc rc = mkt_grant_create(&r->grant, &r->env, &own, &r->err);
    mkt_keys_wipe(&keys);
    return rc == MKT_OK || mv_wrong(r, "ticket", &r->err);
}

static bool
get_ticket(struct mv_run *r)
{
    char flags[13];
    if (!(r->sc->mode <= 2 ? request(r) : make_ticket(r)))
        return false;
    mkt_policy_flags_format(mkt_grant_policy(r->grant)->flags, flags);
    json_object_set_new(r->outputs, "granted_flags", json_string(flags));
    return true;
}

/* --- the transfer -------------------------------------------------------------------------------
 */

static struct mkt_pl_sp
policy_of(const struct mv_run *r)
{
    return (struct mkt_pl_sp){ 0, MKT_PROT_SRTP,
                               r->prf == MKT_PRF_HMAC_SHA_256 ? mkt_span(sp_256, sizeof sp_256)
                                                              : mkt_span(sp_128, sizeof sp_128) };
}

static bool
offer(struct mv_run *r, const char *name, enum mv_who to, struct mkt_span group_of)
{
    const struct mkt_keys *granted = mkt_grant_keys(r->grant);
    const struct mkt_key *k = &granted->k[granted->n - 1];
    struct mkt_keys own = { .n = 0 };
    struct mkt_offer_cs cs[2];
    const struct mkt_pl_sp sp = policy_of(r);
    struct mkt_io io = mv_io(mkt_span(NULL, 0));
    if (mv_is(r, MV_INITIATOR_KEYS)) {
        own.n = 1;
        set_key(r, &own.k[0], MKT_KEY_TEK_SALT, 2);
    }
    for (size_t i = 0; i < 2; i++) {
        cs[i] = (struct mkt_offer_cs){ .cs_id = (uint8_t)(i + 1), .n_policies = 1 };
        if ((mkt_grant_policy(r->grant)->flags & MKT_TP_F) != 0)
            continue;
        cs[i].has_ssrc = true; /* nobody fills it in (6.1.1) */
        cs[i].ssrc = 0xCAFEBA00U + (uint32_t)i;
        cs[i].spi = mkt_span(k->spi, k->spi_len);
    }
    const struct mkt_offer o = { .responder = mv_is(r, MV_GROUP) ? mkt_uri("sip:team@example.com")
                                                                 : r->party[MV_RESPONDER].id,
                                 .ts_type = r->sc->ts_type,
                                 .cs = cs,
                                 .n_cs = 2,
                                 .sp = &sp,
                                 .n_sp = 1,
                                 .keys = own.n != 0 ? &own : NULL,
                                 .group_of = group_of };
    enum mkt_next next = mkt_initiator_offer(r->initiator, &r->env, r->grant, &o, &io);
    mkt_keys_wipe(&own);
    if (next != MKT_NEXT_SEND_PEER)
        return mv_wrong(r, name, &io.err);
    return mv_sent(r, name, MV_INITIATOR, to, &io);
}

static bool
take_offer(struct mv_run *r, enum mv_who who, struct mkt_span octets)
{
    const struct mkt_credential cred = credential(r, who);
    struct mkt_io io = mv_io(octets);
    mkt_responder_free(r->responder);
    r->responder = mkt_responder_new(&cred);
    if (r->responder == NULL)
        return mv_wrong(r, "memory", &io.err);
    return mkt_responder_offered(r->responder, &r->env, SKEW_S, &io) == MKT_NEXT_ASK ||
           mv_wrong(r, "TRANSFER_INIT", &io.err);
}

static struct mkt_csb **
csb_place(struct mkt_csb **kept, struct mkt_csb **other)
{
    return *kept == NULL ? kept : other;
}

/* The answer goes out and is taken, or there is none. */
static bool
finish(struct mv_run *r, const char *name, enum mv_who who, enum mkt_next next,
       const struct mkt_io *made)
{
    struct mkt_csb *second = NULL, **place = csb_place(&r->csb_i, &second);
    struct mkt_io io;
    bool ok;
    if (next == MKT_NEXT_ABORT)
        return mv_wrong(r, name, &made->err);
    if (next == MKT_NEXT_DONE) {
        ok = mkt_initiator_established(r->initiator, &r->env, place, &r->err) == MKT_OK ||
             mv_wrong(r, "established", &r->err);
    } else {
        if (!mv_sent(r, name, who, MV_INITIATOR, made))
            return false;
        io = mv_io(mv_last(r));
        ok = mkt_initiator_answered(r->initiator, &r->env, &io, place) == MKT_NEXT_DONE ||
             mv_wrong(r, name, &io.err);
    }
    mkt_csb_free(second);
    return ok;
}

static bool
answer(struct mv_run *r, enum mv_who who, struct mkt_span offered, const char *suffix)
{
    struct mkt_keys own = { .n = 0 };
    struct mkt_choose_cs cs[2];
    struct mkt_choice choice = { .cs = NULL };
    struct mkt_csb *second = NULL, **place = csb_place(&r->csb_r, &second);
    char resolve[32], resolved[32], name[32];
    struct mkt_io io = mv_io(mkt_span(NULL, 0));
    enum mkt_next next;
    snprintf(resolve, sizeof resolve, "RESOLVE_INIT%s", suffix);
    snprintf(resolved, sizeof resolved, "RESOLVE_RESP%s", suffix);
    snprintf(name, sizeof name, "TRANSFER_RESP%s", suffix);
    if (mv_is(r, MV_RESPONDER_KEYS)) {
        own.n = 1;
        set_key(r, &own.k[0], MKT_KEY_TEK_SALT, 3);
        for (size_t i = 0; i < 2; i++)
            cs[i] = (struct mkt_choose_cs){ .cs_id = (uint8_t)(i + 1),
                                            .spi = mkt_span(own.k[0].spi, own.k[0].spi_len) };
        choice = (struct mkt_choice){ .cs = cs, .n_cs = 2, .keys = &own };
    }
    if (!take_offer(r, who, offered))
        return false;
    if (r->resolution != NULL) {
        next = mkt_responder_reuse(r->responder, &r->env, &choice, r->resolution, &io, place);
    } else if (r->sc->mode == 2 || r->sc->mode == 4) {
        next = mkt_responder_open(r->responder, &r->env, &choice, &r->party[MV_RESPONDER].tpk.base,
                                  &io, place);
    } else {
        bool refused = mv_is(r, MV_WRONG_KEY) || mv_is(r, MV_NOT_NAMED);
        next = mkt_responder_accept(r->responder, &r->env, &choice, &io);
        if (next != MKT_NEXT_SEND_KMS)
            return mv_wrong(r, resolve, &io.err);
        if (!mv_sent(r, resolve, who, MV_KMS, &io) || !mv_kms_answers(r, who, resolved, refused))
            return false;
        if (refused)
            return true;
        io = mv_io(mv_last(r));
        next = mkt_responder_resolved(r->responder, &r->env, &io, place);
    }
    mkt_keys_wipe(&own);
    mkt_csb_free(second);
    return finish(r, name, who, next, &io);
}

/* --- what came of it ----------------------------------------------------------------------------
 */

/* Session keys of both ends; `steps`: also as steps. */
static bool
note_sessions(struct mv_run *r, const char *key, bool steps)
{
    json_t *all = json_object();
    json_object_set_new(r->outputs, key, all);
    for (size_t i = 0; i < mkt_csb_count(r->csb_i); i++) {
        struct mkt_secret tek[2] = { { 0 }, { 0 } }, salt[2] = { { 0 }, { 0 } }; /* published */
        struct mkt_session s;
        char id[8];
        if (mkt_csb_session(r->csb_i, i, &s) != MKT_OK ||
            mkt_csb_derive(r->csb_i, r->env.crypto, i, &tek[0], &salt[0], &r->err) != MKT_OK ||
            mkt_csb_derive(r->csb_r, r->env.crypto, i, &tek[1], &salt[1], &r->err) != MKT_OK)
            return mv_wrong(r, key, &r->err);
        if (tek[0].n != tek[1].n || memcmp(tek[0].b, tek[1].b, tek[0].n) != 0 ||
            salt[0].n != salt[1].n || memcmp(salt[0].b, salt[1].b, salt[0].n) != 0)
            return mv_wrong(r, "the two ends have different keys", &r->err);
        snprintf(id, sizeof id, "%u", s.cs_id);
        json_object_set_new(all, id,
                            json_pack("{s:o, s:o}", "TEK", mv_hex(mkt_secret_span(&tek[0])),
                                      "salt_key", mv_hex(mkt_secret_span(&salt[0]))));
        if (steps)
            mv_session(&r->rec, s.cs_id, mkt_secret_span(&tek[0]), mkt_secret_span(&salt[0]));
    }
    return true;
}

static bool
note_call(struct mv_run *r)
{
    char text[128];
    struct mkt_span id = mkt_csb_peer(r->csb_i).data;
    if (!note_sessions(r, "session_keys", true))
        return false;
    snprintf(text, sizeof text, "uri:%.*s", (int)id.n, (const char *)id.p);
    json_object_set_new(r->outputs, "identity_r", json_string(text));
    return true;
}

/* --- what comes after ---------------------------------------------------------------------------
 */

static bool
again(struct mv_run *r, enum mv_who who, struct mkt_span group_of)
{
    mkt_csb_free(r->csb_i);
    mkt_csb_free(r->csb_r);
    r->csb_i = r->csb_r = NULL;
    return offer(r, "TRANSFER_INIT#2", MV_RESPONDER, group_of) && answer(r, who, mv_last(r), "#2");
}

static bool
reuse(struct mv_run *r)
{
    r->resolution = mkt_responder_take_resolution(r->responder);
    return again(r, MV_RESPONDER, mkt_span(NULL, 0)) && note_sessions(r, "session_keys_2", false);
}

static bool
update(struct mv_run *r, bool by_initiator, bool refused)
{
    struct mkt_csb *from = by_initiator ? r->csb_i : r->csb_r;
    struct mkt_csb *to = by_initiator ? r->csb_r : r->csb_i;
    enum mv_who one = by_initiator ? MV_INITIATOR : MV_RESPONDER;
    enum mv_who two = by_initiator ? MV_RESPONDER : MV_INITIATOR;
    const struct mkt_pl_sp sp = policy_of(r);
    const struct mkt_choice choice = { .cs = NULL };
    struct mkt_keys keys = { .n = 1 };
    struct mkt_offer_cs cs[2];
    struct mkt_io io = mv_io(mkt_span(NULL, 0));
    set_key(r, &keys.k[0], MKT_KEY_TGK_SALT, 7);
    for (size_t i = 0; i < 2; i++) /* session 1 gets the new key, session 3 is new */
        cs[i] = (struct mkt_offer_cs){ .cs_id = (uint8_t)(2 * i + 1),
                                       .n_policies = 1,
                                       .has_ssrc = true,
                                       .ssrc = 0x0A0B0C00U + (uint32_t)i,
                                       .spi = mkt_span(keys.k[0].spi, keys.k[0].spi_len) };
    const struct mkt_update u = {
        .cs = cs, .n_cs = 2, .sp = &sp, .n_sp = 1, .keys = &keys, .answer = true
    };
    enum mkt_next next = mkt_csb_update(from, &r->env, &u, &io);
    mkt_keys_wipe(&keys);
    if (next != MKT_NEXT_SEND_PEER)
        return mv_wrong(r, "update", &io.err);
    if (!mv_sent(r, "TRANSFER_INIT#update1", one, two, &io))
        return false;
    io = mv_io(mv_last(r));
    if (mkt_csb_update_offered(to, &r->env, SKEW_S, &io) != MKT_NEXT_ASK)
        return mv_wrong(r, "update offered", &io.err);
    io = mv_io(mkt_span(NULL, 0));
    if (refused) {
        mv_note_reason(r, MKT_E_SP_PARAM);
        (void)!mkt_csb_update_refuse(to, &r->env, MKT_E_SP_PARAM, &sp, 1, &io);
        return mv_sent(r, "ERROR", two, one, &io);
    }
    if (mkt_csb_update_accept(to, &r->env, &choice, &io) != MKT_NEXT_SEND_PEER)
        return mv_wrong(r, "update accepted", &io.err);
    if (!mv_sent(r, "TRANSFER_RESP#update1", two, one, &io))
        return false;
    io = mv_io(mv_last(r));
    if (mkt_csb_updated(from, &r->env, &io) != MKT_NEXT_DONE)
        return mv_wrong(r, "updated", &io.err);
    return note_sessions(r, "session_keys_update1", false);
}

static bool
refuse_offer(struct mv_run *r)
{
    const struct mkt_pl_sp gcm = { 0, MKT_PROT_SRTP, mkt_span(sp_gcm, sizeof sp_gcm) };
    struct mkt_io io = mv_io(mkt_span(NULL, 0));
    if (!take_offer(r, MV_RESPONDER, mv_last(r)))
        return false;
    mv_note_reason(r, MKT_E_SP_PARAM);
    (void)!mkt_responder_refuse(r->responder, &r->env, MKT_E_SP_PARAM, &gcm, 1, &io);
    return mv_sent(r, "ERROR", MV_RESPONDER, MV_INITIATOR, &io);
}

static bool
play(struct mv_run *r)
{
    enum mv_who to = mv_is(r, MV_NOT_NAMED) ? MV_THIRD : MV_RESPONDER;
    if (!get_ticket(r) || !offer(r, "TRANSFER_INIT", to, mkt_span(NULL, 0)))
        return false;
    struct mkt_span init = mv_last(r);
    if (mv_is(r, MV_SP_REFUSED))
        return refuse_offer(r);
    if (!answer(r, to, init, ""))
        return false;
    if (r->csb_i == NULL) /* refused by the KMS */
        return true;
    if (!note_call(r))
        return false;
    switch (r->sc->extra) {
    case MV_TWO_ANSWERS:
        return answer(r, MV_THIRD, init, "#2");
    case MV_REUSE:
        return reuse(r);
    case MV_GROUP:
        return again(r, MV_THIRD, init);
    case MV_UPDATE_BY_INITIATOR:
    case MV_UPDATE_BY_RESPONDER:
        return update(r, r->sc->extra == MV_UPDATE_BY_INITIATOR, false);
    case MV_UPDATE_REFUSED:
        return update(r, true, true);
    default:
        return true;
    }
}

/* FNV-1a of the name: each vector has values of its own, whatever the order they are made in. */
static uint64_t
seed_of(const char *name, uint8_t prf)
{
    uint64_t h = 0xCBF29CE484222325 ^ prf;
    for (; *name != '\0'; name++)
        h = (h ^ (uint8_t)*name) * 0x100000001B3;
    return h;
}

bool
mv_play(struct mv_run *r, const struct mv_scenario *sc, uint8_t prf, struct mkt_crypto *crypto)
{
    memset(r, 0, sizeof *r);
    r->sc = sc;
    r->prf = prf;
    r->suite = mkt_suite_of(prf);
    r->outputs = json_object();
    mv_record_begin(&r->rec, seed_of(sc->name, prf), (uint64_t)MV_NOW << 32);
    r->env = mv_env(&r->rec, crypto);
    r->rules = (struct mkt_grant_rules){ .max_validity_s = sc->max_validity,
                                         .responder_has_tpk = sc->mode == 2 };
    if (!make_parties(r))
        return mv_wrong(r, "parties", &r->err);
    make_wish(r);
    const struct mkt_credential cred = credential(r, MV_INITIATOR);
    r->initiator = mkt_initiator_new(&cred);
    r->txn = mkt_kms_txn_new();
    if (r->initiator == NULL || r->txn == NULL || !play(r))
        return false;
    mv_name_steps(r);
    return true;
}

void
mv_free(struct mv_run *r)
{
    mkt_csb_free(r->csb_i);
    mkt_csb_free(r->csb_r);
    mkt_responder_free(r->responder);
    mkt_initiator_free(r->initiator);
    mkt_resolution_free(r->resolution);
    mkt_grant_free(r->grant);
    mkt_kms_txn_free(r->txn);
    for (size_t i = 0; i < MV_PARTIES; i++) {
        mkt_inkey_mem_wipe(&r->party[i].psk);
        mkt_inkey_mem_wipe(&r->party[i].tpk);
    }
    json_decref(r->outputs);
    mv_record_end(&r->rec);
}
