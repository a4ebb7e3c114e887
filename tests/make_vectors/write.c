/* SPDX-License-Identifier: Apache-2.0 */
/* A run as a vector, in the format that docs/vectors/README.md describes. */
#include "run.h"

#include "keys/keys.h"

#include <stdio.h>
#include <string.h>

/* --- inputs ------------------------------------------------------------------------------------
 */

static json_t *
identity(struct mkt_identity id)
{
    char text[128];
    snprintf(text, sizeof text, "uri:%.*s", (int)id.data.n, (const char *)id.data.p);
    return json_pack("{s:i, s:o, s:s}", "type", id.type, "data", mv_hex(id.data), "text", text);
}

/* What the KMS has: in one vector the Responder's key is another. */
static struct mkt_secret
psk_of(const struct mv_run *r, enum mv_who who)
{
    struct mkt_secret key = r->party[who].psk.key;
    if (r->sc->extra == MV_WRONG_KEY && who == MV_RESPONDER)
        key.b[0] ^= 1;
    return key;
}

static void
set_key(json_t *keys, const char *kind, const char *name, const struct mkt_secret *key)
{
    char what[32];
    snprintf(what, sizeof what, "%s_%s", kind, name);
    json_object_set_new(keys, what, mv_hex(mkt_secret_span(key)));
}

static json_t *
settings(const struct mv_run *r)
{
    json_t *o = json_object();
    if (r->sc->max_validity != 0)
        json_object_set_new(o, "rules",
                            json_pack("{s:i, s:s, s:s, s:i, s:i, s:b}", "max_validity",
                                      (int)r->sc->max_validity, "clear_flags", "", "set_flags", "",
                                      "max_keys", 0, "default_keys", 1, "default_salt", 0));
    if (r->sc->extra == MV_GROUP)
        json_object_set_new(o, "groups",
                            json_pack("{s:[s, s]}", "uri:sip:team@example.com",
                                      "uri:sip:bob@example.com", "uri:sip:bobs-desk@example.com"));
    if (r->sc->ts_type != MKT_TS_NTP_UTC)
        json_object_set_new(o, "ts_type", json_integer(r->sc->ts_type));
    return o;
}

static json_t *
inputs(const struct mv_run *r)
{
    json_t *identities = json_object(), *psk_ids = json_object(), *tpk_ids = json_object();
    json_t *keys = json_object();
    uint8_t clock[4] = { MV_NOW >> 24, MV_NOW >> 16 & 0xFF, MV_NOW >> 8 & 0xFF, MV_NOW & 0xFF };
    for (enum mv_who who = 0; who < MV_PARTIES; who++) {
        const struct mv_party *p = &r->party[who];
        char id[64] = "hex:";
        json_object_set_new(identities, p->name, identity(p->id));
        if (p->psk_id != NULL) {
            MKT_SCOPED_SECRET
            psk = psk_of(r, who);
            json_object_set_new(psk_ids, p->name, mv_hex(mkt_span(p->psk_id, strlen(p->psk_id))));
            set_key(keys, "psk", p->name, &psk);
        }
        if (p->tpk_id != NULL) {
            json_t *hex = mv_hex(mkt_span(p->tpk_id, strlen(p->tpk_id)));
            snprintf(id + 4, sizeof id - 4, "%s", json_string_value(hex));
            json_decref(hex);
            json_object_set_new(tpk_ids, p->name, json_string(id));
            set_key(keys, "tpk", p->name, &p->tpk.key);
        }
    }
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:n, s:o, s:o}", "suite", r->suite->name,
                     "identities", identities, "psk_ids", psk_ids, "tpk_ids", tpk_ids, "keys", keys,
                     "certificates", "clock_ntp_seconds", mv_hex(mkt_span(clock, 4)), "settings",
                     settings(r));
}

/* --- steps -------------------------------------------------------------------------------------
 */

