/* SPDX-License-Identifier: Apache-2.0 */
/* What came of a run, against the `outputs` of the vector: at both ends the same session keys, the
 * granted flags, who the other party is, why a message was refused. */
#include "flow.h"

#include "keys/keys.h"

#include <string.h>

static void
check_session(struct flow *f, const char *whose, const struct mkt_csb *csb, size_t index,
              json_t *keys)
{
    MKT_SCOPED_SECRET
    tek = { 0 };
    MKT_SCOPED_SECRET
    salt = { 0 };
    struct mkt_session s;
    struct mkt_err err = { 0 };
    if (mkt_csb_session(csb, index, &s) != MKT_OK) {
        rn_fail(f->r, whose, "no crypto session %zu", index);
        return;
    }
    const char *at = rn_name(f->r, "%s: crypto session %u", whose, s.cs_id);
    json_t *want = rn_get(f->r, keys, rn_name(f->r, "%u", s.cs_id));
    if (want == NULL) {
        rn_fail(f->r, at, "is not in session_keys");
        return;
    }
    if (mkt_csb_derive(csb, f->r->crypto, index, &tek, &salt, &err) != MKT_OK) {
        rn_fail_err(f->r, at, &err);
        return;
    }
    rn_same(f->r, rn_name(f->r, "%s: TEK", at), mkt_secret_span(&tek), rn_hex(f->r, want, "TEK"));
    rn_same(f->r, rn_name(f->r, "%s: salt", at), mkt_secret_span(&salt),
            rn_hex(f->r, want, "salt_key"));
}

/* Keys of a session derived one by one (RFC 3830 4.1.3), as the kdf steps have them. */
static void
check_session_step(struct flow *f, const char *whose, const struct mkt_csb *csb, json_t *step)
{
    static const uint32_t constants[] = { [MKT_SESSION_TEK] = MKT_C_SESSION_TEK,
                                          [MKT_SESSION_ENCR] = MKT_C_SESSION_ENCR,
                                          [MKT_SESSION_AUTH] = MKT_C_SESSION_AUTH,
                                          [MKT_SESSION_SALT] = MKT_C_SESSION_SALT };
    struct mkt_span label = rn_hex(f->r, step, "label"), want = rn_hex(f->r, step, "outkey");
    if (label.n < 10 || label.p[9] != 3) /* 0x03: keys from a TGK or GTGK (5.1.3) */
        return;
    const char *at = rn_name(f->r, "%s: %s", whose, rn_str(f->r, step, "name"));
    uint32_t constant = (uint32_t)rn_hex_num(f->r, step, "constant");
    for (size_t k = 0; k < mkt_csb_count(csb); k++) {
        struct mkt_session s;
        struct mkt_err err = { 0 };
        MKT_SCOPED_SECRET
        key = { 0 };
        if (mkt_csb_session(csb, k, &s) != MKT_OK || s.cs_id != label.p[4])
            continue;
        for (unsigned which = 0; which < sizeof constants / sizeof constants[0]; which++) {
            if (constants[which] != constant)
                continue;
            if (mkt_csb_derive_key(csb, f->r->crypto, k, (enum mkt_session_key)which, want.n, &key,
                                   &err) != MKT_OK)
                rn_fail_err(f->r, at, &err);
            else
                rn_same(f->r, at, mkt_secret_span(&key), want);
        }
    }
}

static void
check_peer(struct flow *f, json_t *outputs)
{
    struct mkt_identity r = rn_identity_of(f->r, rn_str(f->r, outputs, "identity_r"));
    struct mkt_identity i = rn_party_named(f->r, &f->w, f->msg[f->offer].from)->id;
    if (f->csb_i != NULL && !mkt_identity_equal(mkt_csb_peer(f->csb_i), r))
        rn_fail(f->r, "identity_r", "the Initiator talks to somebody else");
    if (f->csb_r != NULL && !mkt_identity_equal(mkt_csb_peer(f->csb_r), i))
        rn_fail(f->r, "identity_i", "the Responder talks to somebody else");
}

/* The step in which message i got its time; `from` when there is none behind it. */
static size_t
step_of_time(struct flow *f, size_t i, size_t from)
{
    const struct mkt_payload *t = mkt_msg_find(f->msg[i].m, MKT_PL_T, 0);
    for (size_t k = from; t != NULL && k < json_array_size(f->steps); k++) {
        json_t *step = json_array_get(f->steps, k);
        if (strcmp(rn_str(f->r, step, "kind"), "time") != 0)
            continue;
        struct mkt_span value = rn_hex(f->r, step, "value");
        if (value.n == t->u.t.value.n && memcmp(value.p, t->u.t.value.p, value.n) == 0)
            return k;
    }
    return from;
}

/* The steps of the exchange that begins with message i end where the next exchange begins. */
static size_t
end_of_steps(struct flow *f, size_t i)
{
    for (size_t k = i + 1; k < f->n; k++)
        if (f->msg[k].m->hdr.data_type == MKT_DT_TRANSFER_INIT)
            return step_of_time(f, k, f->step + 1);
    return json_array_size(f->steps);
}

