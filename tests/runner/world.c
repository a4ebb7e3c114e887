/* SPDX-License-Identifier: Apache-2.0 */
/* The parties of a vector and its KMS. The KMS here does what a daemon does around the library:
 * it looks keys up, checks clock and replay, grants by rules and knows the members of groups. */
#include "world.h"

#include <string.h>

/* A span of the library is equal to another; absent is equal to absent. */
static bool
equal(struct mkt_span a, struct mkt_span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct mkt_identity
rn_identity_of(struct rn *r, const char *text)
{
    static const struct {
        const char *prefix;
        uint8_t type;
    } kinds[] = { { "nai:", MKT_ID_NAI }, { "uri:", MKT_ID_URI }, { "hex:", MKT_ID_BYTES } };
    for (size_t i = 0; i < 3; i++) {
        if (strncmp(text, kinds[i].prefix, 4) != 0)
            continue;
        struct mkt_span data = kinds[i].type == MKT_ID_BYTES ? rn_hex_text(r, text, text + 4)
                                                             : mkt_span(text + 4, strlen(text + 4));
        return (struct mkt_identity){ kinds[i].type, data };
    }
    rn_fail(r, text, "is not an identity");
    return (struct mkt_identity){ 0 };
}

static void
load_key(struct rn *r, json_t *keys, const char *name, struct mkt_inkey_mem *key)
{
    struct mkt_span octets = rn_hex(r, keys, name);
    if (mkt_inkey_mem_init(key, octets) != MKT_OK)
        rn_fail(r, name, "is no key: %zu octets", octets.n);
}

static void
load_parties(struct rn *r, struct rn_world *w, json_t *inputs)
{
    json_t *item, *identities = rn_obj(r, inputs, "identities"), *keys = rn_obj(r, inputs, "keys");
    json_t *psk_ids = rn_obj(r, inputs, "psk_ids");
    const char *name;
    json_object_foreach(identities, name, item)
    {
        if (w->n_party == RN_PARTIES)
            break; /* the others stay unread, which is a fault */
        struct rn_party *p = &w->party[w->n_party++];
        item = rn_obj(r, identities, name);
        p->name = name;
        p->id.type = (uint8_t)rn_num(r, item, "type");
        p->id.data = rn_hex(r, item, "data");
        struct mkt_identity text = rn_identity_of(r, rn_str(r, item, "text"));
        if (!mkt_identity_equal(p->id, text))
            rn_fail(r, name, "text of the identity is another one");
        const char *key = rn_name(r, "psk_%s", name);
        if (json_object_get(keys, key) != NULL)
            load_key(r, keys, key, &p->psk);
        if (json_object_get(psk_ids, name) != NULL)
            p->psk_id = rn_hex(r, psk_ids, name);
        if (strcmp(name, "kms") == 0)
            w->kms = p;
    }
    if (w->kms == NULL)
        rn_fail(r, "identities", "no KMS");
}

/* TPKs: the KMS's own, and those it shares with a user (RFC 6043 4.1.1). */
static void
load_tpks(struct rn *r, struct rn_world *w, json_t *inputs)
{
    json_t *item, *keys = rn_obj(r, inputs, "keys"), *ids = rn_obj(r, inputs, "tpk_ids");
    const char *name;
    json_object_foreach(ids, name, item)
    {
        if (w->n_tpk == RN_PARTIES)
            break; /* the others stay unread, which is a fault */
        struct rn_tpk *t = &w->tpk[w->n_tpk++];
        t->name = name;
        if (!json_is_null(rn_get(r, ids, name)))
            t->id = rn_identity_of(r, rn_str(r, ids, name)).data;
        load_key(r, keys, rn_name(r, "tpk_%s", name), &t->key);
        if (strcmp(name, w->kms->name) == 0)
            w->own = t;
        else
            t->owner = rn_party_named(r, w, name)->id;
    }
    if (w->own == NULL)
        rn_fail(r, "tpk_ids", "the KMS has no TPK of its own");
}

/* Another KMS: the messages have a sender who is none of the identities. */
static void
load_peer(struct rn *r, struct rn_world *w, json_t *peer)
{
    size_t i;
    json_t *item;
    if (peer == NULL || w->n_party == RN_PARTIES)
        return;
    struct rn_party *p = &w->party[w->n_party];
    p->id = rn_identity_of(r, rn_str(r, peer, "identity"));
    p->psk_id = rn_hex(r, peer, "psk_id");
    load_key(r, peer, "psk", &p->psk);
    json_array_foreach(json_object_get(r->doc.root, "messages"), i, item)
    {
        const char *from = json_string_value(json_object_get(item, "from"));
        bool known = from == NULL;
        for (size_t k = 0; k < w->n_party && !known; k++)
            known = strcmp(w->party[k].name, from) == 0;
        if (!known)
            p->name = from;
    }
    if (p->name == NULL) {
        rn_fail(r, "inter_kms", "sends no message");
        return;
    }
    w->n_party++;
    w->peer = p;
}

static uint16_t
flags_of(struct rn *r, const char *letters)
{
    uint16_t flags = 0;
    for (; *letters != 0; letters++) {
        if (*letters < 'D' || *letters > 'O')
            rn_fail(r, "rules", "there is no flag %c", *letters);
        else
            flags |= (uint16_t)(MKT_TP_D >> (*letters - 'D'));
    }
    return flags;
}

static void
load_settings(struct rn *r, struct rn_world *w, json_t *settings)
{
    json_t *rules = rn_get(r, settings, "rules"), *opts = rn_get(r, settings, "opts");
    w->default_keys = 1;
    if (rules != NULL) {
        w->rules.max_validity_s = (uint32_t)rn_num(r, rules, "max_validity");
        w->rules.clear_flags = flags_of(r, rn_str(r, rules, "clear_flags"));
        w->rules.set_flags = flags_of(r, rn_str(r, rules, "set_flags"));
        w->rules.max_keys = (uint8_t)rn_num(r, rules, "max_keys");
        w->default_keys = rn_num(r, rules, "default_keys");
        w->default_salt = rn_bool(r, rules, "default_salt");
    }
    if (opts != NULL && json_object_get(opts, "adjust_identity") != NULL)
        w->adjust = rn_bool(r, opts, "adjust_identity");
    w->groups = rn_get(r, settings, "groups");
    const char *group;
    json_t *members;
    json_object_foreach(w->groups, group, members) rn_list(r, w->groups, group);
}

void
rn_world_load(struct rn *r, struct rn_world *w, json_t *inputs)
{
    *w = (struct rn_world){ .txn = mkt_kms_txn_new() };
    if (w->txn == NULL)
        rn_fail(r, "KMS", "out of memory");
    if (strcmp(rn_str(r, inputs, "suite"), rn_str(r, r->doc.root, "suite")) != 0)
        rn_fail(r, "suite", "inputs and vector are of different suites");
    rn_pki_load(r, &w->pki, inputs);
    w->now = rn_hex_num(r, inputs, "clock_ntp_seconds") << 32;
    load_parties(r, w, inputs);
    if (w->kms == NULL)
        return;
    load_tpks(r, w, inputs);
    load_peer(r, w, rn_get(r, inputs, "inter_kms"));
    if (json_object_get(inputs, "settings") != NULL)
        load_settings(r, w, rn_obj(r, inputs, "settings"));
    else
        w->default_keys = 1;
}

void
rn_world_free(struct rn_world *w)
{
    mkt_kms_txn_free(w->txn);
    rn_pki_free(&w->pki);
    for (size_t i = 0; i < w->n_party; i++)
        mkt_inkey_mem_wipe(&w->party[i].psk);
    for (size_t i = 0; i < w->n_tpk; i++)
        mkt_inkey_mem_wipe(&w->tpk[i].key);
}

const struct rn_party *
rn_party_named(struct rn *r, const struct rn_world *w, const char *name)
{
    for (size_t i = 0; i < w->n_party; i++)
        if (strcmp(w->party[i].name, name) == 0)
            return &w->party[i];
    rn_fail(r, name, "is not a party");
    return &w->party[0];
}

const struct rn_party *
rn_party_with(const struct rn_world *w, struct mkt_identity id)
{
    for (size_t i = 0; i < w->n_party; i++)
        if (mkt_identity_equal(w->party[i].id, id))
            return &w->party[i];
    return NULL;
}

const struct rn_tpk *
rn_tpk_with(const struct rn_world *w, struct mkt_span id)
{
    for (size_t i = 0; i < w->n_tpk; i++)
        if (w->tpk[i].id.n != 0 && equal(w->tpk[i].id, id))
            return &w->tpk[i];
    return NULL;
}

const struct rn_tpk *
rn_tpk_of(const struct rn_world *w, struct mkt_identity owner)
{
    for (size_t i = 0; i < w->n_tpk; i++)
        if (mkt_identity_equal(w->tpk[i].owner, owner))
            return &w->tpk[i];
    return NULL;
}

bool
rn_replayed(struct rn *r, struct rn_world *w, struct mkt_span fingerprint)
{
    for (size_t i = 0; i < w->n_seen; i++)
        if (equal(w->seen[i], fingerprint))
            return true;
    uint8_t *copy = rn_alloc(r, fingerprint.n);
    if (fingerprint.n != 0)
        memcpy(copy, fingerprint.p, fingerprint.n);
    if (w->n_seen < RN_SEEN_MAX)
        w->seen[w->n_seen++] = mkt_span(copy, fingerprint.n);
    return false;
}

bool
rn_stale(const struct rn_world *w, const struct mkt_time *t)
{
    if (!t->has || t->type == MKT_TS_COUNTER)
        return false;
    int64_t off = mkt_ntp_to_unix(t->value) - mkt_ntp_to_unix(w->now);
    return off > RN_SKEW_S || off < -RN_SKEW_S;
}

/* --- the KMS -------------------------------------------------------------------------------- */

/* The client's credential: by IDRpsk when it is given, else by identity. */
const struct rn_party *
rn_client_of(const struct rn_world *w, const struct mkt_kms_ask *ask)
{
    for (size_t i = 0; i < w->n_party; i++) {
        const struct rn_party *p = &w->party[i];
        if (p->psk.key.n != 0 &&
            (ask->psk_id.data.p != NULL ? equal(p->psk_id, ask->psk_id.data)
                                        : mkt_identity_equal(p->id, ask->client)))
            return p;
    }
    return NULL;
}

/* Verifies with the PSK. An unknown client costs the same work as a wrong key: any will do. */
static enum mkt_rc
verify_psk(struct rn_world *w, const struct mkt_env *env, struct mkt_identity *client,
           struct mkt_err *err)
{
    const struct mkt_kms_ask *ask = mkt_kms_ask(w->txn);
    const struct rn_party *p = rn_client_of(w, ask);
    *client = p == NULL ? w->kms->id : p->id;
    if (p != NULL && p == w->peer && ask->client.data.p != NULL)
        *client = ask->client; /* another KMS speaks for its Responder (RFC 6043 10) */
    enum mkt_rc rc = mkt_kms_verify(w->txn, env, p == NULL ? &w->own->key.base : &p->psk.base,
                                    *client, w->kms->id, err);
    return rc == MKT_OK && p == NULL ? MKT_E_AUTH : rc;
}

/* Verifies with certificates. `known`: those of the parties are known without being sent. */
static enum mkt_rc
verify_pk(struct rn_world *w, const struct mkt_env *env, bool known, struct mkt_identity *client,
          struct mkt_err *err)
{
    const struct mkt_kms_ask *ask = mkt_kms_ask(w->txn);
    struct mkt_kms_pk how = {
        .trust = w->pki.trust,
        .keys = &w->pki.kms_key,
        .n_keys = w->pki.has ? 1 : 0,
        .kms = w->kms->id,
        .sha1 = true, /* what the vectors of the 128-bit suite are signed with */
    };
    for (size_t i = 0; known && i < w->n_party; i++) {
        const struct rn_holder *h = rn_holder_of(&w->pki, w->party[i].name);
        if (h == NULL || !mkt_identity_equal(w->party[i].id, ask->client))
            continue;
        how.known = h->chain;
        how.n_known = h->n;
    }
    enum mkt_rc rc = mkt_kms_verify_pk(w->txn, env, &how, err);
    *client = ask->client;
    return rc;
}

/* Who may resolve: a responder of the policy, or a member of a group that is one. *as gets the
 * identity of the policy that matched. */
static bool
may_resolve(struct rn *r, const struct rn_world *w, const struct mkt_policy *p,
            struct mkt_identity who, struct mkt_identity *as)
{
    const char *group;
    size_t k;
    json_t *members, *member;
    for (size_t i = 0; i < p->n_responders; i++) {
        *as = p->responders[i];
        if (mkt_identity_equal(p->responders[i], who))
            return true;
        json_object_foreach(w->groups, group, members)
        {
            if (!mkt_identity_equal(rn_identity_of(r, group), p->responders[i]))
                continue;
            json_array_foreach(members, k, member)
            {
                if (mkt_identity_equal(rn_identity_of(r, json_string_value(member)), who))
                    return true;
            }
        }
    }
    return false;
}

/* The keys a ticket gets when the request names none, where a KMS has a rule of its own for it. */
static void
default_keys(const struct rn_world *w, const struct mkt_policy *want, struct mkt_policy *granted)
{
    const struct mkt_suite *suite = mkt_suite_of(granted->prf);
    if (want->has_kemac || suite == NULL || (w->default_keys == 1 && !w->default_salt))
        return;
    granted->n_wanted = (uint8_t)w->default_keys;
    for (size_t i = 0; i < granted->n_wanted && i < MKT_KEYS_MAX; i++)
        granted->wanted[i] = (struct mkt_want_key){
            .type = w->default_salt ? MKT_KEY_TGK_SALT : MKT_KEY_TGK,
            .kv = MKT_KV_NULL,
            .key_len = suite->key_len,
            .salt_len = w->default_salt ? MKT_SALT_LEN : 0,
        };
}

/* THDR data and IDRpsk of the ticket, as the recorded KMS chose them. A ticket that the Responder
 * may open itself (E = 0) is under the key it shares (mode 2). */
static void
free_choices(struct rn *r, const struct rn_world *w, const struct mkt_msg *like,
             const struct mkt_policy *granted, struct mkt_tpk *tpk, struct mkt_span *thdr)
{
    const struct mkt_pl_ticket *ticket = like == NULL ? NULL : rn_ticket_of(like);
    const struct rn_tpk *of =
        (granted->flags & MKT_TP_E) != 0 ? w->own : rn_tpk_of(w, granted->responders[0]);
    struct mkt_err err = { 0 };
    size_t n = 0;
    *tpk = (struct mkt_tpk){ .id = of->id, .key = &of->key.base, .owner = of->owner };
    if (ticket == NULL)
        return;
    struct mkt_payload *pl = rn_alloc(r, MKT_PAYLOADS_MAX * sizeof *pl);
    if (mkt_chain_decode(pl, MKT_PAYLOADS_MAX, &n, MKT_PL_THDR, ticket->ticket_data, &err) !=
        MKT_OK)
        return;
    tpk->id = mkt_span(NULL, 0);
    for (size_t i = 0; i < n; i++) {
        if (pl[i].type == MKT_PL_THDR)
            *thdr = pl[i].u.thdr.data;
        if (pl[i].type == MKT_PL_IDR && pl[i].u.idr.role == MKT_IDR_PSK)
            tpk->id = of->id;
    }
}

static enum mkt_rc
issue(struct rn *r, struct rn_world *w, const struct mkt_env *env, const struct mkt_msg *like,
      struct mkt_identity client, struct mkt_io *io)
{
    const struct mkt_kms_ask *ask = mkt_kms_ask(w->txn);
    struct mkt_policy *granted = rn_alloc(r, sizeof *granted);
    struct mkt_tpk tpk;
    struct mkt_span thdr = { NULL, 0 };
    struct mkt_grant_rules rules = w->rules;
    rules.responder_has_tpk =
        ask->policy->n_responders == 1 && rn_tpk_of(w, ask->policy->responders[0]) != NULL;
    enum mkt_rc rc =
        mkt_policy_grant(granted, ask->policy, &rules, client, w->kms->id, w->now, &io->err);
    if (rc != MKT_OK)
        return rc;
    default_keys(w, ask->policy, granted);
    free_choices(r, w, like, granted, &tpk, &thdr);
    if (mkt_kms_issue(w->txn, env, granted, &tpk, thdr, io) != MKT_NEXT_SEND_PEER)
        return io->err.rc == MKT_OK ? MKT_E_STATE : io->err.rc;
    return MKT_OK;
}

/* The TPK a ticket names; one that names none is under the key of whoever made it (D). */
static const struct rn_tpk *
tpk_of_ticket(const struct rn_world *w, const struct mkt_kms_ask *ask)
{
    if (ask->tpk_id.data.p != NULL)
        return rn_tpk_with(w, ask->tpk_id.data);
    return (ask->policy->flags & MKT_TP_D) != 0 ? w->own : rn_tpk_of(w, ask->policy->initiator);
}

/* A ticket that the Initiator made (mode 3) gets nothing that a request would not have got. */
static enum mkt_rc
check_own_ticket(const struct rn_world *w, const struct mkt_policy *p)
{
    uint64_t from = p->start.has ? p->start.value : w->now;
    if ((p->flags & MKT_TP_D) != 0)
        return MKT_OK;
    if ((p->flags & w->rules.clear_flags) != 0 ||
        (p->kms.data.p != NULL && !mkt_identity_equal(p->kms, w->kms->id)) ||
        (w->rules.max_validity_s != 0 &&
         (!p->end.has || (p->end.value - from) >> 32 > w->rules.max_validity_s)))
        return MKT_E_TP_PARAM;
    return MKT_OK;
}

static enum mkt_rc
resolve(struct rn *r, struct rn_world *w, const struct mkt_env *env, struct mkt_identity client,
        struct mkt_io *io)
{
    const struct mkt_kms_ask *ask = mkt_kms_ask(w->txn);
    struct mkt_identity as = client;
    const struct rn_tpk *tpk = tpk_of_ticket(w, ask);
    if (tpk == NULL)
        return MKT_E_TICKET;
    enum mkt_rc rc = mkt_kms_open(
        w->txn, env, &(struct mkt_tpk){ .id = tpk->id, .key = &tpk->key.base, .owner = tpk->owner },
        &io->err);
    if (rc == MKT_OK)
        rc = check_own_ticket(w, ask->policy);
    if (rc != MKT_OK)
        return rc;
    if (!may_resolve(r, w, ask->policy, client, &as))
        return MKT_E_NOT_AUTHORISED;
    if (mkt_kms_resolve(w->txn, env, w->adjust ? as : client, io) != MKT_NEXT_SEND_PEER)
        return io->err.rc == MKT_OK ? MKT_E_STATE : io->err.rc;
    return MKT_OK;
}

static enum mkt_rc
answer(struct rn *r, struct rn_world *w, const struct mkt_env *env, const struct mkt_msg *like,
       struct mkt_io *io)
{
    enum mkt_rc rc = mkt_kms_begin(w->txn, io->in, &io->err);
    if (rc != MKT_OK)
        return rc;
    const struct mkt_kms_ask *ask = mkt_kms_ask(w->txn);
    struct mkt_identity client;
    /* A KMS may look at the clock and the addressee before or after it verifies: the recorded
     * answer, if it has a V, came after. */
    bool late = like != NULL && (mkt_msg_find(like, MKT_PL_V, 0) != NULL ||
                                 mkt_msg_find(like, MKT_PL_SIGN, 0) != NULL);
    enum mkt_rc reason = rn_stale(w, &ask->t) ? MKT_E_STALE : MKT_OK;
    if (ask->kms.data.p != NULL && !mkt_identity_equal(ask->kms, w->kms->id))
        reason = MKT_E_IDENTITY;
    if (reason != MKT_OK && !late)
        return reason;
    rc = ask->pk ? verify_pk(w, env, like != NULL, &client, &io->err)
                 : verify_psk(w, env, &client, &io->err);
    if (rc != MKT_OK)
        return rc;
    if (reason != MKT_OK)
        return reason;
    if (rn_replayed(r, w, ask->fingerprint))
        return MKT_E_REPLAY;
    if (ask->ticket_err->rc != MKT_OK) {
        io->err = *ask->ticket_err;
        return io->err.rc;
    }
    return ask->resolve ? resolve(r, w, env, client, io) : issue(r, w, env, like, client, io);
}

enum mkt_rc
rn_kms_answer(struct rn *r, struct rn_world *w, const struct mkt_env *env,
              const struct mkt_msg *like, struct mkt_io *io)
{
    enum mkt_rc rc = answer(r, w, env, like, io);
    if (rc != MKT_OK) {
        struct mkt_io refusal = { .in = io->in, .out = io->out, .cap = io->cap };
        io->out_len = 0;
        const struct mkt_kms_signer by = { .key = w->pki.kms.key };
        enum mkt_next next = w->pki.sign_errors
                                 ? mkt_kms_refuse_signed(w->txn, env, rc, &by, &refusal)
                                 : mkt_kms_refuse(w->txn, env, rc, &refusal);
        if (next == MKT_NEXT_SEND_PEER)
            io->out_len = refusal.out_len;
    }
    mkt_kms_end(w->txn);
    return rc;
}
