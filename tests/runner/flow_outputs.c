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
check_csb(struct flow *f, const char *whose, const struct mkt_csb *csb, json_t *keys)
{
    size_t i;
    json_t *step;
    if (csb == NULL) {
        rn_fail(f->r, whose, "has no crypto session bundle");
        return;
    }
    rn_same_num(f->r, rn_name(f->r, "%s: CSB ID", whose), mkt_csb_id(csb),
                rn_sent_of_type(f, MKT_DT_TRANSFER_INIT)->m->hdr.csb_id);
    rn_same_num(f->r, rn_name(f->r, "%s: number of crypto sessions", whose), mkt_csb_count(csb),
                json_object_size(keys));
    for (i = 0; i < mkt_csb_count(csb); i++)
        check_session(f, whose, csb, i, keys);
    json_array_foreach(f->steps, i, step)
    {
        const char *kind = json_string_value(json_object_get(step, "kind"));
        if (kind != NULL && strcmp(kind, "kdf") == 0)
            check_session_step(f, whose, csb, step);
    }
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

static void
check_peer(struct flow *f, json_t *outputs)
{
    struct mkt_identity r = rn_identity_of(f->r, rn_str(f->r, outputs, "identity_r"));
    struct mkt_identity i =
        rn_party_named(f->r, &f->w, rn_sent_of_type(f, MKT_DT_TRANSFER_INIT)->from)->id;
    if (f->csb_i != NULL && !mkt_identity_equal(mkt_csb_peer(f->csb_i), r))
        rn_fail(f->r, "identity_r", "the Initiator talks to somebody else");
    if (f->csb_r != NULL && !mkt_identity_equal(mkt_csb_peer(f->csb_r), i))
        rn_fail(f->r, "identity_i", "the Responder talks to somebody else");
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
        json_t *keys = rn_obj(f->r, outputs, "session_keys");
        struct mkt_err err = { 0 };
        if (rn_sent_of_type(f, MKT_DT_TRANSFER_RESP) == NULL && f->initiator != NULL &&
            mkt_initiator_established(f->initiator, &f->env, &f->csb_i, &err) != MKT_OK)
            rn_fail_err(f->r, "Initiator", &err);
        check_csb(f, "Initiator", f->csb_i, keys);
        check_csb(f, "Responder", f->csb_r, keys);
        check_session_steps(f, keys);
        check_peer(f, outputs);
    }
    if (json_object_get(outputs, "reason") != NULL)
        check_reason(f, rn_str(f->r, outputs, "reason"));
    rn_check_attributes(f->r, outputs, json_object_get(f->r->doc.root, "messages"));
}