static void
check_csb(struct flow *f, const char *whose, const struct mkt_csb *csb, json_t *keys, size_t init)
{
    if (csb == NULL) {
        rn_fail(f->r, whose, "has no crypto session bundle");
        return;
    }
    rn_same_num(f->r, rn_name(f->r, "%s: CSB ID", whose), mkt_csb_id(csb),
                f->msg[init].m->hdr.csb_id);
    rn_same_num(f->r, rn_name(f->r, "%s: number of crypto sessions", whose), mkt_csb_count(csb),
                json_object_size(keys));
    for (size_t i = 0; i < mkt_csb_count(csb); i++)
        check_session(f, whose, csb, i, keys);
    for (size_t i = f->step, end = end_of_steps(f, init); i < end; i++) {
        json_t *step = json_array_get(f->steps, i);
        if (strcmp(rn_str(f->r, step, "kind"), "kdf") == 0)
            check_session_step(f, whose, csb, step);
    }
}

/* Both ends have the same sessions with the same keys, whether or not the vector tells which. */
static void
check_agreement(struct flow *f)
{
    rn_same_num(f->r, "number of crypto sessions", mkt_csb_count(f->csb_i),
                mkt_csb_count(f->csb_r));
    for (size_t i = 0; i < mkt_csb_count(f->csb_i); i++) {
        struct mkt_secret tek[2] = { { 0 }, { 0 } }, salt[2] = { { 0 }, { 0 } };
        struct mkt_err err = { 0 };
        if (mkt_csb_derive(f->csb_i, f->r->crypto, i, &tek[0], &salt[0], &err) != MKT_OK ||
            mkt_csb_derive(f->csb_r, f->r->crypto, i, &tek[1], &salt[1], &err) != MKT_OK)
            rn_fail_err(f->r, "session keys", &err);
        rn_same(f->r, "TEK at both ends", mkt_secret_span(&tek[0]), mkt_secret_span(&tek[1]));
        rn_same(f->r, "salt at both ends", mkt_secret_span(&salt[0]), mkt_secret_span(&salt[1]));
    }
}

void
rn_check_csbs(struct flow *f, const char *key, size_t i)
{
    json_t *outputs = json_object_get(f->r->doc.root, "outputs");
    f->step = step_of_time(f, i, f->step);
    if (key != NULL && json_object_get(outputs, key) != NULL) {
        json_t *keys = rn_obj(f->r, outputs, key);
        check_csb(f, "Initiator", f->csb_i, keys, i);
        check_csb(f, "Responder", f->csb_r, keys, i);
    }
    if (f->csb_i != NULL && f->csb_r != NULL)
        check_agreement(f);
    if (f->n_transfers == 1 && json_object_get(outputs, "identity_r") != NULL)
        check_peer(f, outputs);
}

static void
check_session_steps(struct flow *f, json_t *keys)
{
    size_t i;
    json_t *step;
    json_array_foreach(f->steps, i, step)
    {
        const char *name = rn_str(f->r, step, "name");
        if (strcmp(rn_str(f->r, step, "kind"), "session") != 0)
            continue;
        json_t *out = strncmp(name, "CS", 2) == 0 ? rn_get(f->r, keys, name + 2) : NULL;
        if (out == NULL) {
            rn_fail(f->r, name, "is not in session_keys");
            continue;
        }
        rn_same(f->r, name, rn_hex(f->r, step, "TEK"), rn_hex(f->r, out, "TEK"));
        rn_same(f->r, name, rn_hex(f->r, step, "salt_key"), rn_hex(f->r, out, "salt_key"));
    }
}

/* "INVALID_TPPAR: G implies F": the name is one of the registered errors. */
static void
check_reason(struct flow *f, const char *reason)
{
    static const char *const names[] = {
        "AUTH_FAILURE", "INVALID_TS",          "INVALID_PRF",    "INVALID_MAC",
        "INVALID_EA",   "INVALID_HA",          "INVALID_DH",     "INVALID_ID",
        "INVALID_CERT", "INVALID_SP",          "INVALID_SPPAR",  "INVALID_DT",
        "UNSPECIFIED",  "UNSUPPORTED_MESSAGE", "INVALID_TICKET", "INVALID_TPPAR",
    };
    size_t len = strcspn(reason, ":");
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i]) == len && strncmp(names[i], reason, len) == 0) {
            rn_same_num(f->r, "reason", mkt_wire_error(f->refused), i);
            return;
        }
    rn_fail(f->r, "reason", "%s is not known", reason);
}

void
rn_check_outputs(struct flow *f)
{
    json_t *outputs = rn_obj(f->r, f->r->doc.root, "outputs");
    char flags[13];
    if (json_object_get(outputs, "granted_flags") != NULL) {
        const char *want = rn_str(f->r, outputs, "granted_flags");
        mkt_policy_flags_format(f->grant == NULL ? 0 : mkt_grant_policy(f->grant)->flags, flags);
        rn_same(f->r, "granted_flags", mkt_span(flags, strlen(flags)),
                mkt_span(want, strlen(want)));
    }
    if (json_object_get(outputs, "session_keys") != NULL) {
        if (f->n_transfers == 0)
            rn_fail(f->r, "session_keys", "there was no transfer");
        check_session_steps(f, rn_obj(f->r, outputs, "session_keys"));
    }
    if (json_object_get(outputs, "reason") != NULL)
        check_reason(f, rn_str(f->r, outputs, "reason"));
    rn_check_attributes(f->r, outputs, json_object_get(f->r->doc.root, "messages"));
}