static json_t *
big_endian(uint64_t v, size_t width)
{
    uint8_t b[8];
    for (size_t i = 0; i < width; i++)
        b[i] = (uint8_t)(v >> 8 * (width - 1 - i));
    return mv_hex(mkt_span(b, width));
}

static json_t *
kdf_step(const struct mv_step *s)
{
    return json_pack("{s:i, s:o, s:o, s:o, s:i, s:i, s:o}", "prf", s->alg, "constant",
                     mv_hex(mkt_span(s->in.p, 4)), "label", mv_hex(s->in), "inkey", mv_hex(s->key),
                     "inkey_bits", (int)(8 * s->key.n), "outkey_bits", (int)(8 * s->out.n),
                     "outkey", mv_hex(s->out));
}

static json_t *
encrypt_step(const struct mv_step *s)
{
    uint8_t iv[16];
    mkt_kemac_iv(iv, s->salt.p, s->csb_id, s->t64);
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "alg", s->alg, "encr_key",
                     mv_hex(s->key), "salt_key", mv_hex(s->salt), "csb_id",
                     big_endian(s->csb_id, 4), "t64", big_endian(s->t64, 8), "iv",
                     mv_hex(mkt_span(iv, sizeof iv)), "plaintext", mv_hex(s->in), "ciphertext",
                     mv_hex(s->out));
}

static json_t *
step(const struct mv_step *s)
{
    static const char *const kinds[] = {
        [MV_RANDOM] = "random", [MV_TIME] = "time",       [MV_KDF] = "kdf",
        [MV_MAC] = "mac",       [MV_ENCRYPT] = "encrypt", [MV_SESSION] = "session"
    };
    json_t *o = json_pack("{s:s, s:s}", "kind", kinds[s->kind], "name", s->name), *more = NULL;
    switch (s->kind) {
    case MV_RANDOM:
        more = json_pack("{s:o}", "value", mv_hex(s->out));
        break;
    case MV_TIME:
        more = json_pack("{s:i, s:o}", "ts_type", s->alg, "value", mv_hex(s->out));
        break;
    case MV_KDF:
        more = kdf_step(s);
        break;
    case MV_MAC:
        more = json_pack("{s:i, s:o, s:o, s:o}", "alg", s->alg, "auth_key", mv_hex(s->key),
                         "mac_input", mv_hex(s->in), "mac", mv_hex(s->out));
        break;
    case MV_ENCRYPT:
        more = encrypt_step(s);
        break;
    case MV_SESSION:
        more = json_pack("{s:o, s:o}", "TEK", mv_hex(s->key), "salt_key", mv_hex(s->salt));
        break;
    }
    json_object_update(o, more);
    json_decref(more);
    return o;
}

/* --- the vector --------------------------------------------------------------------------------
 */

json_t *
mv_vector(const struct mv_run *r, const char *name)
{
    json_t *rfc = json_array(), *steps = json_array(), *messages = json_array();
    for (size_t i = 0; i < sizeof r->sc->rfc / sizeof r->sc->rfc[0] && r->sc->rfc[i] != NULL; i++)
        json_array_append_new(rfc, json_string(r->sc->rfc[i]));
    for (size_t i = 0; i < r->rec.n; i++)
        json_array_append_new(steps, step(&r->rec.step[i]));
    for (size_t i = 0; i < r->n; i++) {
        const struct mv_message *m = &r->msg[i];
        json_array_append_new(messages,
                              json_pack("{s:s, s:s, s:s, s:o, s:o}", "name", m->name, "from",
                                        r->party[m->from].name, "to", r->party[m->to].name, "hex",
                                        mv_hex(m->octets), "fields", mv_fields(&m->m)));
    }
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:O}", "name", name, "title",
                     r->sc->title, "rfc", rfc, "kind",
                     json_object_get(r->outputs, "reason") != NULL ? "error" : "flow", "suite",
                     r->suite->name, "inputs", inputs(r), "steps", steps, "messages", messages,
                     "outputs", r->outputs);
}
